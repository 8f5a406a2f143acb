//! The gate over the scripts.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{
    Ask, Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, IdempotencyStore, Record,
    Reply as Decided, Ruling, RulingTime, Terms, Token, status,
};
use tracekeep_store::{Code, Error, Outcome, Recorded, Result, Source};

use crate::connection::Connection;
use crate::options::{Durability, Options};
use crate::reply::{Noted, PHASES, Recalled, Reply};
use crate::script::{self, Operation};

/// All but the characters that RFC 3986 leaves unreserved, so that no part of a key can close its hash tag.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The gate in Redis, 6.2 or newer: processes that share a namespace share it, with no server between.
///
/// What it promises is the server's to keep: [`durability`](Self::durability) says whether the append-only file is on. A
/// replica that is promoted may lack what its primary acknowledged, and would then give a key out again: where that must not
/// be, put an arbiter behind it ([`ArbitratedGate`](crate::ArbitratedGate)), or use the ledger's own gate. The clock is the server's, which may be set back.
///
/// Calls work from any thread and any runtime. Each tokio runtime that asks has a connection of its own, and needs its I/O and
/// its time enabled; threads that wait (`check_blocking`, [`block_on`](tracekeep_store::block_on)) share one, which they drive
/// themselves. A connection that breaks is made anew, and its server is asked what it keeps before anything is sent: one that
/// keeps less than [`durability`](Self::durability) says, or would forget keys, is refused (`unsafe_store`). The nodes of a
/// cluster are asked when it is opened, and not again. What may not happen twice, a deletion, is `commit_unknown` where the
/// server had closed the connection before: that is found out only when something is sent.
///
/// ```no_run
/// use tracekeep_store::gate::{Fingerprint, IdempotencyStore, Terms};
/// use tracekeep_store_redis::RedisIdempotencyStore;
///
/// let gate = RedisIdempotencyStore::connect("redis://127.0.0.1:6379", "payments")?;
/// let request = Fingerprint::of(&tracekeep_core::json::Json::from("order 7"));
/// let answer = gate.check_blocking(&"pay-7".parse()?, &request, &Terms::default())?;
/// assert!(answer.is_new() || answer.is_duplicate() || answer.retry_after_ms.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisIdempotencyStore {
    connection: Connection,
    namespace: String,
    options: Options,
    shift_ms: AtomicI64,
}

