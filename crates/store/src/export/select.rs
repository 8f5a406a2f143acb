//! Selective disclosure: what of a run is withheld from a bundle. It is still proven that it was there.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Code, Error, Result};
use tracekeep_core::remainder::NEVER_WITHHELD;
use tracekeep_core::wire::{Field, Path};
use tracekeep_evidence::bundle::Record;

use super::request::ExportRequest;

/// Withholds what a request names, from the entries of its run.
///
/// # Errors
/// `invalid_parameter` for a name of another form; `step_not_found`, `trace_not_found`; `invalid_member` for a member that is
/// never withheld or is not there.
pub(super) fn withhold(records: &mut [Record], run_id: &str, request: &ExportRequest) -> Result<()> {
    let own = |record: &&mut Record| record.run == run_id;
    if let Some(steps) = &request.only_steps {
        let mut missing: BTreeSet<u32> = steps.iter().copied().collect();
        for record in records.iter_mut().filter(own).filter(|record| record.kind == "step") {
            let Some(index) = shown::<u32>(record, "index") else { continue };
            if !steps.contains(&index) {
                let names = withholdable(record);
                leave_out(record, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
            missing.remove(&index);
        }
        if let Some(index) = missing.first() {
            return Err(Error::new(Code::StepNotFound, format!("the run has no step {index}")).at("only_steps"));
        }
    }
    for (of, names) in named(request)? {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut is_known = false;
        for record in records.iter_mut().filter(own).filter(|record| of.names(record)) {
            is_known = true;
            let there: Vec<_> = names.iter().copied().filter(|name| has(record, name)).collect();
            // A trace and its end are two entries: each is asked for what it has. A step is one.
            leave_out(record, if matches!(of, Of::Trace(_)) { &there } else { &names })?;
        }
        match &of {
            _ if is_known => {}
            Of::Step(index) => {
                return Err(Error::new(Code::StepNotFound, format!("the run has no step {index}")).at("redact"));
            }
            Of::Trace(id) => {
                return Err(Error::new(Code::TraceNotFound, format!("the run has no trace {id}")).at("redact"));
            }
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

fn leave_out(record: &mut Record, names: &[&str]) -> Result<()> {
    if let Some(left) = &record.left
        && !names.is_empty()
    {
        record.left = Some(left.without(names).map_err(|invalid| Error::from(invalid).at("redact"))?);
    }
    Ok(())
}
