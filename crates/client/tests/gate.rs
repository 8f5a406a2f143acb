//! The gate's suite over HTTP: the client against a server over SQLite.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tracekeep_client::HttpLedger;
use tracekeep_conformance::{GateHarness, GateInstance, ManualSources};
use tracekeep_server::{App, bind};
use tracekeep_store::gate::{IdempotencyStore, Rules};
use tracekeep_store::{LedgerStore, Source};
use tracekeep_store_sqlite::{Options, SqliteLedger};

fn main() -> ExitCode {
    tracekeep_conformance::gate_main(Http)
}

struct Http;

/// A server in this process, on a port of its own, over a ledger in a folder of its own.
struct Served {
    folder: TempDir,
    sources: ManualSources,
    rules: Rules,
    running: Option<Running>,
}

struct Running {
    client: Arc<HttpLedger>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl GateHarness for Http {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        let folder = tempfile::tempdir().expect("a folder for the ledger");
        let mut served = Served { folder, sources: ManualSources::default(), rules, running: None };
        served.reopen();
        Box::new(served)
    }

    fn sequences(&self) -> u32 {
        16
    }
}

impl GateInstance for Served {
    fn store(&self) -> Arc<dyn IdempotencyStore> {
        let running = self.running.as_ref().expect("the server runs");
        Arc::clone(&running.client) as Arc<dyn IdempotencyStore>
    }

    fn reopen(&mut self) {
        self.stop();
        self.running = Some(self.serve());
    }

    fn advance_ms(&self, ms: i64) {
        self.sources.advance(ms * 1_000_000);
    }
}

impl Served {
    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.send(()).expect("the server listens for its end");
            running.server.join().expect("the server ends in order");
        }
    }

    fn serve(&self) -> Running {
        let path = self.folder.path().join("ledger.db");
        let source = Source::new(self.sources.clone());
        let options = Options { source: source.clone(), gate: self.rules.clone(), ..Options::default() };
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let bound = bind("127.0.0.1:0").await.expect("a free port");
                let ledger = Arc::new(SqliteLedger::open(path, options).expect("a ledger"));
                ready.send(bound.address()).expect("the test waits for the address");
                let hosts = bound.loopback_hosts();
                let stop = async move {
                    let _ = stopped.await;
                };
                bound.serve(App::new(Arc::clone(&ledger) as Arc<dyn LedgerStore>, ledger, hosts), stop).await;
            });
        });
        let address = address.recv().expect("the server says its address");
        let client = HttpLedger::connect_with(&format!("http://{address}"), source).expect("the server answers");
        Running { client: Arc::new(client), stop, server }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}
