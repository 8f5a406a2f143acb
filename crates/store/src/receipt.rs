//! The answer to a batch.

use tracekeep_audit::{AuditVerdict, VerdictStatus};
use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{ItemId, RunId};
use tracekeep_core::wire::{object, object_field, words};

words! {
    /// Whether something new was recorded.
    pub enum Recorded {
        /// It was.
        Recorded = "recorded",
        /// All of it was there before.
        Duplicate = "duplicate",
    }
}

object! {
    /// The answer to a batch: durable when given. A duplicate differs from its original in `outcome` alone.
    pub struct Receipt {
        /// `recorded` if any op was new.
        required outcome: Recorded,
        /// The last log index of the batch + 1; of duplicates, of the latest original.
        required tree_size: u64,
        /// The root at that size.
        required root: Hash,
        /// For each op, in order.
        required ops: Vec<OpReceipt>,
        /// Whether the batch's idempotency key had been used for this very batch before.
        aside replayed: bool,
    }
}

object! {
    /// What became of one op.
    pub struct OpReceipt {
        /// Whether it was new.
        required outcome: Recorded,
        /// Its entry.
        required log_index: u64,
        /// The entry's leaf hash.
        required leaf_hash: Hash,
        /// The run, of an op that starts one.
        optional run_id: RunId,
        /// The trace, expectation or acknowledgement, of an op that records one.
        optional id: ItemId,
        /// What an embedded ledger tells beside; it never comes over a wire.
        aside told: Told,
    }
}

/// What is known when an op of an audit is decided, for whoever counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The verdict, of an op that asks for one or seals a run with an audit.
    pub verdict: Option<Box<AuditVerdict>>,
    /// What the run's verdict before that one said, and when it was recorded.
    pub before: Option<(VerdictStatus, Timestamp)>,
    /// Of an acknowledgement: nanoseconds since the action was first expected; `None` where nobody expects it.
    pub waited_ns: Option<i64>,
}

object_field!(OpReceipt);
