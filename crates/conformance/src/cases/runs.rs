//! Runs: start, ensure, describe, complete, and lists of them.

use serde_json::json;
use tracekeep_core::model::{RunStatus, Source};
use tracekeep_core::{hash, json as core_json};
use tracekeep_store::{CountsQuery, Order, PageRequest, RunFilter, RunQuery, block_on};

use crate::context::Context;
use crate::ops::{complete, end, ensure_otlp, run_id, span, start, step, thought, with};

cases!("runs":
    a_start_with_only_what_is_required_has_its_defaults,
    a_start_with_every_member_reads_back,
    null_is_absent,
    defaults_that_are_spelt_out_are_equal,
    what_differs_in_a_start_is_named,
    generated_members_are_taken_from_the_record,
    an_empty_plan_is_a_plan,
    a_run_is_unknown_until_it_starts,
    ensure_run_starts_once_whatever_the_run_holds,
    the_first_description_of_a_topic_wins,
    a_reader_takes_root_over_resources_and_the_first_of_those,
    the_agent_that_is_listed_is_the_agent_that_is_read,
    completing_twice_equal_is_a_duplicate_and_other_a_conflict,
    a_completed_run_says_how_it_ended,
    every_final_status,
    a_final_status_is_final,
    a_sealed_run_refuses_steps_traces_ends_and_still_knows_its_own,
    telemetry_may_come_late,
    lists_by_each_filter_and_order,
    lists_are_paged_at_every_boundary,
    equal_start_times_are_ordered_by_log_index,
    a_walk_does_not_return_runs_that_start_during_it,
    wrong_pages_and_cursors_are_refused,
    labels_and_tags_are_bounded,
);

fn a_start_with_only_what_is_required_has_its_defaults(cx: &mut Context) {
    let receipt = cx.record(&[json!({"op": "start_run"})]);
    let id = receipt.ops[0].run_id.clone().expect("a generated id");
    let run = cx.run(id.as_str());
    assert_eq!((run.seed, run.source, run.status), (Some(42), Source::Api, RunStatus::Running));
    assert!(run.plan.is_none() && run.plan_hash.is_none() && run.goal.is_none() && run.agent_id.is_none());
    assert_eq!((run.tags.len(), run.metadata.as_str()), (0, "{}"));
    assert_eq!(run.correlation_id.map(|id| id.as_str().len()), Some(36), "a UUID ties it to others");
    assert_eq!((run.started_at, run.recorded_at), (run.recorded_at, run.started_at));
    assert_eq!((run.steps, run.traces, run.seals, run.entries, run.tokens), (0, 0, 0, 1, None));
    assert!(run.completed_at.is_none() && run.root_hash.is_none() && run.gaps.is_none());
}

