//! What the client makes of answers that no sound server gives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use tracekeep_client::HttpLedger;
use tracekeep_core::model::{Op, StartRun};
use tracekeep_store::{Batch, Error, ErrorKind, LedgerStore, Outcome, Receipt, Result};

const LOG: &str = r#"{"ledger":"00000000000000000000000000000001","tree_size":0}"#;

/// Commits `count` batches against a server that answers each of them with `status` and `body`.
fn commit(count: usize, status: u16, body: &'static str) -> Vec<Result<Receipt>> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let began = head.len();
                if stream.read_line(&mut head).expect("a line") == 0 {
                    break;
                }
                if let Some(value) = head[began..].to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            stream.read_exact(&mut vec![0; length]).expect("the body");
            let (status, body) = if head.starts_with("GET") { (200, LOG) } else { (status, body) };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.get_mut().write_all(answer.as_bytes()).expect("the answer is taken");
        }
    });
    let ledger = HttpLedger::connect(&url).expect("it answers");
    ledger.commit_blocking((0..count).map(|_| Batch::one(Op::StartRun(StartRun::default()))).collect())
}

fn refused(status: u16, body: &'static str) -> Error {
    commit(1, status, body).remove(0).expect_err("a refusal")
}

#[test]
fn a_receipt_that_cannot_be_read_leaves_the_outcome_unknown_and_ends_the_sending() {
    let answers = commit(3, 201, r#"{"outcome":"written"}"#);
    let said: Vec<_> = answers.iter().map(|answer| answer.as_ref().expect_err("no receipt")).collect();
    assert_eq!((said[0].code(), said[0].outcome()), ("commit_unknown", Outcome::Unknown));
    for rest in &said[1..] {
        assert_eq!((rest.code(), rest.outcome(), rest.is_retryable()), ("unreachable", Outcome::NotApplied, true));
    }
}

#[test]
fn a_failing_server_that_says_no_outcome_leaves_it_unknown() {
    let problem = r#"{"code":"internal","detail":"it fell over"}"#;
    assert_eq!(refused(500, problem).outcome(), Outcome::Unknown);
    assert_eq!(refused(500, problem).code(), "internal");
    assert_eq!(refused(400, problem).outcome(), Outcome::NotApplied);
}

#[test]
fn the_servers_own_codes_stay_as_they_came() {
    let refusal = refused(403, r#"{"code":"forbidden_host","detail":"no","outcome":"not_applied"}"#);
    assert_eq!((refusal.code(), refusal.kind(), refusal.is_retryable()), ("forbidden_host", ErrorKind::Invalid, false));
    let late = refused(408, r#"{"code":"request_timeout","detail":"no","outcome":"not_applied"}"#);
    assert_eq!((late.code(), late.kind(), late.is_retryable()), ("request_timeout", ErrorKind::Busy, true));
    let newer = refused(400, r#"{"code":"from_later","detail":"no","outcome":"not_applied"}"#);
    assert!(!newer.is_retryable() && newer.detail().contains("from_later"), "{newer:?}");
}

#[test]
fn a_question_that_got_no_answer_wrote_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // The first connection is answered; then nobody listens any more.
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).expect("a line") > 0 {}
        let length = LOG.len();
        let answer = format!("HTTP/1.1 200 x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{LOG}");
        stream.get_mut().write_all(answer.as_bytes()).expect("the answer is taken");
    });
    let ledger = HttpLedger::connect(&url).expect("it answers");
    server.join().expect("it ends");
    let error = tracekeep_store::block_on(ledger.multiproof(&[0], None)).expect_err("nobody is there");
    assert_eq!((error.code(), error.outcome()), ("unreachable", Outcome::NotApplied));
}
