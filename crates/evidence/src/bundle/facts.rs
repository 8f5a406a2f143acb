//! What a bundle says of its records, computed from them: once when it is built, once more by whoever verifies it.

use std::collections::{BTreeMap, BTreeSet};

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::json::Json;
use tracekeep_core::merkle;
use tracekeep_core::remainder::{NEVER_WITHHELD, Remainder};
use tracekeep_core::wire::{Field, Path, object, object_field};

use super::contents::{Kind, Period};
use super::manifest::Predicate;

object! {
    /// An earlier redaction that another took the place of.
    struct Replaced {
        required log_index: u64,
        required reason: String,
        optional by: String,
    }
}

object_field!(Replaced);

object! {
    /// What steps add up to, as far as that is shown.
    #[derive(Default)]
    pub struct Totals {
        /// Cost, in cents.
        required cost_cents: Cost,
        /// Duration, in milliseconds.
        required duration_ms: DurationMs,
        /// Those of status `failure`.
        required failures: u64,
        /// All of them, erased ones as well.
        required steps: u64,
        /// Tokens.
        required tokens: u64,
    }
}

object_field!(Totals);

/// What is taken from one record, so that the rest of it need not be kept.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) log_index: u64,
    pub(crate) run: String,
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) recorded_at: Timestamp,
    pub(crate) leaf_hash: Hash,
    /// Whether nothing but its leaf is shown.
    pub(crate) is_bare: bool,
    /// Members that are withheld.
    pub(crate) withheld: Vec<String>,
    pub(crate) says: Says,
}

