//! What the same request and another one meet in each state.

use tracekeep_core::json::Json;
use tracekeep_store::gate::{Fingerprint, GateState, IdempotencyResult, Terms};
use tracekeep_store::{Recorded, block_on};

use crate::gate::context::{Gate, LEASE_MS, REMEMBER_S, TTL_S, json, key, request, run_id, terms};

cases!("states":
    an_unknown_key_is_new_and_given_out_with_a_lease,
    who_asks_meanwhile_is_told_to_come_back,
    what_was_done_is_a_duplicate_with_the_first_answer,
    another_request_is_a_conflict_in_every_state,
    what_failed_for_good_is_failed_to_everybody,
    a_failure_without_a_reason_is_no_expired_one,
    after_a_retryable_failure_the_key_is_absent_and_attempts_go_on,
    after_the_ttl_the_answer_is_gone_and_the_key_is_known,
    after_the_ttl_a_failure_is_one_without_its_reason,
    what_is_forgotten_is_new,
    a_deleted_key_is_new_and_its_old_owner_is_nobody,
    equal_requests_are_one_request,
    a_raw_fingerprint_is_accepted,
    every_answer_comes_back_as_it_was,
    the_run_is_told_to_those_who_ask_later,
    a_key_stands_for_itself_alone,
    everything_holds_after_reopening,
);

use IdempotencyResult::{Conflict, Duplicate, Failed, InProgress, New};

fn an_unknown_key_is_new_and_given_out_with_a_lease(cx: &mut Gate) {
    assert_eq!(cx.status("k"), None);
    let answer = cx.is("k", "a", New);
    assert_eq!((answer.attempt, answer.stored_hash, answer.stored_trace_id), (1, request("a"), None));
    assert_eq!((answer.response, answer.error, answer.expired, answer.retry_after_ms), (None, None, false, None));
    let status = cx.status("k").expect("known");
    assert_eq!((status.state, status.stored_hash, status.attempt), (GateState::InProgress, request("a"), 1));
    assert_eq!(status.created_at, status.claimed_at);
    let lease = status.claimed_at.saturating_add((LEASE_MS * 1_000_000).cast_signed());
    assert_eq!((status.lease_until, answer.lease_until), (Some(lease), Some(lease)));
    assert_eq!((status.ended_at, status.expires_at, status.expired, status.error), (None, None, false, None));
}

fn who_asks_meanwhile_is_told_to_come_back(cx: &mut Gate) {
    cx.claim("k", "a");
    for _ in 0..3 {
        cx.advance_s(3);
        let answer = cx.is("k", "a", InProgress);
        assert!(!answer.is_duplicate(), "nothing was done yet");
        assert_eq!((answer.attempt, answer.response, answer.token), (1, None, None));
        let left = answer.retry_after_ms.expect("when to come back");
        assert!((1..LEASE_MS).contains(&left), "{left}");
        assert_eq!(answer.lease_until, cx.status("k").expect("known").lease_until);
    }
}

