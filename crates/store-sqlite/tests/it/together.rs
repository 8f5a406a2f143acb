//! Many callers at once: order, uniqueness, bounds, and nobody left waiting.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};

use crate::common::{commit, exact, open, ops, place, start, thought};
use tracekeep_core::merkle::verify_consistency;
use tracekeep_store::{Batch, LedgerStore, Receipt, Recorded, block_on};
use tracekeep_store_sqlite::{Fault, Options, SqliteLedger};

const THREADS: u32 = 16;
const EACH: u32 = 30;

/// Commits from 16 threads, each in a run of its own and all in one that they share.
fn from_all(
    ledger: &SqliteLedger,
    send: impl Fn(Vec<Batch>) -> Vec<tracekeep_store::Result<Receipt>> + Sync,
) -> Vec<Receipt> {
    commit(ledger, start("shared"));
    let begin = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (begin, send) = (&begin, &send);
                scope.spawn(move || {
                    begin.wait();
                    let own = format!("run-{thread}");
                    let mut receipts = Vec::new();
                    for answer in send(vec![start(&own), thought(&own, "first")]) {
                        receipts.push(answer.unwrap());
                    }
                    for n in 0..EACH {
                        let batch = thought(if n % 2 == 0 { "shared" } else { &own }, &format!("t-{thread}-{n}"));
                        receipts.push(send(vec![batch]).remove(0).unwrap());
                    }
                    receipts
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn check_all(ledger: &SqliteLedger, receipts: &[Receipt]) {
    let indices: BTreeSet<_> = receipts.iter().flat_map(|receipt| &receipt.ops).map(|op| op.log_index).collect();
    let head = block_on(ledger.head()).unwrap();
    assert_eq!(head.tree_size, 1 + u64::from(THREADS * (EACH + 2)));
    assert_eq!(indices, (1..head.tree_size).collect(), "each entry once");
    for receipt in receipts {
        assert_eq!(receipt.outcome, Recorded::Recorded);
        let proof = block_on(ledger.consistency(receipt.tree_size, None)).unwrap();
        assert_eq!(proof.from_root, receipt.root, "the root of every receipt was the log's");
        verify_consistency(proof.from, &proof.from_root, proof.to, &head.root, &proof.hashes).unwrap();
    }
    let entries = block_on(ledger.entries(0, 1_000)).unwrap();
    let times: Vec<_> = entries
        .iter()
        .map(|entry| {
            let leaf = format!("{:?}", entry.leaf);
            leaf.split("recorded_at").nth(1).unwrap()[..40].to_owned()
        })
        .collect();
    assert!(times.is_sorted(), "the ledger's clock never goes back");
}

#[test]
fn sixteen_blocking_callers_are_ordered_and_every_root_proves() {
    let place = place();
    let ledger = open(&place.path);
    let receipts = from_all(&ledger, |batches| ledger.commit_blocking(batches));
    check_all(&ledger, &receipts);
    drop(ledger);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
}

#[test]
fn sixteen_async_callers_too() {
    let place = place();
    let ledger = open(&place.path);
    let receipts = from_all(&ledger, |batches| block_on(ledger.commit(batches)));
    check_all(&ledger, &receipts);
}

#[test]
fn blocking_and_async_callers_take_turns() {
    let place = place();
    let ledger = open(&place.path);
    let turn = std::sync::atomic::AtomicU32::new(0);
    let receipts = from_all(&ledger, |batches| {
        if turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2) {
            ledger.commit_blocking(batches)
        } else {
            block_on(ledger.commit(batches))
        }
    });
    check_all(&ledger, &receipts);
}

#[test]
fn the_same_batch_from_all_is_recorded_once() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let begin = Barrier::new(THREADS as usize);
    let receipts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    commit(&ledger, thought("run-0", "t"))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(receipts.iter().filter(|receipt| receipt.outcome == Recorded::Recorded).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.root == receipts[0].root && receipt.tree_size == 2));
}

#[test]
fn the_batches_of_one_call_stay_together_and_in_order() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let firsts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let batches = (0..50).map(|n| thought("run-0", &format!("t-{thread}-{n}"))).collect();
                    let answers = ledger.commit_blocking(batches);
                    let indices: Vec<_> =
                        answers.iter().map(|answer| answer.as_ref().unwrap().ops[0].log_index).collect();
                    assert!(indices.windows(2).all(|pair| pair[1] == pair[0] + 1), "{indices:?}");
                    indices[0]
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(firsts.iter().collect::<BTreeSet<_>>().len(), 8);
}

