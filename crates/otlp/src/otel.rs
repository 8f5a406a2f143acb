//! The `otel` member: the canonical OTLP JSON of span and scope.
//!
//! It is written straight in canonical form: members in the order of their names, defaults left out, attributes sorted by
//! key, ids as hex, 64-bit integers as decimal strings, enums as integers, bytes as base64, and doubles that JSON has no
//! number for as the strings of proto3 JSON. A span that is exported again, in either encoding, gives the same text.

use tracekeep_core::json::{write_f64, write_i64, write_string, write_u64};
use tracekeep_core::limits::JSON_DEPTH_MAX;

use crate::attributes::{AnyValue, KeyValue};
use crate::base64;
use crate::span::{Event, Link, ScopeSpans, Span, Status};

/// Something nests deeper than the record may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// Containers around the attributes of a scope in the record: the op, `otel`, `scope`.
const SCOPE_DEPTH: u32 = 3;
/// Containers around the attributes of a span.
const SPAN_DEPTH: u32 = 3;
/// Containers around the attributes of an event or a link: the span's, its list, itself.
const INNER_DEPTH: u32 = SPAN_DEPTH + 2;

/// The text of a scope (sorted); empty where it has nothing to say.
pub(crate) fn scope(scope: &ScopeSpans<'_>) -> Result<Vec<u8>, TooDeep> {
    let mut object = Members::open(Vec::new());
    object.attributes(&scope.attributes, SCOPE_DEPTH)?;
    object.count("droppedAttributesCount", scope.dropped_attributes_count);
    object.text("name", &scope.name);
    object.text("schemaUrl", &scope.schema_url);
    object.text("version", &scope.version);
    Ok(if object.is_empty() { Vec::new() } else { object.close() })
}

/// The text of the member `otel`: that of the scope and that of the span (sorted).
pub(crate) fn otel(scope: &[u8], span: &Span<'_>) -> Result<String, TooDeep> {
    let mut object = Members::open(Vec::with_capacity(512 + scope.len() + usual_len(&span.attributes)));
    if !scope.is_empty() {
        object.name("scope").extend_from_slice(scope);
    }
    object.name("span");
    let out = write_span(object.out, span)?;
    let out = Members { out, from: 0 }.close();
    Ok(String::from_utf8(out).expect("invariant: the writers write UTF-8"))
}

