//! Committing to a ledger that facts of audits are held in front of.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{BATCH_OPS_MAX, PAGE_ITEMS_MAX};
use tracekeep_core::model::{Kind, Op};
use tracekeep_core::wire::{object, object_field};

use crate::audit::AuditStore;
use crate::batch::Batch;
use crate::error::{Code, Error, Outcome, Result};
use crate::ledger::LedgerStore;
use crate::receipt::{OpReceipt, Receipt, Recorded};
use crate::retention::{GcReport, GcRequest};

object! {
    /// A fact that the ledger refuses for good, as it is kept in front of it.
    pub struct ParkedFact {
        /// Its name among the run's: `e:`, `a:` or `s:` with an id.
        required member: String,
        /// The code of the refusal.
        required code: String,
        /// When it was received.
        required received_at: Timestamp,
        /// What was said: an op.
        required op: Json,
    }
}

object_field!(ParkedFact);

/// What becomes of facts that are held in front of a ledger.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HeldWord<'a> {
    /// They are entries now, or were before.
    Moved {
        /// For each.
        ops: &'a [OpReceipt],
        /// Entries in the log after them.
        tree_size: u64,
    },
    /// The ledger refuses one for good: it is set aside.
    Parked {
        /// The run.
        run_id: &'a RunId,
        /// The fact's name among the run's.
        member: &'a str,
        /// The code of the refusal.
        code: &'a str,
    },
    /// A run was erased, and what is kept of it in front of the ledger could not be dropped: it ends with its ttl, or where
    /// the run is erased once more.
    Left {
        /// The run.
        run_id: &'a RunId,
        /// The code of the failure.
        code: &'a str,
    },
    /// What was erased could not be read, so what is kept of those runs in front of the ledger was not dropped: it ends with
    /// its ttl, or where a run is erased once more.
    Unread {
        /// The log index that nothing was read from on.
        from: u64,
        /// The code of the failure.
        code: &'a str,
    },
    /// What is held of a run could not be moved this time, for a reason that is the run's own.
    Kept {
        /// The run.
        run_id: &'a RunId,
        /// The code of the refusal.
        code: &'a str,
    },
}

