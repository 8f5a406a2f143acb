//! The one writer: groups of batches in, one transaction each.
//!
//! What it knows of the ledger, it knows from the file: the tree's right edge, the clock, the runs it touched. A group
//! either becomes durable whole or leaves the writer as it was; after a COMMIT that failed nobody knows which, so the
//! writer reads its state from the file again, and makes what it found durable, before it goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tracekeep_core::Timestamp;
use tracekeep_core::body::Body;
use tracekeep_core::id::LedgerId;
use tracekeep_core::merkle::{Edge, RestoreError};
use tracekeep_store::plan::{Change, Context, Decision, Planned, decide, fetch, needs};
use tracekeep_store::rows::Entry;
use tracekeep_store::{Code, Error, ErrorKind, Receipt, Result, Snapshot, read};

use crate::codec;
use crate::erase;
use crate::error::{Said, corrupt, failed, io};
use crate::faults::{Fault, Faults};
use crate::gate::{self, Gate};
use crate::index::{Index, put_tile};
use crate::job::{Done, Job, Work};
use crate::open::{self, Options};
use crate::ready::{Ready, frame_of};
use crate::rows::{RunNames, TypeNames};
use crate::schema::Holds;
use crate::snapshot::{Own, View, partial_tile, unowned_entries};
use crate::statement::{Kept, many, one, run, value};
use crate::text::{self, Part};
use crate::words::Numbered;

/// Pages in the WAL from which the writer checkpoints, after it has answered.
const CHECKPOINT_PAGES: u32 = 2_000;
/// Pages after which it tries again where readers of an older state kept it from copying everything, or the WAL from
/// beginning anew.
const CHECKPOINT_AGAIN_PAGES: u32 = 500;
/// Pages in the WAL from which it waits for those readers: while some overlap all the time, nothing else ends its growth.
const RESTART_PAGES: u32 = 4_000;
/// Pages after which it waits for them again: one that stays for long must not hold every commit up.
const RESTART_AGAIN_PAGES: u32 = 2_000;
/// How long it waits for them.
const RESTART_WAIT: Duration = Duration::from_millis(100);
/// Bytes that the WAL is grown to at once, what it holds between two checkpoints: a file that grows with each commit pays
/// for its new size at each fsync, one that is overwritten in place does not.
const WAL_BYTES: u64 = 16 << 20;
/// Pages in the WAL from which that pays: a process that writes a few entries and ends is spared it.
const WAL_GROWS_PAGES: u32 = 128;
/// How long it is until the WAL is emptied again, which costs its room anew. Where a reader kept it from being so it is
/// doubled each time, so that what waits for such a reader is little of all the time.
const EMPTY_AGAIN: Duration = Duration::from_secs(1);
const EMPTY_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Free pages that go back to the file system in one transaction: others wait for it.
const FREE_PAGES: u32 = 64;
/// Such transactions that closing a ledger waits for.
const CLOSE_PIECES: u32 = 1_000;

/// Where the ledger stands.
#[derive(Clone)]
struct Head {
    edge: Edge,
    clock: Timestamp,
    unowned_entries: u64,
}

pub(crate) struct Writer {
    conn: Connection,
    path: PathBuf,
    options: Options,
    ledger: LedgerId,
    head: Head,
    index: Index,
    gate: Gate,
    /// The state must be read from the file before anything else is written.
    stale: bool,
    wal_pages: Arc<AtomicU32>,
    /// Pages in the WAL at the latest checkpoint; 0 once it has begun anew.
    checkpointed_pages: u32,
    wal_grown: bool,
    /// The WAL may hold what was erased: when it is to be emptied, and how long it is until the next time.
    wal_tells: Option<(Instant, Duration)>,
    /// When it may be emptied again.
    wal_rests: Instant,
    /// Something was erased since the last free page went back.
    freed: bool,
    faults: Arc<Faults>,
}

