//! Audits in Redis: the suite, and what becomes of facts when servers, movers and workers fail.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use tracekeep_conformance::{AuditHarness, AuditInstance, Fault, FaultStore};
use tracekeep_core::Timestamp;
use tracekeep_core::json::Json;
use tracekeep_core::model::{Ack, AckStatus, AuditStatus, CompleteRun, Expect, FinalStatus, JsonObject, Op, StartRun};
use tracekeep_store::{
    AuditStore, Batch, LedgerStore, MemoryLedger, PageRequest, Recorded, Source, Sources, StoreDurabilityMode,
    SystemSources, block_on, commit_with_held,
};
use tracekeep_store_redis::{AuditOptions, MovingAudit, RedisAuditStore};

use crate::real::Server;

const NAMESPACE: &str = "audits/{x}";

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 13] = [
        ("what_was_acknowledged_survives_a_kill_before_it_is_moved", survives_a_kill),
        ("what_was_recorded_and_not_let_go_of_is_moved_as_duplicates", moved_twice),
        ("two_movers_at_once_record_each_fact_once", two_movers),
        ("worker_processes_that_acknowledge_one_run_lose_nothing", worker_processes),
        ("a_seal_holds_what_redis_held", a_seal_holds_what_redis_held),
        ("what_is_held_outlives_the_last_deadline", ttl),
        ("a_run_is_in_the_index_before_anything_is_written_of_it", index_first),
        ("content_under_an_id_that_the_ledger_knows_otherwise_is_not_lost", renamed),
        ("an_erased_run_leaves_nothing_behind", erased),
        ("what_is_acknowledged_while_a_run_is_cleared_is_not_lost", cleared),
        ("a_fact_that_the_ledger_never_takes_keeps_no_other_from_it", parked),
        ("what_the_ledger_could_not_take_is_refused_at_the_door", with_room),
        ("a_time_of_receipt_is_told_by_the_clock_of_the_ledger", by_one_clock),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("audits::{name}"), move || {
                test();
                Ok(())
            })
        })
        .collect()
}

/// The suite over what is opened without a ledger.
pub(crate) struct Hot {
    pub(crate) url: String,
    pub(crate) namespaces: AtomicU32,
}

struct OpenHot {
    url: String,
    namespace: String,
    shift_ms: AtomicI64,
    store: Arc<RedisAuditStore>,
}

fn open(url: &str, namespace: &str) -> Arc<RedisAuditStore> {
    // Long, so that a busy machine makes no answer unknown.
    let options = AuditOptions { timeout: Duration::from_secs(60), ..AuditOptions::default() };
    Arc::new(RedisAuditStore::connect_with(url, namespace, options).expect("the server answers"))
}

impl AuditHarness for Hot {
    fn fresh(&self) -> Box<dyn AuditInstance> {
        let namespace = format!("hot/{{b}}:{}", self.namespaces.fetch_add(1, Ordering::SeqCst));
        let store = open(&self.url, &namespace);
        Box::new(OpenHot { url: self.url.clone(), namespace, shift_ms: AtomicI64::new(0), store })
    }

    fn knows_runs(&self) -> bool {
        false
    }

    fn mode(&self) -> StoreDurabilityMode {
        StoreDurabilityMode::Redis
    }
}

impl AuditInstance for OpenHot {
    fn store(&self) -> Arc<dyn AuditStore> {
        Arc::clone(&self.store) as Arc<dyn AuditStore>
    }

    fn start(&self, _: &str) {}

    fn advance_ms(&self, ms: i64) {
        self.shift_ms.fetch_add(ms, Ordering::SeqCst);
        self.store.shift_clock_ms(ms);
    }

    fn reopen(&mut self) {
        self.store = open(&self.url, &self.namespace);
        self.store.shift_clock_ms(self.shift_ms.load(Ordering::SeqCst));
    }
}

/// The suite over Redis in front of a ledger.
pub(crate) struct Moving(pub(crate) Hot);

/// The machine's clock, moved.
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

struct OpenMoving {
    hot: OpenHot,
    clock: Moved,
    ledger: Arc<MemoryLedger>,
}

