//! The contract of [`IdempotencyStore`](tracekeep_store::IdempotencyStore) as tests: memory, SQLite, Redis and the HTTP
//! client run the same suite.
//!
//! A backend has one file `tests/gate.rs` (with `harness = false`) that hands its [`GateHarness`] to [`gate_main`].
//!
//! - The cases are plain functions, each listed once in its file.
//! - [`Model`] is a second, naive implementation: random sequences run against it.
//! - [`linear`] searches an order for what tasks did at once; it is itself shown to refuse what has none.

mod cases;
mod context;
mod harness;
pub mod linear;
mod model;
mod runner;
mod sequences;

pub use cases::GateCase;
pub use context::Gate;
pub use harness::{GateHarness, GateInstance, GateMemory};
pub use model::{Asked, Model, Said};
pub use runner::{gate_failures, gate_main, gate_trials};
