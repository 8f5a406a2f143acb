//! Trees: pre-order, depth, pages, and what stays stable while the forest grows.

use serde_json::{Value, json};
use tracekeep_store::{PageRequest, TreeQuery, block_on};

use crate::context::{Context, drawn, walk};
use crate::ops::{child, ensure_otlp, run_id, span, start, thought, trace_id, with};

cases!("tree":
    a_forest_is_walked_in_pre_order,
    siblings_are_in_order_of_time,
    a_depth_limit_still_says_how_many_children,
    a_tree_from_one_trace_holds_what_is_under_it,
    pages_end_at_every_boundary,
    an_unknown_root_is_not_found,
    wrong_pages_and_cursors_are_refused,
    a_walk_shows_the_forest_as_it_was_when_it_began,
    an_adoption_during_a_walk_moves_nothing,
    a_chain_of_10000_on_a_small_stack,
    a_node_with_10000_children,
    random_forests_are_walked_as_they_are,
    a_page_passes_what_came_later_within_a_budget,
    a_page_climbs_within_a_budget,
    a_page_looks_for_roots_within_a_budget_where_many_parents_came_late,
    late_parents_beyond_what_is_sorted_in_move_nothing,
);

fn grow(cx: &Context) {
    cx.record(&[start("r"), thought("r", "a"), child("r", "b", "a"), thought("r", "e"), child("r", "c", "b")]);
    cx.record(&[child("r", "d", "a"), child("r", "f", "e"), child("r", "g", "b"), thought("r", "h")]);
}

const FOREST: [&str; 8] = ["0 a 2", "1 b 2", "2 c 0", "2 g 0", "1 d 0", "0 e 1", "1 f 0", "0 h 0"];

fn a_forest_is_walked_in_pre_order(cx: &mut Context) {
    grow(cx);
    assert_eq!(cx.forest("r"), FOREST);
}

fn siblings_are_in_order_of_time(cx: &mut Context) {
    let at = |id: &str, second: u32| {
        with(child("r", id, "a"), json!({"occurred_at": format!("2026-01-01T00:00:{second:02}Z")}))
    };
    cx.record(&[start("r"), thought("r", "a"), at("late", 30), at("early", 10), at("same2", 20), at("same1", 20)]);
    assert_eq!(cx.forest("r"), ["0 a 4", "1 early 0", "1 same2 0", "1 same1 0", "1 late 0"]);
    let before = with(thought("r", "first"), json!({"occurred_at": "2000-01-01T00:00:00Z"}));
    cx.record(&[before]);
    assert_eq!(cx.forest("r")[0], "0 first 0");
}

fn a_depth_limit_still_says_how_many_children(cx: &mut Context) {
    grow(cx);
    let limited = |root: Option<&str>, depth| {
        let query = TreeQuery { root: root.map(trace_id), depth: Some(depth), ..TreeQuery::default() };
        let whole = drawn(&cx.tree("r", &query, 1_000));
        for limit in 1..=whole.len() + 1 {
            assert_eq!(drawn(&cx.tree("r", &query, u32::try_from(limit).expect("small"))), whole, "pages of {limit}");
        }
        whole
    };
    assert_eq!(limited(None, 0), ["0 a 2", "0 e 1", "0 h 0"]);
    assert_eq!(limited(None, 1), ["0 a 2", "1 b 2", "1 d 0", "0 e 1", "1 f 0", "0 h 0"]);
    assert_eq!(limited(None, u32::MAX), FOREST);
    assert_eq!(limited(Some("a"), 0), ["0 a 2"]);
    assert_eq!(limited(Some("b"), 1), ["0 b 2", "1 c 0", "1 g 0"]);
}

fn a_tree_from_one_trace_holds_what_is_under_it(cx: &mut Context) {
    grow(cx);
    let under = |id: &str| {
        let query = TreeQuery { root: Some(trace_id(id)), ..TreeQuery::default() };
        let whole = drawn(&cx.tree("r", &query, 1_000));
        for limit in 1..=5 {
            assert_eq!(drawn(&cx.tree("r", &query, limit)), whole, "pages of {limit}");
        }
        whole
    };
    assert_eq!(under("a"), ["0 a 2", "1 b 2", "2 c 0", "2 g 0", "1 d 0"]);
    assert_eq!(under("b"), ["0 b 2", "1 c 0", "1 g 0"]);
    assert_eq!(under("c"), ["0 c 0"]);
    assert_eq!(under("h"), ["0 h 0"]);
    assert_eq!(under("e"), ["0 e 1", "1 f 0"]);
}

