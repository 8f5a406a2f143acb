//! What a bundle says of its records, computed from them: once when it is built, once more by whoever verifies it.

use std::collections::{BTreeMap, BTreeSet};

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::merkle;
use tracekeep_core::remainder::Remainder;
use tracekeep_core::seal::Totals;
use tracekeep_core::wire::{Field, Path, object, object_field};

use super::contents::Period;
use super::form;

/// The files of records, in the order that they stand in a bundle.
pub(crate) const FILES: [&str; 6] = [
    "records/audit.jsonl",
    "records/incidents.jsonl",
    "records/other.jsonl",
    "records/run.jsonl",
    "records/steps.jsonl",
    "records/traces.jsonl",
];

/// The file that entries of a kind stand in.
pub(crate) fn file_of(kind: &str) -> &'static str {
    match kind {
        "expectation" | "ack" | "status" | "verdict" | "audit_cleared" => FILES[0],
        "incident" | "incident_resolved" => FILES[1],
        "run_started" | "run_described" | "sealed" => FILES[3],
        "step" => FILES[4],
        "trace" | "trace_ended" => FILES[5],
        _ => FILES[2],
    }
}

object! {
    /// How many entries a bundle shows.
    #[derive(Copy, Default)]
    pub struct Counts {
        /// All of them.
        required entries: u64,
        /// In records/audit.jsonl.
        required audit: u64,
        /// In records/incidents.jsonl.
        required incidents: u64,
        /// In records/other.jsonl.
        required other: u64,
        /// In records/run.jsonl.
        required run: u64,
        /// In records/steps.jsonl.
        required steps: u64,
        /// In records/traces.jsonl.
        required traces: u64,
        /// Those that were erased: nothing of them is shown.
        required erased: u64,
        /// Members that are withheld.
        required withheld: u64,
    }
}

object! {
    /// What a bundle says of one run. Its entries have the numbers 0 to `entries` − 1.
    pub struct RunClaim {
        /// The run.
        required run_id: String,
        /// Its entries.
        required entries: u64,
        /// Steps among them.
        required steps: u64,
        /// Traces among them.
        required traces: u64,
        /// Those that were erased.
        required erased: u64,
        /// Seals: 0 where the run was not closed.
        required seals: u64,
        /// Entries after the latest seal, which no seal counts; all of them where there is none.
        required unsealed: u64,
    }
}

object! {
    /// Members of one entry that are withheld, and on what ground.
    pub struct Withheld {
        /// The entry.
        required log_index: u64,
        /// Names of members, sorted.
        required members: Vec<String>,
        /// The log index of the redaction in the ledger; absent where the export left them out.
        optional redaction: u64,
    }
}

object! {
    /// An earlier redaction that another took the place of.
    struct Replaced {
        required log_index: u64,
        required reason: String,
        optional by: String,
    }
}

object_field!(Counts, RunClaim, Withheld, Replaced);

/// What is taken from one record, so that the rest of it need not be kept.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) log_index: u64,
    pub(crate) run: String,
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) recorded_at: Timestamp,
    pub(crate) leaf_hash: Hash,
    pub(crate) is_erased: bool,
    pub(crate) withheld: Vec<String>,
    /// Of an entry that declares who signs the log: the key.
    pub(crate) declared: Option<String>,
    /// Of an entry that opens an incident: which one.
    pub(crate) incident: Option<String>,
    step: Option<StepFacts>,
    pub(crate) seal: Option<SealFacts>,
    redaction: Option<RedactionFacts>,
}

/// What a redaction says that it took.
#[derive(Clone, Debug)]
struct RedactionFacts {
    /// All that its run had before.
    is_erasure: bool,
    /// Of other entries, the members that it withheld.
    remainders: Vec<(u64, Vec<String>)>,
    /// Earlier redactions that it took the place of.
    replaces: Vec<u64>,
}