impl Writer {
    /// Opens the writing connection, and makes the ledger where the file holds nothing.
    pub(crate) fn open(path: PathBuf, options: Options, holds: Holds, faults: Arc<Faults>) -> Result<Self> {
        // Whoever left it may have been killed between an erasure and emptying it.
        let left = std::fs::metadata(wal_of(&path)).is_ok_and(|wal| wal.len() > 0);
        let mut conn = open::writer(&path, &options, holds)?;
        let ledger = open::ledger(&conn)?;
        let wal_pages = Arc::new(AtomicU32::new(0));
        count_wal_pages(&mut conn, &wal_pages)?;
        make_durable(&conn, &path)?;
        let head = head(&conn, ledger)?;
        Ok(Self {
            conn,
            path,
            options,
            ledger,
            head,
            index: Index::default(),
            gate: Gate::default(),
            stale: false,
            wal_pages,
            checkpointed_pages: 0,
            wal_grown: false,
            wal_tells: left.then(|| (Instant::now(), EMPTY_AGAIN)),
            wal_rests: Instant::now(),
            freed: false,
            faults,
        })
    }

    pub(crate) const fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// Does several jobs in one transaction; each batch whole or not at all.
    pub(crate) fn commit(&mut self, jobs: &[Job]) -> Vec<Done> {
        let works: Vec<_> = jobs.iter().map(Job::work).collect();
        match self.commit_together(&works) {
            Ok(done) => done,
            // Something stored contradicts itself: whoever does not touch it must not suffer from it.
            Err(error) if error.code() == Code::Corrupt.as_str() && jobs.len() > 1 => {
                works.iter().map(|work| self.commit_apart(*work)).collect()
            }
            Err(error) => works.iter().map(|work| self.parted(*work, &error)).collect(),
        }
    }

    /// Does one job in a transaction of its own.
    fn commit_apart(&mut self, work: Work<'_>) -> Done {
        match self.commit_together(&[work]) {
            Ok(mut done) => done.pop().expect("invariant: one job gives one answer"),
            Err(error) => self.parted(work, &error),
        }
    }

    /// What failed as a whole: batch by batch where one of them touches what contradicts itself, else refused.
    fn parted(&mut self, work: Work<'_>, error: &Error) -> Done {
        match work {
            Work::Batches(batches) if error.code() == Code::Corrupt.as_str() && batches.len() > 1 => {
                let each = batches.chunks(1).flat_map(|batch| self.commit_apart(Work::Batches(batch)).receipts());
                Done::Receipts(each.collect())
            }
            work => work.refuse(error),
        }
    }

    /// Takes the next part of the log into the text index, in a transaction of its own.
    pub(crate) fn catch_up_texts(&mut self) -> Result<Part> {
        if self.stale {
            self.reload()?;
        }
        if text::size(&self.conn)? == self.head.edge.size() {
            return Ok(Part::default());
        }
        run(&self.conn, "BEGIN IMMEDIATE", [])?;
        if self.faults.take() == Some(Fault::Panic) {
            panic!("a test asked for this panic");
        }
        let caught_up = text::catch_up(&self.view());
        match caught_up {
            Ok(part) => match run(&self.conn, "COMMIT", []) {
                Ok(_) => {
                    self.maintain(true);
                    Ok(part)
                }
                Err(error) => Err(self.unknown(error)),
            },
            Err(error) => {
                self.roll_back(self.head.clone());
                Err(error)
            }
        }
    }

    /// Notes whether the gate is in Redis alone, in a transaction of its own; tells whether that was noted before. With
    /// `unless_known_since` it is refused where the gate knows a key that was to be looked after later than that.
    pub(crate) fn set_gate_elsewhere(&mut self, to: bool, unless_known_since: Option<Timestamp>) -> Result<bool> {
        if self.stale {
            self.reload()?;
        }
        if let Some(since) = unless_known_since
            && gate::knows_any(&self.conn, since)?
        {
            let detail = "the ledger's own gate knows keys that Redis alone may give out again";
            return Err(Error::new(Code::UnsafeStore, detail));
        }
        gate::set_elsewhere(&self.conn, to)
    }

    /// The indices are other than they were; log and tree are the same.
    pub(crate) fn forget_indices(&mut self) {
        self.index.forget();
    }

    /// The state cannot be trusted any more, as after a panic.
    pub(crate) fn distrust(&mut self) {
        self.stale = true;
    }

