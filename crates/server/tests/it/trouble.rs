//! What goes wrong around a request: stalled senders, clients that leave, bugs, storage that will not mend, a stop.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::compare::Comparison;
use tracekeep_core::id::{BaselineName, IncidentId, LedgerId, RunId, TraceId};
use tracekeep_core::matches::Matches;
use tracekeep_core::view::{
    Baseline, ConsistencyProof, DeclaredKey, Head, Held, Incident, InclusionProof, LogEntry, LogEvent, Multiproof, Run,
    RunCount, Step, Trace, TraceCounts, TreeNode, UnsealedRun,
};
use tracekeep_server::ConnectionLimits;
use tracekeep_store::{
    Batch, Code, CompareQuery, CountsQuery, Error, GcReport, GcRequest, IncidentQuery, LedgerStore, MemoryLedger, Page,
    PageRequest, Receipt, Report, Result, RunFilter, RunQuery, RunReport, TraceQuery, TreeQuery,
};

use crate::Server;
use crate::events::Listener;

/// A ledger that is corrupt and panics where it is read, one whose commits wait for a word, or one that takes the thread
/// that asked until then.
#[derive(Debug)]
enum Odd {
    Broken,
    Slow { inner: Box<MemoryLedger>, entered: mpsc::Sender<()>, go: Arc<Semaphore> },
    Laborious { inner: Box<MemoryLedger>, entered: mpsc::Sender<()>, go: Mutex<mpsc::Receiver<()>> },
}

impl Odd {
    fn inner(&self) -> &MemoryLedger {
        let (Self::Slow { inner, .. } | Self::Laborious { inner, .. }) = self else { panic!("a bug") };
        inner
    }
}

#[async_trait]
impl LedgerStore for Odd {
    fn ledger(&self) -> LedgerId {
        self.inner().ledger()
    }

    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        match self {
            Self::Broken => vec![Err(Error::new(Code::Corrupt, "log index 41")); batches.len()],
            Self::Slow { inner, entered, go } => {
                entered.send(()).unwrap();
                go.acquire().await.unwrap().forget();
                inner.commit(batches).await
            }
            Self::Laborious { inner, entered, go } => {
                entered.send(()).unwrap();
                go.lock().unwrap().recv().unwrap();
                inner.commit(batches).await
            }
        }
    }

    fn commit_blocking(&self, _: Vec<Batch>) -> Vec<Result<Receipt>> {
        unreachable!("no test here asks for it")
    }

    async fn run(&self, _: &RunId) -> Result<Option<Run>> {
        unreachable!("no test here asks for it")
    }

    async fn runs(&self, _: &RunQuery) -> Result<Page<Run>> {
        unreachable!("no test here asks for it")
    }

    async fn run_count(&self, _: &RunFilter) -> Result<RunCount> {
        unreachable!("no test here asks for it")
    }

    async fn step(&self, _: &RunId, _: u32) -> Result<Option<Step>> {
        unreachable!("no test here asks for it")
    }

    async fn steps(&self, _: &RunId, _: &PageRequest) -> Result<Page<Step>> {
        unreachable!("no test here asks for it")
    }

    async fn compare(&self, _: &RunId, _: &RunId, _: &CompareQuery) -> Result<Comparison> {
        unreachable!("no test here asks for it")
    }

    async fn matches(&self, _: &RunId) -> Result<Matches> {
        unreachable!("no test here asks for it")
    }

    async fn baseline(&self, _: &BaselineName) -> Result<Option<Baseline>> {
        unreachable!("no test here asks for it")
    }

    async fn baselines(&self, _: &PageRequest) -> Result<Page<Baseline>> {
        unreachable!("no test here asks for it")
    }

    async fn trace(&self, _: &RunId, _: &TraceId) -> Result<Option<Trace>> {
        unreachable!("no test here asks for it")
    }

    async fn traces(&self, _: &RunId, _: &TraceQuery) -> Result<Page<Trace>> {
        unreachable!("no test here asks for it")
    }

    async fn trace_counts(&self, _: &RunId, _: &CountsQuery) -> Result<TraceCounts> {
        unreachable!("no test here asks for it")
    }

    async fn verify_indices(&self, _: Option<&RunId>) -> Result<Report> {
        unreachable!("no test asks it")
    }

    async fn verify_run(&self, _: &RunId) -> Result<RunReport> {
        unreachable!("no test here asks for it")
    }

    async fn rebuild_indices(&self, _: Option<&RunId>) -> Result<Report> {
        unreachable!("no test asks it")
    }

    async fn tree(&self, _: &RunId, _: &TreeQuery) -> Result<Page<TreeNode>> {
        unreachable!("no test here asks for it")
    }

    async fn audit(&self, _: &RunId) -> Result<AuditSummary> {
        unreachable!("no test here asks for it")
    }

    async fn expectations(&self, _: &RunId, _: &PageRequest) -> Result<Page<AuditExpectation>> {
        unreachable!("no test here asks for it")
    }

    async fn acks(&self, _: &RunId, _: &PageRequest) -> Result<Page<DomainAck>> {
        unreachable!("no test here asks for it")
    }

    async fn verdict_at(&self, _: u64) -> Result<AuditVerdict> {
        unreachable!("no test here asks for it")
    }

    async fn pending_runs(&self, _: &PageRequest) -> Result<Page<PendingRun>> {
        unreachable!("no test here asks for it")
    }

    async fn unsealed_runs(&self, _: Timestamp, _: u32) -> Result<Vec<UnsealedRun>> {
        unreachable!("no test here asks for it")
    }

    async fn due_runs(&self, _: Timestamp, _: u32) -> Result<Vec<PendingRun>> {
        unreachable!("no test here asks for it")
    }

    async fn holds(&self, _: &PageRequest) -> Result<Page<Held>> {
        unreachable!("no test here asks for it")
    }

    async fn signing_keys(&self, _: &PageRequest) -> Result<Page<DeclaredKey>> {
        unreachable!("no test here asks for it")
    }

    async fn incident(&self, _: &IncidentId) -> Result<Option<Incident>> {
        unreachable!("no test here asks for it")
    }

    async fn incidents(&self, _: &IncidentQuery) -> Result<Page<Incident>> {
        unreachable!("no test here asks for it")
    }

    async fn gc(&self, _: &GcRequest) -> Result<GcReport> {
        unreachable!("no test here asks for it")
    }

    async fn head(&self) -> Result<Head> {
        self.inner().head().await
    }

    async fn entries(&self, _: u64, _: u32) -> Result<Vec<LogEntry>> {
        unreachable!("no test here asks for it")
    }

    async fn run_entries(&self, _: &RunId, _: &PageRequest) -> Result<Page<LogEntry>> {
        unreachable!("no test here asks for it")
    }

    async fn events(&self, from: u64, limit: u32) -> Result<Vec<LogEvent>> {
        self.inner().events(from, limit).await
    }

    async fn inclusion(&self, _: u64, _: Option<u64>) -> Result<InclusionProof> {
        unreachable!("no test here asks for it")
    }

    async fn multiproof(&self, _: &[u64], _: Option<u64>) -> Result<Multiproof> {
        unreachable!("no test here asks for it")
    }

    async fn consistency(&self, _: u64, _: Option<u64>) -> Result<ConsistencyProof> {
        unreachable!("no test here asks for it")
    }
}

