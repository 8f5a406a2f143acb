//! Runs and their steps.

use std::sync::Arc;

use tracekeep_audit::Contract;
use tracekeep_core::compare::Comparison;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{BaselineName, CorrelationId, RunId};
use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::matches::Matches;
use tracekeep_core::model::{CompleteRun, FinalStatus, Op, RecordStep, RunStatus, SetBaseline, StartRun};
use tracekeep_core::view::{Baseline, Run, RunCount, Step};
use tracekeep_core::{TimeRange, Timestamp};
use tracekeep_store::{
    AuditStore, Batch, Code, CompareQuery, Error, ErrorKind, LedgerStore, Order, Page, PageRequest, Receipt, Result,
    RunFilter, RunQuery, RunReport, Source, block_on, commit_with_held,
};

use crate::open::{commit, no_answer};

/// Runs and their steps: a stateless handle, cheap to clone.
///
/// Every write is durable when it returns. The same again is a duplicate and gives the original's answer; other content
/// under the same identity is a `conflict`.
#[doc(alias = "TraceStore")]
#[derive(Clone, Debug)]
pub struct RunStore {
    pub(crate) ledger: Arc<dyn LedgerStore>,
    /// What holds facts of audits in front of the ledger.
    pub(crate) audit: Option<Arc<dyn AuditStore>>,
}

impl RunStore {
    /// A handle over a ledger.
    #[must_use]
    pub fn new(ledger: Arc<dyn LedgerStore>) -> Self {
        Self { ledger, audit: None }
    }

    /// A handle over a ledger that `audit` holds facts in front of: a seal holds those.
    #[must_use]
    pub fn behind(ledger: Arc<dyn LedgerStore>, audit: Arc<dyn AuditStore>) -> Self {
        Self { ledger, audit: Some(audit) }
    }

    /// A new run's id: `run-` + UUIDv7.
    #[must_use]
    pub fn generate_run_id() -> RunId {
        Source::default().run_id()
    }

    /// A new correlation id: UUIDv4.
    #[must_use]
    pub fn generate_correlation_id() -> CorrelationId {
        Source::default().correlation_id()
    }

    /// Starts a run and gives its id.
    ///
    /// # Errors
    /// Refused input; `conflict` where the id holds another start.
    #[doc(alias = "start_trace")]
    pub fn start_run(&self, run: StartRun) -> Result<RunId> {
        let receipt = commit(&self.ledger, Batch::one(Op::StartRun(run)))?;
        receipt.ops.into_iter().next().and_then(|op| op.run_id).ok_or_else(no_answer)
    }

    /// Starts a run and declares a contract for it, in one batch: both, or neither. Again it is a duplicate.
    ///
    /// ```
    /// use tracekeep::{StartRun, Tracekeep, standard_contract};
    ///
    /// let tracekeep = Tracekeep::open_in_memory();
    /// let contract = standard_contract("standard").expect("the usual one");
    /// let run = tracekeep.runs().start_run_under(StartRun::default(), &contract)?;
    /// assert_eq!(tracekeep.audit().summary(&run)?.expectations, 5);
    /// # Ok::<(), tracekeep::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`RunStore::start_run`]; `conflict` also where the contract was declared otherwise.
    pub fn start_run_under(&self, mut run: StartRun, contract: &Contract) -> Result<RunId> {
        let run_id = run.run_id.get_or_insert_with(Self::generate_run_id).clone();
        let expected = contract.expectations(&run_id).into_iter().map(Op::Expect);
        commit(&self.ledger, Batch::of(std::iter::once(Op::StartRun(run)).chain(expected).collect()))?;
        Ok(run_id)
    }

    /// Records a step.
    ///
    /// # Errors
    /// Refused input; `run_not_found`; `conflict` where the index holds another step; `sealed`; `hash_mismatch` where a
    /// claimed hash is wrong.
    pub fn record_step(&self, step: RecordStep) -> Result<Receipt> {
        commit(&self.ledger, Batch::one(Op::RecordStep(step)))
    }

    /// Ends a run and seals it.
    ///
    /// # Errors
    /// `run_not_found`; `conflict` where it ended otherwise.
    #[doc(alias = "complete_trace")]
    pub fn complete_run(&self, run_id: &RunId, status: FinalStatus) -> Result<Receipt> {
        self.complete_run_with(CompleteRun::new(run_id.clone(), status))
    }

    /// Ends a run with a reason, metadata and claims, and seals it.
    ///
    /// # Errors
    /// As [`RunStore::complete_run`]; `hash_mismatch` where a claim is wrong.
    #[doc(alias = "update_trace_determinism")]
    pub fn complete_run_with(&self, end: CompleteRun) -> Result<Receipt> {
        let answer = self.commit_all(vec![Batch::one(Op::CompleteRun(end))]).pop();
        answer.unwrap_or_else(|| Err(no_answer()))
    }

