//! What the records are held to once they are known to be in the log.

use tracekeep_core::json::Json;

use super::read::Shown;
use super::{Reason, Remark};
use crate::account::Account;
use crate::bundle::build::{required, unproven};
use crate::bundle::contents::{IncidentClaims, Kind, Period};
use crate::bundle::facts::{RunFault, Summary, by_run, check_run, erasures_are_named, touches};
use crate::comparison::{Comparison, Places};
use crate::controls::controls;
use crate::debrief::debrief;

/// Runs of which one may be what controls and debrief are about.
const TOLD_MAX: usize = 16;

type Held = Result<Vec<Remark>, Reason>;

/// Signatures, origin and ledger are seen to by now.
pub(super) fn identity(shown: &Shown, has_keys: bool) -> Held {
    let Some(latest) = shown.records.iter().rev().find(|fact| fact.kind == "signing_key") else {
        return Ok(vec![Remark::KeyNotDeclared]);
    };
    let is_signer = latest.declared.as_ref().is_some_and(|key| shown.signers.contains(key));
    // Without a key nobody is known to have signed.
    if is_signer || !has_keys { Ok(Vec::new()) } else { Err(Reason::SupersededKey) }
}

pub(super) fn time(shown: &Shown) -> Held {
    let mut entries: Vec<_> =
        shown.records.iter().chain(&shown.leaves).map(|fact| (fact.log_index, fact.recorded_at)).collect();
    entries.sort_unstable();
    if !entries.is_sorted_by_key(|(_, recorded_at)| recorded_at) {
        return Err(Reason::TimeRunsBack);
    }
    let created_at = shown.claims.created_at;
    match entries.last() {
        Some((last, recorded_at)) if last + 1 == shown.claims.checkpoint.size => {
            if *recorded_at == created_at {
                Ok(Vec::new())
            } else {
                Err(Reason::WrongCreatedAt)
            }
        }
        Some((_, recorded_at)) if *recorded_at > created_at => Err(Reason::WrongCreatedAt),
        _ => Ok(vec![Remark::CreatedAtNotShown]),
    }
}

pub(super) fn completeness(shown: &Shown) -> Held {
    let claims = &shown.claims;
    let summary = Summary::of(&shown.records);
    let faults = by_run(&shown.records).into_values().filter_map(|entries| check_run(&entries).err());
    match faults.min() {
        Some(RunFault::Gap) => return Err(Reason::MissingEntry),
        Some(RunFault::Root) => return Err(Reason::WrongRunRoot),
        Some(RunFault::Totals) => return Err(Reason::WrongTotals),
        None => {}
    }
    if summary.counts != claims.counts {
        return Err(Reason::WrongCounts);
    }
    if written(&summary.totals) != written(&claims.totals) {
        return Err(Reason::WrongTotals);
    }
    if summary.runs != claims.runs {
        return Err(Reason::WrongRuns);
    }
    let is_touched = claims.period.is_some_and(|period| touches(&period, &shown.records));
    let (required, missing) = required(claims, is_touched);
    if (&required, &missing) != (&claims.completeness.required, &claims.completeness.missing)
        || claims.unproven != unproven(claims)
    {
        return Err(Reason::WrongCompleteness);
    }
    if !missing.is_empty() && !claims.completeness.forced {
        return Err(Reason::Incomplete);
    }
    if claims.incident.as_ref().is_some_and(|claimed| incident(shown, claimed).as_ref() != Some(claimed)) {
        return Err(Reason::WrongIncident);
    }
    let is_told = told(shown)?;
    let compared = shown.comparison.as_ref().map(|text| Comparison::read(text));
    let entries = shown.records.iter().chain(&shown.leaves);
    let places: Places<'_> = entries.map(|fact| (fact.log_index, (fact.run.as_str(), fact.kind.as_str()))).collect();
    let fits = |said: &Comparison| said.fits(&shown.told, &places, claims.checkpoint.size);
    if !compared.iter().all(|read| read.as_ref().is_some_and(fits)) {
        return Err(Reason::WrongComparison);
    }
    if let Some(period) = &claims.period {
        check_period(shown, period)?;
    }
    let mut remarks = Vec::new();
    let mut remark = |is: bool, what| remarks.extend(is.then_some(what));
    remark(claims.runs.iter().any(|run| run.seals == 0), Remark::RunNotSealed);
    remark(claims.runs.iter().any(|run| run.seals > 0 && run.unsealed > 0), Remark::EntriesAfterSeal);
    remark(!missing.is_empty(), Remark::Forced);
    remark(compared.is_some(), Remark::ComparisonNotProven);
    remark(!is_told, Remark::NotRecomputed);
    Ok(remarks)
}

