//! Durable records: one writer beside the bare disk, many callers beside raw SQLite.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Instant;

use tracekeep_core::model::{Op, StartRun};
use tracekeep_store::{Batch, LedgerStore};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::data::{Corpus, Size};
use crate::measure::{Cell, Spread, ms, timed, whole};
use crate::random::Random;
use crate::report::{Bar, Report, judged};
use crate::rows::Rows;
use crate::{Asked, Result, disk, raw};

/// One record at a time: Tracekeep and raw rows beside bare appends.
pub(crate) fn serial(asked: &Asked, report: &mut Report) -> Result<()> {
    let corpus = Corpus::load()?;
    let count = if asked.quick { 800 } else { 2_500 };
    let columns =
        ["body", "appends a second", "records a second", "to append", "bar", "p50 ms", "p99 ms", "raw rows to append"];
    report.table("Durable records, one writer, one at a time", &columns);
    for size in Size::ALL {
        let (mut appends, mut ours, mut raws) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..asked.rounds + 2 {
            let path = fresh(asked, &format!("serial-{}-{round}", size.name()));
            let append = disk::append(&asked.directory, count)?;
            appends.push(append.cell.clone());
            report.disk(append);
            ours.push(tracekeep(&path, 1, count, size, &corpus)?);
            raws.push(rows_again(&path, 1)?);
        }
        let to_append = Spread::ratio(&ours, &appends, |cell| cell.rate);
        let [to_append, bar] =
            judged(report, &format!("one writer, {}, to append", size.name()), to_append, Bar::AtLeast(0.8));
        report.row(&[
            size.name().to_owned(),
            Spread::over(&appends, |cell| cell.rate).show(whole),
            Spread::over(&ours, |cell| cell.rate).show(whole),
            to_append,
            bar,
            Spread::over(&ours, |cell| cell.p50_us).show(ms),
            Spread::over(&ours, |cell| cell.p99_us).show(ms),
            Spread::ratio(&raws, &appends, |cell| cell.rate).show(crate::measure::ratio),
        ]);
    }
    Ok(())
}

/// Callers at once, and what is demanded: of the rate, of p99.
const CALLERS: [(usize, usize, Bar, Bar); 4] = [
    (1, 2_000, Bar::None, Bar::None),
    (16, 8_000, Bar::AtLeast(0.9), Bar::AtMost(1.25)),
    (64, 16_000, Bar::AtLeast(0.9), Bar::AtMost(1.25)),
    (256, 24_576, Bar::AtLeast(0.75), Bar::AtMost(1.5)),
];

/// Many callers at once, each with a run of its own.
pub(crate) fn group(asked: &Asked, report: &mut Report) -> Result<()> {
    let corpus = Corpus::load()?;
    let columns = [
        "body",
        "callers",
        "records a second",
        "raw rows a second",
        "ratio",
        "bar",
        "p50 ms",
        "p99 ms",
        "raw p50 ms",
        "raw p99 ms",
        "p99 ratio",
        "bar",
    ];
    report.table("Durable records, callers at once, beside raw SQLite", &columns);
    for size in Size::ALL {
        for (callers, count, rate_bar, p99_bar) in CALLERS {
            let count = if asked.quick { count / 3 } else { count };
            let (mut ours, mut raws) = (Vec::new(), Vec::new());
            for round in 0..asked.rounds {
                let path = fresh(asked, &format!("group-{}-{callers}-{round}", size.name()));
                // What raw SQLite writes was first written by Tracekeep: who begins the pair alternates by a copy made
                // aside.
                if round % 2 == 0 {
                    ours.push(tracekeep(&path, callers, count, size, &corpus)?);
                    raws.push(rows_again(&path, callers)?);
                } else {
                    tracekeep(&path, callers, count, size, &corpus)?;
                    raws.push(rows_again(&path, callers)?);
                    ours.push(tracekeep(&fresh(asked, "again"), callers, count, size, &corpus)?);
                }
            }
            report.disk(disk::append(&asked.directory, 300)?);
            let what = format!("{callers} callers, {}", size.name());
            let rate = Spread::ratio(&ours, &raws, |cell| cell.rate);
            let p99 = Spread::ratio(&ours, &raws, |cell| cell.p99_us);
            let [rate, rate_bar] = judged(report, &format!("{what}, rate to raw"), rate, rate_bar);
            let [p99, p99_bar] = judged(report, &format!("{what}, p99 to raw"), p99, p99_bar);
            let over = |cells: &[Cell], figure: fn(&Cell) -> f64| Spread::over(cells, figure);
            report.row(&[
                size.name().to_owned(),
                callers.to_string(),
                over(&ours, |cell| cell.rate).show(whole),
                over(&raws, |cell| cell.rate).show(whole),
                rate,
                rate_bar,
                over(&ours, |cell| cell.p50_us).show(ms),
                over(&ours, |cell| cell.p99_us).show(ms),
                over(&raws, |cell| cell.p50_us).show(ms),
                over(&raws, |cell| cell.p99_us).show(ms),
                p99,
                p99_bar,
            ]);
        }
    }
    Ok(())
}

