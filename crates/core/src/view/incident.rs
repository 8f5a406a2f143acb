//! Incidents as they read now.

use crate::id::{IncidentId, RunId};
use crate::json::Json;
use crate::model::{IncidentStatus, Redacted, Severity};
use crate::time::Timestamp;
use crate::wire::object;

object! {
    /// One incident as it reads now: how it ended stands in it.
    pub struct Incident {
        /// Its id.
        required incident_id: IncidentId,
        /// The run that caused it.
        optional run_id: RunId,
        /// Where it stands.
        required status: IncidentStatus,
        /// How bad it is.
        optional severity: Severity,
        /// The policy that was violated, by its id.
        optional policy_id: String,
        /// Its name.
        optional policy_name: String,
        /// What kind of violation it is.
        optional violation_type: String,
        /// What the policy allows.
        optional threshold: Json,
        /// What was found instead.
        optional actual: Json,
        /// The step that violated it.
        optional violation_step_index: u32,
        /// When the policy was violated, where that was stated.
        optional violation_at: Timestamp,
        /// What it is, in a line.
        optional title: String,
        /// What is known, in words.
        optional summary: String,
        /// When it was opened, by its producer's clock where that was stated.
        required created_at: Timestamp,
        /// What was found and done.
        optional resolution: String,
        /// On whose word it was resolved.
        optional resolved_by: String,
        /// When it was resolved, by its producer's clock where that was stated.
        optional resolved_at: Timestamp,
        /// What rules took out of it and of its resolution at the door, before it was hashed.
        optional redacted: Redacted,
        /// Its entry's log index.
        required log_index: u64,
        /// When it was recorded.
        required recorded_at: Timestamp,
        /// The log index of the entry that resolved it.
        optional resolved_log_index: u64,
        /// When that was recorded.
        optional resolved_recorded_at: Timestamp,
    }
}
