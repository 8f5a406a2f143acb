//! Recomputing a run finds what somebody changed in the file, each change by the checks that cover it.

use std::path::Path;

use crate::common::{commit, op, open, ops, place, run_id, tamper};
use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_store::{Batch, CheckName, LedgerStore, RunReport, Wrong, block_on};

const START: u64 = 1;
const STEP: u64 = 2;
const TRACE: u64 = 4;
const SEAL: u64 = 6;

fn filled(path: &Path) {
    let ledger = open(path);
    commit(&ledger, ops(&[r#"{"op":"start_run","run_id":"other"}"#]));
    commit(
        &ledger,
        ops(&[
            r#"{"op":"start_run","run_id":"r","plan":[{"skill":"search"}]}"#,
            r#"{"op":"record_step","run_id":"r","index":0,"skill_name":"search","params":{"q":1},"status":"success",
                "outcome_data":{"hits":3},"cost_cents":"1"}"#,
            r#"{"op":"record_step","run_id":"r","index":2,"skill_name":"book","params":{},"status":"failure"}"#,
            r#"{"op":"record_trace","run_id":"r","id":"t","trace_type":{"type":"Thought","content":"hm"}}"#,
            r#"{"op":"record_trace","run_id":"r","id":"u","trace_type":{"type":"Thought","content":"hm"}}"#,
            r#"{"op":"complete_run","run_id":"r","status":"failed"}"#,
        ]),
    );
    // The first tile of the tree is full, and stored: what is not in a full one is hashed as it stands in the log.
    let steps = (0..256).map(|index| {
        op(&format!(
            r#"{{"op":"record_step","run_id":"other","index":{index},"skill_name":"x","params":{{}},"status":"success"}}"#
        ))
    });
    commit(&ledger, Batch::of(steps.collect()));
}

/// The checks that find something wrong after a change, but for the indices'.
fn found(sql: &str) -> Vec<CheckName> {
    let place = place();
    filled(&place.path);
    tamper(&place.path, sql);
    wrong(&verify(&place.path))
}

fn verify(path: &Path) -> RunReport {
    block_on(open(path).verify_run(&run_id("r"))).unwrap()
}

fn wrong(report: &RunReport) -> Vec<CheckName> {
    let checks = report.checks.iter().filter(|check| check.wrong > 0).map(|check| check.name);
    checks.filter(|name| *name != CheckName::Indices).collect()
}

/// Writes another body, with the commitment that fits it: somebody who knows the format. Gives the checks that tell.
#[track_caller]
fn forged(log_index: u64, from: &str, to: &str) -> Vec<CheckName> {
    let place = place();
    filled(&place.path);
    let entry = block_on(open(&place.path).entries(log_index, 1)).unwrap().remove(0);
    let recorded = entry.body.unwrap();
    assert!(recorded.as_str().contains(from), "{} has no {from}", recorded.as_str());
    let body = recorded.as_str().replace(from, to);
    let salt = Salt::from_bytes(*entry.salt.unwrap().as_bytes());
    let commitment = Body::from_recorded(body.as_str()).unwrap().commitment(&salt);
    tamper(
        &place.path,
        &format!(
            "UPDATE entry SET body = CAST('{body}' AS BLOB), codec = 0, commitment = x'{commitment}'
             WHERE log_index = {log_index}"
        ),
    );
    let found = wrong(&verify(&place.path));
    assert!(found.contains(&CheckName::Inclusion), "the tree tells of every change: {found:?}");
    found.into_iter().filter(|name| *name != CheckName::Inclusion).collect()
}

#[test]
fn a_sound_run_has_no_findings() {
    let place = place();
    filled(&place.path);
    let report = verify(&place.path);
    assert!(report.is_clean() && report.is_whole(), "{report:?}");
    assert_eq!((report.entries, report.seals), (6, 1));
}

#[test]
fn a_changed_body_does_not_fit_its_commitment() {
    let change =
        |body: &str| format!("UPDATE entry SET body = CAST('{body}' AS BLOB), codec = 0 WHERE log_index = {STEP}");
    let named = r#"{"index":0,"op":"record_step","params":{"q":1},"run_id":"r","skill_name":"x","status":"success"}"#;
    assert!(found(&change(named)).contains(&CheckName::Commitments));
    assert!(found(&change("no body at all")).contains(&CheckName::Commitments));
    assert!(found(&format!("UPDATE entry SET codec = 9 WHERE log_index = {TRACE}")).contains(&CheckName::Commitments));
}

#[test]
fn a_changed_place_is_found() {
    assert_eq!(
        found(&format!("UPDATE entry SET seq = 9 WHERE log_index = {TRACE}")),
        [CheckName::Inclusion, CheckName::Order, CheckName::RunRoot]
    );
    let clock = found(&format!("UPDATE entry SET recorded_at = recorded_at - 9 WHERE log_index = {TRACE}"));
    assert_eq!(clock, [CheckName::Inclusion, CheckName::Order, CheckName::RunRoot]);
    // Tampering with a row of the indices alone is for their own check.
    assert_eq!(found("UPDATE step SET exact = zeroblob(32)"), []);
    let place = place();
    filled(&place.path);
    tamper(&place.path, "UPDATE step SET exact = zeroblob(32)");
    let report = verify(&place.path);
    assert_eq!(report.check(CheckName::Indices).map(|check| check.wrong), Some(2));
    assert_eq!((report.count, report.findings[0].what), (2, Wrong::RowDiffers));
}

#[test]
fn each_forged_content_is_found_by_what_covers_it() {
    use CheckName::{BehaviourHash, Counts, Gaps, PlanHash, RootHash, RunRoot, StepHashes, Totals};
    assert_eq!(forged(START, "search", "sEarch"), [PlanHash, BehaviourHash, RootHash, RunRoot]);
    assert_eq!(forged(START, "\"seed\":42", "\"seed\":43"), [BehaviourHash, RootHash, RunRoot]);
    assert_eq!(forged(STEP, r#"{"q":1}"#, r#"{"q":2}"#), [StepHashes, BehaviourHash, RootHash, RunRoot]);
    assert_eq!(forged(STEP, r#"{"hits":3}"#, r#"{"hits":4}"#), [StepHashes, RootHash, RunRoot]);
    assert_eq!(forged(STEP, "\"index\":0", "\"index\":1"), [BehaviourHash, RootHash, RunRoot, Gaps]);
    assert_eq!(forged(STEP, r#""cost_cents":"1""#, r#""cost_cents":"2""#), [RunRoot, Totals]);
    assert_eq!(forged(TRACE, "hm", "mh"), [RunRoot]);
    assert_eq!(forged(SEAL, r#""status":"failed""#, r#""status":"completed""#), [BehaviourHash, RootHash]);
    assert_eq!(forged(SEAL, r#""steps":2"#, r#""steps":3"#), [Counts]);
    assert_eq!(forged(SEAL, r#""traces":2"#, r#""traces":1"#), [Counts]);
    assert_eq!(forged(SEAL, r#""n":0"#, r#""n":1"#), [Counts]);
    assert_eq!(forged(SEAL, r#""count":1"#, r#""count":2"#), [Gaps]);
    assert_eq!(forged(SEAL, r#""failures":1"#, r#""failures":0"#), [Totals]);
}

#[test]
fn what_was_erased_is_withheld_and_nothing_else_is_wrong() {
    let place = place();
    filled(&place.path);
    tamper(&place.path, &format!("UPDATE entry SET body = NULL, salt = NULL WHERE log_index = {STEP}"));
    let report = verify(&place.path);
    assert_eq!(wrong(&report), []);
    assert!(!report.is_whole());
    let withheld = report.checks.iter().filter(|check| check.withheld > 0).map(|check| check.name);
    use CheckName::{BehaviourHash, Commitments, Counts, Gaps, RootHash, StepHashes, Totals};
    let expected = [Commitments, StepHashes, BehaviourHash, RootHash, Counts, Gaps, Totals];
    assert_eq!(withheld.collect::<Vec<_>>(), expected);
    tamper(
        &place.path,
        &format!("UPDATE entry SET body = NULL, salt = NULL WHERE log_index IN ({START}, {SEAL}, {TRACE})"),
    );
    let report = verify(&place.path);
    assert_eq!((wrong(&report), report.seals), (vec![], 1));
    assert_eq!(report.check(CheckName::PlanHash).map(|check| (check.checked, check.withheld)), Some((0, 1)));
}
