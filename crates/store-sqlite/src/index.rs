//! What becomes of the indices: the plan's changes as SQL.
//!
//! Rows of runs and counters are gathered and written once for a whole group ([`Index::flush`]): the writer's own view
//! sees the runs here, and nobody reads counters before the commit. Shared by the writer and by rebuilding.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;
use tracekeep_core::id::RunId;
use tracekeep_core::merkle::Tile;
use tracekeep_store::Result;
use tracekeep_store::plan::Change;
use tracekeep_store::rows::{
    BaselineRow, ExportRow, HoldPlace, HoldRow, IncidentRow, OwnedId, RunRow, SlotRow, StepRow, TraceRow,
};

use crate::audit;
use crate::error::Said;
use crate::rows::{flags, owned_id, state};
use crate::snapshot;
use crate::statement::{many, one, run};
use crate::words::Numbered;

/// A counter of traces by type.
pub(crate) const TYPE: i64 = 0;
/// A counter of traces by tag.
pub(crate) const TAG: i64 = 1;
/// A counter of traces by status: it has no name, but the status.
pub(crate) const STATUS: i64 = 2;

/// Run rows kept between groups, about 2 KiB each.
const RUNS_MAX: usize = 2_048;
/// Interned names kept between groups, at most 256 bytes each.
const NAMES_MAX: usize = 8_192;

/// A run's row, and how it stands in the table.
struct Kept {
    row: RunRow,
    /// The row as stored; `None` for a new one.
    stored: Option<Box<RunRow>>,
    dirty: bool,
    used: u64,
}

/// The writer's memory of the indices.
#[derive(Default)]
pub(crate) struct Index {
    runs: RefCell<HashMap<RunId, Kept>>,
    used: u64,
    names: HashMap<Box<str>, i64>,
    counts: BTreeMap<(u64, i64, i64), i64>,
    children: BTreeMap<(u64, i64), u64>,
    run_counts: BTreeMap<i64, i64>,
    /// Names stay although no run here uses them: the tables hold some of the ledger's runs alone.
    keeps_names: bool,
}

impl Index {
    /// The indices of one run: names are another's, too.
    pub(crate) fn of_one_run() -> Self {
        Self { keeps_names: true, ..Self::default() }
    }

    /// A run as it stands after all changes so far.
    pub(crate) fn run(&self, conn: &Connection, run_id: &RunId) -> Result<Option<RunRow>> {
        if let Some(kept) = self.runs.borrow_mut().get_mut(run_id) {
            kept.used = self.used;
            return Ok(Some(kept.row.clone()));
        }
        let row = snapshot::run(conn, run_id)?;
        if let Some(row) = &row {
            let kept = Kept { row: row.clone(), stored: Some(Box::new(row.clone())), dirty: false, used: self.used };
            self.runs.borrow_mut().insert(run_id.clone(), kept);
        }
        Ok(row)
    }

    /// Applies one change.
    pub(crate) fn apply(&mut self, conn: &Connection, change: Change) -> Result<()> {
        match change {
            Change::Run(row) => self.put_run(*row),
            Change::Step(row) => put_step(conn, &row)?,
            Change::Trace { before, after } => self.put_trace(conn, before.as_deref(), &after)?,
            Change::SlotNamed(row) => name_slot(conn, &row)?,
            Change::SlotFilled(row) => fill_slot(conn, &row)?,
            Change::Described { run_no, topic, log_index } => {
                let sql = "INSERT INTO topic (run_no, topic, log_index) VALUES (?1, ?2, ?3)";
                run(conn, sql, (run_no, topic, log_index))?;
            }
            Change::Hold(row) => put_hold(conn, &row)?,
            Change::Baseline(row) => put_baseline(conn, &row)?,
            Change::Incident(row) => put_incident(conn, &row)?,
            Change::Export(row) => put_export(conn, &row)?,
            Change::Erased { run_no, run_id, log_index, ids, before, .. } => {
                self.erase(conn, run_no, &run_id, before.as_deref())?;
                run(conn, "INSERT INTO erased_run (run_no, log_index) VALUES (?1, ?2)", (run_no, log_index))?;
                ids.iter().try_for_each(|id| put_erased_id(conn, id, run_no, log_index))?;
            }
            Change::StepLeaves(row) => put_step_leaves(conn, &row)?,
            Change::Redacted { run_no, log_index, entries, .. } => put_withheld(conn, run_no, log_index, &entries)?,
            Change::Fact(row) => audit::put_fact(conn, &row)?,
            Change::Action(row) => audit::put_action(conn, &row)?,
            Change::Key { key, log_index } => {
                run(conn, "INSERT INTO idem_key (key, log_index) VALUES (?1, ?2)", (key.as_str(), log_index))?;
            }
        }
        Ok(())
    }

