//! Searching runs: each attribute alone, several together, sorted by start, cost and duration.

use serde_json::{Value, json};
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::model::RunStatus;
use tracekeep_core::view::{Run, RunCount};
use tracekeep_core::{TimeRange, hash};
use tracekeep_store::{Between, Order, PageRequest, RunFilter, RunQuery, RunSort, block_on};

use crate::context::{Context, walk};
use crate::ops::{complete, ensure_otlp, start, step, with};

cases!("search":
    times_are_half_open_and_clamped,
    a_status_that_is_older_than_a_time,
    by_plan_and_seed,
    by_the_hashes_of_the_latest_seal,
    by_words_of_the_goal,
    goals_are_read_within_a_budget_of_bytes,
    several_attributes_at_once,
    an_erased_run_is_found_by_nothing,
    children_and_correlated_runs_are_in_order,
    costs_and_durations_sort_sealed_runs,
    a_range_of_values_holds_both_its_bounds,
    many_equal_values_are_paged_through,
    what_comes_after_the_seal_moves_no_run,
    a_walk_by_cost_is_stable_while_runs_arrive,
    counts_are_of_what_is_listed,
    wrong_searches_are_refused,
);

fn f() -> RunFilter {
    RunFilter::default()
}

fn oldest(filter: RunFilter) -> RunQuery {
    RunQuery { filter, order: Order::Oldest, ..RunQuery::default() }
}

/// The ids, oldest (or least) first; pages of every size and the other direction give the same.
#[track_caller]
fn listed(cx: &Context, query: &RunQuery) -> Vec<String> {
    let ids = cx.run_ids(&RunQuery { order: Order::Oldest, ..query.clone() }, 1_000);
    for limit in [1, 3] {
        assert_eq!(cx.run_ids(&RunQuery { order: Order::Oldest, ..query.clone() }, limit), ids, "pages of {limit}");
        let newest = cx.run_ids(&RunQuery { order: Order::Newest, ..query.clone() }, limit);
        assert!(newest.iter().rev().eq(&ids), "{newest:?} is {ids:?} the other way round");
    }
    ids
}

#[track_caller]
fn found(cx: &Context, filter: RunFilter) -> Vec<String> {
    listed(cx, &oldest(filter))
}

fn range(from: &str, to: &str) -> TimeRange {
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    TimeRange::parse(some(from), some(to)).expect("times")
}

fn at(run: &str, started_at: &str) -> Value {
    with(start(run), json!({ "started_at": started_at }))
}

fn times_are_half_open_and_clamped(cx: &mut Context) {
    let (first, last) = ("1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z");
    cx.record(&[
        at("c", "2026-01-01T02:00:00Z"),
        at("last", last),
        at("a", "2026-01-01T00:00:00Z"),
        at("first", first),
    ]);
    cx.record(&[at("b", "2026-01-01T01:00:00Z"), at("b2", "2026-01-01T01:00:00Z")]);
    let check = |from: &str, to: &str, wanted: &[&str]| {
        assert_eq!(found(cx, RunFilter { time: range(from, to), ..f() }), wanted, "[{from}, {to})");
    };
    check("", "", &["first", "a", "b", "b2", "c", "last"]);
    check("2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z", &["a", "b", "b2"]);
    check("2026-01-01T01:00:00Z", "2026-01-01T01:00:00.000000001Z", &["b", "b2"]);
    check("2026-01-01T01:00:00.000000001Z", "", &["c", "last"]);
    check("", "2026-01-01T00:00:00Z", &["first"]);
    check("2026-01-01T01:00:00Z", "2026-01-01T01:00:00Z", &[]);
    check("2026-01-01T02:00:00Z", "2026-01-01T01:00:00Z", &[]);
    check("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", &["first", "a", "b", "b2", "c", "last"]);
    check("9999-12-31T23:59:59Z", "", &[]);
    check(last, "", &["last"]);
    check("", last, &["first", "a", "b", "b2", "c"]);
}

