//! Ops as the wire has them, short.

use serde_json::{Value, json};
use tracekeep_core::id::{Key, RunId, TraceId};
use tracekeep_core::json;
use tracekeep_core::model::Op;

/// Reads an op in its batch form.
#[track_caller]
pub(crate) fn op(value: &Value) -> Op {
    let text = value.to_string();
    let value = json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    Op::read(value).unwrap_or_else(|invalid| panic!("{invalid}: {text}"))
}

/// Reads several.
#[track_caller]
pub(crate) fn ops(values: &[Value]) -> Vec<Op> {
    let mut read = Vec::with_capacity(values.len());
    for value in values {
        read.push(op(value));
    }
    read
}

/// `base` with the members of `more` in place of its own.
#[track_caller]
pub(crate) fn with(mut base: Value, more: Value) -> Value {
    let (Some(members), Value::Object(more)) = (base.as_object_mut(), more) else { panic!("an op is an object") };
    members.extend(more);
    base
}

pub(crate) fn run_id(text: &str) -> RunId {
    RunId::new(text).expect("a run id")
}

pub(crate) fn trace_id(text: &str) -> TraceId {
    TraceId::new(text).expect("a trace id")
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

pub(crate) fn start(run: &str) -> Value {
    json!({"op": "start_run", "run_id": run})
}

pub(crate) fn ensure_otlp(run: &str) -> Value {
    json!({"op": "ensure_run", "run_id": run, "source": "otlp"})
}

pub(crate) fn step(run: &str, index: u32) -> Value {
    json!({
        "op": "record_step", "run_id": run, "index": index, "skill_name": "search", "params": {"q": index},
        "status": "success",
    })
}

pub(crate) fn thought(run: &str, id: &str) -> Value {
    json!({"op": "record_trace", "run_id": run, "id": id, "trace_type": {"type": "Thought", "content": id}})
}

pub(crate) fn child(run: &str, id: &str, parent: &str) -> Value {
    with(thought(run, id), json!({"parent_id": parent}))
}

pub(crate) fn call(run: &str, id: &str) -> Value {
    let trace_type = json!({"type": "ToolCall", "tool_name": "web_search", "arguments": {"q": "rust"}});
    json!({"op": "record_trace", "run_id": run, "id": id, "trace_type": trace_type})
}

/// A span as telemetry brings it: its `otel` holds what tells one from another.
pub(crate) fn span(run: &str, id: &str, parent: Option<&str>) -> Value {
    with(thought(run, id), json!({"parent_id": parent, "otel": {"spanId": id, "parentSpanId": parent}}))
}

pub(crate) fn end(run: &str, id: &str) -> Value {
    json!({"op": "end_trace", "run_id": run, "id": id, "status": "ok"})
}

pub(crate) fn erase(run: &str) -> Value {
    json!({"op": "erase_run", "run_id": run, "reason": "asked for"})
}

/// Withholds members of a step.
pub(crate) fn redact_step(run: &str, index: u32, members: &[&str]) -> Value {
    json!({"op": "redact", "run_id": run, "step": index, "members": members, "reason": "asked for"})
}

/// Withholds members of a trace.
pub(crate) fn redact_trace(run: &str, id: &str, members: &[&str]) -> Value {
    json!({"op": "redact", "run_id": run, "trace": id, "members": members, "reason": "asked for"})
}

pub(crate) fn hold(run: &str) -> Value {
    json!({"op": "hold", "run_id": run, "reason": "a case"})
}

pub(crate) fn hold_tag(tag: &str) -> Value {
    json!({"op": "hold", "tag": tag, "reason": "a case"})
}

pub(crate) fn release(run: &str) -> Value {
    json!({"op": "release_hold", "run_id": run, "reason": "closed"})
}

pub(crate) fn release_tag(tag: &str) -> Value {
    json!({"op": "release_hold", "tag": tag, "reason": "closed"})
}

pub(crate) fn baseline(name: &str, run: &str) -> Value {
    json!({"op": "set_baseline", "name": name, "run_id": run})
}

pub(crate) fn complete(run: &str) -> Value {
    json!({"op": "complete_run", "run_id": run, "status": "completed"})
}

pub(crate) fn incident(id: &str, run: &str) -> Value {
    json!({"op": "open_incident", "incident_id": id, "run_id": run})
}

pub(crate) fn resolve(id: &str) -> Value {
    json!({"op": "resolve_incident", "incident_id": id, "resolution": "fixed"})
}

pub(crate) fn export(id: &str) -> Value {
    json!({"op": "record_export", "export_id": id, "kind": "evidence", "size": 1, "by": "anna"})
}
