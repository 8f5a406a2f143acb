//! The gate's rows: working state that the log does not know.

use rusqlite::{Connection, Row};
use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{Key, RunId};
use tracekeep_core::json::Json;
use tracekeep_store::gate::{Ask, Fingerprint, Next, Phase, Record, Rules, Ruling, RulingTimes, Token, decide, full};
use tracekeep_store::{Code, Error, Result, Source};

use crate::error::{Said, corrupt};
use crate::statement::{many, one, run, value};

/// Keys that one call looks after beside its own.
const SWEPT_KEYS: u32 = 4;

/// The keys of claims on steps of replays.
const REPLAYS: &str = "length(key) = 71 AND key GLOB 'replay-[0-9a-f]*'";

/// What is asked about one key, within its bounds.
pub(crate) struct Question {
    pub(crate) key: Key,
    pub(crate) ask: Ask,
    /// Whether what is kept from now on is told, too.
    pub(crate) is_for_another: bool,
}

/// What the writer knows of the gate beside its rows.
#[derive(Default)]
pub(crate) struct Gate {
    /// Keys that are known, once they were counted.
    keys: Option<u64>,
    times: RulingTimes,
}

impl Gate {
    /// Forgets what may have been rolled back. The times of rulings go on.
    pub(crate) const fn forget(&mut self) {
        self.keys = None;
    }

    /// Decides one question and writes what is kept from now on. The outer error is the whole group's.
    pub(crate) fn answer(
        &mut self,
        conn: &Connection,
        question: &Question,
        rules: &Rules,
        source: &Source,
    ) -> Result<Ruling> {
        let now = source.now();
        self.sweep(conn, rules, now)?;
        let stored = get(conn, &question.key)?;
        let is_known = stored.is_some();
        let same = stored.clone().filter(|_| question.is_for_another);
        let (next, reply) = decide(stored, &question.ask, rules, now);
        let time = self.times.next(source, now);
        let record = match next {
            Next::Same => same.and_then(|record| record.aged(rules, now)),
            Next::Put(mut record) => {
                let is_old = matches!(question.ask, Ask::Adopt { .. });
                if (record.response.is_some() || record.error.is_some()) && is_taken(conn, &record, is_old)? {
                    (record.response, record.error) = (None, None);
                }
                let keys = self.count(conn)?;
                if !is_known && keys >= rules.keys_max {
                    return Ok(Ruling { reply: Err(full()), record: None, time });
                }
                put(conn, &question.key, &record, rules)?;
                self.keys = Some(keys + u64::from(!is_known));
                Some(*record)
            }
            Next::Gone => {
                self.remove(conn, question.key.as_str())?;
                None
            }
        };
        Ok(Ruling { reply, record, time })
    }

    /// Takes away what is kept of a run that is erased: the claims of its replays, and the answers of all others. Their keys
    /// stay, so that nothing is done twice.
    pub(crate) fn erase(&mut self, conn: &Connection, run_id: &RunId) -> Result<()> {
        let replays =
            format!("DELETE FROM gate INDEXED BY gate_by_run WHERE run_id = ?1 AND run_id IS NOT NULL AND {REPLAYS}");
        let removed = run(conn, &replays, [run_id.as_str()])?;
        self.keys = self.keys.map(|keys| keys.saturating_sub(removed as u64));
        forget_answers(conn, run_id)
    }

    fn count(&mut self, conn: &Connection) -> Result<u64> {
        match self.keys {
            Some(keys) => Ok(keys),
            None => value(conn, "SELECT count(*) FROM gate", []),
        }
    }

    fn remove(&mut self, conn: &Connection, key: &str) -> Result<()> {
        let removed = run(conn, "DELETE FROM gate WHERE key = ?1", [key])?;
        self.keys = self.keys.map(|keys| keys.saturating_sub(removed as u64));
        Ok(())
    }

