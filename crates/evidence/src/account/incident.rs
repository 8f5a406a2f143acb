//! Incidents, and what was violated.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::DurationMs;
use tracekeep_core::json::Json;
use tracekeep_core::model::Severity;

use super::{Account, StepAccount, json, shown};
use crate::bundle::Record;

/// An incident, as its entry says.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentAccount {
    /// The entry.
    pub log_index: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its id.
    pub incident_id: String,
    /// The run that it is of, as its leaf says.
    pub run_id: Option<String>,
    /// How bad it is.
    pub severity: Option<String>,
    /// The policy, by its id.
    pub policy_id: Option<String>,
    /// The policy, by its name.
    pub policy_name: Option<String>,
    /// What kind of violation it is.
    pub violation_type: Option<String>,
    /// What the policy allows.
    pub threshold: Option<Json>,
    /// What was found instead.
    pub actual: Option<Json>,
    /// The step that violated it.
    pub step_index: Option<u32>,
    /// When the policy was violated, as claimed.
    pub violation_at: Option<Timestamp>,
    /// What it is, in a line.
    pub title: Option<String>,
    /// What is known.
    pub summary: Option<String>,
    /// When it was opened, as claimed.
    pub created_at: Option<Timestamp>,
    /// How it ended.
    pub resolution: Option<ResolutionAccount>,
}

/// How an incident ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolutionAccount {
    /// The entry.
    pub log_index: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What was found and done.
    pub resolution: Option<String>,
    /// On whose word.
    pub by: Option<String>,
    /// When, as claimed; else when it was recorded.
    pub resolved_at: Timestamp,
}

/// What was violated, as one entry says: an incident, or the run's completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Violated {
    /// The entry that says so.
    pub log_index: u64,
    /// When that was recorded.
    pub recorded_at: Timestamp,
    /// The step.
    pub step_index: Option<u32>,
    /// The entry of that step, where it is among the records.
    pub step: Option<u64>,
    /// When: as the entry says, else when the step occurred.
    pub at: Option<Timestamp>,
    /// The policy.
    pub policy_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// How an incident came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The run that caused it had ended: it could do no more. Nobody need have done anything about it.
    RunEnded,
    /// It was resolved.
    Resolved,
}

/// When an incident's violation came to an end, and the entry that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// When, as claimed.
    pub at: Timestamp,
    /// The entry.
    pub log_index: u64,
    /// When that was recorded.
    pub recorded_at: Timestamp,
    /// What it says.
    pub how: How,
}

impl IncidentAccount {
    /// The policy that it names: by its name, else by its id.
    #[must_use]
    pub fn policy(&self) -> Option<&str> {
        self.policy_name.as_deref().or(self.policy_id.as_deref())
    }

    /// When it was opened, as claimed; else when that was recorded.
    #[must_use]
    pub fn detected_at(&self) -> Timestamp {
        self.created_at.unwrap_or(self.recorded_at)
    }

    /// Whether a resolution of it is recorded.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.resolution.is_none()
    }

    /// Whether it says that something was violated.
    pub(super) fn is_of_violation(&self) -> bool {
        let is_of_policy = self.policy_id.is_some() || self.policy_name.is_some();
        let is_of_step = self.step_index.is_some() || self.violation_at.is_some();
        is_of_policy || is_of_step || self.violation_type.is_some()
    }
}

impl Account {
    /// The incidents that are told of: the one that is asked about, else all of the run's.
    #[must_use]
    pub fn judged(&self) -> Vec<&IncidentAccount> {
        match self.about {
            Some(place) => self.incidents.get(place).into_iter().collect(),
            None => self.incidents.iter().collect(),
        }
    }

    /// What the run's completion states as a violation.
    #[must_use]
    pub fn stated(&self) -> Option<Violated> {
        let mut stated = self.stated_violation.clone()?;
        let step = self.step(stated.step_index);
        stated.step = step.map(|step| step.log_index);
        stated.at = stated.at.or(step.and_then(|step| step.occurred_at));
        Some(stated)
    }

    /// What the run's completion states as a violation and no incident tells of, be it resolved or not: none names the same
    /// policy and the same step. Where a time is told, those alone count that were recorded before it.
    #[must_use]
    pub fn untold(&self, before: Option<Timestamp>) -> Option<Violated> {
        let stated = self.stated().filter(|_| self.about.is_none())?;
        let is_same = |known: &&IncidentAccount| {
            let is_one = known.policy_id.is_some() || known.step_index.is_some();
            is_one && known.policy_id == stated.policy_id && known.step_index == stated.step_index
        };
        let mut seen = self.incidents.iter().filter(|known| before.is_none_or(|before| known.recorded_at < before));
        if seen.any(|known| is_same(&known)) { None } else { Some(stated) }
    }

