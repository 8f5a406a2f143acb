//! Audits: what should have happened, what did, and what is missing.

use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::{Value, json};
use tracekeep_audit::{
    AuditExpectation, AuditSummary, AuditVerdict, DomainAck, VerdictStatus, names, standard_expectations,
};
use tracekeep_core::Timestamp;
use tracekeep_core::limits::{ACKS_MAX, DEADLINE_MS_MAX, EXPECTATIONS_MAX};
use tracekeep_core::model::{AuditStatus, Op};
use tracekeep_store::{Batch, PageRequest, Recorded, Result, Sources, block_on};

use crate::context::{Context, commit, walk};
use crate::ops::{complete, key, op as read, run_id, start, step, with};

cases!("audits":
    what_is_expected_and_acknowledged_reads_back,
    the_same_id_again_is_a_duplicate_and_other_content_a_conflict,
    ids_are_generated_where_they_are_absent,
    what_breaks_a_contract_is_refused_at_the_door,
    an_audit_is_of_a_known_run,
    an_expectation_is_in_time_up_to_and_at_its_deadline,
    a_late_acknowledgement_satisfies_and_is_listed,
    a_retry_that_succeeded_satisfies_and_the_failure_stays_listed,
    a_rollback_takes_a_success_back,
    an_acknowledgement_that_nobody_asked_for_is_drift,
    a_run_is_stale_at_its_deadline_and_not_before,
    what_is_expected_several_times_takes_each_success_once,
    an_expectation_that_comes_after_its_acknowledgement_is_met,
    an_optional_expectation_keeps_nobody_waiting,
    a_status_set_by_hand_holds_until_a_later_acknowledgement,
    a_verdict_is_recorded_only_where_it_changed,
    a_deadline_that_moves_nothing_in_the_verdict_is_passed_all_the_same,
    two_sweepers_record_one_verdict,
    verdicts_of_a_run_of_many_facts_keep_apart,
    a_batch_judges_a_bounded_number_of_facts,
    what_is_due_is_found_in_order_and_moves_on,
    a_clock_that_goes_back_loses_no_deadline,
    a_cleared_audit_is_not_watched_until_something_is_expected_again,
    pending_runs_are_those_that_wait,
    the_seal_carries_the_verdict,
    what_comes_after_the_seal_gives_a_new_verdict,
    a_seal_of_telemetry_carries_the_verdict_too,
    several_writers_that_acknowledge_one_run_at_once_lose_nothing,
    a_run_has_a_bounded_number_of_facts,
    long_names_never_keep_a_run_from_being_sealed,
    the_standard_contract_is_met_by_its_five_parts,
    lists_are_paged,
    a_key_replays_a_verdict,
    a_batch_may_hold_steps_and_its_audit,
    an_erased_run_takes_its_audit_with_it,
    what_was_moved_in_counts_from_when_it_was_received,
);

const MS: i64 = 1_000_000;

fn expect(run: &str, id: &str, action: &str, deadline_ms: u64) -> Value {
    json!({
        "op": "expect", "run_id": run, "id": id, "domain": "incidents", "action": action, "deadline_ms": deadline_ms,
    })
}

fn ack(run: &str, id: &str, action: &str, status: &str) -> Value {
    json!({"op": "ack", "run_id": run, "id": id, "domain": "incidents", "action": action, "status": status})
}

fn by_hand(run: &str, action: &str, status: &str) -> Value {
    json!({"op": "set_expectation_status", "run_id": run, "domain": "incidents", "action": action, "status": status})
}

fn reconcile(run: &str) -> Value {
    json!({"op": "reconcile", "run_id": run})
}

fn clear(run: &str) -> Value {
    json!({"op": "clear_audit", "run_id": run})
}

impl Context {
    #[track_caller]
    fn audit(&self, run: &str) -> AuditSummary {
        block_on(self.ledger().audit(&run_id(run))).expect("an audit is readable")
    }

    #[track_caller]
    fn expected(&self, run: &str) -> Vec<AuditExpectation> {
        walk(2, |page| block_on(self.ledger().expectations(&run_id(run), &page)))
    }

    #[track_caller]
    fn acked(&self, run: &str) -> Vec<DomainAck> {
        walk(2, |page| block_on(self.ledger().acks(&run_id(run), &page)))
    }

    /// The verdict that a reconciliation gives, whether it is new.
    #[track_caller]
    fn judge(&self, run: &str) -> (Recorded, AuditVerdict) {
        let receipt = self.send(&[reconcile(run)]).unwrap_or_else(|error| panic!("refused: {error:?}"));
        let verdict = block_on(self.ledger().verdict_at(receipt.ops[0].log_index)).expect("a verdict is readable");
        let audit = self.audit(run);
        assert_eq!(audit.verdict.as_ref(), Some(&verdict), "the latest verdict is the one just given");
        assert_eq!(audit.now.as_ref(), Some(&verdict), "and the one that would be given now");
        (receipt.outcome, verdict)
    }

    /// Runs that are overdue by the injected clock.
    #[track_caller]
    fn overdue(&self) -> Vec<String> {
        let due = block_on(self.ledger().due_runs(self.sources.now(), 100)).expect("what is due is readable");
        due.into_iter().map(|run| run.run_id.to_string()).collect()
    }

    #[track_caller]
    fn pending(&self) -> Vec<String> {
        let pending = walk(2, |page| block_on(self.ledger().pending_runs(&page)));
        pending.into_iter().map(|run| run.run_id.to_string()).collect()
    }
}

/// (domain/action) of findings.
fn named(findings: &[tracekeep_audit::AuditFinding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.action.as_str()).collect()
}

