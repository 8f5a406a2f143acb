//! Reading traces: one trace with its end, and lists of them.

use tracekeep_core::Timestamp;
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::limits::COUNTED_NAMES_MAX;
use tracekeep_core::model::{Op, RecordTrace, Redacted, TraceStatus, TraceType, span_error};
use tracekeep_core::view::{NameCount, Trace, TraceCounts};

use super::find::Finder;
use super::{Meter, Recalled, Walk, known, page, pick, there, withheld};
use crate::error::Result;
use crate::plan::{in_a_trace, nowhere, recorded_trace};
use crate::query::{CountsQuery, Page, TraceQuery};
use crate::rows::{Amended, Entry, TraceEntry, TraceRow};
use crate::snapshot::{Snapshot, TraceCounter};

/// One trace; `None` where run or trace is unknown.
///
/// # Errors
/// `run_erased`; what the snapshot fails with.
pub fn trace(snapshot: &impl Snapshot, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>> {
    let Some(run) = there(snapshot, run_id)? else { return Ok(None) };
    snapshot.trace(run.run_no, id)?.map(|row| view(snapshot, &row, &Meter::default())).transpose()
}

/// How many traces a run has of each type, with each tag and in each status; or the counters that are named.
///
/// # Errors
/// `run_not_found`, `run_erased`; what the snapshot fails with.
pub fn trace_counts(snapshot: &impl Snapshot, run_id: &RunId, query: &CountsQuery) -> Result<TraceCounts> {
    let run = known(snapshot, run_id)?;
    let count = |name: &str, counter| -> Result<Option<NameCount>> {
        let count = snapshot.trace_count(run.run_no, counter)?;
        Ok((count > 0).then(|| NameCount { name: name.to_owned(), count }))
    };
    let (mut types, mut tags) = match query {
        CountsQuery { type_name: None, tag: None } => snapshot.trace_counts(run.run_no, COUNTED_NAMES_MAX + 1)?,
        CountsQuery { type_name, tag } => {
            let of_type = type_name.as_ref().map(|name| count(name, TraceCounter::Type(name))).transpose()?;
            let of_tag = tag.as_ref().map(|name| count(name, TraceCounter::Tag(name))).transpose()?;
            (of_type.flatten().into_iter().collect(), of_tag.flatten().into_iter().collect())
        }
    };
    let max = COUNTED_NAMES_MAX as usize;
    let truncated = types.len() > max || tags.len() > max;
    types.truncate(max);
    tags.truncate(max);
    let mut statuses = Vec::new();
    for status in [TraceStatus::Ok, TraceStatus::Error, TraceStatus::Open] {
        statuses.extend(count(status.as_str(), TraceCounter::Status(status))?);
    }
    Ok(TraceCounts { total: run.traces, types, tags, statuses, truncated })
}

/// Traces of a run by (occurred_at, log index).
///
/// # Errors
/// `run_not_found`, `run_erased`, `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn traces(snapshot: &impl Snapshot, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>> {
    let (filter, size) = (&query.filter, snapshot.size());
    filter.check()?;
    query.page.check()?;
    let run = known(snapshot, run_id)?;
    let finder = Finder::new(snapshot, &run, filter)?;
    let fingerprint = query.fingerprint(run_id.as_str());
    let (order, range, width) = (query.order, filter.time, finder.width());
    // A search walks as much of the log as the text index has seen when it begins.
    let (size, partial) = match filter.text {
        Some(_) => (size.min(snapshot.text_size()?), snapshot.text_size()? < size),
        None => (size, false),
    };
    let walk = Walk { request: &query.page, order, range, query: &fingerprint, size, width, partial };
    if let Some(index) = finder.only() {
        return pick(walk, |stretch, picked| {
            snapshot.trace_entries(run.run_no, index, stretch, &mut |entry| {
                let at = (entry.occurred_at, entry.log_index);
                picked.takes(at, |meter| entered(snapshot, run_id, &entry, meter).map(Some))
            })
        });
    }
    page(
        walk,
        |stretch| finder.scan(stretch),
        |row| (row.occurred_at, row.log_index),
        |row, _| finder.fits(row),
        |row, meter| view(snapshot, &row, meter),
    )
}

