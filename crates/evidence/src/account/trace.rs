//! The reasoning: traces, and how each ended.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::DurationMs;
use tracekeep_core::model::{TraceStatus, span_error};

use super::{json, shown};
use crate::bundle::Record;
use crate::quoted::beginning;

/// Characters of an error's text that are kept.
const ERROR_MAX: usize = 1_000;

/// One trace of the reasoning.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceAccount {
    /// The entry.
    pub log_index: u64,
    /// The entry that ended it, where that is another one.
    pub ended_by: Option<u64>,
    /// Its id.
    pub id: String,
    /// Under which it stands.
    pub parent_id: Option<String>,
    /// What kind of node it is.
    pub type_name: Option<String>,
    /// What it says, in a line; `None` where that is withheld, "" where it says nothing.
    pub says: Option<String>,
    /// How it stands: as stated, else as its type implies.
    pub status: TraceStatus,
    /// What is said of its error, the first 1,000 characters. Recorded text: hostile.
    pub error: Option<String>,
    /// When it began, as claimed.
    pub occurred_at: Option<Timestamp>,
    /// When it ended, as claimed.
    pub ended_at: Option<Timestamp>,
    /// How long it took: until its end, else as it says itself.
    pub took: Option<DurationMs>,
}

impl TraceAccount {
    /// Whether it failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status == TraceStatus::Error
    }

    pub(crate) fn of(record: &Record) -> Option<Self> {
        let inner = |name: &str| shown::<String>(record, &format!("trace_type/{name}"));
        let says = ["tool_name", "chosen", "query", "content", "message", "name"];
        let withheld = record.left.as_ref().is_some_and(|left| {
            left.withheld().any(|name| name.strip_prefix("trace_type/").is_some_and(|name| says.contains(&name)))
        });
        let decided = inner("question").zip(inner("chosen")).map(|(asked, chosen)| format!("{asked} → {chosen}"));
        let type_name = inner("type");
        let status = shown(record, "status").unwrap_or_else(|| implied(record, type_name.as_deref()));
        let (occurred_at, ended_at) = (shown(record, "occurred_at"), shown(record, "ended_at"));
        Some(Self {
            log_index: record.log_index,
            ended_by: None,
            id: shown(record, "id")?,
            parent_id: shown(record, "parent_id"),
            type_name,
            says: decided
                .or_else(|| says.iter().find_map(|name| inner(name)))
                .or_else(|| (!withheld).then(String::new)),
            status,
            error: error(record).filter(|_| status == TraceStatus::Error),
            occurred_at,
            ended_at,
            took: between(occurred_at, ended_at).or_else(|| shown(record, "trace_type/duration_ms")),
        })
    }

    /// Takes what the entry of its end says; of a span that was recorded open, that is all of it once more. It ends once.
    pub(super) fn end(&mut self, record: &Record) {
        if self.ended_by.is_some() {
            return;
        }
        let is_span = record.left.as_ref().is_some_and(|left| left.get("trace_type/type").is_some());
        if let Some(closed) = is_span.then(|| Self::of(record)).flatten() {
            let (log_index, occurred_at) = (self.log_index, closed.occurred_at.or(self.occurred_at));
            *self = Self { log_index, occurred_at, ..closed };
        } else {
            self.status = shown(record, "status").unwrap_or(self.status);
            self.ended_at = shown(record, "ended_at").or(self.ended_at);
            let took = between(self.occurred_at, self.ended_at).or_else(|| shown(record, "duration_ms"));
            self.took = took.or(self.took);
            self.error = error(record).or(self.error.take()).filter(|_| self.is_error());
        }
        self.ended_by = Some(record.log_index);
    }
}

fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<DurationMs> {
    let (from, to) = from.zip(to).filter(|(from, to)| from <= to)?;
    Some(DurationMs::between(from, to))
}

/// How a trace stands that does not state it: what is withheld of it was there all the same.
fn implied(record: &Record, type_name: Option<&str>) -> TraceStatus {
    let has = |name: &str| record.left.as_ref().is_some_and(|left| left.get(&format!("trace_type/{name}")).is_some());
    match type_name {
        Some("Error") => TraceStatus::Error,
        Some("ToolCall") if !has("result") && !has("duration_ms") => TraceStatus::Open,
        Some("Query") if !has("results_count") => TraceStatus::Open,
        _ => TraceStatus::Ok,
    }
}

/// What an entry says of an error: its own words, those of the status of its span, or of the span's first exception.
fn error(record: &Record) -> Option<String> {
    let own = ["error", "trace_type/message"].into_iter().find_map(|name| shown::<String>(record, name));
    own.or_else(|| span_error(&json(record, "otel")?)).map(|text| beginning(&text, ERROR_MAX))
}
