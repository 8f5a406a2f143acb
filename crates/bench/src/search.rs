//! Text search: the index built once, then a rare and a common word.

use tracekeep_core::id::RunId;
use tracekeep_store::{LedgerStore, PageRequest, TraceFilter, TraceQuery, block_on};
use tracekeep_store_sqlite::SqliteLedger;

use crate::Result;
use crate::large::{COMMON, RARE, RUN, common, rare};
use crate::measure::{ratio, timed, whole};
use crate::plain::{self, Plain};
use crate::reads::{Reads, found};
use crate::report::Bar;

pub(crate) fn texts(reads: &mut Reads<'_>) -> Result<()> {
    let (ours_us, built) = timed(|| build(&reads.ledger, &reads.run));
    built?;
    let (plain_us, built) = timed(|| reads.plain.index_texts());
    built?;
    let word = |word: String| TraceFilter { text: Some(word), ..TraceFilter::default() };
    reads.pair(
        "text: a rare word, 10 hits",
        Bar::None,
        reads.large.keys(),
        |ledger, run, key| found(ledger, run, word(rare(key))),
        |plain, key| search(plain, &rare(key)),
        RARE,
    )?;
    reads.pair(
        "text: a common word, in a fifth of all, the first 50",
        Bar::None,
        COMMON,
        |ledger, run, key| found(ledger, run, word(common(key))),
        |plain, key| search(plain, &common(key)),
        50,
    )?;
    let (ours_bytes, plain_bytes) = (reads.ledger.text_bytes()? as f64, reads.plain.text_bytes()? as f64);
    let traces = reads.large.traces as f64;
    reads.report.note(&format!(
        "The text index of {} traces: built in {:.2} s (plain FTS5 {:.2} s, {} times as long), {} bytes a trace (plain \
         FTS5 {}, {} times as many).",
        whole(traces),
        ours_us / 1e6,
        plain_us / 1e6,
        ratio(ours_us / plain_us),
        whole(ours_bytes / traces),
        whole(plain_bytes / traces),
        ratio(ours_bytes / plain_bytes),
    ));
    Ok(())
}

fn search(plain: &Plain, word: &str) -> Result<u64> {
    plain.bodies(plain::BY_TEXT, &[&RUN, &word])
}

/// Searches until the index has caught up with the log.
fn build(ledger: &SqliteLedger, run: &RunId) -> Result<()> {
    let filter = TraceFilter { text: Some(rare(0)), ..TraceFilter::default() };
    let query = TraceQuery { filter, page: PageRequest { limit: 1, cursor: None }, ..TraceQuery::default() };
    while !block_on(ledger.traces(run, &query))?.complete {}
    Ok(())
}
