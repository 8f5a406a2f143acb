//! What every audit store does.

use std::sync::{Arc, Barrier};

use tracekeep_audit::{DomainAck, VerdictStatus};
use tracekeep_core::limits::EXPECTATIONS_MAX;
use tracekeep_core::model::{Ack, AckStatus, AuditStatus, Expect};
use tracekeep_core::{Timestamp, id};
use tracekeep_store::{AuditStore, Page, PageRequest, Recorded, Result, StoreDurabilityMode, block_on};

use super::harness::AuditInstance;
use crate::context::walk;
use crate::ops::run_id;

pub(crate) struct Context {
    pub(crate) instance: Box<dyn AuditInstance>,
    pub(crate) knows_runs: bool,
    pub(crate) mode: StoreDurabilityMode,
}

macro_rules! listed {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[(&str, fn(&mut Context))] = &[$((stringify!($name), $name)),*];
    };
}

listed!(
    what_is_noted_reads_back,
    the_same_id_again_is_a_duplicate_and_other_content_a_conflict,
    expectations_are_declared_all_or_none,
    an_unknown_run_is_an_error_and_not_clean,
    a_status_is_set_only_where_something_is_expected,
    a_run_is_stale_after_its_deadline_and_not_at_it,
    a_retry_that_succeeded_satisfies,
    what_waits_is_pending_until_it_is_done_or_cleared,
    what_is_due_is_found,
    sixteen_that_acknowledge_at_once_lose_nothing,
    a_run_has_a_bounded_number_of_expectations,
    what_breaks_a_contract_is_refused,
    lists_are_paged,
);

impl Context {
    fn store(&self) -> Arc<dyn AuditStore> {
        self.instance.store()
    }

    #[track_caller]
    fn expect(&self, expectations: Vec<Expect>) -> Recorded {
        block_on(self.store().add_expectations(expectations)).expect("noted").outcome
    }

    #[track_caller]
    fn ack(&self, ack: Ack) -> Recorded {
        block_on(self.store().add_ack(ack)).expect("noted").outcome
    }

    #[track_caller]
    fn status(&self, run: &str) -> VerdictStatus {
        block_on(self.store().reconcile(&run_id(run))).expect("a verdict").status
    }

    #[track_caller]
    fn acks(&self, run: &str) -> Vec<DomainAck> {
        let (store, run) = (self.store(), run_id(run));
        walk(50, |page| block_on(store.get_acks(&run, &page)))
    }

    #[track_caller]
    fn pending(&self) -> Vec<String> {
        let store = self.store();
        let pending = walk(2, |page| block_on(store.get_pending_run_ids(&page)));
        pending.into_iter().map(|run| run.to_string()).collect()
    }
}

fn expect(run: &str, id: &str, action: &str, deadline_ms: u64) -> Expect {
    Expect { id: Some(id.parse().expect("an id")), ..Expect::new(run_id(run), "incidents", action, deadline_ms) }
}

fn ack(run: &str, id: &str, action: &str, status: AckStatus) -> Ack {
    Ack { id: Some(id.parse().expect("an id")), ..Ack::new(run_id(run), "incidents", action, status) }
}

fn what_is_noted_reads_back(cx: &mut Context) {
    cx.instance.start("r");
    let noted = block_on(cx.store().add_expectations(vec![
        Expect { id: None, count: 2, ..expect("r", "e", "x", 5_000) },
        expect("r", "f", "y", 9_000),
    ]));
    let noted = noted.expect("noted");
    assert_eq!((noted.outcome, noted.facts.len()), (Recorded::Recorded, 2));
    let generated = noted.facts[0].id.as_ref().expect("an id").to_string();
    assert!(generated.starts_with("exp-"), "{generated}");
    let failed = Ack { error: Some("disk".to_owned()), ..ack("r", "a", "x", AckStatus::Failed) };
    assert_eq!(cx.ack(failed.clone()), Recorded::Recorded);
    assert_eq!(cx.ack(ack("r", "b", "y", AckStatus::Success)), Recorded::Recorded);
    cx.instance.reopen();
    let expected =
        block_on(cx.store().get_expectations(&run_id("r"), &PageRequest::default())).expect("readable").items;
    assert_eq!(expected.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [&*generated, "f"]);
    assert_eq!(expected.iter().map(|one| one.status).collect::<Vec<_>>(), [AuditStatus::Failed, AuditStatus::Acked]);
    assert_eq!((expected[0].count, expected[0].deadline_ms), (2, 5_000));
    let acked = cx.acks("r");
    assert_eq!((acked.len(), acked[0].error.as_deref(), acked[1].id.as_str()), (2, Some("disk"), "b"));
    let summary = block_on(cx.store().summary(&run_id("r"))).expect("readable");
    assert_eq!((summary.expectations, summary.acks, summary.open, summary.watched), (2, 2, 1, true));
    assert_eq!(cx.store().durability_mode(), cx.mode);
}

