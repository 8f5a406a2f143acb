//! Rows as SQLite gives them, in the store's types; and the part of a run's row that no query looks into.

use std::cell::RefCell;

use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Connection, Row};
use tracekeep_core::Timestamp;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::id::{CorrelationId, RunId, TraceId};
use tracekeep_core::merkle::Frontier;
use tracekeep_core::model::{IncidentStatus, Kind, Severity};
use tracekeep_core::seal::{Fold, StepLeaves, Totals};
use tracekeep_store::Result;
use tracekeep_store::rows::{
    Amended, AuditState, BaselineRow, Entry, HoldPlace, HoldRow, IncidentRow, IncidentState, OwnedId, RunRow,
    SealedTotals, Slot, SlotRow, StepRow, TraceEntry, TraceRow,
};

use crate::codec;
use crate::error::{Said, corrupt};
use crate::statement::one;
use crate::words::Numbered;

/// The columns that [`entry_header`] reads.
macro_rules! entry_header_columns {
    () => {
        "log_index, run_no, seq, kind, recorded_at, commitment, after"
    };
}
/// The columns that [`entry`] reads.
macro_rules! entry_columns {
    () => {
        concat!($crate::rows::entry_header_columns!(), ", codec, body, salt")
    };
}
/// The columns that [`run`] reads.
macro_rules! run_columns {
    () => {
        "r.run_no, n.run_id, r.source, r.started_at, r.status, r.agent, r.correlation, r.parent, r.seed, r.plan_hash, \
         r.behaviour_hash, r.root_hash, r.cost, r.duration, r.due, r.state"
    };
}
/// The columns that [`trace`] reads.
macro_rules! trace_columns {
    () => {
        "t.log_index, t.run_no, t.id, t.parent, t.children, t.type, t.occurred_at, \
         t.status, t.ended_at, t.ended_by, t.flags"
    };
}
/// The columns that [`trace_entry`] reads: where the trace stands is said by the first two.
macro_rules! trace_entry_columns {
    ($place:literal) => {
        concat!(
            $place,
            ", e.kind, e.seq, e.recorded_at, e.codec, e.body, e.salt, x.status, x.ended_at, x.ended_by, x.flags"
        )
    };
}
/// Behind a table that has a trace's log index: its row `x`, if more is known of it than its entry says.
macro_rules! amended {
    ($log_index:literal) => {
        concat!(
            " LEFT JOIN trace x INDEXED BY trace_amended ON x.log_index = ",
            $log_index,
            " AND (x.ended_by IS NOT NULL OR x.flags <> 0 OR x.children <> x.log_index)"
        )
    };
}
/// The columns that [`slot`] reads.
macro_rules! slot_columns {
    () => {
        "named_by, run_no, id, occurred_at, filled_by"
    };
}
pub(crate) use {
    amended, entry_columns, entry_header_columns, run_columns, slot_columns, trace_columns, trace_entry_columns,
};

/// A time as it is stored.
pub(crate) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    row.get(column).map(Timestamp::from_nanos).said()
}

/// A time that may be absent.
pub(crate) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column).said()?.map(Timestamp::from_nanos))
}

/// A word, stored as its number.
pub(crate) fn word<T: Numbered>(row: &Row<'_>, column: usize) -> Result<T> {
    T::of(row.get(column).said()?).ok_or_else(|| corrupt("a stored word has an unknown number"))
}

/// A hash; stored as exactly 32 bytes.
pub(crate) fn hash(row: &Row<'_>, column: usize) -> Result<Hash> {
    row.get(column).map(Hash::from_bytes).said()
}

fn maybe_hash(row: &Row<'_>, column: usize) -> Result<Option<Hash>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column).said()?.map(Hash::from_bytes))
}

/// An id. Ids are checked again: a row that holds anything else is damaged.
pub(crate) fn id<T: for<'a> TryFrom<&'a str>>(row: &Row<'_>, column: usize) -> Result<T> {
    maybe_id(row, column)?.ok_or_else(|| corrupt("a stored id is missing"))
}

