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
    for key in ["k-1", "\"k-1\"", "\"k-1\"; a=1", "\"k-1\";a;b=\"x\\\"y\";*c=?0;d=:aGk=:; e=-1.5;f=t/*", " \"k-1\" "] {
        let again = post(&server, key, r#"{"goal":"x"}"#);
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
        for member in ["run_id", "log_index", "leaf_hash", "tree_size", "root"] {
            assert_eq!(again.member(member), first.member(member), "{member}");
        }
    }
    post(&server, "k-1", r#"{"goal":"y"}"#).refused(422, "key_reused", None);
    assert_eq!(server.get("/api/v1/runs/count").member("count").as_deref(), Some("1"));
}

/// Writes that no key names (docs/limits.md): files that no receipt can stand for, claims of their own, many batches at once.
const WITHOUT_KEY: [&str; 13] = [
    "POST /api/v1/bundles",
    "POST /api/v1/gc",
    "POST /api/v1/idempotency/{key}",
    "POST /api/v1/idempotency/{key}/complete",
    "POST /api/v1/idempotency/{key}/fail",
    "POST /api/v1/idempotency/{key}/renew",
    "DELETE /api/v1/idempotency/{key}",
    "POST /api/v1/incidents/{incident_id}/bundle",
    "POST /api/v1/log/multiproof",
    "POST /api/v1/runs/{run_id}/bundle",
    "POST /api/v1/runs/{run_id}/replay",
    "POST /api/v1/runs/{run_id}/rebuild",
    "POST /v1/traces",
];

/// Every write that the document names, by its method and path, and whether it says that it takes a key.
fn writes() -> Vec<(String, String, bool)> {
    let document: serde_json::Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let mut writes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            let has_key = parameters.any(|parameter| parameter["name"] == "Idempotency-Key");
            writes.push((method.to_uppercase(), path.clone(), has_key));
        }
    }
    writes
}

#[test]
fn every_write_takes_a_key_and_a_server_may_demand_it() {
    let (server, demanding) = (Server::start(), Server::demanding_keys());
    for (method, path, has_key) in writes() {
        let named = format!("{method} {path}");
        assert_ne!(has_key, WITHOUT_KEY.contains(&named.as_str()), "{named}");
        // What takes something back says why.
        let why = if method == "DELETE" && has_key && !path.ends_with("/audit") { "?reason=x" } else { "" };
        let place = path.replace('{', "x").replace('}', "") + why;
        let without = demanding.send(&method, &place, &[JSON], b"{}");
        assert_eq!(without.member("code").as_deref() == Some("idempotency_key_required"), has_key, "{named}");
        if has_key {
            assert_eq!(without.status, 400);
            let wrong = server.send(&method, &place, &[JSON, ("idempotency-key", "a b")], b"{}");
            wrong.refused(400, "invalid_id", Some("Idempotency-Key"));
        }
    }
    assert_eq!(post(&demanding, "k-1", "{}").status, 201);
    let again = post(&demanding, "k-1", "{}");
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
}

#[test]
fn keys_outside_their_grammar_are_refused() {
    let server = Server::start();
    let long = "x".repeat(256);
    let parameters =
        ["\"a\";", "\"a\"; ", "\"a\";A=1", "\"a\" ;a", "\"a\";a=", "\"a\";a=\"", "\"a\", \"b\"", "\"a b\";c"];
    for key in ["", "a b", "\"open", "\"a\"b", "\"a\\x\"", &long].into_iter().chain(parameters) {
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
