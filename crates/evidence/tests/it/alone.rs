//! What stands by itself: checkpoints and proofs, held to keys and nothing else.

use tracekeep_core::Leaf;
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::json::Json;
use tracekeep_core::limits::JSON_DEPTH_MAX;
use tracekeep_core::merkle::{self, MemoryTiles};
use tracekeep_core::model::JsonObject;
use tracekeep_core::view::{LogEntry, SignedProof};
use tracekeep_core::wire::to_json;
use tracekeep_evidence::alone::{Brought, SIGNED_PROOF_BYTES_MAX, Standing, What, verify};
use tracekeep_evidence::bundle::{Outcome, Reason};
use tracekeep_evidence::{Checkpoint, NoteKey, SigningKey, TlogProof, WitnessRequest};

const LEDGER: &str = "000102030405060708090a0b0c0d0e0f";
const BODY: &str = r#"{"goal":"sign","op":"start_run","run_id":"run-1"}"#;
const SIZE: u64 = 11;
const PLACE: u64 = 3;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(format!("tracekeep/{LEDGER}"), [seed; 32]).unwrap()
}

fn salt() -> Salt {
    Salt::of_entry(&[3; 32], 0)
}

fn leaf_text(ledger: &str, body: &str) -> String {
    let leaf = Leaf {
        ledger: ledger.parse().unwrap(),
        run: "run-1",
        seq: 0,
        kind: "run_started",
        recorded_at: tracekeep_core::Timestamp::from_nanos(7),
        commit: Body::from_recorded(body).unwrap().commitment(&salt()),
    };
    leaf.text()
}

/// A log in which the entry stands at its place among others.
struct Log {
    tiles: MemoryTiles,
    leaf: String,
    body: String,
}

impl Log {
    fn of(ledger: &str) -> Self {
        Self::with(ledger, BODY)
    }

    fn with(ledger: &str, body: &str) -> Self {
        let (mut tiles, leaf) = (MemoryTiles::default(), leaf_text(ledger, body));
        for number in 0..SIZE {
            let text = if number == PLACE { leaf.as_bytes() } else { &number.to_be_bytes()[..] };
            tiles.push(merkle::leaf_hash(text));
        }
        Self { tiles, leaf, body: body.to_owned() }
    }

    fn leaf_hash(&self) -> Hash {
        merkle::leaf_hash(self.leaf.as_bytes())
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = merkle::root_at(&self.tiles, size).unwrap();
        Checkpoint { origin: format!("tracekeep/{LEDGER}"), size, root }
    }

    fn note(&self, size: u64) -> String {
        self.checkpoint(size).sign(&key(1)).unwrap().to_string()
    }

    fn tlog_proof(&self) -> String {
        TlogProof {
            extra: None,
            log_index: PLACE,
            hashes: merkle::inclusion_proof(&self.tiles, PLACE, SIZE).unwrap(),
            checkpoint: self.checkpoint(SIZE).sign(&key(1)).unwrap(),
        }
        .to_string()
    }

    fn signed_proof(&self) -> SignedProof {
        let entry = LogEntry {
            log_index: PLACE,
            leaf: JsonObject::new(Json::parse(&self.leaf).unwrap()).unwrap(),
            leaf_hash: self.leaf_hash(),
            body: Some(Json::parse(&self.body).unwrap()),
            salt: Some(Hash::from_bytes(*salt().as_bytes())),
            redacted_by: None,
        };
        let hashes = merkle::inclusion_proof(&self.tiles, PLACE, SIZE).unwrap();
        SignedProof { entry, tree_size: SIZE, hashes, checkpoint: self.note(SIZE) }
    }

    fn consistency(&self, from: u64) -> String {
        let hashes = merkle::consistency_proof(&self.tiles, from, SIZE).unwrap();
        let checkpoint = self.checkpoint(SIZE).sign(&key(1)).unwrap();
        WitnessRequest { from, hashes, checkpoint }.to_string()
    }
}

/// Verified with keys of these seeds, a checkpoint from before, and a leaf hash.
fn verified(text: &str, seeds: &[u8], old: Option<&str>, leaf_hash: Option<Hash>) -> Standing {
    let keys: Vec<NoteKey> = seeds.iter().map(|seed| key(*seed).public().clone()).collect();
    let brought = Brought { keys: &keys, old_checkpoint: old.map(str::as_bytes), leaf_hash };
    verify(text.as_bytes(), &brought).unwrap()
}

#[track_caller]
fn check(standing: &Standing, integrity: Option<Reason>, identity: Option<Reason>) {
    let found = standing.verdicts.each_ref().map(|verdict| verdict.reason);
    assert_eq!(found, [integrity, identity], "{}", standing.to_json());
    assert_eq!(standing.outcome() == Outcome::Pass, integrity.is_none() && identity.is_none());
}

fn log() -> Log {
    Log::of(LEDGER)
}

