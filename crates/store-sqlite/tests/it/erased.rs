//! Nothing of an erased run can be read in the ledger's files.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{Fingerprint, IdempotencyResult, IdempotencyStore, Terms};
use tracekeep_store::{Batch, GcRequest, LedgerStore, PageRequest, TraceFilter, TraceQuery, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::common::{commit, op, open, ops, place, run_id};

/// A run that has ended, of traces whose words begin with its own.
fn ended(ledger: &SqliteLedger, run: &str, traces: u32) {
    let mut of_run = vec![op(&format!(r#"{{"op":"start_run","run_id":"{run}"}}"#))];
    of_run.extend((0..traces).map(|n| {
        let words: Vec<_> = (0..40).map(|word| format!("{run}word{}", n * 40 + word)).collect();
        op(&format!(
            r#"{{"op":"record_trace","run_id":"{run}","id":"t{n}","trace_type":{{"type":"Thought","content":"same {}"}}}}"#,
            words.join(" ")
        ))
    }));
    of_run.push(op(&format!(r#"{{"op":"complete_run","run_id":"{run}","status":"completed"}}"#)));
    commit(ledger, Batch::of(of_run));
}

fn erase(ledger: &SqliteLedger, run: &str) {
    commit(ledger, ops(&[&format!(r#"{{"op":"erase_run","run_id":"{run}","reason":"asked for"}}"#)]));
}

/// Rows of the text index in which the bytes stand.
fn rows_with(path: &Path, bytes: &str) -> usize {
    let conn = Connection::open(path).unwrap();
    let mut found = 0;
    for sql in ["SELECT CAST(term AS BLOB) FROM trace_text_idx", "SELECT block FROM trace_text_data"] {
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        found += rows.filter(|row| holds(row.as_ref().unwrap(), bytes)).count();
    }
    found
}

fn holds(all: &[u8], bytes: &str) -> bool {
    all.windows(bytes.len()).any(|window| window == bytes.as_bytes())
}

/// What FTS5 keeps to tell its pages apart once held whole words of erased runs.
#[test]
fn no_word_of_an_erased_run_stays_in_the_text_index() {
    let place = place();
    let ledger = open(&place.path);
    ended(&ledger, "stays", 40);
    ended(&ledger, "gone", 40);
    let filter = |text: &str| TraceFilter { text: Some(text.to_owned()), ..TraceFilter::default() };
    let search = |text: &str| TraceQuery { filter: filter(text), ..TraceQuery::default() };
    block_on(ledger.traces(&run_id("stays"), &search("nowhere"))).unwrap();
    assert!(rows_with(&place.path, "gonew") > 0);
    erase(&ledger, "gone");
    assert_eq!(rows_with(&place.path, "gonew"), 0);
    let reader = SqliteLedger::open(&place.path, Options { read_only: true, ..Options::default() }).unwrap();
    assert!(!block_on(reader.traces(&run_id("stays"), &search("nowhere"))).unwrap().complete, "it lags behind");
    let page = block_on(ledger.traces(&run_id("stays"), &search("staysword7"))).unwrap();
    assert_eq!((page.items.len(), page.complete), (1, true));
    assert_eq!(rows_with(&place.path, "gonew"), 0);
    ledger.close().unwrap();
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
}

#[test]
fn law_7_a_search_that_goes_on_after_an_erasure_says_what_it_no_longer_sees() {
    let place = place();
    let ledger = open(&place.path);
    ended(&ledger, "stays", 2);
    ended(&ledger, "gone", 1);
    let reader = SqliteLedger::open(&place.path, Options { read_only: true, ..Options::default() }).unwrap();
    let page = |ledger: &SqliteLedger, cursor: Option<String>| {
        let filter = TraceFilter { text: Some("same".to_owned()), ..TraceFilter::default() };
        let query = TraceQuery { filter, page: PageRequest { limit: 1, cursor }, ..TraceQuery::default() };
        let page = block_on(ledger.traces(&run_id("stays"), &query)).unwrap();
        (page.items.len(), page.complete, page.next_cursor)
    };
    let (items, complete, cursor) = page(&ledger, None);
    assert_eq!((items, complete, cursor.is_some()), (1, true, true));
    erase(&ledger, "gone");
    assert!(!page(&reader, cursor.clone()).1);
    assert_eq!(page(&ledger, cursor).0, 1);
}

const MARKER: &str = "marker-of-what-must-go";

/// The files of the ledger in which the marker stands, by their suffixes.
fn marked(path: &Path) -> Vec<&'static str> {
    let read = |suffix: &str| std::fs::read(path.with_extension(format!("db{suffix}"))).unwrap_or_default();
    ["", "-wal"].into_iter().filter(|suffix| holds(&read(suffix), MARKER)).collect()
}

fn marked_run(ledger: &SqliteLedger) {
    let marked = format!(r#"{{"op":"start_run","run_id":"r","goal":"{MARKER}"}}"#);
    commit(ledger, ops(&[&marked, r#"{"op":"complete_run","run_id":"r","status":"completed"}"#]));
}

fn reader_of_an_older_state(path: &Path) -> Connection {
    let reader = Connection::open(path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    reader
}

/// Erased bodies once stayed in the write-ahead log for as long as the ledger was open.
#[test]
fn what_was_erased_can_be_read_in_no_file_while_the_ledger_is_open() {
    let place = place();
    let ledger = open(&place.path);
    marked_run(&ledger);
    assert_eq!(marked(&place.path), ["-wal"]);
    erase(&ledger, "r");
    assert_eq!(marked(&place.path), [""; 0]);
    ended(&ledger, "next", 40);
    assert_eq!(marked(&place.path), [""; 0]);
    let gone = block_on(ledger.run(&run_id("r"))).unwrap_err();
    assert_eq!(gone.code(), "run_erased");
}

/// It is tried again without anybody's doing, and neither the reader nor who commits beside it suffers.
#[test]
fn what_a_reader_keeps_goes_once_it_has_ended() {
    let place = place();
    let ledger = open(&place.path);
    marked_run(&ledger);
    let reader = reader_of_an_older_state(&place.path);
    erase(&ledger, "r");
    ended(&ledger, "next", 4);
    assert!(marked(&place.path).contains(&"-wal"));
    let seen: i64 = reader.query_row("SELECT count(*) FROM entry WHERE body IS NULL", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 0, "it still reads what it began with");
    reader.execute_batch("COMMIT").unwrap();
    let looks = 300;
    let gone = (0..looks).any(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        marked(&place.path).is_empty()
    });
    assert!(gone);
    commit(&ledger, ops(&[r#"{"op":"start_run","run_id":"more"}"#]));
}

#[test]
fn gc_ends_with_an_empty_write_ahead_log() {
    let place = place();
    let ledger = open(&place.path);
    marked_run(&ledger);
    let reader = reader_of_an_older_state(&place.path);
    erase(&ledger, "r");
    reader.execute_batch("COMMIT").unwrap();
    let all = GcRequest { older_than: Some("0s".parse().unwrap()), ..GcRequest::default() };
    block_on(ledger.gc(&all)).unwrap();
    assert_eq!(marked(&place.path), [""; 0]);
}

/// A process that was killed in between leaves it behind.
#[test]
fn what_another_process_left_in_the_write_ahead_log_goes_too() {
    let (place, other) = (place(), crate::common::place());
    let ledger = open(&place.path);
    ended(&ledger, "before", 40);
    marked_run(&ledger);
    let reader = reader_of_an_older_state(&place.path);
    erase(&ledger, "r");
    for suffix in ["", "-wal"] {
        let of = |path: &Path| path.with_extension(format!("db{suffix}"));
        std::fs::copy(of(&place.path), of(&other.path)).unwrap();
    }
    drop(reader);
    assert!(marked(&other.path).contains(&"-wal"));
    let ledger = open(&other.path);
    commit(&ledger, ops(&[r#"{"op":"start_run","run_id":"more"}"#]));
    assert_eq!(marked(&other.path), [""; 0]);
}

/// A replay's claim of the run, and callers' own effects under it.
#[test]
fn the_gate_keeps_no_answer_of_an_erased_run() {
    let place = place();
    let ledger = open(&place.path);
    ended(&ledger, "r", 1);
    ended(&ledger, "other", 1);
    let replayed = tracekeep_store::replay::key(&"session".parse().unwrap(), &run_id("r"), 0);
    let (done, failed, open_key, others): (Key, Key, Key, Key) =
        ("done".parse().unwrap(), "failed".parse().unwrap(), "open".parse().unwrap(), "others".parse().unwrap());
    let claim = |key: &Key, run: &str| {
        let terms = Terms { run_id: Some(run_id(run)), ..Terms::default() };
        ledger.check_blocking(key, &Fingerprint::of(&Json::from("request")), &terms).unwrap()
    };
    let answer = Json::from(MARKER);
    for (key, run) in [(&replayed, "r"), (&done, "r"), (&others, "other")] {
        let token = claim(key, run).token.unwrap();
        ledger.mark_completed_blocking(key, &token, &answer).unwrap();
    }
    let token = claim(&failed, "r").token.unwrap();
    ledger.mark_failed_blocking(&failed, &token, MARKER, false).unwrap();
    let late = claim(&open_key, "r").token.unwrap();
    erase(&ledger, "r");
    ledger.mark_completed_blocking(&open_key, &late, &answer).unwrap();
    let kept = |sql: &str| -> Vec<String> {
        let conn = Connection::open(&place.path).unwrap();
        let mut statement = conn.prepare(sql).unwrap();
        let keys = statement.query_map([], |row| row.get(0)).unwrap();
        keys.map(std::result::Result::unwrap).collect()
    };
    assert_eq!(kept("SELECT key FROM gate ORDER BY key"), ["done", "failed", "open", "others"]);
    assert_eq!(kept("SELECT key FROM gate WHERE response IS NOT NULL OR error IS NOT NULL"), ["others"]);
    let again = claim(&done, "r");
    assert_eq!((again.result, again.response), (IdempotencyResult::Duplicate, None));
    assert_eq!(claim(&failed, "r").result, IdempotencyResult::Failed);
    assert_eq!(claim(&others, "other").response, Some(answer));
    ledger.close().unwrap();
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
}

/// The group of the damaged run once failed with it, and so did every later gc.
#[test]
fn a_damaged_run_keeps_no_other_from_being_erased() {
    let place = place();
    let ledger = SqliteLedger::open(&place.path, Options::default()).unwrap();
    for run in ["a", "b", "c"] {
        let start = format!(r#"{{"op":"start_run","run_id":"{run}"}}"#);
        let step = format!(
            r#"{{"op":"record_step","run_id":"{run}","index":0,"skill_name":"s","params":{{}},"status":"success"}}"#
        );
        let complete = format!(r#"{{"op":"complete_run","run_id":"{run}","status":"completed"}}"#);
        commit(&ledger, ops(&[&start, &step, &complete]));
    }
    ledger.close().unwrap();
    let sql = "DELETE FROM step WHERE run_no = (SELECT run_no FROM run_name WHERE run_id = 'b')";
    assert_eq!(Connection::open(&place.path).unwrap().execute(sql, []).unwrap(), 1);
    let ledger = SqliteLedger::open(&place.path, Options::default()).unwrap();
    let all = GcRequest { older_than: Some("0s".parse().unwrap()), ..GcRequest::default() };
    let report = block_on(ledger.gc(&all)).unwrap();
    assert_eq!((report.erased, report.failed), (2, 1));
    let codes = ["a", "b", "c"].map(|run| block_on(ledger.run(&run_id(run))).err().map(|error| error.code()));
    assert_eq!(codes, [Some("run_erased"), None, Some("run_erased")]);
    ledger.close().unwrap();
    assert!(SqliteLedger::rebuild(&place.path, None).unwrap().is_clean());
    let report = block_on(SqliteLedger::open(&place.path, Options::default()).unwrap().gc(&all)).unwrap();
    assert_eq!((report.erased, report.failed), (1, 0));
}
