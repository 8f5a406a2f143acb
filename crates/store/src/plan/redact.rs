//! Deciding which members of a step or of a trace are withheld (docs/design/0007-redacting-members.md).

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tracekeep_core::json::Json;
use tracekeep_core::model::{EndTrace, Kind, Op, RecordStep, RecordTrace, Redact};
use tracekeep_core::redaction::{Kept, Redaction, Replaced};
use tracekeep_core::remainder::{HASHED, Left, Remainder, SUMMED};
use tracekeep_core::seal::{Fold, StepLeaves};
use tracekeep_core::{Invalid, InvalidCode, Timestamp};

use super::decide::{Change, Done, earlier};
use super::fetch::{Bodies, Found, Needs, nowhere};
use super::hold::held;
use super::trace::ended_at;
use super::work::{Work, no_run};
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};
use crate::recall;
use crate::rows::{Entry, RunRow, SealedTotals, StepRow, TraceRow};
use crate::snapshot::Snapshot;

/// Seals that are looked up at once.
const SEALS_MAX: u32 = 10_000;

/// What was looked up of the step or the trace of which members are withheld.
#[derive(Clone, Debug, Default)]
pub struct FoundRedaction {
    /// The step.
    pub step: Option<StepRow>,
    /// The trace.
    pub trace: Option<TraceRow>,
    /// The entries of the step, or of the trace and its end.
    pub entries: Vec<Entry>,
    /// Of a step: the run's seals that are over it.
    pub seals: Vec<Entry>,
    /// Of a step: whether the run's first seal is over it.
    pub in_first_seal: bool,
    /// For each of the entries whose content is not there: the redaction that took it.
    pub held_by: HashMap<u64, u64>,
    /// Those redactions.
    pub holders: HashMap<u64, (Entry, Redaction)>,
}

/// Looks it up.
pub(super) fn fetch(needs: &Needs, bodies: &mut Bodies<'_, impl Snapshot>, found: &mut Found) -> Result<()> {
    for op in &needs.redactions {
        let Some(run) = found.runs.get(&op.run_id) else { continue };
        let redaction = fetch_one(op, run.run_no, bodies)?;
        found.redactions.insert(op.run_id.clone(), redaction);
    }
    Ok(())
}

fn fetch_one(op: &Redact, run_no: u64, bodies: &mut Bodies<'_, impl Snapshot>) -> Result<FoundRedaction> {
    let (snapshot, mut found) = (bodies.snapshot, FoundRedaction::default());
    if let Some(index) = op.step
        && let Some(step) = snapshot.step(run_no, index)?
    {
        found.step = Some(step);
        found.entries.push(bodies.entry(step.log_index)?);
        let counts = |name: &String| HASHED.contains(&name.as_str()) || SUMMED.contains(&name.as_str());
        if op.members.iter().any(counts) {
            let seals = snapshot.seals(run_no, SEALS_MAX)?;
            found.in_first_seal = seals.first().is_some_and(|first| *first > step.log_index);
            for seal in seals.into_iter().filter(|seal| *seal > step.log_index) {
                found.seals.push(bodies.entry(seal)?);
            }
        }
    }
    if let Some(id) = &op.trace
        && let Some(trace) = snapshot.trace(run_no, id)?
    {
        found.entries.push(bodies.entry(trace.log_index)?);
        if let Some(ended_by) = trace.ended_by {
            found.entries.push(bodies.entry(ended_by)?);
        }
        found.trace = Some(trace);
    }
    for entry in found.entries.iter().chain(&found.seals).filter(|entry| entry.content.is_none()) {
        let by = snapshot.redacted_by(entry.log_index)?.ok_or_else(|| nowhere(entry.log_index))?;
        found.held_by.insert(entry.log_index, by);
        if let MapEntry::Vacant(vacant) = found.holders.entry(by) {
            let holder = bodies.entry(by)?;
            let redaction = recall::redaction(&holder)?;
            vacant.insert((holder, redaction));
        }
    }
    Ok(found)
}

