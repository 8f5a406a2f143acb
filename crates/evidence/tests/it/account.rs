//! What is derived from records: controls and debrief.

use tracekeep_core::Timestamp;
use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_core::json::Json;
use tracekeep_core::remainder::Remainder;
use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::Record;
use tracekeep_evidence::controls::{ControlStatus, controls};
use tracekeep_evidence::debrief::debrief;

pub(crate) const EVIL: &str = r#"</style><script>alert(1)</script><img src=x onerror=\"a\">"#;

pub(crate) fn records(bodies: &[(&str, String)]) -> Vec<Record> {
    let each = bodies.iter().zip(0u64..).map(|((kind, body), log_index)| {
        let body = Body::from_recorded(Json::parse(body).unwrap().as_str()).unwrap();
        let salt = Salt::of_entry(&[1; 32], log_index);
        Record {
            log_index,
            run: "r".to_owned(),
            seq: log_index,
            kind: (*kind).to_owned(),
            recorded_at: Timestamp::from_nanos(1_000_000_000 * log_index as i64),
            commit: body.commitment(&salt),
            left: Some(Remainder::whole(log_index, &body, &salt)),
        }
    });
    each.collect()
}

pub(crate) fn run() -> Vec<(&'static str, String)> {
    vec![
        ("run_started", format!(r#"{{"op":"start_run","run_id":"r","goal":"{EVIL}","agent_id":"a"}}"#)),
        (
            "step",
            format!(
                r#"{{"op":"record_step","run_id":"r","index":0,"skill_name":"{EVIL}","status":"failure","cost_cents":"2.5",
                "duration_ms":10,"occurred_at":"2026-01-01T10:00:00.000000000Z"}}"#
            ),
        ),
        (
            "trace",
            format!(
                r#"{{"op":"record_trace","run_id":"r","id":"t","parent_id":"t","trace_type":{{"type":"Thought","content":"{EVIL}"}}}}"#
            ),
        ),
        (
            "sealed",
            r#"{"op":"complete_run","run_id":"r","status":"failed","completed_at":"2026-01-01T10:05:00.000000000Z"}"#
                .to_owned(),
        ),
    ]
}

pub(crate) fn incident(more: &str) -> (&'static str, String) {
    let body = format!(
        r#"{{"op":"open_incident","incident_id":"i","run_id":"r","created_at":"2026-01-01T10:02:00.000000000Z"{more}}}"#
    );
    ("incident", body)
}

pub(crate) const FULL: &str = r#","severity":"high","policy_id":"p","violation_type":"cost_limit","threshold":1,"actual":2,"violation_step_index":0"#;

pub(crate) fn resolved() -> (&'static str, String) {
    let body = r#"{"op":"resolve_incident","incident_id":"i","resolution":"a limit","by":"anna",
        "resolved_at":"2026-01-01T11:00:00.000000000Z"}"#;
    ("incident_resolved", body.to_owned())
}

