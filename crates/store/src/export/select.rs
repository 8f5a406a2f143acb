//! Selective disclosure: what of a run is withheld from a bundle. It is still proven that it was there.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Code, Error, Result};
use tracekeep_core::remainder::{HASHED, NEVER_WITHHELD, Remainder, SUMMED};
use tracekeep_core::wire::{Field, Path};
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_evidence::bundle::Record;

use super::request::ExportRequest;
use crate::plan::{in_a_trace, in_an_end};

/// What was left out, by the log index of its entry.
type Gone = BTreeMap<u64, BTreeSet<String>>;

/// What is shown of the steps and traces of a run, and of related runs, where a request names what it shows: told of each
/// entry as it is read, so that nothing is held of one that is not shown.
pub(super) struct Shown<'a> {
    /// Of an incident of no run there are no steps and traces.
    run_id: Option<String>,
    request: &'a ExportRequest,
    named: Named<'a>,
    /// What is named and was not found yet.
    missing: Named<'a>,
    gone: Gone,
}

/// Steps and traces that are shown.
#[derive(Clone, Default)]
struct Named<'a> {
    steps: BTreeSet<u32>,
    traces: BTreeSet<&'a str>,
}

/// Members that entries of a run are not shown without, beside those that none is: what the run's seals are held to.
fn is_kept(record: &Record, name: &str) -> bool {
    let of_kind: &[&str] = match record.kind.as_str() {
        "sealed" => &["entries", "n", "run_root", "steps", "traces"],
        "incident" | "incident_resolved" => &["incident_id"],
        "redaction" => &["by", "entries", "reason", "remainders", "replaces", "steps", "traces"],
        _ => &[],
    };
    NEVER_WITHHELD.contains(&name) || of_kind.contains(&name)
}

/// Withholds what a request names from the entries of the run and of those that are related to it, beside what was left out
/// as they were read, and what would give it away.
///
/// # Errors
/// `invalid_parameter` for a name of another form; `step_not_found`, `trace_not_found`; `invalid_member` for a member that is
/// never withheld or is not there.
pub(super) fn withhold(records: &mut [Record], shown: Shown<'_>) -> Result<()> {
    let Shown { request, missing, mut gone, .. } = shown;
    if let Some(index) = missing.steps.first() {
        return Err(Error::new(Code::StepNotFound, format!("no step {index} is exported")).at("only_steps"));
    }
    if let Some(id) = missing.traces.first() {
        return Err(Error::new(Code::TraceNotFound, format!("no trace {id} is exported")).at("only_traces"));
    }
    for (of, names) in named(request)? {
        let (mut is_known, mut missing) = (false, names.clone());
        for record in records.iter_mut().filter(|record| of.names(record)) {
            is_known = true;
            // A trace and its end are two entries: each is asked for what it has, as it stands there.
            let there: Vec<(&str, &str)> =
                names.iter().filter_map(|name| Some((name.as_str(), of.spelt(name, record)?))).collect();
            missing.retain(|name| there.iter().all(|(asked, _)| *asked != name.as_str()));
            leave_out(record, &there.iter().map(|(_, name)| *name).collect::<Vec<_>>(), &mut gone)?;
        }
        match &of {
            _ if is_known => {
                if let Some(name) = missing.first() {
                    let detail = format!("{name} is no member of what was recorded");
                    return Err(Error::from(Invalid::new(InvalidCode::InvalidMember, "", detail)).at("redact"));
                }
            }
            Of::Step(index) => {
                return Err(Error::new(Code::StepNotFound, format!("no step {index} is exported")).at("redact"));
            }
            Of::Trace(id) => {
                return Err(Error::new(Code::TraceNotFound, format!("no trace {id} is exported")).at("redact"));
            }
        }
    }
    seals(records, &mut gone)?;
    redactions(records, &mut gone)
}

impl<'a> Shown<'a> {
    /// What a request shows of a run.
    pub(super) fn of(run_id: Option<&str>, request: &'a ExportRequest) -> Self {
        let steps = request.only_steps.iter().flatten().copied().collect();
        let traces = request.only_traces.iter().flatten().map(|id| id.as_str()).collect();
        let named = Named { steps, traces };
        Self { run_id: run_id.map(str::to_owned), request, missing: named.clone(), named, gone: Gone::new() }
    }

    /// Leaves out what is not shown of an entry.
    pub(super) fn leave(&mut self, record: &mut Record) -> Result<()> {
        let is_partial = self.request.only_steps.is_some() || self.request.only_traces.is_some();
        if is_partial && !record.run.is_empty() && !self.is_shown(record) {
            let names = withholdable(record);
            leave_out(record, &names.iter().map(String::as_str).collect::<Vec<_>>(), &mut self.gone)?;
        }
        Ok(())
    }

    fn is_shown(&mut self, record: &Record) -> bool {
        match record.kind.as_str() {
            _ if Some(&record.run) != self.run_id.as_ref() => false,
            "step" => shown::<u32>(record, "index").is_some_and(|index| {
                self.missing.steps.remove(&index);
                self.named.steps.contains(&index)
            }),
            "trace" | "trace_ended" => shown::<String>(record, "id").is_some_and(|id| {
                self.missing.traces.remove(id.as_str());
                self.named.traces.contains(id.as_str())
            }),
            _ => true,
        }
    }
}

