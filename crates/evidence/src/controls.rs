//! What a bundle shows of SOC 2's controls: each status is derived from facts that are in the records, and says which.

use tracekeep_core::json::Json;
use tracekeep_core::wire::{object, object_field, to_json, words};

use crate::account::{Account, IncidentAccount};

words! {
    /// What the records show of a control.
    pub enum ControlStatus {
        /// Everything that it asks for is there.
        Demonstrated = "demonstrated",
        /// Some of it is.
        Partial = "partial",
        /// None of it is.
        NotDemonstrated = "not_demonstrated",
    }
}

object! {
    /// One thing that a control asks for.
    pub struct Asked {
        /// What it is.
        required what: String,
        /// The entries that show it; none where it is not shown.
        required entries: Vec<u64>,
    }
}

object! {
    /// A control, and what of it the records show. It is no attestation: an auditor judges the control.
    pub struct Control {
        /// The criterion.
        required control: String,
        /// What it is about.
        required title: String,
        /// What is shown of it.
        required status: ControlStatus,
        /// What it asks for, and which entries show it.
        required asked: Vec<Asked>,
    }
}

object! {
    /// `controls.json`.
    pub struct Controls {
        /// By criterion.
        required controls: Vec<Control>,
    }
}

object_field!(Asked, Control);

fn asked(what: &str, entries: impl IntoIterator<Item = u64>) -> Asked {
    Asked { what: what.to_owned(), entries: entries.into_iter().collect() }
}

fn control(control: &str, title: &str, asked: Vec<Asked>) -> Control {
    let shown = asked.iter().filter(|asked| !asked.entries.is_empty()).count();
    let status = match shown {
        0 => ControlStatus::NotDemonstrated,
        _ if shown == asked.len() => ControlStatus::Demonstrated,
        _ => ControlStatus::Partial,
    };
    Control { control: control.to_owned(), title: title.to_owned(), status, asked }
}

/// The criterion that a type of violation is about, beside those of incidents: by the words in its name.
fn of_type(violation_type: &str) -> Option<(&'static str, &'static str)> {
    let name = violation_type.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if has(&["access", "permission", "privilege", "auth", "credential"]) => {
            Some(("CC6.1", "logical access is restricted"))
        }
        () if has(&["data", "leak", "exfil", "privacy", "pii"]) => {
            Some(("CC6.7", "transmission and removal of information is restricted"))
        }
        () if has(&["change", "config", "deploy"]) => Some(("CC8.1", "changes are authorized")),
        () if has(&["cost", "budget", "spend", "rate", "quota", "limit", "capacity"]) => {
            Some(("A1.1", "use of capacity is monitored"))
        }
        () => None,
    }
}

/// What the records show of CC7.2, CC7.3, CC7.4, and of the criterion of the incident's type of violation where it has one.
#[must_use]
pub fn controls(account: &Account) -> Controls {
    let incident = account.incident();
    let at = |is: fn(&IncidentAccount) -> bool| incident.filter(|incident| is(incident)).map(|known| known.log_index);
    let first =
        |facts: &[crate::account::Fact]| facts.iter().map(|fact| fact.log_index).take(ENTRIES_MAX).collect::<Vec<_>>();
    let violation = account.violation().map(|violated| violated.log_index);
    let mut found = vec![
        control(
            "CC7.2",
            "the system is monitored for anomalies",
            vec![
                asked("what should happen was declared", first(&account.expectations)),
                asked("what happened was compared with it", first(&account.verdicts)),
                asked("a violation was detected and recorded", violation),
            ],
        ),
        control(
            "CC7.3",
            "security events are evaluated",
            vec![
                asked("an incident was opened", incident.map(|known| known.log_index)),
                asked("its severity was assessed", at(|known| known.severity.is_some())),
                asked("the policy was named", at(|known| known.policy_id.is_some() || known.policy_name.is_some())),
                asked("it is linked to a run", at(|known| known.run_id.is_some())),
                asked("it is linked to a step", at(|known| known.step_index.is_some())),
            ],
        ),
        control(
            "CC7.4",
            "incidents are responded to",
            vec![
                asked("the record is held", account.held_by),
                asked(
                    "the incident was resolved",
                    incident.and_then(|known| known.resolution.as_ref()).map(|end| end.log_index),
                ),
                asked("the time to contain it is known", contained(account)),
            ],
        ),
    ];
    if let Some(incident) = incident
        && let Some((criterion, title)) = incident.violation_type.as_deref().and_then(of_type)
    {
        found.push(control(
            criterion,
            title,
            vec![
                asked("the violation was typed and recorded", [incident.log_index]),
                asked("what is allowed was stated", at(|known| known.threshold.is_some())),
                asked("what was found was stated", at(|known| known.actual.is_some())),
            ],
        ));
    }
    Controls { controls: found }
}

/// Entries that are listed for one thing.
const ENTRIES_MAX: usize = 20;

/// The entries from which the time to contain follows: the violation's and that of the end.
fn contained(account: &Account) -> Vec<u64> {
    let Some((at, end)) = account.contained() else { return Vec::new() };
    let known = account.since_violation(Some(at)).and(account.violation());
    known.map(|violated| vec![violated.log_index, end]).unwrap_or_default()
}

impl Controls {
    /// `controls.json`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        to_json(self)
    }
}
