//! Reads, written once over a [`Snapshot`]: what every backend answers to the same question.

mod audit;
mod baselines;
mod compare;
mod find;
mod holds;
mod incidents;
mod matches;
mod proofs;
mod run_entries;
mod runs;
mod siblings;
mod signing;
mod steps;
mod traces;
mod tree;
mod verify;

pub use audit::{acks, audit, due, expectations, pending, verdict_at};
pub use baselines::{baseline, baselines};
pub use compare::compare;
pub use holds::holds;
pub use incidents::{incident, incidents};
pub use matches::matches;
pub use proofs::{consistency, entries, events, head, inclusion, multiproof, root_at};
pub use run_entries::run_entries;
pub use runs::{run, run_count, runs, unsealed};
pub use signing::signing_keys;
pub use steps::{step, steps};
pub(crate) use traces::{stated_error, with_end};
pub use traces::{trace, trace_counts, traces};
pub use tree::tree;
pub use verify::verify_run;

use std::cell::Cell;
use std::collections::BTreeSet;

use tracekeep_core::TimeRange;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX, SCAN_ROWS_MAX};
use tracekeep_core::model::Op;
use tracekeep_core::view::Erasure;

use crate::error::{Code, Error, Result};
use crate::plan::nowhere;
use crate::query::{Cursor, Order, Page, PageRequest};
use crate::recall::Recalled;
use crate::rows::{Entry, RunRow};
use crate::snapshot::{Position, Snapshot, Stretch};

/// The run's row, or the error that names what is missing.
fn known(snapshot: &impl Snapshot, run_id: &RunId) -> Result<RunRow> {
    let unknown = || Error::new(Code::RunNotFound, format!("no run {run_id} is recorded"));
    there(snapshot, run_id)?.ok_or_else(unknown)
}

/// The run's row, `None` where the run is unknown; `run_erased` where it was erased.
fn there(snapshot: &impl Snapshot, run_id: &RunId) -> Result<Option<RunRow>> {
    match snapshot.run(run_id)? {
        None => match snapshot.erased(run_id)? {
            Some(log_index) => Err(erased(snapshot, log_index)?),
            None => Ok(None),
        },
        row => Ok(row),
    }
}

/// The error that carries the redaction at `log_index`.
fn erased(snapshot: &impl Snapshot, log_index: u64) -> Result<Error> {
    let entry = entry(snapshot, log_index)?;
    let Some(Op::EraseRun(op)) = entry.op()? else { return Err(nowhere(log_index)) };
    let detail = format!("the run was erased at {} by log index {log_index}", entry.recorded_at);
    let redaction = Erasure { log_index, recorded_at: entry.recorded_at, reason: op.reason, by: op.by };
    Ok(Error::new(Code::RunErased, detail).with_redaction(redaction))
}

/// An entry as a reader takes it.
fn entry(snapshot: &impl Snapshot, log_index: u64) -> Result<Entry> {
    Ok(recall(snapshot, log_index)?.0)
}

/// The same, and what is left of it where a redaction took its content.
fn recall(snapshot: &impl Snapshot, log_index: u64) -> Result<(Entry, Option<Recalled>)> {
    crate::recall::read(snapshot, snapshot.entry(log_index)?.ok_or_else(|| nowhere(log_index))?)
}

/// What a view says of members that are withheld: their names, as it has them, and the redaction that holds what is left.
fn withheld(parts: &[Option<Recalled>], named: fn(&str) -> &str) -> (Option<Vec<String>>, Option<u64>) {
    let (mut names, mut redacted_by) = (BTreeSet::new(), None);
    for Recalled { by, left, .. } in parts.iter().flatten() {
        names.extend(left.withheld().map(|name| named(name).to_owned()));
        redacted_by = redacted_by.max(Some(*by));
    }
    (redacted_by.map(|_| names.into_iter().collect()), redacted_by)
}

/// Counts the bytes of the bodies that a page was made of.
#[derive(Default)]
struct Meter(Cell<u64>);

impl Meter {
    fn entry(&self, snapshot: &impl Snapshot, log_index: u64) -> Result<Entry> {
        Ok(self.recall(snapshot, log_index)?.0)
    }

    /// The entry as the log holds it.
    fn raw(&self, snapshot: &impl Snapshot, log_index: u64) -> Result<Entry> {
        let entry = snapshot.entry(log_index)?.ok_or_else(|| nowhere(log_index))?;
        self.0.set(self.0.get() + entry.body().map_or(0, |body| body.len() as u64));
        Ok(entry)
    }

    fn recall(&self, snapshot: &impl Snapshot, log_index: u64) -> Result<(Entry, Option<Recalled>)> {
        let (entry, recalled) = recall(snapshot, log_index)?;
        let around = recalled.as_ref().map_or(0, |recalled| recalled.bytes);
        self.0.set(self.0.get() + entry.body().map_or(0, |body| body.len() as u64) + around);
        Ok((entry, recalled))
    }

    /// A body that was read elsewhere.
    fn body(&self, body: &str) {
        self.0.set(self.0.get() + body.len() as u64);
    }

    /// Facts that were looked at weigh as much of a page as rows of a scan do.
    fn facts(&self, count: usize) {
        self.0.set(self.0.get() + count as u64 * u64::from(PAGE_BYTES_MAX / SCAN_ROWS_MAX));
    }

