//! Migrations: the schema's versions, each with a checksum that is kept in the ledger.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior};
use tracekeep_core::Timestamp;
use tracekeep_core::hash::{Hash, sha256};
use tracekeep_core::id::LedgerId;
use tracekeep_store::{Code, Error, Result};

use crate::error::{Said, corrupt};
use crate::statement::{many, one, run, value};

/// "TKEP": tells our files from other SQLite databases (`PRAGMA application_id`).
pub(crate) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"TKEP");

/// The format that this version writes (`PRAGMA user_version`): the number of the last migration.
pub(crate) const FORMAT: i32 = 1;

/// The tables that hold the record and the working state.
const RECORD: &str = include_str!("sql/0001_record.sql");
/// The tables that are rebuilt from the record.
const INDEX: &str = include_str!("sql/0001_index.sql");
/// The index over the text of traces, which lags behind the others.
const TEXT: &str = include_str!("sql/0001_text.sql");
/// The gate's working state.
const GATE: &str = include_str!("sql/0001_gate.sql");

struct Migration {
    version: i32,
    name: &'static str,
    parts: &'static [&'static str],
}

impl Migration {
    fn checksum(&self) -> Hash {
        let parts: Vec<_> = self.parts.iter().map(|part| part.as_bytes()).collect();
        sha256(&parts)
    }
}

const MIGRATIONS: &[Migration] = &[Migration { version: FORMAT, name: "begin", parts: &[RECORD, INDEX, TEXT, GATE] }];

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Nothing yet.
    Nothing,
    /// A ledger of this version's format.
    Ledger,
}

/// Tells what is behind a connection, without changing it.
///
/// # Errors
/// `not_a_ledger`, `newer_format`; what SQLite fails with.
pub(crate) fn probe(conn: &Connection) -> Result<Holds> {
    let application: i32 = value(conn, "PRAGMA application_id", [])?;
    let format: i32 = value(conn, "PRAGMA user_version", [])?;
    let tables: i64 = value(conn, "SELECT count(*) FROM sqlite_schema", [])?;
    match (application, format) {
        // A crash while it was made may leave a database without a table behind.
        (0, 0) if tables == 0 => Ok(Holds::Nothing),
        (APPLICATION_ID, FORMAT) => Ok(Holds::Ledger),
        (APPLICATION_ID, newer) if newer > FORMAT => {
            let detail = format!("the ledger has format {newer}; this version knows formats up to {FORMAT}");
            Err(Error::new(Code::NewerFormat, detail))
        }
        (APPLICATION_ID, _) => Err(corrupt("the ledger's format number is not one that was ever written")),
        _ => Err(Error::new(Code::NotALedger, "the file is a SQLite database, but not a ledger")),
    }
}

/// Makes the tables of a new ledger, all or none.
pub(crate) fn create(conn: &mut Connection, ledger: LedgerId, now: Timestamp) -> Result<()> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate).said()?;
    if probe(&transaction)? == Holds::Ledger {
        return Ok(());
    }
    for migration in MIGRATIONS {
        for part in migration.parts {
            transaction.execute_batch(part).said()?;
        }
        let sql = "INSERT INTO migration (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)";
        let checksum = migration.checksum();
        run(&transaction, sql, (migration.version, migration.name, &checksum.as_bytes()[..], now.as_nanos()))?;
    }
    let meta = "INSERT INTO meta (key, value) VALUES (?1, ?2)";
    run(&transaction, meta, ("ledger", &ledger.as_bytes()[..]))?;
    run(&transaction, meta, ("created_at", &now.as_nanos().to_be_bytes()[..]))?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).said()?;
    transaction.pragma_update(None, "user_version", FORMAT).said()?;
    transaction.commit().said()
}

