//! The picture of a run: its steps over the time that they claim, and when it was violated, detected and resolved.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tracekeep_core::Timestamp;

use super::page::escape;
use super::words::{length, time};
use crate::account::{Account, How, StepAccount};
use crate::quoted::{beginning, count};

/// Steps that are drawn at most, and of how many one picture is, so that it fits on a printed page.
const DRAWN_MAX: usize = 100;
const PICTURE_ROWS: usize = 50;
/// Incidents whose times are drawn.
const INCIDENTS_MAX: usize = 3;
const WIDTH: f64 = 900.0;
const ROW: usize = 18;
const LABEL: f64 = 220.0;
/// How far from the steps a time may lie and still be in the picture: as far as they reach themselves, and at least so far.
const STRETCH_MIN: i64 = MINUTE;
const TICKS_MAX: i64 = 6;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long a step took; nothing where that is withheld.
fn nanos(step: &StepAccount) -> i64 {
    step.duration.map_or(0, |duration| duration.as_nanos())
}

/// A time that is marked beside the steps.
struct Mark {
    what: String,
    at: Timestamp,
    color: &'static str,
}

/// What the picture reaches over, in nanoseconds since 1970.
struct Axis {
    from: i64,
    to: i64,
}

impl Axis {
    fn span(&self) -> i64 {
        self.to.saturating_sub(self.from).max(1)
    }

    fn x(&self, at: i64) -> f64 {
        LABEL + self.part(at.saturating_sub(self.from)) * (WIDTH - LABEL - 8.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "a picture is exact to a tenth of a pixel")]
    fn part(&self, nanos: i64) -> f64 {
        nanos as f64 / self.span() as f64
    }

    /// The times between its ends that are marked, at a length that one counts in.
    fn ticks(&self) -> impl Iterator<Item = i64> {
        let span = self.span();
        let decimal = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power)));
        let of_clock = [1, 2, 5, 10, 15, 30].into_iter();
        let clock = of_clock.clone().map(|of| of * SECOND).chain(of_clock.map(|of| of * MINUTE));
        let long = [1, 2, 3, 6, 12].map(|of| of * HOUR).into_iter();
        let days = (0..5).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power) * DAY));
        let step = decimal.chain(clock).chain(long).chain(days).find(|step| span / step <= TICKS_MAX).unwrap_or(span);
        (1..).map(move |tick| tick * step).take_while(move |tick| *tick < span)
    }
}

fn marks(account: &Account) -> Vec<Mark> {
    let mut marks = Vec::new();
    let judged = account.judged();
    let names_it = judged.len() > 1;
    for incident in judged.iter().take(INCIDENTS_MAX) {
        let of = if names_it { format!(" {}", beginning(&incident.incident_id, 16)) } else { String::new() };
        let mut mark = |what: &str, at: Option<Timestamp>, color| {
            marks.extend(at.map(|at| Mark { what: format!("{what}{of}"), at, color }));
        };
        mark("violated", account.violated(incident).and_then(|violated| violated.at), "#b00020");
        mark("detected", Some(incident.detected_at()), "#8a5a00");
        mark("resolved", incident.resolution.as_ref().map(|end| end.resolved_at), "#1b6e3c");
    }
    if judged.is_empty() {
        let stated = account.stated().and_then(|stated| stated.at);
        marks.extend(stated.map(|at| Mark { what: "violated".to_owned(), at, color: "#b00020" }));
    }
    let ended = account.ended.filter(|ended| ended.how == How::RunEnded);
    marks.extend(ended.map(|ended| Mark { what: "run ended".to_owned(), at: ended.at, color: "#4a5568" }));
    marks.sort_by_key(|mark| mark.at);
    marks
}

/// Inline SVGs of so many steps at most; a sentence where there is nothing to draw.
pub(super) fn html(account: &Account, steps_max: usize) -> String {
    let timed = account.steps.iter().filter_map(|step| Some((step, step.occurred_at?.as_nanos())));
    let timed: Vec<_> = timed.collect();
    let from = timed.iter().map(|(_, at)| *at).min();
    let to = timed.iter().map(|(step, at)| at.saturating_add(nanos(step))).max();
    let marks = marks(account);
    let (first, last) = (marks.first(), marks.last());
    let from = from.or(first.map(|mark| mark.at.as_nanos()));
    let to = to.or(last.map(|mark| mark.at.as_nanos()));
    let Some((from, to)) = from.zip(to) else { return "<p>It is not known when anything was.</p>".to_owned() };
    let axis = reaching(Axis { from, to }, &marks);
    let violated: BTreeSet<_> = account.violations().iter().filter_map(|violated| violated.step).collect();
    let drawn = drawn(&timed, &violated, steps_max.min(DRAWN_MAX));
    let mut out = String::new();
    let mut pictures: Vec<_> = drawn.chunks(PICTURE_ROWS).collect();
    if pictures.is_empty() {
        pictures.push(&[]);
    }
    for steps in pictures {
        picture(&mut out, &axis, &marks, steps, &violated);
    }
    let _ = write!(
        out,
        "<p class=\"note\">From {} to {}. A red bar, marked !, is a violating step, an orange one, marked ×, failed. \
         Times are as claimed; a step without a duration, or of which that is withheld, is drawn as a line. What lies \
         outside stands at the edge, with how far it is away.",
        time(Timestamp::from_nanos(axis.from)),
        time(Timestamp::from_nanos(axis.to)),
    );
    if timed.len() > drawn.len() {
        let _ = write!(out, " {} not drawn.", count(timed.len() - drawn.len(), "step"));
    }
    let incidents = account.judged().len();
    if incidents > INCIDENTS_MAX {
        let _ = write!(out, " Times of {} not drawn.", count(incidents - INCIDENTS_MAX, "incident"));
    }
    out.push_str("</p>");
    out
}

