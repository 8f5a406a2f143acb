//! Checking a ledger against its own log, and rebuilding its indices from it.
//!
//! The log is walked once, in order: each entry against its commitment, its place and its clock, the tree recomputed, and
//! each entry decided again into a second set of index tables in the schema `temp`. There the names hide the stored
//! tables, so that the very code that reads and writes the ledger builds them. Checking compares the two sets; rebuilding
//! puts the second in the place of the first.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::Connection;
use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{LedgerId, RunId};
use tracekeep_core::merkle::Edge;
use tracekeep_core::model::Kind;
use tracekeep_store::plan::{Change, foretold, replay};
use tracekeep_store::rows::Entry;
use tracekeep_store::{Code, Error, Report, Result, Snapshot, Wrong};

use crate::compare;
use crate::error::{Said, corrupt};
use crate::index::{Index, put_tile, put_withheld};
use crate::lock::Lock;
use crate::named;
use crate::open::{self, Mode, Options};
use crate::rows::{self, RunNames, TypeNames, entry_columns};
use crate::schema::{self, Holds};
use crate::snapshot::{Own, View};
use crate::statement::{Kept, many, one, run};
use crate::text;
use crate::words::Numbered;

/// Entries between two writings of what is gathered.
const FLUSH_ENTRIES: u64 = 1_000;

const NOBODY_SAYS_WHY: &str = "the body is not there, and no redaction says why";

/// Compares everything in the ledger at `path` with its log, or the indices of one run with its entries.
pub(crate) fn check(path: &Path, run_id: Option<&RunId>) -> Result<Report> {
    demand_ledger(path)?;
    let conn = open::reader(path, Mode::Checker)?;
    scratch(&conn)?;
    run(&conn, "BEGIN", [])?;
    let mut report = Report::default();
    let done = check_within(&conn, run_id, &mut report);
    // What was built in `temp` goes; nothing else was written.
    run(&conn, "ROLLBACK", [])?;
    done.map(|()| report)
}

fn check_within(conn: &Connection, run_id: Option<&RunId>, report: &mut Report) -> Result<()> {
    let ledger = open::ledger(conn)?;
    if let Some(run_id) = run_id {
        let run_no = Some(numbered(conn, run_id)?);
        let built = Walk::new(conn, ledger, run_no, report).and_then(Walk::whole);
        if report.note("log", built)?.is_some() {
            compare::all(conn, run_no, report)?;
        }
        report.tree_size = View::committed(conn, ledger)?.size;
        return Ok(());
    }
    pages(conn, report)?;
    for wrong in schema::wrong_migrations(conn)? {
        report.find(Wrong::Migration, "migration", wrong);
    }
    unmade(conn, report)?;
    let built = Walk::new(conn, ledger, None, report).and_then(Walk::whole);
    if report.note("log", built)?.is_some() {
        compare::all(conn, None, report)?;
        let view = View::committed(conn, ledger)?;
        let compared = text::compare(&view, report);
        report.note("trace_text", compared)?;
    }
    Ok(())
}

/// Puts indices that are rebuilt from the log in the place of those that are there: all of them, or those of one run.
pub(crate) fn rebuild(path: &Path, run_id: Option<&RunId>) -> Result<Report> {
    demand_ledger(path)?;
    let lock = Lock::acquire(path, open::now())?;
    let report = rebuild_locked(path, run_id)?;
    drop(lock);
    Ok(report)
}

/// The same for whoever holds the lock, while its writer rests.
pub(crate) fn rebuild_locked(path: &Path, run_id: Option<&RunId>) -> Result<Report> {
    let conn = open::writer(path, &Options { create: false, ..Options::default() }, Holds::Ledger)?;
    scratch(&conn)?;
    run(&conn, "BEGIN IMMEDIATE", [])?;
    let mut report = Report::default();
    let done = rebuild_within(&conn, run_id, &mut report);
    match done {
        Ok(()) => {
            let unknown = |cause: Error| {
                let detail = format!("whether the indices were rebuilt is not known: {}", cause.detail());
                Error::new(Code::CommitUnknown, detail).because(cause)
            };
            run(&conn, "COMMIT", []).map_err(unknown)?
        }
        Err(error) => {
            drop(run(&conn, "ROLLBACK", []));
            return Err(error);
        }
    };
    Ok(report)
}

