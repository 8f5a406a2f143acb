//! OTLP/HTTP as its specification has it.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use tracekeep_conformance::{Fault, FaultStore};
use tracekeep_store::{MemoryLedger, Redaction};

use crate::{Answer, Server};

pub(crate) const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",
    "spanId":"eee19b7ec3c1b174","name":"plan","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;

fn post(server: &Server, kind: &str, encoding: Option<&str>, body: &[u8]) -> Answer {
    let mut headers = vec![("content-type", kind)];
    headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
    server.send("POST", "/v1/traces", &headers, body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn post_gzip(server: &Server, text: &str) -> Answer {
    post(server, "application/json", Some("gzip"), &gzip(text.as_bytes()))
}

fn size(server: &Server) -> String {
    server.get("/api/v1/log").member("tree_size").unwrap()
}

#[test]
fn spans_are_recorded_once_however_often_they_are_sent() {
    let server = Server::start();
    let first = post(&server, "application/json; charset=utf-8", None, SPAN.as_bytes());
    assert_eq!((first.status, first.text().as_str()), (200, "{}"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    let before = size(&server);
    assert_eq!(post(&server, "application/json", Some("gzip"), &gzip(SPAN.as_bytes())).text(), "{}");
    assert_eq!(size(&server), before);
    let other = SPAN.replace("\"plan\"", "\"other\"");
    let conflict = post(&server, "application/json", None, other.as_bytes());
    assert_eq!(conflict.status, 200);
    assert!(conflict.text().contains(r#""rejectedSpans":"1""#), "{}", conflict.text());
    assert_eq!(size(&server), before);
    let tree = server.get("/api/v1/runs/5b8efff798038103d269b633813fc60c/tree");
    assert!(tree.text().contains("eee19b7ec3c1b174"), "{}", tree.text());
}

#[test]
fn a_span_with_secrets_is_recorded_without_them_and_once() {
    let server = Server::over(Arc::new(MemoryLedger::default().redacting(Redaction::well_known())));
    let attributes = r#","attributes":[{"key":"gen_ai.tool.name","value":{"stringValue":"login"}},
        {"key":"gen_ai.tool.call.arguments","value":{"stringValue":"{\"password\":\"hunter2\",\"user\":\"bob\"}"}}]}]}]}]}"#;
    let span = SPAN.replace("}]}]}]}", attributes);
    assert_eq!(post(&server, "application/json", None, span.as_bytes()).text(), "{}");
    let before = size(&server);
    assert_eq!(post(&server, "application/json", None, span.as_bytes()).text(), "{}");
    assert_eq!(size(&server), before);
    let trace = server.get("/api/v1/runs/5b8efff798038103d269b633813fc60c/traces/eee19b7ec3c1b174");
    assert!(!trace.text().contains("hunter2"), "{}", trace.text());
    assert!(trace.text().contains(r#""arguments":{"password":"[redacted:field]","user":"bob"}"#), "{}", trace.text());
    assert_eq!(trace.member("redacted").as_deref(), Some(r#"{"counts":{"field":2},"rules":"2"}"#));
}

#[test]
fn empty_exports_succeed_in_both_encodings() {
    let server = Server::start();
    assert_eq!(post(&server, "application/json", None, b"{}").text(), "{}");
    let protobuf = post(&server, "application/x-protobuf", None, b"");
    assert_eq!((protobuf.status, protobuf.body.len()), (200, 0));
    assert_eq!(protobuf.header("content-type"), Some("application/x-protobuf"));
}

#[test]
fn failures_are_a_status_in_the_requests_own_encoding() {
    let server = Server::start();
    for body in [&br#"{"resource_spans":[]}"#[..], b"{", b"[]", b"\xff"] {
        let answer = post(&server, "application/json", None, body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.member("code").as_deref(), Some("3"), "{}", answer.text());
        assert!(answer.member("message").is_some());
    }
    let answer = post(&server, "application/x-protobuf", None, b"\x0a\xff");
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/x-protobuf")));
    assert_eq!(answer.body.first(), Some(&0x08), "google.rpc.Status begins with its code");
    post(&server, "text/plain", None, b"").refused(415, "unsupported_media_type", None);
    assert_eq!(post(&server, "application/json", Some("br"), b"{}").status, 415);
    assert_eq!(size(&server), "0");
}

#[test]
fn truncated_gzip_and_bombs_are_refused() {
    let server = Server::start();
    let whole = gzip(SPAN.as_bytes());
    for cut in [1, 10, whole.len() / 2, whole.len() - 1] {
        assert_eq!(post(&server, "application/json", Some("gzip"), &whole[..cut]).status, 400, "{cut}");
    }
    assert_eq!(post(&server, "application/json", Some("gzip"), b"{}").status, 400);
    let bomb = gzip(&vec![b' '; (64 << 20) + 1]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(post(&server, "application/json", Some("gzip"), &bomb).status, 413);
    assert_eq!(post(&server, "application/json", Some("gzip"), &gzip(SPAN.as_bytes())).status, 200, "it goes on");
}

#[test]
fn a_ledger_that_cannot_answer_is_503_to_be_sent_again() {
    let faults =
        FaultStore::new(Arc::new(MemoryLedger::default())).failing(0, Fault::NotApplied).failing(1, Fault::Applied);
    let server = Server::over(Arc::new(faults));
    for _ in 0..2 {
        let answer = post(&server, "application/json", None, SPAN.as_bytes());
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
        assert_eq!(answer.member("code").as_deref(), Some("14"));
    }
    assert_eq!(post(&server, "application/json", None, SPAN.as_bytes()).text(), "{}");
    let run = server.get("/api/v1/runs/5b8efff798038103d269b633813fc60c");
    assert_eq!(run.member("traces").as_deref(), Some("1"));
}
