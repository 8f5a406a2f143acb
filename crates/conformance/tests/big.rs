//! What is too big for every backend to do on every run, in memory: a chain of 100,000 traces on a stack of 2 MiB, 136 MB
//! of bodies under one batch, and lists that end at their budget of rows.

use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::model::{EndStatus, EndTrace, Op, RecordTrace, StartRun, TraceType};
use tracekeep_core::view::RunCount;
use tracekeep_store::{
    Batch, LedgerStore, MemoryLedger, Page, PageRequest, Receipt, Recorded, Result, RunFilter, RunQuery, TreeQuery,
    block_on,
};

const TRACES: u32 = 100_000;

#[test]
fn a_chain_of_100000_is_walked_on_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(2 << 20);
    small.spawn(record_and_walk).expect("a thread").join().expect("no overflow, no panic");
}

fn record_and_walk() {
    let (ledger, run_id) = (MemoryLedger::default(), RunId::new("r").expect("an id"));
    let id = |n: u32| TraceId::new(format!("t{n}")).expect("an id");
    let start = Op::StartRun(StartRun { run_id: Some(run_id.clone()), ..StartRun::default() });
    let mut ops = vec![start];
    for n in 0..TRACES {
        let mut trace =
            RecordTrace::new(run_id.clone(), TraceType::Thought { content: String::new(), confidence: None });
        trace.id = Some(id(n));
        trace.parent_id = n.checked_sub(1).map(id);
        ops.push(Op::RecordTrace(trace));
        if ops.len() == 1_000 || n == TRACES - 1 {
            let mut results = ledger.commit_blocking(vec![Batch::of(std::mem::take(&mut ops))]);
            results.remove(0).expect("recorded");
        }
    }
    let (mut cursor, mut next) = (None, 0);
    loop {
        let query = TreeQuery { page: PageRequest { limit: 1_000, cursor }, ..TreeQuery::default() };
        let page = block_on(ledger.tree(&run_id, &query)).expect("a page");
        for node in page.items {
            let trace = node.trace.expect("nothing is missing");
            assert_eq!((trace.id, node.depth), (id(next), next));
            next += 1;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(next, TRACES);
}

/// Small ops under the ids of large ones had every body of them looked up at once: gigabytes for one request.
#[test]
fn what_a_batch_is_compared_with_is_bounded_and_a_duplicate_of_any_size_is_one() {
    let (ledger, run_id) = (MemoryLedger::default(), RunId::new("r").expect("an id"));
    let send = |batch: Batch| -> Result<Receipt> { ledger.commit_blocking(vec![batch]).remove(0) };
    let id = |n: u32| TraceId::new(format!("t{n}")).expect("an id");
    let traces = || {
        (0..34).map(|n| {
            let thought = TraceType::Thought { content: "x".repeat(4_000_000), confidence: None };
            Op::RecordTrace(RecordTrace { id: Some(id(n)), ..RecordTrace::new(run_id.clone(), thought) })
        })
    };
    let ends = |from, to| {
        let end = |n| Op::EndTrace(EndTrace::new(run_id.clone(), id(n), EndStatus::Ok));
        Batch::of((from..to).map(end).collect())
    };
    send(Batch::one(Op::StartRun(StartRun { run_id: Some(run_id.clone()), ..StartRun::default() }))).expect("recorded");
    let whole = Batch::of(traces().collect()).under("k".parse().expect("a key"));
    assert_eq!(send(whole.clone()).expect("recorded").outcome, Recorded::Recorded);
    for again in [whole, Batch::of(traces().collect())] {
        assert_eq!(send(again).expect("found to be the same").outcome, Recorded::Duplicate);
    }
    let refused = send(ends(0, 34)).expect_err("more than may be held");
    assert_eq!((refused.code(), refused.path()), ("too_large", Some("/ops")));
    for (from, to) in [(0, 17), (17, 34)] {
        assert_eq!(send(ends(from, to)).expect("recorded").outcome, Recorded::Recorded);
    }
}

/// Several attributes together are looked for in 10,000 rows a page, a goal in a third of them: whatever does not fit is
/// passed over, the page is short and the count says that it is not whole.
#[test]
fn a_search_of_runs_ends_at_its_budget_and_goes_on_from_there() {
    const RUNS: u32 = 10_050;
    let ledger = MemoryLedger::default();
    let run_id = |n: u32| RunId::new(format!("r{n}")).expect("an id");
    let starts: Vec<_> = (0..RUNS)
        .map(|n| {
            let goal = Some(if n == 0 { "needle" } else { "hay" }.to_owned());
            let tags = vec!["all".to_owned(), if n == 0 { "one" } else { "others" }.to_owned()];
            Op::StartRun(StartRun { run_id: Some(run_id(n)), goal, tags, seed: n.min(1).into(), ..StartRun::default() })
        })
        .collect();
    for chunk in starts.chunks(1_000) {
        ledger.commit_blocking(vec![Batch::of(chunk.to_vec())]).remove(0).expect("recorded");
    }
    let all = RunFilter { tag: Some("all".to_owned()), ..RunFilter::default() };
    let seed = RunFilter { seed: Some(0), ..all.clone() };
    let text = RunFilter { text: Some("needle".to_owned()), ..RunFilter::default() };
    for (filter, pages) in [(seed, 2), (text, 4)] {
        let mut query = RunQuery { filter: filter.clone(), ..RunQuery::default() };
        for page in 1..=pages {
            let Page { items, next_cursor, .. } = block_on(ledger.runs(&query)).expect("a page");
            let found: Vec<_> = items.into_iter().map(|run| run.run_id).collect();
            let last = page == pages;
            assert_eq!((found.as_slice(), next_cursor.is_none()), (&[run_id(0)][..usize::from(last)], last), "{page}");
            query.page.cursor = next_cursor;
        }
        let count = block_on(ledger.run_count(&filter)).expect("a count");
        assert_eq!(count, RunCount { count: 1, complete: false }, "the oldest is counted first");
    }
    let count = |filter: RunFilter| block_on(ledger.run_count(&filter)).expect("a count");
    assert_eq!(count(all), RunCount { count: 10_000, complete: false });
    let one = RunFilter { tag: Some("one".to_owned()), seed: Some(0), ..RunFilter::default() };
    assert_eq!(count(one), RunCount { count: 1, complete: true });
    assert_eq!(count(RunFilter::default()), RunCount { count: RUNS.into(), complete: true });
}
