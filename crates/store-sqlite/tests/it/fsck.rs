//! fsck finds what is wrong and names it; rebuilding gives the same answers and cursors from the log alone.

use crate::common::{
    Dice, any_batch, commit, everything, open, ops, place, refused, run_id, same, start, tamper, thought, whole,
};
use rusqlite::Connection;
use std::path::Path;
use tracekeep_core::hash::Hash;
use tracekeep_store::{LedgerStore, PageRequest, TraceQuery, block_on};
use tracekeep_store_sqlite::{Options, Report, SqliteLedger, Wrong};

/// A ledger with a bit of everything, closed.
fn filled(path: &Path) {
    let ledger = open(path);
    let mut dice = Dice { breadth: 20, ..Dice::new(7) };
    commit(&ledger, start("run-0"));
    commit(&ledger, thought("run-0", "first"));
    commit(&ledger, start("run-9").under("key-9".parse().unwrap()));
    // More than one tile.
    while block_on(ledger.head()).unwrap().tree_size < 300 {
        ledger.commit_blocking((0..200).map(|_| any_batch(&mut dice)).collect());
    }
}

/// Tampers, and expects findings of `what` that name `place`.
#[track_caller]
fn check(sql: &str, expected: &[(Wrong, &str)]) {
    let place = place();
    filled(&place.path);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, [], "clean before");
    tamper(&place.path, sql);
    let report = SqliteLedger::check(&place.path, None).unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.what, whole(finding))).collect();
    let found: Vec<_> = found.iter().map(|(what, place)| (*what, place.as_str())).collect();
    assert_eq!(found, expected, "{sql}: {:?}", report.findings);
    assert_eq!(report.count, expected.len() as u64);
}

#[test]
fn a_sound_ledger_is_clean_and_its_root_is_recomputed() {
    let place = place();
    filled(&place.path);
    let report = SqliteLedger::check(&place.path, None).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let head = block_on(open(&place.path).head()).unwrap();
    assert_eq!((report.tree_size, report.root), (head.tree_size, Some(head.root)));
}

#[test]
fn it_works_beside_a_running_writer() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let report = SqliteLedger::check(&place.path, None).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.tree_size, 1);
    commit(&ledger, thought("run-0", "t"));
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().tree_size, 2);
}

/// Tampers, and gives what is found.
fn found(sql: &str) -> Vec<(Wrong, String)> {
    let place = place();
    filled(&place.path);
    tamper(&place.path, sql);
    let report = SqliteLedger::check(&place.path, None).unwrap();
    report.findings.into_iter().map(|finding| (finding.what, whole(&finding))).collect()
}

#[track_caller]
fn check_among(sql: &str, expected: &[(Wrong, &str)]) {
    let found = found(sql);
    for (what, place) in expected {
        assert!(found.contains(&(*what, (*place).to_owned())), "{sql}: {what} {place} is not among {found:?}");
    }
}

#[test]
fn a_flipped_byte_of_a_body_is_found() {
    // Still a body, still UTF-8: the commitment tells.
    check_among(
        "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'hm first', 'hm fjrst') AS BLOB) WHERE log_index = 1",
        &[
            (Wrong::Content, "log index 1, run run-0, trace first"),
            (Wrong::RowExtra, "trace log_index 1, run run-0, trace first"),
        ],
    );
    check_among(
        "UPDATE entry SET body = x'ff' WHERE log_index = 1",
        &[(Wrong::Content, "log index 1, run run-0, trace first")],
    );
    check_among(
        "UPDATE entry SET salt = zeroblob(32) WHERE log_index = 1",
        &[(Wrong::Content, "log index 1, run run-0, trace first")],
    );
    check_among(
        "UPDATE entry SET salt = NULL WHERE log_index = 1",
        &[(Wrong::Content, "log index 1, run run-0, trace first")],
    );
    check_among(
        "UPDATE entry SET codec = 9 WHERE log_index = 1",
        &[(Wrong::Content, "log index 1, run run-0, trace first")],
    );
}

