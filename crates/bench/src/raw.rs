//! The baseline: SQLite alone, writing the rows that Tracekeep wrote, in groups as Tracekeep makes them.
//!
//! Same tables and indices (the schema's own files), same pragmas, same bytes, same statements, same group commit by
//! leader and followers, same checkpoints. No plan, no look-ups, no canonical JSON, no hashing: what remains is what any
//! program would pay that keeps these rows in SQLite.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::Result;
use crate::rows::{Recorded, Row, Rows, TAG_NAME, TRACE_PARENT, TRACE_TYPE, integer};

const RECORD: &str = include_str!("../../store-sqlite/src/sql/0001_record.sql");
const INDEX: &str = include_str!("../../store-sqlite/src/sql/0001_index.sql");

/// Bytes in the WAL from which a group's leader checkpoints, as Tracekeep's does.
const CHECKPOINT_BYTES: i64 = 16_000 << 10;
/// Leaves of a tile.
const TILE: i64 = 256;

/// One connection that writes.
pub(crate) struct Writer {
    conn: Connection,
    next: i64,
    states: HashMap<i64, Vec<u8>>,
    wal_pages: Arc<AtomicI64>,
    checkpoint_pages: i64,
}

impl Writer {
    /// An empty database with the schema and the interned names.
    pub(crate) fn create(path: &Path, rows: &Rows) -> Result<Self> {
        let mut conn = Connection::open(path)?;
        conn.set_prepared_statement_cache_capacity(64);
        conn.pragma_update(None, "page_size", rows.page_bytes)?;
        conn.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA secure_delete = ON; \
             PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; \
             PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = 0; \
             PRAGMA journal_size_limit = 67108864;",
        )?;
        conn.execute_batch(&format!("BEGIN; {RECORD} {INDEX} COMMIT;"))?;
        conn.execute_batch("BEGIN")?;
        for name in &rows.names {
            insert(&conn, "INSERT INTO name VALUES (?, ?)", name)?;
        }
        conn.execute_batch("COMMIT")?;
        let wal_pages = Arc::new(AtomicI64::new(0));
        let pages = Arc::clone(&wal_pages);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, in_wal: i32| {
            pages.store(in_wal.into(), Ordering::Relaxed);
            Ok(())
        }))?;
        let checkpoint_pages = CHECKPOINT_BYTES / rows.page_bytes;
        Ok(Self { conn, next: 0, states: rows.states.clone(), wal_pages, checkpoint_pages })
    }

    /// Writes a group in one transaction. Places in the log are given here, in the order of the group.
    pub(crate) fn commit(&mut self, group: &[&Recorded]) -> Result<()> {
        run(&self.conn, "BEGIN IMMEDIATE")?;
        let mut counts: BTreeMap<(i64, i64, i64), i64> = BTreeMap::new();
        let mut children: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        let mut touched: BTreeSet<i64> = BTreeSet::new();
        for recorded in group {
            let place = Value::Integer(self.next);
            self.next += 1;
            if let Some((name, _)) = &recorded.started {
                insert(&self.conn, "INSERT INTO run_name VALUES (?, ?)", name)?;
            }
            let sql = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            insert_at(&self.conn, sql, &recorded.entry, 0, &place)?;
            if self.next % TILE == 0 {
                let hashes = Value::Blob(vec![self.next as u8; 32 * TILE as usize]);
                let tile = vec![0.into(), Value::Integer(self.next / TILE - 1), Value::Blob(vec![7; 32]), hashes];
                insert(&self.conn, "INSERT INTO tile VALUES (?, ?, ?, ?)", &tile)?;
            }
            if let Some((_, run)) = &recorded.started {
                insert(&self.conn, "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", run)?;
            }
            if let Some(run_no) = recorded.run_no {
                touched.insert(run_no);
            }
            if let Some(topic) = &recorded.topic {
                insert(&self.conn, "INSERT INTO topic VALUES (?, ?, ?)", topic)?;
            }
            if let Some(slot) = &recorded.named {
                insert_at(&self.conn, "INSERT INTO slot VALUES (?, ?, ?, ?, ?)", slot, 0, &place)?;
            }
            if let Some(named_by) = recorded.filled {
                let mut statement = self.conn.prepare_cached("UPDATE slot SET filled_by = ?2 WHERE named_by = ?1")?;
                statement.execute((named_by, &place))?;
            }
            if let (Some(trace), Some(run_no)) = (&recorded.trace, recorded.run_no) {
                insert_at(&self.conn, "INSERT INTO trace VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", trace, 0, &place)?;
                *children.entry((run_no, integer(&trace[TRACE_PARENT]))).or_default() += 1;
                *counts.entry((run_no, 0, integer(&trace[TRACE_TYPE]))).or_default() += 1;
                for tag in &recorded.tags {
                    insert_at(&self.conn, "INSERT INTO trace_tag VALUES (?, ?, ?, ?)", tag, 3, &place)?;
                    *counts.entry((run_no, 1, integer(&tag[TAG_NAME]))).or_default() += 1;
                }
            }
        }
        for run_no in touched {
            let mut statement = self.conn.prepare_cached("UPDATE run SET state = ?2 WHERE run_no = ?1")?;
            statement.execute((run_no, self.states.get(&run_no)))?;
        }
        for ((run_no, kind, name), by) in counts {
            let sql = "INSERT INTO trace_count VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET n = n + excluded.n";
            self.conn.prepare_cached(sql)?.execute((run_no, kind, name, by))?;
        }
        for ((run_no, slot), by) in children {
            let sql = "INSERT INTO child_count VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n";
            self.conn.prepare_cached(sql)?.execute((run_no, slot, by))?;
        }
        run(&self.conn, "COMMIT")
    }

    fn maintain(&mut self) -> Result<()> {
        if self.wal_pages.load(Ordering::Relaxed) < self.checkpoint_pages {
            return Ok(());
        }
        let mut statement = self.conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
        statement.query_row([], |_| Ok(()))?;
        self.wal_pages.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Writes all of it on this thread, so many entries a commit.
    pub(crate) fn bulk(&mut self, rows: &[Recorded], a_commit: usize) -> Result<()> {
        for group in rows.chunks(a_commit) {
            self.commit(&group.iter().collect::<Vec<_>>())?;
            self.maintain()?;
        }
        Ok(())
    }
}

