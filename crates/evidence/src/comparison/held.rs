//! What a comparison is held to: its form, and what the bundle shows of the runs that it is of and that it names.

use std::collections::{BTreeMap, BTreeSet};

use tracekeep_core::compare::{Change, Verdict};
use tracekeep_core::hash::Hash;
use tracekeep_core::limits::{MATCH_EXAMPLES_MAX, MATCH_GROUPS_MAX};

use super::{Beyond, Comparison, FirstDifference, Group, Matches, Own, STEP_FIELDS};
use crate::account::shown;
use crate::bundle::Record;

/// Run and kind of each entry that a bundle shows, of bare leaves too, by log index.
pub(crate) type Places<'a> = BTreeMap<u64, (&'a str, &'a str)>;

/// A run of which the bundle has records.
struct Seen<'a> {
    entries: Vec<&'a Record>,
    own: Option<Own>,
    /// As its latest seal says.
    status: Option<String>,
}

impl<'a> Seen<'a> {
    fn of(entries: Vec<&'a Record>) -> Self {
        let own = Own::of_run(&entries);
        let seal = entries.iter().rfind(|entry| entry.kind == "sealed");
        let status = seal.and_then(|seal| shown(seal, "status"));
        Self { entries, own, status }
    }

    /// A step that its seal covers.
    fn step(&self, index: u32) -> Option<&'a Record> {
        let seal = self.own.as_ref()?.seal;
        let mut steps = self.entries.iter().filter(|entry| entry.kind == "step" && entry.log_index < seal);
        steps.find(|step| shown(step, "index") == Some(index)).copied()
    }
}

type Runs<'a> = BTreeMap<&'a str, Seen<'a>>;

impl Comparison {
    /// Whether it is in its form, and says of the runs in `records` what these say; `size` is the bundle's.
    pub(crate) fn fits(&self, records: &[Record], places: &Places<'_>, size: u64) -> bool {
        let mut entries: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in records.iter().filter(|record| !record.run.is_empty()) {
            entries.entry(&record.run).or_default().push(record);
        }
        let runs: Runs<'_> = entries.into_iter().map(|(run, entries)| (run, Seen::of(entries))).collect();
        let Some(mine) = runs.get(self.run_id.as_str()) else { return false };
        mine.own.as_ref() == self.matches.as_ref().map(|matches| &matches.own)
            && self.matches.as_ref().is_none_or(|matches| {
                matches.is_in_form(&self.run_id, places, size) && matches.holds(&runs, &self.run_id, mine)
            })
    }
}

impl Matches {
    fn names(&self) -> BTreeSet<&str> {
        self.groups.iter().flat_map(|group| &group.examples).map(|one| one.run_id.as_str()).collect()
    }

    fn is_in_form(&self, run_id: &str, places: &Places<'_>, size: u64) -> bool {
        let (groups, names, beyond) = (&self.groups, self.names(), self.beyond);
        let is_listed = |group: &Group| {
            let named = group.examples.len() as u64;
            group.relation != Verdict::Unverifiable
                && group.runs > 0
                && named == group.runs.min(u64::from(MATCH_EXAMPLES_MAX))
        };
        let mut examples = groups.iter().flat_map(|group| &group.examples);
        groups.len() <= MATCH_GROUPS_MAX as usize
            && groups.iter().all(is_listed)
            && groups.is_sorted_by(|a, b| a.runs >= b.runs)
            && groups.iter().filter(|group| group.relation == Verdict::Identical).count() <= 1
            && (beyond == Beyond::default() || groups.len() == MATCH_GROUPS_MAX as usize)
            && beyond.groups <= beyond.runs
            && (beyond.groups == 0) == (beyond.runs == 0)
            && names.len() == examples.clone().count()
            && !names.contains(run_id)
            && examples.all(|one| {
                let place = places.get(&one.seal);
                one.seal < size && place.is_none_or(|place| *place == (one.run_id.as_str(), "sealed"))
            })
    }

