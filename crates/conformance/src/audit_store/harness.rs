//! What an audit store gives to be tested, and the runner.

use std::sync::Arc;

use libtest_mimic::Trial;
use tracekeep_core::model::StartRun;
use tracekeep_store::{AuditStore, Batch, LedgerAudit, LedgerStore, StoreDurabilityMode};

use super::cases::CASES;
use crate::harness::{Harness, Instance};
use crate::ops::run_id;
use crate::sources::ManualSources;

/// Makes fresh, empty audit stores of one kind.
pub trait AuditHarness: Send + Sync + 'static {
    /// A new empty store.
    fn fresh(&self) -> Box<dyn AuditInstance>;

    /// Whether it knows which runs there are: what is opened without a ledger takes any.
    fn knows_runs(&self) -> bool {
        true
    }

    /// Where it keeps facts.
    fn mode(&self) -> StoreDurabilityMode;
}

/// One open audit store.
pub trait AuditInstance: Send {
    /// The store.
    fn store(&self) -> Arc<dyn AuditStore>;

    /// Starts a run in the ledger behind it, if there is one.
    fn start(&self, run: &str);

    /// Moves the clock.
    fn advance_ms(&self, ms: i64);

    /// Closes it and opens it again.
    fn reopen(&mut self);
}

/// The suite over `harness` as named tests.
pub fn audit_trials(name: &str, harness: impl AuditHarness) -> Vec<Trial> {
    let harness = Arc::new(harness);
    let trial = |(case, run): &(&str, fn(&mut super::cases::Context))| {
        let (harness, run) = (Arc::clone(&harness), *run);
        Trial::test(format!("{name}::{case}"), move || {
            let instance = harness.fresh();
            let mut cx = super::cases::Context { instance, knows_runs: harness.knows_runs(), mode: harness.mode() };
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
    crate::context::commit(ledger, Batch::one(tracekeep_core::model::Op::StartRun(start))).expect("a run starts");
}
