//! Batches: their run, their key, their ids, and async code.

use tracekeep::{
    Ack, AckStatus, BatchBuilder, CompleteRun, CountsQuery, EndStatus, EndTrace, ErrorKind, FinalStatus, GenerateId,
    Json, Op, Outcome, Page, RecordStep, RecordTrace, Recorded, RunId, RunStatus, Timestamp, Trace, TraceId,
    TraceStatus, TraceStoreExt, Tracekeep,
};
use tracekeep_store::block_on;

use crate::common::{all, at, id, object, on_both, thought};

/// A step, a trace that it came from, its end and the run's, all for a run that the ops did not name.
fn filled(tracekeep: &Tracekeep, run: &RunId) -> BatchBuilder {
    let mut batch = tracekeep.batch(run);
    let elsewhere: RunId = "elsewhere".parse().unwrap();
    let begun = RecordTrace {
        id: Some(id("t")),
        occurred_at: Some(at(0)),
        status: Some(TraceStatus::Open),
        ..RecordTrace::new(elsewhere.clone(), thought("hm"))
    };
    assert_eq!(batch.trace(begun), id("t"));
    let mut step = RecordStep::new(elsewhere.clone(), 0, "act", Json::empty_object());
    (step.trace_id, step.occurred_at) = (Some(id("t")), Some(at(1)));
    let mut done = CompleteRun::new(elsewhere.clone(), FinalStatus::Completed);
    done.completed_at = Some(at(3));
    let end = EndTrace { ended_at: Some(at(2)), ..EndTrace::new(elsewhere, id("t"), EndStatus::Ok) };
    batch.step(step).end(end).complete(done);
    batch
}

#[test]
fn a_batch_is_of_its_run_and_under_a_key_it_is_answered_as_before() {
    on_both(|tracekeep, run| {
        let keyed = || filled(tracekeep, run).under("key-1".parse().unwrap());
        assert_eq!(keyed().run_id(), run);
        let first = keyed().commit().unwrap();
        assert_eq!((first.outcome, first.replayed, first.ops.len()), (Recorded::Recorded, false, 4));
        let again = keyed().commit().unwrap();
        assert_eq!((again.outcome, again.replayed), (Recorded::Duplicate, true));
        assert_eq!((again.tree_size, again.root), (first.tree_size, first.root));
        let read = tracekeep.runs().get_run(run).unwrap().unwrap();
        assert_eq!((read.steps, read.traces, read.status), (1, 1, RunStatus::Completed));
        assert_eq!(tracekeep.traces().get(run, &id("t")).unwrap().unwrap().status, TraceStatus::Ok);
        let mut other = tracekeep.batch(run).under("key-1".parse().unwrap());
        other.trace(RecordTrace::new(run.clone(), thought("other")));
        let refused = other.commit().unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unprocessable, "key_reused"));
    });
}

#[test]
fn a_batch_is_committed_from_async_code_and_its_ids_are_known_before() {
    on_both(|tracekeep, run| {
        let mut batch = tracekeep.batch(run);
        let (mine, generated) = (Trace::generate_id(), batch.trace(RecordTrace::new(run.clone(), thought("so"))));
        assert!(mine.as_str().starts_with("trace-") && generated.as_str().starts_with("trace-"));
        assert_ne!(mine, generated);
        batch.trace(RecordTrace { id: Some(mine.clone()), ..RecordTrace::new(run.clone(), thought("hm")) });
        let future = batch.commit_async();
        assert_eq!(tracekeep.traces().count(run).unwrap(), 0, "a future that is not awaited does nothing");
        let receipt = block_on(future).unwrap();
        let named: Vec<_> = receipt.ops.into_iter().map(|op| op.id.unwrap().to_string()).collect();
        assert_eq!(named, [generated.as_str(), mine.as_str()]);
        let mut bad = tracekeep.batch(run);
        bad.end(EndTrace::new(run.clone(), id("absent"), EndStatus::Ok));
        assert_eq!(block_on(bad.commit_async()).unwrap_err().code(), "trace_not_found");
    });
}

