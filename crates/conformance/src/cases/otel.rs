//! Spans: children before parents, adoption, cycles, closing.

use serde_json::{Value, json};
use tracekeep_core::model::TraceStatus;
use tracekeep_store::{Order, TraceFilter, TraceQuery};

use crate::context::Context;
use crate::ops::{child, end, ensure_otlp, span, start, thought, trace_id, with};

cases!("otel":
    a_child_may_come_before_its_parent,
    a_missing_parent_stands_among_the_roots_where_it_was_first_named,
    an_adoption_keeps_siblings_in_order,
    a_parent_that_itself_misses_its_parent,
    a_span_that_is_its_own_parent_is_an_orphan,
    a_cycle_of_two_is_cut,
    a_cycle_of_three_is_cut,
    a_cycle_inside_one_batch_is_cut,
    a_late_parent_deep_in_the_forest_is_no_cycle,
    a_late_parent_below_a_parent_of_its_own_batch_is_no_cycle,
    a_cycle_through_a_parent_of_its_own_batch_is_cut,
    a_late_parent_that_is_no_span_is_no_cycle,
    a_chain_of_late_parents_of_any_length,
    a_late_parent_below_too_many_ancestors_is_an_orphan,
    an_orphan_keeps_its_children,
    a_span_equals_by_its_otel_alone,
    a_conflicting_span_is_a_conflict,
    an_open_span_is_closed_by_the_same_span_with_an_end,
    a_span_that_failed_says_why,
    a_closed_span_moves_in_every_index,
    a_span_without_a_start_is_closed_all_the_same,
    an_open_span_is_closed_in_its_own_batch,
    an_open_span_may_be_ended_by_an_end,
    the_end_of_the_root_span_is_noted,
    what_is_no_span_needs_its_parent,
    a_deep_chain_in_one_batch_in_any_order,
);

/// A span under way, and the same with its end.
fn open(id: &str, parent: Option<&str>) -> Value {
    with(
        span("o", id, parent),
        json!({"occurred_at": "2026-01-01T00:00:00Z", "status": "open", "tags": ["open", "both"]}),
    )
}

fn closed(id: &str, parent: Option<&str>) -> Value {
    with(
        open(id, parent),
        json!({
            "ended_at": "2026-01-01T00:00:05Z", "status": "error", "tags": ["both", "done"], "metadata": {"late": true},
            "trace_type": {"type": "ToolCall", "tool_name": "web", "arguments": {}, "result": 1},
            "otel": {"spanId": id, "end": "5"},
        }),
    )
}

fn orphan(cx: &Context, id: &str) -> bool {
    cx.trace("o", id).orphan
}

fn a_child_may_come_before_its_parent(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "c", Some("p"))]);
    assert_eq!(cx.forest("o"), ["0 ?p 1", "1 c 0"]);
    cx.look_reopen_look();
    cx.record(&[span("o", "p", None)]);
    assert_eq!(cx.forest("o"), ["0 p 1", "1 c 0"]);
    cx.record(&[span("o", "d", Some("p")), span("o", "e", Some("c"))]);
    assert_eq!(cx.forest("o"), ["0 p 2", "1 c 1", "2 e 0", "1 d 0"]);
    let under =
        |parent: &str| cx.fitting("o", TraceFilter { parent: Some(trace_id(parent)), ..TraceFilter::default() });
    assert_eq!((under("p"), under("c")), (vec!["c".to_owned(), "d".to_owned()], vec!["e".to_owned()]));
    assert_eq!(cx.fitting("o", TraceFilter { roots: true, ..TraceFilter::default() }), ["p"]);
}

fn a_missing_parent_stands_among_the_roots_where_it_was_first_named(cx: &mut Context) {
    let at = |op: Value, second: u32| with(op, json!({"occurred_at": format!("2026-01-01T00:00:0{second}Z")}));
    cx.record(&[ensure_otlp("o")]);
    cx.record(&[at(span("o", "r5", None), 5), at(span("o", "c4", Some("m")), 4), at(span("o", "r1", None), 1)]);
    cx.record(&[
        at(span("o", "c2", Some("m")), 2),
        at(span("o", "c7", Some("m")), 7),
        at(span("o", "x6", Some("n")), 6),
    ]);
    let forest = ["0 r1 0", "0 ?m 3", "1 c2 0", "1 c4 0", "1 c7 0", "0 r5 0", "0 ?n 1", "1 x6 0"];
    assert_eq!(cx.forest("o"), forest, "at the time of the first entry that named it");
    for limit in 1..=9 {
        let nodes = cx.tree("o", &Default::default(), limit);
        assert_eq!(crate::context::drawn(&nodes), forest, "pages of {limit}");
    }
    let under = TraceFilter { parent: Some(trace_id("m")), ..TraceFilter::default() };
    assert_eq!(cx.fitting("o", under), ["c2", "c4", "c7"], "children of what is missing can be asked for");
    assert_eq!(cx.fitting("o", TraceFilter { roots: true, ..TraceFilter::default() }), ["r1", "r5"]);
}

