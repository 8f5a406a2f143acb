//! `tracekeep incidents`.

use tracekeep_core::Invalid;
use tracekeep_core::id::IncidentId;
use tracekeep_core::json::Json;
use tracekeep_core::model::{Op, OpenIncident, ResolveIncident};
use tracekeep_core::view::Incident;
use tracekeep_core::wire::to_json;
use tracekeep_store::{Code, Error, IncidentFilter, IncidentQuery, Order, PageRequest, Source, block_on};

use super::record;
use super::retention::user;
use crate::args::{IncidentList, IncidentOpen, Incidents};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{brief, data, json, next_page, plain, table, talk};
use crate::when;

pub(crate) fn incidents(config: &Config, command: Incidents) -> Outcome {
    match command {
        Incidents::Open(args) => open_one(config, *args),
        Incidents::List(args) => list(config, args),
        Incidents::Show { incident } => show(config, &incident),
        Incidents::Resolve { incident, resolution, by } => {
            let by = by.or_else(user);
            let op = ResolveIncident { incident_id: incident, resolution, by, resolved_at: None, redacted: None };
            record::one(config, Op::ResolveIncident(op))
        }
    }
}

fn open_one(config: &Config, args: IncidentOpen) -> Outcome {
    let op = OpenIncident {
        incident_id: args.id,
        run_id: args.run,
        severity: args.severity,
        policy_id: args.policy_id,
        policy_name: args.policy_name,
        violation_type: args.violation_type,
        threshold: free("--threshold", args.threshold)?,
        actual: free("--actual", args.actual)?,
        violation_step_index: args.step,
        violation_at: args.violated_at,
        title: args.title,
        summary: args.summary,
        created_at: None,
        redacted: None,
    };
    record::one(config, Op::OpenIncident(op))
}

fn free(name: &str, text: Option<String>) -> Result<Option<Json>, Failure> {
    let read = |text: String| Json::parse(&text).map_err(Invalid::from);
    text.map(read).transpose().map_err(|invalid| Failure::Usage(format!("{name}: {invalid}")))
}

fn list(config: &Config, args: IncidentList) -> Outcome {
    let ledger = open::reading(config)?;
    let time = when::range(args.since.as_ref(), args.until.as_ref(), Source::default().now());
    let query = IncidentQuery {
        filter: IncidentFilter { status: args.status, severity: args.severity, run: args.run, time },
        order: if args.oldest { Order::Oldest } else { Order::Newest },
        page: PageRequest { limit: args.limit, cursor: args.cursor },
    };
    let page = block_on(ledger.incidents(&query))?;
    if config.json {
        page.items.iter().try_for_each(|incident| json(&to_json(incident)))?;
    } else if page.items.is_empty() {
        talk("no incidents");
    } else {
        let mut rows = vec![["INCIDENT", "STATUS", "SEVERITY", "OPENED", "RUN", "WHAT"].map(str::to_owned).to_vec()];
        rows.extend(page.items.iter().map(row));
        data(&table(&rows))?;
    }
    next_page(config.json, page.next_cursor)?;
    Ok(Done::Yes)
}

fn row(incident: &Incident) -> Vec<String> {
    vec![
        incident.incident_id.to_string(),
        incident.status.to_string(),
        incident.severity.map_or_else(|| "-".to_owned(), |severity| severity.to_string()),
        incident.created_at.to_string()[..19].to_owned(),
        incident.run_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        brief(what(incident).unwrap_or("-"), 48),
    ]
}

/// What an incident is, in few words.
fn what(incident: &Incident) -> Option<&str> {
    incident.title.as_deref().or(incident.violation_type.as_deref()).or(incident.policy_name.as_deref())
}

fn show(config: &Config, id: &IncidentId) -> Outcome {
    let ledger = open::reading(config)?;
    let missing = || Error::new(Code::IncidentNotFound, format!("no incident {id} is recorded"));
    let incident = block_on(ledger.incident(id))?.ok_or_else(missing)?;
    if config.json {
        json(&to_json(&incident))?;
        return Ok(Done::Yes);
    }
    let mut rows = vec![vec!["incident".to_owned(), incident.incident_id.to_string()]];
    let mut say = |name: &str, value: Option<String>| {
        rows.extend(value.map(|value| vec![name.to_owned(), plain(&value)]));
    };
    say("status", Some(incident.status.to_string()));
    say("severity", incident.severity.map(|severity| severity.to_string()));
    say("title", incident.title);
    say("run", incident.run_id.map(|run| run.to_string()));
    say("step", incident.violation_step_index.map(|index| index.to_string()));
    say("policy", incident.policy_id);
    say("policy name", incident.policy_name);
    say("violation", incident.violation_type);
    say("violated", incident.violation_at.map(|at| at.to_string()));
    say("threshold", incident.threshold.map(|json| json.as_str().to_owned()));
    say("actual", incident.actual.map(|json| json.as_str().to_owned()));
    say("summary", incident.summary);
    say("opened", Some(incident.created_at.to_string()));
    say("resolved", incident.resolved_at.map(|at| at.to_string()));
    say("resolved by", incident.resolved_by);
    say("resolution", incident.resolution);
    say("log index", Some(incident.log_index.to_string()));
    data(&table(&rows))?;
    Ok(Done::Yes)
}
