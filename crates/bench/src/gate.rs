//! The gate: checks of keys that nobody knows yet, on every backend, beside plain SET NX on the same Redis.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use redis::aio::ConnectionManager;
use tokio::runtime::Runtime;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{Fingerprint, IdempotencyStore, MemoryIdempotencyStore, Terms};
use tracekeep_store_redis::{ArbitratedGate, RedisIdempotencyStore};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::measure::{Cell, Spread, us, whole};
use crate::redis_server::Server;
use crate::report::{Bar, Report, judged};
use crate::{Asked, Result};

const CALLERS: [usize; 3] = [1, 16, 64];
/// How often the sides take turns in a round: the disk changes its mind within a second.
const TURNS: usize = 5;
const MEMORY_LEAST: f64 = 1_000_000.0;

/// Keys that were never used before, a share for each caller.
fn keys(callers: usize, all: usize) -> Vec<Vec<Key>> {
    static SHARE: AtomicU32 = AtomicU32::new(0);
    let share = |_| {
        let name = SHARE.fetch_add(1, Ordering::Relaxed);
        (0..all / callers).map(|n| Key::new(format!("pay-{name}-{n}")).expect("invariant: a key")).collect()
    };
    (0..callers).map(share).collect()
}

fn request() -> Fingerprint {
    Fingerprint::of(&Json::from("order 7, 990 cents"))
}

/// Callers on threads of their own.
fn by_threads(gate: &dyn IdempotencyStore, callers: usize, all: usize) -> Result<Cell> {
    let (keys, request, terms) = (keys(callers, all), request(), Terms::default());
    let began = Instant::now();
    let calls = thread::scope(|scope| {
        let caller = |keys: Vec<Key>| {
            let mut calls = Vec::with_capacity(keys.len());
            for key in keys {
                let begun = Instant::now();
                let answer = gate.check_blocking(&key, &request, &terms)?;
                calls.push(begun.elapsed().as_secs_f64() * 1e6);
                assert!(answer.is_new(), "nobody knows the key");
            }
            Ok::<_, tracekeep_store::Error>(calls)
        };
        let callers: Vec<_> = keys.into_iter().map(|keys| scope.spawn(move || caller(keys))).collect();
        let ended = callers.into_iter().map(|caller| caller.join().expect("invariant: no caller panics"));
        ended.collect::<std::result::Result<Vec<_>, _>>()
    })?;
    Ok(Cell::of(calls.iter().map(Vec::len).sum(), began.elapsed(), calls.into_iter().flatten().collect()))
}

/// Callers as tasks: each calls again when it was answered.
fn by_tasks<F, A>(runtime: &Runtime, callers: usize, all: usize, call: F) -> Result<Cell>
where
    F: Fn(Key) -> A + Clone + Send + 'static,
    A: Future<Output = bool> + Send,
{
    let keys = keys(callers, all);
    let began = Instant::now();
    let calls = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for keys in keys {
            let call = call.clone();
            tasks.spawn(async move {
                let mut calls = Vec::with_capacity(keys.len());
                for key in keys {
                    let begun = Instant::now();
                    assert!(call(key).await, "nobody knows the key");
                    calls.push(begun.elapsed().as_secs_f64() * 1e6);
                }
                calls
            });
        }
        tasks.join_all().await
    });
    Ok(Cell::of(calls.iter().map(Vec::len).sum(), began.elapsed(), calls.into_iter().flatten().collect()))
}

fn checks(runtime: &Runtime, gate: &Arc<dyn IdempotencyStore>, callers: usize, all: usize) -> Result<Cell> {
    let (gate, request) = (Arc::clone(gate), request());
    by_tasks(runtime, callers, all, move |key| {
        let gate = Arc::clone(&gate);
        async move { gate.check(&key, &request, &Terms::default()).await.is_ok_and(|answer| answer.is_new()) }
    })
}

fn set_nx(runtime: &Runtime, url: &str, callers: usize, all: usize) -> Result<Cell> {
    let client = redis::Client::open(url)?;
    let link = runtime.block_on(ConnectionManager::new(client))?;
    by_tasks(runtime, callers, all, move |key| {
        let mut link = link.clone();
        async move {
            let mut command = redis::cmd("SET");
            command.arg(key.as_str()).arg("0123456789abcdef0123456789abcdef").arg("NX").arg("PX").arg(30_000);
            command.query_async::<Option<String>>(&mut link).await.is_ok_and(|said| said.is_some())
        }
    })
}

