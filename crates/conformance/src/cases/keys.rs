//! Idempotency keys of writes.

use serde_json::json;
use tracekeep_store::{Batch, Recorded};

use crate::context::{Context, outcome_aside};
use crate::ops::{call, complete, end, ensure_otlp, key, ops, span, start, step, thought, with};

cases!("keys":
    the_same_batch_under_a_key_is_replayed_with_the_same_ids,
    another_body_under_a_key_is_key_reused,
    another_number_of_ops_under_a_key_is_key_reused,
    a_key_is_one_for_all_runs,
    a_refused_batch_leaves_its_key_free,
    a_key_is_an_entry_of_no_run,
    a_batch_of_duplicates_takes_a_new_key,
    one_batch_under_two_keys,
    every_kind_of_op_is_replayed,
    a_replay_after_the_seal_is_a_replay,
    ops_that_ask_for_less_are_replayed_as_they_were_answered,
    two_batches_of_one_call_under_one_key,
);

fn the_same_batch_under_a_key_is_replayed_with_the_same_ids(cx: &mut Context) {
    let trace = json!({"op": "record_trace", "run_id": "r", "trace_type": {"type": "Thought", "content": "hm"}});
    let batch = [start("r"), trace.clone(), trace, step("r", 0)];
    let first = cx.send_under("k", &batch).expect("recorded");
    assert_eq!((first.outcome, first.replayed, first.tree_size), (Recorded::Recorded, false, 5));
    for reopened in [false, true] {
        if reopened {
            cx.look_reopen_look();
        }
        cx.sources.advance(1_000_000_000);
        let head = cx.head();
        let again = cx.send_under("k", &batch).expect("replayed");
        assert_eq!((again.outcome, again.replayed), (Recorded::Duplicate, true));
        assert_eq!(outcome_aside(again), outcome_aside(first.clone()), "ids, size and root are the first answer's");
        assert_eq!(cx.head(), head);
        cx.record(&[start(if reopened { "after" } else { "between" })]);
    }
    let run = cx.send_under("generated", &[json!({"op": "start_run"})]).expect("recorded");
    let again = cx.send_under("generated", &[json!({"op": "start_run"})]).expect("replayed");
    assert_eq!(outcome_aside(again), outcome_aside(run));
    assert_eq!(cx.run("r").traces, 2);
}

fn another_body_under_a_key_is_key_reused(cx: &mut Context) {
    cx.record(&[start("r")]);
    cx.send_under("k", &[step("r", 0)]).expect("recorded");
    let refuse = |value| cx.refuse_batch(Batch::of(ops(&[value])).under(key("k")), "key_reused");
    assert_eq!(refuse(with(step("r", 0), json!({"status": "failure"}))).path(), Some("/ops/0"));
    refuse(step("r", 1));
    refuse(thought("r", "t"));
    refuse(start("r"));
    refuse(complete("r"));
}

fn another_number_of_ops_under_a_key_is_key_reused(cx: &mut Context) {
    cx.send_under("k", &[start("r"), step("r", 0)]).expect("recorded");
    for batch in [vec![start("r")], vec![start("r"), step("r", 0), step("r", 1)], vec![step("r", 0), start("r")]] {
        cx.refuse_batch(Batch::of(ops(&batch)).under(key("k")), "key_reused");
    }
    cx.refuse_batch(Batch::of(Vec::new()).under(key("k")), "invalid_batch");
}

fn a_key_is_one_for_all_runs(cx: &mut Context) {
    cx.record(&[start("a"), start("b")]);
    let trace =
        |run: &str| json!({"op": "record_trace", "run_id": run, "trace_type": {"type": "Thought", "content": "x"}});
    cx.send_under("k", &[trace("a")]).expect("recorded");
    cx.refuse_batch(Batch::of(ops(&[trace("b")])).under(key("k")), "key_reused");
    cx.refuse_batch(Batch::of(ops(&[start("b")])).under(key("k")), "key_reused");
}

fn a_refused_batch_leaves_its_key_free(cx: &mut Context) {
    cx.refuse_batch(Batch::of(ops(&[start("r"), step("s", 0)])).under(key("k")), "run_not_found");
    let receipt = cx.send_under("k", &[start("r")]).expect("the key is free");
    assert_eq!((receipt.outcome, receipt.replayed, receipt.tree_size), (Recorded::Recorded, false, 2));
}