fn an_adoption_keeps_siblings_in_order(cx: &mut Context) {
    let at = |op: Value, second: u32| with(op, json!({"occurred_at": format!("2026-01-01T00:00:0{second}Z")}));
    cx.record(&[ensure_otlp("o"), at(span("o", "a", None), 0), at(span("o", "z", Some("p")), 9)]);
    cx.record(&[at(span("o", "y", Some("p")), 8), at(span("o", "b", Some("a")), 1)]);
    cx.record(&[at(span("o", "p", Some("a")), 5), at(span("o", "c", Some("a")), 7), at(span("o", "x", Some("p")), 6)]);
    assert_eq!(cx.forest("o"), ["0 a 3", "1 b 0", "1 p 3", "2 x 0", "2 y 0", "2 z 0", "1 c 0"]);
}

fn a_parent_that_itself_misses_its_parent(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "c", Some("b")), span("o", "b", Some("a"))]);
    assert_eq!(cx.forest("o"), ["0 ?a 1", "1 b 1", "2 c 0"]);
    cx.record(&[span("o", "a", None)]);
    assert_eq!(cx.forest("o"), ["0 a 1", "1 b 1", "2 c 0"]);
}

fn a_span_that_is_its_own_parent_is_an_orphan(cx: &mut Context) {
    let receipt = cx.record(&[ensure_otlp("o"), span("o", "s", Some("s"))]);
    assert!(orphan(cx, "s"));
    assert_eq!(cx.forest("o"), ["0 s 0"]);
    cx.record(&[span("o", "c", Some("s")), span("o", "t", Some("u"))]);
    cx.record(&[span("o", "u", Some("u"))]);
    assert_eq!(cx.forest("o"), ["0 s 1", "1 c 0", "0 u 1", "1 t 0"]);
    cx.again(&[ensure_otlp("o"), span("o", "s", Some("s"))], &receipt);
}

fn a_cycle_of_two_is_cut(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "a", Some("b"))]);
    cx.record(&[span("o", "b", Some("a"))]);
    assert_eq!((orphan(cx, "a"), orphan(cx, "b")), (false, true), "the one that would close it");
    assert_eq!(cx.trace("o", "b").parent_id, Some(trace_id("a")), "what it claims is kept");
    assert_eq!(cx.forest("o"), ["0 b 1", "1 a 0"]);
}

fn a_cycle_of_three_is_cut(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "a", Some("b"))]);
    cx.record(&[span("o", "b", Some("c"))]);
    cx.record(&[span("o", "c", Some("a"))]);
    assert_eq!(cx.forest("o"), ["0 c 1", "1 b 1", "2 a 0"]);
    assert!(orphan(cx, "c"));
    // In another order, another one closes it.
    cx.record(&[span("o", "x", Some("y")), span("o", "z", Some("x"))]);
    cx.record(&[span("o", "y", Some("z"))]);
    assert!(orphan(cx, "y") && !orphan(cx, "x") && !orphan(cx, "z"));
    assert_eq!(cx.forest("o")[3..], ["0 y 1", "1 x 1", "2 z 0"]);
}

fn a_cycle_inside_one_batch_is_cut(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "a", Some("b")), span("o", "b", Some("c")), span("o", "c", Some("a"))]);
    assert_eq!(cx.forest("o"), ["0 c 1", "1 b 1", "2 a 0"]);
    cx.record(&[span("o", "d", Some("e"))]);
    cx.record(&[span("o", "f", Some("d")), span("o", "e", Some("f"))]);
    assert!(orphan(cx, "e"));
    assert_eq!(cx.forest("o")[3..], ["0 e 1", "1 d 1", "2 f 0"]);
}

fn a_late_parent_deep_in_the_forest_is_no_cycle(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "a", None), span("o", "b", Some("a")), span("o", "x", Some("late"))]);
    cx.record(&[span("o", "late", Some("b"))]);
    assert!(!orphan(cx, "late"));
    assert_eq!(cx.forest("o"), ["0 a 1", "1 b 1", "2 late 1", "3 x 0"]);
}

