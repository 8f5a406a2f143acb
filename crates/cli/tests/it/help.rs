//! What the command line says of itself.

use crate::Place;

/// The golden file: write it anew with `TRACEKEEP_WRITE_GOLDEN=1`.
#[test]
fn the_help_is_the_one_in_the_tree() {
    let place = Place::new();
    let mut text = place.run(&["help"]).code(0).out();
    for command in below(&text) {
        let help = place.run(&["help", &command]).code(0).out();
        text.push_str(&format!("\n--- tracekeep help {command}\n\n{help}"));
        for part in below(&help) {
            let help = place.run(&["help", &command, &part]).code(0).out();
            text.push_str(&format!("\n--- tracekeep help {command} {part}\n\n{help}"));
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.txt");
    if std::env::var_os("TRACEKEEP_WRITE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "docs/cli.txt is out of date");
}

/// The commands that a help text lists, but for help itself.
fn below(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Whoever is in the wrong folder is told so, and finds nothing new in it.
#[test]
fn where_there_is_no_ledger_what_reads_says_so_and_makes_none() {
    let place = Place::new();
    let reading = [
        "runs",
        "runs --count",
        "show r",
        "tree r",
        "traces r",
        "traces r --text x",
        "traces r --counts",
        "diff a b",
        "matches r",
        "check r --baseline b",
        "baseline list",
        "verify --run r",
        "tail",
        "fsck",
        "hold --list",
        "audit show r",
        "audit pending",
        "audit parked r",
        "audit reconcile r",
        "audit watch r",
        "replay output r 0",
        "replay claim r 0 --session s",
        "export r -o x.zip",
        "export --period 2026-01-01..2026-01-31 -o x.zip",
        "incidents list",
        "incidents show i",
        "log checkpoint",
        "log consistency --from 1",
        "log proof 0",
        "log proof --run r",
        "log witness-export --from 0",
        "keys public",
        "keys show",
        "keys handover",
        "idem status k",
        "idem rm k",
        "gc --dry-run",
    ];
    for command in reading {
        let ended = place.run(&command.split(' ').collect::<Vec<_>>());
        assert!(
            ended.code(3).talk().contains("there is no ledger at this path (not_a_ledger"),
            "{command}: {}",
            ended.talk()
        );
        assert!(ended.out().is_empty(), "{command}: {}", ended.out());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "{command}");
    }
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
    let both = place.run(&["runs", "--ledger", "x.db", "--server", "http://127.0.0.1:1"]);
    assert!(both.code(2).talk().contains("--ledger and --server"), "{}", both.talk());
}

#[test]
fn explain_prints_the_page_of_a_code() {
    let place = Place::new();
    assert!(place.run(&["explain", "conflict"]).code(0).out().starts_with("# conflict\n"));
    place.run(&["explain", "nothing"]).code(1);
    let reason = place.run(&["explain", "older_than_known"]).code(0).out();
    assert!(
        reason.starts_with("# older_than_known\n\nintegrity. ") && reason.contains("\nDo: ask for a newer one"),
        "{reason}"
    );
    assert!(place.run(&["explain", "end_not_proven"]).code(0).out().contains("the last entry here is no seal"));
    let both = place.run(&["explain", "too_large"]).code(0).out();
    assert!(both.starts_with("# too_large\n\n**Status**") && both.contains("The zip states more bytes"), "{both}");
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

#[test]
fn a_file_that_is_named_above_cancels_a_server_that_is_named_below() {
    let place = Place::new();
    let nowhere = "http://127.0.0.1:1";
    let code = |args: &[&str], variables: &[(&str, &str)]| {
        place.command(args).envs(variables.iter().copied()).output().unwrap().status.code()
    };
    assert_eq!(code(&["demo", "--ledger", "a.db"], &[("TRACEKEEP_SERVER", nowhere)]), Some(0));
    std::fs::write(place.path().join("tracekeep.toml"), format!("server = \"{nowhere}\"\n")).unwrap();
    assert_eq!(code(&["demo"], &[]), Some(3));
    assert_eq!(code(&["demo", "--ledger", "a.db"], &[]), Some(0));
    assert_eq!(code(&["demo"], &[("TRACEKEEP_LEDGER", "b.db")]), Some(0));
    assert_eq!(code(&["runs", "--server", nowhere], &[("TRACEKEEP_LEDGER", "b.db")]), Some(3));
}

#[test]
fn the_environment_is_read_strictly() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    for (name, value) in [
        ("TRACEKEEP_LEGDER", &b"x.db"[..]),
        ("TRACEKEEP_MODE", b"prod\xff"),
        ("TRACEKEEP_MODE", b""),
        ("TRACEKEEP_LOG", b"tracekeep=loud=very"),
    ] {
        let mut command = place.command(&["demo"]);
        let ended = command.env(name, std::ffi::OsStr::from_bytes(value)).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{name}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains(name), "{ended:?}");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}
