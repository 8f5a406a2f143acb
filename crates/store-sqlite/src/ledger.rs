//! The ledger over its parts: the lock, the writer behind its queue, the readers.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::compare::Comparison;
use tracekeep_core::id::{BaselineName, IncidentId, Key, LedgerId, RunId, TraceId};
use tracekeep_core::matches::Matches;
use tracekeep_core::model::EffectGate;
use tracekeep_core::view::{
    Baseline, ConsistencyProof, DeclaredKey, Head, Incident, InclusionProof, LogEntry, LogEvent, Multiproof, Run,
    RunCount, Step, Trace, TraceCounts, TreeNode, UnsealedRun,
};
use tracekeep_store::gate::{Ask, Reply, Rules, Ruling};
use tracekeep_store::{
    Batch, Code, CompareQuery, CountsQuery, Error, GcReport, GcRequest, IncidentQuery, LedgerStore, Outcome, Page,
    PageRequest, Receipt, Redaction, Report, Result, RunFilter, RunQuery, RunReport, Snapshot, Source, TraceQuery,
    TreeQuery, read, retention,
};

use crate::error::io;
use crate::faults::{Fault, Faults};
use crate::fsck;
use crate::gate::{self, Question};
use crate::group::Group;
use crate::job::{Batches, Done, Job, Receipts};
use crate::lock::{self, Holder, Lock};
use crate::open::{self, Mode, Options};
use crate::pool::Pool;
use crate::ready::Ready;
use crate::schema::{self, Holds};
use crate::text::{self, Part, SEARCH_BYTES_MAX, SEARCH_ENTRIES_MAX};
use crate::writer::Writer;

/// A ledger in one SQLite file: the embedded default.
///
/// One writer, in one process, held by a lock beside the file; any number of readers, in other processes too. What a
/// commit acknowledged survives kill -9 and power loss. Reads run on the calling thread. Dropping the ledger commits what
/// waits, copies the write-ahead log into the file and lets go of the lock.
///
/// ```
/// use tracekeep_core::model::{Op, StartRun};
/// use tracekeep_store::{Batch, LedgerStore};
/// use tracekeep_store_sqlite::{Options, SqliteLedger};
///
/// let directory = tempfile::tempdir()?;
/// let ledger = SqliteLedger::open(directory.path().join("runs.db"), Options::default())?;
/// let receipts = ledger.commit_blocking(vec![Batch::one(Op::StartRun(StartRun::default()))]);
/// assert_eq!(receipts.into_iter().next().expect("one answer")?.tree_size, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "SQLiteTraceStore")]
pub struct SqliteLedger {
    path: PathBuf,
    ledger: LedgerId,
    source: Source,
    redaction: Redaction,
    effect_gate: Option<EffectGate>,
    readers: Pool,
    faults: Arc<Faults>,
    rules: Rules,
    /// Whether the gate is in Redis alone, as the file says. Where this handle writes, nobody else can change it.
    gate_is_elsewhere: AtomicBool,
    /// `None` where the ledger is read only.
    group: Option<Arc<Group>>,
    held: Mutex<Option<Held>>,
    /// Taken by whoever checks or rebuilds the indices.
    checking: Mutex<()>,
}

/// What is held until the ledger is closed.
struct Held {
    thread: JoinHandle<()>,
    lock: Lock,
}

