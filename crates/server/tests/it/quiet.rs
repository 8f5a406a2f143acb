//! Telemetry that has been quiet is sealed without anybody asking, and again after late spans.

use std::sync::Arc;
use std::time::Duration;

use tracekeep_conformance::ManualSources;
use tracekeep_server::{App, AuditOptions, SealOptions};
use tracekeep_store::{Batch, LedgerStore, MemoryIdempotencyStore, MemoryLedger, Source, block_on};

const SECOND: i64 = 1_000_000_000;

fn span(run: &str, id: &str, parent: &str, more: &str) -> String {
    format!(
        r#"{{"op":"record_trace","run_id":"{run}","id":"{id}"{parent},"ended_at":"2026-01-01T00:00:05Z",
            "occurred_at":"2026-01-01T00:00:00Z","otel":{{"id":"{id}"}},
            "trace_type":{{"type":"Thought","content":"x"}}{more}}}"#
    )
}

fn record(ledger: &dyn LedgerStore, ops: &[String]) {
    let text = format!(r#"{{"ops":[{}]}}"#, ops.join(","));
    let tracekeep_core::json::Value::Object(ops) = tracekeep_core::json::parse(text.as_bytes()).unwrap() else {
        panic!()
    };
    block_on(ledger.commit(vec![Batch::read(ops).unwrap()])).remove(0).unwrap();
}

#[test]
fn two_servers_seal_a_quiet_run_once_and_again_after_late_spans() {
    let sources = ManualSources::default();
    let ledger: Arc<dyn LedgerStore> = Arc::new(MemoryLedger::new(Source::new(sources.clone())));
    let app = || {
        let audit = AuditOptions { clock: Source::new(sources.clone()), ..AuditOptions::default() };
        let sealing = SealOptions { quiet: Duration::from_secs(30), every: None };
        let gate = Arc::new(MemoryIdempotencyStore::default());
        App::new(Arc::clone(&ledger), gate, None).auditing(audit).sealing_telemetry(sealing)
    };
    let (one, other) = (app(), app());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let seal = || {
        let (one, other) = runtime.block_on(async { tokio::join!(one.seal_quiet(), other.seal_quiet()) });
        one.unwrap() + other.unwrap()
    };
    let ensure = |run: &str| format!(r#"{{"op":"ensure_run","run_id":"{run}","source":"otlp"}}"#);
    let failed = r#","status":"error""#;
    let open =
        r#"{"op":"record_trace","run_id":"going","id":"a","otel":{},"trace_type":{"type":"Thought","content":"x"}}"#;
    record(
        &*ledger,
        &[
            ensure("good"),
            span("good", "root", "", ""),
            span("good", "child", r#","parent_id":"root""#, failed),
            ensure("bad"),
            span("bad", "root", "", failed),
            ensure("going"),
            open.to_owned(),
        ],
    );
    sources.advance(30 * SECOND);
    assert_eq!(seal(), 0, "something came thirty seconds ago, and no more");
    sources.advance(1);
    assert!(seal() >= 2);
    let run = |id: &str| block_on(ledger.run(&id.parse().unwrap())).unwrap().unwrap();
    let shown = |id: &str| (run(id).status.as_str(), run(id).seals);
    assert_eq!([shown("good"), shown("bad"), shown("going")], [("completed", 1), ("failed", 1), ("running", 0)]);
    assert_eq!(run("good").completed_at.unwrap().to_string(), "2026-01-01T00:00:05.000000000Z");
    let size = || block_on(ledger.head()).unwrap().tree_size;
    let before = size();
    sources.advance(100 * SECOND);
    assert_eq!((seal(), size()), (0, before), "nothing came since");
    record(&*ledger, &[span("good", "late", r#","parent_id":"root""#, "")]);
    sources.advance(30 * SECOND + 1);
    assert!(seal() >= 1);
    assert_eq!((shown("good"), size()), (("completed", 2), before + 2));
}
