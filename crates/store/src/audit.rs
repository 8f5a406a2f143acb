//! The audit contract as a store of its own: what a hot path in front of the ledger implements, too.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::id::{ItemId, RunId};
use tracekeep_core::model::{Ack, AuditStatus, ClearAudit, Expect, Op, Reconcile, SetExpectationStatus};
use tracekeep_core::wire::{object, object_field};

use crate::batch::Batch;
use crate::error::{Code, Error, Result};
use crate::held::{HeldListener, HeldWord, ParkedFact};
use crate::ledger::LedgerStore;
use crate::query::{Page, PageRequest};
use crate::receipt::{OpReceipt, Receipt, Recorded};

/// Where an audit is kept, and so what it survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreDurabilityMode {
    /// In the process: gone with it.
    Memory,
    /// In the ledger's file: what was acknowledged survives kill -9 and power loss.
    Sqlite,
    /// In Redis, until it is moved into the ledger.
    Redis,
}

impl StoreDurabilityMode {
    /// Whether what was acknowledged survives the process. Of Redis its own settings decide; whoever opens it asks.
    #[must_use]
    pub const fn is_durable(self) -> bool {
        !matches!(self, Self::Memory)
    }

    /// Demands a durable store.
    ///
    /// # Errors
    /// What is not durable; it names the setting.
    #[doc(alias = "RACDurabilityError")]
    pub const fn demand(self, setting: &'static str) -> std::result::Result<(), DurabilityError> {
        if self.is_durable() { Ok(()) } else { Err(DurabilityError { setting }) }
    }
}

/// A deployment demands a durable store and has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurabilityError {
    /// The setting to change.
    pub setting: &'static str,
}

impl fmt::Display for DurabilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the audit would be gone with the process: set {}", self.setting)
    }
}

impl std::error::Error for DurabilityError {}

object! {
    /// What became of facts that were handed to an [`AuditStore`].
    pub struct Noted {
        /// `recorded` if any was new.
        required outcome: Recorded,
        /// Each of them, in order.
        required facts: Vec<NotedFact>,
    }
}

object! {
    /// What became of one fact of an audit.
    pub struct NotedFact {
        /// Whether it was new.
        required outcome: Recorded,
        /// The expectation or the acknowledgement.
        optional id: ItemId,
        /// Its entry; absent while it is held in front of the ledger.
        optional log_index: u64,
    }
}

object_field!(NotedFact);

impl Noted {
    /// Of facts one by one.
    #[must_use]
    pub fn of(facts: Vec<NotedFact>) -> Self {
        let outcome = facts.iter().map(|fact| fact.outcome).min().unwrap_or(Recorded::Duplicate);
        Self { outcome, facts }
    }
}

impl From<Receipt> for Noted {
    fn from(receipt: Receipt) -> Self {
        let facts = receipt.ops.into_iter();
        let fact = |op: OpReceipt| NotedFact { outcome: op.outcome, id: op.id, log_index: Some(op.log_index) };
        Self { outcome: receipt.outcome, facts: facts.map(fact).collect() }
    }
}

/// What should happen in runs, and word of what did.
///
/// # Contract
///
/// Everything is append-only: an expectation, an acknowledgement and a status are facts, and where an expectation stands is
/// derived from them. The same id again with the same content is a duplicate, with other content a `conflict`. Several
/// writers at once lose nothing. When a write returns `Ok` its fact survives as [`AuditStore::durability_mode`] says. What
/// is returned are copies. Lists are bounded and paged as those of [`LedgerStore`] are. An unknown run is `run_not_found`.
#[async_trait]
pub trait AuditStore: Debug + Send + Sync + 'static {
    /// Where facts are kept.
    fn durability_mode(&self) -> StoreDurabilityMode;

    /// Whether they survive the process.
    fn is_durable(&self) -> bool {
        self.durability_mode().is_durable()
    }

    /// Declares what must happen in a run: all of it, or nothing. 1 to 1,000 at once.
    async fn add_expectations(&self, expectations: Vec<Expect>) -> Result<Noted>;

    /// What is expected of a run, each with where it stands now.
    async fn get_expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>>;

    /// Says by hand where an action stands, until a later acknowledgement; `false` where nothing is expected of it.
    async fn update_expectation_status(
        &self,
        run_id: &RunId,
        domain: &str,
        action: &str,
        status: AuditStatus,
    ) -> Result<bool>;

    /// Acknowledges that something was done, failed, or was undone.
    async fn add_ack(&self, ack: Ack) -> Result<Noted>;

    /// What was acknowledged in a run.
    async fn get_acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>>;

    /// Watches a run no longer, and drops copies outside the ledger; what stands in the ledger stays.
    async fn clear_run(&self, run_id: &RunId) -> Result<Noted>;

    /// Runs with an expectation that is neither acknowledged nor cleared, overdue or not, reconciled or not.
    async fn get_pending_run_ids(&self, page: &PageRequest) -> Result<Page<RunId>>;

    /// Runs that something falls due of before `before`, the earliest first, at most `limit` (1 to 1,000). None says since when
    /// it is overdue: that takes a look at all of its facts, which the list of those that wait has.
    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>>;

    /// Compares what should have happened in a run with what did: facts outside the ledger are moved into it first.
    /// `expectation_not_found` where there is nothing to compare. Recorded only where it changed.
    async fn reconcile(&self, run_id: &RunId) -> Result<AuditVerdict>;

    /// A run's audit in short.
    async fn summary(&self, run_id: &RunId) -> Result<AuditSummary>;

    /// Moves what Redis holds of a run into the ledger; whether there was any.
    async fn load_from_redis(&self, run_id: &RunId) -> Result<bool>;

    /// What is held of a run in front of the ledger, as ops to be committed with others; a few hundred at most: what is
    /// beyond, or has no id by which it would be a duplicate, is moved at once. Whoever has committed them
    /// [releases](Self::release) them.
    async fn held(&self, _: &RunId) -> Result<Vec<Op>> {
        Ok(Vec::new())
    }

    /// Lets go of what [`held`](Self::held) gave and is durable in the ledger now.
    async fn release(&self, _: &RunId, _: &[Op]) -> Result<()> {
        Ok(())
    }

    /// Drops whatever is kept outside the ledger of a run that was erased there, what was set aside too.
    async fn forget(&self, _: &RunId) -> Result<()> {
        Ok(())
    }

    /// Which of these runs something may be held of in front of the ledger; asked once for all of them.
    async fn holding(&self, _: &[RunId]) -> Result<Vec<RunId>> {
        Ok(Vec::new())
    }

    /// Facts of a run that the ledger refuses for good, and that are set aside where they were held, by their names.
    async fn get_parked(&self, _: &RunId, page: &PageRequest) -> Result<Page<ParkedFact>> {
        page.check()?;
        Ok(Page::of(Vec::new(), None))
    }

    /// Tells somebody what becomes of facts that are held, from now on. The first one to listen is the only one.
    fn listen(&self, _: HeldListener) {}

    /// Passes on what became of facts that were [held](Self::held), from whoever committed them.
    fn tell(&self, _: &HeldWord<'_>) {}

    /// Moves what is held of runs that are to be looked at by now, or before a time, a thousand at most and for some seconds
    /// at most, and gives their number. What cannot be moved is looked at again.
    async fn move_held(&self, _: Option<Timestamp>) -> Result<usize> {
        Ok(0)
    }
}