#[test]
fn a_wrong_commitment_is_found_in_entry_tree_and_run() {
    check_among(
        "UPDATE entry SET commitment = zeroblob(32) WHERE log_index = 1",
        &[
            (Wrong::Content, "log index 1, run run-0, trace first"),
            (Wrong::RowDiffers, "tile level 0 n 0"),
            (Wrong::RowDiffers, "run, run run-0"),
        ],
    );
}

#[test]
fn a_missing_index_row_is_found() {
    check(
        "DELETE FROM trace_tag WHERE log_index = 1",
        &[(Wrong::RowMissing, "trace_tag log_index 1, run run-0, trace first")],
    );
    check("DELETE FROM idem_key WHERE key = 'key-9'", &[(Wrong::RowMissing, "idem_key log_index 3")]);
    check("DELETE FROM run_tag WHERE run_no = 0 AND tag = 'prod'", &[(Wrong::RowMissing, "run_tag, run run-0")]);
}

#[test]
fn an_extra_index_row_is_found() {
    check(
        "INSERT INTO topic (run_no, topic, log_index) VALUES (0, 'made up', 1)",
        &[(Wrong::RowExtra, "topic, run run-0")],
    );
    check(
        "INSERT INTO slot (named_by, run_no, id, occurred_at) VALUES (1, 0, 'made-up', 0)",
        &[(Wrong::RowExtra, "slot named_by 1, run run-0, trace made-up")],
    );
    check("INSERT INTO name (text) VALUES ('made up')", &[(Wrong::RowExtra, "name")]);
}

#[test]
fn a_wrong_counter_is_found() {
    check(
        "UPDATE trace_count SET n = n + 1 WHERE run_no = 0 AND kind = 0
            AND name = (SELECT id FROM name WHERE text = 'Thought')",
        &[(Wrong::RowDiffers, "trace_count kind 0, run run-0")],
    );
    check(
        "UPDATE child_count SET n = n - 1 WHERE run_no = 0 AND slot = 0",
        &[(Wrong::RowDiffers, "child_count slot 0, run run-0")],
    );
}

#[test]
fn a_wrong_tile_is_found() {
    check("UPDATE tile SET root = zeroblob(32)", &[(Wrong::RowDiffers, "tile level 0 n 0")]);
    check("UPDATE tile SET hashes = zeroblob(8192)", &[(Wrong::RowDiffers, "tile level 0 n 0")]);
    check("DELETE FROM tile", &[(Wrong::RowMissing, "tile level 0 n 0")]);
}

#[test]
fn a_changed_run_is_found() {
    check("UPDATE run SET agent = 'x' WHERE run_no = 0", &[(Wrong::RowDiffers, "run, run run-0")]);
    check("UPDATE run SET state = zeroblob(4) WHERE run_no = 0", &[(Wrong::RowDiffers, "run, run run-0")]);
    check(
        "UPDATE trace SET status = 1 WHERE log_index = 1",
        &[(Wrong::RowDiffers, "trace log_index 1, run run-0, trace first")],
    );
}

#[test]
fn a_changed_place_or_time_of_an_entry_is_found() {
    check_among("UPDATE entry SET seq = 7 WHERE log_index = 1", &[(Wrong::Seq, "log index 1, run run-0, trace first")]);
    check_among(
        "UPDATE entry SET recorded_at = 0 WHERE log_index = 1",
        &[(Wrong::Clock, "log index 1, run run-0, trace first")],
    );
    check_among("UPDATE entry SET after = 3 WHERE log_index = 1", &[(Wrong::Batch, "log index 2, run run-9")]);
    check_among(
        "UPDATE entry SET after = 4294967295 WHERE log_index IN (1, 2)",
        &[(Wrong::Batch, "log index 2, run run-9")],
    );
    check_among("DELETE FROM entry WHERE log_index = 1", &[(Wrong::Entry, "log index 2, run run-9")]);
    check_among(
        "UPDATE entry SET kind = 99 WHERE log_index = 1",
        &[(Wrong::Entry, "log index 1, run run-0, trace first")],
    );
    check_among("INSERT INTO run_name VALUES (1, 'made-up')", &[(Wrong::RunName, "run_name, run made-up")]);
    check_among(
        "UPDATE entry SET run_no = 2 WHERE log_index = 1",
        &[(Wrong::RunName, "log index 1, run run-9, trace first")],
    );
}