#[derive(Clone, Debug)]
struct StepFacts {
    status: Option<String>,
    cost: Option<Cost>,
    duration: Option<DurationMs>,
    /// `None`: withheld. `Some(None)`: the step states none.
    tokens: Option<Option<u64>>,
}

#[derive(Clone, Debug)]
pub(crate) struct SealFacts {
    pub(crate) entries: Option<u64>,
    pub(crate) run_root: Option<Hash>,
    pub(crate) steps: Option<u64>,
    pub(crate) traces: Option<u64>,
    pub(crate) totals: Option<Totals>,
}

/// A member that is there and shown is not what its entry's kind has there.
pub(crate) struct Malformed;

/// A member that is shown, read; `None` where it is withheld or absent. It stands there as the ledger writes it, or not at
/// all: 1.50 cents are 1.5.
pub(super) fn shown<T: Field>(left: &Remainder, name: &str) -> Result<Option<T>, Malformed> {
    let Some(value) = left.get(name).and_then(|left| left.value()) else { return Ok(None) };
    let read = T::read(value.value(), &Path::ROOT).map_err(|_| Malformed)?;
    let mut text = Vec::new();
    read.write(&mut text);
    if text == value.as_str().as_bytes() { Ok(Some(read)) } else { Err(Malformed) }
}

impl Facts {
    pub(crate) fn of(record: &super::Record, leaf_hash: Hash) -> Result<Self, Malformed> {
        let left = record.left.as_ref();
        left.map_or(Ok(()), |left| form::check(&record.kind, &record.run, left))?;
        let (mut step, mut seal, mut incident, mut redaction, mut declared) = (None, None, None, None, None);
        match (record.kind.as_str(), left) {
            ("run_started", Some(left)) => drop(shown::<i64>(left, "seed")?),
            ("step", Some(left)) => step = Some(StepFacts::of(left)?),
            ("sealed", Some(left)) => seal = Some(SealFacts::of(left)?),
            ("redaction", Some(left)) => redaction = Some(RedactionFacts::of(left)?),
            ("incident", Some(left)) => incident = incident_of(left)?,
            ("signing_key", Some(left)) => declared = shown(left, "key")?,
            _ => {}
        }
        Ok(Self {
            log_index: record.log_index,
            run: record.run.clone(),
            seq: record.seq,
            kind: record.kind.clone(),
            recorded_at: record.recorded_at,
            leaf_hash,
            is_erased: left.is_none(),
            withheld: left.map(|left| left.withheld().map(str::to_owned).collect()).unwrap_or_default(),
            declared,
            incident,
            step,
            seal,
            redaction,
        })
    }
}

/// The id of an incident, of which all that is told of it is of its type.
fn incident_of(left: &Remainder) -> Result<Option<String>, Malformed> {
    for name in ["policy_id", "policy_name", "severity", "summary", "title", "violation_type"] {
        shown::<String>(left, name)?;
    }
    shown::<Timestamp>(left, "created_at")?;
    shown::<u32>(left, "violation_step_index")?;
    shown(left, "incident_id")
}

impl StepFacts {
    fn of(left: &Remainder) -> Result<Self, Malformed> {
        shown::<u32>(left, "index")?;
        shown::<Timestamp>(left, "occurred_at")?;
        let is_withheld = |name: &str| left.get(name).is_some_and(|left| left.value().is_none());
        Ok(Self {
            status: shown(left, "status")?,
            cost: shown(left, "cost_cents")?,
            duration: shown(left, "duration_ms")?,
            tokens: if is_withheld("tokens") { None } else { Some(shown(left, "tokens")?) },
        })
    }

    fn is_whole(&self) -> bool {
        self.status.is_some() && self.cost.is_some() && self.duration.is_some() && self.tokens.is_some()
    }
}

impl SealFacts {
    fn of(left: &Remainder) -> Result<Self, Malformed> {
        for name in ["behaviour_hash", "plan_hash", "root_hash"] {
            shown::<Hash>(left, name)?;
        }
        shown::<String>(left, "status")?;
        Ok(Self {
            entries: shown(left, "entries")?,
            run_root: shown(left, "run_root")?,
            steps: shown(left, "steps")?,
            traces: shown(left, "traces")?,
            totals: shown(left, "totals")?,
        })
    }
}

