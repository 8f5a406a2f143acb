//! Ops: what a batch holds, and what the log records.

use std::sync::Arc;

use crate::body::Body;
use crate::hash;
use crate::id::{RunId, TraceId};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{self, Json, JsonErrorKind, Object, Recorded, Value};
use crate::limits::{
    ID_BYTES_MAX, JSON_DEPTH_MAX, NAME_BYTES_MAX, REASON_BYTES_MAX, REDACTED_MEMBERS_MAX, STEP_INDEX_MAX,
    TAG_BYTES_MAX, TAGS_MAX,
};
use crate::model::{
    Ack, ClearAudit, CompleteRun, DeclareKey, DescribeRun, EffectGate, EndTrace, EnsureRun, EraseRun, Expect, Hold,
    HoldOn, KeyReason, OpenIncident, Reconcile, RecordExport, RecordStep, RecordTrace, Redact, Redacted, ReleaseHold,
    ResolveIncident, SealRun, SetBaseline, SetExpectationStatus, StartRun, TraceType,
};
use crate::remainder::{LEVELS_AROUND, NEVER_WITHHELD};
use crate::wire::{Draft, Fields, Path, Shape, read_whole, words};

words! {
    /// What an entry of the log is. The list is open: a verifier treats an unknown kind as opaque.
    pub enum Kind {
        /// A run began.
        RunStarted = "run_started",
        /// Something was learnt of a run.
        RunDescribed = "run_described",
        /// A step was executed.
        Step = "step",
        /// A trace was recorded.
        Trace = "trace",
        /// A trace ended.
        TraceEnded = "trace_ended",
        /// A batch was sent under an idempotency key.
        Key = "key",
        /// Something must happen.
        Expectation = "expectation",
        /// Something was done, failed, or was undone.
        Ack = "ack",
        /// A status was set by hand.
        Status = "status",
        /// What should have happened was compared with what did.
        Verdict = "verdict",
        /// A run was closed, with its hashes.
        Sealed = "sealed",
        /// A run, or every run with a tag, may not be erased.
        Hold = "hold",
        /// It may be again.
        HoldReleased = "hold_released",
        /// A name stands for a run that others are held to.
        Baseline = "baseline",
        /// A key signs from here on.
        SigningKey = "signing_key",
        /// Recorded content was erased.
        Redaction = "redaction",
        /// A run is no longer watched.
        AuditCleared = "audit_cleared",
        /// Something went wrong.
        Incident = "incident",
        /// Somebody said how it ended.
        IncidentResolved = "incident_resolved",
        /// A bundle was handed out.
        Export = "export",
    }
}

/// One thing to record.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Starts a run.
    StartRun(StartRun),
    /// Starts a run if its id is free.
    EnsureRun(EnsureRun),
    /// States what was learnt of a run.
    DescribeRun(DescribeRun),
    /// Records a step.
    RecordStep(RecordStep),
    /// Records a trace.
    RecordTrace(RecordTrace),
    /// Ends a trace.
    EndTrace(EndTrace),
    /// Completes and seals a run.
    CompleteRun(CompleteRun),
    /// Seals a telemetry run.
    SealRun(SealRun),
    /// Erases a run.
    EraseRun(EraseRun),
    /// Withholds members of a step or of a trace.
    Redact(Redact),
    /// Holds a run or a tag.
    Hold(Hold),
    /// Lets go of what is held.
    ReleaseHold(ReleaseHold),
    /// Declares that something must happen.
    Expect(Expect),
    /// Acknowledges that something was done.
    Ack(Ack),
    /// Sets by hand where an expectation stands.
    SetExpectationStatus(SetExpectationStatus),
    /// Says that a run is no longer watched.
    ClearAudit(ClearAudit),
    /// Compares what should have happened with what did.
    Reconcile(Reconcile),
    /// Makes a run the baseline of a name.
    SetBaseline(SetBaseline),
    /// Opens an incident.
    OpenIncident(OpenIncident),
    /// Says how an incident ended.
    ResolveIncident(ResolveIncident),
    /// States that a bundle was handed out.
    RecordExport(RecordExport),
    /// Declares the key that signs.
    DeclareKey(DeclareKey),
}