fn a_start_with_every_member_reads_back(cx: &mut Context) {
    let plan = json!([{"skill": "search", "params": {"q": "FRA-LIS"}}, {}]);
    let whole = json!({
        "op": "start_run", "run_id": "r", "correlation_id": "c", "agent_id": "planner", "parent_run_id": "p",
        "goal": "find flights", "plan": plan, "seed": -7, "frozen_timestamp": "2020-01-01T00:00:00Z",
        "metadata": {"b": [1, null], "a": {}}, "tags": ["x", "y", "x"], "policy_snapshot_id": "ps",
        "started_at": "2026-01-01T00:00:00.5+01:00",
    });
    let receipt = cx.record(std::slice::from_ref(&whole));
    let run = cx.run("r");
    assert_eq!(run.correlation_id.as_ref().map(|id| id.as_str()), Some("c"));
    assert_eq!((run.agent_id.as_deref(), run.goal.as_deref()), (Some("planner"), Some("find flights")));
    assert_eq!(run.parent_run_id.as_ref().map(|id| id.as_str()), Some("p"));
    assert_eq!(run.plan.as_ref().map(Vec::len), Some(2));
    let canonical = core_json::canonical_json(plan.to_string().as_bytes()).expect("JSON");
    assert_eq!(run.plan_hash, Some(hash::plan_hash(&canonical)));
    assert_eq!((run.seed, run.source), (Some(-7), Source::Api));
    assert_eq!(run.frozen_timestamp.map(|time| time.to_string()).as_deref(), Some("2020-01-01T00:00:00.000000000Z"));
    assert_eq!(run.metadata.as_str(), r#"{"a":{},"b":[1,null]}"#);
    assert_eq!((run.tags.join(" "), run.policy_snapshot_id.as_deref()), ("x y".to_owned(), Some("ps")));
    assert_eq!(run.started_at.to_string(), "2025-12-31T23:00:00.500000000Z");
    cx.again(&[whole], &receipt);
}

fn null_is_absent(cx: &mut Context) {
    let nulls = json!({
        "op": "start_run", "run_id": "r", "correlation_id": null, "agent_id": null, "parent_run_id": null, "goal": null,
        "plan": null, "seed": null, "frozen_timestamp": null, "metadata": null, "tags": null, "policy_snapshot_id": null,
        "source": null, "started_at": null,
    });
    let receipt = cx.record(&[start("r")]);
    cx.again(&[nulls], &receipt);
    let free = with(start("s"), json!({"metadata": {"a": null}}));
    cx.record(std::slice::from_ref(&free));
    assert_eq!(cx.run("s").metadata.as_str(), r#"{"a":null}"#, "null inside free JSON is a value");
    cx.conflict(&[with(start("s"), json!({"metadata": {}}))], &["metadata"]);
}

fn defaults_that_are_spelt_out_are_equal(cx: &mut Context) {
    let receipt = cx.record(&[start("r")]);
    cx.again(&[with(start("r"), json!({"seed": 42, "tags": [], "metadata": {}, "source": "api"}))], &receipt);
    let receipt = cx.record(&[with(start("s"), json!({"seed": 42.0, "tags": ["a", "b"]}))]);
    cx.again(&[with(start("s"), json!({"tags": ["a", "a", "b", "a"]}))], &receipt);
}

fn what_differs_in_a_start_is_named(cx: &mut Context) {
    cx.record(&[with(start("r"), json!({"correlation_id": "c", "goal": "g"}))]);
    cx.conflict(&[with(start("r"), json!({"goal": "h", "seed": 0}))], &["goal", "seed"]);
    cx.conflict(&[start("r")], &["goal"]);
    cx.conflict(&[with(start("r"), json!({"goal": "g", "correlation_id": "d"}))], &["correlation_id"]);
    cx.conflict(&[with(start("r"), json!({"goal": "g", "plan": []}))], &["plan"]);
}

fn generated_members_are_taken_from_the_record(cx: &mut Context) {
    let receipt = cx.record(&[start("r")]);
    let run = cx.run("r");
    cx.sources.advance(5_000_000_000);
    cx.again(&[start("r")], &receipt);
    let stated = json!({
        "correlation_id": run.correlation_id.map(|id| id.to_string()), "started_at": run.started_at.to_string(),
    });
    cx.again(&[with(start("r"), stated)], &receipt);
    cx.conflict(&[with(start("r"), json!({"started_at": "2020-01-01T00:00:00Z"}))], &["started_at"]);
    let receipt = cx.record(&[complete("r")]);
    cx.sources.advance(5_000_000_000);
    cx.again(&[complete("r")], &receipt);
    cx.conflict(&[with(complete("r"), json!({"completed_at": "2020-01-01T00:00:00Z"}))], &["completed_at"]);
}

fn an_empty_plan_is_a_plan(cx: &mut Context) {
    cx.record(&[with(start("empty"), json!({"plan": []})), start("absent")]);
    assert_eq!(cx.run("empty").plan_hash, Some(hash::plan_hash("[]")));
    assert_eq!(cx.run("empty").plan.as_deref(), Some(&[][..]));
    assert_eq!((cx.run("absent").plan_hash, cx.run("absent").plan), (None, None));
    cx.conflict(&[start("empty")], &["plan"]);
}

fn a_run_is_unknown_until_it_starts(cx: &mut Context) {
    let described = json!({"op": "describe_run", "run_id": "r", "topic": "root"});
    for op in [step("r", 0), thought("r", "t"), span("r", "t", None), end("r", "t"), complete("r"), described] {
        assert_eq!(cx.refuse(&[op], "run_not_found").path(), Some("/ops/0/run_id"));
    }
    let (ledger, id) = (cx.ledger(), run_id("r"));
    assert!(block_on(ledger.run(&id)).expect("readable").is_none());
    assert!(block_on(ledger.step(&id, 0)).expect("readable").is_none());
    assert!(block_on(ledger.trace(&id, &crate::ops::trace_id("t"))).expect("readable").is_none());
    let codes = [
        block_on(ledger.steps(&id, &PageRequest::default())).map(|_| ()).map_err(|error| error.code()),
        block_on(ledger.traces(&id, &Default::default())).map(|_| ()).map_err(|error| error.code()),
        block_on(ledger.trace_counts(&id, &CountsQuery::default())).map(|_| ()).map_err(|error| error.code()),
        block_on(ledger.tree(&id, &Default::default())).map(|_| ()).map_err(|error| error.code()),
    ];
    assert_eq!(codes, [Err("run_not_found"); 4]);
}

fn ensure_run_starts_once_whatever_the_run_holds(cx: &mut Context) {
    let receipt = cx.record(&[ensure_otlp("o")]);
    let run = cx.run("o");
    assert_eq!((run.source, run.seed, run.correlation_id), (Source::Otlp, None, None), "telemetry has no seed");
    assert_eq!(run.started_at, run.recorded_at);
    cx.sources.advance(1_000);
    cx.again(&[ensure_otlp("o")], &receipt);
    cx.again(&[json!({"op": "ensure_run", "run_id": "o"})], &receipt);
    cx.refuse(&[start("o")], "conflict");
    let receipt = cx.record(&[with(start("r"), json!({"goal": "g"}))]);
    cx.record(&[complete("r")]);
    cx.again(&[ensure_otlp("r")], &receipt);
    assert_eq!((cx.run("r").source, cx.run("r").status), (Source::Api, RunStatus::Completed));
}

fn the_first_description_of_a_topic_wins(cx: &mut Context) {
    let root = |goal: &str| {
        json!({"op": "describe_run", "run_id": "o", "topic": "root", "goal": goal, "agent_id": "a",
            "started_at": "2025-06-01T00:00:00Z", "ended_at": "2025-06-01T00:00:09Z", "metadata": {"k": 1}})
    };
    cx.record(&[ensure_otlp("o")]);
    let receipt = cx.record(&[root("first")]);
    cx.again(&[root("second")], &receipt);
    cx.again(&[root("first")], &receipt);
    let run = cx.run("o");
    assert_eq!((run.goal.as_deref(), run.agent_id.as_deref()), (Some("first"), Some("a")));
    assert_eq!((run.metadata.as_str(), run.entries), (r#"{"k":1}"#, 2));
    assert_eq!(run.started_at.to_string(), "2025-06-01T00:00:00.000000000Z", "by the producer's clock");
    cx.refuse(&[json!({"op": "describe_run", "run_id": "o", "topic": ""})], "invalid_member");
    cx.refuse(&[json!({"op": "describe_run", "run_id": "o", "topic": "x".repeat(257)})], "too_large");
}

fn a_reader_takes_root_over_resources_and_the_first_of_those(cx: &mut Context) {
    let described = |topic: &str, goal: &str| json!({"op": "describe_run", "run_id": "o", "topic": topic, "goal": goal, "agent_id": goal});
    let read = |cx: &Context| (cx.run("o").goal.unwrap_or_default(), cx.run("o").agent_id.unwrap_or_default());
    let both = |word: &str| (word.to_owned(), word.to_owned());
    cx.record(&[ensure_otlp("o")]);
    cx.record(&[described("resource/b", "b")]);
    cx.record(&[described("resource/a", "a")]);
    assert_eq!(read(cx), both("b"), "the earliest");
    cx.record(&[described("root", "root")]);
    assert_eq!(read(cx), both("root"));
    cx.record(&[described("resource/c", "c")]);
    assert_eq!(read(cx), both("root"));
}

/// The list by agent once found a run under an agent that reading it did not show: the row took the description's, the
/// view the start's.
fn the_agent_that_is_listed_is_the_agent_that_is_read(cx: &mut Context) {
    let described = |run: &str, topic: &str, agent: Option<&str>| json!({"op": "describe_run", "run_id": run, "topic": topic, "agent_id": agent});
    cx.record(&[with(start("stated"), json!({"agent_id": "own"})), described("stated", "root", Some("other"))]);
    cx.record(&[ensure_otlp("silent-root"), described("silent-root", "resource/a", Some("a"))]);
    cx.record(&[described("silent-root", "root", None)]);
    cx.record(&[start("later"), described("later", "resource/a", Some("a"))]);
    cx.record(&[described("later", "root", Some("b"))]);
    cx.record(&[start("bare"), described("bare", "resource/z", None), described("bare", "resource/y", Some("y"))]);
    for agent in ["own", "other", "a", "b", "y"] {
        let filter = RunFilter { agent: Some(agent.to_owned()), ..RunFilter::default() };
        for id in cx.run_ids(&RunQuery { filter, ..RunQuery::default() }, 10) {
            assert_eq!(cx.run(&id).agent_id.as_deref(), Some(agent), "{id}");
        }
    }
    let listed = cx.run_ids(&RunQuery::default(), 10);
    for id in listed {
        let Some(agent) = cx.run(&id).agent_id else { continue };
        let filter = RunFilter { agent: Some(agent), ..RunFilter::default() };
        assert!(cx.run_ids(&RunQuery { filter, ..RunQuery::default() }, 10).contains(&id), "{id}");
    }
    assert_eq!(cx.run("stated").agent_id.as_deref(), Some("own"), "what the start states stands");
}

fn completing_twice_equal_is_a_duplicate_and_other_a_conflict(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0)]);
    let receipt = cx.record(&[complete("r")]);
    cx.again(&[complete("r")], &receipt);
    let run = cx.run("r");
    let hashes = json!({
        "root_hash": run.root_hash.map(|hash| hash.to_string()),
        "behaviour_hash": run.behaviour_hash.map(|hash| hash.to_string()),
        "completed_at": run.completed_at.map(|time| time.to_string()),
    });
    cx.again(&[with(complete("r"), hashes)], &receipt);
    cx.conflict(&[with(complete("r"), json!({"status": "failed"}))], &["status"]);
    cx.conflict(&[with(complete("r"), json!({"termination_reason": "x"}))], &["termination_reason"]);
    cx.conflict(&[with(complete("r"), json!({"metadata": {"a": 1}}))], &["metadata"]);
    cx.conflict(&[with(complete("r"), json!({"root_hash": "0".repeat(64)}))], &["root_hash"]);
}

fn a_completed_run_says_how_it_ended(cx: &mut Context) {
    cx.record(&[start("r")]);
    let violation = json!({"step_index": 3, "at": "2026-01-01T00:00:00Z", "policy_id": "p", "reason": "spend"});
    let whole = json!({
        "op": "complete_run", "run_id": "r", "status": "aborted", "termination_reason": "budget",
        "metadata": {"cost": 1}, "violation": violation, "completed_at": "2026-02-01T00:00:00Z",
    });
    let receipt = cx.record(std::slice::from_ref(&whole));
    let run = cx.run("r");
    assert_eq!((run.status, run.termination_reason.as_deref()), (RunStatus::Aborted, Some("budget")));
    assert_eq!(run.completion_metadata.map(|metadata| metadata.as_str().to_owned()).as_deref(), Some(r#"{"cost":1}"#));
    let violation = run.violation.expect("the violation");
    assert_eq!((violation.step_index, violation.policy_id.as_deref()), (Some(3), Some("p")));
    assert_eq!(run.completed_at.map(|time| time.to_string()).as_deref(), Some("2026-02-01T00:00:00.000000000Z"));
    assert_eq!((run.seals, run.entries), (1, 2));
    cx.again(&[whole], &receipt);
}

fn every_final_status(cx: &mut Context) {
    for (word, status) in
        [("completed", RunStatus::Completed), ("failed", RunStatus::Failed), ("aborted", RunStatus::Aborted)]
    {
        cx.record(&[start(word), with(complete(word), json!({"status": word}))]);
        assert_eq!(cx.run(word).status, status);
        let filter = RunFilter { status: Some(status), ..RunFilter::default() };
        assert_eq!(cx.run_ids(&RunQuery { filter, ..RunQuery::default() }, 10), [word]);
    }
    let running = RunFilter { status: Some(RunStatus::Running), ..RunFilter::default() };
    assert!(cx.run_ids(&RunQuery { filter: running, ..RunQuery::default() }, 10).is_empty());
}

fn a_final_status_is_final(cx: &mut Context) {
    let ends = ["completed", "failed", "aborted"];
    let ended = |status: &str| with(complete(status), json!({ "status": status }));
    for status in ends {
        cx.record(&[start(status)]);
        let receipt = cx.record(&[ended(status)]);
        for other in ends.into_iter().filter(|other| *other != status) {
            cx.conflict(&[with(ended(status), json!({ "status": other }))], &["status"]);
        }
        cx.again(&[ended(status)], &receipt);
        assert_eq!((cx.run(status).status.as_str(), cx.run(status).seals), (status, 1));
    }
    cx.refuse(&[complete("nobody")], "run_not_found");
}

fn a_sealed_run_refuses_steps_traces_ends_and_still_knows_its_own(cx: &mut Context) {
    let call = crate::ops::call("r", "c");
    let open = crate::ops::call("r", "open");
    let recorded = [start("r"), step("r", 0), thought("r", "t"), call, end("r", "c"), open];
    let receipt = cx.record(&recorded);
    let completed = cx.record(&[complete("r")]);
    let described = json!({"op": "describe_run", "run_id": "r", "topic": "root", "goal": "late"});
    for op in [step("r", 1), thought("r", "u"), end("r", "open"), span("r", "u", None), described] {
        cx.refuse(&[op], "sealed");
    }
    cx.again(&recorded, &receipt);
    cx.again(&[complete("r")], &completed);
    cx.conflict(&[with(step("r", 0), json!({"status": "failure"}))], &["status"]);
    cx.conflict(&[with(thought("r", "t"), json!({"tags": ["x"]}))], &["tags"]);
    cx.record(&[start("other"), step("other", 0)]);
}

fn telemetry_may_come_late(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "a", None), step("o", 0), complete("o")]);
    let sealed = cx.run("o");
    cx.record(&[span("o", "b", Some("a")), step("o", 1), crate::ops::call("o", "c")]);
    cx.record(&[end("o", "c")]);
    assert_eq!((cx.trace("o", "a").late, cx.trace("o", "b").late), (false, true));
    let run = cx.run("o");
    assert_eq!((run.root_hash, run.run_root, run.seals), (sealed.root_hash, sealed.run_root, 1), "the seal stays");
    assert_eq!((run.steps, run.traces, run.status), (2, 3, RunStatus::Completed));
}

