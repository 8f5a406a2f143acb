//! vectors/audit.json: the entries of one audited run, verdicts among them, as the code writes them.
//!
//! `TRACEKEEP_WRITE_VECTORS=1 cargo test -p tracekeep-audit --test it vectors::` writes the file. vectors/check.py is the second
//! implementation, which shares nothing with this one.

use std::path::Path;

use serde_json::{Value, json};
use tracekeep_audit::{AuditReconciler, Event, ExpectationFact};
use tracekeep_core::Timestamp;
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Salt, member_commitment};
use tracekeep_core::json::parse;
use tracekeep_core::model::{Op, VerdictBody};
use tracekeep_core::wire::to_json;

const VERDICT: &str = r#"{"op":"reconcile","run_id":"run-1"}"#;

/// (name, seconds after ten, what was sent, what was generated or stated on the way)
fn entries() -> Vec<(&'static str, i64, &'static str, Value)> {
    let none = || json!({});
    vec![
        (
            "expect",
            0,
            r#"{"op":"expect","run_id":"run-1","id":"e-1","domain":"incidents","action":"create_incident","deadline_ms":5000}"#,
            none(),
        ),
        (
            "expect, everything sent",
            0,
            r#"{"op":"expect","run_id":"run-1","domain":"policies","action":"evaluate_policy","deadline_ms":10000,"optional":false,"count":2,"liveness":false,"metadata":{"\u20ac":[1.0,null]}}"#,
            json!({"id": "exp-0193470e-5800-7000-8000-000000000000"}),
        ),
        (
            "expect, that the run is alive",
            0,
            r#"{"op":"expect","run_id":"run-1","id":"e-3","domain":"orchestrator","action":"finalize_run","deadline_ms":30000}"#,
            none(),
        ),
        (
            "expect, of what may stay undone",
            0,
            r#"{"op":"expect","run_id":"run-1","id":"e-4","domain":"logs","action":"complete_trace","deadline_ms":5000,"optional":true}"#,
            none(),
        ),
        ("verdict, pending", 1, VERDICT, none()),
        (
            "ack, that it failed",
            2,
            r#"{"op":"ack","run_id":"run-1","id":"a-1","domain":"incidents","action":"create_incident","status":"FAILED","error":"disk full\n"}"#,
            none(),
        ),
        (
            "ack, late, everything else sent",
            6,
            r#"{"op":"ack","run_id":"run-1","domain":"incidents","action":"create_incident","status":"SUCCESS","result_id":"inc-1","metadata":{"n":1}}"#,
            json!({"id": "ack-0193470e-5800-7000-8000-000000000000"}),
        ),
        (
            "ack, that Redis received earlier",
            7,
            r#"{"op":"ack","run_id":"run-1","id":"a-3","domain":"policies","action":"evaluate_policy"}"#,
            json!({"received_at": "2026-11-20T10:00:02.500000000Z"}),
        ),
        (
            "ack, that nobody asked for",
            7,
            r#"{"op":"ack","run_id":"run-1","id":"a-4","domain":"nobody","action":"asked"}"#,
            none(),
        ),
        ("verdict, incomplete", 8, VERDICT, none()),
        (
            "status, set by hand",
            9,
            r#"{"op":"set_expectation_status","run_id":"run-1","domain":"policies","action":"evaluate_policy","status":"MISSING"}"#,
            none(),
        ),
        (
            "ack, that it was undone",
            10,
            r#"{"op":"ack","run_id":"run-1","id":"a-5","domain":"incidents","action":"create_incident","status":"ROLLED_BACK","error":"seen twice","rollback_reason":"a duplicate"}"#,
            none(),
        ),
        ("verdict, stale", 31, VERDICT, none()),
        (
            "ack, that makes up for it",
            32,
            r#"{"op":"ack","run_id":"run-1","id":"a-6","domain":"incidents","action":"create_incident"}"#,
            none(),
        ),
        (
            "ack, of what is done",
            33,
            r#"{"op":"ack","run_id":"run-1","id":"a-7","domain":"incidents","action":"create_incident"}"#,
            none(),
        ),
        (
            "ack, of the end",
            34,
            r#"{"op":"ack","run_id":"run-1","id":"a-8","domain":"orchestrator","action":"finalize_run"}"#,
            none(),
        ),
        (
            "status, of what is done",
            35,
            r#"{"op":"set_expectation_status","run_id":"run-1","domain":"policies","action":"evaluate_policy","status":"ACKED"}"#,
            none(),
        ),
        ("verdict, incomplete by what nobody asked for", 36, VERDICT, none()),
        ("audit_cleared", 37, r#"{"op":"clear_audit","run_id":"run-1"}"#, none()),
    ]
}

fn read(sent: &str, generated: &Value) -> Op {
    let mut whole: Value = serde_json::from_str(sent).unwrap();
    whole.as_object_mut().unwrap().extend(generated.as_object().unwrap().clone());
    let op = Op::read(parse(whole.to_string().as_bytes()).unwrap()).unwrap();
    assert_eq!(op.generated(), [""; 0], "{sent}: every generated member is filled in");
    op
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn members(body: &Body, salt: &Salt) -> Vec<Value> {
    let members = body.members().map(|(name, value)| {
        let member_salt = salt.of_member(&name);
        let m = member_commitment(&member_salt, &name, value.as_bytes());
        json!({"name": name, "salt": member_salt.to_string(), "value": value, "m": m.to_string()})
    });
    members.collect()
}

/// The body of what an op records at a time, over what was recorded before it.
fn recorded(op: &Op, (at, place): (Timestamp, u64), facts: &mut (Vec<ExpectationFact>, Vec<Event>)) -> Body {
    let when = op.received_at().map_or(at, |received| received.min(at));
    match op {
        Op::Expect(op) => facts.0.push(ExpectationFact::new(op.id.clone().unwrap(), op, when)),
        Op::Ack(op) => {
            facts.1.push(Event::ack(op.id.clone().unwrap(), &*op.domain, &*op.action, op.status, when, place));
        }
        Op::SetExpectationStatus(op) => {
            facts.1.push(Event::by_hand(&*op.domain, &*op.action, op.status, when, place));
        }
        Op::Reconcile(op) => {
            let reconciled = AuditReconciler::new(facts.0.clone(), facts.1.clone()).reconcile(at);
            return VerdictBody { op: op.clone(), verdict: to_json(&reconciled.verdict) }.body();
        }
        _ => {}
    }
    op.body()
}

#[test]
fn the_entries_of_an_audit() {
    let ten: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    let random: [u8; 32] = std::array::from_fn(|at| 0x40 + u8::try_from(at).unwrap());
    let (mut cases, mut facts) = (Vec::new(), (Vec::new(), Vec::new()));
    for (place, (name, seconds, sent, generated)) in (0u64..).zip(entries()) {
        let at = ten.saturating_add(seconds * 1_000_000_000);
        let op = read(sent, &generated);
        let body = recorded(&op, (at, place), &mut facts);
        let salt = Salt::of_entry(&random, place);
        cases.push(json!({
            "name": name,
            "recorded_at": at.to_string(),
            "sent": sent,
            "generated": generated,
            "body": body.as_str(),
            "random": hex(&random),
            "place": place,
            "salt": hex(salt.as_bytes()),
            "members": members(&body, &salt),
            "commit": body.commitment(&salt).to_string(),
        }));
    }
    let about = "the entries of one audited run in their order: an op as sent, with what the ledger generated or the mover \
                 stated → the recorded body (of a verdict, over the entries before it, at its time) → salts, member \
                 commitments and the entry's commitment";
    let text = serde_json::to_string_pretty(&json!({"about": about, "cases": cases})).unwrap() + "\n";
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/audit.json"));
    if std::env::var_os("TRACEKEEP_WRITE_VECTORS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap();
    let differing = stored.lines().zip(text.lines()).find(|(stored, computed)| stored != computed);
    assert!(stored == text, "vectors/audit.json is not what the code computes: {differing:#?}");
}