#[test]
fn an_async_caller_is_told_that_the_queue_is_full() {
    let place = place();
    let options = Options { queue_ops: 2, source: exact(), ..Options::default() };
    let ledger = SqliteLedger::open(&place.path, options).unwrap();
    commit(&ledger, start("run-0"));
    // Holds the writer while calls gather.
    let shell = rusqlite::Connection::open(&place.path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut futures: Vec<_> = (0..40).map(|n| ledger.commit(vec![thought("run-0", &format!("t-{n}"))])).collect();
    let mut answers: Vec<_> = futures.iter_mut().map(|future| future.as_mut().poll(&mut context)).collect();
    let busy = |answer: &Poll<Vec<tracekeep_store::Result<Receipt>>>| match answer {
        Poll::Ready(answers) => answers[0].as_ref().is_err_and(|error| error.code() == "busy" && error.is_retryable()),
        Poll::Pending => false,
    };
    let refused = answers.iter().filter(|answer| busy(answer)).count();
    assert!(refused >= 30, "all but a few are refused at once: {refused}");
    shell.execute_batch("ROLLBACK").unwrap();
    let waiting: Vec<_> = answers.drain(..).zip(futures).filter(|(answer, _)| answer.is_pending()).collect();
    assert!(!waiting.is_empty());
    for (_, future) in waiting {
        assert!(block_on(pin!(future)).remove(0).is_ok(), "what was admitted is committed");
    }
}

#[test]
fn a_blocking_caller_waits_for_room() {
    let place = place();
    let options = Options { queue_ops: 1, queue_bytes: 1, source: exact(), ..Options::default() };
    let ledger = SqliteLedger::open(&place.path, options).unwrap();
    let receipts = from_all(&ledger, |batches| ledger.commit_blocking(batches));
    check_all(&ledger, &receipts);
}

#[test]
fn followers_of_a_leader_that_panics_get_an_answer() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    ledger.fail_next(Fault::Panic);
    let begin = Barrier::new(THREADS as usize);
    let codes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (ledger, begin) = (&ledger, &begin);
                scope.spawn(move || {
                    begin.wait();
                    ledger.commit_blocking(vec![thought("run-0", &format!("t-{thread}"))]).remove(0)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap().map_or_else(|error| error.code(), |_| "ok")).collect()
    });
    assert!(codes.contains(&"commit_unknown"), "{codes:?}");
    assert!(codes.iter().all(|code| ["ok", "commit_unknown"].contains(code)), "{codes:?}");
    let size = block_on(ledger.head()).unwrap().tree_size;
    assert_eq!(size as usize, 1 + codes.iter().filter(|code| **code == "ok").count());
}

#[test]
fn dropping_the_ledger_commits_what_waits() {
    let place = place();
    let ledger = open(&place.path);
    let mut context = Context::from_waker(Waker::noop());
    {
        // Asked for and abandoned.
        let mut future = ledger.commit(vec![start("run-0")]);
        let _ = future.as_mut().poll(&mut context);
    }
    drop(ledger);
    assert_eq!(block_on(open(&place.path).head()).unwrap().tree_size, 1);
}

#[test]
fn reads_see_each_acknowledged_commit_while_others_write() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || {
                for n in 0..40 {
                    let id = format!("t-{thread}-{n}");
                    let receipt = commit(ledger, thought("run-0", &id));
                    assert!(
                        block_on(ledger.trace(&crate::common::run_id("run-0"), &id.parse().unwrap()))
                            .unwrap()
                            .is_some()
                    );
                    let proof = block_on(ledger.inclusion(receipt.ops[0].log_index, Some(receipt.tree_size))).unwrap();
                    assert_eq!(proof.root, receipt.root);
                }
            });
        }
    });
}

#[test]
fn a_batch_that_is_compared_with_too_much_fails_alone() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let content = "x".repeat(4_000_000);
    for from in [0, 17] {
        let traces: Vec<_> = (from..from + 17)
            .map(|n| {
                format!(
                    r#"{{"op":"record_trace","run_id":"run-0","id":"t{n}","trace_type":{{"type":"Thought","content":"{content}"}}}}"#
                )
            })
            .collect();
        commit(&ledger, ops(&traces.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let ends: Vec<_> =
        (0..34).map(|n| format!(r#"{{"op":"end_trace","run_id":"run-0","id":"t{n}","status":"ok"}}"#)).collect();
    let ends = ops(&ends.iter().map(String::as_str).collect::<Vec<_>>());
    let answers = ledger.commit_blocking(vec![thought("run-0", "before"), ends, thought("run-0", "after")]);
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map_or_else(|error| error.code(), |_| "ok")).collect();
    assert_eq!(codes, ["ok", "too_large", "ok"]);
}
