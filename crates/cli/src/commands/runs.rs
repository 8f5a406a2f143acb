//! `tracekeep runs` and `tracekeep show`.

use tracekeep_core::id::RunId;
use tracekeep_core::view::{Run, Step};
use tracekeep_core::wire::to_json;
use tracekeep_store::{Between, Code, Error, LedgerStore, Order, PageRequest, RunFilter, RunQuery, Source, block_on};

use crate::args::Runs;
use crate::config::Config;
use crate::exit::{Done, Outcome};
use crate::open;
use crate::print::{brief, data, json, next_page, plain, table, talk};
use crate::when;

pub(crate) fn runs(config: &Config, args: Runs) -> Outcome {
    let now = Source::default().now();
    let until = args.until.as_ref().or(args.older_than.as_ref());
    let filter = RunFilter {
        status: args.status,
        agent: args.agent,
        correlation: args.correlation,
        parent: args.parent,
        tag: args.tag,
        time: when::range(args.since.as_ref(), until, now),
        plan_hash: args.plan_hash,
        seed: args.seed,
        root_hash: args.root_hash,
        behaviour_hash: args.behaviour_hash,
        text: args.text,
        cost: Between { least: args.cost_min, most: args.cost_max },
        duration: Between { least: args.duration_min, most: args.duration_max },
    };
    let ledger = open::reading(config)?;
    if args.count {
        return count(config, &*ledger, &filter);
    }
    let (limit, order) = (args.limit, if args.oldest { Order::Oldest } else { Order::Newest });
    let mut query = RunQuery { filter, sort: args.sort, order, page: PageRequest { limit, cursor: args.cursor } };
    let mut items = Vec::new();
    // A page may be short, even empty, and have a cursor.
    let next_cursor = loop {
        let page = block_on(ledger.runs(&query))?;
        items.extend(page.items);
        let left = limit - u32::try_from(items.len()).unwrap_or(limit);
        match page.next_cursor {
            Some(cursor) if left > 0 => query.page = PageRequest { limit: left, cursor: Some(cursor) },
            cursor => break cursor,
        }
    };
    if config.json {
        items.iter().try_for_each(|run| json(&to_json(run)))?;
    } else if items.is_empty() {
        talk("no runs");
    } else {
        let mut rows =
            vec![["RUN", "STATUS", "STARTED", "STEPS", "TRACES", "COST", "AGENT", "GOAL"].map(str::to_owned).to_vec()];
        rows.extend(items.iter().map(row));
        data(&table(&rows))?;
    }
    next_page(config.json, next_cursor)?;
    Ok(Done::Yes)
}

fn count(config: &Config, ledger: &dyn LedgerStore, filter: &RunFilter) -> Outcome {
    let count = block_on(ledger.run_count(filter))?;
    if config.json {
        json(&to_json(&count))?;
    } else {
        data(&count.count.to_string())?;
        if !count.complete {
            talk("at least: the count ended at the budget of one read");
        }
    }
    Ok(Done::Yes)
}

fn row(run: &Run) -> Vec<String> {
    vec![
        run.run_id.to_string(),
        status(run),
        run.started_at.to_string()[..19].to_owned(),
        run.steps.to_string(),
        run.traces.to_string(),
        format!("{} cents", run.cost_cents),
        brief(run.agent_id.as_deref().unwrap_or("-"), 24),
        brief(run.goal.as_deref().unwrap_or("-"), 48),
    ]
}

/// Telemetry has no completion of its own: what a reader waits for is the end of the root span.
fn status(run: &Run) -> String {
    match run.root_ended_at {
        Some(_) if run.status == tracekeep_core::model::RunStatus::Running => "root ended".to_owned(),
        _ => run.status.to_string(),
    }
}

pub(crate) fn show(config: &Config, run_id: &RunId) -> Outcome {
    let ledger = open::reading(config)?;
    let Some(run) = block_on(ledger.run(run_id))? else {
        return Err(Error::new(Code::RunNotFound, format!("no run {run_id} is recorded")).into());
    };
    if config.json {
        json(&to_json(&run))?;
    } else {
        data(&facts(&run))?;
    }
    let mut request = PageRequest::first(1_000);
    loop {
        let page = block_on(ledger.steps(run_id, &request))?;
        for step in &page.items {
            if config.json { json(&to_json(step))? } else { data(&line(step))? }
        }
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return Ok(Done::Yes),
        }
    }
}

fn facts(run: &Run) -> String {
    let mut rows = vec![("run", run.run_id.to_string()), ("status", status(run))];
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("reason", run.termination_reason.as_deref().map(plain));
    add("agent", run.agent_id.as_deref().map(plain));
    add("goal", run.goal.as_deref().map(plain));
    add("correlation", run.correlation_id.as_ref().map(ToString::to_string));
    add("parent", run.parent_run_id.as_ref().map(ToString::to_string));
    add("tags", (!run.tags.is_empty()).then(|| run.tags.iter().map(|tag| plain(tag)).collect::<Vec<_>>().join(", ")));
    add("source", Some(run.source.to_string()));
    add("idempotency", run.idempotency_store.map(|store| format!("{store} alone: what it loses may be done again")));
    add("started", Some(run.started_at.to_string()));
    add("root ended", run.root_ended_at.map(|at| at.to_string()));
    add("completed", run.completed_at.map(|at| at.to_string()));
    add("seed", run.seed.map(|seed| seed.to_string()));
    add("plan hash", run.plan_hash.map(|hash| hash.to_string()));
    add("behaviour", run.behaviour_hash.map(|hash| hash.to_string()));
    add("root hash", run.root_hash.map(|hash| hash.to_string()));
    add("steps", Some(format!("{} ({} success, {} failure)", run.steps, run.successes, run.failures)));
    add("gaps", run.gaps.as_ref().filter(|gaps| gaps.count > 0).map(|gaps| format!("{} missing", gaps.count)));
    add("traces", Some(run.traces.to_string()));
    add("cost", Some(format!("{} cents", run.cost_cents)));
    add("tokens", run.tokens.map(|tokens| tokens.to_string()));
    add("held", run.held.then(|| "yes: it is not erased (see tracekeep hold --list)".to_owned()));
    add("log index", Some(run.log_index.to_string()));
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    table(&rows)
}

fn line(step: &Step) -> String {
    format!(
        "  {:>6}  {:<8} {} {} {}",
        step.index,
        step.status.as_str(),
        brief(&step.skill_name, 40),
        brief(step.params.as_str(), 60),
        step.outcome_data.as_ref().map(|data| format!("→ {}", brief(data.as_str(), 60))).unwrap_or_default()
    )
    .trim_end()
    .to_owned()
}
