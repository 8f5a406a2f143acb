//! Redis with the ledger as arbiter: the suite, and what no loss in Redis can bring about.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tracekeep_conformance::{GateHarness, GateInstance, ManualSources};
use tracekeep_core::json::{Json, parse};
use tracekeep_core::model::Op;
use tracekeep_store::gate::{
    GateListener, GateState, IdempotencyResult, IdempotencyStore, MemoryIdempotencyStore, Rules, Terms, Token,
};
use tracekeep_store::{Batch, LedgerStore, Outcome, Recorded, Source, block_on};
use tracekeep_store_redis::{ArbitratedGate, RedisIdempotencyStore};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::calls::{NAMESPACE, ask, claim, complete, connect, is, key, request};
use crate::proxy::Proxy;
use crate::real::Server;

use IdempotencyResult::{Conflict, Duplicate, InProgress, New};

faults!("arbitrated":
    flushall_makes_no_second_new,
    a_replica_that_lacks_everything_makes_no_second_new,
    without_redis_a_check_is_an_error_and_an_end_is_an_end,
    a_deletion_that_redis_was_not_told_of_is_unknown,
    a_check_and_a_status_that_only_looked_changed_nothing,
    a_release_that_redis_was_not_told_of_is_no_conflict,
    without_the_arbiter_nothing_is_given_out_or_ended_that_it_decided,
    what_was_claimed_without_the_arbiter_stands_in_the_way,
    a_lease_of_redis_alone_that_is_over_is_taken_once,
    a_redis_without_room_is_told_nothing_and_the_ledger_decides,
    a_refusal_leaves_nothing_in_redis_and_a_deletion_little,
    answers_of_a_run_go_with_it_while_redis_is_away,
    answers_of_a_run_go_when_something_of_it_is_withheld,
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

/// It was said to be unknown, though a look changes nothing.
fn a_check_and_a_status_that_only_looked_changed_nothing() {
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let options = tracekeep_store_redis::Options { timeout: Duration::from_millis(200), ..Default::default() };
    let open = || RedisIdempotencyStore::connect_with(&server.url(), NAMESPACE, options.clone()).expect("it answers");
    let (gate, bare) = (ArbitratedGate::new(open(), ledger(&folder)), open());
    server.admin(&["CLIENT", "PAUSE", "3600000", "ALL"]).expect("paused");
    let status = |gate: &dyn IdempotencyStore| block_on(gate.get_status(&key("k"))).map(drop);
    for result in [ask(&gate, "k", "a").map(drop), status(&gate), status(&bare)] {
        let error = result.expect_err("nobody answers");
        assert_eq!((error.code(), error.outcome(), error.is_retryable()), ("unreachable", Outcome::NotApplied, true));
    }
}

/// Another request was a conflict for days, with a claim that the ledger had released long ago.
fn a_release_that_redis_was_not_told_of_is_no_conflict() {
    let (server, mut gone) = (Server::start(&[]), Server::start(&[]));
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger(&folder);
    let gate = ArbitratedGate::new(connect(&server.url()), Arc::clone(&ledger) as _);
    let untold = ArbitratedGate::new(connect(&gone.url()), ledger);
    gone.kill();
    let token = claim(&gate, "k");
    assert_eq!(ask(&gate, "k", "b").expect("an answer").result, Conflict, "it is held");
    block_on(untold.mark_failed(&key("k"), &token, "later", true)).expect("the arbiter has it");
    assert_eq!(ask(&gate, "k", "b").expect("an answer").result, New);
    assert_eq!(ask(&gate, "k", "a").expect("an answer").result, Conflict, "it stands for the other one now");
}

/// A second *new*: the gate without its arbiter took the arbiter's records for its own.
fn without_the_arbiter_nothing_is_given_out_or_ended_that_it_decided() {
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let gate = ArbitratedGate::new(connect(&server.url()), ledger(&folder));
    let bare = connect(&server.url());
    let (done, held, released) = (claim(&gate, "done"), claim(&gate, "held"), claim(&gate, "released"));
    complete(&gate, "done", &done).expect("done");
    block_on(gate.mark_failed(&key("released"), &released, "later", true)).expect("released");
    claim(&gate, "deleted");
    block_on(gate.delete(&key("deleted"))).expect("deleted");
    is(&bare, "done", Duplicate);
    is(&bare, "held", InProgress);
    let refused = [
        ask(&bare, "released", "b").map(drop),
        ask(&bare, "deleted", "a").map(drop),
        complete(&bare, "held", &held).map(drop),
        block_on(bare.mark_failed(&key("held"), &held, "no", true)).map(drop),
        block_on(bare.renew(&key("held"), &held)).map(drop),
        block_on(bare.delete(&key("held"))).map(drop),
    ];
    bare.shift_clock_ms(3_600_000);
    for (place, result) in refused.into_iter().chain([ask(&bare, "held", "a").map(drop)]).enumerate() {
        let error = result.expect_err(&format!("call {place} is the arbiter's"));
        assert_eq!((error.code(), error.outcome()), ("unsafe_store", Outcome::NotApplied), "{place}: {error:?}");
    }
    complete(&gate, "held", &held).expect("its bearer is undisturbed");
    is(&gate, "held", Duplicate);
}

/// A refusal by the arbiter took away what Redis alone had decided: the next caller was told to go a second time.
fn what_was_claimed_without_the_arbiter_stands_in_the_way() {
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let bare = connect(&server.url());
    let names = ["held", "completes", "fails", "releases", "renews", "deletes", "disturbed", "seen", "left"];
    let tokens = names.map(|name| claim(&bare, name));
    let [held, completes, fails, releases, renews, deletes, disturbed, _, left] = &tokens;
    complete(&bare, "done", &claim(&bare, "done")).expect("done");
    block_on(bare.mark_failed(&key("failed"), &claim(&bare, "failed"), "", false)).expect("failed");
    block_on(bare.mark_failed(&key("released"), &claim(&bare, "released"), "later", true)).expect("released");
    let gate = ArbitratedGate::new(connect(&server.url()), ledger(&folder));
    let nobody = Token::from_bytes([7; 16]);
    for name in ["disturbed", "done", "failed"] {
        let refused = [
            complete(&gate, name, &nobody).map(drop),
            block_on(gate.mark_failed(&key(name), &nobody, "no", true)).map(drop),
            block_on(gate.renew(&key(name), &nobody)).map(drop),
        ];
        for result in refused {
            assert_eq!(result.expect_err("it holds nothing").code(), "lease_lost", "{name}");
        }
        assert_eq!(ask(&gate, name, "b").expect("an answer").result, Conflict, "{name}");
    }
    is(&gate, "disturbed", InProgress);
    complete(&gate, "disturbed", disturbed).expect("its bearer is undisturbed");
    let done = is(&gate, "done", Duplicate);
    assert_eq!((done.response, done.attempt), (Some(Json::from("done")), 1));
    let failed = is(&gate, "failed", IdempotencyResult::Failed);
    assert_eq!((failed.error.as_deref(), failed.expired), (Some(""), false));
    assert_eq!(is(&gate, "released", New).attempt, 2, "attempts go on");
    assert_eq!(ask(&gate, "held", "b").expect("an answer").result, Conflict);
    is(&gate, "held", InProgress);
    complete(&gate, "held", held).expect("its bearer lives");
    assert_eq!(complete(&gate, "completes", completes).expect("done"), Recorded::Recorded);
    assert_eq!(complete(&gate, "completes", completes).expect("said before"), Recorded::Duplicate);
    block_on(gate.mark_failed(&key("fails"), fails, "no", false)).expect("failed");
    block_on(gate.mark_failed(&key("releases"), releases, "later", true)).expect("released");
    block_on(gate.renew(&key("renews"), renews)).expect("renewed");
    assert!(block_on(gate.delete(&key("deletes"))).expect("deleted"), "it was known");
    let status = |name| block_on(gate.get_status(&key(name))).expect("readable").map(|status| status.state);
    assert_eq!((status("seen"), status("nobodys")), (Some(GateState::InProgress), None));
    for lost in [false, true] {
        if lost {
            server.admin(&["FLUSHALL"]).expect("flushed");
        }
        for name in ["held", "completes", "disturbed", "done"] {
            is(&gate, name, Duplicate);
        }
        is(&gate, "fails", IdempotencyResult::Failed);
        is(&gate, "renews", InProgress);
    }
    assert_eq!((is(&gate, "releases", New).attempt, is(&gate, "deletes", New).attempt), (2, 1));
    assert_eq!(complete(&gate, "deletes", deletes).expect_err("another holds it").code(), "lease_lost");
    assert_eq!(complete(&gate, "left", left).expect_err("Redis lost it").code(), "key_not_found");
}

/// Its last bearer may still end it, until somebody takes it.
fn a_lease_of_redis_alone_that_is_over_is_taken_once() {
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let bare = connect(&server.url());
    let [ended, taken] = ["ended", "taken"].map(|name| claim(&bare, name));
    let gate = ArbitratedGate::new(connect(&server.url()), ledger(&folder));
    gate.redis().shift_clock_ms(60_000);
    complete(&gate, "ended", &ended).expect("nobody took it");
    is(&gate, "ended", Duplicate);
    assert_eq!(is(&gate, "taken", New).attempt, 2);
    assert_eq!(complete(&gate, "taken", &taken).expect_err("somebody took it").code(), "lease_lost");
}

/// Telling began with a deletion, which no server without room refuses, nor what a script writes after it: it grew further.
fn a_redis_without_room_is_told_nothing_and_the_ledger_decides() {
    let (server, folder) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let gate = ArbitratedGate::new(connect(&server.url()), ledger(&folder));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    gate.listen(GateListener::new(move |word| listener.lock().expect("no panic").push(format!("{word:?}"))));
    let (held, done) = (claim(&gate, "held"), claim(&gate, "done"));
    assert_eq!(*heard.lock().expect("no panic"), [""; 0], "Redis was told");
    server.admin(&["CONFIG", "SET", "maxmemory", "1"]).expect("set");
    is(&gate, "new", New);
    is(&gate, "new", InProgress);
    complete(&gate, "done", &done).expect("the ledger has it");
    is(&gate, "done", InProgress);
    block_on(gate.mark_failed(&key("held"), &held, "later", true)).expect("the ledger has it");
    let error = block_on(gate.delete(&key("done"))).expect_err("Redis was not told");
    assert_eq!(error.code(), "commit_unknown");
    assert_eq!(server.admin(&["DBSIZE"]).expect("an answer"), redis::Value::Int(2), "what was there before");
    assert_eq!(*heard.lock().expect("no panic"), [r#"Untold { code: "storage_full" }"#; 5], "each of them");
    server.admin(&["CONFIG", "SET", "maxmemory", "0"]).expect("set");
    block_on(gate.delete(&key("done"))).expect("sent again");
    is(&gate, "done", New);
    is(&gate, "new", InProgress);
    assert_eq!(server.admin(&["DBSIZE"]).expect("an answer"), redis::Value::Int(3));
}

/// Whoever sent made-up keys filled Redis, for a week each.
fn a_refusal_leaves_nothing_in_redis_and_a_deletion_little() {
    const MARKED_MS_MAX: i64 = 900_000;
    let server = Server::start(&[]);
    let rules = Rules { keys_max: 1, ..Rules::default() };
    let arbiter = MemoryIdempotencyStore::new(Source::default(), rules);
    let gate = ArbitratedGate::new(connect(&server.url()), Arc::new(arbiter));
    claim(&gate, "k");
    block_on(gate.delete(&key("k"))).expect("deleted");
    let left = server.admin(&["PTTL", "tk:{faults/k}:idem"]).expect("an answer");
    assert!(matches!(left, redis::Value::Int(1..=MARKED_MS_MAX)), "{left:?} ms");
    server.admin(&["FLUSHALL"]).expect("flushed");
    claim(&gate, "k");
    assert_eq!(ask(&gate, "full", "a").expect_err("one key is all").code(), "gate_full");
    let nobody = Token::from_bytes([7; 16]);
    assert_eq!(complete(&gate, "unknown", &nobody).expect_err("unknown").code(), "key_not_found");
    assert_eq!(server.admin(&["DBSIZE"]).expect("an answer"), redis::Value::Int(1));
}

const SECRET: &str = "cassiopeia";

/// Whether what Redis holds anywhere has the secret in it.
fn stands_in(server: &Server) -> bool {
    let Ok(redis::Value::Array(names)) = server.admin(&["KEYS", "*"]) else { panic!("no keys") };
    names.into_iter().any(|name| {
        let redis::Value::BulkString(name) = name else { panic!("no name") };
        let value = server.admin(&["GET", std::str::from_utf8(&name).expect("text")]).expect("a value");
        let redis::Value::BulkString(value) = value else { panic!("no value") };
        value.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    })
}

fn commit(ledger: &SqliteLedger, ops: &[&str]) {
    let op = |text: &&str| Op::read(parse(text.as_bytes()).expect("JSON")).expect("an op");
    let answers = ledger.commit_blocking(vec![Batch::of(ops.iter().map(op).collect())]);
    answers.into_iter().for_each(|answer| drop(answer.expect("recorded")));
}

/// A run that did something, failed at something, is at something, and asked for a key that another run has: the gate gives
/// its answers, until `then`, and afterwards none; the keys stay.
fn answers_of_a_run_until(then: &[&str], redis_is_away: bool) {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger(&folder);
    commit(
        &ledger,
        &[
            r#"{"op":"start_run","run_id":"r"}"#,
            r#"{"op":"record_step","run_id":"r","index":0,"skill_name":"s","params":{"q":"x"},"status":"success"}"#,
            r#"{"op":"complete_run","run_id":"r","status":"completed"}"#,
            r#"{"op":"start_run","run_id":"other"}"#,
        ],
    );
    let gate = ArbitratedGate::new(connect(&server.url()), Arc::clone(&ledger) as _);
    let of = |run: &str, name: &str| {
        let terms = Terms { run_id: Some(run.parse().expect("an id")), ..Terms::default() };
        block_on(gate.check(&key(name), &request("a"), &terms)).expect("an answer")
    };
    let said = Json::from(SECRET);
    for (run, name) in [("r", "done"), ("other", "others")] {
        let token = of(run, name).token.expect("new");
        block_on(gate.mark_completed(&key(name), &token, &said)).expect("done");
    }
    let token = of("r", "failed").token.expect("new");
    block_on(gate.mark_failed(&key("failed"), &token, SECRET, false)).expect("failed");
    let late = of("r", "late").token.expect("new");
    assert_eq!((of("r", "done").response, of("r", "failed").error), (Some(said.clone()), Some(SECRET.to_owned())));
    assert!(!stands_in(&server), "the answers of runs are the ledger's to give");
    if redis_is_away {
        server.kill();
    }
    commit(&ledger, then);
    if redis_is_away {
        server.begin();
    }
    let (done, failed) = (of("r", "done"), of("r", "failed"));
    assert_eq!((done.result, done.response, done.expired), (Duplicate, None, true));
    assert_eq!((failed.result, failed.error, failed.expired), (IdempotencyResult::Failed, None, true));
    assert_eq!(ask(&gate, "done", "b").expect("an answer").result, Conflict);
    assert_eq!(of("other", "others").response, Some(said.clone()));
    block_on(gate.mark_completed(&key("late"), &late, &said)).expect("its bearer is known");
    assert!(!stands_in(&server));
    let refused = ask(&connect(&server.url()), "done", "a").expect_err("the answer is the arbiter's to give");
    assert_eq!(refused.code(), "unsafe_store");
}

/// Redis gave an erased run's answers until their ttl was over, up to a year later.
fn answers_of_a_run_go_with_it_while_redis_is_away() {
    answers_of_a_run_until(&[r#"{"op":"erase_run","run_id":"r","reason":"asked for"}"#], true);
}

fn answers_of_a_run_go_when_something_of_it_is_withheld() {
    let then = r#"{"op":"redact","run_id":"r","step":0,"members":["params"],"reason":"asked for"}"#;
    answers_of_a_run_until(&[then], false);
}
