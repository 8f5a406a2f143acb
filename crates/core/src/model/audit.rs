//! The audit contract: what should happen in a run, and word of what did.

use super::op::{label, refuse};
use crate::body::Body;
use crate::id::{AckId, ExpectationId, RunId};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{Json, Value};
use crate::limits::{ACK_TEXT_BYTES_MAX, DEADLINE_MS_MAX, EXPECTED_COUNT_MAX};
use crate::model::{JsonObject, Redacted};
use crate::time::Timestamp;
use crate::wire::{Draft, Fields, Path, object, read_whole, words};

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
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
        /// When the hot path in front of the ledger received it: whoever moves it into the ledger alone states it.
        door received_at: Timestamp,
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
            redacted: None,
            received_at: None,
        }
    }

    /// Whether it is the check that the run is alive: marked so, or `orchestrator`/`finalize_run`.
    #[must_use]
    pub fn is_liveness(&self) -> bool {
        self.liveness || (self.domain == "orchestrator" && self.action == "finalize_run")
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        names(&self.domain, &self.action)?;
        if !(1..=DEADLINE_MS_MAX).contains(&self.deadline_ms) {
            let detail = format!("is 1 to {DEADLINE_MS_MAX}: ten years at most");
            return Err(refuse("/deadline_ms", InvalidCode::NumberOutOfRange, detail));
        }
        if !(1..=EXPECTED_COUNT_MAX).contains(&self.count) {
            return Err(refuse("/count", InvalidCode::NumberOutOfRange, format!("is 1 to {EXPECTED_COUNT_MAX}")));
        }
        if self.optional && self.is_liveness() {
            return Err(refuse("/optional", InvalidCode::InvalidMember, "a liveness check may not stay undone"));
        }
        Ok(())
    }
}

/// The names that both sides of a contract meet by.
fn names(domain: &str, action: &str) -> Result<(), Invalid> {
    label("domain", Some(domain), 1)?;
    label("action", Some(action), 1)
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
        /// What went wrong; of FAILED and ROLLED_BACK alone, 4 KiB at most.
        optional error: String,
        /// Why it was undone; of ROLLED_BACK alone, 4 KiB at most.
        optional rollback_reason: String,
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
        /// When the hot path in front of the ledger received it: whoever moves it into the ledger alone states it.
        door received_at: Timestamp,
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
            redacted: None,
            received_at: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        names(&self.domain, &self.action)?;
        label("result_id", self.result_id.as_deref(), 0)?;
        let said = [
            ("/error", &self.error, self.status != AckStatus::Success),
            ("/rollback_reason", &self.rollback_reason, self.status == AckStatus::RolledBack),
        ];
        for (path, text, fits) in said {
            let Some(text) = text else { continue };
            if !fits {
                let detail = format!("is no member of an acknowledgement that says {}", self.status);
                return Err(refuse(path, InvalidCode::InvalidMember, detail));
            }
            if text.len() > ACK_TEXT_BYTES_MAX as usize {
                return Err(refuse(path, InvalidCode::TooLarge, format!("has at most {ACK_TEXT_BYTES_MAX} bytes")));
            }
        }
        Ok(())
    }
}

object! {
    /// Sets by hand where what is expected of an action stands: a fact that holds until a later acknowledgement.
    pub struct SetExpectationStatus {
        /// Names the run.
        required run_id: RunId,
        /// The part of the system, 1 to 256 bytes.
        required domain: String,
        /// The action, 1 to 256 bytes: something must be expected of it.
        required action: String,
        /// Where it stands.
        required status: AuditStatus,
        /// When the hot path in front of the ledger received it: whoever moves it into the ledger alone states it.
        door received_at: Timestamp,
    }
}

impl SetExpectationStatus {
    /// Says that what is expected of an action stands so.
    #[must_use]
    pub fn new(run_id: RunId, domain: impl Into<String>, action: impl Into<String>, status: AuditStatus) -> Self {
        Self { run_id, domain: domain.into(), action: action.into(), status, received_at: None }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        names(&self.domain, &self.action)
    }
}

object! {
    /// Says that a run is no longer watched. What was recorded of its audit stays; a later expectation watches it again.
    pub struct ClearAudit {
        /// Names the run.
        required run_id: RunId,
        /// When the hot path in front of the ledger received it: whoever moves it into the ledger alone states it.
        door received_at: Timestamp,
    }
}

impl ClearAudit {
    /// Watches the run no longer.
    #[must_use]
    pub const fn new(run_id: RunId) -> Self {
        Self { run_id, received_at: None }
    }
}

object! {
    /// Asks what should have happened in a run against what did. A verdict is recorded only where it changed.
    pub struct Reconcile {
        /// Names the run.
        required run_id: RunId,
    }
}

/// The body of a `verdict` entry: the op that asked, and what the ledger computed.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictBody {
    /// The op.
    pub op: Reconcile,
    /// The verdict.
    pub verdict: Json,
}

impl VerdictBody {
    /// The recorded body.
    #[must_use]
    pub fn body(&self) -> Body {
        let mut draft = Draft::default();
        draft.put("op", &"reconcile".to_owned());
        self.op.put(&mut draft);
        draft.put("verdict", &self.verdict);
        draft.finish()
    }

    /// Reads a recorded body back.
    ///
    /// # Errors
    /// Where the body is not one that this version wrote.
    pub fn from_body(body: &str) -> Result<Self, Invalid> {
        let Value::Object(mut object) = crate::json::parse(body.as_bytes())? else {
            return Err(Path::ROOT.refuse(InvalidCode::MalformedJson, "a recorded body is an object"));
        };
        object.take("op");
        let verdict = crate::wire::take_required(&mut object, "verdict", &Path::ROOT)?;
        Ok(Self { op: read_whole(Value::Object(object), &Path::ROOT)?, verdict })
    }
}