impl FoundRedaction {
    /// What is left of an entry until now.
    fn left(&self, entry: &Entry) -> Result<Remainder> {
        if let Some((body, salt)) = &entry.content {
            return Ok(Remainder::whole(entry.log_index, body, salt));
        }
        let holder = self.held_by.get(&entry.log_index).and_then(|by| self.holders.get(by));
        let left = holder.and_then(|(_, redaction)| redaction.remainder(entry.log_index));
        left.cloned().ok_or_else(|| nowhere(entry.log_index))
    }
}

/// The name of a member as it stands in the entry that ended a trace, of one as it reads in the trace: `result` of
/// `trace_type/result`.
pub(crate) fn in_an_end(name: &str) -> &str {
    match name {
        "trace_type/result" => "result",
        "trace_type/duration_ms" => "duration_ms",
        "trace_type/results_count" => "results_count",
        name => name,
    }
}

/// The name of a member as it reads in the trace, of one as it stands in the entry that ended it.
pub(crate) fn in_a_trace(name: &str) -> &str {
    match name {
        "result" => "trace_type/result",
        "duration_ms" => "trace_type/duration_ms",
        "results_count" => "trace_type/results_count",
        name => name,
    }
}

/// What of the members that an op names an entry has; the end of a trace has some under other names.
fn named<'a>(op: &'a Redact, left: &Remainder) -> Vec<Option<&'a str>> {
    let as_it_stands = |name: &'a String| {
        let spellings = match op.trace {
            Some(_) => [in_a_trace(name), in_an_end(name)],
            None => [name.as_str(), name.as_str()],
        };
        spellings.into_iter().find(|name| left.get(name).is_some())
    };
    op.members.iter().map(as_it_stands).collect()
}

/// Whether an entry is the redaction that holds what is left of what an op names, and withholds the members.
pub(super) fn withholds(op: &Redact, entry: &Entry) -> Result<bool> {
    if !entry.content.as_ref().is_some_and(|(body, _)| Redaction::is_of_members(body)) {
        return Ok(false);
    }
    let redaction = recall::redaction(entry)?;
    let (name, value) = match (op.step, &op.trace) {
        (Some(index), _) => ("index", Json::from(u64::from(index))),
        (None, Some(id)) => ("id", Json::from(id.as_str())),
        (None, None) => return Ok(false),
    };
    let is_it = |left: &&Remainder| left.get(name).and_then(Left::value) == Some(&value);
    let of: Vec<_> = redaction.kept.remainders.iter().filter(is_it).map(|left| (left, named(op, left))).collect();
    let is_withheld = |place: usize| {
        let mut names = of.iter().filter_map(|(left, names)| Some((left, names[place]?))).peekable();
        names.peek().is_some() && names.all(|(left, name)| left.withholds(name))
    };
    Ok((0..op.members.len()).all(is_withheld))
}

