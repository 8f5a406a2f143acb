//! The webhook, as its receiver sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::http::StatusCode;
use tracekeep_core::json::{self, Value};
use tracekeep_server::{AuditOptions, Tries, Webhook};
use tracekeep_store::{LedgerStore, MemoryLedger};

use crate::Server;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OK: StatusCode = StatusCode::NO_CONTENT;

/// What was received: headers by their names, and the body.
pub(crate) struct Request {
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(known, _)| known == name).unwrap().1
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn member(&self, path: &[&str]) -> String {
        let json = json::parse(self.body.as_bytes()).unwrap().to_json();
        let mut value = json.value();
        for name in path {
            let Value::Object(object) = value else { panic!("{} in {}", name, self.body) };
            value = object.get(name).unwrap().clone();
        }
        value.as_str().map_or_else(|| value.to_json().as_str().to_owned(), str::to_owned)
    }
}

/// Takes requests, hands each to the test, and answers it once the test says how.
struct Hook {
    url: String,
    requests: Receiver<Request>,
    answers: Sender<String>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().unwrap());
        let ((received, requests), (answers, answer)) = (channel(), channel::<String>());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&mut stream) else { continue };
                if received.send(request).is_err() {
                    return;
                }
                let Ok(answer) = answer.recv() else { return };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, requests, answers }
    }

    fn next(&self) -> Request {
        self.requests.recv_timeout(Duration::from_secs(60)).expect("a request comes")
    }

    fn answer(&self, status: StatusCode) {
        self.answers.send(format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")).unwrap();
    }

    fn webhook(&self) -> Webhook {
        let tries = Tries { max: 3, first_wait: Duration::from_millis(1), wait_max: Duration::from_millis(4) };
        Webhook::new(&self.url, SECRET, true).unwrap().trying(tries)
    }
}

pub(crate) fn read(stream: impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    assert_eq!(line, "POST /hook?token=hidden HTTP/1.1\r\n");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse::<usize>().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(Request { headers, body: String::from_utf8(body).unwrap() })
}

pub(crate) fn server(ledger: &Arc<MemoryLedger>, webhook: Webhook) -> Server {
    let audit = AuditOptions { webhook: Some(webhook), ..AuditOptions::default() };
    Server::auditing(Arc::clone(ledger) as Arc<dyn LedgerStore>, audit)
}

