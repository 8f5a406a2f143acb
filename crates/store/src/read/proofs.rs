//! Reading the log itself: head, entries, proofs.

use std::borrow::Cow;

use tracekeep_core::hash::Hash;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use tracekeep_core::merkle::{self, ProofError, TileReader};
use tracekeep_core::model::JsonObject;
use tracekeep_core::view::{ConsistencyProof, Head, InclusionProof, LogEntry, LogEvent, Multiproof};

use super::entry;
use crate::error::{Code, Error, Result};
use crate::rows::Entry;
use crate::snapshot::Snapshot;

/// Entries read before their bytes are looked at.
const ENTRIES_AT_ONCE: u32 = 16;

struct Tiles<'a, S>(&'a S);

impl<S: Snapshot> TileReader for Tiles<'_, S> {
    type Error = Error;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>> {
        self.0.tile(level, index, width)
    }
}

/// The root of the ledger's tree when it had `size` entries.
///
/// # Errors
/// `entry_not_found` where it has fewer; what the snapshot fails with.
pub fn root_at(snapshot: &impl Snapshot, size: u64) -> Result<Hash> {
    if size > snapshot.size() {
        return Err(no_tree(size));
    }
    merkle::root_at(&Tiles(snapshot), size).map_err(failed)
}

/// Size and root.
///
/// # Errors
/// What the snapshot fails with.
pub fn head(snapshot: &impl Snapshot) -> Result<Head> {
    let tree_size = snapshot.size();
    Ok(Head { tree_size, root: root_at(snapshot, tree_size)? })
}

/// Entries from `from` on, 1 to 1,000 of them at most, and no more once their bodies have 8 MiB: a caller goes on after the
/// last that it got.
///
/// # Errors
/// `invalid_parameter` where the limit is out of range; what the snapshot fails with.
pub fn entries(snapshot: &impl Snapshot, from: u64, limit: u32) -> Result<Vec<LogEntry>> {
    check_limit(limit)?;
    let (mut items, mut bytes) = (Vec::new(), 0);
    let mut next = from;
    while items.len() < limit as usize && bytes < PAGE_BYTES_MAX as usize {
        let room = limit - u32::try_from(items.len()).unwrap_or(limit);
        let entries = snapshot.entries(next, room.min(ENTRIES_AT_ONCE))?;
        let Some(last) = entries.last() else { break };
        next = last.log_index + 1;
        for entry in entries {
            bytes += entry.body().map_or(0, |body| body.len());
            items.push(log_entry(snapshot, &entry)?);
        }
    }
    Ok(items)
}

/// An entry as readers of the log get it.
pub(super) fn log_entry(snapshot: &impl Snapshot, entry: &Entry) -> Result<LogEntry> {
    let redacted_by = if entry.content.is_none() { snapshot.redacted_by(entry.log_index)? } else { None };
    let leaf = entry.leaf(snapshot.ledger());
    let leaf_json = Json::from_canonical(leaf.text());
    Ok(LogEntry {
        log_index: entry.log_index,
        leaf_hash: leaf.hash(),
        leaf: JsonObject::new(leaf_json).expect("invariant: a leaf is an object"),
        body: entry.body().map(|body| Json::from_canonical(body.clone())),
        salt: entry.content.as_ref().map(|(_, salt)| Hash::from_bytes(*salt.as_bytes())),
        redacted_by,
    })
}

/// Where the entries from `from` on stand, 1 to 1,000 of them at most. Their content is not read.
///
/// # Errors
/// As [`entries`].
pub fn events(snapshot: &impl Snapshot, from: u64, limit: u32) -> Result<Vec<LogEvent>> {
    check_limit(limit)?;
    let event = |header: Entry| LogEvent {
        log_index: header.log_index,
        run: header.run.map_or_else(String::new, |(_, run_id)| run_id.as_str().to_owned()),
        seq: header.seq,
        kind: header.kind.as_str().to_owned(),
        recorded_at: header.recorded_at,
    };
    Ok(snapshot.headers(from, limit)?.into_iter().map(event).collect())
}