fn maybe_id<T: for<'a> TryFrom<&'a str>>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    let value = row.get_ref(column).said()?;
    let text = value.as_str_or_null().map_err(|_| corrupt("a stored id is not text"))?;
    text.map(|text| T::try_from(text).map_err(|_| corrupt("a stored id is outside the grammar"))).transpose()
}

/// The names of runs, looked up as entries are read. Neighbours are mostly of one run, so the last one is kept.
#[derive(Default)]
pub(crate) struct RunNames(RefCell<Option<(u64, RunId)>>);

impl RunNames {
    fn of(&self, conn: &Connection, run_no: u64) -> Result<RunId> {
        if let Some((_, run_id)) = self.0.borrow().as_ref().filter(|(known, _)| *known == run_no) {
            return Ok(run_id.clone());
        }
        let run_id = one(conn, "SELECT run_id FROM run_name WHERE run_no = ?1", [run_no], |row| id::<RunId>(row, 0))?;
        let run_id = run_id.ok_or_else(|| corrupt(format!("run number {run_no} has no name")))?;
        *self.0.borrow_mut() = Some((run_no, run_id.clone()));
        Ok(run_id)
    }
}

/// The names of types, looked up as traces are read. Neighbours are of a few types, so the last ones are kept.
#[derive(Default)]
pub(crate) struct TypeNames(RefCell<Vec<(i64, String)>>);

/// Names that are kept.
const TYPE_NAMES: usize = 16;

impl TypeNames {
    fn of(&self, conn: &Connection, number: i64) -> Result<String> {
        let mut known = self.0.borrow_mut();
        if let Some((_, name)) = known.iter().find(|(known, _)| *known == number) {
            return Ok(name.clone());
        }
        let name: Option<String> = one(conn, "SELECT text FROM name WHERE id = ?1", [number], |row| row.get(0).said())?;
        let name = name.ok_or_else(|| corrupt(format!("type number {number} has no name")))?;
        if known.len() == TYPE_NAMES {
            known.clear();
        }
        known.push((number, name.clone()));
        Ok(name)
    }
}

/// What stands in front of the content of an entry, all of it but body and salt: [`entry_header_columns`].
pub(crate) fn entry_header(conn: &Connection, names: &RunNames, row: &Row<'_>) -> Result<Entry> {
    let run_no: Option<u64> = row.get(1).said()?;
    Ok(Entry {
        log_index: row.get(0).said()?,
        run: run_no.map(|run_no| names.of(conn, run_no).map(|run_id| (run_no, run_id))).transpose()?,
        seq: row.get(2).said()?,
        kind: word(row, 3)?,
        recorded_at: time(row, 4)?,
        commit: hash(row, 5)?,
        after: row.get(6).said()?,
        content: None,
    })
}

/// An entry: [`entry_columns`].
pub(crate) fn entry(conn: &Connection, names: &RunNames, row: &Row<'_>) -> Result<Entry> {
    let mut entry = entry_header(conn, names, row)?;
    let body: std::result::Result<Option<&[u8]>, FromSqlError> = row.get_ref(8).said()?.as_blob_or_null();
    let body = body.map_err(|_| corrupt(format!("log index {}: the body is not bytes", entry.log_index)))?;
    let salt: Option<[u8; 32]> = row.get(9).said()?;
    entry.content = match (body, salt) {
        (None, None) => None,
        (Some(body), Some(salt)) => {
            Some((codec::decode(entry.log_index, row.get(7).said()?, body)?, Salt::from_bytes(salt)))
        }
        _ => return Err(corrupt(format!("log index {}: body and salt go together", entry.log_index))),
    };
    Ok(entry)
}

