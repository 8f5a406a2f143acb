//! Seals: what a closed run states of itself, and claims about it.

use serde_json::{Value, json};
use tracekeep_core::hash::{Hash, sha256};
use tracekeep_core::json::canonical_json;
use tracekeep_core::merkle;
use tracekeep_store::block_on;

use crate::context::Context;
use crate::dump::{leaf_members, naive_root};
use crate::ops::{call, child, complete, end, ensure_otlp, span, start, step, thought, with};

cases!("seals":
    the_hashes_are_those_of_the_page,
    the_hashes_do_not_depend_on_the_order_of_arrival,
    the_hashes_do_not_depend_on_other_runs_times_and_ids,
    each_hashed_member_changes_the_hashes_that_cover_it,
    the_seal_states_entries_steps_traces_and_totals,
    the_runs_own_tree_is_over_its_entries,
    gaps_are_counted_whole_and_listed_to_100,
    a_seal_of_nothing,
    wrong_claims_are_refused_and_right_ones_accepted,
    a_gap_of_thousands_that_closes_late,
    telemetry_has_no_seed_to_hash,
    telemetry_is_sealed_as_it_stands_and_again_after_late_spans,
    telemetry_waits_for_a_seal_once_its_root_has_ended,
    only_telemetry_is_sealed_as_it_stands,
    a_completion_and_seals_of_the_server_agree_on_the_status,
);

/// A span that has ended.
fn ended(run: &str, id: &str, parent: Option<&str>) -> Value {
    with(span(run, id, parent), json!({"ended_at": "2026-01-01T00:00:05Z"}))
}

fn seal(run: &str, n: u64) -> Value {
    json!({"op": "seal_run", "run_id": run, "n": n, "status": "completed", "completed_at": "2026-01-01T00:00:05Z"})
}

fn unsealed(cx: &Context) -> Vec<String> {
    let runs = block_on(cx.ledger().unsealed_runs(tracekeep_core::Timestamp::MAX, 100)).expect("who waits");
    runs.into_iter().map(|run| format!("{} {}", run.run_id, run.seals)).collect()
}

fn telemetry_is_sealed_as_it_stands_and_again_after_late_spans(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), ended("o", "child", Some("root")), ended("o", "root", None)]);
    let first = cx.record(&[seal("o", 0)]);
    let run = cx.run("o");
    assert_eq!((run.status.as_str(), run.seals, run.entries), ("completed", 1, 4));
    assert!(run.root_hash.is_some() && run.run_root.is_some());
    cx.again(&[seal("o", 0)], &first);
    // Late spans are recorded, and the run is sealed again over them.
    cx.record(&[ended("o", "late", Some("root"))]);
    assert!(cx.trace("o", "late").late);
    let second = cx.record(&[seal("o", 1)]);
    assert!(second.ops[0].log_index > first.ops[0].log_index);
    let again = cx.run("o");
    assert_eq!((again.seals, again.traces, again.completed_at), (2, 3, run.completed_at));
    assert_ne!(again.run_root, run.run_root);
    assert_eq!(again.root_hash, run.root_hash, "the hashes are over steps, and there are none");
    cx.refuse(&[seal("o", 0)], "conflict");
    cx.refuse(&[seal("o", 3)], "conflict");
    cx.refuse(&[with(seal("o", 0), json!({"n": u64::MAX}))], "conflict");
    cx.record(&[ended("o", "later", Some("root"))]);
    let keyed = cx.send_under("k", &[seal("o", 2)]).expect("a third seal");
    let again = cx.send_under("k", &[seal("o", 2)]).expect("the same again");
    assert_eq!((again.ops[0].log_index, again.replayed), (keyed.ops[0].log_index, true));
}

