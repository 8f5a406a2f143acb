//! What is derived of a run that has several incidents, of what is withheld, and of facts that do not bear a status out.

use tracekeep_core::Timestamp;
use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::{Kind, Period, Record};
use tracekeep_evidence::controls::{ControlStatus, OF_TYPES, controls};
use tracekeep_evidence::debrief::debrief;

use crate::account::{FULL, incident, of, records, resolved, run};
use crate::report::{cover, page};
use ControlStatus::{Demonstrated, NotDemonstrated, Partial};

type Body = (&'static str, String);

fn second(more: &str) -> Body {
    let (kind, body) = incident(more);
    (kind, body.replace(r#""incident_id":"i""#, r#""incident_id":"second""#))
}

/// The account of the run itself: no incident is asked about.
fn of_run(more: Vec<Body>) -> Account {
    Account::of(&all(more), Some("r"), None)
}

fn all(more: Vec<Body>) -> Vec<Record> {
    let mut bodies = run();
    bodies.extend(more);
    records(&bodies)
}

fn status(account: &Account, criterion: &str) -> Option<ControlStatus> {
    within(account, None, criterion)
}

fn within(account: &Account, period: Option<Period>, criterion: &str) -> Option<ControlStatus> {
    let found = controls(account, period).controls.into_iter().find(|control| control.control == criterion);
    found.map(|control| control.status)
}

#[test]
fn one_resolved_incident_does_not_speak_for_another_that_is_open() {
    let both = vec![incident(FULL), resolved(), second(r#","severity":"critical","policy_id":"q""#)];
    let account = of_run(both.clone());
    assert_eq!(status(&account, "CC7.3"), Some(Partial), "the second is linked to no step");
    assert_eq!(status(&account, "CC7.4"), Some(Partial), "the second is open");
    let told = debrief(&account);
    assert!(
        told.risk.contains("critical") && told.risk.contains("1 of 2 incidents is open: the risk stands"),
        "{}",
        told.risk
    );
    assert!(told.summary.contains("incident i ") && told.summary.contains("incident second "), "{}", told.summary);
    assert_eq!(told.entries, [1, 3, 4, 5, 6]);
    let shown = page(&account, &all(both.clone()));
    assert!(shown.contains("<td>second</td>") && shown.contains("<td>i</td>"), "{shown}");
    // An export of the first is about the first, and says that there is another.
    let told = debrief(&of(both));
    assert!(told.risk.contains("high") && told.risk.contains("It is resolved"), "{}", told.risk);
    assert!(told.summary.contains("1 other incident"), "{}", told.summary);
}

#[test]
fn a_type_of_violation_is_known_by_its_whole_name_and_never_shows_that_its_control_works() {
    let typed = |name: &str| of(vec![incident(&FULL.replace("cost_limit", name)), resolved()]);
    for (name, criterion) in [("authoring_error", "CC6.1"), ("generated_text", "A1.1"), ("metadata_drift", "CC6.7")] {
        assert_eq!(status(&typed(name), criterion), None, "{name}");
    }
    for (name, criterion) in [("cost_limit", "A1.1"), ("unauthorized_access", "CC6.1"), ("data_leak", "CC6.7")] {
        assert_eq!(status(&typed(name), criterion), Some(Partial), "{name}");
    }
}

#[test]
fn the_page_names_the_types_that_are_known() {
    let page = include_str!("../../../../docs/format/controls.md");
    for (criterion, _, names) in OF_TYPES {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let row = format!("| {criterion} | {} |", names.join(", "));
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn a_step_that_is_not_among_the_records_is_no_link() {
    let ghost = FULL.replace(r#""violation_step_index":0"#, r#""violation_step_index":99"#);
    assert_eq!(status(&of(vec![incident(&ghost)]), "CC7.3"), Some(Partial));
    assert_eq!(status(&of(vec![incident(FULL)]), "CC7.3"), Some(Demonstrated));
}

#[test]
fn what_was_cleared_or_is_pending_shows_no_monitoring() {
    let expected = |more: &str| {
        (
            "expectation",
            format!(r#"{{"op":"expect","run_id":"r","id":"e","domain":"d","action":"a","deadline_ms":{more}}}"#),
        )
    };
    let (over, waits) = (|| expected("1"), || expected("86400000"));
    let verdict =
        |status: &str| ("verdict", format!(r#"{{"op":"reconcile","run_id":"r","verdict":{{"status":"{status}"}}}}"#));
    let cleared = ("audit_cleared", r#"{"op":"clear_audit","run_id":"r"}"#.to_owned());
    let check = |more: Vec<Body>, wanted| {
        let more: Vec<Body> = more.into_iter().chain([incident(FULL)]).collect();
        assert_eq!(status(&of(more.clone()), "CC7.2"), Some(wanted), "{more:?}");
    };
    check(vec![over(), verdict("INCOMPLETE")], Demonstrated);
    check(vec![expected(r#"1,"liveness":true"#), verdict("STALE")], Demonstrated);
    check(vec![waits(), verdict("PENDING")], Partial);
    check(vec![waits(), verdict("INCOMPLETE"), verdict("PENDING")], Partial);
    check(vec![over(), verdict("INCOMPLETE"), cleared.clone()], Partial);
    // With nothing else in it, what was cleared is nothing at all.
    let account = of(vec![over(), verdict("INCOMPLETE"), cleared]);
    assert_eq!(status(&account, "CC7.2"), Some(NotDemonstrated));
}

#[test]
fn what_was_recorded_outside_of_the_period_supports_nothing() {
    let account = of_run(vec![incident(FULL), resolved()]);
    let at = |second: i64| Timestamp::from_nanos(second * 1_000_000_000);
    let check = |from, to, wanted: [ControlStatus; 3]| {
        let period = Some(Period { from: at(from), to: at(to) });
        let found = ["CC7.2", "CC7.3", "CC7.4"].map(|criterion| within(&account, period, criterion).unwrap());
        assert_eq!(found, wanted, "{from}..{to}");
    };
    // The incident is entry 4, recorded in second 4, and its resolution entry 5.
    check(0, 6, [Partial, Demonstrated, Demonstrated]);
    check(0, 5, [Partial, Demonstrated, Partial]);
    check(0, 4, [NotDemonstrated; 3]);
    check(5, 6, [NotDemonstrated, NotDemonstrated, Partial]);
    check(6, 60, [NotDemonstrated; 3]);
}

#[test]
fn what_a_seal_states_is_told_apart_from_what_an_incident_says() {
    let mut bodies = run();
    bodies[3].1 = bodies[3].1.replace(
        r#""op":"complete_run""#,
        r#""op":"complete_run","violation":{"step_index":0,"policy_id":"of-seal","reason":"too dear"}"#,
    );
    bodies.push(incident(r#","policy_id":"of-incident","violation_type":"other""#));
    let shown = records(&bodies);
    let account = Account::of(&shown, Some("r"), None);
    let told = debrief(&account).summary;
    assert!(told.contains("violation of the policy \"of-incident\" (\"other\")."), "{told}");
    assert!(told.contains("violation of the policy \"of-seal\" at its step 0"), "{told}");
    let shown = page(&account, &shown);
    let (seal, incident) =
        shown.split_once("as the end of the run states it").unwrap().1.split_once("as the incident i says it").unwrap();
    assert!(seal.contains("of-seal") && seal.contains("too dear") && !seal.contains("of-incident"), "{seal}");
    let incident = incident.split_once("<h2>").unwrap().0;
    assert!(incident.contains("of-incident") && !incident.contains("of-seal"), "{incident}");
    // Without a time of its own it was when its step was.
    assert_eq!(account.violation().unwrap().at, "2026-01-01T10:00:00.000000000Z".parse().ok());
}

#[test]
fn an_incident_of_something_else_does_not_speak_for_what_the_end_of_the_run_states() {
    let stated = |more: &str| {
        let mut bodies = run();
        let op = r#""op":"complete_run","violation":{"step_index":0,"policy_id":"p"}"#;
        bodies[3].1 = bodies[3].1.replace(r#""op":"complete_run""#, op);
        bodies.extend([incident(more), resolved()]);
        Account::of(&records(&bodies), Some("r"), None)
    };
    let (same, other) = (stated(FULL), stated(&FULL.replace(r#""policy_id":"p""#, r#""policy_id":"q""#)));
    for (account, is_told) in [(same, true), (other, false)] {
        let wanted = if is_told { Demonstrated } else { Partial };
        assert_eq!(["CC7.3", "CC7.4"].map(|criterion| status(&account, criterion)), [Some(wanted); 2]);
        let risk = debrief(&account).risk;
        assert_eq!(risk.contains("the end of the run states"), !is_told, "{risk}");
    }
}

#[test]
fn a_run_that_ended_before_anybody_saw_it_was_not_contained_by_anybody() {
    // The run ended at 10:05 and the incident was opened at 10:30: nothing was done about it.
    let late = |more: &str| (incident(more).0, incident(more).1.replace("T10:02", "T10:30"));
    let asked = |account: &Account| {
        let found = controls(account, None).controls.into_iter().flat_map(|control| control.asked);
        found.into_iter().find(|asked| asked.what.contains("how long")).unwrap()
    };
    assert_eq!(asked(&of(vec![late(FULL)])).status, NotDemonstrated);
    assert_eq!(asked(&of(vec![late(FULL), resolved()])).entries, [1, 4, 5]);
    let told = |account: &Account| debrief(account).incidents.remove(0);
    let (open, done) = (told(&of(vec![late(FULL)])), told(&of(vec![late(FULL), resolved()])));
    assert_eq!((open.contained_at, open.time_to_contain_ms), (None, None));
    assert_eq!(open.run_had_ended_at, "2026-01-01T10:05:00.000000000Z".parse().ok());
    // It was said to be contained 5 minutes after it began, and detected after 30.
    assert_eq!(done.contained_by.as_deref(), Some("resolved"));
    assert!(done.time_to_contain_ms > done.time_to_detect_ms);
    assert_eq!(told(&of(vec![incident(FULL)])).run_had_ended_at, None);
}

#[test]
fn a_hold_that_is_let_go_of_after_all_is_resolved_was_held_while_it_mattered() {
    let end = || ("hold_released", r#"{"op":"release_hold","run_id":"r","reason":"closed"}"#.to_owned());
    let hold = || ("hold", r#"{"op":"hold","run_id":"r","reason":"again"}"#.to_owned());
    let held = |account: &Account, period: Option<Period>| {
        let found = controls(account, period).controls.into_iter().flat_map(|control| control.asked);
        let asked = found.into_iter().find(|asked| asked.what.contains("was held")).unwrap();
        (asked.status, asked.entries)
    };
    let account = of(vec![incident(FULL), resolved(), end()]);
    assert_eq!(held(&account, None), (Demonstrated, vec![4]));
    assert_eq!(status(&account, "CC7.4"), Some(Demonstrated));
    let done = debrief(&account).actions.join(" ");
    assert!(done.contains("was held until") && !done.contains("is held"), "{done}");
    // Let go of while it was open, and held again too late.
    assert_eq!(held(&of(vec![incident(FULL), end()]), None).0, NotDemonstrated);
    assert_eq!(held(&of(vec![incident(FULL), end(), resolved()]), None).0, NotDemonstrated);
    assert_eq!(held(&of(vec![incident(FULL), end(), hold(), resolved()]), None).0, NotDemonstrated);
    // One of two.
    assert_eq!(held(&of_run(vec![incident(FULL), resolved(), end(), second("")]), None), (Demonstrated, vec![4, 7]));
    let both = of_run(vec![second(""), incident(FULL), resolved(), end()]);
    assert_eq!(held(&both, None), (Partial, vec![4]));
    // Without an incident a run is held at last, or it is not.
    assert_eq!(held(&of_run(vec![hold()]), None), (Demonstrated, vec![4]));
    assert_eq!(held(&of_run(vec![hold(), end()]), None).0, NotDemonstrated);
    // What began to hold it before the period supports nothing in it.
    let at = |second: i64| Timestamp::from_nanos(second * 1_000_000_000);
    let period = |from, to| Some(Period { from: at(from), to: at(to) });
    assert_eq!(held(&account, period(5, 9)).0, NotDemonstrated);
    assert_eq!(held(&account, period(0, 5)).0, Demonstrated);
}

#[test]
fn without_an_incident_nothing_is_said_of_its_risk() {
    let told = debrief(&of_run(vec![]));
    assert!(!told.risk.contains("resolved") && told.risk.contains("not known"), "{}", told.risk);
}

#[test]
fn what_is_withheld_is_not_stated_as_nothing() {
    let mut shown = all(vec![incident(FULL)]);
    shown[1].left = Some(shown[1].left.as_ref().unwrap().without(&["cost_cents", "duration_ms"]).unwrap());
    let account = Account::of(&shown, Some("r"), None);
    assert_eq!(account.cost(), None);
    let told = debrief(&account);
    assert_eq!((told.cost_cents.to_string().as_str(), told.costs_withheld), ("0", 1));
    let html = page(&account, &shown);
    assert!(html.contains("withheld</td><td class=\"n\">withheld</td>"), "{html}");
    assert!(html.contains("1 step withholds"), "{html}");
}

#[test]
fn a_run_of_telemetry_began_when_its_description_says() {
    let bodies = [
        ("run_started", r#"{"op":"ensure_run","run_id":"r"}"#.to_owned()),
        (
            "run_described",
            r#"{"op":"describe_run","run_id":"r","started_at":"2026-01-01T09:00:00.000000000Z"}"#.to_owned(),
        ),
    ];
    let account = Account::of(&records(&bodies), Some("r"), None);
    assert_eq!(account.started_at, "2026-01-01T09:00:00.000000000Z".parse().ok());
    let account = Account::of(&records(&bodies[..1]), Some("r"), None);
    assert_eq!(account.started_at, Some(Timestamp::from_nanos(0)));
}

#[test]
fn a_report_on_a_period_says_when_each_run_ended_and_what_its_audit_found() {
    let mut shown = all(vec![
        ("verdict", r#"{"op":"reconcile","run_id":"r","verdict":{"status":"STALE"}}"#.to_owned()),
        incident(FULL),
    ]);
    let asked = Period { from: Timestamp::from_nanos(0), to: Timestamp::from_nanos(9) };
    let told = tracekeep_evidence::report::period(&cover(Kind::Period), &asked, &shown);
    let cells = |html: &str| html.replace(" class=\"w\"", "").replace(" class=\"n\"", "");
    let row = "<td>2026-01-01 10:05:00.000Z</td><td>failed</td><td>STALE</td><td>6</td><td>1</td><td>1</td><td>0</td><td>1</td>";
    assert!(cells(&told).contains(row) && !told.contains("of these erased"), "{told}");
    // Of a run that was erased its steps are counted, and how they came out is not known.
    shown.iter_mut().for_each(|record| record.left = None);
    let told = tracekeep_evidence::report::period(&cover(Kind::Period), &asked, &shown);
    let row = "<td>not known</td><td>erased</td><td>not known</td><td>6</td><td>1</td><td>not known</td><td>not known</td><td>1</td>";
    assert!(cells(&told).contains(row) && told.contains("<td>6: nothing is left of them"), "{told}");
}
