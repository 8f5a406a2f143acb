//! Running the sequences.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use tracekeep_core::Timestamp;
use tracekeep_store::{
    Batch, CountsQuery, LedgerStore, Order, PageRequest, Receipt, Recorded, Result, RunQuery, Sources, TraceFilter,
    TraceQuery, TreeQuery, block_on,
};

use super::actions::{Action, actions};
use super::decide::{Answer, Model};
use crate::context::{Context, told_aside};
use crate::harness::Harness;
use crate::ops::{key, ops, run_id};

/// Runs random sequences over `harness` and the model.
///
/// # Errors
/// The smallest sequence found that they disagree over.
pub fn against_model(harness: &dyn Harness) -> std::result::Result<(), String> {
    run(harness.sequences(), harness.takes_moved(), "tests/model.proptest-regressions", |actions| {
        let (mut cx, mut model) = (Context::fresh(harness), Model::default());
        for action in actions {
            match action {
                Action::Clock(nanos) => cx.sources.advance(*nanos),
                Action::Reopen => cx.reopen(),
                Action::Batch(values, name) => {
                    let wanted = model.commit(values, name.as_deref(), cx.sources.now().as_nanos());
                    let got = cx.commit(Batch::moving(ops(values), values.len()).keyed(name.as_deref().map(key)));
                    assert_eq!(told(&got), wanted, "{got:?}");
                }
            }
        }
        model.check(&cx);
        cx.look_reopen_look();
        model.check(&cx);
    })
}

/// Runs random sequences over `a` and `b` with equal injected sources: equal receipts and errors, equal pages and cursors
/// after each batch, equal ledgers in the end and after reopening.
///
/// # Errors
/// The smallest sequence found that they disagree over.
pub fn compare_backends(a: &dyn Harness, b: &dyn Harness) -> std::result::Result<(), String> {
    let moved = a.takes_moved() && b.takes_moved();
    run(a.sequences().min(b.sequences()), moved, "tests/backends.proptest-regressions", |actions| {
        let (mut a, mut b) = (Context::fresh(a), Context::fresh(b));
        for action in actions {
            match action {
                Action::Clock(nanos) => [&a, &b].iter().for_each(|cx| cx.sources.advance(*nanos)),
                Action::Reopen => [&mut a, &mut b].into_iter().for_each(Context::reopen),
                Action::Batch(values, name) => {
                    let batch = || Batch::moving(ops(values), values.len()).keyed(name.as_deref().map(key));
                    assert_eq!(whole(a.commit(batch())), whole(b.commit(batch())));
                    assert_eq!(pages(&*a.ledger()), pages(&*b.ledger()));
                }
            }
        }
        a.look().same(&b.look());
        a.look_reopen_look();
        b.look_reopen_look();
        a.look().same(&b.look());
    })
}

fn run(count: u32, moved: bool, kept: &'static str, check: impl Fn(&[Action])) -> std::result::Result<(), String> {
    let kept = Box::new(FileFailurePersistence::Direct(kept));
    let config =
        Config { cases: count, failure_persistence: Some(kept), max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&actions(moved), |actions| {
        catch_unwind(AssertUnwindSafe(|| check(&actions))).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            TestCaseError::fail(text.unwrap_or_default())
        })
    });
    result.map_err(|error| error.to_string())
}

fn told(result: &Result<Receipt>) -> Answer {
    match result {
        Ok(receipt) => {
            let ops = receipt.ops.iter().map(|op| (op.outcome == Recorded::Recorded, op.log_index));
            Ok((ops.collect(), receipt.tree_size, receipt.replayed))
        }
        Err(error) => Err(error.code()),
    }
}

/// All that a caller learns.
fn whole(result: Result<Receipt>) -> std::result::Result<Receipt, (String, String, Option<String>)> {
    result
        .map(told_aside)
        .map_err(|error| (error.code().to_owned(), error.detail().to_owned(), error.path().map(str::to_owned)))
}

/// The second page of every list, with its cursors.
fn pages(ledger: &dyn LedgerStore) -> Vec<String> {
    let mut seen = Vec::new();
    for order in [Order::Oldest, Order::Newest] {
        seen.push(two(|page| block_on(ledger.runs(&RunQuery { order, page, ..RunQuery::default() }))));
    }
    seen.push(two(|page| block_on(ledger.pending_runs(&page))));
    seen.push(format!("{:?}", block_on(ledger.due_runs(Timestamp::MAX, 2))));
    for run in ["r0", "r1", "o"].map(run_id) {
        seen.push(two(|page| block_on(ledger.steps(&run, &page))));
        seen.push(two(|page| block_on(ledger.tree(&run, &TreeQuery { page, ..TreeQuery::default() }))));
        seen.push(format!("{:?}", block_on(ledger.trace_counts(&run, &CountsQuery::default()))));
        seen.push(format!("{:?}", block_on(ledger.audit(&run))));
        seen.push(two(|page| block_on(ledger.expectations(&run, &page))));
        seen.push(two(|page| block_on(ledger.acks(&run, &page))));
        for order in [Order::Oldest, Order::Newest] {
            let f = TraceFilter::default;
            let filters = [
                f(),
                TraceFilter { tags: vec!["a".to_owned()], ..f() },
                TraceFilter { any_tags: vec!["a".to_owned(), "b".to_owned()], ..f() },
                TraceFilter { text: Some("o".to_owned()), ..f() },
            ];
            for filter in filters {
                seen.push(two(|page| {
                    block_on(ledger.traces(&run, &TraceQuery { filter: filter.clone(), order, page }))
                }));
            }
        }
    }
    seen
}

/// The first two pages of two items, as text.
fn two<T: std::fmt::Debug>(mut read: impl FnMut(PageRequest) -> Result<tracekeep_store::Page<T>>) -> String {
    let first = read(PageRequest::first(2));
    let cursor = first.as_ref().ok().and_then(|page| page.next_cursor.clone());
    let second = cursor.map(|cursor| read(PageRequest { limit: 2, cursor: Some(cursor) }));
    format!("{first:?} {second:?}")
}
