//! Comparing two runs: the verdict, where they part, what differs, and the proof of it.

use serde_json::{Value, json};
use tracekeep_core::compare::{Change, Comparison, Difference, Level, Obstacle, Part, Verdict};
use tracekeep_core::hash::sha256;
use tracekeep_core::merkle::{leaf_hash, verify_inclusion};
use tracekeep_store::{CompareQuery, PageRequest, block_on};

use crate::context::Context;
use crate::ops::{complete, ensure_otlp, run_id, span, start, step, with};

cases!("compare":
    runs_that_did_the_same_are_identical,
    runs_of_which_nothing_is_hashed_are_not_called_the_same,
    a_walk_goes_on_however_large_the_first_divergence_is,
    a_run_equals_itself,
    a_failed_run_never_equals_a_good_one,
    other_outputs_are_the_same_behaviour,
    the_first_divergence_names_step_members_and_values,
    plan_and_seed_come_before_the_first_step,
    a_step_that_one_run_lacks_is_inserted_or_deleted,
    of_runs_that_diverged_behaviour_alone_can_be_asked_for,
    a_run_without_seal_is_unverifiable,
    unknown_runs_are_named,
    a_difference_is_found_wherever_it_stands,
    pages_of_differences_are_the_whole,
    pages_end_with_their_bytes,
    a_cursor_belongs_to_its_comparison,
    each_first_divergence_is_proved,
    steps_after_a_seal_of_telemetry_do_not_count,
);

fn compare(cx: &Context, a: &str, b: &str, query: &CompareQuery) -> Comparison {
    block_on(cx.ledger().compare(&run_id(a), &run_id(b), query)).expect("comparable")
}

fn whole(cx: &Context, a: &str, b: &str) -> Comparison {
    let page = PageRequest::first(1_000);
    compare(cx, a, b, &CompareQuery { page, proof: true, ..CompareQuery::default() })
}

/// Records and seals a run.
fn sealed(cx: &Context, run: &str, of_start: Value, steps: &[Value], status: &str) {
    cx.record(&[with(start(run), of_start)]);
    for batch in steps.chunks(1_000) {
        cx.record(&batch.iter().map(|step| with(step.clone(), json!({ "run_id": run }))).collect::<Vec<_>>());
    }
    cx.record(&[with(complete(run), json!({ "status": status }))]);
}

fn good(cx: &Context, run: &str, steps: &[Value]) {
    sealed(cx, run, json!({}), steps, "completed");
}

fn plain(count: u32) -> Vec<Value> {
    (0..count).map(|index| step("", index)).collect()
}

/// A difference as text: `part step change member=a|b …`.
fn drawn(difference: &Difference) -> String {
    let value = |value: &Option<tracekeep_core::json::Json>| {
        value.as_ref().map_or_else(|| "-".to_owned(), |value| value.as_str().to_owned())
    };
    let fields =
        difference.fields.iter().map(|field| format!(" {}={}|{}", field.field, value(&field.a), value(&field.b)));
    let step = difference.step.map_or_else(|| "-".to_owned(), |step| step.to_string());
    format!("{} {step} {}{}", difference.part, difference.change, fields.collect::<String>())
}

fn differences(compared: &Comparison) -> Vec<String> {
    compared.differences.iter().map(drawn).collect()
}

#[track_caller]
fn nothing_differs(compared: &Comparison, verdict: Verdict) {
    assert_eq!(compared.verdict, verdict);
    assert!(compared.differences.is_empty() && compared.first_divergence.is_none() && compared.next_cursor.is_none());
    assert!(compared.proof.is_none());
}

fn runs_that_did_the_same_are_identical(cx: &mut Context) {
    let aside = json!({"cost_cents": "5", "duration_ms": 7, "tokens": 1, "occurred_at": "2020-01-01T00:00:00Z"});
    let slower: Vec<_> = plain(5).into_iter().rev().map(|step| with(step, aside.clone())).collect();
    good(cx, "a", &plain(5));
    cx.sources.advance(1_000_000);
    sealed(cx, "b", json!({"goal": "another", "tags": ["x"]}), &slower, "completed");
    let compared = whole(cx, "a", "b");
    nothing_differs(&compared, Verdict::Identical);
    assert_eq!((compared.a.run_id.as_str(), compared.b.run_id.as_str()), ("a", "b"));
    assert_eq!((compared.a.steps, compared.a.root_hash), (5, cx.run("b").root_hash));
    let plan = json!({"plan": []});
    sealed(cx, "none", plan.clone(), &[], "completed");
    sealed(cx, "empty", plan, &[], "completed");
    nothing_differs(&whole(cx, "none", "empty"), Verdict::Identical);
}

