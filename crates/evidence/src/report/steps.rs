//! What the run did and why: its steps, the violating ones in full, and its reasoning.

use std::collections::BTreeSet;

use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::json::Json;
use tracekeep_core::model::TraceStatus;

use super::page::{Column, Page};
use super::words::{NOT_STATED, between, cost, lasted, or_not_stated, time};
use super::{Subject, withheld};
use crate::account::{StepAccount, TraceAccount, json};
use crate::bundle::Record;
use crate::quoted::{beginning, count};

/// Members of a step that stand in a row of their own, or say nothing to a reader.
const TOLD: [&str; 14] = [
    "cost_cents",
    "duration_ms",
    "index",
    "input_hash",
    "occurred_at",
    "op",
    "output_hash",
    "redacted",
    "replay_behavior",
    "run_id",
    "skill_name",
    "status",
    "tokens",
    "trace_id",
];

/// What stands in a narrow column for what is not stated.
const NONE: &str = "–";

/// Characters of a recorded member that stand in a line.
const LINE_MAX: usize = 120;

/// Characters of a skill's name: all that a ledger takes.
const NAME_MAX: usize = 256;

const WITHHELD: &str = "withheld";

pub(super) fn table(page: &mut Page, subject: &Subject<'_>) {
    page.heading("Steps");
    let steps = &subject.account.steps;
    let violated: BTreeSet<_> = subject.account.violations().iter().filter_map(|violated| violated.step).collect();
    let row = |step: &StepAccount| {
        let status = step.status.clone().unwrap_or_default();
        let is_violating = violated.contains(&step.log_index);
        let [skill, took, cents, tokens] = told(subject, step, NONE, Cost::to_string);
        vec![
            step.index.to_string(),
            skill,
            if is_violating { format!("{status}, violating") } else { status },
            step.occurred_at.map(time).unwrap_or_default(),
            took,
            cents,
            tokens,
            subject.withheld_in_a_row(step.log_index),
            step.log_index.to_string(),
        ]
    };
    let columns = [
        ("step", Column::Number),
        ("skill", Column::Text),
        ("status", Column::Text),
        ("when, as claimed", Column::Words),
        ("took", Column::Number),
        ("cents", Column::Number),
        ("tokens", Column::Number),
        ("not shown", Column::Text),
        ("entry", Column::Number),
    ];
    let first = || steps.iter().take(subject.rows);
    let below: Vec<_> = first().map(|step| in_short(subject, step)).collect();
    page.table_with(&columns, &first().map(row).collect::<Vec<_>>(), &below);
    if !steps.is_empty() {
        page.note("– is not stated: a step of which no cost or duration is stated is recorded with 0.");
    }
    page.beyond(steps.len(), subject.rows);
}

/// What went into a step and what came out of it, each in a line.
fn in_short(subject: &Subject<'_>, step: &StepAccount) -> Vec<(&'static str, String)> {
    let record = subject.record(step.log_index);
    let said = ["params", "outcome_code", "outcome_data"].into_iter().filter_map(|name| {
        let value = json(record?, name)?;
        (!matches!(value.as_str(), "null" | "\"\"" | "{}")).then(|| (name, beginning(value.as_str(), LINE_MAX)))
    });
    said.collect()
}

/// Skill, duration, cost and tokens of a step, or that they are withheld, or `none` where they are not stated: a duration or
/// cost of 0 is what is recorded then.
fn told(subject: &Subject<'_>, step: &StepAccount, none: &str, in_words: impl Fn(&Cost) -> String) -> [String; 4] {
    let left = subject.record(step.log_index).and_then(|record| record.left.as_ref());
    let or = |name: &str, says: Option<String>| {
        let is_withheld = left.is_some_and(|left| left.withholds(name));
        says.unwrap_or_else(|| if is_withheld { WITHHELD } else { none }.to_owned())
    };
    [
        or("skill_name", step.skill_name.as_deref().map(|name| beginning(name, NAME_MAX))),
        or("duration_ms", step.duration.filter(|took| *took != DurationMs::default()).map(lasted)),
        or("cost_cents", step.cost.filter(|cost| *cost != Cost::default()).as_ref().map(in_words)),
        or("tokens", step.tokens.map(|tokens| tokens.to_string())),
    ]
}

