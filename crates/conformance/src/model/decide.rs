//! The model: what becomes of a batch, written from DESIGN §2, §3 and §5.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tracekeep_core::Timestamp;

use super::audit::AuditModel;
use super::redact::Withheld;
use crate::ops::with;

/// What a batch is answered with: per op whether it was new and its log index, the size that is stated, and whether its
/// key was known. Or the code of its refusal.
pub type Answer = Result<(Vec<(bool, u64)>, u64, bool), &'static str>;

/// A ledger as DESIGN describes it, naively.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) log: Vec<Logged>,
    pub(super) runs: BTreeMap<String, RunState>,
    /// The entries that erased runs.
    pub(super) erased: BTreeMap<String, u64>,
    /// The ids of the incidents and exports of their runs.
    pub(super) erased_ids: BTreeSet<(&'static str, String)>,
    /// What is held, or was: the latest entry that says so, and whether it holds.
    holds: BTreeMap<String, (u64, bool)>,
    /// What names stand for: the latest entry that says so.
    pub(super) baselines: BTreeMap<String, u64>,
    /// Incidents: the entry, the run, and the entry that says how it ended.
    pub(super) incidents: BTreeMap<String, IncidentState>,
    /// Exports: the entry.
    exports: BTreeMap<String, u64>,
    keys: BTreeMap<String, (u64, Vec<u64>)>,
    clock: i64,
}

#[derive(Clone, Debug)]
pub(super) struct IncidentState {
    pub(super) at: u64,
    pub(super) run: Option<String>,
    pub(super) resolved: Option<u64>,
}

/// An entry: the op as it was sent, nulls dropped and defaults filled in, and the size that its batch left.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub(super) op: Value,
    /// The run that it is an entry of.
    run: Option<String>,
    batch_end: u64,
    pub(super) recorded_at: i64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RunState {
    pub(super) first: u64,
    pub(super) otlp: bool,
    pub(super) started_at: i64,
    pub(super) described: Vec<(String, u64)>,
    pub(super) steps: BTreeMap<u64, u64>,
    pub(super) traces: BTreeMap<String, TraceState>,
    pub(super) completed: Option<u64>,
    pub(super) entries: u64,
    /// The steps that the seal covers.
    pub(super) sealed_steps: Vec<Value>,
    /// Whether the seal states hashes.
    pub(super) sealed_with_hashes: bool,
    pub(super) withheld: Withheld,
    pub(super) audit: AuditModel,
}

#[derive(Clone, Debug)]
pub(super) struct TraceState {
    pub(super) entry: u64,
    pub(super) occurred_at: i64,
    /// The id that it hangs under, there or missing.
    pub(super) under: Option<String>,
    pub(super) orphan: bool,
    pub(super) late: bool,
    pub(super) ended: Option<u64>,
    pub(super) ended_at: Option<i64>,
    pub(super) status: String,
    pub(super) type_name: String,
    pub(super) tags: Vec<String>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            log: Vec::new(),
            runs: BTreeMap::new(),
            erased: BTreeMap::new(),
            erased_ids: BTreeSet::new(),
            holds: BTreeMap::new(),
            baselines: BTreeMap::new(),
            incidents: BTreeMap::new(),
            exports: BTreeMap::new(),
            keys: BTreeMap::new(),
            clock: i64::MIN,
        }
    }
}

/// What a batch is decided with.
pub(super) struct Now {
    clock: i64,
    pub(super) recorded_at: i64,
}

pub(super) type Done = Result<(bool, u64), &'static str>;

