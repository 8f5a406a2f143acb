//! Faults as a backend: commits that fail in pairs, and reads that fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
use tracekeep_store::{
    Batch, Code, CompareQuery, CountsQuery, Error, GcReport, GcRequest, IncidentQuery, LedgerStore, Page, PageRequest,
    Receipt, Report, Result, RunFilter, RunQuery, RunReport, StoreDurabilityMode, TraceQuery, TreeQuery,
};

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It failed and nothing was applied: `storage_failed`.
    NotApplied,
    /// It was applied, and the answer got lost: `commit_unknown`.
    Applied,
}

/// A read that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailingRead {
    /// Of events.
    Events,
    /// Of one run.
    Run,
}

/// A ledger whose commits fail at chosen calls, and whose chosen reads fail. Everything else passes through.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn LedgerStore>,
    faults: Mutex<BTreeMap<u64, Fault>>,
    reads: Vec<FailingRead>,
    calls: AtomicU64,
}

impl FaultStore {
    /// A decorator that lets everything pass.
    #[must_use]
    pub fn new(inner: Arc<dyn LedgerStore>) -> Self {
        Self { inner, faults: Mutex::default(), reads: Vec::new(), calls: AtomicU64::new(0) }
    }

    /// Makes the commit call number `call`, counted from 0, fail.
    #[must_use]
    pub fn failing(self, call: u64, fault: Fault) -> Self {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).insert(call, fault);
        self
    }

    /// Makes every such read fail: `storage_failed`.
    #[must_use]
    pub fn failing_to_read(mut self, read: FailingRead) -> Self {
        self.reads.push(read);
        self
    }

    fn read(&self, read: FailingRead) -> Result<()> {
        if self.reads.contains(&read) {
            return Err(Error::new(Code::StorageFailed, "an injected fault of a read"));
        }
        Ok(())
    }

    /// Commit calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn next(&self) -> Option<Fault> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).get(&call).copied()
    }
}

fn failed(count: usize, fault: Fault) -> Vec<Result<Receipt>> {
    let error = || match fault {
        Fault::NotApplied => Error::new(Code::StorageFailed, "an injected fault before the commit"),
        Fault::Applied => Error::new(Code::CommitUnknown, "an injected fault of the commit itself"),
    };
    (0..count).map(|_| Err(error())).collect()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LedgerStore for FaultStore {
    fn ledger(&self) -> LedgerId {
        self.inner.ledger()
    }

    fn durability_mode(&self) -> StoreDurabilityMode {
        self.inner.durability_mode()
    }

    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        let (count, fault) = (batches.len(), self.next());
        if fault == Some(Fault::NotApplied) {
            return failed(count, Fault::NotApplied);
        }
        let results = self.inner.commit(batches).await;
        fault.map_or(results, |fault| failed(count, fault))
    }

    fn commit_blocking(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        let (count, fault) = (batches.len(), self.next());
        if fault == Some(Fault::NotApplied) {
            return failed(count, Fault::NotApplied);
        }
        let results = self.inner.commit_blocking(batches);
        fault.map_or(results, |fault| failed(count, fault))
    }

    async fn run(&self, run_id: &RunId) -> Result<Option<Run>> {
        self.read(FailingRead::Run)?;
        self.inner.run(run_id).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<Page<Run>> {
        self.inner.runs(query).await
    }

    async fn run_count(&self, filter: &RunFilter) -> Result<RunCount> {
        self.inner.run_count(filter).await
    }

    async fn step(&self, run_id: &RunId, index: u32) -> Result<Option<Step>> {
        self.inner.step(run_id, index).await
    }

    async fn steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<Step>> {
        self.inner.steps(run_id, page).await
    }

    async fn compare(&self, a: &RunId, b: &RunId, query: &CompareQuery) -> Result<Comparison> {
        self.inner.compare(a, b, query).await
    }

    async fn matches(&self, run_id: &RunId) -> Result<Matches> {
        self.inner.matches(run_id).await
    }

    async fn baseline(&self, name: &BaselineName) -> Result<Option<Baseline>> {
        self.inner.baseline(name).await
    }

    async fn baselines(&self, page: &PageRequest) -> Result<Page<Baseline>> {
        self.inner.baselines(page).await
    }

    async fn trace(&self, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>> {
        self.inner.trace(run_id, id).await
    }

    async fn traces(&self, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>> {
        self.inner.traces(run_id, query).await
    }

    async fn trace_counts(&self, run_id: &RunId, query: &CountsQuery) -> Result<TraceCounts> {
        self.inner.trace_counts(run_id, query).await
    }

    async fn verify_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        self.inner.verify_indices(run_id).await
    }

    async fn verify_run(&self, run_id: &RunId) -> Result<RunReport> {
        self.inner.verify_run(run_id).await
    }

    async fn rebuild_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        self.inner.rebuild_indices(run_id).await
    }

    async fn tree(&self, run_id: &RunId, query: &TreeQuery) -> Result<Page<TreeNode>> {
        self.inner.tree(run_id, query).await
    }

    async fn audit(&self, run_id: &RunId) -> Result<AuditSummary> {
        self.inner.audit(run_id).await
    }

    async fn expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        self.inner.expectations(run_id, page).await
    }

    async fn acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        self.inner.acks(run_id, page).await
    }

    async fn verdict_at(&self, log_index: u64) -> Result<AuditVerdict> {
        self.inner.verdict_at(log_index).await
    }

    async fn pending_runs(&self, page: &PageRequest) -> Result<Page<PendingRun>> {
        self.inner.pending_runs(page).await
    }

    async fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<UnsealedRun>> {
        self.inner.unsealed_runs(before, limit).await
    }

    async fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        self.inner.due_runs(before, limit).await
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<Incident>> {
        self.inner.incident(id).await
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>> {
        self.inner.incidents(query).await
    }

    async fn holds(&self, page: &PageRequest) -> Result<Page<Held>> {
        self.inner.holds(page).await
    }

    async fn signing_keys(&self, page: &PageRequest) -> Result<Page<DeclaredKey>> {
        self.inner.signing_keys(page).await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        self.inner.gc(request).await
    }

    async fn head(&self) -> Result<Head> {
        self.inner.head().await
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<LogEntry>> {
        self.inner.entries(from, limit).await
    }

    async fn run_entries(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<LogEntry>> {
        self.inner.run_entries(run_id, page).await
    }

    async fn events(&self, from: u64, limit: u32) -> Result<Vec<LogEvent>> {
        self.read(FailingRead::Events)?;
        self.inner.events(from, limit).await
    }

    async fn inclusion(&self, log_index: u64, size: Option<u64>) -> Result<InclusionProof> {
        self.inner.inclusion(log_index, size).await
    }

    async fn multiproof(&self, indices: &[u64], size: Option<u64>) -> Result<Multiproof> {
        self.inner.multiproof(indices, size).await
    }

    async fn consistency(&self, from: u64, to: Option<u64>) -> Result<ConsistencyProof> {
        self.inner.consistency(from, to).await
    }
}
