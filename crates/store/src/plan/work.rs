//! A batch being decided: what was found, overlaid with what the batch itself has written so far.

use std::collections::{BTreeMap, HashMap};

use tracekeep_audit::ActionFold;
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::id::{BaselineName, ExportId, IncidentId, RunId, TraceId};
use tracekeep_core::model::{HoldOn, Kind, RunStatus, Source};
use tracekeep_core::seal::StepLeaves;

use super::decide::{Change, Context};
use super::fetch::{Found, FoundTrace};
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};
use crate::rows::{ActionRow, Entry, FactKind, FactRow, IncidentRow, OwnedId, RunRow, Slot, SlotRow, TraceRow};

pub(super) struct Work<'a> {
    pub(super) found: &'a Found,
    pub(super) context: &'a Context,
    pub(super) entries: Vec<Entry>,
    pub(super) leaves: Vec<Hash>,
    pub(super) changes: Vec<Change>,
    runs: Vec<RunRow>,
    waiting: HashMap<RunId, BTreeMap<u32, StepLeaves>>,
    steps: HashMap<(RunId, u32), u64>,
    topics: HashMap<(RunId, String), u64>,
    traces: HashMap<(RunId, TraceId), NewTrace>,
    slots: HashMap<(RunId, TraceId), SlotRow>,
    /// Entries of no run that this batch writes.
    unowned: u64,
    /// What this batch lets names stand for.
    baselines: HashMap<BaselineName, u64>,
    /// The declaration of a key that this batch writes.
    signing_key: Option<u64>,
    /// What this batch holds or lets go of.
    holds: HashMap<HoldOn, (u64, bool)>,
    /// Incidents as this batch leaves them.
    pub(super) incidents: HashMap<IncidentId, IncidentRow>,
    /// Exports that this batch states.
    pub(super) exports: HashMap<ExportId, u64>,
    /// The redactions of the runs that this batch erased.
    erased: HashMap<RunId, u64>,
    /// The same, by the ids of their incidents and exports.
    erased_ids: HashMap<OwnedId, u64>,
    /// Where the traces of this batch hang.
    hangs: HashMap<u64, Slot>,
    /// What became of the named ids that this batch touched.
    filled: HashMap<u64, Option<u64>>,
    /// Facts that this batch recorded, in order.
    facts: Vec<FactRow>,
    /// Those of them that have an id: their entries.
    fact_ids: HashMap<(u64, FactKind, String), u64>,
    actions: BTreeMap<(u64, String, String), ActionRow>,
}

/// A trace that this batch recorded or ended.
#[derive(Clone)]
struct NewTrace {
    row: TraceRow,
    entry: u64,
    end: Option<u64>,
}

/// The latest fact on what may be held, as the next op of the batch sees it.
pub(super) struct SeenHold<'w> {
    pub(super) entry: &'w Entry,
    pub(super) held: bool,
}

/// A trace as the next op of the batch sees it.
pub(super) struct SeenTrace {
    pub(super) row: TraceRow,
    pub(super) entry: Option<Entry>,
    pub(super) end: Option<Entry>,
}

impl<'a> Work<'a> {
    pub(super) fn new(found: &'a Found, context: &'a Context) -> Self {
        Self {
            found,
            context,
            entries: Vec::new(),
            leaves: Vec::new(),
            changes: Vec::new(),
            runs: Vec::new(),
            waiting: HashMap::new(),
            steps: HashMap::new(),
            topics: HashMap::new(),
            traces: HashMap::new(),
            slots: HashMap::new(),
            unowned: 0,
            baselines: HashMap::new(),
            signing_key: None,
            holds: HashMap::new(),
            incidents: HashMap::new(),
            exports: HashMap::new(),
            erased: HashMap::new(),
            erased_ids: HashMap::new(),
            hangs: HashMap::new(),
            filled: HashMap::new(),
            facts: Vec::new(),
            fact_ids: HashMap::new(),
            actions: BTreeMap::new(),
        }
    }

    /// The rows and entries to write.
    pub(super) fn finish(mut self) -> (Vec<Entry>, Vec<Hash>, Vec<Change>) {
        self.note_unsealed();
        self.changes.extend(self.facts.into_iter().map(Change::Fact));
        self.changes.extend(self.actions.into_values().map(Change::Action));
        self.changes.extend(self.runs.into_iter().map(|row| Change::Run(Box::new(row))));
        (self.entries, self.leaves, self.changes)
    }

