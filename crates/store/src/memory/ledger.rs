//! The ledger over the index: batches in, answers out, under one lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::compare::Comparison;
use tracekeep_core::id::{BaselineName, IncidentId, LedgerId, RunId, TraceId};
use tracekeep_core::matches::Matches;
use tracekeep_core::model::EffectGate;
use tracekeep_core::view::{
    Baseline, ConsistencyProof, DeclaredKey, Head, Held, Incident, InclusionProof, LogEntry, LogEvent, Multiproof, Run,
    RunCount, Step, Trace, TraceCounts, TreeNode, UnsealedRun,
};

use super::index::Index;
use crate::audit::StoreDurabilityMode;
use crate::batch::{Batch, Prepared};
use crate::error::{Code, Error, Result};
use crate::ledger::LedgerStore;
use crate::plan::{Context, decide, fetch, needs};
use crate::query::{
    CompareQuery, CountsQuery, IncidentQuery, Page, PageRequest, RunFilter, RunQuery, TraceQuery, TreeQuery,
};
use crate::read;
use crate::receipt::Receipt;
use crate::redact::Redaction;
use crate::report::{Report, Wrong};
use crate::retention::{self, GcReport, GcRequest};
use crate::snapshot::Snapshot;
use crate::source::Source;
use crate::verification::RunReport;

/// A ledger in memory: gone with its process. For tests, and for mode local.
#[doc(alias = "InMemoryTraceStore")]
#[derive(Debug)]
pub struct MemoryLedger {
    source: Source,
    rules: Redaction,
    effect_gate: Option<EffectGate>,
    index: Mutex<Index>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new(Source::default())
    }
}

impl MemoryLedger {
    /// An empty ledger whose times, ids and random bytes come from `source`.
    #[must_use]
    pub fn new(source: Source) -> Self {
        let index = Index::new(source.ledger_id());
        Self { source, rules: Redaction::none(), effect_gate: None, index: Mutex::new(index) }
    }

    /// The same, with what `rules` find taken out of every op at the door.
    #[must_use]
    pub fn redacting(self, rules: Redaction) -> Self {
        Self { rules, ..self }
    }

    /// The same, stating on each run where the gate of its effects is kept.
    #[must_use]
    pub fn stating(self, effect_gate: EffectGate) -> Self {
        Self { effect_gate: Some(effect_gate), ..self }
    }

    /// A batch is applied after it was decided, by steps that cannot fail: a poisoned lock guards whole rows.
    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_one(&self, prepared: &Prepared, index: &mut Index) -> Result<Receipt> {
        let found = fetch(&needs(prepared), index)?;
        let recorded_at = self.source.now().max(index.clock()?);
        let context = Context { ledger: index.ledger(), recorded_at, size: index.size() };
        let planned = decide(prepared, &found, &context)?;
        for (entry, leaf) in planned.entries.into_iter().zip(planned.leaves) {
            index.append(entry, leaf);
        }
        for change in planned.changes {
            index.apply(change);
        }
        let root = read::root_at(index, planned.decision.tree_size)?;
        Ok(planned.decision.receipt(root))
    }
}

fn known(index: &Index, run_id: Option<&RunId>) -> Result<()> {
    let Some(run_id) = run_id else { return Ok(()) };
    let known = index.run(run_id)?.is_some() || index.erased(run_id)?.is_some();
    if known { Ok(()) } else { Err(Error::new(Code::RunNotFound, format!("no run {run_id} is recorded"))) }
}

/// States the log's size, and of the whole ledger its root.
fn stated(mut report: Report, index: &Index, run_id: Option<&RunId>) -> Result<Report> {
    let head = read::head(index)?;
    report.tree_size = head.tree_size;
    if run_id.is_none() {
        report.head(head.tree_size, head.root);
    }
    Ok(report)
}

#[async_trait]
impl LedgerStore for MemoryLedger {
    fn ledger(&self) -> LedgerId {
        self.lock().ledger()
    }

