//! Reads in a run of 100,000 traces, and of 1,000,000: queries, one trace, a small tree.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_store::{Batch, LedgerStore, Page, PageRequest, TraceFilter, TraceQuery, TreeQuery, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::data::Corpus;
use crate::measure::{Spread, percentile, timed, us};
use crate::random::Random;
use crate::records::{committed, start_run};
use crate::report::{Bar, Report};
use crate::{Asked, Result};

/// Keys of each kind: another one each time, so that no figure is that of one page in the cache.
const KEYS: u64 = 150;
/// The run that is read.
const RUN: &str = "run-large";
/// Traces of a commit while it is filled.
const A_COMMIT: usize = 500;
/// Nodes of the small trees.
const TREE: u64 = 20;

/// A trace to be made: id, parent, tag, type.
type Plan = (String, Option<String>, Option<String>, Option<String>);

/// Where the ledger of `traces` traces is; makes it first.
pub(crate) fn large(asked: &Asked, traces: u64) -> Result<PathBuf> {
    let directory = asked.directory.join(format!("large-{traces}"));
    let path = directory.join("ledger.db");
    if path.exists() {
        return Ok(path);
    }
    std::fs::create_dir_all(&directory)?;
    let (corpus, mut random) = (Corpus::load()?, Random::new(9));
    let ledger = SqliteLedger::open(&path, Options::default())?;
    // A second run holds the names that the first one has no trace of.
    committed(&ledger, vec![start_run(RUN)?, start_run("run-other")?])?;
    let mut others = Vec::new();
    for key in 0..KEYS {
        let (tag, name) = (format!("tag-0-{key}"), format!("type-0-{key}"));
        let op = corpus.trace_of(&mut random, "run-other", &format!("o-{key}"), None, &[&tag], Some(&name), 500);
        others.push(Batch::one(op));
    }
    committed(&ledger, others)?;
    let mut batches = Vec::new();
    for (place, (id, parent, tag, type_name)) in plans(traces, &mut random).into_iter().enumerate() {
        let mut tags = vec!["prod", *random.pick(&["search", "billing", "retry", "slow", "cached"])];
        tags.extend(tag.as_deref());
        let op = corpus.trace_of(&mut random, RUN, &id, parent.as_deref(), &tags, type_name.as_deref(), 560);
        batches.push(Batch::one(op));
        if batches.len() == A_COMMIT || place as u64 + 1 == traces {
            committed(&ledger, std::mem::take(&mut batches))?;
        }
    }
    ledger.close()?;
    Ok(path)
}

