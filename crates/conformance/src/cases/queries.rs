//! Lists of traces: filters, orders, pages, cursors.

use serde_json::{Value, json};
use tracekeep_core::model::TraceStatus;
use tracekeep_core::view::NameCount;
use tracekeep_store::{CountsQuery, Order, PageRequest, TraceFilter, TraceQuery, block_on};

use crate::context::{Context, walk};
use crate::ops::{call, child, end, ensure_otlp, run_id, span, start, thought, trace_id, with};

cases!("queries":
    by_each_attribute_and_all_together,
    by_parent_and_by_roots,
    every_page_size_gives_each_trace_once,
    equal_times_are_ordered_by_log_index,
    times_at_both_ends_of_time,
    law_7_a_walk_returns_what_was_there_when_it_began,
    a_walk_by_status_goes_on_while_traces_end,
    a_cursor_belongs_to_its_query,
    wrong_pages_are_refused_even_where_nothing_can_fit,
    names_are_compared_whole_and_bytewise,
    counters_follow_ends,
    a_trace_reads_the_same_by_whatever_it_is_found,
    many_traces_and_few_hits,
    an_empty_run_has_empty_lists,
);

fn by_each_attribute_and_all_together(cx: &mut Context) {
    let types = ["Thought", "ToolCall", "note"];
    let typed = |n: usize| match n % 3 {
        0 => json!({"type": "Thought", "content": ""}),
        1 => json!({"type": "ToolCall", "tool_name": "t", "arguments": {}}),
        _ => json!({"type": "Custom", "name": "note", "data": n}),
    };
    let tags =
        |n: usize| ["a", "b", "c"].into_iter().enumerate().filter(move |(bit, _)| n >> bit & 1 == 1).map(|t| t.1);
    let ops: Vec<_> = (0..48usize)
        .map(|n| {
            let members = json!({
                "id": format!("t{n:02}"), "tags": tags(n).collect::<Vec<_>>(), "trace_type": typed(n),
                "occurred_at": format!("2026-01-01T00:00:{:02}Z", n * 7 % 48),
                "status": if n % 5 == 4 { json!("error") } else { Value::Null },
            });
            with(thought("r", "t"), members)
        })
        .collect();
    cx.record(&[start("r"), start("s"), with(thought("s", "t99"), json!({"tags": ["a", "b", "c"]}))]);
    cx.record(&ops);
    let status = |n: usize| {
        if n % 5 == 4 {
            TraceStatus::Error
        } else if n % 3 == 1 {
            TraceStatus::Open
        } else {
            TraceStatus::Ok
        }
    };
    let mut in_order: Vec<usize> = (0..48).collect();
    in_order.sort_by_key(|n| (n * 7 % 48, *n));
    for type_name in [None, Some(0), Some(1), Some(2)] {
        for tag in [None, Some("a"), Some("b"), Some("c"), Some("d")] {
            for wanted in [None, Some(TraceStatus::Ok), Some(TraceStatus::Error), Some(TraceStatus::Open)] {
                let filter = TraceFilter {
                    type_name: type_name.map(|at: usize| types[at].to_owned()),
                    tags: tag.map(str::to_owned).into_iter().collect(),
                    status: wanted,
                    ..TraceFilter::default()
                };
                let fits = |n: &&usize| {
                    type_name.is_none_or(|at| **n % 3 == at)
                        && tag.is_none_or(|tag| tags(**n).any(|own| own == tag))
                        && wanted.is_none_or(|wanted| status(**n) == wanted)
                };
                let mut expected: Vec<_> = in_order.iter().filter(fits).map(|n| format!("t{n:02}")).collect();
                for (order, limit) in [(Order::Oldest, 1_000), (Order::Newest, 3)] {
                    let query = TraceQuery { filter: filter.clone(), order, ..TraceQuery::default() };
                    assert_eq!(cx.trace_ids("r", &query, limit), expected, "{filter:?}");
                    expected.reverse();
                }
                let roots = TraceFilter { roots: true, ..filter };
                assert_eq!(cx.fitting("r", roots), expected);
            }
        }
    }
}