fn a_status_that_is_older_than_a_time(cx: &mut Context) {
    let hours = |n: u32| format!("2026-01-01T{n:02}:00:00Z");
    for n in 0..8 {
        cx.record(&[at(&format!("r{n}"), &hours(n))]);
    }
    cx.record(&[complete("r1"), with(complete("r3"), json!({"status": "failed"})), complete("r6")]);
    let older = |status, hour| RunFilter { status: Some(status), time: range("", &hours(hour)), ..f() };
    assert_eq!(found(cx, older(RunStatus::Running, 5)), ["r0", "r2", "r4"]);
    assert_eq!(found(cx, older(RunStatus::Completed, 6)), ["r1"]);
    assert_eq!(found(cx, older(RunStatus::Completed, 7)), ["r1", "r6"]);
    assert_eq!(found(cx, older(RunStatus::Aborted, 9)), Vec::<String>::new());
}

fn by_plan_and_seed(cx: &mut Context) {
    let planned = |run: &str, plan: Value, seed: i64| with(start(run), json!({"plan": plan, "seed": seed}));
    cx.record(&[planned("a", json!([]), 0), planned("b", json!([]), 42), planned("c", json!([{"x": 1}]), 0)]);
    cx.record(&[planned("d", json!([]), 0), planned("min", json!([]), i64::MIN), start("bare")]);
    cx.record(&[ensure_otlp("o"), with(start("zero"), json!({"seed": 0})), planned("max", json!([]), i64::MAX)]);
    let empty = Some(hash::plan_hash("[]"));
    let check = |plan_hash: Option<Hash>, seed: Option<i64>, wanted: &[&str]| {
        assert_eq!(found(cx, RunFilter { plan_hash, seed, ..f() }), wanted, "{plan_hash:?} {seed:?}");
    };
    check(empty, None, &["a", "b", "d", "min", "max"]);
    check(empty, Some(0), &["a", "d"]);
    check(empty, Some(42), &["b"]);
    check(empty, Some(i64::MIN), &["min"]);
    check(empty, Some(7), &[]);
    check(None, Some(0), &["a", "c", "d", "zero"]);
    check(None, Some(42), &["b", "bare"]);
    check(None, Some(i64::MAX), &["max"]);
    check(Some(hash::plan_hash(r#"[{"x":1}]"#)), None, &["c"]);
    check(Some(Hash::ZERO), None, &[]);
}

fn by_the_hashes_of_the_latest_seal(cx: &mut Context) {
    let output = |run: &str, hits: u32| with(step(run, 0), json!({"outcome_data": {"hits": hits}}));
    for run in ["a", "b", "c", "open"] {
        cx.record(&[start(run), output(run, u32::from(run == "c"))]);
    }
    cx.record(&[complete("a"), complete("c"), complete("b")]);
    let (a, c) = (cx.run("a"), cx.run("c"));
    let root = |root_hash| found(cx, RunFilter { root_hash, ..f() });
    let behaviour = |behaviour_hash| found(cx, RunFilter { behaviour_hash, ..f() });
    assert_eq!(root(a.root_hash), ["a", "b"]);
    assert_eq!(root(c.root_hash), ["c"]);
    assert_eq!(behaviour(a.behaviour_hash), ["a", "b", "c"], "what came back is not what the agent chose");
    assert_eq!(root(a.behaviour_hash), Vec::<String>::new());
    assert_eq!(root(Some(Hash::ZERO)), Vec::<String>::new());
}

fn by_words_of_the_goal(cx: &mut Context) {
    let goal = |run: &str, goal: &str| with(start(run), json!({ "goal": goal }));
    let described =
        |run: &str, topic: &str, goal: &str| json!({"op": "describe_run", "run_id": run, "topic": topic, "goal": goal});
    cx.record(&[goal("a", "Find a flight to Lisbon"), goal("b", "find flights: FRA–LIS"), goal("c", "Être payé")]);
    cx.record(&[start("none"), ensure_otlp("o"), described("o", "resource/x", "a flight of stairs")]);
    cx.record(&[ensure_otlp("p"), described("p", "resource/x", "flight"), described("p", "root", "a walk")]);
    cx.record(&[goal("own", "swim"), described("own", "root", "flight")]);
    let check = |text: &str, wanted: &[&str]| {
        assert_eq!(found(cx, RunFilter { text: Some(text.to_owned()), ..f() }), wanted, "{text}");
    };
    check("flight", &["a", "o"]);
    check("FLIGHT find", &["a"]);
    check("fra-lis", &["b"]);
    check("etre", &["c"]);
    check("walk", &["p"]);
    check("swim", &["own"]);
    check("fligh", &[]);
    cx.record(&[complete("a")]);
    let filter = RunFilter { text: Some("flight".to_owned()), status: Some(RunStatus::Running), ..f() };
    assert_eq!(found(cx, filter), ["o"]);
}

fn goals_are_read_within_a_budget_of_bytes(cx: &mut Context) {
    let large = "x".repeat(3 << 20);
    for n in 0..5 {
        let goal = if n == 4 { "needle" } else { "hay" };
        cx.record(&[with(start(&format!("r{n}")), json!({"goal": goal, "metadata": {"large": large}}))]);
    }
    let filter = RunFilter { text: Some("needle".to_owned()), ..f() };
    let page = block_on(cx.ledger().runs(&oldest(filter.clone()))).expect("a page");
    assert!(page.items.is_empty() && page.next_cursor.is_some(), "8 MiB were read, and nothing fits");
    let count = block_on(cx.ledger().run_count(&filter)).expect("a count");
    assert_eq!(count, RunCount { count: 0, complete: false });
    let ledger = cx.ledger();
    let walked = walk(9, |page| block_on(ledger.runs(&RunQuery { page, ..oldest(filter.clone()) })));
    assert_eq!(walked.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), ["r4"]);
}

/// Runs that differ in everything that is searched.
fn varied(cx: &Context) -> Vec<Run> {
    for n in 0..24u32 {
        let run = format!("r{n:02}");
        let members = json!({
            "started_at": format!("2026-01-01T{:02}:00:00Z", (n * 7) % 12), "agent_id": format!("agent-{}", n % 3),
            "correlation_id": format!("c-{}", n % 4), "parent_run_id": (n % 5 > 1).then(|| format!("p-{}", n % 2)),
            "tags": [format!("t-{}", n % 3), "all"], "seed": n % 2 * 42, "plan": (n % 4 > 0).then(|| json!([{"n": n % 2}])),
            "goal": if n % 3 == 0 { "fly to Lisbon" } else { "stay at home" },
        });
        let costly = json!({"cost_cents": format!("{}.5", n % 6), "duration_ms": n % 4, "params": {"q": n % 2}});
        cx.record(&[with(start(&run), members), with(step(&run, 0), costly)]);
        let status = ["completed", "failed", "aborted"].get(n as usize % 4);
        if let Some(status) = status {
            cx.record(&[with(complete(&run), json!({ "status": status }))]);
        }
    }
    walk(100, |page| block_on(cx.ledger().runs(&RunQuery { page, ..oldest(f()) })))
}

/// The first run that is sealed.
fn sealed(runs: &[Run]) -> &Run {
    runs.iter().find(|run| run.root_hash.is_some()).expect("a sealed run")
}

/// A filter by each attribute.
fn each_attribute(sealed: &Run) -> [RunFilter; 14] {
    let text = |text: &str| Some(text.to_owned());
    let value = |text: &str| text.parse::<Cost>().ok();
    [
        RunFilter { status: Some(RunStatus::Failed), ..f() },
        RunFilter { agent: text("agent-1"), ..f() },
        RunFilter { correlation: text("c-2"), ..f() },
        RunFilter { parent: text("p-1"), ..f() },
        RunFilter { tag: text("t-0"), ..f() },
        RunFilter { time: range("2026-01-01T02:00:00Z", "2026-01-01T09:00:00Z"), ..f() },
        RunFilter { plan_hash: Some(hash::plan_hash(r#"[{"n":1}]"#)), ..f() },
        RunFilter { seed: Some(0), ..f() },
        RunFilter { seed: Some(42), ..f() },
        RunFilter { root_hash: sealed.root_hash, ..f() },
        RunFilter { behaviour_hash: sealed.behaviour_hash, ..f() },
        RunFilter { text: text("lisbon"), ..f() },
        RunFilter { cost: Between { least: value("1.5"), most: value("3.5") }, ..f() },
        RunFilter { duration: Between { least: None, most: DurationMs::new(2.0).ok() }, ..f() },
    ]
}

fn exactly<T: Copy>(value: T) -> Between<T> {
    Between { least: Some(value), most: Some(value) }
}

fn an_erased_run_is_found_by_nothing(cx: &mut Context) {
    let runs = varied(cx);
    let whole = |run: &&Run| run.root_hash.is_some() && run.parent_run_id.is_some() && run.plan_hash.is_some();
    let gone = runs.iter().find(whole).expect("a run with every attribute");

    let filters = [
        f(),
        RunFilter { status: Some(gone.status), ..f() },
        RunFilter { agent: gone.agent_id.clone(), ..f() },
        RunFilter { correlation: gone.correlation_id.as_ref().map(ToString::to_string), ..f() },
        RunFilter { parent: gone.parent_run_id.as_ref().map(ToString::to_string), ..f() },
        RunFilter { tag: gone.tags.first().cloned(), ..f() },
        RunFilter { time: TimeRange::new(Some(gone.started_at), Some(gone.started_at.saturating_add(1))), ..f() },
        RunFilter { plan_hash: gone.plan_hash, ..f() },
        RunFilter { plan_hash: gone.plan_hash, seed: gone.seed, ..f() },
        RunFilter { seed: gone.seed, ..f() },
        RunFilter { root_hash: gone.root_hash, ..f() },
        RunFilter { behaviour_hash: gone.behaviour_hash, ..f() },
        RunFilter { text: gone.goal.clone(), ..f() },
        RunFilter { cost: exactly(gone.cost_cents), ..f() },
        RunFilter { duration: exactly(gone.duration_ms), ..f() },
    ];
    for filter in &filters {
        let ids = cx.run_ids(&RunQuery { filter: filter.clone(), ..RunQuery::default() }, 7);
        assert!(ids.contains(&gone.run_id.to_string()), "{filter:?}");
    }
    cx.record(&[crate::ops::erase(gone.run_id.as_str())]);
    for filter in filters {
        for sort in [None, Some(RunSort::Start), Some(RunSort::Cost), Some(RunSort::Duration)] {
            let ids = cx.run_ids(&RunQuery { filter: filter.clone(), sort, ..RunQuery::default() }, 7);
            assert!(!ids.contains(&gone.run_id.to_string()), "{filter:?} {sort:?}");
        }
    }
    let count = block_on(cx.ledger().run_count(&RunFilter { status: Some(gone.status), ..f() })).expect("a count");
    assert_eq!(count.count, runs.iter().filter(|run| run.status == gone.status).count() as u64 - 1);
}

fn several_attributes_at_once(cx: &mut Context) {
    let runs = varied(cx);
    let one = each_attribute(sealed(&runs));
    for a in &one {
        for b in &one {
            let both = both(a, b);
            for sort in [None, Some(RunSort::Start), Some(RunSort::Cost), Some(RunSort::Duration)] {
                let query = RunQuery { filter: both.clone(), sort, ..RunQuery::default() };
                let mut wanted: Vec<_> = runs.iter().filter(|run| fits(&both, run)).collect();
                match query.sorted_by() {
                    RunSort::Start => wanted.sort_by_key(|run| (run.started_at, run.log_index)),
                    RunSort::Cost => wanted.sort_by_key(|run| (run.cost_cents, run.log_index)),
                    RunSort::Duration => wanted.sort_by_key(|run| (run.duration_ms.as_nanos(), run.log_index)),
                }
                wanted.retain(|run| query.sorted_by() == RunSort::Start || run.root_hash.is_some());
                let wanted: Vec<_> = wanted.into_iter().map(|run| run.run_id.to_string()).collect();
                assert_eq!(cx.run_ids(&RunQuery { order: Order::Oldest, ..query.clone() }, 5), wanted, "{query:?}");
            }
        }
    }
}

fn both(a: &RunFilter, b: &RunFilter) -> RunFilter {
    let (a, b) = (a.clone(), b.clone());
    let time = if a.time == TimeRange::ALL { b.time } else { a.time };
    RunFilter {
        status: a.status.or(b.status),
        agent: a.agent.or(b.agent),
        correlation: a.correlation.or(b.correlation),
        parent: a.parent.or(b.parent),
        tag: a.tag.or(b.tag),
        time,
        plan_hash: a.plan_hash.or(b.plan_hash),
        seed: a.seed.or(b.seed),
        root_hash: a.root_hash.or(b.root_hash),
        behaviour_hash: a.behaviour_hash.or(b.behaviour_hash),
        text: a.text.or(b.text),
        cost: if a.cost.is_bound() { a.cost } else { b.cost },
        duration: if a.duration.is_bound() { a.duration } else { b.duration },
    }
}

/// The meaning of a filter, over what a run reads as.
fn fits(filter: &RunFilter, run: &Run) -> bool {
    let is = |wanted: &Option<String>, got: Option<&str>| wanted.is_none() || wanted.as_deref() == got;
    let sealed = run.root_hash.is_some();
    filter.status.is_none_or(|status| run.status == status)
        && is(&filter.agent, run.agent_id.as_deref())
        && is(&filter.correlation, run.correlation_id.as_ref().map(|id| id.as_str()))
        && is(&filter.parent, run.parent_run_id.as_ref().map(|id| id.as_str()))
        && filter.tag.as_ref().is_none_or(|tag| run.tags.contains(tag))
        && filter.time.contains(run.started_at)
        && (filter.plan_hash.is_none() || filter.plan_hash == run.plan_hash)
        && (filter.seed.is_none() || filter.seed == run.seed)
        && (filter.root_hash.is_none() || filter.root_hash == run.root_hash)
        && (filter.behaviour_hash.is_none() || filter.behaviour_hash == run.behaviour_hash)
        && says(filter.text.as_deref(), run.goal.as_deref())
        && (!filter.cost.is_bound() || sealed && within(filter.cost, run.cost_cents))
        && (!filter.duration.is_bound() || sealed && within(filter.duration, run.duration_ms))
}

fn within<T: PartialOrd>(range: Between<T>, value: T) -> bool {
    range.least.is_none_or(|least| least <= value) && range.most.is_none_or(|most| value <= most)
}

fn says(word: Option<&str>, goal: Option<&str>) -> bool {
    let goal = goal.unwrap_or_default().to_lowercase();
    word.is_none_or(|word| goal.split(' ').any(|own| own == word))
}

fn children_and_correlated_runs_are_in_order(cx: &mut Context) {
    let part = |run: &str, parent: Option<&str>, hour: u32| {
        let time = format!("2026-01-01T{hour:02}:00:00Z");
        with(start(run), json!({"parent_run_id": parent, "correlation_id": "one", "started_at": time}))
    };
    cx.record(&[
        part("root", None, 5),
        part("b", Some("root"), 7),
        part("a", Some("root"), 6),
        part("aa", Some("a"), 8),
    ]);
    cx.record(&[with(part("other", Some("root"), 4), json!({"correlation_id": "two"})), start("aside")]);
    let of = |parent: &str| found(cx, RunFilter { parent: Some(parent.to_owned()), ..f() });
    assert_eq!(of("root"), ["other", "a", "b"]);
    assert_eq!(of("a"), ["aa"]);
    assert_eq!(of("aa"), Vec::<String>::new());
    assert_eq!(found(cx, RunFilter { correlation: Some("one".to_owned()), ..f() }), ["root", "a", "b", "aa"]);
}

/// A run that is sealed with what its one step cost and took.
fn seal(cx: &Context, run: &str, cost: &str, ms: f64) {
    let costly = json!({"cost_cents": cost, "duration_ms": ms});
    cx.record(&[start(run), with(step(run, 0), costly), complete(run)]);
}

fn by(sort: RunSort) -> RunQuery {
    RunQuery { sort: Some(sort), ..oldest(f()) }
}

fn costs_and_durations_sort_sealed_runs(cx: &mut Context) {
    seal(cx, "a", "2", 1.0);
    seal(cx, "b", "0.000001", 30.5);
    seal(cx, "c", "10", 0.0);
    cx.record(&[start("open"), with(step("open", 0), json!({"cost_cents": "5"})), start("none"), complete("none")]);
    let largest = "9223372036854.775807";
    seal(cx, "most", largest, 9_223_372_036_854.773);
    assert_eq!(listed(cx, &by(RunSort::Cost)), ["none", "b", "a", "c", "most"]);
    assert_eq!(listed(cx, &by(RunSort::Duration)), ["c", "none", "a", "b", "most"]);
    assert_eq!(listed(cx, &by(RunSort::Start)), ["a", "b", "c", "open", "none", "most"]);
    cx.record(&[complete("open")]);
    assert_eq!(listed(cx, &by(RunSort::Cost)), ["none", "b", "a", "open", "c", "most"]);
    let filter = RunFilter { cost: Between { least: largest.parse().ok(), most: None }, ..f() };
    assert_eq!(found(cx, filter), ["most"]);
}

fn a_range_of_values_holds_both_its_bounds(cx: &mut Context) {
    for (run, cost, ms) in [("a", "1", 4.0), ("b", "2", 3.0), ("c", "2.5", 2.0), ("d", "3", 1.0)] {
        seal(cx, run, cost, ms);
    }
    cx.record(&[start("open"), with(step("open", 0), json!({"cost_cents": "2", "duration_ms": 2}))]);
    let cost = |least: &str, most: &str| Between { least: least.parse().ok(), most: most.parse().ok() };
    let ms = |least: f64, most: f64| Between { least: DurationMs::new(least).ok(), most: DurationMs::new(most).ok() };
    let costs = |least, most| found(cx, RunFilter { cost: cost(least, most), ..f() });
    assert_eq!(costs("1", "2.5"), ["a", "b", "c"]);
    assert_eq!(costs("2", "2"), ["b"]);
    assert_eq!(costs("2.000001", ""), ["c", "d"]);
    assert_eq!(costs("", "1.999999"), ["a"]);
    assert_eq!(costs("3", "1"), Vec::<String>::new());
    let took = |least, most| found(cx, RunFilter { duration: ms(least, most), ..f() });
    assert_eq!(took(1.0, 3.0), ["d", "c", "b"]);
    assert_eq!(took(2.0, 2.0), ["c"]);
    assert_eq!(took(2.000001, 2.999999), Vec::<String>::new());
    let and = |sort| RunQuery { sort, ..oldest(RunFilter { cost: cost("2", ""), duration: ms(2.0, 9.0), ..f() }) };
    assert_eq!(listed(cx, &and(None)), ["b", "c"], "by cost, the first that is bounded");
    assert_eq!(listed(cx, &and(Some(RunSort::Duration))), ["c", "b"]);
    assert_eq!(listed(cx, &and(Some(RunSort::Start))), ["b", "c"]);
}

fn many_equal_values_are_paged_through(cx: &mut Context) {
    let runs: Vec<_> = (0..40).map(|n| format!("r{n:02}")).collect();
    let same = |run: &String| at(run, "2026-01-01T00:00:00Z");
    cx.record(&runs.iter().map(same).collect::<Vec<_>>());
    cx.record(&runs.iter().rev().map(|run| complete(run)).collect::<Vec<_>>());
    for query in [by(RunSort::Start), by(RunSort::Cost), by(RunSort::Duration)] {
        assert_eq!(listed(cx, &query), runs, "by log index where everything else is equal");
    }
}

fn what_comes_after_the_seal_moves_no_run(cx: &mut Context) {
    let costly = |index, cost: &str| with(step("o", index), json!({ "cost_cents": cost }));
    cx.record(&[ensure_otlp("o"), costly(0, "1"), complete("o")]);
    seal(cx, "r", "2", 0.0);
    cx.record(&[costly(1, "5")]);
    assert_eq!(cx.run("o").cost_cents.to_string(), "6", "what a reader sees goes on");
    assert_eq!(listed(cx, &by(RunSort::Cost)), ["o", "r"], "its place is that of its first seal");
    let filter = RunFilter { cost: Between { least: None, most: "1".parse().ok() }, ..f() };
    assert_eq!(found(cx, filter), ["o"]);
}

fn a_walk_by_cost_is_stable_while_runs_arrive(cx: &mut Context) {
    for order in [Order::Oldest, Order::Newest] {
        let prefix = order.as_str();
        let own: Vec<_> = (0..6).map(|n| format!("{prefix}{n}")).collect();
        for (n, run) in own.iter().enumerate() {
            let costly = with(step(run, 0), json!({"cost_cents": (n % 3).to_string()}));
            cx.record(&[with(start(run), json!({"tags": [prefix]})), costly, complete(run)]);
        }
        let mut late = 0;
        let walked = walk(2, |page| {
            let filter = RunFilter { tag: Some(prefix.to_owned()), ..f() };
            let query = RunQuery { filter, sort: Some(RunSort::Cost), order, page };
            let page = block_on(cx.ledger().runs(&query));
            late += 1;
            assert!(late < 100, "a walk comes to its end while the list grows");
            for cost in ["0", "1", "2"] {
                let run = format!("{prefix}-late-{late}-{cost}");
                let costly = with(step(&run, 0), json!({ "cost_cents": cost }));
                cx.record(&[with(start(&run), json!({"tags": [prefix]})), costly, complete(&run)]);
            }
            page
        });
        let mut walked: Vec<_> = walked.into_iter().map(|run| run.run_id.to_string()).collect();
        walked.sort_unstable();
        assert_eq!(walked, own);
    }
}

fn counts_are_of_what_is_listed(cx: &mut Context) {
    let count = |filter: RunFilter| {
        let count = block_on(cx.ledger().run_count(&filter)).expect("a count");
        assert!(count.complete);
        count.count
    };
    assert_eq!((count(f()), count(RunFilter { status: Some(RunStatus::Running), ..f() })), (0, 0));
    varied(cx);
    let status = |status| count(RunFilter { status: Some(status), ..f() });
    let statuses = [RunStatus::Running, RunStatus::Completed, RunStatus::Failed, RunStatus::Aborted].map(status);
    assert_eq!((count(f()), statuses), (24, [6; 4]));
    let seed = |seed| count(RunFilter { seed: Some(seed), status: Some(RunStatus::Running), ..f() });
    assert_eq!((seed(0), seed(42)), (0, 6), "of a status and more");
    cx.record(&[complete("r03")]);
    assert_eq!((status(RunStatus::Running), status(RunStatus::Completed), count(f())), (5, 7, 24));
    cx.refuse(&[with(complete("r07"), json!({"root_hash": "0".repeat(64)}))], "hash_mismatch");
    assert_eq!(status(RunStatus::Running), 5);
}

fn wrong_searches_are_refused(cx: &mut Context) {
    varied(cx);
    let long = "x".repeat(1_025);
    let many: String = (0..33).map(|n| format!("w{n} ")).collect();
    for (text, is_refused) in [("", true), ("—", true), (&*long, true), (&*many, true), ("lisbon lisbon", false)] {
        let filter = RunFilter { text: Some(text.to_owned()), ..f() };
        let page = block_on(cx.ledger().runs(&RunQuery { filter: filter.clone(), ..RunQuery::default() }));
        let count = block_on(cx.ledger().run_count(&filter));
        assert_eq!((page.is_err(), count.is_err()), (is_refused, is_refused), "{text:?}");
        for error in page.err().into_iter().chain(count.err()) {
            assert_eq!((error.code(), error.path()), ("invalid_parameter", Some("text")));
        }
    }
    let page = |query: &RunQuery| block_on(cx.ledger().runs(query)).map_err(|error| error.code().to_owned());
    let two = |cursor| PageRequest { limit: 2, cursor };
    let query = RunQuery { page: two(None), ..by(RunSort::Cost) };
    let cursor = page(&query).expect("a page").next_cursor;
    let others = [
        RunQuery { sort: Some(RunSort::Duration), page: two(cursor.clone()), ..query.clone() },
        RunQuery { sort: None, page: two(cursor.clone()), ..query.clone() },
        RunQuery { filter: RunFilter { seed: Some(0), ..f() }, page: two(cursor.clone()), ..query.clone() },
    ];
    for other in others {
        assert_eq!(page(&other).err().as_deref(), Some("invalid_cursor"), "{other:?}");
    }
    assert!(page(&RunQuery { page: two(cursor), ..query }).is_ok());
}
