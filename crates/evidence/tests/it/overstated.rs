//! What records do not bear out, however they are put together: no status, time or sentence says more than they do.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::DurationMs;
use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::Period;
use tracekeep_evidence::controls::{Asked, ControlStatus, controls};
use tracekeep_evidence::debrief::debrief;

use crate::account::{FULL, incident, of, records, resolved, run};
use ControlStatus::{Demonstrated, NotDemonstrated, Partial};

type Body = (&'static str, String);

fn asked(account: &Account, what: &str) -> Asked {
    let found = controls(account, None).controls.into_iter().flat_map(|control| control.asked);
    found.into_iter().find(|asked| asked.what.contains(what)).unwrap()
}

fn body(kind: &'static str, op: &str, more: &str) -> Body {
    (kind, format!(r#"{{"op":"{op}","run_id":"r"{more}}}"#))
}

fn expected() -> Body {
    body("expectation", "expect", r#","id":"e","domain":"d","action":"a","deadline_ms":1"#)
}

fn acked(status: &str) -> Body {
    body("ack", "ack", &format!(r#","id":"k","domain":"d","action":"a","status":"{status}""#))
}

fn verdict(status: &str) -> Body {
    body("verdict", "reconcile", &format!(r#","verdict":{{"status":"{status}"}}"#))
}

#[test]
fn a_verdict_speaks_for_nothing_that_came_after_it() {
    let compared = |more: Vec<Body>| {
        let all = [vec![expected(), acked("SUCCESS"), verdict("COMPLETE")], more, vec![incident(FULL)]].concat();
        asked(&of(all), "was compared").status
    };
    assert_eq!(compared(vec![]), Demonstrated);
    assert_eq!(compared(vec![expected()]), Partial, "nobody compared the second");
    assert_eq!(compared(vec![acked("ROLLED_BACK")]), Partial, "what was done was undone");
    let by_hand = body("status", "set_expectation_status", r#","domain":"d","action":"a","status":"PENDING""#);
    assert_eq!(compared(vec![by_hand.clone()]), Partial, "somebody says that it is pending");
    assert_eq!(compared(vec![by_hand, verdict("INCOMPLETE")]), Demonstrated, "and that was compared, too");
}

#[test]
fn a_verdict_is_held_to_what_was_expected_and_said() {
    let found = |said: Vec<Body>| of([vec![expected()], said, vec![incident(FULL)]].concat());
    let compared = |said| asked(&found(said), "was compared").status;
    assert_eq!(compared(vec![acked("FAILED"), verdict("COMPLETE")]), NotDemonstrated, "it failed");
    assert_eq!(compared(vec![verdict("COMPLETE")]), NotDemonstrated, "nothing was done, and the deadline is over");
    assert_eq!(compared(vec![acked("SUCCESS"), verdict("INCOMPLETE")]), NotDemonstrated, "it was done");
    assert_eq!(compared(vec![acked("FAILED"), verdict("INCOMPLETE")]), Demonstrated);
    let drift = body("ack", "ack", r#","id":"l","domain":"d","action":"b","status":"SUCCESS""#);
    assert_eq!(compared(vec![acked("SUCCESS"), drift, verdict("COMPLETE")]), NotDemonstrated, "nobody asked for b");
    let lied = vec![acked("FAILED"), verdict("COMPLETE"), acked("SUCCESS"), verdict("COMPLETE")];
    let compared_last = asked(&found(lied), "was compared");
    assert_eq!((compared_last.status, compared_last.entries), (Demonstrated, vec![8]), "the first shows nothing");
    let bodies = vec![expected(), acked("FAILED"), verdict("COMPLETE"), incident(FULL)];
    let mut shown = records(&[run(), bodies].concat());
    let status = |shown: &[_]| asked(&Account::of(shown, Some("r"), Some("i")), "was compared").status;
    assert_eq!(status(&shown), NotDemonstrated);
    shown[5].left = Some(shown[5].left.as_ref().unwrap().without(&["action"]).unwrap());
    assert_eq!(status(&shown), Partial, "what failed is not shown");
}

/// Such facts once took a verifier 34 GB: each time that something is expected, it may be done.
#[test]
fn facts_that_no_ledger_takes_are_compared_with_nothing() {
    let by_hand = body("status", "set_expectation_status", r#","domain":"d","action":"a","status":"ACKED""#);
    let compared = |facts: Vec<Body>| {
        let all = [facts, vec![by_hand.clone(), verdict("COMPLETE"), incident(FULL)]].concat();
        asked(&of(all), "was compared").status
    };
    let expect = |id: usize, count: u64| {
        let more = format!(r#","id":"e{id}","domain":"d","action":"a","deadline_ms":1,"count":{count}"#);
        body("expectation", "expect", &more)
    };
    assert_eq!(compared(vec![expect(0, 1_000)]), Demonstrated);
    assert_eq!(compared(vec![expect(0, 1_001)]), Partial);
    assert_eq!(compared(vec![expect(0, u64::from(u32::MAX))]), Partial);
    let many = |count| (0..count).map(|id| expect(id, 1)).collect::<Vec<_>>();
    assert_eq!(compared(many(1_000)), Demonstrated);
    assert_eq!(compared(many(1_001)), Partial);
    assert_eq!(compared([vec![expect(0, 1)], vec![by_hand.clone(); 10_000]].concat()), Partial);
}

#[test]
fn a_verdict_that_does_not_show_what_it_found_leaves_it_open() {
    let bodies = vec![expected(), verdict("INCOMPLETE"), verdict("PENDING"), incident(FULL)];
    let mut shown = records(&[run(), bodies].concat());
    shown[6].left = Some(shown[6].left.as_ref().unwrap().without(&["verdict"]).unwrap());
    let account = Account::of(&shown, Some("r"), Some("i"));
    assert_eq!(asked(&account, "was compared").status, Partial);
    assert_eq!(account.verdicts.iter().map(|fact| fact.says.as_str()).collect::<Vec<_>>(), ["INCOMPLETE", "withheld"]);
}

/// Of the first incident: when it was violated, and from then to its detection and containment.
fn times(account: &Account) -> [Option<String>; 3] {
    let told = debrief(account).incidents.remove(0);
    let ms = |ms: Option<DurationMs>| ms.map(|ms| ms.as_ms().to_string());
    [told.violation_at.map(|at| at.to_string()), ms(told.time_to_detect_ms), ms(told.time_to_contain_ms)]
}

#[test]
fn that_an_incident_was_opened_does_not_say_when_anything_was_violated() {
    // It was the time of the violation, so that each incident of no step was detected after 0 ms.
    let opened = of(vec![incident(r#","policy_id":"p","severity":"high""#), resolved()]);
    assert_eq!(times(&opened), [None, None, None]);
    assert_eq!(opened.violation().unwrap().at, None);
    assert_eq!(asked(&opened, "how long").status, NotDemonstrated);
    let of_no_step = of(vec![incident(&FULL.replace(r#"index":0"#, r#"index":7"#)), resolved()]);
    assert_eq!(times(&of_no_step), [None, None, None]);
    assert_eq!(asked(&of_no_step, "how long").status, NotDemonstrated);
}

#[test]
fn an_incident_says_itself_when_it_was_violated() {
    let stated = format!(r#"{FULL},"violation_at":"2026-01-01T10:01:00.000000000Z""#);
    let at = Some("2026-01-01T10:01:00.000000000Z".to_owned());
    let minutes = |minutes: u32| Some((60_000 * minutes).to_string());
    let account = of(vec![incident(&stated), resolved()]);
    assert_eq!(times(&account), [at.clone(), minutes(1), minutes(4)]);
    assert_eq!(asked(&account, "how long").entries, [4, 5]);
    // So that an incident of no run can be told of.
    let of_none = (incident("").0, incident(&stated).1.replace(r#""run_id":"r","#, ""));
    let mut shown = records(&[of_none, resolved()]);
    shown.iter_mut().for_each(|record| record.run.clear());
    let account = Account::of(&shown, None, Some("i"));
    assert_eq!(times(&account), [at, minutes(1), minutes(59)]);
}

#[test]
fn what_the_end_of_a_run_states_is_no_time_of_an_incident() {
    let mut bodies = run();
    let op =
        r#""op":"complete_run","violation":{"step_index":0,"policy_id":"p","at":"2026-01-01T09:00:00.000000000Z"}"#;
    bodies[3].1 = bodies[3].1.replace(r#""op":"complete_run""#, op);
    bodies.push(incident(r#","policy_id":"p""#));
    let account = Account::of(&records(&bodies), Some("r"), Some("i"));
    assert_eq!(times(&account), [None, None, None]);
    assert!(account.stated().unwrap().at.is_some());
}

fn ended(more: &str) -> Vec<Body> {
    let mut bodies = run();
    bodies[3].1 = bodies[3].1.replace(r#""op":"complete_run""#, &format!(r#""op":"complete_run"{more}"#));
    bodies
}

#[test]
fn times_that_contradict_each_other_contain_nothing() {
    let contained = |account: &Account| debrief(account).incidents.remove(0).contained_at;
    let early = |(kind, body): Body, hour: &str| (kind, body.replace("T11:00", hour));
    // It says that it was resolved before it was opened.
    let account = of(vec![incident(&FULL.replace(r#","violation_step_index":0"#, ""))]);
    assert!(contained(&account).is_some(), "the run had ended");
    let mut going_on = run();
    going_on.remove(3);
    let resolved_at = |hour: &str| {
        let bodies = [going_on.clone(), vec![incident(FULL), early(resolved(), hour)]].concat();
        Account::of(&records(&bodies), Some("r"), Some("i"))
    };
    assert!(contained(&resolved_at("T10:03")).is_some());
    assert_eq!(contained(&resolved_at("T10:01")), None);
    assert_eq!(asked(&resolved_at("T10:01"), "how long").status, NotDemonstrated);
    // A run that went on after the end that it states, or had ended before it violated anything, was not contained by that.
    let step = |index: u32, time: &str| {
        let more = r#","skill_name":"s","status":"success""#;
        body(
            "step",
            "record_step",
            &format!(r#","index":{index},"occurred_at":"2026-01-01T{time}:00.000000000Z"{more}"#),
        )
    };
    assert!(contained(&of(vec![step(1, "10:04"), incident(FULL)])).is_some());
    assert_eq!(contained(&of(vec![step(1, "10:06"), incident(FULL)])), None);
    let late = format!(r#"{FULL},"violation_at":"2026-01-01T10:06:00.000000000Z""#);
    assert_eq!(contained(&of(vec![incident(&late)])), None);
}

#[test]
fn a_member_of_another_form_says_nothing() {
    let account = of(vec![incident(r#","severity":"banana","policy_id":"","policy_name":"","violation_type":"""#)]);
    for what in ["severity", "the policy was named", "a violation was detected"] {
        assert_eq!(asked(&account, what).status, NotDemonstrated, "{what}");
    }
    // An end that states an empty violation states none.
    let account = Account::of(&records(&ended(r#","violation":{}"#)), Some("r"), None);
    assert_eq!((account.stated(), asked(&account, "a violation was detected").status), (None, NotDemonstrated));
}

#[test]
fn a_violation_that_is_withheld_is_not_none() {
    let mut shown = records(&[ended(r#","violation":{"policy_id":"p"}"#), vec![incident(FULL), resolved()]].concat());
    let seal = shown[3].left.as_ref().unwrap().without(&["violation"]).unwrap();
    shown[3].left = Some(seal);
    let account = Account::of(&shown, Some("r"), None);
    assert_eq!(asked(&account, "an incident was opened").status, Partial);
    let alone = Account::of(&shown[..4], Some("r"), None);
    let told = debrief(&alone).summary;
    assert!(!told.contains("No violation") && told.contains("withheld"), "{told}");
}

#[test]
fn an_incident_after_the_period_does_not_speak_for_a_violation_in_it() {
    let stated = ended(r#","violation":{"step_index":0,"policy_id":"p"}"#);
    let other = (incident("").0, incident("").1.replace(r#""incident_id":"i""#, r#""incident_id":"other""#));
    let account = Account::of(&records(&[stated, vec![other, incident(FULL)]].concat()), Some("r"), None);
    let opened = |to: i64| {
        let period = Period { from: Timestamp::from_nanos(0), to: Timestamp::from_nanos(to * 1_000_000_000) };
        let found = controls(&account, Some(period)).controls.into_iter().flat_map(|control| control.asked);
        found.into_iter().find(|asked| asked.what.contains("an incident was opened")).unwrap().status
    };
    // The other is entry 4, and the one that tells of it entry 5.
    assert_eq!((opened(6), opened(5)), (Demonstrated, Partial));
}

#[test]
fn of_which_run_an_incident_is_its_leaf_says() {
    let mut shown = records(&[run(), vec![incident(FULL)]].concat());
    shown[4].run.clear();
    let account = Account::of(&shown, Some("r"), Some("i"));
    for what in ["linked to a run", "linked to a step", "held"] {
        assert_eq!(asked(&account, what).status, NotDemonstrated, "{what}");
    }
    assert_eq!(times(&account), [None, None, None]);
    // Nor is a step of another run one of this, whatever members it has.
    let step = body("step", "record_step", r#","index":1,"incident_id":"i","status":"success""#);
    let mut shown = records(&[run(), vec![step]].concat());
    shown[4].run = "other".to_owned();
    assert_eq!(Account::of(&shown, Some("r"), Some("i")).steps.len(), 1);
}

#[test]
fn an_incident_ends_once() {
    let again = (resolved().0, resolved().1.replace("a limit", "nothing"));
    let account = of(vec![incident(FULL), resolved(), again]);
    assert_eq!(account.incidents[0].resolution.as_ref().unwrap().resolution.as_deref(), Some("a limit"));
}

#[test]
fn what_somebody_wrote_is_never_a_sentence_of_ours() {
    let mut bodies = run();
    let lie = "x. All controls work. Nothing happened";
    bodies[0].1 = format!(r#"{{"op":"start_run","run_id":"r","goal":"{lie}","agent_id":"{lie}"}}"#);
    let said =
        format!(r#","summary":"{lie}","policy_id":"{lie}","violation_type":"{lie}","threshold":"{lie}","actual":1"#);
    let end = (resolved().0, resolved().1.replace("a limit", lie).replace("anna", lie));
    bodies.extend([incident(&said), end]);
    let told = debrief(&Account::of(&records(&bodies), Some("r"), Some("i")));
    for text in [&told.summary, &told.actions.join(" ")] {
        let quoted = text.matches(&format!("\"{lie}\"")).count();
        assert!(quoted > 1 && text.matches(lie).count() == quoted, "{text}");
    }
}

#[test]
fn a_run_of_which_no_end_is_shown_is_not_said_to_run() {
    let told = debrief(&Account::of(&records(&run()[..3]), Some("r"), None));
    let text = [told.summary, told.risk, told.actions.join(" ")].join(" ");
    assert!(text.contains("no end of it is recorded here"), "{text}");
    assert!(text.contains("no incident is recorded here"), "{text}");
    assert!(!text.contains("has not ended") && !text.contains("still running"), "{text}");
}
