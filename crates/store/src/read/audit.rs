//! Reading audits: what is expected of a run, what was said of it, and which runs wait.

use std::collections::HashMap;

use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun, Standing};
use tracekeep_core::id::RunId;
use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::model::{Kind, Op};
use tracekeep_core::wire::from_text;
use tracekeep_core::{TimeRange, Timestamp};

use super::{Meter, Walk, entry, known, page};
use crate::error::{Code, Error, Result};
use crate::plan::{all_facts, nowhere, reconciler, recorded_verdict};
use crate::query::{Order, Page, PageRequest};
use crate::recall;
use crate::rows::{Entry, Fact, FactKind, FactRow, RunRow};
use crate::snapshot::Snapshot;

const ALL: [FactKind; 3] = [FactKind::Expectation, FactKind::Ack, FactKind::Status];

/// A run's audit in short; what stands in it of `now` is as of then. Costs as much as the run has facts.
///
/// # Errors
/// `run_not_found`; what the snapshot fails with.
pub fn audit(snapshot: &impl Snapshot, run_id: &RunId, now: Timestamp) -> Result<AuditSummary> {
    let row = known(snapshot, run_id)?;
    let verdict_by = row.audit.verdict_by.map(|log_index| entry(snapshot, log_index)).transpose()?;
    let verdict = verdict_by.as_ref().map(verdict).transpose()?.flatten();
    let standing = if row.audit.is_empty() {
        None
    } else {
        let facts = all_facts(snapshot, row.run_no, &ALL)?;
        Some(reconciler(facts.into_iter()).reconcile(now).verdict)
    };
    Ok(AuditSummary {
        run_id: row.run_id,
        expectations: row.audit.expectations.into(),
        acks: row.audit.acks.into(),
        open: row.audit.open.into(),
        watched: row.audit.expectations > 0 && row.audit.cleared_by.is_none(),
        due: row.audit.due,
        now: standing,
        verdict,
        verdict_log_index: row.audit.verdict_by,
        verdict_recorded_at: verdict_by.map(|entry| entry.recorded_at),
    })
}

/// The verdict that an entry states; `None` where it was erased.
fn verdict(entry: &Entry) -> Result<Option<AuditVerdict>> {
    let text = recorded_verdict(entry)?;
    Ok(text.map(|text| from_text(text.as_str().as_bytes())).transpose()?)
}

/// The verdict that the entry at `log_index` states.
///
/// # Errors
/// `entry_not_found` where there is no such entry, it states none, or it was erased; what the snapshot fails with.
pub fn verdict_at(snapshot: &impl Snapshot, log_index: u64) -> Result<AuditVerdict> {
    let none = || Error::new(Code::EntryNotFound, format!("log index {log_index} states no verdict"));
    let entry = snapshot.entry(log_index)?.filter(|entry| matches!(entry.kind, Kind::Verdict | Kind::Sealed));
    let (entry, _) = recall::read(snapshot, entry.ok_or_else(none)?)?;
    verdict(&entry)?.ok_or_else(none)
}

/// A run's expectations by log index, each with where it stands at `now`. Costs as much as the run has facts.
///
/// # Errors
/// `run_not_found`, `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn expectations(
    snapshot: &impl Snapshot,
    run_id: &RunId,
    request: &PageRequest,
    now: Timestamp,
) -> Result<Page<AuditExpectation>> {
    let row = known(snapshot, run_id)?;
    request.check()?;
    let facts = all_facts(snapshot, row.run_no, &ALL)?;
    let standings = reconciler(facts.into_iter()).reconcile(now).standings;
    let standings: HashMap<_, _> = standings.into_iter().map(|standing| (standing.id.clone(), standing)).collect();
    list(snapshot, &row, FactKind::Expectation, request, |fact, entry| match (&fact.fact, entry.op()?) {
        (Fact::Expected(fact), Some(Op::Expect(op))) => {
            let standing = standings.get(&fact.id).ok_or_else(|| nowhere(entry.log_index))?;
            let Standing { id, status, acked_at } = standing.clone();
            Ok(AuditExpectation {
                run_id: op.run_id,
                id,
                domain: op.domain,
                action: op.action,
                deadline_ms: op.deadline_ms,
                deadline: fact.deadline,
                optional: fact.optional,
                count: fact.count,
                liveness: fact.liveness,
                metadata: op.metadata,
                status,
                acked_at,
                log_index: Some(entry.log_index),
                recorded_at: entry.recorded_at,
                received_at: op.received_at,
            })
        }
        _ => Err(nowhere(entry.log_index)),
    })
}

