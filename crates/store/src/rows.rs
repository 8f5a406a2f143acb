//! Rows: what a backend keeps of the log and of the indices over it.
//!
//! Every backend holds the same rows in its own way; `plan` says which to write, [`crate::Snapshot`] how they are read.

use std::sync::Arc;

use tracekeep_audit::{ActionFold, Event, ExpectationFact, Said};
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::id::{BaselineName, CorrelationId, ExportId, IncidentId, LedgerId, RunId, TraceId};
use tracekeep_core::merkle::Frontier;
use tracekeep_core::model::{IncidentStatus, Kind, Op, RunStatus, Severity, Source, TraceStatus};
use tracekeep_core::seal::{Fold, StepLeaves, Totals};
use tracekeep_core::{Invalid, Leaf, Timestamp};

/// One entry of the log: the record itself. Everything else can be rebuilt from these.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in the ledger, from 0.
    pub log_index: u64,
    /// The run's number (the log index of the run's first entry) and id; `None` for an entry of no run.
    pub run: Option<(u64, RunId)>,
    /// Its place among the run's entries (or among those of no run), from 0.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
    /// The ledger's clock.
    pub recorded_at: Timestamp,
    /// The commitment to the body; it outlives an erasure.
    pub commit: Hash,
    /// Entries that follow in the same batch: a batch ends at log_index + after + 1.
    pub after: u32,
    /// Body and salt; `None` where they were erased.
    pub content: Option<(Body, Salt)>,
}

impl Entry {
    /// The leaf that the tree is over.
    #[must_use]
    pub fn leaf(&self, ledger: LedgerId) -> Leaf<'_> {
        Leaf {
            ledger,
            run: self.run.as_ref().map_or("", |(_, id)| id.as_str()),
            seq: self.seq,
            kind: self.kind.as_str(),
            recorded_at: self.recorded_at,
            commit: self.commit,
        }
    }

    /// The recorded body's text, unless it was erased.
    #[must_use]
    pub fn body(&self) -> Option<&Arc<str>> {
        self.content.as_ref().map(|(body, _)| body.text())
    }

    /// The op that it records, read back; `None` where it was erased.
    ///
    /// # Errors
    /// Where the body is not one that this version wrote.
    pub fn op(&self) -> Result<Option<Op>, Invalid> {
        self.body().map(|body| Op::recorded(self.kind, body)).transpose()
    }

    /// The size of the tree that the entry's batch left.
    #[must_use]
    pub fn batch_end(&self) -> u64 {
        self.log_index + u64::from(self.after) + 1
    }
}

/// What is kept of a run: what `plan` needs to go on, and what lists are sorted and filtered by.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// The log index of the run's first entry: its number.
    pub run_no: u64,
    /// Its id.
    pub run_id: RunId,
    /// The door it came in by.
    pub source: Source,
    /// The order of lists: started_at as first recorded.
    pub started_at: Timestamp,
    /// Where it stands.
    pub status: RunStatus,
    /// Who runs: as the start states, else the description that a reader takes.
    pub agent_id: Option<String>,
    /// What ties it to others.
    pub correlation_id: Option<CorrelationId>,
    /// The run that it is part of.
    pub parent_run_id: Option<RunId>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The seed.
    pub seed: Option<i64>,
    /// The hash of the plan.
    pub plan_hash: Option<Hash>,
    /// Of the latest seal.
    pub behaviour_hash: Option<Hash>,
    /// Of the latest seal.
    pub root_hash: Option<Hash>,
    /// Entries so far: the next seq.
    pub entries: u64,
    /// Steps so far.
    pub steps: u64,
    /// Traces so far.
    pub traces: u64,
    /// Seals so far.
    pub seals: u64,
    /// The latest seal's log index.
    pub sealed_by: Option<u64>,
    /// The log index of the entry that completed the run by a caller's word.
    pub completed_by: Option<u64>,
    /// The log index of the description under topic `root`, else of the earliest.
    pub described_by: Option<u64>,
    /// Whether that one is topic `root`.
    pub described_by_root: bool,
    /// Of telemetry: when its root span ended.
    pub root_ended_at: Option<Timestamp>,
    /// Of telemetry whose root span has ended: when something last came that no seal covers.
    pub unsealed_at: Option<Timestamp>,
    /// What the steps add up to.
    pub totals: Totals,
    /// What they added up to at the first seal. It stays, so that no run moves in a list that is sorted by it.
    pub sealed_totals: Option<SealedTotals>,
    /// The contiguous prefix of steps, folded; none where the run's hashes are withheld.
    pub fold: Fold,
    /// Whether a step's member that the run's hashes are over was withheld: it has none from then on.
    pub hashes_withheld: bool,
    /// The run's own tree.
    pub tree: Frontier,
    /// Its audit.
    pub audit: AuditState,
    /// Its incidents.
    pub incidents: IncidentState,
}

