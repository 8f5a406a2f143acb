//! The contract of [`LedgerStore`](tracekeep_store::LedgerStore) as tests: every backend, every decorator and the HTTP
//! client run the same suite.
//!
//! A backend has one file `tests/conformance.rs` (with `harness = false`) that hands its [`Harness`] to [`main`]:
//!
//! ```no_run
//! use std::sync::Arc;
//! use tracekeep_conformance::{Harness, Instance, ManualSources};
//! use tracekeep_store::{LedgerStore, MemoryLedger, Redaction, Source};
//!
//! struct Memory;
//! struct Opened(Arc<MemoryLedger>);
//!
//! impl Harness for Memory {
//!     fn fresh(&self, sources: ManualSources) -> Box<dyn Instance> {
//!         let ledger = MemoryLedger::new(Source::new(sources)).redacting(Redaction::well_known());
//!         Box::new(Opened(Arc::new(ledger)))
//!     }
//! }
//! impl Instance for Opened {
//!     fn ledger(&self) -> Arc<dyn LedgerStore> {
//!         self.0.clone()
//!     }
//!     fn reopen(&mut self) {} // memory is gone with its process
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     tracekeep_conformance::main(Memory)
//! }
//! ```
//!
//! - [`CASES`](cases::CASES) are plain functions, each listed once in its file: one that is not listed is dead code, which
//!   the compiler refuses. Each shows as a test of its own.
//! - After each case the runner checks the whole ledger against its own log ([`Dump`]), reopens it, and looks again.
//! - Times and randomness come from [`ManualSources`]: nothing sleeps, nothing depends on the machine's clock.
//! - [`model`] is a second, naive implementation of the semantics; random sequences of batches run against it, and
//!   against memory, side by side.
//! - [`FaultStore`] fails commits in pairs, *failed, not applied* and *failed, but applied*, and the reads that are chosen.

mod audit_store;
pub mod cases;
mod context;
mod dump;
mod fault;
pub mod gate;
mod harness;
pub mod model;
mod ops;
mod runner;
mod sources;

pub use audit_store::{AuditHarness, AuditInstance, audit_trials};
pub use cases::Case;
pub use context::Context;
pub use dump::Dump;
pub use fault::{FailingRead, Fault, FaultStore};
pub use gate::{GateCase, GateHarness, GateInstance, GateMemory, gate_main, gate_trials};
pub use harness::{Harness, Instance, Memory};
pub use runner::{main, trials};
pub use sources::ManualSources;
