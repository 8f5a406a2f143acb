//! Batches: all or nothing, first write wins, and what a receipt says.

use serde_json::{Value, json};
use tracekeep_store::{Batch, Recorded, block_on};

use crate::context::{Context, outcome_aside};
use crate::ops::{call, child, complete, end, ops, start, step, thought, with};

cases!("batches":
    the_first_entry_of_an_empty_ledger_is_number_0,
    a_receipt_names_entry_size_root_and_generated_ids,
    law_3_a_bad_op_anywhere_refuses_the_batch_whole,
    new_and_old_together_are_recorded,
    all_old_gives_the_latest_originals_size_and_root,
    equal_ops_inside_one_batch_are_one_record,
    different_ops_of_one_identity_refuse_the_batch,
    a_batch_has_1_to_1000_ops,
    batches_of_one_call_are_decided_in_order_and_alone,
    a_duplicate_gets_the_original_receipt_whatever_came_since,
    ops_of_a_batch_see_the_ones_before_them,
    an_empty_commit_answers_nothing,
    commit_blocking_does_the_same,
);

fn the_first_entry_of_an_empty_ledger_is_number_0(cx: &mut Context) {
    assert_eq!(cx.head().tree_size, 0);
    assert_eq!(cx.head().root, crate::dump::naive_root(&[]), "the root of nothing");
    let receipt = cx.record(&[start("r")]);
    assert_eq!((receipt.tree_size, receipt.ops[0].log_index), (1, 0));
}

