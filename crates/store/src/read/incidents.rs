//! Reading incidents.

use tracekeep_core::id::IncidentId;
use tracekeep_core::model::{Op, Redacted, ResolveIncident, Violation};
use tracekeep_core::view::Incident;

use super::{Meter, Walk, erased, page};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{IncidentIndex, IncidentQuery, Page};
use crate::rows::{IncidentRow, OwnedId, RunRow};
use crate::snapshot::Snapshot;

/// An incident; `None` where it is unknown.
///
/// # Errors
/// `run_erased` where its run was erased; what the snapshot fails with.
pub fn incident(snapshot: &impl Snapshot, id: &IncidentId) -> Result<Option<Incident>> {
    if let Some(row) = snapshot.incident(id)? {
        return view(snapshot, row, &Meter::default()).map(Some);
    }
    match snapshot.erased_id(&OwnedId::Incident(id.clone()))? {
        Some(log_index) => Err(erased(snapshot, log_index)?),
        None => Ok(None),
    }
}

/// Incidents by (created_at, log index).
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn incidents(snapshot: &impl Snapshot, query: &IncidentQuery) -> Result<Page<Incident>> {
    let filter = &query.filter;
    let run_no = match &filter.run {
        // No incident is of run number MAX: an unknown run has none.
        Some(run_id) => Some(snapshot.run(run_id)?.map_or(NO_RUN, |row| row.run_no)),
        None => None,
    };
    let index = match (run_no, filter.severity, filter.status) {
        (Some(run_no), _, _) => IncidentIndex::Run(run_no),
        (None, Some(severity), _) => IncidentIndex::Severity(severity),
        (None, None, Some(status)) => IncidentIndex::Status(status),
        (None, None, None) => IncidentIndex::All,
    };
    page(
        Walk {
            request: &query.page,
            order: query.order,
            range: filter.time,
            query: &query.fingerprint(),
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| snapshot.incidents(index, stretch),
        |row: &IncidentRow| (row.created_at, row.log_index),
        |row, _| {
            Ok(filter.severity.is_none_or(|severity| row.severity == Some(severity))
                && filter.status.is_none_or(|status| row.status == status))
        },
        |row, meter| view(snapshot, row, meter),
    )
}

/// A number that no run has.
const NO_RUN: u64 = i64::MAX as u64;

fn view(snapshot: &impl Snapshot, row: IncidentRow, meter: &Meter) -> Result<Incident> {
    let entry = meter.entry(snapshot, row.log_index)?;
    let Some(Op::OpenIncident(op)) = entry.op()? else { return Err(nowhere(row.log_index)) };
    let (mut end, mut resolved_recorded_at) = (None, None);
    if let Some(log_index) = row.resolved_by {
        let entry = meter.entry(snapshot, log_index)?;
        let Some(Op::ResolveIncident(op)) = entry.op()? else { return Err(nowhere(log_index)) };
        (end, resolved_recorded_at) = (Some(op), Some(entry.recorded_at));
    }
    let redacted = Redacted::of_all([op.redacted, end.as_ref().and_then(|end| end.redacted.clone())]);
    let (resolution, resolved_by, resolved_at) = match end {
        Some(ResolveIncident { resolution, by, resolved_at, .. }) => (Some(resolution), by, resolved_at),
        None => (None, None, None),
    };
    Ok(Incident {
        incident_id: row.incident_id,
        run_id: op.run_id,
        status: row.status,
        severity: op.severity,
        policy_id: op.policy_id,
        policy_name: op.policy_name,
        violation_type: op.violation_type,
        threshold: op.threshold,
        actual: op.actual,
        violation_step_index: op.violation_step_index,
        violation_at: op.violation_at,
        title: op.title,
        summary: op.summary,
        created_at: row.created_at,
        resolution,
        resolved_by,
        resolved_at,
        redacted,
        log_index: row.log_index,
        recorded_at: entry.recorded_at,
        resolved_log_index: row.resolved_by,
        resolved_recorded_at,
    })
}

/// What a run's first incident says that the run violated. It happened when the incident says so, else when the step did that
/// it names. Otherwise nobody knows when: that the incident was opened is another time.
pub(super) fn violation(snapshot: &impl Snapshot, run: &RunRow, meter: &Meter) -> Result<Option<Violation>> {
    let Some(log_index) = run.incidents.first else { return Ok(None) };
    let Some(Op::OpenIncident(op)) = meter.entry(snapshot, log_index)?.op()? else { return Ok(None) };
    let step = match op.violation_step_index {
        Some(index) => snapshot.step(run.run_no, index)?,
        None => None,
    };
    let step = step.map(|row| meter.entry(snapshot, row.log_index)).transpose()?;
    let occurred_at = match step.map(|entry| entry.op()).transpose()?.flatten() {
        Some(Op::RecordStep(step)) => step.occurred_at,
        _ => None,
    };
    Ok(Some(Violation {
        step_index: op.violation_step_index,
        at: op.violation_at.or(occurred_at),
        policy_id: op.policy_id,
        reason: op.title.or(op.violation_type).or(op.policy_name),
    }))
}
