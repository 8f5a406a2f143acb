//! What a batch must look up, and looking it up.

use std::collections::{HashMap, HashSet};

use tracekeep_core::id::{BaselineName, ExportId, IncidentId, Key, RunId, TraceId};
use tracekeep_core::limits::{ANCESTORS_MAX, COMPARED_BYTES_MAX, EVIDENCE_MAX, STEP_INDEX_MAX};
use tracekeep_core::model::{HoldOn, Kind, Op, RecordTrace, Redact};
use tracekeep_core::seal::{KeyBody, StepLeaves};
use tracekeep_core::{Invalid, InvalidCode};

use super::audit::{self, FoundAudit};
use super::redact::{self, FoundRedaction};
use crate::batch::Prepared;
use crate::error::{Code, Error, Result};
use crate::rows::{Entry, FactKind, HoldPlace, HoldRow, IncidentRow, OwnedId, RunRow, Slot, SlotRow, TraceRow};
use crate::snapshot::Snapshot;

/// Waiting steps that one recorded step folds beside itself, at most: so that what is folded depends on the entries so far
/// alone, and not on how they were batched.
pub(super) const FOLD_MAX: u32 = 1_000;

/// What a batch needs to know before it can be decided: bounded by its ops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Runs by id.
    pub runs: Vec<RunId>,
    /// Runs whose first entry is compared, if they exist.
    pub starts: Vec<RunId>,
    /// Runs whose completion is compared, if there is one; else the leaves of their steps beyond the folded prefix.
    pub completions: Vec<RunId>,
    /// Runs that are sealed as they stand: their latest seal, and the leaves of their steps beyond the folded prefix.
    pub seals: Vec<RunId>,
    /// (run, topic) of descriptions.
    pub topics: Vec<(RunId, String)>,
    /// (run, index) of steps.
    pub steps: Vec<(RunId, u32)>,
    /// Traces that are recorded or ended: their rows and, if they exist, their entries.
    pub traces: Vec<(RunId, TraceId)>,
    /// Traces that are named as parents: their rows, or the place where the id was named before.
    pub parents: Vec<(RunId, TraceId)>,
    /// (run, id, parent) of traces: if `id` was named before it came, the ancestors of `parent`, at most 1,000.
    pub late: Vec<(RunId, TraceId, TraceId)>,
    /// What is held or let go of: the latest fact on it, with its entry.
    pub holds: Vec<HoldOn>,
    /// Runs that are erased, or of which members are withheld: whether something holds them or one of their tags.
    pub erasures: Vec<RunId>,
    /// Runs that are erased: the ids of their incidents and exports.
    pub owners: Vec<RunId>,
    /// Members that are withheld: what is recorded of their steps and traces, and of the seals that are over them.
    pub redactions: Vec<Redact>,
    /// Tags of runs that the batch itself starts and erases: whether something holds them.
    pub held_tags: Vec<String>,
    /// Names that are to stand for runs: the entry of the latest fact on each.
    pub baselines: Vec<BaselineName>,
    /// Incidents: their rows and entries, and the rows of their runs.
    pub incidents: Vec<IncidentId>,
    /// Exports: their entries.
    pub exports: Vec<ExportId>,
    /// (run, index) of steps that incidents name: whether they are there.
    pub violating: Vec<(RunId, u32)>,
    /// The key that signs.
    pub signing_key: bool,
    /// Whether an entry of no run may be written.
    pub unowned: bool,
    /// (run, kind, id) of facts of an audit.
    pub facts: Vec<(RunId, FactKind, String)>,
    /// (run, domain, action) of which something is said or expected.
    pub actions: Vec<(RunId, String, String)>,
    /// Runs that something is expected of: what was said before, where there is any.
    pub expecting: Vec<RunId>,
    /// Runs that a verdict is asked for, once for each op that does: all facts, and the latest verdict.
    pub verdicts: Vec<RunId>,
    /// How many facts the batch itself brings of a run.
    pub own_facts: HashMap<RunId, u64>,
    /// Runs whose audit is cleared: the entry that did it already.
    pub cleared: Vec<RunId>,
    /// The batch's idempotency key.
    pub key: Option<Key>,
    /// Bytes of recorded bodies that may be looked up: twice as many as the batch has itself, so that every batch can be
    /// found to be a duplicate (of a span, its open and its closed form), and [`COMPARED_BYTES_MAX`] more.
    pub body_bytes_max: u64,
}

