//! Redaction at the door: every ledger of the suite takes the well-known secrets out before it hashes anything.

use serde_json::{Value, json};
use tracekeep_core::hash;
use tracekeep_core::model::RedactedCounts;
use tracekeep_store::{TraceFilter, block_on};

use crate::context::Context;
use crate::ops::{
    baseline, call, complete, end, ensure_otlp, erase, hold, hold_tag, release, release_tag, run_id, span, start, step,
    thought, with,
};

cases!("door":
    secrets_are_taken_out_before_anything_is_hashed,
    every_part_of_a_run_is_looked_over,
    what_operators_say_is_looked_over,
    ids_names_and_tags_are_left_alone,
    the_same_op_again_is_a_duplicate,
    what_differs_in_a_secret_alone_is_the_same_record,
    claims_are_checked_against_what_was_sent_and_recorded_over_what_is_left,
    claims_of_a_seal_are_over_what_is_recorded,
    what_was_taken_out_is_not_for_the_caller_to_say,
    a_span_loses_its_secrets_wherever_they_stand,
);

const KEY: &str = "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z";

/// A step that holds a password and two keys.
fn secretive(index: u32) -> Value {
    let data = json!({"headers": [{"name": "Set-Cookie", "value": "a=b"}], "note": format!("{KEY} {KEY}")});
    with(step("r", index), json!({"params": {"password": "hunter2", "q": "FRA"}, "outcome_data": data}))
}

const PARAMS: &str = r#"{"password":"[redacted:field]","q":"FRA"}"#;

fn counts(field: u64, key: u64) -> RedactedCounts {
    let some = |count| (count > 0).then_some(count);
    RedactedCounts { field: some(field), key: some(key), ..RedactedCounts::default() }
}

/// Everything that the log holds.
#[track_caller]
fn log(cx: &Context) -> String {
    let entries = block_on(cx.ledger().entries(0, 1_000)).expect("the log is readable");
    entries.iter().filter_map(|entry| entry.body.as_ref()).map(|body| body.as_str()).collect::<Vec<_>>().join("\n")
}

