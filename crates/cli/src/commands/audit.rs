//! `tracekeep audit`.

use std::sync::Arc;
use std::time::Duration;

use tracekeep::{
    AuditExpectation, AuditFinding, AuditSummary, AuditVerdict, LedgerAudit, StoreDurabilityMode, VerdictStatus,
    standard_contract,
};
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::model::{Ack, Expect};
use tracekeep_core::wire::to_json;
use tracekeep_store::{AuditStore, Code, Error, LedgerStore, Noted, PageRequest, block_on};

use super::record::ALONE;
use crate::args::{Audit, AuditAck, AuditExpect};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open::{self, Parked};
use crate::print::{brief, data, json, next_page, table, talk};

/// Between two looks at a run that is watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn audit(config: &Config, command: Audit) -> Outcome {
    match command {
        Audit::Expect(args) => expect(config, args),
        Audit::Ack(args) => ack(config, args),
        Audit::Show { run } => show(config, &run),
        Audit::Reconcile { run } => judged(config, &block_on(writing(config)?.reconcile(&run))?),
        Audit::Pending { limit, cursor } => pending(config, PageRequest { limit, cursor }),
        Audit::Parked { run, limit, cursor } => parked(config, &run, PageRequest { limit, cursor }),
        Audit::Watch { run } => watch(config, &run),
    }
}

/// Only what it does is asked for here, not what it survives.
fn store(ledger: Arc<dyn LedgerStore>) -> LedgerAudit {
    LedgerAudit::new(ledger, StoreDurabilityMode::Sqlite)
}

fn writing(config: &Config) -> Result<Arc<dyn AuditStore>, Failure> {
    open::audit(config)
}

/// Moves what Redis holds of a run, or of all, before it is looked at; where a server has the file, that one moves.
fn moved(config: &Config, run: Option<&RunId>) -> Result<(), Failure> {
    if config.server.is_some() || config.audit_mode()? != StoreDurabilityMode::Redis {
        return Ok(());
    }
    let audit = match open::audit(config) {
        Err(Failure::At(_, error)) if open::READABLE.map(Code::as_str).contains(&error.code()) => return Ok(()),
        audit => audit?,
    };
    let moved = match run {
        Some(run) => block_on(audit.load_from_redis(run)).map(drop),
        None => block_on(audit.move_held(Some(Timestamp::MAX))).map(drop),
    };
    match moved {
        // The look itself says so.
        Err(error) if error.code() == Code::RunNotFound.as_str() => Ok(()),
        moved => Ok(moved?),
    }
}

fn expect(config: &Config, args: AuditExpect) -> Outcome {
    let expectations = match (args.contract, args.domain, args.action, args.deadline_ms) {
        (Some(name), ..) => {
            let contract = config.contracts.get(&name).cloned().or_else(|| standard_contract(&name));
            let unknown = || {
                let known: Vec<_> = config.contracts.keys().map(String::as_str).chain(["standard"]).collect();
                Failure::Usage(format!("no contract {name} is configured; there are {}", known.join(", ")))
            };
            contract.ok_or_else(unknown)?.expectations(&args.run)
        }
        (None, Some(domain), Some(action), Some(deadline_ms)) => vec![Expect {
            id: args.id,
            optional: args.optional,
            count: args.count,
            liveness: args.liveness,
            ..Expect::new(args.run, domain, action, deadline_ms)
        }],
        _ => {
            let detail = "audit expect needs --contract, or --domain, --action and --deadline-ms";
            return Err(Failure::Usage(detail.to_owned()));
        }
    };
    recorded(config, block_on(writing(config)?.add_expectations(expectations)))
}

fn ack(config: &Config, args: AuditAck) -> Outcome {
    let ack = Ack {
        id: args.id,
        result_id: args.result_id,
        error: args.error,
        rollback_reason: args.rollback_reason,
        ..Ack::new(args.run, args.domain, args.action, args.status)
    };
    recorded(config, block_on(writing(config)?.add_ack(ack)))
}

fn recorded(config: &Config, noted: Result<Noted, Error>) -> Outcome {
    let noted = noted.map_err(|error| error.strip(ALONE))?;
    if config.json {
        json(&to_json(&noted))?;
        return Ok(Done::Yes);
    }
    for fact in &noted.facts {
        let id = fact.id.as_ref().map(|id| brief(id.as_str(), 255)).unwrap_or_default();
        let place = fact.log_index.map_or_else(|| "held in Redis".to_owned(), |at| format!("log index {at}"));
        data(&format!("{}  {id}  {place}", fact.outcome))?;
    }
    Ok(Done::Yes)
}

fn show(config: &Config, run: &RunId) -> Outcome {
    moved(config, Some(run))?;
    let audit = store(open::reading(config)?);
    let summary = block_on(audit.summary(run))?;
    let (mut request, mut rows) = (PageRequest::first(1_000), Vec::new());
    if config.json {
        json(&to_json(&summary))?;
    }
    loop {
        let page = block_on(audit.get_expectations(run, &request))?;
        for one in page.items {
            if config.json { json(&to_json(&one))? } else { rows.push(row(&one)) }
        }
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }
    if !config.json {
        rows.insert(0, ["STATUS", "DOMAIN", "ACTION", "DEADLINE", "ACKED", "ID"].map(str::to_owned).to_vec());
        data(&table(&rows))?;
        talk(&in_short(&summary));
    }
    // What waits inside its deadline is no finding yet.
    let is_fine = |verdict: &AuditVerdict| verdict.is_clean() || verdict.status == VerdictStatus::Pending;
    Ok(if summary.now.as_ref().is_none_or(is_fine) { Done::Yes } else { Done::Findings })
}

