//! The seal: what a closed run states of itself, and the folding of its steps on the way there.
//!
//! Two Merkle trees stand over a run: `behaviour` over what the agent chose, `exact` over that and what came back. Their
//! leaves are a header, one for each step present in index order, and an end (docs/format/determinism.md). Steps are
//! folded as they arrive while they are contiguous from 0, so that a seal reads only what lies beyond the first gap.

use crate::amount::{Cost, DurationMs};
use crate::body::Body;
use crate::compare::Level;
use crate::hash::Hash;
use crate::id::Key;
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{Json, Value};
use crate::limits::GAP_RANGES_MAX;
use crate::merkle::{self, Frontier};
use crate::model::{CompleteRun, FinalStatus, RecordStep, StepStatus};
use crate::wire::{Draft, Field, Fields, Path, Shape, object, read_whole, take_required};

/// The members of `sealed` that are no members of the op.
pub(crate) const COMPUTED_ONLY: [&str; 8] =
    ["n", "run_root", "entries", "steps", "traces", "gaps", "totals", "verdict"];

/// The members of `sealed` that the ledger computes: a claim may name some of them.
pub const COMPUTED: [&str; 11] = [
    "n",
    "run_root",
    "entries",
    "steps",
    "traces",
    "gaps",
    "totals",
    "verdict",
    "plan_hash",
    "behaviour_hash",
    "root_hash",
];

/// A pair of leaf hashes of one step: behaviour and exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLeaves {
    /// Over what the agent chose.
    pub behaviour: Hash,
    /// Over that and what came back.
    pub exact: Hash,
}

impl StepLeaves {
    /// Of a step of which a member is withheld that its leaves are over. No leaf hashes to it.
    pub const WITHHELD: Self = Self { behaviour: Hash::ZERO, exact: Hash::ZERO };

    /// The hash in one of the trees.
    #[must_use]
    pub const fn at(&self, level: Level) -> Hash {
        match level {
            Level::Behaviour => self.behaviour,
            Level::Exact => self.exact,
        }
    }

    fn over(body: impl Fn(Level) -> Body) -> Self {
        let hash = |level| leaf_hash(level, body(level).as_str());
        Self { behaviour: hash(Level::Behaviour), exact: hash(Level::Exact) }
    }
}

/// The hash of a leaf whose canonical JSON is `body`.
#[must_use]
pub fn leaf_hash(level: Level, body: &str) -> Hash {
    let tag: &[u8] = match level {
        Level::Behaviour => b"tracekeep/behaviour/1\n",
        Level::Exact => b"tracekeep/exact/1\n",
    };
    merkle::leaf_hash(&[tag, body.as_bytes()].concat())
}

/// What stands in the leaf of one step whose hashes were computed ([`crate::model::Op::check`] does).
#[must_use]
pub fn step_leaf(step: &RecordStep, level: Level) -> Body {
    let mut draft = Draft::default();
    draft.put("index", &step.index);
    draft.put_optional("input_hash", step.input_hash.as_ref());
    draft.put("outcome_category", &step.outcome_category);
    draft.put_optional("outcome_code", step.outcome_code.as_ref());
    draft.put("replay_behavior", &step.replay_behavior);
    draft.put("retry_count", &step.retry_count);
    draft.put("skill_name", &step.skill_name);
    draft.put("status", &step.status);
    if level == Level::Exact {
        draft.put_optional("output_hash", step.output_hash.as_ref());
        draft.put_optional("rng_state_before", step.rng_state_before.as_ref());
    }
    draft.finish()
}

/// What stands in the header's leaf: {plan_hash, seed}, absent members dropped.
#[must_use]
pub fn header_leaf(plan_hash: Option<Hash>, seed: Option<i64>) -> Body {
    let mut draft = Draft::default();
    draft.put_optional("plan_hash", plan_hash.as_ref());
    draft.put_optional("seed", seed.as_ref());
    draft.finish()
}

