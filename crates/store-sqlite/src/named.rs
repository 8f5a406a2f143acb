//! What findings are about, in the names that people know: rows tell their runs by number, and their traces by the log
//! indices of entries.
//!
//! What cannot be read stays unnamed: the finding stands without it.

use rusqlite::{Connection, Params};
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::model::Kind;
use tracekeep_store::Place;
use tracekeep_store::rows::Slot;

use crate::rows::id;
use crate::statement::one;
use crate::words::Numbered;

/// An entry of the log.
pub(crate) fn entry(conn: &Connection, log_index: u64) -> Place {
    Place {
        run_id: run_of(conn, log_index as i64),
        trace_id: trace_of(conn, log_index as i64),
        ..Place::entry(log_index)
    }
}

/// A row of a table, by the columns that tell its place and their numbers.
pub(crate) fn row(conn: &Connection, table: &str, columns: &[&str], numbers: &[i64]) -> Place {
    let mut place = Place::from(table);
    for (column, number) in columns.iter().zip(numbers) {
        match *column {
            "run_no" => place.run_id = run(conn, *number),
            "log_index" | "named_by" => {
                place.run_id = place.run_id.or_else(|| run_of(conn, *number));
                place.log_index = u64::try_from(*number).ok();
            }
            _ => {}
        }
        match *column {
            "log_index" => place.trace_id = trace_of(conn, *number),
            "named_by" => place.trace_id = slot_of(conn, *number),
            "slot" => {
                place.trace_id = match Slot::from_key(*number) {
                    Slot::Root => None,
                    Slot::Under(log_index) => trace_of(conn, log_index as i64),
                    Slot::Named(log_index) => slot_of(conn, log_index as i64),
                }
            }
            _ => {}
        }
        if *column != "run_no" || place.run_id.is_none() {
            place.text.push_str(&format!(" {column} {number}"));
        }
    }
    place
}

fn run(conn: &Connection, run_no: i64) -> Option<RunId> {
    name(conn, "SELECT run_id FROM main.run_name WHERE run_no = ?1", [run_no])
}

/// The run of an entry.
fn run_of(conn: &Connection, log_index: i64) -> Option<RunId> {
    let sql =
        "SELECT n.run_id FROM main.entry e CROSS JOIN main.run_name n ON n.run_no = e.run_no WHERE e.log_index = ?1";
    name(conn, sql, [log_index])
}

/// The trace that an entry records or ends.
fn trace_of(conn: &Connection, log_index: i64) -> Option<TraceId> {
    let recorded = "SELECT id FROM main.trace WHERE log_index = ?1 UNION ALL \
                    SELECT id FROM temp.trace WHERE log_index = ?1 LIMIT 1";
    let ended = "SELECT t.id FROM main.entry e CROSS JOIN main.trace t ON t.run_no = e.run_no AND t.ended_by = e.log_index \
                 WHERE e.log_index = ?1 AND e.kind = ?2 LIMIT 1";
    name(conn, recorded, [log_index]).or_else(|| name(conn, ended, (log_index, Kind::TraceEnded.number())))
}

/// The id that an entry was the first to name as a parent.
fn slot_of(conn: &Connection, named_by: i64) -> Option<TraceId> {
    let sql = "SELECT id FROM main.slot WHERE named_by = ?1 UNION ALL \
               SELECT id FROM temp.slot WHERE named_by = ?1 LIMIT 1";
    name(conn, sql, [named_by])
}

fn name<T: for<'a> TryFrom<&'a str>>(conn: &Connection, sql: &str, params: impl Params) -> Option<T> {
    one(conn, sql, params, |row| id(row, 0)).ok().flatten()
}