fn pages_end_at_every_boundary(cx: &mut Context) {
    grow(cx);
    for limit in 1..=9 {
        assert_eq!(drawn(&cx.tree("r", &TreeQuery::default(), limit)), FOREST, "pages of {limit}");
    }
    let read = |limit| {
        let query = TreeQuery { page: PageRequest::first(limit), ..TreeQuery::default() };
        block_on(cx.ledger().tree(&run_id("r"), &query)).expect("a page")
    };
    assert_eq!((read(8).items.len(), read(8).next_cursor), (8, None), "a full last page says that it is last");
    assert!(read(7).next_cursor.is_some());
}

fn an_unknown_root_is_not_found(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), span("o", "x", Some("missing")), start("r"), thought("r", "t")]);
    let read = |run: &str, root: &str| {
        let query = TreeQuery { root: Some(trace_id(root)), ..TreeQuery::default() };
        block_on(cx.ledger().tree(&run_id(run), &query)).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(read("r", "nobody"), Err("trace_not_found"));
    assert_eq!(read("r", "x"), Err("trace_not_found"), "of another run");
    assert_eq!(read("o", "missing"), Err("trace_not_found"), "named, but yet to come");
    assert_eq!(read("nobody", "t"), Err("run_not_found"));
}

fn wrong_pages_and_cursors_are_refused(cx: &mut Context) {
    grow(cx);
    cx.record(&[start("s"), thought("s", "a"), child("s", "b", "a")]);
    let read =
        |run: &str, query: TreeQuery| block_on(cx.ledger().tree(&run_id(run), &query)).map_err(|error| error.code());
    for limit in [0, 1_001] {
        let query = TreeQuery { page: PageRequest::first(limit), ..TreeQuery::default() };
        assert_eq!(read("r", query).err(), Some("invalid_parameter"));
    }
    let first = read("r", TreeQuery { page: PageRequest::first(1), ..TreeQuery::default() }).expect("a page");
    let page = || PageRequest { limit: 1, cursor: first.next_cursor.clone() };
    let others = [
        ("s", TreeQuery { page: page(), ..TreeQuery::default() }),
        ("r", TreeQuery { page: page(), depth: Some(9), ..TreeQuery::default() }),
        ("r", TreeQuery { page: page(), root: Some(trace_id("a")), ..TreeQuery::default() }),
        ("r", TreeQuery { page: PageRequest { limit: 1, cursor: Some("00".into()) }, ..TreeQuery::default() }),
    ];
    for (run, query) in others {
        assert_eq!(read(run, query).err(), Some("invalid_cursor"));
    }
    assert_eq!(drawn(&read("r", TreeQuery { page: page(), ..TreeQuery::default() }).expect("a page").items), ["1 b 2"]);
}

/// The ids that a walk in pages of `limit` shows while `meanwhile` is done after each page.
fn walked(cx: &Context, run: &str, limit: u32, mut meanwhile: impl FnMut(u32)) -> Vec<String> {
    let mut pages = 0;
    let nodes = walk(limit, |page| {
        let page = block_on(cx.ledger().tree(&run_id(run), &TreeQuery { page, ..TreeQuery::default() }));
        assert!(pages < 1_000, "a walk comes to its end while the forest grows");
        meanwhile(pages);
        pages += 1;
        page
    });
    let name = |text: String| text.rsplit_once(' ').map_or(String::new(), |(name, _)| name.to_owned());
    drawn(&nodes).into_iter().map(name).collect()
}

fn a_walk_shows_the_forest_as_it_was_when_it_began(cx: &mut Context) {
    grow(cx);
    let plain: Vec<_> = FOREST.iter().map(|text| text[..3].to_owned()).collect();
    for limit in [1, 2, 3, 5] {
        let shown = walked(cx, "r", limit, |page| {
            let early = json!({"occurred_at": "2000-01-01T00:00:00Z"});
            let id = |part: &str| format!("{part}-{limit}-{page}");
            cx.record(&[thought("r", &id("root")), with(thought("r", &id("early")), early.clone())]);
            for parent in ["a", "b", "c", "h"] {
                cx.record(&[child("r", &id(&format!("{parent}late")), parent)]);
                cx.record(&[with(child("r", &id(&format!("{parent}early")), parent), early.clone())]);
            }
        });
        if limit == 1 {
            assert_eq!(shown, plain);
        }
        let grown = cx.forest("r").len();
        assert!(shown.len() < grown && shown.len() % 10 == 8, "each walk sees what was there when it began");
    }
}

