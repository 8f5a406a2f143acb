//! The first part, on which all else rests: the members, the signatures, the records, and their place in the log.

use tracekeep_core::hash::Hash;
use tracekeep_core::id::LedgerId;
use tracekeep_core::json::parse_around;
use tracekeep_core::merkle;
use tracekeep_core::remainder::Remainder;
use tracekeep_core::wire::{Path, read_whole, to_json};

use super::{Aspect, Reason};
use crate::bundle::archive::{Archive, BUNDLE_BYTES_MAX};
use crate::bundle::build::ProofFile;
use crate::bundle::contents::{Consistency, Kind, Line, Record};
use crate::bundle::facts::{FILES, Facts, file_of};
use crate::bundle::manifest::{self, MANIFEST_BYTES_MAX, Predicate, read_canonical};
use crate::checkpoint::Checkpoint;
use crate::key::NoteKey;
use crate::note::{NOTE_BYTES_MAX, Note};

/// How much deeper than a recorded body a line may nest: members stand deeper in it, and those of other entries once more in
/// a redaction's.
const LINE_LEVELS: u32 = 8;

/// What fails, and by what.
pub(super) struct Fault {
    pub(super) aspects: &'static [Aspect],
    pub(super) reason: Reason,
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self { aspects: &[Aspect::Integrity], reason }
    }
}

const fn identity(reason: Reason) -> Fault {
    Fault { aspects: &[Aspect::Identity], reason }
}

/// What nobody has vouched for is neither whole nor anybody's.
const fn signature(reason: Reason) -> Fault {
    Fault { aspects: &[Aspect::Integrity, Aspect::Identity], reason }
}

/// A bundle of which every byte is accounted for.
pub(super) struct Shown {
    pub(super) claims: Predicate,
    /// By log index.
    pub(super) records: Vec<Facts>,
    /// Of a period, by log index.
    pub(super) leaves: Vec<Facts>,
    pub(super) consistency: Option<Consistency>,
    /// The records of which claims are made again: by log index, where there are such claims.
    pub(super) told: Vec<Record>,
    /// `controls.json` and `debrief.json`.
    pub(super) controls: Option<Vec<u8>>,
    pub(super) debrief: Option<Vec<u8>>,
    /// `comparison.json`.
    pub(super) comparison: Option<Vec<u8>>,
    /// Those of the brought keys that have signed both checkpoint and manifest, as text.
    pub(super) signers: Vec<String>,
}

pub(super) fn read(bytes: &[u8], keys: &[NoteKey], seen: &mut Option<Predicate>) -> Result<Shown, Fault> {
    let archive = Archive::open(bytes)?;
    let envelope = manifest::open(&archive.read("manifest.json", MANIFEST_BYTES_MAX)?, keys).map_err(|reason| {
        if matches!(reason, Reason::BadSignature | Reason::UnknownSigner) { signature(reason) } else { reason.into() }
    })?;
    let (files, claims) = envelope.statement()?;
    *seen = Some(claims.clone());
    check_files(&archive, &files, &claims)?;
    let (ledger, mut signers) = checkpoint(&archive.read("checkpoint", NOTE_BYTES_MAX as u64)?, keys, &claims)?;
    signers.retain(|key| envelope.signers.contains(key));
    let optional = |name: &str| match archive.names().any(|member| member == name) {
        true => archive.read(name, BUNDLE_BYTES_MAX).map(Some),
        false => Ok(None),
    };
    let (controls, debrief) = (optional("controls.json")?, optional("debrief.json")?);
    let comparison = optional("comparison.json")?;
    let is_told = claims.incident.is_some() || [&controls, &debrief, &comparison].into_iter().any(Option::is_some);
    let (mut records, mut told) = (Vec::new(), Vec::new());
    for name in FILES {
        let text = archive.read(name, BUNDLE_BYTES_MAX)?;
        let told = is_told.then_some(&mut told);
        records.extend(lines(&text, ledger, &claims, Some(name), told)?);
    }
    told.sort_by_key(|record| record.log_index);
    records.sort_by_key(|fact| fact.log_index);
    let leaves = match claims.kind {
        Kind::Period => lines(&archive.read("leaves.jsonl", BUNDLE_BYTES_MAX)?, ledger, &claims, None, None)?,
        _ => Vec::new(),
    };
    prove(&archive.read("proof.json", BUNDLE_BYTES_MAX)?, &claims, &records, &leaves)?;
    let consistency = optional("consistency.json")?.map(|text| consistency(&text, &claims)).transpose()?;
    Ok(Shown { claims, records, leaves, consistency, told, controls, debrief, comparison, signers })
}