/// A run: [`run_columns`].
pub(crate) fn run(row: &Row<'_>) -> Result<RunRow> {
    let run_no = row.get(0).said()?;
    let state = match row.get_ref(15).said()? {
        ValueRef::Blob(bytes) => State::read(bytes),
        _ => None,
    };
    let state = state.ok_or_else(|| corrupt(format!("the state of run number {run_no} cannot be read")))?;
    Ok(RunRow {
        run_no,
        run_id: id::<RunId>(row, 1)?,
        source: word(row, 2)?,
        started_at: time(row, 3)?,
        status: word(row, 4)?,
        agent_id: row.get(5).said()?,
        correlation_id: maybe_id::<CorrelationId>(row, 6)?,
        parent_run_id: maybe_id::<RunId>(row, 7)?,
        tags: state.tags,
        seed: row.get(8).said()?,
        plan_hash: maybe_hash(row, 9)?,
        behaviour_hash: maybe_hash(row, 10)?,
        root_hash: maybe_hash(row, 11)?,
        entries: state.entries,
        steps: state.steps,
        traces: state.traces,
        seals: state.seals,
        sealed_by: state.sealed_by,
        completed_by: state.completed_by,
        described_by: state.described_by,
        described_by_root: state.described_by_root,
        root_ended_at: state.root_ended_at,
        unsealed_at: state.unsealed_at,
        totals: state.totals,
        sealed_totals: sealed_totals(row.get(12).said()?, row.get(13).said()?),
        fold: state.fold,
        hashes_withheld: state.hashes_withheld,
        tree: state.tree,
        audit: AuditState { due: maybe_time(row, 14)?, ..state.audit },
        incidents: state.incidents,
    })
}

fn sealed_totals(cost: Option<i64>, duration: Option<i64>) -> Option<SealedTotals> {
    Some(SealedTotals { cost_micro_cents: cost?, duration_ns: duration? })
}

/// A step: run_no, idx, log_index, behaviour, exact.
pub(crate) fn step(row: &Row<'_>) -> Result<StepRow> {
    Ok(StepRow {
        run_no: row.get(0).said()?,
        index: row.get(1).said()?,
        log_index: row.get(2).said()?,
        leaves: StepLeaves { behaviour: hash(row, 3)?, exact: hash(row, 4)? },
    })
}

/// Bytes of a salt.
const SALT_BYTES: usize = 32;

const LATE: i64 = 1;
const ORPHAN: i64 = 2;

/// The flags of a trace as they are stored.
pub(crate) const fn flags(row: &TraceRow) -> i64 {
    (if row.late { LATE } else { 0 }) | (if row.orphan { ORPHAN } else { 0 })
}

/// A trace, its tags left empty: [`trace_columns`].
pub(crate) fn trace(conn: &Connection, names: &TypeNames, row: &Row<'_>) -> Result<TraceRow> {
    let flags: i64 = row.get(10).said()?;
    Ok(TraceRow {
        log_index: row.get(0).said()?,
        run_no: row.get(1).said()?,
        id: id::<TraceId>(row, 2)?,
        parent: Slot::from_key(row.get(3).said()?),
        children: Slot::from_key(row.get(4).said()?),
        type_name: names.of(conn, row.get(5).said()?)?,
        tags: Vec::new(),
        occurred_at: time(row, 6)?,
        status: word(row, 7)?,
        ended_at: maybe_time(row, 8)?,
        ended_by: row.get(9).said()?,
        late: flags & LATE != 0,
        orphan: flags & ORPHAN != 0,
    })
}

/// Hands a trace and its entry to `take`, its body as SQLite holds it: [`trace_entry_columns`].
pub(crate) fn trace_entry<T>(row: &Row<'_>, take: impl FnOnce(TraceEntry<'_>) -> Result<T>) -> Result<T> {
    let log_index: u64 = row.get(0).said()?;
    let kind: Option<i64> = row.get(2).said()?;
    if kind.and_then(Kind::of) != Some(Kind::Trace) {
        return Err(corrupt(format!("an index points to log index {log_index}, which does not hold it")));
    }
    let amended = match row.get(11).said()? {
        None => None,
        Some(flags) => {
            let flags: i64 = flags;
            Some(Amended {
                status: word(row, 8)?,
                ended_at: maybe_time(row, 9)?,
                ended_by: row.get(10).said()?,
                late: flags & LATE != 0,
                orphan: flags & ORPHAN != 0,
            })
        }
    };
    let unpacked;
    let body = match (row.get_ref(6).said()?, row.get_ref(7).said()?) {
        (ValueRef::Null, ValueRef::Null) => None,
        (ValueRef::Blob(bytes), ValueRef::Blob(salt)) if salt.len() == SALT_BYTES => {
            unpacked = codec::text(log_index, row.get(5).said()?, bytes)?;
            Some(&*unpacked)
        }
        _ => return Err(corrupt(format!("log index {log_index}: body and salt go together"))),
    };
    take(TraceEntry {
        log_index,
        occurred_at: time(row, 1)?,
        seq: row.get(3).said()?,
        recorded_at: time(row, 4)?,
        body,
        amended,
    })
}

