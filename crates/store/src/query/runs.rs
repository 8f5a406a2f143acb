//! Lists of runs: which, sorted by what, and the index that is walked for it.

use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::model::{RunStatus, StartRun};
use tracekeep_core::wire::words;
use tracekeep_core::{TimeRange, Timestamp};

use super::{Order, PageRequest, check_text};
use crate::error::Result;
use crate::rows::{RunRow, SealedTotals};
use crate::words::Words;

/// Values from the least to the most, both included; an absent bound is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between<T> {
    /// The least of them.
    pub least: Option<T>,
    /// The greatest of them.
    pub most: Option<T>,
}

impl<T> Default for Between<T> {
    fn default() -> Self {
        Self { least: None, most: None }
    }
}

impl<T> Between<T> {
    /// Whether it has a bound.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        self.least.is_some() || self.most.is_some()
    }

    fn map<U>(self, number: impl Fn(T) -> U) -> Between<U> {
        Between { least: self.least.map(&number), most: self.most.map(number) }
    }
}

impl Between<i64> {
    fn contains(self, number: i64) -> bool {
        self.least.is_none_or(|least| least <= number) && self.most.is_none_or(|most| number <= most)
    }

    /// The same numbers as moments: how an index over numbers is asked for a stretch.
    fn range(self) -> TimeRange {
        let at = Timestamp::from_nanos;
        // The end of a range is no part of it.
        let to = self.most.and_then(|most| most.checked_add(1));
        TimeRange::new(self.least.map(at), to.map(at))
    }
}

words! {
    /// What a list of runs is sorted by.
    pub enum RunSort {
        /// The start as first recorded.
        Start = "start",
        /// What the steps cost, of sealed runs alone.
        Cost = "cost",
        /// How long the steps took, of sealed runs alone.
        Duration = "duration",
    }
}

/// Which runs; every attribute that is there must fit.
///
/// A list sorted by start, by one attribute (plan and seed together are one) or by none, with any range of times, costs
/// what it returns; so does one sorted by cost or duration, with any range of that value. Anything further is looked for
/// among what the rarest attribute gives, by a fixed preference: root, behaviour, plan with seed, correlation, parent,
/// plan, tag, agent, another seed than 42, status, seed. At most [`SCAN_ROWS_MAX`](tracekeep_core::limits::SCAN_ROWS_MAX)
/// rows are visited a page, each counting thrice where goals are read for a text, and at most
/// [`PAGE_BYTES_MAX`](tracekeep_core::limits::PAGE_BYTES_MAX) of bodies: a page may then be short, even empty, and have a
/// cursor all the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFilter {
    /// Where the run stands.
    pub status: Option<RunStatus>,
    /// Who runs.
    pub agent: Option<String>,
    /// What ties it to others.
    pub correlation: Option<String>,
    /// The run that it is part of.
    pub parent: Option<String>,
    /// A tag that it has.
    pub tag: Option<String>,
    /// When it started, as first recorded.
    pub time: TimeRange,
    /// The hash of its plan.
    pub plan_hash: Option<Hash>,
    /// What its randomness started from; 0 is a seed.
    pub seed: Option<i64>,
    /// What its latest seal says of what the agent chose and what came back.
    pub root_hash: Option<Hash>,
    /// What its latest seal says of what the agent chose.
    pub behaviour_hash: Option<Hash>,
    /// Words that its goal holds, all of them: see [`words`](crate::words).
    pub text: Option<String>,
    /// What its steps cost when it was first sealed. A run without a seal fits no bound.
    pub cost: Between<Cost>,
    /// How long its steps took when it was first sealed. A run without a seal fits no bound.
    pub duration: Between<DurationMs>,
}

/// A list of runs, newest first unless told.
#[derive(Clone, Debug, PartialEq)]
pub struct RunQuery {
    /// Which.
    pub filter: RunFilter,
    /// What they are sorted by, then by log index; where absent, by cost or duration where the filter bounds it, else by
    /// start. Each of these stays what it is, so that no run moves while a list is walked.
    pub sort: Option<RunSort>,
    /// In which direction: `newest` is the greatest first, `oldest` the least.
    pub order: Order,
    /// How many, from where.
    pub page: PageRequest,
}

impl Default for RunQuery {
    fn default() -> Self {
        Self { filter: RunFilter::default(), sort: None, order: Order::Newest, page: PageRequest::default() }
    }
}