impl AuditHarness for Moving {
    fn fresh(&self) -> Box<dyn AuditInstance> {
        let namespace = format!("moving/{{b}}:{}", self.0.namespaces.fetch_add(1, Ordering::SeqCst));
        let store = open(&self.0.url, &namespace);
        let hot = OpenHot { url: self.0.url.clone(), namespace, shift_ms: AtomicI64::new(0), store };
        let clock = Moved::default();
        Box::new(OpenMoving { hot, ledger: Arc::new(MemoryLedger::new(Source::new(clock.clone()))), clock })
    }

    fn mode(&self) -> StoreDurabilityMode {
        StoreDurabilityMode::Redis
    }
}

impl AuditInstance for OpenMoving {
    fn store(&self) -> Arc<dyn AuditStore> {
        let ledger = Arc::clone(&self.ledger) as Arc<dyn LedgerStore>;
        Arc::new(MovingAudit::new(Arc::clone(&self.hot.store), ledger).by(Source::new(self.clock.clone())))
    }

    fn start(&self, run: &str) {
        start(&*self.ledger, run);
    }

    fn advance_ms(&self, ms: i64) {
        self.hot.advance_ms(ms);
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    fn reopen(&mut self) {
        self.hot.reopen();
    }
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

fn start(ledger: &dyn LedgerStore, run: &str) {
    send(ledger, Op::StartRun(StartRun { run_id: Some(id(run)), ..StartRun::default() }));
}

fn send(ledger: &dyn LedgerStore, op: Op) {
    block_on(ledger.commit(vec![Batch::one(op)])).pop().expect("an answer").expect("recorded");
}

fn expect(run: &str, name: &str, count: u32) -> Expect {
    Expect { id: Some(id(name)), count, ..Expect::new(id(run), "d", "x", 3_600_000) }
}

fn ack(run: &str, name: &str) -> Ack {
    Ack { id: Some(id(name)), ..Ack::new(id(run), "d", "x", AckStatus::Success) }
}

fn ledger() -> Arc<MemoryLedger> {
    let ledger = Arc::new(MemoryLedger::default());
    start(&*ledger, "r");
    ledger
}

fn over(hot: &Arc<RedisAuditStore>, ledger: &Arc<MemoryLedger>) -> MovingAudit {
    MovingAudit::new(Arc::clone(hot), Arc::clone(ledger) as Arc<dyn LedgerStore>)
}

fn acks(ledger: &MemoryLedger) -> usize {
    block_on(ledger.acks(&id("r"), &PageRequest::first(1_000))).expect("readable").items.len()
}

fn survives_a_kill() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    assert!(hot.is_durable());
    block_on(hot.add_expectations(vec![expect("r", "e", 20)])).expect("noted");
    for n in 0..20 {
        block_on(hot.add_ack(ack("r", &format!("a{n}")))).expect("noted");
    }
    let told = block_on(hot.get_acks(&id("r"), &PageRequest::first(50))).expect("readable").items;
    drop(hot);
    server.kill();
    server.begin();
    let audit = over(&open(&server.url(), NAMESPACE), &ledger);
    assert!(block_on(audit.load_from_redis(&id("r"))).expect("moved"));
    let moved = block_on(ledger.acks(&id("r"), &PageRequest::first(50))).expect("readable").items;
    assert_eq!(moved.len(), 20);
    for (told, moved) in told.iter().zip(&moved) {
        assert_eq!((&told.id, told.received_at), (&moved.id, moved.received_at), "it counts from when it was received");
    }
    assert!(block_on(audit.reconcile(&id("r"))).expect("a verdict").is_clean());
    assert!(!block_on(audit.load_from_redis(&id("r"))).expect("nothing is left"));
}

fn moved_twice() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    block_on(hot.add_expectations(vec![expect("r", "e", 2)])).expect("noted");
    block_on(hot.add_ack(ack("r", "a"))).expect("noted");
    let by_hand = block_on(hot.update_expectation_status(&id("r"), "d", "x", AuditStatus::Failed));
    assert!(by_hand.expect("noted"));
    block_on(hot.add_ack(ack("r", "b"))).expect("noted");
    // Committed, and ended before anything was let go of.
    let faulty = FaultStore::new(Arc::clone(&ledger) as Arc<dyn LedgerStore>).failing(0, Fault::Applied);
    let faulty = Arc::new(faulty);
    let audit = MovingAudit::new(Arc::clone(&hot), Arc::clone(&faulty) as Arc<dyn LedgerStore>);
    assert_eq!(block_on(audit.load_from_redis(&id("r"))).expect_err("it ended").code(), "commit_unknown");
    let summary = block_on(ledger.audit(&id("r"))).expect("readable");
    assert_eq!((summary.expectations, summary.acks), (1, 3));
    assert!(block_on(audit.load_from_redis(&id("r"))).expect("moved"));
    let again = block_on(ledger.audit(&id("r"))).expect("readable");
    assert_eq!((again.expectations, again.acks, again.open), (1, 3, summary.open));
    assert!(!block_on(audit.load_from_redis(&id("r"))).expect("nothing is left"));
    assert_eq!(block_on(hot.add_ack(ack("r", "a"))).expect("known").outcome, Recorded::Duplicate);
}

