//! `tracekeep log` and `tracekeep keys`.

use std::path::Path;
use std::sync::Arc;

use tracekeep_core::model::{GivenUp, KeyReason};
use tracekeep_core::view::{DeclaredKey, SignedProof};
use tracekeep_core::wire::{from_text, to_json};
use tracekeep_evidence::{Code, NoteKey, base64_of};
use tracekeep_store::signing::Declaring;
use tracekeep_store::{LedgerStore, PageRequest, Signer, block_on};

use super::{bundle, file_of};
use crate::args::{Keys, Log};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open::{self, Signing};
use crate::print::{data, json, plain, table, talk};

/// Bytes of a file of handovers: each line has some 2 KiB.
const HANDOVERS_BYTES_MAX: u64 = 4 << 20;

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
            let signer = alone(config)?;
            let declared = signer.rotate(Declaring { why, by })?;
            told(config, &declared)?;
            json(&to_json(&signer.handover(declared.log_index)?))?;
            talk("the line below the key is for whoever trusts the one before it: tracekeep keys follow");
            talk(
                "that one is kept in the folder retired/ of the keys, and signs sizes of its time: delete it there if it was exposed",
            );
        }
        Keys::Handover { log_index } => handover(config, log_index)?,
        Keys::Follow { file, key } => return follow(&file, &key),
        Keys::Adopt { why, by } => told(config, &alone(config)?.adopt(Declaring { why: Some(why), by })?)?,
    }
    Ok(Done::Yes)
}

fn show(config: &Config) -> Result<(), Failure> {
    let keys = declared(&*open::reading(config)?)?;
    if config.json {
        return keys.iter().try_for_each(|key| json(&to_json(key)));
    }
    if keys.is_empty() {
        talk("nothing was signed yet: the first signature makes the key");
        return Ok(());
    }
    let mut rows = vec![["SIGNS ABOVE", "DECLARED", "REASON", "GIVES UP", "KEY"].map(str::to_owned).to_vec()];
    rows.extend(keys.into_iter().map(|key| {
        let given_up = key.given_up.map_or("-".to_owned(), |given_up| given_up.size.to_string());
        vec![key.log_index.to_string(), key.recorded_at.to_string(), key.reason.to_string(), given_up, plain(&key.key)]
    }));
    data(&table(&rows))
}

/// Every key that the log declares, the oldest first.
fn declared(ledger: &dyn LedgerStore) -> Result<Vec<DeclaredKey>, Failure> {
    let (mut page, mut declared) = (PageRequest::default(), Vec::new());
    loop {
        let keys = block_on(ledger.signing_keys(&page))?;
        declared.extend(keys.items);
        page.cursor = keys.next_cursor;
        if page.cursor.is_none() {
            return Ok(declared);
        }
    }
}

fn handover(config: &Config, log_index: Option<u64>) -> Result<(), Failure> {
    let signing = open::signing(config)?;
    let of = match log_index {
        Some(log_index) => vec![log_index],
        None => declared(signing.ledger())?
            .iter()
            .filter(|key| key.reason == KeyReason::Rotated)
            .map(|key| key.log_index)
            .collect(),
    };
    if of.is_empty() {
        talk("no key was rotated: nothing was handed over");
    }
    of.into_iter().try_for_each(|log_index| {
        let shown = match &signing {
            Signing::Here { signer, .. } => signer.handover(log_index)?,
            Signing::There(server) => server.handover(log_index)?,
        };
        json(&to_json(&shown))
    })
}

/// Follows what leads on from the key, if it is not the newest already. A line by other keys is passed over; one by this
/// key that does not hold is not.
fn follow(file: &Path, key: &str) -> Outcome {
    let keys = bundle::keys_of(key)?;
    let [mut key] = <[NoteKey; 1]>::try_from(keys)
        .map_err(|_| Failure::Usage("--key: name one key, or a file with one".to_owned()))?;
    let text = bundle::read(file, HANDOVERS_BYTES_MAX)?;
    let (mut lines, mut followed, mut is_last) = (0, 0, false);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        lines += 1;
        let malformed = |invalid| Failure::Usage(format!("{}: line {lines}: {invalid}", file.display()));
        let shown: SignedProof = from_text(line).map_err(malformed)?;
        match tracekeep_evidence::follow(&key, &shown) {
            Ok(next) => (key, followed) = (next, followed + 1),
            Err(error) if error.code() == Code::UnknownSigner => {
                is_last |= tracekeep_evidence::is_followed_by(&key, &shown).unwrap_or(false);
            }
            Err(error) => {
                talk(&format!("{}: line {lines}: {error}", file.display()));
                return Ok(Done::Findings);
            }
        }
    }
    if followed == 0 && is_last {
        talk(&format!(
            "{}: this key is the newest of these lines: the log was handed over to it, and none leads on",
            file.display()
        ));
        data(&key.to_string())?;
        return Ok(Done::Yes);
    }
    if followed == 0 {
        talk(&format!("{}: none of {lines} lines leads on from this key", file.display()));
        return Ok(Done::Findings);
    }
    talk(&format!("followed {followed} of {lines} lines"));
    data(&key.to_string())?;
    Ok(Done::Yes)
}

fn told(config: &Config, key: &DeclaredKey) -> Result<(), Failure> {
    if config.json {
        return json(&to_json(key));
    }
    talk(&format!("log index {} declares it: {}", key.log_index, key.reason));
    if let Some(GivenUp { size, root }) = &key.given_up {
        talk(&format!("given up: {size} entries under root {root}, kept in the folder retired/ of the keys"));
    }
    data(&key.key)
}

/// The signer of a ledger that nobody else has.
fn alone(config: &Config) -> Result<Arc<Signer>, Failure> {
    file_of(config)?;
    Ok(open::signing_alone(config)?.1)
}