    /// The page has as many bytes as it may: it ends here, with a cursor.
    fn is_full(&self) -> bool {
        self.0.get() >= u64::from(PAGE_BYTES_MAX)
    }
}

/// A list's page: which, in which direction and range, of which query, over a log of which size.
struct Walk<'a> {
    request: &'a PageRequest,
    order: Order,
    range: TimeRange,
    query: &'a str,
    size: u64,
    /// Rows that are visited for each that the scan gives.
    width: u32,
    /// The size is less than the log has: what is walked lags behind.
    partial: bool,
}

/// Walks an ordered index for one page: rows below the walk's size that fit, within a budget of rows and of bytes.
///
/// `scan` reads a stretch, `position` tells a row's place, `fits` filters, `view` makes the item.
fn page<R, T>(
    walk: Walk<'_>,
    mut scan: impl FnMut(Stretch) -> Result<Vec<R>>,
    position: impl Fn(&R) -> Position,
    mut fits: impl FnMut(&R, &Meter) -> Result<bool>,
    mut view: impl FnMut(R, &Meter) -> Result<T>,
) -> Result<Page<T>> {
    pick(walk, |stretch, picked| {
        for row in scan(stretch)? {
            if !picked.takes(
                position(&row),
                |meter| {
                    if fits(&row, meter)? { view(row, meter).map(Some) } else { Ok(None) }
                },
            )? {
                break;
            }
        }
        Ok(())
    })
}

/// The same where rows are handed out one by one: `scan` offers each of a stretch to [`Picked::takes`] until that says
/// no.
fn pick<T>(
    Walk { request, order, range, query, size, width, partial }: Walk<'_>,
    mut scan: impl FnMut(Stretch, &mut Picked<T>) -> Result<()>,
) -> Result<Page<T>> {
    let start = start_of(request, query)?;
    // A walk that began over a part of the log goes on over that part; a text index that was emptied sees less than it did.
    let (as_of, partial) = start
        .map_or((size, partial), |cursor| (cursor.as_of, cursor.depth == PARTIAL || (partial && size < cursor.as_of)));
    let (mut budget, mut stride) = (SCAN_ROWS_MAX / width, 0);
    let mut picked = Picked {
        meter: Meter::default(),
        as_of,
        limit: request.limit as usize,
        items: Vec::new(),
        after: start.map(|cursor| from_words(cursor.at)),
        seen: 0,
        is_full: false,
    };
    let next = loop {
        let room = request.limit - u32::try_from(picked.items.len()).unwrap_or(request.limit);
        // What few rows fit is looked for in ever longer strides.
        let limit = (room + 1).max(stride).min(budget);
        stride = (limit * 2).min(PAGE_ITEMS_MAX);
        picked.seen = 0;
        scan(Stretch { order, range, after: picked.after, limit }, &mut picked)?;
        budget = budget.saturating_sub(picked.seen);
        if !picked.is_full && picked.seen < limit {
            break None;
        }
        if picked.is_full || budget == 0 {
            break Some(go_on(as_of, picked.after, partial, query));
        }
    };
    Ok(Page { items: picked.items, next_cursor: next, complete: !partial })
}

/// Items that a page has room for once it has one.
const ROOM: usize = 64;

/// A page that fills.
struct Picked<T> {
    meter: Meter,
    /// Rows at or beyond this log index are passed over.
    as_of: u64,
    limit: usize,
    items: Vec<T>,
    /// The place of the row that was looked at last.
    after: Option<Position>,
    /// Rows of the stretch that were looked at.
    seen: u32,
    is_full: bool,
}

impl<T> Picked<T> {
    /// Looks at the row at a place, and keeps what `view` makes of it, if anything; says no where the page has no room for
    /// it.
    fn takes(&mut self, at: Position, view: impl FnOnce(&Meter) -> Result<Option<T>>) -> Result<bool> {
        self.is_full = self.items.len() == self.limit || self.meter.is_full();
        if self.is_full {
            return Ok(false);
        }
        self.seen += 1;
        if at.1 < self.as_of
            && let Some(item) = view(&self.meter)?
        {
            if self.items.is_empty() {
                self.items.reserve_exact(self.limit.min(ROOM));
            }
            self.items.push(item);
        }
        self.after = Some(at);
        Ok(true)
    }
}

/// Where a page starts, its request checked.
fn start_of(request: &PageRequest, query: &str) -> Result<Option<Cursor>> {
    request.check()?;
    request.cursor.as_deref().map(|text| Cursor::read(text, query)).transpose()
}

/// In a list's cursor, in the place of a depth: the walk is over a part of the log.
const PARTIAL: u32 = 1;

fn go_on(as_of: u64, after: Option<Position>, partial: bool, query: &str) -> String {
    let at = after.map_or((i64::MIN, 0), to_words);
    Cursor { as_of, at, depth: if partial { PARTIAL } else { 0 } }.write(query)
}

fn to_words(position: Position) -> (i64, i64) {
    (position.0.as_nanos(), i64::try_from(position.1).unwrap_or(i64::MAX))
}

fn from_words(words: (i64, i64)) -> Position {
    (tracekeep_core::Timestamp::from_nanos(words.0), u64::try_from(words.1).unwrap_or(0))
}
