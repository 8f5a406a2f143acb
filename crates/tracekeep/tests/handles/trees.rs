//! Nested views of what a walk gives flat, parents that are missing included.

use tracekeep::{
    EnsureRun, JsonObject, Op, PageRequest, RecordTrace, RunId, Trace, TraceId, TraceTree, TreeNode, TreeQuery,
};

use tracekeep_core::model::Source as RunSource;

use crate::common::{id, on_both, run_id, thought};

/// Nests nodes that are written as a walk draws them, `depth id`, a missing one as `depth ?id`, and draws the trees.
#[track_caller]
fn check(nodes: &[&str], expect: &[&str]) {
    let tracekeep = tracekeep::Tracekeep::open_in_memory();
    let run = tracekeep.runs().start_run(tracekeep::StartRun::default()).unwrap();
    let recorded = tracekeep.traces().record(&run, thought("hm")).unwrap();
    let recorded = tracekeep.traces().get(&run, &recorded).unwrap().unwrap();
    let node = |text: &&str| {
        let (depth, name) = text.split_once(' ').unwrap();
        let (trace, missing) = match name.strip_prefix('?') {
            Some(name) => (None, Some(id(name))),
            None => (Some(Trace { id: id(name), ..recorded.clone() }), None),
        };
        TreeNode { trace, missing, depth: depth.parse().unwrap(), children: 0 }
    };
    assert_eq!(drawn(&TraceTree::nest(nodes.iter().map(node))), expect);
}

/// A line for each tree: its traces, those that hang on one in brackets after it.
fn drawn(trees: &[TraceTree]) -> Vec<String> {
    let draw = |tree: &TraceTree| {
        let children = drawn(&tree.children).join(" ");
        if children.is_empty() { tree.trace.id.to_string() } else { format!("{}({children})", tree.trace.id) }
    };
    trees.iter().map(draw).collect()
}

#[test]
fn each_node_hangs_on_its_parent() {
    check(&[], &[]);
    check(&["0 a"], &["a"]);
    check(&["0 a", "1 b", "2 c", "2 d", "1 e", "0 f", "1 g"], &["a(b(c d) e)", "f(g)"]);
}

/// They hung on whatever came before: on another tree, or on each other.
#[test]
fn what_hangs_on_a_missing_trace_stands_by_itself_in_its_place() {
    check(&["0 x", "0 ?m", "1 y"], &["x", "y"]);
    check(&["0 ?m", "1 a", "2 b", "1 c"], &["a(b)", "c"]);
    check(&["0 ?m", "0 ?n", "1 a", "0 b", "1 c", "0 ?o"], &["a", "b(c)"]);
}

#[test]
fn a_page_from_the_middle_of_a_walk_begins_with_what_it_has() {
    check(&["2 a", "3 b", "2 c", "1 d", "2 e", "0 f"], &["a(b)", "c", "d(e)", "f"]);
    check(&["4294967295 a", "0 b", "1 c"], &["a", "b(c)"]);
}

#[test]
fn a_forest_with_a_missing_parent_is_nested_as_it_was_recorded() {
    on_both(|tracekeep, _| {
        let run = run_id("spans");
        let mut batch = tracekeep.batch(&run);
        batch.op(Op::EnsureRun(EnsureRun { run_id: run.clone(), source: RunSource::Otlp, idempotency_store: None }));
        for (name, parent) in [("x", None), ("y", Some("m")), ("z", Some("y")), ("w", Some("m")), ("v", Some("x"))] {
            batch.trace(span(&run, name, parent));
        }
        batch.commit().unwrap();
        let query = TreeQuery { page: PageRequest::first(1_000), ..TreeQuery::default() };
        let page = tracekeep.traces().get_tree(&run, &query).unwrap();
        let trees = TraceTree::nest(page.items);
        assert_eq!(drawn(&trees), ["x(v)", "y(z)", "w"]);
        assert_eq!(trees[1].clone(), trees[1]);
        let nested = tracekeep.traces().get_nested_tree(&run, &id("y"), None).unwrap().unwrap();
        assert_eq!(nested, trees[1]);
    });
}

fn span(run: &RunId, name: &str, parent: Option<&str>) -> RecordTrace {
    let parent_id: Option<TraceId> = parent.map(id);
    let otel = Some(JsonObject::default());
    RecordTrace { id: Some(id(name)), parent_id, otel, ..RecordTrace::new(run.clone(), thought(name)) }
}
