//! Evidence that proves itself: signed checkpoints and offline proofs, made and verified without any store.
//!
//! The formats are those of C2SP: a checkpoint is a signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note), a proof
//! of one entry stands with its checkpoint in one text (c2sp.org/tlog-proof). Trust comes from the keys that a verifier
//! brings, never from what is verified; keys, times and randomness are passed in. docs/format/evidence.md has the bytes.
//!
//! ```
//! use tracekeep_core::hash::sha256;
//! use tracekeep_evidence::{Checkpoint, NoteKey, SigningKey};
//!
//! let ledger = "000102030405060708090a0b0c0d0e0f".parse()?;
//! let key = SigningKey::from_seed(Checkpoint::origin_of(ledger), [7; 32])?;
//! let head = Checkpoint { origin: Checkpoint::origin_of(ledger), size: 3, root: sha256(&[b"a root"]) };
//! let note = head.sign(&key)?.to_string();
//! // The auditor has the public key from elsewhere, as text.
//! let public: NoteKey = key.public().to_string().parse()?;
//! assert_eq!(Checkpoint::open(note.as_bytes(), &head.origin, &[public])?, head);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod account;
pub mod alone;
mod base64;
pub mod bundle;
mod checkpoint;
pub mod comparison;
pub mod controls;
pub mod debrief;
mod error;
mod handover;
mod key;
mod note;
mod proof;
mod quoted;
pub mod report;
mod witness;

pub use base64::of as base64_of;
pub use checkpoint::Checkpoint;
pub use error::{Code, Error, Result};
pub use handover::{follow, is_followed_by};
pub use key::{NoteKey, SigningKey};
pub use note::{NOTE_BYTES_MAX, Note, SIGNATURES_MAX};
pub use proof::{EXTRA_BYTES_MAX, TlogProof};
pub use witness::WitnessRequest;