impl fmt::Debug for RedisIdempotencyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisIdempotencyStore").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl RedisIdempotencyStore {
    /// Connects to `redis://[user:password@]host:port[/db]`, to `redis+cluster://[user:password@]host:port,host:port`, or to
    /// `redis+sentinel://[user:password@]host:port,host:port/name[/db]`, the primary that these sentinels name; over TLS where
    /// the scheme begins with `rediss`. The namespace is 1 to 255 visible ASCII characters.
    ///
    /// # Errors
    /// `unreachable`; `unsafe_store` where a server is older than 6.2, its `maxmemory-policy` forgets keys, or its certificate
    /// is not trusted; `invalid_parameter`, `invalid_id`.
    pub fn connect(url: &str, namespace: &str) -> Result<Self> {
        Self::connect_with(url, namespace, Options::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with(url: &str, namespace: &str, options: Options) -> Result<Self> {
        let namespace = Key::new(namespace).map_err(|invalid| Error::from(invalid.under("/namespace")))?;
        let connection = Connection::open(url, options.ca.as_deref(), options.timeout, "tracekeep-redis", script::ALL)?;
        Ok(Self { connection, namespace: part(namespace.as_str()), options, shift_ms: AtomicI64::new(0) })
    }

    /// Whether what was acknowledged outlives the server, as it said when it was connected to.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.connection.durability()
    }

    /// Whether another server may take the place of one that is gone: a cluster, or behind sentinels. It may lack what was
    /// acknowledged last, however durable each of them is.
    #[must_use]
    pub fn fails_over(&self) -> bool {
        self.connection.fails_over()
    }

    /// Shifts the server's clock as this handle sees it, for tests.
    #[doc(hidden)]
    pub fn shift_clock_ms(&self, ms: i64) {
        self.shift_ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn keys(&self, key: &Key) -> [String; 2] {
        // Most keys are as long as they are encoded.
        let mut name = String::with_capacity(self.namespace.len() + key.as_str().len() + 16);
        name.extend(["tk:{", &*self.namespace, "/"]);
        name.extend(utf8_percent_encode(key.as_str(), PART));
        name.push_str("}:");
        let answer = [&*name, "answer"].concat();
        name.push_str("idem");
        [name, answer]
    }

    /// What is remembered of a key that an arbiter decided about; `None` where the arbiter is to be asked.
    pub(crate) async fn recall(&self, key: &Key, request: &Fingerprint) -> Result<Recalled> {
        self.ask(script::RECALL, key, vec![text(request)]).await.map_err(unchanged)?.recalled()
    }

    /// All that is kept of a key that Redis alone decided about, and what its clock says.
    pub(crate) async fn alone(&self, key: &Key) -> Result<Option<(Record, Timestamp)>> {
        self.ask(script::ALONE, key, Vec::new()).await.map_err(unchanged)?.alone()
    }

    /// How a key stands that Redis alone decided about.
    pub(crate) async fn status_alone(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        Ok(self.alone(key).await?.and_then(|(record, now)| status(Some(record), &self.options.rules, now)))
    }

    /// Remembers what an arbiter decided about a key, unless a later ruling is remembered.
    pub(crate) async fn note(&self, key: &Key, ruling: &Ruling) -> Result<Noted> {
        let RulingTime { arbiter, at, now } = ruling.time;
        let mut given = vec![text(format!("{:016x}", u64::from_be_bytes(arbiter))), text(at.as_nanos() / 1_000)];
        match &ruling.record {
            Some(record) => {
                let from = |time: Timestamp| (time.as_nanos() - now.as_nanos()) / 1_000;
                let phase = PHASES.iter().find(|(phase, _)| *phase == record.phase).map_or("", |(_, said)| said);
                given.extend([text(phase), text(record.fingerprint), text(record.token)]);
                given.push(text(record.run_id.as_ref().map_or("", |run| run.as_str())));
                given.extend([text(record.attempt), text(record.lease_ms), text(record.ttl_s)]);
                given.extend([record.created_at, record.claimed_at, record.lease_until].map(|time| text(from(time))));
                given.push(record.ended_at.map_or_else(Vec::new, |time| text(from(time))));
                // A run's answers are erased with it, and so are given by the arbiter alone.
                let (error, response) = match &record.run_id {
                    Some(_) => (None, None),
                    None => (record.error.as_deref(), record.response.as_ref()),
                };
                given.push(error.map_or_else(Vec::new, |error| text(format!("={error}"))));
                given.push(text(record.lease_until.as_nanos() / 1_000));
                given.extend(response.map(text));
            }
            // So that a ruling before it, which comes late, is not remembered any more.
            None => {
                let kind = match ruling.reply {
                    Ok(Decided::Deleted(true)) => "deleted",
                    Ok(_) => "absent",
                    Err(_) => "unknown",
                };
                given.extend([[kind, "", "", ""], ["0"; 4]].concat().into_iter().map(text));
                given.extend(["0", "0", "0", "", "0"].map(text));
            }
        }
        self.ask(script::NOTE, key, given).await?.noted()
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.options.source
    }

    async fn ask(&self, operation: Operation, key: &Key, given: Vec<Vec<u8>>) -> Result<Reply> {
        self.ask_again(operation, key, given).await.map(|(reply, _)| reply)
    }

    /// The same, with whether an earlier try may have run, whose answer was lost.
    async fn ask_again(&self, operation: Operation, key: &Key, given: Vec<Vec<u8>>) -> Result<(Reply, bool)> {
        let mut arguments = Vec::with_capacity(2 + given.len());
        arguments.push(text(self.shift_ms.load(Ordering::SeqCst)));
        arguments.push(text(self.options.rules.remembered().as_secs()));
        arguments.extend(given);
        let (value, ran) = self.connection.run_again(operation, self.keys(key).to_vec(), arguments).await?;
        Ok((Reply::read(value)?, ran))
    }
}

/// The failure of a call that only reads: whether it ran or not, nothing was changed.
fn unchanged(error: Error) -> Error {
    if error.outcome() == Outcome::NotApplied {
        return error;
    }
    Error::new(Code::Unreachable, "no answer came from Redis; nothing was changed").because(error)
}

pub(crate) fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

pub(crate) fn text(value: impl ToString) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[async_trait]
impl IdempotencyStore for RedisIdempotencyStore {
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        terms.check()?;
        let token = Token::random(&self.options.source);
        let run = terms.run_id.as_ref().map_or("", |run| run.as_str());
        let Terms { lease_ms, ttl_s, .. } = terms;
        let known_s = self.options.rules.remembered().as_secs().saturating_add(*ttl_s);
        let known_ms = known_s.saturating_mul(1_000).saturating_add(*lease_ms);
        // Six more members are empty.
        let mut record = String::with_capacity(160 + run.len());
        let _ = write!(record, " in_progress {request} {token} 1 {lease_ms} {ttl_s} {run}      ");
        let reply = self.ask(script::CHECK, key, vec![text(known_ms), record.into_bytes()]).await?;
        match reply.fresh()? {
            Some(at) => Ok(IdempotencyResponse {
                result: IdempotencyResult::New,
                stored_hash: *request,
                stored_trace_id: terms.run_id.clone(),
                response: None,
                expired: false,
                token: Some(token),
                attempt: 1,
                lease_until: Some(Timestamp::from_nanos(at.as_nanos() + (lease_ms * 1_000_000).cast_signed())),
                retry_after_ms: None,
                error: None,
            }),
            None => reply.checked(&token),
        }
    }

    async fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        Ask::Complete { token: *token, response: response.clone() }.check()?;
        self.ask(script::COMPLETE, key, vec![text(token), text(response)]).await?.marked()
    }

    async fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        Ask::Fail { token: *token, error: error.to_owned(), retryable }.check()?;
        let given = vec![text(token), text(error), text(u8::from(retryable))];
        let (reply, ran) = self.ask_again(script::FAIL, key, given).await?;
        // Said for the first time it may have freed the key, for whoever has it now.
        let is_freed =
            |error: &Error| [Code::LeaseLost, Code::KeyNotFound].iter().any(|code| error.code() == code.as_str());
        reply.marked().map_err(|error| match ran && is_freed(&error) {
            true => {
                Error::new(Code::CommitUnknown, "the key is not its bearer's any more, perhaps by this").because(error)
            }
            false => error,
        })
    }

    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.ask(script::RENEW, key, vec![text(token)]).await?.renewed()
    }

    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        self.ask(script::STATUS, key, Vec::new()).await.map_err(unchanged)?.status()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.ask(script::DELETE, key, Vec::new()).await?.deleted()
    }
}
