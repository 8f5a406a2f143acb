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

#[test]
fn every_line_is_recorded_though_nobody_reads_the_receipts() {
    // `record f | head -1` ended with 0 after the first chunk: a broken pipe counted as success.
    let place = Place::new();
    let lines: Vec<_> = (0..1_000).map(|n| format!(r#"{{"op":"start_run","run_id":"r-{n}"}}"#)).collect();
    std::fs::write(place.path().join("ops.jsonl"), lines.join("\n")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(place.command(&["record", "ops.jsonl"]).stdout(writer).status().unwrap().success());
    place.run(&["show", "r-999"]).code(0);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(place.command(&["runs"]).stdout(writer).status().unwrap().success(), "who reads has had enough");
}

#[test]
fn a_refused_line_hides_no_receipt_of_its_chunk() {
    let place = Place::new();
    place.run_with(&["record"], r#"{"op":"start_run","run_id":"r-1"}"#).code(0);
    let starts = |id: &str, goal: &str| format!(r#"{{"op":"start_run","run_id":"{id}","goal":"{goal}"}}"#);
    let lines = [starts("r-0", "a"), starts("r-1", "other"), starts("r-2", "a"), starts("r-1", "third")].join("\n");
    let ended = place.run_with(&["record"], &lines);
    assert_eq!(ended.code(1).out(), "recorded 1 r-0\nrecorded 2 r-2\n");
    assert!(ended.talk().contains("line 4: ") && ended.talk().contains("line 2: "), "{}", ended.talk());
}

#[test]
fn a_start_has_no_source_whichever_door_it_takes() {
    let place = Place::new();
    let ended = place.run_with(&["record"], r#"{"op":"start_run","run_id":"r-1","source":"otlp"}"#);
    assert!(ended.code(1).talk().contains("line 1: /source: ") && ended.talk().contains("unknown_member"), "{ended:?}");
    let batch = r#"{"ops":[{"op":"start_run","run_id":"r-1","source":"otlp"}]}"#;
    assert!(place.run_with(&["record"], batch).code(1).talk().contains("/ops/0/source: "));
    place.run_with(&["record"], r#"{"op":"ensure_run","run_id":"r-2","source":"otlp"}"#).code(0);
}

#[test]
fn refusals_name_the_place_and_cannot_drive_the_terminal() {
    let place = Place::new();
    let malformed = place.run_with(&["record"], "{");
    assert!(malformed.code(1).talk().starts_with("tracekeep: line 1: ") && !malformed.talk().contains(": :"));
    let hostile = place.run_with(&["record"], r#"{"op":"start_run","\u001b[2J\u202e":1}"#);
    assert!(!hostile.code(1).talk().contains(['\u{1b}', '\u{202e}']), "{}", hostile.talk());
    assert!(hostile.talk().contains("\\u{1b}[2J"), "{}", hostile.talk());
    let unknown = place.run_with(&["record"], r#"{"op":"complete_run","run_id":"nobody","status":"failed"}"#);
    assert!(!unknown.code(1).talk().contains("/ops/0"), "{}", unknown.talk());
    assert!(!place.run(&["complete", "nobody"]).code(1).talk().contains("/ops/0"));
}

#[test]
fn nothing_is_recorded_in_a_memory_that_ends_with_the_command() {
    let place = Place::new();
    for args in [&["record"][..], &["demo"][..], &["complete", "r-1"][..]] {
        place.run(&[args, &["--ledger", ":memory:"]].concat()).code(2);
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn what_the_writer_alone_says_is_refused_from_a_file() {
    let place = Place::new();
    let export = r#"{"op":"record_export","kind":"evidence","run_id":"r","size":1,"by":"mallory"}"#;
    let key = r#"{"op":"declare_key","key":"tracekeep/x+00000000+AA==","reason":"first"}"#;
    place.run_with(&["record"], r#"{"op":"start_run","run_id":"r"}"#).code(0);
    for line in [export.to_owned(), format!(r#"{{"ops":[{export}]}}"#), key.to_owned()] {
        let talk = place.run_with(&["record"], &line).code(1).talk();
        assert!(talk.contains("local_only"), "{talk}");
    }
    place.run(&["log", "consistency", "--from", "1"]).code(0);
    let refused = place.run(&["log", "consistency", "--from", "2"]);
    assert!(refused.code(1).talk().contains("entry_not_found"), "nothing was written: {}", refused.talk());
}
