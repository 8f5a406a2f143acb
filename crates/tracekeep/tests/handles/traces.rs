//! Traces: recorded, ended, found, counted, walked; their indices checked and rebuilt.

use tracekeep::{
    CountsQuery, EndStatus, EndTrace, ErrorKind, Json, PageRequest, RecordTrace, Recorded, RunId, TraceOptions,
    TraceQuery, TraceStatus, TraceStore, TraceType, TreeQuery,
};
use tracekeep_store::block_on;

use crate::common::{all, at, four, id, ids, object, on_both, thought};

#[test]
fn a_recorded_trace_is_read_again_and_an_absent_one_is_none() {
    on_both(|tracekeep, run| {
        let traces = TraceStore::new(tracekeep.ledger().clone());
        let root = traces.record(run, thought("hm")).unwrap();
        let child = traces.record_child(run, &root, thought("so")).unwrap();
        let read = traces.get(run, &child).unwrap().unwrap();
        assert_eq!((&read.parent_id, &read.trace_type, &read.run_id), (&Some(root.clone()), &thought("so"), run));
        assert_eq!(traces.get(run, &root).unwrap().unwrap().parent_id, None);
        assert_eq!(traces.get(run, &id("absent")).unwrap(), None);
        assert_eq!(traces.get(&"absent".parse().unwrap(), &root).unwrap(), None);
        assert!(std::ptr::addr_eq(&raw const **traces.ledger(), &raw const **tracekeep.ledger()));
    });
}

#[test]
fn a_missing_parent_is_named_and_nothing_is_written() {
    on_both(|tracekeep, run| {
        let refused = tracekeep.traces().record_child(run, &id("lost"), thought("so")).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::NotFound, "parent_not_found"));
        assert!(refused.detail().contains("lost"), "{refused}");
        assert_eq!(tracekeep.traces().count(run).unwrap(), 0);
        assert_eq!(block_on(tracekeep.ledger().head()).unwrap().tree_size, 1);
    });
}

