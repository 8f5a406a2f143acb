//! What is done to a ledger, at random.

use proptest::prelude::*;
use serde_json::{Value, json};
use tracekeep_core::Timestamp;

use crate::ops::with;

/// One thing that is done to a ledger.
#[derive(Clone, Debug)]
pub enum Action {
    /// A commit of one batch: its ops, and the idempotency key that it is sent under.
    Batch(Vec<Value>, Option<String>),
    /// The clock moves by so many nanoseconds.
    Clock(i64),
    /// The ledger is closed and opened again.
    Reopen,
}

/// Random sequences; with what was held in front of the ledger, where `moved` says so.
pub fn actions(moved: bool) -> impl Strategy<Value = Vec<Action>> {
    let key = prop_oneof![6 => Just(None), 1 => (0..3u8).prop_map(|n| Some(format!("k{n}")))];
    let op = op().prop_map(move |mut op| {
        op.as_object_mut().expect("an op").retain(|name, _| moved || name != "received_at");
        op
    });
    let batch = (prop::collection::vec(op, 1..6), key).prop_map(|(ops, key)| Action::Batch(ops, key));
    // What was sent before is sent again: the sequence names an earlier batch by its place.
    let action = prop_oneof![
        12 => batch.prop_map(Step::Do),
        2 => redact().prop_map(|(op, key)| Step::Do(Action::Batch(vec![op], key))),
        3 => any::<prop::sample::Index>().prop_map(Step::Again),
        3 => (-2_000_000_000..5_000_000_000i64).prop_map(|nanos| Step::Do(Action::Clock(nanos))),
        1 => Just(Step::Do(Action::Reopen)),
    ];
    prop::collection::vec(action, 1..40).prop_map(|steps| {
        let mut done: Vec<Action> = vec![Action::Batch(vec![json!({"op": "start_run", "run_id": "r0"})], None)];
        for step in steps {
            let action = match step {
                Step::Do(action) => action,
                Step::Again(place) => done[place.index(done.len())].clone(),
            };
            done.push(action);
        }
        done
    })
}

#[derive(Clone, Debug)]
enum Step {
    Do(Action),
    Again(prop::sample::Index),
}

fn run() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just("r0"), 1 => Just("r1"), 3 => Just("o")].prop_map(str::to_owned)
}

/// A time near the start of the injected clock, a whole number of half seconds.
fn time() -> impl Strategy<Value = Value> {
    (0..6i64).prop_map(|n| json!(Timestamp::from_nanos(1_767_225_600_000_000_000 + n * 500_000_000).to_string()))
}

/// When something was received that was held in front of the ledger: now and then, ahead of the ledger's clock, too.
fn received() -> impl Strategy<Value = Value> {
    prop_oneof![2 => Just(Value::Null), 1 => time()]
}

fn maybe(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop_oneof![2 => Just(Value::Null), 1 => value]
}

fn one_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::select(values).prop_map(|text| json!(text))
}

fn op() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => start(),
        2 => ensure(),
        1 => describe(),
        6 => step(),
        5 => trace(),
        7 => span(),
        4 => end(),
        2 => complete(),
        1 => erase(),
        1 => hold(),
        2 => expect(),
        3 => ack(),
        1 => set_status(),
        2 => plain("reconcile"),
        1 => plain("clear_audit"),
        1 => baseline(),
        2 => incident(),
        2 => resolve(),
        1 => export(),
    ]
}

fn part() -> impl Strategy<Value = Value> {
    one_of(&["a", "b", "finalize_run"])
}

fn expect() -> impl Strategy<Value = Value> {
    let deadline = prop_oneof![Just(500), Just(2_000), Just(60_000)];
    let rare = |value: Value| prop_oneof![4 => Just(Value::Null), 1 => Just(value)];
    (run(), 0..5u8, part(), deadline, rare(json!(true)), rare(json!(2)), rare(json!(true)), received()).prop_map(
        |(run, id, action, deadline, optional, count, liveness, received_at)| {
            // A liveness check may not be optional.
            let optional = if liveness == true || action == "finalize_run" { Value::Null } else { optional };
            json!({
                "op": "expect", "run_id": run, "id": format!("e{id}"), "domain": "orchestrator", "action": action,
                "deadline_ms": deadline, "optional": optional, "count": count, "liveness": liveness,
                "received_at": received_at,
            })
        },
    )
}

fn ack() -> impl Strategy<Value = Value> {
    let status = prop_oneof![3 => Just("SUCCESS"), 1 => Just("FAILED"), 1 => Just("ROLLED_BACK")];
    (run(), 0..8u8, part(), status, received()).prop_map(|(run, id, action, status, received_at)| {
        json!({
            "op": "ack", "run_id": run, "id": format!("a{id}"), "domain": "orchestrator", "action": action,
            "status": status, "received_at": received_at,
        })
    })
}

