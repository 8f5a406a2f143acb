//! What goes into a bundle: plain values, from wherever they were read.

use tracekeep_core::Leaf;
use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::LedgerId;
use tracekeep_core::json::Json;
use tracekeep_core::model::JsonObject;
use tracekeep_core::remainder::{Left, Remainder};
use tracekeep_core::wire::{object, object_field, words};

use crate::comparison::Comparison;
use crate::note::Note;

words! {
    /// What a bundle is made for.
    pub enum Kind {
        /// The record of an incident or a run.
        Evidence = "evidence",
        /// The same, with what it shows of SOC 2's controls.
        Soc2 = "soc2",
        /// The same, with a summary in plain language.
        ExecutiveDebrief = "executive_debrief",
        /// All runs whose start was recorded between two times, none left out.
        Period = "period",
    }
}

/// Everything that a bundle is built from. Nothing here is looked up again, and no clock is read.
#[derive(Clone, Debug)]
pub struct Contents {
    /// What it is made for.
    pub kind: Kind,
    /// The ledger.
    pub ledger: LedgerId,
    /// Whose ledger it is; "" is missing.
    pub tenant_id: String,
    /// Who exported it; "" is missing.
    pub exported_by: String,
    /// The run that it is about: of one with related runs the run itself.
    pub run_id: Option<String>,
    /// The incident that it is about, opened by an entry of that run; of no run where it is about none.
    pub incident_id: Option<String>,
    /// What was asked for, as it was asked: selection, withheld members, related runs. It goes into the manifest as it is.
    pub options: JsonObject,
    /// Whether it is built although something that its kind requires is missing.
    pub forced: bool,
    /// The checkpoint, signed by the same key.
    pub checkpoint: Note,
    /// `recorded_at` of the last entry below the checkpoint's size.
    pub created_at: Timestamp,
    /// Entries, in any order, each once. Of a run all of them from seq 0 on, or bare leaves alone; of kind `period` every
    /// leaf, too, from the entry before the period to the one after it.
    pub records: Vec<Record>,
    /// The multiproof ([`tracekeep_core::merkle::multiproof`]) for the log indices of `records`, at the checkpoint's size. It
    /// proves, too, that the log extends itself at each size whose last entry is among them.
    pub proof: Vec<Hash>,
    /// The time that it is about: required of `soc2` and `period`.
    pub period: Option<Period>,
    /// How the run compares with runs of the same plan and seed.
    pub comparison: Option<Comparison>,
    /// What of SOC 2's controls is demonstrated, by which entries: required of `soc2`.
    pub controls: Option<Json>,
    /// The summary for those who were not there: required of `executive_debrief`.
    pub debrief: Option<Json>,
    /// The report ([`crate::report`]).
    pub report: String,
}

/// One entry of the log: its leaf, its place, and what is shown of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number in the ledger.
    pub log_index: u64,
    /// The run's id, "" for an entry of no run.
    pub run: String,
    /// The entry's number within its run.
    pub seq: u64,
    /// What it is.
    pub kind: String,
    /// The ledger's own clock.
    pub recorded_at: Timestamp,
    /// The commitment to its content.
    pub commit: Hash,
    /// What is shown of it; `None` where it was erased, or where its leaf alone is shown. Its `log_index` must be the same.
    pub left: Option<Remainder>,
}

impl Record {
    /// The leaf, in a ledger.
    #[must_use]
    pub fn leaf(&self, ledger: LedgerId) -> Leaf<'_> {
        Leaf {
            ledger,
            run: &self.run,
            seq: self.seq,
            kind: &self.kind,
            recorded_at: self.recorded_at,
            commit: self.commit,
        }
    }
}

object! {
    /// `proof.json`.
    pub(crate) struct ProofFile {
        required nodes: Vec<Hash>,
    }
}

object! {
    /// A time span, the end excluded.
    #[derive(Copy)]
    pub struct Period {
        /// From this time on.
        required from: Timestamp,
        /// Up to this time.
        required to: Timestamp,
    }
}

impl Period {
    /// Whether a time is in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

object! {
    /// A leaf, as it stands in a line (docs/format/entry.md).
    pub struct LeafLine {
        /// What the entry's body is committed to.
        required commit: Hash,
        /// The kind.
        required kind: String,
        /// The ledger's id.
        required ledger: String,
        /// When it was recorded, by the ledger's clock.
        required recorded_at: Timestamp,
        /// The run, or "".
        required run: String,
        /// The entry's number within its run, from 0.
        required seq: u64,
        /// 1.
        required v: u64,
    }
}

object! {
    /// One line of `records.jsonl`; without `members` of an entry that was erased, or of which the leaf alone is shown.
    pub(crate) struct Line {
        required leaf: LeafLine,
        required log_index: u64,
        optional members: Vec<Left>,
    }
}

object_field!(Period, LeafLine);
