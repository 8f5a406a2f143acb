//! The usual contract of a run.

use tracekeep_core::id::RunId;
use tracekeep_core::model::Expect;

use crate::names::{
    COMPLETE_TRACE, CREATE_INCIDENT, EVALUATE_POLICY, FINALIZE_RUN, INCIDENTS, LOGS, ORCHESTRATOR, POLICIES,
    START_TRACE,
};

/// Milliseconds that the parts of a system have to say that a run began.
const BEGIN_MS: u64 = 5_000;

/// What is usually expected of a run that may take `timeout_ms` and is given `grace_ms` beyond: within five seconds an
/// incident record, a policy evaluation and a begun trace; by the end of both the trace's end, which may stay out, and the
/// run's finalization, which is the liveness check.
///
/// The sum of both saturates; what is beyond ten years is refused when it is recorded.
#[must_use]
pub fn standard_expectations(run_id: &RunId, timeout_ms: u64, grace_ms: u64) -> Vec<Expect> {
    let end_ms = timeout_ms.saturating_add(grace_ms);
    let expect = |domain, action, deadline_ms| Expect::new(run_id.clone(), domain, action, deadline_ms);
    vec![
        expect(INCIDENTS, CREATE_INCIDENT, BEGIN_MS),
        expect(POLICIES, EVALUATE_POLICY, BEGIN_MS),
        expect(LOGS, START_TRACE, BEGIN_MS),
        Expect { optional: true, ..expect(LOGS, COMPLETE_TRACE, end_ms) },
        Expect { liveness: true, ..expect(ORCHESTRATOR, FINALIZE_RUN, end_ms) },
    ]
}