fn the_same_id_again_is_a_duplicate_and_other_content_a_conflict(cx: &mut Context) {
    cx.instance.start("r");
    let (e, a) = (expect("r", "e", "x", 5_000), ack("r", "e", "x", AckStatus::Success));
    assert_eq!((cx.expect(vec![e.clone()]), cx.ack(a.clone())), (Recorded::Recorded, Recorded::Recorded));
    assert_eq!((cx.expect(vec![e.clone()]), cx.ack(a.clone())), (Recorded::Duplicate, Recorded::Duplicate));
    // Looked at, it may stand elsewhere than before.
    assert_eq!(cx.status("r"), VerdictStatus::Complete);
    assert_eq!((cx.expect(vec![e.clone()]), cx.ack(a.clone())), (Recorded::Duplicate, Recorded::Duplicate));
    let error = block_on(cx.store().add_expectations(vec![Expect { deadline_ms: 6_000, ..e }])).expect_err("other");
    assert_eq!(error.code(), "conflict");
    let error = block_on(cx.store().add_ack(Ack { status: AckStatus::Failed, ..a })).expect_err("other");
    assert_eq!(error.code(), "conflict");
    assert_eq!((cx.acks("r").len(), cx.status("r")), (1, VerdictStatus::Complete));
}

fn expectations_are_declared_all_or_none(cx: &mut Context) {
    cx.instance.start("r");
    cx.expect(vec![expect("r", "e", "x", 5_000)]);
    let both = vec![expect("r", "f", "y", 5_000), expect("r", "e", "x", 1)];
    assert_eq!(block_on(cx.store().add_expectations(both)).expect_err("one conflicts").code(), "conflict");
    let twice = vec![expect("r", "g", "y", 5_000), expect("r", "g", "y", 6_000)];
    assert_eq!(block_on(cx.store().add_expectations(twice)).expect_err("they differ").code(), "conflict");
    let same = vec![expect("r", "h", "y", 5_000), expect("r", "h", "y", 5_000), expect("r", "e", "x", 5_000)];
    let noted = block_on(cx.store().add_expectations(same)).expect("noted");
    let outcomes: Vec<_> = noted.facts.iter().map(|fact| fact.outcome).collect();
    assert_eq!(outcomes, [Recorded::Recorded, Recorded::Duplicate, Recorded::Duplicate]);
    let summary = block_on(cx.store().summary(&run_id("r"))).expect("readable");
    assert_eq!(summary.expectations, 2);
    let none = block_on(cx.store().add_expectations(Vec::new())).expect_err("nothing");
    assert_eq!(none.code(), "invalid_batch");
}

fn an_unknown_run_is_an_error_and_not_clean(cx: &mut Context) {
    let code = if cx.knows_runs { "run_not_found" } else { "expectation_not_found" };
    assert_eq!(block_on(cx.store().reconcile(&run_id("nobody"))).expect_err("nothing is known of it").code(), code);
    if cx.knows_runs {
        let error = block_on(cx.store().add_ack(ack("nobody", "a", "x", AckStatus::Success))).expect_err("unknown");
        assert_eq!(error.code(), "run_not_found");
        let error = block_on(cx.store().add_expectations(vec![expect("nobody", "a", "x", 1)])).expect_err("unknown");
        assert_eq!(error.code(), "run_not_found");
        let error = block_on(cx.store().get_parked(&run_id("nobody"), &PageRequest::default())).expect_err("unknown");
        assert_eq!(error.code(), "run_not_found");
    }
    cx.instance.start("r");
    assert!(block_on(cx.store().get_parked(&run_id("r"), &PageRequest::default())).expect("a page").items.is_empty());
    let error = block_on(cx.store().reconcile(&run_id("r"))).expect_err("nothing was said of it");
    assert_eq!(error.code(), "expectation_not_found");
}

