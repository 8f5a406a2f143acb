//! `tracekeep demo`: a believable agent run to look at, recorded through the same doors as any other.

use std::sync::Arc;

use tracekeep::{
    CompleteRun, EndStatus, EndTrace, FinalStatus, Json, JsonObject, LedgerStore, RecordStep, RecordTrace, RunId,
    StartRun, StepStatus, TraceId, TraceType, Tracekeep,
};

use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{data, json, talk};

pub(crate) fn demo(config: &Config) -> Outcome {
    let ledger = open::writing(config)?;
    let run = record(ledger)?;
    if config.json {
        let members = [("run_id", Json::from(run.as_str()))];
        json(&Json::object(members).map_err(|error| Failure::Other(error.to_string()))?)?;
    } else {
        data(run.as_str())?;
        talk(&format!("recorded a run to look at: tracekeep show {run}, tracekeep tree {run}, or the server's page"));
    }
    Ok(Done::Yes)
}

fn value(text: &str) -> Result<Json, Failure> {
    Json::parse(text).map_err(|error| Failure::Other(error.to_string()))
}

fn object(text: &str) -> Result<JsonObject, Failure> {
    Ok(JsonObject::new(value(text)?)?)
}

/// An agent rebooks a flight: it looks, fails once, thinks, tries again, decides and pays.
fn record(ledger: Arc<dyn LedgerStore>) -> Result<RunId, Failure> {
    let tracekeep = Tracekeep::over(ledger);
    let run = tracekeep.runs().start_run(StartRun {
        agent_id: Some("travel-desk".to_owned()),
        goal: Some("rebook the cancelled flight FRA–LIS for tomorrow morning".to_owned()),
        plan: Some(vec![
            object(r#"{"skill":"search"}"#)?,
            object(r#"{"skill":"hold"}"#)?,
            object(r#"{"skill":"pay"}"#)?,
        ]),
        tags: vec!["demo".to_owned(), "travel".to_owned()],
        metadata: object(r#"{"model":"example-large","customer":"c-1042"}"#)?,
        ..StartRun::default()
    })?;
    let mut tell = Telling { tracekeep, run: run.clone() };
    let question = "which way to rebook?";
    let root = tell.trace(
        None,
        &["plan"],
        TraceType::Decision {
            question: question.to_owned(),
            options: vec!["same airline".to_owned(), "any airline".to_owned(), "train".to_owned()],
            chosen: "any airline".to_owned(),
            reasoning: Some("the same airline has no seat before noon".to_owned()),
        },
    )?;
    let policy = tell.trace(
        Some(&root),
        &["policy"],
        TraceType::Query {
            query_type: "retrieval".to_owned(),
            query: "fare limits for rebooking after a cancellation".to_owned(),
            results_count: Some(2),
        },
    )?;
    tell.thought(&policy, "up to 400 EUR without approval", 0.93)?;
    let search = tell.call(&root, "search_flights", r#"{"from":"FRA","to":"LIS","before":"12:00"}"#)?;
    tell.trace(
        Some(&search),
        &["retry"],
        TraceType::Error {
            error_type: "TimeoutError".to_owned(),
            message: "the supplier did not answer within 5 s".to_owned(),
            recoverable: true,
        },
    )?;
    tell.end(&search, EndStatus::Error, None, 5_004.2)?;
    let again =
        tell.call(&root, "search_flights", r#"{"from":"FRA","to":"LIS","before":"12:00","supplier":"backup"}"#)?;
    let hits = r#"{"hits":[{"flight":"TP571","eur":289.4,"seat":"14C"},{"flight":"LH1166","eur":412.0,"seat":"27B"}]}"#;
    tell.end(&again, EndStatus::Ok, Some(hits), 812.7)?;
    tell.step(
        0,
        "search",
        r#"{"from":"FRA","to":"LIS"}"#,
        StepStatus::Success,
        Some(hits),
        "0.42",
        1_240,
        Some(&again),
    )?;
    let choice = tell.trace(
        Some(&root),
        &["plan"],
        TraceType::Decision {
            question: "which flight?".to_owned(),
            options: vec!["TP571".to_owned(), "LH1166".to_owned()],
            chosen: "TP571".to_owned(),
            reasoning: Some("within the limit, and it lands before the meeting".to_owned()),
        },
    )?;
    let hold = tell.call(&choice, "hold_seat", r#"{"flight":"TP571","seat":"14C"}"#)?;
    tell.end(&hold, EndStatus::Ok, Some(r#"{"hold":"h-88213","until":"10:45"}"#), 301.0)?;
    tell.step(
        1,
        "hold",
        r#"{"flight":"TP571"}"#,
        StepStatus::Success,
        Some(r#"{"hold":"h-88213"}"#),
        "0.08",
        210,
        Some(&hold),
    )?;
    let pay = tell.call(&choice, "pay", r#"{"hold":"h-88213","eur":289.4}"#)?;
    tell.end(&pay, EndStatus::Ok, Some(r#"{"receipt":"r-5521"}"#), 640.3)?;
    tell.step(
        2,
        "pay",
        r#"{"hold":"h-88213"}"#,
        StepStatus::Success,
        Some(r#"{"receipt":"r-5521"}"#),
        "0.11",
        180,
        Some(&pay),
    )?;
    tell.thought(&choice, "send the new itinerary to the traveller", 0.88)?;
    let mut end = CompleteRun::new(run.clone(), FinalStatus::Completed);
    end.termination_reason = Some("rebooked".to_owned());
    tell.tracekeep.runs().complete_run_with(end)?;
    Ok(run)
}

struct Telling {
    tracekeep: Tracekeep,
    run: RunId,
}

impl Telling {
    fn trace(&mut self, parent: Option<&TraceId>, tags: &[&str], trace_type: TraceType) -> Result<TraceId, Failure> {
        let mut trace = RecordTrace::new(self.run.clone(), trace_type);
        trace.parent_id = parent.cloned();
        trace.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let mut batch = self.tracekeep.batch(&self.run);
        let id = batch.trace(trace);
        batch.commit()?;
        Ok(id)
    }

    fn thought(&mut self, parent: &TraceId, content: &str, confidence: f64) -> Result<TraceId, Failure> {
        self.trace(Some(parent), &[], TraceType::Thought { content: content.to_owned(), confidence: Some(confidence) })
    }

    fn call(&mut self, parent: &TraceId, tool: &str, arguments: &str) -> Result<TraceId, Failure> {
        let arguments = value(arguments)?;
        let call = TraceType::ToolCall { tool_name: tool.to_owned(), arguments, result: None, duration_ms: None };
        self.trace(Some(parent), &["tool"], call)
    }

    fn end(&mut self, id: &TraceId, status: EndStatus, result: Option<&str>, took_ms: f64) -> Result<(), Failure> {
        let mut end = EndTrace::new(self.run.clone(), id.clone(), status);
        end.result = result.map(value).transpose()?;
        end.duration_ms = Some(took_ms.try_into()?);
        self.tracekeep.traces().end(end)?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one line of the story each")]
    fn step(
        &mut self,
        index: u32,
        skill: &str,
        params: &str,
        status: StepStatus,
        data: Option<&str>,
        cents: &str,
        tokens: u64,
        why: Option<&TraceId>,
    ) -> Result<(), Failure> {
        let mut step = RecordStep::new(self.run.clone(), index, skill, value(params)?);
        step.status = status;
        step.outcome_category = "SUCCESS".to_owned();
        step.outcome_data = data.map(value).transpose()?;
        step.cost_cents = cents.parse()?;
        step.tokens = Some(tokens);
        step.trace_id = why.cloned();
        self.tracekeep.runs().record_step(step)?;
        Ok(())
    }
}
