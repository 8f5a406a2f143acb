//! Keys that may not sign, though nothing about them looks wrong.

use std::sync::Arc;

use tracekeep::{
    Checkpoint, Declaring, KeyFolder, KeyStore, LedgerStore, MemoryKeys, MemoryLedger, Signer, SigningKey,
};
use tracekeep_core::merkle::empty_root;

fn signer(ledger: &Arc<MemoryLedger>, keys: &Arc<MemoryKeys>) -> Signer {
    Signer::new(Arc::clone(ledger) as Arc<dyn LedgerStore>, Arc::clone(keys) as Arc<dyn KeyStore>)
}

fn saying(why: &str) -> Declaring {
    Declaring { why: Some(why.to_owned()), by: None }
}

#[test]
fn a_key_is_never_put_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let beside = KeyFolder::beside(&folder.path().join("x.db"));
    assert_eq!(beside.path(), folder.path().join("x.db.keys"));
    let kept: [Arc<dyn KeyStore>; 2] = [Arc::new(beside), Arc::new(MemoryKeys::default())];
    let key = |seed| SigningKey::from_seed("tracekeep/00", [seed; 32]).unwrap();
    for keys in kept {
        keys.put_key(&key(1)).unwrap();
        assert_eq!(keys.put_key(&key(2)).unwrap_err().code(), "conflict");
        assert_eq!(keys.key().unwrap().unwrap().public(), key(1).public());
    }
}

/// Trust in a key that was given up goes no further, though the key itself is still here.
#[test]
fn what_was_signed_before_an_adoption_is_not_signed_again() {
    let (ledger, keys) = (Arc::new(MemoryLedger::default()), Arc::new(MemoryKeys::default()));
    let signer = signer(&ledger, &keys);
    let first = signer.checkpoint().unwrap();
    signer.rotate(Declaring::default()).unwrap();
    assert_eq!(signer.checkpoint_at(first.checkpoint.size).unwrap(), first, "a rotation goes on");
    // As if more had been signed than the log has: a backup was put back.
    let key = keys.key().unwrap().unwrap();
    let ahead = Checkpoint { size: 99, ..first.checkpoint.clone() };
    keys.put_head(&ahead.sign(&key).unwrap().to_string()).unwrap();
    assert_eq!(signer.checkpoint().unwrap_err().code(), "checkpoint_fork");
    signer.adopt(saying("a backup was put back")).unwrap();
    signer.checkpoint().unwrap();
    for size in [first.checkpoint.size, first.checkpoint.size + 1] {
        let refused = signer.checkpoint_at(size).unwrap_err();
        assert_eq!(refused.code(), "key_missing", "{size}");
        assert!(refused.detail().contains("gave up the key"), "{refused}");
    }
}

/// A copy of the database from before its first signature, and the key lost: what was signed last still says that there was
/// one.
#[test]
fn no_first_key_is_made_where_something_was_signed() {
    let (ledger, keys) = (Arc::new(MemoryLedger::default()), Arc::new(MemoryKeys::default()));
    let key = SigningKey::from_seed(Checkpoint::origin_of(ledger.ledger()), [7; 32]).unwrap();
    let head = |size| Checkpoint { origin: Checkpoint::origin_of(ledger.ledger()), size, root: empty_root() };
    keys.put_head(&head(3).sign(&key).unwrap().to_string()).unwrap();
    assert_eq!(signer(&ledger, &keys).checkpoint().unwrap_err().code(), "key_missing");
    assert!(keys.key().unwrap().is_none(), "no key was made");
    // Nothing is what a key has signed that was about to be made.
    keys.put_head(&head(0).sign(&key).unwrap().to_string()).unwrap();
    signer(&ledger, &keys).checkpoint().unwrap();
}

/// A rotation that was interrupted is completed by the key that began it, and by no other ledger's.
#[test]
fn a_foreign_key_hands_nothing_over() {
    let (ledger, keys) = (Arc::new(MemoryLedger::default()), Arc::new(MemoryKeys::default()));
    let signed = signer(&ledger, &keys).checkpoint().unwrap();
    let old = keys.key().unwrap().unwrap();
    signer(&ledger, &keys).rotate(Declaring::default()).unwrap();
    let new = keys.key().unwrap().unwrap();
    let interrupted = |key: &SigningKey| {
        let keys = Arc::new(MemoryKeys::default());
        keys.put_key(key).unwrap();
        keys.put_next(&new).unwrap();
        keys.put_head(&signed.note.to_string()).unwrap();
        signer(&ledger, &keys).checkpoint()
    };
    let foreign = SigningKey::from_seed("tracekeep/another", [7; 32]).unwrap();
    assert_eq!(interrupted(&foreign).unwrap_err().code(), "foreign_key");
    assert_eq!(interrupted(&old).unwrap().checkpoint.size, 2);
}
