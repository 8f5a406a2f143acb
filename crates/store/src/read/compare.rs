//! Comparing two runs: by their hashes, then leaf by leaf over their step rows.

use tracekeep_core::compare::{
    Change, ComparedRun, Comparison, Difference, DivergenceProof, Hindered, LeafProof, Level, Obstacle, Part, Verdict,
    end_fields, header_fields, step_fields,
};
use tracekeep_core::hash::Hash;
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{COMPARED_STEPS_MAX, PAGE_ITEMS_MAX, STEP_INDEX_MAX};
use tracekeep_core::merkle;
use tracekeep_core::model::{FinalStatus, JsonObject, Op, RecordStep, StartRun};
use tracekeep_core::seal::{Sealed, end_leaf, end_leaves, header_leaf, header_leaves, leaf_hash, step_leaf};

use super::{Meter, known, start_of};
use crate::error::{Code, Error, Result};
use crate::plan::nowhere;
use crate::query::{CompareQuery, Cursor};
use crate::rows::{RunRow, StepRow};
use crate::snapshot::Snapshot;

/// Where the header stands in the order of differences; steps stand at their index, the end after all of them.
pub(super) const HEADER: i64 = -1;
pub(super) const END: i64 = STEP_INDEX_MAX as i64 + 1;

/// Two runs beside each other, and a page of what differs.
///
/// # Errors
/// `run_not_found`, `invalid_parameter`, `invalid_cursor`; `corrupt` where hashes, rows and bodies contradict each other;
/// what the snapshot fails with.
pub fn compare(snapshot: &impl Snapshot, a: &RunId, b: &RunId, query: &CompareQuery) -> Result<Comparison> {
    query.page.check()?;
    let meter = Meter::default();
    let (a, b) = match (there(snapshot, a)?, there(snapshot, b)?) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => return Ok(gone(a, b, query.level)),
    };
    let verdict = verdict(&a, &b);
    let diverged = verdict == Verdict::Diverged && query.level == Level::Behaviour;
    let level = if diverged { Level::Behaviour } else { Level::Exact };
    let mut comparison = Comparison {
        verdict,
        level,
        a: shown(&a),
        b: shown(&b),
        obstacles: Vec::new(),
        first_divergence: None,
        differences: Vec::new(),
        proof: None,
        next_cursor: None,
    };
    let (side_a, side_b) = match (Side::of(snapshot, a, &meter)?, Side::of(snapshot, b, &meter)?) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => {
            comparison.verdict = Verdict::Unverifiable;
            comparison.obstacles = [a.err(), b.err()].into_iter().flatten().collect();
            return Ok(comparison);
        }
    };
    // Runs of traces alone, as telemetry brings them, would all be the same.
    if verdict == Verdict::Identical && side_a.says_nothing() && side_b.says_nothing() {
        comparison.verdict = Verdict::Unverifiable;
        comparison.obstacles = [&side_a, &side_b]
            .map(|side| Hindered { run_id: side.row.run_id.clone(), reason: Obstacle::NothingHashed })
            .into();
        return Ok(comparison);
    }
    comparison.a.steps = side_a.steps;
    comparison.b.steps = side_b.steps;
    let pair = Pair { snapshot, a: side_a, b: side_b, level, meter };
    match verdict {
        Verdict::Identical | Verdict::Unverifiable => Ok(comparison),
        Verdict::SameBehaviour | Verdict::Diverged => {
            pair.page(query, &mut comparison)?;
            Ok(comparison)
        }
    }
}

/// A run's row, or what says that it was erased.
fn there(snapshot: &impl Snapshot, run_id: &RunId) -> Result<std::result::Result<RunRow, Hindered>> {
    match known(snapshot, run_id) {
        Err(error) if error.code() == Code::RunErased.as_str() => {
            Ok(Err(Hindered { run_id: run_id.clone(), reason: Obstacle::Erased }))
        }
        row => row.map(Ok),
    }
}

/// What is said of two runs one of which was erased.
fn gone(
    a: std::result::Result<RunRow, Hindered>,
    b: std::result::Result<RunRow, Hindered>,
    level: Level,
) -> Comparison {
    let side = |row: &std::result::Result<RunRow, Hindered>| match row {
        Ok(row) => shown(row),
        Err(Hindered { run_id, .. }) => ComparedRun {
            run_id: run_id.clone(),
            status: None,
            steps: 0,
            plan_hash: None,
            seed: None,
            behaviour_hash: None,
            root_hash: None,
        },
    };
    Comparison {
        verdict: Verdict::Unverifiable,
        level,
        a: side(&a),
        b: side(&b),
        obstacles: [a.err(), b.err()].into_iter().flatten().collect(),
        first_divergence: None,
        differences: Vec::new(),
        proof: None,
        next_cursor: None,
    }
}

