//! Deciding incidents: that one was opened, how it ended, and what was handed out as evidence.

use tracekeep_core::id::{ExportId, IncidentId, RunId};
use tracekeep_core::limits::{EVIDENCE_MAX, EXPORTS_OWNED_MAX};
use tracekeep_core::model::{HoldOn, IncidentStatus, Kind, OpenIncident, RecordExport, ResolveIncident};
use tracekeep_core::model::{RunStatus, Source};
use tracekeep_core::{Invalid, InvalidCode};

use super::decide::{Change, Done, earlier};
use super::equal::demand;
use super::fetch::nowhere;
use super::work::{Work, no_run};
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};
use crate::rows::{Entry, ExportRow, HoldPlace, HoldRow, IncidentRow, OwnedId, RunRow};

/// Opens an incident. Its entry is what holds its run, unless something holds it already; the run is then not let go of while
/// the incident is open.
pub(super) fn open(op: &OpenIncident, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let id = op.incident_id.as_ref().expect("invariant: prepare fills ids in");
    demand_unerased(OwnedId::Incident(id.clone()), work)?;
    if let Some(seen) = work.incident(id) {
        let entry = work.recorded(seen.row.log_index, seen.entry)?;
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    if let (Some(run_id), Some(index)) = (&op.run_id, op.violation_step_index) {
        let row = work.run(run_id).ok_or_else(no_run)?;
        let takes_more = row.status == RunStatus::Running || row.source == Source::Otlp;
        if !takes_more && !work.has_step(run_id, index) {
            let detail = format!("the run has no step {index}, and takes no more");
            return Err(Error::new(Code::StepNotFound, detail).at("/violation_step_index"));
        }
    }
    demand_room(op.run_id.as_ref(), work)?;
    let (log_index, run_no) = append(op.run_id.as_ref(), Kind::Incident, prepared, work)?;
    if let (Some(run_id), Some(run_no)) = (&op.run_id, run_no) {
        let row = work.run_mut(run_id)?;
        row.incidents.first.get_or_insert(log_index);
        row.incidents.open += 1;
        row.incidents.named += 1;
        let on = HoldOn::Run(run_id.clone());
        if !work.is_held(&on) {
            work.changes.push(Change::Hold(HoldRow { place: HoldPlace::Run(run_no), log_index, held: true }));
            work.put_hold(on, log_index, true);
        }
    }
    let created_at = op.created_at.expect("invariant: prepare fills times in");
    let row = IncidentRow {
        incident_id: id.clone(),
        log_index,
        run_no,
        severity: op.severity,
        status: IncidentStatus::Open,
        created_at,
        resolved_by: None,
    };
    work.put_incident(row);
    Ok(Done::now(log_index, work))
}

/// Says how an incident ended, once.
pub(super) fn resolve(op: &ResolveIncident, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    demand_unerased(OwnedId::Incident(op.incident_id.clone()), work)?;
    let seen = work.incident(&op.incident_id).ok_or_else(|| no_incident(&op.incident_id))?;
    if let Some(log_index) = seen.row.resolved_by {
        let entry = work.recorded(log_index, seen.resolution)?;
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    let (mut row, run_id) = (seen.row.clone(), seen.run_id.cloned());
    let (log_index, _) = append(run_id.as_ref(), Kind::IncidentResolved, prepared, work)?;
    if let Some(run_id) = &run_id {
        let open = &mut work.run_mut(run_id)?.incidents.open;
        *open = open.checked_sub(1).ok_or_else(|| nowhere(row.log_index))?;
    }
    row.status = IncidentStatus::Resolved;
    row.resolved_by = Some(log_index);
    work.put_incident(row);
    Ok(Done::now(log_index, work))
}

/// States that a bundle was handed out, as the log stood at a size that it has reached.
pub(super) fn export(op: &RecordExport, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let id = op.export_id.as_ref().expect("invariant: prepare fills ids in");
    demand_unerased(OwnedId::Export(id.clone()), work)?;
    if let Some((log_index, entry)) = work.export(id) {
        let entry = work.recorded(log_index, entry)?;
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    if op.size == 0 || op.size > work.next_index() {
        let detail = format!("the log never had that size: it has {} entries", work.next_index());
        return Err(Invalid::new(InvalidCode::NumberOutOfRange, "/size", detail).into());
    }
    let run_id = match &op.incident_id {
        Some(incident_id) => {
            demand_unerased(OwnedId::Incident(incident_id.clone()), work)?;
            work.incident(incident_id).ok_or_else(|| no_incident(incident_id))?.run_id.cloned()
        }
        None => op.run_id.clone(),
    };
    let owner = owner(run_id.as_ref(), work)?;
    let (log_index, run_no) = append(owner, Kind::Export, prepared, work)?;
    if let Some(run_id) = owner {
        work.run_mut(run_id)?.incidents.named += 1;
    }
    work.put_export(ExportRow { export_id: id.clone(), log_index, run_no });
    Ok(Done::now(log_index, work))
}

/// Refuses an id that evidence given away may name, and of which nothing is left here.
fn demand_unerased(id: OwnedId, work: &Work<'_>) -> Result<()> {
    let Some(log_index) = work.erased_id(&id) else { return Ok(()) };
    let (what, path) = match id {
        OwnedId::Incident(_) => ("incident", "/incident_id"),
        OwnedId::Export(_) => ("export", "/export_id"),
    };
    let detail = format!("log index {log_index} erased the run of the {what}; its id is never free again");
    Err(Error::new(Code::Erased, detail).at(path))
}

/// An export that was stated without a run, although it names one or its incident: the run has as many as it takes, or was
/// erased since, and is not decided over again.
pub(super) fn export_again(op: &RecordExport, log_index: u64) -> Option<Change> {
    let export_id = op.export_id.clone()?;
    Some(Change::Export(ExportRow { export_id, log_index, run_no: None }))
}

/// Whose entry an export is: the run's, unless that has as many as it takes.
fn owner<'a>(run_id: Option<&'a RunId>, work: &Work<'_>) -> Result<Option<&'a RunId>> {
    let Some(run_id) = run_id else { return Ok(None) };
    let row = work.run(run_id).ok_or_else(no_run)?;
    Ok((row.incidents.named < u64::from(EXPORTS_OWNED_MAX)).then_some(run_id))
}

/// Refuses one more incident of a run than its erasure could name, exports included.
fn demand_room(run_id: Option<&RunId>, work: &Work<'_>) -> Result<()> {
    let row = run_id.and_then(|run_id| work.run(run_id));
    if row.is_none_or(|row| row.incidents.named < u64::from(EVIDENCE_MAX)) {
        return Ok(());
    }
    let detail = format!("a run has at most {EVIDENCE_MAX} incidents and exports");
    Err(Invalid::new(InvalidCode::TooMany, "/run_id", detail).into())
}

fn no_incident(id: &IncidentId) -> Error {
    Error::new(Code::IncidentNotFound, format!("no incident {id} is recorded")).at("/incident_id")
}

/// Appends an entry of a run, or of none; gives the run's number.
fn append(
    run_id: Option<&RunId>,
    kind: Kind,
    prepared: &PreparedOp,
    work: &mut Work<'_>,
) -> Result<(u64, Option<u64>)> {
    let Some(run_id) = run_id else {
        let log_index = work.append_unowned(kind, prepared.commit, prepared.body.clone(), prepared.salt);
        return Ok((log_index, None));
    };
    let run_no = work.run(run_id).ok_or_else(no_run)?.run_no;
    Ok((work.append(run_id, kind, prepared)?, Some(run_no)))
}

/// An incident as the next op of the batch sees it: its entries where an earlier batch wrote them.
pub(super) struct SeenIncident<'w> {
    row: &'w IncidentRow,
    run_id: Option<&'w RunId>,
    entry: Option<&'w Entry>,
    resolution: Option<&'w Entry>,
}

impl Work<'_> {
    pub(super) fn incident(&self, id: &IncidentId) -> Option<SeenIncident<'_>> {
        let found = self.found.incidents.get(id);
        let row = self.incidents.get(id).or(found.map(|found| &found.row))?;
        let entry = found.map(|found| &found.entry).or_else(|| self.new_entry(row.log_index));
        let run_id = entry.and_then(|entry| entry.run.as_ref()).map(|(_, run_id)| run_id);
        Some(SeenIncident { row, run_id, entry, resolution: found.and_then(|found| found.resolution.as_ref()) })
    }

    /// The entry of an export, where there is one.
    fn export(&self, id: &ExportId) -> Option<(u64, Option<&Entry>)> {
        let new = self.exports.get(id).map(|log_index| (*log_index, self.new_entry(*log_index)));
        new.or_else(|| self.found.exports.get(id).map(|entry| (entry.log_index, Some(entry))))
    }

    /// The ids of a run's incidents and exports, in the order of the log.
    pub(super) fn owned_ids(&self, run: &RunRow) -> Vec<OwnedId> {
        let is_new = |log_index: &u64| *log_index >= self.context.size;
        let mut ids = self.found.owned.get(&run.run_id).cloned().unwrap_or_default();
        let incidents = self.incidents.values().filter(|row| row.run_no == Some(run.run_no) && is_new(&row.log_index));
        ids.extend(incidents.map(|row| (row.log_index, OwnedId::Incident(row.incident_id.clone()))));
        let is_own = |log_index: u64| self.new_entry(log_index)?.run.as_ref().map(|(run_no, _)| *run_no == run.run_no);
        let exports = self.exports.iter().filter(|(_, log_index)| is_own(**log_index).unwrap_or_default());
        ids.extend(exports.map(|(id, log_index)| (*log_index, OwnedId::Export(id.clone()))));
        ids.sort_by_key(|(log_index, _)| *log_index);
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The entry at a log index: one of this batch, else the one that was found.
    fn recorded<'w>(&'w self, log_index: u64, found: Option<&'w Entry>) -> Result<&'w Entry> {
        self.new_entry(log_index).or(found).ok_or_else(|| nowhere(log_index))
    }

    fn has_step(&self, run_id: &RunId, index: u32) -> bool {
        self.step(run_id, index).is_some() || self.found.violating.contains(&(run_id.clone(), index))
    }

    fn put_incident(&mut self, row: IncidentRow) {
        self.incidents.insert(row.incident_id.clone(), row.clone());
        self.changes.push(Change::Incident(row));
    }

    fn put_export(&mut self, row: ExportRow) {
        self.exports.insert(row.export_id.clone(), row.log_index);
        self.changes.push(Change::Export(row));
    }
}
