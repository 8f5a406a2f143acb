//! Deciding holds, and the erasure of a run.

use tracekeep_core::erasure::{ErasedRun, Went};
use tracekeep_core::id::{ExportId, IncidentId};
use tracekeep_core::model::{EraseRun, HoldOn, Kind, RunStatus};
use tracekeep_core::{Invalid, InvalidCode};

use super::decide::{Change, Done, earlier};
use super::equal::demand;
use super::fetch::nowhere;
use super::work::{SeenHold, Work, no_run};
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};
use crate::rows::{HoldPlace, HoldRow, OwnedId, RunRow};

/// Holds what is not held. A hold of what is held already must say the same: another reason would put itself in the place
/// of the one that somebody relies on.
pub(super) fn hold(on: Option<HoldOn>, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let on = on.ok_or_else(nothing_named)?;
    let place = place(&on, work)?;
    // What an open incident holds may be held for a reason of its own, too.
    if let Some(SeenHold { held: true, entry }) = work.hold(&on)?
        && entry.kind != Kind::Incident
    {
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    append(on, place, true, prepared, work)
}

/// Lets go of what is held. What was let go of before is a duplicate, whatever the reason.
pub(super) fn release(on: Option<HoldOn>, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let on = on.ok_or_else(nothing_named)?;
    let place = place(&on, work)?;
    match work.hold(&on)? {
        None => Err(Error::new(Code::NotHeld, "nothing holds it")),
        Some(SeenHold { held: false, entry }) => Ok(earlier(entry, work.context)),
        Some(_) if is_open(&on, work) => {
            Err(Error::new(Code::IncidentOpen, "an incident of the run is open: resolve it first").at("/run_id"))
        }
        Some(_) => append(on, place, false, prepared, work),
    }
}

/// Whether an incident of what is held is open.
fn is_open(on: &HoldOn, work: &Work<'_>) -> bool {
    matches!(on, HoldOn::Run(run_id) if work.run(run_id).is_some_and(|row| row.incidents.open > 0))
}

fn nothing_named() -> Error {
    Invalid::new(InvalidCode::MissingMember, "/run_id", "is required, or tag in its place").into()
}

fn place(on: &HoldOn, work: &Work<'_>) -> Result<HoldPlace> {
    Ok(match on {
        HoldOn::Run(run_id) => HoldPlace::Run(work.run(run_id).ok_or_else(no_run)?.run_no),
        HoldOn::Tag(tag) => HoldPlace::Tag(tag.clone()),
    })
}

fn append(on: HoldOn, place: HoldPlace, held: bool, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let kind = if held { Kind::Hold } else { Kind::HoldReleased };
    let log_index = match &on {
        HoldOn::Run(run_id) => work.append(run_id, kind, prepared)?,
        HoldOn::Tag(_) => work.append_unowned(kind, prepared.commit, prepared.body.clone(), prepared.salt),
    };
    work.changes.push(Change::Hold(HoldRow { place, log_index, held }));
    work.put_hold(on, log_index, held);
    Ok(Done::now(log_index, work))
}

/// Erases a run that has ended and that nothing holds.
pub(super) fn erase(op: &EraseRun, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let row = work.run(&op.run_id).ok_or_else(no_run)?.clone();
    if row.status == RunStatus::Running {
        return Err(Error::new(Code::RunRunning, "the run has not ended: complete, fail or abort it first"));
    }
    if let Some(held) = held(&row, work) {
        return Err(Error::new(Code::Held, held));
    }
    let ids = work.owned_ids(&row);
    let (incidents, exports) = named(&ids);
    let went = Went { entries: row.entries, steps: row.steps, traces: row.traces, incidents, exports };
    let body = ErasedRun { op: op.clone(), went }.body();
    ErasedRun::check_limits(&body)?;
    let commit = body.commitment(&prepared.salt);
    let log_index = work.append_content(&op.run_id, Kind::Redaction, commit, body, prepared.salt)?;
    work.put_erased(row, log_index, ids);
    Ok(Done::now(log_index, work))
}

/// The ids of incidents, and those of exports; absent where there are none.
fn named(ids: &[OwnedId]) -> (Option<Vec<IncidentId>>, Option<Vec<ExportId>>) {
    let (mut incidents, mut exports) = (Vec::new(), Vec::new());
    for id in ids {
        match id {
            OwnedId::Incident(id) => incidents.push(id.clone()),
            OwnedId::Export(id) => exports.push(id.clone()),
        }
    }
    (Some(incidents).filter(|ids| !ids.is_empty()), Some(exports).filter(|ids| !ids.is_empty()))
}

/// What holds a run, in words.
pub(super) fn held(row: &RunRow, work: &Work<'_>) -> Option<String> {
    let own = [HoldOn::Run(row.run_id.clone())];
    for on in own.into_iter().chain(row.tags.iter().cloned().map(HoldOn::Tag)) {
        let Some((log_index, true)) = work.held(&on) else { continue };
        return Some(match on {
            HoldOn::Run(_) => format!("the run is held by log index {log_index}"),
            HoldOn::Tag(tag) => format!("the run is held by log index {log_index}, through its tag {tag}"),
        });
    }
    None
}

impl Work<'_> {
    /// The latest fact on what may be held: the log index of its entry, and whether it holds.
    fn held(&self, on: &HoldOn) -> Option<(u64, bool)> {
        self.new_hold(on).or_else(|| self.found.holds.get(on).map(|found| (found.row.log_index, found.row.held)))
    }

    /// Whether it is held.
    pub(super) fn is_held(&self, on: &HoldOn) -> bool {
        self.held(on).is_some_and(|(_, held)| held)
    }

    /// The same with the entry.
    fn hold(&self, on: &HoldOn) -> Result<Option<SeenHold<'_>>> {
        if let Some((log_index, held)) = self.new_hold(on) {
            let entry = self.new_entry(log_index).ok_or_else(|| nowhere(log_index))?;
            return Ok(Some(SeenHold { entry, held }));
        }
        let Some(found) = self.found.holds.get(on) else { return Ok(None) };
        let entry = found.entry.as_ref().ok_or_else(|| nowhere(found.row.log_index))?;
        Ok(Some(SeenHold { entry, held: found.row.held }))
    }
}
