//! The gate's suite over a real redis-server, and what it answers when that server fails.

mod faults;
mod proxy;
mod real;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use real::Server;
use tracekeep_conformance::{GateHarness, GateInstance};
use tracekeep_store::gate::{IdempotencyStore, Rules};
use tracekeep_store_redis::{Options, RedisIdempotencyStore};

fn main() -> ExitCode {
    let redis = Redis { server: Arc::new(Server::start(&[])), namespaces: AtomicU32::new(0) };
    let mut trials = tracekeep_conformance::gate_trials("redis", redis);
    trials.extend(faults::trials());
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}

/// One server; each gate has a namespace of its own, some of which begin like others.
struct Redis {
    server: Arc<Server>,
    namespaces: AtomicU32,
}

struct Opened {
    server: Arc<Server>,
    namespace: String,
    rules: Rules,
    shift_ms: AtomicI64,
    store: Arc<RedisIdempotencyStore>,
}

fn connect(server: &Server, namespace: &str, rules: &Rules) -> Arc<RedisIdempotencyStore> {
    // Long, so that a busy machine makes no answer unknown: what a timeout does is tested by itself.
    let options = Options { rules: rules.clone(), timeout: Duration::from_secs(60), ..Options::default() };
    let store = RedisIdempotencyStore::connect_with(&server.url(), namespace, options);
    Arc::new(store.expect("the server answers"))
}

impl GateHarness for Redis {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        let namespace = format!("a/{{b}}:{}", self.namespaces.fetch_add(1, Ordering::SeqCst));
        let store = connect(&self.server, &namespace, &rules);
        Box::new(Opened { server: Arc::clone(&self.server), namespace, rules, shift_ms: AtomicI64::new(0), store })
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
        self.store = connect(&self.server, &self.namespace, &self.rules);
        self.store.shift_clock_ms(self.shift_ms.load(Ordering::SeqCst));
    }

    fn advance_ms(&self, ms: i64) {
        self.shift_ms.fetch_add(ms, Ordering::SeqCst);
        self.store.shift_clock_ms(ms);
    }
}
