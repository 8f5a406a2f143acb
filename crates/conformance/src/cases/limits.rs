//! Limits and hostile input: refused whole, or recorded and readable for good.

use serde_json::{Value, json};
use tracekeep_core::json::Json;
use tracekeep_core::limits::{JSON_DEPTH_MAX, OP_BYTES_MAX, PAGE_BYTES_MAX};
use tracekeep_core::model::{Op, RecordStep};
use tracekeep_store::{Batch, PageRequest, TraceFilter, block_on};

use crate::context::{Context, walk};
use crate::ops::{call, complete, end, ops, run_id, start, step, thought, trace_id, with};

cases!("limits":
    an_op_has_at_most_4_mib,
    an_end_may_be_as_large_as_its_trace,
    what_is_recorded_is_not_too_deep_to_read,
    hostile_strings_are_kept_as_they_are,
    hostile_ids_are_kept_as_they_are,
    numbers_keep_their_digits,
    law_8_a_refused_record_makes_no_neighbour_unreadable,
    large_numbers_at_their_limits,
    a_page_of_large_bodies_ends_early_with_a_cursor,
);

/// A step whose recorded body has exactly `bytes` bytes.
fn sized(index: u32, bytes: usize) -> Op {
    let of = |padding: usize| {
        let mut step = RecordStep::new(run_id("r"), index, "s", Json::from("x".repeat(padding).as_str()));
        step.occurred_at = Some(tracekeep_core::Timestamp::from_nanos(0));
        let mut op = Op::RecordStep(step);
        op.check().expect("a step");
        op
    };
    let bare = of(0).body().as_str().len();
    of(bytes - bare)
}

fn an_op_has_at_most_4_mib(cx: &mut Context) {
    let limit = OP_BYTES_MAX as usize;
    cx.record(&[start("r")]);
    let error = cx.refuse_batch(Batch::one(sized(0, limit + 1)), "too_large");
    assert!(error.path().is_some_and(|path| path.starts_with("/ops/0")), "{error:?}");
    cx.refuse_batch(Batch::of(vec![sized(0, 500), sized(1, limit + 1)]), "too_large");
    let receipt = cx.commit(Batch::one(sized(0, limit))).expect("at the limit");
    assert_eq!(receipt.ops.len(), 1);
    cx.commit(Batch::one(sized(0, limit))).expect("a duplicate");
    assert!(cx.step("r", 0).params.as_str().len() > limit - 1_000);
}

fn an_end_may_be_as_large_as_its_trace(cx: &mut Context) {
    let large = "y".repeat(3 << 20);
    let trace_type = json!({"type": "ToolCall", "tool_name": "t", "arguments": large});
    cx.record(&[start("r"), with(call("r", "c"), json!({ "trace_type": trace_type }))]);
    cx.record(&[with(end("r", "c"), json!({ "result": large }))]);
    assert_eq!(cx.trace("r", "c").status.as_str(), "ok");
    assert_eq!(cx.fitting("r", TraceFilter::default()), ["c"]);
}

fn nested(depth: u32) -> Json {
    let depth = depth as usize;
    let text = "[".repeat(depth) + &"]".repeat(depth);
    let value = tracekeep_core::json::parse_around(text.as_bytes(), 1_000).expect("JSON");
    value.to_json()
}

fn what_is_recorded_is_not_too_deep_to_read(cx: &mut Context) {
    cx.record(&[start("r")]);
    for depth in JSON_DEPTH_MAX - 4..=JSON_DEPTH_MAX + 2 {
        let mut step = RecordStep::new(run_id("r"), depth, "s", nested(depth));
        step.outcome_data = Some(nested(depth));
        let stepped = cx.commit(Batch::one(Op::RecordStep(step)));
        let typed = |id: String| {
            let mut op = ops(&[call("r", &id)]).remove(0);
            if let Op::RecordTrace(trace) = &mut op
                && let tracekeep_core::model::TraceType::ToolCall { arguments, .. } = &mut trace.trace_type
            {
                *arguments = nested(depth);
            }
            op
        };
        let traced = cx.commit(Batch::one(typed(format!("t{depth}"))));
        for result in [stepped, traced] {
            if let Err(error) = result {
                assert_eq!(error.code(), "too_deep", "{depth}");
                assert!(depth >= JSON_DEPTH_MAX - 2, "{depth}");
            }
        }
        cx.look();
    }
    cx.record(&[step("r", 0), thought("r", "t"), complete("r")]);
}

