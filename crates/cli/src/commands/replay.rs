//! `tracekeep replay`.

use tracekeep_core::wire::to_json;
use tracekeep_store::gate::Terms;
use tracekeep_store::replay::{self, ReplayAnswer, ReplayResult};
use tracekeep_store::{Error, ErrorKind, block_on};

use super::idem::value;
use crate::args::{Replay, ReplayClaim, ReplayComplete};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{data, json, plain};

pub(crate) fn replay(config: &Config, command: Replay) -> Outcome {
    match command {
        Replay::Claim(args) => claim(config, args),
        Replay::Complete(args) => complete(config, args),
        Replay::Output { run, index } => {
            let step = block_on(replay::step(&*open::reading(config)?, &run, index))?;
            data(step.outcome_data.as_ref().map_or("null", |output| output.as_str()))?;
            Ok(Done::Yes)
        }
    }
}

fn claim(config: &Config, args: ReplayClaim) -> Outcome {
    let ReplayClaim { run, index, session, lease_ms, ttl_s } = args;
    let terms = Terms { run_id: Some(run.clone()), lease_ms, ttl_s };
    terms.check().map_err(|error| Failure::Usage(format!("{error}")))?;
    // Reading first: where there is no ledger, none is made for the gate.
    let (ledger, gate) = (open::reading(config)?, open::gate(config, false)?);
    let answer = block_on(replay::claim(&*ledger, &*gate, &run, index, &session, &terms)).map_err(unanswered)?;
    show(config, &answer)?;
    Ok(if answer.result == ReplayResult::New { Done::Yes } else { Done::Findings })
}

fn complete(config: &Config, args: ReplayComplete) -> Outcome {
    let ReplayComplete { run, index, session, token, output } = args;
    let output = value("--output", &output)?;
    let (ledger, gate) = (open::reading(config)?, open::gate(config, false)?);
    let completed = replay::complete(&*ledger, &*gate, &run, index, &session, &token, output);
    let answer = block_on(completed).map_err(unanswered)?;
    show(config, &answer)?;
    Ok(if answer.diverged { Done::Findings } else { Done::Yes })
}

/// 1 says something of a step that is there: whatever has no answer is 3.
fn unanswered(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::TooLarge => Failure::Store(error),
        _ => Failure::Unverifiable(error),
    }
}

fn show(config: &Config, answer: &ReplayAnswer) -> Result<(), Failure> {
    if config.json { json(&to_json(answer)) } else { data(&told(answer)) }
}

/// The word first, then what belongs to it, a line each.
fn told(answer: &ReplayAnswer) -> String {
    let mut lines = vec![answer.result.to_string()];
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<14} {}", plain(&value))));
    };
    add("behavior", Some(answer.replay_behavior.to_string()));
    add("token", answer.token.as_ref().map(ToString::to_string));
    add("key", answer.key.as_ref().map(ToString::to_string));
    add("attempt", answer.attempt.map(|attempt| attempt.to_string()));
    add("lease_until", answer.lease_until.map(|until| until.to_string()));
    add("retry_after", answer.retry_after_ms.map(|ms| format!("{ms} ms")));
    add("output", answer.output.as_ref().map(ToString::to_string));
    add("recorded_hash", answer.recorded_hash.map(|hash| hash.to_string()));
    add("output_hash", answer.output_hash.map(|hash| hash.to_string()));
    add("diverged", answer.diverged.then(|| "this is not the recorded output".to_owned()));
    add("error", answer.error.clone());
    lines.join("\n")
}
