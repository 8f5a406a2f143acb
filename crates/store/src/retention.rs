//! Retention: erasing the runs that ended long enough ago, some at a time.
//!
//! A run's age is that of its latest seal by the ledger's own clock: what a producer claims proves nothing, and a run that
//! was imported today is not gone today. Runs are walked in the order in which they began; recorded_at never decreases, so
//! the walk ends at the first that began too late. Each run is a batch of its own: a kill leaves it whole or erased, and
//! the next walk takes up the rest.

use tracekeep_core::age::Age;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{PAGE_ITEMS_MAX, SCAN_ROWS_MAX};
use tracekeep_core::model::{EraseRun, Op, RunStatus};
use tracekeep_core::wire::object;
use tracekeep_core::{Invalid, InvalidCode, Timestamp};

use crate::batch::Batch;
use crate::error::{Code, Error, ErrorKind, Result};
use crate::plan::nowhere;
use crate::query::Cursor;
use crate::receipt::{Receipt, Recorded};
use crate::rows::{HoldPlace, RunRow};
use crate::snapshot::Snapshot;

/// Days after which a run goes unless told.
const DAYS: u32 = 30;
/// Runs that are looked up at once.
const STRIDE: u32 = 100;
/// Entries that one call erases before it ends with a cursor; the run that reaches it is erased whole.
const CALL_ENTRIES: u64 = 100_000;
/// Entries from which on no further run is erased in the same transaction: others wait for it.
const GROUP_ENTRIES: u64 = 50;

object! {
    /// Asks for runs to be erased that ended long enough ago.
    pub struct GcRequest {
        /// Erases what ended so long ago: 30d unless this or `before` is told.
        optional older_than: Age,
        /// Erases what ended before this time.
        optional before: Timestamp,
        /// Says what would be erased, and erases nothing.
        default dry_run: bool = false,
        /// Why: 1 to 1,024 bytes. `retention: older than …` unless told.
        optional reason: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// Runs that one call erases at most: 1 to 1,000.
        default limit: u32 = PAGE_ITEMS_MAX,
        /// The next_cursor of the call before, made by the same request.
        optional cursor: String,
    }
}

impl Default for GcRequest {
    fn default() -> Self {
        Self {
            older_than: None,
            before: None,
            dry_run: false,
            reason: None,
            by: None,
            limit: PAGE_ITEMS_MAX,
            cursor: None,
        }
    }
}

object! {
    /// What a call erased, or would.
    #[derive(Eq)]
    pub struct GcReport {
        /// Nothing was erased: it was only asked.
        required dry_run: bool,
        /// What ended before this time by the ledger's clock is old enough.
        required before: Timestamp,
        /// Runs that were erased, or would be.
        required erased: u64,
        /// Entries whose content went.
        required entries: u64,
        /// Runs that are passed over because they, or one of their tags, are held.
        required held: u64,
        /// Runs that are passed over because a baseline stands for them.
        required baselines: u64,
        /// Runs that began long enough ago and have not ended.
        required running: u64,
        /// Runs that could not be erased, because something stored of them is damaged: `fsck` names it.
        required failed: u64,
        /// Runs that were erased while what was held of their audits in front of the ledger was not dropped, or may not have
        /// been: it ends with its ttl. At least so many, where what was erased could not be read.
        required left: u64,
        /// Bytes that the ledger's file has now; absent where it has none, and of a question.
        optional file_bytes: u64,
        /// Bytes that went back to the file system.
        optional freed_bytes: u64,
        /// There may be more: where to go on.
        optional next_cursor: String,
    }
}

impl GcReport {
    /// This call's report and that of the one that went on after it.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a.map_or(b, |a| Some(a + b.unwrap_or(0)));
        Self {
            dry_run: self.dry_run,
            before: self.before,
            erased: self.erased + next.erased,
            entries: self.entries + next.entries,
            held: self.held + next.held,
            baselines: self.baselines + next.baselines,
            running: self.running + next.running,
            failed: self.failed + next.failed,
            left: self.left + next.left,
            file_bytes: next.file_bytes.or(self.file_bytes),
            freed_bytes: sum(self.freed_bytes, next.freed_bytes),
            next_cursor: next.next_cursor,
        }
    }
}

/// Runs that are old enough, as far as one call goes.
#[derive(Debug, Default)]
pub struct Expired {
    /// Those to erase, and how many entries each has.
    runs: Vec<(RunId, u64)>,
    held: u64,
    baselines: u64,
    running: u64,
    /// The run number to go on from.
    next: Option<u64>,
}

/// Looks for runs that ended before a time, from a run number on, at most `limit`.
///
/// # Errors
/// What the snapshot fails with.
pub fn expired(snapshot: &impl Snapshot, before: Timestamp, from: u64, limit: u32) -> Result<Expired> {
    let (mut found, mut from, mut left, mut entries) = (Expired::default(), from, SCAN_ROWS_MAX, 0);
    loop {
        let rows = snapshot.runs_from(from, STRIDE)?;
        let exhausted = rows.len() < STRIDE as usize;
        for row in rows {
            if left == 0 || found.runs.len() == limit as usize || entries >= CALL_ENTRIES {
                found.next = Some(row.run_no);
                return Ok(found);
            }
            (left, from) = (left - 1, row.run_no + 1);
            if recorded_at(snapshot, row.run_no)? >= before {
                return Ok(found);
            }
            // Telemetry that came after the seal waits for the next one.
            let is_over = row.status != RunStatus::Running && row.unsealed_at.is_none();
            match row.sealed_by.filter(|_| is_over) {
                None => found.running += 1,
                Some(sealed_by) if recorded_at(snapshot, sealed_by)? >= before => {}
                Some(_) if is_held(snapshot, &row)? => found.held += 1,
                Some(_) if snapshot.is_baseline(&row.run_id)? => found.baselines += 1,
                Some(_) => {
                    entries += row.entries;
                    found.runs.push((row.run_id, row.entries));
                }
            }
        }
        if exhausted {
            return Ok(found);
        }
    }
}