fn an_adoption_during_a_walk_moves_nothing(cx: &mut Context) {
    for limit in 1..=7 {
        let run = format!("o{limit}");
        cx.record(&[ensure_otlp(&run), span(&run, "a", None), span(&run, "x", Some("m"))]);
        cx.record(&[span(&run, "b", Some("a")), span(&run, "y", Some("m")), span(&run, "z", Some("y"))]);
        cx.record(&[span(&run, "last", None)]);
        let shown = walked(cx, &run, limit, |page| match page {
            0 => drop(cx.record(&[span(&run, "m", Some("b"))])),
            1 => drop(cx.record(&[span(&run, "w", Some("m")), span(&run, "v", Some("n"))])),
            _ => {}
        });
        assert_eq!(shown, ["0 a", "1 b", "0 ?m", "1 x", "1 y", "2 z", "0 last"], "pages of {limit}");
    }
    assert_eq!(
        cx.forest("o1"),
        ["0 a 1", "1 b 1", "2 m 3", "3 x 0", "3 y 1", "4 z 0", "3 w 0", "0 last 0", "0 ?n 1", "1 v 0"]
    );
}

fn on_a_small_stack(cx: &Context, run: &'static str, limit: u32) -> Vec<String> {
    let ledger = cx.ledger();
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let walk_it = move || {
        drawn(&walk(limit, |page| block_on(ledger.tree(&run_id(run), &TreeQuery { page, ..TreeQuery::default() }))))
    };
    small.spawn(walk_it).expect("a thread").join().expect("the walk does not overflow its stack")
}

fn a_chain_of_10000_on_a_small_stack(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "t0")]);
    let chain: Vec<_> = (1..10_000).map(|n| child("r", &format!("t{n}"), &format!("t{}", n - 1))).collect();
    for ops in chain.chunks(1_000) {
        cx.record(ops);
    }
    let forest = on_a_small_stack(cx, "r", 999);
    assert_eq!(forest.len(), 10_000);
    assert_eq!(
        (forest[0].as_str(), forest[9_998].as_str(), forest[9_999].as_str()),
        ("0 t0 1", "9998 t9998 1", "9999 t9999 0")
    );
    let query = TreeQuery { root: Some(trace_id("t9990")), ..TreeQuery::default() };
    assert_eq!(cx.tree("r", &query, 1_000).len(), 10);
}

fn a_node_with_10000_children(cx: &mut Context) {
    cx.record(&[start("r"), thought("r", "t0")]);
    let children: Vec<_> = (1..=10_000).map(|n| child("r", &format!("t{n}"), "t0")).collect();
    for ops in children.chunks(1_000) {
        cx.record(ops);
    }
    let forest = on_a_small_stack(cx, "r", 1_000);
    assert_eq!((forest.len(), forest[0].as_str(), forest[10_000].as_str()), (10_001, "0 t0 10000", "1 t10000 0"));
}

fn random_forests_are_walked_as_they_are(cx: &mut Context) {
    // A small generator of its own: every backend sees the same forests.
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    for forest in 0..12usize {
        let run = format!("o{forest}");
        let count = 1 + random(40);
        let parents: Vec<Option<usize>> =
            (0..count).map(|n| if n == 0 || random(5) == 0 { None } else { Some(random(n)) }).collect();
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            order.swap(at, random(at + 1));
        }
        cx.record(&[ensure_otlp(&run)]);
        let mut written = Vec::new();
        for n in order {
            let second = random(6);
            written.push((second, n));
            let op = span(&run, &format!("s{n}"), parents[n].map(|n| format!("s{n}")).as_deref());
            cx.record(&[with(op, json!({"occurred_at": format!("2026-01-01T00:00:0{second}Z")}))]);
        }
        let mut siblings: Vec<(usize, usize)> = (0..written.len()).map(|place| (written[place].0, place)).collect();
        siblings.sort_unstable();
        let wanted = pre_order(&siblings, &written, &parents, None, 0);
        for limit in [1, 2, 7, 50] {
            assert_eq!(drawn(&cx.tree(&run, &TreeQuery::default(), limit)), wanted, "pages of {limit}");
        }
    }
}

fn pre_order(
    siblings: &[(usize, usize)],
    written: &[(usize, usize)],
    parents: &[Option<usize>],
    under: Option<usize>,
    depth: usize,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, place) in siblings {
        let n = written[*place].1;
        if parents[n] == under {
            let children = parents.iter().filter(|parent| **parent == Some(n)).count();
            lines.push(format!("{depth} s{n} {children}"));
            lines.extend(pre_order(siblings, written, parents, Some(n), depth + 1));
        }
    }
    lines
}

/// The nodes of each page that follows a first page of one, `meanwhile` done after that; `limit` nodes a page from then
/// on.
fn pages(cx: &Context, run: &str, query: TreeQuery, limit: u32, meanwhile: impl FnOnce()) -> Vec<Vec<String>> {
    let read = |page| {
        let page = block_on(cx.ledger().tree(&run_id(run), &TreeQuery { page, ..query.clone() })).expect("a page");
        (drawn(&page.items), page.next_cursor)
    };
    let (first, mut cursor) = read(PageRequest::first(1));
    meanwhile();
    let mut pages = vec![first];
    while cursor.is_some() {
        let (nodes, next) = read(PageRequest { limit, cursor });
        assert!(pages.len() < 100, "a walk comes to its end");
        pages.push(nodes);
        cursor = next;
    }
    pages
}