fn a_late_parent_below_a_parent_of_its_own_batch_is_no_cycle(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "a", None), span("o", "a2", Some("a")), span("o", "x", Some("late"))]);
    cx.record(&[span("o", "b", Some("a2")), span("o", "c", Some("b")), span("o", "late", Some("c"))]);
    assert!(!orphan(cx, "late"));
    assert_eq!(cx.forest("o"), ["0 a 1", "1 a2 1", "2 b 1", "3 c 1", "4 late 1", "5 x 0"]);
    cx.record(&[start("r"), thought("r", "a"), child("r", "a2", "a"), span("r", "x", Some("late"))]);
    cx.record(&[child("r", "b", "a2"), child("r", "c", "b"), span("r", "late", Some("c"))]);
    assert_eq!(cx.forest("r"), ["0 a 1", "1 a2 1", "2 b 1", "3 c 1", "4 late 1", "5 x 0"]);
}

fn a_cycle_through_a_parent_of_its_own_batch_is_cut(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "x", Some("late")), span("o", "y", Some("x"))]);
    cx.record(&[span("o", "b", Some("y")), span("o", "late", Some("b"))]);
    assert!(orphan(cx, "late"));
    assert_eq!(cx.forest("o"), ["0 late 1", "1 x 1", "2 y 1", "3 b 0"]);
}

/// The ancestors were once looked up only for spans: a trace without `otel` that a span had named became an orphan.
fn a_late_parent_that_is_no_span_is_no_cycle(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), thought("o", "a"), child("o", "b", "a"), span("o", "x", Some("late"))]);
    cx.record(&[child("o", "late", "b")]);
    assert!(!orphan(cx, "late"));
    assert_eq!(cx.forest("o"), ["0 a 1", "1 b 1", "2 late 1", "3 x 0"]);
    cx.record(&[span("o", "v", Some("w"))]);
    cx.record(&[child("o", "w", "v")]);
    assert!(orphan(cx, "w"), "it can close a cycle as well");
}

fn a_chain_of_late_parents_of_any_length(cx: &mut Context) {
    cx.record(&[ensure_otlp("o")]);
    let chain: Vec<_> = (0..1_500).map(|n| span("o", &format!("s{n}"), Some(&format!("s{}", n + 1)))).collect();
    for ops in chain.chunks(500) {
        cx.record(ops);
    }
    cx.record(&[span("o", "s1500", None)]);
    let forest = cx.forest("o");
    assert_eq!((forest.len(), forest[0].as_str(), forest[1_500].as_str()), (1_501, "0 s1500 1", "1500 s0 0"));
}

fn a_late_parent_below_too_many_ancestors_is_an_orphan(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "p0", None)]);
    let chain: Vec<_> = (1..1_500).map(|n| span("o", &format!("p{n}"), Some(&format!("p{}", n - 1)))).collect();
    for ops in chain.chunks(500) {
        cx.record(ops);
    }
    cx.record(&[span("o", "x", Some("far")), span("o", "y", Some("near"))]);
    cx.record(&[span("o", "far", Some("p1499")), span("o", "near", Some("p900"))]);
    assert_eq!((orphan(cx, "far"), orphan(cx, "near")), (true, false));
    cx.record(&[span("o", "direct", Some("p1499"))]);
    assert!(!orphan(cx, "direct"), "what nobody named before cannot close a cycle");
    let forest = cx.forest("o");
    assert_eq!(forest[forest.len() - 2..], ["0 far 1", "1 x 0"]);
}

fn an_orphan_keeps_its_children(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "a", Some("b")), span("o", "b", Some("a"))]);
    cx.record(&[span("o", "c", Some("b")), span("o", "d", Some("a"))]);
    assert_eq!(cx.forest("o"), ["0 b 2", "1 a 1", "2 d 0", "1 c 0"]);
    let roots = TraceFilter { roots: true, ..TraceFilter::default() };
    assert_eq!(cx.fitting("o", roots), ["b"]);
}

fn a_span_equals_by_its_otel_alone(cx: &mut Context) {
    let first = cx.record(&[ensure_otlp("o"), span("o", "s", None)]);
    // A later version may map the same span to other members: the span is the same.
    let mapped = json!({
        "tags": ["new"], "status": "error", "metadata": {"v": 2}, "occurred_at": "2020-01-01T00:00:00Z",
        "trace_type": {"type": "Custom", "name": "mapped", "data": 1},
    });
    cx.again(&[ensure_otlp("o"), with(span("o", "s", None), mapped)], &first);
    assert!(cx.trace("o", "s").tags.is_empty());
    let other = json!({"otel": {"parentSpanId": null, "spanId": "s"}});
    cx.again(&[ensure_otlp("o"), with(span("o", "s", None), other)], &first);
}

