//! Entries of the log as a bundle shows them.

use crate::{Code, Error, LedgerStore, PageRequest, Result, block_on, remainder};
use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{PAGE_ITEMS_MAX, PROVED_MAX};
use tracekeep_core::remainder::Remainder;
use tracekeep_core::view::LogEntry;
use tracekeep_core::wire::{Field, Path};
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_evidence::bundle::Record;

/// An entry, whole as far as the ledger has it.
pub(super) fn record(ledger: &dyn LedgerStore, entry: &LogEntry) -> Result<Record> {
    let corrupt = || Error::new(Code::Corrupt, format!("the leaf of log index {} cannot be read", entry.log_index));
    let left = match (&entry.body, entry.salt) {
        (Some(body), Some(salt)) => {
            let body = Body::from_recorded(body.as_str()).map_err(|_| corrupt())?;
            Some(Remainder::whole(entry.log_index, &body, &Salt::from_bytes(*salt.as_bytes())))
        }
        // Erased whole, or some of its members: the ledger knows.
        _ => block_on(remainder(ledger, entry.log_index))?,
    };
    let value = entry.leaf.json().value();
    let leaf = value.as_object().ok_or_else(corrupt)?;
    fn member<T: Field>(leaf: &tracekeep_core::json::Object<'_>, name: &str) -> Option<T> {
        let json = leaf.get(name)?.to_json();
        T::read(json.value(), &Path::ROOT).ok()
    }
    Ok(Record {
        log_index: entry.log_index,
        run: member(leaf, "run").ok_or_else(corrupt)?,
        seq: member(leaf, "seq").ok_or_else(corrupt)?,
        kind: member(leaf, "kind").ok_or_else(corrupt)?,
        recorded_at: member(leaf, "recorded_at").ok_or_else(corrupt)?,
        commit: member(leaf, "commit").ok_or_else(corrupt)?,
        left,
    })
}

/// The entries of a run below a size, in the order of the log; `each` is told after each page how many there are so far.
///
/// # Errors
/// `run_not_found` where the run is unknown, or began later; `run_erased`; `too_large` beyond what one proof covers.
pub(super) fn of_run(
    ledger: &dyn LedgerStore,
    run_id: &RunId,
    size: u64,
    mut each: impl FnMut(u64),
) -> Result<Vec<Record>> {
    let (mut page, mut records) = (PageRequest::first(PAGE_ITEMS_MAX), Vec::new());
    loop {
        let found = block_on(ledger.run_entries(run_id, &page))?;
        for entry in &found.items {
            if entry.log_index >= size {
                return demand(records, run_id, size);
            }
            records.push(record(ledger, entry)?);
        }
        if records.len() > PROVED_MAX as usize {
            return Err(too_many());
        }
        each(records.len() as u64);
        page.cursor = found.next_cursor;
        if page.cursor.is_none() {
            return demand(records, run_id, size);
        }
    }
}

fn demand(records: Vec<Record>, run_id: &RunId, size: u64) -> Result<Vec<Record>> {
    if records.is_empty() {
        let detail = format!("no run {run_id} is recorded among the first {size} entries");
        return Err(Error::new(Code::RunNotFound, detail));
    }
    Ok(records)
}

pub(super) fn too_many() -> Error {
    let detail = format!("a bundle shows at most {PROVED_MAX} entries: export a part of it");
    Invalid::new(InvalidCode::TooLarge, "", detail).into()
}

/// One entry.
pub(super) fn at(ledger: &dyn LedgerStore, log_index: u64) -> Result<Record> {
    let entry = block_on(ledger.entries(log_index, 1))?.into_iter().next();
    let missing = || Error::new(Code::EntryNotFound, format!("no entry at log index {log_index}"));
    record(ledger, &entry.filter(|entry| entry.log_index == log_index).ok_or_else(missing)?)
}
