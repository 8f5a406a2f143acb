//! Bounds: what is over one is refused whole, before anything is written.

use std::sync::Arc;
use std::time::Duration;

use tracekeep_core::json::Json;
use tracekeep_core::limits::{
    GATE_ERROR_BYTES_MAX, GATE_LEASE_MS_MAX, GATE_RESPONSE_BYTES_MAX, GATE_TTL_S_MAX, JSON_DEPTH_MAX,
};
use tracekeep_store::gate::{IdempotencyResult, Rules, Terms};
use tracekeep_store::{ErrorKind, block_on};

use crate::gate::context::{Gate, REMEMBER_S, TTL_S, json, key, request, rules, terms};

cases!("bounds":
    a_lease_and_a_ttl_are_within_their_ranges,
    an_answer_of_a_mebibyte_is_kept_and_a_larger_one_refused,
    an_error_of_4_kib_is_kept_and_a_longer_one_refused,
);

cases!(COUNTED, "bounds":
    no_more_keys_are_known_than_may_be,
    keys_that_are_forgotten_make_room,
);

/// A remaining time of 0 was read as "unset", and held a key for a day, in a system that others use.
fn a_lease_and_a_ttl_are_within_their_ranges(cx: &mut Gate) {
    let (lease_max, ttl_max) = (u64::from(GATE_LEASE_MS_MAX), u64::from(GATE_TTL_S_MAX));
    for (lease_ms, ttl_s, path) in [
        (0, 1, "/lease_ms"),
        (lease_max + 1, 1, "/lease_ms"),
        (u64::MAX, 1, "/lease_ms"),
        (1, 0, "/ttl_s"),
        (1, ttl_max + 1, "/ttl_s"),
        (1, u64::MAX, "/ttl_s"),
    ] {
        let terms = Terms { lease_ms, ttl_s, ..terms() };
        let error = block_on(cx.store().check(&key("k"), &request("a"), &terms)).expect_err("out of range");
        assert_eq!((error.kind(), error.path()), (ErrorKind::Invalid, Some(path)), "{lease_ms} {ttl_s}");
        assert_eq!(cx.status("k"), None);
    }
    for (name, lease_ms, ttl_s) in [("least", 1, 1), ("most", lease_max, ttl_max)] {
        assert!(cx.check_under(name, "a", &Terms { lease_ms, ttl_s, ..terms() }).is_new());
    }
}

fn an_answer_of_a_mebibyte_is_kept_and_a_larger_one_refused(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    let sized = |bytes: u32| Json::from("x".repeat(bytes as usize - 2)).to_string();
    let error = cx.complete("k", &token, &sized(GATE_RESPONSE_BYTES_MAX + 1)).expect_err("too large");
    assert_eq!((error.code(), error.path()), ("too_large", Some("/response")));
    cx.is("k", "a", IdempotencyResult::InProgress);
    let most = sized(GATE_RESPONSE_BYTES_MAX);
    cx.complete("k", &token, &most).expect("done");
    assert_eq!(cx.check("k", "a").response, Some(json(&most)));
    // As deep as it may stand inside an answer.
    let depth = JSON_DEPTH_MAX as usize - 2;
    let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let token = cx.claim("deep", "a");
    cx.complete("deep", &token, &deep).expect("done");
    assert_eq!(cx.check("deep", "a").response, Some(json(&deep)));
}

fn an_error_of_4_kib_is_kept_and_a_longer_one_refused(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    let longest = "é".repeat(GATE_ERROR_BYTES_MAX as usize / 2);
    for retryable in [false, true] {
        let error = cx.fail("k", &token, &format!("{longest}x"), retryable).expect_err("too long");
        assert_eq!((error.code(), error.path()), ("too_large", Some("/error")));
    }
    cx.is("k", "a", IdempotencyResult::InProgress);
    cx.fail("k", &token, &longest, false).expect("failed");
    assert_eq!(cx.check("k", "a").error, Some(longest));
}

fn no_more_keys_are_known_than_may_be(cx: &mut Gate) {
    let mut cx = Gate::with(Arc::clone(&cx.harness), Rules { keys_max: 3, ..rules() });
    let first = cx.claim("k0", "a");
    cx.claim("k1", "a");
    cx.claim("k2", "a");
    for reopened in [false, true] {
        if reopened {
            cx.reopen();
        }
        let error = block_on(cx.store().check(&key("k3"), &request("a"), &terms())).expect_err("no room");
        assert_eq!((error.code(), error.is_retryable()), ("gate_full", true));
        assert_eq!(cx.status("k3"), None);
    }
    cx.complete("k0", &first, "1").expect("who holds a lease can end it");
    cx.is("k0", "a", IdempotencyResult::Duplicate);
    assert!(cx.delete("k0"));
    cx.claim("k3", "a");
    let error = block_on(cx.store().check(&key("k0"), &request("a"), &terms())).expect_err("no room");
    assert_eq!(error.code(), "gate_full");
}

fn keys_that_are_forgotten_make_room(cx: &mut Gate) {
    let remember = Duration::from_secs(REMEMBER_S);
    let cx = Gate::with(Arc::clone(&cx.harness), Rules { keys_max: 30, remember });
    for generation in 0..4 {
        for n in 0..30 {
            let name = format!("k{generation}-{n}");
            let token = cx.claim(&name, "a");
            cx.complete(&name, &token, "1").expect("done");
        }
        cx.advance_s(TTL_S + REMEMBER_S + 1);
    }
}
