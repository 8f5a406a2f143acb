//! Opening: options, pragmas, and the refusal of what is not ours to touch.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tracekeep_core::Timestamp;
use tracekeep_core::id::LedgerId;
use tracekeep_core::model::EffectGate;
use tracekeep_store::gate::Rules;
use tracekeep_store::{Code, Error, Redaction, Result, Source, Sources, SystemSources};

use crate::error::{Said, failed, io};
use crate::schema::{self, Holds};
use crate::statement::value;

/// How a ledger is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Make the ledger where there is none. Unless told: yes.
    pub create: bool,
    /// Open for reading alone: takes no lock, works beside a running writer, and refuses to commit. Unless told: no.
    pub read_only: bool,
    /// Where times, ids and random bytes come from.
    pub source: Source,
    /// What is taken out of every op at the door, before it is hashed. Unless told: nothing.
    pub redact: Redaction,
    /// Connections for reading, 1 at least: reads beyond them wait for one. The first takes up to 48 MiB of pages that were
    /// read, each other one up to 4 MiB. 8 unless told.
    pub readers: u32,
    /// Ops that may wait to be committed; more are answered with `busy`, or wait where the caller blocks. 16,384 unless
    /// told.
    pub queue_ops: u64,
    /// Bytes of bodies that may wait to be committed, likewise. 32 MiB unless told. One call is always admitted when
    /// nothing waits.
    pub queue_bytes: u64,
    /// Where the gate of runs' effects is kept, where that is Redis alone: each run that is started says so. Unless told: in
    /// the ledger, or with the ledger as its arbiter, and runs say nothing.
    pub effect_gate: Option<EffectGate>,
    /// How long the gate remembers keys, and how many: seven days beyond their ttl, and ten million, unless told.
    pub gate: Rules,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            source: Source::default(),
            redact: Redaction::none(),
            effect_gate: None,
            readers: 8,
            queue_ops: 16_384,
            queue_bytes: 32 << 20,
            gate: Rules { keys_max: 10_000_000, ..Rules::default() },
        }
    }
}

/// The first SQLite without the WAL-reset bug (sqlite.org/wal.html#walresetbug).
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Bytes of a page. A format decision: it cannot change while readers are about.
const PAGE_BYTES: u32 = 8_192;
/// How long a connection waits for another process's lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// KiB of pages that the writer keeps. The system keeps the others: more here is only there twice.
const WRITER_CACHE_KIB: i64 = 16 << 10;
/// KiB of pages that a reader keeps.
const READER_CACHE_KIB: i64 = 4 << 10;
/// KiB of pages that the first reader keeps. A page that is not kept costs a look-up of 20 scattered traces as much as all
/// else together. (Mapping the file was slower still: a mapped page is checked anew at each use.)
const FIRST_READER_CACHE_KIB: i64 = 48 << 10;
/// Statements kept prepared: more than there are.
const STATEMENTS: usize = 96;
/// A WAL that a long reader let grow is cut back to this many bytes.
const WAL_BYTES_MAX: u64 = 64 << 20;

/// Whether a connection writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The one that writes.
    Writer,
    /// Reads beside a writer of this process.
    Reader,
    /// Reads a file that this process may be unable to write to.
    ReadOnly,
    /// The same, and builds tables in the schema `temp`.
    Checker,
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    connect_as(path, path, flags)
}

/// Connects to the file at `path` under another name for it.
fn connect_as(name: &Path, path: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    Connection::open_with_flags(name, flags).map_err(|error| cannot_open(path, error))
}

/// SQLite says `unable to open` for a directory, a missing file and a forbidden one alike.
fn cannot_open(path: &Path, error: rusqlite::Error) -> Error {
    if path.is_dir() {
        return Error::new(Code::NotALedger, "the path is a directory").because(error);
    }
    match std::fs::metadata(path) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => no_ledger().because(error),
        Err(denied) => io("the ledger's file cannot be looked at", denied),
        Ok(_) => failed(error),
    }
}

fn no_ledger() -> Error {
    Error::new(Code::NotALedger, "there is no ledger at this path")
}

/// Refuses an SQLite that is too old to be trusted with a WAL.
fn check_version() -> Result<()> {
    if rusqlite::version_number() >= SQLITE_VERSION_MIN {
        return Ok(());
    }
    let detail = format!("SQLite {} is older than 3.51.3, which it must be at least", rusqlite::version());
    Err(Error::new(Code::StorageFailed, detail))
}

/// Links that are followed to a file that is not there yet.
const LINKS_MAX: u32 = 40;

/// The one name of the file at `path`, whatever links lead to it: the lock, the write-ahead log and the directory that is
/// synced are named after it. A file that is yet to be made has the name of its directory and its own.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let text = path.as_os_str().as_encoded_bytes();
    if text.is_empty()
        || text == b":memory:"
        || text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"file:"))
    {
        let detail =
            "a ledger is opened by the path of a file: no URI, and nothing in memory (./NAME is a file of any name)";
        return Err(Error::new(Code::InvalidParameter, detail));
    }
    let denied = |error| io("the ledger's file cannot be looked at", error);
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let error = match std::fs::canonicalize(&path) {
            Ok(path) => return Ok(path),
            Err(error) => error,
        };
        let directory = directory_of(&path);
        if let Ok(target) = std::fs::read_link(&path) {
            path = directory.join(target);
            continue;
        }
        if error.kind() != std::io::ErrorKind::NotFound {
            return Err(denied(error));
        }
        return match (std::fs::canonicalize(directory), path.file_name()) {
            (Ok(directory), Some(name)) => Ok(directory.join(name)),
            // What opens it says what is missing.
            _ => Ok(path),
        };
    }
    Err(Error::new(Code::NotALedger, "the path is a circle of links"))
}