    fn commit_together(&mut self, jobs: &[Work<'_>]) -> Result<Vec<Done>> {
        if self.stale {
            self.reload()?;
        }
        let before = self.head.clone();
        run(&self.conn, "BEGIN IMMEDIATE", [])?;
        let decided = self.decide_all(jobs).and_then(|answers| {
            self.index.flush(&self.conn)?;
            match self.faults.take() {
                None => Ok((answers, None)),
                Some(Fault::BeforeCommit) => Err(Error::new(Code::StorageFailed, "a test asked for this failure")),
                Some(Fault::Panic) => panic!("a test asked for this panic"),
                Some(fault) => Ok((answers, Some(fault))),
            }
        });
        match decided {
            Ok((answers, None)) => match run(&self.conn, "COMMIT", []) {
                Ok(_) => Ok(answers),
                Err(error) => Err(self.unknown(error)),
            },
            Ok((_, Some(fault))) => {
                run(&self.conn, if fault == Fault::CommitDone { "COMMIT" } else { "ROLLBACK" }, [])?;
                Err(self.unknown(Error::new(Code::StorageFailed, "a test asked for this failure")))
            }
            Err(error) => {
                self.roll_back(before);
                Err(error)
            }
        }
    }

    /// Undoes a group that did not come to its COMMIT.
    fn roll_back(&mut self, before: Head) {
        self.head = before;
        self.index.forget();
        self.gate.forget();
        // SQLite has rolled back by itself where autocommit is on again.
        if !self.conn.is_autocommit() && run(&self.conn, "ROLLBACK", []).is_err() {
            self.stale = true;
        }
    }

    /// Nobody knows whether COMMIT did it.
    fn unknown(&mut self, cause: Error) -> Error {
        self.stale = true;
        let detail = format!("the outcome of the commit is not known: {}", cause.detail());
        Error::new(Code::CommitUnknown, detail).because(cause)
    }

    /// Reads the state from the file again, over a new connection.
    ///
    /// What the WAL holds is copied to the database and synced first: an fsync that failed may have dropped pages that
    /// still read well, and what is then found to be a duplicate must be durable.
    fn reload(&mut self) -> Result<()> {
        if !self.conn.is_autocommit() {
            // Where it fails, closing the connection does the same.
            drop(run(&self.conn, "ROLLBACK", []));
        }
        self.index.forget();
        self.gate.forget();
        let mut conn = open::writer(&self.path, &self.options, Holds::Ledger)?;
        count_wal_pages(&mut conn, &self.wal_pages)?;
        self.conn = conn;
        let (busy, log, copied) = checkpoint(&self.conn, "PRAGMA wal_checkpoint(RESTART)")?;
        if busy || log != copied {
            return Err(Error::new(Code::Busy, "a reader keeps the ledger from being checked after a failed commit"));
        }
        self.head = head(&self.conn, self.ledger)?;
        self.stale = false;
        Ok(())
    }

    fn decide_all(&mut self, jobs: &[Work<'_>]) -> Result<Vec<Done>> {
        let mut done = Vec::with_capacity(jobs.len());
        for job in jobs {
            done.push(match job {
                Work::Batches(batches) => {
                    let mut receipts = Vec::with_capacity(batches.len());
                    for batch in *batches {
                        receipts.push(match batch {
                            Ok(ready) => self.decide_one(ready)?,
                            Err(error) => Err(error.clone()),
                        });
                    }
                    Done::Receipts(receipts)
                }
                Work::Gate(question) => {
                    let Options { gate, source, .. } = &self.options;
                    Done::Gate(Box::new(Ok(self.gate.answer(&self.conn, question, gate, source)?)))
                }
            });
        }
        Ok(done)
    }

    fn view(&self) -> View<'_> {
        View {
            conn: &self.conn,
            ledger: self.ledger,
            size: self.head.edge.size(),
            own: Some(Own { index: &self.index, edge: &self.head.edge, unowned_entries: self.head.unowned_entries }),
            names: RunNames::default(),
            types: TypeNames::default(),
            one_entry: Kept::default(),
            one_trace: Kept::default(),
        }
    }

    /// Decides one batch and writes it. The outer error is the whole group's, the inner one the batch's own.
    fn decide_one(&mut self, ready: &Ready) -> Result<Result<Receipt>> {
        let (prepared, view) = (ready.prepared(), self.view());
        let found = match fetch(&needs(prepared), &view) {
            Ok(found) => found,
            Err(error) if is_of_the_batch(&error) && !self.conn.is_autocommit() => return Ok(Err(error)),
            Err(error) => return Err(error),
        };
        let recorded_at = self.options.source.now().max(self.head.clock);
        let context = Context { ledger: self.ledger, recorded_at, size: view.size };
        let planned = match decide(prepared, &found, &context) {
            Ok(planned) => planned,
            Err(refused) => return Ok(Err(refused)),
        };
        for entry in &planned.entries {
            if let Some((run_no, run_id)) = &entry.run
                && *run_no == entry.log_index
                && one(&self.conn, "SELECT 1 FROM run_name WHERE run_id = ?1", [run_id.as_str()], |_| Ok(()))?.is_some()
            {
                return Ok(Err(Error::new(Code::Erased, "the run was erased; its id is never free again")));
            }
        }
        // The root of an earlier size is read before anything is written: a batch that cannot be answered leaves nothing.
        let earlier = match planned.decision.tree_size {
            size if size == view.size => Some(self.head.edge.root()),
            size if size < view.size => match read::root_at(&view, size) {
                Ok(root) => Some(root),
                Err(error) if error.code() == Code::Corrupt.as_str() => return Ok(Err(error)),
                Err(error) => return Err(error),
            },
            _ => None,
        };
        drop(view);
        let decision = self.write(ready, planned, recorded_at)?;
        let root = earlier.unwrap_or_else(|| self.head.edge.root());
        Ok(Ok(decision.receipt(root)))
    }

    fn write(&mut self, ready: &Ready, planned: Planned, recorded_at: Timestamp) -> Result<Decision> {
        let (mut tiles, mut packed) = (Vec::new(), ready.packed());
        for (entry, leaf) in planned.entries.iter().zip(&planned.leaves) {
            append(&self.conn, entry, &mut packed)?;
            self.head.unowned_entries += u64::from(entry.run.is_none());
            self.head.edge.push(*leaf, &mut tiles);
        }
        if !planned.entries.is_empty() {
            self.head.clock = recorded_at;
        }
        for tile in &tiles {
            put_tile(&self.conn, tile)?;
        }
        for change in planned.changes {
            if let Change::Erased { run_no, run_id, log_index, entries, .. } = &change {
                erase::content(&self.view(), *run_no, *log_index, *entries)?;
                self.gate.erase(&self.conn, run_id)?;
                self.erased();
            }
            if let Change::Redacted { run_no, run_id, entries, trace, .. } = &change {
                erase::members(&self.view(), *run_no, entries, *trace)?;
                gate::forget_answers(&self.conn, run_id)?;
                self.erased();
            }
            self.index.apply(&self.conn, change)?;
        }
        Ok(planned.decision)
    }

    /// Free pages are to go back, and the WAL is to be emptied.
    fn erased(&mut self) {
        self.freed = true;
        self.wal_tells.get_or_insert((self.wal_rests, EMPTY_AGAIN));
    }

    /// What can wait until the callers have their answers: keeps the WAL short. `waits` tells that others may be waiting to
    /// commit.
    ///
    /// A failure is none of theirs: what was answered stands in the WAL, and the next time tries again.
    pub(crate) fn maintain(&mut self, waits: bool) {
        // Fewer pages than a transaction gives back are not worth its sync while others wait: whoever rests, and the end of
        // a gc, give back those.
        let is_worth_it = || !waits || self.free_pages().is_ok_and(|pages| pages >= u64::from(FREE_PAGES));
        if self.freed && !self.stale && is_worth_it() {
            // It is tried again after the next group.
            drop(self.give_back());
        }
        if self.wal_tells.is_some_and(|(at, _)| at <= Instant::now()) {
            self.empty_wal();
        }
        self.checkpoint_when_due();
    }

    /// Whether [`Writer::maintain`] is to be called again although nobody commits.
    pub(crate) const fn is_restless(&self) -> bool {
        !self.stale && (self.freed || self.wal_tells.is_some())
    }

    /// Empties the WAL, if it may hold what was erased: the database itself no longer does, once all is copied. Readers
    /// of an older state are waited for, for a moment, and else keep it.
    pub(crate) fn empty_wal(&mut self) {
        let Some((_, again)) = self.wal_tells.filter(|_| !self.stale) else { return };
        let emptied = self.conn.busy_timeout(RESTART_WAIT).is_ok()
            && checkpoint(&self.conn, "PRAGMA wal_checkpoint(TRUNCATE)").is_ok_and(|(busy, ..)| !busy);
        drop(self.conn.busy_timeout(open::BUSY_TIMEOUT));
        if emptied {
            (self.wal_tells, self.wal_grown, self.checkpointed_pages) = (None, false, 0);
            self.wal_pages.store(0, Ordering::Relaxed);
            self.wal_rests = Instant::now() + EMPTY_AGAIN;
        } else {
            self.wal_tells = Some((Instant::now() + again, (again * 2).min(EMPTY_AGAIN_MAX)));
        }
    }

    fn checkpoint_when_due(&mut self) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if self.stale {
            return;
        }
        if pages >= WAL_GROWS_PAGES && !std::mem::replace(&mut self.wal_grown, true) {
            // A disk without that room is not full yet, and the WAL works as it is.
            drop(grow_wal(&self.path));
        }
        if pages < self.checkpointed_pages {
            self.checkpointed_pages = 0;
        }
        let again = if pages < RESTART_PAGES { CHECKPOINT_AGAIN_PAGES } else { RESTART_AGAIN_PAGES };
        if pages < CHECKPOINT_PAGES.max(self.checkpointed_pages + again) {
            return;
        }
        self.checkpointed_pages = pages;
        if pages < RESTART_PAGES {
            drop(checkpoint(&self.conn, "PRAGMA wal_checkpoint(PASSIVE)"));
        } else if self.conn.busy_timeout(RESTART_WAIT).is_ok() {
            drop(checkpoint(&self.conn, "PRAGMA wal_checkpoint(RESTART)"));
            drop(self.conn.busy_timeout(open::BUSY_TIMEOUT));
        }
    }

