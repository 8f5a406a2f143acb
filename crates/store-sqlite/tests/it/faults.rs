//! What the writer does when the storage fails: says whether it happened, and goes on from what the file holds.

use crate::common::{Dice, commit, everything, open, place, refused, same, start, thought};
use tracekeep_store::{Batch, LedgerStore, Outcome, Recorded, block_on};
use tracekeep_store_sqlite::{Fault, SqliteLedger};

/// A batch of new ops in run-0, with a tag, a type, a step and a key of its own.
fn batch(n: u32) -> Batch {
    let run = "run-0";
    crate::common::ops(&[
        &format!(
            r#"{{"op":"record_trace","run_id":"{run}","id":"t-{n}","tags":["tag-{n}"],"occurred_at":"2024-01-01T00:00:00Z",
                "trace_type":{{"type":"Custom","name":"type-{n}","data":null}}}}"#
        ),
        &format!(
            r#"{{"op":"record_step","run_id":"{run}","index":{n},"skill_name":"s","params":{{}},"status":"success",
                "occurred_at":"2024-01-01T00:00:00Z"}}"#
        ),
    ])
    .under(format!("key-{n}").parse().unwrap())
}

/// A fault at the second of three batches: whatever it was, the batch sent again stands there exactly once, and the third
/// goes on as if nothing had been.
#[track_caller]
fn check(fault: Fault, code: &str, outcome: Outcome, then: Recorded) {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, batch(0));
    let before = everything(&ledger);
    ledger.fail_next(fault);
    let error = refused(&ledger, batch(1));
    assert_eq!((error.code(), error.outcome(), error.is_retryable()), (code, outcome, true));
    if outcome == Outcome::NotApplied {
        same(&before, &everything(&ledger));
    }
    let again = commit(&ledger, batch(1));
    assert_eq!((again.outcome, again.tree_size), (then, 7), "exactly one record");
    assert_eq!(commit(&ledger, batch(1)).root, again.root);
    assert_eq!(commit(&ledger, batch(2)).tree_size, 10);
    let after = everything(&ledger);
    drop(ledger);
    let report = SqliteLedger::check(&place.path, None).unwrap();
    assert_eq!((report.findings, report.tree_size), (Vec::new(), 10));
    same(&after, &everything(&open(&place.path)));
}

#[test]
fn law_9_a_failure_before_commit_is_not_applied() {
    check(Fault::BeforeCommit, "storage_failed", Outcome::NotApplied, Recorded::Recorded);
}

#[test]
fn a_commit_that_failed_and_did_nothing_is_unknown_and_then_recorded_once() {
    check(Fault::CommitLost, "commit_unknown", Outcome::Unknown, Recorded::Recorded);
}

#[test]
fn law_9_a_commit_that_failed_and_was_done_is_unknown_and_then_a_duplicate() {
    check(Fault::CommitDone, "commit_unknown", Outcome::Unknown, Recorded::Duplicate);
}

#[test]
fn a_writer_that_panics_is_unknown_and_hangs_nobody() {
    check(Fault::Panic, "commit_unknown", Outcome::Unknown, Recorded::Recorded);
}

#[test]
fn a_failure_is_every_batchs_of_the_group_but_for_those_refused_for_themselves() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    ledger.fail_next(Fault::BeforeCommit);
    let answers = ledger.commit_blocking(vec![batch(0), Batch::default(), batch(1)]);
    let codes: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap_err().code()).collect();
    assert_eq!(codes, ["storage_failed", "invalid_batch", "storage_failed"]);
}

#[test]
fn a_refused_batch_leaves_nothing_and_disturbs_no_other() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let refused = crate::common::ops(&[
        r#"{"op":"ensure_run","run_id":"run-1"}"#,
        r#"{"op":"record_trace","run_id":"run-1","id":"x","parent_id":"none","tags":["lost"],
            "trace_type":{"type":"Thought","content":""}}"#,
    ]);
    let answers = ledger.commit_blocking(vec![thought("run-0", "a"), refused, thought("run-0", "b")]);
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map_or_else(|error| error.code(), |_| "ok")).collect();
    assert_eq!(codes, ["ok", "parent_not_found", "ok"]);
    assert_eq!(answers[2].as_ref().unwrap().tree_size, 3);
    drop(ledger);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
}

#[test]
fn a_full_disk_harms_nothing_and_passes() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let large = |n: u64| {
        // Nothing that would be compressed away.
        let mut dice = Dice::new(n + 1);
        let noise: String = (0..100_000).map(|_| char::from(b"0123456789abcdef"[dice.below(16) as usize])).collect();
        crate::common::ops(&[&format!(
            r#"{{"op":"record_trace","run_id":"run-0","id":"large-{n}","occurred_at":"2024-01-01T00:00:00Z",
                "trace_type":{{"type":"Thought","content":"{noise}"}}}}"#
        )])
    };
    commit(&ledger, large(0));
    ledger.limit_pages(Some(4)).unwrap();
    let before = everything(&ledger);
    for _ in 0..2 {
        let error = refused(&ledger, large(1));
        assert_eq!((error.code(), error.outcome()), ("storage_full", Outcome::NotApplied));
        assert!(error.is_retryable());
        same(&before, &everything(&ledger));
    }
    let codes = ledger.commit_blocking(vec![large(0)]);
    assert_eq!(codes[0].as_ref().unwrap().outcome, Recorded::Duplicate, "what is there is still answered");
    ledger.limit_pages(None).unwrap();
    assert_eq!(commit(&ledger, large(1)).tree_size, 3);
    drop(ledger);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
}

#[test]
fn another_writer_on_the_file_makes_commits_busy_and_loses_nothing() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    // Somebody's sqlite3 shell.
    let shell = rusqlite::Connection::open(&place.path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = refused(&ledger, thought("run-0", "t"));
    assert_eq!((error.code(), error.outcome()), ("busy", Outcome::NotApplied));
    assert_eq!(block_on(ledger.head()).unwrap().tree_size, 1, "reads go on");
    shell.execute_batch("ROLLBACK").unwrap();
    assert_eq!(commit(&ledger, thought("run-0", "t")).tree_size, 2);
}

/// The key's entry was written before the root that its answer states was read: where that failed, the caller heard that
/// nothing had been applied, and the entry was committed all the same.
#[test]
fn a_batch_whose_answer_cannot_be_read_leaves_nothing() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    for n in 0..300 {
        commit(&ledger, thought("run-0", &format!("t-{n}")));
    }
    drop(ledger);
    let conn = rusqlite::Connection::open(&place.path).unwrap();
    conn.execute_batch("UPDATE tile SET hashes = x'00'").unwrap();
    drop(conn);
    let ledger = open(&place.path);
    let error = refused(&ledger, start("run-0").under("late".parse().unwrap()));
    assert_eq!((error.code(), error.outcome()), ("corrupt", Outcome::NotApplied));
    assert_eq!(block_on(ledger.head()).unwrap().tree_size, 301);
    assert_eq!(commit(&ledger, thought("run-0", "next")).tree_size, 302);
}