#[test]
fn changed_migrations_are_found() {
    check("UPDATE migration SET checksum = zeroblob(32)", &[(Wrong::Migration, "migration")]);
    check("INSERT INTO migration VALUES (0, 'odd', x'00', 0)", &[(Wrong::Migration, "migration")]);
}

#[test]
fn a_changed_schema_is_found_and_mended_where_no_row_is_touched() {
    let odd = |path: &Path| -> Vec<(Wrong, String)> {
        let findings = SqliteLedger::check(path, None).unwrap().findings;
        findings.into_iter().map(|finding| (finding.what, finding.place)).collect()
    };
    for (sql, place_of) in [
        ("DROP TRIGGER entry_is_never_deleted", "trigger entry_is_never_deleted"),
        ("DROP INDEX trace_by_type", "index trace_by_type"),
        ("DROP INDEX trace_by_type; CREATE INDEX trace_by_type ON trace (run_no)", "index trace_by_type"),
        ("DROP INDEX entry_of_no_run", "index entry_of_no_run"),
    ] {
        let place = place();
        filled(&place.path);
        Connection::open(&place.path).unwrap().execute_batch(sql).unwrap();
        assert_eq!(odd(&place.path), [(Wrong::Schema, place_of.to_owned())], "{sql}");
        assert!(SqliteLedger::rebuild(&place.path, None).unwrap().is_clean(), "{sql}");
        assert_eq!(odd(&place.path), [], "{sql}");
    }
    let place = place();
    filled(&place.path);
    let hostile = "CREATE TRIGGER mine AFTER INSERT ON topic BEGIN SELECT 1; END";
    Connection::open(&place.path).unwrap().execute_batch(hostile).unwrap();
    assert_eq!(odd(&place.path), [(Wrong::Schema, "trigger mine".to_owned())]);
    assert_eq!(SqliteLedger::rebuild(&place.path, None).unwrap().count, 1, "it is reported and left");
}

#[test]
fn an_index_of_sqlite_itself_that_lacks_a_row_is_found() {
    let place = place();
    filled(&place.path);
    // The index is told to hold nothing new while a row is written, and then that it always held everything.
    let edit = |from: &str, to: &str| {
        let conn = Connection::open(&place.path).unwrap();
        let sql = format!(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE name = 'trace_by_type';"
        );
        conn.execute_batch(&sql).unwrap();
    };
    edit("occurred_at)", "occurred_at) WHERE flags > 99");
    tamper(&place.path, "UPDATE trace SET occurred_at = 5 WHERE log_index = 1");
    edit("occurred_at) WHERE flags > 99", "occurred_at)");
    let report = SqliteLedger::check(&place.path, None).unwrap();
    assert!(report.findings.iter().any(|finding| finding.what == Wrong::Pages), "{:?}", report.findings);
}