pub(crate) fn of(more: Vec<(&'static str, String)>) -> Account {
    let mut bodies = run();
    bodies.extend(more);
    Account::of(&records(&bodies), Some("r"), Some("i"))
}

pub(crate) fn status(account: &Account, criterion: &str) -> Option<ControlStatus> {
    controls(account, None)
        .controls
        .into_iter()
        .find(|control| control.control == criterion)
        .map(|control| control.status)
}

#[test]
fn a_control_is_demonstrated_by_facts_alone() {
    use ControlStatus::{Demonstrated, NotDemonstrated, Partial};
    let check = |more, wanted: [ControlStatus; 3]| {
        let account = of(more);
        assert_eq!(["CC7.2", "CC7.3", "CC7.4"].map(|criterion| status(&account, criterion).unwrap()), wanted);
    };
    check(vec![], [NotDemonstrated, NotDemonstrated, NotDemonstrated]);
    check(vec![incident("")], [NotDemonstrated, Partial, Partial]);
    check(vec![incident(FULL)], [Partial, Demonstrated, Partial]);
    check(vec![incident(FULL), resolved()], [Partial, Demonstrated, Demonstrated]);
    let expected = r#"{"op":"expect","run_id":"r","id":"e","domain":"d","action":"a","deadline_ms":1}"#.to_owned();
    let verdict = r#"{"op":"reconcile","run_id":"r","verdict":{"status":"INCOMPLETE"}}"#.to_owned();
    let watched = vec![("expectation", expected), ("verdict", verdict), incident(FULL), resolved()];
    check(watched, [Demonstrated, Demonstrated, Demonstrated]);
    // Times that contradict each other tell no time to contain; what is let go of is not held, and what is of no run neither.
    let late = |(kind, body): (&'static str, String)| (kind, body.replace("T10:0", "T12:0"));
    let end = ("hold_released", r#"{"op":"release_hold","run_id":"r","reason":"over"}"#.to_owned());
    let asked = |account: &Account, what: &str| {
        let found = controls(account, None).controls.into_iter().flat_map(|control| control.asked);
        found.into_iter().find(|asked| asked.what.contains(what)).unwrap().entries
    };
    let told = of(vec![late(incident(r#","policy_id":"p""#)), end]);
    assert!(asked(&told, "held").is_empty() && asked(&told, "how long").is_empty());
    assert!(!debrief(&told).actions.iter().any(|action| action.contains("is held")));
    let of_none = (incident(FULL).0, incident(FULL).1.replace(r#""run_id":"r","#, ""));
    let mut shown = records(&[run(), vec![of_none]].concat());
    shown[4].run.clear();
    assert!(asked(&Account::of(&shown, Some("r"), Some("i")), "held").is_empty());
    assert_eq!(asked(&of(vec![incident(FULL), resolved()]), "how long"), [1, 4, 5]);
    assert_eq!(status(&of(vec![incident(FULL)]), "A1.1"), Some(Partial));
    assert_eq!(status(&of(vec![incident(r#","violation_type":"data_leak""#)]), "CC6.7"), Some(Partial));
    assert_eq!(status(&of(vec![incident(r#","violation_type":"other""#)]), "A1.1"), None);
}

#[test]
fn every_entry_that_a_control_names_is_one_of_the_records() {
    let account = of(vec![incident(FULL), resolved()]);
    for control in controls(&account, None).controls {
        for asked in control.asked {
            assert!(asked.entries.iter().all(|log_index| *log_index < 6), "{}", asked.what);
        }
    }
}

#[test]
fn the_debrief_states_times_cost_risk_and_actions() {
    let told = debrief(&of(vec![incident(FULL), resolved()]));
    assert_eq!(told.incidents[0].time_to_detect_ms.map(|ms| ms.as_ms()), Some(120_000.0));
    // The run had ended before anybody resolved the incident, and that is what is said.
    assert_eq!(told.incidents[0].contained_by.as_deref(), Some("run_ended"));
    assert_eq!(told.incidents[0].time_to_contain_ms.map(|ms| ms.as_ms()), Some(300_000.0));
    assert_eq!((told.cost_cents.to_string().as_str(), told.steps, told.failures), ("2.5", 1, 1));
    assert!(told.risk.contains("high") && told.risk.contains("resolved"), "{}", told.risk);
    assert!(told.actions.iter().any(|action| action.contains("a limit")), "{:?}", told.actions);
    assert_eq!(told.entries, [1, 3, 4, 5]);
    let open = debrief(&of(vec![incident("")]));
    assert!(open.risk.contains("It is open") && open.incidents[0].severity.is_none(), "{}", open.risk);
    // Times that contradict each other give no time at all.
    let before = incident(r#","violation_step_index":0"#);
    let before = (before.0, before.1.replace("T10:02", "T09:02"));
    assert_eq!(debrief(&of(vec![before])).incidents[0].time_to_detect_ms, None);
}
