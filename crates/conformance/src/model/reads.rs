//! What the model reads, beside what the ledger reads.

use serde_json::Value;
use tracekeep_core::amount::Cost;
use tracekeep_core::hash::plan_hash;
use tracekeep_core::id::RunId;
use tracekeep_core::model::{IncidentStatus, RunStatus, Severity, TraceStatus};
use tracekeep_core::{TimeRange, Timestamp};
use tracekeep_store::{
    Between, IncidentFilter, IncidentQuery, Order, RunFilter, RunQuery, RunSort, TraceFilter, TraceQuery, TreeQuery,
    block_on,
};

use super::decide::{Model, RunState, TraceState, nanos};
use crate::cases::seals::expected;
use crate::context::{Context, drawn, walk};
use crate::ops::run_id;

impl Model {
    /// Demands that the ledger reads as the model does.
    #[track_caller]
    pub(super) fn check(&self, cx: &Context) {
        assert_eq!(cx.head().tree_size, self.log.len() as u64);
        let mut listed: Vec<_> = self.runs.iter().map(|(id, run)| (run.started_at, run.first, id.clone())).collect();
        listed.sort();
        let listed: Vec<_> = listed.into_iter().map(|(_, _, id)| id).collect();
        let query = RunQuery { order: Order::Oldest, ..RunQuery::default() };
        assert_eq!(cx.run_ids(&query, 2), listed);
        for agent in ["planner", "coder", "tester"] {
            let filter = RunFilter { agent: Some(agent.to_owned()), ..RunFilter::default() };
            let by = |id: &&String| self.agent(&self.runs[*id]).as_deref() == Some(agent);
            let wanted: Vec<_> = listed.iter().filter(by).cloned().collect();
            assert_eq!(cx.run_ids(&RunQuery { filter, ..query.clone() }, 2), wanted, "by {agent}");
        }
        self.check_searches(cx);
        for (name, at) in &self.baselines {
            let name = tracekeep_core::id::BaselineName::new(name.as_str()).expect("a name");
            let found = block_on(cx.ledger().baseline(&name)).expect("readable").expect("it was set");
            assert_eq!((found.log_index, Some(found.run_id.as_str())), (*at, self.entry(*at).op["run_id"].as_str()));
        }
        self.check_incidents(cx);
        for (id, by) in &self.erased {
            let error = block_on(cx.ledger().run(&run_id(id))).expect_err("an erased run");
            assert_eq!(
                (error.code(), error.redaction().map(|redaction| redaction.log_index)),
                ("run_erased", Some(*by))
            );
        }
        self.check_audits(cx);
        for (id, run) in &self.runs {
            self.check_run(cx, id, run);
            self.check_traces(cx, id, run);
        }
    }

    #[track_caller]
    fn check_incidents(&self, cx: &Context) {
        for (id, known) in &self.incidents {
            let id = tracekeep_core::id::IncidentId::new(id.as_str()).expect("an id");
            let found = block_on(cx.ledger().incident(&id)).expect("readable").expect("it was opened");
            assert_eq!((found.log_index, found.resolved_log_index), (known.at, known.resolved));
            assert_eq!(found.run_id.as_ref().map(RunId::as_str), known.run.as_deref());
        }
        let check = |filter: IncidentFilter, fits: &dyn Fn(&Value, bool) -> bool| {
            let fit = self.incidents.values().filter(|known| fits(&self.entry(known.at).op, known.resolved.is_some()));
            let mut wanted: Vec<_> =
                fit.map(|known| (nanos(&text(&self.entry(known.at).op["created_at"])), known.at)).collect();
            wanted.sort_unstable();
            let query = IncidentQuery { filter, order: Order::Oldest, ..IncidentQuery::default() };
            let found = walk(2, |page| block_on(cx.ledger().incidents(&IncidentQuery { page, ..query.clone() })));
            let found: Vec<_> = found.iter().map(|found| (found.created_at.as_nanos(), found.log_index)).collect();
            assert_eq!(found, wanted, "{query:?}");
        };
        let f = IncidentFilter::default;
        check(f(), &|_, _| true);
        for status in IncidentStatus::ALL {
            let resolved = *status == IncidentStatus::Resolved;
            check(IncidentFilter { status: Some(*status), ..f() }, &|_, ended| ended == resolved);
            let both = IncidentFilter { status: Some(*status), severity: Some(Severity::High), ..f() };
            check(both, &|op, ended| ended == resolved && op["severity"] == "high");
        }
        for run in ["r0", "o"] {
            check(IncidentFilter { run: Some(run_id(run)), ..f() }, &|op, _| op["run_id"] == run);
        }
    }