fn by_parent_and_by_roots(cx: &mut Context) {
    let tagged = |op: Value, tag: &str| with(op, json!({ "tags": [tag] }));
    cx.record(&[start("r"), tagged(thought("r", "a"), "x"), tagged(child("r", "b", "a"), "y"), child("r", "c", "a")]);
    cx.record(&[tagged(child("r", "d", "b"), "x"), thought("r", "e"), with(call("r", "f"), json!({"parent_id": "a"}))]);
    let f = TraceFilter::default;
    let under = |id: &str| TraceFilter { parent: Some(trace_id(id)), ..f() };
    assert_eq!(cx.fitting("r", under("a")), ["b", "c", "f"]);
    assert_eq!(cx.fitting("r", TraceFilter { tags: vec!["y".into()], ..under("a") }), ["b"]);
    assert_eq!(cx.fitting("r", TraceFilter { tags: vec!["x".into()], ..under("a") }), [""; 0]);
    assert_eq!(cx.fitting("r", TraceFilter { status: Some(TraceStatus::Open), ..under("a") }), ["f"]);
    assert_eq!(cx.fitting("r", TraceFilter { type_name: Some("Thought".into()), ..under("a") }), ["b", "c"]);
    assert_eq!(cx.fitting("r", under("d")), [""; 0]);
    assert_eq!(cx.fitting("r", under("nobody")), [""; 0]);
    assert_eq!(cx.fitting("r", TraceFilter { roots: true, ..f() }), ["a", "e"]);
    assert_eq!(cx.fitting("r", TraceFilter { roots: true, tags: vec!["x".into()], ..f() }), ["a"]);
    assert_eq!(cx.fitting("r", TraceFilter { roots: true, ..under("a") }), [""; 0], "what hangs on a trace is no root");
    let query = TraceQuery { filter: under("a"), order: Order::Newest, ..TraceQuery::default() };
    assert_eq!(cx.trace_ids("r", &query, 1), ["f", "c", "b"]);
}

fn every_page_size_gives_each_trace_once(cx: &mut Context) {
    let count = 9u32;
    let ops: Vec<_> = (0..count).map(|n| with(thought("r", &format!("t{n}")), json!({"tags": ["x"]}))).collect();
    cx.record(&[start("r")]);
    cx.record(&ops);
    let all: Vec<_> = (0..count).map(|n| format!("t{n}")).collect();
    let tagged = TraceFilter { tags: vec!["x".into()], ..TraceFilter::default() };
    for filter in [TraceFilter::default(), tagged] {
        for limit in 1..=count + 1 {
            let query = TraceQuery { filter: filter.clone(), ..TraceQuery::default() };
            assert_eq!(cx.trace_ids("r", &query, limit), all, "pages of {limit}");
            let query = TraceQuery { order: Order::Newest, ..query };
            let newest: Vec<_> = all.iter().rev().cloned().collect();
            assert_eq!(cx.trace_ids("r", &query, limit), newest, "pages of {limit}");
        }
    }
    let read = |limit| {
        let query = TraceQuery { page: PageRequest::first(limit), ..TraceQuery::default() };
        block_on(cx.ledger().traces(&run_id("r"), &query)).expect("a page")
    };
    assert_eq!(read(count).next_cursor, None, "a full last page says that it is last");
    assert_eq!((read(count - 1).items.len(), read(count - 1).next_cursor.is_some()), (8, true));
    assert_eq!(TraceQuery::default().page.limit, 50, "unless told");
}

fn equal_times_are_ordered_by_log_index(cx: &mut Context) {
    let at = |id: &str| with(thought("r", id), json!({"occurred_at": "2026-01-01T00:00:00Z"}));
    cx.record(&[start("r"), at("z"), at("m")]);
    cx.record(&[at("a"), at("y")]);
    for limit in [1, 2, 3, 4] {
        assert_eq!(cx.trace_ids("r", &TraceQuery::default(), limit), ["z", "m", "a", "y"]);
        let query = TraceQuery { order: Order::Newest, ..TraceQuery::default() };
        assert_eq!(cx.trace_ids("r", &query, limit), ["y", "a", "m", "z"]);
    }
}