/// Lists what `batch` must look up.
#[must_use]
pub fn needs(batch: &Prepared) -> Needs {
    let body_bytes_max = 2 * batch.body_bytes() + u64::from(COMPARED_BYTES_MAX);
    let unowned = batch.key.is_some();
    let mut needs = Needs { key: batch.key.clone(), unowned, body_bytes_max, ..Needs::default() };
    let mut seen = HashSet::new();
    let erases: HashSet<_> = batch.ops.iter().filter_map(|op| erases(&op.op)).collect();
    for prepared in &batch.ops {
        let op = &prepared.op;
        if let Some(on) = holds(op) {
            needs.unowned |= matches!(on, HoldOn::Tag(_));
            needs.holds.push(on);
        }
        if let Op::SetBaseline(op) = op {
            needs.unowned = true;
            needs.baselines.push(op.name.clone());
            if seen.insert(&op.run_id) {
                needs.runs.push(op.run_id.clone());
            }
        }
        incident_needs(op, &mut needs);
        if let Op::DeclareKey(_) = op {
            needs.unowned = true;
            needs.signing_key = true;
        }
        let Some(run) = op.run_id() else { continue };
        if seen.insert(run) {
            needs.runs.push(run.clone());
        }
        match op {
            Op::StartRun(op) => {
                needs.starts.push(run.clone());
                if erases.contains(run) {
                    needs.held_tags.extend_from_slice(&op.tags);
                }
            }
            Op::EnsureRun(_) => needs.starts.push(run.clone()),
            Op::EraseRun(_) => {
                needs.erasures.push(run.clone());
                needs.owners.push(run.clone());
            }
            Op::Redact(op) => {
                needs.erasures.push(run.clone());
                needs.redactions.push(op.clone());
            }
            Op::Hold(_)
            | Op::ReleaseHold(_)
            | Op::SetBaseline(_)
            | Op::OpenIncident(_)
            | Op::ResolveIncident(_)
            | Op::RecordExport(_)
            | Op::DeclareKey(_) => {}
            Op::DescribeRun(op) => {
                // What the start states of the agent stands over any description.
                needs.starts.push(run.clone());
                needs.topics.push((run.clone(), op.topic.clone()));
            }
            Op::RecordStep(op) => needs.steps.push((run.clone(), op.index)),
            Op::CompleteRun(_) => needs.completions.push(run.clone()),
            Op::SealRun(_) => needs.seals.push(run.clone()),
            Op::Expect(_) | Op::Ack(_) | Op::SetExpectationStatus(_) | Op::ClearAudit(_) | Op::Reconcile(_) => {
                audit::needs(op, run, &mut needs);
            }
            Op::EndTrace(op) => needs.traces.push((run.clone(), op.id.clone())),
            Op::RecordTrace(op) => {
                let Some(id) = &op.id else { continue };
                needs.traces.push((run.clone(), id.clone()));
                if let Some(parent) = &op.parent_id {
                    needs.parents.push((run.clone(), parent.clone()));
                    needs.late.push((run.clone(), id.clone(), parent.clone()));
                }
            }
        }
    }
    needs
}

fn incident_needs(op: &Op, needs: &mut Needs) {
    match op {
        Op::OpenIncident(op) => {
            needs.unowned |= op.run_id.is_none();
            needs.incidents.extend(op.incident_id.clone());
            let named = op.run_id.clone().zip(op.violation_step_index);
            needs.violating.extend(named);
            needs.holds.extend(op.run_id.clone().map(HoldOn::Run));
        }
        Op::ResolveIncident(op) => {
            needs.unowned = true;
            needs.incidents.push(op.incident_id.clone());
        }
        Op::RecordExport(op) => {
            needs.unowned = true;
            needs.incidents.extend(op.incident_id.clone());
            needs.exports.extend(op.export_id.clone());
        }
        _ => {}
    }
}

fn erases(op: &Op) -> Option<&RunId> {
    match op {
        Op::EraseRun(op) => Some(&op.run_id),
        _ => None,
    }
}

fn holds(op: &Op) -> Option<HoldOn> {
    match op {
        Op::Hold(op) => HoldOn::of(op.run_id.as_ref(), op.tag.as_deref()),
        Op::ReleaseHold(op) => HoldOn::of(op.run_id.as_ref(), op.tag.as_deref()),
        _ => None,
    }
}

