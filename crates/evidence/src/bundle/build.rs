//! Building a bundle: a function of its contents and the key, byte for byte.

use std::collections::BTreeMap;
use std::fmt;

use tracekeep_core::json::Json;
use tracekeep_core::wire::to_json;

use super::archive::{self, BUNDLE_BYTES_MAX};
use super::contents::{Contents, LeafLine, Line, ProofFile, Record};
use super::facts::{Facts, missing};
use super::manifest::{self, MANIFEST_BYTES_MAX, Predicate};
use crate::checkpoint::Checkpoint;
use crate::key::SigningKey;

/// What stands in README.txt.
const README: &str = include_str!("README.txt");
/// How deep options may nest, so that the manifest can be read.
const OPTIONS_DEPTH_MAX: u32 = 64;

/// Why a bundle was not built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// What its kind requires is missing, by name, and it was not forced.
    Incomplete(Vec<String>),
    /// The checkpoint is not one of this ledger that the key has signed.
    Checkpoint(crate::Error),
    /// A record does not fit: it stands there twice, is beyond the checkpoint, or is not what it is called.
    Record {
        /// Its log index.
        log_index: u64,
        /// What is wrong.
        detail: &'static str,
    },
    /// The options nest too deep, or are longer than a manifest may be.
    Options,
    /// All of it would have more than 1 GiB.
    TooLarge,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete(missing) => write!(f, "the bundle lacks what its kind requires: {}", missing.join(", ")),
            Self::Checkpoint(error) => write!(f, "the checkpoint is not this ledger's: {error}"),
            Self::Record { log_index, detail } => write!(f, "the entry {log_index} {detail}"),
            Self::Options => f.write_str("the options nest too deep, or are too long"),
            Self::TooLarge => f.write_str("the bundle would have more than 1 GiB"),
        }
    }
}

impl std::error::Error for BuildError {}

/// The bundle, as a zip. The same contents and key give the same bytes, wherever and whenever. It is held in memory, twice
/// while it is put together.
///
/// # Errors
/// [`BuildError`]; what is built is not verified here: a wrong proof makes a bundle that fails.
pub fn build(contents: &Contents, key: &SigningKey) -> Result<Vec<u8>, BuildError> {
    let origin = Checkpoint::origin_of(contents.ledger);
    let note = contents.checkpoint.to_string();
    let checkpoint = Checkpoint::open(note.as_bytes(), &origin, std::slice::from_ref(key.public()))
        .map_err(BuildError::Checkpoint)?;
    if contents.options.json().depth() > OPTIONS_DEPTH_MAX {
        return Err(BuildError::Options);
    }
    let mut records: Vec<&Record> = contents.records.iter().collect();
    records.sort_unstable_by_key(|record| record.log_index);
    let (mut facts, mut lines) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records {
        let fact = fact(contents, record, checkpoint.size, facts.last())?;
        facts.push(fact);
        write_line(contents, record, &mut lines);
    }
    let mut files: BTreeMap<&'static str, Vec<u8>> = BTreeMap::new();
    files.insert("README.txt", README.as_bytes().to_vec());
    files.insert("checkpoint", note.into_bytes());
    files.insert("records.jsonl", lines);
    let proof = ProofFile { nodes: contents.proof.clone() };
    let mut json = |name, json: &Json| drop(files.insert(name, json.as_str().as_bytes().to_vec()));
    json("proof.json", &to_json(&proof));
    contents.comparison.iter().for_each(|comparison| json("comparison.json", &to_json(comparison)));
    contents.controls.iter().for_each(|controls| json("controls.json", controls));
    contents.debrief.iter().for_each(|debrief| json("debrief.json", debrief));
    files.insert("report.html", contents.report.clone().into_bytes());
    if files.values().map(|bytes| bytes.len() as u64).sum::<u64>() > BUNDLE_BYTES_MAX {
        return Err(BuildError::TooLarge);
    }
    let mut predicate = Predicate {
        kind: contents.kind,
        tenant_id: contents.tenant_id.clone(),
        exported_by: contents.exported_by.clone(),
        created_at: contents.created_at,
        options: contents.options.clone(),
        run_id: contents.run_id.clone(),
        incident_id: contents.incident_id.clone(),
        period: contents.period,
        missing: Vec::new(),
    };
    predicate.missing = missing(&predicate, files.keys().copied(), &facts);
    if !predicate.missing.is_empty() && !contents.forced {
        return Err(BuildError::Incomplete(predicate.missing));
    }
    let digests: Vec<_> = files.iter().map(|(name, bytes)| ((*name).to_owned(), manifest::digest(bytes))).collect();
    let manifest = manifest::write(&digests, &predicate, key);
    if manifest.len() > MANIFEST_BYTES_MAX {
        return Err(BuildError::Options);
    }
    files.insert("manifest.json", manifest);
    Ok(archive::write(&files))
}

fn fact(contents: &Contents, record: &Record, size: u64, before: Option<&Facts>) -> Result<Facts, BuildError> {
    let refuse = |detail| BuildError::Record { log_index: record.log_index, detail };
    if record.log_index >= size {
        return Err(refuse("is beyond the checkpoint"));
    }
    if before.is_some_and(|before| before.log_index == record.log_index) {
        return Err(refuse("stands there twice"));
    }
    if let Some(left) = &record.left
        && (left.log_index != record.log_index || left.check(record.commit).is_err())
    {
        return Err(refuse("does not give its own commitment"));
    }
    Facts::of(record, record.leaf(contents.ledger).hash()).map_err(|_| refuse("is not what its kind says"))
}

/// Writes a record, in a line.
fn write_line(contents: &Contents, record: &Record, out: &mut Vec<u8>) {
    let line = to_json(&Line {
        leaf: LeafLine {
            commit: record.commit,
            kind: record.kind.clone(),
            ledger: contents.ledger.to_string(),
            recorded_at: record.recorded_at,
            run: record.run.clone(),
            seq: record.seq,
            v: 1,
        },
        log_index: record.log_index,
        members: record.left.as_ref().map(|left| left.members.clone()),
    });
    out.extend_from_slice(line.as_str().as_bytes());
    out.push(b'\n');
}
