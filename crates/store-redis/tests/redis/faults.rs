//! Faults for real: no second *new* where durability was promised, no false conflict, and *unknown* where it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use tracekeep_conformance::ManualSources;
use tracekeep_conformance::gate::linear::{self, Call};
use tracekeep_conformance::gate::{Asked, Said};
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{IdempotencyResult, IdempotencyStore, Terms, Token};
use tracekeep_store::{Outcome, Recorded, Result, Source, Sources, block_on};
use tracekeep_store_redis::{Durability, Options, RedisIdempotencyStore};

use crate::calls::{NAMESPACE, ask, claim, complete, connect, is, key, refused, request};
use crate::proxy::Proxy;
use crate::real::Server;

use IdempotencyResult::{Conflict, Duplicate, Failed, InProgress, New};

faults!("faults":
    scripts_that_are_flushed_are_sent_again,
    after_flushall_keys_are_new_and_old_owners_are_nobody,
    what_an_append_only_file_holds_outlives_kill_9,
    without_one_nothing_does_and_nothing_is_a_conflict,
    a_server_that_is_gone_is_an_error_and_never_new,
    an_answer_that_takes_too_long_is_unknown,
    no_memory_left_is_not_applied_and_what_is_known_is_answered,
    a_replica_takes_no_writes_and_a_promoted_one_does,
    a_request_that_is_cut_off_is_sent_again,
    an_answer_that_is_cut_off_gives_the_lease_to_its_own_caller_alone,
    an_end_whose_answer_is_cut_off_holds_once,
    a_failure_over_a_closed_connection_is_sent_again,
    a_failure_whose_answer_is_cut_off_holds_once,
    a_failure_that_freed_the_key_for_another_is_unknown,
    a_deletion_whose_answer_is_cut_off_is_unknown,
    a_server_that_forgets_keys_is_refused,
    the_callers_clock_means_nothing,
    a_key_that_holds_something_else_is_an_error,
    what_tasks_were_told_while_connections_broke_fits_into_one_order,
);

/// In an earlier system a lost script made every check *new*, for good.
fn scripts_that_are_flushed_are_sent_again() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    for round in 0..20 {
        let name = format!("k{round}");
        let token = claim(&store, &name);
        server.admin(&["SCRIPT", "FLUSH"]).expect("flushed");
        is(&store, &name, InProgress);
        server.admin(&["SCRIPT", "FLUSH"]).expect("flushed");
        complete(&store, &name, &token).expect("done");
        server.admin(&["SCRIPT", "FLUSH"]).expect("flushed");
        is(&store, &name, Duplicate);
        assert_eq!(ask(&store, &name, "b").expect("an answer").result, Conflict);
    }
}

fn after_flushall_keys_are_new_and_old_owners_are_nobody() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    let token = claim(&store, "k");
    server.admin(&["FLUSHALL"]).expect("flushed");
    assert_eq!(complete(&store, "k", &token).expect_err("it is unknown").code(), "key_not_found");
    let again = ask(&store, "k", "b").expect("an answer");
    assert_eq!((again.result, again.attempt), (New, 1), "another request is no conflict with what is gone");
    assert_eq!(complete(&store, "k", &token).expect_err("it is another's").code(), "lease_lost");
}

fn what_an_append_only_file_holds_outlives_kill_9() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = connect(&server.url());
    assert_eq!(store.durability(), Durability::Always);
    server.admin(&["CONFIG", "SET", "appendfsync", "everysec"]).expect("set");
    assert_eq!(connect(&server.url()).durability(), Durability::AppendOnly);
    server.admin(&["CONFIG", "SET", "appendfsync", "always"]).expect("set");
    let (done, held) = (claim(&store, "done"), claim(&store, "held"));
    complete(&store, "done", &done).expect("done");
    for _ in 0..3 {
        server.kill();
        server.begin();
        assert_eq!(is(&store, "done", Duplicate).response, Some(Json::from("done")));
        is(&store, "held", InProgress);
        assert_eq!(ask(&store, "held", "b").expect("an answer").result, Conflict);
    }
    assert_eq!(complete(&store, "held", &held).expect("its bearer lives"), Recorded::Recorded);
}

fn without_one_nothing_does_and_nothing_is_a_conflict() {
    let mut server = Server::start(&[]);
    let store = connect(&server.url());
    assert_eq!(store.durability(), Durability::Volatile);
    let token = claim(&store, "k");
    server.kill();
    server.begin();
    assert_eq!(complete(&store, "k", &token).expect_err("it is unknown").code(), "key_not_found");
    assert_eq!(ask(&store, "k", "b").expect("an answer").result, New);
}