/// What was looked up: a plain value.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The runs that exist.
    pub runs: HashMap<RunId, RunRow>,
    /// The redactions of those that were erased.
    pub erased: HashMap<RunId, Entry>,
    /// The latest facts on what is held or was.
    pub holds: HashMap<HoldOn, FoundHold>,
    /// For each run of which members are withheld: what they are members of.
    pub redactions: HashMap<RunId, FoundRedaction>,
    /// What names stand for.
    pub baselines: HashMap<BaselineName, Entry>,
    /// Incidents that exist.
    pub incidents: HashMap<IncidentId, FoundIncident>,
    /// Exports that exist.
    pub exports: HashMap<ExportId, Entry>,
    /// The ids of the incidents and exports of runs that are erased, each with the log index of its entry, by that.
    pub owned: HashMap<RunId, Vec<(u64, OwnedId)>>,
    /// Ids of incidents and exports whose runs were erased, with the redactions.
    pub erased_ids: HashMap<OwnedId, u64>,
    /// Steps that incidents name and that exist.
    pub violating: HashSet<(RunId, u32)>,
    /// The latest declaration of a key that signs.
    pub signing_key: Option<Entry>,
    /// Their first entries.
    pub starts: HashMap<RunId, Entry>,
    /// The entries that completed them.
    pub completions: HashMap<RunId, Entry>,
    /// The latest seals of those that are sealed as they stand.
    pub seals: HashMap<RunId, Entry>,
    /// Leaves of steps beyond the folded prefix, by index: all of them for a completion, else what the batch may fold.
    pub step_leaves: HashMap<RunId, Vec<(u32, StepLeaves)>>,
    /// Descriptions that exist.
    pub topics: HashMap<(RunId, String), Entry>,
    /// Steps that exist.
    pub steps: HashMap<(RunId, u32), Entry>,
    /// Traces that exist.
    pub traces: HashMap<(RunId, TraceId), FoundTrace>,
    /// Ids that were named before their trace came.
    pub slots: HashMap<(RunId, TraceId), SlotRow>,
    /// For the ancestors that were asked for: where the trace at a log index hangs.
    pub hangs: HashMap<u64, Slot>,
    /// For the places met on the way: what filled the id named by an entry.
    pub filled: HashMap<u64, Option<u64>>,
    /// The audits of the runs that exist.
    pub audits: HashMap<RunId, FoundAudit>,
    /// The batch's key, if it was used before.
    pub key: Option<FoundKey>,
    /// The next seq of an entry of no run.
    pub unowned_entries: u64,
}

/// A trace that exists.
#[derive(Clone, Debug)]
pub struct FoundTrace {
    /// Its row.
    pub row: TraceRow,
    /// Its entry; only where the trace itself is written to.
    pub entry: Option<Entry>,
    /// The entry that ended it; likewise.
    pub end: Option<Entry>,
}

/// The latest fact on what may be held.
#[derive(Clone, Debug)]
pub struct FoundHold {
    /// Its row.
    pub row: HoldRow,
    /// Its entry; only where the hold itself is written to.
    pub entry: Option<Entry>,
}

/// An incident that exists.
#[derive(Clone, Debug)]
pub struct FoundIncident {
    /// Its row.
    pub row: IncidentRow,
    /// The entry that opened it.
    pub entry: Entry,
    /// The entry that says how it ended.
    pub resolution: Option<Entry>,
}

/// An idempotency key that was used before.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// The key's own entry.
    pub log_index: u64,
    /// The entry of each op of the batch that used it, in that batch's order.
    pub ops: Vec<Entry>,
}