/// What stands in the last leaf: {end: status}.
#[must_use]
pub fn end_leaf(status: FinalStatus) -> Body {
    let mut draft = Draft::default();
    draft.put("end", &status);
    draft.finish()
}

/// The leaves of one step, as [`step_leaf`].
#[must_use]
pub fn step_leaves(step: &RecordStep) -> StepLeaves {
    StepLeaves::over(|level| step_leaf(step, level))
}

/// The leaves of the header, as [`header_leaf`].
#[must_use]
pub fn header_leaves(plan_hash: Option<Hash>, seed: Option<i64>) -> StepLeaves {
    StepLeaves::over(|_| header_leaf(plan_hash, seed))
}

/// The leaves of the end, as [`end_leaf`].
#[must_use]
pub fn end_leaves(status: FinalStatus) -> StepLeaves {
    StepLeaves::over(|_| end_leaf(status))
}

/// The two trees of a run over its header and its steps 0 to `steps` − 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    behaviour: Frontier,
    exact: Frontier,
}

impl Fold {
    /// Starts with the header.
    #[must_use]
    pub fn new(plan_hash: Option<Hash>, seed: Option<i64>) -> Self {
        let mut fold = Self { behaviour: Frontier::new(), exact: Frontier::new() };
        fold.push(&header_leaves(plan_hash, seed));
        fold
    }

    /// Folds the next step in index order.
    pub fn push(&mut self, leaves: &StepLeaves) {
        self.behaviour.push(leaves.behaviour);
        self.exact.push(leaves.exact);
    }

    /// Steps folded so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.behaviour.size() - 1
    }

    /// How many leaves at the front of both runs' trees, the header's among them, are surely the same: those under the
    /// complete subtrees that the two frontiers share. There may be more.
    #[must_use]
    pub fn same_front(&self, other: &Self, level: Level) -> u64 {
        match level {
            Level::Behaviour => self.behaviour.same_front(&other.behaviour),
            Level::Exact => self.exact.same_front(&other.exact),
        }
    }

    /// behaviour_hash and root_hash of the run that ends here with `status`.
    #[must_use]
    pub fn finish(mut self, status: FinalStatus) -> StepLeaves {
        self.push(&end_leaves(status));
        StepLeaves { behaviour: self.behaviour.root(), exact: self.exact.root() }
    }

    /// The two frontiers, one after the other, for a backend to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.behaviour.to_bytes(), self.exact.to_bytes()].concat()
    }

    /// Reads [`Fold::to_bytes`] back.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(2) {
            return None;
        }
        let (behaviour, exact) = bytes.split_at(bytes.len() / 2);
        let fold = Self { behaviour: Frontier::from_bytes(behaviour).ok()?, exact: Frontier::from_bytes(exact).ok()? };
        (fold.behaviour.size() == fold.exact.size() && fold.behaviour.size() > 0).then_some(fold)
    }
}

/// Step indices that are missing below the largest one present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// How many indices are missing.
    pub count: u64,
    /// The first 100 ranges of them, half-open: [from, to).
    pub ranges: Vec<(u32, u32)>,
}

impl Gaps {
    /// Notes that the indices from `from` up to `to` (exclusive) are missing; ranges come in order.
    pub fn push(&mut self, from: u32, to: u32) {
        self.count += u64::from(to - from);
        if self.ranges.len() < GAP_RANGES_MAX as usize {
            self.ranges.push((from, to));
        }
    }
}

object! {
    /// The wire form of gaps.
    pub struct GapsWire {
        /// Missing indices.
        required count: u64,
        /// Half-open ranges.
        required ranges: Vec<Vec<u32>>,
    }
}

