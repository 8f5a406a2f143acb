//! The text index: how it lags, what damages it, and what it must not suffer from.

use std::path::Path;

use rusqlite::Connection;
use tracekeep_store::{LedgerStore, PageRequest, TraceFilter, TraceQuery, block_on};
use tracekeep_store_sqlite::{Fault, Options, SqliteLedger, Wrong};

use crate::common::{commit, open, place, run_id, start, tamper, thought};

fn search(path: &Path, words: &str) -> Vec<String> {
    let filter = TraceFilter { text: Some(words.to_owned()), ..TraceFilter::default() };
    let query = TraceQuery { filter, ..TraceQuery::default() };
    let page = block_on(open(path).traces(&run_id("run-0"), &query)).unwrap();
    assert!(page.complete);
    page.items.iter().map(|trace| trace.id.to_string()).collect()
}

#[test]
fn words_that_the_text_index_lost_or_gained_are_found_and_rebuilt() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, thought("run-0", "first"));
    commit(&ledger, thought("run-0", "second"));
    ledger.close().unwrap();
    assert_eq!(search(&place.path, "hm"), ["first", "second"]);
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
    let conn = Connection::open(&place.path).unwrap();
    conn.execute_batch(
        "INSERT INTO trace_text (trace_text, rowid, run, words) VALUES ('delete', 1, 'r0', 'hm first');
         INSERT INTO trace_text (rowid, run, words) VALUES (2, 'r0', 'planted');",
    )
    .unwrap();
    drop(conn);
    assert_eq!(
        (search(&place.path, "hm"), search(&place.path, "planted")),
        (vec!["second".into()], vec!["second".into()])
    );
    let report = SqliteLedger::check(&place.path, None).unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.what, finding.place.as_str())).collect();
    assert_eq!(found, [(Wrong::RowMissing, "trace_text log_index 1"), (Wrong::RowExtra, "trace_text log_index 2")]);
    SqliteLedger::rebuild(&place.path, None).unwrap();
    assert_eq!(search(&place.path, "hm"), ["first", "second"]);
    assert_eq!(search(&place.path, "planted"), [""; 0]);
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
}

#[test]
fn a_ledger_that_is_read_is_searched_as_far_as_its_text_index_goes() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, thought("run-0", "first"));
    let reader = SqliteLedger::open(&place.path, Options { read_only: true, ..Options::default() }).unwrap();
    let filter = TraceFilter { text: Some("hm".to_owned()), ..TraceFilter::default() };
    let query = TraceQuery { filter, ..TraceQuery::default() };
    let read = |ledger: &SqliteLedger| {
        let page = block_on(ledger.traces(&run_id("run-0"), &query)).unwrap();
        (page.items.len(), page.complete)
    };
    assert_eq!(read(&reader), (0, false), "no index yet");
    assert_eq!(read(&ledger), (1, true));
    assert_eq!(read(&reader), (1, true));
    commit(&ledger, thought("run-0", "second"));
    assert_eq!(read(&reader), (1, false), "it lags behind");
    assert_eq!(read(&ledger), (2, true));
    assert!(ledger.text_bytes().unwrap() > 0);
}

/// A search that began over a part of the log ends over that part, whatever the index saw meanwhile: its later pages once
/// said that they were complete, and what lay before the cursor in time was never given.
#[test]
fn law_7_a_search_that_began_early_says_so_to_its_last_page() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    for id in ["a", "b", "c"] {
        commit(&ledger, thought("run-0", id));
    }
    let reader = SqliteLedger::open(&place.path, Options { read_only: true, ..Options::default() }).unwrap();
    let page = |ledger: &SqliteLedger, cursor: Option<String>| {
        let filter = TraceFilter { text: Some("hm".to_owned()), ..TraceFilter::default() };
        let page = PageRequest { limit: 1, cursor };
        let page = block_on(ledger.traces(&run_id("run-0"), &TraceQuery { filter, page, ..TraceQuery::default() }));
        let page = page.unwrap();
        let ids: Vec<_> = page.items.iter().map(|trace| trace.id.to_string()).collect();
        (ids, page.complete, page.next_cursor)
    };
    assert!(page(&ledger, None).1);
    commit(&ledger, thought("run-0", "d"));
    let (first, complete, cursor) = page(&reader, None);
    assert_eq!((first, complete), (vec!["a".to_owned()], false));
    assert!(page(&ledger, None).1, "the index has caught up");
    let (mut rest, mut cursor) = (Vec::new(), cursor);
    while cursor.is_some() {
        let (ids, complete, next) = page(&reader, cursor);
        assert!(!complete, "{ids:?}");
        rest.extend(ids);
        cursor = next;
    }
    assert_eq!(rest, ["b", "c"]);
}

