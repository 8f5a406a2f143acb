//! Runs of one plan and seed, grouped by how they came out.

use std::collections::{BTreeMap, HashMap};

use tracekeep_core::TimeRange;
use tracekeep_core::compare::{Level, Part};
use tracekeep_core::hash::Hash;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{
    COMPARED_STEPS_MAX, FLAKY_STEPS_MAX, MATCH_EXAMPLES_MAX, MATCH_GROUPS_MAX, PAGE_ITEMS_MAX, SCAN_ROWS_MAX,
};
use tracekeep_core::matches::{Flaky, Group, Matches};

use super::compare::{END, HEADER, Next, Pair, Side};
use super::{Meter, known};
use crate::error::Result;
use crate::query::{Order, RunIndex};
use crate::rows::RunRow;
use crate::snapshot::{Snapshot, Stretch};

/// The sealed runs of a run's plan and seed by how they came out, and the places where they differ.
///
/// Looks at the latest 10,000 of them, compares one of each of the most frequent 50 groups with one of the most frequent,
/// and passes 100,000 steps on the way.
///
/// # Errors
/// `run_not_found`; what the snapshot fails with.
pub fn matches(snapshot: &impl Snapshot, run_id: &RunId) -> Result<Matches> {
    let run = known(snapshot, run_id)?;
    let mut matches = Matches {
        run_id: run.run_id.clone(),
        plan_hash: run.plan_hash,
        seed: run.seed,
        runs: 0,
        unverifiable: 0,
        groups: Vec::new(),
        ways: 0,
        flaky: Vec::new(),
        complete: true,
    };
    // A plan without a seed comes from nowhere: a start has both, telemetry neither.
    let (Some(plan_hash), Some(seed)) = (run.plan_hash, run.seed) else { return Ok(matches) };
    let mut groups = grouped(snapshot, &run, RunIndex::PlanSeed(plan_hash, seed), &mut matches)?;
    matches.ways = groups.len() as u64;
    groups.sort_by_key(|found| std::cmp::Reverse((found.group.runs, found.latest)));
    if groups.len() > MATCH_GROUPS_MAX as usize {
        groups.truncate(MATCH_GROUPS_MAX as usize);
        matches.complete = false;
    }
    flaky(snapshot, &groups, &mut matches)?;
    matches.groups = groups.into_iter().map(|found| found.group).collect();
    Ok(matches)
}

/// A group and the latest of its runs.
struct Found {
    group: Group,
    row: RunRow,
    /// Of the latest: when it started, and its number.
    latest: (i64, u64),
}

fn grouped(snapshot: &impl Snapshot, own: &RunRow, index: RunIndex<'_>, matches: &mut Matches) -> Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    let mut places: HashMap<Hash, usize> = HashMap::new();
    let (mut after, mut left) = (None, SCAN_ROWS_MAX);
    while left > 0 {
        let limit = left.min(PAGE_ITEMS_MAX);
        let rows = snapshot.runs(index, Stretch { order: Order::Newest, range: TimeRange::ALL, after, limit })?;
        left -= limit;
        let exhausted = rows.len() < limit as usize;
        after = rows.last().map(|row| (row.started_at, row.run_no)).or(after);
        for row in rows {
            let (Some(root_hash), Some(behaviour_hash)) = (row.root_hash, row.behaviour_hash) else {
                matches.unverifiable += 1;
                continue;
            };
            matches.runs += 1;
            let at = *places.entry(root_hash).or_insert(found.len());
            if at == found.len() {
                let status = row.status;
                let group = Group { root_hash, behaviour_hash, status, runs: 0, examples: Vec::new(), is_own: false };
                found.push(Found { group, latest: (row.started_at.as_nanos(), row.run_no), row: row.clone() });
            }
            let group = &mut found[at].group;
            group.runs += 1;
            group.is_own |= row.run_no == own.run_no;
            if group.examples.len() < MATCH_EXAMPLES_MAX as usize {
                group.examples.push(row.run_id);
            }
        }
        if exhausted {
            return Ok(found);
        }
    }
    let more = Stretch { order: Order::Newest, range: TimeRange::ALL, after, limit: 1 };
    matches.complete = snapshot.runs(index, more)?.is_empty();
    Ok(found)
}

/// Compares the latest run of each group with that of the first.
fn flaky(snapshot: &impl Snapshot, groups: &[Found], matches: &mut Matches) -> Result<()> {
    let Some((first, others)) = groups.split_first() else { return Ok(()) };
    let side = |found: &Found| Side::of(snapshot, found.row.clone(), &Meter::default());
    let mut places: BTreeMap<i64, Flaky> = BTreeMap::new();
    let mut budget = COMPARED_STEPS_MAX;
    for other in others {
        let (Ok(a), Ok(b)) = (side(first)?, side(other)?) else {
            matches.complete = false;
            continue;
        };
        let pair = Pair { snapshot, a, b, level: Level::Exact, meter: Meter::default() };
        let mut walk = pair.walk(HEADER)?;
        loop {
            let spot = match walk.next(&mut budget)? {
                Next::Spot(spot) => spot,
                Next::Tired(_) => {
                    matches.complete = false;
                    break;
                }
                Next::Done => break,
            };
            let chosen = |row: Option<crate::rows::StepRow>| row.map(|row| row.leaves.behaviour);
            let place = places.entry(spot.place).or_insert_with(|| at(spot.place));
            place.behaviour |= spot.place == HEADER || spot.place == END || chosen(spot.a) != chosen(spot.b);
            place.groups += 1;
            place.runs += other.group.runs;
        }
    }
    matches.complete &= places.len() <= FLAKY_STEPS_MAX as usize;
    matches.flaky = places.into_values().take(FLAKY_STEPS_MAX as usize).collect();
    Ok(())
}

fn at(place: i64) -> Flaky {
    let (part, step) = match place {
        HEADER => (Part::Header, None),
        END => (Part::End, None),
        index => (Part::Step, u32::try_from(index).ok()),
    };
    Flaky { part, step, behaviour: false, groups: 0, runs: 0 }
}
