//! `tracekeep record` and `tracekeep complete`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use tracekeep::{RunStore, standard_contract};
use tracekeep_core::json::{self, Json, Value};
use tracekeep_core::limits::{PAGE_ITEMS_MAX, REQUEST_BYTES_MAX};
use tracekeep_core::model::{CompleteRun, JsonObject, Op};
use tracekeep_core::wire::{Path as WirePath, take_optional, to_json};
use tracekeep_core::{Invalid, InvalidCode, Timestamp};
use tracekeep_store::{Batch, Error, LedgerStore, Receipt, Source};

use crate::args::Complete;
use crate::config::Config;
use crate::exit::{self, Done, Failure, Outcome};
use crate::when::{self, When};
use crate::{open, print};

/// Lines that are committed together.
const LINES_MAX: usize = 256;

pub(crate) fn record(config: &Config, file: &Path) -> Outcome {
    let ledger = open::fronted(config, true)?;
    let input: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(file).map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
        Box::new(BufReader::new(file))
    };
    let mut lines = Lines { input, number: 0 };
    let mut recorder = Recorder { config, ledger, is_read: true };
    loop {
        let (mut numbers, mut batches, mut ended) = (Vec::new(), Vec::new(), false);
        while batches.len() < LINES_MAX && !ended {
            match lines.next()? {
                Some((number, line)) => match batch(config, &line) {
                    Ok((batch, around)) => {
                        numbers.push((number, around));
                        batches.push(batch);
                    }
                    Err(error) => {
                        // What stands before the bad line is recorded; sending the file again records the rest.
                        recorder.commit(&numbers, batches)?;
                        return Err(at_line(number, error));
                    }
                },
                None => ended = true,
            }
        }
        recorder.commit(&numbers, batches)?;
        if ended {
            return Ok(Done::Yes);
        }
    }
}

struct Lines {
    input: Box<dyn BufRead>,
    number: u64,
}

impl Lines {
    /// The next line that is not blank.
    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        loop {
            let mut line = Vec::new();
            let limit = u64::from(REQUEST_BYTES_MAX) + 1;
            let read = io::Read::take(&mut self.input, limit).read_until(b'\n', &mut line)?;
            self.number += 1;
            if read == 0 {
                return Ok(None);
            }
            if line.len() > REQUEST_BYTES_MAX as usize {
                let detail = format!("a line has at most {REQUEST_BYTES_MAX} bytes");
                return Err(at_line(self.number, Invalid::new(InvalidCode::TooLarge, "", detail).into()));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
        }
    }
}

fn at_line(number: u64, error: Error) -> Failure {
    Failure::At(format!("line {number}"), error)
}

/// A line: an op, or {"ops": […], "key"?: …}; the start of a run may name a contract, which is declared in the same batch.
/// With it, what a lone op's paths have before them that the line has not.
fn batch(config: &Config, line: &[u8]) -> Result<(Batch, &'static str), Error> {
    let Value::Object(mut object) = json::parse_around(line, 2).map_err(Invalid::from)? else {
        return Err(Invalid::new(InvalidCode::InvalidMember, "", "a line is an op or a batch: an object").into());
    };
    if object.get("ops").is_some() {
        return Ok((Batch::read(object)?, ""));
    }
    let is_start = object.get("op").and_then(Value::as_str) == Some("start_run");
    let contract: Option<String> =
        if is_start { take_optional(&mut object, "contract", &WirePath::ROOT)? } else { None };
    let op = Batch::read_op(Value::Object(object))?;
    let Some(name) = contract else { return Ok((Batch::one(op), ALONE)) };
    let Some(run_id) = op.run_id().cloned() else {
        let detail = "is required where a contract is declared, so that sending it again starts no other run";
        return Err(Invalid::new(InvalidCode::MissingMember, "/run_id", detail).into());
    };
    let contract = config.contracts.get(&name).cloned().or_else(|| standard_contract(&name));
    let unknown = || Invalid::new(InvalidCode::InvalidMember, "/contract", "no contract of that name is configured");
    let expected = contract.ok_or_else(unknown)?.expectations(&run_id).into_iter().map(Op::Expect);
    Ok((Batch::of(std::iter::once(op).chain(expected).collect()), ALONE))
}

/// What the paths of errors have before them that name a member of a lone op.
pub(crate) const ALONE: &str = "/ops/0";

/// What commits, and says what became of each line.
struct Recorder<'a> {
    config: &'a Config,
    ledger: open::Fronted<'a>,
    /// Whether anybody still reads the receipts. Recording goes on without.
    is_read: bool,
}

