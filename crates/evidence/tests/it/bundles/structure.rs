//! What an entry says of itself that its leaf does not, what it may not withhold, and keys that were replaced.

use tracekeep_evidence::bundle::{Kind, Reason, build};

use super::forge::{forged, with_last, withhold};
use super::ledger::{Ledger, key_of};
use super::negative::Made;

/// A run with one entry of a kind at its end.
fn ending(kind: &str, run: &str, body: &str) -> Ledger {
    let mut ledger = Ledger::new();
    ledger.start("run-1");
    ledger.push(kind, run, body);
    ledger
}

fn sealed() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.start("run-1");
    ledger.seal("run-1", 0, 0, 0);
    ledger
}

fn stepped() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.start("run-1");
    ledger.step("run-1", 0, "success", "1");
    ledger
}

pub(crate) fn made() -> Vec<Made> {
    let malformed = |name, ledger: &Ledger, file: &str, withheld: Option<&str>| {
        let change = |line: &mut serde_json::Value| withheld.into_iter().for_each(|name| withhold(line, name));
        (name, with_last(ledger, file, change), Reason::MalformedRecord)
    };
    let (run, steps, other) = ("records/run.jsonl", "records/steps.jsonl", "records/other.jsonl");
    let incident = r#"{"incident_id":"inc-1","op":"open_incident","run_id":"run-1"}"#;
    let incident = ending("incident", "run-1", incident);
    let key = key_of(incident.id, 8).public().to_string();
    let key = format!(r#"{{"key":"{key}","op":"declare_key","reason":"first"}}"#);
    let hold = r#"{"op":"hold","reason":"a claim","tag":"vip"}"#;
    let other_run = r#"{"id":"t","op":"record_trace","run_id":"run-2"}"#;
    let other_op = r#"{"index":0,"op":"record_trace","run_id":"run-1","status":"success"}"#;
    let no_op = r#"{"index":0,"run_id":"run-1","status":"success"}"#;
    let no_run = r#"{"index":0,"op":"record_step","status":"success"}"#;
    let costing =
        |member: &str| format!(r#"{{"index":0,"op":"record_step","run_id":"run-1","status":"success",{member}}}"#);
    let costing = |member: &str| ending("step", "run-1", &costing(member));
    let sealed_of = |ms: &str| {
        let totals = format!(r#"{{"cost_cents":"0","duration_ms":{ms},"failures":0,"successes":0}}"#);
        ending("sealed", "run-1", &format!(r#"{{"op":"seal_run","run_id":"run-1","totals":{totals}}}"#))
    };
    let carrying = r#"{"op":"redact","remainders":[{"log_index":0,"members":[["goal"]]}],"run_id":"run-1"}"#;
    let about = |member: &str| {
        let body = format!(r#"{{"incident_id":"inc-1","op":"open_incident","run_id":"run-1",{member}}}"#);
        ending("incident", "run-1", &body)
    };
    let incidents = "records/incidents.jsonl";
    vec![
        malformed("incident_of_severity_5", &about(r#""severity":5"#), incidents, None),
        malformed("incident_of_policy_5", &about(r#""policy_id":5"#), incidents, None),
        malformed("incident_of_no_time", &about(r#""created_at":"soon""#), incidents, None),
        malformed("incident_of_step_minus_1", &about(r#""violation_step_index":-1"#), incidents, None),
        malformed("step_of_no_time", &costing(r#""occurred_at":"soon""#), steps, None),
        malformed("cost_of_too_much", &costing(r#""cost_cents":"9223372036854.775808""#), steps, None),
        malformed("cost_of_other_text", &costing(r#""cost_cents":"1.50""#), steps, None),
        malformed("duration_of_too_much", &costing(r#""duration_ms":9223372036855"#), steps, None),
        malformed("totals_of_no_nanosecond", &sealed_of("1e-7"), run, None),
        malformed("remainder_of_one_part", &ending("redaction", "run-1", carrying), other, None),
        malformed("withheld_op", &stepped(), steps, Some("op")),
        malformed("withheld_run_id", &stepped(), steps, Some("run_id")),
        malformed("withheld_status", &stepped(), steps, Some("status")),
        malformed("withheld_run_root", &sealed(), run, Some("run_root")),
        malformed("withheld_seal_entries", &sealed(), run, Some("entries")),
        malformed("withheld_incident_id", &incident, "records/incidents.jsonl", Some("incident_id")),
        malformed("withheld_signing_key", &ending("signing_key", "", &key), other, Some("key")),
        malformed("record_of_other_run", &ending("trace", "run-1", other_run), "records/traces.jsonl", None),
        malformed("record_of_other_op", &ending("step", "run-1", other_op), steps, None),
        malformed("record_of_no_op", &ending("step", "run-1", no_op), steps, None),
        malformed("record_of_no_run", &ending("step", "run-1", no_run), steps, None),
        malformed("hold_of_tag_in_run", &ending("hold", "run-1", hold), other, None),
    ]
}

/// Signed by a key, wholly or in part, in whose place the log itself has put another.
pub(crate) fn rotated() -> Vec<(&'static str, Vec<u8>)> {
    let mut ledger = Ledger::new();
    let (old, new) = (ledger.key.public().to_string(), key_of(ledger.id, 8));
    ledger.push("signing_key", "", &format!(r#"{{"key":"{old}","op":"declare_key","reason":"first"}}"#));
    let body = format!(
        r#"{{"key":"{}","op":"declare_key","previous":"{old}","reason":"rotated","why":"its disk was lost"}}"#,
        new.public()
    );
    ledger.push("signing_key", "", &body);
    ledger.start("run-1");
    let bundle = build(&ledger.contents(Kind::Evidence, ledger.entries.clone()), &ledger.key).unwrap();
    let note = ledger.checkpoint(ledger.size()).sign(&new).unwrap().to_string();
    let noted =
        forged(&ledger, &bundle, |members| drop(members.insert("checkpoint".to_owned(), note.into_bytes())), |_| {});
    vec![("superseded_key", bundle), ("superseded_manifest", noted)]
}