fn rebuild_within(conn: &Connection, run_id: Option<&RunId>, report: &mut Report) -> Result<()> {
    let ledger = open::ledger(conn)?;
    let run_no = run_id.map(|run_id| numbered(conn, run_id)).transpose()?;
    if run_no.is_none() {
        for mend in schema::odd(conn)?.into_iter().filter_map(|odd| odd.mend) {
            conn.execute_batch(&mend).said()?;
        }
        unmade(conn, report)?;
        // The indices of the record itself are read on the way.
        run(conn, "REINDEX entry_of_no_run", [])?;
        run(conn, "REINDEX entry_of_run_rest", [])?;
        run(conn, "REINDEX entry_signing_key", [])?;
        run(conn, "REINDEX run_name", [])?;
    }
    Walk::new(conn, ledger, run_no, report)?.whole()?;
    if run_no.is_none() {
        text::clear(conn)?;
    } else {
        run(conn, "INSERT OR IGNORE INTO main.name SELECT * FROM temp.name", [])?;
    }
    let rows = compare::rows_of(run_no);
    for table in compare::tables(run_no) {
        run(conn, &format!("DELETE FROM main.{} AS t{rows}", table.name), [])?;
        let sql = format!("INSERT INTO main.{0} SELECT * FROM temp.{0} t{rows} ORDER BY {1}", table.name, table.key);
        run(conn, &sql, [])?;
    }
    if run_no.is_some() {
        run(conn, "DELETE FROM main.name WHERE id NOT IN (SELECT name FROM main.trace_count WHERE kind < 2)", [])?;
        report.tree_size = View::committed(conn, ledger)?.size;
    }
    Ok(())
}

/// The number of a run, by the record.
fn numbered(conn: &Connection, run_id: &RunId) -> Result<u64> {
    let run_no =
        one(conn, "SELECT run_no FROM run_name WHERE run_id = ?1", [run_id.as_str()], |row| row.get(0).said())?;
    run_no.ok_or_else(|| Error::new(Code::RunNotFound, format!("no run {run_id} is recorded")))
}

fn demand_ledger(path: &Path) -> Result<()> {
    match open::look(path)? {
        Holds::Ledger => Ok(()),
        Holds::Nothing => Err(Error::new(Code::NotALedger, "there is no ledger at this path")),
    }
}

/// Makes room for the second set of tables: in a file that ends with the connection.
fn scratch(conn: &Connection) -> Result<()> {
    let settings = "PRAGMA temp_store = FILE; PRAGMA temp.journal_mode = OFF; PRAGMA temp.cache_size = -32768;";
    conn.execute_batch(settings).said()
}

/// What is another than this version makes.
fn unmade(conn: &Connection, report: &mut Report) -> Result<()> {
    for odd in report.note("schema", schema::odd(conn))?.unwrap_or_default() {
        report.find(Wrong::Schema, odd.place, odd.detail);
    }
    Ok(())
}

/// SQLite's own check of its pages and indices.
fn pages(conn: &Connection, report: &mut Report) -> Result<()> {
    let said = many(conn, "PRAGMA main.integrity_check", [], |row| row.get::<_, String>(0).said());
    for line in report.note("pages", said)?.unwrap_or_default() {
        if line != "ok" {
            report.find(Wrong::Pages, "pages", line);
        }
    }
    Ok(())
}

/// Notes which redactions hold what is left of entries, before those are come to. One that cannot be read is found in its
/// place.
fn foretell(conn: &Connection, run_no: Option<u64>) -> Result<()> {
    let of_run = run_no.map_or_else(String::new, |run_no| format!("run_no = {run_no} AND "));
    let sql = format!(
        concat!(
            "SELECT ",
            entry_columns!(),
            " FROM main.entry WHERE {}run_no IS NOT NULL AND kind NOT IN (3, 4, 5) \
             AND kind = {} AND body IS NOT NULL ORDER BY log_index"
        ),
        of_run,
        Kind::Redaction.number()
    );
    let names = RunNames::default();
    many(conn, &sql, [], |row| {
        let redaction = rows::entry(conn, &names, row).and_then(|entry| foretold(&entry));
        match redaction {
            Ok(Some(Change::Redacted { run_no, log_index, entries, .. })) => {
                put_withheld(conn, run_no, log_index, &entries)
            }
            _ => Ok(()),
        }
    })?;
    Ok(())
}

