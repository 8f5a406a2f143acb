//! What was expected of the run, until when, what was said of it, and what each verdict found.

use tracekeep_core::Timestamp;
use tracekeep_core::json::{Json, Object, Value};

use super::Subject;
use super::page::{Column, Page};
use super::words::time;
use crate::account::{Fact, json, shown};
use crate::bundle::Record;
use crate::quoted::{count, quoted};

/// Findings of one verdict that are listed, and characters of a domain or an action there.
const FINDINGS_MAX: usize = 20;
const NAME_MAX: usize = 120;

pub(super) fn write(page: &mut Page, subject: &Subject<'_>) {
    let account = subject.account;
    expected(page, subject, &account.expectations);
    subject.facts(page, "Acknowledged", &account.acks);
    subject.facts(page, "Said by hand of what was expected", &account.statuses);
    verdicts(page, subject, &account.verdicts);
    subject.facts(page, "Taken back of what was expected", &account.cleared);
}

fn expected(page: &mut Page, subject: &Subject<'_>, facts: &[Fact]) {
    if facts.is_empty() {
        return;
    }
    page.heading("Expected");
    let row = |fact: &Fact| {
        let record = subject.record(fact.log_index);
        let due = record.and_then(deadline).map(time);
        vec![
            fact.says.clone(),
            due.unwrap_or_else(|| "not known".to_owned()),
            record.map(asked).unwrap_or_default(),
            time(fact.recorded_at),
            fact.log_index.to_string(),
        ]
    };
    let columns = [
        ("what", Column::Text),
        ("deadline", Column::Words),
        ("how", Column::Words),
        ("recorded", Column::Words),
        ("entry", Column::Number),
    ];
    page.first_of(facts, subject.rows, &columns, row);
}

/// The last moment that is in time: it counts from when the expectation was received.
fn deadline(record: &Record) -> Option<Timestamp> {
    let received: Timestamp = shown(record, "received_at").unwrap_or(record.recorded_at);
    let nanos = i64::try_from(shown::<u64>(record, "deadline_ms")?).ok()?.checked_mul(1_000_000)?;
    Some(received.min(record.recorded_at).saturating_add(nanos))
}

fn asked(record: &Record) -> String {
    let is = |name: &str| shown::<bool>(record, name) == Some(true);
    let times = shown::<u32>(record, "count").filter(|times| *times != 1).map(|times| format!("{times} times"));
    let optional = is("optional").then(|| "may stay undone".to_owned());
    let liveness = is("liveness").then(|| "shows that the run is alive".to_owned());
    [times, optional, liveness].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn verdicts(page: &mut Page, subject: &Subject<'_>, facts: &[Fact]) {
    if facts.is_empty() {
        return;
    }
    page.heading("Audit verdicts");
    let (mut rows, mut before): (Vec<Vec<String>>, Option<(u64, Json)>) = (Vec::new(), None);
    for fact in facts.iter().take(subject.rows) {
        let record = subject.record(fact.log_index);
        let verdict = record.and_then(|record| json(record, "verdict"));
        let same = before.as_ref().filter(|(_, before)| verdict.as_ref() == Some(before)).map(|(entry, _)| *entry);
        let found = match (same, &verdict) {
            (Some(entry), _) => format!("the same as the verdict of entry {entry}"),
            (None, Some(verdict)) => found(verdict),
            (None, None) => "withheld".to_owned(),
        };
        let by =
            if record.is_some_and(|record| record.kind == "sealed") { "the run's end" } else { "a reconciliation" };
        let (at, entry) = (time(fact.recorded_at), fact.log_index.to_string());
        rows.push(vec![fact.says.clone(), found, by.to_owned(), at, entry]);
        before = verdict.map(|verdict| (fact.log_index, verdict));
    }
    let columns = [
        ("verdict", Column::Text),
        ("what was found", Column::Text),
        ("of", Column::Words),
        ("recorded", Column::Words),
        ("entry", Column::Number),
    ];
    page.table(&columns, &rows);
    page.beyond(facts.len(), subject.rows);
}

/// The findings of a verdict, a line each.
fn found(verdict: &Json) -> String {
    const LISTS: [(&str, &str); 7] = [
        ("missing", "missing"),
        ("failed", "failed"),
        ("rolled_back", "rolled back"),
        ("late", "late"),
        ("drift", "drift, which nobody expected"),
        ("duplicate", "said twice"),
        ("pending", "pending"),
    ];
    let value = verdict.value();
    let Some(verdict) = value.as_object() else { return String::new() };
    let listed = |name: &str| verdict.get(name).and_then(Value::as_array).unwrap_or_default().iter();
    let all: usize = LISTS.iter().map(|(name, _)| listed(name).len()).sum();
    let findings = LISTS.iter().flat_map(|(name, called)| listed(name).map(move |found| (*called, found)));
    let findings = findings.take(FINDINGS_MAX).filter_map(|(called, found)| Some(finding(called, found.as_object()?)));
    let mut lines: Vec<String> = findings.collect();
    if all > FINDINGS_MAX {
        lines.push(format!("and {} more, which stand in records.jsonl", all - FINDINGS_MAX));
    }
    if matches!(verdict.get("truncated"), Some(Value::Bool(true))) {
        lines.push("and more, which the verdict itself does not list".to_owned());
    }
    if lines.is_empty() {
        let number = |name: &str| verdict.get(name)?.to_json().as_str().parse().ok();
        let [expected, acks] = ["expectations", "acks"].map(|name| number(name).unwrap_or(0usize));
        let (expected, acks) = (count(expected, "expectation"), count(acks, "acknowledgement"));
        lines.push(format!("nothing, of {expected} and {acks}"));
    }
    lines.join("\n")
}

fn finding(called: &str, found: &Object<'_>) -> String {
    let text = |name: &str| found.get(name).and_then(Value::as_str);
    let name = |name: &str| text(name).map_or_else(|| "?".to_owned(), |text| quoted(text, NAME_MAX));
    let at = |name: &str, told: &str| {
        let at = text(name)?.parse().ok().map(time)?;
        Some(format!(", {told} {at}"))
    };
    let deadline = at("deadline", "due").unwrap_or_default();
    let said = at("at", "said").unwrap_or_default();
    let made_up = matches!(found.get("superseded"), Some(Value::Bool(true)));
    let made_up = if made_up { ", made up for later" } else { "" };
    format!("{called}: {} / {}{deadline}{said}{made_up}", name("domain"), name("action"))
}
