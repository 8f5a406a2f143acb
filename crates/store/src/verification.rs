//! What recomputing a run from the log found, and what was recomputed.

use tracekeep_core::hash::Hash;
use tracekeep_core::id::RunId;
use tracekeep_core::wire::{object, object_field, words};

use crate::report::{Finding, Place, Report, Wrong};

words! {
    /// One thing that is recomputed, in a word that stays.
    pub enum CheckName {
        /// Each entry's body and salt against the commitment in its leaf.
        Commitments = "commitments",
        /// Each entry's leaf against the ledger's tree, by an inclusion proof.
        Inclusion = "inclusion",
        /// Each entry's number in the run, and its clock, against those before it.
        Order = "order",
        /// Each step's input_hash and output_hash against its params and outcome_data.
        StepHashes = "step_hashes",
        /// The plan_hash of each seal against the plan.
        PlanHash = "plan_hash",
        /// The behaviour_hash of each seal against the steps that it covers.
        BehaviourHash = "behaviour_hash",
        /// The root_hash of each seal against the steps that it covers.
        RootHash = "root_hash",
        /// The run_root of each seal against the leaves that it covers.
        RunRoot = "run_root",
        /// The number of each seal, and its counts of entries, steps and traces.
        Counts = "counts",
        /// The gaps of each seal.
        Gaps = "gaps",
        /// The totals of each seal.
        Totals = "totals",
        /// The run's indices against its entries.
        Indices = "indices",
    }
}

object! {
    /// One thing that was recomputed.
    #[derive(Eq)]
    pub struct Check {
        /// What.
        required name: CheckName,
        /// How often: entries, steps or seals.
        required checked: u64,
        /// How often it was otherwise than recorded.
        required wrong: u64,
        /// How often it could not be, since what it takes was erased.
        required withheld: u64,
    }
}

object! {
    /// A run, recomputed from the log.
    #[derive(Eq)]
    pub struct RunReport {
        /// The run.
        required run_id: RunId,
        /// Its entries.
        required entries: u64,
        /// Its seals.
        required seals: u64,
        /// What was recomputed, each under its name.
        required checks: Vec<Check>,
        /// The first 100 things that are wrong.
        required findings: Vec<Finding>,
        /// How many there are.
        required count: u64,
        /// The size of the ledger's tree that the entries were proved in.
        required tree_size: u64,
        /// The root at that size.
        required root: Hash,
    }
}

object_field!(Check);

impl RunReport {
    pub(crate) fn new(run_id: RunId, tree_size: u64, root: Hash) -> Self {
        let check = |name: &CheckName| Check { name: *name, checked: 0, wrong: 0, withheld: 0 };
        let checks = CheckName::ALL.iter().map(check).collect();
        Self { run_id, entries: 0, seals: 0, checks, findings: Vec::new(), count: 0, tree_size, root }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// Whether everything could be recomputed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.checks.iter().all(|check| check.withheld == 0)
    }

    /// One of the checks.
    #[must_use]
    pub fn check(&self, name: CheckName) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    fn tally(&mut self, name: CheckName) -> &mut Check {
        let at = self.checks.iter().position(|check| check.name == name);
        &mut self.checks[at.expect("invariant: a report has every check")]
    }

    /// Notes one thing that was recomputed; what is wrong is in `wrong` as a place and words.
    pub(crate) fn note(&mut self, name: CheckName, what: Wrong, wrong: Option<(Place, String)>) {
        let tally = self.tally(name);
        tally.checked += 1;
        tally.wrong += u64::from(wrong.is_some());
        if let Some((place, detail)) = wrong {
            let mut report =
                Report { findings: std::mem::take(&mut self.findings), count: self.count, ..Report::default() };
            report.find(what, Place { run_id: Some(self.run_id.clone()), ..place }, detail);
            (self.findings, self.count) = (report.findings, report.count);
        }
    }

    /// Notes something that cannot be recomputed.
    pub(crate) fn withhold(&mut self, name: CheckName) {
        self.tally(name).withheld += 1;
    }

    /// Takes in what comparing the run's indices found.
    pub fn indices(&mut self, found: Report) {
        let tally = self.tally(CheckName::Indices);
        (tally.checked, tally.wrong) = (1, found.count);
        let room = crate::report::FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(found.findings.into_iter().take(room));
        self.count += found.count;
    }
}