/// The audit over any ledger: its facts are entries.
#[derive(Clone, Debug)]
pub struct LedgerAudit {
    ledger: Arc<dyn LedgerStore>,
    mode: StoreDurabilityMode,
}

impl LedgerAudit {
    /// Over `ledger`, of which the caller knows what it survives.
    #[must_use]
    pub fn new(ledger: Arc<dyn LedgerStore>, mode: StoreDurabilityMode) -> Self {
        Self { ledger, mode }
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Receipt> {
        let answer = self.ledger.commit(vec![Batch::of(ops)]).await.pop();
        answer.unwrap_or_else(|| Err(Error::new(Code::StorageFailed, "the ledger gave no answer for a batch")))
    }
}

#[async_trait]
impl AuditStore for LedgerAudit {
    fn durability_mode(&self) -> StoreDurabilityMode {
        self.mode
    }

    async fn add_expectations(&self, expectations: Vec<Expect>) -> Result<Noted> {
        self.commit(expectations.into_iter().map(Op::Expect).collect()).await.map(Noted::from)
    }

    async fn get_expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        self.ledger.expectations(run_id, page).await
    }

    async fn update_expectation_status(
        &self,
        run_id: &RunId,
        domain: &str,
        action: &str,
        status: AuditStatus,
    ) -> Result<bool> {
        let set = SetExpectationStatus::new(run_id.clone(), domain, action, status);
        match self.commit(vec![Op::SetExpectationStatus(set)]).await {
            Ok(_) => Ok(true),
            Err(none) if none.code() == Code::ExpectationNotFound.as_str() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn add_ack(&self, ack: Ack) -> Result<Noted> {
        self.commit(vec![Op::Ack(ack)]).await.map(Noted::from)
    }

    async fn get_acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        self.ledger.acks(run_id, page).await
    }

    async fn clear_run(&self, run_id: &RunId) -> Result<Noted> {
        self.commit(vec![Op::ClearAudit(ClearAudit::new(run_id.clone()))]).await.map(Noted::from)
    }

    async fn get_pending_run_ids(&self, page: &PageRequest) -> Result<Page<RunId>> {
        let page = self.ledger.pending_runs(page).await?;
        Ok(Page::of(page.items.into_iter().map(|run| run.run_id).collect(), page.next_cursor))
    }

    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        self.ledger.due_runs(before, limit).await
    }

    async fn reconcile(&self, run_id: &RunId) -> Result<AuditVerdict> {
        let receipt = self.commit(vec![Op::Reconcile(Reconcile { run_id: run_id.clone() })]).await?;
        let op = receipt.ops.into_iter().next();
        let op = op.ok_or_else(|| Error::new(Code::StorageFailed, "the ledger gave no receipt for an op"))?;
        match op.told.verdict {
            Some(verdict) => Ok(*verdict),
            None => self.ledger.verdict_at(op.log_index).await,
        }
    }

    async fn summary(&self, run_id: &RunId) -> Result<AuditSummary> {
        self.ledger.audit(run_id).await
    }

    async fn get_parked(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<ParkedFact>> {
        page.check()?;
        self.ledger.audit(run_id).await?;
        Ok(Page::of(Vec::new(), None))
    }

    /// There is no Redis in front of it.
    async fn load_from_redis(&self, _: &RunId) -> Result<bool> {
        Ok(false)
    }
}
