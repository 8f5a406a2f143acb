//! Steps: round trips, equality, indices, totals.

use serde_json::json;
use tracekeep_core::hash;
use tracekeep_core::model::{ReplayBehavior, StepStatus};
use tracekeep_store::{PageRequest, block_on};

use crate::context::{Context, walk};
use crate::ops::{run_id, start, step, with};

cases!("steps":
    a_step_with_only_what_is_required_has_its_defaults,
    a_step_with_every_member_reads_back,
    null_is_absent_but_for_params,
    canonically_equal_steps_are_duplicates,
    what_differs_in_a_step_is_named,
    occurred_at_is_taken_from_the_record,
    indices_go_from_0_to_999999,
    steps_in_any_order_are_read_by_index,
    pages_of_steps_end_at_every_boundary,
    a_walk_does_not_return_steps_that_come_during_it,
    wrong_pages_and_cursors_are_refused,
    totals_add_up,
    a_total_that_would_overflow_is_refused,
    the_largest_total_is_readable,
    tokens_are_null_until_a_step_states_some,
    claimed_step_hashes_are_checked,
    names_are_bounded,
);

fn a_step_with_only_what_is_required_has_its_defaults(cx: &mut Context) {
    let bare =
        json!({"op": "record_step", "run_id": "r", "index": 0, "skill_name": "s", "params": [], "status": "retry"});
    cx.record(&[start("r"), bare]);
    let step = cx.step("r", 0);
    assert_eq!((step.skill_name.as_str(), step.params.as_str(), step.status), ("s", "[]", StepStatus::Retry));
    assert_eq!((step.outcome_category.as_str(), step.outcome_code, step.outcome_data), ("", None, None));
    assert_eq!((step.cost_cents.to_string().as_str(), step.duration_ms.as_ms(), step.tokens), ("0", 0.0, None));
    assert_eq!((step.retry_count, step.replay_behavior), (0, ReplayBehavior::Execute));
    assert_eq!((step.input_hash, step.output_hash), (Some(hash::input_hash("[]")), None));
    assert!(step.idempotency_key.is_none() && step.rng_state_before.is_none() && step.trace_id.is_none());
    assert_eq!((step.occurred_at, step.log_index, step.seq), (step.recorded_at, 1, 1));
}

