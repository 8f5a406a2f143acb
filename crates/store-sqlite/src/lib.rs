//! The embedded default: a ledger in one SQLite file.
//!
//! [`SqliteLedger`] implements [`tracekeep_store::LedgerStore`] and [`tracekeep_store::IdempotencyStore`]. The log's
//! entries are the record; every other table is an index that is rebuilt from them alone, or named working state (`meta`,
//! `migration`, `gate`). One connection writes, in
//! groups, with synchronous FULL; readers answer from snapshots of the write-ahead log.
//!
//! docs/format/sqlite.md describes the file.

mod audit;
mod codec;
mod compare;
mod erase;
mod error;
mod faults;
mod frame;
mod fsck;
mod gate;
mod group;
mod idempotency;
mod index;
mod job;
mod ledger;
mod lock;
mod named;
mod open;
mod pool;
mod ready;
mod rows;
mod schema;
mod snapshot;
mod statement;
mod text;
mod words;
mod writer;

#[doc(hidden)]
pub use faults::Fault;
pub use ledger::SqliteLedger;
pub use lock::Holder;
pub use open::Options;
pub use tracekeep_store::{Finding, Report, Wrong};
