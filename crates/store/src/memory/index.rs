//! The rows of a ledger in maps and ordered sets.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use tracekeep_core::hash::Hash;
use tracekeep_core::id::{BaselineName, ExportId, IncidentId, Key, LedgerId, RunId, TraceId};
use tracekeep_core::merkle::{MemoryTiles, TileReader};
use tracekeep_core::model::{Kind, RunStatus, TraceStatus};
use tracekeep_core::view::NameCount;
use tracekeep_core::{TimeRange, Timestamp};

use super::incidents::Incidents;
use crate::error::Result;
use crate::plan::{Change, foretold, replay};
use crate::query::{IncidentIndex, Order, RunIndex};
use crate::rows::{
    ActionRow, BaselineRow, Entry, FactKind, FactRow, HoldPlace, HoldRow, IncidentRow, OwnedId, RunRow, Slot, SlotRow,
    StepRow, TraceRow,
};
use crate::snapshot::{Position, Snapshot, Stretch, TraceCounter, TraceIndex};
use crate::text::text_now;
use crate::words::Words;

/// One order of runs, owned: the key of an ordered index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RunAttribute {
    All,
    Status(RunStatus),
    Agent(String),
    Correlation(String),
    Parent(String),
    Tag(String),
    Plan(Hash),
    PlanSeed(Hash, i64),
    Seed(i64),
    Root(Hash),
    Behaviour(Hash),
    Cost,
    Duration,
}

/// One attribute of traces, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TraceAttribute {
    All,
    At(Slot),
    Type(String),
    Tag(String),
    Status(TraceStatus),
}

/// What is counted of a run's traces, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counter {
    Type(String),
    Tag(String),
    Status(TraceStatus),
}

impl From<TraceCounter<'_>> for Counter {
    fn from(counter: TraceCounter<'_>) -> Self {
        match counter {
            TraceCounter::Type(name) => Self::Type(name.to_owned()),
            TraceCounter::Tag(tag) => Self::Tag(tag.to_owned()),
            TraceCounter::Status(status) => Self::Status(status),
        }
    }
}

/// Everything that a ledger holds.
#[derive(Debug)]
pub(super) struct Index {
    ledger: LedgerId,
    log: Vec<Entry>,
    tiles: MemoryTiles,
    unowned_entries: u64,
    keys: HashMap<Key, u64>,
    run_nos: HashMap<RunId, u64>,
    runs: HashMap<u64, RunRow>,
    run_order: BTreeSet<(RunAttribute, Position)>,
    run_counts: BTreeMap<RunStatus, u64>,
    topics: HashMap<(u64, String), u64>,
    steps: BTreeMap<(u64, u32), StepRow>,
    trace_ids: HashMap<(u64, TraceId), u64>,
    traces: HashMap<u64, TraceRow>,
    trace_order: BTreeSet<(u64, TraceAttribute, Position)>,
    children: HashMap<(u64, Slot), u64>,
    counts: BTreeMap<(u64, Counter), u64>,
    slot_ids: HashMap<(u64, TraceId), u64>,
    slots: HashMap<u64, SlotRow>,
    /// By run and position.
    missing: BTreeSet<(u64, Position)>,
    /// By run: the trace that came, and the entry that named it.
    filled: BTreeSet<(u64, u64, u64)>,
    holds: HashMap<HoldPlace, HoldRow>,
    hold_order: BTreeMap<u64, HoldPlace>,
    baselines: HashMap<BaselineName, BaselineRow>,
    incidents: Incidents,
    /// The log indices of declared keys.
    signing_keys: Vec<u64>,
    /// The redactions of erased runs.
    erased: HashMap<RunId, u64>,
    /// Of entries whose content a redaction took: their run, and the redaction.
    withheld: BTreeMap<u64, (u64, u64)>,
    fact_ids: HashMap<(u64, FactKind, String), u64>,
    facts: BTreeMap<(u64, FactKind, u64), FactRow>,
    actions: HashMap<(u64, String, String), ActionRow>,
    /// Runs that wait for something, by (started_at, run number).
    waiting: BTreeSet<Position>,
    /// Telemetry that waits for a seal, by when something last came.
    unsealed: BTreeSet<Position>,
    /// Runs that something falls due of, by when.
    due: BTreeSet<Position>,
}

