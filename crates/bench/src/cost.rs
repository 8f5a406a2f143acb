//! What one trace costs in the file, by table and index: what the rustdoc of `TraceStore::record` states.

use std::collections::BTreeMap;

use rusqlite::{Connection, OpenFlags};
use tracekeep_core::model::{Op, RecordTrace, TraceType};
use tracekeep_store::{Batch, Source};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::data::Corpus;
use crate::random::Random;
use crate::records::{committed, fresh, start_run};
use crate::report::Report;
use crate::{Asked, Result};

/// Traces of a ledger.
const TRACES: usize = 10_000;
/// Bytes of a thought.
const THOUGHT_BYTES: u64 = 100;
/// Tags to take from: so many that counters and names are few beside the traces.
const TAGS: [&str; 20] = [
    "tag-00", "tag-01", "tag-02", "tag-03", "tag-04", "tag-05", "tag-06", "tag-07", "tag-08", "tag-09", "tag-10",
    "tag-11", "tag-12", "tag-13", "tag-14", "tag-15", "tag-16", "tag-17", "tag-18", "tag-19",
];

pub(crate) fn cost(asked: &Asked, report: &mut Report) -> Result<()> {
    let corpus = Corpus::load()?;
    let columns = ["bytes a trace", "no tag", "1 tag", "3 tags", "a parent each, no tag", "10,000 under one parent"];
    report.table("What a small trace takes in the file, by table and index", &columns);
    let ledgers = [
        bytes(asked, &corpus, 0, |_| None)?,
        bytes(asked, &corpus, 1, |_| None)?,
        bytes(asked, &corpus, 3, |_| None)?,
        bytes(asked, &corpus, 0, |place| place.checked_sub(1))?,
        bytes(asked, &corpus, 0, |place| (place > 0).then_some(0))?,
    ];
    let a_trace = |bytes: u64| format!("{:.1}", bytes as f64 / TRACES as f64);
    let names: std::collections::BTreeSet<_> = ledgers.iter().flat_map(BTreeMap::keys).collect();
    for name in names {
        let of = |ledger: &BTreeMap<String, u64>| ledger.get(name).copied().unwrap_or(0);
        let cells = ledgers.iter().map(|ledger| a_trace(of(ledger)));
        if ledgers.iter().any(|ledger| of(ledger) >= TRACES as u64 / 10) {
            report.row(&std::iter::once(name.clone()).chain(cells).collect::<Vec<_>>());
        }
    }
    let sums = ledgers.iter().map(|ledger| a_trace(ledger.values().sum()));
    report.row(&std::iter::once("all".to_owned()).chain(sums).collect::<Vec<_>>());
    report.note(
        "Thoughts of 100 bytes with generated ids, in one run, one batch each, 10,000 of them; whole pages (dbstat) after \
         the ledger was closed, those of an empty ledger taken off. A search of texts adds its index.",
    );
    Ok(())
}

/// Bytes that each table and index grew by.
fn bytes(
    asked: &Asked,
    corpus: &Corpus,
    tags: usize,
    parent: impl Fn(usize) -> Option<usize>,
) -> Result<BTreeMap<String, u64>> {
    let path = fresh(asked, "cost");
    SqliteLedger::open(&path, Options::default())?.close()?;
    let empty = pages(&path)?;
    let ledger = SqliteLedger::open(&path, Options::default())?;
    committed(&ledger, vec![start_run("run-0")?])?;
    let (mut random, source) = (Random::new(11), Source::default());
    let ids: Vec<_> = (0..TRACES).map(|_| source.trace_id()).collect();
    let batches: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| {
            let content = corpus.cut(&mut random, THOUGHT_BYTES);
            let thought = TraceType::Thought { content, confidence: None };
            let mut trace = RecordTrace::new("run-0".parse()?, thought);
            trace.id = Some(id.clone());
            trace.parent_id = parent(place).map(|place| ids[place].clone());
            while trace.tags.len() < tags {
                let tag = (*random.pick(&TAGS)).to_owned();
                if !trace.tags.contains(&tag) {
                    trace.tags.push(tag);
                }
            }
            Ok(Batch::one(Op::RecordTrace(trace)))
        })
        .collect::<Result<_>>()?;
    for part in batches.chunks(500) {
        committed(&ledger, part.to_vec())?;
    }
    ledger.close()?;
    let mut grown = pages(&path)?;
    for (name, bytes) in &mut grown {
        *bytes -= empty.get(name).copied().unwrap_or(0);
    }
    Ok(grown)
}

fn pages(path: &std::path::Path) -> Result<BTreeMap<String, u64>> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = conn.prepare("SELECT name, pgsize FROM dbstat WHERE aggregate = 1")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
