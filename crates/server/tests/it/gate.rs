//! The gate over HTTP, by the examples of its API.

use std::sync::Arc;

use tracekeep_conformance::ManualSources;
use tracekeep_server::ConnectionLimits;
use tracekeep_store::gate::{MemoryIdempotencyStore, Rules};
use tracekeep_store::{MemoryLedger, Source};

use crate::{Answer, Server};

const PAY: &str = "/api/v1/idempotency/pay-7";
const SENT: &str = r#"{"request":{"task":"X"},"lease_ms":30000,"ttl_s":86400,"run_id":"run-1"}"#;
/// `printf '{"task":"X"}' | sha256sum`
const DIGEST: &str = "887fd086fbede164a534a84726c65d12bb3889fb8b6327a5f7e7d45d4eefbc68";

fn server() -> (Server, ManualSources) {
    let sources = ManualSources::default();
    let gate = MemoryIdempotencyStore::new(Source::new(sources.clone()), Rules::default());
    (Server::before(ConnectionLimits::default(), Arc::new(MemoryLedger::default()), Arc::new(gate)), sources)
}

#[track_caller]
fn told(answer: &Answer, status: u16, members: &[(&str, &str)]) {
    assert_eq!(answer.status, status, "{}", answer.text());
    for (name, value) in members {
        assert_eq!(answer.member(name).as_deref(), Some(*value), "{name}: {}", answer.text());
    }
}

