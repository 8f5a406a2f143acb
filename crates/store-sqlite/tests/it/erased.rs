//! Nothing of an erased run can be read in the ledger's files.

use std::path::Path;

use rusqlite::Connection;
use tracekeep_store::{Batch, LedgerStore, PageRequest, TraceFilter, TraceQuery, block_on};
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
