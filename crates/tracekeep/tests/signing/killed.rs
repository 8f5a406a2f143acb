//! A process that is killed between what is kept and what is answered.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tracekeep::{KeyFolder, KeyStore, LedgerStore, NoteKey, Result, Signer, SigningKey, Tracekeep};

use crate::{opened, record};

const AT: &str = "TRACEKEEP_TEST_KILLED_AT";

/// Keys on disk, and a process that nobody asks before it ends.
#[derive(Debug)]
struct Killed {
    keys: KeyFolder,
    before: bool,
}

impl Killed {
    fn end() -> ! {
        drop(Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status());
        unreachable!("a process that was killed goes on")
    }
}

impl KeyStore for Killed {
    fn key(&self) -> Result<Option<SigningKey>> {
        self.keys.key()
    }
    fn put_key(&self, key: &SigningKey) -> Result<()> {
        self.keys.put_key(key)
    }
    fn next(&self) -> Result<Option<SigningKey>> {
        self.keys.next()
    }
    fn put_next(&self, key: &SigningKey) -> Result<()> {
        self.keys.put_next(key)
    }
    fn promote(&self) -> Result<()> {
        self.keys.promote()
    }
    fn retired(&self, public: &str) -> Result<Option<SigningKey>> {
        self.keys.retired(public)
    }
    fn head(&self) -> Result<Option<Vec<u8>>> {
        self.keys.head()
    }
    fn put_head(&self, note: &str) -> Result<()> {
        if self.before {
            Self::end();
        }
        self.keys.put_head(note)?;
        Self::end()
    }
    fn set_head_aside(&self) -> Result<()> {
        self.keys.set_head_aside()
    }
    fn put_handover(&self, key: &NoteKey, note: &str) -> Result<()> {
        self.keys.put_handover(key, note)
    }
    fn handover(&self, key: &NoteKey) -> Result<Option<Vec<u8>>> {
        self.keys.handover(key)
    }
    fn is_lasting(&self) -> bool {
        true
    }
}

/// Signs, and is killed: the part of the process that the tests below start.
fn sign_and_die(path: &Path, before: bool) {
    let ledger: Arc<dyn LedgerStore> = Arc::clone(Tracekeep::open(path).unwrap().ledger());
    let signer = Signer::new(ledger, Arc::new(Killed { keys: KeyFolder::beside(path), before }));
    let answered = signer.checkpoint();
    panic!("it lived to answer {answered:?}");
}

/// A ledger with one signed checkpoint, an older copy of it, and an entry more.
struct Place {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn head(&self) -> Vec<u8> {
        std::fs::read(self.file("x.db.keys/head")).unwrap()
    }
}

/// The place, where this very test, as a process of its own, was killed; `None` in that process.
fn killed(test: &str, before: bool) -> Option<(Place, Vec<u8>)> {
    if let Some(path) = std::env::var_os(AT) {
        sign_and_die(Path::new(&path), before);
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = Place { path: folder.path().join("x.db"), folder };
    let tracekeep = Tracekeep::open(&place.path).unwrap();
    tracekeep.signer().checkpoint().unwrap();
    drop(tracekeep);
    std::fs::copy(&place.path, place.file("older.db")).unwrap();
    let tracekeep = Tracekeep::open(&place.path).unwrap();
    record(&tracekeep);
    drop(tracekeep);
    let head = place.head();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]).env(AT, &place.path).stdin(Stdio::null());
    let ended = again.output().unwrap();
    assert_eq!(ended.status.signal(), Some(9), "{ended:?}");
    Some((place, head))
}

#[test]
fn what_was_kept_before_the_kill_is_what_is_signed_after_it() {
    let test = "killed::what_was_kept_before_the_kill_is_what_is_signed_after_it";
    let Some((place, head)) = killed(test, false) else { return };
    let kept = place.head();
    assert_ne!(kept, head, "it was kept before anybody had it");
    let tracekeep = Tracekeep::open(&place.path).unwrap();
    let signed = tracekeep.signer().checkpoint().unwrap();
    assert_eq!(signed.note.to_string().as_bytes(), kept, "the same signature, not a second one");
    assert_eq!(opened(tracekeep.signer(), tracekeep.ledger(), &signed).size, 2);
}

#[test]
fn what_was_not_kept_before_the_kill_was_not_signed() {
    let Some((place, head)) = killed("killed::what_was_not_kept_before_the_kill_was_not_signed", true) else { return };
    assert_eq!(place.head(), head);
    let tracekeep = Tracekeep::open(&place.path).unwrap();
    let signed = tracekeep.signer().checkpoint().unwrap();
    assert_eq!(opened(tracekeep.signer(), tracekeep.ledger(), &signed).size, 2);
}

/// What a process kept that was killed before it answered keeps an older copy of the database from being signed.
#[test]
fn an_older_copy_is_not_signed_after_the_kill() {
    let Some((place, _)) = killed("killed::an_older_copy_is_not_signed_after_the_kill", false) else { return };
    for name in ["x.db-wal", "x.db-shm"] {
        drop(std::fs::remove_file(place.file(name)));
    }
    std::fs::rename(place.file("older.db"), &place.path).unwrap();
    let kept = place.head();
    let tracekeep = Tracekeep::open(&place.path).unwrap();
    let refused = tracekeep.signer().checkpoint().unwrap_err();
    assert_eq!(refused.code(), "checkpoint_fork");
    assert!(refused.detail().contains("2 entries were signed, and the log has fewer"), "{refused}");
    record(&tracekeep);
    let refused = tracekeep.signer().checkpoint().unwrap_err();
    assert_eq!(refused.code(), "checkpoint_fork", "as long again, and another log");
    assert_eq!(place.head(), kept, "nothing was signed");
}
