//! The facts of an audit, as reconciliation looks at them.

use tracekeep_core::Timestamp;
use tracekeep_core::id::{AckId, ExpectationId};
use tracekeep_core::model::{AckStatus, AuditStatus, Expect};

/// An expectation with the moment by which it must be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectationFact {
    /// Its id.
    pub id: ExpectationId,
    /// The part of the system that must act.
    pub domain: String,
    /// What it must do.
    pub action: String,
    /// The last moment that is in time.
    pub deadline: Timestamp,
    /// Whether it may stay undone; never of a liveness check.
    pub optional: bool,
    /// How many times it must happen, from 1.
    pub count: u32,
    /// Whether the run counts as dead when nobody has acted by the deadline.
    pub liveness: bool,
}

impl ExpectationFact {
    /// The fact of an expectation that was recorded at `recorded_at`. `orchestrator`/`finalize_run` is always a liveness
    /// check.
    #[must_use]
    pub fn new(id: ExpectationId, expect: &Expect, recorded_at: Timestamp) -> Self {
        let nanos = i64::try_from(expect.deadline_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let liveness = expect.is_liveness();
        Self {
            id,
            domain: expect.domain.clone(),
            action: expect.action.clone(),
            deadline: recorded_at.saturating_add(nanos),
            optional: expect.optional && !liveness,
            count: expect.count.max(1),
            liveness,
        }
    }
}

/// Who says something of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A part of the system acknowledges.
    Ack {
        /// The acknowledgement.
        id: AckId,
        /// How it went.
        status: AckStatus,
    },
    /// A status was set by hand: it holds until a later acknowledgement.
    ByHand(AuditStatus),
}

/// Something that was said of an action, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The part of the system.
    pub domain: String,
    /// What it did.
    pub action: String,
    /// When it was received, by the clock of whatever keeps it.
    pub at: Timestamp,
    /// Its place in the log: events of one moment are in this order.
    pub log_index: u64,
    /// What was said.
    pub said: Said,
}

impl Event {
    /// An acknowledgement.
    #[must_use]
    pub fn ack(
        id: AckId,
        domain: impl Into<String>,
        action: impl Into<String>,
        status: AckStatus,
        at: Timestamp,
        log_index: u64,
    ) -> Self {
        Self { domain: domain.into(), action: action.into(), at, log_index, said: Said::Ack { id, status } }
    }

    /// A status set by hand.
    #[must_use]
    pub fn by_hand(
        domain: impl Into<String>,
        action: impl Into<String>,
        status: AuditStatus,
        at: Timestamp,
        log_index: u64,
    ) -> Self {
        Self { domain: domain.into(), action: action.into(), at, log_index, said: Said::ByHand(status) }
    }
}