fn telemetry_waits_for_a_seal_once_its_root_has_ended(cx: &mut Context) {
    cx.record(&[ensure_otlp("a"), ended("a", "child", Some("root")), ensure_otlp("b"), ended("b", "root", None)]);
    assert_eq!(unsealed(cx), ["b 0"], "nobody knows when the first one ends");
    cx.record(&[ended("a", "root", None)]);
    // Of one moment, by their place in the log.
    assert_eq!(unsealed(cx), ["a 0", "b 0"]);
    cx.record(&[seal("b", 0), start("r"), thought("r", "t"), complete("r")]);
    assert_eq!(unsealed(cx), ["a 0"]);
    cx.record(&[ended("b", "late", Some("root"))]);
    assert_eq!(unsealed(cx), ["a 0", "b 1"]);
    // What is no part of what a seal covers makes nobody wait.
    cx.record(&[seal("a", 0), seal("b", 1)]);
    cx.record(&[json!({"op": "hold", "run_id": "a", "reason": "asked"})]);
    assert_eq!(unsealed(cx), [""; 0]);
    // In one batch with its seal, it is covered or not by its place.
    cx.record(&[ended("a", "x", Some("root")), seal("a", 1)]);
    assert_eq!(unsealed(cx), [""; 0]);
    cx.record(&[ended("a", "y", Some("root")), seal("a", 2), ended("a", "z", Some("root"))]);
    assert_eq!(unsealed(cx), ["a 3"]);
    let quiet = block_on(cx.ledger().unsealed_runs(tracekeep_core::Timestamp::MIN, 100)).expect("who waits");
    assert_eq!(quiet, []);
}

fn only_telemetry_is_sealed_as_it_stands(cx: &mut Context) {
    cx.refuse(&[seal("nobody", 0)], "run_not_found");
    cx.record(&[start("r")]);
    cx.refuse(&[seal("r", 0)], "conflict");
    assert_eq!(cx.run("r").seals, 0);
}

fn a_completion_and_seals_of_the_server_agree_on_the_status(cx: &mut Context) {
    cx.record(&[
        ensure_otlp("o"),
        ended("o", "root", None),
        with(complete("o"), json!({"status": "failed", "termination_reason": "gave up"})),
    ]);
    let said = cx.run("o");
    cx.record(&[ended("o", "late", Some("root"))]);
    cx.refuse(&[seal("o", 1)], "conflict");
    cx.record(&[with(seal("o", 1), json!({"status": "failed"}))]);
    let again = cx.run("o");
    assert_eq!(
        again.termination_reason.as_deref(),
        Some("gave up"),
        "a later seal takes back nothing that a caller said"
    );
    assert_eq!((again.completed_at, again.completion_metadata), (said.completed_at, said.completion_metadata));
    cx.record(&[ensure_otlp("p"), ended("p", "root", None), seal("p", 0)]);
    cx.refuse(&[with(complete("p"), json!({"status": "failed"}))], "conflict");
    cx.record(&[complete("p")]);
    assert_eq!((cx.run("p").status.as_str(), cx.run("p").seals), ("completed", 2));
}

fn leaf(tag: &str, value: &Value) -> Hash {
    let text = canonical_json(value.to_string().as_bytes()).expect("JSON");
    merkle::leaf_hash(&[tag.as_bytes(), text.as_bytes()].concat())
}

/// Drops the members that are null.
fn present(mut value: Value) -> Value {
    value.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    value
}

fn own_hash(tag: &str, value: &Value) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let text = canonical_json(value.to_string().as_bytes()).expect("JSON");
    json!(sha256(&[tag.as_bytes(), text.as_bytes()]).to_string())
}

/// behaviour_hash and root_hash of a run, from DESIGN §6 alone.
pub(crate) fn expected(start: &Value, steps: &[Value], end: &str) -> (Option<Hash>, Option<Hash>) {
    let plan_hash = own_hash("tracekeep/plan/1\n", &start["plan"]);
    let seed = if start["op"] == "ensure_run" { Value::Null } else { start.get("seed").cloned().unwrap_or(json!(42)) };
    let header = present(json!({"plan_hash": plan_hash, "seed": seed}));
    let mut steps = steps.to_vec();
    steps.sort_by_key(|step| step["index"].as_u64());
    let text = |step: &Value, name: &str, default: Value| match &step[name] {
        Value::Null => default,
        value => value.clone(),
    };
    let behaviour = |step: &Value| {
        present(json!({
            "index": step["index"], "input_hash": own_hash("tracekeep/input/1\n", &step["params"]),
            "outcome_category": text(step, "outcome_category", json!("")), "outcome_code": step["outcome_code"],
            "replay_behavior": text(step, "replay_behavior", json!("execute")),
            "retry_count": text(step, "retry_count", json!(0)), "skill_name": step["skill_name"],
            "status": step["status"],
        }))
    };
    let exact = |step: &Value| {
        let more = json!({
            "output_hash": own_hash("tracekeep/output/1\n", &step["outcome_data"]),
            "rng_state_before": step["rng_state_before"],
        });
        with(behaviour(step), present(more))
    };
    let tree = |tag: &str, of: &dyn Fn(&Value) -> Value| {
        let mut leaves = vec![leaf(tag, &header)];
        leaves.extend(steps.iter().map(|step| leaf(tag, &of(step))));
        leaves.push(leaf(tag, &json!({ "end": end })));
        Some(naive_root(&leaves))
    };
    (tree("tracekeep/behaviour/1\n", &behaviour), tree("tracekeep/exact/1\n", &exact))
}

