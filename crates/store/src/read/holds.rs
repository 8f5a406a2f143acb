//! Reading what is held.

use tracekeep_core::model::Op;
use tracekeep_core::view::Held;
use tracekeep_core::{TimeRange, Timestamp};

use super::{Walk, page};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{Order, Page, PageRequest};
use crate::rows::HoldRow;
use crate::snapshot::Snapshot;

/// What is held now, in the order in which it came to be.
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn holds(snapshot: &impl Snapshot, request: &PageRequest) -> Result<Page<Held>> {
    page(
        Walk {
            request,
            order: Order::Oldest,
            range: TimeRange::ALL,
            query: "holds",
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| snapshot.holds(stretch.after.map(|(_, log_index)| log_index), stretch.limit),
        |row: &HoldRow| (Timestamp::from_nanos(0), row.log_index),
        |_, _| Ok(true),
        |row, meter| {
            let entry = meter.entry(snapshot, row.log_index)?;
            let Some(Op::Hold(op)) = entry.op()? else { return Err(nowhere(row.log_index)) };
            Ok(Held {
                run_id: op.run_id,
                tag: op.tag,
                reason: op.reason,
                by: op.by,
                log_index: row.log_index,
                recorded_at: entry.recorded_at,
            })
        },
    )
}
