//! Deciding a batch: entries and rows to write, or a refusal.

use tracekeep_core::hash::Hash;
use tracekeep_core::id::{ItemId, Key, LedgerId, RunId};
use tracekeep_core::model::{
    CompleteRun, DescribeRun, HoldOn, Kind, Op, RecordStep, RunStatus, SealRun, Source, StartRun,
};
use tracekeep_core::seal::{Figures, Fold, Gaps, KeyBody, Sealed, StepLeaves, Totals};
use tracekeep_core::wire::to_json;
use tracekeep_core::{Invalid, InvalidCode, Timestamp, hash, merkle};

use super::equal::{demand, equals};
use super::fetch::{FOLD_MAX, Found, FoundKey};
use super::work::{Work, no_run};
use super::{audit, baseline, hold, incident, redact, signing, trace};
use crate::batch::{Prepared, PreparedOp};
use crate::error::{Code, Error, Result};
use crate::receipt::{OpReceipt, Receipt, Recorded, Told};
use crate::rows::{
    ActionRow, AuditState, BaselineRow, Entry, ExportRow, FactRow, HoldRow, IncidentRow, IncidentState, OwnedId,
    RunRow, SlotRow, StepRow, TraceRow,
};

/// Where the ledger stands when a batch is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The ledger.
    pub ledger: LedgerId,
    /// The batch's time: max(clock, last).
    pub recorded_at: Timestamp,
    /// Entries in the log.
    pub size: u64,
}

/// One change of the indices.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A run's row is now this.
    Run(Box<RunRow>),
    /// A step was recorded.
    Step(StepRow),
    /// Where a step's leaves are withheld.
    StepLeaves(StepRow),
    /// A trace was recorded (`before` absent) or ended, or a member of it was withheld. Type and tag counters and the children of its place follow
    /// from it.
    Trace {
        /// The row until now.
        before: Option<Box<TraceRow>>,
        /// The row from now on.
        after: Box<TraceRow>,
    },
    /// An id was named as a parent before its trace came.
    SlotNamed(SlotRow),
    /// The trace of a named id came.
    SlotFilled(SlotRow),
    /// A run was described.
    Described {
        /// The run.
        run_no: u64,
        /// The topic.
        topic: String,
        /// The entry.
        log_index: u64,
    },
    /// Something is held from now on, or no longer.
    Hold(HoldRow),
    /// A name stands for a run.
    Baseline(BaselineRow),
    /// An incident was opened, or says from now on how it ended.
    Incident(IncidentRow),
    /// A bundle was handed out.
    Export(ExportRow),
    /// A run was erased: every row of it goes, and the content of its entries in front of the redaction.
    Erased {
        /// The run.
        run_no: u64,
        /// Its id.
        run_id: RunId,
        /// The redaction.
        log_index: u64,
        /// How many entries of the run there are in front of it.
        entries: u64,
        /// The ids of its incidents and exports.
        ids: Vec<OwnedId>,
        /// The run's row until now; absent where its entries were found erased already.
        before: Option<Box<RunRow>>,
    },
    /// Members were withheld: the content of these entries goes, and what is left of them stands in the redaction.
    Redacted {
        /// The run.
        run_no: u64,
        /// Its id.
        run_id: RunId,
        /// The redaction.
        log_index: u64,
        /// The entries, earlier redactions among them.
        entries: Vec<u64>,
        /// Of a trace: its log index.
        trace: Option<u64>,
    },
    /// A fact of an audit was recorded.
    Fact(FactRow),
    /// Where an action stands is now this.
    Action(ActionRow),
    /// An idempotency key was used.
    Key {
        /// The key.
        key: Key,
        /// Its entry.
        log_index: u64,
    },
}

/// What to write for a batch, and what to answer once it is durable.
#[derive(Clone, Debug)]
pub struct Planned {
    /// New entries, in order; none for a batch of duplicates.
    pub entries: Vec<Entry>,
    /// Their leaf hashes.
    pub leaves: Vec<Hash>,
    /// What becomes of the indices.
    pub changes: Vec<Change>,
    /// The answer, but for the root at its size.
    pub decision: Decision,
}

/// The answer to a batch, but for the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether any op was new.
    pub outcome: Recorded,
    /// The size that the receipt states, and whose root it needs.
    pub tree_size: u64,
    /// For each op.
    pub ops: Vec<OpReceipt>,
    /// Whether the batch's key had been used for it before.
    pub replayed: bool,
}

