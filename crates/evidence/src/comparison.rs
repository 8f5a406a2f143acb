//! How a run compares with the runs of the same plan and seed: `comparison.json` (docs/format/bundle.md).
//!
//! What it says of its own run is what the run's seal and start say; the hashes are not made again of its steps. What it
//! says of other runs is claimed: each is named with its seal, so that whoever doubts it can ask for the proof of that.
//! Their hashes are not in it: with all else known, what a member of theirs holds could be tried out.

use tracekeep_core::compare::{Change, Verdict};
use tracekeep_core::hash::Hash;
use tracekeep_core::wire::{object, object_field};

use crate::account::shown;
use crate::bundle::{Record, read_canonical};

/// What can differ in a step, by name, sorted: what its leaf is over (docs/format/determinism.md).
pub const STEP_FIELDS: [&str; 9] = [
    "outcome_category",
    "outcome_code",
    "outcome_data",
    "params",
    "replay_behavior",
    "retry_count",
    "rng_state_before",
    "skill_name",
    "status",
];

object! {
    /// `comparison.json`.
    pub struct Comparison {
        /// The run that is compared.
        required run_id: String,
        /// What it matches; absent where it cannot be compared ([`Own::of`]).
        optional matches: Matches,
    }
}

object! {
    /// How the other runs of a run's plan and seed came out, by what was sealed below the bundle's size.
    pub struct Matches {
        /// The run itself.
        required own: Own,
        /// Other runs that are sealed, by how they came out: the most frequent 50 ways, the most frequent first.
        required groups: Vec<Group>,
        /// Those that came out in other ways than these 50.
        required beyond: Beyond,
        /// Other runs that cannot be told apart: not sealed, or something that their hashes are over is withheld.
        required unverifiable: u64,
        /// Whether all of them were looked at: of more than 10,000 those are that started first.
        required complete: bool,
        /// Where the run first differs from the first group that is not `identical`; absent where all are.
        optional difference: FirstDifference,
    }
}

object! {
    /// What is compared of the run: as its latest seal says, and its start.
    pub struct Own {
        /// What the agent chose.
        required behaviour_hash: Hash,
        /// Its plan.
        required plan_hash: Hash,
        /// What the agent chose, and what came back.
        required root_hash: Hash,
        /// The log index of the seal.
        required seal: u64,
        /// What its randomness started from.
        required seed: i64,
    }
}

object! {
    /// Other runs that came out the same among each other: of one root hash.
    pub struct Group {
        /// Beside the run's own hashes: `identical`, `same_behaviour` or `diverged`.
        required relation: Verdict,
        /// How many they are.
        required runs: u64,
        /// How they ended.
        required status: String,
        /// The five that started first.
        required examples: Vec<Example>,
    }
}

object! {
    /// Another run.
    pub struct Example {
        /// Its id.
        required run_id: String,
        /// The log index of its latest seal.
        required seal: u64,
    }
}

object! {
    /// What is not listed.
    #[derive(Copy, Default)]
    pub struct Beyond {
        /// Ways.
        required groups: u64,
        /// Runs.
        required runs: u64,
    }
}

object! {
    /// The first place at which the run differs from another, by what their hashes are over. No values: those of the run
    /// stand in its records, those of the other are not shown.
    pub struct FirstDifference {
        /// The other run: the first example of the first group that is not `identical`.
        required run_id: String,
        /// The step's index; absent where they ended otherwise, and nothing else differs.
        optional step: u32,
        /// How the other differs: it has another step there, one more (`inserted`) or one less (`deleted`).
        required change: Change,
        /// The members that differ, sorted: of [`STEP_FIELDS`], of an end `status`.
        required fields: Vec<String>,
    }
}

object_field!(Matches, Own, Group, Example, Beyond, FirstDifference);

impl Own {
    /// What is compared of a run whose entries are among `records`, which are sorted by log index. `None` where it is not
    /// sealed, has no plan or no seed, or any of it is not shown: what its hashes are over is withheld then.
    #[must_use]
    pub fn of(records: &[Record], run_id: &str) -> Option<Self> {
        Self::of_run(&records.iter().filter(|record| record.run == run_id).collect::<Vec<_>>())
    }

    fn of_run(entries: &[&Record]) -> Option<Self> {
        let start = entries.first().filter(|first| first.kind == "run_started")?;
        let seal = entries.iter().rfind(|record| record.kind == "sealed")?;
        Some(Self {
            behaviour_hash: shown(seal, "behaviour_hash")?,
            plan_hash: shown(seal, "plan_hash")?,
            root_hash: shown(seal, "root_hash")?,
            seal: seal.log_index,
            seed: shown(start, "seed")?,
        })
    }

    /// Why a run is not compared, in words; at least one cause where [`Own::of`] gives `None`.
    #[must_use]
    pub fn lacks(records: &[Record], run_id: &str) -> Vec<String> {
        let mut entries = records.iter().filter(|record| record.run == run_id);
        let start = entries.next().filter(|first| first.kind == "run_started");
        let seal = entries.rfind(|record| record.kind == "sealed");
        let lack = |record: Option<&Record>, name: &str, is_shown: bool, absent: &str| match record {
            None => None,
            Some(_) if is_shown => None,
            Some(record) if record.left.as_ref().is_none_or(|left| left.withholds(name)) => {
                Some(format!("its {name} is withheld, with what that is over"))
            }
            Some(_) => Some(absent.to_owned()),
        };
        let has = |name: &str| seal.is_some_and(|seal| shown::<Hash>(seal, name).is_some());
        let is_seeded = start.is_some_and(|start| shown::<i64>(start, "seed").is_some());
        let causes = [
            start.is_none().then(|| "its start is not shown".to_owned()),
            seal.is_none().then(|| "it is not sealed: no end of it is recorded".to_owned()),
            lack(start, "seed", is_seeded, "it has no seed"),
            lack(seal, "plan_hash", has("plan_hash"), "it has no plan"),
            lack(seal, "behaviour_hash", has("behaviour_hash"), "its end states no behaviour_hash"),
            lack(seal, "root_hash", has("root_hash"), "its end states no root_hash"),
        ];
        causes.into_iter().flatten().collect()
    }

    /// How another run came out beside this one; `None` where it is of another plan or seed.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Option<Verdict> {
        let hashes = |own: &Self| (Some(own.behaviour_hash), Some(own.root_hash));
        let is_matching = (self.plan_hash, self.seed) == (other.plan_hash, other.seed);
        is_matching.then(|| Verdict::of(hashes(self), hashes(other)))
    }
}

impl Comparison {
    /// Reads `comparison.json`; `None` where it is not in this form. What it says is held to nothing.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        read_canonical(text)
    }
}

impl Matches {
    /// The most frequent other outcome.
    #[must_use]
    pub fn other(&self) -> Option<&Group> {
        self.groups.iter().find(|group| group.relation != Verdict::Identical)
    }
}
