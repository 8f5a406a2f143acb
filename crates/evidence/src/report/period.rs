//! The report on a period: which runs started in it.

use std::collections::BTreeMap;

use tracekeep_core::Timestamp;

use super::page::Page;
use super::{Cover, ROWS_MAX, beyond, proofs};
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
    let mut page = Page::new(&format!("Tracekeep: {}", cover.kind));
    page.heading("Summary");
    if cover.forced {
        page.mark("This bundle was forced: something that its kind requires is missing. The manifest says what.");
    }
    let sum = |of: fn(&Row) -> u64| runs.iter().map(|(_, row)| of(row)).sum::<u64>().to_string();
    page.pairs(&[
        ("from", asked.from.to_string()),
        ("to, excluded", asked.to.to_string()),
        ("runs that started", runs.len().to_string()),
        ("erased since", sum(|row| u64::from(row.is_erased))),
        ("steps", sum(|row| row.steps)),
        ("steps that failed, of runs that are not erased", sum(|row| row.failures)),
        ("incidents of these runs", sum(|row| row.incidents)),
        ("of these not known to be resolved", sum(|row| row.open)),
    ]);
    page.heading("Runs");
    let rows = runs.iter().take(ROWS_MAX).map(|(run_id, row)| row.cells(run_id));
    let head = [
        "run",
        "start recorded",
        "ended, as claimed",
        "status",
        "audit verdict",
        "entries",
        "steps",
        "failed",
        "incidents",
        "first entry",
    ];
    page.table(&head, rows.collect());
    beyond(&mut page, runs.len());
    proofs(&mut page, cover);
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
        let ended = self.ended.map_or_else(|| "not stated".to_owned(), |at| at.to_string());
        vec![
            run_id.to_owned(),
            self.recorded_at.map(|at| at.to_string()).unwrap_or_default(),
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
