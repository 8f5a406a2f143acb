//! Deciding a recorded entry again: how the indices are rebuilt, and checked, from the log alone.

use std::collections::HashMap;

use tracekeep_core::erasure::{ErasedRun, Went};
use tracekeep_core::hash::Salt;
use tracekeep_core::model::{Kind, Op, RecordExport, RecordTrace};
use tracekeep_core::redaction::Redaction;
use tracekeep_core::remainder::{HASHED, Remainder};
use tracekeep_core::seal::{KeyBody, StepLeaves, step_leaves};

use super::decide::{Change, Context, decide};
use super::fetch::{fetch, needs};
use super::incident::export_again;
use super::redact::{left_end, left_op};
use crate::batch::{Prepared, PreparedOp};
use crate::error::{Code, Error, Result};
use crate::recall;
use crate::rows::{BaselineRow, Entry, OwnedId, RunRow};
use crate::snapshot::Snapshot;

/// What a recorded entry means for the indices.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The changes, as the plan made them when the entry was written.
    pub changes: Vec<Change>,
}

/// Decides a recorded entry again over the state that the entries before it left.
///
/// An erased entry keeps its place in the run's count and tree and changes nothing else.
///
/// # Errors
/// `corrupt`, with the log index, where the entry is not what the plan would write; what the snapshot fails with.
pub fn replay(entry: &Entry, snapshot: &impl Snapshot) -> Result<Replayed> {
    let corrupt = |what: &str| Error::new(Code::Corrupt, format!("log index {}: {what}", entry.log_index));
    let Some((body, salt)) = &entry.content else {
        return match recall::left(snapshot, entry)? {
            Some(recalled) => left(entry, &recalled.left, snapshot),
            None => erased(entry, snapshot),
        };
    };
    if entry.commit != body.commitment(salt) {
        return Err(corrupt("the body does not fit its commitment"));
    }
    if entry.kind == Kind::Key {
        let key = KeyBody::from_body(body.as_str()).map_err(|error| corrupt(error.detail()))?;
        return Ok(Replayed { changes: vec![Change::Key { key: key.key, log_index: entry.log_index }] });
    }
    if entry.kind == Kind::Baseline {
        let op = Op::from_body(body.as_str()).map_err(|error| corrupt(error.detail()))?;
        return baseline(entry, op).ok_or_else(|| corrupt("the entry is not what its body means here"));
    }
    if entry.kind == Kind::Redaction && Redaction::is_of_members(body) {
        return members(entry, &recall::redaction(entry)?, snapshot);
    }
    if entry.kind == Kind::Redaction {
        let erased = ErasedRun::from_body(body.as_str()).map_err(|error| corrupt(error.detail()))?;
        return redaction(entry, &erased, snapshot).ok_or_else(|| corrupt("the redaction is not one of this run"))?;
    }
    let op = Op::from_body(body.as_str()).map_err(|error| corrupt(error.detail()))?;
    if let Op::RecordExport(op) = &op
        && entry.run.is_none()
        && !names_what_is_here(op, snapshot)?
    {
        let change = export_again(op, entry.log_index).ok_or_else(|| corrupt("the export has no id"))?;
        return Ok(Replayed { changes: vec![change] });
    }
    let op = PreparedOp::settled(op, *salt, Vec::new()).map_err(|error| corrupt(error.detail()))?;
    let batch = Prepared { ops: vec![op], key: None, key_salt: *salt };
    let found = fetch(&needs(&batch), snapshot)?;
    let context = Context { ledger: snapshot.ledger(), recorded_at: entry.recorded_at, size: entry.log_index };
    let planned = decide(&batch, &found, &context).map_err(|error| corrupt(&format!("refused: {error}")))?;
    let [again] = &planned.entries[..] else { return Err(corrupt("the entry repeats an earlier one")) };
    let same =
        again.run == entry.run && again.seq == entry.seq && again.kind == entry.kind && again.commit == entry.commit;
    if !same {
        return Err(corrupt("the entry is not what its body means here"));
    }
    Ok(Replayed { changes: planned.changes })
}

