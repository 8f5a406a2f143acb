//! The audit contract.

use std::sync::Arc;

use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, Contract, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::model::{Ack, AckStatus, AuditStatus, Expect};
use tracekeep_store::{AuditStore, Noted, Page, PageRequest, Result, StoreDurabilityMode, block_on};

/// What should happen in runs, and word of what did: a stateless handle, cheap to clone.
///
/// ```
/// use tracekeep::{AckStatus, Expect, StartRun, Tracekeep, VerdictStatus};
///
/// let tracekeep = Tracekeep::open_in_memory();
/// let run = tracekeep.runs().start_run(StartRun::default())?;
/// let audit = tracekeep.audit();
/// audit.add_expectations(vec![Expect::new(run.clone(), "incidents", "create_incident", 5_000)])?;
/// assert_eq!(audit.reconcile(&run)?.status, VerdictStatus::Pending);
/// audit.ack(&run, "incidents", "create_incident", AckStatus::Success)?;
/// assert!(audit.reconcile(&run)?.is_clean());
/// # Ok::<(), tracekeep::Error>(())
/// ```
#[doc(alias = "get_audit_store")]
#[derive(Clone, Debug)]
pub struct Audit {
    store: Arc<dyn AuditStore>,
}

impl Audit {
    /// A handle over a store.
    #[must_use]
    pub fn new(store: Arc<dyn AuditStore>) -> Self {
        Self { store }
    }

    /// The store, for async code.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn AuditStore> {
        &self.store
    }

    /// Where facts are kept.
    #[must_use]
    pub fn durability_mode(&self) -> StoreDurabilityMode {
        self.store.durability_mode()
    }

    /// Whether they survive the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.store.is_durable()
    }

    /// Declares what must happen: all of it, or nothing.
    ///
    /// # Errors
    /// Refused input; `run_not_found`; `conflict`; `too_many` beyond 1,000 of a run.
    pub fn add_expectations(&self, expectations: Vec<Expect>) -> Result<Noted> {
        block_on(self.store.add_expectations(expectations))
    }

    /// Declares a contract for a run; again it is a duplicate.
    ///
    /// # Errors
    /// As [`Audit::add_expectations`].
    pub fn declare(&self, run_id: &RunId, contract: &Contract) -> Result<Noted> {
        self.add_expectations(contract.expectations(run_id))
    }

    /// What is expected of a run, each with where it stands now.
    ///
    /// # Errors
    /// `run_not_found`, `invalid_parameter`, `invalid_cursor`.
    pub fn get_expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        block_on(self.store.get_expectations(run_id, page))
    }

    /// Says by hand where an action stands, until a later acknowledgement; `false` where nothing is expected of it.
    ///
    /// # Errors
    /// Refused input; `run_not_found`.
    pub fn update_expectation_status(
        &self,
        run_id: &RunId,
        domain: &str,
        action: &str,
        status: AuditStatus,
    ) -> Result<bool> {
        block_on(self.store.update_expectation_status(run_id, domain, action, status))
    }

    /// Acknowledges that something was done, failed, or was undone.
    ///
    /// # Errors
    /// Refused input; `run_not_found`; `conflict`; `too_many` beyond 10,000 of a run.
    pub fn add_ack(&self, ack: Ack) -> Result<Noted> {
        block_on(self.store.add_ack(ack))
    }

    /// The same in short.
    ///
    /// # Errors
    /// As [`Audit::add_ack`].
    pub fn ack(&self, run_id: &RunId, domain: &str, action: &str, status: AckStatus) -> Result<Noted> {
        self.add_ack(Ack::new(run_id.clone(), domain, action, status))
    }

    /// What was acknowledged in a run.
    ///
    /// # Errors
    /// `run_not_found`, `invalid_parameter`, `invalid_cursor`.
    pub fn get_acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        block_on(self.store.get_acks(run_id, page))
    }

    /// Watches a run no longer.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn clear_run(&self, run_id: &RunId) -> Result<Noted> {
        block_on(self.store.clear_run(run_id))
    }

    /// Runs with an expectation that is neither acknowledged nor cleared.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    pub fn get_pending_run_ids(&self, page: &PageRequest) -> Result<Page<RunId>> {
        block_on(self.store.get_pending_run_ids(page))
    }

    /// Runs that something falls due of before a time, the earliest first.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        block_on(self.store.due(before, limit))
    }

    /// Compares what should have happened in a run with what did; recorded only where it changed.
    ///
    /// # Errors
    /// `run_not_found`; `expectation_not_found` where there is nothing to compare.
    pub fn reconcile(&self, run_id: &RunId) -> Result<AuditVerdict> {
        block_on(self.store.reconcile(run_id))
    }

    /// A run's audit in short, with the verdict as it would be now and as it was recorded last.
    ///
    /// # Errors
    /// `run_not_found`.
    pub fn summary(&self, run_id: &RunId) -> Result<AuditSummary> {
        block_on(self.store.summary(run_id))
    }

    /// Moves what Redis holds of a run into the ledger; whether there was any.
    ///
    /// # Errors
    /// Failures of the stores.
    pub fn load_from_redis(&self, run_id: &RunId) -> Result<bool> {
        block_on(self.store.load_from_redis(run_id))
    }
}
