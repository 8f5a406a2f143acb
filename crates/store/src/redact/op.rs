//! The members of each op that are looked over.

use tracekeep_core::hash;
use tracekeep_core::model::{Op, RecordStep, TraceType};

use super::Work;

pub(super) fn redact(op: &mut Op, work: &mut Work<'_>) {
    match op {
        Op::StartRun(op) => {
            each(&mut op.goal, |goal| work.string(goal));
            op.plan.iter_mut().flatten().for_each(|step| work.object(step));
            work.object(&mut op.metadata);
        }
        Op::EraseRun(op) => said(Some(&mut op.reason), &mut op.by, work),
        Op::Redact(op) => said(Some(&mut op.reason), &mut op.by, work),
        Op::Hold(op) => said(Some(&mut op.reason), &mut op.by, work),
        Op::ReleaseHold(op) => said(Some(&mut op.reason), &mut op.by, work),
        Op::SetBaseline(op) => said(op.reason.as_mut(), &mut op.by, work),
        Op::EnsureRun(_)
        | Op::SealRun(_)
        | Op::SetExpectationStatus(_)
        | Op::ClearAudit(_)
        | Op::Reconcile(_)
        | Op::RecordExport(_) => {}
        Op::OpenIncident(op) => {
            each(&mut op.title, |title| work.string(title));
            each(&mut op.summary, |summary| work.string(summary));
            for value in [&mut op.threshold, &mut op.actual].into_iter().flatten() {
                work.json(value);
            }
        }
        Op::ResolveIncident(op) => said(Some(&mut op.resolution), &mut op.by, work),
        Op::DeclareKey(op) => said(op.why.as_mut(), &mut op.by, work),
        Op::Expect(op) => {
            work.object(&mut op.metadata);
        }
        Op::Ack(op) => {
            each(&mut op.error, |error| work.string(error));
            each(&mut op.rollback_reason, |reason| work.string(reason));
            work.object(&mut op.metadata);
        }
        Op::DescribeRun(op) => {
            each(&mut op.goal, |goal| work.string(goal));
            work.object(&mut op.metadata);
        }
        Op::RecordStep(op) => step(op, work),
        Op::RecordTrace(op) => {
            trace_type(&mut op.trace_type, work);
            work.object(&mut op.metadata);
            each(&mut op.otel, |otel| work.object(otel));
        }
        Op::EndTrace(op) => {
            if let Some(result) = &mut op.result {
                work.json(result);
            }
            each(&mut op.error, |error| work.string(error));
        }
        Op::CompleteRun(op) => {
            each(&mut op.termination_reason, |reason| work.string(reason));
            each(&mut op.violation, |violation| each(&mut violation.reason, |reason| work.string(reason)));
            work.object(&mut op.metadata);
        }
    }
}

/// What an operator says of the record, and on whose word.
fn said(reason: Option<&mut String>, by: &mut Option<String>, work: &mut Work<'_>) {
    for text in reason.into_iter().chain(by) {
        work.string(text);
    }
}

fn each<T>(member: &mut Option<T>, change: impl FnOnce(&mut T)) {
    if let Some(member) = member {
        change(member);
    }
}

/// The hashes of a step are over what is recorded: one over what was taken out would give it away.
fn step(op: &mut RecordStep, work: &mut Work<'_>) {
    if work.json(&mut op.params) {
        op.input_hash = Some(hash::input_hash(op.params.as_str()));
    }
    if let Some(data) = &mut op.outcome_data
        && work.json(data)
    {
        op.output_hash = Some(hash::output_hash(data.as_str()));
    }
}

fn trace_type(trace_type: &mut TraceType, work: &mut Work<'_>) {
    match trace_type {
        TraceType::ToolCall { arguments, result, .. } => {
            work.json(arguments);
            if let Some(result) = result {
                work.json(result);
            }
        }
        TraceType::Decision { question, options, chosen, reasoning } => {
            work.string(question);
            options.iter_mut().for_each(|option| work.string(option));
            work.string(chosen);
            each(reasoning, |reasoning| work.string(reasoning));
        }
        TraceType::Query { query, .. } => work.string(query),
        TraceType::Thought { content, .. } => work.string(content),
        TraceType::Error { message, .. } => work.string(message),
        TraceType::Custom { data, .. } => {
            work.json(data);
        }
    }
}
