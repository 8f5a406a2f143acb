//! The first part, on which all else rests: the members, the signatures, the records, and their place in the log.

use tracekeep_core::hash::Hash;
use tracekeep_core::id::LedgerId;
use tracekeep_core::json::parse_around;
use tracekeep_core::merkle;
use tracekeep_core::remainder::Remainder;
use tracekeep_core::wire::{Path, read_whole, to_json};

use super::fault::{Fault, foreign};
use super::{Counts, Reason, RunCounts, Withheld};
use crate::bundle::archive::{self, Members, NAMES};
use crate::bundle::contents::{Line, Record};
use crate::bundle::facts::{Facts, by_run, totals};
use crate::bundle::manifest::{self, Predicate};
use crate::checkpoint::Checkpoint;
use crate::key::NoteKey;
use crate::note::Note;

/// How much deeper than a recorded body a line may nest: members stand deeper in it, and those of other entries once more in
/// a redaction's.
pub(crate) const LINE_LEVELS: u32 = 8;
/// Bytes of `proof.json` for each leaf, and for one more: 64 nodes of 67 bytes, and what is around them.
const PROOF_BYTES_MAX: usize = 4_300;
/// What each bundle has.
const NEEDED: [&str; 6] = ["README.txt", "checkpoint", "manifest.json", "proof.json", "records.jsonl", "report.html"];

/// A bundle of which every byte is accounted for.
pub(super) struct Shown<'a> {
    pub(super) claims: Predicate,
    pub(super) checkpoint: Checkpoint,
    pub(super) members: Members<'a>,
    /// By log index.
    pub(super) records: Vec<Facts>,
    /// What leads from their leaves to the checkpoint's root.
    pub(super) nodes: Vec<Hash>,
    /// The records by log index, where controls or a debrief are made of them again.
    pub(super) told: Vec<Record>,
    /// Those of the brought keys that have signed both checkpoint and manifest, as text.
    pub(super) signers: Vec<String>,
}

impl Shown<'_> {
    /// The leaves that the lines show, by log index.
    pub(super) fn leaves(&self) -> Vec<(u64, Hash)> {
        self.records.iter().map(|fact| (fact.log_index, fact.leaf_hash)).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let of_run = |(run_id, run): (&str, Vec<&Facts>)| RunCounts {
            run_id: run_id.to_owned(),
            entries: run.len() as u64,
            erased: run.iter().filter(|fact| fact.is_bare).count() as u64,
        };
        let runs = by_run(&self.records);
        let shown = self.records.iter().filter(|fact| !fact.is_bare || runs.contains_key(fact.run.as_str()));
        let withheld = self.records.iter().filter(|fact| !fact.withheld.is_empty());
        let withheld = withheld.map(|fact| Withheld { log_index: fact.log_index, members: fact.withheld.clone() });
        Counts {
            origin: self.checkpoint.origin.clone(),
            size: self.checkpoint.size,
            totals: totals(&self.records),
            entries: shown.count() as u64,
            runs: runs.into_iter().map(of_run).collect(),
            withheld: withheld.collect(),
        }
    }
}

pub(super) fn read<'a>(bytes: &'a [u8], keys: &[NoteKey], seen: &mut Option<Predicate>) -> Result<Shown<'a>, Fault> {
    let members = archive::read(bytes)?;
    if let Some(missing) = NEEDED.iter().find(|name| !members.contains_key(*name)) {
        return Err(Fault::from(Reason::MissingMember).at(*missing));
    }
    let (checkpoint, mut signers) = checkpoint(&members["checkpoint"], keys)?;
    let envelope = manifest::open(&members["manifest.json"], keys, &checkpoint.origin).map_err(|reason| {
        if matches!(reason, Reason::BadSignature | Reason::UnknownSigner) { foreign(reason) } else { reason.into() }
    })?;
    let (files, claims) = envelope.statement()?;
    *seen = Some(claims.clone());
    let others = members.iter().filter(|(name, _)| **name != "manifest.json");
    let made: Vec<_> = others.map(|(name, bytes)| ((*name).to_owned(), manifest::digest(bytes))).collect();
    if made != files {
        let fault = Fault::from(Reason::WrongMembers);
        return Err(match NAMES.into_iter().find(|name| of(&made, name) != of(&files, name)) {
            Some(name) => fault.at(name),
            None => fault,
        });
    }
    signers.retain(|key| envelope.signers.contains(key));
    let mut told = Vec::new();
    let is_told = ["controls.json", "debrief.json"].iter().any(|name| members.contains_key(name));
    let records = lines(&members["records.jsonl"], &checkpoint, is_told.then_some(&mut told))?;
    let nodes = nodes(&members["proof.json"], records.len()).ok_or(Reason::WrongProof)?;
    let shown = Shown { claims, checkpoint, members, records, nodes, told, signers };
    merkle::verify_multiproof(&shown.leaves(), shown.checkpoint.size, &shown.nodes, &shown.checkpoint.root)
        .map_err(|_| Reason::WrongProof)?;
    Ok(shown)
}

