//! An agent's decision tree, recorded and asked about: `cargo run -p tracekeep --example decision_tree -- runs.db`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use tracekeep::{
    CountsQuery, EndStatus, EndTrace, Json, PageRequest, StartRun, TraceId, TraceOptions, TraceType, Tracekeep,
    TreeQuery,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tracekeep = Tracekeep::open(std::env::args().nth(1).unwrap_or_else(|| "runs.db".to_owned()))?;
    let run = tracekeep.runs().start_run(StartRun { goal: Some("fly to Lisbon".into()), ..StartRun::default() })?;
    let traces = tracekeep.traces();

    // A decision asks a query, the query calls a tool, the tool fails, a thought explains, another tool call follows.
    let decision = traces.record(
        &run,
        TraceType::Decision {
            question: "where to look for flights?".into(),
            options: vec!["cache".into(), "live".into()],
            chosen: "live".into(),
            reasoning: Some("prices change by the hour".into()),
        },
    )?;
    let query = TraceType::Query { query_type: "flights".into(), query: "FRA-LIS".into(), results_count: None };
    let query = traces.record_child(&run, &decision, query)?;
    let arguments = Json::parse(r#"{"from":"FRA","to":"LIS"}"#)?;
    let call = |tool_name: &str| {
        let (tool_name, arguments) = (tool_name.to_owned(), arguments.clone());
        TraceType::ToolCall { tool_name, arguments, result: None, duration_ms: None }
    };
    let external = |id: &TraceId| TraceOptions {
        parent_id: Some(id.clone()),
        tags: vec!["external".into()],
        ..Default::default()
    };

    let first = traces.record_with_options(&run, call("airline_api"), external(&query))?;
    let mut failed = EndTrace::new(run.clone(), first.clone(), EndStatus::Error);
    failed.error = Some("timeout after 30 s".into());
    traces.end(failed)?;
    let thought = TraceType::Thought { content: "the API is down, its site may not be".into(), confidence: Some(0.7) };
    traces.record_child(&run, &first, thought)?;
    let second = traces.record_with_options(&run, call("web_search"), external(&query))?;
    let mut done = EndTrace::new(run.clone(), second, EndStatus::Ok);
    done.result = Some(Json::parse(r#"{"hits":3}"#)?);
    traces.end(done)?;
    let mut answered = EndTrace::new(run.clone(), query, EndStatus::Ok);
    answered.results_count = Some(3);
    traces.end(answered)?;

    // Each question is answered from an index, a page at a time.
    let page = PageRequest::default;
    let calls = traces.query_by_type(&run, "ToolCall", page())?.items;
    let tagged = traces.query_by_tag(&run, "external", page())?.items;
    let between = traces.query_by_time(&run, calls[0].occurred_at, calls[1].occurred_at, page())?.items;
    let timeouts = traces.search(&run, "timeout", page())?.items;
    println!("{} calls, {} external", calls.len(), tagged.len());
    println!("{} from the first call up to the second, {} with a timeout", between.len(), timeouts.len());
    for node in traces.get_tree(&run, &TreeQuery { depth: Some(3), ..TreeQuery::default() })?.items {
        let Some(trace) = node.trace else { continue };
        println!("{}{} {}", "  ".repeat(node.depth as usize), trace.trace_type.type_name(), trace.status);
    }
    for count in traces.counts(&run, &CountsQuery::default())?.types {
        println!("{} {}", count.count, count.name);
    }
    Ok(())
}
