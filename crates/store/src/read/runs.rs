//! Reading runs.

use std::collections::BTreeSet;

use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{PAGE_ITEMS_MAX, SCAN_ROWS_MAX};
use tracekeep_core::model::{DescribeRun, Op, Redacted, StartRun};
use tracekeep_core::seal::Sealed;
use tracekeep_core::view::{Run, RunCount, UnsealedRun};

use super::holds::Holding;
use super::{Meter, Walk, incidents, page, there};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{Order, Page, PageRequest, RunFilter, RunQuery, RunSort};
use crate::recall::Recalled;
use crate::rows::{Entry, RunRow, SealedTotals};
use crate::snapshot::{Position, Snapshot, Stretch};
use crate::words::{Words, cut};

/// One run; `None` where it is unknown.
///
/// # Errors
/// `run_erased`; what the snapshot fails with.
pub fn run(snapshot: &impl Snapshot, run_id: &RunId) -> Result<Option<Run>> {
    let Some(row) = there(snapshot, run_id)? else { return Ok(None) };
    view(snapshot, row, &Holding::new(snapshot)?, &Meter::default()).map(Some)
}

/// Runs by what the query sorts by, then by log index.
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn runs(snapshot: &impl Snapshot, query: &RunQuery) -> Result<Page<Run>> {
    let (finder, holding) = (Finder::new(snapshot, &query.filter)?, Holding::new(snapshot)?);
    let ((index, range), sort) = (query.walks(), query.sorted_by());
    page(
        Walk {
            request: &query.page,
            order: query.order,
            range,
            query: &query.fingerprint(),
            size: snapshot.size(),
            width: finder.width(),
            partial: false,
        },
        |stretch| snapshot.runs(index, stretch),
        |row| position(row, sort),
        |row, meter| finder.fits(row, meter),
        |row, meter| view(snapshot, row, &holding, meter),
    )
}

/// How many runs fit: of all, or of a status, from kept counters; else counted as far as the budget of one page goes.
///
/// # Errors
/// `invalid_parameter`; what the snapshot fails with.
pub fn run_count(snapshot: &impl Snapshot, filter: &RunFilter) -> Result<RunCount> {
    let finder = Finder::new(snapshot, filter)?;
    if filter.only_status() {
        return Ok(RunCount { count: snapshot.run_count(filter.status)?, complete: true });
    }
    let (meter, (index, range)) = (Meter::default(), filter.counts());
    let sort = RunSort::from(index);
    let (mut count, mut after, mut budget) = (0, None, SCAN_ROWS_MAX / finder.width());
    loop {
        // One row more than there is budget for tells whether anything is left.
        let limit = (budget + 1).min(PAGE_ITEMS_MAX);
        let rows = snapshot.runs(index, Stretch { order: Order::Oldest, range, after, limit })?;
        let exhausted = rows.len() < limit as usize;
        for row in rows {
            if budget == 0 || meter.is_full() {
                return Ok(RunCount { count, complete: false });
            }
            budget -= 1;
            count += u64::from(finder.fits(&row, &meter)?);
            after = Some(position(&row, sort));
        }
        if exhausted {
            return Ok(RunCount { count, complete: true });
        }
    }
}

/// Telemetry that waits for a seal and of which nothing came since `before`, the longest quiet first; at most `limit`, 1 to
/// 1,000.
///
/// # Errors
/// `invalid_parameter`; what the snapshot fails with.
pub fn unsealed(snapshot: &impl Snapshot, before: Timestamp, limit: u32) -> Result<Vec<UnsealedRun>> {
    PageRequest::first(limit).check()?;
    let rows = snapshot.unsealed_runs(before, limit)?;
    let each = rows.into_iter().filter_map(|row| {
        let (unsealed_at, root_ended_at) = (row.unsealed_at?, row.root_ended_at?);
        Some(UnsealedRun {
            run_id: row.run_id,
            seals: row.seals,
            status: row.status,
            completed: row.completed_by.is_some(),
            root_ended_at,
            unsealed_at,
        })
    });
    Ok(each.collect())
}

/// A filter, made ready for a walk over rows.
struct Finder<'a, S> {
    snapshot: &'a S,
    filter: &'a RunFilter,
    words: Option<Words>,
}

/// Rows that are visited for each run whose goal is read: its own, its start's and its description's.
const GOAL_ROWS: u32 = 3;

impl<'a, S: Snapshot> Finder<'a, S> {
    fn new(snapshot: &'a S, filter: &'a RunFilter) -> Result<Self> {
        filter.check()?;
        Ok(Self { snapshot, filter, words: filter.words() })
    }

    fn width(&self) -> u32 {
        if self.words.is_some() { GOAL_ROWS } else { 1 }
    }

    fn fits(&self, row: &RunRow, meter: &Meter) -> Result<bool> {
        if !self.filter.fits(row) {
            return Ok(false);
        }
        let Some(words) = &self.words else { return Ok(true) };
        let start = start(&meter.entry(self.snapshot, row.run_no)?)?;
        let goal = match (start.goal, row.described_by) {
            (Some(goal), _) => Some(goal),
            (None, Some(at)) => described(&meter.entry(self.snapshot, at)?)?.goal,
            (None, None) => None,
        };
        Ok(goal.is_some_and(|goal| words.are_in(&cut(&goal))))
    }
}