/// Sends the head of a write and the beginning of its body, and no more.
fn stalled(server: &Server, framing: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /api/v1/runs HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n",
        server.address
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

/// Room used to be taken for what a request announced: a dozen stalled ones shut everybody out for 30 s.
#[test]
fn stalled_bodies_hold_no_more_than_they_sent() {
    let server = Server::start();
    let _announced: Vec<_> = (0..13).map(|_| stalled(&server, "content-length: 4194304", b"{")).collect();
    let _chunked = stalled(&server, "transfer-encoding: chunked", b"1\r\n{\r\n");
    // The large body's head arrives after those of the stalled.
    assert_eq!(server.post("/api/v1/runs", "{}").status, 201);
    let large = format!("{{}}{}", " ".repeat(5 << 20));
    assert_eq!(server.post("/api/v1/runs", &large).status, 201);
}

/// An export was admitted by its compressed bytes, so that many small bombs were unpacked at once.
#[test]
fn what_unpacks_large_waits_for_the_one_large_place() {
    let server = Server::start();
    let export = || crate::otlp::post_gzip(&server, &format!("{{}}{}", " ".repeat(5 << 20)));
    assert_eq!(export().status, 200);
    let large = vec![b' '; (4 << 20) + 1];
    let hold = || stalled(&server, "content-length: 8388608", &large);
    let mut holder = hold();
    let mut exported = || {
        let answer = export();
        // Whoever grows large while an export has the place is told to come again, as the export would be.
        holder.set_nonblocking(true).unwrap();
        let waits = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        if !holder.peek(&mut [0]).is_err_and(waits) {
            holder = hold();
        }
        answer
    };
    let busy = (0..500).map(|_| exported()).find(|answer| answer.status != 200).expect("the place is taken");
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")), "{}", busy.text());
    drop(holder);
    assert!((0..500).any(|_| export().status == 200), "it goes on");
}

/// The commit of a client that had gone was never told to those who follow the log.
#[test]
fn a_commit_whose_client_went_away_is_told_all_the_same() {
    let (entered, entering) = mpsc::channel();
    let go = Arc::new(Semaphore::new(0));
    let ledger = Odd::Slow { inner: Box::default(), entered, go: Arc::clone(&go) };
    let server = Server::over(Arc::new(ledger));
    let mut listener = Listener::connect(&server, None);
    let client = stalled(&server, "content-length: 2", b"{}");
    entering.recv().unwrap();
    drop(client);
    for _ in 0..20 {
        assert_eq!(server.get("/healthz").status, 200, "the server sees that the client has gone");
    }
    go.add_permits(1);
    assert_eq!(listener.next().0, 0);
}

#[test]
fn a_bug_is_answered_as_internal_and_the_server_goes_on() {
    let server = Server::over(Arc::new(Odd::Broken));
    for path in ["/api/v1/log", "/readyz"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.member("code").as_deref()), (500, Some("internal")), "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("route=\"/api/v1/log\",status=\"500\""), "{metrics}");
}

