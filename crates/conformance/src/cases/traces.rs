//! Traces: the six types, parents, statuses, ends.

use serde_json::{Value, json};
use tracekeep_core::model::{TraceStatus, TraceType};
use tracekeep_store::block_on;

use crate::context::Context;
use crate::ops::{call, child, end, op, run_id, start, step, thought, trace_id, with};

cases!("traces":
    a_trace_with_only_what_is_required_has_its_defaults,
    all_six_types_read_back,
    a_custom_trace_is_not_named_like_a_built_in_type,
    null_is_absent_but_inside_free_json,
    what_differs_in_a_trace_is_named,
    generated_members_are_taken_from_the_record,
    a_parent_must_exist_in_the_run_or_earlier_in_the_batch,
    status_reads_as_stated_else_as_the_type_implies,
    an_end_fills_in_what_was_absent,
    an_end_that_differs_is_a_conflict,
    an_end_with_another_types_member_is_refused,
    ending_twice_equal_is_a_duplicate_and_other_a_conflict,
    a_trace_that_states_its_end_is_not_ended_again,
    ended_at_is_stated_else_derived,
    an_end_in_the_batch_of_its_trace,
    ids_are_unique_in_their_run_alone,
    names_and_tags_are_bounded,
    confidence_is_finite,
    an_ended_trace_reads_back_however_deep_its_result,
);

fn typed(id: &str, trace_type: Value) -> Value {
    json!({"op": "record_trace", "run_id": "r", "id": id, "trace_type": trace_type})
}

fn a_trace_with_only_what_is_required_has_its_defaults(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "t")]);
    let trace = cx.trace("r", "t");
    assert_eq!((trace.parent_id, trace.ended_at, trace.error), (None, None, None));
    assert_eq!((trace.status, trace.late, trace.orphan), (TraceStatus::Ok, false, false));
    assert_eq!((trace.tags.len(), trace.metadata.as_str(), trace.otel), (0, "{}", None));
    assert_eq!((trace.occurred_at, trace.log_index, trace.seq), (trace.recorded_at, 1, 1));
    assert_eq!(trace.ended_log_index, None);
}

fn all_six_types_read_back(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "parent")]);
    let types = [
        json!({"type": "ToolCall", "tool_name": "web", "arguments": {"q": [1, null]}, "result": "x", "duration_ms": 0.5}),
        json!({"type": "ToolCall", "tool_name": "web", "arguments": null}),
        json!({"type": "Decision", "question": "", "options": ["a", "b", "a"], "chosen": "c", "reasoning": "r"}),
        json!({"type": "Decision", "question": "q", "options": [], "chosen": ""}),
        json!({"type": "Query", "query_type": "sql", "query": "select 1", "results_count": u64::MAX}),
        json!({"type": "Query", "query_type": "sql", "query": ""}),
        json!({"type": "Thought", "content": "hm", "confidence": -0.25}),
        json!({"type": "Thought", "content": ""}),
        json!({"type": "Error", "error_type": "Timeout", "message": "", "recoverable": true}),
        json!({"type": "Custom", "name": "my type", "data": [[]]}),
        json!({"type": "Custom", "name": "toolcall", "data": null}),
    ];
    for (at, trace_type) in types.iter().enumerate() {
        let id = format!("t{at}");
        let whole = with(
            typed(&id, trace_type.clone()),
            json!({
                "parent_id": "parent", "occurred_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:01Z",
                "status": "error", "tags": ["a", "b"], "metadata": {"m": {}},
            }),
        );
        let receipt = cx.record(std::slice::from_ref(&whole));
        let trace = cx.trace("r", &id);
        let tracekeep_core::model::Op::RecordTrace(sent) = op(&whole) else { panic!("a trace") };
        assert_eq!(trace.trace_type, sent.trace_type);
        assert_eq!(trace.parent_id, Some(trace_id("parent")));
        assert_eq!(
            (trace.status, trace.tags.join(""), trace.metadata),
            (TraceStatus::Error, "ab".into(), sent.metadata)
        );
        assert_eq!((Some(trace.occurred_at), trace.ended_at), (sent.occurred_at, sent.ended_at));
        cx.again(&[whole], &receipt);
    }
}