    /// Telemetry is sealed once it has been quiet after its root span ended; what comes later makes it wait anew.
    fn note_unsealed(&mut self) {
        for row in &mut self.runs {
            if row.source != Source::Otlp || row.root_ended_at.is_none() {
                continue;
            }
            let is_covered = |entry: &Entry| row.sealed_by.is_some_and(|seal| entry.log_index < seal);
            let is_new = self.entries.iter().any(|entry| {
                let is_sealable =
                    matches!(entry.kind, Kind::RunDescribed | Kind::Step | Kind::Trace | Kind::TraceEnded);
                let is_own = entry.run.as_ref().is_some_and(|(run_no, _)| *run_no == row.run_no);
                is_sealable && is_own && !is_covered(entry)
            });
            if is_new {
                row.unsealed_at = Some(self.context.recorded_at);
            }
        }
    }

    pub(super) fn next_index(&self) -> u64 {
        self.context.size + self.entries.len() as u64
    }

    /// An entry of this batch, by its log index.
    pub(super) fn new_entry(&self, log_index: u64) -> Option<&Entry> {
        let at = usize::try_from(log_index.checked_sub(self.context.size)?).ok()?;
        self.entries.get(at)
    }

    pub(super) fn run(&self, run_id: &RunId) -> Option<&RunRow> {
        self.runs.iter().find(|row| row.run_id == *run_id).or_else(|| self.found.runs.get(run_id))
    }

    /// The run's row, to be changed.
    pub(super) fn run_mut(&mut self, run_id: &RunId) -> Result<&mut RunRow> {
        let at = match self.runs.iter().position(|row| row.run_id == *run_id) {
            Some(at) => at,
            None => {
                let row = self.found.runs.get(run_id).ok_or_else(no_run)?;
                self.runs.push(row.clone());
                self.runs.len() - 1
            }
        };
        Ok(&mut self.runs[at])
    }

    pub(super) fn put_run(&mut self, row: RunRow) {
        self.runs.push(row);
    }

    /// Refuses what may not follow the seal of a run that is not telemetry.
    pub(super) fn demand_open(&self, run_id: &RunId) -> Result<&RunRow> {
        let row = self.run(run_id).ok_or_else(no_run)?;
        if row.status != RunStatus::Running && row.source != Source::Otlp {
            return Err(Error::new(
                Code::Sealed,
                "the run is sealed: it takes no more steps, traces, ends or descriptions",
            ));
        }
        Ok(row)
    }

    /// Appends an entry of a run, with its leaf in the run's own tree.
    pub(super) fn append(&mut self, run_id: &RunId, kind: Kind, op: &PreparedOp) -> Result<u64> {
        self.append_content(run_id, kind, op.commit, op.body.clone(), op.salt)
    }

    pub(super) fn append_content(
        &mut self,
        run_id: &RunId,
        kind: Kind,
        commit: Hash,
        body: Body,
        salt: Salt,
    ) -> Result<u64> {
        let (log_index, context) = (self.next_index(), self.context);
        let row = self.run_mut(run_id)?;
        let entry = Entry {
            log_index,
            run: Some((row.run_no, run_id.clone())),
            seq: row.entries,
            kind,
            recorded_at: context.recorded_at,
            commit,
            after: 0,
            content: Some((body, salt)),
        };
        let leaf = entry.leaf(context.ledger).hash();
        row.entries += 1;
        row.tree.push(leaf);
        self.entries.push(entry);
        self.leaves.push(leaf);
        Ok(log_index)
    }

    /// Appends an entry of no run.
    pub(super) fn append_unowned(&mut self, kind: Kind, commit: Hash, body: Body, salt: Salt) -> u64 {
        let entry = Entry {
            log_index: self.next_index(),
            run: None,
            seq: self.found.unowned_entries + self.unowned,
            kind,
            recorded_at: self.context.recorded_at,
            commit,
            after: 0,
            content: Some((body, salt)),
        };
        let log_index = entry.log_index;
        self.unowned += 1;
        self.leaves.push(entry.leaf(self.context.ledger).hash());
        self.entries.push(entry);
        log_index
    }