/// A named id: [`slot_columns`].
pub(crate) fn slot(row: &Row<'_>) -> Result<SlotRow> {
    Ok(SlotRow {
        named_by: row.get(0).said()?,
        run_no: row.get(1).said()?,
        id: id::<TraceId>(row, 2)?,
        occurred_at: time(row, 3)?,
        filled_by: row.get(4).said()?,
    })
}

/// What a name stands for: log_index, name, run_id.
pub(crate) fn baseline(row: &Row<'_>) -> Result<BaselineRow> {
    Ok(BaselineRow { log_index: row.get(0).said()?, name: id(row, 1)?, run_id: id(row, 2)? })
}

/// The columns that [`incident`] reads.
macro_rules! incident_columns {
    () => {
        "log_index, id, run_no, created_at, severity, status, resolved_by"
    };
}
pub(crate) use incident_columns;

/// An incident.
pub(crate) fn incident(row: &Row<'_>) -> Result<IncidentRow> {
    let severity: Option<i64> = row.get(4).said()?;
    let severity = severity.map(|number| Severity::of(number).ok_or_else(|| corrupt("a stored severity is none")));
    Ok(IncidentRow {
        log_index: row.get(0).said()?,
        incident_id: id(row, 1)?,
        run_no: row.get(2).said()?,
        created_at: time(row, 3)?,
        severity: severity.transpose()?,
        status: IncidentStatus::of(row.get(5).said()?).ok_or_else(|| corrupt("a stored status is none"))?,
        resolved_by: row.get(6).said()?,
    })
}

/// An id of an incident or an export: which of the two, and its text.
pub(crate) fn owned_id(id: &OwnedId) -> (i64, &str) {
    match id {
        OwnedId::Incident(id) => (0, id.as_str()),
        OwnedId::Export(id) => (1, id.as_str()),
    }
}

/// The same as stored, behind a log index.
pub(crate) fn owned(row: &Row<'_>) -> Result<(u64, OwnedId)> {
    let owned = match row.get::<_, i64>(1).said()? {
        0 => OwnedId::Incident(id(row, 2)?),
        _ => OwnedId::Export(id(row, 2)?),
    };
    Ok((row.get(0).said()?, owned))
}

/// What is held or was: log_index, run_no, tag, held.
pub(crate) fn hold(row: &Row<'_>) -> Result<HoldRow> {
    let place = match (row.get(1).said()?, row.get(2).said()?) {
        (Some(run_no), None) => HoldPlace::Run(run_no),
        (None, Some(tag)) => HoldPlace::Tag(tag),
        _ => return Err(corrupt("a hold is on a run or on a tag")),
    };
    Ok(HoldRow { place, log_index: row.get(0).said()?, held: row.get::<_, i64>(3).said()? != 0 })
}

/// What no query looks into: counts, places, totals, the trees and the tags, as bytes.
struct State {
    entries: u64,
    steps: u64,
    traces: u64,
    seals: u64,
    sealed_by: Option<u64>,
    completed_by: Option<u64>,
    described_by: Option<u64>,
    described_by_root: bool,
    root_ended_at: Option<Timestamp>,
    unsealed_at: Option<Timestamp>,
    totals: Totals,
    hashes_withheld: bool,
    fold: Fold,
    tree: Frontier,
    /// All of it but `due`.
    audit: AuditState,
    incidents: IncidentState,
    tags: Vec<String>,
}

