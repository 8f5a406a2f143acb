//! What a case works with: one ledger, its clock, and checks that name the caller's line.

use std::sync::Arc;

use serde_json::Value;
use tracekeep_core::model::Op;
use tracekeep_core::view::{Head, Run, RunCount, Step, Trace, TreeNode};
use tracekeep_store::{
    Batch, Error, LedgerStore, Outcome, Page, PageRequest, Receipt, Recorded, Result, RunQuery, Told, TraceFilter,
    TraceQuery, TreeQuery, block_on,
};

use crate::dump::Dump;
use crate::harness::{Harness, Instance};
use crate::ops::{key, ops, run_id, trace_id};
use crate::sources::ManualSources;

/// One open ledger and its injected sources.
pub struct Context {
    instance: Box<dyn Instance>,
    takes_moved: bool,
    /// The ledger's clock and randomness.
    pub sources: ManualSources,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Context {
    /// A fresh ledger of `harness`.
    pub fn fresh(harness: &dyn Harness) -> Self {
        let sources = ManualSources::default();
        Self { instance: harness.fresh(sources.clone()), takes_moved: harness.takes_moved(), sources }
    }

    /// The ledger. To be let go of before [`Context::look_reopen_look`].
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn LedgerStore> {
        self.instance.ledger()
    }

    /// Everything that the ledger answers, checked against its own log.
    #[track_caller]
    pub fn look(&self) -> Dump {
        let dump = Dump::of(&*self.ledger());
        dump.check();
        dump
    }

    /// Looks, closes and opens the ledger, and looks again: everything is as it was.
    #[track_caller]
    pub fn look_reopen_look(&mut self) {
        let before = self.look();
        self.instance.reopen();
        before.same(&Dump::of(&*self.ledger()));
        if let Some(found) = self.instance.check() {
            assert_eq!(found, Ok(()), "the backend's own check");
            before.same(&Dump::of(&*self.ledger()));
        }
    }

    /// Whether ops that were held in front of the ledger may be moved in.
    pub(crate) const fn takes_moved(&self) -> bool {
        self.takes_moved
    }

    /// Closes the ledger and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.instance.reopen();
    }

    /// Sends one batch.
    pub(crate) fn send(&self, values: &[Value]) -> Result<Receipt> {
        self.commit(Batch::of(ops(values)))
    }

    /// Sends one batch under an idempotency key.
    pub(crate) fn send_under(&self, name: &str, values: &[Value]) -> Result<Receipt> {
        self.commit(Batch::of(ops(values)).under(key(name)))
    }

    /// Commits one batch: in the process that writes to the ledger, where only that may.
    pub(crate) fn commit(&self, batch: Batch) -> Result<Receipt> {
        let writer = self.instance.writer().filter(|_| batch.ops.iter().any(Op::is_local));
        commit(&*writer.unwrap_or_else(|| self.ledger()), batch)
    }

    /// Whether the ledger is another process's, which alone says some things.
    pub(crate) fn is_remote(&self) -> bool {
        self.instance.writer().is_some()
    }

    /// Sends what must be recorded, at least in part.
    #[track_caller]
    pub(crate) fn record(&self, values: &[Value]) -> Receipt {
        let receipt = self.send(values).unwrap_or_else(|error| panic!("refused: {error:?}"));
        assert_eq!(receipt.outcome, Recorded::Recorded);
        receipt
    }

    /// Sends what was recorded before: the original receipt, but for the outcome, and nothing new in the log.
    #[track_caller]
    pub(crate) fn again(&self, values: &[Value], original: &Receipt) {
        let before = self.head();
        let receipt = self.send(values).unwrap_or_else(|error| panic!("refused: {error:?}"));
        assert_eq!(receipt.outcome, Recorded::Duplicate);
        assert!(receipt.ops.iter().all(|op| op.outcome == Recorded::Duplicate));
        assert_eq!(outcome_aside(receipt), outcome_aside(original.clone()));
        assert_eq!(self.head(), before, "a duplicate adds nothing");
    }

    /// Sends what must be refused with `code`, and surely was not applied.
    #[track_caller]
    pub(crate) fn refuse(&self, values: &[Value], code: &str) -> Error {
        self.refuse_batch(Batch::of(ops(values)), code)
    }

    /// Commits what must be refused with `code`, and surely was not applied.
    #[track_caller]
    pub(crate) fn refuse_batch(&self, batch: Batch, code: &str) -> Error {
        let before = self.head();
        let Err(error) = self.commit(batch) else { panic!("accepted what is {code}") };
        assert_eq!((error.code(), error.outcome()), (code, Outcome::NotApplied), "{error:?}");
        assert_eq!(self.head(), before, "a refused batch leaves nothing");
        error
    }

    /// Sends what is a conflict over exactly `members`.
    #[track_caller]
    pub(crate) fn conflict(&self, values: &[Value], members: &[&str]) {
        let error = self.refuse(values, "conflict");
        let named = error.detail().split_once(": ").map_or("", |(_, names)| names);
        assert_eq!(named.split(", ").collect::<Vec<_>>(), members, "{error:?}");
        assert!(error.digests().is_some_and(|digests| digests.recorded != digests.sent), "a conflict carries digests");
    }