    /// The redaction that erased a run.
    pub(super) fn erased(&self, run_id: &RunId) -> Option<&Entry> {
        match self.erased.get(run_id) {
            Some(log_index) => self.new_entry(*log_index),
            None => self.found.erased.get(run_id),
        }
    }

    /// The redaction that erased the run to which an id belonged.
    pub(super) fn erased_id(&self, id: &OwnedId) -> Option<u64> {
        self.erased_ids.get(id).or_else(|| self.found.erased_ids.get(id)).copied()
    }

    /// The run is erased by the entry at `log_index`; nothing is written under its id any more.
    pub(super) fn put_erased(&mut self, before: RunRow, log_index: u64, ids: Vec<OwnedId>) {
        self.runs.retain(|row| row.run_no != before.run_no);
        self.facts.retain(|row| row.run_no != before.run_no);
        self.fact_ids.retain(|(run_no, _, _), _| *run_no != before.run_no);
        self.actions.retain(|(run_no, _, _), _| *run_no != before.run_no);
        self.erased.insert(before.run_id.clone(), log_index);
        self.erased_ids.extend(ids.iter().map(|id| (id.clone(), log_index)));
        self.changes.push(Change::Erased {
            run_no: before.run_no,
            run_id: before.run_id.clone(),
            log_index,
            entries: before.entries,
            ids,
            before: Some(Box::new(before)),
        });
    }

    /// The entry that says what a name stands for.
    pub(super) fn baseline(&self, name: &BaselineName) -> Option<&Entry> {
        match self.baselines.get(name) {
            Some(log_index) => self.new_entry(*log_index),
            None => self.found.baselines.get(name),
        }
    }

    pub(super) fn note_baseline(&mut self, name: BaselineName, log_index: u64) {
        self.baselines.insert(name, log_index);
    }

    /// The latest declaration of a key that signs.
    pub(super) fn signing_key(&self) -> Option<&Entry> {
        match self.signing_key {
            Some(log_index) => self.new_entry(log_index),
            None => self.found.signing_key.as_ref(),
        }
    }

    pub(super) fn note_signing_key(&mut self, log_index: u64) {
        self.signing_key = Some(log_index);
    }

    /// What this batch did to what may be held.
    pub(super) fn new_hold(&self, on: &HoldOn) -> Option<(u64, bool)> {
        self.holds.get(on).copied()
    }

    pub(super) fn put_hold(&mut self, on: HoldOn, log_index: u64, held: bool) {
        self.holds.insert(on, (log_index, held));
    }

    pub(super) fn step(&self, run_id: &RunId, index: u32) -> Option<&Entry> {
        let at = (run_id.clone(), index);
        match self.steps.get(&at) {
            Some(log_index) => self.new_entry(*log_index),
            None => self.found.steps.get(&at),
        }
    }

    pub(super) fn put_step(&mut self, run_id: &RunId, index: u32, log_index: u64) {
        self.steps.insert((run_id.clone(), index), log_index);
    }

    /// Leaves of the run's steps beyond its folded prefix, by index.
    pub(super) fn waiting(&mut self, run_id: &RunId) -> &mut BTreeMap<u32, StepLeaves> {
        let found = self.found;
        self.waiting
            .entry(run_id.clone())
            .or_insert_with(|| found.step_leaves.get(run_id).into_iter().flatten().copied().collect())
    }

    pub(super) fn topic(&self, run_id: &RunId, topic: &str) -> Option<&Entry> {
        let at = (run_id.clone(), topic.to_owned());
        match self.topics.get(&at) {
            Some(log_index) => self.new_entry(*log_index),
            None => self.found.topics.get(&at),
        }
    }

    pub(super) fn put_topic(&mut self, run_id: &RunId, topic: &str, log_index: u64) {
        self.topics.insert((run_id.clone(), topic.to_owned()), log_index);
    }

