//! The in-memory ledger: the executable specification of every other backend.

mod incidents;
mod index;
mod ledger;

pub use ledger::MemoryLedger;