fn a_key_is_an_entry_of_no_run(cx: &mut Context) {
    cx.send_under("k1", &[start("r")]).expect("recorded");
    cx.send_under("k2", &[step("r", 0)]).expect("recorded");
    let log = tracekeep_store::block_on(cx.ledger().entries(0, 10)).expect("the log");
    let body = |at: usize| log[at].body.as_ref().map(|body| body.as_str());
    assert_eq!(body(1), Some(r#"{"key":"k1","op":"key","ops":[0]}"#));
    assert_eq!(body(3), Some(r#"{"key":"k2","op":"key","ops":[2]}"#));
    for (at, seq) in [(1, "0"), (3, "1")] {
        let leaf = crate::dump::leaf_members(&log[at]);
        assert_eq!((&*leaf["run"], &*leaf["seq"], &*leaf["kind"]), ("", seq, "key"));
    }
    assert_eq!(cx.run("r").entries, 2);
}

fn a_batch_of_duplicates_takes_a_new_key(cx: &mut Context) {
    let original = cx.record(&[start("r"), step("r", 0)]);
    cx.record(&[start("s")]);
    let first = cx.send_under("k", &[start("r"), step("r", 0)]).expect("a duplicate");
    assert_eq!((first.outcome, first.replayed), (Recorded::Duplicate, false));
    assert_eq!(outcome_aside(first.clone()), outcome_aside(original));
    assert_eq!(cx.head().tree_size, 4, "the key is recorded");
    let again = cx.send_under("k", &[start("r"), step("r", 0)]).expect("a replay");
    assert!(again.replayed);
    assert_eq!(outcome_aside(again), outcome_aside(first));
    cx.refuse_batch(Batch::of(ops(&[start("r"), step("r", 1)])).under(key("k")), "key_reused");
}

fn one_batch_under_two_keys(cx: &mut Context) {
    let trace = json!({"op": "record_trace", "run_id": "r", "trace_type": {"type": "Thought", "content": "x"}});
    cx.record(&[start("r")]);
    let a = cx.send_under("a", std::slice::from_ref(&trace)).expect("recorded");
    let b = cx.send_under("b", std::slice::from_ref(&trace)).expect("recorded");
    assert_ne!(a.ops[0].id, b.ops[0].id, "each key is a write of its own");
    assert_eq!(cx.run("r").traces, 2);
    let (a2, b2) = (cx.send_under("a", std::slice::from_ref(&trace)), cx.send_under("b", &[trace]));
    assert_eq!(a2.expect("replayed").ops[0].id, a.ops[0].id);
    assert_eq!(b2.expect("replayed").ops[0].id, b.ops[0].id);
}

fn every_kind_of_op_is_replayed(cx: &mut Context) {
    let open = span("o", "s", None);
    let closed = with(
        open.clone(),
        json!({"ended_at": "2026-01-01T00:00:01Z", "otel": {"end": 1}, "occurred_at": "2026-01-01T00:00:00Z"}),
    );
    let open = with(open, json!({"occurred_at": "2026-01-01T00:00:00Z"}));
    let batches = [
        vec![start("r"), ensure_otlp("o"), json!({"op": "describe_run", "run_id": "o", "topic": "root", "goal": "g"})],
        vec![step("r", 0), call("r", "c"), end("r", "c"), open],
        vec![closed, complete("r")],
    ];
    for (at, batch) in batches.iter().enumerate() {
        let first = cx.send_under(&format!("k{at}"), batch).expect("recorded");
        let again = cx.send_under(&format!("k{at}"), batch).expect("replayed");
        assert!(again.replayed);
        assert_eq!(outcome_aside(again), outcome_aside(first));
    }
}

fn a_replay_after_the_seal_is_a_replay(cx: &mut Context) {
    cx.record(&[start("r")]);
    let first = cx.send_under("k", &[step("r", 0)]).expect("recorded");
    cx.record(&[complete("r")]);
    let again = cx.send_under("k", &[step("r", 0)]).expect("replayed");
    assert_eq!(outcome_aside(again), outcome_aside(first));
    cx.refuse_batch(Batch::of(ops(&[step("r", 1)])).under(key("k2")), "sealed");
}

/// `ensure_run` is a duplicate whatever the run holds, and the first description wins: what such an op was answered with
/// has another body than the op. A retry of the batch under its key is the same request all the same.
fn ops_that_ask_for_less_are_replayed_as_they_were_answered(cx: &mut Context) {
    let described = |goal: &str| json!({"op": "describe_run", "run_id": "r", "topic": "root", "goal": goal});
    cx.record(&[with(start("r"), json!({"source": "otlp"})), described("first")]);
    let batch = [ensure_otlp("r"), described("second"), span("r", "s", None)];
    let first = cx.send_under("k", &batch).expect("recorded");
    let again = cx.send_under("k", &batch).expect("replayed");
    assert!(again.replayed);
    assert_eq!(outcome_aside(again), outcome_aside(first));
    let other = [ensure_otlp("q"), described("second"), span("r", "s", None)];
    cx.refuse_batch(Batch::of(ops(&other)).under(key("k")), "key_reused");
    let own = [ensure_otlp("o"), json!({"op": "describe_run", "run_id": "o", "topic": "root", "goal": "g"})];
    cx.send_under("own", &own).expect("recorded");
    let other = [ensure_otlp("o"), json!({"op": "describe_run", "run_id": "o", "topic": "root", "goal": "h"})];
    cx.refuse_batch(Batch::of(ops(&other)).under(key("own")), "key_reused");
}

fn two_batches_of_one_call_under_one_key(cx: &mut Context) {
    let under = |values: &[serde_json::Value]| Batch::of(ops(values)).under(key("k"));
    let batches = vec![under(&[start("r")]), under(&[start("r")]), under(&[start("s")])];
    let results = tracekeep_store::block_on(cx.ledger().commit(batches));
    let told: Vec<_> = results
        .into_iter()
        .map(|result| result.map(|receipt| (receipt.outcome, receipt.replayed)).map_err(|error| error.code()))
        .collect();
    assert_eq!(told, [Ok((Recorded::Recorded, false)), Ok((Recorded::Duplicate, true)), Err("key_reused")]);
}
