//! Erasing a run: its content goes, what proves it stays.

use serde_json::json;
use tracekeep_core::limits::REASON_BYTES_MAX;
use tracekeep_core::merkle::{verify_consistency, verify_inclusion};
use tracekeep_core::view::{Erasure, LogEntry};
use tracekeep_store::{
    CountsQuery, Error, ErrorKind, Order, PageRequest, Recorded, RunFilter, RunQuery, Sources, TraceFilter, TraceQuery,
    TreeQuery, block_on,
};

use crate::context::Context;
use crate::ops::{
    call, child, complete, end, ensure_otlp, erase, hold, run_id, span, start, step, thought, trace_id, with,
};

cases!("erase":
    every_entry_in_front_of_the_redaction_loses_its_content,
    what_went_is_in_the_redaction,
    reads_of_an_erased_run_carry_the_redaction,
    lists_and_counts_pass_over_it,
    its_id_is_never_free_again,
    erasing_again_is_a_duplicate_whatever_the_reason,
    a_running_run_is_not_erased,
    an_unknown_run_is_not_erased,
    proofs_given_before_still_verify,
    other_runs_keep_what_they_share_with_it,
    a_telemetry_run_with_late_parents_is_erased_whole,
    words_of_an_erased_run_are_found_no_more,
    the_key_of_an_erased_batch_answers_erased,
    the_key_of_an_erasure_answers_it_again,
    a_run_can_come_and_go_in_one_batch,
    one_refusal_in_a_batch_keeps_the_run,
    a_reason_is_demanded_and_bounded,
    an_erased_run_is_verified_and_rebuilt,
    a_rebuilt_ledger_knows_what_was_erased,
);

/// A run with an entry of every kind, ended; and another beside it.
fn filled(cx: &Context) {
    cx.record(&[with(start("r"), json!({"tags": ["prod", "x"], "agent_id": "planner"})), start("s")]);
    cx.record(&[step("r", 0), step("r", 2), with(thought("r", "a"), json!({"tags": ["x", "only-r"]}))]);
    cx.record(&[child("r", "b", "a"), call("r", "c"), end("r", "c"), with(thought("s", "a"), json!({"tags": ["x"]}))]);
    cx.record(&[step("s", 0), step("r", 1), complete("r")]);
}

fn entries(cx: &Context) -> Vec<LogEntry> {
    block_on(cx.ledger().entries(0, 1_000)).expect("the log is readable")
}

fn of_run(cx: &Context, run: &str) -> Vec<LogEntry> {
    let own = |entry: &LogEntry| crate::dump::leaf_members(entry)["run"] == run;
    entries(cx).into_iter().filter(own).collect()
}

fn every_entry_in_front_of_the_redaction_loses_its_content(cx: &mut Context) {
    filled(cx);
    let before = of_run(cx, "r");
    assert!(before.iter().all(|entry| entry.body.is_some() && entry.salt.is_some()));
    let receipt = cx.record(&[erase("r")]);
    let after = of_run(cx, "r");
    assert_eq!(after.len(), before.len() + 1);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&after.leaf, after.leaf_hash), (&before.leaf, before.leaf_hash), "the leaf stays");
        assert_eq!((&after.body, &after.salt), (&None, &None));
    }
    let last = after.last().expect("the redaction");
    assert_eq!(last.log_index, receipt.ops[0].log_index);
    assert!(last.body.is_some() && of_run(cx, "s").iter().all(|entry| entry.body.is_some()));
}

