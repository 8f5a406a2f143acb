//! Properties of the hashes, over generated runs: what they depend on, and what they do not.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest::test_runner::{Config, TestError, TestRunner};
use serde_json::{Value, json};
use tracekeep_core::compare::Verdict;
use tracekeep_core::hash::Hash;
use tracekeep_store::{CompareQuery, block_on};

use crate::cases::seals::expected;
use crate::context::Context;
use crate::ops::{complete, run_id, start, thought, with};

cases!("properties":
    the_order_of_arrival_changes_no_hash,
    a_change_of_any_hashed_member_changes_the_hashes_that_cover_it,
    a_change_of_any_other_member_changes_none,
);

/// A run: its start, its steps in index order, its end.
#[derive(Clone, Debug)]
struct Generated {
    start: Value,
    steps: Vec<Value>,
    end: Value,
}

fn free() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|value| json!(value)),
        any::<i32>().prop_map(|value| json!(value)),
        (-1e9f64..1e9).prop_map(|value| json!(value)),
        "[a-zé\u{1f600}\"\\\\]{0,6}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
    .boxed()
}

fn maybe(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), value.prop_map(|value| value)]
}

fn text() -> impl Strategy<Value = Value> {
    "[a-c]{0,3}".prop_map(|text| json!(text))
}

fn a_step(index: u32) -> BoxedStrategy<Value> {
    let chosen = (
        prop::sample::select(vec!["search", "book", "pay"]),
        free(),
        prop::sample::select(vec!["success", "failure", "retry", "skipped"]),
        text(),
        maybe(text()),
        0u32..3,
        prop::sample::select(vec!["execute", "skip", "check"]),
    );
    (chosen, maybe(free()), maybe(text()))
        .prop_map(move |((skill, params, status, category, code, retries, replayed), output, random)| {
            json!({
                "op": "record_step", "run_id": "", "index": index, "skill_name": skill, "params": params, "status": status,
                "outcome_category": category, "outcome_code": code, "retry_count": retries, "replay_behavior": replayed,
                "outcome_data": output, "rng_state_before": random,
            })
        })
        .boxed()
}

fn a_run() -> BoxedStrategy<Generated> {
    let plan = maybe(
        prop::collection::vec(prop::collection::btree_map("[a-c]", free(), 0..3), 0..3).prop_map(|plan| json!(plan)),
    );
    let seed = prop_oneof![Just(json!(42)), any::<i64>().prop_map(|seed| json!(seed)), Just(json!(0))];
    let indices = subsequence((0u32..14).collect::<Vec<_>>(), 1..10);
    let steps = indices.prop_flat_map(|indices| indices.into_iter().map(a_step).collect::<Vec<_>>());
    let end = prop::sample::select(vec!["completed", "failed", "aborted"]);
    (plan, seed, steps, end)
        .prop_map(|(plan, seed, steps, end)| Generated {
            start: with(start(""), json!({"plan": plan, "seed": seed})),
            steps,
            end: with(complete(""), json!({ "status": end })),
        })
        .boxed()
}

type Hashes = (Option<Hash>, Option<Hash>);

/// Runs of one ledger, each under an id of its own.
struct Runs<'a> {
    cx: &'a Context,
}

impl Runs<'_> {
    /// Records a run as it is given, `size` ops at a time, and gives its id and its hashes.
    fn record(&self, run: &Generated, size: usize) -> (String, Hashes) {
        let id = format!("g-{}", self.cx.head().tree_size);
        let mut ops = vec![run.start.clone()];
        ops.extend(run.steps.iter().cloned());
        ops.push(run.end.clone());
        let ops: Vec<_> = ops.into_iter().map(|op| with(op, json!({ "run_id": id }))).collect();
        ops.chunks(size).for_each(|batch| drop(self.cx.record(batch)));
        let sealed = self.cx.run(&id);
        (id, (sealed.behaviour_hash, sealed.root_hash))
    }
}

