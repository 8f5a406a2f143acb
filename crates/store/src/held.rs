//! Committing to a ledger that facts of audits are held in front of.

use tracekeep_core::id::RunId;
use tracekeep_core::limits::BATCH_OPS_MAX;
use tracekeep_core::model::Op;

use crate::audit::AuditStore;
use crate::batch::Batch;
use crate::error::{Code, Error, Outcome, Result};
use crate::ledger::LedgerStore;
use crate::receipt::{Receipt, Recorded};

/// Commits as [`LedgerStore::commit`] does, over a ledger that `audit` holds facts in front of: what is held of a run that a
/// batch seals stands in that same batch, before the seal; of one that a verdict is asked for, or that is cleared, it is
/// moved before. Receipts are those of the batches as they were given.
///
/// Where what is held cannot be had, the batch is refused with that error and nothing of it applied.
pub async fn commit_with_held(
    ledger: &dyn LedgerStore,
    audit: &dyn AuditStore,
    batches: Vec<Batch>,
) -> Vec<Result<Receipt>> {
    if !batches.iter().any(needs_held) {
        return ledger.commit(batches).await;
    }
    let mut answers = Vec::with_capacity(batches.len());
    for batch in batches {
        answers.push(one(ledger, audit, batch).await);
    }
    answers
}

/// Whether a batch looks at what is held: it seals a run, clears its audit, or asks for a verdict.
#[must_use]
pub fn needs_held(batch: &Batch) -> bool {
    batch.ops.iter().any(|op| looks_at(op).is_some())
}

/// The run whose facts an op looks at.
fn looks_at(op: &Op) -> Option<&RunId> {
    match op {
        Op::CompleteRun(_) | Op::SealRun(_) | Op::Reconcile(_) | Op::ClearAudit(_) => op.run_id(),
        _ => None,
    }
}

async fn one(ledger: &dyn LedgerStore, audit: &dyn AuditStore, batch: Batch) -> Result<Receipt> {
    let starts =
        |run_id: &RunId| batch.ops.iter().any(|op| matches!(op, Op::StartRun(_)) && op.run_id() == Some(run_id));
    let mut held: Vec<(RunId, Vec<Op>)> = Vec::new();
    for op in &batch.ops {
        let Some(run_id) = looks_at(op) else { continue };
        if held.iter().any(|(known, _)| known == run_id) {
            continue;
        }
        let is_sealed = matches!(op, Op::CompleteRun(_) | Op::SealRun(_));
        let ops = if is_sealed && !starts(run_id) { audit.held(run_id).await? } else { Vec::new() };
        if !is_sealed {
            moved(audit, run_id).await?;
        }
        held.push((run_id.clone(), ops));
    }
    let count: usize = held.iter().map(|(_, ops)| ops.len()).sum();
    if count > 0 && count + batch.ops.len() <= BATCH_OPS_MAX as usize {
        let before = held.iter().flat_map(|(_, ops)| ops.iter().cloned());
        let whole = Batch::moving(before.chain(batch.ops.iter().cloned()).collect(), count).keyed(batch.key.clone());
        match single(ledger, whole).await {
            Ok(mut receipt) if !receipt.replayed => {
                for (run_id, ops) in held.iter().filter(|(_, ops)| !ops.is_empty()) {
                    // What is not let go of now is moved once more, as duplicates.
                    let _ = audit.release(run_id, ops).await;
                }
                receipt.ops.drain(..count.min(receipt.ops.len()));
                let is_new = receipt.ops.iter().any(|op| op.outcome == Recorded::Recorded);
                // A duplicate gets the original receipt.
                return if is_new { Ok(receipt) } else { single(ledger, batch).await };
            }
            Ok(replayed) => return Ok(replayed),
            Err(error) if error.outcome() == Outcome::Unknown || error.is_retryable() => return Err(error),
            // One of the facts may be why, or the batch itself: then it is told so in its own words.
            Err(_) => {}
        }
    }
    for (run_id, ops) in &held {
        if !ops.is_empty() {
            // A fact that the ledger never takes is set aside: it keeps no run from being sealed.
            moved(audit, run_id).await?;
        }
    }
    single(ledger, batch).await
}

/// Moves what is held of a run; of one that the ledger does not know, or no longer, the batch itself will say so.
async fn moved(audit: &dyn AuditStore, run_id: &RunId) -> Result<()> {
    match audit.load_from_redis(run_id).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Code::RunNotFound.as_str() => Ok(()),
        Err(error) if error.outcome() == Outcome::Unknown => {
            let detail = "whether what is held of the run was moved is unknown; nothing else was sent";
            Err(Error::new(Code::Unreachable, detail).because(error))
        }
        Err(error) => Err(error),
    }
}

async fn single(ledger: &dyn LedgerStore, batch: Batch) -> Result<Receipt> {
    let none = || Err(Error::new(Code::StorageFailed, "the ledger gave no answer for a batch"));
    ledger.commit(vec![batch]).await.pop().unwrap_or_else(none)
}
