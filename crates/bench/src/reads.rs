//! Reads in runs of 1,000, 100,000 and 1,000,000 traces, beside a plain schema of the same traces: one trace, queries by
//! one attribute, counts, roots, trees. Texts are searched in the next room.

use std::path::Path;
use std::process::Command;

use rusqlite::ToSql;
use tracekeep_core::TimeRange;
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_store::{CountsQuery, LedgerStore, Page, PageRequest, TraceFilter, TraceQuery, TreeQuery, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::data::reserved;
use crate::large::{CHAIN, HITS, Large, RUN, TREE};
use crate::measure::{Spread, paired, ratio, timed, us, whole};
use crate::plain::{self, Plain};
use crate::random::Random;
use crate::report::{Bar, Report};
use crate::{Asked, Result, search, writers};

/// A single-attribute query of up to 20 hits, a count, a page of roots.
const QUICK: Bar = Bar::AtMost(50.0);
/// Traces of a page.
const PAGE: u32 = 50;

/// A figure and whether its growth is judged.
type Figure = (String, f64, bool);

/// A run, opened on both sides.
pub(crate) struct Reads<'a> {
    passes: usize,
    pub(crate) report: &'a mut Report,
    pub(crate) large: &'a Large,
    pub(crate) ledger: SqliteLedger,
    pub(crate) plain: Plain,
    pub(crate) run: RunId,
    figures: Vec<Figure>,
}

pub(crate) fn reads(asked: &Asked, report: &mut Report) -> Result<()> {
    let sizes: &[u64] = if asked.full { &[1_000, 100_000, 1_000_000] } else { &[1_000, 100_000] };
    let mut of_size = Vec::new();
    for traces in sizes {
        println!("  filling a run of {traces} traces");
        let (took_us, large) = timed(|| Large::of(asked, *traces));
        println!("  filled in {:.0} s", took_us / 1e6);
        of_size.push(in_run(asked, report, &large?)?);
    }
    if let [_, small, large] = &of_size[..] {
        report.table("From 100,000 to 1,000,000 traces", &["read", "times as long", "bar"]);
        for (what, small, is_judged) in small {
            let Some((_, large, _)) = large.iter().find(|(name, ..)| name == what) else { continue };
            let bar = if *is_judged { Bar::AtMost(1.5) } else { Bar::None };
            let bar = report.judge(&format!("{what}, 1,000,000 to 100,000"), large / small, bar, ratio);
            report.row(&[what.clone(), ratio(large / small), bar]);
        }
    }
    Ok(())
}

fn in_run(asked: &Asked, report: &mut Report, large: &Large) -> Result<Vec<Figure>> {
    let title = format!(
        "Reads in a run of {} traces, three tags each, warm, through the library, µs (median of a pass)",
        whole(large.traces as f64)
    );
    report.table(&title, &["read", "Tracekeep", "bar", "plain SQLite", "times plain", "bar"]);
    let passes = asked.rounds;
    let opened = paired(
        passes,
        1,
        |_| SqliteLedger::open(&large.ledger, Options::default()).map(drop).map_err(Into::into),
        |_| Plain::open(&large.plain)?.number(plain::COUNT, &[&"nobody"]).map(drop),
    )?;
    let ledger = SqliteLedger::open(&large.ledger, Options::default())?;
    let plain = Plain::open(&large.plain)?;
    let mut reads = Reads { passes, report, large, ledger, plain, run: RUN.parse()?, figures: Vec::new() };
    reads.row("opening and closing", Bar::AtMost(100_000.0), opened, false);
    reads.by_id()?;
    for kind in ["type", "tag", "parent", "time"] {
        for hits in HITS {
            reads.by(kind, hits)?;
        }
    }
    reads.counts()?;
    reads.roots()?;
    reads.trees()?;
    search::texts(&mut reads)?;
    let Reads { ledger, plain, figures, .. } = reads;
    drop((ledger, plain));
    if large.traces >= 100_000 {
        cold(report, &large.ledger)?;
    }
    writers::writers(asked, report, large)?;
    Ok(figures)
}

