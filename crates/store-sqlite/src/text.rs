//! The index over the text of traces: SQLite's FTS5, over words that are cut before they come to it.
//!
//! It lags behind the log: the first search builds it, each later one takes in what was recorded since, a bounded part at
//! a time, in transactions of the one writer. How far it has come is kept in its own transaction, so that index and mark
//! never part. An erasure empties it.

use rusqlite::Connection;
use tracekeep_store::text::{TextChange, text_change};
use tracekeep_store::words::{RULES, Words};
use tracekeep_store::{Code, Report, Result, Snapshot, Wrong};

use crate::error::{Said, corrupt};
use crate::named;
use crate::snapshot::View;
use crate::statement::{many, one, run};

/// Entries that one transaction takes in: others wait for it.
const PART_ENTRIES: u32 = 1_000;
/// Bytes of bodies after which it ends.
const PART_BYTES: u64 = 1 << 20;
/// Entries that one search takes in at most.
pub(crate) const SEARCH_ENTRIES_MAX: u64 = 50_000;
/// Bytes of bodies after which it is enough for one search.
pub(crate) const SEARCH_BYTES_MAX: u64 = 32 << 20;

/// A part of the log that the index took in.
#[derive(Clone, Copy, Default)]
pub(crate) struct Part {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// Entries that the index has taken in; none where other rules cut its words.
pub(crate) fn size(conn: &Connection) -> Result<u64> {
    Ok(mark(conn)?.filter(|(_, rules)| *rules == RULES).map_or(0, |(size, _)| size))
}

/// How far the index has come, and by which rules.
fn mark(conn: &Connection) -> Result<Option<(u64, u32)>> {
    let sql = "SELECT value FROM meta WHERE key = 'text_size'";
    let bytes: Option<[u8; 12]> = one(conn, sql, [], |row| row.get(0).said())?;
    let read = |bytes: [u8; 12]| {
        let (size, rules) = bytes.split_first_chunk().expect("invariant: 12 bytes have 8");
        let rules = rules.first_chunk().expect("invariant: 12 bytes have 4 after 8");
        (u64::from_be_bytes(*size), u32::from_be_bytes(*rules))
    };
    Ok(bytes.map(read))
}

/// Takes in the next part of the log, within the caller's transaction.
pub(crate) fn catch_up(view: &View<'_>) -> Result<Part> {
    if mark(view.conn)?.is_some_and(|(_, rules)| rules != RULES) {
        clear(view.conn)?;
    }
    let from = size(view.conn)?;
    if from > view.size {
        return Err(corrupt("the text index is ahead of the log"));
    }
    let part = take_in(view, from, view.size)?;
    if part.entries > 0 {
        let sql =
            "INSERT INTO meta (key, value) VALUES ('text_size', ?1) ON CONFLICT DO UPDATE SET value = excluded.value";
        let mut bytes = (from + part.entries).to_be_bytes().to_vec();
        bytes.extend_from_slice(&RULES.to_be_bytes());
        run(view.conn, sql, [bytes])?;
    }
    Ok(part)
}

/// Takes in a part of the entries of [from, end). What is damaged has no text: nobody's search suffers from it, and it is
/// for fsck to find.
fn take_in(view: &View<'_>, from: u64, end: u64) -> Result<Part> {
    let mut part = Part::default();
    while from + part.entries < end && part.entries < u64::from(PART_ENTRIES) && part.bytes < PART_BYTES {
        let at = from + part.entries;
        part.entries += 1;
        let Some(entry) = sound(view.entry(at))?.flatten() else { continue };
        part.bytes += entry.body().map_or(0, |body| body.len() as u64);
        if let Some(change) = sound(text_change(view, &entry))?.flatten() {
            put(view.conn, &change)?;
        }
    }
    Ok(part)
}

/// What can be read; `None` where it is damaged.
fn sound<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(damaged) if damaged.code() == Code::Corrupt.as_str() => Ok(None),
        read => read.map(Some),
    }
}

fn put(conn: &Connection, change: &TextChange) -> Result<()> {
    let run_word = run_word(change.run_no);
    if let Some(before) = &change.before {
        take_out(conn, change.log_index, &run_word, before)?;
    }
    run(
        conn,
        "INSERT INTO trace_text (rowid, run, words) VALUES (?1, ?2, ?3)",
        (change.log_index, &run_word, &change.after),
    )?;
    Ok(())
}

fn take_out(conn: &Connection, log_index: u64, run_word: &str, words: &str) -> Result<()> {
    let sql = "INSERT INTO trace_text (trace_text, rowid, run, words) VALUES ('delete', ?1, ?2, ?3)";
    run(conn, sql, (log_index, run_word, words))?;
    Ok(())
}

