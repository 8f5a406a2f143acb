//! Every method of the handles as a user calls it: on a ledger in memory and on one in a file, with the same answers.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod audit;
mod batches;
mod common;
mod compared;
mod export;
mod handed;
mod idempotency;
mod replay;
mod retention;
mod runs;
mod stated;
mod traces;
mod trees;
mod withheld;
