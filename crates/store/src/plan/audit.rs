//! Audits: what is expected of a run, what is said of it, and the verdict (docs/design/0008-audit-contract.md).

use std::collections::HashMap;

use tracekeep_audit::{ActionFold, AuditReconciler, Event, ExpectationFact, Reconciled, Said, VerdictStatus};
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{ACKS_MAX, EXPECTATIONS_MAX, FACTS_A_SECOND, JUDGED_FACTS_MAX};
use tracekeep_core::model::{Ack, Expect, Kind, Op, Reconcile, SetExpectationStatus, VerdictBody};
use tracekeep_core::seal::Sealed;
use tracekeep_core::wire::to_json;
use tracekeep_core::{Invalid, InvalidCode, Timestamp};

use super::decide::{Done, earlier};
use super::equal::demand;
use super::fetch::{Bodies, Found, Needs, nowhere};
use super::work::{Work, no_run};
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};
use crate::recall;
use crate::receipt::Told;
use crate::rows::{ActionRow, AuditState, Entry, Fact, FactKind, FactRow, RunRow};
use crate::snapshot::Snapshot;

/// What was looked up of one run's audit.
#[derive(Clone, Debug, Default)]
pub struct FoundAudit {
    /// Facts that are written again: their entries.
    pub entries: HashMap<(FactKind, String), Entry>,
    /// Actions of which something is said or expected.
    pub actions: HashMap<(String, String), ActionRow>,
    /// For a verdict every fact; for an expectation of something that was spoken of before, what was said. Each kind by log
    /// index.
    pub facts: Vec<FactRow>,
    /// For a verdict: the entry of the latest one.
    pub verdict: Option<Entry>,
    /// For a clearing: the entry that did it already.
    pub cleared: Option<Entry>,
}

/// Lists what an op of an audit must look up.
pub(super) fn needs(op: &Op, run: &RunId, needs: &mut Needs) {
    let mut action =
        |domain: &str, action: &str| needs.actions.push((run.clone(), domain.to_owned(), action.to_owned()));
    match op {
        Op::Expect(op) => {
            action(&op.domain, &op.action);
            needs.facts.extend(op.id.as_ref().map(|id| (run.clone(), FactKind::Expectation, id.to_string())));
            needs.expecting.push(run.clone());
        }
        Op::Ack(op) => {
            action(&op.domain, &op.action);
            needs.facts.extend(op.id.as_ref().map(|id| (run.clone(), FactKind::Ack, id.to_string())));
        }
        Op::SetExpectationStatus(op) => action(&op.domain, &op.action),
        Op::ClearAudit(_) => needs.cleared.push(run.clone()),
        Op::Reconcile(_) => needs.verdicts.push(run.clone()),
        _ => {}
    }
    if matches!(op, Op::Expect(_) | Op::Ack(_) | Op::SetExpectationStatus(_)) {
        *needs.own_facts.entry(run.clone()).or_default() += 1;
    }
    // What was said before it may be in the log already.
    if op.is_moved() && matches!(op, Op::Ack(_) | Op::SetExpectationStatus(_)) {
        needs.expecting.push(run.clone());
    }
}

/// The facts that a batch may still look at, of [`JUDGED_FACTS_MAX`]: all of a run's for each op that judges it, and once
/// what was said of a run in which something more is expected.
struct Budget(u64);

impl Budget {
    /// Takes off what the ops that judge look at.
    fn of(needs: &Needs, found: &Found) -> Result<Self> {
        let mut budget = Self(JUDGED_FACTS_MAX.into());
        let is_new = |run_id: &&RunId| found.runs.get(*run_id).is_some_and(|row| row.completed_by.is_none());
        let completions = needs.completions.iter().filter(is_new);
        for run_id in needs.verdicts.iter().chain(completions).chain(&needs.seals) {
            budget.take(recorded(run_id, found) + needs.own_facts.get(run_id).copied().unwrap_or(0))?;
        }
        Ok(budget)
    }

    fn take(&mut self, facts: u64) -> Result<()> {
        self.0 = self.0.checked_sub(facts).ok_or_else(|| {
            let detail = format!(
                "what the batch judges has more than {JUDGED_FACTS_MAX} expectations and acknowledgements, all of a run \
                 counted for each op that judges it: send fewer such ops at once"
            );
            Invalid::new(InvalidCode::TooMany, "/ops", detail)
        })?;
        Ok(())
    }
}

