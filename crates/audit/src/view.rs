//! What a reader gets of an audit: copies, flat, what was recorded plus what was derived.

use tracekeep_core::Timestamp;
use tracekeep_core::id::{AckId, ExpectationId, RunId};
use tracekeep_core::model::{AckStatus, AuditStatus, JsonObject};
use tracekeep_core::wire::{object, object_field};

use crate::verdict::AuditVerdict;

object! {
    /// An expectation, and where it stands at the time of reading.
    pub struct AuditExpectation {
        /// The run.
        required run_id: RunId,
        /// Its id.
        required id: ExpectationId,
        /// The part of the system that must act.
        required domain: String,
        /// What it must do.
        required action: String,
        /// Milliseconds that it has, from when it was recorded.
        required deadline_ms: u64,
        /// The last moment that is in time.
        required deadline: Timestamp,
        /// Whether it may stay undone.
        default optional: bool = false,
        /// How many times it must happen.
        required count: u32,
        /// Whether the run counts as dead when nobody has acted by the deadline.
        default liveness: bool = false,
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
        /// Where it stands.
        required status: AuditStatus,
        /// When it was met.
        optional acked_at: Timestamp,
        /// Its entry's log index; absent while it is held in front of the ledger.
        optional log_index: u64,
        /// When it was recorded; of what is held in front of the ledger, when it was received there.
        required recorded_at: Timestamp,
        /// When it was received, of what was held in front of the ledger before it was recorded.
        optional received_at: Timestamp,
    }
}

object! {
    /// An acknowledgement.
    pub struct DomainAck {
        /// The run.
        required run_id: RunId,
        /// Its id.
        required id: AckId,
        /// The part of the system that acted.
        required domain: String,
        /// What it did.
        required action: String,
        /// How it went.
        required status: AckStatus,
        /// What it made, by its id.
        optional result_id: String,
        /// What went wrong.
        optional error: String,
        /// Why it was undone.
        optional rollback_reason: String,
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
        /// Its entry's log index; absent while it is held in front of the ledger.
        optional log_index: u64,
        /// When it was recorded; of what is held in front of the ledger, when it was received there.
        required recorded_at: Timestamp,
        /// When it was received, of what was held in front of the ledger before it was recorded.
        optional received_at: Timestamp,
    }
}

object! {
    /// A run's audit in short.
    pub struct AuditSummary {
        /// The run.
        required run_id: RunId,
        /// Expectations.
        required expectations: u64,
        /// Acknowledgements, statuses set by hand included.
        required acks: u64,
        /// Actions that are expected and not done; those that may stay undone do not count.
        required open: u64,
        /// Whether it is watched: something was expected, and the audit was not cleared since.
        required watched: bool,
        /// When the sweeper looks next: once the ledger's clock is past it.
        optional due: Timestamp,
        /// What a verdict would say now; absent while there is nothing to reconcile.
        optional now: AuditVerdict,
        /// The latest verdict that was recorded.
        optional verdict: AuditVerdict,
        /// Its entry: a verdict, or a seal.
        optional verdict_log_index: u64,
        /// When it was recorded.
        optional verdict_recorded_at: Timestamp,
    }
}

object! {
    /// A run that waits, or that something falls due of.
    pub struct PendingRun {
        /// The run.
        required run_id: RunId,
        /// When it started.
        required started_at: Timestamp,
        /// Actions that are expected and not done.
        required open: u64,
        /// When the sweeper looks next.
        optional due: Timestamp,
        /// Of a run that waits, in the list of those: the first deadline that passed of what may not stay undone and is not done.
        optional overdue_since: Timestamp,
        /// The log index of its first entry; absent while all of it is held in front of the ledger.
        optional log_index: u64,
    }
}

object_field!(AuditExpectation, DomainAck, PendingRun);
