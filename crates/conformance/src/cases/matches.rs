//! Runs of one plan and seed, grouped by how they came out.

use serde_json::{Value, json};
use tracekeep_core::compare::Part;
use tracekeep_core::matches::Matches;
use tracekeep_store::block_on;

use crate::context::Context;
use crate::ops::{complete, ensure_otlp, run_id, start, step, with};

cases!("matches":
    runs_of_one_plan_and_seed_are_grouped_by_what_came_of_them,
    flaky_places_are_those_where_groups_differ_from_the_most_frequent,
    a_run_without_plan_matches_nothing,
    other_plans_and_seeds_do_not_match,
    what_is_not_sealed_is_counted_apart,
    ways_and_places_beyond_the_limits_are_counted,
    an_unknown_run_is_not_found,
);

fn matches(cx: &Context, run: &str) -> Matches {
    block_on(cx.ledger().matches(&run_id(run))).expect("matches")
}

/// A run of the plan under test, started later than those before it.
fn open(cx: &Context, run: &str, steps: &[Value]) {
    cx.sources.advance(1_000_000);
    cx.record(&[with(start(run), json!({"plan": [{"skill": "search"}], "seed": 7}))]);
    for batch in steps.chunks(1_000) {
        cx.record(&batch.iter().map(|step| with(step.clone(), json!({ "run_id": run }))).collect::<Vec<_>>());
    }
}

fn sealed(cx: &Context, run: &str, steps: &[Value], status: &str) {
    open(cx, run, steps);
    cx.record(&[with(complete(run), json!({ "status": status }))]);
}

/// Groups as text: `runs status examples`, `*` before the own.
fn drawn(found: &Matches) -> Vec<String> {
    let groups = found.groups.iter().map(|group| {
        let examples: Vec<_> = group.examples.iter().map(|run| run.as_str()).collect();
        format!("{}{} {} {}", if group.is_own { "*" } else { "" }, group.runs, group.status, examples.join(","))
    });
    groups.collect()
}

fn flaky(found: &Matches) -> Vec<(Part, Option<u32>, bool, u64, u64)> {
    found.flaky.iter().map(|at| (at.part, at.step, at.behaviour, at.groups, at.runs)).collect()
}

fn steps() -> Vec<Value> {
    (0..4).map(|index| with(step("", index), json!({"outcome_data": {"hits": 3}}))).collect()
}

fn other(index: usize, more: Value) -> Vec<Value> {
    let mut steps = steps();
    steps[index] = with(steps[index].clone(), more);
    steps
}

fn runs_of_one_plan_and_seed_are_grouped_by_what_came_of_them(cx: &mut Context) {
    for n in 0..7 {
        sealed(cx, &format!("good-{n}"), &steps(), "completed");
    }
    sealed(cx, "failed", &steps(), "failed");
    sealed(cx, "output-0", &other(1, json!({"outcome_data": 1})), "completed");
    sealed(cx, "output-1", &other(1, json!({"outcome_data": 1})), "completed");
    let found = matches(cx, "output-0");
    assert_eq!((found.runs, found.ways, found.unverifiable, found.complete), (10, 3, 0, true));
    let expected =
        ["7 completed good-6,good-5,good-4,good-3,good-2", "*2 completed output-1,output-0", "1 failed failed"];
    assert_eq!(drawn(&found), expected);
    assert_eq!((found.seed, found.plan_hash), (Some(7), cx.run("failed").plan_hash));
    assert_eq!(Some(found.groups[2].root_hash), cx.run("failed").root_hash);
    assert_eq!(found.groups[1].behaviour_hash, found.groups[0].behaviour_hash);
    assert_ne!(found.groups[2].behaviour_hash, found.groups[0].behaviour_hash);
    sealed(cx, "alone", &[], "completed");
    assert_eq!(matches(cx, "alone").ways, 4);
}