fn times_at_both_ends_of_time(cx: &mut Context) {
    let at = |id: &str, time: &str| with(thought("r", id), json!({"occurred_at": time, "ended_at": time}));
    let (first, last) = ("1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z");
    cx.record(&[start("r"), at("last", last), at("first", first), at("last2", last), at("first2", first)]);
    cx.record(&[at("zero", "1970-01-01T00:00:00Z"), at("before", "1969-12-31T23:59:59.999999999Z")]);
    let all = ["first", "first2", "before", "zero", "last", "last2"];
    for limit in 1..=7 {
        assert_eq!(cx.trace_ids("r", &TraceQuery::default(), limit), all, "pages of {limit}");
        let query = TraceQuery { order: Order::Newest, ..TraceQuery::default() };
        let reversed: Vec<_> = all.iter().rev().copied().collect();
        assert_eq!(cx.trace_ids("r", &query, limit), reversed, "pages of {limit}");
        assert_eq!(cx.tree("r", &Default::default(), limit).len(), 6);
    }
    assert_eq!(cx.trace("r", "first").occurred_at.as_nanos(), i64::MIN);
    assert_eq!(cx.trace("r", "last").ended_at.map(|time| time.as_nanos()), Some(i64::MAX));
}

fn law_7_a_walk_returns_what_was_there_when_it_began(cx: &mut Context) {
    cx.record(&[start("r")]);
    for (round, order) in [Order::Oldest, Order::Newest].into_iter().enumerate() {
        for limit in [1, 2, 3, 7] {
            let tag = format!("{round}-{limit}");
            let tagged = |id: String, time: &str| with(thought("r", &id), json!({"tags": [tag], "occurred_at": time}));
            let own: Vec<_> = (0..7).map(|n| format!("{tag}-{n}")).collect();
            let times = |n: usize| format!("2026-01-01T00:00:0{n}Z");
            cx.record(&own.iter().enumerate().map(|(n, id)| tagged(id.clone(), &times(n))).collect::<Vec<_>>());
            let (filter, mut late) = (TraceFilter { tags: vec![tag.clone()], ..TraceFilter::default() }, 0);
            let walked = walk(limit, |page| {
                let query = TraceQuery { filter: filter.clone(), order, page };
                let page = block_on(cx.ledger().traces(&run_id("r"), &query));
                late += 1;
                assert!(late < 100, "a walk comes to its end while the list grows");
                for (at, time) in
                    ["2000-01-01T00:00:00Z", "2026-01-01T00:00:03.5Z", "2100-01-01T00:00:00Z"].iter().enumerate()
                {
                    cx.record(&[tagged(format!("{tag}-late-{late}-{at}"), time)]);
                }
                page
            });
            let mut walked: Vec<_> = walked.into_iter().map(|trace| trace.id.to_string()).collect();
            if order == Order::Newest {
                walked.reverse();
            }
            assert_eq!(walked, own, "pages of {limit}");
        }
    }
}

fn a_walk_by_status_goes_on_while_traces_end(cx: &mut Context) {
    let ops: Vec<_> = (0..9).map(|n| call("r", &format!("c{n}"))).collect();
    cx.record(&[start("r")]);
    cx.record(&ops);
    let filter = TraceFilter { status: Some(TraceStatus::Open), ..TraceFilter::default() };
    let mut ended = vec!["c0", "c3", "c8"].into_iter();
    let walked = walk(2, |page| {
        let query = TraceQuery { filter: filter.clone(), page, ..TraceQuery::default() };
        let page = block_on(cx.ledger().traces(&run_id("r"), &query));
        if let Some(id) = ended.next() {
            cx.record(&[end("r", id)]);
        }
        page
    });
    let walked: Vec<_> = walked.into_iter().map(|trace| trace.id.to_string()).collect();
    for id in ["c1", "c2", "c4", "c5", "c6", "c7"] {
        assert_eq!(walked.iter().filter(|walked| *walked == id).count(), 1, "{id} matched throughout");
    }
    assert!(walked.iter().all(|id| walked.iter().filter(|other| *other == id).count() == 1));
}