/// How many facts of a run the log holds.
fn recorded(run_id: &RunId, found: &Found) -> u64 {
    let audit = found.runs.get(run_id).map(|row| &row.audit);
    audit.map_or(0, |audit| u64::from(audit.expectations) + u64::from(audit.acks))
}

/// Looks it up.
pub(super) fn fetch(needs: &Needs, bodies: &mut Bodies<'_, impl Snapshot>, found: &mut Found) -> Result<()> {
    let snapshot = bodies.snapshot;
    let mut budget = Budget::of(needs, found)?;
    for (run_id, kind, id) in &needs.facts {
        let Some(row) = found.runs.get(run_id) else { continue };
        let at = (*kind, id.clone());
        if found.audits.get(run_id).is_some_and(|audit| audit.entries.contains_key(&at)) {
            continue;
        }
        if let Some(log_index) = snapshot.fact(row.run_no, *kind, id)? {
            let entry = bodies.entry(log_index)?;
            found.audits.entry(run_id.clone()).or_default().entries.insert(at, entry);
        }
    }
    for (run_id, domain, action) in &needs.actions {
        let Some(row) = found.runs.get(run_id) else { continue };
        let at = (domain.clone(), action.clone());
        if found.audits.get(run_id).is_some_and(|audit| audit.actions.contains_key(&at)) {
            continue;
        }
        if let Some(row) = snapshot.action(row.run_no, domain, action)? {
            found.audits.entry(run_id.clone()).or_default().actions.insert(at, row);
        }
    }
    for run_id in &needs.verdicts {
        fetch_facts(run_id, &[FactKind::Expectation, FactKind::Ack, FactKind::Status], snapshot, found)?;
        fetch_verdict(run_id, bodies, found)?;
    }
    for run_id in &needs.completions {
        if found.runs.get(run_id).is_some_and(|row| row.completed_by.is_none()) {
            fetch_facts(run_id, &[FactKind::Expectation, FactKind::Ack, FactKind::Status], snapshot, found)?;
            fetch_verdict(run_id, bodies, found)?;
        }
    }
    for run_id in &needs.seals {
        fetch_facts(run_id, &[FactKind::Expectation, FactKind::Ack, FactKind::Status], snapshot, found)?;
        fetch_verdict(run_id, bodies, found)?;
    }
    for run_id in &needs.expecting {
        let Some(audit) = found.audits.get(run_id).filter(|audit| audit.facts.is_empty()) else { continue };
        if audit.actions.values().any(|action| action.said > 0) {
            budget.take(recorded(run_id, found))?;
            fetch_facts(run_id, &[FactKind::Ack, FactKind::Status], snapshot, found)?;
        }
    }
    for run_id in &needs.cleared {
        if let Some(log_index) = found.runs.get(run_id).and_then(|row| row.audit.cleared_by) {
            let entry = bodies.entry(log_index)?;
            found.audits.entry(run_id.clone()).or_default().cleared = Some(entry);
        }
    }
    Ok(())
}

fn fetch_verdict(run_id: &RunId, bodies: &mut Bodies<'_, impl Snapshot>, found: &mut Found) -> Result<()> {
    if found.audits.get(run_id).is_some_and(|audit| audit.verdict.is_some()) {
        return Ok(());
    }
    if let Some(log_index) = found.runs.get(run_id).and_then(|row| row.audit.verdict_by) {
        // Of a seal its totals may be withheld, never its verdict.
        let entry = bodies.entry(log_index)?;
        let (entry, _) = recall::read(bodies.snapshot, entry)?;
        found.audits.entry(run_id.clone()).or_default().verdict = Some(entry);
    }
    Ok(())
}

fn fetch_facts(run_id: &RunId, kinds: &[FactKind], snapshot: &impl Snapshot, found: &mut Found) -> Result<()> {
    let Some(row) = found.runs.get(run_id).filter(|row| !row.audit.is_empty()) else { return Ok(()) };
    if found.audits.get(run_id).is_some_and(|audit| !audit.facts.is_empty()) {
        return Ok(());
    }
    let facts = all_facts(snapshot, row.run_no, kinds)?;
    found.audits.entry(run_id.clone()).or_default().facts = facts;
    Ok(())
}

