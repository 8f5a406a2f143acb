//! SQLite's failures in the words of the store. No type of rusqlite is seen outside this crate.

use rusqlite::ErrorCode;
use rusqlite::ffi;
use tracekeep_store::{Code, Error, Result};

/// A failure of SQLite, as the store says it. Its text names a place, never a value.
pub(crate) fn failed(error: rusqlite::Error) -> Error {
    let (code, detail) = explain(&error);
    Error::new(code, detail).because(error)
}

fn explain(error: &rusqlite::Error) -> (Code, String) {
    let rusqlite::Error::SqliteFailure(cause, _) = error else {
        // A value that is not of its column's type, a blob of another length, a row that must be there and is not.
        return (Code::Corrupt, "a stored row is not of its form".to_owned());
    };
    let said = ffi::code_to_str(cause.extended_code).to_lowercase();
    match (cause.code, cause.extended_code) {
        (ErrorCode::DiskFull, _) => (Code::StorageFull, "the disk is full".to_owned()),
        (_, ffi::SQLITE_READONLY_DBMOVED) => (Code::StorageFailed, "the ledger's file was moved or removed".to_owned()),
        (ErrorCode::ReadOnly, _) => (Code::ReadOnly, "the ledger's file cannot be written to".to_owned()),
        (ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied, _) => {
            (Code::ReadOnly, "access to the ledger's file is denied".to_owned())
        }
        (ErrorCode::NotADatabase, _) => (Code::NotALedger, "the file is not a ledger".to_owned()),
        (ErrorCode::DatabaseCorrupt, _) => (Code::Corrupt, "the ledger's file is damaged".to_owned()),
        (ErrorCode::ConstraintViolation, _) => (Code::Corrupt, "an index contradicts the log".to_owned()),
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
            (Code::Busy, "another connection holds the ledger's file".to_owned())
        }
        (ErrorCode::CannotOpen, _) => {
            (Code::ReadOnly, "the ledger's file, or one beside it, cannot be opened".to_owned())
        }
        _ => (Code::StorageFailed, format!("the storage failed: {said}")),
    }
}

/// A failure of the file system beside the database.
pub(crate) fn io(what: &str, error: std::io::Error) -> Error {
    use std::io::ErrorKind;
    let code = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Code::ReadOnly,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::StorageFull,
        _ => Code::StorageFailed,
    };
    Error::new(code, format!("{what}: {}", error.kind())).because(error)
}

/// What is stored contradicts itself, at a place.
pub(crate) fn corrupt(detail: impl Into<String>) -> Error {
    Error::new(Code::Corrupt, detail)
}

/// SQLite's results in the store's words.
pub(crate) trait Said<T> {
    /// Says it.
    fn said(self) -> Result<T>;
}

impl<T> Said<T> for rusqlite::Result<T> {
    fn said(self) -> Result<T> {
        self.map_err(failed)
    }
}