impl Index {
    pub(super) fn new(ledger: LedgerId) -> Self {
        Self {
            ledger,
            log: Vec::new(),
            tiles: MemoryTiles::new(),
            unowned_entries: 0,
            keys: HashMap::new(),
            run_nos: HashMap::new(),
            runs: HashMap::new(),
            run_order: BTreeSet::new(),
            run_counts: BTreeMap::new(),
            topics: HashMap::new(),
            steps: BTreeMap::new(),
            trace_ids: HashMap::new(),
            traces: HashMap::new(),
            trace_order: BTreeSet::new(),
            children: HashMap::new(),
            counts: BTreeMap::new(),
            slot_ids: HashMap::new(),
            slots: HashMap::new(),
            missing: BTreeSet::new(),
            filled: BTreeSet::new(),
            holds: HashMap::new(),
            hold_order: BTreeMap::new(),
            baselines: HashMap::new(),
            incidents: Incidents::default(),
            signing_keys: Vec::new(),
            erased: HashMap::new(),
            withheld: BTreeMap::new(),
            fact_ids: HashMap::new(),
            facts: BTreeMap::new(),
            actions: HashMap::new(),
            waiting: BTreeSet::new(),
            unsealed: BTreeSet::new(),
            due: BTreeSet::new(),
        }
    }

    /// The same ledger, made again from its log alone.
    pub(super) fn rebuilt(&self) -> Result<Self> {
        let mut again = Self { log: self.log.clone(), ..Self::new(self.ledger) };
        for entry in &self.log {
            // One that cannot be read is found in its place.
            if let Ok(Some(Change::Redacted { run_no, log_index, entries, .. })) = foretold(entry) {
                again.withhold(run_no, log_index, &entries);
            }
        }
        for entry in &self.log {
            let changes = replay(entry, &again)?.changes;
            again.count_in(entry, entry.leaf(self.ledger).hash());
            changes.into_iter().for_each(|change| again.apply(change));
        }
        Ok(again)
    }