    /// Takes every row of a run away, and the names that it alone used.
    fn erase(&mut self, conn: &Connection, run_no: u64, run_id: &RunId, before: Option<&RunRow>) -> Result<()> {
        let kept = self.runs.get_mut().remove(run_id);
        // The plan's row may be ahead of the stored one, by what the same group did before.
        let stored = kept.as_ref().map_or(before, |kept| kept.stored.as_deref());
        // What other runs use is told by their counters.
        self.flush_counts(conn)?;
        put_unsealed(conn, stored, None)?;
        for tag in before.iter().flat_map(|row| &row.tags) {
            let sql = "DELETE FROM run_tag WHERE tag = ?1 AND started_at = ?2 AND run_no = ?3";
            run(conn, sql, (tag, before.map(|row| row.started_at.as_nanos()), run_no))?;
        }
        let sql = "DELETE FROM run WHERE run_no = ?1 RETURNING status";
        if let Some(status) = one(conn, sql, [run_no], |row| row.get(0).said())? {
            *self.run_counts.entry(status).or_default() -= 1;
        }
        let sql = "SELECT name FROM trace_count WHERE run_no = ?1 AND kind < 2";
        let names: Vec<i64> = many(conn, sql, [run_no], |row| row.get(0).said())?;
        for sql in [
            "DELETE FROM topic WHERE run_no = ?1",
            "DELETE FROM step WHERE run_no = ?1",
            "DELETE FROM trace WHERE run_no = ?1",
            "DELETE FROM trace_tag WHERE run_no = ?1",
            "DELETE FROM child_count WHERE run_no = ?1",
            "DELETE FROM trace_count WHERE run_no = ?1",
            "DELETE FROM slot WHERE run_no = ?1",
            "DELETE FROM hold WHERE run_no = ?1",
            "DELETE FROM incident WHERE run_no = ?1",
            "DELETE FROM export WHERE run_no = ?1",
            "DELETE FROM audit_fact WHERE run_no = ?1",
            "DELETE FROM audit_action WHERE run_no = ?1",
            "DELETE FROM withheld WHERE run_no = ?1",
        ] {
            run(conn, sql, [run_no])?;
        }
        self.drop_unused(conn, &names)
    }

    fn put_run(&mut self, row: RunRow) {
        let used = self.used;
        let runs = self.runs.get_mut();
        match runs.get_mut(&row.run_id) {
            Some(kept) => *kept = Kept { row, stored: kept.stored.take(), dirty: true, used },
            None => {
                let run_id = row.run_id.clone();
                runs.insert(run_id, Kept { row, stored: None, dirty: true, used });
            }
        }
    }

