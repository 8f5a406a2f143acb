//! A step: one executed action of a run, at an index.

use crate::amount::{Cost, DurationMs};
use crate::hash::Hash;
use crate::id::{RunId, TraceId};
use crate::json::Json;
use crate::model::Redacted;
use crate::time::Timestamp;
use crate::wire::{object, words};

words! {
    /// How a step went.
    pub enum StepStatus {
        /// It worked.
        Success = "success",
        /// It did not.
        Failure = "failure",
        /// It will be tried again under the next index.
        Retry = "retry",
        /// It was not executed.
        Skipped = "skipped",
    }
}

words! {
    /// What a replay does with a step.
    pub enum ReplayBehavior {
        /// Runs it again.
        Execute = "execute",
        /// Takes the recorded output.
        Skip = "skip",
        /// Runs it again and compares the outputs.
        Check = "check",
    }
}

object! {
    /// Records one step. First write wins: the same again is a duplicate, another under the index a conflict.
    pub struct RecordStep {
        /// Names the run.
        required run_id: RunId,
        /// 0 to 999,999.
        required index: u32,
        /// The action, 1 to 256 bytes.
        required skill_name: String,
        /// Its input.
        required params: Json,
        /// How it went.
        required status: StepStatus,
        /// How it went, in the caller's words; "" where unsaid.
        default outcome_category: String = String::new(),
        /// A code for it.
        optional outcome_code: String,
        /// Its output. Null is absent.
        optional outcome_data: Json,
        /// What it cost, in cents.
        default cost_cents: Cost = Cost::default(),
        /// How long it took, in milliseconds.
        default duration_ms: DurationMs = DurationMs::default(),
        /// Tokens used.
        optional tokens: u64,
        /// Attempts before this one.
        default retry_count: u32 = 0,
        /// When; now where absent.
        generated occurred_at: Timestamp,
        /// The key under which its effect was claimed at the gate.
        optional idempotency_key: String,
        /// What a replay does with it.
        default replay_behavior: ReplayBehavior = ReplayBehavior::Execute,
        /// H("tracekeep/input/1\n" ‖ canonical(params)): computed; a caller's value is checked.
        optional input_hash: Hash,
        /// H("tracekeep/output/1\n" ‖ canonical(outcome_data)): computed; absent without outcome_data.
        optional output_hash: Hash,
        /// The state of the run's randomness before it.
        optional rng_state_before: String,
        /// The reasoning that led to it.
        optional trace_id: TraceId,
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
    }
}

impl RecordStep {
    /// A step with every default: success, no cost, now.
    #[must_use]
    pub fn new(run_id: RunId, index: u32, skill_name: impl Into<String>, params: Json) -> Self {
        Self {
            run_id,
            index,
            skill_name: skill_name.into(),
            params,
            status: StepStatus::Success,
            outcome_category: String::new(),
            outcome_code: None,
            outcome_data: None,
            cost_cents: Cost::default(),
            duration_ms: DurationMs::default(),
            tokens: None,
            retry_count: 0,
            occurred_at: None,
            idempotency_key: None,
            replay_behavior: ReplayBehavior::Execute,
            input_hash: None,
            output_hash: None,
            rng_state_before: None,
            trace_id: None,
            redacted: None,
        }
    }
}
