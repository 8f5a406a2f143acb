//! From one key to the next, by an entry that the old one's signature is over.

use tracekeep_core::Leaf;
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::json::Json;
use tracekeep_core::merkle::{leaf_hash, root_of};
use tracekeep_core::model::JsonObject;
use tracekeep_core::view::{LogEntry, SignedProof};
use tracekeep_evidence::{Checkpoint, Code, NoteKey, SigningKey, follow};

const LEDGER: &str = "000102030405060708090a0b0c0d0e0f";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(format!("tracekeep/{LEDGER}"), [seed; 32]).unwrap()
}

fn public(seed: u8) -> NoteKey {
    key(seed).public().clone()
}

/// An entry of this kind and body behind five others, in a checkpoint by these keys.
fn shown(kind: &str, body: &str, signers: &[u8]) -> SignedProof {
    let salt = Salt::of_entry(&[3; 32], 0);
    let leaf = Leaf {
        ledger: LEDGER.parse().unwrap(),
        run: "",
        seq: 1,
        kind,
        recorded_at: tracekeep_core::Timestamp::from_nanos(7),
        commit: Body::from_recorded(body).unwrap().commitment(&salt),
    };
    let mut leaves: Vec<Hash> = (0..5u8).map(|other| leaf_hash(&[other])).collect();
    leaves.push(leaf.hash());
    let hashes = vec![leaves[4], root_of(&leaves[..4])];
    let checkpoint = Checkpoint { origin: key(1).public().name().to_owned(), size: 6, root: root_of(&leaves) };
    let mut note = checkpoint.sign(&key(signers[0])).unwrap();
    signers[1..].iter().for_each(|signer| note.sign_also(&key(*signer)));
    let entry = LogEntry {
        log_index: 5,
        leaf: JsonObject::new(Json::parse(&leaf.text()).unwrap()).unwrap(),
        leaf_hash: leaf.hash(),
        body: Some(Json::parse(body).unwrap()),
        salt: Some(Hash::from_bytes(*salt.as_bytes())),
        redacted_by: None,
    };
    SignedProof { entry, tree_size: 6, hashes, checkpoint: note.to_string() }
}

fn says(new: &NoteKey, previous: &NoteKey, reason: &str) -> String {
    format!(r#"{{"key":"{new}","op":"declare_key","previous":"{previous}","reason":"{reason}"}}"#)
}

fn refuses(trusted: u8, shown: &SignedProof, code: Code) {
    assert_eq!(follow(&public(trusted), shown).map_err(|error| error.code()), Err(code));
}

#[test]
fn who_trusts_the_old_key_follows_to_the_new_one() {
    let honest = shown("signing_key", &says(&public(2), &public(1), "rotated"), &[1, 2]);
    assert_eq!(follow(&public(1), &honest), Ok(public(2)));
    refuses(2, &honest, Code::UnknownSigner);
    refuses(3, &honest, Code::UnknownSigner);
}

/// Anybody can add a signature of their own to what the old key has signed: that hands nothing over.
#[test]
fn a_second_signature_alone_hands_nothing_over() {
    let mut forged = shown("signing_key", &says(&public(2), &public(1), "rotated"), &[1, 2, 3]);
    assert_eq!(follow(&public(1), &forged), Ok(public(2)), "to the key that is declared, and no other");
    forged.entry.body = Some(Json::parse(&says(&public(3), &public(1), "rotated")).unwrap());
    refuses(1, &forged, Code::WrongProof);
}

#[test]
fn what_does_not_hold_hands_nothing_over() {
    let said = says(&public(2), &public(1), "rotated");
    let honest = shown("signing_key", &said, &[1, 2]);
    let changed = |change: &dyn Fn(&mut SignedProof)| {
        let mut shown = honest.clone();
        change(&mut shown);
        shown
    };
    for wrong in [
        changed(&|shown| shown.entry.log_index = 4),
        changed(&|shown| shown.hashes[0] = Hash::from_bytes([0; 32])),
        changed(&|shown| shown.hashes.truncate(1)),
        changed(&|shown| shown.entry.body = None),
        changed(&|shown| shown.entry.salt = None),
        changed(&|shown| shown.entry.salt = Some(Hash::from_bytes([0; 32]))),
        // An adoption, something else that says the same.
        shown("signing_key", &says(&public(2), &public(1), "adopted"), &[1, 2]),
        shown("step", &said, &[1, 2]),
    ] {
        refuses(1, &wrong, Code::WrongProof);
    }
    let foreign = SigningKey::from_seed("tracekeep/other", [2; 32]).unwrap().public().clone();
    refuses(1, &shown("signing_key", &says(&foreign, &public(1), "rotated"), &[1, 2]), Code::WrongOrigin);
    refuses(1, &shown("signing_key", &says(&public(2), &public(3), "rotated"), &[1, 2]), Code::UnknownSigner);
    // The new key has to be somebody's who takes over; the old one to be who hands over.
    refuses(1, &shown("signing_key", &said, &[1]), Code::UnknownSigner);
    refuses(1, &shown("signing_key", &said, &[2]), Code::UnknownSigner);
    refuses(1, &changed(&|shown| shown.checkpoint = shown.checkpoint.replace("\n6\n", "\n7\n")), Code::BadSignature);
}
