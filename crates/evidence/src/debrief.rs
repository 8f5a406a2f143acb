//! The executive debrief: what happened, how soon it was seen and over, what it cost, in plain language.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::json::Json;
use tracekeep_core::wire::{object, object_field, to_json};

use crate::account::{Account, How, IncidentAccount, Violated};
use crate::quoted::{beginning, count};

/// Characters of a recorded text that are quoted.
const QUOTED_MAX: usize = 300;
/// Incidents that are told of one by one.
const TOLD_MAX: usize = 100;

object! {
    /// `debrief.json`. Every time but those that the ledger's own clock gave is as its producer claims.
    pub struct Debrief {
        /// What happened, in sentences.
        required summary: String,
        /// The incident that it is about, or those of the run, the first 100.
        required incidents: Vec<IncidentDebrief>,
        /// Incidents of the run beyond these.
        required other_incidents: u64,
        /// What the run's completion states as a violation.
        optional stated_violation: StatedViolation,
        /// What the steps cost of which that is shown, in cents.
        required cost_cents: Cost,
        /// Steps of which it is withheld.
        required costs_withheld: u64,
        /// Steps that are shown.
        required steps: u64,
        /// Failures among them.
        required failures: u64,
        /// What all of that means.
        required risk: String,
        /// What was done, and what is still to do.
        required actions: Vec<String>,
        /// The entries that all of this is from.
        required entries: Vec<u64>,
    }
}

object! {
    /// One incident.
    pub struct IncidentDebrief {
        /// Its id.
        required incident_id: String,
        /// Its entry.
        required log_index: u64,
        /// How bad it is said to be.
        optional severity: String,
        /// The policy, by name or id.
        optional policy: String,
        /// What kind of violation it is.
        optional violation_type: String,
        /// The step that violated it.
        optional violation_step_index: u32,
        /// When the policy was violated: as the incident says, else when its step occurred, where that is shown.
        optional violation_at: Timestamp,
        /// When the incident was opened.
        required detected_at: Timestamp,
        /// When it was contained: its run ended, or it was resolved, whichever was first, and not before it was detected;
        /// absent where that contradicts what is claimed of other times.
        optional contained_at: Timestamp,
        /// Which of the two: `run_ended`, which nobody need have done, or `resolved`.
        optional contained_by: String,
        /// When its run had ended, where that was before the incident was detected: it could do no more by then.
        optional run_had_ended_at: Timestamp,
        /// When it was resolved.
        optional resolved_at: Timestamp,
        /// From the violation to its detection; absent where it is not known when that was, and where the claimed times
        /// contradict each other.
        optional time_to_detect_ms: DurationMs,
        /// From the violation to its containment; likewise.
        optional time_to_contain_ms: DurationMs,
    }
}

object! {
    /// What the run's completion states as a violation. No incident need say the same.
    pub struct StatedViolation {
        /// The seal.
        required log_index: u64,
        /// The step.
        optional step_index: u32,
        /// When, as it says, else when the step occurred.
        optional at: Timestamp,
        /// The policy.
        optional policy_id: String,
        /// Why.
        optional reason: String,
    }
}

object_field!(IncidentDebrief, StatedViolation);

/// The debrief of an incident, or of a run with all of its incidents, or with none.
#[must_use]
pub fn debrief(account: &Account) -> Debrief {
    let (judged, stated) = (account.judged(), account.stated());
    let failures = account.steps.iter().filter(|step| step.status.as_deref() == Some("failure")).count() as u64;
    let (cost_cents, costs_withheld) = account.cost_shown();
    let mut entries: Vec<u64> = account.seals.clone();
    for incident in judged.iter().take(TOLD_MAX) {
        entries.push(incident.log_index);
        entries.extend(incident.resolution.as_ref().map(|end| end.log_index));
        entries.extend(account.about_of(incident).step);
    }
    entries.extend(stated.as_ref().and_then(|stated| stated.step));
    entries.sort_unstable();
    entries.dedup();
    let incidents: Vec<_> = judged.iter().take(TOLD_MAX).map(|incident| told(account, incident)).collect();
    Debrief {
        summary: summary(account, &judged, stated.as_ref()),
        other_incidents: (account.incidents.len() - incidents.len()) as u64,
        incidents,
        cost_cents,
        costs_withheld,
        steps: account.steps.len() as u64,
        failures,
        risk: risk(account, &judged),
        actions: actions(account, &judged),
        entries,
        stated_violation: stated.map(|stated| StatedViolation {
            log_index: stated.log_index,
            step_index: stated.step_index,
            at: stated.at,
            policy_id: stated.policy_id,
            reason: stated.reason,
        }),
    }
}

