//! The in-memory ledger: the executable specification of every other backend.

mod index;
mod ledger;

pub use ledger::MemoryLedger;
