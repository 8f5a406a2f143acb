//! Bundles over HTTP: each route gives one that the key alone verifies.

use std::io::{Read, Write};
use std::net::TcpStream;

use tracekeep_evidence::NoteKey;
use tracekeep_evidence::bundle::{Counts, Options, Outcome, Predicate, verify};

use crate::{Answer, Server};

const INCIDENT: &str = "/api/v1/incidents/inc-1/bundle";
const RUN: &str = "/api/v1/runs/r-1/bundle";
const PERIOD: &str = "/api/v1/bundles";
const BY: &str = r#"{"by":"anna"}"#;
const ALWAYS: &str = r#""period":{"from":"2000-01-01T00:00:00Z","to":"2100-01-01T00:00:00Z"}"#;

/// A server with a run of eight steps and a call of a tool, another run, and an incident of the first.
fn story() -> Server {
    let server = Server::start();
    let post = |path: &str, body: &str| {
        let answer = server.post(&format!("/api/v1/{path}"), body);
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    };
    for run in ["r-1", "r-2"] {
        post("runs", &format!(r#"{{"run_id":"{run}","correlation_id":"c"}}"#));
        for index in 0..8 {
            let step = format!(
                r#"{{"index":{index},"skill_name":"pay","params":{{"secret":"{run} {index}"}},"status":"success"}}"#
            );
            post(&format!("runs/{run}/steps"), &step);
        }
        let call = r#"{"id":"t-1","trace_type":{"type":"ToolCall","tool_name":"pay","arguments":{"card":"none"}}}"#;
        post(&format!("runs/{run}/traces"), call);
        post(&format!("runs/{run}/complete"), r#"{"status":"failed"}"#);
    }
    let said = r#"{"incident_id":"inc-1","run_id":"r-1","severity":"high","policy_id":"p","violation_step_index":3}"#;
    post("incidents", said);
    server
}

/// What a bundle claims and shows, once it has passed with the server's key and nothing else.
#[track_caller]
fn verified(server: &Server, answer: &Answer) -> (Predicate, Counts) {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/zip")), "{}", answer.text());
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"bundle.zip\""));
    let key: NoteKey = server.get("/api/v1/log/key").text().trim_end().parse().unwrap();
    let report = verify(&answer.body, &[key], &Options::default());
    assert_eq!(report.outcome(), Outcome::Pass, "{}", report.to_json());
    let shown = report.shown.unwrap();
    assert_eq!(answer.header("tracekeep-tree-size"), Some(&*shown.size.to_string()));
    (report.claims.unwrap(), shown)
}

fn has(answer: &Answer, text: &str) -> bool {
    answer.body.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn an_incident_a_run_and_a_period_are_exported() {
    let server = story();
    let (made, shown) = verified(&server, &server.post(INCIDENT, r#"{"by":"anna","related":true}"#));
    assert_eq!((made.incident_id.as_deref(), shown.runs.len()), (Some("inc-1"), 2));
    assert_eq!(made.exported_by, "anna");
    assert_eq!(shown.totals.steps, 16);
    let (made, shown) = verified(&server, &server.post(RUN, BY));
    assert_eq!((made.incident_id, shown.runs.len(), made.exported_by.as_str()), (None, 1, "anna"));
    let (_, shown) = verified(&server, &server.post(PERIOD, &format!(r#"{{"by":"anna","kind":"period",{ALWAYS}}}"#)));
    assert_eq!(shown.runs.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), ["r-1", "r-2"]);
    for kind in ["soc2", "executive_debrief"] {
        verified(&server, &server.post(INCIDENT, &format!(r#"{{"by":"anna","kind":"{kind}",{ALWAYS}}}"#)));
    }
    // Who, what, when: each is an entry of the log.
    let events = server.get("/api/v1/log/entries?limit=1000").text();
    assert_eq!(events.matches(r#""op":"record_export""#).count(), 5, "{events}");
    assert!(events.contains(r#""by":"anna""#) && events.contains(r#""bundle_sha256":""#));
}

/// Without a name the server once signed a constant of its own, and the rule that somebody is named never failed.
#[test]
fn who_asks_is_nobody_where_the_request_does_not_say_it() {
    let server = story();
    for (path, of) in [(INCIDENT, r#""kind":"executive_debrief""#), (RUN, r#""kind":"evidence""#), (PERIOD, "")] {
        let of = if of.is_empty() { format!(r#""kind":"period",{ALWAYS}"#) } else { of.to_owned() };
        let refused = server.post(path, &format!("{{{of}}}"));
        refused.refused(422, "bundle_incomplete", None);
        assert!(refused.text().contains("exported_by"), "{}", refused.text());
        let forced = server.post(path, &format!(r#"{{{of},"force":true}}"#));
        assert!(has(&forced, "Exported by nobody who is named"), "{path}");
        let (made, _) = verified(&server, &forced);
        assert_eq!((made.exported_by.as_str(), &*made.missing), ("", &["exported_by".to_owned()][..]));
    }
    let entries = server.get("/api/v1/log/entries?limit=1000").text();
    let stated: Vec<_> = entries.split(r#""op":"record_export""#).skip(1).collect();
    assert_eq!(stated.len(), 3, "{entries}");
    assert!(!entries.contains(r#""by":"#), "{entries}");
}

#[test]
fn what_cannot_be_exported_is_refused_with_its_reason() {
    let server = story();
    server.post("/api/v1/incidents/nobody/bundle", "{}").refused(404, "incident_not_found", None);
    server.post("/api/v1/runs/nobody/bundle", "{}").refused(404, "run_not_found", None);
    server.post(PERIOD, r#"{"kind":"period"}"#).refused(400, "missing_member", Some("/period"));
    server.post(PERIOD, &format!("{{{ALWAYS}}}")).refused(400, "invalid_parameter", Some("kind"));
    server.post(RUN, r#"{"kind":"period"}"#).refused(400, "invalid_parameter", Some("kind"));
    server.post(RUN, r#"{"at":99999}"#).refused(404, "entry_not_found", None);
    server.post(RUN, r#"{"colour":"red"}"#).refused(400, "unknown_member", Some("/colour"));
    server.post(RUN, r#"{"by":"anna","kind":"soc2"}"#).refused(422, "bundle_incomplete", None);
    server.post(RUN, r#"{"by":"","force":true}"#).refused(400, "invalid_parameter", Some("by"));
    server.post(RUN, r#"{"only_steps":[9]}"#).refused(404, "step_not_found", Some("only_steps"));
    server.post(RUN, r#"{"redact":["trace/no/tags"]}"#).refused(404, "trace_not_found", Some("redact"));
    let entries = server.get("/api/v1/log/entries?limit=1000").text();
    assert!(!entries.contains("record_export"), "nothing was handed out");
    verified(&server, &server.post(RUN, r#"{"by":"anna","kind":"soc2","force":true}"#));
}

#[test]
fn what_is_withheld_is_proven_to_have_been_there() {
    let server = story();
    for path in [INCIDENT, RUN] {
        let only = server.post(path, r#"{"by":"anna","only_steps":[3,7]}"#);
        assert!(!verified(&server, &only).1.withheld.is_empty());
        let shown: Vec<_> = (0..8).filter(|index| has(&only, &format!(r#"{{"secret":"r-1 {index}"}}"#))).collect();
        assert_eq!(shown, [3, 7], "{path}");
        let some = server.post(path, r#"{"by":"anna","redact":["step/3/params","trace/t-1/trace_type/arguments"]}"#);
        let names: Vec<_> = verified(&server, &some).1.withheld.into_iter().flat_map(|held| held.members).collect();
        assert!(names.iter().any(|name| name == "params"), "{names:?}");
        assert!(names.iter().any(|name| name == "trace_type/arguments"), "{names:?}");
        assert!(!has(&some, r#"{"secret":"r-1 3"}"#) && has(&some, r#"{"secret":"r-1 2"}"#), "{path}");
        assert!(!has(&some, r#"{"card":"none"}"#), "{path}");
    }
    let whole = format!(r#"{{"kind":"period",{ALWAYS},"only_steps":[1]}}"#);
    server.post(PERIOD, &whole).refused(400, "invalid_parameter", Some("kind"));
}

#[test]
fn the_same_size_by_the_same_name_gives_the_same_bytes() {
    let server = story();
    for (path, asked) in
        [(INCIDENT, String::new()), (RUN, String::new()), (PERIOD, format!(r#","kind":"period",{ALWAYS}"#))]
    {
        let first = server.post(path, &format!(r#"{{"by":"anna"{asked}}}"#));
        let size = verified(&server, &first).1.size;
        assert_eq!(server.post("/api/v1/runs", "{}").status, 201);
        let again = server.post(path, &format!(r#"{{"by":"anna","at":{size}{asked}}}"#));
        assert!(again.body == first.body, "{path}");
        verified(&server, &again);
        let other = server.post(path, &format!(r#"{{"by":"bert","at":{size}{asked}}}"#));
        assert!(verified(&server, &other).0.exported_by == "bert" && other.body != first.body, "{path}");
    }
}

#[test]
fn what_was_erased_since_is_said() {
    let server = story();
    let first = server.post(RUN, r#"{"by":"anna"}"#);
    let size = verified(&server, &first).1.size;
    assert_eq!(server.post("/api/v1/incidents/inc-1/resolve", r#"{"resolution":"none"}"#).status, 201);
    assert_eq!(server.send("DELETE", "/api/v1/runs/r-1/hold?reason=closed", &[], b"").status, 201);
    let redacted = server.post("/api/v1/runs/r-1/redact", r#"{"step":2,"members":["params"],"reason":"asked for"}"#);
    let redaction = redacted.member("log_index").unwrap();
    let again = server.post(RUN, &format!(r#"{{"by":"anna","at":{size}}}"#));
    assert!(again.body != first.body && !has(&again, r#"{"secret":"r-1 2"}"#));
    let options = verified(&server, &again).0.options.as_str().to_owned();
    assert!(options.contains(&format!(r#""redacted_since":[{redaction}]"#)), "{options}");
    assert_eq!(server.send("DELETE", "/api/v1/runs/r-1?reason=asked", &[], b"").status, 201);
    for path in [RUN, INCIDENT] {
        for asked in ["{}".to_owned(), format!(r#"{{"by":"anna","at":{size}}}"#)] {
            let gone = server.post(path, &asked);
            gone.refused(410, "run_erased", None);
            assert!(gone.member("redaction").is_some(), "{path}: {}", gone.text());
        }
    }
    server.get("/api/v1/incidents/inc-1").refused(410, "run_erased", None);
    let again = r#"{"incident_id":"inc-1","run_id":"r-2"}"#;
    server.post("/api/v1/incidents", again).refused(409, "erased", Some("/incident_id"));
}

/// Six clients that asked for a bundle and did not read it once held one each: the turn ended before the answer was sent.
#[test]
fn one_bundle_is_held_at_a_time_until_its_client_has_it() {
    let server = Server::start();
    server.post("/api/v1/runs", r#"{"run_id":"r-1"}"#);
    let long = "a".repeat(3 << 20);
    for index in 0..8 {
        let step = format!(r#"{{"index":{index},"skill_name":"pay","params":{{"is":"{long}"}},"status":"success"}}"#);
        assert_eq!(server.post("/api/v1/runs/r-1/steps", &step).status, 201);
    }
    server.post("/api/v1/runs/r-1/complete", r#"{"status":"failed"}"#);
    let mut waits = TcpStream::connect(server.address).unwrap();
    let asked = "content-type: application/json\r\nconnection: close\r\ncontent-length: 13\r\n\r\n";
    write!(waits, "POST {RUN} HTTP/1.1\r\nhost: {}\r\n{asked}{BY}", server.address).unwrap();
    // Its answer has begun, and more of it is left than the sockets take.
    let mut first = [0; 12];
    waits.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let refused = server.post(RUN, BY);
    assert_eq!(refused.status, 503);
    refused.refused(503, "busy", None);
    let mut rest = Vec::new();
    waits.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 24 << 20, "{}", rest.len());
    let answer = server.post(RUN, BY);
    verified(&server, &answer);
    assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
}