/// Telemetry has traces alone: any two runs of it that ended alike have the same hashes.
fn runs_of_which_nothing_is_hashed_are_not_called_the_same(cx: &mut Context) {
    good(cx, "a", &[]);
    cx.record(&[
        start("b"),
        json!({"op": "record_trace", "run_id": "b", "trace_type": {"type": "Thought", "content": "x"}}),
    ]);
    cx.record(&[complete("b")]);
    assert_eq!(cx.run("a").root_hash, cx.run("b").root_hash);
    let compared = compare(cx, "a", "b", &CompareQuery::default());
    assert_eq!(compared.verdict, Verdict::Unverifiable);
    let reasons: Vec<_> = compared.obstacles.iter().map(|one| (one.run_id.as_str(), one.reason)).collect();
    assert_eq!(reasons, [("a", Obstacle::NothingHashed), ("b", Obstacle::NothingHashed)]);
    sealed(cx, "failed", json!({}), &[], "failed");
    assert_eq!(compare(cx, "a", "failed", &CompareQuery::default()).verdict, Verdict::Diverged);
}

/// Both starts, both seals and the first divergence stand on every page: with large ones, a walk never went on.
fn a_walk_goes_on_however_large_the_first_divergence_is(cx: &mut Context) {
    for run in ["a", "b"] {
        cx.record(&[start(run)]);
        let params = json!({"text": format!("{run}{}", "x".repeat(4_100_000))});
        cx.record(&[with(step(run, 0), json!({ "params": params }))]);
        cx.record(&[
            with(step(run, 1), json!({"params": {"of": run}})),
            with(step(run, 2), json!({"params": {"of": run}})),
        ]);
        cx.record(&[complete(run)]);
    }
    assert_eq!(walk(cx, "a", "b", 50).len(), 3);
}

fn a_run_equals_itself(cx: &mut Context) {
    good(cx, "a", &plain(2));
    nothing_differs(&whole(cx, "a", "a"), Verdict::Identical);
}