macro_rules! each_op {
    ($self:expr, $op:ident => $body:expr) => {
        match $self {
            Op::StartRun($op) => $body,
            Op::EnsureRun($op) => $body,
            Op::DescribeRun($op) => $body,
            Op::RecordStep($op) => $body,
            Op::RecordTrace($op) => $body,
            Op::EndTrace($op) => $body,
            Op::CompleteRun($op) => $body,
            Op::SealRun($op) => $body,
            Op::EraseRun($op) => $body,
            Op::Redact($op) => $body,
            Op::Hold($op) => $body,
            Op::ReleaseHold($op) => $body,
            Op::Expect($op) => $body,
            Op::Ack($op) => $body,
            Op::SetExpectationStatus($op) => $body,
            Op::ClearAudit($op) => $body,
            Op::Reconcile($op) => $body,
            Op::SetBaseline($op) => $body,
            Op::OpenIncident($op) => $body,
            Op::ResolveIncident($op) => $body,
            Op::RecordExport($op) => $body,
            Op::DeclareKey($op) => $body,
        }
    };
}

impl Op {
    /// The word for the op in its batch form.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StartRun(_) => "start_run",
            Self::EnsureRun(_) => "ensure_run",
            Self::DescribeRun(_) => "describe_run",
            Self::RecordStep(_) => "record_step",
            Self::RecordTrace(_) => "record_trace",
            Self::EndTrace(_) => "end_trace",
            Self::CompleteRun(_) => "complete_run",
            Self::SealRun(_) => "seal_run",
            Self::EraseRun(_) => "erase_run",
            Self::Redact(_) => "redact",
            Self::Hold(_) => "hold",
            Self::ReleaseHold(_) => "release_hold",
            Self::Expect(_) => "expect",
            Self::Ack(_) => "ack",
            Self::SetExpectationStatus(_) => "set_expectation_status",
            Self::ClearAudit(_) => "clear_audit",
            Self::Reconcile(_) => "reconcile",
            Self::SetBaseline(_) => "set_baseline",
            Self::OpenIncident(_) => "open_incident",
            Self::ResolveIncident(_) => "resolve_incident",
            Self::RecordExport(_) => "record_export",
            Self::DeclareKey(_) => "declare_key",
        }
    }

    /// The form of each op's members, by its name.
    #[must_use]
    pub fn shapes() -> [(&'static str, Shape); 22] {
        [
            ("start_run", Shape::of::<StartRun>()),
            ("ensure_run", Shape::of::<EnsureRun>()),
            ("describe_run", Shape::of::<DescribeRun>()),
            ("record_step", Shape::of::<RecordStep>()),
            ("record_trace", Shape::of::<RecordTrace>()),
            ("end_trace", Shape::of::<EndTrace>()),
            ("complete_run", Shape::of::<CompleteRun>()),
            ("seal_run", Shape::of::<SealRun>()),
            ("erase_run", Shape::of::<EraseRun>()),
            ("redact", Shape::of::<Redact>()),
            ("hold", Shape::of::<Hold>()),
            ("release_hold", Shape::of::<ReleaseHold>()),
            ("expect", Shape::of::<Expect>()),
            ("ack", Shape::of::<Ack>()),
            ("set_expectation_status", Shape::of::<SetExpectationStatus>()),
            ("clear_audit", Shape::of::<ClearAudit>()),
            ("reconcile", Shape::of::<Reconcile>()),
            ("set_baseline", Shape::of::<SetBaseline>()),
            ("open_incident", Shape::of::<OpenIncident>()),
            ("resolve_incident", Shape::of::<ResolveIncident>()),
            ("record_export", Shape::of::<RecordExport>()),
            ("declare_key", Shape::of::<DeclareKey>()),
        ]
    }

    /// The run that the op is about; `None` for a start whose id is still to be generated, for what is about a tag, and for what is said of a
    /// name.
    #[must_use]
    pub const fn run_id(&self) -> Option<&RunId> {
        match self {
            Self::StartRun(op) => op.run_id.as_ref(),
            Self::EnsureRun(op) => Some(&op.run_id),
            Self::DescribeRun(op) => Some(&op.run_id),
            Self::RecordStep(op) => Some(&op.run_id),
            Self::RecordTrace(op) => Some(&op.run_id),
            Self::EndTrace(op) => Some(&op.run_id),
            Self::CompleteRun(op) => Some(&op.run_id),
            Self::SealRun(op) => Some(&op.run_id),
            Self::EraseRun(op) => Some(&op.run_id),
            Self::Redact(op) => Some(&op.run_id),
            Self::Hold(op) => op.run_id.as_ref(),
            Self::ReleaseHold(op) => op.run_id.as_ref(),
            Self::Expect(op) => Some(&op.run_id),
            Self::Ack(op) => Some(&op.run_id),
            Self::SetExpectationStatus(op) => Some(&op.run_id),
            Self::ClearAudit(op) => Some(&op.run_id),
            Self::Reconcile(op) => Some(&op.run_id),
            Self::OpenIncident(op) => op.run_id.as_ref(),
            Self::RecordExport(op) => op.run_id.as_ref(),
            Self::SetBaseline(_) | Self::ResolveIncident(_) | Self::DeclareKey(_) => None,
        }
    }

    /// Whether it is for the process that writes to the ledger alone to say: whose signatures count, and what was handed out.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::DeclareKey(_) | Self::RecordExport(_))
    }

    /// The trace that the op is about, where there is one and it has an id.
    #[must_use]
    pub const fn trace_id(&self) -> Option<&TraceId> {
        match self {
            Self::RecordTrace(op) => op.id.as_ref(),
            Self::EndTrace(op) => Some(&op.id),
            _ => None,
        }
    }

    /// Reads an op in its batch form: an object with `op` and that op's members.
    ///
    /// # Errors
    /// What is wrong with it, with the JSON Pointer to the place. Limits of length are checked by [`Op::check`].
    pub fn read(value: Value<'_>) -> Result<Self, Invalid> {
        let Value::Object(mut object) = value else {
            return Err(Path::ROOT.wrong_type("an object", &value));
        };
        let name: String = crate::wire::take_required(&mut object, "op", &Path::ROOT)?;
        Self::read_members(&name, object)
    }

    /// Reads the members of the op `name` (all but `op` itself).
    ///
    /// # Errors
    /// As [`Op::read`].
    pub fn read_members(name: &str, object: Object<'_>) -> Result<Self, Invalid> {
        let (value, at) = (Value::Object(object), &Path::ROOT);
        match name {
            "start_run" => read_whole(value, at).map(Self::StartRun),
            "ensure_run" => read_whole(value, at).map(Self::EnsureRun),
            "describe_run" => read_whole(value, at).map(Self::DescribeRun),
            "record_step" => read_whole(value, at).map(Self::RecordStep),
            "record_trace" => read_whole(value, at).map(Self::RecordTrace),
            "end_trace" => read_whole(value, at).map(Self::EndTrace),
            "complete_run" => read_whole(value, at).map(Self::CompleteRun),
            "seal_run" => read_whole(value, at).map(Self::SealRun),
            "erase_run" => read_whole(value, at).map(Self::EraseRun),
            "redact" => read_whole(value, at).map(Self::Redact),
            "hold" => read_whole(value, at).map(Self::Hold),
            "release_hold" => read_whole(value, at).map(Self::ReleaseHold),
            "expect" => read_whole(value, at).map(Self::Expect),
            "ack" => read_whole(value, at).map(Self::Ack),
            "set_expectation_status" => read_whole(value, at).map(Self::SetExpectationStatus),
            "clear_audit" => read_whole(value, at).map(Self::ClearAudit),
            "reconcile" => read_whole(value, at).map(Self::Reconcile),
            "set_baseline" => read_whole(value, at).map(Self::SetBaseline),
            "open_incident" => read_whole(value, at).map(Self::OpenIncident),
            "resolve_incident" => read_whole(value, at).map(Self::ResolveIncident),
            "record_export" => read_whole(value, at).map(Self::RecordExport),
            "declare_key" => read_whole(value, at).map(Self::DeclareKey),
            _ => {
                let names = Self::shapes().map(|(name, _)| name).join(" ");
                Err(at.name("op").refuse(InvalidCode::InvalidMember, format!("must be one of {names}")))
            }
        }
    }

    /// Reads the op of a recorded body back. Of `sealed`, `verdict` and `redaction`, the computed members are left aside.
    ///
    /// # Errors
    /// Where the body is not one that this version wrote.
    pub fn from_body(body: &str) -> Result<Self, Invalid> {
        let (value, is_deep) = match json::parse(body.as_bytes()) {
            Err(error) if error.kind() == JsonErrorKind::TooDeep => {
                (json::parse_around(body.as_bytes(), LEVELS_AROUND)?, true)
            }
            value => (value?, false),
        };
        let Value::Object(mut object) = value else {
            return Err(Path::ROOT.refuse(InvalidCode::MalformedJson, "a recorded body is an object"));
        };
        let name: String = crate::wire::take_required(&mut object, "op", &Path::ROOT)?;
        // What is left of other entries nests deeper than they did.
        if is_deep && name != "redact" {
            return Err(Path::ROOT.refuse(InvalidCode::TooDeep, format!("nests at most {JSON_DEPTH_MAX} containers")));
        }
        let computed: &[&str] = match name.as_str() {
            "complete_run" => &crate::seal::COMPUTED_ONLY,
            "seal_run" => &crate::seal::COMPUTED[1..],
            "erase_run" => &crate::erasure::COMPUTED,
            "redact" => &crate::redaction::COMPUTED,
            "reconcile" => &["verdict"],
            _ => &[],
        };
        for name in computed {
            object.take(name);
        }
        Self::read_members(&name, object)
    }

    /// As [`Op::from_body`], for the body of an entry of this kind. What stands in canonical form, as all that was
    /// recorded does, is read in place: free JSON in the op shares the body and keeps it in memory.
    ///
    /// # Errors
    /// As [`Op::from_body`].
    pub fn recorded(kind: Kind, body: &Arc<str>) -> Result<Self, Invalid> {
        let in_place = match kind {
            Kind::RunStarted => in_place(body, "start_run")
                .map(Self::StartRun)
                .or_else(|| in_place(body, "ensure_run").map(Self::EnsureRun)),
            Kind::RunDescribed => in_place(body, "describe_run").map(Self::DescribeRun),
            Kind::Step => in_place(body, "record_step").map(Self::RecordStep),
            Kind::Trace => in_place(body, "record_trace").map(Self::RecordTrace),
            Kind::TraceEnded => in_place(body, "end_trace")
                .map(Self::EndTrace)
                .or_else(|| in_place(body, "record_trace").map(Self::RecordTrace)),
            Kind::Expectation => in_place(body, "expect").map(Self::Expect),
            Kind::Ack => in_place(body, "ack").map(Self::Ack),
            Kind::Status => in_place(body, "set_expectation_status").map(Self::SetExpectationStatus),
            Kind::Incident => in_place(body, "open_incident").map(Self::OpenIncident),
            Kind::IncidentResolved => in_place(body, "resolve_incident").map(Self::ResolveIncident),
            Kind::Export => in_place(body, "record_export").map(Self::RecordExport),
            Kind::Key
            | Kind::Verdict
            | Kind::Sealed
            | Kind::AuditCleared
            | Kind::Hold
            | Kind::HoldReleased
            | Kind::Redaction
            | Kind::Baseline
            | Kind::SigningKey => None,
        };
        in_place.map_or_else(|| Self::from_body(body), Ok)
    }

    /// The trace that the body of an entry of kind `trace` records: as [`Op::recorded`], but nothing of it keeps the body in
    /// memory. `None` where the body is of another op.
    ///
    /// # Errors
    /// As [`Op::from_body`].
    pub fn recorded_trace(body: &str) -> Result<Option<RecordTrace>, Invalid> {
        if let Some(trace) = read_in_place(Recorded::lent(body), "record_trace") {
            return Ok(Some(trace));
        }
        match Self::from_body(body)? {
            Self::RecordTrace(trace) => Ok(Some(trace)),
            _ => Ok(None),
        }
    }

    /// The recorded body: the op in its batch form, as canonical JSON. [`Op::check`] comes first: it brings the op into
    /// the form that is recorded.
    ///
    /// # Panics
    /// Where a confidence is not finite, which [`Op::check`] refuses.
    #[must_use]
    pub fn body(&self) -> Body {
        self.draft().finish()
    }

    pub(crate) fn draft(&self) -> Draft {
        let mut draft = Draft::with_capacity(512);
        draft.put("op", &self.name().to_owned());
        each_op!(self, op => op.put(&mut draft));
        draft
    }

    /// The members that were left to be generated: on comparison they are taken from the record.
    #[must_use]
    pub fn generated(&self) -> Vec<&'static str> {
        let absent: [(bool, &'static str); 3] = match self {
            Self::StartRun(op) => [
                (op.run_id.is_none(), "run_id"),
                (op.correlation_id.is_none(), "correlation_id"),
                (op.started_at.is_none(), "started_at"),
            ],
            Self::RecordStep(op) => [(op.occurred_at.is_none(), "occurred_at"), (false, ""), (false, "")],
            Self::RecordTrace(op) => [(op.id.is_none(), "id"), (op.occurred_at.is_none(), "occurred_at"), (false, "")],
            Self::CompleteRun(op) => [(op.completed_at.is_none(), "completed_at"), (false, ""), (false, "")],
            Self::Expect(op) => [(op.id.is_none(), "id"), (false, ""), (false, "")],
            Self::Ack(op) => [(op.id.is_none(), "id"), (false, ""), (false, "")],
            Self::OpenIncident(op) => {
                [(op.incident_id.is_none(), "incident_id"), (op.created_at.is_none(), "created_at"), (false, "")]
            }
            Self::ResolveIncident(op) => [(op.resolved_at.is_none(), "resolved_at"), (false, ""), (false, "")],
            Self::RecordExport(op) => [(op.export_id.is_none(), "export_id"), (false, ""), (false, "")],
            Self::EnsureRun(_)
            | Self::SealRun(_)
            | Self::DescribeRun(_)
            | Self::EndTrace(_)
            | Self::SetExpectationStatus(_)
            | Self::ClearAudit(_)
            | Self::Reconcile(_)
            | Self::EraseRun(_)
            | Self::Redact(_)
            | Self::Hold(_)
            | Self::ReleaseHold(_)
            | Self::SetBaseline(_)
            | Self::DeclareKey(_) => [(false, ""); 3],
        };
        absent.into_iter().filter_map(|(absent, name)| absent.then_some(name)).collect()
    }

    /// Where the gate of a run's effects is kept, for the door to state; `None` where an op starts no run.
    #[must_use]
    pub const fn effect_gate_mut(&mut self) -> Option<&mut Option<EffectGate>> {
        match self {
            Self::StartRun(op) => Some(&mut op.idempotency_store),
            Self::EnsureRun(op) => Some(&mut op.idempotency_store),
            _ => None,
        }
    }

    /// What rules took out of the op at the door, for the door to state; `None` where an op holds nothing to take out of.
    #[must_use]
    pub const fn redacted_mut(&mut self) -> Option<&mut Option<Redacted>> {
        match self {
            Self::StartRun(op) => Some(&mut op.redacted),
            Self::Expect(op) => Some(&mut op.redacted),
            Self::Ack(op) => Some(&mut op.redacted),
            Self::EraseRun(op) => Some(&mut op.redacted),
            Self::Redact(op) => Some(&mut op.redacted),
            Self::Hold(op) => Some(&mut op.redacted),
            Self::ReleaseHold(op) => Some(&mut op.redacted),
            Self::SetBaseline(op) => Some(&mut op.redacted),
            Self::OpenIncident(op) => Some(&mut op.redacted),
            Self::ResolveIncident(op) => Some(&mut op.redacted),
            Self::EnsureRun(_)
            | Self::SealRun(_)
            | Self::SetExpectationStatus(_)
            | Self::ClearAudit(_)
            | Self::Reconcile(_)
            | Self::RecordExport(_) => None,
            Self::DeclareKey(op) => Some(&mut op.redacted),
            Self::DescribeRun(op) => Some(&mut op.redacted),
            Self::RecordStep(op) => Some(&mut op.redacted),
            Self::RecordTrace(op) => Some(&mut op.redacted),
            Self::EndTrace(op) => Some(&mut op.redacted),
            Self::CompleteRun(op) => Some(&mut op.redacted),
        }
    }

    /// Brings the op into the form that is recorded and checks what types do not: lengths, counts, reserved names and
    /// claimed step hashes. Repeated tags are dropped, in first-seen order; a step's hashes are computed.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path. Nothing was written.
    pub fn check(&mut self) -> Result<(), Invalid> {
        match self {
            Self::StartRun(op) => {
                tags(&mut op.tags)?;
                label("agent_id", op.agent_id.as_deref(), 1)?;
                label("policy_snapshot_id", op.policy_snapshot_id.as_deref(), 1)
            }
            Self::EnsureRun(_) | Self::SealRun(_) | Self::ClearAudit(_) | Self::Reconcile(_) => Ok(()),
            Self::Expect(op) => op.check(),
            Self::Ack(op) => op.check(),
            Self::SetExpectationStatus(op) => op.check(),
            Self::OpenIncident(op) => op.check(),
            Self::ResolveIncident(op) => op.check(),
            Self::RecordExport(op) => op.check(),
            Self::EndTrace(op) => {
                drop_null(&mut op.result);
                // A reader finds it a level deeper, in the trace's type, and must be able to read it there.
                let depth_max = JSON_DEPTH_MAX - 2;
                match &op.result {
                    Some(result) if result.depth() > depth_max => {
                        let detail = format!("nests at most {depth_max} containers");
                        Err(refuse("/result", InvalidCode::TooDeep, detail))
                    }
                    _ => Ok(()),
                }
            }
            Self::DescribeRun(op) => {
                label("topic", Some(&op.topic), 1)?;
                label("agent_id", op.agent_id.as_deref(), 1)
            }
            Self::RecordStep(op) => step(op),
            Self::RecordTrace(op) => {
                tags(&mut op.tags)?;
                if let TraceType::Thought { confidence: Some(confidence), .. } = &op.trace_type
                    && !confidence.is_finite()
                {
                    return Err(refuse("/trace_type/confidence", InvalidCode::NumberOutOfRange, "must be finite"));
                }
                if let TraceType::ToolCall { result, .. } = &mut op.trace_type {
                    drop_null(result);
                }
                trace_name(&op.trace_type)
            }
            Self::CompleteRun(op) => match &op.violation {
                Some(violation) => label("violation/policy_id", violation.policy_id.as_deref(), 1),
                None => Ok(()),
            },
            Self::EraseRun(op) => reason(&op.reason, op.by.as_deref()),
            Self::Redact(op) => redacted(op),
            Self::Hold(op) => {
                held(op.run_id.as_ref(), op.tag.as_deref())?;
                reason(&op.reason, op.by.as_deref())
            }
            Self::ReleaseHold(op) => {
                held(op.run_id.as_ref(), op.tag.as_deref())?;
                reason(&op.reason, op.by.as_deref())
            }
            Self::DeclareKey(op) => declaration(op),
            Self::SetBaseline(op) => {
                if let Some(why) = &op.reason {
                    reason(why, None)?;
                }
                label("by", op.by.as_deref(), 1)
            }
        }
    }
}