#[test]
fn rebuilding_gives_the_same_answers_and_cursors() {
    let place = place();
    filled(&place.path);
    let (before, cursor) = {
        let ledger = open(&place.path);
        let query = TraceQuery { page: PageRequest::first(1), ..TraceQuery::default() };
        (everything(&ledger), block_on(ledger.traces(&run_id("run-0"), &query)).unwrap().next_cursor)
    };
    assert!(cursor.is_some());
    tamper(
        &place.path,
        "DELETE FROM trace; DELETE FROM trace_tag; DELETE FROM name; UPDATE run SET status = 3; DELETE FROM tile;
         DELETE FROM child_count; UPDATE trace_count SET n = 0; DELETE FROM idem_key; DELETE FROM slot; DELETE FROM step;
         DELETE FROM topic; INSERT INTO run_tag VALUES ('made up', 0, 0)",
    );
    assert!(SqliteLedger::check(&place.path, None).unwrap().count > 100, "the count goes on where the list ends");
    let report = SqliteLedger::rebuild(&place.path, None).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
    let ledger = open(&place.path);
    same(&before, &everything(&ledger));
    let query = TraceQuery { page: PageRequest { limit: 1, cursor }, ..TraceQuery::default() };
    assert_eq!(block_on(ledger.traces(&run_id("run-0"), &query)).unwrap().items.len(), 1);
    assert_eq!(commit(&ledger, start("run-9").under("key-9".parse().unwrap())).ops[0].log_index, 2);
}

/// What somebody erased by hand was a clean ledger once the indices were rebuilt, and hid changed bodies of the same run.
#[test]
fn an_entry_that_nobody_redacted_is_a_finding_and_so_is_what_depends_on_it() {
    let place = place();
    {
        let ledger = open(&place.path);
        commit(&ledger, start("run-0"));
        commit(&ledger, thought("run-0", "kept"));
        commit(&ledger, thought("run-0", "erased"));
        commit(&ledger, start("run-1"));
        commit(
            &ledger,
            ops(&[
                r#"{"op":"record_trace","run_id":"run-0","parent_id":"erased","id":"child","trace_type":{"type":"Thought","content":"c"}}"#,
                r#"{"op":"end_trace","run_id":"run-0","id":"erased","status":"ok"}"#,
            ]),
        );
        commit(&ledger, thought("run-0", "changed"));
    }
    let head = block_on(open(&place.path).head()).unwrap();
    let erase = "UPDATE entry SET body = NULL, salt = NULL WHERE log_index IN (2, 3)";
    Connection::open(&place.path).unwrap().execute_batch(erase).unwrap();
    tamper(&place.path, "UPDATE entry SET salt = zeroblob(32) WHERE log_index = 6");
    let content = |report: Report| -> Vec<String> {
        let findings = report.findings.into_iter().filter(|finding| finding.what == Wrong::Content);
        findings.map(|finding| format!("{}: {}", finding.place, finding.detail)).collect()
    };
    let expected = [
        "log index 2: the body is not there, and no redaction says why",
        "log index 3: the body is not there, and no redaction says why",
        "log index 4: log index 4: refused: /ops/0/parent_id: the parent erased is not recorded in this run",
        "log index 5: log index 5: refused: /ops/0/id: no trace of that id is recorded in the run",
        "log index 6: log index 6: the body does not fit its commitment",
    ];
    assert_eq!(content(SqliteLedger::check(&place.path, None).unwrap()), expected);
    assert_eq!(content(SqliteLedger::rebuild(&place.path, None).unwrap()), expected);
    let report = SqliteLedger::check(&place.path, None).unwrap();
    assert_eq!((report.count, report.root), (5, Some(head.root)), "the tree outlives them");
    assert_eq!(content(report), expected, "the indices are those of what is there, and the findings stay");
    let ledger = open(&place.path);
    assert_eq!(block_on(ledger.head()).unwrap(), head);
    let run = block_on(ledger.run(&run_id("run-0"))).unwrap().unwrap();
    assert_eq!(
        (run.entries, run.traces),
        (6, 1),
        "they keep their places in the run, and are no traces of it any more"
    );
    assert!(block_on(ledger.trace(&run_id("run-0"), &"erased".parse().unwrap())).unwrap().is_none());
    assert!(block_on(ledger.run(&run_id("run-1"))).unwrap().is_none());
    let entries = block_on(ledger.entries(2, 2)).unwrap();
    assert!(entries.iter().all(|entry| entry.body.is_none() && entry.salt.is_none()));
    assert_eq!(refused(&ledger, start("run-1")).code(), "erased", "its id is never free again");
    assert_eq!(commit(&ledger, thought("run-0", "later")).tree_size, 8);
}

