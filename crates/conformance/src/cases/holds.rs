//! Legal holds: on a run, and on every run with a tag.

use serde_json::json;
use tracekeep_core::limits::TAG_BYTES_MAX;
use tracekeep_store::{ErrorKind, Order, RunQuery, block_on};

use crate::context::Context;
use crate::ops::{complete, erase, hold, hold_tag, release, release_tag, start, step, with};

cases!("holds":
    a_held_run_is_not_erased,
    a_tag_holds_every_run_that_carries_it,
    a_run_says_that_it_is_held,
    holding_again_is_a_duplicate,
    another_reason_under_a_hold_is_a_conflict,
    letting_go_again_is_a_duplicate_whatever_the_reason,
    what_was_let_go_of_can_be_held_again,
    what_was_never_held_cannot_be_let_go_of,
    a_hold_names_a_run_or_a_tag,
    a_hold_on_an_unknown_run_is_refused,
    holds_of_one_batch_follow_each_other,
    a_hold_may_follow_the_seal,
    holds_on_tags_are_entries_of_no_run,
    a_key_answers_a_hold_again,
);

fn ended(cx: &Context, run: &str, tags: &[&str]) {
    cx.record(&[with(start(run), json!({"tags": tags})), step(run, 0), complete(run)]);
}

fn a_held_run_is_not_erased(cx: &mut Context) {
    ended(cx, "r", &[]);
    ended(cx, "s", &[]);
    let receipt = cx.record(&[hold("r")]);
    let error = cx.refuse(&[erase("r")], "held");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.detail().contains(&format!("log index {}", receipt.ops[0].log_index)), "{error}");
    cx.record(&[erase("s")]);
    cx.record(&[release("r")]);
    cx.record(&[erase("r")]);
}

fn a_tag_holds_every_run_that_carries_it(cx: &mut Context) {
    ended(cx, "r", &["a", "b"]);
    ended(cx, "s", &["b"]);
    ended(cx, "t", &["c"]);
    cx.record(&[hold_tag("b")]);
    let error = cx.refuse(&[erase("r")], "held");
    assert!(error.detail().contains("tag b"), "{error}");
    cx.refuse(&[erase("s")], "held");
    cx.record(&[erase("t")]);
    ended(cx, "later", &["b"]);
    cx.refuse(&[erase("later")], "held");
    // A run held by itself, too, is let go of by both.
    cx.record(&[hold("r"), release_tag("b")]);
    cx.record(&[erase("s")]);
    cx.refuse(&[erase("r")], "held");
    cx.record(&[release("r"), erase("r"), erase("later")]);
}

fn a_run_says_that_it_is_held(cx: &mut Context) {
    ended(cx, "r", &["a", "b"]);
    ended(cx, "s", &["b"]);
    ended(cx, "t", &[]);
    // What is held altogether is little first, then more than is read at once.
    for others in [0, 70] {
        let tags: Vec<_> = (0..others).map(|number| hold_tag(&format!("other-{number}"))).collect();
        if !tags.is_empty() {
            cx.record(&tags);
        }
        held(cx, []);
        cx.record(&[hold("r")]);
        held(cx, ["r"]);
        cx.record(&[hold_tag("b")]);
        held(cx, ["r", "s"]);
        cx.record(&[release("r"), hold_tag("t")]);
        held(cx, ["r", "s"]);
        cx.record(&[release_tag("b")]);
        held(cx, []);
    }
}

#[track_caller]
fn held<const N: usize>(cx: &Context, expected: [&str; N]) {
    let query = RunQuery { order: Order::Oldest, ..RunQuery::default() };
    let listed = block_on(cx.ledger().runs(&query)).expect("runs").items;
    for run in &listed {
        assert_eq!(cx.run(run.run_id.as_str()).held, run.held, "{}", run.run_id);
    }
    let held: Vec<_> = listed.iter().filter(|run| run.held).map(|run| run.run_id.as_str()).collect();
    assert_eq!(held, expected);
}

fn holding_again_is_a_duplicate(cx: &mut Context) {
    ended(cx, "r", &["a"]);
    let receipt = cx.record(&[hold("r"), hold_tag("a")]);
    cx.record(&[start("s")]);
    cx.again(&[hold("r"), hold_tag("a")], &receipt);
}

fn another_reason_under_a_hold_is_a_conflict(cx: &mut Context) {
    ended(cx, "r", &["a"]);
    cx.record(&[with(hold("r"), json!({"by": "legal"})), hold_tag("a")]);
    cx.conflict(&[with(hold("r"), json!({"by": "legal", "reason": "another"}))], &["reason"]);
    cx.conflict(&[hold("r")], &["by"]);
    cx.conflict(&[with(hold_tag("a"), json!({"reason": "another"}))], &["reason"]);
}

