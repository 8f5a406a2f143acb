//! What nobody means to send.
use crate::common::*;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use prost::Message;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{JSON_DEPTH_MAX, OP_BYTES_MAX};
use tracekeep_core::model::{Op, TraceType};
use tracekeep_otlp::{Encoding, Malformed, decode};

#[test]
fn an_empty_body_is_an_export_of_nothing() {
    assert!(decode(b"", Encoding::Protobuf).unwrap().spans.is_empty());
}

#[test]
fn a_body_cut_anywhere_is_refused_or_shorter() {
    let request = request_of(vec![full_span()]);
    let body = request.encode_to_vec();
    for end in 0..body.len() {
        match decode(&body[..end], Encoding::Protobuf) {
            Ok(export) => assert!(end == 0 && export.spans.is_empty(), "cut at {end}"),
            Err(error) => assert_eq!(error.code(), Malformed::PROTOBUF),
        }
    }
    let body = json_of(&request);
    for end in 0..body.len() {
        assert!(decode(&body[..end], Encoding::Json).is_err(), "cut at {end}");
    }
}

#[test]
fn json_sent_as_protobuf_and_the_reverse_are_refused() {
    let request = request_of(vec![full_span()]);
    assert_eq!(decode(&json_of(&request), Encoding::Protobuf).unwrap_err().code(), Malformed::PROTOBUF);
    assert!(decode(&request.encode_to_vec(), Encoding::Json).is_err());
}

#[test]
fn protobuf_that_nests_without_end_is_refused() {
    // Written by hand: encoding the messages would need the stack that this is about.
    let wrap = |tag: u8, inner: Vec<u8>| {
        let mut out = vec![tag << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        out.extend(inner);
        out
    };
    let body = |levels: usize| {
        let value = (0..levels).fold(vec![0x0a, 0], |inner, _| wrap(5, wrap(1, inner)));
        let attribute = [vec![0x0a, 1, b'k'], wrap(2, value)].concat();
        let span = [wrap(1, vec![1; 16]), wrap(2, vec![1; 8]), wrap(9, attribute)].concat();
        wrap(1, wrap(2, wrap(2, span)))
    };
    let decoded = |levels| decode(&body(levels), Encoding::Protobuf);
    assert!(decoded(40).unwrap().spans[0].mapping.is_ok());
    let deep = decoded(44).unwrap().spans.remove(0).mapping.unwrap_err();
    assert_eq!(deep.code(), "too_deep");
    for levels in [60, 5_000] {
        assert_eq!(decoded(levels).unwrap_err().code(), Malformed::PROTOBUF, "{levels}");
    }
}

#[test]
fn nesting_is_refused_exactly_where_the_record_refuses_it() {
    for levels in 0..46 {
        for inner in [text("x"), list([]), pairs([])] {
            let value = (0..levels).fold(inner, |inner, _| {
                Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(inner) }] })
            });
            let mut spans = vec![span([("k", value.clone())]), span([]), span([])];
            spans[1].events = vec![full_span().events.remove(0)];
            spans[1].events[0].attributes = attributes([("k", value.clone())]);
            let mut request = request_of(spans);
            let scope = request.resource_spans[0].scope_spans[0].scope.as_mut().unwrap();
            if levels > 41 {
                scope.attributes = attributes([("k", value)]);
            }
            for mapped in export(&request).spans {
                match mapped.mapping {
                    Ok(batch) => batch.ops.iter().for_each(|op| op.body().check_limits().unwrap()),
                    Err(rejected) => {
                        assert_eq!(rejected.code(), "too_deep");
                        assert!(levels >= 40, "{levels}");
                    }
                }
            }
        }
    }
}

/// The deepest span that is accepted would be too deep for the record with one level more.
#[track_caller]
fn check_deepest(wrap: fn(Value) -> Value, containers_a_level: u32, at: fn(Value) -> Span) {
    let mut value = text("x");
    let mut accepted = 0;
    loop {
        match export(&request_of(vec![at(value.clone())])).spans.remove(0).mapping {
            Ok(batch) => accepted = Json::parse(batch.ops.last().unwrap().body().as_str()).unwrap().depth(),
            Err(rejected) => break assert_eq!(rejected.code(), "too_deep"),
        }
        value = wrap(value);
    }
    assert!(accepted <= JSON_DEPTH_MAX && accepted + containers_a_level > JSON_DEPTH_MAX, "{accepted}");
}

