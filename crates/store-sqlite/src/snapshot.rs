//! One consistent view of a ledger: the ordered look-ups of [`Snapshot`] as SQL.
//!
//! A view lives inside a transaction of its connection, so that nothing in it changes; the writer's own view sees what
//! its transaction wrote, and the run rows that it has yet to write. Every query names its index (`INDEXED BY`), so that
//! none can quietly become a scan: where the index does not fit, the statement does not prepare.

use std::borrow::Cow;

use rusqlite::{Connection, Row};
use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{Key, LedgerId, RunId, TraceId};
use tracekeep_core::merkle::{Edge, TILE_WIDTH, Tile};
use tracekeep_core::view::NameCount;
use tracekeep_store::rows::{Entry, RunRow, Slot, SlotRow, StepRow, TraceRow};
use tracekeep_store::words::Words;
use tracekeep_store::{Order, Position, Result, RunIndex, Snapshot, Stretch, TraceCounter, TraceIndex};

use crate::error::{Said, corrupt};
use crate::index::{self, Index};
use crate::rows::{
    self, RunNames, TypeNames, entry_columns, entry_header_columns, run_columns, slot_columns, trace_columns,
};
use crate::statement::{Kept, many, one, value};
use crate::text;
use crate::words::Numbered;

/// A view over a connection that is inside a transaction.
pub(crate) struct View<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) ledger: LedgerId,
    pub(crate) size: u64,
    /// The writer's: what it holds in memory of what it has yet to write.
    pub(crate) own: Option<Own<'a>>,
    pub(crate) names: RunNames,
    pub(crate) types: TypeNames,
    pub(crate) one_entry: Kept<'a>,
}

/// What a writer knows better than its tables.
#[derive(Clone, Copy)]
pub(crate) struct Own<'a> {
    pub(crate) index: &'a Index,
    pub(crate) edge: &'a Edge,
    pub(crate) unowned_entries: u64,
}

impl<'a> View<'a> {
    /// A reader's view of what was committed last. The connection is inside a transaction.
    pub(crate) fn committed(conn: &'a Connection, ledger: LedgerId) -> Result<Self> {
        let last: Option<u64> = value(conn, "SELECT max(log_index) FROM entry", [])?;
        Ok(Self {
            conn,
            ledger,
            size: last.map_or(0, |last| last + 1),
            own: None,
            names: RunNames::default(),
            types: TypeNames::default(),
            one_entry: Kept::default(),
        })
    }

    fn trace_row(&self, row: &Row<'_>) -> Result<TraceRow> {
        rows::trace(self.conn, &self.types, row)
    }

    fn name(&self, text: &str) -> Result<Option<i64>> {
        one(self.conn, "SELECT id FROM name WHERE text = ?1", [text], |row| row.get(0).said())
    }
}

/// A query over a stretch of an ordered index, for both orders: `?1, ?2` the position to start after, `?3` the last time of
/// interest, `?4` the limit.
macro_rules! stretch {
    ($from:expr, $where:literal, $time:literal, $key:literal) => {
        [
            concat!(
                $from,
                " WHERE ",
                $where,
                " (",
                $time,
                ", ",
                $key,
                ") > (?1, ?2) AND ",
                $time,
                " <= ?3 ORDER BY ",
                $time,
                ", ",
                $key,
                " LIMIT ?4"
            ),
            concat!(
                $from,
                " WHERE ",
                $where,
                " (",
                $time,
                ", ",
                $key,
                ") < (?1, ?2) AND ",
                $time,
                " >= ?3 ORDER BY ",
                $time,
                " DESC, ",
                $key,
                " DESC LIMIT ?4"
            ),
        ]
    };
}

macro_rules! runs {
    ($index:literal, $where:literal) => {
        stretch!(
            concat!(
                "SELECT ",
                run_columns!(),
                " FROM run r INDEXED BY ",
                $index,
                " CROSS JOIN run_name n ON n.run_no = r.run_no"
            ),
            $where,
            "r.started_at",
            "r.run_no"
        )
    };
}

