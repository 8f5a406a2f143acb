//! The suite over the fault decorator while it lets everything pass: it is transparent.

use std::process::ExitCode;
use std::sync::Arc;

use tracekeep_conformance::{FaultStore, Harness, Instance, ManualSources, Memory};
use tracekeep_store::LedgerStore;

struct Transparent;

struct Opened(Box<dyn Instance>);

impl Harness for Transparent {
    fn fresh(&self, sources: ManualSources) -> Box<dyn Instance> {
        Box::new(Opened(Memory.fresh(sources)))
    }
}

impl Instance for Opened {
    fn ledger(&self) -> Arc<dyn LedgerStore> {
        Arc::new(FaultStore::new(self.0.ledger()))
    }

    fn reopen(&mut self) {
        self.0.reopen();
    }
}

fn main() -> ExitCode {
    tracekeep_conformance::main(Transparent)
}