fn flaky_places_are_those_where_groups_differ_from_the_most_frequent(cx: &mut Context) {
    for n in 0..3 {
        sealed(cx, &format!("good-{n}"), &steps(), "completed");
    }
    assert_eq!(flaky(&matches(cx, "good-0")), []);
    sealed(cx, "output-0", &other(1, json!({"outcome_data": 1})), "completed");
    sealed(cx, "output-1", &other(1, json!({"outcome_data": 1})), "completed");
    sealed(cx, "output-2", &other(1, json!({"outcome_data": 2})), "completed");
    sealed(cx, "choice", &other(2, json!({"skill_name": "book"})), "completed");
    sealed(cx, "both", &other(1, json!({"status": "failure"})), "failed");
    sealed(cx, "short", &steps()[..3], "completed");
    let found = matches(cx, "good-0");
    assert_eq!(
        flaky(&found),
        [
            (Part::Step, Some(1), true, 3, 4),
            (Part::Step, Some(2), true, 1, 1),
            (Part::Step, Some(3), true, 1, 1),
            (Part::End, None, true, 1, 1),
        ]
    );
    assert!(found.complete);
}

fn a_run_without_plan_matches_nothing(cx: &mut Context) {
    cx.record(&[start("a"), complete("a"), start("b"), complete("b"), ensure_otlp("o"), complete("o")]);
    for run in ["a", "o"] {
        let found = matches(cx, run);
        assert_eq!((found.runs, found.ways, found.plan_hash, found.complete), (0, 0, None, true));
        assert!(found.groups.is_empty() && found.flaky.is_empty());
    }
    // `[]` is a plan.
    for run in ["c", "d"] {
        cx.record(&[with(start(run), json!({"plan": []})), complete(run)]);
    }
    assert_eq!((matches(cx, "c").runs, matches(cx, "c").ways), (2, 1));
}

fn other_plans_and_seeds_do_not_match(cx: &mut Context) {
    for (run, plan, seed) in [("a", "x", 0), ("b", "x", 0), ("c", "y", 0), ("d", "x", 42), ("e", "x", -1)] {
        cx.record(&[with(start(run), json!({"plan": [{"skill": plan}], "seed": seed})), complete(run)]);
    }
    assert_eq!(drawn(&matches(cx, "a")), ["*2 completed b,a"]);
    for run in ["c", "d", "e"] {
        assert_eq!(matches(cx, run).runs, 1, "{run}");
    }
}

fn what_is_not_sealed_is_counted_apart(cx: &mut Context) {
    sealed(cx, "a", &steps(), "completed");
    open(cx, "open", &steps());
    let found = matches(cx, "open");
    assert_eq!((found.runs, found.unverifiable, found.ways), (1, 1, 1));
    assert_eq!(drawn(&found), ["1 completed a"]);
}

fn ways_and_places_beyond_the_limits_are_counted(cx: &mut Context) {
    let many: Vec<_> = (0..150).map(|index| step("", index)).collect();
    sealed(cx, "many-0", &many, "completed");
    sealed(cx, "many-1", &many, "completed");
    sealed(cx, "none", &[], "completed");
    let found = matches(cx, "none");
    assert_eq!((found.flaky.len(), found.complete, found.ways), (100, false, 2));
    assert_eq!(found.flaky[99].step, Some(99));
    for n in 0..60 {
        sealed(cx, &format!("way-{n}"), &[with(step("", 0), json!({ "retry_count": n }))], "completed");
    }
    let found = matches(cx, "none");
    assert_eq!((found.groups.len(), found.ways, found.runs, found.complete), (50, 62, 63, false));
    assert_eq!(drawn(&found)[0], "2 completed many-1,many-0");
}

fn an_unknown_run_is_not_found(cx: &mut Context) {
    let refused = block_on(cx.ledger().matches(&run_id("nobody")));
    assert_eq!(refused.expect_err("there is no such run").code(), "run_not_found");
}