fn check_limit(limit: u32) -> Result<()> {
    if (1..=PAGE_ITEMS_MAX).contains(&limit) {
        return Ok(());
    }
    Err(Error::new(Code::InvalidParameter, format!("limit is 1 to {PAGE_ITEMS_MAX}")).at("limit"))
}

/// Proves that an entry is in the tree of `size` entries, or of the head.
///
/// # Errors
/// `entry_not_found` where there is no such entry or tree; what the snapshot fails with.
pub fn inclusion(snapshot: &impl Snapshot, log_index: u64, size: Option<u64>) -> Result<InclusionProof> {
    let tree_size = size.unwrap_or_else(|| snapshot.size());
    if tree_size > snapshot.size() || log_index >= tree_size {
        return Err(Error::new(Code::EntryNotFound, format!("no entry {log_index} in a tree of {tree_size}")));
    }
    let leaf_hash = entry(snapshot, log_index)?.leaf(snapshot.ledger()).hash();
    let tiles = Tiles(snapshot);
    let hashes = merkle::inclusion_proof(&tiles, log_index, tree_size).map_err(failed)?;
    Ok(InclusionProof { log_index, leaf_hash, tree_size, root: root_at(snapshot, tree_size)?, hashes })
}

/// Proves, by one proof, that entries are in the tree of `size` entries, or of the head.
///
/// # Errors
/// `entry_not_found` where there is no such tree, or no such entry in it; `invalid_parameter` where they do not ascend; what
/// the snapshot fails with.
pub fn multiproof(snapshot: &impl Snapshot, indices: &[u64], size: Option<u64>) -> Result<Multiproof> {
    let tree_size = size.unwrap_or_else(|| snapshot.size());
    if tree_size > snapshot.size() {
        return Err(no_tree(tree_size));
    }
    let refused = |detail| Error::new(Code::InvalidParameter, detail).at("indices");
    if !indices.is_sorted_by(|a, b| a < b) {
        return Err(refused("log indices ascend, and stand there once".to_owned()));
    }
    if let Some(last) = indices.last().filter(|last| **last >= tree_size) {
        return Err(Error::new(Code::EntryNotFound, format!("no entry {last} in a tree of {tree_size}")));
    }
    let nodes = merkle::multiproof(&Tiles(snapshot), indices, tree_size).map_err(failed)?;
    Ok(Multiproof { indices: indices.to_vec(), tree_size, root: root_at(snapshot, tree_size)?, nodes })
}

/// Proves that the log at `to` entries, or at the head, extends the log at `from` entries.
///
/// # Errors
/// `entry_not_found` where there is no such tree; `invalid_parameter` where `from` is beyond `to`.
pub fn consistency(snapshot: &impl Snapshot, from: u64, to: Option<u64>) -> Result<ConsistencyProof> {
    // Without `to` the head is meant, and it is `from` that the log has not had.
    let head = snapshot.size();
    let latest = to.unwrap_or(from);
    if latest > head {
        return Err(Error::new(Code::EntryNotFound, format!("the log has {head} entries, and never had {latest}")));
    }
    let to = to.unwrap_or(head);
    if from > to {
        return Err(Error::new(Code::InvalidParameter, format!("from is at most {to}, the later size")).at("from"));
    }
    let tiles = Tiles(snapshot);
    let hashes = merkle::consistency_proof(&tiles, from, to).map_err(failed)?;
    let (from_root, to_root) = (root_at(snapshot, from)?, root_at(snapshot, to)?);
    Ok(ConsistencyProof { from, from_root, to, to_root, hashes })
}

fn no_tree(size: u64) -> Error {
    Error::new(Code::EntryNotFound, format!("the log has not had {size} entries yet"))
}

fn failed(error: ProofError<Error>) -> Error {
    match error {
        ProofError::Read(error) => error,
        other => Error::new(Code::Corrupt, format!("no proof could be made: {other}")),
    }
}
