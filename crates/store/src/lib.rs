//! Batches, the one plan that decides for every backend, queries, errors, the store trait and the in-memory ledger.
//!
//! A caller hands a [`Batch`] to a [`LedgerStore`]. The backend prepares it on the caller's thread, looks up what
//! [`plan::needs`] lists, lets [`plan::decide`] decide, writes the entries and rows, and answers with a [`Receipt`] once
//! they are durable. Reads are written once, in [`read`], over the few ordered look-ups of a [`Snapshot`].
//!
//! ```
//! use tracekeep_store::{Batch, LedgerStore, MemoryLedger, block_on};
//! use tracekeep_core::model::{Op, StartRun};
//!
//! let ledger = MemoryLedger::default();
//! let batch = Batch::one(Op::StartRun(StartRun { goal: Some("find flights".into()), ..StartRun::default() }));
//! let receipt = block_on(ledger.commit(vec![batch])).remove(0)?;
//! assert_eq!((receipt.tree_size, receipt.ops[0].log_index), (1, 0));
//! # Ok::<(), tracekeep_store::Error>(())
//! ```

mod audit;
mod batch;
mod block_on;
mod error;
pub mod export;
pub mod gate;
mod held;
mod ledger;
mod memory;
pub mod plan;
pub mod query;
pub mod read;
mod recall;
mod receipt;
mod redact;
mod remainder;
pub mod replay;
mod report;
pub mod retention;
pub mod rows;
pub mod signing;
mod snapshot;
mod source;
pub mod text;
mod verification;
pub mod words;

pub use audit::{AuditStore, DurabilityError, LedgerAudit, Noted, NotedFact, StoreDurabilityMode};
pub use batch::{Batch, Prepared};
pub use block_on::{block_on, is_blocked_on};
pub use error::{Code, Digests, Error, ErrorKind, Outcome, Result, SERVER_CODES};
pub use export::{
    ExportBundleStore, ExportOf, ExportRequest, Exported, Exporter, IncidentSnapshot, PinnedBundles, RunSnapshot,
    RunSummarySnapshot, StepSnapshot,
};
pub use gate::{
    Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, IdempotencyStore, MemoryIdempotencyStore,
};
pub use held::{HeldListener, HeldWord, ParkedFact, commit_with_held, gc_with_held, needs_held};
pub use ledger::LedgerStore;
pub use memory::MemoryLedger;
pub use query::{
    Between, CompareQuery, CountsQuery, IncidentFilter, IncidentIndex, IncidentQuery, Order, Page, PageRequest,
    RunFilter, RunIndex, RunQuery, RunSort, TraceFilter, TraceQuery, TreeQuery,
};
pub use receipt::{OpReceipt, Receipt, Recorded, Told};
pub use redact::{Detector, RULE_FIELD_BYTES_MAX, RULE_FIELDS_MAX, RULES_VERSION, Redaction, RedactionRules};
pub use remainder::remainder;
pub use report::{Finding, Place, Report, Wrong};
pub use retention::{GcReport, GcRequest};
pub use signing::{KeyStore, MemoryKeys, SignedCheckpoint, Signer};
pub use snapshot::{Position, Snapshot, Stretch, TraceCounter, TraceIndex};
pub use source::{Source, Sources, SystemSources};
pub use verification::{Check, CheckName, RunReport};