/// An order of runs that an index keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunIndex<'a> {
    /// All of them, by start.
    All,
    /// Of where they stand, by start.
    Status(RunStatus),
    /// Of who runs, by start.
    Agent(&'a str),
    /// Of what ties them together, by start.
    Correlation(&'a str),
    /// Of the run that they are part of, by start.
    Parent(&'a str),
    /// Of a tag, by start.
    Tag(&'a str),
    /// Of a plan, by start.
    Plan(Hash),
    /// Of a plan with a seed, by start.
    PlanSeed(Hash, i64),
    /// Of a seed, by start.
    Seed(i64),
    /// Of a root hash, by start.
    Root(Hash),
    /// Of a behaviour hash, by start.
    Behaviour(Hash),
    /// All that were sealed, by what their steps cost then, in micro-cents.
    Cost,
    /// All that were sealed, by how long their steps took then, in nanoseconds.
    Duration,
}

impl From<RunIndex<'_>> for RunSort {
    fn from(index: RunIndex<'_>) -> Self {
        match index {
            RunIndex::Cost => Self::Cost,
            RunIndex::Duration => Self::Duration,
            _ => Self::Start,
        }
    }
}

impl RunFilter {
    /// The index to walk for a list by start: of the attribute that is likely the rarest of those given.
    #[must_use]
    pub fn index(&self) -> RunIndex<'_> {
        match self {
            Self { root_hash: Some(hash), .. } => RunIndex::Root(*hash),
            Self { behaviour_hash: Some(hash), .. } => RunIndex::Behaviour(*hash),
            Self { plan_hash: Some(hash), seed: Some(seed), .. } => RunIndex::PlanSeed(*hash, *seed),
            Self { correlation: Some(id), .. } => RunIndex::Correlation(id),
            Self { parent: Some(id), .. } => RunIndex::Parent(id),
            Self { plan_hash: Some(hash), .. } => RunIndex::Plan(*hash),
            Self { tag: Some(tag), .. } => RunIndex::Tag(tag),
            Self { agent: Some(agent), .. } => RunIndex::Agent(agent),
            Self { seed: Some(seed), .. } if *seed != StartRun::default().seed => RunIndex::Seed(*seed),
            Self { status: Some(status), .. } => RunIndex::Status(*status),
            Self { seed: Some(seed), .. } => RunIndex::Seed(*seed),
            _ => RunIndex::All,
        }
    }

    /// What a list is sorted by unless told.
    fn sort(&self) -> RunSort {
        match self {
            Self { cost, .. } if cost.is_bound() => RunSort::Cost,
            Self { duration, .. } if duration.is_bound() => RunSort::Duration,
            _ => RunSort::Start,
        }
    }

    fn walks(&self, sort: RunSort) -> (RunIndex<'_>, TimeRange) {
        match sort {
            RunSort::Start => (self.index(), self.time),
            RunSort::Cost => (RunIndex::Cost, self.cost_numbers().range()),
            RunSort::Duration => (RunIndex::Duration, self.duration_numbers().range()),
        }
    }

    /// The index to walk where the order does not matter, and the stretch of it.
    pub(crate) fn counts(&self) -> (RunIndex<'_>, TimeRange) {
        match self.index() {
            RunIndex::All => self.walks(self.sort()),
            index => (index, self.time),
        }
    }

    /// The words of the goal that are looked for.
    pub(crate) fn words(&self) -> Option<Words> {
        self.text.as_deref().map(Words::of_query)
    }

    /// Whether anything but a status and a text is asked for.
    pub(crate) fn only_status(&self) -> bool {
        *self == Self { status: self.status, ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_text(self.text.as_deref())
    }

    /// Whether a row fits, but for the text, which stands in no row.
    pub(crate) fn fits(&self, row: &RunRow) -> bool {
        fn is<T: AsRef<str>>(wanted: Option<&String>, got: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| got.is_some_and(|got| got.as_ref() == wanted))
        }
        fn equals<T: PartialEq>(wanted: Option<T>, got: Option<T>) -> bool {
            wanted.is_none() || wanted == got
        }
        let within = |range: Between<i64>, got: fn(&SealedTotals) -> i64| {
            !range.is_bound() || row.sealed_totals.as_ref().is_some_and(|sealed| range.contains(got(sealed)))
        };
        self.status.is_none_or(|status| status == row.status)
            && is(self.agent.as_ref(), row.agent_id.as_ref())
            && is(self.correlation.as_ref(), row.correlation_id.as_ref())
            && is(self.parent.as_ref(), row.parent_run_id.as_ref())
            && self.tag.as_ref().is_none_or(|tag| row.tags.contains(tag))
            && self.time.contains(row.started_at)
            && equals(self.plan_hash, row.plan_hash)
            && equals(self.seed, row.seed)
            && equals(self.root_hash, row.root_hash)
            && equals(self.behaviour_hash, row.behaviour_hash)
            && within(self.cost_numbers(), |sealed| sealed.cost_micro_cents)
            && within(self.duration_numbers(), |sealed| sealed.duration_ns)
    }

    fn cost_numbers(&self) -> Between<i64> {
        self.cost.map(Cost::as_micro_cents)
    }

    fn duration_numbers(&self) -> Between<i64> {
        self.duration.map(DurationMs::as_nanos)
    }
}

impl RunQuery {
    pub(crate) fn fingerprint(&self) -> String {
        format!("runs {:?} {} {}", self.filter, self.sorted_by(), self.order)
    }

    /// What the list is sorted by.
    #[must_use]
    pub fn sorted_by(&self) -> RunSort {
        self.sort.unwrap_or_else(|| self.filter.sort())
    }

    /// The index to walk, and the stretch of it.
    pub(crate) fn walks(&self) -> (RunIndex<'_>, TimeRange) {
        self.filter.walks(self.sorted_by())
    }
}
