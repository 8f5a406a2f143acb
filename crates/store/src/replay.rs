//! Replaying a run from its record: what a step's output was, and who does it again.
//!
//! A step's `replay_behavior` decides. **skip** is answered from the record: nothing is done, however many ask. **execute**
//! and **check** are done again, once in each replay session: who does it is decided by the gate, under a key that is made
//! of session, run and index. A checked output that is not the recorded one is reported with both hashes.

use tracekeep_core::Timestamp;
use tracekeep_core::hash::{Hash, output_hash, sha256};
use tracekeep_core::id::{Key, RunId};
use tracekeep_core::json::Json;
use tracekeep_core::model::ReplayBehavior;
use tracekeep_core::view::Step;
use tracekeep_core::wire::{object, words};

use crate::error::{Code, Error, Result};
use crate::gate::{Fingerprint, IdempotencyResult, IdempotencyStore, Terms, Token};
use crate::ledger::LedgerStore;

words! {
    /// What becomes of a step in a replay.
    pub enum ReplayResult {
        /// It is not done again: the record has its output.
        Recorded = "recorded",
        /// The caller holds the claim: it is to do it, and to tell the gate the output under the key.
        New = "new",
        /// It was done again in this session: its output then.
        Duplicate = "duplicate",
        /// Somebody holds the claim.
        InProgress = "in_progress",
        /// Doing it again failed for good in this session.
        Failed = "failed",
    }
}

object! {
    /// The answer to a claim on a step of a replay.
    pub struct ReplayAnswer {
        /// The run that is replayed.
        required run_id: RunId,
        /// The step.
        required index: u32,
        /// What the record says is done with it.
        required replay_behavior: ReplayBehavior,
        /// What becomes of it.
        required result: ReplayResult,
        /// Of recorded, the recorded output; of a duplicate, that of this session. Absent where there was none, or where
        /// it is no longer kept.
        optional output: Json,
        /// The hash of the recorded output.
        optional recorded_hash: Hash,
        /// The hash of `output`.
        optional output_hash: Hash,
        /// Of a duplicate under `check`: its output is not the recorded one.
        default diverged: bool = false,
        /// The key at the gate, of what is done again.
        optional key: Key,
        /// Of new: what proves that the caller holds the claim.
        optional token: Token,
        /// How often the claim was given out in this session.
        optional attempt: u64,
        /// Until when the claim lasts without being renewed.
        optional lease_until: Timestamp,
        /// Of one in progress: milliseconds until the claim ends.
        optional retry_after_ms: u64,
        /// Of one that failed: why.
        optional error: String,
    }
}

/// The key at the gate under which a step is done again in a session: `replay-` and the SHA-256 of the tag
/// `tracekeep/replay/1`, a newline, and the canonical JSON of [session, run_id, index].
#[must_use]
pub fn key(session: &Key, run_id: &RunId, index: u32) -> Key {
    let claim = Json::array([Json::from(session.as_str()), Json::from(run_id.as_str()), Json::from(u64::from(index))]);
    let name = sha256(&[b"tracekeep/replay/1\n", claim.as_str().as_bytes()]);
    Key::new(format!("replay-{name}")).expect("invariant: a word and hex digits are visible ASCII")
}

/// What is done again: the step's action and its input.
#[must_use]
pub fn request(step: &Step) -> Json {
    Json::array([Json::from(step.skill_name.as_str()), Json::from(hex(step.input_hash))])
}

fn hex(hash: Option<Hash>) -> String {
    hash.map(|hash| hash.to_string()).unwrap_or_default()
}

/// The hash of an output; null is none.
#[must_use]
pub fn hash_of(output: Option<&Json>) -> Option<Hash> {
    output.filter(|output| !output.is_null()).map(|output| output_hash(output.as_str()))
}

/// The step that is to be replayed.
///
/// # Errors
/// `run_not_found`, `run_erased`, `step_not_found`; `erased` where what a replay does with it, or the output that it takes or
/// compares, was withheld; failures of the storage.
pub async fn step(ledger: &dyn LedgerStore, run_id: &RunId, index: u32) -> Result<Step> {
    if let Some(step) = ledger.step(run_id, index).await? {
        demand_told(&step)?;
        return Ok(step);
    }
    let (code, what) = match ledger.run(run_id).await? {
        Some(_) => (Code::StepNotFound, format!("no step {index} of run {run_id} is recorded")),
        None => (Code::RunNotFound, format!("no run {run_id} is recorded")),
    };
    Err(Error::new(code, what))
}

