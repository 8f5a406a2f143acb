//! Rows of audits: facts, and where each action stands.

use rusqlite::{Connection, Row};
use tracekeep_audit::{ActionFold, Event, ExpectationFact, Said};
use tracekeep_core::id::{AckId, ExpectationId};
use tracekeep_store::Result;
use tracekeep_store::rows::{ActionRow, Fact, FactKind, FactRow};

use crate::error::Said as _;
use crate::rows::{id, maybe_time, time, word};
use crate::statement::run;
use crate::words::Numbered;

/// Of an expectation: it may stay undone.
const OPTIONAL: i64 = 1;
/// Of an expectation: it is a liveness check.
const LIVENESS: i64 = 2;

/// A fact of an audit as it is stored: kind, at, status and n.
fn fact_columns(row: &FactRow) -> (i64, i64, i64, u32) {
    let kind = row.kind().number();
    match &row.fact {
        Fact::Expected(expectation) => {
            let flags =
                if expectation.optional { OPTIONAL } else { 0 } | if expectation.liveness { LIVENESS } else { 0 };
            (kind, expectation.deadline.as_nanos(), flags, expectation.count)
        }
        Fact::Said(event) => {
            let status = match &event.said {
                Said::Ack { status, .. } => status.number(),
                Said::ByHand(status) => status.number(),
            };
            (kind, event.at.as_nanos(), status, 0)
        }
    }
}

/// A fact of an audit: log_index, run_no, kind, id, domain, action, at, status, n.
pub(crate) fn fact(row: &Row<'_>) -> Result<FactRow> {
    let log_index = row.get(0).said()?;
    let (domain, action) = (row.get(4).said()?, row.get(5).said()?);
    let at = time(row, 6)?;
    let fact = match word(row, 2)? {
        FactKind::Expectation => {
            let flags: i64 = row.get(7).said()?;
            Fact::Expected(ExpectationFact {
                id: id::<ExpectationId>(row, 3)?,
                domain,
                action,
                deadline: at,
                optional: flags & OPTIONAL != 0,
                count: row.get(8).said()?,
                liveness: flags & LIVENESS != 0,
            })
        }
        kind => {
            let said = match kind {
                FactKind::Ack => Said::Ack { id: id::<AckId>(row, 3)?, status: word(row, 7)? },
                _ => Said::ByHand(word(row, 7)?),
            };
            Fact::Said(Event { domain, action, at, log_index, said })
        }
    };
    Ok(FactRow { run_no: row.get(1).said()?, log_index, fact })
}

/// Of an action: it may not stay undone.
const REQUIRED: i64 = 1;
/// Of an action: somebody acknowledged it.
const ACKNOWLEDGED: i64 = 2;

/// The flags of an action as they are stored.
const fn action_flags(row: &ActionRow) -> i64 {
    (if row.required { REQUIRED } else { 0 }) | (if row.fold.is_acknowledged { ACKNOWLEDGED } else { 0 })
}

/// Where an action stands: run_no, domain, action, wanted, successes, last, flags, expected_at, said.
pub(crate) fn action(row: &Row<'_>) -> Result<ActionRow> {
    let flags: i64 = row.get(6).said()?;
    Ok(ActionRow {
        run_no: row.get(0).said()?,
        domain: row.get(1).said()?,
        action: row.get(2).said()?,
        fold: ActionFold {
            wanted: row.get(3).said()?,
            successes: row.get(4).said()?,
            last: word(row, 5)?,
            is_acknowledged: flags & ACKNOWLEDGED != 0,
        },
        required: flags & REQUIRED != 0,
        expected_at: maybe_time(row, 7)?,
        said: row.get(8).said()?,
    })
}

/// Stores a fact.
pub(crate) fn put_fact(conn: &Connection, row: &FactRow) -> Result<()> {
    let sql = "INSERT INTO audit_fact (log_index, run_no, kind, id, domain, action, at, status, n) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let (kind, at, status, n) = fact_columns(row);
    let (domain, action) = row.action();
    run(conn, sql, (row.log_index, row.run_no, kind, row.id(), domain, action, at, status, n))?;
    Ok(())
}

/// Stores where an action stands.
pub(crate) fn put_action(conn: &Connection, row: &ActionRow) -> Result<()> {
    let sql = "INSERT INTO audit_action (run_no, domain, action, wanted, successes, last, flags, expected_at, said) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET wanted = excluded.wanted, \
               successes = excluded.successes, last = excluded.last, flags = excluded.flags, \
               expected_at = excluded.expected_at, said = excluded.said";
    let row = (
        row.run_no,
        &row.domain,
        &row.action,
        row.fold.wanted,
        row.fold.successes,
        row.fold.last.number(),
        action_flags(row),
        row.expected_at.map(|at| at.as_nanos()),
        row.said,
    );
    run(conn, sql, row)?;
    Ok(())
}
