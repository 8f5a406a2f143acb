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

/// Withholds what a request names, from the entries of its run, and what would give it away.
///
/// # Errors
/// `invalid_parameter` for a name of another form; `step_not_found`, `trace_not_found`; `invalid_member` for a member that is
/// never withheld or is not there.
pub(super) fn withhold(records: &mut [Record], run_id: &str, request: &ExportRequest) -> Result<()> {
    let own = |record: &&mut Record| record.run == run_id;
    let mut gone = Gone::new();
    if let Some(steps) = &request.only_steps {
        let mut missing: BTreeSet<u32> = steps.iter().copied().collect();
        for record in records.iter_mut().filter(own).filter(|record| record.kind == "step") {
            let Some(index) = shown::<u32>(record, "index") else { continue };
            if !steps.contains(&index) {
                let names = withholdable(record);
                leave_out(record, &names.iter().map(String::as_str).collect::<Vec<_>>(), &mut gone)?;
            }
            missing.remove(&index);
        }
        if let Some(index) = missing.first() {
            return Err(Error::new(Code::StepNotFound, format!("the run has no step {index}")).at("only_steps"));
        }
    }
    for (of, names) in named(request)? {
        let (mut is_known, mut missing) = (false, names.clone());
        for record in records.iter_mut().filter(own).filter(|record| of.names(record)) {
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
                return Err(Error::new(Code::StepNotFound, format!("the run has no step {index}")).at("redact"));
            }
            Of::Trace(id) => {
                return Err(Error::new(Code::TraceNotFound, format!("the run has no trace {id}")).at("redact"));
            }
        }
    }
    seals(records, run_id, &mut gone)?;
    redactions(records, run_id, &mut gone)
}

/// A seal's hashes and totals are over the steps: with one of them, what a withheld member held could be tried out.
fn seals(records: &mut [Record], run_id: &str, gone: &mut Gone) -> Result<()> {
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
    for seal in records.iter_mut().filter(|record| record.run == run_id && record.kind == "sealed") {
        let there: Vec<_> = going.iter().copied().filter(|name| has(seal, name)).collect();
        leave_out(seal, &there, gone)?;
    }
    Ok(())
}

/// An earlier redaction in the ledger carries all that was left of the entries that it names.
fn redactions(records: &mut [Record], run_id: &str, gone: &mut Gone) -> Result<()> {
    for record in records.iter_mut().filter(|record| record.run == run_id && record.kind == "redaction") {
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
    members.map(|left| left.name().to_owned()).filter(|name| !NEVER_WITHHELD.contains(&name.as_str())).collect()
}

fn leave_out(record: &mut Record, names: &[&str], gone: &mut Gone) -> Result<()> {
    let Some(left) = record.left.as_ref().filter(|_| !names.is_empty()) else { return Ok(()) };
    let after = left.without(names).map_err(|invalid| Error::from(invalid).at("redact"))?;
    let new: BTreeSet<_> = after.withheld().filter(|name| !left.withholds(name)).map(str::to_owned).collect();
    if !new.is_empty() {
        gone.entry(record.log_index).or_default().extend(new);
        record.left = Some(after);
    }
    Ok(())
}
