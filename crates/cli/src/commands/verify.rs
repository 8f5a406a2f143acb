//! `tracekeep verify`.

use tracekeep_core::id::RunId;
use tracekeep_core::wire::to_json;
use tracekeep_store::{Check, ErrorKind, RunReport, block_on};

use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{data, json, plain, table, talk};

pub(crate) fn verify(config: &Config, run_id: &RunId) -> Outcome {
    let ledger = open::reading(config)?;
    let report = block_on(ledger.verify_run(run_id)).map_err(|error| match error.kind() {
        ErrorKind::Gone => Failure::Unverifiable(error),
        _ => Failure::Store(error),
    })?;
    if config.json {
        json(&to_json(&report))?;
    } else {
        data(&text(&report))?;
        talk(&summary(&report));
    }
    Ok(match (report.is_clean(), report.is_whole()) {
        (false, _) => Done::Findings,
        (true, false) => Done::Unverifiable,
        (true, true) => Done::Yes,
    })
}

fn text(report: &RunReport) -> String {
    let mut rows = vec![["CHECK", "CHECKED", "WRONG", "WITHHELD"].map(str::to_owned).to_vec()];
    let row = |check: &Check| {
        let Check { name, checked, wrong, withheld } = check;
        vec![name.to_string(), checked.to_string(), wrong.to_string(), withheld.to_string()]
    };
    rows.extend(report.checks.iter().map(row));
    let mut lines = vec![table(&rows)];
    lines.extend(report.findings.iter().map(|finding| plain(&finding.to_string())));
    lines.join("\n")
}

fn summary(report: &RunReport) -> String {
    let RunReport { run_id, entries, seals, tree_size, root, count, .. } = report;
    let withheld = if report.is_whole() { "" } else { "; what was erased could not be checked" };
    let seals = if *seals == 0 { "no seal".to_owned() } else { format!("{seals} sealed") };
    format!(
        "checked {run_id}: {entries} entries, {seals}, in the tree of {tree_size} under root {root}: {count} findings{withheld}"
    )
}
