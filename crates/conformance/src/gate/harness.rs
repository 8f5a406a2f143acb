//! What a backend gives to be tested, and the gate in memory.

use std::sync::Arc;

use tracekeep_store::gate::{IdempotencyStore, MemoryIdempotencyStore, Rules};
use tracekeep_store::{Source, block_on};

use crate::sources::ManualSources;

/// Makes fresh, empty gates of one backend.
pub trait GateHarness: Send + Sync + 'static {
    /// A new empty gate. Cases run in parallel, so each gets its own.
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance>;

    /// How many random sequences are run against the model.
    fn sequences(&self) -> u32 {
        64
    }

    /// How many rounds of a race are run.
    fn rounds(&self) -> u32 {
        1_000
    }

    /// Whether the backend bounds the number of keys by itself: only then is it asked to. Redis does by its memory.
    fn counts_keys(&self) -> bool {
        true
    }

    /// Runs one task of a race. A backend whose calls need a runtime enters it here.
    fn wait(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>) {
        block_on(task);
    }
}

/// One open gate.
pub trait GateInstance: Send + Sync {
    /// The gate.
    fn store(&self) -> Arc<dyn IdempotencyStore>;

    /// Closes the gate and opens it again: what was answered holds. A backend that forgets does nothing.
    fn reopen(&mut self);

    /// Moves the store's clock by milliseconds.
    fn advance_ms(&self, ms: i64);
}

/// The gate in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct GateMemory;

struct OpenMemory(Arc<MemoryIdempotencyStore>, ManualSources);

impl GateHarness for GateMemory {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        let sources = ManualSources::default();
        let store = MemoryIdempotencyStore::new(Source::new(sources.clone()), rules);
        Box::new(OpenMemory(Arc::new(store), sources))
    }

    fn sequences(&self) -> u32 {
        512
    }
}

impl GateInstance for OpenMemory {
    fn store(&self) -> Arc<dyn IdempotencyStore> {
        Arc::clone(&self.0) as Arc<dyn IdempotencyStore>
    }

    fn reopen(&mut self) {}

    fn advance_ms(&self, ms: i64) {
        self.1.advance(ms * 1_000_000);
    }
}
