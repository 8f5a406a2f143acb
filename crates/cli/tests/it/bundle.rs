//! Verifying a bundle: the fixtures, with nothing around but a key.

use std::path::PathBuf;

use crate::Place;
use tracekeep_core::json::{Json, Value};

fn bundle(name: &str) -> String {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/bundles")).join(name).to_str().unwrap().to_owned()
}

/// The ledger's key, as the fixtures have it.
fn key() -> String {
    let cases = std::fs::read_to_string(bundle("cases.json")).unwrap();
    let cases = Json::parse(&cases).unwrap();
    let Value::Array(cases) = cases.value() else { panic!("cases are an array") };
    let keys = cases[0].as_object().unwrap().get("keys").unwrap();
    keys.as_array().unwrap()[0].as_str().unwrap().to_owned()
}

#[test]
fn a_bundle_is_verified_with_a_key_and_nothing_else() {
    let place = Place::new();
    // Neither a ledger nor a configuration is looked at.
    std::fs::write(place.path().join("tracekeep.toml"), "no = [configuration").unwrap();
    let key = key();
    let found = place.run(&["verify", &bundle("evidence.zip"), "--key", &key]);
    let out = found.code(0).out();
    let rows: Vec<_> = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows[1..4], ["integrity pass", "identity pass key_not_declared", "time pass created_at_not_shown"]);
    assert!(out.contains("integrity: that what was recorded is true"), "{out}");
    assert!(found.talk().contains("claims: evidence, incident inc-1, run run-1 at "), "{}", found.talk());
    assert!(!place.path().join("tracekeep.db").exists());
    std::fs::write(place.path().join("key.txt"), format!("# the ledger's\n{key}\n")).unwrap();
    place.run(&["verify", &bundle("withheld.zip"), "--key", "key.txt"]).code(0);
    place.run(&["verify", &bundle("evidence.zip")]).code(3);
    let failed = place.run(&["verify", &bundle("wrong_run_root.zip"), "--key", &key, "--json"]);
    assert!(failed.code(1).out().contains("\"outcome\":\"fail\",\"reason\":\"wrong_run_root\""), "{}", failed.out());
    let failed = place.run(&["verify", &bundle("flipped_bit.zip"), "--key", &key]);
    assert!(failed.code(1).out().contains("wrong_members (report.html)"), "{}", failed.out());
    let failed = place.run(&["verify", &bundle("wrong_commitment.zip"), "--key", &key, "--json"]);
    assert!(failed.code(1).out().contains(r#""place":"records.jsonl line 3","reason":"wrong_commitment""#));
    place.run(&["verify", &bundle("not_a_zip.zip"), "--key", &key]).code(2);
    place.run(&["verify", &bundle("nowhere.zip"), "--key", &key]).code(2);
    place.run(&["verify", &bundle("evidence.zip"), "--key", "key+text"]).code(2);
    place.run(&["verify", &bundle("evidence.zip"), "--key", "no-such-file"]).code(2);
    place.run(&["verify", &bundle("evidence.zip"), "--run", "run-1"]).code(2);
    // Of small order: with it, anything could be signed.
    let weak = "tracekeep/x+5d63f0c1+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    place.run(&["verify", &bundle("evidence.zip"), "--key", weak]).code(2);
}

#[test]
fn a_checkpoint_from_before_must_be_extended() {
    let place = Place::new();
    let old = |name: &str| {
        let cases = Json::parse(&std::fs::read_to_string(bundle("cases.json")).unwrap()).unwrap();
        let Value::Array(cases) = cases.value() else { panic!("cases are an array") };
        let case = cases.iter().map(|case| case.as_object().unwrap());
        let case = case.clone().find(|case| case.get("name").unwrap().as_str() == Some(name)).unwrap();
        std::fs::write(place.path().join(name), case.get("old_checkpoint").unwrap().as_str().unwrap()).unwrap();
        place.run(&["verify", &bundle("withheld.zip"), "--key", &key(), "--checkpoint", name])
    };
    old("extends_old").code(0);
    old("wrong_consistency").code(1);
    old("older_than_known").code(1);
    old("no_consistency_proof").code(3);
}
