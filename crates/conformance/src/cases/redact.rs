//! Withholding single members: what they say goes, what proves that they were there stays.

use serde_json::json;
use tracekeep_core::compare::{Obstacle, Verdict};
use tracekeep_core::json::Json;
use tracekeep_core::limits::JSON_DEPTH_MAX;
use tracekeep_core::remainder::Remainder;
use tracekeep_core::view::LogEntry;
use tracekeep_core::wire::to_json;
use tracekeep_store::{CheckName, CompareQuery, CountsQuery, TraceFilter, TraceQuery, block_on, remainder, replay};

use crate::context::Context;
use crate::ops::{
    call, child, complete, end, ensure_otlp, erase, hold, redact_step, redact_trace, release, run_id, span, start,
    step, thought, trace_id, with,
};

cases!("redact":
    a_member_of_a_step_is_read_no_more,
    what_is_left_gives_the_commitment,
    the_same_again_is_the_original,
    what_is_not_there_and_what_is_never_withheld_is_refused,
    a_held_run_keeps_its_members,
    a_write_under_the_identity_is_erased,
    one_after_the_other_takes_over_what_is_left,
    hashes_over_the_member_go,
    an_erasure_takes_redactions_with_it,
    a_running_run_goes_on_and_has_no_hashes,
    a_member_of_a_trace_goes_from_it_and_from_its_end,
    tags_and_words_of_a_trace_go,
    a_span_that_was_closed_loses_it_in_both_forms,
    a_trace_keeps_its_status_and_its_children,
    a_duration_is_not_told_by_the_end,
    telemetry_keeps_the_seals_that_are_not_over_it,
    a_compared_run_is_unverifiable,
    what_nests_to_the_limit_can_be_withheld_around,
    a_replay_is_told_that_its_output_is_withheld,
    a_key_answers_for_the_members_that_it_withheld_alone,
);

/// A run of three steps, of which the middle one holds a secret.
fn filled(cx: &Context) {
    cx.record(&[
        with(start("r"), json!({"plan": [{"do": "it"}]})),
        with(step("r", 0), json!({"idempotency_key": "k-0"})),
    ]);
    cx.record(&[secret()]);
    cx.record(&[step("r", 2), complete("r")]);
}

fn secret() -> serde_json::Value {
    with(
        step("r", 1),
        json!({
            "params": {"q": "hunter2"}, "outcome_data": {"said": "hunter2"}, "cost_cents": "1.5", "duration_ms": 7,
            "tokens": 11, "outcome_category": "FOUND",
        }),
    )
}

fn entry(cx: &Context, log_index: u64) -> LogEntry {
    block_on(cx.ledger().entries(log_index, 1)).expect("readable").remove(0)
}

fn left(cx: &Context, log_index: u64) -> Remainder {
    block_on(remainder(&*cx.ledger(), log_index)).expect("readable").expect("something is left")
}

fn names(left: &Remainder) -> Vec<&str> {
    left.withheld().collect()
}

fn a_member_of_a_step_is_read_no_more(cx: &mut Context) {
    filled(cx);
    let before = cx.step("r", 1);
    let receipt = cx.record(&[redact_step("r", 1, &["params"])]);
    let after = cx.step("r", 1);
    assert_eq!((after.params.as_str(), after.input_hash), ("{}", None), "a required one reads as empty");
    assert_eq!(after.withheld, Some(vec!["input_hash".to_owned(), "params".to_owned()]));
    assert_eq!(after.redacted_by, Some(receipt.ops[0].log_index));
    let aside = |mut step: tracekeep_core::view::Step| {
        (step.params, step.input_hash, step.withheld, step.redacted_by) = (Json::null(), None, None, None);
        step
    };
    assert_eq!(aside(after), aside(before), "the rest reads as it did");
    let other = cx.step("r", 0);
    assert_eq!((other.withheld, other.redacted_by), (None, None));
    let bare = entry(cx, 2);
    assert_eq!((bare.body, bare.salt, bare.redacted_by), (None, None, Some(receipt.ops[0].log_index)));
}