fn a_status_is_set_only_where_something_is_expected(cx: &mut Context) {
    cx.instance.start("r");
    let set = |status| block_on(cx.store().update_expectation_status(&run_id("r"), "incidents", "x", status));
    assert!(!set(AuditStatus::Acked).expect("an answer"));
    cx.expect(vec![expect("r", "e", "x", 60_000)]);
    assert!(set(AuditStatus::Acked).expect("set"));
    assert_eq!(cx.status("r"), VerdictStatus::Complete);
    assert!(set(AuditStatus::Missing).expect("set"));
    assert_eq!(cx.status("r"), VerdictStatus::Incomplete);
    cx.ack(ack("r", "a", "x", AckStatus::Success));
    assert_eq!(cx.status("r"), VerdictStatus::Complete, "a later acknowledgement counts");
}

fn a_run_is_stale_after_its_deadline_and_not_at_it(cx: &mut Context) {
    cx.instance.start("r");
    cx.expect(vec![Expect { liveness: true, ..expect("r", "e", "x", 3_600_000) }]);
    assert_eq!(cx.status("r"), VerdictStatus::Pending);
    cx.instance.advance_ms(3_000_000);
    assert_eq!(cx.status("r"), VerdictStatus::Pending);
    cx.instance.advance_ms(1_000_000);
    assert_eq!(cx.status("r"), VerdictStatus::Stale);
}

fn a_retry_that_succeeded_satisfies(cx: &mut Context) {
    cx.instance.start("r");
    cx.expect(vec![expect("r", "e", "x", 60_000)]);
    cx.ack(ack("r", "a", "x", AckStatus::Failed));
    assert_eq!(cx.status("r"), VerdictStatus::Incomplete);
    cx.ack(ack("r", "b", "x", AckStatus::Success));
    let verdict = block_on(cx.store().reconcile(&run_id("r"))).expect("a verdict");
    assert_eq!((verdict.status, verdict.failed.len(), verdict.is_clean()), (VerdictStatus::Complete, 1, true));
}

fn what_waits_is_pending_until_it_is_done_or_cleared(cx: &mut Context) {
    for run in ["p", "q", "r"] {
        cx.instance.start(run);
        cx.expect(vec![expect(run, "e", "x", 1_000)]);
    }
    assert_eq!(cx.pending(), ["p", "q", "r"]);
    cx.ack(ack("q", "a", "x", AckStatus::Success));
    assert_eq!(cx.pending(), ["p", "r"]);
    block_on(cx.store().clear_run(&run_id("p"))).expect("cleared");
    assert_eq!(cx.pending(), ["r"]);
    cx.instance.advance_ms(60_000);
    assert_eq!(cx.status("r"), VerdictStatus::Incomplete);
    assert_eq!(cx.pending(), ["r"], "overdue and judged, it waits all the same");
    cx.expect(vec![expect("p", "f", "y", 1_000)]);
    assert_eq!(cx.pending(), ["p", "r"], "expected again, it is watched again");
}

fn what_is_due_is_found(cx: &mut Context) {
    for (run, deadline_ms) in [("p", 1_000), ("q", 3_600_000)] {
        cx.instance.start(run);
        cx.expect(vec![expect(run, "e", "x", deadline_ms)]);
    }
    let recorded = |run: &str| {
        let page = block_on(cx.store().get_expectations(&run_id(run), &PageRequest::default())).expect("readable");
        page.items[0].deadline
    };
    let before = recorded("p").saturating_add(1_000_000_000);
    cx.instance.advance_ms(2_000);
    let due = block_on(cx.store().due(before, 10)).expect("readable");
    assert!(due.iter().any(|run| run.run_id.as_str() == "p" && run.open == 1), "{due:?}");
    assert!(due.iter().all(|run| run.due.is_some_and(|due| due < before)), "when to look is past: {due:?}");
    assert!(due.iter().all(|run| run.overdue_since.is_none()), "the list of those that wait says it: {due:?}");
    assert!(block_on(cx.store().due(Timestamp::from_nanos(0), 10)).expect("readable").is_empty());
}

