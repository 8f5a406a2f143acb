//! Bodies on disk: compressed or plain, whatever is read is what was recorded; what is damaged is said to be.

use crate::common::{commit, op, open, ops, place, refused, start, tamper, thought};
use rusqlite::Connection;
use std::path::Path;
use tracekeep_store::{Batch, LedgerStore, Recorded, block_on};
use tracekeep_store_sqlite::{SqliteLedger, Wrong};

const PLAIN: i64 = 0;
const ZSTD: i64 = 1;

/// How often the words stand in a body that is worth compressing.
const TIMES: usize = 400;

/// A thought of many words, which shrinks.
fn long(id: &str, words: &str) -> Batch {
    let content = words.repeat(TIMES);
    Batch::one(op(&format!(
        r#"{{"op":"record_trace","run_id":"run-0","id":"{id}","occurred_at":"2024-01-01T00:00:01Z",
            "trace_type":{{"type":"Thought","content":"{content}"}}}}"#
    )))
}

/// (codec, bytes) of each entry, as stored.
fn stored(path: &Path) -> Vec<(i64, usize)> {
    let conn = Connection::open(path).unwrap();
    let mut rows = conn.prepare("SELECT codec, length(body) FROM entry ORDER BY log_index").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The body of each entry, as read.
fn bodies(ledger: &SqliteLedger) -> Vec<String> {
    let entries = block_on(ledger.entries(0, 1_000)).unwrap();
    entries.into_iter().map(|entry| entry.body.unwrap().to_string()).collect()
}

#[test]
fn a_body_that_shrinks_is_compressed_and_reads_as_it_was() {
    let place = place();
    let batches = [start("run-0"), long("t-1", "the cheapest flight leaves at noon "), thought("run-0", "t-2")];
    let plain: Vec<String> =
        batches.iter().flat_map(|batch| &batch.ops).map(|op| op.body().as_str().to_owned()).collect();
    let ledger = open(&place.path);
    for batch in batches.clone() {
        commit(&ledger, batch);
    }
    assert_eq!(bodies(&ledger), plain);
    drop(ledger);
    let rows = stored(&place.path);
    assert_eq!(rows[1].0, ZSTD);
    assert!(rows[1].1 < plain[1].len() / 4, "{rows:?}");
    let ledger = open(&place.path);
    assert_eq!(bodies(&ledger), plain);
    for batch in batches {
        assert_eq!(commit(&ledger, batch).outcome, Recorded::Duplicate);
    }
    assert_eq!(refused(&ledger, long("t-1", "another flight ")).code(), "conflict");
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
}

#[test]
fn a_small_body_stays_plain() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, ops(&[r#"{"op":"ensure_run","run_id":"run-0","source":"otlp"}"#]));
    let plain = bodies(&ledger);
    drop(ledger);
    assert_eq!(stored(&place.path), [(PLAIN, plain[0].len())]);
}

#[test]
fn each_entry_of_a_batch_gets_its_own_body_also_beside_duplicates() {
    let place = place();
    let ledger = open(&place.path);
    let op_of = |id: &str, words: &str| long(id, words).ops.remove(0);
    commit(&ledger, start("run-0"));
    commit(&ledger, Batch::of(vec![op_of("a", "one "), op_of("b", "two ")]));
    let complete = op(r#"{"op":"complete_run","run_id":"run-0","status":"completed"}"#);
    let mixed = Batch::of(vec![
        op_of("a", "one "),
        op_of("c", "three "),
        op_of("c", "three "),
        op_of("b", "two "),
        op_of("d", "four "),
        complete,
    ]);
    assert_eq!(commit(&ledger, mixed.under("key-1".parse().unwrap())).outcome, Recorded::Recorded);
    let bodies = bodies(&ledger);
    let held = |at: usize, words: &str| bodies[at].contains(&words.repeat(TIMES));
    assert!(held(1, "one ") && held(2, "two ") && held(3, "three ") && held(4, "four "), "{bodies:?}");
    assert!(bodies[5].contains("complete_run") && bodies[6].contains("key-1"), "{bodies:?}");
    assert_eq!(bodies.len(), 7);
    drop(ledger);
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
    assert!(stored(&place.path)[1..5].iter().all(|(codec, _)| *codec == ZSTD));
}

/// Changes the stored form of a compressed body, and expects that it is found, and named to who reads it.
#[track_caller]
fn damaged(sql: &str, said: &str) {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, long("t-1", "the cheapest flight leaves at noon "));
    commit(&ledger, thought("run-0", "t-2"));
    drop(ledger);
    tamper(&place.path, &format!("UPDATE entry SET {sql} WHERE log_index = 1"));
    let report = SqliteLedger::check(&place.path, None).unwrap();
    let content: Vec<_> = report.findings.iter().filter(|finding| finding.what == Wrong::Content).collect();
    assert_eq!(content.len(), 1, "{sql}: {:?}", report.findings);
    assert_eq!((content[0].place.as_str(), content[0].detail.contains(said)), ("log index 1", true), "{content:?}");
    let ledger = open(&place.path);
    let error = block_on(ledger.entries(0, 10)).unwrap_err();
    assert_eq!(error.code(), "corrupt");
    assert!(error.detail().contains(said), "{sql}: {error}");
    assert_eq!(block_on(ledger.entries(2, 10)).unwrap().len(), 1, "the others read as ever");
    commit(&ledger, thought("run-0", "t-3"));
}

#[test]
fn what_is_wrong_with_a_stored_body_is_said() {
    damaged("body = CAST(substr(body, 1, length(body) - 5) AS BLOB)", "the body's zstd frame is damaged");
    damaged("body = CAST(body || body AS BLOB)", "the body's zstd frame is damaged");
    damaged("codec = 2", "the body is stored in an unknown way");
    damaged("body = x'28b52ffd2102100081000061' ", "unknown dictionary");
    damaged("body = zeroblob(9)", "not a zstd frame that names its dictionary");
    damaged("body = x''", "not a zstd frame that names its dictionary");
    // RFC 8878 §3.1.1: the dictionary's number in one byte, the content's size in eight.
    damaged("body = x'28b52ffde1010100400000000000010000'", "longer than a body may be");
    // A window in the place of a stated length.
    damaged("body = x'28b52ffd010001010000'", "length is not stated");
}
