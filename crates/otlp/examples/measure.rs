//! Measures decoding and mapping, and what the well-known redaction looks over: `cargo run --release -p tracekeep-otlp --example measure`.
//!
//! Requests of 100 spans of about 4 KiB, as agent SDKs send them, in both encodings; the median of 30 rounds, in
//! microseconds a span, with the bytes that go in and the bytes of the bodies that come out.
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::hint::black_box;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tracekeep_otlp::{Encoding, decode};
use tracekeep_store::{Batch, Redaction};

const SPANS: u64 = 100;
const ROUNDS: usize = 30;

fn main() {
    for (kind, fields) in [("chat", chat()), ("execute_tool", tool()), ("plain", plain())] {
        let request = request(&fields);
        let bodies = [
            (Encoding::Protobuf, request.encode_to_vec()),
            (Encoding::Json, serde_json::to_vec(&request).expect("invariant: the request has a JSON form")),
        ];
        for (encoding, body) in bodies {
            measure(kind, encoding, &body);
        }
    }
}

fn measure(kind: &str, encoding: Encoding, body: &[u8]) {
    let mut micros: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(decode(black_box(body), encoding)).expect("invariant: the body is an export");
            start.elapsed().as_secs_f64() * 1e6 / SPANS as f64
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    let (batches, _) = decode(body, encoding).expect("invariant: the body is an export").into_batches();
    let redacting = redacting(&batches);
    let recorded: usize = batches.iter().filter_map(|batch| batch.ops.last()).map(|op| op.body().as_str().len()).sum();
    println!(
        "{kind:>12} {encoding:?}: {:.1} µs a span (fastest {:.1}), redacting {redacting:.1}, {:.2} of it; {} bytes in, {} recorded",
        micros[ROUNDS / 2],
        micros[0],
        redacting / micros[ROUNDS / 2],
        body.len() / SPANS as usize,
        recorded / SPANS as usize,
    );
}

/// Looking over what holds nothing to take out, in microseconds a span: the median.
fn redacting(batches: &[Batch]) -> f64 {
    let rules = Redaction::well_known();
    let mut micros: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let mut batches = batches.to_vec();
            let start = Instant::now();
            batches.iter_mut().flat_map(|batch| &mut batch.ops).for_each(|op| rules.redact(black_box(op)));
            let took = start.elapsed().as_secs_f64() * 1e6 / SPANS as f64;
            assert!(
                batches
                    .iter_mut()
                    .flat_map(|batch| &mut batch.ops)
                    .all(|op| op.redacted_mut().is_none_or(|redacted| redacted.is_none()))
            );
            took
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    micros[ROUNDS / 2]
}

fn chat() -> Vec<(&'static str, Value)> {
    let prompt = format!(r#"[{{"role":"user","parts":[{{"type":"text","content":"{}"}}]}}]"#, text(2_200));
    let answer = format!(r#"[{{"role":"assistant","parts":[{{"type":"text","content":"{}"}}]}}]"#, text(800));
    let mut fields = common("chat");
    fields.extend([
        ("gen_ai.request.model", string("gpt-5")),
        ("gen_ai.response.model", string("gpt-5-2026-01-01")),
        ("gen_ai.input.messages", Value::StringValue(prompt)),
        ("gen_ai.output.messages", Value::StringValue(answer)),
        ("gen_ai.usage.input_tokens", Value::IntValue(812)),
        ("gen_ai.usage.output_tokens", Value::IntValue(220)),
    ]);
    fields
}

fn tool() -> Vec<(&'static str, Value)> {
    let mut fields = common("execute_tool");
    fields.extend([
        ("gen_ai.tool.name", string("web_search")),
        ("gen_ai.tool.call.id", string("call_0123456789")),
        ("gen_ai.tool.call.arguments", Value::StringValue(format!(r#"{{"q":"{}","n":5}}"#, text(600)))),
        ("gen_ai.tool.call.result", Value::StringValue(format!(r#"{{"hits":["{}"]}}"#, text(2_600)))),
    ]);
    fields
}

fn plain() -> Vec<(&'static str, Value)> {
    let mut fields = common("");
    fields.retain(|(key, _)| !key.starts_with("gen_ai"));
    fields.push(("app.note", Value::StringValue(text(3_200))));
    fields
}

fn common(operation: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("gen_ai.operation.name", string(operation)),
        ("gen_ai.provider.name", string("openai")),
        ("gen_ai.conversation.id", string("conv_5j66UpCpwteGg4YSxUnt7lPY")),
        ("server.address", string("api.openai.com")),
        ("server.port", Value::IntValue(443)),
        ("gen_ai.request.temperature", Value::DoubleValue(0.2)),
        ("app.retry", Value::BoolValue(false)),
        ("thread.id", Value::IntValue(140_123_456_789)),
        ("thread.name", string("MainThread")),
        ("code.function.name", string("agent.loop.step")),
        ("code.file.path", string("/srv/agent/agent/loop.py")),
        ("code.line.number", Value::IntValue(118)),
    ]
}

/// Prose with the line breaks and quotes that need escapes.
fn text(bytes: usize) -> String {
    r#"The flight leaves at 07:40 from gate B12,\n and \"early\" means two hours before. "#.chars().cycle().take(bytes / 82 * 82).collect()
}

fn string(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn attributes(fields: &[(&str, Value)]) -> Vec<KeyValue> {
    fields
        .iter()
        .map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue { value: Some(value.clone()) }),
            ..KeyValue::default()
        })
        .collect()
}

fn request(fields: &[(&str, Value)]) -> ExportTraceServiceRequest {
    let spans = (1..=SPANS)
        .map(|place| Span {
            trace_id: (0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128 + u128::from(place / 20)).to_be_bytes().into(),
            span_id: place.to_be_bytes().into(),
            parent_span_id: if place % 20 == 0 { Vec::new() } else { (place / 20 * 20 + 1).to_be_bytes().into() },
            flags: 0x101,
            name: "chat gpt-5".to_owned(),
            kind: 3,
            start_time_unix_nano: 1_790_000_000_000_000_000 + place,
            end_time_unix_nano: 1_790_000_000_500_000_000 + place,
            attributes: attributes(fields),
            ..Span::default()
        })
        .collect();
    let resource = [("service.name", string("agent")), ("telemetry.sdk.language", string("python"))];
    let scope = InstrumentationScope {
        name: "opentelemetry.instrumentation.openai".to_owned(),
        version: "0.40.1".to_owned(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: attributes(&resource), ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}
