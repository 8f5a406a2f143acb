//! What the records are held to once they are known to be in the log.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tracekeep_core::json::Json;

use super::read::Shown;
use super::{Reason, Remark};
use crate::account::Account;
use crate::bundle::contents::{Kind, Period};
use crate::bundle::facts::{Facts, Says, by_run, erasures_are_named, incident, missing, seals_hold, totals};
use crate::controls::controls;
use crate::debrief::debrief;

/// Runs of which one may be what controls and debrief are about.
const TOLD_MAX: usize = 16;

type Held = Result<Vec<Remark>, Reason>;

/// Signatures, origin and ledger are seen to by now.
pub(super) fn identity(shown: &Shown<'_>, has_keys: bool) -> Held {
    let declared = shown.records.iter().rev().find(|fact| fact.kind == "signing_key");
    let Some(latest) = declared else { return Ok(vec![Remark::KeyNotDeclared]) };
    let is_signer = matches!(&latest.says, Says::Key(key) if shown.signers.contains(key));
    // Without a key nobody is known to have signed.
    if is_signer || !has_keys { Ok(Vec::new()) } else { Err(Reason::SupersededKey) }
}

/// The entry in front of the checkpoint's size was recorded at `created_at`, and none before an earlier one.
pub(super) fn time(shown: &Shown<'_>) -> Held {
    let last = (shown.checkpoint.size.checked_sub(1), shown.claims.created_at);
    let entries = shown.records.iter().chain(&shown.leaves);
    let mut times: Vec<_> = entries.map(|fact| (Some(fact.log_index), fact.recorded_at)).collect();
    let is_shown = times.iter().any(|(log_index, _)| *log_index == last.0);
    times.push(last);
    times.sort_unstable();
    times.dedup();
    if !times.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
        return Err(Reason::TimeRunsBack);
    }
    Ok(if is_shown { Vec::new() } else { vec![Remark::CreatedAtNotShown] })
}

pub(super) fn completeness(shown: &Shown<'_>) -> Held {
    let (claims, records) = (&shown.claims, &shown.records);
    let runs = by_run(records);
    if runs.values().any(|run| run.iter().zip(0u64..).any(|(fact, seq)| fact.seq != seq)) {
        return Err(Reason::MissingEntry);
    }
    if !runs.values().all(|run| seals_hold(run)) {
        return Err(Reason::WrongRunRoot);
    }
    if *claims.totals.json() != totals(records) {
        return Err(Reason::WrongTotals);
    }
    if claims.incident_id.is_some() && incident(claims, records).is_none() {
        return Err(Reason::WrongIncident);
    }
    if claims.missing != missing(claims, shown.members.keys().copied(), records) {
        return Err(Reason::Incomplete);
    }
    let is_told = told(shown)?;
    if let (Kind::Period, Some(period)) = (claims.kind, &claims.period) {
        check_period(shown, period)?;
    }
    let mut remarks = Vec::new();
    let mut remark = |is: bool, what| remarks.extend(is.then_some(what));
    let is_open = |run: &Vec<&Facts>| run.last().is_some_and(|last| last.kind != "sealed");
    remark(runs.values().any(is_open), Remark::RunNotSealed);
    remark(!claims.missing.is_empty(), Remark::Forced);
    remark(shown.members.contains_key("comparison.json"), Remark::ComparisonNotProven);
    remark(!is_told, Remark::NotRecomputed);
    Ok(remarks)
}

/// Holds controls and debrief to the records that they are made of; whether that could be done.
fn told(shown: &Shown<'_>) -> Result<bool, Reason> {
    let (controls_of, debrief_of) = (shown.members.get("controls.json"), shown.members.get("debrief.json"));
    if controls_of.is_none() && debrief_of.is_none() {
        return Ok(true);
    }
    let incident_id = shown.claims.incident_id.as_deref();
    let is_it = |fact: &Facts| matches!(&fact.says, Says::Incident(id, _) if Some(id.as_str()) == incident_id);
    let of_incident = shown.records.iter().find(|fact| is_it(fact));
    // Of a run that is exported with those that belong to it nothing says which it is.
    let runs = by_run(&shown.records);
    let runs: Vec<Option<&str>> = match of_incident {
        Some(entry) => vec![Some(entry.run.as_str()).filter(|run| !run.is_empty())],
        None if runs.is_empty() => vec![None],
        None => runs.into_keys().map(Some).collect(),
    };
    if runs.len() > TOLD_MAX {
        return Ok(false);
    }
    let mut reason = Some(Reason::WrongControls);
    for run in runs {
        let account = Account::of(&shown.told, run, incident_id);
        let is = |stated: Option<&Cow<'_, [u8]>>, made: Json| {
            stated.is_none_or(|stated| **stated == *made.as_str().as_bytes())
        };
        if is(controls_of, controls(&account, shown.claims.period).to_json()) {
            reason = reason.and(Some(Reason::WrongDebrief));
            if is(debrief_of, debrief(&account).to_json()) {
                reason = None;
            }
        }
    }
    reason.map_or(Ok(true), Err)
}

/// The leaves reach over the period, and no entry among them is left out of a run that is shown or started in it.
fn check_period(shown: &Shown<'_>, period: &Period) -> Result<(), Reason> {
    let (leaves, size) = (&shown.leaves, shown.checkpoint.size);
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
    let started = leaves.iter().filter(|leaf| leaf.kind == "run_started" && period.contains(leaf.recorded_at));
    let mut runs: BTreeSet<&str> = started.map(|leaf| leaf.run.as_str()).collect();
    runs.extend(by_run(&shown.records).keys());
    let is_shown = |log_index: u64| shown.records.binary_search_by_key(&log_index, |fact| fact.log_index).is_ok();
    let is_needed = |leaf: &Facts| leaf.kind == "signing_key" || runs.contains(leaf.run.as_str());
    if leaves.iter().any(|leaf| is_needed(leaf) && !is_shown(leaf.log_index)) {
        return Err(Reason::MissingEntry);
    }
    Ok(())
}

pub(super) fn redaction(shown: &Shown<'_>) -> Held {
    if !erasures_are_named(&shown.records) {
        return Err(Reason::UnnamedErasure);
    }
    let mut remarks = Vec::new();
    let has = |is: fn(&Facts) -> bool| shown.records.iter().any(is);
    remarks.extend(has(|fact| !fact.withheld.is_empty()).then_some(Remark::MembersWithheld));
    remarks.extend(has(|fact| fact.is_erased).then_some(Remark::EntriesErased));
    Ok(remarks)
}