fn a_server_that_is_gone_is_an_error_and_never_new() {
    let mut server = Server::start(&["--appendonly", "yes"]);
    let store = connect(&server.url());
    claim(&store, "k");
    server.kill();
    for _ in 0..3 {
        let error = ask(&store, "other", "a").expect_err("nobody is there");
        assert!(matches!(error.code(), "unreachable" | "commit_unknown"), "{error:?}");
        assert!(error.is_retryable());
    }
    server.begin();
    is(&store, "k", InProgress);
    is(&store, "other", New);
    let nobody = RedisIdempotencyStore::connect(&format!("redis://127.0.0.1:{}", crate::real::free_port()), NAMESPACE);
    let error = nobody.expect_err("nobody is there");
    let told = (error.code(), error.detail());
    assert_eq!(told, ("unreachable", "Redis cannot be reached: the connection was refused"));
}

fn an_answer_that_takes_too_long_is_unknown() {
    let server = Server::start(&[]);
    let options = Options { timeout: Duration::from_millis(200), ..Options::default() };
    let hasty = RedisIdempotencyStore::connect_with(&server.url(), NAMESPACE, options).expect("the server answers");
    let patient = connect(&server.url());
    let token = claim(&patient, "known");
    // ALL would keep the end of the pause from being asked for, too; scripts wait in either mode.
    server.admin(&["CLIENT", "PAUSE", "3600000", "WRITE"]).expect("paused");
    refused(ask(&hasty, "k", "a"), "commit_unknown", Outcome::Unknown);
    let error = complete(&hasty, "known", &token).expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::Unknown);
    server.admin(&["CLIENT", "UNPAUSE"]).expect("it goes on");
    // What was asked may have been done meanwhile, or not: both are sound, and a second owner is not.
    let first = ask(&patient, "k", "a").expect("an answer").result;
    assert!(matches!(first, New | InProgress), "{first}");
    is(&patient, "k", InProgress);
    complete(&patient, "known", &token).expect("the same words again are taken");
    is(&patient, "known", Duplicate);
}

fn no_memory_left_is_not_applied_and_what_is_known_is_answered() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    let (done, held) = (claim(&store, "done"), claim(&store, "held"));
    complete(&store, "done", &done).expect("done");
    server.admin(&["CONFIG", "SET", "maxmemory", "1"]).expect("set");
    refused(ask(&store, "k", "a"), "storage_full", Outcome::NotApplied);
    is(&store, "done", Duplicate);
    is(&store, "held", InProgress);
    let error = complete(&store, "held", &held).expect_err("no room for the answer");
    assert_eq!((error.code(), error.outcome()), ("storage_full", Outcome::NotApplied));
    server.admin(&["CONFIG", "SET", "maxmemory", "0"]).expect("set");
    is(&store, "k", New);
    complete(&store, "held", &held).expect("there is room");
}

fn a_replica_takes_no_writes_and_a_promoted_one_does() {
    let (primary, replica) = (Server::start(&[]), Server::start(&[]));
    let (first, second) = (connect(&primary.url()), connect(&replica.url()));
    let done = claim(&first, "done");
    complete(&first, "done", &done).expect("done");
    let held = claim(&first, "held");
    let port = primary.port().to_string();
    replica.admin(&["REPLICAOF", "127.0.0.1", &port]).expect("it follows");
    primary.wait_for_its_replica("settled");
    refused(ask(&second, "k", "a"), "unreachable", Outcome::NotApplied);
    is(&second, "done", Duplicate);
    replica.admin(&["REPLICAOF", "NO", "ONE"]).expect("promoted");
    drop(primary);
    is(&second, "done", Duplicate);
    is(&second, "held", InProgress);
    assert_eq!(ask(&second, "held", "b").expect("an answer").result, Conflict);
    assert_eq!(complete(&second, "held", &held).expect("its token is known there"), Recorded::Recorded);
    is(&second, "k", New);
}

fn a_request_that_is_cut_off_is_sent_again() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port());
    let store = connect(&proxy.url());
    for round in 0..10 {
        proxy.cut_before();
        assert_eq!(is(&store, &format!("k{round}"), New).attempt, 1);
        is(&store, &format!("k{round}"), InProgress);
    }
}

fn an_answer_that_is_cut_off_gives_the_lease_to_its_own_caller_alone() {
    let server = Server::start(&[]);
    let (proxy, other) = (Proxy::start(server.port()), connect(&server.url()));
    let store = connect(&proxy.url());
    for round in 0..10 {
        let name = format!("k{round}");
        proxy.cut_after();
        let answer = is(&store, &name, New);
        assert_eq!(answer.attempt, 1, "it is the same giving");
        is(&other, &name, InProgress);
        complete(&store, &name, &answer.token.expect("a token")).expect("it holds the lease");
    }
}

