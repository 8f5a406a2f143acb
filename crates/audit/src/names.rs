//! Well-known domains and actions. The names are open: a contract may use any others.

/// Incidents.
pub const INCIDENTS: &str = "incidents";
/// Policies.
pub const POLICIES: &str = "policies";
/// The log of a run.
pub const LOGS: &str = "logs";
/// What drives the run.
pub const ORCHESTRATOR: &str = "orchestrator";

/// An incident record is created, be it that there is none to report.
pub const CREATE_INCIDENT: &str = "create_incident";
/// The policy in force is evaluated.
pub const EVALUATE_POLICY: &str = "evaluate_policy";
/// The run's trace is begun.
pub const START_TRACE: &str = "start_trace";
/// The run's trace is ended.
pub const COMPLETE_TRACE: &str = "complete_trace";
/// The run is finalized: the standard liveness check.
pub const FINALIZE_RUN: &str = "finalize_run";