/// Where a row stands in the order of a list; a number stands there as the moment of so many nanoseconds.
fn position(row: &RunRow, sort: RunSort) -> Position {
    let sealed = |number: fn(&SealedTotals) -> i64| {
        row.sealed_totals.as_ref().map_or(Timestamp::MIN, |sealed| Timestamp::from_nanos(number(sealed)))
    };
    let place = match sort {
        RunSort::Start => row.started_at,
        RunSort::Cost => sealed(|sealed| sealed.cost_micro_cents),
        RunSort::Duration => sealed(|sealed| sealed.duration_ns),
    };
    (place, row.run_no)
}

fn view<S: Snapshot>(snapshot: &S, row: RunRow, holding: &Holding<'_, S>, meter: &Meter) -> Result<Run> {
    let first = meter.entry(snapshot, row.run_no)?;
    let start = start(&first)?;
    let held = holding.holds(row.run_no, &start.tags)?;
    let described = row.described_by.map(|at| described(&meter.entry(snapshot, at)?)).transpose()?;
    let described = described.unwrap_or_else(|| nothing(&row.run_id));
    let (seal, of_seal) = match row.sealed_by {
        Some(at) => meter.recall(snapshot, at).map(|(entry, recalled)| (Some(entry), recalled))?,
        None => (None, None),
    };
    let sealed = seal.as_ref().map(sealed).transpose()?.flatten();
    let withheld = withheld_of(&row, of_seal.as_ref());
    let parts = [start.redacted, described.redacted, sealed.as_ref().and_then(|sealed| sealed.op.redacted.clone())];
    let redacted = Redacted::of_all(parts);
    let of_incident = incidents::violation(snapshot, &row, meter)?;
    let (end, figures) = sealed.map_or((None, None), |sealed| (Some(sealed.op), Some(sealed.figures)));
    // A later seal of late spans does not take back what a caller said of the end.
    let end = match row.completed_by.filter(|at| row.sealed_by != Some(*at)) {
        Some(at) => self::sealed(&meter.entry(snapshot, at)?)?.map(|sealed| sealed.op),
        None => end,
    };
    Ok(Run {
        correlation_id: start.correlation_id,
        agent_id: start.agent_id.or(described.agent_id),
        parent_run_id: start.parent_run_id,
        goal: start.goal.or(described.goal),
        plan: start.plan,
        seed: row.seed,
        frozen_timestamp: start.frozen_timestamp,
        metadata: if start.metadata == tracekeep_core::model::JsonObject::default() {
            described.metadata
        } else {
            start.metadata
        },
        tags: start.tags,
        policy_snapshot_id: start.policy_snapshot_id,
        source: row.source,
        status: row.status,
        started_at: start.started_at.or(described.started_at).unwrap_or(row.started_at),
        completed_at: end.as_ref().and_then(|end| end.completed_at),
        root_ended_at: row.root_ended_at,
        termination_reason: end.as_ref().and_then(|end| end.termination_reason.clone()),
        completion_metadata: end.as_ref().map(|end| end.metadata.clone()),
        violation: end.and_then(|end| end.violation).or(of_incident),
        plan_hash: row.plan_hash,
        behaviour_hash: row.behaviour_hash,
        root_hash: row.root_hash,
        run_root: figures.as_ref().map(|figures| figures.run_root),
        seals: row.seals,
        entries: row.entries,
        steps: row.steps,
        traces: row.traces,
        gaps: figures.map(|figures| figures.gaps),
        successes: row.totals.successes,
        failures: row.totals.failures,
        cost_cents: row.totals.cost(),
        duration_ms: row.totals.duration(),
        tokens: row.totals.tokens,
        held,
        redacted,
        idempotency_store: start.idempotency_store,
        withheld,
        log_index: row.run_no,
        sealed_log_index: row.sealed_by,
        recorded_at: first.recorded_at,
        run_id: row.run_id,
    })
}

/// What of a run, or of its latest seal, is withheld.
fn withheld_of(row: &RunRow, seal: Option<&Recalled>) -> Option<Vec<String>> {
    let of_row: &[&str] = if row.hashes_withheld { &["behaviour_hash", "root_hash"] } else { &[] };
    let of_seal = seal.into_iter().flat_map(|recalled| recalled.left.withheld());
    let names: BTreeSet<_> = of_row.iter().copied().chain(of_seal).map(str::to_owned).collect();
    (!names.is_empty()).then(|| names.into_iter().collect())
}

/// What the run's first entry says; a run that telemetry began says nothing but its id, and what the door does.
fn start(entry: &Entry) -> Result<StartRun> {
    match entry.op()? {
        Some(Op::StartRun(start)) => Ok(start),
        Some(Op::EnsureRun(ensure)) => {
            Ok(StartRun { idempotency_store: ensure.idempotency_store, ..StartRun::default() })
        }
        None => Ok(StartRun::default()),
        Some(_) => Err(nowhere(entry.log_index)),
    }
}

fn described(entry: &Entry) -> Result<DescribeRun> {
    let wrong = || nowhere(entry.log_index);
    match entry.op()?.ok_or_else(wrong)? {
        Op::DescribeRun(described) => Ok(described),
        _ => Err(wrong()),
    }
}

fn nothing(run_id: &RunId) -> DescribeRun {
    DescribeRun {
        run_id: run_id.clone(),
        topic: String::new(),
        agent_id: None,
        goal: None,
        started_at: None,
        ended_at: None,
        metadata: tracekeep_core::model::JsonObject::default(),
        redacted: None,
    }
}

fn sealed(entry: &Entry) -> Result<Option<Sealed>> {
    Ok(entry.body().map(|body| Sealed::from_body(body)).transpose()?)
}
