//! What a backend gives to be tested, and memory, which the others are compared with.

use std::sync::Arc;

use tracekeep_store::{LedgerStore, MemoryLedger, Redaction, Source};

use crate::sources::ManualSources;

/// Makes fresh, empty ledgers of one backend.
pub trait Harness: Send + Sync + 'static {
    /// A new empty ledger whose times, ids and random bytes come from `sources`. Cases run in parallel, so each gets its
    /// own: a file, a schema, a server on its own port. It takes the well-known secrets out at its door
    /// ([`Redaction::well_known`]).
    fn fresh(&self, sources: ManualSources) -> Box<dyn Instance>;

    /// How many random sequences of batches are run against the model, and against memory.
    fn sequences(&self) -> u32 {
        64
    }

    /// Whether ops that were held in front of the ledger may be moved in: nobody may say so over a network.
    fn takes_moved(&self) -> bool {
        true
    }
}

/// One open ledger.
pub trait Instance: Send {
    /// The ledger. The case lets go of every handle before [`Instance::reopen`].
    fn ledger(&self) -> Arc<dyn LedgerStore>;

    /// The ledger as the process has it that writes to it, where [`Instance::ledger`] is another's: it alone takes what
    /// [`Op::is_local`](tracekeep_core::model::Op::is_local). To be let go of like the other.
    fn writer(&self) -> Option<Arc<dyn LedgerStore>> {
        None
    }

    /// Closes the ledger and opens it again: what was acknowledged is there. A backend that forgets does nothing.
    fn reopen(&mut self);

    /// The backend's own check of log against indices, where it has one, and their rebuilding from the log: run after each
    /// case, which then looks once more. `Err` says what it found, `None` that there is no such check.
    fn check(&mut self) -> Option<Result<(), String>> {
        None
    }
}

/// The in-memory ledger, which the others are compared with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

struct OpenMemory(Arc<MemoryLedger>);

impl Harness for Memory {
    fn fresh(&self, sources: ManualSources) -> Box<dyn Instance> {
        let ledger = MemoryLedger::new(Source::new(sources)).redacting(Redaction::well_known());
        Box::new(OpenMemory(Arc::new(ledger)))
    }

    fn sequences(&self) -> u32 {
        256
    }
}

impl Instance for OpenMemory {
    fn ledger(&self) -> Arc<dyn LedgerStore> {
        Arc::clone(&self.0) as Arc<dyn LedgerStore>
    }

    fn reopen(&mut self) {}
}
