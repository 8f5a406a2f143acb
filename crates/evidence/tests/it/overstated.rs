//! What records do not bear out, however they are put together: no status, time or sentence says more than they do.

use tracekeep_evidence::account::Account;
use tracekeep_evidence::controls::{Asked, ControlStatus, controls};

use crate::account::{FULL, incident, of};
use ControlStatus::{Demonstrated, Partial};

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
    let mut records = crate::account::records(&[crate::account::run(), bodies].concat());
    let last = records[6].left.as_ref().unwrap().without(&["verdict"]).unwrap();
    records[6].left = Some(last);
    let account = Account::of(&records, Some("r"), Some("i"));
    assert_eq!(asked(&account, "was compared").status, Partial);
    assert_eq!(account.verdicts.iter().map(|fact| fact.says.as_str()).collect::<Vec<_>>(), ["COMPLETE", "withheld"]);
}
