//! Whatever step fails, before or after it was done: nothing is signed that contradicts what was, and the next call goes on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tracekeep::{
    Checkpoint, DeclaredKey, Declaring, Error, KeyStore, LedgerStore, MemoryKeys, MemoryLedger, NoteKey, PageRequest,
    Result, SignedCheckpoint, Signer, SigningKey, Tracekeep,
};

use tracekeep_core::hash::Hash;
use tracekeep_evidence::follow;
use tracekeep_store::{Code, block_on};

use crate::{opened, record};

/// Keys whose n-th write fails: before it is done, or after.
#[derive(Debug, Default)]
struct Failing {
    inner: MemoryKeys,
    writes: AtomicU32,
    fails: Mutex<Option<(u32, bool)>>,
    heads: Mutex<Vec<String>>,
}

impl Failing {
    fn fail(&self, write: u32, is_done: bool) {
        self.writes.store(0, Ordering::Relaxed);
        *self.fails.lock().unwrap() = Some((write, is_done));
    }

    fn write(&self, done: impl FnOnce() -> Result<()>) -> Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let failed = || Err(Error::new(Code::StorageFailed, "injected"));
        match *self.fails.lock().unwrap() {
            Some((at, false)) if at == number => failed(),
            Some((at, true)) if at == number => done().and_then(|()| failed()),
            _ => done(),
        }
    }
}

impl KeyStore for Failing {
    fn key(&self) -> Result<Option<SigningKey>> {
        self.inner.key()
    }

    fn put_key(&self, key: &SigningKey) -> Result<()> {
        self.write(|| self.inner.put_key(key))
    }

    fn next(&self) -> Result<Option<SigningKey>> {
        self.inner.next()
    }

    fn put_next(&self, key: &SigningKey) -> Result<()> {
        self.write(|| self.inner.put_next(key))
    }

    fn promote(&self) -> Result<()> {
        self.write(|| self.inner.promote())
    }

    fn head(&self) -> Result<Option<Vec<u8>>> {
        self.inner.head()
    }

    fn put_head(&self, note: &str) -> Result<()> {
        self.write(|| {
            self.heads.lock().unwrap().push(note.to_owned());
            self.inner.put_head(note)
        })
    }

    fn retired(&self, public: &str) -> Result<Option<SigningKey>> {
        self.inner.retired(public)
    }

    fn set_head_aside(&self) -> Result<()> {
        self.write(|| self.inner.set_head_aside())
    }

    fn put_handover(&self, key: &NoteKey, note: &str) -> Result<()> {
        self.write(|| self.inner.put_handover(key, note))
    }

    fn handover(&self, key: &NoteKey) -> Result<Option<Vec<u8>>> {
        self.inner.handover(key)
    }

    fn is_lasting(&self) -> bool {
        true
    }
}

fn first_root(bench: &Bench) -> Hash {
    block_on(bench.ledger.consistency(1, None)).unwrap().from_root
}

struct Bench {
    tracekeep: Tracekeep,
    ledger: Arc<dyn LedgerStore>,
    keys: Arc<Failing>,
    signer: Signer,
}

impl Bench {
    fn new() -> Self {
        let ledger: Arc<dyn LedgerStore> = Arc::new(MemoryLedger::default());
        let keys = Arc::new(Failing::default());
        let signer = Signer::new(Arc::clone(&ledger), Arc::clone(&keys) as Arc<dyn KeyStore>);
        Self { tracekeep: Tracekeep::over(Arc::clone(&ledger)), ledger, keys, signer }
    }

    /// Another process, with what is kept.
    fn restart(&mut self) {
        self.signer = Signer::new(Arc::clone(&self.ledger), Arc::clone(&self.keys) as Arc<dyn KeyStore>);
    }

    fn signed_last(&self) -> Checkpoint {
        self.read(&self.keys.head().unwrap().unwrap())
    }

    fn read(&self, note: &[u8]) -> Checkpoint {
        let keys = block_on(self.ledger.signing_keys(&PageRequest::default())).unwrap().items;
        let keys: Vec<NoteKey> = keys.iter().map(|key| key.key.parse().unwrap()).collect();
        Checkpoint::open(note, &Checkpoint::origin_of(self.ledger.ledger()), &keys).unwrap()
    }

