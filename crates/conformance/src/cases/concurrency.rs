//! Many threads at once: the first wins, everybody else is told, and nobody sees half a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;
use tracekeep_store::{Batch, CountsQuery, LedgerStore, PageRequest, Recorded, TraceFilter, TraceQuery, block_on};

use crate::context::{Context, commit, outcome_aside, walk};
use crate::ops::{child, key, ops, run_id, start, step, thought, trace_id, with};

cases!("concurrency":
    many_writers_of_one_step_record_it_once,
    many_writers_of_different_steps_all_succeed,
    many_writers_under_one_key_record_once,
    law_4_different_content_under_one_identity_has_one_winner,
    law_3_a_reader_never_sees_half_a_batch,
    a_read_sees_what_was_acknowledged_before_it,
    blocking_and_async_callers_at_once,
    sixty_four_writers_under_one_parent,
);

const THREADS: u32 = 16;

/// Runs `work` on sixteen threads and collects what they give.
fn all<T: Send>(cx: &Context, work: impl Fn(u32, &dyn LedgerStore) -> T + Sync) -> Vec<T> {
    all_of(THREADS, cx, work)
}

/// The same on so many threads.
fn all_of<T: Send>(count: u32, cx: &Context, work: impl Fn(u32, &dyn LedgerStore) -> T + Sync) -> Vec<T> {
    let ledger = cx.ledger();
    let start = std::sync::Barrier::new(count as usize);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let (ledger, work, start) = (Arc::clone(&ledger), &work, &start);
                scope.spawn(move || {
                    start.wait();
                    work(number, &*ledger)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread ends well")).collect()
    })
}

fn many_writers_of_one_step_record_it_once(cx: &mut Context) {
    cx.record(&[start("r")]);
    let receipts = all(cx, |_, ledger| commit(ledger, Batch::of(ops(&[step("r", 0)]))).expect("no error"));
    let recorded = receipts.iter().filter(|receipt| receipt.outcome == Recorded::Recorded).count();
    assert_eq!(recorded, 1);
    let first = outcome_aside(receipts[0].clone());
    assert!(receipts.into_iter().all(|receipt| outcome_aside(receipt) == first), "all get the one receipt");
    assert_eq!(cx.head().tree_size, 2);
}

fn many_writers_of_different_steps_all_succeed(cx: &mut Context) {
    cx.record(&[start("r")]);
    let receipts = all(cx, |number, ledger| {
        let write =
            |n| commit(ledger, Batch::of(ops(&[step("r", number * 10 + n), thought("r", &format!("t{number}-{n}"))])));
        (0..10).map(|n| write(n).expect("recorded")).collect::<Vec<_>>()
    });
    let mut indices: Vec<_> =
        receipts.iter().flatten().flat_map(|receipt| &receipt.ops).map(|op| op.log_index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (1..=u64::from(THREADS) * 20).collect::<Vec<_>>(), "each has an entry of its own");
    for receipt in receipts.iter().flatten() {
        assert_eq!(receipt.ops[1].log_index, receipt.ops[0].log_index + 1, "a batch stands together");
        assert_eq!(
            block_on(cx.ledger().consistency(receipt.tree_size, None)).expect("a proof").from_root,
            receipt.root
        );
    }
    assert_eq!((cx.run("r").steps, cx.run("r").traces), (160, 160));
}

fn many_writers_under_one_key_record_once(cx: &mut Context) {
    cx.record(&[start("r")]);
    let trace = json!({"op": "record_trace", "run_id": "r", "trace_type": {"type": "Thought", "content": "x"}});
    let receipts = all(cx, |_, ledger| {
        commit(ledger, Batch::of(ops(std::slice::from_ref(&trace))).under(key("k"))).expect("no error")
    });
    assert_eq!(receipts.iter().filter(|receipt| !receipt.replayed).count(), 1);
    let first = outcome_aside(receipts[0].clone());
    assert!(receipts.into_iter().all(|receipt| outcome_aside(receipt) == first), "with the one generated id");
    assert_eq!((cx.run("r").traces, cx.head().tree_size), (1, 3));
}

fn law_4_different_content_under_one_identity_has_one_winner(cx: &mut Context) {
    cx.record(&[start("r")]);
    let results = all(cx, |number, ledger| {
        commit(ledger, Batch::of(ops(&[with(step("r", 0), json!({ "skill_name": format!("s{number}") }))])))
    });
    let (winners, losers): (Vec<_>, Vec<_>) = results.into_iter().partition(|result| result.is_ok());
    assert_eq!(winners.len(), 1);
    assert!(losers.into_iter().all(|result| result.is_err_and(|error| error.code() == "conflict")));
}

