//! `hold` and `gc`.

use crate::Place;

const OLD: &str = r#"{"op":"start_run","run_id":"r-1","tags":["case-7"],"goal":"old"}
{"op":"complete_run","run_id":"r-1","status":"completed"}
{"op":"start_run","run_id":"r-2","goal":"older"}
{"op":"complete_run","run_id":"r-2","status":"completed"}
{"op":"start_run","run_id":"r-3"}
"#;

fn filled() -> Place {
    let place = Place::new();
    place.run_with(&["record"], OLD).code(0);
    place
}

#[test]
fn gc_erases_what_is_old_enough_and_says_what_it_did() {
    let place = filled();
    let young = place.run(&["gc"]);
    assert!(young.code(0).out().contains("0 runs"), "{}", young.out());
    let asked = place.run(&["gc", "--older-than", "0s", "--dry-run"]);
    assert!(
        asked.code(0).out().contains("would be erased") && asked.out().contains("2 runs of 4 entries"),
        "{}",
        asked.out()
    );
    place.run(&["show", "r-1"]).code(0);
    place.run(&["hold", "--tag", "case-7", "--reason", "case 7"]).code(0);
    let done = place.run(&["gc", "--older-than", "0s", "--by", "ops"]);
    assert!(done.code(0).out().contains("1 runs of 2 entries") && done.out().contains("given back"), "{}", done.out());
    let gone = place.run(&["show", "r-2"]);
    assert!(gone.code(1).talk().contains("retention: older than 0s"), "{}", gone.talk());
    let json = place.run(&["show", "r-2", "--json"]);
    assert!(json.code(1).talk().contains(r#""redaction":{"by":"ops""#), "{}", json.talk());
    let again = place.run(&["gc", "--older-than", "0s", "--json"]);
    assert!(again.code(0).out().contains(r#""erased":0"#) && again.out().contains(r#""held":1"#), "{}", again.out());
    place.run(&["fsck"]).code(0);
    place.run(&["gc", "--older-than", "soon"]).code(2);
}

#[test]
fn one_run_is_erased_with_a_reason() {
    let place = filled();
    place.run(&["gc", "--run", "r-1"]).code(2);
    assert!(place.run(&["gc", "--run", "r-3", "--reason", "asked for"]).code(1).talk().contains("run_running"));
    place.run(&["gc", "--run", "r-1", "--reason", "asked for"]).code(0);
    assert!(place.run(&["gc", "--run", "r-1", "--reason", "again"]).code(0).out().starts_with("duplicate"));
    place.run(&["gc", "--run", "nobody", "--reason", "asked for"]).code(1);
}

#[test]
fn erasing_the_run_of_a_baseline_says_so() {
    let place = filled();
    for name in ["trip", "other"] {
        place.run(&["baseline", "set", "r-1", "--name", name]).code(0);
    }
    place.run(&["baseline", "set", "r-2", "--name", "other"]).code(0);
    let talk = place.run(&["gc", "--run", "r-1", "--reason", "asked for"]).code(0).talk();
    assert!(talk.contains("baseline trip") && !talk.contains("baseline other"), "{talk}");
    place.run(&["baseline", "set", "r-2", "--name", "trip"]).code(0);
}

#[test]
fn holds_are_listed_and_let_go_of() {
    let place = filled();
    assert!(place.run(&["hold", "--list"]).code(0).talk().contains("nothing is held"));
    place.run(&["hold", "r-1"]).code(2);
    place.run(&["hold", "--reason", "x"]).code(2);
    place.run(&["hold", "r-1", "--reason", "case 7", "--by", "legal"]).code(0);
    place.run(&["hold", "--tag", "case-7", "--reason", "case 7"]).code(0);
    assert!(place.run(&["gc", "--run", "r-1", "--reason", "x"]).code(1).talk().contains("held"));
    assert!(place.run(&["show", "r-1"]).code(0).out().contains("\nheld "));
    assert!(place.run(&["show", "r-2", "--json"]).code(0).out().contains(r#""held":false"#));
    let list = place.run(&["hold", "--list"]).code(0).out();
    assert!(list.contains("run r-1") && list.contains("tag case-7") && list.contains("legal"), "{list}");
    assert_eq!(place.run(&["hold", "--list", "--json"]).code(0).out().lines().count(), 2);
    place.run(&["hold", "r-1", "--reason", "closed", "--release"]).code(0);
    place.run(&["hold", "--tag", "case-7", "--reason", "closed", "--release"]).code(0);
    assert!(place.run(&["hold", "r-2", "--reason", "closed", "--release"]).code(1).talk().contains("not_held"));
    place.run(&["gc", "--run", "r-1", "--reason", "x"]).code(0);
}

#[test]
fn members_are_withheld_with_a_reason() {
    let place = filled();
    let step = r#"{"op":"record_step","run_id":"r-3","index":3,"skill_name":"s","params":{"q":"xyzzy"},"status":"success"}
{"op":"record_trace","run_id":"r-3","id":"t","trace_type":{"type":"Thought","content":"xyzzy"}}"#;
    place.run_with(&["record"], step).code(0);
    place.run(&["redact", "r-3", "--step", "3", "--reason", "x"]).code(2);
    place.run(&["redact", "r-3", "--member", "params", "--reason", "x"]).code(2);
    place.run(&["redact", "r-3", "--step", "3", "--trace", "t", "--member", "params", "--reason", "x"]).code(2);
    let refused = place.run(&["redact", "r-3", "--step", "3", "--member", "status", "--reason", "x"]);
    assert!(refused.code(1).talk().contains("invalid_member"), "{}", refused.talk());
    let step = &["redact", "r-3", "--step", "3", "--member", "params", "--reason", "asked for", "--by", "ops"];
    assert!(place.run(step).code(0).out().starts_with("recorded"));
    assert!(place.run(step).code(0).out().starts_with("duplicate"));
    place.run(&["redact", "r-3", "--trace", "t", "--member", "trace_type/content", "--reason", "asked for"]).code(0);
    assert!(!place.run(&["show", "r-3"]).code(0).out().contains("xyzzy"));
    place.run(&["fsck"]).code(0);
    place.run(&["verify", "--run", "r-3"]).code(3);
}