/// One damaged body once ended every search in the ledger for good, and fsck with it.
#[test]
fn law_8_a_damaged_body_spoils_nobodys_search() {
    for (damage, built) in [("x'7b78'", false), ("x'7bff'", false), ("x'7b78'", true), ("x'00'", true)] {
        let place = place();
        let ledger = open(&place.path);
        commit(&ledger, start("run-0"));
        commit(&ledger, thought("run-0", "sound"));
        commit(&ledger, start("run-1"));
        commit(&ledger, thought("run-1", "damaged"));
        ledger.close().unwrap();
        if built {
            assert_eq!(search(&place.path, "hm"), ["sound"]);
        }
        tamper(&place.path, &format!("UPDATE entry SET body = {damage}, codec = 0 WHERE log_index = 3"));
        assert_eq!(search(&place.path, "hm"), ["sound"], "{damage}");
        let found = SqliteLedger::check(&place.path, None).unwrap().findings;
        let content = found.iter().filter(|finding| finding.what == Wrong::Content).count();
        assert_eq!(content, 1, "{found:?}");
        let rebuilt = SqliteLedger::rebuild(&place.path, None).unwrap();
        assert_eq!(rebuilt.findings.len(), 1, "{rebuilt:?}");
        assert_eq!(search(&place.path, "hm"), ["sound"], "{damage}");
    }
}

#[test]
fn a_panic_while_texts_are_taken_in_ends_that_search_alone() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, thought("run-0", "a"));
    ledger.fail_next(Fault::Panic);
    let filter = TraceFilter { text: Some("hm".to_owned()), ..TraceFilter::default() };
    let query = TraceQuery { filter, ..TraceQuery::default() };
    let page = block_on(ledger.traces(&run_id("run-0"), &query)).unwrap();
    assert_eq!((page.items.len(), page.complete), (0, false), "the index answers as far as it goes");
    commit(&ledger, thought("run-0", "b"));
    let page = block_on(ledger.traces(&run_id("run-0"), &query)).unwrap();
    assert_eq!((page.items.len(), page.complete), (2, true));
}

#[test]
fn an_index_that_other_rules_cut_is_built_again() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    commit(&ledger, thought("run-0", "a"));
    ledger.close().unwrap();
    assert_eq!(search(&place.path, "hm"), ["a"]);
    let conn = Connection::open(&place.path).unwrap();
    conn.execute_batch(
        "UPDATE meta SET value = x'000000000000000200000000' WHERE key = 'text_size';
         INSERT INTO trace_text (rowid, run, words) VALUES (1, 'r0', 'old');",
    )
    .unwrap();
    drop(conn);
    assert_eq!(search(&place.path, "old"), [""; 0]);
    assert_eq!(search(&place.path, "hm"), ["a"]);
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
}

#[test]
fn indices_are_rebuilt_beside_writers_and_searches() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let filter = TraceFilter { text: Some("hm".to_owned()), ..TraceFilter::default() };
    let query = TraceQuery { filter, ..TraceQuery::default() };
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let ledger = &ledger;
            scope.spawn(move || {
                for n in 0..40 {
                    commit(ledger, thought("run-0", &format!("t{writer}-{n}")));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                let report = block_on(ledger.rebuild_indices(Some(&run_id("run-0")))).unwrap();
                assert!(report.is_clean(), "{report:?}");
            }
        });
        for _ in 0..20 {
            block_on(ledger.traces(&run_id("run-0"), &query)).unwrap();
        }
    });
    let report = block_on(ledger.verify_indices(None)).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let all = TraceQuery { page: PageRequest::first(1_000), ..query };
    assert_eq!(block_on(ledger.traces(&run_id("run-0"), &all)).unwrap().items.len(), 120);
}