fn what_is_expected_and_acknowledged_reads_back(cx: &mut Context) {
    let began = cx.sources.now();
    let whole = json!({"count": 2, "liveness": true, "metadata": {"team": "b"}});
    cx.record(&[start("r"), with(expect("r", "e", "create_incident", 5_000), whole)]);
    cx.sources.advance(3 * MS);
    let more = json!({"error": "disk", "result_id": "inc-9", "metadata": {"n": 1}});
    cx.record(&[with(ack("r", "a", "create_incident", "FAILED"), more)]);
    cx.record(&[with(ack("r", "b", "create_incident", "ROLLED_BACK"), json!({"rollback_reason": "undone"}))]);
    cx.record(&[ack("r", "c", "create_incident", "SUCCESS"), ack("r", "d", "create_incident", "SUCCESS")]);
    let expected = cx.expected("r");
    let one = &expected[0];
    assert_eq!((expected.len(), one.id.as_str(), one.deadline_ms, one.count), (1, "e", 5_000, 2));
    assert_eq!((one.deadline, one.recorded_at), (began.saturating_add(5_000 * MS), began));
    assert_eq!(
        (one.status, one.acked_at, one.liveness),
        (AuditStatus::Acked, Some(began.saturating_add(3 * MS)), true)
    );
    assert_eq!(one.metadata.json().as_str(), r#"{"team":"b"}"#);
    let acked = cx.acked("r");
    assert_eq!(acked.iter().map(|ack| ack.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!((acked[0].error.as_deref(), acked[0].result_id.as_deref()), (Some("disk"), Some("inc-9")));
    assert_eq!(acked[1].rollback_reason.as_deref(), Some("undone"));
    let audit = cx.audit("r");
    assert_eq!((audit.expectations, audit.acks, audit.open, audit.watched), (1, 4, 0, true));
    assert_eq!((audit.verdict, audit.due), (None, Some(one.deadline)));
}

fn the_same_id_again_is_a_duplicate_and_other_content_a_conflict(cx: &mut Context) {
    cx.record(&[start("r")]);
    let (e, a) = (expect("r", "e", "x", 5_000), ack("r", "a", "x", "SUCCESS"));
    let (expected, acked) = (cx.record(std::slice::from_ref(&e)), cx.record(std::slice::from_ref(&a)));
    cx.sources.advance(9 * MS);
    cx.again(std::slice::from_ref(&e), &expected);
    cx.again(std::slice::from_ref(&a), &acked);
    cx.conflict(&[with(e, json!({"deadline_ms": 6_000}))], &["deadline_ms"]);
    cx.conflict(&[with(a.clone(), json!({"status": "FAILED"}))], &["status"]);
    // An expectation and an acknowledgement may have one id: each kind has its own.
    cx.record(&[with(a, json!({"id": "e"}))]);
    let twice = cx.send(&[expect("r", "f", "x", 1), expect("r", "f", "x", 1)]).expect("equal ops in one batch");
    assert_eq!(twice.ops.iter().map(|op| op.outcome).collect::<Vec<_>>(), [Recorded::Recorded, Recorded::Duplicate]);
    cx.refuse(&[expect("r", "g", "x", 1), expect("r", "g", "x", 2)], "conflict");
    assert_eq!((cx.expected("r").len(), cx.acked("r").len()), (2, 2), "declaring twice doubles nothing");
}

fn ids_are_generated_where_they_are_absent(cx: &mut Context) {
    cx.record(&[start("r")]);
    let without_id = |mut value: Value| {
        value.as_object_mut().expect("an op").remove("id");
        value
    };
    let receipt = cx.record(&[without_id(expect("r", "", "x", 5)), without_id(ack("r", "", "x", "SUCCESS"))]);
    let ids: Vec<_> = receipt.ops.iter().map(|op| op.id.clone().expect("an id").to_string()).collect();
    assert!(ids[0].starts_with("exp-") && ids[1].starts_with("ack-"), "{ids:?}");
    assert_eq!((cx.expected("r")[0].id.as_str(), cx.acked("r")[0].id.as_str()), (&*ids[0], &*ids[1]));
}

fn what_breaks_a_contract_is_refused_at_the_door(cx: &mut Context) {
    cx.record(&[start("r")]);
    let e = |more: Value| with(expect("r", "e", "x", 5), more);
    let a = |more: Value| with(ack("r", "a", "x", "SUCCESS"), more);
    let wrong = [
        (e(json!({"deadline_ms": 0})), "number_out_of_range", "/ops/0/deadline_ms"),
        (e(json!({"deadline_ms": DEADLINE_MS_MAX + 1})), "number_out_of_range", "/ops/0/deadline_ms"),
        (e(json!({"count": 0})), "number_out_of_range", "/ops/0/count"),
        (e(json!({"count": 1_001})), "number_out_of_range", "/ops/0/count"),
        (e(json!({"domain": ""})), "invalid_member", "/ops/0/domain"),
        (e(json!({"action": "x".repeat(257)})), "too_large", "/ops/0/action"),
        (e(json!({"optional": true, "liveness": true})), "invalid_member", "/ops/0/optional"),
        (
            e(json!({"optional": true, "domain": "orchestrator", "action": "finalize_run"})),
            "invalid_member",
            "/ops/0/optional",
        ),
        (a(json!({"error": "why"})), "invalid_member", "/ops/0/error"),
        (a(json!({"status": "FAILED", "rollback_reason": "why"})), "invalid_member", "/ops/0/rollback_reason"),
        (a(json!({"status": "FAILED", "error": "x".repeat(4_097)})), "too_large", "/ops/0/error"),
        (a(json!({"result_id": "x".repeat(257)})), "too_large", "/ops/0/result_id"),
        (by_hand("r", "", "ACKED"), "invalid_member", "/ops/0/action"),
    ];
    for (value, code, path) in wrong {
        assert_eq!(cx.refuse(std::slice::from_ref(&value), code).path(), Some(path), "{value}");
    }
    cx.record(&[e(json!({"deadline_ms": DEADLINE_MS_MAX, "count": 1_000}))]);
    cx.record(&[a(json!({"status": "ROLLED_BACK", "error": "x".repeat(4_096), "rollback_reason": "why"}))]);
}

fn an_audit_is_of_a_known_run(cx: &mut Context) {
    for value in [expect("r", "e", "x", 5), ack("r", "a", "x", "SUCCESS"), reconcile("r"), clear("r")] {
        cx.refuse(&[value], "run_not_found");
    }
    cx.refuse(&[by_hand("r", "x", "ACKED")], "run_not_found");
    // An unknown run is no clean one, and neither is one of which nothing was ever said.
    cx.record(&[start("r")]);
    cx.refuse(&[reconcile("r")], "expectation_not_found");
    cx.refuse(&[by_hand("r", "x", "ACKED")], "expectation_not_found");
    let ledger = cx.ledger();
    let code = |result: Result<()>| result.expect_err("an unknown run").code();
    assert_eq!(code(block_on(ledger.audit(&run_id("q"))).map(drop)), "run_not_found");
    assert_eq!(code(block_on(ledger.expectations(&run_id("q"), &PageRequest::default())).map(drop)), "run_not_found");
    assert_eq!(code(block_on(ledger.acks(&run_id("q"), &PageRequest::default())).map(drop)), "run_not_found");
    assert_eq!(code(block_on(ledger.verdict_at(0)).map(drop)), "entry_not_found");
    assert_eq!(code(block_on(ledger.verdict_at(9)).map(drop)), "entry_not_found");
    let audit = cx.audit("r");
    assert_eq!((audit.expectations, audit.watched, audit.now), (0, false, None));
}

fn an_expectation_is_in_time_up_to_and_at_its_deadline(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5)]);
    cx.sources.advance(5 * MS);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Pending);
    assert_eq!((cx.expected("r")[0].status, cx.overdue()), (AuditStatus::Pending, vec![]));
    cx.sources.advance(1);
    assert_eq!((cx.expected("r")[0].status, cx.overdue()), (AuditStatus::Missing, vec!["r".to_owned()]));
    let (outcome, verdict) = cx.judge("r");
    assert_eq!((outcome, verdict.status), (Recorded::Recorded, VerdictStatus::Incomplete));
    assert_eq!((named(&verdict.missing), cx.overdue()), (vec!["x"], vec![]));
}

