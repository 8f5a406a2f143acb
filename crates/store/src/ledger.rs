//! The ledger: what every backend implements.

use std::fmt::Debug;

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::compare::Comparison;
use tracekeep_core::id::{BaselineName, IncidentId, LedgerId, RunId, TraceId};
use tracekeep_core::matches::Matches;
use tracekeep_core::view::{
    Baseline, ConsistencyProof, DeclaredKey, Head, Held, Incident, InclusionProof, LogEntry, LogEvent, Multiproof, Run,
    RunCount, Step, Trace, TraceCounts, TreeNode, UnsealedRun,
};

use crate::audit::StoreDurabilityMode;
use crate::batch::Batch;
use crate::error::Result;
use crate::query::{
    CompareQuery, CountsQuery, IncidentQuery, Page, PageRequest, RunFilter, RunQuery, TraceQuery, TreeQuery,
};
use crate::receipt::Receipt;
use crate::report::Report;
use crate::retention::{GcReport, GcRequest};
use crate::verification::RunReport;

/// One tenant's append-only log and the indices over it. A handle to a ledger is the only way to its data.
///
/// # Contract
///
/// **Commit.** Each batch is recorded whole or not at all. When its result is `Ok`, it is durable as far as the backend
/// promises (memory promises nothing; SQLite: it survives kill -9 and power loss), its entries stand in the log exactly
/// once, and every read that starts from now on sees them. Batches of one call are decided in order, each seeing the ones
/// before it; one that is refused leaves no trace and does not disturb the others. The same batch again is a duplicate
/// and gets the original receipt.
///
/// **Errors.** `outcome()` says whether the write may have happened. An error before COMMIT means *not applied*, for
/// every batch of the call; an error of COMMIT itself means *unknown*, and sending the same again is safe: it is a
/// duplicate if it happened. `is_retryable()` says whether sending it again can help.
///
/// **Reads.** Each call answers from one consistent state that holds every batch acknowledged before the call began, and
/// no half of any batch. Lists are bounded (50 items unless told, 1,000 at most), in a total order, and paged by cursors:
/// a walk returns, once each, the items below the log size of its first page that match throughout the walk. What is
/// read of a run that was erased is `run_erased`, which carries the redaction; its proofs and indices are still checked.
///
/// **Concurrency.** Everything may be called from any thread at any time. Two calls that write the same identity are
/// ordered by the log: the first wins.
///
/// The futures need no runtime: an embedded backend does its work on the calling thread, or completes from its writer's.
#[async_trait]
pub trait LedgerStore: Debug + Send + Sync + 'static {
    /// The ledger's id.
    fn ledger(&self) -> LedgerId;

    /// What is recorded survives: the process, where nothing else is said. Of a ledger on a server, that one has a say.
    fn durability_mode(&self) -> StoreDurabilityMode {
        StoreDurabilityMode::Sqlite
    }

    /// Commits batches, all of them in one transaction. One result for each, in order.
    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>>;

    /// The same for callers without an async runtime; a backend may do it on the calling thread.
    fn commit_blocking(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        crate::block_on(self.commit(batches))
    }

    /// A run; `None` where it is unknown.
    async fn run(&self, run_id: &RunId) -> Result<Option<Run>>;

    /// Runs by (what the query sorts by, log index).
    async fn runs(&self, query: &RunQuery) -> Result<Page<Run>>;

    /// How many runs fit: all of them, or those of a status, from kept counters; else counted, as far as the budget of one
    /// page goes.
    async fn run_count(&self, filter: &RunFilter) -> Result<RunCount>;

    /// A step; `None` where run or step is unknown.
    async fn step(&self, run_id: &RunId, index: u32) -> Result<Option<Step>>;

    /// The steps of a run by index; `run_not_found` where it is unknown.
    async fn steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<Step>>;

    /// Compares two runs by their seals' hashes, and lists where they differ: header, steps by index, end.
    /// `run_not_found`.
    ///
    /// The first divergence is found by a walk over the runs' step rows, which starts behind the subtrees that both
    /// begin with; bodies are read only where leaves differ. A page ends once it has its differences, 8 MiB of bodies, or
    /// has passed [`COMPARED_STEPS_MAX`](tracekeep_core::limits::COMPARED_STEPS_MAX) steps beyond the first divergence.
    async fn compare(&self, a: &RunId, b: &RunId, query: &CompareQuery) -> Result<Comparison>;

    /// The sealed runs of a run's plan and seed by how they came out, and the places where they differ; none where it has
    /// no plan. `run_not_found`. Looks at the latest [`SCAN_ROWS_MAX`](tracekeep_core::limits::SCAN_ROWS_MAX) of them,
    /// and says where it stopped before it had seen everything.
    async fn matches(&self, run_id: &RunId) -> Result<Matches>;

    /// What a name stands for; `None` where it stands for nothing.
    async fn baseline(&self, name: &BaselineName) -> Result<Option<Baseline>>;

    /// What names stand for, in the order in which that was said.
    async fn baselines(&self, page: &PageRequest) -> Result<Page<Baseline>>;

    /// A trace; `None` where run or trace is unknown.
    async fn trace(&self, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>>;

    /// Traces of a run by (occurred_at, log index); `run_not_found` where it is unknown.
    async fn traces(&self, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>>;

    /// How many traces a run has of each type, with each tag and in each status, from kept counters; `run_not_found` where
    /// it is unknown.
    async fn trace_counts(&self, run_id: &RunId, query: &CountsQuery) -> Result<TraceCounts>;

    /// Compares the indices with what the log says, of one run or of the whole ledger: what is wrong is a finding of the
    /// report, not an error. `run_not_found`. Costs as much as the log from the run's start on.
    ///
    /// The text index is compared with the whole ledger alone. Over HTTP one run can be asked for.
    async fn verify_indices(&self, run_id: Option<&RunId>) -> Result<Report>;

    /// Recomputes a run from its entries in the log: commitments, places in the ledger's tree, hashes of steps and plan,
    /// all that each seal states, and the indices. What is wrong is a finding of the report, not an error; what was
    /// erased is counted as withheld. `run_not_found`. Costs as much as the log from the run's start on.
    async fn verify_run(&self, run_id: &RunId) -> Result<RunReport>;

    /// Puts indices that are rebuilt from the log in the place of those that are there, of one run or of the whole ledger,
    /// in one transaction: readers see the old ones or the new, with the same answers and cursors. Writers wait.
    /// `run_not_found`; `corrupt` where the log itself cannot be walked to its end, and nothing is changed then.
    async fn rebuild_indices(&self, run_id: Option<&RunId>) -> Result<Report>;

    /// The run's forest, or the tree under one trace, flat in pre-order; `run_not_found`, `trace_not_found`.
    ///
    /// All pages of a walk show the forest as it was at the first one. A page passes over at most
    /// [`SCAN_ROWS_MAX`](tracekeep_core::limits::SCAN_ROWS_MAX) rows that came later, and half as many levels on its way
    /// up; then it may be short, even empty, with a cursor. [`TreeNode::children`] counts what there is now.
    async fn tree(&self, run_id: &RunId, query: &TreeQuery) -> Result<Page<TreeNode>>;

    /// A run's audit in short, as it stands now; `run_not_found`. Costs as much as the run has facts, at most 11,000 rows.
    async fn audit(&self, run_id: &RunId) -> Result<AuditSummary>;

    /// What is expected of a run, by log index, each with where it stands now; `run_not_found`. Costs as
    /// [`LedgerStore::audit`].
    async fn expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>>;

    /// What was acknowledged in a run, by log index; `run_not_found`.
    async fn acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>>;

    /// The verdict that an entry states, of a receipt for a `reconcile` or of a seal; `entry_not_found` where it states
    /// none.
    async fn verdict_at(&self, log_index: u64) -> Result<AuditVerdict>;

    /// Runs that wait for something that is neither acknowledged nor cleared, overdue or not, reconciled or not, by
    /// (started_at as first recorded, log index).
    async fn pending_runs(&self, page: &PageRequest) -> Result<Page<PendingRun>>;

    /// Telemetry that waits for a seal and of which nothing came since `before`, the longest quiet first, at most `limit` (1 to
    /// 1,000). Costs what it returns.
    async fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<UnsealedRun>>;

    /// Runs that something falls due of before `before`, the earliest first, at most `limit` (1 to 1,000). Costs what it
    /// returns, however many runs are pending; so none says since when it is overdue, as those that wait do.
    async fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>>;
    /// An incident; `None` where it is unknown; `run_erased` where its run was erased.
    async fn incident(&self, id: &IncidentId) -> Result<Option<Incident>>;

    /// Incidents by (created_at, log index).
    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>>;
    /// The keys that sign the log's checkpoints, in the order in which they were declared: the last one signs now.
    async fn signing_keys(&self, page: &PageRequest) -> Result<Page<DeclaredKey>>;

    /// What is held now, in the order in which it came to be.
    async fn holds(&self, page: &PageRequest) -> Result<Page<Held>>;

    /// Erases runs that ended long enough ago by the ledger's own clock, at most as many as one call may, in the order in
    /// which they began; gives back to the file system the room that they took. Runs that have not ended or are held are
    /// passed over. Each run is erased whole or not at all; others write meanwhile. Where an error ends the call, what was
    /// erased stays erased, and the same again goes on.
    async fn gc(&self, request: &GcRequest) -> Result<GcReport>;

    /// The log's size and root.
    async fn head(&self) -> Result<Head>;

    /// Entries of the log from `from` on, at most `limit` (1 to 1,000).
    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<LogEntry>>;

    /// A run's entries in the order of the log, as [`LedgerStore::entries`] gives them; `run_not_found`. Costs as much as
    /// the log from the run's start on: a page ends, too, once it has passed
    /// [`SCAN_ROWS_MAX`](tracekeep_core::limits::SCAN_ROWS_MAX) entries, and may then hold fewer than it could.
    async fn run_entries(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<LogEntry>>;

    /// Where the entries from `from` on stand, at most `limit` (1 to 1,000). A backend that holds them reads no bodies.
    async fn events(&self, from: u64, limit: u32) -> Result<Vec<LogEvent>>;

    /// Proves that an entry is in the log of `size` entries (the head where absent); `entry_not_found`.
    async fn inclusion(&self, log_index: u64, size: Option<u64>) -> Result<InclusionProof>;

    /// Proves, by one proof, that entries are in the log of `size` entries (the head where absent): log
    /// indices, ascending, each once; over HTTP at most [`PROVED_MAX`](tracekeep_core::limits::PROVED_MAX) of them.
    /// `entry_not_found`, `invalid_parameter`. Reads at most as many tiles as the proof has nodes.
    async fn multiproof(&self, indices: &[u64], size: Option<u64>) -> Result<Multiproof>;

    /// Proves that the log of `to` entries (the head where absent) extends that of `from` entries.
    async fn consistency(&self, from: u64, to: Option<u64>) -> Result<ConsistencyProof>;
}
