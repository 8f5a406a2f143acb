//! What may be asked of an export.

use std::collections::BTreeSet;

use crate::{Code, Error, Result};
use tracekeep_core::id::{IncidentId, RunId, TraceId};
use tracekeep_core::json::Json;
use tracekeep_core::limits::NAME_BYTES_MAX;
use tracekeep_core::model::{BundleKind, JsonObject, Period};
use tracekeep_core::wire::{object, to_json};

/// What is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportOf {
    /// An incident, with its run.
    Incident(IncidentId),
    /// A run.
    Run(RunId),
    /// All runs whose start was recorded in a period, with the proof that none was left out.
    Period(Period),
}

object! {
    /// How it is exported.
    pub struct ExportRequest {
        /// What the bundle is for.
        default kind: BundleKind = BundleKind::Evidence,
        /// Who asks, as they call themselves: 1 to 256 bytes. Every kind of bundle requires it, so that one without it is
        /// incomplete.
        optional by: String,
        /// Entries of the log to export; the head's unless told.
        optional at: u64,
        /// The size of an earlier checkpoint: the bundle proves that the log extends it.
        optional since: u64,
        /// Steps that are shown. Of the run's other steps, of its traces, and of all that related runs hold it is proven that
        /// they were there; what else the run has is shown. At most 1,000.
        optional only_steps: Vec<u32>,
        /// Traces that are shown, likewise: with it or `only_steps`, no step or trace that neither names. At most 1,000.
        optional only_traces: Vec<TraceId>,
        /// Members that are withheld, of each run that is exported: `step/INDEX/MEMBER` or `trace/ID/MEMBER`. At most 1,000.
        optional redact: Vec<String>,
        /// Whether the runs with the same correlation id are exported, too.
        default related: bool = false,
        /// Whether it is exported although something that its kind requires is missing: the bundle says so.
        default force: bool = false,
        /// Of soc2: the period that the auditor looks at. Of kind period: what is exported.
        optional period: Period,
    }
}

/// Steps and members that one request names.
const NAMED_MAX: usize = 1_000;

impl Default for ExportRequest {
    fn default() -> Self {
        Self {
            kind: BundleKind::Evidence,
            by: None,
            at: None,
            since: None,
            only_steps: None,
            only_traces: None,
            redact: None,
            related: false,
            force: false,
            period: None,
        }
    }
}

impl ExportRequest {
    pub(super) fn check(&self, of: &ExportOf) -> Result<()> {
        let refuse = |path: &str, detail: &str| Err(Error::new(Code::InvalidParameter, detail).at(path));
        match self.by.as_deref() {
            Some("") => return refuse("by", "is not empty where it is there"),
            Some(by) if by.len() > NAME_BYTES_MAX as usize => return refuse("by", "has at most 256 bytes"),
            _ => {}
        }
        if self.at == Some(0) {
            return refuse("at", "is at least 1: of no entries nothing is exported");
        }
        if matches!(of, ExportOf::Period(_)) != (self.kind == BundleKind::Period) {
            return refuse("kind", "is period where a period is exported, and only there");
        }
        if self.period.is_some_and(|period| period.from >= period.to) {
            return refuse("period", "ends after it begins");
        }
        if self.only_steps.as_ref().is_some_and(|steps| steps.len() > NAMED_MAX) {
            return refuse("only_steps", "are at most 1,000");
        }
        if self.only_traces.as_ref().is_some_and(|traces| traces.len() > NAMED_MAX) {
            return refuse("only_traces", "are at most 1,000");
        }
        if self.redact.as_ref().is_some_and(|members| members.len() > NAMED_MAX) {
            return refuse("redact", "names at most 1,000 members");
        }
        let is_partial = self.only_steps.is_some() || self.only_traces.is_some() || self.redact.is_some();
        if matches!(of, ExportOf::Period(_)) && (is_partial || self.related) {
            return refuse("kind", "a period is exported whole");
        }
        Ok(())
    }

    /// What the log states of the request: what makes it another bundle, but for the size and the name, which stand there by
    /// themselves.
    pub(super) fn asked(&self) -> JsonObject {
        self.stated(Vec::new(), &BTreeSet::new())
    }

    /// The same as the bundle states it, with what there is to say of the answer: `absent`, recommended members that no entry
    /// states, and `redacted_since`, redactions after the size that took members of what is shown.
    pub(super) fn stated(&self, absent: Vec<&str>, redacted_since: &BTreeSet<u64>) -> JsonObject {
        let stated = to_json(&Self { by: None, at: None, period: None, ..self.clone() });
        let value = stated.value();
        let members = value.as_object().into_iter().flat_map(|object| object.iter());
        let members = members.filter(|(name, _)| !matches!(*name, "kind" | "force"));
        let mut kept: Vec<_> = members.map(|(name, value)| (name.to_owned(), value.to_json())).collect();
        if !absent.is_empty() {
            kept.push(("absent".to_owned(), Json::array(absent.into_iter().map(Json::from))));
        }
        if !redacted_since.is_empty() {
            kept.push(("redacted_since".to_owned(), Json::array(redacted_since.iter().copied().map(Json::from))));
        }
        let kept = Json::object(kept);
        kept.ok().and_then(|kept| JsonObject::new(kept).ok()).unwrap_or_default()
    }
}
