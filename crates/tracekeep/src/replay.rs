//! Replaying a run from its record.

use std::sync::Arc;

use tracekeep_core::hash::Hash;
use tracekeep_core::id::{Key, RunId};
use tracekeep_core::json::Json;
use tracekeep_core::model::ReplayBehavior;
use tracekeep_core::view::Step;
use tracekeep_store::gate::Terms;
use tracekeep_store::{LedgerStore, Result, Source, block_on, replay};

use crate::idempotency::{Effect, IdempotencyGate, Once};

/// One replay of a run: answers its steps from the record, or does them again, as each step's `replay_behavior` says.
///
/// **skip** is answered from the record; nothing is done. **execute** is done again, and **check** is done again and its
/// output compared with the recorded one: each once in a session, however many threads or processes replay it. A handle
/// begins a session of its own, which its clones share; processes share one under a name ([`Replay::in_session`]).
///
/// ```
/// use tracekeep::{Effect, Json, RecordStep, ReplayBehavior, StartRun, Tracekeep};
///
/// let tracekeep = Tracekeep::open_in_memory();
/// let run = tracekeep.runs().start_run(StartRun::default())?;
/// let mut step = RecordStep::new(run.clone(), 0, "search", Json::parse(r#"{"to":"LIS"}"#)?);
/// step.outcome_data = Some(Json::parse(r#"{"hits":3}"#)?);
/// step.replay_behavior = ReplayBehavior::Skip;
/// tracekeep.runs().record_step(step)?;
///
/// let again = tracekeep.replay(&run).step(0, |_| panic!("the tool is not called"))?;
/// assert_eq!(again.output.map(|output| output.to_string()), Some(r#"{"hits":3}"#.to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    ledger: Arc<dyn LedgerStore>,
    gate: IdempotencyGate,
    run_id: RunId,
    session: Key,
}

/// What became of a step in a replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// Where the output comes from.
    pub how: How,
    /// The output; absent where there was none, or where it is no longer kept.
    pub output: Option<Json>,
    /// The hash of the recorded output.
    pub recorded_hash: Option<Hash>,
    /// The hash of `output`.
    pub output_hash: Option<Hash>,
    /// Of a checked step: its output is not the recorded one.
    pub diverged: bool,
}

/// Where the output of a replayed step comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// From the record: nothing was done.
    Recorded,
    /// It was done again, now.
    Executed,
    /// It was done again before, in this session.
    Repeated,
    /// It was done again before, so long ago that its output is no longer kept.
    Expired,
}

impl Replay {
    pub(crate) fn new(ledger: Arc<dyn LedgerStore>, gate: IdempotencyGate, run_id: RunId) -> Self {
        let session = Key::new(Source::default().run_id().as_str()).expect("invariant: an id is an id");
        Self { ledger, gate, run_id, session }
    }

    /// The same in a session of this name: what was done again in it is not done once more.
    #[must_use]
    pub fn in_session(self, session: Key) -> Self {
        Self { session, ..self }
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Key {
        &self.session
    }

    /// The output of a step as it is recorded; `None` where it had none.
    ///
    /// # Errors
    /// `run_not_found`, `run_erased`, `step_not_found`; failures of the storage.
    pub fn recorded_output(&self, index: u32) -> Result<Option<Json>> {
        Ok(self.recorded(index)?.outcome_data)
    }

    fn recorded(&self, index: u32) -> Result<Step> {
        block_on(replay::step(&*self.ledger, &self.run_id, index))
    }

    /// Replays a step: `effect` does it again, where that is to be done; it is given the step as recorded.
    ///
    /// # Errors
    /// As [`Replay::recorded_output`]; `in_progress` while another caller of the session is at it; `effect_failed` and
    /// what else [`IdempotencyGate::once`] fails with.
    pub fn step(&self, index: u32, effect: impl FnOnce(&Step) -> Effect) -> Result<Replayed> {
        self.step_under(index, &Terms { run_id: Some(self.run_id.clone()), ..Terms::default() }, effect)
    }

    /// [`step`](Self::step) under other terms: a longer lease, say.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_under(&self, index: u32, terms: &Terms, effect: impl FnOnce(&Step) -> Effect) -> Result<Replayed> {
        let step = self.recorded(index)?;
        let recorded_hash = step.output_hash;
        if step.replay_behavior == ReplayBehavior::Skip {
            let (output, output_hash) = (step.outcome_data, recorded_hash);
            return Ok(Replayed { how: How::Recorded, output, recorded_hash, output_hash, diverged: false });
        }
        let key = replay::key(&self.session, &self.run_id, index);
        let once = self.gate.once_blocking_under(&key, &replay::request(&step), terms, || effect(&step))?;
        let (how, output) = match once {
            Once::Done(output) => (How::Executed, Some(output)),
            Once::Replayed(output) => (How::Repeated, Some(output)),
            Once::Expired => (How::Expired, None),
        };
        let output = output.filter(|output| !output.is_null());
        let output_hash = replay::hash_of(output.as_ref());
        let checked = step.replay_behavior == ReplayBehavior::Check && how != How::Expired;
        Ok(Replayed { how, output, recorded_hash, output_hash, diverged: checked && output_hash != recorded_hash })
    }
}