/// What something is computed with, by the kind of the entry.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// Nothing is, or its leaf alone is shown.
    Nothing,
    Step(StepFacts),
    /// How many entries of its run a seal is over, and their root.
    Seal(Option<u64>, Option<Hash>),
    /// Who signs the log from then on.
    Key(Option<String>),
    /// Which incident is opened, what a debrief requires that its entry shows, and the step that it names.
    Incident(Option<String>, Vec<&'static str>, Option<Json>),
    /// Whether all of the run in front of it was erased, and else which redactions it took the place of.
    Redaction(bool, Vec<u64>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct StepFacts {
    /// Which step it is, where it says when it occurred, too.
    index: Option<Json>,
    is_failure: bool,
    cost: Cost,
    duration: Option<DurationMs>,
    tokens: u64,
}

/// Members of an incident that a debrief requires, and by which name.
const TOLD: [(&str, &str); 4] =
    [("policy_id", "policy"), ("policy_name", "policy"), ("severity", "severity"), ("violation_at", "violation_at")];

/// Beside [`NEVER_WITHHELD`], what no bundle withholds of a kind: which incident it is, whose key, and what a seal is over.
const KEPT: [(&str, &str); 5] = [
    ("incident", "incident_id"),
    ("incident_resolved", "incident_id"),
    ("sealed", "entries"),
    ("sealed", "run_root"),
    ("signing_key", "key"),
];

/// A member is withheld although it says what the entry is, or `replaces` has another form.
pub(crate) struct Malformed;

/// A member that is shown, read; `None` where it is withheld, absent, or of another form.
fn shown<T: Field>(left: &Remainder, name: &str) -> Option<T> {
    let value = left.get(name)?.value()?;
    let read = T::read(value.value(), &Path::ROOT).ok()?;
    let mut text = Vec::new();
    read.write(&mut text);
    (text == value.as_str().as_bytes()).then_some(read)
}

impl Says {
    /// What an entry of a kind says. What it is and where it stands is never withheld, or all that is made of the records
    /// would pass it over.
    fn of(kind: &str, left: &Remainder) -> Result<Self, Malformed> {
        if left.withheld().any(|name| NEVER_WITHHELD.contains(&name) || KEPT.contains(&(kind, name))) {
            return Err(Malformed);
        }
        let value = |name: &str| left.get(name)?.value().cloned();
        let is_told = |name: &str| left.get(name).is_some_and(|left| left.value().is_some());
        Ok(match kind {
            "step" => Self::Step(StepFacts::of(left)),
            "sealed" => Self::Seal(shown(left, "entries"), shown(left, "run_root")),
            "signing_key" => Self::Key(shown(left, "key")),
            "incident" => {
                let told = TOLD.into_iter().filter(|(name, _)| is_told(name)).map(|(_, what)| what);
                Self::Incident(shown(left, "incident_id"), told.collect(), value("violation_step_index"))
            }
            "redaction" => {
                let replaces: Option<Vec<Replaced>> = shown(left, "replaces");
                if replaces.is_none() && is_told("replaces") {
                    return Err(Malformed);
                }
                let replaces = replaces.into_iter().flatten().map(|replaced| replaced.log_index);
                let op: Option<String> = shown(left, "op");
                Self::Redaction(op.as_deref() == Some("erase_run"), replaces.collect())
            }
            _ => Self::Nothing,
        })
    }
}

impl Facts {
    pub(crate) fn of(record: &super::Record, leaf_hash: Hash) -> Result<Self, Malformed> {
        let says = record.left.as_ref().map_or(Ok(Says::Nothing), |left| Says::of(&record.kind, left))?;
        Ok(Self {
            log_index: record.log_index,
            run: record.run.clone(),
            seq: record.seq,
            kind: record.kind.clone(),
            recorded_at: record.recorded_at,
            leaf_hash,
            is_bare: record.left.is_none(),
            withheld: record.left.iter().flat_map(Remainder::withheld).map(str::to_owned).collect(),
            says,
        })
    }
}

impl StepFacts {
    fn of(left: &Remainder) -> Self {
        let is_timed = left.get("occurred_at").is_some_and(|left| left.value().is_some());
        Self {
            index: left.get("index").filter(|_| is_timed).and_then(|left| left.value().cloned()),
            is_failure: shown::<String>(left, "status").as_deref() == Some("failure"),
            cost: shown(left, "cost_cents").unwrap_or_default(),
            duration: shown(left, "duration_ms"),
            tokens: shown(left, "tokens").unwrap_or_default(),
        }
    }
}

/// What the steps of the runs that are shown add up to, as far as that is shown.
pub(crate) fn totals(facts: &[Facts]) -> Totals {
    let steps: Vec<&Facts> = by_run(facts).into_values().flatten().filter(|fact| fact.kind == "step").collect();
    let told = || steps.iter().filter_map(|fact| if let Says::Step(step) = &fact.says { Some(step) } else { None });
    let sum = |of: fn(&StepFacts) -> i64| told().map(of).fold(0, i64::saturating_add);
    Totals {
        cost_cents: Cost::from_micro_cents(sum(|step| step.cost.as_micro_cents())).unwrap_or_default(),
        duration_ms: DurationMs::from_nanos(sum(|step| step.duration.map_or(0, DurationMs::as_nanos))),
        failures: told().filter(|step| step.is_failure).count() as u64,
        steps: steps.len() as u64,
        tokens: told().map(|step| step.tokens).fold(0, u64::saturating_add),
    }
}

/// The entries, by log index, of each run that is shown: of which there is more than bare leaves.
pub(crate) fn by_run(facts: &[Facts]) -> BTreeMap<&str, Vec<&Facts>> {
    let told = facts.iter().filter(|fact| !fact.is_bare && !fact.run.is_empty());
    let mut runs: BTreeMap<&str, Vec<&Facts>> = told.map(|fact| (fact.run.as_str(), Vec::new())).collect();
    for fact in facts {
        runs.get_mut(fact.run.as_str()).into_iter().for_each(|run| run.push(fact));
    }
    runs
}

/// What a bundle of its kind requires and has not, by name, sorted. Time, steps and totals are required too, and always
/// there: none is a count of 0.
pub(crate) fn missing(claims: &Predicate, files: impl Iterator<Item = &'static str>, facts: &[Facts]) -> Vec<String> {
    let mut there: BTreeSet<&str> = files.filter_map(|name| name.split('.').next()).collect();
    let mut add = |is: bool, name| there.extend(is.then_some(name));
    add(!claims.tenant_id.is_empty(), "tenant_id");
    add(!claims.exported_by.is_empty(), "exported_by");
    let runs = by_run(facts);
    add(claims.run_id.as_ref().is_some_and(|run_id| runs.contains_key(run_id.as_str())), "run");
    let is_about = |period: Period| claims.kind == Kind::Period && period.from < period.to || touches(&period, facts);
    add(claims.period.is_some_and(is_about), "period");
    add(claims.incident_id.is_some(), "incident");
    incident(claims, facts).into_iter().flatten().for_each(|told| add(true, told));
    let required: &[&str] = match claims.kind {
        Kind::Evidence => &["exported_by", "run", "tenant_id"],
        Kind::Soc2 => &["controls", "exported_by", "period", "run", "tenant_id"],
        Kind::ExecutiveDebrief => {
            &["debrief", "exported_by", "incident", "policy", "severity", "tenant_id", "violation_at"]
        }
        Kind::Period => &["exported_by", "period", "tenant_id"],
    };
    required.iter().filter(|name| !there.contains(**name)).map(|name| (*name).to_owned()).collect()
}

/// What is told of the claimed incident by the entry that opened it, and by the step of its run that it names; `None` where
/// none is claimed, or none did.
pub(crate) fn incident(claims: &Predicate, facts: &[Facts]) -> Option<BTreeSet<&'static str>> {
    let run_id = claims.run_id.as_deref().unwrap_or_default();
    let opened = facts.iter().filter(|fact| fact.run == run_id).find_map(|fact| match &fact.says {
        Says::Incident(Some(id), told, step) if Some(id) == claims.incident_id.as_ref() => Some((told, step)),
        _ => None,
    });
    let (told, index) = opened?;
    let is_it = |fact: &Facts| match &fact.says {
        Says::Step(step) => index.is_some() && step.index == *index && fact.run == run_id,
        _ => false,
    };
    let of_step = !run_id.is_empty() && facts.iter().any(is_it);
    Some(told.iter().copied().chain(of_step.then_some("violation_at")).collect())
}

/// Whether anything of the runs was recorded in a period.
fn touches(period: &Period, facts: &[Facts]) -> bool {
    by_run(facts).into_values().flatten().any(|fact| period.contains(fact.recorded_at))
}

/// Whether each seal of a run, whose entries these are by log index, is over all entries in front of it.
pub(crate) fn seals_hold(entries: &[&Facts]) -> bool {
    let mut tree = merkle::Frontier::new();
    entries.iter().all(|fact| {
        let is_held = match &fact.says {
            Says::Seal(entries, root) => (*entries, *root) == (Some(fact.seq), Some(tree.root())),
            _ => true,
        };
        tree.push(fact.leaf_hash);
        is_held
    })
}

/// Whether of each entry of a run that has no content a later redaction of the run says why, and whatever stands in front
/// of one that erased the run has none: else what is left out could be chosen, and a seal would stand for it.
pub(crate) fn erasures_are_named(entries: &[&Facts]) -> bool {
    let (mut named, mut is_erased) = (BTreeSet::<u64>::new(), false);
    entries.iter().rev().all(|fact| {
        let is_replaced = fact.kind == "redaction" && named.contains(&fact.log_index);
        let is_named = if fact.is_bare { is_erased || is_replaced } else { !is_erased };
        if let Says::Redaction(is_erasure, replaces) = &fact.says {
            named.extend(replaces);
            is_erased |= is_erasure;
        }
        is_named
    })
}