impl Decision {
    /// The receipt, with the root at [`Decision::tree_size`].
    #[must_use]
    pub fn receipt(self, root: Hash) -> Receipt {
        Receipt { outcome: self.outcome, tree_size: self.tree_size, root, ops: self.ops, replayed: self.replayed }
    }
}

/// What became of one op: its entry's log index and, if it is an earlier one, the size its batch left.
pub(super) struct Done {
    pub(super) log_index: u64,
    pub(super) leaf_hash: Hash,
    /// `None` for what this batch writes.
    pub(super) batch_end: Option<u64>,
    pub(super) told: Told,
}

/// Decides a batch.
///
/// # Errors
/// Why it is refused whole, with the path of the op under `/ops/INDEX`. Nothing is to be written then.
pub fn decide(batch: &Prepared, found: &Found, context: &Context) -> Result<Planned> {
    if let (Some(_), Some(used)) = (&batch.key, &found.key) {
        return replay_of_key(batch, used, context);
    }
    let mut work = Work::new(found, context);
    let mut ops = Vec::with_capacity(batch.ops.len());
    for (place, op) in batch.ops.iter().enumerate() {
        let done = decide_op(op, &mut work).map_err(|error| error.under(&format!("/ops/{place}")))?;
        ops.push((op, done));
    }
    if let Some(key) = &batch.key {
        // What was moved in is not what the caller sent.
        let sent = ops.iter().filter(|(op, _)| !op.op.is_moved());
        let ops = sent.map(|(_, done)| done.log_index).collect();
        append_key(KeyBody { key: key.clone(), ops }, batch, &mut work);
    }
    let (mut entries, leaves, changes) = work.finish();
    let count = u32::try_from(entries.len()).expect("invariant: a batch has at most 1,001 entries");
    for (after, entry) in (0..count).rev().zip(&mut entries) {
        entry.after = after;
    }
    let end = context.size + u64::from(count);
    let decision = answer(ops.into_iter().map(|(op, done)| (&op.op, done)), end, false);
    Ok(Planned { entries, leaves, changes, decision })
}

fn answer<'a>(ops: impl Iterator<Item = (&'a Op, Done)>, end: u64, replayed: bool) -> Decision {
    let mut decision = Decision { outcome: Recorded::Duplicate, tree_size: 0, ops: Vec::new(), replayed };
    for (op, done) in ops {
        let outcome = if done.batch_end.is_none() { Recorded::Recorded } else { Recorded::Duplicate };
        decision.tree_size = decision.tree_size.max(done.batch_end.unwrap_or(end));
        decision.outcome = decision.outcome.min(outcome);
        decision.ops.push(OpReceipt {
            outcome,
            log_index: done.log_index,
            leaf_hash: done.leaf_hash,
            run_id: matches!(op, Op::StartRun(_) | Op::EnsureRun(_)).then(|| op.run_id().cloned()).flatten(),
            id: item(op),
            told: done.told,
        });
    }
    decision
}

/// The id of what an op records, for its receipt.
fn item(op: &Op) -> Option<ItemId> {
    let id = match op {
        Op::RecordTrace(op) => op.id.as_ref()?.as_str(),
        Op::Expect(op) => op.id.as_ref()?.as_str(),
        Op::Ack(op) => op.id.as_ref()?.as_str(),
        Op::OpenIncident(op) => op.incident_id.as_ref()?.as_str(),
        Op::RecordExport(op) => op.export_id.as_ref()?.as_str(),
        _ => return None,
    };
    Some(ItemId::new(id).expect("invariant: ids have one grammar"))
}