/// The op `name` that a body holds, if it is that one and in canonical form.
fn in_place<T: Fields>(body: &Arc<str>, name: &str) -> Option<T> {
    read_in_place(Recorded::new(body), name)
}

fn read_in_place<T: Fields>(mut text: Recorded<'_>, name: &str) -> Option<T> {
    let mut is_named = false;
    let op = T::recorded(&mut text, |text, member| {
        is_named = member == "op" && text.string()? == name;
        is_named.then_some(())
    })?;
    (is_named && text.is_at_end()).then_some(op)
}

pub(super) fn refuse(path: &str, code: InvalidCode, detail: impl Into<String>) -> Invalid {
    Invalid::new(code, path, detail)
}

/// A name that an index or a list shows: at most 256 bytes.
pub(super) fn label(name: &str, text: Option<&str>, bytes_min: usize) -> Result<(), Invalid> {
    match text {
        Some(text) if text.len() > NAME_BYTES_MAX as usize => {
            Err(refuse(&format!("/{name}"), InvalidCode::TooLarge, format!("has at most {NAME_BYTES_MAX} bytes")))
        }
        Some(text) if text.len() < bytes_min => {
            Err(refuse(&format!("/{name}"), InvalidCode::InvalidMember, "must not be empty"))
        }
        _ => Ok(()),
    }
}

