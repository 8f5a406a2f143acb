//! What a verdict says of the cases that matter, those that earlier systems got wrong among them.

use tracekeep_audit::{
    AuditReconciler, AuditVerdict, Event, ExpectationFact, VerdictStatus, names, standard_expectations,
};
use tracekeep_core::Timestamp;
use tracekeep_core::id::ExpectationId;
use tracekeep_core::model::{AckStatus, AuditStatus, Expect};

use AckStatus::{Failed, RolledBack, Success};
use VerdictStatus::{Complete, Incomplete, Pending, Stale};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn expect(id: &str, domain: &str, action: &str, deadline_ms: u64) -> ExpectationFact {
    let expect = Expect::new("run-1".parse().unwrap(), domain, action, deadline_ms);
    ExpectationFact::new(id.parse().unwrap(), &expect, at(0))
}

fn ack(number: u64, domain: &str, action: &str, status: AckStatus, ms: i64) -> Event {
    Event::ack(format!("a-{number}").parse().unwrap(), domain, action, status, at(ms), number)
}

/// One expectation, d/x within 100 ms, and what was said of it.
fn said(events: &[(AckStatus, i64)]) -> AuditReconciler {
    let events = events.iter().zip(1..).map(|((status, ms), number)| ack(number, "d", "x", *status, *ms)).collect();
    AuditReconciler::new(vec![expect("e-1", "d", "x", 100)], events)
}

/// The lists of a verdict, short: status, then how many are missing, failed, rolled back, late, pending, drift, duplicate.
fn short(verdict: &AuditVerdict) -> (VerdictStatus, [usize; 7]) {
    let AuditVerdict { missing, failed, rolled_back, late, pending, drift, duplicate, .. } = verdict;
    let lists = [missing, failed, rolled_back, late, pending, drift, duplicate];
    (verdict.status, lists.map(Vec::len))
}

#[track_caller]
fn check(reconciler: &AuditReconciler, ms: i64, status: VerdictStatus, lists: [usize; 7], standing: AuditStatus) {
    let reconciled = reconciler.reconcile(at(ms));
    assert_eq!(short(&reconciled.verdict), (status, lists), "{:?}", reconciled.verdict);
    assert_eq!(reconciled.standings[0].status, standing);
}

#[test]
fn an_expectation_is_pending_up_to_and_at_its_deadline_and_missing_after_it() {
    check(&said(&[]), 0, Pending, [0, 0, 0, 0, 1, 0, 0], AuditStatus::Pending);
    check(&said(&[]), 100, Pending, [0, 0, 0, 0, 1, 0, 0], AuditStatus::Pending);
    check(&said(&[]), 101, Incomplete, [1, 0, 0, 0, 0, 0, 0], AuditStatus::Missing);
    assert_eq!(said(&[]).reconcile(at(0)).changes_after, Some(at(100)));
    assert_eq!(said(&[]).reconcile(at(101)).changes_after, None);
}

#[test]
fn an_acknowledged_expectation_is_met_and_late_only_after_its_deadline() {
    check(&said(&[(Success, 100)]), 500, Complete, [0; 7], AuditStatus::Acked);
    let late = said(&[(Success, 101)]);
    check(&late, 500, Complete, [0, 0, 0, 1, 0, 0, 0], AuditStatus::Acked);
    assert!(said(&[(Success, 100)]).reconcile(at(500)).verdict.is_clean());
    assert!(!late.reconcile(at(500)).verdict.is_clean(), "late is a finding");
    assert_eq!(late.reconcile(at(500)).standings[0].acked_at, Some(at(101)));
}

/// The earlier system left a run incomplete for good whose second attempt had succeeded.
#[test]
fn a_retry_that_succeeded_satisfies_and_the_failure_stays_listed() {
    let retried = said(&[(Failed, 10), (Success, 20)]);
    check(&retried, 500, Complete, [0, 1, 0, 0, 0, 0, 0], AuditStatus::Acked);
    let verdict = retried.reconcile(at(500)).verdict;
    assert!(verdict.failed[0].superseded && verdict.is_clean());
}

#[test]
fn the_last_attempt_counts() {
    check(&said(&[(Failed, 10)]), 50, Incomplete, [0, 1, 0, 0, 0, 0, 0], AuditStatus::Failed);
    check(&said(&[(Success, 10), (Failed, 20)]), 50, Incomplete, [0, 1, 0, 0, 0, 0, 0], AuditStatus::Failed);
    // The earlier system called a rolled back action clean.
    check(&said(&[(Success, 10), (RolledBack, 20)]), 50, Incomplete, [0, 0, 1, 0, 0, 0, 0], AuditStatus::Failed);
    let again = said(&[(Success, 10), (RolledBack, 20), (Success, 30)]);
    check(&again, 50, Complete, [0, 0, 1, 0, 0, 0, 0], AuditStatus::Acked);
}

