//! What a witness is asked with (c2sp.org/tlog-witness): that a log extends what it was, and the checkpoint that it has now.

use std::fmt;

use tracekeep_core::hash::Hash;

use crate::base64;
use crate::checkpoint::decimal;
use crate::error::{Code, Error, Result};
use crate::note::{NOTE_BYTES_MAX, Note};

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
        let malformed = |detail| Error::new(Code::MalformedProof, detail);
        if bytes.len() > NOTE_BYTES_MAX + HASHES_MAX * 45 {
            return Err(malformed("the proof is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("the proof is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or_else(|| malformed("no empty line precedes the checkpoint"))?;
        let mut lines = head.split('\n');
        let from = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let from = from.ok_or_else(|| malformed("the first line is not `old` and a size"))?;
        let hashes: Option<Vec<Hash>> = lines.by_ref().take(HASHES_MAX).map(base64::read_hash).collect();
        let hashes = hashes.filter(|_| lines.next().is_none()).ok_or_else(|| malformed("a hash is none"))?;
        Ok(Self { from, hashes, checkpoint: Note::parse(note.as_bytes())? })
    }
}

impl fmt::Display for WitnessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.from)?;
        for hash in &self.hashes {
            writeln!(f, "{}", base64::of(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
