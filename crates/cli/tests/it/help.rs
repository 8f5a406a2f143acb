//! What the command line says of itself.

use crate::Place;

/// The golden file: write it anew with `TRACEKEEP_WRITE_GOLDEN=1`.
#[test]
fn the_help_is_the_one_in_the_tree() {
    let place = Place::new();
    let mut text = place.run(&["help"]).code(0).out();
    let commands = ["serve", "record", "runs", "show", "tree", "tail", "complete", "fsck", "explain", "doctor", "demo"];
    for command in commands {
        text.push_str(&format!("\n--- tracekeep help {command}\n\n{}", place.run(&["help", command]).code(0).out()));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.txt");
    if std::env::var_os("TRACEKEEP_WRITE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "docs/cli.txt is out of date");
}

#[test]
fn wrong_usage_is_2() {
    let place = Place::new();
    place.run(&[]).code(2);
    place.run(&["fly"]).code(2);
    place.run(&["show"]).code(2);
    place.run(&["show", ".."]).code(2);
    place.run(&["runs", "--status", "done"]).code(2);
    place.run(&["fsck", "--server", "http://127.0.0.1:1"]).code(2);
}

#[test]
fn explain_prints_the_page_of_a_code() {
    let place = Place::new();
    assert!(place.run(&["explain", "conflict"]).code(0).out().starts_with("# conflict\n"));
    place.run(&["explain", "nothing"]).code(1);
}

#[test]
fn configuration_comes_in_layers_and_unknown_keys_are_errors() {
    let place = Place::new();
    std::fs::write(place.path().join("tracekeep.toml"), "ledger = \"from-file.db\"\n").unwrap();
    place.run(&["demo"]).code(0);
    assert!(place.path().join("from-file.db").exists());
    let mut command = place.command(&["demo"]);
    assert!(command.env("TRACEKEEP_LEDGER", "from-env.db").output().unwrap().status.success());
    assert!(place.path().join("from-env.db").exists());
    let mut command = place.command(&["demo", "--ledger", "from-flag.db"]);
    assert!(command.env("TRACEKEEP_LEDGER", "from-env.db").output().unwrap().status.success());
    assert!(place.path().join("from-flag.db").exists());
    std::fs::write(place.path().join("tracekeep.toml"), "legder = \"x.db\"\n").unwrap();
    assert!(place.run(&["runs"]).code(2).talk().contains("legder"));
}