impl Field for Gaps {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        let wire: GapsWire = read_whole(value, at)?;
        let ranges = wire.ranges.iter().map(|range| match range[..] {
            [from, to] if from < to => Ok((from, to)),
            _ => Err(at.name("ranges").refuse(InvalidCode::InvalidMember, "a range is two ascending indices")),
        });
        Ok(Self { count: wire.count, ranges: ranges.collect::<Result<_, _>>()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut draft = Draft::default();
        draft.put("count", &self.count);
        draft.put("ranges", &self.ranges.iter().map(|(from, to)| vec![*from, *to]).collect::<Vec<_>>());
        out.extend_from_slice(draft.finish().as_str().as_bytes());
    }

    fn shape() -> Shape {
        Shape::of::<GapsWire>()
    }
}

/// What a run's steps add up to; maintained as they arrive, never summed on reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Steps with status success.
    pub successes: u64,
    /// Steps with status failure (retry and skipped are neither).
    pub failures: u64,
    /// Micro-cents.
    pub cost_micro_cents: i64,
    /// Nanoseconds.
    pub duration_ns: i64,
    /// Tokens; `None` when no step states any.
    pub tokens: Option<u64>,
}

impl Totals {
    /// Adds one step.
    ///
    /// # Errors
    /// `number_out_of_range` where a total would overflow; `self` is then unchanged.
    pub fn add(&mut self, step: &RecordStep) -> Result<(), Invalid> {
        let overflow = |member: &str| {
            Invalid::new(InvalidCode::NumberOutOfRange, format!("/{member}"), "the run's total would overflow")
        };
        let cost_micro_cents = self
            .cost_micro_cents
            .checked_add(step.cost_cents.as_micro_cents())
            .ok_or_else(|| overflow("cost_cents"))?;
        let duration_ns =
            self.duration_ns.checked_add(step.duration_ms.as_nanos()).ok_or_else(|| overflow("duration_ms"))?;
        let tokens = match (self.tokens, step.tokens) {
            (Some(sum), Some(tokens)) => Some(sum.checked_add(tokens).ok_or_else(|| overflow("tokens"))?),
            (sum, tokens) => sum.or(tokens),
        };
        *self = Self {
            successes: self.successes + u64::from(step.status == StepStatus::Success),
            failures: self.failures + u64::from(step.status == StepStatus::Failure),
            cost_micro_cents,
            duration_ns,
            tokens,
        };
        Ok(())
    }

    /// Takes out what `before` added and `after`, the same step with members withheld, does not.
    pub fn withhold(&mut self, before: &RecordStep, after: &RecordStep) {
        self.cost_micro_cents -= before.cost_cents.as_micro_cents() - after.cost_cents.as_micro_cents();
        self.duration_ns -= before.duration_ms.as_nanos() - after.duration_ms.as_nanos();
        let gone = before.tokens.unwrap_or(0).saturating_sub(after.tokens.unwrap_or(0));
        self.tokens = self.tokens.map(|tokens| tokens.saturating_sub(gone));
    }

    /// The total cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost::from_micro_cents(self.cost_micro_cents).unwrap_or_default()
    }

    /// The total duration.
    #[must_use]
    pub fn duration(&self) -> DurationMs {
        DurationMs::from_nanos(self.duration_ns)
    }
}

object! {
    /// The wire form of totals.
    pub struct TotalsWire {
        /// Steps with status success.
        required successes: u64,
        /// Steps with status failure.
        required failures: u64,
        /// Cents.
        required cost_cents: Cost,
        /// Milliseconds.
        required duration_ms: DurationMs,
        /// Tokens, where any step states them.
        optional tokens: u64,
    }
}

