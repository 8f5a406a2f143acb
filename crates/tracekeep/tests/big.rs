//! Trees that are too deep or too wide for anything that recurs, on a stack of 2 MiB: 100,000 in memory and in SQLite.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;

use tracekeep::{
    PageRequest, RecordTrace, RunId, StartRun, TraceId, TraceStore, TraceTree, TraceType, Tracekeep, TreeQuery,
};

fn id(n: u32) -> TraceId {
    format!("t{n}").parse().unwrap()
}

fn on_a_small_stack(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(2 << 20);
        small.spawn_scoped(scope, work).unwrap().join().expect("no overflow, no panic");
    });
}

/// Records `count` traces under the parents that `parent` names.
fn record(tracekeep: &Tracekeep, count: u32, parent: impl Fn(u32) -> Option<u32>) -> RunId {
    let run = tracekeep.runs().start_run(StartRun::default()).unwrap();
    let mut n = 0;
    while n < count {
        let mut batch = tracekeep.batch(&run);
        for n in n..count.min(n + 1_000) {
            let thought = TraceType::Thought { content: String::new(), confidence: None };
            let trace = RecordTrace { id: Some(id(n)), ..RecordTrace::new(run.clone(), thought) };
            batch.trace(RecordTrace { parent_id: parent(n).map(id), ..trace });
        }
        batch.commit().unwrap();
        n += 1_000;
    }
    run
}

/// Walks the flat tree, then nests it, and does to the nested one all that could recur.
fn check(traces: &TraceStore, run: &RunId, count: u32, depth: impl Fn(u32) -> u32) {
    let (mut query, mut next) =
        (TreeQuery { root: Some(id(0)), page: PageRequest::first(1_000), ..TreeQuery::default() }, 0);
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
    assert_eq!(next, count);
    let tree = traces.get_nested_tree(run, &id(0), None).unwrap().unwrap();
    let as_they_are = |(n, (depth_got, trace)): (u32, (usize, &tracekeep::Trace))| {
        (depth_got, trace.id.as_str()) == (depth(n) as usize, format!("t{n}").as_str())
    };
    assert!((0..).zip(tree.walk()).all(as_they_are));
    assert_eq!(tree.walk().count(), count as usize);
    let mut other = tree.clone();
    assert!(other == tree, "a clone is equal");
    last(&mut other).trace.tags.push("x".to_owned());
    assert!(other != tree, "and what differs at the very end is not");
    drop(other);
    let mut shown = Length(0);
    write!(shown, "{tree:?}").unwrap();
    assert!(shown.0 > u64::from(count), "each trace is shown");
    drop(tree);
}

/// The last node in pre-order.
fn last(tree: &mut TraceTree) -> &mut TraceTree {
    let mut at = tree;
    while !at.children.is_empty() {
        at = at.children.last_mut().unwrap();
    }
    at
}

/// Counts what is written.
struct Length(u64);

impl std::fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len() as u64;
        Ok(())
    }
}

fn chain(tracekeep: &Tracekeep, count: u32) {
    on_a_small_stack(|| {
        let run = record(tracekeep, count, |n| n.checked_sub(1));
        check(&tracekeep.traces(), &run, count, |n| n);
    });
}

fn fan(tracekeep: &Tracekeep, count: u32) {
    on_a_small_stack(|| {
        let run = record(tracekeep, count, |n| (n > 0).then_some(0));
        check(&tracekeep.traces(), &run, count, |n| n.min(1));
        let children =
            tracekeep.traces().get_tree(&run, &TreeQuery { depth: Some(0), ..TreeQuery::default() }).unwrap();
        assert_eq!(children.items[0].children, u64::from(count - 1));
    });
}

#[test]
fn a_chain_of_100000_in_memory() {
    chain(&Tracekeep::open_in_memory(), 100_000);
}

#[test]
fn a_node_with_100000_children_in_memory() {
    fan(&Tracekeep::open_in_memory(), 100_001);
}

fn in_a_file(check: impl Fn(&Tracekeep, u32), count: u32) {
    let folder = tempfile::tempdir().unwrap();
    check(&Tracekeep::open(folder.path().join("runs.db")).unwrap(), count);
}

#[test]
fn a_chain_of_100000_in_sqlite() {
    in_a_file(chain, 100_000);
}

#[test]
fn a_node_with_100000_children_in_sqlite() {
    in_a_file(fan, 100_001);
}
