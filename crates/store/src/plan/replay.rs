//! Deciding a recorded entry again: how the indices are rebuilt, and checked, from the log alone.

use tracekeep_core::erasure::ErasedRun;
use tracekeep_core::model::{Kind, Op};
use tracekeep_core::seal::KeyBody;

use super::decide::{Change, Context, decide};
use super::fetch::{fetch, needs};
use crate::batch::{Prepared, PreparedOp};
use crate::error::{Code, Error, Result};
use crate::rows::{BaselineRow, Entry, RunRow};
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
    let Some((body, salt)) = &entry.content else { return erased(entry, snapshot) };
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
    if entry.kind == Kind::Redaction {
        let erased = ErasedRun::from_body(body.as_str()).map_err(|error| corrupt(error.detail()))?;
        return redaction(entry, &erased, snapshot).ok_or_else(|| corrupt("the redaction is not one of this run"))?;
    }
    let op = Op::from_body(body.as_str()).map_err(|error| corrupt(error.detail()))?;
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
        before,
    };
    Some(Ok(Replayed { changes: vec![change] }))
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
