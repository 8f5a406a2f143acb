//! What is fuzzed of the evidence: each function takes any bytes, and panics where something is wrong.
//!
//! `cargo xtask fuzz` drives them by coverage, the tests of crate `evidence` by chance.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use serde_json::{Value, json};
use tracekeep_core::hash::sha256;
use tracekeep_core::json::canonical_json;
use tracekeep_evidence::alone::{self, Brought, What};
use tracekeep_evidence::bundle::{Options, Outcome, verify};
use tracekeep_evidence::{Checkpoint, Note, NoteKey, SigningKey, TlogProof, WitnessRequest};

/// A name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets, by name.
pub const TARGETS: [Target; 4] = [("note", note), ("proof", proof), ("manifest", manifest), ("bundle", bundle)];

type Members = BTreeMap<String, Vec<u8>>;

const LEDGER: &str = "000102030405060708090a0b0c0d0e0f";
/// Members that prove themselves: with anything else in their place a bundle does not pass, whoever signs its manifest.
const PROVEN: [&str; 3] = ["checkpoint", "proof.json", "records.jsonl"];

static BUNDLE: &[u8] = include_bytes!("../../vectors/bundles/withheld.zip");
static MEMBERS: LazyLock<Members> = LazyLock::new(|| unzip(BUNDLE));
static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_seed(format!("tracekeep/{LEDGER}"), [7; 32]).expect("a ledger's id is a name"));

fn keys() -> [NoteKey; 1] {
    [KEY.public().clone()]
}

/// Signed notes, checkpoints and keys as text: what is read is written as it was.
pub fn note(data: &[u8]) {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        let _ = note.verify(&keys());
    }
    if let Ok(checkpoint) = Checkpoint::open(data, KEY.public().name(), &keys()) {
        assert!(data.starts_with(checkpoint.text().as_bytes()));
    }
    if let Ok(key) = std::str::from_utf8(data).unwrap_or_default().parse::<NoteKey>() {
        assert_eq!(key.to_string().as_bytes(), data);
    }
}

/// Proofs that stand by themselves: what is read is written as it was, and none passes for an entry that is in no log.
pub fn proof(data: &[u8]) {
    if let Ok(request) = WitnessRequest::parse(data) {
        assert_eq!(request.to_string().as_bytes(), data);
    }
    let brought = Brought { keys: &keys(), old_checkpoint: None, leaf_hash: Some(sha256(&[b"a leaf"])) };
    if let Some(standing) = alone::verify(data, &brought) {
        assert!(standing.outcome() != Outcome::Pass || standing.what == What::Checkpoint, "{}", standing.to_json());
    }
    if let Ok(proof) = TlogProof::parse(data) {
        assert_eq!(proof.to_string().as_bytes(), data);
        let _ = proof.verify(sha256(&[b"a leaf"]), KEY.public().name(), &keys());
    }
}

/// Manifests: as they are, and as the payload of one that is signed.
pub fn manifest(data: &[u8]) {
    for manifest in [data.to_vec(), canonical(&envelope(data))] {
        let mut members = MEMBERS.clone();
        members.insert("manifest.json".to_owned(), manifest);
        let _ = verify(&zip(&members), &keys(), &Options::default()).to_json();
    }
}

/// Bundles: any bytes; and a bundle of which one member, by the first byte, is what follows it, its manifest made to fit by
/// somebody who has the key.
pub fn bundle(data: &[u8]) {
    let _ = verify(data, &keys(), &Options { old_checkpoint: Some(&MEMBERS["checkpoint"]) }).to_json();
    let Some((first, rest)) = data.split_first() else { return };
    let name = MEMBERS.keys().nth(usize::from(*first) % MEMBERS.len()).expect("a place below the length");
    let report = verify(&forged(name, rest), &keys(), &Options { old_checkpoint: Some(&MEMBERS["checkpoint"]) });
    if report.outcome() == Outcome::Pass && PROVEN.contains(&name.as_str()) {
        assert_eq!(proven(name, rest), proven(name, &MEMBERS[name]), "{name} passes as something else");
    }
}

