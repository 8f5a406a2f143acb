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

/// Another genuine bundle, of a shorter period or of a part of the run, once gave the same words.
#[test]
fn what_was_verified_is_said() {
    let place = Place::new();
    let said = |name: &str| {
        place
            .run(&["verify", &bundle(name), "--key", &key()])
            .code(0)
            .talk()
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (period, evidence) = (said("period.zip"), said("evidence.zip"));
    let times = "period 2026-11-20T10:00:01.000000000Z..2026-11-20T10:00:09.000000000Z";
    assert!(period[0].starts_with("claims: period at ") && period[0].contains(times), "{period:?}");
    assert!(!evidence[0].contains("..") && evidence[0].contains("of tenant acme, exported by auditor"), "{evidence:?}");
    assert_eq!(evidence[1], r#"asked for: {"subject":"run-1"}"#);
    assert!(evidence[2].starts_with("shows: 6 of 10 entries of tracekeep/"), "{evidence:?}");
    let json = place.run(&["verify", &bundle("period.zip"), "--key", &key(), "--json"]).code(0).out();
    for member in [r#""options":{"subject":"run-1"}"#, r#""tenant_id":"acme""#, r#""period":{"from":"2026-"#] {
        assert!(json.contains(member), "{member}: {json}");
    }
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
