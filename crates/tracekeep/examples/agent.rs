//! A small agent that records what it does and why: `cargo run -p tracekeep --example agent -- runs.db`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use tracekeep::{
    EndStatus, EndTrace, FinalStatus, Json, RecordStep, RecordTrace, StartRun, TraceOptions, TraceType, Tracekeep,
    TreeQuery,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "runs.db".to_owned());
    let tracekeep = Tracekeep::open(path)?;
    let (runs, traces) = (tracekeep.runs(), tracekeep.traces());

    let run = runs.start_run(StartRun {
        agent_id: Some("planner".into()),
        goal: Some("find a flight from Frankfurt to Lisbon".into()),
        tags: vec!["example".into()],
        ..StartRun::default()
    })?;

    // Why: a decision, and under it a tool call that is recorded while it runs and ended when it is done.
    let decision = traces.record(
        &run,
        TraceType::Decision {
            question: "which source first?".into(),
            options: vec!["cache".into(), "web".into()],
            chosen: "web".into(),
            reasoning: Some("prices change by the hour".into()),
        },
    )?;
    let arguments = Json::parse(r#"{"from":"FRA","to":"LIS"}"#)?;
    let call = TraceType::ToolCall { tool_name: "search_flights".into(), arguments, result: None, duration_ms: None };
    let options =
        TraceOptions { parent_id: Some(decision.clone()), tags: vec!["external".into()], ..TraceOptions::default() };
    let call = traces.record_with_options(&run, call, options)?;
    let mut end = EndTrace::new(run.clone(), call.clone(), EndStatus::Ok);
    end.result = Some(Json::parse(r#"{"hits":3,"cheapest":"TP571"}"#)?);
    traces.end(end)?;

    // What: the step that followed, together with a closing thought, all or nothing.
    let mut batch = tracekeep.batch(&run);
    let thought = TraceType::Thought { content: "TP571 it is".into(), confidence: Some(0.9) };
    let mut trace = RecordTrace::new(run.clone(), thought);
    trace.parent_id = Some(decision);
    let why = batch.trace(trace);
    let mut step = RecordStep::new(run.clone(), 0, "book", Json::parse(r#"{"flight":"TP571"}"#)?);
    step.trace_id = Some(why);
    step.cost_cents = "0.25".parse()?;
    batch.step(step);
    let receipt = batch.commit()?;

    runs.complete_run(&run, FinalStatus::Completed)?;
    println!("recorded {run}: the log has {} entries, root {}", receipt.tree_size, receipt.root);
    for node in traces.get_tree(&run, &TreeQuery::default())?.items {
        let Some(trace) = node.trace else { continue };
        println!("{}{} {}", "  ".repeat(node.depth as usize), trace.trace_type.type_name(), trace.status);
    }
    Ok(())
}
