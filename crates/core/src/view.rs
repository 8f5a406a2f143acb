//! What a reader gets: flat, what was recorded plus what was computed.
//!
//! The same types are written by the server and read by the client, so neither can drift from the other.

mod incident;

pub use incident::Incident;

use crate::amount::{Cost, DurationMs};
use crate::hash::Hash;
use crate::id::{BaselineName, CorrelationId, RunId, TraceId};
use crate::json::Json;
use crate::model::{
    EffectGate, GivenUp, JsonObject, KeyReason, Redacted, ReplayBehavior, RunStatus, Source, StepStatus, TraceStatus,
    TraceType, Violation,
};
use crate::seal::Gaps;
use crate::time::Timestamp;
use crate::wire::{object, object_field};

object! {
    /// One run as it reads now.
    pub struct Run {
        /// Its id.
        required run_id: RunId,
        /// What ties it to others; absent for telemetry.
        optional correlation_id: CorrelationId,
        /// Who ran.
        optional agent_id: String,
        /// The run that it is part of.
        optional parent_run_id: RunId,
        /// What it was for.
        optional goal: String,
        /// What it meant to do.
        optional plan: Vec<JsonObject>,
        /// What its randomness started from.
        optional seed: i64,
        /// The time that it was told it is.
        optional frozen_timestamp: Timestamp,
        /// Free members, of the start or of the description.
        default metadata: JsonObject = JsonObject::default(),
        /// Its tags.
        default tags: Vec<String> = Vec::new(),
        /// The policy in force.
        optional policy_snapshot_id: String,
        /// The door it came in by.
        required source: Source,
        /// Where it stands.
        required status: RunStatus,
        /// When it started, by its producer's clock where that was stated.
        required started_at: Timestamp,
        /// When it ended.
        optional completed_at: Timestamp,
        /// Of telemetry: when its root span ended. The run may still be `running`.
        optional root_ended_at: Timestamp,
        /// Why it ended.
        optional termination_reason: String,
        /// Free members of its completion.
        optional completion_metadata: JsonObject,
        /// What it did that a policy forbids: as its completion states, else its first incident.
        optional violation: Violation,
        /// The hash of the plan.
        optional plan_hash: Hash,
        /// Of the latest seal: over what the agent chose.
        optional behaviour_hash: Hash,
        /// Of the latest seal: over that and what came back.
        optional root_hash: Hash,
        /// Of the latest seal: the root of the run's own tree.
        optional run_root: Hash,
        /// Seals so far.
        required seals: u64,
        /// Entries of the run.
        required entries: u64,
        /// Steps.
        required steps: u64,
        /// Traces.
        required traces: u64,
        /// Of the latest seal: missing step indices.
        optional gaps: Gaps,
        /// Steps with status success.
        required successes: u64,
        /// Steps with status failure.
        required failures: u64,
        /// What the steps cost.
        required cost_cents: Cost,
        /// How long the steps took.
        required duration_ms: DurationMs,
        /// Tokens that the steps used, where any states them.
        optional tokens: u64,
        /// Whether something holds it now, on itself or through one of its tags: then it is not erased.
        default held: bool = false,
        /// What rules took out of its start, description and completion at the door, before it was hashed.
        optional redacted: Redacted,
        /// Where the gate of its effects was kept when it started, where that was Redis alone, with no arbiter behind it.
        optional idempotency_store: EffectGate,
        /// What of it, or of its latest seal, is withheld since a member of a step is that it is over.
        optional withheld: Vec<String>,
        /// The log index of its first entry.
        required log_index: u64,
        /// The log index of its latest seal.
        optional sealed_log_index: u64,
        /// When its first entry was recorded.
        required recorded_at: Timestamp,
    }
}

object! {
    /// How many runs fit.
    pub struct RunCount {
        /// So many.
        required count: u64,
        /// Whether these are all. Where the runs are not counted by a kept counter, the count ends at the budget of one page
        /// (10,000 rows, or 8 MiB of bodies): there are then at least so many.
        default complete: bool = true,
    }
}

object! {
    /// A run from telemetry whose root span has ended and that waits for a seal.
    pub struct UnsealedRun {
        /// Its id.
        required run_id: RunId,
        /// Its seals so far: the number of the next one.
        required seals: u64,
        /// Where it stands.
        required status: RunStatus,
        /// Whether a caller said how it ended: then that stays.
        required completed: bool,
        /// When its root span ended.
        required root_ended_at: Timestamp,
        /// When something last came that no seal covers.
        required unsealed_at: Timestamp,
    }
}