/// Holds every member but the manifest to the manifest, and the manifest to what its kind needs.
fn check_files(archive: &Archive<'_>, files: &[manifest::Digested], claims: &Predicate) -> Result<(), Fault> {
    let is_named = |name: &str| files.iter().any(|(file, _)| file == name);
    if archive.names().any(|name| name != "manifest.json" && !is_named(name)) {
        return Err(Reason::UnknownMember.into());
    }
    let of_kind: &[&str] = match claims.kind {
        Kind::Period => &["leaves.jsonl"],
        _ => &[],
    };
    let needed = ["README.txt", "checkpoint", "proof.json", "report.html"];
    if needed.iter().chain(of_kind).chain(&FILES).any(|name| !is_named(name)) {
        return Err(Reason::MissingMember.into());
    }
    let mut room = BUNDLE_BYTES_MAX;
    for ((name, digest), file) in files.iter().zip(&claims.files) {
        let bytes = archive.read(name, room)?;
        if bytes.len() as u64 != file.length {
            return Err(Reason::WrongLength.into());
        }
        if manifest::digest(&bytes) != *digest {
            return Err(Reason::WrongDigest.into());
        }
        room -= bytes.len() as u64;
    }
    Ok(())
}

fn checkpoint(note: &[u8], keys: &[NoteKey], claims: &Predicate) -> Result<(LedgerId, Vec<String>), Fault> {
    let ledger: LedgerId = claims.ledger.parse().map_err(|_| Reason::MalformedManifest)?;
    let note = Note::parse(note).map_err(|error| Reason::from(error.code()))?;
    let text = match keys {
        [] => note.text(),
        keys => note.verify(keys).map_err(|error| signature(error.code().into()))?,
    };
    let checkpoint = Checkpoint::parse(text).map_err(|error| Reason::from(error.code()))?;
    if checkpoint.origin != Checkpoint::origin_of(ledger) {
        return Err(identity(Reason::WrongOrigin));
    }
    let claimed = &claims.checkpoint;
    if (&checkpoint.origin, checkpoint.size, checkpoint.root) != (&claimed.origin, claimed.size, claimed.root) {
        return Err(Reason::WrongCheckpoint.into());
    }
    let signers = keys.iter().filter(|key| note.verify(std::slice::from_ref(*key)).is_ok());
    Ok((ledger, signers.map(ToString::to_string).collect()))
}

/// Reads the lines of a file of records; without a name, of bare leaves. The records themselves are kept in `told`.
fn lines(
    text: &[u8],
    ledger: LedgerId,
    claims: &Predicate,
    file: Option<&str>,
    mut told: Option<&mut Vec<Record>>,
) -> Result<Vec<Facts>, Fault> {
    let Some(text) = text.strip_suffix(b"\n") else {
        return if text.is_empty() { Ok(Vec::new()) } else { Err(Reason::MalformedRecord.into()) };
    };
    let mut facts: Vec<Facts> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let record = record(line, ledger)?;
        if record.log_index >= claims.checkpoint.size {
            return Err(Reason::BeyondCheckpoint.into());
        }
        if facts.last().is_some_and(|before| before.log_index >= record.log_index) {
            return Err(Reason::Misordered.into());
        }
        match (file, &record.left) {
            (Some(file), _) if file_of(&record.kind) != file => return Err(Reason::Misfiled.into()),
            (None, Some(_)) => return Err(Reason::MalformedRecord.into()),
            (_, Some(left)) if left.commitment() != record.commit => return Err(Reason::WrongCommitment.into()),
            _ => {}
        }
        let leaf_hash = record.leaf(ledger).hash();
        facts.push(Facts::of(&record, leaf_hash).map_err(|_| Reason::MalformedRecord)?);
        told.iter_mut().for_each(|told| told.push(record.clone()));
    }
    Ok(facts)
}

fn record(text: &[u8], ledger: LedgerId) -> Result<Record, Fault> {
    let value = parse_around(text, LINE_LEVELS).map_err(|_| Reason::MalformedRecord)?;
    let line: Line = read_whole(value, &Path::ROOT).map_err(|_| Reason::MalformedRecord)?;
    if to_json(&line).as_str().as_bytes() != text || line.leaf.v != 1 {
        return Err(Reason::MalformedRecord.into());
    }
    if line.leaf.ledger != ledger.to_string() {
        return Err(identity(Reason::WrongLedger));
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
    Ok(Record {
        log_index: line.log_index,
        run: leaf.run,
        seq: leaf.seq,
        kind: leaf.kind,
        recorded_at: leaf.recorded_at,
        commit: leaf.commit,
        left,
    })
}

/// One proof for all records and leaves.
fn prove(text: &[u8], claims: &Predicate, records: &[Facts], leaves: &[Facts]) -> Result<(), Fault> {
    let proof: ProofFile = read_canonical(text).ok_or(Reason::MalformedProof)?;
    let mut hashes: Vec<(u64, Hash)> =
        records.iter().chain(leaves).map(|fact| (fact.log_index, fact.leaf_hash)).collect();
    hashes.sort_unstable();
    // An entry that stands in both is the same in both, or one index stays twice and proves nothing.
    hashes.dedup();
    let checkpoint = &claims.checkpoint;
    if proof.size != checkpoint.size {
        return Err(Reason::WrongProof.into());
    }
    merkle::verify_multiproof(&hashes, proof.size, &proof.nodes, &checkpoint.root)
        .map_err(|_| Reason::WrongProof.into())
}

fn consistency(text: &[u8], claims: &Predicate) -> Result<Consistency, Reason> {
    let proof: Consistency = read_canonical(text).ok_or(Reason::MalformedProof)?;
    if proof.to == claims.checkpoint.size { Ok(proof) } else { Err(Reason::MalformedProof) }
}
