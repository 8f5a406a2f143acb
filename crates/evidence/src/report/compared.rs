//! The run beside those of the same plan and seed.

use tracekeep_core::compare::{Change, Verdict};

use super::Subject;
use super::page::{Column, Page};
use crate::comparison::{FirstDifference, Matches, Own};

pub(super) fn write(page: &mut Page, subject: &Subject<'_>) {
    let Some(comparison) = subject.comparison else { return };
    page.heading("Comparison with matching runs");
    let Some(matches) = &comparison.matches else {
        let causes = Own::lacks(subject.records, &comparison.run_id);
        page.text(&format!("The run is not compared with others: {}.", causes.join("; ")));
        return;
    };
    summary(page, matches);
    let rows = matches.groups.iter().map(|group| {
        let examples = group.examples.iter().map(|one| format!("{} (seal {})", one.run_id, one.seal));
        let relation = match group.relation {
            Verdict::Identical => "the same",
            Verdict::SameBehaviour => "chose the same, other outputs came back",
            _ => "chose otherwise, or ended otherwise",
        };
        let examples = examples.collect::<Vec<_>>().join(", ");
        vec![relation.to_owned(), group.runs.to_string(), group.status.clone(), examples]
    });
    let columns = [
        ("beside this run", Column::Words),
        ("runs", Column::Number),
        ("ended", Column::Text),
        ("the first of them", Column::Text),
    ];
    page.table(&columns, &rows.collect::<Vec<_>>());
    let beyond = matches.beyond;
    if beyond.groups > 0 {
        page.text(&format!("and {} ways more, of {} runs", beyond.groups, beyond.runs));
    }
    matches.difference.iter().for_each(|difference| page.text(&told(difference)));
    page.text(
        "How runs compare is by the hashes that their seals state, which were not recomputed of their steps. How other runs \
         came out is claimed, not proven, unless their entries are in this bundle, too.",
    );
}

fn summary(page: &mut Page, matches: &Matches) {
    let same = matches.groups.iter().filter(|group| group.relation == Verdict::Identical);
    let same: u64 = same.map(|group| group.runs).sum();
    let listed: u64 = matches.groups.iter().map(|group| group.runs).sum();
    let own = &matches.own;
    page.pairs(&[
        ("plan", own.plan_hash.to_string()),
        ("seed", own.seed.to_string()),
        ("root hash", own.root_hash.to_string()),
        ("behaviour hash", own.behaviour_hash.to_string()),
        ("seal", own.seal.to_string()),
        ("other runs of plan and seed", (listed + matches.beyond.runs).to_string()),
        ("of these came out the same", same.to_string()),
        ("others, not sealed or withheld", matches.unverifiable.to_string()),
    ]);
    if !matches.complete {
        page.mark(
            "There are more runs of this plan and seed than were looked at: these are the ones that started first.",
        );
    }
}

/// Where the run first differs from the most frequent other outcome, in words.
fn told(difference: &FirstDifference) -> String {
    let place = difference.step.map_or_else(|| "the end".to_owned(), |index| format!("step {index}"));
    let fields = difference.fields.join(", ");
    let how = match difference.change {
        Change::Changed => format!("by {fields}"),
        Change::Inserted => "which this run does not have".to_owned(),
        Change::Deleted => "which the other does not have".to_owned(),
    };
    format!(
        "It first differs from the most frequent other outcome, that of run {}, at {place}, {how}.",
        difference.run_id
    )
}