    /// Gives some free pages back to the file system, in a transaction of its own; gives how many are left. The file
    /// itself is shortened when the WAL is copied into it, as it is with the last of them.
    pub(crate) fn give_back(&mut self) -> Result<u64> {
        if self.stale {
            self.reload()?;
        }
        if self.free_pages()? > 0 {
            let sql = format!("PRAGMA incremental_vacuum({FREE_PAGES})");
            if let Err(error) = many(&self.conn, &sql, [], |_| Ok(())) {
                return Err(self.unknown(error));
            }
        }
        let left = self.free_pages()?;
        self.freed = left > 0;
        if left == 0 {
            checkpoint(&self.conn, "PRAGMA wal_checkpoint(PASSIVE)")?;
        } else {
            self.checkpoint_when_due();
        }
        Ok(left)
    }

    fn free_pages(&self) -> Result<u64> {
        value(&self.conn, "PRAGMA freelist_count", [])
    }

    /// Copies the WAL to the database and closes the connection.
    pub(crate) fn close(mut self) -> Result<()> {
        for _ in 0..CLOSE_PIECES {
            if !self.freed || self.give_back().is_err() {
                break;
            }
        }
        self.conn.close().map_err(|(_, error)| failed(error))
    }

    /// Bounds the database, so that a test can fill it.
    pub(crate) fn limit_pages(&self, pages_more: Option<u32>) -> Result<()> {
        let pages: u32 = value(&self.conn, "PRAGMA page_count", [])?;
        let max = pages_more.map_or(u32::MAX - 1, |more| pages + more);
        self.conn.pragma_update(None, "max_page_count", max).said()
    }
}