    /// Lists by one attribute and by two, by start and by cost.
    #[track_caller]
    fn check_searches(&self, cx: &Context) {
        let status =
            |run: &RunState| run.completed.map_or("running".to_owned(), |at| text(&self.entry(at).op["status"]));
        let seed = |run: &RunState| self.entry(run.first).op["seed"].as_i64();
        let plan = |run: &RunState| self.entry(run.first).op.get("plan").map(|plan| plan_hash(&plan.to_string()));
        let cost = |run: &RunState| run.sealed_steps.iter().map(|step| micro_cents(&step["cost_cents"])).sum::<i64>();
        let goal = |run: &RunState| self.described(run, "goal");
        let f = RunFilter::default;
        type Fits<'a> = &'a dyn Fn(&RunState) -> bool;
        let check = |filter: RunFilter, sort: RunSort, fits: Fits<'_>| {
            let runs = self.runs.iter().filter(|(_, run)| fits(run));
            let runs = runs.filter(|(_, run)| sort == RunSort::Start || run.completed.is_some());
            let place = |run: &RunState| if sort == RunSort::Start { run.started_at } else { cost(run) };
            let mut wanted: Vec<_> = runs.map(|(id, run)| (place(run), run.first, id.clone())).collect();
            wanted.sort();
            let wanted: Vec<_> = wanted.into_iter().map(|(_, _, id)| id).collect();
            let query = RunQuery { filter, sort: Some(sort), order: Order::Oldest, ..RunQuery::default() };
            assert_eq!(cx.run_ids(&query, 1), wanted, "{query:?}");
        };
        for sort in [RunSort::Start, RunSort::Cost] {
            check(f(), sort, &|_| true);
            for wanted in RunStatus::ALL {
                check(RunFilter { status: Some(*wanted), ..f() }, sort, &|run| status(run) == wanted.as_str());
            }
            for wanted in [7, 42] {
                check(RunFilter { seed: Some(wanted), ..f() }, sort, &|run| seed(run) == Some(wanted));
                let hash = plan_hash(r#"[{"skill":"a"}]"#);
                let both = RunFilter { seed: Some(wanted), plan_hash: Some(hash), ..f() };
                check(both, sort, &|run| seed(run) == Some(wanted) && plan(run) == Some(hash));
            }
            let word = RunFilter { text: Some("g".to_owned()), ..f() };
            check(word, sort, &|run| goal(run).as_deref() == Some("g"));
            let quarter = "0.25".parse().ok();
            let costly = RunFilter { cost: Between { least: quarter, most: None }, ..f() };
            check(costly, sort, &|run| run.completed.is_some() && cost(run) >= 250_000);
        }
        let from = self.runs.values().map(|run| run.started_at).max().map(Timestamp::from_nanos);
        let time = TimeRange::new(None, from);
        check(RunFilter { time, ..f() }, RunSort::Start, &|run| time.contains(Timestamp::from_nanos(run.started_at)));
    }

    fn agent(&self, run: &RunState) -> Option<String> {
        self.described(run, "agent_id")
    }

    /// What the start says, else the description that counts.
    fn described(&self, run: &RunState, member: &str) -> Option<String> {
        let of = |at: u64| self.entry(at).op[member].as_str().map(str::to_owned);
        let root = run.described.iter().find(|(topic, _)| topic == "root");
        of(run.first).or_else(|| root.or(run.described.first()).and_then(|(_, at)| of(*at)))
    }

    #[track_caller]
    fn check_run(&self, cx: &Context, id: &str, run: &RunState) {
        let read = cx.run(id);
        assert_eq!((read.log_index, read.entries), (run.first, run.entries));
        assert_eq!((read.steps, read.traces), (run.steps.len() as u64, run.traces.len() as u64));
        assert_eq!(read.agent_id, self.agent(run));
        let status = run.completed.map_or("running", |at| self.entry(at).op["status"].as_str().expect("a status"));
        assert_eq!((read.status.as_str(), read.seals), (status, u64::from(run.completed.is_some())));
        let hashes = match run.completed {
            _ if run.withheld.hashes => (None, None),
            Some(_) => expected(&self.entry(run.first).op, &run.sealed_steps, status),
            None => (None, None),
        };
        assert_eq!((read.behaviour_hash, read.root_hash), hashes, "the seal of {id}");
        let ledger = cx.ledger();
        let steps = walk(2, |page| block_on(ledger.steps(&run_id(id), &page)));
        let steps: Vec<_> = steps.iter().map(|step| (u64::from(step.index), step.log_index)).collect();
        assert_eq!(steps, run.steps.iter().map(|(index, at)| (*index, *at)).collect::<Vec<_>>());
    }

