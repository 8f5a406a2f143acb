//! Faults in a cluster, for real.

use tracekeep_core::json::Json;
use tracekeep_store::gate::{IdempotencyResult, IdempotencyStore};
use tracekeep_store::{Outcome, Recorded, block_on};

use crate::calls::{claim, complete, connect, is, key};
use crate::cluster;
use crate::proxy::Proxy;
use crate::real::Server;

use IdempotencyResult::{Duplicate, InProgress, New};

faults!("clustered":
    what_may_not_run_twice_is_not_sent_again,
    what_may_run_twice_is_sent_again,
);

fn behind() -> (Server, Proxy) {
    let mut proxy = None;
    let server = cluster::alone_behind(|port| proxy.insert(Proxy::start(port)).port());
    (server, proxy.expect("it was started"))
}

/// The client of a cluster sent by itself again what a connection broke under: a deletion then took away the next owner's
/// claim, and its key was new to a second one.
fn what_may_not_run_twice_is_not_sent_again() {
    let (_server, proxy) = behind();
    let store = connect(&proxy.cluster_url());
    for name in ["deleted", "failed"] {
        let token = claim(&store, "the-script-is-known");
        block_on(store.mark_failed(&key("the-script-is-known"), &token, "no", true)).expect("it is released");
        block_on(store.delete(&key("the-script-is-known"))).expect("it is gone");
        let token = claim(&store, name);
        proxy.cut_after();
        let error = match name {
            "deleted" => block_on(store.delete(&key(name))).map(drop).expect_err("no answer"),
            _ => block_on(store.mark_failed(&key(name), &token, "no", true)).map(drop).expect_err("no answer"),
        };
        assert_eq!((error.code(), error.outcome()), ("commit_unknown", Outcome::Unknown), "{name}: {error:?}");
        is(&store, name, New);
    }
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
    }
}
