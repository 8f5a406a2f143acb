//! `tracekeep baseline` and `tracekeep check`.

use tracekeep_core::compare::Level;
use tracekeep_core::id::{BaselineName, RunId};
use tracekeep_core::model::{Op, SetBaseline};
use tracekeep_core::view::Baseline;
use tracekeep_core::wire::to_json;
use tracekeep_store::{Batch, Code, CompareQuery, Error, PageRequest, block_on};

use super::{diff, record};
use crate::args::Check;
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{brief, data, json, next_page, table, talk};

pub(crate) fn set(
    config: &Config,
    run_id: RunId,
    name: BaselineName,
    reason: Option<String>,
    by: Option<String>,
) -> Outcome {
    let ledger = open::writing_what_is_there(config)?;
    let op = Op::SetBaseline(SetBaseline { name: name.clone(), run_id: run_id.clone(), reason, by, redacted: None });
    let receipt = record::receipt(&*ledger, Batch::one(op))?;
    if config.json {
        json(&to_json(&receipt))?;
    } else {
        data(&format!("{name} stands for {run_id} ({})", receipt.outcome))?;
    }
    Ok(Done::Yes)
}

pub(crate) fn list(config: &Config, page: PageRequest) -> Outcome {
    let ledger = open::reading(config)?;
    let page = block_on(ledger.baselines(&page))?;
    if config.json {
        page.items.iter().try_for_each(|baseline| json(&to_json(baseline)))?;
    } else if page.items.is_empty() {
        talk("no baselines");
    } else {
        let mut rows = vec![["NAME", "RUN", "ROOT", "SET", "BY", "REASON"].map(str::to_owned).to_vec()];
        rows.extend(page.items.iter().map(row));
        data(&table(&rows))?;
    }
    next_page(config.json, page.next_cursor)?;
    Ok(Done::Yes)
}

fn row(baseline: &Baseline) -> Vec<String> {
    vec![
        baseline.name.to_string(),
        baseline.run_id.to_string(),
        baseline.root_hash.map_or_else(|| "-".to_owned(), |root| root.to_string()[..16].to_owned()),
        baseline.recorded_at.to_string()[..19].to_owned(),
        brief(baseline.by.as_deref().unwrap_or("-"), 24),
        brief(baseline.reason.as_deref().unwrap_or("-"), 48),
    ]
}

pub(crate) fn check(config: &Config, args: Check) -> Outcome {
    let ledger = open::reading(config)?;
    let missing = || Error::new(Code::BaselineNotFound, format!("{} stands for no run", args.baseline));
    let baseline = block_on(ledger.baseline(&args.baseline))?.ok_or_else(|| Failure::Unverifiable(missing()))?;
    let query = CompareQuery {
        level: if args.behaviour { Level::Behaviour } else { Level::Exact },
        page: PageRequest::first(args.limit),
        ..CompareQuery::default()
    };
    let compared = diff::compare(&*ledger, &baseline.run_id, &args.run, &query)?;
    diff::show(config, &compared)?;
    Ok(diff::done(compared.verdict, args.behaviour))
}