#[test]
fn metadata_of_a_named_trace_is_an_object() {
    on_both(|tracekeep, run| {
        let mut batch = tracekeep.batch(run);
        let number = || Json::parse("1").unwrap();
        assert_eq!(batch.trace_record("plan", number()).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(batch.trace_record_child(&id("a"), "plan", number()).unwrap_err().kind(), ErrorKind::Invalid);
        batch.trace_record("plan", Json::empty_object()).unwrap();
        assert_eq!(batch.commit().unwrap().ops.len(), 1, "what was refused is not in the batch");
    });
}

#[test]
fn named_traces_stand_in_every_index() {
    on_both(|tracekeep, run| {
        let mut batch = tracekeep.batch(run);
        let plan = batch.trace_record("plan", object(r#"{"n":1}"#).into()).unwrap();
        let part = batch.trace_record_child(&plan, "part", Json::empty_object()).unwrap();
        let other = batch.trace_record_child(&plan, "part", object(r#"{"word":"needle"}"#).into()).unwrap();
        batch.commit().unwrap();
        let traces = tracekeep.traces();
        let ids = |page: Page<Trace>| page.items.into_iter().map(|trace| trace.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(traces.query_by_type(run, "plan", all()).unwrap()), [plan.as_str()]);
        assert_eq!(ids(traces.query_by_type(run, "part", all()).unwrap()), [part.as_str(), other.as_str()]);
        assert_eq!(ids(traces.get_roots(run, all()).unwrap()), [plan.as_str()]);
        assert_eq!(ids(traces.get_children(run, &plan, all()).unwrap()), [part.as_str(), other.as_str()]);
        assert_eq!(ids(traces.search(run, "needle", all()).unwrap()), [other.as_str()]);
        for id in [&plan, &part, &other] {
            let time = traces.get(run, id).unwrap().unwrap().occurred_at;
            let next = Timestamp::from_nanos(time.as_nanos() + 1);
            assert!(ids(traces.query_by_time(run, time, next, all()).unwrap()).contains(&id.to_string()));
            assert!(!ids(traces.query_by_time(run, Timestamp::MIN, time, all()).unwrap()).contains(&id.to_string()));
            assert!(!ids(traces.query_by_time(run, next, Timestamp::MAX, all()).unwrap()).contains(&id.to_string()));
        }
        let count = |name: &str| {
            let query = CountsQuery { type_name: Some(name.to_owned()), ..CountsQuery::default() };
            let counts = traces.counts(run, &query).unwrap();
            (counts.total, counts.types.iter().map(|one| one.count).sum::<u64>())
        };
        assert_eq!((count("plan"), count("part"), count("Custom")), ((3, 1), (3, 2), (3, 0)));
        let read = traces.get(run, &plan).unwrap().unwrap();
        assert_eq!((read.metadata, read.trace_type.type_name()), (object(r#"{"n":1}"#), "plan"));
        assert!(traces.verify_indices(run).unwrap().is_clean());
    });
}

/// Traces, a child of one of them, a step that came from it and an acknowledgement, under a key.
fn of_every_kind(tracekeep: &Tracekeep, run: &RunId) -> (BatchBuilder, [TraceId; 2]) {
    let mut batch = tracekeep.batch(run).under("key-2".parse().unwrap());
    let root = batch.trace(RecordTrace { id: Some(id("root")), ..RecordTrace::new(run.clone(), thought("hm")) });
    let child = batch.trace_record_child(&root, "part", Json::empty_object()).unwrap();
    let mut step = RecordStep::new(run.clone(), 0, "act", Json::empty_object());
    step.trace_id = Some(child.clone());
    batch.step(step).op(Op::Ack(Ack::new(run.clone(), "mail", "send", AckStatus::Success)));
    (batch, [root, child])
}

#[test]
fn a_batch_of_every_kind_is_in_the_log_whole_or_not_at_all() {
    on_both(|tracekeep, run| {
        let entries = || block_on(tracekeep.ledger().head()).unwrap().tree_size;
        let (mut refused, _) = of_every_kind(tracekeep, run);
        refused.trace_record_child(&id("lost"), "part", Json::empty_object()).unwrap();
        let error = refused.commit().unwrap_err();
        assert_eq!(
            (error.code(), error.path(), error.outcome()),
            ("parent_not_found", Some("/ops/4/parent_id"), Outcome::NotApplied)
        );
        assert_eq!((entries(), tracekeep.traces().count(run).unwrap()), (1, 0), "nothing of it is there");
        assert_eq!(tracekeep.runs().get_run(run).unwrap().unwrap().steps, 0);
        let (batch, known) = of_every_kind(tracekeep, run);
        let receipt = batch.commit().unwrap();
        assert_eq!((entries(), receipt.tree_size), (6, 6), "the run's start, four ops and the key");
        let named: Vec<_> = receipt.ops.iter().take(2).map(|op| op.id.clone().unwrap().to_string()).collect();
        assert_eq!(named, known.each_ref().map(ToString::to_string), "as they were known before");
        let read = tracekeep.traces().get(run, &known[1]).unwrap().unwrap();
        assert_eq!(read.parent_id.as_ref(), Some(&known[0]));
        assert_eq!(tracekeep.runs().get_step(run, 0).unwrap().unwrap().trace_id.as_ref(), Some(&known[1]));
        assert_eq!(block_on(tracekeep.ledger().acks(run, &all())).unwrap().items.len(), 1);
    });
}