/// Preparing a body of megabytes took the thread that serves every other connection.
#[test]
fn a_long_body_is_prepared_aside() {
    let (entered, entering) = mpsc::channel();
    let (go, going) = mpsc::channel();
    let ledger = Odd::Laborious { inner: Box::default(), entered, go: Mutex::new(going) };
    let server = Server::over(Arc::new(ledger));
    let goal = "x".repeat(100_000);
    let single = format!(r#"{{"goal":"{goal}"}}"#);
    let batch = format!(r#"{{"ops":[{{"op":"start_run","goal":"{goal}"}}]}}"#);
    let spans = format!("{}{}", crate::otlp::SPAN, " ".repeat(100_000));
    std::thread::scope(|scope| {
        for (path, body) in [("/api/v1/runs", &single), ("/api/v1/batches", &batch), ("/v1/traces", &spans)] {
            let writer = scope.spawn(|| server.post(path, body));
            entering.recv().unwrap();
            // The server of these tests has one thread for all connections.
            assert_eq!(server.get("/healthz").status, 200);
            go.send(()).unwrap();
            let answer = writer.join().unwrap();
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        }
    });
}

/// Whoever asked for much and read nothing held a connection, and the answer in memory, for as long as they liked.
#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let limits = ConnectionLimits { open_max: 1, stall: Duration::from_millis(50), ..ConnectionLimits::default() };
    let server = Server::within(limits, Arc::new(MemoryLedger::default()));
    let run = format!(r#"{{"goal":"{}"}}"#, "x".repeat(4_000_000));
    for _ in 0..3 {
        assert_eq!(server.post("/api/v1/runs", &run).status, 201);
    }
    let mut silent = TcpStream::connect(server.address).unwrap();
    // More than the buffers between the two hold.
    let ask = format!("GET /api/v1/log/entries HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    silent.write_all(ask.repeat(8).as_bytes()).unwrap();
    assert_eq!(server.get("/healthz").status, 200, "the one place is free again");
}

/// 503 has clients and exporters send the same again for ever.
#[test]
fn storage_that_will_not_mend_is_500() {
    let server = Server::over(Arc::new(Odd::Broken));
    let answer = server.post("/api/v1/runs", "{}");
    answer.refused(500, "corrupt", None);
    assert_eq!(answer.header("retry-after"), None);
    let answer =
        server.send("POST", "/v1/traces", &[("content-type", "application/json")], crate::otlp::SPAN.as_bytes());
    assert_eq!((answer.status, answer.header("retry-after")), (500, None));
    assert_eq!(answer.member("code").as_deref(), Some("13"));
}

/// One connection that sends half a head and no more held Ctrl-C for ever.
#[test]
fn half_a_request_does_not_keep_the_server_from_stopping() {
    let limits = ConnectionLimits { drain: Duration::from_millis(50), ..ConnectionLimits::default() };
    let server = Server::within(limits, Arc::new(MemoryLedger::default()));
    let mut half = TcpStream::connect(server.address).unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nho").unwrap();
    assert_eq!(server.get("/healthz").status, 200);
    drop(server);
    drop(half);
}

/// A connection that sent half a head, or nothing at all, held its descriptor for as long as it liked.
#[test]
fn a_head_that_does_not_come_ends_its_connection() {
    let limits = ConnectionLimits { head: Duration::from_millis(50), ..ConnectionLimits::default() };
    let server = Server::within(limits, Arc::new(MemoryLedger::default()));
    for sent in ["", "GET /healthz HTTP/1.1\r\nho", "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.ends_with("ok\n"), sent.ends_with("\r\n\r\n"), "{answer}");
    }
}

/// Whoever opened enough connections left the ledger behind the server without a descriptor.
#[test]
fn connections_beyond_the_bound_wait_for_one_to_end() {
    const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    fn answered(stream: &mut TcpStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok\n") {
            let mut piece = [0; 256];
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "it ended after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..read]);
        }
    }
    let limits = ConnectionLimits { open_max: 1, ..ConnectionLimits::default() };
    let server = Server::within(limits, Arc::new(MemoryLedger::default()));
    let mut first = TcpStream::connect(server.address).unwrap();
    first.write_all(ASK).unwrap();
    answered(&mut first);
    let mut second = TcpStream::connect(server.address).unwrap();
    second.write_all(ASK).unwrap();
    for _ in 0..50 {
        first.write_all(ASK).unwrap();
        answered(&mut first);
    }
    second.set_nonblocking(true).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "it has no turn yet");
    second.set_nonblocking(false).unwrap();
    drop(first);
    answered(&mut second);
}
