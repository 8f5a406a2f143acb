//! What an audit store gives to be tested.

use std::sync::Arc;

use tracekeep_store::{AuditStore, StoreDurabilityMode};

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