fn what_is_left_gives_the_commitment(cx: &mut Context) {
    filled(cx);
    let before = entry(cx, 2);
    cx.record(&[redact_step("r", 1, &["outcome_data", "tokens"])]);
    let left = left(cx, 2);
    assert_eq!(entry(cx, 2).leaf, before.leaf, "the leaf stays");
    assert_eq!(left.commitment().to_string(), crate::dump::leaf_members(&before)["commit"]);
    assert_eq!(names(&left), ["outcome_data", "output_hash", "tokens"]);
}

fn the_same_again_is_the_original(cx: &mut Context) {
    filled(cx);
    let receipt = cx.record(&[redact_step("r", 1, &["params", "tokens"])]);
    cx.again(&[redact_step("r", 1, &["params", "tokens"])], &receipt);
    cx.again(&[with(redact_step("r", 1, &["input_hash"]), json!({"reason": "another"}))], &receipt);
    cx.record(&[hold("r")]);
    cx.again(&[redact_step("r", 1, &["tokens"])], &receipt);
    let keyed = cx.send_under("k", &[redact_step("r", 1, &["params"])]).expect("a duplicate under a key");
    assert_eq!(keyed.ops[0].log_index, receipt.ops[0].log_index);
    assert!(cx.send_under("k", &[redact_step("r", 1, &["params"])]).expect("the same").replayed);
}

fn what_is_not_there_and_what_is_never_withheld_is_refused(cx: &mut Context) {
    filled(cx);
    let refused = |members: &[&str], path: &str| {
        let error = cx.refuse(&[redact_step("r", 1, members)], "invalid_member");
        assert_eq!(error.path(), Some(path), "{error:?}");
    };
    refused(&["params", "rng_state_before"], "/ops/0/members/1");
    refused(&["status"], "/ops/0/members/0");
    refused(&["trace_type/arguments"], "/ops/0/members/0");
    refused(&[], "/ops/0/members");
    cx.refuse(&[redact_step("r", 7, &["params"])], "step_not_found");
    cx.refuse(&[redact_step("nobody", 1, &["params"])], "run_not_found");
    cx.refuse(&[with(redact_step("r", 1, &["params"]), json!({"trace": "t"}))], "invalid_member");
    cx.refuse(&[with(redact_step("r", 1, &["params"]), json!({"reason": ""}))], "invalid_member");
    cx.refuse(&[redact_step("r", 1, &["params"]), redact_step("r", 0, &["params"])], "invalid_batch");
    cx.refuse(&[start("s"), step("s", 0), redact_step("s", 0, &["params"])], "invalid_batch");
}

fn a_held_run_keeps_its_members(cx: &mut Context) {
    filled(cx);
    cx.record(&[hold("r")]);
    cx.refuse(&[redact_step("r", 1, &["params"])], "held");
    cx.record(&[release("r")]);
    cx.record(&[redact_step("r", 1, &["params"])]);
}

fn a_write_under_the_identity_is_erased(cx: &mut Context) {
    filled(cx);
    cx.record(&[redact_step("r", 1, &["params"])]);
    cx.refuse(&[secret()], "erased");
    cx.refuse(&[step("r", 1)], "erased");
}

fn one_after_the_other_takes_over_what_is_left(cx: &mut Context) {
    filled(cx);
    let first = cx.record(&[with(redact_step("r", 1, &["params"]), json!({"reason": "first", "by": "ops"}))]);
    let other = cx.record(&[redact_step("r", 0, &["idempotency_key"])]);
    let second = cx.record(&[redact_step("r", 1, &["tokens"])]);
    let (first, second) = (first.ops[0].log_index, second.ops[0].log_index);
    assert_eq!(names(&left(cx, 2)), ["input_hash", "params", "tokens"]);
    let replaced = entry(cx, first);
    assert_eq!((replaced.body, replaced.redacted_by), (None, Some(second)), "it held what is withheld now");
    let body = entry(cx, second).body.expect("a body");
    let body: serde_json::Value = serde_json::from_str(body.as_str()).expect("JSON");
    assert_eq!(body["replaces"][0], json!({"log_index": first, "reason": "first", "by": "ops"}));
    assert_eq!(entry(cx, other.ops[0].log_index).redacted_by, None, "what holds another step stays");
    cx.look();
    let third = cx.record(&[redact_step("r", 1, &["outcome_data"])]).ops[0].log_index;
    assert_eq!(entry(cx, first).redacted_by, Some(third));
    assert_eq!(cx.step("r", 0).redacted_by, Some(other.ops[0].log_index));
    assert_eq!(cx.step("r", 1).redacted_by, Some(third));
}

