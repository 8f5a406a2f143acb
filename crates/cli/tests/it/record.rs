//! Writing: `record`, `complete`, `demo`.

use crate::Place;

const RUN: &str = r#"{"op":"start_run","run_id":"r-1","goal":"try it"}
{"ops":[{"op":"record_trace","run_id":"r-1","id":"t-1","trace_type":{"type":"Thought","content":"hm"}},
"#;

#[test]
fn lines_are_ops_or_batches_and_come_again_as_duplicates() {
    let place = Place::new();
    let lines = concat!(
        r#"{"op":"start_run","run_id":"r-1","goal":"try it"}"#,
        "\n\n",
        r#"{"ops":[{"op":"record_trace","run_id":"r-1","id":"t-1","trace_type":{"type":"Thought","content":"hm"}},"#,
        r#"{"op":"record_step","run_id":"r-1","index":0,"skill_name":"s","params":{},"status":"success"}],"key":"k-1"}"#,
        "\n"
    );
    let first = place.run_with(&["record"], lines);
    assert_eq!(first.code(0).out(), "recorded 0 r-1\nrecorded 1 t-1\nrecorded 2\n");
    let again = place.run_with(&["record", "-"], lines);
    assert_eq!(again.code(0).out(), "duplicate 0 r-1\nduplicate 1 t-1\nduplicate 2\n");
    std::fs::write(place.path().join("ops.jsonl"), lines).unwrap();
    let json = place.run(&["record", "ops.jsonl", "--json"]);
    assert!(json.code(0).out().starts_with(r#"{"ops":[{"leaf_hash":""#), "{}", json.out());
    assert!(place.run(&["show", "r-1"]).code(0).out().contains("try it"));
}

#[test]
fn a_bad_line_is_named_and_the_lines_before_it_are_kept() {
    let place = Place::new();
    let ended = place.run_with(&["record"], RUN);
    assert!(ended.code(1).talk().contains("line 2"), "{}", ended.talk());
    assert!(ended.talk().contains("malformed_json"), "{}", ended.talk());
    place.run(&["show", "r-1"]).code(0);
    let conflict = place.run_with(&["record"], r#"{"op":"start_run","run_id":"r-1","goal":"another"}"#);
    assert!(conflict.code(1).talk().contains("conflict"), "{}", conflict.talk());
    place.run(&["record", "no-such-file"]).code(3);
}

#[test]
fn a_run_is_completed_once() {
    let place = Place::new();
    place.run_with(&["record"], r#"{"op":"start_run","run_id":"r-1"}"#).code(0);
    place.run(&["complete", "r-1", "--status", "failed", "--reason", "enough"]).code(0);
    assert!(
        place
            .run(&["complete", "r-1", "--status", "failed", "--reason", "enough"])
            .code(0)
            .out()
            .starts_with("duplicate")
    );
    assert!(place.run(&["complete", "r-1"]).code(1).talk().contains("status"));
    let shown = place.run(&["show", "r-1"]).code(0).out();
    assert!(shown.contains("failed") && shown.contains("enough") && shown.contains("root hash"), "{shown}");
    place.run(&["complete", "nobody"]).code(1);
}
