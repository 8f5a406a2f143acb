//! Finding runs, counting them, and ending those that never did.

use crate::Place;

/// Three runs of one plan: `old` is still running, `cheap` and `dear` are completed.
fn three() -> Place {
    let place = Place::new();
    let start = |run: &str, day: u32, seed: i64| {
        format!(
            r#"{{"op":"start_run","run_id":"{run}","plan":[{{"skill":"search"}}],"seed":{seed},"goal":"fly to {run}","started_at":"2026-01-0{day}T00:00:00Z"}}"#
        )
    };
    let step = |run: &str, cost: &str| {
        format!(
            r#"{{"op":"record_step","run_id":"{run}","index":0,"skill_name":"search","params":{{}},"status":"success","cost_cents":"{cost}","duration_ms":2.5}}"#
        )
    };
    let complete = |run: &str| format!(r#"{{"op":"complete_run","run_id":"{run}","status":"completed"}}"#);
    let lines = [
        start("old", 1, 0),
        start("cheap", 2, -7),
        step("cheap", "0.25"),
        complete("cheap"),
        start("dear", 3, -7),
        step("dear", "3"),
        complete("dear"),
    ];
    place.run_with(&["record"], &lines.join("\n")).code(0);
    place
}

/// The ids that `runs` lists with some options.
#[track_caller]
fn listed(place: &Place, options: &[&str]) -> Vec<String> {
    let out = place.run(&[&["runs"], options].concat()).code(0).out();
    out.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn runs_are_found_by_each_attribute() {
    let place = three();
    let check = |options: &[&str], wanted: &[&str]| assert_eq!(listed(&place, options), wanted, "{options:?}");
    check(&[], &["dear", "cheap", "old"]);
    check(&["--oldest"], &["old", "cheap", "dear"]);
    check(&["--since", "2026-01-02T00:00:00Z", "--until", "2026-01-03T00:00:00Z"], &["cheap"]);
    check(&["--status", "running", "--older-than", "1h"], &["old"]);
    check(&["--older-than", "9999w"], &[]);
    check(&["--seed", "0"], &["old"]);
    check(&["--seed", "-7"], &["dear", "cheap"]);
    check(&["--text", "FLY cheap"], &["cheap"]);
    check(&["--cost-min", "0.25", "--cost-max", "2"], &["cheap"]);
    check(&["--cost-min", "0"], &["dear", "cheap"]);
    check(&["--duration-min", "2.5"], &["dear", "cheap"]);
    check(&["--sort", "cost", "--oldest"], &["cheap", "dear"]);
    let json = place.run(&["show", "cheap", "--json"]).code(0).out();
    let hash = |name: &str| json.split(&format!(r#""{name}":""#)).nth(1).unwrap()[..64].to_owned();
    check(&["--plan-hash", &hash("plan_hash")], &["dear", "cheap", "old"]);
    check(&["--plan-hash", &hash("plan_hash"), "--seed", "-7"], &["dear", "cheap"]);
    check(&["--root-hash", &hash("root_hash")], &["dear", "cheap"]);
    check(&["--behaviour-hash", &hash("behaviour_hash"), "--limit", "1"], &["dear"]);
    let table = place.run(&["runs"]).code(0).out();
    assert!(table.contains("0.25 cents") && table.contains("3 cents"), "a cost says of what: {table}");
}

#[test]
fn runs_are_counted() {
    let place = three();
    assert_eq!(place.run(&["runs", "--count"]).code(0).out(), "3\n");
    assert_eq!(place.run(&["runs", "--count", "--status", "running"]).code(0).out(), "1\n");
    let json = place.run(&["runs", "--count", "--seed", "-7", "--json"]).code(0).out();
    assert_eq!(json, "{\"complete\":true,\"count\":2}\n");
    place.run(&["runs", "--count", "--limit", "1"]).code(2);
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let place = three();
    let said = place.run(&["runs", "--since", "-1h"]).code(2).talk();
    assert!(said.contains("without the minus sign"), "{said}");
    for options in [["--older-than", "soon"], ["--cost-min", "0.1234567"], ["--duration-max", "-1"], ["--seed", "x"]] {
        place.run(&[&["runs"], &options[..]].concat()).code(2);
    }
    place.run(&["runs", "--text", ""]).code(2);
    let unknown = place.run(&["show", "nope"]).code(1).talk();
    assert!(unknown.contains("tracekeep explain run_not_found"), "{unknown}");
    let json = place.run(&["show", "nope", "--json"]).code(1).talk();
    assert!(json.starts_with(r#"{"code":"run_not_found","#), "{json}");
}

#[test]
fn a_run_ends_with_its_reason_and_claims() {
    let place = three();
    let wrong = "0".repeat(64);
    let refused = place.run(&["complete", "old", "--root-hash", &wrong]).code(1).talk();
    assert!(refused.contains("hash_mismatch"), "{refused}");
    place.run(&["complete", "old", "--metadata", "[1]"]).code(2);
    let ends = ["complete", "old", "--status", "aborted", "--reason", "silent", "--metadata", r#"{"by":"me"}"#];
    place.run(&ends).code(0);
    let shown = place.run(&["show", "old", "--json"]).code(0).out();
    assert!(
        shown.contains(r#""completion_metadata":{"by":"me"}"#) && shown.contains(r#""termination_reason":"silent""#)
    );
    assert!(place.run(&["complete", "old"]).code(1).talk().contains("conflict"), "terminal is final");
    assert_eq!(listed(&place, &["--status", "running"]), Vec::<String>::new());
}

#[test]
fn what_never_ended_is_aborted() {
    let place = three();
    place.run(&["complete", "--stale", "9999w"]).code(0);
    assert_eq!(place.run(&["complete", "--stale", "1h", "--reason", "silent"]).code(0).out(), "old\n");
    assert_eq!(place.run(&["complete", "--stale", "1h", "--json"]).code(0).out(), "");
    let shown = place.run(&["show", "old", "--json"]).code(0).out();
    assert!(shown.contains(r#""status":"aborted""#) && shown.contains(r#""termination_reason":"silent""#), "{shown}");
    for wrong in [&["complete"][..], &["complete", "old", "--stale", "1h"], &["complete", "--stale", "-1h"]] {
        place.run(wrong).code(2);
    }
}
