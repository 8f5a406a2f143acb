//! The audit contract over HTTP: routes, contracts by name, what watches deadlines, and what is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracekeep_audit::{Contract, Term};
use tracekeep_conformance::ManualSources;
use tracekeep_server::{App, AuditOptions};
use tracekeep_store::{LedgerStore, MemoryIdempotencyStore, MemoryLedger, Source, block_on};

use crate::Server;
use crate::events::Listener;

const EXPECT: &str =
    r#"{"expectations":[{"id":"e","domain":"incidents","action":"create_incident","deadline_ms":5000}]}"#;
const ACK: &str = r#"{"id":"a","domain":"incidents","action":"create_incident","result_id":"inc-9"}"#;

fn started(audit: AuditOptions) -> Server {
    let server = Server::auditing(Arc::new(MemoryLedger::default()), audit);
    assert_eq!(server.post("/api/v1/runs", r#"{"run_id":"r"}"#).status, 201);
    server
}

fn on(path: &str) -> String {
    format!("/api/v1/runs/r/{path}")
}

fn payments() -> AuditOptions {
    let term = |action: &str| Term {
        domain: "ledger".into(),
        action: action.into(),
        deadline_ms: 5_000,
        optional: false,
        count: 1,
        liveness: false,
    };
    let contract = Contract::new("payments", vec![term("book"), term("report")]).unwrap();
    AuditOptions { contracts: BTreeMap::from([("payments".to_owned(), contract)]), ..AuditOptions::default() }
}

#[test]
fn a_contract_is_declared_acknowledged_and_judged() {
    let server = started(AuditOptions::default());
    assert_eq!(server.post(&on("expectations"), EXPECT).status, 201);
    assert_eq!(server.post(&on("expectations"), EXPECT).status, 200, "the same is a duplicate");
    let verdict = server.post(&on("reconcile"), "{}");
    assert_eq!((verdict.status, verdict.member("status").as_deref()), (200, Some("PENDING")));
    let listed = server.get(&on("expectations")).text();
    assert!(listed.contains(r#""status":"PENDING""#), "{listed}");
    let acked = server.post(&on("acks"), ACK);
    assert_eq!((acked.status, acked.member("id").as_deref()), (201, Some("a")));
    let verdict = server.send("POST", &on("reconcile"), &[], b"");
    assert_eq!((verdict.status, verdict.member("status").as_deref()), (200, Some("COMPLETE")));
    let audit = server.get(&on("audit"));
    assert_eq!((audit.member("open").as_deref(), audit.member("watched").as_deref()), (Some("0"), Some("true")));
    let by_hand = r#"{"domain":"incidents","action":"create_incident","status":"FAILED"}"#;
    assert_eq!(server.post(&on("expectations/status"), by_hand).status, 201);
    assert!(server.get("/api/v1/audit/pending").text().contains(r#""run_id":"r""#));
    assert_eq!(server.send("DELETE", &on("audit"), &[], b"").status, 200);
    assert!(server.get("/api/v1/audit/pending").text().contains(r#""items":[]"#));
    assert!(server.get(&on("acks")).text().contains(r#""result_id":"inc-9""#));
}

#[test]
fn a_verdict_is_replayed_under_its_key() {
    let server = started(AuditOptions::default());
    server.post(&on("expectations"), EXPECT);
    let key = [("idempotency-key", "k")];
    let first = server.send("POST", &on("reconcile"), &key, b"");
    server.post(&on("acks"), ACK);
    let again = server.send("POST", &on("reconcile"), &key, b"");
    assert_eq!((first.text(), again.header("idempotency-replayed")), (again.text(), Some("true")));
}

#[test]
fn a_contract_is_declared_by_its_name() {
    let server = started(payments());
    let receipt = server.post(&on("expectations"), r#"{"contract":"payments"}"#);
    assert_eq!(receipt.status, 201);
    assert!(receipt.text().contains(r#""id":"payments-0""#) && receipt.text().contains(r#""id":"payments-1""#));
    assert_eq!(server.post(&on("expectations"), r#"{"contract":"payments"}"#).status, 200);
    assert_eq!(server.post(&on("expectations"), r#"{"contract":"standard"}"#).status, 201);
    server.post(&on("expectations"), r#"{"contract":"other"}"#).refused(404, "contract_not_found", None);
}

#[test]
fn a_contract_is_declared_with_the_start_of_a_run_in_one_batch() {
    let server = started(payments());
    let start = |body: &str| server.post("/api/v1/runs", body);
    start(r#"{"run_id":"c","contract":"other"}"#).refused(404, "contract_not_found", None);
    assert_eq!(server.get("/api/v1/runs/c").status, 404, "all or nothing");
    start(r#"{"contract":"payments"}"#).refused(400, "missing_member", Some("/run_id"));
    start(r#"{"run_id":"c","contract":7}"#).refused(400, "invalid_member", Some("/contract"));
    let begun = start(r#"{"run_id":"c","contract":"payments"}"#);
    assert!(begun.status == 201 && begun.text().contains(r#""run_id":"c""#), "{}", begun.text());
    assert!(server.get("/api/v1/runs/c/audit").text().contains(r#""expectations":2"#));
    assert_eq!(start(r#"{"run_id":"c","contract":"payments"}"#).status, 200);
    let off = started(AuditOptions { is_on: false, ..AuditOptions::default() });
    off.post("/api/v1/runs", r#"{"run_id":"c","contract":"standard"}"#).refused(503, "audit_off", None);
}

#[test]
fn what_declares_nothing_is_refused_with_its_place() {
    let server = started(payments());
    let post = |body: &str| server.post(&on("expectations"), body);
    post("{}").refused(400, "missing_member", Some("/expectations"));
    post("[]").refused(400, "invalid_member", None);
    post(r#"{"expectations":[]}"#).refused(400, "too_many", Some("/expectations"));
    post(r#"{"expectations":{}}"#).refused(400, "invalid_member", Some("/expectations"));
    post(r#"{"expectations":[{}],"contract":"payments"}"#).refused(400, "invalid_member", Some("/contract"));
    post(r#"{"expectations":[{"domain":"d","action":"a"}]}"#).refused(
        400,
        "missing_member",
        Some("/expectations/0/deadline_ms"),
    );
    let some = |last: &str| {
        let first = r#"{"domain":"d","action":"a","deadline_ms":5}"#;
        post(&format!(r#"{{"expectations":[{first},{{"domain":"d","action":"b",{last}}}]}}"#))
    };
    some(r#""deadline_ms":0"#).refused(400, "number_out_of_range", Some("/expectations/1/deadline_ms"));
    some(r#""deadline_ms":5,"count":0"#).refused(400, "number_out_of_range", Some("/expectations/1/count"));
    let unknown = server.post("/api/v1/runs/q/expectations", r#"{"contract":"standard"}"#);
    unknown.refused(404, "run_not_found", Some("/run_id"));
    post(r#"{"expectations":[{"run_id":"s","domain":"d","action":"a","deadline_ms":5}]}"#).refused(
        400,
        "unknown_member",
        Some("/expectations/0"),
    );
    server.post(&on("reconcile"), r#"{"now":1}"#).refused(400, "unknown_member", Some("/now"));
    server.post(&on("reconcile"), "{}").refused(404, "expectation_not_found", Some("/run_id"));
    server.post("/api/v1/runs/q/reconcile", "{}").refused(404, "run_not_found", Some("/run_id"));
    for (before, count) in [("9999-12-31T23:59:59Z", 1), ("0001-01-01T00:00:00Z", 0)] {
        post(r#"{"expectations":[{"id":"e","domain":"d","action":"a","deadline_ms":600000}]}"#);
        let due = server.get(&format!("/api/v1/audit/due?before={before}"));
        assert_eq!((due.status, due.text().matches("run_id").count()), (200, count), "a bound is clamped");
    }
    server.get("/api/v1/audit/due?before=then").refused(400, "invalid_parameter", Some("before"));
    let foreign = [("origin", "https://elsewhere.example")];
    server.send("DELETE", &on("audit"), &foreign, b"").refused(403, "forbidden_host", None);
}

#[test]
fn where_the_audit_is_off_its_routes_say_so() {
    let server = started(AuditOptions { is_on: false, ..AuditOptions::default() });
    for path in
        [on("audit"), on("acks"), on("expectations"), "/api/v1/audit/pending".into(), "/api/v1/audit/due".into()]
    {
        server.get(&path).refused(503, "audit_off", None);
    }
    for path in ["expectations", "acks", "reconcile", "expectations/status"] {
        let answer = server.post(&on(path), "{}");
        assert_eq!(answer.header("retry-after"), None, "asking again will not help");
        answer.refused(503, "audit_off", None);
    }
    server.send("DELETE", &on("audit"), &[], b"").refused(503, "audit_off", None);
}

#[test]
fn what_is_overdue_is_judged_without_being_asked_for_and_told() {
    let server = started(AuditOptions { sweep_every: Some(Duration::from_millis(1)), ..AuditOptions::default() });
    let mut listener = Listener::connect(&server, None);
    let body = r#"{"expectations":[{"domain":"d\"\n","action":"a","deadline_ms":1}]}"#;
    assert_eq!(server.post(&on("expectations"), body).status, 201);
    while !listener.next().1.contains(r#""kind":"verdict""#) {}
    assert_eq!(server.get(&on("audit")).member("due"), None);
    let metrics = server.get("/metrics").text();
    for line in [
        r#"tracekeep_audit_reconciliations_total{status="INCOMPLETE"} 1"#,
        r#"tracekeep_audit_missing_total{domain="d__",action="a"} 1"#,
        "tracekeep_audit_stale_runs_total 0",
    ] {
        assert!(metrics.contains(line), "{line} is in\n{metrics}");
    }
}

/// The earlier store had no deadlines at all: a run was stale from its first second on, or never.
#[test]
fn two_servers_that_watch_one_ledger_record_one_verdict_at_the_deadline_and_not_before() {
    let sources = ManualSources::default();
    let ledger: Arc<dyn LedgerStore> = Arc::new(MemoryLedger::new(Source::new(sources.clone())));
    let app = || {
        let audit = AuditOptions { clock: Source::new(sources.clone()), ..AuditOptions::default() };
        App::new(Arc::clone(&ledger), Arc::new(MemoryIdempotencyStore::default()), None).auditing(audit)
    };
    let (one, other) = (app(), app());
    let ops = r#"{"ops":[{"op":"start_run","run_id":"r"},{"op":"expect","run_id":"r","domain":"orchestrator",
                 "action":"finalize_run","deadline_ms":5}]}"#;
    let tracekeep_core::json::Value::Object(ops) = tracekeep_core::json::parse(ops.as_bytes()).unwrap() else {
        panic!()
    };
    let batch = tracekeep_store::Batch::read(ops).unwrap();
    block_on(ledger.commit(vec![batch])).remove(0).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let sweep = || runtime.block_on(async { tokio::join!(one.sweep(), other.sweep()) });
    sources.advance(5_000_000);
    let (first, second) = sweep();
    assert_eq!((first.unwrap(), second.unwrap()), (0, 0), "at its deadline it is still in time");
    sources.advance(1);
    let (first, second) = sweep();
    assert!(first.unwrap() + second.unwrap() >= 1);
    assert_eq!(block_on(ledger.head()).unwrap().tree_size, 3);
    let run = "r".parse().unwrap();
    let verdict = block_on(ledger.audit(&run)).unwrap().verdict.unwrap();
    assert_eq!(verdict.status.as_str(), "STALE");
}
