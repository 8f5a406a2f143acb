//! Replaying a run: from the record, once more, or compared.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

use tracekeep::{
    CompareQuery, Effect, ErrorKind, How, Json, RecordStep, ReplayBehavior, Replayed, RunId, Tracekeep, Verdict,
};

use crate::common::on_both;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// Records a step for each behavior: 0 skip, 1 execute, 2 check, 3 skip without an output.
fn recorded(tracekeep: &Tracekeep, run: &RunId) {
    let behaviors = [ReplayBehavior::Skip, ReplayBehavior::Execute, ReplayBehavior::Check, ReplayBehavior::Skip];
    for (index, replay_behavior) in (0..).zip(behaviors) {
        let mut step = RecordStep::new(run.clone(), index, "search", json(r#"{"to":"LIS"}"#));
        step.outcome_data = (index < 3).then(|| json(r#"{"hits":3}"#));
        step.replay_behavior = replay_behavior;
        tracekeep.runs().record_step(step).unwrap();
    }
}

fn output(replayed: &Replayed) -> Option<&str> {
    replayed.output.as_ref().map(Json::as_str)
}

#[test]
fn a_skipped_step_is_answered_from_the_record() {
    on_both(|tracekeep, run| {
        recorded(tracekeep, run);
        let replay = tracekeep.replay(run);
        let again = replay.step(0, |_| panic!("it is not done again")).unwrap();
        assert_eq!((again.how, output(&again), again.diverged), (How::Recorded, Some(r#"{"hits":3}"#), false));
        assert!(again.recorded_hash.is_some() && again.recorded_hash == again.output_hash);
        let without = replay.step(3, |_| panic!("it is not done again")).unwrap();
        assert_eq!((without.how, output(&without), without.recorded_hash), (How::Recorded, None, None));
        assert_eq!(replay.recorded_output(1).unwrap(), Some(json(r#"{"hits":3}"#)));
        assert_eq!(replay.recorded_output(3).unwrap(), None);
        assert_eq!(replay.recorded_output(9).unwrap_err().code(), "step_not_found");
        let nobody = tracekeep.replay(&"nobody".parse().unwrap());
        assert_eq!(nobody.step(0, |_| panic!("no such run")).unwrap_err().code(), "run_not_found");
    });
}

/// An earlier system looked the output up first and claimed nothing: ten replays at once ran the action ten times.
#[test]
fn ten_at_once_do_a_skipped_step_never_and_an_executed_one_once() {
    on_both(|tracekeep, run| {
        recorded(tracekeep, run);
        let (replay, done, barrier) = (tracekeep.replay(run), AtomicU32::new(0), Barrier::new(10));
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..10)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        replay.step(0, |_| panic!("it is not done again")).unwrap();
                        loop {
                            let step = replay.step(1, |_| {
                                done.fetch_add(1, Ordering::SeqCst);
                                Effect::Done(json("7"))
                            });
                            match step {
                                Ok(replayed) => return replayed,
                                // Somebody is at it.
                                Err(error) => assert_eq!(error.code(), "in_progress"),
                            }
                        }
                    })
                })
                .collect();
            let all: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
            assert_eq!(all.iter().filter(|one| one.how == How::Executed).count(), 1);
            assert!(all.iter().all(|one| output(one) == Some("7") && !one.diverged), "{all:?}");
        });
        assert_eq!(done.load(Ordering::SeqCst), 1);
        // Another session does it again; the same, under its name, does not.
        let again = tracekeep.replay(run).step(1, |_| Effect::Done(json("8"))).unwrap();
        assert_eq!((again.how, output(&again)), (How::Executed, Some("8")));
        let named = tracekeep.replay(run).in_session(replay.session().clone());
        assert_eq!(named.step(1, |_| panic!("it was done")).unwrap().how, How::Repeated);
    });
}

#[test]
fn a_checked_step_with_another_output_is_reported_with_both_hashes() {
    on_both(|tracekeep, run| {
        recorded(tracekeep, run);
        let same = tracekeep.replay(run).step(2, |_| Effect::Done(json(r#"{ "hits": 3.0 }"#))).unwrap();
        assert_eq!((same.how, same.diverged), (How::Executed, false));
        let replay = tracekeep.replay(run);
        let other = replay.step(2, |step| Effect::Done(Json::array([step.params.clone()]))).unwrap();
        assert!(other.diverged && other.recorded_hash == same.output_hash && other.output_hash != same.output_hash);
        // What did not fit is not taken for the record by the next one.
        let again = replay.step(2, |_| panic!("it was done in this session")).unwrap();
        assert_eq!((again.how, again.diverged, again.output_hash), (How::Repeated, true, other.output_hash));
        let nothing = tracekeep.replay(run).step(2, |_| Effect::Done(Json::null())).unwrap();
        assert_eq!((nothing.diverged, nothing.output_hash), (true, None));
        // What was executed is not compared.
        assert!(!tracekeep.replay(run).step(1, |_| Effect::Done(json("0"))).unwrap().diverged);
    });
}

#[test]
fn what_fails_is_said_and_may_be_tried_again_where_it_says_so() {
    on_both(|tracekeep, run| {
        recorded(tracekeep, run);
        let replay = tracekeep.replay(run);
        let error = replay.step(1, |_| Effect::retry("timeout")).unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert_eq!(replay.step(1, |_| Effect::Done(json("1"))).unwrap().how, How::Executed);
        let error = replay.step(2, |_| Effect::failed("gone")).unwrap_err();
        assert!(!error.is_retryable() && error.code() == "effect_failed");
        assert_eq!(replay.step(2, |_| panic!("it failed for good")).unwrap_err().code(), "effect_failed");
    });
}

#[test]
fn a_run_is_held_to_its_baseline() {
    on_both(|tracekeep, run| {
        let runs = tracekeep.runs();
        recorded(tracekeep, run);
        let name: tracekeep::BaselineName = "agent".parse().unwrap();
        let set = |run: &RunId| {
            let (name, run_id) = (name.clone(), run.clone());
            runs.set_baseline(tracekeep::SetBaseline { name, run_id, reason: None, by: None, redacted: None })
        };
        assert_eq!(set(run).unwrap_err().code(), "run_running");
        let missing = runs.check(run, &name, &CompareQuery::default()).unwrap_err();
        assert_eq!((missing.kind(), missing.code()), (ErrorKind::NotFound, "baseline_not_found"));
        runs.complete_run(run, tracekeep::FinalStatus::Completed).unwrap();
        set(run).unwrap();
        assert_eq!(runs.check(run, &name, &CompareQuery::default()).unwrap().verdict, Verdict::Identical);
        assert_eq!(runs.get_baseline(&name).unwrap().unwrap().run_id, *run);
        assert_eq!(runs.list_baselines(&Default::default()).unwrap().items.len(), 1);
        assert_eq!((runs.matches(run).unwrap().runs, runs.verify_run(run).unwrap().count), (0, 0));
    });
}

#[path = "../../examples/replay.rs"]
#[expect(dead_code, reason = "its main is for who runs it by hand")]
mod example;

#[test]
fn the_example_replays_its_agent_without_its_tools() {
    assert_eq!(
        example::story().unwrap(),
        [
            "the agent booked \"TP575 for seat 3A\"",
            "step 0 search: Recorded",
            "step 1 compare: Executed",
            "step 2 book: Recorded",
            "replayed it booked \"TP575 for seat 3A\"; bookings made: 1",
            "the two runs are identical",
        ]
    );
}
