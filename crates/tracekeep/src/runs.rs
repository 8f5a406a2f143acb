//! Runs and their steps.

use std::sync::Arc;

use tracekeep_core::compare::Comparison;
use tracekeep_core::id::{CorrelationId, RunId};
use tracekeep_core::model::{CompleteRun, FinalStatus, Op, RecordStep, StartRun};
use tracekeep_core::view::{Run, Step};
use tracekeep_store::{
    Batch, CompareQuery, LedgerStore, Page, PageRequest, Receipt, Result, RunFilter, RunQuery, Source, block_on,
};

use crate::open::{commit, no_answer};

/// Runs and their steps: a stateless handle, cheap to clone.
///
/// Every write is durable when it returns. The same again is a duplicate and gives the original's answer; other content
/// under the same identity is a `conflict`.
#[doc(alias = "TraceStore")]
#[derive(Clone, Debug)]
pub struct RunStore {
    ledger: Arc<dyn LedgerStore>,
}

impl RunStore {
    /// A handle over a ledger.
    #[must_use]
    pub fn new(ledger: Arc<dyn LedgerStore>) -> Self {
        Self { ledger }
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
        commit(&self.ledger, Batch::one(Op::CompleteRun(end)))
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

    /// A page of runs, newest first unless told.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    #[doc(alias = "list_traces")]
    pub fn list_runs(&self, query: &RunQuery) -> Result<Page<Run>> {
        block_on(self.ledger.runs(query))
    }

    /// How many runs fit.
    ///
    /// # Errors
    /// Failures of the storage.
    #[doc(alias = "get_trace_count")]
    pub fn run_count(&self, filter: &RunFilter) -> Result<u64> {
        block_on(self.ledger.run_count(filter))
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