/// Whether a look-up failed by what this batch asked for, and not by the storage.
fn is_of_the_batch(error: &Error) -> bool {
    error.code() == Code::Corrupt.as_str() || error.kind() == ErrorKind::TooLarge
}

/// Writes an entry, its body as one of those that are `packed`.
fn append<'a>(
    conn: &Connection,
    entry: &Entry,
    packed: &mut (impl Iterator<Item = (&'a Body, Option<&'a [u8]>)> + Clone),
) -> Result<()> {
    if let Some((run_no, run_id)) = &entry.run
        && *run_no == entry.log_index
    {
        run(conn, "INSERT INTO run_name (run_no, run_id) VALUES (?1, ?2)", (run_no, run_id.as_str()))?;
    }
    let (body, salt) = entry.content.as_ref().expect("invariant: a new entry has its content");
    let frame = frame_of(packed, body);
    let (codec, body) = codec::encode(body, frame.as_deref());
    let sql = "INSERT INTO entry (log_index, run_no, seq, kind, recorded_at, commitment, after, codec, body, salt) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let row = (
        entry.log_index,
        entry.run.as_ref().map(|(run_no, _)| *run_no),
        entry.seq,
        entry.kind.number(),
        entry.recorded_at.as_nanos(),
        &entry.commit.as_bytes()[..],
        entry.after,
        codec,
        body,
        &salt.as_bytes()[..],
    );
    run(conn, sql, row)?;
    Ok(())
}

