//! What kind of trace a span is: the first rule that matches decides.
//!
//! The ladder is that of the field: `openinference.span.kind`, `gen_ai.operation.name`, the name of a tool, the name of a
//! model, else Custom. Raw attributes stay in `otel`; only what a reader looks for first is copied.

use tracekeep_core::amount::DurationMs;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{JSON_DEPTH_MAX, NAME_BYTES_MAX};
use tracekeep_core::model::TraceType;

use crate::attributes::{AnyValue, Attributes, cut};
use crate::message;
use crate::plain;

/// Where the name of the model stands.
pub(crate) const MODEL: &[&str] = &[
    "gen_ai.request.model",
    "llm.request.model_name",
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
    "gen_ai.response.model",
    "llm.response.model_name",
];

/// The kinds that a rule chooses among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ToolCall,
    Decision,
    Query,
    Thought,
    Custom,
}

/// What the rule found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice<'s> {
    pub(crate) kind: Kind,
    /// The rule: the attribute that decided, or `none`.
    pub(crate) rule: &'static str,
    /// The value of that attribute, where it names a kind or an operation.
    word: Option<&'s str>,
}

/// Walks down the ladder.
pub(crate) fn choose<'s>(attributes: Attributes<'s, '_>) -> Choice<'s> {
    let by_word = |rule, kind_of: fn(&str) -> Kind| {
        attributes.text(&[rule]).map(|word| Choice { kind: kind_of(word), rule, word: Some(word) })
    };
    let by_presence = |rule, keys: &[&str], kind| {
        let present = keys.iter().any(|key| attributes.get(key).is_some());
        present.then_some(Choice { kind, rule, word: None })
    };
    by_word("openinference.span.kind", of_openinference)
        .or_else(|| by_word("gen_ai.operation.name", of_operation))
        .or_else(|| by_presence("gen_ai.tool.name", &["gen_ai.tool.name", "gen_ai.tool.call.id"], Kind::ToolCall))
        .or_else(|| by_presence("model", MODEL, Kind::Thought))
        .unwrap_or(Choice { kind: Kind::Custom, rule: "none", word: None })
}

fn of_openinference(kind: &str) -> Kind {
    match kind.to_ascii_uppercase().as_str() {
        "TOOL" => Kind::ToolCall,
        "LLM" => Kind::Thought,
        "RETRIEVER" | "RERANKER" | "EMBEDDING" => Kind::Query,
        "GUARDRAIL" | "EVALUATOR" => Kind::Decision,
        _ => Kind::Custom,
    }
}

fn of_operation(operation: &str) -> Kind {
    match operation {
        "execute_tool" => Kind::ToolCall,
        "chat" | "generate_content" | "text_completion" => Kind::Thought,
        "embeddings" | "retrieval" | "search_memory" => Kind::Query,
        "plan" => Kind::Decision,
        _ => Kind::Custom,
    }
}

/// The trace type of a span. Without `texts`, what can be long is left to `otel`.
pub(crate) fn trace_type(
    choice: Choice<'_>,
    name: &str,
    attributes: Attributes<'_, '_>,
    duration_ms: Option<DurationMs>,
    texts: bool,
) -> TraceType {
    let copied = |find: &dyn Fn() -> Option<String>| if texts { find() } else { None };
    let span_name = || if texts { name } else { cut(name, NAME_BYTES_MAX) }.to_owned();
    match choice.kind {
        Kind::ToolCall => {
            let json_of = |keys: &[&str]| if texts { attributes.first(keys, json) } else { None };
            TraceType::ToolCall {
                tool_name: tool_name(name, attributes),
                arguments: json_of(&[
                    "gen_ai.tool.call.arguments",
                    "tool_call.function.arguments",
                    "input.value",
                    "tool.parameters",
                ])
                .unwrap_or_else(Json::null),
                result: json_of(&["gen_ai.tool.call.result", "output.value"]),
                duration_ms,
            }
        }
        Kind::Thought => TraceType::Thought {
            content: copied(&|| message::output(attributes)).unwrap_or_else(span_name),
            confidence: None,
        },
        Kind::Query => TraceType::Query {
            query_type: label(choice.word.unwrap_or("query")),
            query: copied(&|| query(attributes)).unwrap_or_else(span_name),
            results_count: results_count(attributes),
        },
        Kind::Decision => TraceType::Decision {
            question: copied(&|| message::input(attributes)).unwrap_or_else(span_name),
            options: Vec::new(),
            chosen: copied(&|| {
                let label = &["gen_ai.evaluation.score.label", "evaluation.label"];
                attributes.first(label, message::text).or_else(|| message::output(attributes))
            })
            .unwrap_or_default(),
            reasoning: copied(&|| {
                attributes.first(&["gen_ai.evaluation.explanation", "evaluation.explanation"], message::text)
            }),
        },
        Kind::Custom => {
            let mut data = Vec::new();
            let stated = AnyValue::String(span_name().into());
            plain::write_object(&mut data, choice.word.map(|_| ("name", &stated)));
            TraceType::Custom { name: custom_name(choice.word.unwrap_or(name)), data: plain::canonical(data) }
        }
    }
}

fn tool_name(span_name: &str, attributes: Attributes<'_, '_>) -> String {
    let stated = attributes.text(&["gen_ai.tool.name", "tool.name"]);
    // By the conventions the span is named `execute_tool NAME`.
    label(stated.unwrap_or_else(|| span_name.strip_prefix("execute_tool ").unwrap_or(span_name)))
}

fn custom_name(name: &str) -> String {
    if TraceType::BUILT_IN.contains(&name) { format!("span:{name}") } else { label(name) }
}

/// A name of 1 to 256 bytes.
fn label(name: &str) -> String {
    if name.is_empty() { "span" } else { cut(name, NAME_BYTES_MAX) }.to_owned()
}

fn query(attributes: Attributes<'_, '_>) -> Option<String> {
    let keys = [
        "gen_ai.retrieval.query.text",
        "gen_ai.memory.query.text",
        "reranker.query",
        "embedding.embeddings.0.embedding.text",
        "embedding.text",
    ];
    attributes.first(&keys, message::text).or_else(|| message::input(attributes))
}

fn results_count(attributes: Attributes<'_, '_>) -> Option<u64> {
    if let Some(AnyValue::Array(documents)) = attributes.get("gen_ai.retrieval.documents") {
        return Some(documents.len() as u64);
    }
    ["retrieval.documents.", "reranker.output_documents."]
        .into_iter()
        .map(|prefix| attributes.flattened_len(prefix))
        .find(|count| *count > 0)
}

/// A value as JSON: JSON in a string as what it says, any other string as it is. `None` where there is no value.
fn json(value: &AnyValue<'_>) -> Option<Json> {
    match value {
        AnyValue::Empty => None,
        AnyValue::String(text) if text.is_empty() => None,
        // Inside the op and its trace_type there is room for two containers less.
        AnyValue::String(text) => Some(match Json::parse(text) {
            Ok(json) if json.depth() <= JSON_DEPTH_MAX - 2 => json,
            _ => Json::from(&**text),
        }),
        other => Some(plain::json(other)),
    }
}