    /// The names of the maps in which two ledgers differ.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let maps = [
            ("key", self.keys == other.keys && self.unowned_entries == other.unowned_entries),
            (
                "run",
                self.run_nos == other.run_nos
                    && self.runs == other.runs
                    && self.run_order == other.run_order
                    && self.waiting == other.waiting
                    && self.unsealed == other.unsealed
                    && self.due == other.due,
            ),
            ("run_count", self.run_counts == other.run_counts),
            ("topic", self.topics == other.topics),
            ("step", self.steps == other.steps),
            (
                "trace",
                self.trace_ids == other.trace_ids
                    && self.traces == other.traces
                    && self.trace_order == other.trace_order,
            ),
            ("child_count", self.children == other.children),
            ("trace_count", self.counts == other.counts),
            (
                "slot",
                self.slot_ids == other.slot_ids
                    && self.slots == other.slots
                    && self.missing == other.missing
                    && self.filled == other.filled,
            ),
            ("baseline", self.baselines == other.baselines),
            ("hold", self.holds == other.holds && self.hold_order == other.hold_order),
            ("erased_run", self.erased == other.erased),
            ("withheld", self.withheld == other.withheld),
            ("audit_fact", self.facts == other.facts && self.fact_ids == other.fact_ids),
            ("audit_action", self.actions == other.actions),
        ];
        maps.into_iter()
            .chain(self.incidents.differences(&other.incidents))
            .filter(|(_, same)| !same)
            .map(|(name, _)| name)
            .collect()
    }

    pub(super) fn append(&mut self, entry: Entry, leaf: Hash) {
        self.count_in(&entry, leaf);
        self.log.push(entry);
    }

    fn count_in(&mut self, entry: &Entry, leaf: Hash) {
        self.unowned_entries += u64::from(entry.run.is_none());
        if entry.kind == Kind::SigningKey {
            self.signing_keys.push(entry.log_index);
        }
        self.tiles.push(leaf);
    }

    fn withhold(&mut self, run_no: u64, redaction: u64, entries: &[u64]) {
        self.withheld.extend(entries.iter().map(|log_index| (*log_index, (run_no, redaction))));
    }

    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Run(row) => self.put_run(*row),
            Change::Step(row) | Change::StepLeaves(row) => {
                self.steps.insert((row.run_no, row.index), row);
            }
            Change::Trace { before, after } => self.put_trace(before.as_deref(), *after),
            Change::SlotNamed(row) | Change::SlotFilled(row) => {
                let at = (row.run_no, (row.occurred_at, row.named_by));
                match row.filled_by {
                    Some(filled_by) => {
                        self.missing.remove(&at);
                        self.filled.insert((row.run_no, filled_by, row.named_by));
                    }
                    None => drop(self.missing.insert(at)),
                }
                self.slot_ids.insert((row.run_no, row.id.clone()), row.named_by);
                self.slots.insert(row.named_by, row);
            }
            Change::Described { run_no, topic, log_index } => {
                self.topics.insert((run_no, topic), log_index);
            }
            Change::Fact(row) => {
                if let Some(id) = row.id() {
                    self.fact_ids.insert((row.run_no, row.kind(), id.to_owned()), row.log_index);
                }
                self.facts.insert((row.run_no, row.kind(), row.log_index), row);
            }
            Change::Action(row) => {
                self.actions.insert((row.run_no, row.domain.clone(), row.action.clone()), row);
            }
            Change::Hold(row) => {
                if let Some(before) = self.holds.get(&row.place) {
                    self.hold_order.remove(&before.log_index);
                }
                if row.held {
                    self.hold_order.insert(row.log_index, row.place.clone());
                }
                self.holds.insert(row.place.clone(), row);
            }
            Change::Baseline(row) => {
                self.baselines.insert(row.name.clone(), row);
            }
            Change::Incident(row) => self.incidents.put(row),
            Change::Export(row) => self.incidents.put_export(row),
            Change::Erased { run_no, run_id, log_index, ids, .. } => {
                self.erase(run_no, &run_id);
                let entries = self.log.iter_mut().skip(place(run_no)).take(place(log_index - run_no));
                let own = entries.filter(|entry| entry.run.as_ref().is_some_and(|(own, _)| *own == run_no));
                own.for_each(|entry| entry.content = None);
                self.erased.insert(run_id, log_index);
                self.incidents.put_erased(ids, log_index);
            }
            Change::Redacted { run_no, log_index, entries, .. } => {
                for taken in &entries {
                    if let Some(entry) = self.log.get_mut(place(*taken)) {
                        entry.content = None;
                    }
                }
                self.withhold(run_no, log_index, &entries);
            }
            Change::Key { key, log_index } => {
                self.keys.insert(key, log_index);
            }
        }
    }

    /// Takes every row of a run away.
    fn erase(&mut self, run_no: u64, run_id: &RunId) {
        if let Some(before) = self.runs.remove(&run_no) {
            for place in run_places(&before) {
                self.run_order.remove(&place);
            }
            self.run_counts.entry(before.status).and_modify(|count| *count -= 1);
            self.run_counts.retain(|_, count| *count > 0);
            self.unwatch(&before);
        }
        self.run_nos.remove(run_id);
        if let Some(hold) = self.holds.remove(&HoldPlace::Run(run_no)) {
            self.hold_order.remove(&hold.log_index);
        }
        self.incidents.erase(run_no);
        self.topics.retain(|(own, _), _| *own != run_no);
        self.steps.retain(|(own, _), _| *own != run_no);
        self.trace_ids.retain(|(own, _), _| *own != run_no);
        self.traces.retain(|_, row| row.run_no != run_no);
        self.trace_order.retain(|(own, _, _)| *own != run_no);
        self.children.retain(|(own, _), _| *own != run_no);
        self.counts.retain(|(own, _), _| *own != run_no);
        self.slot_ids.retain(|(own, _), _| *own != run_no);
        self.slots.retain(|_, row| row.run_no != run_no);
        self.missing.retain(|(own, _)| *own != run_no);
        self.filled.retain(|(own, ..)| *own != run_no);
        self.fact_ids.retain(|(own, _, _), _| *own != run_no);
        self.facts.retain(|(own, _, _), _| *own != run_no);
        self.actions.retain(|(own, _, _), _| *own != run_no);
        self.withheld.retain(|_, (own, _)| *own != run_no);
    }

    /// Takes a run out of those that wait for something, or for a seal, and of those that something falls due of.
    fn unwatch(&mut self, row: &RunRow) {
        self.waiting.remove(&(row.started_at, row.run_no));
        if let Some(at) = row.unsealed_at {
            self.unsealed.remove(&(at, row.run_no));
        }
        if let Some(due) = row.audit.due {
            self.due.remove(&(due, row.run_no));
        }
    }

    fn put_run(&mut self, row: RunRow) {
        if let Some(before) = self.runs.get(&row.run_no) {
            for place in run_places(before) {
                self.run_order.remove(&place);
            }
            let before = before.clone();
            self.unwatch(&before);
            self.run_counts.entry(before.status).and_modify(|count| *count -= 1);
            self.run_counts.retain(|_, count| *count > 0);
        }
        self.run_order.extend(run_places(&row));
        *self.run_counts.entry(row.status).or_default() += 1;
        if row.audit.waits() {
            self.waiting.insert((row.started_at, row.run_no));
        }
        self.unsealed.extend(row.unsealed_at.map(|at| (at, row.run_no)));
        self.due.extend(row.audit.due.map(|due| (due, row.run_no)));
        self.run_nos.insert(row.run_id.clone(), row.run_no);
        self.runs.insert(row.run_no, row);
    }

    fn put_trace(&mut self, before: Option<&TraceRow>, after: TraceRow) {
        let (run_no, at) = (after.run_no, (after.occurred_at, after.log_index));
        match before {
            Some(before) => {
                for attribute in trace_attributes(before) {
                    self.trace_order.remove(&(run_no, attribute, at));
                }
                self.count(before, false);
            }
            None => *self.children.entry((run_no, after.parent)).or_default() += 1,
        }
        for attribute in trace_attributes(&after) {
            self.trace_order.insert((run_no, attribute, at));
        }
        self.count(&after, true);
        self.trace_ids.insert((run_no, after.id.clone()), after.log_index);
        self.traces.insert(after.log_index, after);
    }

    /// Counts a trace in, or out, of the counters of its type and its tags.
    fn count(&mut self, row: &TraceRow, more: bool) {
        let counters = [Counter::Type(row.type_name.clone()), Counter::Status(row.status)];
        for counter in counters.into_iter().chain(row.tags.iter().cloned().map(Counter::Tag)) {
            let at = (row.run_no, counter);
            let count = self.counts.entry(at.clone()).or_default();
            *count = if more { *count + 1 } else { *count - 1 };
            if *count == 0 {
                self.counts.remove(&at);
            }
        }
    }
}