fn recorded_at(snapshot: &impl Snapshot, log_index: u64) -> Result<Timestamp> {
    let entry = snapshot.headers(log_index, 1)?.pop().filter(|entry| entry.log_index == log_index);
    Ok(entry.ok_or_else(|| nowhere(log_index))?.recorded_at)
}

/// Whether a run, or one of its tags, is held.
fn is_held(snapshot: &impl Snapshot, row: &RunRow) -> Result<bool> {
    let own = [HoldPlace::Run(row.run_no)];
    for place in own.into_iter().chain(row.tags.iter().cloned().map(HoldPlace::Tag)) {
        if snapshot.hold(&place)?.is_some_and(|hold| hold.held) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One call: looks for runs that are old enough `now`, and commits their erasures, a few in a transaction.
///
/// # Errors
/// `invalid_member`, `too_large`, `invalid_cursor` of the request; what looking and committing fail with, other than by
/// what became of a run meanwhile. What was erased before stays so: the same again goes on.
pub fn gc(
    request: &GcRequest,
    now: Timestamp,
    look: impl FnOnce(Timestamp, u64, u32) -> Result<Expired>,
    mut commit: impl FnMut(Vec<Batch>) -> Vec<Result<Receipt>>,
) -> Result<GcReport> {
    let reason = check(request)?;
    let query = format!("gc {:?} {:?}", request.older_than, request.before);
    let (before, from) = match &request.cursor {
        Some(text) => {
            let cursor = Cursor::read(text, &query)?;
            (Timestamp::from_nanos(cursor.at.0), cursor.as_of)
        }
        None => (request.before.unwrap_or_else(|| age(request).before(now)), 0),
    };
    let found = look(before, from, request.limit)?;
    let next = |run_no| Cursor { as_of: run_no, at: (before.as_nanos(), 0), depth: 0 }.write(&query);
    let mut report = GcReport {
        dry_run: request.dry_run,
        before,
        erased: 0,
        entries: 0,
        held: found.held,
        baselines: found.baselines,
        running: found.running,
        failed: 0,
        left: 0,
        file_bytes: None,
        freed_bytes: None,
        next_cursor: found.next.map(next),
    };
    if request.dry_run {
        report.erased = found.runs.len() as u64;
        report.entries = found.runs.iter().map(|(_, entries)| entries).sum();
        return Ok(report);
    }
    let mut runs = found.runs.into_iter().peekable();
    while runs.peek().is_some() {
        let (mut batches, mut entries) = (Vec::new(), Vec::new());
        while let Some((run_id, count)) = runs.next_if(|_| entries.iter().sum::<u64>() < GROUP_ENTRIES) {
            let op = EraseRun { run_id, reason: reason.clone(), by: request.by.clone(), redacted: None };
            batches.push(Batch::one(Op::EraseRun(op)));
            entries.push(count);
        }
        for (answer, entries) in commit(batches).into_iter().zip(entries) {
            count(answer, entries, &mut report)?;
        }
    }
    Ok(report)
}

fn count(answer: Result<Receipt>, entries: u64, report: &mut GcReport) -> Result<()> {
    match answer {
        Ok(receipt) if receipt.outcome == Recorded::Recorded => {
            report.erased += 1;
            report.entries += entries;
        }
        // Somebody else erased it meanwhile.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Conflict => report.held += 1,
        Err(error) if error.code() == Code::Corrupt.as_str() => report.failed += 1,
        Err(error) => return Err(error.strip("/ops/0")),
    }
    Ok(())
}

fn age(request: &GcRequest) -> Age {
    request.older_than.unwrap_or(Age::days(DAYS))
}

/// The reason that the erasures give.
fn check(request: &GcRequest) -> Result<String> {
    if request.older_than.is_some() && request.before.is_some() {
        let detail = "stands in the place of older_than";
        return Err(Invalid::new(InvalidCode::InvalidMember, "/before", detail).into());
    }
    if request.limit == 0 || request.limit > PAGE_ITEMS_MAX {
        let detail = format!("is 1 to {PAGE_ITEMS_MAX}");
        return Err(Invalid::new(InvalidCode::NumberOutOfRange, "/limit", detail).into());
    }
    let reason = request.reason.clone().unwrap_or_else(|| match request.before {
        Some(before) => format!("retention: ended before {before}"),
        None => format!("retention: older than {}", age(request)),
    });
    let run_id = RunId::new("any").map_err(Error::from)?;
    Op::EraseRun(EraseRun { run_id, reason: reason.clone(), by: request.by.clone(), redacted: None }).check()?;
    Ok(reason)
}
