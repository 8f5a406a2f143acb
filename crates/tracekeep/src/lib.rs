//! The system of record for AI-agent runs: what an agent did and why, exactly once, in a log that nobody can quietly
//! change.
//!
//! Embedded: one file, no server, no async runtime.
//!
//! ```
//! use tracekeep::{FinalStatus, Json, RecordStep, StartRun, Tracekeep, TraceType};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("runs.db");
//! let tracekeep = Tracekeep::open(path)?;
//! let run = tracekeep.runs().start_run(StartRun { goal: Some("find flights".into()), ..StartRun::default() })?;
//!
//! let thought = TraceType::Thought { content: "search first".into(), confidence: Some(0.9) };
//! let why = tracekeep.traces().record(&run, thought)?;
//! let mut step = RecordStep::new(run.clone(), 0, "search", Json::parse(r#"{"q":"FRA-LIS"}"#)?);
//! step.trace_id = Some(why);
//! tracekeep.runs().record_step(step)?;
//! tracekeep.runs().complete_run(&run, FinalStatus::Completed)?;
//!
//! let run = tracekeep.runs().get_run(&run)?.expect("it was just recorded");
//! assert_eq!((run.steps, run.traces), (1, 1));
//! assert!(run.root_hash.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Several things at once, all or nothing: [`Tracekeep::batch`]. From async code, await [`BatchBuilder::commit_async`].
//! Reads may be called from anywhere and cost what they return, mostly microseconds; a search alone may first have to
//! catch up with the log, seconds for 50,000 entries that it has not seen ([`TraceStore::search`]).

mod audit;
mod batch;
mod idempotency;
mod incidents;
mod open;
mod replay;
mod retention;
mod runs;
mod signing;
mod traces;
mod tree;

pub use audit::Audit;
pub use batch::{BatchBuilder, TraceStoreExt};
pub use idempotency::{Effect, IdempotencyGate, Once};
pub use incidents::Incidents;
pub use open::Tracekeep;
pub use replay::{How, Replay, Replayed};
pub use runs::RunStore;
pub use signing::KeyFolder;
pub use traces::{GenerateId, TraceOptions, TraceStore};
pub use tree::TraceTree;

pub use tracekeep_audit::{
    AuditExpectation, AuditFinding, AuditReconciler, AuditSummary, AuditVerdict, Contract, DomainAck, PendingRun, Term,
    VerdictStatus, names as audit_names, standard_contract, standard_expectations,
};
pub use tracekeep_core::age::Age;
pub use tracekeep_core::amount::{Cost, DurationMs};
pub use tracekeep_core::compare::{
    Change, ComparedRun, Comparison, Difference, DivergenceProof, FieldDifference, Hindered, LeafProof, Level,
    Obstacle, Part, Verdict,
};
pub use tracekeep_core::hash::{Hash, hash_request};
pub use tracekeep_core::id::{
    AckId, BaselineName, CorrelationId, ExpectationId, ExportId, IncidentId, Key, LedgerId, RunId, TraceId,
};
pub use tracekeep_core::json::{Json, canonical_json};
pub use tracekeep_core::matches::{Flaky, Group, Matches};
pub use tracekeep_core::model::{
    Ack, AckStatus, AuditStatus, BundleKind, CompleteRun, DescribeRun, EffectGate, EndStatus, EndTrace, EnsureRun,
    Expect, FinalStatus, HoldOn, IncidentStatus, JsonObject, Op, OpenIncident, Period, RecordStep, RecordTrace, Redact,
    Redacted, RedactedCounts, ReplayBehavior, ResolveIncident, RunStatus, SetBaseline, Severity, StartRun, StepStatus,
    TraceStatus, TraceType, Violation,
};
pub use tracekeep_core::view::{
    Baseline, Erasure, Held, Incident, NameCount, Run, RunCount, Step, Trace, TraceCounts, TreeNode,
};
pub use tracekeep_core::view::{DeclaredKey, Multiproof};
pub use tracekeep_core::{Invalid, InvalidCode, TimeRange, Timestamp};
pub use tracekeep_evidence::{Checkpoint, Note, NoteKey, SigningKey, TlogProof};
pub use tracekeep_store::gate::{
    Fingerprint, GateState, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, IdempotencyStore,
    MemoryIdempotencyStore, Rules, Terms, Token,
};
pub use tracekeep_store::signing::{Declaring, KeyStore, MemoryKeys, SignedCheckpoint, Signer};
pub use tracekeep_store::{
    AuditStore, Batch, Between, Check, CheckName, CompareQuery, CountsQuery, Detector, DurabilityError, Error,
    ErrorKind, ExportBundleStore, ExportOf, ExportRequest, Exported, Exporter, GcReport, GcRequest, IncidentFilter,
    IncidentQuery, IncidentSnapshot, LedgerAudit, LedgerStore, MemoryLedger, OpReceipt, Order, Outcome, Page,
    PageRequest, PinnedBundles, Receipt, Recorded, Redaction, RedactionRules, Report, Result, RunFilter, RunQuery,
    RunReport, RunSnapshot, RunSort, RunSummarySnapshot, StepSnapshot, StoreDurabilityMode, TraceFilter, TraceQuery,
    TreeQuery,
};
pub use tracekeep_store_sqlite::{Options, SqliteLedger};
