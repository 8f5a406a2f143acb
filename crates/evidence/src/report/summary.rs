//! What happened, what it cost and means, and what is to be done: in plain language.

use super::Subject;
use super::page::Page;
use super::words::{NOT_STATED, cost, or_not_stated};
use crate::account::{Account, IncidentAccount};
use crate::bundle::Kind;
use crate::quoted::{beginning, count};

/// What the page is, and of what.
pub(super) fn title(subject: &Subject<'_>) -> String {
    let kind = match subject.cover.kind {
        Kind::Evidence | Kind::Period => "Evidence",
        Kind::Soc2 => "SOC 2 evidence",
        Kind::ExecutiveDebrief => "Executive debrief",
    };
    let account = subject.account;
    let incident = account.about.and_then(|place| account.incidents.get(place));
    let of = [incident.map(|known| ("incident", &known.incident_id)), account.run_id.as_ref().map(|run| ("run", run))];
    let of: Vec<_> = of.into_iter().flatten().map(|(what, id)| format!("{what} {}", beginning(id, 80))).collect();
    format!("{kind}: {}", of.join(" of "))
}

pub(super) fn summary(page: &mut Page, subject: &Subject<'_>) {
    page.heading("What happened");
    page.text(&subject.told.summary);
}

pub(super) fn risk(page: &mut Page, subject: &Subject<'_>) {
    page.heading("Risk");
    page.text(&subject.told.risk);
}

pub(super) fn actions(page: &mut Page, subject: &Subject<'_>) {
    page.heading("Actions");
    page.list(&subject.told.actions);
}

pub(super) fn impact(page: &mut Page, subject: &Subject<'_>) {
    page.heading("Impact");
    let (told, account) = (&subject.told, subject.account);
    let spent = match told.costs_withheld {
        0 => cost(told.cost_cents),
        1 => format!("{}, and what 1 step withholds", cost(told.cost_cents)),
        more => format!("{}, and what {more} steps withhold", cost(told.cost_cents)),
    };
    let tokens: Vec<u64> = account.steps.iter().filter_map(|step| step.tokens).collect();
    let tokens = match tokens.len() {
        0 => NOT_STATED.to_owned(),
        stated => {
            let sum = tokens.iter().fold(0u64, |sum, tokens| sum.saturating_add(*tokens));
            format!("{sum}, as {} of {} state", stated, count(account.steps.len(), "step"))
        }
    };
    page.pairs(&[
        ("incidents", of_incidents(&account.incidents)),
        (
            "steps shown",
            if told.steps == 0 {
                "none".to_owned()
            } else {
                format!("{}, {} of them failed", told.steps, told.failures)
            },
        ),
        ("traces shown", of_traces(account)),
        ("cost of the steps shown", spent),
        ("tokens of the steps shown", tokens),
        ("how the run ended", or_not_stated(account.status.as_deref())),
        ("why the run ended", or_not_stated(account.termination_reason.as_deref())),
        ("policy in force", or_not_stated(account.policy_snapshot_id.as_deref())),
    ]);
}

fn of_traces(account: &Account) -> String {
    match account.traces.len() {
        0 => "none".to_owned(),
        all => format!("{all}, {} of them errors", account.errors()),
    }
}

fn of_incidents(incidents: &[IncidentAccount]) -> String {
    let open = incidents.iter().filter(|incident| incident.is_open()).count();
    match incidents.len() {
        0 => "none is recorded here".to_owned(),
        1 => format!("1, {}", if open == 1 { "open" } else { "resolved" }),
        all => format!("{all}, {open} of them open"),
    }
}
