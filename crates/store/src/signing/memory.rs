//! A key that is gone with its process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracekeep_evidence::{NoteKey, SigningKey};

use super::KeyStore;
use crate::error::{Code, Error, Result};

/// Keys in memory: for ledgers in memory, and for tests.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    key: Option<String>,
    next: Option<String>,
    retired: Vec<String>,
    head: Option<Vec<u8>>,
    heads_aside: Vec<Vec<u8>>,
    handovers: BTreeMap<String, Vec<u8>>,
}

impl MemoryKeys {
    /// What was kept aside of what was signed last, the oldest first.
    #[must_use]
    pub fn heads_aside(&self) -> Vec<Vec<u8>> {
        self.lock().heads_aside.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(text: Option<&String>) -> Result<Option<SigningKey>> {
    text.map(|text| SigningKey::from_secret(text).map_err(super::signer::damaged)).transpose()
}

impl KeyStore for MemoryKeys {
    fn key(&self) -> Result<Option<SigningKey>> {
        read(self.lock().key.as_ref())
    }

    fn put_key(&self, key: &SigningKey) -> Result<()> {
        match &mut self.lock().key {
            Some(_) => Err(Error::new(Code::Conflict, "a key is there already")),
            none => {
                *none = Some(key.to_secret());
                Ok(())
            }
        }
    }

    fn next(&self) -> Result<Option<SigningKey>> {
        read(self.lock().next.as_ref())
    }

    fn put_next(&self, key: &SigningKey) -> Result<()> {
        self.lock().next = Some(key.to_secret());
        Ok(())
    }

    fn promote(&self) -> Result<()> {
        let mut kept = self.lock();
        let next = kept.next.take();
        let old = std::mem::replace(&mut kept.key, next);
        kept.retired.extend(old);
        Ok(())
    }

    fn retired(&self, public: &str) -> Result<Option<SigningKey>> {
        let kept = self.lock();
        let mut keys = kept.retired.iter().filter_map(|text| SigningKey::from_secret(text).ok());
        Ok(keys.find(|key| key.public().to_string() == public))
    }

    fn head(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().head.clone())
    }

    fn put_head(&self, note: &str) -> Result<()> {
        self.lock().head = Some(note.as_bytes().to_vec());
        Ok(())
    }

    fn set_head_aside(&self) -> Result<()> {
        let mut kept = self.lock();
        let head = kept.head.clone().filter(|head| !kept.heads_aside.contains(head));
        kept.heads_aside.extend(head);
        Ok(())
    }

    fn put_handover(&self, key: &NoteKey, note: &str) -> Result<()> {
        self.lock().handovers.insert(key.to_string(), note.as_bytes().to_vec());
        Ok(())
    }

    fn handover(&self, key: &NoteKey) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().handovers.get(&key.to_string()).cloned())
    }

    fn is_lasting(&self) -> bool {
        false
    }
}
