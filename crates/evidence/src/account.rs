//! What the records of a run say, gathered once: what controls, debrief and report are made of.
//!
//! Pure: from [`Record`]s alone. What is withheld or erased is absent here, and nothing is guessed in its place.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::json::{Json, Value};
use tracekeep_core::wire::{Field, Path};

use crate::bundle::Record;

/// Something that an entry says, in words, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The entry.
    pub log_index: u64,
    /// The ledger's own clock.
    pub recorded_at: Timestamp,
    /// What it says. Recorded text: hostile.
    pub says: String,
}

/// An incident, as its entry says.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentAccount {
    /// The entry.
    pub log_index: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its id.
    pub incident_id: String,
    /// The run that it names.
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
    /// What was found and done.
    pub resolution: Option<String>,
    /// On whose word.
    pub by: Option<String>,
    /// When, as claimed; else when it was recorded.
    pub resolved_at: Timestamp,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepAccount {
    /// The entry.
    pub log_index: u64,
    /// Its index.
    pub index: u32,
    /// What was executed.
    pub skill_name: Option<String>,
    /// How it came out.
    pub status: Option<String>,
    /// When, as claimed.
    pub occurred_at: Option<Timestamp>,
    /// What it cost.
    pub cost: Cost,
    /// How long it took.
    pub duration: DurationMs,
    /// Tokens, where stated.
    pub tokens: Option<u64>,
}

/// One trace of the reasoning.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceAccount {
    /// The entry.
    pub log_index: u64,
    /// Its id.
    pub id: String,
    /// Under which it stands.
    pub parent_id: Option<String>,
    /// What kind of node it is.
    pub type_name: Option<String>,
    /// What it says, in a line.
    pub says: Option<String>,
}

/// A run and an incident, as their records say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The run.
    pub run_id: Option<String>,
    /// Who ran.
    pub agent_id: Option<String>,
    /// What it was for.
    pub goal: Option<String>,
    /// The policy in force.
    pub policy_snapshot_id: Option<String>,
    /// When it began, as claimed; else when that was recorded.
    pub started_at: Option<Timestamp>,
    /// When it ended, as claimed.
    pub completed_at: Option<Timestamp>,
    /// The seal that says so.
    pub completed_by: Option<u64>,
    /// How it ended.
    pub status: Option<String>,
    /// Why it ended.
    pub termination_reason: Option<String>,
    /// The entries of its seals.
    pub seals: Vec<u64>,
    /// Its steps by log index.
    pub steps: Vec<StepAccount>,
    /// Its traces by log index.
    pub traces: Vec<TraceAccount>,
    /// The incidents that it, or the export, names; by log index.
    pub incidents: Vec<IncidentAccount>,
    /// The incident that the bundle is about: its place in `incidents`.
    pub about: Option<usize>,
    /// What its completion states as a violation: step, time, policy, reason.
    pub stated_violation: Option<Violated>,
    /// What held it, and what was let go of.
    pub holds: Vec<Fact>,
    /// The entry that holds it still.
    pub held_by: Option<u64>,
    /// What was expected.
    pub expectations: Vec<Fact>,
    /// What was acknowledged.
    pub acks: Vec<Fact>,
    /// What was found by comparing the two.
    pub verdicts: Vec<Fact>,
    /// What was erased or redacted.
    pub redactions: Vec<Fact>,
}

/// What a run violated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Violated {
    /// The entry that says so.
    pub log_index: u64,
    /// The step.
    pub step_index: Option<u32>,
    /// When.
    pub at: Option<Timestamp>,
    /// The policy.
    pub policy_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

pub(crate) fn shown<T: Field>(record: &Record, name: &str) -> Option<T> {
    let value = record.left.as_ref()?.get(name)?.value()?;
    T::read(value.value(), &Path::ROOT).ok()
}

fn json(record: &Record, name: &str) -> Option<Json> {
    record.left.as_ref()?.get(name)?.value().cloned()
}

fn fact(record: &Record, says: impl Into<String>) -> Fact {
    Fact { log_index: record.log_index, recorded_at: record.recorded_at, says: says.into() }
}

/// The texts of members, where they are shown.
fn texts(record: &Record, names: &[&str]) -> String {
    let texts = names.iter().filter_map(|name| shown::<String>(record, name));
    texts.collect::<Vec<_>>().join(" · ")
}

