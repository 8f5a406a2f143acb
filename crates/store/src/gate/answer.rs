//! What the gate answers.

use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::wire::{object, words};

use super::fingerprint::Fingerprint;
use super::token::Token;

words! {
    /// What becomes of a request.
    pub enum IdempotencyResult {
        /// The caller holds the lease: it is to do it.
        New = "new",
        /// It was done.
        Duplicate = "duplicate",
        /// Somebody holds the lease.
        InProgress = "in_progress",
        /// The key stands for another request.
        Conflict = "conflict",
        /// It failed for good.
        Failed = "failed",
    }
}

words! {
    /// How a key stands.
    pub enum GateState {
        /// Somebody was told to do it, and has not said how it ended.
        InProgress = "in_progress",
        /// It was done.
        Completed = "completed",
        /// It failed for good.
        Failed = "failed",
    }
}

object! {
    /// The answer to a check.
    pub struct IdempotencyResponse {
        /// What becomes of the request.
        required result: IdempotencyResult,
        /// The fingerprint that the key stands for.
        required stored_hash: Fingerprint,
        /// The run that was recorded with the key.
        optional stored_trace_id: RunId,
        /// Of a duplicate: the first one's answer, unless its ttl is over or its run erased.
        optional response: Json,
        /// Whether the answer, or of one that failed the reason, is no longer kept: its ttl is over, or it was taken away with
        /// what its run held.
        default expired: bool = false,
        /// Of new: what proves that the caller holds the lease.
        optional token: Token,
        /// How often the key was given out, this time included. It only grows, so a resource can refuse a smaller one.
        required attempt: u64,
        /// Until when the lease lasts, by the store's clock; of new and of one in progress.
        optional lease_until: Timestamp,
        /// Of one in progress: milliseconds until the lease ends.
        optional retry_after_ms: u64,
        /// Of one that failed: why, unless its ttl is over.
        optional error: String,
    }
}

impl IdempotencyResponse {
    /// Whether the caller is to do it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.result == IdempotencyResult::New
    }

    /// Whether it was done. False while somebody is still at it.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.result == IdempotencyResult::Duplicate
    }

    /// Whether the key stands for another request.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.result == IdempotencyResult::Conflict
    }
}

object! {
    /// How a key stands. It holds neither the answer nor the token: those are for who asks with the same request.
    pub struct IdempotencyStatus {
        /// How it stands.
        required state: GateState,
        /// The fingerprint that it stands for.
        required stored_hash: Fingerprint,
        /// The run that was recorded with it.
        optional run_id: RunId,
        /// How often it was given out.
        required attempt: u64,
        /// When it was first given out.
        required created_at: Timestamp,
        /// When it was last given out.
        required claimed_at: Timestamp,
        /// While in progress: until when the lease lasts, or lasted.
        optional lease_until: Timestamp,
        /// When it was completed, or failed.
        optional ended_at: Timestamp,
        /// Until when the answer is kept.
        optional expires_at: Timestamp,
        /// Whether the ttl of the answer is over.
        default expired: bool = false,
        /// Of one that failed: why, unless its ttl is over.
        optional error: String,
    }
}