/// Looks up what a batch needs. A backend with a round trip to pay may do it in its own way instead.
///
/// # Errors
/// What the snapshot fails with; `corrupt` where an index points nowhere; `too_large` where more recorded bodies would have
/// to be held than the batch may ask for.
pub fn fetch(needs: &Needs, snapshot: &impl Snapshot) -> Result<Found> {
    let mut found = Found::default();
    let bodies = &mut Bodies { snapshot, bytes_left: needs.body_bytes_max };
    for run_id in &needs.runs {
        if let Some(row) = snapshot.run(run_id)? {
            found.runs.insert(run_id.clone(), row);
        } else if let Some(log_index) = snapshot.erased(run_id)? {
            found.erased.insert(run_id.clone(), bodies.entry(log_index)?);
        }
    }
    if needs.unowned {
        found.unowned_entries = snapshot.unowned_entries()?;
    }
    if let Some(key) = &needs.key
        && let Some(log_index) = snapshot.key(key)?
    {
        // The batch is compared with what the key was used for, and with nothing else.
        found.key = Some(fetch_key(log_index, bodies)?);
        return Ok(found);
    }
    for run_id in &needs.starts {
        if let Some(row) = found.runs.get(run_id).filter(|_| !found.starts.contains_key(run_id)) {
            found.starts.insert(run_id.clone(), bodies.entry(row.run_no)?);
        }
    }
    for run_id in &needs.completions {
        let Some(row) = found.runs.get(run_id) else { continue };
        if let Some(log_index) = row.completed_by {
            found.completions.insert(run_id.clone(), bodies.entry(log_index)?);
        } else if row.steps > row.fold.steps() {
            let leaves = leaves(snapshot, row, STEP_INDEX_MAX + 1)?;
            found.step_leaves.insert(run_id.clone(), leaves);
        }
    }
    for run_id in &needs.seals {
        let Some(row) = found.runs.get(run_id) else { continue };
        if let Some(log_index) = row.sealed_by {
            found.seals.insert(run_id.clone(), bodies.entry(log_index)?);
        }
        if row.steps > row.fold.steps() {
            let leaves = leaves(snapshot, row, STEP_INDEX_MAX + 1)?;
            found.step_leaves.insert(run_id.clone(), leaves);
        }
    }
    for (run_id, topic) in &needs.topics {
        let Some(row) = found.runs.get(run_id) else { continue };
        if found.topics.contains_key(&(run_id.clone(), topic.clone())) {
            continue;
        }
        if let Some(log_index) = snapshot.described(row.run_no, topic)? {
            found.topics.insert((run_id.clone(), topic.clone()), bodies.entry(log_index)?);
        }
    }
    for (run_id, index) in &needs.steps {
        let Some(row) = found.runs.get(run_id) else { continue };
        if found.steps.contains_key(&(run_id.clone(), *index)) {
            continue;
        }
        if let Some(step) = snapshot.step(row.run_no, *index)? {
            found.steps.insert((run_id.clone(), *index), bodies.entry(step.log_index)?);
        }
    }
    fetch_waiting(needs, snapshot, &mut found)?;
    fetch_incidents(needs, bodies, &mut found)?;
    fetch_holds(needs, bodies, &mut found)?;
    for name in &needs.baselines {
        if let Some(row) = snapshot.baseline(name)?.filter(|_| !found.baselines.contains_key(name)) {
            found.baselines.insert(name.clone(), bodies.entry(row.log_index)?);
        }
    }
    if needs.signing_key
        && let Some(log_index) = snapshot.signing_key()?
    {
        found.signing_key = Some(bodies.entry(log_index)?);
    }
    fetch_traces(needs, bodies, &mut found)?;
    audit::fetch(needs, bodies, &mut found)?;
    redact::fetch(needs, bodies, &mut found)?;
    Ok(found)
}

/// Looks up, for each run that steps are recorded in, as many waiting ones as those may fold: none while the step that
/// the folded prefix waits for neither comes nor is there.
fn fetch_waiting(needs: &Needs, snapshot: &impl Snapshot, found: &mut Found) -> Result<()> {
    let mut indices = HashMap::<_, Vec<_>>::new();
    for (run_id, index) in &needs.steps {
        indices.entry(run_id).or_default().push(*index);
    }
    for (run_id, indices) in indices {
        let Some(row) = found.runs.get(run_id) else { continue };
        // A completion asks for all of them.
        if row.hashes_withheld || row.steps <= row.fold.steps() || found.step_leaves.contains_key(run_id) {
            continue;
        }
        let next = u32::try_from(row.fold.steps()).unwrap_or(u32::MAX);
        if indices.contains(&next) || snapshot.step(row.run_no, next)?.is_some() {
            let count = u32::try_from(indices.len()).unwrap_or(u32::MAX);
            let waiting = leaves(snapshot, row, count.saturating_mul(FOLD_MAX).min(STEP_INDEX_MAX + 1))?;
            found.step_leaves.insert(run_id.clone(), waiting);
        }
    }
    Ok(())
}

