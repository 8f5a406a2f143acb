//! Members that are withheld: in no file, in no part, and found where they were left undone.

use std::path::Path;

use rusqlite::Connection;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{Fingerprint, IdempotencyStore, Terms};
use tracekeep_store::{Batch, LedgerStore, Outcome, Recorded, TraceFilter, TraceQuery, Wrong, block_on};
use tracekeep_store_sqlite::{Fault, SqliteLedger};

use crate::common::{commit, everything, open, ops, place, refused, run_id, same, tamper};

const SECRET: &str = "hunter-two-of-cassiopeia";

/// A sealed run whose step 1 and trace t hold the secret, in every place that it can have there.
fn filled(ledger: &SqliteLedger) {
    let step = |index: u32, secret: &str| {
        format!(
            r#"{{"op":"record_step","run_id":"r","index":{index},"skill_name":"s","params":{{"q":"{secret}"}},
                "status":"success","outcome_data":["{secret}"],"occurred_at":"2024-01-01T00:00:00Z"}}"#
        )
    };
    let trace = format!(
        r#"{{"op":"record_trace","run_id":"r","id":"t","tags":["{SECRET}"],"occurred_at":"2024-01-01T00:00:00Z",
            "metadata":{{"k":"{SECRET}"}},
            "trace_type":{{"type":"ToolCall","tool_name":"w","arguments":{{"q":"{SECRET}"}}}}}}"#
    );
    let end = format!(r#"{{"op":"end_trace","run_id":"r","id":"t","status":"ok","result":"{SECRET}"}}"#);
    let complete = r#"{"op":"complete_run","run_id":"r","status":"completed","completed_at":"2024-01-01T00:00:00Z"}"#;
    let start = r#"{"op":"start_run","run_id":"r","started_at":"2024-01-01T00:00:00Z","correlation_id":"c"}"#;
    commit(ledger, ops(&[start, &step(0, "open"), &step(1, SECRET)]));
    commit(ledger, ops(&[&trace]));
    commit(ledger, ops(&[&end, complete]));
}