fn a_receipt_names_entry_size_root_and_generated_ids(cx: &mut Context) {
    let receipt = cx.record(&[json!({"op": "start_run"})]);
    let run = receipt.ops[0].run_id.clone().expect("an op that starts a run names it");
    assert!(run.as_str().starts_with("run-") && run.as_str().len() == 40, "{run}");
    let trace = json!({"op": "record_trace", "run_id": run.as_str(), "trace_type": {"type": "Thought", "content": ""}});
    let receipt = cx.record(&[trace.clone(), trace, step(run.as_str(), 0)]);
    let ids: Vec<_> = receipt.ops.iter().map(|op| op.id.clone()).collect();
    let (Some(a), Some(b), None) = (&ids[0], &ids[1], &ids[2]) else { panic!("{ids:?}") };
    assert!(a.as_str().starts_with("trace-") && a.as_str().len() == 42 && a != b, "{a} {b}");
    assert!(receipt.ops.iter().all(|op| op.run_id.is_none()), "only a start names its run");
    assert_eq!(receipt.ops.iter().map(|op| op.log_index).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((receipt.tree_size, receipt.root), (4, cx.head().root));
    let log = block_on(cx.ledger().entries(1, 3)).expect("the log");
    for (op, entry) in receipt.ops.iter().zip(&log) {
        assert_eq!(op.leaf_hash, entry.leaf_hash);
    }
}

fn law_3_a_bad_op_anywhere_refuses_the_batch_whole(cx: &mut Context) {
    cx.record(&[start("old"), step("old", 0)]);
    let good = [start("r"), step("r", 0), thought("r", "t"), call("r", "c"), end("r", "c")];
    let bad = [
        (step("old", 1_000_000), "number_out_of_range"),
        (step("unknown", 0), "run_not_found"),
        (with(step("old", 0), json!({"skill_name": "other"})), "conflict"),
        (child("r", "u", "nobody"), "parent_not_found"),
        (end("r", "nobody"), "trace_not_found"),
        (with(step("r", 7), json!({"input_hash": "0".repeat(64)})), "hash_mismatch"),
    ];
    for (op, code) in bad {
        for at in 0..=good.len() {
            let mut batch = good.to_vec();
            batch.insert(at, op.clone());
            // Before the run starts, everything about it is unknown.
            let code = if at == 0 && op["run_id"] == "r" && code != "hash_mismatch" { "run_not_found" } else { code };
            let error = cx.refuse(&batch, code);
            assert!(error.path().is_some_and(|path| path.starts_with(&format!("/ops/{at}"))), "{error:?}");
        }
    }
    assert!(block_on(cx.ledger().run(&crate::ops::run_id("r"))).expect("readable").is_none());
    let receipt = cx.record(&good);
    assert_eq!(receipt.ops[0].log_index, 2, "a refused batch leaves no gap");
}

fn new_and_old_together_are_recorded(cx: &mut Context) {
    let first = cx.record(&[start("r"), step("r", 0)]);
    let mixed = cx.record(&[start("r"), step("r", 1), step("r", 0)]);
    assert_eq!(
        mixed.ops.iter().map(|op| op.outcome).collect::<Vec<_>>(),
        [Recorded::Duplicate, Recorded::Recorded, Recorded::Duplicate]
    );
    assert_eq!(mixed.ops.iter().map(|op| op.log_index).collect::<Vec<_>>(), [0, 2, 1]);
    assert_eq!(mixed.ops[0].leaf_hash, first.ops[0].leaf_hash);
    assert_eq!((mixed.tree_size, mixed.root), (3, cx.head().root));
}

fn all_old_gives_the_latest_originals_size_and_root(cx: &mut Context) {
    let first = cx.record(&[start("r"), step("r", 0)]);
    let second = cx.record(&[step("r", 1), step("r", 2)]);
    cx.record(&[start("other")]);
    let both = cx.send(&[step("r", 1), start("r")]).expect("a duplicate");
    assert_eq!((both.outcome, both.tree_size, both.root), (Recorded::Duplicate, second.tree_size, second.root));
    let one = cx.send(&[start("r")]).expect("a duplicate");
    assert_eq!((one.tree_size, one.root), (first.tree_size, first.root), "the size is its batch's, not its own");
}

fn equal_ops_inside_one_batch_are_one_record(cx: &mut Context) {
    let batch = [start("r"), start("r"), step("r", 0), thought("r", "t"), step("r", 0), thought("r", "t")];
    let receipt = cx.record(&batch);
    assert_eq!(receipt.ops.iter().map(|op| op.log_index).collect::<Vec<_>>(), [0, 0, 1, 2, 1, 2]);
    let recorded: Vec<_> = receipt.ops.iter().map(|op| op.outcome == Recorded::Recorded).collect();
    assert_eq!(recorded, [true, false, true, true, false, false]);
    assert_eq!(receipt.ops[4].leaf_hash, receipt.ops[2].leaf_hash);
    assert_eq!((receipt.tree_size, receipt.root), (3, cx.head().root));
    cx.again(&batch, &receipt);
    let ends = [call("r", "c"), end("r", "c"), end("r", "c"), complete("r"), complete("r"), end("r", "c")];
    let receipt = cx.record(&ends);
    assert_eq!(receipt.ops.iter().map(|op| op.log_index).collect::<Vec<_>>(), [3, 4, 4, 5, 5, 4]);
    cx.again(&ends, &receipt);
}

fn different_ops_of_one_identity_refuse_the_batch(cx: &mut Context) {
    cx.conflict(&[start("r"), with(start("r"), json!({"seed": 7}))], &["seed"]);
    cx.record(&[start("r")]);
    let other = with(step("r", 0), json!({"status": "failure", "params": {}}));
    cx.conflict(&[step("r", 0), other], &["input_hash", "params", "status"]);
    cx.conflict(&[thought("r", "t"), with(thought("r", "t"), json!({"tags": ["x"]}))], &["tags"]);
    cx.conflict(&[call("r", "c"), end("r", "c"), with(end("r", "c"), json!({"status": "error"}))], &["status"]);
    cx.conflict(&[complete("r"), with(complete("r"), json!({"status": "failed"}))], &["status"]);
    // Nothing was recorded that could be named by its log index.
    let said = |ops: &[Value]| cx.refuse(ops, "conflict").detail().to_owned();
    let other = with(thought("r", "t"), json!({"tags": ["x"]}));
    let inside = said(&[thought("r", "t"), other.clone()]);
    assert_eq!(inside, "an earlier op of this batch has other content under this identity: tags");
    cx.record(&[thought("r", "t")]);
    assert_eq!(said(&[other]), "log index 1 recorded other content: tags");
}

fn a_batch_has_1_to_1000_ops(cx: &mut Context) {
    let steps = |count: u32| (0..count).map(|index| step("r", index)).collect::<Vec<_>>();
    cx.record(&[start("r")]);
    assert_eq!(cx.refuse(&[], "invalid_batch").path(), Some("/ops"));
    cx.refuse(&steps(1_001), "invalid_batch");
    let receipt = cx.record(&steps(1_000));
    assert_eq!((receipt.ops.len(), receipt.tree_size), (1_000, 1_001));
    cx.again(&steps(1_000), &receipt);
    let traces: Vec<_> = (0..1_000).map(|at| thought("r", &format!("t{at}"))).collect();
    let receipt = cx.send_under("full", &traces).expect("a full batch takes a key");
    assert_eq!(receipt.tree_size, 2_002);
}

fn batches_of_one_call_are_decided_in_order_and_alone(cx: &mut Context) {
    let batch = |values: &[serde_json::Value]| Batch::of(ops(values));
    let results = block_on(cx.ledger().commit(vec![
        batch(&[step("r", 0)]),
        batch(&[start("r")]),
        batch(&[step("r", 0), step("r", 1)]),
        batch(&[step("r", 2), step("s", 0)]),
        batch(&[]),
        batch(&[step("r", 0)]),
        batch(&[step("r", 2)]),
    ]));
    let told: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().map(|receipt| (receipt.outcome, receipt.tree_size)).map_err(|error| error.code()))
        .collect();
    assert_eq!(
        told,
        [
            Err("run_not_found"),
            Ok((Recorded::Recorded, 1)),
            Ok((Recorded::Recorded, 3)),
            Err("run_not_found"),
            Err("invalid_batch"),
            Ok((Recorded::Duplicate, 3)),
            Ok((Recorded::Recorded, 4)),
        ]
    );
    let roots: Vec<_> = results.iter().flatten().map(|receipt| (receipt.tree_size, receipt.root)).collect();
    for (size, root) in roots {
        assert_eq!(block_on(cx.ledger().consistency(size, None)).expect("a proof").from_root, root);
    }
}