fn told(account: &Account, incident: &IncidentAccount) -> IncidentDebrief {
    let (violated, over) = (account.violated(incident), account.contained(incident));
    let detected_at = incident.detected_at();
    let how = |how| match how {
        How::RunEnded => "run_ended",
        How::Resolved => "resolved",
    };
    IncidentDebrief {
        incident_id: incident.incident_id.clone(),
        log_index: incident.log_index,
        severity: incident.severity.clone(),
        policy: incident.policy().map(str::to_owned),
        violation_type: incident.violation_type.clone(),
        violation_step_index: incident.step_index,
        violation_at: violated.and_then(|violated| violated.at),
        detected_at,
        contained_at: over.map(|over| over.at),
        contained_by: over.map(|over| how(over.how).to_owned()),
        run_had_ended_at: account.ended_before_detection(incident).map(|ended| ended.at),
        resolved_at: incident.resolution.as_ref().map(|end| end.resolved_at),
        time_to_detect_ms: account.since(incident, Some(detected_at)),
        time_to_contain_ms: account.since(incident, over.map(|over| over.at)),
    }
}

fn quoted(text: &str) -> String {
    crate::quoted::quoted(text, QUOTED_MAX)
}

fn summary(account: &Account, judged: &[&IncidentAccount], stated: Option<&Violated>) -> String {
    let mut said = Vec::new();
    if let Some(run_id) = &account.run_id {
        let agent = account.agent_id.as_ref().map(|agent| format!(" of agent {}", quoted(agent))).unwrap_or_default();
        let goal = account.goal.as_ref().map(|goal| format!(", with the goal {},", quoted(goal))).unwrap_or_default();
        let end = match account.status.as_deref() {
            Some(status) => format!(" and ended as {status}"),
            None => "; no end of it is recorded here".to_owned(),
        };
        let steps = count(account.steps.len(), "step");
        let failed = account.steps.iter().filter(|step| step.status.as_deref() == Some("failure")).count();
        let failed = if failed == 0 { String::new() } else { format!(", {failed} of them failed,") };
        said.push(format!("The run {run_id}{agent}{goal} took {steps}{failed}{end}."));
        said.extend(traces(account));
    }
    let of_policy =
        |policy: Option<&str>| policy.map(|policy| format!(" of the policy {}", quoted(policy))).unwrap_or_default();
    let at_step = |index: Option<u32>| index.map(|index| format!(" at its step {index}")).unwrap_or_default();
    if let Some(stated) = stated {
        let (policy, step) = (of_policy(stated.policy_id.as_deref()), at_step(stated.step_index));
        said.push(format!("Its end states a violation{policy}{step}."));
    }
    for incident in judged.iter().take(TOLD_MAX) {
        let kind = incident.violation_type.as_ref().map(|kind| format!(" ({})", quoted(kind))).unwrap_or_default();
        let id = incident.policy_id.as_deref().filter(|id| incident.policy() != Some(*id));
        let id = id.map(|id| format!(" with the id {}", quoted(id))).unwrap_or_default();
        let (policy, step) = (of_policy(incident.policy()) + &id, at_step(incident.step_index));
        let what = match account.violated(incident) {
            Some(_) => format!("says that there was a violation{policy}{kind}{step}"),
            None => "names no violation".to_owned(),
        };
        said.push(format!("The incident {} {what}.", incident.incident_id));
        if let (Some(threshold), Some(actual)) = (&incident.threshold, &incident.actual) {
            let [allowed, found] = [threshold, actual].map(|json| beginning(json.as_str(), QUOTED_MAX));
            said.push(format!("It says that {allowed} is allowed, and {found} was found."));
        }
        said.extend(incident.summary.as_ref().map(|summary| format!("It says: {}.", quoted(summary))));
    }
    if account.violation_withheld {
        said.push("The end of the run has a violation that is withheld.".to_owned());
    } else if judged.is_empty() && stated.is_none() {
        said.push("No violation is recorded.".to_owned());
    }
    said.extend(others(account, judged));
    said.join(" ")
}

/// How much of the reasoning failed, and the first of what did.
fn traces(account: &Account) -> Option<String> {
    let errors = account.errors();
    let all = count(account.traces.len(), "trace");
    let first = account.traces.iter().find(|trace| trace.is_error());
    let Some(first) = first else {
        return (!account.traces.is_empty()).then(|| format!("It has {all}, none of them an error."));
    };
    let many = if errors == 1 { "an error" } else { "errors" };
    let said = first.error.as_ref().map_or_else(String::new, |error| format!(": {}", quoted(error)));
    Some(format!("It has {all}, {errors} of them {many}; the first is at entry {}{said}.", first.log_index))
}