/// Every fact of these kinds: at most as many as a run may have.
pub(crate) fn all_facts(snapshot: &impl Snapshot, run_no: u64, kinds: &[FactKind]) -> Result<Vec<FactRow>> {
    let mut facts = Vec::new();
    for kind in kinds {
        facts.extend(snapshot.facts(run_no, *kind, 0, EXPECTATIONS_MAX + ACKS_MAX)?);
    }
    Ok(facts)
}

fn too_many(what: &str, max: u32) -> Error {
    Invalid::new(InvalidCode::TooMany, "/run_id", format!("a run has at most {max} {what}")).into()
}

pub(super) fn expect(op: &Expect, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let id = op.id.as_ref().expect("invariant: prepare fills ids in");
    if let Some(entry) = work.fact(&op.run_id, FactKind::Expectation, id.as_str()) {
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    let row = work.run(&op.run_id).ok_or_else(no_run)?;
    if row.audit.expectations >= EXPECTATIONS_MAX {
        return Err(too_many("expectations", EXPECTATIONS_MAX));
    }
    let (run_no, now) = (row.run_no, work.context.recorded_at);
    let at = when(op.received_at, work);
    let log_index = work.append(&op.run_id, Kind::Expectation, prepared)?;
    let fact = ExpectationFact::new(id.clone(), op, at);
    let mut action = work.action(&op.run_id, run_no, &op.domain, &op.action);
    let was_open = action.is_open();
    // What was said so far means something else where it is expected more often.
    action.fold = ActionFold { wanted: action.fold.wanted + u64::from(fact.count), ..action.fold };
    if action.said > 0 {
        action.fold = anew(&op.run_id, &action, work);
    }
    action.required |= !fact.optional;
    action.expected_at = Some(action.expected_at.map_or(at, |first| first.min(at)));
    let is_open = action.is_open();
    let due = (!fact.optional).then_some(fact.deadline);
    work.put_action(action);
    work.put_fact(FactRow { run_no, log_index, fact: Fact::Expected(fact) });
    let audit = &mut work.run_mut(&op.run_id)?.audit;
    audit.expectations += 1;
    audit.open = audit.open + u32::from(is_open) - u32::from(was_open);
    audit.cleared_by = None;
    fell_due(audit, due);
    came_after_verdict(audit, now);
    Ok(Done::now(log_index, work))
}

/// When a fact was received, by the clock that deadlines count from: never later than the ledger's own.
fn when(received_at: Option<Timestamp>, work: &Work<'_>) -> Timestamp {
    let now = work.context.recorded_at;
    received_at.map_or(now, |at| at.min(now))
}

/// Where an action stands, all that was said of it said anew.
fn anew(run_id: &RunId, row: &ActionRow, work: &Work<'_>) -> ActionFold {
    let mut fold = ActionFold::expecting(row.fold.wanted);
    let mut said: Vec<_> = work.facts(run_id, row.run_no).filter_map(said_of(&row.domain, &row.action)).collect();
    said.sort_unstable_by_key(|event| (event.at, event.log_index));
    for event in said {
        fold.say(&event.said);
    }
    fold
}

/// The words that were said of one action.
fn said_of<'a>(domain: &'a str, action: &'a str) -> impl Fn(&'a FactRow) -> Option<&'a Event> {
    move |row| match &row.fact {
        Fact::Said(event) if row.action() == (domain, action) => Some(event),
        _ => None,
    }
}