fn hashes_over_the_member_go(cx: &mut Context) {
    filled(cx);
    let before = cx.run("r");
    cx.record(&[redact_step("r", 1, &["cost_cents"])]);
    let after = cx.run("r");
    assert_eq!((after.root_hash, after.cost_cents.to_string()), (before.root_hash, "0".to_owned()));
    assert_eq!(after.withheld, Some(vec!["totals".to_owned()]));
    let redaction = cx.record(&[redact_step("r", 1, &["params"])]).ops[0].log_index;
    let after = cx.run("r");
    assert_eq!((after.root_hash, after.behaviour_hash, after.plan_hash), (None, None, before.plan_hash));
    let all = ["behaviour_hash", "root_hash", "totals"].map(str::to_owned);
    assert_eq!(after.withheld, Some(all.to_vec()));
    let seal = after.log_index + 4;
    assert_eq!((entry(cx, seal).body, entry(cx, seal).redacted_by), (None, Some(redaction)));
    let report = block_on(cx.ledger().verify_run(&run_id("r"))).expect("a report");
    assert!(report.is_clean() && !report.is_whole(), "{report:?}");
    let tally = |name| report.check(name).map(|check| (check.checked, check.withheld)).expect("every check is there");
    // Of four entries three are as they were, one is left in part; two redactions, of which one was replaced.
    assert_eq!(tally(CheckName::Commitments), (6, 1));
    assert_eq!(tally(CheckName::StepHashes), (3, 1));
    assert_eq!((tally(CheckName::RootHash), tally(CheckName::Totals)), ((0, 1), (0, 1)));
    assert_eq!((tally(CheckName::PlanHash), tally(CheckName::RunRoot)), ((1, 0), (1, 0)));
    assert_eq!((tally(CheckName::Counts), tally(CheckName::Gaps)), ((1, 0), (1, 0)));
}

fn an_erasure_takes_redactions_with_it(cx: &mut Context) {
    filled(cx);
    cx.record(&[redact_step("r", 1, &["params"])]);
    cx.record(&[redact_step("r", 1, &["tokens"])]);
    cx.look();
    cx.record(&[erase("r")]);
    for entry in block_on(cx.ledger().entries(0, 100)).expect("readable") {
        assert_eq!((entry.redacted_by, entry.body.is_some()), (None, entry.log_index == 7));
    }
    cx.refuse(&[redact_step("r", 1, &["params"])], "erased");
}

fn a_running_run_goes_on_and_has_no_hashes(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), step("r", 3)]);
    cx.record(&[redact_step("r", 0, &["skill_name"])]);
    assert_eq!(cx.step("r", 0).skill_name, "");
    cx.record(&[step("r", 1), step("r", 2)]);
    cx.look_reopen_look();
    let claimed = with(complete("r"), json!({"root_hash": "00".repeat(32)}));
    cx.refuse(&[claimed], "hash_mismatch");
    cx.record(&[complete("r")]);
    let run = cx.run("r");
    assert_eq!((run.root_hash, run.behaviour_hash, run.steps), (None, None, 4));
    assert_eq!(run.gaps.expect("sealed").count, 0);
    assert!(block_on(cx.ledger().verify_run(&run_id("r"))).expect("a report").is_clean());
    cx.record(&[redact_step("r", 3, &["params"])]);
    assert_eq!(cx.step("r", 3).redacted_by, Some(7));
}

