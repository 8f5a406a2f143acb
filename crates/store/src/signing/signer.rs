//! The signer: the ledger's head and its keys, one signature after the other.

use std::sync::{Arc, Mutex, PoisonError};

use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::merkle::empty_root;
use tracekeep_core::model::KeyReason;
use tracekeep_core::view::DeclaredKey;
use tracekeep_evidence::{Checkpoint, Note, NoteKey, SigningKey};

use super::KeyStore;
use crate::block_on;
use crate::error::{Code, Error, Result};
use crate::ledger::LedgerStore;
use crate::query::PageRequest;

/// A checkpoint with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// As it leaves.
    pub note: Note,
}

/// Signs a ledger's checkpoints, in the process that writes to it.
///
/// Each call is refused, with nothing signed and nothing changed, where a signature could contradict an earlier one or
/// could not be told from a stranger's: `checkpoint_fork` where the log does not extend what was signed last (a backup was
/// put back), `key_missing` where the key that the log declares is not here, `foreign_key` where the keys are another
/// ledger's, `keys_unsafe`, `keys_damaged`. All calls take turns.
#[derive(Debug)]
pub struct Signer {
    ledger: Arc<dyn LedgerStore>,
    pub(super) keys: Arc<dyn KeyStore>,
    turn: Mutex<()>,
}

impl Signer {
    /// Signs `ledger` with what `keys` holds.
    #[must_use]
    pub fn new(ledger: Arc<dyn LedgerStore>, keys: Arc<dyn KeyStore>) -> Self {
        Self { ledger, keys, turn: Mutex::new(()) }
    }