/// Tries a property on generated runs; the same ones every time, and few: every backend records and reads all of them.
fn holds<T: std::fmt::Debug>(
    cx: &Context,
    cases: u32,
    runs: impl Strategy<Value = T>,
    property: impl Fn(&Runs<'_>, T) -> Result<(), TestCaseError>,
) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let all = Runs { cx };
    match TestRunner::new_with_rng(config, rng).run(&runs, |run| property(&all, run)) {
        Ok(()) => {}
        Err(TestError::Fail(why, run)) => panic!("{why}: {run:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn the_order_of_arrival_changes_no_hash(cx: &mut Context) {
    let shuffled = a_run().prop_flat_map(|run| (Just(run.steps.clone()).prop_shuffle(), Just(run), 1usize..8));
    holds(cx, 16, shuffled, |runs, (steps, run, size)| {
        let (_, in_order) = runs.record(&run, 1);
        prop_assert_eq!(in_order, expected(&run.start, &run.steps, run.end["status"].as_str().unwrap_or("")));
        // Other runs come in between.
        runs.cx.record(&[start(&format!("aside-{}", runs.cx.head().tree_size))]);
        let (id, otherwise) = runs.record(&Generated { steps, ..run.clone() }, size);
        prop_assert_eq!(otherwise, in_order, "{}", id);
        Ok(())
    });
}

/// Another value for a member that already has one, or has none.
fn another(value: &Value, texts: [&str; 2]) -> Value {
    let [one, other] = texts;
    if *value == json!(one) { json!(other) } else { json!(one) }
}

/// Changes one hashed member; says whether what the agent chose is another then.
fn change(run: &mut Generated, step: Index, which: usize) -> bool {
    let at = step.index(run.steps.len());
    let step = &mut run.steps[at];
    match which {
        0 => step["skill_name"] = another(&step["skill_name"], ["search", "book"]),
        1 => step["params"] = json!([step["params"].clone()]),
        2 => step["status"] = another(&step["status"], ["success", "failure"]),
        3 => step["outcome_category"] = another(&step["outcome_category"], ["x", "y"]),
        4 => step["outcome_code"] = another(&step["outcome_code"], ["", "y"]),
        5 => step["retry_count"] = json!(step["retry_count"].as_u64().unwrap_or(0) + 1),
        6 => step["replay_behavior"] = another(&step["replay_behavior"], ["execute", "check"]),
        7 => step["index"] = json!(step["index"].as_u64().unwrap_or(0) + 1_000),
        8 => step["outcome_data"] = json!([step["outcome_data"].clone()]),
        9 => step["rng_state_before"] = another(&step["rng_state_before"], ["", "y"]),
        10 => run.start["seed"] = if run.start["seed"] == json!(7) { json!(8) } else { json!(7) },
        11 => run.start["plan"] = if run.start["plan"].is_null() { json!([]) } else { Value::Null },
        12 => run.end["status"] = another(&run.end["status"], ["completed", "failed"]),
        _ => drop(run.steps.remove(at)),
    }
    run.steps.sort_by_key(|step| step["index"].as_u64());
    !matches!(which, 8 | 9)
}

fn a_change_of_any_hashed_member_changes_the_hashes_that_cover_it(cx: &mut Context) {
    for which in 0..14 {
        holds(cx, 3, (a_run(), any::<Index>()), |runs, (run, step)| {
            let (a, before) = runs.record(&run, 100);
            let mut changed = run.clone();
            let chosen = change(&mut changed, step, which);
            let (b, after) = runs.record(&changed, 100);
            prop_assert_ne!(before.1, after.1, "{} changed", which);
            prop_assert_eq!(before.0 != after.0, chosen, "{} changed", which);
            let compared = block_on(runs.cx.ledger().compare(&run_id(&a), &run_id(&b), &CompareQuery::default()));
            let compared = compared.expect("comparable");
            let verdict = if chosen { Verdict::Diverged } else { Verdict::SameBehaviour };
            prop_assert_eq!(compared.verdict, verdict);
            let count = if which == 7 { 2 } else { 1 };
            prop_assert_eq!(compared.differences.len(), count, "{} changed: {:?}", which, compared.differences);
            Ok(())
        });
    }
}

fn a_change_of_any_other_member_changes_none(cx: &mut Context) {
    let of_start = json!({
        "goal": "g", "agent_id": "a", "correlation_id": "c", "parent_run_id": "p", "metadata": {"m": 1}, "tags": ["t"],
        "frozen_timestamp": "2020-01-01T00:00:00Z", "policy_snapshot_id": "s", "started_at": "2020-01-01T00:00:00Z",
    });
    let of_step = json!({
        "cost_cents": "5", "duration_ms": 7, "tokens": 1, "occurred_at": "2020-01-01T00:00:00Z", "trace_id": "t",
        "idempotency_key": "k",
    });
    let of_end = json!({
        "termination_reason": "x", "completed_at": "2020-01-01T00:00:00Z", "metadata": {"m": 1},
        "violation": {"reason": "r"},
    });
    let each = |members: &Value| {
        let members = members.as_object().expect("an object").clone();
        members.into_iter().map(|(name, value)| json!({ name: value })).collect::<Vec<_>>()
    };
    let (starts, steps, ends) = (each(&of_start), each(&of_step), each(&of_end));
    let pick = (any::<Index>(), any::<Index>(), any::<Index>(), any::<Index>());
    holds(cx, 16, (a_run(), pick), |runs, (run, (at, of_start, of_step, of_end))| {
        let (a, before) = runs.record(&run, 100);
        let mut changed = run.clone();
        let at = at.index(changed.steps.len());
        changed.start = with(changed.start, of_start.get(&starts).clone());
        changed.steps[at] = with(changed.steps[at].clone(), of_step.get(&steps).clone());
        changed.end = with(changed.end, of_end.get(&ends).clone());
        // Reasoning is no part of what was done.
        changed.steps.insert(0, thought("", "t"));
        runs.cx.sources.advance(1_000);
        let (b, after) = runs.record(&changed, 3);
        prop_assert_eq!(before, after);
        let compared = block_on(runs.cx.ledger().compare(&run_id(&a), &run_id(&b), &CompareQuery::default()));
        prop_assert_eq!(compared.expect("comparable").verdict, Verdict::Identical);
        Ok(())
    });
}
