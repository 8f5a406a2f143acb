//! Reading runs.

use tracekeep_core::TimeRange;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::SCAN_ROWS_MAX;
use tracekeep_core::model::{DescribeRun, Op, StartRun};
use tracekeep_core::seal::Sealed;
use tracekeep_core::view::Run;

use super::{Meter, Walk, page};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{Order, Page, RunFilter, RunQuery};
use crate::rows::{Entry, RunRow};
use crate::snapshot::{Snapshot, Stretch};

/// One run; `None` where it is unknown.
///
/// # Errors
/// What the snapshot fails with.
pub fn run(snapshot: &impl Snapshot, run_id: &RunId) -> Result<Option<Run>> {
    snapshot.run(run_id)?.map(|row| view(snapshot, row, &Meter::default())).transpose()
}

/// Runs by (started_at as first recorded, log index).
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn runs(snapshot: &impl Snapshot, query: &RunQuery) -> Result<Page<Run>> {
    page(
        Walk {
            request: &query.page,
            order: query.order,
            range: TimeRange::ALL,
            query: &query.fingerprint(),
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| snapshot.runs(query.filter.index(), stretch),
        |row| (row.started_at, row.run_no),
        |row| Ok(query.filter.fits(row)),
        |row, meter| view(snapshot, row, meter),
    )
}

/// How many runs fit. Counted by walking the filter's index, one stretch at a time.
///
/// # Errors
/// What the snapshot fails with.
pub fn run_count(snapshot: &impl Snapshot, filter: &RunFilter) -> Result<u64> {
    let (mut count, mut after) = (0, None);
    loop {
        let stretch = Stretch { order: Order::Oldest, range: TimeRange::ALL, after, limit: SCAN_ROWS_MAX };
        let rows = snapshot.runs(filter.index(), stretch)?;
        count += rows.iter().filter(|row| filter.fits(row)).count() as u64;
        match rows.last() {
            Some(last) if rows.len() == SCAN_ROWS_MAX as usize => after = Some((last.started_at, last.run_no)),
            _ => return Ok(count),
        }
    }
}

fn view(snapshot: &impl Snapshot, row: RunRow, meter: &Meter) -> Result<Run> {
    let first = meter.entry(snapshot, row.run_no)?;
    let start = start(&first)?;
    let described = row.described_by.map(|at| described(&meter.entry(snapshot, at)?)).transpose()?;
    let described = described.unwrap_or_else(|| nothing(&row.run_id));
    let sealed = row.sealed_by.map(|at| sealed(&meter.entry(snapshot, at)?)).transpose()?.flatten();
    let (end, figures) = sealed.map_or((None, None), |sealed| (Some(sealed.op), Some(sealed.figures)));
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
        violation: end.and_then(|end| end.violation),
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
        log_index: row.run_no,
        recorded_at: first.recorded_at,
        run_id: row.run_id,
    })
}

/// What the run's first entry says; a run that telemetry began says nothing but its id.
fn start(entry: &Entry) -> Result<StartRun> {
    match entry.op()? {
        Some(Op::StartRun(start)) => Ok(start),
        Some(Op::EnsureRun(_)) | None => Ok(StartRun::default()),
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
    }
}

fn sealed(entry: &Entry) -> Result<Option<Sealed>> {
    Ok(entry.body().map(|body| Sealed::from_body(body)).transpose()?)
}
