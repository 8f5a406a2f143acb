//! The report on a period: which runs started in it.

use std::collections::BTreeMap;

use tracekeep_core::Timestamp;

use super::page::{Column, Page};
use super::words::time;
use super::{Cover, ROWS_MAX, begin, beyond, proofs};
use crate::account::{shown, verdict};
use crate::bundle::{Period, Record};

/// What the records of one run say of it.
#[derive(Default)]
struct Row {
    first: u64,
    recorded_at: Option<Timestamp>,
    status: Option<String>,
    ended: Option<Timestamp>,
    verdict: Option<String>,
    is_erased: bool,
    entries: u64,
    steps: u64,
    /// Of the steps that are shown.
    failures: u64,
    incidents: u64,
    open: u64,
}

/// The report on the runs that started in a period; `records` are sorted by log index.
#[must_use]
pub fn period(cover: &Cover<'_>, asked: &Period, records: &[Record]) -> String {
    let mut runs: BTreeMap<&str, Row> = BTreeMap::new();
    for record in records.iter().filter(|record| !record.run.is_empty()) {
        let first = || Row { first: record.log_index, recorded_at: Some(record.recorded_at), ..Row::default() };
        runs.entry(&record.run).or_insert_with(first).take(record);
    }
    let mut runs: Vec<_> = runs.into_iter().collect();
    runs.sort_unstable_by_key(|(_, row)| row.first);
    let mut page: Page = begin(cover, "Runs of a period");
    page.heading("Summary");
    let sum = |of: fn(&Row) -> u64| runs.iter().map(|(_, row)| of(row)).sum::<u64>().to_string();
    page.pairs(&[
        ("from", time(asked.from)),
        ("to, excluded", time(asked.to)),
        ("runs that started", runs.len().to_string()),
        ("erased since", sum(|row| u64::from(row.is_erased))),
        ("steps", sum(|row| row.steps)),
        ("steps that failed, of runs that are not erased", sum(|row| row.failures)),
        ("incidents of these runs", sum(|row| row.incidents)),
        ("of these open", sum(|row| row.open)),
    ]);
    page.heading("Runs");
    let rows = runs.iter().take(ROWS_MAX).map(|(run_id, row)| row.cells(run_id));
    let columns = [
        ("run", Column::Text),
        ("start recorded", Column::Words),
        ("ended, as claimed", Column::Words),
        ("status", Column::Words),
        ("audit verdict", Column::Words),
        ("entries", Column::Number),
        ("steps", Column::Number),
        ("failed", Column::Number),
        ("incidents", Column::Number),
        ("first entry", Column::Number),
    ];
    page.table(&columns, &rows.collect::<Vec<_>>());
    beyond(&mut page, runs.len(), ROWS_MAX);
    proofs::write(&mut page, cover, records);
    proofs::not_proven(&mut page);
    page.finish()
}

impl Row {
    fn take(&mut self, record: &Record) {
        self.entries += 1;
        match record.kind.as_str() {
            "run_started" => self.is_erased = record.left.is_none(),
            "sealed" => {
                self.status = shown(record, "status").or(self.status.take());
                self.ended = shown(record, "completed_at").or(self.ended);
                self.verdict = verdict(record).or(self.verdict.take());
            }
            "verdict" => self.verdict = verdict(record).or(self.verdict.take()),
            "audit_cleared" => self.verdict = None,
            "incident" => {
                self.incidents += 1;
                self.open += 1;
            }
            "incident_resolved" => self.open = self.open.saturating_sub(1),
            "step" => {
                self.steps += 1;
                self.failures += u64::from(shown::<String>(record, "status").as_deref() == Some("failure"));
            }
            _ => {}
        }
    }

    /// Of a run that was erased nobody knows but what its leaves say.
    fn cells(&self, run_id: &str) -> Vec<String> {
        let known = |text: String| if self.is_erased { "not known".to_owned() } else { text };
        let status = if self.is_erased { Some("erased") } else { self.status.as_deref() };
        let ended = self.ended.map_or_else(|| "not stated".to_owned(), time);
        vec![
            run_id.to_owned(),
            self.recorded_at.map(time).unwrap_or_default(),
            known(ended),
            status.unwrap_or("not closed").to_owned(),
            known(self.verdict.clone().unwrap_or_else(|| "none".to_owned())),
            self.entries.to_string(),
            self.steps.to_string(),
            known(self.failures.to_string()),
            self.incidents.to_string(),
            self.first.to_string(),
        ]
    }
}
