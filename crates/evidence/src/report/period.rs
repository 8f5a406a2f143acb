//! The report on a period: which runs started in it, and which incidents they have.

use std::collections::BTreeMap;

use super::page::{Column, Page};
use super::runs::{Row, rows};
use super::words::{NOT_STATED, or_not_stated, time};
use super::{Cover, ROWS_MAX, begin, proofs};
use crate::account::shown;
use crate::bundle::{Period, Record};
use crate::quoted::count;

/// An incident of one of the runs.
struct Incident<'a> {
    record: &'a Record,
    id: Option<String>,
    is_resolved: bool,
}

/// The report on the runs that started in a period; `records` are sorted by log index.
#[must_use]
pub fn period(cover: &Cover<'_>, asked: &Period, records: &[Record]) -> String {
    let runs = rows(records.iter());
    let incidents = incidents(records);
    let mut page: Page = begin(cover, "Runs of a period");
    page.heading("Summary");
    page.text(&format!(
        "Every run whose start the ledger recorded from {} up to {}, that time itself excluded, is in here: {}. tracekeep verify \
         proves that none was left out.",
        time(asked.from),
        time(asked.to),
        count(runs.len(), "run"),
    ));
    if cover.created_at < asked.to {
        page.mark(&format!(
            "The period is still under way: it ends at {}, and the checkpoint is of {}. What is recorded after that is not in \
             here.",
            time(asked.to),
            time(cover.created_at),
        ));
    }
    let sum = |of: fn(&Row) -> u64| runs.iter().map(|(_, row)| of(row)).sum::<u64>().to_string();
    page.pairs(&[
        ("from", time(asked.from)),
        ("to, excluded", time(asked.to)),
        ("runs that started", runs.len().to_string()),
        ("of these still running", sum(|row| u64::from(row.is_running()))),
        ("erased since", sum(|row| u64::from(row.is_erased))),
        ("steps", sum(|row| row.steps)),
        ("steps that failed, of runs that are not erased", sum(|row| row.failures)),
        ("traces that failed, likewise", sum(Row::errors)),
        ("incidents of these runs", incidents.len().to_string()),
        ("of these open", incidents.iter().filter(|incident| incident.state() == OPEN).count().to_string()),
    ]);
    page.heading("Runs");
    let mut of_run: BTreeMap<&str, usize> = BTreeMap::new();
    incidents.iter().for_each(|incident| *of_run.entry(&incident.record.run).or_default() += 1);
    let cells = |(run_id, row): &(&str, Row)| cells(run_id, row, of_run.get(run_id).copied().unwrap_or_default());
    let columns = [
        ("run", Column::Text),
        ("agent", Column::Text),
        ("goal", Column::Text),
        ("start recorded", Column::Words),
        ("ended, as claimed", Column::Words),
        ("status", Column::Words),
        ("audit verdict", Column::Words),
        ("entries", Column::Number),
        ("steps", Column::Number),
        ("failed", Column::Number),
        ("trace errors", Column::Number),
        ("incidents", Column::Number),
        ("first entry", Column::Number),
    ];
    page.first_of(&runs, ROWS_MAX, &columns, cells);
    list(&mut page, &incidents);
    proofs::write(&mut page, cover, records);
    proofs::not_proven(&mut page, cover.kind);
    page.finish()
}

/// Of a run that was erased nobody knows but what its leaves say.
fn cells(run_id: &str, row: &Row, incidents: usize) -> Vec<String> {
    let known = |text: String| if row.is_erased { "not known".to_owned() } else { text };
    let ended = match row.ended {
        Some(ended) => time(ended),
        None if row.is_running() => String::new(),
        None => NOT_STATED.to_owned(),
    };
    let [failures, errors] = row.failed();
    vec![
        run_id.to_owned(),
        row.agent_id.clone().unwrap_or_default(),
        row.goal.clone().unwrap_or_default(),
        row.recorded_at.map(time).unwrap_or_default(),
        known(ended),
        row.status().to_owned(),
        known(row.verdict.clone().unwrap_or_else(|| "none".to_owned())),
        row.entries.to_string(),
        row.steps.to_string(),
        failures,
        errors,
        incidents.to_string(),
        row.first.to_string(),
    ]
}

const OPEN: &str = "open";

impl Incident<'_> {
    fn state(&self) -> &'static str {
        match (&self.record.left, self.is_resolved) {
            (None, _) => "not known",
            (_, true) => "resolved",
            (_, false) => OPEN,
        }
    }
}

/// The incidents of runs, by log index. An id is an incident's once in a ledger; were it another's too, the first is resolved.
fn incidents(records: &[Record]) -> Vec<Incident<'_>> {
    let (mut found, mut places): (Vec<Incident<'_>>, BTreeMap<String, usize>) = (Vec::new(), BTreeMap::new());
    for record in records.iter().filter(|record| !record.run.is_empty()) {
        let id = || shown::<String>(record, "incident_id");
        match record.kind.as_str() {
            "incident" => {
                let id = id();
                if let Some(id) = &id {
                    places.entry(id.clone()).or_insert(found.len());
                }
                found.push(Incident { record, id, is_resolved: false });
            }
            "incident_resolved" => {
                let place = id().and_then(|id| places.get(&id).copied());
                place
                    .and_then(|place| found.get_mut(place))
                    .into_iter()
                    .for_each(|incident| incident.is_resolved = true);
            }
            _ => {}
        }
    }
    found
}

fn list(page: &mut Page, incidents: &[Incident<'_>]) {
    page.heading("Incidents");
    if incidents.is_empty() {
        page.text("None of these runs has one.");
        return;
    }
    let row = |incident: &Incident<'_>| {
        let record = incident.record;
        let severity = shown::<String>(record, "severity");
        vec![
            incident.id.clone().unwrap_or_else(|| "erased".to_owned()),
            if record.left.is_none() { "not known".to_owned() } else { or_not_stated(severity.as_deref()) },
            incident.state().to_owned(),
            time(shown(record, "created_at").unwrap_or(record.recorded_at)),
            record.run.clone(),
            record.log_index.to_string(),
        ]
    };
    let columns = [
        ("incident", Column::Text),
        ("severity", Column::Words),
        ("state", Column::Words),
        ("opened", Column::Words),
        ("run", Column::Text),
        ("entry", Column::Number),
    ];
    page.first_of(incidents, ROWS_MAX, &columns, row);
}
