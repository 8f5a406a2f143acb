//! The room that erased runs took goes back to the file system.

use crate::common::{commit, op, ops, place, run_id};
use std::path::Path;
use tracekeep_core::model::Op;
use tracekeep_store::{Batch, GcRequest, LedgerStore, TraceFilter, TraceQuery, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

const RUNS: u64 = 50;

/// Words that differ from trace to trace, as those of real ones do.
fn words(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut words = String::new();
    for _ in 0..150 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words.push_str(&format!("w{} ", state % 20_000));
    }
    words
}

fn filled(path: &Path) -> SqliteLedger {
    let ledger = SqliteLedger::open(path, Options::default()).unwrap();
    for run in 0..RUNS {
        let mut of_run = vec![op(&format!(r#"{{"op":"start_run","run_id":"r{run}","tags":["t{}"]}}"#, run % 5))];
        of_run.extend((0..20).map(|n| -> Op {
            op(&format!(
                r#"{{"op":"record_trace","run_id":"r{run}","id":"t{n}","tags":["a"],
                    "trace_type":{{"type":"Thought","content":"{}"}}}}"#,
                words(run * 100 + n)
            ))
        }));
        of_run.push(op(&format!(r#"{{"op":"complete_run","run_id":"r{run}","status":"completed"}}"#)));
        commit(&ledger, Batch::of(of_run));
    }
    let filter = TraceFilter { text: Some("nowhere".into()), ..TraceFilter::default() };
    block_on(ledger.traces(&run_id("r0"), &TraceQuery { filter, ..TraceQuery::default() })).unwrap();
    ledger
}

#[test]
fn gc_gives_the_room_back_and_says_how_much() {
    let place = place();
    let ledger = filled(&place.path);
    // A fifth is held.
    commit(&ledger, ops(&[r#"{"op":"hold","tag":"t0","reason":"a case"}"#]));
    ledger.close().unwrap();
    let ledger = SqliteLedger::open(&place.path, Options::default()).unwrap();
    let bytes = || std::fs::metadata(&place.path).unwrap().len();
    let before = bytes();
    let report =
        block_on(ledger.gc(&GcRequest { older_than: Some("0s".parse().unwrap()), ..GcRequest::default() })).unwrap();
    assert_eq!((report.erased, report.held), (RUNS / 5 * 4, RUNS / 5));
    let after = bytes();
    assert_eq!((report.file_bytes, report.freed_bytes), (Some(after), Some(before - after)));
    assert!(after * 3 < before, "{before} bytes became {after}");
    ledger.close().unwrap();
    assert!(SqliteLedger::check(&place.path, None).unwrap().is_clean());
}

#[test]
fn what_one_erasure_frees_goes_back_when_the_ledger_closes() {
    let place = place();
    let ledger = filled(&place.path);
    ledger.close().unwrap();
    let bytes = || std::fs::metadata(&place.path).unwrap().len();
    let before = bytes();
    let ledger = SqliteLedger::open(&place.path, Options::default()).unwrap();
    for run in 0..RUNS / 2 {
        commit(&ledger, ops(&[&format!(r#"{{"op":"erase_run","run_id":"r{run}","reason":"asked for"}}"#)]));
    }
    ledger.close().unwrap();
    assert!(bytes() * 4 < before * 3, "{before} bytes became {}", bytes());
}