/// A tool call that was ended, with secrets in both.
fn called(cx: &Context) {
    let trace_type = json!({"type": "ToolCall", "tool_name": "web_search", "arguments": {"q": "hunter2"}});
    cx.record(&[start("r"), with(call("r", "c"), json!({"trace_type": trace_type, "tags": ["x", "hunter2"]}))]);
    cx.record(&[with(end("r", "c"), json!({"result": {"said": "hunter2"}, "duration_ms": 5}))]);
}

fn a_member_of_a_trace_goes_from_it_and_from_its_end(cx: &mut Context) {
    called(cx);
    let before = cx.trace("r", "c");
    let receipt = cx.record(&[redact_trace("r", "c", &["trace_type/arguments", "trace_type/result"])]);
    let after = cx.trace("r", "c");
    let names = ["trace_type/arguments", "trace_type/result"].map(str::to_owned);
    assert_eq!((after.withheld.as_deref(), after.redacted_by), (Some(&names[..]), Some(receipt.ops[0].log_index)));
    let text = to_json(&after).as_str().to_owned();
    assert!(
        text.contains(r#""trace_type":{"arguments":{},"duration_ms":5,"tool_name":"web_search","type":"ToolCall"}"#),
        "{text}"
    );
    assert_eq!((after.status, after.ended_at, after.tags), (before.status, before.ended_at, before.tags));
    for taken in [1, 2] {
        assert_eq!(entry(cx, taken).body, None);
        assert_eq!(left(cx, taken).commitment().to_string(), crate::dump::leaf_members(&entry(cx, taken))["commit"]);
    }
    cx.again(&[redact_trace("r", "c", &["result"])], &receipt);
    cx.refuse(&[end("r", "c")], "erased");
    cx.refuse(&[call("r", "c")], "erased");
    cx.refuse(&[redact_trace("r", "c", &["error"])], "invalid_member");
    cx.refuse(&[redact_trace("r", "d", &["tags"])], "trace_not_found");
}

fn tags_and_words_of_a_trace_go(cx: &mut Context) {
    called(cx);
    cx.record(&[with(thought("r", "other"), json!({"tags": ["x"]}))]);
    let found = |cx: &Context, text: &str| {
        cx.fitting("r", TraceFilter { text: Some(text.to_owned()), ..TraceFilter::default() })
    };
    assert_eq!((found(cx, "hunter2"), found(cx, "web_search")), (vec!["c".to_owned()], vec!["c".to_owned()]));
    cx.record(&[redact_trace("r", "c", &["trace_type/arguments", "result", "tags"])]);
    assert_eq!((found(cx, "hunter2"), found(cx, "web_search")), (Vec::new(), vec!["c".to_owned()]));
    let tagged = |tag: &str| cx.fitting("r", TraceFilter { tags: vec![tag.to_owned()], ..TraceFilter::default() });
    assert_eq!((tagged("hunter2"), tagged("x")), (Vec::new(), vec!["other".to_owned()]));
    let counts = block_on(cx.ledger().trace_counts(&run_id("r"), &CountsQuery::default())).expect("counts");
    assert_eq!(counts.tags.iter().map(|tag| (tag.name.as_str(), tag.count)).collect::<Vec<_>>(), [("x", 1)]);
    assert!(cx.trace("r", "c").tags.is_empty());
}

fn a_span_that_was_closed_loses_it_in_both_forms(cx: &mut Context) {
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}Z");
    let open = with(span("r", "a", None), json!({"occurred_at": at(1), "metadata": {"k": "hunter2"}}));
    let closed = with(open.clone(), json!({"ended_at": at(2), "otel": {"spanId": "a", "end": "2"}}));
    cx.record(&[ensure_otlp("r"), open]);
    cx.record(std::slice::from_ref(&closed));
    let ended = cx.run("r").root_ended_at;
    cx.record(&[redact_trace("r", "a", &["metadata"])]);
    let trace = cx.trace("r", "a");
    assert_eq!((trace.metadata.as_str(), trace.otel), ("{}", None));
    assert_eq!(trace.withheld, Some(vec!["metadata".to_owned(), "otel".to_owned()]));
    assert_eq!(cx.run("r").root_ended_at, ended);
    cx.refuse(&[closed], "erased");
    cx.record(&[span("r", "late", Some("a"))]);
}