fn at(value: Value, minute: u32) -> Value {
    with(value, json!({"occurred_at": format!("2026-01-01T00:{minute:02}:00Z")}))
}

fn record_all(cx: &Context, ops: Vec<Value>) {
    for ops in ops.chunks(1_000) {
        cx.record(ops);
    }
}

/// Rows that came after a walk began were passed one by one, all of them before each page.
fn a_page_passes_what_came_later_within_a_budget(cx: &mut Context) {
    cx.record(&[start("r"), at(thought("r", "a"), 1), at(child("r", "b", "a"), 9), at(thought("r", "z"), 9)]);
    let query = TreeQuery::default();
    let walked = pages(cx, "r", query, 10, || {
        record_all(cx, (0..5_100).map(|n| at(thought("r", &format!("root{n}")), 2)).collect());
        record_all(cx, (0..5_100).map(|n| at(child("r", &format!("child{n}"), "a"), 2)).collect());
    });
    // 5,100 children before b, 4,900 roots after it, and the rest of them.
    assert_eq!(walked, [&["0 a 1"][..], &["1 b 0"], &["0 z 0"]]);
}

/// From a leaf each level up is two look-ups, however deep it lies.
fn a_page_climbs_within_a_budget(cx: &mut Context) {
    let chain = (1..=6_050).map(|n| at(child("r", &format!("t{n}"), &format!("t{}", n - 1)), 2));
    let ends = [at(thought("r", "z"), 9), at(child("r", "y", "t1"), 9)];
    record_all(cx, [start("r"), at(thought("r", "t0"), 1)].into_iter().chain(chain).chain(ends).collect());
    let walked = pages(cx, "r", TreeQuery::default(), 1_000, || {});
    let lengths: Vec<_> = walked.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 50, 2], "the page with the leaf is short");
    assert_eq!(walked[8], ["2 y 0", "0 z 0"]);
}

/// As of a size, a parent that came later is missing: all that came since were sorted for each page.
fn a_page_looks_for_roots_within_a_budget_where_many_parents_came_late(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), at(span("o", "a", None), 1)]);
    record_all(cx, (0..10_000).map(|n| at(span("o", &format!("a{n}"), Some("a")), 2)).collect());
    record_all(cx, (0..1_001).map(|n| at(span("o", &format!("x{n}"), Some(&format!("m{n}"))), 3)).collect());
    let roots = TreeQuery { depth: Some(0), ..TreeQuery::default() };
    let walked = pages(cx, "o", roots, 1_000, || {
        record_all(cx, (0..1_001).map(|n| at(span("o", &format!("m{n}"), None), 4)).collect());
    });
    let lengths: Vec<_> = walked.iter().map(Vec::len).collect();
    assert_eq!((&walked[0][0], &lengths[..2]), (&"0 a 10000".to_owned(), &[1, 0][..]), "an empty page");
    let missing: Vec<_> = walked[1..].concat();
    assert_eq!(missing, (0..1_001).map(|n| format!("0 ?m{n} 1")).collect::<Vec<_>>());
}

/// The same where whole trees hang on what is missing, so that each page ends inside of one.
fn late_parents_beyond_what_is_sorted_in_move_nothing(cx: &mut Context) {
    cx.record(&[ensure_otlp("o"), at(span("o", "first", None), 1), at(span("o", "last", None), 9)]);
    record_all(cx, (0..1_001).map(|n| at(span("o", &format!("x{n}"), Some(&format!("m{n}"))), 3)).collect());
    let named = at(span("o", "y", Some("x7")), 2);
    cx.record(&[named, at(span("o", "mid", None), 3)]);
    for limit in [1_000, 50] {
        let query = TreeQuery { depth: Some(9 + limit), ..TreeQuery::default() };
        let named = |nodes: Vec<String>| -> Vec<String> {
            nodes.iter().map(|node| node.rsplit_once(' ').expect("a count").0.to_owned()).collect()
        };
        let before = named(drawn(&cx.tree("o", &query, 1_000)));
        let walked = pages(cx, "o", query, limit, || {
            let late = |n| at(span("o", &format!("m{n}"), (n % 2 == 1).then_some("last")), 4);
            if limit == 1_000 {
                record_all(cx, (0..1_001).map(late).collect());
            }
        });
        assert_eq!(named(walked.concat()), before, "pages of {limit}");
    }
}
