//! Faults in a cluster, for real.

use std::sync::atomic::{AtomicU32, Ordering};

use tracekeep_core::json::Json;
use tracekeep_store::gate::{IdempotencyResult, IdempotencyStore, Terms};
use tracekeep_store::{Outcome, Recorded, block_on};
use tracekeep_store_redis::{ArbitratedGate, Durability, RedisIdempotencyStore};

use crate::arbitrated;
use crate::calls::{NAMESPACE, ask, claim, complete, connect, is, key, sooner_or_later};
use crate::cluster::{self, Cluster};
use crate::proxy::Proxy;
use crate::real::Server;

use IdempotencyResult::{Conflict, Duplicate, InProgress, New};

faults!("clustered":
    a_promoted_replica_knows_what_it_was_sent,
    with_an_arbiter_a_lost_primary_makes_no_second_new,
    what_may_not_run_twice_is_not_sent_again,
    what_may_run_twice_is_sent_again,
    each_node_is_asked_what_it_keeps,
    a_node_that_does_not_know_its_own_host_is_asked_what_it_keeps,
);

fn behind() -> (Server, Proxy) {
    let mut proxy = None;
    let server = cluster::alone_behind(|port| proxy.insert(Proxy::start(port)).port());
    (server, proxy.expect("it was started"))
}

/// A cluster whose replicas can be promoted, and a gate in it whose calls end within two seconds.
fn cluster() -> (Cluster, RedisIdempotencyStore) {
    let cluster = Cluster::start().in_sync();
    let store = RedisIdempotencyStore::connect(&cluster.url(), NAMESPACE).expect("the cluster answers");
    (cluster, store)
}

fn a_promoted_replica_knows_what_it_was_sent() {
    let (mut cluster, store) = cluster();
    complete(&store, "k", &claim(&store, "k")).expect("done");
    let owner = cluster.owner_of("tk:{faults/k}:idem");
    owner.wait_for_its_replica("tk:{faults/k}:settled");
    owner.kill();
    assert_eq!(sooner_or_later(&store, "k"), Duplicate);
    // The primary that is gone stays among the nodes, without slots: nothing could start.
    let another = || RedisIdempotencyStore::connect(&cluster.url(), NAMESPACE);
    let another = (0..50).map(|_| another()).find_map(Result::ok).expect("who comes after a failover is let in");
    assert_eq!(sooner_or_later(&another, "k"), Duplicate);
}

/// Each of eight tasks asks for every key and does what is new to it; meanwhile the primary of one of them is killed.
fn with_an_arbiter_a_lost_primary_makes_no_second_new() {
    const KEYS: usize = 400;
    let ((mut cluster, store), folder) = (cluster(), tempfile::tempdir().expect("a folder"));
    let gate = ArbitratedGate::new(store, arbitrated::ledger(&folder));
    let (news, asked) = ([const { AtomicU32::new(0) }; KEYS], AtomicU32::new(0));
    let name = |place: usize| format!("k{place}");
    std::thread::scope(|scope| {
        let work = |task: usize| {
            let (gate, news, asked) = (&gate, &news, &asked);
            scope.spawn(move || {
                for place in (0..KEYS).map(|place| (place + task * 17) % KEYS) {
                    asked.fetch_add(1, Ordering::SeqCst);
                    let answer = match ask(gate, &name(place), "a") {
                        Ok(answer) => answer,
                        Err(error) => {
                            assert!(error.is_retryable(), "{error:?}");
                            continue;
                        }
                    };
                    assert_ne!(answer.result, Conflict, "no false conflict");
                    if let Some(token) = answer.token {
                        news[place].fetch_add(1, Ordering::SeqCst);
                        complete(gate, &name(place), &token).expect("the arbiter is well");
                    }
                }
            })
        };
        let tasks: Vec<_> = (0..8).map(work).collect();
        while asked.load(Ordering::SeqCst) < 800 && !tasks.iter().any(|task| task.is_finished()) {
            std::thread::yield_now();
        }
        cluster.owner_of("tk:{faults/k7}:idem").kill();
    });
    let told = |place: usize| sooner_or_later(&gate, &name(place));
    let news = news.map(AtomicU32::into_inner);
    assert!(news.iter().all(|times| *times <= 1), "a key was new twice: {news:?}");
    // Of some keys all eight may have asked while nobody answered: those are claimed by nobody who knows it, or free.
    let (done, left): (Vec<_>, Vec<_>) = (0..KEYS).partition(|place| news[*place] == 1);
    assert!(done.len() > KEYS / 2, "{} of {KEYS}", done.len());
    // Of an end that the lost primary was not told of, until the lease is over.
    assert!(done.iter().all(|place| matches!(told(*place), Duplicate | InProgress)), "what is done is not new");
    assert!(left.iter().all(|place| matches!(told(*place), New | InProgress)), "what nobody did is not done");
    gate.redis().shift_clock_ms(Terms::default().lease_ms.cast_signed());
    assert!(done.iter().all(|place| told(*place) == Duplicate), "all of it was done");
}