impl Model {
    /// Commits a batch while the injected clock shows `clock`.
    pub fn commit(&mut self, ops: &[Value], key: Option<&str>, clock: i64) -> Answer {
        let ops: Vec<Value> = ops.iter().map(normal).collect();
        let is_alone = |op: &Value| ops.iter().filter(|other| other["run_id"] == op["run_id"]).count() == 1;
        if ops.iter().any(|op| op["op"] == "redact" && !is_alone(op)) {
            return Err("invalid_batch");
        }
        if ops.iter().any(|op| op["index"] == 1_000_000) {
            return Err("number_out_of_range");
        }
        if let Some((end, used)) = key.and_then(|key| self.keys.get(key)) {
            return self.replay(&ops, *end, used);
        }
        let before = self.log.len() as u64;
        let now = Now { clock, recorded_at: clock.max(self.clock) };
        let mut next = self.clone();
        let mut done = Vec::new();
        for op in &ops {
            done.push(next.decide(op, &now)?);
        }
        if let Some(key) = key {
            let used = ops.iter().zip(&done).filter(|(op, _)| !is_moved(op));
            let used: Vec<u64> = used.map(|(_, (_, entry))| *entry).collect();
            next.log.push(Logged { op: json!({"op": "key"}), run: None, batch_end: 0, recorded_at: 0 });
            next.keys.insert(key.to_owned(), (next.log.len() as u64, used));
        }
        let end = next.log.len() as u64;
        for entry in &mut next.log[usize::try_from(before).expect("small")..] {
            entry.batch_end = end;
            entry.recorded_at = now.recorded_at;
        }
        if end > before {
            next.clock = now.recorded_at;
        }
        let size = done.iter().map(|(_, entry)| next.entry(*entry).batch_end).max().unwrap_or(0);
        *self = next;
        Ok((done, size, false))
    }

    fn replay(&self, ops: &[Value], end: u64, used: &[u64]) -> Answer {
        let same = |(op, at): (&Value, &u64)| {
            let recorded = self.entry(*at);
            let first_wins = match op["op"].as_str() {
                Some("reconcile") => ["reconcile", "complete_run"].iter().any(|name| recorded.op["op"] == **name),
                _ if recorded.batch_end == end => false,
                Some("ensure_run") => op["run_id"] == recorded.op["run_id"] && is_start(&recorded.op),
                Some("describe_run") => ["op", "run_id", "topic"].iter().all(|name| op[*name] == recorded.op[*name]),
                Some("erase_run") => op["op"] == recorded.op["op"],
                Some("redact") => self.is_withheld_by(op, *at),
                Some("release_hold") => ["op", "run_id", "tag"].iter().all(|name| op[*name] == recorded.op[*name]),
                _ => false,
            };
            op["run_id"] == recorded.op["run_id"] && (first_wins || equal(op, &recorded.op))
        };
        let sent: Vec<_> = ops.iter().filter(|op| !is_moved(op)).collect();
        if sent.len() != used.len() {
            return Err("key_reused");
        }
        for pair in sent.into_iter().zip(used) {
            if self.is_erased(*pair.1) {
                return Err("erased");
            }
            if !same(pair) {
                return Err("key_reused");
            }
        }
        let size = used.iter().map(|at| self.entry(*at).batch_end).max().unwrap_or(0);
        Ok((used.iter().map(|at| (false, *at)).collect(), size, true))
    }

    pub(super) fn clock(&self) -> i64 {
        self.clock
    }

    pub(super) fn entry(&self, at: u64) -> &Logged {
        &self.log[usize::try_from(at).expect("small")]
    }

    /// Whether an entry stands in front of the one that erased its run.
    fn is_erased(&self, at: u64) -> bool {
        let Some(run) = self.entry(at).run.as_ref() else { return false };
        self.erased.get(run).is_some_and(|by| at < *by) || self.is_bare(run, at)
    }