    fn put_trace(&mut self, conn: &Connection, before: Option<&TraceRow>, after: &TraceRow) -> Result<()> {
        let type_name = self.intern(conn, &after.type_name)?;
        match before {
            None => {
                let sql = "INSERT INTO trace (log_index, run_no, id, parent, children, type, occurred_at, status, \
                           ended_at, ended_by, flags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
                let row = (
                    after.log_index,
                    after.run_no,
                    after.id.as_str(),
                    after.parent.to_key(),
                    after.children.to_key(),
                    type_name,
                    after.occurred_at.as_nanos(),
                    after.status.number(),
                    after.ended_at.map(|at| at.as_nanos()),
                    after.ended_by,
                    flags(after),
                );
                run(conn, sql, row)?;
                *self.children.entry((after.run_no, after.parent.to_key())).or_default() += 1;
                self.count(after.run_no, TYPE, type_name, 1);
                self.count(after.run_no, STATUS, after.status.number(), 1);
                for tag in &after.tags {
                    self.put_tag(conn, after, tag)?;
                }
            }
            Some(before) => {
                let sql = "UPDATE trace SET status = ?2, ended_at = ?3, ended_by = ?4 WHERE log_index = ?1";
                let ended_at = after.ended_at.map(|at| at.as_nanos());
                run(conn, sql, (after.log_index, after.status.number(), ended_at, after.ended_by))?;
                if before.type_name != after.type_name {
                    let was = self.intern(conn, &before.type_name)?;
                    run(conn, "UPDATE trace SET type = ?2 WHERE log_index = ?1", (after.log_index, type_name))?;
                    self.count(after.run_no, TYPE, was, -1);
                    self.count(after.run_no, TYPE, type_name, 1);
                }
                self.count(after.run_no, STATUS, before.status.number(), -1);
                self.count(after.run_no, STATUS, after.status.number(), 1);
                for tag in before.tags.iter().filter(|tag| !after.tags.contains(tag)) {
                    self.drop_tag(conn, before, tag)?;
                }
                for tag in after.tags.iter().filter(|tag| !before.tags.contains(tag)) {
                    self.put_tag(conn, after, tag)?;
                }
            }
        }
        Ok(())
    }

    fn put_tag(&mut self, conn: &Connection, row: &TraceRow, tag: &str) -> Result<()> {
        let tag = self.intern(conn, tag)?;
        self.count(row.run_no, TAG, tag, 1);
        let sql = "INSERT INTO trace_tag (run_no, tag, occurred_at, log_index) VALUES (?1, ?2, ?3, ?4)";
        run(conn, sql, (row.run_no, tag, row.occurred_at.as_nanos(), row.log_index))?;
        Ok(())
    }

    fn drop_tag(&mut self, conn: &Connection, row: &TraceRow, tag: &str) -> Result<()> {
        let tag = self.intern(conn, tag)?;
        self.count(row.run_no, TAG, tag, -1);
        let sql = "DELETE FROM trace_tag WHERE run_no = ?1 AND tag = ?2 AND occurred_at = ?3 AND log_index = ?4";
        run(conn, sql, (row.run_no, tag, row.occurred_at.as_nanos(), row.log_index))?;
        Ok(())
    }

    fn count(&mut self, run_no: u64, kind: i64, name: i64, by: i64) {
        *self.counts.entry((run_no, kind, name)).or_default() += by;
    }

    /// The number of a name, given one where it has none.
    fn intern(&mut self, conn: &Connection, text: &str) -> Result<i64> {
        if let Some(id) = self.names.get(text) {
            return Ok(*id);
        }
        let known = one(conn, "SELECT id FROM name WHERE text = ?1", [text], |row| row.get(0).said())?;
        let id = match known {
            Some(id) => id,
            None => {
                run(conn, "INSERT INTO name (text) VALUES (?1)", [text])?;
                conn.last_insert_rowid()
            }
        };
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(text.into(), id);
        Ok(id)
    }

    /// Writes what was gathered.
    pub(crate) fn flush(&mut self, conn: &Connection) -> Result<()> {
        let runs = self.runs.get_mut();
        let mut dirty: Vec<_> = runs.values_mut().filter(|kept| kept.dirty).collect();
        dirty.sort_unstable_by_key(|kept| kept.row.run_no);
        for kept in dirty {
            write_run(conn, kept.stored.as_deref(), &kept.row)?;
            let before = kept.stored.as_ref().map(|stored| (stored.status.number(), -1));
            for (status, by) in before.into_iter().chain([(kept.row.status.number(), 1)]) {
                *self.run_counts.entry(status).or_default() += by;
            }
            kept.stored = Some(Box::new(kept.row.clone()));
            kept.dirty = false;
        }
        self.flush_counts(conn)?;
        self.evict();
        Ok(())
    }

