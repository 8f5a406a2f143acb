//! Deciding traces: their places in the forest, and their ends.

use tracekeep_core::id::TraceId;
use tracekeep_core::limits::ANCESTORS_MAX;
use tracekeep_core::model::{EndTrace, Kind, Op, RecordTrace, RunStatus, TraceStatus, TraceType};
use tracekeep_core::{Invalid, InvalidCode, Timestamp};

use super::decide::{Done, earlier};
use super::equal::{conflict, demand, equals};
use super::fetch::recorded_trace;
use super::work::{SeenTrace, Work, no_run};
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};
use crate::rows::{Entry, RunRow, Slot, SlotRow, TraceRow};

pub(super) fn record(op: &RecordTrace, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let (run_id, id) = (&op.run_id, op.id.as_ref().expect("invariant: prepare fills ids in"));
    if work.run(run_id).is_none() {
        return Err(no_run());
    }
    if let Some(seen) = work.trace(run_id, id) {
        return again(op, prepared, seen, work);
    }
    let run = work.demand_open(run_id)?;
    let (run_no, late) = (run.run_no, run.status != RunStatus::Running);
    let log_index = work.next_index();
    let occurred_at = op.occurred_at.unwrap_or(work.context.recorded_at);
    let (parent, orphan) = place(op, id, run_no, log_index, occurred_at, work)?;
    let children = match work.slot(run_id, id) {
        Some(slot) => {
            let filled = SlotRow { filled_by: Some(log_index), ..slot.clone() };
            let children = Slot::Named(filled.named_by);
            work.put_slot(run_id, filled);
            children
        }
        None => Slot::Under(log_index),
    };
    let recorded = work.append(run_id, Kind::Trace, prepared)?;
    let row = TraceRow {
        run_no,
        log_index: recorded,
        id: id.clone(),
        parent,
        children,
        type_name: op.trace_type.type_name().to_owned(),
        tags: op.tags.clone(),
        occurred_at,
        status: op.status_now(),
        ended_at: op.ended_at,
        ended_by: None,
        late,
        orphan,
    };
    work.put_trace(run_id, None, row);
    let run = work.run_mut(run_id)?;
    run.traces += 1;
    note_root_end(op, op.ended_at, run);
    Ok(Done::now(recorded, work))
}

/// Of telemetry, the end of the root span is what a reader waits for.
fn note_root_end(trace: &RecordTrace, ended_at: Option<Timestamp>, run: &mut RunRow) {
    if trace.otel.is_some() && trace.parent_id.is_none() && run.root_ended_at.is_none() {
        run.root_ended_at = ended_at;
    }
}

/// Where a new trace hangs, and whether it was made an orphan to keep the forest a forest.
fn place(
    op: &RecordTrace,
    id: &TraceId,
    run_no: u64,
    log_index: u64,
    occurred_at: Timestamp,
    work: &mut Work<'_>,
) -> Result<(Slot, bool)> {
    let run_id = &op.run_id;
    let Some(parent_id) = &op.parent_id else { return Ok((Slot::Root, false)) };
    if let Some(parent) = work.trace(run_id, parent_id) {
        // Only a trace whose id was named before can close a cycle.
        let slot = work.slot(run_id, id).map(|slot| slot.named_by);
        let closes = slot.is_some_and(|own| meets(own, parent.row.log_index, work));
        return Ok(if closes { (Slot::Root, true) } else { (parent.row.children, false) });
    }
    if op.otel.is_none() {
        let detail = format!("the parent {parent_id} is not recorded in this run");
        return Err(Error::new(Code::ParentNotFound, detail).at("/parent_id"));
    }
    if parent_id == id {
        return Ok((Slot::Root, true));
    }
    if let Some(slot) = work.slot(run_id, parent_id) {
        return Ok((Slot::Named(slot.named_by), false));
    }
    let slot = SlotRow { named_by: log_index, run_no, id: parent_id.clone(), occurred_at, filled_by: None };
    work.put_slot(run_id, slot);
    Ok((Slot::Named(log_index), false))
}

/// Whether the walk up from the trace at `from` meets the place named by `own`, or does not end within the limit.
fn meets(own: u64, from: u64, work: &Work<'_>) -> bool {
    let mut at = from;
    for _ in 0..ANCESTORS_MAX {
        at = match work.hangs(at) {
            Some(Slot::Root) => return false,
            Some(Slot::Under(parent)) => parent,
            Some(Slot::Named(named_by)) if named_by == own => return true,
            Some(Slot::Named(named_by)) => match work.filled(named_by) {
                Some(Some(parent)) => parent,
                Some(None) => return false,
                None => return true,
            },
            None => return true,
        };
    }
    true
}

/// The id is taken: a duplicate, the closed form of a span that was recorded open, or a conflict.
fn again(op: &RecordTrace, prepared: &PreparedOp, seen: SeenTrace, work: &mut Work<'_>) -> Result<Done> {
    let entry = entry_of(&seen)?;
    if equals(prepared, entry)? {
        return Ok(earlier(entry, work.context));
    }
    if let Some(end) = &seen.end
        && end.body().is_some_and(|body| body.contains("\"op\":\"record_trace\""))
        && equals(prepared, end)?
    {
        return Ok(earlier(end, work.context));
    }
    if seen.row.ended_by.is_none()
        && let Some(recorded) = recorded_trace(entry)?
        && closes(op, prepared, &recorded)
    {
        return close(op, prepared, seen.row, &recorded, work);
    }
    demand(prepared, entry, work.context)?;
    Ok(earlier(entry, work.context))
}

