//! `tracekeep replay`: in the ledger's file, and through a running server.

use crate::serve::Serving;
use crate::{Ended, Place};

const RUN: &str = r#"{"op":"start_run","run_id":"r"}
{"op":"record_step","run_id":"r","index":0,"skill_name":"search","params":{},"status":"success","outcome_data":{"hits":3},"replay_behavior":"skip"}
{"op":"record_step","run_id":"r","index":1,"skill_name":"book","params":{},"status":"success"}
{"op":"record_step","run_id":"r","index":2,"skill_name":"price","params":{},"status":"success","outcome_data":99,"replay_behavior":"check"}
"#;

fn recorded() -> Place {
    let place = Place::new();
    place.run_with(&["record"], RUN).code(0);
    place
}

fn claim(place: &Place, index: &str, session: &str) -> Ended {
    place.run(&["replay", "claim", "r", index, "--session", session])
}

#[track_caller]
fn line(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    line[name.len()..].trim().to_owned()
}

fn complete(place: &Place, index: &str, token: &str, output: &str) -> Ended {
    place.run(&["replay", "complete", "r", index, "--session", "s", "--token", token, "--output", output])
}

#[test]
fn a_skipped_step_is_answered_from_the_record() {
    let place = recorded();
    for _ in 0..2 {
        let told = claim(&place, "0", "s").code(1).out();
        assert_eq!((told.lines().next(), line(&told, "output ")), (Some("recorded"), r#"{"hits":3}"#.into()));
    }
    assert_eq!(place.run(&["replay", "output", "r", "0"]).code(0).out(), "{\"hits\":3}\n");
    assert_eq!(place.run(&["replay", "output", "r", "1", "--json"]).code(0).out(), "null\n");
}

#[test]
fn an_executed_step_is_done_again_once_in_a_session() {
    let place = recorded();
    let new = claim(&place, "1", "s").code(0).out();
    assert_eq!((new.lines().next(), line(&new, "attempt")), (Some("new"), "1".into()));
    assert!(claim(&place, "1", "s").code(1).out().starts_with("in_progress\n"));
    assert!(claim(&place, "1", "another").code(0).out().starts_with("new\n"), "a session of its own");
    let token = line(&new, "token");
    for _ in 0..2 {
        assert!(complete(&place, "1", &token, r#"{"seat":"3A"}"#).code(0).out().starts_with("duplicate\n"));
    }
    let again = claim(&place, "1", "s").code(1).out();
    assert_eq!((again.lines().next(), line(&again, "output ")), (Some("duplicate"), r#"{"seat":"3A"}"#.into()));
    assert!(!again.contains("diverged"), "only a checked step is held to the record: {again}");
}

#[test]
fn a_checked_step_with_another_output_is_1_and_says_both_hashes() {
    let place = recorded();
    let token = line(&claim(&place, "2", "s").code(0).out(), "token");
    let other = complete(&place, "2", &token, "100").code(1).out();
    assert_ne!(line(&other, "recorded_hash"), line(&other, "output_hash"));
    assert!(other.contains("diverged"), "{other}");
    let json = place.run(&["replay", "claim", "r", "2", "--session", "s", "--json"]).code(1).out();
    assert!(json.contains(r#""diverged":true"#) && json.contains(r#""result":"duplicate""#), "{json}");
    let args = ["replay", "claim", "r", "2", "--session", "same", "--json"];
    let token = place.run(&args).code(0).out().split_once(r#""token":""#).unwrap().1[..32].to_owned();
    let args = ["replay", "complete", "r", "2", "--session", "same", "--token", &token, "--output", " 99 "];
    assert!(!place.run(&args).code(0).out().contains("diverged"));
}

#[test]
fn what_nobody_can_answer_is_3_and_wrong_usage_2() {
    let place = recorded();
    assert!(claim(&place, "9", "s").code(3).talk().contains("step_not_found"));
    place.run(&["replay", "claim", "nobody", "0", "--session", "s"]).code(3);
    let token = "0".repeat(32);
    assert!(complete(&place, "1", &token, "1").code(3).talk().contains("key_not_found"));
    claim(&place, "1", "s").code(0);
    assert!(complete(&place, "1", &token, "1").code(3).talk().contains("lease_lost"));
    place.run(&["replay", "output", "r", "9"]).code(1);
    place.run(&["replay", "claim", "r", "1"]).code(2);
    place.run(&["replay", "claim", "r", "1", "--session", "s", "--lease-ms", "0"]).code(2);
    complete(&place, "1", &token, "{").code(2);
    let elsewhere = Place::new();
    claim(&elsewhere, "1", "s").code(3);
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "no ledger is made");
}

#[test]
fn a_running_server_is_asked_through_its_lock() {
    let place = recorded();
    let serving = Serving::start(&place, &[]);
    let token = line(&claim(&place, "2", "s").code(0).out(), "token");
    complete(&place, "2", &token, "99").code(0);
    serving.stop();
    assert!(claim(&place, "2", "s").code(1).out().starts_with("duplicate\n"), "it stands in the file");
}
