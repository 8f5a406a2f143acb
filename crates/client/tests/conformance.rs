//! The suite over HTTP: the client against a server over SQLite.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tracekeep_client::HttpLedger;
use tracekeep_conformance::{Harness, Instance, ManualSources};
use tracekeep_server::{App, bind};
use tracekeep_store::{LedgerStore, Redaction, Source};
use tracekeep_store_sqlite::{Options, SqliteLedger};

fn main() -> ExitCode {
    tracekeep_conformance::main(Http)
}

struct Http;

/// A server in this process, on a port of its own, over a ledger in a folder of its own.
struct Served {
    folder: TempDir,
    sources: ManualSources,
    client: Arc<HttpLedger>,
    writer: Option<Arc<dyn LedgerStore>>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Harness for Http {
    fn takes_moved(&self) -> bool {
        false
    }

    fn fresh(&self, sources: ManualSources) -> Box<dyn Instance> {
        let folder = tempfile::tempdir().expect("a folder for the ledger");
        let (client, writer, stop, server) = serve(&folder, &sources);
        Box::new(Served { folder, sources, client, writer: Some(writer), stop: Some(stop), server: Some(server) })
    }

    fn sequences(&self) -> u32 {
        16
    }
}

impl Instance for Served {
    fn ledger(&self) -> Arc<dyn LedgerStore> {
        Arc::clone(&self.client) as Arc<dyn LedgerStore>
    }

    fn writer(&self) -> Option<Arc<dyn LedgerStore>> {
        self.writer.clone()
    }

    fn reopen(&mut self) {
        self.stop();
        let (client, writer, stop, server) = serve(&self.folder, &self.sources);
        (self.client, self.writer, self.stop, self.server) = (client, Some(writer), Some(stop), Some(server));
    }
}

impl Served {
    fn stop(&mut self) {
        self.writer = None;
        if let Some(stop) = self.stop.take() {
            stop.send(()).expect("the server listens for its end");
        }
        if let Some(server) = self.server.take() {
            server.join().expect("the server ends in order");
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

type Running = (Arc<HttpLedger>, Arc<dyn LedgerStore>, oneshot::Sender<()>, JoinHandle<()>);

fn serve(folder: &TempDir, sources: &ManualSources) -> Running {
    let (path, source) = (folder.path().join("ledger.db"), Source::new(sources.clone()));
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, address) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let bound = bind("127.0.0.1:0").await.expect("a free port");
            let options = Options { source, redact: Redaction::well_known(), ..Options::default() };
            let ledger = SqliteLedger::open(path, options).expect("a ledger");
            let hosts = bound.loopback_hosts();
            let stop = async move {
                let _ = stopped.await;
            };
            let ledger = Arc::new(ledger);
            let writer = Arc::clone(&ledger) as Arc<dyn LedgerStore>;
            ready.send((bound.address(), writer)).expect("the test waits for the address");
            bound.serve(App::new(Arc::clone(&ledger) as Arc<dyn LedgerStore>, ledger, hosts), stop).await;
        });
    });
    let (address, writer) = address.recv().expect("the server says its address");
    let client = HttpLedger::connect_with(&format!("http://{address}"), Source::new(sources.clone()));
    (Arc::new(client.expect("the server answers")), writer, stop, server)
}