fn secrets_are_taken_out_before_anything_is_hashed(cx: &mut Context) {
    cx.record(&[start("r"), secretive(0), step("r", 1)]);
    let read = cx.step("r", 0);
    assert_eq!(read.params.as_str(), PARAMS);
    assert_eq!(read.input_hash, Some(hash::input_hash(PARAMS)));
    assert_eq!(read.output_hash, read.outcome_data.as_ref().map(|data| hash::output_hash(data.as_str())));
    let redacted = read.redacted.expect("the step says what was taken out");
    assert_eq!((redacted.rules.as_str(), redacted.counts), ("2", counts(2, 2)));
    assert!(log(cx).contains(r#""redacted":{"counts":{"field":2,"key":2},"rules":"2"}"#));
    assert!(!log(cx).contains("hunter2") && !log(cx).contains(KEY));
    assert_eq!(cx.step("r", 1).redacted, None, "where nothing was taken out nothing is said");
}

fn every_part_of_a_run_is_looked_over(cx: &mut Context) {
    let secret = format!("use {KEY}");
    let started = json!({"goal": secret, "plan": [{"api_key": "a"}], "metadata": {"pwd": "b"}});
    let decision = json!({"trace_type": {"type": "Decision", "question": secret, "options": [secret, "no"],
        "chosen": secret, "reasoning": secret}});
    let query = json!({"trace_type": {"type": "Query", "query_type": "q", "query": secret}});
    let error = json!({"trace_type": {"type": "Error", "error_type": "e", "message": secret, "recoverable": true}});
    let custom =
        json!({"trace_type": {"type": "Custom", "name": "c", "data": {"secret": 1}}, "metadata": {"n": secret}});
    cx.record(&[
        with(start("r"), started),
        with(thought("r", "t"), json!({"trace_type": {"type": "Thought", "content": secret}})),
    ]);
    for (id, more) in [("d", decision), ("q", query), ("e", error), ("c", custom)] {
        cx.record(&[with(thought("r", id), more)]);
    }
    cx.record(&[call("r", "w"), with(end("r", "w"), json!({"result": {"secret": "x"}, "error": secret}))]);
    let done = json!({"termination_reason": secret, "metadata": {"pwd": "c"}, "violation": {"reason": secret}});
    cx.record(&[with(complete("r"), done)]);
    assert!(!log(cx).contains(KEY));
    let run = cx.run("r");
    assert_eq!(run.goal.as_deref(), Some("use [redacted:key]"));
    assert_eq!(run.redacted.expect("said").counts, counts(3, 3), "of the start and the completion");
    let said = ["t", "d", "q", "e", "c", "w"].map(|id| cx.trace("r", id).redacted.expect("said").counts);
    assert_eq!(said, [counts(0, 1), counts(0, 4), counts(0, 1), counts(0, 1), counts(1, 1), counts(1, 1)]);
    assert_eq!(cx.fitting("r", TraceFilter { text: Some("redacted".into()), ..TraceFilter::default() }).len(), 6);
    assert!(cx.fitting("r", TraceFilter { text: Some(KEY.into()), ..TraceFilter::default() }).is_empty());
}

/// Why and on whose word something is held, let go of, named or erased outlives what it is about.
fn what_operators_say_is_looked_over(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), complete("r")]);
    let said = json!({"reason": format!("the customer sent {KEY}"), "by": "ops password=hunter2"});
    let ops = [hold("r"), release("r"), hold_tag("t"), release_tag("t"), baseline("n", "r"), erase("r")];
    for (count, op) in (1..).zip(ops) {
        let what = op["op"].clone();
        let receipt = cx.record(&[with(op.clone(), said.clone())]);
        cx.again(&[with(op, said.clone())], &receipt);
        let log = log(cx);
        assert!(!log.contains(KEY) && !log.contains("hunter2"), "{what}: {log}");
        let stated = log.matches(r#""redacted":{"counts":{"field":1,"key":1},"rules":"2"}"#).count();
        // What went with the run were its own hold and its release.
        assert_eq!(stated, if what == "erase_run" { count - 2 } else { count }, "{what}: {log}");
    }
    let error = block_on(cx.ledger().run(&run_id("r"))).expect_err("erased");
    let redaction = error.redaction().expect("said");
    assert_eq!(redaction.reason, "the customer sent [redacted:key]");
    assert_eq!(redaction.by.as_deref(), Some("ops password=[redacted:field]"));
}

fn ids_names_and_tags_are_left_alone(cx: &mut Context) {
    let named = json!({"agent_id": KEY, "tags": [KEY], "policy_snapshot_id": KEY, "correlation_id": KEY});
    let trace_type = json!({"type": "ToolCall", "tool_name": KEY, "arguments": {}});
    cx.record(&[with(start(KEY), named), with(thought(KEY, KEY), json!({"tags": [KEY], "trace_type": trace_type}))]);
    let (run, trace) = (cx.run(KEY), cx.trace(KEY, KEY));
    assert_eq!((run.agent_id.as_deref(), run.tags, run.redacted), (Some(KEY), vec![KEY.to_owned()], None));
    assert_eq!((trace.tags, trace.redacted), (vec![KEY.to_owned()], None));
}

fn the_same_op_again_is_a_duplicate(cx: &mut Context) {
    let receipt = cx.record(&[start("r"), secretive(0)]);
    cx.again(&[start("r"), secretive(0)], &receipt);
    let keyed = cx.send_under("k", &[secretive(1)]).expect("recorded");
    let again = cx.send_under("k", &[secretive(1)]).expect("replayed");
    assert_eq!((again.tree_size, again.replayed), (keyed.tree_size, true));
    let error = cx.send_under("k", &[with(secretive(1), json!({"params": {"q": "LIS"}}))]).expect_err("reused");
    assert_eq!(error.code(), "key_reused");
    cx.conflict(
        &[with(secretive(0), json!({"params": {"password": "hunter2", "q": "LIS"}}))],
        &["input_hash", "params"],
    );
}