fn a_late_acknowledgement_satisfies_and_is_listed(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5), expect("r", "f", "y", 5)]);
    cx.sources.advance(5 * MS);
    cx.record(&[ack("r", "a", "y", "SUCCESS")]);
    cx.sources.advance(1);
    cx.record(&[ack("r", "b", "x", "SUCCESS")]);
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.status, named(&verdict.late)), (VerdictStatus::Complete, vec!["x"]));
    assert!(!verdict.is_clean());
}

/// The earlier store kept such a run incomplete for ever.
fn a_retry_that_succeeded_satisfies_and_the_failure_stays_listed(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5_000), ack("r", "a", "x", "FAILED")]);
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.status, named(&verdict.failed)), (VerdictStatus::Incomplete, vec!["x"]));
    assert_eq!(cx.expected("r")[0].status, AuditStatus::Failed);
    cx.record(&[ack("r", "b", "x", "SUCCESS")]);
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.status, named(&verdict.failed)), (VerdictStatus::Complete, vec!["x"]));
    assert!(verdict.failed[0].superseded && verdict.is_clean());
    cx.record(&[ack("r", "c", "x", "FAILED")]);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Incomplete, "the last attempt counts");
}

fn a_rollback_takes_a_success_back(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5_000), ack("r", "a", "x", "SUCCESS")]);
    assert_eq!(cx.audit("r").open, 0);
    cx.record(&[ack("r", "b", "x", "ROLLED_BACK")]);
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.status, named(&verdict.rolled_back)), (VerdictStatus::Incomplete, vec!["x"]));
    assert_eq!((cx.audit("r").open, cx.expected("r")[0].status), (1, AuditStatus::Failed));
}

fn an_acknowledgement_that_nobody_asked_for_is_drift(cx: &mut Context) {
    cx.record(&[start("r"), ack("r", "a", "x", "SUCCESS")]);
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.status, named(&verdict.drift)), (VerdictStatus::Incomplete, vec!["x"]));
    // Said twice of what is expected once.
    cx.record(&[expect("r", "e", "x", 5_000), ack("r", "b", "x", "SUCCESS")]);
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.status, named(&verdict.duplicate)), (VerdictStatus::Complete, vec!["x"]));
    assert!(verdict.drift.is_empty() && !verdict.is_clean());
}