/// What one step did, as it was recorded.
pub(super) fn in_full(page: &mut Page, subject: &Subject<'_>, log_index: u64) {
    let step = subject.account.steps.iter().find(|step| step.log_index == log_index);
    let Some((step, record)) = step.zip(subject.record(log_index)) else { return };
    page.below(&format!("What step {} did", step.index));
    let [skill, took, cost, tokens] = told(subject, step, NOT_STATED, |told| cost(*told));
    let mut pairs = vec![
        ("skill", skill),
        ("status", or_not_stated(step.status.as_deref())),
        ("when, as claimed", step.occurred_at.map_or_else(|| NOT_STATED.to_owned(), time)),
        ("recorded", time(step.recorded_at)),
        ("took", took),
        ("cost", cost),
        ("tokens", tokens),
        ("entry", step.log_index.to_string()),
    ];
    let said = withheld::of(subject.cover, record);
    if !said.is_empty() {
        pairs.push(("not shown", said.join("; ")));
    }
    page.pairs(&pairs);
    let members = record.left.iter().flat_map(|left| &left.members);
    // What is recorded where nobody said anything.
    let is_unsaid = |name: &str, value: &Json| matches!((name, value.as_str()), (_, "\"\"") | ("retry_count", "0"));
    let members = members.filter(|left| {
        !TOLD.contains(&left.name()) && left.value().is_some_and(|value| !is_unsaid(left.name(), value))
    });
    let mut members: Vec<_> = members.map(|left| (left.name(), member(subject, record, left.name()))).collect();
    // What went in stands in front of what came out.
    members.sort_by_key(|(name, _)| *name != "params");
    page.recorded(&members);
}

/// A member as it stands in the record, cut where it is long.
fn member(subject: &Subject<'_>, record: &Record, name: &str) -> String {
    let value = json(record, name);
    let value = value.as_ref().map_or("", |value| value.as_str());
    let shown = beginning(value, subject.member_max);
    if shown.len() >= value.len() || !shown.ends_with('…') {
        return shown;
    }
    let (all, at) = (value.len(), record.log_index);
    format!("{shown}\n[cut: {all} bytes in all, in records.jsonl at log_index {at}, member {name}]")
}

/// The traces that are shown: those that failed, and the first of the others as far as there is room, in their order.
fn shown_of<'a>(subject: &Subject<'a>) -> Vec<&'a TraceAccount> {
    let traces = &subject.account.traces;
    let (failed, others): (Vec<_>, Vec<_>) = (0..traces.len()).partition(|place| traces[*place].is_error());
    let places: BTreeSet<usize> = failed.into_iter().chain(others).take(subject.rows).collect();
    places.into_iter().map(|place| &traces[place]).collect()
}