fn what_differs_in_a_secret_alone_is_the_same_record(cx: &mut Context) {
    let receipt = cx.record(&[start("r"), secretive(0)]);
    cx.again(&[start("r"), with(secretive(0), json!({"params": {"password": "other", "q": "FRA"}}))], &receipt);
    let read = cx.step("r", 0);
    let copied: Value = serde_json::from_str(read.params.as_str()).expect("JSON");
    cx.again(&[start("r"), with(secretive(0), json!({"params": copied}))], &receipt);
}

fn claims_are_checked_against_what_was_sent_and_recorded_over_what_is_left(cx: &mut Context) {
    let sent = hash::input_hash(r#"{"password":"hunter2","q":"FRA"}"#).to_string();
    cx.record(&[start("r"), with(secretive(0), json!({"input_hash": sent}))]);
    assert_eq!(cx.step("r", 0).input_hash, Some(hash::input_hash(PARAMS)));
    assert!(!log(cx).contains(&sent), "a hash of what was taken out would give it away");
    let error = cx.refuse(&[with(secretive(1), json!({"input_hash": "0".repeat(64)}))], "hash_mismatch");
    assert_eq!(error.path(), Some("/ops/0/input_hash"));
}

fn claims_of_a_seal_are_over_what_is_recorded(cx: &mut Context) {
    let plan = |key: &str| json!([{"api_key": key}]);
    cx.record(&[with(start("r"), json!({"plan": plan("a")})), secretive(0)]);
    let over = |plan: Value| hash::plan_hash(&plan.to_string()).to_string();
    let claim = |hash: String| with(complete("r"), json!({"plan_hash": hash}));
    cx.refuse(&[claim(over(plan("a")))], "hash_mismatch");
    cx.record(&[claim(over(plan("[redacted:field]")))]);
}

fn what_was_taken_out_is_not_for_the_caller_to_say(cx: &mut Context) {
    cx.record(&[start("r")]);
    let said = json!({"redacted": {"rules": "1", "counts": {"key": 1}}});
    for op in [start("s"), step("r", 0), thought("r", "t"), end("r", "t"), complete("r"), hold("r"), erase("r")] {
        let error = cx.refuse(&[with(op, said.clone())], "unknown_member");
        assert_eq!(error.path(), Some("/ops/0/redacted"));
    }
    assert!(block_on(cx.ledger().step(&run_id("r"), 0)).expect("readable").is_none());
}

fn a_span_loses_its_secrets_wherever_they_stand(cx: &mut Context) {
    let otel = json!({"scope": {"name": "s"}, "span": {"name": "call", "traceId": "0af7651916cd43dd8448eb211c80319c",
    "attributes": [
        {"key": "gen_ai.tool.call.arguments", "value": {"stringValue": r#"{"api_key":"abc","q":"x"}"#}},
        {"key": "http.request.header.authorization", "value": {"arrayValue": {"values": [{"stringValue": "Basic abc"}]}}},
        {"key": "n", "value": {"intValue": "17"}},
    ]}});
    let trace_type = json!({"type": "ToolCall", "tool_name": "w", "arguments": {"api_key": "abc", "q": "x"}});
    let sent = with(span("o", "a", None), json!({"otel": otel, "trace_type": trace_type}));
    let receipt = cx.record(&[ensure_otlp("o"), sent.clone()]);
    let trace = cx.trace("o", "a");
    assert_eq!(trace.redacted.expect("said").counts, counts(3, 0));
    let otel: Value = serde_json::from_str(trace.otel.expect("a span").as_str()).expect("JSON");
    let attributes = &otel["span"]["attributes"];
    assert_eq!(attributes[0]["value"]["stringValue"], r#"{"api_key":"[redacted:field]","q":"x"}"#);
    assert_eq!(attributes[1]["value"], json!({"stringValue": "[redacted:field]"}));
    assert_eq!(attributes[2]["value"], json!({"intValue": "17"}));
    assert!(!log(cx).contains("abc"));
    cx.again(&[ensure_otlp("o"), sent], &receipt);
}
