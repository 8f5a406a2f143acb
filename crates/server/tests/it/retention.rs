//! Erasing and holding over HTTP.

use std::sync::Arc;

use tracekeep_store::MemoryLedger;

use crate::{Answer, Server};

const JSON: (&str, &str) = ("content-type", "application/json");

fn ended(server: &Server, run: &str) {
    assert_eq!(server.post("/api/v1/runs", &format!(r#"{{"run_id":"{run}"}}"#)).status, 201);
    let complete = server.post(&format!("/api/v1/runs/{run}/complete"), r#"{"status":"completed"}"#);
    assert_eq!(complete.status, 201);
}

fn put(server: &Server, path: &str, body: &str) -> Answer {
    server.send("PUT", path, &[JSON], body.as_bytes())
}

fn delete(server: &Server, path: &str) -> Answer {
    server.send("DELETE", path, &[], b"")
}

#[test]
fn a_deleted_run_is_gone_and_says_why() {
    let server = Server::start();
    ended(&server, "r");
    delete(&server, "/api/v1/runs/r").refused(400, "invalid_parameter", Some("reason"));
    delete(&server, "/api/v1/runs/r?reason=asked+for&why=x").refused(400, "invalid_parameter", Some("why"));
    let first = delete(&server, "/api/v1/runs/r?reason=asked+for&by=ops");
    assert_eq!((first.status, first.member("outcome").as_deref()), (201, Some("recorded")), "{}", first.text());
    let again = delete(&server, "/api/v1/runs/r?reason=other");
    assert_eq!((again.status, again.member("log_index")), (200, first.member("log_index")));
    let gone = server.get("/api/v1/runs/r/steps");
    gone.refused(410, "run_erased", None);
    let redaction = gone.member("redaction").expect("a redaction");
    assert!(redaction.contains(r#""by":"ops""#) && redaction.contains(r#""reason":"asked for""#), "{redaction}");
    server.post("/api/v1/runs", r#"{"run_id":"r"}"#).refused(409, "erased", Some("/run_id"));
    let entries = server.get("/api/v1/log/entries").text();
    assert!(!entries.contains(r#""goal""#) && entries.contains("redaction"), "{entries}");
}

#[test]
fn a_write_without_a_body_honours_its_key() {
    let server = Server::start();
    ended(&server, "r");
    let send = || server.send("DELETE", "/api/v1/runs/r?reason=x", &[("idempotency-key", "k")], b"");
    assert_eq!(send().status, 201);
    assert_eq!(send().header("idempotency-replayed"), Some("true"));
}

#[test]
fn holds_on_runs_and_tags_come_and_go() {
    let server = Server::start();
    ended(&server, "r");
    put(&server, "/api/v1/runs/r/hold", "{}").refused(400, "missing_member", Some("/reason"));
    put(&server, "/api/v1/runs/r/hold", r#"{"reason":"x","tag":"t"}"#).refused(400, "invalid_member", Some("/tag"));
    assert_eq!(put(&server, "/api/v1/runs/r/hold", r#"{"reason":"case 7","by":"legal"}"#).status, 201);
    assert_eq!(put(&server, "/api/v1/runs/r/hold", r#"{"reason":"case 7","by":"legal"}"#).status, 200);
    assert_eq!(put(&server, "/api/v1/holds/tags/a%20b", r#"{"reason":"case 8"}"#).status, 201);
    delete(&server, "/api/v1/runs/r?reason=x").refused(409, "held", None);
    assert_eq!(server.get("/api/v1/runs/r").member("held").as_deref(), Some("true"));
    let held = server.get("/api/v1/holds").text();
    assert!(held.contains(r#""run_id":"r""#) && held.contains(r#""tag":"a b""#), "{held}");
    assert_eq!(delete(&server, "/api/v1/runs/r/hold?reason=closed").status, 201);
    assert_eq!(delete(&server, "/api/v1/runs/r/hold?reason=closed").status, 200);
    assert_eq!(delete(&server, "/api/v1/holds/tags/a%20b?reason=closed").status, 201);
    delete(&server, "/api/v1/holds/tags/never?reason=closed").refused(404, "not_held", None);
    assert_eq!(delete(&server, "/api/v1/runs/r?reason=x").status, 201);
}

#[test]
fn gc_answers_with_what_it_did() {
    let server = Server::over(Arc::new(MemoryLedger::default()));
    ended(&server, "r");
    let ask = server.post("/api/v1/gc", r#"{"before":"2200-01-01T00:00:00Z","dry_run":true}"#);
    assert_eq!((ask.status, ask.member("erased").as_deref()), (200, Some("1")), "{}", ask.text());
    assert_eq!(server.get("/api/v1/runs/r").status, 200);
    let done = server.post("/api/v1/gc", r#"{"before":"2200-01-01T00:00:00Z","by":"ops"}"#);
    assert_eq!((done.member("erased").as_deref(), done.member("entries").as_deref()), (Some("1"), Some("2")));
    server.get("/api/v1/runs/r").refused(410, "run_erased", None);
    assert_eq!(server.post("/api/v1/gc", "{}").member("erased").as_deref(), Some("0"));
    server.post("/api/v1/gc", r#"{"older_than":"soon"}"#).refused(400, "invalid_member", Some("/older_than"));
    server.post("/api/v1/gc", r#"{"limit":0}"#).refused(400, "number_out_of_range", Some("/limit"));
    server.post("/api/v1/gc", r#"{"cursor":"x"}"#).refused(400, "invalid_cursor", Some("cursor"));
}

#[test]
fn a_member_is_withheld_once_and_says_why() {
    let server = Server::start();
    assert_eq!(server.post("/api/v1/runs", r#"{"run_id":"r"}"#).status, 201);
    let step = r#"{"index":0,"skill_name":"login","params":{"password-is":"xyzzy"},"status":"success"}"#;
    assert_eq!(server.post("/api/v1/runs/r/steps", step).status, 201);
    let send =
        |body: &str| server.send("POST", "/api/v1/runs/r/redact", &[JSON, ("idempotency-key", "k")], body.as_bytes());
    let post = |body: &str| server.post("/api/v1/runs/r/redact", body);
    post(r#"{"step":0,"members":["params"]}"#).refused(400, "missing_member", Some("/reason"));
    post(r#"{"step":0,"members":["index"],"reason":"x"}"#).refused(400, "invalid_member", Some("/members/0"));
    post(r#"{"step":0,"members":["tokens"],"reason":"x"}"#).refused(400, "invalid_member", Some("/members/0"));
    post(r#"{"step":9,"members":["params"],"reason":"x"}"#).refused(404, "step_not_found", Some("/step"));
    let body = r#"{"step":0,"members":["params"],"reason":"asked for","by":"ops"}"#;
    let first = send(body);
    assert_eq!((first.status, first.member("outcome").as_deref()), (201, Some("recorded")), "{}", first.text());
    assert_eq!(send(body).header("idempotency-replayed"), Some("true"));
    let again = post(body);
    assert_eq!((again.status, again.member("log_index")), (200, first.member("log_index")));
    let read = server.get("/api/v1/runs/r/steps").text();
    assert!(read.contains(r#""withheld":["input_hash","params"]"#) && read.contains(r#""redacted_by":2"#), "{read}");
    let log = server.get("/api/v1/log/entries").text();
    assert!(!log.contains("xyzzy") && log.contains(r#""reason":"asked for""#), "{log}");
}