fn what_was_done_is_a_duplicate_with_the_first_answer(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    assert_eq!(cx.complete("k", &token, r#"{"ok":1}"#).expect("done"), Recorded::Recorded);
    for _ in 0..2 {
        let answer = cx.is("k", "a", Duplicate);
        assert_eq!((answer.response, answer.expired, answer.attempt), (Some(json(r#"{"ok":1}"#)), false, 1));
        assert_eq!((answer.retry_after_ms, answer.lease_until, answer.error), (None, None, None));
    }
    let status = cx.status("k").expect("known");
    assert_eq!((status.state, status.lease_until, status.expired), (GateState::Completed, None, false));
    let ttl = (TTL_S * 1_000_000_000).cast_signed();
    assert_eq!(status.expires_at, status.ended_at.map(|ended| ended.saturating_add(ttl)));
}

fn another_request_is_a_conflict_in_every_state(cx: &mut Gate) {
    let meets = |cx: &Gate, name: &str, when: &str| {
        let before = cx.status(name);
        let answer = cx.check(name, "b");
        assert_eq!((answer.result, answer.stored_hash), (Conflict, request("a")), "{when}");
        assert_eq!((answer.response, answer.error, answer.token), (None, None, None), "{when}: nothing is told");
        assert_eq!(cx.status(name), before, "{when}: and nothing changed");
    };
    let done = cx.claim("done", "a");
    meets(cx, "done", "in progress");
    cx.complete("done", &done, "1").expect("done");
    meets(cx, "done", "completed");
    let failed = cx.claim("failed", "a");
    cx.fail("failed", &failed, "no", false).expect("failed");
    meets(cx, "failed", "failed for good");
    cx.claim("left", "a");
    cx.advance_s(LEASE_MS / 1_000 + 1);
    meets(cx, "left", "in progress, the lease over");
    cx.advance_s(TTL_S);
    meets(cx, "done", "completed, the ttl over");
    meets(cx, "failed", "failed, the ttl over");
    cx.claim("left", "a");
    meets(cx, "left", "taken over");
}

fn what_failed_for_good_is_failed_to_everybody(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    assert_eq!(cx.fail("k", &token, "card declined", false).expect("failed"), Recorded::Recorded);
    for _ in 0..2 {
        let answer = cx.is("k", "a", Failed);
        assert_eq!((answer.error.as_deref(), answer.response, answer.expired), (Some("card declined"), None, false));
    }
    let status = cx.status("k").expect("known");
    assert_eq!((status.state, status.error.as_deref()), (GateState::Failed, Some("card declined")));
}

/// A reason that was empty, as it is unless told, was not kept: who asked was told that its ttl was over.
fn a_failure_without_a_reason_is_no_expired_one(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    cx.fail("k", &token, "", false).expect("failed");
    for reopened in [false, true] {
        if reopened {
            cx.reopen();
        }
        let answer = cx.is("k", "a", Failed);
        assert_eq!((answer.error.as_deref(), answer.expired), (Some(""), false));
        let status = cx.status("k").expect("known");
        assert_eq!((status.error.as_deref(), status.expired), (Some(""), false));
    }
}

fn after_a_retryable_failure_the_key_is_absent_and_attempts_go_on(cx: &mut Gate) {
    let first = cx.claim("k", "a");
    assert_eq!(cx.fail("k", &first, "timeout", true).expect("failed"), Recorded::Recorded);
    assert_eq!(cx.status("k"), None);
    assert_eq!(cx.complete("k", &first, "1").expect_err("it is absent").code(), "key_not_found");
    assert!(!cx.delete("nothing"));
    let again = cx.is("k", "b", New);
    assert_eq!((again.attempt, again.stored_hash), (2, request("b")), "any request, and a larger attempt");
    let second = again.token.expect("a token");
    assert_ne!(second, first);
    cx.refuses("k", &first, "lease_lost");
    cx.fail("k", &second, "timeout", true).expect("failed");
    assert_eq!(cx.is("k", "a", New).attempt, 3);
}

fn after_the_ttl_the_answer_is_gone_and_the_key_is_known(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    cx.complete("k", &token, "1").expect("done");
    cx.advance_s(TTL_S - 2);
    assert_eq!(cx.is("k", "a", Duplicate).response, Some(json("1")));
    cx.advance_s(3);
    for _ in 0..2 {
        let answer = cx.is("k", "a", Duplicate);
        assert_eq!((answer.response, answer.expired), (None, true));
        cx.is("k", "b", Conflict);
        cx.advance_s(REMEMBER_S / 3);
    }
    let status = cx.status("k").expect("known");
    assert_eq!((status.state, status.expired), (GateState::Completed, true));
    assert_eq!(cx.complete("k", &token, "1").expect("said before"), Recorded::Duplicate);
}

fn after_the_ttl_a_failure_is_one_without_its_reason(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    cx.fail("k", &token, "card declined", false).expect("failed");
    cx.advance_s(TTL_S + 1);
    let answer = cx.is("k", "a", Failed);
    assert_eq!((answer.error, answer.expired), (None, true));
    assert_eq!(cx.status("k").expect("known").error, None);
}

fn what_is_forgotten_is_new(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    cx.complete("k", &token, "1").expect("done");
    let failed = cx.claim("f", "a");
    cx.fail("f", &failed, "no", false).expect("failed");
    cx.claim("left", "a");
    cx.advance_s(TTL_S + REMEMBER_S + LEASE_MS / 1_000 + 1);
    for name in ["k", "f", "left"] {
        assert_eq!(cx.status(name), None);
        assert_eq!(cx.complete(name, &token, "1").expect_err("forgotten").code(), "key_not_found");
        assert_eq!(cx.is(name, "b", New).attempt, 1);
    }
}

fn a_deleted_key_is_new_and_its_old_owner_is_nobody(cx: &mut Gate) {
    let token = cx.claim("k", "a");
    assert!(cx.delete("k"));
    assert!(!cx.delete("k"), "it is gone");
    assert_eq!(cx.status("k"), None);
    cx.refuses("k", &token, "key_not_found");
    assert_eq!(cx.is("k", "b", New).attempt, 1);
    cx.refuses("k", &token, "lease_lost");
    let done = cx.claim("done", "a");
    cx.complete("done", &done, "1").expect("done");
    assert!(cx.delete("done"));
    cx.is("done", "b", New);
}

fn equal_requests_are_one_request(cx: &mut Gate) {
    let check = |text: &str| {
        let request = Fingerprint::of(&json(text));
        block_on(cx.store().check(&key("k"), &request, &terms())).expect("an answer").result
    };
    assert_eq!(check(r#"{"task":"X","n":1}"#), New);
    for same in [r#"{"n":1,"task":"X"}"#, r#" { "n" : 1.0, "task" : "\u0058" } "#, r#"{"n":1e0,"task":"X"}"#] {
        assert_eq!(check(same), InProgress, "{same}");
    }
    for other in [r#"{"task":"X"}"#, r#"{"n":"1","task":"X"}"#, r#"[{"n":1,"task":"X"}]"#, "null"] {
        assert_eq!(check(other), Conflict, "{other}");
    }
}

/// `printf '{"task":"X"}' | sha256sum`
fn a_raw_fingerprint_is_accepted(cx: &mut Gate) {
    let digest = "887fd086fbede164a534a84726c65d12bb3889fb8b6327a5f7e7d45d4eefbc68";
    let raw: Fingerprint = digest.parse().expect("64 hex digits");
    let check = |request: &Fingerprint| block_on(cx.store().check(&key("k"), request, &terms())).expect("an answer");
    assert_eq!((check(&raw).result, check(&raw).stored_hash.to_string()), (New, digest.to_owned()));
    assert_eq!(check(&Fingerprint::of(&json(r#"{"task": "X"}"#))).result, InProgress, "it is that request's own");
    assert_eq!(check(&Fingerprint::raw(request("a").hash())).result, Conflict);
}

fn every_answer_comes_back_as_it_was(cx: &mut Gate) {
    let long = format!("{:?}", "é".repeat(50_000));
    let answers = ["null", "1", r#""""#, "[]", "{}", r#"{"a":[null,{"b":9007199254740993}],"\n":"\u0000"}"#, &long];
    for (n, answer) in answers.into_iter().enumerate() {
        let name = format!("k{n}");
        let token = cx.claim(&name, "a");
        cx.complete(&name, &token, answer).expect("done");
        let again = cx.is(&name, "a", Duplicate);
        assert_eq!((again.response, again.expired), (Some(json(answer)), false));
    }
}

fn the_run_is_told_to_those_who_ask_later(cx: &mut Gate) {
    let of_run = |run: &str| Terms { run_id: Some(run_id(run)), ..terms() };
    let told = |cx: &Gate, sent: &str| cx.check_under("k", sent, &of_run("run-2")).stored_trace_id;
    let first = cx.check_under("k", "a", &of_run("run-1"));
    assert_eq!(first.stored_trace_id, Some(run_id("run-1")));
    assert_eq!(told(cx, "a"), Some(run_id("run-1")), "in progress");
    assert_eq!(told(cx, "b"), Some(run_id("run-1")), "a conflict");
    assert_eq!(cx.status("k").expect("known").run_id, Some(run_id("run-1")));
    cx.advance_s(LEASE_MS / 1_000 + 1);
    assert_eq!(cx.check("k", "a").stored_trace_id, Some(run_id("run-1")), "taken over by who names none");
    cx.advance_s(LEASE_MS / 1_000 + 1);
    let taken = cx.check_under("k", "a", &of_run("run-3"));
    assert_eq!(taken.stored_trace_id, Some(run_id("run-3")), "taken over");
    cx.complete("k", &taken.token.expect("a token"), "1").expect("done");
    assert_eq!(told(cx, "a"), Some(run_id("run-3")), "a duplicate");
}

/// Tenant `a` with key `b:c` was tenant `a:b` with key `c` in an earlier system.
fn a_key_stands_for_itself_alone(cx: &mut Gate) {
    let longest = "k".repeat(255);
    let names =
        ["a", "a:b", "a/b", "a:b:c", "b:c", "{a}", "{a}:idem", "}", "%7Ba%7D", "%", "a?x=1", "*", "...", &longest];
    let tokens: Vec<_> = names.iter().map(|name| (name, cx.claim(name, name))).collect();
    for (name, token) in &tokens {
        cx.complete(name, token, &Json::from(**name).to_string()).expect("done");
    }
    for (name, _) in &tokens {
        assert_eq!(cx.is(name, name, Duplicate).response, Some(Json::from(**name)));
    }
}

fn everything_holds_after_reopening(cx: &mut Gate) {
    let done = cx.claim("done", "a");
    cx.complete("done", &done, "1").expect("done");
    let failed = cx.claim("failed", "a");
    cx.fail("failed", &failed, "no", false).expect("failed");
    let again = cx.claim("again", "a");
    cx.fail("again", &again, "no", true).expect("failed");
    let held = cx.claim("held", "a");
    let before: Vec<_> = ["done", "failed", "again", "held"].iter().map(|name| cx.status(name)).collect();
    cx.reopen();
    let after: Vec<_> = ["done", "failed", "again", "held"].iter().map(|name| cx.status(name)).collect();
    assert_eq!(after, before);
    assert_eq!(cx.is("done", "a", Duplicate).response, Some(json("1")));
    cx.is("done", "b", Conflict);
    cx.is("failed", "a", Failed);
    cx.is("held", "a", InProgress);
    assert_eq!(cx.is("again", "a", New).attempt, 2);
    assert_eq!(cx.complete("held", &held, "2").expect("its bearer lives"), Recorded::Recorded);
}