#[test]
fn a_payment_is_made_once_and_the_second_caller_gets_the_first_answer() {
    let (server, _) = server();
    let new = server.post(PAY, SENT);
    told(&new, 201, &[("result", "new"), ("attempt", "1"), ("stored_hash", DIGEST), ("stored_trace_id", "run-1")]);
    let (token, until) = (new.member("token").unwrap(), new.member("lease_until").unwrap());
    assert_eq!((token.len(), until.as_str()), (32, "2026-01-01T00:00:30.000000000Z"));
    let meanwhile = server.post(PAY, SENT);
    meanwhile.refused(409, "in_progress", None);
    assert_eq!(meanwhile.header("retry-after"), Some("30"));
    told(
        &meanwhile,
        409,
        &[("result", "in_progress"), ("stored_hash", DIGEST), ("attempt", "1"), ("lease_until", &until)],
    );
    assert_eq!(meanwhile.member("token"), None);
    told(&server.get(PAY), 200, &[("state", "in_progress"), ("run_id", "run-1"), ("attempt", "1")]);
    let done = server.post(&format!("{PAY}/complete"), &format!(r#"{{"token":"{token}","response":{{"ok":1}}}}"#));
    told(&done, 200, &[("outcome", "recorded")]);
    let again = server.post(&format!("{PAY}/complete"), &format!(r#"{{"response":{{"ok":1}},"token":"{token}"}}"#));
    told(&again, 200, &[("outcome", "duplicate")]);
    let duplicate = server.post(PAY, SENT);
    told(&duplicate, 200, &[("result", "duplicate"), ("response", r#"{"ok":1}"#), ("stored_trace_id", "run-1")]);
    told(&server.get(PAY), 200, &[("state", "completed"), ("stored_hash", DIGEST)]);
}

#[test]
fn another_request_is_422_with_both_hashes() {
    let (server, _) = server();
    server.post(PAY, SENT);
    let conflict = server.post(PAY, r#"{"request":{"task":"Y"}}"#);
    conflict.refused(422, "key_reused", None);
    told(&conflict, 422, &[("result", "conflict"), ("stored_hash", DIGEST)]);
    let digests = conflict.member("digests").unwrap();
    assert!(digests.contains(DIGEST) && digests.contains("\"sent\""), "{digests}");
    assert_eq!((conflict.header("retry-after"), conflict.member("lease_until")), (None, None));
}

#[test]
fn a_failure_for_good_is_200_and_one_to_be_tried_again_leaves_the_key_absent() {
    let (server, _) = server();
    for retryable in [true, false] {
        let token = server.post(PAY, SENT).member("token").unwrap();
        let body = format!(r#"{{"token":"{token}","error":"card declined","retryable":{retryable}}}"#);
        told(&server.post(&format!("{PAY}/fail"), &body), 200, &[("outcome", "recorded")]);
        if retryable {
            server.get(PAY).refused(404, "key_not_found", None);
        }
    }
    told(&server.post(PAY, SENT), 200, &[("result", "failed"), ("error", "card declined"), ("attempt", "2")]);
}

#[test]
fn a_lease_that_is_lost_is_409_and_a_renewed_one_is_not() {
    let (server, sources) = server();
    let first = server.post(PAY, SENT).member("token").unwrap();
    sources.advance(29_000_000_000);
    let renewed = server.post(&format!("{PAY}/renew"), &format!(r#"{{"token":"{first}"}}"#));
    told(&renewed, 200, &[("lease_until", "2026-01-01T00:00:59.000000000Z")]);
    sources.advance(29_500_000_000);
    assert_eq!(server.post(PAY, SENT).header("retry-after"), Some("1"), "half a second is not none");
    sources.advance(500_000_000);
    told(&server.post(PAY, SENT), 201, &[("result", "new"), ("attempt", "2")]);
    for end in ["complete", "fail", "renew"] {
        let late = server.post(&format!("{PAY}/{end}"), &format!(r#"{{"token":"{first}"}}"#));
        late.refused(409, "lease_lost", None);
    }
}

#[test]
fn an_unknown_key_is_404() {
    let (server, _) = server();
    let token = "0".repeat(32);
    for end in ["complete", "fail", "renew"] {
        let answer = server.post(&format!("{PAY}/{end}"), &format!(r#"{{"token":"{token}"}}"#));
        answer.refused(404, "key_not_found", None);
    }
    server.get(PAY).refused(404, "key_not_found", None);
    server.send("DELETE", PAY, &[], b"").refused(404, "key_not_found", None);
    server.post(PAY, SENT);
    told(&server.send("DELETE", PAY, &[], b""), 200, &[("deleted", "true")]);
    server.get(PAY).refused(404, "key_not_found", None);
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_leaves_nothing() {
    let (server, _) = server();
    for (body, code, path) in [
        ("{}", "missing_member", "/request"),
        (r#"{"request":null}"#, "missing_member", "/request"),
        (r#"{"request":1,"lease_ms":0}"#, "invalid_member", "/lease_ms"),
        (r#"{"request":1,"lease_ms":-1}"#, "number_out_of_range", "/lease_ms"),
        (r#"{"request":1,"lease_ms":86400001}"#, "invalid_member", "/lease_ms"),
        (r#"{"request":1,"ttl_s":0}"#, "invalid_member", "/ttl_s"),
        (r#"{"request":1,"ttl":1}"#, "unknown_member", "/ttl"),
        (r#"{"fingerprint":"x"}"#, "invalid_member", "/fingerprint"),
        (r#"{"request":1,"run_id":"a b"}"#, "invalid_id", "/run_id"),
    ] {
        server.post(PAY, body).refused(400, code, Some(path));
    }
    let wrong = format!(r#"{{"request":{{"task":"Y"}},"fingerprint":"{DIGEST}"}}"#);
    server.post(PAY, &wrong).refused(422, "hash_mismatch", Some("/fingerprint"));
    server.post("/api/v1/idempotency/a%20b", SENT).refused(400, "invalid_id", Some("/key"));
    server.post(&format!("{PAY}/complete"), r#"{"token":"no"}"#).refused(400, "invalid_member", Some("/token"));
    server.post(&format!("{PAY}/complete"), r#"{"response":1}"#).refused(400, "missing_member", Some("/token"));
    let token = "0".repeat(32);
    let large = format!(r#"{{"token":"{token}","response":"{}"}}"#, "x".repeat(1 << 20));
    server.post(&format!("{PAY}/complete"), &large).refused(413, "too_large", Some("/response"));
    server.get(PAY).refused(404, "key_not_found", None);
    let fits = format!(r#"{{"request":{{"task": "X"}},"fingerprint":"{DIGEST}"}}"#);
    told(&server.post(PAY, &fits), 201, &[("stored_hash", DIGEST)]);
}

#[test]
fn a_key_is_any_visible_text() {
    let (server, _) = server();
    for name in ["a%2Fcomplete", "complete", "%25", "a:b", "%7Ba%7D", "count"] {
        let path = format!("/api/v1/idempotency/{name}");
        told(&server.post(&path, SENT), 201, &[("result", "new")]);
        told(&server.get(&path), 200, &[("state", "in_progress")]);
    }
}

#[test]
fn a_page_elsewhere_deletes_nothing() {
    let (server, _) = server();
    server.post(PAY, SENT);
    let answer = server.send("DELETE", PAY, &[("origin", "http://elsewhere.example")], b"");
    answer.refused(403, "forbidden_host", None);
    told(&server.get(PAY), 200, &[("state", "in_progress")]);
}
