//! The gate in the ledger's file: durable before it is answered, and nothing that the log knows of.

use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{Arbiter, Fingerprint, IdempotencyResult, IdempotencyStore, Terms};
use tracekeep_store::{LedgerStore, Outcome, Recorded, block_on};
use tracekeep_store_sqlite::{Fault, Options, SqliteLedger};

use crate::common::{commit, exact, open, place, start};

use IdempotencyResult::{Conflict, Duplicate, InProgress, New};

fn request() -> Fingerprint {
    Fingerprint::of(&Json::from("a"))
}

#[track_caller]
fn check(ledger: &SqliteLedger, name: &str) -> tracekeep_store::gate::IdempotencyResponse {
    ledger.check_blocking(&name.parse().unwrap(), &request(), &Terms::default()).unwrap()
}

/// What a check is answered with at the fault, and what the next one finds.
#[track_caller]
fn at(fault: Fault, outcome: Outcome, then: IdempotencyResult) {
    let place = place();
    let ledger = open(&place.path);
    ledger.fail_next(fault);
    let error = ledger.check_blocking(&"k".parse().unwrap(), &request(), &Terms::default()).unwrap_err();
    assert_eq!((error.outcome(), error.is_retryable()), (outcome, true));
    assert_eq!(check(&ledger, "k").result, then);
    drop(ledger);
    assert_eq!(check(&open(&place.path), "k").result, InProgress, "it holds after reopening");
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
}

#[test]
fn a_failure_before_commit_is_not_applied_and_never_new() {
    at(Fault::BeforeCommit, Outcome::NotApplied, New);
}

#[test]
fn a_commit_that_failed_and_did_nothing_is_unknown_and_then_new() {
    at(Fault::CommitLost, Outcome::Unknown, New);
}

#[test]
fn a_commit_that_failed_and_was_done_is_unknown_and_then_in_progress() {
    at(Fault::CommitDone, Outcome::Unknown, InProgress);
}

#[test]
fn a_writer_that_panics_is_unknown_and_hangs_nobody() {
    at(Fault::Panic, Outcome::Unknown, New);
}

#[test]
fn a_gate_that_is_in_redis_alone_refuses_here_until_it_is_taken_back() {
    let place = place();
    let ledger = open(&place.path);
    let key: Key = "k".parse().unwrap();
    let token = check(&ledger, "k").token.unwrap();
    assert_eq!(ledger.leave_gate_to_redis().unwrap_err().code(), "unsafe_store", "it knows a key");
    assert!(block_on(ledger.delete(&key)).unwrap());
    ledger.leave_gate_to_redis().unwrap();
    let refuses = |ledger: &SqliteLedger| {
        let refused = [
            ledger.check_blocking(&key, &request(), &Terms::default()).map(drop),
            block_on(ledger.check(&key, &request(), &Terms::default())).map(drop),
            ledger.mark_completed_blocking(&key, &token, &Json::null()).map(drop),
            block_on(ledger.renew(&key, &token)).map(drop),
            block_on(ledger.get_status(&key)).map(drop),
            block_on(ledger.delete(&key)).map(drop),
        ];
        for result in refused {
            let error = result.unwrap_err();
            assert_eq!((error.code(), error.outcome()), ("gate_elsewhere", Outcome::NotApplied));
        }
    };
    refuses(&ledger);
    drop(ledger);
    SqliteLedger::rebuild(&place.path, None).unwrap();
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
    let ledger = open(&place.path);
    refuses(&ledger);
    assert_eq!(block_on(ledger.stands(&key)).unwrap(), None, "as an arbiter, it decides");
    assert_eq!((ledger.take_gate_back().unwrap(), ledger.take_gate_back().unwrap()), (true, false));
    assert_eq!(check(&ledger, "k").result, New);
}

