//! Redis remembers, another gate decides.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{
    Arbiter, Ask, Fingerprint, GateListener, GateWord, IdempotencyResponse, IdempotencyStatus, IdempotencyStore, Reply,
    Ruling, Terms, Token,
};
use tracekeep_store::{Code, Error, Recorded, Result};

use crate::reply::{Noted, Recalled};
use crate::store::RedisIdempotencyStore;

/// The gate in Redis with an arbiter behind it, the ledger's own gate as a rule: Redis remembers, the arbiter decides.
///
/// A check asks Redis first: what it remembers of a key that is done, failed, in progress or stands for another request is
/// the answer. Where it remembers nothing that stands in the way, the arbiter decides, durably, and Redis is told. So *new*
/// is the arbiter's word alone: whatever Redis loses (FLUSHALL, its last second, a replica that was promoted too early) makes
/// no second *new*. If Redis cannot answer, a check is an error that says so, and never *new*.
///
/// The answer of a key that names a run is never in Redis: Redis says that it ended, and the arbiter gives the answer, by a
/// read, for as long as the run is not erased and nothing of it is withheld. So an erasure is whole without Redis.
///
/// An end, a renewal and a deletion go to the arbiter first. If Redis cannot be told of an end, the answer is still the
/// arbiter's: others are told *in progress* until the lease is over, and then what it was. A deletion that Redis was not told
/// of is `commit_unknown`, since the answer would still be given: it is sent again. A Redis that afterwards loses what it was
/// told (its last second, to a promoted replica) may give a deleted key's answer until it is deleted again.
///
/// All processes that share the namespace must have the same arbiter: a ledger has one writer, the server that others ask. A
/// gate without one refuses (`unsafe_store`) to give out, end or delete what Redis knows to be an arbiter's. What Redis alone
/// decided before it had an arbiter is taken over by it, leases, attempts and answers, when it is first asked about.
#[derive(Debug)]
pub struct ArbitratedGate {
    redis: RedisIdempotencyStore,
    arbiter: Arc<dyn Arbiter>,
    listener: OnceLock<GateListener>,
}

impl ArbitratedGate {
    /// The gate in `redis` that `arbiter` decides for.
    #[must_use]
    pub fn new(redis: RedisIdempotencyStore, arbiter: Arc<dyn Arbiter>) -> Self {
        Self { redis, arbiter, listener: OnceLock::new() }
    }

    /// What remembers.
    #[must_use]
    pub const fn redis(&self) -> &RedisIdempotencyStore {
        &self.redis
    }

    /// The arbiter's answer, and whether Redis was told how the key stands: of a refusal, too, so that nobody is told
    /// later how it stood before. A refusal of what neither knows is not kept. What Redis alone decided is taken over first.
    async fn rule(&self, key: &Key, ask: Ask) -> Result<(Reply, Result<()>)> {
        let (ruling, told) = self.ruled(key, ask.clone()).await?;
        if !matches!(told, Ok(Noted::Alone)) {
            return Ok((ruling.reply?, told.map(drop)));
        }
        self.adopt(key).await?;
        let (ruling, told) = self.ruled(key, ask).await?;
        Ok((ruling.reply?, told.map(drop)))
    }

    async fn ruled(&self, key: &Key, ask: Ask) -> Result<(Ruling, Result<Noted>)> {
        let ruling = self.arbiter.rule(key, ask).await?;
        let told = self.redis.note(key, &ruling).await;
        if let (Err(error), Some(listener)) = (&told, self.listener.get()) {
            listener.tell(&GateWord::Untold { code: error.code() });
        }
        Ok((ruling, told))
    }

    /// Lets the arbiter keep what Redis alone decided about a key, so that from now on it is the arbiter's to decide.
    async fn adopt(&self, key: &Key) -> Result<()> {
        let Some((record, now)) = self.redis.alone(key).await? else { return Ok(()) };
        let (ruling, _) = self.ruled(key, Ask::Adopt { record: Box::new(record), now }).await?;
        ruling.reply.map(drop)
    }
}

#[async_trait]
impl IdempotencyStore for ArbitratedGate {
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        terms.check()?;
        match self.redis.recall(key, request).await? {
            Recalled::Answer(answer) => return Ok(*answer),
            Recalled::Ended => {
                if let Some(answer) = self.arbiter.look(key, request).await? {
                    return Ok(answer);
                }
            }
            Recalled::Alone => self.adopt(key).await?,
            Recalled::Nothing => {}
        }
        let token = Token::random(self.redis.source());
        let (reply, _) = self.rule(key, Ask::Check { fingerprint: *request, terms: terms.clone(), token }).await?;
        reply.checked()
    }

    async fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        self.rule(key, Ask::Complete { token: *token, response: response.clone() }).await?.0.marked()
    }

    async fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        self.rule(key, Ask::Fail { token: *token, error: error.to_owned(), retryable }).await?.0.marked()
    }

    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.rule(key, Ask::Renew { token: *token }).await?.0.renewed()
    }

    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        match self.arbiter.stands(key).await? {
            None => self.redis.status_alone(key).await,
            known => Ok(known),
        }
    }

    fn listen(&self, listener: GateListener) {
        // The first one stays.
        let _ = self.listener.set(listener);
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let (reply, told) = self.rule(key, Ask::Delete).await?;
        told.map_err(|error| {
            let detail = "the key is deleted, and Redis could not be told: delete it again";
            Error::new(Code::CommitUnknown, detail).because(error)
        })?;
        reply.deleted()
    }
}