/// Where a run stands in the ordered index.
fn run_places(row: &RunRow) -> Vec<(RunAttribute, Position)> {
    let mut attributes = vec![RunAttribute::All, RunAttribute::Status(row.status)];
    attributes.extend(row.agent_id.clone().map(RunAttribute::Agent));
    attributes.extend(row.correlation_id.as_ref().map(|id| RunAttribute::Correlation(id.to_string())));
    attributes.extend(row.parent_run_id.as_ref().map(|id| RunAttribute::Parent(id.to_string())));
    attributes.extend(row.tags.iter().cloned().map(RunAttribute::Tag));
    attributes.extend(row.plan_hash.map(RunAttribute::Plan));
    attributes.extend(row.plan_hash.zip(row.seed).map(|(hash, seed)| RunAttribute::PlanSeed(hash, seed)));
    attributes.extend(row.seed.map(RunAttribute::Seed));
    attributes.extend(row.root_hash.map(RunAttribute::Root));
    attributes.extend(row.behaviour_hash.map(RunAttribute::Behaviour));
    let by_start = attributes.into_iter().map(|attribute| (attribute, (row.started_at, row.run_no)));
    let by_number = row.sealed_totals.iter().flat_map(|sealed| {
        let at = |number| (Timestamp::from_nanos(number), row.run_no);
        [(RunAttribute::Cost, at(sealed.cost_micro_cents)), (RunAttribute::Duration, at(sealed.duration_ns))]
    });
    by_start.chain(by_number).collect()
}