fn lists_by_each_filter_and_order(cx: &mut Context) {
    let at = |hour: u32| format!("2026-01-01T{hour:02}:00:00Z");
    let ops: Vec<_> = (0..12u32)
        .map(|n| {
            let agent = if n % 2 == 0 { "planner" } else { "coder" };
            let tag = if n < 6 { "x" } else { "y" };
            let members = json!({
                "started_at": at(23 - n), "agent_id": agent, "correlation_id": format!("c{}", n % 3), "tags": [tag],
                "parent_run_id": (n > 8).then_some("r0"),
            });
            with(start(&format!("r{n}")), members)
        })
        .collect();
    cx.record(&ops);
    cx.record(&[complete("r1"), complete("r2"), with(complete("r3"), json!({"status": "failed"}))]);
    let text = |text: &str| Some(text.to_owned());
    let check = |filter: RunFilter, wanted: &[u32]| {
        let newest: Vec<_> = wanted.iter().map(|n| format!("r{n}")).collect();
        let oldest: Vec<_> = newest.iter().rev().cloned().collect();
        for limit in [1, 2, 3, 12, 1_000] {
            let query = |order| RunQuery { filter: filter.clone(), order, ..RunQuery::default() };
            assert_eq!(cx.run_ids(&query(Order::Newest), limit), newest, "{filter:?}");
            assert_eq!(cx.run_ids(&query(Order::Oldest), limit), oldest, "{filter:?}");
        }
    };
    let f = RunFilter::default;
    check(f(), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    check(RunFilter { agent: text("coder"), ..f() }, &[1, 3, 5, 7, 9, 11]);
    check(RunFilter { correlation: text("c1"), ..f() }, &[1, 4, 7, 10]);
    check(RunFilter { tag: text("y"), ..f() }, &[6, 7, 8, 9, 10, 11]);
    check(RunFilter { parent: text("r0"), ..f() }, &[9, 10, 11]);
    check(RunFilter { status: Some(RunStatus::Running), ..f() }, &[0, 4, 5, 6, 7, 8, 9, 10, 11]);
    check(RunFilter { status: Some(RunStatus::Failed), ..f() }, &[3]);
    check(RunFilter { agent: text("coder"), tag: text("x"), status: Some(RunStatus::Completed), ..f() }, &[1]);
    check(RunFilter { agent: text("coder"), correlation: text("c0"), parent: text("r0"), ..f() }, &[9]);
    for nothing in ["", "plan", "planner ", "PLANNER", "r0\0"] {
        check(RunFilter { agent: text(nothing), ..f() }, &[]);
        check(RunFilter { tag: text(nothing), ..f() }, &[]);
        check(RunFilter { parent: text(nothing), ..f() }, &[]);
        check(RunFilter { correlation: text(nothing), ..f() }, &[]);
    }
}

fn lists_are_paged_at_every_boundary(cx: &mut Context) {
    let count = 7u32;
    let ops: Vec<_> = (0..count).map(|n| start(&format!("r{n}"))).collect();
    cx.record(&ops);
    let all: Vec<_> = (0..count).map(|n| format!("r{n}")).collect();
    for limit in 1..=count + 1 {
        let query = RunQuery { order: Order::Oldest, ..RunQuery::default() };
        assert_eq!(cx.run_ids(&query, limit), all, "pages of {limit}");
    }
    let page = |limit| {
        let page = PageRequest::first(limit);
        block_on(cx.ledger().runs(&RunQuery { page, ..RunQuery::default() })).expect("a page")
    };
    assert_eq!((page(count).items.len(), page(count).next_cursor), (7, None), "a full last page says that it is last");
    assert!(page(count - 1).next_cursor.is_some());
}

fn equal_start_times_are_ordered_by_log_index(cx: &mut Context) {
    for id in ["c", "a", "b"] {
        cx.record(&[with(start(id), json!({"started_at": "2026-01-01T00:00:00Z"}))]);
    }
    let earliest = with(start("z"), json!({"started_at": "1677-09-21T00:12:43.145224192Z"}));
    let latest = with(start("y"), json!({"started_at": "2262-04-11T23:47:16.854775807Z"}));
    cx.record(&[latest, earliest]);
    for limit in [1, 2, 5] {
        let query = RunQuery { order: Order::Oldest, ..RunQuery::default() };
        assert_eq!(cx.run_ids(&query, limit), ["z", "c", "a", "b", "y"]);
        assert_eq!(cx.run_ids(&RunQuery::default(), limit), ["y", "b", "a", "c", "z"]);
    }
}

fn a_walk_does_not_return_runs_that_start_during_it(cx: &mut Context) {
    for order in [Order::Oldest, Order::Newest] {
        let prefix = order.as_str();
        let own: Vec<_> = (0..5).map(|n| format!("{prefix}{n}")).collect();
        let tagged = |id: &str| with(start(id), json!({"tags": [prefix]}));
        cx.record(&own.iter().map(|id| tagged(id)).collect::<Vec<_>>());
        let mut late = 0;
        let walked = crate::context::walk(2, |page| {
            let filter = RunFilter { tag: Some(prefix.to_owned()), ..RunFilter::default() };
            let page = block_on(cx.ledger().runs(&RunQuery { filter, order, page, ..RunQuery::default() }));
            late += 1;
            assert!(late < 100, "a walk comes to its end while the list grows");
            let early = with(tagged(&format!("{prefix}-late-{late}")), json!({"started_at": "2000-01-01T00:00:00Z"}));
            cx.record(&[early, tagged(&format!("{prefix}-late-b{late}"))]);
            page
        });
        let mut walked: Vec<_> = walked.into_iter().map(|run| run.run_id.to_string()).collect();
        walked.sort_unstable();
        assert_eq!(walked, own);
    }
}

fn wrong_pages_and_cursors_are_refused(cx: &mut Context) {
    let ops: Vec<_> = (0..4).map(|n| with(start(&format!("r{n}")), json!({"tags": ["t"], "agent_id": "a"}))).collect();
    cx.record(&ops);
    let read = |query: &RunQuery| block_on(cx.ledger().runs(query)).map_err(|error| error.code().to_owned());
    let page = |limit, cursor: Option<String>| PageRequest { limit, cursor };
    let query = |limit, cursor| RunQuery { page: page(limit, cursor), ..RunQuery::default() };
    for limit in [0, 1_001, u32::MAX] {
        assert_eq!(read(&query(limit, None)).err().as_deref(), Some("invalid_parameter"));
    }
    let cursor = read(&query(2, None)).expect("a page").next_cursor.expect("more");
    let tagged = RunFilter { tag: Some("t".to_owned()), ..RunFilter::default() };
    let agent = RunFilter { agent: Some("t".to_owned()), ..RunFilter::default() };
    let others = [
        RunQuery { filter: tagged, ..query(2, Some(cursor.clone())) },
        RunQuery { filter: agent, ..query(2, Some(cursor.clone())) },
        RunQuery { order: Order::Oldest, ..query(2, Some(cursor.clone())) },
    ];
    for other in others {
        assert_eq!(read(&other).err().as_deref(), Some("invalid_cursor"));
    }
    let mut flipped = cursor.clone().into_bytes();
    flipped[5] = if flipped[5] == b'0' { b'1' } else { b'0' };
    let flipped = String::from_utf8(flipped).expect("ASCII");
    let long = "0".repeat(10_000);
    for garbage in
        ["", "0", "zz", "é", "\0", &cursor[1..], &cursor.to_uppercase(), &format!("{cursor}00"), &flipped, &long]
    {
        assert_eq!(read(&query(2, Some(garbage.to_owned()))).err().as_deref(), Some("invalid_cursor"), "{garbage}");
    }
    assert_eq!(read(&query(1, Some(cursor))).expect("a page").items.len(), 1, "the limit may change on the way");
}

fn labels_and_tags_are_bounded(cx: &mut Context) {
    let bytes = |count: usize| "é".repeat(count / 2) + &"x".repeat(count % 2);
    let check = |member: &str, value: serde_json::Value, code: &str, path: &str| {
        let error = cx.refuse(&[with(start("r"), json!({ member: value }))], code);
        assert_eq!(error.path(), Some(format!("/ops/0/{path}").as_str()));
    };
    check("agent_id", json!(bytes(257)), "too_large", "agent_id");
    check("agent_id", json!(""), "invalid_member", "agent_id");
    check("policy_snapshot_id", json!(bytes(257)), "too_large", "policy_snapshot_id");
    check("tags", json!([bytes(257)]), "too_large", "tags/0");
    check("tags", json!(["ok", ""]), "invalid_member", "tags/1");
    let many = |count: u32| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    check("tags", json!(many(65)), "too_many", "tags");
    let full = json!({"agent_id": bytes(256), "tags": many(63).into_iter().chain([bytes(256)]).collect::<Vec<_>>()});
    cx.record(&[with(start("r"), full)]);
    assert_eq!(cx.run("r").tags.len(), 64);
    let filter = RunFilter { tag: Some(bytes(256)), ..RunFilter::default() };
    assert_eq!(cx.run_ids(&RunQuery { filter, ..RunQuery::default() }, 10), ["r"]);
}
