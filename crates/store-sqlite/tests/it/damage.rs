//! Damage that the writer meets, and what it keeps between two groups: who is not touched does not suffer.

use std::task::{Context, Poll, Waker};

use crate::common::{code, commit, op, open, ops, place, refused, run_id, start, tamper, thought};
use rusqlite::Connection;
use tracekeep_store::{Batch, CountsQuery, LedgerStore, Outcome, Recorded, TraceFilter, TraceQuery, block_on};
use tracekeep_store_sqlite::{Fault, Options, SqliteLedger, Wrong};

#[test]
fn a_damaged_run_fails_alone_whoever_shares_its_group() {
    let place = place();
    let ledger = open(&place.path);
    for run in ["run-0", "run-1", "run-2"] {
        commit(&ledger, start(run));
        commit(&ledger, thought(run, "first"));
    }
    ledger.close().unwrap();
    // A run that cannot be read, and one whose counters cannot go on: that is seen once the group is written.
    tamper(&place.path, "UPDATE run SET state = x'ff' WHERE run_no = 2");
    tamper(&place.path, "UPDATE trace_count SET n = 9223372036854775807 WHERE run_no = 4");
    let ledger = open(&place.path);
    // Holds the writer while the others gather behind the first.
    let shell = Connection::open(&place.path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let runs = ["run-0", "run-1", "run-0", "run-2", "run-0"];
    let calls = runs.iter().enumerate().map(|(n, run)| ledger.commit(vec![thought(run, &format!("t-{n}"))]));
    let mut calls: Vec<_> = calls.collect();
    for call in &mut calls {
        assert!(matches!(call.as_mut().poll(&mut context), Poll::Pending));
    }
    shell.execute_batch("ROLLBACK").unwrap();
    let answers: Vec<_> = calls.into_iter().map(|call| block_on(call).remove(0)).collect();
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map_or_else(|error| error.code(), |_| "ok")).collect();
    assert_eq!(codes, ["ok", "corrupt", "ok", "corrupt", "ok"]);
    for (answer, said) in [(&answers[1], "run number 2"), (&answers[3], "an index contradicts the log")] {
        let error = answer.as_ref().unwrap_err();
        assert!(error.detail().contains(said), "{error}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    assert_eq!(block_on(ledger.head()).unwrap().tree_size, 9);
    assert_eq!(code(block_on(ledger.run(&run_id("run-1")))), "corrupt", "a reader is told, too");
    ledger.close().unwrap();
    assert!(SqliteLedger::rebuild(&place.path, None).unwrap().is_clean());
    assert_eq!(commit(&open(&place.path), thought("run-1", "t-1")).tree_size, 10);
}

#[test]
fn a_run_that_was_erased_leaves_its_id_taken() {
    let place = place();
    commit(&open(&place.path), start("run-0"));
    tamper(&place.path, "DELETE FROM run; DELETE FROM run_tag; UPDATE entry SET body = NULL, salt = NULL");
    let ledger = open(&place.path);
    let error = refused(&ledger, start("run-0"));
    assert_eq!((error.code(), error.outcome()), ("erased", Outcome::NotApplied));
    assert_eq!(commit(&ledger, start("run-1")).tree_size, 2);
}

#[test]
fn an_entry_that_cannot_be_read_ends_the_check_and_is_named() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, thought("run-0", "t"));
    ledger.close().unwrap();
    tamper(&place.path, "UPDATE entry SET kind = 99 WHERE log_index = 1");
    let report = SqliteLedger::check(&place.path, None).unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.what, finding.place.as_str())).collect();
    assert!(found.contains(&(Wrong::Entry, "log index 1")), "{:?}", report.findings);
    assert_eq!((report.tree_size, report.root), (0, None), "no root of what cannot be walked");
    assert_eq!(code(SqliteLedger::rebuild(&place.path, None)), "corrupt");
}

#[test]
fn a_format_that_never_was_is_corrupt() {
    let place = place();
    commit(&open(&place.path), start("run-0"));
    Connection::open(&place.path).unwrap().execute_batch("PRAGMA user_version = 0").unwrap();
    for read_only in [false, true] {
        let error = SqliteLedger::open(&place.path, Options { read_only, ..Options::default() }).unwrap_err();
        assert_eq!(error.code(), "corrupt");
        assert!(error.detail().contains("format number"), "{error}");
    }
}