/// A path in a directory of its own; what stood there is gone.
pub(crate) fn fresh(asked: &Asked, name: &str) -> PathBuf {
    let directory = asked.directory.join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("invariant: the scratch directory can be written to");
    directory.join("ledger.db")
}

/// Commits one batch and demands that it was taken.
pub(crate) fn committed(ledger: &dyn LedgerStore, batches: Vec<Batch>) -> Result<()> {
    for result in ledger.commit_blocking(batches) {
        result?;
    }
    Ok(())
}

/// A new run under a name.
pub(crate) fn start_run(name: &str) -> Result<Batch> {
    Ok(Batch::one(Op::StartRun(StartRun { run_id: Some(name.parse()?), ..StartRun::default() })))
}

/// `count` traces through the library, by as many threads as there are callers. The ledger stays at `path`.
fn tracekeep(path: &Path, callers: usize, count: usize, size: Size, corpus: &Corpus) -> Result<Cell> {
    let ledger = SqliteLedger::open(path, Options::default())?;
    let mut random = Random::new(42);
    let mut work = Vec::new();
    let mut starts = Vec::new();
    for caller in 0..callers {
        let run = format!("run-{caller}");
        starts.push(start_run(&run)?);
        let mut ids: Vec<String> = Vec::new();
        let mut batches = Vec::new();
        for place in 0..count / callers {
            let id = format!("trace-{caller:03}-{place:06}-{:08x}", random.next() as u32);
            let parent = (place % 10 > 2 && !ids.is_empty()).then(|| random.pick(&ids).clone());
            batches.push(vec![Batch::one(corpus.trace(&mut random, &run, &id, parent.as_deref(), size))]);
            ids.push(id);
        }
        work.push(batches);
    }
    committed(&ledger, starts)?;
    let cell = together(work, |batches| {
        let done = ledger.commit_blocking(batches);
        assert!(done.iter().all(std::result::Result::is_ok), "a record was refused: {done:?}");
    });
    ledger.close()?;
    Ok(cell)
}

/// The rows of the ledger at `path` written once more by raw SQLite, with as many callers.
fn rows_again(path: &Path, callers: usize) -> Result<Cell> {
    let rows = Rows::read(path)?;
    let mut writer = raw::Writer::create(&path.with_file_name("raw.db"), &rows)?;
    let (starts, traces): (Vec<_>, Vec<_>) = rows.entries.iter().partition(|recorded| recorded.trace.is_none());
    writer.commit(&starts)?;
    // Each caller has the run that it had.
    let mut work: Vec<Vec<_>> = vec![Vec::new(); callers];
    for recorded in traces {
        work[usize::try_from(recorded.run_no.unwrap_or(0))?].push(recorded);
    }
    let group = raw::Group::new(writer);
    Ok(together(work, |recorded| group.commit(recorded)))
}

/// Runs each list on a thread of its own, all at once.
pub(crate) fn together<T: Send>(work: Vec<Vec<T>>, call: impl Fn(T) + Sync) -> Cell {
    let count = work.iter().map(Vec::len).sum();
    let barrier = Barrier::new(work.len() + 1);
    let (barrier, call) = (&barrier, &call);
    std::thread::scope(|scope| {
        let threads: Vec<_> = work
            .into_iter()
            .map(|items| {
                scope.spawn(move || {
                    barrier.wait();
                    items.into_iter().map(|item| timed(|| call(item)).0).collect::<Vec<_>>()
                })
            })
            .collect();
        barrier.wait();
        let began = Instant::now();
        let calls =
            threads.into_iter().flat_map(|thread| thread.join().expect("invariant: no caller panics")).collect();
        Cell::of(count, began.elapsed(), calls)
    })
}