fn two_movers() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    block_on(hot.add_expectations(vec![expect("r", "e", 300)])).expect("noted");
    for n in 0..300 {
        block_on(hot.add_ack(ack("r", &format!("a{n}")))).expect("noted");
    }
    assert!(block_on(hot.update_expectation_status(&id("r"), "d", "x", AuditStatus::Acked)).expect("noted"));
    hot.shift_clock_ms(10_000);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let audit = over(&hot, &ledger);
            scope.spawn(move || block_on(audit.move_held(None)).expect("moved"));
        }
    });
    let summary = block_on(ledger.audit(&id("r"))).expect("readable");
    assert_eq!((summary.expectations, summary.acks), (1, 301));
    // Nothing is held any more, and after a while nobody looks for it either.
    hot.shift_clock_ms(60_000);
    let audit = over(&hot, &ledger);
    assert_eq!(block_on(audit.move_held(None)).expect("looked"), 1);
    hot.shift_clock_ms(60_000);
    assert_eq!(block_on(audit.move_held(None)).expect("looked"), 0);
}

/// What a child of [`worker_processes`] is told: address, worker, how many.
pub(crate) const WORKER: &str = "AUDIT_WORKER";

/// One worker process.
pub(crate) fn work(told: &str) {
    let mut told = told.split(' ');
    let mut next = || told.next().expect("three words");
    let (url, worker, count) = (next(), next(), next().parse::<u32>().expect("a number"));
    let hot = open(url, NAMESPACE);
    for n in 0..count {
        block_on(hot.add_ack(ack("r", &format!("{worker}-{n}")))).expect("noted");
    }
}

/// The earlier system's fault: each process kept a list of its own and wrote it over the others'.
fn worker_processes() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    block_on(hot.add_expectations(vec![expect("r", "e", 200)])).expect("noted");
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let mut command = Command::new(std::env::current_exe().expect("this test"));
            command.env(WORKER, format!("{} w{worker} 50", server.url())).stdin(Stdio::null());
            command.spawn().expect("a worker starts")
        })
        .collect();
    let audit = over(&hot, &ledger);
    for mut worker in workers {
        // Somebody moves meanwhile.
        block_on(audit.load_from_redis(&id("r"))).expect("moved");
        assert!(worker.wait().expect("it ends").success());
    }
    assert!(block_on(audit.reconcile(&id("r"))).expect("a verdict").is_clean());
    assert_eq!(acks(&ledger), 200);
}

fn a_seal_holds_what_redis_held() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    let audit = over(&hot, &ledger);
    block_on(audit.add_expectations(vec![expect("r", "e", 1)])).expect("noted");
    block_on(audit.add_ack(ack("r", "a"))).expect("noted");
    let complete = Batch::one(Op::CompleteRun(CompleteRun::new(id("r"), FinalStatus::Completed)));
    let sealed = |batch: Batch| {
        block_on(commit_with_held(&*ledger, &audit, vec![batch])).pop().expect("an answer").expect("sealed")
    };
    let receipt = sealed(complete.clone().under(id("key")));
    assert_eq!(receipt.ops.len(), 1, "what was moved is not what the caller sent");
    let verdict = block_on(ledger.verdict_at(receipt.ops[0].log_index)).expect("the seal states it");
    assert!(verdict.is_clean());
    assert_eq!(
        receipt.tree_size, 5,
        "start, expectation, acknowledgement, seal and key: all but the start in one batch"
    );
    assert!(!block_on(audit.load_from_redis(&id("r"))).expect("nothing is left"));
    block_on(audit.add_ack(ack("r", "late"))).expect("noted");
    let again = sealed(complete.clone().under(id("key")));
    assert_eq!((again.replayed, again.ops[0].log_index), (true, receipt.ops[0].log_index));
    let again = sealed(complete);
    assert_eq!((again.outcome, again.ops[0].log_index), (Recorded::Duplicate, receipt.ops[0].log_index));
    assert_eq!(acks(&ledger), 2, "what came after the seal is a new entry");
}

