//! Saying in the log which key signs it.

use crate::hash::Hash;
use crate::model::Redacted;
use crate::wire::{object, object_field, words};

words! {
    /// Why a ledger is signed by a key from some entry on.
    pub enum KeyReason {
        /// It is the first one.
        First = "first",
        /// Another takes the place of one that was at hand.
        Rotated = "rotated",
        /// The one before it was lost, or had signed what the log no longer holds.
        Adopted = "adopted",
    }
}

object! {
    /// A size and a root that were signed, and that nobody signs any more.
    pub struct GivenUp {
        /// Entries: 1 or more.
        required size: u64,
        /// The root at that size.
        required root: Hash,
    }
}

object_field!(GivenUp);

object! {
    /// Declares the key that signs the ledger's checkpoints of sizes above this entry's log index, until the next
    /// declaration. Only the process that writes to the ledger may say it: no request may.
    pub struct DeclareKey {
        /// The public key as c2sp.org/signed-note writes it, `NAME+ID+BASE64`; its name is `tracekeep/` and the ledger's id.
        required key: String,
        /// The key that was declared before it; absent of the first one alone.
        optional previous: String,
        /// Why.
        required reason: KeyReason,
        /// In words: 1 to 1,024 bytes.
        optional why: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// What was signed last before, where a key was given up and that is known: whoever holds it sees what became of it.
        /// Absent of a rotation, which gives nothing up.
        optional given_up: GivenUp,
        /// What rules took out of it at the door.
        door redacted: Redacted,
    }
}
