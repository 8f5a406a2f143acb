//! Comparison of two runs: what a reader gets, and what of a header, a step or an end differs.
//!
//! Whether two runs did the same is said by their seals' hashes alone; *where* they part is found through the leaves of
//! their trees (docs/format/determinism.md); *how* is read from the two bodies at such a place, and from nothing else.

use crate::hash::Hash;
use crate::id::RunId;
use crate::json::Json;
use crate::model::{FinalStatus, JsonObject, RecordStep, RunStatus, StartRun};
use crate::wire::{object, object_field, words};

words! {
    /// What came of a comparison.
    pub enum Verdict {
        /// The same plan, seed, steps, outputs and end: equal root hashes.
        Identical = "identical",
        /// The agent chose the same, and something else came back: equal behaviour hashes.
        SameBehaviour = "same_behaviour",
        /// The agent chose otherwise, or started or ended otherwise.
        Diverged = "diverged",
        /// A run is not sealed, or what its hashes cover was erased.
        Unverifiable = "unverifiable",
    }
}

words! {
    /// Which of a run's two trees.
    pub enum Level {
        /// What the agent chose, and what came back.
        Exact = "exact",
        /// What the agent chose.
        Behaviour = "behaviour",
    }
}

words! {
    /// A part of what a run's trees are over.
    pub enum Part {
        /// Plan and seed.
        Header = "header",
        /// A step.
        Step = "step",
        /// How the run ended.
        End = "end",
    }
}

words! {
    /// How the second run differs at a place.
    pub enum Change {
        /// Both have it, and it differs.
        Changed = "changed",
        /// The second has a step under an index where the first has none.
        Inserted = "inserted",
        /// The first has a step under an index where the second has none.
        Deleted = "deleted",
    }
}

words! {
    /// Why a run cannot be compared.
    pub enum Obstacle {
        /// It has no seal yet, and so no hashes.
        NotSealed = "not_sealed",
        /// Its record was erased.
        Erased = "erased",
        /// A member that its hashes cover was redacted.
        Redacted = "redacted",
        /// It has neither steps nor a plan: its hashes cover no more than its seed and how it ended.
        NothingHashed = "nothing_hashed",
    }
}

object! {
    /// Two runs beside each other, a page of what differs.
    pub struct Comparison {
        /// What came of it.
        required verdict: Verdict,
        /// The tree that the differences are of: `exact`, unless `behaviour` was asked for and the runs diverged.
        required level: Level,
        /// The first run.
        required a: ComparedRun,
        /// The second run.
        required b: ComparedRun,
        /// Of `unverifiable`: what stands in the way.
        required obstacles: Vec<Hindered>,
        /// Where they part; absent for `identical` and `unverifiable` alone. The same on every page.
        optional first_divergence: Difference,
        /// What differs, in order: header, steps by index, end. A page of it.
        required differences: Vec<Difference>,
        /// Proves the first divergence, where it was asked for.
        optional proof: DivergenceProof,
        /// Where the next page of differences starts.
        optional next_cursor: String,
    }
}

object! {
    /// One of the runs that were compared.
    pub struct ComparedRun {
        /// Its id.
        required run_id: RunId,
        /// Where it stands; absent where it was erased.
        optional status: RunStatus,
        /// Its steps, of a sealed run those that its seal covers.
        required steps: u64,
        /// The hash of its plan.
        optional plan_hash: Hash,
        /// Its seed.
        optional seed: i64,
        /// Of its latest seal.
        optional behaviour_hash: Hash,
        /// Of its latest seal.
        optional root_hash: Hash,
    }
}

object! {
    /// A run that cannot be compared.
    #[derive(Eq)]
    pub struct Hindered {
        /// The run.
        required run_id: RunId,
        /// Why.
        required reason: Obstacle,
    }
}

object! {
    /// One place where two runs differ.
    pub struct Difference {
        /// What differs there.
        required part: Part,
        /// The step's index; absent where header or end differ.
        optional step: u32,
        /// How the second run differs.
        required change: Change,
        /// The members that differ, by name; of a step that one run alone has, all that its leaf covers.
        required fields: Vec<FieldDifference>,
    }
}

object! {
    /// One member in two runs.
    pub struct FieldDifference {
        /// The member, by the name that it has in the op.
        required field: String,
        /// Its value in the first run; absent where it has none.
        optional a: Json,
        /// Its value in the second run; absent where it has none.
        optional b: Json,
    }
}

