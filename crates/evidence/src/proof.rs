//! Proofs of one entry that stand by themselves (c2sp.org/tlog-proof).

use std::fmt;

use tracekeep_core::hash::Hash;
use tracekeep_core::merkle;

use crate::base64;
use crate::checkpoint::{Checkpoint, decimal};
use crate::error::{Code, Error, Result};
use crate::key::NoteKey;
use crate::note::{NOTE_BYTES_MAX, Note};

/// Bytes of extra data that a proof may carry (4 KiB).
pub const EXTRA_BYTES_MAX: usize = 4 << 10;
/// Hashes on the way from a leaf to a root.
const HASHES_MAX: usize = 64;
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// That an entry stands at a place in a log, with the checkpoint that it is proved against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Whatever goes with it; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's log index.
    pub log_index: u64,
    /// Sibling hashes from leaf to root (RFC 6962 §2.1.1).
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Note,
}

fn malformed(detail: &'static str) -> Error {
    Error::new(Code::MalformedProof, detail)
}

/// What stands in front of a checkpoint, and the checkpoint: of a text with so many hashes and so many bytes more at most.
pub(crate) fn halves(bytes: &[u8], hashes_max: usize, more: usize) -> Result<(&str, &str)> {
    if bytes.len() > NOTE_BYTES_MAX + more + hashes_max * 45 {
        return Err(malformed("the proof is too long"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the proof is not UTF-8"))?;
    text.split_once("\n\n").ok_or_else(|| malformed("no empty line precedes the checkpoint"))
}

/// The hashes of a proof, each a line, to the last one.
pub(crate) fn read_hashes<'a>(mut lines: impl Iterator<Item = &'a str>, hashes_max: usize) -> Result<Vec<Hash>> {
    let hashes: Option<Vec<Hash>> = lines.by_ref().take(hashes_max).map(base64::read_hash).collect();
    hashes.filter(|_| lines.next().is_none()).ok_or_else(|| malformed("a hash is none"))
}

/// The hashes, an empty line, the checkpoint.
pub(crate) fn write_proof(f: &mut fmt::Formatter<'_>, hashes: &[Hash], checkpoint: &Note) -> fmt::Result {
    hashes.iter().try_for_each(|hash| writeln!(f, "{}", base64::of(hash)))?;
    write!(f, "\n{checkpoint}")
}

impl TlogProof {
    /// Reads a proof, all of it.
    ///
    /// # Errors
    /// `malformed_proof`; `malformed_note` of its checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (head, note) = halves(bytes, HASHES_MAX, 2 * EXTRA_BYTES_MAX)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("the first line is another"));
        }
        let mut line = lines.next();
        let extra = match line.and_then(|line| line.strip_prefix("extra ")) {
            Some(extra) => {
                line = lines.next();
                let extra = base64::read(extra).filter(|extra| extra.len() <= EXTRA_BYTES_MAX);
                Some(extra.ok_or_else(|| malformed("the extra data is not base64 of 4 KiB at most"))?)
            }
            None => None,
        };
        let index = line.and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let log_index = index.ok_or_else(|| malformed("the index is no decimal"))?;
        let hashes = read_hashes(lines, HASHES_MAX)?;
        Ok(Self { extra, log_index, hashes, checkpoint: Note::parse(note.as_bytes())? })
    }

    /// That the entry with this leaf hash stands in the log `origin`, as one of `keys` has signed. Gives the checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `wrong_proof`.
    pub fn verify(&self, leaf_hash: Hash, origin: &str, keys: &[NoteKey]) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::open(self.checkpoint.to_string().as_bytes(), origin, keys)?;
        merkle::verify_inclusion(&leaf_hash, self.log_index, checkpoint.size, &self.hashes, &checkpoint.root)
            .map_err(|_| Error::new(Code::WrongProof, "the hashes do not lead from the entry to the root"))?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64::write(extra))?;
        }
        writeln!(f, "index {}", self.log_index)?;
        write_proof(f, &self.hashes, &self.checkpoint)
    }
}