fn a_cursor_belongs_to_its_query(cx: &mut Context) {
    let tagged = |run: &str, id: &str| with(thought(run, id), json!({"tags": ["x", "y"]}));
    for run in ["r", "s"] {
        cx.record(&[start(run), tagged(run, "a"), tagged(run, "b"), tagged(run, "c")]);
    }
    let read = |run: &str, query: &TraceQuery| {
        block_on(cx.ledger().traces(&run_id(run), query)).map_err(|error| error.code().to_owned())
    };
    let tag = |tag: &str| TraceFilter { tags: vec![tag.to_owned()], ..TraceFilter::default() };
    let query = |filter, order, cursor: Option<&String>| TraceQuery {
        filter,
        order,
        page: PageRequest { limit: 1, cursor: cursor.cloned() },
    };
    let first = read("r", &query(tag("x"), Order::Oldest, None)).expect("a page");
    let cursor = first.next_cursor.as_ref();
    let others = [
        ("s", query(tag("x"), Order::Oldest, cursor)),
        ("r", query(tag("y"), Order::Oldest, cursor)),
        ("r", query(tag("x"), Order::Newest, cursor)),
        ("r", query(TraceFilter { type_name: Some("x".into()), ..TraceFilter::default() }, Order::Oldest, cursor)),
        ("r", query(TraceFilter { roots: true, ..tag("x") }, Order::Oldest, cursor)),
        ("r", query(TraceFilter { status: Some(TraceStatus::Ok), ..tag("x") }, Order::Oldest, cursor)),
        ("r", query(TraceFilter::default(), Order::Oldest, cursor)),
    ];
    for (run, other) in others {
        assert_eq!(read(run, &other).err().as_deref(), Some("invalid_cursor"), "{other:?}");
    }
    let tree =
        tracekeep_store::TreeQuery { page: PageRequest { limit: 1, cursor: cursor.cloned() }, ..Default::default() };
    let refused = block_on(cx.ledger().tree(&run_id("r"), &tree)).map_err(|error| error.code());
    assert_eq!(refused.err(), Some("invalid_cursor"), "nor does it fit another kind of list");
    let next = read("r", &query(tag("x"), Order::Oldest, cursor)).expect("a page");
    assert_eq!(next.items[0].id, trace_id("b"));
    let again = read("r", &query(tag("x"), Order::Oldest, cursor)).expect("a page");
    assert_eq!(again, next, "a page may be asked for again");
}

/// A query for the children of nobody once answered without looking at its page.
fn wrong_pages_are_refused_even_where_nothing_can_fit(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "a")]);
    let filters = [
        TraceFilter::default(),
        TraceFilter { parent: Some(trace_id("nobody")), ..TraceFilter::default() },
        TraceFilter { parent: Some(trace_id("a")), roots: true, ..TraceFilter::default() },
        TraceFilter { tags: vec!["none".into()], ..TraceFilter::default() },
    ];
    for filter in filters {
        let read = |limit, cursor: Option<&str>| {
            let page = PageRequest { limit, cursor: cursor.map(str::to_owned) };
            let query = TraceQuery { filter: filter.clone(), page, ..TraceQuery::default() };
            block_on(cx.ledger().traces(&run_id("r"), &query))
                .map(|page| page.items.len())
                .map_err(|error| error.code())
        };
        assert_eq!(read(0, None), Err("invalid_parameter"), "{filter:?}");
        assert_eq!(read(1_001, None), Err("invalid_parameter"), "{filter:?}");
        assert_eq!(read(1, Some("garbage")), Err("invalid_cursor"), "{filter:?}");
        assert!(read(1_000, None).is_ok());
    }
}