/// A step of which it is not known what a replay does with it is not done again, and none is answered as without output
/// that had one.
fn demand_told(step: &Step) -> Result<()> {
    let withheld = |wanted: &[&str]| step.withheld.iter().flatten().any(|name| wanted.contains(&name.as_str()));
    let takes_output = step.replay_behavior != ReplayBehavior::Execute;
    if withheld(&["replay_behavior"]) || takes_output && withheld(&["outcome_data", "output_hash"]) {
        let by = step.redacted_by.map_or_else(String::new, |by| format!(" by log index {by}"));
        return Err(Error::new(Code::Erased, format!("what a replay takes of step {} was withheld{by}", step.index)));
    }
    Ok(())
}

/// Claims a step of a replay: gives its recorded output, or lets one caller of the session do it again.
///
/// # Errors
/// As [`step`]; what the gate cannot answer, never *new* then.
pub async fn claim(
    ledger: &dyn LedgerStore,
    gate: &dyn IdempotencyStore,
    run_id: &RunId,
    index: u32,
    session: &Key,
    terms: &Terms,
) -> Result<ReplayAnswer> {
    let step = step(ledger, run_id, index).await?;
    let mut answer = recorded(run_id, &step);
    if step.replay_behavior == ReplayBehavior::Skip {
        answer.output = step.outcome_data;
        return Ok(answer);
    }
    let key = key(session, run_id, index);
    let told = gate.check(&key, &Fingerprint::of(&request(&step)), terms).await?;
    answer.result = match told.result {
        IdempotencyResult::New => ReplayResult::New,
        IdempotencyResult::Duplicate => ReplayResult::Duplicate,
        IdempotencyResult::InProgress => ReplayResult::InProgress,
        IdempotencyResult::Failed => ReplayResult::Failed,
        IdempotencyResult::Conflict => {
            return Err(Error::new(Code::KeyReused, "the key of this claim stands for another request"));
        }
    };
    answer.gave(told.response);
    answer.diverged &= answer.result == ReplayResult::Duplicate && !told.expired;
    answer.key = Some(key);
    answer.token = told.token;
    answer.attempt = Some(told.attempt);
    answer.lease_until = told.lease_until;
    answer.retry_after_ms = told.retry_after_ms;
    answer.error = told.error;
    Ok(answer)
}

/// Tells a session what doing a step again gave: answers *duplicate*, compared as whoever claims it from now on is told.
///
/// # Errors
/// As [`step`]; `key_not_found` where it was not claimed, `lease_lost` where another holds the claim by now; what the gate
/// cannot answer.
pub async fn complete(
    ledger: &dyn LedgerStore,
    gate: &dyn IdempotencyStore,
    run_id: &RunId,
    index: u32,
    session: &Key,
    token: &Token,
    output: Json,
) -> Result<ReplayAnswer> {
    let step = step(ledger, run_id, index).await?;
    let key = key(session, run_id, index);
    gate.mark_completed(&key, token, &output).await?;
    let mut answer = ReplayAnswer { result: ReplayResult::Duplicate, key: Some(key), ..recorded(run_id, &step) };
    answer.gave(Some(output));
    Ok(answer)
}

/// What the record says of a step, before anybody was asked.
fn recorded(run_id: &RunId, step: &Step) -> ReplayAnswer {
    ReplayAnswer {
        run_id: run_id.clone(),
        index: step.index,
        replay_behavior: step.replay_behavior,
        result: ReplayResult::Recorded,
        output: None,
        recorded_hash: step.output_hash,
        output_hash: step.output_hash,
        diverged: false,
        key: None,
        token: None,
        attempt: None,
        lease_until: None,
        retry_after_ms: None,
        error: None,
    }
}

impl ReplayAnswer {
    /// Takes what doing it again gave, and compares it where that is asked for.
    fn gave(&mut self, output: Option<Json>) {
        self.output = output.filter(|output| !output.is_null());
        self.output_hash = hash_of(self.output.as_ref());
        let checked = self.replay_behavior == ReplayBehavior::Check;
        self.diverged = checked && self.output_hash != self.recorded_hash;
    }
}
