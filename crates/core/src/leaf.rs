//! The leaf: what the ledger's tree is over (docs/format/entry.md).

use crate::hash::Hash;
use crate::id::LedgerId;
use crate::json::{write_string, write_u64};
use crate::merkle;
use crate::time::Timestamp;

/// What one entry states to the tree: where it stands, and the commitment to its content.
///
/// Canonical JSON of {v: 1, ledger, run, seq, kind, recorded_at, commit}. `run` is "" for an entry of no run; `seq`
/// counts the run's entries from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// The ledger.
    pub ledger: LedgerId,
    /// The run's id, or "".
    pub run: &'a str,
    /// The entry's number within its run, from 0.
    pub seq: u64,
    /// The kind; the list is open.
    pub kind: &'a str,
    /// The ledger's own clock, which never decreases.
    pub recorded_at: Timestamp,
    /// The commitment to the recorded body.
    pub commit: Hash,
}

impl Leaf<'_> {
    /// The canonical JSON: the bytes under the leaf hash.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = Vec::with_capacity(320);
        out.extend_from_slice(b"{\"commit\":\"");
        let mut raw = |text: &str| out.extend_from_slice(text.as_bytes());
        raw(&self.commit.to_string());
        raw("\",\"kind\":");
        write_string(&mut out, self.kind);
        out.extend_from_slice(b",\"ledger\":\"");
        out.extend_from_slice(self.ledger.to_string().as_bytes());
        out.extend_from_slice(b"\",\"recorded_at\":\"");
        out.extend_from_slice(self.recorded_at.to_string().as_bytes());
        out.extend_from_slice(b"\",\"run\":");
        write_string(&mut out, self.run);
        out.extend_from_slice(b",\"seq\":");
        write_u64(&mut out, self.seq);
        out.extend_from_slice(b",\"v\":1}");
        String::from_utf8(out).expect("invariant: the parts are UTF-8")
    }

    /// The leaf hash: SHA-256(0x00 ‖ text), RFC 6962 §2.1.
    #[must_use]
    pub fn hash(&self) -> Hash {
        merkle::leaf_hash(self.text().as_bytes())
    }
}
