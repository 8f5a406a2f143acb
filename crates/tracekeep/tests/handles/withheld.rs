//! What an export withholds is not to be had from what it shows.

use std::collections::BTreeSet;

use tracekeep::{
    Batch, BundleKind, EndStatus, EndTrace, ExportBundleStore, ExportOf, ExportRequest, FinalStatus, Json, Op,
    OpenIncident, PageRequest, RecordStep, RecordTrace, RunId, Severity, StartRun, TraceType, Tracekeep,
};
use tracekeep_evidence::bundle::Report;

use crate::common::{by, export, verified};

const PINS: std::ops::Range<u32> = 0..20;

fn id() -> RunId {
    RunId::new("r-1").unwrap()
}

/// A run whose first step has a small secret, and a trace that ends with another.
fn recorded(pin: u32) -> Tracekeep {
    let tracekeep = Tracekeep::open_in_memory();
    let runs = tracekeep.runs();
    runs.start_run(StartRun { run_id: Some(id()), ..StartRun::default() }).unwrap();
    let params = Json::parse(&format!(r#"{{"pin":{pin}}}"#)).unwrap();
    let cost_cents = format!("{pin}.5").parse().unwrap();
    runs.record_step(RecordStep { cost_cents, ..RecordStep::new(id(), 0, "pay", params) }).unwrap();
    let nothing = Json::parse("{}").unwrap();
    runs.record_step(RecordStep::new(id(), 1, "leave", nothing.clone())).unwrap();
    let call = TraceType::ToolCall { tool_name: "pay".into(), arguments: nothing, result: None, duration_ms: None };
    let call = RecordTrace { id: Some("t-1".parse().unwrap()), ..RecordTrace::new(id(), call) };
    let result = Some(Json::parse(&format!(r#"{{"told":{pin}}}"#)).unwrap());
    let end = EndTrace { result, ..EndTrace::new(id(), "t-1".parse().unwrap(), EndStatus::Ok) };
    for op in [Op::RecordTrace(call), Op::EndTrace(end)] {
        let written = tracekeep::LedgerStore::commit_blocking(&**tracekeep.ledger(), vec![Batch::one(op)]).pop();
        written.unwrap().unwrap();
    }
    runs.complete_run(&id(), FinalStatus::Completed).unwrap();
    tracekeep
}

fn exported(tracekeep: &Tracekeep, request: ExportRequest) -> (Vec<u8>, Report) {
    let request = ExportRequest { kind: BundleKind::Evidence, by: Some("anna".into()), ..request };
    let bundle = export(tracekeep, &ExportOf::Run(id()), &request).bundle;
    let report = verified(tracekeep, &bundle);
    (bundle, report)
}

fn redacting(members: &[&str]) -> ExportRequest {
    ExportRequest { redact: Some(members.iter().map(|&name| name.to_owned()).collect()), ..ExportRequest::default() }
}

/// All that stands in a bundle and could be a digest.
fn digests(bundle: &[u8]) -> BTreeSet<&[u8]> {
    let words = bundle.split(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    words.filter(|word| word.len() == 64).collect()
}

fn has(bundle: &[u8], text: &str) -> bool {
    bundle.windows(text.len()).any(|part| part == text.as_bytes())
}

/// What whoever knows all but the secret can do: record the same run with each value that it may have, and look for what
/// both bundles have and those of other values do not.
#[track_caller]
fn tells_nothing(bundle: &[u8]) {
    let twins: Vec<_> = PINS.map(|pin| exported(&recorded(pin), ExportRequest::default()).0).collect();
    let shared: Vec<BTreeSet<_>> = twins
        .iter()
        .map(|twin| digests(twin).intersection(&digests(bundle)).map(|hash| hash.to_vec()).collect())
        .collect();
    for (pin, found) in shared.iter().enumerate() {
        assert_eq!(found, &shared[0], "{pin} is told from 0");
    }
}

#[test]
fn a_member_that_is_withheld_is_not_found_by_trying_its_values() {
    let whole = exported(&recorded(7), ExportRequest::default()).0;
    let twin = exported(&recorded(7), ExportRequest::default()).0;
    assert!(
        digests(&whole).intersection(&digests(&twin)).count() > 0,
        "a bundle that shows all shows it by its hashes"
    );
    let (bundle, report) = exported(&recorded(7), redacting(&["step/0/params"]));
    tells_nothing(&bundle);
    let withheld = report.shown.unwrap().withheld;
    assert!(withheld.iter().any(|row| row.members == ["behaviour_hash", "root_hash"]), "{withheld:?}");
    let others = ExportRequest { only_steps: Some(vec![1]), ..ExportRequest::default() };
    let (bundle, report) = exported(&recorded(7), others);
    tells_nothing(&bundle);
    let withheld = report.shown.unwrap().withheld;
    assert!(withheld.iter().any(|row| row.members == ["behaviour_hash", "root_hash", "totals"]), "{withheld:?}");
}

#[test]
fn what_a_step_cost_is_not_what_the_totals_lack() {
    let (bundle, report) = exported(&recorded(7), redacting(&["step/0/cost_cents"]));
    assert!(!has(&bundle, "\"7.5\""));
    assert!(report.shown.unwrap().withheld.iter().any(|row| row.members == ["totals"]));
}

#[test]
fn an_earlier_redaction_does_not_carry_what_is_withheld() {
    let tracekeep = recorded(7);
    tracekeep.runs().redact_step(&id(), 0, &["cost_cents"], "a price").unwrap();
    let (bundle, _) = exported(&tracekeep, ExportRequest::default());
    assert!(has(&bundle, r#"{"pin":7}"#));
    let (bundle, report) = exported(&tracekeep, redacting(&["step/0/params"]));
    assert!(!has(&bundle, r#"{"pin":7}"#));
    tells_nothing(&bundle);
    assert!(report.shown.unwrap().withheld.iter().any(|row| row.members == ["remainders"]));
}

#[test]
fn the_end_of_a_trace_is_withheld_under_the_name_that_the_trace_has() {
    let tracekeep = recorded(7);
    for name in ["trace/t-1/trace_type/result", "trace/t-1/result"] {
        let (bundle, _) = exported(&tracekeep, redacting(&[name]));
        assert!(!has(&bundle, r#"{"told":7}"#), "{name}");
    }
    let request = ExportRequest { by: Some("anna".into()), ..redacting(&["trace/t-1/nothing"]) };
    let refused = tracekeep.exporter().export(&ExportOf::Run(id()), &request, &|_, _| ());
    assert_eq!(refused.expect_err("no such member").code(), "invalid_member");
}

/// They were ignored, and signed as what the bundle withheld.
#[test]
fn an_incident_of_no_run_has_no_steps_to_show_or_to_withhold() {
    let tracekeep = Tracekeep::open_in_memory();
    let policy_id = Some("spend".into());
    let said = OpenIncident { run_id: None, policy_id, ..OpenIncident::of(id(), Severity::High) };
    let of = ExportOf::Incident(tracekeep.incidents().open(said).unwrap());
    let debrief = ExportRequest { force: true, ..by(BundleKind::ExecutiveDebrief) };
    let refused = |request: ExportRequest| {
        let refused = tracekeep.exporter().export(&of, &request, &|_, _| ()).expect_err("it has none");
        (refused.code().to_owned(), refused.path().unwrap_or_default().to_owned())
    };
    let redact = |member: &str| ExportRequest { redact: Some(vec![member.to_owned()]), ..debrief.clone() };
    let pair = |code: &str, path: &str| (code.to_owned(), path.to_owned());
    assert_eq!(refused(redact("step/99/params")), pair("step_not_found", "redact"));
    assert_eq!(refused(redact("trace/t/tags")), pair("trace_not_found", "redact"));
    assert_eq!(refused(redact("run/goal")), pair("invalid_parameter", "redact"));
    let steps = ExportRequest { only_steps: Some(vec![7]), ..debrief.clone() };
    assert_eq!(refused(steps), pair("step_not_found", "only_steps"));
    let traces = ExportRequest { only_traces: Some(vec!["t".parse().unwrap()]), ..debrief.clone() };
    assert_eq!(refused(traces), pair("trace_not_found", "only_traces"));
    verified(&tracekeep, &export(&tracekeep, &of, &debrief).bundle);
}

/// What is withheld of a step once read as if it had cost nothing, taken no time and done nothing.
#[test]
fn a_step_says_which_of_its_amounts_are_withheld() {
    let tracekeep = Tracekeep::open_in_memory();
    let runs = tracekeep.runs();
    runs.start_run(StartRun { run_id: Some(id()), ..StartRun::default() }).unwrap();
    for index in 0..2 {
        let step = RecordStep::new(id(), index, "pay", Json::parse("{}").unwrap());
        let amounts = RecordStep { cost_cents: "990".parse().unwrap(), duration_ms: "5".parse().unwrap(), ..step };
        runs.record_step(RecordStep { tokens: Some(7), ..amounts }).unwrap();
    }
    runs.complete_run(&id(), FinalStatus::Completed).unwrap();
    let names = ["cost_cents", "duration_ms", "skill_name", "tokens"];
    let pinned = tracekeep.export_bundles().unwrap();
    runs.redact_step(&id(), 0, &names, "asked for").unwrap();
    for bundles in [pinned, tracekeep.export_bundles().unwrap()] {
        let steps = bundles.get_steps(&id(), &PageRequest::default()).unwrap().items;
        assert_eq!(steps[0].withheld.as_deref(), Some(&names.map(str::to_owned)[..]));
        assert_eq!((steps[0].cost_cents.to_string().as_str(), steps[0].tokens), ("0", None));
        assert_eq!((steps[1].withheld.as_deref(), steps[1].cost_cents.to_string().as_str()), (None, "990"));
        assert_eq!(bundles.get_run(&id()).unwrap().unwrap().total_cost_cents, None);
        // What is read is what the step's own view says.
        let shown = runs.get_steps(&id(), &PageRequest::default()).unwrap().items;
        assert_eq!((&shown[0].withheld, &shown[1].withheld), (&steps[0].withheld, &steps[1].withheld));
    }
}
