//! Entries of the log as a bundle shows them.

use std::collections::BTreeMap;

use crate::{Code, Error, LedgerStore, PageRequest, Result, block_on, remainder};
use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{EXPORT_BYTES_MAX, PAGE_ITEMS_MAX};
use tracekeep_core::remainder::{Left, Remainder};
use tracekeep_core::view::LogEntry;
use tracekeep_core::wire::{Field, Path};
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_evidence::bundle::Record;

use super::select::Shown;

/// Bytes of a record's line beside its run, its kind and its members, and of a member's beside its name and value: each has
/// a hash.
const LINE_BYTES: u64 = 256;
const MEMBER_BYTES: u64 = 73;

/// Reads entries for one bundle, as long as there is room for what it shows of them.
pub(super) struct Reading<'a> {
    pub(super) ledger: &'a dyn LedgerStore,
    /// The size that is exported.
    pub(super) size: u64,
    /// What is shown, where it is asked of a run.
    pub(super) shown: Option<Shown<'a>>,
    /// What the ledger withholds itself, by log index.
    pub(super) withheld: BTreeMap<u64, Vec<String>>,
    /// Bytes that are left.
    room: u64,
}

impl<'a> Reading<'a> {
    /// Reads below a size, and has taken nothing yet.
    pub(super) fn below(size: u64, ledger: &'a dyn LedgerStore) -> Self {
        Self { ledger, size, shown: None, withheld: BTreeMap::new(), room: EXPORT_BYTES_MAX }
    }

    /// An entry, as it is shown.
    ///
    /// # Errors
    /// `too_large` where there is no room for it; failures of the storage.
    pub(super) fn take(&mut self, entry: &LogEntry) -> Result<Record> {
        let mut record = record(self.ledger, entry)?;
        let withheld: Vec<_> = record.left.iter().flat_map(|left| left.withheld()).map(str::to_owned).collect();
        if !withheld.is_empty() {
            self.withheld.insert(record.log_index, withheld);
        }
        if let Some(shown) = &mut self.shown {
            shown.leave(&mut record)?;
        }
        self.make_room(&record)?;
        Ok(record)
    }

    /// The leaf of an entry, alone.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn bare(&mut self, whole: Record) -> Result<Record> {
        let leaf = Record { left: None, ..whole };
        self.make_room(&leaf)?;
        Ok(leaf)
    }

    fn make_room(&mut self, record: &Record) -> Result<()> {
        let of = |left: &Left| {
            let value = left.value().map_or(0, |value| value.as_str().len());
            (left.name().len() + value) as u64 + MEMBER_BYTES
        };
        let members: u64 = record.left.iter().flat_map(|left| &left.members).map(of).sum();
        let bytes = LINE_BYTES + (record.run.len() + record.kind.len()) as u64 + members;
        self.room = self.room.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }

    /// One entry.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn at(&mut self, log_index: u64) -> Result<Record> {
        self.take(&entry_at(self.ledger, log_index)?)
    }

    /// The entries of a run, in the order of the log; `each` is told after each page how many there are so far.
    ///
    /// # Errors
    /// `run_not_found` where the run is unknown, or began later; `run_erased`; `too_large`.
    pub(super) fn run(&mut self, run_id: &RunId, mut each: impl FnMut(u64)) -> Result<Vec<Record>> {
        let (mut page, mut records) = (PageRequest::first(PAGE_ITEMS_MAX), Vec::new());
        loop {
            let found = block_on(self.ledger.run_entries(run_id, &page))?;
            for entry in &found.items {
                if entry.log_index >= self.size {
                    return demand(records, run_id, self.size);
                }
                records.push(self.take(entry)?);
            }
            each(records.len() as u64);
            page.cursor = found.next_cursor;
            if page.cursor.is_none() {
                return demand(records, run_id, self.size);
            }
        }
    }
}

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

fn demand(records: Vec<Record>, run_id: &RunId, size: u64) -> Result<Vec<Record>> {
    if records.is_empty() {
        let detail = format!("no run {run_id} is recorded among the first {size} entries");
        return Err(Error::new(Code::RunNotFound, detail));
    }
    Ok(records)
}

pub(super) fn too_large() -> Error {
    let detail =
        format!("a bundle shows at most {EXPORT_BYTES_MAX} bytes of entries: show fewer of the steps and traces");
    Invalid::new(InvalidCode::TooLarge, "", detail).into()
}

/// One entry, as the log has it.
pub(super) fn at(ledger: &dyn LedgerStore, log_index: u64) -> Result<Record> {
    record(ledger, &entry_at(ledger, log_index)?)
}

fn entry_at(ledger: &dyn LedgerStore, log_index: u64) -> Result<LogEntry> {
    let entry = block_on(ledger.entries(log_index, 1))?.into_iter().next();
    let missing = || Error::new(Code::EntryNotFound, format!("no entry at log index {log_index}"));
    entry.filter(|entry| entry.log_index == log_index).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::ExportRequest;
    use crate::{Batch, MemoryLedger};
    use tracekeep_core::json::Json;
    use tracekeep_core::model::{Op, RecordStep, StartRun};

    /// Whole runs were once held before anybody asked how large they are: 3 GiB of a ledger of 1 MB.
    #[test]
    fn what_has_no_room_is_refused_as_it_is_read_and_what_is_not_shown_takes_little() {
        let (ledger, run_id) = (MemoryLedger::default(), RunId::new("r").expect("an id"));
        let params = Json::parse(&format!(r#"{{"long":"{}"}}"#, "a".repeat(10_000))).expect("JSON");
        let mut ops = vec![Op::StartRun(StartRun { run_id: Some(run_id.clone()), ..StartRun::default() })];
        ops.extend((0..8).map(|index| Op::RecordStep(RecordStep::new(run_id.clone(), index, "s", params.clone()))));
        let size = ledger.commit_blocking(vec![Batch::of(ops)]).remove(0).expect("recorded").tree_size;
        let read = |request: Option<&ExportRequest>, room| {
            let mut reading = Reading { room, ..Reading::below(size, &ledger) };
            reading.shown = request.map(|request| Shown::of(Some("r"), request));
            let read = reading.run(&run_id, |_| ()).map(|records| records.len());
            (read.map_err(|error| error.code()), room - reading.room)
        };
        let (all, taken) = read(None, EXPORT_BYTES_MAX);
        assert_eq!(all, Ok(9));
        assert!((80_000..110_000).contains(&taken), "{taken}");
        assert_eq!(read(None, taken), (Ok(9), taken));
        assert_eq!(read(None, taken - 1).0, Err("too_large"));
        // Of five steps nothing was held any more when the third had no room.
        assert!(read(None, 25_000).1 < 25_000);
        let request = ExportRequest { only_steps: Some(vec![3]), ..ExportRequest::default() };
        assert_eq!(read(Some(&request), 40_000).0, Ok(9));
    }
}