fn a_trace_keeps_its_status_and_its_children(cx: &mut Context) {
    let trace_type = json!({"type": "ToolCall", "tool_name": "t", "arguments": {}, "result": "hunter2"});
    cx.record(&[start("r"), with(call("r", "done"), json!({"trace_type": trace_type})), child("r", "under", "done")]);
    cx.record(&[redact_trace("r", "done", &["trace_type/result", "trace_type/tool_name"])]);
    assert_eq!(cx.trace("r", "done").status.as_str(), "ok");
    cx.record(&[child("r", "later", "done")]);
    assert_eq!(cx.forest("r"), ["0 done 2", "1 under 0", "1 later 0"]);
    // A parent that is yet to come is one still.
    cx.record(&[ensure_otlp("s"), span("s", "b", Some("a"))]);
    cx.record(&[redact_trace("s", "b", &["trace_type/content"])]);
    cx.look_reopen_look();
    cx.record(&[span("s", "a", None)]);
    assert_eq!(cx.forest("s"), ["0 a 1", "1 b 0"]);
}

fn a_duration_is_not_told_by_the_end(cx: &mut Context) {
    called(cx);
    cx.record(&[redact_trace("r", "c", &["trace_type/duration_ms"])]);
    let trace = cx.trace("r", "c");
    assert_eq!(trace.ended_at, Some(cx.run("r").recorded_at), "when the end was recorded");
    assert_eq!(trace.status.as_str(), "ok");
    // Of telemetry, the run's own end was taken from it.
    cx.record(&[ensure_otlp("s"), with(call("s", "root"), json!({"otel": {"spanId": "root"}}))]);
    cx.record(&[with(end("s", "root"), json!({"duration_ms": 5}))]);
    cx.refuse(&[redact_trace("s", "root", &["duration_ms"])], "invalid_member");
}

fn telemetry_keeps_the_seals_that_are_not_over_it(cx: &mut Context) {
    let seal = |n: u64| json!({"op": "seal_run", "run_id": "r", "n": n, "status": "completed"});
    cx.record(&[ensure_otlp("r"), step("r", 0), seal(0)]);
    cx.record(&[with(step("r", 1), json!({"params": {"q": "hunter2"}, "cost_cents": "2"})), seal(1)]);
    cx.record(&[redact_step("r", 1, &["params", "cost_cents"])]);
    assert!(entry(cx, 2).body.is_some(), "the first seal was before the step");
    assert_eq!(names(&left(cx, 4)), ["behaviour_hash", "root_hash", "totals"]);
    assert_eq!(cx.run("r").root_hash, None);
    cx.look_reopen_look();
    cx.record(&[step("r", 2), seal(2)]);
    cx.record(&[redact_step("r", 0, &["cost_cents"])]);
    assert_eq!(names(&left(cx, 2)), ["totals"]);
    let report = block_on(cx.ledger().verify_run(&run_id("r"))).expect("a report");
    assert!(report.is_clean(), "{report:?}");
    let tally = |name| report.check(name).map(|check| (check.checked, check.withheld)).expect("every check is there");
    assert_eq!(tally(CheckName::RootHash), (1, 2), "the first seal's still stand");
}

