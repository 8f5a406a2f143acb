//! What is kept of a key.

use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;

use super::fingerprint::Fingerprint;
use super::rules::Rules;
use super::token::Token;

/// How far a key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Given out.
    InProgress,
    /// Done.
    Completed,
    /// Failed for good.
    Failed,
    /// Failed, to be tried again: absent to everybody, but that attempts go on counting.
    Released,
}

/// What is kept of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How far it has come.
    pub phase: Phase,
    /// The request that it stands for.
    pub fingerprint: Fingerprint,
    /// The run that asked.
    pub run_id: Option<RunId>,
    /// Who holds, or held, the lease.
    pub token: Token,
    /// How often it was given out.
    pub attempt: u64,
    /// Milliseconds of a lease.
    pub lease_ms: u64,
    /// Seconds that the answer is kept.
    pub ttl_s: u64,
    /// When it was first given out.
    pub created_at: Timestamp,
    /// When it was last given out.
    pub claimed_at: Timestamp,
    /// When the lease ends, or ended.
    pub lease_until: Timestamp,
    /// When it was completed, failed or released.
    pub ended_at: Option<Timestamp>,
    /// The answer, until its ttl is over.
    pub response: Option<Json>,
    /// Why it failed, until its ttl is over.
    pub error: Option<String>,
}

impl Record {
    /// Until when answer and error are kept.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        let ttl = i64::try_from(self.ttl_s).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        self.ended_at.unwrap_or(self.lease_until).saturating_add(ttl)
    }

    /// Until when a lease lasts that begins at `now`.
    pub(super) fn lease_from(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(i64::try_from(self.lease_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000))
    }

    /// When the key is forgotten.
    #[must_use]
    pub fn forgotten_at(&self, rules: &Rules) -> Timestamp {
        self.expires_at().saturating_add(rules.remember_nanos())
    }

    /// When a sweep next has something to do with it.
    #[must_use]
    pub fn due_at(&self, rules: &Rules) -> Timestamp {
        if self.response.is_some() || self.error.is_some() { self.expires_at() } else { self.forgotten_at(rules) }
    }

    /// What is left of it at `now`: without its answer once the ttl is over, nothing once it is forgotten. By a clock that was
    /// set back, no lease lasts longer than it was asked for.
    #[must_use]
    pub fn aged(mut self, rules: &Rules, now: Timestamp) -> Option<Self> {
        if now >= self.forgotten_at(rules) {
            return None;
        }
        if self.ended_at.is_some() && now >= self.expires_at() {
            (self.response, self.error) = (None, None);
        }
        if self.phase == Phase::InProgress {
            self.lease_until = self.lease_until.min(self.lease_from(now));
        }
        Some(self)
    }

    /// The same, all its times moved by so many nanoseconds.
    pub(super) fn moved(mut self, nanos: i64) -> Self {
        for time in [&mut self.created_at, &mut self.claimed_at, &mut self.lease_until] {
            *time = time.saturating_add(nanos);
        }
        self.ended_at = self.ended_at.map(|time| time.saturating_add(nanos));
        self
    }

    /// Bytes of answer and error: what it weighs beside its key.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let response = self.response.as_ref().map_or(0, |response| response.as_str().len());
        (response + self.error.as_ref().map_or(0, String::len)) as u64
    }
}