/// What attributes usually take, so that the text seldom moves while it grows.
fn usual_len(attributes: &[KeyValue<'_>]) -> usize {
    let value =
        |value: &AnyValue<'_>| if let AnyValue::String(text) = value { text.len() + text.len() / 16 } else { 24 };
    attributes.iter().map(|attribute| attribute.key.len() + 40 + value(&attribute.value)).sum()
}

fn write_span(out: Vec<u8>, span: &Span<'_>) -> Result<Vec<u8>, TooDeep> {
    let mut object = Members::open(out);
    object.attributes(&span.attributes, SPAN_DEPTH)?;
    object.count("droppedAttributesCount", span.dropped_attributes_count);
    object.count("droppedEventsCount", span.dropped_events_count);
    object.count("droppedLinksCount", span.dropped_links_count);
    object.long("endTimeUnixNano", span.end_time_unix_nano);
    object.list("events", &span.events, write_event)?;
    object.count("flags", span.flags);
    object.enumeration("kind", span.kind);
    object.list("links", &span.links, write_link)?;
    object.text("name", &span.name);
    object.id("parentSpanId", &span.parent_span_id);
    object.id("spanId", &span.span_id);
    object.long("startTimeUnixNano", span.start_time_unix_nano);
    let Status { message, code } = &span.status;
    if *code != 0 || !message.is_empty() {
        object.name("status");
        let mut status = Members::open(object.out);
        status.enumeration("code", *code);
        status.text("message", message);
        object.out = status.close();
    }
    object.id("traceId", &span.trace_id);
    object.text("traceState", &span.trace_state);
    Ok(object.close())
}

fn write_event(out: Vec<u8>, event: &Event<'_>) -> Result<Vec<u8>, TooDeep> {
    let mut object = Members::open(out);
    object.attributes(&event.attributes, INNER_DEPTH)?;
    object.count("droppedAttributesCount", event.dropped_attributes_count);
    object.text("name", &event.name);
    object.long("timeUnixNano", event.time_unix_nano);
    Ok(object.close())
}

fn write_link(out: Vec<u8>, link: &Link<'_>) -> Result<Vec<u8>, TooDeep> {
    let mut object = Members::open(out);
    object.attributes(&link.attributes, INNER_DEPTH)?;
    object.count("droppedAttributesCount", link.dropped_attributes_count);
    object.count("flags", link.flags);
    object.id("spanId", &link.span_id);
    object.id("traceId", &link.trace_id);
    object.text("traceState", &link.trace_state);
    Ok(object.close())
}

/// The members of one object, written in the order of their names; what has its default is left out.
struct Members {
    out: Vec<u8>,
    /// Where the object's first member would start.
    from: usize,
}

impl Members {
    fn open(mut out: Vec<u8>) -> Self {
        out.push(b'{');
        Self { from: out.len(), out }
    }

    fn close(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    fn is_empty(&self) -> bool {
        self.out.len() == self.from
    }

    /// Starts a member whose name needs no escape.
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !self.is_empty() {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        &mut self.out
    }

    fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            write_string(self.name(name), text);
        }
    }

    fn count(&mut self, name: &'static str, count: u32) {
        if count != 0 {
            write_u64(self.name(name), count.into());
        }
    }

    fn enumeration(&mut self, name: &'static str, number: i32) {
        if number != 0 {
            write_i64(self.name(name), number.into());
        }
    }

    fn long(&mut self, name: &'static str, number: u64) {
        if number != 0 {
            quoted(self.name(name), |out| write_u64(out, number));
        }
    }

    fn id(&mut self, name: &'static str, bytes: &[u8]) {
        if !bytes.is_empty() {
            quoted(self.name(name), |out| hex(out, bytes));
        }
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl Fn(Vec<u8>, &T) -> Result<Vec<u8>, TooDeep>,
    ) -> Result<(), TooDeep> {
        if items.is_empty() {
            return Ok(());
        }
        self.name(name).push(b'[');
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            self.out = write(std::mem::take(&mut self.out), item)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn attributes(&mut self, attributes: &[KeyValue<'_>], depth: u32) -> Result<(), TooDeep> {
        if attributes.is_empty() {
            return Ok(());
        }
        key_values(self.name("attributes"), attributes, depth)
    }
}

/// The list of attributes that stands inside `depth` containers.
fn key_values(out: &mut Vec<u8>, attributes: &[KeyValue<'_>], depth: u32) -> Result<(), TooDeep> {
    // The list, an attribute, its value.
    within(depth + 3)?;
    out.push(b'[');
    for (place, KeyValue { key, value }) in attributes.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        write_string(out, key);
        if *value != AnyValue::Empty {
            out.extend_from_slice(b",\"value\":");
            any_value(out, value, depth + 3)?;
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// A value, which is the `depth`th container. A kind is written even where it holds its default: it was chosen.
fn any_value(out: &mut Vec<u8>, value: &AnyValue<'_>, depth: u32) -> Result<(), TooDeep> {
    match value {
        AnyValue::Empty => out.extend_from_slice(b"{"),
        AnyValue::String(text) => {
            out.extend_from_slice(b"{\"stringValue\":");
            write_string(out, text);
        }
        AnyValue::Bool(flag) => {
            out.extend_from_slice(if *flag { b"{\"boolValue\":true" } else { b"{\"boolValue\":false" });
        }
        AnyValue::Int(number) => {
            out.extend_from_slice(b"{\"intValue\":");
            quoted(out, |out| write_i64(out, *number));
        }
        AnyValue::Double(number) => {
            out.extend_from_slice(b"{\"doubleValue\":");
            double(out, *number);
        }
        AnyValue::Bytes(bytes) => {
            out.extend_from_slice(b"{\"bytesValue\":");
            quoted(out, |out| base64::encode(out, bytes));
        }
        AnyValue::Array(items) => {
            within(depth + 1)?;
            out.extend_from_slice(b"{\"arrayValue\":{");
            if !items.is_empty() {
                // The list, an item.
                within(depth + 3)?;
                out.extend_from_slice(b"\"values\":[");
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    any_value(out, item, depth + 3)?;
                }
                out.push(b']');
            }
            out.push(b'}');
        }
        AnyValue::KeyValues(pairs) => {
            within(depth + 1)?;
            out.extend_from_slice(b"{\"kvlistValue\":{");
            if !pairs.is_empty() {
                out.extend_from_slice(b"\"values\":");
                key_values(out, pairs, depth + 1)?;
            }
            out.push(b'}');
        }
    }
    out.push(b'}');
    Ok(())
}

fn within(depth: u32) -> Result<(), TooDeep> {
    if depth > JSON_DEPTH_MAX { Err(TooDeep) } else { Ok(()) }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// A double in proto3 JSON.
pub(crate) fn double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        return write_f64(out, number);
    }
    let word: &[u8] = match number {
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => b"\"NaN\"",
    };
    out.extend_from_slice(word);
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(b"0123456789abcdef"[usize::from(digit)]);
        }
    }
}
