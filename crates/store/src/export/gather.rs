//! Gathering what goes into a bundle, from a ledger at one size.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Code, Error, LedgerStore, Order, PageRequest, Result, RunFilter, RunQuery, SignedCheckpoint, block_on};
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{EXPORT_BYTES_MAX, PAGE_ITEMS_MAX};
use tracekeep_core::model::BundleKind;
use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::{Contents, Kind, Period, Record};
use tracekeep_evidence::controls::controls;
use tracekeep_evidence::debrief::debrief;
use tracekeep_evidence::report::{self, Cover};

use super::Progress;
use super::compared::comparison;
use super::period;
use super::records::{Reading, at, too_large};
use super::request::{ExportOf, ExportRequest};
use super::select::{Shown, withhold};

/// Everything that a bundle is made of, at the size that was signed.
pub(super) fn contents(
    ledger: &dyn LedgerStore,
    of: &ExportOf,
    request: &ExportRequest,
    tenant_id: &str,
    signed: SignedCheckpoint,
    progress: &Progress<'_>,
) -> Result<Contents> {
    let size = signed.checkpoint.size;
    let mut reading = Reading::below(size, ledger);
    let mut found = match of {
        ExportOf::Incident(id) => {
            let missing = || Error::new(Code::IncidentNotFound, format!("no incident {id} is among {size} entries"));
            let incident = block_on(ledger.incident(id))?.filter(|known| known.log_index < size).ok_or_else(missing)?;
            let mut found = match &incident.run_id {
                Some(run_id) => run(&mut reading, run_id, request, progress)?,
                None => {
                    reading.shown = Some(Shown::of(None, request));
                    Gathered::default()
                }
            };
            let entries = [Some(incident.log_index), incident.resolved_log_index];
            for log_index in entries.into_iter().flatten().filter(|log_index| *log_index < size) {
                found.add(reading.at(log_index)?);
            }
            found
        }
        ExportOf::Run(run_id) => run(&mut reading, run_id, request, progress)?,
        ExportOf::Period(asked) => period::gather(&mut reading, asked, progress)?,
    };
    for key in signing_keys(ledger, size)? {
        found.add(reading.at(key)?);
    }
    let mut records: Vec<Record> = std::mem::take(&mut found.records).into_values().collect();
    let run_id = found.run_id.clone();
    let before = reading.withheld;
    let redacted_since = redacted_since(ledger, &records, &before, size)?;
    if let Some(shown) = reading.shown {
        withhold(&mut records, shown)?;
    }
    progress("proving", records.len() as u64);
    // The last entry of an earlier size is what the proof shows the log to extend that size by.
    let last = request.since.and_then(|since| since.checked_sub(1));
    found.leaves.extend(last.map(|last| at(ledger, last)).transpose()?);
    let shown: BTreeSet<u64> = records.iter().map(|record| record.log_index).collect();
    let mut leaves: BTreeMap<u64, Record> = found.leaves.into_iter().map(|leaf| (leaf.log_index, leaf)).collect();
    leaves.retain(|log_index, _| !shown.contains(log_index));
    let indices: Vec<u64> = shown.iter().chain(leaves.keys()).copied().collect::<BTreeSet<_>>().into_iter().collect();
    let proof = block_on(ledger.multiproof(&indices, Some(size)))?;
    let incident_id = match of {
        ExportOf::Incident(id) => Some(id.as_str()),
        ExportOf::Run(_) | ExportOf::Period(_) => None,
    };
    let account = Account::of(&records, run_id.as_deref(), incident_id);
    let created_at = recorded_at(ledger, size - 1)?;
    let kind = kind_of(request.kind);
    let exported_by = request.by.clone().unwrap_or_default();
    let asked = match of {
        ExportOf::Period(period) => Some(*period),
        ExportOf::Incident(_) | ExportOf::Run(_) => request.period,
    };
    let asked = asked.map(|period| Period { from: period.from, to: period.to });
    let controls = (kind == Kind::Soc2).then(|| controls(&account, asked));
    let debrief = (kind == Kind::ExecutiveDebrief).then(|| debrief(&account).to_json());
    let subject = run_id.as_deref().map(RunId::new).transpose()?;
    let compared = subject.map(|run_id| comparison(ledger, &run_id, &records, size, progress)).transpose()?;
    let cover = Cover {
        kind,
        ledger: ledger.ledger(),
        tenant_id,
        exported_by: &exported_by,
        size,
        root: signed.checkpoint.root,
        created_at,
        forced: request.force,
        redacted: &before,
    };
    let report = match (&asked, kind) {
        (Some(asked), Kind::Period) => report::period(&cover, asked, &records),
        _ => report::report(&cover, &account, &records, controls.as_ref(), compared.as_ref()),
    };
    Ok(Contents {
        kind,
        ledger: ledger.ledger(),
        tenant_id: tenant_id.to_owned(),
        exported_by,
        run_id,
        incident_id: account.about.and(incident_id).map(str::to_owned),
        options: request.stated(absent(&account), &redacted_since),
        forced: request.force,
        checkpoint: signed.note,
        created_at,
        records: records.into_iter().chain(leaves.into_values().map(|leaf| Record { left: None, ..leaf })).collect(),
        proof: proof.nodes,
        period: asked,
        comparison: compared,
        controls: controls.map(|controls| controls.to_json()),
        debrief,
        report,
    })
}

