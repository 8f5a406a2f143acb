//! `Idempotency-Key` on writes, and what a store's failure looks like.

use std::sync::Arc;

use tracekeep_conformance::{Fault, FaultStore};
use tracekeep_store::MemoryLedger;

use crate::{Answer, Server};

const JSON: (&str, &str) = ("content-type", "application/json");

fn post(server: &Server, key: &str, body: &str) -> Answer {
    server.send("POST", "/api/v1/runs", &[JSON, ("idempotency-key", key)], body.as_bytes())
}

#[test]
fn a_key_names_a_write_quoted_or_bare() {
    let server = Server::start();
    let first = post(&server, "k-1", r#"{"goal":"x"}"#);
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    for key in ["k-1", "\"k-1\""] {
        let again = post(&server, key, r#"{"goal":"x"}"#);
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
        for member in ["run_id", "log_index", "leaf_hash", "tree_size", "root"] {
            assert_eq!(again.member(member), first.member(member), "{member}");
        }
    }
    post(&server, "k-1", r#"{"goal":"y"}"#).refused(422, "key_reused", None);
    assert_eq!(server.get("/api/v1/runs/count").member("count").as_deref(), Some("1"));
}

#[test]
fn keys_outside_their_grammar_are_refused() {
    let server = Server::start();
    for key in ["", "a b", "\"open", "\"a\"b", "\"a\\x\"", &"x".repeat(256)] {
        post(&server, key, "{}").refused(400, "invalid_id", Some("Idempotency-Key"));
    }
    let twice = [JSON, ("idempotency-key", "a"), ("idempotency-key", "b")];
    server.send("POST", "/api/v1/runs", &twice, b"{}").refused(400, "invalid_id", Some("Idempotency-Key"));
    assert_eq!(server.get("/api/v1/log").member("tree_size").as_deref(), Some("0"));
}

#[test]
fn an_unknown_commit_is_503_and_its_retry_is_safe() {
    let faults =
        FaultStore::new(Arc::new(MemoryLedger::default())).failing(0, Fault::Applied).failing(2, Fault::NotApplied);
    let server = Server::over(Arc::new(faults));
    let answer = server.post("/api/v1/runs", r#"{"run_id":"r"}"#);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.member("code").as_deref(), Some("commit_unknown"));
    assert_eq!(answer.member("outcome").as_deref(), Some("unknown"));
    assert_eq!(server.post("/api/v1/runs", r#"{"run_id":"r"}"#).status, 200, "it had happened");
    let answer = server.post("/api/v1/runs", r#"{"run_id":"s"}"#);
    assert_eq!((answer.status, answer.member("outcome").as_deref()), (503, Some("not_applied")));
    assert_eq!(server.post("/api/v1/runs", r#"{"run_id":"s"}"#).status, 201, "it had not happened");
}