fn hashes(cx: &Context, run: &str) -> (Option<Hash>, Option<Hash>) {
    let run = cx.run(run);
    (run.behaviour_hash, run.root_hash)
}

fn the_hashes_are_those_of_the_page(cx: &mut Context) {
    let started = with(start("r"), json!({"plan": [{"skill": "search"}], "seed": 7}));
    let whole = json!({
        "outcome_category": "OK", "outcome_code": "0", "outcome_data": {"b": 1, "a": [1.50]}, "retry_count": 3,
        "replay_behavior": "check", "rng_state_before": "00ff", "cost_cents": "1", "duration_ms": 5, "tokens": 9,
    });
    let steps =
        [step("r", 0), with(step("r", 1), whole), step("r", 5), with(step("r", 6), json!({"status": "failure"}))];
    cx.record(std::slice::from_ref(&started));
    cx.record(&steps);
    cx.record(&[with(complete("r"), json!({"status": "failed"}))]);
    assert_eq!(hashes(cx, "r"), expected(&started, &steps, "failed"));
    let bare = start("bare");
    cx.record(&[bare.clone(), step("bare", 0), complete("bare")]);
    assert_eq!(hashes(cx, "bare"), expected(&bare, &[step("bare", 0)], "completed"));
}

fn the_hashes_do_not_depend_on_the_order_of_arrival(cx: &mut Context) {
    let count = 9usize;
    let orders = [[0, 1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1, 0], [4, 0, 8, 2, 6, 1, 3, 5, 7]];
    let mut seen = Vec::new();
    for (at, order) in orders.iter().enumerate() {
        for size in [1, 2, 4, count] {
            let run = format!("r-{at}-{size}");
            cx.record(&[start(&run)]);
            let steps: Vec<_> = order.iter().map(|n| step(&run, u32::try_from(n * 2).expect("small"))).collect();
            for batch in steps.chunks(size) {
                cx.record(batch);
            }
            cx.record(&[complete(&run)]);
            assert_eq!(hashes(cx, &run), expected(&start(&run), &steps, "completed"));
            seen.push(hashes(cx, &run));
        }
    }
    // All of it in one batch, the seal too, and what was recorded before it.
    let steps: Vec<_> = (0..9).map(|n| step("one", n * 2)).collect();
    let mut batch = vec![start("one")];
    batch.extend(steps.iter().rev().cloned());
    batch.push(complete("one"));
    cx.record(&batch);
    cx.record(&[start("two"), step("two", 16), step("two", 4), step("two", 2)]);
    let rest: Vec<_> = [0, 6, 14, 8, 12, 10].iter().map(|n| step("two", *n)).chain([complete("two")]).collect();
    cx.record(&rest);
    seen.extend([hashes(cx, "one"), hashes(cx, "two")]);
    assert!(seen.iter().all(|hashes| *hashes == seen[0]));
}

fn the_hashes_do_not_depend_on_other_runs_times_and_ids(cx: &mut Context) {
    let aside = json!({
        "cost_cents": "5", "duration_ms": 7, "tokens": 1, "occurred_at": "2020-01-01T00:00:00Z", "trace_id": "t",
        "idempotency_key": "k",
    });
    cx.record(&[start("a"), step("a", 0), step("a", 1), complete("a")]);
    cx.sources.advance(1_000_000);
    cx.record(&[with(start("b"), json!({"goal": "g", "agent_id": "x", "tags": ["t"], "metadata": {"m": 1}}))]);
    cx.record(&[start("other"), step("other", 0), thought("b", "t")]);
    cx.record(&[with(step("b", 0), aside), step("b", 1)]);
    cx.record(&[with(complete("b"), json!({"termination_reason": "x", "completed_at": "2020-01-01T00:00:00Z"}))]);
    assert_eq!(hashes(cx, "a"), hashes(cx, "b"));
}

