//! Reasoning traces.

use std::collections::HashMap;
use std::sync::Arc;

use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::limits::{PAGE_ITEMS_MAX, TRACE_IDS_MAX};
use tracekeep_core::model::{EndTrace, JsonObject, Op, RecordTrace, TraceType};
use tracekeep_core::view::{Trace, TraceCounts, TreeNode};
use tracekeep_core::{TimeRange, Timestamp};
use tracekeep_store::{
    Batch, CountsQuery, ErrorKind, LedgerStore, Page, PageRequest, Receipt, Report, Result, Source, TraceFilter,
    TraceQuery, TreeQuery, block_on,
};

use crate::open::{commit, no_answer};
use crate::tree::TraceTree;

/// Reasoning traces of runs: a stateless handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct TraceStore {
    ledger: Arc<dyn LedgerStore>,
}

/// What a caller may say of a trace beside its type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceOptions {
    /// Its id; generated where absent.
    pub id: Option<TraceId>,
    /// The trace that it hangs on.
    pub parent_id: Option<TraceId>,
    /// When it began; now where absent.
    pub occurred_at: Option<Timestamp>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Free members.
    pub metadata: JsonObject,
}

impl TraceStore {
    /// A handle over a ledger.
    #[must_use]
    pub fn new(ledger: Arc<dyn LedgerStore>) -> Self {
        Self { ledger }
    }

    /// The ledger.
    #[doc(alias = "database")]
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn LedgerStore> {
        &self.ledger
    }

    /// Records a root trace and gives its id.
    ///
    /// What one trace costs, in rows: one log entry; one trace row with five index entries (id, time, parent, type,
    /// status); the counters of its type, its status and the place where it hangs (a parent, or the roots) and the run's own
    /// row, all of which change in place; each counter is a row with the first trace that it counts. For each tag one row
    /// of the tag index, and that tag's counter. A type or tag that no run had before takes a row with its name, and in
    /// each run an index entry beside its counter, by which the name is let go of.
    ///
    /// In bytes of a SQLite file: a thought of 100 bytes takes 650, of which the entry with body, salt and commitment takes
    /// 410, the trace row and its indices 207, the hashes of the log 36. Each tag adds 29 to 33, of which its index row
    /// takes 22. A parent adds 73, nearly all of it the id in the body, and 16 more where each trace has a parent of its
    /// own. What is larger is compressed (docs/design/0004-compressed-bodies.md). Text costs nothing until the first
    /// search. (`cargo xtask bench --only cost`: 10,000 thoughts in one run, one batch each, generated ids, tags of six
    /// bytes, whole pages counted after the ledger was closed.)
    ///
    /// # Errors
    /// Refused input; `run_not_found`, `run_erased`; `sealed`.
    pub fn record(&self, run_id: &RunId, trace_type: TraceType) -> Result<TraceId> {
        self.record_with_options(run_id, trace_type, TraceOptions::default())
    }

    /// Records a trace under a parent of the same run and gives its id.
    ///
    /// # Errors
    /// As [`TraceStore::record`]; `parent_not_found`, which names it.
    pub fn record_child(&self, run_id: &RunId, parent: &TraceId, trace_type: TraceType) -> Result<TraceId> {
        let options = TraceOptions { parent_id: Some(parent.clone()), ..TraceOptions::default() };
        self.record_with_options(run_id, trace_type, options)
    }

    /// Records a trace with all that a caller may say of it.
    ///
    /// # Errors
    /// As [`TraceStore::record_child`]; `conflict` where the id holds another trace.
    pub fn record_with_options(&self, run_id: &RunId, trace_type: TraceType, options: TraceOptions) -> Result<TraceId> {
        let trace = RecordTrace {
            id: options.id,
            parent_id: options.parent_id,
            occurred_at: options.occurred_at,
            tags: options.tags,
            metadata: options.metadata,
            ..RecordTrace::new(run_id.clone(), trace_type)
        };
        let receipt = commit(&self.ledger, Batch::one(Op::RecordTrace(trace)))?;
        let id = receipt.ops.into_iter().next().and_then(|op| op.id).ok_or_else(no_answer)?;
        Ok(TraceId::new(id)?)
    }