fn ttl() {
    let server = Server::start(&[]);
    let hot = open(&server.url(), NAMESPACE);
    let long = Expect { deadline_ms: 7_200_000, ..expect("r", "e", 1) };
    block_on(hot.add_expectations(vec![long])).expect("noted");
    block_on(hot.add_ack(ack("r", "a"))).expect("noted");
    block_on(hot.add_expectations(vec![Expect { deadline_ms: 5, ..expect("r", "f", 1) }])).expect("noted");
    for name in ["expectations", "acks", "held", "said"] {
        let key = format!("tk:{{audits%2F%7Bx%7D/r}}:{name}");
        let redis::Value::Int(seconds) = server.admin(&["TTL", &key]).expect("a ttl") else { panic!("no number") };
        assert!((10_790..=10_801).contains(&seconds), "{name} lives an hour beyond the last deadline: {seconds} s");
    }
    block_on(hot.add_ack(ack("w", "a"))).expect("noted");
    for name in ["acks", "held", "said"] {
        let key = format!("tk:{{audits%2F%7Bx%7D/w}}:{name}");
        let redis::Value::Int(seconds) = server.admin(&["TTL", &key]).expect("a ttl") else { panic!("no number") };
        assert!((3_590..=3_631).contains(&seconds), "{name} lives an hour beyond the last word: {seconds} s");
    }
}

fn index_first() {
    let server = Server::start(&[]);
    let hot = open(&server.url(), NAMESPACE);
    // The run's own key takes nothing, as if the worker had ended in between.
    server.admin(&["SET", "tk:{audits%2F%7Bx%7D/r}:said", "x"]).expect("set");
    assert_eq!(block_on(hot.add_ack(ack("r", "a"))).expect_err("refused").code(), "corrupt");
    let listed = server.admin(&["ZSCORE", "tk:{audits%2F%7Bx%7D}:audit:due", "r"]).expect("readable");
    assert!(!matches!(listed, redis::Value::Nil), "somebody will look at it");
}

fn renamed() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    send(&*ledger, Op::Ack(Ack { result_id: Some("other".to_owned()), ..ack("r", "a") }));
    for name in ["a", "b"] {
        block_on(hot.add_ack(ack("r", name))).expect("noted");
    }
    let audit = over(&hot, &ledger);
    assert!(block_on(audit.load_from_redis(&id("r"))).expect("moved"));
    let moved = block_on(audit.get_acks(&id("r"), &PageRequest::default())).expect("readable").items;
    assert_eq!((moved.len(), moved[0].id.as_str(), moved[2].id.as_str()), (3, "a", "b"));
    assert!(moved[1].id.as_str().starts_with("moved-"));
}

fn erased() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    block_on(hot.add_ack(ack("r", "a"))).expect("noted");
    send(&*ledger, Op::CompleteRun(CompleteRun::new(id("r"), FinalStatus::Completed)));
    let erase =
        tracekeep_core::model::EraseRun { run_id: id("r"), reason: "asked for".to_owned(), by: None, redacted: None };
    send(&*ledger, Op::EraseRun(erase));
    let audit = over(&hot, &ledger);
    block_on(audit.load_from_redis(&id("r"))).expect("it is gone");
    assert_eq!(server.admin(&["EXISTS", "tk:{audits%2F%7Bx%7D/r}:acks"]).expect("readable"), redis::Value::Int(0));
}

