//! `tracekeep traces`.

use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::view::{Trace, TraceCounts};
use tracekeep_core::wire::to_json;
use tracekeep_store::{CountsQuery, LedgerStore, Order, PageRequest, Source, TraceFilter, TraceQuery, block_on};

use super::tree::summary;
use crate::args::Traces;
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{brief, data, json, next_page, table, talk};
use crate::when;

/// How often a search is made for the text index to catch up with the log.
const SEARCHES_MAX: u32 = 1_000;

/// What is said where the text index lags behind the log.
const INCOMPLETE: &str = "not everything was searched: the text index is behind the log, and nobody who could write to \
                          the ledger was reached to catch it up";

pub(crate) fn traces(config: &Config, args: Traces) -> Outcome {
    if args.counts {
        return counts(config, &args);
    }
    let by_text = args.text.is_some();
    let (ledger, catches_up) = if by_text { open::searching(config)? } else { (open::reading(config)?, false) };
    let limit = args.limit;
    let now = Source::default().now();
    let filter = TraceFilter {
        time: when::range(args.since.as_ref(), args.until.as_ref(), now),
        ids: args.id,
        type_name: args.type_name.clone(),
        tags: args.tag,
        any_tags: args.any_tag,
        parent: args.parent,
        roots: args.roots,
        status: args.status,
        text: args.text,
    };
    let order = if args.newest { Order::Newest } else { Order::Oldest };
    let mut query = TraceQuery { filter, order, page: PageRequest { limit, cursor: args.cursor } };
    let read = |query: &TraceQuery| block_on(ledger.traces(&args.run, query));
    let mut page = read(&query)?;
    let mut searches = 1;
    while catches_up && !page.complete && searches < SEARCHES_MAX {
        page = read(&query)?;
        searches += 1;
    }
    let (complete, mut shown) = (page.complete, 0);
    // A page may be short, even empty, and have a cursor.
    loop {
        shown += u32::try_from(page.items.len()).unwrap_or(u32::MAX);
        for trace in &page.items {
            if config.json { json(&to_json(trace))? } else { data(&line(trace))? }
        }
        match &page.next_cursor {
            Some(cursor) if shown < limit => {
                query.page = PageRequest { limit: limit - shown, cursor: Some(cursor.clone()) };
                page = read(&query)?;
            }
            _ => break,
        }
    }
    close(config, page.next_cursor, complete)?;
    match (shown, complete) {
        (0, false) => Err(Failure::Other("nothing fits in what was searched".to_owned())),
        (0, true) => {
            if !config.json {
                talk(&nothing(&*ledger, &args.run, args.type_name.as_deref())?);
            }
            Ok(Done::Findings)
        }
        _ => Ok(Done::Yes),
    }
}

/// That nothing fits, and which types there are where one was asked for that the run has not.
fn nothing(ledger: &dyn LedgerStore, run: &RunId, type_name: Option<&str>) -> Result<String, Failure> {
    let Some(type_name) = type_name else { return Ok("no traces".to_owned()) };
    let counts = block_on(ledger.trace_counts(run, &CountsQuery::default()))?;
    let types: Vec<_> = counts.types.iter().map(|one| one.name.as_str()).collect();
    if counts.truncated || types.is_empty() || types.contains(&type_name) {
        return Ok("no traces".to_owned());
    }
    Ok(format!("no traces: none is of type {}, but of {}", brief(type_name, 80), brief(&types.join(", "), 400)))
}

/// What a list ends with: how to go on, and what was not seen.
fn close(config: &Config, next_cursor: Option<String>, complete: bool) -> Result<(), Failure> {
    next_page(config.json, next_cursor)?;
    match complete {
        true => Ok(()),
        false if config.json => {
            json(&Json::object([("complete", Json::from(false))]).expect("invariant: one plain member"))
        }
        false => {
            talk(INCOMPLETE);
            Ok(())
        }
    }
}

fn line(trace: &Trace) -> String {
    let tags: Vec<_> = trace.tags.iter().map(|tag| brief(tag, 40)).collect();
    let tags = if tags.is_empty() { String::new() } else { format!(" [{}]", tags.join(", ")) };
    let said = summary(trace);
    let said = if said.is_empty() { said } else { format!(" {said}") };
    format!(
        "{}Z  {:<5}  {:<8}{said}{tags} {}",
        &trace.occurred_at.to_string()[..23],
        trace.status.as_str(),
        brief(trace.trace_type.type_name(), 40),
        trace.id
    )
}

fn counts(config: &Config, args: &Traces) -> Outcome {
    if args.tag.len() > 1 {
        return Err(Failure::Usage("a counter is of one tag: --counts takes one --tag".to_owned()));
    }
    let ledger = open::reading(config)?;
    let query = CountsQuery { type_name: args.type_name.clone(), tag: args.tag.first().cloned() };
    let counts = block_on(ledger.trace_counts(&args.run, &query))?;
    if config.json {
        json(&to_json(&counts))?
    } else {
        data(&counters(&counts))?
    }
    if counts.truncated && !config.json {
        talk("more types or tags than are listed: name one with --type or --tag");
    }
    let named = query.type_name.is_some() || query.tag.is_some();
    let found = if named { !counts.types.is_empty() || !counts.tags.is_empty() } else { counts.total > 0 };
    Ok(if found { Done::Yes } else { Done::Findings })
}

fn counters(counts: &TraceCounts) -> String {
    let mut rows = vec![vec!["total".to_owned(), String::new(), counts.total.to_string()]];
    for (what, counters) in [("type", &counts.types), ("tag", &counts.tags), ("status", &counts.statuses)] {
        rows.extend(counters.iter().map(|one| vec![what.to_owned(), brief(&one.name, 80), one.count.to_string()]));
    }
    table(&rows)
}
