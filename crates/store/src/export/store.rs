//! What an export reads: immutable values, all of them under one snapshot of the ledger.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{IncidentId, RunId};
use tracekeep_core::model::{Severity, StepStatus};

use crate::error::Result;
use crate::query::{Page, PageRequest};

/// An incident, as it was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentSnapshot {
    /// Its id.
    pub id: IncidentId,
    /// Whose ledger it is in.
    pub tenant_id: String,
    /// The run that caused it.
    pub source_run_id: Option<RunId>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// The policy that was violated, by its id.
    pub policy_id: Option<String>,
    /// Its name.
    pub policy_name: Option<String>,
    /// What kind of violation it is.
    pub violation_type: Option<String>,
    /// When it was opened, as claimed.
    pub created_at: Timestamp,
}

/// A run, as its entries said.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSnapshot {
    /// Its id.
    pub run_id: RunId,
    /// Whose ledger it is in.
    pub tenant_id: String,
    /// Who ran.
    pub agent_id: Option<String>,
    /// What it was for.
    pub goal: Option<String>,
    /// The policy in force.
    pub policy_snapshot_id: Option<String>,
    /// When it began, as claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended, as claimed.
    pub completed_at: Option<Timestamp>,
    /// Why it ended.
    pub termination_reason: Option<String>,
    /// What its steps cost; absent where that of some is withheld.
    pub total_cost_cents: Option<Cost>,
}

/// What a run violated.
#[doc(alias = "TraceSummarySnapshot")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummarySnapshot {
    /// The run's id: earlier systems called a run a trace.
    pub trace_id: RunId,
    /// The run's id.
    pub run_id: RunId,
    /// Whose ledger it is in.
    pub tenant_id: String,
    /// The step that violated a policy.
    pub violation_step_index: Option<u32>,
    /// When, as claimed: as the run's end or the incident states it, else when that step occurred.
    pub violation_timestamp: Option<Timestamp>,
}

/// A step.
#[doc(alias = "TraceStepSnapshot")]
#[derive(Clone, Debug, PartialEq)]
pub struct StepSnapshot {
    /// Its index.
    pub step_index: u32,
    /// When, as claimed.
    pub timestamp: Timestamp,
    /// Its skill_name.
    pub step_type: String,
    /// Tokens that it used, where stated.
    pub tokens: Option<u64>,
    /// What it cost.
    pub cost_cents: Cost,
    /// How long it took.
    pub duration_ms: DurationMs,
    /// How it came out.
    pub status: StepStatus,
    /// Its commitment, as its leaf has it.
    pub content_hash: Hash,
    /// Members of the step that were withheld afterwards, by their names in the record (`step_type` is `skill_name` there),
    /// also since the ledger was pinned: each reads as if it were empty, 0, or absent.
    pub withheld: Option<Vec<String>>,
}

/// What an export reads.
///
/// # Contract
/// Every method answers from one state of the ledger, the first [`ExportBundleStore::size`] entries of its log, whatever is
/// written meanwhile; but what was erased or withheld since is gone. `None` is what was not there at that size.
pub trait ExportBundleStore: Send + Sync {
    /// Entries of the log that are seen.
    fn size(&self) -> u64;

    /// An incident.
    ///
    /// # Errors
    /// Failures of the storage.
    fn get_incident(&self, id: &IncidentId) -> Result<Option<IncidentSnapshot>>;

    /// A run. Costs as much as it has entries.
    ///
    /// # Errors
    /// `run_erased`; failures of the storage.
    #[doc(alias = "get_run_by_run_id")]
    fn get_run(&self, run_id: &RunId) -> Result<Option<RunSnapshot>>;

    /// What a run violated. Costs as much as it has entries.
    ///
    /// # Errors
    /// `run_erased`; failures of the storage.
    #[doc(alias = "get_trace_summary")]
    fn get_run_summary(&self, run_id: &RunId) -> Result<Option<RunSummarySnapshot>>;

    /// A page of a run's steps by index; one may be short, even empty, and have a cursor all the same.
    ///
    /// # Errors
    /// `run_not_found`, `run_erased`, `invalid_parameter`, `invalid_cursor`; failures of the storage.
    #[doc(alias = "get_trace_steps")]
    fn get_steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<StepSnapshot>>;
}