fn trace_attributes(row: &TraceRow) -> Vec<TraceAttribute> {
    let mut attributes =
        vec![TraceAttribute::All, TraceAttribute::At(row.parent), TraceAttribute::Type(row.type_name.clone())];
    attributes.extend(row.tags.iter().cloned().map(TraceAttribute::Tag));
    attributes.push(TraceAttribute::Status(row.status));
    attributes
}

impl From<RunIndex<'_>> for RunAttribute {
    fn from(index: RunIndex<'_>) -> Self {
        match index {
            RunIndex::All => Self::All,
            RunIndex::Status(status) => Self::Status(status),
            RunIndex::Agent(agent) => Self::Agent(agent.to_owned()),
            RunIndex::Correlation(id) => Self::Correlation(id.to_owned()),
            RunIndex::Parent(id) => Self::Parent(id.to_owned()),
            RunIndex::Tag(tag) => Self::Tag(tag.to_owned()),
            RunIndex::Plan(hash) => Self::Plan(hash),
            RunIndex::PlanSeed(hash, seed) => Self::PlanSeed(hash, seed),
            RunIndex::Seed(seed) => Self::Seed(seed),
            RunIndex::Root(hash) => Self::Root(hash),
            RunIndex::Behaviour(hash) => Self::Behaviour(hash),
            RunIndex::Cost => Self::Cost,
            RunIndex::Duration => Self::Duration,
        }
    }
}

impl From<TraceIndex<'_>> for TraceAttribute {
    fn from(index: TraceIndex<'_>) -> Self {
        match index {
            TraceIndex::All => Self::All,
            TraceIndex::At(slot) => Self::At(slot),
            TraceIndex::Type(name) => Self::Type(name.to_owned()),
            TraceIndex::Tag(tag) => Self::Tag(tag.to_owned()),
            TraceIndex::Status(status) => Self::Status(status),
        }
    }
}

const FIRST: Position = (Timestamp::MIN, 0);
const LAST: Position = (Timestamp::MAX, u64::MAX);

/// A stretch of an ordered set, as positions.
pub(super) fn stretch<T: Ord>(
    set: &BTreeSet<T>,
    stretch: Stretch,
    key: impl Fn(Position) -> T,
    at: impl Fn(&T) -> Position,
) -> Vec<Position> {
    let (limit, range) = (stretch.limit as usize, stretch.range);
    let (first, last) = ((range.first(), 0), (range.last(), u64::MAX));
    let (mut from, mut to) = (Bound::Included(first), Bound::Included(last));
    match (stretch.order, stretch.after) {
        (_, None) => {}
        (Order::Oldest, Some(after)) if after >= first => from = Bound::Excluded(after),
        (Order::Newest, Some(after)) if after <= last => to = Bound::Excluded(after),
        _ => {}
    }
    let nothing = match (from, to) {
        (Bound::Excluded(from), Bound::Included(to)) | (Bound::Included(from), Bound::Excluded(to)) => from >= to,
        _ => first > last,
    };
    if nothing {
        return Vec::new();
    }
    let rows = set.range((from.map(&key), to.map(&key)));
    match stretch.order {
        Order::Oldest => rows.take(limit).map(at).collect(),
        Order::Newest => rows.rev().take(limit).map(at).collect(),
    }
}

