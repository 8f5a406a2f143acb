//! TLS to one server, behind sentinels and in a cluster: whose certificate is taken.

use std::sync::Arc;

use tracekeep_store::gate::IdempotencyResult;
use tracekeep_store::{AuditStore, Result};
use tracekeep_store_redis::{AuditOptions, Options, RedisAuditStore, RedisIdempotencyStore};

use crate::authority::Authority;
use crate::calls::{NAMESPACE, claim, complete, is};
use crate::cluster::{self, Cluster};
use crate::real::Server;

faults!("tls":
    the_ca_that_is_named_is_trusted_and_no_other,
    in_a_cluster_every_node_is_asked_over_tls,
    a_node_of_a_cluster_is_called_by_the_name_that_it_announces,
    sentinels_and_the_primary_they_name_are_asked_over_tls,
    what_turns_tls_on_is_one_word,
    certificates_are_always_checked,
    one_end_in_the_clear_is_told,
);

fn connect(url: &str, ca: Option<&Authority>) -> Result<RedisIdempotencyStore> {
    let options = Options { ca: ca.map(Authority::ca), ..Options::default() };
    RedisIdempotencyStore::connect_with(url, NAMESPACE, options)
}

/// Holds for any number of servers behind one address.
#[track_caller]
fn is_trusted_by_its_ca_alone(url: &str, authority: &Authority) {
    let gate = connect(url, Some(authority)).unwrap_or_else(|error| panic!("{error:?}"));
    complete(&gate, "k", &claim(&gate, "k")).expect("done");
    is(&gate, "k", IdempotencyResult::Duplicate);
    for ca in [Some(Authority::new()), None] {
        let error = connect(url, ca.as_ref()).expect_err("nobody vouches for it");
        assert_eq!((error.code(), error.is_retryable()), ("unsafe_store", false), "{error:?}");
        assert!(error.detail().contains("UnknownIssuer"), "{}", error.detail());
    }
}

fn the_ca_that_is_named_is_trusted_and_no_other() {
    let authority = Arc::new(Authority::new());
    let server = Server::start_over_tls(&[], &authority);
    is_trusted_by_its_ca_alone(&server.url(), &authority);
    let options = AuditOptions { ca: Some(authority.ca()), ..AuditOptions::default() };
    let audit = RedisAuditStore::connect_with(&server.url(), NAMESPACE, options).expect("trusted");
    assert!(!audit.is_durable());
    let error = RedisAuditStore::connect(&server.url(), NAMESPACE).expect_err("nobody vouches for it");
    assert_eq!(error.code(), "unsafe_store");
}

fn in_a_cluster_every_node_is_asked_over_tls() {
    let authority = Arc::new(Authority::new());
    let cluster = Cluster::start_over_tls(&authority);
    assert!(cluster.url().starts_with("rediss+cluster://"));
    is_trusted_by_its_ca_alone(&cluster.url(), &authority);
}

fn sentinels_and_the_primary_they_name_are_asked_over_tls() {
    let authority = Arc::new(Authority::new());
    let primary = Server::start_over_tls(&[], &authority);
    let sentinel = Server::sentinel(&primary);
    let url = format!("rediss+sentinel://127.0.0.1:{}/gate", sentinel.port());
    is_trusted_by_its_ca_alone(&url, &authority);
}

fn certificates_are_always_checked() {
    let elsewhere = Arc::new(Authority::of("redis.example"));
    let server = Server::start_over_tls(&[], &elsewhere);
    let port = server.port();
    let error = connect(&format!("rediss://127.0.0.1:{port}"), Some(&elsewhere)).expect_err("it is another place's");
    assert_eq!(error.code(), "unsafe_store", "{error:?}");
    for form in ["rediss://", "rediss+cluster://"] {
        let error = connect(&format!("{form}127.0.0.1:{port}#insecure"), Some(&elsewhere)).expect_err("checked");
        assert_eq!(error.code(), "invalid_parameter", "{form}: {error:?}");
    }
    for ca in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let options = Options { ca: Some(ca.as_bytes().to_vec()), ..Options::default() };
        let error = RedisIdempotencyStore::connect_with(&server.url(), NAMESPACE, options).expect_err("no CA");
        assert_eq!(error.code(), "invalid_parameter", "{ca}: {error:?}");
    }
}

fn one_end_in_the_clear_is_told() {
    let authority = Arc::new(Authority::new());
    let (over_tls, in_the_clear) = (Server::start_over_tls(&[], &authority), Server::start(&[]));
    let ports = [over_tls.port(), in_the_clear.port()];
    for form in ["://HERE", "+cluster://HERE"] {
        let url = |scheme: &str, port: u16| format!("{scheme}{}", form.replace("HERE", &format!("127.0.0.1:{port}")));
        let error = connect(&url("redis", ports[0]), None).expect_err("it speaks TLS");
        assert_eq!(error.code(), "unreachable", "{error:?}");
        assert!(error.detail().contains("is rediss:// meant"), "{form}: {error:?}");
        let error = connect(&url("rediss", ports[1]), Some(&authority)).expect_err("it speaks no TLS");
        assert_eq!(error.code(), "unreachable", "{error:?}");
        assert!(error.detail().contains("is redis:// meant"), "{form}: {error:?}");
    }
    let error = connect(&in_the_clear.url(), Some(&authority)).expect_err("a CA is for TLS");
    assert_eq!(error.code(), "invalid_parameter", "{error:?}");
}

/// It was called by its address, which its certificate is not for.
fn a_node_of_a_cluster_is_called_by_the_name_that_it_announces() {
    let authority = Arc::new(Authority::of("localhost"));
    let node = cluster::alone_by_name(&authority);
    is_trusted_by_its_ca_alone(&node.cluster_url(), &authority);
}

/// For sentinels and clusters TLS was off under any other word for it, and the password went out in the clear.
fn what_turns_tls_on_is_one_word() {
    let in_the_clear = Server::start(&[]);
    for scheme in ["valkeys", "valkey", "REDISS", "Rediss", "REDIS", "redissx", "rediss3", "tls", ""] {
        for form in ["", "+cluster", "+sentinel"] {
            let url = format!("{scheme}{form}://user:secret@127.0.0.1:{}/gate", in_the_clear.port());
            let error = connect(&url, None).expect_err("it is no word for it");
            assert_eq!(error.code(), "invalid_parameter", "{scheme}{form}: {error:?}");
            assert!(error.detail().contains("rediss://"), "{scheme}{form}: {}", error.detail());
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
    for scheme in ["redis+tls", "rediss+", "redis+Cluster", "redis+cluster+sentinel"] {
        let error = connect(&format!("{scheme}://127.0.0.1:{}/gate", in_the_clear.port()), None).expect_err("unknown");
        assert_eq!(error.code(), "invalid_parameter", "{scheme}: {error:?}");
    }
}
