//! The report: one HTML file that opens from disk, holds no script, loads nothing, and prints well.
//!
//! Recorded text is hostile: everything of it is escaped on its way in. Every kind of bundle has the same sections, put in
//! the order in which its readers need them.

mod audits;
mod compared;
mod controls;
mod incidents;
mod page;
mod period;
mod proofs;
mod runs;
mod steps;
mod summary;
mod timeline;
mod withheld;
mod words;

use std::collections::BTreeMap;

use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::LedgerId;

pub use self::page::is_hidden;
use self::page::{Column, Page};
pub use self::period::period;
use self::words::{TEXT_MAX, time};
use crate::account::{Account, Fact};
use crate::bundle::{Kind, Record};
use crate::comparison::Comparison;
use crate::controls::Controls;
use crate::debrief::{Debrief, debrief};
use crate::quoted::quoted;

/// Rows of one list that a report shows, and of one that tells it in plain language; how many there are beyond them is said.
const ROWS_MAX: usize = 200;
const ROWS_IN_SHORT: usize = 20;
/// Characters of one recorded member that are shown, and in short.
const MEMBER_MAX: usize = 4_000;
const MEMBER_IN_SHORT: usize = 400;

/// What the report says of the bundle itself.
#[derive(Clone, Debug)]
pub struct Cover<'a> {
    /// What the bundle is for.
    pub kind: Kind,
    /// The ledger.
    pub ledger: LedgerId,
    /// Whose it is.
    pub tenant_id: &'a str,
    /// Who asked for it.
    pub exported_by: &'a str,
    /// The checkpoint's size.
    pub size: u64,
    /// The root at that size.
    pub root: Hash,
    /// When the last entry below it was recorded.
    pub created_at: Timestamp,
    /// Whether it was built although something is missing.
    pub forced: bool,
    /// The members that the ledger itself has no longer, by log index; what else is withheld, the export left out.
    pub redacted: &'a BTreeMap<u64, Vec<String>>,
}

/// What a report is about, and how much of it is shown.
struct Subject<'a> {
    cover: &'a Cover<'a>,
    account: &'a Account,
    records: &'a [Record],
    controls: Option<&'a Controls>,
    comparison: Option<&'a Comparison>,
    told: Debrief,
    rows: usize,
    member_max: usize,
}

/// A part of a report.
#[derive(Clone, Copy)]
enum Section {
    Actions,
    Audits,
    Comparison,
    Controls,
    Decisions,
    Holds,
    Impact,
    Incidents,
    NotProven,
    Proofs,
    Related,
    Risk,
    Steps,
    Summary,
    Technical,
    Times,
    Timeline,
}

/// The sections of a kind, in order.
const fn sections(kind: Kind) -> &'static [Section] {
    use Section::{
        Actions, Audits, Comparison, Controls, Decisions, Holds, Impact, Incidents, NotProven, Proofs, Related, Risk,
        Steps, Summary, Technical, Timeline, Times,
    };
    match kind {
        Kind::Evidence | Kind::Period => &[
            Summary, Risk, Times, Timeline, Incidents, Steps, Decisions, Audits, Comparison, Related, Holds, Impact,
            Actions, Proofs, NotProven,
        ],
        Kind::Soc2 => &[
            Controls, Summary, Risk, Times, Incidents, Audits, Holds, Actions, Impact, Timeline, Steps, Decisions,
            Comparison, Related, Proofs, NotProven,
        ],
        Kind::ExecutiveDebrief => &[
            Summary, Impact, Times, Risk, Actions, Timeline, Technical, Incidents, Steps, Decisions, Audits,
            Comparison, Related, Holds, Proofs, NotProven,
        ],
    }
}

/// The report on a run and its incident; `records` are sorted by log index, and `account` is of them.
#[must_use]
pub fn report(
    cover: &Cover<'_>,
    account: &Account,
    records: &[Record],
    controls: Option<&Controls>,
    comparison: Option<&Comparison>,
) -> String {
    let is_short = cover.kind == Kind::ExecutiveDebrief;
    let (rows, member_max) = if is_short { (ROWS_IN_SHORT, MEMBER_IN_SHORT) } else { (ROWS_MAX, MEMBER_MAX) };
    let told = debrief(account);
    let subject = Subject { cover, account, records, controls, comparison, told, rows, member_max };
    let mut page = begin(cover, &summary::title(&subject));
    sections(cover.kind).iter().for_each(|section| subject.write(*section, &mut page));
    page.finish()
}

/// What stands on top of each.
fn begin(cover: &Cover<'_>, title: &str) -> Page {
    let mut page = Page::new(title);
    let by =
        if cover.exported_by.is_empty() { "nobody who is named".into() } else { quoted(cover.exported_by, TEXT_MAX) };
    page.note(&format!(
        "Exported by {by} from Tracekeep, of tenant {}, as of {}. Times are in UTC, cut to milliseconds; records.jsonl has them \
         whole, and is what is proven: this page is made of it.",
        quoted(cover.tenant_id, TEXT_MAX),
        time(cover.created_at),
    ));
    if cover.forced {
        page.mark("This bundle was forced: something that its kind requires is missing. The manifest says what.");
    }
    page
}

impl Subject<'_> {
    fn write(&self, section: Section, page: &mut Page) {
        let account = self.account;
        match section {
            Section::Actions => summary::actions(page, self),
            Section::Audits => audits::write(page, self),
            Section::Comparison => compared::write(page, self),
            Section::Controls => self.controls.iter().for_each(|found| controls::write(page, found)),
            Section::Decisions => steps::decisions(page, self),
            Section::Holds => {
                let holds: Vec<_> = account.holds.iter().map(|hold| hold.fact.clone()).collect();
                self.facts(page, "Holds", &holds);
                self.facts(page, "Redactions in the ledger", &account.redactions);
            }
            Section::Impact => summary::impact(page, self),
            Section::Incidents => incidents::write(page, self),
            Section::NotProven => proofs::not_proven(page, self.cover.kind),
            Section::Proofs => proofs::write(page, self.cover, self.records),
            Section::Related => runs::related(page, self),
            Section::Risk => summary::risk(page, self),
            Section::Steps => steps::table(page, self),
            Section::Summary => summary::summary(page, self),
            Section::Technical => {
                page.heading("Technical detail");
                page.text("In short. A bundle of kind evidence shows more of it, and records.jsonl all.");
            }
            Section::Times => incidents::times(page, self),
            Section::Timeline => {
                page.heading("Timeline");
                page.raw(&timeline::html(account, self.rows));
            }
        }
    }

    fn record(&self, log_index: u64) -> Option<&Record> {
        let place = self.records.binary_search_by_key(&log_index, |record| record.log_index).ok()?;
        self.records.get(place)
    }

    fn facts(&self, page: &mut Page, heading: &str, facts: &[Fact]) {
        if facts.is_empty() {
            return;
        }
        page.heading(heading);
        let row = |fact: &Fact| vec![fact.says.clone(), time(fact.recorded_at), fact.log_index.to_string()];
        let columns = [("what", Column::Text), ("recorded", Column::Words), ("entry", Column::Number)];
        page.first_of(facts, self.rows, &columns, row);
    }
}