const STATE_VERSION: u8 = 1;

/// The bytes of a run's state.
pub(crate) fn state(row: &RunRow) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.push(STATE_VERSION);
    for word in [row.entries, row.steps, row.traces, row.seals, row.totals.successes, row.totals.failures] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&row.totals.cost_micro_cents.to_be_bytes());
    out.extend_from_slice(&row.totals.duration_ns.to_be_bytes());
    let mut maybe = |word: Option<[u8; 8]>| {
        out.push(u8::from(word.is_some()));
        out.extend_from_slice(&word.unwrap_or_default());
    };
    for word in [row.sealed_by, row.completed_by, row.described_by, row.totals.tokens] {
        maybe(word.map(u64::to_be_bytes));
    }
    for at in [row.root_ended_at, row.unsealed_at] {
        maybe(at.map(|at| at.as_nanos().to_be_bytes()));
    }
    let audit = row.audit;
    for word in [audit.cleared_by, audit.verdict_by, row.incidents.first] {
        maybe(word.map(u64::to_be_bytes));
    }
    for word in [row.incidents.open, row.incidents.named] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for word in [audit.expectations, audit.acks, audit.open] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.push(u8::from(audit.is_pending));
    out.push(u8::from(row.described_by_root));
    out.push(u8::from(row.hashes_withheld));
    let mut bytes = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("invariant: a part of a run's state has at most a few KiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(bytes);
    };
    bytes(&row.fold.to_bytes());
    bytes(&row.tree.to_bytes());
    for tag in &row.tags {
        bytes(tag.as_bytes());
    }
    out
}

impl State {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.byte()? != STATE_VERSION {
            return None;
        }
        let (entries, steps, traces, seals) = (reader.word()?, reader.word()?, reader.word()?, reader.word()?);
        let (successes, failures) = (reader.word()?, reader.word()?);
        let (cost_micro_cents, duration_ns) = (reader.signed()?, reader.signed()?);
        let (sealed_by, completed_by, described_by) = (reader.maybe()?, reader.maybe()?, reader.maybe()?);
        let tokens = reader.maybe()?;
        let mut time = || Some(reader.maybe()?.map(|word| Timestamp::from_nanos(word.cast_signed())));
        let (root_ended_at, unsealed_at) = (time()?, time()?);
        let (cleared_by, verdict_by) = (reader.maybe()?, reader.maybe()?);
        let incidents = IncidentState { first: reader.maybe()?, open: reader.word()?, named: reader.word()? };
        let (expectations, acks, open) = (reader.half()?, reader.half()?, reader.half()?);
        let is_pending = reader.byte()? != 0;
        let audit = AuditState { expectations, acks, open, due: None, cleared_by, verdict_by, is_pending };
        let described_by_root = reader.byte()? != 0;
        let hashes_withheld = reader.byte()? != 0;
        let fold = Fold::from_bytes(reader.bytes()?)?;
        let tree = Frontier::from_bytes(reader.bytes()?).ok()?;
        let mut tags = Vec::new();
        while !reader.0.is_empty() {
            tags.push(String::from_utf8(reader.bytes()?.to_vec()).ok()?);
        }
        let totals = Totals { successes, failures, cost_micro_cents, duration_ns, tokens };
        Some(Self {
            entries,
            steps,
            traces,
            seals,
            sealed_by,
            completed_by,
            described_by,
            described_by_root,
            root_ended_at,
            unsealed_at,
            totals,
            hashes_withheld,
            fold,
            tree,
            audit,
            incidents,
            tags,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*word))
    }

    fn half(&mut self) -> Option<u32> {
        let (half, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*half))
    }

    fn signed(&mut self) -> Option<i64> {
        self.word().map(u64::cast_signed)
    }

    fn maybe(&mut self) -> Option<Option<u64>> {
        let there = self.byte()? != 0;
        self.word().map(|word| there.then_some(word))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        Some(bytes)
    }
}