    fn durability_mode(&self) -> StoreDurabilityMode {
        StoreDurabilityMode::Memory
    }

    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        let prepared: Vec<_> =
            batches.into_iter().map(|batch| batch.prepare(&self.source, &self.rules, self.effect_gate)).collect();
        let mut index = self.lock();
        prepared.into_iter().map(|prepared| self.commit_one(&prepared?, &mut index)).collect()
    }

    async fn run(&self, run_id: &RunId) -> Result<Option<Run>> {
        read::run(&*self.lock(), run_id)
    }

    async fn runs(&self, query: &RunQuery) -> Result<Page<Run>> {
        read::runs(&*self.lock(), query)
    }

    async fn run_count(&self, filter: &RunFilter) -> Result<RunCount> {
        read::run_count(&*self.lock(), filter)
    }

    async fn step(&self, run_id: &RunId, index: u32) -> Result<Option<Step>> {
        read::step(&*self.lock(), run_id, index)
    }

    async fn steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<Step>> {
        read::steps(&*self.lock(), run_id, page)
    }

    async fn compare(&self, a: &RunId, b: &RunId, query: &CompareQuery) -> Result<Comparison> {
        read::compare(&*self.lock(), a, b, query)
    }

    async fn matches(&self, run_id: &RunId) -> Result<Matches> {
        read::matches(&*self.lock(), run_id)
    }

    async fn baseline(&self, name: &BaselineName) -> Result<Option<Baseline>> {
        read::baseline(&*self.lock(), name)
    }

    async fn baselines(&self, page: &PageRequest) -> Result<Page<Baseline>> {
        read::baselines(&*self.lock(), page)
    }

    async fn trace(&self, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>> {
        read::trace(&*self.lock(), run_id, id)
    }

    async fn traces(&self, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>> {
        read::traces(&*self.lock(), run_id, query)
    }

    async fn trace_counts(&self, run_id: &RunId, query: &CountsQuery) -> Result<TraceCounts> {
        read::trace_counts(&*self.lock(), run_id, query)
    }

    /// One run is checked with all.
    async fn verify_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        let index = self.lock();
        known(&index, run_id)?;
        let mut report = Report::default();
        if let Some(again) = report.note("log", index.rebuilt())? {
            for name in again.differences(&index) {
                report.find(Wrong::RowDiffers, name, "the index is not what the log says");
            }
        }
        stated(report, &index, run_id)
    }

    async fn verify_run(&self, run_id: &RunId) -> Result<RunReport> {
        let mut report = read::verify_run(&*self.lock(), run_id)?;
        report.indices(self.verify_indices(Some(run_id)).await?);
        Ok(report)
    }

    async fn rebuild_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        let mut index = self.lock();
        known(&index, run_id)?;
        *index = index.rebuilt()?;
        stated(Report::default(), &index, run_id)
    }

    async fn tree(&self, run_id: &RunId, query: &TreeQuery) -> Result<Page<TreeNode>> {
        read::tree(&*self.lock(), run_id, query)
    }

    async fn audit(&self, run_id: &RunId) -> Result<AuditSummary> {
        let index = self.lock();
        read::audit(&*index, run_id, self.source.now().max(index.clock()?))
    }

    async fn expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        let index = self.lock();
        read::expectations(&*index, run_id, page, self.source.now().max(index.clock()?))
    }

    async fn acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        read::acks(&*self.lock(), run_id, page)
    }

    async fn verdict_at(&self, log_index: u64) -> Result<AuditVerdict> {
        read::verdict_at(&*self.lock(), log_index)
    }

    async fn pending_runs(&self, page: &PageRequest) -> Result<Page<PendingRun>> {
        let index = self.lock();
        read::pending(&*index, page, self.source.now().max(index.clock()?))
    }

    async fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<UnsealedRun>> {
        read::unsealed(&*self.lock(), before, limit)
    }

    async fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        read::due(&*self.lock(), before, limit)
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<Incident>> {
        read::incident(&*self.lock(), id)
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>> {
        read::incidents(&*self.lock(), query)
    }

    async fn holds(&self, page: &PageRequest) -> Result<Page<Held>> {
        read::holds(&*self.lock(), page)
    }

    async fn signing_keys(&self, page: &PageRequest) -> Result<Page<DeclaredKey>> {
        read::signing_keys(&*self.lock(), page)
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        let now = self.source.now().max(self.lock().clock()?);
        let commit = |batches: Vec<Batch>| self.commit_blocking(batches);
        retention::gc(
            request,
            now,
            |before, from, limit| retention::expired(&*self.lock(), before, from, limit),
            commit,
        )
    }

    async fn head(&self) -> Result<Head> {
        read::head(&*self.lock())
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<LogEntry>> {
        read::entries(&*self.lock(), from, limit)
    }

    async fn run_entries(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<LogEntry>> {
        read::run_entries(&*self.lock(), run_id, page)
    }

    async fn events(&self, from: u64, limit: u32) -> Result<Vec<LogEvent>> {
        read::events(&*self.lock(), from, limit)
    }

    async fn inclusion(&self, log_index: u64, size: Option<u64>) -> Result<InclusionProof> {
        read::inclusion(&*self.lock(), log_index, size)
    }

    async fn multiproof(&self, indices: &[u64], size: Option<u64>) -> Result<Multiproof> {
        read::multiproof(&*self.lock(), indices, size)
    }

    async fn consistency(&self, from: u64, to: Option<u64>) -> Result<ConsistencyProof> {
        read::consistency(&*self.lock(), from, to)
    }
}
