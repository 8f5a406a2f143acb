//! The suite of audit stores: ledgers, and what stands in front of them.

mod cases;
mod harness;
mod runner;

pub use harness::{AuditHarness, AuditInstance};
pub use runner::audit_trials;
pub(crate) use runner::of_ledger;
