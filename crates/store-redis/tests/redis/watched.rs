//! A primary, its replica and three sentinels, all real: a failover.

use std::sync::Barrier;

use tracekeep_store::Outcome;
use tracekeep_store::gate::IdempotencyResult;
use tracekeep_store_redis::{ArbitratedGate, Durability, RedisIdempotencyStore};

use crate::arbitrated;
use crate::calls::{NAMESPACE, ask, claim, complete, is, sooner_or_later};
use crate::proxy::Proxy;
use crate::real::Server;

use IdempotencyResult::{Duplicate, InProgress};

faults!("watched":
    sentinels_name_the_primary_and_the_next_one,
    a_failover_that_loses_everything_makes_no_second_new_with_an_arbiter,
    a_promoted_replica_that_keeps_less_is_refused,
    callers_wait_for_a_primary_together_and_not_in_turn,
    a_connection_that_broke_is_made_again_once_for_all,
);

const NO_PRIMARY: &str = "Redis cannot be reached: no primary is named by the sentinels, or it does not answer";

struct Watched {
    primary: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl Watched {
    fn start() -> Self {
        let primary = Server::start(&[]);
        let port = primary.port().to_string();
        let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {port}")]);
        let sentinels = (0..3).map(|_| Server::sentinel(&primary)).collect();
        let watched = Self { primary, replica, sentinels };
        watched.wait_for("the sentinels know each other and the replica", |info| {
            info.contains("slaves=1") && info.contains("sentinels=3")
        });
        watched.primary.wait_for_its_replica("settled");
        watched
    }

    fn wait_for(&self, what: &str, fits: impl Fn(&str) -> bool) {
        let all = || {
            self.sentinels.iter().all(|sentinel| match sentinel.admin(&["INFO", "sentinel"]) {
                Ok(redis::Value::BulkString(info)) => fits(&String::from_utf8_lossy(&info)),
                _ => false,
            })
        };
        assert!((0..30_000).any(|_| all()), "{what}");
    }

    fn url(&self) -> String {
        let places: Vec<_> = self.sentinels.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis+sentinel://{}/gate", places.join(","))
    }
}

fn sentinels_name_the_primary_and_the_next_one() {
    let mut watched = Watched::start();
    let store = RedisIdempotencyStore::connect(&watched.url(), NAMESPACE).expect("the primary answers");
    complete(&store, "done", &claim(&store, "done")).expect("done");
    let held = claim(&store, "held");
    watched.primary.wait_for_its_replica("settled");
    watched.primary.kill();
    assert_eq!(sooner_or_later(&store, "done"), Duplicate);
    is(&store, "held", InProgress);
    complete(&store, "held", &held).expect("its token is known there");
    let nobody = watched.url().replace("/gate", "/nobody");
    let error = RedisIdempotencyStore::connect(&nobody, NAMESPACE).expect_err("they watch nothing of that name");
    assert_eq!((error.code(), error.detail()), ("unreachable", NO_PRIMARY));
    for wrong in ["redis+sentinel://", "redis+sentinel://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/"] {
        let error = RedisIdempotencyStore::connect(wrong, NAMESPACE).expect_err("no address");
        assert_eq!(error.code(), "invalid_parameter", "{wrong}");
    }
}

fn a_failover_that_loses_everything_makes_no_second_new_with_an_arbiter() {
    let mut watched = Watched::start();
    let folder = tempfile::tempdir().expect("a folder");
    let store = RedisIdempotencyStore::connect(&watched.url(), NAMESPACE).expect("the primary answers");
    let gate = ArbitratedGate::new(store, arbitrated::ledger(&folder));
    complete(&gate, "done", &claim(&gate, "done")).expect("done");
    claim(&gate, "held");
    watched.primary.kill();
    let promoted = || ask(&gate, "other", "a").is_ok();
    assert!((0..60).any(|_| promoted()), "the replica is promoted");
    watched.replica.admin(&["FLUSHALL"]).expect("it lacks everything");
    is(&gate, "done", Duplicate);
    is(&gate, "held", InProgress);
}

/// What the first primary promised was taken for what the next one keeps.
fn a_promoted_replica_that_keeps_less_is_refused() {
    let mut watched = Watched::start();
    watched.primary.admin(&["CONFIG", "SET", "appendonly", "yes"]).expect("set");
    let store = RedisIdempotencyStore::connect(&watched.url(), NAMESPACE).expect("the primary answers");
    assert_eq!(store.durability(), Durability::AppendOnly);
    claim(&store, "k");
    watched.primary.kill();
    let answer = (0..60).map(|_| ask(&store, "k", "a")).find_map(|answer| match answer {
        Err(error) if error.is_retryable() => None,
        answer => Some(answer),
    });
    let error = answer.expect("it is promoted").expect_err("it keeps nothing");
    assert_eq!((error.code(), error.outcome()), ("unsafe_store", Outcome::NotApplied), "{error:?}");
    watched.replica.admin(&["CONFIG", "SET", "appendonly", "yes"]).expect("set");
    assert_ne!(sooner_or_later(&store, "k"), IdempotencyResult::Conflict, "it is asked again");
}

/// Each asked the sentinels after the one before it had given up: the sixteenth was answered after sixteen times as long.
fn callers_wait_for_a_primary_together_and_not_in_turn() {
    const CALLERS: usize = 16;
    let mut primary = Server::start(&[]);
    let sentinel = Server::sentinel(&primary);
    let proxy = Proxy::start(sentinel.port());
    let url = format!("redis+sentinel://127.0.0.1:{}/gate", proxy.port());
    let store = RedisIdempotencyStore::connect(&url, NAMESPACE).expect("the primary answers");
    claim(&store, "k");
    sentinel.signal("-STOP");
    primary.kill();
    let (before, start) = (proxy.passed(), Barrier::new(CALLERS));
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                start.wait();
                let error = ask(&store, "k", "a").expect_err("nobody is there");
                assert!(error.is_retryable(), "{error:?}");
                assert!(error.code() == "commit_unknown" || error.detail() == NO_PRIMARY, "{error:?}");
            });
        }
    });
    let asked = proxy.passed() - before;
    assert!(asked < CALLERS as u64, "the sentinel was asked {asked} times");
    sentinel.signal("-CONT");
}

fn a_connection_that_broke_is_made_again_once_for_all() {
    const CALLERS: usize = 16;
    let primary = Server::start(&[]);
    let sentinel = Server::sentinel(&primary);
    let url = format!("redis+sentinel://127.0.0.1:{}/gate", sentinel.port());
    let store = RedisIdempotencyStore::connect(&url, NAMESPACE).expect("the primary answers");
    claim(&store, "k");
    let connections = || match primary.admin(&["INFO", "stats"]) {
        Ok(redis::Value::BulkString(info)) => {
            let info = String::from_utf8_lossy(&info).into_owned();
            let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
            line.and_then(|count| count.trim().parse::<usize>().ok()).expect("a count")
        }
        other => panic!("{other:?}"),
    };
    let (before, start) = (connections(), Barrier::new(CALLERS));
    primary.admin(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).expect("killed");
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                start.wait();
                is(&store, "k", InProgress);
            });
        }
    });
    let made = connections() - before;
    assert!(made < CALLERS, "{made} connections were made");
}
