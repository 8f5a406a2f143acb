//! A comparison with other runs.

use tracekeep_core::compare::{Change, Verdict};
use tracekeep_evidence::bundle::{Contents, Kind};
use tracekeep_evidence::comparison::{Beyond, Comparison, Example, FirstDifference, Group, Matches, Own};

use super::ledger::Ledger;

/// Three runs that came out in three ways, all of them shown, and how the first compares with the two.
pub(crate) fn diverged() -> (Ledger, Contents) {
    let mut ledger = Ledger::new();
    for (run, hash) in [("run-1", '0'), ("run-2", '1'), ("run-3", '2')] {
        ledger.start(run);
        ledger.step(run, 0, "success", &format!("{{\"card\":\"411{hash}\"}}"));
        ledger.seal_as(run, 1, 1, 0, &hash.to_string().repeat(64));
    }
    let mut contents = ledger.contents(Kind::Evidence, ledger.entries.clone());
    let group = |run_id: &str, seal| Group {
        relation: Verdict::Diverged,
        runs: 1,
        status: "failed".to_owned(),
        examples: vec![Example { run_id: run_id.to_owned(), seal }],
    };
    let (run_id, fields) = ("run-2".to_owned(), vec!["params".to_owned()]);
    let matches = |own| Matches {
        own,
        groups: vec![group("run-2", 5), group("run-3", 8)],
        beyond: Beyond::default(),
        unverifiable: 0,
        complete: true,
        difference: Some(FirstDifference { run_id, step: Some(0), change: Change::Changed, fields }),
    };
    let own = Own::of(&contents.records, "run-1");
    contents.comparison = Some(Comparison { run_id: "run-1".to_owned(), matches: own.map(matches) });
    (ledger, contents)
}
