//! The picture of a run: its steps over the time that they claim, and when it was violated, detected and resolved.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tracekeep_core::Timestamp;
use tracekeep_core::amount::DurationMs;
use tracekeep_core::model::TraceStatus;

use super::page::escape;
use super::words::{length, time};
use crate::account::{Account, How, StepAccount, TraceAccount};
use crate::quoted::{beginning, count};

/// Steps that are drawn at most, and of how many one picture is, so that it fits on a printed page.
const DRAWN_MAX: usize = 100;
const PICTURE_ROWS: usize = 50;
/// Incidents whose times are drawn.
const INCIDENTS_MAX: usize = 3;
const WIDTH: f64 = 900.0;
const ROW: usize = 18;
const LABEL: f64 = 220.0;
/// Characters of what stands beside a bar.
const LABEL_MAX: usize = 60;
/// How far from the steps a time may lie and still be in the picture: as far as they reach themselves, and at least so far.
const STRETCH_MIN: i64 = MINUTE;
const TICKS_MAX: i64 = 6;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What is drawn over time: a step, or, of a run without steps, a trace.
struct Bar {
    at: i64,
    nanos: i64,
    label: String,
    how: Came,
}

/// How what is drawn came out.
#[derive(Clone, Copy, PartialEq)]
enum Came {
    Violating,
    Failed,
    Well,
    Unknown,
}

impl Bar {
    fn of_step(step: &StepAccount, violated: &BTreeSet<u64>) -> Option<Self> {
        let how = match step.status.as_deref() {
            _ if violated.contains(&step.log_index) => Came::Violating,
            Some("success") => Came::Well,
            Some("failure") => Came::Failed,
            _ => Came::Unknown,
        };
        let label = format!("{} {}", step.index, step.skill_name.as_deref().unwrap_or("withheld"));
        Some(Self::new(step.occurred_at?, step.duration, label, how))
    }

    fn of_trace(trace: &TraceAccount) -> Option<Self> {
        let how = match trace.status {
            TraceStatus::Ok => Came::Well,
            TraceStatus::Error => Came::Failed,
            TraceStatus::Open => Came::Unknown,
        };
        let label = trace.says.as_deref().unwrap_or("withheld").replace('\n', " ");
        Some(Self::new(trace.occurred_at?, trace.took, label, how))
    }

    /// Nothing is drawn of a length that is withheld.
    fn new(at: Timestamp, took: Option<DurationMs>, label: String, how: Came) -> Self {
        let nanos = took.map_or(0, DurationMs::as_nanos);
        Self { at: at.as_nanos(), nanos, label: beginning(&label, LABEL_MAX), how }
    }