    /// All that is said to have been violated: by the run's completion, unless one incident is asked about, and by each
    /// incident that is told of and names a type, a policy, a step or a time of it.
    #[must_use]
    pub fn violations(&self) -> Vec<Violated> {
        let stated = self.stated().filter(|_| self.about.is_none());
        let of_incidents = self.judged().into_iter().filter_map(|incident| self.violated(incident));
        stated.into_iter().chain(of_incidents).collect()
    }

    /// The first of them.
    #[must_use]
    pub fn violation(&self) -> Option<Violated> {
        self.violations().into_iter().next()
    }

    /// What an incident says was violated, if it says so.
    #[must_use]
    pub fn violated(&self, incident: &IncidentAccount) -> Option<Violated> {
        incident.is_of_violation().then(|| self.about_of(incident))
    }

    /// The step that an incident names, where it is among the records.
    pub(crate) fn step_of(&self, incident: &IncidentAccount) -> Option<&StepAccount> {
        let is_own = incident.run_id.is_some() && incident.run_id == self.run_id;
        self.step(incident.step_index).filter(|_| is_own)
    }

    /// What an incident is about. It happened when the incident says so, else when the step did that is shown. When the
    /// incident was opened is the time of something else.
    pub(crate) fn about_of(&self, incident: &IncidentAccount) -> Violated {
        let step = self.step_of(incident);
        Violated {
            log_index: incident.log_index,
            recorded_at: incident.recorded_at,
            step_index: incident.step_index,
            step: step.map(|step| step.log_index),
            at: incident.violation_at.or(step.and_then(|step| step.occurred_at)),
            policy_id: incident.policy_id.clone(),
            reason: incident.title.clone().or_else(|| incident.violation_type.clone()),
        }
    }

    /// When an incident's violation was contained: its run ended, or it was resolved, whichever is claimed to be first, and
    /// neither before it was detected. A time that contradicts others is none: the end of a run before what it violated, or
    /// before what it still did, and a resolution from before the incident was opened.
    #[must_use]
    pub fn contained(&self, incident: &IncidentAccount) -> Option<Over> {
        self.ends(incident).filter(|over| over.at >= incident.detected_at()).min_by_key(|over| over.at)
    }

    /// The end of an incident's run where that was before anybody had detected what was wrong: the run could do no more, and
    /// nobody need have contained anything.
    #[must_use]
    pub fn ended_before_detection(&self, incident: &IncidentAccount) -> Option<Over> {
        self.ends(incident).find(|over| over.how == How::RunEnded && over.at < incident.detected_at())
    }

    /// All ends of an incident's violation, in no order, before its detection too.
    pub(crate) fn ends(&self, incident: &IncidentAccount) -> impl Iterator<Item = Over> {
        let resolved = incident.resolution.as_ref().map(|end| Over {
            at: end.resolved_at,
            log_index: end.log_index,
            recorded_at: end.recorded_at,
            how: How::Resolved,
        });
        let resolved = resolved.filter(|over| over.at >= incident.detected_at());
        let ended = self.ended.filter(|over| {
            let is_own = incident.run_id.is_some() && incident.run_id == self.run_id;
            is_own && self.last_act.is_none_or(|last| last <= over.at)
        });
        let began = self.about_of(incident).at;
        ended.into_iter().chain(resolved).filter(move |over| began.is_none_or(|began| began <= over.at))
    }

    /// From what an incident says was violated to some time; absent where it says none, and where the claimed times
    /// contradict each other.
    #[must_use]
    pub fn since(&self, incident: &IncidentAccount, to: Option<Timestamp>) -> Option<DurationMs> {
        let (from, to) = self.violated(incident)?.at.zip(to)?;
        (from <= to).then(|| DurationMs::between(from, to))
    }
}

/// A text that is not empty.
fn name(record: &Record, name: &str) -> Option<String> {
    shown(record, name).filter(|text: &String| !text.is_empty())
}

pub(super) fn read(record: &Record) -> Option<IncidentAccount> {
    Some(IncidentAccount {
        log_index: record.log_index,
        recorded_at: record.recorded_at,
        incident_id: shown(record, "incident_id")?,
        run_id: (!record.run.is_empty()).then(|| record.run.clone()),
        severity: shown::<Severity>(record, "severity").map(|severity| severity.to_string()),
        policy_id: name(record, "policy_id"),
        policy_name: name(record, "policy_name"),
        violation_type: name(record, "violation_type"),
        threshold: json(record, "threshold"),
        actual: json(record, "actual"),
        step_index: shown(record, "violation_step_index"),
        violation_at: shown(record, "violation_at"),
        title: shown(record, "title"),
        summary: shown(record, "summary"),
        created_at: shown(record, "created_at"),
        resolution: None,
    })
}