fn law_3_a_reader_never_sees_half_a_batch(cx: &mut Context) {
    cx.record(&[start("r"), start("done")]);
    let (ledger, done) = (cx.ledger(), AtomicBool::new(false));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (ledger, done) = (Arc::clone(&ledger), &done);
                scope.spawn(move || {
                    let mut last = 0;
                    while !done.load(Ordering::SeqCst) {
                        let run = block_on(ledger.run(&run_id("r"))).expect("readable").expect("there");
                        assert_eq!(
                            (run.steps % 5, run.traces, run.entries),
                            (0, run.steps / 5 * 2, 1 + run.steps / 5 * 7)
                        );
                        assert!(run.steps >= last, "what was seen stays");
                        last = run.steps;
                        let head = block_on(ledger.head()).expect("readable");
                        assert_eq!((head.tree_size - 2) % 7, 0, "the log grows by whole batches");
                        let counts =
                            block_on(ledger.trace_counts(&run_id("r"), &CountsQuery::default())).expect("readable");
                        let tagged = counts.tags.iter().map(|count| count.count).sum::<u64>();
                        assert_eq!((counts.total % 2, tagged), (0, counts.total / 2));
                        let page = block_on(ledger.steps(&run_id("r"), &PageRequest::first(1_000))).expect("readable");
                        assert_eq!(page.items.len() % 5, 0);
                    }
                })
            })
            .collect();
        for n in 0..60u32 {
            let mut batch: Vec<_> = (0..5).map(|k| step("r", n * 5 + k)).collect();
            let parent = format!("p{n}");
            batch.push(thought("r", &parent));
            batch.push(with(child("r", &format!("c{n}"), &parent), json!({"tags": ["x"]})));
            commit(&*ledger, Batch::of(ops(&batch))).expect("recorded");
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().expect("a reader sees whole batches");
        }
    });
    let traces = walk(100, |page| block_on(ledger.traces(&run_id("r"), &TraceQuery { page, ..TraceQuery::default() })));
    assert_eq!(traces.len(), 120);
}

fn a_read_sees_what_was_acknowledged_before_it(cx: &mut Context) {
    cx.record(&[start("r")]);
    all(cx, |number, ledger| {
        for n in 0..10 {
            let index = number * 10 + n;
            let receipt = commit(ledger, Batch::of(ops(&[step("r", index)]))).expect("recorded");
            let read = block_on(ledger.step(&run_id("r"), index)).expect("readable");
            assert_eq!(read.map(|step| step.log_index), Some(receipt.ops[0].log_index));
            assert!(block_on(ledger.head()).expect("readable").tree_size >= receipt.tree_size);
            block_on(ledger.inclusion(receipt.ops[0].log_index, None)).expect("it can be proved");
        }
    });
}

fn blocking_and_async_callers_at_once(cx: &mut Context) {
    cx.record(&[start("r")]);
    let results = all(cx, |number, ledger| {
        let batches = || (0..5).map(|n| Batch::of(ops(&[step("r", number / 2 * 5 + n)]))).collect::<Vec<_>>();
        let results =
            if number % 2 == 0 { ledger.commit_blocking(batches()) } else { block_on(ledger.commit(batches())) };
        results.into_iter().map(|result| result.expect("no error").outcome).collect::<Vec<_>>()
    });
    let recorded = results.iter().flatten().filter(|outcome| **outcome == Recorded::Recorded).count();
    assert_eq!((recorded, cx.run("r").steps), (40, 40), "each step once, whoever was first");
}

fn sixty_four_writers_under_one_parent(cx: &mut Context) {
    const WRITERS: u32 = 64;
    const CHILDREN: u32 = 5;
    cx.record(&[start("r"), thought("r", "p"), thought("r", "q")]);
    let id = |writer: u32, n: u32| format!("w{writer:02}-{n}");
    all_of(WRITERS, cx, |writer, ledger| {
        for n in 0..CHILDREN {
            let ops = ops(&[with(child("r", &id(writer, n), "p"), json!({"tags": ["x"]}))]);
            // Once more, as one does who heard no answer.
            for outcome in [Recorded::Recorded, Recorded::Duplicate] {
                let receipt = commit(ledger, Batch::of(ops.clone())).expect("recorded");
                assert_eq!(receipt.outcome, outcome);
            }
        }
    });
    let mut wanted: Vec<_> = (0..WRITERS).flat_map(|writer| (0..CHILDREN).map(move |n| id(writer, n))).collect();
    let under = |parent: &str| TraceFilter { parent: Some(trace_id(parent)), ..TraceFilter::default() };
    let mut found = cx.fitting("r", under("p"));
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "each child is there once");
    assert_eq!(cx.fitting("r", under("q")), [""; 0]);
    let forest = cx.forest("r");
    let children = WRITERS * CHILDREN;
    assert_eq!((forest[0].clone(), forest.len() as u32), (format!("0 p {children}"), children + 2));
    assert_eq!((cx.run("r").traces, cx.head().tree_size), (u64::from(children) + 2, u64::from(children) + 3));
    let tag = CountsQuery { tag: Some("x".into()), ..CountsQuery::default() };
    let counts = block_on(cx.ledger().trace_counts(&run_id("r"), &tag)).expect("counts");
    assert_eq!(counts.tags.first().map(|tag| tag.count), Some(u64::from(children)));
}