/// What of a member nothing else may stand for: of the proofs those of the entries, since the one from an earlier size is
/// looked at where somebody brings a checkpoint of that size.
fn proven(name: &str, bytes: &[u8]) -> Value {
    match name {
        "proof.json" => serde_json::from_slice::<Value>(bytes).expect("what passes is JSON")["nodes"].take(),
        _ => bytes.into(),
    }
}

/// What the targets start from: (target, bytes).
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let checkpoint = MEMBERS["checkpoint"].clone();
    let text = String::from_utf8(checkpoint.clone()).expect("a checkpoint is text");
    let hash = STANDARD.encode([7; 32]);
    let envelope: Value = serde_json::from_slice(&MEMBERS["manifest.json"]).expect("a manifest is JSON");
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap_or_default()).expect("a payload is base64");
    let mut seeds = vec![
        ("note", checkpoint),
        ("note", KEY.public().to_string().into_bytes()),
        ("proof", format!("c2sp.org/tlog-proof@v1\nindex 3\n{hash}\n{hash}\n\n{text}").into_bytes()),
        ("proof", format!("c2sp.org/tlog-proof@v1\nextra aGk=\nindex 0\n\n{text}").into_bytes()),
        ("proof", format!("old 3\n{hash}\n{hash}\n\n{text}").into_bytes()),
        ("manifest", payload),
        ("manifest", MEMBERS["manifest.json"].clone()),
        ("bundle", BUNDLE.to_vec()),
    ];
    for (place, bytes) in (0u8..).zip(MEMBERS.values()) {
        seeds.push(("bundle", [&[place][..], bytes].concat()));
    }
    seeds
}

fn forged(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut members = MEMBERS.clone();
    let old: Value = serde_json::from_slice(&members["manifest.json"]).expect("a manifest is JSON");
    let payload = STANDARD.decode(old["payload"].as_str().unwrap_or_default()).expect("a payload is base64");
    let mut statement: Value = serde_json::from_slice(&payload).expect("a statement is JSON");
    let digest = sha256(&[bytes]).to_string();
    if let Some(place) = statement["subject"].as_array().and_then(|all| all.iter().position(|row| row["name"] == name))
    {
        statement["subject"][place]["digest"]["sha256"] = json!(digest);
        members.insert("manifest.json".to_owned(), canonical(&envelope(&canonical(&statement))));
    }
    members.insert(name.to_owned(), bytes.to_vec());
    zip(&members)
}

fn envelope(payload: &[u8]) -> Value {
    let kind = "application/vnd.in-toto+json";
    let signed = [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), payload].concat();
    let signature = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).sign(&signed).to_bytes();
    let keyid = format!("{}+{:08x}", KEY.public().name(), KEY.public().id());
    let signatures = json!([{"keyid": keyid, "sig": STANDARD.encode(signature)}]);
    json!({"payload": STANDARD.encode(payload), "payloadType": kind, "signatures": signatures})
}

fn canonical(value: &Value) -> Vec<u8> {
    canonical_json(value.to_string().as_bytes()).expect("what was written is JSON").into_bytes()
}

/// A zip of stored members.
fn zip(members: &Members) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let long = |number: usize| (number as u32).to_le_bytes();
    for (name, bytes) in members {
        let offset = long(out.len());
        let (crc, length) = (rawzip::crc32(bytes).to_le_bytes(), long(bytes.len()));
        let sizes = [&crc[..], &length, &length, &long(name.len())].concat();
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 33, 0][..], &sizes].concat();
        out.extend_from_slice(&[b"PK\x03\x04", &common[..], name.as_bytes(), bytes].concat());
        directory.extend_from_slice(&[b"PK\x01\x02\x14\x03", &common[..], &[0; 10], &offset, name.as_bytes()].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let place = [long(directory.len()), long(out.len())];
    out.extend_from_slice(&directory);
    out.extend_from_slice(&[b"PK\x05\x06\0\0\0\0", &count[..], &count, &place[0], &place[1], &[0; 2]].concat());
    out
}

fn unzip(bundle: &[u8]) -> Members {
    let archive = rawzip::ZipArchive::from_slice(bundle).expect("a fixture is a zip");
    let (mut entries, mut members) = (archive.entries(), Members::new());
    while let Ok(Some(entry)) = entries.next_entry() {
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        members.insert(name, archive.get_entry(entry.wayfinder()).expect("a fixture is whole").data().to_vec());
    }
    members
}