/// A batch under a key that was used before: the very same batch, or refused.
fn replay_of_key(batch: &Prepared, key: &FoundKey, context: &Context) -> Result<Planned> {
    let used = &key.ops;
    let refuse = |detail: &str| Error::new(Code::KeyReused, detail);
    let sent: Vec<_> = batch.ops.iter().filter(|op| !op.op.is_moved()).collect();
    if used.len() != sent.len() {
        return Err(refuse("the key was used for a batch of another number of ops"));
    }
    let mut ops = Vec::with_capacity(used.len());
    for (place, (op, entry)) in sent.into_iter().zip(used).enumerate() {
        if entry.body().is_none() {
            return Err(
                Error::new(Code::Erased, "what was recorded under the key was erased").at(format!("/ops/{place}"))
            );
        }
        let answers = equals(op, entry)? || first_wins(&op.op, entry, key)?;
        if !same_run(&op.op, entry) || !answers {
            return Err(refuse("the key was used for another request").at(format!("/ops/{place}")));
        }
        ops.push((recorded_form(&op.op, entry)?, earlier(entry, context)));
    }
    let decision = answer(ops.iter_mut().map(|(op, done)| (&*op, done.take())), 0, true);
    Ok(Planned { entries: Vec::new(), leaves: Vec::new(), changes: Vec::new(), decision })
}

/// An op whose entry may say other things than the op: the first of its identity wins, whatever it holds. What the key's
/// own batch recorded is still compared.
fn first_wins(op: &Op, entry: &Entry, key: &FoundKey) -> Result<bool> {
    // A verdict that is as it was is that one's duplicate, be it a seal's, of this very batch or of another.
    if matches!(op, Op::Reconcile(_)) {
        return Ok(matches!(entry.kind, Kind::Verdict | Kind::Sealed));
    }
    if entry.batch_end() == key.log_index + 1 {
        return Ok(false);
    }
    Ok(match op {
        Op::EnsureRun(_) => entry.kind == Kind::RunStarted,
        Op::DescribeRun(op) => {
            let recorded = entry.op()?;
            matches!(recorded, Some(Op::DescribeRun(recorded)) if recorded.topic == op.topic)
        }
        Op::EraseRun(_) => matches!(entry.op()?, Some(Op::EraseRun(_))),
        Op::Redact(op) => redact::withholds(op, entry)?,
        Op::SealRun(_) => entry.kind == Kind::Sealed,
        Op::ReleaseHold(op) => {
            let recorded = entry.op()?;
            matches!(recorded, Some(Op::ReleaseHold(recorded)) if recorded.run_id == op.run_id && recorded.tag == op.tag)
        }
        _ => false,
    })
}

/// An op names the run that an entry belongs to; an op whose run id is generated takes the recorded one.
fn same_run(op: &Op, entry: &Entry) -> bool {
    let recorded = entry.run.as_ref().map(|(_, id)| id);
    // What is said of an incident is an entry of the incident's run.
    let of_incident = matches!(op, Op::ResolveIncident(_) | Op::RecordExport(_));
    of_incident || matches!(op, Op::StartRun(_)) || op.run_id() == recorded
}

/// The op with the ids that were generated when it was recorded.
fn recorded_form(op: &Op, entry: &Entry) -> Result<Op> {
    let recorded = entry.op()?;
    Ok(recorded.unwrap_or_else(|| op.clone()))
}

impl Done {
    fn take(&mut self) -> Self {
        let told = std::mem::take(&mut self.told);
        Self { log_index: self.log_index, leaf_hash: self.leaf_hash, batch_end: self.batch_end, told }
    }

    /// The same, with what is told beside the receipt.
    pub(super) fn telling(mut self, told: Told) -> Self {
        self.told = told;
        self
    }

    /// What the batch itself just wrote.
    pub(super) fn now(log_index: u64, work: &Work<'_>) -> Self {
        let leaf_hash = work.leaves.last().copied().unwrap_or(Hash::ZERO);
        debug_assert_eq!(work.next_index(), log_index + 1);
        Self { log_index, leaf_hash, batch_end: None, told: Told::default() }
    }
}

/// The original of a duplicate.
pub(super) fn earlier(entry: &Entry, context: &Context) -> Done {
    // An entry of this very batch ends where the batch will.
    let batch_end = (entry.log_index < context.size).then(|| entry.batch_end());
    Done {
        log_index: entry.log_index,
        leaf_hash: entry.leaf(context.ledger).hash(),
        batch_end: Some(batch_end.unwrap_or(0)),
        told: Told::default(),
    }
}

fn append_key(body: KeyBody, batch: &Prepared, work: &mut Work<'_>) {
    let key = body.key.clone();
    let body = body.body();
    let commit = body.commitment(&batch.key_salt);
    let log_index = work.append_unowned(Kind::Key, commit, body, batch.key_salt);
    work.changes.push(Change::Key { key, log_index });
}

