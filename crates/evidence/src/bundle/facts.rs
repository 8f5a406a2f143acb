//! What a bundle says of its records, computed from them: once when it is built, once more by whoever verifies it.

use std::collections::{BTreeMap, BTreeSet};

use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::json::{Json, Number, Value};
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
    /// Members that are withheld.
    pub(crate) withheld: Vec<String>,
    pub(crate) says: Says,
}

/// What something is computed with, by the kind of the entry.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// Nothing is, or the entry was erased.
    Nothing,
    Step(StepFacts),
    /// How many entries of its run a seal is over, and their root.
    Seal(u64, Hash),
    /// Who signs the log from then on.
    Key(String),
    /// Which incident is opened, and what a debrief requires that its entry shows.
    Incident(String, Vec<&'static str>),
    /// Whether all of the run in front of it was erased, and else which redactions it took the place of.
    Redaction(bool, Vec<u64>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct StepFacts {
    is_failure: bool,
    micro_cents: u128,
    nanoseconds: u128,
    tokens: u64,
}

/// Texts of an incident that a debrief requires, and by which name.
const TOLD: [(&str, &str); 3] = [("policy_id", "policy"), ("policy_name", "policy"), ("severity", "severity")];

/// A member is not what its entry's kind has there, or withheld although it says what the entry is.
pub(crate) struct Malformed;

/// A member that is shown, read; `None` where it is withheld or absent.
fn shown<T: Field>(left: &Remainder, name: &str) -> Result<Option<T>, Malformed> {
    let Some(value) = left.get(name).and_then(|left| left.value()) else { return Ok(None) };
    let read = T::read(value.value(), &Path::ROOT).map_err(|_| Malformed)?;
    let mut text = Vec::new();
    read.write(&mut text);
    if text == value.as_str().as_bytes() { Ok(Some(read)) } else { Err(Malformed) }
}

/// A member that each entry of a kind has, and none withholds.
fn required<T: Field>(left: &Remainder, name: &str) -> Result<T, Malformed> {
    shown(left, name)?.ok_or(Malformed)
}

impl Says {
    /// What an entry of a kind says. What it is and where it stands has to be shown, or all that is made of the records
    /// would pass it over.
    fn of(kind: &str, left: &Remainder) -> Result<Self, Malformed> {
        if left.withheld().any(|name| NEVER_WITHHELD.contains(&name)) {
            return Err(Malformed);
        }
        // The name of what is withheld is not proven: what has to be shown is looked for, too.
        let op: String = required(left, "op")?;
        Ok(match kind {
            "step" => Self::Step(StepFacts::of(left)?),
            "trace" => {
                required::<String>(left, "trace_type/type")?;
                required::<String>(left, "id").map(|_| Self::Nothing)?
            }
            "sealed" => {
                shown::<String>(left, "status")?;
                Self::Seal(required(left, "entries")?, required(left, "run_root")?)
            }
            "signing_key" => Self::Key(required(left, "key")?),
            "incident" => {
                let mut told = Vec::new();
                told.extend(shown::<Timestamp>(left, "created_at")?.map(|_| "violation_at"));
                for (name, what) in TOLD {
                    told.extend(shown::<String>(left, name)?.map(|_| what));
                }
                Self::Incident(required(left, "incident_id")?, told)
            }
            "incident_resolved" => required::<String>(left, "incident_id").map(|_| Self::Nothing)?,
            "redaction" => {
                let replaces: Vec<Replaced> = shown(left, "replaces")?.unwrap_or_default();
                let replaces = replaces.into_iter().map(|replaced| replaced.log_index).collect();
                Self::Redaction(op == "erase_run", replaces)
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
            is_erased: record.left.is_none(),
            withheld: record.left.iter().flat_map(Remainder::withheld).map(str::to_owned).collect(),
            says,
        })
    }
}

impl StepFacts {
    fn of(left: &Remainder) -> Result<Self, Malformed> {
        required::<u32>(left, "index")?;
        let cost: Option<String> = shown(left, "cost_cents")?;
        let duration = left.get("duration_ms").and_then(|left| left.value());
        Ok(Self {
            is_failure: required::<String>(left, "status")? == "failure",
            micro_cents: cost.map_or(Some(0), |cost| micro_cents(&cost)).ok_or(Malformed)?,
            nanoseconds: duration.map_or(Some(0), |json| nanoseconds(&json.value())).ok_or(Malformed)?,
            tokens: shown(left, "tokens")?.unwrap_or_default(),
        })
    }
}

/// A cost in cents, of 13 digits and 6 decimals at most, in millionths of a cent.
fn micro_cents(text: &str) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = (1..=13).contains(&whole.len()) && is_digits(whole) && (whole == "0" || !whole.starts_with('0'));
    let is_part = part.len() <= 6 && is_digits(part) && !part.ends_with('0') && part.is_empty() != text.contains('.');
    let digits = if is_whole && is_part { format!("{whole}{part:0<6}") } else { return None };
    digits.parse().ok()
}

/// A duration in milliseconds, of less than 292 years, to the nearest nanosecond, of two the even one.
fn nanoseconds(value: &Value<'_>) -> Option<u128> {
    let Value::Number(number) = value else { return None };
    let ms = Number::as_f64(number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive, and far below u128::MAX"
    )]
    (0.0..9_223_372_036_854.775).contains(&ms).then(|| (ms * 1e6).round_ties_even() as u128)
}

/// What the steps add up to, as far as they are shown.
pub(crate) fn totals(facts: &[Facts]) -> Json {
    let (mut steps, mut failures, mut sums) = (0u64, 0u64, [0u128; 3]);
    for fact in facts.iter().filter(|fact| fact.kind == "step") {
        steps += 1;
        let Says::Step(step) = &fact.says else { continue };
        failures += u64::from(step.is_failure);
        let of = [step.micro_cents, step.nanoseconds, u128::from(step.tokens)];
        sums.iter_mut().zip(of).for_each(|(sum, more)| *sum += more);
    }
    let number = |number: u128| Json::from_canonical(number.to_string());
    Json::object([
        ("failures", number(failures.into())),
        ("micro_cents", number(sums[0])),
        ("nanoseconds", number(sums[1])),
        ("steps", number(steps.into())),
        ("tokens", number(sums[2])),
    ])
    .expect("invariant: totals nest one deep")
}

/// The entries of each run by log index; those of no run are in none.
pub(crate) fn by_run(facts: &[Facts]) -> BTreeMap<&str, Vec<&Facts>> {
    let mut runs: BTreeMap<&str, Vec<&Facts>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| !fact.run.is_empty()) {
        runs.entry(&fact.run).or_default().push(fact);
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
    add(facts.iter().any(|fact| !fact.run.is_empty()), "run");
    add(claims.period.is_some_and(|period| claims.kind == Kind::Period || touches(&period, facts)), "period");
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

/// What the entry tells that opened the claimed incident; `None` where none is claimed, or none did.
pub(crate) fn incident<'a>(claims: &Predicate, facts: &'a [Facts]) -> Option<impl Iterator<Item = &'static str> + 'a> {
    let opened = facts.iter().find_map(|fact| match &fact.says {
        Says::Incident(id, told) if Some(id) == claims.incident_id.as_ref() => Some(told),
        _ => None,
    });
    opened.map(|told| told.iter().copied())
}

/// Whether anything of the runs was recorded in a period.
fn touches(period: &Period, facts: &[Facts]) -> bool {
    facts.iter().any(|fact| !fact.run.is_empty() && period.contains(fact.recorded_at))
}

/// Whether each seal of a run, whose entries these are by log index, is over all entries in front of it.
pub(crate) fn seals_hold(entries: &[&Facts]) -> bool {
    let mut tree = merkle::Frontier::new();
    entries.iter().all(|fact| {
        let is_held = match &fact.says {
            Says::Seal(entries, root) => (*entries, *root) == (fact.seq, tree.root()),
            _ => true,
        };
        tree.push(fact.leaf_hash);
        is_held
    })
}

/// Whether of each entry that has no content a later redaction of its run says why.
pub(crate) fn erasures_are_named(facts: &[Facts]) -> bool {
    let (mut named, mut erased) = (BTreeSet::new(), BTreeSet::new());
    facts.iter().rev().all(|fact| {
        let run = fact.run.as_str();
        let is_named = !fact.is_erased || erased.contains(run) || named.contains(&(run, fact.log_index));
        if let Says::Redaction(is_erasure, replaces) = &fact.says {
            named.extend(replaces.iter().map(|replaced| (run, *replaced)));
            erased.extend(is_erasure.then_some(run));
        }
        is_named
    })
}