fn what_went_is_in_the_redaction(cx: &mut Context) {
    filled(cx);
    let entries = of_run(cx, "r").len();
    cx.record(&[with(erase("r"), json!({"by": "ops"}))]);
    let redaction = of_run(cx, "r").pop().expect("the redaction");
    let body = redaction.body.expect("a body");
    let wanted = json!({
        "op": "erase_run", "run_id": "r", "reason": "asked for", "by": "ops", "entries": entries, "steps": 3, "traces": 3,
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(body.as_str()).expect("JSON"), wanted);
    assert_eq!(
        crate::dump::leaf_members(&block_on(cx.ledger().entries(redaction.log_index, 1)).expect("it")[0])["kind"],
        "redaction"
    );
}

fn gone(cx: &Context, error: Error) -> Erasure {
    assert_eq!((error.code(), error.kind()), ("run_erased", ErrorKind::Gone), "{error:?}");
    let redaction = error.redaction().expect("the redaction").clone();
    assert_eq!(redaction.log_index, of_run(cx, "r").last().expect("entries").log_index);
    redaction
}

fn reads_of_an_erased_run_carry_the_redaction(cx: &mut Context) {
    filled(cx);
    cx.sources.advance(5_000_000_000);
    let at = cx.sources.now();
    cx.record(&[with(erase("r"), json!({"by": "ops"}))]);
    let (ledger, r) = (cx.ledger(), run_id("r"));
    let page = PageRequest::first(10);
    let errors = [
        block_on(ledger.run(&r)).expect_err("a run"),
        block_on(ledger.step(&r, 0)).expect_err("a step"),
        block_on(ledger.step(&r, 77)).expect_err("a step that never was"),
        block_on(ledger.steps(&r, &page)).expect_err("steps"),
        block_on(ledger.trace(&r, &trace_id("a"))).expect_err("a trace"),
        block_on(ledger.traces(&r, &TraceQuery::default())).expect_err("traces"),
        block_on(ledger.trace_counts(&r, &CountsQuery::default())).expect_err("counts"),
        block_on(ledger.tree(&r, &TreeQuery::default())).expect_err("a tree"),
    ];
    for error in errors {
        let redaction = gone(cx, error);
        assert_eq!((redaction.reason.as_str(), redaction.by.as_deref()), ("asked for", Some("ops")));
        assert_eq!(redaction.recorded_at, at);
    }
}

fn lists_and_counts_pass_over_it(cx: &mut Context) {
    filled(cx);
    let first = RunQuery { order: Order::Oldest, page: PageRequest::first(1), ..RunQuery::default() };
    let cursor = block_on(cx.ledger().runs(&first)).expect("a page").next_cursor;
    cx.record(&[erase("r")]);
    for filter in [
        RunFilter::default(),
        RunFilter { tag: Some("prod".to_owned()), ..RunFilter::default() },
        RunFilter { agent: Some("planner".to_owned()), ..RunFilter::default() },
    ] {
        let wanted: &[&str] = if filter == RunFilter::default() { &["s"] } else { &[] };
        assert_eq!(cx.run_ids(&RunQuery { filter, ..RunQuery::default() }, 10), wanted);
    }
    // A walk that began before goes on.
    let next = RunQuery { page: PageRequest { limit: 1, cursor }, ..first };
    let rest = block_on(cx.ledger().runs(&next)).expect("a page");
    assert_eq!(rest.items.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), ["s"]);
}

fn its_id_is_never_free_again(cx: &mut Context) {
    filled(cx);
    cx.record(&[erase("r")]);
    let ops = [
        start("r"),
        ensure_otlp("r"),
        json!({"op": "describe_run", "run_id": "r", "topic": "root"}),
        step("r", 0),
        step("r", 9),
        thought("r", "a"),
        thought("r", "new"),
        end("r", "a"),
        complete("r"),
        hold("r"),
        crate::ops::release("r"),
    ];
    for op in ops {
        let error = cx.refuse(std::slice::from_ref(&op), "erased");
        assert_eq!((error.kind(), error.path()), (ErrorKind::Conflict, Some("/ops/0/run_id")), "{op}");
    }
}

fn erasing_again_is_a_duplicate_whatever_the_reason(cx: &mut Context) {
    filled(cx);
    let receipt = cx.record(&[erase("r")]);
    cx.record(&[step("s", 1)]);
    cx.again(&[erase("r")], &receipt);
    cx.again(&[with(erase("r"), json!({"reason": "another", "by": "somebody"}))], &receipt);
}

fn a_running_run_is_not_erased(cx: &mut Context) {
    cx.record(&[start("r"), ensure_otlp("o"), span("o", "a", None)]);
    cx.refuse(&[erase("r")], "run_running");
    cx.refuse(&[erase("o")], "run_running");
    cx.record(&[complete("r"), complete("o")]);
    cx.record(&[erase("r"), erase("o")]);
}