/// The machine's clock; once armed, something is acknowledged as it is asked for.
#[derive(Clone)]
struct Meddling(Arc<RedisAuditStore>, Arc<AtomicBool>);

impl Sources for Meddling {
    fn now(&self) -> Timestamp {
        if self.1.swap(false, Ordering::SeqCst) {
            block_on(self.0.add_ack(ack("r", "meanwhile"))).expect("noted");
        }
        SystemSources.now()
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemSources.random(bytes);
    }
}

fn cleared() {
    let server = Server::start(&[]);
    let hot = open(&server.url(), NAMESPACE);
    let armed = Arc::new(AtomicBool::new(false));
    let ledger = Arc::new(MemoryLedger::new(Source::new(Meddling(Arc::clone(&hot), Arc::clone(&armed)))));
    start(&*ledger, "r");
    let audit = over(&hot, &ledger);
    block_on(audit.add_expectations(vec![expect("r", "e", 2)])).expect("noted");
    block_on(audit.load_from_redis(&id("r"))).expect("moved");
    armed.store(true, Ordering::SeqCst);
    block_on(audit.clear_run(&id("r"))).expect("cleared");
    assert!(!armed.load(Ordering::SeqCst), "it was acknowledged in between");
    block_on(audit.load_from_redis(&id("r"))).expect("moved");
    assert_eq!(acks(&ledger), 1);
}

fn parked() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    let full = (0..1_000).map(|n| Op::Expect(expect("r", &format!("e{n}"), 1))).collect();
    block_on(ledger.commit(vec![Batch::of(full)])).pop().expect("an answer").expect("recorded");
    let audit = over(&hot, &ledger);
    block_on(audit.add_ack(ack("r", "a"))).expect("noted");
    block_on(audit.add_expectations(vec![expect("r", "one-too-many", 1)])).expect("noted");
    block_on(audit.add_ack(ack("r", "b"))).expect("noted");
    assert!(block_on(audit.load_from_redis(&id("r"))).expect("what can be moved is"));
    assert_eq!(acks(&ledger), 2);
    assert!(!block_on(audit.load_from_redis(&id("r"))).expect("nothing is left"));
    let kept = server.admin(&["HGET", "tk:{audits%2F%7Bx%7D/r}:parked", "e:one-too-many"]).expect("readable");
    assert_eq!(kept, redis::Value::BulkString(b"too_many".to_vec()));
    block_on(audit.clear_run(&id("r"))).expect("cleared");
    let kept = server.admin(&["HEXISTS", "tk:{audits%2F%7Bx%7D/r}:expectations", "one-too-many"]).expect("readable");
    assert_eq!(kept, redis::Value::Int(1), "what is nowhere else is not dropped");
}

fn with_room() {
    let server = Server::start(&[]);
    let hot = open(&server.url(), NAMESPACE);
    let padded = |bytes: usize| {
        let long = format!("{{\"x\":\"{}\"}}", "x".repeat(bytes));
        let long = Json::parse(&long).expect("readable");
        Ack { metadata: JsonObject::new(long).expect("an object"), ..ack("r", "a") }
    };
    let bare = Op::Ack(padded(0)).body().as_str().len();
    let whole = padded((4 << 20) - bare);
    assert_eq!(Op::Ack(whole.clone()).body().as_str().len(), 4 << 20);
    assert_eq!(block_on(hot.add_ack(whole)).expect_err("no room to say when it was received").code(), "too_large");
}

fn by_one_clock() {
    let server = Server::start(&[]);
    let (ledger, hot) = (ledger(), open(&server.url(), NAMESPACE));
    // That machine's clock is ahead by an hour.
    hot.shift_clock_ms(3_600_000);
    block_on(hot.add_expectations(vec![expect("r", "e", 1)])).expect("noted");
    let audit = over(&hot, &ledger);
    let before = SystemSources.now();
    block_on(audit.add_ack(ack("r", "a"))).expect("noted");
    block_on(audit.load_from_redis(&id("r"))).expect("moved");
    let moved = block_on(ledger.acks(&id("r"), &PageRequest::first(5))).expect("readable").items;
    let at = moved[0].received_at.expect("it was received");
    assert!(at >= before.saturating_add(-1_000_000_000) && at <= SystemSources.now(), "{at} is not {before}");
}
