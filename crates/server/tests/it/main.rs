//! The server over HTTP, as its clients see it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod audit;
mod bad_input;
mod bundles;
mod events;
mod gate;
mod keys;
mod otlp;
mod page;
mod parameters;
mod quiet;
mod replay;
mod retention;
mod signing;
mod trouble;
mod webhook;
mod webhook_tls;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tracekeep_core::json::{self, Json, Value};
use tracekeep_server::{App, AuditOptions, ConnectionLimits, bind};
use tracekeep_store::{IdempotencyStore, LedgerStore, MemoryIdempotencyStore, MemoryKeys, MemoryLedger, Signer};

/// A server in this process, on a port of its own; it ends with the value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a server is made of.
struct Setup {
    limits: ConnectionLimits,
    ledger: Arc<dyn LedgerStore>,
    gate: Arc<dyn IdempotencyStore>,
    audit: AuditOptions,
    demands_keys: bool,
    keys: Arc<MemoryKeys>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: ConnectionLimits::default(),
            ledger: Arc::new(MemoryLedger::default()),
            gate: Arc::new(MemoryIdempotencyStore::default()),
            audit: AuditOptions::default(),
            demands_keys: false,
            keys: Arc::new(MemoryKeys::default()),
        }
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::of(Setup::default())
    }

    pub(crate) fn over(ledger: Arc<dyn LedgerStore>) -> Self {
        Self::of(Setup { ledger, ..Setup::default() })
    }

    pub(crate) fn within(limits: ConnectionLimits, ledger: Arc<dyn LedgerStore>) -> Self {
        Self::of(Setup { limits, ledger, ..Setup::default() })
    }

    /// A server before a gate of its own.
    pub(crate) fn before(
        limits: ConnectionLimits,
        ledger: Arc<dyn LedgerStore>,
        gate: Arc<dyn IdempotencyStore>,
    ) -> Self {
        Self::of(Setup { limits, ledger, gate, ..Setup::default() })
    }

    /// A server that demands idempotency keys on writes.
    pub(crate) fn demanding_keys() -> Self {
        Self::of(Setup { demands_keys: true, ..Setup::default() })
    }

    /// A server that audits so.
    pub(crate) fn auditing(ledger: Arc<dyn LedgerStore>, audit: AuditOptions) -> Self {
        Self::of(Setup { ledger, audit, ..Setup::default() })
    }

    /// A server that signs with these keys.
    pub(crate) fn with_keys(ledger: Arc<dyn LedgerStore>, keys: Arc<MemoryKeys>) -> Self {
        Self::of(Setup { ledger, keys, ..Setup::default() })
    }

    fn of(setup: Setup) -> Self {
        let Setup { limits, ledger, gate, audit, demands_keys, keys } = setup;
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async move {
                let bound = bind("127.0.0.1:0").await.unwrap().within(limits);
                ready.send(bound.address()).unwrap();
                let hosts = bound.loopback_hosts();
                let stop = async move {
                    let _ = stopped.await;
                };
                let signer = Arc::new(Signer::new(Arc::clone(&ledger), keys));
                let app = App::new(ledger, gate, hosts).auditing(audit).signing(signer);
                bound.serve(app.requiring_idempotency_keys(demands_keys), stop).await;
            });
        });
        Self { address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    /// Sends one request and reads the whole answer.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| *name == "content-length" || *name == "transfer-encoding") {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        self.raw(&[request.as_bytes(), body].concat())
    }

    /// Sends bytes as they are. The server may answer before it has read them all.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::read(&answer)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_lowercase(), v.to_owned()));
        Self { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Json {
        json::parse(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text())).to_json()
    }

    /// A member of the object that the answer is, as text where it is a string, else as JSON.
    #[track_caller]
    pub(crate) fn member(&self, name: &str) -> Option<String> {
        let json = self.json();
        let value = json.value();
        let Value::Object(object) = &value else { panic!("no object: {}", self.text()) };
        let member = object.get(name)?;
        Some(member.as_str().map_or_else(|| member.to_json().as_str().to_owned(), str::to_owned))
    }

    /// Demands a problem of this status, code and path.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, path: Option<&str>) {
        assert_eq!((self.status, self.member("code").as_deref()), (status, Some(code)), "{}", self.text());
        assert_eq!(self.member("path").as_deref(), path, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.member("outcome").as_deref(), Some("not_applied"));
    }
}