#[test]
fn indices_of_a_closed_ledger_or_one_that_is_read_are_left_alone() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let reader = SqliteLedger::open(&place.path, Options { read_only: true, ..Options::default() }).unwrap();
    assert!(block_on(reader.verify_indices(None)).unwrap().is_clean());
    assert_eq!(code(block_on(reader.rebuild_indices(None))), "read_only");
    ledger.close().unwrap();
    assert_eq!(code(block_on(ledger.rebuild_indices(None))), "closed");
    assert_eq!(code(block_on(ledger.rebuild_indices(Some(&run_id("run-0"))))), "closed");
    let query = TraceQuery {
        filter: TraceFilter { text: Some("hm".into()), ..TraceFilter::default() },
        ..TraceQuery::default()
    };
    assert_eq!(code(block_on(ledger.traces(&run_id("run-0"), &query))), "closed");
}

/// What a failed commit left is looked at only once it is synced, which whoever still reads from before holds up.
#[test]
fn law_9_a_reader_holds_up_the_look_after_a_failed_commit_and_nothing_is_lost() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let reader = Connection::open(&place.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    ledger.fail_next(Fault::CommitDone);
    let error = refused(&ledger, thought("run-0", "t"));
    assert_eq!((error.code(), error.outcome()), ("commit_unknown", Outcome::Unknown));
    let error = refused(&ledger, thought("run-0", "t"));
    assert_eq!((error.code(), error.outcome(), error.is_retryable()), ("busy", Outcome::NotApplied, true));
    reader.execute_batch("COMMIT").unwrap();
    let again = commit(&ledger, thought("run-0", "t"));
    assert_eq!((again.outcome, again.tree_size), (Recorded::Duplicate, 2));
}

/// The writer keeps 2,048 runs and 8,192 names: what it forgot is read again, and counted on.
#[test]
fn more_runs_and_names_than_the_writer_keeps_are_counted_right() {
    let place = place();
    let ledger = open(&place.path);
    let small = |run: usize| Batch::one(op(&format!(r#"{{"op":"start_run","run_id":"run-{run}"}}"#)));
    // One group that is too many alone, then some that push out what was not used for longest.
    for group in [0..2_100, 2_100..3_600, 3_600..4_400] {
        for answer in ledger.commit_blocking(group.map(small).collect()) {
            answer.unwrap();
        }
        commit(&ledger, thought("run-7", &format!("t-{}", block_on(ledger.head()).unwrap().tree_size)));
    }
    let tagged = |n: usize| {
        let tags: Vec<_> = (n * 60..(n + 1) * 60).map(|tag| format!(r#""tag-{tag}""#)).collect();
        format!(
            r#"{{"op":"record_trace","run_id":"run-8","tags":["all",{}],"trace_type":{{"type":"Thought","content":"x"}}}}"#,
            tags.join(",")
        )
    };
    let traces: Vec<_> = (0..140).map(tagged).collect();
    commit(&ledger, ops(&traces.iter().map(String::as_str).collect::<Vec<_>>()));
    let count = |run: &str, tag: &str| {
        let counts = block_on(
            ledger.trace_counts(&run_id(run), &CountsQuery { tag: Some(tag.to_owned()), ..CountsQuery::default() }),
        );
        let counts = counts.unwrap();
        (counts.total, counts.tags.iter().map(|tag| tag.count).sum::<u64>())
    };
    assert_eq!(count("run-7", "note"), (3, 3));
    assert_eq!(count("run-8", "all"), (140, 140));
    for tag in (0..8_400).step_by(100).chain(8_150..8_200) {
        assert_eq!(count("run-8", &format!("tag-{tag}")), (140, 1), "tag-{tag}");
    }
    let report = block_on(ledger.verify_indices(None)).unwrap();
    assert_eq!((report.findings, report.tree_size), (Vec::new(), 4_543));
}

#[test]
fn a_file_that_was_moved_away_takes_no_more_commits() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    std::fs::rename(&place.path, place.path.with_extension("away")).unwrap();
    ledger.fail_next(Fault::CommitLost);
    refused(&ledger, thought("run-0", "t"));
    let error = refused(&ledger, thought("run-0", "t"));
    assert_eq!((error.code(), error.outcome()), ("not_a_ledger", Outcome::NotApplied), "{error}");
    assert!(!place.path.exists(), "no other ledger is made in its place");
}

#[test]
fn a_stored_row_of_another_form_is_corrupt() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    ledger.close().unwrap();
    tamper(&place.path, "UPDATE entry SET recorded_at = 0, salt = NULL; UPDATE run SET status = 99");
    let ledger = open(&place.path);
    assert_eq!(code(block_on(ledger.run(&run_id("run-0")))), "corrupt");
    assert_eq!(code(block_on(ledger.entries(0, 1))), "corrupt");
    assert_eq!(refused(&ledger, thought("run-0", "t")).code(), "corrupt");
    assert_eq!(commit(&ledger, start("run-1")).tree_size, 2, "others go on");
}
