//! The metadata of a mapped trace: what a list shows beside its type, and how it was mapped.

use tracekeep_core::limits::NAME_BYTES_MAX;
use tracekeep_core::model::JsonObject;

use crate::attributes::{AnyValue, Attributes, cut};
use crate::kind::{Choice, MODEL};
use crate::map::{MAPPER_VERSION, Rejected};
use crate::{describe, plain};

/// The member that lists the marks.
const MARKS: &str = "tracekeep.marks";

/// What is remarkable about a span, and was kept all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It had no start: it stands at the time of recording.
    StartMissing,
    /// Its end lies before its start.
    EndBeforeStart,
    /// Its texts would not fit into the record twice: they are in `otel` alone.
    TextLeftInOtel,
}

impl Mark {
    const fn as_str(self) -> &'static str {
        match self {
            Self::StartMissing => "start_missing",
            Self::EndBeforeStart => "end_before_start",
            Self::TextLeftInOtel => "text_left_in_otel",
        }
    }
}

/// Words, and the attributes that they may come from.
const WORDS: &[(&str, &[&str])] = &[
    ("agent", &["gen_ai.agent.name", "agent.name"]),
    ("error_type", &["error.type"]),
    ("model", MODEL),
    ("provider", &["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"]),
    ("response_model", &["gen_ai.response.model", "llm.response.model_name"]),
    ("tool_call_id", &["gen_ai.tool.call.id", "tool.id"]),
];

/// Counts, and the attributes that they may come from.
const COUNTS: &[(&str, &[&str])] = &[
    ("input_tokens", &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"]),
    ("output_tokens", &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"]),
    ("total_tokens", &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"]),
];

/// The metadata of a span with `attributes`.
pub(crate) fn of(choice: Choice<'_>, attributes: Attributes<'_, '_>, marks: &[Mark]) -> Result<JsonObject, Rejected> {
    let word = |text: &'static str| AnyValue::String(text.into());
    let mut members = vec![("mapper", word(MAPPER_VERSION)), ("rule", word(choice.rule))];
    for (name, keys) in WORDS {
        if let Some(text) = attributes.text(keys) {
            members.push((name, AnyValue::String(cut(text, NAME_BYTES_MAX).into())));
        }
    }
    for (name, keys) in COUNTS {
        if let Some(count) = attributes.count(keys).and_then(|count| i64::try_from(count).ok()) {
            members.push((name, AnyValue::Int(count)));
        }
    }
    if !marks.is_empty() {
        members.push((MARKS, AnyValue::Array(marks.iter().map(|mark| word(mark.as_str())).collect())));
    }
    let mut out = Vec::with_capacity(128);
    plain::write_object(&mut out, members.iter().map(|(name, value)| (*name, value)));
    describe::object(out)
}