/// What the seals' hashes say.
fn verdict(a: &RunRow, b: &RunRow) -> Verdict {
    Verdict::of((a.behaviour_hash, a.root_hash), (b.behaviour_hash, b.root_hash))
}

fn shown(row: &RunRow) -> ComparedRun {
    ComparedRun {
        run_id: row.run_id.clone(),
        status: Some(row.status),
        steps: row.steps,
        plan_hash: row.plan_hash,
        seed: row.seed,
        behaviour_hash: row.behaviour_hash,
        root_hash: row.root_hash,
    }
}

/// One run as its latest seal covers it.
pub(super) struct Side {
    row: RunRow,
    start: Option<StartRun>,
    end: FinalStatus,
    /// Steps that the seal covers.
    steps: u64,
    /// Steps from this log index on came after the seal.
    before: u64,
    /// Whether the row's fold is over what the seal covers.
    folded: bool,
}

impl Side {
    pub(super) fn of(
        snapshot: &impl Snapshot,
        row: RunRow,
        meter: &Meter,
    ) -> Result<std::result::Result<Self, Hindered>> {
        let hindered = |reason| Ok(Err(Hindered { run_id: row.run_id.clone(), reason }));
        let first = meter.entry(snapshot, row.run_no)?;
        if first.content.is_none() {
            return hindered(Obstacle::Erased);
        }
        let Some(before) = row.sealed_by else { return hindered(Obstacle::NotSealed) };
        let seal = meter.entry(snapshot, before)?;
        let Some(body) = seal.body() else { return hindered(Obstacle::Erased) };
        if row.root_hash.is_none() || row.behaviour_hash.is_none() {
            return hindered(Obstacle::Redacted);
        }
        let sealed = Sealed::from_body(body)?;
        let start = match first.op()? {
            Some(Op::StartRun(start)) => Some(start),
            _ => None,
        };
        let steps = sealed.figures.steps;
        let folded = steps == row.steps;
        Ok(Ok(Self { row, start, end: sealed.op.status, steps, before, folded }))
    }

    /// Whether its hashes cover no more than its seed and its end.
    fn says_nothing(&self) -> bool {
        self.steps == 0 && self.row.plan_hash.is_none()
    }

    fn header(&self) -> (Option<StartRun>, Option<i64>) {
        (self.start.clone(), self.row.seed)
    }

    fn root(&self, level: Level) -> Option<Hash> {
        match level {
            Level::Behaviour => self.row.behaviour_hash,
            Level::Exact => self.row.root_hash,
        }
    }

    fn header_leaf(&self, level: Level) -> Hash {
        header_leaves(self.row.plan_hash, self.row.seed).at(level)
    }
}

/// A run's step rows in order, some at a time.
struct Steps<'a, S> {
    snapshot: &'a S,
    run_no: u64,
    before: u64,
    /// The index to go on reading from; `None` at the end.
    from: Option<u32>,
    read: std::vec::IntoIter<StepRow>,
    next: Option<StepRow>,
}

impl<'a, S: Snapshot> Steps<'a, S> {
    fn from(snapshot: &'a S, side: &Side, from: u32) -> Result<Self> {
        let (run_no, before) = (side.row.run_no, side.before);
        let mut steps = Self { snapshot, run_no, before, from: Some(from), read: Vec::new().into_iter(), next: None };
        steps.step()?;
        Ok(steps)
    }

    /// Goes on to the next row, and gives the one that it was at.
    fn step(&mut self) -> Result<Option<StepRow>> {
        let row = self.next.take();
        loop {
            if let Some(next) = self.read.next() {
                if next.log_index < self.before {
                    self.next = Some(next);
                    return Ok(row);
                }
                continue;
            }
            let Some(from) = self.from else { return Ok(row) };
            let rows = self.snapshot.steps(self.run_no, from, PAGE_ITEMS_MAX)?;
            let whole = rows.len() == PAGE_ITEMS_MAX as usize;
            self.from = rows.last().filter(|_| whole).map(|last| last.index + 1);
            self.read = rows.into_iter();
        }
    }
}

/// A place at which two runs' leaves differ.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) place: i64,
    pub(super) a: Option<StepRow>,
    pub(super) b: Option<StepRow>,
}