#[test]
fn each_passes_and_says_what_it_proves() {
    let (log, leaf) = (log(), log().leaf_hash());
    let note = verified(&log.note(SIZE), &[1], None, None);
    check(&note, None, None);
    let shown = note.shown.unwrap();
    assert_eq!((shown.what, shown.size, shown.root), (What::Checkpoint, SIZE, log.checkpoint(SIZE).root));
    let proof = verified(&log.tlog_proof(), &[2, 1], None, Some(leaf));
    check(&proof, None, None);
    let shown = proof.shown.unwrap();
    assert_eq!((shown.what, shown.log_index, shown.leaf_hash), (What::TlogProof, Some(PLACE), Some(leaf)));
    let proof = verified(to_json(&log.signed_proof()).as_str(), &[1], None, None);
    check(&proof, None, None);
    let shown = proof.shown.unwrap();
    assert_eq!((shown.leaf.unwrap().kind.as_str(), shown.body.unwrap().as_str()), ("run_started", BODY));
    for from in 1..=SIZE {
        let extends = verified(&log.consistency(from), &[1], Some(&log.note(from)), None);
        check(&extends, None, None);
        assert_eq!(extends.shown.unwrap().from, Some(from));
    }
}

/// Without a key nobody has signed; with another one somebody else has.
#[test]
fn trust_comes_from_the_key_that_is_brought() {
    let (log, leaf) = (log(), log().leaf_hash());
    let foreign = SigningKey::from_seed(format!("tracekeep/{}", "0".repeat(32)), [1; 32]).unwrap().public().clone();
    let old = log.note(5);
    let texts = [
        (log.note(SIZE), None, None),
        (log.tlog_proof(), None, Some(leaf)),
        (to_json(&log.signed_proof()).as_str().to_owned(), None, None),
        (log.consistency(5), Some(old.as_str()), None),
    ];
    for (text, old, leaf_hash) in texts {
        let unknown = Some(Reason::UnknownSigner);
        check(&verified(&text, &[9], old, leaf_hash), unknown, unknown);
        let keys = [foreign.clone()];
        let brought = Brought { keys: &keys, old_checkpoint: old.map(str::as_bytes), leaf_hash };
        check(&verify(text.as_bytes(), &brought).unwrap(), unknown, unknown);
        // Nobody knows the key of the checkpoint from before either.
        let integrity = if old.is_some() { Reason::UnknownOldCheckpoint } else { Reason::NoKey };
        check(&verified(&text, &[], old, leaf_hash), Some(integrity), Some(Reason::NoKey));
    }
}

