//! The suite as named tests of one audit store, and the adapter of a ledger among them.

use std::sync::Arc;

use libtest_mimic::Trial;
use tracekeep_core::model::{Op, StartRun};
use tracekeep_store::{AuditStore, Batch, LedgerAudit, LedgerStore, StoreDurabilityMode};

use super::cases::{CASES, Context};
use super::harness::{AuditHarness, AuditInstance};
use crate::context::commit;
use crate::harness::{Harness, Instance};
use crate::ops::run_id;
use crate::sources::ManualSources;

/// The suite over `harness` as named tests.
pub fn audit_trials(name: &str, harness: impl AuditHarness) -> Vec<Trial> {
    let harness = Arc::new(harness);
    let trial = |(case, run): &(&str, fn(&mut Context))| {
        let (harness, run) = (Arc::clone(&harness), *run);
        Trial::test(format!("{name}::{case}"), move || {
            let instance = harness.fresh();
            let mut cx = Context { instance, knows_runs: harness.knows_runs(), mode: harness.mode() };
            run(&mut cx);
            Ok(())
        })
    };
    CASES.iter().map(trial).collect()
}

/// The suite over the adapter of a ledger.
pub(crate) fn of_ledger<H: Harness>(harness: Arc<H>) -> Vec<Trial> {
    audit_trials("audit_store", OfLedger(harness))
}

struct OfLedger<H>(Arc<H>);

struct Adapted {
    ledger: Box<dyn Instance>,
    sources: ManualSources,
}

impl<H: Harness> AuditHarness for OfLedger<H> {
    fn fresh(&self) -> Box<dyn AuditInstance> {
        let sources = ManualSources::default();
        Box::new(Adapted { ledger: self.0.fresh(sources.clone()), sources })
    }

    fn mode(&self) -> StoreDurabilityMode {
        StoreDurabilityMode::Sqlite
    }
}

impl AuditInstance for Adapted {
    fn store(&self) -> Arc<dyn AuditStore> {
        Arc::new(LedgerAudit::new(self.ledger.ledger(), StoreDurabilityMode::Sqlite))
    }

    fn start(&self, run: &str) {
        begin(&*self.ledger.ledger(), run);
    }

    fn advance_ms(&self, ms: i64) {
        self.sources.advance(ms * 1_000_000);
    }

    fn reopen(&mut self) {
        self.ledger.reopen();
    }
}

/// Starts a run.
pub(crate) fn begin(ledger: &dyn LedgerStore, run: &str) {
    let start = StartRun { run_id: Some(run_id(run)), ..StartRun::default() };
    commit(ledger, Batch::one(Op::StartRun(start))).expect("a run starts");
}
