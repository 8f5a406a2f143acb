//! Signing the log: the one place that turns a ledger's head into a checkpoint.
//!
//! A signature says that the log had this root at this size, for good. So what was signed last is kept durably outside
//! the ledger before a signature leaves, and nothing is signed that does not extend it: a ledger that was put back from a
//! backup is refused instead of being told two stories about. docs/format/evidence.md has the formats.

mod keys;
mod memory;
mod proofs;
mod signer;
mod succession;

pub use keys::KeyStore;
pub use memory::MemoryKeys;
pub use signer::{SignedCheckpoint, Signer};
pub use succession::Declaring;
