//! The writer's lock: `x.db.lock` beside `x.db`, never the database file itself, whose locks are SQLite's own.
//!
//! The lock is the operating system's, so it ends with its process, however that ends; the text in the file says who
//! holds it and means nothing while nobody does.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracekeep_core::Timestamp;
use tracekeep_core::json;
use tracekeep_core::wire::{object, read_whole, to_json};
use tracekeep_store::{Code, Error, Result};

use crate::error::io;

object! {
    /// Who writes to a ledger.
    pub struct Holder {
        /// The process.
        required pid: u32,
        /// Since when.
        required since: Timestamp,
        /// Where it serves, once it does: `host:port`.
        optional address: String,
    }
}

/// Bytes that a holder's text may have.
const TEXT_MAX: u64 = 4_096;

/// [`holder`] takes the lock for a moment: what is held for longer is held by a writer.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// The held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    holder: Holder,
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

impl Lock {
    /// Takes the lock of the ledger at `path`.
    ///
    /// # Errors
    /// `ledger_locked`, with the holder's pid; `read_only` where the file beside cannot be made.
    pub(crate) fn acquire(path: &Path, now: Timestamp) -> Result<Self> {
        let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(beside(path));
        let file = file.map_err(|error| io("the lock beside the ledger cannot be made", error))?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(locked(read(&file))),
                Err(TryLockError::Error(error)) => return Err(io("the lock beside the ledger cannot be taken", error)),
            }
        }
        let lock = Self { file, holder: Holder { pid: std::process::id(), since: now, address: None } };
        lock.write()?;
        Ok(lock)
    }

    /// Says where the holder serves.
    pub(crate) fn set_address(&mut self, address: Option<String>) -> Result<()> {
        self.holder.address = address;
        self.write()
    }

    /// One line, written at once: a reader takes the first line and never sees what an earlier holder left behind it.
    fn write(&self) -> Result<()> {
        let line = format!("{}\n", to_json(&self.holder).as_str());
        let mut file = &self.file;
        file.rewind()
            .and_then(|()| file.write_all(line.as_bytes()))
            .and_then(|()| file.set_len(line.len() as u64))
            .map_err(|error| io("the lock beside the ledger cannot be written", error))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A stale text harms nobody, so a failure here is none.
        drop(self.file.set_len(0));
    }
}

fn read(mut file: &File) -> Option<Holder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(TEXT_MAX).read_to_end(&mut text).ok()?;
    let line = text.split(|byte| *byte == b'\n').next()?;
    read_whole(json::parse(line).ok()?, &tracekeep_core::wire::Path::ROOT).ok()
}

fn locked(holder: Option<Holder>) -> Error {
    let detail = match holder {
        Some(holder) => format!("process {} writes to the ledger since {}", holder.pid, holder.since),
        None => "another process writes to the ledger".to_owned(),
    };
    Error::new(Code::LedgerLocked, detail)
}

/// Who writes to the ledger at `path`; `None` while nobody does.
pub(crate) fn holder(path: &Path) -> Option<Holder> {
    let file = File::open(beside(path)).ok()?;
    match file.try_lock_shared() {
        Ok(()) => None,
        Err(_) => read(&file),
    }
}