fn decide_op(prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    if let Some(redaction) = prepared.op.run_id().and_then(|run_id| work.erased(run_id)) {
        return match &prepared.op {
            Op::EraseRun(_) => Ok(earlier(redaction, work.context)),
            _ => Err(erased(redaction)),
        };
    }
    match &prepared.op {
        Op::StartRun(op) => start_run(op, prepared, work),
        Op::EnsureRun(op) => ensure_run(&op.run_id, op.source, prepared, work),
        Op::DescribeRun(op) => describe_run(op, prepared, work),
        Op::RecordStep(op) => record_step(op, prepared, work),
        Op::RecordTrace(op) => trace::record(op, prepared, work),
        Op::EndTrace(op) => trace::end(op, prepared, work),
        Op::CompleteRun(op) => complete_run(op, prepared, work),
        Op::SealRun(op) => seal_run(op, prepared, work),
        Op::SetBaseline(op) => baseline::set(op, prepared, work),
        Op::DeclareKey(op) => signing::declare(op, prepared, work),
        Op::EraseRun(op) => hold::erase(op, prepared, work),
        Op::Redact(op) => redact::redact(op, prepared, work),
        Op::Hold(op) => hold::hold(HoldOn::of(op.run_id.as_ref(), op.tag.as_deref()), prepared, work),
        Op::ReleaseHold(op) => hold::release(HoldOn::of(op.run_id.as_ref(), op.tag.as_deref()), prepared, work),
        Op::OpenIncident(op) => incident::open(op, prepared, work),
        Op::ResolveIncident(op) => incident::resolve(op, prepared, work),
        Op::RecordExport(op) => incident::export(op, prepared, work),
        Op::Expect(op) => audit::expect(op, prepared, work),
        Op::Ack(op) => audit::ack(op, prepared, work),
        Op::SetExpectationStatus(op) => audit::set_status(op, prepared, work),
        Op::ClearAudit(op) => audit::clear(&op.run_id, prepared, work),
        Op::Reconcile(op) => audit::reconcile(op, prepared, work),
    }
}

/// Why nothing is written under the id of an erased run.
fn erased(redaction: &Entry) -> Error {
    let detail = format!("log index {} erased the run; its id is never free again", redaction.log_index);
    Error::new(Code::Erased, detail).at("/run_id")
}

/// The entry that started the run, if it exists.
fn started<'w>(run_id: &RunId, work: &'w Work<'_>) -> Option<&'w Entry> {
    let run_no = work.run(run_id)?.run_no;
    work.new_entry(run_no).or_else(|| work.found.starts.get(run_id))
}