/// Withholds members of a step or a trace that nothing holds.
pub(super) fn redact(op: &Redact, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let row = work.run(&op.run_id).ok_or_else(no_run)?.clone();
    let found = work.found.redactions.get(&op.run_id).ok_or_else(no_run)?;
    if found.entries.is_empty() {
        return Err(match op.step {
            Some(_) => Error::new(Code::StepNotFound, "no step at that index is recorded in the run").at("/step"),
            None => Error::new(Code::TraceNotFound, "no trace of that id is recorded in the run").at("/trace"),
        });
    }
    let before: Vec<_> = found.entries.iter().map(|entry| found.left(entry)).collect::<Result<_>>()?;
    let names: Vec<_> = before.iter().map(|left| named(op, left)).collect();
    for place in 0..op.members.len() {
        if names.iter().all(|names| names[place].is_none()) {
            let detail = "is no member of what was recorded";
            return Err(Invalid::new(InvalidCode::InvalidMember, format!("/members/{place}"), detail).into());
        }
    }
    let is_new = |left: &Remainder, names: &[Option<&str>]| names.iter().flatten().any(|name| !left.withholds(name));
    if !before.iter().zip(&names).any(|(left, names)| is_new(left, names)) {
        let by = found.entries.iter().filter_map(|entry| found.held_by.get(&entry.log_index)).max();
        let (holder, _) = by.and_then(|by| found.holders.get(by)).ok_or_else(|| nowhere(row.run_no))?;
        return Ok(earlier(holder, work.context));
    }
    if let Some(held) = held(&row, work) {
        return Err(Error::new(Code::Held, held));
    }
    let mut after = Vec::with_capacity(before.len());
    for (left, names) in before.iter().zip(&names) {
        after.push(left.without(&names.iter().copied().flatten().collect::<Vec<_>>())?);
    }
    let mut kept: BTreeMap<u64, Remainder> = after.iter().map(|left| (left.log_index, left.clone())).collect();
    for (log_index, left) in seals(found, &before, &after)? {
        kept.insert(log_index, left);
    }
    let replaces = replaced(found, &mut kept);
    let trace = found.trace.as_ref().map(|row| now(row, found, &before, &after)).transpose()?;
    if let Some((before, after)) = &trace
        && before.ended_at != after.ended_at
        && row.root_ended_at.is_some()
        && row.root_ended_at == before.ended_at
    {
        let detail = "is what the run's own end was taken from";
        return Err(Invalid::new(InvalidCode::InvalidMember, "/members", detail).into());
    }
    let redaction = Redaction { op: op.clone(), kept: Kept { remainders: kept.into_values().collect(), replaces } };
    let body = redaction.body();
    Redaction::check_limits(&body)?;
    let commit = body.commitment(&prepared.salt);
    let log_index = work.append_content(&op.run_id, Kind::Redaction, commit, body, prepared.salt)?;
    if let Some(step) = &found.step {
        withhold_step(step, found, &before[0], &after[0], work)?;
    }
    let trace_no = trace.as_ref().map(|(row, _)| row.log_index);
    if let Some((before, after)) = trace {
        work.changes.push(Change::Trace { before: Some(Box::new(before)), after: Box::new(after) });
    }
    work.changes.push(Change::Redacted {
        run_no: row.run_no,
        run_id: op.run_id.clone(),
        log_index,
        entries: redaction.entries().collect(),
        trace: trace_no,
    });
    Ok(Done::now(log_index, work))
}

/// Whether one of `names` was there until now, and is withheld from now on.
fn goes(names: &[&str], before: &Remainder, after: &Remainder) -> bool {
    names.iter().any(|name| after.withholds(name) && !before.withholds(name))
}

/// What is left of the seals that are over a step, where more is withheld of them now.
fn seals(found: &FoundRedaction, before: &[Remainder], after: &[Remainder]) -> Result<Vec<(u64, Remainder)>> {
    let mut names = Vec::new();
    if found.step.is_some() && goes(&HASHED, &before[0], &after[0]) {
        names.extend(["behaviour_hash", "root_hash"]);
    }
    if found.step.is_some() && goes(&SUMMED, &before[0], &after[0]) {
        names.push("totals");
    }
    let mut seals = Vec::new();
    for seal in &found.seals {
        let left = found.left(seal)?;
        let stays = |name: &&&str| left.get(name).is_some_and(|left| left.value().is_some());
        let going: Vec<_> = names.iter().filter(stays).copied().collect();
        if !going.is_empty() {
            seals.push((seal.log_index, left.without(&going)?));
        }
    }
    Ok(seals)
}

/// The redactions that hold what is further withheld: this one takes their place, and carries over all else that they hold.
fn replaced(found: &FoundRedaction, kept: &mut BTreeMap<u64, Remainder>) -> Vec<Replaced> {
    let holders: BTreeSet<_> = kept.keys().filter_map(|log_index| found.held_by.get(log_index)).copied().collect();
    let mut replaces = BTreeMap::new();
    for by in holders {
        let Some((_, redaction)) = found.holders.get(&by) else { continue };
        for left in &redaction.kept.remainders {
            kept.entry(left.log_index).or_insert_with(|| left.clone());
        }
        replaces.extend(redaction.kept.replaces.iter().map(|earlier| (earlier.log_index, earlier.clone())));
        let Redact { reason, by: word, .. } = redaction.op.clone();
        replaces.insert(by, Replaced { log_index: by, reason, by: word });
    }
    replaces.into_values().collect()
}