fn a_custom_trace_is_not_named_like_a_built_in_type(cx: &mut Context) {
    cx.record(&[start("r")]);
    for name in TraceType::BUILT_IN {
        let error = cx.refuse(&[typed("t", json!({"type": "Custom", "name": name, "data": 1}))], "reserved_name");
        assert_eq!(error.path(), Some("/ops/0/trace_type/name"));
    }
    for (at, name) in ["Tool", "toolcall", "ToolCall ", "Thought\0", "__Thought"].into_iter().enumerate() {
        cx.record(&[typed(&format!("t{at}"), json!({"type": "Custom", "name": name, "data": name}))]);
    }
}

fn null_is_absent_but_inside_free_json(cx: &mut Context) {
    let bare = typed("c", json!({"type": "ToolCall", "tool_name": "t", "arguments": {"a": null}}));
    let nulls = json!({
        "parent_id": null, "occurred_at": null, "ended_at": null, "status": null, "tags": null, "metadata": null,
        "otel": null, "trace_type": {
            "type": "ToolCall", "tool_name": "t", "arguments": {"a": null}, "result": null, "duration_ms": null,
        },
    });
    let receipt = cx.record(&[start("r"), bare.clone()]);
    cx.again(&[start("r"), with(bare.clone(), nulls)], &receipt);
    let empty = json!({"trace_type": {"type": "ToolCall", "tool_name": "t", "arguments": {}}});
    cx.conflict(&[with(bare, empty)], &["trace_type/arguments"]);
    // A library caller may hand a null result in: it is no result, so the call is still open.
    let tracekeep_core::model::Op::RecordTrace(mut sent) = op(&call("r", "d")) else { panic!("a trace") };
    if let TraceType::ToolCall { result, .. } = &mut sent.trace_type {
        *result = Some(tracekeep_core::json::Json::null());
    }
    cx.commit(tracekeep_store::Batch::one(tracekeep_core::model::Op::RecordTrace(sent))).expect("recorded");
    assert_eq!(cx.trace("r", "d").status, TraceStatus::Open);
    cx.record(&[with(end("r", "d"), json!({"result": null, "error": null, "ended_at": null}))]);
}

fn what_differs_in_a_trace_is_named(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "p"), call("r", "t")]);
    let check = |more: Value, names: &[&str]| cx.conflict(&[with(call("r", "t"), more)], names);
    check(json!({"parent_id": "p"}), &["parent_id"]);
    check(json!({"parent_id": "nobody"}), &["parent_id"]);
    check(json!({"status": "ok", "tags": ["x"], "metadata": {"a": 1}}), &["metadata", "status", "tags"]);
    check(
        json!({"occurred_at": "2020-01-01T00:00:00Z", "ended_at": "2020-01-01T00:00:00Z"}),
        &["ended_at", "occurred_at"],
    );
    check(json!({"otel": {}}), &["otel"]);
    let other = json!({"type": "ToolCall", "tool_name": "x", "arguments": {}, "duration_ms": 1});
    check(json!({"trace_type": other}), &["trace_type/arguments", "trace_type/duration_ms", "trace_type/tool_name"]);
}

fn generated_members_are_taken_from_the_record(cx: &mut Context) {
    cx.record(&[start("r")]);
    let receipt = cx.record(&[thought("r", "t")]);
    let recorded = cx.trace("r", "t").occurred_at;
    cx.sources.advance(99);
    cx.again(&[thought("r", "t")], &receipt);
    cx.again(&[with(thought("r", "t"), json!({"occurred_at": recorded.to_string()}))], &receipt);
    let unnamed = json!({"op": "record_trace", "run_id": "r", "trace_type": {"type": "Thought", "content": "x"}});
    let first = cx.record(std::slice::from_ref(&unnamed));
    let second = cx.record(std::slice::from_ref(&unnamed));
    assert_ne!(first.ops[0].id, second.ops[0].id, "without an id and a key, each is a trace of its own");
    let id = first.ops[0].id.clone().expect("a generated id");
    cx.again(&[with(unnamed, json!({"id": id.as_str()}))], &first);
}

fn a_parent_must_exist_in_the_run_or_earlier_in_the_batch(cx: &mut Context) {
    cx.record(&[start("r"), start("other"), thought("other", "elsewhere"), thought("r", "a")]);
    for parent in ["nobody", "elsewhere", "b", "A"] {
        let error = cx.refuse(&[child("r", "b", parent)], "parent_not_found");
        assert!(error.detail().contains(parent), "the missing parent is named: {error}");
        assert_eq!(error.path(), Some("/ops/0/parent_id"));
    }
    cx.record(&[child("r", "b", "a"), child("r", "c", "b"), child("r", "d", "c")]);
    assert_eq!(cx.forest("r"), ["0 a 1", "1 b 1", "2 c 1", "3 d 0"]);
}