    /// Looks after what is due: answers whose ttl is over, keys that are to be forgotten.
    fn sweep(&mut self, conn: &Connection, rules: &Rules, now: Timestamp) -> Result<()> {
        let sql = "SELECT key FROM gate WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
        let due: Vec<String> = many(conn, sql, (now.as_nanos(), SWEPT_KEYS), |row| row.get(0).said())?;
        for key in due {
            let key = Key::new(&key).map_err(|_| corrupt("a key of the gate is not of its form"))?;
            match get(conn, &key) {
                Ok(record) => match record.and_then(|record| record.aged(rules, now)) {
                    Some(record) => put(conn, &key, &record, rules)?,
                    None => self.remove(conn, key.as_str())?,
                },
                // Whoever asks for that key is told; nobody else suffers from it.
                Err(error) if error.code() == Code::Corrupt.as_str() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Takes away the answers of every key that names a run: they may hold what was withheld or erased. The keys stay.
pub(crate) fn forget_answers(conn: &Connection, run_id: &RunId) -> Result<()> {
    let sql = "UPDATE gate INDEXED BY gate_by_run SET response = NULL, error = NULL \
               WHERE run_id = ?1 AND run_id IS NOT NULL";
    run(conn, sql, [run_id.as_str()])?;
    Ok(())
}

/// Whether an answer is not to be kept: its key belongs to a run that is erased, or, of an answer that may be older than
/// that (`is_old`), to one of which members are withheld.
fn is_taken(conn: &Connection, record: &Record, is_old: bool) -> Result<bool> {
    let Some(run_id) = &record.run_id else { return Ok(false) };
    let sql = "SELECT 1 FROM run_name n WHERE n.run_id = ?1 AND (\
               EXISTS (SELECT 1 FROM erased_run e WHERE e.run_no = n.run_no) \
               OR ?2 AND EXISTS (SELECT 1 FROM withheld w INDEXED BY withheld_by_run WHERE w.run_no = n.run_no))";
    Ok(one(conn, sql, (run_id.as_str(), is_old), |_| Ok(()))?.is_some())
}

/// Whether a key is known that was to be looked after later than `since`.
pub(crate) fn knows_any(conn: &Connection, since: Timestamp) -> Result<bool> {
    let sql = "SELECT 1 FROM gate INDEXED BY gate_by_due WHERE due_at > ?1 LIMIT 1";
    Ok(one(conn, sql, [since.as_nanos()], |_| Ok(()))?.is_some())
}

/// Whether the gate is in Redis alone, so that the rows here are not all that was decided.
pub(crate) fn is_elsewhere(conn: &Connection) -> Result<bool> {
    Ok(one(conn, "SELECT 1 FROM meta WHERE key = 'gate_elsewhere'", [], |_| Ok(()))?.is_some())
}

/// Notes whether the gate is in Redis alone; tells whether that was noted before.
pub(crate) fn set_elsewhere(conn: &Connection, to: bool) -> Result<bool> {
    let sql = match to {
        true => "INSERT OR IGNORE INTO meta (key, value) VALUES ('gate_elsewhere', x'')",
        false => "DELETE FROM meta WHERE key = 'gate_elsewhere'",
    };
    Ok((run(conn, sql, [])? == 0) == to)
}

/// The refusal of a gate that would not know what was decided elsewhere.
pub(crate) fn elsewhere() -> Error {
    let detail = "the gate of this ledger is in Redis alone, which knows keys that the ledger does not: set \
                  TRACEKEEP_IDEMPOTENCY_STORE=redis, TRACEKEEP_IDEMPOTENCY_ARBITER and TRACEKEEP_REDIS_URL as they were, or \
                  give those keys up with tracekeep idem take-back";
    Error::new(Code::GateElsewhere, detail)
}

/// What is kept of a key.
pub(crate) fn get(conn: &Connection, key: &Key) -> Result<Option<Record>> {
    let sql = "SELECT phase, fingerprint, run_id, token, attempt, lease_ms, ttl_s, created_at, claimed_at, \
               lease_until, ended_at, response, error FROM gate WHERE key = ?1";
    one(conn, sql, [key.as_str()], record)
}

fn record(row: &Row<'_>) -> Result<Record> {
    let phase = match row.get::<_, i64>(0).said()? {
        0 => Phase::InProgress,
        1 => Phase::Completed,
        2 => Phase::Failed,
        3 => Phase::Released,
        _ => return Err(corrupt("a row of the gate has no known phase")),
    };
    let run_id = row.get::<_, Option<String>>(2).said()?.map(RunId::new).transpose();
    let time = |at: usize| row.get(at).said().map(Timestamp::from_nanos);
    let response = row.get::<_, Option<String>>(11).said()?.map(|text| Json::parse(&text)).transpose();
    Ok(Record {
        phase,
        fingerprint: Fingerprint::raw(Hash::from_bytes(row.get(1).said()?)),
        run_id: run_id.map_err(|_| corrupt("a row of the gate has no readable run"))?,
        token: Token::from_bytes(row.get(3).said()?),
        attempt: row.get(4).said()?,
        lease_ms: row.get(5).said()?,
        ttl_s: row.get(6).said()?,
        created_at: time(7)?,
        claimed_at: time(8)?,
        lease_until: time(9)?,
        ended_at: row.get::<_, Option<i64>>(10).said()?.map(Timestamp::from_nanos),
        response: response.map_err(|_| corrupt("an answer at the gate is not JSON"))?,
        error: row.get(12).said()?,
    })
}

fn put(conn: &Connection, key: &Key, record: &Record, rules: &Rules) -> Result<()> {
    let phase = match record.phase {
        Phase::InProgress => 0,
        Phase::Completed => 1,
        Phase::Failed => 2,
        Phase::Released => 3,
    };
    let fingerprint = record.fingerprint.hash();
    let sql = "INSERT OR REPLACE INTO gate (key, phase, fingerprint, run_id, token, attempt, lease_ms, ttl_s, \
               created_at, claimed_at, lease_until, ended_at, due_at, response, error) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    let row = rusqlite::params![
        key.as_str(),
        phase,
        &fingerprint.as_bytes()[..],
        record.run_id.as_ref().map(RunId::as_str),
        &record.token.as_bytes()[..],
        record.attempt,
        record.lease_ms,
        record.ttl_s,
        record.created_at.as_nanos(),
        record.claimed_at.as_nanos(),
        record.lease_until.as_nanos(),
        record.ended_at.map(Timestamp::as_nanos),
        record.due_at(rules).as_nanos(),
        record.response.as_ref().map(Json::as_str),
        record.error.as_deref(),
    ];
    run(conn, sql, row)?;
    Ok(())
}
