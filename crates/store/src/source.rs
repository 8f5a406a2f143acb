//! Where times, ids and random bytes come from: injected, so that tests are exact and `plan` is pure.

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
        getrandom::fill(bytes).expect("invariant: the operating system gives randomness");
    }
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
