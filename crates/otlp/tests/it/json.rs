//! OTLP/JSON: what is refused whole, what is refused as one span, what is ignored.
use crate::common::*;
use tracekeep_otlp::{Encoding, Malformed, decode};

#[track_caller]
fn check_refused(json: &str, code: &str, hint: &str) {
    let error = decode(json.as_bytes(), Encoding::Json).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.detail().contains(hint), "{error}");
}

#[track_caller]
fn check_rejected(members: &str, code: &str, hint: &str) {
    let rejected = of_json(&json_span(members)).spans.remove(0).mapping.unwrap_err();
    assert_eq!(rejected.code(), code, "{}", rejected.detail());
    assert!(rejected.detail().contains(hint), "{}", rejected.detail());
}

#[test]
fn an_empty_object_is_an_export_of_nothing() {
    for json in ["{}", " {\n} ", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#] {
        assert!(of_json(json).spans.is_empty(), "{json}");
    }
}

#[test]
fn what_would_record_nothing_is_refused_with_a_hint() {
    check_refused(r#"{"resource_spans":[]}"#, Malformed::NOT_AN_EXPORT, "lowerCamelCase");
    check_refused(r#"{"resourceLogs":[]}"#, Malformed::NOT_AN_EXPORT, "logs or metrics");
    check_refused(r#"{"task":"X"}"#, Malformed::NOT_AN_EXPORT, "no resourceSpans");
    check_refused("[]", Malformed::NOT_AN_EXPORT, "is array");
    check_refused("null", Malformed::NOT_AN_EXPORT, "is null");
    check_refused(r#"{"resourceSpans":[{"scope_spans":[]}]}"#, Malformed::NOT_AN_EXPORT, "scope_spans");
    check_refused(r#"{"resourceSpans":[{"instrumentationLibrarySpans":[]}]}"#, Malformed::NOT_AN_EXPORT, "1.0");
    check_refused(&json_span(r#","start_time_unix_nano":"5""#), Malformed::NOT_AN_EXPORT, "start_time_unix_nano");
    check_refused(
        &json_span(r#","attributes":[{"key":"k","value":{"string_value":"v"}}]"#),
        Malformed::NOT_AN_EXPORT,
        "string_value",
    );
}

#[test]
fn what_is_not_json_is_refused() {
    check_refused("", "malformed_json", "byte 0");
    check_refused("{", "malformed_json", "byte 1");
    check_refused("\n\u{b}", "malformed_json", "byte 1");
    check_refused(r#"{"resourceSpans":[],"resourceSpans":[]}"#, "duplicate_name", "duplicate");
    check_refused(&json_span(r#","name":"\ud800""#), "lone_surrogate", "lone");
    check_refused(&json_span(r#","flags":1e400"#), "number_out_of_range", "range");
    let bytes = b"{\"resourceSpans\":[{\"schemaUrl\":\"\xff\"}]}";
    assert_eq!(decode(bytes, Encoding::Json).unwrap_err().code(), "invalid_utf8");
}

#[test]
fn wrong_types_are_refused_whole() {
    for (members, hint) in [
        (r#","name":5"#, "span.name must be a string, is number"),
        (r#","attributes":{}"#, "attributes must be an array, is object"),
        (r#","attributes":[null]"#, "an attribute must be an object, is null"),
        (r#","attributes":[{"key":1}]"#, "key must be a string"),
        (r#","attributes":[{"key":"k","value":"v"}]"#, "value must be an object"),
        (r#","attributes":[{"key":"k","value":{"intValue":true}}]"#, "intValue must be an integer"),
        (r#","attributes":[{"key":"k","value":{"boolValue":"true"}}]"#, "boolValue must be a boolean"),
        (r#","attributes":[{"key":"k","value":{"doubleValue":[]}}]"#, "doubleValue must be a number"),
        (r#","attributes":[{"key":"k","value":{"arrayValue":[]}}]"#, "arrayValue must be an object"),
        (r#","attributes":[{"key":"k","value":{"kvlistValue":{"values":{}}}}]"#, "must be an array"),
        (r#","attributes":[{"key":"k","value":{"intValue":1,"boolValue":true}}]"#, "more than one kind"),
        (r#","kind":"SPAN_KIND_CLIENT""#, "kind must be an integer (OTLP/JSON has no names of enums), is string"),
        (r#","status":{"code":"STATUS_CODE_ERROR"}"#, "status.code must be an integer"),
        (r#","kind":"2""#, "kind must be an integer"),
        (r#","startTimeUnixNano":{}"#, "startTimeUnixNano must be an integer"),
        (r#","events":[5]"#, "a member of events must be an object"),
        (r#","links":"x""#, "links must be an array"),
        (r#","parentSpanId":7"#, "parentSpanId must be a string"),
    ] {
        check_refused(&json_span(members), "invalid_member", hint);
    }
}

#[test]
fn values_that_do_not_fit_refuse_the_span_alone() {
    check_rejected(r#","startTimeUnixNano":"18446744073709551616""#, "invalid_time", "startTimeUnixNano");
    check_rejected(r#","endTimeUnixNano":-1"#, "invalid_time", "endTimeUnixNano");
    check_rejected(r#","startTimeUnixNano":1.5"#, "invalid_time", "startTimeUnixNano");
    check_rejected(r#","startTimeUnixNano":"+5""#, "invalid_time", "startTimeUnixNano");
    check_rejected(r#","kind":3000000000"#, "number_out_of_range", "kind");
    check_rejected(r#","flags":"4294967296""#, "number_out_of_range", "flags");
    check_rejected(r#","parentSpanId":"xyz""#, "invalid_id", "parentSpanId is not hexadecimal");
    check_rejected(r#","links":[{"traceId":"é"}]"#, "invalid_id", "link.traceId");
    for value in [r#"{"intValue":"9223372036854775808"}"#, r#"{"intValue":1e20}"#, r#"{"doubleValue":"1e999"}"#] {
        check_rejected(&format!(r#","attributes":[{{"key":"k","value":{value}}}]"#), "number_out_of_range", "range");
    }
    check_rejected(r#","attributes":[{"key":"k","value":{"bytesValue":"A"}}]"#, "invalid_member", "base64");
}

#[test]
fn a_refused_span_does_not_touch_its_neighbours() {
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"zz","spanId":"0000000000000001"},
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"0000000000000002"}]}]},
        {"resource":{"attributes":[{"key":"k","value":{"intValue":"x"}}]},"scopeSpans":[{"spans":[
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"0000000000000003"}]}]},
        {"scopeSpans":[{"scope":{"attributes":[{"key":"k","value":{"intValue":"x"}}]},"spans":[
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"0000000000000004"}]},
        {"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"0000000000000005"}]}]}]}"#;
    let export = of_json(json);
    let ok: Vec<_> = export.spans.iter().map(|mapped| (mapped.span_id.as_str(), mapped.mapping.is_ok())).collect();
    let expected = [
        ("0000000000000001", false),
        ("0000000000000002", true),
        ("0000000000000003", false),
        ("0000000000000004", false),
        ("0000000000000005", true),
    ];
    assert_eq!(ok, expected);
}

#[test]
fn nesting_beyond_the_record_refuses_the_span_and_beyond_all_measure_the_body() {
    let nested = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let close = "]}}".repeat(levels);
        json_span(&format!(r#","attributes":[{{"key":"k","value":{open}{close}}}]"#))
    };
    // The op, otel, span, the list, the attribute; then three containers a level.
    assert!(of_json(&nested(41)).spans[0].mapping.is_ok());
    assert_eq!(of_json(&nested(42)).spans[0].mapping.as_ref().unwrap_err().code(), "too_deep");
    check_refused(&nested(200), "too_deep", "deep");
    check_refused(&"[".repeat(100_000), "too_deep", "deep");
}