/// A span that was recorded while under way is closed by the same span with an end.
fn closes(op: &RecordTrace, prepared: &PreparedOp, recorded: &RecordTrace) -> bool {
    op.otel.is_some()
        && recorded.otel.is_some()
        && recorded.ended_at.is_none()
        && op.ended_at.is_some()
        && op.parent_id == recorded.parent_id
        && (op.occurred_at == recorded.occurred_at || prepared.generated.contains(&"occurred_at"))
}

fn close(
    op: &RecordTrace,
    prepared: &PreparedOp,
    mut before: TraceRow,
    recorded: &RecordTrace,
    work: &mut Work<'_>,
) -> Result<Done> {
    work.demand_open(&op.run_id)?;
    before.tags.clone_from(&recorded.tags);
    // A start that was left to be generated is the recorded one.
    let began = RecordTrace { occurred_at: recorded.occurred_at, ..op.clone() };
    let settled = (began != *op).then(|| PreparedOp::settled(Op::RecordTrace(began), prepared.salt, Vec::new()));
    let settled = settled.transpose()?;
    let log_index = work.append(&op.run_id, Kind::TraceEnded, settled.as_ref().unwrap_or(prepared))?;
    let after = TraceRow {
        type_name: op.trace_type.type_name().to_owned(),
        tags: op.tags.clone(),
        status: op.status_now(),
        ended_at: op.ended_at,
        ended_by: Some(log_index),
        ..before.clone()
    };
    work.put_trace(&op.run_id, Some(before), after);
    note_root_end(op, op.ended_at, work.run_mut(&op.run_id)?);
    Ok(Done::now(log_index, work))
}

fn entry_of(seen: &SeenTrace) -> Result<&Entry> {
    seen.entry.as_ref().ok_or_else(|| Error::new(Code::Corrupt, "a trace's entry was not looked up"))
}

pub(super) fn end(op: &EndTrace, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    if work.run(&op.run_id).is_none() {
        return Err(no_run());
    }
    let Some(seen) = work.trace(&op.run_id, &op.id) else {
        return Err(Error::new(Code::TraceNotFound, "no trace of that id is recorded in the run").at("/id"));
    };
    if let Some(end) = &seen.end {
        demand(prepared, end, work.context)?;
        return Ok(earlier(end, work.context));
    }
    let entry = entry_of(&seen)?;
    let Some(recorded) = recorded_trace(entry)? else {
        return Err(Error::new(Code::Erased, "the trace was erased"));
    };
    work.demand_open(&op.run_id)?;
    let differing = differing(op, &recorded)?;
    if !differing.is_empty() {
        return Err(conflict(prepared, entry, work.context, &differing));
    }
    let mut before = seen.row;
    before.tags.clone_from(&recorded.tags);
    let log_index = work.append(&op.run_id, Kind::TraceEnded, prepared)?;
    let at = ended_at(op, &recorded, before.occurred_at, work.context.recorded_at);
    let after = TraceRow { status: op.status.into(), ended_at: Some(at), ended_by: Some(log_index), ..before.clone() };
    work.put_trace(&op.run_id, Some(before), after);
    note_root_end(&recorded, Some(at), work.run_mut(&op.run_id)?);
    Ok(Done::now(log_index, work))
}

/// When an end took place: as stated, else occurred_at + duration_ms, whoever stated that, else when it was recorded.
pub(super) fn ended_at(
    op: &EndTrace,
    recorded: &RecordTrace,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
) -> Timestamp {
    let lasted = match &recorded.trace_type {
        TraceType::ToolCall { duration_ms, .. } => op.duration_ms.or(*duration_ms),
        _ => op.duration_ms,
    };
    match (op.ended_at, lasted) {
        (Some(at), _) => at,
        (None, Some(duration)) => occurred_at.saturating_add(duration.as_nanos()),
        (None, None) => recorded_at,
    }
}

/// The members of the trace that an end would change instead of filling in; another type's member is refused.
fn differing(op: &EndTrace, recorded: &RecordTrace) -> Result<Vec<String>> {
    let refuse = |name: &str, of: &str| -> Error {
        Invalid::new(InvalidCode::InvalidMember, format!("/{name}"), format!("is a member of {of} alone")).into()
    };
    let (result, duration_ms, results_count) = match &recorded.trace_type {
        TraceType::ToolCall { result, duration_ms, .. } => (result.as_ref(), *duration_ms, None),
        TraceType::Query { results_count, .. } => (None, None, *results_count),
        _ => (None, None, None),
    };
    let is_call = matches!(recorded.trace_type, TraceType::ToolCall { .. });
    if !is_call && op.result.is_some() {
        return Err(refuse("result", "ToolCall"));
    }
    if !is_call && op.duration_ms.is_some() {
        return Err(refuse("duration_ms", "ToolCall"));
    }
    if op.results_count.is_some() && !matches!(recorded.trace_type, TraceType::Query { .. }) {
        return Err(refuse("results_count", "Query"));
    }
    let mut names = Vec::new();
    let mut note = |differs: bool, name: &str| {
        if differs {
            names.push(name.to_owned());
        }
    };
    note(recorded.ended_at.is_some(), "ended_at");
    note(fills(op.result.as_ref(), result), "result");
    note(fills(op.duration_ms, duration_ms), "duration_ms");
    note(fills(op.results_count, results_count), "results_count");
    let stated = recorded.status.filter(|status| *status != TraceStatus::Open);
    note(fills(Some(TraceStatus::from(op.status)), stated), "status");
    Ok(names)
}

/// Whether an end's value contradicts the recorded one.
fn fills<T: PartialEq>(ended: Option<T>, recorded: Option<T>) -> bool {
    matches!((ended, recorded), (Some(ended), Some(recorded)) if ended != recorded)
}
