//! `tracekeep demo`: a believable agent run to look at, recorded through the same door as any other.

use std::ops::Range;

use tracekeep::{
    Batch, CompleteRun, DurationMs, EndStatus, EndTrace, FinalStatus, Json, JsonObject, Op, RecordStep, RecordTrace,
    RunId, StartRun, Timestamp, TraceId, TraceType,
};
use tracekeep_store::Source;

use super::record;
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{data, json, plain, talk};

pub(crate) fn demo(config: &Config) -> Outcome {
    let ledger = open::writing(config)?;
    let source = Source::default();
    let run = source.run_id();
    let ops = story(&run, source.now().saturating_add(-nanos(STORY_MS)), &source)?;
    record::receipt(&*ledger, Batch::of(ops))?;
    if config.json {
        let members = [("run_id", Json::from(run.as_str()))];
        json(&Json::object(members).map_err(|error| Failure::Other(error.to_string()))?)?;
    } else {
        data(run.as_str())?;
        let place = config.server.clone().unwrap_or_else(|| config.ledger.display().to_string());
        talk(&format!(
            "recorded a run to look at in {}: tracekeep show {run}, tracekeep tree {run}, or the server's page",
            plain(&place)
        ));
    }
    Ok(Done::Yes)
}

fn value(text: &str) -> Result<Json, Failure> {
    Json::parse(text).map_err(|error| Failure::Other(error.to_string()))
}

fn object(text: &str) -> Result<JsonObject, Failure> {
    Ok(JsonObject::new(value(text)?)?)
}

/// How long the story takes. It ends when it is recorded.
const STORY_MS: i64 = 7_800;

const fn nanos(ms: i64) -> i64 {
    ms * 1_000_000
}