fn status_reads_as_stated_else_as_the_type_implies(cx: &mut Context) {
    cx.record(&[start("r")]);
    let error = json!({"type": "Error", "error_type": "E", "message": "m", "recoverable": false});
    let open_call = json!({"type": "ToolCall", "tool_name": "t", "arguments": {}});
    let query = json!({"type": "Query", "query_type": "t", "query": "q"});
    let implied = [
        (error, "error"),
        (open_call.clone(), "open"),
        (with(open_call.clone(), json!({"result": false})), "ok"),
        (with(open_call, json!({"duration_ms": 0})), "ok"),
        (query.clone(), "open"),
        (with(query, json!({"results_count": 0})), "ok"),
        (json!({"type": "Decision", "question": "", "options": [], "chosen": ""}), "ok"),
        (json!({"type": "Thought", "content": ""}), "ok"),
        (json!({"type": "Custom", "name": "c", "data": null}), "ok"),
    ];
    for (at, (trace_type, status)) in implied.into_iter().enumerate() {
        cx.record(&[typed(&format!("t{at}"), trace_type.clone())]);
        assert_eq!(cx.trace("r", &format!("t{at}")).status.as_str(), status, "{trace_type}");
        for stated in ["ok", "error", "open"] {
            let id = format!("t{at}{stated}");
            cx.record(&[with(typed(&id, trace_type.clone()), json!({"status": stated}))]);
            assert_eq!(cx.trace("r", &id).status.as_str(), stated);
        }
    }
}