#[test]
fn a_damaged_entry_is_left_out_of_the_rebuilt_indices_and_reported() {
    let place = place();
    {
        let ledger = open(&place.path);
        commit(&ledger, start("run-0"));
        commit(&ledger, thought("run-0", "hostile"));
        commit(&ledger, thought("run-0", "sound"));
    }
    tamper(&place.path, "UPDATE entry SET body = x'ff' WHERE log_index = 1");
    {
        let ledger = open(&place.path);
        let page = block_on(ledger.traces(&run_id("run-0"), &TraceQuery::default()));
        assert_eq!(page.unwrap_err().code(), "corrupt", "damage is reported, never passed over");
        assert!(block_on(ledger.trace(&run_id("run-0"), &"sound".parse().unwrap())).unwrap().is_some());
        let answers = ledger.commit_blocking(vec![thought("run-0", "hostile"), thought("run-0", "next")]);
        assert_eq!(answers[0].as_ref().unwrap_err().code(), "corrupt");
        assert_eq!(answers[1].as_ref().unwrap().tree_size, 4, "who does not touch it does not suffer");
    }
    let report = SqliteLedger::rebuild(&place.path, None).unwrap();
    assert_eq!((report.count, report.findings[0].what, &*report.findings[0].place), (1, Wrong::Content, "log index 1"));
    let ledger = open(&place.path);
    assert_eq!(block_on(ledger.traces(&run_id("run-0"), &TraceQuery::default())).unwrap().items.len(), 2);
}

#[test]
fn a_type_without_its_name_is_corrupt_and_a_rebuild_finds_it_again() {
    let place = place();
    {
        let ledger = open(&place.path);
        commit(&ledger, start("run-0"));
        commit(&ledger, thought("run-0", "t-1"));
    }
    tamper(&place.path, "DELETE FROM name WHERE text = 'Thought'");
    let error = block_on(open(&place.path).trace(&run_id("run-0"), &"t-1".parse().unwrap())).unwrap_err();
    assert_eq!((error.code(), error.detail().contains("has no name")), ("corrupt", true), "{error}");
    SqliteLedger::rebuild(&place.path, None).unwrap();
    assert!(block_on(open(&place.path).trace(&run_id("run-0"), &"t-1".parse().unwrap())).unwrap().is_some());
}

/// Who follows the log is told where to look: that used to read every body, and to stop at a damaged one.
#[test]
fn events_read_no_bodies() {
    let place = place();
    {
        let ledger = open(&place.path);
        commit(&ledger, start("run-0"));
        commit(&ledger, thought("run-0", "damaged"));
    }
    tamper(&place.path, "UPDATE entry SET body = x'ff' WHERE log_index = 1");
    let ledger = open(&place.path);
    assert_eq!(block_on(ledger.entries(0, 10)).unwrap_err().code(), "corrupt");
    assert_eq!(block_on(ledger.events(0, 10)).unwrap().len(), 2);
}

#[test]
fn a_log_with_a_gap_is_not_rebuilt_over() {
    let place = place();
    filled(&place.path);
    tamper(&place.path, "DELETE FROM entry WHERE log_index = 5");
    assert_eq!(SqliteLedger::rebuild(&place.path, None).unwrap_err().code(), "corrupt");
    let traces: u64 =
        Connection::open(&place.path).unwrap().query_row("SELECT count(*) FROM trace", [], |row| row.get(0)).unwrap();
    assert!(traces > 0, "nothing was changed");
}

#[test]
fn rebuilding_is_refused_while_somebody_writes() {
    let place = place();
    let ledger = open(&place.path);
    assert_eq!(SqliteLedger::rebuild(&place.path, None).unwrap_err().code(), "ledger_locked");
    drop(ledger);
    assert!(SqliteLedger::rebuild(&place.path, None).unwrap().is_clean());
}

