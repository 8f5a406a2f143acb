//! The picture of a run: its steps over the time that they claim.

use std::collections::BTreeSet;

use super::page::{escape, plain};
use crate::account::{Account, StepAccount};

/// Steps that are drawn.
const DRAWN_MAX: usize = 100;
const WIDTH: f64 = 900.0;
const ROW: usize = 18;
const LABEL: f64 = 220.0;

/// How long a step took; nothing where that is withheld.
fn nanos(step: &StepAccount) -> i64 {
    step.duration.map_or(0, |duration| duration.as_nanos())
}

/// An inline SVG; a sentence where there is nothing to draw.
pub(super) fn svg(account: &Account) -> String {
    let timed = account.steps.iter().filter_map(|step| Some((step, step.occurred_at?.as_nanos())));
    let mut timed: Vec<_> = timed.collect();
    let beyond = timed.len().saturating_sub(DRAWN_MAX);
    timed.truncate(DRAWN_MAX);
    let from = timed.iter().map(|(_, at)| *at).min();
    let to = timed.iter().map(|(step, at)| at.saturating_add(nanos(step))).max();
    let Some((from, to)) = from.zip(to) else { return "<p>No step states when it was.</p>".to_owned() };
    let span = (to.saturating_sub(from)).max(1) as f64;
    let violated: BTreeSet<_> = account.violations().iter().filter_map(|violated| violated.step).collect();
    let height = timed.len() * ROW + 4;
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"steps over time\">");
    for (row, (step, at)) in timed.iter().enumerate() {
        let y = row * ROW;
        let x = LABEL + (at.saturating_sub(from)) as f64 / span * (WIDTH - LABEL - 8.0);
        let width = (nanos(step) as f64 / span * (WIDTH - LABEL - 8.0)).max(3.0).min(WIDTH - x);
        let fill = match step.status.as_deref() {
            _ if violated.contains(&step.log_index) => "#b00020",
            Some("success") => "#2b6cb0",
            Some("failure") => "#c05621",
            _ => "#718096",
        };
        let name = step.skill_name.as_deref().unwrap_or("withheld");
        let label = escape(&plain(&format!("{} {name}", step.index), 28));
        out.push_str(&format!(
            "<text x=\"0\" y=\"{}\" font-size=\"12\">{label}</text>\
             <rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"10\" fill=\"{fill}\"/>",
            y + 13,
            y + 4,
        ));
    }
    out.push_str("</svg><p>Red is a violating step, orange failed; times are as claimed, and a duration that is withheld is drawn as none.</p>");
    if beyond > 0 {
        out.push_str(&format!("<p>{beyond} steps more are not drawn.</p>"));
    }
    out
}