fn set_status() -> impl Strategy<Value = Value> {
    let status = one_of(&["PENDING", "ACKED", "FAILED", "MISSING"]);
    (run(), part(), status, received()).prop_map(|(run, action, status, received_at)| {
        json!({
            "op": "set_expectation_status", "run_id": run, "domain": "orchestrator", "action": action, "status": status,
            "received_at": received_at,
        })
    })
}

fn plain(op: &'static str) -> impl Strategy<Value = Value> {
    run().prop_map(move |run| json!({"op": op, "run_id": run}))
}

fn start() -> impl Strategy<Value = Value> {
    let seed = prop_oneof![Just(Value::Null), Just(json!(42)), Just(json!(7))];
    let agent = maybe(one_of(&["planner", "coder"]));
    (run(), seed, agent, maybe(Just(json!([{"skill": "a"}]))), maybe(time()), tags()).prop_map(
        |(run, seed, agent, plan, started_at, tags)| {
            let start = json!({"op": "start_run", "run_id": run, "seed": seed, "agent_id": agent, "plan": plan});
            with(start, json!({"started_at": started_at, "tags": tags}))
        },
    )
}

/// Members of a step or of a trace are withheld; now and then, ones that it may not have.
fn redact() -> impl Strategy<Value = (Value, Option<String>)> {
    let members = |all: &'static [&'static str]| prop::sample::subsequence(all, 1..3);
    let of_step = (0..6u32, members(&["params", "cost_cents", "tokens", "outcome_data"]))
        .prop_map(|(index, members)| json!({"step": index, "members": members}));
    let of_trace = (id(), members(&["tags", "trace_type/result", "trace_type/duration_ms", "metadata", "error"]))
        .prop_map(|(id, members)| json!({"trace": id, "members": members}));
    let key = prop_oneof![6 => Just(None), 1 => Just(Some("k0".to_owned()))];
    (run(), prop_oneof![of_step, of_trace], key)
        .prop_map(|(run, on, key)| (with(json!({"op": "redact", "run_id": run, "reason": "asked for"}), on), key))
}

fn erase() -> impl Strategy<Value = Value> {
    (run(), one_of(&["old", "asked for"]))
        .prop_map(|(run, reason)| json!({"op": "erase_run", "run_id": run, "reason": reason}))
}

/// Holds on runs and tags come and go.
fn hold() -> impl Strategy<Value = Value> {
    let on = prop_oneof![
        2 => run().prop_map(|run| json!({ "run_id": run })),
        1 => one_of(&["a", "b"]).prop_map(|tag| json!({ "tag": tag })),
    ];
    (one_of(&["hold", "release_hold", "release_hold"]), on, one_of(&["case", "case", "other"]))
        .prop_map(|(op, on, reason)| with(json!({"op": op, "reason": reason}), on))
}

/// Names stand for one run after the other.
fn baseline() -> impl Strategy<Value = Value> {
    (run(), one_of(&["a", "b"]), maybe(one_of(&["good"])))
        .prop_map(|(run, name, reason)| json!({"op": "set_baseline", "run_id": run, "name": name, "reason": reason}))
}

/// Incidents of runs and of none, now and then with a step that is or is not there.
fn incident() -> impl Strategy<Value = Value> {
    let run = prop_oneof![3 => run().prop_map(Value::from), 1 => Just(Value::Null)];
    let step = maybe((0..6u32).prop_map(Value::from));
    let times = (maybe(time()), maybe(time()));
    (0..4u8, run, maybe(one_of(&["low", "high"])), step, times).prop_map(|(id, run, severity, step, (at, violated))| {
        let step = if run.is_null() { Value::Null } else { step };
        json!({
            "op": "open_incident", "incident_id": format!("i{id}"), "run_id": run, "severity": severity,
            "violation_step_index": step, "violation_at": violated, "created_at": at, "policy_id": "p",
        })
    })
}

fn resolve() -> impl Strategy<Value = Value> {
    (0..4u8, one_of(&["fixed", "fixed", "wrong"])).prop_map(
        |(id, resolution)| json!({"op": "resolve_incident", "incident_id": format!("i{id}"), "resolution": resolution}),
    )
}

fn export() -> impl Strategy<Value = Value> {
    let of = prop_oneof![
        run().prop_map(|run| json!({ "run_id": run })),
        (0..4u8).prop_map(|id| json!({ "incident_id": format!("i{id}") })),
        Just(json!({"period": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}})),
    ];
    let by = prop_oneof![Just(json!({"by": "u"})), Just(json!({"options": {"related": true}, "forced": true}))];
    (0..4u8, of, by, prop_oneof![4 => Just(1), 1 => Just(1_000_000)]).prop_map(|(id, of, by, size)| {
        let export = json!({"op": "record_export", "export_id": format!("x{id}"), "kind": "evidence", "size": size});
        with(with(export, of), by)
    })
}

