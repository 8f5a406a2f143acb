//! The idempotency gate and audits in Redis: processes that share a namespace share them, with no server between.
//!
//! [`RedisIdempotencyStore`] implements [`tracekeep_store::IdempotencyStore`]. Each operation is one Lua script, in a file of
//! its own under src/lua with its contract at the top: it decides as `tracekeep_store::gate::decide` does, to which the
//! conformance suite holds it. Both keys of a decision stand in one hash slot, `tk:{<namespace>/<key>}:idem` and `…:answer`,
//! their parts percent-encoded. If Redis cannot answer, the answer is an error that says so: never *new*.
//!
//! [`RedisAuditStore`] implements [`tracekeep_store::AuditStore`] for many worker processes; [`MovingAudit`] moves what they
//! said into a ledger.

mod address;
mod arbitrated;
mod audit;
mod connection;
mod error;
mod link;
mod nodes;
mod options;
mod reply;
mod script;
mod server;
mod store;

pub use arbitrated::ArbitratedGate;
pub use audit::{AuditOptions, MovingAudit, RedisAuditStore};
pub use options::{Durability, Options};
pub use store::RedisIdempotencyStore;
