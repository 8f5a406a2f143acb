//! Leases: how long they last, and who holds one when they are over.

use tracekeep_store::gate::{IdempotencyResult, Terms};
use tracekeep_store::{Recorded, block_on};

use crate::gate::context::{Gate, LEASE_MS, json, key, terms};

cases!("leases":
    a_lease_that_is_over_is_taken_and_the_old_owner_refused,
    a_lease_that_is_over_is_its_bearers_until_somebody_takes_it,
    a_renewed_lease_lasts_from_then_on,
    renewing_never_makes_a_lease_shorter,
    every_lease_is_as_long_as_it_was_asked_for,
    attempts_grow_with_each_taking,
    a_clock_that_is_set_back_ends_leases_all_the_same,
);

const LEASE_S: u64 = LEASE_MS / 1_000;

use IdempotencyResult::{Duplicate, InProgress, New};

fn a_lease_that_is_over_is_taken_and_the_old_owner_refused(cx: &mut Gate) {
    let old = cx.claim("k", "a");
    cx.advance_s(LEASE_S - 2);
    cx.is("k", "a", InProgress);
    cx.advance_s(3);
    let taken = cx.is("k", "a", New);
    assert_eq!(taken.attempt, 2);
    let new = taken.token.expect("a token");
    assert_ne!(new, old);
    cx.refuses("k", &old, "lease_lost");
    cx.is("k", "a", InProgress);
    cx.complete("k", &new, "2").expect("done");
    cx.refuses("k", &old, "lease_lost");
    assert_eq!(cx.is("k", "a", Duplicate).response, Some(json("2")));
}

fn a_lease_that_is_over_is_its_bearers_until_somebody_takes_it(cx: &mut Gate) {
    let done = cx.claim("done", "a");
    let renewed = cx.claim("renewed", "a");
    cx.advance_s(3 * LEASE_S);
    assert_eq!(cx.complete("done", &done, "1").expect("nobody took it"), Recorded::Recorded);
    cx.is("done", "a", Duplicate);
    assert_eq!(cx.renewed("renewed", &renewed), "ok");
    cx.is("renewed", "a", InProgress);
}

fn a_renewed_lease_lasts_from_then_on(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    for _ in 0..4 {
        cx.advance_s(LEASE_S - 2);
        let until = block_on(cx.store().renew(&key("k"), &token)).expect("renewed");
        assert_eq!(cx.status("k").expect("known").lease_until, Some(until));
        cx.is("k", "a", InProgress);
    }
    assert_eq!(cx.status("k").expect("known").attempt, 1);
    cx.advance_s(LEASE_S + 1);
    cx.is("k", "a", New);
}

fn renewing_never_makes_a_lease_shorter(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    let mut before = cx.status("k").expect("known").lease_until.expect("a lease");
    for _ in 0..3 {
        let until = block_on(cx.store().renew(&key("k"), &token)).expect("renewed");
        assert!(until >= before);
        before = until;
    }
}

fn every_lease_is_as_long_as_it_was_asked_for(cx: &mut Gate) {
    let short = Terms { lease_ms: 5_000, ..terms() };
    let long = Terms { lease_ms: 50_000, ..terms() };
    assert!(cx.check_under("short", "a", &short).is_new());
    let taken = cx.check_under("long", "a", &long).token.expect("new");
    cx.advance_s(6);
    assert!(cx.check_under("short", "a", &long).is_new(), "whoever takes it asks for its own");
    cx.advance_s(30);
    cx.is("short", "a", InProgress);
    assert_eq!(cx.check_under("long", "a", &short).result, InProgress);
    assert_eq!(cx.renewed("long", &taken), "ok");
    cx.advance_s(48);
    cx.is("long", "a", InProgress);
}

fn attempts_grow_with_each_taking(cx: &mut Gate) {
    for attempt in 1..=5 {
        assert_eq!(cx.is("k", "a", New).attempt, attempt);
        cx.advance_s(LEASE_S + 1);
    }
    let status = cx.status("k").expect("known");
    assert_eq!(status.attempt, 5);
    assert!(status.created_at < status.claimed_at);
}

/// A clock that had jumped a day ahead stood still when it was set right: no lease ended for a day.
fn a_clock_that_is_set_back_ends_leases_all_the_same(cx: &mut Gate) {
    cx.advance_s(86_400);
    let ahead = cx.claim("ahead", "a");
    cx.complete("done", &cx.claim("done", "a"), "1").expect("done");
    cx.set_back_s(86_400);
    cx.claim("after", "a");
    for name in ["ahead", "after"] {
        let left_ms = cx.is(name, "a", InProgress).retry_after_ms.expect("when to come back");
        assert!(left_ms <= LEASE_MS, "{name}: {left_ms} ms are left");
    }
    cx.is("done", "a", Duplicate);
    cx.advance_s(LEASE_S + 1);
    for name in ["ahead", "after"] {
        assert_eq!(cx.is(name, "a", New).attempt, 2, "{name}");
    }
    cx.refuses("ahead", &ahead, "lease_lost");
    cx.is("done", "a", Duplicate);
}
