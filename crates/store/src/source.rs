//! Where times, ids and random bytes come from: injected, so that tests are exact and `plan` is pure.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tracekeep_core::Timestamp;
use tracekeep_core::id::{AckId, CorrelationId, ExpectationId, ExportId, IncidentId, LedgerId, RunId, TraceId};

/// A source of time and randomness.
pub trait Sources: Send + Sync + 'static {
    /// The time now. It may go backwards; the ledger's own clock does not.
    fn now(&self) -> Timestamp;
    /// Fills `bytes` with randomness that nobody can foresee.
    fn random(&self, bytes: &mut [u8]);
}

/// The machine's clock and its randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemSources;

impl Sources for SystemSources {
    fn now(&self) -> Timestamp {
        let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
        };
        Timestamp::from_nanos(nanos)
    }

    fn random(&self, bytes: &mut [u8]) {
        let is_drawn = bytes.len() <= DRAWN_BYTES_MAX
            && POOL.try_with(|pool| pool.try_borrow_mut().map(|mut pool| pool.draw(bytes)).is_ok()).unwrap_or(false);
        if !is_drawn {
            ask_for_randomness(bytes);
        }
    }
}

/// Randomness that a thread has in store.
const POOL_BYTES: usize = 512;
/// What is taken from it; more is asked for by itself.
const DRAWN_BYTES_MAX: usize = 32;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], left: 0, process: 0 }) };
}

/// A thread asks the operating system once for many tokens. No byte is given out twice: what was taken is overwritten, and a
/// process that was forked begins anew.
struct Pool {
    bytes: [u8; POOL_BYTES],
    /// How many from the beginning on were not given out.
    left: usize,
    process: u32,
}

impl Pool {
    fn draw(&mut self, bytes: &mut [u8]) {
        let process = std::process::id();
        if self.left < bytes.len() || self.process != process {
            ask_for_randomness(&mut self.bytes);
            (self.left, self.process) = (POOL_BYTES, process);
        }
        let rest = self.left - bytes.len();
        let drawn = &mut self.bytes[rest..self.left];
        bytes.copy_from_slice(drawn);
        drawn.fill(0);
        self.left = rest;
    }
}

fn ask_for_randomness(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("invariant: the operating system gives randomness");
}

/// A shared source, with what is made from it.
#[derive(Clone)]
pub struct Source(Arc<dyn Sources>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::new(SystemSources)
    }
}

impl Source {
    /// Shares `sources`.
    #[must_use]
    pub fn new(sources: impl Sources) -> Self {
        Self(Arc::new(sources))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.random(&mut bytes);
        bytes
    }

    /// A new ledger's id.
    #[must_use]
    pub fn ledger_id(&self) -> LedgerId {
        LedgerId::from_bytes(self.bytes())
    }

    /// A new run's id: `run-` + UUIDv7.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        RunId::new(format!("run-{}", self.uuid_v7())).expect("invariant: a UUID is visible ASCII")
    }

    /// A new trace's id: `trace-` + UUIDv7.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        TraceId::new(format!("trace-{}", self.uuid_v7())).expect("invariant: a UUID is visible ASCII")
    }

    /// A new expectation's id: `exp-` + UUIDv7.
    #[must_use]
    pub fn expectation_id(&self) -> ExpectationId {
        ExpectationId::new(format!("exp-{}", self.uuid_v7())).expect("invariant: a UUID is visible ASCII")
    }

    /// A new acknowledgement's id: `ack-` + UUIDv7.
    #[must_use]
    pub fn ack_id(&self) -> AckId {
        AckId::new(format!("ack-{}", self.uuid_v7())).expect("invariant: a UUID is visible ASCII")
    }

    /// A new incident's id: `inc-` + UUIDv7.
    #[must_use]
    pub fn incident_id(&self) -> IncidentId {
        IncidentId::new(format!("inc-{}", self.uuid_v7())).expect("invariant: a UUID is visible ASCII")
    }

    /// A new export's id: `export-` + UUIDv7.
    #[must_use]
    pub fn export_id(&self) -> ExportId {
        ExportId::new(format!("export-{}", self.uuid_v7())).expect("invariant: a UUID is visible ASCII")
    }

    /// A new correlation id: UUIDv4.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        let uuid = uuid::Builder::from_random_bytes(self.bytes()).into_uuid();
        CorrelationId::new(uuid.to_string()).expect("invariant: a UUID is visible ASCII")
    }

    fn uuid_v7(&self) -> uuid::Uuid {
        let millis = u64::try_from(self.now().as_nanos() / 1_000_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_randomness_is_given_out_twice() {
        let mut drawn = HashSet::new();
        for _ in 0..1_000 {
            assert!(drawn.insert(Source::default().bytes::<16>()));
            assert!(drawn.insert(Source::default().bytes::<24>()[..16].try_into().expect("16 bytes")));
        }
        let mut more = [0; POOL_BYTES];
        SystemSources.random(&mut more);
        assert_ne!(more, [0; POOL_BYTES]);
    }

    #[test]
    fn a_process_that_was_forked_begins_anew() {
        let mut pool = Pool { bytes: [7; POOL_BYTES], left: POOL_BYTES, process: std::process::id().wrapping_add(1) };
        let mut bytes = [0; 16];
        pool.draw(&mut bytes);
        assert_ne!(bytes, [7; 16]);
        assert_eq!((pool.left, pool.process), (POOL_BYTES - 16, std::process::id()));
        assert_eq!(pool.bytes[pool.left..], [0; 16]);
    }
}
