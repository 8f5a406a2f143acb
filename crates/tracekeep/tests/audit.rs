//! The example of three workers, on a clock that is moved by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tracekeep::{MemoryLedger, PageRequest, StoreDurabilityMode, Timestamp, Tracekeep, VerdictStatus};
use tracekeep_store::{Source, Sources};

#[path = "../examples/three_workers.rs"]
#[expect(dead_code, reason = "the example's own main is not run here")]
mod three_workers;

#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Sources for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(u8::try_from(self.0.fetch_add(1, Ordering::SeqCst) % 251).unwrap());
    }
}

#[test]
fn the_run_of_a_worker_that_died_is_stale_at_its_deadline_and_not_before() {
    let clock = Clock::default();
    let tracekeep = Tracekeep::over(Arc::new(MemoryLedger::new(Source::new(clock.clone()))));
    let run = three_workers::work(&tracekeep, 1_000).unwrap();
    let audit = tracekeep.audit();
    assert_eq!(audit.reconcile(&run).unwrap().status, VerdictStatus::Pending);
    assert_eq!(audit.get_acks(&run, &PageRequest::default()).unwrap().items.len(), 2);
    let pending = audit.get_pending_run_ids(&PageRequest::default()).unwrap().items;
    assert_eq!(pending, std::slice::from_ref(&run));
    clock.0.store(2_000_000_000, Ordering::SeqCst);
    let due = audit.due(clock.now(), 10).unwrap();
    assert_eq!(due.iter().map(|due| &due.run_id).collect::<Vec<_>>(), [&run]);
    let verdict = audit.reconcile(&run).unwrap();
    assert_eq!(verdict.status, VerdictStatus::Stale);
    let missing: Vec<_> = verdict.missing.iter().map(|one| one.action.as_str()).collect();
    assert_eq!(missing, ["finalize_run", "publish"]);
    assert_eq!((audit.durability_mode(), audit.is_durable()), (StoreDurabilityMode::Memory, false));
    assert!(!audit.load_from_redis(&run).unwrap());
}