fn names_are_compared_whole_and_bytewise(cx: &mut Context) {
    let names = [
        "Tool",
        "Tool__x",
        "ToolCal",
        "tool",
        "Tool ",
        "a",
        "a__b",
        "__",
        "__z",
        "a\0",
        "a\0b",
        "\0",
        "é",
        "e\u{301}",
        "🦀",
        "🦀🦀",
        "%",
        "_",
        "a%",
        "'",
        "\"",
        "\\",
        "\u{202e}",
        "\u{feff}a",
        "A",
        "ａ",
        "\u{10ffff}",
        "x/y",
        "a,b",
        "\n",
    ];
    // 256 bytes each, and neighbours of them.
    let long = ["é".repeat(128), "🦀".repeat(64), "x".repeat(256), "x".repeat(255), "_".repeat(256), "\0".repeat(256)];
    // Whatever may part one name from another in a key.
    let delimiters = (0..=0x7fu8).filter(|byte| !byte.is_ascii_alphanumeric()).map(char::from);
    let parted: Vec<_> = delimiters.flat_map(|c| [format!("p{c}"), format!("p{c}{c}"), format!("p{c}q")]).collect();
    let names: Vec<&str> = names.into_iter().chain(long.iter().chain(&parted).map(String::as_str)).collect();
    cx.record(&[start("r"), call("r", "call")]);
    let named = |(at, name): (usize, &&str)| {
        let trace_type = json!({"type": "Custom", "name": name, "data": name});
        with(thought("r", &format!("t{at}")), json!({"trace_type": trace_type, "tags": [name]}))
    };
    cx.record(&names.iter().enumerate().map(named).collect::<Vec<_>>());
    let f = TraceFilter::default;
    for (at, name) in names.iter().enumerate() {
        let id = [format!("t{at}")];
        assert_eq!(cx.fitting("r", TraceFilter { type_name: Some((*name).to_owned()), ..f() }), id, "type {name:?}");
        assert_eq!(cx.fitting("r", TraceFilter { tags: vec![(*name).to_owned()], ..f() }), id, "tag {name:?}");
    }
    for nothing in ["", "Custom", "T", "\0\0", "a_", "ToolCall__x"] {
        assert_eq!(cx.fitting("r", TraceFilter { type_name: Some(nothing.into()), ..f() }), [""; 0], "{nothing:?}");
        assert_eq!(cx.fitting("r", TraceFilter { tags: vec![nothing.into()], ..f() }), [""; 0], "{nothing:?}");
    }
    assert_eq!(cx.fitting("r", TraceFilter { type_name: Some("ToolCall".into()), ..f() }), ["call"]);
    let counts = block_on(cx.ledger().trace_counts(&run_id("r"), &CountsQuery::default())).expect("counts");
    assert_eq!((counts.tags.len(), counts.types.len()), (names.len(), names.len() + 1));
}

fn counters_follow_ends(cx: &mut Context) {
    let counts = |cx: &Context, run: &str| {
        let counts = block_on(cx.ledger().trace_counts(&run_id(run), &CountsQuery::default())).expect("counts");
        let text = |counts: Vec<NameCount>| {
            counts.into_iter().map(|count| format!("{}={}", count.name, count.count)).collect::<Vec<_>>().join(" ")
        };
        (counts.total, text(counts.types), text(counts.tags))
    };
    let open = |id: &str| with(span("o", id, None), json!({"tags": ["b", "a"], "occurred_at": "2026-01-01T00:00:00Z"}));
    let closed = json!({
        "ended_at": "2026-01-01T00:00:01Z", "tags": ["c", "a"], "otel": {"e": 1},
        "trace_type": {"type": "Custom", "name": "done", "data": {}},
    });
    cx.record(&[ensure_otlp("o"), open("s"), open("t"), with(call("o", "c"), json!({"tags": ["a"]}))]);
    assert_eq!(counts(cx, "o"), (3, "Thought=2 ToolCall=1".into(), "a=3 b=2".into()));
    cx.record(&[with(open("s"), closed.clone()), end("o", "c")]);
    assert_eq!(counts(cx, "o"), (3, "Thought=1 ToolCall=1 done=1".into(), "a=3 b=1 c=1".into()));
    cx.record(&[with(open("t"), closed.clone())]);
    assert_eq!(counts(cx, "o"), (3, "ToolCall=1 done=2".into(), "a=3 c=2".into()), "a counter at 0 is gone");
    cx.send(&[with(open("t"), closed)]).expect("a duplicate");
    assert_eq!(counts(cx, "o").0, 3);
    cx.record(&[start("empty")]);
    assert_eq!(counts(cx, "empty"), (0, String::new(), String::new()));
}

