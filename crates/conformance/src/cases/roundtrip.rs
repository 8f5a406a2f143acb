//! What is accepted can be read back as it was sent, whatever stands in it.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tracekeep_core::amount::DurationMs;
use tracekeep_core::json::Json;
use tracekeep_core::limits::NAME_BYTES_MAX;
use tracekeep_core::model::{JsonObject, Op, RecordTrace, TraceType};
use tracekeep_core::view::Trace;
use tracekeep_store::{Batch, TraceFilter};

use crate::context::Context;
use crate::ops::{run_id, start, trace_id};

cases!("roundtrip":
    any_trace_reads_back_as_it_was_sent,
    deep_and_wide_json_reads_back_as_it_was_sent,
    numbers_at_their_edges_read_back_as_they_were_sent,
);

/// Traces of a batch.
const TRACES: usize = 40;
/// Batches of generated traces.
const BATCHES: u32 = 8;

/// Text in which all that is special in JSON, UTF-8, SQL and a key of an index is likely.
fn text() -> BoxedStrategy<String> {
    let char = prop_oneof![
        4 => proptest::char::range('a', 'e'),
        3 => proptest::char::range('\0', '\u{7f}'),
        1 => proptest::char::range('\u{d7f0}', '\u{e010}'),
        1 => any::<char>(),
    ];
    prop_oneof![
        20 => vec(char, 0..12).prop_map(String::from_iter),
        1 => proptest::sample::select(vec!["__", "\0", "🦀", "\u{1f}", "null", "%00", "r0"]).prop_map(str::to_owned),
        1 => (1usize..3_000).prop_map(|length| "x".repeat(length)),
    ]
    .boxed()
}

/// 1 to 256 bytes, and no built-in type's.
fn name() -> BoxedStrategy<String> {
    let emoji = Just("🦀".repeat(NAME_BYTES_MAX as usize / 4));
    let fits = |name: &String| {
        (1..=NAME_BYTES_MAX as usize).contains(&name.len()) && !TraceType::BUILT_IN.contains(&name.as_str())
    };
    prop_oneof![9 => text(), 1 => emoji].prop_filter("a name", fits).boxed()
}

fn real() -> BoxedStrategy<f64> {
    let edges = [
        0.0,
        -0.0,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::EPSILON,
        1e21,
        1e-7,
        0.1,
        9_007_199_254_740_993.0,
    ];
    prop_oneof![proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL, proptest::sample::select(edges.to_vec())]
        .boxed()
}

fn whole() -> BoxedStrategy<u64> {
    prop_oneof![any::<u64>(), proptest::sample::select(vec![0, 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, u64::MAX])]
        .boxed()
}

/// JSON as a sender spells it.
fn json() -> BoxedStrategy<Json> {
    let quoted = |text: String| Json::from(text).as_str().to_owned();
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        real().prop_map(|number| format!("{number:e}")),
        any::<i128>().prop_map(|number| number.to_string()),
        whole().prop_map(|number| number.to_string()),
        text().prop_map(quoted),
    ];
    let tree = leaf.prop_recursive(8, 48, 6, move |inner| {
        let members = proptest::collection::btree_map(text(), inner.clone(), 0..6);
        let object = members.prop_map(move |members| {
            let members: Vec<_> =
                members.into_iter().map(|(name, value)| format!("{}: {value}", quoted(name))).collect();
            format!("{{{}}}", members.join(" ,\n"))
        });
        prop_oneof![vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(", "))), object]
    });
    tree.prop_map(|text| Json::parse(&text).expect("JSON")).boxed()
}

fn trace_type() -> BoxedStrategy<TraceType> {
    let duration = any::<i64>().prop_map(|nanos| DurationMs::from_nanos(nanos.saturating_abs()));
    // A null result is none: it reads back as it means.
    let result = json().prop_filter("a result", |json| !json.is_null());
    prop_oneof![
        (name(), json(), of(result), of(duration)).prop_map(|(tool_name, arguments, result, duration_ms)| {
            TraceType::ToolCall { tool_name, arguments, result, duration_ms }
        }),
        (text(), vec(text(), 0..5), text(), of(text())).prop_map(|(question, options, chosen, reasoning)| {
            TraceType::Decision { question, options, chosen, reasoning }
        }),
        (name(), text(), of(whole())).prop_map(|(query_type, query, results_count)| TraceType::Query {
            query_type,
            query,
            results_count
        }),
        (text(), of(real())).prop_map(|(content, confidence)| TraceType::Thought { content, confidence }),
        (name(), text(), any::<bool>()).prop_map(|(error_type, message, recoverable)| TraceType::Error {
            error_type,
            message,
            recoverable
        }),
        (name(), json()).prop_map(|(name, data)| TraceType::Custom { name, data }),
    ]
    .boxed()
}

fn metadata() -> BoxedStrategy<JsonObject> {
    json().prop_map(|json| JsonObject::new(Json::object([("m", json)]).expect("an object")).expect("an object")).boxed()
}

