//! OTLP/JSON, strictly: read by core's parser, so that what a hash depends on is read in one way everywhere.
//!
//! Beyond proto3 JSON, OTLP has ids in hex, enums as integers alone, and unknown fields ignored. `null` is absent. A
//! member of the wrong type refuses the body, as a wrong wire type does in protobuf; a value that its type cannot hold (a
//! number beyond 64 bits, an id that is not hex) refuses the span that it stands in.

use std::borrow::Cow;
use std::str::FromStr;

use tracekeep_core::json::{self, Number, Value};
use tracekeep_core::limits::JSON_DEPTH_MAX;
use tracekeep_core::{Invalid, InvalidCode};

use crate::attributes::{AnyValue, KeyValue};
use crate::base64;
use crate::decode::Malformed;
use crate::map::Rejected;
use crate::span::{Event, Link, Request, ResourceSpans, ScopeSpans, Span, Status};

type Read<T> = Result<T, Malformed>;
type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

pub(crate) fn request(body: &[u8]) -> Read<Request<'_>> {
    // What nests deeper than the record may is refused span by span, unless it is beyond all measure.
    let value = json::parse_around(body, JSON_DEPTH_MAX).map_err(Invalid::from)?;
    let Value::Object(object) = value else {
        return Err(not_an_export(format!("the body must be an object, is {}", value.type_name())));
    };
    if !object.is_empty() && object.get("resourceSpans").is_none() {
        let hint = if object.get("resource_spans").is_some() {
            "the body has resource_spans: OTLP/JSON names are lowerCamelCase, resourceSpans"
        } else if object.get("resourceLogs").or(object.get("resourceMetrics")).is_some() {
            "the body is an export of logs or metrics, sent to the path of traces"
        } else {
            "the body has no resourceSpans, so it would record nothing"
        };
        return Err(not_an_export(hint));
    }
    let mut reader = Reader::default();
    let mut request = Request::default();
    for (name, value) in object.into_members() {
        match &*name {
            "resourceSpans" => request.resources = list(value, "resourceSpans", |value| reader.resource(value))?,
            _ => unknown(&name)?,
        }
    }
    Ok(request)
}

fn not_an_export(detail: impl Into<String>) -> Malformed {
    Malformed::new(Malformed::NOT_AN_EXPORT, detail)
}

/// Names that the specification had in another spelling or another time: to ignore them would lose data in silence.
const MISSPELT: &[&str] = &[
    "array_value",
    "bool_value",
    "bytes_value",
    "double_value",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
    "end_time_unix_nano",
    "instrumentationLibrary",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
    "int_value",
    "kvlist_value",
    "parent_span_id",
    "resource_spans",
    "schema_url",
    "scope_spans",
    "span_id",
    "start_time_unix_nano",
    "string_value",
    "time_unix_nano",
    "trace_id",
    "trace_state",
];

/// Unknown fields are ignored, unless they are known ones in disguise.
fn unknown(name: &str) -> Read<()> {
    match MISSPELT.binary_search(&name) {
        Ok(_) => Err(not_an_export(format!(
            "{name} is not a name of OTLP/JSON: names are lowerCamelCase, as in opentelemetry-proto 1.0"
        ))),
        Err(_) => Ok(()),
    }
}

fn wrong_type(name: &str, wanted: &str, value: &Value<'_>) -> Malformed {
    let detail = format!("{name} must be {wanted}, is {}", value.type_name());
    Malformed::new(InvalidCode::InvalidMember.as_str(), detail)
}

fn members<'a>(value: Value<'a>, name: &str) -> Read<Members<'a>> {
    match value {
        Value::Object(object) => Ok(object.into_members()),
        other => Err(wrong_type(name, "an object", &other)),
    }
}

fn list<'a, T>(value: Value<'a>, name: &str, read: impl FnMut(Value<'a>) -> Read<T>) -> Read<Vec<T>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.into_iter().map(read).collect(),
        other => Err(wrong_type(name, "an array", &other)),
    }
}