/// How a walk goes on.
pub(super) enum Next {
    Spot(Spot),
    /// As many steps as it may have been passed; it goes on at a place.
    Tired(i64),
    Done,
}

/// A walk along two runs' leaves.
pub(super) struct Walk<'a, S> {
    level: Level,
    a: Steps<'a, S>,
    b: Steps<'a, S>,
    header: bool,
    end: bool,
}

impl<S: Snapshot> Walk<'_, S> {
    pub(super) fn next(&mut self, budget: &mut u32) -> Result<Next> {
        if std::mem::take(&mut self.header) {
            return Ok(Next::Spot(Spot { place: HEADER, a: None, b: None }));
        }
        loop {
            let indices = (self.a.next.map(|row| row.index), self.b.next.map(|row| row.index));
            let at = match indices {
                (None, None) if std::mem::take(&mut self.end) => {
                    return Ok(Next::Spot(Spot { place: END, a: None, b: None }));
                }
                (None, None) => return Ok(Next::Done),
                (Some(a), Some(b)) => a.min(b),
                (a, b) => a.or(b).unwrap_or(STEP_INDEX_MAX),
            };
            if *budget == 0 {
                return Ok(Next::Tired(i64::from(at)));
            }
            *budget -= 1;
            let a = if indices.0 == Some(at) { self.a.step()? } else { None };
            let b = if indices.1 == Some(at) { self.b.step()? } else { None };
            let leaf = |row: Option<StepRow>| row.map(|row| row.leaves.at(self.level));
            if leaf(a) != leaf(b) {
                return Ok(Next::Spot(Spot { place: i64::from(at), a, b }));
            }
        }
    }
}

/// Two sealed runs whose trees of a level differ.
pub(super) struct Pair<'a, S> {
    pub(super) snapshot: &'a S,
    pub(super) a: Side,
    pub(super) b: Side,
    pub(super) level: Level,
    pub(super) meter: Meter,
}

