//! The mapping from outside: exports in, batches and answers out.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod encodings;
mod hostile;
mod json;
mod ledger;
mod mapping;
