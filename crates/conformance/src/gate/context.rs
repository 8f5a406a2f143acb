//! What a case works with: one gate, its clock, and checks that name the caller's line.

use std::sync::Arc;
use std::time::Duration;

use tracekeep_core::id::{Key, RunId};
use tracekeep_core::json::Json;
use tracekeep_store::gate::{
    Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, IdempotencyStore, Rules, Terms, Token,
};
use tracekeep_store::{Outcome, Recorded, Result, block_on};

use super::harness::{GateHarness, GateInstance};

/// One open gate. Leases are of 10 s, answers kept for 100 s, keys remembered for 1,000 s more, unless a case says otherwise.
pub struct Gate {
    pub(crate) harness: Arc<dyn GateHarness>,
    instance: Box<dyn GateInstance>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

/// What a case is played by.
pub(crate) const LEASE_MS: u64 = 10_000;
pub(crate) const TTL_S: u64 = 100;
pub(crate) const REMEMBER_S: u64 = 1_000;

pub(crate) fn rules() -> Rules {
    Rules { remember: Duration::from_secs(REMEMBER_S), ..Rules::default() }
}

pub(crate) fn terms() -> Terms {
    Terms { run_id: None, lease_ms: LEASE_MS, ttl_s: TTL_S }
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

pub(crate) fn run_id(text: &str) -> RunId {
    RunId::new(text).expect("a run's id")
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).expect("JSON")
}

/// The fingerprint of a request that `text` tells from others.
pub(crate) fn request(text: &str) -> Fingerprint {
    Fingerprint::of(&Json::from(text))
}

impl Gate {
    pub(crate) fn fresh(harness: Arc<dyn GateHarness>) -> Self {
        Self::with(harness, rules())
    }

    pub(crate) fn with(harness: Arc<dyn GateHarness>, rules: Rules) -> Self {
        let instance = harness.fresh(rules);
        Self { harness, instance }
    }

    pub(crate) fn store(&self) -> Arc<dyn IdempotencyStore> {
        self.instance.store()
    }

    pub(crate) fn reopen(&mut self) {
        self.instance.reopen();
    }

    pub(crate) fn advance_s(&self, seconds: u64) {
        self.instance.advance_ms((seconds * 1_000).cast_signed());
    }

    pub(crate) fn set_back_s(&self, seconds: u64) {
        self.instance.advance_ms(-(seconds * 1_000).cast_signed());
    }

    #[track_caller]
    pub(crate) fn check(&self, name: &str, sent: &str) -> IdempotencyResponse {
        self.check_under(name, sent, &terms())
    }

    #[track_caller]
    pub(crate) fn check_under(&self, name: &str, sent: &str, terms: &Terms) -> IdempotencyResponse {
        let answer = block_on(self.store().check(&key(name), &request(sent), terms));
        let answer = answer.unwrap_or_else(|error| panic!("a check is refused: {error:?}"));
        let (result, conflict) = (answer.result, answer.stored_hash != request(sent));
        assert_eq!(conflict, result == IdempotencyResult::Conflict, "another fingerprint is a conflict, and only that");
        assert_eq!(
            (answer.is_new(), answer.is_duplicate(), answer.is_conflict()),
            (
                result == IdempotencyResult::New,
                result == IdempotencyResult::Duplicate,
                result == IdempotencyResult::Conflict
            )
        );
        assert_eq!(answer.token.is_some(), answer.is_new(), "a token is given with the lease, and never else");
        answer
    }

    /// Checks what must be answered so.
    #[track_caller]
    pub(crate) fn is(&self, name: &str, sent: &str, result: IdempotencyResult) -> IdempotencyResponse {
        let answer = self.check(name, sent);
        assert_eq!(answer.result, result);
        answer
    }

    /// Checks what must be new, and gives its token.
    #[track_caller]
    pub(crate) fn claim(&self, name: &str, sent: &str) -> Token {
        self.is(name, sent, IdempotencyResult::New).token.expect("new comes with a token")
    }

    pub(crate) fn complete(&self, name: &str, token: &Token, response: &str) -> Result<Recorded> {
        block_on(self.store().mark_completed(&key(name), token, &json(response)))
    }

    pub(crate) fn fail(&self, name: &str, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        block_on(self.store().mark_failed(&key(name), token, error, retryable))
    }

    /// The code that renewing is refused with; `ok` where it is not.
    pub(crate) fn renewed(&self, name: &str, token: &Token) -> &'static str {
        block_on(self.store().renew(&key(name), token)).map_or_else(|error| error.code(), |_| "ok")
    }

    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> Option<IdempotencyStatus> {
        block_on(self.store().get_status(&key(name))).expect("a status is readable")
    }

    #[track_caller]
    pub(crate) fn delete(&self, name: &str) -> bool {
        block_on(self.store().delete(&key(name))).expect("a key can be deleted")
    }

    /// Every end and renewal by `token` is refused with `code`, and the key stands as it stood.
    #[track_caller]
    pub(crate) fn refuses(&self, name: &str, token: &Token, code: &str) {
        let before = self.status(name);
        let said = |result: Result<Recorded>| result.map_err(|error| (error.code(), error.outcome()));
        let refused = Err((code, Outcome::NotApplied));
        let refused = refused.map(|(): ()| Recorded::Recorded);
        assert_eq!(said(self.complete(name, token, "1")), refused.clone(), "complete");
        assert_eq!(said(self.fail(name, token, "no", false)), refused.clone(), "fail for good");
        assert_eq!(said(self.fail(name, token, "no", true)), refused, "fail, retryable");
        assert_eq!(self.renewed(name, token), code, "renew");
        assert_eq!(self.status(name), before, "a refusal leaves nothing");
    }
}

/// A token that nobody was given.
pub(crate) fn foreign() -> Token {
    Token::from_bytes([0xee; 16])
}
