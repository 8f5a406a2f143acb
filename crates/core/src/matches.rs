//! Runs of one plan and seed, by how they came out: what a reader gets.

use crate::compare::Part;
use crate::hash::Hash;
use crate::id::RunId;
use crate::model::RunStatus;
use crate::wire::{object, object_field};

object! {
    /// The sealed runs of a run's plan and seed, grouped by what came of them.
    pub struct Matches {
        /// The run that was asked about.
        required run_id: RunId,
        /// The hash of its plan; a run without a plan matches nothing.
        optional plan_hash: Hash,
        /// Its seed.
        optional seed: i64,
        /// Sealed runs of that plan and seed that were looked at, the latest first; itself among them, where it is sealed.
        required runs: u64,
        /// Runs of that plan and seed that could not be told apart: not sealed, or withheld.
        required unverifiable: u64,
        /// The most frequent 50 ways in which they came out, the most frequent first.
        required groups: Vec<Group>,
        /// How many ways there are.
        required ways: u64,
        /// Where the groups differ from the first one: the first 100 places, in order.
        required flaky: Vec<Flaky>,
        /// Whether all matching runs, all groups and all places where they differ are in here.
        required complete: bool,
    }
}

object! {
    /// Runs that came out the same.
    pub struct Group {
        /// Their root hash.
        required root_hash: Hash,
        /// Their behaviour hash.
        required behaviour_hash: Hash,
        /// How they ended.
        required status: RunStatus,
        /// How many they are.
        required runs: u64,
        /// The five latest.
        required examples: Vec<RunId>,
        /// Whether the run that was asked about is one of them.
        required is_own: bool,
    }
}

object! {
    /// A place where not all groups did the same as the most frequent one.
    #[derive(Eq)]
    pub struct Flaky {
        /// What differs there.
        required part: Part,
        /// The step's index; absent where header or end differ.
        optional step: u32,
        /// Whether the agent chose otherwise there in any of them, or only other outputs came back.
        required behaviour: bool,
        /// Groups that differ there from the first.
        required groups: u64,
        /// Runs in those groups.
        required runs: u64,
    }
}

object_field!(Group, Flaky);