fn letting_go_again_is_a_duplicate_whatever_the_reason(cx: &mut Context) {
    ended(cx, "r", &["a"]);
    cx.record(&[hold("r"), hold_tag("a")]);
    let receipt = cx.record(&[release("r"), release_tag("a")]);
    cx.again(&[release("r"), release_tag("a")], &receipt);
    let other = |op| with(op, json!({"reason": "another", "by": "somebody"}));
    cx.again(&[other(release("r")), other(release_tag("a"))], &receipt);
}

fn what_was_let_go_of_can_be_held_again(cx: &mut Context) {
    ended(cx, "r", &["a"]);
    for op in [hold("r"), release("r"), hold("r"), hold_tag("a"), release_tag("a"), hold_tag("a")] {
        cx.record(&[op]);
    }
    cx.record(&[release("r")]);
    cx.refuse(&[erase("r")], "held");
    cx.record(&[release_tag("a")]);
    cx.record(&[erase("r")]);
}

fn what_was_never_held_cannot_be_let_go_of(cx: &mut Context) {
    ended(cx, "r", &["a"]);
    assert_eq!(cx.refuse(&[release("r")], "not_held").kind(), ErrorKind::NotFound);
    cx.refuse(&[release_tag("a")], "not_held");
    cx.record(&[hold_tag("a")]);
    cx.refuse(&[release("r")], "not_held");
}

fn a_hold_names_a_run_or_a_tag(cx: &mut Context) {
    ended(cx, "r", &[]);
    let neither = json!({"op": "hold", "reason": "a case"});
    assert_eq!(cx.refuse(std::slice::from_ref(&neither), "missing_member").path(), Some("/ops/0/run_id"));
    let both = with(hold("r"), json!({"tag": "a"}));
    assert_eq!(cx.refuse(std::slice::from_ref(&both), "invalid_member").path(), Some("/ops/0/tag"));
    cx.refuse(&[hold_tag("")], "invalid_member");
    cx.refuse(&[hold_tag(&"x".repeat(TAG_BYTES_MAX as usize + 1))], "too_large");
    cx.refuse(&[with(hold("r"), json!({"reason": ""}))], "invalid_member");
    cx.refuse(&[with(release("r"), json!({"reason": ""}))], "invalid_member");
    cx.record(&[hold_tag(&"x".repeat(TAG_BYTES_MAX as usize))]);
}

fn a_hold_on_an_unknown_run_is_refused(cx: &mut Context) {
    cx.refuse(&[hold("nobody")], "run_not_found");
    cx.refuse(&[release("nobody")], "run_not_found");
    // A tag that nobody carries yet may be held.
    cx.record(&[hold_tag("nobody's")]);
}

fn holds_of_one_batch_follow_each_other(cx: &mut Context) {
    ended(cx, "r", &["a"]);
    cx.record(&[hold("r"), hold_tag("a"), release("r"), release_tag("a"), erase("r")]);
    ended(cx, "s", &["a"]);
    cx.refuse(&[hold("s"), erase("s")], "held");
    cx.refuse(&[hold_tag("a"), erase("s")], "held");
    let receipt = cx.record(&[hold("s"), hold("s"), release("s"), release("s"), hold("s")]);
    let at: Vec<_> = receipt.ops.iter().map(|op| op.log_index - receipt.ops[0].log_index).collect();
    assert_eq!(at, [0, 0, 1, 1, 2]);
}

fn a_hold_may_follow_the_seal(cx: &mut Context) {
    cx.record(&[start("r"), hold("r"), step("r", 0), complete("r")]);
    let sealed = cx.run("r");
    cx.record(&[release("r"), hold("r")]);
    let after = cx.run("r");
    assert_eq!((after.root_hash, after.run_root, after.seals), (sealed.root_hash, sealed.run_root, 1));
    assert_eq!(after.entries, sealed.entries + 2);
    cx.refuse(&[step("r", 1)], "sealed");
}

fn holds_on_tags_are_entries_of_no_run(cx: &mut Context) {
    cx.send_under("k", &[hold_tag("a"), start("r"), hold_tag("b")]).expect("recorded");
    cx.record(&[release_tag("a"), hold_tag("c")]);
    cx.send_under("k2", &[release_tag("b")]).expect("recorded");
}

fn a_key_answers_a_hold_again(cx: &mut Context) {
    ended(cx, "r", &[]);
    let ops = [hold("r"), release("r")];
    let first = cx.send_under("k", &ops).expect("recorded");
    cx.record(&[hold("r")]);
    let again = cx.send_under("k", &ops).expect("the same");
    assert!(again.replayed);
    assert_eq!(again.ops[1].log_index, first.ops[1].log_index);
}