fn an_end_whose_answer_is_cut_off_holds_once() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port());
    let store = connect(&proxy.url());
    // So that the script is known, and the answer that is cut off is that of the end.
    complete(&store, "other", &claim(&store, "other")).expect("done");
    for round in 0..10 {
        let name = format!("k{round}");
        let token = claim(&store, &name);
        proxy.cut_after();
        assert_eq!(complete(&store, &name, &token).expect("sent again"), Recorded::Duplicate);
        is(&store, &name, Duplicate);
    }
}

fn fail(store: &RedisIdempotencyStore, name: &str, token: &Token, retryable: bool) -> Result<Recorded> {
    block_on(store.mark_failed(&key(name), token, "why", retryable))
}

/// It was unknown, though the server had never seen it.
fn a_failure_over_a_closed_connection_is_sent_again() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    for (name, retryable, then) in [("again", true, New), ("good", false, Failed)] {
        let token = claim(&store, name);
        server.admin(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).expect("killed");
        assert_eq!(fail(&store, name, &token, retryable).expect("sent again"), Recorded::Recorded);
        is(&store, name, then);
    }
}

fn a_failure_whose_answer_is_cut_off_holds_once() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port());
    let store = connect(&proxy.url());
    fail(&store, "script-is-known", &claim(&store, "script-is-known"), true).expect("failed");
    for (name, retryable, then) in [("again", true, New), ("good", false, Failed)] {
        let token = claim(&store, name);
        proxy.cut_after();
        assert_eq!(fail(&store, name, &token, retryable).expect("sent again"), Recorded::Duplicate);
        is(&store, name, then);
    }
}

/// Told that it had lost the lease, its bearer would not know that it gave it up itself.
fn a_failure_that_freed_the_key_for_another_is_unknown() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port());
    let options = Options { timeout: Duration::from_secs(60), ..Options::default() };
    let store = RedisIdempotencyStore::connect_with(&proxy.url(), NAMESPACE, options).expect("the server answers");
    let other = connect(&server.url());
    fail(&store, "script-is-known", &claim(&store, "script-is-known"), true).expect("failed");
    let token = claim(&store, "k");
    proxy.hold(true);
    proxy.cut_after();
    let error = std::thread::scope(|scope| {
        let failing = scope.spawn(|| fail(&store, "k", &token, true));
        while ask(&other, "k", "a").expect("an answer").result != New {
            std::thread::yield_now();
        }
        proxy.hold(false);
        failing.join().expect("no panic").expect_err("it is another's")
    });
    assert_eq!((error.code(), error.outcome(), error.is_retryable()), ("commit_unknown", Outcome::Unknown, true));
    assert_eq!(fail(&store, "k", &token, true).expect_err("it is another's").code(), "lease_lost");
    is(&other, "k", InProgress);
}

/// Sent again, it would say that the key was unknown.
fn a_deletion_whose_answer_is_cut_off_is_unknown() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port());
    let store = connect(&proxy.url());
    claim(&store, "k");
    block_on(store.delete(&key("script-is-known"))).unwrap_or_else(|error| panic!("{error:?}"));
    proxy.cut_after();
    let error = block_on(store.delete(&key("k"))).expect_err("no answer");
    assert_eq!((error.code(), error.outcome()), ("commit_unknown", Outcome::Unknown));
    assert_eq!(is(&store, "k", New).attempt, 1);
}

fn a_server_that_forgets_keys_is_refused() {
    let server = Server::start(&[]);
    for policy in ["allkeys-lru", "volatile-ttl"] {
        server.admin(&["CONFIG", "SET", "maxmemory-policy", policy]).expect("set");
        let error = RedisIdempotencyStore::connect(&server.url(), NAMESPACE).expect_err("it forgets keys");
        assert_eq!(error.code(), "unsafe_store");
        assert!(error.detail().contains(policy) && error.detail().contains("noeviction"), "{error:?}");
    }
    server.admin(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).expect("set");
    connect(&server.url());
    for wrong in ["", "a b", "x\n"] {
        let error = RedisIdempotencyStore::connect(&server.url(), wrong).expect_err("no namespace");
        assert_eq!((error.code(), error.path()), ("invalid_id", Some("/namespace")));
    }
}

