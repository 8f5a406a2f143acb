//! Incidents: what went wrong, what was done about it, and what was handed out as evidence.

use super::op::{label, refuse, said};
use crate::id::{ExportId, IncidentId, RunId};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::Json;
use crate::limits::{EXPORT_OPTIONS_BYTES_MAX, INCIDENT_TEXT_BYTES_MAX, STEP_INDEX_MAX};
use crate::model::{JsonObject, Redacted};
use crate::time::Timestamp;
use crate::wire::{object, words};

words! {
    /// How bad an incident is, the least first.
    pub enum Severity {
        /// Worth knowing.
        Low = "low",
        /// Worth looking at soon.
        Medium = "medium",
        /// Somebody has to look at it now.
        High = "high",
        /// Everybody has to.
        Critical = "critical",
    }
}

words! {
    /// Where an incident stands.
    pub enum IncidentStatus {
        /// Nobody has said how it ended.
        Open = "open",
        /// Somebody has. It stays so.
        Resolved = "resolved",
    }
}

object! {
    /// Opens an incident, of a run or of none, and holds its run. The same again is a duplicate.
    pub struct OpenIncident {
        /// Names the incident; generated (`inc-` + UUIDv7) where absent.
        generated incident_id: IncidentId,
        /// The run that caused it. Without one, only an executive debrief can be exported.
        optional run_id: RunId,
        /// How bad it is.
        optional severity: Severity,
        /// The policy that was violated, by its id: 1 to 256 bytes.
        optional policy_id: String,
        /// Its name: 1 to 256 bytes.
        optional policy_name: String,
        /// What kind of violation it is: 1 to 256 bytes.
        optional violation_type: String,
        /// What the policy allows: any JSON.
        optional threshold: Json,
        /// What was found instead: any JSON.
        optional actual: Json,
        /// The step of the run that violated it. It must be there, unless steps may still come.
        optional violation_step_index: u32,
        /// When the policy was violated. Without it that is known only where the step is there that did it.
        optional violation_at: Timestamp,
        /// What it is, in a line: 1 to 256 bytes.
        optional title: String,
        /// What is known, in words: 1 byte to 4 KiB.
        optional summary: String,
        /// When it was opened; now where absent.
        generated created_at: Timestamp,
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
    }
}

impl OpenIncident {
    /// An incident of `run_id`, of which nothing else is known.
    #[must_use]
    pub const fn of(run_id: RunId, severity: Severity) -> Self {
        Self {
            incident_id: None,
            run_id: Some(run_id),
            severity: Some(severity),
            policy_id: None,
            policy_name: None,
            violation_type: None,
            threshold: None,
            actual: None,
            violation_step_index: None,
            violation_at: None,
            title: None,
            summary: None,
            created_at: None,
            redacted: None,
        }
    }

    pub(super) fn check(&mut self) -> Result<(), Invalid> {
        super::op::drop_null(&mut self.threshold);
        super::op::drop_null(&mut self.actual);
        label("policy_id", self.policy_id.as_deref(), 1)?;
        label("policy_name", self.policy_name.as_deref(), 1)?;
        label("violation_type", self.violation_type.as_deref(), 1)?;
        label("title", self.title.as_deref(), 1)?;
        if let Some(summary) = &self.summary {
            said("/summary", summary, INCIDENT_TEXT_BYTES_MAX)?;
        }
        match self.violation_step_index {
            Some(_) if self.run_id.is_none() => {
                Err(refuse("/run_id", InvalidCode::MissingMember, "is required where a step is named"))
            }
            Some(index) if index > STEP_INDEX_MAX => {
                let detail = format!("is at most {STEP_INDEX_MAX}");
                Err(refuse("/violation_step_index", InvalidCode::NumberOutOfRange, detail))
            }
            _ => Ok(()),
        }
    }
}

object! {
    /// Says how an incident ended. It stays resolved: the same again is a duplicate, anything else a conflict. What its run is
    /// held by stays until it is let go of.
    pub struct ResolveIncident {
        /// Names the incident.
        required incident_id: IncidentId,
        /// What was found and done: 1 byte to 4 KiB.
        required resolution: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// When it was resolved; now where absent.
        generated resolved_at: Timestamp,
        /// What rules took out of it at the door, which alone states it.
        door redacted: Redacted,
    }
}

impl ResolveIncident {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        said("/resolution", &self.resolution, INCIDENT_TEXT_BYTES_MAX)?;
        label("by", self.by.as_deref(), 1)
    }
}

words! {
    /// What a bundle is for.
    pub enum BundleKind {
        /// To check what a run did.
        Evidence = "evidence",
        /// To show an auditor which controls worked.
        Soc2 = "soc2",
        /// To tell people who answer for it what happened.
        ExecutiveDebrief = "executive_debrief",
        /// To show every run that started between two times.
        Period = "period",
    }
}

object! {
    /// From one time, to before another.
    #[derive(Copy, Eq)]
    pub struct Period {
        /// The first time that is in it.
        required from: Timestamp,
        /// The first time after it.
        required to: Timestamp,
    }
}

crate::wire::object_field!(Period);

object! {
    /// States that a bundle was handed out: of an incident, of a run, or of a period.
    pub struct RecordExport {
        /// Names the export; generated (`export-` + UUIDv7) where absent.
        generated export_id: ExportId,
        /// The incident.
        optional incident_id: IncidentId,
        /// The run.
        optional run_id: RunId,
        /// The period: what was exported, or, of a run or an incident, what the auditor looks at.
        optional period: Period,
        /// What the bundle is for.
        required kind: BundleKind,
        /// Entries of the log that the bundle is a function of: the size of its checkpoint.
        required size: u64,
        /// Who asked for it, as they call themselves: 1 to 256 bytes; absent where nobody was named, and the export forced.
        optional by: String,
        /// What was asked for, as the bundle's manifest states it: which steps and traces are shown, what is withheld,
        /// whether related runs are there. At most 80 KiB. Not stated by earlier versions.
        optional options: JsonObject,
        /// Whether it was handed out although something that its kind requires is missing; likewise.
        optional forced: bool,
        /// SHA-256 of the bundle's bytes, in hex.
        optional bundle_sha256: crate::hash::Hash,
    }
}

impl RecordExport {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let is_of_run = self.kind != BundleKind::Period && (self.incident_id.is_some() || self.run_id.is_some());
        let is_of_period = self.period.is_some() && !is_of_run;
        let named = [self.incident_id.is_some(), self.run_id.is_some(), is_of_period].into_iter().filter(|is| *is);
        if named.count() != 1 {
            let detail = "is required, or run_id or period in its place: one of the three";
            return Err(refuse("/incident_id", InvalidCode::MissingMember, detail));
        }
        if let Some(Period { from, to }) = self.period
            && from >= to
        {
            return Err(refuse("/period/to", InvalidCode::InvalidMember, "comes after from"));
        }
        if self.options.as_ref().is_some_and(|options| options.as_str().len() > EXPORT_OPTIONS_BYTES_MAX as usize) {
            let detail = format!(
                "the options have at most {EXPORT_OPTIONS_BYTES_MAX} bytes: name fewer steps, traces or members"
            );
            return Err(refuse("/options", InvalidCode::TooLarge, detail));
        }
        label("by", self.by.as_deref(), 1)
    }
}
