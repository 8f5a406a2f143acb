//! Building a bundle: a function of its contents and the key, byte for byte.

use std::collections::BTreeMap;
use std::fmt;

use tracekeep_core::json::Json;
use tracekeep_core::wire::{object, to_json};

use super::archive::{self, BUNDLE_BYTES_MAX};
use super::contents::{Contents, Kind, LeafLine, Line, Record};
use super::facts::{FILES, Facts, Summary, file_of, touches};
use super::manifest::{self, CheckpointClaim, Completeness, FileClaim, Predicate};
use crate::checkpoint::Checkpoint;
use crate::key::SigningKey;

/// What stands in README.txt.
const README: &str = include_str!("README.txt");
/// How deep options may nest, so that the manifest can be read.
const OPTIONS_DEPTH_MAX: u32 = 64;

object! {
    /// `proof.json`.
    pub(crate) struct ProofFile {
        required nodes: Vec<tracekeep_core::hash::Hash>,
        required size: u64,
    }
}

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
    /// The options nest too deep.
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
            Self::Options => f.write_str("the options nest too deep"),
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
    let mut facts = Vec::with_capacity(records.len());
    let mut files: BTreeMap<&'static str, Vec<u8>> = FILES.into_iter().map(|name| (name, Vec::new())).collect();
    for record in records {
        let fact = fact(contents, record, checkpoint.size, facts.last())?;
        facts.push(fact);
        let file = files.entry(file_of(&record.kind)).or_default();
        file.extend_from_slice(line(contents, record).as_str().as_bytes());
        file.push(b'\n');
    }
    let summary = Summary::of(&facts);
    files.insert("README.txt", README.as_bytes().to_vec());
    files.insert("checkpoint", note.into_bytes());
    let mut json = |name, json: &Json| drop(files.insert(name, json.as_str().as_bytes().to_vec()));
    json("proof.json", &to_json(&ProofFile { nodes: contents.proof.clone(), size: checkpoint.size }));
    contents.consistency.iter().for_each(|consistency| json("consistency.json", &to_json(consistency)));
    contents.comparison.iter().for_each(|comparison| json("comparison.json", &to_json(comparison)));
    contents.controls.iter().for_each(|controls| json("controls.json", controls));
    contents.debrief.iter().for_each(|debrief| json("debrief.json", debrief));
    if contents.kind == Kind::Period {
        files.insert("leaves.jsonl", leaves(contents));
    }
    files.insert("report.html", contents.report.clone().into_bytes());
    if files.values().map(|bytes| bytes.len() as u64).sum::<u64>() > BUNDLE_BYTES_MAX {
        return Err(BuildError::TooLarge);
    }
    let is_touched = contents.period.is_some_and(|period| touches(&period, &facts));
    let predicate = predicate(contents, checkpoint, summary, &files, is_touched)?;
    let digests: Vec<_> = files.iter().map(|(name, bytes)| ((*name).to_owned(), manifest::digest(bytes))).collect();
    files.insert("manifest.json", manifest::write(&digests, &predicate, key));
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

/// A line of a record, without its newline.
fn line(contents: &Contents, record: &Record) -> Json {
    to_json(&Line {
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
    })
}

fn leaves(contents: &Contents) -> Vec<u8> {
    let mut out = Vec::new();
    for record in &contents.leaves {
        let bare = Record { left: None, ..record.clone() };
        out.extend_from_slice(line(contents, &bare).as_str().as_bytes());
        out.push(b'\n');
    }
    out
}

fn predicate(
    contents: &Contents,
    checkpoint: Checkpoint,
    summary: Summary,
    files: &BTreeMap<&'static str, Vec<u8>>,
    is_touched: bool,
) -> Result<Predicate, BuildError> {
    let files = files.iter().map(|(name, bytes)| FileClaim { name: (*name).to_owned(), length: bytes.len() as u64 });
    let mut predicate = Predicate {
        kind: contents.kind,
        ledger: contents.ledger.to_string(),
        tenant_id: contents.tenant_id.clone(),
        exported_by: contents.exported_by.clone(),
        created_at: contents.created_at,
        checkpoint: CheckpointClaim { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root },
        options: contents.options.clone(),
        incident: contents.incident.clone(),
        period: contents.period,
        files: files.collect(),
        counts: summary.counts,
        totals: summary.totals,
        runs: summary.runs,
        withheld: summary.withheld,
        unproven: Vec::new(),
        completeness: Completeness { required: Vec::new(), missing: Vec::new(), forced: contents.forced },
    };
    predicate.unproven = unproven(&predicate);
    let (required, missing) = required(&predicate, is_touched);
    if !missing.is_empty() && !contents.forced {
        return Err(BuildError::Incomplete(missing));
    }
    predicate.completeness.required = required;
    predicate.completeness.missing = missing;
    Ok(predicate)
}

/// The members of a bundle that say more than its records bear out: signed, and no more.
pub(crate) fn unproven(predicate: &Predicate) -> Vec<String> {
    let names = predicate.files.iter().map(|file| &file.name);
    names.filter(|name| matches!(name.as_str(), "comparison.json" | "report.html")).cloned().collect()
}

/// What a bundle of this kind requires, and what of it is missing: by name, sorted. Steps and totals are required too, and
/// always there: none is a count of 0. `is_touched` says whether the period [`touches`] the runs.
pub(crate) fn required(predicate: &Predicate, is_touched: bool) -> (Vec<String>, Vec<String>) {
    let incident = predicate.incident.as_ref();
    let has = |name: &str| match name {
        "controls" => predicate.files.iter().any(|file| file.name == "controls.json"),
        "debrief" => predicate.files.iter().any(|file| file.name == "debrief.json"),
        "exported_by" => !predicate.exported_by.is_empty(),
        "incident" => incident.is_some(),
        "leaves" => predicate.files.iter().any(|file| file.name == "leaves.jsonl"),
        "period" => predicate.period.is_some() && (is_touched || predicate.kind == Kind::Period),
        "policy" => incident.is_some_and(|incident| incident.policy.is_some()),
        "run" => !predicate.runs.is_empty(),
        "severity" => incident.is_some_and(|incident| incident.severity.is_some()),
        "tenant_id" => !predicate.tenant_id.is_empty(),
        "violation_at" => incident.is_some_and(|incident| incident.violation_at.is_some()),
        _ => true,
    };
    let names: &[&str] = match predicate.kind {
        Kind::Evidence => &["created_at", "exported_by", "run", "steps", "tenant_id", "totals"],
        Kind::Soc2 => &["controls", "created_at", "exported_by", "period", "run", "steps", "tenant_id", "totals"],
        Kind::ExecutiveDebrief => &[
            "created_at",
            "debrief",
            "exported_by",
            "incident",
            "policy",
            "severity",
            "steps",
            "tenant_id",
            "totals",
            "violation_at",
        ],
        Kind::Period => &["created_at", "exported_by", "leaves", "period", "steps", "tenant_id", "totals"],
    };
    let owned = |names: Vec<&&str>| names.into_iter().map(|name| (*name).to_owned()).collect();
    (owned(names.iter().collect()), owned(names.iter().filter(|name| !has(name)).collect()))
}
