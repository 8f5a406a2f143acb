//! What is said to have been violated, each by the entry that says so, what the violating step did, and how soon that was
//! detected, contained and resolved.

use std::collections::BTreeSet;

use tracekeep_core::json::Json;

use super::page::{Column, Page};
use super::words::{between, lasted, or_not_stated, time};
use super::{Subject, steps};
use crate::account::{Account, How, IncidentAccount, Violated};
use crate::quoted::beginning;

/// Incidents that are told of in full.
const TOLD_MAX: usize = 20;

/// Whether an incident is open, in the words that are used everywhere.
fn state(incident: &IncidentAccount) -> String {
    match &incident.resolution {
        None => "open".to_owned(),
        Some(end) if end.resolved_at < incident.detected_at() => {
            format!("resolved {}, which is claimed to be before it was opened", time(end.resolved_at))
        }
        Some(end) => format!("resolved {}", time(end.resolved_at)),
    }
}

/// A list of all incidents of the run.
fn list(page: &mut Page, subject: &Subject<'_>) {
    page.heading("Incidents");
    let incidents = &subject.account.incidents;
    if incidents.is_empty() {
        page.text("None is recorded among the entries shown.");
        return;
    }
    let row = |known: &IncidentAccount| {
        vec![
            known.incident_id.clone(),
            or_not_stated(known.severity.as_deref()),
            or_not_stated(known.policy_name.as_deref()),
            or_not_stated(known.policy_id.as_deref()),
            time(known.detected_at()),
            if known.is_open() { "open" } else { "resolved" }.to_owned(),
            known.resolution.as_ref().map(|end| time(end.resolved_at)).unwrap_or_default(),
            known.log_index.to_string(),
        ]
    };
    let columns = [
        ("incident", Column::Text),
        ("severity", Column::Words),
        ("policy", Column::Text),
        ("policy id", Column::Text),
        ("opened", Column::Words),
        ("state", Column::Words),
        ("resolved", Column::Words),
        ("entry", Column::Number),
    ];
    page.first_of(incidents, subject.rows, &columns, row);
}

/// The incidents, then what the run's end states, then what each incident that is told of says; with each the step.
pub(super) fn write(page: &mut Page, subject: &Subject<'_>) {
    let account = subject.account;
    list(page, subject);
    let (stated, judged) = (account.stated(), account.judged());
    let mut seen = BTreeSet::new();
    let mut step = |page: &mut Page, step: Option<u64>| {
        if let Some(log_index) = step.filter(|log_index| seen.insert(*log_index)) {
            steps::in_full(page, subject, log_index);
        }
    };
    if let Some(stated) = &stated {
        page.heading("The violation, as the end of the run states it");
        let mut pairs = vec![("policy id", or_not_stated(stated.policy_id.as_deref()))];
        pairs.extend(said(stated));
        page.pairs(&pairs);
        step(page, stated.step);
    }
    for incident in judged.iter().take(TOLD_MAX) {
        page.heading(&format!("The violation, as the incident {} says it", beginning(&incident.incident_id, 80)));
        of_incident(page, account, incident);
        step(page, account.violated(incident).and_then(|violated| violated.step));
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
        ("violated, as claimed", violated.at.map_or_else(|| "not known".to_owned(), time)),
        ("reason", or_not_stated(violated.reason.as_deref())),
        ("entry", violated.log_index.to_string()),
    ]
}

fn of_incident(page: &mut Page, account: &Account, incident: &IncidentAccount) {
    let json = |json: &Option<Json>| or_not_stated(json.as_ref().map(|json| json.as_str()));
    let mut pairs = vec![
        ("severity", or_not_stated(incident.severity.as_deref())),
        ("policy", or_not_stated(incident.policy_name.as_deref())),
        ("policy id", or_not_stated(incident.policy_id.as_deref())),
        ("type", or_not_stated(incident.violation_type.as_deref())),
        ("allowed", json(&incident.threshold)),
        ("found", json(&incident.actual)),
    ];
    match account.violated(incident) {
        Some(violated) => pairs.extend(said(&violated)),
        None => pairs.push(("entry", incident.log_index.to_string())),
    }
    pairs.push(("its opening was recorded", time(incident.recorded_at)));
    if let Some(end) = &incident.resolution {
        pairs.push(("its resolution was recorded", format!("{}, entry {}", time(end.recorded_at), end.log_index)));
    }
    page.pairs(&pairs);
}

/// When each incident that is told of was violated, detected, contained and resolved, and how long that took.
pub(super) fn times(page: &mut Page, subject: &Subject<'_>) {
    let judged = subject.account.judged();
    if judged.is_empty() {
        return;
    }
    page.heading("Times to detect and to contain");
    for incident in judged.iter().take(TOLD_MAX) {
        if judged.len() > 1 {
            page.below(&format!("Incident {}", beginning(&incident.incident_id, 80)));
        }
        page.pairs(&[
            ("violated", violated(subject.account, incident)),
            ("detected", time(incident.detected_at())),
            ("time to detect", to_detect(subject.account, incident)),
            ("time to contain", to_contain(subject.account, incident)),
            ("state", state(incident)),
        ]);
    }
    if judged.len() > TOLD_MAX {
        page.text(&format!("and {} incidents more", judged.len() - TOLD_MAX));
    }
    page.note("All of these times are as claimed. An incident is detected when it is opened.");
}

fn violated(account: &Account, incident: &IncidentAccount) -> String {
    let Some(at) = account.violated(incident).and_then(|violated| violated.at) else {
        return "not known: neither the incident nor a step that is shown says when".to_owned();
    };
    let by = if incident.violation_at.is_some() { "as the incident says" } else { "when its step occurred" };
    format!("{}, {by}", time(at))
}

fn to_detect(account: &Account, incident: &IncidentAccount) -> String {
    let began = account.violated(incident).and_then(|violated| violated.at);
    match (began, account.since(incident, Some(incident.detected_at()))) {
        (_, Some(took)) => lasted(took),
        (None, None) => "not known: it is not known when it was violated".to_owned(),
        (Some(_), None) => "not known: it is claimed to be opened before it was violated".to_owned(),
    }
}

/// How long it took, and by what; where its run had ended before anybody knew, that, and never as a containment.
fn to_contain(account: &Account, incident: &IncidentAccount) -> String {
    let detected = incident.detected_at();
    let had_ended = account.ended_before_detection(incident).map(|ended| {
        let before = between(ended.at, detected);
        format!("the run had ended {before} before the incident was opened ({}), and could do no more", time(ended.at))
    });
    let Some(over) = account.contained(incident) else {
        return match (had_ended, incident.is_open()) {
            (Some(had_ended), true) => format!("nobody contained it, and it is open: {had_ended}"),
            (Some(had_ended), false) => format!("not known: {had_ended}"),
            (None, true) => "not contained, as far as is recorded here".to_owned(),
            (None, false) => "not known: the times that are claimed contradict each other".to_owned(),
        };
    };
    let how = match over.how {
        How::Resolved => "until it was resolved",
        How::RunEnded => {
            "until its run ended, which need not be anybody's doing, and does not say that harm was undone"
        }
    };
    let took = match account.since(incident, Some(over.at)) {
        Some(took) => format!("{}, {how}", lasted(took)),
        None => format!("not known; it went on {how}, at {}", time(over.at)),
    };
    had_ended.into_iter().fold(took, |took, had_ended| format!("{took}; {had_ended}"))
}