object! {
    /// Proves that two runs part at a leaf: the leaves at one place of their trees differ, and each is in its tree.
    pub struct DivergenceProof {
        /// The trees that the proofs are in.
        required level: Level,
        /// The leaf's place in both trees, from 0: every leaf before it is the same in both.
        required leaf_index: u64,
        /// The first run's.
        required a: LeafProof,
        /// The second run's.
        required b: LeafProof,
    }
}

object! {
    /// One leaf of one run's tree, and the proof that it is there (RFC 9162 §2.1.3).
    pub struct LeafProof {
        /// What stands in the leaf, after the tree's tag.
        required leaf: JsonObject,
        /// The leaf's hash.
        required leaf_hash: Hash,
        /// Leaves of the tree.
        required tree_size: u64,
        /// The tree's root: the run's root_hash, or its behaviour_hash.
        required root: Hash,
        /// Sibling hashes from leaf to root.
        required hashes: Vec<Hash>,
    }
}

object_field!(ComparedRun, Hindered, Difference, FieldDifference, DivergenceProof, LeafProof);

impl Verdict {
    /// What two runs' hashes say, each (behaviour_hash, root_hash) as far as the run has them: where one is missing, the
    /// runs cannot be told apart, nor called the same.
    #[must_use]
    pub fn of(a: (Option<Hash>, Option<Hash>), b: (Option<Hash>, Option<Hash>)) -> Self {
        match (a, b) {
            ((Some(a), Some(a_root)), (Some(b), Some(b_root))) => match (a == b, a_root == b_root) {
                (_, true) => Self::Identical,
                (true, false) => Self::SameBehaviour,
                (false, false) => Self::Diverged,
            },
            _ => Self::Unverifiable,
        }
    }
}

type Member<T> = (&'static str, fn(&T) -> Option<Json>);

/// What the step leaves cover, [`OF_BEHAVIOUR`] of it in both trees; params and outcome_data stand in them as hashes.
const STEP: [Member<RecordStep>; 9] = [
    ("skill_name", |step| Some(step.skill_name.as_str().into())),
    ("params", |step| Some(step.params.clone())),
    ("status", |step| Some(step.status.as_str().into())),
    ("outcome_category", |step| Some(step.outcome_category.as_str().into())),
    ("outcome_code", |step| step.outcome_code.as_deref().map(Json::from)),
    ("retry_count", |step| Some(u64::from(step.retry_count).into())),
    ("replay_behavior", |step| Some(step.replay_behavior.as_str().into())),
    ("outcome_data", |step| step.outcome_data.clone()),
    ("rng_state_before", |step| step.rng_state_before.as_deref().map(Json::from)),
];
const OF_BEHAVIOUR: usize = 7;

const HEADER: [Member<(Option<StartRun>, Option<i64>)>; 2] = [
    ("plan", |(start, _)| {
        let plan = start.as_ref()?.plan.as_ref()?;
        Some(Json::array(plan.iter().map(|item| item.json().clone())))
    }),
    ("seed", |(_, seed)| seed.map(Json::from)),
];

fn differing<T>(members: &[Member<T>], a: Option<&T>, b: Option<&T>) -> Vec<FieldDifference> {
    let fields = members.iter().filter_map(|(name, value)| {
        let (a, b) = (a.and_then(value), b.and_then(value));
        (a != b).then(|| FieldDifference { field: (*name).to_owned(), a, b })
    });
    fields.collect()
}

/// The members of a step that differ, of those that its leaf covers: all of them where one run alone has the step.
#[must_use]
pub fn step_fields(a: Option<&RecordStep>, b: Option<&RecordStep>, level: Level) -> Vec<FieldDifference> {
    let covered = if level == Level::Behaviour { &STEP[..OF_BEHAVIOUR] } else { &STEP[..] };
    differing(covered, a, b)
}

/// What of the header differs: plan and seed of a start, neither where a run was started otherwise.
#[must_use]
pub fn header_fields(a: (Option<StartRun>, Option<i64>), b: (Option<StartRun>, Option<i64>)) -> Vec<FieldDifference> {
    differing(&HEADER, Some(&a), Some(&b))
}

/// What of the end differs: its status.
#[must_use]
pub fn end_fields(a: FinalStatus, b: FinalStatus) -> Vec<FieldDifference> {
    differing(&[("status", |end: &FinalStatus| Some(end.as_str().into()))], Some(&a), Some(&b))
}
