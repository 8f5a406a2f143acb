//! Figures of the gate, and what the log says of it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tracekeep_store::gate::GateWord;

/// How long the log says nothing more of what it has just said.
const QUIET: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    code: String,
}

#[derive(Debug)]
pub(crate) struct GateMetrics {
    untold: Family<Failure, Counter>,
    said: Mutex<Said>,
}

impl GateMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let untold = Family::default();
        let help = "Decisions of the arbiter that Redis was not told, or may not have been, by code";
        registry.register("gate_untold_notes", help, untold.clone());
        Self { untold, said: Mutex::default() }
    }

    /// Counts what the gate tells, and logs the first of it, and then how many there were, once a minute at most.
    pub(crate) fn heard(&self, word: &GateWord<'_>) {
        let GateWord::Untold { code } = word else { return };
        self.untold.get_or_create(&Failure { code: (*code).to_owned() }).inc();
        // A count stands whole: a poisoned lock guards one.
        let count = self.said.lock().unwrap_or_else(PoisonError::into_inner).once_more(Instant::now());
        if let Some(count) = count {
            tracing::warn!(code, count, "Redis was not told what the ledger decided about keys of the gate");
        }
    }
}

/// What was said of something that happens again and again.
#[derive(Debug, Default)]
struct Said {
    at: Option<Instant>,
    unsaid: u64,
}

impl Said {
    /// How often it happened since it was last said, where it is to be said now.
    fn once_more(&mut self, now: Instant) -> Option<u64> {
        self.unsaid += 1;
        if self.at.is_some_and(|at| now.saturating_duration_since(at) < QUIET) {
            return None;
        }
        self.at = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_said_once_a_minute_with_its_count() {
        let (mut said, start) = (Said::default(), Instant::now());
        let mut at = |seconds| said.once_more(start + Duration::from_secs(seconds));
        assert_eq!(
            [at(0), at(0), at(1), at(59), at(60), at(61), at(120)],
            [Some(1), None, None, None, Some(4), None, Some(2)]
        );
    }
}
