//! The report: one HTML file that opens from disk, holds no script, loads nothing, and prints well.
//!
//! Recorded text is hostile: everything of it is escaped on its way in.

mod compared;
mod incidents;
mod page;
mod period;
mod timeline;

use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::LedgerId;

use self::page::{Page, plain};
pub use self::period::period;
use crate::account::{Account, Fact, TraceAccount};
use crate::comparison::Comparison;
use crate::controls::Controls;
use crate::debrief::debrief;

/// Rows of one list that the report shows; how many there are beyond them is said.
const ROWS_MAX: usize = 200;

/// What the report says of the bundle itself.
#[derive(Clone, Debug)]
pub struct Cover<'a> {
    /// What the bundle is for.
    pub kind: &'a str,
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
    /// Entries that it shows.
    pub entries: u64,
    /// What is withheld, and by whom: a line an entry.
    pub withheld: &'a [String],
}

/// The report on a run and its incident.
#[must_use]
pub fn report(
    cover: &Cover<'_>,
    account: &Account,
    controls: Option<&Controls>,
    comparison: Option<&Comparison>,
) -> String {
    let mut page = Page::new(&format!("Tracekeep: {}", cover.kind));
    summary(&mut page, cover, account);
    page.heading("Timeline");
    page.raw(&timeline::svg(account));
    steps(&mut page, account);
    decisions(&mut page, account);
    incidents::write(&mut page, account);
    facts(&mut page, "Expected", &account.expectations);
    facts(&mut page, "Acknowledged", &account.acks);
    facts(&mut page, "Said by hand of what was expected", &account.statuses);
    facts(&mut page, "Audit verdicts", &account.verdicts);
    comparison.iter().for_each(|comparison| compared::write(&mut page, comparison));
    let holds: Vec<_> = account.holds.iter().map(|hold| hold.fact.clone()).collect();
    facts(&mut page, "Holds", &holds);
    facts(&mut page, "Redactions in the ledger", &account.redactions);
    if let Some(controls) = controls {
        incidents::controls(&mut page, controls);
    }
    proofs(&mut page, cover);
    page.finish()
}

fn summary(page: &mut Page, cover: &Cover<'_>, account: &Account) {
    let told = debrief(account);
    page.heading("Summary");
    if cover.forced {
        page.mark("This bundle was forced: something that its kind requires is missing. The manifest says what.");
    }
    page.text(&told.summary);
    page.text(&told.risk);
    let not_stated = || "not stated".to_owned();
    let reason = account.termination_reason.clone().unwrap_or_else(not_stated);
    let policy = account.policy_snapshot_id.clone().unwrap_or_else(not_stated);
    let cost = match told.costs_withheld {
        0 => format!("{} cents", told.cost_cents),
        1 => format!("{} cents, and what 1 step withholds", told.cost_cents),
        more => format!("{} cents, and what {more} steps withhold", told.cost_cents),
    };
    page.pairs(&[
        ("incidents told of", told.incidents.len().to_string()),
        ("other incidents of the run", told.other_incidents.to_string()),
        ("cost of the steps shown", cost),
        ("steps shown", format!("{}, {} of them failed", told.steps, told.failures)),
        ("why the run ended", reason),
        ("policy in force", policy),
    ]);
    page.list(&told.actions);
}

fn steps(page: &mut Page, account: &Account) {
    page.heading("Steps");
    let withheld = || "withheld".to_owned();
    let rows = account.steps.iter().take(ROWS_MAX).map(|step| {
        vec![
            step.index.to_string(),
            step.skill_name.clone().unwrap_or_else(withheld),
            step.status.clone().unwrap_or_default(),
            step.occurred_at.map(|at| at.to_string()).unwrap_or_default(),
            step.cost.map_or_else(withheld, |cost| cost.to_string()),
            step.duration.map_or_else(withheld, |duration| duration.as_ms().to_string()),
            step.log_index.to_string(),
        ]
    });
    page.table(&["step", "skill", "status", "when, as claimed", "cents", "ms", "entry"], rows.collect());
    beyond(page, account.steps.len());
}

