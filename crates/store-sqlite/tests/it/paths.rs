//! Paths that lead to no ledger, and ledgers that stand where nothing can be written.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::common::{code, commit, open, place, refused, run_id, start, thought};
use tracekeep_store::{LedgerStore, Outcome, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

fn reading() -> Options {
    Options { read_only: true, ..Options::default() }
}

/// Opens for writing and for reading; both are refused alike, with words that say why.
#[track_caller]
fn check(path: &Path, expected: &str, said: &str) {
    for options in [Options::default(), reading()] {
        let error = SqliteLedger::open(path, options).unwrap_err();
        assert_eq!((error.code(), error.outcome()), (expected, Outcome::NotApplied), "{error}");
        assert!(error.detail().contains(said), "{error}");
    }
}

/// The system gives up on a circle by itself, which was said to be a failure of the storage.
#[test]
fn links_in_a_circle_lead_to_no_ledger() {
    let place = place();
    let other = place.directory.path().join("other.db");
    symlink(&other, &place.path).unwrap();
    symlink("runs.db", &other).unwrap();
    check(&place.path, "not_a_ledger", "a circle of links");
    assert_eq!(code(SqliteLedger::check(&place.path, None)), "not_a_ledger");
}

#[test]
fn a_path_that_goes_through_a_file_says_so() {
    let place = place();
    commit(&open(&place.path), start("run-0"));
    check(&place.path.join("runs.db"), "storage_failed", "not a directory");
}

#[test]
fn what_cannot_be_opened_is_refused_and_stays() {
    let place = place();
    let _socket = UnixListener::bind(&place.path).unwrap();
    let error = SqliteLedger::open(&place.path, Options::default()).unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("read_only", Outcome::NotApplied));
    assert!(error.detail().contains("cannot be opened"), "{error}");
    assert!(fs::symlink_metadata(&place.path).is_ok());
    assert_eq!(SqliteLedger::holder(&place.path), None, "the lock is free again");
}

/// Nobody makes a file there, root neither.
#[test]
fn where_no_file_can_be_made_none_is() {
    let error = SqliteLedger::open("/sys/runs.db", Options::default()).unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("read_only", Outcome::NotApplied));
    assert!(error.detail().starts_with("the lock beside the ledger cannot be made"), "{error}");
}

#[test]
fn a_lock_that_is_no_file_is_named() {
    let place = place();
    fs::create_dir(place.path.with_extension("db.lock")).unwrap();
    let error = SqliteLedger::open(&place.path, Options::default()).unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("storage_failed", Outcome::NotApplied));
    assert!(error.detail().starts_with("the lock beside the ledger cannot be made"), "{error}");
    assert!(!place.path.exists(), "no ledger is made without its lock");
}

#[test]
fn a_holder_that_says_nothing_holds_all_the_same() {
    let place = place();
    commit(&open(&place.path), start("run-0"));
    for text in ["", "not json\n"] {
        let lock = place.path.with_extension("db.lock");
        fs::write(&lock, text).unwrap();
        let held = File::open(&lock).unwrap();
        held.try_lock().unwrap();
        let error = SqliteLedger::open(&place.path, Options::default()).unwrap_err();
        assert_eq!((error.code(), error.detail()), ("ledger_locked", "another process writes to the ledger"));
        assert_eq!(SqliteLedger::holder(&place.path), None);
    }
}

/// A link that leads nowhere stands where the write-ahead log's index would be made: SQLite follows none there, whoever
/// asks. A directory without write permission does the same to all but root.
fn archived(folder: &str) -> crate::common::Place {
    let mut place = place();
    let folder = place.directory.path().join(folder);
    fs::create_dir(&folder).unwrap();
    place.path = folder.join("runs.db");
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, thought("run-0", "t"));
    ledger.close().unwrap();
    symlink("nowhere", place.path.with_extension("db-shm")).unwrap();
    place
}

#[test]
fn an_archive_is_read_and_checked_where_nothing_can_be_made_beside_it() {
    for folder in ["plain", "50%41 of ?x=1&immutable=0 #2 ü"] {
        let place = archived(folder);
        let before = fs::read(&place.path).unwrap();
        let ledger = SqliteLedger::open(&place.path, reading()).unwrap();
        assert!(block_on(ledger.trace(&run_id("run-0"), &"t".parse().unwrap())).unwrap().is_some());
        assert_eq!(block_on(ledger.head()).unwrap().tree_size, 2);
        assert_eq!(refused(&ledger, start("run-1")).code(), "read_only");
        assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
        assert_eq!(fs::read(&place.path).unwrap(), before, "nothing is changed");
    }
}

/// Read as a file that does not change, it would lack what its write-ahead log holds.
#[test]
fn an_archive_whose_write_ahead_log_holds_something_is_refused() {
    let place = archived("plain");
    fs::write(place.path.with_extension("db-wal"), [0; 64]).unwrap();
    let error = SqliteLedger::open(&place.path, reading()).unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("read_only", Outcome::NotApplied));
    assert!(error.detail().contains("write-ahead log"), "{error}");
}
