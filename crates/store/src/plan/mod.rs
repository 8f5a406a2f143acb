//! The plan: the one place that decides what a batch does, for every backend.
//!
//! Two pure halves. [`needs`] lists what must be looked up, [`decide`] turns the batch and what was [`Found`] into the
//! entries and rows to write, or into a refusal. Between them a backend fetches in its own way ([`fetch`] does it over
//! a [`crate::Snapshot`]); after them it writes what was [`Planned`] and plans the next batch. So every backend has the
//! same semantics by construction, and the log alone is enough to rebuild the indices: [`replay`] decides a recorded
//! entry again.
//!
//! The laws held here: first write wins, equal is a duplicate, different is a conflict; identity comes before state; a
//! batch is recorded whole or not at all.

mod audit;
mod baseline;
mod decide;
mod equal;
mod fetch;
mod hold;
mod incident;
mod redact;
mod replay;
mod signing;
mod trace;
mod work;

pub use audit::FoundAudit;
pub(crate) use audit::{all_facts, reconciler, recorded_verdict};
pub use decide::{Change, Context, Decision, Planned, decide};
pub use fetch::{Found, FoundHold, FoundIncident, FoundKey, FoundTrace, Needs, fetch, needs};
pub(crate) use fetch::{nowhere, recorded_trace};
pub use redact::FoundRedaction;
pub(crate) use redact::{in_a_trace, in_an_end};
pub use replay::{Replayed, foretold, replay};