fn a_conflicting_span_is_a_conflict(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "s", None), closed("t", None)]);
    cx.conflict(&[with(span("o", "s", None), json!({"otel": {"spanId": "s", "x": 1}}))], &["otel"]);
    cx.conflict(&[thought("o", "s")], &["otel"]);
    cx.conflict(&[with(closed("t", None), json!({"otel": {"end": "6"}}))], &["otel"]);
    cx.conflict(
        &[with(closed("t", None), json!({"otel": {"end": "6"}, "ended_at": "2026-01-01T00:00:06Z"}))],
        &["otel"],
    );
    assert_eq!(cx.run("o").traces, 2);
}

fn an_open_span_is_closed_by_the_same_span_with_an_end(cx: &mut Context) {
    let first = cx.record(&[ensure_otlp("o"), open("s", None), span("o", "c", Some("s"))]);
    assert_eq!((cx.trace("o", "s").status, cx.trace("o", "s").ended_at), (TraceStatus::Open, None));
    let second = cx.record(&[closed("s", None)]);
    let trace = cx.trace("o", "s");
    assert_eq!((trace.status, trace.tags.join(" ").as_str()), (TraceStatus::Error, "both done"));
    assert_eq!(trace.ended_at.map(|time| time.to_string()).as_deref(), Some("2026-01-01T00:00:05.000000000Z"));
    assert_eq!((trace.trace_type.type_name(), trace.metadata.as_str()), ("ToolCall", r#"{"late":true}"#));
    assert_eq!((trace.log_index, trace.ended_log_index), (1, Some(second.ops[0].log_index)));
    assert_eq!(cx.run("o").traces, 2, "one trace, two entries");
    cx.look_reopen_look();
    for _ in 0..2 {
        cx.again(&[closed("s", None)], &second);
        cx.again(&[ensure_otlp("o"), open("s", None), span("o", "c", Some("s"))], &first);
    }
    cx.refuse(&[with(closed("s", None), json!({"otel": {"end": "6"}}))], "conflict");
    cx.refuse(&[end("o", "s")], "conflict");
    cx.record(&[open("t", None)]);
    cx.refuse(&[with(closed("t", None), json!({"occurred_at": "2026-01-01T00:00:01Z"}))], "conflict");
    cx.refuse(&[closed("t", Some("s"))], "conflict");
}

fn a_span_that_failed_says_why(cx: &mut Context) {
    let why = |op: Value, id: &str, status: &str| {
        let span = json!({"spanId": id, "status": {"code": 2, "message": "Limit exceeded"}});
        with(op, json!({"status": status, "otel": {"span": span}}))
    };
    cx.record(&[ensure_otlp("o"), why(closed("a", None), "a", "error"), why(closed("b", None), "b", "ok")]);
    cx.record(&[open("c", None), open("d", None)]);
    let found = |cx: &Context| {
        cx.fitting("o", TraceFilter { text: Some("limit exceeded".to_owned()), ..TraceFilter::default() })
    };
    assert_eq!(found(cx), ["a"]);
    cx.record(&[why(closed("c", None), "c", "error"), closed("d", None)]);
    assert_eq!(found(cx), ["a", "c"]);
    let attribute = |key: &str, text: &str| json!({"key": key, "value": {"stringValue": text}});
    let attributes = [attribute("exception.type", "TimeoutError"), attribute("exception.message", "no answer")];
    let events = json!([{"name": "retry"}, {"name": "exception", "attributes": attributes}]);
    let thrown = json!({"otel": {"span": {"spanId": "e", "status": {"code": 2}, "events": events}}});
    cx.record(&[with(closed("e", None), thrown)]);
    let error = |id: &str| cx.trace("o", id).error;
    let said = Some("Limit exceeded".to_owned());
    let thrown = Some("TimeoutError: no answer".to_owned());
    assert_eq!(["a", "b", "c", "d", "e"].map(error), [said.clone(), None, said, None, thrown]);
}

fn a_closed_span_moves_in_every_index(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), open("a", None), open("b", None)]);
    cx.record(&[closed("a", None)]);
    let f = TraceFilter::default;
    let tag = |tag: &str| cx.fitting("o", TraceFilter { tags: vec![tag.into()], ..f() });
    assert_eq!(
        (tag("open"), tag("both"), tag("done")),
        (vec!["b".into()], vec!["a".into(), "b".into()], vec!["a".into()])
    );
    let of_type = |name: &str| cx.fitting("o", TraceFilter { type_name: Some(name.into()), ..f() });
    assert_eq!((of_type("Thought"), of_type("ToolCall")), (vec!["b".to_owned()], vec!["a".to_owned()]));
    let status = |status| cx.fitting("o", TraceFilter { status: Some(status), ..f() });
    assert_eq!(status(TraceStatus::Open), ["b"]);
    assert_eq!(status(TraceStatus::Error), ["a"]);
    let query = TraceQuery { order: Order::Newest, ..TraceQuery::default() };
    assert_eq!(cx.trace_ids("o", &query, 1), ["b", "a"]);
}