/// Records a verdict to look into: something failed, and nobody made up for it.
pub(crate) fn fail(server: &Server, run: &str) -> u64 {
    assert_eq!(server.post("/api/v1/runs", &format!(r#"{{"run_id":"{run}"}}"#)).status, 201);
    let post = |path: &str, body: &str| server.post(&format!("/api/v1/runs/{run}/{path}"), body);
    let expected = r#"{"expectations":[{"id":"e","domain":"d","action":"a","deadline_ms":600000}]}"#;
    assert_eq!(post("expectations", expected).status, 201);
    assert_eq!(post("reconcile", "{}").member("status").as_deref(), Some("PENDING"));
    assert_eq!(post("acks", r#"{"domain":"d","action":"a","status":"FAILED","error":"no"}"#).status, 201);
    assert_eq!(post("reconcile", "{}").member("status").as_deref(), Some("INCOMPLETE"));
    server.get(&format!("/api/v1/runs/{run}/audit")).member("verdict_log_index").unwrap().parse().unwrap()
}

pub(crate) fn metric(server: &Server, outcome: &str) -> u64 {
    let line = format!(r#"tracekeep_webhooks_total{{outcome="{outcome}"}} "#);
    let text = server.get("/metrics").text();
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_verdict_to_look_into_is_told_once_and_signed() {
    let (hook, ledger) = (Hook::start(), Arc::new(MemoryLedger::default()));
    let server = server(&ledger, hook.webhook());
    let at = fail(&server, "r");
    let told = hook.next();
    assert_eq!(told.id(), format!("verdict_{}_{at}", ledger.ledger()));
    assert_eq!(told.header("content-type"), "application/json");
    assert!(told.header("webhook-timestamp").parse::<u64>().unwrap() > 1_600_000_000);
    let signature = told.header("webhook-signature").strip_prefix("v1,").unwrap();
    let signed = format!("{}.{}.{}", told.id(), told.header("webhook-timestamp"), told.body);
    assert_eq!(signature, mac(&signed));
    for (path, value) in [
        (&["event_id"][..], told.id()),
        (&["ledger"], &ledger.ledger().to_string()),
        (&["run_id"], "r"),
        (&["log_index"], &at.to_string()),
        (&["verdict", "status"], "INCOMPLETE"),
    ] {
        assert_eq!(told.member(path), value);
    }
    assert!(json::parse(told.body.as_bytes()).unwrap().to_json().as_str() == told.body, "it is canonical");
    hook.answer(OK);
    // What comes next is the next verdict: COMPLETE and PENDING are told to nobody, nothing is told twice.
    assert_eq!(server.post("/api/v1/runs/r/acks", r#"{"domain":"d","action":"a"}"#).status, 201);
    assert_eq!(server.post("/api/v1/runs/r/reconcile", "{}").member("status").as_deref(), Some("COMPLETE"));
    fail(&server, "s");
    assert_eq!(hook.next().member(&["run_id"]), "s");
    assert_eq!((metric(&server, "sent"), metric(&server, "failed"), metric(&server, "dropped")), (1, 0, 0));
}

/// HMAC-SHA256 over what was signed, by other code than the server's.
pub(crate) fn mac(signed: &str) -> String {
    let script = "import hmac, hashlib, base64, sys\n\
        key = base64.b64decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')\n\
        mac = hmac.new(key, sys.argv[1].encode(), hashlib.sha256)\n\
        print(base64.b64encode(mac.digest()).decode())";
    let done = std::process::Command::new("python3").args(["-c", script, signed]).output().unwrap();
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_seal_that_states_one_is_told_too() {
    let hook = Hook::start();
    let server = server(&Arc::default(), hook.webhook());
    assert_eq!(server.post("/api/v1/runs", r#"{"run_id":"calm"}"#).status, 201);
    assert_eq!(server.post("/api/v1/runs/calm/complete", r#"{"status":"completed"}"#).status, 201);
    assert_eq!(server.post("/api/v1/runs", r#"{"run_id":"r"}"#).status, 201);
    assert_eq!(server.post("/api/v1/runs/r/acks", r#"{"domain":"d","action":"drifts"}"#).status, 201);
    assert_eq!(server.post("/api/v1/runs/r/complete", r#"{"status":"completed"}"#).status, 201);
    let told = hook.next();
    assert_eq!((told.member(&["run_id"]), told.member(&["verdict", "status"])), ("r".into(), "INCOMPLETE".into()));
}

#[test]
fn what_fails_is_tried_again_under_the_same_id_and_dropped_in_the_end() {
    let (hook, ledger) = (Hook::start(), Arc::new(MemoryLedger::default()));
    let server = server(&ledger, hook.webhook());
    fail(&server, "r");
    let first = hook.next();
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS] {
        hook.answer(status);
        let again = hook.next();
        assert_eq!((again.id(), &again.body), (first.id(), &first.body));
    }
    assert_eq!((metric(&server, "failed"), metric(&server, "dropped")), (2, 0));
    hook.answer(StatusCode::SERVICE_UNAVAILABLE);
    fail(&server, "s");
    let next = hook.next();
    assert_eq!(next.member(&["run_id"]), "s", "three tries, and no more");
    assert_eq!((metric(&server, "failed"), metric(&server, "dropped")), (3, 1));
    hook.answer(StatusCode::GONE);
    fail(&server, "t");
    assert_eq!(hook.next().member(&["run_id"]), "t", "what the receiver refuses is not tried again");
    assert_eq!((metric(&server, "sent"), metric(&server, "failed"), metric(&server, "dropped")), (0, 4, 2));
}

#[test]
fn a_redirect_is_not_followed() {
    let (hook, other) = (Hook::start(), Hook::start());
    let server = server(&Arc::default(), hook.webhook());
    fail(&server, "r");
    let first = hook.next();
    let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", other.url);
    hook.answers.send(head).unwrap();
    assert_eq!(hook.next().id(), first.id(), "it is a try that failed");
    assert!(other.requests.try_recv().is_err());
}

#[test]
fn a_restart_tells_what_was_not_confirmed_and_nothing_else() {
    let (hook, ledger) = (Hook::start(), Arc::new(MemoryLedger::default()));
    let folder = tempfile::tempdir().unwrap();
    let webhook = || hook.webhook().beside(&folder.path().join("x.db"));
    let (first, second) = {
        let server = server(&ledger, webhook());
        fail(&server, "first");
        let first = hook.next();
        hook.answer(OK);
        fail(&server, "second");
        (first, hook.next())
    };
    // The server is gone before it was answered; what came meanwhile was recorded by somebody else.
    hook.answer(OK);
    fail(&Server::over(Arc::clone(&ledger) as Arc<dyn LedgerStore>), "third");
    let server = server(&ledger, webhook());
    let again = hook.next();
    assert_ne!(first.id(), second.id());
    assert_eq!((again.id(), &again.body), (second.id(), &second.body));
    hook.answer(OK);
    assert_eq!(hook.next().member(&["run_id"]), "third");
    hook.answer(OK);
    drop(server);
    let kept = std::fs::read_to_string(folder.path().join("x.db.webhook")).unwrap();
    assert!(kept.starts_with(&format!("{} ", ledger.ledger())), "{kept}");
}

/// A file of another ledger, or none, says nothing: telling begins with what comes.
#[test]
fn what_was_recorded_before_there_was_a_webhook_is_not_told() {
    let (hook, ledger) = (Hook::start(), Arc::new(MemoryLedger::default()));
    fail(&Server::over(Arc::clone(&ledger) as Arc<dyn LedgerStore>), "before");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::write(path.with_extension("db.webhook"), "another 0\n").unwrap();
    let server = server(&ledger, hook.webhook().beside(Path::new(&path)));
    fail(&server, "after");
    assert_eq!(hook.next().member(&["run_id"]), "after");
}

#[test]
fn a_receiver_that_does_not_answer_holds_up_nobody() {
    let hook = Hook::start();
    let server = server(&Arc::default(), hook.webhook());
    fail(&server, "r");
    let _unanswered = hook.next();
    for run in 0..50 {
        fail(&server, &format!("r-{run}"));
    }
    assert_eq!(server.get("/readyz").status, 200);
}
