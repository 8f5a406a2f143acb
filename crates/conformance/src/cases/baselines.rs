//! Baselines: names that stand for runs that others are held to.

use serde_json::json;
use tracekeep_core::compare::{Obstacle, Verdict};
use tracekeep_core::id::BaselineName;
use tracekeep_core::view::Baseline;
use tracekeep_store::{CompareQuery, block_on};

use crate::context::{Context, walk};
use crate::ops::{baseline, complete, ensure_otlp, erase, run_id, start, step, with};

cases!("baselines":
    a_name_stands_for_a_sealed_run,
    the_latest_fact_on_a_name_counts,
    the_same_again_is_a_duplicate,
    a_run_that_has_not_ended_is_no_baseline,
    an_unknown_run_is_no_baseline,
    names_are_ids_and_reasons_are_bounded,
    names_are_listed_in_the_order_in_which_they_were_set,
    a_baseline_is_an_entry_of_no_run,
    an_erased_baseline_leaves_its_name,
    a_key_answers_a_baseline_again,
    baselines_of_one_batch_follow_each_other,
);

fn name(text: &str) -> BaselineName {
    BaselineName::new(text).expect("a name")
}

fn stands(cx: &Context, text: &str) -> Option<Baseline> {
    block_on(cx.ledger().baseline(&name(text))).expect("readable")
}

fn run_of(cx: &Context, text: &str) -> Option<String> {
    stands(cx, text).map(|baseline| baseline.run_id.to_string())
}

fn ended(cx: &Context, run: &str) {
    cx.record(&[start(run), step(run, 0), complete(run)]);
}

fn a_name_stands_for_a_sealed_run(cx: &mut Context) {
    ended(cx, "r");
    assert_eq!(stands(cx, "agent"), None);
    let said = with(baseline("agent", "r"), json!({"reason": "release 7", "by": "anna"}));
    let receipt = cx.record(&[said]);
    let found = stands(cx, "agent").expect("it was set");
    assert_eq!((found.name.as_str(), found.run_id.as_str()), ("agent", "r"));
    assert_eq!((found.reason.as_deref(), found.by.as_deref()), (Some("release 7"), Some("anna")));
    assert_eq!((found.root_hash, found.behaviour_hash), (cx.run("r").root_hash, cx.run("r").behaviour_hash));
    assert_eq!(found.log_index, receipt.ops[0].log_index);
    assert_eq!(run_of(cx, "Agent"), None, "names are compared byte by byte");
}

fn the_latest_fact_on_a_name_counts(cx: &mut Context) {
    ["a", "b"].iter().for_each(|run| ended(cx, run));
    for run in ["a", "b", "a"] {
        cx.record(&[baseline("agent", run)]);
        assert_eq!(run_of(cx, "agent").as_deref(), Some(run));
    }
    cx.record(&[with(baseline("agent", "a"), json!({"reason": "still"}))]);
    assert_eq!(stands(cx, "agent").and_then(|found| found.reason).as_deref(), Some("still"));
}

fn the_same_again_is_a_duplicate(cx: &mut Context) {
    ["a", "b"].iter().for_each(|run| ended(cx, run));
    let receipt = cx.record(&[baseline("agent", "a")]);
    cx.record(&[baseline("other", "b")]);
    cx.again(&[baseline("agent", "a")], &receipt);
    cx.record(&[baseline("agent", "b"), baseline("agent", "a")]);
    // It stood for something else in between: the first time is over.
    let receipt = cx.send(&[baseline("agent", "a")]).expect("a duplicate");
    assert_eq!(receipt.ops[0].log_index, cx.head().tree_size - 1);
}

fn a_run_that_has_not_ended_is_no_baseline(cx: &mut Context) {
    cx.record(&[start("open"), ensure_otlp("o")]);
    for run in ["open", "o"] {
        let error = cx.refuse(&[baseline("agent", run)], "run_running");
        assert_eq!(error.path(), Some("/ops/0/run_id"));
    }
    cx.record(&[complete("o"), baseline("agent", "o")]);
    assert_eq!(run_of(cx, "agent").as_deref(), Some("o"));
}

fn an_unknown_run_is_no_baseline(cx: &mut Context) {
    cx.refuse(&[baseline("agent", "nobody")], "run_not_found");
    assert_eq!(stands(cx, "agent"), None);
}

fn names_are_ids_and_reasons_are_bounded(cx: &mut Context) {
    ended(cx, "r");
    let longest = "x".repeat(255);
    cx.record(&[baseline("!~/%?#", "r"), baseline(&longest, "r")]);
    assert!(run_of(cx, "!~/%?#").is_some() && run_of(cx, &longest).is_some());
    cx.refuse(&[with(baseline("a", "r"), json!({"reason": ""}))], "invalid_member");
    cx.refuse(&[with(baseline("a", "r"), json!({"reason": "x".repeat(1_025)}))], "too_large");
    cx.refuse(&[with(baseline("a", "r"), json!({"by": ""}))], "invalid_member");
    cx.refuse(&[with(baseline("a", "r"), json!({"by": "x".repeat(257)}))], "too_large");
}

