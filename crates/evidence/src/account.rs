//! What the records of a run say, gathered once: what controls, debrief and report are made of.
//!
//! Pure: from [`Record`]s alone. What is withheld or erased is absent here, and nothing is guessed in its place.

mod audit;
mod incident;
mod trace;

use std::collections::BTreeMap;

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::json::{Json, Value};
use tracekeep_core::wire::{Field, Path};

use self::audit::Audited;
pub use self::incident::{How, IncidentAccount, Over, ResolutionAccount, Violated};
pub use self::trace::TraceAccount;
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

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepAccount {
    /// The entry.
    pub log_index: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its index.
    pub index: u32,
    /// What was executed.
    pub skill_name: Option<String>,
    /// How it came out.
    pub status: Option<String>,
    /// When, as claimed.
    pub occurred_at: Option<Timestamp>,
    /// What it cost; absent where that is withheld.
    pub cost: Option<Cost>,
    /// How long it took; absent where that is withheld.
    pub duration: Option<DurationMs>,
    /// Tokens, where stated.
    pub tokens: Option<u64>,
}

/// A hold, or the end of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// The entry, and what it says.
    pub fact: Fact,
    /// Whether it holds.
    pub holds: bool,
    /// Which of the holds so far holds the run after it: one holds a run, another, or an incident, changes nothing of it.
    stands: Option<usize>,
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
    /// When it ended, as claimed, and the seal that says so.
    pub ended: Option<Over>,
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
    /// What its completion states as a violation, as it stands there: [`Account::stated`] knows the step's time.
    stated_violation: Option<Violated>,
    /// Whether a completion has a violation that it does not show.
    pub violation_withheld: bool,
    /// The latest time at which it did anything, as claimed.
    last_act: Option<Timestamp>,
    /// What held it, and what was let go of.
    pub holds: Vec<Hold>,
    /// What was expected.
    pub expectations: Vec<Fact>,
    /// What was acknowledged.
    pub acks: Vec<Fact>,
    /// Where an expectation stands by somebody's word.
    pub statuses: Vec<Fact>,
    /// What was found by comparing the two: the verdicts' statuses.
    pub verdicts: Vec<Fact>,
    /// Where all that was expected and acknowledged was taken back.
    pub cleared: Vec<Fact>,
    /// What was erased or redacted.
    pub redactions: Vec<Fact>,
    audited: Audited,
    /// Where the first step of an index stands in `steps`, the first trace of an id in `traces`, and the first incident of an id
    /// in `incidents`: each may be many.
    step_places: BTreeMap<u32, usize>,
    trace_places: BTreeMap<String, usize>,
    incident_places: BTreeMap<String, usize>,
}

pub(crate) fn shown<T: Field>(record: &Record, name: &str) -> Option<T> {
    let value = record.left.as_ref()?.get(name)?.value()?;
    T::read(value.value(), &Path::ROOT).ok()
}

pub(crate) fn json(record: &Record, name: &str) -> Option<Json> {
    record.left.as_ref()?.get(name)?.value().cloned()
}

/// Whether a member was there that is not shown.
fn is_withheld(record: &Record, name: &str) -> bool {
    record.left.as_ref().is_some_and(|left| left.withheld().any(|withheld| withheld == name))
}

