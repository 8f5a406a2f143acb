//! Runs and steps; the handles themselves.

use tracekeep::{
    Batch, BatchBuilder, Between, CompleteRun, EnsureRun, ErrorKind, FinalStatus, Json, Op, Order, Page, PageRequest,
    RecordStep, RecordTrace, Run, RunFilter, RunId, RunQuery, RunSort, RunStatus, RunStore, StartRun, Timestamp,
    TraceStore, Tracekeep,
};
use tracekeep_core::model::Source as RunSource;

use crate::common::{all, at, object, on_both, thought};

#[test]
fn runs_and_steps_are_recorded_listed_and_counted() {
    on_both(|tracekeep, run| {
        let runs = RunStore::new(tracekeep.ledger().clone());
        let (mine, group) = (RunStore::generate_run_id(), RunStore::generate_correlation_id());
        assert!(mine.as_str().starts_with("run-"), "{mine}");
        let start = || StartRun {
            run_id: Some(mine.clone()),
            correlation_id: Some(group.clone()),
            agent_id: Some("planner".into()),
            started_at: Some(at(0)),
            ..StartRun::default()
        };
        assert_eq!(runs.start_run(start()).unwrap(), mine);
        assert_eq!(runs.start_run(start()).unwrap(), mine, "the same again is a duplicate");
        let other = runs.start_run(StartRun { goal: Some("other".into()), ..start() }).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
        for index in [1, 0] {
            runs.record_step(RecordStep::new(mine.clone(), index, "act", Json::empty_object())).unwrap();
        }
        assert_eq!(runs.get_step(&mine, 1).unwrap().unwrap().skill_name, "act");
        assert_eq!(runs.get_step(&mine, 2).unwrap(), None);
        let steps = runs.get_steps(&mine, &all()).unwrap().items;
        assert_eq!(steps.iter().map(|step| step.index).collect::<Vec<_>>(), [0, 1]);
        let end = CompleteRun {
            termination_reason: Some("enough".into()),
            ..CompleteRun::new(mine.clone(), FinalStatus::Aborted)
        };
        runs.complete_run_with(end).unwrap();
        assert_eq!(runs.complete_run(&mine, FinalStatus::Failed).unwrap_err().kind(), ErrorKind::Conflict);
        let read = runs.get_run(&mine).unwrap().unwrap();
        assert_eq!((read.status, read.termination_reason.as_deref()), (RunStatus::Aborted, Some("enough")));
        assert_eq!(read.correlation_id, Some(group));
        assert_eq!(runs.get_run(&"absent".parse().unwrap()).unwrap(), None);
        let running = RunFilter { status: Some(RunStatus::Running), ..RunFilter::default() };
        let page = runs.list_runs(&RunQuery { filter: running.clone(), ..RunQuery::default() }).unwrap();
        assert_eq!(page.items.iter().map(|run| &run.run_id).collect::<Vec<_>>(), [run]);
        let count = |filter: &RunFilter| runs.run_count(filter).unwrap().count;
        assert_eq!((count(&running), count(&RunFilter::default())), (1, 2));
    });
}

fn ids(page: Page<Run>) -> Vec<String> {
    page.items.into_iter().map(|run| run.run_id.to_string()).collect()
}

