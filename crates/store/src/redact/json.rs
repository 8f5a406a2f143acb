//! Free JSON: values under the names of secrets, and what its strings hold.

use tracekeep_core::json::{Json, Object, Value, write_string};
use tracekeep_core::limits::{JSON_DEPTH_MAX, OP_BYTES_MAX};
use tracekeep_core::model::JsonObject;

use super::Work;
use super::card;
use super::found::{Kind, is_placeholder};
use super::stated;

/// What a value of OTLP is told by (proto3 JSON of AnyValue).
const OTLP_VALUES: [&str; 7] =
    ["stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue", "bytesValue"];

/// Members of OTLP that hold ids, times and bytes, in which nothing is looked for.
const OTLP_PLAIN: [&str; 7] =
    ["bytesValue", "endTimeUnixNano", "parentSpanId", "spanId", "startTimeUnixNano", "timeUnixNano", "traceId"];

impl Work<'_> {
    pub(super) fn object(&mut self, object: &mut JsonObject) {
        let mut json = object.json().clone();
        if self.json(&mut json) {
            // What was an object is one.
            if let Ok(redacted) = JsonObject::new(json) {
                *object = redacted;
            }
        }
    }

    /// Takes out of a document what is to be taken out; whether there was anything.
    pub(super) fn json(&mut self, json: &mut Json) -> bool {
        // What is larger or deeper is refused later; it is not read here.
        let is_refused = |json: &Json| json.as_str().len() > OP_BYTES_MAX as usize || json.depth() > JSON_DEPTH_MAX;
        if !self.rules.touches(json.as_str().as_bytes()) || is_refused(json) {
            return false;
        }
        let before = self.counts;
        let mut out = Vec::with_capacity(json.as_str().len() + 64);
        self.value(&json.value(), &mut out);
        if self.counts == before {
            return false;
        }
        *json = Json::from_canonical(String::from_utf8(out).expect("invariant: the writers write UTF-8"));
        true
    }

    fn value(&mut self, value: &Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Null | Value::Bool(_) => value.write_canonical(out),
            Value::Number(_) => self.number(value, out),
            Value::String(text) => match self.text(text) {
                Some(redacted) => write_string(out, &redacted),
                None => write_string(out, text),
            },
            Value::Array(items) => {
                out.push(b'[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    // The arguments of a command, each an item.
                    let before = place.checked_sub(1).and_then(|place| items.get(place)).and_then(Value::as_str);
                    if before.and_then(stated::flag).is_some_and(|name| self.rules.names.matches(name)) {
                        self.field(item, out);
                    } else {
                        self.value(item, out);
                    }
                }
                out.push(b']');
            }
            Value::Object(object) => self.members(object, out),
        }
    }

    /// A card number is one without quotes as well.
    fn number(&mut self, value: &Value<'_>, out: &mut Vec<u8>) {
        let from = out.len();
        value.write_canonical(out);
        if !self.rules.has_cards {
            return;
        }
        let mut is_card = false;
        card::each(&out[from..], |span| {
            is_card = span.to - span.from == out.len() - from;
            true
        });
        if is_card {
            out.truncate(from);
            write_string(out, Kind::Card.placeholder());
            Kind::Card.count(&mut self.counts);
        }
    }

    fn members(&mut self, object: &Object<'_>, out: &mut Vec<u8>) {
        if let Some(text) = object.get("intValue").and_then(Value::as_str).filter(|_| object.len() == 1)
            && let Some(redacted) = self.text(text)
        {
            return otlp_string(&redacted, out);
        }
        let names = &self.rules.names;
        let named = ["key", "name"]
            .into_iter()
            .any(|name| object.get(name).and_then(Value::as_str).is_some_and(|text| names.matches(text.as_bytes())));
        out.push(b'{');
        for (place, (name, value)) in object.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_string(out, name);
            out.push(b':');
            if named && name == "value" || names.matches(name.as_bytes()) {
                self.field(value, out);
            } else if OTLP_PLAIN.contains(&name) && matches!(value, Value::String(_)) {
                value.write_canonical(out);
            } else {
                self.value(value, out);
            }
        }
        out.push(b'}');
    }

    /// What stands under the name of a secret goes whole. A flag tells nothing, and what is empty holds nothing.
    fn field(&mut self, value: &Value<'_>, out: &mut Vec<u8>) {
        if holds_nothing(value) {
            return value.write_canonical(out);
        }
        Kind::Field.count(&mut self.counts);
        if let Value::Object(object) = value
            && otlp(object).is_some()
        {
            return otlp_string(Kind::Field.placeholder(), out);
        }
        write_string(out, Kind::Field.placeholder());
    }
}

/// The one member of a value of OTLP.
fn otlp<'v>(object: &'v Object<'_>) -> Option<&'v Value<'v>> {
    let (name, value) = object.iter().next().filter(|_| object.len() == 1)?;
    OTLP_VALUES.contains(&name).then_some(value)
}

fn otlp_string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"stringValue\":");
    write_string(out, text);
    out.push(b'}');
}

fn holds_nothing(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty() || is_placeholder(text.as_bytes()),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty() || otlp(object).is_some_and(holds_nothing),
    }
}
