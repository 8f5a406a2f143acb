//! Comparing the indices with the log, and rebuilding them from it, while the ledger is open.

use serde_json::json;
use tracekeep_store::{PageRequest, Report, TraceFilter, TraceQuery, block_on};

use crate::context::Context;
use crate::ops::{call, child, complete, end, ensure_otlp, run_id, span, start, step, thought, with};

cases!("indices":
    a_sound_run_has_no_findings,
    an_unknown_run_is_not_found,
    rebuilding_changes_no_answer_and_no_cursor,
    the_ledger_goes_on_after_a_rebuild,
    the_whole_ledger_is_compared_where_it_lies,
);

fn filled(cx: &Context) {
    let tagged = |op, n: u32| with(op, json!({"tags": ["x", format!("n{}", n % 3)]}));
    cx.record(&[start("r"), start("s"), ensure_otlp("o"), step("r", 0), step("r", 2)]);
    cx.record(&[tagged(thought("r", "root"), 0), tagged(child("r", "b", "root"), 1), tagged(call("r", "c"), 2)]);
    cx.record(&[span("o", "late", Some("parent")), span("o", "parent", None), thought("s", "other"), end("r", "c")]);
    cx.record(&[step("r", 1), complete("s")]);
}

#[track_caller]
fn clean(report: Result<Report, tracekeep_store::Error>) {
    let report = report.expect("a report");
    assert!(report.is_clean() && report.findings.is_empty(), "{report:?}");
}

fn a_sound_run_has_no_findings(cx: &mut Context) {
    filled(cx);
    let size = cx.head().tree_size;
    for run in ["r", "s", "o"] {
        clean(block_on(cx.ledger().verify_indices(Some(&run_id(run)))));
        for report in [
            block_on(cx.ledger().verify_indices(Some(&run_id(run)))).expect("a report"),
            block_on(cx.ledger().rebuild_indices(Some(&run_id(run)))).expect("a report"),
        ] {
            assert_eq!((report.tree_size, report.root), (size, None), "the log's size, and no root of one run");
        }
    }
}

fn an_unknown_run_is_not_found(cx: &mut Context) {
    filled(cx);
    let nobody = run_id("nobody");
    let ledger = cx.ledger();
    assert_eq!(block_on(ledger.verify_indices(Some(&nobody))).expect_err("unknown").code(), "run_not_found");
    assert_eq!(block_on(ledger.rebuild_indices(Some(&nobody))).expect_err("unknown").code(), "run_not_found");
}

fn rebuilding_changes_no_answer_and_no_cursor(cx: &mut Context) {
    filled(cx);
    let filter = TraceFilter { tags: vec!["x".to_owned()], ..TraceFilter::default() };
    let query = TraceQuery { filter, page: PageRequest::first(1), ..TraceQuery::default() };
    let first = block_on(cx.ledger().traces(&run_id("r"), &query)).expect("a page");
    let (forest, run) = (cx.forest("r"), cx.run("r"));
    clean(block_on(cx.ledger().rebuild_indices(Some(&run_id("r")))));
    assert_eq!((cx.forest("r"), cx.run("r")), (forest, run));
    let next = PageRequest { limit: 9, cursor: first.next_cursor };
    let rest = block_on(cx.ledger().traces(&run_id("r"), &TraceQuery { page: next, ..query })).expect("a page");
    assert_eq!(rest.items.iter().map(|trace| trace.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    for run in ["r", "s", "o"] {
        clean(block_on(cx.ledger().verify_indices(Some(&run_id(run)))));
    }
}

fn the_ledger_goes_on_after_a_rebuild(cx: &mut Context) {
    filled(cx);
    clean(block_on(cx.ledger().rebuild_indices(Some(&run_id("r")))));
    cx.record(&[with(thought("r", "new"), json!({"tags": ["x", "never seen"], "parent_id": "b"})), step("r", 3)]);
    cx.record(&[complete("r")]);
    let found = |tag: &str| cx.fitting("r", TraceFilter { tags: vec![tag.to_owned()], ..TraceFilter::default() });
    assert_eq!(found("x"), ["root", "b", "c", "new"]);
    assert_eq!(found("never seen"), ["new"]);
    clean(block_on(cx.ledger().verify_indices(Some(&run_id("r")))));
}

fn the_whole_ledger_is_compared_where_it_lies(cx: &mut Context) {
    filled(cx);
    let ledger = cx.ledger();
    match block_on(ledger.verify_indices(None)) {
        Ok(report) => {
            let head = cx.head();
            assert_eq!((report.tree_size, report.root), (head.tree_size, Some(head.root)));
            clean(Ok(report));
            clean(block_on(ledger.rebuild_indices(None)));
            clean(block_on(ledger.verify_indices(None)));
        }
        // Over HTTP it is said that it is not done there.
        Err(error) => assert_eq!((error.code(), error.path()), ("invalid_parameter", Some("run"))),
    }
    cx.record(&[thought("r", "after")]);
}
