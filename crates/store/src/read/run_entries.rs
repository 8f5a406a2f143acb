//! A run's part of the log.

use std::cell::Cell;

use tracekeep_core::id::RunId;
use tracekeep_core::view::LogEntry;
use tracekeep_core::{TimeRange, Timestamp};

use super::proofs::log_entry;
use super::{Walk, known, page};
use crate::error::Result;
use crate::query::{Order, Page, PageRequest};
use crate::rows::Entry;
use crate::snapshot::Snapshot;

/// A run's entries in the order of the log. Walks the log from the run's first entry to its last, headers alone but for
/// what it gives.
///
/// # Errors
/// `run_not_found`; `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn run_entries(snapshot: &impl Snapshot, run_id: &RunId, request: &PageRequest) -> Result<Page<LogEntry>> {
    let row = known(snapshot, run_id)?;
    let is_mine = |header: &Entry| header.run.as_ref().is_some_and(|(run_no, _)| *run_no == row.run_no);
    let has_ended = Cell::new(false);
    page(
        Walk {
            request,
            order: Order::Oldest,
            range: TimeRange::ALL,
            query: &format!("run_entries {run_id}"),
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| {
            if has_ended.get() {
                return Ok(Vec::new());
            }
            let from = stretch.after.map_or(row.run_no, |(_, log_index)| log_index + 1);
            let mut headers = snapshot.headers(from, stretch.limit)?;
            // Nothing of the run comes after its last entry, however long the log is.
            if let Some(last) = headers.iter().position(|header| is_mine(header) && header.seq + 1 == row.entries) {
                headers.truncate(last + 1);
                has_ended.set(true);
            }
            Ok(headers)
        },
        |header| (Timestamp::from_nanos(0), header.log_index),
        |header, _| Ok(is_mine(header)),
        |header, meter| log_entry(snapshot, &meter.raw(snapshot, header.log_index)?),
    )
}
