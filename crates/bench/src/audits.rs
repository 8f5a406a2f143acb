//! Audits: acknowledging beside recording, in the ledger and in Redis in front of it; finding what is overdue among many
//! that wait; and a verdict over a large contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tracekeep_core::Timestamp;
use tracekeep_core::model::{Ack, AckStatus, Expect, Op, Reconcile, RecordTrace, StartRun, TraceType};
use tracekeep_store::{AuditStore, Batch, LedgerStore, Source, Sources, SystemSources, block_on};
use tracekeep_store_redis::RedisAuditStore;
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::measure::{Cell, Spread, ms, timed, us, whole};
use crate::redis_server::Server;
use crate::report::{Bar, Report, judged};
use crate::{Asked, Result};

const CALLERS: usize = 64;
const OVERDUE: u64 = 10;
const EXPECTATIONS: u64 = 1_000;

/// The machine's randomness, and a clock that is moved by hand.
struct Moved(Arc<AtomicI64>);

impl Sources for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemSources.random(bytes);
    }
}

pub(crate) fn audits(asked: &Asked, report: &mut Report) -> Result<()> {
    let (each, many) = if asked.quick { (50, 20) } else { (500, 100) };
    let (mut recorded, mut acked, mut records, mut acks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..asked.rounds {
        let ledger = SqliteLedger::open(asked.directory.join(format!("acks-{round}.db")), Options::default())?;
        commit(&ledger, vec![Op::StartRun(StartRun { run_id: Some("r".parse()?), ..StartRun::default() })])?;
        commit(&ledger, vec![Op::Expect(Expect { count: 1_000, ..Expect::new("r".parse()?, "d", "a", 3_600_000) })])?;
        let next = AtomicU64::new(0);
        recorded.push(written(&ledger, 1, each, &|| trace(next.fetch_add(1, Ordering::Relaxed)))?);
        acked.push(written(&ledger, 1, each, &ack)?);
        records.push(written(&ledger, CALLERS, many, &|| trace(next.fetch_add(1, Ordering::Relaxed)))?);
        acks.push(written(&ledger, CALLERS, many, &ack)?);
    }
    report.table("acknowledging beside recording a thought", &["callers", "thought", "ack", "ratio", "bar"]);
    let p50 = |cell: &Cell| cell.p50_us;
    let [shown, bar] =
        judged(report, "p50 of an ack to that of a thought", Spread::ratio(&acked, &recorded, p50), Bar::AtMost(2.0));
    let cells =
        [Spread::over(&recorded, p50).show(ms), Spread::over(&acked, p50).show(ms)].map(|cell| cell + " ms p50");
    report.row(&["1".into(), cells[0].clone(), cells[1].clone(), shown, bar]);
    let rate = |cell: &Cell| cell.rate;
    let [shown, bar] =
        judged(report, "acks a second to thoughts a second", Spread::ratio(&acks, &records, rate), Bar::AtLeast(0.75));
    let cells =
        [Spread::over(&records, rate).show(whole), Spread::over(&acks, rate).show(whole)].map(|cell| cell + "/s");
    report.row(&[CALLERS.to_string(), cells[0].clone(), cells[1].clone(), shown, bar]);
    in_redis(asked, report)?;
    overdue(asked, report)
}

/// An ack of a worker beside a plain append of its bytes to a list of the same Redis.
fn in_redis(asked: &Asked, report: &mut Report) -> Result<()> {
    let server = Server::start(&asked.directory, "everysec")?;
    let store = RedisAuditStore::connect(&server.url, "bench")?;
    let mut plain = redis::Client::open(server.url.as_str())?.get_connection()?;
    let calls = if asked.quick { 200 } else { 2_000 };
    let (mut appends, mut acks) = (Vec::new(), Vec::new());
    for round in 0..asked.rounds {
        // A run holds so many acks at most before they are moved.
        let run = format!("r-{round}");
        let ack = || -> Result<Ack> { Ok(Ack::new(run.parse()?, "d", "a", AckStatus::Success)) };
        block_on(
            store.add_expectations(vec![Expect { count: 1_000, ..Expect::new(run.parse()?, "d", "a", 3_600_000) }]),
        )?;
        let body = Op::Ack(ack()?).body().as_str().to_owned();
        let (mut of_plain, mut of_ours) = (Vec::new(), Vec::new());
        let began = Instant::now();
        for _ in 0..calls {
            let (elapsed, done) = timed(|| redis::cmd("RPUSH").arg("plain").arg(&body).query::<u64>(&mut plain));
            done?;
            of_plain.push(elapsed);
            let ack = ack()?;
            let (elapsed, done) = timed(|| block_on(store.add_ack(ack)));
            done?;
            of_ours.push(elapsed);
        }
        appends.push(Cell::of(calls, began.elapsed(), of_plain));
        acks.push(Cell::of(calls, began.elapsed(), of_ours));
    }
    report.table(
        "acknowledging in Redis beside RPUSH of the same bytes, one caller",
        &["what", "p50 µs", "p99 µs", "ratio", "bar"],
    );
    let p50 = |cell: &Cell| cell.p50_us;
    let judged = judged(
        report,
        "p50 of an ack in Redis to that of an append",
        Spread::ratio(&acks, &appends, p50),
        Bar::AtMost(2.0),
    );
    for (what, cells, judged) in [("RPUSH", &appends, ["-", "-"].map(str::to_owned)), ("ack", &acks, judged)] {
        let mut row = vec![what.to_owned()];
        row.extend([Spread::over(cells, p50), Spread::over(cells, |cell| cell.p99_us)].map(|spread| spread.show(us)));
        row.extend(judged);
        report.row(&row);
    }
    Ok(())
}

fn overdue(asked: &Asked, report: &mut Report) -> Result<()> {
    let runs: u64 = if asked.quick { 10_000 } else { 100_000 };
    let clock = Arc::new(AtomicI64::new(1_767_225_600_000_000_000));
    let options = Options { source: Source::new(Moved(Arc::clone(&clock))), ..Options::default() };
    let ledger = SqliteLedger::open(asked.directory.join("overdue.db"), options)?;
    for from in (0..runs).step_by(500) {
        let mut ops = Vec::with_capacity(1_000);
        for run in from..from + 500 {
            let run_id: tracekeep_core::id::RunId = format!("r-{run}").parse()?;
            let deadline_ms = if run % (runs / OVERDUE) == 0 { 1 } else { 3_600_000 };
            ops.push(Op::StartRun(StartRun { run_id: Some(run_id.clone()), ..StartRun::default() }));
            ops.push(Op::Expect(Expect::new(run_id, "d", "a", deadline_ms)));
        }
        commit(&ledger, ops)?;
    }
    let large: tracekeep_core::id::RunId = "large".parse()?;
    commit(&ledger, vec![Op::StartRun(StartRun { run_id: Some(large.clone()), ..StartRun::default() })])?;
    let expect = |n| Op::Expect(Expect::new(large.clone(), "d", format!("a-{n}"), 3_600_000));
    commit(&ledger, (0..EXPECTATIONS).map(expect).collect())?;
    let now = Timestamp::from_nanos(clock.fetch_add(2_000_000, Ordering::SeqCst) + 2_000_000);
    let (mut found, mut judging) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        let (elapsed, due) = timed(|| block_on(ledger.due_runs(now, 1_000)));
        if due?.len() as u64 != OVERDUE {
            return Err("not what is overdue was found".into());
        }
        found.push(elapsed / 1e3);
        let (elapsed, summary) = timed(|| block_on(ledger.audit(&large)));
        if summary?.expectations != EXPECTATIONS {
            return Err("not every expectation was looked at".into());
        }
        judging.push(elapsed / 1e3);
    }
    report.table("what is overdue, and a verdict", &["what", "ms", "bar"]);
    let title = format!("{OVERDUE} overdue among {} that wait", whole(runs as f64));
    let [shown, bar] = judged(report, &title, Spread::of(found), Bar::AtMost(5.0));
    report.row(&[title, shown, bar]);
    let [shown, bar] = judged(report, "a verdict over 1,000 expectations", Spread::of(judging), Bar::AtMost(1.0));
    report.row(&["a verdict over 1,000 expectations".into(), shown, bar]);
    let (first, done) = timed(|| commit(&ledger, vec![Op::Reconcile(Reconcile { run_id: large.clone() })]));
    done?;
    report.note(&format!("Recorded, with one fsync, it took {} us.", us(first)));
    Ok(())
}