/// The reasoning as a forest: each trace under the one that it names, in the order of the log.
pub(super) fn decisions(page: &mut Page, subject: &Subject<'_>) {
    page.heading("Decision tree");
    let traces = &subject.account.traces;
    if traces.is_empty() {
        page.text("No reasoning is shown.");
        return;
    }
    page.text(&format!("{}, {} of them errors.", count(traces.len(), "trace"), subject.account.errors()));
    let first = shown_of(subject);
    let known: BTreeSet<&str> = first.iter().map(|trace| trace.id.as_str()).collect();
    let is_root = |trace: &&TraceAccount| !trace.parent_id.as_deref().is_some_and(|parent| known.contains(parent));
    let (mut rows, mut below) = (Vec::new(), Vec::new());
    // Walked without recursion, and no trace twice: what stands in a bundle may name anything.
    let mut open: Vec<(usize, &TraceAccount)> = Vec::new();
    let mut seen = BTreeSet::new();
    // What hangs in a circle comes last: none of it is a root.
    let roots = first.iter().copied().filter(is_root);
    for root in roots.chain(first.iter().copied()) {
        open.push((0, root));
        while let Some((depth, trace)) = open.pop() {
            if !seen.insert(trace.log_index) {
                continue;
            }
            rows.push(trace_row(subject, trace, depth));
            below.push(trace_members(subject, trace));
            let children = first.iter().rev().filter(|child| child.parent_id.as_ref() == Some(&trace.id));
            open.extend(children.map(|child| (depth + 1, *child)));
        }
    }
    let columns = [
        ("what", Column::Text),
        ("type", Column::Text),
        ("status", Column::Words),
        ("since the start", Column::Number),
        ("took", Column::Number),
        ("not shown", Column::Text),
        ("entry", Column::Text),
    ];
    page.table_with(&columns, &rows, &below);
    if traces.len() > subject.rows {
        page.text("Those that failed are shown first.");
    }
    page.beyond(traces.len(), subject.rows);
}

fn trace_row(subject: &Subject<'_>, trace: &TraceAccount, depth: usize) -> Vec<String> {
    let says = beginning(trace.says.as_deref().unwrap_or(WITHHELD), 160).replace('\n', " ");
    let status = match trace.status {
        TraceStatus::Ok => "",
        TraceStatus::Error => "error",
        TraceStatus::Open => "running",
    };
    let since = subject.account.started_at.zip(trace.occurred_at).map(|(start, at)| {
        let sign = if at < start { "−" } else { "+" };
        format!("{sign}{}", between(start, at))
    });
    let entries = [Some(trace.log_index), trace.ended_by].into_iter().flatten();
    let not_shown = entries.clone().map(|entry| subject.withheld_in_a_row(entry)).filter(|said| !said.is_empty());
    vec![
        format!("{}{says}", indent(depth)),
        trace.type_name.clone().unwrap_or_default(),
        status.to_owned(),
        since.unwrap_or_default(),
        trace.took.map(lasted).unwrap_or_default(),
        not_shown.collect::<Vec<_>>().join("; "),
        entries.map(|entry| entry.to_string()).collect::<Vec<_>>().join(", "),
    ]
}

/// What a trace's type has, with what its end filled in, and its error.
fn trace_members(subject: &Subject<'_>, trace: &TraceAccount) -> Vec<(&'static str, String)> {
    const MEMBERS: [(&str, &str); 8] = [
        ("arguments", "trace_type/arguments"),
        ("result", "trace_type/result"),
        ("result", "result"),
        ("question", "trace_type/question"),
        ("options", "trace_type/options"),
        ("chosen", "trace_type/chosen"),
        ("reasoning", "trace_type/reasoning"),
        ("data", "trace_type/data"),
    ];
    let error = trace.error.as_ref().map(|error| ("error", Json::from(error.as_str()).as_str().to_owned()));
    // A span that was recorded open stands whole in the entry of its end.
    let entries = [trace.ended_by, Some(trace.log_index)].into_iter().flatten();
    let records: Vec<_> = entries.filter_map(|entry| subject.record(entry)).collect();
    let said = MEMBERS.iter().filter_map(|(called, name)| {
        let record = records.iter().find(|record| json(record, name).is_some_and(|value| !value.is_null()))?;
        Some((*called, member(subject, record, name)))
    });
    error.into_iter().chain(said).collect()
}

/// How deep a trace stands; beyond what a page has room for, in a number.
fn indent(depth: usize) -> String {
    match depth {
        0..=12 => "\u{2003}".repeat(depth),
        _ => format!("{}{depth} deep: ", "\u{2003}".repeat(12)),
    }
}