#[test]
fn nothing_that_the_record_could_hold_is_refused_for_its_depth() {
    let at_span: fn(Value) -> Span = |value| span([("k", value)]);
    let at_link: fn(Value) -> Span = |value| {
        let mut span = full_span();
        span.links[0].attributes = attributes([("k", value)]);
        span
    };
    for at in [at_span, at_link] {
        check_deepest(|inner| list([inner]), 3, at);
        check_deepest(|inner| pairs([("k", inner)]), 4, at);
    }
}

#[test]
fn a_million_attributes_are_fine() {
    let many: Vec<_> = (0..1_000_000u64).map(|place| (place * 7_919 % 1_000_003).to_string()).collect();
    let mut request = request_of(vec![span(many.iter().map(|key| (key.as_str(), Value::BoolValue(true))))]);
    let mapped = export(&request).spans.remove(0);
    assert_eq!(mapped.mapping.unwrap_err().code(), "too_large");
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    spans[0] = span([("tag.tags", list((0..1_000_000).map(|_| text("t"))))]);
    assert_eq!(export(&request).spans.remove(0).mapping.unwrap_err().code(), "too_large");
}

#[test]
fn texts_that_would_not_fit_twice_are_left_to_otel() {
    let of = |bytes: usize| {
        let answer = "x".repeat(bytes);
        export(&request_of(vec![span([("gen_ai.operation.name", text("chat")), ("output.value", text(&answer))])]))
            .spans
            .remove(0)
            .mapping
    };
    let content = |bytes: usize| match of(bytes).unwrap().ops.pop() {
        Some(Op::RecordTrace(trace)) => {
            let marked = trace.metadata.as_str().contains(r#""tracekeep.marks":["text_left_in_otel"]"#);
            let TraceType::Thought { content, .. } = trace.trace_type else { panic!() };
            (content.len(), marked)
        }
        other => panic!("{other:?}"),
    };
    let limit = OP_BYTES_MAX as usize;
    assert_eq!(content(limit / 2 - 2_000), (limit / 2 - 2_000, false));
    assert_eq!(content(limit / 2), ("name of the span".len(), true));
    assert_eq!(content(limit - 4_000), ("name of the span".len(), true));
    assert_eq!(of(limit).unwrap_err().code(), "too_large");
}

#[test]
fn a_resource_beyond_the_record_refuses_its_spans() {
    let mut request = request_of(vec![span([]), span([])]);
    let huge = "x".repeat(OP_BYTES_MAX as usize);
    request.resource_spans[0].resource.as_mut().unwrap().attributes = attributes([("k", text(&huge))]);
    request.resource_spans.extend(request_of(vec![span([])]).resource_spans);
    let codes: Vec<_> = export(&request)
        .spans
        .into_iter()
        .map(|mapped| mapped.mapping.map_err(|rejected| rejected.code()).err())
        .collect();
    assert_eq!(codes, [Some("too_large"), Some("too_large"), None]);
}

#[test]
fn control_characters_and_long_names_keep_the_limits() {
    let long = "\u{0}\u{1f600}\u{7f}".repeat(2_000);
    let kinds = ["TOOL", "LLM", "RETRIEVER", "GUARDRAIL", "CHAIN", &long];
    for kind in kinds {
        let mut hostile = Span { parent_span_id: Vec::new(), name: long.clone(), ..span([]) };
        let keys = ["tool.name", "agent.name", "session.id", "llm.model_name", "tag.tags", "input.value"];
        hostile.attributes = attributes(keys.map(|key| (key, text(&long))));
        hostile.attributes.extend(attributes([("openinference.span.kind", text(kind))]));
        for mut op in batch(&export(&request_of(vec![hostile])).spans[0]).ops.clone() {
            op.check().unwrap();
            op.body().check_limits().unwrap();
        }
    }
}