/// The earlier store called every run stale from its first second on.
fn a_run_is_stale_at_its_deadline_and_not_before(cx: &mut Context) {
    let finalize = json!({"domain": "orchestrator", "action": "finalize_run"});
    cx.record(&[start("r"), with(expect("r", "e", "x", 35_000), finalize.clone())]);
    assert!(cx.expected("r")[0].liveness, "finalize_run is the liveness check");
    cx.sources.advance(35_000 * MS);
    assert_eq!((cx.judge("r").1.status, cx.overdue()), (VerdictStatus::Pending, vec![]));
    cx.sources.advance(1);
    assert_eq!((cx.overdue(), cx.judge("r").1.status), (vec!["r".to_owned()], VerdictStatus::Stale));
    // A failure says that somebody is alive.
    cx.record(&[with(ack("r", "a", "x", "FAILED"), finalize)]);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Incomplete);
}

fn what_is_expected_several_times_takes_each_success_once(cx: &mut Context) {
    cx.record(&[start("r"), with(expect("r", "e", "x", 5_000), json!({"count": 3}))]);
    cx.record(&[ack("r", "a", "x", "SUCCESS"), ack("r", "b", "x", "FAILED"), ack("r", "c", "x", "SUCCESS")]);
    assert_eq!((cx.judge("r").1.status, cx.audit("r").open), (VerdictStatus::Pending, 1));
    cx.record(&[ack("r", "d", "x", "SUCCESS")]);
    assert_eq!((cx.judge("r").1.status, cx.audit("r").open), (VerdictStatus::Complete, 0));
    cx.record(&[ack("r", "f", "x", "ROLLED_BACK")]);
    assert_eq!((cx.judge("r").1.status, cx.audit("r").open), (VerdictStatus::Incomplete, 1));
}

fn an_expectation_that_comes_after_its_acknowledgement_is_met(cx: &mut Context) {
    cx.record(&[start("r"), ack("r", "a", "x", "SUCCESS"), ack("r", "b", "x", "SUCCESS")]);
    cx.record(&[expect("r", "e", "x", 5)]);
    assert_eq!((cx.audit("r").open, cx.expected("r")[0].status), (0, AuditStatus::Acked));
    // What was a duplicate of one is the second of two.
    cx.record(&[expect("r", "f", "x", 5)]);
    assert_eq!((cx.audit("r").open, cx.judge("r").1.status), (0, VerdictStatus::Complete));
    cx.record(&[expect("r", "g", "x", 5)]);
    assert_eq!((cx.audit("r").open, cx.judge("r").1.status), (1, VerdictStatus::Pending));
}

fn an_optional_expectation_keeps_nobody_waiting(cx: &mut Context) {
    cx.record(&[start("r"), with(expect("r", "e", "x", 5), json!({"optional": true}))]);
    assert_eq!((cx.pending(), cx.audit("r").due), (vec![], None));
    cx.sources.advance(6 * MS);
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.status, verdict.missing.len()), (VerdictStatus::Complete, 0));
    assert_eq!(cx.expected("r")[0].status, AuditStatus::Missing);
    cx.record(&[ack("r", "a", "x", "SUCCESS")]);
    assert!(cx.judge("r").1.drift.is_empty(), "it is expected all the same");
}

fn a_status_set_by_hand_holds_until_a_later_acknowledgement(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5_000)]);
    for (word, status) in [("MISSING", AuditStatus::Missing), ("FAILED", AuditStatus::Failed)] {
        cx.record(&[by_hand("r", "x", word)]);
        assert_eq!((cx.expected("r")[0].status, cx.judge("r").1.status), (status, VerdictStatus::Incomplete));
    }
    cx.record(&[by_hand("r", "x", "ACKED")]);
    assert_eq!((cx.judge("r").1.status, cx.audit("r").open), (VerdictStatus::Complete, 0));
    cx.record(&[by_hand("r", "x", "PENDING")]);
    assert_eq!((cx.judge("r").1.status, cx.audit("r").open), (VerdictStatus::Pending, 1));
    cx.record(&[ack("r", "a", "x", "SUCCESS")]);
    assert_eq!((cx.judge("r").1.status, cx.acked("r").len(), cx.audit("r").acks), (VerdictStatus::Complete, 1, 5));
}

fn a_verdict_is_recorded_only_where_it_changed(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5_000)]);
    let first = cx.record(&[reconcile("r")]);
    cx.sources.advance(MS);
    cx.again(&[reconcile("r")], &first);
    cx.record(&[ack("r", "a", "x", "SUCCESS")]);
    let second = cx.record(&[reconcile("r")]);
    cx.sources.advance(9_000 * MS);
    cx.again(&[reconcile("r")], &second);
    let both = cx.send(&[ack("r", "b", "x", "SUCCESS"), reconcile("r"), reconcile("r")]).expect("in one batch");
    assert_eq!(both.ops[1].log_index, both.ops[2].log_index, "the second finds the first's");
}

fn a_deadline_that_moves_nothing_in_the_verdict_is_passed_all_the_same(cx: &mut Context) {
    let alive = |id, action, deadline_ms| with(expect("r", id, action, deadline_ms), json!({"liveness": true}));
    cx.record(&[start("r"), alive("e", "x", 5), alive("f", "y", 10), by_hand("r", "y", "FAILED")]);
    cx.sources.advance(6 * MS);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Stale);
    cx.sources.advance(5 * MS);
    assert_eq!(cx.overdue(), ["r"], "its second deadline");
    // The run was stale before: the same verdict once more, so that the log alone says that nothing is due any more.
    let again = cx.judge("r");
    assert_eq!((again.0, cx.overdue()), (Recorded::Recorded, vec![]));
    assert_eq!(cx.judge("r"), (Recorded::Duplicate, again.1));
}