fn place(log_index: u64) -> usize {
    usize::try_from(log_index).unwrap_or(usize::MAX)
}

impl Snapshot for Index {
    fn ledger(&self) -> LedgerId {
        self.ledger
    }

    fn size(&self) -> u64 {
        self.log.len() as u64
    }

    fn clock(&self) -> Result<Timestamp> {
        Ok(self.log.last().map_or(Timestamp::MIN, |entry| entry.recorded_at))
    }

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>> {
        match self.tiles.tile(level, index, width) {
            Ok(hashes) => Ok(hashes),
            Err(never) => match never {},
        }
    }

    fn entry(&self, log_index: u64) -> Result<Option<Entry>> {
        Ok(self.log.get(place(log_index)).cloned())
    }

    fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>> {
        Ok(self.log.iter().skip(place(from)).take(limit as usize).cloned().collect())
    }

    fn headers(&self, from: u64, limit: u32) -> Result<Vec<Entry>> {
        let mut entries = self.entries(from, limit)?;
        entries.iter_mut().for_each(|entry| entry.content = None);
        Ok(entries)
    }

    fn key(&self, key: &Key) -> Result<Option<u64>> {
        Ok(self.keys.get(key).copied())
    }

    fn unowned_entries(&self) -> Result<u64> {
        Ok(self.unowned_entries)
    }

    fn run(&self, run_id: &RunId) -> Result<Option<RunRow>> {
        Ok(self.run_nos.get(run_id).and_then(|run_no| self.runs.get(run_no)).cloned())
    }

    fn run_count(&self, status: Option<RunStatus>) -> Result<u64> {
        let counts = self.run_counts.iter().filter(|(counted, _)| status.is_none_or(|status| status == **counted));
        Ok(counts.map(|(_, count)| count).sum())
    }

    fn runs(&self, index: RunIndex<'_>, wanted: Stretch) -> Result<Vec<RunRow>> {
        let attribute = RunAttribute::from(index);
        let positions = stretch(&self.run_order, wanted, |at| (attribute.clone(), at), |(_, at)| *at);
        Ok(positions.into_iter().filter_map(|(_, run_no)| self.runs.get(&run_no).cloned()).collect())
    }