/// The walk through the log.
struct Walk<'a> {
    conn: &'a Connection,
    ledger: LedgerId,
    report: &'a mut Report,
    index: Index,
    edge: Edge,
    clock: Timestamp,
    /// Entries that the batch of the last entry still announces.
    after: u32,
    /// The next seq of each run; of entries of no run under `None`.
    seqs: HashMap<Option<u64>, u64>,
    /// The entries of each run whose content is not there, until a redaction says why.
    bare: BTreeMap<Option<u64>, Vec<u64>>,
    /// The one run that is looked at; the tree and the log's own order are then left alone.
    run_no: Option<u64>,
}

impl<'a> Walk<'a> {
    fn new(conn: &'a Connection, ledger: LedgerId, run_no: Option<u64>, report: &'a mut Report) -> Result<Self> {
        conn.execute_batch(&schema::temporary_index()).said()?;
        if run_no.is_some() {
            // Names keep the numbers that rows of other runs know them by.
            run(conn, "INSERT INTO temp.name SELECT * FROM main.name", [])?;
        }
        foretell(conn, run_no)?;
        Ok(Self {
            conn,
            ledger,
            report,
            index: if run_no.is_some() { Index::of_one_run() } else { Index::default() },
            edge: Edge::new(),
            clock: Timestamp::MIN,
            after: 0,
            seqs: HashMap::new(),
            bare: BTreeMap::new(),
            run_no,
        })
    }

    fn whole(mut self) -> Result<()> {
        let entries = concat!("SELECT ", entry_columns!(), " FROM main.entry");
        let of_run = |run_no| format!(" WHERE log_index >= {run_no} AND run_no = {run_no}");
        let sql = format!("{entries}{} ORDER BY log_index", self.run_no.map_or_else(String::new, of_run));
        let names = RunNames::default();
        let mut statement = self.conn.prepare(&sql).said()?;
        let mut entries = statement.query([]).said()?;
        while let Some(row) = entries.next().said()? {
            let log_index: u64 = row.get(0).said()?;
            if self.run_no.is_none() && log_index != self.edge.size() {
                let detail = format!("the log goes from {} entries on to log index {log_index}", self.edge.size());
                self.report.find_at(Wrong::Entry, || named::entry(self.conn, log_index), detail);
                return Err(corrupt("the log has a gap: what follows cannot be checked"));
            }
            match (rows::entry_header(self.conn, &names, row), rows::entry(self.conn, &names, row)) {
                (Ok(_), Ok(entry)) => self.entry(&entry, None)?,
                // The header can be read: the leaf stands, the content does not.
                (Ok(header), Err(error)) => self.entry(&header, Some(&error))?,
                (Err(error), _) => {
                    self.report.find_at(Wrong::Entry, || named::entry(self.conn, log_index), error.detail());
                    return Err(corrupt("an entry cannot be read: what follows cannot be checked"));
                }
            }
            if log_index.is_multiple_of(FLUSH_ENTRIES) {
                self.index.flush(self.conn)?;
            }
        }
        self.index.flush(self.conn)?;
        let mut bare: Vec<_> = std::mem::take(&mut self.bare).into_values().flatten().collect();
        bare.sort_unstable();
        for log_index in bare {
            self.report.find_at(Wrong::Content, || named::entry(self.conn, log_index), NOBODY_SAYS_WHY);
        }
        if self.run_no.is_some() {
            return Ok(());
        }
        if self.after != 0 {
            let missing = format!("the last batch announces {} more entries", self.after);
            self.report.find(Wrong::Batch, "log", missing);
        }
        self.report.head(self.edge.size(), self.edge.root());
        self.names()
    }