/// What was gathered, by log index.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) run_id: Option<String>,
    pub(super) records: BTreeMap<u64, Record>,
    pub(super) leaves: Vec<Record>,
}

impl Gathered {
    pub(super) fn add(&mut self, record: Record) {
        self.records.insert(record.log_index, record);
    }
}

/// A run, and those that are tied to it where that is asked for.
fn run<'a>(
    reading: &mut Reading<'a>,
    run_id: &RunId,
    request: &'a ExportRequest,
    progress: &Progress<'_>,
) -> Result<Gathered> {
    let mut found = Gathered { run_id: Some(run_id.to_string()), ..Gathered::default() };
    reading.shown = Some(Shown::of(Some(run_id.as_str()), request));
    for record in reading.run(run_id, |count| progress("reading", count))? {
        found.add(record);
    }
    if request.related {
        let known = block_on(reading.ledger.run(run_id))?;
        let correlation = known.and_then(|run| run.correlation_id.map(|id| id.to_string()));
        for related in related(reading.ledger, correlation, reading.size)? {
            if related == *run_id {
                continue;
            }
            let before = found.records.len() as u64;
            for record in reading.run(&related, |count| progress("reading", before + count))? {
                found.add(record);
            }
        }
    }
    Ok(found)
}

/// Runs of one correlation id: the line of a start alone has about 1 KiB, so that more of them than this have no room.
const RELATED_MAX: usize = (EXPORT_BYTES_MAX / 1024) as usize;

/// The runs of a correlation id that began below a size.
fn related(ledger: &dyn LedgerStore, correlation: Option<String>, size: u64) -> Result<Vec<RunId>> {
    let (Some(correlation), mut related) = (correlation, Vec::new()) else { return Ok(Vec::new()) };
    let filter = RunFilter { correlation: Some(correlation), ..RunFilter::default() };
    let page = PageRequest::first(PAGE_ITEMS_MAX);
    let mut query = RunQuery { filter, order: Order::Oldest, page, ..RunQuery::default() };
    loop {
        let found = block_on(ledger.runs(&query))?;
        related.extend(found.items.into_iter().filter(|run| run.log_index < size).map(|run| run.run_id));
        if related.len() > RELATED_MAX {
            return Err(too_large());
        }
        query.page.cursor = found.next_cursor;
        if query.page.cursor.is_none() {
            return Ok(related);
        }
    }
}

/// The entries below a size that declare the keys which sign the log.
fn signing_keys(ledger: &dyn LedgerStore, size: u64) -> Result<Vec<u64>> {
    let (mut page, mut declared) = (PageRequest::first(PAGE_ITEMS_MAX), Vec::new());
    loop {
        let found = block_on(ledger.signing_keys(&page))?;
        declared.extend(found.items.iter().map(|key| key.log_index).filter(|log_index| *log_index < size));
        page.cursor = found.next_cursor;
        if page.cursor.is_none() {
            return Ok(declared);
        }
    }
}

/// When an entry was recorded.
pub(super) fn recorded_at(ledger: &dyn LedgerStore, log_index: u64) -> Result<Timestamp> {
    let event = block_on(ledger.events(log_index, 1))?.into_iter().next();
    let missing = || Error::new(Code::EntryNotFound, format!("no entry at log index {log_index}"));
    Ok(event.ok_or_else(missing)?.recorded_at)
}

/// The redactions at or above the size that took members of what is shown: why the bundle is another one than before.
///
/// # Errors
/// `erased` where one of them took the place of an earlier redaction: nothing in the bundle could say so.
fn redacted_since(
    ledger: &dyn LedgerStore,
    records: &[Record],
    withheld: &BTreeMap<u64, Vec<String>>,
    size: u64,
) -> Result<BTreeSet<u64>> {
    let mut since = BTreeSet::new();
    for record in records {
        let is_whole = record.left.is_some() && !withheld.contains_key(&record.log_index);
        if is_whole {
            continue;
        }
        let entry = block_on(ledger.entries(record.log_index, 1))?.into_iter().next();
        let Some(by) = entry.and_then(|entry| entry.redacted_by).filter(|by| *by >= size) else { continue };
        if record.left.is_none() {
            let detail = format!(
                "log index {by} took the place of the redaction at log index {}: export a size above that",
                record.log_index
            );
            return Err(Error::new(Code::Erased, detail).at("at"));
        }
        since.insert(by);
    }
    Ok(since)
}

/// What an auditor would look for and no entry states.
fn absent(account: &Account) -> Vec<&'static str> {
    let recommended =
        [("policy_snapshot_id", &account.policy_snapshot_id), ("termination_reason", &account.termination_reason)];
    let absent = recommended.into_iter().filter(|(_, stated)| account.run_id.is_some() && stated.is_none());
    absent.map(|(name, _)| name).collect()
}

/// The kinds of requests and of bundles are one vocabulary.
const fn kind_of(kind: BundleKind) -> Kind {
    match kind {
        BundleKind::Evidence => Kind::Evidence,
        BundleKind::Soc2 => Kind::Soc2,
        BundleKind::ExecutiveDebrief => Kind::ExecutiveDebrief,
        BundleKind::Period => Kind::Period,
    }
}
