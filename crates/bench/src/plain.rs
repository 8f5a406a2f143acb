//! Traces in SQLite as a program would keep them that wants nothing but to find them again: one table with the body as
//! JSON, an index for each attribute, a table of tags, FTS5 over the bodies. No log, no hashes, no kept counters.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ToSql, params};
use tracekeep_core::model::Op;

use crate::Result;

const SCHEMA: &str = "
    CREATE TABLE trace (
        n INTEGER PRIMARY KEY, run TEXT NOT NULL, id TEXT NOT NULL, parent TEXT, type TEXT NOT NULL,
        time INTEGER NOT NULL, body TEXT NOT NULL
    );
    CREATE UNIQUE INDEX trace_by_id ON trace (run, id);
    CREATE INDEX trace_by_type ON trace (run, type, time);
    CREATE INDEX trace_by_parent ON trace (run, parent, time);
    CREATE INDEX trace_by_time ON trace (run, time);
    CREATE TABLE trace_tag (
        run TEXT NOT NULL, tag TEXT NOT NULL, time INTEGER NOT NULL, n INTEGER NOT NULL,
        PRIMARY KEY (run, tag, time, n)
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE trace_text USING fts5(body, content = 'trace', content_rowid = 'n');";

pub(crate) const BY_ID: &str = "SELECT body FROM trace WHERE run = ?1 AND id = ?2";
/// The same in the ledger's own file, where the run's number is 0.
pub(crate) const OF_LEDGER: &str =
    "SELECT e.body FROM trace t CROSS JOIN entry e ON e.log_index = t.log_index WHERE t.run_no = 0 AND t.id = ?1";
pub(crate) const BY_TYPE: &str = "SELECT body FROM trace WHERE run = ?1 AND type = ?2 ORDER BY time, n LIMIT 50";
pub(crate) const BY_TAG: &str = "SELECT body FROM trace_tag g JOIN trace t ON t.n = g.n WHERE g.run = ?1 AND g.tag = ?2 \
                                 ORDER BY g.time, g.n LIMIT 50";
pub(crate) const BY_PARENT: &str = "SELECT body FROM trace WHERE run = ?1 AND parent = ?2 ORDER BY time, n LIMIT 50";
pub(crate) const BY_TIME: &str =
    "SELECT body FROM trace WHERE run = ?1 AND time >= ?2 AND time < ?3 ORDER BY time, n LIMIT 50";
pub(crate) const ROOTS: &str = "SELECT body FROM trace WHERE run = ?1 AND parent IS NULL ORDER BY time, n LIMIT 50";
pub(crate) const BY_TEXT: &str = "SELECT t.body FROM trace_text f JOIN trace t ON t.n = f.rowid \
                                  WHERE trace_text MATCH ?2 AND t.run = ?1 ORDER BY t.time, t.n LIMIT 50";
/// Pre-order: what was found last is gone into first.
pub(crate) const TREE: &str = "WITH RECURSIVE tree (n, id, depth, time) AS (SELECT n, id, 0, time FROM trace WHERE run = ?1 AND id = ?2 UNION ALL \
     SELECT c.n, c.id, tree.depth + 1, c.time FROM tree CROSS JOIN trace c ON c.run = ?1 AND c.parent = tree.id \
     ORDER BY 3 DESC, 4, 1) SELECT t.body FROM tree CROSS JOIN trace t ON t.n = tree.n";
pub(crate) const COUNT: &str = "SELECT count(*) FROM trace WHERE run = ?1";
pub(crate) const COUNT_OF_TYPE: &str = "SELECT count(*) FROM trace WHERE run = ?1 AND type = ?2";

/// A trace's columns.
pub(crate) struct Row {
    run: String,
    id: String,
    parent: Option<String>,
    type_name: String,
    time: i64,
    body: String,
    tags: Vec<String>,
}

impl Row {
    /// Of an op that records a trace under an id, at a time.
    pub(crate) fn of(op: &Op) -> Option<Self> {
        let Op::RecordTrace(trace) = op else { return None };
        Some(Self {
            run: trace.run_id.to_string(),
            id: trace.id.as_ref()?.to_string(),
            parent: trace.parent_id.as_ref().map(ToString::to_string),
            type_name: trace.trace_type.type_name().to_owned(),
            time: trace.occurred_at?.as_nanos(),
            body: op.body().as_str().to_owned(),
            tags: trace.tags.clone(),
        })
    }
}

/// The file and one connection to it.
pub(crate) struct Plain(Connection);

impl Plain {
    /// An empty one, made to be filled fast.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let conn = Connection::open(path)?;
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")?;
        conn.execute_batch(SCHEMA)?;
        Ok(Self(conn))
    }

    /// With the cache of Tracekeep's reader, and with statements that are compiled once.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let conn = Connection::open(path)?;
        conn.execute_batch("PRAGMA cache_size = -49152;")?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        conn.set_prepared_statement_cache_capacity(64);
        Ok(Self(conn))
    }

    /// Inserts rows in one transaction; the text index is built later.
    pub(crate) fn insert(&mut self, rows: &[Row]) -> Result<()> {
        let transaction = self.0.transaction()?;
        for row in rows {
            let sql = "INSERT INTO trace (run, id, parent, type, time, body) VALUES (?, ?, ?, ?, ?, ?)";
            let columns = params![row.run, row.id, row.parent, row.type_name, row.time, row.body];
            let n = transaction.prepare_cached(sql)?.insert(columns)?;
            for tag in &row.tags {
                let mut statement = transaction.prepare_cached("INSERT INTO trace_tag VALUES (?, ?, ?, ?)")?;
                statement.execute(params![row.run, tag, row.time, n])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Builds the text index.
    pub(crate) fn index_texts(&self) -> Result<()> {
        Ok(self.0.execute_batch("INSERT INTO trace_text (trace_text) VALUES ('rebuild')")?)
    }

    /// Bytes that the text index takes.
    pub(crate) fn text_bytes(&self) -> Result<u64> {
        let sql = "SELECT sum(pgsize) FROM dbstat WHERE aggregate = 1 AND name LIKE 'trace_text_%'";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// All of it into the file itself.
    pub(crate) fn close(self) -> Result<()> {
        self.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        self.0.close().map_err(|(_, error)| error.into())
    }

    /// Bodies that a statement finds, copied out: their number.
    pub(crate) fn bodies(&self, sql: &str, values: &[&dyn ToSql]) -> Result<u64> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut kept = Vec::new();
        while let Some(row) = rows.next()? {
            kept.push(row.get_ref(0)?.as_bytes()?.to_vec());
        }
        Ok(kept.len() as u64)
    }

    /// The number that a statement gives.
    pub(crate) fn number(&self, sql: &str, values: &[&dyn ToSql]) -> Result<u64> {
        Ok(self.0.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }
}