fn text<'a>(value: Value<'a>, name: &str) -> Read<Cow<'a, str>> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(name, "a string", &other)),
    }
}

/// Reads one object member by member: `null` is passed over, and so is what the list does not name.
macro_rules! read_members {
    ($value:expr, $at:literal, { $($name:literal => |$member:ident| $read:expr,)* }) => {
        for (name, value) in members($value, $at)? {
            match (&*name, value) {
                (_, Value::Null) => {}
                $(($name, $member) => $read,)*
                (other, _) => unknown(other)?,
            }
        }
    };
}

/// Keeps what is wrong with the span that is being read.
#[derive(Default)]
struct Reader {
    fault: Option<Rejected>,
}

impl Reader {
    fn spoil(&mut self, code: InvalidCode, detail: String) {
        self.fault.get_or_insert_with(|| Rejected::new(code, detail));
    }

    fn resource<'a>(&mut self, value: Value<'a>) -> Read<ResourceSpans<'a>> {
        let mut out = ResourceSpans::default();
        read_members!(value, "a member of resourceSpans", {
            "resource" => |value| {
                read_members!(value, "resource", {
                    "attributes" => |value| out.attributes = self.attributes(value)?,
                });
                out.fault = self.fault.take();
            },
            "schemaUrl" => |value| out.schema_url = text(value, "schemaUrl")?,
            "scopeSpans" => |value| out.scopes = list(value, "scopeSpans", |value| self.scope(value))?,
        });
        Ok(out)
    }

    fn scope<'a>(&mut self, value: Value<'a>) -> Read<ScopeSpans<'a>> {
        let mut out = ScopeSpans::default();
        read_members!(value, "a member of scopeSpans", {
            "schemaUrl" => |value| out.schema_url = text(value, "schemaUrl")?,
            "scope" => |value| {
                read_members!(value, "scope", {
                    "attributes" => |value| out.attributes = self.attributes(value)?,
                    "droppedAttributesCount" => |value| {
                        out.dropped_attributes_count = self.number(value, "droppedAttributesCount")?;
                    },
                    "name" => |value| out.name = text(value, "scope.name")?,
                    "version" => |value| out.version = text(value, "scope.version")?,
                });
                out.fault = self.fault.take();
            },
            "spans" => |value| out.spans = list(value, "spans", |value| self.span(value))?,
        });
        Ok(out)
    }

    fn span<'a>(&mut self, value: Value<'a>) -> Read<Span<'a>> {
        let mut out = Span::default();
        read_members!(value, "a member of spans", {
            "attributes" => |value| out.attributes = self.attributes(value)?,
            "droppedAttributesCount" => |value| {
                out.dropped_attributes_count = self.number(value, "droppedAttributesCount")?;
            },
            "droppedEventsCount" => |value| {
                out.dropped_events_count = self.number(value, "droppedEventsCount")?;
            },
            "droppedLinksCount" => |value| out.dropped_links_count = self.number(value, "droppedLinksCount")?,
            "endTimeUnixNano" => |value| out.end_time_unix_nano = self.time(value, "endTimeUnixNano")?,
            "events" => |value| out.events = list(value, "events", |value| self.event(value))?,
            "flags" => |value| out.flags = self.number(value, "flags")?,
            "kind" => |value| out.kind = self.enumeration(value, "kind")?,
            "links" => |value| out.links = list(value, "links", |value| self.link(value))?,
            "name" => |value| out.name = text(value, "span.name")?,
            "parentSpanId" => |value| out.parent_span_id = self.id(value, "parentSpanId")?,
            "spanId" => |value| out.span_id = self.id(value, "spanId")?,
            "startTimeUnixNano" => |value| out.start_time_unix_nano = self.time(value, "startTimeUnixNano")?,
            "status" => |value| out.status = self.status(value)?,
            "traceId" => |value| out.trace_id = self.id(value, "traceId")?,
            "traceState" => |value| out.trace_state = text(value, "traceState")?,
        });
        out.fault = self.fault.take();
        Ok(out)
    }

    fn event<'a>(&mut self, value: Value<'a>) -> Read<Event<'a>> {
        let mut out = Event::default();
        read_members!(value, "a member of events", {
            "attributes" => |value| out.attributes = self.attributes(value)?,
            "droppedAttributesCount" => |value| {
                out.dropped_attributes_count = self.number(value, "droppedAttributesCount")?;
            },
            "name" => |value| out.name = text(value, "event.name")?,
            "timeUnixNano" => |value| out.time_unix_nano = self.time(value, "timeUnixNano")?,
        });
        Ok(out)
    }

    fn link<'a>(&mut self, value: Value<'a>) -> Read<Link<'a>> {
        let mut out = Link::default();
        read_members!(value, "a member of links", {
            "attributes" => |value| out.attributes = self.attributes(value)?,
            "droppedAttributesCount" => |value| {
                out.dropped_attributes_count = self.number(value, "droppedAttributesCount")?;
            },
            "flags" => |value| out.flags = self.number(value, "flags")?,
            "spanId" => |value| out.span_id = self.id(value, "link.spanId")?,
            "traceId" => |value| out.trace_id = self.id(value, "link.traceId")?,
            "traceState" => |value| out.trace_state = text(value, "traceState")?,
        });
        Ok(out)
    }

    fn status<'a>(&mut self, value: Value<'a>) -> Read<Status<'a>> {
        let mut out = Status::default();
        read_members!(value, "status", {
            "code" => |value| out.code = self.enumeration(value, "status.code")?,
            "message" => |value| out.message = text(value, "status.message")?,
        });
        Ok(out)
    }

    fn attributes<'a>(&mut self, value: Value<'a>) -> Read<Vec<KeyValue<'a>>> {
        list(value, "attributes", |value| self.key_value(value))
    }

    fn key_value<'a>(&mut self, value: Value<'a>) -> Read<KeyValue<'a>> {
        let mut out = KeyValue::default();
        read_members!(value, "an attribute", {
            "key" => |value| out.key = text(value, "an attribute's key")?,
            "value" => |value| out.value = self.any_value(value)?,
        });
        Ok(out)
    }

    fn any_value<'a>(&mut self, value: Value<'a>) -> Read<AnyValue<'a>> {
        let mut out = None;
        read_members!(value, "an attribute's value", {
            "arrayValue" => |value| set(&mut out, AnyValue::Array(self.array(value)?))?,
            "boolValue" => |value| match value {
                Value::Bool(flag) => set(&mut out, AnyValue::Bool(flag))?,
                other => return Err(wrong_type("boolValue", "a boolean", &other)),
            },
            "bytesValue" => |value| set(&mut out, AnyValue::Bytes(self.bytes(&text(value, "bytesValue")?)))?,
            "doubleValue" => |value| set(&mut out, AnyValue::Double(self.double(&value)?))?,
            "intValue" => |value| set(&mut out, AnyValue::Int(self.number(value, "intValue")?))?,
            "kvlistValue" => |value| set(&mut out, AnyValue::KeyValues(self.pairs(value)?))?,
            "stringValue" => |value| set(&mut out, AnyValue::String(text(value, "stringValue")?))?,
        });
        Ok(out.unwrap_or_default())
    }

    fn array<'a>(&mut self, value: Value<'a>) -> Read<Vec<AnyValue<'a>>> {
        let mut out = Vec::new();
        read_members!(value, "arrayValue", {
            "values" => |value| out = list(value, "arrayValue.values", |value| self.any_value(value))?,
        });
        Ok(out)
    }

    fn pairs<'a>(&mut self, value: Value<'a>) -> Read<Vec<KeyValue<'a>>> {
        let mut out = Vec::new();
        read_members!(value, "kvlistValue", {
            "values" => |value| out = self.attributes(value)?,
        });
        Ok(out)
    }

    fn id(&mut self, value: Value<'_>, name: &str) -> Read<Vec<u8>> {
        let text = text(value, name)?;
        Ok(hex(&text).unwrap_or_else(|| {
            self.spoil(InvalidCode::InvalidId, format!("{name} is not hexadecimal"));
            Vec::new()
        }))
    }

    fn bytes(&mut self, text: &str) -> Vec<u8> {
        base64::decode(text).unwrap_or_else(|| {
            self.spoil(InvalidCode::InvalidMember, "a bytesValue is not base64".to_owned());
            Vec::new()
        })
    }

    /// An integer, as a number or as a decimal string.
    fn number<T: Integer>(&mut self, value: Value<'_>, name: &str) -> Read<T> {
        self.integer(value, name, InvalidCode::NumberOutOfRange)
    }

    fn time(&mut self, value: Value<'_>, name: &str) -> Read<u64> {
        self.integer(value, name, InvalidCode::InvalidTime)
    }

    fn integer<T: Integer>(&mut self, value: Value<'_>, name: &str, code: InvalidCode) -> Read<T> {
        let read = match &value {
            Value::Number(number) => T::of_number(number),
            // Rust reads a plus sign too, which JSON has not.
            Value::String(text) if !text.starts_with('+') => text.parse().ok(),
            Value::String(_) => None,
            other => return Err(wrong_type(name, "an integer, as a number or a decimal string", other)),
        };
        Ok(read.unwrap_or_else(|| {
            self.spoil(code, format!("{name} is not an integer in its range"));
            T::default()
        }))
    }

    fn enumeration(&mut self, value: Value<'_>, name: &str) -> Read<i32> {
        match &value {
            Value::Number(_) => self.number(value, name),
            other => Err(wrong_type(name, "an integer (OTLP/JSON has no names of enums)", other)),
        }
    }

    /// A double, as a number, or as a string where JSON has no number for it.
    fn double(&mut self, value: &Value<'_>) -> Read<f64> {
        let read = match value {
            Value::Number(number) => return Ok(number.as_f64()),
            Value::String(text) => match &**text {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => match json::parse(text.as_bytes()) {
                    Ok(Value::Number(number)) => Some(number.as_f64()),
                    _ => None,
                },
            },
            other => return Err(wrong_type("doubleValue", "a number", other)),
        };
        Ok(read.unwrap_or_else(|| {
            self.spoil(InvalidCode::NumberOutOfRange, "a doubleValue is not a number in its range".to_owned());
            0.0
        }))
    }
}

/// A value is one of its kinds.
fn set<'a>(out: &mut Option<AnyValue<'a>>, value: AnyValue<'a>) -> Read<()> {
    match out.replace(value) {
        None => Ok(()),
        Some(_) => {
            Err(Malformed::new(InvalidCode::InvalidMember.as_str(), "an attribute's value has more than one kind"))
        }
    }
}

/// The integers of the protocol.
trait Integer: Default + FromStr {
    fn of_number(number: &Number<'_>) -> Option<Self>;
}

impl Integer for i64 {
    fn of_number(number: &Number<'_>) -> Option<Self> {
        number.as_i64()
    }
}

impl Integer for u64 {
    fn of_number(number: &Number<'_>) -> Option<Self> {
        number.as_u64()
    }
}

impl Integer for u32 {
    fn of_number(number: &Number<'_>) -> Option<Self> {
        number.as_u64()?.try_into().ok()
    }
}

impl Integer for i32 {
    fn of_number(number: &Number<'_>) -> Option<Self> {
        number.as_i64()?.try_into().ok()
    }
}

/// The bytes of hexadecimal digits in either case.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()).collect()
}