/// Whether the run or the incident that an export names is still here, or it names neither.
fn names_what_is_here(op: &RecordExport, snapshot: &impl Snapshot) -> Result<bool> {
    Ok(match (&op.run_id, &op.incident_id) {
        (Some(run_id), _) => snapshot.run(run_id)?.is_some(),
        (None, Some(incident_id)) => snapshot.incident(incident_id)?.is_some(),
        (None, None) => true,
    })
}

/// What a name stands for is not decided again: the run may have been erased since.
fn baseline(entry: &Entry, op: Op) -> Option<Replayed> {
    let is_whole = entry.run.is_none() && entry.body().is_some_and(|body| **body == *op.body().as_str());
    let Op::SetBaseline(op) = op else { return None };
    let row = BaselineRow { name: op.name, run_id: op.run_id, log_index: entry.log_index };
    is_whole.then(|| Replayed { changes: vec![Change::Baseline(row)] })
}

/// What erased a run is not decided again: what it was decided over is no longer there.
fn redaction(entry: &Entry, erased: &ErasedRun, snapshot: &impl Snapshot) -> Option<Result<Replayed>> {
    let (run_no, run_id) = entry.run.as_ref().filter(|(_, run_id)| *run_id == erased.op.run_id)?;
    if erased.went.entries != entry.seq || entry.body().is_none_or(|body| **body != *erased.body().as_str()) {
        return None;
    }
    let before = match snapshot.run(run_id) {
        Ok(before) => before.filter(|row| row.run_no == *run_no).map(Box::new),
        Err(error) => return Some(Err(error)),
    };
    let change = Change::Erased {
        run_no: *run_no,
        run_id: run_id.clone(),
        log_index: entry.log_index,
        entries: entry.seq,
        ids: owned_ids(&erased.went),
        before,
    };
    Some(Ok(Replayed { changes: vec![change] }))
}

fn owned_ids(went: &Went) -> Vec<OwnedId> {
    let incidents = went.incidents.iter().flatten().cloned().map(OwnedId::Incident);
    incidents.chain(went.exports.iter().flatten().cloned().map(OwnedId::Export)).collect()
}

/// What a redaction of members says of the entries in front of it, where the entry is one. Whoever replays a log must know
/// it of all of them before: what is left of an entry is decided in its place.
///
/// # Errors
/// `corrupt` where its body is not one that this version wrote.
pub fn foretold(entry: &Entry) -> Result<Option<Change>> {
    let (Kind::Redaction, Some((run_no, run_id)), Some((body, _))) = (entry.kind, &entry.run, &entry.content) else {
        return Ok(None);
    };
    if !Redaction::is_of_members(body) {
        return Ok(None);
    }
    Ok(Some(Change::Redacted {
        run_no: *run_no,
        run_id: run_id.clone(),
        log_index: entry.log_index,
        entries: recall::redaction(entry)?.entries().collect(),
        trace: None,
    }))
}

/// What withheld members is not decided again: what it took the place of is no longer there. Every entry that it names is in
/// front of it in its run, without content, and nothing else holds what is left.
fn members(entry: &Entry, redaction: &Redaction, snapshot: &impl Snapshot) -> Result<Replayed> {
    let corrupt = |what: &str| Error::new(Code::Corrupt, format!("log index {}: {what}", entry.log_index));
    let is_of_run = entry.run.as_ref().is_some_and(|(_, run_id)| *run_id == redaction.op.run_id);
    if !is_of_run || entry.body().is_none_or(|body| **body != *redaction.body().as_str()) {
        return Err(corrupt("the redaction is not one of this run"));
    }
    for log_index in redaction.entries() {
        let taken =
            snapshot.entry(log_index)?.filter(|taken| taken.log_index < entry.log_index && taken.run == entry.run);
        let taken =
            taken.ok_or_else(|| corrupt("the redaction names an entry that is not in front of it in the run"))?;
        if taken.content.is_some() {
            return Err(corrupt(&format!("the content of log index {log_index} is still there")));
        }
        if snapshot.redacted_by(log_index)? != Some(entry.log_index) {
            return Err(corrupt(&format!("another redaction holds what is left of log index {log_index}")));
        }
    }
    let mut changes = erased(entry, snapshot)?.changes;
    changes.extend(foretold(entry)?);
    Ok(Replayed { changes })
}

