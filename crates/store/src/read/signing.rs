//! Reading which keys sign.

use tracekeep_core::model::Op;
use tracekeep_core::view::DeclaredKey;
use tracekeep_core::{TimeRange, Timestamp};

use super::{Walk, page};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{Order, Page, PageRequest};
use crate::snapshot::Snapshot;

/// The keys that the log was signed with, in the order of their declarations: the last one signs.
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn signing_keys(snapshot: &impl Snapshot, request: &PageRequest) -> Result<Page<DeclaredKey>> {
    page(
        Walk {
            request,
            order: Order::Oldest,
            range: TimeRange::ALL,
            query: "signing_keys",
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| snapshot.signing_keys(stretch.after.map(|(_, log_index)| log_index), stretch.limit),
        |log_index| (Timestamp::from_nanos(0), *log_index),
        |_, _| Ok(true),
        |log_index, meter| {
            let entry = meter.entry(snapshot, log_index)?;
            let Some(Op::DeclareKey(op)) = entry.op()? else { return Err(nowhere(log_index)) };
            Ok(DeclaredKey {
                key: op.key,
                previous: op.previous,
                reason: op.reason,
                why: op.why,
                by: op.by,
                given_up: op.given_up,
                log_index,
                recorded_at: entry.recorded_at,
            })
        },
    )
}