    /// Commits, with what is held in front of the ledger.
    pub(crate) fn commit_all(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        match &self.audit {
            None => self.ledger.commit_blocking(batches),
            Some(audit) => block_on(commit_with_held(&*self.ledger, &**audit, batches)),
        }
    }

    /// A run; `None` where it is unknown.
    ///
    /// # Errors
    /// Failures of the storage.
    #[doc(alias = "get_trace")]
    pub fn get_run(&self, run_id: &RunId) -> Result<Option<Run>> {
        block_on(self.ledger.run(run_id))
    }

    /// A step; `None` where run or step is unknown.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn get_step(&self, run_id: &RunId, index: u32) -> Result<Option<Step>> {
        block_on(self.ledger.step(run_id, index))
    }

    /// A page of a run's steps, by index.
    ///
    /// # Errors
    /// `run_not_found`, `invalid_parameter`, `invalid_cursor`.
    pub fn get_steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<Step>> {
        block_on(self.ledger.steps(run_id, page))
    }

    /// A page of runs, newest first unless told: which, sorted by what, in which direction.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    #[doc(alias = "list_traces")]
    pub fn list_runs(&self, query: &RunQuery) -> Result<Page<Run>> {
        block_on(self.ledger.runs(query))
    }

    /// A page of the runs that fit, newest first; where the filter bounds a cost or a duration, the greatest of it first.
    ///
    /// By one attribute, with any range of times, a page costs what it returns; [`RunFilter`] says how others are found.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    #[doc(alias = "search_traces")]
    pub fn search_runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>> {
        self.list_runs(&RunQuery { filter: filter.clone(), page: page.clone(), ..RunQuery::default() })
    }

    /// The run that was sealed with a root hash, the earliest of several: those all did the same. `None` where there is
    /// none.
    ///
    /// # Errors
    /// Failures of the storage.
    #[doc(alias = "get_trace_by_root_hash")]
    pub fn get_run_by_root_hash(&self, root_hash: Hash) -> Result<Option<Run>> {
        let filter = RunFilter { root_hash: Some(root_hash), ..RunFilter::default() };
        Ok(self.oldest_first(filter, &PageRequest::first(1))?.items.pop())
    }

    /// A page of the runs of a plan with a seed, oldest first: what should all have done the same.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    #[doc(alias = "find_matching_traces")]
    pub fn find_matching_runs(&self, plan_hash: Hash, seed: i64, page: &PageRequest) -> Result<Page<Run>> {
        self.oldest_first(RunFilter { plan_hash: Some(plan_hash), seed: Some(seed), ..RunFilter::default() }, page)
    }

    /// A page of the runs that name a run as their parent, oldest first; none where the parent is unknown.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    pub fn get_children(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<Run>> {
        self.oldest_first(RunFilter { parent: Some(run_id.to_string()), ..RunFilter::default() }, page)
    }

    /// A page of the runs that a correlation id ties together, oldest first.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    pub fn get_correlated(&self, correlation_id: &CorrelationId, page: &PageRequest) -> Result<Page<Run>> {
        self.oldest_first(RunFilter { correlation: Some(correlation_id.to_string()), ..RunFilter::default() }, page)
    }

    fn oldest_first(&self, filter: RunFilter, page: &PageRequest) -> Result<Page<Run>> {
        self.list_runs(&RunQuery { filter, order: Order::Oldest, page: page.clone(), ..RunQuery::default() })
    }

    /// Aborts, for a reason, runs that are running although they started before a time, the oldest first and `limit` of
    /// them at most; gives those that it aborted. Fewer than `limit` were all.
    ///
    /// A telemetry run whose root span has ended is left alone: it is as complete as telemetry says. So is one that somebody
    /// else completes meanwhile.
    ///
    /// # Errors
    /// Refused input; failures of the storage. What was aborted before it stays aborted: the same again goes on.
    pub fn abort_stale_runs(&self, started_before: Timestamp, reason: &str, limit: u32) -> Result<Vec<RunId>> {
        let time = TimeRange::new(None, Some(started_before));
        let filter = RunFilter { status: Some(RunStatus::Running), time, ..RunFilter::default() };
        let (mut aborted, mut cursor) = (Vec::new(), None);
        loop {
            let left = limit.saturating_sub(u32::try_from(aborted.len()).unwrap_or(u32::MAX));
            if left == 0 {
                return Ok(aborted);
            }
            let page = PageRequest { limit: left.min(PAGE_ITEMS_MAX), cursor };
            let page = self.oldest_first(filter.clone(), &page)?;
            let stale: Vec<_> =
                page.items.into_iter().filter(|run| run.root_ended_at.is_none()).map(|run| run.run_id).collect();
            let ends = stale.iter().map(|run_id| {
                let end = CompleteRun::new(run_id.clone(), FinalStatus::Aborted);
                Batch::one(Op::CompleteRun(CompleteRun { termination_reason: Some(reason.to_owned()), ..end }))
            });
            for (run_id, ended) in stale.iter().zip(self.commit_all(ends.collect())) {
                match ended {
                    Ok(_) => aborted.push(run_id.clone()),
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    Err(error) => return Err(error.strip("/ops/0")),
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(aborted);
            }
        }
    }

    /// How many runs fit. All of them, or those of a status, stand in kept counters; others are counted as far as the
    /// budget of one page goes, and the answer says so.
    ///
    /// # Errors
    /// `invalid_parameter`.
    #[doc(alias = "get_trace_count")]
    pub fn run_count(&self, filter: &RunFilter) -> Result<RunCount> {
        block_on(self.ledger.run_count(filter))
    }

    /// Makes a sealed run the baseline of a name. A later one takes its place; the same again is a duplicate.
    ///
    /// # Errors
    /// `run_not_found`; `run_running` where it has no seal yet; `erased`.
    pub fn set_baseline(&self, baseline: SetBaseline) -> Result<Receipt> {
        commit(&self.ledger, Batch::one(Op::SetBaseline(baseline)))
    }

    /// What a name stands for; `None` where it stands for nothing.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn get_baseline(&self, name: &BaselineName) -> Result<Option<Baseline>> {
        block_on(self.ledger.baseline(name))
    }

    /// A page of what names stand for, in the order in which that was said.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    pub fn list_baselines(&self, page: &PageRequest) -> Result<Page<Baseline>> {
        block_on(self.ledger.baselines(page))
    }

    /// Compares a run with the baseline of a name, which is the first of the two.
    ///
    /// # Errors
    /// `baseline_not_found`; as [`RunStore::compare`].
    pub fn check(&self, run_id: &RunId, name: &BaselineName, query: &CompareQuery) -> Result<Comparison> {
        let missing = || Error::new(Code::BaselineNotFound, format!("{name} stands for no run"));
        let baseline = self.get_baseline(name)?.ok_or_else(missing)?;
        self.compare(&baseline.run_id, run_id, query)
    }

    /// The runs of a run's plan and seed by how they came out: how often, which ones, and at which steps they differ.
    ///
    /// # Errors
    /// `run_not_found`; failures of the storage.
    pub fn matches(&self, run_id: &RunId) -> Result<Matches> {
        block_on(self.ledger.matches(run_id))
    }

    /// Recomputes a run from its entries in the log: commitments, places in the ledger's tree, hashes, seals, indices. What
    /// is wrong is a finding of the report, not an error.
    ///
    /// # Errors
    /// `run_not_found`; failures of the storage.
    pub fn verify_run(&self, run_id: &RunId) -> Result<RunReport> {
        block_on(self.ledger.verify_run(run_id))
    }

    /// Compares two runs: whether they did the same, where they part, and a page of what differs.
    ///
    /// ```
    /// use tracekeep::{CompareQuery, FinalStatus, Json, RecordStep, StartRun, Tracekeep, Verdict};
    ///
    /// let tracekeep = Tracekeep::open_in_memory();
    /// let run = |city: &str| -> Result<_, Box<dyn std::error::Error>> {
    ///     let run = tracekeep.runs().start_run(StartRun::default())?;
    ///     let params = Json::parse(&format!(r#"{{"to":"{city}"}}"#))?;
    ///     tracekeep.runs().record_step(RecordStep::new(run.clone(), 0, "search", params))?;
    ///     tracekeep.runs().complete_run(&run, FinalStatus::Completed)?;
    ///     Ok(run)
    /// };
    /// let (a, b) = (run("Lisbon")?, run("Porto")?);
    /// let compared = tracekeep.runs().compare(&a, &b, &CompareQuery::default())?;
    /// assert_eq!(compared.verdict, Verdict::Diverged);
    /// let first = compared.first_divergence.expect("diverged runs part somewhere");
    /// assert_eq!((first.step, first.fields[0].field.as_str()), (Some(0), "params"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `run_not_found`, `invalid_parameter`, `invalid_cursor`.
    pub fn compare(&self, a: &RunId, b: &RunId, query: &CompareQuery) -> Result<Comparison> {
        block_on(self.ledger.compare(a, b, query))
    }
}