    /// Holds or lets go of a run or a tag.
    fn hold(&mut self, op: &Value) -> Done {
        let (run, tag) = (op["run_id"].as_str(), op["tag"].as_str());
        if run.is_some_and(|run| !self.runs.contains_key(run)) {
            return Err("run_not_found");
        }
        let on = format!("{run:?} {tag:?}");
        let holds = op["op"] == "hold";
        match self.holds.get(&on) {
            // What an incident holds may be held for another reason, too.
            Some((at, true)) if holds && self.entry(*at).op["op"] == "hold" => return self.same(op, *at),
            Some((at, false)) if !holds => return Ok((false, *at)),
            None if !holds => return Err("not_held"),
            Some(_) if !holds && run.is_some_and(|run| self.has_open(run)) => return Err("incident_open"),
            _ => {}
        }
        let at = match run {
            Some(run) => self.append(run, op),
            None => self.append_unowned(op),
        };
        self.holds.insert(on, (at, holds));
        Ok((true, at))
    }

    /// Lets a name stand for a run.
    fn baseline(&mut self, op: &Value) -> Done {
        let (name, run) = (op["name"].as_str().expect("a name"), op["run_id"].as_str().expect("a run id"));
        if let Some(at) = self.baselines.get(name).filter(|at| equal(op, &self.entry(**at).op)) {
            return Ok((false, *at));
        }
        if self.erased.contains_key(run) {
            return Err("erased");
        }
        if self.runs.get(run).ok_or("run_not_found")?.completed.is_none() {
            return Err("run_running");
        }
        let at = self.append_unowned(op);
        self.baselines.insert(name.to_owned(), at);
        Ok((true, at))
    }

    fn has_open(&self, run: &str) -> bool {
        self.incidents.values().any(|incident| incident.run.as_deref() == Some(run) && incident.resolved.is_none())
    }

    /// Opens an incident, which holds its run, or says how one ended, or that one was handed out.
    fn incident(&mut self, op: &Value, now: &Now) -> Done {
        let is_erased =
            |name: &'static str| op[name].as_str().is_some_and(|id| self.erased_ids.contains(&(name, id.to_owned())));
        let unknown = if is_erased("incident_id") { "erased" } else { "incident_not_found" };
        if is_erased("export_id") || op["op"] != "record_export" && is_erased("incident_id") {
            return Err("erased");
        }
        let known = op["incident_id"].as_str().and_then(|id| self.incidents.get(id)).cloned();
        match op["op"].as_str() {
            Some("open_incident") => {
                if let Some(known) = known {
                    return self.same(op, known.at);
                }
                let run_id = op["run_id"].as_str();
                if let Some(run_id) = run_id {
                    let run = self.runs.get(run_id).ok_or("run_not_found")?;
                    let there = op["violation_step_index"].as_u64().is_none_or(|index| run.steps.contains_key(&index));
                    if !there && run.open().is_err() {
                        return Err("step_not_found");
                    }
                }
                let created_at = op["created_at"].as_str().map_or(now.clock, nanos);
                let settled = timed(op, "created_at", created_at);
                let at = self.append_to(run_id, &settled);
                if let Some(run_id) = run_id {
                    let held =
                        self.holds.entry(format!("{:?} {:?}", Some(run_id), None::<&str>)).or_insert((at, false));
                    if !held.1 {
                        *held = (at, true);
                    }
                }
                let id = op["incident_id"].as_str().expect("an id").to_owned();
                self.incidents.insert(id, IncidentState { at, run: run_id.map(str::to_owned), resolved: None });
                Ok((true, at))
            }
            Some("resolve_incident") => {
                let known = known.ok_or("incident_not_found")?;
                if let Some(at) = known.resolved {
                    return self.same(op, at);
                }
                let settled =
                    if op.get("resolved_at").is_none() { timed(op, "resolved_at", now.clock) } else { op.clone() };
                let at = self.append_to(known.run.as_deref(), &settled);
                self.incidents.get_mut(op["incident_id"].as_str().expect("an id")).expect("known").resolved = Some(at);
                Ok((true, at))
            }
            _ => {
                let id = op["export_id"].as_str().expect("an id");
                if let Some(at) = self.exports.get(id) {
                    return self.same(op, *at);
                }
                if op["size"].as_u64() > Some(self.log.len() as u64) {
                    return Err("number_out_of_range");
                }
                let run = match (op["run_id"].as_str(), op.get("incident_id")) {
                    (Some(run), _) if !self.runs.contains_key(run) => return Err("run_not_found"),
                    (Some(run), _) => Some(run.to_owned()),
                    (None, Some(_)) => known.ok_or(unknown)?.run,
                    (None, None) => None,
                };
                let at = self.append_to(run.as_deref(), op);
                self.exports.insert(id.to_owned(), at);
                Ok((true, at))
            }
        }
    }