impl Field for Totals {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        let wire: TotalsWire = read_whole(value, at)?;
        Ok(Self {
            successes: wire.successes,
            failures: wire.failures,
            cost_micro_cents: wire.cost_cents.as_micro_cents(),
            duration_ns: wire.duration_ms.as_nanos(),
            tokens: wire.tokens,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let wire = TotalsWire {
            successes: self.successes,
            failures: self.failures,
            cost_cents: self.cost(),
            duration_ms: self.duration(),
            tokens: self.tokens,
        };
        let mut draft = Draft::default();
        wire.put(&mut draft);
        out.extend_from_slice(draft.finish().as_str().as_bytes());
    }

    fn shape() -> Shape {
        Shape::of::<TotalsWire>()
    }
}

/// The body of a `sealed` entry: the completing op, its claims replaced by what was computed, and the run's figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// The completing op; its three hashes are the computed ones. Of a telemetry run that its server sealed, what `seal_run`
    /// says stands in it.
    pub op: CompleteRun,
    /// Whether the server sealed it, by `seal_run`.
    pub is_own: bool,
    /// The figures.
    pub figures: Figures,
}

object! {
    /// What a seal states of its run, over the entries with a seq below its own.
    pub struct Figures {
        /// Which seal of the run this is, from 0.
        required n: u64,
        /// The root of the run's own tree.
        required run_root: Hash,
        /// The run's entries.
        required entries: u64,
        /// Its steps.
        required steps: u64,
        /// Its traces.
        required traces: u64,
        /// Missing step indices.
        required gaps: Gaps,
        /// What the steps add up to.
        required totals: Totals,
        /// The verdict of the audit; absent until there is an audit.
        optional verdict: Json,
    }
}

/// The op by which a server seals telemetry.
const SEAL_RUN: &str = "seal_run";

impl Sealed {
    /// The recorded body.
    #[must_use]
    pub fn body(&self) -> Body {
        let op = &self.op;
        let mut draft = if self.is_own {
            let mut draft = Draft::default();
            draft.put("op", &SEAL_RUN.to_owned());
            draft.put("run_id", &op.run_id);
            draft.put("status", &op.status);
            draft.put_optional("completed_at", op.completed_at.as_ref());
            draft.put_optional("plan_hash", op.plan_hash.as_ref());
            draft.put_optional("behaviour_hash", op.behaviour_hash.as_ref());
            draft.put_optional("root_hash", op.root_hash.as_ref());
            draft
        } else {
            crate::model::Op::CompleteRun(op.clone()).draft()
        };
        self.figures.put(&mut draft);
        draft.finish()
    }

    /// Reads a recorded body back.
    ///
    /// # Errors
    /// Where the body is not one that this version wrote.
    pub fn from_body(body: &str) -> Result<Self, Invalid> {
        let Value::Object(mut object) = crate::json::parse(body.as_bytes())? else {
            return Err(Path::ROOT.refuse(InvalidCode::MalformedJson, "a recorded body is an object"));
        };
        let name: String = take_required(&mut object, "op", &Path::ROOT)?;
        let figures = Figures::take(&mut object, &Path::ROOT)?;
        Ok(Self { op: read_whole(Value::Object(object), &Path::ROOT)?, is_own: name == SEAL_RUN, figures })
    }
}

object! {
    /// The body of a `key` entry: the last of a batch that was sent under an idempotency key.
    pub struct KeyBody {
        /// The key.
        required key: Key,
        /// The log index of the entry of each op, in the batch's order; of a duplicate, its original's.
        required ops: Vec<u64>,
    }
}

impl KeyBody {
    /// The recorded body.
    #[must_use]
    pub fn body(&self) -> Body {
        let mut draft = Draft::default();
        draft.put("op", &"key".to_owned());
        self.put(&mut draft);
        draft.finish()
    }

    /// Reads a recorded body back.
    ///
    /// # Errors
    /// Where the body is not one that this version wrote.
    pub fn from_body(body: &str) -> Result<Self, Invalid> {
        let Value::Object(mut object) = crate::json::parse(body.as_bytes())? else {
            return Err(Path::ROOT.refuse(InvalidCode::MalformedJson, "a recorded body is an object"));
        };
        object.take("op");
        read_whole(Value::Object(object), &Path::ROOT)
    }
}
