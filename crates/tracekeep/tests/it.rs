//! The front door from outside.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use tracekeep::{
    ErrorKind, FinalStatus, Json, RecordStep, RunFilter, RunId, StartRun, TraceStoreExt, TraceType, Tracekeep,
    TreeQuery,
};

fn run(id: &str) -> StartRun {
    StartRun { run_id: Some(id.parse().unwrap()), ..StartRun::default() }
}

#[test]
fn law_5_a_handle_reaches_one_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Tracekeep::open(folder.path().join(name)).unwrap();
    let (ours, theirs) = (open("ours.db"), open("theirs.db"));
    let id = ours.runs().start_run(run("r")).unwrap();
    let thought = || TraceType::Thought { content: "hm".into(), confidence: None };
    let trace = ours.traces().record(&id, thought()).unwrap();
    assert!(theirs.runs().get_run(&id).unwrap().is_none());
    assert!(theirs.traces().get(&id, &trace).unwrap().is_none());
    assert_eq!(theirs.runs().run_count(&RunFilter::default()).unwrap().count, 0);
    let refused = theirs.traces().record(&id, thought()).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::NotFound, "run_not_found"));
    theirs.runs().start_run(run("r")).unwrap();
    let refused = theirs.traces().record_child(&id, &trace, thought()).unwrap_err();
    assert_eq!(refused.code(), "parent_not_found", "a parent of another tenant is not found");
}

#[test]
fn a_batch_commits_whole_or_leaves_nothing_and_its_ids_are_known_before() {
    let tracekeep = Tracekeep::open_in_memory();
    let id = tracekeep.runs().start_run(run("r")).unwrap();
    let mut batch = tracekeep.batch(&id);
    let root = batch.trace_record("plan", Json::parse(r#"{"n":1}"#).unwrap()).unwrap();
    let child = batch.trace_record_child(&root, "detail", Json::empty_object()).unwrap();
    batch.step(RecordStep::new(id.clone(), 0, "act", Json::empty_object()));
    let mut bad = batch.clone();
    bad.trace_record_child(&"nobody".parse().unwrap(), "lost", Json::empty_object()).unwrap();
    assert_eq!(bad.commit().unwrap_err().path(), Some("/ops/3/parent_id"));
    assert!(tracekeep.traces().get(&id, &root).unwrap().is_none());
    tracekeep::LedgerStore::commit_blocking(&**tracekeep.ledger(), Vec::new());
    batch.commit().unwrap();
    let tree = tracekeep.traces().get_tree(&id, &TreeQuery::default()).unwrap().items;
    let ids: Vec<_> = tree.iter().map(|node| (node.depth, node.trace.as_ref().unwrap().id.clone())).collect();
    assert_eq!(ids, [(0, root), (1, child)]);
}

#[test]
fn a_ledger_opens_again_with_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let id: RunId = {
        let tracekeep = Tracekeep::open(&path).unwrap();
        let id = tracekeep.runs().start_run(StartRun::default()).unwrap();
        tracekeep.runs().complete_run(&id, FinalStatus::Failed).unwrap();
        assert_eq!(Tracekeep::open(&path).unwrap_err().code(), "ledger_locked");
        id
    };
    let tracekeep = Tracekeep::open(&path).unwrap();
    assert_eq!(tracekeep.runs().get_run(&id).unwrap().unwrap().status.as_str(), "failed");
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let example = include_str!("../examples/decision_tree.rs");
    let shown = &example[example.find("use tracekeep::").unwrap()..];
    assert!(include_str!("../../../README.md").contains(&format!("```rust\n{shown}```")), "README.md is out of date");
}
