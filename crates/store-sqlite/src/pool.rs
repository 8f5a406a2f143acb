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
    /// The one with the larger cache last: it is lent first.
    readers: Vec<Reader>,
    /// Open ones, lent or idle.
    open: u32,
    /// Whether one of them has the larger cache.
    has_first: bool,
    closed: bool,
}

struct Reader {
    connection: Connection,
    /// Has the larger cache: reads that come one at a time all go to one connection, and find there what they read last.
    is_first: bool,
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
    ///
    /// # Errors
    /// What the storage fails with.
    pub(crate) fn new(path: PathBuf, mode: Mode, ledger: LedgerId, max: u32, first: Connection) -> Result<Self> {
        open::keep_more(&first)?;
        let first = Reader { connection: first, is_first: true };
        let idle = Idle { readers: vec![first], open: 1, has_first: true, closed: false };
        Ok(Self { path, mode, ledger, max: max.max(1), idle: Mutex::new(idle), returned: Condvar::new() })
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
            if let Some(Reader { connection, is_first }) = idle.readers.pop() {
                return Ok(Lent { pool: self, connection: Some(connection), is_first });
            }
            if idle.open < self.max {
                idle.open += 1;
                let is_first = !std::mem::replace(&mut idle.has_first, true);
                drop(idle);
                let mut lent = Lent { pool: self, connection: None, is_first };
                let connection = open::reader(&self.path, self.mode)?;
                if is_first {
                    open::keep_more(&connection)?;
                }
                lent.connection = Some(connection);
                return Ok(lent);
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the connections; those that are lent close when they come back.
    pub(crate) fn close(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.closed = true;
        let readers = std::mem::take(&mut idle.readers);
        idle.open -= u32::try_from(readers.len()).unwrap_or(idle.open);
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
    is_first: bool,
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
        if idle.closed {
            return;
        }
        if let Some(connection) = self.connection.take() {
            let is_first = std::mem::take(&mut self.is_first);
            let at = if is_first { idle.readers.len() } else { 0 };
            idle.readers.insert(at, Reader { connection, is_first });
            idle.open += 1; // Its drop takes this back.
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        drop(self.connection.take());
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.open -= 1;
        idle.has_first &= !self.is_first;
        drop(idle);
        self.pool.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::value;

    #[track_caller]
    fn check(lent: &Lent<'_>, is_first: bool) {
        let kib: i64 = value(lent, "PRAGMA cache_size", []).unwrap();
        assert_eq!((lent.is_first, kib), (is_first, if is_first { -(48 << 10) } else { -(4 << 10) }));
    }

    #[test]
    fn one_reader_has_the_larger_cache_and_is_lent_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        drop(Connection::open(&path).unwrap());
        let first = open::reader(&path, Mode::Reader).unwrap();
        let pool = Pool::new(path, Mode::Reader, LedgerId::from_bytes([0; 16]), 8, first).unwrap();
        let (one, other) = (pool.lend().unwrap(), pool.lend().unwrap());
        check(&one, true);
        check(&other, false);
        one.give_back();
        other.give_back();
        let (one, other) = (pool.lend().unwrap(), pool.lend().unwrap());
        check(&one, true);
        check(&other, false);
        // A panic inside a read costs its connection; another takes the place.
        drop(one);
        other.give_back();
        let (other, one) = (pool.lend().unwrap(), pool.lend().unwrap());
        check(&other, false);
        check(&one, true);
        drop(other);
        one.give_back();
        assert_eq!(pool.idle.lock().unwrap().open, 1);
        pool.close();
        assert!(pool.lend().is_err());
    }

    fn pool(path: PathBuf, max: u32) -> Pool {
        drop(Connection::open(&path).unwrap());
        let first = open::reader(&path, Mode::Reader).unwrap();
        Pool::new(path, Mode::Reader, LedgerId::from_bytes([0; 16]), max, first).unwrap()
    }

    #[test]
    fn closing_waits_for_what_is_lent_and_wakes_who_waits() {
        let directory = tempfile::tempdir().unwrap();
        let pool = pool(directory.path().join("x.db"), 1);
        let lent = pool.lend().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.lend().err().map(|error| error.code()));
            let closing = scope.spawn(|| pool.close());
            while !pool.idle.lock().unwrap().closed {
                std::thread::yield_now();
            }
            assert!(!closing.is_finished(), "a reader is still lent");
            lent.give_back();
            closing.join().unwrap();
            assert_eq!(waiting.join().unwrap(), Some("closed"));
        });
        assert_eq!(pool.idle.lock().unwrap().open, 0, "what came back was closed");
    }

    #[test]
    fn a_reader_that_cannot_be_opened_takes_no_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let pool = pool(path.clone(), 2);
        let lent = pool.lend().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(pool.lend().err().map(|error| error.code()), Some("not_a_ledger"));
        std::fs::create_dir(&path).unwrap();
        let error = pool.lend().err().unwrap();
        assert_eq!((error.code(), error.detail()), ("not_a_ledger", "the path is a directory"));
        assert_eq!(pool.idle.lock().unwrap().open, 1);
        lent.give_back();
        assert!(pool.lend().is_ok(), "the one that is open is still lent");
    }
}
