//! Effects that happen once, by the library's handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use tracekeep::{
    Effect, EffectGate, EnsureRun, GateState, IdempotencyGate, Json, Key, Once, Op, Options, Recorded as Outcome,
    Rules, RunId, StartRun, Terms, Timestamp, Tracekeep,
};
use tracekeep_core::model::Source as RunSource;
use tracekeep_store::gate::{Fingerprint, Token};
use tracekeep_store::{
    Code, Error, IdempotencyResponse, IdempotencyStatus, IdempotencyStore, MemoryIdempotencyStore, MemoryLedger,
    Recorded, Result, Source, Sources, SystemSources,
};

use crate::common::on_both;

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// Waits for a future without a runtime.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tracekeep_store::block_on(future)
}

/// Does an effect in both ways, under a key of its own each.
fn both(
    gate: &IdempotencyGate,
    name: &str,
    request: &Json,
    effect: impl Fn() -> Effect,
) -> [std::result::Result<Once, String>; 2] {
    let said = |result: tracekeep::Result<Once>| result.map_err(|error| error.code().to_owned());
    let blocking = gate.once_blocking(&key(&format!("{name}-b")), request, &effect);
    let awaited = wait(gate.once(&key(&format!("{name}-a")), request, async || effect()));
    [said(blocking), said(awaited)]
}

#[test]
fn an_effect_happens_once_and_the_second_caller_gets_the_first_answer() {
    on_both(|tracekeep, _| {
        let (gate, done) = (tracekeep.idempotency(), AtomicU32::new(0));
        let pay = || Effect::done(Json::from(u64::from(done.fetch_add(1, Ordering::SeqCst))));
        let first = both(&gate, "k", &json("1"), pay);
        assert_eq!(first, [Ok(Once::Done(json("0"))), Ok(Once::Done(json("1")))]);
        let again = both(&gate, "k", &json("1"), pay);
        assert_eq!(again, [Ok(Once::Replayed(json("0"))), Ok(Once::Replayed(json("1")))]);
        assert_eq!(done.load(Ordering::SeqCst), 2, "once for each key");
        let other = both(&gate, "k", &json("2"), || panic!("another request must not be done"));
        assert_eq!(other, [Err("key_reused".to_owned()), Err("key_reused".to_owned())]);
    });
}

#[test]
fn an_effect_that_may_be_tried_again_is_and_one_that_failed_for_good_is_not() {
    on_both(|tracekeep, _| {
        let gate = tracekeep.idempotency();
        let timeout = both(&gate, "k", &json("1"), || Effect::retry("timeout"));
        assert_eq!(timeout, [Err("effect_retry".to_owned()), Err("effect_retry".to_owned())]);
        let declined = both(&gate, "k", &json("1"), || Effect::failed("declined".repeat(1_000)));
        assert_eq!(declined, [Err("effect_failed".to_owned()), Err("effect_failed".to_owned())]);
        let again = both(&gate, "k", &json("1"), || panic!("it failed for good"));
        assert_eq!(again, [Err("effect_failed".to_owned()), Err("effect_failed".to_owned())]);
        let status = gate.get_status(&key("k-a")).unwrap().unwrap();
        assert_eq!((status.state, status.attempt), (GateState::Failed, 2));
        assert!(gate.delete(&key("k-a")).unwrap());
        let error = gate.once_blocking(&key("k-b"), &json("1"), || panic!("no")).unwrap_err();
        assert!(error.detail().contains("declined"), "the first one's reason is told");
        assert!(!error.is_retryable());
    });
}

#[test]
fn who_comes_meanwhile_is_told_to_come_back_and_a_lost_owner_is_told_too() {
    on_both(|tracekeep, _| {
        let gate = tracekeep.idempotency();
        let outcome = gate.once_blocking(&key("k"), &json("1"), || {
            let meanwhile = gate.once_blocking(&key("k"), &json("1"), || panic!("somebody is at it")).unwrap_err();
            assert_eq!((meanwhile.code(), meanwhile.is_retryable()), ("in_progress", true));
            Effect::done(Json::null())
        });
        assert_eq!(outcome.unwrap(), Once::Done(Json::null()));
        let lost = gate.once_blocking(&key("lost"), &json("1"), || {
            gate.delete(&key("lost")).unwrap();
            Effect::done(Json::null())
        });
        assert_eq!(lost.unwrap_err().code(), "key_not_found");
    });
}

#[test]
fn an_effect_whose_answer_is_too_large_is_not_done_again() {
    on_both(|tracekeep, _| {
        let large = both(&tracekeep.idempotency(), "k", &json("1"), || Effect::done(Json::from("x".repeat(1 << 20))));
        assert_eq!(large, [Err("effect_failed".to_owned()), Err("effect_failed".to_owned())]);
        let again = both(&tracekeep.idempotency(), "k", &json("1"), || panic!("it was done"));
        assert_eq!(again, large);
    });
}

#[test]
fn every_call_of_the_store_is_on_the_handle() {
    on_both(|tracekeep, _| {
        let gate = tracekeep.idempotency();
        let new = gate.check(&key("k"), &json("1"), &Terms::default()).unwrap();
        let token = new.token.unwrap();
        assert!(gate.renew(&key("k"), &token).unwrap() >= new.lease_until.unwrap());
        gate.mark_failed(&key("k"), &token, "timeout", true).unwrap();
        let token = gate.check(&key("k"), &json("1"), &Terms::default()).unwrap().token.unwrap();
        gate.mark_completed(&key("k"), &token, &json("2")).unwrap();
        let again = gate.check(&key("k"), &json("1"), &Terms::default()).unwrap();
        assert_eq!((again.is_duplicate(), again.response), (true, Some(json("2"))));
        assert_eq!(wait(gate.store().get_status(&key("none"))).unwrap(), None);
    });
}

