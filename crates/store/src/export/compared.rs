//! How an exported run compares with the runs of the same plan and seed, as they were at the bundle's size.

use std::collections::HashMap;

use crate::{Code, Error, LedgerStore, Order, PageRequest, Result, RunFilter, RunQuery, block_on};
use tracekeep_core::compare::{Change, Verdict};
use tracekeep_core::hash::Hash;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{MATCH_EXAMPLES_MAX, MATCH_GROUPS_MAX, PAGE_ITEMS_MAX, SCAN_ROWS_MAX};
use tracekeep_core::view::{Run, Step};
use tracekeep_core::wire::{Field, Path};
use tracekeep_evidence::bundle::Record;
use tracekeep_evidence::comparison::{Beyond, Comparison, Example, FirstDifference, Group, Matches, Own};

use super::Progress;
use super::records::at;

/// The comparison of a run whose entries, as they will be shown, are among `records`. Where these withhold what the run's
/// hashes are over, nothing is compared: that others came out the same would say what it was.
///
/// Costs a look at each matching run, at most 10,000, and a walk along the steps of two runs up to where they part.
pub(super) fn comparison(
    ledger: &dyn LedgerStore,
    run_id: &RunId,
    records: &[Record],
    size: u64,
    progress: &Progress<'_>,
) -> Result<Comparison> {
    let own = Own::of(records, run_id.as_str());
    let matches = own.map(|own| matches(ledger, run_id, own, size, progress)).transpose()?;
    Ok(Comparison { run_id: run_id.to_string(), matches })
}

/// Another run's seal, and the hashes that it states.
struct Sealed {
    seal: u64,
    behaviour_hash: Hash,
    root_hash: Hash,
}

fn matches(ledger: &dyn LedgerStore, run_id: &RunId, own: Own, size: u64, progress: &Progress<'_>) -> Result<Matches> {
    loop {
        let mut matches = groups(ledger, run_id, &own, size)?;
        progress("comparing", matches.groups.len() as u64);
        let Some(other) = matches.other() else { return Ok(matches) };
        let difference = difference(ledger, run_id, own.seal, other);
        // What is gone counts no more as one that can be compared. Each further round has lost one run more.
        if !is_gone(ledger, other, size)? {
            matches.difference = Some(difference?);
            return Ok(matches);
        }
    }
}

/// Whether the first example of a group was erased, or redacted of what its hashes are over, since it was found.
fn is_gone(ledger: &dyn LedgerStore, group: &Group, size: u64) -> Result<bool> {
    let Some(example) = group.examples.first() else { return Ok(false) };
    match block_on(ledger.run(&RunId::new(&example.run_id)?)) {
        Ok(run) => Ok(run.and_then(|run| sealed(&run, size)).is_none()),
        Err(error) if error.code() == Code::RunErased.as_str() => Ok(true),
        Err(error) => Err(error),
    }
}

/// How the other runs came out, and not yet where this one differs.
fn groups(ledger: &dyn LedgerStore, run_id: &RunId, own: &Own, size: u64) -> Result<Matches> {
    let (mut groups, mut places) = (Vec::<Group>::new(), HashMap::<Hash, usize>::new());
    let (mut seen, mut unverifiable, mut complete) = (0, 0, true);
    let filter = RunFilter { plan_hash: Some(own.plan_hash), seed: Some(own.seed), ..RunFilter::default() };
    let page = PageRequest::first(PAGE_ITEMS_MAX);
    let mut query = RunQuery { filter, order: Order::Oldest, page, ..RunQuery::default() };
    'all: loop {
        let found = block_on(ledger.runs(&query))?;
        for run in found.items.iter().filter(|run| run.log_index < size && run.run_id != *run_id) {
            if seen == SCAN_ROWS_MAX {
                complete = false;
                break 'all;
            }
            seen += 1;
            let Some(other) = sealed(run, size) else {
                unverifiable += 1;
                continue;
            };
            let place = *places.entry(other.root_hash).or_insert(groups.len());
            if place == groups.len() {
                let hashes = [(own.behaviour_hash, own.root_hash), (other.behaviour_hash, other.root_hash)];
                let [a, b] = hashes.map(|(behaviour, root)| (Some(behaviour), Some(root)));
                let relation = Verdict::of(a, b);
                groups.push(Group { relation, runs: 0, status: run.status.to_string(), examples: Vec::new() });
            }
            let group = &mut groups[place];
            group.runs += 1;
            if group.examples.len() < MATCH_EXAMPLES_MAX as usize {
                group.examples.push(Example { run_id: run.run_id.to_string(), seal: other.seal });
            }
        }
        query.page.cursor = found.next_cursor;
        if query.page.cursor.is_none() {
            break;
        }
    }
    // Ways of one frequency stay in the order in which they were first taken.
    groups.sort_by_key(|group| std::cmp::Reverse(group.runs));
    let rest = groups.split_off(groups.len().min(MATCH_GROUPS_MAX as usize));
    let beyond = Beyond { groups: rest.len() as u64, runs: rest.iter().map(|group| group.runs).sum() };
    Ok(Matches { own: own.clone(), groups, beyond, unverifiable, complete, difference: None })
}

