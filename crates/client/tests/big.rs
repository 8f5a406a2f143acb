//! Trees that are too deep or too wide for anything that recurs, read over HTTP on a stack of 2 MiB. They are recorded
//! through the library: what is tested is the way out.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;

use tokio::sync::oneshot;
use tracekeep::{
    Batch, LedgerStore, MemoryIdempotencyStore, MemoryLedger, Op, PageRequest, RecordTrace, RunId, StartRun, TraceId,
    TraceStore, TraceType, TreeQuery,
};
use tracekeep_client::HttpLedger;
use tracekeep_server::{App, bind};

const TRACES: u32 = 100_000;

fn id(n: u32) -> TraceId {
    format!("t{n}").parse().unwrap()
}

/// Traces under the parents that `parent` names.
fn recorded(run: &RunId, parent: impl Fn(u32) -> Option<u32>) -> MemoryLedger {
    let ledger = MemoryLedger::default();
    let record = |ops: Vec<Op>| drop(ledger.commit_blocking(vec![Batch::of(ops)]).remove(0).unwrap());
    record(vec![Op::StartRun(StartRun { run_id: Some(run.clone()), ..StartRun::default() })]);
    for from in (0..TRACES).step_by(1_000) {
        let trace = |n| {
            let thought = TraceType::Thought { content: String::new(), confidence: None };
            let trace = RecordTrace::new(run.clone(), thought);
            Op::RecordTrace(RecordTrace { id: Some(id(n)), parent_id: parent(n).map(id), ..trace })
        };
        record((from..from + 1_000).map(trace).collect());
    }
    ledger
}

/// Serves the ledger while something is done with a client, on a small stack.
fn over_http(ledger: MemoryLedger, work: impl FnOnce(TraceStore) + Send) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bound = runtime.block_on(bind("127.0.0.1:0")).unwrap();
    let (address, hosts) = (bound.address(), bound.loopback_hosts());
    let (stop, stopped) = oneshot::channel::<()>();
    let app = App::new(Arc::new(ledger), Arc::new(MemoryIdempotencyStore::default()), hosts);
    let served = runtime.spawn(bound.serve(app, async move { drop(stopped.await) }));
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(2 << 20);
        let client =
            move || work(TraceStore::new(Arc::new(HttpLedger::connect(&format!("http://{address}")).unwrap())));
        small.spawn_scoped(scope, client).unwrap().join().expect("no overflow, no panic");
    });
    stop.send(()).unwrap();
    runtime.block_on(served).unwrap();
}

/// Walks the flat tree, then the nested one.
fn check(traces: &TraceStore, run: &RunId, depth: impl Fn(u32) -> u32) {
    let page = PageRequest::first(1_000);
    let (mut query, mut next) = (TreeQuery { root: Some(id(0)), page, ..TreeQuery::default() }, 0);
    loop {
        let page = traces.get_tree(run, &query).unwrap();
        for node in page.items {
            assert_eq!((node.trace.unwrap().id, node.depth), (id(next), depth(next)));
            next += 1;
        }
        match page.next_cursor {
            Some(cursor) => query.page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(next, TRACES);
    let tree = traces.get_nested_tree(run, &id(0), None).unwrap().unwrap();
    assert_eq!(tree.walk().count(), TRACES as usize);
    assert!((0..).zip(tree.walk()).all(|(n, (at, trace))| (at, &trace.id) == (depth(n) as usize, &id(n))));
}

#[test]
fn a_chain_of_100000_over_http() {
    let run: RunId = "r".parse().unwrap();
    over_http(recorded(&run, |n| n.checked_sub(1)), |traces| check(&traces, &run, |n| n));
}

#[test]
fn a_node_with_99999_children_over_http() {
    let run: RunId = "r".parse().unwrap();
    over_http(recorded(&run, |n| (n > 0).then_some(0)), |traces| check(&traces, &run, |n| n.min(1)));
}