/// Whether it was ended, closed, or named before it came: by one attribute, by several and by its id.
fn a_trace_reads_the_same_by_whatever_it_is_found(cx: &mut Context) {
    let tagged = |op: Value| with(op, json!({"tags": ["x"]}));
    let under = |op: Value| tagged(with(op, json!({"parent_id": "p"})));
    let closed = json!({"ended_at": "2030-01-01T00:00:01Z", "occurred_at": "2030-01-01T00:00:00Z", "otel": {"e": 1}});
    let open = json!({"occurred_at": "2030-01-01T00:00:00Z"});
    cx.record(&[ensure_otlp("o"), under(span("o", "early", None))]);
    cx.record(&[tagged(span("o", "p", None)), under(call("o", "broken")), under(thought("o", "plain"))]);
    cx.record(&[with(under(span("o", "s", None)), open)]);
    cx.record(&[with(end("o", "broken"), json!({"status": "error", "error": "it broke", "duration_ms": 5}))]);
    cx.record(&[with(under(span("o", "s", None)), closed)]);
    let f = TraceFilter::default;
    let mut found = Vec::new();
    for filter in [
        f(),
        TraceFilter { roots: true, ..f() },
        TraceFilter { parent: Some(trace_id("p")), ..f() },
        TraceFilter { tags: vec!["x".into()], ..f() },
        TraceFilter { type_name: Some("ToolCall".into()), ..f() },
        TraceFilter { status: Some(TraceStatus::Error), ..f() },
        TraceFilter { parent: Some(trace_id("p")), tags: vec!["x".into()], ..f() },
    ] {
        let query = TraceQuery { filter, ..TraceQuery::default() };
        let page = block_on(cx.ledger().traces(&run_id("o"), &query)).expect("a page");
        found.push(page.items.len());
        for trace in page.items {
            let by_id = block_on(cx.ledger().trace(&run_id("o"), &trace.id)).expect("a trace");
            assert_eq!(Some(trace), by_id, "{:?}", query.filter);
        }
    }
    assert_eq!(found, [5, 1, 4, 5, 1, 1, 4]);
}

/// One read visits a bounded number of rows: among 10,500 that do not fit, it may give an empty page and a cursor.
fn many_traces_and_few_hits(cx: &mut Context) {
    let hit = |n: u32| n % 5_000 == 17 || n == 10_499;
    cx.record(&[start("r")]);
    let all: Vec<_> = (0..10_500)
        .map(|n| {
            let (tags, status) = if hit(n) { (json!(["all", "rare"]), "ok") } else { (json!(["all"]), "error") };
            with(thought("r", &format!("t{n}")), json!({ "tags": tags, "status": status }))
        })
        .collect();
    for ops in all.chunks(1_000) {
        cx.record(ops);
    }
    let f = TraceFilter::default;
    let filters = [
        TraceFilter { tags: vec!["rare".into()], ..f() },
        TraceFilter { type_name: Some("Thought".into()), status: Some(TraceStatus::Ok), ..f() },
        TraceFilter { roots: true, tags: vec!["all".into()], status: Some(TraceStatus::Ok), ..f() },
    ];
    for filter in filters {
        for (order, limit) in [(Order::Oldest, 1), (Order::Newest, 2), (Order::Oldest, 1_000)] {
            let query = TraceQuery { filter: filter.clone(), order, ..TraceQuery::default() };
            let mut ids = cx.trace_ids("r", &query, limit);
            if order == Order::Newest {
                ids.reverse();
            }
            assert_eq!(ids, ["t17", "t5017", "t10017", "t10499"], "{filter:?}");
        }
    }
    assert_eq!(cx.fitting("r", TraceFilter { status: Some(TraceStatus::Open), ..f() }), [""; 0]);
}

fn an_empty_run_has_empty_lists(cx: &mut Context) {
    cx.record(&[start("r")]);
    for limit in [1, 1_000] {
        assert_eq!(cx.trace_ids("r", &TraceQuery::default(), limit), [""; 0]);
        assert!(cx.tree("r", &Default::default(), limit).is_empty());
    }
}
