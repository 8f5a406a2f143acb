//! Redis with the ledger as arbiter: the suite, and what no loss in Redis can bring about.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tracekeep_conformance::{GateHarness, GateInstance, ManualSources};
use tracekeep_core::json::Json;
use tracekeep_store::gate::{IdempotencyResult, IdempotencyStore, Rules};
use tracekeep_store::{Outcome, Source, block_on};
use tracekeep_store_redis::{ArbitratedGate, RedisIdempotencyStore};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::calls::{NAMESPACE, ask, claim, complete, connect, is, key};
use crate::proxy::Proxy;
use crate::real::Server;

use IdempotencyResult::{Conflict, Duplicate, InProgress, New};

faults!("arbitrated":
    flushall_makes_no_second_new,
    a_replica_that_lacks_everything_makes_no_second_new,
    without_redis_a_check_is_an_error_and_an_end_is_an_end,
    a_deletion_that_redis_was_not_told_of_is_unknown,
);

/// One server; each gate has a namespace and a ledger of its own.
pub(crate) struct Arbitrated {
    url: String,
    namespaces: AtomicU32,
}

impl Arbitrated {
    pub(crate) fn over(url: String) -> Self {
        Self { url, namespaces: AtomicU32::new(0) }
    }
}

struct Opened {
    url: String,
    namespace: String,
    rules: Rules,
    shift_ms: AtomicI64,
    sources: ManualSources,
    folder: TempDir,
    gate: Option<Arc<ArbitratedGate>>,
}

impl GateHarness for Arbitrated {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        let mut opened = Opened {
            url: self.url.clone(),
            namespace: format!("arbitrated-{}", self.namespaces.fetch_add(1, Ordering::SeqCst)),
            rules,
            shift_ms: AtomicI64::new(0),
            sources: ManualSources::default(),
            folder: tempfile::tempdir().expect("a folder for the ledger"),
            gate: None,
        };
        opened.reopen();
        Box::new(opened)
    }
}

impl Opened {
    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }
}

impl GateInstance for Opened {
    fn store(&self) -> Arc<dyn IdempotencyStore> {
        Arc::clone(self.gate.as_ref().expect("the gate is open")) as Arc<dyn IdempotencyStore>
    }

    fn reopen(&mut self) {
        drop(self.gate.take());
        let options =
            Options { source: Source::new(self.sources.clone()), gate: self.rules.clone(), ..Options::default() };
        let ledger = SqliteLedger::open(self.path(), options).expect("the ledger opens");
        let options = tracekeep_store_redis::Options {
            rules: self.rules.clone(),
            timeout: Duration::from_secs(60),
            ..tracekeep_store_redis::Options::default()
        };
        let redis = RedisIdempotencyStore::connect_with(&self.url, &self.namespace, options);
        let redis = redis.expect("the server answers");
        redis.shift_clock_ms(self.shift_ms.load(Ordering::SeqCst));
        self.gate = Some(Arc::new(ArbitratedGate::new(redis, Arc::new(ledger))));
    }

    fn advance_ms(&self, ms: i64) {
        self.sources.advance(ms * 1_000_000);
        self.shift_ms.fetch_add(ms, Ordering::SeqCst);
        self.gate.as_ref().expect("the gate is open").redis().shift_clock_ms(ms);
    }
}

pub(crate) fn ledger(folder: &TempDir) -> Arc<SqliteLedger> {
    let ledger = SqliteLedger::open(folder.path().join("ledger.db"), Options::default());
    Arc::new(ledger.expect("the ledger opens"))
}

/// One that is done and one that is held: neither is given out again.
fn lost(before: &ArbitratedGate, lose: impl FnOnce(), after: &ArbitratedGate) {
    let (done, held) = (claim(before, "done"), claim(before, "held"));
    complete(before, "done", &done).expect("done");
    lose();
    assert_eq!(ask(after, "held", "b").expect("an answer").result, Conflict);
    is(after, "held", InProgress);
    assert_eq!(is(after, "done", Duplicate).response, Some(Json::from("done")));
    complete(after, "held", &held).expect("its bearer lives");
    is(after, "held", Duplicate);
}

fn flushall_makes_no_second_new() {
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let gate = ArbitratedGate::new(connect(&server.url()), ledger(&folder));
    let lose = || drop(server.admin(&["FLUSHALL"]).expect("flushed"));
    lost(&gate, lose, &gate);
    lose();
    is(&gate, "held", Duplicate);
    assert!(block_on(gate.redis().get_status(&key("held"))).expect("readable").is_some(), "it is remembered again");
}

fn a_replica_that_lacks_everything_makes_no_second_new() {
    let (primary, promoted) = (Server::start(&[]), Server::start(&[]));
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger(&folder);
    let before = ArbitratedGate::new(connect(&primary.url()), Arc::clone(&ledger) as _);
    let after = ArbitratedGate::new(connect(&promoted.url()), ledger);
    lost(&before, || (), &after);
}

fn without_redis_a_check_is_an_error_and_an_end_is_an_end() {
    let (mut server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let gate = ArbitratedGate::new(connect(&server.url()), ledger(&folder));
    let token = claim(&gate, "k");
    server.kill();
    let error = ask(&gate, "other", "a").expect_err("nobody is there");
    assert!(matches!(error.code(), "unreachable" | "commit_unknown"), "{error:?}");
    complete(&gate, "k", &token).expect("the arbiter has it");
    server.begin();
    is(&gate, "k", Duplicate);
    is(&gate, "other", New);
}

fn a_deletion_that_redis_was_not_told_of_is_unknown() {
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let proxy = Proxy::start(server.port());
    let options = tracekeep_store_redis::Options { timeout: Duration::from_millis(200), ..Default::default() };
    let redis = RedisIdempotencyStore::connect_with(&proxy.url(), NAMESPACE, options).expect("the server answers");
    let gate = ArbitratedGate::new(redis, ledger(&folder));
    let token = claim(&gate, "k");
    complete(&gate, "k", &token).expect("done");
    server.admin(&["CLIENT", "PAUSE", "3600000", "WRITE"]).expect("paused");
    let error = block_on(gate.delete(&key("k"))).expect_err("Redis was not told");
    assert_eq!((error.code(), error.outcome(), error.is_retryable()), ("commit_unknown", Outcome::Unknown, true));
    server.admin(&["CLIENT", "UNPAUSE"]).expect("it goes on");
    block_on(gate.delete(&key("k"))).expect("sent again");
    assert_eq!(is(&gate, "k", New).attempt, 1);
}
