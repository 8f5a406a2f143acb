//! Whoever calls: a thread that waits, a task of any runtime, another executor. Each has a connection of its own.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tracekeep_store::gate::{IdempotencyResponse, IdempotencyResult, IdempotencyStore, Terms};
use tracekeep_store::{Outcome, Result, block_on};
use tracekeep_store_redis::{Durability, Options, RedisIdempotencyStore};

use crate::calls::{NAMESPACE, connect, key, request};
use crate::real::Server;

use IdempotencyResult::{InProgress, New};

faults!("callers":
    whoever_calls_meets_the_same_gate,
    each_caller_finds_a_server_that_is_back,
    each_caller_finds_a_server_that_goes_on_after_it_was_stopped,
    a_server_that_keeps_less_after_a_restart_is_refused,
    a_server_that_forgets_keys_after_a_restart_is_refused,
    connections_end_with_their_runtimes,
);

/// The ways to call.
struct Callers {
    threads: Runtime,
    alone: Runtime,
}

const WAYS: [&str; 5] =
    ["a thread", "a task among threads", "a task alone", "a thread that is a runtime", "an executor"];

impl Callers {
    fn new() -> Self {
        let threads = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        Self { threads, alone: alone() }
    }

    fn ask(&self, way: &str, store: &Arc<RedisIdempotencyStore>, name: &str) -> Result<IdempotencyResponse> {
        let (store, name) = (Arc::clone(store), key(name));
        let asked = async move { store.check(&name, &request("a"), &Terms::default()).await };
        match way {
            "a thread" => block_on(asked),
            "a task among threads" => self.threads.block_on(self.threads.spawn(asked)).expect("no panic"),
            "a task alone" => self.alone.block_on(asked),
            "a thread that is a runtime" => self.alone.block_on(async { block_on(asked) }),
            _ => by_polling(asked),
        }
    }
}

fn alone() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// An executor that nobody knows.
fn by_polling<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        std::thread::yield_now();
    }
}

fn whoever_calls_meets_the_same_gate() {
    let (server, callers) = (Server::start(&[]), Callers::new());
    let store = Arc::new(connect(&server.url()));
    for first in WAYS {
        assert_eq!(callers.ask(first, &store, first.replace(' ', "-").as_str()).expect("an answer").result, New);
        for way in WAYS {
            let answer = callers.ask(way, &store, first.replace(' ', "-").as_str()).expect("an answer");
            assert_eq!(answer.result, InProgress, "{way} after {first}");
        }
        server.admin(&["SCRIPT", "FLUSH"]).expect("flushed");
    }
}

fn each_caller_finds_a_server_that_is_back() {
    let (mut server, callers) = (Server::start(&["--appendonly", "yes", "--appendfsync", "always"]), Callers::new());
    let store = Arc::new(connect(&server.url()));
    for way in WAYS {
        assert_eq!(callers.ask(way, &store, way.replace(' ', "-").as_str()).expect("an answer").result, New);
    }
    server.kill();
    for way in WAYS {
        let error = callers.ask(way, &store, "other").expect_err("nobody is there");
        assert!(matches!(error.code(), "unreachable" | "commit_unknown"), "{error:?}");
        let error = callers.ask(way, &store, "other").expect_err("nobody is there still");
        assert_eq!((error.code(), error.outcome()), ("unreachable", Outcome::NotApplied), "{way}: {error:?}");
        assert_eq!(error.detail(), "Redis cannot be reached: the connection was refused", "{way}");
    }
    server.begin();
    for way in WAYS {
        let answer = callers.ask(way, &store, way.replace(' ', "-").as_str()).expect("an answer");
        assert_eq!(answer.result, InProgress, "{way}");
    }
}

/// An attempt to connect goes on only while somebody drives it. In an earlier form a call was told of the failure of one that
/// had begun, and run out of time, long before it.
fn each_caller_finds_a_server_that_goes_on_after_it_was_stopped() {
    let (server, callers) = (Server::start(&[]), Callers::new());
    let options = Options { timeout: Duration::from_secs(1), ..Options::default() };
    let store = RedisIdempotencyStore::connect_with(&server.url(), NAMESPACE, options).expect("the server answers");
    let store = Arc::new(store);
    for way in WAYS {
        assert_eq!(callers.ask(way, &store, way.replace(' ', "-").as_str()).expect("an answer").result, New);
    }
    server.signal("-STOP");
    for way in WAYS {
        let error = callers.ask(way, &store, "other").expect_err("it is stopped");
        assert!(matches!(error.code(), "unreachable" | "commit_unknown"), "{error:?}");
        let error = callers.ask(way, &store, "other").expect_err("it is stopped still");
        assert_eq!((error.code(), error.outcome()), ("unreachable", Outcome::NotApplied), "{way}: {error:?}");
        assert_eq!(error.detail(), "Redis cannot be reached: it did not answer in time", "{way}");
    }
    server.signal("-CONT");
    server.admin(&["PING"]).expect("it goes on");
    for way in WAYS {
        let answer = callers.ask(way, &store, way.replace(' ', "-").as_str());
        assert_eq!(answer.expect("the first call is answered").result, InProgress, "{way}");
    }
}

/// In an earlier form only the first connection was asked what its server keeps.
fn refused_after(settings: &[&str], says: &str) {
    let kept = ["--appendonly", "yes", "--appendfsync", "always"];
    let (mut server, callers) = (Server::start(&kept), Callers::new());
    let store = Arc::new(connect(&server.url()));
    assert_eq!(store.durability(), Durability::Always);
    for way in WAYS {
        assert_eq!(callers.ask(way, &store, way.replace(' ', "-").as_str()).expect("an answer").result, New);
    }
    server.restart(settings);
    for way in WAYS {
        // The first call may have been on its way when the old connection was found to be broken.
        let _ = callers.ask(way, &store, "other");
        let error = callers.ask(way, &store, "other").expect_err("it is not what it was");
        assert_eq!((error.code(), error.outcome()), ("unsafe_store", Outcome::NotApplied), "{way}: {error:?}");
        assert!(error.detail().contains(says), "{error:?}");
    }
    server.restart(&kept);
    for way in WAYS {
        assert_eq!(callers.ask(way, &store, "other-after").expect("it is what it was").attempt, 1, "{way}");
    }
}

fn a_server_that_keeps_less_after_a_restart_is_refused() {
    refused_after(&[], "appendonly");
    refused_after(&["--appendonly", "yes", "--appendfsync", "everysec"], "appendfsync");
}

fn a_server_that_forgets_keys_after_a_restart_is_refused() {
    let settings =
        ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    refused_after(&settings, "noeviction");
}

fn connections_end_with_their_runtimes() {
    let server = Server::start(&[]);
    let store = connect(&server.url());
    let connections = || match server.admin(&["CLIENT", "LIST"]).expect("it answers") {
        redis::Value::BulkString(list) => list.iter().filter(|byte| **byte == b'\n').count(),
        redis::Value::VerbatimString { text, .. } => text.lines().count(),
        other => panic!("{other:?} is no list"),
    };
    for round in 0..20 {
        let asked = alone().block_on(store.check(&key(&format!("k{round}")), &request("a"), &Terms::default()));
        assert_eq!(asked.expect("an answer").result, New);
    }
    // The store's own, the one that counts, and what the server has not heard of yet.
    let last = (0..1_000).map(|_| connections()).find(|count| *count <= 3);
    assert!(last.is_some(), "{} are left", connections());
}