fn of_step(members: &str) -> Batch {
    ops(&[&format!(r#"{{"op":"redact","run_id":"r","step":1,"members":[{members}],"reason":"asked for"}}"#)])
}

fn of_trace() -> Batch {
    let members = r#""trace_type/arguments","trace_type/result","tags","metadata""#;
    ops(&[&format!(r#"{{"op":"redact","run_id":"r","trace":"t","members":[{members}],"reason":"asked for"}}"#)])
}

/// How often the secret stands in the database and in the write-ahead log.
fn standing(path: &Path) -> usize {
    let read = |suffix: &str| std::fs::read(path.with_extension(format!("db{suffix}"))).unwrap_or_default();
    let count = |all: &[u8]| all.windows(SECRET.len()).filter(|window| *window == SECRET.as_bytes()).count();
    count(&read("")) + count(&read("-wal"))
}

#[test]
fn what_was_withheld_can_be_read_in_no_file() {
    let place = place();
    let ledger = open(&place.path);
    filled(&ledger);
    let search = |text: &str| {
        let filter = TraceFilter { text: Some(text.to_owned()), ..TraceFilter::default() };
        let query = TraceQuery { filter, ..TraceQuery::default() };
        block_on(ledger.traces(&run_id("r"), &query)).unwrap().items.len()
    };
    assert_eq!(search("cassiopeia"), 1);
    let key: Key = "pay".parse().unwrap();
    let terms = Terms { run_id: Some(run_id("r")), ..Terms::default() };
    let claimed = ledger.check_blocking(&key, &Fingerprint::of(&Json::from("x")), &terms).unwrap();
    ledger.mark_completed_blocking(&key, &claimed.token.unwrap(), &Json::from(SECRET)).unwrap();
    assert!(standing(&place.path) > 0);
    commit(&ledger, of_step(r#""params","outcome_data""#));
    commit(&ledger, of_trace());
    assert_eq!((search("cassiopeia"), search("w")), (0, 1));
    ledger.close().unwrap();
    assert_eq!(standing(&place.path), 0);
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
}

/// The step as a fault leaves it: as it was, or withheld, and then the same again leaves one redaction.
#[track_caller]
fn check(fault: Fault, outcome: Outcome, then: Recorded) {
    let place = place();
    let ledger = open(&place.path);
    filled(&ledger);
    let before = everything(&ledger);
    ledger.fail_next(fault);
    assert_eq!(refused(&ledger, of_step(r#""params""#)).outcome(), outcome);
    if outcome == Outcome::NotApplied {
        same(&before, &everything(&ledger));
    }
    let again = commit(&ledger, of_step(r#""params""#));
    assert_eq!((again.outcome, again.tree_size), (then, 7), "exactly one redaction");
    let after = everything(&ledger);
    drop(ledger);
    let report = SqliteLedger::check(&place.path, None).unwrap();
    assert_eq!((report.findings, report.tree_size), (Vec::new(), 7));
    same(&after, &everything(&open(&place.path)));
}

#[test]
fn a_redaction_that_fails_is_whole_or_not_at_all() {
    check(Fault::BeforeCommit, Outcome::NotApplied, Recorded::Recorded);
    check(Fault::CommitLost, Outcome::Unknown, Recorded::Recorded);
    check(Fault::CommitDone, Outcome::Unknown, Recorded::Duplicate);
    check(Fault::Panic, Outcome::Unknown, Recorded::Recorded);
}

#[test]
fn what_a_redaction_left_undone_is_found() {
    let among = |sql: &str, expected: (Wrong, &str)| {
        let place = place();
        let ledger = open(&place.path);
        filled(&ledger);
        commit(&ledger, of_step(r#""params""#));
        commit(&ledger, of_trace());
        drop(ledger);
        assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
        tamper(&place.path, sql);
        let report = SqliteLedger::check(&place.path, None).unwrap();
        let found: Vec<_> = report.findings.iter().map(|found| (found.what, found.place.as_str())).collect();
        assert!(found.contains(&expected), "{sql}: {expected:?} is not among {found:?}");
    };
    // 0 start, 1 and 2 steps, 3 trace, 4 its end, 5 the seal, 6 and 7 the redactions.
    among(
        "UPDATE entry SET (body, salt) = (SELECT body, salt FROM entry WHERE log_index = 1) WHERE log_index = 2",
        (Wrong::Content, "log index 6"),
    );
    among("UPDATE entry SET body = NULL, salt = NULL WHERE log_index = 6", (Wrong::Content, "log index 2"));
    among("UPDATE entry SET body = NULL, salt = NULL WHERE log_index = 1", (Wrong::Content, "log index 1"));
    among("DELETE FROM withheld WHERE log_index = 2", (Wrong::RowMissing, "withheld log_index 2"));
    among("UPDATE withheld SET redaction = 7 WHERE log_index = 2", (Wrong::RowDiffers, "withheld log_index 2"));
    among("UPDATE step SET exact = x'00' WHERE idx = 1", (Wrong::RowDiffers, "step idx 1"));
}

#[test]
fn a_rebuilt_ledger_has_the_same_rows() {
    let place = place();
    let ledger = open(&place.path);
    filled(&ledger);
    commit(&ledger, of_step(r#""cost_cents""#));
    commit(&ledger, of_step(r#""params""#));
    commit(&ledger, of_trace());
    let before = everything(&ledger);
    drop(ledger);
    let rows = || -> Vec<(i64, i64)> {
        let conn = Connection::open(&place.path).unwrap();
        let mut statement = conn.prepare("SELECT log_index, redaction FROM withheld ORDER BY 1").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let held = rows();
    assert_eq!(held, [(2, 7), (3, 8), (4, 8), (5, 7), (6, 7)]);
    tamper(&place.path, "DELETE FROM withheld");
    assert!(SqliteLedger::rebuild(&place.path, Some(&run_id("r"))).unwrap().is_clean());
    assert_eq!(rows(), held);
    tamper(&place.path, "DELETE FROM withheld");
    assert!(SqliteLedger::rebuild(&place.path, None).unwrap().is_clean());
    assert_eq!(rows(), held);
    same(&before, &everything(&open(&place.path)));
}