const HOSTILE: [&str; 16] = [
    "",
    "\0",
    "a\0b",
    "\u{1}\u{1f}\u{7f}\u{9f}",
    "\"\\\u{8}\u{c}\n\r\t/",
    "'; drop table log; --",
    "%s%n%_{}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "é\u{301}ﬁ",
    "🦀👩‍👩‍👧",
    "\u{202e}abc\u{200b}\u{feff}",
    "\u{d7ff}\u{e000}\u{fffd}\u{ffff}",
    "\u{10ffff}\u{10000}",
    "null",
    "a__b\u{1f}__",
];

fn hostile_strings_are_kept_as_they_are(cx: &mut Context) {
    for (at, text) in HOSTILE.iter().enumerate() {
        let run = format!("r{at}");
        let label = if text.is_empty() { Value::Null } else { json!(text) };
        let free = json!({ *text: [text, { *text: text }] });
        cx.record(&[with(
            start(&run),
            json!({
                "goal": text, "agent_id": label, "policy_snapshot_id": label, "metadata": free, "plan": [free],
                "tags": if text.is_empty() { json!([]) } else { json!([text]) },
            }),
        )]);
        let skill = if text.is_empty() { "s" } else { text };
        cx.record(&[with(step(&run, 0), json!({
            "skill_name": skill, "params": free, "outcome_category": text, "outcome_code": text, "outcome_data": text,
            "idempotency_key": text, "rng_state_before": text,
        }))]);
        let types = [
            json!({"type": "ToolCall", "tool_name": skill, "arguments": text, "result": free}),
            json!({"type": "Decision", "question": text, "options": [text, text], "chosen": text, "reasoning": text}),
            json!({"type": "Query", "query_type": skill, "query": text}),
            json!({"type": "Thought", "content": text}),
            json!({"type": "Error", "error_type": skill, "message": text, "recoverable": false}),
            json!({"type": "Custom", "name": skill, "data": free}),
        ];
        for (n, trace_type) in types.into_iter().enumerate() {
            let id = format!("t{n}");
            cx.record(&[with(thought(&run, &id), json!({ "trace_type": trace_type, "metadata": free, "otel": free }))]);
        }
        cx.record(&[with(end(&run, "t2"), json!({ "error": text }))]);
        let violation = json!({"policy_id": label, "reason": text});
        cx.record(&[with(
            complete(&run),
            json!({ "termination_reason": text, "violation": violation, "metadata": free }),
        )]);
        let (read, stepped) = (cx.run(&run), cx.step(&run, 0));
        assert_eq!((read.goal.as_deref(), read.termination_reason.as_deref()), (Some(*text), Some(*text)));
        assert_eq!(
            stepped.outcome_data.as_ref().and_then(|data| data.value().as_str().map(str::to_owned)).as_deref(),
            Some(*text)
        );
        assert_eq!((stepped.skill_name.as_str(), stepped.rng_state_before.as_deref()), (skill, Some(*text)));
        assert_eq!(cx.trace(&run, "t2").error.as_deref(), Some(*text));
        cx.record(&[json!({"op": "ensure_run", "run_id": format!("o{at}"), "source": "otlp"})]);
        let topic = if text.is_empty() { "t" } else { text };
        cx.record(&[
            json!({"op": "describe_run", "run_id": format!("o{at}"), "topic": topic, "goal": text, "metadata": free}),
        ]);
    }
}

fn hostile_ids_are_kept_as_they_are(cx: &mut Context) {
    let long = "x".repeat(255);
    let ids = [
        "...",
        "a/b",
        "a%2Fb",
        "a?b#c",
        "__idx_by-type__Thought__t",
        "'\"`",
        "~!@$^&*()_+|",
        "-",
        "0",
        "NULL",
        "a:b",
        "r0",
        "-9223372036854775808",
        "0000000000000000",
        "text_size",
        "trace_by_id",
        "count",
        "counts",
        "traces",
        "tree",
        "end",
        "x/end",
        "?root=0",
        "trace-",
        "run-/traces/t",
        "child|",
        "\"]",
        "%00",
        "%",
        &long,
    ];
    for id in ids {
        cx.record(&[with(start(id), json!({ "correlation_id": id, "parent_run_id": id }))]);
        cx.send_under(id, &[thought(id, id), with(step(id, 0), json!({ "trace_id": id }))]).expect("recorded");
        cx.record(&[json!({"op": "record_trace", "run_id": id, "id": "child", "parent_id": id, "trace_type": {"type": "Thought", "content": ""}})]);
        assert_eq!(cx.trace(id, id).id.as_str(), id);
        assert_eq!(cx.trace(id, "child").parent_id.as_ref().map(|parent| parent.as_str()), Some(id));
        let under = TraceFilter { parent: Some(trace_id(id)), ..TraceFilter::default() };
        assert_eq!(cx.fitting(id, under), ["child"]);
        let (by_id, f) = (vec![trace_id(id), trace_id("child")], TraceFilter::default());
        assert_eq!(cx.fitting(id, TraceFilter { ids: by_id, roots: true, ..f }), [id]);
        assert_eq!(cx.run(id).correlation_id.map(|read| read.to_string()).as_deref(), Some(id));
        assert_eq!(cx.forest(id), [format!("0 {id} 1"), "1 child 0".to_owned()]);
        assert!(
            cx.send_under(id, &[thought(id, id), with(step(id, 0), json!({ "trace_id": id }))])
                .expect("replayed")
                .replayed
        );
    }
}

