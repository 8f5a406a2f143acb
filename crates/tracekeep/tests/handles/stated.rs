//! What the log states of an export: who was handed what, and how much of it.

use tracekeep::{
    BundleKind, ExportOf, ExportRequest, Exported, FinalStatus, Json, JsonObject, RecordStep, RecordTrace, StartRun,
    TraceType, Tracekeep,
};
use tracekeep_core::model::{Op, RecordExport};
use tracekeep_store::{Batch, block_on};

use crate::common::{by, export, run_id, verified};

const TRACE: &str = "t-1";

fn story(trace: &str) -> Tracekeep {
    let tracekeep = Tracekeep::open_in_memory();
    let id = run_id("r");
    tracekeep.runs().start_run(StartRun { run_id: Some(id.clone()), ..StartRun::default() }).unwrap();
    for index in 0..4 {
        tracekeep.runs().record_step(RecordStep::new(id.clone(), index, "pay", Json::parse("{}").unwrap())).unwrap();
    }
    let call = TraceType::ToolCall {
        tool_name: "pay".into(),
        arguments: Json::parse(r#"{"card":"none"}"#).unwrap(),
        result: None,
        duration_ms: None,
    };
    let call = RecordTrace { id: Some(trace.parse().unwrap()), ..RecordTrace::new(id.clone(), call) };
    let recorded = tracekeep.ledger().commit_blocking(vec![Batch::one(Op::RecordTrace(call))]);
    recorded.into_iter().for_each(|answer| drop(answer.unwrap()));
    tracekeep.runs().complete_run(&id, FinalStatus::Failed).unwrap();
    tracekeep
}

/// What the entry of an export says.
fn entry(tracekeep: &Tracekeep, made: &Exported) -> RecordExport {
    let entry = block_on(tracekeep.ledger().entries(made.log_index, 1)).unwrap().remove(0);
    match Op::from_body(entry.body.unwrap().as_str()).unwrap() {
        Op::RecordExport(op) => op,
        other => panic!("{other:?}"),
    }
}

/// What the manifest says was asked for: all of its options but what they say of the answer.
fn asked_for(tracekeep: &Tracekeep, made: &Exported) -> JsonObject {
    let options = verified(tracekeep, &made.bundle).claims.unwrap().options;
    let options = options.json().value();
    let asked = options.as_object().unwrap().iter().filter(|(name, _)| !["absent", "redacted_since"].contains(name));
    JsonObject::new(Json::object(asked.map(|(name, value)| (name.to_owned(), value.to_json()))).unwrap()).unwrap()
}

/// Without the bundle nobody could tell whether the arguments went out or were withheld, nor make it again to compare.
#[test]
fn the_log_says_what_was_given_away_as_the_manifest_does() {
    let tracekeep = story(TRACE);
    let of = ExportOf::Run(run_id("r"));
    let first = export(&tracekeep, &of, &by(BundleKind::Evidence));
    assert_eq!(entry(&tracekeep, &first).options, Some(asked_for(&tracekeep, &first)));
    let period = tracekeep::Period { from: tracekeep::Timestamp::from_nanos(0), to: tracekeep::Timestamp::MAX };
    let asked = ExportRequest {
        only_steps: Some(vec![1, 3]),
        only_traces: Some(vec![TRACE.parse().unwrap()]),
        redact: Some(vec!["step/3/params".into(), "trace/t-1/trace_type/arguments".into()]),
        related: true,
        since: Some(first.size),
        period: Some(period),
        ..by(BundleKind::Soc2)
    };
    let made = export(&tracekeep, &of, &asked);
    let claims = verified(&tracekeep, &made.bundle).claims.unwrap();
    let stated = entry(&tracekeep, &made);
    assert_eq!((stated.options, stated.forced), (Some(asked_for(&tracekeep, &made)), Some(false)));
    assert_eq!((stated.period, stated.size), (Some(period), made.size));
    let named = ["only_steps\":[1,3]", "only_traces\":[\"t-1\"]", "step/3/params", "related\":true", "since\":"];
    for name in named {
        assert!(claims.options.as_str().contains(name), "{name}: {:?}", claims.options);
    }
    let lacking = ExportRequest { force: true, ..by(BundleKind::Soc2) };
    assert_eq!(entry(&tracekeep, &export(&tracekeep, &of, &lacking)).forced, Some(true));
    // Where nothing is missing nothing was forced, as the bundle says.
    let whole = ExportRequest { force: true, ..by(BundleKind::Evidence) };
    assert_eq!(entry(&tracekeep, &export(&tracekeep, &of, &whole)).forced, Some(false));
    // What it says is enough to make the same bundle again.
    let again = ExportRequest { at: Some(stated.size), ..asked };
    assert!(export(&tracekeep, &of, &again).bundle == made.bundle);
}

#[test]
fn what_the_log_cannot_state_is_not_handed_out() {
    let trace = "t".repeat(255);
    let tracekeep = story(&trace);
    let size = || block_on(tracekeep.ledger().head()).unwrap().tree_size;
    export(&tracekeep, &ExportOf::Run(run_id("r")), &by(BundleKind::Evidence));
    let before = size();
    let redact = Some(vec![format!("trace/{trace}/trace_type/arguments"); 300]);
    let asked = ExportRequest { redact, ..by(BundleKind::Evidence) };
    let put = |_: &[u8]| panic!("nothing is handed out");
    let refused = tracekeep.exporter().export_to(&ExportOf::Run(run_id("r")), &asked, &|_, _| (), put);
    let refused: tracekeep_store::Error = refused.expect_err("too long");
    assert_eq!(refused.code(), "too_large");
    assert!(refused.detail().contains("the options have at most 81920 bytes"), "{refused}");
    assert_eq!(size(), before);
}

/// What the ledger adds to what was asked for is no reason to refuse an export that was made before.
#[test]
fn what_was_redacted_since_does_not_count_for_what_the_log_states() {
    let tracekeep = story(TRACE);
    let of = ExportOf::Run(run_id("r"));
    let first = export(&tracekeep, &of, &by(BundleKind::Evidence));
    for step in 0..4 {
        tracekeep.runs().redact_step(&run_id("r"), step, &["params"], "a secret").unwrap();
    }
    let again = export(&tracekeep, &of, &ExportRequest { at: Some(first.size), ..by(BundleKind::Evidence) });
    let stated = entry(&tracekeep, &again).options;
    assert_eq!(stated, Some(asked_for(&tracekeep, &again)));
    assert_eq!(stated, entry(&tracekeep, &first).options);
    let claims = verified(&tracekeep, &again.bundle).claims.unwrap();
    assert!(claims.options.as_str().contains(r#""redacted_since":["#), "{:?}", claims.options);
}