    fn append_to(&mut self, run: Option<&str>, op: &Value) -> u64 {
        match run {
            Some(run) => self.append(run, op),
            None => self.append_unowned(op),
        }
    }

    fn append_unowned(&mut self, op: &Value) -> u64 {
        self.log.push(Logged { op: op.clone(), run: None, batch_end: 0, recorded_at: 0 });
        self.log.len() as u64 - 1
    }

    fn erase(&mut self, op: &Value, run_id: &str, run: &RunState) -> Done {
        if run.completed.is_none() {
            return Err("run_running");
        }
        self.demand_loose(run_id, run)?;
        let at = self.append(run_id, op);
        self.runs.remove(run_id);
        let of_run = self.incidents.iter().filter(|(_, incident)| incident.run.as_deref() == Some(run_id));
        self.erased_ids.extend(of_run.map(|(id, _)| ("incident_id", id.clone())));
        self.incidents.retain(|_, incident| incident.run.as_deref() != Some(run_id));
        let (gone, kept) = std::mem::take(&mut self.exports)
            .into_iter()
            .partition(|(_, at)| self.log[usize::try_from(*at).expect("small")].run.as_deref() == Some(run_id));
        self.exports = kept;
        let gone: BTreeMap<String, u64> = gone;
        self.erased_ids.extend(gone.into_keys().map(|id| ("export_id", id)));
        self.erased.insert(run_id.to_owned(), at);
        Ok((true, at))
    }