/// A run's acknowledgements by log index.
///
/// # Errors
/// As [`expectations`].
pub fn acks(snapshot: &impl Snapshot, run_id: &RunId, request: &PageRequest) -> Result<Page<DomainAck>> {
    let row = known(snapshot, run_id)?;
    list(snapshot, &row, FactKind::Ack, request, |fact, entry| match (fact.id(), entry.op()?) {
        (Some(_), Some(Op::Ack(op))) => Ok(DomainAck {
            run_id: op.run_id,
            id: op.id.ok_or_else(|| nowhere(entry.log_index))?,
            domain: op.domain,
            action: op.action,
            status: op.status,
            result_id: op.result_id,
            error: op.error,
            rollback_reason: op.rollback_reason,
            metadata: op.metadata,
            log_index: Some(entry.log_index),
            recorded_at: entry.recorded_at,
            received_at: op.received_at,
        }),
        _ => Err(nowhere(entry.log_index)),
    })
}

fn list<T>(
    snapshot: &impl Snapshot,
    row: &RunRow,
    kind: FactKind,
    request: &PageRequest,
    mut view: impl FnMut(&FactRow, Entry) -> Result<T>,
) -> Result<Page<T>> {
    let walk = Walk {
        request,
        order: Order::Oldest,
        range: TimeRange::ALL,
        query: &format!("{kind:?} {}", row.run_id),
        size: snapshot.size(),
        width: 1,
        partial: false,
    };
    page(
        walk,
        |stretch| {
            let from = stretch.after.map_or(0, |(_, log_index)| log_index + 1);
            snapshot.facts(row.run_no, kind, from, stretch.limit)
        },
        // In the order of the log alone.
        |fact| (Timestamp::MIN, fact.log_index),
        |_, _| Ok(true),
        |fact, meter: &Meter| view(&fact, meter.entry(snapshot, fact.log_index)?),
    )
}

/// Runs that wait for something that is neither acknowledged nor cleared, overdue or not, whatever verdicts were recorded:
/// by (started_at, log index), each with since when something is overdue. A page looks at the facts of its runs, about
/// 10,000 of them, and ends there.
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn pending(snapshot: &impl Snapshot, request: &PageRequest, now: Timestamp) -> Result<Page<PendingRun>> {
    let walk = Walk {
        request,
        order: Order::Oldest,
        range: TimeRange::ALL,
        query: "pending",
        size: snapshot.size(),
        width: 1,
        partial: false,
    };
    page(
        walk,
        |stretch| snapshot.waiting_runs(stretch),
        |row| (row.started_at, row.run_no),
        |_, _| Ok(true),
        |row, meter| {
            let facts = all_facts(snapshot, row.run_no, &ALL)?;
            meter.facts(facts.len());
            let overdue_since = reconciler(facts.into_iter()).reconcile(now).overdue_since;
            Ok(PendingRun { overdue_since, ..pending_run(row) })
        },
    )
}

/// Runs that something falls due of before `before`, the earliest first; at most `limit`, 1 to 1,000.
///
/// # Errors
/// `invalid_parameter`; what the snapshot fails with.
pub fn due(snapshot: &impl Snapshot, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
    PageRequest::first(limit).check()?;
    Ok(snapshot.due_runs(before, limit.min(PAGE_ITEMS_MAX))?.into_iter().map(pending_run).collect())
}

fn pending_run(row: RunRow) -> PendingRun {
    PendingRun {
        run_id: row.run_id,
        started_at: row.started_at,
        open: row.audit.open.into(),
        due: row.audit.due,
        overdue_since: None,
        log_index: Some(row.run_no),
    }
}