fn a_duplicate_gets_the_original_receipt_whatever_came_since(cx: &mut Context) {
    let trace = json!({"result": {"hits": 3}, "duration_ms": 150});
    let batches = [
        vec![with(start("r"), json!({"plan": [{"skill": "a"}]}))],
        vec![step("r", 0), step("r", 2)],
        vec![call("r", "c"), child("r", "d", "c")],
        vec![with(end("r", "c"), trace)],
        vec![complete("r")],
    ];
    let mut receipts = Vec::new();
    for batch in &batches {
        receipts.push(cx.record(batch));
        cx.sources.advance(1_000);
        for (batch, receipt) in batches.iter().zip(&receipts) {
            cx.again(batch, receipt);
        }
    }
    cx.look_reopen_look();
    cx.record(&[start("other")]);
    for (batch, receipt) in batches.iter().zip(&receipts) {
        cx.again(batch, receipt);
    }
}

fn ops_of_a_batch_see_the_ones_before_them(cx: &mut Context) {
    cx.refuse(&[step("r", 0), start("r")], "run_not_found");
    cx.refuse(&[start("r"), child("r", "b", "a"), thought("r", "a")], "parent_not_found");
    cx.refuse(&[start("r"), end("r", "c"), call("r", "c")], "trace_not_found");
    cx.refuse(&[start("r"), complete("r"), step("r", 0)], "sealed");
    cx.record(&[start("r"), thought("r", "a"), child("r", "b", "a"), call("r", "c"), end("r", "c"), step("r", 0)]);
    assert_eq!(cx.forest("r"), ["0 a 1", "1 b 0", "0 c 0"]);
}

fn an_empty_commit_answers_nothing(cx: &mut Context) {
    assert!(block_on(cx.ledger().commit(Vec::new())).is_empty());
    assert!(cx.ledger().commit_blocking(Vec::new()).is_empty());
}

fn commit_blocking_does_the_same(cx: &mut Context) {
    let batches = || vec![Batch::of(ops(&[start("r")])), Batch::of(ops(&[step("r", 0)])), Batch::of(Vec::new())];
    let first = cx.ledger().commit_blocking(batches());
    let second = block_on(cx.ledger().commit(batches()));
    for (first, second) in first.into_iter().zip(second) {
        match (first, second) {
            (Ok(first), Ok(second)) => assert_eq!(outcome_aside(first), outcome_aside(second)),
            (Err(first), Err(second)) => assert_eq!(first.code(), second.code()),
            (first, second) => panic!("{first:?} {second:?}"),
        }
    }
}
