//! One consistent view of a ledger: the ordered look-ups of [`Snapshot`] as SQL.
//!
//! A view lives inside a transaction of its connection, so that nothing in it changes; the writer's own view sees what
//! its transaction wrote, and the run rows that it has yet to write. Every query names its index (`INDEXED BY`), so that
//! none can quietly become a scan: where the index does not fit, the statement does not prepare.

use std::borrow::Cow;

use rusqlite::{Connection, Row, ToSql, params_from_iter};
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{BaselineName, ExportId, IncidentId, Key, LedgerId, RunId, TraceId};
use tracekeep_core::merkle::{Edge, TILE_WIDTH, Tile};
use tracekeep_core::model::{Kind, RunStatus};
use tracekeep_core::view::NameCount;
use tracekeep_core::{TimeRange, Timestamp};
use tracekeep_store::rows::{
    ActionRow, BaselineRow, Entry, FactKind, FactRow, HoldPlace, HoldRow, Hung, IncidentRow, OwnedId, RunRow, Slot,
    SlotRow, StepRow, TraceEntry, TraceRow,
};
use tracekeep_store::words::Words;
use tracekeep_store::{IncidentIndex, Order, Position, Result, RunIndex, Snapshot, Stretch, TraceCounter, TraceIndex};

use crate::audit;
use crate::error::{Said, corrupt};
use crate::index::{self, Index};
use crate::rows::{
    self, RunNames, TypeNames, amended, entry_columns, entry_header_columns, incident_columns, run_columns,
    slot_columns, trace_columns, trace_entry_columns,
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
    pub(crate) one_trace: Kept<'a>,
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
            one_trace: Kept::default(),
        })
    }

    fn trace_row(&self, row: &Row<'_>) -> Result<TraceRow> {
        rows::trace(self.conn, &self.types, row)
    }

    fn name(&self, text: &str) -> Result<Option<i64>> {
        one(self.conn, "SELECT id FROM name WHERE text = ?1", [text], |row| row.get(0).said())
    }
}

