//! `serve` and the commands beside it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::Place;

/// A server of its own.
pub(crate) struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        Self::of(&mut place.command(&args))
    }

    /// One that a command starts.
    pub(crate) fn of(command: &mut std::process::Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Self { child, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks it to stop, as Ctrl-C does, and gives its exit code.
    pub(crate) fn stop(self) -> Option<i32> {
        self.stop_and_say().0
    }

    /// The same, with what it has logged since it began to listen.
    pub(crate) fn stop_and_say(mut self) -> (Option<i32>, String) {
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let mut said = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

/// A test that fails leaves no server behind.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tail_says_that_it_waits_for_what_is_not_there_yet() {
    let place = Place::new();
    place.run(&["demo"]).code(0);
    let mut tail = place.command(&["tail", "--from", "99999"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(tail.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    tail.kill().unwrap();
    tail.wait().unwrap();
    assert!(line.contains("waiting for log index 99999"), "{line}");
}

#[test]
fn commands_work_beside_a_running_server_and_ctrl_c_ends_it_in_order() {
    let place = Place::new();
    let server = Serving::start(&place, &[]);
    // Writing goes through the server that holds the file; reading opens the file beside it.
    let run = place.run(&["demo"]).code(0).out().trim().to_owned();
    let beside = place.run(&["tree", &run, "--json"]).code(0).out();
    assert_eq!(place.run(&["tree", &run, "--json", "--server", &server.url]).code(0).out(), beside);
    place.run(&["fsck"]).code(0);
    for args in [&["fsck", "--run", &run][..], &["fsck", "--run", &run, "--rebuild"]] {
        let there = place.run(&[args, &["--server", &server.url]].concat());
        assert!(there.code(0).talk().contains(&format!("the indices of {run}: 0 findings")), "{}", there.talk());
    }
    let busy = place.run(&["doctor", "--listen", "127.0.0.1:0"]);
    assert!(busy.code(1).out().contains("writes to it and serves"), "{}", busy.out());
    assert!(place.run(&["fsck", "--rebuild"]).code(3).talk().contains("ledger_locked"));
    let second = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(second.code(3).talk().contains(&server.child.id().to_string()), "{}", second.talk());
    assert_eq!(server.stop(), Some(0));
    assert!(place.run(&["fsck", "--rebuild"]).code(0).talk().contains("0 findings"));
    assert_eq!(place.run(&["tree", &run, "--json"]).code(0).out(), beside);
}

#[test]
fn serve_takes_secrets_out_unless_told() {
    let line = r#"{"op":"start_run","run_id":"r","goal":"password=hunter2 4111111111111111 a@b.co"}"#;
    let goal = |place: &Place, args: &[&str]| {
        let server = Serving::start(place, args);
        place.run_with(&["record"], line).code(0);
        let shown = place.run(&["show", "r", "--json"]).code(0).out();
        assert_eq!(server.stop(), Some(0));
        shown
    };
    let place = Place::new();
    let shown = goal(&place, &[]);
    assert!(shown.contains(r#""goal":"password=[redacted:field] 4111111111111111 a@b.co""#), "{shown}");
    assert!(shown.contains(r#""redacted":{"counts":{"field":1},"rules":"2"}"#), "{shown}");
    // Written to the file itself, it is the same record.
    assert!(place.run_with(&["record"], line).code(0).out().starts_with("duplicate"));

    assert!(goal(&Place::new(), &["--redact", "off"]).contains("hunter2"));

    let place = Place::new();
    std::fs::write(place.path().join("tracekeep.toml"), "[redact]\ndetectors = [\"card\", \"email\"]\n").unwrap();
    assert!(goal(&place, &[]).contains("[redacted:field] [redacted:card] [redacted:email]"));
    std::fs::write(place.path().join("rules.toml"), "keep = [\"pasword\"]\n").unwrap();
    for (said, detail) in [("rules.toml", "none that would be redacted"), ("none.toml", "off, default, or a file")] {
        let refused = place.run(&["serve", "--listen", "127.0.0.1:0", "--redact", said]);
        assert!(refused.code(2).talk().contains(detail), "{}", refused.talk());
    }
    let refused = place.command(&["runs"]).env("TRACEKEEP_REDACT", "rules.toml").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn modes_refuse_what_is_not_safe() {
    let place = Place::new();
    for args in
        [&["serve", "--ledger", ":memory:", "--listen", "127.0.0.1:0"][..], &["serve", "--listen", "0.0.0.0:0"][..]]
    {
        for mode in ["test", "prod"] {
            let refused = place.command(args).env("TRACEKEEP_MODE", mode).output().unwrap();
            assert_eq!(refused.status.code(), Some(2), "{mode} {args:?}");
        }
    }
    let unknown = place.command(&["runs"]).env("TRACEKEEP_MODE", "staging").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let server = Serving::start(&place, &["--ledger", ":memory:"]);
    let run = place.run(&["demo", "--server", &server.url]).code(0).out().trim().to_owned();
    assert!(place.run(&["runs", "--server", &server.url]).code(0).out().contains(&run));
    assert_eq!(server.stop(), Some(0));
    assert!(!place.path().join("tracekeep.db").exists(), "nothing was kept");
}

#[test]
fn a_taken_port_says_who_serves_or_what_to_do() {
    let place = Place::new();
    let server = Serving::start(&place, &[]);
    let listen = server.url().trim_start_matches("http://").to_owned();
    let again = place.run(&["serve", "--listen", &listen]);
    let says = again.code(3).talk();
    assert!(says.contains(&format!("process {} serves this ledger already", server.child.id())), "{says}");
    let elsewhere = place.run(&["serve", "--listen", &listen, "--ledger", "other.db"]);
    assert!(elsewhere.code(3).talk().contains("--listen"), "{}", elsewhere.talk());
    assert!(place.run(&["demo"]).code(0).talk().contains("tracekeep.db"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn explain_knows_codes_and_statuses() {
    let place = Place::new();
    assert!(place.run(&["explain", "sealed"]).code(0).out().starts_with("# sealed"));
    let of_409 = place.run(&["explain", "409"]).code(0).out();
    assert!(of_409.lines().any(|code| code == "conflict") && of_409.lines().any(|code| code == "sealed"), "{of_409}");
    place.run(&["explain", "200"]).code(1);
    place.run(&["explain", "nothing"]).code(1);
}
