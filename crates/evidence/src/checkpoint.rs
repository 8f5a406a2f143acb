//! Checkpoints (c2sp.org/tlog-checkpoint): the size and root of a log, as a note.

use tracekeep_core::hash::Hash;
use tracekeep_core::id::LedgerId;

use crate::base64;
use crate::error::{Code, Error, Result};
use crate::key::{NoteKey, SigningKey};
use crate::note::Note;

/// What a log says of itself: that it has `size` entries, with this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: of a ledger [`Checkpoint::origin_of`].
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// The root over their leaves (RFC 6962).
    pub root: Hash,
}

impl Checkpoint {
    /// A ledger's origin: `tracekeep/` and its id.
    #[must_use]
    pub fn origin_of(ledger: LedgerId) -> String {
        format!("tracekeep/{ledger}")
    }

    /// The note's text: origin, decimal size, base64 root, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64::write(self.root.as_bytes()))
    }

    /// Signs it. Whoever signs must never have signed a checkpoint that this one does not extend.
    ///
    /// # Errors
    /// `malformed_note` where the origin cannot stand in a note.
    pub fn sign(&self, key: &SigningKey) -> Result<Note> {
        if self.origin.is_empty() || self.origin.contains('\n') {
            return Err(Error::new(Code::MalformedNote, "an origin is one line"));
        }
        Note::sign(self.text(), key)
    }

    /// Reads a signed checkpoint of the log `origin`: one of `keys` has signed it. Lines after the root are passed over,
    /// as the specification allows them; what they say is signed, and nobody's claim.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Note::verify`]; `malformed_checkpoint`; `wrong_origin`.
    pub fn open(note: &[u8], origin: &str, keys: &[NoteKey]) -> Result<Self> {
        let note = Note::parse(note)?;
        let checkpoint = Self::parse(note.verify(keys)?)?;
        if checkpoint.origin != origin {
            return Err(Error::new(Code::WrongOrigin, "the checkpoint is of another log"));
        }
        Ok(checkpoint)
    }

    /// Reads a note's text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::new(Code::MalformedCheckpoint, "a checkpoint is an origin, a size and a root");
        let mut lines = text.strip_suffix('\n').ok_or_else(malformed)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or_else(malformed);
        let (origin, size, root) = (line()?, line()?, line()?);
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: decimal(size).ok_or_else(malformed)?,
            root: base64::read_hash(root).ok_or_else(malformed)?,
        };
        if lines.any(str::is_empty) {
            return Err(malformed());
        }
        Ok(checkpoint)
    }
}

/// An ASCII decimal without leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|digit| digit.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}
