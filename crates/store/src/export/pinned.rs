//! The immutable values of an export, read under one snapshot of the ledger.

use std::sync::Arc;

use super::records::{Reading, at};
use super::store::{ExportBundleStore, IncidentSnapshot, RunSnapshot, RunSummarySnapshot, StepSnapshot};
use crate::{LedgerStore, Page, PageRequest, Result, block_on};
use tracekeep_core::id::{IncidentId, RunId};
use tracekeep_evidence::account::Account;

/// A ledger as it was at one size: what is written later is not seen.
#[doc(alias = "get_export_bundle_store")]
#[derive(Clone, Debug)]
pub struct PinnedBundles {
    ledger: Arc<dyn LedgerStore>,
    tenant_id: String,
    size: u64,
}

impl PinnedBundles {
    /// The ledger as it is now.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn now(ledger: Arc<dyn LedgerStore>, tenant_id: impl Into<String>) -> Result<Self> {
        let size = block_on(ledger.head())?.tree_size;
        Ok(Self { ledger, tenant_id: tenant_id.into(), size })
    }

    /// What the entries of a run below the size say; `None` where it had not begun.
    fn account(&self, run_id: &RunId) -> Result<Option<Account>> {
        match Reading::below(self.size, &*self.ledger).run(run_id, |_| ()) {
            Ok(records) => Ok(Some(Account::of(&records, Some(run_id.as_str()), None))),
            Err(error) if error.code() == "run_not_found" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl ExportBundleStore for PinnedBundles {
    fn size(&self) -> u64 {
        self.size
    }

    fn get_incident(&self, id: &IncidentId) -> Result<Option<IncidentSnapshot>> {
        let incident = block_on(self.ledger.incident(id))?.filter(|incident| incident.log_index < self.size);
        Ok(incident.map(|incident| IncidentSnapshot {
            id: incident.incident_id,
            tenant_id: self.tenant_id.clone(),
            source_run_id: incident.run_id,
            severity: incident.severity,
            policy_id: incident.policy_id,
            policy_name: incident.policy_name,
            violation_type: incident.violation_type,
            created_at: incident.created_at,
        }))
    }

    fn get_run(&self, run_id: &RunId) -> Result<Option<RunSnapshot>> {
        let account = self.account(run_id)?;
        Ok(account.map(|account| RunSnapshot {
            run_id: run_id.clone(),
            tenant_id: self.tenant_id.clone(),
            total_cost_cents: account.cost(),
            agent_id: account.agent_id,
            goal: account.goal,
            policy_snapshot_id: account.policy_snapshot_id,
            started_at: account.started_at,
            completed_at: account.ended.map(|ended| ended.at),
            termination_reason: account.termination_reason,
        }))
    }

    fn get_run_summary(&self, run_id: &RunId) -> Result<Option<RunSummarySnapshot>> {
        let account = self.account(run_id)?;
        Ok(account.map(|account| {
            let violated = account.violation();
            RunSummarySnapshot {
                trace_id: run_id.clone(),
                run_id: run_id.clone(),
                tenant_id: self.tenant_id.clone(),
                violation_step_index: violated.as_ref().and_then(|violated| violated.step_index),
                violation_timestamp: violated.and_then(|violated| violated.at),
            }
        }))
    }

    fn get_steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<StepSnapshot>> {
        let found = block_on(self.ledger.steps(run_id, page))?;
        let mut steps = Vec::with_capacity(found.items.len());
        for step in found.items.into_iter().filter(|step| step.log_index < self.size) {
            steps.push(StepSnapshot {
                step_index: step.index,
                timestamp: step.occurred_at,
                content_hash: at(&*self.ledger, step.log_index)?.commit,
                step_type: step.skill_name,
                tokens: step.tokens,
                cost_cents: step.cost_cents,
                duration_ms: step.duration_ms,
                status: step.status,
                withheld: step.withheld,
            });
        }
        Ok(Page::of(steps, found.next_cursor))
    }
}