/// Why something is done that somebody has to answer for, and on whose word.
fn reason(reason: &str, by: Option<&str>) -> Result<(), Invalid> {
    said("/reason", reason, REASON_BYTES_MAX)?;
    label("by", by, 1)
}

/// What somebody says in words: not nothing, and not too much.
pub(super) fn said(path: &str, text: &str, bytes_max: u32) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(refuse(path, InvalidCode::InvalidMember, "must not be empty"));
    }
    if text.len() > bytes_max as usize {
        return Err(refuse(path, InvalidCode::TooLarge, format!("has at most {bytes_max} bytes")));
    }
    Ok(())
}

/// A key is one line that a note can be signed under; what it is worth is for its signatures to show.
fn declaration(op: &DeclareKey) -> Result<(), Invalid> {
    for (path, key) in [("/key", Some(&op.key)), ("/previous", op.previous.as_ref())] {
        let Some(key) = key else { continue };
        if key.len() > NAME_BYTES_MAX as usize {
            return Err(refuse(path, InvalidCode::TooLarge, format!("has at most {NAME_BYTES_MAX} bytes")));
        }
        if key.splitn(3, '+').count() < 3 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse(path, InvalidCode::InvalidMember, "must be a public key, NAME+ID+BASE64"));
        }
    }
    if (op.reason == KeyReason::First) != op.previous.is_none() {
        return Err(refuse("/previous", InvalidCode::InvalidMember, "is the key before, of all but the first"));
    }
    if let Some(given_up) = &op.given_up {
        if op.reason == KeyReason::Rotated {
            return Err(refuse("/given_up", InvalidCode::InvalidMember, "is nothing that a rotation does"));
        }
        if given_up.size == 0 {
            return Err(refuse("/given_up/size", InvalidCode::NumberOutOfRange, "is 1 or more"));
        }
    }
    if let Some(why) = &op.why {
        said("/why", why, REASON_BYTES_MAX)?;
    }
    label("by", op.by.as_deref(), 1)
}

