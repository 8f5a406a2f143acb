//! Erasing a run, and what keeps it from being erased.

use crate::id::RunId;
use crate::model::Redacted;
use crate::wire::object;

object! {
    /// Erases a run: the content of all its entries goes, their leaf hashes stay. Refused while it runs or is held.
    pub struct EraseRun {
        /// Names the run. The id is never free again.
        required run_id: RunId,
        /// Why it is erased: 1 to 1,024 bytes. It outlives the run.
        required reason: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// What rules took out of it at the door.
        door redacted: Redacted,
    }
}

object! {
    /// Holds a run, or every run with a tag: nothing held is erased. What holds names one of both.
    pub struct Hold {
        /// The run.
        optional run_id: RunId,
        /// The tag; of runs that carry it, now or later.
        optional tag: String,
        /// Why: 1 to 1,024 bytes.
        required reason: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// What rules took out of it at the door.
        door redacted: Redacted,
    }
}

object! {
    /// Lets go of a run or of a tag that is held.
    pub struct ReleaseHold {
        /// The run.
        optional run_id: RunId,
        /// The tag.
        optional tag: String,
        /// Why: 1 to 1,024 bytes.
        required reason: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// What rules took out of it at the door.
        door redacted: Redacted,
    }
}

/// What is held: a run, or a tag of runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldOn {
    /// A run.
    Run(RunId),
    /// Every run with the tag.
    Tag(String),
}

impl HoldOn {
    /// The one of both that is there.
    #[must_use]
    pub fn of(run_id: Option<&RunId>, tag: Option<&str>) -> Option<Self> {
        match (run_id, tag) {
            (Some(run_id), None) => Some(Self::Run(run_id.clone())),
            (None, Some(tag)) => Some(Self::Tag(tag.to_owned())),
            _ => None,
        }
    }

    /// The two members that say it.
    #[must_use]
    pub fn into_parts(self) -> (Option<RunId>, Option<String>) {
        match self {
            Self::Run(run_id) => (Some(run_id), None),
            Self::Tag(tag) => (None, Some(tag)),
        }
    }
}
