//! The rows that Tracekeep wrote, read back so that the baseline can write the very same.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::Result;

/// A row of any table, column by column.
pub(crate) type Row = Vec<Value>;

/// What one entry put into the tables. Counters and states of runs are gathered by who writes, as Tracekeep does.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) run_no: Option<i64>,
    /// Of `entry`, whole.
    pub(crate) entry: Row,
    /// Of `run_name` and `run`, where the entry is a run's first.
    pub(crate) started: Option<(Row, Row)>,
    /// Of `topic`.
    pub(crate) topic: Option<Row>,
    /// Of `trace`.
    pub(crate) trace: Option<Row>,
    /// Of `trace_tag`.
    pub(crate) tags: Vec<Row>,
    /// Of `slot`, where the entry was the first to name an id.
    pub(crate) named: Option<Row>,
    /// The slot that the entry's trace filled.
    pub(crate) filled: Option<i64>,
}

/// All of a ledger's rows.
pub(crate) struct Rows {
    pub(crate) entries: Vec<Recorded>,
    pub(crate) names: Vec<Row>,
    /// The state of each run, as it was left.
    pub(crate) states: HashMap<i64, Vec<u8>>,
    /// Bytes of a page of the file.
    pub(crate) page_bytes: i64,
}

/// Columns of `trace` by their place: parent, type.
pub(crate) const TRACE_PARENT: usize = 3;
pub(crate) const TRACE_TYPE: usize = 5;
/// The column of `trace_tag` that holds the tag.
pub(crate) const TAG_NAME: usize = 1;

impl Rows {
    /// Reads a ledger that nobody writes to.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut by_entry: HashMap<i64, Recorded> = HashMap::new();
        let mut order = Vec::new();
        for entry in all(&conn, "SELECT * FROM entry ORDER BY log_index")? {
            let log_index = integer(&entry[0]);
            let run_no = match entry[1] {
                Value::Integer(run_no) => Some(run_no),
                _ => None,
            };
            order.push(log_index);
            let recorded = Recorded {
                run_no,
                entry,
                started: None,
                topic: None,
                trace: None,
                tags: Vec::new(),
                named: None,
                filled: None,
            };
            by_entry.insert(log_index, recorded);
        }
        let mut at = |log_index: &Value, put: &mut dyn FnMut(&mut Recorded)| {
            if let Some(recorded) = by_entry.get_mut(&integer(log_index)) {
                put(recorded);
            }
        };
        let runs = all(&conn, "SELECT * FROM run ORDER BY run_no")?;
        let run_names = all(&conn, "SELECT * FROM run_name ORDER BY run_no")?;
        let mut states = HashMap::new();
        for (run, name) in runs.into_iter().zip(run_names) {
            if let Some(Value::Blob(state)) = run.last() {
                states.insert(integer(&run[0]), state.clone());
            }
            at(&run[0].clone(), &mut |recorded| recorded.started = Some((name.clone(), run.clone())));
        }
        for topic in all(&conn, "SELECT * FROM topic")? {
            at(&topic[2].clone(), &mut |recorded| recorded.topic = Some(topic.clone()));
        }
        for trace in all(&conn, "SELECT * FROM trace")? {
            at(&trace[0].clone(), &mut |recorded| recorded.trace = Some(trace.clone()));
        }
        for tag in all(&conn, "SELECT * FROM trace_tag")? {
            at(&tag[3].clone(), &mut |recorded| recorded.tags.push(tag.clone()));
        }
        for slot in all(&conn, "SELECT * FROM slot")? {
            at(&slot[4].clone(), &mut |recorded| recorded.filled = Some(integer(&slot[0])));
            let mut named = slot.clone();
            named[4] = Value::Null;
            at(&slot[0].clone(), &mut |recorded| recorded.named = Some(named.clone()));
        }
        let entries = order.iter().filter_map(|log_index| by_entry.remove(log_index)).collect();
        let page_bytes = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        Ok(Self { entries, names: all(&conn, "SELECT * FROM name")?, states, page_bytes })
    }
}

pub(crate) fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(value) => *value,
        _ => i64::MIN,
    }
}

fn all(conn: &Connection, sql: &str) -> Result<Vec<Row>> {
    let mut statement = conn.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