fn a_compared_run_is_unverifiable(cx: &mut Context) {
    for run in ["a", "b"] {
        cx.record(&[with(start(run), json!({"plan": []})), step(run, 0), complete(run)]);
    }
    let compared = |cx: &Context| {
        let query = CompareQuery::default();
        block_on(cx.ledger().compare(&run_id("a"), &run_id("b"), &query)).expect("a comparison")
    };
    assert_eq!(compared(cx).verdict, Verdict::Identical);
    cx.record(&[redact_step("b", 0, &["params"])]);
    let after = compared(cx);
    assert_eq!(after.verdict, Verdict::Unverifiable);
    assert_eq!(after.obstacles.iter().map(|one| one.reason).collect::<Vec<_>>(), [Obstacle::Redacted]);
    let matches = block_on(cx.ledger().matches(&run_id("a"))).expect("matches");
    assert_eq!((matches.runs, matches.unverifiable), (1, 1));
    cx.record(&[json!({"op": "set_baseline", "name": "n", "run_id": "b"})]);
    let name = tracekeep_core::id::BaselineName::new("n").expect("a name");
    let baseline = block_on(cx.ledger().baseline(&name)).expect("readable").expect("it is there");
    assert_eq!(baseline.root_hash, None);
}

fn what_nests_to_the_limit_can_be_withheld_around(cx: &mut Context) {
    let nested = |depth: u32| {
        let text = format!("{}{}", "[".repeat(depth as usize), "]".repeat(depth as usize));
        Json::parse(&text).expect("JSON")
    };
    cx.record(&[start("r")]);
    let mut step = tracekeep_core::model::RecordStep::new(run_id("r"), 0, "deep", nested(JSON_DEPTH_MAX - 1));
    step.outcome_data = Some(Json::from("hunter2"));
    let mut trace = tracekeep_core::model::RecordTrace::new(
        run_id("r"),
        tracekeep_core::model::TraceType::Custom { name: "deep".to_owned(), data: nested(JSON_DEPTH_MAX - 2) },
    );
    (trace.id, trace.tags) = (Some(trace_id("t")), vec!["hunter2".to_owned()]);
    let ops = vec![tracekeep_core::model::Op::RecordStep(step), tracekeep_core::model::Op::RecordTrace(trace)];
    cx.commit(tracekeep_store::Batch::of(ops)).expect("recorded");
    cx.record(&[redact_step("r", 0, &["outcome_data"])]);
    cx.record(&[redact_trace("r", "t", &["tags"])]);
    assert_eq!(cx.step("r", 0).params, nested(JSON_DEPTH_MAX - 1));
    assert_eq!(names(&left(cx, 2)), ["tags"]);
    let query = TraceQuery::default();
    assert_eq!(block_on(cx.ledger().traces(&run_id("r"), &query)).expect("traces").items.len(), 1);
}

fn a_replay_is_told_that_its_output_is_withheld(cx: &mut Context) {
    let skip = |index: u32| with(step("r", index), json!({"replay_behavior": "skip", "outcome_data": "hunter2"}));
    cx.record(&[start("r"), skip(0), skip(1), skip(2)]);
    cx.record(&[redact_step("r", 0, &["outcome_data"])]);
    cx.record(&[redact_step("r", 1, &["replay_behavior"])]);
    cx.record(&[redact_step("r", 2, &["params"])]);
    let told = |index| block_on(replay::step(&*cx.ledger(), &run_id("r"), index)).map(|step| step.outcome_data);
    for index in [0, 1] {
        assert_eq!(told(index).expect_err("withheld").code(), "erased");
    }
    assert_eq!(told(2).expect("it is there"), Some(Json::from("hunter2")));
}

fn a_key_answers_for_the_members_that_it_withheld_alone(cx: &mut Context) {
    filled(cx);
    cx.record(&[redact_step("r", 1, &["params", "tokens"])]);
    cx.send_under("k", &[redact_step("r", 1, &["params"])]).expect("a duplicate under a key");
    assert!(cx.send_under("k", &[redact_step("r", 1, &["tokens"])]).expect("withheld by the same").replayed);
    for other in [redact_step("r", 1, &["cost_cents"]), redact_step("r", 0, &["params"]), erase("r")] {
        let batch = tracekeep_store::Batch::of(crate::ops::ops(&[other])).under(crate::ops::key("k"));
        cx.refuse_batch(batch, "key_reused");
    }
}
