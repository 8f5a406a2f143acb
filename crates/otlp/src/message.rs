//! What a model said, out of the many ways to write it down.

use tracekeep_core::json::{self, Value};

use crate::attributes::{AnyValue, Attributes};
use crate::plain;

/// Messages that OpenInference and OpenLLMetry flatten into one attribute a member; more are not looked at.
const MESSAGES_MAX: u32 = 64;

/// What the model answered, as text; `None` where nothing tells.
pub(crate) fn output(attributes: Attributes<'_, '_>) -> Option<String> {
    structured(attributes, "gen_ai.output.messages")
        .or_else(|| flattened(attributes, "llm.output_messages."))
        .or_else(|| flattened(attributes, "gen_ai.completion."))
        .or_else(|| attributes.first(&["gen_ai.completion", "output.value"], text))
}

/// What was asked, as text; `None` where nothing tells.
pub(crate) fn input(attributes: Attributes<'_, '_>) -> Option<String> {
    structured(attributes, "gen_ai.input.messages")
        .or_else(|| flattened(attributes, "llm.input_messages."))
        .or_else(|| flattened(attributes, "gen_ai.prompt."))
        .or_else(|| attributes.first(&["gen_ai.prompt", "input.value"], text))
}

/// A value as text: a string as it is, another value as its JSON; `None` where there is none.
pub(crate) fn text(value: &AnyValue<'_>) -> Option<String> {
    match value {
        AnyValue::Empty => None,
        AnyValue::String(text) => (!text.is_empty()).then(|| text.to_string()),
        other => Some(plain::json(other).as_str().to_owned()),
    }
}

/// The texts of `[{role, parts: [{type: "text", content}]}]`, as a value or as JSON in a string. Where no part is a text,
/// its reasoning; else the whole as it stands.
fn structured(attributes: Attributes<'_, '_>, key: &str) -> Option<String> {
    let whole = text(attributes.get(key)?)?;
    let found = json::parse(whole.as_bytes()).ok().and_then(|messages| {
        let messages = messages.as_array()?;
        parts(messages, "text").or_else(|| parts(messages, "reasoning"))
    });
    Some(found.unwrap_or(whole))
}

fn parts(messages: &[Value<'_>], kind: &str) -> Option<String> {
    let mut texts = Texts::default();
    for message in messages.iter().filter_map(Value::as_object) {
        for part in message.get("parts").and_then(Value::as_array).unwrap_or_default() {
            let Some(part) = part.as_object() else { continue };
            if part.get("type").and_then(Value::as_str) == Some(kind) {
                texts.add(part.get("content").and_then(Value::as_str));
            }
        }
        if kind == "text" {
            texts.add(message.get("content").and_then(Value::as_str));
        }
    }
    texts.take()
}

/// The texts of messages that are flattened: `PREFIX0.message.content`, `PREFIX0.message.contents.0.message_content.text`
/// (OpenInference), `PREFIX0.content` (OpenLLMetry).
fn flattened(attributes: Attributes<'_, '_>, prefix: &str) -> Option<String> {
    if attributes.under(prefix).is_empty() {
        return None;
    }
    let mut texts = Texts::default();
    for place in 0..MESSAGES_MAX {
        let message = format!("{prefix}{place}.");
        let members = attributes.under(&message);
        if members.is_empty() {
            break;
        }
        for member in members {
            let name = &member.key[message.len()..];
            if matches!(name, "message.content" | "content")
                || name.starts_with("message.contents.") && name.ends_with(".message_content.text")
            {
                texts.add(member.value.as_text());
            }
        }
    }
    texts.take()
}

/// Texts, a line break between them.
#[derive(Default)]
struct Texts(String);

impl Texts {
    fn add(&mut self, text: Option<&str>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(text);
    }

    fn take(self) -> Option<String> {
        Some(self.0).filter(|text| !text.is_empty())
    }
}
