//! The gate: lets an effect of a caller's own happen once.
//!
//! A caller who is about to do something asks with a key and the fingerprint of its request, and is told: **new** (it
//! holds the lease, go), **duplicate** (it was done: here is the answer), **in progress** (somebody holds it), **conflict**
//! (the key stands for another request), **failed** (it failed for good).
//!
//! The gate is named working state, not a record: nothing of it stands in the log. [`decide`] is the one state machine:
//! memory and SQLite run it, and the scripts of other stores mirror it and are held to it by the conformance suite.
//!
//! ```text
//! absent ──check──▶ in progress (token, lease, attempt) ──complete──▶ completed (the answer, for its ttl)
//!   ▲                 │  └─ lease over, check ─▶ in progress, attempt + 1      │ ttl over: the answer goes,
//!   └── fail, retryable ──┘        └── fail ──▶ failed for good                ▼ key and fingerprint stay
//! ```

mod answer;
mod arbiter;
mod decide;
mod fingerprint;
mod listener;
mod memory;
mod record;
mod rules;
mod store;
mod token;

pub use answer::{GateState, IdempotencyResponse, IdempotencyResult, IdempotencyStatus};
pub use arbiter::{Arbiter, Ruling, RulingTime, RulingTimes};
pub use decide::{Ask, Next, Reply, decide, lease_lost, look, not_known, status};
pub use fingerprint::Fingerprint;
pub use listener::{GateListener, GateWord};
pub use memory::MemoryIdempotencyStore;
pub use record::{Phase, Record};
pub use rules::{REMEMBER_MAX, Rules, Terms, full};
pub use store::IdempotencyStore;
pub use token::Token;
