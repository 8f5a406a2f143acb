//! What is built of a ledger verifies, each kind of it.

use tracekeep_evidence::bundle::{Aspect, Options, Outcome, Reason, build, verify};

use super::ledger::{golden, key_of, story};

#[test]
fn a_bundle_of_each_kind_verifies_and_is_the_same_each_time() {
    let ledger = story();
    for (name, contents) in golden(&ledger) {
        let bundle = build(&contents, &ledger.key).unwrap();
        assert_eq!(build(&contents, &ledger.key).unwrap(), bundle, "{name}");
        let report = verify(&bundle, &ledger.public(), &Options::default());
        assert_eq!(report.outcome(), Outcome::Pass, "{name}: {}", report.to_json());
    }
}

#[test]
fn without_a_key_nothing_is_confirmed_and_a_foreign_key_confirms_nothing() {
    let ledger = story();
    let (_, contents) = golden(&ledger).remove(0);
    let bundle = build(&contents, &ledger.key).unwrap();
    let report = verify(&bundle, &[], &Options::default());
    assert!(report.verdicts.iter().all(|verdict| verdict.reason == Some(Reason::NoKey)), "{}", report.to_json());
    assert_eq!(report.outcome(), Outcome::Unconfirmed);
    let foreign = [key_of(ledger.id, 8).public().clone()];
    let report = verify(&bundle, &foreign, &Options::default());
    assert_eq!(report.outcome(), Outcome::Fail);
    for aspect in [Aspect::Integrity, Aspect::Identity] {
        assert_eq!(report.verdict(aspect).reason, Some(Reason::UnknownSigner));
    }
    assert_eq!(report.verdict(Aspect::Time).reason, Some(Reason::NotChecked));
}

#[test]
fn the_log_extends_a_checkpoint_from_before_or_the_bundle_fails() {
    let ledger = story();
    let (_, contents) = golden(&ledger).remove(4);
    let bundle = build(&contents, &ledger.key).unwrap();
    let check = |old: &str, reason: Option<Reason>| {
        let report = verify(&bundle, &ledger.public(), &Options { old_checkpoint: Some(old.as_bytes()) });
        assert_eq!(report.verdict(Aspect::Integrity).reason, reason, "{old}");
    };
    let note = |size| ledger.checkpoint(size).sign(&ledger.key).unwrap().to_string();
    // By an entry of the run, by a leaf that stands alone, and by being the same.
    check(&note(4), None);
    check(&note(6), None);
    check(&note(10), None);
    check(&note(3), Some(Reason::NoConsistencyProof));
    check(&note(9), Some(Reason::NoConsistencyProof));
    let mut forked = ledger.checkpoint(4);
    forked.root = ledger.checkpoint(3).root;
    check(&forked.sign(&ledger.key).unwrap().to_string(), Some(Reason::WrongConsistency));
    let larger = tracekeep_evidence::Checkpoint { size: 11, ..ledger.checkpoint(10) };
    check(&larger.sign(&ledger.key).unwrap().to_string(), Some(Reason::OlderThanKnown));
    check(&ledger.checkpoint(4).sign(&key_of(ledger.id, 8)).unwrap().to_string(), Some(Reason::UnknownOldCheckpoint));
    check("no note", Some(Reason::UnknownOldCheckpoint));
}