macro_rules! traces {
    ($index:literal, $where:literal) => {
        stretch!(
            concat!("SELECT ", trace_columns!(), " FROM trace t INDEXED BY ", $index),
            $where,
            "t.occurred_at",
            "t.log_index"
        )
    };
}

const RUNS: [&str; 2] = runs!("run_by_start", "");
const RUNS_BY_STATUS: [&str; 2] = runs!("run_by_status", "r.status = ?5 AND");
const RUNS_BY_AGENT: [&str; 2] = runs!("run_by_agent", "r.agent = ?5 AND");
const RUNS_BY_CORRELATION: [&str; 2] = runs!("run_by_correlation", "r.correlation = ?5 AND");
const RUNS_BY_PARENT: [&str; 2] = runs!("run_by_parent", "r.parent = ?5 AND");
const RUNS_BY_TAG: [&str; 2] = stretch!(
    concat!(
        "SELECT ",
        run_columns!(),
        " FROM run_tag g CROSS JOIN run r ON r.run_no = g.run_no CROSS JOIN run_name n ON n.run_no = r.run_no"
    ),
    "g.tag = ?5 AND",
    "g.started_at",
    "g.run_no"
);

const TRACES: [&str; 2] = traces!("trace_by_time", "t.run_no = ?5 AND");
const TRACES_AT: [&str; 2] = traces!("trace_by_parent", "t.run_no = ?5 AND t.parent = ?6 AND");
const TRACES_BY_TYPE: [&str; 2] = traces!("trace_by_type", "t.run_no = ?5 AND t.type = ?6 AND");
const TRACES_BY_STATUS: [&str; 2] = traces!("trace_by_status", "t.run_no = ?5 AND t.status = ?6 AND");
const TRACES_BY_TAG: [&str; 2] = stretch!(
    concat!("SELECT ", trace_columns!(), " FROM trace_tag g CROSS JOIN trace t ON t.log_index = g.log_index"),
    "g.run_no = ?5 AND g.tag = ?6 AND",
    "g.occurred_at",
    "g.log_index"
);

