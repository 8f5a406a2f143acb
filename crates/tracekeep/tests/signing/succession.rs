//! Keys that follow one another: what an old one hands over, and what an adoption gives up, is kept.

use std::fs;
use std::path::Path;

use tracekeep::{Checkpoint, Declaring, NoteKey, Tracekeep};

use crate::{opened, record};

fn signatures(note: &str) -> usize {
    note.lines().filter(|line| line.starts_with('\u{2014}')).count()
}

fn aside(path: &Path) -> Vec<String> {
    let Ok(files) = fs::read_dir(path.join("x.db.keys/retired")) else { return Vec::new() };
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// Whoever holds the old key alone can follow, however much was signed since.
#[test]
fn the_note_of_a_rotation_outlives_the_next_signature() {
    let folder = tempfile::tempdir().unwrap();
    let tracekeep = Tracekeep::open(folder.path().join("x.db")).unwrap();
    record(&tracekeep);
    let old: NoteKey = tracekeep.signer().with_key(|key| key.public().clone()).unwrap();
    tracekeep.signer().rotate(Declaring::default()).unwrap();
    record(&tracekeep);
    tracekeep.signer().checkpoint().unwrap();
    let kept = aside(folder.path()).into_iter().find(|text| signatures(text) == 2);
    let kept = kept.expect("the note with both signatures");
    let origin = Checkpoint::origin_of(tracekeep.ledger().ledger());
    assert_eq!(Checkpoint::open(kept.as_bytes(), &origin, &[old]).unwrap().size, 3, "what declares the new key");
}

/// A backup was put back: what had been signed, and is given up, is the one witness of what is missing.
#[test]
fn what_an_adoption_gives_up_is_kept_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let tracekeep = Tracekeep::open(file("x.db")).unwrap();
    tracekeep.signer().checkpoint().unwrap();
    drop(tracekeep);
    fs::copy(file("x.db"), file("older.db")).unwrap();
    let tracekeep = Tracekeep::open(file("x.db")).unwrap();
    record(&tracekeep);
    record(&tracekeep);
    let last = tracekeep.signer().checkpoint().unwrap();
    drop(tracekeep);
    for name in ["x.db-wal", "x.db-shm"] {
        drop(fs::remove_file(file(name)));
    }
    fs::rename(file("older.db"), file("x.db")).unwrap();
    let tracekeep = Tracekeep::open(file("x.db")).unwrap();
    assert_eq!(tracekeep.signer().checkpoint().unwrap_err().code(), "checkpoint_fork");
    let adopted = tracekeep.signer().adopt(Declaring::default()).unwrap();
    let given_up = adopted.given_up.expect("what was signed last");
    assert_eq!((given_up.size, given_up.root), (3, last.checkpoint.root));
    assert!(aside(folder.path()).contains(&last.note.to_string()), "as it was signed");
    let signed = tracekeep.signer().checkpoint().unwrap();
    assert_eq!(opened(tracekeep.signer(), tracekeep.ledger(), &signed).size, 2);
}
