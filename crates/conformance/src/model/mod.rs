//! Random sequences of batches: a backend against a naive model of the semantics, and one backend against another.
//!
//! The model ([`Model`]) is written from DESIGN and shares nothing with the plan: maps, vectors, whole copies, ops as the
//! wire has them. The sequences ([`actions`]) use few runs, ids and indices, so that collisions, conflicts, late parents,
//! cycles, ends, seals and keys happen often. A sequence that failed is kept beside the test that ran it, in
//! `tests/*.proptest-regressions`, and is run first the next time.

mod actions;
mod audit;
mod compare;
mod decide;
mod reads;
mod redact;

pub use actions::{Action, actions};
pub use compare::{against_model, compare_backends};
pub use decide::{Answer, Model};