/// A step or a trace, and members that can be withheld, each once.
fn redacted(op: &mut Redact) -> Result<(), Invalid> {
    match (op.step, &op.trace) {
        (Some(index), None) if index > STEP_INDEX_MAX => {
            return Err(refuse("/step", InvalidCode::NumberOutOfRange, format!("is at most {STEP_INDEX_MAX}")));
        }
        (Some(_), None) | (None, Some(_)) => {}
        (Some(_), Some(_)) => return Err(refuse("/trace", InvalidCode::InvalidMember, "stands in the place of step")),
        (None, None) => return Err(refuse("/step", InvalidCode::MissingMember, "is required, or trace in its place")),
    }
    if op.members.is_empty() {
        return Err(refuse("/members", InvalidCode::InvalidMember, "must not be empty"));
    }
    if op.members.len() > REDACTED_MEMBERS_MAX as usize {
        return Err(refuse("/members", InvalidCode::TooMany, format!("at most {REDACTED_MEMBERS_MAX} members")));
    }
    for (place, name) in op.members.iter().enumerate() {
        label(&format!("members/{place}"), Some(name), 1)?;
        if NEVER_WITHHELD.contains(&name.as_str()) {
            return Err(refuse(&format!("/members/{place}"), InvalidCode::InvalidMember, "is never withheld"));
        }
    }
    for place in (1..op.members.len()).rev() {
        if op.members[..place].contains(&op.members[place]) {
            op.members.remove(place);
        }
    }
    reason(&op.reason, op.by.as_deref())
}