fn start_run(op: &StartRun, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let run_id = op.run_id.as_ref().expect("invariant: prepare fills ids in");
    if let Some(entry) = started(run_id, work) {
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    let plan_hash = prepared.body.member("plan").map(hash::plan_hash);
    let started_at = op.started_at.unwrap_or(work.context.recorded_at);
    let mut row = new_run(run_id, op.source, started_at, plan_hash, Some(op.seed), work);
    row.agent_id.clone_from(&op.agent_id);
    row.correlation_id.clone_from(&op.correlation_id);
    row.parent_run_id.clone_from(&op.parent_run_id);
    row.tags.clone_from(&op.tags);
    work.put_run(row);
    let log_index = work.append(run_id, Kind::RunStarted, prepared)?;
    Ok(Done::now(log_index, work))
}

fn ensure_run(run_id: &RunId, source: Source, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    if let Some(entry) = started(run_id, work) {
        return Ok(earlier(entry, work.context));
    }
    work.put_run(new_run(run_id, source, work.context.recorded_at, None, None, work));
    let log_index = work.append(run_id, Kind::RunStarted, prepared)?;
    Ok(Done::now(log_index, work))
}

fn new_run(
    run_id: &RunId,
    source: Source,
    started_at: Timestamp,
    plan_hash: Option<Hash>,
    seed: Option<i64>,
    work: &Work<'_>,
) -> RunRow {
    RunRow {
        run_no: work.next_index(),
        run_id: run_id.clone(),
        source,
        started_at,
        status: RunStatus::Running,
        agent_id: None,
        correlation_id: None,
        parent_run_id: None,
        tags: Vec::new(),
        seed,
        plan_hash,
        behaviour_hash: None,
        root_hash: None,
        entries: 0,
        steps: 0,
        traces: 0,
        seals: 0,
        sealed_by: None,
        completed_by: None,
        described_by: None,
        described_by_root: false,
        root_ended_at: None,
        unsealed_at: None,
        totals: Totals::default(),
        sealed_totals: None,
        fold: Fold::new(plan_hash, seed),
        hashes_withheld: false,
        tree: merkle::Frontier::new(),
        audit: AuditState::default(),
        incidents: IncidentState::default(),
    }
}

fn describe_run(op: &DescribeRun, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    if work.run(&op.run_id).is_none() {
        return Err(no_run());
    }
    // The first under a topic wins, whatever a later one says: two exporters may well describe one resource twice.
    if let Some(entry) = work.topic(&op.run_id, &op.topic) {
        return Ok(earlier(entry, work.context));
    }
    work.demand_open(&op.run_id)?;
    let stated = started(&op.run_id, work).map(Entry::op).transpose()?.flatten();
    let stated = if let Some(Op::StartRun(start)) = stated { start.agent_id } else { None };
    let log_index = work.append(&op.run_id, Kind::RunDescribed, prepared)?;
    let row = work.run_mut(&op.run_id)?;
    let is_root = op.topic == "root";
    if row.described_by.is_none() || is_root && !row.described_by_root {
        row.described_by = Some(log_index);
        row.described_by_root = is_root;
        // As a reader takes it: the start's, else that of the one description that counts.
        row.agent_id = stated.or_else(|| op.agent_id.clone());
    }
    let run_no = row.run_no;
    work.changes.push(Change::Described { run_no, topic: op.topic.clone(), log_index });
    work.put_topic(&op.run_id, &op.topic, log_index);
    Ok(Done::now(log_index, work))
}

fn record_step(op: &RecordStep, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    if let Some(entry) = work.step(&op.run_id, op.index) {
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    let row = work.demand_open(&op.run_id)?;
    let mut totals = row.totals;
    totals.add(op)?;
    let leaves = prepared.step_leaves.expect("invariant: prepare computes a step's leaves");
    let log_index = work.append(&op.run_id, Kind::Step, prepared)?;
    work.put_step(&op.run_id, op.index, log_index);
    work.waiting(&op.run_id).insert(op.index, leaves);
    fold(&op.run_id, op.index, work)?;
    let row = work.run_mut(&op.run_id)?;
    row.totals = totals;
    row.steps += 1;
    if leaves == StepLeaves::WITHHELD {
        redact::withhold_hashes(row);
    }
    let run_no = row.run_no;
    work.changes.push(Change::Step(StepRow { run_no, index: op.index, log_index, leaves }));
    Ok(Done::now(log_index, work))
}

/// Folds the step just recorded and, of those that wait, what is contiguous with the run's folded prefix: at most
/// [`FOLD_MAX`] of them, however many were looked up.
fn fold(run_id: &RunId, recorded: u32, work: &mut Work<'_>) -> Result<()> {
    let mut left = FOLD_MAX;
    if work.run(run_id).is_some_and(|row| row.hashes_withheld) {
        return Ok(());
    }
    loop {
        let next = work.run(run_id).map_or(0, |row| row.fold.steps());
        let next = u32::try_from(next).unwrap_or(u32::MAX);
        if next != recorded && left == 0 {
            return Ok(());
        }
        let Some(leaves) = work.waiting(run_id).remove(&next) else { return Ok(()) };
        work.run_mut(run_id)?.fold.push(&leaves);
        left -= u32::from(next != recorded);
    }
}

fn complete_run(op: &CompleteRun, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let row = work.run(&op.run_id).ok_or_else(no_run)?;
    if let Some(log_index) = row.completed_by {
        let entry = work.new_entry(log_index).or_else(|| work.found.completions.get(&op.run_id));
        let entry = entry.ok_or_else(|| Error::new(Code::Corrupt, "the entry that completed the run is not there"))?;
        demand(prepared, entry, work.context)?;
        return Ok(earlier(entry, work.context));
    }
    if row.status != RunStatus::Running && row.status != op.status.into() {
        return Err(Error::new(Code::Conflict, "the run was sealed with another status"));
    }
    let done = append_seal(op, false, prepared, work)?;
    work.run_mut(&op.run_id)?.completed_by = Some(done.log_index);
    Ok(done)
}

/// Seals a telemetry run as it stands.
fn seal_run(op: &SealRun, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let row = work.run(&op.run_id).ok_or_else(no_run)?;
    if row.source != Source::Otlp {
        return Err(Error::new(Code::Conflict, "only a run from telemetry is sealed as it stands"));
    }
    let refuse = |detail| Err(Error::new(Code::Conflict, detail).at("/n"));
    if op.n.checked_add(1) == Some(row.seals) {
        let entry = row.sealed_by.and_then(|log_index| work.new_entry(log_index));
        let entry = entry.or_else(|| work.found.seals.get(&op.run_id));
        let entry = entry.ok_or_else(|| Error::new(Code::Corrupt, "the run's latest seal is not there"))?;
        return Ok(earlier(entry, work.context));
    }
    if op.n != row.seals {
        return refuse("the run has another number of seals");
    }
    if row.completed_by.is_some() && row.status != op.status.into() {
        return Err(Error::new(Code::Conflict, "the run was completed with another status").at("/status"));
    }
    let end = CompleteRun { completed_at: op.completed_at, ..CompleteRun::new(op.run_id.clone(), op.status) };
    append_seal(&end, true, prepared, work)
}

/// Appends the next seal of a run.
fn append_seal(op: &CompleteRun, is_own: bool, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let row = work.run(&op.run_id).ok_or_else(no_run)?.clone();
    let (fold, gaps) = (row.fold.clone(), work.waiting(&op.run_id).clone());
    let mut sealed = Sealed { is_own, ..seal(op, &row, fold, &gaps)? };
    let (verdict, before) = (audit::at_seal(&op.run_id, work)?, audit::before(&op.run_id, work)?);
    sealed.figures.verdict = verdict.as_ref().map(|reconciled| to_json(&reconciled.verdict));
    let body = sealed.body();
    body.check_limits()?;
    let commit = body.commitment(&prepared.salt);
    let log_index = work.append_content(&op.run_id, Kind::Sealed, commit, body, prepared.salt)?;
    let row = work.run_mut(&op.run_id)?;
    row.status = op.status.into();
    row.seals += 1;
    row.sealed_by = Some(log_index);
    row.unsealed_at = None;
    row.sealed_totals.get_or_insert(row.totals.into());
    row.behaviour_hash = sealed.op.behaviour_hash;
    row.root_hash = sealed.op.root_hash;
    let Some(reconciled) = verdict else { return Ok(Done::now(log_index, work)) };
    audit::judged(&reconciled, log_index, row);
    Ok(Done::now(log_index, work).telling(audit::told(reconciled, before)))
}

/// Computes what the run's next seal states, and checks what the caller claims.
fn seal(
    op: &CompleteRun,
    row: &RunRow,
    mut fold: Fold,
    waiting: &std::collections::BTreeMap<u32, tracekeep_core::seal::StepLeaves>,
) -> Result<Sealed> {
    let mut gaps = Gaps::default();
    let mut next = u32::try_from(fold.steps()).unwrap_or(u32::MAX);
    for (index, leaves) in waiting.range(next..) {
        if *index > next {
            gaps.push(next, *index);
        }
        fold.push(leaves);
        next = *index + 1;
    }
    if fold.steps() != row.steps {
        return Err(Error::new(Code::Corrupt, "the run's steps are not as many as its row says"));
    }
    let hashes = (!row.hashes_withheld).then(|| fold.finish(op.status));
    let mut sealed = op.clone();
    claim("plan_hash", &mut sealed.plan_hash, row.plan_hash)?;
    claim("behaviour_hash", &mut sealed.behaviour_hash, hashes.map(|hashes| hashes.behaviour))?;
    claim("root_hash", &mut sealed.root_hash, hashes.map(|hashes| hashes.exact))?;
    let figures = Figures {
        n: row.seals,
        run_root: row.tree.root(),
        entries: row.entries,
        steps: row.steps,
        traces: row.traces,
        gaps,
        totals: row.totals,
        verdict: None,
    };
    Ok(Sealed { op: sealed, is_own: false, figures })
}

fn claim(name: &str, claimed: &mut Option<Hash>, computed: Option<Hash>) -> Result<()> {
    if claimed.is_some() && *claimed != computed {
        let path = format!("/{name}");
        return Err(Invalid::new(InvalidCode::HashMismatch, path, "the claimed hash is not the computed one").into());
    }
    *claimed = computed;
    Ok(())
}
