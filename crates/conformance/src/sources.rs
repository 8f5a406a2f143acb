//! Injected time and randomness.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tracekeep_core::Timestamp;
use tracekeep_core::hash::sha256;
use tracekeep_store::Sources;

/// A clock that stands still until it is set, forwards or backwards, and randomness that is the same in every run: the
/// n-th draw is a hash of n. Clones share both.
#[derive(Clone, Debug)]
pub struct ManualSources(Arc<State>);

#[derive(Debug)]
struct State {
    now: AtomicI64,
    draws: AtomicU64,
}

/// 2026-01-01T00:00:00Z, in nanoseconds.
const START: i64 = 1_767_225_600_000_000_000;

impl Default for ManualSources {
    fn default() -> Self {
        Self(Arc::new(State { now: AtomicI64::new(START), draws: AtomicU64::new(0) }))
    }
}

impl ManualSources {
    /// Sets the clock, in nanoseconds since 1970 UTC.
    pub fn set(&self, nanos: i64) {
        self.0.now.store(nanos, Ordering::SeqCst);
    }

    /// Moves the clock by `nanos`, which may be negative.
    pub fn advance(&self, nanos: i64) {
        self.0.now.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Sources for ManualSources {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.now.load(Ordering::SeqCst))
    }

    fn random(&self, bytes: &mut [u8]) {
        let draw = self.0.draws.fetch_add(1, Ordering::SeqCst);
        for (block, chunk) in (0u64..).zip(bytes.chunks_mut(32)) {
            let hash = sha256(&[b"tracekeep-conformance", &draw.to_be_bytes(), &block.to_be_bytes()]);
            chunk.copy_from_slice(&hash.as_bytes()[..chunk.len()]);
        }
    }
}
