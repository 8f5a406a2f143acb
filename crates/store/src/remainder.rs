//! What is left of an entry, of any ledger: what a proof is made of that is given away.

use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_core::remainder::Remainder;

use crate::error::{Code, Error, Result};
use crate::ledger::LedgerStore;

/// What is left of the entry at `log_index`: every member with its salt, where nothing of it was withheld; `None` where it
/// was erased. Reads the entry.
///
/// # Errors
/// `entry_not_found`; `corrupt` where what is left does not give the entry's commitment; failures of the storage.
pub async fn remainder(ledger: &dyn LedgerStore, log_index: u64) -> Result<Option<Remainder>> {
    let entries = ledger.entries(log_index, 1).await?;
    let Some(entry) = entries.into_iter().next().filter(|entry| entry.log_index == log_index) else {
        return Err(Error::new(Code::EntryNotFound, format!("no entry at log index {log_index}")));
    };
    let (Some(body), Some(salt)) = (entry.body, entry.salt) else { return Ok(None) };
    let body = Body::from_recorded(body.as_str())
        .map_err(|invalid| Error::new(Code::Corrupt, format!("log index {log_index}: {}", invalid.detail())))?;
    Ok(Some(Remainder::whole(log_index, &body, &Salt::from_bytes(*salt.as_bytes()))))
}