/// Records traces together, and demands each back: by its id, by its type's name and by each of its tags.
#[track_caller]
fn check(cx: &Context, run: &str, traces: &[RecordTrace]) {
    let ops = traces.iter().cloned().map(Op::RecordTrace).collect();
    cx.commit(Batch::of(ops)).unwrap_or_else(|error| panic!("refused: {error:?}"));
    for sent in traces {
        let id = sent.id.as_ref().expect("an id").as_str();
        let read: Trace = cx.trace(run, id);
        assert_eq!(read.trace_type, sent.trace_type);
        assert_eq!((&read.metadata, read.occurred_at), (&sent.metadata, sent.occurred_at.expect("a time")));
        let mut tags: Vec<&String> = Vec::new();
        for tag in &sent.tags {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        assert_eq!(read.tags.iter().collect::<Vec<_>>(), tags);
        let found = |filter: TraceFilter| cx.fitting(run, filter).iter().any(|found| found == id);
        let by_type = TraceFilter { type_name: Some(sent.trace_type.type_name().to_owned()), ..TraceFilter::default() };
        assert!(found(by_type), "by its type: {sent:?}");
        for tag in &sent.tags {
            assert!(found(TraceFilter { tags: vec![tag.clone()], ..TraceFilter::default() }), "by {tag:?}: {sent:?}");
        }
    }
}

fn of_type(run: &str, place: usize, trace_type: TraceType) -> RecordTrace {
    RecordTrace {
        id: Some(trace_id(&format!("t{place}"))),
        occurred_at: Some(tracekeep_core::Timestamp::from_nanos(0)),
        ..RecordTrace::new(run_id(run), trace_type)
    }
}

fn any_trace_reads_back_as_it_was_sent(cx: &mut Context) {
    // The same values for each backend.
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let values = vec((trace_type(), vec(name(), 0..3), metadata(), any::<i64>()), TRACES);
    for n in 0..BATCHES {
        let run = format!("r{n}");
        let all = values.new_tree(&mut runner).expect("values").current().into_iter().enumerate();
        let traces = all.map(|(place, (trace_type, tags, metadata, at))| RecordTrace {
            tags,
            metadata,
            occurred_at: Some(tracekeep_core::Timestamp::from_nanos(at)),
            ..of_type(&run, place, trace_type)
        });
        cx.record(&[start(&run)]);
        check(cx, &run, &traces.collect::<Vec<_>>());
    }
}

fn deep_and_wide_json_reads_back_as_it_was_sent(cx: &mut Context) {
    let deep = |levels: usize| {
        let text = r#"{"":["#.repeat(levels / 2) + &"]}".repeat(levels / 2);
        Json::parse(&text).expect("JSON")
    };
    let wide = Json::parse(&format!("[{}0]", r#"{"k":[]},"#.repeat(20_000))).expect("JSON");
    let members = (0..20_000).map(|n| format!("k{n}"));
    let broad = Json::object(members.map(|name| (name, Json::null()))).expect("an object");
    let long = Json::from("\u{1}".repeat(300_000));
    let traces: Vec<_> = [deep(2), deep(60), deep(120), wide, broad, long]
        .into_iter()
        .enumerate()
        .map(|(place, json)| {
            let result = Some(json.clone());
            let call = TraceType::ToolCall { tool_name: "t".into(), arguments: json, result, duration_ms: None };
            of_type("r", place, call)
        })
        .collect();
    cx.record(&[start("r")]);
    check(cx, "r", &traces);
}

fn numbers_at_their_edges_read_back_as_they_were_sent(cx: &mut Context) {
    let reals = [
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::EPSILON,
        0.1,
        1e21,
        1e-7,
        1e300,
        -0.0,
        2f64.powi(63),
    ];
    let thoughts = reals.into_iter().map(|real| TraceType::Thought { content: String::new(), confidence: Some(real) });
    let counts = [0, 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, 1 << 63, u64::MAX - 1, u64::MAX];
    let queries = counts.into_iter().map(|count| TraceType::Query {
        query_type: "q".into(),
        query: String::new(),
        results_count: Some(count),
    });
    let durations = [0, 1, 999, 1_000_000, 1 << 53, i64::MAX - 1, i64::MAX];
    let calls = durations.into_iter().map(|nanos| TraceType::ToolCall {
        tool_name: "t".into(),
        arguments: Json::from(u64::MAX),
        result: None,
        duration_ms: Some(DurationMs::from_nanos(nanos)),
    });
    let spelled =
        ["340282366920938463463374607431768211457", "-170141183460469231731687303715884105729", "1e308", "-1E-400"];
    let data = spelled
        .into_iter()
        .map(|text| TraceType::Custom { name: "n".into(), data: Json::parse(&format!("[{text}]")).expect("JSON") });
    let all = thoughts.chain(queries).chain(calls).chain(data).enumerate();
    let traces: Vec<_> = all.map(|(place, trace_type)| of_type("r", place, trace_type)).collect();
    cx.record(&[start("r")]);
    check(cx, "r", &traces);
}
