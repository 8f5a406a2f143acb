//! What the records are held to once they are known to be in the log.

use tracekeep_core::json::Json;

use super::read::Shown;
use super::{Reason, Remark};
use crate::account::Account;
use crate::bundle::contents::{Kind, Period};
use crate::bundle::facts::{Facts, Says, by_run, erasures_are_named, incident, missing, seals_hold};
use crate::controls::controls;
use crate::debrief::debrief;

type Held = Result<Vec<Remark>, Reason>;

/// Signatures, origin and ledger are seen to by now.
pub(super) fn identity(shown: &Shown<'_>, has_keys: bool) -> Held {
    let declared = shown.records.iter().rev().find(|fact| fact.kind == "signing_key");
    let Some(latest) = declared else { return Ok(vec![Remark::KeyNotDeclared]) };
    let is_signer = matches!(&latest.says, Says::Key(Some(key)) if shown.signers.contains(key));
    // Without a key nobody is known to have signed.
    if is_signer || !has_keys { Ok(Vec::new()) } else { Err(Reason::SupersededKey) }
}

/// The entry in front of the checkpoint's size was recorded at `created_at`, and none before an earlier one.
pub(super) fn time(shown: &Shown<'_>) -> Held {
    let last = (shown.checkpoint.size.checked_sub(1), shown.claims.created_at);
    let mut times: Vec<_> = shown.records.iter().map(|fact| (Some(fact.log_index), fact.recorded_at)).collect();
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
    if claims.incident_id.is_some() && incident(claims, records).is_none() {
        return Err(Reason::WrongIncident);
    }
    if claims.missing != missing(claims, shown.members.keys().copied(), records) {
        return Err(Reason::Incomplete);
    }
    told(shown)?;
    if let (Kind::Period, Some(period)) = (claims.kind, claims.period.filter(|period| period.from < period.to)) {
        check_period(shown, &period)?;
    }
    let mut remarks = Vec::new();
    let mut remark = |is: bool, what| remarks.extend(is.then_some(what));
    let is_open = |run: &Vec<&Facts>| run.last().is_some_and(|last| last.kind != "sealed");
    remark(runs.values().any(is_open), Remark::EndNotProven);
    remark(!claims.missing.is_empty(), Remark::Forced);
    remark(shown.members.contains_key("comparison.json"), Remark::ComparisonNotProven);
    Ok(remarks)
}

/// Holds controls and debrief to what is made again of the claimed run's records, and of the claimed incident's.
fn told(shown: &Shown<'_>) -> Result<(), Reason> {
    let is = |name: &str, made: &dyn Fn() -> Json| {
        shown.members.get(name).is_none_or(|stated| **stated == *made().as_str().as_bytes())
    };
    let account = Account::of(&shown.told, shown.claims.run_id.as_deref(), shown.claims.incident_id.as_deref());
    if !is("controls.json", &|| controls(&account, shown.claims.period).to_json()) {
        return Err(Reason::WrongControls);
    }
    if is("debrief.json", &|| debrief(&account).to_json()) { Ok(()) } else { Err(Reason::WrongDebrief) }
}

/// The lines reach over the period without a gap, and each run that started in it is shown.
fn check_period(shown: &Shown<'_>, period: &Period) -> Result<(), Reason> {
    let (lines, runs) = (&shown.records, by_run(&shown.records));
    let before = lines.iter().rev().find(|line| line.recorded_at < period.from).map(|line| line.log_index + 1);
    let behind = lines.iter().find(|line| line.recorded_at >= period.to).map(|line| line.log_index);
    let span = before.unwrap_or(0)..behind.unwrap_or(shown.checkpoint.size);
    let within: Vec<&Facts> = lines.iter().filter(|line| span.contains(&line.log_index)).collect();
    if within.len() as u64 != span.end.saturating_sub(span.start) {
        return Err(Reason::MissingLeaf);
    }
    let is_left_out = |line: &&Facts| line.kind == "run_started" && !runs.contains_key(line.run.as_str());
    if within.iter().any(is_left_out) { Err(Reason::MissingEntry) } else { Ok(()) }
}

pub(super) fn redaction(shown: &Shown<'_>) -> Held {
    let runs = by_run(&shown.records);
    if !runs.values().all(|run| erasures_are_named(run)) {
        return Err(Reason::UnnamedErasure);
    }
    let mut remarks = Vec::new();
    let is_withheld = shown.records.iter().any(|fact| !fact.withheld.is_empty());
    remarks.extend(is_withheld.then_some(Remark::MembersWithheld));
    remarks.extend(runs.values().flatten().any(|fact| fact.is_bare).then_some(Remark::EntriesErased));
    Ok(remarks)
}
