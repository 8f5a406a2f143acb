//! What the run did and why: its steps, the violating ones in full, and its reasoning.

use std::collections::BTreeSet;

use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::json::Json;

use super::page::{Column, Page};
use super::words::{NOT_STATED, cost, lasted, or_not_stated, time};
use super::{Subject, withheld};
use crate::account::{StepAccount, TraceAccount, json};
use crate::bundle::Record;
use crate::quoted::beginning;

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
    page.table(&columns, &steps.iter().take(subject.rows).map(row).collect::<Vec<_>>());
    if !steps.is_empty() {
        page.note("– is not stated: a step of which no cost or duration is stated is recorded with 0.");
    }
    subject.beyond(page, steps.len());
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

/// The reasoning as a forest: each trace under the one that it names, in the order of the log.
pub(super) fn decisions(page: &mut Page, subject: &Subject<'_>) {
    page.heading("Decision tree");
    let traces = &subject.account.traces;
    if traces.is_empty() {
        page.text("No reasoning is shown.");
        return;
    }
    let known: BTreeSet<&str> = traces.iter().map(|trace| trace.id.as_str()).collect();
    let is_root = |trace: &&TraceAccount| !trace.parent_id.as_deref().is_some_and(|parent| known.contains(parent));
    let mut rows = Vec::new();
    // Walked without recursion, and no trace twice: what stands in a bundle may name anything.
    let mut open: Vec<(usize, &TraceAccount)> = Vec::new();
    let first: Vec<_> = traces.iter().take(subject.rows).collect();
    let mut seen = BTreeSet::new();
    // What hangs in a circle comes last: none of it is a root.
    let roots = first.iter().copied().filter(is_root);
    for root in roots.chain(first.iter().copied()) {
        open.push((0, root));
        while let Some((depth, trace)) = open.pop() {
            if !seen.insert(trace.log_index) {
                continue;
            }
            rows.push(vec![
                format!("{}{}", indent(depth), beginning(trace.says.as_deref().unwrap_or(WITHHELD), 160)),
                trace.type_name.clone().unwrap_or_default(),
                subject.withheld_in_a_row(trace.log_index),
                trace.log_index.to_string(),
            ]);
            let children = first.iter().rev().filter(|child| child.parent_id.as_ref() == Some(&trace.id));
            open.extend(children.map(|child| (depth + 1, *child)));
        }
    }
    let columns =
        [("what", Column::Text), ("type", Column::Text), ("not shown", Column::Text), ("entry", Column::Number)];
    page.table(&columns, &rows);
    subject.beyond(page, traces.len());
}

/// How deep a trace stands; beyond what a page has room for, in a number.
fn indent(depth: usize) -> String {
    match depth {
        0..=12 => "\u{2003}".repeat(depth),
        _ => format!("{}{depth} deep: ", "\u{2003}".repeat(12)),
    }
}