impl Reads<'_> {
    /// Reads the same on both sides, again and again, and puts it down.
    pub(crate) fn pair(
        &mut self,
        what: &str,
        bar: Bar,
        keys: u64,
        ours: impl Fn(&SqliteLedger, &RunId, u64) -> Result<u64>,
        theirs: impl Fn(&Plain, u64) -> Result<u64>,
        hits: u64,
    ) -> Result<[Spread; 2]> {
        let (ledger, run, plain) = (&self.ledger, &self.run, &self.plain);
        let spreads = paired(
            self.passes,
            keys,
            |key| expect(what, ours(ledger, run, key)?, hits),
            |key| expect(what, theirs(plain, key)?, hits),
        )?;
        self.row(what, bar, spreads, !what.starts_with("text"));
        Ok(spreads)
    }

    fn row(&mut self, what: &str, bar: Bar, [ours, theirs]: [Spread; 2], is_judged: bool) {
        let bar = self.report.judge(&format!("{what}, {}", whole(self.large.traces as f64)), ours.median, bar, us);
        let slower = ratio(ours.median / theirs.median);
        self.report.row(&[what.to_owned(), ours.show(us), bar, theirs.show(us), slower, "-".to_owned()]);
        self.figures.push((what.to_owned(), ours.median, is_judged));
    }

    fn by_id(&mut self) -> Result<()> {
        let (mut random, keys, what) = (Random::new(11), self.large.keys(), "one trace by id");
        // Ids over the whole run.
        let ids: Vec<TraceId> = (0..10 * keys)
            .map(|_| format!("child-20-{}-{}", random.range(0, keys), random.range(0, 20)).parse())
            .collect::<std::result::Result<_, _>>()?;
        let ours = |key: u64| {
            expect(what, block_on(self.ledger.trace(&self.run, &ids[key as usize]))?.iter().count() as u64, 1)
        };
        let id = |key: u64| ids[key as usize].as_str();
        let beside_plain = paired(self.passes, 10 * keys, ours, |key| {
            expect(what, self.plain.bodies(plain::BY_ID, &[&RUN, &id(key)])?, 1)
        })?;
        let own_file = Plain::open(&self.large.ledger)?;
        let [ours, theirs] = paired(self.passes, 10 * keys, ours, |key| {
            expect(what, own_file.bodies(plain::OF_LEDGER, &[&id(key)])?, 1)
        })?;
        self.row(what, Bar::None, beside_plain, true);
        let part = theirs.median / ours.median;
        let name = format!("point get, {}, to rusqlite", whole(self.large.traces as f64));
        let bar = self.report.judge(&name, part, Bar::AtLeast(0.8), ratio);
        self.report.row(&[
            format!("{what} (beside it SQL alone on the ledger's file)"),
            ours.show(us),
            "-".to_owned(),
            theirs.show(us),
            format!("{} of its rate", ratio(part)),
            bar,
        ]);
        Ok(())
    }

    fn by(&mut self, kind: &str, hits: u64) -> Result<()> {
        let bar = if hits <= 20 { QUICK } else { Bar::None };
        let name = |key: u64| format!("{kind}-{hits}-{key}");
        let large = self.large;
        let minute = |key: u64| reserved(large.minute(hits, key));
        let ours = |ledger: &SqliteLedger, run: &RunId, key: u64| {
            let filter = match kind {
                "type" => TraceFilter { type_name: Some(name(key)), ..TraceFilter::default() },
                "tag" => TraceFilter { tags: vec![name(key)], ..TraceFilter::default() },
                "parent" => TraceFilter { parent: Some(name(key).parse()?), ..TraceFilter::default() },
                _ => {
                    let [from, to] = minute(key);
                    TraceFilter { time: TimeRange::parse(Some(&from), Some(&to))?, ..TraceFilter::default() }
                }
            };
            found(ledger, run, filter)
        };
        let theirs = |plain: &Plain, key: u64| {
            let sql = match kind {
                "type" => plain::BY_TYPE,
                "tag" => plain::BY_TAG,
                "parent" => plain::BY_PARENT,
                _ => {
                    let [from, to] = minute(key);
                    let range = TimeRange::parse(Some(&from), Some(&to))?;
                    let bounds = [range.first().as_nanos(), range.last().as_nanos() + 1];
                    return plain.bodies(plain::BY_TIME, &[&RUN as &dyn ToSql, &bounds[0], &bounds[1]]);
                }
            };
            plain.bodies(sql, &[&RUN, &name(key)])
        };
        self.pair(&format!("by {kind}, {hits} hits"), bar, large.keys(), ours, theirs, hits).map(drop)
    }

    fn counts(&mut self) -> Result<()> {
        let counted = |ledger: &SqliteLedger, run: &RunId, name: &str| {
            let query = CountsQuery { type_name: Some(name.to_owned()), tag: None };
            block_on(ledger.trace_counts(run, &query))
        };
        let all = |ledger: &SqliteLedger, run: &RunId, _| Ok(counted(ledger, run, "no such type")?.total);
        let theirs = |plain: &Plain, _| plain.number(plain::COUNT, &[&RUN]);
        self.pair("count of all", QUICK, 1, all, theirs, self.large.traces)?;
        // As many as there happen to be: both sides must agree.
        let thoughts = self.plain.number(plain::COUNT_OF_TYPE, &[&RUN, &"Thought"])?;
        let of_type = |ledger: &SqliteLedger, run: &RunId, _| {
            Ok(counted(ledger, run, "Thought")?.types.first().map_or(0, |found| found.count))
        };
        let theirs = |plain: &Plain, _| plain.number(plain::COUNT_OF_TYPE, &[&RUN, &"Thought"]);
        self.pair("count of a common type", QUICK, 1, of_type, theirs, thoughts).map(drop)
    }

    fn roots(&mut self) -> Result<()> {
        let ours = |ledger: &SqliteLedger, run: &RunId, _| {
            found(ledger, run, TraceFilter { roots: true, ..TraceFilter::default() })
        };
        let theirs = |plain: &Plain, _| plain.bodies(plain::ROOTS, &[&RUN]);
        self.pair("the first 50 roots", QUICK, 1, ours, theirs, PAGE.into()).map(drop)
    }

    fn trees(&mut self) -> Result<()> {
        let nodes = |ledger: &SqliteLedger, run: &RunId, root: String| {
            let page = PageRequest { limit: 1_000, cursor: None };
            let mut query = TreeQuery { root: Some(root.parse()?), page, ..TreeQuery::default() };
            let mut count = 0;
            loop {
                let Page { items, next_cursor, .. } = block_on(ledger.tree(run, &query))?;
                count += items.len() as u64;
                query.page.cursor = next_cursor;
                if query.page.cursor.is_none() {
                    return Ok(count);
                }
            }
        };
        let keys = self.large.keys();
        self.pair(
            "a tree of 20 nodes",
            Bar::AtMost(200.0),
            keys,
            |ledger, run, key| nodes(ledger, run, format!("root-{key}")),
            |plain, key| plain.bodies(plain::TREE, &[&RUN, &format!("root-{key}")]),
            TREE,
        )?;
        let chains = self.large.chains();
        let kinds = [("a chain of 1,000, recorded in one go", 0), ("a chain of 1,000, scattered over the run", chains)];
        for (what, from) in kinds.into_iter().filter(|_| chains > 0) {
            let root = |key: u64| format!("link-{}-0", from + key);
            self.pair(
                what,
                Bar::AtMost(2_000.0),
                chains,
                |ledger, run, key| nodes(ledger, run, root(key)),
                |plain, key| plain.bodies(plain::TREE, &[&RUN, &root(key)]),
                CHAIN,
            )?;
        }
        Ok(())
    }
}

