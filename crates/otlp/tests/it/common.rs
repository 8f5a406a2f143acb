//! Spans to map, in both encodings.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
pub(crate) use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
pub(crate) use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Status};
use prost::Message;
use tracekeep_core::model::{DescribeRun, Op, RecordTrace};
use tracekeep_otlp::{Encoding, Export, Mapped, Rejected, decode};
use tracekeep_store::Batch;

pub(crate) type Request = ExportTraceServiceRequest;

pub(crate) const TRACE_ID: &str = "5b8efff798038103d269b633813fc60c";
pub(crate) const SPAN_ID: &str = "eee19b7ec3c1b174";

pub(crate) fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

pub(crate) fn list(values: impl IntoIterator<Item = Value>) -> Value {
    let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
    Value::ArrayValue(ArrayValue { values })
}

pub(crate) fn pairs(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::KvlistValue(KeyValueList { values: attributes(pairs) })
}

pub(crate) fn attributes<'k>(pairs: impl IntoIterator<Item = (&'k str, Value)>) -> Vec<KeyValue> {
    pairs
        .into_iter()
        .map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        })
        .collect()
}

pub(crate) fn span<'k>(pairs: impl IntoIterator<Item = (&'k str, Value)>) -> Span {
    Span {
        trace_id: 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128.to_be_bytes().into(),
        span_id: 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes().into(),
        parent_span_id: 7u64.to_be_bytes().into(),
        name: "name of the span".to_owned(),
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_250_000_000,
        attributes: attributes(pairs),
        ..Span::default()
    }
}

/// A span that uses everything.
pub(crate) fn full_span() -> Span {
    Span {
        trace_state: "vendor=1".to_owned(),
        flags: 0x101,
        kind: 3,
        dropped_attributes_count: 1,
        dropped_events_count: 2,
        dropped_links_count: 3,
        events: vec![Event {
            time_unix_nano: 1_100_000_000,
            name: "exception".to_owned(),
            attributes: attributes([("z", Value::BoolValue(false)), ("exception.type", text("E"))]),
            dropped_attributes_count: 4,
        }],
        links: vec![Link {
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            trace_state: "s".to_owned(),
            attributes: attributes([("b", text("2")), ("a", text(""))]),
            dropped_attributes_count: 5,
            flags: 1,
        }],
        status: Some(Status { message: "no \"luck\"".to_owned(), code: 2 }),
        ..span([
            ("z.int", Value::IntValue(-9_007_199_254_740_993)),
            ("a.text", text("é\u{1F600}\n\0")),
            ("b.double", Value::DoubleValue(0.5)),
            ("b.bytes", Value::BytesValue(vec![0xff, 0xfe, 0])),
            ("c.list", list([Value::IntValue(0), text("x"), list([])])),
            ("c.pairs", pairs([("k2", Value::BoolValue(true)), ("k1", pairs([]))])),
        ])
    }
}

pub(crate) fn request_of(spans: Vec<Span>) -> Request {
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.2".to_owned(),
        attributes: attributes([("s2", text("b")), ("s1", text("a"))]),
        dropped_attributes_count: 1,
    };
    let resource = [("service.name", text("agent")), ("host.cpu", Value::DoubleValue(2.0))];
    Request {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: "https://scope".to_owned() }],
            schema_url: "https://resource".to_owned(),
        }],
    }
}

pub(crate) fn json_of(request: &Request) -> Vec<u8> {
    serde_json::to_vec(request).unwrap()
}

#[track_caller]
pub(crate) fn export(request: &Request) -> Export {
    decode(&request.encode_to_vec(), Encoding::Protobuf).unwrap()
}

#[track_caller]
pub(crate) fn batch(mapped: &Mapped) -> &Batch {
    mapped.mapping.as_ref().unwrap()
}

#[track_caller]
pub(crate) fn trace(mapped: &Mapped) -> RecordTrace {
    match batch(mapped).ops.last() {
        Some(Op::RecordTrace(trace)) => trace.clone(),
        other => panic!("no trace but {other:?}"),
    }
}

pub(crate) fn described(mapped: &Mapped) -> Vec<DescribeRun> {
    let ops = &batch(mapped).ops;
    ops.iter().filter_map(|op| if let Op::DescribeRun(op) = op { Some(op.clone()) } else { None }).collect()
}

/// The trace of one span.
#[track_caller]
pub(crate) fn mapped(span: Span) -> RecordTrace {
    trace(&export(&request_of(vec![span])).spans[0])
}

/// Why one span is refused.
#[track_caller]
pub(crate) fn rejected(span: Span) -> Rejected {
    export(&request_of(vec![span])).spans.remove(0).mapping.unwrap_err()
}

/// One span in OTLP/JSON, `members` being those beside the ids.
pub(crate) fn json_span(members: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{TRACE_ID}","spanId":"{SPAN_ID}"{members}}}]}}]}}]}}"#
    )
}

#[track_caller]
pub(crate) fn of_json(json: &str) -> Export {
    decode(json.as_bytes(), Encoding::Json).unwrap()
}
