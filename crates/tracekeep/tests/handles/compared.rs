//! How an exported run compares with others of its plan and seed.

use tracekeep::{BundleKind, ExportOf, ExportRequest, FinalStatus, Json, JsonObject, RecordStep, StartRun, Tracekeep};
use tracekeep_evidence::bundle::Remark;
use tracekeep_evidence::comparison::{Comparison, Group};

use crate::common::{by, export, run_id, verified};

/// A run of one plan and seed with three steps, of which `params` is the second's.
fn planned(tracekeep: &Tracekeep, run: &str, params: &str, ends: FinalStatus) {
    let id = run_id(run);
    let plan = Some(vec![JsonObject::new(Json::parse(r#"{"do":"pay"}"#).unwrap()).unwrap()]);
    tracekeep.runs().start_run(StartRun { run_id: Some(id.clone()), plan, seed: 7, ..StartRun::default() }).unwrap();
    for index in 0..3 {
        let params = if index == 1 { params } else { "{}" };
        let step = RecordStep::new(id.clone(), index, "pay", Json::parse(params).unwrap());
        tracekeep.runs().record_step(step).unwrap();
    }
    tracekeep.runs().complete_run(&id, ends).unwrap();
}

fn comparison(bundle: &[u8]) -> String {
    let text = String::from_utf8_lossy(bundle);
    let from = text.find("comparison.json{").expect("a comparison") + "comparison.json".len();
    text[from..].split("PK\u{3}\u{4}").next().unwrap().to_owned()
}

#[test]
fn a_run_is_compared_with_those_of_its_plan_and_seed_at_the_size_of_the_bundle() {
    let tracekeep = Tracekeep::open_in_memory();
    for run in ["same", "own", "again"] {
        planned(&tracekeep, run, r#"{"to":"bank"}"#, FinalStatus::Completed);
    }
    for run in ["other-1", "other-2", "other-3"] {
        planned(&tracekeep, run, r#"{"to":"nobody"}"#, FinalStatus::Completed);
    }
    planned(&tracekeep, "failed", r#"{"to":"bank"}"#, FinalStatus::Failed);
    let plan = Some(vec![JsonObject::new(Json::parse(r#"{"do":"pay"}"#).unwrap()).unwrap()]);
    let open = StartRun { run_id: Some(run_id("open")), plan, seed: 7, ..StartRun::default() };
    tracekeep.runs().start_run(open).unwrap();
    let of = ExportOf::Run(run_id("own"));
    let made = export(&tracekeep, &of, &by(BundleKind::Evidence));
    let report = verified(&tracekeep, &made.bundle);
    assert!(report.verdicts.iter().any(|verdict| verdict.remarks.contains(&Remark::ComparisonNotProven)));
    let said = Comparison::read(comparison(&made.bundle).as_bytes()).unwrap();
    let matches = said.matches.unwrap();
    let group = |group: &Group| {
        let examples: Vec<_> = group.examples.iter().map(|one| one.run_id.clone()).collect();
        format!("{} {} {} {}", group.relation, group.runs, group.status, examples.join(" "))
    };
    assert_eq!(
        matches.groups.iter().map(group).collect::<Vec<_>>(),
        [
            "diverged 3 completed other-1 other-2 other-3",
            "identical 2 completed same again",
            "diverged 1 failed failed",
        ]
    );
    assert_eq!((matches.unverifiable, matches.beyond.runs, matches.complete), (1, 0, true));
    let difference = matches.difference.unwrap();
    assert_eq!(
        (difference.run_id.as_str(), difference.step, difference.fields),
        ("other-1", Some(1), vec!["params".to_owned()])
    );
    // What comes after the size changes nothing of it: neither runs nor seals.
    planned(&tracekeep, "other-4", r#"{"to":"nobody"}"#, FinalStatus::Completed);
    tracekeep.runs().complete_run(&run_id("open"), FinalStatus::Completed).unwrap();
    let again = ExportRequest { at: Some(made.size), ..by(BundleKind::Evidence) };
    let again = export(&tracekeep, &of, &again).bundle;
    assert_eq!(comparison(&again), comparison(&made.bundle));
    assert!(again == made.bundle);
    let later = export(&tracekeep, &of, &by(BundleKind::Evidence));
    let said = Comparison::read(comparison(&later.bundle).as_bytes()).unwrap();
    assert_eq!(said.matches.unwrap().groups.iter().map(|group| group.runs).collect::<Vec<_>>(), [4, 2, 1, 1]);
}

/// That others came out the same, or how they differ, would say what a withheld member held.
#[test]
fn a_run_of_which_something_is_withheld_is_compared_with_none() {
    let tracekeep = Tracekeep::open_in_memory();
    for run in ["own", "twin"] {
        planned(&tracekeep, run, r#"{"pin":1234}"#, FinalStatus::Completed);
    }
    let of = ExportOf::Run(run_id("own"));
    let whole = comparison(&export(&tracekeep, &of, &by(BundleKind::Evidence)).bundle);
    assert!(whole.contains("identical") && whole.contains("twin"), "{whole}");
    let alone = r#"{"run_id":"own"}"#;
    let redact = Some(vec!["step/1/params".to_owned()]);
    let steps = ExportRequest { only_steps: Some(vec![0]), ..by(BundleKind::Evidence) };
    for request in [ExportRequest { redact, ..by(BundleKind::Evidence) }, steps] {
        let bundle = export(&tracekeep, &of, &request).bundle;
        assert_eq!(comparison(&bundle), alone);
        verified(&tracekeep, &bundle);
    }
    tracekeep.runs().redact_step(&run_id("own"), 1, &["params"], "a pin").unwrap();
    assert_eq!(comparison(&export(&tracekeep, &of, &by(BundleKind::Evidence)).bundle), alone);
    // The twin's seal states no hashes of what was withheld of it.
    tracekeep.runs().redact_step(&run_id("twin"), 1, &["params"], "a pin").unwrap();
    planned(&tracekeep, "third", r#"{"pin":1234}"#, FinalStatus::Completed);
    let third = comparison(&export(&tracekeep, &ExportOf::Run(run_id("third")), &by(BundleKind::Evidence)).bundle);
    assert!(third.contains(r#""groups":[]"#) && !third.contains("twin"), "{third}");
}

/// Another run that goes while the bundle is made is one that cannot be compared, and no fault of the ledger.
#[test]
fn a_run_that_is_erased_or_redacted_meanwhile_is_not_compared() {
    let tracekeep = Tracekeep::open_in_memory();
    planned(&tracekeep, "own", r#"{"to":"bank"}"#, FinalStatus::Completed);
    for run in ["erased", "redacted", "kept"] {
        planned(&tracekeep, run, r#"{"to":"nobody"}"#, FinalStatus::Completed);
    }
    let rounds = std::cell::Cell::new(0);
    let meanwhile = |what: &str, _: u64| {
        if what == "comparing" {
            match rounds.replace(rounds.get() + 1) {
                0 => drop(tracekeep.runs().delete_run(&run_id("erased"), "asked for").unwrap()),
                1 => drop(tracekeep.runs().redact_step(&run_id("redacted"), 1, &["params"], "a name").unwrap()),
                _ => {}
            }
        }
    };
    let made = tracekeep.exporter().export(&ExportOf::Run(run_id("own")), &by(BundleKind::Evidence), &meanwhile);
    let made = made.unwrap();
    verified(&tracekeep, &made.bundle);
    let matches = Comparison::read(comparison(&made.bundle).as_bytes()).unwrap().matches.unwrap();
    assert_eq!((rounds.get(), matches.groups.len(), matches.unverifiable), (3, 1, 1));
    assert_eq!(matches.difference.unwrap().run_id, "kept");
}