#[test]
fn all_that_a_caller_says_of_a_trace_stands_in_it() {
    on_both(|tracekeep, run| {
        let traces = tracekeep.traces();
        let parent = traces.record(run, thought("hm")).unwrap();
        let options = TraceOptions {
            id: Some(id("mine")),
            parent_id: Some(parent.clone()),
            occurred_at: Some(at(7)),
            tags: ["z", "a", "z", "m", "a"].map(str::to_owned).to_vec(),
            metadata: object(r#"{"n":1}"#),
        };
        let given = traces.record_with_options(run, thought("so"), options.clone()).unwrap();
        assert_eq!(given, id("mine"));
        let read = traces.get(run, &given).unwrap().unwrap();
        assert_eq!((read.parent_id, read.occurred_at), (Some(parent), at(7)));
        assert_eq!(read.tags, ["z", "a", "m"], "each tag once, where it was first");
        assert_eq!(read.metadata, object(r#"{"n":1}"#));
        assert_eq!(traces.record_with_options(run, thought("so"), options.clone()).unwrap(), given);
        let other = traces.record_with_options(run, thought("no"), options).unwrap_err();
        assert_eq!((other.kind(), traces.count(run).unwrap()), (ErrorKind::Conflict, 2));
    });
}

#[test]
fn a_trace_ends_once() {
    on_both(|tracekeep, run| {
        let traces = tracekeep.traces();
        let call = TraceType::ToolCall {
            tool_name: "search".into(),
            arguments: Json::empty_object(),
            result: None,
            duration_ms: None,
        };
        let call = traces.record(run, call).unwrap();
        assert_eq!(traces.get(run, &call).unwrap().unwrap().status, TraceStatus::Open);
        let end = EndTrace { ended_at: Some(at(9)), ..EndTrace::new(run.clone(), call.clone(), EndStatus::Ok) };
        let first = traces.end(end.clone()).unwrap();
        let again = traces.end(end.clone()).unwrap();
        assert_eq!((first.outcome, again.outcome), (Recorded::Recorded, Recorded::Duplicate));
        assert_eq!((first.tree_size, first.root), (again.tree_size, again.root));
        let other = traces.end(EndTrace { status: EndStatus::Error, ..end }).unwrap_err();
        assert_eq!((other.kind(), other.code()), (ErrorKind::Conflict, "conflict"));
        let read = traces.get(run, &call).unwrap().unwrap();
        assert_eq!((read.status, read.ended_at), (TraceStatus::Ok, Some(at(9))));
        let unknown = traces.end(EndTrace::new(run.clone(), id("absent"), EndStatus::Ok)).unwrap_err();
        assert_eq!(unknown.code(), "trace_not_found");
    });
}

#[test]
fn many_are_got_in_the_order_of_their_ids() {
    on_both(|tracekeep, run| {
        let mut batch = tracekeep.batch(run);
        for n in 0..150 {
            batch
                .trace(RecordTrace { id: Some(id(&format!("t-{n}"))), ..RecordTrace::new(run.clone(), thought("hm")) });
        }
        batch.commit().unwrap();
        let mut wanted: Vec<_> = (0..150).rev().map(|n| id(&format!("t-{n}"))).collect();
        wanted.insert(70, id("absent"));
        wanted.push(id("t-3"));
        let got = tracekeep.traces().get_many(run, &wanted).unwrap();
        let expected: Vec<_> = wanted.iter().map(|id| (id.as_str() != "absent").then_some(id)).collect();
        assert_eq!(got.iter().map(|trace| trace.as_ref().map(|trace| &trace.id)).collect::<Vec<_>>(), expected);
        assert_eq!(tracekeep.traces().get_many(run, &[]).unwrap(), []);
        let unknown = tracekeep.traces().get_many(&"absent".parse().unwrap(), &[id("t-1")]).unwrap_err();
        assert_eq!(unknown.code(), "run_not_found");
    });
}

#[test]
fn traces_are_found_by_type_tag_time_and_place() {
    on_both(|tracekeep, run| {
        let traces = four(tracekeep, run);
        assert_eq!(ids(&traces.query_by_type(run, "Thought", all()).unwrap()), ["a", "b", "c"]);
        assert_eq!(ids(&traces.query_by_type(run, "plan", all()).unwrap()), ["d"]);
        assert_eq!(ids(&traces.query_by_tag(run, "y", all()).unwrap()), ["b", "c", "d"]);
        assert_eq!(ids(&traces.query_by_tag(run, "z", all()).unwrap()), [""; 0]);
        assert_eq!(ids(&traces.query_by_time(run, at(1), at(3), all()).unwrap()), ["b", "c"], "its end is not in it");
        assert_eq!(ids(&traces.get_children(run, &id("a"), all()).unwrap()), ["b"], "not their children");
        assert_eq!(ids(&traces.get_roots(run, all()).unwrap()), ["a", "d"]);
        let unknown = traces.get_roots(&"absent".parse().unwrap(), all()).unwrap_err();
        assert_eq!(unknown.code(), "run_not_found");
    });
}

#[test]
fn a_list_goes_on_at_its_cursor_which_no_other_query_takes() {
    on_both(|tracekeep, run| {
        let traces = four(tracekeep, run);
        let mut query = TraceQuery { page: PageRequest::first(3), ..TraceQuery::default() };
        let first = traces.list(run, &query).unwrap();
        assert_eq!(ids(&first), ["a", "b", "c"]);
        query.page.cursor = first.next_cursor;
        let last = traces.list(run, &query).unwrap();
        assert_eq!((ids(&last), &last.next_cursor), (vec!["d"], &None));
        assert_eq!(traces.get_roots(run, query.page).unwrap_err().code(), "invalid_cursor");
        assert_eq!(traces.get_roots(run, PageRequest::first(0)).unwrap_err().code(), "invalid_parameter");
    });
}

#[test]
fn traces_are_counted_by_type_tag_and_status() {
    on_both(|tracekeep, run| {
        let traces = four(tracekeep, run);
        let counted = |query| {
            let counts = traces.counts(run, &query).unwrap();
            let named = [counts.types, counts.tags, counts.statuses].concat();
            (counts.total, named.into_iter().map(|one| (one.name, one.count)).collect::<Vec<_>>())
        };
        let count = |name: &str, count| (name.to_owned(), count);
        let all = [count("Thought", 3), count("plan", 1), count("x", 4), count("y", 3), count("ok", 4)];
        assert_eq!(counted(CountsQuery::default()), (4, all.to_vec()));
        let (total, named) = counted(CountsQuery { tag: Some("y".into()), ..CountsQuery::default() });
        assert!(total == 4 && named.contains(&count("y", 3)) && !named.contains(&count("x", 4)), "{named:?}");
        assert_eq!(traces.count(run).unwrap(), 4);
        assert_eq!(traces.count(&"absent".parse().unwrap()).unwrap_err().code(), "run_not_found");
    });
}

#[test]
fn a_search_holds_every_word_and_says_that_it_saw_everything() {
    on_both(|tracekeep, run| {
        let traces = tracekeep.traces();
        let both = traces.record(run, thought("flights to Lisbon")).unwrap();
        traces.record(run, thought("flights to Faro")).unwrap();
        let found = traces.search(run, "lisbon flights", all()).unwrap();
        assert_eq!((ids(&found), found.complete), (vec![both.as_str()], true));
        assert_eq!(traces.search(run, "flights", all()).unwrap().items.len(), 2);
        assert_eq!(traces.search(run, " ", all()).unwrap_err().code(), "invalid_parameter");
    });
}

#[test]
fn a_tree_is_walked_flat_and_nested() {
    on_both(|tracekeep, run| {
        let traces = four(tracekeep, run);
        let flat = traces.get_tree(run, &TreeQuery::default()).unwrap().items;
        let flat: Vec<_> = flat.iter().map(|node| (node.depth, node.trace.as_ref().unwrap().id.as_str())).collect();
        assert_eq!(flat, [(0, "a"), (1, "b"), (2, "c"), (0, "d")]);
        let nested = |depth| {
            let tree = traces.get_nested_tree(run, &id("a"), depth).unwrap().unwrap();
            tree.walk().map(|(depth, trace)| (depth, trace.id.as_str().to_owned())).collect::<Vec<_>>()
        };
        let whole = [(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())];
        assert_eq!(nested(None), whole);
        assert_eq!(nested(Some(1)), whole[..2]);
        assert_eq!(nested(Some(0)), whole[..1]);
        let tree = traces.get_nested_tree(run, &id("a"), None).unwrap().unwrap();
        assert_eq!(tree.children[0].children[0].trace.id, id("c"));
        assert_eq!(tree.clone(), tree);
        assert_ne!(tree.children[0], tree);
        assert!(format!("{tree:?}").contains(r#"(2, Trace { run_id: "r", id: "c""#), "{tree:?}");
        assert_eq!(traces.get_nested_tree(run, &id("absent"), None).unwrap(), None);
        assert_eq!(traces.get_nested_tree(&"absent".parse().unwrap(), &id("a"), None).unwrap(), None);
    });
}

#[test]
fn indices_are_verified_and_rebuilt_with_the_same_answers() {
    on_both(|tracekeep, run| {
        let traces = four(tracekeep, run);
        let before = traces.query_by_tag(run, "y", PageRequest::first(2)).unwrap();
        assert!(traces.verify_indices(run).unwrap().is_clean());
        assert!(traces.rebuild_indices(run).unwrap().is_clean());
        let (whole, rebuilt) = (tracekeep.verify_indices().unwrap(), tracekeep.rebuild_indices().unwrap());
        let head = block_on(tracekeep.ledger().head()).unwrap();
        for report in [whole, rebuilt] {
            assert_eq!((report.count, report.tree_size, report.root), (0, 5, Some(head.root)));
        }
        assert_eq!(traces.query_by_tag(run, "y", PageRequest::first(2)).unwrap(), before, "and the same cursor");
        let absent: RunId = "absent".parse().unwrap();
        assert_eq!(traces.verify_indices(&absent).unwrap_err().code(), "run_not_found");
        assert_eq!(traces.rebuild_indices(&absent).unwrap_err().code(), "run_not_found");
    });
}