fn an_end_fills_in_what_was_absent(cx: &mut Context) {
    let query = typed("q", json!({"type": "Query", "query_type": "t", "query": "q"}));
    cx.record(&[start("r"), call("r", "c"), query, thought("r", "t"), call("r", "half")]);
    let receipt = cx.record(&[
        with(end("r", "c"), json!({"result": {"hits": 3}, "duration_ms": 150})),
        with(end("r", "q"), json!({"results_count": 7})),
        with(end("r", "t"), json!({"status": "error", "error": "gave up", "ended_at": "2026-05-05T00:00:00Z"})),
    ]);
    let ended = cx.trace("r", "c");
    let TraceType::ToolCall { result, duration_ms, .. } = &ended.trace_type else { panic!("a call") };
    assert_eq!(result.as_ref().map(|result| result.as_str()), Some(r#"{"hits":3}"#));
    assert_eq!((duration_ms.map(|ms| ms.as_ms()), ended.status), (Some(150.0), TraceStatus::Ok));
    assert_eq!(ended.ended_log_index, Some(receipt.ops[0].log_index));
    assert_eq!((ended.recorded_at, ended.log_index), (cx.run("r").recorded_at, 1), "the trace stays where it was");
    let TraceType::Query { results_count, .. } = cx.trace("r", "q").trace_type else { panic!("a query") };
    assert_eq!((results_count, cx.trace("r", "q").status), (Some(7), TraceStatus::Ok));
    let failed = cx.trace("r", "t");
    assert_eq!((failed.status, failed.error.as_deref()), (TraceStatus::Error, Some("gave up")));
    assert_eq!(failed.ended_at.map(|time| time.to_string()).as_deref(), Some("2026-05-05T00:00:00.000000000Z"));
    assert_eq!(cx.run("r").traces, 4, "an end is no trace");
}

fn an_end_that_differs_is_a_conflict(cx: &mut Context) {
    let done = json!({"type": "ToolCall", "tool_name": "t", "arguments": {}, "result": {"a": 1}, "duration_ms": 5});
    let query = json!({"type": "Query", "query_type": "t", "query": "q", "results_count": 3});
    let stated = with(thought("r", "t"), json!({"status": "error"}));
    cx.record(&[start("r"), typed("c", done), typed("q", query), stated]);
    cx.conflict(&[with(end("r", "c"), json!({"result": {"a": 2}}))], &["result"]);
    cx.conflict(&[with(end("r", "c"), json!({"duration_ms": 6, "result": []}))], &["result", "duration_ms"]);
    cx.conflict(&[with(end("r", "q"), json!({"results_count": 4}))], &["results_count"]);
    cx.conflict(&[end("r", "t")], &["status"]);
    cx.record(&[with(end("r", "c"), json!({"result": {"a": 1.0}, "duration_ms": 5.0}))]);
    cx.record(&[with(end("r", "t"), json!({"status": "error"}))]);
    cx.record(&[end("r", "q")]);
    let open = with(call("r", "open"), json!({"status": "open"}));
    cx.record(&[open, with(end("r", "open"), json!({"status": "error"}))]);
    assert_eq!(cx.trace("r", "open").status, TraceStatus::Error, "open is no verdict to contradict");
}

fn an_end_with_another_types_member_is_refused(cx: &mut Context) {
    let query = typed("q", json!({"type": "Query", "query_type": "t", "query": "q"}));
    let custom = typed("x", json!({"type": "Custom", "name": "x", "data": {}}));
    cx.record(&[start("r"), call("r", "c"), query, thought("r", "t"), custom]);
    let check = |id: &str, member: &str, value: Value| {
        let error = cx.refuse(&[with(end("r", id), json!({ member: value }))], "invalid_member");
        assert_eq!(error.path(), Some(format!("/ops/0/{member}").as_str()));
    };
    check("c", "results_count", json!(1));
    check("q", "result", json!({}));
    check("q", "duration_ms", json!(1));
    for id in ["t", "x"] {
        check(id, "results_count", json!(1));
        check(id, "result", json!({}));
        check(id, "duration_ms", json!(1));
    }
}

fn ending_twice_equal_is_a_duplicate_and_other_a_conflict(cx: &mut Context) {
    cx.record(&[start("r"), call("r", "c")]);
    let ended = with(end("r", "c"), json!({"result": {"n": 1.0}, "duration_ms": 150}));
    let receipt = cx.record(std::slice::from_ref(&ended));
    cx.sources.advance(1_000);
    cx.again(&[with(end("r", "c"), json!({"result": {"n": 1}, "duration_ms": 150.0}))], &receipt);
    cx.conflict(&[end("r", "c")], &["duration_ms", "result"]);
    cx.conflict(&[with(ended.clone(), json!({"status": "error"}))], &["status"]);
    cx.conflict(&[with(ended.clone(), json!({"error": "x"}))], &["error"]);
    cx.conflict(&[with(ended.clone(), json!({"ended_at": "2026-01-01T00:00:00Z"}))], &["ended_at"]);
    cx.refuse(&[end("r", "nobody")], "trace_not_found");
    cx.record(&[start("other")]);
    cx.refuse(&[end("other", "c")], "trace_not_found");
}

fn a_trace_that_states_its_end_is_not_ended_again(cx: &mut Context) {
    let at = "2026-01-01T00:00:01Z";
    cx.record(&[start("r"), with(call("r", "c"), json!({"ended_at": at}))]);
    cx.conflict(&[with(end("r", "c"), json!({"ended_at": "2026-01-01T00:00:02Z"}))], &["ended_at"]);
    cx.conflict(&[end("r", "c")], &["ended_at"]);
}

fn ended_at_is_stated_else_derived(cx: &mut Context) {
    let timed = |id: &str, ms: Value| {
        let trace_type = json!({"type": "ToolCall", "tool_name": "t", "arguments": {}, "duration_ms": ms});
        with(typed(id, trace_type), json!({"occurred_at": "2026-01-01T00:00:00Z"}))
    };
    let calls = ["stated", "lasting", "silent"].map(|id| timed(id, Value::Null));
    cx.record(&[start("r"), calls[0].clone(), calls[1].clone(), calls[2].clone(), timed("known", json!(2.5))]);
    cx.sources.advance(1_000_000_000);
    cx.record(&[
        with(end("r", "stated"), json!({"ended_at": "2020-01-01T00:00:00Z", "duration_ms": 5})),
        with(end("r", "lasting"), json!({"duration_ms": 1.5})),
        end("r", "silent"),
        end("r", "known"),
    ]);
    let at = |id: &str| cx.trace("r", id).ended_at.map(|time| time.to_string()).unwrap_or_default();
    assert_eq!(at("stated"), "2020-01-01T00:00:00.000000000Z", "an end before its start is kept");
    assert_eq!(at("lasting"), "2026-01-01T00:00:00.001500000Z");
    assert_eq!(at("silent"), "2026-01-01T00:00:01.000000000Z", "else when it was recorded");
    assert_eq!(at("known"), "2026-01-01T00:00:00.002500000Z", "the duration that the trace itself stated");
    let late = with(call("r", "late"), json!({"occurred_at": "2262-04-11T23:47:16.854775807Z"}));
    cx.record(&[late, with(end("r", "late"), json!({"duration_ms": 1}))]);
    assert_eq!(at("late"), "2262-04-11T23:47:16.854775807Z", "clamped at the end of time");
}

fn an_end_in_the_batch_of_its_trace(cx: &mut Context) {
    let ended = with(end("r", "c"), json!({"result": 1}));
    let receipt = cx.record(&[start("r"), call("r", "c"), ended.clone()]);
    assert_eq!(cx.trace("r", "c").status, TraceStatus::Ok);
    cx.again(&[start("r"), call("r", "c"), ended], &receipt);
}

fn ids_are_unique_in_their_run_alone(cx: &mut Context) {
    cx.record(&[start("a"), start("b"), thought("a", "t"), step("a", 0)]);
    let other = with(thought("b", "t"), json!({"tags": ["b"]}));
    cx.record(&[other, with(step("b", 0), json!({"status": "failure"}))]);
    assert!(cx.trace("a", "t").tags.is_empty());
    assert_eq!((cx.trace("b", "t").tags.join(""), cx.run("b").failures), ("b".to_owned(), 1));
    assert!(block_on(cx.ledger().trace(&run_id("c"), &trace_id("t"))).expect("readable").is_none());
}

fn names_and_tags_are_bounded(cx: &mut Context) {
    cx.record(&[start("r")]);
    let long = "x".repeat(257);
    let check = |trace_type: Value, code: &str, path: &str| {
        let error = cx.refuse(&[typed("t", trace_type)], code);
        assert_eq!(error.path(), Some(format!("/ops/0/trace_type/{path}").as_str()));
    };
    for (name, code) in [(long.as_str(), "too_large"), ("", "invalid_member")] {
        check(json!({"type": "ToolCall", "tool_name": name, "arguments": {}}), code, "tool_name");
        check(json!({"type": "Query", "query_type": name, "query": ""}), code, "query_type");
        check(json!({"type": "Error", "error_type": name, "message": "", "recoverable": true}), code, "error_type");
        check(json!({"type": "Custom", "name": name, "data": {}}), code, "name");
    }
    let many = |count: u32| json!({"tags": (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>()});
    assert_eq!(cx.refuse(&[with(thought("r", "t"), many(65))], "too_many").path(), Some("/ops/0/tags"));
    cx.refuse(&[with(thought("r", "t"), json!({"tags": [long]}))], "too_large");
    cx.refuse(&[with(thought("r", "t"), json!({"tags": [""]}))], "invalid_member");
    cx.record(&[with(thought("r", "t"), many(64))]);
    cx.record(&[with(thought("r", "u"), json!({"tags": ["b", "a", "b", "a", "c"]}))]);
    assert_eq!(cx.trace("r", "u").tags, ["b", "a", "c"], "a repeated tag is kept once, where it was first seen");
}

fn confidence_is_finite(cx: &mut Context) {
    cx.record(&[start("r")]);
    for confidence in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let trace_type = TraceType::Thought { content: String::new(), confidence: Some(confidence) };
        let trace = tracekeep_core::model::RecordTrace::new(run_id("r"), trace_type);
        let batch = tracekeep_store::Batch::one(tracekeep_core::model::Op::RecordTrace(trace));
        cx.refuse_batch(batch, "number_out_of_range");
    }
    for (id, confidence) in [("a", f64::MAX), ("b", f64::MIN_POSITIVE), ("c", 1e21), ("d", 0.1)] {
        cx.record(&[typed(id, json!({"type": "Thought", "content": "", "confidence": confidence}))]);
        let TraceType::Thought { confidence: read, .. } = cx.trace("r", id).trace_type else { panic!("a thought") };
        assert_eq!(read, Some(confidence));
    }
}

/// An end's result stands one level deeper in the trace that is read than in the op that brought it: at the limit, it
/// once made a trace that no reader could parse.
fn an_ended_trace_reads_back_however_deep_its_result(cx: &mut Context) {
    cx.record(&[start("r")]);
    for depth in 124..=128 {
        let result = "[".repeat(depth) + &"]".repeat(depth);
        let id = format!("c{depth}");
        let open = call("r", &id);
        cx.record(&[open]);
        let text = format!(r#"{{"op":"end_trace","run_id":"r","id":"{id}","status":"ok","result":{result}}}"#);
        let Ok(value) = tracekeep_core::json::parse_around(text.as_bytes(), 4) else { panic!("JSON") };
        let sent = tracekeep_core::model::Op::read(value).expect("an op");
        match cx.commit(tracekeep_store::Batch::one(sent)) {
            Ok(_) => assert!(depth <= 126, "{depth}"),
            Err(error) => assert_eq!((error.code(), depth > 126), ("too_deep", true), "{depth}"),
        }
        cx.look();
    }
}