/// An earlier store rewrote whole lists: whoever came second lost what the first had said.
fn sixteen_that_acknowledge_at_once_lose_nothing(cx: &mut Context) {
    const EACH: usize = 8;
    cx.instance.start("r");
    cx.expect(vec![Expect { count: 16 * 8, ..expect("r", "e", "x", 600_000) }]);
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for worker in 0..16 {
            let (store, start) = (cx.store(), &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..EACH {
                    let id = format!("w{worker}-{n}");
                    block_on(store.add_ack(ack("r", &id, "x", AckStatus::Success))).expect("noted");
                }
            });
        }
    });
    assert_eq!((cx.acks("r").len(), cx.status("r")), (16 * EACH, VerdictStatus::Complete));
    cx.instance.reopen();
    assert_eq!(cx.acks("r").len(), 16 * EACH);
}

fn a_run_has_a_bounded_number_of_expectations(cx: &mut Context) {
    cx.instance.start("r");
    let many = (0..EXPECTATIONS_MAX).map(|n| expect("r", &format!("e{n}"), "x", 600_000));
    cx.expect(many.collect());
    let error = block_on(cx.store().add_expectations(vec![expect("r", "one-more", "x", 5)])).expect_err("too many");
    assert_eq!(error.code(), "too_many");
    assert_eq!(cx.expect(vec![expect("r", "e0", "x", 600_000)]), Recorded::Duplicate, "identity comes before bounds");
}

fn what_breaks_a_contract_is_refused(cx: &mut Context) {
    cx.instance.start("r");
    let refused = |expect: Expect| block_on(cx.store().add_expectations(vec![expect])).expect_err("refused");
    assert_eq!(refused(expect("r", "e", "x", 0)).code(), "number_out_of_range");
    assert_eq!(refused(Expect { count: 0, ..expect("r", "e", "x", 5) }).path(), Some("/ops/0/count"));
    let odd = Ack { error: Some("why".to_owned()), ..ack("r", "a", "x", AckStatus::Success) };
    assert_eq!(block_on(cx.store().add_ack(odd)).expect_err("refused").code(), "invalid_member");
    let error = block_on(cx.store().get_acks(&run_id("r"), &PageRequest::first(0))).expect_err("no limit");
    assert_eq!(error.code(), "invalid_parameter");
}

fn lists_are_paged(cx: &mut Context) {
    cx.instance.start("r");
    cx.expect((0..5).map(|n| expect("r", &format!("e{n}"), "x", 600_000)).collect());
    for n in 0..5 {
        cx.ack(ack("r", &format!("a{n}"), "x", AckStatus::Success));
    }
    let store = cx.store();
    let ids = |page: Result<Page<id::AckId>>| page.expect("readable").items;
    let acks = |page: &PageRequest| -> Result<Page<id::AckId>> {
        let page = block_on(store.get_acks(&run_id("r"), page))?;
        Ok(Page::of(page.items.into_iter().map(|ack| ack.id).collect(), page.next_cursor))
    };
    let first = acks(&PageRequest::first(2)).expect("readable");
    let next = PageRequest { limit: 2, cursor: first.next_cursor.clone() };
    assert_eq!(first.items.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["a0", "a1"]);
    assert_eq!(ids(acks(&next)).iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["a2", "a3"]);
    let wrong = PageRequest { limit: 2, cursor: Some("nonsense".to_owned()) };
    assert_eq!(acks(&wrong).expect_err("not a cursor").code(), "invalid_cursor");
    let expected = walk(2, |page| block_on(store.get_expectations(&run_id("r"), &page)));
    assert_eq!(expected.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["e0", "e1", "e2", "e3", "e4"]);
}
