//! The suite of audit stores over HTTP: the client against servers over SQLite, with a real Redis in front of it and
//! without; and what a server with a Redis makes of batches.

#[path = "audit/workers.rs"]
mod workers;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tracekeep_client::{HttpAudit, HttpLedger};
use tracekeep_conformance::{AuditHarness, AuditInstance, audit_trials};
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::model::{Ack, AckStatus, CompleteRun, Expect, FinalStatus, Op, StartRun};
use tracekeep_server::{App, AuditOptions, bind};
use tracekeep_store::{
    AuditStore, Batch, LedgerAudit, LedgerStore, Noted, PageRequest, Recorded, Source, Sources, StoreDurabilityMode,
    SystemSources, block_on,
};
use tracekeep_store_redis::{AuditOptions as HeldOptions, MovingAudit, RedisAuditStore};
use tracekeep_store_sqlite::{Options, SqliteLedger};

/// A test of its own, by its name.
type Test = (&'static str, fn(&Http));

fn main() -> ExitCode {
    if let Ok(told) = std::env::var(workers::TOLD) {
        workers::work(&told);
        return ExitCode::SUCCESS;
    }
    // Before any server is started: where they cannot be read, the process ends here.
    let arguments = Arguments::from_args();
    let redis = Arc::new(Redis::start());
    let mut trials = audit_trials("over_sqlite", Http { redis: None, is_own: true });
    trials.extend(audit_trials("over_redis", Http { redis: Some(Arc::clone(&redis)), is_own: true }));
    // What a client does that knows of no audit routes: every write is a batch.
    trials.extend(audit_trials("batches_over_redis", Http { redis: Some(Arc::clone(&redis)), is_own: false }));
    let tests: [Test; 7] = [
        ("what_takes_the_hot_path_has_no_entry_until_it_is_looked_at", hot_path),
        ("a_batch_is_in_the_log_at_once_beside_what_redis_holds", batches),
        ("a_batch_that_seals_holds_what_redis_held", sealed),
        ("what_the_ledger_refuses_for_good_is_listed_page_by_page", parked),
        ("figures_count_what_redis_held_once", figures),
        ("worker_processes_that_acknowledge_through_a_server_lose_nothing", workers::through_a_server),
        ("worker_processes_that_acknowledge_in_redis_lose_nothing", workers::in_redis),
    ];
    trials.extend(tests.into_iter().map(|(name, test)| {
        let redis = Arc::clone(&redis);
        Trial::test(name, move || {
            test(&Http { redis: Some(redis), is_own: true });
            Ok(())
        })
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A redis-server of the tests' own: each ledger is a namespace.
struct Redis {
    child: std::sync::Mutex<Child>,
    url: String,
}

impl Redis {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server is installed (Debian: apt-get install redis-server)");
        let mut lines = BufReader::new(child.stdout.take().expect("it talks")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.contains("eady to accept connections"))), "it starts");
        Self { child: std::sync::Mutex::new(child), url: format!("redis://127.0.0.1:{port}") }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let child = self.child.get_mut().expect("nobody panicked with it");
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The machine's clock, moved: facts in Redis state its time, and that of the ledger is no other.
#[derive(Clone, Default)]
struct Moved(Arc<AtomicI64>);

impl Sources for Moved {
    fn now(&self) -> Timestamp {
        SystemSources.now().saturating_add(self.0.load(Ordering::SeqCst) * 1_000_000)
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemSources.random(bytes);
    }
}

struct Http {
    redis: Option<Arc<Redis>>,
    /// Whether the routes of audits are used.
    is_own: bool,
}

/// A server in this process, on a port of its own, over a ledger in a folder of its own.
struct Served {
    folder: TempDir,
    clock: Moved,
    redis: Option<Arc<Redis>>,
    is_own: bool,
    running: Option<Running>,
}

struct Running {
    client: Arc<HttpLedger>,
    hot: Option<Arc<RedisAuditStore>>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Http {
    fn serve(&self) -> Served {
        let folder = tempfile::tempdir().expect("a folder for the ledger");
        let (redis, is_own) = (self.redis.clone(), self.is_own);
        let mut served = Served { folder, clock: Moved::default(), redis, is_own, running: None };
        served.reopen();
        served
    }
}

impl AuditHarness for Http {
    fn fresh(&self) -> Box<dyn AuditInstance> {
        Box::new(self.serve())
    }

    fn mode(&self) -> StoreDurabilityMode {
        mode(self.redis.as_ref())
    }
}

fn mode(redis: Option<&Arc<Redis>>) -> StoreDurabilityMode {
    if redis.is_some() { StoreDurabilityMode::Redis } else { StoreDurabilityMode::Sqlite }
}

impl AuditInstance for Served {
    fn store(&self) -> Arc<dyn AuditStore> {
        let (client, mode) = (Arc::clone(&self.running().client), mode(self.redis.as_ref()));
        if self.is_own { Arc::new(HttpAudit::new(client, mode)) } else { Arc::new(LedgerAudit::new(client, mode)) }
    }

    fn start(&self, run: &str) {
        self.commit(Batch::one(Op::StartRun(StartRun { run_id: Some(id(run)), ..StartRun::default() })));
    }

    fn advance_ms(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
        if let Some(hot) = &self.running().hot {
            hot.shift_clock_ms(ms);
        }
    }

    fn reopen(&mut self) {
        self.stop();
        self.running = Some(self.begin());
    }
}

impl Served {
    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server runs")
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.send(()).expect("the server listens for its end");
            running.server.join().expect("the server ends in order");
        }
    }

    fn begin(&self) -> Running {
        let (path, source) = (self.folder.path().join("ledger.db"), Source::new(self.clock.clone()));
        let (redis, shift_ms) = (self.redis.clone(), self.clock.0.load(Ordering::SeqCst));
        let options = Options { source: source.clone(), ..Options::default() };
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, begun) = std::sync::mpsc::channel();
        let clock = source.clone();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let bound = bind("127.0.0.1:0").await.expect("a free port");
                let ledger = Arc::new(SqliteLedger::open(path, options).expect("a ledger"));
                let hot = redis.map(|redis| opened(&redis, &*ledger, shift_ms));
                let held = hot.clone().map(|hot| {
                    let over = Arc::clone(&ledger) as Arc<dyn LedgerStore>;
                    Arc::new(MovingAudit::new(hot, over).by(clock.clone())) as Arc<dyn AuditStore>
                });
                ready.send((bound.address(), hot)).expect("the test waits for the address");
                let hosts = bound.loopback_hosts();
                let stop = async move {
                    let _ = stopped.await;
                };
                let audit = AuditOptions { held, clock, ..AuditOptions::default() };
                let app = App::new(Arc::clone(&ledger) as Arc<dyn LedgerStore>, ledger, hosts).auditing(audit);
                bound.serve(app, stop).await;
            });
        });
        let (address, hot) = begun.recv().expect("the server says its address");
        let client = HttpLedger::connect_with(&format!("http://{address}"), source).expect("the server answers");
        Running { client: Arc::new(client), hot, stop, server }
    }

    /// Sends a batch as a client does: `POST /batches`.
    fn commit(&self, batch: Batch) -> tracekeep_store::Receipt {
        let client = &self.running().client;
        block_on(client.commit(vec![batch])).pop().expect("an answer").expect("recorded")
    }

    fn size(&self) -> u64 {
        block_on(self.running().client.head()).expect("readable").tree_size
    }

    fn held(&self, run: &str) -> usize {
        let hot = self.running().hot.as_ref().expect("there is a Redis");
        block_on(hot.get_acks(&id(run), &PageRequest::first(1_000))).expect("readable").items.len()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

fn opened(redis: &Redis, ledger: &dyn LedgerStore, shift_ms: i64) -> Arc<RedisAuditStore> {
    // Long, so that a busy machine makes no answer unknown.
    let options = HeldOptions { timeout: Duration::from_secs(60), ..HeldOptions::default() };
    let hot = RedisAuditStore::connect_with(&redis.url, &ledger.ledger().to_string(), options);
    let hot = hot.expect("the server answers");
    hot.shift_clock_ms(shift_ms);
    Arc::new(hot)
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

fn expect(run: &str, name: &str, action: &str) -> Expect {
    Expect { id: Some(id(name)), ..Expect::new(id(run), "d", action, 3_600_000) }
}

fn ack(run: &str, name: &str, action: &str) -> Ack {
    Ack { id: Some(id(name)), ..Ack::new(id(run), "d", action, AckStatus::Success) }
}

fn is_held(noted: &Noted) -> bool {
    noted.facts.iter().all(|fact| fact.log_index.is_none())
}

fn hot_path(http: &Http) {
    let served = http.serve();
    served.start("r");
    let store = served.store();
    assert!(is_held(&block_on(store.add_expectations(vec![expect("r", "e", "x")])).expect("noted")));
    assert!(is_held(&block_on(store.add_ack(ack("r", "a", "x"))).expect("noted")));
    assert_eq!((served.size(), served.held("r")), (1, 1), "Redis has it, and the log does not");
    assert!(block_on(store.reconcile(&id("r"))).expect("a verdict").is_clean());
    assert_eq!((served.size(), served.held("r")), (4, 0), "the log has it, and Redis does not");
    let moved = block_on(store.get_acks(&id("r"), &PageRequest::default())).expect("readable").items.remove(0);
    assert!(moved.log_index.is_some() && moved.received_at.is_some_and(|at| at <= moved.recorded_at), "{moved:?}");
    let again = block_on(store.add_ack(ack("r", "a", "x"))).expect("known");
    assert_eq!(again.outcome, Recorded::Duplicate);
}

fn batches(http: &Http) {
    let served = http.serve();
    served.start("r");
    let store = served.store();
    let noted = block_on(store.add_expectations(vec![expect("r", "e", "x"), expect("r", "f", "y")])).expect("noted");
    assert!(is_held(&noted));
    block_on(store.add_ack(ack("r", "a", "x"))).expect("noted");
    let batch = Batch::of(vec![Op::Ack(ack("r", "b", "y")), Op::Expect(expect("r", "g", "z"))]);
    let receipt = served.commit(batch.clone().under(id::<Key>("k")));
    assert_eq!((receipt.ops.len(), receipt.tree_size), (2, 4), "what Redis holds is none of its entries");
    let replayed = served.commit(batch.under(id::<Key>("k")));
    assert_eq!((replayed.replayed, replayed.tree_size), (true, 4));
    // The same fact by the other way is the same fact.
    served.commit(Batch::one(Op::Ack(ack("r", "a", "x"))));
    block_on(store.add_ack(ack("r", "b", "y"))).expect("held, until it is moved");
    let verdict = block_on(store.reconcile(&id("r"))).expect("a verdict");
    let waiting: Vec<_> = verdict.pending.iter().map(|one| &*one.action).collect();
    assert_eq!((verdict.acks, waiting, verdict.duplicate.len()), (2, vec!["z"], 0), "{verdict:?}");
}

fn sealed(http: &Http) {
    let served = http.serve();
    served.start("r");
    let store = served.store();
    block_on(store.add_expectations(vec![expect("r", "e", "x"), expect("r", "f", "y")])).expect("noted");
    block_on(store.add_ack(ack("r", "a", "x"))).expect("noted");
    let complete = Op::CompleteRun(CompleteRun::new(id("r"), FinalStatus::Completed));
    let receipt = served.commit(Batch::of(vec![Op::Ack(ack("r", "b", "y")), complete]));
    assert_eq!(receipt.tree_size, 6, "start, two expectations, two acknowledgements and the seal");
    let client = &served.running().client;
    let verdict = block_on(client.verdict_at(receipt.ops[1].log_index)).expect("the seal states it");
    assert!(verdict.is_clean() && verdict.acks == 2, "{verdict:?}");
    assert_eq!(served.held("r"), 0);
}

fn parked(http: &Http) {
    let served = http.serve();
    served.start("r");
    served.commit(Batch::of((0..1_000).map(|n| Op::Expect(expect("r", &format!("e{n}"), "x"))).collect()));
    let store = served.store();
    let parked = |limit, cursor| block_on(store.get_parked(&id("r"), &PageRequest { limit, cursor }));
    assert!(parked(50, None).expect("a page").items.is_empty());
    let noted = block_on(store.add_expectations(vec![expect("r", "p", "y"), expect("r", "q", "y")])).expect("noted");
    assert!(is_held(&noted));
    let first = parked(1, None).expect("a page");
    let fact = &first.items[0];
    assert_eq!((first.items.len(), fact.member.as_str(), fact.code.as_str()), (1, "e:p", "too_many"));
    assert!(fact.op.as_str().contains(r#""id":"p""#) && fact.received_at <= Source::new(served.clock.clone()).now());
    let second = parked(1, first.next_cursor).expect("a page");
    assert_eq!(second.items[0].member, "e:q");
    assert!(parked(1, second.next_cursor).expect("a page").items.is_empty());
    assert_eq!(parked(0, None).expect_err("no limit").code(), "invalid_parameter");
    assert_eq!(parked(5, Some("held-1".to_owned())).expect_err("another's").code(), "invalid_cursor");
    let unknown = block_on(store.get_parked(&id("nobody"), &PageRequest::default())).expect_err("nobody knows it");
    assert_eq!(
        (unknown.code(), figure(&served, r#"audit_parked_facts_total{code="too_many"}"#)),
        ("run_not_found", 2.0)
    );
}

fn figures(http: &Http) {
    let served = http.serve();
    served.start("r");
    let store = served.store();
    let soon = Expect { deadline_ms: 1_000, liveness: true, ..expect("r", "f", "y") };
    block_on(store.add_expectations(vec![expect("r", "e", "x"), soon])).expect("noted");
    served.advance_ms(8_000);
    for (name, action) in [("a", "x"), ("b", "nobody-asked")] {
        block_on(store.add_ack(ack("r", name, action))).expect("noted");
    }
    let judge = |status: &str| {
        assert_eq!(block_on(store.reconcile(&id("r"))).expect("a verdict").status.as_str(), status);
    };
    let all = |figures: &[(&str, f64)]| {
        for (name, value) in figures {
            assert_eq!(figure(&served, name), *value, "{name}");
        }
    };
    let stale = [
        (r#"audit_reconciliations_total{status="STALE"}"#, 1.0),
        (r#"audit_missing_total{domain="d",action="y"}"#, 1.0),
        (r#"audit_drift_total{domain="d",action="nobody-asked"}"#, 1.0),
        ("audit_stale_runs_total", 1.0),
        // Told by when Redis received them, not by when they were moved.
        ("audit_ack_seconds_count", 1.0),
        (r#"audit_ack_seconds_bucket{le="4.096"}"#, 0.0),
    ];
    judge("STALE");
    all(&stale);
    let waited = figure(&served, "audit_ack_seconds_sum");
    assert!((8.0..3_600.0).contains(&waited), "{waited}");
    judge("STALE");
    all(&stale);
    block_on(store.add_ack(ack("r", "c", "y"))).expect("noted");
    judge("INCOMPLETE");
    all(&stale[..4]);
    all(&[
        ("audit_ack_seconds_count", 2.0),
        (r#"audit_reconciliations_total{status="INCOMPLETE"}"#, 1.0),
        ("audit_parked_facts_total", 0.0),
    ]);
}

/// What `/metrics` says of a figure; nothing is none.
fn figure(served: &Served, name: &str) -> f64 {
    let address = served.running().client.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("it listens");
    let head = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it is taken");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let of = format!("tracekeep_{name} ");
    text.lines().find_map(|line| line.strip_prefix(&*of)).map_or(0.0, |value| value.parse().expect("a number"))
}