/// Who is told what becomes of facts that are held in front of a ledger; called where they are moved, so it must be quick.
#[derive(Clone)]
pub struct HeldListener(Arc<dyn Fn(&HeldWord<'_>) + Send + Sync>);

impl HeldListener {
    /// Calls `listener`.
    pub fn new(listener: impl Fn(&HeldWord<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells it.
    pub fn tell(&self, word: &HeldWord<'_>) {
        (self.0)(word);
    }
}

impl fmt::Debug for HeldListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldListener").finish_non_exhaustive()
    }
}

/// Commits as [`LedgerStore::commit`] does, over a ledger that `audit` holds facts in front of: what is held of a run that a
/// batch seals stands in that same batch, before the seal; of one that a verdict is asked for, that is cleared, or of which
/// a status is set by hand, it is moved before. Receipts are those of the batches as they were given.
///
/// Of all runs that are looked at it is asked once whether anything is held. Where that cannot be had, a batch is refused
/// with that error and nothing of it applied, unless it only seals telemetry of which the ledger knows no audit: that is
/// sealed again by what comes later, and a run that its own end seals is not. Of a run that a batch erased, whatever is held
/// or set aside is dropped; where that fails, the run is erased all the same, and `audit` is [told](HeldWord::Left).
pub async fn commit_with_held(
    ledger: &dyn LedgerStore,
    audit: &dyn AuditStore,
    batches: Vec<Batch>,
) -> Vec<Result<Receipt>> {
    let erased: Vec<Vec<RunId>> = batches.iter().map(|batch| erases(batch).cloned().collect()).collect();
    let answers = commit_looking(ledger, audit, batches).await;
    let gone = erased.into_iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
    forget(audit, gone.flat_map(|(runs, _)| runs).collect()).await;
    answers
}

/// Erases as [`LedgerStore::gc`] does, over a ledger that `audit` holds facts in front of: those of what was erased are
/// dropped, as [`commit_with_held`] drops them. Which runs those are is read from the log; of runs that could not be read,
/// as of those whose facts could not be dropped, the report says how many there are ([`GcReport::left`]), and `audit` is
/// told.
///
/// # Errors
/// As [`LedgerStore::gc`].
pub async fn gc_with_held(ledger: &dyn LedgerStore, audit: &dyn AuditStore, request: &GcRequest) -> Result<GcReport> {
    let begun = if request.dry_run { None } else { Some(ledger.head().await?.tree_size) };
    let report = ledger.gc(request).await;
    // What was erased before an error came is erased.
    let Some(begun) = begun.filter(|_| report.as_ref().is_ok_and(|report| report.erased > 0) || report.is_err()) else {
        return report;
    };
    let Gone { runs, doubtful, unread } = Gone::since(ledger, begun).await;
    for (run_id, error) in &doubtful {
        audit.tell(&HeldWord::Left { run_id, code: error.code() });
    }
    if let Some((from, error)) = &unread {
        audit.tell(&HeldWord::Unread { from: *from, code: error.code() });
    }
    let known = (runs.len() + doubtful.len()) as u64;
    let left = forget(audit, runs).await + doubtful.len() as u64;
    report.map(|report| {
        let nameless = if unread.is_some() { report.erased.saturating_sub(known).max(1) } else { 0 };
        GcReport { left: left + nameless, ..report }
    })
}

/// What was erased since a size of the log.
#[derive(Default)]
struct Gone {
    runs: Vec<RunId>,
    /// Runs of which something was redacted, and why it is not known whether that was all.
    doubtful: Vec<(RunId, Error)>,
    /// From where on the log could not be read, and why.
    unread: Option<(u64, Error)>,
}

impl Gone {
    async fn since(ledger: &dyn LedgerStore, mut from: u64) -> Self {
        let (mut gone, mut known) = (Self::default(), HashSet::new());
        loop {
            let events = match ledger.events(from, PAGE_ITEMS_MAX).await {
                Ok(events) => events,
                Err(error) => return Self { unread: Some((from, error)), ..gone },
            };
            let Some(last) = events.last() else { return gone };
            from = last.log_index + 1;
            for event in events.into_iter().filter(|event| event.kind == Kind::Redaction.as_str()) {
                let Ok(run_id) = RunId::new(event.run) else { continue };
                if !known.insert(run_id.clone()) {
                    continue;
                }
                match ledger.run(&run_id).await {
                    Err(error) if error.code() == Code::RunErased.as_str() => gone.runs.push(run_id),
                    Err(error) => gone.doubtful.push((run_id, error)),
                    Ok(_) => {}
                }
            }
        }
    }
}

/// Drops what is kept of runs that were erased, and says of how many it is left. Whatever is not there for the first is not
/// waited for by the rest.
async fn forget(audit: &dyn AuditStore, runs: Vec<RunId>) -> u64 {
    let (mut lost, mut left): (Option<Error>, u64) = (None, 0);
    for run_id in &runs {
        if lost.is_none() {
            lost = audit.forget(run_id).await.err();
        }
        if let Some(error) = &lost {
            audit.tell(&HeldWord::Left { run_id, code: error.code() });
            left += 1;
        }
    }
    left
}

/// The runs that a batch erases.
fn erases(batch: &Batch) -> impl Iterator<Item = &RunId> {
    batch.ops.iter().filter_map(|op| if let Op::EraseRun(op) = op { Some(&op.run_id) } else { None })
}

async fn commit_looking(ledger: &dyn LedgerStore, audit: &dyn AuditStore, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
    let looked: HashSet<_> = batches.iter().flat_map(looked_at).cloned().collect();
    if looked.is_empty() {
        return ledger.commit(batches).await;
    }
    let looked: Vec<_> = looked.into_iter().collect();
    let (holding, missing) = match audit.holding(&looked).await {
        Ok(holding) => (HashSet::from_iter(holding), None),
        Err(error) => (HashSet::new(), Some(error)),
    };
    let (mut answers, mut plain) = (Vec::with_capacity(batches.len()), Vec::new());
    for batch in batches {
        let is_held = looked_at(&batch).any(|run_id| holding.contains(run_id));
        let refused = match &missing {
            Some(error) if !is_sealed_again(ledger, &batch).await => Some(error.clone()),
            _ => None,
        };
        if !is_held && refused.is_none() {
            plain.push(batch);
            continue;
        }
        answers.extend(together(ledger, &mut plain).await);
        answers.push(match refused {
            Some(error) => Err(error),
            None => one(ledger, audit, batch, &holding).await,
        });
    }
    answers.extend(together(ledger, &mut plain).await);
    answers
}

async fn together(ledger: &dyn LedgerStore, batches: &mut Vec<Batch>) -> Vec<Result<Receipt>> {
    if batches.is_empty() { Vec::new() } else { ledger.commit(std::mem::take(batches)).await }
}

/// Whether a batch looks at nothing but telemetry that it seals and that the ledger knows no audit of.
async fn is_sealed_again(ledger: &dyn LedgerStore, batch: &Batch) -> bool {
    for op in &batch.ops {
        let Some(run_id) = looks_at(op) else { continue };
        let is_without = matches!(op, Op::SealRun(_))
            && match ledger.audit(run_id).await {
                Ok(audit) => audit.expectations == 0 && audit.acks == 0,
                // The batch itself says so.
                Err(unknown) => matches!(unknown.code(), "run_not_found" | "run_erased"),
            };
        if !is_without {
            return false;
        }
    }
    true
}

/// Whether a batch looks at what is held: it seals a run, clears its audit, sets a status, asks for a verdict, or erases.
#[must_use]
pub fn needs_held(batch: &Batch) -> bool {
    looked_at(batch).next().is_some() || erases(batch).next().is_some()
}

/// The runs whose facts a batch looks at.
fn looked_at(batch: &Batch) -> impl Iterator<Item = &RunId> {
    batch.ops.iter().filter_map(looks_at)
}

/// The run whose facts an op looks at.
fn looks_at(op: &Op) -> Option<&RunId> {
    match op {
        Op::CompleteRun(_) | Op::SealRun(_) | Op::Reconcile(_) | Op::ClearAudit(_) | Op::SetExpectationStatus(_) => {
            op.run_id()
        }
        _ => None,
    }
}

const fn seals(op: &Op) -> bool {
    matches!(op, Op::CompleteRun(_) | Op::SealRun(_))
}

async fn one(
    ledger: &dyn LedgerStore,
    audit: &dyn AuditStore,
    batch: Batch,
    holding: &HashSet<RunId>,
) -> Result<Receipt> {
    let starts =
        |run_id: &RunId| batch.ops.iter().any(|op| matches!(op, Op::StartRun(_)) && op.run_id() == Some(run_id));
    let mut held: Vec<(RunId, Vec<Op>)> = Vec::new();
    for op in &batch.ops {
        let Some(run_id) = looks_at(op).filter(|run_id| holding.contains(*run_id)) else { continue };
        if held.iter().any(|(known, _)| known == run_id) {
            continue;
        }
        let is_sealed = seals(op);
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
                let moved: Vec<_> = receipt.ops.drain(..count.min(receipt.ops.len())).collect();
                audit.tell(&HeldWord::Moved { ops: &moved, tree_size: receipt.tree_size });
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