/// The nodes of `proof.json`, which has one form alone: they are taken out of it as they stand. A proof of so many leaves
/// has at most a node for each of them and each bit of a size, and one where there is none: what is longer is not read.
fn nodes(text: &[u8], leaves: usize) -> Option<Vec<Hash>> {
    let nodes = text.strip_prefix(br#"{"nodes":["#)?.strip_suffix(b"]}")?;
    if nodes.is_empty() {
        return Some(Vec::new());
    }
    if text.len() > (leaves + 1) * PROOF_BYTES_MAX {
        return None;
    }
    let node = |node: &[u8]| std::str::from_utf8(node.strip_prefix(b"\"")?.strip_suffix(b"\"")?).ok()?.parse().ok();
    nodes.split(|byte| *byte == b',').map(node).collect()
}

/// The digests under a name.
fn of<'a>(files: &'a [(String, Hash)], name: &str) -> Vec<&'a Hash> {
    files.iter().filter(|(known, _)| known == name).map(|(_, digest)| digest).collect()
}

/// The checkpoint, and those of the keys that have signed it: of those of the log, which have its origin for a name.
fn checkpoint(note: &[u8], keys: &[NoteKey]) -> Result<(Checkpoint, Vec<String>), Fault> {
    let note = Note::parse(note).map_err(|_| Reason::MalformedCheckpoint)?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|_| Reason::MalformedCheckpoint)?;
    let own = NoteKey::of_log(keys, &checkpoint.origin);
    if !keys.is_empty() {
        note.verify(&own).map_err(|error| foreign(error.code().into()))?;
    }
    let signers = own.iter().filter(|key| note.verify(std::slice::from_ref(*key)).is_ok());
    Ok((checkpoint, signers.map(ToString::to_string).collect()))
}

/// Reads the lines of `records.jsonl`. The records themselves are kept in `told`.
fn lines(text: &[u8], log: &Checkpoint, mut told: Option<&mut Vec<Record>>) -> Result<Vec<Facts>, Fault> {
    let Some(text) = text.strip_suffix(b"\n") else {
        return if text.is_empty() { Ok(Vec::new()) } else { Err(Reason::MalformedRecord.into()) };
    };
    let mut facts: Vec<Facts> = Vec::new();
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1u64..) {
        let read = held(line, log, facts.last());
        let (fact, record) = read.map_err(|fault| fault.at(format!("records.jsonl line {number}")))?;
        facts.push(fact);
        told.iter_mut().for_each(|told| told.push(record.clone()));
    }
    Ok(facts)
}

/// A line, behind the one before it.
fn held(line: &[u8], log: &Checkpoint, before: Option<&Facts>) -> Result<(Facts, Record), Fault> {
    let (ledger, record) = record(line, log)?;
    if before.is_some_and(|before| before.log_index >= record.log_index) || record.log_index >= log.size {
        return Err(Reason::Misordered.into());
    }
    if record.left.as_ref().is_some_and(|left| left.commitment() != record.commit) {
        return Err(Reason::WrongCommitment.into());
    }
    let fact = Facts::of(&record, record.leaf(ledger).hash()).map_err(|_| Reason::MalformedRecord)?;
    Ok((fact, record))
}

fn record(text: &[u8], log: &Checkpoint) -> Result<(LedgerId, Record), Fault> {
    let value = parse_around(text, LINE_LEVELS).map_err(|_| Reason::MalformedRecord)?;
    let line: Line = read_whole(value, &Path::ROOT).map_err(|_| Reason::MalformedRecord)?;
    let is_line = to_json(&line).as_str().as_bytes() == text;
    if !is_line || line.leaf.v != 1 {
        return Err(Reason::MalformedRecord.into());
    }
    let left = line.members.map(|members| Remainder { log_index: line.log_index, members });
    let is_plain = |name: &str| name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && !b"\"\\".contains(&byte));
    if let Some(left) = &left
        && (!left.members.iter().all(|left| is_plain(left.name()))
            || !left.members.is_sorted_by(|a, b| a.name() < b.name()))
    {
        return Err(Reason::MalformedRecord.into());
    }
    let leaf = line.leaf;
    let ledger = leaf.ledger.parse::<LedgerId>().ok().filter(|ledger| Checkpoint::origin_of(*ledger) == log.origin);
    let record = Record {
        log_index: line.log_index,
        run: leaf.run,
        seq: leaf.seq,
        kind: leaf.kind,
        recorded_at: leaf.recorded_at,
        commit: leaf.commit,
        left,
    };
    Ok((ledger.ok_or_else(|| foreign(Reason::WrongLedger))?, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 15,000,000 nodes for three lines took 4.5 GB to be refused.
    #[test]
    fn more_nodes_than_any_proof_of_these_leaves_has_are_not_read() {
        let nodes_of = |text: &str| nodes(text.as_bytes(), 2).map(|nodes| nodes.len());
        let proof = |count| {
            let nodes = vec![format!("\"{}\"", Hash::ZERO); count];
            nodes_of(&format!(r#"{{"nodes":[{}]}}"#, nodes.join(",")))
        };
        assert_eq!([proof(0), proof(1), proof(3 * 64)], [Some(0), Some(1), Some(3 * 64)]);
        assert_eq!(proof(3 * 64 + 1), None);
        assert_eq!(nodes_of(r#"{"nodes":[ ]}"#), None);
        assert_eq!(nodes_of(r#"{"nodes":[""]}"#), None);
    }
}