fn an_unknown_run_is_not_erased(cx: &mut Context) {
    let error = cx.refuse(&[erase("nobody")], "run_not_found");
    assert_eq!(error.path(), Some("/ops/0/run_id"));
}

fn proofs_given_before_still_verify(cx: &mut Context) {
    filled(cx);
    let before = cx.head();
    let ledger = cx.ledger();
    let proof = |at| block_on(ledger.inclusion(at, Some(before.tree_size))).expect("a proof");
    let given: Vec<_> = (0..before.tree_size).map(proof).collect();
    cx.record(&[erase("r")]);
    for (at, given) in (0u64..).zip(&given) {
        assert_eq!(proof(at), *given, "the same proof is given again");
        verify_inclusion(&given.leaf_hash, at, given.tree_size, &given.hashes, &before.root).expect("it holds");
        let now = block_on(ledger.inclusion(at, None)).expect("a proof");
        verify_inclusion(&now.leaf_hash, at, now.tree_size, &now.hashes, &cx.head().root).expect("it holds");
    }
    let extends = block_on(ledger.consistency(before.tree_size, None)).expect("a proof");
    assert_eq!((extends.from_root, extends.to_root), (before.root, cx.head().root));
    verify_consistency(extends.from, &before.root, extends.to, &extends.to_root, &extends.hashes).expect("it holds");
}

fn other_runs_keep_what_they_share_with_it(cx: &mut Context) {
    filled(cx);
    let (run, forest) = (cx.run("s"), cx.forest("s"));
    cx.record(&[erase("r")]);
    assert_eq!((cx.run("s"), cx.forest("s")), (run, forest));
    let found = |tag: &str| cx.fitting("s", TraceFilter { tags: vec![tag.to_owned()], ..TraceFilter::default() });
    assert_eq!(found("x"), ["a"]);
    // A name that went with the run comes again.
    cx.record(&[with(thought("s", "b"), json!({"tags": ["only-r", "x"]})), start("t")]);
    assert_eq!(found("only-r"), ["b"]);
    assert_eq!(found("x"), ["a", "b"]);
}

fn a_telemetry_run_with_late_parents_is_erased_whole(cx: &mut Context) {
    let tagged = |op, tag: &str| with(op, json!({"tags": [tag]}));
    cx.record(&[ensure_otlp("o"), json!({"op": "describe_run", "run_id": "o", "topic": "root", "agent_id": "a"})]);
    cx.record(&[span("o", "b", Some("a")), span("o", "a", None), tagged(span("o", "c", Some("never")), "once")]);
    let time = |n: u32| format!("2026-01-01T00:00:0{n}Z");
    let open = with(span("o", "d", None), json!({"occurred_at": time(1)}));
    let closed =
        with(open.clone(), json!({"ended_at": time(2), "tags": ["closed"], "otel": {"spanId": "d", "end": 2}}));
    cx.record(&[tagged(open, "open")]);
    cx.record(&[closed, complete("o"), span("o", "late", Some("a"))]);
    cx.record(&[erase("o")]);
    assert!(of_run(cx, "o").iter().rev().skip(1).all(|entry| entry.body.is_none()));
    cx.refuse(&[ensure_otlp("o"), span("o", "later", None)], "erased");
}

fn words_of_an_erased_run_are_found_no_more(cx: &mut Context) {
    filled(cx);
    let search = |cx: &Context, run: &str, text: &str| {
        cx.fitting(run, TraceFilter { text: Some(text.to_owned()), ..TraceFilter::default() })
    };
    assert_eq!(search(cx, "r", "web_search"), ["c"]);
    assert_eq!(search(cx, "s", "a"), ["a"]);
    // The index has seen all of r but this end and this trace.
    cx.record(&[with(thought("s", "b"), json!({"trace_type": {"type": "Thought", "content": "lisbon"}}))]);
    cx.record(&[erase("r")]);
    assert_eq!(search(cx, "s", "lisbon"), ["b"]);
    assert_eq!(search(cx, "s", "a"), ["a"]);
}