/// Decides again what is left of an entry.
fn left(entry: &Entry, left: &Remainder, snapshot: &impl Snapshot) -> Result<Replayed> {
    let corrupt = |what: &str| Error::new(Code::Corrupt, format!("log index {}: {what}", entry.log_index));
    left.check(entry.commit).map_err(|wrong| corrupt(&format!("what is left of it: {}", wrong.detail())))?;
    let mut op = left_op(entry.kind, left)?;
    let recorded = match &op {
        Op::EndTrace(end) => Some((end.run_id.clone(), end.id.clone())),
        Op::RecordTrace(RecordTrace { run_id, id: Some(id), .. }) if entry.kind == Kind::TraceEnded => {
            Some((run_id.clone(), id.clone()))
        }
        _ => None,
    };
    let step_leaves = match &op {
        Op::RecordStep(_) if HASHED.iter().any(|name| left.withholds(name)) => Some(StepLeaves::WITHHELD),
        Op::RecordStep(step) => Some(step_leaves(step)),
        _ => None,
    };
    let salt = Salt::from_bytes([0; 32]);
    let batch = |op| Prepared { ops: vec![PreparedOp::left(op, step_leaves)], key: None, key_salt: salt };
    let mut found = fetch(&needs(&batch(op.clone())), snapshot)?;
    if let Some(trace) = recorded.and_then(|at| found.traces.get_mut(&at))
        && let Some(first) = &mut trace.entry
    {
        // Both went together.
        let of =
            recall::left(snapshot, first)?.ok_or_else(|| corrupt("nothing is left of the trace that it ends"))?.left;
        first.content = Some(recall::content(&of.decides()));
        op = left_end(left, &of, entry.recorded_at)?;
    }
    let context = Context { ledger: snapshot.ledger(), recorded_at: entry.recorded_at, size: entry.log_index };
    let mut planned = decide(&batch(op), &found, &context).map_err(|error| corrupt(&format!("refused: {error}")))?;
    let [again] = &planned.entries[..] else { return Err(corrupt("the entry repeats an earlier one")) };
    // The run's own tree is over what was recorded.
    for change in &mut planned.changes {
        if let Change::Run(row) = change
            && let Some(before) = found.runs.get(&row.run_id)
        {
            row.tree.clone_from(&before.tree);
            row.tree.push(entry.leaf(snapshot.ledger()).hash());
        }
    }
    if again.run != entry.run || again.seq != entry.seq || again.kind != entry.kind {
        return Err(corrupt("the entry is not what is left of it means here"));
    }
    if entry.kind == Kind::Sealed && !states(again, left) {
        return Err(corrupt("the seal is not what the run's entries give"));
    }
    Ok(Replayed { changes: planned.changes })
}

/// Whether a seal as it is computed again states all that is left of the recorded one.
fn states(again: &Entry, left: &Remainder) -> bool {
    let Some((body, _)) = &again.content else { return false };
    let computed: HashMap<_, _> = body.members().collect();
    computed.keys().all(|name| left.get(name).is_some())
        && left.members.iter().all(|member| {
            let Some(value) = member.value() else { return true };
            computed.get(member.name()).is_some_and(|computed| *computed == value.as_str())
        })
}

fn erased(entry: &Entry, snapshot: &impl Snapshot) -> Result<Replayed> {
    let Some((run_no, run_id)) = &entry.run else { return Ok(Replayed { changes: Vec::new() }) };
    let Some(mut row) = snapshot.run(run_id)?.filter(|row| row.run_no == *run_no) else {
        // The run's first entry itself was erased: nothing stands under its id any more.
        return Ok(Replayed { changes: Vec::new() });
    };
    row.entries += 1;
    row.tree.push(entry.leaf(snapshot.ledger()).hash());
    Ok(Replayed { changes: vec![Change::Run(Box::<RunRow>::new(row))] })
}
