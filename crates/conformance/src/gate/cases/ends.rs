//! Completing and failing: who may, and what the same words again are answered with.

use tracekeep_store::Recorded;
use tracekeep_store::gate::IdempotencyResult;

use crate::gate::context::{Gate, foreign, json};

cases!("ends":
    completing_an_unknown_key_is_an_error_and_leaves_nothing,
    completing_again_is_a_duplicate_and_another_answer_a_conflict,
    failing_again_is_a_duplicate,
    what_was_ended_one_way_is_not_ended_another,
    only_the_bearer_of_the_token_may,
);

/// It made a record without digest or expiry in an earlier system, which was a conflict for everybody, for good.
fn completing_an_unknown_key_is_an_error_and_leaves_nothing(cx: &mut Gate) {
    cx.refuses("k", &foreign(), "key_not_found");
    assert_eq!(cx.status("k"), None);
    assert_eq!(cx.is("k", "a", IdempotencyResult::New).attempt, 1);
}

fn completing_again_is_a_duplicate_and_another_answer_a_conflict(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    assert_eq!(cx.complete("k", &token, r#"{"a":1,"b":2}"#).expect("done"), Recorded::Recorded);
    let status = cx.status("k");
    assert_eq!(cx.complete("k", &token, r#"{"b":2,"a":1}"#).expect("said before"), Recorded::Duplicate);
    let error = cx.complete("k", &token, r#"{"a":1}"#).expect_err("another answer");
    assert_eq!(error.code(), "conflict");
    assert_eq!(cx.status("k"), status);
    assert_eq!(cx.check("k", "a").response, Some(json(r#"{"a":1,"b":2}"#)));
}

fn failing_again_is_a_duplicate(cx: &mut Gate) {
    for (name, retryable) in [("good", false), ("retry", true)] {
        let token = cx.claim(name, "a");
        assert_eq!(cx.fail(name, &token, "first", retryable).expect("failed"), Recorded::Recorded);
        let status = cx.status(name);
        assert_eq!(cx.fail(name, &token, "second", retryable).expect("said before"), Recorded::Duplicate);
        assert_eq!(cx.status(name), status, "the first word holds");
    }
}

fn what_was_ended_one_way_is_not_ended_another(cx: &mut Gate) {
    let done = cx.claim("done", "a");
    cx.complete("done", &done, "1").expect("done");
    for retryable in [false, true] {
        assert_eq!(cx.fail("done", &done, "no", retryable).expect_err("it was done").code(), "lease_lost");
    }
    assert_eq!(cx.renewed("done", &done), "lease_lost");
    let failed = cx.claim("failed", "a");
    cx.fail("failed", &failed, "no", false).expect("failed");
    assert_eq!(cx.complete("failed", &failed, "1").expect_err("it failed").code(), "lease_lost");
    assert_eq!(cx.fail("failed", &failed, "no", true).expect_err("for good").code(), "lease_lost");
    assert_eq!(cx.renewed("failed", &failed), "lease_lost");
    let again = cx.claim("again", "a");
    cx.fail("again", &again, "no", true).expect("failed");
    assert_eq!(cx.complete("again", &again, "1").expect_err("it is absent").code(), "key_not_found");
    assert_eq!(cx.fail("again", &again, "no", false).expect_err("it is absent").code(), "key_not_found");
    assert_eq!(cx.renewed("again", &again), "key_not_found");
}

fn only_the_bearer_of_the_token_may(cx: &mut Gate) {
    let other = cx.claim("other", "a");
    for token in [foreign(), other] {
        let own = cx.claim("k", "a");
        cx.refuses("k", &token, "lease_lost");
        cx.complete("k", &own, "1").expect("done");
        cx.refuses("k", &token, "lease_lost");
        assert!(cx.delete("k"));
        let own = cx.claim("k", "a");
        cx.fail("k", &own, "no", false).expect("failed");
        cx.refuses("k", &token, "lease_lost");
        assert!(cx.delete("k"));
    }
}