/// What another run's seal below a size says; `None` where it has none, or its hashes are withheld. What has a seed is sealed
/// once: telemetry alone is sealed again.
fn sealed(run: &Run, size: u64) -> Option<Sealed> {
    let seal = run.sealed_log_index.filter(|seal| *seal < size)?;
    Some(Sealed { seal, behaviour_hash: run.behaviour_hash?, root_hash: run.root_hash? })
}

fn shown<T: Field>(record: &Record, name: &str) -> Option<T> {
    let value = record.left.as_ref()?.get(name)?.value()?;
    T::read(value.value(), &Path::ROOT).ok()
}

fn status(seal: &Record) -> Result<String> {
    let detail = || Error::new(Code::Corrupt, format!("the seal at log index {} does not say how", seal.log_index));
    shown(seal, "status").ok_or_else(detail)
}

/// Where a run, sealed by `seal`, first differs from the first of other runs that came out otherwise.
fn difference(ledger: &dyn LedgerStore, run_id: &RunId, seal: u64, other: &Group) -> Result<FirstDifference> {
    let nothing = || Error::new(Code::Corrupt, "the runs' hashes differ, and nothing that they are over does");
    let example = other.examples.first().ok_or_else(nothing)?;
    let mut a = Steps::of(ledger, run_id.clone(), seal);
    let mut b = Steps::of(ledger, RunId::new(&example.run_id)?, example.seal);
    let (mut left, mut right) = (a.next()?, b.next()?);
    loop {
        let place = [&left, &right].into_iter().flatten().map(|step| step.index).min();
        let Some(place) = place else { break };
        let at_place = |step: &Option<Step>| step.as_ref().is_some_and(|step| step.index == place);
        let (in_a, in_b) = (at_place(&left), at_place(&right));
        let one = if in_a { left.as_ref() } else { None };
        let fields = fields(one, if in_b { right.as_ref() } else { None });
        if !fields.is_empty() {
            let change = match (in_a, in_b) {
                (true, false) => Change::Deleted,
                (false, true) => Change::Inserted,
                _ => Change::Changed,
            };
            return Ok(FirstDifference { run_id: example.run_id.clone(), step: Some(place), change, fields });
        }
        left = a.next()?;
        right = b.next()?;
    }
    let own = status(&at(ledger, seal)?)?;
    if own == other.status {
        return Err(nothing());
    }
    let fields = vec!["status".to_owned()];
    Ok(FirstDifference { run_id: example.run_id.clone(), step: None, change: Change::Changed, fields })
}

/// A run's steps by index, a page at a time.
struct Steps<'a> {
    ledger: &'a dyn LedgerStore,
    run_id: RunId,
    /// What came after the seal is not compared.
    seal: u64,
    page: Option<PageRequest>,
    read: std::vec::IntoIter<Step>,
}

impl<'a> Steps<'a> {
    fn of(ledger: &'a dyn LedgerStore, run_id: RunId, seal: u64) -> Self {
        let page = Some(PageRequest::first(PAGE_ITEMS_MAX));
        Self { ledger, run_id, seal, page, read: Vec::new().into_iter() }
    }

    fn next(&mut self) -> Result<Option<Step>> {
        loop {
            if let Some(step) = self.read.find(|step| step.log_index < self.seal) {
                return Ok(Some(step));
            }
            let Some(page) = self.page.take() else { return Ok(None) };
            let found = block_on(self.ledger.steps(&self.run_id, &page))?;
            self.page = found.next_cursor.map(|cursor| PageRequest { cursor: Some(cursor), ..page });
            self.read = found.items.into_iter();
        }
    }
}

/// A member by name, as far as two steps are told apart by it.
type Member = (&'static str, fn(&Step) -> Option<String>);

/// The members that differ, sorted, of those that the runs' hashes are over; where one run alone has the step, those that
/// it states.
fn fields(a: Option<&Step>, b: Option<&Step>) -> Vec<String> {
    let differs: [Member; 9] = [
        ("outcome_category", |step| Some(step.outcome_category.clone())),
        ("outcome_code", |step| step.outcome_code.clone()),
        ("outcome_data", |step| step.output_hash.map(|hash| hash.to_string())),
        ("params", |step| step.input_hash.map(|hash| hash.to_string())),
        ("replay_behavior", |step| Some(step.replay_behavior.to_string())),
        ("retry_count", |step| Some(step.retry_count.to_string())),
        ("rng_state_before", |step| step.rng_state_before.clone()),
        ("skill_name", |step| Some(step.skill_name.clone())),
        ("status", |step| Some(step.status.to_string())),
    ];
    let differs = differs.into_iter().filter(|(_, value)| a.and_then(value) != b.and_then(value));
    differs.map(|(name, _)| name.to_owned()).collect()
}