    /// Every name stands for a run that begins where it says.
    fn names(&mut self) -> Result<()> {
        let sql = "SELECT n.run_no FROM main.run_name n LEFT JOIN main.entry e ON e.log_index = n.run_no \
                   WHERE e.run_no IS NOT n.run_no";
        for run_no in many(self.conn, sql, [], |row| row.get::<_, i64>(0).said())? {
            let place = || named::row(self.conn, "run_name", &["run_no"], &[run_no]);
            self.report.find_at(Wrong::RunName, place, format!("no run begins at log index {run_no}"));
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, unreadable: Option<&Error>) -> Result<()> {
        let leaf = entry.leaf(self.ledger).hash();
        let unowned_entries = self.seqs.get(&None).copied().unwrap_or(0);
        self.place_in_order(entry);
        let is_bare = entry.content.is_none() && unreadable.is_none();
        if is_bare && self.view(entry.log_index, unowned_entries).redacted_by(entry.log_index)?.is_none() {
            self.bare(entry)?;
        }
        let decided = match unreadable {
            Some(error) => Err(error.clone()),
            None => replay(entry, &self.view(entry.log_index, unowned_entries)).map(|replayed| replayed.changes),
        };
        let changes = match decided {
            Ok(changes) => changes,
            Err(error) if error.code() == Code::Corrupt.as_str() => {
                self.report.find_at(Wrong::Content, || named::entry(self.conn, entry.log_index), error.detail());
                self.counted(entry, leaf)?
            }
            Err(error) => return Err(error),
        };
        for change in changes {
            if let Change::Erased { run_no, entries, .. } = &change {
                let bare = self.bare.remove(&Some(*run_no)).unwrap_or_default();
                if bare.len() as u64 != *entries {
                    let detail = format!(
                        "{} of the {entries} entries that it erased are there",
                        entries.saturating_sub(bare.len() as u64)
                    );
                    self.report.find_at(Wrong::Content, || named::entry(self.conn, entry.log_index), detail);
                }
            }
            self.index.apply(self.conn, change)?;
        }
        if self.run_no.is_some() {
            return Ok(());
        }
        let mut tiles = Vec::new();
        self.edge.push(leaf, &mut tiles);
        tiles.iter().try_for_each(|tile| put_tile(self.conn, tile))
    }

    /// Keeps an entry without content in mind until the redaction that says why; where none follows, nobody says it.
    fn bare(&mut self, entry: &Entry) -> Result<()> {
        let run_no = entry.run.as_ref().map(|(run_no, _)| *run_no);
        if let Some(bare) = self.bare.get_mut(&run_no) {
            bare.push(entry.log_index);
            return Ok(());
        }
        let sql = "SELECT 1 FROM main.entry WHERE run_no = ?1 AND run_no IS NOT NULL \
                   AND kind NOT IN (3, 4, 5) AND kind = ?2 AND log_index > ?3";
        let later = (run_no, Kind::Redaction.number(), entry.log_index);
        if one(self.conn, sql, later, |_| Ok(()))?.is_some() {
            self.bare.insert(run_no, vec![entry.log_index]);
        } else {
            self.report.find_at(Wrong::Content, || named::entry(self.conn, entry.log_index), NOBODY_SAYS_WHY);
        }
        Ok(())
    }

    /// Seq, clock, batch and run of an entry follow from those before it.
    fn place_in_order(&mut self, entry: &Entry) {
        let at = || named::entry(self.conn, entry.log_index);
        let run_no = entry.run.as_ref().map(|(run_no, _)| *run_no);
        let begins = run_no == Some(entry.log_index);
        if run_no.is_some() && !begins && !self.seqs.contains_key(&run_no) {
            self.report.find_at(Wrong::RunName, at, "the entry's run begins nowhere before it");
        }
        let seq = self.seqs.entry(run_no).or_default();
        if entry.seq != *seq {
            self.report.find_at(Wrong::Seq, at, format!("seq {} where {seq} follows", entry.seq));
        }
        *seq = entry.seq.saturating_add(1);
        if entry.recorded_at < self.clock {
            self.report.find_at(Wrong::Clock, at, "recorded before the entry in front of it");
        }
        self.clock = self.clock.max(entry.recorded_at);
        if self.run_no.is_none() && self.after != 0 && entry.after.checked_add(1) != Some(self.after) {
            self.report.find_at(Wrong::Batch, at, "the entry's place in its batch does not follow");
        }
        self.after = entry.after;
    }

    /// What is left of an entry that cannot be decided: its place in the run's count and tree.
    fn counted(&self, entry: &Entry, leaf: Hash) -> Result<Vec<Change>> {
        let Some((_, run_id)) = &entry.run else { return Ok(Vec::new()) };
        let row = self.view(entry.log_index, 0).run(run_id)?;
        Ok(row
            .map(|mut row| {
                row.entries += 1;
                row.tree.push(leaf);
                Change::Run(Box::new(row))
            })
            .into_iter()
            .collect())
    }

    fn view(&self, size: u64, unowned_entries: u64) -> View<'_> {
        let own = Own { index: &self.index, edge: &self.edge, unowned_entries };
        View {
            conn: self.conn,
            ledger: self.ledger,
            size,
            own: Some(own),
            names: RunNames::default(),
            types: TypeNames::default(),
            one_entry: Kept::default(),
            one_trace: Kept::default(),
        }
    }
}