/// The client of a cluster sent by itself again what a connection broke under: a deletion then took away the next owner's
/// claim, and its key was new to a second one.
fn what_may_not_run_twice_is_not_sent_again() {
    let (_server, proxy) = behind();
    let store = connect(&proxy.cluster_url());
    claim(&store, "the-script-is-known");
    block_on(store.delete(&key("the-script-is-known"))).expect("it is gone");
    claim(&store, "deleted");
    proxy.cut_after();
    let error = block_on(store.delete(&key("deleted"))).expect_err("no answer");
    assert_eq!((error.code(), error.outcome()), ("commit_unknown", Outcome::Unknown), "{error:?}");
    is(&store, "deleted", New);
}

fn what_may_run_twice_is_sent_again() {
    let (_server, proxy) = behind();
    let store = connect(&proxy.cluster_url());
    for round in 0..10 {
        let name = format!("k{round}");
        proxy.cut_before();
        let answer = is(&store, &name, New);
        assert_eq!(answer.attempt, 1);
        is(&store, &name, InProgress);
        proxy.cut_after();
        let said = complete(&store, &name, &answer.token.expect("a token")).expect("sent again");
        assert!(matches!(said, Recorded::Duplicate | Recorded::Recorded), "{said}");
        assert_eq!(is(&store, &name, Duplicate).response, Some(Json::from("done")));
        let again = format!("again{round}");
        let token = claim(&store, &again);
        proxy.cut_after();
        let said = block_on(store.mark_failed(&key(&again), &token, "no", true)).expect("sent again");
        assert!(matches!(said, Recorded::Duplicate | Recorded::Recorded), "{said}");
        is(&store, &again, New);
    }
}

/// One node at random was asked: a cluster was durable by chance.
fn each_node_is_asked_what_it_keeps() {
    let cluster = Cluster::start().in_sync();
    let set = |place: usize, name: &str, value: &str| {
        cluster.node(place).admin(&["CONFIG", "SET", name, value]).expect("set");
    };
    let durability = || RedisIdempotencyStore::connect(&cluster.url(), NAMESPACE).map(|store| store.durability());
    for place in 0..6 {
        set(place, "appendonly", "yes");
        set(place, "appendfsync", "always");
    }
    assert_eq!(durability().expect("the cluster answers"), Durability::Always);
    for place in 0..6 {
        set(place, "appendfsync", "everysec");
        assert_eq!(
            durability().expect("the cluster answers"),
            Durability::AppendOnly,
            "node {place} syncs each second"
        );
        set(place, "appendfsync", "always");
        set(place, "maxmemory-policy", "allkeys-lru");
        assert_eq!(durability().expect_err("it forgets").code(), "unsafe_store", "node {place} forgets keys");
        set(place, "maxmemory-policy", "noeviction");
    }
}

/// A cluster of one that announces no host was not asked, and so was taken for durable.
fn a_node_that_does_not_know_its_own_host_is_asked_what_it_keeps() {
    let server = cluster::alone();
    let known = server.admin(&["CLUSTER", "NODES"]).expect("it knows itself");
    assert!(format!("{known:?}").contains(&format!(" :{}@", server.port())), "{known:?}");
    let store = RedisIdempotencyStore::connect(&server.cluster_url(), NAMESPACE).expect("the cluster answers");
    assert_eq!(store.durability(), Durability::Volatile);
    server.admin(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).expect("set");
    let error = RedisIdempotencyStore::connect(&server.cluster_url(), NAMESPACE).expect_err("it forgets");
    assert_eq!(error.code(), "unsafe_store", "{error:?}");
}