fn run(conn: &Connection, sql: &str) -> Result<()> {
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn insert(conn: &Connection, sql: &str, row: &Row) -> Result<()> {
    conn.prepare_cached(sql)?.execute(params_from_iter(row))?;
    Ok(())
}

/// With another value in one column.
fn insert_at(conn: &Connection, sql: &str, row: &Row, column: usize, value: &Value) -> Result<()> {
    let mut statement = conn.prepare_cached(sql)?;
    let values = row.iter().enumerate().map(|(at, was)| if at == column { value } else { was });
    statement.execute(params_from_iter(values))?;
    Ok(())
}

/// A call that waits for its group.
struct Ticket {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Lead,
    Done,
}

type Waiting<'a> = (&'a Recorded, Arc<Ticket>);

/// Group commit by leader and followers, as Tracekeep does it.
pub(crate) struct Group<'a> {
    queue: Mutex<(Vec<Waiting<'a>>, bool)>,
    writer: Mutex<Writer>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Group<'a> {
    pub(crate) fn new(writer: Writer) -> Self {
        Self { queue: Mutex::new((Vec::new(), false)), writer: Mutex::new(writer) }
    }

    /// Writes one entry's rows; durable when it returns.
    pub(crate) fn commit(&self, recorded: &'a Recorded) {
        let ticket = Arc::new(Ticket { state: Mutex::new(State::Waiting), changed: Condvar::new() });
        let mut queue = lock(&self.queue);
        queue.0.push((recorded, Arc::clone(&ticket)));
        let leads = !std::mem::replace(&mut queue.1, true);
        drop(queue);
        if leads {
            self.lead();
        }
        let mut state = lock(&ticket.state);
        loop {
            match *state {
                State::Done => return,
                State::Waiting => state = ticket.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Lead => {
                    *state = State::Waiting;
                    drop(state);
                    self.lead();
                    state = lock(&ticket.state);
                }
            }
        }
    }

    fn lead(&self) {
        let group = std::mem::take(&mut lock(&self.queue).0);
        let mut writer = lock(&self.writer);
        let rows: Vec<_> = group.iter().map(|(recorded, _)| *recorded).collect();
        writer.commit(&rows).expect("invariant: rows that fitted once fit again");
        for (_, ticket) in &group {
            *lock(&ticket.state) = State::Done;
            ticket.changed.notify_one();
        }
        writer.maintain().expect("invariant: a checkpoint of a good file is good");
        drop(writer);
        let mut queue = lock(&self.queue);
        match queue.0.first() {
            None => queue.1 = false,
            Some((_, ticket)) => {
                *lock(&ticket.state) = State::Lead;
                ticket.changed.notify_one();
            }
        }
    }
}
