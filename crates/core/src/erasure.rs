//! What an erasure leaves behind: the body of the `redaction` entry that names a run.

use crate::body::Body;
use crate::id::{ExportId, IncidentId};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{self, Value};
use crate::limits::REDACTION_BYTES_MAX;
use crate::model::{EraseRun, Op};
use crate::wire::{Fields, Path, object, read_whole};

/// The members of a run's redaction that are no members of the op.
pub const COMPUTED: [&str; 5] = ["entries", "exports", "incidents", "steps", "traces"];

/// The body of the `redaction` entry that erases a run: the op, and what went.
#[derive(Clone, Debug, PartialEq)]
pub struct ErasedRun {
    /// The op.
    pub op: EraseRun,
    /// What went.
    pub went: Went,
}

object! {
    /// What an erasure takes. The ids are those that are looked for in the whole ledger: they are never free again.
    #[derive(Eq)]
    pub struct Went {
        /// Entries: all of the run's in front of the redaction.
        required entries: u64,
        /// Steps among them.
        required steps: u64,
        /// Traces among them.
        required traces: u64,
        /// The ids of its incidents, in the order of the log; absent where there are none.
        optional incidents: Vec<IncidentId>,
        /// The ids of its exports, likewise.
        optional exports: Vec<ExportId>,
    }
}

impl ErasedRun {
    /// The recorded body.
    #[must_use]
    pub fn body(&self) -> Body {
        let mut draft = Op::EraseRun(self.op.clone()).draft();
        self.went.put(&mut draft);
        draft.finish()
    }

    /// Checks how long the recorded body is: as long as that of any redaction.
    ///
    /// # Errors
    /// `too_large`.
    pub fn check_limits(body: &Body) -> Result<(), Invalid> {
        if body.as_str().len() <= REDACTION_BYTES_MAX as usize {
            return Ok(());
        }
        let detail = format!("the redaction would have more than {REDACTION_BYTES_MAX} bytes");
        Err(Invalid::new(InvalidCode::TooLarge, "", detail))
    }

    /// Reads a recorded body back.
    ///
    /// # Errors
    /// Where the body is not one that this version wrote.
    pub fn from_body(body: &str) -> Result<Self, Invalid> {
        let Value::Object(mut object) = json::parse(body.as_bytes())? else {
            return Err(Path::ROOT.refuse(InvalidCode::MalformedJson, "a recorded body is an object"));
        };
        object.take("op");
        let went = Went::take(&mut object, &Path::ROOT)?;
        Ok(Self { op: read_whole(Value::Object(object), &Path::ROOT)?, went })
    }
}
