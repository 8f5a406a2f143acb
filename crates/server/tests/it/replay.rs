//! Claims on the steps of a replay, over HTTP.

use crate::Server;

#[track_caller]
fn told(answer: &crate::Answer, members: &[(&str, &str)]) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (name, value) in members {
        assert_eq!(answer.member(name).as_deref(), Some(*value), "{name}: {}", answer.text());
    }
}

fn recorded() -> Server {
    let server = Server::start();
    server.post("/api/v1/runs", r#"{"run_id":"r"}"#);
    for (index, replayed) in ["skip", "execute", "check"].iter().enumerate() {
        let step = format!(
            r#"{{"index":{index},"skill_name":"search","params":{{"q":1}},"status":"success","outcome_data":{{"hits":3}},"replay_behavior":"{replayed}"}}"#
        );
        assert_eq!(server.post("/api/v1/runs/r/steps", &step).status, 201);
    }
    server
}

const REPLAY: &str = "/api/v1/runs/r/replay";

#[test]
fn a_skipped_step_is_answered_from_the_record() {
    let server = recorded();
    let answer = server.post(REPLAY, r#"{"index":0,"session":"s"}"#);
    told(&answer, &[("result", "recorded"), ("output", r#"{"hits":3}"#), ("replay_behavior", "skip")]);
    assert_eq!((answer.member("key"), answer.member("token")), (None, None));
    assert_eq!(answer.member("output_hash"), answer.member("recorded_hash"));
}

#[test]
fn a_checked_step_is_claimed_once_in_a_session_and_compared() {
    let server = recorded();
    let claim = r#"{"index":2,"session":"nightly"}"#;
    let new = server.post(REPLAY, claim);
    told(&new, &[("result", "new"), ("attempt", "1"), ("replay_behavior", "check")]);
    let (key, token) = (new.member("key").unwrap(), new.member("token").unwrap());
    told(&server.post(REPLAY, claim), &[("result", "in_progress"), ("attempt", "1")]);
    told(&server.post(REPLAY, r#"{"index":2,"session":"other"}"#), &[("result", "new")]);
    let done = format!(r#"{{"token":"{token}","response":{{"hits":4}}}}"#);
    assert_eq!(server.post(&format!("/api/v1/idempotency/{key}/complete"), &done).status, 200);
    let again = server.post(REPLAY, claim);
    told(&again, &[("result", "duplicate"), ("output", r#"{"hits":4}"#), ("diverged", "true")]);
    assert_ne!(again.member("output_hash"), again.member("recorded_hash"));
    let executed = server.post(REPLAY, r#"{"index":1,"session":"nightly"}"#);
    let (key, token) = (executed.member("key").unwrap(), executed.member("token").unwrap());
    let failed = format!(r#"{{"token":"{token}","error":"gone"}}"#);
    assert_eq!(server.post(&format!("/api/v1/idempotency/{key}/fail"), &failed).status, 200);
    let claim = r#"{"index":1,"session":"nightly"}"#;
    told(&server.post(REPLAY, claim), &[("result", "failed"), ("error", "gone"), ("diverged", "false")]);
}

#[test]
fn what_cannot_be_claimed_is_refused() {
    let server = recorded();
    server.post(REPLAY, r#"{"index":9,"session":"s"}"#).refused(404, "step_not_found", None);
    server.post("/api/v1/runs/nobody/replay", r#"{"index":0,"session":"s"}"#).refused(404, "run_not_found", None);
    server.post(REPLAY, r#"{"index":1}"#).refused(400, "missing_member", Some("/session"));
    server.post(REPLAY, r#"{"index":1,"session":"s","lease_ms":0}"#).refused(400, "invalid_member", Some("/lease_ms"));
}
