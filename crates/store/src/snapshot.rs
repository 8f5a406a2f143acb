//! What a backend can look up: the few ordered reads that plan, queries and trees are made of.

use std::borrow::Cow;

use tracekeep_core::TimeRange;
use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{BaselineName, ExportId, IncidentId, Key, LedgerId, RunId, TraceId};
use tracekeep_core::model::{Kind, RunStatus, TraceStatus};
use tracekeep_core::view::NameCount;

use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{IncidentIndex, Order, RunIndex};
use crate::rows::{
    ActionRow, BaselineRow, Entry, FactKind, FactRow, HoldPlace, HoldRow, Hung, IncidentRow, OwnedId, RunRow, Slot,
    SlotRow, StepRow, TraceEntry, TraceRow,
};
use crate::words::Words;

/// A place in an order by (time, log index).
pub type Position = (Timestamp, u64);

/// One attribute of traces that an index answers, within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceIndex<'a> {
    /// All of them.
    All,
    /// Those that hang at a place.
    At(Slot),
    /// Those of a type.
    Type(&'a str),
    /// Those with a tag.
    Tag(&'a str),
    /// Those that stand so.
    Status(TraceStatus),
}

/// One of the counters that are kept of a run's traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceCounter<'a> {
    /// Of a type.
    Type(&'a str),
    /// With a tag.
    Tag(&'a str),
    /// That stand so.
    Status(TraceStatus),
}

/// A stretch of an ordered index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Ascending or descending by (time, log index).
    pub order: Order,
    /// The times that are of interest.
    pub range: TimeRange,
    /// Starts after this position, in the direction of the order.
    pub after: Option<Position>,
    /// Rows at most.
    pub limit: u32,
}

/// One consistent view of a ledger: nothing in it changes while it is held.
///
/// # Contract
/// - Every method answers from one state, at [`Snapshot::size`] entries. A backend's writer sees its own uncommitted
///   rows, everybody else only what was committed.
/// - A method reads a number of rows proportional to what it returns, whatever the size of run and ledger.
/// - Order is total: (time, log index), as stored.
/// - An error is a failure of storage or a contradiction in what is stored, never "nothing there".
pub trait Snapshot {
    /// The ledger.
    fn ledger(&self) -> LedgerId;
    /// Entries in the log.
    fn size(&self) -> u64;
    /// The ledger's clock: the recorded_at of the latest entry.
    fn clock(&self) -> Result<Timestamp>;

    /// The first `width` hashes of a tile of the ledger's tree ([`tracekeep_core::merkle::TileReader`]).
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>>;
    /// An entry.
    fn entry(&self, log_index: u64) -> Result<Option<Entry>>;
    /// Entries from `from` on, at most `limit`, in order.
    fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>>;
    /// The same without their content, which is not read: they look erased.
    fn headers(&self, from: u64, limit: u32) -> Result<Vec<Entry>>;
    /// The log index of the entry of an idempotency key.
    fn key(&self, key: &Key) -> Result<Option<u64>>;
    /// How many entries of no run there are: the next seq of such an entry.
    fn unowned_entries(&self) -> Result<u64>;

    /// A run.
    fn run(&self, run_id: &RunId) -> Result<Option<RunRow>>;
    /// How many runs there are, of a status or in all: from kept counters.
    fn run_count(&self, status: Option<RunStatus>) -> Result<u64>;
    /// Runs in the order of an index: (started_at, run number), or of one over numbers (the number, run number). There a
    /// time of the stretch is the number of its nanoseconds.
    fn runs(&self, index: RunIndex<'_>, stretch: Stretch) -> Result<Vec<RunRow>>;
    /// Runs by number, from one on, at most `limit`.
    fn runs_from(&self, run_no: u64, limit: u32) -> Result<Vec<RunRow>>;
    /// The log index of the redaction that erased a run; `None` of a run that is there, or that never was.
    fn erased(&self, run_id: &RunId) -> Result<Option<u64>>;
    /// The log index of the redaction that took an entry's content: what is left of it stands there, unless the entry is
    /// itself a redaction, whose reason stands there. `None` where the content is there, or the run was erased.
    fn redacted_by(&self, log_index: u64) -> Result<Option<u64>>;
    /// The log indices of a run's seals, ascending, at most `limit`.
    fn seals(&self, run_no: u64, limit: u32) -> Result<Vec<u64>>;
    /// The latest fact on what may be held.
    fn hold(&self, place: &HoldPlace) -> Result<Option<HoldRow>>;
    /// What is held now, by log index, after one, at most `limit`.
    fn holds(&self, after: Option<u64>, limit: u32) -> Result<Vec<HoldRow>>;
    /// What a name stands for.
    fn baseline(&self, name: &BaselineName) -> Result<Option<BaselineRow>>;
    /// What names stand for, by log index, after one, at most `limit`.
    fn baselines(&self, after: Option<u64>, limit: u32) -> Result<Vec<BaselineRow>>;
    /// Whether a name stands for the run.
    fn is_baseline(&self, run_id: &RunId) -> Result<bool>;
    /// An incident.
    fn incident(&self, id: &IncidentId) -> Result<Option<IncidentRow>>;
    /// Incidents in the order of an index: (created_at, log index).
    fn incidents(&self, index: IncidentIndex, stretch: Stretch) -> Result<Vec<IncidentRow>>;
    /// The log index of the entry of an export.
    fn export(&self, id: &ExportId) -> Result<Option<u64>>;
    /// The ids of a run's incidents and exports, each with the log index of its entry, by that, at most `limit`.
    fn owned_ids(&self, run_no: u64, limit: u32) -> Result<Vec<(u64, OwnedId)>>;
    /// The log index of the redaction that erased the run to which an id belonged.
    fn erased_id(&self, id: &OwnedId) -> Result<Option<u64>>;
    /// The log index of the latest declaration of a key that signs.
    fn signing_key(&self) -> Result<Option<u64>>;
    /// The log indices of all of them, after one, at most `limit`.
    fn signing_keys(&self, after: Option<u64>, limit: u32) -> Result<Vec<u64>>;
    /// The entry that described a run under a topic.
    fn described(&self, run_no: u64, topic: &str) -> Result<Option<u64>>;

    /// A step.
    fn step(&self, run_no: u64, index: u32) -> Result<Option<StepRow>>;
    /// Steps with an index of at least `from`, by index, at most `limit`.
    fn steps(&self, run_no: u64, from: u32, limit: u32) -> Result<Vec<StepRow>>;

    /// A trace by its id. Its `tags` may be left empty, here and below: they stand in its body.
    fn trace(&self, run_no: u64, id: &TraceId) -> Result<Option<TraceRow>>;
    /// A trace by its log index.
    fn trace_at(&self, log_index: u64) -> Result<Option<TraceRow>>;
    /// Traces of one attribute by (occurred_at, log index).
    fn traces(&self, run_no: u64, index: TraceIndex<'_>, stretch: Stretch) -> Result<Vec<TraceRow>>;
    /// The same, each with its entry, handed to `take` one after the other until it says `false`: what is not taken is
    /// not read.
    fn trace_entries(
        &self,
        run_no: u64,
        index: TraceIndex<'_>,
        stretch: Stretch,
        take: &mut dyn FnMut(TraceEntry<'_>) -> Result<bool>,
    ) -> Result<()> {
        for row in self.traces(run_no, index, stretch)? {
            let entry = self.entry(row.log_index)?.filter(|entry| entry.kind == Kind::Trace);
            if !take(TraceEntry::of(&row, &entry.ok_or_else(|| nowhere(row.log_index))?))? {
                break;
            }
        }
        Ok(())
    }
    /// Where the traces at a place stand, by (occurred_at, log index).
    fn hung(&self, run_no: u64, slot: Slot, stretch: Stretch) -> Result<Vec<Hung>> {
        Ok(self.traces(run_no, TraceIndex::At(slot), stretch)?.iter().map(Hung::from).collect())
    }
    /// Hands a trace with its entry to `take`, and how many traces hang on it.
    fn trace_entry(&self, hung: Hung, take: &mut dyn FnMut(TraceEntry<'_>, u64) -> Result<()>) -> Result<()> {
        let wrong = || nowhere(hung.log_index);
        let row = self.trace_at(hung.log_index)?.ok_or_else(wrong)?;
        let entry = self.entry(hung.log_index)?.filter(|entry| entry.kind == Kind::Trace).ok_or_else(wrong)?;
        take(TraceEntry::of(&row, &entry), self.children(hung.run_no, hung.children)?)
    }
    /// Whether the trace at a position has a tag.
    fn has_tag(&self, run_no: u64, tag: &str, position: Position) -> Result<bool>;
    /// How many traces hang at a place.
    fn children(&self, run_no: u64, slot: Slot) -> Result<u64>;
    /// One of the counters.
    fn trace_count(&self, run_no: u64, counter: TraceCounter<'_>) -> Result<u64>;
    /// How many traces there are of each type, and with each tag: the first `limit` of either, sorted by name.
    fn trace_counts(&self, run_no: u64, limit: u32) -> Result<(Vec<NameCount>, Vec<NameCount>)>;

    /// Entries of the log whose traces the text index holds: it may lag behind [`Snapshot::size`].
    fn text_size(&self) -> Result<u64>;
    /// The log indices of traces whose text holds the words, at most `limit`, in no particular order.
    fn with_text(&self, run_no: u64, words: &Words, limit: u32) -> Result<Vec<u64>>;
    /// Whether the text of the trace with a log index holds the words.
    fn has_text(&self, run_no: u64, words: &Words, log_index: u64) -> Result<bool>;

    /// A named id, by the id.
    fn slot(&self, run_no: u64, id: &TraceId) -> Result<Option<SlotRow>>;
    /// A named id, by the log index of the first entry that named it.
    fn slot_at(&self, named_by: u64) -> Result<Option<SlotRow>>;
    /// Ids that are still missing, by (occurred_at, named_by), ascending, after a position, at most `limit`.
    fn missing(&self, run_no: u64, after: Option<Position>, limit: u32) -> Result<Vec<SlotRow>>;
    /// Named ids whose trace came with a log index of at least `from`, by that, at most `limit`.
    fn filled(&self, run_no: u64, from: u64, limit: u32) -> Result<Vec<SlotRow>>;

    /// The log index of a fact of a run's audit, by its id.
    fn fact(&self, run_no: u64, kind: FactKind, id: &str) -> Result<Option<u64>>;
    /// Facts of one kind with a log index of at least `from`, by log index, at most `limit`.
    fn facts(&self, run_no: u64, kind: FactKind, from: u64, limit: u32) -> Result<Vec<FactRow>>;
    /// Where an action stands.
    fn action(&self, run_no: u64, domain: &str, action: &str) -> Result<Option<ActionRow>>;
    /// Runs that wait for something ([`crate::rows::AuditState::waits`]), by (started_at, run number).
    fn waiting_runs(&self, stretch: Stretch) -> Result<Vec<RunRow>>;
    /// Telemetry with an `unsealed_at` before a time, by (that time, run number), at most `limit`.
    fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunRow>>;
    /// Runs with a `due` before a time, by (due, run number), at most `limit`.
    fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunRow>>;
}
