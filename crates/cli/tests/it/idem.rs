//! `tracekeep idem`: in the ledger's file, and through a running server.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::serve::Serving;
use crate::{Ended, Place};

const REQUEST: &str = r#"{"task":"X"}"#;
/// `printf '{"task":"X"}' | sha256sum`
const DIGEST: &str = "887fd086fbede164a534a84726c65d12bb3889fb8b6327a5f7e7d45d4eefbc68";

fn check(place: &Place, request: &str) -> Ended {
    place.run(&["idem", "check", "pay-7", "--request", request, "--run", "run-1"])
}

#[track_caller]
fn line(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    line[name.len()..].trim().to_owned()
}

#[test]
fn a_payment_of_a_shell_script_is_made_once() {
    let place = Place::new();
    let new = check(&place, REQUEST).code(0).out();
    assert_eq!(new.lines().next(), Some("new"));
    assert_eq!(
        (line(&new, "stored_hash"), line(&new, "attempt"), line(&new, "run")),
        (DIGEST.into(), "1".into(), "run-1".into())
    );
    let token = line(&new, "token");
    let meanwhile = check(&place, REQUEST).code(1).out();
    assert!(meanwhile.starts_with("in_progress\n") && meanwhile.contains("retry_after"), "{meanwhile}");
    assert!(place.run(&["idem", "status", "pay-7"]).code(0).out().starts_with("in_progress\n"));
    place.run(&["idem", "renew", "pay-7", "--token", &token]).code(0);
    let args = ["idem", "complete", "pay-7", "--token", &token, "--response", r#"{"ok": 1}"#];
    assert_eq!(place.run(&args).code(0).out(), "recorded\n");
    assert_eq!(place.run(&args).code(0).out(), "duplicate\n");
    let again = check(&place, r#" {"task" : "X"} "#).code(1).out();
    assert_eq!((again.lines().next(), line(&again, "response")), (Some("duplicate"), r#"{"ok":1}"#.into()));
    let raw = place.run(&["idem", "check", "pay-7", "--fingerprint", DIGEST, "--json"]).code(1).out();
    assert!(raw.contains(r#""result":"duplicate""#), "{raw}");
    assert!(check(&place, r#"{"task":"Y"}"#).code(1).out().starts_with("conflict\n"));
    assert!(place.run(&["idem", "status", "pay-7"]).code(0).out().starts_with("completed\n"));
    assert_eq!(place.run(&["idem", "rm", "pay-7"]).code(0).out(), "deleted\n");
    assert_eq!(place.run(&["idem", "rm", "pay-7"]).code(1).out(), "unknown\n");
    assert_eq!(place.run(&["idem", "status", "pay-7", "--json"]).code(1).out(), "null\n");
}

#[test]
fn what_failed_is_told_and_what_may_be_tried_again_is_new() {
    let place = Place::new();
    for (retryable, attempt) in [(true, "1"), (false, "2")] {
        let new = check(&place, REQUEST).code(0).out();
        assert_eq!(line(&new, "attempt"), attempt);
        let token = line(&new, "token");
        let mut args = vec!["idem", "fail", "pay-7", "--token", &token, "--error", "card\u{1b}[31m declined"];
        args.extend(retryable.then_some("--retryable"));
        place.run(&args).code(0);
    }
    let failed = check(&place, REQUEST).code(1).out();
    assert_eq!((failed.lines().next(), line(&failed, "error")), (Some("failed"), "card\\u{1b}[31m declined".into()));
    let token = "0".repeat(32);
    let lost = place.run(&["idem", "complete", "pay-7", "--token", &token]);
    assert!(lost.code(1).talk().contains("lease_lost"));
    let unknown = place.run(&["idem", "complete", "pay-8", "--token", &token, "--json"]);
    assert!(unknown.code(1).talk().contains(r#""code":"key_not_found""#));
}

#[test]
fn the_request_comes_from_a_file_or_stdin_too() {
    let place = Place::new();
    std::fs::write(place.path().join("request.json"), REQUEST).unwrap();
    check(&place, "@request.json").code(0);
    let args = ["idem", "check", "pay-7", "--request", "-", "--json"];
    let told = place.run_with(&args, REQUEST).code(1).out();
    assert!(told.contains(r#""result":"in_progress""#) && told.contains(DIGEST), "{told}");
}

#[test]
fn wrong_usage_of_idem_is_2() {
    let place = Place::new();
    place.run(&["idem", "check", "k"]).code(2);
    place.run(&["idem", "check", "k", "--request", "{"]).code(2);
    place.run(&["idem", "check", "k", "--request", "@none"]).code(2);
    place.run(&["idem", "check", "a b", "--request", "1"]).code(2);
    place.run(&["idem", "check", "k", "--request", "1", "--lease-ms", "0"]).code(2);
    place.run(&["idem", "check", "k", "--request", "1", "--ledger", ":memory:"]).code(2);
    place.run(&["idem", "complete", "k", "--token", "x"]).code(2);
}

#[test]
fn a_gate_that_cannot_answer_is_3_and_never_new() {
    let place = Place::new();
    let args = ["idem", "check", "k", "--request", "1", "--server", "http://127.0.0.1:1"];
    assert_eq!(place.run(&args).code(3).out(), "");
}

#[test]
fn a_running_server_is_asked_through_its_lock() {
    let place = Place::new();
    let serving = Serving::start(&place, &[]);
    let new = check(&place, REQUEST).code(0).out();
    let token = line(&new, "token");
    place.run(&["idem", "complete", "pay-7", "--token", &token, "--response", "[1]"]).code(0);
    serving.stop();
    assert_eq!(line(&check(&place, REQUEST).code(1).out(), "response"), "[1]", "it stands in the file");
}

#[test]
fn a_key_is_known_as_long_beyond_its_ttl_as_the_deployment_says() {
    let place = Place::new();
    let at = |remember: &str, args: &[&str]| {
        let mut command = place.command(args);
        Ended(command.env("TRACEKEEP_IDEMPOTENCY_REMEMBER_S", remember).output().unwrap())
    };
    for wrong in ["x", "-1", "316224001"] {
        assert!(at(wrong, &["idem", "status", "k"]).code(2).talk().contains("TRACEKEEP_IDEMPOTENCY_REMEMBER_S"));
    }
    let check = ["idem", "check", "k", "--request", "1", "--ttl-s", "1"];
    let token = line(&at("0", &check).code(0).out(), "token");
    at("0", &["idem", "complete", "k", "--token", &token]).code(0);
    let started = std::time::Instant::now();
    let other = ["idem", "check", "k", "--request", "2"];
    let told = loop {
        let told = at("0", &other).out();
        if !told.starts_with("conflict\n") || started.elapsed() > std::time::Duration::from_secs(60) {
            break told;
        }
    };
    assert!(told.starts_with("new\n"), "{told}");
}

#[test]
fn test_and_prod_demand_a_gate_that_is_durable() {
    let place = Place::new();
    for mode in ["test", "prod"] {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let ended = command.env("TRACEKEEP_MODE", mode).env("TRACEKEEP_IDEMPOTENCY_STORE", "memory").output().unwrap();
        assert_eq!(ended.status.code(), Some(2));
        let talk = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(talk.contains("TRACEKEEP_IDEMPOTENCY_STORE=sqlite"), "{talk}");
    }
    let mut command = place.command(&["idem", "status", "k"]);
    assert_eq!(command.env("TRACEKEEP_IDEMPOTENCY_STORE", "disk").output().unwrap().status.code(), Some(2));
    let mut command = place.command(&["idem", "status", "k"]);
    let ended = command.env("TRACEKEEP_IDEMPOTENCY_ARBITER", "nobody").output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
}

/// A real redis-server on a free port, volatile or with an append-only file.
struct Redis(std::process::Child, String);

impl Redis {
    fn start(place: &Place, appendonly: &[&str]) -> Self {
        use std::io::BufRead;
        // A cluster's own port is 10,000 above it.
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = std::iter::repeat_with(free).find(|port| *port < 55_000).unwrap().to_string();
        let mut command = std::process::Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly"]);
        command.args(appendonly).arg("--dir").arg(place.path().join(&port)).stdout(std::process::Stdio::piped());
        std::fs::create_dir(place.path().join(&port)).unwrap();
        let mut child = command.spawn().expect("redis-server is installed (Debian: apt-get install redis-server)");
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().any(|line| line.unwrap().contains("eady to accept connections")));
        std::thread::spawn(move || lines.for_each(drop));
        Self(child, format!("redis://127.0.0.1:{port}"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_gate_in_redis_alone_is_shared_and_prod_demands_that_it_is_durable() {
    let place = Place::new();
    let (volatile, durable) =
        (Redis::start(&place, &["no"]), Redis::start(&place, &["yes", "--appendfsync", "always"]));
    let each_second = Redis::start(&place, &["yes", "--appendfsync", "everysec"]);
    place.run(&["demo"]).code(0);
    let ask = |url: &str, mode: &str| {
        let mut command = place.command(&["idem", "check", "pay-7", "--request", REQUEST]);
        command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_MODE", mode);
        command.env("TRACEKEEP_IDEMPOTENCY_ARBITER", "none");
        Ended(command.env("TRACEKEEP_REDIS_URL", url).output().unwrap())
    };
    let refused = ask(&volatile.1, "prod");
    assert!(refused.code(2).talk().contains("appendonly yes and appendfsync always"), "{}", refused.talk());
    let refused = ask(&each_second.1, "prod");
    assert!(refused.code(2).talk().contains("appendfsync always (with everysec"), "{}", refused.talk());
    ask("", "prod").code(2);
    assert!(ask(&durable.1, "prod").code(0).out().starts_with("new\n"));
    assert!(ask(&durable.1, "prod").code(1).out().starts_with("in_progress\n"));
    assert!(ask(&volatile.1, "local").code(0).out().starts_with("new\n"), "another Redis is another gate");
    drop(durable);
    let gone = ask("redis://127.0.0.1:1", "local");
    assert_eq!(gone.code(3).out(), "");
}

/// A cluster was taken for durable, whose replicas may lack what was answered.
#[test]
fn test_and_prod_demand_an_arbiter_where_a_replica_may_be_promoted() {
    let place = Place::new();
    let settings = ["yes", "--appendfsync", "always", "--cluster-enabled", "yes"];
    let redis = Redis::start(&place, &settings);
    let port = redis.1.rsplit_once(':').unwrap().1.to_owned();
    for words in [["config", "set", "cluster-announce-ip", "127.0.0.1"], ["cluster", "addslotsrange", "0", "16383"]] {
        assert!(
            std::process::Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap().status.success()
        );
    }
    place.run(&["demo"]).code(0);
    let ask = |arbiter: &str, mode: &str| {
        let mut command = place.command(&["idem", "check", "pay-7", "--request", REQUEST]);
        command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_MODE", mode);
        command.env("TRACEKEEP_IDEMPOTENCY_ARBITER", arbiter);
        Ended(command.env("TRACEKEEP_REDIS_URL", format!("redis+cluster://127.0.0.1:{port}")).output().unwrap())
    };
    // A cluster of one takes a moment to say that it is up.
    assert!((0..1_000).any(|_| ask("none", "local").0.status.code() != Some(3)));
    for mode in ["test", "prod"] {
        let refused = ask("none", mode);
        assert!(refused.code(2).talk().contains("TRACEKEEP_IDEMPOTENCY_ARBITER=ledger"), "{}", refused.talk());
    }
    ask("none", "local").code(1);
    ask("ledger", "prod").code(1);
}

#[test]
fn what_redis_loses_is_not_given_out_again_where_the_ledger_is_the_arbiter() {
    let place = Place::new();
    let redis = Redis::start(&place, &["no"]);
    let ask = |request: &str| {
        let mut command = place.command(&["idem", "check", "pay-7", "--request", request]);
        command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_MODE", "prod");
        Ended(command.env("TRACEKEEP_REDIS_URL", &redis.1).output().unwrap())
    };
    assert!(ask(REQUEST).code(0).out().starts_with("new\n"), "a volatile Redis will do: the ledger decides");
    let port = redis.1.rsplit_once(':').unwrap().1;
    let flushed = std::process::Command::new("redis-cli").args(["-p", port, "flushall"]).output().unwrap();
    assert!(flushed.status.success());
    assert!(ask(REQUEST).code(1).out().starts_with("in_progress\n"));
    assert!(ask("1").code(1).out().starts_with("conflict\n"));
    assert!(check(&place, REQUEST).code(1).out().starts_with("in_progress\n"), "the ledger's own gate decided it");
}

/// What the ledger took over from Redis alone brought back what a redaction had taken away.
#[test]
fn an_answer_of_which_something_is_withheld_is_not_taken_over() {
    let place = Place::new();
    let redis = Redis::start(&place, &["no"]);
    let ops = r#"{"op":"start_run","run_id":"r"}
{"op":"record_trace","run_id":"r","id":"t","trace_type":{"type":"Thought","content":"c"}}"#;
    place.run_with(&["record"], ops).code(0);
    let ask = |arbiter: &str, words: &[&str]| {
        let mut command = place.command(&[&["idem"], words].concat());
        command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_IDEMPOTENCY_ARBITER", arbiter);
        Ended(command.env("TRACEKEEP_REDIS_URL", &redis.1).output().unwrap())
    };
    let check = ["check", "k", "--request", "1", "--run", "r"];
    let token = line(&ask("none", &check).code(0).out(), "token");
    ask("none", &["complete", "k", "--token", &token, "--response", "\"SECRET-77\""]).code(0);
    place.run(&["redact", "r", "--trace", "t", "--member", "trace_type/content", "--reason", "asked for"]).code(0);
    let told = ask("ledger", &check).code(1).out();
    assert!(told.starts_with("duplicate\n") && !told.contains("SECRET-77"), "{told}");
}

/// After FLUSHALL, Redis alone said *new* of what the ledger had decided.
#[test]
fn redis_alone_does_not_take_over_keys_that_the_ledger_decided() {
    let place = Place::new();
    let redis = Redis::start(&place, &["no"]);
    place.run(&["demo"]).code(0);
    let ask = |arbiter: &str, words: &[&str]| {
        let mut command = place.command(&[&["idem"], words].concat());
        command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_IDEMPOTENCY_ARBITER", arbiter);
        Ended(command.env("TRACEKEEP_REDIS_URL", &redis.1).output().unwrap())
    };
    let check = ["check", "pay-7", "--request", REQUEST];
    assert!(ask("ledger", &check).code(0).out().starts_with("new\n"));
    let port = redis.1.rsplit_once(':').unwrap().1;
    assert!(std::process::Command::new("redis-cli").args(["-p", port, "flushall"]).output().unwrap().status.success());
    let refused = ask("none", &check);
    assert!(refused.code(2).talk().contains("TRACEKEEP_IDEMPOTENCY_ARBITER=ledger"), "{}", refused.talk());
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_IDEMPOTENCY_ARBITER", "none");
    assert_eq!(command.env("TRACEKEEP_REDIS_URL", &redis.1).output().unwrap().status.code(), Some(2));
    ask("ledger", &["rm", "pay-7"]).code(0);
    // The mark of the deletion is the arbiter's, too.
    assert!(std::process::Command::new("redis-cli").args(["-p", port, "flushall"]).output().unwrap().status.success());
    assert!(ask("none", &check).code(0).out().starts_with("new\n"), "the ledger knows no key any more");
}

/// A shell without the environment of the server was told *new* of a key that was held in Redis.
#[test]
fn the_ledgers_own_gate_knows_that_redis_alone_decides() {
    let place = Place::new();
    let redis = Redis::start(&place, &["no"]);
    let step = r#"{"op":"record_step","run_id":"r","index":0,"skill_name":"pay","params":{},"status":"success"}"#;
    place.run_with(&["record", "-"], &format!("{{\"op\":\"start_run\",\"run_id\":\"r\"}}\n{step}\n")).code(0);
    let with = |arbiter: &str, words: &[&str]| {
        let mut command = place.command(words);
        command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_IDEMPOTENCY_ARBITER", arbiter);
        command.env("TRACEKEEP_REDIS_URL", &redis.1);
        command
    };
    let ask = |arbiter: &str, words: &[&str]| Ended(with(arbiter, &[&["idem"], words].concat()).output().unwrap());
    let pay = ["check", "pay-7", "--request", REQUEST];
    let token = line(&ask("none", &pay).code(0).out(), "token");
    let complete = ["idem", "complete", "pay-7", "--token", &token];
    let claim = ["replay", "claim", "r", "0", "--session", "s"];
    let (status, rm) = (["idem", "status", "pay-7"], ["idem", "rm", "pay-7"]);
    for words in [&[&["idem"], &pay[..]].concat()[..], &status, &rm, &complete, &claim] {
        let refused = place.run(words);
        let talk = refused.code(3).talk();
        assert_eq!(refused.out(), "", "{words:?}");
        assert!(talk.contains("TRACEKEEP_IDEMPOTENCY_STORE=redis") && talk.contains("take-back"), "{talk}");
    }
    for store in ["sqlite", "memory"] {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let ended = Ended(command.env("TRACEKEEP_IDEMPOTENCY_STORE", store).output().unwrap());
        assert!(ended.code(2).talk().contains("TRACEKEEP_IDEMPOTENCY_STORE=redis"), "{}", ended.talk());
    }
    let serving = Serving::of(&mut with("none", &["serve", "--listen", "127.0.0.1:0"]));
    assert!(check(&place, REQUEST).code(1).out().starts_with("in_progress\n"), "the server knows where to ask");
    place.run(&["idem", "take-back"]).code(3);
    serving.stop();
    assert!(ask("ledger", &pay).code(1).out().starts_with("in_progress\n"), "the ledger takes it over");
    check(&place, REQUEST).code(3);
    assert_eq!(place.run(&["idem", "take-back"]).code(0).out(), "taken back\n");
    assert_eq!(place.run(&["idem", "take-back", "--json"]).code(0).out(), "{\"taken_back\":false}\n");
    assert!(check(&place, REQUEST).code(1).out().starts_with("in_progress\n"));
    place.run(&["idem", "check", "pay-8", "--request", REQUEST]).code(0);
}

/// The gate that a server has, and one in Redis beside it, would both give a key out.
#[test]
fn redis_alone_is_not_asked_beside_a_server_with_a_gate_of_its_own() {
    let place = Place::new();
    let redis = Redis::start(&place, &["no"]);
    let serving = Serving::start(&place, &[]);
    let mut command = place.command(&["idem", "check", "pay-7", "--request", REQUEST]);
    command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_IDEMPOTENCY_ARBITER", "none");
    let refused = Ended(command.env("TRACEKEEP_REDIS_URL", &redis.1).output().unwrap());
    assert_eq!(refused.code(3).out(), "");
    serving.stop();
}

#[test]
fn each_run_says_that_the_gate_is_in_redis_alone() {
    let place = Place::new();
    let redis = Redis::start(&place, &["no"]);
    for (arbiter, says) in [("none", true), ("ledger", false)] {
        let run = format!("run-{arbiter}");
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_IDEMPOTENCY_ARBITER", arbiter);
        let serving = Serving::of(command.env("TRACEKEEP_REDIS_URL", &redis.1));
        let op = format!(r#"{{"op":"start_run","run_id":"{run}"}}"#);
        place.run_with(&["record", "-"], &op).code(0);
        let shown = place.run(&["show", &run, "--json"]).code(0).out();
        assert_eq!(shown.contains(r#""idempotency_store":"redis""#), says, "{shown}");
        let told = place.run(&["show", &run]).code(0).out();
        assert_eq!(told.contains("redis alone"), says, "{told}");
        serving.stop();
    }
}

/// Nobody could tell how often Redis was not told what the ledger had decided.
#[test]
fn what_redis_was_not_told_is_counted_and_logged_once() {
    let place = Place::new();
    let redis = Redis::start(&place, &["no"]);
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("TRACEKEEP_IDEMPOTENCY_STORE", "redis").env("TRACEKEEP_REDIS_URL", &redis.1);
    let server = Serving::of(&mut command);
    let port = redis.1.rsplit_once(':').unwrap().1;
    let config = ["-p", port, "config", "set", "maxmemory", "1"];
    assert!(std::process::Command::new("redis-cli").args(config).output().unwrap().status.success());
    for key in ["a", "b", "c"] {
        let check = ["idem", "check", key, "--request", REQUEST, "--server", server.url()];
        assert!(place.run(&check).code(0).out().starts_with("new\n"));
    }
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    assert!(metrics.contains("tracekeep_gate_untold_notes_total{code=\"storage_full\"} 3\n"), "{metrics}");
    let (code, said) = server.stop_and_say();
    assert_eq!(code, Some(0));
    assert_eq!(said.matches("Redis was not told what the ledger decided").count(), 1, "{said}");
}