    pub(super) fn trace(&self, run_id: &RunId, id: &TraceId) -> Option<SeenTrace> {
        let at = (run_id.clone(), id.clone());
        let found = self.found.traces.get(&at);
        if let Some(new) = self.traces.get(&at) {
            let seen = |log_index: u64| {
                self.new_entry(log_index).cloned().or_else(|| found.and_then(|found| found.entry.clone()))
            };
            return Some(SeenTrace {
                row: new.row.clone(),
                entry: seen(new.entry),
                end: new.end.and_then(|log_index| self.new_entry(log_index).cloned()),
            });
        }
        found.map(|FoundTrace { row, entry, end }| SeenTrace {
            row: row.clone(),
            entry: entry.clone(),
            end: end.clone(),
        })
    }

    pub(super) fn put_trace(&mut self, run_id: &RunId, before: Option<TraceRow>, after: TraceRow) {
        let new = NewTrace { row: after.clone(), entry: after.log_index, end: after.ended_by };
        self.hangs.insert(after.log_index, after.parent);
        self.traces.insert((run_id.clone(), after.id.clone()), new);
        self.changes.push(Change::Trace { before: before.map(Box::new), after: Box::new(after) });
    }

    pub(super) fn slot(&self, run_id: &RunId, id: &TraceId) -> Option<&SlotRow> {
        let at = (run_id.clone(), id.clone());
        self.slots.get(&at).or_else(|| self.found.slots.get(&at))
    }

    pub(super) fn put_slot(&mut self, run_id: &RunId, row: SlotRow) {
        self.changes.push(match row.filled_by {
            None => Change::SlotNamed(row.clone()),
            Some(_) => Change::SlotFilled(row.clone()),
        });
        self.filled.insert(row.named_by, row.filled_by);
        self.slots.insert((run_id.clone(), row.id.clone()), row);
    }

    /// The entry of a fact of an audit, by its id.
    pub(super) fn fact(&self, run_id: &RunId, kind: FactKind, id: &str) -> Option<&Entry> {
        let run_no = self.run(run_id)?.run_no;
        match self.fact_ids.get(&(run_no, kind, id.to_owned())) {
            Some(log_index) => self.new_entry(*log_index),
            None => self.found.audits.get(run_id)?.entries.get(&(kind, id.to_owned())),
        }
    }

    pub(super) fn put_fact(&mut self, row: FactRow) {
        if let Some(id) = row.id() {
            self.fact_ids.insert((row.run_no, row.kind(), id.to_owned()), row.log_index);
        }
        self.facts.push(row);
    }

    /// The facts of a run's audit as far as they were looked up, then those of this batch: each kind in order.
    pub(super) fn facts(&self, run_id: &RunId, run_no: u64) -> impl Iterator<Item = &FactRow> {
        let found = self.found.audits.get(run_id).into_iter().flat_map(|audit| &audit.facts);
        found.chain(self.facts.iter().filter(move |row| row.run_no == run_no))
    }

    /// Where an action stands; of one that nothing was said or expected of, nothing.
    pub(super) fn action(&self, run_id: &RunId, run_no: u64, domain: &str, action: &str) -> ActionRow {
        let at = (domain.to_owned(), action.to_owned());
        let found = self.found.audits.get(run_id).and_then(|audit| audit.actions.get(&at));
        let new = self.actions.get(&(run_no, at.0.clone(), at.1.clone()));
        new.or(found).cloned().unwrap_or_else(|| ActionRow {
            run_no,
            domain: at.0,
            action: at.1,
            fold: ActionFold::expecting(0),
            required: false,
            expected_at: None,
            said: 0,
        })
    }

    pub(super) fn put_action(&mut self, row: ActionRow) {
        self.actions.insert((row.run_no, row.domain.clone(), row.action.clone()), row);
    }

    /// Where the trace at `log_index` hangs, as far as was looked up.
    pub(super) fn hangs(&self, log_index: u64) -> Option<Slot> {
        self.hangs.get(&log_index).or_else(|| self.found.hangs.get(&log_index)).copied()
    }

    /// What filled the id that the entry `named_by` named: `None` where that is not known, `Some(None)` while missing.
    pub(super) fn filled(&self, named_by: u64) -> Option<Option<u64>> {
        self.filled.get(&named_by).or_else(|| self.found.filled.get(&named_by)).copied()
    }
}

pub(super) fn no_run() -> Error {
    Error::new(Code::RunNotFound, "no run of that id is recorded").at("/run_id")
}