object! {
    /// One step as it reads now.
    pub struct Step {
        /// The run.
        required run_id: RunId,
        /// Its index.
        required index: u32,
        /// The action.
        required skill_name: String,
        /// Its input.
        required params: Json,
        /// How it went.
        required status: StepStatus,
        /// How it went, in the caller's words.
        default outcome_category: String = String::new(),
        /// A code for it.
        optional outcome_code: String,
        /// Its output.
        optional outcome_data: Json,
        /// What it cost.
        required cost_cents: Cost,
        /// How long it took.
        required duration_ms: DurationMs,
        /// Tokens used.
        optional tokens: u64,
        /// Attempts before this one.
        required retry_count: u32,
        /// When.
        required occurred_at: Timestamp,
        /// The key under which its effect was claimed.
        optional idempotency_key: String,
        /// What a replay does with it.
        required replay_behavior: ReplayBehavior,
        /// The hash of its input.
        optional input_hash: Hash,
        /// The hash of its output.
        optional output_hash: Hash,
        /// The state of the run's randomness before it.
        optional rng_state_before: String,
        /// The reasoning that led to it.
        optional trace_id: TraceId,
        /// What rules took out of it at the door, before it was hashed.
        optional redacted: Redacted,
        /// Members that were withheld afterwards: each reads as if it were empty, or absent.
        optional withheld: Vec<String>,
        /// The log index of the redaction that holds what is left of it.
        optional redacted_by: u64,
        /// Its entry's log index.
        required log_index: u64,
        /// Its entry's number in the run.
        required seq: u64,
        /// When it was recorded.
        required recorded_at: Timestamp,
    }
}

object! {
    /// One trace as it reads now: its end stands in it.
    pub struct Trace {
        /// The run.
        required run_id: RunId,
        /// Its id.
        required id: TraceId,
        /// The trace that it names as its parent.
        optional parent_id: TraceId,
        /// What kind of node it is; an end's result, duration and count stand in it.
        required trace_type: TraceType,
        /// When it began.
        required occurred_at: Timestamp,
        /// When it ended.
        optional ended_at: Timestamp,
        /// How it stands.
        required status: TraceStatus,
        /// What went wrong, as its end says, or the status of its span.
        optional error: String,
        /// Its tags.
        default tags: Vec<String> = Vec::new(),
        /// Free members.
        default metadata: JsonObject = JsonObject::default(),
        /// Of a span: the canonical OTLP JSON.
        optional otel: JsonObject,
        /// What rules took out of it and of its end at the door, before it was hashed.
        optional redacted: Redacted,
        /// Members that were withheld afterwards, of it or of its end: each reads as if it were empty, or absent.
        optional withheld: Vec<String>,
        /// The log index of the redaction that holds what is left of it.
        optional redacted_by: u64,
        /// Recorded after the run was sealed.
        default late: bool = false,
        /// Stands among the roots, since its parent would have closed a cycle or was too far down to tell.
        default orphan: bool = false,
        /// Its entry's log index.
        required log_index: u64,
        /// Its entry's number in the run.
        required seq: u64,
        /// When it was recorded.
        required recorded_at: Timestamp,
        /// The log index of the entry that ended it.
        optional ended_log_index: u64,
    }
}

object! {
    /// One node of a run's forest, in pre-order.
    pub struct TreeNode {
        /// The trace; absent where it is yet to come.
        optional trace: Trace,
        /// The id of a parent that was named and is yet to come.
        optional missing: TraceId,
        /// How far below the walk's roots, which are at 0.
        required depth: u32,
        /// Direct children at the time of reading.
        required children: u64,
    }
}

object! {
    /// How many traces a run has, by type, by tag and by status, from kept counters. What counts none is left out.
    pub struct TraceCounts {
        /// All of them.
        required total: u64,
        /// (name, count), sorted by name.
        required types: Vec<NameCount>,
        /// (name, count), sorted by name.
        required tags: Vec<NameCount>,
        /// (status, count).
        required statuses: Vec<NameCount>,
        /// There are more types or tags than 1,000: the others are asked for by name.
        default truncated: bool = false,
    }
}

object! {
    /// What took recorded content away: of an erased run all that is left to read.
    pub struct Erasure {
        /// Its entry.
        required log_index: u64,
        /// When, by the ledger's clock.
        required recorded_at: Timestamp,
        /// Why.
        required reason: String,
        /// On whose word.
        optional by: String,
    }
}

object! {
    /// What is held now.
    pub struct Held {
        /// The run.
        optional run_id: RunId,
        /// The tag; then every run that carries it is held.
        optional tag: String,
        /// Why.
        required reason: String,
        /// On whose word.
        optional by: String,
        /// The entry that says so.
        required log_index: u64,
        /// When, by the ledger's clock.
        required recorded_at: Timestamp,
    }
}

