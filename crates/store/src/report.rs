//! What a check of the indices against the log found.

use std::fmt;

use tracekeep_core::hash::Hash;
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::wire::{object, object_field, words};

use crate::error::{Code, Error, Result};

words! {
    /// What is wrong, in a word that stays.
    pub enum Wrong {
        /// SQLite's own check of its pages and indices.
        Pages = "pages",
        /// The noted migrations are not this version's.
        Migration = "migration",
        /// A table, index or trigger is missing, is another, or is there that nothing made.
        Schema = "schema",
        /// An entry is missing from the log, or cannot be read at all.
        Entry = "entry",
        /// A body that is not there, does not fit its commitment, cannot be read, or is not what the plan would have
        /// written.
        Content = "content",
        /// A number within a run that does not follow.
        Seq = "seq",
        /// A hash, a count or a sum that does not recompute.
        Hash = "hash",
        /// An entry that is not in the ledger's tree.
        Tree = "tree",
        /// A clock that went backwards.
        Clock = "clock",
        /// A batch that is not whole.
        Batch = "batch",
        /// A run's name that does not fit its entries.
        RunName = "run_name",
        /// A row that the log asks for is not there.
        RowMissing = "row_missing",
        /// A row is there that the log does not ask for.
        RowExtra = "row_extra",
        /// A row says something else than the log.
        RowDiffers = "row_differs",
    }
}

object! {
    /// One thing that is wrong.
    #[derive(Eq)]
    pub struct Finding {
        /// What.
        required what: Wrong,
        /// Where: a log index, or a table and the numbers of a row. It holds no payload.
        required place: String,
        /// The run that it is about, where it is about one whose id is known.
        optional run_id: RunId,
        /// The trace, likewise.
        optional trace_id: TraceId,
        /// The log index of the entry, where it is about one.
        optional log_index: u64,
        /// In words.
        required detail: String,
    }
}

object_field!(Finding);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.place)?;
        if let Some(run_id) = &self.run_id {
            write!(f, ", run {run_id}")?;
        }
        if let Some(trace_id) = &self.trace_id {
            write!(f, ", trace {trace_id}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Where something is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// A log index, or a table and the numbers of a row. It holds no payload.
    pub text: String,
    /// The run.
    pub run_id: Option<RunId>,
    /// The trace.
    pub trace_id: Option<TraceId>,
    /// The entry.
    pub log_index: Option<u64>,
}

impl Place {
    /// An entry of the log.
    #[must_use]
    pub fn entry(log_index: u64) -> Self {
        Self { text: format!("log index {log_index}"), log_index: Some(log_index), ..Self::default() }
    }
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Place {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// Findings that are kept; the count goes on.
pub(crate) const FINDINGS_MAX: usize = 100;

object! {
    /// What a check found.
    #[derive(Default, Eq)]
    pub struct Report {
        /// The first 100 findings.
        required findings: Vec<Finding>,
        /// How many there are.
        required count: u64,
        /// Entries in the log; 0 where it could not be walked to its end.
        required tree_size: u64,
        /// The root that was computed from them; absent where it could not be, and where one run alone was checked.
        optional root: Hash,
    }
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// Adds a finding.
    pub fn find(&mut self, what: Wrong, place: impl Into<Place>, detail: impl Into<String>) {
        self.count += 1;
        if self.findings.len() < FINDINGS_MAX {
            let Place { text, run_id, trace_id, log_index } = place.into();
            self.findings.push(Finding { what, place: text, run_id, trace_id, log_index, detail: detail.into() });
        }
    }

    /// Adds a finding whose place is only looked up where the finding is kept.
    pub fn find_at(&mut self, what: Wrong, place: impl FnOnce() -> Place, detail: impl Into<String>) {
        let place = if self.findings.len() < FINDINGS_MAX { place() } else { Place::default() };
        self.find(what, place, detail);
    }

    /// States the size and the root that were computed.
    pub const fn head(&mut self, size: u64, root: Hash) {
        self.tree_size = size;
        self.root = Some(root);
    }

    /// Takes damage that ends one part of a check for a finding; any other failure ends the check.
    ///
    /// # Errors
    /// What is no damage.
    pub fn note<T>(&mut self, place: &str, done: Result<T>) -> Result<Option<T>> {
        match done {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_damage(&error) => {
                self.find(Wrong::Pages, place, error.detail());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_damage(error: &Error) -> bool {
    error.code() == Code::Corrupt.as_str() || error.code() == Code::NotALedger.as_str()
}
