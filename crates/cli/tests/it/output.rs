//! Where `export` puts its bundle.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::Place;

const RUN: &str = r#"{"op":"start_run","run_id":"r-1"}
{"op":"record_step","run_id":"r-1","index":0,"skill_name":"pay","params":{},"status":"success"}
{"op":"complete_run","run_id":"r-1","status":"completed"}
"#;

fn filled(run: &str) -> Place {
    let place = Place::new();
    place.run_with(&["record"], run).code(0);
    // The key is declared by the first signature, so that only an export makes the log longer.
    place.run(&["log", "checkpoint"]).code(0);
    place
}

fn size(place: &Place) -> String {
    place.run(&["log", "checkpoint"]).code(0).out().lines().nth(1).unwrap().to_owned()
}

fn names(place: &Place) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with("tracekeep.db"));
    names.sort();
    names
}

/// What was written first had a name that anybody could guess: a file of that name was destroyed, and a link was followed.
#[test]
fn files_that_are_there_are_left_alone() {
    let place = filled(RUN);
    let file = |name: &str| place.path().join(name);
    fs::write(file("victim.txt"), "mine").unwrap();
    fs::write(file("q.zip.part"), "mine, too").unwrap();
    symlink("victim.txt", file("w.zip.part")).unwrap();
    place.run(&["export", "r-1", "-o", "q.zip"]).code(0);
    place.run(&["export", "r-1", "-o", "w.zip"]).code(0);
    assert_eq!(fs::read(file("victim.txt")).unwrap(), b"mine");
    assert_eq!(fs::read(file("q.zip.part")).unwrap(), b"mine, too");
    for bundle in ["q.zip", "w.zip"] {
        let there = fs::symlink_metadata(file(bundle)).unwrap();
        assert!(
            there.is_file() && there.permissions().mode().trailing_zeros() >= 6,
            "{:o}",
            there.permissions().mode()
        );
    }
    assert_eq!(names(&place), ["q.zip", "q.zip.part", "victim.txt", "w.zip", "w.zip.part"]);
}

/// A bundle took the place of another one without a word.
#[test]
fn what_is_there_is_replaced_only_where_that_is_said() {
    let place = filled(RUN);
    let file = |name: &str| place.path().join(name);
    fs::write(file("victim.txt"), "mine").unwrap();
    symlink("victim.txt", file("link.zip")).unwrap();
    symlink("nowhere", file("dangling.zip")).unwrap();
    fs::create_dir(file("folder")).unwrap();
    let before = size(&place);
    for name in ["victim.txt", "link.zip", "dangling.zip"] {
        let refused = place.run(&["export", "r-1", "-o", name]);
        assert!(refused.code(2).talk().contains("is there already: --overwrite"), "{}", refused.talk());
    }
    let refused = place.run(&["export", "r-1", "-o", "folder", "--overwrite"]);
    assert!(refused.code(2).talk().contains("is a directory"), "{}", refused.talk());
    assert_eq!(size(&place), before, "nothing was handed out");
    assert_eq!(names(&place), ["dangling.zip", "folder", "link.zip", "victim.txt"]);
    for name in ["link.zip", "dangling.zip"] {
        place.run(&["export", "r-1", "-o", name, "--overwrite"]).code(0);
        assert!(fs::symlink_metadata(file(name)).unwrap().is_file(), "the link is replaced, and not followed");
    }
    assert_eq!(fs::read(file("victim.txt")).unwrap(), b"mine");
    place.run(&["export", "r-1", "-o", "victim.txt", "--overwrite"]).code(0);
    assert!(fs::read(file("victim.txt")).unwrap().starts_with(b"PK"));
    assert_eq!(names(&place), ["dangling.zip", "folder", "link.zip", "victim.txt"]);
}

/// The log said that somebody was handed what did not fit on the disk, and that was called a wrong use.
#[test]
fn what_does_not_fit_is_not_handed_out() {
    // A bundle stores its members, so it is larger than the ledger, which compresses them.
    let large = RUN.replace(r#""params":{}"#, &format!(r#""params":{{"text":"{}"}}"#, "a".repeat(3 << 20)));
    let place = filled(&large);
    let before = size(&place);
    let command = format!("trap '' XFSZ; ulimit -f 2048; exec {} export r-1 -o b.zip", env!("CARGO_BIN_EXE_tracekeep"));
    let mut shell = std::process::Command::new("/bin/sh");
    let ended = shell.args(["-c", &command]).current_dir(place.path()).env_clear().output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("b.zip: File too large"), "{said}");
    assert_eq!(size(&place), before, "nothing was handed out");
    assert!(names(&place).is_empty(), "{:?}", names(&place));
    place.run(&["export", "r-1", "-o", "b.zip"]).code(0);
}
