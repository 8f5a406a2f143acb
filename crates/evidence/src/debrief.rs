//! The executive debrief: what happened, how soon it was seen and over, what it cost, in plain language.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::json::Json;
use tracekeep_core::wire::{object, to_json};

use crate::account::Account;

object! {
    /// `debrief.json`. Every time but those that the ledger's own clock gave is as its producer claims.
    pub struct Debrief {
        /// What happened, in sentences.
        required summary: String,
        /// When the policy was violated.
        optional violation_at: Timestamp,
        /// When the incident was opened.
        optional detected_at: Timestamp,
        /// When the run had ended, or the incident was resolved, whichever was first.
        optional contained_at: Timestamp,
        /// When the incident was resolved.
        optional resolved_at: Timestamp,
        /// From the violation to its detection; absent where the claimed times contradict each other.
        optional time_to_detect_ms: DurationMs,
        /// From the violation to its containment; likewise.
        optional time_to_contain_ms: DurationMs,
        /// What the steps cost that are shown, in cents.
        required cost_cents: Cost,
        /// Steps that are shown.
        required steps: u64,
        /// Failures among them.
        required failures: u64,
        /// How bad it is said to be.
        optional severity: String,
        /// What that means.
        required risk: String,
        /// What was done, and what is still to do.
        required actions: Vec<String>,
        /// The entries that all of this is from.
        required entries: Vec<u64>,
    }
}

/// The debrief of an incident, or of a run without one.
#[must_use]
pub fn debrief(account: &Account) -> Debrief {
    let (incident, violated) = (account.incident(), account.violation());
    let violation_at = violated.as_ref().and_then(|violated| violated.at);
    let detected_at = incident.and_then(|known| known.created_at.or(Some(known.recorded_at)));
    let contained_at = account.contained().map(|(at, _)| at);
    let resolution = incident.and_then(|known| known.resolution.as_ref());
    let failures = account.steps.iter().filter(|step| step.status.as_deref() == Some("failure")).count() as u64;
    let severity = incident.and_then(|known| known.severity.clone());
    let mut entries: Vec<u64> = account.seals.clone();
    entries.extend(incident.map(|known| known.log_index));
    entries.extend(resolution.map(|end| end.log_index));
    let of_step = violated.as_ref().and_then(|violated| violated.step_index);
    entries.extend(account.steps.iter().filter(|step| Some(step.index) == of_step).map(|step| step.log_index));
    entries.sort_unstable();
    entries.dedup();
    Debrief {
        summary: summary(account),
        violation_at,
        detected_at,
        contained_at,
        resolved_at: resolution.map(|end| end.resolved_at),
        time_to_detect_ms: account.since_violation(detected_at),
        time_to_contain_ms: account.since_violation(contained_at),
        cost_cents: account.cost(),
        steps: account.steps.len() as u64,
        failures,
        risk: risk(severity.as_deref(), resolution.is_some()),
        severity,
        actions: actions(account),
        entries,
    }
}

fn summary(account: &Account) -> String {
    let mut said = Vec::new();
    if let Some(run_id) = &account.run_id {
        let agent = account.agent_id.as_ref().map(|agent| format!(" of agent {agent}")).unwrap_or_default();
        let goal = account.goal.as_ref().map(|goal| format!(", which was to {goal}")).unwrap_or_default();
        let end = match account.status.as_deref() {
            Some(status) => format!("ended as {status}"),
            None => "has not ended".to_owned(),
        };
        said.push(format!("The run {run_id}{agent}{goal}, took {} steps and {end}.", account.steps.len()));
    }
    match (account.incident(), account.violation()) {
        (Some(incident), violated) => {
            let policy = incident.policy_name.as_ref().or(incident.policy_id.as_ref());
            let policy = policy.map(|policy| format!(" of the policy {policy}")).unwrap_or_default();
            let kind = incident.violation_type.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
            let step = violated.as_ref().and_then(|violated| violated.step_index);
            let step = step.map(|index| format!(" at its step {index}")).unwrap_or_default();
            let what = match &violated {
                Some(_) => format!("says that there was a violation{policy}{kind}{step}"),
                None => "was opened; it names no violation".to_owned(),
            };
            said.push(format!("The incident {} {what}.", incident.incident_id));
            if let (Some(threshold), Some(actual)) = (&incident.threshold, &incident.actual) {
                said.push(format!("Allowed was {}, found was {}.", threshold.as_str(), actual.as_str()));
            }
            said.extend(incident.summary.clone());
        }
        (None, Some(violated)) => {
            let policy = violated.policy_id.map(|policy| format!(" of the policy {policy}")).unwrap_or_default();
            said.push(format!("Its end states a violation{policy}."));
        }
        (None, None) => said.push("No violation is recorded.".to_owned()),
    }
    said.join(" ")
}

fn risk(severity: Option<&str>, is_resolved: bool) -> String {
    let level = match severity {
        Some("low") => "It is rated low: worth knowing, no harm is said to follow.",
        Some("medium") => "It is rated medium: it is to be looked at soon.",
        Some("high") => "It is rated high: it has to be looked at now.",
        Some("critical") => "It is rated critical: everybody who answers for it has to know.",
        _ => "Nobody has rated how bad it is.",
    };
    let open = if is_resolved { "It is resolved." } else { "It is not resolved: the risk stands." };
    format!("{level} {open}")
}

fn actions(account: &Account) -> Vec<String> {
    let mut done = Vec::new();
    if account.held_by.is_some() {
        done.push("Done: the record of the run is held, so that nothing of it is erased.".to_owned());
    }
    match account.incident() {
        Some(incident) => match &incident.resolution {
            Some(end) => {
                let by = end.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                let what = end.resolution.as_deref().unwrap_or("withheld");
                done.push(format!("Done: the incident was resolved{by}: {what}"));
            }
            None => done.push("To do: find out why it happened, and resolve the incident.".to_owned()),
        },
        None => done.push("To do: open an incident, if there was one.".to_owned()),
    }
    if account.run_id.is_some() && account.status.is_none() {
        done.push("To do: end the run, which is still running.".to_owned());
    }
    done
}

impl Debrief {
    /// `debrief.json`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        to_json(self)
    }
}
