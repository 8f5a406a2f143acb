//! Following a log from one key to the next.

use tracekeep_core::merkle;
use tracekeep_core::model::{DeclareKey, KeyReason, Op};
use tracekeep_core::view::SignedProof;

use crate::alone;
use crate::checkpoint::Checkpoint;
use crate::error::{Code, Error, Result};
use crate::key::NoteKey;
use crate::note::Note;

/// The key that `trusted` hands its log over to: `trusted` has signed a checkpoint of a log that declares, in the entry
/// which `handover` proves, that the other takes its place; and the other has signed that checkpoint, too.
///
/// That a checkpoint has two signatures hands nothing over: no signature is over another one, and anybody adds their
/// own. The entry does, which the old signature is over.
///
/// # Errors
/// As [`Checkpoint::open`] of the checkpoint; `unknown_signer` also where it is about what follows another key;
/// `wrong_proof` where the entry is not in that log, is not what its leaf commits to, or does not say so;
/// `malformed_key` and `weak_key` of the key that it names.
pub fn follow(trusted: &NoteKey, handover: &SignedProof) -> Result<NoteKey> {
    let refuse = |detail| Error::new(Code::WrongProof, detail);
    let (origin, note) = (trusted.name(), handover.checkpoint.as_bytes());
    let declared = declared(trusted, handover)?;
    if declared.previous != Some(trusted.to_string()) {
        return Err(Error::new(Code::UnknownSigner, "the entry is about what follows another key"));
    }
    if declared.reason != KeyReason::Rotated {
        return Err(refuse("the entry hands nothing over"));
    }
    let next: NoteKey = declared.key.parse()?;
    if next.name() != origin {
        return Err(Error::new(Code::WrongOrigin, "the declared key is of another log"));
    }
    Note::parse(note)?.verify(std::slice::from_ref(&next))?;
    Ok(next)
}

/// Whether `handover` hands the log over to `trusted`, as `trusted` itself has signed: then nothing of it leads on.
///
/// # Errors
/// As [`follow`] of the checkpoint and the entry.
pub fn is_followed_by(trusted: &NoteKey, handover: &SignedProof) -> Result<bool> {
    let declared = declared(trusted, handover)?;
    Ok(declared.reason == KeyReason::Rotated && declared.key == trusted.to_string())
}

/// What the entry declares, which is in the log that `trusted` has signed.
fn declared(trusted: &NoteKey, handover: &SignedProof) -> Result<DeclareKey> {
    let refuse = |detail| Error::new(Code::WrongProof, detail);
    let (origin, note) = (trusted.name(), handover.checkpoint.as_bytes());
    let checkpoint = Checkpoint::open(note, origin, std::slice::from_ref(trusted))?;
    let entry = &handover.entry;
    let leaf = merkle::leaf_hash(entry.leaf.as_str().as_bytes());
    merkle::verify_inclusion(&leaf, entry.log_index, checkpoint.size, &handover.hashes, &checkpoint.root)
        .map_err(|_| refuse("the proof does not lead from the entry to the checkpoint's root"))?;
    declaration(handover).ok_or_else(|| refuse("the entry is no declaration that its leaf commits to"))
}

/// What an entry declares, where its leaf says that it is a declaration and commits to this one.
fn declaration(handover: &SignedProof) -> Option<DeclareKey> {
    let is_declaration = alone::leaf(&handover.entry).is_ok_and(|leaf| leaf.kind == "signing_key");
    let body = handover.entry.body.as_ref().filter(|_| is_declaration)?;
    match Op::from_body(body.as_str()) {
        Ok(Op::DeclareKey(declared)) => Some(declared),
        _ => None,
    }
}
