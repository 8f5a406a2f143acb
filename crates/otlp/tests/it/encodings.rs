//! Both encodings of a span give the same batch, and the canonical text is the one that is written down.
use crate::common::*;
use opentelemetry_proto::tonic::trace::v1::Status;
use proptest::prelude::*;
use prost::Message;
use tracekeep_otlp::{Encoding, decode};

const GOLDEN: &str = concat!(
    r#"{"scope":{"attributes":[{"key":"s1","value":{"stringValue":"a"}},{"key":"s2","value":{"stringValue":"b"}}],"#,
    r#""droppedAttributesCount":1,"name":"lib","schemaUrl":"https://scope","version":"1.2"},"#,
    r#""span":{"attributes":[{"key":"a.text","value":{"stringValue":"é😀\n\u0000"}},"#,
    r#"{"key":"b.bytes","value":{"bytesValue":"//4A"}},{"key":"b.double","value":{"doubleValue":0.5}},"#,
    r#"{"key":"c.list","value":{"arrayValue":{"values":[{"intValue":"0"},{"stringValue":"x"},{"arrayValue":{}}]}}},"#,
    r#"{"key":"c.pairs","value":{"kvlistValue":{"values":[{"key":"k1","value":{"kvlistValue":{}}},"#,
    r#"{"key":"k2","value":{"boolValue":true}}]}}},{"key":"z.int","value":{"intValue":"-9007199254740993"}}],"#,
    r#""droppedAttributesCount":1,"droppedEventsCount":2,"droppedLinksCount":3,"endTimeUnixNano":"1250000000","#,
    r#""events":[{"attributes":[{"key":"exception.type","value":{"stringValue":"E"}},"#,
    r#"{"key":"z","value":{"boolValue":false}}],"droppedAttributesCount":4,"name":"exception","#,
    r#""timeUnixNano":"1100000000"}],"flags":257,"kind":3,"#,
    r#""links":[{"attributes":[{"key":"a","value":{"stringValue":""}},{"key":"b","value":{"stringValue":"2"}}],"#,
    r#""droppedAttributesCount":5,"flags":1,"spanId":"cdcdcdcdcdcdcdcd","#,
    r#""traceId":"abababababababababababababababab","traceState":"s"}],"name":"name of the span","#,
    r#""parentSpanId":"0000000000000007","spanId":"eee19b7ec3c1b174","startTimeUnixNano":"1000000000","#,
    r#""status":{"code":2,"message":"no \"luck\""},"traceId":"5b8efff798038103d269b633813fc60c","#,
    r#""traceState":"vendor=1"}}"#,
);

#[test]
fn the_canonical_text_of_a_span_that_uses_everything() {
    assert_eq!(mapped(full_span()).otel.unwrap().as_str(), GOLDEN);
}

#[test]
fn the_canonical_text_leaves_defaults_out() {
    let mut request = request_of(vec![Span { name: String::new(), ..span([]) }]);
    let spans = &mut request.resource_spans[0].scope_spans[0];
    (spans.scope, spans.schema_url) = (None, String::new());
    spans.spans[0].status = Some(Status::default());
    let bare = concat!(
        r#"{"span":{"endTimeUnixNano":"1250000000","parentSpanId":"0000000000000007","spanId":"eee19b7ec3c1b174","#,
        r#""startTimeUnixNano":"1000000000","traceId":"5b8efff798038103d269b633813fc60c"}}"#
    );
    assert_eq!(trace(&export(&request).spans[0]).otel.unwrap().as_str(), bare);
}

#[test]
fn both_encodings_give_the_same_batch() {
    let root = Span { parent_span_id: Vec::new(), ..full_span() };
    let request = request_of(vec![full_span(), root, Span { end_time_unix_nano: 0, ..full_span() }]);
    let of_json = decode(&json_of(&request), Encoding::Json).unwrap();
    assert_eq!(export(&request), of_json);
    assert_eq!(of_json.spans.len(), 3);
}

#[test]
fn the_order_of_attributes_never_shows() {
    let mut turned = full_span();
    turned.attributes.reverse();
    turned.events[0].attributes.reverse();
    turned.links[0].attributes.reverse();
    assert_eq!(mapped(turned), mapped(full_span()));
}

#[test]
fn spellings_of_json_do_not_show() {
    let plain = json_span(
        r#","name":"n","kind":2,"startTimeUnixNano":"1000","endTimeUnixNano":"2000","flags":1,
        "attributes":[{"key":"a","value":{"intValue":"5"}},{"key":"b","value":{"doubleValue":1.5}},
        {"key":"c","value":{"bytesValue":"+/8="}},{"key":"d"}]"#,
    );
    let other = json_span(
        r#","flags":"1","endTimeUnixNano":2000,"startTimeUnixNano":1e3,"kind":2,"parentSpanId":null,"status":null,
        "attributes":[{"value":null,"key":"d"},{"key":"c","value":{"bytesValue":"-_8"}},
        {"key":"a","value":{"intValue":5,"stringValue":null}},{"key":"b","value":{"doubleValue":"15e-1"}}],
        "events":null,"links":[],"name":"\u006e","notYetInvented":{"deep":[1]}"#,
    )
    .replace(TRACE_ID, &TRACE_ID.to_uppercase());
    assert_eq!(of_json(&plain), of_json(&other));
}

