//! Reading traces: one trace with its end, and lists of them.

use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::model::{Op, RecordTrace, TraceStatus, TraceType};
use tracekeep_core::view::{Trace, TraceCounts};

use super::{Meter, Walk, known, page, start_of};
use crate::error::Result;
use crate::plan::{nowhere, recorded_trace};
use crate::query::{Page, TraceFilter, TraceQuery};
use crate::rows::{RunRow, Slot, TraceRow};
use crate::snapshot::{Snapshot, TraceIndex};

/// One trace; `None` where run or trace is unknown.
///
/// # Errors
/// What the snapshot fails with.
pub fn trace(snapshot: &impl Snapshot, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>> {
    let Some(run) = snapshot.run(run_id)? else { return Ok(None) };
    snapshot.trace(run.run_no, id)?.map(|row| view(snapshot, &row, &Meter::default())).transpose()
}

/// How many traces a run has of each type and with each tag.
///
/// # Errors
/// `run_not_found`; what the snapshot fails with.
pub fn trace_counts(snapshot: &impl Snapshot, run_id: &RunId) -> Result<TraceCounts> {
    let run = known(snapshot, run_id)?;
    let (types, tags) = snapshot.trace_counts(run.run_no)?;
    Ok(TraceCounts { total: run.traces, types, tags })
}

/// Traces of a run by (occurred_at, log index).
///
/// Walks the index of one attribute that is likely the rarest of those given, and filters by the others.
///
/// # Errors
/// `run_not_found`, `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn traces(snapshot: &impl Snapshot, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>> {
    let run = known(snapshot, run_id)?;
    let filter = &query.filter;
    let parent = match &filter.parent {
        Some(id) => place_of(snapshot, &run, id)?,
        None => filter.roots.then_some(Slot::Root),
    };
    let nothing_fits = filter.parent.is_some() && (filter.roots || parent.is_none());
    let fingerprint = query.fingerprint(run_id.as_str());
    if nothing_fits {
        start_of(&query.page, &fingerprint)?;
        return Ok(Page { items: Vec::new(), next_cursor: None });
    }
    let index = choose(filter, parent);
    page(
        Walk { request: &query.page, order: query.order, query: &fingerprint, size: snapshot.size() },
        |stretch| snapshot.traces(run.run_no, index, stretch),
        |row| (row.occurred_at, row.log_index),
        |row| fits(snapshot, filter, parent, row),
        |row, meter| view(snapshot, &row, meter),
    )
}

/// Where the children of an id hang, whether its trace has come or not.
fn place_of(snapshot: &impl Snapshot, run: &RunRow, id: &TraceId) -> Result<Option<Slot>> {
    if let Some(row) = snapshot.trace(run.run_no, id)? {
        return Ok(Some(row.children));
    }
    Ok(snapshot.slot(run.run_no, id)?.map(|slot| Slot::Named(slot.named_by)))
}

fn choose(filter: &TraceFilter, parent: Option<Slot>) -> TraceIndex<'_> {
    match (parent, filter) {
        (Some(slot), _) if slot != Slot::Root => TraceIndex::At(slot),
        (_, TraceFilter { tag: Some(tag), .. }) => TraceIndex::Tag(tag),
        (_, TraceFilter { status: Some(status), .. }) if *status != TraceStatus::Ok => TraceIndex::Status(*status),
        (_, TraceFilter { type_name: Some(name), .. }) => TraceIndex::Type(name),
        (Some(slot), _) => TraceIndex::At(slot),
        _ => TraceIndex::All,
    }
}

fn fits(snapshot: &impl Snapshot, filter: &TraceFilter, parent: Option<Slot>, row: &TraceRow) -> Result<bool> {
    let fits = filter.type_name.as_ref().is_none_or(|name| *name == row.type_name)
        && filter.status.is_none_or(|status| status == row.status)
        && parent.is_none_or(|slot| slot == row.parent);
    match &filter.tag {
        Some(tag) if fits => snapshot.has_tag(row.run_no, tag, (row.occurred_at, row.log_index)),
        _ => Ok(fits),
    }
}

/// The trace with its end.
pub(super) fn view(snapshot: &impl Snapshot, row: &TraceRow, meter: &Meter) -> Result<Trace> {
    let wrong = || nowhere(row.log_index);
    let first = meter.entry(snapshot, row.log_index)?;
    let recorded = recorded_trace(&first)?.ok_or_else(wrong)?;
    let (mut recorded, mut error) = (recorded, None);
    if let Some(ended_by) = row.ended_by {
        let end = meter.entry(snapshot, ended_by)?;
        match end.op()? {
            Some(Op::EndTrace(end)) => {
                error.clone_from(&end.error);
                fill_in(&mut recorded, end);
            }
            // The closed form of a span that was recorded open takes its place.
            Some(Op::RecordTrace(closed)) => recorded = closed,
            _ => return Err(nowhere(ended_by)),
        }
    }
    Ok(Trace {
        run_id: recorded.run_id,
        id: row.id.clone(),
        parent_id: recorded.parent_id,
        trace_type: recorded.trace_type,
        occurred_at: row.occurred_at,
        ended_at: row.ended_at,
        status: row.status,
        error,
        tags: recorded.tags,
        metadata: recorded.metadata,
        otel: recorded.otel,
        late: row.late,
        orphan: row.orphan,
        log_index: row.log_index,
        seq: first.seq,
        recorded_at: first.recorded_at,
        ended_log_index: row.ended_by,
    })
}

fn fill_in(recorded: &mut RecordTrace, end: tracekeep_core::model::EndTrace) {
    match &mut recorded.trace_type {
        TraceType::ToolCall { result, duration_ms, .. } => {
            *result = result.take().or(end.result);
            *duration_ms = duration_ms.or(end.duration_ms);
        }
        TraceType::Query { results_count, .. } => *results_count = results_count.or(end.results_count),
        _ => {}
    }
}
