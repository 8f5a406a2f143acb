//! Cached statements, read into the store's types.

use std::cell::RefCell;

use rusqlite::{CachedStatement, Connection, Params, Row};
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

/// One statement that is kept at hand while a view lasts: even finding it among the cached ones costs as much as its row.
#[derive(Default)]
pub(crate) struct Kept<'a>(RefCell<Option<CachedStatement<'a>>>);

impl<'a> Kept<'a> {
    /// As [`one`]; the SQL is the same each time.
    pub(crate) fn one<T>(
        &self,
        conn: &'a Connection,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut kept = self.0.borrow_mut();
        let statement = match &mut *kept {
            Some(statement) => statement,
            none => none.insert(conn.prepare_cached(sql).said()?),
        };
        let mut rows = statement.query(params).said()?;
        rows.next().said()?.map(read).transpose()
    }
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