fn each_hashed_member_changes_the_hashes_that_cover_it(cx: &mut Context) {
    let mut runs = 0;
    let mut sealed = |of_start: Value, of_step: Value, status: &str| {
        runs += 1;
        let run = format!("r{runs}");
        let steps = [step(&run, 0), with(step(&run, 1), of_step)];
        cx.record(&[with(start(&run), of_start), steps[0].clone(), steps[1].clone()]);
        cx.record(&[with(complete(&run), json!({ "status": status }))]);
        hashes(cx, &run)
    };
    let plain = sealed(json!({}), json!({}), "completed");
    let both = [
        sealed(json!({"seed": 0}), json!({}), "completed"),
        sealed(json!({"plan": []}), json!({}), "completed"),
        sealed(json!({}), json!({}), "aborted"),
        sealed(json!({}), json!({"index": 2}), "completed"),
        sealed(json!({}), json!({"skill_name": "x"}), "completed"),
        sealed(json!({}), json!({"params": {"q": 2}}), "completed"),
        sealed(json!({}), json!({"status": "failure"}), "completed"),
        sealed(json!({}), json!({"outcome_category": "X"}), "completed"),
        sealed(json!({}), json!({"outcome_code": ""}), "completed"),
        sealed(json!({}), json!({"retry_count": 1}), "completed"),
        sealed(json!({}), json!({"replay_behavior": "skip"}), "completed"),
    ];
    for (at, (behaviour, root)) in both.iter().enumerate() {
        assert!(*behaviour != plain.0 && *root != plain.1, "{at}");
    }
    for (at, changed) in [json!({"outcome_data": {}}), json!({"rng_state_before": ""})].into_iter().enumerate() {
        let (behaviour, root) = sealed(json!({}), changed, "completed");
        assert!(behaviour == plain.0 && root != plain.1, "{at}: what came back is not what the agent chose");
    }
}

/// The body of the latest entry.
fn seal_body(cx: &Context) -> Value {
    let log = block_on(cx.ledger().entries(cx.head().tree_size - 1, 1)).expect("the log");
    serde_json::from_str(log[0].body.as_ref().expect("a body").as_str()).expect("JSON")
}

fn the_seal_states_entries_steps_traces_and_totals(cx: &mut Context) {
    let costly =
        |index, more| with(step("r", index), with(json!({"cost_cents": "0.5", "duration_ms": 2.5, "tokens": 4}), more));
    cx.record(&[with(start("r"), json!({"plan": []})), costly(0, json!({})), costly(2, json!({"status": "failure"}))]);
    cx.record(&[call("r", "c"), child("r", "d", "c"), end("r", "c"), start("other")]);
    cx.record(&[with(complete("r"), json!({"status": "aborted", "termination_reason": "why"}))]);
    let body = seal_body(cx);
    let run = cx.run("r");
    let text = |hash: Option<Hash>| json!(hash.map(|hash| hash.to_string()));
    assert_eq!(
        body,
        json!({
            "op": "complete_run", "run_id": "r", "status": "aborted", "termination_reason": "why", "metadata": {},
            "completed_at": run.completed_at.map(|time| time.to_string()), "n": 0, "entries": 6, "steps": 2, "traces": 2,
            "gaps": {"count": 1, "ranges": [[1, 2]]}, "run_root": text(run.run_root), "root_hash": text(run.root_hash),
            "behaviour_hash": text(run.behaviour_hash), "plan_hash": text(run.plan_hash),
            "totals": {"successes": 1, "failures": 1, "cost_cents": "1", "duration_ms": 5, "tokens": 8},
        })
    );
    let empty = [start("empty"), complete("empty")];
    cx.record(&empty);
    assert_eq!(seal_body(cx)["totals"], json!({"successes": 0, "failures": 0, "cost_cents": "0", "duration_ms": 0}));
}