fn the_key_of_an_erased_batch_answers_erased(cx: &mut Context) {
    let batch = [start("r"), step("r", 0), complete("r")];
    cx.send_under("k", &batch).expect("recorded");
    cx.record(&[erase("r")]);
    let error = cx.send_under("k", &batch).expect_err("what it recorded is gone");
    assert_eq!((error.code(), error.path()), ("erased", Some("/ops/0")));
}

fn the_key_of_an_erasure_answers_it_again(cx: &mut Context) {
    filled(cx);
    let first = cx.send_under("k", &[erase("r")]).expect("recorded");
    let again = cx.send_under("k", &[erase("r")]).expect("the same");
    assert_eq!(
        (again.outcome, again.replayed, &again.ops[0].log_index),
        (Recorded::Duplicate, true, &first.ops[0].log_index)
    );
    let other = cx.send_under("k", &[with(erase("r"), json!({"reason": "other"}))]).expect_err("another request");
    assert_eq!(other.code(), "key_reused");
    // Under a key of its own, the first erasure wins.
    let other = with(erase("r"), json!({"reason": "other"}));
    cx.send_under("k2", std::slice::from_ref(&other)).expect("a duplicate");
    assert!(cx.send_under("k2", std::slice::from_ref(&other)).expect("a duplicate").replayed);
}

fn a_run_can_come_and_go_in_one_batch(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), thought("r", "a"), complete("r"), erase("r"), start("s")]);
    assert_eq!(of_run(cx, "r").iter().filter(|entry| entry.body.is_some()).count(), 1);
    cx.refuse(&[start("q"), complete("q"), erase("q"), step("q", 0)], "erased");
    let tagged = with(start("q"), json!({"tags": ["kept"]}));
    cx.record(&[json!({"op": "hold", "tag": "kept", "reason": "a case"})]);
    cx.refuse(&[tagged, complete("q"), erase("q")], "held");
}

fn one_refusal_in_a_batch_keeps_the_run(cx: &mut Context) {
    filled(cx);
    let before = cx.run("r");
    cx.refuse(&[erase("r"), step("nobody", 0)], "run_not_found");
    assert_eq!(cx.run("r"), before);
    assert!(of_run(cx, "r").iter().all(|entry| entry.body.is_some()));
}

fn a_reason_is_demanded_and_bounded(cx: &mut Context) {
    filled(cx);
    let reason = |length: usize| with(erase("r"), json!({"reason": "x".repeat(length)}));
    let error = cx.refuse(&[reason(0)], "invalid_member");
    assert_eq!(error.path(), Some("/ops/0/reason"));
    cx.refuse(&[reason(REASON_BYTES_MAX as usize + 1)], "too_large");
    cx.refuse(&[with(erase("r"), json!({"by": ""}))], "invalid_member");
    cx.refuse(&[with(erase("r"), json!({"by": "x".repeat(257)}))], "too_large");
    cx.record(&[reason(REASON_BYTES_MAX as usize)]);
}

fn an_erased_run_is_verified_and_rebuilt(cx: &mut Context) {
    filled(cx);
    cx.record(&[erase("r"), step("s", 1)]);
    let ledger = cx.ledger();
    for run in ["r", "s"] {
        let report = block_on(ledger.verify_indices(Some(&run_id(run)))).expect("a report");
        assert!(report.is_clean(), "{report:?}");
        let report = block_on(ledger.rebuild_indices(Some(&run_id(run)))).expect("a report");
        assert!(report.is_clean(), "{report:?}");
    }
    gone(cx, block_on(ledger.run(&run_id("r"))).expect_err("erased"));
    cx.record(&[step("s", 2)]);
}

fn a_rebuilt_ledger_knows_what_was_erased(cx: &mut Context) {
    filled(cx);
    cx.record(&[erase("r"), hold("s")]);
    match block_on(cx.ledger().rebuild_indices(None)) {
        Ok(report) => assert!(report.is_clean(), "{report:?}"),
        Err(error) => assert_eq!(error.code(), "invalid_parameter", "over HTTP it is not done"),
    }
    gone(cx, block_on(cx.ledger().run(&run_id("r"))).expect_err("erased"));
    cx.refuse(&[start("r")], "erased");
    cx.record(&[complete("s")]);
    cx.refuse(&[erase("s")], "held");
}
