//! What a witness is asked with (c2sp.org/tlog-witness): that a log extends what it was, and the checkpoint that it has now.

use std::fmt;

use tracekeep_core::hash::Hash;

use crate::checkpoint::decimal;
use crate::error::{Code, Error, Result};
use crate::note::Note;
use crate::proof::{halves, read_hashes, write_proof};

/// Hashes of a consistency proof.
const HASHES_MAX: usize = 128;

/// The body of a request that asks a witness to sign as well: `old SIZE`, the consistency proof in base64, an empty line,
/// the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessRequest {
    /// The size that the witness has seen.
    pub from: u64,
    /// That the log extends it.
    pub hashes: Vec<Hash>,
    /// What it is to sign.
    pub checkpoint: Note,
}

impl WitnessRequest {
    /// Reads a request, all of it.
    ///
    /// # Errors
    /// `malformed_proof`; `malformed_note` of its checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (head, note) = halves(bytes, HASHES_MAX, 0)?;
        let mut lines = head.split('\n');
        let from = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let from = from.ok_or_else(|| Error::new(Code::MalformedProof, "the first line is not `old` and a size"))?;
        let hashes = read_hashes(lines, HASHES_MAX)?;
        Ok(Self { from, hashes, checkpoint: Note::parse(note.as_bytes())? })
    }
}

impl fmt::Display for WitnessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.from)?;
        write_proof(f, &self.hashes, &self.checkpoint)
    }
}