fn the_runs_own_tree_is_over_its_entries(cx: &mut Context) {
    cx.record(&[start("r"), start("other"), step("r", 0), step("other", 0), thought("r", "t")]);
    cx.send_under("k", &[call("r", "c"), end("r", "c")]).expect("recorded");
    cx.record(&[step("other", 1), complete("r")]);
    let log = block_on(cx.ledger().entries(0, 100)).expect("the log");
    let own: Vec<_> =
        log.iter().filter(|entry| leaf_members(entry)["run"] == "r").map(|entry| entry.leaf_hash).collect();
    let (seal, before) = own.split_last().expect("entries");
    assert_eq!(cx.run("r").run_root, Some(naive_root(before)), "the entries with a seq below its own");
    assert_ne!(cx.run("r").run_root, Some(*seal));
}

fn gaps_are_counted_whole_and_listed_to_100(cx: &mut Context) {
    cx.record(&[start("r")]);
    cx.record(&(0..150).map(|n| step("r", n * 3)).collect::<Vec<_>>());
    cx.record(&[step("r", 100_000), complete("r")]);
    let gaps = cx.run("r").gaps.expect("gaps");
    assert_eq!((gaps.count, gaps.ranges.len()), (149 * 2 + 100_000 - 448, 100));
    assert_eq!((gaps.ranges[0], gaps.ranges[99]), ((1, 3), (298, 300)));
    cx.record(&[start("late"), step("late", 5), complete("late")]);
    assert_eq!(cx.run("late").gaps.map(|gaps| gaps.ranges), Some(vec![(0, 5)]));
    cx.record(&[start("none"), step("none", 0), step("none", 1), complete("none")]);
    assert_eq!(cx.run("none").gaps.map(|gaps| (gaps.count, gaps.ranges.len())), Some((0, 0)));
}

fn a_seal_of_nothing(cx: &mut Context) {
    cx.record(&[start("r"), complete("r")]);
    assert_eq!(hashes(cx, "r"), expected(&start("r"), &[], "completed"));
    assert_eq!(cx.run("r").gaps.map(|gaps| gaps.count), Some(0));
}

fn wrong_claims_are_refused_and_right_ones_accepted(cx: &mut Context) {
    let wrong = "0".repeat(64);
    let started = with(start("r"), json!({"plan": [{"a": 1}]}));
    cx.record(&[started.clone(), step("r", 0), step("r", 2), start("bare")]);
    let (behaviour, root) = expected(&started, &[step("r", 0), step("r", 2)], "completed");
    let text = |hash: Option<Hash>| hash.expect("a hash").to_string();
    for name in ["plan_hash", "behaviour_hash", "root_hash"] {
        let error = cx.refuse(&[with(complete("r"), json!({ name: wrong }))], "hash_mismatch");
        assert_eq!(error.path(), Some(format!("/ops/0/{name}").as_str()));
        assert_eq!(cx.run("r").status.as_str(), "running", "a wrong claim leaves the run as it was");
    }
    cx.refuse(&[with(complete("r"), json!({"root_hash": text(behaviour)}))], "hash_mismatch");
    cx.refuse(&[with(complete("r"), json!({"root_hash": text(root), "status": "failed"}))], "hash_mismatch");
    cx.refuse(&[with(complete("bare"), json!({"plan_hash": wrong}))], "hash_mismatch");
    let plan = cx.run("r").plan_hash;
    let right = json!({"root_hash": text(root), "behaviour_hash": text(behaviour), "plan_hash": text(plan)});
    let receipt = cx.record(&[with(complete("r"), right.clone())]);
    cx.again(&[with(complete("r"), right)], &receipt);
    cx.again(&[complete("r")], &receipt);
}

fn a_gap_of_thousands_that_closes_late(cx: &mut Context) {
    cx.record(&[start("r")]);
    let steps: Vec<_> = (1..3_500).map(|n| step("r", n)).collect();
    for batch in steps.chunks(1_000) {
        cx.record(batch);
    }
    cx.record(&[step("r", 0)]);
    cx.record(&[step("r", 3_500), step("r", 3_502)]);
    cx.record(&[complete("r")]);
    let all: Vec<_> = (0..=3_500).chain([3_502]).map(|n| step("r", n)).collect();
    assert_eq!(hashes(cx, "r"), expected(&start("r"), &all, "completed"));
    assert_eq!(cx.run("r").gaps.map(|gaps| gaps.ranges), Some(vec![(3_501, 3_502)]));
}

fn telemetry_has_no_seed_to_hash(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "s", None), step("o", 0), complete("o")]);
    assert_eq!(hashes(cx, "o"), expected(&ensure_otlp("o"), &[step("o", 0)], "completed"));
}