fn trace(n: u64) -> Op {
    let run_id = "r".parse().expect("invariant: a plain word is an id");
    Op::RecordTrace(RecordTrace::new(run_id, TraceType::Thought { content: format!("thought {n}"), confidence: None }))
}

fn ack() -> Op {
    Op::Ack(Ack::new("r".parse().expect("invariant: a plain word is an id"), "d", "a", AckStatus::Success))
}

fn commit(ledger: &SqliteLedger, ops: Vec<Op>) -> Result<()> {
    let answers = ledger.commit_blocking(vec![Batch::of(ops)]);
    answers.into_iter().try_for_each(|answer| answer.map(drop))?;
    Ok(())
}

fn written(ledger: &SqliteLedger, callers: usize, each: usize, op: &(impl Fn() -> Op + Sync)) -> Result<Cell> {
    let began = Instant::now();
    let calls = thread::scope(|scope| {
        let caller = || {
            let mut calls = Vec::with_capacity(each);
            for _ in 0..each {
                let (elapsed, done) = timed(|| ledger.commit_blocking(vec![Batch::one(op())]));
                done.into_iter().try_for_each(|answer| answer.map(drop))?;
                calls.push(elapsed);
            }
            Ok::<_, tracekeep_store::Error>(calls)
        };
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        let ended = callers.into_iter().map(|caller| caller.join().expect("invariant: no caller panics"));
        ended.collect::<std::result::Result<Vec<_>, _>>()
    })?;
    Ok(Cell::of(callers * each, began.elapsed(), calls.into_iter().flatten().collect()))
}
