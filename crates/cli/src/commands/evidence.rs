//! `tracekeep log` and `tracekeep keys`.

use std::sync::Arc;

use tracekeep_core::view::DeclaredKey;
use tracekeep_core::wire::to_json;
use tracekeep_evidence::base64_of;
use tracekeep_store::signing::Declaring;
use tracekeep_store::{PageRequest, Signer, block_on};

use super::file_of;
use crate::args::{Keys, Log};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open::{self, Signing};
use crate::print::{data, json, plain, table, talk};

pub(crate) fn log(config: &Config, command: Log) -> Outcome {
    let text = match command {
        Log::Checkpoint { size } => match open::signing(config)? {
            Signing::Here { signer, .. } => {
                let signed = size.map_or_else(|| signer.checkpoint(), |size| signer.checkpoint_at(size))?;
                signed.note.to_string()
            }
            Signing::There(server) => server
                .signed(&size.map_or_else(|| "checkpoint".to_owned(), |size| format!("checkpoint?size={size}")))?,
        },
        Log::Consistency { from, to } => return consistency(config, from, to),
        Log::Proof { log_index: Some(log_index), .. } => match open::signing(config)? {
            Signing::Here { signer, .. } => signer.tlog_proof(log_index, None)?.to_string(),
            Signing::There(server) => server.signed(&format!("proof/{log_index}?format=tlog-proof"))?,
        },
        Log::Proof { run, step, trace, .. } => {
            let run =
                run.ok_or_else(|| Failure::Usage("name the log index of an entry, or a run with --run".to_owned()))?;
            let proof = match (open::signing(config)?, step, &trace) {
                (Signing::There(server), step, trace) => server.run_proof(&run, step, trace.as_ref())?,
                (Signing::Here { signer, .. }, Some(step), _) => signer.prove_step(&run, step)?,
                (Signing::Here { signer, .. }, None, Some(trace)) => signer.prove_trace(&run, trace)?,
                (Signing::Here { signer, .. }, None, None) => signer.prove_run(&run)?,
            };
            json(&to_json(&proof))?;
            return Ok(Done::Yes);
        }
        Log::WitnessExport { from } => match open::signing(config)? {
            Signing::Here { signer, .. } => signer.witness_request(from)?.to_string(),
            Signing::There(server) => server.signed(&format!("witness?from={from}"))?,
        },
    };
    data(text.strip_suffix('\n').unwrap_or(&text))?;
    Ok(Done::Yes)
}

fn consistency(config: &Config, from: u64, to: Option<u64>) -> Outcome {
    let proof = block_on(open::reading(config)?.consistency(from, to))?;
    if config.json {
        json(&to_json(&proof))?;
    } else {
        talk(&format!("the log of {} entries extends that of {}", proof.to, proof.from));
        proof.hashes.iter().try_for_each(|hash| data(&base64_of(hash)))?;
    }
    Ok(Done::Yes)
}

pub(crate) fn keys(config: &Config, command: Keys) -> Outcome {
    match command {
        Keys::Public => {
            let key = match open::signing(config)? {
                Signing::Here { signer, .. } => signer.with_key(|key| key.public().to_string())?,
                Signing::There(server) => server.signed("key")?,
            };
            data(key.trim_end())?;
        }
        Keys::Show => show(config)?,
        Keys::Rotate { why, by } => {
            told(config, &alone(config)?.rotate(Declaring { why, by })?)?;
            talk(
                "the key before it is kept in the folder retired/ of the keys, and still signs: delete it there if it was exposed",
            );
        }
        Keys::Adopt { why, by } => told(config, &alone(config)?.adopt(Declaring { why: Some(why), by })?)?,
    }
    Ok(Done::Yes)
}

fn show(config: &Config) -> Result<(), Failure> {
    let ledger = open::reading(config)?;
    let mut page = PageRequest::default();
    let mut rows = vec![["SIGNS ABOVE", "DECLARED", "REASON", "KEY"].map(str::to_owned).to_vec()];
    loop {
        let keys = block_on(ledger.signing_keys(&page))?;
        for key in &keys.items {
            if config.json {
                json(&to_json(key))?;
            }
        }
        rows.extend(keys.items.into_iter().map(|key| {
            vec![key.log_index.to_string(), key.recorded_at.to_string(), key.reason.to_string(), plain(&key.key)]
        }));
        page.cursor = keys.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    match (config.json, rows.len() == 1) {
        (true, _) => Ok(()),
        (false, true) => {
            talk("nothing was signed yet: the first signature makes the key");
            Ok(())
        }
        (false, false) => data(&table(&rows)),
    }
}

fn told(config: &Config, key: &DeclaredKey) -> Result<(), Failure> {
    if config.json {
        return json(&to_json(key));
    }
    talk(&format!("log index {} declares it: {}", key.log_index, key.reason));
    data(&key.key)
}

/// The signer of a ledger that nobody else has.
fn alone(config: &Config) -> Result<Arc<Signer>, Failure> {
    file_of(config)?;
    Ok(open::signing_alone(config)?.1)
}