    /// Ends a trace once, and fills in what it left open.
    ///
    /// # Errors
    /// `trace_not_found`; `conflict` where it ended otherwise or holds another value; `sealed`.
    pub fn end(&self, end: EndTrace) -> Result<Receipt> {
        commit(&self.ledger, Batch::one(Op::EndTrace(end)))
    }

    /// A trace; `None` where run or trace is unknown.
    ///
    /// # Errors
    /// `run_erased`; failures of the storage.
    pub fn get(&self, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>> {
        block_on(self.ledger.trace(run_id, id))
    }

    /// The traces with these ids, each in the place of its id; `None` for one that is unknown. 64 at a time are read from
    /// one snapshot.
    ///
    /// # Errors
    /// `run_not_found`, `run_erased`.
    pub fn get_many(&self, run_id: &RunId, ids: &[TraceId]) -> Result<Vec<Option<Trace>>> {
        let mut found = HashMap::new();
        for ids in ids.chunks(TRACE_IDS_MAX as usize) {
            let filter = TraceFilter { ids: ids.to_vec(), ..TraceFilter::default() };
            let mut query = TraceQuery { filter, page: PageRequest::first(TRACE_IDS_MAX), ..TraceQuery::default() };
            loop {
                let page = self.list(run_id, &query)?;
                found.extend(page.items.into_iter().map(|trace| (trace.id.clone(), trace)));
                // A page ends early where its traces are large.
                match page.next_cursor {
                    Some(cursor) => query.page.cursor = Some(cursor),
                    None => break,
                }
            }
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// A page of traces, oldest first unless told.
    ///
    /// # Errors
    /// `run_not_found`, `run_erased`, `invalid_parameter`, `invalid_cursor`.
    pub fn list(&self, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>> {
        block_on(self.ledger.traces(run_id, query))
    }

    /// A page of the traces of a type: a variant's name, or a Custom trace's own.
    ///
    /// # Errors
    /// As [`TraceStore::list`].
    pub fn query_by_type(&self, run_id: &RunId, type_name: &str, page: PageRequest) -> Result<Page<Trace>> {
        self.filtered(run_id, TraceFilter { type_name: Some(type_name.to_owned()), ..TraceFilter::default() }, page)
    }

    /// A page of the traces with a tag.
    ///
    /// # Errors
    /// As [`TraceStore::list`].
    pub fn query_by_tag(&self, run_id: &RunId, tag: &str, page: PageRequest) -> Result<Page<Trace>> {
        self.filtered(run_id, TraceFilter { tags: vec![tag.to_owned()], ..TraceFilter::default() }, page)
    }

    /// A page of the traces that began in [from, to).
    ///
    /// # Errors
    /// As [`TraceStore::list`].
    pub fn query_by_time(
        &self,
        run_id: &RunId,
        from: Timestamp,
        to: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Trace>> {
        let time = TimeRange::new(Some(from), Some(to));
        self.filtered(run_id, TraceFilter { time, ..TraceFilter::default() }, page)
    }

    /// A page of the traces whose text holds all the words: names, contents, arguments, results, messages, metadata.
    ///
    /// The text index is built by the first search and caught up by each, 50,000 entries of the log at most. A search that
    /// begins before it has seen all of the log walks what it has seen, and each of its pages says `complete: false`;
    /// begun again, it sees more. The first 20,000 words of a trace are looked at.
    ///
    /// # Errors
    /// As [`TraceStore::list`].
    pub fn search(&self, run_id: &RunId, words: &str, page: PageRequest) -> Result<Page<Trace>> {
        self.filtered(run_id, TraceFilter { text: Some(words.to_owned()), ..TraceFilter::default() }, page)
    }

    /// A page of a trace's direct children.
    ///
    /// # Errors
    /// As [`TraceStore::list`].
    pub fn get_children(&self, run_id: &RunId, parent: &TraceId, page: PageRequest) -> Result<Page<Trace>> {
        self.filtered(run_id, TraceFilter { parent: Some(parent.clone()), ..TraceFilter::default() }, page)
    }

    /// A page of a run's roots.
    ///
    /// # Errors
    /// As [`TraceStore::list`].
    pub fn get_roots(&self, run_id: &RunId, page: PageRequest) -> Result<Page<Trace>> {
        self.filtered(run_id, TraceFilter { roots: true, ..TraceFilter::default() }, page)
    }

    fn filtered(&self, run_id: &RunId, filter: TraceFilter, page: PageRequest) -> Result<Page<Trace>> {
        self.list(run_id, &TraceQuery { filter, page, ..TraceQuery::default() })
    }

    /// A page of a run's forest, or of one tree: flat, in pre-order. It may be short, even empty, and have a cursor, where
    /// much came since the walk began or lies between a deep leaf and what follows it.
    ///
    /// # Errors
    /// `run_not_found`, `run_erased`, `trace_not_found`, `invalid_parameter`, `invalid_cursor`.
    pub fn get_tree(&self, run_id: &RunId, query: &TreeQuery) -> Result<Page<TreeNode>> {
        block_on(self.ledger.tree(run_id, query))
    }

    /// The whole tree under a trace, or `depth` levels of it, nested; `None` where run or trace is unknown.
    ///
    /// All of it is held in memory: [`TraceStore::get_tree`] is for trees of any size.
    ///
    /// # Errors
    /// `run_erased`; failures of the storage.
    pub fn get_nested_tree(&self, run_id: &RunId, root: &TraceId, depth: Option<u32>) -> Result<Option<TraceTree>> {
        let page = PageRequest::first(PAGE_ITEMS_MAX);
        let (mut query, mut nodes) = (TreeQuery { root: Some(root.clone()), depth, page }, Vec::new());
        loop {
            let page = match self.get_tree(run_id, &query) {
                Err(unknown) if unknown.kind() == ErrorKind::NotFound => return Ok(None),
                page => page?,
            };
            nodes.extend(page.items);
            match page.next_cursor {
                Some(cursor) => query.page.cursor = Some(cursor),
                None => return Ok(TraceTree::nest(nodes).into_iter().next()),
            }
        }
    }

    /// Compares the indices of a run with its entries in the log: type, tag, parent, time, status, counters. What is wrong
    /// is a finding of the report.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn verify_indices(&self, run_id: &RunId) -> Result<Report> {
        block_on(self.ledger.verify_indices(Some(run_id)))
    }

    /// Rebuilds the indices of a run from its entries in the log, in one transaction: the same answers and cursors.
    ///
    /// # Errors
    /// `run_not_found`; `corrupt` where an entry cannot be read; `read_only`.
    pub fn rebuild_indices(&self, run_id: &RunId) -> Result<Report> {
        block_on(self.ledger.rebuild_indices(Some(run_id)))
    }

    /// How many traces a run has, from kept counters: this and [`TraceStore::counts`] cost the same however many.
    ///
    /// # Errors
    /// `run_not_found`, `run_erased`.
    pub fn count(&self, run_id: &RunId) -> Result<u64> {
        // The counter of a type that no trace can have: the total alone.
        let nothing = CountsQuery { type_name: Some(String::new()), ..CountsQuery::default() };
        Ok(self.counts(run_id, &nothing)?.total)
    }

    /// How many traces a run has of each type, with each tag and in each status; or of the one that is named.
    ///
    /// # Errors
    /// `run_not_found`, `run_erased`.
    pub fn counts(&self, run_id: &RunId, query: &CountsQuery) -> Result<TraceCounts> {
        block_on(self.ledger.trace_counts(run_id, query))
    }
}

/// New ids, to be known before something is recorded.
pub trait GenerateId {
    /// What the ids are of.
    type Id;

    /// A new id: `trace-` + UUIDv7.
    #[must_use]
    fn generate_id() -> Self::Id;
}

impl GenerateId for Trace {
    type Id = TraceId;

    fn generate_id() -> TraceId {
        Source::default().trace_id()
    }
}