    fn flush_counts(&mut self, conn: &Connection) -> Result<()> {
        let mut fewer = Vec::new();
        for ((run_no, kind, name), by) in std::mem::take(&mut self.counts) {
            if by <= 0 && kind != STATUS {
                fewer.push(name);
            }
            if by == 0 {
                continue;
            }
            let sql = "INSERT INTO trace_count (run_no, kind, name, n) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT DO UPDATE SET n = n + excluded.n";
            run(conn, sql, (run_no, kind, name, by))?;
            if by < 0 {
                let sql = "DELETE FROM trace_count WHERE run_no = ?1 AND kind = ?2 AND name = ?3 AND n = 0";
                run(conn, sql, (run_no, kind, name))?;
            }
        }
        for (status, by) in std::mem::take(&mut self.run_counts) {
            if by == 0 {
                continue;
            }
            let sql = "INSERT INTO run_count (status, n) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET n = n + excluded.n";
            run(conn, sql, (status, by))?;
            if by < 0 {
                run(conn, "DELETE FROM run_count WHERE status = ?1 AND n = 0", [status])?;
            }
        }
        for ((run_no, slot), by) in std::mem::take(&mut self.children) {
            let sql = "INSERT INTO child_count (run_no, slot, n) VALUES (?1, ?2, ?3) \
                       ON CONFLICT DO UPDATE SET n = n + excluded.n";
            run(conn, sql, (run_no, slot, by))?;
        }
        self.drop_unused(conn, &fewer)
    }

    /// Drops the names that no run uses any more: they are what somebody wrote. Only after the counters are written.
    fn drop_unused(&mut self, conn: &Connection, names: &[i64]) -> Result<()> {
        if self.keeps_names {
            return Ok(());
        }
        for name in names {
            let sql = "DELETE FROM name WHERE id = ?1 AND NOT EXISTS \
                       (SELECT 1 FROM trace_count INDEXED BY trace_count_by_name WHERE kind < 2 AND name = ?1)";
            if run(conn, sql, [name])? > 0 {
                self.names.retain(|_, id| id != name);
            }
        }
        Ok(())
    }

    /// Forgets the runs that were not used for longest, once there are too many. Only after a flush: none is dirty.
    fn evict(&mut self) {
        self.used += 1;
        let runs = self.runs.get_mut();
        if runs.len() <= RUNS_MAX {
            return;
        }
        let mut used: Vec<_> = runs.values().map(|kept| kept.used).collect();
        let (_, oldest_kept, _) = used.select_nth_unstable(runs.len() - RUNS_MAX / 2);
        let oldest_kept = *oldest_kept;
        runs.retain(|_, kept| kept.used >= oldest_kept);
        if runs.len() > RUNS_MAX {
            runs.clear();
        }
    }

    /// Forgets everything: what was not committed never was.
    pub(crate) fn forget(&mut self) {
        *self = Self { used: self.used, keeps_names: self.keeps_names, ..Self::default() };
    }
}

