//! The gate: what every backend implements.

use std::fmt::Debug;

use async_trait::async_trait;
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;

use super::answer::{IdempotencyResponse, IdempotencyStatus};
use super::fingerprint::Fingerprint;
use super::listener::GateListener;
use super::rules::Terms;
use super::token::Token;
use crate::block_on;
use crate::error::Result;
use crate::receipt::Recorded;

/// One tenant's gate: lets an effect of a caller's own happen once.
///
/// # Contract
///
/// **Per key** all calls take effect one after the other, each between its begin and its answer (linearizable). A store that
/// remembers for another one keeps to that while it can be told what was decided; what it was not told may be answered as it
/// stood before, until the lease is over, but never with *new*. A handle
/// reaches the keys of one ledger or namespace alone; no character in a key means anything.
///
/// **Ok.** The answer holds as far as the backend promises (memory promises nothing; SQLite: it survives kill -9 and power
/// loss; the HTTP client: what its server promises). *New* is answered to one caller at a time: the next one gets it only
/// after a retryable failure, after [`delete`](Self::delete), or after the lease is over, and then with another token and a
/// larger attempt.
///
/// **Errors.** A store that cannot answer says so, and never *new*. `outcome()` is *not applied* where the call surely
/// changed nothing, *unknown* where it may have. All calls but `check` can then simply be sent again: who completes, fails
/// or renews twice with the same words is told so and changes nothing. A deletion that is sent again deletes what was given out
/// between the two. A `check` whose answer was lost may hold the
/// lease under a token that nobody knows: asking again is answered *in progress* until that lease is over.
///
/// **Clock.** Leases and times are the store's, never the caller's. It may be set: set back, no lease lasts longer than its
/// length from then on; set forward, leases and ttls end early.
///
/// **The same request** meets each state as [`IdempotencyResult`](super::IdempotencyResult) says; **another request** is a
/// conflict in every state, for as long as the key is known. The answer is kept for the ttl; key and fingerprint are known
/// for as long as the store's [`Rules`](super::Rules) say beyond it, and the same request is then a duplicate whose answer
/// is expired.
///
/// **After a retryable failure** the key is absent: its status is `None`, any request is new, whoever completes it is told
/// `key_not_found`. Attempts go on counting, so that a larger attempt is always the later one. After `delete` they begin
/// anew.
///
/// **A lease that is over** is not lost until somebody takes it: its last bearer may still complete, fail or renew. From
/// then on it is told `lease_lost`. Only a resource that refuses a smaller `attempt` is safe from a bearer that went on
/// meanwhile.
///
/// **Limits.** An answer has at most 1 MiB and an error 4 KiB (`too_large`); lease 1 ms to a day, ttl 1 s to 366 days
/// (`invalid_member`). A new key beyond those that the store may know is `gate_full`; what is forgotten makes room, a bounded
/// piece with each call.
#[async_trait]
pub trait IdempotencyStore: Debug + Send + Sync + 'static {
    /// Asks whether the caller is to do what `request` says, and gives it the lease if so.
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse>;

    /// Ends what the bearer of `token` was told to do, with the answer that others get. `duplicate` where it said so before.
    ///
    /// `key_not_found`, and nothing is left behind; `lease_lost`; `conflict` where it was completed with another answer.
    async fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded>;

    /// Says that it failed: for good, or to be tried again. `duplicate` where the bearer said so before.
    ///
    /// `key_not_found`, and nothing is left behind; `lease_lost`.
    async fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded>;

    /// Lets the lease last from now for as long as it was asked for, and tells its end. It never becomes shorter.
    ///
    /// `key_not_found`, `lease_lost`.
    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp>;

    /// How a key stands; `None` where it is not known.
    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>>;

    /// Forgets a key, whatever became of it: the same request is new again. Tells whether it was known.
    async fn delete(&self, key: &Key) -> Result<bool>;

    /// Tells somebody what the answers do not say, from now on. The first one to listen is the only one.
    fn listen(&self, _: GateListener) {}

    /// [`check`](Self::check) for callers without an async runtime; a backend may do it on the calling thread.
    fn check_blocking(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        block_on(self.check(key, request, terms))
    }

    /// [`mark_completed`](Self::mark_completed), likewise.
    fn mark_completed_blocking(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        block_on(self.mark_completed(key, token, response))
    }

    /// [`mark_failed`](Self::mark_failed), likewise.
    fn mark_failed_blocking(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        block_on(self.mark_failed(key, token, error, retryable))
    }

    /// [`renew`](Self::renew), likewise.
    fn renew_blocking(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        block_on(self.renew(key, token))
    }
}
