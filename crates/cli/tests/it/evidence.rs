//! `log` and `keys`: what the ledger signs, checked without it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tracekeep_core::id::LedgerId;
use tracekeep_core::view::SignedProof;
use tracekeep_core::wire::{from_text, to_json};
use tracekeep_evidence::{Checkpoint, NoteKey, SigningKey, TlogProof};

use crate::Place;

const RUN: &str = r#"{"op":"start_run","run_id":"r-1","goal":"sign"}
{"op":"record_step","run_id":"r-1","index":0,"skill_name":"search","params":{},"status":"success"}
{"op":"record_trace","run_id":"r-1","id":"t-1","trace_type":{"type":"Thought","content":"hm"}}
{"op":"complete_run","run_id":"r-1","status":"completed"}
"#;

fn filled() -> Place {
    let place = Place::new();
    place.run_with(&["record"], RUN).code(0);
    place
}

fn key(place: &Place) -> NoteKey {
    place.run(&["keys", "public"]).code(0).out().trim_end().parse().unwrap()
}

fn opened(place: &Place, note: &str, key: &NoteKey) -> Checkpoint {
    let ledger: LedgerId = key.name().strip_prefix("tracekeep/").unwrap().parse().unwrap();
    assert!(place.path().join("tracekeep.db.keys/head").exists());
    Checkpoint::open(note.as_bytes(), &Checkpoint::origin_of(ledger), std::slice::from_ref(key)).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_checkpoint_is_signed_and_a_proof_stands_by_itself() {
    let place = filled();
    let note = place.run(&["log", "checkpoint"]);
    let key = key(&place);
    let head = opened(&place, &note.code(0).out(), &key);
    assert_eq!(head.size, 5, "four entries, and the key's declaration");
    assert_eq!(place.run(&["log", "checkpoint"]).out(), note.out(), "the head has not moved");

    let proof = place.run(&["log", "proof", "1"]);
    let proof = TlogProof::parse(proof.code(0).out().as_bytes()).unwrap();
    for of in [&["--step", "0"][..], &["--trace", "t-1"], &[]] {
        let shown = place.run(&[&["log", "proof", "--run", "r-1"], of].concat());
        let shown: SignedProof = from_text(shown.code(0).out().trim_end().as_bytes()).unwrap();
        let checkpoint = opened(&place, &shown.checkpoint, &key);
        let (leaf, at) = (shown.entry.leaf_hash, shown.entry.log_index);
        let proved =
            tracekeep_core::merkle::verify_inclusion(&leaf, at, shown.tree_size, &shown.hashes, &checkpoint.root);
        assert_eq!(proved, Ok(()), "{of:?}");
        if at == 1 {
            proof.verify(leaf, &checkpoint.origin, std::slice::from_ref(&key)).unwrap();
        }
    }
    place.run(&["log", "proof", "--run", "r-1", "--step", "7"]).code(1);
    place.run(&["log", "proof", "9"]).code(1);
    place.run(&["log", "proof"]).code(2);

    let request = place.run(&["log", "witness-export", "--from", "3"]).code(0).out();
    let (asked, signed) = request.split_once("\n\n").unwrap();
    assert!(asked.starts_with("old 3\n"), "{asked}");
    opened(&place, signed, &key);
    place.run(&["log", "consistency", "--from", "3"]).code(0);
    place.run(&["log", "consistency", "--from", "9"]).code(1);
    assert!(place.run(&["keys", "show"]).code(0).out().contains("first"));
}

/// What an auditor has besides bundles: each is checked where there is neither a ledger nor a configuration.
#[test]
fn what_the_log_signs_is_verified_without_it() {
    let place = filled();
    let elsewhere = Place::new();
    fs::write(elsewhere.path().join("tracekeep.toml"), "no = [configuration").unwrap();
    let keep = |name: &str, args: &[&str]| {
        fs::write(elsewhere.path().join(name), place.run(args).code(0).out()).unwrap();
    };
    keep("seen.txt", &["log", "checkpoint"]);
    let receipt = place.run_with(&["record", "--json"], &RUN.replace("r-1", "r-2")).code(0).out();
    let leaf = receipt.split("\"leaf_hash\":\"").nth(1).unwrap()[..64].to_owned();
    let at = receipt.split("\"log_index\":").nth(1).unwrap().split([',', '}']).next().unwrap().to_owned();
    let size = fs::read_to_string(elsewhere.path().join("seen.txt")).unwrap().lines().nth(1).unwrap().to_owned();
    keep("key.txt", &["keys", "public"]);
    keep("now.txt", &["log", "checkpoint"]);
    keep("entry.tlog-proof", &["log", "proof", &at]);
    keep("step.json", &["log", "proof", "--run", "r-2", "--step", "0"]);
    keep("later.txt", &["log", "witness-export", "--from", &size]);
    let verify = |args: &[&str]| elsewhere.run(&[&["verify"], args, &["--key", "key.txt"]].concat());
    let said = |ended: &crate::Ended, word: &str| assert!(ended.talk().contains(word), "{}", ended.talk());

    let found = verify(&["seen.txt"]);
    said(found.code(0), "proven: there is the log tracekeep/");
    assert!(found.out().contains("identity   pass"), "{}", found.out());
    let found = verify(&["entry.tlog-proof", "--leaf", &leaf]);
    said(found.code(0), &format!("proven: entry {at}, leaf hash {leaf}, is in the log"));
    said(verify(&["entry.tlog-proof"]).code(3), "not_brought");
    let found = verify(&["entry.tlog-proof", "--leaf", &"0".repeat(64)]);
    said(found.code(1), "tracekeep explain wrong_proof");
    said(&found, "claimed: entry");
    said(verify(&["step.json"]).code(0), "(step of run r-2, its number 1, recorded at 2");
    let found = verify(&["step.json", "--json"]).code(0).out();
    assert!(found.contains(r#""outcome":"pass""#) && found.contains(r#""skill_name":"search""#), "{found}");
    assert!(!verify(&["step.json"]).talk().contains("not in this file"));
    let mut bare: SignedProof = from_text(&fs::read(elsewhere.path().join("step.json")).unwrap()).unwrap();
    (bare.entry.body, bare.entry.salt) = (None, None);
    fs::write(elsewhere.path().join("bare.json"), to_json(&bare).as_str()).unwrap();
    said(verify(&["bare.json"]).code(0), "; what it holds is not in this file");
    said(verify(&["later.txt", "--checkpoint", "seen.txt"]).code(0), &format!("extends that of {size} entries"));
    said(verify(&["later.txt"]).code(3), "not_brought");
    let beyond = place.run(&["log", "witness-export", "--from", "99999"]);
    said(beyond.code(2), &format!("from is at most {}, the later size", size.parse::<u64>().unwrap() + 4));
    said(verify(&["now.txt", "--checkpoint", "seen.txt"]).code(3), "no_consistency_proof");
    said(verify(&["seen.txt", "--checkpoint", "now.txt"]).code(1), "older_than_known");
    elsewhere.run(&["verify", "now.txt"]).code(3);
    let foreign = SigningKey::from_seed(key(&place).name(), [9; 32]).unwrap().public().to_string();
    said(elsewhere.run(&["verify", "now.txt", "--key", &foreign]).code(1), "unknown_signer");
    let cut = fs::read_to_string(elsewhere.path().join("now.txt")).unwrap().replacen('\u{2014}', "-", 1);
    fs::write(elsewhere.path().join("cut.txt"), cut).unwrap();
    said(verify(&["cut.txt"]).code(1), "malformed_checkpoint");
    fs::write(elsewhere.path().join("nothing.txt"), "a text").unwrap();
    said(
        verify(&["nothing.txt"]).code(2),
        "nothing.txt is none of what verify takes: a bundle (export), a checkpoint (log",
    );
    keep("consistency.json", &["log", "consistency", "--from", &size, "--json"]);
    said(verify(&["consistency.json"]).code(2), "log witness-export");
    said(verify(&["nothing.txt", "--leaf", &leaf]).code(2), "--leaf is for the proof of one entry");
    verify(&["entry.tlog-proof", "--leaf", "abc"]).code(2);
}

#[test]
fn a_database_that_was_put_back_is_not_signed() {
    let place = filled();
    let file = |name: &str| place.path().join(name);
    place.run(&["log", "checkpoint"]).code(0);
    fs::copy(file("tracekeep.db"), file("backup.db")).unwrap();
    place.run_with(&["record"], &RUN.replace("r-1", "r-2")).code(0);
    let signed = place.run(&["log", "checkpoint"]).code(0).out();
    let old_key = key(&place);

    fs::copy(file("backup.db"), file("tracekeep.db")).unwrap();
    let refused = place.run(&["log", "checkpoint", "--json"]);
    assert!(refused.code(1).talk().contains("checkpoint_fork"), "{}", refused.talk());
    place.run_with(&["record"], &RUN.replace("r-1", "r-3")).code(0);
    place.run_with(&["record"], &RUN.replace("r-1", "r-4")).code(0);
    let refused = place.run(&["keys", "public", "--json"]);
    assert!(refused.code(1).talk().contains("checkpoint_fork"), "as long again, and another log: {}", refused.talk());
    assert_eq!(fs::read_to_string(file("tracekeep.db.keys/head")).unwrap(), signed, "nothing was signed");

    place.run(&["keys", "rotate", "--json"]).code(1);
    let adopted = place.run(&["keys", "adopt", "--why", "the disk was lost", "--by", "ops", "--json"]).code(0).out();
    let new_key = key(&place);
    assert_ne!(new_key, old_key);
    opened(&place, &place.run(&["log", "checkpoint"]).code(0).out(), &new_key);
    assert!(place.run(&["keys", "show"]).out().contains("adopted"));
    // What it gives up is said, and kept as it was signed.
    let lost = opened(&place, &signed, &old_key);
    let given_up = format!("\"given_up\":{{\"root\":\"{}\",\"size\":{}}}", lost.root, lost.size);
    assert!(adopted.contains(&given_up), "{adopted}");
    let mut kept = fs::read_dir(file("tracekeep.db.keys/retired")).unwrap().map(|kept| kept.unwrap().path());
    let kept = kept.find(|kept| kept.extension().is_some_and(|of| of == "head")).unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), signed);
    place.run(&["keys", "adopt", "--why", "again"]).code(1);
    place.run(&["fsck"]).code(0);
}

#[test]
fn a_ledger_without_its_keys_is_not_signed() {
    let place = filled();
    place.run(&["log", "checkpoint"]).code(0);
    let keys = place.path().join("tracekeep.db.keys");
    copy(&keys, &place.path().join("away"));
    fs::remove_dir_all(&keys).unwrap();
    let refused = place.run(&["log", "checkpoint", "--json"]);
    assert!(refused.code(1).talk().contains("key_missing"), "{}", refused.talk());
    assert!(!keys.exists(), "no other key was made");

    // Back again, as a careless copy leaves it.
    copy(&place.path().join("away"), &keys);
    fs::set_permissions(&keys, PermissionsExt::from_mode(0o755)).unwrap();
    let refused = place.run(&["log", "checkpoint", "--json"]);
    assert!(refused.code(3).talk().contains("keys_unsafe"), "{}", refused.talk());
    fs::set_permissions(&keys, PermissionsExt::from_mode(0o700)).unwrap();
    fs::set_permissions(keys.join("key"), PermissionsExt::from_mode(0o640)).unwrap();
    let refused = place.run(&["log", "checkpoint", "--json"]);
    assert!(refused.code(3).talk().contains("keys_unsafe"), "{}", refused.talk());
    fs::set_permissions(keys.join("key"), PermissionsExt::from_mode(0o600)).unwrap();
    place.run(&["log", "checkpoint"]).code(0);

    // Those of another ledger.
    let other = filled();
    let foreign = other.path().join("tracekeep.db.keys");
    copy(&keys, &foreign);
    fs::set_permissions(&foreign, PermissionsExt::from_mode(0o700)).unwrap();
    let refused = other.run(&["log", "checkpoint", "--json"]);
    assert!(refused.code(1).talk().contains("foreign_key"), "{}", refused.talk());
}

#[test]
fn a_rotated_key_is_handed_the_trust_of_the_one_before_it() {
    let place = filled();
    place.run(&["log", "checkpoint"]).code(0);
    let old = key(&place);
    let secret = fs::read_to_string(place.path().join("tracekeep.db.keys/key")).unwrap();
    let rotated = place.run(&["keys", "rotate", "--why", "once a year"]).code(0).out();
    let (printed, handover) = rotated.trim_end().split_once('\n').unwrap();
    let new = key(&place);
    assert_eq!(printed.parse::<NoteKey>().unwrap(), new);
    assert_ne!(new, old);
    let note = place.run(&["log", "checkpoint"]).code(0).out();
    assert_eq!(opened(&place, &note, &old), opened(&place, &note, &new), "both sign what declares the new one");
    place.run_with(&["record"], &RUN.replace("r-1", "r-2")).code(0);
    let later = place.run(&["log", "checkpoint"]).code(0).out();
    opened(&place, &later, &new);
    assert_eq!(later.lines().filter(|line| line.starts_with('\u{2014}')).count(), 1, "the old one signs no more");
    // However much was signed since, and without the ledger.
    assert_eq!(place.run(&["keys", "handover"]).code(0).out().trim_end(), handover);
    place.run(&["keys", "rotate"]).code(0);
    let last = key(&place);
    fs::write(place.path().join("handovers"), place.run(&["keys", "handover"]).code(0).out()).unwrap();
    fs::write(place.path().join("old.pub"), format!("{old}\n")).unwrap();
    let elsewhere = Place::new();
    let file = place.path().join("handovers").display().to_string();
    for trusted in [old.to_string(), place.path().join("old.pub").display().to_string(), new.to_string()] {
        let followed = elsewhere.run(&["keys", "follow", &file, "--key", &trusted]);
        assert_eq!(followed.code(0).out().trim_end(), last.to_string());
    }
    // Whoever has the newest key is told so; a key that the log was never handed to leads nowhere.
    let newest = elsewhere.run(&["keys", "follow", &file, "--key", &last.to_string()]);
    assert_eq!(newest.code(0).out().trim_end(), last.to_string());
    assert!(newest.talk().contains("this key is the newest"), "{}", newest.talk());
    let foreign = SigningKey::from_seed(last.name(), [9; 32]).unwrap().public().to_string();
    let refused = elsewhere.run(&["keys", "follow", &file, "--key", &foreign]);
    assert!(refused.code(1).talk().contains("leads on from this key") && refused.out().is_empty());
    let forged = fs::read_to_string(&file).unwrap().replace("once a year", "once a week");
    fs::write(place.path().join("handovers"), forged).unwrap();
    let refused = elsewhere.run(&["keys", "follow", &file, "--key", &old.to_string()]);
    assert!(refused.code(1).talk().contains("wrong_proof"), "{}", refused.talk());
    place.run(&["keys", "handover", "0"]).code(1);
    let kept: String = fs::read_dir(place.path().join("tracekeep.db.keys"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(!kept.contains(secret.trim_end()), "the old private key is in nobody's place");
}
