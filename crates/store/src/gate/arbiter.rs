//! A gate that decides for a faster one in front of it.

use async_trait::async_trait;
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;

use super::answer::{IdempotencyResponse, IdempotencyStatus};
use super::decide::{Ask, Reply};
use super::fingerprint::Fingerprint;
use super::record::Record;
use super::store::IdempotencyStore;
use crate::error::Result;
use crate::source::Source;

/// What was decided about a key, for a store that remembers it.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The answer, as the caller gets it.
    pub reply: Result<Reply>,
    /// What is kept of the key from now on.
    pub record: Option<Record>,
    /// When it was decided.
    pub time: RulingTime,
}

/// When something was decided, so that what comes late is told from what is new.
#[derive(Clone, Copy, Debug)]
pub struct RulingTime {
    /// What an arbiter is known by while it is open. A gate has one at a time.
    pub arbiter: [u8; 8],
    /// Of two rulings the later one has the later time, by a microsecond at least.
    pub at: Timestamp,
    /// By the arbiter's clock, which may be set back: what is left of a lease or a ttl is left from here.
    pub now: Timestamp,
}

/// A gate that decides for a faster one in front of it, which remembers what was decided and asks for the rest.
///
/// The one in front answers by itself what is no *new* only, so that losing all that it remembers costs time, and nothing
/// else.
#[async_trait]
pub trait Arbiter: IdempotencyStore {
    /// Decides as the gate's own calls do, as durably, and tells what is kept from now on.
    ///
    /// # Errors
    /// Where nothing was decided, or it is not known whether it was; what is refused is a ruling's reply.
    async fn rule(&self, key: &Key, ask: Ask) -> Result<Ruling>;

    /// What a check is told as the key stands, where that changes nothing; `None` where [`rule`](Self::rule) is to be asked.
    /// It sees every ruling that was answered before.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn look(&self, key: &Key, request: &Fingerprint) -> Result<Option<IdempotencyResponse>>;

    /// How a key stands that it decided about.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn stands(&self, key: &Key) -> Result<Option<IdempotencyStatus>>;
}

/// The times of an arbiter's rulings.
#[derive(Clone, Copy, Debug, Default)]
pub struct RulingTimes(Option<RulingTime>);

impl RulingTimes {
    /// The time of a ruling that is made at `now`.
    pub fn next(&mut self, source: &Source, now: Timestamp) -> RulingTime {
        let next = match self.0 {
            Some(last) => RulingTime { at: now.max(last.at.saturating_add(1_000)), now, ..last },
            None => RulingTime { arbiter: source.bytes(), at: now, now },
        };
        self.0 = Some(next);
        next
    }
}