    /// Whatever was kept as signed last is of the one log, and never less than before.
    #[track_caller]
    fn is_one_log(&self) {
        let heads = self.keys.heads.lock().unwrap();
        // The first is that of no entries.
        let heads: Vec<Checkpoint> = heads[1..].iter().map(|note| self.read(note.as_bytes())).collect();
        assert!(heads.is_sorted_by(|a, b| a.size <= b.size), "{heads:?}");
        for head in heads {
            assert_eq!(block_on(self.ledger.consistency(head.size, None)).unwrap().from_root, head.root);
        }
    }

    /// Whoever trusts the one key follows to the other, by a note that ends with its declaration.
    #[track_caller]
    fn is_handed_over(&self, before: &DeclaredKey, now: &DeclaredKey) {
        let shown = self.signer.handover(now.log_index).unwrap();
        assert_eq!(shown.tree_size, now.log_index + 1);
        let next = follow(&before.key.parse().unwrap(), &shown).unwrap();
        assert_eq!(next.to_string(), now.key);
    }

    /// What left the signer was kept before.
    #[track_caller]
    fn is_kept(&self, signed: &SignedCheckpoint) {
        opened(&self.signer, &self.ledger, signed);
        assert_eq!(self.keys.head().unwrap(), Some(signed.note.to_string().into_bytes()));
    }
}

#[test]
fn a_first_signature_that_fails_at_any_write_goes_on_the_next_time() {
    // put_head of nothing, put_key, put_head.
    for (write, is_done) in (0..3).flat_map(|write| [(write, false), (write, true)]) {
        let bench = Bench::new();
        record(&bench.tracekeep);
        bench.keys.fail(write, is_done);
        assert_eq!(bench.signer.checkpoint().unwrap_err().code(), "storage_failed", "write {write}, {is_done}");
        let signed = bench.signer.checkpoint().unwrap();
        bench.is_kept(&signed);
        assert_eq!(signed.checkpoint.size, 2, "one key is declared, once");
    }
}

#[test]
fn a_signature_leaves_only_after_it_is_kept() {
    let bench = Bench::new();
    let first = bench.signer.checkpoint().unwrap();
    record(&bench.tracekeep);
    bench.keys.fail(0, false);
    bench.signer.checkpoint().unwrap_err();
    assert_eq!(bench.keys.head().unwrap(), Some(first.note.to_string().into_bytes()));
    bench.keys.fail(0, true);
    bench.signer.checkpoint().unwrap_err();
    let kept = bench.keys.head().unwrap().unwrap();
    let signed = bench.signer.checkpoint().unwrap();
    assert_eq!(signed.note.to_string().into_bytes(), kept, "what was kept and did not leave leaves now");
}

/// Each write of a rotation or an adoption, failed before it was done and after.
fn points(writes: u32) -> impl Iterator<Item = (u32, bool)> {
    (0..writes).flat_map(|write| [(write, false), (write, true)])
}

#[test]
fn a_rotation_that_fails_at_any_write_is_completed_or_never_was() {
    // put_next, put_head, put_handover, promote. The declaration comes after the first.
    for (write, is_done) in points(4) {
        let mut bench = Bench::new();
        let old = bench.signer.checkpoint().unwrap();
        let before = bench.signer.declared().unwrap().unwrap();
        bench.keys.fail(write, is_done);
        assert_eq!(bench.signer.rotate(Declaring::default()).unwrap_err().code(), "storage_failed");
        let at = format!("write {write}, {is_done}");
        assert!(bench.signed_last().size >= old.checkpoint.size, "{at}");
        bench.restart();
        record(&bench.tracekeep);
        let signed = bench.signer.checkpoint().unwrap();
        bench.is_kept(&signed);
        let now = bench.signer.declared().unwrap().unwrap();
        assert_eq!(now.key != before.key, write > 0, "what the log says counts: {at}");
        if write > 0 {
            bench.is_handed_over(&before, &now);
        } else {
            assert_eq!(bench.signer.handover(before.log_index).unwrap_err().code(), "entry_not_found");
        }
        let again = bench.signer.rotate(Declaring::default()).unwrap();
        bench.is_handed_over(&now, &again);
        bench.is_one_log();
    }
}

/// A process that comes after the crash asks for the note at once, and nothing else.
#[test]
fn what_hands_over_is_there_whoever_asks_first() {
    for (write, is_done) in points(4).filter(|(write, _)| *write > 0) {
        let mut bench = Bench::new();
        bench.signer.checkpoint().unwrap();
        let before = bench.signer.declared().unwrap().unwrap();
        bench.keys.fail(write, is_done);
        bench.signer.rotate(Declaring::default()).unwrap_err();
        bench.restart();
        let now = bench.signer.declared().unwrap().unwrap();
        bench.is_handed_over(&before, &now);
        bench.is_one_log();
    }
}

