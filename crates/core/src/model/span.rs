//! What the OpenTelemetry span says that a trace was recorded from.

use crate::json::{Json, Value};

/// What went wrong, out of a trace's `otel`: the message of the span's status, else the type and the message of the first
/// exception among its events. `None` where it says neither.
#[must_use]
pub fn span_error(otel: &Json) -> Option<String> {
    let otel = otel.value();
    let span = otel.as_object()?.get("span")?.as_object()?;
    let message = span.get("status").and_then(|status| status.as_object()?.get("message")?.as_str());
    let message = message.filter(|message| !message.is_empty()).map(str::to_owned);
    message.or_else(|| exception(span.get("events")?))
}

fn exception(events: &Value<'_>) -> Option<String> {
    let is_exception =
        |event: &&Value<'_>| event.as_object().and_then(|event| event.get("name")?.as_str()) == Some("exception");
    let event = events.as_array()?.iter().find(is_exception)?;
    let attributes = event.as_object()?.get("attributes")?.as_array()?;
    let text = |key: &str| {
        let mut found = attributes.iter().filter_map(Value::as_object);
        let found = found.find(|attribute| attribute.get("key").and_then(Value::as_str) == Some(key))?;
        found.get("value")?.as_object()?.get("stringValue")?.as_str()
    };
    let said: Vec<_> = ["exception.type", "exception.message"].into_iter().filter_map(text).collect();
    (!said.is_empty()).then(|| said.join(": "))
}