fn two_sweepers_record_one_verdict(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5)]);
    cx.sources.advance(6 * MS);
    let size = cx.head().tree_size;
    let (ledger, barrier) = (cx.ledger(), Arc::new(Barrier::new(4)));
    let sweepers: Vec<_> = (0..4)
        .map(|_| {
            let (ledger, barrier) = (Arc::clone(&ledger), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                commit(&*ledger, Batch::one(read(&reconcile("r")))).expect("a verdict").outcome
            })
        })
        .collect();
    let outcomes: Vec<_> = sweepers.into_iter().map(|sweeper| sweeper.join().expect("no panic")).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Recorded::Recorded).count(), 1, "{outcomes:?}");
    assert_eq!((cx.head().tree_size, cx.overdue()), (size + 1, vec![]));
}

fn what_is_due_is_found_in_order_and_moves_on(cx: &mut Context) {
    for (run, deadlines) in [("late", [30, 40]), ("early", [10, 50]), ("middle", [20, 20])] {
        cx.record(&[start(run), expect(run, "e", "x", deadlines[0]), expect(run, "f", "y", deadlines[1])]);
    }
    cx.sources.advance(35 * MS);
    assert_eq!(cx.overdue(), ["early", "middle", "late"]);
    let ledger = cx.ledger();
    let first = block_on(ledger.due_runs(cx.sources.now(), 2)).expect("what is due");
    assert_eq!(first.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), ["early", "middle"]);
    for limit in [0, 1_001] {
        let refused = block_on(ledger.due_runs(cx.sources.now(), limit)).expect_err("a wrong limit");
        assert_eq!(refused.code(), "invalid_parameter");
    }
    for run in ["early", "middle", "late"] {
        cx.judge(run);
    }
    assert_eq!(cx.overdue(), Vec::<String>::new());
    cx.sources.advance(6 * MS);
    assert_eq!(cx.overdue(), ["late"], "its second deadline");
    cx.sources.advance(10 * MS);
    assert_eq!(cx.overdue(), ["late", "early"]);
}

fn a_clock_that_goes_back_loses_no_deadline(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5)]);
    cx.sources.advance(-3_600_000 * MS);
    // The ledger's own clock never goes back: what is expected now is due as if no time had passed.
    cx.record(&[expect("r", "f", "y", 5)]);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Pending);
    let deadlines: Vec<_> = cx.expected("r").iter().map(|one| one.deadline).collect();
    assert_eq!(deadlines[0], deadlines[1]);
    cx.sources.advance(7_200_000 * MS);
    assert_eq!(cx.overdue(), ["r"]);
    assert_eq!(cx.judge("r").1.missing.len(), 2);
    cx.sources.set(i64::MAX - 1);
    cx.record(&[expect("r", "g", "z", DEADLINE_MS_MAX)]);
    assert_eq!(cx.expected("r")[2].deadline, Timestamp::MAX);
}

fn a_cleared_audit_is_not_watched_until_something_is_expected_again(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5)]);
    let cleared = cx.record(&[clear("r")]);
    cx.again(&[clear("r")], &cleared);
    let audit = cx.audit("r");
    assert_eq!((audit.watched, audit.due, audit.expectations, audit.open), (false, None, 1, 1));
    assert_eq!(cx.pending(), Vec::<String>::new());
    cx.sources.advance(6 * MS);
    assert_eq!(cx.overdue(), Vec::<String>::new());
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Incomplete, "its facts stay");
    cx.record(&[ack("r", "a", "x", "FAILED")]);
    assert_eq!((cx.overdue(), cx.audit("r").due), (vec![], None));
    cx.record(&[expect("r", "f", "y", 5)]);
    assert_eq!((cx.pending(), cx.audit("r").watched), (vec!["r".to_owned()], true));
    cx.sources.advance(6 * MS);
    assert_eq!(cx.overdue(), ["r"]);
    let again = cx.record(&[clear("r")]);
    assert_ne!(again.ops[0].log_index, cleared.ops[0].log_index);
}

fn pending_runs_are_those_that_wait(cx: &mut Context) {
    for run in ["a", "b", "c", "d", "e"] {
        cx.record(&[start(run), expect(run, "e", "x", 5)]);
        cx.sources.advance(MS);
    }
    cx.record(&[ack("b", "a", "x", "SUCCESS"), ack("d", "a", "x", "FAILED"), clear("e")]);
    assert_eq!(cx.pending(), ["a", "c", "d"]);
    let overdue = || {
        let pending = walk(2, |page| block_on(cx.ledger().pending_runs(&page)));
        pending.into_iter().map(|run| run.overdue_since).collect::<Vec<_>>()
    };
    let deadline = |run| cx.expected(run)[0].deadline;
    assert_eq!(overdue(), [None, None, None], "a is at its deadline, not past it");
    cx.sources.advance(1);
    assert_eq!(overdue(), [Some(deadline("a")), None, None]);
    cx.record(&[expect("a", "sooner", "y", 1)]);
    cx.sources.advance(100 * MS);
    assert_eq!(overdue(), ["a", "c", "d"].map(|run| Some(deadline(run))), "the first that passed");
    for run in ["a", "b", "c", "d", "e"] {
        cx.judge(run);
    }
    assert_eq!(cx.pending(), ["a", "c", "d"], "overdue ones included, reconciled or not");
    cx.record(&[ack("b", "b", "x", "ROLLED_BACK")]);
    assert_eq!(cx.pending(), ["a", "b", "c", "d"]);
}

fn sealed_verdict(cx: &Context, log_index: u64) -> Value {
    let entry = block_on(cx.ledger().entries(log_index, 1)).expect("the log").remove(0);
    let body: Value = serde_json::from_str(entry.body.expect("a body").as_str()).expect("JSON");
    body["verdict"].clone()
}