/// Tells what stands at `path` without changing it. `Nothing` for a file that is missing or empty.
///
/// The file is looked at through SQLite alone: closing any other handle on it would drop SQLite's locks.
pub(crate) fn look(path: &Path) -> Result<Holds> {
    check_version()?;
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(Error::new(Code::NotALedger, "the path is a directory")),
        Ok(found) if found.len() == 0 => return Ok(Holds::Nothing),
        Ok(_) => {}
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(Holds::Nothing),
        Err(denied) => return Err(io("the ledger's file cannot be looked at", denied)),
    }
    schema::probe(&to_read(path)?)
}

/// A connection that changes nothing.
///
/// Even to be read, a write-ahead log needs a file beside it. Where none can be made and none is there, nobody writes,
/// and the file is read as one that does not change: an archive on a medium that takes no writes.
fn to_read(path: &Path) -> Result<Connection> {
    let attempt = |conn: Connection| -> Result<Connection> {
        conn.busy_timeout(BUSY_TIMEOUT).said()?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).said()?;
        Ok(conn)
    };
    let refused = match connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(attempt) {
        Ok(conn) => return Ok(conn),
        Err(refused) => refused,
    };
    if refused.code() != Code::ReadOnly.as_str() {
        return Err(refused);
    }
    let holds_something = |suffix: &str| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        std::fs::metadata(beside).is_ok_and(|found| found.len() > 0)
    };
    match immutable(path).filter(|_| !holds_something("-wal")) {
        None => {
            let detail = "the ledger's directory cannot be written to, which its write-ahead log needs to be read";
            Err(Error::new(Code::ReadOnly, detail).because(refused))
        }
        Some(uri) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            connect_as(Path::new(&uri), path, flags).and_then(attempt)
        }
    }
}

/// The URI of a file that does not change (sqlite.org/uri.html).
fn immutable(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let mut uri = "file:".to_owned();
    for character in path.to_str()?.chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}

/// The connection that writes; makes the ledger where the file holds nothing.
pub(crate) fn writer(path: &Path, options: &Options, holds: Holds) -> Result<Connection> {
    let create = match holds {
        Holds::Nothing if !options.create => return Err(no_ledger()),
        Holds::Nothing => true,
        Holds::Ledger => false,
    };
    let flags = if create { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
    let mut conn = connect(path, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.busy_timeout(BUSY_TIMEOUT).said()?;
    if conn.is_readonly("main").said()? {
        return Err(Error::new(Code::ReadOnly, "the ledger's file cannot be written to"));
    }
    if create {
        conn.pragma_update(None, "page_size", PAGE_BYTES).said()?;
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL").said()?;
    }
    settings(&conn, Mode::Writer)?;
    if create {
        schema::create(&mut conn, options.source.ledger_id(), now())?;
        sync_directory(path)?;
    }
    schema::check(&conn)?;
    Ok(conn)
}

/// A new file survives power loss only once its directory does.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let synced = std::fs::File::open(directory_of(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|error| io("the ledger's directory cannot be synced", error))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// A connection that reads.
pub(crate) fn reader(path: &Path, mode: Mode) -> Result<Connection> {
    let conn = match mode {
        Mode::ReadOnly | Mode::Checker => to_read(path)?,
        // Readers of a writer's process can recover a WAL and keep its index.
        Mode::Reader | Mode::Writer => connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?,
    };
    settings(&conn, mode)?;
    Ok(conn)
}

/// Gives a reader the larger cache, of which a pool has one.
pub(crate) fn keep_more(conn: &Connection) -> Result<()> {
    conn.pragma_update(None, "cache_size", -FIRST_READER_CACHE_KIB).said()
}

/// What holds for every connection, and what for each kind.
fn settings(conn: &Connection, mode: Mode) -> Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT).said()?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a statement is compiled again whenever it is given another value: every index is named anyway.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).said()?;
    let set = |name: &str, to: &str| conn.pragma_update(None, name, to).said();
    set("trusted_schema", "OFF")?;
    set("cell_size_check", "ON")?;
    set("foreign_keys", "OFF")?;
    let cache_kib = match mode {
        Mode::Writer | Mode::Checker => WRITER_CACHE_KIB,
        Mode::Reader | Mode::ReadOnly => READER_CACHE_KIB,
    };
    conn.pragma_update(None, "cache_size", -cache_kib).said()?;
    match mode {
        Mode::Writer => {}
        Mode::Reader | Mode::ReadOnly => return set("query_only", "ON"),
        Mode::Checker => return Ok(()),
    }
    set("secure_delete", "ON")?;
    set("journal_mode", "WAL")?;
    set("synchronous", "FULL")?;
    // The writer checkpoints by itself, after it has answered.
    conn.pragma_update(None, "wal_autocheckpoint", 0).said()?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX).said()?;
    let journal: String = value(conn, "PRAGMA journal_mode", [])?;
    let synchronous: i64 = value(conn, "PRAGMA synchronous", [])?;
    if journal != "wal" || synchronous != 2 {
        return Err(Error::new(Code::StorageFailed, "the file system does not give what a durable commit needs"));
    }
    Ok(())
}

/// The machine's time, for what is no part of the record.
pub(crate) fn now() -> Timestamp {
    SystemSources.now()
}

/// The id of the ledger behind a connection.
pub(crate) fn ledger(conn: &Connection) -> Result<LedgerId> {
    schema::ledger(conn)
}
