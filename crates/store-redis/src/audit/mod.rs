//! Audits in Redis: many worker processes say what they did, with no server between; what they said is moved into a ledger.
//!
//! Of each run seven keys in one hash slot, `tk:{<namespace>/<run>}:expectations`, `:acks`, `:statuses`, `:held`, `:said`,
//! `:counts` and `:parked`; of each namespace an index of its runs by when to look next, in a slot of its own. Each operation is one Lua
//! script with its contract at the top, under src/lua/audit.

mod answer;
mod facts;
mod mover;
mod scripts;
mod store;

pub use mover::MovingAudit;
pub use store::{AuditOptions, RedisAuditStore};