fn the_callers_clock_means_nothing() {
    let server = Server::start(&[]);
    let of = |hours: i64| {
        let sources = ManualSources::default();
        sources.advance(hours * 3_600_000_000_000);
        // Each draws tokens of its own.
        (0..=hours).for_each(|_| sources.random(&mut [0]));
        let options = Options { source: Source::new(sources), ..Options::default() };
        RedisIdempotencyStore::connect_with(&server.url(), NAMESPACE, options).expect("the server answers")
    };
    let (early, late) = (of(-1), of(1));
    let token = claim(&early, "k");
    let meanwhile = is(&late, "k", InProgress);
    assert!(meanwhile.retry_after_ms.expect("when to come back") <= Terms::default().lease_ms);
    assert_eq!(
        block_on(early.get_status(&key("k"))).expect("readable"),
        block_on(late.get_status(&key("k"))).expect("readable")
    );
    complete(&early, "k", &token).expect("done");
    is(&late, "k", Duplicate);
}

fn a_key_that_holds_something_else_is_an_error() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    server.admin(&["RPUSH", "tk:{faults/k}:idem", "x"]).expect("pushed");
    server.admin(&["SET", "tk:{faults/t}:idem", "not packed"]).expect("set");
    for name in ["k", "t"] {
        let error = ask(&store, name, "a").expect_err("it is no record");
        assert_eq!((error.code(), error.outcome()), ("corrupt", Outcome::NotApplied), "{name}: {error:?}");
    }
}

/// Four tasks, each through a proxy of its own that breaks now and then. Nobody deletes: a check that is sent again after its
/// answer got lost would claim the key once more, where the first claim was deleted meanwhile.
fn what_tasks_were_told_while_connections_broke_fits_into_one_order() {
    let server = Server::start(&[]);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let proxy = Proxy::start(server.port());
            let store = connect(&proxy.url());
            (proxy, store)
        })
        .collect();
    for round in 0..60u32 {
        let (name, clock, history) = (key(&format!("k{round}")), AtomicU64::new(0), Mutex::new(Vec::new()));
        let start = Barrier::new(tasks.len());
        std::thread::scope(|scope| {
            for (task, (proxy, store)) in (0u32..).zip(&tasks) {
                let (name, clock, history, start) = (&name, &clock, &history, &start);
                scope.spawn(move || {
                    start.wait();
                    let calls = wander(store, proxy, name, task + round, clock);
                    history.lock().expect("no panic").extend(calls);
                });
            }
        });
        let history = history.into_inner().expect("no panic");
        assert!(linear::fits(&history), "no order explains what was told: {history:#?}");
    }
}

fn wander(store: &RedisIdempotencyStore, proxy: &Proxy, name: &Key, task: u32, clock: &AtomicU64) -> Vec<Call> {
    let (mut calls, mut held) = (Vec::new(), None::<Token>);
    for step in 0..4u32 {
        match (task + 3 * step) % 7 {
            0 => proxy.cut_before(),
            1 | 2 => proxy.cut_after(),
            _ => {}
        }
        let asked = match (held, (task + step) % 5) {
            (Some(token), 0) => Asked::Complete { token, response: "1" },
            (Some(token), 1) => Asked::Renew { token },
            (Some(token), other) => Asked::Fail { token, retryable: other % 2 == 0 },
            (None, other) => Asked::Check { request: if other == 3 { "b" } else { "a" } },
        };
        let begin = clock.fetch_add(1, Ordering::SeqCst);
        let said = match asked {
            Asked::Check { request: sent } => {
                Said::checked(block_on(store.check(name, &request(sent), &Terms::default())))
            }
            Asked::Complete { token, .. } => Said::marked(block_on(store.mark_completed(name, &token, &one()))),
            Asked::Fail { token, retryable } => {
                Said::marked(block_on(store.mark_failed(name, &token, "no", retryable)))
            }
            Asked::Renew { token } => Said::renewed(block_on(store.renew(name, &token))),
            Asked::Delete => Said::deleted(block_on(store.delete(name))),
        };
        let end = Some(clock.fetch_add(1, Ordering::SeqCst));
        held = match (&asked, &said) {
            (_, Said::New { token, .. }) => Some(*token),
            (Asked::Renew { .. }, Said::Ok) | (Asked::Check { .. }, _) => held,
            _ => None,
        };
        // An end that was sent twice says duplicate where it was the one that ended it: it happened, once.
        let said = match said {
            Said::Unknown | Said::Marked(Recorded::Duplicate) => None,
            said => Some(said),
        };
        calls.push(Call { begin, end, asked, said });
    }
    calls
}

fn one() -> Json {
    Json::parse("1").expect("JSON")
}
