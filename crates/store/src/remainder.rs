//! What is left of an entry, of any ledger: what a proof is made of that is given away.

use tracekeep_core::Invalid;
use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_core::redaction::Redaction;
use tracekeep_core::remainder::Remainder;
use tracekeep_core::view::LogEntry;

use crate::error::{Code, Error, Result};
use crate::ledger::LedgerStore;

/// What is left of the entry at `log_index`: every member with its salt, but for those that were withheld; `None` where it
/// was erased, and of a redaction that another took the place of. Reads the entry and, where members of it were withheld,
/// the redaction that holds what is left.
///
/// # Errors
/// `entry_not_found`; `corrupt` where what holds it cannot be read; failures of the storage.
pub async fn remainder(ledger: &dyn LedgerStore, log_index: u64) -> Result<Option<Remainder>> {
    let corrupt =
        |at: u64| move |wrong: Invalid| Error::new(Code::Corrupt, format!("log index {at}: {}", wrong.detail()));
    loop {
        let entry = entry(ledger, log_index).await?;
        if let (Some(body), Some(salt)) = (entry.body, entry.salt) {
            let body = Body::from_recorded(body.as_str()).map_err(corrupt(log_index))?;
            return Ok(Some(Remainder::whole(log_index, &body, &Salt::from_bytes(*salt.as_bytes()))));
        }
        let Some(by) = entry.redacted_by else { return Ok(None) };
        // Another may have taken its place meanwhile: then that one holds it.
        if let Some(body) = self::entry(ledger, by).await?.body {
            let redaction = Redaction::from_body(body.as_str()).map_err(corrupt(by))?;
            return Ok(redaction.remainder(log_index).cloned());
        }
    }
}

async fn entry(ledger: &dyn LedgerStore, log_index: u64) -> Result<LogEntry> {
    let entries = ledger.entries(log_index, 1).await?;
    let there = entries.into_iter().next().filter(|entry| entry.log_index == log_index);
    there.ok_or_else(|| Error::new(Code::EntryNotFound, format!("no entry at log index {log_index}")))
}
