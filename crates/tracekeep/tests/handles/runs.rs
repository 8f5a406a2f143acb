//! Runs and steps; the handles themselves.

use tracekeep::{
    BatchBuilder, CompleteRun, ErrorKind, FinalStatus, Json, RecordStep, RunFilter, RunQuery, RunStatus, RunStore,
    StartRun, TraceStore, Tracekeep,
};

use crate::common::{all, at, on_both, thought};

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
        assert_eq!((runs.run_count(&running).unwrap(), runs.run_count(&RunFilter::default()).unwrap()), (1, 2));
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
