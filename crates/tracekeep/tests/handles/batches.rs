//! Batches: their run, their key, their ids, and async code.

use tracekeep::{
    BatchBuilder, CompleteRun, EndStatus, EndTrace, ErrorKind, FinalStatus, GenerateId, Json, RecordStep, RecordTrace,
    Recorded, RunId, RunStatus, Trace, TraceStatus, TraceStoreExt, Tracekeep,
};
use tracekeep_store::block_on;

use crate::common::{at, id, on_both, thought};

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