fn ensure() -> impl Strategy<Value = Value> {
    (run(), prop_oneof![4 => Just(json!("otlp")), 1 => Just(Value::Null)])
        .prop_map(|(run, source)| json!({"op": "ensure_run", "run_id": run, "source": source}))
}

fn describe() -> impl Strategy<Value = Value> {
    let topic = one_of(&["root", "resource/a", "resource/b"]);
    (run(), topic, maybe(one_of(&["planner", "coder", "tester"])), maybe(one_of(&["g", "h"]))).prop_map(
        |(run, topic, agent, goal)| {
            json!({"op": "describe_run", "run_id": run, "topic": topic, "agent_id": agent, "goal": goal})
        },
    )
}

fn step() -> impl Strategy<Value = Value> {
    let index = prop_oneof![30 => 0..6u32, 1 => Just(999_999), 1 => Just(1_000_000)];
    let status = prop_oneof![5 => Just("success"), 1 => Just("failure")];
    let cost = prop_oneof![Just(Value::Null), Just(json!("0.25")), Just(json!("0.250")), Just(json!("0"))];
    (run(), index, status, cost, maybe(Just(json!(5))), maybe(Just(json!({"hits": 3})))).prop_map(
        |(run, index, status, cost, tokens, data)| {
            json!({
                "op": "record_step", "run_id": run, "index": index, "skill_name": "s", "params": {"i": index},
                "status": status, "cost_cents": cost, "tokens": tokens, "outcome_data": data,
            })
        },
    )
}

fn id() -> impl Strategy<Value = Value> {
    (0..6u8).prop_map(|n| json!(format!("t{n}")))
}

fn trace_type() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(json!({"type": "Thought", "content": "c"})),
        3 => (maybe(Just(json!(1))), maybe(Just(json!(2_000)))).prop_map(|(result, duration)| json!({
            "type": "ToolCall", "tool_name": "t", "arguments": {}, "result": result, "duration_ms": duration,
        })),
        2 => maybe(Just(json!(3)))
            .prop_map(|count| json!({"type": "Query", "query_type": "q", "query": "", "results_count": count})),
        1 => Just(json!({"type": "Error", "error_type": "e", "message": "", "recoverable": true})),
        1 => Just(json!({"type": "Custom", "name": "Tool", "data": null})),
    ]
}

fn tags() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![json!([]), json!(["a"]), json!(["b", "a", "b"]), Value::Null])
}

fn trace() -> impl Strategy<Value = Value> {
    (run(), id(), maybe(id()), trace_type(), maybe(time()), prop_oneof![5 => Just(Value::Null), 1 => time()], tags())
        .prop_map(|(run, id, parent, trace_type, occurred_at, ended_at, tags)| {
            json!({
                "op": "record_trace", "run_id": run, "id": id, "parent_id": parent, "trace_type": trace_type,
                "occurred_at": occurred_at, "ended_at": ended_at, "tags": tags,
            })
        })
}

/// A span, open or closed: whose `otel` says which.
fn span() -> impl Strategy<Value = Value> {
    let when = prop_oneof![3 => time(), 1 => Just(Value::Null)];
    let parent = prop_oneof![1 => Just(Value::Null), 3 => id()];
    (run(), id(), parent, trace_type(), when, maybe(time()), tags(), 0..8u8).prop_map(
        |(run, id, parent, trace_type, occurred_at, ended_at, tags, odd)| {
            let otel = json!({"span": id, "ended": ended_at, "odd": odd == 0});
            let plain = json!({"op": "record_trace", "run_id": run, "id": id, "trace_type": trace_type});
            let more = json!({"occurred_at": occurred_at, "ended_at": ended_at, "tags": tags, "otel": otel});
            with(with(plain, more), json!({ "parent_id": parent }))
        },
    )
}

fn end() -> impl Strategy<Value = Value> {
    let status = prop_oneof![4 => Just("ok"), 1 => Just("error")];
    let rare = |value: Value| prop_oneof![4 => Just(Value::Null), 1 => Just(value)];
    (run(), id(), status, rare(json!(1)), rare(json!(2_000.0)), rare(json!(3)), maybe(time()), rare(json!("why")))
        .prop_map(|(run, id, status, result, duration, count, ended_at, error)| {
            json!({
                "op": "end_trace", "run_id": run, "id": id, "status": status, "result": result, "duration_ms": duration,
                "results_count": count, "ended_at": ended_at, "error": error,
            })
        })
}

fn complete() -> impl Strategy<Value = Value> {
    (run(), prop_oneof![4 => Just("completed"), 1 => Just("failed")], maybe(Just(json!("why")))).prop_map(
        |(run, status, reason)| {
            json!({"op": "complete_run", "run_id": run, "status": status, "termination_reason": reason})
        },
    )
}