/// What is held is a run or a tag, and not both.
fn held(run_id: Option<&RunId>, named: Option<&str>) -> Result<(), Invalid> {
    match HoldOn::of(run_id, named) {
        Some(HoldOn::Run(_)) => Ok(()),
        Some(HoldOn::Tag(name)) => tag("/tag", &name),
        None if run_id.is_some() => Err(refuse("/tag", InvalidCode::InvalidMember, "stands in the place of run_id")),
        None => Err(refuse("/run_id", InvalidCode::MissingMember, "is required, or tag in its place")),
    }
}

fn tags(tags: &mut Vec<String>) -> Result<(), Invalid> {
    if tags.len() > TAGS_MAX as usize {
        return Err(refuse("/tags", InvalidCode::TooMany, format!("at most {TAGS_MAX} tags")));
    }
    for (index, name) in tags.iter().enumerate() {
        tag(&format!("/tags/{index}"), name)?;
    }
    for index in (1..tags.len()).rev() {
        if tags[..index].contains(&tags[index]) {
            tags.remove(index);
        }
    }
    Ok(())
}

fn tag(path: &str, tag: &str) -> Result<(), Invalid> {
    if tag.is_empty() {
        return Err(refuse(path, InvalidCode::InvalidMember, "must not be empty"));
    }
    if tag.len() > TAG_BYTES_MAX as usize {
        return Err(refuse(path, InvalidCode::TooLarge, format!("has at most {TAG_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn step(op: &mut RecordStep) -> Result<(), Invalid> {
    if op.index > STEP_INDEX_MAX {
        return Err(refuse("/index", InvalidCode::NumberOutOfRange, format!("is at most {STEP_INDEX_MAX}")));
    }
    label("skill_name", Some(&op.skill_name), 1)?;
    label("outcome_category", Some(&op.outcome_category), 0)?;
    label("outcome_code", op.outcome_code.as_deref(), 0)?;
    if op.idempotency_key.as_ref().is_some_and(|key| key.len() > ID_BYTES_MAX as usize) {
        return Err(refuse("/idempotency_key", InvalidCode::TooLarge, format!("has at most {ID_BYTES_MAX} bytes")));
    }
    if op.params.is_null() {
        return Err(refuse("/params", InvalidCode::MissingMember, "is required"));
    }
    drop_null(&mut op.outcome_data);
    claim("/input_hash", &mut op.input_hash, Some(hash::input_hash(op.params.as_str())))?;
    let output = op.outcome_data.as_ref().map(|data| hash::output_hash(data.as_str()));
    claim("/output_hash", &mut op.output_hash, output)
}

/// Null is absent for a member that the model names, in the library as on the wire.
pub(super) fn drop_null(member: &mut Option<Json>) {
    if member.as_ref().is_some_and(Json::is_null) {
        *member = None;
    }
}

/// Checks a claimed hash and puts the computed one in its place.
fn claim(path: &str, claimed: &mut Option<hash::Hash>, computed: Option<hash::Hash>) -> Result<(), Invalid> {
    if claimed.is_some() && *claimed != computed {
        return Err(refuse(path, InvalidCode::HashMismatch, "the claimed hash is not the computed one"));
    }
    *claimed = computed;
    Ok(())
}

fn trace_name(trace_type: &TraceType) -> Result<(), Invalid> {
    match trace_type {
        TraceType::ToolCall { tool_name, .. } => label("trace_type/tool_name", Some(tool_name), 1),
        TraceType::Query { query_type, .. } => label("trace_type/query_type", Some(query_type), 1),
        TraceType::Error { error_type, .. } => label("trace_type/error_type", Some(error_type), 1),
        TraceType::Custom { name, .. } if TraceType::BUILT_IN.contains(&name.as_str()) => {
            Err(refuse("/trace_type/name", InvalidCode::ReservedName, "is the name of a built-in type"))
        }
        TraceType::Custom { name, .. } => label("trace_type/name", Some(name), 1),
        TraceType::Decision { .. } | TraceType::Thought { .. } => Ok(()),
    }
}
