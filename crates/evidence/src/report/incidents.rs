//! What is said to have been violated, each by the entry that says so, and what is shown of the controls.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::DurationMs;

use super::page::Page;
use super::{ROWS_MAX, beyond};
use crate::account::{Account, How, IncidentAccount, Violated};
use crate::controls::Controls;

/// Incidents that are told of in full.
const TOLD_MAX: usize = 20;

fn or_not_stated(text: Option<&str>) -> String {
    text.unwrap_or("not stated").to_owned()
}

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "not known".to_owned(), |at| at.to_string())
}

fn lasted(ms: Option<DurationMs>) -> String {
    ms.map_or_else(|| "not known".to_owned(), |ms| format!("{} ms", ms.as_ms()))
}

/// A list of all incidents of the run, then what its end states, then what each incident that is told of says.
pub(super) fn write(page: &mut Page, account: &Account) {
    page.heading("Incidents");
    if account.incidents.is_empty() {
        page.text("None is recorded among the entries shown.");
    } else {
        let row = |known: &IncidentAccount| {
            vec![
                known.incident_id.clone(),
                or_not_stated(known.severity.as_deref()),
                or_not_stated(known.policy()),
                known.detected_at().to_string(),
                known.resolution.as_ref().map_or_else(|| "open".to_owned(), |end| end.resolved_at.to_string()),
                known.log_index.to_string(),
            ]
        };
        let head = ["incident", "severity", "policy", "opened", "resolved", "entry"];
        page.table(&head, account.incidents.iter().take(ROWS_MAX).map(row).collect());
        beyond(page, account.incidents.len());
    }
    let (stated, judged) = (account.stated(), account.judged());
    if let Some(stated) = &stated {
        page.heading("The violation, as the end of the run states it");
        let mut pairs = vec![("policy", or_not_stated(stated.policy_id.as_deref()))];
        pairs.extend(said(stated));
        page.pairs(&pairs);
    }
    for incident in judged.iter().take(TOLD_MAX) {
        page.heading(&format!("The violation, as the incident {} says it", incident.incident_id));
        of_incident(page, account, incident);
    }
    if judged.len() > TOLD_MAX {
        page.text(&format!("and {} incidents more, as listed above", judged.len() - TOLD_MAX));
    }
    if stated.is_none() && judged.is_empty() {
        page.heading("The violation");
        page.text(if account.violation_withheld {
            "The end of the run has a violation that is withheld."
        } else {
            "No violation is recorded."
        });
    }
}

/// Where and when it was, and by which entry.
fn said(violated: &Violated) -> Vec<(&'static str, String)> {
    let step = match (violated.step_index, violated.step) {
        (None, _) => "not stated".to_owned(),
        (Some(index), Some(entry)) => format!("{index}, entry {entry}"),
        (Some(index), None) => format!("{index}, which is not among the entries shown"),
    };
    vec![
        ("step", step),
        ("violated, as claimed", time(violated.at)),
        ("reason", or_not_stated(violated.reason.as_deref())),
        ("entry", violated.log_index.to_string()),
    ]
}

fn of_incident(page: &mut Page, account: &Account, incident: &IncidentAccount) {
    let json = |json: &Option<tracekeep_core::json::Json>| or_not_stated(json.as_ref().map(|json| json.as_str()));
    let over = account.contained(incident);
    let detected = incident.detected_at();
    let mut contained = match over.map(|over| (over.at, over.how)) {
        None => "not known".to_owned(),
        Some((at, How::Resolved)) => format!("{at}: the incident was resolved"),
        Some((at, How::RunEnded)) => {
            format!("{at}: the run ended, which need not be anybody's doing, and does not say that harm was undone")
        }
    };
    if let Some(ended) = account.ended_before_detection(incident) {
        contained.push_str(&format!("; the run had ended at {}, before it was detected", ended.at));
    }
    let mut pairs = vec![
        ("severity", or_not_stated(incident.severity.as_deref())),
        ("policy", or_not_stated(incident.policy())),
        ("type", or_not_stated(incident.violation_type.as_deref())),
        ("allowed", json(&incident.threshold)),
        ("found", json(&incident.actual)),
    ];
    match account.violated(incident) {
        Some(violated) => pairs.extend(said(&violated)),
        None => pairs.push(("entry", incident.log_index.to_string())),
    }
    pairs.extend([
        ("detected: opened, as claimed", detected.to_string()),
        ("its opening was recorded", incident.recorded_at.to_string()),
        ("contained, as claimed", contained),
        ("resolved, as claimed", time(incident.resolution.as_ref().map(|end| end.resolved_at))),
        ("time to detect", lasted(account.since(incident, Some(detected)))),
        ("time to contain", lasted(account.since(incident, over.map(|over| over.at)))),
    ]);
    page.pairs(&pairs);
}

pub(super) fn controls(page: &mut Page, controls: &Controls) {
    page.heading("Controls");
    page.text("Derived from the records alone. It is no attestation: an auditor judges a control.");
    page.text(&match controls.period {
        Some(period) => format!(
            "Of the period from {} to {}, excluded: what was recorded outside of it supports nothing here, and of incidents \
             those count that were open in it, {} in number.",
            period.from,
            period.to,
            controls.incidents.len()
        ),
        None => "Of no period: everything that is recorded of the run counts.".to_owned(),
    });
    let rows = controls.controls.iter().flat_map(|control| {
        control.asked.iter().map(move |asked| {
            let entries: Vec<_> = asked.entries.iter().map(u64::to_string).collect();
            vec![
                format!("{} {}", control.control, control.title),
                control.status.to_string(),
                asked.what.clone(),
                asked.status.to_string(),
                entries.join(", "),
            ]
        })
    });
    page.table(&["control", "status", "asks for", "which is", "entries"], rows.collect());
}