fn head(conn: &Connection, ledger: LedgerId) -> Result<Head> {
    let view = View::committed(conn, ledger)?;
    let edge = Edge::restore(view.size, |level, first, count| partial_tile(conn, ledger, level, first, count));
    let edge = edge.map_err(|error| match error {
        RestoreError::Read(error) => error,
        other => corrupt(format!("the tree cannot be taken up again: {other}")),
    })?;
    Ok(Head { edge, clock: view.clock()?, unowned_entries: unowned_entries(conn)? })
}

fn count_wal_pages(conn: &mut Connection, pages: &Arc<AtomicU32>) -> Result<()> {
    let pages = Arc::clone(pages);
    let note = move |_: &mut rusqlite::hooks::Wal, in_wal: i32| {
        pages.store(in_wal.unsigned_abs(), Ordering::Relaxed);
        Ok(())
    };
    conn.wal_hook(Some(note)).said()
}

/// Grows the WAL with zeros, which no reader takes for a frame. Only its writer may, between two transactions.
///
/// Another handle on a WAL is harmless: SQLite's locks are on the other two files.
fn grow_wal(path: &Path) -> std::io::Result<()> {
    let mut wal = OpenOptions::new().append(true).open(wal_of(path))?;
    let bytes = wal.metadata()?.len();
    let zeros = vec![0; 1 << 20];
    let mut left = WAL_BYTES.saturating_sub(bytes);
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        if let Err(error) = wal.write_all(&zeros[..usize::try_from(part).unwrap_or(zeros.len())]) {
            wal.set_len(bytes)?;
            return Err(error);
        }
        left -= part;
    }
    wal.sync_all()
}

/// Makes durable what a process left in the WAL, before anything in it is read and answered to be recorded.
///
/// A writer that was killed between its write and its fsync leaves frames that read well and that no disk has seen: a
/// batch sent again would be a duplicate of nothing. Copying them to the database syncs both files; where a reader of an
/// older state keeps some of them from being copied, the WAL itself is synced, and the directory that names it.
fn make_durable(conn: &Connection, path: &Path) -> Result<()> {
    let (busy, log, copied) = checkpoint(conn, "PRAGMA wal_checkpoint(PASSIVE)")?;
    if busy || log != copied {
        let synced = File::open(wal_of(path)).and_then(|wal| wal.sync_data());
        synced.map_err(|error| io("the write-ahead log cannot be synced", error))?;
    }
    // Whoever made the files may have ended before it came to this.
    if busy || log > 0 { open::sync_directory(path) } else { Ok(()) }
}

fn wal_of(path: &Path) -> PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}

/// (busy, pages in the WAL, pages copied to the database).
fn checkpoint(conn: &Connection, sql: &str) -> Result<(bool, i64, i64)> {
    let done =
        one(conn, sql, [], |row| Ok((row.get::<_, i64>(0).said()? != 0, row.get(1).said()?, row.get(2).said()?)))?;
    done.ok_or_else(|| corrupt("a checkpoint gave no answer"))
}
