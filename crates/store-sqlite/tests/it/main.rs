//! The SQLite ledger from outside: its file, its lock, its faults, its callers together.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bodies;
mod common;
mod damage;
mod equals_memory;
mod erased;
mod faults;
mod file;
mod findings;
mod fsck;
mod gate;
mod paths;
mod redacted;
mod space;
mod text;
mod together;
mod verify;
mod wal;
