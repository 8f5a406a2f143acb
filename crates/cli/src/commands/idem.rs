//! `tracekeep idem`.

use std::io::Read;

use tracekeep_core::id::Key;
use tracekeep_core::json::{Json, canonical_json};
use tracekeep_core::limits::REQUEST_BYTES_MAX;
use tracekeep_core::wire::to_json;
use tracekeep_store::gate::{Fingerprint, IdempotencyResponse, IdempotencyStatus, Terms, Token};
use tracekeep_store::{Recorded, block_on};

use crate::args::{Idem, IdemCheck};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{data, json, plain};

pub(crate) fn idem(config: &Config, command: Idem) -> Outcome {
    match command {
        Idem::Check(args) => check(config, args),
        Idem::Complete { key, token, response } => complete(config, &key, &token, &response),
        Idem::Fail { key, token, error, retryable } => {
            ended(config, open::gate(config, false)?.mark_failed_blocking(&key, &token, &error, retryable)?)
        }
        Idem::Renew { key, token } => {
            let until = open::gate(config, false)?.renew_blocking(&key, &token)?.to_string();
            let line =
                Json::object([("lease_until", Json::from(until.as_str()))]).map_err(tracekeep_core::Invalid::from)?;
            if config.json {
                json(&line)?
            } else {
                data(&format!("lease_until  {until}"))?
            }
            Ok(Done::Yes)
        }
        Idem::Status { key } => status(config, &key),
        Idem::TakeBack => {
            let was_away = open::take_gate_back(config)?;
            let told = if was_away { "taken back" } else { "the ledger's own gate decides already" };
            if config.json {
                data(&format!("{{\"taken_back\":{was_away}}}"))?;
            } else {
                data(told)?;
            }
            Ok(Done::Yes)
        }
        Idem::Rm { key } => {
            let known = block_on(open::gate(config, false)?.delete(&key))?;
            let word = if known { "deleted" } else { "unknown" };
            if config.json {
                data(&format!("{{\"deleted\":{known}}}"))?;
            } else {
                data(word)?;
            }
            Ok(if known { Done::Yes } else { Done::Findings })
        }
    }
}

fn check(config: &Config, args: IdemCheck) -> Outcome {
    let request = match (args.fingerprint, &args.request) {
        (Some(fingerprint), _) => fingerprint,
        (None, Some(request)) => Fingerprint::of(&value("--request", request)?),
        (None, None) => return Err(Failure::Usage("idem check needs --request or --fingerprint".to_owned())),
    };
    let terms = Terms { run_id: args.run, lease_ms: args.lease_ms, ttl_s: args.ttl_s };
    terms.check().map_err(|error| Failure::Usage(format!("{error}")))?;
    let answer = open::gate(config, true)?.check_blocking(&args.key, &request, &terms)?;
    if config.json {
        json(&to_json(&answer))?
    } else {
        data(&told(&answer))?
    }
    Ok(if answer.is_new() { Done::Yes } else { Done::Findings })
}

/// The word first, then what belongs to it, a line each.
fn told(answer: &IdempotencyResponse) -> String {
    let mut lines = vec![answer.result.to_string()];
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<12} {}", plain(&value))));
    };
    add("token", answer.token.as_ref().map(ToString::to_string));
    add("attempt", Some(answer.attempt.to_string()));
    add("lease_until", answer.lease_until.map(|until| until.to_string()));
    add("retry_after", answer.retry_after_ms.map(|ms| format!("{ms} ms")));
    add("stored_hash", Some(answer.stored_hash.to_string()));
    add("run", answer.stored_trace_id.as_ref().map(ToString::to_string));
    add("response", answer.response.as_ref().map(ToString::to_string));
    add("error", answer.error.clone());
    add("expired", answer.expired.then(|| "it is no longer kept".to_owned()));
    lines.join("\n")
}

fn complete(config: &Config, key: &Key, token: &Token, response: &str) -> Outcome {
    let response = value("--response", response)?;
    ended(config, open::gate(config, false)?.mark_completed_blocking(key, token, &response)?)
}

fn ended(config: &Config, outcome: Recorded) -> Outcome {
    if config.json {
        data(&format!("{{\"outcome\":\"{outcome}\"}}"))?
    } else {
        data(outcome.as_str())?
    }
    Ok(Done::Yes)
}

fn status(config: &Config, key: &Key) -> Outcome {
    let Some(status) = block_on(open::gate(config, false)?.get_status(key))? else {
        if config.json {
            data("null")?
        } else {
            data("unknown")?
        }
        return Ok(Done::Findings);
    };
    if config.json {
        json(&to_json(&status))?
    } else {
        data(&stands(&status))?
    }
    Ok(Done::Yes)
}

fn stands(status: &IdempotencyStatus) -> String {
    let mut lines = vec![status.state.to_string()];
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<12} {}", plain(&value))));
    };
    add("attempt", Some(status.attempt.to_string()));
    add("stored_hash", Some(status.stored_hash.to_string()));
    add("run", status.run_id.as_ref().map(ToString::to_string));
    add("created_at", Some(status.created_at.to_string()));
    add("claimed_at", Some(status.claimed_at.to_string()));
    add("lease_until", status.lease_until.map(|at| at.to_string()));
    add("ended_at", status.ended_at.map(|at| at.to_string()));
    add("expires_at", status.expires_at.map(|at| at.to_string()));
    add("error", status.error.clone());
    lines.join("\n")
}

/// JSON as it was typed, from @FILE, or - for stdin.
pub(super) fn value(flag: &str, text: &str) -> Result<Json, Failure> {
    let bounded = |from: &mut dyn Read| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        from.take(u64::from(REQUEST_BYTES_MAX)).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = match text.strip_prefix('@') {
        Some(path) => {
            let read = std::fs::File::open(path).and_then(|mut file| bounded(&mut file));
            read.map_err(|error| Failure::Usage(format!("{flag}: {path}: {error}")))?
        }
        None if text == "-" => bounded(&mut std::io::stdin().lock())?,
        None => text.as_bytes().to_vec(),
    };
    let text = canonical_json(&bytes).map_err(|error| Failure::Usage(format!("{flag} is JSON: {error}")))?;
    Ok(Json::from_canonical(text))
}
