//! Cached statements, read into the store's types.

use rusqlite::{Connection, Params, Row};
use tracekeep_store::Result;

use crate::error::Said;

/// The first row, if there is one.
pub(crate) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = conn.prepare_cached(sql).said()?;
    let mut rows = statement.query(params).said()?;
    rows.next().said()?.map(read).transpose()
}

/// Every row.
pub(crate) fn many<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = conn.prepare_cached(sql).said()?;
    let mut rows = statement.query(params).said()?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().said()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// The one value of the one row.
pub(crate) fn value<T: rusqlite::types::FromSql>(conn: &Connection, sql: &str, params: impl Params) -> Result<T> {
    let mut statement = conn.prepare_cached(sql).said()?;
    statement.query_row(params, |row| row.get(0)).said()
}

/// Runs a statement that gives no rows.
pub(crate) fn run(conn: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    conn.prepare_cached(sql).said()?.execute(params).said()
}
