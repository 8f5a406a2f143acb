//! The audit contract, in the ledger and with another store in front of it.

use std::sync::Arc;

use tracekeep::{
    AckStatus, AuditStatus, AuditStore, Contract, FinalStatus, LedgerAudit, RunStore, StartRun, StoreDurabilityMode,
    Term, VerdictStatus,
};

use crate::common::{all, at, on_both};

fn contract() -> Contract {
    let term = |domain: &str, action: &str| Term {
        domain: domain.into(),
        action: action.into(),
        deadline_ms: 3_600_000,
        optional: false,
        count: 1,
        liveness: false,
    };
    Contract::new("payments", vec![term("policies", "evaluate"), term("payments", "charge")]).unwrap()
}

#[test]
fn what_is_expected_is_acknowledged_set_by_hand_and_cleared() {
    on_both(|tracekeep, run| {
        let audit = tracekeep.audit();
        assert_eq!(audit.store().durability_mode(), audit.durability_mode());
        assert_eq!(audit.is_durable(), audit.durability_mode() == StoreDurabilityMode::Sqlite);
        audit.declare(run, &contract()).unwrap();
        let expected = audit.get_expectations(run, &all()).unwrap().items;
        assert_eq!(expected.iter().map(|one| &*one.action).collect::<Vec<_>>(), ["evaluate", "charge"]);
        assert_eq!(audit.get_pending_run_ids(&all()).unwrap().items, std::slice::from_ref(run));
        assert_eq!(audit.due(at(0), 10).unwrap(), []);

        audit.ack(run, "policies", "evaluate", AckStatus::Success).unwrap();
        let set = |action| audit.update_expectation_status(run, "payments", action, AuditStatus::Acked).unwrap();
        assert_eq!((set("charge"), set("refund")), (true, false), "nobody expects a refund");
        assert_eq!(audit.get_acks(run, &all()).unwrap().items.len(), 1);
        assert!(!audit.load_from_redis(run).unwrap(), "nothing is held in front of it");
        let summary = audit.summary(run).unwrap();
        assert_eq!((summary.expectations, summary.acks, summary.open, summary.watched), (2, 2, 0, true));
        assert_eq!(audit.reconcile(run).unwrap().status, VerdictStatus::Complete);
        audit.clear_run(run).unwrap();
        assert!(!audit.summary(run).unwrap().watched);
    });
}

#[test]
fn a_run_is_started_and_sealed_behind_another_store() {
    on_both(|tracekeep, _| {
        let store = Arc::new(LedgerAudit::new(Arc::clone(tracekeep.ledger()), tracekeep.audit().durability_mode()));
        let behind = tracekeep.clone().with_audit(Arc::clone(&store) as _);
        assert_eq!(behind.audit().durability_mode(), store.durability_mode());
        let runs = RunStore::behind(Arc::clone(tracekeep.ledger()), store);
        let run = runs.start_run_under(StartRun::default(), &contract()).unwrap();
        assert_eq!(behind.audit().summary(&run).unwrap().expectations, 2);
        for (domain, action) in [("policies", "evaluate"), ("payments", "charge")] {
            behind.audit().ack(&run, domain, action, AckStatus::Success).unwrap();
        }
        runs.complete_run(&run, FinalStatus::Completed).unwrap();
        let sealed = behind.audit().summary(&run).unwrap();
        assert_eq!(sealed.verdict.map(|verdict| verdict.status), Some(VerdictStatus::Complete), "the seal states it");
    });
}