/// The query for an order, the position to start after, and the last time of interest, in its direction.
fn begin(stretch: Stretch, queries: [&'static str; 2]) -> (&'static str, i64, i64, i64) {
    let (first, last) = (stretch.range.first().as_nanos(), stretch.range.last().as_nanos());
    let after = stretch.after.map(words);
    // Beyond every row at the range's end; a position before that is passed over.
    match stretch.order {
        Order::Oldest => {
            let (time, key) = after.map_or((first, -1), |after| after.max((first, -1)));
            (queries[0], time, key, last)
        }
        Order::Newest => {
            let (time, key) = after.map_or((last, i64::MAX), |after| after.min((last, i64::MAX)));
            (queries[1], time, key, first)
        }
    }
}

/// A position as SQL compares it. No row has a log index beyond i64.
fn words((time, log_index): Position) -> (i64, i64) {
    (time.as_nanos(), i64::try_from(log_index).unwrap_or(i64::MAX))
}

/// A log index that came from a caller, as SQL compares it.
fn place(log_index: u64) -> i64 {
    i64::try_from(log_index).unwrap_or(i64::MAX)
}

impl Snapshot for View<'_> {
    fn ledger(&self) -> LedgerId {
        self.ledger
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn clock(&self) -> Result<Timestamp> {
        let last = "SELECT recorded_at FROM entry ORDER BY log_index DESC LIMIT 1";
        Ok(one(self.conn, last, [], |row| rows::time(row, 0))?.unwrap_or(Timestamp::MIN))
    }

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>> {
        let complete = self.size >> (8 * u32::from(level));
        let first = index.saturating_mul(TILE_WIDTH);
        if first + TILE_WIDTH <= complete {
            let sql = "SELECT hashes FROM tile WHERE level = ?1 AND n = ?2";
            let hashes = one(self.conn, sql, (level, place(index)), |row| {
                Ok(Tile::hashes_from_bytes(row.get_ref(0).said()?.as_blob().unwrap_or_default()))
            })?;
            let mut hashes = hashes.flatten().ok_or_else(|| corrupt(format!("tile {level}/{index} is damaged")))?;
            hashes.truncate(usize::from(width));
            return Ok(Cow::Owned(hashes));
        }
        if let Some(own) = &self.own {
            let partial = own.edge.partial(level);
            return Ok(Cow::Borrowed(&partial[..partial.len().min(usize::from(width))]));
        }
        partial_tile(self.conn, self.ledger, level, first, width).map(Cow::Owned)
    }

    fn entry(&self, log_index: u64) -> Result<Option<Entry>> {
        let sql = concat!("SELECT ", entry_columns!(), " FROM entry WHERE log_index = ?1");
        self.one_entry.one(self.conn, sql, [place(log_index)], |row| rows::entry(self.conn, &self.names, row))
    }

    fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>> {
        let sql = concat!("SELECT ", entry_columns!(), " FROM entry WHERE log_index >= ?1 ORDER BY log_index LIMIT ?2");
        many(self.conn, sql, (place(from), limit), |row| rows::entry(self.conn, &self.names, row))
    }

    fn headers(&self, from: u64, limit: u32) -> Result<Vec<Entry>> {
        let sql = concat!(
            "SELECT ",
            entry_header_columns!(),
            " FROM entry WHERE log_index >= ?1 ORDER BY log_index LIMIT ?2"
        );
        many(self.conn, sql, (place(from), limit), |row| rows::entry_header(self.conn, &self.names, row))
    }

    fn key(&self, key: &Key) -> Result<Option<u64>> {
        one(self.conn, "SELECT log_index FROM idem_key WHERE key = ?1", [key.as_str()], |row| row.get(0).said())
    }

    fn unowned_entries(&self) -> Result<u64> {
        match &self.own {
            Some(own) => Ok(own.unowned_entries),
            None => unowned_entries(self.conn),
        }
    }

    fn run(&self, run_id: &RunId) -> Result<Option<RunRow>> {
        match &self.own {
            Some(own) => own.index.run(self.conn, run_id),
            None => run(self.conn, run_id),
        }
    }

    fn runs(&self, index: RunIndex<'_>, stretch: Stretch) -> Result<Vec<RunRow>> {
        let queries = match index {
            RunIndex::All => RUNS,
            RunIndex::Status(_) => RUNS_BY_STATUS,
            RunIndex::Agent(_) => RUNS_BY_AGENT,
            RunIndex::Correlation(_) => RUNS_BY_CORRELATION,
            RunIndex::Parent(_) => RUNS_BY_PARENT,
            RunIndex::Tag(_) => RUNS_BY_TAG,
        };
        let (query, time, key, end) = begin(stretch, queries);
        match index {
            RunIndex::All => many(self.conn, query, (time, key, end, stretch.limit), rows::run),
            RunIndex::Status(status) => {
                many(self.conn, query, (time, key, end, stretch.limit, status.number()), rows::run)
            }
            RunIndex::Agent(text) | RunIndex::Correlation(text) | RunIndex::Parent(text) | RunIndex::Tag(text) => {
                many(self.conn, query, (time, key, end, stretch.limit, text), rows::run)
            }
        }
    }

    fn described(&self, run_no: u64, topic: &str) -> Result<Option<u64>> {
        let sql = "SELECT log_index FROM topic WHERE run_no = ?1 AND topic = ?2";
        one(self.conn, sql, (run_no, topic), |row| row.get(0).said())
    }

    fn step(&self, run_no: u64, index: u32) -> Result<Option<StepRow>> {
        let sql = "SELECT run_no, idx, log_index, behaviour, exact FROM step WHERE run_no = ?1 AND idx = ?2";
        one(self.conn, sql, (run_no, index), rows::step)
    }

    fn steps(&self, run_no: u64, from: u32, limit: u32) -> Result<Vec<StepRow>> {
        let sql = "SELECT run_no, idx, log_index, behaviour, exact FROM step WHERE run_no = ?1 AND idx >= ?2 \
                   ORDER BY idx LIMIT ?3";
        many(self.conn, sql, (run_no, from, limit), rows::step)
    }

    fn trace(&self, run_no: u64, id: &TraceId) -> Result<Option<TraceRow>> {
        let sql = concat!(
            "SELECT ",
            trace_columns!(),
            " FROM trace t INDEXED BY trace_by_id WHERE t.run_no = ?1 AND t.id = ?2"
        );
        one(self.conn, sql, (run_no, id.as_str()), |row| self.trace_row(row))
    }

    fn trace_at(&self, log_index: u64) -> Result<Option<TraceRow>> {
        let sql = concat!("SELECT ", trace_columns!(), " FROM trace t WHERE t.log_index = ?1");
        one(self.conn, sql, [place(log_index)], |row| self.trace_row(row))
    }

    fn traces(&self, run_no: u64, by: TraceIndex<'_>, stretch: Stretch) -> Result<Vec<TraceRow>> {
        let (queries, attribute) = match by {
            TraceIndex::All => {
                let (query, time, key, end) = begin(stretch, TRACES);
                return many(self.conn, query, (time, key, end, stretch.limit, run_no), |row| self.trace_row(row));
            }
            TraceIndex::At(slot) => (TRACES_AT, slot.to_key()),
            TraceIndex::Type(name) => match self.name(name)? {
                Some(name) => (TRACES_BY_TYPE, name),
                None => return Ok(Vec::new()),
            },
            TraceIndex::Tag(tag) => match self.name(tag)? {
                Some(tag) => (TRACES_BY_TAG, tag),
                None => return Ok(Vec::new()),
            },
            TraceIndex::Status(status) => (TRACES_BY_STATUS, status.number()),
        };
        let (query, time, key, end) = begin(stretch, queries);
        many(self.conn, query, (time, key, end, stretch.limit, run_no, attribute), |row| self.trace_row(row))
    }

    fn has_tag(&self, run_no: u64, tag: &str, position: Position) -> Result<bool> {
        let Some(tag) = self.name(tag)? else { return Ok(false) };
        let (time, log_index) = words(position);
        let sql = "SELECT 1 FROM trace_tag WHERE run_no = ?1 AND tag = ?2 AND occurred_at = ?3 AND log_index = ?4";
        Ok(one(self.conn, sql, (run_no, tag, time, log_index), |_| Ok(()))?.is_some())
    }

    fn children(&self, run_no: u64, slot: Slot) -> Result<u64> {
        let sql = "SELECT n FROM child_count WHERE run_no = ?1 AND slot = ?2";
        Ok(one(self.conn, sql, (run_no, slot.to_key()), |row| row.get(0).said())?.unwrap_or(0))
    }

    fn trace_count(&self, run_no: u64, counter: TraceCounter<'_>) -> Result<u64> {
        let (kind, name) = match counter {
            TraceCounter::Type(name) => (index::TYPE, self.name(name)?),
            TraceCounter::Tag(tag) => (index::TAG, self.name(tag)?),
            TraceCounter::Status(status) => (index::STATUS, Some(status.number())),
        };
        let sql = "SELECT n FROM trace_count WHERE run_no = ?1 AND kind = ?2 AND name = ?3";
        Ok(one(self.conn, sql, (run_no, kind, name), |row| row.get(0).said())?.unwrap_or(0))
    }

    fn trace_counts(&self, run_no: u64, limit: u32) -> Result<(Vec<NameCount>, Vec<NameCount>)> {
        let sql = "SELECT n.text, c.n FROM trace_count c CROSS JOIN name n ON n.id = c.name \
                   WHERE c.run_no = ?1 AND c.kind = ?2 ORDER BY n.text LIMIT ?3";
        let of = |kind: i64| {
            many(self.conn, sql, (run_no, kind, limit), |row| {
                Ok(NameCount { name: row.get(0).said()?, count: row.get(1).said()? })
            })
        };
        Ok((of(index::TYPE)?, of(index::TAG)?))
    }

    fn text_size(&self) -> Result<u64> {
        text::size(self.conn)
    }

    fn with_text(&self, run_no: u64, words: &Words, limit: u32) -> Result<Vec<u64>> {
        text::with(self.conn, run_no, words, limit)
    }

    fn has_text(&self, run_no: u64, words: &Words, log_index: u64) -> Result<bool> {
        text::has(self.conn, run_no, words, log_index)
    }

    fn slot(&self, run_no: u64, id: &TraceId) -> Result<Option<SlotRow>> {
        let sql = concat!("SELECT ", slot_columns!(), " FROM slot INDEXED BY slot_by_id WHERE run_no = ?1 AND id = ?2");
        one(self.conn, sql, (run_no, id.as_str()), rows::slot)
    }

    fn slot_at(&self, named_by: u64) -> Result<Option<SlotRow>> {
        let sql = concat!("SELECT ", slot_columns!(), " FROM slot WHERE named_by = ?1");
        one(self.conn, sql, [place(named_by)], rows::slot)
    }

    fn missing(&self, run_no: u64, as_of: u64, after: Option<Position>, limit: u32) -> Result<Vec<SlotRow>> {
        let (time, named_by) = after.map_or((i64::MIN, -1), words);
        let sql = concat!(
            "SELECT ",
            slot_columns!(),
            " FROM slot INDEXED BY slot_missing WHERE run_no = ?1 AND filled_by IS NULL \
             AND (occurred_at, named_by) > (?2, ?3) ORDER BY occurred_at, named_by LIMIT ?4"
        );
        let mut missing = many(self.conn, sql, (run_no, time, named_by, limit), rows::slot)?;
        if as_of >= self.size {
            return Ok(missing);
        }
        // What came since was missing then.
        let sql = concat!(
            "SELECT ",
            slot_columns!(),
            " FROM slot INDEXED BY slot_filled WHERE run_no = ?1 AND filled_by >= ?5 \
             AND (occurred_at, named_by) > (?2, ?3) ORDER BY occurred_at, named_by LIMIT ?4"
        );
        missing.extend(many(self.conn, sql, (run_no, time, named_by, limit, place(as_of)), rows::slot)?);
        missing.sort_unstable_by_key(|slot| (slot.occurred_at, slot.named_by));
        missing.truncate(limit as usize);
        Ok(missing)
    }
}

/// A run's row as it is stored.
pub(crate) fn run(conn: &Connection, run_id: &RunId) -> Result<Option<RunRow>> {
    let sql = concat!(
        "SELECT ",
        run_columns!(),
        " FROM run_name n CROSS JOIN run r ON r.run_no = n.run_no WHERE n.run_id = ?1"
    );
    one(conn, sql, [run_id.as_str()], rows::run)
}

/// How many entries of no run are stored.
pub(crate) fn unowned_entries(conn: &Connection) -> Result<u64> {
    let sql = "SELECT max(seq) FROM entry INDEXED BY entry_of_no_run WHERE run_no IS NULL";
    Ok(value::<Option<u64>>(conn, sql, [])?.map_or(0, |seq| seq + 1))
}

/// Hashes of a tile that is not full: leaves from the log, above them the roots of the full tiles below.
pub(crate) fn partial_tile(
    conn: &Connection,
    ledger: LedgerId,
    level: u8,
    first: u64,
    width: u16,
) -> Result<Vec<Hash>> {
    let hashes = if level == 0 {
        let sql = concat!(
            "SELECT ",
            entry_header_columns!(),
            " FROM entry WHERE log_index >= ?1 ORDER BY log_index LIMIT ?2"
        );
        let names = RunNames::default();
        many(conn, sql, (place(first), width), |row| Ok(rows::entry_header(conn, &names, row)?.leaf(ledger).hash()))?
    } else {
        let sql = "SELECT root FROM tile WHERE level = ?1 AND n >= ?2 ORDER BY n LIMIT ?3";
        many(conn, sql, (level - 1, place(first), width), |row| rows::hash(row, 0))?
    };
    if hashes.len() != usize::from(width) {
        return Err(corrupt(format!(
            "the tree has {} hashes from {first} at level {level}, not {width}",
            hashes.len()
        )));
    }
    Ok(hashes)
}
