//! Incidents.

use std::sync::Arc;

use tracekeep_core::id::IncidentId;
use tracekeep_core::model::{Op, OpenIncident, ResolveIncident};
use tracekeep_core::view::Incident;
use tracekeep_store::{Batch, Code, Error, IncidentQuery, LedgerStore, Page, Receipt, Result, block_on};

use crate::open::commit;

/// What went wrong, and how it ended: a stateless handle, cheap to clone.
///
/// ```
/// use tracekeep::{FinalStatus, IncidentStatus, OpenIncident, Severity, StartRun, Tracekeep};
///
/// let tracekeep = Tracekeep::open_in_memory();
/// let run = tracekeep.runs().start_run(StartRun::default())?;
/// tracekeep.runs().complete_run(&run, FinalStatus::Failed)?;
/// let policy_id = Some("spend".to_owned());
/// let id = tracekeep.incidents().open(OpenIncident { policy_id, ..OpenIncident::of(run.clone(), Severity::High) })?;
///
/// let held = tracekeep.runs().delete_run(&run, "old").expect_err("an incident holds its run");
/// assert_eq!(held.code(), "held");
/// tracekeep.incidents().resolve(&id, "a limit was set")?;
/// let incident = tracekeep.incidents().get_incident(&id)?.expect("it was just opened");
/// assert_eq!(incident.status, IncidentStatus::Resolved);
/// # Ok::<(), tracekeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Incidents {
    ledger: Arc<dyn LedgerStore>,
}

impl Incidents {
    pub(crate) const fn new(ledger: Arc<dyn LedgerStore>) -> Self {
        Self { ledger }
    }

    /// Opens an incident, and holds its run; gives its id.
    ///
    /// # Errors
    /// Refused input; `run_not_found`; `step_not_found` where the run has no such step and takes no more; `conflict`.
    pub fn open(&self, incident: OpenIncident) -> Result<IncidentId> {
        let receipt = commit(&self.ledger, Batch::one(Op::OpenIncident(incident)))?;
        let id = receipt.ops.first().and_then(|op| op.id.as_ref());
        let id = id.and_then(|id| IncidentId::new(id.as_str()).ok());
        id.ok_or_else(|| Error::new(Code::Corrupt, "the receipt names no incident"))
    }

    /// Says how an incident ended. What holds its run stays until it is let go of.
    ///
    /// # Errors
    /// Refused input; `incident_not_found`; `conflict` where it was resolved in other words.
    pub fn resolve(&self, id: &IncidentId, resolution: &str) -> Result<Receipt> {
        let (incident_id, resolution) = (id.clone(), resolution.to_owned());
        let op = ResolveIncident { incident_id, resolution, by: None, resolved_at: None, redacted: None };
        commit(&self.ledger, Batch::one(Op::ResolveIncident(op)))
    }

    /// An incident; `None` where it is unknown; `run_erased` where its run was erased.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn get_incident(&self, id: &IncidentId) -> Result<Option<Incident>> {
        block_on(self.ledger.incident(id))
    }

    /// A page of incidents, newest first unless told.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    pub fn list_incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>> {
        block_on(self.ledger.incidents(query))
    }
}
