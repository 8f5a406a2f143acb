//! A run: one execution of an agent.

use crate::hash::Hash;
use crate::id::{CorrelationId, RunId};
use crate::model::{JsonObject, Redacted};
use crate::time::Timestamp;
use crate::wire::{object, words};

words! {
    /// How a run came in. Set by the door, never by the caller.
    pub enum Source {
        /// Recorded through the library, the API or the command line.
        Api = "api",
        /// Telemetry: started by its first span, and never closed to late ones.
        Otlp = "otlp",
        /// Brought in from an archive.
        Import = "import",
    }
}

words! {
    /// Where the gate of a run's effects was kept, with nothing that decides behind it. Set by the door, never by the caller.
    pub enum EffectGate {
        /// In Redis alone: what it loses may be done again.
        Redis = "redis",
    }
}

words! {
    /// Where a run stands.
    pub enum RunStatus {
        /// Not completed yet.
        Running = "running",
        /// Sealed as completed.
        Completed = "completed",
        /// Sealed as failed.
        Failed = "failed",
        /// Sealed as given up.
        Aborted = "aborted",
    }
}

words! {
    /// How a run ended.
    pub enum FinalStatus {
        /// It did what it set out to do.
        Completed = "completed",
        /// It did not.
        Failed = "failed",
        /// It was given up.
        Aborted = "aborted",
    }
}

impl From<FinalStatus> for RunStatus {
    fn from(status: FinalStatus) -> Self {
        match status {
            FinalStatus::Completed => Self::Completed,
            FinalStatus::Failed => Self::Failed,
            FinalStatus::Aborted => Self::Aborted,
        }
    }
}

object! {
    /// Starts a run. Everything may be absent; see the defaults at each member.
    pub struct StartRun {
        /// Names the run; generated (`run-` + UUIDv7) where absent.
        generated run_id: RunId,
        /// Ties runs together; generated (UUIDv4) where absent.
        generated correlation_id: CorrelationId,
        /// Who runs.
        optional agent_id: String,
        /// The run that this one is part of.
        optional parent_run_id: RunId,
        /// What it is for, in words.
        optional goal: String,
        /// The steps that it means to take: an array of objects. Absent is not the same as empty.
        optional plan: Vec<JsonObject>,
        /// What its randomness starts from; 42 unless told, and 0 is a seed.
        default seed: i64 = 42,
        /// The time that the run was told it is.
        optional frozen_timestamp: Timestamp,
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
        /// Words to find it by: at most 64 of 1 to 256 bytes; a repeated one is kept once.
        default tags: Vec<String> = Vec::new(),
        /// The policy that was in force.
        optional policy_snapshot_id: String,
        /// The door; `api` where nobody says otherwise.
        default source: Source = Source::Api,
        /// When it started; now where absent.
        generated started_at: Timestamp,
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
        /// Where the gate of its effects is kept, where that is Redis alone. The door alone states it.
        door idempotency_store: EffectGate,
    }
}

impl Default for StartRun {
    fn default() -> Self {
        Self {
            run_id: None,
            correlation_id: None,
            agent_id: None,
            parent_run_id: None,
            goal: None,
            plan: None,
            seed: 42,
            frozen_timestamp: None,
            metadata: JsonObject::default(),
            tags: Vec::new(),
            policy_snapshot_id: None,
            source: Source::Api,
            started_at: None,
            redacted: None,
            idempotency_store: None,
        }
    }
}

object! {
    /// Starts a run if its id is free; else a duplicate, whatever the run holds.
    pub struct EnsureRun {
        /// Names the run.
        required run_id: RunId,
        /// The door.
        default source: Source = Source::Api,
        /// Where the gate of its effects is kept, where that is Redis alone. The door alone states it.
        door idempotency_store: EffectGate,
    }
}

object! {
    /// States what was learnt of a run after it started. The first under a topic wins.
    pub struct DescribeRun {
        /// Names the run.
        required run_id: RunId,
        /// What states it: `root`, or `resource/<service.name>`. A reader takes `root`, then the earliest.
        required topic: String,
        /// Who runs.
        optional agent_id: String,
        /// What it is for, in words.
        optional goal: String,
        /// When it started by the producer's clock.
        optional started_at: Timestamp,
        /// When its root ended by the producer's clock.
        optional ended_at: Timestamp,
        /// Free members: of a telemetry resource, its attributes.
        default metadata: JsonObject = JsonObject::default(),
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
    }
}

object! {
    /// What a run did that a policy forbids.
    pub struct Violation {
        /// The step that did it.
        optional step_index: u32,
        /// When.
        optional at: Timestamp,
        /// The policy.
        optional policy_id: String,
        /// Why it is a violation.
        optional reason: String,
    }
}

crate::wire::object_field!(Violation);

object! {
    /// Completes, fails or aborts a run, and seals it. The hashes are claims: a wrong one is refused.
    pub struct CompleteRun {
        /// Names the run.
        required run_id: RunId,
        /// How it ended.
        required status: FinalStatus,
        /// Why it ended.
        optional termination_reason: String,
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
        /// What it did that a policy forbids.
        optional violation: Violation,
        /// Claims the hash of the plan.
        optional plan_hash: Hash,
        /// Claims the root over what the agent chose.
        optional behaviour_hash: Hash,
        /// Claims the root over what the agent chose and what came back.
        optional root_hash: Hash,
        /// When it ended; now where absent.
        generated completed_at: Timestamp,
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
    }
}

object! {
    /// Seals a telemetry run as it stands, for the nth time: what its server does once it has been quiet. Late spans may follow,
    /// and another seal after them.
    pub struct SealRun {
        /// Names the run.
        required run_id: RunId,
        /// Which seal of the run it is to be, from 0: the same again is a duplicate.
        required n: u64,
        /// How the run ended, by its root span.
        required status: FinalStatus,
        /// When its root span ended.
        optional completed_at: Timestamp,
    }
}

impl CompleteRun {
    /// Ends `run_id` with `status`, claiming nothing.
    #[must_use]
    pub fn new(run_id: RunId, status: FinalStatus) -> Self {
        Self {
            run_id,
            status,
            termination_reason: None,
            metadata: JsonObject::default(),
            violation: None,
            plan_hash: None,
            behaviour_hash: None,
            root_hash: None,
            completed_at: None,
            redacted: None,
        }
    }
}