impl<S: Snapshot> Pair<'_, S> {
    /// A walk from a place on.
    pub(super) fn walk(&self, from: i64) -> Result<Walk<'_, S>> {
        let (a, b, level) = (&self.a, &self.b, self.level);
        let header = from <= HEADER && a.header_leaf(level) != b.header_leaf(level);
        let front = if a.folded && b.folded { a.row.fold.same_front(&b.row.fold, level) } else { 0 };
        let same = i64::try_from(front.saturating_sub(1)).unwrap_or(0);
        let from = u32::try_from(from.max(same)).unwrap_or(0);
        Ok(Walk {
            level,
            a: Steps::from(self.snapshot, a, from)?,
            b: Steps::from(self.snapshot, b, from)?,
            header,
            end: a.end != b.end,
        })
    }

    fn page(&self, query: &CompareQuery, comparison: &mut Comparison) -> Result<()> {
        let root = |side: &Side| side.root(self.level).unwrap_or(Hash::ZERO);
        let (a, b) = (&self.a.row.run_id, &self.b.row.run_id);
        let name = format!("compare {a} {b} {} {} {}", self.level, root(&self.a), root(&self.b));
        let cursor = start_of(&query.page, &name)?;
        let mut walk = self.walk(cursor.map_or(HEADER, |cursor| cursor.at.0))?;
        let first = match cursor {
            Some(cursor) => self.spot(cursor.at.1)?,
            // More than two runs can have.
            None => match walk.next(&mut (2 * STEP_INDEX_MAX + 2))? {
                Next::Spot(spot) => spot,
                Next::Tired(_) | Next::Done => return Err(contradiction("the runs' hashes differ, and no leaf does")),
            },
        };
        let first_difference = self.difference(first)?;
        if cursor.is_none() {
            comparison.differences.push(first_difference.clone());
        }
        comparison.first_divergence = Some(first_difference);
        if query.proof {
            comparison.proof = Some(self.proof(first)?);
        }
        let mut budget = COMPARED_STEPS_MAX;
        let on = loop {
            // What stands on every page may fill it: one more is shown all the same, or a walk would never end.
            let shown = comparison.differences.len();
            let full = shown == query.page.limit as usize || shown > 0 && self.meter.is_full();
            match walk.next(&mut budget)? {
                Next::Done => break None,
                Next::Tired(place) => break Some(place),
                Next::Spot(spot) if full => break Some(spot.place),
                Next::Spot(spot) => comparison.differences.push(self.difference(spot)?),
            }
        };
        let size = self.snapshot.size();
        comparison.next_cursor =
            on.map(|place| Cursor { as_of: size, at: (place, first.place), depth: 0 }.write(&name));
        Ok(())
    }

    /// What stands at a place that was found to differ.
    fn spot(&self, place: i64) -> Result<Spot> {
        let row = |side: &Side| -> Result<_> {
            Ok(match u32::try_from(place) {
                Ok(index) if place < END => {
                    let row = self.snapshot.step(side.row.run_no, index)?;
                    row.filter(|row| row.log_index < side.before)
                }
                _ => None,
            })
        };
        Ok(Spot { place, a: row(&self.a)?, b: row(&self.b)? })
    }

    fn step(&self, row: Option<StepRow>) -> Result<Option<RecordStep>> {
        let Some(row) = row else { return Ok(None) };
        match self.meter.entry(self.snapshot, row.log_index)?.op()? {
            Some(Op::RecordStep(step)) => Ok(Some(step)),
            _ => Err(nowhere(row.log_index)),
        }
    }

    fn difference(&self, spot: Spot) -> Result<Difference> {
        let (part, step, change, fields) = match spot.place {
            HEADER => (Part::Header, None, Change::Changed, header_fields(self.a.header(), self.b.header())),
            END => (Part::End, None, Change::Changed, end_fields(self.a.end, self.b.end)),
            place => {
                let change = match (spot.a, spot.b) {
                    (Some(_), None) => Change::Deleted,
                    (None, Some(_)) => Change::Inserted,
                    _ => Change::Changed,
                };
                let (a, b) = (self.step(spot.a)?, self.step(spot.b)?);
                (Part::Step, u32::try_from(place).ok(), change, step_fields(a.as_ref(), b.as_ref(), self.level))
            }
        };
        if fields.is_empty() {
            return Err(contradiction("two leaves differ, and nothing that they are over does"));
        }
        Ok(Difference { part, step, change, fields })
    }

    /// Proves the first difference: the leaves before it are the same in both runs, so it has one place in both trees.
    fn proof(&self, first: Spot) -> Result<DivergenceProof> {
        let (a_index, a) = self.leaf_proof(&self.a, first.place)?;
        let (b_index, b) = self.leaf_proof(&self.b, first.place)?;
        if a_index != b_index || a.leaf_hash == b.leaf_hash {
            return Err(contradiction("the first leaves that differ are not at one place"));
        }
        Ok(DivergenceProof { level: self.level, leaf_index: a_index, a, b })
    }

    /// The first leaf of a run at or behind a place, proved by passing over all of its leaves.
    fn leaf_proof(&self, side: &Side, place: i64) -> Result<(u64, LeafProof)> {
        let index = match u32::try_from(place) {
            Ok(from) => {
                // The prefix that is folded has no gaps; what is beyond it is counted.
                let folded = if side.folded { side.row.fold.steps().min(u64::from(from)) } else { 0 };
                let mut steps = Steps::from(self.snapshot, side, u32::try_from(folded).unwrap_or(0))?;
                let mut before = folded;
                while steps.next.is_some_and(|row| row.index < from) {
                    steps.step()?;
                    before += 1;
                }
                before + 1
            }
            Err(_) => 0,
        };
        let mut path = merkle::Path::to(index);
        path.push(side.header_leaf(self.level));
        let mut steps = Steps::from(self.snapshot, side, 0)?;
        let (mut at, mut row) = (1, None);
        while let Some(passed) = steps.step()? {
            path.push(passed.leaves.at(self.level));
            if at == index {
                row = Some(passed);
            }
            at += 1;
        }
        path.push(end_leaves(side.end).at(self.level));
        let leaf = match self.step(row)? {
            Some(step) => step_leaf(&step, self.level),
            None if index == 0 => header_leaf(side.row.plan_hash, side.row.seed),
            None => end_leaf(side.end),
        };
        let leaf_hash = leaf_hash(self.level, leaf.as_str());
        let (tree_size, root, hashes) = path.finish();
        let hashes = hashes.filter(|_| Some(root) == side.root(self.level));
        let hashes = hashes.ok_or_else(|| contradiction("a run's leaves do not give the hash that its seal states"))?;
        let leaf = JsonObject::new(Json::from_canonical(leaf.text().clone()))?;
        Ok((index, LeafProof { leaf, leaf_hash, tree_size, root, hashes }))
    }
}

fn contradiction(what: &str) -> Error {
    Error::new(Code::Corrupt, what)
}
