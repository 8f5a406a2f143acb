//! What a comparison with other runs can claim that is not in its form, or that the bundle's own records contradict.

use serde_json::{Value, json};
use tracekeep_core::compare::{Change, Verdict};
use tracekeep_core::wire::to_json;
use tracekeep_evidence::bundle::{Contents, Kind, Reason, build};
use tracekeep_evidence::comparison::{Beyond, Comparison, Example, FirstDifference, Group, Matches, Own};

use super::forge::{canonical, forged};
use super::ledger::{Ledger, compared, golden};
use super::negative::Made;

/// Of which bundle the comparison is changed, and how.
type Changed = (&'static str, &'static str, fn(&mut Value));

/// In the first group stand runs that are nowhere else in the bundle; the second is run-2, which came out the same.
const OF_EVIDENCE: [Changed; 38] = [
    ("comparison_with_more", "evidence", |said| said["more"] = json!(1)),
    ("comparison_of_no_run", "evidence", |said| said["run_id"] = json!("run-9")),
    ("comparison_hides_matches", "evidence", |said| drop(said.as_object_mut().unwrap().remove("matches"))),
    ("comparison_of_other_root", "evidence", |said| said["matches"]["own"]["root_hash"] = json!("1".repeat(64))),
    ("comparison_of_other_seed", "evidence", |said| said["matches"]["own"]["seed"] = json!(43)),
    ("comparison_of_other_seal", "evidence", |said| said["matches"]["own"]["seal"] = json!(8)),
    ("comparison_out_of_order", "evidence", |said| said["matches"]["groups"].as_array_mut().unwrap().reverse()),
    ("comparison_of_none", "evidence", |said| {
        said["matches"]["groups"][1] = json!({"examples": [], "relation": "identical", "runs": 0, "status": "failed"});
    }),
    ("comparison_of_unverifiable", "evidence", |said| {
        said["matches"]["groups"][1]["relation"] = json!("unverifiable");
    }),
    ("comparison_same_twice", "evidence", |said| {
        said["matches"]["groups"][0]["relation"] = json!("identical");
        drop(said["matches"].as_object_mut().unwrap().remove("difference"));
    }),
    ("comparison_examples_few", "evidence", |said| {
        drop(said["matches"]["groups"][0]["examples"].as_array_mut().unwrap().pop());
    }),
    ("comparison_example_twice", "evidence", |said| {
        said["matches"]["groups"][1]["examples"][0]["run_id"] = json!("other-3");
    }),
    ("comparison_names_itself", "evidence", |said| {
        said["matches"]["groups"][1]["examples"][0] = json!({"run_id": "run-1", "seal": 6});
    }),
    ("comparison_beyond_checkpoint", "evidence", |said| {
        said["matches"]["groups"][0]["examples"][4]["seal"] = json!(10);
    }),
    ("comparison_of_many", "evidence", |said| {
        let group = |number: u64| {
            let example = json!({"run_id": format!("more-{number}"), "seal": 5});
            json!({"examples": [example], "relation": "diverged", "runs": 1, "status": "failed"})
        };
        said["matches"]["groups"].as_array_mut().unwrap().extend((0..49).map(group));
    }),
    ("comparison_without_difference", "evidence", |said| {
        drop(said["matches"].as_object_mut().unwrap().remove("difference"));
    }),
    ("difference_from_other_run", "evidence", |said| said["matches"]["difference"]["run_id"] = json!("other-1")),
    ("difference_at_no_step", "evidence", |said| said["matches"]["difference"]["step"] = json!(2)),
    ("difference_at_own_step", "evidence", |said| said["matches"]["difference"]["change"] = json!("inserted")),
    ("difference_in_nothing", "evidence", |said| said["matches"]["difference"]["fields"] = json!([])),
    ("difference_out_of_order", "evidence", |said| {
        said["matches"]["difference"]["fields"] = json!(["params", "outcome_data"]);
    }),
    ("difference_with_value", "evidence", |said| {
        said["matches"]["difference"]["fields"] = json!(["params", "{\"card\":\"4112\"}"]);
    }),
    ("difference_at_end", "evidence", |said| {
        drop(said["matches"]["difference"].as_object_mut().unwrap().remove("step"));
        said["matches"]["difference"]["change"] = json!("deleted");
    }),
    ("comparison_beyond_few", "evidence", |said| said["matches"]["beyond"] = json!({"groups": 1, "runs": 1})),
    ("comparison_beyond_no_run", "full", |said| said["matches"]["beyond"] = json!({"groups": 2, "runs": 1})),
    ("comparison_sealed_by_step", "evidence", |said| {
        said["matches"]["groups"][0]["examples"][1]["seal"] = json!(3);
    }),
    ("comparison_sealed_by_own", "evidence", |said| {
        said["matches"]["groups"][0]["examples"][1]["seal"] = json!(6);
    }),
    ("comparison_same_of_other_status", "evidence", |said| {
        said["matches"]["groups"][1]["status"] = json!("completed");
    }),
    ("difference_at_same_end", "evidence", |said| {
        drop(said["matches"]["difference"].as_object_mut().unwrap().remove("step"));
        said["matches"]["difference"]["fields"] = json!(["status"]);
    }),
    ("difference_at_end_in_params", "evidence", |said| {
        said["matches"]["groups"][0]["status"] = json!("completed");
        drop(said["matches"]["difference"].as_object_mut().unwrap().remove("step"));
    }),
    ("comparison_omits_shown", "soc2", |said| said["matches"]["groups"] = json!([])),
    ("comparison_counts_shown_otherwise", "soc2", |said| {
        let examples: Vec<Value> = (0..5).map(|other| json!({"run_id": format!("other-{other}"), "seal": 9})).collect();
        said["matches"]["groups"] =
            json!([{"examples": examples, "relation": "diverged", "runs": 6, "status": "failed"}]);
        let fields = json!(["params"]);
        said["matches"]["difference"] = json!({"change": "changed", "fields": fields, "run_id": "other-0", "step": 1});
    }),
    ("comparison_of_two_roots", "diverged", |said| {
        said["matches"]["groups"][0]["examples"] =
            json!([{"run_id": "run-2", "seal": 5}, {"run_id": "run-3", "seal": 8}]);
        said["matches"]["groups"][0]["runs"] = json!(2);
        drop(said["matches"]["groups"].as_array_mut().unwrap().pop());
    }),
    ("difference_in_equal_field", "diverged", |said| {
        said["matches"]["difference"]["fields"] = json!(["params", "skill_name"]);
    }),
    ("difference_at_step_of_both", "diverged", |said| {
        said["matches"]["difference"]["change"] = json!("deleted");
    }),
    ("comparison_of_other_status", "diverged", |said| {
        said["matches"]["groups"][1]["status"] = json!("completed");
    }),
    ("difference_from_same", "soc2", |said| {
        let fields = json!(["params"]);
        said["matches"]["difference"] = json!({"change": "changed", "fields": fields, "run_id": "run-2", "step": 1});
    }),
    ("comparison_against_records", "soc2", |said| {
        said["matches"]["groups"][0]["relation"] = json!("diverged");
        let fields = json!(["params"]);
        said["matches"]["difference"] = json!({"change": "changed", "fields": fields, "run_id": "run-2", "step": 1});
    }),
];