/// What the run holds: hits scattered over all of it, parents before their children.
fn plans(traces: u64, random: &mut Random) -> Vec<Plan> {
    let (mut first, mut early, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for key in 0..KEYS {
        for hits in [0, 10, 20] {
            let parent = format!("parent-{hits}-{key}");
            first.push((parent.clone(), None, None, None));
            for hit in 0..hits {
                rest.push((format!("child-{hits}-{key}-{hit}"), Some(parent.clone()), None, None));
                rest.push((format!("tagged-{hits}-{key}-{hit}"), None, Some(format!("tag-{hits}-{key}")), None));
                rest.push((format!("typed-{hits}-{key}-{hit}"), None, None, Some(format!("type-{hits}-{key}"))));
            }
        }
        // A tree of 20: a root, 3 below it, 16 below those.
        let root = format!("root-{key}");
        first.push((root.clone(), None, None, None));
        for node in 1..TREE {
            let id = format!("node-{key}-{node}");
            if node <= 3 {
                early.push((id, Some(root.clone()), None, None));
            } else {
                rest.push((id, Some(format!("node-{key}-{}", 1 + node % 3)), None, None));
            }
        }
    }
    let special = (first.len() + early.len() + rest.len()) as u64;
    for place in special..traces {
        // A quarter of the others hang on one of the first, none of which is read here.
        rest.push((format!("trace-{place}"), None, None, None));
    }
    random.shuffle(&mut early);
    random.shuffle(&mut rest);
    first.into_iter().chain(early).chain(rest).collect()
}

/// Reads made again and again: the median of a pass, warm, and the spread of the passes' medians.
fn passes(asked: &Asked, keys: u64, mut read: impl FnMut(u64) -> Result<()>) -> Result<Spread> {
    for key in 0..keys {
        read(key)?;
    }
    let mut medians = Vec::new();
    for _ in 0..asked.rounds.max(3) {
        let mut calls = Vec::new();
        for key in 0..keys {
            let (took, done) = timed(|| read(key));
            done?;
            calls.push(took);
        }
        calls.sort_by(f64::total_cmp);
        medians.push(percentile(&calls, 0.5));
    }
    Ok(Spread::of(medians))
}

fn expect<T>(page: &Page<T>, count: u64) -> Result<()> {
    if page.items.len() as u64 == count {
        Ok(())
    } else {
        Err(format!("{} hits, not {count}", page.items.len()).into())
    }
}

fn filter(kind: &str, hits: u64, key: u64) -> Result<TraceFilter> {
    let name = format!("{kind}-{hits}-{key}");
    Ok(match kind {
        "type" => TraceFilter { type_name: Some(name), ..TraceFilter::default() },
        "tag" => TraceFilter { tags: vec![name], ..TraceFilter::default() },
        _ => TraceFilter { parent: Some(name.parse()?), ..TraceFilter::default() },
    })
}

/// The same by SQL alone: entries' bodies, copied out.
fn raw_query(kind: &str) -> &'static str {
    match kind {
        "type" => {
            "SELECT e.body FROM trace t INDEXED BY trace_by_type CROSS JOIN entry e ON e.log_index = t.log_index WHERE \
             t.run_no = 0 AND t.type = (SELECT id FROM name WHERE text = ?1) ORDER BY t.occurred_at, t.log_index LIMIT 51"
        }
        "tag" => {
            "SELECT e.body FROM trace_tag g CROSS JOIN entry e ON e.log_index = g.log_index WHERE g.run_no = 0 AND \
             g.tag = (SELECT id FROM name WHERE text = ?1) ORDER BY g.occurred_at, g.log_index LIMIT 51"
        }
        _ => {
            "SELECT e.body FROM trace t INDEXED BY trace_by_parent CROSS JOIN entry e ON e.log_index = t.log_index WHERE \
             t.run_no = 0 AND t.parent = (SELECT log_index FROM trace WHERE run_no = 0 AND id = ?1) \
             ORDER BY t.occurred_at, t.log_index LIMIT 51"
        }
    }
}

fn raw_connection(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // As a reader of Tracekeep has it.
    conn.execute_batch("PRAGMA cache_size = -4096; PRAGMA query_only = ON; PRAGMA cell_size_check = ON;")?;
    Ok(conn)
}

fn bodies(conn: &Connection, sql: &str, name: &str) -> Result<u64> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([name])?;
    let (mut count, mut kept) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        kept.push(row.get::<_, Vec<u8>>(0)?);
        count += 1;
    }
    Ok(count)
}

pub(crate) fn reads(asked: &Asked, report: &mut Report) -> Result<()> {
    let traces: &[u64] = if asked.full { &[100_000, 1_000_000] } else { &[100_000] };
    let mut of_size = Vec::new();
    for traces in traces {
        println!("  filling a run of {traces} traces");
        let path = large(asked, *traces)?;
        of_size.push(in_run(asked, report, &path, *traces)?);
    }
    if let [small, large] = &of_size[..] {
        report.table("From 100,000 to 1,000,000 traces", &["read", "times as long", "bar"]);
        for ((what, small), (_, large)) in small.iter().zip(large) {
            let times = large / small;
            let bar =
                report.judge(&format!("{what}, 1,000,000 to 100,000"), times, Bar::AtMost(1.5), crate::measure::ratio);
            report.row(&[what.clone(), crate::measure::ratio(times), bar]);
        }
    }
    Ok(())
}

