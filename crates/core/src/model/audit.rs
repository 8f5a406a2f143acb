//! The audit contract: what should happen in a run, and word of what did.

use crate::id::{AckId, ExpectationId, RunId};
use crate::model::JsonObject;
use crate::wire::{object, words};

words! {
    /// How an attempt went.
    pub enum AckStatus {
        /// It was done.
        Success = "SUCCESS",
        /// It was tried and did not work.
        Failed = "FAILED",
        /// It had been done and was undone.
        RolledBack = "ROLLED_BACK",
    }
}

words! {
    /// Where an expectation stands. Derived from the facts; a status set by hand is itself a fact.
    pub enum AuditStatus {
        /// Inside its deadline, nothing decided.
        Pending = "PENDING",
        /// Done, be it late.
        Acked = "ACKED",
        /// The last attempt failed or was rolled back.
        Failed = "FAILED",
        /// Past its deadline.
        Missing = "MISSING",
    }
}

object! {
    /// Declares that something must happen in a run. The same again is a duplicate.
    pub struct Expect {
        /// Names the run.
        required run_id: RunId,
        /// Names the expectation within its run; generated (`exp-` + UUIDv7) where absent.
        generated id: ExpectationId,
        /// The part of the system that must act, 1 to 256 bytes.
        required domain: String,
        /// What it must do, 1 to 256 bytes.
        required action: String,
        /// Milliseconds from when this is recorded until it must have happened: 1 to ten years.
        required deadline_ms: u64,
        /// Whether it may stay undone.
        default optional: bool = false,
        /// How many times it must happen, 1 to 1,000.
        default count: u32 = 1,
        /// Whether the run counts as dead when nobody has acted by the deadline.
        default liveness: bool = false,
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
    }
}

impl Expect {
    /// Expects `domain` to do `action` once within `deadline_ms` milliseconds.
    #[must_use]
    pub fn new(run_id: RunId, domain: impl Into<String>, action: impl Into<String>, deadline_ms: u64) -> Self {
        Self {
            run_id,
            id: None,
            domain: domain.into(),
            action: action.into(),
            deadline_ms,
            optional: false,
            count: 1,
            liveness: false,
            metadata: JsonObject::default(),
        }
    }
}

object! {
    /// Acknowledges that something was done in a run, failed, or was undone. The same again is a duplicate.
    pub struct Ack {
        /// Names the run.
        required run_id: RunId,
        /// Names the acknowledgement within its run; generated (`ack-` + UUIDv7) where absent.
        generated id: AckId,
        /// The part of the system that acted, 1 to 256 bytes.
        required domain: String,
        /// What it did, 1 to 256 bytes.
        required action: String,
        /// How it went.
        default status: AckStatus = AckStatus::Success,
        /// What it made, by its id; 256 bytes at most.
        optional result_id: String,
        /// What went wrong; of FAILED and ROLLED_BACK alone.
        optional error: String,
        /// Why it was undone; of ROLLED_BACK alone.
        optional rollback_reason: String,
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
    }
}

impl Ack {
    /// Says that `domain` did `action`.
    #[must_use]
    pub fn new(run_id: RunId, domain: impl Into<String>, action: impl Into<String>, status: AckStatus) -> Self {
        Self {
            run_id,
            id: None,
            domain: domain.into(),
            action: action.into(),
            status,
            result_id: None,
            error: None,
            rollback_reason: None,
            metadata: JsonObject::default(),
        }
    }
}