fn fetch_incidents(needs: &Needs, bodies: &mut Bodies<'_, impl Snapshot>, found: &mut Found) -> Result<()> {
    let snapshot = bodies.snapshot;
    let ids = needs.incidents.iter().cloned().map(OwnedId::Incident);
    for id in ids.chain(needs.exports.iter().cloned().map(OwnedId::Export)) {
        if let Some(log_index) = snapshot.erased_id(&id)? {
            found.erased_ids.insert(id, log_index);
        }
    }
    for run_id in &needs.owners {
        let Some(run_no) = found.runs.get(run_id).map(|row| row.run_no) else { continue };
        found.owned.insert(run_id.clone(), snapshot.owned_ids(run_no, EVIDENCE_MAX)?);
    }
    for id in &needs.incidents {
        let Some(row) = snapshot.incident(id)?.filter(|_| !found.incidents.contains_key(id)) else { continue };
        let entry = bodies.entry(row.log_index)?;
        let resolution = row.resolved_by.map(|log_index| bodies.entry(log_index)).transpose()?;
        if let Some((_, run_id)) = &entry.run
            && !found.runs.contains_key(run_id)
        {
            let run = snapshot.run(run_id)?.ok_or_else(|| nowhere(row.log_index))?;
            found.runs.insert(run_id.clone(), run);
        }
        found.incidents.insert(id.clone(), FoundIncident { row, entry, resolution });
    }
    for id in &needs.exports {
        if let Some(log_index) = snapshot.export(id)?.filter(|_| !found.exports.contains_key(id)) {
            found.exports.insert(id.clone(), bodies.entry(log_index)?);
        }
    }
    for (run_id, index) in &needs.violating {
        let Some(run_no) = found.runs.get(run_id).map(|row| row.run_no) else { continue };
        if snapshot.step(run_no, *index)?.is_some() {
            found.violating.insert((run_id.clone(), *index));
        }
    }
    Ok(())
}

fn fetch_holds(needs: &Needs, bodies: &mut Bodies<'_, impl Snapshot>, found: &mut Found) -> Result<()> {
    let snapshot = bodies.snapshot;
    for on in &needs.holds {
        let place = match on {
            HoldOn::Run(run_id) => found.runs.get(run_id).map(|row| HoldPlace::Run(row.run_no)),
            HoldOn::Tag(tag) => Some(HoldPlace::Tag(tag.clone())),
        };
        let Some(row) = place.map(|place| snapshot.hold(&place)).transpose()?.flatten() else { continue };
        let entry = bodies.entry(row.log_index)?;
        found.holds.insert(on.clone(), FoundHold { row, entry: Some(entry) });
    }
    let mut tags = needs.held_tags.clone();
    for run_id in &needs.erasures {
        let Some(row) = found.runs.get(run_id) else { continue };
        tags.extend_from_slice(&row.tags);
        if let Some(row) = snapshot.hold(&HoldPlace::Run(row.run_no))? {
            found.holds.entry(HoldOn::Run(run_id.clone())).or_insert(FoundHold { row, entry: None });
        }
    }
    for tag in tags {
        if let Some(row) = snapshot.hold(&HoldPlace::Tag(tag.clone()))? {
            found.holds.entry(HoldOn::Tag(tag)).or_insert(FoundHold { row, entry: None });
        }
    }
    Ok(())
}