    #[track_caller]
    fn check_traces(&self, cx: &Context, id: &str, run: &RunState) {
        for (trace_id, trace) in &run.traces {
            let read = cx.trace(id, trace_id);
            assert_eq!((read.log_index, read.ended_log_index), (trace.entry, trace.ended), "{trace_id}");
            assert_eq!((read.orphan, read.late), (trace.orphan, trace.late), "{trace_id}");
            assert_eq!(read.occurred_at.as_nanos(), trace.occurred_at, "{trace_id}");
            assert_eq!(read.ended_at.map(|time| time.as_nanos()), trace.ended_at, "{trace_id}");
            assert_eq!((read.status.as_str(), read.trace_type.type_name()), (&*trace.status, &*trace.type_name));
            assert_eq!(read.tags, trace.tags, "{trace_id}");
        }
        let check = |filter: TraceFilter, fits: &dyn Fn(&TraceState) -> bool| {
            let mut wanted = in_order(run.traces.iter().filter(|(_, trace)| fits(trace)));
            for order in [Order::Oldest, Order::Newest] {
                let query = TraceQuery { filter: filter.clone(), order, ..TraceQuery::default() };
                assert_eq!(cx.trace_ids(id, &query, 2), wanted, "{filter:?} {order}");
                wanted.reverse();
            }
        };
        let f = TraceFilter::default;
        check(f(), &|_| true);
        check(TraceFilter { roots: true, ..f() }, &|trace| trace.under.is_none());
        for tag in ["a", "b"] {
            let with_tag = move |trace: &TraceState| trace.tags.iter().any(|own| own == tag);
            check(TraceFilter { tags: vec![tag.to_owned()], ..f() }, &with_tag);
            let open = TraceFilter { tags: vec![tag.to_owned()], status: Some(TraceStatus::Open), ..f() };
            check(open, &|trace| with_tag(trace) && trace.status == "open");
        }
        for status in [TraceStatus::Ok, TraceStatus::Error, TraceStatus::Open] {
            check(TraceFilter { status: Some(status), ..f() }, &|trace| trace.status == status.as_str());
        }
        for name in ["ToolCall", "Thought", "Tool"] {
            check(TraceFilter { type_name: Some(name.to_owned()), ..f() }, &|trace| trace.type_name == name);
        }
        for parent in ["t0", "t3"] {
            let parent_id = Some(crate::ops::trace_id(parent));
            check(TraceFilter { parent: parent_id, ..f() }, &|trace| trace.under.as_deref() == Some(parent));
        }
        let forest = run.forest();
        for limit in [1, 3, 1_000] {
            assert_eq!(drawn(&cx.tree(id, &TreeQuery::default(), limit)), forest, "the forest of {id}");
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn micro_cents(cost: &Value) -> i64 {
    cost.as_str().expect("a cost").parse::<Cost>().expect("a cost").as_micro_cents()
}

fn in_order<'a>(traces: impl Iterator<Item = (&'a String, &'a TraceState)>) -> Vec<String> {
    let mut traces: Vec<_> = traces.map(|(id, trace)| (trace.occurred_at, trace.entry, id.clone())).collect();
    traces.sort();
    traces.into_iter().map(|(_, _, id)| id).collect()
}

impl RunState {
    /// The forest, drawn as [`drawn`] does.
    fn forest(&self) -> Vec<String> {
        let mut roots: Vec<_> = Vec::new();
        let mut missing: Vec<&str> = Vec::new();
        let mut by_entry: Vec<_> = self.traces.iter().collect();
        by_entry.sort_by_key(|(_, trace)| trace.entry);
        for (id, trace) in by_entry {
            match &trace.under {
                None => roots.push((trace.occurred_at, trace.entry, id.as_str())),
                Some(parent) if !self.traces.contains_key(parent) && !missing.contains(&&**parent) => {
                    missing.push(parent);
                    roots.push((trace.occurred_at, trace.entry, parent));
                }
                Some(_) => {}
            }
        }
        roots.sort_unstable();
        let mut lines = Vec::new();
        for (_, _, id) in roots {
            self.draw(id, 0, &mut lines);
        }
        lines
    }

    fn draw(&self, id: &str, depth: usize, lines: &mut Vec<String>) {
        let children = in_order(self.traces.iter().filter(|(_, trace)| trace.under.as_deref() == Some(id)));
        let mark = if self.traces.contains_key(id) { "" } else { "?" };
        lines.push(format!("{depth} {mark}{id} {}", children.len()));
        for child in children {
            self.draw(&child, depth + 1, lines);
        }
    }
}