impl std::fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteLedger").field("path", &self.path).field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl SqliteLedger {
    /// Opens the ledger at `path`, or makes it.
    ///
    /// # Errors
    /// `not_a_ledger` where there is none and none is to be made, or where the file is something else; `newer_format`;
    /// `ledger_locked` with the pid of the process that writes; `read_only` where file or directory cannot be written
    /// to;
    /// `corrupt` where its tables were changed; `invalid_parameter` for `:memory:` and URIs. The file is then as it
    /// was.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = open::resolve(path.as_ref())?;
        let holds = open::look(&path)?;
        if options.read_only {
            return Self::open_to_read(path, &options, holds);
        }
        if holds == Holds::Nothing && !options.create {
            return Err(Error::new(Code::NotALedger, "there is no ledger at this path"));
        }
        let lock = Lock::acquire(&path, open::now())?;
        let rules = options.gate.clone();
        // Whoever held the lock until now may have made the ledger.
        let holds = open::look(&path)?;
        let faults = Arc::new(Faults::default());
        let writer = Writer::open(path.clone(), options.clone(), holds, Arc::clone(&faults))?;
        let ledger = writer.ledger();
        let first = open::reader(&path, Mode::Reader)?;
        let gate_is_elsewhere = AtomicBool::new(gate::is_elsewhere(&first)?);
        let readers = Pool::new(path.clone(), Mode::Reader, ledger, options.readers, first)?;
        let group = Group::new(writer, options.queue_ops, options.queue_bytes);
        let thread = group.start().map_err(|error| io("the writer's thread cannot be started", error))?;
        let held = Mutex::new(Some(Held { thread, lock }));
        Ok(Self {
            path,
            ledger,
            source: options.source,
            redaction: options.redact,
            effect_gate: options.effect_gate,
            readers,
            faults,
            rules,
            gate_is_elsewhere,
            group: Some(group),
            held,
            checking: Mutex::default(),
        })
    }

    fn open_to_read(path: PathBuf, options: &Options, holds: Holds) -> Result<Self> {
        if holds == Holds::Nothing {
            return Err(Error::new(Code::NotALedger, "there is no ledger at this path"));
        }
        let first = open::reader(&path, Mode::ReadOnly)?;
        schema::check(&first)?;
        let ledger = open::ledger(&first)?;
        let readers = Pool::new(path.clone(), Mode::ReadOnly, ledger, options.readers, first)?;
        let (source, redaction) = (options.source.clone(), options.redact.clone());
        let effect_gate = options.effect_gate;
        Ok(Self {
            path,
            ledger,
            source,
            redaction,
            effect_gate,
            readers,
            faults: Arc::default(),
            rules: options.gate.clone(),
            gate_is_elsewhere: AtomicBool::new(false),
            group: None,
            held: Mutex::default(),
            checking: Mutex::default(),
        })
    }

    /// Where the ledger is, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who writes to the ledger at `path`; `None` while nobody does.
    #[must_use]
    pub fn holder(path: impl AsRef<Path>) -> Option<Holder> {
        lock::holder(&open::resolve(path.as_ref()).ok()?)
    }

    /// Compares everything in the ledger at `path` with its log, or the indices of one run with its entries: pages,
    /// migrations, schema, each entry's commitment and place, the
    /// tree, and every index against one that is rebuilt beside it from the log alone. Changes nothing, takes no lock
    /// and
    /// works beside a running writer: it sees what was committed when it began.
    ///
    /// Takes time and room for temporary files in proportion to the ledger.
    ///
    /// # Errors
    /// `not_a_ledger`, `newer_format`, and what the storage fails with. What is wrong inside is a finding, not an
    /// error.
    pub fn check(path: impl AsRef<Path>, run_id: Option<&RunId>) -> Result<Report> {
        fsck::check(&open::resolve(path.as_ref())?, run_id)
    }

    /// Rebuilds every index of the ledger at `path` from its log, or those of one run, in one transaction: the same
    /// answers and the same cursors
    /// as before. An entry that is damaged, or whose body is not there, keeps its place in the log and its run, is
    /// left out
    /// of the indices, and is a finding of the report; so is one that depended on it.
    ///
    /// # Errors
    /// `ledger_locked` while somebody writes; `corrupt` where the log itself cannot be walked to its end; what the
    /// storage
    /// fails with. Nothing is changed then.
    pub fn rebuild(path: impl AsRef<Path>, run_id: Option<&RunId>) -> Result<Report> {
        fsck::rebuild(&open::resolve(path.as_ref())?, run_id)
    }

    /// The format that this version writes.
    #[must_use]
    pub const fn format_version() -> i32 {
        crate::schema::FORMAT
    }

    /// The SQLite inside.
    #[must_use]
    pub fn sqlite_version() -> &'static str {
        rusqlite::version()
    }

    /// Says beside the ledger where its writer serves, so that other processes can send it what they would write.
    ///
    /// # Errors
    /// `read_only` where this handle does not write; what the file system fails with.
    pub fn set_address(&self, address: Option<String>) -> Result<()> {
        match &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) => held.lock.set_address(address),
            None => Err(read_only()),
        }
    }

    /// Commits what waits, copies the write-ahead log into the file and lets go of the lock. Dropping does the same and
    /// keeps silent. Calls that come later are answered with `closed`.
    ///
    /// # Errors
    /// What SQLite fails with; everything that was acknowledged is durable all the same.
    pub fn close(&self) -> Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut closed = Ok(());
        if let (Some(group), Some(held)) = (&self.group, held) {
            group.close();
            // Its panics are caught inside.
            drop(held.thread.join());
            self.readers.close();
            closed = group.take_writer().map_or(Ok(()), Writer::close);
            drop(held.lock);
        } else {
            self.readers.close();
        }
        closed
    }

    fn prepare(&self, batches: Vec<Batch>) -> std::result::Result<(Job, &Group), Receipts> {
        let Some(group) = &self.group else {
            return Err(batches.iter().map(|_| Err(read_only())).collect());
        };
        let ready: Batches = batches
            .into_iter()
            .map(|batch| batch.prepare(&self.source, &self.redaction, self.effect_gate).map(Ready::new))
            .collect();
        if ready.iter().all(Result::is_err) {
            return Err(ready.into_iter().filter_map(|refused| refused.err().map(Err)).collect());
        }
        Ok((Job::Batches(ready), group))
    }

    fn question(&self, key: &Key, ask: Ask, is_for_another: bool) -> Result<(Job, &Group)> {
        ask.check()?;
        let group = self.group.as_ref().ok_or_else(read_only)?;
        if !is_for_another && self.gate_is_elsewhere.load(Ordering::Acquire) {
            return Err(gate::elsewhere());
        }
        Ok((Job::Gate(Box::new(Question { key: key.clone(), ask, is_for_another })), group))
    }

    /// Notes in the file whether the gate is in Redis alone; tells whether that was noted before.
    pub(crate) fn set_gate_elsewhere(&self, to: bool, unless_known_since: Option<Timestamp>) -> Result<bool> {
        let group = self.group.as_ref().ok_or_else(read_only)?;
        let was = group.with_writer(|writer| writer.set_gate_elsewhere(to, unless_known_since))?;
        self.gate_is_elsewhere.store(to, Ordering::Release);
        Ok(was)
    }

    /// Asks the gate, by the writer's thread.
    pub(crate) async fn ask(&self, key: &Key, ask: Ask) -> Result<Reply> {
        let (job, group) = self.question(key, ask, false)?;
        Self::by_the_writer(group, job).await.reply()
    }

    /// The same, and what is kept from now on.
    pub(crate) async fn ask_for_another(&self, key: &Key, ask: Ask) -> Result<Ruling> {
        let (job, group) = self.question(key, ask, true)?;
        Self::by_the_writer(group, job).await.ruling()
    }

    async fn by_the_writer(group: &Group, job: Job) -> Done {
        match group.submit(job) {
            Ok(ticket) => poll_fn(|context| ticket.poll(context.waker())).await,
            Err(refused) => refused,
        }
    }

    /// Asks the gate, on the calling thread where nobody else commits.
    pub(crate) fn ask_blocking(&self, key: &Key, ask: Ask) -> Result<Reply> {
        let (job, group) = self.question(key, ask, false)?;
        group.commit_blocking(job).reply()
    }

    pub(crate) const fn readers(&self) -> &Pool {
        &self.readers
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes what was recorded since the last search into the text index, a bounded part of it. A ledger that is only
    /// read
    /// is searched as far as its index goes.
    fn catch_up_texts(&self) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let mut taken = Part::default();
        while taken.entries < SEARCH_ENTRIES_MAX && taken.bytes < SEARCH_BYTES_MAX {
            let part = match group.with_writer(Writer::catch_up_texts) {
                // What is wrong with the ledger itself is the answer; else the index answers as far as it goes.
                Err(error) if error.code() != Code::Corrupt.as_str() && error.code() != Code::Closed.as_str() => break,
                part => part?,
            };
            if part.entries == 0 {
                break;
            }
            taken.entries += part.entries;
            taken.bytes += part.bytes;
            group.give_way();
        }
        Ok(())
    }

    /// One check or rebuild at a time: each has a cache and temporary files of its own.
    fn checking(&self) -> Result<MutexGuard<'_, ()>> {
        match self.checking.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(guard)) => Ok(guard.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::new(Code::Busy, "another check of the indices is under way")),
        }
    }

    /// Bytes of the file that the text index takes; the other indices and the record take the rest.
    ///
    /// # Errors
    /// What the storage fails with.
    pub fn text_bytes(&self) -> Result<u64> {
        self.readers.read(|view| text::bytes(view.conn))
    }

    /// Makes the next commit fail in a way that only a test asks for.
    #[doc(hidden)]
    pub fn fail_next(&self, fault: Fault) {
        self.faults.set(fault);
    }

    /// Lets the file grow by so many pages and no further, or by any number again.
    #[doc(hidden)]
    pub fn limit_pages(&self, pages_more: Option<u32>) -> Result<()> {
        self.group
            .as_ref()
            .map_or_else(|| Err(read_only()), |group| group.with_writer(|writer| writer.limit_pages(pages_more)))
    }
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        drop(self.close());
    }
}

