//! Bugs that others had, planted into the gate in memory: the suite finds each of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tracekeep_conformance::gate::gate_failures;
use tracekeep_conformance::{GateHarness, GateInstance, GateMemory};
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{
    Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, IdempotencyStore, Rules, Terms, Token,
};
use tracekeep_store::{Recorded, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// Looks first, then claims: two callers are told to go.
    LookThenClaim,
    /// What is kept beside the store is answered without comparing the request.
    CacheWithoutCompare,
    /// Somebody's work is answered as done.
    InProgressIsDuplicate,
    /// An end by whoever lost the lease is taken.
    LateOwnerIsHeard,
    /// An end to what nobody began is taken.
    UnknownIsCompleted,
    /// What may be tried again stays failed.
    FailureStays,
    /// An answer outlives its ttl.
    AnswerStays,
    /// Renewing says yes and does nothing.
    RenewalForgotten,
    /// Deleting says yes and does nothing.
    DeletionForgotten,
    /// Every attempt is the first.
    AttemptsDoNotCount,
}

#[derive(Debug)]
struct Buggy {
    inner: Arc<dyn IdempotencyStore>,
    bug: Bug,
    answers: Arc<Mutex<HashMap<Key, Json>>>,
}

#[async_trait]
impl IdempotencyStore for Buggy {
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        if self.bug == Bug::LookThenClaim && self.inner.get_status(key).await?.is_none() {
            std::thread::yield_now();
            self.inner.delete(key).await?;
        }
        let mut answer = self.inner.check(key, request, terms).await?;
        let kept = self.answers.lock().expect("no panic").get(key).cloned();
        match (self.bug, answer.result, kept) {
            (Bug::CacheWithoutCompare, IdempotencyResult::Conflict, Some(kept)) => {
                (answer.result, answer.response) = (IdempotencyResult::Duplicate, Some(kept));
            }
            (Bug::AnswerStays, IdempotencyResult::Duplicate, Some(kept)) => {
                (answer.expired, answer.response) = (false, Some(kept));
            }
            (Bug::InProgressIsDuplicate, IdempotencyResult::InProgress, _) => {
                answer.result = IdempotencyResult::Duplicate;
            }
            (Bug::AttemptsDoNotCount, _, _) => answer.attempt = 1,
            _ => {}
        }
        Ok(answer)
    }

    async fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        let done = self.inner.mark_completed(key, token, response).await;
        if done.is_ok() {
            self.answers.lock().expect("no panic").insert(key.clone(), response.clone());
        }
        match (self.bug, done) {
            (Bug::LateOwnerIsHeard, Err(error)) if error.code() == "lease_lost" => Ok(Recorded::Recorded),
            (Bug::UnknownIsCompleted, Err(error)) if error.code() == "key_not_found" => Ok(Recorded::Recorded),
            (_, done) => done,
        }
    }

    async fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        self.inner.mark_failed(key, token, error, retryable && self.bug != Bug::FailureStays).await
    }

    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        if self.bug == Bug::RenewalForgotten
            && let Some(until) = self.inner.get_status(key).await?.and_then(|status| status.lease_until)
        {
            return Ok(until);
        }
        self.inner.renew(key, token).await
    }

    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        self.inner.get_status(key).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        if self.bug == Bug::DeletionForgotten {
            return self.inner.get_status(key).await.map(|status| status.is_some());
        }
        self.inner.delete(key).await
    }
}

struct Planted(Bug);

struct Opened(Box<dyn GateInstance>, Bug, Arc<Mutex<HashMap<Key, Json>>>);

impl GateHarness for Planted {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        Box::new(Opened(GateMemory.fresh(rules), self.0, Arc::default()))
    }
}

impl GateInstance for Opened {
    fn store(&self) -> Arc<dyn IdempotencyStore> {
        Arc::new(Buggy { inner: self.0.store(), bug: self.1, answers: Arc::clone(&self.2) })
    }

    fn reopen(&mut self) {}

    fn advance_ms(&self, ms: i64) {
        self.0.advance_ms(ms);
    }
}

#[track_caller]
fn check(bug: Bug, found_by: &str) {
    let failed = gate_failures(Planted(bug));
    assert!(failed.contains(&found_by), "{bug:?} is found by {failed:?} alone");
}

#[test]
fn without_a_bug_nothing_is_found() {
    assert_eq!(gate_failures(Planted(Bug::None)), [""; 0]);
}

#[test]
fn each_planted_bug_is_found() {
    check(Bug::LookThenClaim, "of_64_tasks_that_ask_for_one_key_one_is_new");
    check(Bug::CacheWithoutCompare, "another_request_is_a_conflict_in_every_state");
    check(Bug::InProgressIsDuplicate, "who_asks_meanwhile_is_told_to_come_back");
    check(Bug::LateOwnerIsHeard, "a_lease_that_is_over_is_taken_and_the_old_owner_refused");
    check(Bug::UnknownIsCompleted, "completing_an_unknown_key_is_an_error_and_leaves_nothing");
    check(Bug::FailureStays, "after_a_retryable_failure_the_key_is_absent_and_attempts_go_on");
    check(Bug::AnswerStays, "after_the_ttl_the_answer_is_gone_and_the_key_is_known");
    check(Bug::RenewalForgotten, "a_renewed_lease_lasts_from_then_on");
    check(Bug::DeletionForgotten, "a_deleted_key_is_new_and_its_old_owner_is_nobody");
    check(Bug::AttemptsDoNotCount, "attempts_grow_with_each_taking");
}