    /// Refuses what may not be done to a run that is held, or a tag of which is.
    pub(super) fn demand_loose(&self, run_id: &str, run: &RunState) -> Result<(), &'static str> {
        let none = None::<&str>;
        let tags = words(&self.entry(run.first).op["tags"]);
        let on = tags.iter().map(|tag| format!("{none:?} {:?}", Some(tag)));
        let mut on = on.chain([format!("{:?} {none:?}", Some(run_id))]);
        if on.any(|on| matches!(self.holds.get(&on), Some((_, true)))) { Err("held") } else { Ok(()) }
    }

    fn decide(&mut self, op: &Value, now: &Now) -> Done {
        if op["op"] == "set_baseline" {
            return self.baseline(op);
        }
        if let Some(by) = op["run_id"].as_str().and_then(|run| self.erased.get(run)) {
            return if op["op"] == "erase_run" { Ok((false, *by)) } else { Err("erased") };
        }
        if ["open_incident", "resolve_incident", "record_export"].iter().any(|name| op["op"] == **name) {
            return self.incident(op, now);
        }
        if op["op"] == "hold" || op["op"] == "release_hold" {
            return self.hold(op);
        }
        let run_id = op["run_id"].as_str().expect("a run id").to_owned();
        let known = self.runs.get(&run_id).cloned();
        match (op["op"].as_str().expect("an op"), known) {
            ("start_run" | "ensure_run", None) => {
                let first = self.log.len() as u64;
                // Only a start has a time of its own; an ensured run starts when it is recorded.
                let unsaid = if op["op"] == "start_run" { now.clock } else { now.recorded_at };
                let started_at = op["started_at"].as_str().map_or(unsaid, nanos);
                let state = RunState { first, started_at, otlp: op["source"] == "otlp", ..RunState::default() };
                self.runs.insert(run_id.clone(), state);
                let settled = if op["op"] == "start_run" { timed(op, "started_at", started_at) } else { op.clone() };
                Ok((true, self.append(&run_id, &settled)))
            }
            (_, None) => Err("run_not_found"),
            ("ensure_run", Some(run)) => Ok((false, run.first)),
            ("start_run", Some(run)) => self.same(op, run.first),
            ("describe_run", Some(run)) => self.describe(op, &run_id, &run),
            ("record_step", Some(run)) => self.step(op, &run_id, &run),
            ("record_trace", Some(run)) => self.trace(op, &run_id, &run, now),
            ("end_trace", Some(run)) => self.end(op, &run_id, &run, now),
            ("erase_run", Some(run)) => self.erase(op, &run_id, &run),
            ("redact", Some(run)) => self.redact(op, &run_id, &run),
            ("complete_run", Some(run)) => {
                if let Some(at) = run.completed {
                    return self.same(op, at);
                }
                let at = self.append(&run_id, op);
                if !run.audit.facts.is_empty() {
                    self.state(&run_id).audit.judge(at, now.recorded_at);
                }
                let sealed_steps = run.steps.values().map(|at| self.shown_step(&run, *at)).collect();
                let state = self.state(&run_id);
                state.completed = Some(at);
                state.sealed_with_hashes = !state.withheld.hashes;
                state.sealed_steps = sealed_steps;
                Ok((true, at))
            }
            (_, Some(run)) => self.audit(op, &run_id, &run, now),
        }
    }

    pub(super) fn same(&self, op: &Value, at: u64) -> Done {
        if op["run_id"].as_str().is_some_and(|run_id| self.is_bare(run_id, at)) {
            return Err("erased");
        }
        if equal(op, &self.entry(at).op) { Ok((false, at)) } else { Err("conflict") }
    }

    pub(super) fn append(&mut self, run_id: &str, op: &Value) -> u64 {
        self.log.push(Logged { op: op.clone(), run: Some(run_id.to_owned()), batch_end: 0, recorded_at: 0 });
        self.state(run_id).entries += 1;
        self.log.len() as u64 - 1
    }

    pub(super) fn state(&mut self, run_id: &str) -> &mut RunState {
        self.runs.get_mut(run_id).expect("the run is known")
    }

    fn describe(&mut self, op: &Value, run_id: &str, run: &RunState) -> Done {
        let topic = op["topic"].as_str().expect("a topic").to_owned();
        if let Some((_, at)) = run.described.iter().find(|(known, _)| *known == topic) {
            return Ok((false, *at));
        }
        run.open()?;
        let at = self.append(run_id, op);
        self.state(run_id).described.push((topic, at));
        Ok((true, at))
    }

    fn step(&mut self, op: &Value, run_id: &str, run: &RunState) -> Done {
        let index = op["index"].as_u64().expect("an index");
        if let Some(at) = run.steps.get(&index) {
            return self.same(op, *at);
        }
        run.open()?;
        let at = self.append(run_id, op);
        self.state(run_id).steps.insert(index, at);
        Ok((true, at))
    }

    fn trace(&mut self, op: &Value, run_id: &str, run: &RunState, now: &Now) -> Done {
        let id = op["id"].as_str().expect("an id");
        if let Some(trace) = run.traces.get(id) {
            return self.trace_again(op, run_id, run, trace);
        }
        run.open()?;
        let at = self.log.len() as u64;
        let parent = op["parent_id"].as_str();
        let (under, orphan) = run.place(id, parent, op.get("otel").is_some())?;
        let trace = TraceState {
            entry: at,
            occurred_at: op["occurred_at"].as_str().map_or(now.clock, nanos),
            under,
            orphan,
            late: run.completed.is_some(),
            ended: None,
            ended_at: op["ended_at"].as_str().map(nanos),
            status: status_of(op),
            type_name: type_name(op),
            tags: words(&op["tags"]),
        };
        let settled = timed(op, "occurred_at", trace.occurred_at);
        self.state(run_id).traces.insert(id.to_owned(), trace);
        Ok((true, self.append(run_id, &settled)))
    }

    fn trace_again(&mut self, op: &Value, run_id: &str, run: &RunState, trace: &TraceState) -> Done {
        let recorded = self.entry(trace.entry).op.clone();
        if self.is_bare(run_id, trace.entry) {
            return Err("erased");
        }
        if equal(op, &recorded) {
            return Ok((false, trace.entry));
        }
        if let Some(ended) = trace.ended {
            let end = &self.entry(ended).op;
            let duplicate = end["op"] == "record_trace" && equal(op, end);
            return if duplicate { Ok((false, ended)) } else { Err("conflict") };
        }
        let spans = op.get("otel").is_some() && recorded.get("otel").is_some();
        let ends = recorded.get("ended_at").is_none() && op.get("ended_at").is_some();
        let began = op.get("occurred_at").is_none_or(|time| nanos(time.as_str().expect("a time")) == trace.occurred_at);
        if !(spans && ends && began && op.get("parent_id") == recorded.get("parent_id")) {
            return Err("conflict");
        }
        run.open()?;
        let at = self.append(run_id, op);
        let id = op["id"].as_str().expect("an id");
        let trace = self.state(run_id).traces.get_mut(id).expect("the trace is known");
        trace.ended = Some(at);
        trace.ended_at = op["ended_at"].as_str().map(nanos);
        (trace.status, trace.type_name, trace.tags) = (status_of(op), type_name(op), words(&op["tags"]));
        Ok((true, at))
    }

    fn end(&mut self, op: &Value, run_id: &str, run: &RunState, now: &Now) -> Done {
        let id = op["id"].as_str().expect("an id");
        let trace = run.traces.get(id).ok_or("trace_not_found")?;
        if let Some(ended) = trace.ended {
            return self.same(op, ended);
        }
        if self.is_bare(run_id, trace.entry) {
            return Err("erased");
        }
        run.open()?;
        let recorded = self.entry(trace.entry).op.clone();
        let kind = &recorded["trace_type"];
        for (member, of) in [("result", "ToolCall"), ("duration_ms", "ToolCall"), ("results_count", "Query")] {
            if op.get(member).is_some() && kind["type"] != of {
                return Err("invalid_member");
            }
        }
        let differs = |member: &str| {
            op.get(member).zip(kind.get(member)).is_some_and(|(sent, recorded)| number(sent) != number(recorded))
        };
        let stated = recorded.get("status").filter(|status| **status != "open");
        if recorded.get("ended_at").is_some()
            || ["result", "duration_ms", "results_count"].iter().any(|member| differs(member))
            || stated.is_some_and(|status| *status != op["status"])
        {
            return Err("conflict");
        }
        let lasted = op.get("duration_ms").or(kind.get("duration_ms")).and_then(Value::as_f64);
        #[expect(clippy::cast_possible_truncation, reason = "the durations here are whole seconds")]
        let derived = lasted.map(|ms| trace.occurred_at + (ms * 1e6) as i64);
        let ended_at = op["ended_at"].as_str().map(nanos).or(derived).unwrap_or(now.recorded_at);
        let at = self.append(run_id, op);
        let trace = self.state(run_id).traces.get_mut(id).expect("the trace is known");
        (trace.ended, trace.ended_at) = (Some(at), Some(ended_at));
        trace.status = op["status"].as_str().expect("a status").to_owned();
        Ok((true, at))
    }
}

