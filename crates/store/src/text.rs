//! The text of traces that a search looks into, cut into words ([`crate::words`]).

use tracekeep_core::json::{self, Value};
use tracekeep_core::limits::TEXT_WORDS_MAX;
use tracekeep_core::model::{Kind, Op, RecordTrace, TraceType};

use crate::error::Result;
use crate::plan::{nowhere, recorded_trace};
use crate::read::{stated_error, with_end};
use crate::recall::{self, Recalled};
use crate::rows::{Entry, TraceRow};
use crate::snapshot::Snapshot;
use crate::words::cut;

/// Stands between two pieces of a text, so that nothing is found across them. No word holds it.
const PIECE: &str = "\u{e000}";

/// What an entry does to the text of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextChange {
    /// The run.
    pub run_no: u64,
    /// The trace.
    pub log_index: u64,
    /// Its text until now, cut into words; `None` for a new one.
    pub before: Option<String>,
    /// Its text from now on.
    pub after: String,
}

/// What an entry does to the text of a trace; `None` where it does nothing, or where what it says was erased. Of members that
/// are withheld there is no text.
///
/// # Errors
/// What the snapshot fails with.
pub fn text_change(snapshot: &impl Snapshot, entry: &Entry) -> Result<Option<TextChange>> {
    if !matches!(entry.kind, Kind::Trace | Kind::TraceEnded) {
        return Ok(None);
    }
    let left;
    let entry = match recall::left(snapshot, entry)? {
        None => entry,
        Some(Recalled { left: of, .. }) => {
            left = Entry { content: Some(recall::content(&of.reads())), ..entry.clone() };
            &left
        }
    };
    let Some((run_no, _)) = &entry.run else { return Ok(None) };
    let change = |log_index, before, after| Ok(Some(TextChange { run_no: *run_no, log_index, before, after }));
    let op = entry.op().map_err(|_| nowhere(entry.log_index))?;
    match (entry.kind, op) {
        (Kind::Trace, Some(Op::RecordTrace(trace))) => change(entry.log_index, None, text_of(&trace, None)),
        (Kind::TraceEnded, Some(op)) => {
            let id = match op {
                Op::EndTrace(end) => Some(end.id),
                Op::RecordTrace(closed) => closed.id,
                _ => None,
            };
            let row = id.map(|id| snapshot.trace(*run_no, &id)).transpose()?.flatten();
            let row = row.ok_or_else(|| nowhere(entry.log_index))?;
            let first = entry_at(snapshot, row.log_index)?;
            let Some(recorded) = recorded_trace(&first)? else { return Ok(None) };
            let before = text_of(&recorded, None);
            let (ended, error) = with_end(recorded, entry)?;
            change(row.log_index, Some(before), text_of(&ended, error.as_deref()))
        }
        _ => Ok(None),
    }
}

/// The text of a trace as it reads now, cut into words; empty where it was erased.
///
/// # Errors
/// What the snapshot fails with.
pub fn text_now(snapshot: &impl Snapshot, row: &TraceRow) -> Result<String> {
    text_at(snapshot, row.log_index, row.ended_by)
}

/// The text of the trace at a log index, ended or not, cut into words; empty where it was erased.
///
/// # Errors
/// What the snapshot fails with.
fn text_at(snapshot: &impl Snapshot, log_index: u64, ended_by: Option<u64>) -> Result<String> {
    let entry = |log_index| entry_at(snapshot, log_index);
    let Some(recorded) = recorded_trace(&entry(log_index)?)? else { return Ok(String::new()) };
    let Some(ended_by) = ended_by else { return Ok(text_of(&recorded, None)) };
    let (ended, error) = with_end(recorded, &entry(ended_by)?)?;
    Ok(text_of(&ended, error.as_deref()))
}

fn entry_at(snapshot: &impl Snapshot, log_index: u64) -> Result<Entry> {
    let entry = snapshot.entry(log_index)?.ok_or_else(|| nowhere(log_index))?;
    Ok(recall::read(snapshot, entry)?.0)
}

/// The text of a trace, cut into words: its names, contents, arguments, results, messages, metadata, and the error that its
/// end or the status of its span states, the first [`TEXT_WORDS_MAX`] of them.
#[must_use]
pub fn text_of(trace: &RecordTrace, error: Option<&str>) -> String {
    let mut text = Text::default();
    match &trace.trace_type {
        TraceType::ToolCall { tool_name, arguments, result, duration_ms: _ } => {
            text.piece(tool_name);
            text.json(arguments.as_str());
            result.iter().for_each(|result| text.json(result.as_str()));
        }
        TraceType::Decision { question, options, chosen, reasoning } => {
            let pieces = std::iter::once(question).chain(options).chain([chosen]).chain(reasoning);
            pieces.for_each(|piece| text.piece(piece));
        }
        TraceType::Query { query_type, query, results_count: _ } => {
            text.piece(query_type);
            text.piece(query);
        }
        TraceType::Thought { content, confidence: _ } => text.piece(content),
        TraceType::Error { error_type, message, recoverable: _ } => {
            text.piece(error_type);
            text.piece(message);
        }
        TraceType::Custom { name, data } => {
            text.piece(name);
            text.json(data.as_str());
        }
    }
    text.json(trace.metadata.as_str());
    error.map(str::to_owned).or_else(|| stated_error(trace)).iter().for_each(|error| text.piece(error));
    text.words
}

#[derive(Default)]
struct Text {
    words: String,
    count: usize,
}

impl Text {
    /// Adds a piece, as far as there is room for its words.
    fn piece(&mut self, text: &str) {
        let room = (TEXT_WORDS_MAX as usize).saturating_sub(self.count + 1);
        if room == 0 {
            return;
        }
        let words = cut(text);
        if words.is_empty() {
            return;
        }
        if !self.words.is_empty() {
            self.words.push(' ');
            self.words.push_str(PIECE);
            self.words.push(' ');
            self.count += 1;
        }
        let end = words.match_indices(' ').nth(room - 1).map_or(words.len(), |(end, _)| end);
        self.words.push_str(&words[..end]);
        self.count += words[..end].split(' ').count();
    }

    /// Names of members, strings and numbers, each a piece.
    fn json(&mut self, text: &str) {
        // What was recorded was read before: it nests no deeper than a parser on a small stack bears.
        if let Ok(value) = json::parse(text.as_bytes()) {
            self.value(&value);
        }
    }

    fn value(&mut self, value: &Value<'_>) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => self.piece(number.token()),
            Value::String(text) => self.piece(text),
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(object) => {
                for (name, value) in object.iter() {
                    self.piece(name);
                    self.value(value);
                }
            }
        }
    }
}
