//! Recomputing a run from the log: what is checked, and how often.

use serde_json::json;
use tracekeep_store::{CheckName, RunReport, block_on};

use crate::context::Context;
use crate::ops::{call, child, complete, end, ensure_otlp, run_id, span, start, step, thought, with};

cases!("verify":
    everything_of_a_sealed_run_is_recomputed,
    a_run_without_seal_is_recomputed_as_far_as_it_goes,
    entries_of_other_runs_in_between_are_left_alone,
    a_run_of_telemetry_with_late_entries_is_sound,
    an_unknown_run_is_not_found,
);

#[track_caller]
fn verify(cx: &Context, run: &str) -> RunReport {
    let report = block_on(cx.ledger().verify_run(&run_id(run))).expect("a report");
    assert!(report.is_clean() && report.is_whole() && report.findings.is_empty(), "{report:?}");
    let head = cx.head();
    assert_eq!((report.tree_size, report.root), (head.tree_size, head.root));
    report
}

/// The counts of the checks, in order.
fn counts(report: &RunReport) -> Vec<u64> {
    assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
    report.checks.iter().map(|check| check.checked).collect()
}

fn everything_of_a_sealed_run_is_recomputed(cx: &mut Context) {
    let rich = json!({"outcome_data": {"a": 1}, "cost_cents": "0.5", "duration_ms": 2.5, "tokens": 4});
    cx.record(&[with(start("r"), json!({"plan": [{"b": 1, "a": 2}]})), with(step("r", 3), rich), step("r", 0)]);
    cx.record(&[call("r", "c"), child("r", "d", "c"), end("r", "c"), complete("r")]);
    let report = verify(cx, "r");
    assert_eq!((report.entries, report.seals), (7, 1));
    assert_eq!(counts(&report), [7, 7, 7, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
    cx.record(&[start("empty"), complete("empty")]);
    assert_eq!(counts(&verify(cx, "empty")), [2, 2, 2, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
}

fn a_run_without_seal_is_recomputed_as_far_as_it_goes(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), thought("r", "t")]);
    let report = verify(cx, "r");
    assert_eq!((report.entries, report.seals), (3, 0));
    assert_eq!(counts(&report), [3, 3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
}

/// More of them than a page of the log and than a tile of the tree.
fn entries_of_other_runs_in_between_are_left_alone(cx: &mut Context) {
    cx.record(&[start("r"), start("other")]);
    for batch in 0..3 {
        cx.record(&(0..600).map(|n| step("other", batch * 600 + n)).collect::<Vec<_>>());
        cx.send_under(&format!("k{batch}"), &[step("r", batch)]).expect("recorded");
    }
    cx.record(&[complete("r"), complete("other")]);
    assert_eq!(counts(&verify(cx, "r"))[..4], [5, 5, 5, 3]);
    assert_eq!(counts(&verify(cx, "other"))[..4], [1_802, 1_802, 1_802, 1_800]);
}

fn a_run_of_telemetry_with_late_entries_is_sound(cx: &mut Context) {
    let open = with(span("o", "s", Some("p")), json!({"status": "open"}));
    cx.record(&[ensure_otlp("o"), open, step("o", 1), complete("o")]);
    cx.record(&[span("o", "p", None), step("o", 0), end("o", "s")]);
    let report = verify(cx, "o");
    assert_eq!((report.entries, report.seals), (7, 1));
}

fn an_unknown_run_is_not_found(cx: &mut Context) {
    let refused = block_on(cx.ledger().verify_run(&run_id("nobody")));
    assert_eq!(refused.expect_err("there is no such run").code(), "run_not_found");
}
