//! Faults in pairs: a retry after *failed, not applied* and after *failed, but applied* leaves exactly one record.

use serde_json::{Value, json};
use tracekeep_store::{Batch, ErrorKind, LedgerStore, Outcome, Recorded, block_on};

use crate::context::{Context, commit};
use crate::fault::{Fault, FaultStore};
use crate::ops::{call, complete, end, ensure_otlp, key, ops, run_id, span, start, step, thought, with};

cases!("faults":
    a_retry_of_the_same_batch_leaves_one_record,
    a_retry_under_the_same_key_leaves_one_record,
    a_fault_fails_every_batch_of_its_call,
    several_faults_in_a_row,
    reads_pass_through,
    what_was_refused_is_refused_again_after_a_fault,
);

const PAIR: [Fault; 2] = [Fault::NotApplied, Fault::Applied];

#[track_caller]
fn check_error(error: &tracekeep_store::Error, fault: Fault) {
    let wanted = match fault {
        Fault::NotApplied => ("storage_failed", ErrorKind::Storage, Outcome::NotApplied),
        Fault::Applied => ("commit_unknown", ErrorKind::Unknown, Outcome::Unknown),
    };
    assert_eq!((error.code(), error.kind(), error.outcome()), wanted);
    assert!(error.is_retryable(), "a retry can help, and is safe");
}

/// One batch of each kind of op, each op with an identity of its own.
fn batches(run: &str, otlp: &str) -> Vec<Vec<Value>> {
    vec![
        vec![
            start(run),
            ensure_otlp(otlp),
            json!({"op": "describe_run", "run_id": otlp, "topic": "root", "goal": "g"}),
        ],
        vec![step(run, 0), step(run, 2)],
        vec![call(run, "c"), span(otlp, "s", Some("m")), span(otlp, "m", None)],
        vec![with(end(run, "c"), json!({"result": 1}))],
        vec![complete(run)],
    ]
}

fn a_retry_of_the_same_batch_leaves_one_record(cx: &mut Context) {
    for fault in PAIR {
        let (run, otlp) = (format!("r-{fault:?}"), format!("o-{fault:?}"));
        for batch in batches(&run, &otlp) {
            let store = FaultStore::new(cx.ledger()).failing(0, fault);
            let before = cx.head().tree_size;
            let error = commit(&store, Batch::of(ops(&batch))).expect_err("an injected fault");
            check_error(&error, fault);
            let applied = if fault == Fault::Applied { batch.len() as u64 } else { 0 };
            assert_eq!(cx.head().tree_size, before + applied);
            let receipt = commit(&store, Batch::of(ops(&batch))).expect("the retry is answered");
            let outcome = if fault == Fault::Applied { Recorded::Duplicate } else { Recorded::Recorded };
            assert_eq!((receipt.outcome, receipt.tree_size), (outcome, before + batch.len() as u64));
            assert_eq!(cx.head().tree_size, receipt.tree_size, "exactly one record");
        }
    }
}

fn a_retry_under_the_same_key_leaves_one_record(cx: &mut Context) {
    cx.record(&[start("r")]);
    let unnamed = json!({"op": "record_trace", "run_id": "r", "trace_type": {"type": "Thought", "content": "x"}});
    for (at, fault) in PAIR.into_iter().enumerate() {
        let name = format!("k{at}");
        let store = FaultStore::new(cx.ledger()).failing(0, fault);
        let send = || {
            commit(
                &store,
                Batch::of(ops(&[unnamed.clone(), step("r", u32::try_from(at).expect("small"))])).under(key(&name)),
            )
        };
        check_error(&send().expect_err("an injected fault"), fault);
        cx.look();
        let receipt = send().expect("the retry is answered");
        assert_eq!(receipt.replayed, fault == Fault::Applied);
        assert_eq!(cx.run("r").traces, at as u64 + 1, "exactly one record, though its id was generated");
        let again = send().expect("and again");
        assert_eq!((again.replayed, &again.ops[0].id), (true, &receipt.ops[0].id));
    }
}

fn a_fault_fails_every_batch_of_its_call(cx: &mut Context) {
    for (at, fault) in PAIR.into_iter().enumerate() {
        let run = format!("r{at}");
        let group = || {
            vec![Batch::of(ops(&[start(&run)])), Batch::of(ops(&[step("nobody", 0)])), Batch::of(ops(&[step(&run, 0)]))]
        };
        let store = FaultStore::new(cx.ledger()).failing(1, fault).failing(2, fault);
        commit(&store, Batch::of(ops(&[start(&format!("before{at}"))]))).expect("the first call passes");
        for result in store.commit_blocking(group()).into_iter().chain(block_on(store.commit(group()))) {
            check_error(&result.expect_err("an injected fault"), fault);
        }
        assert_eq!(store.calls(), 3);
        let results = block_on(store.commit(group()));
        let told: Vec<_> = results
            .into_iter()
            .map(|result| result.map(|receipt| receipt.outcome).map_err(|error| error.code()))
            .collect();
        let outcome = if fault == Fault::Applied { Recorded::Duplicate } else { Recorded::Recorded };
        assert_eq!(told, [Ok(outcome), Err("run_not_found"), Ok(outcome)]);
        assert_eq!((cx.run(&run).entries, cx.run(&run).steps), (2, 1));
    }
}

fn several_faults_in_a_row(cx: &mut Context) {
    cx.record(&[start("r")]);
    let faults = [Fault::NotApplied, Fault::NotApplied, Fault::Applied, Fault::NotApplied, Fault::Applied];
    let store =
        (0u64..).zip(faults).fold(FaultStore::new(cx.ledger()), |store, (call, fault)| store.failing(call, fault));
    let send = || commit(&store, Batch::of(ops(&[step("r", 0), thought("r", "t")])));
    for fault in faults {
        check_error(&send().expect_err("an injected fault"), fault);
    }
    assert_eq!(send().expect("at last").outcome, Recorded::Duplicate);
    assert_eq!(cx.head().tree_size, 3);
}

fn reads_pass_through(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), thought("r", "t")]);
    let store = FaultStore::new(cx.ledger()).failing(0, Fault::NotApplied);
    crate::Dump::of(&store).same(&cx.look());
    assert_eq!(store.calls(), 0, "a read is no commit");
    assert!(block_on(store.step(&run_id("r"), 0)).expect("readable").is_some());
    assert_eq!(
        block_on(store.inclusion(0, None)).expect("a proof"),
        block_on(cx.ledger().inclusion(0, None)).expect("a proof")
    );
    assert_eq!(block_on(store.consistency(1, None)).expect("a proof").to, 3);
}

fn what_was_refused_is_refused_again_after_a_fault(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0)]);
    for fault in PAIR {
        let store = FaultStore::new(cx.ledger()).failing(0, fault);
        let other = || Batch::of(ops(&[thought("r", "t"), with(step("r", 0), json!({"status": "failure"}))]));
        check_error(&commit(&store, other()).expect_err("an injected fault"), fault);
        assert_eq!(commit(&store, other()).expect_err("a conflict").code(), "conflict");
        assert_eq!(cx.head().tree_size, 2);
    }
}