/// A clock that is moved by hand.
struct Moved(Arc<AtomicI64>);

impl Sources for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemSources.random(bytes);
    }
}

#[test]
fn an_answer_that_is_no_longer_kept_is_said_to_be() {
    let clock = Arc::new(AtomicI64::new(1_767_225_600_000_000_000));
    let store = MemoryIdempotencyStore::new(Source::new(Moved(Arc::clone(&clock))), Rules::default());
    let tracekeep = Tracekeep::over(Arc::new(MemoryLedger::default())).with_gate(Arc::new(store));
    let gate = tracekeep.idempotency();
    let done = gate.once_blocking(&key("k"), &json("1"), || Effect::done(json("2"))).unwrap();
    assert_eq!(done.answer(), Some(&json("2")));
    let again = gate.once_blocking(&key("k"), &json("1"), || panic!("it was done")).unwrap();
    assert_eq!((again.answer(), &again), (Some(&json("2")), &Once::Replayed(json("2"))));
    clock.fetch_add(25 * 3_600 * 1_000_000_000, Ordering::SeqCst);
    let late = gate.once_blocking(&key("k"), &json("1"), || panic!("it was done")).unwrap();
    assert_eq!((late.answer(), &late), (None, &Once::Expired));
}

/// A gate that answers, and can no longer be told anything.
#[derive(Debug, Default)]
struct Deaf(MemoryIdempotencyStore);

#[async_trait::async_trait]
impl IdempotencyStore for Deaf {
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        self.0.check(key, request, terms).await
    }
    async fn mark_completed(&self, _: &Key, _: &Token, _: &Json) -> Result<Recorded> {
        Err(Error::new(Code::Unreachable, "gone"))
    }
    async fn mark_failed(&self, _: &Key, _: &Token, _: &str, _: bool) -> Result<Recorded> {
        Err(Error::new(Code::Unreachable, "gone"))
    }
    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.0.renew(key, token).await
    }
    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        self.0.get_status(key).await
    }
    async fn delete(&self, key: &Key) -> Result<bool> {
        self.0.delete(key).await
    }
}

/// Told as any outage, it was tried again after the lease, and paid twice.
#[test]
fn an_effect_that_was_done_and_could_not_be_told_is_not_to_be_tried_again() {
    let tracekeep = Tracekeep::over(Arc::new(MemoryLedger::default())).with_gate(Arc::new(Deaf::default()));
    let gate = tracekeep.idempotency();
    let done = both(&gate, "k", &json("1"), || Effect::done(json("1")));
    assert_eq!(done, [Err("effect_unrecorded".to_owned()), Err("effect_unrecorded".to_owned())]);
    let error = gate.once_blocking(&key("other"), &json("1"), || Effect::done(json("1"))).unwrap_err();
    assert_eq!((error.is_retryable(), error.outcome()), (false, tracekeep_store::Outcome::Unknown));
    let not_done = both(&gate, "again", &json("1"), || Effect::retry("timeout"));
    assert_eq!(not_done, [Err("unreachable".to_owned()), Err("unreachable".to_owned())], "it was not done");
}

#[test]
fn a_run_says_where_the_gate_of_its_effects_was_kept_and_is_the_same_run_when_that_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let open = |effect_gate| {
        let options = Options { effect_gate, ..Options::default() };
        Tracekeep::open_with(folder.path().join("ledger.db"), options).unwrap()
    };
    let run = |name: &str| RunId::new(name).unwrap();
    let start = |name: &str| Op::StartRun(StartRun { run_id: Some(run(name)), ..StartRun::default() });
    let ensure =
        |name: &str| Op::EnsureRun(EnsureRun { run_id: run(name), source: RunSource::Otlp, idempotency_store: None });
    let commit = |at: &Tracekeep, op: Op| {
        let batch = tracekeep::Batch::one(op);
        at.ledger()
            .commit_blocking(vec![batch])
            .pop()
            .unwrap()
            .map(|receipt| receipt.outcome)
            .map_err(|error| (error.code(), error.path().map(str::to_owned)))
    };
    let says = |at: &Tracekeep, name: &str| at.runs().get_run(&run(name)).unwrap().unwrap().idempotency_store;

    let alone = open(Some(EffectGate::Redis));
    for op in [start("api"), ensure("otlp")] {
        assert_eq!(commit(&alone, op), Ok(Outcome::Recorded));
    }
    assert_eq!((says(&alone, "api"), says(&alone, "otlp")), (Some(EffectGate::Redis), Some(EffectGate::Redis)));
    let mut stated = StartRun { run_id: Some(run("stated")), ..StartRun::default() };
    stated.idempotency_store = Some(EffectGate::Redis);
    let refused = Err(("unknown_member", Some("/ops/0/idempotency_store".to_owned())));
    assert_eq!(commit(&alone, Op::StartRun(stated)), refused);
    drop(alone);

    let arbitrated = open(None);
    for op in [start("api"), ensure("otlp")] {
        assert_eq!(commit(&arbitrated, op), Ok(Outcome::Duplicate), "the door's word is left aside");
    }
    assert_eq!(commit(&arbitrated, start("later")), Ok(Outcome::Recorded));
    assert_eq!((says(&arbitrated, "api"), says(&arbitrated, "later")), (Some(EffectGate::Redis), None));
    assert_eq!(arbitrated.rebuild_indices().unwrap().findings, []);
    assert_eq!(says(&arbitrated, "otlp"), Some(EffectGate::Redis));
}
