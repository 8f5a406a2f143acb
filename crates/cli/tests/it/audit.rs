//! `tracekeep audit`, as an operator types it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use crate::Place;
use crate::serve::Serving;

fn started() -> Place {
    let place = Place::new();
    place.run_with(&["record"], "{\"op\":\"start_run\",\"run_id\":\"r\"}\n").code(0);
    place
}

const EXPECT: [&str; 11] =
    ["audit", "expect", "r", "--domain", "ledger", "--action", "book", "--deadline-ms", "3600000", "--id", "e-1"];

#[test]
fn what_is_expected_is_shown_acknowledged_and_judged() {
    let place = started();
    place.run(&["audit", "pending"]).code(0);
    let expected = place.run(&EXPECT);
    assert_eq!(expected.code(0).out(), "recorded  e-1  log index 1\n");
    assert!(place.run(&EXPECT).out().starts_with("duplicate  e-1"));
    let shown = place.run(&["audit", "show", "r"]);
    shown.code(0);
    assert!(shown.out().contains("PENDING") && shown.out().contains("ledger"), "{}", shown.out());
    let judged = place.run(&["audit", "reconcile", "r"]);
    judged.code(1);
    assert!(judged.out().starts_with("PENDING\n  pending  ledger/book  by "), "{}", judged.out());
    let pending = place.run(&["audit", "pending"]);
    assert!(pending.code(1).out().contains("\nr "), "{}", pending.out());
    place.run(&["audit", "ack", "r", "ledger", "book", "--status", "FAILED", "--error", "full"]).code(0);
    place.run(&["audit", "show", "r"]).code(1);
    place.run(&["audit", "ack", "r", "ledger", "book", "--result-id", "b-9"]).code(0);
    let judged = place.run(&["audit", "watch", "r"]);
    judged.code(0);
    assert!(judged.out().contains("failed (made up for)"), "{}", judged.out());
    let json = place.run(&["audit", "show", "r", "--json"]);
    assert!(json.out().lines().count() == 2 && json.out().contains(r#""verdict":{"acks":2"#), "{}", json.out());
}

/// A shell repeats what timed out: only under an id is it the same acknowledgement.
#[test]
fn an_acknowledgement_under_an_id_is_one_however_often_it_is_sent() {
    let place = started();
    let ack = |id: &[&str]| place.run(&[&["audit", "ack", "r", "ledger", "book"], id].concat()).code(0).out();
    assert!(ack(&["--id", "a-1"]).starts_with("recorded"));
    assert!(ack(&["--id", "a-1"]).starts_with("duplicate"));
    assert!(ack(&[]).starts_with("recorded") && ack(&[]).starts_with("recorded"));
    assert!(place.run(&["help", "audit", "ack"]).code(0).out().contains("a second acknowledgement"));
}

#[test]
fn errors_of_one_op_name_its_members_without_a_place_in_a_batch() {
    let place = started();
    let long = "x".repeat(300);
    for args in [
        &["audit", "ack", "r", &long, "book"][..],
        &["audit", "expect", "r", "--domain", &long, "--action", "book", "--deadline-ms", "5"],
        &["baseline", "set", "r", "--name", "n", "--by", &long],
        &["hold", "r", "--reason", "why", "--by", &long],
    ] {
        let json = place.run(&[args, &["--json"]].concat()).code(1).talk();
        assert!(json.contains(r#""path":"/"#) && !json.contains("/ops/"), "{json}");
        assert!(!place.run(args).code(1).talk().contains("/ops/"));
    }
}

#[test]
fn a_contract_of_the_configuration_is_declared_by_its_name() {
    let place = started();
    let file = "[[contracts.payments]]\ndomain = \"ledger\"\naction = \"book\"\ndeadline_ms = 5000\n";
    std::fs::write(place.path().join("tracekeep.toml"), file).unwrap();
    let declared = place.run(&["audit", "expect", "r", "--contract", "payments"]);
    assert!(declared.out().starts_with("recorded  payments-0"), "{}", declared.out());
    assert!(place.run(&["audit", "expect", "r", "--contract", "payments"]).out().starts_with("duplicate"));
    assert_eq!(place.run(&["audit", "expect", "r", "--contract", "standard"]).out().lines().count(), 5);
    let unknown = place.run(&["audit", "expect", "r", "--contract", "other"]);
    unknown.code(2);
    assert!(unknown.talk().contains("there are payments, standard"), "{}", unknown.talk());
    std::fs::write(place.path().join("tracekeep.toml"), file.replace("5000", "0")).unwrap();
    place.run(&["audit", "pending"]).code(2);
}

#[test]
fn a_run_is_started_under_a_contract_by_its_name() {
    let place = Place::new();
    let file = "[[contracts.payments]]\ndomain = \"ledger\"\naction = \"book\"\ndeadline_ms = 5000\n";
    std::fs::write(place.path().join("tracekeep.toml"), file).unwrap();
    let start = |more: &str| place.run_with(&["record"], &format!("{{\"op\":\"start_run\",{more}}}\n"));
    let started = start(r#""run_id":"r","contract":"payments""#);
    assert_eq!(started.code(0).out().lines().count(), 2, "{}", started.out());
    assert!(place.run(&["audit", "show", "r"]).out().contains("payments-0"));
    let again = start(r#""run_id":"r","contract":"payments""#);
    assert!(again.code(0).out().lines().all(|line| line.starts_with("duplicate")), "{}", again.out());
    assert_eq!(start(r#""run_id":"s","contract":"standard""#).code(0).out().lines().count(), 6);
    assert!(start(r#""contract":"standard""#).code(1).talk().contains("run_id"));
    assert!(start(r#""run_id":"t","contract":"other""#).code(1).talk().contains("contract"));
    place.run(&["audit", "show", "t"]).code(1);
}

/// Three worker processes over one server; one is killed before it has said a word. The CLI, the API that the page reads, and
/// the webhook say the same.
#[test]
fn an_agent_with_three_workers_of_which_one_dies_is_stale_by_every_account() {
    let place = Place::new();
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", hook.local_addr().unwrap());
    let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0", "--webhook", &url, "--webhook-allow-private"]);
    let server = Serving::of(serve.env("TRACEKEEP_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let at = |args: &[&str]| place.run(&[args, &["--server", server.url()]].concat());
    let expected = |domain: &str, action: &str| {
        format!(r#",{{"op":"expect","run_id":"r","domain":"{domain}","action":"{action}","deadline_ms":8000}}"#)
    };
    let parts = ["fetch", "summarize", "publish"];
    // In one batch, so that all of it is due at one moment.
    let contract = parts.map(|part| expected("workers", part)).concat() + &expected("orchestrator", "finalize_run");
    let line = format!("{{\"ops\":[{{\"op\":\"start_run\",\"run_id\":\"r\"}}{contract}]}}\n");
    place.run_with(&["record", "--server", server.url()], &line).code(0);
    let workers = parts.map(|part| {
        let args = ["record", "--server", server.url()];
        (part, place.command(&args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    });
    for (part, mut worker) in workers {
        if part == "publish" {
            worker.kill().unwrap();
            assert!(!worker.wait().unwrap().success());
            continue;
        }
        let ack = format!("{{\"op\":\"ack\",\"run_id\":\"r\",\"domain\":\"workers\",\"action\":\"{part}\"}}\n");
        worker.stdin.take().unwrap().write_all(ack.as_bytes()).unwrap();
        assert!(worker.wait().unwrap().success());
    }
    let watched = at(&["audit", "watch", "r"]);
    let verdict = watched.code(1).out();
    assert!(verdict.starts_with("STALE\n"), "{verdict}");
    let is_told = |text: &str| text.contains("publish") && text.contains("finalize_run") && !text.contains("fetch");
    assert!(is_told(&verdict), "{verdict}");
    let (mut told, mut request) = (hook.accept().unwrap().0, Vec::new());
    let mut buffer = [0; 4_096];
    while !String::from_utf8_lossy(&request).contains("\"verdict\":") || request.last() != Some(&b'}') {
        let read = told.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&buffer[..read]);
    }
    told.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
    let request = String::from_utf8(request).unwrap();
    assert!(request.contains("\"status\":\"STALE\"") && is_told(&request), "{request}");
    let shown = at(&["audit", "show", "r", "--json"]).code(1).out();
    let (summary, listed) = shown.split_once('\n').unwrap();
    assert!(summary.contains("\"status\":\"STALE\"") && is_told(summary), "{summary}");
    let listed = listed.lines().find(|line| line.contains("publish")).unwrap();
    let time = |text: &str, name: &str| text.split_once(&format!("\"{name}\":\"")).unwrap().1[..30].to_owned();
    assert!(time(summary, "verdict_recorded_at") > time(listed, "deadline"), "not before its deadline: {shown}");
    let pending = at(&["audit", "pending", "--json"]).code(1).out();
    assert_eq!(time(&pending, "overdue_since"), time(listed, "deadline"));
}

#[test]
fn what_is_asked_wrongly_or_of_nothing_says_so() {
    let place = started();
    place.run(&["audit", "expect", "r", "--domain", "ledger"]).code(2);
    place.run(&["audit", "reconcile", "r"]).code(1);
    place.run(&["audit", "show", "unknown"]).code(1);
    for (name, value, said) in [
        ("TRACEKEEP_AUDIT_STORE", "redis", "TRACEKEEP_REDIS_URL"),
        ("TRACEKEEP_AUDIT_STORE", "postgres", "memory, sqlite or redis"),
        ("TRACEKEEP_AUDIT_STORE", "memory", "--ledger :memory: alone"),
        ("TRACEKEEP_AUDIT", "maybe", "on or off"),
        ("TRACEKEEP_WEBHOOK_URL", "https://hooks.example/", "TRACEKEEP_WEBHOOK_SECRET"),
        ("TRACEKEEP_WEBHOOK_ALLOW_PRIVATE", "yes", "on or off"),
    ] {
        let ended = place.command(&["serve", "--listen", "127.0.0.1:0"]).env(name, value).output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(2) && err.contains(said), "{err}");
    }
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    std::fs::write(place.path().join("no.pem"), "no PEM").unwrap();
    for (url, ca, said) in [
        ("https://hooks.example/", "absent.pem", "TRACEKEEP_WEBHOOK_CA: absent.pem"),
        ("https://hooks.example/", "no.pem", "BEGIN CERTIFICATE"),
    ] {
        let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0", "--webhook", url]);
        let ended = serve.env("TRACEKEEP_WEBHOOK_SECRET", secret).env("TRACEKEEP_WEBHOOK_CA", ca).output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(2) && err.contains(said), "{err}");
    }
    for (url, secret, said) in [
        ("http://hooks.example/token", secret, "begins with https://"),
        ("https://127.0.0.1/token", secret, "not a public one"),
        ("https://me:token@hooks.example/", secret, "no user and no password"),
        ("https://hooks.example/", "token", "whsec_ and 24 to 64 bytes"),
    ] {
        let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0", "--webhook", url]);
        let ended = serve.env("TRACEKEEP_WEBHOOK_SECRET", secret).output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(2) && err.contains(said), "{err}");
        assert!(!err.contains("token") && !err.contains(secret), "{err}");
    }
}