/// What is kept of a run's incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncidentState {
    /// The entry of the first one: what it says is what the run violated, unless its completion says it.
    pub first: Option<u64>,
    /// How many are open: while there is one, the run is not let go of.
    pub open: u64,
    /// How many there are, its own exports included: at most [`tracekeep_core::limits::EVIDENCE_MAX`].
    pub named: u64,
}

/// An id that is looked for in the whole ledger, of something that belongs to a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnedId {
    /// Of an incident.
    Incident(IncidentId),
    /// Of an export.
    Export(ExportId),
}

/// What is kept of a run's audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditState {
    /// Expectations so far.
    pub expectations: u32,
    /// Acknowledgements so far, statuses set by hand included.
    pub acks: u32,
    /// Actions that are expected and not met; those that may stay undone do not count.
    pub open: u32,
    /// When what is overdue is next to be looked for: once the clock is past it.
    pub due: Option<Timestamp>,
    /// The entry that cleared the audit, unless something was expected since.
    pub cleared_by: Option<u64>,
    /// The entry of the latest verdict, be it a seal.
    pub verdict_by: Option<u64>,
    /// Whether that one said that something is still to be done.
    pub is_pending: bool,
}

impl AuditState {
    /// Whether there is nothing to reconcile.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.expectations == 0 && self.acks == 0
    }

    /// Whether the run waits for something that is neither acknowledged nor cleared.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.open > 0 && self.cleared_by.is_none()
    }
}

/// What an entry of a run's audit is, as far as it has an id or is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    /// Something that must happen.
    Expectation,
    /// Word of what did.
    Ack,
    /// A status set by hand.
    Status,
}

/// A fact of a run's audit: all that a verdict looks at, so that no body is read for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactRow {
    /// The run.
    pub run_no: u64,
    /// The entry.
    pub log_index: u64,
    /// What it says.
    pub fact: Fact,
}

/// What a fact of a run's audit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Something must happen.
    Expected(ExpectationFact),
    /// Something was said to have happened.
    Said(Event),
}

impl FactRow {
    /// What kind of fact it is.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match &self.fact {
            Fact::Expected(_) => FactKind::Expectation,
            Fact::Said(Event { said: Said::Ack { .. }, .. }) => FactKind::Ack,
            Fact::Said(Event { said: Said::ByHand(_), .. }) => FactKind::Status,
        }
    }

    /// Its id; a status set by hand has none.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match &self.fact {
            Fact::Expected(expectation) => Some(expectation.id.as_str()),
            Fact::Said(Event { said: Said::Ack { id, .. }, .. }) => Some(id.as_str()),
            Fact::Said(_) => None,
        }
    }

    /// The part of the system, and what it does.
    #[must_use]
    pub fn action(&self) -> (&str, &str) {
        match &self.fact {
            Fact::Expected(ExpectationFact { domain, action, .. }) | Fact::Said(Event { domain, action, .. }) => {
                (domain, action)
            }
        }
    }
}

/// Where one action of a run stands, so that an acknowledgement need not read what was said before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    /// The run.
    pub run_no: u64,
    /// The part of the system.
    pub domain: String,
    /// What it does.
    pub action: String,
    /// What was said of it.
    pub fold: ActionFold,
    /// Whether anything that is expected of it may not stay undone.
    pub required: bool,
    /// When it was first expected.
    pub expected_at: Option<Timestamp>,
    /// Words said of it, drift included.
    pub said: u32,
}

impl ActionRow {
    /// Whether it keeps its run waiting.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.required && !self.fold.is_met()
    }
}

/// What runs can be sorted by once they are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedTotals {
    /// Micro-cents.
    pub cost_micro_cents: i64,
    /// Nanoseconds.
    pub duration_ns: i64,
}

impl From<Totals> for SealedTotals {
    fn from(totals: Totals) -> Self {
        Self { cost_micro_cents: totals.cost_micro_cents, duration_ns: totals.duration_ns }
    }
}

/// What a hold is on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldPlace {
    /// The run of this number.
    Run(u64),
    /// Every run with the tag.
    Tag(String),
}

/// The latest fact on what was ever held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRow {
    /// What it is on.
    pub place: HoldPlace,
    /// The entry that says so.
    pub log_index: u64,
    /// Whether it is held.
    pub held: bool,
}

/// What is kept of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentRow {
    /// Its id.
    pub incident_id: IncidentId,
    /// The entry that opened it.
    pub log_index: u64,
    /// The run that caused it.
    pub run_no: Option<u64>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Where it stands.
    pub status: IncidentStatus,
    /// When it was opened.
    pub created_at: Timestamp,
    /// The entry that says how it ended.
    pub resolved_by: Option<u64>,
}

/// What is kept of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRow {
    /// Its id.
    pub export_id: ExportId,
    /// Its entry.
    pub log_index: u64,
    /// The run that the entry is of.
    pub run_no: Option<u64>,
}

