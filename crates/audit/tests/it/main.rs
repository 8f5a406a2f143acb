//! Reconciliation, from outside.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cases;
mod properties;
mod vectors;
