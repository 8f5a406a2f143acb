//! What findings are about, in names that a person knows.

use tracekeep_core::wire::to_json;
use tracekeep_store_sqlite::{Finding, SqliteLedger};

use crate::common::{commit, open, ops, place, start, tamper};

/// Rows were named by the number of their run, which no command knows.
#[test]
fn findings_name_the_run_the_trace_and_the_log_index() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, start("run-8"));
    let call = r#"{"op":"record_trace","run_id":"run-8","id":"call","trace_type":{"type":"ToolCall","tool_name":"t",
                   "arguments":{}}}"#;
    let end = r#"{"op":"end_trace","run_id":"run-8","id":"call","status":"ok","result":1,"duration_ms":2}"#;
    let child = r#"{"op":"record_trace","run_id":"run-8","id":"child","parent_id":"call",
                    "trace_type":{"type":"Thought","content":"c"}}"#;
    let step = r#"{"op":"record_step","run_id":"run-8","index":0,"skill_name":"s","params":{},"status":"success"}"#;
    let size = commit(&ledger, ops(&[call, end, child, step])).tree_size;
    drop(ledger);
    let (traced, ended) = (size - 4, size - 3);
    tamper(
        &place.path,
        &format!(
            "UPDATE entry SET codec = 9 WHERE log_index = {ended}; UPDATE step SET exact = x'00' WHERE log_index = {};
             DELETE FROM child_count WHERE slot = {traced}; INSERT INTO topic VALUES (77, 'made up', 1)",
            size - 1
        ),
    );
    let found = SqliteLedger::check(&place.path, None).unwrap().findings;
    let json = |place: &str| {
        let finding =
            found.iter().find(|finding| finding.place == place).unwrap_or_else(|| panic!("{place}: {found:?}"));
        to_json(&Finding { detail: String::new(), ..finding.clone() }).to_string()
    };
    let log_index = format!("log index {ended}");
    assert_eq!(
        json(&log_index),
        format!(
            r#"{{"detail":"","log_index":{ended},"place":"{log_index}","run_id":"run-8","trace_id":"call","what":"content"}}"#
        )
    );
    assert_eq!(json("step idx 0"), r#"{"detail":"","place":"step idx 0","run_id":"run-8","what":"row_differs"}"#);
    let slot = format!("child_count slot {traced}");
    let of_call =
        format!(r#"{{"detail":"","place":"{slot}","run_id":"run-8","trace_id":"call","what":"row_missing"}}"#);
    assert_eq!(json(&slot), of_call);
    let nameless = r#"{"detail":"","place":"topic run_no 77","what":"row_extra"}"#;
    assert_eq!(json("topic run_no 77"), nameless, "the number of a run that has no name is all there is");
}