/// The latest fact on a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineRow {
    /// The name.
    pub name: BaselineName,
    /// The run that it stands for. It may have been erased since.
    pub run_id: RunId,
    /// The entry that says so.
    pub log_index: u64,
}

/// What is kept of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// The run.
    pub run_no: u64,
    /// The index.
    pub index: u32,
    /// The entry.
    pub log_index: u64,
    /// Its leaves in the two trees of the run.
    pub leaves: StepLeaves,
}

/// Where children hang: on the roots, on a trace, or on an id that was named before its trace came.
///
/// A place under a trace is keyed by the trace's log index; one under a late trace by the log index of the first entry
/// that named it, so that its arrival touches one row ([`SlotRow`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// No parent.
    Root,
    /// Under the trace with this log index.
    Under(u64),
    /// Under an id that was first named by the entry with this log index.
    Named(u64),
}

impl Slot {
    /// The key that backends store: 0 the roots (no trace has log index 0, its run comes first), positive a trace,
    /// negative a named id.
    #[must_use]
    pub fn to_key(self) -> i64 {
        let signed =
            |log_index: u64| i64::try_from(log_index).expect("invariant: a ledger has fewer than 2^62 entries");
        match self {
            Self::Root => 0,
            Self::Under(log_index) => signed(log_index),
            Self::Named(log_index) => -signed(log_index),
        }
    }

    /// Reads a stored key.
    #[must_use]
    pub const fn from_key(key: i64) -> Self {
        match key {
            0 => Self::Root,
            1.. => Self::Under(key.unsigned_abs()),
            _ => Self::Named(key.unsigned_abs()),
        }
    }
}

/// What is kept of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRow {
    /// The run.
    pub run_no: u64,
    /// The entry: also the trace's own key.
    pub log_index: u64,
    /// Its id.
    pub id: TraceId,
    /// Where it hangs.
    pub parent: Slot,
    /// Where its children hang: `Under` itself, or the place that was named before it came.
    pub children: Slot,
    /// The name that the type index uses.
    pub type_name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it began.
    pub occurred_at: Timestamp,
    /// How it stands.
    pub status: TraceStatus,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The entry that ended it.
    pub ended_by: Option<u64>,
    /// Recorded after the run was sealed.
    pub late: bool,
    /// Stands among the roots although it names a parent.
    pub orphan: bool,
}

/// A trace as its entry says it, and what is known beyond that.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceEntry<'a> {
    /// The entry.
    pub log_index: u64,
    /// When the trace began.
    pub occurred_at: Timestamp,
    /// The entry's place among the run's.
    pub seq: u64,
    /// The ledger's clock.
    pub recorded_at: Timestamp,
    /// The recorded body; `None` where a redaction took it.
    pub body: Option<&'a str>,
    /// What the entry does not say; `None` where there is no such thing.
    pub amended: Option<Amended>,
}

/// Where a trace stands in its run's forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hung {
    /// The run.
    pub run_no: u64,
    /// The entry.
    pub log_index: u64,
    /// When it began.
    pub occurred_at: Timestamp,
    /// Where it hangs.
    pub parent: Slot,
    /// Where its children hang.
    pub children: Slot,
}

impl From<&TraceRow> for Hung {
    fn from(row: &TraceRow) -> Self {
        let TraceRow { run_no, log_index, occurred_at, parent, children, .. } = *row;
        Self { run_no, log_index, occurred_at, parent, children }
    }
}

/// What is known of a trace beyond its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amended {
    /// How it stands.
    pub status: TraceStatus,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The entry that ended it.
    pub ended_by: Option<u64>,
    /// Recorded after the run was sealed.
    pub late: bool,
    /// Stands among the roots although it names a parent.
    pub orphan: bool,
}

impl TraceRow {
    /// What is known of the trace beyond its entry.
    pub(crate) const fn amended(&self) -> Amended {
        let Self { status, ended_at, ended_by, late, orphan, .. } = *self;
        Amended { status, ended_at, ended_by, late, orphan }
    }
}

impl<'a> TraceEntry<'a> {
    /// Out of what is kept of a trace, and its entry.
    #[must_use]
    pub fn of(row: &TraceRow, entry: &'a Entry) -> Self {
        Self {
            log_index: row.log_index,
            occurred_at: row.occurred_at,
            seq: entry.seq,
            recorded_at: entry.recorded_at,
            body: entry.body().map(|body| &**body),
            amended: Some(row.amended()),
        }
    }
}

/// An id that was named as a parent before its trace came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRow {
    /// The log index of the first entry that named it: its key, and with `occurred_at` its place among the roots.
    pub named_by: u64,
    /// The run.
    pub run_no: u64,
    /// The id.
    pub id: TraceId,
    /// When the first entry that named it occurred.
    pub occurred_at: Timestamp,
    /// The trace that came, if it has.
    pub filled_by: Option<u64>,
}