/// The run has no hashes over its steps from now on.
pub(super) fn withhold_hashes(row: &mut RunRow) {
    row.hashes_withheld = true;
    row.fold = Fold::new(row.plan_hash, row.seed);
    row.behaviour_hash = None;
    row.root_hash = None;
}

fn withhold_step(
    step: &StepRow,
    found: &FoundRedaction,
    before: &Remainder,
    after: &Remainder,
    work: &mut Work<'_>,
) -> Result<()> {
    let (was, is) = (left_step(before)?, left_step(after)?);
    let run = found.entries[0].run.as_ref().map(|(_, run_id)| run_id.clone()).ok_or_else(no_run)?;
    let row = work.run_mut(&run)?;
    if goes(&SUMMED, before, after) {
        row.totals.withhold(&was, &is);
        if let Some(SealedTotals { cost_micro_cents, duration_ns }) = row.sealed_totals.as_mut()
            && found.in_first_seal
        {
            *cost_micro_cents -= was.cost_cents.as_micro_cents() - is.cost_cents.as_micro_cents();
            *duration_ns -= was.duration_ms.as_nanos() - is.duration_ms.as_nanos();
        }
    }
    if goes(&HASHED, before, after) {
        withhold_hashes(row);
        work.changes.push(Change::StepLeaves(StepRow { leaves: StepLeaves::WITHHELD, ..*step }));
    }
    Ok(())
}

/// The op that is left of an entry, as it is decided.
pub(super) fn left_op(kind: Kind, left: &Remainder) -> Result<Op> {
    let text: Arc<str> = left.decides().as_str().into();
    Op::recorded(kind, &text).map_err(|_| nowhere(left.log_index))
}

fn left_step(left: &Remainder) -> Result<RecordStep> {
    match left_op(Kind::Step, left)? {
        Op::RecordStep(step) => Ok(step),
        _ => Err(nowhere(left.log_index)),
    }
}

fn left_trace(left: &Remainder) -> Result<RecordTrace> {
    match left_op(Kind::Trace, left)? {
        Op::RecordTrace(trace) => Ok(trace),
        _ => Err(nowhere(left.log_index)),
    }
}

/// What is left of the entry that ended a trace. Where a duration is withheld, the trace ended when that was recorded: the
/// two together would tell it.
pub(super) fn left_end(left: &Remainder, of: &Remainder, recorded_at: Timestamp) -> Result<Op> {
    let op = left_op(Kind::TraceEnded, left)?;
    let tells = left.withholds("duration_ms") || of.withholds("trace_type/duration_ms");
    Ok(match op {
        Op::EndTrace(end) if tells => Op::EndTrace(EndTrace { ended_at: end.ended_at.or(Some(recorded_at)), ..end }),
        op => op,
    })
}

/// The row of a trace until now, with its tags, and from now on.
fn now(
    row: &TraceRow,
    found: &FoundRedaction,
    before: &[Remainder],
    after: &[Remainder],
) -> Result<(TraceRow, TraceRow)> {
    let row = |left: &[Remainder]| -> Result<TraceRow> {
        let recorded = left_trace(&left[0])?;
        let (Some(end), Some(entry)) = (left.get(1), found.entries.get(1)) else {
            return Ok(TraceRow { tags: recorded.tags, ..row.clone() });
        };
        match left_end(end, &left[0], entry.recorded_at)? {
            Op::EndTrace(op) => {
                let at = ended_at(&op, &recorded, row.occurred_at, entry.recorded_at);
                Ok(TraceRow { tags: recorded.tags, ended_at: Some(at), ..row.clone() })
            }
            Op::RecordTrace(closed) => Ok(TraceRow { tags: closed.tags, ..row.clone() }),
            _ => Err(nowhere(end.log_index)),
        }
    };
    Ok((row(before)?, row(after)?))
}