#[test]
fn an_entry_is_proved_by_what_is_brought_of_it() {
    let (log, other) = (log(), merkle::leaf_hash(b"another"));
    check(&verified(&log.tlog_proof(), &[1], None, None), Some(Reason::NotBrought), None);
    check(&verified(&log.tlog_proof(), &[1], None, Some(other)), Some(Reason::WrongProof), None);
    let elsewhere = log.tlog_proof().replace("index 3", "index 4");
    check(&verified(&elsewhere, &[1], None, Some(log.leaf_hash())), Some(Reason::WrongProof), None);
    let proof = to_json(&log.signed_proof());
    check(&verified(proof.as_str(), &[1], None, Some(other)), Some(Reason::WrongProof), None);
    check(&verified(proof.as_str(), &[1], None, Some(log.leaf_hash())), None, None);
    let not_checked = Some(Reason::NotChecked);
    let changed = proof.as_str().replace(r#""goal":"sign""#, r#""goal":"sing""#);
    check(&verified(&changed, &[1], None, None), Some(Reason::WrongCommitment), not_checked);
    let changed = proof.as_str().replace(r#""kind":"run_started""#, r#""kind":"run_stopped""#);
    check(&verified(&changed, &[1], None, None), Some(Reason::WrongProof), not_checked);
    let unsalted = SignedProof { entry: LogEntry { salt: None, ..log.signed_proof().entry }, ..log.signed_proof() };
    check(&verified(to_json(&unsalted).as_str(), &[1], None, None), Some(Reason::WrongCommitment), not_checked);
    let erased = LogEntry { salt: None, body: None, ..log.signed_proof().entry };
    let erased = SignedProof { entry: erased, ..log.signed_proof() };
    check(&verified(to_json(&erased).as_str(), &[1], None, None), None, None);
    let padded = format!("{}{}", proof.as_str(), " ".repeat(SIGNED_PROOF_BYTES_MAX));
    check(&verified(&padded, &[1], None, None), Some(Reason::TooLarge), not_checked);
    let foreign = to_json(&Log::of(&"0".repeat(32)).signed_proof());
    let wrong = Some(Reason::WrongLedger);
    check(&verified(foreign.as_str(), &[1], None, None), wrong, wrong);
}

#[test]
fn a_checkpoint_from_before_must_be_extended() {
    let (log, other) = (log(), Log::of(&"0".repeat(32)));
    let check_old = |text: &str, old: &str, reason| check(&verified(text, &[1], Some(old), None), reason, None);
    check_old(&log.note(SIZE), &log.note(SIZE), None);
    check_old(&log.note(SIZE), &log.note(5), Some(Reason::NoConsistencyProof));
    check_old(&log.note(5), &log.note(SIZE), Some(Reason::OlderThanKnown));
    check_old(&log.note(SIZE), &other.note(SIZE), Some(Reason::WrongConsistency));
    check_old(&log.note(SIZE), "what is none", Some(Reason::UnknownOldCheckpoint));
    check_old(&log.consistency(5), &log.note(4), Some(Reason::NoConsistencyProof));
    check_old(&log.consistency(5), &other.note(5), Some(Reason::WrongProof));
    // At the size that it has, nobody looks at a proof from another one.
    check_old(&log.consistency(5), &log.note(SIZE), Some(Reason::NoConsistencyProof));
    check_old(&log.consistency(5), &other.note(SIZE), Some(Reason::WrongConsistency));
    let beyond = log.consistency(SIZE).replace("old 11\n", "old 12\n");
    for old in [Some(log.note(SIZE)), Some(log.note(5)), None] {
        check(&verified(&beyond, &[1], old.as_deref(), None), Some(Reason::WrongProof), None);
    }
    check_old(&log.consistency(SIZE), &other.note(SIZE), Some(Reason::WrongConsistency));
    check(&verified(&log.consistency(5), &[1], None, None), Some(Reason::NotBrought), None);
    let by_another = log.checkpoint(5).sign(&key(2)).unwrap().to_string();
    check_old(&log.consistency(5), &by_another, Some(Reason::UnknownOldCheckpoint));
    let origin = format!("tracekeep/{}", "0".repeat(32));
    let elsewhere = Checkpoint { origin, ..log.checkpoint(5) }.sign(&key(1)).unwrap().to_string();
    check_old(&log.consistency(5), &elsewhere, Some(Reason::UnknownOldCheckpoint));
}

/// What may be recorded nests as deep as a document may, and stands deeper in its proof.
#[test]
fn an_entry_is_proved_however_deep_it_nests() {
    let deepest = JSON_DEPTH_MAX as usize - 1;
    let params = format!("{}{}", "[".repeat(deepest), "]".repeat(deepest));
    let log = Log::with(LEDGER, &BODY.replace(r#""run_id""#, &format!(r#""params":{params},"run_id""#)));
    let standing = verified(to_json(&log.signed_proof()).as_str(), &[1], None, None);
    check(&standing, None, None);
    assert!(standing.to_json().as_str().contains(&params));
}

#[test]
fn what_is_none_of_them_has_no_verdict() {
    let log = log();
    let is_one = |text: &str| verify(text.as_bytes(), &Brought::default()).is_some();
    let proof = to_json(&log.signed_proof());
    let spread = proof.as_str().replacen("{\"checkpoint\":", "{\n  \"checkpoint\" : ", 1);
    assert!(is_one(proof.as_str()) && is_one(&spread) && is_one("old 5\n"));
    let consistency = r#"{"from":0,"from_root":"","hashes":[],"to":3,"to_root":""}"#;
    let nameless = proof.as_str().replace("\"tree_size\"", "\"size\"");
    let cut = &proof.as_str()[..proof.as_str().len() - 1];
    let texts = ["", "PK\x05\x06", "{", "{}", "{\"checkpoint\":\"tracekeep/\"}", consistency, &nameless, cut];
    let texts = texts.into_iter().chain(["old ", "old friends\n", "old 5", "old 05\n", "old 5 \n", "older\n"]);
    texts.for_each(|text| assert!(!is_one(text), "{text}"));
    // Nothing is read of what begins with another member.
    let late = proof.as_str().replacen('{', "{\"a\":[0],", 1);
    assert!(!is_one(&format!("{late}{}", " ".repeat(SIGNED_PROOF_BYTES_MAX))));
}

#[test]
fn each_says_what_it_does_not_prove() {
    let log = log();
    let texts =
        [log.note(SIZE), log.tlog_proof(), log.consistency(5), to_json(&log.signed_proof()).as_str().to_owned()];
    for text in texts {
        let standing = verified(&text, &[1], None, None);
        let open = standing.does_not_prove(&standing.verdicts[0]);
        assert!(open.contains("that whoever holds the key"), "{open}");
    }
}

/// Whatever is flipped or cut: nothing passes but what is the same text.
#[test]
fn what_was_changed_does_not_pass() {
    let (log, leaf) = (log(), log().leaf_hash());
    let old = log.note(5);
    let texts = [
        (log.note(SIZE), None, None),
        (log.tlog_proof(), None, Some(leaf)),
        (log.consistency(5), Some(old.as_bytes()), None),
        (to_json(&log.signed_proof()).as_str().to_owned(), None, Some(leaf)),
    ];
    let keys = [key(1).public().clone()];
    for (text, old_checkpoint, leaf_hash) in texts {
        let brought = Brought { keys: &keys, old_checkpoint, leaf_hash };
        let passes = |bytes: &[u8]| verify(bytes, &brought).is_some_and(|found| found.outcome() == Outcome::Pass);
        assert!(passes(text.as_bytes()));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!passes(&bytes), "bit {bit} of {text}");
        }
        for length in 0..text.len() {
            assert!(!passes(&text.as_bytes()[..length]), "{length} bytes of {text}");
        }
        assert!(!passes(format!("{text}x").as_bytes()));
    }
}