pub(super) fn ack(op: &Ack, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let id = op.id.as_ref().expect("invariant: prepare fills ids in");
    if let Some(entry) = work.fact(&op.run_id, FactKind::Ack, id.as_str()) {
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    let run_no = demand_room(&op.run_id, work)?;
    let action = work.action(&op.run_id, run_no, &op.domain, &op.action);
    let at = when(op.received_at, work);
    let said = Said::Ack { id: id.clone(), status: op.status };
    let waited = action.expected_at.map(|expected_at| at.as_nanos().saturating_sub(expected_at.as_nanos()));
    let log_index = work.append(&op.run_id, Kind::Ack, prepared)?;
    say(&op.run_id, action, said, (at, log_index), work)?;
    Ok(Done::now(log_index, work).telling(Told { waited_ns: waited, ..Told::default() }))
}

pub(super) fn set_status(op: &SetExpectationStatus, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let run_no = demand_room(&op.run_id, work)?;
    let action = work.action(&op.run_id, run_no, &op.domain, &op.action);
    if action.fold.wanted == 0 {
        return Err(Error::new(Code::ExpectationNotFound, "nothing is expected of that action in the run"));
    }
    let at = when(op.received_at, work);
    let log_index = work.append(&op.run_id, Kind::Status, prepared)?;
    say(&op.run_id, action, Said::ByHand(op.status), (at, log_index), work)?;
    Ok(Done::now(log_index, work))
}

/// The run's number, where one more word of its audit may be said.
fn demand_room(run_id: &RunId, work: &Work<'_>) -> Result<u64> {
    let row = work.run(run_id).ok_or_else(no_run)?;
    if row.audit.acks >= ACKS_MAX {
        return Err(too_many("acknowledgements and statuses", ACKS_MAX));
    }
    Ok(row.run_no)
}

/// Notes what was just said of an action, at its time and its place in the log. Every acknowledgement is counted in a
/// verdict; a status changes it only where it changes something.
fn say(
    run_id: &RunId,
    mut row: ActionRow,
    said: Said,
    (at, log_index): (Timestamp, u64),
    work: &mut Work<'_>,
) -> Result<()> {
    let (before, now) = (row.clone(), work.context.recorded_at);
    let is_counted = matches!(said, Said::Ack { .. });
    // What was moved in may have been said before what stands in the log already.
    let is_late = at < now
        && work.facts(run_id, row.run_no).filter_map(said_of(&row.domain, &row.action)).any(|event| event.at > at);
    let event = Event { domain: row.domain.clone(), action: row.action.clone(), at, log_index, said: said.clone() };
    work.put_fact(FactRow { run_no: row.run_no, log_index, fact: Fact::Said(event) });
    row.said += 1;
    if is_late {
        row.fold = anew(run_id, &row, work);
    } else {
        row.fold.say(&said);
    }
    let is_open = row.is_open();
    let is_other = is_counted || before.fold != row.fold;
    work.put_action(row);
    let audit = &mut work.run_mut(run_id)?.audit;
    audit.acks += 1;
    audit.open = audit.open + u32::from(is_open) - u32::from(before.is_open());
    if is_other {
        came_after_verdict(audit, now);
    }
    Ok(())
}

/// The audit is to be looked at once the clock is past `at`, if not before.
fn fell_due(audit: &mut AuditState, at: Option<Timestamp>) {
    if let Some(at) = at {
        audit.due = Some(audit.due.map_or(at, |due| due.min(at)));
    }
}

/// What comes after a verdict that waited for nothing is to be judged soon: nothing else would ask for it. The more facts
/// there are, the later: a verdict may list each of them, and one for every fact would grow with their square.
fn came_after_verdict(audit: &mut AuditState, now: Timestamp) {
    if audit.verdict_by.is_some() && !audit.is_pending && audit.cleared_by.is_none() {
        let seconds = (audit.expectations + audit.acks) / FACTS_A_SECOND;
        fell_due(audit, Some(now.saturating_add(i64::from(seconds) * 1_000_000_000)));
    }
}

pub(super) fn clear(run_id: &RunId, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let row = work.run(run_id).ok_or_else(no_run)?;
    if let Some(log_index) = row.audit.cleared_by {
        let found = work.found.audits.get(run_id).and_then(|audit| audit.cleared.as_ref());
        let entry = work.new_entry(log_index).or(found).ok_or_else(|| nowhere(log_index))?;
        return Ok(earlier(entry, work.context));
    }
    let log_index = work.append(run_id, Kind::AuditCleared, prepared)?;
    let audit = &mut work.run_mut(run_id)?.audit;
    (audit.cleared_by, audit.due) = (Some(log_index), None);
    Ok(Done::now(log_index, work))
}

pub(super) fn reconcile(op: &Reconcile, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let row = work.run(&op.run_id).ok_or_else(no_run)?;
    if row.audit.is_empty() {
        let detail = "nothing was expected of the run, and nothing acknowledged: there is nothing to reconcile";
        return Err(Error::new(Code::ExpectationNotFound, detail).at("/run_id"));
    }
    let now = work.context.recorded_at;
    // A verdict that is as it was is recorded again only where a deadline passed without moving it: the log alone says what
    // is still watched.
    let is_due = row.audit.due.is_some_and(|due| due < now);
    let reconciled = verdict(&op.run_id, row, now, work);
    let verdict = to_json(&reconciled.verdict);
    let before = before(&op.run_id, work)?;
    if let Some(last) = latest(&op.run_id, row, work)?.filter(|_| !is_due)
        && recorded_verdict(last)?.is_some_and(|last| last == verdict)
    {
        return Ok(earlier(last, work.context).telling(told(reconciled, before)));
    }
    let body = VerdictBody { op: op.clone(), verdict }.body();
    body.check_limits()?;
    let commit = body.commitment(&prepared.salt);
    let log_index = work.append_content(&op.run_id, Kind::Verdict, commit, body, prepared.salt)?;
    judged(&reconciled, log_index, work.run_mut(&op.run_id)?);
    Ok(Done::now(log_index, work).telling(told(reconciled, before)))
}

/// The verdict that an entry states, a seal's too; `None` where it was erased, or states none.
pub(crate) fn recorded_verdict(entry: &Entry) -> Result<Option<Json>> {
    let Some(body) = entry.body() else { return Ok(None) };
    match entry.kind {
        Kind::Verdict => Ok(Some(VerdictBody::from_body(body)?.verdict)),
        Kind::Sealed => Ok(Sealed::from_body(body)?.figures.verdict),
        _ => Err(nowhere(entry.log_index)),
    }
}

/// What a seal states of the audit, where there is one.
pub(super) fn at_seal(run_id: &RunId, work: &Work<'_>) -> Result<Option<Reconciled>> {
    let row = work.run(run_id).ok_or_else(no_run)?;
    Ok((!row.audit.is_empty()).then(|| verdict(run_id, row, work.context.recorded_at, work)))
}

/// Notes that the entry at `log_index` states a verdict.
pub(super) fn judged(reconciled: &Reconciled, log_index: u64, row: &mut RunRow) {
    let audit = &mut row.audit;
    audit.verdict_by = Some(log_index);
    audit.is_pending = reconciled.verdict.status == VerdictStatus::Pending;
    audit.due = reconciled.changes_after.filter(|_| audit.cleared_by.is_none());
}

pub(super) fn told(reconciled: Reconciled, before: Option<(VerdictStatus, Timestamp)>) -> Told {
    Told { verdict: Some(Box::new(reconciled.verdict)), before, waited_ns: None }
}

/// The entry of the latest verdict, where there is one.
fn latest<'w>(run_id: &RunId, row: &RunRow, work: &'w Work<'_>) -> Result<Option<&'w Entry>> {
    let Some(log_index) = row.audit.verdict_by else { return Ok(None) };
    let found = work.found.audits.get(run_id).and_then(|audit| audit.verdict.as_ref());
    work.new_entry(log_index).or(found).map(Some).ok_or_else(|| nowhere(log_index))
}

/// What the verdict before the next one says of the run as a whole, and when it was recorded.
pub(super) fn before(run_id: &RunId, work: &Work<'_>) -> Result<Option<(VerdictStatus, Timestamp)>> {
    let row = work.run(run_id).ok_or_else(no_run)?;
    let Some(entry) = latest(run_id, row, work)? else { return Ok(None) };
    let verdict = recorded_verdict(entry)?;
    let status =
        verdict.as_ref().and_then(|verdict| verdict.value().as_object()?.get("status")?.as_str()?.parse().ok());
    Ok(status.map(|status| (status, entry.recorded_at)))
}

fn verdict(run_id: &RunId, row: &RunRow, now: Timestamp, work: &Work<'_>) -> Reconciled {
    reconciler(work.facts(run_id, row.run_no).cloned()).reconcile(now)
}

/// The facts of one run, to be reconciled.
pub(crate) fn reconciler(facts: impl Iterator<Item = FactRow>) -> AuditReconciler {
    let (mut expectations, mut events) = (Vec::new(), Vec::new());
    for row in facts {
        match row.fact {
            Fact::Expected(expectation) => expectations.push(expectation),
            Fact::Said(event) => events.push(event),
        }
    }
    AuditReconciler::new(expectations, events)
}