/// A span that started at 0 has no time of its own: its start is when it was recorded, which the closing form cannot know.
fn a_span_without_a_start_is_closed_all_the_same(cx: &mut Context) {
    let without = |op: Value| with(op, json!({"occurred_at": null}));
    cx.record(&[ensure_otlp("o")]);
    cx.record(&[without(open("s", None))]);
    let began = cx.trace("o", "s").occurred_at;
    cx.sources.advance(3_000_000_000);
    let receipt = cx.record(&[without(closed("s", None))]);
    assert_eq!((cx.trace("o", "s").occurred_at, cx.trace("o", "s").status), (began, TraceStatus::Error));
    cx.sources.advance(3_000_000_000);
    cx.again(&[without(closed("s", None))], &receipt);
}

fn an_open_span_is_closed_in_its_own_batch(cx: &mut Context) {
    let batch = [ensure_otlp("o"), open("s", None), closed("s", None), open("s", None), closed("s", None)];
    let receipt = cx.record(&batch);
    assert_eq!(receipt.ops.iter().map(|op| op.log_index).collect::<Vec<_>>(), [0, 1, 2, 1, 2]);
    assert_eq!(cx.trace("o", "s").status, TraceStatus::Error);
    cx.again(&batch, &receipt);
}

fn an_open_span_may_be_ended_by_an_end(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), with(open("s", None), json!({"otel": {"spanId": "s"}}))]);
    let receipt = cx.record(&[end("o", "s")]);
    cx.again(&[end("o", "s")], &receipt);
    assert_eq!(cx.trace("o", "s").status, TraceStatus::Ok);
    cx.refuse(&[closed("s", None)], "conflict");
}

fn the_end_of_the_root_span_is_noted(cx: &mut Context) {
    let at = |cx: &Context, run: &str| cx.run(run).root_ended_at.map(|time| time.to_string()).unwrap_or_default();
    cx.record(&[ensure_otlp("o"), open("s", None)]);
    assert_eq!(at(cx, "o"), "");
    cx.record(&[closed("c", Some("s"))]);
    assert_eq!(at(cx, "o"), "", "the end of a child is not the run's");
    cx.record(&[closed("s", None)]);
    assert_eq!(at(cx, "o"), "2026-01-01T00:00:05.000000000Z");
    assert_eq!(cx.run("o").status.as_str(), "running", "telemetry stays running until it is sealed");
}

fn what_is_no_span_needs_its_parent(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "x", Some("m"))]);
    cx.refuse(&[child("o", "t", "m")], "parent_not_found");
    cx.refuse(&[child("o", "m", "m")], "parent_not_found");
    cx.record(&[start("r")]);
    cx.refuse(&[child("r", "t", "x")], "parent_not_found");
    cx.record(&[child("o", "t", "x"), span("r", "elsewhere", Some("x"))]);
    assert_eq!(cx.forest("r"), ["0 ?x 1", "1 elsewhere 0"], "a parent of another run is not found");
    assert_eq!(cx.forest("o"), ["0 ?m 1", "1 x 1", "2 t 0"]);
}

fn a_deep_chain_in_one_batch_in_any_order(cx: &mut Context) {
    let count = 300usize;
    for (run, step) in [("forward", 1), ("backward", count - 1), ("scattered", 113)] {
        let id = |n: usize| format!("s{n}");
        let mut ops = vec![ensure_otlp(run)];
        for at in 0..count {
            let n = (at * step) % count;
            ops.push(span(run, &id(n), n.checked_sub(1).map(id).as_deref()));
        }
        cx.record(&ops);
        let wanted: Vec<_> = (0..count).map(|n| format!("{n} s{n} {}", u32::from(n + 1 < count))).collect();
        assert_eq!(cx.forest(run), wanted, "{run}");
    }
}