/// The violating steps, and the first of the others as far as there is room, in their order.
fn drawn<'a>(timed: &[(&'a StepAccount, i64)], violated: &BTreeSet<u64>, max: usize) -> Vec<(&'a StepAccount, i64)> {
    let is_violating = |place: &usize| violated.contains(&timed[*place].0.log_index);
    let (of_violation, others): (Vec<_>, Vec<_>) = (0..timed.len()).partition(is_violating);
    let places: BTreeSet<usize> = of_violation.into_iter().chain(others).take(max).collect();
    places.into_iter().map(|place| timed[place]).collect()
}

/// The axis with what is marked near to it.
fn reaching(axis: Axis, marks: &[Mark]) -> Axis {
    let reach = axis.span().max(STRETCH_MIN);
    let (first, last) = (axis.from.saturating_sub(reach), axis.to.saturating_add(reach));
    let near = marks.iter().map(|mark| mark.at.as_nanos()).filter(|at| first <= *at && *at <= last);
    near.fold(axis, |axis, at| Axis { from: axis.from.min(at), to: axis.to.max(at) })
}

fn picture(out: &mut String, axis: &Axis, marks: &[Mark], steps: &[(&StepAccount, i64)], violated: &BTreeSet<u64>) {
    let height = (marks.len() + steps.len() + 1) * ROW + 8;
    let _ = write!(out, "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"steps over time\">");
    ruler(out, axis, height);
    for (row, mark) in (1..).zip(marks) {
        marked(out, axis, mark, row * ROW, height);
    }
    for (row, (step, at)) in (marks.len() + 1..).zip(steps) {
        bar(out, axis, step, *at, row * ROW, violated.contains(&step.log_index));
    }
    out.push_str("</svg>");
}

/// The ends of the time and what lies between, as lines over all of the height.
fn ruler(out: &mut String, axis: &Axis, height: usize) {
    let mut line = |at: i64, anchor: &str, told: &str| {
        let x = axis.x(axis.from.saturating_add(at));
        let _ = write!(
            out,
            "<line x1=\"{x:.1}\" y1=\"16\" x2=\"{x:.1}\" y2=\"{height}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"12\" font-size=\"11\" fill=\"#555\" text-anchor=\"{anchor}\">{told}</text>"
        );
    };
    line(0, "start", "start");
    let span = axis.span();
    let end = format!("end +{}", length(span));
    for tick in axis.ticks() {
        // Beside the ends there is room for them alone.
        let is_clear = axis.part(tick) > 0.08 && axis.part(span - tick) > 0.2;
        let told = if is_clear { format!("+{}", length(tick)) } else { String::new() };
        line(tick, "middle", &told);
    }
    line(span, "end", &end);
}

fn label(out: &mut String, text: &str, y: usize) {
    // A picture in the picture ends where it ends, however wide its letters are.
    let (width, text) = (LABEL - 8.0, escape(&beginning(text, 60)));
    let _ = write!(
        out,
        "<svg y=\"{y}\" width=\"{width}\" height=\"{ROW}\"><text y=\"13\" font-size=\"12\">{text}</text></svg>"
    );
}

fn marked(out: &mut String, axis: &Axis, mark: &Mark, y: usize, height: usize) {
    label(out, &mark.what, y);
    let (at, color) = (mark.at.as_nanos(), mark.color);
    let text = |out: &mut String, x: f64, anchor: &str, told: &str| {
        let _ = write!(
            out,
            "<text x=\"{x:.1}\" y=\"{}\" font-size=\"11\" fill=\"{color}\" text-anchor=\"{anchor}\">{told}</text>",
            y + 13
        );
    };
    if at < axis.from {
        return text(out, LABEL, "start", &format!("← {} before", length(axis.from.saturating_sub(at))));
    }
    if at > axis.to {
        return text(out, WIDTH - 8.0, "end", &format!("{} after →", length(at.saturating_sub(axis.to))));
    }
    let x = axis.x(at);
    let _ = write!(
        out,
        "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{height}\" stroke=\"{color}\" stroke-dasharray=\"3 3\"/>",
        y + 4
    );
    let is_late = axis.part(at.saturating_sub(axis.from)) > 0.7;
    let (x, anchor) = if is_late { (x - 4.0, "end") } else { (x + 4.0, "start") };
    text(out, x, anchor, &format!("+{}", length(at.saturating_sub(axis.from))));
}

fn bar(out: &mut String, axis: &Axis, step: &StepAccount, at: i64, y: usize, is_violating: bool) {
    let (fill, mark) = match step.status.as_deref() {
        _ if is_violating => ("#b00020", "! "),
        Some("success") => ("#2b6cb0", ""),
        Some("failure") => ("#c05621", "× "),
        _ => ("#718096", ""),
    };
    label(out, &format!("{mark}{} {}", step.index, step.skill_name.as_deref().unwrap_or("withheld")), y);
    let x = axis.x(at);
    let width = (axis.x(at.saturating_add(nanos(step))) - x).max(3.0).min(WIDTH - x);
    let _ = write!(out, "<rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"10\" fill=\"{fill}\"/>", y + 4);
}