/// An earlier system compared what was left of two runs when the end was taken away, and called a failed run equal to a
/// good one.
fn a_failed_run_never_equals_a_good_one(cx: &mut Context) {
    good(cx, "good", &plain(3));
    sealed(cx, "failed", json!({}), &plain(3), "failed");
    sealed(cx, "aborted", json!({}), &plain(3), "aborted");
    for (a, b, fields) in [
        ("good", "failed", r#"end - changed status="completed"|"failed""#),
        ("aborted", "good", r#"end - changed status="aborted"|"completed""#),
        ("failed", "aborted", r#"end - changed status="failed"|"aborted""#),
    ] {
        let compared = whole(cx, a, b);
        assert_eq!((compared.verdict, differences(&compared)), (Verdict::Diverged, vec![fields.to_owned()]));
        let first = compared.first_divergence.expect("they part");
        assert_eq!((first.part, first.step), (Part::End, None));
    }
}

fn other_outputs_are_the_same_behaviour(cx: &mut Context) {
    let output = |value: Value| vec![step("", 0), with(step("", 1), json!({ "outcome_data": value }))];
    good(cx, "a", &output(json!({"hits": 3})));
    good(cx, "b", &output(json!({"hits": 4})));
    good(cx, "none", &output(Value::Null));
    let compared = whole(cx, "a", "b");
    assert_eq!((compared.verdict, compared.level), (Verdict::SameBehaviour, Level::Exact));
    assert_eq!(differences(&compared), [r#"step 1 changed outcome_data={"hits":3}|{"hits":4}"#]);
    assert_eq!(differences(&whole(cx, "b", "none")), [r#"step 1 changed outcome_data={"hits":4}|-"#]);
    let behaviour = CompareQuery { level: Level::Behaviour, ..CompareQuery::default() };
    let compared = compare(cx, "a", "b", &behaviour);
    assert_eq!(
        (compared.verdict, compared.level, compared.differences.len()),
        (Verdict::SameBehaviour, Level::Exact, 1)
    );
    let random = [step("", 0), with(step("", 1), json!({"outcome_data": {"hits": 3}, "rng_state_before": "00"}))];
    good(cx, "random", &random);
    assert_eq!(differences(&whole(cx, "a", "random")), [r#"step 1 changed rng_state_before=-|"00""#]);
}

fn the_first_divergence_names_step_members_and_values(cx: &mut Context) {
    let mut steps = plain(6);
    good(cx, "a", &steps);
    steps[2] = with(step("", 2), json!({"params": {"q": "MUC"}, "status": "failure", "outcome_code": "E7"}));
    steps[4] = with(
        step("", 4),
        json!({
            "skill_name": "book", "outcome_category": "X", "retry_count": 2, "replay_behavior": "check",
        }),
    );
    good(cx, "b", &steps);
    let compared = whole(cx, "a", "b");
    assert_eq!(compared.verdict, Verdict::Diverged);
    assert_eq!(
        differences(&compared),
        [
            r#"step 2 changed params={"q":2}|{"q":"MUC"} status="success"|"failure" outcome_code=-|"E7""#,
            r#"step 4 changed skill_name="search"|"book" outcome_category=""|"X" retry_count=0|2 replay_behavior="execute"|"check""#,
        ]
    );
    assert_eq!(compared.first_divergence.as_ref(), compared.differences.first());
    assert_eq!(compared.first_divergence.map(|first| first.step), Some(Some(2)));
}

fn plan_and_seed_come_before_the_first_step(cx: &mut Context) {
    sealed(cx, "a", json!({"plan": [{"skill": "search"}], "seed": 0}), &plain(1), "completed");
    sealed(cx, "b", json!({"plan": [], "seed": 42}), &plain(1), "completed");
    let compared = whole(cx, "a", "b");
    assert_eq!(differences(&compared), [r#"header - changed plan=[{"skill":"search"}]|[] seed=0|42"#]);
    assert_eq!(compared.first_divergence.map(|first| (first.part, first.step)), Some((Part::Header, None)));
    cx.record(&[ensure_otlp("o"), step("o", 0), complete("o")]);
    good(cx, "c", &plain(1));
    assert_eq!(differences(&whole(cx, "c", "o")), ["header - changed seed=42|-"]);
}

fn a_step_that_one_run_lacks_is_inserted_or_deleted(cx: &mut Context) {
    let some = |indices: &[u32]| indices.iter().map(|index| step("", *index)).collect::<Vec<_>>();
    good(cx, "a", &some(&[0, 1, 2, 5, 9]));
    good(cx, "b", &some(&[0, 2, 3, 9]));
    let kinds =
        |compared: &Comparison| compared.differences.iter().map(|found| (found.step, found.change)).collect::<Vec<_>>();
    let compared = whole(cx, "a", "b");
    let found = [(Some(1), Change::Deleted), (Some(3), Change::Inserted), (Some(5), Change::Deleted)];
    assert_eq!(kinds(&compared), found);
    let members = concat!(
        r#"step 1 deleted skill_name="search"|- params={"q":1}|- status="success"|- outcome_category=""|- "#,
        r#"retry_count=0|- replay_behavior="execute"|-"#
    );
    assert_eq!(differences(&compared)[0], members);
    let swapped = [(Some(1), Change::Inserted), (Some(3), Change::Deleted), (Some(5), Change::Inserted)];
    assert_eq!(kinds(&whole(cx, "b", "a")), swapped);
    good(cx, "short", &plain(2));
    good(cx, "long", &plain(4));
    assert_eq!(kinds(&whole(cx, "short", "long")), [(Some(2), Change::Inserted), (Some(3), Change::Inserted)]);
    good(cx, "none", &[]);
    assert_eq!(kinds(&whole(cx, "short", "none")), [(Some(0), Change::Deleted), (Some(1), Change::Deleted)]);
}

fn of_runs_that_diverged_behaviour_alone_can_be_asked_for(cx: &mut Context) {
    let output = |index, value: &str| with(step("", index), json!({ "outcome_data": value }));
    good(cx, "a", &[output(0, "x"), step("", 1), output(2, "x")]);
    good(cx, "b", &[output(0, "y"), with(step("", 1), json!({"skill_name": "book"})), output(2, "y")]);
    let steps = |compared: &Comparison| compared.differences.iter().map(|found| found.step).collect::<Vec<_>>();
    assert_eq!(steps(&whole(cx, "a", "b")), [Some(0), Some(1), Some(2)]);
    let behaviour = CompareQuery { level: Level::Behaviour, proof: true, ..CompareQuery::default() };
    let compared = compare(cx, "a", "b", &behaviour);
    assert_eq!((compared.verdict, compared.level), (Verdict::Diverged, Level::Behaviour));
    assert_eq!(differences(&compared), [r#"step 1 changed skill_name="search"|"book""#]);
    prove(cx, &compared);
}

fn a_run_without_seal_is_unverifiable(cx: &mut Context) {
    good(cx, "a", &plain(1));
    cx.record(&[start("open"), step("open", 0), ensure_otlp("late")]);
    for (a, b, hindered) in
        [("a", "open", vec!["open"]), ("open", "a", vec!["open"]), ("open", "open", vec!["open", "open"])]
    {
        let compared = whole(cx, a, b);
        nothing_differs(&compared, Verdict::Unverifiable);
        assert!(compared.obstacles.iter().all(|hindered| hindered.reason == Obstacle::NotSealed));
        let named: Vec<_> = compared.obstacles.iter().map(|hindered| hindered.run_id.as_str()).collect();
        assert_eq!(named, hindered);
    }
    nothing_differs(&whole(cx, "late", "open"), Verdict::Unverifiable);
}

fn unknown_runs_are_named(cx: &mut Context) {
    good(cx, "a", &[]);
    for (a, b) in [("a", "nobody"), ("nobody", "a")] {
        let refused = block_on(cx.ledger().compare(&run_id(a), &run_id(b), &CompareQuery::default()));
        let error = refused.expect_err("there is no such run");
        assert_eq!(error.code(), "run_not_found");
        assert!(error.detail().contains("nobody"), "{error}");
    }
}

/// Over the edges of the subtrees that a comparison passes over unread, with and without gaps behind them.
fn a_difference_is_found_wherever_it_stands(cx: &mut Context) {
    let count = 70;
    good(cx, "a", &plain(count));
    let mut gapped = plain(count);
    gapped.remove(64);
    good(cx, "a-gapped", &gapped);
    for at in [0, 1, 2, 3, 14, 15, 30, 31, 32, 62, 63, 66, 67, 68, 69] {
        let mut steps = plain(count);
        steps[at as usize] = with(step("", at), json!({"outcome_code": "other"}));
        let run = format!("b-{at}");
        good(cx, &run, &steps);
        assert_eq!(differences(&whole(cx, "a", &run)), [format!(r#"step {at} changed outcome_code=-|"other""#)]);
        steps.remove(64);
        // Arrived backwards: nothing is folded as it comes.
        steps.reverse();
        let run = format!("b-gapped-{at}");
        good(cx, &run, &steps);
        let compared = whole(cx, "a-gapped", &run);
        assert_eq!(differences(&compared), [format!(r#"step {at} changed outcome_code=-|"other""#)]);
        prove(cx, &compared);
    }
}

/// A walk through the differences of two runs, in pages of `limit`.
fn walk(cx: &Context, a: &str, b: &str, limit: u32) -> Vec<String> {
    let (mut found, mut cursor, mut first) = (Vec::new(), None, None);
    loop {
        let page = PageRequest { limit, cursor };
        let compared = compare(cx, a, b, &CompareQuery { page, proof: true, ..CompareQuery::default() });
        assert!(compared.differences.len() <= limit as usize);
        assert_eq!(*first.get_or_insert_with(|| compared.first_divergence.clone()), compared.first_divergence);
        prove(cx, &compared);
        found.extend(differences(&compared));
        cursor = compared.next_cursor;
        if cursor.is_none() {
            return found;
        }
        assert!(!compared.differences.is_empty());
    }
}

fn pages_of_differences_are_the_whole(cx: &mut Context) {
    let a: Vec<_> = (0..40).map(|n| step("", n * 2)).collect();
    let b: Vec<_> =
        (0..60).map(|n| with(step("", n), json!({"status": if n % 3 == 0 { "skipped" } else { "success" }}))).collect();
    sealed(cx, "a", json!({"seed": 1}), &a, "completed");
    sealed(cx, "b", json!({"seed": 2}), &b, "failed");
    let all = differences(&whole(cx, "a", "b"));
    // Both ends, the odd indices below 60, the even ones that are multiples of 3, and those from 60 on.
    assert_eq!(all.len(), 2 + 30 + 10 + 10);
    for limit in [1, 2, 7, 51, 52, 53] {
        assert_eq!(walk(cx, "a", "b", limit), all, "in pages of {limit}");
    }
}

fn pages_end_with_their_bytes(cx: &mut Context) {
    let large = |run: &str| {
        cx.record(&[start(run)]);
        for index in 0..6 {
            let params = json!({"text": format!("{run}{}", "x".repeat(1_500_000))});
            cx.record(&[with(step(run, index), json!({ "params": params }))]);
        }
        cx.record(&[complete(run)]);
    };
    large("a");
    large("b");
    let compared = compare(cx, "a", "b", &CompareQuery::default());
    assert!(compared.next_cursor.is_some() && compared.differences.len() < 6, "{}", compared.differences.len());
    assert_eq!(walk(cx, "a", "b", 50).len(), 6);
}

fn a_cursor_belongs_to_its_comparison(cx: &mut Context) {
    for (run, more) in [("a", json!({})), ("b", json!({"status": "skipped"})), ("c", json!({"status": "failure"}))] {
        good(cx, run, &plain(3).into_iter().map(|step| with(step, more.clone())).collect::<Vec<_>>());
    }
    let first = compare(cx, "a", "b", &CompareQuery { page: PageRequest::first(1), ..CompareQuery::default() });
    let page = PageRequest { limit: 1, cursor: first.next_cursor };
    for (a, b) in [("b", "a"), ("a", "c")] {
        let query = CompareQuery { page: page.clone(), ..CompareQuery::default() };
        let refused = block_on(cx.ledger().compare(&run_id(a), &run_id(b), &query));
        assert_eq!(refused.expect_err("another's cursor").code(), "invalid_cursor");
    }
    let query = CompareQuery { page, level: Level::Behaviour, ..CompareQuery::default() };
    let refused = block_on(cx.ledger().compare(&run_id("a"), &run_id("b"), &query));
    assert_eq!(refused.expect_err("of the other tree").code(), "invalid_cursor");
    let none = CompareQuery { page: PageRequest::first(0), ..CompareQuery::default() };
    let refused = block_on(cx.ledger().compare(&run_id("a"), &run_id("b"), &none));
    assert_eq!(refused.expect_err("no page").code(), "invalid_parameter");
}

/// Checks a comparison's proof with nothing but the two runs' hashes.
#[track_caller]
fn prove(cx: &Context, compared: &Comparison) {
    let proof = compared.proof.as_ref().expect("it was asked for");
    assert_eq!(proof.level, compared.level);
    assert_ne!(proof.a.leaf_hash, proof.b.leaf_hash);
    for (leaf, of) in [(&proof.a, &compared.a), (&proof.b, &compared.b)] {
        let run = cx.run(of.run_id.as_str());
        let root = if proof.level == Level::Exact { run.root_hash } else { run.behaviour_hash };
        assert_eq!(Some(leaf.root), root);
        assert_eq!(leaf.tree_size, of.steps + 2);
        let text = format!("tracekeep/{}/1\n{}", proof.level, leaf.leaf.as_str());
        assert_eq!(leaf_hash(text.as_bytes()), leaf.leaf_hash);
        verify_inclusion(&leaf.leaf_hash, proof.leaf_index, leaf.tree_size, &leaf.hashes, &leaf.root)
            .expect("the leaf is in the run's tree");
    }
}

fn each_first_divergence_is_proved(cx: &mut Context) {
    let mut steps = plain(9);
    good(cx, "a", &steps);
    steps[5] = with(step("", 5), json!({"outcome_data": [1]}));
    good(cx, "output", &steps);
    steps.remove(3);
    good(cx, "gap", &steps);
    good(cx, "short", &plain(4));
    sealed(cx, "failed", json!({}), &plain(9), "failed");
    sealed(cx, "seed", json!({"seed": 0}), &plain(9), "completed");
    for (b, leaf_index) in [("output", 6), ("gap", 4), ("short", 5), ("failed", 10), ("seed", 0)] {
        let compared = whole(cx, "a", b);
        prove(cx, &compared);
        assert_eq!(compared.proof.map(|proof| proof.leaf_index), Some(leaf_index), "{b}");
    }
    let compared = whole(cx, "a", "gap");
    let leaf = |leaf: &str| serde_json::from_str::<Value>(leaf).expect("JSON")["index"].clone();
    let proof = compared.proof.expect("asked for");
    assert_eq!((leaf(proof.a.leaf.as_str()), leaf(proof.b.leaf.as_str())), (json!(3), json!(4)));
    assert_ne!(sha256(&[b""]), proof.a.leaf_hash);
    let unasked = compare(cx, "a", "gap", &CompareQuery::default());
    assert!(unasked.proof.is_none() && unasked.first_divergence.is_some());
}

fn steps_after_a_seal_of_telemetry_do_not_count(cx: &mut Context) {
    for run in ["a", "b"] {
        cx.record(&[ensure_otlp(run), span(run, "s", None), step(run, 0), step(run, 3), complete(run)]);
    }
    cx.record(&[step("b", 1), step("b", 4)]);
    let compared = whole(cx, "a", "b");
    nothing_differs(&compared, Verdict::Identical);
    assert_eq!((compared.a.steps, compared.b.steps, cx.run("b").steps), (2, 2, 4));
    cx.record(&[ensure_otlp("c"), step("c", 0), with(step("c", 3), json!({"status": "failure"})), complete("c")]);
    let compared = whole(cx, "b", "c");
    assert_eq!(differences(&compared), [r#"step 3 changed status="success"|"failure""#]);
    assert_eq!(walk(cx, "b", "c", 1).len(), 1);
}