/// What is wrong with the migrations as the ledger keeps them; nothing where they are this version's.
pub(crate) fn wrong_migrations(conn: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT version, name, checksum FROM migration ORDER BY version";
    let kept: Vec<(i32, String, Vec<u8>)> =
        many(conn, sql, [], |row| Ok((row.get(0).said()?, row.get(1).said()?, row.get(2).said()?)))?;
    let mut wrong = Vec::new();
    for migration in MIGRATIONS {
        match kept.iter().find(|(version, _, _)| *version == migration.version) {
            None => wrong.push(format!("migration {} is not noted", migration.version)),
            Some((_, name, checksum)) => {
                if name != migration.name || checksum[..] != migration.checksum().as_bytes()[..] {
                    wrong.push(format!("migration {} is not the one that this version knows", migration.version));
                }
            }
        }
    }
    for (version, _, _) in &kept {
        if !MIGRATIONS.iter().any(|migration| migration.version == *version) {
            wrong.push(format!("migration {version} is unknown"));
        }
    }
    Ok(wrong)
}

/// What differs between a ledger's schema and the one that this version makes.
pub(crate) struct Odd {
    /// Its type and name.
    pub(crate) place: String,
    pub(crate) detail: &'static str,
    /// What mends it without touching a row: an index or a trigger that is made anew.
    pub(crate) mend: Option<String>,
}

/// (type, name) and (table, statement) of what a schema holds.
type Schema = BTreeMap<(String, String), (String, Option<String>)>;

/// Compares the tables, indices and triggers that are there with those that this version makes.
pub(crate) fn odd(conn: &Connection) -> Result<Vec<Odd>> {
    // SQLite's own statistics are nobody's harm.
    let schema = |conn: &Connection| -> Result<Schema> {
        let sql = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(((row.get(0).said()?, row.get(1).said()?), (row.get(2).said()?, row.get(3).said()?)))
        };
        Ok(many(conn, sql, [], row)?.into_iter().collect())
    };
    let fresh = Connection::open_in_memory().said()?;
    for part in MIGRATIONS.iter().flat_map(|migration| migration.parts) {
        fresh.execute_batch(part).said()?;
    }
    let (made, mut there) = (schema(&fresh)?, schema(conn)?);
    let mut odd = Vec::new();
    for ((kind, name), made) in made {
        let place = format!("{kind} {name}");
        let create = made.1.clone().filter(|_| kind == "index" || kind == "trigger");
        match there.remove(&(kind.clone(), name.clone())) {
            None => odd.push(Odd { place, detail: "it is not there", mend: create }),
            Some(found) if found != made => {
                let mend = create.map(|create| format!("DROP {kind} main.{name}; {create}"));
                odd.push(Odd { place, detail: "it is not what this version makes", mend });
            }
            Some(_) => {}
        }
    }
    for (kind, name) in there.into_keys() {
        odd.push(Odd { place: format!("{kind} {name}"), detail: "nothing of this version makes it", mend: None });
    }
    Ok(odd)
}

/// Refuses a ledger whose tables were made by other statements than this version's.
pub(crate) fn check(conn: &Connection) -> Result<()> {
    match wrong_migrations(conn)?.into_iter().next() {
        None => Ok(()),
        Some(wrong) => Err(corrupt(wrong)),
    }
}

/// The ledger's id.
pub(crate) fn ledger(conn: &Connection) -> Result<LedgerId> {
    let bytes: Option<[u8; 16]> =
        one(conn, "SELECT value FROM meta WHERE key = 'ledger'", [], |row| row.get(0).said())?;
    bytes.map(LedgerId::from_bytes).ok_or_else(|| corrupt("the ledger has no id"))
}

/// The tables and indices of [`INDEX`], made once more in the schema `temp`, where their names hide the stored ones.
pub(crate) fn temporary_index() -> String {
    INDEX
        .replace("CREATE TABLE ", "CREATE TEMP TABLE ")
        .replace("CREATE INDEX ", "CREATE INDEX temp.")
        .replace("CREATE UNIQUE INDEX ", "CREATE UNIQUE INDEX temp.")
}