    #[track_caller]
    pub(crate) fn head(&self) -> Head {
        block_on(self.ledger().head()).expect("the head is readable")
    }

    #[track_caller]
    pub(crate) fn run(&self, id: &str) -> Run {
        block_on(self.ledger().run(&run_id(id))).expect("a run is readable").expect("the run is there")
    }

    #[track_caller]
    pub(crate) fn step(&self, run: &str, index: u32) -> Step {
        block_on(self.ledger().step(&run_id(run), index)).expect("a step is readable").expect("the step is there")
    }

    #[track_caller]
    pub(crate) fn trace(&self, run: &str, id: &str) -> Trace {
        let trace = block_on(self.ledger().trace(&run_id(run), &trace_id(id)));
        trace.expect("a trace is readable").expect("the trace is there")
    }

    /// The run ids of a list, walked in pages of `limit`.
    #[track_caller]
    pub(crate) fn run_ids(&self, query: &RunQuery, limit: u32) -> Vec<String> {
        let ledger = self.ledger();
        let runs = walk(limit, |page| block_on(ledger.runs(&RunQuery { page, ..query.clone() })));
        let counted = block_on(ledger.run_count(&query.filter)).expect("runs are countable");
        if query.sort.is_none() {
            assert_eq!(counted, RunCount { count: runs.len() as u64, complete: true }, "the count is of the list");
        }
        runs.into_iter().map(|run| run.run_id.to_string()).collect()
    }

    /// The trace ids of a list, walked in pages of `limit`.
    #[track_caller]
    pub(crate) fn trace_ids(&self, run: &str, query: &TraceQuery, limit: u32) -> Vec<String> {
        let (ledger, run) = (self.ledger(), run_id(run));
        let traces = walk(limit, |page| block_on(ledger.traces(&run, &TraceQuery { page, ..query.clone() })));
        traces.into_iter().map(|trace| trace.id.to_string()).collect()
    }

    /// The ids of the traces that fit, oldest first.
    #[track_caller]
    pub(crate) fn fitting(&self, run: &str, filter: TraceFilter) -> Vec<String> {
        self.trace_ids(run, &TraceQuery { filter, ..TraceQuery::default() }, 1_000)
    }

    /// A tree walked in pages of `limit`.
    #[track_caller]
    pub(crate) fn tree(&self, run: &str, query: &TreeQuery, limit: u32) -> Vec<TreeNode> {
        let (ledger, run) = (self.ledger(), run_id(run));
        walk(limit, |page| block_on(ledger.tree(&run, &TreeQuery { page, ..query.clone() })))
    }

    /// The whole forest as text: `depth id children`, a missing parent as `?id`.
    #[track_caller]
    pub(crate) fn forest(&self, run: &str) -> Vec<String> {
        drawn(&self.tree(run, &TreeQuery::default(), 1_000))
    }
}

/// Commits one batch.
pub(crate) fn commit(ledger: &dyn LedgerStore, batch: Batch) -> Result<Receipt> {
    let mut results = block_on(ledger.commit(vec![batch]));
    assert_eq!(results.len(), 1, "one result for each batch");
    results.remove(0)
}

/// A receipt without what a duplicate may differ in.
pub(crate) fn outcome_aside(mut receipt: Receipt) -> Receipt {
    receipt.outcome = Recorded::Duplicate;
    receipt.replayed = false;
    for op in &mut receipt.ops {
        op.outcome = Recorded::Duplicate;
    }
    told_aside(receipt)
}

/// A receipt without what an embedded ledger tells beside it.
pub(crate) fn told_aside(mut receipt: Receipt) -> Receipt {
    receipt.ops.iter_mut().for_each(|op| op.told = Told::default());
    receipt
}

/// Walks a list to its end.
#[track_caller]
pub(crate) fn walk<T>(limit: u32, mut read: impl FnMut(PageRequest) -> Result<Page<T>>) -> Vec<T> {
    let (mut items, mut cursor, mut empty) = (Vec::new(), None, 0);
    loop {
        let page = read(PageRequest { limit, cursor }).unwrap_or_else(|error| panic!("a page is refused: {error:?}"));
        assert!(page.items.len() <= limit as usize, "a page holds at most what was asked for");
        empty = if page.items.is_empty() { empty + 1 } else { 0 };
        assert!(empty < 100, "a walk comes to its end");
        items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return items;
        }
    }
}

/// Nodes as text: `depth id children`, a missing parent as `?id`.
pub(crate) fn drawn(nodes: &[TreeNode]) -> Vec<String> {
    let name = |node: &TreeNode| match (&node.trace, &node.missing) {
        (Some(trace), None) => trace.id.to_string(),
        (None, Some(id)) => format!("?{id}"),
        _ => panic!("a node is a trace or missing"),
    };
    nodes.iter().map(|node| format!("{} {} {}", node.depth, name(node), node.children)).collect()
}