object! {
    /// What a name stands for: the run that others are held to.
    pub struct Baseline {
        /// The name.
        required name: BaselineName,
        /// The run.
        required run_id: RunId,
        /// Why.
        optional reason: String,
        /// On whose word.
        optional by: String,
        /// The run's; absent where it was erased, or where this is withheld.
        optional behaviour_hash: Hash,
        /// The run's; likewise.
        optional root_hash: Hash,
        /// The entry that says so.
        required log_index: u64,
        /// When, by the ledger's clock.
        required recorded_at: Timestamp,
    }
}

object! {
    /// One counter.
    pub struct NameCount {
        /// The type or tag.
        required name: String,
        /// How many.
        required count: u64,
    }
}

object! {
    /// One entry of the raw log.
    pub struct LogEntry {
        /// Its place in the ledger.
        required log_index: u64,
        /// The leaf: canonical JSON.
        required leaf: JsonObject,
        /// The hash of the leaf.
        required leaf_hash: Hash,
        /// The recorded body; absent where it was erased.
        optional body: Json,
        /// The salt of its commitment; absent where it was erased.
        optional salt: Hash,
        /// The log index of the redaction that withheld a member of it, and holds what is left; absent where its run was erased.
        optional redacted_by: u64,
    }
}

object! {
    /// Where an entry stands and what it is: what followers of the log are told. It holds nothing that was recorded.
    pub struct LogEvent {
        /// Its place in the ledger.
        required log_index: u64,
        /// The run's id; "" for an entry of no run.
        required run: String,
        /// Its number within its run, from 0.
        required seq: u64,
        /// The kind; the list is open.
        required kind: String,
        /// The ledger's own clock.
        required recorded_at: Timestamp,
    }
}

object! {
    /// A key that the log was signed with, or is.
    pub struct DeclaredKey {
        /// The public key, `NAME+ID+BASE64`.
        required key: String,
        /// The one before it.
        optional previous: String,
        /// Why it came to be.
        required reason: KeyReason,
        /// In words.
        optional why: String,
        /// On whose word.
        optional by: String,
        /// What was signed last before it and was given up with the key before it.
        optional given_up: GivenUp,
        /// Its declaration: it signs sizes above this log index, and not above the next declaration's.
        required log_index: u64,
        /// When it was declared, by the ledger's own clock.
        required recorded_at: Timestamp,
    }
}

object! {
    /// The ledger's size and root.
    pub struct Head {
        /// Entries.
        required tree_size: u64,
        /// The root over their leaves.
        required root: Hash,
    }
}

object! {
    /// Proves that an entry is in the log (RFC 9162 §2.1.3).
    pub struct InclusionProof {
        /// The entry.
        required log_index: u64,
        /// Its leaf hash.
        required leaf_hash: Hash,
        /// The size of the tree that it is proved in.
        required tree_size: u64,
        /// The root at that size.
        required root: Hash,
        /// Sibling hashes from leaf to root.
        required hashes: Vec<Hash>,
    }
}

object! {
    /// Proves that the log at one size extends the log at an earlier one (RFC 9162 §2.1.4).
    pub struct ConsistencyProof {
        /// The earlier size.
        required from: u64,
        /// The root at that size.
        required from_root: Hash,
        /// The later size.
        required to: u64,
        /// The root at that size.
        required to_root: Hash,
        /// The proof.
        required hashes: Vec<Hash>,
    }
}

object! {
    /// What a multiproof is asked for: a form of its own, since a run's places do not fit a URL.
    pub struct MultiproofOf {
        /// Log indices, ascending, each once, at most [`PROVED_MAX`](crate::limits::PROVED_MAX).
        required indices: Vec<u64>,
        /// The size of the tree to prove them in; the head's unless told.
        optional size: u64,
    }
}

object! {
    /// An entry, its place in the log, and the signed checkpoint that the place is proved against: all that somebody without
    /// the ledger needs but the public key. Of a run it is the seal, whose body states the root over the run's entries.
    pub struct SignedProof {
        /// The entry.
        required entry: LogEntry,
        /// The size of the tree that it is proved in: the checkpoint's.
        required tree_size: u64,
        /// Sibling hashes from leaf to root.
        required hashes: Vec<Hash>,
        /// The signed note (c2sp.org/tlog-checkpoint).
        required checkpoint: String,
    }
}

object! {
    /// Proves that many entries are in the log, by one proof ([`crate::merkle::multiproof`]).
    pub struct Multiproof {
        /// The entries.
        required indices: Vec<u64>,
        /// The size of the tree that they are proved in.
        required tree_size: u64,
        /// The root at that size.
        required root: Hash,
        /// The nodes of the tree that the entries do not say themselves, from left to right.
        required nodes: Vec<Hash>,
    }
}

object_field!(Run, Step, Trace, TreeNode, NameCount, LogEntry, Erasure, Held, Baseline, UnsealedRun, Incident);
object_field!(DeclaredKey);
