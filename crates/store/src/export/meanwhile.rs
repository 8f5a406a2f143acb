//! What is erased or redacted while a bundle is made is not handed out.

use std::collections::BTreeSet;

use tracekeep_core::limits::PAGE_ITEMS_MAX;

use crate::{Code, Error, LedgerStore, Result, block_on};

/// How often a bundle is made for one export.
const TURNS_MAX: u32 = 8;

/// Makes a bundle until nothing of the runs that it shows, which `make` gives beside it, was erased or redacted meanwhile:
/// else it might show some of what is gone.
///
/// # Errors
/// What `make` fails with; `busy` where that does not end.
pub(super) fn until_undisturbed<T>(
    ledger: &dyn LedgerStore,
    make: impl Fn() -> Result<(T, BTreeSet<String>)>,
) -> Result<T> {
    for _ in 0..TURNS_MAX {
        let before = block_on(ledger.head())?.tree_size;
        let (made, runs) = make()?;
        if !is_redacted(ledger, &runs, before)? {
            return Ok(made);
        }
    }
    Err(Error::new(Code::Busy, "what is exported is being redacted: export it again"))
}

/// Whether something of the runs was redacted from a log index on.
fn is_redacted(ledger: &dyn LedgerStore, runs: &BTreeSet<String>, mut from: u64) -> Result<bool> {
    loop {
        let events = block_on(ledger.events(from, PAGE_ITEMS_MAX))?;
        let Some(last) = events.last() else { return Ok(false) };
        from = last.log_index + 1;
        if events.iter().any(|event| event.kind == "redaction" && runs.contains(&event.run)) {
            return Ok(true);
        }
    }
}