fn a_step_with_every_member_reads_back(cx: &mut Context) {
    let whole = json!({
        "op": "record_step", "run_id": "r", "index": 3, "skill_name": "search", "params": {"b": 1, "a": null},
        "status": "failure", "outcome_category": "TIMEOUT", "outcome_code": "T1", "outcome_data": {"hits": [3]},
        "cost_cents": "10.000001", "duration_ms": 12.5, "tokens": u64::MAX, "retry_count": 7,
        "occurred_at": "2026-01-01T00:00:00.000000001Z", "idempotency_key": "pay 7", "replay_behavior": "check",
        "input_hash": hash::input_hash(r#"{"a":null,"b":1}"#).to_string(),
        "output_hash": hash::output_hash(r#"{"hits":[3]}"#).to_string(), "rng_state_before": "00ff", "trace_id": "t",
    });
    let receipt = cx.record(&[start("r"), whole.clone()]);
    let step = cx.step("r", 3);
    assert_eq!((step.index, step.params.as_str(), step.status), (3, r#"{"a":null,"b":1}"#, StepStatus::Failure));
    assert_eq!((step.outcome_category.as_str(), step.outcome_code.as_deref()), ("TIMEOUT", Some("T1")));
    assert_eq!(step.outcome_data.as_ref().map(|data| data.as_str()), Some(r#"{"hits":[3]}"#));
    assert_eq!((step.cost_cents.to_string().as_str(), step.duration_ms.as_ms()), ("10.000001", 12.5));
    assert_eq!((step.tokens, step.retry_count, step.replay_behavior), (Some(u64::MAX), 7, ReplayBehavior::Check));
    assert_eq!(step.occurred_at.to_string(), "2026-01-01T00:00:00.000000001Z");
    assert_eq!((step.idempotency_key.as_deref(), step.rng_state_before.as_deref()), (Some("pay 7"), Some("00ff")));
    assert_eq!(step.trace_id.as_ref().map(|id| id.as_str()), Some("t"));
    cx.again(&[start("r"), whole], &receipt);
}

fn null_is_absent_but_for_params(cx: &mut Context) {
    let nulls = json!({
        "outcome_category": null, "outcome_code": null, "outcome_data": null, "cost_cents": null, "duration_ms": null,
        "tokens": null, "retry_count": null, "occurred_at": null, "idempotency_key": null, "replay_behavior": null,
        "input_hash": null, "output_hash": null, "rng_state_before": null, "trace_id": null,
    });
    let receipt = cx.record(&[start("r"), step("r", 0)]);
    cx.again(&[start("r"), with(step("r", 0), nulls)], &receipt);
    let mut null = tracekeep_core::model::RecordStep::new(run_id("r"), 1, "s", tracekeep_core::json::Json::null());
    cx.refuse_batch(tracekeep_store::Batch::one(tracekeep_core::model::Op::RecordStep(null.clone())), "missing_member");
    // In the library as on the wire: a null outcome is no outcome.
    null.params = tracekeep_core::json::Json::empty_array();
    null.outcome_data = Some(tracekeep_core::json::Json::null());
    cx.commit(tracekeep_store::Batch::one(tracekeep_core::model::Op::RecordStep(null))).expect("recorded");
    assert_eq!((cx.step("r", 1).outcome_data, cx.step("r", 1).output_hash), (None, None));
}

fn canonically_equal_steps_are_duplicates(cx: &mut Context) {
    let of = |cost: &str, duration: serde_json::Value, params: &str| {
        let params: serde_json::Value = serde_json::from_str(params).expect("JSON");
        with(step("r", 0), json!({"cost_cents": cost, "duration_ms": duration, "params": params, "outcome_data": [1]}))
    };
    let receipt = cx.record(&[start("r"), of("0.25", json!(150), r#"{"a":1,"b":[0,2]}"#)]);
    let equal = [
        of("0.250", json!(150.0), r#"{"b":[0,2],"a":1}"#),
        of("0.250000", json!(150), r#"{"a":1.0,"b":[-0,2e0]}"#),
        of("0.25", json!(1.5e2), r#"{ "b" : [ 0.0 , 20e-1 ] , "a" : 1 }"#),
    ];
    for op in equal {
        cx.again(&[start("r"), op], &receipt);
    }
    cx.conflict(&[of("0.251", json!(150), r#"{"a":1,"b":[0,2]}"#)], &["cost_cents"]);
    cx.conflict(&[of("0.25", json!(150), r#"{"a":1,"b":[2,0]}"#)], &["input_hash", "params"]);
}

fn what_differs_in_a_step_is_named(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0)]);
    let check = |more: serde_json::Value, names: &[&str]| cx.conflict(&[with(step("r", 0), more)], names);
    check(json!({"skill_name": "x"}), &["skill_name"]);
    check(json!({"status": "skipped", "tokens": 0}), &["status", "tokens"]);
    check(json!({"outcome_data": {}}), &["outcome_data", "output_hash"]);
    check(json!({"outcome_category": "A", "outcome_code": ""}), &["outcome_category", "outcome_code"]);
    check(json!({"occurred_at": "2020-01-01T00:00:00Z"}), &["occurred_at"]);
    check(json!({"replay_behavior": "skip", "retry_count": 1}), &["replay_behavior", "retry_count"]);
    check(
        json!({"trace_id": "t", "rng_state_before": "", "idempotency_key": ""}),
        &["idempotency_key", "rng_state_before", "trace_id"],
    );
}

fn occurred_at_is_taken_from_the_record(cx: &mut Context) {
    cx.record(&[start("r")]);
    let receipt = cx.record(&[step("r", 0)]);
    let recorded = cx.step("r", 0).occurred_at;
    cx.sources.advance(77);
    cx.again(&[step("r", 0)], &receipt);
    cx.again(&[with(step("r", 0), json!({"occurred_at": recorded.to_string()}))], &receipt);
    assert_eq!(cx.step("r", 0).occurred_at, recorded);
}

fn indices_go_from_0_to_999999(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 999_999), step("r", 0)]);
    let error = cx.refuse(&[step("r", 1_000_000)], "number_out_of_range");
    assert_eq!(error.path(), Some("/ops/0/index"));
    cx.refuse(&[step("r", u32::MAX)], "number_out_of_range");
    assert!(block_on(cx.ledger().step(&run_id("r"), 1_000_000)).expect("readable").is_none());
    assert!(block_on(cx.ledger().step(&run_id("r"), 1)).expect("readable").is_none());
    assert_eq!(cx.step("r", 999_999).index, 999_999);
    cx.record(&[crate::ops::complete("r")]);
    let gaps = cx.run("r").gaps.expect("a seal states its gaps");
    assert_eq!((gaps.count, gaps.ranges), (999_998, vec![(1, 999_999)]));
}

fn indices(cx: &Context, limit: u32) -> Vec<u32> {
    let steps = walk(limit, |page| block_on(cx.ledger().steps(&run_id("r"), &page)));
    steps.into_iter().map(|step| step.index).collect()
}

fn steps_in_any_order_are_read_by_index(cx: &mut Context) {
    cx.record(&[start("r")]);
    for index in [5, 2, 0, 9, 1] {
        cx.record(&[step("r", index)]);
    }
    assert_eq!(indices(cx, 2), [0, 1, 2, 5, 9]);
    assert_eq!(indices(cx, 1_000), [0, 1, 2, 5, 9]);
}

fn pages_of_steps_end_at_every_boundary(cx: &mut Context) {
    cx.record(&[start("r")]);
    assert!(indices(cx, 1).is_empty());
    cx.record(&(0..6).map(|index| step("r", index * 2)).collect::<Vec<_>>());
    for limit in 1..=7 {
        assert_eq!(indices(cx, limit), [0, 2, 4, 6, 8, 10], "pages of {limit}");
    }
    let page = block_on(cx.ledger().steps(&run_id("r"), &PageRequest::first(6))).expect("a page");
    assert_eq!(page.next_cursor, None, "a full last page says that it is last");
}

fn a_walk_does_not_return_steps_that_come_during_it(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 10), step("r", 20), step("r", 30), step("r", 40)]);
    let mut next = 10;
    let walked = walk(1, |page| {
        let page = block_on(cx.ledger().steps(&run_id("r"), &page));
        next += 1;
        assert!(next < 20, "a walk comes to its end while the run grows");
        cx.record(&[step("r", next), step("r", next + 10), step("r", next + 20)]);
        page
    });
    assert_eq!(walked.into_iter().map(|step| step.index).collect::<Vec<_>>(), [10, 20, 30, 40]);
}

fn wrong_pages_and_cursors_are_refused(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), step("r", 1), start("s"), step("s", 0)]);
    let read = |run: &str, limit, cursor: Option<&str>| {
        let request = PageRequest { limit, cursor: cursor.map(str::to_owned) };
        block_on(cx.ledger().steps(&run_id(run), &request)).map_err(|error| error.code())
    };
    assert_eq!(read("r", 0, None).err(), Some("invalid_parameter"));
    assert_eq!(read("r", 1_001, None).err(), Some("invalid_parameter"));
    let cursor = read("r", 1, None).expect("a page").next_cursor.expect("more");
    assert_eq!(read("s", 1, Some(&cursor)).err(), Some("invalid_cursor"));
    assert_eq!(read("r", 1, Some("00")).err(), Some("invalid_cursor"));
    assert_eq!(read("r", 1, Some(&cursor)).expect("a page").items[0].index, 1);
}

fn totals_add_up(cx: &mut Context) {
    let of = |index, status: &str, cost: &str, ms: f64, tokens: u64| {
        with(step("r", index), json!({"status": status, "cost_cents": cost, "duration_ms": ms, "tokens": tokens}))
    };
    cx.record(&[start("r")]);
    cx.record(&[of(4, "failure", "0.1", 0.000_001, 5), of(0, "success", "0.2", 1.5, 7)]);
    cx.record(&[of(1, "retry", "3", 2.0, 0), of(2, "skipped", "0.000001", 0.0, 1), of(3, "success", "0", 0.0, 0)]);
    let run = cx.run("r");
    assert_eq!((run.steps, run.successes, run.failures), (5, 2, 1));
    assert_eq!(
        (run.cost_cents.to_string().as_str(), run.duration_ms.as_nanos(), run.tokens),
        ("3.300001", 3_500_001, Some(13))
    );
}

fn a_total_that_would_overflow_is_refused(cx: &mut Context) {
    let max = "9223372036854.775807";
    cx.record(&[start("r"), with(step("r", 0), json!({"cost_cents": max, "tokens": u64::MAX}))]);
    let check = |more: serde_json::Value, member: &str| {
        let error = cx.refuse(&[with(step("r", 1), more)], "number_out_of_range");
        assert_eq!(error.path(), Some(format!("/ops/0/{member}").as_str()));
    };
    check(json!({"cost_cents": "0.000001"}), "cost_cents");
    check(json!({"tokens": 1}), "tokens");
    let long = json!({"duration_ms": 9.0e12});
    cx.record(&[with(step("r", 1), long.clone())]);
    let error = cx.refuse(&[with(step("r", 2), long)], "number_out_of_range");
    assert_eq!(error.path(), Some("/ops/0/duration_ms"));
    cx.record(&[with(step("r", 2), json!({"cost_cents": "0", "tokens": 0, "duration_ms": 0}))]);
}

/// A total of durations just below i64 nanoseconds once read as 0.
fn the_largest_total_is_readable(cx: &mut Context) {
    cx.record(&[start("r")]);
    let of = |index, ms: f64| with(step("r", index), json!({"duration_ms": ms}));
    cx.record(&[of(0, 9.223e12)]);
    let mut sum = 9_223_000_000_000_000_000i64;
    for (index, ms) in [(1, 372_036_854.775), (2, 0.000_5), (3, 0.000_2), (4, 0.000_1)] {
        match cx.send(&[of(index, ms)]) {
            Ok(_) => sum += (ms * 1e6).round() as i64,
            Err(error) => assert_eq!(error.code(), "number_out_of_range"),
        }
        let read = cx.run("r").duration_ms.as_nanos();
        assert!((read - sum).abs() < 4_096, "{sum} reads as {read}");
    }
}

fn tokens_are_null_until_a_step_states_some(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0)]);
    assert_eq!(cx.run("r").tokens, None);
    cx.record(&[with(step("r", 1), json!({"tokens": 0}))]);
    assert_eq!(cx.run("r").tokens, Some(0));
    cx.record(&[step("r", 2)]);
    assert_eq!(cx.run("r").tokens, Some(0));
}

fn claimed_step_hashes_are_checked(cx: &mut Context) {
    let data = json!({"params": {"a": 1}, "outcome_data": {"b": 2}});
    let (right, wrong) = (|text: &str| hash::input_hash(text).to_string(), "0".repeat(64));
    cx.record(&[start("r")]);
    let claimed = |more| with(with(step("r", 0), data.clone()), more);
    let check = |more, path: &str| {
        assert_eq!(cx.refuse(&[claimed(more)], "hash_mismatch").path(), Some(format!("/ops/0/{path}").as_str()));
    };
    check(json!({"input_hash": wrong}), "input_hash");
    check(json!({"output_hash": wrong}), "output_hash");
    check(json!({"output_hash": right(r#"{"b":2}"#)}), "output_hash");
    let without = with(step("r", 0), json!({"output_hash": wrong}));
    cx.refuse(&[without], "hash_mismatch");
    let receipt = cx.record(&[claimed(json!({
        "input_hash": right(r#"{"a":1}"#), "output_hash": hash::output_hash(r#"{"b":2}"#).to_string(),
    }))]);
    cx.again(&[claimed(json!({}))], &receipt);
}

fn names_are_bounded(cx: &mut Context) {
    cx.record(&[start("r")]);
    let long = "x".repeat(257);
    for (member, bad, code) in [
        ("skill_name", long.as_str(), "too_large"),
        ("skill_name", "", "invalid_member"),
        ("outcome_category", &long, "too_large"),
        ("outcome_code", &long, "too_large"),
        ("idempotency_key", &long, "too_large"),
    ] {
        let error = cx.refuse(&[with(step("r", 0), json!({ member: bad }))], code);
        assert_eq!(error.path(), Some(format!("/ops/0/{member}").as_str()));
    }
    let full =
        json!({"skill_name": "x".repeat(256), "outcome_category": "y".repeat(256), "idempotency_key": "z".repeat(255)});
    cx.record(&[with(step("r", 0), full)]);
    assert_eq!(cx.step("r", 0).skill_name.len(), 256);
}
