//! What records do not bear out, however they are put together: no status, time or sentence says more than they do.

use tracekeep_core::amount::DurationMs;
use tracekeep_evidence::account::Account;
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
fn a_verdict_that_does_not_show_what_it_found_leaves_it_open() {
    let bodies = vec![expected(), verdict("COMPLETE"), verdict("PENDING"), incident(FULL)];
    let mut shown = records(&[run(), bodies].concat());
    shown[6].left = Some(shown[6].left.as_ref().unwrap().without(&["verdict"]).unwrap());
    let account = Account::of(&shown, Some("r"), Some("i"));
    assert_eq!(asked(&account, "was compared").status, Partial);
    assert_eq!(account.verdicts.iter().map(|fact| fact.says.as_str()).collect::<Vec<_>>(), ["COMPLETE", "withheld"]);
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