impl RedactionFacts {
    fn of(left: &Remainder) -> Result<Self, Malformed> {
        let op: Option<String> = shown(left, "op")?;
        let remainders: Vec<Remainder> = shown(left, "remainders")?.unwrap_or_default();
        let replaces: Vec<Replaced> = shown(left, "replaces")?.unwrap_or_default();
        let withheld = |left: Remainder| (left.log_index, left.withheld().map(str::to_owned).collect());
        Ok(Self {
            is_erasure: op.as_deref() == Some("erase_run"),
            remainders: remainders.into_iter().map(withheld).collect(),
            replaces: replaces.into_iter().map(|replaced| replaced.log_index).collect(),
        })
    }
}

/// Sums that may not overflow: what would is stated as the largest that can be.
#[derive(Default)]
struct Sums {
    successes: u64,
    failures: u64,
    cost: i64,
    duration: i64,
    tokens: Option<u64>,
}

impl Sums {
    fn add(&mut self, step: &StepFacts) {
        self.successes += u64::from(step.status.as_deref() == Some("success"));
        self.failures += u64::from(step.status.as_deref() == Some("failure"));
        self.cost = self.cost.saturating_add(step.cost.unwrap_or_default().as_micro_cents());
        self.duration = self.duration.saturating_add(step.duration.unwrap_or_default().as_nanos());
        if let Some(Some(tokens)) = step.tokens {
            self.tokens = Some(self.tokens.unwrap_or(0).saturating_add(tokens));
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            successes: self.successes,
            failures: self.failures,
            cost_micro_cents: self.cost,
            duration_ns: self.duration,
            tokens: self.tokens,
        }
    }
}

/// A fault of a run's entries or of its seals; of several the first of these is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RunFault {
    /// Two entries of one number, or a number without entry.
    Gap,
    /// The seal's root or count is not that of the entries before it.
    Root,
    /// The seal's steps, traces or totals are not those of the entries before it.
    Totals,
}

/// Everything that is claimed of the records.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) counts: Counts,
    pub(crate) totals: Totals,
    pub(crate) runs: Vec<RunClaim>,
    pub(crate) withheld: Vec<Withheld>,
}

impl Summary {
    /// `facts` are sorted by log index.
    pub(crate) fn of(facts: &[Facts]) -> Self {
        let mut counts = Counts::default();
        let mut sums = Sums::default();
        for fact in facts {
            counts.entries += 1;
            counts.erased += u64::from(fact.is_erased);
            counts.withheld += fact.withheld.len() as u64;
            let file = match file_of(&fact.kind) {
                file if file == FILES[0] => &mut counts.audit,
                file if file == FILES[1] => &mut counts.incidents,
                file if file == FILES[2] => &mut counts.other,
                file if file == FILES[3] => &mut counts.run,
                file if file == FILES[4] => &mut counts.steps,
                _ => &mut counts.traces,
            };
            *file += 1;
            fact.step.iter().for_each(|step| sums.add(step));
        }
        let runs = by_run(facts).into_iter().map(|(run_id, entries)| claim(run_id, &entries)).collect();
        Self { counts, totals: sums.totals(), runs, withheld: withheld(facts) }
    }
}

/// The entries of each run by log index; those of no run are in none.
pub(crate) fn by_run(facts: &[Facts]) -> BTreeMap<&str, Vec<&Facts>> {
    let mut runs: BTreeMap<&str, Vec<&Facts>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| !fact.run.is_empty()) {
        runs.entry(&fact.run).or_default().push(fact);
    }
    runs
}

/// Whether anything of the runs was recorded in a period, or they went on over it.
pub(crate) fn touches(period: &Period, facts: &[Facts]) -> bool {
    let mut times = facts.iter().filter(|fact| !fact.run.is_empty()).map(|fact| fact.recorded_at);
    times.clone().any(|at| period.from <= at) && times.any(|at| at < period.to)
}