impl Account {
    /// What `records`, sorted by log index, say of a run, of its incidents, and of the one that is asked about.
    #[must_use]
    pub fn of(records: &[Record], run_id: Option<&str>, incident_id: Option<&str>) -> Self {
        let mut account = Self { run_id: run_id.map(str::to_owned), ..Self::default() };
        for record in records {
            let is_own = run_id.is_some_and(|run_id| run_id == record.run);
            let names = shown::<String>(record, "incident_id");
            let is_asked = incident_id.is_some() && names.as_deref() == incident_id;
            if is_own || is_asked {
                account.take(record);
            }
        }
        account.about = account.incidents.iter().position(|known| Some(known.incident_id.as_str()) == incident_id);
        account
    }

    fn take(&mut self, record: &Record) {
        match record.kind.as_str() {
            "run_started" => {
                self.agent_id = shown(record, "agent_id");
                self.goal = shown(record, "goal");
                self.policy_snapshot_id = shown(record, "policy_snapshot_id");
                self.started_at = shown(record, "started_at").or(Some(record.recorded_at));
            }
            "run_described" => {
                self.agent_id = self.agent_id.take().or_else(|| shown(record, "agent_id"));
                self.goal = self.goal.take().or_else(|| shown(record, "goal"));
            }
            "step" => self.steps.extend(step(record)),
            "trace" => self.traces.extend(trace(record)),
            "sealed" => self.sealed(record),
            "incident" => {
                let incident = incident(record);
                if incident.as_ref().is_some_and(|known| known.run_id.is_some() && known.run_id == self.run_id) {
                    self.hold(record, format!("incident {}", texts(record, &["incident_id"])));
                }
                self.incidents.extend(incident);
            }
            "incident_resolved" => {
                let id: Option<String> = shown(record, "incident_id");
                let known = self.incidents.iter_mut().find(|known| Some(&known.incident_id) == id.as_ref());
                if let Some(known) = known {
                    known.resolution = Some(ResolutionAccount {
                        log_index: record.log_index,
                        resolution: shown(record, "resolution"),
                        by: shown(record, "by"),
                        resolved_at: shown(record, "resolved_at").unwrap_or(record.recorded_at),
                    });
                }
            }
            "hold" => self.hold(record, format!("held: {}", texts(record, &["reason", "by"]))),
            "hold_released" => {
                self.held_by = None;
                self.holds.push(fact(record, format!("let go of: {}", texts(record, &["reason", "by"]))));
            }
            "expectation" => self.expectations.push(fact(record, texts(record, &["domain", "action"]))),
            "ack" => self.acks.push(fact(record, texts(record, &["domain", "action", "status"]))),
            "verdict" => self.verdict(record),
            "redaction" => self.redactions.push(fact(record, texts(record, &["reason", "by"]))),
            _ => {}
        }
    }

    /// One hold holds a run; another, or an incident, changes nothing of it.
    fn hold(&mut self, record: &Record, says: String) {
        self.held_by.get_or_insert(record.log_index);
        self.holds.push(fact(record, says));
    }

    fn sealed(&mut self, record: &Record) {
        self.seals.push(record.log_index);
        self.status = shown(record, "status").or(self.status.take());
        let completed: Option<Timestamp> = shown(record, "completed_at");
        if completed.is_some() {
            (self.completed_at, self.completed_by) = (completed, Some(record.log_index));
        }
        self.termination_reason = shown(record, "termination_reason").or(self.termination_reason.take());
        self.verdict(record);
        let Some(stated) = json(record, "violation") else { return };
        let value = stated.value();
        let Some(object) = value.as_object() else { return };
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let step_index = object.get("step_index").map(Value::to_json).and_then(|step| step.as_str().parse().ok());
        self.stated_violation.get_or_insert(Violated {
            log_index: record.log_index,
            step_index,
            at: text("at").and_then(|at| at.parse().ok()),
            policy_id: text("policy_id"),
            reason: text("reason"),
        });
    }

    fn verdict(&mut self, record: &Record) {
        let Some(verdict) = json(record, "verdict") else { return };
        let value = verdict.value();
        let status = value.as_object().and_then(|verdict| verdict.get("status")?.as_str()).unwrap_or("?");
        self.verdicts.push(fact(record, status));
    }