    /// Whether the key lasts longer than the process.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.keys.is_lasting()
    }

    /// The checkpoint at the head. Where the head is the one that was signed last, that one as it was. The first makes a
    /// key and declares it in the log, so it signs one entry more than there was.
    ///
    /// # Errors
    /// Why nothing is signed; failures of the storage.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint> {
        let _turn = self.turn()?;
        let (key, _) = self.ready()?;
        self.extend(&key)
    }

    /// The checkpoint at an earlier size, or at the head: a prefix of what is signed, by the one key that the log declares
    /// for that size, and the same bytes each time.
    ///
    /// # Errors
    /// As [`Signer::checkpoint`]; `entry_not_found` where the log never had that size; `invalid_parameter` where no key is
    /// declared below it, since nothing so small was ever signed; `key_missing` where that key is not here, or was given up
    /// by an adoption since.
    pub fn checkpoint_at(&self, size: u64) -> Result<SignedCheckpoint> {
        let _turn = self.turn()?;
        let (key, _) = self.ready()?;
        let latest = self.extend(&key)?;
        let root = block_on(self.ledger.consistency(size, Some(latest.checkpoint.size)));
        let root = root.map_err(|error| match error.code() {
            "invalid_parameter" => Error::new(Code::EntryNotFound, format!("the log never had {size} entries")),
            _ => error,
        })?;
        let checkpoint = Checkpoint { size, root: root.from_root, ..latest.checkpoint };
        let note = checkpoint.sign(&self.valid_at(size, key)?).map_err(damaged)?;
        Ok(SignedCheckpoint { checkpoint, note })
    }

    /// Lets the key that the log declares sign something else, such as the manifest of a bundle.
    ///
    /// # Errors
    /// As [`Signer::checkpoint`].
    pub fn with_key<T>(&self, sign: impl FnOnce(&SigningKey) -> T) -> Result<T> {
        let _turn = self.turn()?;
        Ok(sign(&self.ready()?.0))
    }

    /// The same of the key that signs checkpoints of `size` entries; others sign meanwhile, as it may take long.
    ///
    /// # Errors
    /// As [`Signer::checkpoint_at`].
    pub fn with_key_at<T>(&self, size: u64, sign: impl FnOnce(&SigningKey) -> T) -> Result<T> {
        let turn = self.turn()?;
        let (key, _) = self.ready()?;
        let key = self.valid_at(size, key)?;
        drop(turn);
        Ok(sign(&key))
    }

    /// The key that the log declares, if any: nothing is made, and it need not be here.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn declared(&self) -> Result<Option<DeclaredKey>> {
        Ok(self.declarations()?.pop())
    }

    pub(super) fn declarations(&self) -> Result<Vec<DeclaredKey>> {
        let mut page = PageRequest { limit: PAGE_ITEMS_MAX, cursor: None };
        let mut declared = Vec::new();
        loop {
            let keys = block_on(self.ledger.signing_keys(&page))?;
            declared.extend(keys.items);
            page.cursor = keys.next_cursor;
            if page.cursor.is_none() {
                return Ok(declared);
            }
        }
    }

    /// The key that the log declares for checkpoints of `size` entries, given the one that signs now.
    fn valid_at(&self, size: u64, now: SigningKey) -> Result<SigningKey> {
        let missing = |detail: String| Error::new(Code::KeyMissing, detail);
        let declared = self.declarations()?;
        let later = declared.partition_point(|key| key.log_index < size);
        let Some(valid) = later.checked_sub(1).and_then(|place| declared.get(place)) else {
            let first = declared.first().map_or(0, |first| first.log_index.saturating_add(1));
            let detail = format!("{size} is below {first}, the first size that a key signs: name that or a larger one");
            return Err(Error::new(Code::InvalidParameter, detail).at("size"));
        };
        if later == declared.len() {
            return Ok(now);
        }
        if let Some(adopted) = declared[later..].iter().find(|key| key.reason != KeyReason::Rotated) {
            let detail = format!("log index {} gave up the key that signed {size} entries", adopted.log_index);
            return Err(missing(detail));
        }
        let gone = || missing(format!("the key that signed {size} entries is not beside the ledger"));
        self.keys.retired(&valid.key)?.ok_or_else(gone)
    }

    pub(super) fn ledger(&self) -> &dyn LedgerStore {
        &*self.ledger
    }

    /// One call after the other, and none where the ledger outlasts its keys: the declaration would outlive the key.
    pub(super) fn turn(&self) -> Result<std::sync::MutexGuard<'_, ()>> {
        if self.ledger.durability_mode().is_durable() && !self.keys.is_lasting() {
            let detail = "the ledger lasts, and the keys that it was opened with end with this process: open it with lasting ones";
            return Err(Error::new(Code::KeyMissing, detail));
        }
        Ok(self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something is kept as signed last that has entries.
    pub(super) fn has_signed(&self) -> Result<bool> {
        let head = self.keys.head()?;
        Ok(head.is_some_and(|note| note.split(|byte| *byte == b'\n').nth(1) != Some(b"0")))
    }

    /// What a key has signed before it signs anything: no entries. So what was signed last is never absent beside a key.
    pub(super) fn begin(&self, key: &SigningKey) -> Result<()> {
        let nothing = Checkpoint { origin: self.origin(), size: 0, root: empty_root() };
        self.keys.put_head(&nothing.sign(key).map_err(damaged)?.to_string())
    }

    /// The key that signs, once nothing keeps it from signing.
    pub(super) fn ready(&self) -> Result<(SigningKey, DeclaredKey)> {
        let (key, next, declared) = (self.keys.key()?, self.keys.next()?, self.declared()?);
        if let (Some(next), Some(declared)) = (next, &declared)
            && next.public().to_string() == declared.key
        {
            self.complete(key, &next, declared)?;
            return Ok((next, declared.clone()));
        }
        let missing = |detail: &str| Err(Error::new(Code::KeyMissing, detail));
        let Some(key) = key else {
            if declared.is_some() {
                return missing("the key that the log declares is not beside the ledger");
            }
            if self.has_signed()? {
                return missing("something was signed, and the key that did it is not beside the ledger");
            }
            let key = self.another()?;
            self.begin(&key)?;
            self.keys.put_key(&key)?;
            let declared = self.declare_first(&key)?;
            return Ok((key, declared));
        };
        self.check_origin(&key)?;
        if self.last(&[key.public().clone()])?.is_none() {
            return Err(Error::new(Code::KeysDamaged, "the key is here, and what it signed last is not"));
        }
        match declared {
            Some(declared) if declared.key == key.public().to_string() => Ok((key, declared)),
            Some(_) => missing("the key beside the ledger is not the one that the log declares"),
            None => {
                let declared = self.declare_first(&key)?;
                Ok((key, declared))
            }
        }
    }

    /// A new key of this ledger.
    pub(super) fn another(&self) -> Result<SigningKey> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::new(Code::StorageFailed, format!("no randomness for a key: {error}")))?;
        SigningKey::from_seed(self.origin(), seed).map_err(damaged)
    }

    pub(super) fn origin(&self) -> String {
        Checkpoint::origin_of(self.ledger.ledger())
    }

    pub(super) fn check_origin(&self, key: &SigningKey) -> Result<()> {
        if key.public().name() == self.origin() {
            return Ok(());
        }
        let detail = format!("the key beside the ledger is that of {}", key.public().name());
        Err(Error::new(Code::ForeignKey, detail))
    }

    /// The checkpoint at the head, kept before it leaves.
    fn extend(&self, key: &SigningKey) -> Result<SignedCheckpoint> {
        let last = self.last(&[key.public().clone()])?;
        let head = block_on(self.ledger.head())?;
        if let Some(last) = last
            && last.checkpoint.size == head.tree_size
        {
            return Ok(last);
        }
        let checkpoint = Checkpoint { origin: self.origin(), size: head.tree_size, root: head.root };
        let note = checkpoint.sign(key).map_err(damaged)?;
        self.keys.put_head(&note.to_string())?;
        Ok(SignedCheckpoint { checkpoint, note })
    }

    /// What was signed last, by one of `keys`: the log still extends it.
    pub(super) fn last(&self, keys: &[NoteKey]) -> Result<Option<SignedCheckpoint>> {
        let Some(bytes) = self.keys.head()? else { return Ok(None) };
        let note = Note::parse(&bytes).map_err(damaged)?;
        let checkpoint = Checkpoint::open(&bytes, &self.origin(), keys).map_err(damaged)?;
        self.extends(&checkpoint)?;
        Ok(Some(SignedCheckpoint { checkpoint, note }))
    }

    /// Refuses where the log does not extend this checkpoint of it.
    pub(super) fn extends(&self, checkpoint: &Checkpoint) -> Result<()> {
        let fork = |detail: String| Err(Error::new(Code::CheckpointFork, detail));
        match block_on(self.ledger.consistency(checkpoint.size, None)) {
            Ok(proof) if proof.from_root == checkpoint.root => Ok(()),
            Ok(_) => fork(format!("the log had another root at {} entries, and that one was signed", checkpoint.size)),
            Err(error) if error.code() == Code::EntryNotFound.as_str() => {
                fork(format!("{} entries were signed, and the log has fewer", checkpoint.size))
            }
            Err(error) => Err(error),
        }
    }
}

pub(super) fn damaged(error: tracekeep_evidence::Error) -> Error {
    Error::new(Code::KeysDamaged, format!("what lies beside the ledger for signing is not what was put there: {error}"))
}
