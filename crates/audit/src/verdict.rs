//! The verdict: what reconciliation found.

use tracekeep_core::Timestamp;
use tracekeep_core::id::{AckId, ExpectationId};
use tracekeep_core::wire::{object, object_field, words};

/// Findings that one list of a verdict holds; together they take [`tracekeep_core::limits::VERDICT_BYTES_MAX`] bytes at most.
/// [`AuditVerdict::truncated`] says where there are more.
pub const LISTED_MAX: usize = 1_000;

words! {
    /// What is to be said of the run as a whole.
    pub enum VerdictStatus {
        /// Everything that was expected was done, be it late or at a later attempt, and nothing else.
        Complete = "COMPLETE",
        /// Something is still to be done, inside its deadline.
        Pending = "PENDING",
        /// Something is missing, failed or rolled back, or was done that nobody expected.
        Incomplete = "INCOMPLETE",
        /// The liveness check is past its deadline and nobody has acknowledged it: the run is taken for dead.
        Stale = "STALE",
    }
}

object! {
    /// One thing that was found, of an expectation or of an acknowledgement.
    pub struct AuditFinding {
        /// The part of the system.
        required domain: String,
        /// What it should have done, or did.
        required action: String,
        /// The expectation.
        optional expectation_id: ExpectationId,
        /// The acknowledgement; none where a status was set by hand, or nothing was said.
        optional ack_id: AckId,
        /// The last moment that is in time.
        optional deadline: Timestamp,
        /// When it was said, or done.
        optional at: Timestamp,
        /// Of a failure or a rollback: what came later made up for it.
        default superseded: bool = false,
    }
}

object_field!(AuditFinding);

impl AuditFinding {
    /// Bytes that it takes as canonical JSON, or a few more.
    pub(crate) fn bytes_max(&self) -> u64 {
        const MEMBERS: u64 = 192;
        let escaped = |text: &str| {
            text.bytes()
                .map(|byte| match byte {
                    0..=0x1f => 6,
                    b'"' | b'\\' => 2,
                    _ => 1,
                })
                .sum::<u64>()
        };
        let ids = [self.expectation_id.as_ref().map(|id| id.as_str()), self.ack_id.as_ref().map(|id| id.as_str())];
        let texts = [Some(self.domain.as_str()), Some(self.action.as_str())].into_iter().chain(ids).flatten();
        MEMBERS + texts.map(escaped).sum::<u64>()
    }
}

object! {
    /// What should have happened against what did. Lists are sorted by (domain, action, time, id).
    pub struct AuditVerdict {
        /// Of the run as a whole.
        required status: VerdictStatus,
        /// Expectations that were looked at.
        required expectations: u64,
        /// Acknowledgements that were looked at.
        required acks: u64,
        /// Expectations past their deadline of which nothing was said; none that are optional.
        required missing: Vec<AuditFinding>,
        /// Failed attempts; those that a later one made up for are marked.
        required failed: Vec<AuditFinding>,
        /// What was undone; likewise.
        required rolled_back: Vec<AuditFinding>,
        /// Expectations that were met after their deadline.
        required late: Vec<AuditFinding>,
        /// Expectations inside their deadline; none that are optional.
        required pending: Vec<AuditFinding>,
        /// Acknowledgements that no expectation asked for.
        required drift: Vec<AuditFinding>,
        /// Acknowledgements of what had been done already.
        required duplicate: Vec<AuditFinding>,
        /// A list has more findings than are shown.
        default truncated: bool = false,
    }
}

object_field!(AuditVerdict);

impl AuditVerdict {
    /// Whether there is nothing to look into: the run is complete, in time, and nothing was said twice or without having
    /// been asked for. Failures that were made up for do not count.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let made_up = |findings: &[AuditFinding]| findings.iter().all(|finding| finding.superseded);
        self.status == VerdictStatus::Complete
            && self.late.is_empty()
            && self.drift.is_empty()
            && self.duplicate.is_empty()
            && made_up(&self.failed)
            && made_up(&self.rolled_back)
    }
}