    /// The incident that is asked about, else the first.
    #[must_use]
    pub fn incident(&self) -> Option<&IncidentAccount> {
        self.about.map_or_else(|| self.incidents.first(), |place| self.incidents.get(place))
    }

    /// What was violated: as the incident says that is asked about, else as the run's completion states, else as the first
    /// incident says. An incident says so where it names a type, a policy or a step.
    #[must_use]
    pub fn violation(&self) -> Option<Violated> {
        if self.about.is_none() && self.stated_violation.is_some() {
            return self.stated_violation.clone();
        }
        let incident = self.incident()?;
        incident.is_of_violation().then(|| self.violated(incident))
    }

    /// What an incident is about. Of a step that is shown it happened when that occurred; of any other when the incident was
    /// opened.
    pub(crate) fn violated(&self, incident: &IncidentAccount) -> Violated {
        let step = incident.step_index.and_then(|index| self.steps.iter().find(|step| step.index == index));
        Violated {
            log_index: incident.log_index,
            step_index: incident.step_index,
            at: step.and_then(|step| step.occurred_at).or(incident.created_at),
            policy_id: incident.policy_id.clone(),
            reason: incident.title.clone().or_else(|| incident.violation_type.clone()),
        }
    }

    /// What the steps that are shown cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let sum = self.steps.iter().fold(0i64, |sum, step| sum.saturating_add(step.cost.as_micro_cents()));
        Cost::from_micro_cents(sum).unwrap_or_default()
    }

    /// When what went wrong was over, and the entry that says so: the run had ended, or the incident was resolved, whichever
    /// is known to be first.
    #[must_use]
    pub fn contained(&self) -> Option<(Timestamp, u64)> {
        let resolution = self.incident().and_then(|incident| incident.resolution.as_ref());
        let resolved = resolution.map(|end| (end.resolved_at, end.log_index));
        self.completed_at.zip(self.completed_by).into_iter().chain(resolved).min_by_key(|(at, _)| *at)
    }

    /// From the violation to some time; absent where the claimed times contradict each other.
    #[must_use]
    pub fn since_violation(&self, to: Option<Timestamp>) -> Option<DurationMs> {
        let (from, to) = self.violation()?.at.zip(to)?;
        (from <= to).then(|| DurationMs::between(from, to))
    }
}

impl IncidentAccount {
    /// Whether it says that something was violated.
    fn is_of_violation(&self) -> bool {
        let is_of_policy = self.policy_id.is_some() || self.policy_name.is_some();
        is_of_policy || self.violation_type.is_some() || self.step_index.is_some()
    }
}

fn step(record: &Record) -> Option<StepAccount> {
    Some(StepAccount {
        log_index: record.log_index,
        index: shown(record, "index")?,
        skill_name: shown(record, "skill_name"),
        status: shown(record, "status"),
        occurred_at: shown(record, "occurred_at"),
        cost: shown(record, "cost_cents").unwrap_or_default(),
        duration: shown(record, "duration_ms").unwrap_or_default(),
        tokens: shown(record, "tokens"),
    })
}

fn trace(record: &Record) -> Option<TraceAccount> {
    let inner = |name: &str| shown::<String>(record, &format!("trace_type/{name}"));
    let says = ["tool_name", "chosen", "query", "content", "message", "name"];
    Some(TraceAccount {
        log_index: record.log_index,
        id: shown(record, "id")?,
        parent_id: shown(record, "parent_id"),
        type_name: inner("type"),
        says: says.iter().find_map(|name| inner(name)),
    })
}

fn incident(record: &Record) -> Option<IncidentAccount> {
    Some(IncidentAccount {
        log_index: record.log_index,
        recorded_at: record.recorded_at,
        incident_id: shown(record, "incident_id")?,
        run_id: shown(record, "run_id"),
        severity: shown(record, "severity"),
        policy_id: shown(record, "policy_id"),
        policy_name: shown(record, "policy_name"),
        violation_type: shown(record, "violation_type"),
        threshold: json(record, "threshold"),
        actual: json(record, "actual"),
        step_index: shown(record, "violation_step_index"),
        title: shown(record, "title"),
        summary: shown(record, "summary"),
        created_at: shown(record, "created_at"),
        resolution: None,
    })
}
