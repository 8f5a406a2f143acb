//! Recomputing a run from its entries in the log.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use tracekeep_core::Timestamp;
use tracekeep_core::hash::{self, Hash};
use tracekeep_core::id::RunId;
use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::merkle::{Frontier, TileReader, inclusion_proof, verify_inclusion};
use tracekeep_core::model::{Kind, Op, RecordStep};
use tracekeep_core::remainder::{HASHED, Remainder, SUMMED};
use tracekeep_core::seal::{Figures, Fold, Gaps, Sealed, StepLeaves, Totals, step_leaves};

use super::{head, known};
use crate::error::{Code, Error, Result};
use crate::recall;
use crate::report::{Place, Wrong};
use crate::rows::Entry;
use crate::snapshot::Snapshot;
use crate::verification::{CheckName, RunReport};

/// Recomputes a run: every entry's commitment and its place in the ledger's tree, every hash of a step, and all that each
/// seal states. What is wrong is a finding of the report, not an error.
///
/// Walks the log from the run's first entry to its last. Keeps 68 bytes for each step.
///
/// # Errors
/// `run_not_found`; what the snapshot fails with.
pub fn verify_run(snapshot: &impl Snapshot, run_id: &RunId) -> Result<RunReport> {
    let row = known(snapshot, run_id)?;
    let head = head(snapshot)?;
    let mut run = Verifying {
        snapshot,
        tiles: CachedTiles { snapshot, read: RefCell::default() },
        report: RunReport::new(run_id.clone(), head.tree_size, head.root),
        clock: Timestamp::MIN,
        header: None,
        withheld: Withheld::default(),
        steps: BTreeMap::new(),
        traces: BTreeSet::new(),
        totals: Totals::default(),
        tree: Frontier::new(),
    };
    let mut from = row.run_no;
    while run.report.entries < row.entries {
        let headers = snapshot.headers(from, PAGE_ITEMS_MAX)?;
        let Some(last) = headers.last() else { break };
        from = last.log_index + 1;
        let mine = |header: &Entry| header.run.as_ref().is_some_and(|(run_no, _)| *run_no == row.run_no);
        for header in headers.into_iter().filter(mine) {
            run.entry(header)?;
        }
    }
    if run.report.entries != row.entries {
        let detail = format!("the log has {} entries of the run, its row says {}", run.report.entries, row.entries);
        run.report.note(CheckName::Order, Wrong::Seq, Some((Place::from("log"), detail)));
    }
    Ok(run.report)
}

/// What no longer can be recomputed, since something that it takes was erased or withheld.
#[derive(Default)]
struct Withheld {
    start: bool,
    steps: bool,
    /// A member of a step that its leaves are over.
    hashes: bool,
    /// A member of a step that is summed up.
    totals: bool,
    traces: bool,
}

struct Verifying<'a, S> {
    snapshot: &'a S,
    tiles: CachedTiles<'a, S>,
    report: RunReport,
    clock: Timestamp,
    /// plan_hash and seed, as the run's first entry gives them.
    header: Option<(Option<Hash>, Option<i64>)>,
    withheld: Withheld,
    steps: BTreeMap<u32, StepLeaves>,
    traces: BTreeSet<u64>,
    totals: Totals,
    tree: Frontier,
}

