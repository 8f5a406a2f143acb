//! Comparing the stored indices with those that were rebuilt in `temp`, both ways.
//!
//! Types and tags are compared by their text: the numbers that they are interned under may differ.

use std::collections::BTreeSet;

use rusqlite::Connection;
use tracekeep_store::{Report, Result, Wrong};

use crate::error::Said;
use crate::named;
use crate::statement::many;

/// One table of the indices.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The order that it is written in.
    pub(crate) key: &'static str,
    /// The columns that are compared; `@` stands for the schema.
    columns: &'static str,
    /// The columns that tell a row's place, numbers alone: nothing that somebody wrote is shown.
    place: &'static [&'static str],
}

/// What a row has in the columns of its place.
type Numbers = Vec<i64>;

const fn table(name: &'static str, key: &'static str, place: &'static [&'static str], columns: &'static str) -> Table {
    Table { name, key, columns, place }
}

/// Every table of sql/0001_index.sql.
pub(crate) const TABLES: &[Table] = &[
    table("tile", "level, n", &["level", "n"], "level, n, root, hashes"),
    table("name", "id", &[], "text"),
    table(
        "run",
        "run_no",
        &["run_no"],
        "run_no, source, started_at, status, agent, correlation, parent, seed, plan_hash, behaviour_hash, root_hash, \
         cost, duration, waits, due, state",
    ),
    table("run_count", "status", &["status"], "status, n"),
    table("run_unsealed", "at, run_no", &["run_no"], "run_no, at"),
    table("run_tag", "tag, started_at, run_no", &["run_no"], "run_no, tag, started_at"),
    table("topic", "run_no, topic", &["run_no"], "run_no, topic, log_index"),
    table("step", "run_no, idx", &["run_no", "idx"], "run_no, idx, log_index, behaviour, exact"),
    table(
        "trace",
        "log_index",
        &["log_index"],
        "log_index, run_no, id, parent, children, (SELECT text FROM @.name WHERE id = t.type) AS type, occurred_at, \
         status, ended_at, ended_by, flags",
    ),
    table(
        "trace_tag",
        "run_no, tag, occurred_at, log_index",
        &["run_no", "log_index"],
        "run_no, log_index, (SELECT text FROM @.name WHERE id = t.tag) AS tag, occurred_at",
    ),
    table("child_count", "run_no, slot", &["run_no", "slot"], "run_no, slot, n"),
    table(
        "trace_count",
        "run_no, kind, name",
        &["run_no", "kind"],
        "run_no, kind, iif(kind = 2, name, (SELECT text FROM @.name WHERE id = t.name)) AS name, n",
    ),
    table("slot", "named_by", &["named_by"], "named_by, run_no, id, occurred_at, filled_by"),
    table("hold", "log_index", &["log_index"], "log_index, run_no, tag, held"),
    table("baseline", "log_index", &["log_index"], "log_index, name, run_id"),
    table("incident", "log_index", &["log_index"], "log_index, id, run_no, created_at, severity, status, resolved_by"),
    table("export", "log_index", &["log_index"], "log_index, id, run_no"),
    table("erased_run", "run_no", &["run_no"], "run_no, log_index"),
    table("erased_id", "kind, id", &["run_no", "log_index"], "run_no, log_index, kind, id"),
    table("withheld", "log_index", &["log_index"], "log_index, run_no, redaction"),
    table("audit_fact", "log_index", &["log_index"], "log_index, run_no, kind, id, domain, action, at, status, n"),
    table(
        "audit_action",
        "run_no, domain, action",
        &["run_no"],
        "run_no, domain, action, wanted, successes, last, flags, expected_at, said",
    ),
    table("idem_key", "key", &["log_index"], "log_index, key"),
];

/// Rows that one table's comparison looks at; beyond them the count is of rows missing and extra alike.
const ROWS_MAX: usize = 100_000;

/// The tables that a check of one run, or of the whole ledger, is about.
pub(crate) fn tables(run_no: Option<u64>) -> impl Iterator<Item = &'static Table> {
    TABLES.iter().filter(move |table| run_no.is_none() || table.is_of_runs())
}

/// The rows that it is about, as a condition on `t`.
pub(crate) fn rows_of(run_no: Option<u64>) -> String {
    run_no.map_or_else(String::new, |run_no| format!(" WHERE t.run_no = {run_no}"))
}

/// Compares every table, of one run or whole.
pub(crate) fn all(conn: &Connection, run_no: Option<u64>, report: &mut Report) -> Result<()> {
    for table in tables(run_no) {
        let differences = table.differences(conn, run_no);
        let Some((missing, extra)) = report.note(table.name, differences)? else { continue };
        // A row that differs is missing as it should be and extra as it is.
        let mut unpaired: BTreeSet<_> = extra.iter().collect();
        let mut differs = BTreeSet::new();
        let mut find = |what, numbers: &[i64], detail| {
            report.find_at(what, || named::row(conn, table.name, table.place, numbers), detail);
        };
        for numbers in &missing {
            if !table.place.is_empty() && unpaired.remove(numbers) {
                differs.insert(numbers);
                find(Wrong::RowDiffers, numbers, "the row is not what the log says");
            } else {
                find(Wrong::RowMissing, numbers, "the log asks for a row that is not there");
            }
        }
        for numbers in &extra {
            if !differs.remove(numbers) {
                find(Wrong::RowExtra, numbers, "the row is there without the log asking for it");
            }
        }
    }
    Ok(())
}

impl Table {
    /// Whether each of its rows belongs to a run.
    fn is_of_runs(&self) -> bool {
        self.columns.contains("run_no")
    }

    /// Places of rows that only the rebuilt table has, and of those that only the stored one has.
    fn differences(&self, conn: &Connection, run_no: Option<u64>) -> Result<(Vec<Numbers>, Vec<Numbers>)> {
        let rows = |schema: &str| {
            let columns = self.columns.replace('@', schema);
            format!("SELECT {columns} FROM {schema}.{} t{}", self.name, rows_of(run_no))
        };
        let (stored, rebuilt) = (rows("main"), rows("temp"));
        Ok((self.only(conn, &rebuilt, &stored)?, self.only(conn, &stored, &rebuilt)?))
    }

    fn only(&self, conn: &Connection, these: &str, those: &str) -> Result<Vec<Numbers>> {
        let place = if self.place.is_empty() { "1".to_owned() } else { self.place.join(", ") };
        let sql = format!("SELECT {place} FROM ({these} EXCEPT {those}) LIMIT {ROWS_MAX}");
        many(conn, &sql, [], |row| (0..self.place.len()).map(|column| row.get(column).said()).collect())
    }
}