#[test]
fn doubles_without_a_json_number_are_strings() {
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0].map(Value::DoubleValue);
    let otel = mapped(span([("n", list(numbers))])).otel.unwrap();
    let expected = concat!(
        r#"{"values":[{"doubleValue":"NaN"},{"doubleValue":"Infinity"},{"doubleValue":"-Infinity"},"#,
        r#"{"doubleValue":0}]}"#
    );
    assert!(otel.as_str().contains(expected), "{otel:?}");
    let json = json_span(&format!(r#","attributes":[{{"key":"n","value":{{"arrayValue":{expected}}}}}]"#));
    let of_json = trace(&of_json(&json).spans[0]).otel.unwrap();
    assert!(of_json.as_str().contains(expected), "{of_json:?}");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        ".{0,12}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        proptest::num::f64::NORMAL.prop_map(Value::DoubleValue),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::BytesValue),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(list),
            proptest::collection::vec(inner, 0..4)
                .prop_map(|values| pairs(["k", "j", "k\u{ffff}", "k\u{1f600}"].into_iter().zip(values))),
        ]
    })
}

const KEYS: [&str; 12] = [
    "gen_ai.operation.name",
    "openinference.span.kind",
    "gen_ai.tool.name",
    "gen_ai.tool.call.arguments",
    "gen_ai.output.messages",
    "gen_ai.retrieval.documents",
    "input.value",
    "output.value",
    "tag.tags",
    "gen_ai.usage.input_tokens",
    "gen_ai.request.model",
    "session.id",
];
const WORDS: [&str; 8] =
    ["execute_tool", "chat", "plan", "retrieval", "TOOL", "GUARDRAIL", "Thought", r#"[{"parts":1}]"#];

fn any_span() -> impl Strategy<Value = Span> {
    let value = prop_oneof![any_value(), proptest::sample::select(&WORDS[..]).prop_map(text)];
    let pairs = proptest::collection::vec((proptest::sample::select(&KEYS[..]), value), 0..8);
    (pairs, any::<(u64, u64, u64, i32, u32)>(), ".{0,9}", 0..3i32).prop_map(
        |(pairs, (id, start, end, kind, flags), name, code)| Span {
            span_id: id.to_be_bytes().into(),
            parent_span_id: if id % 2 == 0 { Vec::new() } else { vec![1; 8] },
            start_time_unix_nano: start >> (id % 3),
            end_time_unix_nano: end >> (id % 3),
            kind,
            flags,
            status: Some(Status { message: name.clone(), code }),
            name,
            ..span(pairs)
        },
    )
}

proptest! {
    #[test]
    fn any_span_gives_the_same_in_both_encodings(spans in proptest::collection::vec(any_span(), 0..4)) {
        let request = request_of(spans);
        let of_json = decode(&json_of(&request), Encoding::Json).unwrap();
        prop_assert_eq!(&export(&request), &of_json);
        prop_assert_eq!(of_json.spans.len(), request.resource_spans[0].scope_spans[0].spans.len());
        // What was mapped keeps every limit, and the canonical text is itself an export of the same span.
        for mapped in &of_json.spans {
            let Ok(batch) = &mapped.mapping else { continue };
            for op in &batch.ops {
                op.clone().check().unwrap();
                op.body().check_limits().unwrap();
            }
            let otel = trace(mapped).otel.unwrap();
            let tree: serde_json::Value = serde_json::from_str(otel.as_str()).unwrap();
            let mut scope = tree["scope"].clone();
            let schema = scope.as_object_mut().unwrap().remove("schemaUrl");
            let again = serde_json::json!({"resourceSpans":[{"scopeSpans":[
                {"scope": scope, "schemaUrl": schema, "spans": [tree["span"].clone()]}]}]});
            let again = decode(again.to_string().as_bytes(), Encoding::Json).unwrap();
            prop_assert_eq!(&trace(&again.spans[0]), &trace(mapped));
        }
    }

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&body, Encoding::Protobuf);
        let _ = decode(&body, Encoding::Json);
    }

    #[test]
    fn a_changed_byte_never_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let request = request_of(vec![full_span()]);
        for (encoding, mut body) in [(Encoding::Protobuf, request.encode_to_vec()), (Encoding::Json, json_of(&request))] {
            let at = at.index(body.len());
            body[at] = byte;
            let _ = decode(&body, encoding);
        }
    }
}