/// Writes a run's row: of one that is stored, only the columns that changed, so that its indices are left alone.
fn write_run(conn: &Connection, stored: Option<&RunRow>, row: &RunRow) -> Result<()> {
    let audit = |row: &RunRow| (row.audit.waits(), row.audit.due.map(|due| due.as_nanos()));
    let indexed = |row: &RunRow| {
        (
            row.source.number(),
            row.started_at.as_nanos(),
            row.status.number(),
            row.agent_id.clone(),
            row.correlation_id.as_ref().map(|id| id.as_str().to_owned()),
            row.parent_run_id.as_ref().map(|id| id.as_str().to_owned()),
            row.seed,
            row.plan_hash.map(|hash| *hash.as_bytes()),
            row.behaviour_hash.map(|hash| *hash.as_bytes()),
            row.root_hash.map(|hash| *hash.as_bytes()),
            row.sealed_totals.map(|sealed| sealed.cost_micro_cents),
            row.sealed_totals.map(|sealed| sealed.duration_ns),
        )
    };
    let (now, audited) = (indexed(row), audit(row));
    if stored.is_some_and(|stored| indexed(stored) == now && audit(stored) == audited) {
        run(conn, "UPDATE run SET state = ?2 WHERE run_no = ?1", (row.run_no, state(row)))?;
    } else {
        let sql = "INSERT INTO run (run_no, state, source, started_at, status, agent, correlation, parent, seed, \
                   plan_hash, behaviour_hash, root_hash, cost, duration, waits, due) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
                   ON CONFLICT DO UPDATE SET state = excluded.state, source = excluded.source, \
                   started_at = excluded.started_at, status = excluded.status, agent = excluded.agent, \
                   correlation = excluded.correlation, parent = excluded.parent, seed = excluded.seed, \
                   plan_hash = excluded.plan_hash, behaviour_hash = excluded.behaviour_hash, \
                   root_hash = excluded.root_hash, cost = excluded.cost, duration = excluded.duration, \
                   waits = excluded.waits, due = excluded.due";
        let params = (
            row.run_no,
            state(row),
            now.0,
            now.1,
            now.2,
            now.3,
            now.4,
            now.5,
            now.6,
            now.7.map(|hash| hash.to_vec()),
            now.8.map(|hash| hash.to_vec()),
            now.9.map(|hash| hash.to_vec()),
            now.10,
            now.11,
            audited.0,
            audited.1,
        );
        run(conn, sql, params)?;
    }
    put_unsealed(conn, stored, Some(row))?;
    let at = |row: &RunRow| (row.started_at, row.tags.clone());
    if stored.is_some_and(|stored| at(stored) == at(row)) {
        return Ok(());
    }
    if let Some(row) = stored {
        for tag in &row.tags {
            let sql = "DELETE FROM run_tag WHERE tag = ?1 AND started_at = ?2 AND run_no = ?3";
            run(conn, sql, (tag, row.started_at.as_nanos(), row.run_no))?;
        }
    }
    for tag in &row.tags {
        let sql = "INSERT INTO run_tag (tag, started_at, run_no) VALUES (?1, ?2, ?3)";
        run(conn, sql, (tag, row.started_at.as_nanos(), row.run_no))?;
    }
    Ok(())
}

/// Keeps since when a run waits for a seal.
fn put_unsealed(conn: &Connection, stored: Option<&RunRow>, row: Option<&RunRow>) -> Result<()> {
    let of = |row: Option<&RunRow>| row.and_then(|row| Some((row.unsealed_at?.as_nanos(), row.run_no)));
    let (stored, now) = (of(stored), of(row));
    if stored == now {
        return Ok(());
    }
    if let Some(place) = stored {
        run(conn, "DELETE FROM run_unsealed WHERE at = ?1 AND run_no = ?2", place)?;
    }
    if let Some(place) = now {
        run(conn, "INSERT INTO run_unsealed (at, run_no) VALUES (?1, ?2)", place)?;
    }
    Ok(())
}

fn put_hold(conn: &Connection, row: &HoldRow) -> Result<()> {
    let sql = "INSERT INTO hold (log_index, run_no, tag, held) VALUES (?1, ?2, ?3, ?4)";
    match &row.place {
        HoldPlace::Run(run_no) => {
            run(conn, "DELETE FROM hold WHERE run_no = ?1", [run_no])?;
            run(conn, sql, (row.log_index, run_no, None::<&str>, row.held))?;
        }
        HoldPlace::Tag(tag) => {
            run(conn, "DELETE FROM hold WHERE tag = ?1", [tag])?;
            run(conn, sql, (row.log_index, None::<u64>, tag, row.held))?;
        }
    }
    Ok(())
}

