//! The suite of audit stores: ledgers, and what stands in front of them.

mod cases;
mod harness;

pub(crate) use harness::of_ledger;
pub use harness::{AuditHarness, AuditInstance, audit_trials};