fn fetch_traces(needs: &Needs, bodies: &mut Bodies<'_, impl Snapshot>, found: &mut Found) -> Result<()> {
    let snapshot = bodies.snapshot;
    for (run_id, id) in &needs.traces {
        let Some(run_no) = found.runs.get(run_id).map(|row| row.run_no) else { continue };
        let at = (run_id.clone(), id.clone());
        if found.traces.contains_key(&at) {
            continue;
        }
        if let Some(row) = snapshot.trace(run_no, id)? {
            let first = bodies.entry(row.log_index)?;
            let end = row.ended_by.map(|log_index| bodies.entry(log_index)).transpose()?;
            found.traces.insert(at, FoundTrace { row, entry: Some(first), end });
        } else if let Some(slot) = snapshot.slot(run_no, id)? {
            put_slot(found, at, slot);
        }
    }
    for (run_id, id) in &needs.parents {
        let Some(run_no) = found.runs.get(run_id).map(|row| row.run_no) else { continue };
        let at = (run_id.clone(), id.clone());
        if found.traces.contains_key(&at) || found.slots.contains_key(&at) {
            continue;
        }
        if let Some(row) = snapshot.trace(run_no, id)? {
            found.traces.insert(at, FoundTrace { row, entry: None, end: None });
        } else if let Some(slot) = snapshot.slot(run_no, id)? {
            put_slot(found, at, slot);
        }
    }
    let named_here: HashSet<_> = needs.late.iter().map(|(run_id, _, parent)| (run_id, parent)).collect();
    for (run_id, id, parent) in &needs.late {
        let named_before =
            found.slots.contains_key(&(run_id.clone(), id.clone())) || named_here.contains(&(run_id, id));
        if !named_before {
            continue;
        }
        if let Some(parent) = found.traces.get(&(run_id.clone(), parent.clone())) {
            let from = parent.row.log_index;
            ancestors(snapshot, from, found)?;
        }
    }
    Ok(())
}

fn put_slot(found: &mut Found, at: (RunId, TraceId), slot: SlotRow) {
    found.filled.insert(slot.named_by, slot.filled_by);
    found.slots.insert(at, slot);
}

/// Notes where a trace and its ancestors hang, at most 1,000 of them.
fn ancestors(snapshot: &impl Snapshot, from: u64, found: &mut Found) -> Result<()> {
    let mut next = Some(from);
    for _ in 0..ANCESTORS_MAX {
        let Some(log_index) = next else { break };
        let row = snapshot.trace_at(log_index)?.ok_or_else(|| nowhere(log_index))?;
        found.hangs.insert(log_index, row.parent);
        next = match row.parent {
            Slot::Root => None,
            Slot::Under(parent) => Some(parent),
            Slot::Named(named_by) => {
                let filled_by = snapshot.slot_at(named_by)?.ok_or_else(|| nowhere(named_by))?.filled_by;
                found.filled.insert(named_by, filled_by);
                filled_by
            }
        };
    }
    Ok(())
}

fn fetch_key(log_index: u64, bodies: &mut Bodies<'_, impl Snapshot>) -> Result<FoundKey> {
    let key = bodies.entry(log_index)?;
    let body = key.body().filter(|_| key.kind == Kind::Key).ok_or_else(|| nowhere(log_index))?;
    let body = KeyBody::from_body(body).map_err(|_| nowhere(log_index))?;
    let ops = body.ops.iter().map(|log_index| bodies.entry(*log_index));
    Ok(FoundKey { log_index, ops: ops.collect::<Result<_>>()? })
}

fn leaves(snapshot: &impl Snapshot, row: &RunRow, limit: u32) -> Result<Vec<(u32, StepLeaves)>> {
    let from = u32::try_from(row.fold.steps()).unwrap_or(u32::MAX);
    let steps = snapshot.steps(row.run_no, from, limit)?;
    Ok(steps.into_iter().map(|step| (step.index, step.leaves)).collect())
}

/// Entries whose bodies are held until the batch is decided.
pub(super) struct Bodies<'a, S> {
    pub(super) snapshot: &'a S,
    bytes_left: u64,
}

impl<S: Snapshot> Bodies<'_, S> {
    pub(super) fn entry(&mut self, log_index: u64) -> Result<Entry> {
        let entry = self.snapshot.entry(log_index)?.ok_or_else(|| nowhere(log_index))?;
        let bytes = entry.body().map_or(0, |body| body.len() as u64);
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
            let detail = format!(
                "what the batch is to be compared with has more than {COMPARED_BYTES_MAX} bytes: send fewer ops at once"
            );
            Invalid::new(InvalidCode::TooLarge, "/ops", detail)
        })?;
        Ok(entry)
    }
}

pub(crate) fn nowhere(log_index: u64) -> Error {
    Error::new(Code::Corrupt, format!("an index points to log index {log_index}, which does not hold it"))
}

/// The trace that an entry records. `None` where it was erased.
pub(crate) fn recorded_trace(entry: &Entry) -> Result<Option<RecordTrace>> {
    match entry.op() {
        Ok(None) => Ok(None),
        Ok(Some(Op::RecordTrace(record))) => Ok(Some(record)),
        _ => Err(nowhere(entry.log_index)),
    }
}