/// What is not told of, so that nobody takes it for all.
fn others(account: &Account, judged: &[&IncidentAccount]) -> Option<String> {
    let told = judged.len().min(TOLD_MAX);
    let is_told = |incident: &IncidentAccount| judged.iter().take(told).any(|one| one.log_index == incident.log_index);
    let others: Vec<_> = account.incidents.iter().filter(|incident| !is_told(incident)).collect();
    let open = others.iter().filter(|incident| incident.is_open()).count();
    match (others.len(), open) {
        (0, _) => None,
        (1, open) => {
            let state = if open == 0 { "resolved" } else { "open" };
            Some(format!("The run has 1 other incident, which is {state}: this does not tell of it."))
        }
        (all, open) => Some(format!(
            "The run has {all} other incidents, of which {open} {} open: this does not tell of them.",
            is(open)
        )),
    }
}

const fn is(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

const LEVELS: [(&str, &str); 4] = [
    ("critical", "everybody who answers for it has to know"),
    ("high", "it has to be looked at now"),
    ("medium", "it is to be looked at soon"),
    ("low", "worth knowing, no harm is said to follow"),
];

fn risk(account: &Account, judged: &[&IncidentAccount]) -> String {
    if judged.is_empty() {
        let what = if account.stated().is_some() {
            "a violation is stated, and no incident is recorded here"
        } else {
            "no incident is recorded here"
        };
        let run = if account.run_id.is_some() { "Of this run " } else { "" };
        return format!("{run}{what}: what risk there is, is not known.");
    }
    let rated = |level: &str| judged.iter().any(|incident| incident.severity.as_deref() == Some(level));
    let worst = LEVELS.iter().find(|(level, _)| rated(level));
    let is_rated =
        |incident: &&&IncidentAccount| LEVELS.iter().any(|(level, _)| incident.severity.as_deref() == Some(level));
    let (all, unrated) = (judged.len(), judged.len() - judged.iter().filter(is_rated).count());
    let open = judged.iter().filter(|incident| incident.is_open()).count();
    let level = match worst {
        None => "Nobody has rated how bad it is.".to_owned(),
        Some((level, means)) => {
            // What is over has not to be looked at now.
            let means = if open == 0 { String::new() } else { format!(": {means}") };
            match unrated {
                _ if all == 1 => format!("It is rated {level}{means}."),
                0 => format!("The worst of {all} incidents is rated {level}{means}."),
                _ => format!(
                    "{unrated} of {all} incidents {} not rated; the worst of the others is rated {level}{means}.",
                    is(unrated)
                ),
            }
        }
    };
    let open = match open {
        0 if all == 1 => "It is resolved.".to_owned(),
        0 => format!("All {all} are resolved."),
        _ if all == 1 => "It is open: the risk stands.".to_owned(),
        _ => format!("{open} of {all} incidents {} open: the risk stands.", is(open)),
    };
    let untold = match account.untold(None) {
        Some(_) => " Of the violation that the end of the run states, no incident tells: how bad it is, is not known.",
        None => "",
    };
    format!("{level} {open}{untold}")
}

fn actions(account: &Account, judged: &[&IncidentAccount]) -> Vec<String> {
    let mut done = Vec::new();
    if account.held_by(None).is_some() {
        done.push("Done: the record of the run is held, so that nothing of it is erased.".to_owned());
    } else if !judged.is_empty() && judged.iter().all(|incident| account.held_while_open(incident, None).is_some()) {
        done.push(
            "Done: the record of the run was held until all of this was resolved, and was let go of then.".to_owned(),
        );
    }
    for incident in judged.iter().take(TOLD_MAX) {
        let id = &incident.incident_id;
        done.push(match &incident.resolution {
            Some(end) => {
                let by = end.by.as_ref().map(|by| format!(" by {}", quoted(by))).unwrap_or_default();
                let what = end.resolution.as_ref().map_or_else(|| "withheld".to_owned(), |what| quoted(what));
                format!("Done: the incident {id} is resolved{by}: {what}")
            }
            None => format!("To do: find out why it happened, and resolve the incident {id}, which is open."),
        });
    }
    if judged.is_empty() {
        done.push("To do: open an incident, if there was one.".to_owned());
    }
    if account.run_id.is_some() && account.status.is_none() {
        done.push("To do: end the run, if it still runs: no end of it is recorded here.".to_owned());
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
