//! Runs in rows: those of a period, and those that are related to the run that a bundle is about.

use std::collections::{BTreeMap, BTreeSet};

use tracekeep_core::Timestamp;
use tracekeep_core::amount::Cost;
use tracekeep_core::model::EndStatus;

use super::Subject;
use super::page::{Column, Page};
use super::words::{TEXT_MAX, cost, time};
use crate::account::{TraceAccount, shown, verdict};
use crate::bundle::Record;
use crate::quoted::beginning;

/// What the records of one run say of it.
#[derive(Default)]
pub(super) struct Row {
    pub(super) first: u64,
    pub(super) recorded_at: Option<Timestamp>,
    pub(super) agent_id: Option<String>,
    pub(super) goal: Option<String>,
    status: Option<String>,
    pub(super) ended: Option<Timestamp>,
    pub(super) verdict: Option<String>,
    pub(super) is_erased: bool,
    pub(super) entries: u64,
    pub(super) steps: u64,
    /// Of the steps that are shown.
    pub(super) failures: u64,
    /// The traces that failed, by their ids.
    errors: BTreeSet<String>,
    cost: i64,
    costs_withheld: bool,
}

/// The runs of `records`, which are sorted by log index, in the order of their first entries.
pub(super) fn rows<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<(&'a str, Row)> {
    let mut runs: BTreeMap<&str, Row> = BTreeMap::new();
    for record in records.filter(|record| !record.run.is_empty()) {
        let first = || Row { first: record.log_index, recorded_at: Some(record.recorded_at), ..Row::default() };
        runs.entry(&record.run).or_insert_with(first).take(record);
    }
    let mut runs: Vec<_> = runs.into_iter().collect();
    runs.sort_unstable_by_key(|(_, row)| row.first);
    runs
}

impl Row {
    fn take(&mut self, record: &Record) {
        self.entries += 1;
        match record.kind.as_str() {
            "run_started" => {
                self.is_erased = record.left.is_none();
                self.described(record);
            }
            "run_described" => self.described(record),
            "sealed" => {
                self.status = shown(record, "status").or(self.status.take());
                self.ended = shown(record, "completed_at").or(self.ended);
                self.verdict = verdict(record).or(self.verdict.take());
            }
            "verdict" => self.verdict = verdict(record).or(self.verdict.take()),
            "audit_cleared" => self.verdict = None,
            "trace" => {
                self.errors.extend(TraceAccount::of(record).filter(TraceAccount::is_error).map(|trace| trace.id))
            }
            "trace_ended" => self.trace_ended(record),
            "step" => {
                self.steps += 1;
                self.failures += u64::from(shown::<String>(record, "status").as_deref() == Some("failure"));
                match shown::<Cost>(record, "cost_cents") {
                    Some(cost) => self.cost = self.cost.saturating_add(cost.as_micro_cents()),
                    None => self.costs_withheld |= record.left.as_ref().is_none_or(|left| left.withholds("cost_cents")),
                }
            }
            _ => {}
        }
    }

    fn trace_ended(&mut self, record: &Record) {
        let Some(id) = shown::<String>(record, "id") else { return };
        match shown(record, "status") {
            Some(EndStatus::Error) => drop(self.errors.insert(id)),
            _ => drop(self.errors.remove(&id)),
        }
    }

    /// How many steps and how many traces failed, of those that are shown.
    pub(super) fn failed(&self) -> [String; 2] {
        let known = |number: u64| if self.is_erased { "not known".to_owned() } else { number.to_string() };
        [known(self.failures), known(self.errors.len() as u64)]
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.len() as u64
    }

    fn described(&mut self, record: &Record) {
        let text = |name| shown::<String>(record, name).map(|text| beginning(&text, TEXT_MAX));
        self.agent_id = self.agent_id.take().or_else(|| text("agent_id"));
        self.goal = self.goal.take().or_else(|| text("goal"));
    }

    /// How it ended; of a run that was erased nobody knows but what its leaves say.
    pub(super) fn status(&self) -> &str {
        if self.is_erased { "erased" } else { self.status.as_deref().unwrap_or("running") }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.is_erased && self.status.is_none()
    }

    fn cost(&self) -> String {
        if self.is_erased || self.costs_withheld {
            return "withheld".to_owned();
        }
        cost(Cost::from_micro_cents(self.cost).unwrap_or_default())
    }
}

/// Names the other runs of which entries are shown.
pub(super) fn related(page: &mut Page, subject: &Subject<'_>) {
    let Some(own) = subject.account.run_id.as_deref() else { return };
    let runs = rows(subject.records.iter().filter(|record| record.run != own));
    if runs.is_empty() {
        return;
    }
    page.heading("Related runs");
    page.text("Runs of the same correlation id, whose entries are in records.jsonl, too. What is said above is of the run itself.");
    let row = |(run_id, row): &(&str, Row)| {
        let [failures, errors] = row.failed();
        vec![
            (*run_id).to_owned(),
            row.agent_id.clone().unwrap_or_default(),
            row.goal.clone().unwrap_or_default(),
            row.status().to_owned(),
            row.recorded_at.map(time).unwrap_or_default(),
            row.steps.to_string(),
            failures,
            errors,
            row.cost(),
            row.entries.to_string(),
            row.first.to_string(),
        ]
    };
    let columns = [
        ("run", Column::Text),
        ("agent", Column::Text),
        ("goal", Column::Text),
        ("status", Column::Words),
        ("start recorded", Column::Words),
        ("steps", Column::Number),
        ("failed", Column::Number),
        ("trace errors", Column::Number),
        ("cost", Column::Words),
        ("entries", Column::Number),
        ("first entry", Column::Number),
    ];
    page.first_of(&runs, subject.rows, &columns, row);
}
