//! Finding traces: by time, by ids, by several attributes at once, and counting them.

use serde_json::json;
use tracekeep_core::model::TraceStatus;
use tracekeep_core::{TimeRange, Timestamp};
use tracekeep_store::{CountsQuery, Order, Page, PageRequest, TraceFilter, TraceQuery, block_on};

use crate::context::Context;
use crate::ops::{call, child, end, run_id, start, thought, trace_id, with};

cases!("find":
    by_time_from_its_begin_up_to_its_end,
    by_any_range_over_all_of_time,
    a_range_holds_with_each_attribute_and_each_page,
    by_tags_any_and_all,
    by_ids_in_order_of_time,
    several_attributes_are_all_demanded,
    few_hits_among_many_come_within_a_budget,
    a_status_is_found_however_rare,
    counters_are_read_by_name,
    what_cannot_be_asked_is_refused,
);

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn between(from: i64, to: i64) -> TraceFilter {
    TraceFilter { time: TimeRange::new(Some(at(from)), Some(at(to))), ..TraceFilter::default() }
}

fn page_of(cx: &Context, filter: TraceFilter, limit: u32) -> Page<String> {
    let query = TraceQuery { filter, page: PageRequest::first(limit), ..TraceQuery::default() };
    let page = block_on(cx.ledger().traces(&run_id("r"), &query)).expect("a page");
    let items = page.items.iter().map(|trace| trace.id.to_string()).collect();
    Page { items, next_cursor: page.next_cursor, complete: page.complete }
}