    fn end(&self) -> i64 {
        self.at.saturating_add(self.nanos)
    }
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

/// Inline SVGs of so many steps at most, or traces where there are no steps; a sentence where there is nothing to draw.
pub(super) fn html(account: &Account, bars_max: usize) -> String {
    let violated: BTreeSet<_> = account.violations().iter().filter_map(|violated| violated.step).collect();
    let is_of_steps = !account.steps.is_empty();
    let timed: Vec<Bar> = if is_of_steps {
        account.steps.iter().filter_map(|step| Bar::of_step(step, &violated)).collect()
    } else {
        account.traces.iter().filter_map(Bar::of_trace).collect()
    };
    let marks = marks(account);
    let Some(axis) = reached(account, &timed, &marks) else {
        return "<p>It is not known when anything was.</p>".to_owned();
    };
    let axis = reaching(axis, &marks);
    let all = timed.len();
    let drawn = drawn(timed, bars_max.min(DRAWN_MAX));
    let mut out = String::new();
    let mut pictures: Vec<_> = drawn.chunks(PICTURE_ROWS).collect();
    if pictures.is_empty() {
        pictures.push(&[]);
    }
    for bars in pictures {
        picture(&mut out, &axis, &marks, bars);
    }
    let what = if is_of_steps { "step" } else { "trace" };
    let red = if is_of_steps {
        "A red bar, marked !, is a violating step, an"
    } else {
        "Without steps, traces are drawn: an"
    };
    let _ = write!(
        out,
        "<p class=\"note\">From {} to {}. {red} orange one, marked ×, failed. Times are as claimed; a {what} without a duration, \
         or of which that is withheld, is drawn as a line. What lies outside stands at the edge, with how far it is away.",
        time(Timestamp::from_nanos(axis.from)),
        time(Timestamp::from_nanos(axis.to)),
    );
    if all > drawn.len() {
        let _ = write!(out, " {} not drawn.", count(all - drawn.len(), what));
    }
    let incidents = account.judged().len();
    if incidents > INCIDENTS_MAX {
        let _ = write!(out, " Times of {} not drawn.", count(incidents - INCIDENTS_MAX, "incident"));
    }
    out.push_str("</p>");
    out
}

/// From the first that is drawn to the end of the last; of a run that has traces alone, from its own start to its own end,
/// too; else from mark to mark.
fn reached(account: &Account, timed: &[Bar], marks: &[Mark]) -> Option<Axis> {
    let whole_run = account.steps.is_empty() && !timed.is_empty();
    let ends = [account.started_at, account.ended.map(|ended| ended.at)];
    let ends = || ends.into_iter().flatten().filter(|_| whole_run).map(Timestamp::as_nanos);
    let from = timed.iter().map(|bar| bar.at).chain(ends()).min();
    let to = timed.iter().map(Bar::end).chain(ends()).max();
    let (first, last) = (marks.first(), marks.last());
    let from = from.or(first.map(|mark| mark.at.as_nanos()))?;
    let to = to.or(last.map(|mark| mark.at.as_nanos()))?;
    Some(Axis { from, to })
}

/// The violating ones, those that failed, and the first of the others as far as there is room, in their order.
fn drawn(timed: Vec<Bar>, max: usize) -> Vec<Bar> {
    let mut places: Vec<usize> = (0..timed.len()).collect();
    places.sort_by_key(|place| match timed[*place].how {
        Came::Violating => 0,
        Came::Failed => 1,
        Came::Well | Came::Unknown => 2,
    });
    let places: BTreeSet<usize> = places.into_iter().take(max).collect();
    let shown = timed.into_iter().enumerate().filter(|(place, _)| places.contains(place));
    shown.map(|(_, bar)| bar).collect()
}

/// The axis with what is marked near to it.
fn reaching(axis: Axis, marks: &[Mark]) -> Axis {
    let reach = axis.span().max(STRETCH_MIN);
    let (first, last) = (axis.from.saturating_sub(reach), axis.to.saturating_add(reach));
    let near = marks.iter().map(|mark| mark.at.as_nanos()).filter(|at| first <= *at && *at <= last);
    near.fold(axis, |axis, at| Axis { from: axis.from.min(at), to: axis.to.max(at) })
}

fn picture(out: &mut String, axis: &Axis, marks: &[Mark], bars: &[Bar]) {
    let height = (marks.len() + bars.len() + 1) * ROW + 8;
    let _ = write!(out, "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"steps over time\">");
    ruler(out, axis, height);
    for (row, mark) in (1..).zip(marks) {
        marked(out, axis, mark, row * ROW, height);
    }
    for (row, bar) in (marks.len() + 1..).zip(bars) {
        draw(out, axis, bar, row * ROW);
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
    let (width, text) = (LABEL - 8.0, escape(&beginning(text, LABEL_MAX)));
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

fn draw(out: &mut String, axis: &Axis, bar: &Bar, y: usize) {
    let (fill, mark) = match bar.how {
        Came::Violating => ("#b00020", "! "),
        Came::Failed => ("#c05621", "× "),
        Came::Well => ("#2b6cb0", ""),
        Came::Unknown => ("#718096", ""),
    };
    label(out, &format!("{mark}{}", bar.label), y);
    let x = axis.x(bar.at);
    let width = (axis.x(bar.end()) - x).max(3.0).min(WIDTH - x);
    let _ = write!(out, "<rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"10\" fill=\"{fill}\"/>", y + 4);
}