impl<S: Snapshot> Verifying<'_, S> {
    fn entry(&mut self, header: Entry) -> Result<()> {
        let place = Place::entry(header.log_index);
        let leaf = header.leaf(self.snapshot.ledger()).hash();
        self.order(&header, &place);
        self.inclusion(header.log_index, leaf, &place)?;
        let entry = match self.snapshot.entry(header.log_index) {
            Ok(Some(entry)) => entry,
            Ok(None) => header,
            Err(error) if error.code() == Code::Corrupt.as_str() => {
                let wrong = Some((place, error.detail().to_owned()));
                self.report.note(CheckName::Commitments, Wrong::Content, wrong);
                self.lose(header.kind);
                self.count(leaf);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Some((body, salt)) = &entry.content else {
            self.bare(entry, &place)?;
            self.count(leaf);
            return Ok(());
        };
        let fits = body.commitment(salt) == entry.commit;
        let wrong = (!fits).then(|| (place.clone(), "the body does not fit its commitment".to_owned()));
        self.report.note(CheckName::Commitments, Wrong::Content, wrong);
        match self.content(&entry, body.as_str(), &place) {
            Ok(()) => {}
            Err(error) => {
                self.report.note(CheckName::Commitments, Wrong::Content, Some((place, error.detail().to_owned())));
                self.lose(entry.kind);
            }
        }
        self.count(leaf);
        Ok(())
    }

    /// An entry whose content is not there: what a redaction kept of it is recomputed as far as it goes.
    fn bare(&mut self, entry: Entry, place: &Place) -> Result<()> {
        let kind = entry.kind;
        let left = match recall::left(self.snapshot, &entry) {
            Ok(Some(recalled)) => recalled.left,
            Ok(None) => {
                self.report.withhold(CheckName::Commitments);
                self.lose(kind);
                return Ok(());
            }
            Err(error) if error.code() == Code::Corrupt.as_str() => {
                let wrong = Some((place.clone(), error.detail().to_owned()));
                self.report.note(CheckName::Commitments, Wrong::Content, wrong);
                self.lose(kind);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let wrong = left.check(entry.commit).err();
        let wrong = wrong.map(|wrong| (place.clone(), format!("what is left of it: {}", wrong.detail())));
        self.report.note(CheckName::Commitments, Wrong::Content, wrong);
        let entry = Entry { content: Some(recall::content(&left.reads())), ..entry };
        let read = match entry.op() {
            Ok(Some(Op::RecordStep(step))) => {
                self.left_step(step, &left, place);
                Ok(())
            }
            Ok(_) => self.content(&entry, left.reads().as_str(), place),
            Err(wrong) => Err(wrong.into()),
        };
        if let Err(error) = read {
            self.report.note(CheckName::Commitments, Wrong::Content, Some((place.clone(), error.detail().to_owned())));
            self.lose(kind);
        }
        Ok(())
    }

    fn count(&mut self, leaf: Hash) {
        self.report.entries += 1;
        self.tree.push(leaf);
    }

    /// Seq and clock follow from what came before.
    fn order(&mut self, header: &Entry, place: &Place) {
        let follows = header.seq == self.report.entries;
        let wrong = match (follows, header.recorded_at < self.clock) {
            (false, _) => Some(format!("seq {} where {} follows", header.seq, self.report.entries)),
            (_, true) => Some("recorded before the entry in front of it".to_owned()),
            _ => None,
        };
        let what = if follows { Wrong::Clock } else { Wrong::Seq };
        self.report.note(CheckName::Order, what, wrong.map(|detail| (place.clone(), detail)));
        self.clock = self.clock.max(header.recorded_at);
    }

    fn inclusion(&mut self, log_index: u64, leaf: Hash, place: &Place) -> Result<()> {
        let (size, root) = (self.report.tree_size, self.report.root);
        let proof = match inclusion_proof(&self.tiles, log_index, size) {
            Ok(proof) => Some(proof),
            Err(tracekeep_core::merkle::ProofError::Read(error)) if error.code() != Code::Corrupt.as_str() => {
                return Err(error);
            }
            Err(_) => None,
        };
        let stands = proof.is_some_and(|proof| verify_inclusion(&leaf, log_index, size, &proof, &root).is_ok());
        let wrong = (!stands).then(|| (place.clone(), "the entry is not in the ledger's tree".to_owned()));
        self.report.note(CheckName::Inclusion, Wrong::Tree, wrong);
        Ok(())
    }

    /// An entry of a kind is not there to be recomputed with.
    fn lose(&mut self, kind: Kind) {
        match kind {
            Kind::RunStarted => self.withheld.start = true,
            Kind::Step => {
                self.withheld.steps = true;
                self.report.withhold(CheckName::StepHashes);
            }
            Kind::Trace | Kind::TraceEnded => self.withheld.traces = true,
            Kind::Sealed => {
                self.report.seals += 1;
                SEALED.into_iter().for_each(|name| self.report.withhold(name));
            }
            _ => {}
        }
    }

    fn content(&mut self, entry: &Entry, body: &str, place: &Place) -> Result<()> {
        if entry.kind == Kind::Sealed {
            let sealed = Sealed::from_body(body)?;
            self.seal(&sealed, place);
            return Ok(());
        }
        match entry.op()? {
            Some(Op::StartRun(start)) => {
                let body = entry.content.as_ref().map(|(body, _)| body);
                let plan = body.and_then(|body| body.member("plan"));
                self.header = Some((plan.map(hash::plan_hash), Some(start.seed)));
            }
            Some(Op::EnsureRun(_)) => self.header = Some((None, None)),
            Some(Op::RecordStep(step)) => self.step(step, place),
            // A span that was recorded open and comes again closed is the same trace.
            Some(Op::RecordTrace(_)) if entry.kind == Kind::Trace => {
                self.traces.insert(entry.log_index);
            }
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, recorded: RecordStep, place: &Place) {
        let mut step = recorded;
        let stated = (step.input_hash, step.output_hash);
        step.input_hash = Some(hash::input_hash(step.params.as_str()));
        step.output_hash = step.outcome_data.as_ref().map(|data| hash::output_hash(data.as_str()));
        let wrong = (stated != (step.input_hash, step.output_hash))
            .then(|| (place.clone(), "a hash of the step is not that of its content".to_owned()));
        self.report.note(CheckName::StepHashes, Wrong::Hash, wrong);
        self.steps.insert(step.index, step_leaves(&step));
        if self.totals.add(&step).is_err() {
            let wrong = Some((place.clone(), "the run's totals overflow".to_owned()));
            self.report.note(CheckName::Totals, Wrong::Hash, wrong);
        }
    }

    /// A step of which members are withheld: its index still counts, and each hash over what stays.
    fn left_step(&mut self, step: RecordStep, left: &Remainder, place: &Place) {
        let is_hidden = |names: &[&str]| names.iter().any(|name| left.withholds(name));
        let input = (!is_hidden(&["params", "input_hash"]))
            .then(|| step.input_hash == Some(hash::input_hash(step.params.as_str())));
        let output = (!is_hidden(&["outcome_data", "output_hash"]))
            .then(|| step.output_hash == step.outcome_data.as_ref().map(|data| hash::output_hash(data.as_str())));
        if input.is_some() || output.is_some() {
            let fits = input.unwrap_or(true) && output.unwrap_or(true);
            let wrong = (!fits).then(|| (place.clone(), "a hash of the step is not that of its content".to_owned()));
            self.report.note(CheckName::StepHashes, Wrong::Hash, wrong);
        }
        if input.is_none() || output.is_none() {
            self.report.withhold(CheckName::StepHashes);
        }
        if is_hidden(&HASHED) {
            self.withheld.hashes = true;
            self.steps.insert(step.index, StepLeaves::WITHHELD);
        } else {
            self.steps.insert(step.index, step_leaves(&step));
        }
        self.withheld.totals |= is_hidden(&SUMMED);
        if self.totals.add(&step).is_err() {
            let wrong = Some((place.clone(), "the run's totals overflow".to_owned()));
            self.report.note(CheckName::Totals, Wrong::Hash, wrong);
        }
    }

    fn seal(&mut self, sealed: &Sealed, place: &Place) {
        let Sealed { op, figures, .. } = sealed;
        let n = self.report.seals;
        self.report.seals += 1;
        let header = self.header.filter(|_| !self.withheld.start);
        self.stated(CheckName::PlanHash, header.map(|(plan, _)| plan), op.plan_hash, place);
        let whole = header.filter(|_| !self.withheld.steps && !self.withheld.hashes);
        let hashes = whole.map(|(plan_hash, seed)| {
            let mut fold = Fold::new(plan_hash, seed);
            self.steps.values().for_each(|leaves| fold.push(leaves));
            fold.finish(op.status)
        });
        self.stated(CheckName::BehaviourHash, hashes.map(|hashes| Some(hashes.behaviour)), op.behaviour_hash, place);
        self.stated(CheckName::RootHash, hashes.map(|hashes| Some(hashes.exact)), op.root_hash, place);
        self.stated(CheckName::RunRoot, Some(self.tree.root()), figures.run_root, place);
        let complete = !self.withheld.steps && !self.withheld.traces;
        let counts = complete.then_some((n, self.report.entries, self.steps.len() as u64, self.traces.len() as u64));
        let Figures { n, entries, steps, traces, .. } = *figures;
        self.stated(CheckName::Counts, counts, (n, entries, steps, traces), place);
        let of_steps = !self.withheld.steps;
        self.stated(CheckName::Gaps, of_steps.then(|| self.gaps()), figures.gaps.clone(), place);
        let totals = (of_steps && !self.withheld.totals).then_some(self.totals);
        self.stated(CheckName::Totals, totals, figures.totals, place);
    }

    /// Compares what a seal states with what was computed, unless that takes what is withheld.
    fn stated<T: PartialEq>(&mut self, name: CheckName, computed: Option<T>, stated: T, place: &Place) {
        let Some(computed) = computed else { return self.report.withhold(name) };
        let wrong = (computed != stated).then(|| (place.clone(), format!("the seal states another {name}")));
        self.report.note(name, Wrong::Hash, wrong);
    }

    fn gaps(&self) -> Gaps {
        let (mut gaps, mut next) = (Gaps::default(), 0);
        for index in self.steps.keys() {
            if *index > next {
                gaps.push(next, *index);
            }
            next = *index + 1;
        }
        gaps
    }
}

/// What a seal states.
const SEALED: [CheckName; 7] = [
    CheckName::PlanHash,
    CheckName::BehaviourHash,
    CheckName::RootHash,
    CheckName::RunRoot,
    CheckName::Counts,
    CheckName::Gaps,
    CheckName::Totals,
];

/// Tiles that are kept once they were read: the entries of a run are neighbours.
const TILES_KEPT: usize = 64;

type Tiles = HashMap<(u8, u64, u16), Vec<Hash>>;

struct CachedTiles<'a, S> {
    snapshot: &'a S,
    read: RefCell<Tiles>,
}

impl<S: Snapshot> TileReader for CachedTiles<'_, S> {
    type Error = Error;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>> {
        let at = (level, index, width);
        if let Some(hashes) = self.read.borrow().get(&at) {
            return Ok(Cow::Owned(hashes.clone()));
        }
        let hashes = self.snapshot.tile(level, index, width)?.into_owned();
        let mut read = self.read.borrow_mut();
        if read.len() == TILES_KEPT {
            read.clear();
        }
        read.insert(at, hashes.clone());
        Ok(Cow::Owned(hashes))
    }
}
