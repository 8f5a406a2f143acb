//! All runs whose start was recorded in a period, with the leaves that show that none was left out.

use std::collections::BTreeMap;

use crate::{Code, Error, LedgerStore, Result, block_on};
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::model::{Kind, Period};

use super::Progress;
use super::gather::{Gathered, recorded_at};
use super::records::{Reading, record};

/// Gathers the runs of a period, and every leaf from the entry before it to the one after it: `recorded_at` never decreases
/// along the log, so nothing of the period is outside of them.
///
/// # Errors
/// `too_large` where its entries have more bytes than one bundle shows; `run_erased` where one of its runs was erased at or above the
/// size, so that nothing in the bundle would say so; failures of the storage.
pub(super) fn gather(reading: &mut Reading<'_>, period: &Period, progress: &Progress<'_>) -> Result<Gathered> {
    let (ledger, size) = (reading.ledger, reading.size);
    let (mut found, mut erased) = (Gathered::default(), BTreeMap::new());
    let (first, end) = (first_at(ledger, period.from, size)?, first_at(ledger, period.to, size)?);
    let (mut next, last) = (first.saturating_sub(1), end.saturating_add(1).min(size));
    while next < last {
        let limit = u32::try_from(last - next).unwrap_or(PAGE_ITEMS_MAX).min(PAGE_ITEMS_MAX);
        let entries = block_on(ledger.entries(next, limit))?;
        let Some(read) = entries.last().map(|entry| entry.log_index + 1) else { break };
        for entry in entries.iter().filter(|entry| entry.log_index < last) {
            let leaf = record(ledger, entry)?;
            let is_inside = (first..end).contains(&leaf.log_index);
            if is_inside && leaf.kind == Kind::RunStarted.as_str() && leaf.left.is_some() {
                reading.run(&RunId::new(&leaf.run)?, |_| ())?.into_iter().for_each(|own| found.add(own));
            } else if is_inside && leaf.kind == Kind::RunStarted.as_str() {
                let by = erased_by(ledger, &RunId::new(&leaf.run)?)?;
                if by >= size {
                    let detail = format!("run {} was erased by log index {by}: export a size above that", leaf.run);
                    return Err(Error::new(Code::RunErased, detail));
                }
                erased.insert(leaf.run.clone(), (leaf.log_index, by));
            }
            found.leaves.push(reading.bare(leaf)?);
        }
        progress("reading", found.leaves.len() as u64);
        next = read;
    }
    left_of(reading, &erased, &mut found)?;
    Ok(found)
}

/// The redaction that erased a run.
fn erased_by(ledger: &dyn LedgerStore, run_id: &RunId) -> Result<u64> {
    match block_on(ledger.run(run_id)) {
        Err(error) => error.redaction().map(|redaction| redaction.log_index).ok_or(error.clone()),
        Ok(_) => Err(Error::new(Code::Corrupt, format!("the start of run {run_id} is gone, but the run is not"))),
    }
}

/// Of erased runs their leaves are left, from the start to the redaction: all are shown. Where they stand is looked for
/// without reading what stands between them.
fn left_of(reading: &mut Reading<'_>, erased: &BTreeMap<String, (u64, u64)>, found: &mut Gathered) -> Result<()> {
    let Some(mut next) = erased.values().map(|(start, _)| *start).min() else { return Ok(()) };
    let last = erased.values().map(|(_, by)| *by).max().unwrap_or(next);
    while next <= last {
        let events = block_on(reading.ledger.events(next, PAGE_ITEMS_MAX))?;
        let Some(read) = events.last().map(|event| event.log_index + 1) else { break };
        for event in events.iter().filter(|event| event.log_index <= last && erased.contains_key(&event.run)) {
            found.add(reading.at(event.log_index)?);
        }
        next = read;
    }
    Ok(())
}

/// The first entry below a size that was recorded at a time or later; the size where there is none.
fn first_at(ledger: &dyn LedgerStore, time: Timestamp, size: u64) -> Result<u64> {
    let (mut from, mut to) = (0, size);
    while from < to {
        let middle = from + (to - from) / 2;
        if recorded_at(ledger, middle)? < time { from = middle + 1 } else { to = middle }
    }
    Ok(from)
}
