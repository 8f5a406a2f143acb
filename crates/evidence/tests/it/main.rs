//! Checkpoints and proofs, from outside.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod account;
mod alone;
mod bundles;
mod fuzzed;
mod handover;
mod merkle;
mod notes;
mod overstated;
mod proofs;
mod report;
mod several;
mod tlog;
