//! The model: runs, steps and traces, and the ops that record them.

mod audit;
mod baseline;
mod free;
mod hold;
mod incident;
mod op;
mod received;
mod redact;
mod redacted;
mod run;
mod signing;
mod span;
mod step;
mod trace;

pub use audit::{Ack, AckStatus, AuditStatus, ClearAudit, Expect, Reconcile, SetExpectationStatus, VerdictBody};
pub use baseline::SetBaseline;
pub use free::JsonObject;
pub use hold::{EraseRun, Hold, HoldOn, ReleaseHold};
pub use incident::{BundleKind, IncidentStatus, OpenIncident, Period, RecordExport, ResolveIncident, Severity};
pub use op::{Kind, Op};
pub use redact::Redact;
pub use redacted::{Redacted, RedactedCounts};
pub use run::{
    CompleteRun, DescribeRun, EffectGate, EnsureRun, FinalStatus, RunStatus, SealRun, Source, StartRun, Violation,
};
pub use signing::{DeclareKey, GivenUp, KeyReason};
pub use span::span_error;
pub use step::{RecordStep, ReplayBehavior, StepStatus};
pub use trace::{EndStatus, EndTrace, RecordTrace, TraceStatus, TraceType};