impl RunState {
    pub(super) fn open(&self) -> Result<(), &'static str> {
        if self.completed.is_some() && !self.otlp { Err("sealed") } else { Ok(()) }
    }

    /// Under which id a new trace hangs, and whether it was made an orphan.
    fn place(&self, id: &str, parent: Option<&str>, is_span: bool) -> Result<(Option<String>, bool), &'static str> {
        let Some(parent) = parent else { return Ok((None, false)) };
        if !self.traces.contains_key(parent) {
            return match () {
                () if !is_span => Err("parent_not_found"),
                () if parent == id => Ok((None, true)),
                () => Ok((Some(parent.to_owned()), false)),
            };
        }
        let mut above = Some(parent.to_owned());
        for _ in 0..1_000 {
            match above {
                Some(at) if at == id => return Ok((None, true)),
                Some(at) => above = self.traces.get(&at).and_then(|trace| trace.under.clone()),
                None => return Ok((Some(parent.to_owned()), false)),
            }
        }
        Ok((None, true))
    }
}

/// The op without nulls and with its defaults.
fn normal(op: &Value) -> Value {
    let mut members = op.as_object().expect("an op").clone();
    members.retain(|_, value| !value.is_null());
    let defaults = match op["op"].as_str() {
        Some("start_run") => json!({"seed": 42, "source": "api", "tags": []}),
        Some("ensure_run") => json!({"source": "api"}),
        Some("record_step") => json!({"cost_cents": "0"}),
        Some("record_trace") => json!({"tags": []}),
        Some("expect") => json!({"optional": false, "liveness": false, "count": 1}),
        _ => json!({}),
    };
    for (name, value) in defaults.as_object().expect("defaults") {
        members.entry(name.clone()).or_insert(value.clone());
    }
    if let Some(tags) = members.get("tags").map(words) {
        members.insert("tags".into(), json!(tags));
    }
    if members.get("cost_cents").is_some_and(|cost| cost == "0.250") {
        members.insert("cost_cents".into(), json!("0.25"));
    }
    if let Some(Value::Object(kind)) = members.get_mut("trace_type") {
        kind.retain(|name, value| !value.is_null() || name == "data");
    }
    if let Some(duration) = members.get_mut("duration_ms") {
        *duration = json!(duration.as_f64());
    }
    Value::Object(members)
}

