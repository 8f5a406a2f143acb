//! The content of an erased run, or of an entry of which members are withheld: bodies and salts in the log, words in the
//! text index.
//!
//! The rows of its indices go as they do when the log is walked ([`crate::index`]); what is here happens once, in the
//! transaction that writes the redaction.

use tracekeep_store::Result;

use crate::error::corrupt;
use crate::snapshot::View;
use crate::statement::run;
use crate::text;

/// Erases the content of the entries of a run in front of its redaction, `entries` of them, while its rows still stand.
///
/// That the log index is set, too, to what it is, makes SQLite take each row out and put it in again: one that only
/// became shorter would stay where it is, and pages would stay almost empty without ever being joined.
///
/// # Errors
/// `corrupt` where other than so many are found: nothing may be changed then.
pub(crate) fn content(view: &View<'_>, run_no: u64, redaction: u64, entries: u64) -> Result<()> {
    text::erase(view, run_no)?;
    let sql = "UPDATE entry SET log_index = log_index, body = NULL, salt = NULL WHERE log_index < ?2 AND log_index IN ( \
               SELECT log_index FROM step WHERE run_no = ?1 \
               UNION ALL SELECT log_index FROM trace INDEXED BY trace_by_time WHERE run_no = ?1 \
               UNION ALL SELECT ended_by FROM trace INDEXED BY trace_by_time WHERE run_no = ?1 AND ended_by IS NOT NULL \
               UNION ALL SELECT log_index FROM entry INDEXED BY entry_of_run_rest \
               WHERE run_no = ?1 AND run_no IS NOT NULL AND kind NOT IN (3, 4, 5))";
    let found = run(view.conn, sql, (run_no, redaction))? as u64;
    if found != entries {
        return Err(corrupt(format!("the indices name {found} of the run's {entries} entries: rebuild them first")));
    }
    Ok(())
}

/// Erases the content of entries of a run of which members are withheld, and that of the redactions that told so until now.
/// Words of a trace leave the text index with all others, as they do where a run is erased.
///
/// Each row stays where it is and becomes shorter: SQLite overwrites what it takes out of a page, but where it balances
/// pages and writes one anew, bytes of its neighbours may stay behind in the room between its rows.
///
/// # Errors
/// `corrupt` where one of them is not there, or is of another run: nothing may be changed then.
pub(crate) fn members(view: &View<'_>, run_no: u64, entries: &[u64], trace: Option<u64>) -> Result<()> {
    if let Some(trace) = trace {
        text::erase_trace(view, trace)?;
    }
    for log_index in entries {
        let sql = "UPDATE entry SET body = NULL, salt = NULL WHERE log_index = ?1 AND run_no = ?2";
        if run(view.conn, sql, (log_index, run_no))? != 1 {
            return Err(corrupt(format!("log index {log_index} is not an entry of the run")));
        }
    }
    Ok(())
}