impl Recorder<'_> {
    /// Commits and shows every result in order; the first refusal is the failure.
    fn commit(&mut self, lines: &[(u64, &str)], batches: Vec<Batch>) -> Result<(), Failure> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut first = None;
        for ((number, around), result) in lines.iter().zip(self.ledger.commit(batches)?) {
            match result {
                Ok(receipt) if self.is_read => match show(self.config, &receipt) {
                    Err(Failure::Unread) => self.is_read = false,
                    shown => shown?,
                },
                Ok(_) => {}
                Err(error) => {
                    let refusal = at_line(*number, error.strip(around));
                    match first {
                        None => first = Some(refusal),
                        Some(_) => exit::say(&refusal, self.config.json),
                    }
                }
            }
        }
        first.map_or(Ok(()), Err)
    }
}

fn show(config: &Config, receipt: &Receipt) -> Result<(), Failure> {
    if config.json {
        return print::json(&to_json(receipt));
    }
    for op in &receipt.ops {
        let named = op.run_id.as_ref().map(ToString::to_string).or_else(|| op.id.as_ref().map(ToString::to_string));
        print::data(format!("{} {} {}", op.outcome, op.log_index, named.unwrap_or_default()).trim_end())?;
    }
    Ok(())
}

pub(crate) fn complete(config: &Config, args: Complete) -> Outcome {
    let ledger = open::fronted(config, false)?;
    let run_id = match (args.run, &args.stale) {
        (Some(run_id), _) => run_id,
        (None, Some(age)) => return abort(config, ledger, age, args.reason.as_deref().unwrap_or("stale")),
        (None, None) => return Err(Failure::Usage("which run?".to_owned())),
    };
    let mut end = CompleteRun::new(run_id, args.status);
    end.termination_reason = args.reason;
    (end.plan_hash, end.behaviour_hash, end.root_hash) = (args.plan_hash, args.behaviour_hash, args.root_hash);
    if let Some(metadata) = args.metadata {
        let read = Json::parse(&metadata).map_err(Invalid::from).and_then(JsonObject::new);
        end.metadata = read.map_err(|invalid| Failure::Usage(format!("--metadata: {invalid}")))?;
    }
    commit_one(config, &ledger, Op::CompleteRun(end))
}

/// Commits one op, and says what became of it.
pub(crate) fn one(config: &Config, op: Op) -> Outcome {
    commit_one(config, &open::fronted(config, false)?, op)
}

pub(crate) fn commit_one(config: &Config, ledger: &open::Fronted<'_>, op: Op) -> Outcome {
    let receipt = ledger.commit(vec![Batch::one(op)])?.pop();
    let receipt = receipt.ok_or_else(|| Failure::Other("the ledger gave no answer".to_owned()))?;
    show(config, &receipt.map_err(|error| error.strip(ALONE))?)?;
    Ok(Done::Yes)
}

/// Commits one batch. Of a lone op, errors name its own members.
pub(crate) fn receipt(ledger: &dyn LedgerStore, batch: Batch) -> Result<Receipt, Failure> {
    let around = if batch.ops.len() == 1 { ALONE } else { "" };
    let receipt = ledger.commit_blocking(vec![batch]).pop();
    let receipt = receipt.ok_or_else(|| Failure::Other("the ledger gave no answer".to_owned()))?;
    receipt.map_err(|error| error.strip(around).into())
}

/// Aborts what has been running for longer than an age, and says which.
fn abort(config: &Config, ledger: open::Fronted<'_>, age: &When, reason: &str) -> Outcome {
    let runs = match ledger.held()? {
        Some(held) => RunStore::behind(ledger.ledger, held),
        None => RunStore::new(ledger.ledger),
    };
    let before = when::range(None, Some(age), Source::default().now()).to().unwrap_or(Timestamp::MAX);
    let mut total = 0;
    loop {
        let aborted = runs.abort_stale_runs(before, reason, PAGE_ITEMS_MAX)?;
        total += aborted.len();
        for run_id in &aborted {
            if config.json {
                let run_id = Json::object([("run_id", Json::from(run_id.as_str()))]);
                print::json(&run_id.expect("invariant: one plain member"))?;
            } else {
                print::data(run_id.as_str())?;
            }
        }
        if aborted.len() < PAGE_ITEMS_MAX as usize {
            break;
        }
    }
    if !config.json {
        print::talk(&format!("{total} aborted"));
    }
    Ok(Done::Yes)
}