/// The queries over a stretch of an ordered index.
struct Queries {
    /// By order: of the places from the time `?1` to the time `?2`, both included, the first `?3`.
    range: [&'static str; 2],
    /// By order: of the places at the time `?1` beyond the log index `?2`, the first `?3`. It stands apart because SQLite
    /// seeks to a time alone where times and log indices are compared as one, and would pass over all that are at that time.
    tied: [&'static str; 2],
}

macro_rules! stretch {
    ($from:expr, $where:literal, $time:literal, $key:literal) => {
        Queries {
            range: [
                stretch!(@range $from, $where, $time, $key, ""),
                stretch!(@range $from, $where, $time, $key, " DESC"),
            ],
            tied: [
                stretch!(@tied $from, $where, $time, $key, " > ?2 ORDER BY ", ""),
                stretch!(@tied $from, $where, $time, $key, " < ?2 ORDER BY ", " DESC"),
            ],
        }
    };
    (@range $from:expr, $where:literal, $time:literal, $key:literal, $down:literal) => {
        concat!(
            $from, " WHERE ", $where, " ", $time, " >= ?1 AND ", $time, " <= ?2 ORDER BY ", $time, $down, ", ", $key, $down,
            " LIMIT ?3"
        )
    };
    (@tied $from:expr, $where:literal, $time:literal, $key:literal, $beyond:literal, $down:literal) => {
        concat!($from, " WHERE ", $where, " ", $time, " = ?1 AND ", $key, $beyond, $key, $down, " LIMIT ?3")
    };
}

macro_rules! runs {
    ($index:literal, $where:literal) => {
        runs!($index, $where, "r.started_at")
    };
    ($index:literal, $where:literal, $by:literal) => {
        stretch!(
            concat!(
                "SELECT ",
                run_columns!(),
                " FROM run r INDEXED BY ",
                $index,
                " CROSS JOIN run_name n ON n.run_no = r.run_no"
            ),
            $where,
            $by,
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

const RUNS: Queries = runs!("run_by_start", "");
const RUNS_BY_STATUS: Queries = runs!("run_by_status", "r.status = ?4 AND");
const RUNS_BY_AGENT: Queries = runs!("run_by_agent", "r.agent = ?4 AND");
const RUNS_BY_CORRELATION: Queries = runs!("run_by_correlation", "r.correlation = ?4 AND");
const RUNS_BY_PARENT: Queries = runs!("run_by_parent", "r.parent = ?4 AND");
const RUNS_BY_SEED: Queries = runs!("run_by_seed", "r.seed = ?4 AND");
const RUNS_BY_PLAN: Queries = runs!("run_by_plan", "r.plan_hash = ?4 AND");
const RUNS_BY_PLAN_AND_SEED: Queries = runs!("run_by_plan_and_seed", "r.plan_hash = ?4 AND r.seed = ?5 AND");
const RUNS_BY_ROOT: Queries = runs!("run_by_root", "r.root_hash = ?4 AND");
const RUNS_BY_BEHAVIOUR: Queries = runs!("run_by_behaviour", "r.behaviour_hash = ?4 AND");
const RUNS_BY_COST: Queries = runs!("run_by_cost", "", "r.cost");
const RUNS_BY_DURATION: Queries = runs!("run_by_duration", "", "r.duration");
const RUNS_BY_TAG: Queries = stretch!(
    concat!(
        "SELECT ",
        run_columns!(),
        " FROM run_tag g CROSS JOIN run r ON r.run_no = g.run_no CROSS JOIN run_name n ON n.run_no = r.run_no"
    ),
    "g.tag = ?4 AND",
    "g.started_at",
    "g.run_no"
);

const RUNS_WAITING: Queries = runs!("run_waiting", "r.waits = 1 AND");

/// Traces with their entries. Most say all that is known of them: only of the others a row of `trace` is looked up.
macro_rules! trace_entries {
    ($from:literal, $where:literal) => {
        stretch!(
            concat!(
                "SELECT ",
                trace_entry_columns!("t.log_index, t.occurred_at"),
                " FROM ",
                $from,
                " LEFT JOIN entry e ON e.log_index = t.log_index",
                amended!("t.log_index")
            ),
            $where,
            "t.occurred_at",
            "t.log_index"
        )
    };
}

const TRACES: Queries = traces!("trace_by_time", "t.run_no = ?4 AND");
const TRACES_AT: Queries = traces!("trace_by_parent", "t.run_no = ?4 AND t.parent = ?5 AND");
const TRACES_BY_TYPE: Queries = traces!("trace_by_type", "t.run_no = ?4 AND t.type = ?5 AND");
const TRACES_BY_STATUS: Queries = traces!("trace_by_status", "t.run_no = ?4 AND t.status = ?5 AND");
const TRACES_BY_TAG: Queries = stretch!(
    concat!("SELECT ", trace_columns!(), " FROM trace_tag g CROSS JOIN trace t ON t.log_index = g.log_index"),
    "g.run_no = ?4 AND g.tag = ?5 AND",
    "g.occurred_at",
    "g.log_index"
);

const ENTRIES: Queries = trace_entries!("trace t INDEXED BY trace_by_time", "t.run_no = ?4 AND");
const ENTRIES_AT: Queries = trace_entries!("trace t INDEXED BY trace_by_parent", "t.run_no = ?4 AND t.parent = ?5 AND");
const HUNG_AT: Queries = stretch!(
    concat!(
        "SELECT t.log_index, t.occurred_at, x.children FROM trace t INDEXED BY trace_by_parent",
        amended!("t.log_index")
    ),
    "t.run_no = ?4 AND t.parent = ?5 AND",
    "t.occurred_at",
    "t.log_index"
);
const ENTRIES_BY_TYPE: Queries =
    trace_entries!("trace t INDEXED BY trace_by_type", "t.run_no = ?4 AND t.type = ?5 AND");
const ENTRIES_BY_STATUS: Queries =
    trace_entries!("trace t INDEXED BY trace_by_status", "t.run_no = ?4 AND t.status = ?5 AND");
const ENTRIES_BY_TAG: Queries = trace_entries!("trace_tag t", "t.run_no = ?4 AND t.tag = ?5 AND");

macro_rules! incidents {
    ($index:literal, $where:literal) => {
        stretch!(
            concat!("SELECT ", incident_columns!(), " FROM incident INDEXED BY ", $index),
            $where,
            "created_at",
            "log_index"
        )
    };
}

const INCIDENTS: Queries = incidents!("incident_by_time", "");
const INCIDENTS_BY_STATUS: Queries = incidents!("incident_by_status", "status = ?4 AND");
const INCIDENTS_BY_SEVERITY: Queries = incidents!("incident_by_severity", "severity = ?4 AND");
const INCIDENTS_BY_RUN: Queries = incidents!("incident_by_run", "run_no = ?4 AND");

const MISSING: Queries = stretch!(
    concat!("SELECT ", slot_columns!(), " FROM slot INDEXED BY slot_missing"),
    "run_no = ?4 AND filled_by IS NULL AND",
    "occurred_at",
    "named_by"
);
/// Reads a stretch: what is at the time of the position to start after and beyond it, then what comes after that time.
fn stretch<T>(
    conn: &Connection,
    queries: &Queries,
    wanted: Stretch,
    attributes: &[&dyn ToSql],
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    each(conn, queries, wanted, attributes, |row| {
        found.push(read(row)?);
        Ok(true)
    })?;
    Ok(found)
}

/// The same, row by row until one is answered with `false`.
fn each(
    conn: &Connection,
    Queries { range, tied }: &Queries,
    Stretch { order, range: times, after, limit }: Stretch,
    attributes: &[&dyn ToSql],
    mut take: impl FnMut(&Row<'_>) -> Result<bool>,
) -> Result<()> {
    let way = usize::from(order == Order::Newest);
    let (mut first, mut last) = (times.first().as_nanos(), times.last().as_nanos());
    // How many are left to read, 0 where no more are wanted.
    let mut rows = |sql: &str, place: [i64; 2], limit: u32| -> Result<u32> {
        let place: [&dyn ToSql; 3] = [&place[0], &place[1], &limit];
        let mut statement = conn.prepare_cached(sql).said()?;
        let mut rows = statement.query(params_from_iter(place.iter().chain(attributes))).said()?;
        let mut left = limit;
        while let Some(row) = rows.next().said()? {
            left = left.saturating_sub(1);
            if !take(row)? {
                return Ok(0);
            }
        }
        Ok(left)
    };
    let mut left = limit;
    // A position outside of the range lies before all of it, or beyond.
    if let Some((time, log_index)) = after {
        let at = time.as_nanos();
        if (first..=last).contains(&at) {
            left = rows(tied[way], [at, place(log_index)], left)?;
        }
        let beyond = match order {
            Order::Oldest => at.checked_add(1).map(|next| first = first.max(next)),
            Order::Newest => at.checked_sub(1).map(|next| last = last.min(next)),
        };
        if beyond.is_none() {
            return Ok(());
        }
    }
    if left > 0 && first <= last {
        rows(range[way], [first, last], left)?;
    }
    Ok(())
}

/// A position as SQL compares it. No row has a log index beyond i64.
fn words((time, log_index): Position) -> (i64, i64) {
    (time.as_nanos(), place(log_index))
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

    fn run_count(&self, status: Option<RunStatus>) -> Result<u64> {
        let sql = "SELECT coalesce(sum(n), 0) FROM run_count WHERE ?1 IS NULL OR status = ?1";
        value(self.conn, sql, [status.map(Numbered::number)])
    }

    fn runs(&self, index: RunIndex<'_>, wanted: Stretch) -> Result<Vec<RunRow>> {
        let read =
            |queries: Queries, attributes: &[&dyn ToSql]| stretch(self.conn, &queries, wanted, attributes, rows::run);
        match index {
            RunIndex::All => read(RUNS, &[]),
            RunIndex::Status(status) => read(RUNS_BY_STATUS, &[&status.number()]),
            RunIndex::Agent(agent) => read(RUNS_BY_AGENT, &[&agent]),
            RunIndex::Correlation(id) => read(RUNS_BY_CORRELATION, &[&id]),
            RunIndex::Parent(id) => read(RUNS_BY_PARENT, &[&id]),
            RunIndex::Tag(tag) => read(RUNS_BY_TAG, &[&tag]),
            RunIndex::Plan(hash) => read(RUNS_BY_PLAN, &[hash.as_bytes()]),
            RunIndex::PlanSeed(hash, seed) => read(RUNS_BY_PLAN_AND_SEED, &[hash.as_bytes(), &seed]),
            RunIndex::Seed(seed) => read(RUNS_BY_SEED, &[&seed]),
            RunIndex::Root(hash) => read(RUNS_BY_ROOT, &[hash.as_bytes()]),
            RunIndex::Behaviour(hash) => read(RUNS_BY_BEHAVIOUR, &[hash.as_bytes()]),
            RunIndex::Cost => read(RUNS_BY_COST, &[]),
            RunIndex::Duration => read(RUNS_BY_DURATION, &[]),
        }
    }

    fn runs_from(&self, run_no: u64, limit: u32) -> Result<Vec<RunRow>> {
        let sql = concat!(
            "SELECT ",
            run_columns!(),
            " FROM run r CROSS JOIN run_name n ON n.run_no = r.run_no WHERE r.run_no >= ?1 ORDER BY r.run_no LIMIT ?2"
        );
        many(self.conn, sql, (place(run_no), limit), rows::run)
    }

    fn erased(&self, run_id: &RunId) -> Result<Option<u64>> {
        let sql = "SELECT e.log_index FROM run_name n CROSS JOIN erased_run e ON e.run_no = n.run_no \
                   WHERE n.run_id = ?1";
        one(self.conn, sql, [run_id.as_str()], |row| row.get(0).said())
    }

    fn redacted_by(&self, log_index: u64) -> Result<Option<u64>> {
        let sql = "SELECT redaction FROM withheld WHERE log_index = ?1";
        one(self.conn, sql, [place(log_index)], |row| row.get(0).said())
    }

    fn seals(&self, run_no: u64, limit: u32) -> Result<Vec<u64>> {
        let sql = "SELECT log_index FROM entry INDEXED BY entry_of_run_rest WHERE run_no = ?1 AND run_no IS NOT NULL \
                   AND kind NOT IN (3, 4, 5) AND kind = ?2 ORDER BY log_index LIMIT ?3";
        many(self.conn, sql, (run_no, Kind::Sealed.number(), limit), |row| row.get(0).said())
    }

    fn hold(&self, place: &HoldPlace) -> Result<Option<HoldRow>> {
        match place {
            HoldPlace::Run(run_no) => {
                let sql = "SELECT log_index, run_no, tag, held FROM hold INDEXED BY hold_by_run WHERE run_no = ?1";
                one(self.conn, sql, [run_no], rows::hold)
            }
            HoldPlace::Tag(tag) => {
                let sql = "SELECT log_index, run_no, tag, held FROM hold INDEXED BY hold_by_tag WHERE tag = ?1";
                one(self.conn, sql, [tag], rows::hold)
            }
        }
    }

    fn holds(&self, after: Option<u64>, limit: u32) -> Result<Vec<HoldRow>> {
        let sql = "SELECT log_index, run_no, tag, held FROM hold INDEXED BY hold_held \
                   WHERE held = 1 AND log_index > ?1 ORDER BY log_index LIMIT ?2";
        many(self.conn, sql, (after.map_or(-1, place), limit), rows::hold)
    }

    fn baseline(&self, name: &BaselineName) -> Result<Option<BaselineRow>> {
        one(self.conn, "SELECT log_index, name, run_id FROM baseline WHERE name = ?1", [name.as_str()], rows::baseline)
    }

    fn baselines(&self, after: Option<u64>, limit: u32) -> Result<Vec<BaselineRow>> {
        let sql = "SELECT log_index, name, run_id FROM baseline WHERE log_index > ?1 ORDER BY log_index LIMIT ?2";
        many(self.conn, sql, (after.map_or(-1, place), limit), rows::baseline)
    }

    fn signing_key(&self) -> Result<Option<u64>> {
        let sql = "SELECT max(log_index) FROM entry INDEXED BY entry_signing_key WHERE kind = 18 AND log_index < ?1";
        Ok(one(self.conn, sql, [place(self.size)], |row| row.get(0).said())?.flatten())
    }

    fn signing_keys(&self, after: Option<u64>, limit: u32) -> Result<Vec<u64>> {
        let sql = "SELECT log_index FROM entry INDEXED BY entry_signing_key \
                   WHERE kind = 18 AND log_index > ?1 AND log_index < ?2 ORDER BY log_index LIMIT ?3";
        many(self.conn, sql, (after.map_or(-1, place), place(self.size), limit), |row| row.get(0).said())
    }

    fn is_baseline(&self, run_id: &RunId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM baseline INDEXED BY baseline_by_run WHERE run_id = ?1)";
        value(self.conn, sql, [run_id.as_str()])
    }

    fn incident(&self, id: &IncidentId) -> Result<Option<IncidentRow>> {
        let sql = concat!("SELECT ", incident_columns!(), " FROM incident WHERE id = ?1");
        one(self.conn, sql, [id.as_str()], rows::incident)
    }

    fn incidents(&self, index: IncidentIndex, wanted: Stretch) -> Result<Vec<IncidentRow>> {
        let read = |queries: Queries, attributes: &[&dyn ToSql]| {
            stretch(self.conn, &queries, wanted, attributes, rows::incident)
        };
        match index {
            IncidentIndex::All => read(INCIDENTS, &[]),
            IncidentIndex::Status(status) => read(INCIDENTS_BY_STATUS, &[&status.number()]),
            IncidentIndex::Severity(severity) => read(INCIDENTS_BY_SEVERITY, &[&severity.number()]),
            IncidentIndex::Run(run_no) => read(INCIDENTS_BY_RUN, &[&place(run_no)]),
        }
    }

    fn export(&self, id: &ExportId) -> Result<Option<u64>> {
        one(self.conn, "SELECT log_index FROM export WHERE id = ?1", [id.as_str()], |row| row.get(0).said())
    }

    fn owned_ids(&self, run_no: u64, limit: u32) -> Result<Vec<(u64, OwnedId)>> {
        let sql = "SELECT log_index, 0, id FROM incident INDEXED BY incident_by_run WHERE run_no = ?1 \
                   UNION ALL SELECT log_index, 1, id FROM export INDEXED BY export_by_run WHERE run_no = ?1 \
                   ORDER BY log_index LIMIT ?2";
        many(self.conn, sql, (place(run_no), limit), rows::owned)
    }

    fn erased_id(&self, id: &OwnedId) -> Result<Option<u64>> {
        let sql = "SELECT log_index FROM erased_id WHERE kind = ?1 AND id = ?2";
        one(self.conn, sql, rows::owned_id(id), |row| row.get(0).said())
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

    fn traces(&self, run_no: u64, by: TraceIndex<'_>, wanted: Stretch) -> Result<Vec<TraceRow>> {
        let read = |queries: Queries, attributes: &[&dyn ToSql]| {
            stretch(self.conn, &queries, wanted, attributes, |row| self.trace_row(row))
        };
        let named = |queries: Queries, name: &str| match self.name(name)? {
            Some(name) => read(queries, &[&run_no, &name]),
            None => Ok(Vec::new()),
        };
        match by {
            TraceIndex::All => read(TRACES, &[&run_no]),
            TraceIndex::At(slot) => read(TRACES_AT, &[&run_no, &slot.to_key()]),
            TraceIndex::Type(name) => named(TRACES_BY_TYPE, name),
            TraceIndex::Tag(tag) => named(TRACES_BY_TAG, tag),
            TraceIndex::Status(status) => read(TRACES_BY_STATUS, &[&run_no, &status.number()]),
        }
    }

    fn trace_entries(
        &self,
        run_no: u64,
        by: TraceIndex<'_>,
        wanted: Stretch,
        take: &mut dyn FnMut(TraceEntry<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut read = |queries: &Queries, attributes: &[&dyn ToSql]| {
            each(self.conn, queries, wanted, attributes, |row| rows::trace_entry(row, &mut *take))
        };
        match by {
            TraceIndex::All => read(&ENTRIES, &[&run_no]),
            TraceIndex::At(slot) => read(&ENTRIES_AT, &[&run_no, &slot.to_key()]),
            TraceIndex::Status(status) => read(&ENTRIES_BY_STATUS, &[&run_no, &status.number()]),
            TraceIndex::Type(name) | TraceIndex::Tag(name) => {
                let Some(number) = self.name(name)? else { return Ok(()) };
                let is_type = matches!(by, TraceIndex::Type(_));
                read(if is_type { &ENTRIES_BY_TYPE } else { &ENTRIES_BY_TAG }, &[&run_no, &number])
            }
        }
    }

    fn hung(&self, run_no: u64, slot: Slot, wanted: Stretch) -> Result<Vec<Hung>> {
        stretch(self.conn, &HUNG_AT, wanted, &[&run_no, &slot.to_key()], |row| {
            let log_index = row.get(0).said()?;
            let children = row.get::<_, Option<i64>>(2).said()?.map_or(Slot::Under(log_index), Slot::from_key);
            Ok(Hung { run_no, log_index, occurred_at: rows::time(row, 1)?, parent: slot, children })
        })
    }

    fn trace_entry(&self, hung: Hung, take: &mut dyn FnMut(TraceEntry<'_>, u64) -> Result<()>) -> Result<()> {
        let sql = concat!(
            "SELECT ",
            trace_entry_columns!("e.log_index, ?2"),
            ", (SELECT n FROM child_count WHERE run_no = ?3 AND slot = ?4) FROM entry e",
            amended!("e.log_index"),
            " WHERE e.log_index = ?1"
        );
        let params = (place(hung.log_index), hung.occurred_at.as_nanos(), place(hung.run_no), hung.children.to_key());
        let read = |row: &Row<'_>| {
            let children: Option<u64> = row.get(12).said()?;
            rows::trace_entry(row, |entry| take(entry, children.unwrap_or(0)))
        };
        self.one_trace.one(self.conn, sql, params, read).map(Option::unwrap_or_default)
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

    fn missing(&self, run_no: u64, after: Option<Position>, limit: u32) -> Result<Vec<SlotRow>> {
        let wanted = Stretch { order: Order::Oldest, range: TimeRange::ALL, after, limit };
        stretch(self.conn, &MISSING, wanted, &[&run_no], rows::slot)
    }

    fn filled(&self, run_no: u64, from: u64, limit: u32) -> Result<Vec<SlotRow>> {
        let sql = concat!(
            "SELECT ",
            slot_columns!(),
            " FROM slot INDEXED BY slot_filled WHERE run_no = ?1 AND filled_by >= ?2 ORDER BY filled_by LIMIT ?3"
        );
        many(self.conn, sql, (run_no, place(from), limit), rows::slot)
    }

    fn fact(&self, run_no: u64, kind: FactKind, id: &str) -> Result<Option<u64>> {
        let sql = "SELECT log_index FROM audit_fact INDEXED BY audit_fact_by_id \
                   WHERE run_no = ?1 AND kind = ?2 AND id = ?3";
        one(self.conn, sql, (run_no, kind.number(), id), |row| row.get(0).said())
    }

    fn facts(&self, run_no: u64, kind: FactKind, from: u64, limit: u32) -> Result<Vec<FactRow>> {
        let sql = "SELECT log_index, run_no, kind, id, domain, action, at, status, n FROM audit_fact \
                   INDEXED BY audit_fact_by_run WHERE run_no = ?1 AND kind = ?2 AND log_index >= ?3 \
                   ORDER BY log_index LIMIT ?4";
        many(self.conn, sql, (run_no, kind.number(), place(from), limit), audit::fact)
    }

    fn action(&self, run_no: u64, domain: &str, action: &str) -> Result<Option<ActionRow>> {
        let sql = "SELECT run_no, domain, action, wanted, successes, last, flags, expected_at, said \
                   FROM audit_action WHERE run_no = ?1 AND domain = ?2 AND action = ?3";
        one(self.conn, sql, (run_no, domain, action), audit::action)
    }

    fn waiting_runs(&self, wanted: Stretch) -> Result<Vec<RunRow>> {
        stretch(self.conn, &RUNS_WAITING, wanted, &[], rows::run)
    }

    fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunRow>> {
        let sql = concat!(
            "SELECT ",
            run_columns!(),
            " FROM run_unsealed u CROSS JOIN run r ON r.run_no = u.run_no CROSS JOIN run_name n ON n.run_no = r.run_no \
             WHERE u.at < ?1 ORDER BY u.at, u.run_no LIMIT ?2"
        );
        many(self.conn, sql, (before.as_nanos(), limit), rows::run)
    }

    fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunRow>> {
        let sql = concat!(
            "SELECT ",
            run_columns!(),
            " FROM run r INDEXED BY run_by_due CROSS JOIN run_name n ON n.run_no = r.run_no \
             WHERE r.due < ?1 ORDER BY r.due, r.run_no LIMIT ?2"
        );
        many(self.conn, sql, (before.as_nanos(), limit), rows::run)
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
