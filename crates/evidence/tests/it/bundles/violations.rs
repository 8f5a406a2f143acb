//! Bundles of incidents that say, or do not say, when something was violated.

use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::{Kind, Reason, build};
use tracekeep_evidence::debrief::debrief;

use super::forge::forged;
use super::ledger::Ledger;

/// The debrief of an incident with these members more, of a run or of none; `claimed` is what the manifest says is missing.
fn told(run: Option<&str>, index: &str, more: &str, claimed: &[&str]) -> Vec<u8> {
    let mut ledger = Ledger::new();
    ledger.start("run-1");
    let step = format!(
        r#"{{"index":{index},"occurred_at":"2026-11-20T10:00:01.000000000Z","op":"record_step","run_id":"run-1","status":"failure"}}"#
    );
    ledger.push("step", "run-1", &step);
    let of_run = run.map(|run| format!(r#""run_id":"{run}","#)).unwrap_or_default();
    let incident = format!(
        r#"{{"created_at":"2026-11-20T10:00:04.000000000Z","incident_id":"inc-1","op":"open_incident","policy_id":"budget",{of_run}"severity":"high"{more}}}"#
    );
    ledger.push("incident", run.unwrap_or_default(), &incident);
    let mut contents = ledger.contents(Kind::ExecutiveDebrief, ledger.of_runs(&[run.unwrap_or_default()]));
    contents.run_id = run.map(str::to_owned);
    contents.incident_id = Some("inc-1".to_owned());
    contents.debrief = Some(debrief(&Account::of(&contents.records, run, Some("inc-1"))).to_json());
    contents.forced = true;
    let bundle = build(&contents, &ledger.key).unwrap();
    forged(&ledger, &bundle, |_| {}, |statement| statement["predicate"]["missing"] = claimed.into())
}

/// By name, and why they are refused.
pub(crate) fn of_violations() -> Vec<(&'static str, Vec<u8>, Option<Reason>)> {
    let (run, no) = (Some("run-1"), &[][..]);
    let stated = r#","violation_at":"2026-11-20T10:00:02.000000000Z""#;
    let of_step = |index: &str| format!(r#","violation_step_index":{index}"#);
    vec![
        ("violation_stated", told(None, "0", stated, no), None),
        ("violation_of_a_step", told(run, "0", &of_step("0"), no), None),
        ("violation_of_no_time", told(run, "0", "", &["violation_at"]), None),
        ("violation_as_opened", told(run, "0", "", no), Some(Reason::Incomplete)),
        ("violation_of_another_step", told(run, "0", &of_step("1"), no), Some(Reason::Incomplete)),
        ("violation_of_step_true", told(run, "true", &of_step("1"), no), Some(Reason::Incomplete)),
        ("violation_called_unknown", told(run, "0", &of_step("0"), &["violation_at"]), Some(Reason::Incomplete)),
    ]
}
