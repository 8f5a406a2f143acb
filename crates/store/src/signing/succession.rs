//! One key after another: how a key takes the place of the one before it, and what of that is kept for good.
//!
//! Each step is kept before the next one is taken, and each is taken again by whoever comes after a crash, to the same end:
//! the new key is kept; the log declares it; what is signed last is kept (of a rotation, the note by both; of an adoption,
//! what the key before it signed last is kept aside, and nothing is what the new one has signed); the new key takes its
//! place. Before the declaration the old key signs, after it the new one alone.

use tracekeep_core::model::{DeclareKey, GivenUp, KeyReason, Op};
use tracekeep_core::view::{DeclaredKey, SignedProof};
use tracekeep_evidence::{Checkpoint, Note, NoteKey, SigningKey};

use super::signer::{Signer, damaged};
use crate::batch::Batch;
use crate::block_on;
use crate::error::{Code, Error, Result};

/// What a declaration of a key says besides the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaring {
    /// Why, in words.
    pub why: Option<String>,
    /// On whose word.
    pub by: Option<String>,
}

/// Why a key does not sign that another may take the place of.
const ADOPTABLE: [Code; 4] = [Code::CheckpointFork, Code::KeyMissing, Code::ForeignKey, Code::KeysDamaged];

impl Signer {
    /// Puts a new key in the place of the one that signs, and keeps that aside for sizes of its time. Both sign the
    /// checkpoint whose last entry is the declaration, and that note is kept for good: whoever trusts the old key follows to
    /// the new one by it ([`Signer::handover`]). What a crash interrupts, the next call of any kind completes.
    ///
    /// # Errors
    /// As [`Signer::checkpoint`]; refused input.
    pub fn rotate(&self, saying: Declaring) -> Result<DeclaredKey> {
        let _turn = self.turn()?;
        let (old, _) = self.ready()?;
        let new = self.another()?;
        self.keys.put_next(&new)?;
        let declared = self.declare(DeclareKey {
            previous: Some(old.public().to_string()),
            ..declaration(&new, KeyReason::Rotated, saying)
        })?;
        self.complete(Some(old), &new, &declared)?;
        Ok(declared)
    }

    /// Makes a new key where the one that the log declares is lost, or has signed what the log no longer holds. The
    /// declaration says so, and states what was signed last before, where that is known: nobody hands their trust on to the
    /// new key but those who read it. What is found in the places of the key, another ledger's perhaps, and of what was
    /// signed last is kept aside.
    ///
    /// # Errors
    /// `conflict` where nothing keeps the key from signing: it can be rotated; or where nothing was ever signed, and the first
    /// signature makes the key; refused input; failures of the storage.
    pub fn adopt(&self, saying: Declaring) -> Result<DeclaredKey> {
        let _turn = self.turn()?;
        if self.declared()?.is_none() && matches!(self.keys.key(), Ok(None)) && !self.has_signed()? {
            return Err(Error::new(Code::Conflict, "nothing was signed yet: the first signature makes the key"));
        }
        match self.ready() {
            Ok(_) => return Err(Error::new(Code::Conflict, "the key is here, and signs: rotate it instead")),
            Err(error) if ADOPTABLE.map(Code::as_str).contains(&error.code()) => {}
            Err(error) => return Err(error),
        }
        let previous = self.declared()?.map(|declared| declared.key);
        let reason = if previous.is_none() { KeyReason::First } else { KeyReason::Adopted };
        let given_up = self.given_up()?;
        let new = self.another()?;
        self.keys.put_next(&new)?;
        let declared = self.declare(DeclareKey { previous, given_up, ..declaration(&new, reason, saying) })?;
        self.complete(None, &new, &declared)?;
        Ok(declared)
    }

