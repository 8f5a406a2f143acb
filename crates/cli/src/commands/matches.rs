//! `tracekeep matches`.

use tracekeep_core::compare::Part;
use tracekeep_core::id::RunId;
use tracekeep_core::matches::{Flaky, Group, Matches};
use tracekeep_core::wire::to_json;
use tracekeep_store::block_on;

use super::diff::unverifiable;
use crate::config::Config;
use crate::exit::{Done, Outcome};
use crate::open;
use crate::print::{data, json, table, talk};

pub(crate) fn matches(config: &Config, run_id: &RunId) -> Outcome {
    let ledger = open::reading(config)?;
    let found = block_on(ledger.matches(run_id)).map_err(unverifiable)?;
    if config.json {
        json(&to_json(&found))?;
    } else {
        if !found.groups.is_empty() {
            data(&text(&found))?;
        }
        talk(&summary(&found));
    }
    Ok(match found.ways {
        0 => Done::Unverifiable,
        1 => Done::Yes,
        _ => Done::Findings,
    })
}

fn text(found: &Matches) -> String {
    let mut rows = vec![["RUNS", "STATUS", "ROOT", "BEHAVIOUR", "SUCH AS"].map(str::to_owned).to_vec()];
    rows.extend(found.groups.iter().map(row));
    let mut lines = vec![table(&rows)];
    lines.extend(found.flaky.iter().map(flaky));
    lines.join("\n")
}

fn row(group: &Group) -> Vec<String> {
    let examples: Vec<_> = group.examples.iter().map(RunId::as_str).collect();
    let more = if group.runs > examples.len() as u64 { " …" } else { "" };
    vec![
        format!("{}{}", group.runs, if group.is_own { " *" } else { "" }),
        group.status.to_string(),
        group.root_hash.to_string()[..16].to_owned(),
        group.behaviour_hash.to_string()[..16].to_owned(),
        format!("{}{more}", examples.join(" ")),
    ]
}

fn flaky(flaky: &Flaky) -> String {
    let place = match (flaky.part, flaky.step) {
        (Part::Step, Some(step)) => format!("step {step}"),
        (Part::End, _) => "end".to_owned(),
        _ => "start".to_owned(),
    };
    let what = if flaky.behaviour { "another choice" } else { "another output" };
    format!("{place}: {what} in {} of the other ways, {} runs", flaky.groups, flaky.runs)
}

fn summary(found: &Matches) -> String {
    if found.plan_hash.is_none() {
        return "the run has no plan, and so matches nothing".to_owned();
    }
    let unverifiable = match found.unverifiable {
        0 => String::new(),
        more => format!("; {more} more are not sealed, or withheld"),
    };
    let rest = if found.complete { "" } else { "; there is more than this" };
    format!("{} runs of this plan and seed came out in {} ways{unverifiable}{rest}", found.runs, found.ways)
}