/// A seal's hashes and totals are over the steps: with one of them, what a withheld member held could be tried out. So could
/// what a related run's did, with the seal of a run that came out the same.
fn seals(records: &mut [Record], gone: &mut Gone) -> Result<()> {
    let steps: BTreeSet<u64> =
        records.iter().filter(|record| record.kind == "step").map(|step| step.log_index).collect();
    let left_out = |of: &[&str]| {
        let mut names = gone.iter().filter(|(entry, _)| steps.contains(entry)).flat_map(|(_, names)| names);
        names.any(|name| of.contains(&name.as_str()))
    };
    let mut going = Vec::new();
    if left_out(&HASHED) {
        going.extend(["behaviour_hash", "root_hash"]);
    }
    if left_out(&SUMMED) {
        going.push("totals");
    }
    for seal in records.iter_mut().filter(|record| record.kind == "sealed") {
        let there: Vec<_> = going.iter().copied().filter(|name| has(seal, name)).collect();
        leave_out(seal, &there, gone)?;
    }
    Ok(())
}

/// An earlier redaction in the ledger carries all that was left of the entries that it names.
fn redactions(records: &mut [Record], gone: &mut Gone) -> Result<()> {
    for record in records.iter_mut().filter(|record| record.kind == "redaction") {
        let carried: Vec<Remainder> = shown(record, "remainders").unwrap_or_default();
        if carried.iter().any(|left| gone.contains_key(&left.log_index)) {
            leave_out(record, &["remainders"], gone)?;
        }
    }
    Ok(())
}

/// Whose member it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Step(u32),
    Trace(String),
}

impl Of {
    /// A member as it stands in an entry; `None` where the entry has none.
    fn spelt<'a>(&self, name: &'a str, record: &Record) -> Option<&'a str> {
        let spellings = match self {
            Self::Step(_) => [name, name],
            Self::Trace(_) => [in_a_trace(name), in_an_end(name)],
        };
        spellings.into_iter().find(|name| has(record, name))
    }

    fn names(&self, record: &Record) -> bool {
        match self {
            Self::Step(index) => record.kind == "step" && shown(record, "index") == Some(*index),
            Self::Trace(id) => {
                matches!(record.kind.as_str(), "trace" | "trace_ended")
                    && shown::<String>(record, "id").as_ref() == Some(id)
            }
        }
    }
}

/// The members that a request names, by whose they are.
fn named(request: &ExportRequest) -> Result<BTreeMap<Of, BTreeSet<String>>> {
    let mut named: BTreeMap<Of, BTreeSet<String>> = BTreeMap::new();
    for text in request.redact.iter().flatten() {
        let refuse = || Error::new(Code::InvalidParameter, "is step/INDEX/MEMBER or trace/ID/MEMBER").at("redact");
        let (of, member) = match text.split_once('/') {
            Some(("step", rest)) => {
                let (index, member) = rest.split_once('/').ok_or_else(refuse)?;
                (Of::Step(index.parse().map_err(|_| refuse())?), member)
            }
            // An id may hold slashes, and so may a member, but only after `trace_type`.
            Some(("trace", rest)) => {
                let at = rest.find("/trace_type/").or_else(|| rest.rfind('/')).ok_or_else(refuse)?;
                (Of::Trace(rest[..at].to_owned()), &rest[at + 1..])
            }
            _ => return Err(refuse()),
        };
        if member.is_empty() {
            return Err(refuse());
        }
        named.entry(of).or_default().insert(member.to_owned());
    }
    Ok(named)
}

fn shown<T: Field>(record: &Record, name: &str) -> Option<T> {
    let value = record.left.as_ref()?.get(name)?.value()?;
    T::read(value.value(), &Path::ROOT).ok()
}

fn has(record: &Record, name: &str) -> bool {
    record.left.as_ref().is_some_and(|left| left.get(name).is_some())
}

fn withholdable(record: &Record) -> Vec<String> {
    let members = record.left.iter().flat_map(|left| &left.members);
    members.map(|left| left.name().to_owned()).filter(|name| !is_kept(record, name)).collect()
}

fn leave_out(record: &mut Record, names: &[&str], gone: &mut Gone) -> Result<()> {
    let Some(left) = record.left.as_ref().filter(|_| !names.is_empty()) else { return Ok(()) };
    if let Some(name) = names.iter().find(|name| NEVER_WITHHELD.contains(name)) {
        let detail = format!("{name} of {} {} is never withheld", record.kind, record.log_index);
        return Err(Error::from(Invalid::new(InvalidCode::InvalidMember, "", detail)).at("redact"));
    }
    let after = left.without(names).map_err(|invalid| Error::from(invalid).at("redact"))?;
    let new: BTreeSet<_> = after.withheld().filter(|name| !left.withholds(name)).map(str::to_owned).collect();
    if !new.is_empty() {
        gone.entry(record.log_index).or_default().extend(new);
        record.left = Some(after);
    }
    Ok(())
}