#[test]
fn what_was_done_already_is_a_duplicate_and_what_nobody_asked_for_is_drift() {
    let twice = said(&[(Success, 10), (Success, 20)]);
    check(&twice, 50, Complete, [0, 0, 0, 0, 0, 0, 1], AuditStatus::Acked);
    assert!(!twice.reconcile(at(50)).verdict.is_clean());
    let mut drifting = said(&[(Success, 10)]);
    drifting.push(ack(9, "d", "y", Success, 10));
    check(&drifting, 50, Incomplete, [0, 0, 0, 0, 0, 1, 0], AuditStatus::Acked);
}

/// The earlier system called every run stale that had not been finalized yet, deadline or not.
#[test]
fn a_run_is_stale_after_the_deadline_of_its_liveness_check_not_before_and_not_once_anybody_spoke() {
    let finalize = || expect("e-1", names::ORCHESTRATOR, names::FINALIZE_RUN, 100);
    let silent = AuditReconciler::new(vec![finalize()], Vec::new());
    check(&silent, 100, Pending, [0, 0, 0, 0, 1, 0, 0], AuditStatus::Pending);
    check(&silent, 101, Stale, [1, 0, 0, 0, 0, 0, 0], AuditStatus::Missing);
    let failed = vec![ack(1, names::ORCHESTRATOR, names::FINALIZE_RUN, Failed, 50)];
    check(&AuditReconciler::new(vec![finalize()], failed), 500, Incomplete, [0, 1, 0, 0, 0, 0, 0], AuditStatus::Failed);
    let marked = ExpectationFact { liveness: true, ..expect("e-1", "worker", "heartbeat", 100) };
    check(&AuditReconciler::new(vec![marked], Vec::new()), 101, Stale, [1, 0, 0, 0, 0, 0, 0], AuditStatus::Missing);
}

#[test]
fn stale_stands_over_incomplete_over_pending() {
    let expectations = vec![
        expect("e-1", names::ORCHESTRATOR, names::FINALIZE_RUN, 100),
        expect("e-2", "d", "x", 50),
        expect("e-3", "d", "y", 1_000),
    ];
    let reconciler = AuditReconciler::new(expectations, Vec::new());
    let status = |ms| reconciler.reconcile(at(ms)).verdict.status;
    assert_eq!([status(50), status(51), status(101)], [Pending, Incomplete, Stale]);
    let changes: Vec<_> = [0, 51, 101].map(|ms| reconciler.reconcile(at(ms)).changes_after).into();
    assert_eq!(changes, [Some(at(50)), Some(at(100)), Some(at(1_000))]);
}

#[test]
fn an_optional_expectation_may_stay_out_but_not_fail() {
    let optional = || ExpectationFact { optional: true, ..expect("e-1", "d", "x", 100) };
    let silent = AuditReconciler::new(vec![optional()], Vec::new());
    check(&silent, 50, Complete, [0; 7], AuditStatus::Pending);
    check(&silent, 500, Complete, [0; 7], AuditStatus::Missing);
    let failed = AuditReconciler::new(vec![optional()], vec![ack(1, "d", "x", Failed, 10)]);
    check(&failed, 500, Incomplete, [0, 1, 0, 0, 0, 0, 0], AuditStatus::Failed);
}

#[test]
fn what_is_expected_n_times_takes_n_successes() {
    let thrice = || ExpectationFact { count: 3, ..expect("e-1", "d", "x", 100) };
    let of = |events: &[(AckStatus, i64)]| {
        let events = events.iter().zip(1..).map(|((status, ms), number)| ack(number, "d", "x", *status, *ms)).collect();
        AuditReconciler::new(vec![thrice()], events)
    };
    check(&of(&[(Success, 1), (Success, 2)]), 50, Pending, [0, 0, 0, 0, 1, 0, 0], AuditStatus::Pending);
    check(&of(&[(Success, 1), (Success, 2)]), 500, Incomplete, [1, 0, 0, 0, 0, 0, 0], AuditStatus::Missing);
    // A failure of one of several takes none of the others back.
    let all = of(&[(Success, 1), (Failed, 2), (Success, 3), (Success, 4), (Success, 5)]);
    check(&all, 500, Complete, [0, 1, 0, 0, 0, 0, 1], AuditStatus::Acked);
    assert_eq!(all.reconcile(at(500)).standings[0].acked_at, Some(at(4)));
    let undone = of(&[(Success, 1), (Success, 2), (Success, 3), (RolledBack, 4)]);
    check(&undone, 50, Incomplete, [0, 0, 1, 0, 0, 0, 0], AuditStatus::Failed);
}

#[test]
fn successes_go_to_the_expectations_of_an_action_in_order_of_their_deadlines() {
    let expectations = vec![expect("e-2", "d", "x", 1_000), expect("e-1", "d", "x", 100)];
    let reconciler = AuditReconciler::new(expectations, vec![ack(1, "d", "x", Success, 10)]);
    let reconciled = reconciler.reconcile(at(500));
    let standings: Vec<_> =
        reconciled.standings.iter().map(|standing| (standing.id.as_str(), standing.status)).collect();
    assert_eq!(standings, [("e-1", AuditStatus::Acked), ("e-2", AuditStatus::Pending)]);
    assert_eq!(reconciled.verdict.status, Pending);
}