fn put_baseline(conn: &Connection, row: &BaselineRow) -> Result<()> {
    run(conn, "DELETE FROM baseline WHERE name = ?1", [row.name.as_str()])?;
    let sql = "INSERT INTO baseline (log_index, name, run_id) VALUES (?1, ?2, ?3)";
    run(conn, sql, (row.log_index, row.name.as_str(), row.run_id.as_str()))?;
    Ok(())
}

fn put_incident(conn: &Connection, row: &IncidentRow) -> Result<()> {
    let sql = "INSERT INTO incident (log_index, id, run_no, created_at, severity, status, resolved_by) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
               ON CONFLICT (log_index) DO UPDATE SET status = excluded.status, resolved_by = excluded.resolved_by";
    let row = (
        row.log_index,
        row.incident_id.as_str(),
        row.run_no,
        row.created_at.as_nanos(),
        row.severity.map(Numbered::number),
        row.status.number(),
        row.resolved_by,
    );
    run(conn, sql, row)?;
    Ok(())
}

fn put_export(conn: &Connection, row: &ExportRow) -> Result<()> {
    let sql = "INSERT INTO export (log_index, id, run_no) VALUES (?1, ?2, ?3)";
    run(conn, sql, (row.log_index, row.export_id.as_str(), row.run_no))?;
    Ok(())
}

fn put_erased_id(conn: &Connection, id: &OwnedId, run_no: u64, log_index: u64) -> Result<()> {
    let sql = "INSERT INTO erased_id (kind, id, run_no, log_index) VALUES (?1, ?2, ?3, ?4)";
    let (kind, id) = owned_id(id);
    run(conn, sql, (kind, id, run_no, log_index))?;
    Ok(())
}

fn put_step(conn: &Connection, row: &StepRow) -> Result<()> {
    let sql = "INSERT INTO step (run_no, idx, log_index, behaviour, exact) VALUES (?1, ?2, ?3, ?4, ?5)";
    let leaves = (&row.leaves.behaviour.as_bytes()[..], &row.leaves.exact.as_bytes()[..]);
    run(conn, sql, (row.run_no, row.index, row.log_index, leaves.0, leaves.1))?;
    Ok(())
}

fn put_step_leaves(conn: &Connection, row: &StepRow) -> Result<()> {
    let sql = "UPDATE step SET behaviour = ?3, exact = ?4 WHERE run_no = ?1 AND idx = ?2";
    let leaves = (&row.leaves.behaviour.as_bytes()[..], &row.leaves.exact.as_bytes()[..]);
    run(conn, sql, (row.run_no, row.index, leaves.0, leaves.1))?;
    Ok(())
}

/// Keeps which redaction holds what is left of entries.
pub(crate) fn put_withheld(conn: &Connection, run_no: u64, redaction: u64, entries: &[u64]) -> Result<()> {
    for log_index in entries {
        let sql = "INSERT INTO withheld (log_index, run_no, redaction) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET redaction = excluded.redaction";
        run(conn, sql, (log_index, run_no, redaction))?;
    }
    Ok(())
}

fn name_slot(conn: &Connection, row: &SlotRow) -> Result<()> {
    let sql = "INSERT INTO slot (named_by, run_no, id, occurred_at, filled_by) VALUES (?1, ?2, ?3, ?4, NULL)";
    run(conn, sql, (row.named_by, row.run_no, row.id.as_str(), row.occurred_at.as_nanos()))?;
    Ok(())
}

fn fill_slot(conn: &Connection, row: &SlotRow) -> Result<()> {
    run(conn, "UPDATE slot SET filled_by = ?2 WHERE named_by = ?1", (row.named_by, row.filled_by))?;
    Ok(())
}

/// Stores a full tile.
pub(crate) fn put_tile(conn: &Connection, tile: &Tile) -> Result<()> {
    let sql = "INSERT INTO tile (level, n, root, hashes) VALUES (?1, ?2, ?3, ?4)";
    run(conn, sql, (tile.level, tile.index, &tile.root.as_bytes()[..], tile.hashes_bytes()))?;
    Ok(())
}