fn row(one: &AuditExpectation) -> Vec<String> {
    let mut status = one.status.to_string();
    if one.optional {
        status.push_str(" (optional)");
    }
    vec![
        status,
        brief(&one.domain, 32),
        brief(&one.action, 32),
        one.deadline.to_string(),
        one.acked_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        brief(one.id.as_str(), 44),
    ]
}

fn in_short(summary: &AuditSummary) -> String {
    let now = summary.now.as_ref().map_or_else(|| "nothing to reconcile".to_owned(), |now| now.status.to_string());
    let watched = if summary.watched { "watched" } else { "not watched" };
    let last = summary.verdict.as_ref().zip(summary.verdict_log_index);
    let last = last.map(|(verdict, at)| format!("; recorded last: {} at log index {at}", verdict.status));
    format!("{now}, {} acknowledgements, {watched}{}", summary.acks, last.unwrap_or_default())
}

fn judged(config: &Config, verdict: &AuditVerdict) -> Outcome {
    if config.json {
        json(&to_json(verdict))?;
    } else {
        data(verdict.status.as_str())?;
        let lists = [
            ("missing", &verdict.missing),
            ("failed", &verdict.failed),
            ("rolled back", &verdict.rolled_back),
            ("late", &verdict.late),
            ("pending", &verdict.pending),
            ("drift", &verdict.drift),
            ("duplicate", &verdict.duplicate),
        ];
        let rows: Vec<_> =
            lists.into_iter().flat_map(|(what, found)| found.iter().map(move |one| finding(what, one))).collect();
        if !rows.is_empty() {
            data(&table(&rows))?;
        }
        if verdict.truncated {
            talk("there is more than is listed");
        }
    }
    Ok(if verdict.is_clean() { Done::Yes } else { Done::Findings })
}

fn finding(what: &str, one: &AuditFinding) -> Vec<String> {
    let id = one.expectation_id.as_ref().map(|id| id.as_str()).or(one.ack_id.as_ref().map(|id| id.as_str()));
    let when = match (one.at, one.deadline) {
        (Some(at), _) => format!("at {at}"),
        (None, Some(deadline)) => format!("by {deadline}"),
        (None, None) => String::new(),
    };
    let what = if one.superseded { format!("{what} (made up for)") } else { what.to_owned() };
    vec![
        format!("  {what}"),
        format!("{}/{}", brief(&one.domain, 32), brief(&one.action, 32)),
        when,
        brief(id.unwrap_or(""), 44),
    ]
}

fn pending(config: &Config, request: PageRequest) -> Outcome {
    if request.cursor.is_none() {
        moved(config, None)?;
    }
    let page = block_on(open::reading(config)?.pending_runs(&request))?;
    let is_empty = page.items.is_empty();
    let mut rows = vec![["RUN", "OPEN", "OVERDUE SINCE", "DUE", "STARTED"].map(str::to_owned).to_vec()];
    for run in &page.items {
        if config.json {
            json(&to_json(run))?;
        } else {
            rows.push(vec![
                brief(run.run_id.as_str(), 48),
                run.open.to_string(),
                run.overdue_since.map_or_else(|| "-".to_owned(), |since| since.to_string()),
                run.due.map_or_else(|| "-".to_owned(), |due| due.to_string()),
                run.started_at.to_string(),
            ]);
        }
    }
    if !config.json && !is_empty {
        data(&table(&rows))?;
    }
    next_page(config.json, page.next_cursor)?;
    Ok(if is_empty { Done::Yes } else { Done::Findings })
}

/// What the ledger refuses for good, and Redis still holds.
fn parked(config: &Config, run: &RunId, request: PageRequest) -> Outcome {
    let page = match open::parked(config)? {
        Parked::There(server) => server.parked(run, &request)?,
        Parked::Here(audit) => block_on(audit.get_parked(run, &request))?,
    };
    let is_empty = page.items.is_empty();
    let mut rows = vec![["FACT", "REFUSED", "RECEIVED"].map(str::to_owned).to_vec()];
    for fact in &page.items {
        if config.json {
            json(&to_json(fact))?;
        } else {
            rows.push(vec![brief(&fact.member, 64), brief(&fact.code, 32), fact.received_at.to_string()]);
        }
    }
    if !config.json && !is_empty {
        data(&table(&rows))?;
    }
    next_page(config.json, page.next_cursor)?;
    Ok(if is_empty { Done::Yes } else { Done::Findings })
}

/// Waits until nothing of the run is pending any more, then records and prints the verdict.
fn watch(config: &Config, run: &RunId) -> Outcome {
    loop {
        // Let go of in between: whoever records the run may hold the file.
        moved(config, Some(run))?;
        let summary = block_on(store(open::reading(config)?).summary(run))?;
        if summary.now.is_none_or(|now| now.status != VerdictStatus::Pending) {
            return judged(config, &block_on(writing(config)?.reconcile(run))?);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
