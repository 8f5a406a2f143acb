//! What holds of every verdict, over generated facts.

use proptest::collection::vec;
use proptest::prelude::*;
use tracekeep_audit::{AuditReconciler, Event, ExpectationFact, VerdictStatus};
use tracekeep_core::Timestamp;
use tracekeep_core::model::{AckStatus, AuditStatus};

const ACTIONS: [&str; 3] = ["x", "y", "finalize_run"];
const DOMAINS: [&str; 2] = ["d", "orchestrator"];

fn at(ms: i64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn expectation() -> impl Strategy<Value = ExpectationFact> {
    (0..2_usize, 0..3_usize, 0..100_i64, any::<bool>(), 1..3_u32, any::<bool>()).prop_map(
        |(domain, action, deadline, optional, count, liveness)| ExpectationFact {
            id: "e".parse().unwrap(),
            domain: DOMAINS[domain].to_owned(),
            action: ACTIONS[action].to_owned(),
            deadline: at(deadline),
            // What shows that a run is alive is not optional: the door refuses it.
            optional: optional && !liveness && !(domain == 1 && action == 2),
            count,
            liveness,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    (0..2_usize, 0..3_usize, 0..100_i64, 0..7_usize).prop_map(|(domain, action, ms, said)| {
        let (domain, action) = (DOMAINS[domain], ACTIONS[action]);
        match said {
            0..3 => Event::ack("a".parse().unwrap(), domain, action, AckStatus::ALL[said], at(ms), 0),
            _ => Event::by_hand(domain, action, AuditStatus::ALL[said - 3], at(ms), 0),
        }
    })
}

/// Facts with ids and log indices of their own.
fn facts() -> impl Strategy<Value = (Vec<ExpectationFact>, Vec<Event>)> {
    (vec(expectation(), 0..8), vec(event(), 0..12)).prop_map(|(mut expectations, mut events)| {
        for (number, expectation) in expectations.iter_mut().enumerate() {
            expectation.id = format!("e-{number}").parse().unwrap();
        }
        for (number, event) in events.iter_mut().enumerate() {
            event.log_index = number as u64;
            if let tracekeep_audit::Said::Ack { id, .. } = &mut event.said {
                *id = format!("a-{number}").parse().unwrap();
            }
        }
        (expectations, events)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_facts_are_handed_over_changes_nothing(
        ((expectations, events), (shuffled_expectations, shuffled_events)) in facts().prop_flat_map(|(expectations, events)| {
            let shuffled = (Just(expectations.clone()).prop_shuffle(), Just(events.clone()).prop_shuffle());
            (Just((expectations, events)), shuffled)
        }),
        now in 0..120_i64,
    ) {
        let one = AuditReconciler::new(expectations, events).reconcile(at(now));
        prop_assert_eq!(AuditReconciler::new(shuffled_expectations, shuffled_events).reconcile(at(now)), one);
    }

    #[test]
    fn every_expectation_stands_somewhere_and_the_verdict_says_the_same(
        (expectations, events) in facts(),
        now in 0..120_i64,
    ) {
        let reconciled = AuditReconciler::new(expectations.clone(), events.clone()).reconcile(at(now));
        let verdict = &reconciled.verdict;
        prop_assert_eq!(reconciled.standings.len(), expectations.len());
        for (standing, expectation) in reconciled.standings.iter().zip(&expectations) {
            prop_assert_eq!(&standing.id, &expectation.id);
            let listed = |findings: &[tracekeep_audit::AuditFinding]| {
                findings.iter().any(|finding| finding.expectation_id.as_ref() == Some(&standing.id))
            };
            let is_late = standing.acked_at.is_some_and(|at| at > expectation.deadline);
            prop_assert_eq!(standing.acked_at.is_some(), standing.status == AuditStatus::Acked);
            prop_assert_eq!(listed(&verdict.late), is_late);
            prop_assert_eq!(
                listed(&verdict.pending),
                standing.status == AuditStatus::Pending && !expectation.optional
            );
            prop_assert!(!listed(&verdict.missing) || standing.status == AuditStatus::Missing);
            if standing.status == AuditStatus::Pending {
                prop_assert!(at(now) <= expectation.deadline);
            }
            if verdict.status == VerdictStatus::Complete && !expectation.optional {
                prop_assert_eq!(standing.status, AuditStatus::Acked);
            }
        }
        if !verdict.drift.is_empty() {
            prop_assert!(matches!(verdict.status, VerdictStatus::Incomplete | VerdictStatus::Stale));
        }
    }

    /// What the sweeper stands on: between now and `changes_after` nothing changes, and right after the first pending deadline
    /// something does.
    #[test]
    fn time_changes_a_verdict_when_it_says_and_not_before((expectations, events) in facts(), now in 0..120_i64) {
        let reconciler = AuditReconciler::new(expectations, events);
        let first = reconciler.reconcile(at(now));
        let until = first.changes_after.map_or(200, |at| at.as_nanos() / 1_000_000);
        for ms in now..=until {
            prop_assert_eq!(&reconciler.reconcile(at(ms)).verdict, &first.verdict, "at {} ms", ms);
        }
        let pending = first.verdict.pending.iter().filter_map(|finding| finding.deadline).min();
        if pending.is_some() && first.changes_after == pending {
            prop_assert_ne!(&reconciler.reconcile(at(until + 1)).verdict, &first.verdict);
        } else {
            // A liveness check that was set by hand may still make the run stale.
            let set_by_hand = first.verdict.expectations > first.verdict.pending.len() as u64;
            prop_assert!(first.changes_after.is_none() || set_by_hand);
        }
    }
}