fn names_are_listed_in_the_order_in_which_they_were_set(cx: &mut Context) {
    ended(cx, "r");
    for name in ["c", "a", "b", "d", "a"] {
        let said = format!("{}", cx.head().tree_size);
        cx.record(&[with(baseline(name, "r"), json!({ "reason": said }))]);
    }
    for limit in [1, 2, 3, 4, 100] {
        let ledger = cx.ledger();
        let names: Vec<_> = walk(limit, |page| block_on(ledger.baselines(&page)));
        assert_eq!(names.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["c", "b", "d", "a"]);
    }
    let nowhere = tracekeep_store::PageRequest { limit: 1, cursor: Some("00".to_owned()) };
    assert_eq!(block_on(cx.ledger().baselines(&nowhere)).expect_err("no cursor").code(), "invalid_cursor");
}

fn a_baseline_is_an_entry_of_no_run(cx: &mut Context) {
    ended(cx, "r");
    let entries = cx.run("r").entries;
    let receipt = cx.record(&[baseline("agent", "r")]);
    let event = block_on(cx.ledger().events(receipt.ops[0].log_index, 1)).expect("events").remove(0);
    assert_eq!((event.run.as_str(), event.kind.as_str(), event.seq), ("", "baseline", 0));
    assert_eq!(cx.run("r").entries, entries);
    cx.send_under("k", &[baseline("agent", "r"), baseline("b", "r")]).expect("recorded");
    let last = block_on(cx.ledger().events(cx.head().tree_size - 1, 1)).expect("events").remove(0);
    assert_eq!((last.kind.as_str(), last.seq), ("key", 2));
}

fn an_erased_baseline_leaves_its_name(cx: &mut Context) {
    ["a", "b"].iter().for_each(|run| ended(cx, run));
    let receipt = cx.record(&[baseline("agent", "a")]);
    cx.record(&[erase("a")]);
    let found = stands(cx, "agent").expect("the name stays");
    assert_eq!((found.run_id.as_str(), found.root_hash, found.behaviour_hash), ("a", None, None));
    let compared =
        block_on(cx.ledger().compare(&run_id("a"), &run_id("b"), &CompareQuery::default())).expect("an answer");
    assert_eq!((compared.verdict, compared.a.status), (Verdict::Unverifiable, None));
    let obstacles: Vec<_> =
        compared.obstacles.iter().map(|hindered| (hindered.run_id.as_str(), hindered.reason)).collect();
    assert_eq!(obstacles, [("a", Obstacle::Erased)]);
    // The same again is what it was; nothing new can be held to it.
    cx.again(&[baseline("agent", "a")], &receipt);
    cx.refuse(&[baseline("other", "a")], "erased");
    cx.record(&[baseline("agent", "b")]);
    assert_eq!(run_of(cx, "agent").as_deref(), Some("b"));
}

fn a_key_answers_a_baseline_again(cx: &mut Context) {
    ["a", "b"].iter().for_each(|run| ended(cx, run));
    let first = cx.send_under("k", &[baseline("agent", "a")]).expect("recorded");
    cx.record(&[baseline("agent", "b")]);
    let again = cx.send_under("k", &[baseline("agent", "a")]).expect("a replay");
    assert!(again.replayed && again.ops[0].log_index == first.ops[0].log_index);
    assert_eq!(run_of(cx, "agent").as_deref(), Some("b"), "a replay says nothing new");
    assert_eq!(cx.send_under("k", &[baseline("agent", "b")]).expect_err("another").code(), "key_reused");
    cx.record(&[erase("a")]);
    assert!(cx.send_under("k", &[baseline("agent", "a")]).expect("a replay").replayed);
}

fn baselines_of_one_batch_follow_each_other(cx: &mut Context) {
    ended(cx, "a");
    let batch =
        [start("b"), complete("b"), baseline("x", "b"), baseline("x", "a"), baseline("x", "a"), baseline("y", "b")];
    let receipt = cx.record(&batch);
    let new: Vec<_> = receipt.ops.iter().map(|op| op.outcome == tracekeep_store::Recorded::Recorded).collect();
    assert_eq!(new, [true, true, true, true, false, true]);
    assert_eq!((run_of(cx, "x").as_deref(), run_of(cx, "y").as_deref()), (Some("a"), Some("b")));
    cx.refuse(&[start("c"), baseline("x", "c")], "run_running");
    assert_eq!(run_of(cx, "x").as_deref(), Some("a"));
}