    /// What shows whoever trusts the key before it that the key which is declared at `log_index` is the next one: the
    /// declaration, and its proof under the checkpoint that both have signed. [`tracekeep_evidence::follow`] checks it.
    ///
    /// # Errors
    /// `entry_not_found` where no key is declared there, or one that nobody handed over to; `key_missing` where the note is
    /// not beside the ledger; `checkpoint_fork` where the log is another one now; as [`Signer::checkpoint`] where a rotation
    /// was interrupted.
    pub fn handover(&self, log_index: u64) -> Result<SignedProof> {
        let _turn = self.turn()?;
        let declared = self.declarations()?.into_iter().find(|declared| declared.log_index == log_index);
        let none = || Error::new(Code::EntryNotFound, format!("log index {log_index} declares no key that took over"));
        let declared = declared.filter(|declared| declared.reason == KeyReason::Rotated).ok_or_else(none)?;
        let key: NoteKey = declared.key.parse().map_err(damaged)?;
        if self.keys.next()?.is_some_and(|next| *next.public() == key) {
            self.ready()?;
        }
        let missing = || Error::new(Code::KeyMissing, "the note that handed over to this key is not beside the ledger");
        let note = self.keys.handover(&key)?.ok_or_else(missing)?;
        let checkpoint = Checkpoint::open(&note, &self.origin(), &[key]).map_err(damaged)?;
        self.extends(&checkpoint)?;
        let hashes = block_on(self.ledger().inclusion(log_index, Some(checkpoint.size)))?.hashes;
        let entry = block_on(self.ledger().entries(log_index, 1))?.pop().ok_or_else(none)?;
        let note = String::from_utf8_lossy(&note).into_owned();
        Ok(SignedProof { entry, tree_size: checkpoint.size, hashes, checkpoint: note })
    }

    pub(super) fn declare_first(&self, key: &SigningKey) -> Result<DeclaredKey> {
        self.declare(declaration(key, KeyReason::First, Declaring::default()))
    }

    fn declare(&self, op: DeclareKey) -> Result<DeclaredKey> {
        let key = op.key.clone();
        let receipt = self.ledger().commit_blocking(vec![Batch::one(Op::DeclareKey(op))]).pop();
        receipt.unwrap_or_else(|| Err(Error::new(Code::StorageFailed, "the ledger gave no answer for a batch")))?;
        let undeclared = || Error::new(Code::Corrupt, "the key that was just declared is not in the log");
        self.declared()?.filter(|declared| declared.key == key).ok_or_else(undeclared)
    }

    /// Lets the declared key take its place: signed for by the one before it, unless that is given up.
    pub(super) fn complete(&self, old: Option<SigningKey>, new: &SigningKey, declared: &DeclaredKey) -> Result<()> {
        if declared.reason == KeyReason::Rotated {
            let missing = "the key that is to hand over to the declared one is not beside the ledger";
            let old = old.ok_or_else(|| Error::new(Code::KeyMissing, missing))?;
            self.hand_over(&old, new, declared.log_index + 1)?;
        } else if !self.has_begun(new)? {
            self.keys.set_head_aside()?;
            self.begin(new)?;
        }
        self.keys.promote()
    }

    /// Both sign the checkpoint at `size`, the first that the new key signs: the same note, whenever it is done. What was
    /// signed last never goes back for it.
    fn hand_over(&self, old: &SigningKey, new: &SigningKey, size: u64) -> Result<()> {
        self.check_origin(old)?;
        let absent = || Error::new(Code::KeysDamaged, "the key is here, and what it signed last is not");
        let last = self.last(&[old.public().clone(), new.public().clone()])?.ok_or_else(absent)?;
        let root = block_on(self.ledger().consistency(size, None))?.from_root;
        let mut note = Checkpoint { origin: self.origin(), size, root }.sign(old).map_err(damaged)?;
        note.sign_also(new);
        let note = note.to_string();
        if last.checkpoint.size <= size {
            self.keys.put_head(&note)?;
        }
        self.keys.put_handover(new.public(), &note)
    }

    /// Whether what is kept as signed last is the new key's already.
    fn has_begun(&self, new: &SigningKey) -> Result<bool> {
        let head = self.keys.head()?;
        let is_by = |note: Note| note.verify(std::slice::from_ref(new.public())).is_ok();
        Ok(head.is_some_and(|head| Note::parse(&head).is_ok_and(is_by)))
    }

    /// What was signed last, where a key that is known has signed it: the one beside the ledger, or one that the log declares.
    fn given_up(&self) -> Result<Option<GivenUp>> {
        let Some(head) = self.keys.head()? else { return Ok(None) };
        let declared = self.declarations()?.into_iter().filter_map(|declared| declared.key.parse().ok());
        let mut known: Vec<NoteKey> = declared.collect();
        known.extend(self.keys.key().ok().flatten().map(|key| key.public().clone()));
        let last = Checkpoint::open(&head, &self.origin(), &known).ok().filter(|last| last.size > 0);
        Ok(last.map(|Checkpoint { size, root, .. }| GivenUp { size, root }))
    }
}

fn declaration(key: &SigningKey, reason: KeyReason, Declaring { why, by }: Declaring) -> DeclareKey {
    let key = key.public().to_string();
    DeclareKey { key, previous: None, reason, why, by, given_up: None, redacted: None }
}
