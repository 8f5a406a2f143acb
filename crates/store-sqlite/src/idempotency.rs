//! The ledger as a gate: questions go through the group of commits, and are answered once they are durable.

use async_trait::async_trait;
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{
    Arbiter, Ask, Fingerprint, GateListener, IdempotencyResponse, IdempotencyStatus, IdempotencyStore, Ruling, Terms,
    Token, look, status,
};
use tracekeep_store::{Recorded, Result};

use crate::gate;
use crate::ledger::SqliteLedger;

fn complete(token: &Token, response: &Json) -> Ask {
    Ask::Complete { token: *token, response: response.clone() }
}

fn fail(token: &Token, error: &str, retryable: bool) -> Ask {
    Ask::Fail { token: *token, error: error.to_owned(), retryable }
}

impl SqliteLedger {
    fn may_i(&self, request: &Fingerprint, terms: &Terms) -> Ask {
        Ask::Check { fingerprint: *request, terms: terms.clone(), token: Token::random(self.source()) }
    }

    /// Whether the gate knows any key, claims on steps of replays among them: whoever decides about its keys from then on
    /// without asking it may give one out again. Keys that were to be forgotten within the last days may count.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn gate_knows_keys(&self) -> Result<bool> {
        let since = self.forgotten_since();
        self.readers().read(|view| gate::knows_any(view.conn, since))
    }

    /// What was to be looked after earlier than this is known no more.
    fn forgotten_since(&self) -> Timestamp {
        let remember = i64::try_from(self.rules().remembered().as_nanos()).unwrap_or(i64::MAX);
        self.source().now().saturating_add(remember.saturating_neg())
    }

    /// Notes in the file that the gate is in Redis alone, under the ledger's id as its namespace: the ledger's own gate then
    /// refuses every call (`gate_elsewhere`) until [`take_gate_back`](Self::take_gate_back), in this process and in every later
    /// one. As an arbiter it decides all the same. Durable when it returns.
    ///
    /// # Errors
    /// `unsafe_store` where the ledger's gate knows keys; `read_only`; failures of the storage.
    pub fn leave_gate_to_redis(&self) -> Result<()> {
        self.set_gate_elsewhere(true, Some(self.forgotten_since())).map(drop)
    }

    /// Lets the ledger's own gate decide again where it was in Redis alone, and tells whether it was: keys that Redis alone
    /// decided about, and that no arbiter took over, may be given out again. Durable when it returns.
    ///
    /// # Errors
    /// `read_only`; failures of the storage.
    pub fn take_gate_back(&self) -> Result<bool> {
        self.set_gate_elsewhere(false, None)
    }

    /// Whether the gate is in Redis alone.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn gate_is_elsewhere(&self) -> Result<bool> {
        self.readers().read(|view| gate::is_elsewhere(view.conn))
    }

    /// Refuses where the gate is in Redis alone: no other one knows what it decided.
    ///
    /// # Errors
    /// `gate_elsewhere`; where it cannot be read.
    pub fn demand_gate_here(&self) -> Result<()> {
        if self.gate_is_elsewhere()? { Err(gate::elsewhere()) } else { Ok(()) }
    }

    fn stored_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        let stored = self.readers().read(|view| gate::get(view.conn, key))?;
        Ok(status(stored, self.rules(), self.source().now()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl IdempotencyStore for SqliteLedger {
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        self.ask(key, self.may_i(request, terms)).await?.checked()
    }

    async fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        self.ask(key, complete(token, response)).await?.marked()
    }

    async fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        self.ask(key, fail(token, error, retryable)).await?.marked()
    }

    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.ask(key, Ask::Renew { token: *token }).await?.renewed()
    }

    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        self.demand_gate_here()?;
        self.stored_status(key)
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.ask(key, Ask::Delete).await?.deleted()
    }

    fn check_blocking(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        self.ask_blocking(key, self.may_i(request, terms))?.checked()
    }

    fn mark_completed_blocking(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        self.ask_blocking(key, complete(token, response))?.marked()
    }

    fn mark_failed_blocking(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        self.ask_blocking(key, fail(token, error, retryable))?.marked()
    }

    fn renew_blocking(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.ask_blocking(key, Ask::Renew { token: *token })?.renewed()
    }

    fn listen(&self, _: GateListener) {}
}

#[async_trait]
impl Arbiter for SqliteLedger {
    async fn rule(&self, key: &Key, ask: Ask) -> Result<Ruling> {
        self.ask_for_another(key, ask).await
    }

    async fn look(&self, key: &Key, request: &Fingerprint) -> Result<Option<IdempotencyResponse>> {
        let stored = self.readers().read(|view| gate::get(view.conn, key))?;
        Ok(look(stored, *request, self.rules(), self.source().now()))
    }

    async fn stands(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        self.stored_status(key)
    }
}
