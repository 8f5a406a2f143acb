//! Reading baselines.

use tracekeep_core::id::BaselineName;
use tracekeep_core::model::Op;
use tracekeep_core::view::Baseline;
use tracekeep_core::{TimeRange, Timestamp};

use super::{Meter, Walk, page};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{Order, Page, PageRequest};
use crate::rows::BaselineRow;
use crate::snapshot::Snapshot;

/// What a name stands for; `None` where it stands for nothing.
///
/// # Errors
/// What the snapshot fails with.
pub fn baseline(snapshot: &impl Snapshot, name: &BaselineName) -> Result<Option<Baseline>> {
    let row = snapshot.baseline(name)?;
    row.map(|row| view(snapshot, row, &Meter::default())).transpose()
}

/// What names stand for, in the order in which that was said.
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn baselines(snapshot: &impl Snapshot, request: &PageRequest) -> Result<Page<Baseline>> {
    page(
        Walk {
            request,
            order: Order::Oldest,
            range: TimeRange::ALL,
            query: "baselines",
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| snapshot.baselines(stretch.after.map(|(_, log_index)| log_index), stretch.limit),
        |row: &BaselineRow| (Timestamp::from_nanos(0), row.log_index),
        |_, _| Ok(true),
        |row, meter| view(snapshot, row, meter),
    )
}

fn view(snapshot: &impl Snapshot, row: BaselineRow, meter: &Meter) -> Result<Baseline> {
    let entry = meter.entry(snapshot, row.log_index)?;
    let Some(Op::SetBaseline(op)) = entry.op()? else { return Err(nowhere(row.log_index)) };
    let run = snapshot.run(&op.run_id)?;
    Ok(Baseline {
        name: op.name,
        run_id: op.run_id,
        reason: op.reason,
        by: op.by,
        behaviour_hash: run.as_ref().and_then(|run| run.behaviour_hash),
        root_hash: run.and_then(|run| run.root_hash),
        log_index: row.log_index,
        recorded_at: entry.recorded_at,
    })
}