    /// What it claims of runs whose records are here is what these say, and none of them is passed over.
    fn holds(&self, runs: &Runs<'_>, run_id: &str, mine: &Seen<'_>) -> bool {
        let mut roots: BTreeSet<(usize, Hash)> = BTreeSet::new();
        for (place, group) in self.groups.iter().enumerate() {
            if group.relation == Verdict::Identical && Some(&group.status) != mine.status.as_ref() {
                return false;
            }
            for one in &group.examples {
                let Some(other) = runs.get(one.run_id.as_str()) else { continue };
                let Some(own) = &other.own else { return false };
                let is_so = own.seal == one.seal && other.status.as_ref() == Some(&group.status);
                if !is_so || self.own.relation(own) != Some(group.relation) {
                    return false;
                }
                roots.insert((place, own.root_hash));
            }
        }
        let places: BTreeSet<usize> = roots.iter().map(|(place, _)| *place).collect();
        let hashes: BTreeSet<Hash> = roots.iter().map(|(_, root)| *root).collect();
        let is_difference = match (&self.difference, self.other()) {
            (Some(difference), Some(other)) => difference.fits(other, runs, mine),
            (difference, other) => difference.is_none() && other.is_none(),
        };
        (places.len(), hashes.len()) == (roots.len(), roots.len()) && self.counts_all(runs, run_id) && is_difference
    }

    /// Whether each run of the plan and seed that is shown, and not named, can be one of those that a group has beside its
    /// examples.
    fn counts_all(&self, runs: &Runs<'_>, run_id: &str) -> bool {
        let names = self.names();
        let mut unnamed: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for other in runs.iter().filter(|(run, _)| **run != run_id && !names.contains(**run)).map(|(_, other)| other) {
            let relation = other.own.as_ref().and_then(|own| self.own.relation(own));
            if let Some(relation) = relation {
                *unnamed.entry((relation.as_str(), other.status.as_deref().unwrap_or_default())).or_default() += 1;
            }
        }
        let room = |(relation, status): (&str, &str)| {
            let groups =
                self.groups.iter().filter(|group| (group.relation.as_str(), &*group.status) == (relation, status));
            groups.fold(self.beyond.runs, |room, group| room.saturating_add(group.runs - group.examples.len() as u64))
        };
        !self.complete || unnamed.into_iter().all(|(key, count)| count <= room(key))
    }
}

impl FirstDifference {
    fn fits(&self, group: &Group, runs: &Runs<'_>, mine: &Seen<'_>) -> bool {
        let other = runs.get(self.run_id.as_str());
        let is_place = match self.step {
            None => {
                self.change == Change::Changed
                    && self.fields == ["status"]
                    && mine.status.as_ref() != Some(&group.status)
            }
            Some(index) => {
                let (a, b) = (mine.step(index), other.map(|other| other.step(index)));
                a.is_some() == (self.change != Change::Inserted)
                    && b.is_none_or(|b| b.is_some() == (self.change != Change::Deleted))
                    && a.zip(b.flatten()).is_none_or(|(a, b)| self.fields.iter().all(|field| differ(a, b, field)))
            }
        };
        is_place
            && group.examples.first().is_some_and(|one| one.run_id == self.run_id)
            && !self.fields.is_empty()
            && self.fields.is_sorted_by(|a, b| a < b)
            && self.fields.iter().all(|field| STEP_FIELDS.contains(&field.as_str()))
    }
}

/// Whether two steps can differ in a member: both state another value, or one states none, or it is withheld.
fn differ(a: &Record, b: &Record, name: &str) -> bool {
    let left = |record: &Record| record.left.as_ref().and_then(|left| left.get(name)).map(|left| left.value().cloned());
    match (left(a), left(b)) {
        (Some(None), _) | (_, Some(None)) => true,
        (a, b) => a != b,
    }
}