/// An agent rebooks a flight: it looks, fails once, thinks, tries again, decides and pays. Its times add up.
fn story(run: &RunId, began: Timestamp, source: &Source) -> Result<Vec<Op>, Failure> {
    let mut tell = Telling { run, began, source, ops: Vec::new() };
    tell.ops.push(Op::StartRun(StartRun {
        run_id: Some(run.clone()),
        agent_id: Some("travel-desk".to_owned()),
        goal: Some("rebook the cancelled flight FRA–LIS for tomorrow morning".to_owned()),
        plan: Some(vec![
            object(r#"{"skill":"search"}"#)?,
            object(r#"{"skill":"hold"}"#)?,
            object(r#"{"skill":"pay"}"#)?,
        ]),
        tags: vec!["demo".to_owned(), "travel".to_owned()],
        metadata: object(r#"{"model":"example-large","customer":"c-1042"}"#)?,
        started_at: Some(began),
        ..StartRun::default()
    }));
    let root = tell.trace(
        150..7_700,
        None,
        &["plan"],
        TraceType::Decision {
            question: "which way to rebook?".to_owned(),
            options: vec!["same airline".to_owned(), "any airline".to_owned(), "train".to_owned()],
            chosen: "any airline".to_owned(),
            reasoning: Some("the same airline has no seat before noon".to_owned()),
        },
    );
    let policy = tell.trace(
        180..440,
        Some(&root),
        &["policy"],
        TraceType::Query {
            query_type: "retrieval".to_owned(),
            query: "fare limits for rebooking after a cancellation".to_owned(),
            results_count: Some(2),
        },
    );
    tell.thought(395..435, &policy, "up to 400 EUR without approval", 0.93);
    let route = r#"{"from":"FRA","to":"LIS","before":"12:00"}"#;
    let search = tell.call(460..5_464, &root, "search_flights", route, EndStatus::Error, None)?;
    tell.trace(
        5_460..5_464,
        Some(&search),
        &["retry"],
        TraceType::Error {
            error_type: "TimeoutError".to_owned(),
            message: "the supplier did not answer within 5 s".to_owned(),
            recoverable: true,
        },
    );
    let route = r#"{"from":"FRA","to":"LIS","before":"12:00","supplier":"backup"}"#;
    let hits = r#"{"hits":[{"flight":"TP571","eur":289.4,"seat":"14C"},{"flight":"LH1166","eur":412.0,"seat":"27B"}]}"#;
    let again = tell.call(5_520..6_333, &root, "search_flights", route, EndStatus::Ok, Some(hits))?;
    tell.step(
        460..6_333,
        RecordStep {
            outcome_data: Some(value(hits)?),
            cost_cents: "0.42".parse()?,
            tokens: Some(1_240),
            retry_count: 1,
            trace_id: Some(again),
            ..RecordStep::new(run.clone(), 0, "search", value(r#"{"from":"FRA","to":"LIS"}"#)?)
        },
    );
    let choice = tell.trace(
        6_420..7_660,
        Some(&root),
        &["plan"],
        TraceType::Decision {
            question: "which flight?".to_owned(),
            options: vec!["TP571".to_owned(), "LH1166".to_owned()],
            chosen: "TP571".to_owned(),
            reasoning: Some("within the limit, and it lands before the meeting".to_owned()),
        },
    );
    let (seat, held) = (r#"{"flight":"TP571","seat":"14C"}"#, r#"{"hold":"h-88213","until":"10:45"}"#);
    let hold = tell.call(6_470..6_771, &choice, "hold_seat", seat, EndStatus::Ok, Some(held))?;
    tell.step(
        6_470..6_771,
        RecordStep {
            outcome_data: Some(value(r#"{"hold":"h-88213"}"#)?),
            cost_cents: "0.08".parse()?,
            tokens: Some(210),
            trace_id: Some(hold),
            ..RecordStep::new(run.clone(), 1, "hold", value(r#"{"flight":"TP571"}"#)?)
        },
    );
    let (price, paid) = (r#"{"hold":"h-88213","eur":289.4}"#, r#"{"receipt":"r-5521"}"#);
    let pay = tell.call(6_840..7_480, &choice, "pay", price, EndStatus::Ok, Some(paid))?;
    tell.step(
        6_840..7_480,
        RecordStep {
            outcome_data: Some(value(paid)?),
            cost_cents: "0.11".parse()?,
            tokens: Some(180),
            trace_id: Some(pay),
            ..RecordStep::new(run.clone(), 2, "pay", value(r#"{"hold":"h-88213"}"#)?)
        },
    );
    tell.thought(7_530..7_610, &choice, "send the new itinerary to the traveller", 0.88);
    let mut end = CompleteRun::new(run.clone(), FinalStatus::Completed);
    end.termination_reason = Some("rebooked".to_owned());
    end.completed_at = Some(tell.at(STORY_MS));
    tell.ops.push(Op::CompleteRun(end));
    Ok(tell.ops)
}

/// The story as far as it is told. Spans are in milliseconds since it began.
struct Telling<'a> {
    run: &'a RunId,
    began: Timestamp,
    source: &'a Source,
    ops: Vec<Op>,
}

impl Telling<'_> {
    const fn at(&self, ms: i64) -> Timestamp {
        self.began.saturating_add(nanos(ms))
    }

    fn record(&mut self, at_ms: i64, parent: Option<&TraceId>, tags: &[&str], trace: RecordTrace) -> TraceId {
        let id = self.source.trace_id();
        self.ops.push(Op::RecordTrace(RecordTrace {
            id: Some(id.clone()),
            parent_id: parent.cloned(),
            occurred_at: Some(self.at(at_ms)),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..trace
        }));
        id
    }

    fn trace(&mut self, span: Range<i64>, parent: Option<&TraceId>, tags: &[&str], trace_type: TraceType) -> TraceId {
        let trace = RecordTrace::new(self.run.clone(), trace_type);
        self.record(span.start, parent, tags, RecordTrace { ended_at: Some(self.at(span.end)), ..trace })
    }

    fn thought(&mut self, span: Range<i64>, parent: &TraceId, content: &str, confidence: f64) {
        let thought = TraceType::Thought { content: content.to_owned(), confidence: Some(confidence) };
        self.trace(span, Some(parent), &[], thought);
    }

    fn call(
        &mut self,
        span: Range<i64>,
        parent: &TraceId,
        tool: &str,
        arguments: &str,
        status: EndStatus,
        result: Option<&str>,
    ) -> Result<TraceId, Failure> {
        let arguments = value(arguments)?;
        let call = TraceType::ToolCall { tool_name: tool.to_owned(), arguments, result: None, duration_ms: None };
        let id = self.record(span.start, Some(parent), &["tool"], RecordTrace::new(self.run.clone(), call));
        self.ops.push(Op::EndTrace(EndTrace {
            ended_at: Some(self.at(span.end)),
            duration_ms: Some(DurationMs::from_nanos(nanos(span.end - span.start))),
            result: result.map(value).transpose()?,
            ..EndTrace::new(self.run.clone(), id.clone(), status)
        }));
        Ok(id)
    }

    fn step(&mut self, span: Range<i64>, step: RecordStep) {
        self.ops.push(Op::RecordStep(RecordStep {
            occurred_at: Some(self.at(span.start)),
            duration_ms: DurationMs::from_nanos(nanos(span.end - span.start)),
            outcome_category: "SUCCESS".to_owned(),
            ..step
        }));
    }
}