fn the_seal_carries_the_verdict(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5), ack("r", "a", "x", "SUCCESS")]);
    let sealed = cx.record(&[expect("r", "f", "y", 9), complete("r")]);
    let at = sealed.ops[1].log_index;
    let verdict = sealed_verdict(cx, at);
    assert_eq!((&verdict["status"], &verdict["pending"][0]["action"]), (&json!("PENDING"), &json!("y")));
    let audit = cx.audit("r");
    assert_eq!((audit.verdict_log_index, audit.verdict.expect("a verdict").status), (Some(at), VerdictStatus::Pending));
    let again = cx.send(&[reconcile("r")]).expect("a verdict");
    assert_eq!((again.outcome, again.ops[0].log_index), (Recorded::Duplicate, at), "the seal's is the latest");
    cx.again(&[expect("r", "f", "y", 9), complete("r")], &sealed);
    let plain = cx.record(&[start("plain"), complete("plain")]);
    assert_eq!(sealed_verdict(cx, plain.ops[1].log_index), Value::Null);
}

fn a_seal_of_telemetry_carries_the_verdict_too(cx: &mut Context) {
    let seal = |n: u32| json!({"op": "seal_run", "run_id": "o", "n": n, "status": "completed"});
    cx.record(&[crate::ops::ensure_otlp("o"), expect("o", "e", "x", 5)]);
    let first = cx.record(&[seal(0)]);
    assert_eq!(sealed_verdict(cx, first.ops[0].log_index)["pending"][0]["action"], "x");
    cx.record(&[ack("o", "a", "x", "SUCCESS"), crate::ops::span("o", "late", None)]);
    let second = cx.record(&[seal(1)]);
    assert_eq!(sealed_verdict(cx, second.ops[0].log_index)["status"], "COMPLETE");
}

fn what_comes_after_the_seal_gives_a_new_verdict(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5), complete("r")]);
    cx.sources.advance(6 * MS);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Incomplete);
    cx.record(&[ack("r", "a", "x", "SUCCESS")]);
    cx.sources.advance(1);
    assert_eq!(cx.overdue(), ["r"], "nothing else would ask for it");
    let (outcome, verdict) = cx.judge("r");
    assert_eq!((outcome, verdict.status, cx.overdue()), (Recorded::Recorded, VerdictStatus::Complete, vec![]));
    cx.record(&[by_hand("r", "x", "FAILED"), expect("r", "f", "y", 5), clear("r")]);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Incomplete);
    assert_eq!(cx.run("r").seals, 1);
}

/// Each acknowledgement after the first verdict once recorded a whole one: they grew with the square of what was said.
fn verdicts_of_a_run_of_many_facts_keep_apart(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5)]);
    cx.sources.advance(6 * MS);
    let acks: Vec<_> = (0..299).map(|n| ack("r", &format!("a{n}"), "x", "FAILED")).collect();
    cx.record(&acks);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Incomplete);
    cx.record(&[ack("r", "more", "x", "FAILED")]);
    let at = cx.acked("r").last().expect("an acknowledgement").recorded_at;
    let due = cx.audit("r").due.expect("it is judged again");
    assert_eq!(due, at.saturating_add(3_000 * MS), "a second for each hundred facts");
    cx.sources.advance(2_000 * MS);
    cx.record(&[ack("r", "later", "x", "SUCCESS")]);
    assert_eq!((cx.audit("r").due, cx.overdue()), (Some(due), vec![]), "what comes later does not put it off");
    cx.sources.advance(1_100 * MS);
    assert_eq!(cx.overdue(), ["r"]);
    assert_eq!(cx.judge("r").1.status, VerdictStatus::Complete);
    cx.record(&[ack("r", "again", "x", "FAILED")]);
    let (outcome, verdict) = cx.judge("r");
    assert_eq!((outcome, verdict.status), (Recorded::Recorded, VerdictStatus::Incomplete), "who asks is answered");
    // A deadline waits for nothing.
    cx.record(&[expect("r", "f", "y", 5)]);
    cx.sources.advance(6 * MS);
    assert_eq!(cx.overdue(), ["r"]);
}

fn a_batch_judges_a_bounded_number_of_facts(cx: &mut Context) {
    cx.record(&[start("r"), start("s")]);
    for run in ["r", "s"] {
        let acks: Vec<_> = (0..1_000).map(|n| ack(run, &format!("a{n}"), "x", "FAILED")).collect();
        cx.record(&acks);
    }
    let size = cx.head().tree_size;
    let many = |count: usize| -> Vec<_> { (0..count).map(|n| reconcile(["r", "s"][n % 2])).collect() };
    let refused = cx.send(&many(45)).expect_err("45,000 facts");
    assert_eq!((refused.code(), refused.path()), ("too_many", Some("/ops")));
    let judged = (0..43).map(|_| reconcile("r"));
    let own: Vec<_> = judged.chain((0..24).map(|n| expect("r", &format!("e{n}"), "x", 5))).collect();
    cx.refuse(&own, "too_many");
    assert_eq!(cx.head().tree_size, size, "nothing was written");
    let receipt = cx.record(&many(44));
    assert_eq!(receipt.ops.iter().filter(|op| op.outcome == Recorded::Recorded).count(), 2);
    cx.refuse(&(0..45).map(|_| reconcile("r")).collect::<Vec<_>>(), "too_many");
}