fn numbers_keep_their_digits(cx: &mut Context) {
    cx.record(&[start("r")]);
    let digits = "9".repeat(308);
    let text =
        format!(r#"[9007199254740993,-9007199254740993,18446744073709551616,{digits},1e400,5e-324,-0,0.1,1e21]"#);
    assert!(Json::parse(&text).is_err(), "beyond a double");
    let params = Json::parse(&text.replace(",1e400", "")).expect("JSON");
    let sent = RecordStep::new(run_id("r"), 0, "s", params.clone());
    cx.commit(Batch::one(Op::RecordStep(sent))).expect("recorded");
    let read = cx.step("r", 0).params;
    assert_eq!(read, params);
    assert_eq!(
        read.as_str(),
        format!("[9007199254740993,-9007199254740993,18446744073709551616,{digits},5e-324,0,0.1,1e+21]")
    );
    let near = RecordStep::new(
        run_id("r"),
        0,
        "s",
        Json::parse(&read.as_str().replace("9007199254740993", "9007199254740992")).expect("JSON"),
    );
    let error = cx.refuse_batch(Batch::one(Op::RecordStep(near)), "conflict");
    assert!(error.detail().contains("params"), "neighbours beyond 2^53 are different numbers");
}

fn law_8_a_refused_record_makes_no_neighbour_unreadable(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), thought("r", "t")]);
    let before = cx.look();
    cx.refuse_batch(Batch::one(sized(1, OP_BYTES_MAX as usize + 1)), "too_large");
    let deep = RecordStep::new(run_id("r"), 1, "s", nested(1_000));
    cx.refuse_batch(Batch::one(Op::RecordStep(deep)), "too_deep");
    cx.refuse(&[with(thought("r", "u"), json!({"tags": vec!["x"; 1_000]}))], "too_many");
    before.same(&cx.look());
}

fn large_numbers_at_their_limits(cx: &mut Context) {
    let started = json!({"seed": i64::MIN, "frozen_timestamp": "1677-09-21T00:12:43.145224192Z", "started_at": "2262-04-11T23:47:16.854775807Z"});
    cx.record(&[with(start("r"), started), with(start("s"), json!({"seed": i64::MAX}))]);
    assert_eq!((cx.run("r").seed, cx.run("s").seed), (Some(i64::MIN), Some(i64::MAX)));
    cx.record(&[with(
        step("r", 0),
        json!({"tokens": u64::MAX, "retry_count": u32::MAX, "cost_cents": "9223372036854.775807"}),
    )]);
    let query = json!({"type": "Query", "query_type": "q", "query": "", "results_count": u64::MAX});
    cx.record(&[with(thought("r", "q"), json!({ "trace_type": query }))]);
    cx.record(&[with(complete("r"), json!({"violation": {"step_index": u32::MAX}}))]);
    assert_eq!(cx.run("r").tokens, Some(u64::MAX));
}

fn a_page_of_large_bodies_ends_early_with_a_cursor(cx: &mut Context) {
    cx.record(&[start("r")]);
    for index in 0..4 {
        cx.commit(Batch::one(sized(index, OP_BYTES_MAX as usize))).expect("at the limit");
    }
    let run = run_id("r");
    let mut request = PageRequest::first(1_000);
    let first = block_on(cx.ledger().steps(&run, &request)).expect("a page");
    assert_eq!(first.items.len(), (PAGE_BYTES_MAX / OP_BYTES_MAX) as usize, "no more than fill a page");
    request.cursor = first.next_cursor;
    let rest = block_on(cx.ledger().steps(&run, &request)).expect("the next page");
    assert_eq!(rest.items.first().map(|step| step.index), Some(2));
    let indices = walk(1_000, |page| block_on(cx.ledger().steps(&run, &page)));
    assert_eq!(indices.iter().map(|step| step.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let entries = block_on(cx.ledger().entries(0, 1_000)).expect("entries");
    assert!(entries.len() <= 5 && !entries.is_empty());
}