/// Takes the words of a run out of the index, and all others with them, where it has taken in any trace of the run: FTS5
/// takes single words from its leaves alone, and what it keeps to tell those apart holds whole words. The next search
/// builds it again. Others that are erased before then cost nothing here.
pub(crate) fn erase(view: &View<'_>, run_no: u64) -> Result<()> {
    let Some((size, _)) = mark(view.conn)? else { return Ok(()) };
    let sql = "SELECT 1 FROM trace INDEXED BY trace_by_time WHERE run_no = ?1 AND log_index < ?2 LIMIT 1";
    if one(view.conn, sql, (run_no, size), |_| Ok(()))?.is_some() { clear(view.conn) } else { Ok(()) }
}

/// The same for one trace, where the index has taken it in.
pub(crate) fn erase_trace(view: &View<'_>, log_index: u64) -> Result<()> {
    match mark(view.conn)? {
        Some((size, _)) if log_index < size => clear(view.conn),
        _ => Ok(()),
    }
}

fn run_word(run_no: u64) -> String {
    format!("r{run_no}")
}

/// The search in FTS5's language. A word holds neither quotes nor anything else that it would read.
fn search(run_no: u64, words: &Words) -> String {
    let mut search = String::new();
    for word in words.iter() {
        search.push_str("words : \"");
        search.push_str(word);
        search.push_str("\" AND ");
    }
    search.push_str("run : ");
    search.push_str(&run_word(run_no));
    search
}

/// The traces of a run whose text holds the words, by their log indices.
pub(crate) fn with(conn: &Connection, run_no: u64, words: &Words, limit: u32) -> Result<Vec<u64>> {
    let sql = "SELECT rowid FROM trace_text WHERE trace_text MATCH ?1 LIMIT ?2";
    many(conn, sql, (search(run_no, words), limit), |row| row.get(0).said())
}

/// Whether the text of a trace holds the words.
pub(crate) fn has(conn: &Connection, run_no: u64, words: &Words, log_index: u64) -> Result<bool> {
    let sql = "SELECT 1 FROM trace_text WHERE trace_text MATCH ?1 AND rowid = ?2";
    Ok(one(conn, sql, (search(run_no, words), log_index), |_| Ok(()))?.is_some())
}

/// Bytes that the index takes in the file.
pub(crate) fn bytes(conn: &Connection) -> Result<u64> {
    let sql = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE aggregate = 1 AND name IN \
               ('trace_text_data', 'trace_text_idx', 'trace_text_config')";
    Ok(one(conn, sql, [], |row| row.get(0).said())?.unwrap_or(0))
}

/// Empties the index: the next search builds it again.
pub(crate) fn clear(conn: &Connection) -> Result<()> {
    run(conn, "INSERT INTO main.trace_text (trace_text) VALUES ('delete-all')", [])?;
    run(conn, "DELETE FROM main.meta WHERE key = 'text_size'", [])?;
    Ok(())
}

/// Compares the index with one that is built from the log beside it, in `temp`. The tables of traces are already there.
pub(crate) fn compare(view: &View<'_>, report: &mut Report) -> Result<()> {
    let (conn, size) = (view.conn, size(view.conn)?);
    if size > view.size {
        report.find(Wrong::RowExtra, "trace_text", "the text index is ahead of the log");
        return Ok(());
    }
    conn.execute_batch(
        "CREATE VIRTUAL TABLE temp.trace_text USING fts5(run, words, content = '', columnsize = 0, tokenize = 'ascii');
         CREATE VIRTUAL TABLE temp.text_stored USING fts5vocab('main', 'trace_text', 'instance');
         CREATE VIRTUAL TABLE temp.text_rebuilt USING fts5vocab('temp', 'trace_text', 'instance');",
    )
    .said()?;
    let mut at = 0;
    while at < size {
        at += take_in(view, at, size)?.entries;
    }
    let rows = |table: &str| format!("SELECT doc, term, col, offset FROM temp.{table}");
    let only = |these: &str, those: &str| format!("SELECT DISTINCT doc FROM ({} EXCEPT {})", rows(these), rows(those));
    for (these, those, what, detail) in [
        ("text_rebuilt", "text_stored", Wrong::RowMissing, "words of the trace's text are not found"),
        ("text_stored", "text_rebuilt", Wrong::RowExtra, "words are found that the trace's text does not hold"),
    ] {
        for log_index in many(conn, &only(these, those), [], |row| row.get::<_, i64>(0).said())? {
            report.find_at(what, || named::row(conn, "trace_text", &["log_index"], &[log_index]), detail);
        }
    }
    Ok(())
}