#[test]
fn runs_are_found_by_what_they_are_and_did() {
    on_both(|tracekeep, _| {
        let runs = tracekeep.runs();
        let plan = vec![object(r#"{"skill":"search"}"#)];
        for (second, (name, parent)) in [("a", None), ("b", Some("a")), ("c", Some("a"))].into_iter().enumerate() {
            let start = StartRun {
                run_id: Some(name.parse().unwrap()),
                correlation_id: Some("one".parse().unwrap()),
                parent_run_id: parent.map(|parent| parent.parse().unwrap()),
                goal: Some(format!("fly to {name}")),
                plan: Some(plan.clone()),
                seed: 0,
                started_at: Some(at(second as i64)),
                ..StartRun::default()
            };
            let run = runs.start_run(start).unwrap();
            let mut step = RecordStep::new(run.clone(), 0, "act", Json::empty_object());
            step.cost_cents = second.to_string().parse().unwrap();
            runs.record_step(step).unwrap();
            runs.complete_run(&run, FinalStatus::Completed).unwrap();
        }
        let a = runs.get_run(&"a".parse().unwrap()).unwrap().unwrap();
        let (plan_hash, root_hash) = (a.plan_hash.unwrap(), a.root_hash.unwrap());
        assert_eq!(ids(runs.find_matching_runs(plan_hash, 0, &all()).unwrap()), ["a", "b", "c"]);
        assert_eq!(ids(runs.find_matching_runs(plan_hash, 42, &all()).unwrap()), Vec::<String>::new());
        assert_eq!(runs.get_run_by_root_hash(root_hash).unwrap().unwrap().run_id.as_str(), "a");
        assert_eq!(runs.get_run_by_root_hash(plan_hash).unwrap(), None);
        assert_eq!(ids(runs.get_children(&a.run_id, &all()).unwrap()), ["b", "c"]);
        assert_eq!(ids(runs.get_correlated(&"one".parse().unwrap(), &PageRequest::first(2)).unwrap()), ["a", "b"]);
        let text = RunFilter { text: Some("fly".into()), ..RunFilter::default() };
        assert_eq!(ids(runs.search_runs(&text, &all()).unwrap()), ["c", "b", "a"]);
        let costly = Between { least: "1".parse().ok(), most: None };
        let costly = RunFilter { cost: costly, ..RunFilter::default() };
        assert_eq!(ids(runs.search_runs(&costly, &all()).unwrap()), ["c", "b"]);
        let by_cost = RunQuery { sort: Some(RunSort::Cost), order: Order::Oldest, ..RunQuery::default() };
        assert_eq!(ids(runs.list_runs(&by_cost).unwrap()), ["a", "b", "c"]);
    });
}

#[test]
fn stale_runs_are_aborted_and_no_others() {
    on_both(|tracekeep, _| {
        let runs = tracekeep.runs();
        let start = |name: &str, second| {
            let run_id = Some(name.parse().unwrap());
            runs.start_run(StartRun { run_id, started_at: Some(at(second)), ..StartRun::default() }).unwrap()
        };
        for (second, name) in ["a", "done", "b", "c", "young"].into_iter().enumerate() {
            start(name, second as i64);
        }
        runs.complete_run(&"done".parse().unwrap(), FinalStatus::Completed).unwrap();
        let abort = |limit| runs.abort_stale_runs(at(4), "silent", limit).unwrap();
        let names = |ids: Vec<RunId>| ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(names(abort(2)), ["a", "b"]);
        assert_eq!(names(abort(2)), ["c"]);
        assert_eq!(names(abort(2)), Vec::<String>::new());
        let read = |name: &str| runs.get_run(&name.parse().unwrap()).unwrap().unwrap();
        assert_eq!((read("b").status, read("b").termination_reason.as_deref()), (RunStatus::Aborted, Some("silent")));
        assert_eq!((read("done").status, read("young").status), (RunStatus::Completed, RunStatus::Running));
    });
}

#[test]
fn a_telemetry_run_whose_root_ended_is_not_stale() {
    on_both(|tracekeep, _| {
        let (runs, run): (_, RunId) = (tracekeep.runs(), "o".parse().unwrap());
        for (name, ended) in [("open", None), ("o", Some(at(1)))] {
            let run_id: RunId = name.parse().unwrap();
            let root = RecordTrace {
                otel: Some(object("{}")),
                ended_at: ended,
                ..RecordTrace::new(run_id.clone(), thought("root"))
            };
            let ensure = EnsureRun { run_id, source: RunSource::Otlp, idempotency_store: None };
            let batch = Batch::of(vec![Op::EnsureRun(ensure), Op::RecordTrace(root)]);
            tracekeep.ledger().commit_blocking(vec![batch]).pop().unwrap().unwrap();
        }
        let aborted = runs.abort_stale_runs(Timestamp::MAX, "silent", 9).unwrap();
        assert!(aborted.iter().any(|id| id.as_str() == "open") && !aborted.contains(&run), "{aborted:?}");
    });
}

#[test]
fn handles_are_shared_between_threads() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<Tracekeep>();
    check::<TraceStore>();
    check::<RunStore>();
    check::<BatchBuilder>();
    on_both(|tracekeep, run| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let traces = tracekeep.clone().traces();
                scope.spawn(move || traces.record(run, thought("hm")).unwrap());
            }
        });
        assert_eq!(tracekeep.traces().count(run).unwrap(), 4);
    });
}