/// Holds controls and debrief to the records that they are made of; whether that could be done.
fn told(shown: &Shown) -> Result<bool, Reason> {
    let claims = &shown.claims;
    if shown.controls.is_none() && shown.debrief.is_none() {
        return Ok(true);
    }
    let incident_id = claims.incident.as_ref().map(|incident| incident.incident_id.as_str());
    let of_incident =
        shown.records.iter().find(|fact| incident_id.is_some() && fact.incident.as_deref() == incident_id);
    // Of a run that is exported with those that belong to it nothing says which it is.
    let runs: Vec<Option<&str>> = match of_incident {
        Some(entry) => vec![Some(entry.run.as_str()).filter(|run| !run.is_empty())],
        None if claims.runs.is_empty() => vec![None],
        None => claims.runs.iter().map(|run| Some(run.run_id.as_str())).collect(),
    };
    if runs.len() > TOLD_MAX {
        return Ok(false);
    }
    let is =
        |stated: &Option<Vec<u8>>, made: Json| stated.as_ref().is_none_or(|stated| stated == made.as_str().as_bytes());
    let mut reason = Some(Reason::WrongControls);
    for run in runs {
        let account = Account::of(&shown.told, run, incident_id);
        if is(&shown.controls, controls(&account, claims.period).to_json()) {
            reason = reason.and(Some(Reason::WrongDebrief));
            if is(&shown.debrief, debrief(&account).to_json()) {
                reason = None;
            }
        }
    }
    reason.map_or(Ok(true), Err)
}

/// What the records say of the incident that is claimed.
fn incident(shown: &Shown, claimed: &IncidentClaims) -> Option<IncidentClaims> {
    let entry = shown.records.iter().find(|fact| fact.incident.as_ref() == Some(&claimed.incident_id))?;
    let run_id = Some(entry.run.as_str()).filter(|run| !run.is_empty());
    IncidentClaims::of(&Account::of(&shown.told, run_id, Some(&claimed.incident_id)))
}

/// Totals are compared as they are written.
fn written(totals: &tracekeep_core::seal::Totals) -> Vec<u8> {
    let mut out = Vec::new();
    tracekeep_core::wire::Field::write(totals, &mut out);
    out
}

fn check_period(shown: &Shown, period: &Period) -> Result<(), Reason> {
    if period.from > period.to {
        return Err(Reason::WrongPeriod);
    }
    if shown.claims.kind != Kind::Period {
        return Ok(());
    }
    let leaves = &shown.leaves;
    let size = shown.claims.checkpoint.size;
    let ends = match (leaves.first(), leaves.last()) {
        (Some(first), Some(last)) => {
            (first.log_index == 0 || first.recorded_at < period.from)
                && (last.log_index + 1 == size || last.recorded_at >= period.to)
        }
        _ => size == 0,
    };
    if !ends || leaves.windows(2).any(|pair| pair[0].log_index + 1 != pair[1].log_index) {
        return Err(Reason::MissingLeaf);
    }
    let runs = by_run(&shown.records);
    let starts = leaves.iter().filter(|leaf| {
        leaf.kind == "run_started" && leaf.seq == 0 && period.from <= leaf.recorded_at && leaf.recorded_at < period.to
    });
    for start in starts {
        if !runs.contains_key(start.run.as_str()) {
            return Err(Reason::MissingRun);
        }
    }
    let is_shown = |log_index: u64| shown.records.binary_search_by_key(&log_index, |fact| fact.log_index).is_ok();
    if leaves.iter().any(|leaf| runs.contains_key(leaf.run.as_str()) && !is_shown(leaf.log_index)) {
        return Err(Reason::MissingEntry);
    }
    Ok(())
}

pub(super) fn redaction(shown: &Shown) -> Held {
    let summary = Summary::of(&shown.records);
    if summary.withheld != shown.claims.withheld {
        return Err(Reason::WrongWithheld);
    }
    if !by_run(&shown.records).values().all(|entries| erasures_are_named(entries)) {
        return Err(Reason::UnnamedErasure);
    }
    let mut remarks = Vec::new();
    remarks.extend((summary.counts.withheld > 0).then_some(Remark::MembersWithheld));
    remarks.extend((summary.counts.erased > 0).then_some(Remark::EntriesErased));
    Ok(remarks)
}