fn beyond(page: &mut Page, count: usize) {
    if count > ROWS_MAX {
        page.text(&format!("and {} more, which stand in records.jsonl", count - ROWS_MAX));
    }
}

/// The reasoning as a forest: each trace under the one that it names, in the order of the log.
fn decisions(page: &mut Page, account: &Account) {
    page.heading("Decision tree");
    if account.traces.is_empty() {
        page.text("No reasoning is shown.");
        return;
    }
    let is_known = |id: &str| account.traces.iter().any(|trace| trace.id == id);
    let is_root = |trace: &&TraceAccount| !trace.parent_id.as_deref().is_some_and(is_known);
    let mut rows = Vec::new();
    // Walked without recursion, and no trace twice: what stands in a bundle may name anything.
    let mut open: Vec<(usize, &TraceAccount)> = Vec::new();
    let first: Vec<_> = account.traces.iter().take(ROWS_MAX).collect();
    let mut seen = std::collections::BTreeSet::new();
    // What hangs in a circle comes last: none of it is a root.
    let roots = first.iter().filter(|trace| is_root(trace));
    for root in roots.chain(&first) {
        open.push((0, root));
        while let Some((depth, trace)) = open.pop() {
            if !seen.insert(trace.log_index) {
                continue;
            }
            let indent = "\u{2003}".repeat(depth.min(20));
            let says = trace.says.as_deref().unwrap_or("withheld");
            let name = trace.type_name.clone().unwrap_or_default();
            rows.push(vec![format!("{indent}{}", plain(says, 160)), name, trace.log_index.to_string()]);
            let children = first.iter().rev().filter(|child| child.parent_id.as_ref() == Some(&trace.id));
            open.extend(children.map(|child| (depth + 1, *child)));
        }
    }
    page.table(&["what", "type", "entry"], rows);
    beyond(page, account.traces.len());
}

fn facts(page: &mut Page, heading: &str, facts: &[Fact]) {
    if facts.is_empty() {
        return;
    }
    page.heading(heading);
    let row = |fact: &Fact| vec![fact.says.clone(), fact.recorded_at.to_string(), fact.log_index.to_string()];
    page.table(&["what", "recorded", "entry"], facts.iter().take(ROWS_MAX).map(row).collect());
    beyond(page, facts.len());
}

fn proofs(page: &mut Page, cover: &Cover<'_>) {
    page.heading("Proofs");
    page.pairs(&[
        ("ledger", cover.ledger.to_string()),
        ("tenant", cover.tenant_id.to_owned()),
        ("exported by", cover.exported_by.to_owned()),
        ("time of the checkpoint", cover.created_at.to_string()),
        ("entries of the log", cover.size.to_string()),
        ("root", cover.root.to_string()),
        ("entries in this bundle", cover.entries.to_string()),
    ]);
    page.text("Check it with a key that you have from elsewhere: tracekeep verify bundle.zip --key KEY");
    if !cover.withheld.is_empty() {
        page.text("Withheld, and proven to have been there:");
        page.list(&cover.withheld[..cover.withheld.len().min(ROWS_MAX)]);
        if cover.withheld.len() > ROWS_MAX {
            page.text(&format!("and of {} entries more, which records.jsonl shows", cover.withheld.len() - ROWS_MAX));
        }
    }
    page.heading("What is not proven");
    page.list(
        &[
            "That what the agent or its operator recorded is true: it is proven that it was recorded, and when.",
            "Times that are claimed: only the ledger's own clock is in the proof, and only its order.",
            "That nothing was done beside the record.",
            "What came after the checkpoint.",
            "How other runs came out: where they are compared with this one, that is claimed and signed, and their entries are not \
             in here.",
            "That a run without seal is whole, or what follows a run's last seal: the log may have entries of the run there that \
             this bundle does not show, such as another incident, or the end of a hold. That every check passes does not say that \
             there are none.",
            "Which runs are related to the one that this is about: another one may have been left out, or erased before.",
            "Nothing at all to whoever takes the key out of the same hands as the bundle.",
        ]
        .map(str::to_owned),
    );
}