/// What each backend came to with as many callers, one cell a round.
#[derive(Default)]
struct Cells {
    memory: Vec<Cell>,
    sqlite: Vec<Cell>,
    each_second: [Vec<Cell>; 2],
    always: [Vec<Cell>; 2],
    arbitrated: Vec<Cell>,
}

pub(crate) fn gate(asked: &Asked, report: &mut Report) -> Result<()> {
    let (each_second, always) =
        (Server::start(&asked.directory, "everysec")?, Server::start(&asked.directory, "always")?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let open = |url: &str| Ok::<_, tracekeep_store::Error>(Arc::new(RedisIdempotencyStore::connect(url, "bench")?));
    let (of_each_second, of_always): (Arc<dyn IdempotencyStore>, Arc<dyn IdempotencyStore>) =
        (open(&each_second.url)?, open(&always.url)?);
    let ledger = Arc::new(SqliteLedger::open(asked.directory.join("gate.db"), Options::default())?);
    let behind = RedisIdempotencyStore::connect(&each_second.url, "arbitrated")?;
    let arbitrated: Arc<dyn IdempotencyStore> = Arc::new(ArbitratedGate::new(behind, Arc::clone(&ledger) as _));
    let part = TURNS * if asked.quick { 5 } else { 1 };
    for callers in CALLERS {
        let durable = [300, 3_200, 9_600][CALLERS.iter().position(|known| *known == callers).unwrap_or(0)] / part;
        let (fast, at_once) = (durable * 10, 1_000_000 / part);
        let mut cells = Cells::default();
        for round in 0..asked.rounds * TURNS {
            let memory = MemoryIdempotencyStore::default();
            cells.memory.push(by_threads(&memory, callers, at_once)?);
            let mut both = |place: usize| -> Result<()> {
                for (server, gate, all, cells) in [
                    (&each_second, &of_each_second, fast, &mut cells.each_second),
                    (&always, &of_always, durable, &mut cells.always),
                ] {
                    cells[place].push(match place {
                        0 => checks(&runtime, gate, callers, all)?,
                        _ => set_nx(&runtime, &server.url, callers, all)?,
                    });
                }
                Ok(())
            };
            for place in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                both(place)?;
            }
            cells.sqlite.push(by_threads(&*ledger, callers, durable)?);
            cells.arbitrated.push(checks(&runtime, &arbitrated, callers, durable)?);
        }
        show(report, callers, &cells);
    }
    Ok(())
}

fn show(report: &mut Report, callers: usize, cells: &Cells) {
    let title = format!("The gate: keys that are new, callers: {callers}");
    report.table(&title, &["gate", "checks/s", "p50 µs", "p99 µs", "beside", "ratio", "bar"]);
    let rate = |cell: &Cell| cell.rate;
    let dashes = || ["-", "-"].map(str::to_owned);
    let Cells { memory, sqlite, each_second, always, arbitrated } = cells;
    let spread = Spread::over(memory, rate);
    let bar = report.judge(&format!("{callers} callers, memory"), spread.median, Bar::AtLeast(MEMORY_LEAST), whole);
    let of_memory = ["-".to_owned(), bar];
    let ratio = |report: &mut Report, name: &str, ours: &[Cell], theirs: &[Cell], least: f64| {
        judged(report, &format!("{callers} callers, {name}"), Spread::ratio(ours, theirs, rate), Bar::AtLeast(least))
    };
    let of_second = ratio(report, "Redis, everysec, to SET NX", &each_second[0], &each_second[1], 0.7);
    let of_always = ratio(report, "Redis, always, to SET NX", &always[0], &always[1], 0.7);
    let least = if callers == 1 { 1.0 } else { 0.85 };
    let of_sqlite = ratio(report, "SQLite to Redis, always", sqlite, &always[0], least);
    let mut row = |name: &str, ours: &[Cell], beside: &str, judged: [String; 2]| {
        let mut row = vec![name.to_owned(), Spread::over(ours, rate).show(whole)];
        row.extend(
            [Spread::over(ours, |cell| cell.p50_us), Spread::over(ours, |cell| cell.p99_us)].map(|us_| us_.show(us)),
        );
        row.push(beside.to_owned());
        row.extend(judged);
        report.row(&row);
    };
    row("memory", memory, "-", of_memory);
    row("Redis, everysec", &each_second[0], "SET NX", of_second);
    row("SET NX, everysec", &each_second[1], "-", dashes());
    row("Redis, always", &always[0], "SET NX", of_always);
    row("SET NX, always", &always[1], "-", dashes());
    row("SQLite", sqlite, "Redis, always", of_sqlite);
    row("Redis, everysec, the ledger as arbiter", arbitrated, "-", dashes());
}