#[test]
fn an_end_whose_commit_is_unknown_is_sent_again_and_holds_once() {
    for fault in [Fault::CommitLost, Fault::CommitDone] {
        let place = place();
        let ledger = open(&place.path);
        let (key, token) = ("k".parse().unwrap(), check(&ledger, "k").token.unwrap());
        ledger.fail_next(fault);
        let error = ledger.mark_completed_blocking(&key, &token, &Json::from("1")).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown);
        let again = ledger.mark_completed_blocking(&key, &token, &Json::from("1")).unwrap();
        assert_eq!(again, if fault == Fault::CommitDone { Recorded::Duplicate } else { Recorded::Recorded });
        assert_eq!(check(&ledger, "k").response, Some(Json::from("1")));
    }
}

#[test]
fn the_log_and_the_gate_share_a_group_and_nothing_else() {
    let place = place();
    let ledger = open(&place.path);
    commit(&ledger, start("run-0"));
    let before = block_on(ledger.head()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let ledger = &ledger;
            scope.spawn(move || {
                for n in 0..20 {
                    commit(ledger, start(&format!("run-{writer}-{n}")));
                    assert_eq!(check(ledger, &format!("k-{writer}-{n}")).result, New);
                }
            });
        }
    });
    let after = block_on(ledger.head()).unwrap();
    assert_eq!(after.tree_size, before.tree_size + 160, "the gate adds no entry");
    drop(ledger);
    assert_eq!(SqliteLedger::check(&place.path, None).unwrap().findings, []);
    assert_eq!(SqliteLedger::rebuild(&place.path, None).unwrap().findings, []);
    assert_eq!(check(&open(&place.path), "k-7-19").result, InProgress, "no rebuild touches it");
}

#[test]
fn a_ledger_that_is_only_read_tells_how_a_key_stands_and_gives_none_out() {
    let place = place();
    drop(check(&open(&place.path), "k"));
    let reader =
        SqliteLedger::open(&place.path, Options { read_only: true, source: exact(), ..Options::default() }).unwrap();
    assert!(block_on(reader.get_status(&"k".parse().unwrap())).unwrap().is_some());
    let refused = reader.check_blocking(&"k2".parse().unwrap(), &request(), &Terms::default()).unwrap_err();
    assert_eq!((refused.code(), refused.outcome()), ("read_only", Outcome::NotApplied));
}

#[test]
fn a_damaged_row_is_its_own_keys_alone() {
    let place = place();
    let ledger = open(&place.path);
    let (good, bad) = ("good".parse().unwrap(), "bad".parse().unwrap());
    for key in [&good, &bad] {
        let token = ledger.check_blocking(key, &request(), &Terms::default()).unwrap().token.unwrap();
        ledger.mark_completed_blocking(key, &token, &Json::from("1")).unwrap();
    }
    drop(ledger);
    let conn = rusqlite::Connection::open(&place.path).unwrap();
    conn.execute("UPDATE gate SET response = '{', due_at = 0 WHERE key = 'bad'", []).unwrap();
    drop(conn);
    let ledger = open(&place.path);
    let error = ledger.check_blocking(&bad, &request(), &Terms::default()).unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("corrupt", Outcome::NotApplied));
    assert_eq!(check(&ledger, "good").result, Duplicate);
    assert_eq!(check(&ledger, "new").result, New);
    let other = Fingerprint::of(&Json::from("b"));
    assert_eq!(ledger.check_blocking(&good, &other, &Terms::default()).unwrap().result, Conflict);
}

/// Claims on steps of replays are decided like all others: where Redis forgot one, Redis alone would give it out again.
#[test]
fn a_gate_that_holds_the_claim_of_a_replay_knows_a_key() {
    let place = place();
    let ledger = open(&place.path);
    assert!(!ledger.gate_knows_keys().unwrap());
    assert_eq!(check(&ledger, &format!("replay-{}", "0a".repeat(32))).result, New);
    assert!(ledger.gate_knows_keys().unwrap());
}