fn claim(run_id: &str, entries: &[&Facts]) -> RunClaim {
    let count = |is: &dyn Fn(&&&Facts) -> bool| entries.iter().filter(is).count() as u64;
    let last_seal = entries.iter().rposition(|fact| fact.kind == "sealed");
    RunClaim {
        run_id: run_id.to_owned(),
        entries: entries.len() as u64,
        steps: count(&|fact| fact.kind == "step"),
        traces: count(&|fact| fact.kind == "trace"),
        erased: count(&|fact| fact.is_erased),
        seals: count(&|fact| fact.kind == "sealed"),
        unsealed: (entries.len() - last_seal.map_or(0, |place| place + 1)) as u64,
    }
}

fn withheld(facts: &[Facts]) -> Vec<Withheld> {
    let mut redacted: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    for fact in facts {
        for (log_index, names) in fact.redaction.iter().flat_map(|redaction| &redaction.remainders) {
            for name in names {
                redacted.entry((*log_index, name)).or_insert(fact.log_index);
            }
        }
    }
    let mut rows = Vec::new();
    for fact in facts {
        let mut grounds: BTreeMap<Option<u64>, Vec<String>> = BTreeMap::new();
        for name in &fact.withheld {
            let ground = redacted.get(&(fact.log_index, name.as_str())).copied();
            grounds.entry(ground).or_default().push(name.clone());
        }
        let row = |(redaction, members)| Withheld { log_index: fact.log_index, members, redaction };
        rows.extend(grounds.into_iter().map(row));
    }
    rows
}

/// Holds a run's entries, by log index, to each other and to its seals.
pub(crate) fn check_run(entries: &[&Facts]) -> Result<(), RunFault> {
    if entries.iter().zip(0u64..).any(|(fact, seq)| fact.seq != seq) {
        return Err(RunFault::Gap);
    }
    let mut tree = merkle::Frontier::new();
    let (mut sums, mut steps, mut traces, mut is_whole) = (Sums::default(), 0, 0, true);
    let mut found = Ok(());
    for fact in entries {
        if let Some(seal) = &fact.seal {
            if seal.entries.is_some_and(|entries| entries != fact.seq)
                || seal.run_root.is_some_and(|root| root != tree.root())
            {
                return Err(RunFault::Root);
            }
            if seal.steps.is_some_and(|stated| stated != steps)
                || seal.traces.is_some_and(|stated| stated != traces)
                || (is_whole && seal.totals.is_some_and(|stated| stated_text(&stated) != stated_text(&sums.totals())))
            {
                found = Err(RunFault::Totals);
            }
        }
        steps += u64::from(fact.kind == "step");
        traces += u64::from(fact.kind == "trace");
        is_whole &= fact.kind != "step" || fact.step.as_ref().is_some_and(StepFacts::is_whole);
        fact.step.iter().for_each(|step| sums.add(step));
        tree.push(fact.leaf_hash);
    }
    found
}

/// Totals are compared as they are written: nanoseconds beyond 2^53 have several sums of one text.
fn stated_text(totals: &Totals) -> Vec<u8> {
    let mut out = Vec::new();
    totals.write(&mut out);
    out
}

/// Whether of each entry of a run that has no content a later redaction of the run says why.
pub(crate) fn erasures_are_named(entries: &[&Facts]) -> bool {
    let (mut named, mut is_all_erased) = (BTreeSet::new(), false);
    for fact in entries.iter().rev() {
        if fact.is_erased && !is_all_erased && !named.contains(&fact.log_index) {
            return false;
        }
        if let Some(redaction) = &fact.redaction {
            is_all_erased |= redaction.is_erasure;
            named.extend(redaction.replaces.iter().copied());
            named.extend(redaction.remainders.iter().map(|(entry, _)| *entry));
        }
    }
    true
}