#[test]
fn a_status_set_by_hand_holds_until_a_later_acknowledgement() {
    let by_hand = |status, ms, log_index| Event::by_hand("d", "x", status, at(ms), log_index);
    let with = |events: &[(AckStatus, i64)], event| {
        let mut reconciler = said(events);
        reconciler.push(event);
        reconciler
    };
    check(&with(&[], by_hand(AuditStatus::Acked, 50, 9)), 500, Complete, [0; 7], AuditStatus::Acked);
    check(
        &with(&[(Success, 10)], by_hand(AuditStatus::Missing, 50, 9)),
        60,
        Incomplete,
        [1, 0, 0, 0, 0, 0, 0],
        AuditStatus::Missing,
    );
    check(
        &with(&[(Success, 10)], by_hand(AuditStatus::Failed, 50, 9)),
        60,
        Incomplete,
        [0, 1, 0, 0, 0, 0, 0],
        AuditStatus::Failed,
    );
    check(
        &with(&[(Success, 10)], by_hand(AuditStatus::Pending, 50, 9)),
        60,
        Pending,
        [0, 0, 0, 0, 1, 0, 0],
        AuditStatus::Pending,
    );
    check(
        &with(&[(Success, 60)], by_hand(AuditStatus::Failed, 50, 9)),
        70,
        Complete,
        [0, 1, 0, 0, 0, 0, 0],
        AuditStatus::Acked,
    );
}

#[test]
fn the_standard_contract_is_met_by_what_a_healthy_run_acknowledges() {
    let expectations = standard_expectations(&"run-1".parse().unwrap(), 30_000, 5_000);
    let facts: Vec<_> = expectations
        .iter()
        .zip(1..)
        .map(|(expect, number)| ExpectationFact::new(ExpectationId::new(format!("e-{number}")).unwrap(), expect, at(0)))
        .collect();
    let events = vec![
        ack(1, names::INCIDENTS, names::CREATE_INCIDENT, Success, 10),
        ack(2, names::POLICIES, names::EVALUATE_POLICY, Success, 20),
        ack(3, names::LOGS, names::START_TRACE, Success, 30),
        ack(4, names::LOGS, names::COMPLETE_TRACE, Success, 9_000),
        ack(5, names::ORCHESTRATOR, names::FINALIZE_RUN, Success, 10_000),
    ];
    let reconciler = AuditReconciler::new(facts.clone(), events);
    assert!(reconciler.reconcile(at(100_000)).verdict.is_clean());
    let dead = AuditReconciler::new(facts, Vec::new());
    let status = |ms| dead.reconcile(at(ms)).verdict.status;
    assert_eq!(
        [status(5_000), status(5_001), status(35_000), status(35_001)],
        [Pending, Incomplete, Incomplete, Stale]
    );
}

#[test]
fn a_list_is_bounded_and_says_so() {
    let events = (0..1_001).map(|number| ack(number, "d", "nobody_asked", Success, 10)).collect();
    let verdict = AuditReconciler::new(Vec::new(), events).reconcile(at(50)).verdict;
    assert_eq!((verdict.acks, verdict.drift.len(), verdict.truncated), (1_001, 1_000, true));
}

/// A word that was set by hand stands for as many times as are expected; each takes no room of its own.
#[test]
fn a_word_may_stand_for_billions_of_times() {
    let times = |id, count| ExpectationFact { count, ..expect(id, "d", "x", 100) };
    let expected = vec![times("e-1", 2), times("e-2", u32::MAX), times("e-3", u32::MAX)];
    let by_hand = |number, ms| Event::by_hand("d", "x", AuditStatus::Acked, at(ms), number);
    let met = |events: Vec<Event>| {
        let reconciled = AuditReconciler::new(expected.clone(), events).reconcile(at(500));
        reconciled.standings.into_iter().map(|standing| standing.acked_at).collect::<Vec<_>>()
    };
    assert_eq!(met(vec![ack(1, "d", "x", Success, 10), by_hand(2, 20)]), [Some(at(20)); 3]);
    let undone = vec![by_hand(1, 20), ack(2, "d", "x", RolledBack, 30)];
    assert_eq!(met(undone.clone()), [Some(at(20)), Some(at(20)), None], "the last of them all");
    let again = [undone, vec![ack(3, "d", "x", Success, 40)]].concat();
    assert_eq!(met(again), [Some(at(20)), Some(at(20)), Some(at(40))]);
    assert_eq!(met(vec![ack(1, "d", "x", Success, 10)]), [None; 3]);
    let two = [Success, RolledBack, Success, Success].iter().zip(1..);
    let two = two.map(|(status, number)| ack(number, "d", "x", *status, 10 * number as i64));
    assert_eq!(met(two.collect()), [Some(at(40)), None, None]);
}