/// The status of the verdict that an entry has; `withheld` where it has one that is not shown.
pub(crate) fn verdict(record: &Record) -> Option<String> {
    if is_withheld(record, "verdict") {
        return Some("withheld".to_owned());
    }
    let verdict = json(record, "verdict")?;
    let value = verdict.value();
    let status = value.as_object().and_then(|verdict| verdict.get("status")?.as_str()).unwrap_or("?");
    Some(status.to_owned())
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
            let is_of_incident = matches!(record.kind.as_str(), "incident" | "incident_resolved");
            let names = shown::<String>(record, "incident_id").filter(|_| is_of_incident);
            let is_asked = incident_id.is_some() && names.as_deref() == incident_id;
            if is_own || is_asked {
                account.take(record);
            }
        }
        let start = records.iter().find(|record| record.kind == "run_started" && Some(record.run.as_str()) == run_id);
        account.started_at = account.started_at.or(start.map(|record| record.recorded_at));
        account.about = account.incidents.iter().position(|known| Some(known.incident_id.as_str()) == incident_id);
        account
    }

    fn take(&mut self, record: &Record) {
        self.audited.take(record);
        match record.kind.as_str() {
            "run_started" => {
                self.agent_id = shown(record, "agent_id");
                self.goal = shown(record, "goal");
                self.policy_snapshot_id = shown(record, "policy_snapshot_id");
                self.started_at = shown(record, "started_at");
            }
            "run_described" => {
                self.agent_id = self.agent_id.take().or_else(|| shown(record, "agent_id"));
                self.goal = self.goal.take().or_else(|| shown(record, "goal"));
                self.started_at = self.started_at.or_else(|| shown(record, "started_at"));
            }
            "step" => {
                self.acted(record);
                if let Some(step) = step(record) {
                    self.step_places.entry(step.index).or_insert(self.steps.len());
                    self.steps.push(step);
                }
            }
            "trace" => {
                self.acted(record);
                if let Some(trace) = TraceAccount::of(record) {
                    self.trace_places.entry(trace.id.clone()).or_insert(self.traces.len());
                    self.traces.push(trace);
                }
            }
            "trace_ended" => {
                let id: Option<String> = shown(record, "id");
                let place = id.and_then(|id| self.trace_places.get(&id).copied());
                place.and_then(|place| self.traces.get_mut(place)).into_iter().for_each(|trace| trace.end(record));
            }
            "sealed" => self.sealed(record),
            "incident" => {
                let incident = incident::read(record);
                if incident.as_ref().is_some_and(|known| known.run_id.is_some() && known.run_id == self.run_id) {
                    self.hold(record, format!("incident {}", texts(record, &["incident_id"])));
                }
                if let Some(incident) = incident {
                    self.incident_places.entry(incident.incident_id.clone()).or_insert(self.incidents.len());
                    self.incidents.push(incident);
                }
            }
            "incident_resolved" => {
                let id: Option<String> = shown(record, "incident_id");
                let place = id.and_then(|id| self.incident_places.get(&id).copied());
                if let Some(known) = place.and_then(|place| self.incidents.get_mut(place)) {
                    known.resolution.get_or_insert(ResolutionAccount {
                        log_index: record.log_index,
                        recorded_at: record.recorded_at,
                        resolution: shown(record, "resolution"),
                        by: shown(record, "by"),
                        resolved_at: shown(record, "resolved_at").unwrap_or(record.recorded_at),
                    });
                }
            }
            "hold" => self.hold(record, format!("held: {}", texts(record, &["reason", "by"]))),
            "hold_released" => {
                let fact = fact(record, format!("let go of: {}", texts(record, &["reason", "by"])));
                self.holds.push(Hold { fact, holds: false, stands: None });
            }
            "expectation" => self.expectations.push(fact(record, texts(record, &["domain", "action"]))),
            "ack" => self.acks.push(fact(record, texts(record, &["domain", "action", "status"]))),
            "status" => self.statuses.push(fact(record, texts(record, &["domain", "action", "status"]))),
            "verdict" => self.verdict(record),
            "audit_cleared" => self.cleared.push(fact(record, "all that was expected was taken back")),
            "redaction" if record.left.is_none() => {
                self.redactions.push(fact(record, "a later redaction took the place of this one"));
            }
            "redaction" => self.redactions.push(fact(record, texts(record, &["reason", "by"]))),
            _ => {}
        }
    }

    fn acted(&mut self, record: &Record) {
        self.last_act = self.last_act.max(shown(record, "occurred_at"));
    }

    /// The first step of an index.
    fn step(&self, index: Option<u32>) -> Option<&StepAccount> {
        self.steps.get(*self.step_places.get(&index?)?)
    }

    fn hold(&mut self, record: &Record, says: String) {
        let stands = self.holds.last().and_then(|last| last.stands).or(Some(self.holds.len()));
        self.holds.push(Hold { fact: fact(record, says), holds: true, stands });
    }

    /// The entry that holds the run, among those in front of a log index and before a time, where one is told.
    fn held_at(&self, log_index: u64, before: Option<Timestamp>) -> Option<&Fact> {
        let is_seen = |fact: &Fact| fact.log_index < log_index && before.is_none_or(|before| fact.recorded_at < before);
        let seen = self.holds.partition_point(|hold| is_seen(&hold.fact));
        let stands = self.holds[..seen].last()?.stands?;
        Some(&self.holds[stands].fact)
    }

    /// Whether what was expected and said in front of a verdict comes to its status; `None` where some of that is not shown.
    pub(crate) fn bears_out(&self, verdict: &Fact) -> Option<bool> {
        self.audited.bear_out(verdict)
    }

    /// The entry that holds the run at last, before a time where one is told.
    #[must_use]
    pub fn held_by(&self, before: Option<Timestamp>) -> Option<&Fact> {
        self.held_at(u64::MAX, before)
    }

    /// The entry that held the run from an incident's opening to its resolution, or to the last entry where it is open;
    /// before a time where one is told. That it was let go of afterwards takes nothing of that back.
    #[must_use]
    pub fn held_while_open(&self, incident: &IncidentAccount, before: Option<Timestamp>) -> Option<&Fact> {
        let end = incident.resolution.as_ref().map_or(u64::MAX, |end| end.log_index);
        let held = self.held_at(end, before).filter(|held| held.log_index <= incident.log_index);
        held.filter(|_| incident.run_id.is_some() && incident.run_id == self.run_id)
    }

    fn sealed(&mut self, record: &Record) {
        self.seals.push(record.log_index);
        self.status = shown(record, "status").or(self.status.take());
        let completed: Option<Timestamp> = shown(record, "completed_at");
        if let Some(at) = completed {
            let (log_index, recorded_at) = (record.log_index, record.recorded_at);
            self.ended = Some(Over { at, log_index, recorded_at, how: How::RunEnded });
        }
        self.termination_reason = shown(record, "termination_reason").or(self.termination_reason.take());
        self.verdict(record);
        self.violation_withheld |= is_withheld(record, "violation");
        let Some(stated) = json(record, "violation") else { return };
        let value = stated.value();
        let Some(object) = value.as_object() else { return };
        let text =
            |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let step_index = object.get("step_index").map(Value::to_json).and_then(|step| step.as_str().parse().ok());
        let stated = Violated {
            log_index: record.log_index,
            recorded_at: record.recorded_at,
            step_index,
            step: None,
            at: text("at").and_then(|at| at.parse().ok()),
            policy_id: text("policy_id"),
            reason: text("reason"),
        };
        let says = [step_index.is_some(), stated.at.is_some(), stated.policy_id.is_some(), stated.reason.is_some()];
        if says.contains(&true) {
            self.stated_violation.get_or_insert(stated);
        }
    }

    fn verdict(&mut self, record: &Record) {
        self.verdicts.extend(verdict(record).map(|status| fact(record, status)));
    }

    /// What the steps cost of which that is shown, and of how many it is withheld.
    #[must_use]
    pub fn cost_shown(&self) -> (Cost, u64) {
        let known = self.steps.iter().filter_map(|step| step.cost);
        let sum = known.fold(0i64, |sum, cost| sum.saturating_add(cost.as_micro_cents()));
        let withheld = self.steps.iter().filter(|step| step.cost.is_none()).count() as u64;
        (Cost::from_micro_cents(sum).unwrap_or_default(), withheld)
    }

    /// How many traces failed.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.traces.iter().filter(|trace| trace.is_error()).count()
    }

    /// What the steps cost; absent where that of some is withheld.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let (known, withheld) = self.cost_shown();
        (withheld == 0).then_some(known)
    }
}

fn step(record: &Record) -> Option<StepAccount> {
    Some(StepAccount {
        log_index: record.log_index,
        recorded_at: record.recorded_at,
        index: shown(record, "index")?,
        skill_name: shown(record, "skill_name"),
        status: shown(record, "status"),
        occurred_at: shown(record, "occurred_at"),
        cost: shown(record, "cost_cents"),
        duration: shown(record, "duration_ms"),
        tokens: shown(record, "tokens"),
    })
}
