//! What is not shown of an entry, and by whose doing.

use tracekeep_core::json::Value;

use super::{Cover, Subject};
use crate::account::json;
use crate::bundle::Record;

/// Entries that are listed.
const LISTED_MAX: usize = 200;
/// Names of one entry that stand in a row of a table.
const IN_A_ROW_MAX: usize = 3;

/// Which members are withheld: the ledger has some of them no longer, the export left out the rest; and what was taken out
/// before anything was recorded. Nothing where all is shown.
pub(super) fn of(cover: &Cover<'_>, record: &Record) -> Vec<String> {
    named(cover, record, usize::MAX)
}

fn named(cover: &Cover<'_>, record: &Record, names_max: usize) -> Vec<String> {
    let of_ledger = cover.redacted.get(&record.log_index).map_or(&[][..], Vec::as_slice);
    let names = record.left.iter().flat_map(|left| left.withheld());
    let (gone, left_out): (Vec<_>, Vec<_>) = names.partition(|name| of_ledger.iter().any(|redacted| redacted == name));
    let by = [("redacted in the ledger", gone), ("left out by this export", left_out)].into_iter();
    let said = by.filter(|(_, names)| !names.is_empty()).map(|(by, names)| {
        let more = names.len().saturating_sub(names_max);
        let more = if more == 0 { String::new() } else { format!(" and {more} more, listed under Proofs") };
        format!("{by}: {}{more}", names[..names.len().min(names_max)].join(", "))
    });
    said.chain(at_the_door(record)).collect()
}

fn at_the_door(record: &Record) -> Option<String> {
    let redacted = json(record, "redacted")?;
    let value = redacted.value();
    let counts = value.as_object()?.get("counts")?.as_object()?;
    let counts: Vec<_> = counts.iter().map(|(kind, count)| format!("{} {kind}", number(count))).collect();
    (!counts.is_empty()).then(|| format!("taken out before it was recorded: {}", counts.join(", ")))
}

fn number(value: &Value<'_>) -> String {
    value.to_json().as_str().to_owned()
}

/// All that is withheld, an entry a line.
pub(super) fn list(page: &mut super::page::Page, cover: &Cover<'_>, records: &[Record]) {
    let mut all =
        records.iter().filter(|record| record.left.as_ref().is_some_and(|left| left.withheld().next().is_some()));
    let line = |record: &Record| {
        let said = of(cover, record).join("; ");
        format!("entry {}, {}: {said}", record.log_index, record.kind.replace('_', " "))
    };
    let lines: Vec<_> = all.by_ref().take(LISTED_MAX).map(line).collect();
    if lines.is_empty() {
        return;
    }
    page.text("Withheld, and proven to have been there:");
    page.list(&lines);
    match all.count() {
        0 => {}
        more => page.text(&format!("and of {more} entries more, which records.jsonl shows")),
    }
}

impl Subject<'_> {
    pub(super) fn withheld_in_a_row(&self, log_index: u64) -> String {
        let record = self.record(log_index);
        record.map(|record| named(self.cover, record, IN_A_ROW_MAX).join("; ")).unwrap_or_default()
    }
}
