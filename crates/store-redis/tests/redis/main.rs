//! The gate's suite over a real redis-server and a real cluster, and what it answers when that server fails.

#[macro_use]
mod calls;
mod arbitrated;
mod audits;
mod authority;
mod callers;
mod cluster;
mod clustered;
mod faults;
mod fronted;
mod proxy;
mod real;
mod stopped;
mod tls;
mod watched;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use cluster::Cluster;
use real::Server;
use tracekeep_conformance::{GateHarness, GateInstance};
use tracekeep_store::gate::{IdempotencyStore, Rules};
use tracekeep_store_redis::{Options, RedisIdempotencyStore};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(stopped::HOLDER) {
        return stopped::hold(&words.next().expect("the server's address"));
    }
    if let Ok(told) = std::env::var(audits::WORKER) {
        audits::work(&told);
        return ExitCode::SUCCESS;
    }
    // Before any server is started: where they cannot be read, the process ends here.
    let arguments = libtest_mimic::Arguments::from_args();
    let (server, cluster) = (Server::start(&[]), Cluster::start());
    let over = |url: String| Redis { url, namespaces: AtomicU32::new(0) };
    let mut trials = tracekeep_conformance::gate_trials("redis", over(server.url()));
    trials.extend(tracekeep_conformance::gate_trials("cluster", over(cluster.url())));
    trials.extend(tracekeep_conformance::gate_trials("arbitrated", arbitrated::Arbitrated::over(server.url())));
    trials.extend(arbitrated::trials());
    trials.extend(faults::trials());
    trials.extend(callers::trials());
    trials.extend(clustered::trials());
    trials.extend(stopped::trials());
    trials.extend(tls::trials());
    let hot = |url: String| audits::Hot { url, namespaces: AtomicU32::new(0) };
    trials.extend(tracekeep_conformance::audit_trials("audit", hot(server.url())));
    trials.extend(tracekeep_conformance::audit_trials("audit_in_a_cluster", hot(cluster.url())));
    trials.extend(tracekeep_conformance::audit_trials("audit_moved", audits::Moving(hot(server.url()))));
    trials.extend(audits::trials());
    trials.extend(fronted::trials());
    trials.extend(watched::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// One server, or one cluster; each gate has a namespace of its own, some of which begin like others.
struct Redis {
    url: String,
    namespaces: AtomicU32,
}

struct Opened {
    url: String,
    namespace: String,
    rules: Rules,
    shift_ms: AtomicI64,
    store: Arc<RedisIdempotencyStore>,
}

fn connect(url: &str, namespace: &str, rules: &Rules) -> Arc<RedisIdempotencyStore> {
    // Long, so that a busy machine makes no answer unknown: what a timeout does is tested by itself.
    let options = Options { rules: rules.clone(), timeout: Duration::from_secs(60), ..Options::default() };
    let store = RedisIdempotencyStore::connect_with(url, namespace, options);
    Arc::new(store.expect("the server answers"))
}

impl GateHarness for Redis {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        let namespace = format!("a/{{b}}:{}", self.namespaces.fetch_add(1, Ordering::SeqCst));
        let store = connect(&self.url, &namespace, &rules);
        Box::new(Opened { url: self.url.clone(), namespace, rules, shift_ms: AtomicI64::new(0), store })
    }

    fn counts_keys(&self) -> bool {
        false
    }
}

impl GateInstance for Opened {
    fn store(&self) -> Arc<dyn IdempotencyStore> {
        Arc::clone(&self.store) as Arc<dyn IdempotencyStore>
    }

    fn reopen(&mut self) {
        self.store = connect(&self.url, &self.namespace, &self.rules);
        self.store.shift_clock_ms(self.shift_ms.load(Ordering::SeqCst));
    }

    fn advance_ms(&self, ms: i64) {
        self.shift_ms.fetch_add(ms, Ordering::SeqCst);
        self.store.shift_clock_ms(ms);
    }
}