/// Traces of the first page.
pub(crate) fn found(ledger: &SqliteLedger, run: &RunId, filter: TraceFilter) -> Result<u64> {
    let page = PageRequest { limit: PAGE, cursor: None };
    Ok(block_on(ledger.traces(run, &TraceQuery { filter, page, ..TraceQuery::default() }))?.items.len() as u64)
}

fn expect(what: &str, found: u64, hits: u64) -> Result<()> {
    if found == hits { Ok(()) } else { Err(format!("{what}: found {found}, not {hits}").into()) }
}

/// The first read of a ledger just opened, its file not in the system's cache.
fn cold(report: &mut Report, path: &Path) -> Result<()> {
    let (mut calls, run) = (Vec::new(), RUN.parse()?);
    for key in 0..15 {
        // Tells the system to forget the file's pages, and no other file's.
        let file = format!("of={}", path.display());
        let arguments = [file.as_str(), "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
        Command::new("dd").arg("if=/dev/null").args(arguments).status()?;
        let ledger = SqliteLedger::open(path, Options { read_only: true, ..Options::default() })?;
        let filter = TraceFilter { tags: vec![format!("tag-20-{key}")], ..TraceFilter::default() };
        let (took_us, hits) = timed(|| found(&ledger, &run, filter));
        expect("cold", hits?, 20)?;
        calls.push(took_us);
    }
    let spread = Spread::of(calls);
    report.note(&format!(
        "Cold (the file dropped from the system's cache, ledger just opened), by tag, 20 hits: {} µs.",
        spread.show(us)
    ));
    Ok(())
}