fn in_run(asked: &Asked, report: &mut Report, path: &Path, traces: u64) -> Result<Vec<(String, f64)>> {
    let ledger = SqliteLedger::open(path, Options::default())?;
    let conn = raw_connection(path)?;
    let run: RunId = RUN.parse()?;
    let thousands = crate::measure::whole(traces as f64);
    let mut figures = Vec::new();
    let title = format!("Reads in a run of {thousands} traces, warm, through the library, µs (median of a pass)");
    report.table(&title, &["read", "Tracekeep", "bar", "SQL alone, bodies copied", "to SQL", "bar"]);
    let query = |kind: &str, hits: u64, key: u64| -> Result<()> {
        let page = PageRequest { limit: 50, cursor: None };
        let query = TraceQuery { filter: filter(kind, hits, key)?, page, ..TraceQuery::default() };
        expect(&block_on(ledger.traces(&run, &query))?, hits)
    };
    for kind in ["type", "tag", "parent"] {
        for hits in [0, 10, 20] {
            let ours = passes(asked, KEYS, |key| query(kind, hits, key))?;
            let theirs = passes(asked, KEYS, |key| {
                let found = bodies(&conn, raw_query(kind), &format!("{kind}-{hits}-{key}"))?;
                if found == hits { Ok(()) } else { Err("SQL found something else".into()) }
            })?;
            let what = format!("by {kind}, {hits} hits");
            let bar = report.judge(&format!("{what}, {thousands}"), ours.median, Bar::AtMost(50.0), us);
            let slower = crate::measure::ratio(ours.median / theirs.median);
            report.row(&[what.clone(), ours.show(us), bar, theirs.show(us), slower, "-".to_owned()]);
            figures.push((what, ours.median));
        }
    }
    // Ids over the whole run.
    let mut random = Random::new(11);
    let ids: Vec<TraceId> = (0..2_000)
        .map(|_| format!("child-{}-{}-{}", 20, random.range(0, KEYS), random.range(0, 20)).parse())
        .collect::<std::result::Result<_, _>>()?;
    let ours = passes(asked, 2_000, |key| {
        block_on(ledger.trace(&run, &ids[key as usize]))?.map(|_| ()).ok_or("no such trace".into())
    })?;
    let sql =
        "SELECT e.body FROM trace t CROSS JOIN entry e ON e.log_index = t.log_index WHERE t.run_no = 0 AND t.id = ?1";
    let theirs = passes(asked, 2_000, |key| {
        if bodies(&conn, sql, ids[key as usize].as_str())? == 1 { Ok(()) } else { Err("no such trace".into()) }
    })?;
    let part = theirs.median / ours.median;
    let bar =
        report.judge(&format!("point get, {thousands}, to rusqlite"), part, Bar::AtLeast(0.8), crate::measure::ratio);
    let part = crate::measure::ratio(part);
    report.row(&[
        "one trace by id".to_owned(),
        ours.show(us),
        "-".to_owned(),
        theirs.show(us),
        format!("{part} of its rate"),
        bar,
    ]);
    figures.push(("one trace by id".to_owned(), ours.median));
    let tree = passes(asked, KEYS, |key| {
        let query = TreeQuery { root: Some(format!("root-{key}").parse()?), ..TreeQuery::default() };
        expect(&block_on(ledger.tree(&run, &query))?, TREE)
    })?;
    let bar = report.judge(&format!("tree of 20, {thousands}"), tree.median, Bar::AtMost(200.0), us);
    report.row(&["a tree of 20 nodes".to_owned(), tree.show(us), bar, "-".to_owned(), "-".to_owned(), "-".to_owned()]);
    figures.push(("a tree of 20 nodes".to_owned(), tree.median));
    drop(ledger);
    cold(report, path, &run)?;
    Ok(figures)
}

/// The first read of a ledger just opened, its file not in the system's cache.
fn cold(report: &mut Report, path: &Path, run: &RunId) -> Result<()> {
    let mut calls = Vec::new();
    for key in 0..15 {
        // Tells the system to forget the file's pages, and no other file's.
        let file = format!("of={}", path.display());
        let arguments = [file.as_str(), "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
        Command::new("dd").arg("if=/dev/null").args(arguments).status()?;
        let ledger = SqliteLedger::open(path, Options { read_only: true, ..Options::default() })?;
        let query = TraceQuery { filter: filter("tag", 20, key)?, ..TraceQuery::default() };
        let (took, page) = timed(|| block_on(ledger.traces(run, &query)));
        expect(&page?, 20)?;
        calls.push(took);
    }
    let spread = Spread::of(calls);
    report.note(&format!(
        "Cold (the file dropped from the system's cache, ledger just opened), by tag, 20 hits: {} µs.",
        spread.show(us)
    ));
    Ok(())
}
