//! The model's redactions of members.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decide::{Done, Model, RunState, nanos};

/// What is withheld of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Withheld {
    /// Of each entry that lost its content: what of it is withheld.
    members: BTreeMap<u64, BTreeSet<String>>,
    /// Of each entry that lost its content: the redaction that holds what is left.
    by: BTreeMap<u64, u64>,
    /// The run's hashes over its steps.
    pub(super) hashes: bool,
}

impl Withheld {
    pub(super) fn is_bare(&self, at: u64) -> bool {
        self.by.contains_key(&at)
    }

    pub(super) fn withholds(&self, at: u64, member: &str) -> bool {
        self.members.get(&at).is_some_and(|members| members.contains(member))
    }
}

impl Model {
    pub(super) fn is_bare(&self, run_id: &str, at: u64) -> bool {
        self.runs.get(run_id).is_some_and(|run| run.withheld.is_bare(at))
    }

    pub(super) fn redact(&mut self, op: &Value, run_id: &str, run: &RunState) -> Done {
        let entries: Vec<u64> = match (op["step"].as_u64(), op["trace"].as_str()) {
            (Some(index), _) => vec![*run.steps.get(&index).ok_or("step_not_found")?],
            (_, id) => {
                let trace = run.traces.get(id.expect("a trace")).ok_or("trace_not_found")?;
                [trace.entry].into_iter().chain(trace.ended).collect()
            }
        };
        let named: Vec<&str> = op["members"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut going: Vec<(u64, String)> = Vec::new();
        for name in &named {
            let of: Vec<_> = entries.iter().filter_map(|at| Some((*at, self.spelled(*at, name)?))).collect();
            if of.is_empty() {
                return Err("invalid_member");
            }
            going.extend(of);
        }
        going.retain(|(at, name)| !run.withheld.withholds(*at, name));
        if going.is_empty() {
            let by = entries.iter().filter_map(|at| run.withheld.by.get(at)).max();
            return Ok((false, *by.expect("something holds it")));
        }
        self.demand_loose(run_id, run)?;
        let mut next = run.withheld.clone();
        let is_step = op["step"].is_u64();
        let hashed = is_step && going.iter().any(|(_, name)| name == "params" || name == "outcome_data");
        let summed = is_step && going.iter().any(|(_, name)| name == "cost_cents" || name == "tokens");
        let mut changed = entries.clone();
        for (at, name) in &going {
            next.members.entry(*at).or_default().insert(name.clone());
        }
        if let Some(seal) = run.completed.filter(|seal| *seal > entries[0]) {
            let had_hashes = run.sealed_with_hashes && !run.withheld.withholds(seal, "hashes");
            let totals = !run.withheld.withholds(seal, "totals");
            let of_seal = next.members.entry(seal).or_default();
            of_seal.extend((hashed && had_hashes).then(|| "hashes".to_owned()));
            of_seal.extend((summed && totals).then(|| "totals".to_owned()));
            if (hashed && had_hashes) || (summed && totals) {
                changed.push(seal);
            }
        }
        if self.tells_the_runs_end(op, run, &going) {
            return Err("invalid_member");
        }
        let at = self.log.len() as u64;
        let holders: BTreeSet<u64> = changed.iter().filter_map(|at| run.withheld.by.get(at)).copied().collect();
        for (_, by) in next.by.iter_mut().filter(|(_, by)| holders.contains(by)) {
            *by = at;
        }
        next.by.extend(changed.into_iter().chain(holders).map(|taken| (taken, at)));
        next.hashes |= hashed;
        let cleared = run.sealed_steps.iter().any(|step| step["index"] == op["step"]) && is_step;
        if summed && cleared && going.iter().any(|(_, name)| name == "cost_cents") {
            let sealed = &mut self.state(run_id).sealed_steps;
            let step = sealed.iter_mut().find(|step| step["index"] == op["step"]);
            step.expect("it is sealed")["cost_cents"] = Value::from("0");
        }
        if let Some(id) = op["trace"].as_str() {
            self.change(run_id, id, &going);
        }
        self.state(run_id).withheld = next;
        Ok((true, self.append(run_id, op)))
    }

    /// Whether the redaction at `by` holds what is left of what an op names, and withholds the members.
    pub(super) fn is_withheld_by(&self, op: &Value, by: u64) -> bool {
        let Some(run) = op["run_id"].as_str().and_then(|run_id| self.runs.get(run_id)) else { return false };
        let entries: Vec<u64> = match (op["step"].as_u64(), op["trace"].as_str().and_then(|id| run.traces.get(id))) {
            (Some(index), _) => run.steps.get(&index).copied().into_iter().collect(),
            (_, Some(trace)) => [trace.entry].into_iter().chain(trace.ended).collect(),
            _ => return false,
        };
        let held: Vec<_> = entries.into_iter().filter(|at| run.withheld.by.get(at) == Some(&by)).collect();
        op["members"].as_array().into_iter().flatten().filter_map(Value::as_str).all(|name| {
            let mut of = held.iter().filter(|at| self.spelled(**at, name).is_some()).peekable();
            of.peek().is_some() && of.all(|at| run.withheld.withholds(*at, name))
        })
    }

    /// A step as it counts for a seal.
    pub(super) fn shown_step(&self, run: &RunState, at: u64) -> Value {
        let mut step = self.entry(at).op.clone();
        if run.withheld.withholds(at, "cost_cents") {
            step["cost_cents"] = Value::from("0");
        }
        step
    }

    /// How an entry spells a member, where it has it.
    fn spelled(&self, at: u64, name: &str) -> Option<String> {
        let op = &self.entry(at).op;
        let inner = name.strip_prefix("trace_type/");
        let has = match (op["op"].as_str(), inner) {
            (Some("end_trace"), Some(inner)) => op.get(inner).is_some(),
            (_, Some(inner)) => op["trace_type"].get(inner).is_some(),
            (Some("record_trace"), None) if name == "metadata" => true,
            _ => op.get(name).is_some(),
        };
        has.then(|| name.to_owned())
    }

    /// When a trace ended, where its end does not say so and what it was reckoned from is withheld.
    fn ended_otherwise(&self, trace: &super::decide::TraceState, going: &[(u64, String)]) -> Option<i64> {
        let end = trace.ended?;
        let op = &self.entry(end).op;
        let withholds = going.iter().any(|(_, name)| name == "trace_type/duration_ms");
        (op["op"] == "end_trace" && op.get("ended_at").is_none() && withholds).then(|| self.entry(end).recorded_at)
    }

    fn tells_the_runs_end(&self, op: &Value, run: &RunState, going: &[(u64, String)]) -> bool {
        let Some(trace) = op["trace"].as_str().and_then(|id| run.traces.get(id)) else { return false };
        let Some(at) = self.ended_otherwise(trace, going) else { return false };
        let root_ended_at = self.root_ended_at(run);
        trace.ended_at != Some(at) && root_ended_at.is_some() && root_ended_at == trace.ended_at
    }

    /// When the first root span to end did so.
    fn root_ended_at(&self, run: &RunState) -> Option<i64> {
        let ends = run.traces.values().filter_map(|trace| {
            let op = &self.entry(trace.entry).op;
            let is_root = op.get("otel").is_some() && op.get("parent_id").is_none();
            let stated = op["ended_at"].as_str().map(|at| (trace.entry, nanos(at)));
            is_root.then(|| stated.or(trace.ended.zip(trace.ended_at))).flatten()
        });
        ends.min_by_key(|(entry, _)| *entry).map(|(_, at)| at)
    }

    fn change(&mut self, run_id: &str, id: &str, going: &[(u64, String)]) {
        let trace = self.runs[run_id].traces[id].clone();
        let ended_at = self.ended_otherwise(&trace, going);
        let closed = trace.ended.filter(|at| self.entry(*at).op["op"] == "record_trace");
        let says = closed.unwrap_or(trace.entry);
        let state = self.state(run_id).traces.get_mut(id).expect("the trace is known");
        state.ended_at = ended_at.or(state.ended_at);
        if going.iter().any(|(at, name)| *at == says && name == "tags") {
            state.tags.clear();
        }
    }
}