#[test]
fn an_adoption_that_fails_at_any_write_is_completed_or_never_was() {
    // put_next, set_head_aside, put_head of nothing, promote.
    for (write, is_done) in points(4) {
        let mut bench = Bench::new();
        bench.signer.checkpoint().unwrap();
        // The keys were lost.
        bench.keys = Arc::new(Failing::default());
        bench.restart();
        assert_eq!(bench.signer.checkpoint().unwrap_err().code(), "key_missing");
        bench.keys.fail(write, is_done);
        assert_eq!(bench.signer.adopt(Declaring::default()).unwrap_err().code(), "storage_failed");
        bench.restart();
        if write == 0 {
            assert_eq!(bench.signer.checkpoint().unwrap_err().code(), "key_missing", "it never was");
            bench.signer.adopt(Declaring::default()).unwrap();
        }
        bench.is_kept(&bench.signer.checkpoint().unwrap());
        let adopted = bench.signer.declared().unwrap().unwrap();
        assert_eq!((adopted.reason.as_str(), adopted.given_up), ("adopted", None), "nothing is known of it");
        assert_eq!(bench.signer.handover(adopted.log_index).unwrap_err().code(), "entry_not_found");
    }
}

/// A backup was put back: more was signed than the log has. Wherever it stops, that note is there.
#[test]
fn what_an_adoption_gives_up_is_never_lost() {
    for (write, is_done) in points(4) {
        let mut bench = Bench::new();
        let first = bench.signer.checkpoint().unwrap().checkpoint;
        let key = bench.keys.key().unwrap().unwrap();
        let given_up = Checkpoint { size: 99, ..first }.sign(&key).unwrap().to_string().into_bytes();
        bench.keys.inner.put_head(std::str::from_utf8(&given_up).unwrap()).unwrap();
        bench.keys.fail(write, is_done);
        assert_eq!(bench.signer.adopt(Declaring::default()).unwrap_err().code(), "storage_failed");
        let at = format!("write {write}, {is_done}");
        let is_aside = || bench.keys.inner.heads_aside().contains(&given_up);
        assert!(is_aside() || bench.keys.head().unwrap().as_ref() == Some(&given_up), "{at}");
        bench.restart();
        if write == 0 {
            assert_eq!(bench.signer.checkpoint().unwrap_err().code(), "checkpoint_fork", "it never was");
            bench.signer.adopt(Declaring::default()).unwrap();
        }
        bench.is_kept(&bench.signer.checkpoint().unwrap());
        assert_eq!(bench.keys.inner.heads_aside(), [given_up], "{at}");
        let said = bench.signer.declared().unwrap().unwrap().given_up.unwrap();
        assert_eq!((said.size, said.root), (99, first_root(&bench)), "{at}");
    }
}

/// A rotation that is completed late signs what it hands over by, which is an earlier size by then.
#[test]
fn what_is_signed_last_never_goes_back() {
    let bench = Bench::new();
    bench.signer.checkpoint().unwrap();
    let old = bench.keys.key().unwrap().unwrap();
    bench.signer.rotate(Declaring::default()).unwrap();
    let new = bench.keys.key().unwrap().unwrap();
    record(&bench.tracekeep);
    let last = bench.signer.checkpoint().unwrap();
    // The files of the keys were put back as they were within the rotation; what was signed last is the newest.
    let inner = Arc::new(MemoryKeys::default());
    inner.put_key(&old).unwrap();
    inner.put_next(&new).unwrap();
    inner.put_head(&last.note.to_string()).unwrap();
    let signer = Signer::new(Arc::clone(&bench.ledger), Arc::clone(&inner) as Arc<dyn KeyStore>);
    signer.with_key(|_| ()).unwrap();
    assert_eq!(inner.head().unwrap(), Some(last.note.to_string().into_bytes()));
    assert_eq!(signer.checkpoint().unwrap(), last);
}