/// The earlier store rewrote whole lists from one process's memory: two workers lost each other's acknowledgements.
fn several_writers_that_acknowledge_one_run_at_once_lose_nothing(cx: &mut Context) {
    let (writers, each) = (8usize, 12usize);
    cx.record(&[start("r"), with(expect("r", "e", "x", 60_000), json!({"count": writers * each}))]);
    let (ledger, barrier) = (cx.ledger(), Arc::new(Barrier::new(writers)));
    let threads: Vec<_> = (0..writers)
        .map(|writer| {
            let (ledger, barrier) = (Arc::clone(&ledger), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                for n in 0..each {
                    let value = ack("r", &format!("a-{writer}-{n}"), "x", "SUCCESS");
                    commit(&*ledger, Batch::one(read(&value))).expect("an acknowledgement");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let mut ids: Vec<_> = cx.acked("r").into_iter().map(|ack| ack.id.to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), writers * each);
    assert!(cx.judge("r").1.is_clean());
}

fn a_run_has_a_bounded_number_of_facts(cx: &mut Context) {
    cx.record(&[start("r")]);
    let expected: Vec<_> = (0..EXPECTATIONS_MAX).map(|n| expect("r", &format!("e{n}"), &format!("x{n}"), 5)).collect();
    cx.record(&expected);
    cx.refuse(&[expect("r", "more", "x", 5)], "too_many");
    assert_eq!(cx.send(&expected[..1]).expect("a duplicate").outcome, Recorded::Duplicate);
    for from in (0..ACKS_MAX).step_by(1_000) {
        let acks: Vec<_> = (from..from + 1_000).map(|n| ack("r", &format!("a{n}"), "x0", "FAILED")).collect();
        cx.record(&acks);
    }
    cx.refuse(&[ack("r", "more", "x", "SUCCESS")], "too_many");
    cx.refuse(&[by_hand("r", "x0", "ACKED")], "too_many");
    let (_, verdict) = cx.judge("r");
    assert_eq!((verdict.expectations, verdict.acks, verdict.truncated), (1_000, 10_000, true));
    assert_eq!((verdict.failed.len(), verdict.pending.len()), (1_000, 999));
    cx.record(&[complete("r")]);
}

fn long_names_never_keep_a_run_from_being_sealed(cx: &mut Context) {
    cx.record(&[start("r")]);
    let name = |n: u32| format!("{n:0>4}{}", "\u{1}".repeat(252));
    for from in (0..EXPECTATIONS_MAX).step_by(500) {
        let expected: Vec<_> = (from..from + 500)
            .map(|n| with(expect("r", &format!("e{n}"), &name(n), 5), json!({"domain": name(n)})))
            .collect();
        cx.record(&expected);
    }
    let (_, verdict) = cx.judge("r");
    assert!(verdict.truncated && verdict.pending.len() < 1_000, "{}", verdict.pending.len());
    assert_eq!(verdict.status, VerdictStatus::Pending);
    cx.record(&[complete("r")]);
}

fn the_standard_contract_is_met_by_its_five_parts(cx: &mut Context) {
    cx.record(&[start("r")]);
    let expected = standard_expectations(&run_id("r"), 30_000, 5_000);
    cx.commit(Batch::of(expected.into_iter().map(Op::Expect).collect())).expect("the contract");
    let parts = [
        (names::INCIDENTS, names::CREATE_INCIDENT),
        (names::POLICIES, names::EVALUATE_POLICY),
        (names::LOGS, names::START_TRACE),
        (names::LOGS, names::COMPLETE_TRACE),
        (names::ORCHESTRATOR, names::FINALIZE_RUN),
    ];
    assert_eq!(cx.judge("r").1.pending.len(), 4, "the trace's end may stay out");
    for (domain, action) in parts {
        cx.record(&[json!({"op": "ack", "run_id": "r", "domain": domain, "action": action})]);
    }
    assert!(cx.judge("r").1.is_clean());
}

fn lists_are_paged(cx: &mut Context) {
    cx.record(&[start("r"), start("s")]);
    for n in 0..7 {
        cx.record(&[expect("r", &format!("e{n}"), "x", 5), ack("r", &format!("a{n}"), "x", "FAILED")]);
    }
    let ledger = cx.ledger();
    let first = block_on(ledger.expectations(&run_id("r"), &PageRequest::first(3))).expect("a page");
    let cursor = first.next_cursor.expect("there is more");
    cx.record(&[expect("r", "later", "x", 5)]);
    let page = |limit| PageRequest { limit, cursor: Some(cursor.clone()) };
    let rest = block_on(ledger.expectations(&run_id("r"), &page(9))).expect("the rest");
    assert_eq!(rest.items.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["e3", "e4", "e5", "e6"]);
    let of_another = block_on(ledger.acks(&run_id("r"), &page(9))).expect_err("a cursor of another list");
    assert_eq!(of_another.code(), "invalid_cursor");
    let of_another = block_on(ledger.expectations(&run_id("s"), &page(9))).expect_err("a cursor of another run");
    assert_eq!(of_another.code(), "invalid_cursor");
    let refused = block_on(ledger.pending_runs(&PageRequest::first(0))).expect_err("a wrong limit");
    assert_eq!(refused.code(), "invalid_parameter");
}

fn a_key_replays_a_verdict(cx: &mut Context) {
    cx.record(&[start("r"), expect("r", "e", "x", 5)]);
    let first = cx.send_under("k", &[reconcile("r")]).expect("a verdict");
    cx.sources.advance(6 * MS);
    let again = cx.send_under("k", &[reconcile("r")]).expect("the same verdict");
    assert_eq!((again.replayed, again.ops[0].log_index), (true, first.ops[0].log_index));
    let sealing = [complete("r"), reconcile("r")];
    let sealed = cx.send_under("seal", &sealing).expect("a seal and its verdict");
    assert_eq!(sealed.ops[0].log_index, sealed.ops[1].log_index);
    assert!(cx.send_under("seal", &sealing).expect("again").replayed);
    cx.send_under("k", &[clear("r")]).expect_err("another request");
}

fn a_batch_may_hold_steps_and_its_audit(cx: &mut Context) {
    let whole = [start("r"), expect("r", "e", "x", 5), step("r", 0), ack("r", "a", "x", "SUCCESS"), complete("r")];
    let receipt = cx.record(&whole);
    cx.again(&whole, &receipt);
    let verdict = block_on(cx.ledger().verdict_at(receipt.ops[4].log_index)).expect("a verdict");
    assert!(verdict.is_clean());
    cx.refuse(&[ack("r", "b", "x", "SUCCESS"), expect("r", "e", "x", 6)], "conflict");
    assert_eq!(cx.acked("r").len(), 1, "all or nothing");
}

fn an_erased_run_takes_its_audit_with_it(cx: &mut Context) {
    let erase = |run: &str| json!({"op": "erase_run", "run_id": run, "reason": "asked for"});
    cx.record(&[start("r"), expect("r", "e", "x", 5), ack("r", "a", "y", "FAILED"), complete("r")]);
    cx.record(&[start("s"), expect("s", "e", "x", 5)]);
    cx.sources.advance(6 * MS);
    assert_eq!((cx.overdue().len(), cx.pending().len()), (2, 2));
    cx.record(&[erase("r")]);
    assert_eq!((cx.overdue(), cx.pending()), (vec!["s".to_owned()], vec!["s".to_owned()]));
    let gone = block_on(cx.ledger().audit(&run_id("r"))).expect_err("an erased run");
    assert_eq!(gone.code(), "run_erased");
    for value in [expect("r", "e", "x", 5), ack("r", "b", "x", "SUCCESS"), reconcile("r"), clear("r")] {
        cx.refuse(&[value], "erased");
    }
    cx.record(&[start("t"), expect("t", "e", "x", 5), ack("t", "a", "x", "SUCCESS"), complete("t"), erase("t")]);
    assert_eq!(cx.overdue(), ["s"]);
}

/// Facts that were held in front of the ledger count from when they were received, in the order in which they were.
fn what_was_moved_in_counts_from_when_it_was_received(cx: &mut Context) {
    let began = cx.sources.now();
    let received = |op: Value, ms: i64| read(&op).received(began.saturating_add(ms * MS));
    let sealed = [start("r"), expect("r", "e", "x", 50), expect("r", "f", "y", 50)];
    cx.record(&sealed);
    cx.sources.advance(100 * MS);
    cx.record(&[ack("r", "late", "y", "SUCCESS")]);
    let moved = vec![
        received(ack("r", "a", "x", "SUCCESS"), 50),
        received(ack("r", "b", "y", "FAILED"), 40),
        received(expect("r", "g", "z", 30), 60),
        received(ack("r", "c", "z", "SUCCESS"), 95),
        received(ack("r", "d", "z", "FAILED"), 99_999),
    ];
    let error = cx.commit(Batch::of(moved.clone())).expect_err("nobody may say so but who moves");
    assert_eq!((error.code(), error.path()), ("unknown_member", Some("/ops/0/received_at")));
    if !cx.takes_moved() {
        return;
    }
    let all = || Batch::moving(moved.clone(), moved.len());
    let receipt = cx.commit(all()).expect("moved");
    assert_eq!((receipt.ops.len(), cx.audit("r").open), (5, 1), "z alone is open: y was done after it had failed");
    let (_, verdict) = cx.judge("r");
    assert_eq!(named(&verdict.late), ["y"], "what was said in time is in time, and z was undone by the last word");
    assert!(verdict.failed.iter().any(|finding| finding.action == "y" && finding.superseded), "it failed before");
    assert_eq!(verdict.status, VerdictStatus::Incomplete);
    let expected = cx.expected("r");
    assert_eq!(expected[2].deadline, began.saturating_add(90 * MS));
    let acked = cx.acked("r");
    let of = |id: &str| acked.iter().find(|ack| ack.id.as_str() == id).expect("an acknowledgement");
    assert_eq!((of("a").received_at, of("late").received_at), (Some(began.saturating_add(50 * MS)), None));
    assert!(of("a").recorded_at >= began.saturating_add(100 * MS));
    // Moved again, it is a duplicate, and so is the same fact that comes to the ledger itself.
    let again = cx.commit(all()).expect("a duplicate");
    assert_eq!((again.outcome, again.ops[0].log_index), (Recorded::Duplicate, receipt.ops[0].log_index));
    assert_eq!(cx.send(&[ack("r", "a", "x", "SUCCESS")]).expect("a duplicate").outcome, Recorded::Duplicate);
    // What was moved in beside a keyed batch is no part of what its key stands for.
    let keyed = |more: Vec<Op>| {
        let moved = more.len();
        let ops = more.into_iter().chain([read(&complete("r"))]).collect();
        cx.commit(Batch::moving(ops, moved).under(key("k")))
    };
    let first = keyed(vec![received(ack("r", "h", "x", "FAILED"), 70)]).expect("sealed");
    assert_eq!((first.ops.len(), first.replayed), (2, false));
    let again = keyed(Vec::new()).expect("replayed");
    assert_eq!((again.ops.len(), again.replayed, again.ops[0].log_index), (1, true, first.ops[1].log_index));
}
