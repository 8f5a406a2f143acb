//! Protobuf: decoded by prost, moved over without copying.
//!
//! prost refuses messages that nest deeper than 100, which bounds every recursion over values.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::Message as _;

use crate::attributes::{AnyValue, KeyValue};
use crate::decode::Malformed;
use crate::span::{Event, Link, Request, ResourceSpans, ScopeSpans, Span, Status};

pub(crate) fn request(body: &[u8]) -> Result<Request<'static>, Malformed> {
    let request = ExportTraceServiceRequest::decode(body)
        .map_err(|error| Malformed::new(Malformed::PROTOBUF, format!("the body is not a trace export: {error}")))?;
    Ok(Request { resources: each(request.resource_spans, resource) })
}

fn each<A, B>(items: Vec<A>, convert: impl Fn(A) -> B) -> Vec<B> {
    items.into_iter().map(convert).collect()
}

fn resource(from: trace::ResourceSpans) -> ResourceSpans<'static> {
    ResourceSpans {
        attributes: from.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default(),
        schema_url: from.schema_url.into(),
        scopes: each(from.scope_spans, scope),
        fault: None,
    }
}

fn scope(from: trace::ScopeSpans) -> ScopeSpans<'static> {
    let scope = from.scope.unwrap_or_default();
    ScopeSpans {
        name: scope.name.into(),
        version: scope.version.into(),
        attributes: attributes(scope.attributes),
        dropped_attributes_count: scope.dropped_attributes_count,
        schema_url: from.schema_url.into(),
        spans: each(from.spans, span),
        fault: None,
    }
}

fn span(from: trace::Span) -> Span<'static> {
    let status = from.status.unwrap_or_default();
    Span {
        trace_id: from.trace_id,
        span_id: from.span_id,
        trace_state: from.trace_state.into(),
        parent_span_id: from.parent_span_id,
        flags: from.flags,
        name: from.name.into(),
        kind: from.kind,
        start_time_unix_nano: from.start_time_unix_nano,
        end_time_unix_nano: from.end_time_unix_nano,
        attributes: attributes(from.attributes),
        dropped_attributes_count: from.dropped_attributes_count,
        events: each(from.events, |event| Event {
            time_unix_nano: event.time_unix_nano,
            name: event.name.into(),
            attributes: attributes(event.attributes),
            dropped_attributes_count: event.dropped_attributes_count,
        }),
        dropped_events_count: from.dropped_events_count,
        links: each(from.links, |link| Link {
            trace_id: link.trace_id,
            span_id: link.span_id,
            trace_state: link.trace_state.into(),
            attributes: attributes(link.attributes),
            dropped_attributes_count: link.dropped_attributes_count,
            flags: link.flags,
        }),
        dropped_links_count: from.dropped_links_count,
        status: Status { message: status.message.into(), code: status.code },
        fault: None,
    }
}

fn attributes(from: Vec<common::KeyValue>) -> Vec<KeyValue<'static>> {
    each(from, |pair| KeyValue { key: pair.key.into(), value: pair.value.map(value).unwrap_or_default() })
}

fn value(from: common::AnyValue) -> AnyValue<'static> {
    use common::any_value::Value;
    match from.value {
        // An index into a table of strings, which trace exports do not have.
        None | Some(Value::StringValueStrindex(_)) => AnyValue::Empty,
        Some(Value::StringValue(text)) => AnyValue::String(text.into()),
        Some(Value::BoolValue(flag)) => AnyValue::Bool(flag),
        Some(Value::IntValue(number)) => AnyValue::Int(number),
        Some(Value::DoubleValue(number)) => AnyValue::Double(number),
        Some(Value::ArrayValue(array)) => AnyValue::Array(each(array.values, value)),
        Some(Value::KvlistValue(pairs)) => AnyValue::KeyValues(attributes(pairs.values)),
        Some(Value::BytesValue(bytes)) => AnyValue::Bytes(bytes),
    }
}
