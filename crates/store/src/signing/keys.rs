//! Where a private key is kept.

use std::fmt::Debug;

use tracekeep_evidence::{NoteKey, SigningKey};

use crate::error::Result;

/// A ledger's private key, the one that is to take its place, what was signed last, and what of all this was before: beside
/// the ledger, never in it.
///
/// # Contract
/// - What a method put is there after a crash once it has returned; while it had not, all of it is or none of it.
/// - Reading what was never put gives `None`; `keys_damaged` where something else is there, `keys_unsafe` where others
///   could read it.
/// - One process has it at a time, as it has the ledger.
pub trait KeyStore: Debug + Send + Sync + 'static {
    /// The key that signs.
    fn key(&self) -> Result<Option<SigningKey>>;

    /// Keeps the first key, where there is none; `conflict` where there is one.
    fn put_key(&self, key: &SigningKey) -> Result<()>;

    /// The key that is to take its place.
    fn next(&self) -> Result<Option<SigningKey>>;

    /// Keeps it, in the place of any that was to.
    fn put_next(&self, key: &SigningKey) -> Result<()>;

    /// Lets the next key be the one that signs. What was in its place, whatever it is, is kept aside. A key that was signs
    /// checkpoints of sizes of its time alone, and bundles of those sizes: also ones that nobody asked for in its time.
    fn promote(&self) -> Result<()>;

    /// The key, among those that were kept aside, whose public key is this text.
    fn retired(&self, public: &str) -> Result<Option<SigningKey>>;

    /// The checkpoint that was signed last, as its note.
    fn head(&self) -> Result<Option<Vec<u8>>>;

    /// Keeps what is signed last from now on.
    fn put_head(&self, note: &str) -> Result<()>;

    /// Keeps aside what was signed last, as it stands, beside all that was kept aside before, the same once. It stays
    /// what was signed last, too. Nothing where there is none.
    fn set_head_aside(&self) -> Result<()>;

    /// Keeps the note with which the key before `key` handed over to it, for good: it is kept again where a crash came
    /// between, and is the same then.
    fn put_handover(&self, key: &NoteKey, note: &str) -> Result<()>;

    /// That note.
    fn handover(&self, key: &NoteKey) -> Result<Option<Vec<u8>>>;

    /// Whether it lasts longer than the process.
    fn is_lasting(&self) -> bool;
}