fn read_only() -> Error {
    Error::new(Code::ReadOnly, "the ledger was opened for reading alone")
}

#[async_trait]
impl LedgerStore for SqliteLedger {
    fn ledger(&self) -> LedgerId {
        self.ledger
    }

    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        let (job, group) = match self.prepare(batches) {
            Ok(prepared) => prepared,
            Err(refused) => return refused,
        };
        match group.submit(job) {
            Ok(ticket) => poll_fn(|context| ticket.poll(context.waker())).await.receipts(),
            Err(refused) => refused.receipts(),
        }
    }

    fn commit_blocking(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        match self.prepare(batches) {
            Ok((job, group)) => group.commit_blocking(job).receipts(),
            Err(refused) => refused,
        }
    }

    async fn run(&self, run_id: &RunId) -> Result<Option<Run>> {
        self.readers.read(|view| read::run(view, run_id))
    }

    async fn runs(&self, query: &RunQuery) -> Result<Page<Run>> {
        self.readers.read(|view| read::runs(view, query))
    }

    async fn run_count(&self, filter: &RunFilter) -> Result<RunCount> {
        self.readers.read(|view| read::run_count(view, filter))
    }

    async fn step(&self, run_id: &RunId, index: u32) -> Result<Option<Step>> {
        self.readers.read(|view| read::step(view, run_id, index))
    }

    async fn steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<Step>> {
        self.readers.read(|view| read::steps(view, run_id, page))
    }

    async fn compare(&self, a: &RunId, b: &RunId, query: &CompareQuery) -> Result<Comparison> {
        self.readers.read(|view| read::compare(view, a, b, query))
    }

    async fn matches(&self, run_id: &RunId) -> Result<Matches> {
        self.readers.read(|view| read::matches(view, run_id))
    }

    async fn baseline(&self, name: &BaselineName) -> Result<Option<Baseline>> {
        self.readers.read(|view| read::baseline(view, name))
    }

    async fn baselines(&self, page: &PageRequest) -> Result<Page<Baseline>> {
        self.readers.read(|view| read::baselines(view, page))
    }

    async fn trace(&self, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>> {
        self.readers.read(|view| read::trace(view, run_id, id))
    }

    async fn traces(&self, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>> {
        if query.filter.text.is_some() {
            self.catch_up_texts()?;
        }
        self.readers.read(|view| read::traces(view, run_id, query))
    }

    async fn trace_counts(&self, run_id: &RunId, query: &CountsQuery) -> Result<TraceCounts> {
        self.readers.read(|view| read::trace_counts(view, run_id, query))
    }

    async fn verify_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        let _checking = self.checking()?;
        fsck::check(&self.path, run_id)
    }

    async fn verify_run(&self, run_id: &RunId) -> Result<RunReport> {
        let mut report = self.readers.read(|view| read::verify_run(view, run_id))?;
        report.indices(self.verify_indices(Some(run_id)).await?);
        Ok(report)
    }

    async fn rebuild_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        let group = self.group.as_ref().ok_or_else(read_only)?;
        let _checking = self.checking()?;
        group.with_writer(|writer| {
            let report = fsck::rebuild_locked(&self.path, run_id);
            match &report {
                Err(unknown) if unknown.outcome() == Outcome::Unknown => writer.distrust(),
                _ => writer.forget_indices(),
            }
            report
        })
    }

    async fn tree(&self, run_id: &RunId, query: &TreeQuery) -> Result<Page<TreeNode>> {
        self.readers.read(|view| read::tree(view, run_id, query))
    }

    async fn audit(&self, run_id: &RunId) -> Result<AuditSummary> {
        self.readers.read(|view| read::audit(view, run_id, self.source.now().max(view.clock()?)))
    }

    async fn expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        self.readers.read(|view| read::expectations(view, run_id, page, self.source.now().max(view.clock()?)))
    }

    async fn acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        self.readers.read(|view| read::acks(view, run_id, page))
    }

    async fn verdict_at(&self, log_index: u64) -> Result<AuditVerdict> {
        self.readers.read(|view| read::verdict_at(view, log_index))
    }

    async fn pending_runs(&self, page: &PageRequest) -> Result<Page<PendingRun>> {
        self.readers.read(|view| read::pending(view, page, self.source.now().max(view.clock()?)))
    }

    async fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<UnsealedRun>> {
        self.readers.read(|view| read::unsealed(view, before, limit))
    }

    async fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        self.readers.read(|view| read::due(view, before, limit))
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<Incident>> {
        self.readers.read(|view| read::incident(view, id))
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>> {
        self.readers.read(|view| read::incidents(view, query))
    }

    async fn holds(&self, page: &PageRequest) -> Result<Page<tracekeep_core::view::Held>> {
        self.readers.read(|view| read::holds(view, page))
    }

    async fn signing_keys(&self, page: &PageRequest) -> Result<Page<DeclaredKey>> {
        self.readers.read(|view| read::signing_keys(view, page))
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        let now = self.source.now().max(self.readers.read(|view| view.clock())?);
        let look = |before, from, limit| self.readers.read(|view| retention::expired(view, before, from, limit));
        if request.dry_run {
            return retention::gc(request, now, look, |_| Vec::new());
        }
        let group = self.group.as_ref().ok_or_else(read_only)?;
        let bytes = || std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let before = bytes();
        let mut report = retention::gc(request, now, look, |batches| {
            let answers = self.commit_blocking(batches);
            group.give_way();
            answers
        })?;
        while group.with_writer(Writer::give_back)? > 0 {
            group.give_way();
        }
        group.with_writer(|writer| {
            writer.empty_wal();
            Ok(())
        })?;
        let after = bytes();
        (report.file_bytes, report.freed_bytes) = (Some(after), Some(before.saturating_sub(after)));
        Ok(report)
    }

    async fn head(&self) -> Result<Head> {
        self.readers.read(|view| read::head(view))
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<LogEntry>> {
        self.readers.read(|view| read::entries(view, from, limit))
    }

    async fn run_entries(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<LogEntry>> {
        self.readers.read(|view| read::run_entries(view, run_id, page))
    }

    async fn events(&self, from: u64, limit: u32) -> Result<Vec<LogEvent>> {
        self.readers.read(|view| read::events(view, from, limit))
    }

    async fn inclusion(&self, log_index: u64, size: Option<u64>) -> Result<InclusionProof> {
        self.readers.read(|view| read::inclusion(view, log_index, size))
    }

    async fn multiproof(&self, indices: &[u64], size: Option<u64>) -> Result<Multiproof> {
        self.readers.read(|view| read::multiproof(view, indices, size))
    }

    async fn consistency(&self, from: u64, to: Option<u64>) -> Result<ConsistencyProof> {
        self.readers.read(|view| read::consistency(view, from, to))
    }
}
