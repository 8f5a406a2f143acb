//! What is fuzzed of the evidence: each function takes any bytes, and panics where something is wrong.
//!
//! `cargo xtask fuzz` drives them by coverage, the tests of crate `evidence` by chance.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use serde_json::{Value, json};
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt, sha256};
use tracekeep_core::json::canonical_json;
use tracekeep_core::merkle::{self, MemoryTiles};
use tracekeep_core::{Leaf, Timestamp};
use tracekeep_evidence::alone::{self, Brought, Shown, What};
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

/// A log of so many entries that the same key signs, with one at a place that is known, and what it holds.
const SIZE: u64 = 11;
const PLACE: u64 = 3;
const BODY: &str = r#"{"goal":"sign","op":"start_run","run_id":"run-1"}"#;

static LEAF: LazyLock<String> = LazyLock::new(|| {
    let leaf = Leaf {
        ledger: LEDGER.parse().expect("a ledger's id"),
        run: "run-1",
        seq: 0,
        kind: "run_started",
        recorded_at: Timestamp::from_nanos(7),
        commit: Body::from_recorded(BODY).expect("a body").commitment(&salt()),
    };
    leaf.text()
});
static LOG: LazyLock<MemoryTiles> = LazyLock::new(|| {
    let mut tiles = MemoryTiles::default();
    (0..SIZE).for_each(|at| tiles.push(if at == PLACE { leaf_hash() } else { sha256(&[&at.to_be_bytes()]) }));
    tiles
});

fn salt() -> Salt {
    Salt::of_entry(&[3; 32], 0)
}

fn leaf_hash() -> Hash {
    merkle::leaf_hash(LEAF.as_bytes())
}

/// The log's checkpoint at a size.
fn signed(size: u64) -> Note {
    let root = merkle::root_at(&*LOG, size).expect("a size that it had");
    Checkpoint { origin: KEY.public().name().to_owned(), size, root }.sign(&KEY).expect("a key of this log")
}

/// Proofs that stand by themselves: what is read is written as it was; none passes for an entry that is in no log, or for
/// anything but the entry, and the checkpoint from before, that the verifier brings.
pub fn proof(data: &[u8]) {
    if let Ok(request) = WitnessRequest::parse(data) {
        assert_eq!(request.to_string().as_bytes(), data);
    }
    let passed = |leaf: Hash, old: Option<u64>| {
        let old = old.map(|size| signed(size).to_string());
        let old_checkpoint = old.as_deref().map(str::as_bytes);
        let brought = Brought { keys: &keys(), old_checkpoint, leaf_hash: Some(leaf) };
        let standing = alone::verify(data, &brought)?;
        let _ = standing.to_json();
        let is_passed = standing.outcome() == Outcome::Pass;
        standing.shown.filter(|_| is_passed)
    };
    if let Some(shown) = passed(sha256(&[b"a leaf"]), None) {
        assert_eq!(shown.what, What::Checkpoint);
    }
    for old_size in [SIZE, 5] {
        let Some(shown) = passed(leaf_hash(), Some(old_size)) else { continue };
        let Shown { what, size, from, log_index, leaf_hash: shown_hash, .. } = shown;
        let holds = match what {
            What::Consistency => from == Some(old_size),
            What::Checkpoint => size == old_size,
            What::TlogProof | What::SignedProof => {
                (size, log_index, shown_hash) == (old_size, Some(PLACE), Some(leaf_hash()))
            }
        };
        assert!(holds, "{what} from {from:?}, entry {log_index:?}, in {size} entries passes with {old_size}");
    }
    if let Ok(proof) = TlogProof::parse(data) {
        assert_eq!(proof.to_string().as_bytes(), data);
        let _ = proof.verify(sha256(&[b"a leaf"]), KEY.public().name(), &keys());
    }
}

/// What passes, and what differs from it in one number.
fn proofs() -> Vec<(&'static str, Vec<u8>)> {
    let hashes = merkle::inclusion_proof(&*LOG, PLACE, SIZE).expect("a place in it");
    let tlog = TlogProof { extra: None, log_index: PLACE, hashes: hashes.clone(), checkpoint: signed(SIZE) };
    let extends = |from: u64| {
        let hashes = merkle::consistency_proof(&*LOG, from.min(SIZE), SIZE).expect("a size that it had");
        WitnessRequest { from, hashes, checkpoint: signed(SIZE) }.to_string()
    };
    let hashes: Vec<String> = hashes.iter().map(ToString::to_string).collect();
    let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let salt = Hash::from_bytes(*salt().as_bytes()).to_string();
    let entry = json!({"log_index": PLACE, "leaf": parsed(&LEAF), "leaf_hash": leaf_hash().to_string(),
        "body": parsed(BODY), "salt": salt});
    let note = signed(SIZE).to_string();
    let whole = json!({"checkpoint": note, "entry": entry, "hashes": hashes, "tree_size": SIZE});
    let whole = String::from_utf8(canonical(&whole)).expect("JSON is text");
    let texts = [note, tlog.to_string(), extends(5), extends(SIZE), extends(999_999), extends(0), whole];
    texts.into_iter().map(|text| ("proof", text.into_bytes())).collect()
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
    seeds.extend(proofs());
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
