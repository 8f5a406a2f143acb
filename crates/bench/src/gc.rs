//! What writers feel of a gc: their p99 while runs are erased, beside their p99 just before it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::model::{CompleteRun, FinalStatus, Op, RecordStep, StartRun};
use tracekeep_store::{Batch, GcReport, GcRequest, LedgerStore, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::measure::{Cell, Spread, ms, ratio, whole};
use crate::report::{Bar, Report, judged};
use crate::{Asked, Result};

const STEPS: u32 = 50;
const WRITERS: usize = 4;
/// How long the writers are measured before the gc.
const BEFORE: Duration = Duration::from_secs(3);
const BAR: Bar = Bar::AtMost(3.0);

pub(crate) fn gc(asked: &Asked, report: &mut Report) -> Result<()> {
    let runs = match (asked.full, asked.quick) {
        (true, _) => 10_000,
        (_, true) => 300,
        _ => 2_000,
    };
    let (mut before, mut during, mut rates, mut freed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..asked.rounds {
        let ledger = SqliteLedger::open(asked.directory.join(format!("gc-{round}.db")), Options::default())?;
        fill(&ledger, runs)?;
        let stop = AtomicBool::new(false);
        before.push(
            written(&ledger, &format!("a-{round}"), &stop, || {
                std::thread::sleep(BEFORE);
                Ok(())
            })?
            .0,
        );
        let (cell, (erased, elapsed)) = written(&ledger, &format!("b-{round}"), &stop, || whole_gc(&ledger))?;
        during.push(cell);
        rates.push(erased.erased as f64 / elapsed.as_secs_f64());
        freed.push(erased.freed_bytes.unwrap_or(0) as f64);
        if erased.erased != runs {
            return Err(format!("{} of {runs} runs were erased", erased.erased).into());
        }
    }
    let title = format!("gc of {} runs of {STEPS} steps while {WRITERS} writers go on", whole(runs as f64));
    report.table(&title, &["p99 ms before", "p99 ms meanwhile", "ratio", "bar", "runs a second", "bytes given back"]);
    let p99 = Spread::ratio(&during, &before, |cell| cell.p99_us);
    let [shown, bar] = judged(report, "writers' p99 during gc to before", p99, BAR);
    report.row(&[
        Spread::over(&before, |cell| cell.p99_us).show(ms),
        Spread::over(&during, |cell| cell.p99_us).show(ms),
        shown,
        bar,
        Spread::of(rates).show(whole),
        Spread::of(freed).show(whole),
    ]);
    let p50 = Spread::ratio(&during, &before, |cell| cell.p50_us);
    report.note(&format!("The writers' p50 during gc is {} times that before.", p50.show(ratio)));
    Ok(())
}

fn whole_gc(ledger: &SqliteLedger) -> Result<(GcReport, Duration)> {
    let began = Instant::now();
    let mut request = GcRequest { older_than: Some("0s".parse()?), ..GcRequest::default() };
    let mut sum: Option<GcReport> = None;
    loop {
        let part = block_on(ledger.gc(&request))?;
        request.cursor.clone_from(&part.next_cursor);
        let whole = match sum.take() {
            None => part,
            Some(before) => before.and(part),
        };
        if request.cursor.is_none() {
            return Ok((whole, began.elapsed()));
        }
        sum = Some(whole);
    }
}

/// What writers of single steps measure while something is done.
fn written<T>(
    ledger: &SqliteLedger,
    name: &str,
    stop: &AtomicBool,
    work: impl FnOnce() -> Result<T>,
) -> Result<(Cell, T)> {
    stop.store(false, Ordering::Relaxed);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let run = format!("{name}-{writer}");
                scope.spawn(move || writes(ledger, &run, stop))
            })
            .collect();
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let mut calls = Vec::new();
        for writer in writers {
            calls.extend(writer.join().map_err(|_| "a writer panicked")?.map_err(|error| error.to_string())?);
        }
        Ok((Cell::of(calls.len(), began.elapsed(), calls), done?))
    })
}

fn writes(
    ledger: &SqliteLedger,
    run: &str,
    stop: &AtomicBool,
) -> std::result::Result<Vec<f64>, tracekeep_store::Error> {
    let run_id = RunId::new(run)?;
    commit(ledger, Batch::one(start(&run_id)))?;
    let mut calls = Vec::new();
    for index in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        commit(ledger, Batch::one(step(&run_id, index)))?;
        calls.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(calls)
}

fn fill(ledger: &SqliteLedger, runs: u64) -> Result<()> {
    for run in 0..runs {
        let run_id = RunId::new(format!("old-{run}"))?;
        let mut ops = vec![start(&run_id)];
        ops.extend((0..STEPS).map(|index| step(&run_id, index)));
        ops.push(Op::CompleteRun(CompleteRun::new(run_id, FinalStatus::Completed)));
        commit(ledger, Batch::of(ops))?;
    }
    Ok(())
}

fn start(run_id: &RunId) -> Op {
    let goal = Some("find flights".to_owned());
    Op::StartRun(StartRun { run_id: Some(run_id.clone()), goal, tags: vec!["prod".to_owned()], ..StartRun::default() })
}

fn step(run_id: &RunId, index: u32) -> Op {
    let params = format!(r#"{{"q":"FRA-LIS","n":{index},"text":"{}"}}"#, "what was asked for ".repeat(20));
    let params = Json::parse(&params).unwrap_or_else(|_| Json::from(i64::from(index)));
    Op::RecordStep(RecordStep::new(run_id.clone(), index, "search", params))
}

fn commit(ledger: &SqliteLedger, batch: Batch) -> std::result::Result<(), tracekeep_store::Error> {
    ledger.commit_blocking(vec![batch]).into_iter().try_for_each(|receipt| receipt.map(drop))
}
