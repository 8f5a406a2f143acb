//! Connections for reading: as many as are used at once, up to a bound.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;
use tracekeep_core::id::LedgerId;
use tracekeep_store::{Code, Error, Result};

use crate::open::{self, Mode};
use crate::snapshot::View;
use crate::statement::run;

struct Idle {
    connections: Vec<Connection>,
    /// Open ones, lent or idle.
    open: u32,
    closed: bool,
}

/// The readers of a ledger.
pub(crate) struct Pool {
    path: PathBuf,
    mode: Mode,
    ledger: LedgerId,
    max: u32,
    idle: Mutex<Idle>,
    returned: Condvar,
}

impl Pool {
    /// A pool that begins with one connection.
    pub(crate) fn new(path: PathBuf, mode: Mode, ledger: LedgerId, max: u32, first: Connection) -> Self {
        let idle = Idle { connections: vec![first], open: 1, closed: false };
        Self { path, mode, ledger, max: max.max(1), idle: Mutex::new(idle), returned: Condvar::new() }
    }

    /// Reads from one consistent state: what was committed when this began.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T> {
        let lent = self.lend()?;
        run(&lent, "BEGIN", [])?;
        let answer = View::committed(&lent, self.ledger).and_then(|view| work(&view));
        // A reader has nothing to lose; a connection that cannot even end its transaction is dropped.
        match run(&lent, "COMMIT", []) {
            Ok(_) => lent.give_back(),
            Err(error) => return answer.and(Err(error)),
        }
        answer
    }

    fn lend(&self) -> Result<Lent<'_>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if idle.closed {
                return Err(Error::new(Code::Closed, "the ledger is closed"));
            }
            if let Some(connection) = idle.connections.pop() {
                return Ok(Lent { pool: self, connection: Some(connection) });
            }
            if idle.open < self.max {
                idle.open += 1;
                drop(idle);
                let mut lent = Lent { pool: self, connection: None };
                lent.connection = Some(open::reader(&self.path, self.mode)?);
                return Ok(lent);
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the connections; those that are lent close when they come back.
    pub(crate) fn close(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.closed = true;
        let connections = std::mem::take(&mut idle.connections);
        idle.open -= u32::try_from(connections.len()).unwrap_or(idle.open);
        while idle.open > 0 {
            self.returned.notify_all();
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
        drop(idle);
        self.returned.notify_all();
    }
}

/// A lent connection. Dropped instead of given back, it is closed: a panic may have left it inside a transaction.
struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Deref for Lent<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("invariant: a lent connection is there until it is given back")
    }
}

impl Lent<'_> {
    fn give_back(mut self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !idle.closed {
            idle.connections.extend(self.connection.take());
            idle.open += 1; // Its drop takes this back.
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        drop(self.connection.take());
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.open -= 1;
        drop(idle);
        self.pool.returned.notify_all();
    }
}