#[test]
fn what_was_signed_before_the_key_is_not_signed_again() {
    let bench = Bench::new();
    record(&bench.tracekeep);
    record(&bench.tracekeep);
    let first = bench.signer.checkpoint().unwrap();
    let refused = bench.signer.checkpoint_at(1).unwrap_err();
    assert_eq!((refused.code(), refused.path()), ("invalid_parameter", Some("size")));
    assert!(refused.detail().contains("1 is below 3"), "{refused}");
    record(&bench.tracekeep);
    assert_eq!(bench.signer.checkpoint_at(3).unwrap(), first, "the same bytes");
    bench.signer.rotate(Declaring::default()).unwrap();
    assert_eq!(bench.signer.checkpoint_at(3).unwrap(), first, "by the key of its time");
    let handed_over = bench.signer.checkpoint_at(5).unwrap();
    opened(&bench.signer, &bench.ledger, &handed_over);
    let signatures = |note: &str| note.lines().filter(|line| line.starts_with('\u{2014}')).count();
    assert_eq!(signatures(&handed_over.note.to_string()), 1, "by the key that it declares, and no other");
    bench.signer.rotate(Declaring::default()).unwrap();
    assert_eq!(bench.signer.checkpoint_at(5).unwrap(), handed_over);
    assert_eq!(bench.signer.checkpoint_at(3).unwrap(), first);
    assert_eq!(bench.signer.checkpoint_at(99).unwrap_err().code(), "entry_not_found");
}

#[test]
fn many_who_ask_at_once_get_checkpoints_of_one_log() {
    let bench = Bench::new();
    let notes: Mutex<Vec<SignedCheckpoint>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    record(&bench.tracekeep);
                    notes.lock().unwrap().push(bench.signer.checkpoint().unwrap());
                }
            });
        }
    });
    let page = PageRequest::default();
    let declared = tracekeep_store::block_on(bench.ledger.signing_keys(&page)).unwrap();
    assert_eq!(declared.items.len(), 1, "one key is declared");
    for signed in notes.into_inner().unwrap() {
        let again = bench.signer.checkpoint_at(signed.checkpoint.size).unwrap();
        assert_eq!(again.checkpoint, signed.checkpoint);
    }
}

#[test]
fn what_was_signed_last_is_never_absent_beside_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let tracekeep = Tracekeep::open(&path).unwrap();
    record(&tracekeep);
    tracekeep.signer().checkpoint().unwrap();
    std::fs::remove_file(folder.path().join("x.db.keys/head")).unwrap();
    record(&tracekeep);
    assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "keys_damaged");
    assert!(!folder.path().join("x.db.keys/head").exists(), "nothing was signed");
}

#[test]
fn a_ledger_that_was_never_signed_has_no_key_to_adopt() {
    let bench = Bench::new();
    record(&bench.tracekeep);
    assert_eq!(bench.signer.adopt(Declaring::default()).unwrap_err().code(), "conflict");
    assert_eq!(bench.signer.declared().unwrap(), None, "no key was made");
    assert!(bench.keys.key().unwrap().is_none() && bench.keys.head().unwrap().is_none());
}

#[test]
fn what_an_adoption_gave_up_signs_no_more_and_is_kept_aside() {
    let bench = Bench::new();
    record(&bench.tracekeep);
    bench.signer.checkpoint().unwrap();
    let origin = format!("tracekeep/{}", "0".repeat(32));
    let foreign = SigningKey::from_seed(origin, [9; 32]).unwrap();
    bench.keys.inner.put_next(&foreign).unwrap();
    bench.keys.inner.promote().unwrap();
    assert_eq!(bench.signer.checkpoint().unwrap_err().code(), "foreign_key");
    bench.signer.adopt(Declaring::default()).unwrap();
    assert!(bench.keys.retired(&foreign.public().to_string()).unwrap().is_some(), "another ledger's key is not lost");
    assert_eq!(bench.signer.checkpoint_at(2).unwrap_err().code(), "key_missing");
}

#[test]
fn a_ledger_that_lasts_is_not_signed_with_keys_that_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    drop(Tracekeep::open(&path).unwrap());
    let ledger = Arc::clone(Tracekeep::open(&path).unwrap().ledger());
    let tracekeep = Tracekeep::over(ledger);
    record(&tracekeep);
    assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "key_missing");
    assert_eq!(tracekeep.signer().adopt(Declaring::default()).unwrap_err().code(), "key_missing");
    assert_eq!(tracekeep.signer().declared().unwrap(), None);
    let keys = Arc::new(tracekeep::KeyFolder::beside(&path));
    tracekeep.with_keys(keys).signer().checkpoint().unwrap();
}