/// Whether an op was held in front of the ledger: the caller of a batch did not send it.
fn is_moved(op: &Value) -> bool {
    op.get("received_at").is_some()
}

/// Whether an op as sent equals a recorded one: members that it left to be generated are the record's.
fn equal(sent: &Value, recorded: &Value) -> bool {
    if let (Some(a), Some(b)) = (sent.get("otel"), recorded.get("otel")) {
        return a == b;
    }
    let generated: &[&str] = match sent["op"].as_str() {
        Some("start_run") => &["started_at"],
        Some("record_step" | "record_trace") => &["occurred_at"],
        Some("open_incident") => &["created_at"],
        Some("resolve_incident") => &["resolved_at"],
        _ => &[],
    };
    let unsaid = |name: &str| name == "received_at" || generated.contains(&name) && sent.get(name).is_none();
    let (a, b) = (sent.as_object().expect("an op"), recorded.as_object().expect("an op"));
    a.keys().chain(b.keys()).all(|name| unsaid(name) || a.get(name) == b.get(name))
}

/// The op with a time that was left to be generated.
fn timed(op: &Value, name: &str, nanos: i64) -> Value {
    with(op.clone(), json!({ name: Timestamp::from_nanos(nanos).to_string() }))
}

fn is_start(op: &Value) -> bool {
    op["op"] == "start_run" || op["op"] == "ensure_run"
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

pub(super) fn nanos(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a time").as_nanos()
}

/// Words in first-seen order, each once.
fn words(value: &Value) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for word in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !seen.iter().any(|known| known == word) {
            seen.push(word.to_owned());
        }
    }
    seen
}

fn type_name(op: &Value) -> String {
    let kind = &op["trace_type"];
    let name = if kind["type"] == "Custom" { &kind["name"] } else { &kind["type"] };
    name.as_str().expect("a type").to_owned()
}

fn status_of(op: &Value) -> String {
    let kind = &op["trace_type"];
    let has = |member: &str| kind.get(member).is_some();
    let implied = match kind["type"].as_str() {
        Some("Error") => "error",
        Some("ToolCall") if !has("result") && !has("duration_ms") => "open",
        Some("Query") if !has("results_count") => "open",
        _ => "ok",
    };
    op["status"].as_str().unwrap_or(implied).to_owned()
}