    fn runs_from(&self, run_no: u64, limit: u32) -> Result<Vec<RunRow>> {
        let mut numbers: Vec<_> = self.runs.keys().copied().filter(|number| *number >= run_no).collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().take(limit as usize).filter_map(|number| self.runs.get(&number).cloned()).collect())
    }

    fn erased(&self, run_id: &RunId) -> Result<Option<u64>> {
        Ok(self.erased.get(run_id).copied())
    }

    fn redacted_by(&self, log_index: u64) -> Result<Option<u64>> {
        Ok(self.withheld.get(&log_index).map(|(_, redaction)| *redaction))
    }

    fn seals(&self, run_no: u64, limit: u32) -> Result<Vec<u64>> {
        let own = |entry: &&Entry| entry.run.as_ref().is_some_and(|(own, _)| *own == run_no);
        let seals = self.log.iter().filter(own).filter(|entry| entry.kind == Kind::Sealed);
        Ok(seals.take(limit as usize).map(|entry| entry.log_index).collect())
    }

    fn hold(&self, place: &HoldPlace) -> Result<Option<HoldRow>> {
        Ok(self.holds.get(place).cloned())
    }

    fn holds(&self, after: Option<u64>, limit: u32) -> Result<Vec<HoldRow>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self.hold_order.range((from, Bound::Unbounded)).take(limit as usize);
        Ok(places.filter_map(|(_, place)| self.holds.get(place)).cloned().collect())
    }

    fn baseline(&self, name: &BaselineName) -> Result<Option<BaselineRow>> {
        Ok(self.baselines.get(name).cloned())
    }

    fn baselines(&self, after: Option<u64>, limit: u32) -> Result<Vec<BaselineRow>> {
        let mut rows: Vec<_> = self.baselines.values().filter(|row| Some(row.log_index) > after).cloned().collect();
        rows.sort_unstable_by_key(|row| row.log_index);
        rows.truncate(limit as usize);
        Ok(rows)
    }

    fn signing_key(&self) -> Result<Option<u64>> {
        Ok(self.signing_keys.last().copied())
    }

    fn signing_keys(&self, after: Option<u64>, limit: u32) -> Result<Vec<u64>> {
        let later = self.signing_keys.iter().copied().filter(|log_index| Some(*log_index) > after);
        Ok(later.take(limit as usize).collect())
    }

    fn is_baseline(&self, run_id: &RunId) -> Result<bool> {
        Ok(self.baselines.values().any(|row| row.run_id == *run_id))
    }

    fn incident(&self, id: &IncidentId) -> Result<Option<IncidentRow>> {
        Ok(self.incidents.get(id))
    }

    fn incidents(&self, index: IncidentIndex, wanted: Stretch) -> Result<Vec<IncidentRow>> {
        Ok(self.incidents.list(index, wanted))
    }

    fn export(&self, id: &ExportId) -> Result<Option<u64>> {
        Ok(self.incidents.export(id))
    }

    fn owned_ids(&self, run_no: u64, limit: u32) -> Result<Vec<(u64, OwnedId)>> {
        Ok(self.incidents.owned_ids(run_no, limit))
    }

    fn erased_id(&self, id: &OwnedId) -> Result<Option<u64>> {
        Ok(self.incidents.erased_id(id))
    }

    fn described(&self, run_no: u64, topic: &str) -> Result<Option<u64>> {
        Ok(self.topics.get(&(run_no, topic.to_owned())).copied())
    }

    fn step(&self, run_no: u64, index: u32) -> Result<Option<StepRow>> {
        Ok(self.steps.get(&(run_no, index)).copied())
    }

    fn steps(&self, run_no: u64, from: u32, limit: u32) -> Result<Vec<StepRow>> {
        let rows = self.steps.range((run_no, from)..=(run_no, u32::MAX));
        Ok(rows.take(limit as usize).map(|(_, row)| *row).collect())
    }

    fn trace(&self, run_no: u64, id: &TraceId) -> Result<Option<TraceRow>> {
        let log_index = self.trace_ids.get(&(run_no, id.clone()));
        Ok(log_index.and_then(|log_index| self.traces.get(log_index)).cloned())
    }

    fn trace_at(&self, log_index: u64) -> Result<Option<TraceRow>> {
        Ok(self.traces.get(&log_index).cloned())
    }

    fn traces(&self, run_no: u64, index: TraceIndex<'_>, wanted: Stretch) -> Result<Vec<TraceRow>> {
        let attribute = TraceAttribute::from(index);
        let positions = stretch(&self.trace_order, wanted, |at| (run_no, attribute.clone(), at), |(_, _, at)| *at);
        Ok(positions.into_iter().filter_map(|(_, log_index)| self.traces.get(&log_index).cloned()).collect())
    }

    fn has_tag(&self, run_no: u64, tag: &str, position: Position) -> Result<bool> {
        Ok(self.trace_order.contains(&(run_no, TraceAttribute::Tag(tag.to_owned()), position)))
    }

    fn children(&self, run_no: u64, slot: Slot) -> Result<u64> {
        Ok(self.children.get(&(run_no, slot)).copied().unwrap_or(0))
    }

    fn trace_count(&self, run_no: u64, counter: TraceCounter<'_>) -> Result<u64> {
        Ok(self.counts.get(&(run_no, counter.into())).copied().unwrap_or(0))
    }

    fn trace_counts(&self, run_no: u64, limit: u32) -> Result<(Vec<NameCount>, Vec<NameCount>)> {
        let first = (run_no, Counter::Type(String::new()));
        let (mut types, mut tags) = (Vec::new(), Vec::new());
        for ((_, counter), count) in self.counts.range(first..).take_while(|((run, _), _)| *run == run_no) {
            let (names, name) = match counter {
                Counter::Type(name) => (&mut types, name),
                Counter::Tag(name) => (&mut tags, name),
                Counter::Status(_) => continue,
            };
            if names.len() < limit as usize {
                names.push(NameCount { name: name.clone(), count: *count });
            }
        }
        Ok((types, tags))
    }

    fn text_size(&self) -> Result<u64> {
        Ok(self.size())
    }

    fn with_text(&self, run_no: u64, words: &Words, limit: u32) -> Result<Vec<u64>> {
        let all = Stretch { order: Order::Oldest, range: TimeRange::ALL, after: None, limit: u32::MAX };
        let mut found = Vec::new();
        for row in self.traces(run_no, TraceIndex::All, all)? {
            if found.len() < limit as usize && words.are_in(&text_now(self, &row)?) {
                found.push(row.log_index);
            }
        }
        Ok(found)
    }

    fn has_text(&self, _: u64, words: &Words, log_index: u64) -> Result<bool> {
        self.traces.get(&log_index).map_or(Ok(false), |row| Ok(words.are_in(&text_now(self, row)?)))
    }

    fn slot(&self, run_no: u64, id: &TraceId) -> Result<Option<SlotRow>> {
        let named_by = self.slot_ids.get(&(run_no, id.clone()));
        Ok(named_by.and_then(|named_by| self.slots.get(named_by)).cloned())
    }

    fn slot_at(&self, named_by: u64) -> Result<Option<SlotRow>> {
        Ok(self.slots.get(&named_by).cloned())
    }

    fn missing(&self, run_no: u64, after: Option<Position>, limit: u32) -> Result<Vec<SlotRow>> {
        let from = after.map_or(Bound::Included((run_no, FIRST)), |after| Bound::Excluded((run_no, after)));
        let slots = self.missing.range((from, Bound::Included((run_no, LAST)))).take(limit as usize);
        Ok(slots.filter_map(|(_, (_, named_by))| self.slots.get(named_by)).cloned().collect())
    }

    fn filled(&self, run_no: u64, from: u64, limit: u32) -> Result<Vec<SlotRow>> {
        let slots = self.filled.range((run_no, from, 0)..=(run_no, u64::MAX, u64::MAX)).take(limit as usize);
        Ok(slots.filter_map(|(.., named_by)| self.slots.get(named_by)).cloned().collect())
    }

    fn fact(&self, run_no: u64, kind: FactKind, id: &str) -> Result<Option<u64>> {
        Ok(self.fact_ids.get(&(run_no, kind, id.to_owned())).copied())
    }

    fn facts(&self, run_no: u64, kind: FactKind, from: u64, limit: u32) -> Result<Vec<FactRow>> {
        let rows = self.facts.range((run_no, kind, from)..=(run_no, kind, u64::MAX));
        Ok(rows.take(limit as usize).map(|(_, row)| row.clone()).collect())
    }

    fn action(&self, run_no: u64, domain: &str, action: &str) -> Result<Option<ActionRow>> {
        Ok(self.actions.get(&(run_no, domain.to_owned(), action.to_owned())).cloned())
    }

    fn waiting_runs(&self, wanted: Stretch) -> Result<Vec<RunRow>> {
        let positions = stretch(&self.waiting, wanted, |at| at, |at| *at);
        Ok(positions.into_iter().filter_map(|(_, run_no)| self.runs.get(&run_no).cloned()).collect())
    }

    fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunRow>> {
        let rows = self.unsealed.range(..(before, 0)).take(limit as usize);
        Ok(rows.filter_map(|(_, run_no)| self.runs.get(run_no)).cloned().collect())
    }

    fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunRow>> {
        let rows = self.due.range(..(before, 0)).take(limit as usize);
        Ok(rows.filter_map(|(_, run_no)| self.runs.get(run_no).cloned()).collect())
    }
}
