//! Deciding what name a run is the baseline of.

use tracekeep_core::model::{Kind, SetBaseline};

use super::decide::{Change, Done, earlier};
use super::equal::equals;
use super::work::{Work, no_run};
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};
use crate::rows::BaselineRow;

/// The latest fact on a name is what it stands for. It is an entry of no run: erasing the run leaves the name, so that
/// whoever checks against it is told why that cannot be done.
pub(super) fn set(op: &SetBaseline, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    if let Some(entry) = work.baseline(&op.name)
        && equals(prepared, entry)?
    {
        return Ok(earlier(entry, work.context));
    }
    if let Some(redaction) = work.erased(&op.run_id) {
        let detail = format!("log index {} erased the run: nothing can be held to it", redaction.log_index);
        return Err(Error::new(Code::Erased, detail).at("/run_id"));
    }
    let row = work.run(&op.run_id).ok_or_else(no_run)?;
    if row.sealed_by.is_none() {
        let detail = "the run has not ended, so nothing can be held to it: complete, fail or abort it first";
        return Err(Error::new(Code::RunRunning, detail).at("/run_id"));
    }
    let log_index = work.append_unowned(Kind::Baseline, prepared.commit, prepared.body.clone(), prepared.salt);
    let row = BaselineRow { name: op.name.clone(), run_id: op.run_id.clone(), log_index };
    work.put_baseline(row);
    Ok(Done::now(log_index, work))
}

impl Work<'_> {
    fn put_baseline(&mut self, row: BaselineRow) {
        self.note_baseline(row.name.clone(), row.log_index);
        self.changes.push(Change::Baseline(row));
    }
}