fn step(n: u32) -> String {
    format!(
        r#"{{"op":"record_step","run_id":"run-0","index":{n},"skill_name":"s","params":{{"n":{n}}},"status":"success",
            "occurred_at":"2024-01-01T00:00:00Z"}}"#
    )
}

/// Commits the batches of one run, whose last op completes it, expects the file to be clean, before it is rebuilt and after
/// it, and gives the seal's hashes.
#[track_caller]
fn sealed(batches: &[Vec<String>]) -> (Option<Hash>, Option<Hash>) {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    for batch in batches {
        commit(&ledger, ops(&batch.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let before = block_on(ledger.run(&run_id("run-0"))).unwrap().unwrap();
    drop(ledger);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
    assert!(SqliteLedger::rebuild(&place.path, None).unwrap().is_clean());
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
    let run = block_on(open(&place.path).run(&run_id("run-0"))).unwrap().unwrap();
    assert_eq!(run, before);
    (run.behaviour_hash, run.root_hash)
}

/// A batch read a window of 1,000 waiting steps once, and its replay once an entry: fsck then found a run that differed in
/// a ledger that nobody had touched.
#[test]
fn steps_are_folded_alike_however_they_were_batched() {
    let complete = || r#"{"op":"complete_run","run_id":"run-0","status":"completed"}"#.to_owned();
    let many = |from: u32, to: u32| -> Vec<Vec<String>> {
        (from..to).map(step).collect::<Vec<_>>().chunks(1_000).map(<[_]>::to_vec).collect()
    };
    let then = |mut batches: Vec<Vec<String>>, more: &[Vec<String>]| {
        batches.extend_from_slice(more);
        batches
    };
    let in_order = sealed(&then(many(0, 2_001), &[vec![complete()]]));
    assert!(in_order.0.is_some() && in_order.1.is_some());
    assert_eq!(sealed(&then(many(1, 2_001), &[vec![step(0), complete()]])), in_order);
    assert_eq!(sealed(&then(many(1, 2_001), &[vec![step(0)], vec![complete()]])), in_order);
    let in_order = sealed(&then(many(0, 2_004), &[vec![complete()]]));
    let late = then(many(2, 2_002), &[vec![step(1), step(0)], vec![step(2_002)], vec![step(2_003), complete()]]);
    assert_eq!(sealed(&late), in_order);
}

#[test]
fn one_runs_indices_are_checked_and_rebuilt_while_the_ledger_is_open() {
    let place = place();
    let ledger = open(&place.path);
    for run in ["run-0", "run-1"] {
        commit(&ledger, start(run));
        commit(&ledger, thought(run, "a"));
        commit(&ledger, thought(run, "b"));
    }
    let other = Connection::open(&place.path).unwrap();
    // Run 1 has number 3; what is said of run 0 stays as it is.
    other
        .execute_batch(
            "UPDATE trace SET status = 1 WHERE log_index = 4; DELETE FROM trace_tag WHERE log_index = 5;
             UPDATE trace_count SET n = 9 WHERE run_no = 3 AND kind = 0; DELETE FROM child_count WHERE run_no = 3;
             INSERT INTO topic VALUES (3, 'made up', 1); UPDATE trace_count SET n = 7 WHERE run_no = 0 AND kind = 1;",
        )
        .unwrap();
    let found = |run: Option<&str>| {
        let report = block_on(ledger.verify_indices(run.map(run_id).as_ref())).unwrap();
        let mut found: Vec<_> = report.findings.iter().map(|finding| (finding.what, whole(finding))).collect();
        found.sort_by(|a, b| a.1.cmp(&b.1));
        found
    };
    let of = |what, place: &str| (what, place.to_owned());
    let zero = of(Wrong::RowDiffers, "trace_count kind 1, run run-0");
    let one = [
        of(Wrong::RowMissing, "child_count slot 0, run run-1"),
        of(Wrong::RowExtra, "topic, run run-1"),
        of(Wrong::RowDiffers, "trace log_index 4, run run-1, trace a"),
        of(Wrong::RowDiffers, "trace_count kind 0, run run-1"),
        of(Wrong::RowMissing, "trace_tag log_index 5, run run-1, trace b"),
    ];
    assert_eq!(found(Some("run-0")), std::slice::from_ref(&zero));
    assert_eq!(found(Some("run-1")), one);
    let all: Vec<_> = one.iter().cloned().chain([zero.clone()]).collect();
    assert_eq!(found(None).len(), all.len());
    assert!(block_on(ledger.rebuild_indices(Some(&run_id("run-1")))).unwrap().is_clean());
    assert_eq!(found(Some("run-1")), []);
    assert_eq!(found(Some("run-0")), [zero], "another run's indices are left alone");
    commit(&ledger, thought("run-1", "c"));
    assert_eq!(found(Some("run-1")), []);
    assert!(block_on(ledger.rebuild_indices(None)).unwrap().is_clean());
    assert_eq!(found(None), []);
    let reader = SqliteLedger::open(&place.path, Options { read_only: true, ..Options::default() }).unwrap();
    assert_eq!(block_on(reader.rebuild_indices(None)).unwrap_err().code(), "read_only");
}

/// A ledger with a bit of everything, of which one run is erased.
fn erased(path: &Path) {
    filled(path);
    let ledger = open(path);
    for run in ["run-0", "run-9"] {
        let complete = format!(r#"{{"op":"complete_run","run_id":"{run}","status":"completed"}}"#);
        drop(ledger.commit_blocking(vec![ops(&[&complete])]));
    }
    commit(
        &ledger,
        ops(&[
            r#"{"op":"open_incident","incident_id":"i","run_id":"run-0"}"#,
            r#"{"op":"resolve_incident","incident_id":"i","resolution":"none"}"#,
            r#"{"op":"release_hold","run_id":"run-0","reason":"resolved"}"#,
            r#"{"op":"erase_run","run_id":"run-0","reason":"asked for"}"#,
        ]),
    );
}

#[test]
fn an_erased_run_is_no_finding_and_is_rebuilt_as_it_is() {
    let place = place();
    erased(&place.path);
    let report = SqliteLedger::check(&place.path, None).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let before = rows(&place.path);
    assert!(SqliteLedger::rebuild(&place.path, None).unwrap().is_clean());
    assert_eq!(rows(&place.path), before, "the same rows, byte for byte");
    assert!(SqliteLedger::rebuild(&place.path, Some(&run_id("run-0"))).unwrap().is_clean());
    assert!(SqliteLedger::check(&place.path, Some(&run_id("run-0"))).unwrap().is_clean());
    assert_eq!(rows(&place.path), before, "the same rows, byte for byte");
}

/// The rows of the indices that hold no numbers of names.
fn rows(path: &Path) -> Vec<String> {
    let conn = Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for table in [
        "run",
        "run_tag",
        "topic",
        "step",
        "child_count",
        "slot",
        "hold",
        "erased_run",
        "erased_id",
        "idem_key",
        "tile",
    ] {
        let mut statement = conn.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let row: Vec<_> = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            rows.push(format!("{table}: {}", row.join(" ")));
        }
    }
    rows
}

#[test]
fn what_an_erasure_left_undone_is_found() {
    let among = |sql: &str, expected: &[(Wrong, &str)]| {
        let place = place();
        erased(&place.path);
        tamper(&place.path, sql);
        let report = SqliteLedger::check(&place.path, None).unwrap();
        let found: Vec<_> = report.findings.iter().map(|found| (found.what, whole(found))).collect();
        for (what, place) in expected {
            let expected = (*what, (*place).to_owned());
            assert!(found.contains(&expected), "{sql}: {expected:?} is not among {found:?}");
        }
    };
    let conn = |path: &Path| Connection::open(path).unwrap();
    let place = place();
    erased(&place.path);
    let redaction: i64 = conn(&place.path).query_row("SELECT log_index FROM erased_run", [], |row| row.get(0)).unwrap();
    let by = format!("log index {redaction}, run run-0");
    among(
        "UPDATE entry SET (body, salt) = (SELECT body, salt FROM entry WHERE log_index = 2) WHERE log_index = 1",
        &[(Wrong::Content, &by)],
    );
    among("DELETE FROM erased_run", &[(Wrong::RowMissing, "erased_run, run run-0")]);
    among("DELETE FROM erased_id", &[(Wrong::RowMissing, &format!("erased_id log_index {redaction}, run run-0"))]);
    among(
        "UPDATE erased_id SET id = 'j'",
        &[(Wrong::RowDiffers, &format!("erased_id log_index {redaction}, run run-0"))],
    );
    among("INSERT INTO name (text) VALUES ('left behind')", &[(Wrong::RowExtra, "name")]);
    among(
        "INSERT INTO hold (log_index, run_no, held) VALUES (1, 0, 1)",
        &[(Wrong::RowExtra, "hold log_index 1, run run-0")],
    );
    // Without its redaction, nothing says why the bodies are not there.
    let sql = format!("UPDATE entry SET body = NULL, salt = NULL WHERE log_index = {redaction}");
    among(
        &sql,
        &[
            (Wrong::Content, "log index 0, run run-0"),
            (Wrong::Content, "log index 1, run run-0"),
            (Wrong::Content, &by),
        ],
    );
}

#[test]
fn an_erasure_that_would_miss_an_entry_changes_nothing() {
    let place = place();
    filled(&place.path);
    let complete = r#"{"op":"complete_run","run_id":"run-0","status":"completed"}"#;
    drop(open(&place.path).commit_blocking(vec![ops(&[complete])]));
    tamper(&place.path, "DELETE FROM step WHERE run_no = 0 AND idx = (SELECT min(idx) FROM step WHERE run_no = 0)");
    let ledger = open(&place.path);
    let before = everything(&ledger);
    let error = refused(&ledger, ops(&[r#"{"op":"erase_run","run_id":"run-0","reason":"asked for"}"#]));
    assert_eq!(error.code(), "corrupt");
    same(&everything(&ledger), &before);
    drop(ledger);
    SqliteLedger::rebuild(&place.path, None).unwrap();
    let ledger = open(&place.path);
    commit(&ledger, ops(&[r#"{"op":"erase_run","run_id":"run-0","reason":"asked for"}"#]));
}

#[test]
fn nothing_of_an_erased_run_is_left_in_the_file() {
    let place = place();
    let ledger = open(&place.path);
    let secret = "cassiopeia".to_owned();
    let trace = format!(
        r#"{{"op":"record_trace","run_id":"r","id":"t","tags":["tag-{secret}"],"metadata":{{"m":"{secret}"}},
            "trace_type":{{"type":"Custom","name":"type-{secret}","data":"{}"}}}}"#,
        format!("{secret} ").repeat(300)
    );
    let start =
        format!(r#"{{"op":"start_run","run_id":"r","agent_id":"{secret}","goal":"{secret}","tags":["{secret}"]}}"#);
    let complete = r#"{"op":"complete_run","run_id":"r","status":"completed"}"#;
    commit(&ledger, ops(&[&start, &trace, complete]));
    let query = TraceQuery {
        filter: tracekeep_store::TraceFilter { text: Some(secret.clone()), ..Default::default() },
        ..TraceQuery::default()
    };
    assert_eq!(block_on(ledger.traces(&run_id("r"), &query)).unwrap().items.len(), 1);
    commit(&ledger, ops(&[r#"{"op":"erase_run","run_id":"r","reason":"asked for"}"#]));
    ledger.close().unwrap();
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
    for file in std::fs::read_dir(place.directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "it is gone for good");
    }
}
