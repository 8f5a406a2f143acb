//! What a redaction of members leaves behind: the body of the `redaction` entry that withholds them.

use crate::body::Body;
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{self, Value};
use crate::limits::REDACTION_BYTES_MAX;
use crate::model::{Op, Redact};
use crate::remainder::{LEVELS_AROUND, Remainder};
use crate::wire::{Fields, Path, object, object_field, read_whole};

/// The members of such a body that are no members of the op.
pub const COMPUTED: [&str; 2] = ["remainders", "replaces"];

/// The body of the `redaction` entry that withholds members: the op, and what it takes the place of.
#[derive(Clone, Debug, PartialEq)]
pub struct Redaction {
    /// The op.
    pub op: Redact,
    /// What it takes the place of.
    pub kept: Kept,
}

object! {
    /// What a redaction of members takes the place of.
    pub struct Kept {
        /// What is left of each entry whose content went, by log index.
        required remainders: Vec<Remainder>,
        /// Earlier redactions whose content went with it, by log index.
        required replaces: Vec<Replaced>,
    }
}

object! {
    /// A redaction that another took the place of.
    #[derive(Eq)]
    pub struct Replaced {
        /// Its entry.
        required log_index: u64,
        /// The reason that it gave.
        required reason: String,
        /// On whose word.
        optional by: String,
    }
}

object_field!(Replaced);

impl Redaction {
    /// The recorded body.
    #[must_use]
    pub fn body(&self) -> Body {
        let mut draft = Op::Redact(self.op.clone()).draft();
        self.kept.put(&mut draft);
        draft.finish()
    }

    /// Checks the limit of such a body, so that whatever was recorded can be read back. How deep it nests follows from what
    /// is left of others.
    ///
    /// # Errors
    /// `too_large`.
    pub fn check_limits(body: &Body) -> Result<(), Invalid> {
        if body.as_str().len() <= REDACTION_BYTES_MAX as usize {
            return Ok(());
        }
        let detail = format!("what is left would have more than {REDACTION_BYTES_MAX} bytes");
        Err(Invalid::new(InvalidCode::TooLarge, "/members", detail))
    }

    /// Whether a recorded body is one of these: any other redaction erased a run.
    #[must_use]
    pub fn is_of_members(body: &Body) -> bool {
        body.member("op") == Some("\"redact\"")
    }

    /// Reads a recorded body back.
    ///
    /// # Errors
    /// Where the body is not one that this version wrote.
    pub fn from_body(body: &str) -> Result<Self, Invalid> {
        let Value::Object(mut object) = json::parse_around(body.as_bytes(), LEVELS_AROUND)? else {
            return Err(Path::ROOT.refuse(InvalidCode::MalformedJson, "a recorded body is an object"));
        };
        object.take("op");
        let kept = Kept::take(&mut object, &Path::ROOT)?;
        Ok(Self { op: read_whole(Value::Object(object), &Path::ROOT)?, kept })
    }

    /// What is left of the entry at a log index.
    #[must_use]
    pub fn remainder(&self, log_index: u64) -> Option<&Remainder> {
        self.kept.remainders.iter().find(|left| left.log_index == log_index)
    }

    /// The entries whose content went, earlier redactions among them.
    pub fn entries(&self) -> impl Iterator<Item = u64> {
        let replaced = self.kept.replaces.iter().map(|replaced| replaced.log_index);
        self.kept.remainders.iter().map(|left| left.log_index).chain(replaced)
    }
}