/// The trace of an entry, with its end.
pub(super) fn entered(
    snapshot: &impl Snapshot,
    run_id: &RunId,
    entry: &TraceEntry<'_>,
    meter: &Meter,
) -> Result<Trace> {
    let wrong = || nowhere(entry.log_index);
    let Some(body) = entry.body else {
        // What is left of it stands elsewhere.
        return view(snapshot, &snapshot.trace_at(entry.log_index)?.ok_or_else(wrong)?, meter);
    };
    meter.body(body);
    let mut recorded = Op::recorded_trace(body).map_err(|_| wrong())?.ok_or_else(wrong)?;
    let (status, ended_at) = (recorded.status_now(), recorded.ended_at);
    let as_recorded = Amended { status, ended_at, ended_by: None, late: false, orphan: false };
    let head = Head {
        run_id: run_id.clone(),
        id: recorded.id.take().ok_or_else(wrong)?,
        occurred_at: entry.occurred_at,
        log_index: entry.log_index,
        seq: entry.seq,
        recorded_at: entry.recorded_at,
        amended: entry.amended.unwrap_or(as_recorded),
    };
    head.trace(snapshot, recorded, None, meter)
}

/// The trace with its end.
pub(super) fn view(snapshot: &impl Snapshot, row: &TraceRow, meter: &Meter) -> Result<Trace> {
    let (first, recalled) = meter.recall(snapshot, row.log_index)?;
    let recorded = recorded_trace(&first)?.ok_or_else(|| nowhere(row.log_index))?;
    let head = Head {
        run_id: recorded.run_id.clone(),
        id: row.id.clone(),
        occurred_at: row.occurred_at,
        log_index: row.log_index,
        seq: first.seq,
        recorded_at: first.recorded_at,
        amended: row.amended(),
    };
    head.trace(snapshot, recorded, recalled, meter)
}

/// What is known of a trace beside what was recorded.
struct Head {
    run_id: RunId,
    id: TraceId,
    occurred_at: Timestamp,
    log_index: u64,
    seq: u64,
    recorded_at: Timestamp,
    amended: Amended,
}

impl Head {
    /// The trace that was recorded, with its end; `left` is what stands of its entry where members were withheld.
    fn trace(
        self,
        snapshot: &impl Snapshot,
        mut recorded: RecordTrace,
        left: Option<Recalled>,
        meter: &Meter,
    ) -> Result<Trace> {
        let (mut error, mut left_of_end) = (stated_error(&recorded), None);
        if let Some(ended_by) = self.amended.ended_by {
            let (end, recalled) = meter.recall(snapshot, ended_by)?;
            (recorded, error) = with_end(recorded, &end)?;
            left_of_end = recalled;
        }
        let (withheld, redacted_by) = withheld(&[left, left_of_end], in_a_trace);
        Ok(Trace {
            run_id: self.run_id,
            id: self.id,
            parent_id: recorded.parent_id,
            trace_type: recorded.trace_type,
            occurred_at: self.occurred_at,
            ended_at: self.amended.ended_at,
            status: self.amended.status,
            error,
            tags: recorded.tags,
            metadata: recorded.metadata,
            otel: recorded.otel,
            redacted: recorded.redacted,
            withheld,
            redacted_by,
            late: self.amended.late,
            orphan: self.amended.orphan,
            log_index: self.log_index,
            seq: self.seq,
            recorded_at: self.recorded_at,
            ended_log_index: self.amended.ended_by,
        })
    }
}

/// A trace with what the entry that ended it says, and the error that it states.
pub(crate) fn with_end(mut recorded: RecordTrace, ended: &Entry) -> Result<(RecordTrace, Option<String>)> {
    match ended.op().map_err(|_| nowhere(ended.log_index))? {
        Some(Op::EndTrace(end)) => {
            let error = end.error.clone();
            recorded.redacted = Redacted::of_all([recorded.redacted, end.redacted.clone()]);
            fill_in(&mut recorded, end);
            Ok((recorded, error))
        }
        // The closed form of a span that was recorded open takes its place.
        Some(Op::RecordTrace(closed)) => {
            let error = stated_error(&closed);
            Ok((closed, error))
        }
        _ => Err(nowhere(ended.log_index)),
    }
}

/// What the span of a trace that failed says of it.
pub(crate) fn stated_error(recorded: &RecordTrace) -> Option<String> {
    let otel = recorded.otel.as_ref().filter(|_| recorded.status_now() == TraceStatus::Error)?;
    span_error(otel.json())
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
