//! Audits that are held in a real Redis in front of the ledger.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tracekeep_core::model::{Ack, AckStatus};
use tracekeep_store::{AuditStore, LedgerStore, block_on};
use tracekeep_store_redis::RedisAuditStore;
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::Place;
use crate::serve::Serving;

/// A redis-server of the test's own.
struct Redis {
    child: Child,
    url: String,
}

impl Redis {
    fn start(place: &Place) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(place.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server is installed (Debian: apt-get install redis-server)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.contains("eady to accept connections"))));
        Self { child, url: format!("redis://127.0.0.1:{port}") }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request; the answer's status and body.
fn ask(server: &Serving, method: &str, path: &str, body: &str) -> (u16, String) {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}content-type: application/json\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn configured(place: &Place, redis: &Redis, more: &str) {
    let file = format!("audit_store = \"redis\"\nredis_url = \"{}\"\n{more}", redis.url);
    std::fs::write(place.path().join("tracekeep.toml"), file).unwrap();
}

#[test]
fn what_redis_holds_is_in_the_seal_the_verdict_and_the_lists() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "");
    place.run_with(&["record"], "{\"op\":\"start_run\",\"run_id\":\"r\"}\n").code(0);
    let server = Serving::start(&place, &[]);
    let expected = r#"{"expectations":[{"id":"e","domain":"d","action":"x","deadline_ms":3600000},
        {"id":"f","domain":"d","action":"y","deadline_ms":3600000}]}"#;
    let (status, noted) = ask(&server, "POST", "/api/v1/runs/r/expectations", expected);
    assert_eq!((status, noted.contains("log_index")), (201, false), "{noted}");
    let ack = r#"{"id":"a","domain":"d","action":"x"}"#;
    assert_eq!(ask(&server, "POST", "/api/v1/runs/r/acks", ack).0, 201);
    assert_eq!(ask(&server, "POST", "/api/v1/runs/r/acks", ack), (200, r#"{"id":"a","outcome":"duplicate"}"#.into()));
    let other = ack.replace("\"x\"", "\"z\"");
    assert_eq!(ask(&server, "POST", "/api/v1/runs/r/acks", &other).0, 409);
    assert_eq!(ask(&server, "POST", "/api/v1/runs/unknown/acks", ack).0, 404);
    // A worker says what it did with no server between.
    let options = Options { create: false, read_only: true, ..Options::default() };
    let namespace = SqliteLedger::open(place.path().join("tracekeep.db"), options).unwrap().ledger().to_string();
    let worker = RedisAuditStore::connect(&redis.url, &namespace).unwrap();
    let said = Ack { id: Some("b".parse().unwrap()), ..Ack::new("r".parse().unwrap(), "d", "y", AckStatus::Success) };
    block_on(worker.add_ack(said)).unwrap();
    let (status, sealed) = ask(&server, "POST", "/api/v1/runs/r/complete", r#"{"status":"completed"}"#);
    assert_eq!(status, 201, "{sealed}");
    let (_, audit) = ask(&server, "GET", "/api/v1/runs/r/audit", "");
    assert!(audit.contains(r#""acks":2"#) && audit.contains("\"COMPLETE\""), "{audit}");
    let (_, acks) = ask(&server, "GET", "/api/v1/runs/r/acks", "");
    assert_eq!(acks.matches("received_at").count(), 2, "{acks}");
    assert_eq!(server.stop(), Some(0));
    place.run(&["audit", "reconcile", "r"]).code(0);
    place.run(&["fsck"]).code(0);
}

/// Named or found by the file's lock, a server says where a fact goes: the command line put it into the log by itself.
#[test]
fn beside_a_server_the_command_line_takes_its_hot_path() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "");
    place.run_with(&["record"], "{\"op\":\"start_run\",\"run_id\":\"r\"}\n").code(0);
    let server = Serving::start(&place, &[]);
    let expect = ["audit", "expect", "r", "--domain", "d", "--action", "x", "--deadline-ms", "60000", "--id", "e"];
    assert_eq!(place.run(&expect).code(0).out(), "recorded  e  held in Redis\n");
    let named = [&expect[..], &["--server", server.url()]].concat();
    assert_eq!(place.run(&named).code(0).out(), "duplicate  e  held in Redis\n");
    let ack = ["audit", "ack", "r", "d", "x", "--id", "a", "--server", server.url()];
    assert_eq!(place.run(&ack).code(0).out(), "recorded  a  held in Redis\n");
    let long = "x".repeat(300);
    let refused = place.run(&["audit", "ack", "r", &long, "x", "--server", server.url(), "--json"]);
    assert!(refused.code(1).talk().contains(r#""path":"/domain""#), "{}", refused.talk());
    assert_eq!(place.run(&["audit", "reconcile", "r"]).code(0).out(), "COMPLETE\n");
    assert_eq!(place.run(&ack).code(0).out(), "duplicate  a  held in Redis\n");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn without_a_server_the_command_line_goes_through_redis_too() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "");
    place.run_with(&["record"], "{\"op\":\"start_run\",\"run_id\":\"r\"}\n").code(0);
    let expect = ["audit", "expect", "r", "--domain", "d", "--action", "x", "--deadline-ms", "60000", "--id", "e"];
    assert_eq!(place.run(&expect).code(0).out(), "recorded  e  held in Redis\n");
    assert!(place.run(&["audit", "ack", "r", "d", "x"]).code(0).out().contains("held in Redis"));
    assert_eq!(place.run(&["audit", "reconcile", "r"]).code(0).out(), "COMPLETE\n");
}

#[test]
fn without_a_server_a_seal_holds_what_redis_held_and_a_look_finds_it() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "");
    let start = "{\"op\":\"start_run\",\"run_id\":\"r\"}\n{\"op\":\"start_run\",\"run_id\":\"s\"}\n";
    place.run_with(&["record"], start).code(0);
    for run in ["r", "s"] {
        let expect = ["audit", "expect", run, "--domain", "d", "--action", "x", "--deadline-ms", "60000", "--id", "e"];
        place.run(&expect).code(0);
    }
    assert!(place.run(&["audit", "pending"]).code(1).out().contains("s "), "what is held is moved before it is listed");
    for run in ["r", "s"] {
        place.run(&["audit", "ack", run, "d", "x"]).code(0);
    }
    place.run(&["complete", "r"]).code(0);
    place.run_with(&["record"], "{\"op\":\"complete_run\",\"run_id\":\"s\",\"status\":\"completed\"}\n").code(0);
    for run in ["r", "s"] {
        let shown = place.run(&["audit", "show", run]);
        assert!(shown.code(0).talk().contains("recorded last: COMPLETE"), "{}", shown.talk());
    }
}

#[test]
fn what_is_set_aside_is_listed_beside_a_server_and_without_one() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "");
    let full = (0..1_000).map(|n| {
        format!(r#"{{"op":"expect","run_id":"r","id":"e{n}","domain":"d","action":"x","deadline_ms":60000}}"#)
    });
    let start = "{\"op\":\"start_run\",\"run_id\":\"r\"}\n".to_owned();
    let full = start + "{\"ops\":[" + &full.collect::<Vec<_>>().join(",") + "]}\n";
    place.run_with(&["record"], &full).code(0);
    assert_eq!(place.run(&["audit", "parked", "r"]).code(0).out(), "");
    let expect = ["audit", "expect", "r", "--domain", "d", "--action", "y", "--deadline-ms", "60000", "--id", "more"];
    place.run(&expect).code(0);
    let is_listed = |of: &[&str]| {
        let parked = |more: &[&str]| place.run(&[&["audit", "parked", "r"], of, more].concat());
        let table = parked(&[]);
        assert!(table.code(1).out().lines().nth(1).unwrap().starts_with("e:more  too_many  20"), "{}", table.out());
        let json = parked(&["--json"]).code(1).out();
        assert!(json.contains(r#""code":"too_many","member":"e:more""#) && json.contains(r#""action":"y""#), "{json}");
        place.run(&[&["audit", "parked", "unknown"], of].concat()).code(1);
        parked(&["--cursor", "nonsense"]).code(2);
    };
    is_listed(&[]);
    let server = Serving::start(&place, &[]);
    is_listed(&[]);
    is_listed(&["--server", server.url()]);
    let (status, listed) = ask(&server, "GET", "/api/v1/runs/r/audit/parked?limit=1", "");
    assert!(status == 200 && listed.contains(r#""member":"e:more""#), "{listed}");
    assert_eq!(ask(&server, "GET", "/api/v1/runs/unknown/audit/parked", "").0, 404);
    assert_eq!(ask(&server, "GET", "/api/v1/runs/r/audit/parked?limit=0", "").0, 400);
    assert_eq!(server.stop(), Some(0));
}

/// The digests of what was said, and the names of actions, outlived the erasure by their ttl.
#[test]
fn an_erased_run_leaves_nothing_in_redis_whoever_erases_it() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "");
    let keys = |run: &str| {
        let address = redis.url.strip_prefix("redis://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(format!("KEYS *{run}*\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.matches("tk:").count()
    };
    let said = |run: &str| {
        let start = format!("{{\"op\":\"start_run\",\"run_id\":\"{run}\"}}\n");
        place.run_with(&["record"], &start).code(0);
        place.run(&["audit", "ack", run, "d", "personal-data"]).code(0);
        place.run(&["complete", run]).code(0);
        assert!(keys(run) > 0, "the digest of what was said stays, so that it is a duplicate");
    };
    said("by-command");
    place.run(&["gc", "--run", "by-command", "--reason", "asked for"]).code(0);
    assert_eq!(keys("by-command"), 0);
    said("by-age");
    place.run(&["gc", "--older-than", "0s"]).code(0);
    assert_eq!(keys("by-age"), 0);
    let server = Serving::start(&place, &[]);
    said("by-route");
    assert_eq!(ask(&server, "DELETE", "/api/v1/runs/by-route?reason=asked", "").0, 201);
    assert_eq!(keys("by-route"), 0);
    said("by-sweep");
    assert_eq!(ask(&server, "POST", "/api/v1/gc", r#"{"older_than":"0s"}"#).0, 200);
    assert_eq!(keys("by-sweep"), 0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_erasure_does_not_wait_for_redis() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "");
    for run in ["by-name", "by-age"] {
        place.run_with(&["record"], &format!("{{\"op\":\"start_run\",\"run_id\":\"{run}\"}}\n")).code(0);
        place.run(&["complete", run]).code(0);
    }
    drop(redis);
    let erased = place.run(&["gc", "--run", "by-name", "--reason", "asked for"]);
    assert!(erased.code(0).talk().contains("until its ttl is over"), "{}", erased.talk());
    let erased = place.run(&["gc", "--older-than", "0s", "--json"]);
    assert!(erased.code(0).talk().contains("until its ttl is over"));
    assert!(erased.out().contains(r#""erased":1"#) && erased.out().contains(r#""left":1"#), "{}", erased.out());
    for run in ["by-name", "by-age"] {
        assert!(place.run(&["show", run]).code(1).talk().contains("run_erased"));
    }
}

#[test]
fn modes_demand_what_survives() {
    let place = Place::new();
    let redis = Redis::start(&place);
    configured(&place, &redis, "mode = \"prod\"\n");
    let refused = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(refused.code(2).talk().contains("appendonly yes"), "{}", refused.talk());
}
