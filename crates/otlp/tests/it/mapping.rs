//! The rules of the mapping, one by one.
use crate::common::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Status;
use tracekeep_core::Timestamp;
use tracekeep_core::json::Json;
use tracekeep_core::model::{Op, Source, TraceStatus, TraceType};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// The type of a span with these attributes, as it stands in the record.
#[track_caller]
fn check_type<'k>(pairs: impl IntoIterator<Item = (&'k str, Value)>, expect: &str) {
    let trace = mapped(span(pairs));
    let body = Op::RecordTrace(trace).body();
    let (_, rest) = body.as_str().split_once(r#""trace_type":"#).unwrap();
    assert_eq!(&rest[..rest.len() - 1], expect);
}

fn type_name(word: &str, key: &str) -> String {
    mapped(span([(key, text(word))])).trace_type.type_name().to_owned()
}

#[test]
fn ids_are_lower_case_hex() {
    let trace = mapped(span([]));
    assert_eq!(trace.run_id.as_str(), TRACE_ID);
    assert_eq!(trace.id.unwrap().as_str(), SPAN_ID);
    assert_eq!(trace.parent_id.unwrap().as_str(), "0000000000000007");
    for none in [vec![], vec![0; 8]] {
        let root = mapped(Span { parent_span_id: none, ..span([]) });
        assert_eq!(root.parent_id, None);
    }
}

#[test]
fn ids_of_another_length_or_of_zeros_refuse_the_span() {
    for id in [vec![], vec![1; 8], vec![1; 15], vec![1; 17], vec![0; 16]] {
        assert_eq!(rejected(Span { trace_id: id, ..span([]) }).code(), "invalid_id");
    }
    for id in [vec![], vec![1; 7], vec![1; 16], vec![0; 8]] {
        assert_eq!(rejected(Span { span_id: id, ..span([]) }).code(), "invalid_id");
    }
    for id in [vec![1; 7], vec![1; 16], vec![0; 9]] {
        assert_eq!(rejected(Span { parent_span_id: id, ..span([]) }).code(), "invalid_id");
    }
}

#[test]
fn times_and_their_marks() {
    let times = |from: u64, to: u64| {
        let trace = mapped(Span { start_time_unix_nano: from, end_time_unix_nano: to, ..span([]) });
        let nanos = |time: Option<Timestamp>| time.map(Timestamp::as_nanos);
        let metadata: serde_json::Value = serde_json::from_str(trace.metadata.as_str()).unwrap();
        (nanos(trace.occurred_at), nanos(trace.ended_at), trace.status, metadata["tracekeep.marks"].to_string())
    };
    let (ok, open) = (Some(TraceStatus::Ok), Some(TraceStatus::Open));
    assert_eq!(times(5, 9), (Some(5), Some(9), ok, "null".into()));
    assert_eq!(times(5, 5), (Some(5), Some(5), ok, "null".into()));
    assert_eq!(times(5, 0), (Some(5), None, open, "null".into()));
    assert_eq!(times(0, 9), (None, Some(9), ok, r#"["start_missing"]"#.into()));
    assert_eq!(times(0, 0), (None, None, open, r#"["start_missing"]"#.into()));
    assert_eq!(times(9, 5), (Some(9), Some(5), ok, r#"["end_before_start"]"#.into()));
    let last = i64::MAX as u64;
    assert_eq!(times(last, last).0, Some(i64::MAX));
    for (from, to) in [(last + 1, 0), (1, last + 1), (u64::MAX, u64::MAX)] {
        let span = Span { start_time_unix_nano: from, end_time_unix_nano: to, ..span([]) };
        assert_eq!(rejected(span).code(), "invalid_time");
    }
}

#[test]
fn an_error_keeps_the_type() {
    let failed = Span {
        status: Some(Status { code: 2, message: "boom".to_owned() }),
        ..span([("gen_ai.operation.name", text("execute_tool")), ("error.type", text("timeout"))])
    };
    let trace = mapped(failed.clone());
    assert_eq!(trace.status, Some(TraceStatus::Error));
    assert_eq!(trace.trace_type.type_name(), "ToolCall");
    assert!(trace.metadata.as_str().contains(r#""error_type":"timeout""#));
    assert_eq!(mapped(Span { end_time_unix_nano: 0, ..failed }).status, Some(TraceStatus::Open));
    for code in [0, 1, 3, -1] {
        let trace = mapped(Span { status: Some(Status { code, message: String::new() }), ..span([]) });
        assert_eq!(trace.status, Some(TraceStatus::Ok), "{code}");
    }
}

#[test]
fn the_ladder() {
    let of = |words: &[&str], key: &str| words.iter().map(|word| type_name(word, key)).collect::<Vec<_>>();
    let kinds =
        ["TOOL", "llm", "RETRIEVER", "RERANKER", "EMBEDDING", "GUARDRAIL", "EVALUATOR", "AGENT", "CHAIN", "NEW"];
    let types = ["ToolCall", "Thought", "Query", "Query", "Query", "Decision", "Decision", "AGENT", "CHAIN", "NEW"];
    assert_eq!(of(&kinds, "openinference.span.kind"), types);
    let operations = [
        "execute_tool",
        "chat",
        "generate_content",
        "text_completion",
        "embeddings",
        "retrieval",
        "search_memory",
        "plan",
        "invoke_agent",
        "invoke_workflow",
        "create_agent",
        "upsert_memory",
    ];
    let types = [
        "ToolCall",
        "Thought",
        "Thought",
        "Thought",
        "Query",
        "Query",
        "Query",
        "Decision",
        "invoke_agent",
        "invoke_workflow",
        "create_agent",
        "upsert_memory",
    ];
    assert_eq!(of(&operations, "gen_ai.operation.name"), types);
    for key in ["gen_ai.tool.name", "gen_ai.tool.call.id"] {
        assert_eq!(type_name("x", key), "ToolCall");
    }
    for key in ["gen_ai.request.model", "gen_ai.response.model", "llm.model_name"] {
        assert_eq!(type_name("x", key), "Thought");
    }
    assert_eq!(type_name("x", "http.method"), "name of the span");
}

#[test]
fn the_first_rule_wins_and_is_named() {
    let rule = |pairs: Vec<(&str, Value)>| {
        let trace = mapped(span(pairs));
        let metadata: serde_json::Value = serde_json::from_str(trace.metadata.as_str()).unwrap();
        assert_eq!(metadata["mapper"], "1");
        (trace.trace_type.type_name().to_owned(), metadata["rule"].as_str().unwrap().to_owned())
    };
    let expect = |name: &str, rule: &str| (name.to_owned(), rule.to_owned());
    let mut pairs = vec![("gen_ai.request.model", text("m"))];
    assert_eq!(rule(pairs.clone()), expect("Thought", "model"));
    pairs.push(("gen_ai.tool.name", text("t")));
    assert_eq!(rule(pairs.clone()), expect("ToolCall", "gen_ai.tool.name"));
    pairs.push(("gen_ai.operation.name", text("plan")));
    assert_eq!(rule(pairs.clone()), expect("Decision", "gen_ai.operation.name"));
    pairs.push(("openinference.span.kind", text("RETRIEVER")));
    assert_eq!(rule(pairs.clone()), expect("Query", "openinference.span.kind"));
    assert_eq!(rule(vec![("openinference.span.kind", text(""))]), expect("name of the span", "none"));
    assert_eq!(rule(vec![("gen_ai.operation.name", Value::IntValue(5))]), expect("name of the span", "none"));
}

#[test]
fn tool_calls() {
    check_type(
        [
            ("gen_ai.operation.name", text("execute_tool")),
            ("gen_ai.tool.name", text("search")),
            ("gen_ai.tool.call.arguments", text(r#"{"q":"rust", "n": 2.0}"#)),
            ("gen_ai.tool.call.result", text("plain text")),
        ],
        concat!(
            r#"{"arguments":{"n":2,"q":"rust"},"duration_ms":250,"result":"plain text","#,
            r#""tool_name":"search","type":"ToolCall"}"#
        ),
    );
    check_type(
        [
            ("openinference.span.kind", text("TOOL")),
            ("tool.name", text("calc")),
            ("tool.parameters", text(r#"{"type":"object"}"#)),
            ("input.value", pairs([("b", Value::IntValue(1)), ("a", list([Value::BytesValue(vec![255])]))])),
            ("output.value", text("42")),
        ],
        r#"{"arguments":{"a":["/w=="],"b":1},"duration_ms":250,"result":42,"tool_name":"calc","type":"ToolCall"}"#,
    );
    check_type(
        [("openinference.span.kind", text("TOOL")), ("tool.parameters", text(r#"{"a":1,"a":2}"#))],
        r#"{"arguments":"{\"a\":1,\"a\":2}","duration_ms":250,"tool_name":"name of the span","type":"ToolCall"}"#,
    );
    let named = |name: &str| Span { name: name.to_owned(), ..span([("gen_ai.operation.name", text("execute_tool"))]) };
    for (name, tool) in [("execute_tool search", "search"), ("search", "search"), ("", "span")] {
        let TraceType::ToolCall { tool_name, arguments, result, .. } = mapped(named(name)).trace_type else { panic!() };
        assert_eq!((tool_name.as_str(), arguments, result), (tool, Json::null(), None));
    }
    let TraceType::ToolCall { duration_ms, .. } = mapped(Span { end_time_unix_nano: 0, ..named("t") }).trace_type
    else {
        panic!()
    };
    assert_eq!(duration_ms, None);
}

#[test]
fn json_in_a_string_that_would_nest_too_deep_for_the_record_stays_a_string() {
    for (levels, read) in [(126, true), (127, false), (128, false), (100_000, false)] {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let trace = mapped(span([("gen_ai.tool.name", text("t")), ("gen_ai.tool.call.arguments", text(&nested))]));
        let op = Op::RecordTrace(trace.clone());
        op.body().check_limits().unwrap();
        let TraceType::ToolCall { arguments, .. } = trace.trace_type else { panic!() };
        assert_eq!(arguments.as_str().starts_with('['), read, "{levels}");
    }
}

#[test]
fn thoughts() {
    let content = |pairs: Vec<(&str, Value)>| {
        let mut all = vec![("gen_ai.operation.name", text("chat"))];
        all.extend(pairs);
        let TraceType::Thought { content, confidence: None } = mapped(span(all)).trace_type else { panic!() };
        content
    };
    let messages = r#"[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"text","content":"one"}]},
        {"role":"assistant","parts":[{"type":"text","content":"two"}]}]"#;
    assert_eq!(content(vec![("gen_ai.output.messages", text(messages)), ("output.value", text("x"))]), "one\ntwo");
    let reasoning = r#"[{"parts":[{"type":"reasoning","content":"hm"},{"type":"tool_call","name":"t"}]}]"#;
    assert_eq!(content(vec![("gen_ai.output.messages", text(reasoning))]), "hm");
    let call = r#"[{"parts":[{"type":"tool_call","name":"t"}]}]"#;
    assert_eq!(content(vec![("gen_ai.output.messages", text(call))]), call);
    let structured = list([pairs([("parts", list([pairs([("type", text("text")), ("content", text("deep"))])]))])]);
    assert_eq!(content(vec![("gen_ai.output.messages", structured)]), "deep");
    let flat = vec![
        ("llm.output_messages.0.message.content", text("a")),
        ("llm.output_messages.0.message.role", text("assistant")),
        ("llm.output_messages.1.message.contents.0.message_content.text", text("b")),
        ("output.value", text("raw")),
    ];
    assert_eq!(content(flat), "a\nb");
    assert_eq!(content(vec![("gen_ai.completion.0.content", text("old"))]), "old");
    assert_eq!(content(vec![("output.value", text("raw"))]), "raw");
    assert_eq!(content(vec![("output.value", text(""))]), "name of the span");
    assert_eq!(content(vec![]), "name of the span");
}

#[test]
fn queries() {
    check_type(
        [
            ("gen_ai.operation.name", text("retrieval")),
            ("gen_ai.retrieval.query.text", text("cats")),
            ("gen_ai.retrieval.documents", list([text("a"), text("b")])),
        ],
        r#"{"query":"cats","query_type":"retrieval","results_count":2,"type":"Query"}"#,
    );
    check_type(
        [
            ("openinference.span.kind", text("RETRIEVER")),
            ("input.value", text("dogs")),
            ("retrieval.documents.0.document.id", text("1")),
            ("retrieval.documents.0.document.score", Value::DoubleValue(0.5)),
            ("retrieval.documents.1.document.id", text("2")),
        ],
        r#"{"query":"dogs","query_type":"RETRIEVER","results_count":2,"type":"Query"}"#,
    );
    check_type(
        [("gen_ai.operation.name", text("embeddings"))],
        r#"{"query":"name of the span","query_type":"embeddings","type":"Query"}"#,
    );
}

#[test]
fn decisions() {
    check_type(
        [
            ("openinference.span.kind", text("EVALUATOR")),
            ("input.value", text("is it polite?")),
            ("evaluation.label", text("yes")),
            ("evaluation.explanation", text("it says please")),
        ],
        concat!(
            r#"{"chosen":"yes","options":[],"question":"is it polite?","#,
            r#""reasoning":"it says please","type":"Decision"}"#
        ),
    );
    check_type(
        [("gen_ai.operation.name", text("plan"))],
        r#"{"chosen":"","options":[],"question":"name of the span","type":"Decision"}"#,
    );
}

#[test]
fn custom_names_and_data() {
    check_type(
        [("gen_ai.operation.name", text("invoke_agent"))],
        r#"{"data":{"name":"name of the span"},"name":"invoke_agent","type":"Custom"}"#,
    );
    check_type([], r#"{"data":{},"name":"name of the span","type":"Custom"}"#);
    let name = |name: &str| mapped(Span { name: name.to_owned(), ..span([]) }).trace_type.type_name().to_owned();
    assert_eq!(name("Thought"), "span:Thought");
    assert_eq!(name("Custom"), "span:Custom");
    assert_eq!(name(""), "span");
    assert_eq!(name(&"é".repeat(200)), "é".repeat(128));
}

#[test]
fn tags_keep_the_limits() {
    let tags = |values: Vec<Value>| mapped(span([("tag.tags", list(values))])).tags;
    assert_eq!(tags(vec![text("a"), text(""), Value::IntValue(1), text("b"), text("a")]), ["a", "b"]);
    assert_eq!(tags(vec![text(&"x".repeat(257)), text(&"x".repeat(256))]), ["x".repeat(256)]);
    assert_eq!(tags((0..100).map(|place| text(&place.to_string())).collect()).len(), 64);
    assert!(mapped(span([("tag.tags", text("a"))])).tags.is_empty());
}

#[test]
fn metadata_has_what_a_list_shows() {
    let trace = mapped(span([
        ("gen_ai.agent.name", text("planner")),
        ("gen_ai.system", text("openai")),
        ("gen_ai.request.model", text(&"m".repeat(300))),
        ("gen_ai.response.model", text("m-1")),
        ("gen_ai.tool.call.id", text("call-1")),
        ("gen_ai.usage.input_tokens", Value::IntValue(5)),
        ("llm.token_count.completion", Value::DoubleValue(7.0)),
        ("llm.token_count.total", Value::IntValue(-1)),
    ]));
    let model = "m".repeat(256);
    let expect = format!(
        concat!(
            r#"{{"agent":"planner","input_tokens":5,"mapper":"1","model":"{}","output_tokens":7,"provider":"openai","#,
            r#""response_model":"m-1","rule":"gen_ai.tool.name","tool_call_id":"call-1"}}"#
        ),
        model
    );
    assert_eq!(trace.metadata.as_str(), expect);
}

#[test]
fn a_batch_ensures_describes_and_records() {
    let root = Span {
        parent_span_id: Vec::new(),
        ..span([("gen_ai.agent.name", text("planner")), ("session.id", text("s-1")), ("x", text("y"))])
    };
    let export = export(&request_of(vec![span([]), root]));
    let [first, second] = &export.spans[..] else { panic!() };
    let names = |mapped| batch(mapped).ops.iter().map(Op::name).collect::<Vec<_>>();
    assert_eq!(names(first), ["ensure_run", "describe_run", "record_trace"]);
    assert_eq!(names(second), ["ensure_run", "describe_run", "record_trace"]);
    let Op::EnsureRun(ensure) = &batch(first).ops[0] else { panic!() };
    assert_eq!((ensure.run_id.as_str(), ensure.source), (TRACE_ID, Source::Otlp));

    let resource = &described(first)[0];
    assert_eq!(resource.topic, "resource/agent");
    assert_eq!(
        resource.metadata.json(),
        &json(r#"{"host.cpu":2,"schemaUrl":"https://resource","service.name":"agent"}"#)
    );
    assert_eq!((&resource.agent_id, &resource.goal, resource.started_at), (&None, &None, None));

    let root = &described(second)[0];
    assert_eq!(root.topic, "root");
    assert_eq!(root.agent_id.as_deref(), Some("planner"));
    assert_eq!(root.goal.as_deref(), Some("name of the span"));
    assert_eq!(root.started_at.map(Timestamp::as_nanos), Some(1_000_000_000));
    assert_eq!(root.ended_at.map(Timestamp::as_nanos), Some(1_250_000_000));
    assert_eq!(root.metadata.as_str(), r#"{"session.id":"s-1"}"#);
}

#[test]
fn a_root_that_is_still_open_describes_nothing() {
    let root = Span { parent_span_id: Vec::new(), end_time_unix_nano: 0, ..span([]) };
    let topics: Vec<_> = described(&export(&request_of(vec![root])).spans[0]).into_iter().map(|op| op.topic).collect();
    assert_eq!(topics, ["resource/agent"]);
}

#[test]
fn a_resource_describes_each_of_its_runs_once_a_request() {
    let of_run = |run: u8| Span { trace_id: vec![run; 16], ..span([]) };
    let refused = Span { span_id: vec![1], ..of_run(1) };
    let mut request = request_of(vec![refused, of_run(1), of_run(2), of_run(1), of_run(2)]);
    let mut again = request.resource_spans[0].clone();
    request.resource_spans.push(again.clone());
    again.resource =
        Some(Resource { attributes: attributes([("service.name", text("other"))]), ..Resource::default() });
    request.resource_spans.push(again);
    let topics = |mapped| described(mapped).into_iter().map(|op| op.topic).collect::<Vec<_>>().join(",");
    let spans = export(&request).spans;
    let all: Vec<_> = spans.iter().filter(|mapped| mapped.mapping.is_ok()).map(topics).collect();
    let (agent, other) = ("resource/agent", "resource/other");
    assert_eq!(all, [agent, agent, "", "", "", "", "", "", other, other, "", ""]);
}

#[test]
fn resources_without_a_good_name() {
    let topic = |name: Value| {
        let mut request = request_of(vec![span([])]);
        request.resource_spans[0].resource.as_mut().unwrap().attributes = attributes([("service.name", name)]);
        described(&export(&request).spans[0]).remove(0).topic
    };
    assert_eq!(topic(text("")), "resource/unknown_service");
    assert_eq!(topic(Value::IntValue(5)), "resource/unknown_service");
    assert_eq!(topic(text(&"é".repeat(300))), format!("resource/{}", "é".repeat(123)));
    let mut request = request_of(vec![span([])]);
    request.resource_spans[0].resource = None;
    request.resource_spans[0].schema_url = String::new();
    let op = described(&export(&request).spans[0]).remove(0);
    assert_eq!((op.topic.as_str(), op.metadata.as_str()), ("resource/unknown_service", "{}"));
}

#[test]
fn plain_objects_are_canonical_whatever_their_keys() {
    let keys = ["k\u{ffff}", "k\u{1f600}", "ké", "k", "", "k\n", "k"];
    let arguments = pairs(keys.into_iter().zip((0..).map(Value::IntValue)));
    let trace = mapped(span([("gen_ai.tool.name", text("t")), ("gen_ai.tool.call.arguments", arguments.clone())]));
    let TraceType::ToolCall { arguments: mapped, .. } = trace.trace_type else { panic!() };
    let expect = r#"{"":4,"k":3,"k\n":5,"k\u00e9":2,"k\ud83d\ude00":1,"k\uffff":0}"#;
    assert_eq!(mapped, json(expect));
    assert_eq!(mapped.as_str(), Json::parse(expect).unwrap().as_str());

    let mut request = request_of(vec![span([])]);
    let Value::KvlistValue(arguments) = arguments else { panic!() };
    request.resource_spans[0].resource.as_mut().unwrap().attributes = arguments.values;
    request.resource_spans[0].schema_url = String::new();
    assert_eq!(described(&export(&request).spans[0])[0].metadata.as_str(), mapped.as_str());
}

#[test]
fn of_a_repeated_key_the_first_counts_and_all_are_kept() {
    let trace =
        mapped(span([("gen_ai.tool.name", text("first")), ("a", text("1")), ("gen_ai.tool.name", text("second"))]));
    let TraceType::ToolCall { tool_name, .. } = trace.trace_type else { panic!() };
    assert_eq!(tool_name, "first");
    assert!(trace.otel.unwrap().as_str().contains("second"));
}