fn by_time_from_its_begin_up_to_its_end(cx: &mut Context) {
    let second = 1_000_000_000;
    let ops: Vec<_> = (0..6)
        .map(|n| with(thought("r", &format!("t{n}")), json!({"occurred_at": format!("1970-01-01T00:00:0{n}Z")})))
        .collect();
    cx.record(&[start("r")]);
    cx.record(&ops);
    let found = |from, to| cx.fitting("r", between(from, to));
    assert_eq!(found(second, 4 * second), ["t1", "t2", "t3"]);
    assert_eq!(found(second, 4 * second + 1), ["t1", "t2", "t3", "t4"]);
    assert_eq!(found(second + 1, 4 * second), ["t2", "t3"]);
    assert_eq!(found(second, second + 1), ["t1"]);
    assert_eq!(found(second, second), [""; 0]);
    assert_eq!(found(4 * second, second), [""; 0], "what ends before it begins holds nothing");
    let from = TraceFilter { time: TimeRange::new(Some(at(4 * second)), None), ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", from), ["t4", "t5"]);
    let to = TraceFilter { time: TimeRange::new(None, Some(at(2 * second))), ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", to), ["t0", "t1"]);
    let newest = TraceQuery { filter: between(second, 4 * second), order: Order::Newest, ..TraceQuery::default() };
    for limit in [1, 2, 3, 4] {
        assert_eq!(cx.trace_ids("r", &newest, limit), ["t3", "t2", "t1"], "pages of {limit}");
    }
}

fn by_any_range_over_all_of_time(cx: &mut Context) {
    let (first, last) = ("1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z");
    let on = |id: &str, time: &str| with(thought("r", id), json!({ "occurred_at": time }));
    cx.record(&[start("r"), on("first", first), on("last", last), on("zero", "1970-01-01T00:00:00Z")]);
    assert_eq!(cx.fitting("r", between(i64::MIN, i64::MAX)), ["first", "zero"], "the end is no part of it");
    let all = TraceFilter { time: TimeRange::ALL, ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", all), ["first", "zero", "last"]);
    assert_eq!(cx.fitting("r", between(i64::MIN, i64::MIN)), [""; 0]);
    assert_eq!(cx.fitting("r", between(i64::MIN, i64::MIN + 1)), ["first"]);
    assert_eq!(cx.fitting("r", between(i64::MAX, i64::MAX)), [""; 0]);
    assert_eq!(cx.fitting("r", between(i64::MIN + 1, 0)), [""; 0]);
    let none = TraceFilter { time: TimeRange::NONE, ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", none), [""; 0]);
    let from_last = TraceFilter { time: TimeRange::new(Some(at(i64::MAX)), None), ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", from_last), ["last"]);
}

fn a_range_holds_with_each_attribute_and_each_page(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "p")]);
    let ops: Vec<_> = (0..20)
        .map(|n| {
            // Two at each time, and recorded out of order.
            let time = format!("1970-01-01T00:00:{:02}Z", n * 7 % 20 / 2);
            with(call("r", &format!("t{n:02}")), json!({"occurred_at": time, "tags": ["x"], "parent_id": "p"}))
        })
        .collect();
    cx.record(&ops);
    let f = TraceFilter::default;
    let mut inside: Vec<_> = (0..20).filter(|n| (3..7).contains(&(n * 7 % 20 / 2))).collect();
    inside.sort_by_key(|n| (n * 7 % 20 / 2, *n));
    let inside: Vec<_> = inside.into_iter().map(|n| format!("t{n:02}")).collect();
    let filters = [
        f(),
        TraceFilter { tags: vec!["x".into()], ..f() },
        TraceFilter { any_tags: vec!["y".into(), "x".into()], ..f() },
        TraceFilter { type_name: Some("ToolCall".into()), ..f() },
        TraceFilter { status: Some(TraceStatus::Open), ..f() },
        TraceFilter { parent: Some(trace_id("p")), ..f() },
        TraceFilter { text: Some("rust".into()), ..f() },
        TraceFilter { ids: (0..20).map(|n| trace_id(&format!("t{n:02}"))).collect(), ..f() },
        TraceFilter { tags: vec!["x".into()], parent: Some(trace_id("p")), type_name: Some("ToolCall".into()), ..f() },
    ];
    for filter in filters {
        let filter = TraceFilter { time: between(3_000_000_000, 7_000_000_000).time, ..filter };
        for limit in [1, 2, 3, 7, 8, 9] {
            let query = TraceQuery { filter: filter.clone(), ..TraceQuery::default() };
            assert_eq!(cx.trace_ids("r", &query, limit), inside, "{filter:?} by {limit}");
            let newest = TraceQuery { order: Order::Newest, ..query };
            let reversed: Vec<_> = inside.iter().rev().cloned().collect();
            assert_eq!(cx.trace_ids("r", &newest, limit), reversed, "{filter:?} by {limit}");
        }
    }
}

fn by_tags_any_and_all(cx: &mut Context) {
    let names = ["a", "b", "c"];
    let tags = |n: usize| names.into_iter().enumerate().filter(move |(bit, _)| n >> bit & 1 == 1).map(|tag| tag.1);
    let ops: Vec<_> = (0..16)
        .map(|n| with(thought("r", &format!("t{n:02}")), json!({"tags": tags(n).collect::<Vec<_>>()})))
        .collect();
    cx.record(&[start("r")]);
    cx.record(&ops);
    let sets =
        [vec![], vec!["a"], vec!["b", "c"], vec!["a", "b", "c"], vec!["a", "a"], vec!["none"], vec!["a", "none"]];
    for all in &sets {
        for any in &sets {
            let has = |n: usize, tag: &&str| tags(n).any(|own| own == *tag);
            let fits = |n: &usize| {
                all.iter().all(|tag| has(*n, tag)) && (any.is_empty() || any.iter().any(|tag| has(*n, tag)))
            };
            let wanted: Vec<_> = (0..16).filter(fits).map(|n| format!("t{n:02}")).collect();
            let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
            let filter = TraceFilter { tags: owned(all), any_tags: owned(any), ..TraceFilter::default() };
            for (order, limit) in [(Order::Oldest, 1_000), (Order::Newest, 2)] {
                let query = TraceQuery { filter: filter.clone(), order, ..TraceQuery::default() };
                let mut found = cx.trace_ids("r", &query, limit);
                if order == Order::Newest {
                    found.reverse();
                }
                assert_eq!(found, wanted, "all {all:?}, any {any:?}");
            }
        }
    }
}

fn by_ids_in_order_of_time(cx: &mut Context) {
    let on = |id: &str, time: &str| with(thought("r", id), json!({"occurred_at": time, "tags": [id]}));
    cx.record(&[start("r"), start("s"), thought("s", "elsewhere")]);
    cx.record(&[on("b", "1970-01-01T00:00:02Z"), on("a", "1970-01-01T00:00:03Z"), on("c", "1970-01-01T00:00:01Z")]);
    let by = |ids: &[&str]| TraceFilter { ids: ids.iter().map(|id| trace_id(id)).collect(), ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", by(&["a", "b", "c"])), ["c", "b", "a"]);
    assert_eq!(cx.fitting("r", by(&["a", "nobody", "a", "c"])), ["c", "a"]);
    assert_eq!(cx.fitting("r", by(&["nobody"])), [""; 0]);
    assert_eq!(cx.fitting("r", by(&["elsewhere"])), [""; 0], "a trace of another run is not found");
    assert_eq!(cx.fitting("r", TraceFilter { tags: vec!["b".into()], ..by(&["a", "b"]) }), ["b"]);
    let query = TraceQuery { filter: by(&["a", "b", "c"]), order: Order::Newest, ..TraceQuery::default() };
    assert_eq!(cx.trace_ids("r", &query, 1), ["a", "b", "c"]);
}

fn several_attributes_are_all_demanded(cx: &mut Context) {
    cx.record(&[start("r"), with(thought("r", "root"), json!({"tags": ["x"]}))]);
    for n in 0..12 {
        let tags = if n % 2 == 0 { json!(["x"]) } else { json!(["y"]) };
        let trace = if n % 3 == 0 { call("r", &format!("t{n:02}")) } else { child("r", &format!("t{n:02}"), "root") };
        cx.record(&[with(trace, json!({ "tags": tags }))]);
    }
    let f = TraceFilter::default;
    let x = || vec!["x".to_owned()];
    assert_eq!(cx.fitting("r", TraceFilter { tags: x(), roots: true, ..f() }), ["root", "t00", "t06"]);
    let open = TraceFilter { tags: x(), roots: true, status: Some(TraceStatus::Open), ..f() };
    assert_eq!(cx.fitting("r", open), ["t00", "t06"]);
    let under = TraceFilter { tags: x(), parent: Some(trace_id("root")), ..f() };
    assert_eq!(cx.fitting("r", under.clone()), ["t02", "t04", "t08", "t10"]);
    assert_eq!(cx.fitting("r", TraceFilter { type_name: Some("ToolCall".into()), ..under.clone() }), [""; 0]);
    assert_eq!(cx.fitting("r", TraceFilter { text: Some("T04".into()), ..under.clone() }), ["t04"]);
    assert_eq!(cx.fitting("r", TraceFilter { text: Some("t03".into()), ..under }), [""; 0]);
}

/// The rarest attribute is walked; where even that has many, a page may be empty and go on.
fn few_hits_among_many_come_within_a_budget(cx: &mut Context) {
    cx.record(&[start("r")]);
    let all: Vec<_> = (0..10_400)
        .map(|n| {
            let tags = match n {
                10_390 => json!(["all", "half", "wide", "rare"]),
                n if n % 2 == 0 && n < 5_000 => json!(["all", "half"]),
                n if n % 2 == 0 => json!(["all", "half", "wide"]),
                n if n > 5_300 => json!(["all", "other", "wide"]),
                _ => json!(["all", "other"]),
            };
            let content = if n == 10_391 { "a needle" } else { "plain hay" };
            let members = json!({"tags": tags, "trace_type": {"type": "Thought", "content": content}});
            with(thought("r", &format!("t{n}")), members)
        })
        .collect();
    for ops in all.chunks(1_000) {
        cx.record(ops);
    }
    let f = TraceFilter::default;
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let rare = page_of(cx, TraceFilter { tags: tags(&["all", "half", "rare"]), ..f() }, 1);
    assert_eq!((&rare.items[..], rare.next_cursor), (&["t10390".to_owned()][..], None), "the rare one is walked");
    // 5,200 rows, each asked for another tag, are more than a page's budget: it is empty, and says where it stopped.
    let none = TraceFilter { tags: tags(&["half", "other"]), ..f() };
    let nothing = page_of(cx, none.clone(), 1);
    assert!(nothing.items.is_empty() && nothing.next_cursor.is_some());
    assert_eq!(cx.fitting("r", none), [""; 0], "and the next one comes to the end");
    // So are 5,200 rows of three merged tags, each of which visits all three and is asked for a fourth: 2,500 of them are
    // passed, up to t4998, before the first that fits. The fourth alone holds more, 5,250, and begins with that one.
    let any = TraceFilter { any_tags: tags(&["half", "none", "nobody"]), ..f() };
    let wide = TraceFilter { tags: tags(&["wide"]), ..any.clone() };
    let page = page_of(cx, wide.clone(), 1);
    assert!(page.items.is_empty() && page.next_cursor.is_some(), "the merge ends at its budget: {:?}", page.items);
    let found = cx.fitting("r", wide);
    assert_eq!((found.len(), found[0].as_str(), found[2_699].as_str()), (2_700, "t5000", "t10398"));
    let late = TraceFilter { text: Some("needle".into()), roots: true, any_tags: tags(&["half", "other"]), ..f() };
    assert_eq!(cx.fitting("r", late), ["t10391"]);
    let roots = TraceFilter { roots: true, any_tags: tags(&["rare"]), ..f() };
    assert_eq!(cx.fitting("r", roots), ["t10390"]);
    // More than 10,000 traces hold the word: it is not listed but looked for in what else is walked.
    let common = TraceFilter { text: Some("hay".into()), ..f() };
    let page = page_of(cx, common.clone(), 2);
    assert_eq!((&page.items[..], page.complete), (&["t0".to_owned(), "t1".to_owned()][..], true));
    assert_eq!(cx.fitting("r", TraceFilter { tags: tags(&["rare"]), ..common.clone() }), ["t10390"]);
    let query = TraceQuery { filter: common, order: Order::Newest, ..TraceQuery::default() };
    let query = TraceQuery { page: PageRequest::first(3), ..query };
    let newest = block_on(cx.ledger().traces(&run_id("r"), &query)).expect("a page");
    let newest: Vec<_> = newest.items.iter().map(|trace| trace.id.as_str()).collect();
    assert_eq!(newest, ["t10399", "t10398", "t10397"]);
    let only_late = TraceFilter { status: Some(TraceStatus::Ok), roots: true, tags: tags(&["all"]), ..f() };
    let page = page_of(cx, TraceFilter { ids: vec![trace_id("t5"), trace_id("t10399")], ..only_late }, 9);
    assert_eq!(page.items, ["t5", "t10399"]);
}

fn a_status_is_found_however_rare(cx: &mut Context) {
    cx.record(&[start("r")]);
    cx.record(&(0..40).map(|n| call("r", &format!("t{n:02}"))).collect::<Vec<_>>());
    let by = |status| TraceFilter { status: Some(status), ..TraceFilter::default() };
    assert_eq!(cx.fitting("r", by(TraceStatus::Ok)), [""; 0]);
    cx.record(&[end("r", "t31"), with(end("r", "t07"), json!({"status": "error"}))]);
    assert_eq!(cx.fitting("r", by(TraceStatus::Ok)), ["t31"]);
    assert_eq!(cx.fitting("r", by(TraceStatus::Error)), ["t07"]);
    assert_eq!(cx.fitting("r", by(TraceStatus::Open)).len(), 38);
}

fn counters_are_read_by_name(cx: &mut Context) {
    cx.record(&[start("r"), with(thought("r", "a"), json!({"tags": ["x", "y"]})), call("r", "b"), call("r", "c")]);
    cx.record(&[end("r", "b")]);
    let counts = |type_name: Option<&str>, tag: Option<&str>| {
        let query = CountsQuery { type_name: type_name.map(str::to_owned), tag: tag.map(str::to_owned) };
        let counts = block_on(cx.ledger().trace_counts(&run_id("r"), &query)).expect("counts");
        let named = |counts: &[tracekeep_core::view::NameCount]| {
            counts.iter().map(|count| format!("{}:{}", count.name, count.count)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((counts.total, counts.truncated), (3, false));
        assert_eq!(named(&counts.statuses), "ok:2 open:1");
        (named(&counts.types), named(&counts.tags))
    };
    let both = |types: &str, tags: &str| (types.to_owned(), tags.to_owned());
    assert_eq!(counts(None, None), both("Thought:1 ToolCall:2", "x:1 y:1"));
    assert_eq!(counts(Some("ToolCall"), None), both("ToolCall:2", ""));
    assert_eq!(counts(None, Some("y")), both("", "y:1"));
    assert_eq!(counts(Some("Query"), Some("x")), both("", "x:1"), "what counts none is left out");
    assert_eq!(counts(Some(""), Some("nobody's")), both("", ""));
}

fn what_cannot_be_asked_is_refused(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "a")]);
    let refused = |filter: TraceFilter| {
        let query = TraceQuery { filter, ..TraceQuery::default() };
        let error = block_on(cx.ledger().traces(&run_id("r"), &query)).expect_err("refused");
        (error.code().to_owned(), error.path().unwrap_or_default().to_owned())
    };
    let f = TraceFilter::default;
    let wrong = |path: &str| ("invalid_parameter".to_owned(), path.to_owned());
    let many = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    assert_eq!(refused(TraceFilter { ids: many(65).iter().map(|id| trace_id(id)).collect(), ..f() }), wrong("id"));
    assert_eq!(refused(TraceFilter { tags: many(65), ..f() }), wrong("tag"));
    assert_eq!(refused(TraceFilter { any_tags: many(65), ..f() }), wrong("any_tag"));
    let many_words = many(33).join(" ");
    for text in [String::new(), " \t\n".to_owned(), "- ! \"".to_owned(), "a".repeat(1_025), "的".repeat(33), many_words]
    {
        assert_eq!(refused(TraceFilter { text: Some(text), ..f() }), wrong("text"));
    }
    assert_eq!(cx.fitting("r", TraceFilter { tags: many(64), ..f() }), [""; 0]);
    assert_eq!(cx.fitting("r", TraceFilter { text: Some("a ".repeat(512)), ..f() }), ["a"]);
    assert_eq!(cx.fitting("r", TraceFilter { text: Some("的".repeat(32)), ..f() }), [""; 0]);
}
