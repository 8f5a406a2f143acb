//! The gate in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;

use super::answer::{IdempotencyResponse, IdempotencyStatus};
use super::arbiter::{Arbiter, Ruling, RulingTimes};
use super::decide::{Ask, Next, Reply, decide, look, status};
use super::fingerprint::Fingerprint;
use super::listener::GateListener;
use super::record::Record;
use super::rules::{Rules, Terms, full};
use super::store::IdempotencyStore;
use super::token::Token;
use crate::error::Result;
use crate::receipt::Recorded;
use crate::source::Source;

/// Keys that one call looks after beside its own.
const SWEPT_KEYS: u32 = 4;
/// Bytes of answers and errors beyond which no new key is given out (256 MiB).
const BYTES_MAX: u64 = 256 << 20;

/// The gate in memory: gone with its process. For tests, and for mode local.
///
/// New keys are `gate_full` beyond 256 MiB of answers, too.
#[doc(alias = "InMemoryIdempotencyStore")]
#[derive(Debug)]
pub struct MemoryIdempotencyStore {
    source: Source,
    rules: Rules,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    records: HashMap<Key, Record>,
    /// The keys by the time at which something is to be done with them.
    due: BTreeSet<(Timestamp, Key)>,
    bytes: u64,
    /// When it was last looked at.
    clock: Timestamp,
    times: RulingTimes,
}

impl Default for MemoryIdempotencyStore {
    fn default() -> Self {
        Self::new(Source::default(), Rules::default())
    }
}

impl MemoryIdempotencyStore {
    /// A gate that knows nothing yet; times and tokens come from `source`.
    #[must_use]
    pub fn new(source: Source, rules: Rules) -> Self {
        let kept = Kept {
            records: HashMap::new(),
            due: BTreeSet::new(),
            bytes: 0,
            clock: Timestamp::MIN,
            times: RulingTimes::default(),
        };
        Self { source, rules, kept: Mutex::new(kept) }
    }

    /// Keys that are known.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.lock().records.len() as u64
    }

    /// A key is changed after it was decided, by steps that cannot fail: a poisoned lock guards whole records.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, key: &Key, ask: &Ask) -> Result<Reply> {
        self.decide(&mut self.lock(), key, ask)
    }

    fn decide(&self, kept: &mut Kept, key: &Key, ask: &Ask) -> Result<Reply> {
        ask.check()?;
        let now = kept.now(&self.source);
        kept.sweep(&self.rules, now);
        let stored = kept.records.get(key).cloned();
        let is_known = stored.is_some();
        let (next, reply) = decide(stored, ask, &self.rules, now);
        match next {
            Next::Same => {}
            Next::Put(_) if !is_known && kept.is_full(&self.rules) => return Err(full()),
            Next::Put(record) => kept.put(key, Some(*record), &self.rules),
            Next::Gone => kept.put(key, None, &self.rules),
        }
        reply
    }
}

impl Kept {
    fn now(&mut self, source: &Source) -> Timestamp {
        self.clock = source.now();
        self.clock
    }

    fn is_full(&self, rules: &Rules) -> bool {
        self.records.len() as u64 >= rules.keys_max || self.bytes >= BYTES_MAX
    }

    fn put(&mut self, key: &Key, record: Option<Record>, rules: &Rules) {
        if let Some(record) = &record {
            self.bytes += record.bytes();
            self.due.insert((record.due_at(rules), key.clone()));
        }
        let due_again = record.as_ref().map(|record| record.due_at(rules));
        let before = match record {
            Some(record) => self.records.insert(key.clone(), record),
            None => self.records.remove(key),
        };
        if let Some(before) = before {
            self.bytes -= before.bytes();
            let due = before.due_at(rules);
            if due_again != Some(due) {
                self.due.remove(&(due, key.clone()));
            }
        }
    }

    fn sweep(&mut self, rules: &Rules, now: Timestamp) {
        for _ in 0..SWEPT_KEYS {
            let Some((_, key)) = self.due.first().filter(|(due, _)| *due <= now).cloned() else { return };
            let aged = self.records.get(&key).cloned().and_then(|record| record.aged(rules, now));
            self.put(&key, aged, rules);
        }
    }
}

impl MemoryIdempotencyStore {
    fn may_i(&self, request: &Fingerprint, terms: &Terms) -> Ask {
        Ask::Check { fingerprint: *request, terms: terms.clone(), token: Token::random(&self.source) }
    }
}

fn complete(token: &Token, response: &Json) -> Ask {
    Ask::Complete { token: *token, response: response.clone() }
}

fn fail(token: &Token, error: &str, retryable: bool) -> Ask {
    Ask::Fail { token: *token, error: error.to_owned(), retryable }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl IdempotencyStore for MemoryIdempotencyStore {
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        self.check_blocking(key, request, terms)
    }

    async fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        self.mark_completed_blocking(key, token, response)
    }

    async fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        self.mark_failed_blocking(key, token, error, retryable)
    }

    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.renew_blocking(key, token)
    }

    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        let mut kept = self.lock();
        let now = kept.now(&self.source);
        Ok(status(kept.records.get(key).cloned(), &self.rules, now))
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.ask(key, &Ask::Delete)?.deleted()
    }

    fn check_blocking(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        self.ask(key, &self.may_i(request, terms))?.checked()
    }

    fn mark_completed_blocking(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        self.ask(key, &complete(token, response))?.marked()
    }

    fn mark_failed_blocking(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        self.ask(key, &fail(token, error, retryable))?.marked()
    }

    fn renew_blocking(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.ask(key, &Ask::Renew { token: *token })?.renewed()
    }

    fn listen(&self, _: GateListener) {}
}

#[async_trait]
impl Arbiter for MemoryIdempotencyStore {
    async fn rule(&self, key: &Key, ask: Ask) -> Result<Ruling> {
        let mut kept = self.lock();
        let reply = self.decide(&mut kept, key, &ask);
        let now = kept.clock;
        let time = kept.times.next(&self.source, now);
        let record = kept.records.get(key).cloned().and_then(|record| record.aged(&self.rules, now));
        Ok(Ruling { reply, record, time })
    }

    async fn look(&self, key: &Key, request: &Fingerprint) -> Result<Option<IdempotencyResponse>> {
        let mut kept = self.lock();
        let now = kept.now(&self.source);
        Ok(look(kept.records.get(key).cloned(), *request, &self.rules, now))
    }

    async fn stands(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        self.get_status(key).await
    }
}
