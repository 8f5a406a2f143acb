//! Reading steps.

use tracekeep_core::id::RunId;
use tracekeep_core::model::Op;
use tracekeep_core::view::Step;
use tracekeep_core::{TimeRange, Timestamp};

use super::{Walk, known, page, recall, there, withheld};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{Order, Page, PageRequest};
use crate::recall::Recalled;
use crate::rows::{Entry, StepRow};
use crate::snapshot::Snapshot;

/// One step; `None` where run or step is unknown.
///
/// # Errors
/// `run_erased`; what the snapshot fails with.
pub fn step(snapshot: &impl Snapshot, run_id: &RunId, index: u32) -> Result<Option<Step>> {
    let Some(run) = there(snapshot, run_id)? else { return Ok(None) };
    let Some(row) = snapshot.step(run.run_no, index)? else { return Ok(None) };
    view(recall(snapshot, row.log_index)?).map(Some)
}

/// The steps of a run by index.
///
/// # Errors
/// `run_not_found`, `run_erased`, `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn steps(snapshot: &impl Snapshot, run_id: &RunId, request: &PageRequest) -> Result<Page<Step>> {
    let run = known(snapshot, run_id)?;
    // The index takes the place of the time: it is the order of steps.
    let place = |row: &StepRow| (Timestamp::from_nanos(i64::from(row.index)), row.log_index);
    page(
        Walk {
            request,
            order: Order::Oldest,
            range: TimeRange::ALL,
            query: &format!("steps {run_id}"),
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| {
            let from = stretch.after.map_or(0, |(index, _)| index.as_nanos().saturating_add(1));
            snapshot.steps(run.run_no, u32::try_from(from).unwrap_or(u32::MAX), stretch.limit)
        },
        place,
        |_, _| Ok(true),
        |row, meter| view(meter.recall(snapshot, row.log_index)?),
    )
}

fn view((entry, recalled): (Entry, Option<Recalled>)) -> Result<Step> {
    let (withheld, redacted_by) = withheld(&[recalled], |name| name);
    let wrong = || nowhere(entry.log_index);
    let Some(Op::RecordStep(op)) = entry.op()? else { return Err(wrong()) };
    Ok(Step {
        run_id: op.run_id,
        index: op.index,
        skill_name: op.skill_name,
        params: op.params,
        status: op.status,
        outcome_category: op.outcome_category,
        outcome_code: op.outcome_code,
        outcome_data: op.outcome_data,
        cost_cents: op.cost_cents,
        duration_ms: op.duration_ms,
        tokens: op.tokens,
        retry_count: op.retry_count,
        occurred_at: op.occurred_at.unwrap_or(entry.recorded_at),
        idempotency_key: op.idempotency_key,
        replay_behavior: op.replay_behavior,
        input_hash: op.input_hash,
        output_hash: op.output_hash,
        rng_state_before: op.rng_state_before,
        trace_id: op.trace_id,
        redacted: op.redacted,
        withheld,
        redacted_by,
        log_index: entry.log_index,
        seq: entry.seq,
        recorded_at: entry.recorded_at,
    })
}
