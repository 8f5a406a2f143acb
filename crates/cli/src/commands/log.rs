//! `tracekeep tail` and `tracekeep fsck`.

use std::time::Duration;

use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::view::LogEvent;
use tracekeep_core::wire::to_json;
use tracekeep_store::block_on;
use tracekeep_store_sqlite::SqliteLedger;

use super::file_of;
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{data, json, plain, talk};

/// How often a follower looks for new entries.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Events read at a time.
const EVENTS_MAX: u32 = 500;

pub(crate) fn tail(config: &Config, from: Option<u64>) -> Outcome {
    let ledger = open::reading(config)?;
    let size = block_on(ledger.head())?.tree_size;
    let mut next = from.unwrap_or(size);
    if next > size {
        talk(&format!("the log has {size} entries: waiting for log index {next}"));
    }
    loop {
        let events = block_on(ledger.events(next, EVENTS_MAX))?;
        for event in &events {
            next = event.log_index + 1;
            if config.json { json(&to_json(event))? } else { data(&plain(&line(event)))? }
        }
        if events.is_empty() {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn line(event: &LogEvent) -> String {
    let LogEvent { log_index, run, seq, kind, recorded_at } = event;
    format!("{log_index:>8}  {recorded_at}  {kind:<13} {run} #{seq}")
}

pub(crate) fn fsck(config: &Config, rebuild: bool, run: Option<&RunId>) -> Outcome {
    let report = match run {
        Some(_) if config.server.is_some() && rebuild => block_on(open::writing(config)?.rebuild_indices(run))?,
        Some(_) if config.server.is_some() => block_on(open::reading(config)?.verify_indices(run))?,
        _ => {
            let path = file_of(config)?;
            let report = if rebuild { SqliteLedger::rebuild(path, run) } else { SqliteLedger::check(path, run) };
            report.map_err(Failure::at(path.display()))?
        }
    };
    for finding in &report.findings {
        if config.json {
            json(&to_json(finding))?;
        } else {
            data(&plain(&finding.to_string()))?;
        }
    }
    if config.json {
        let members = [
            ("tree_size", Json::from(report.tree_size)),
            ("root", report.root.map_or_else(Json::null, |root| Json::from(root.to_string()))),
            ("findings", Json::from(report.count)),
        ];
        json(&Json::object(members).expect("invariant: three plain members under three names"))?;
    }
    let words = if rebuild { "rebuilt and checked" } else { "checked" };
    let root = report.root.map(|root| format!(", root {root}")).unwrap_or_default();
    let what = run.map_or_else(|| format!("{} entries{root}", report.tree_size), |run| format!("the indices of {run}"));
    talk(&format!("{words} {what}: {} findings", report.count));
    Ok(if report.is_clean() { Done::Yes } else { Done::Findings })
}