/// As many groups as there can be, and one more that is not listed.
fn fill(said: &mut Comparison) {
    let matches = said.matches.as_mut().unwrap();
    let more = |number: u64| Group {
        relation: Verdict::Diverged,
        runs: 1,
        status: "failed".to_owned(),
        examples: vec![Example { run_id: format!("more-{number}"), seal: 5 }],
    };
    matches.groups.extend((0..48).map(more));
    matches.beyond = Beyond { groups: 1, runs: 1 };
}

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

pub(crate) fn made(ledger: &Ledger) -> Vec<Made> {
    let (diverging, diverged) = diverged();
    let mut golden = golden(ledger);
    golden.push(("diverged", diverged));
    let mut full = golden[0].1.clone();
    fill(full.comparison.as_mut().unwrap());
    golden.push(("full", full));
    let of = |name: &str| golden.iter().find(|(of, _)| *of == name).map(|(_, contents)| contents).unwrap();
    let changed = |(name, base, change): Changed| {
        let contents = of(base);
        let mut said: Value = serde_json::from_str(to_json(contents.comparison.as_ref().unwrap()).as_str()).unwrap();
        change(&mut said);
        let ledger = if base == "diverged" { &diverging } else { ledger };
        let bundle = build(contents, &ledger.key).unwrap();
        let put = |text: Vec<u8>| {
            forged(ledger, &bundle, |members| drop(members.insert("comparison.json".to_owned(), text)), |_| {})
        };
        (name, put(canonical(&said)), Reason::WrongComparison)
    };
    let mut made: Vec<Made> = OF_EVIDENCE.into_iter().map(changed).collect();
    // The step's params are withheld, and that others came out the same would say what they were.
    let mut telling = of("withheld").clone();
    telling.comparison = Some(compared(&of("evidence").records, true));
    made.push(("comparison_tells_withheld", build(&telling, &ledger.key).unwrap(), Reason::WrongComparison));
    let bundle = build(of("evidence"), &ledger.key).unwrap();
    let spaced = |members: &mut super::forge::Members| members.get_mut("comparison.json").unwrap().push(b'\n');
    made.push(("comparison_with_space", forged(ledger, &bundle, spaced, |_| {}), Reason::WrongComparison));
    let proven = |statement: &mut Value| statement["predicate"]["unproven"] = json!(["report.html"]);
    made.push(("comparison_called_proven", forged(ledger, &bundle, |_| {}, proven), Reason::WrongCompleteness));
    made
}
