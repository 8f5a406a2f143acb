//! What a reader gets: each view is read as it was written, strictly, and holds the deepest record.

use tracekeep_core::InvalidCode;
use tracekeep_core::json::{Json, parse, parse_around};
use tracekeep_core::limits::JSON_DEPTH_MAX;
use tracekeep_core::model::{
    CompleteRun, EndStatus, EndTrace, FinalStatus, JsonObject, Op, RunStatus, TraceStatus, TraceType,
};
use tracekeep_core::view::{
    ConsistencyProof, Head, InclusionProof, LogEntry, Multiproof, MultiproofOf, Run, Step, Trace, TraceCounts, TreeNode,
};
use tracekeep_core::wire::{Fields, Path, Shape, from_text, read_whole, to_json};

const H: &str = "00000000000000000000000000000000000000000000000000000000000000ab";
const T: &str = "2026-11-20T10:00:00.000000000Z";

/// The view reads from this text, writes the same text in canonical form, and refuses any other member.
#[track_caller]
fn check<V: Fields + PartialEq + std::fmt::Debug>(text: &str) {
    let text = text.replace("HASH", H).replace("TIME", T);
    let canonical = Json::parse(&text).unwrap();
    let view: V = from_text(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(to_json(&view), canonical);
    assert_eq!(from_text::<V>(canonical.as_str().as_bytes()).as_ref(), Ok(&view));
    let more = text.trim_end().trim_end_matches('}').to_owned() + r#","bogus":null}"#;
    let refused = from_text::<V>(more.as_bytes()).unwrap_err();
    assert_eq!((refused.code(), refused.path()), (InvalidCode::UnknownMember, "/bogus"));
    let members = V::members();
    assert!(matches!(Shape::of::<V>(), Shape::Object(name, of) if name == V::NAME && of == members));
    // Every member of the text is one that the form describes, and every required one is in the text.
    let tree = canonical.value();
    let object = tree.as_object().unwrap();
    assert!(object.iter().all(|(name, _)| members.iter().any(|member| member.name == name)));
    for member in members.iter().filter(|member| member.required) {
        let mut rest = object.clone();
        rest.take(member.name);
        let refused = read_whole::<V>(tracekeep_core::json::Value::Object(rest), &Path::ROOT).unwrap_err();
        assert_eq!((refused.code(), refused.path()), (InvalidCode::MissingMember, &*format!("/{}", member.name)));
    }
}

const TRACE: &str = r#"{"run_id":"r","id":"t","parent_id":"p","trace_type":{"type":"ToolCall","tool_name":"n",
    "arguments":null,"result":{"hits":3},"duration_ms":150},"occurred_at":"TIME","ended_at":"TIME","status":"ok",
    "error":"e","tags":["a"],"metadata":{},"otel":{"span":{}},"late":true,"orphan":false,"log_index":3,"seq":2,
    "recorded_at":"TIME","ended_log_index":4}"#;

#[test]
fn a_run_reads_as_it_was_written() {
    check::<Run>(
        r#"{"run_id":"r","correlation_id":"c","agent_id":"a","parent_run_id":"p","goal":"g","plan":[{}],"seed":42,
        "frozen_timestamp":"TIME","metadata":{"k":null},"tags":["t"],"policy_snapshot_id":"s","source":"otlp",
        "status":"failed","started_at":"TIME","completed_at":"TIME","root_ended_at":"TIME","termination_reason":"why",
        "completion_metadata":{},"violation":{"step_index":3,"at":"TIME","policy_id":"p","reason":"r"},
        "plan_hash":"HASH","behaviour_hash":"HASH","root_hash":"HASH","run_root":"HASH","seals":1,"entries":9,
        "steps":2,"traces":3,"gaps":{"count":3,"ranges":[[1,3],[5,6]]},"successes":1,"failures":1,
        "cost_cents":"0.25","duration_ms":12.5,"tokens":18446744073709551615,"held":true,"log_index":0,"recorded_at":"TIME"}"#,
    );
    check::<Run>(
        r#"{"run_id":"r","metadata":{},"tags":[],"source":"api","status":"running","started_at":"TIME","seals":0,
        "entries":1,"steps":0,"traces":0,"successes":0,"failures":0,"cost_cents":"0","duration_ms":0,"held":false,
        "log_index":7,"recorded_at":"TIME"}"#,
    );
}

#[test]
fn a_step_reads_as_it_was_written() {
    check::<Step>(
        r#"{"run_id":"r","index":0,"skill_name":"s","params":[1],"status":"retry","outcome_category":"","outcome_code":"c",
        "outcome_data":false,"cost_cents":"1","duration_ms":1e-6,"tokens":0,"retry_count":1,"occurred_at":"TIME",
        "idempotency_key":"k","replay_behavior":"skip","input_hash":"HASH","output_hash":"HASH",
        "rng_state_before":"x","trace_id":"t","log_index":1,"seq":1,"recorded_at":"TIME"}"#,
    );
}

#[test]
fn traces_and_trees_read_as_they_were_written() {
    check::<Trace>(TRACE);
    check::<TreeNode>(&format!(r#"{{"trace":{TRACE},"depth":0,"children":2}}"#));
    check::<TreeNode>(r#"{"missing":"p","depth":0,"children":1}"#);
    check::<TraceCounts>(
        r#"{"total":3,"types":[{"name":"Query","count":3}],"tags":[],"statuses":[{"name":"ok","count":3}],"truncated":false}"#,
    );
}

#[test]
fn the_log_and_its_proofs_read_as_they_were_written() {
    check::<LogEntry>(r#"{"log_index":0,"leaf":{"v":1},"leaf_hash":"HASH","body":{"op":"x"},"salt":"HASH"}"#);
    check::<LogEntry>(r#"{"log_index":0,"leaf":{"v":1},"leaf_hash":"HASH"}"#);
    check::<Head>(r#"{"tree_size":0,"root":"HASH"}"#);
    check::<InclusionProof>(
        r#"{"log_index":1,"leaf_hash":"HASH","tree_size":3,"root":"HASH","hashes":["HASH","HASH"]}"#,
    );
    check::<MultiproofOf>(r#"{"indices":[1,5],"size":7}"#);
    check::<MultiproofOf>(r#"{"indices":[]}"#);
    check::<Multiproof>(r#"{"indices":[1,5],"tree_size":7,"root":"HASH","nodes":["HASH"]}"#);
    check::<ConsistencyProof>(r#"{"from":1,"from_root":"HASH","to":3,"to_root":"HASH","hashes":[]}"#);
}

#[test]
fn a_gap_is_two_ascending_indices() {
    for ranges in ["[[3,1]]", "[[1,1]]", "[[1]]", "[[1,2,3]]"] {
        let text = format!(r#"{{"count":1,"ranges":{ranges}}}"#);
        let read = <tracekeep_core::seal::Gaps as tracekeep_core::wire::Field>::read(
            parse(text.as_bytes()).unwrap(),
            &Path::ROOT,
        );
        let refused = read.unwrap_err();
        assert_eq!((refused.code(), refused.path()), (InvalidCode::InvalidMember, "/ranges"), "{ranges}");
    }
}

/// An end's result of the depth that is recorded stands in the trace's type when it is read. It was recorded one level
/// deeper than any reader of the trace would take.
#[test]
fn the_deepest_result_of_an_end_is_read_back_in_its_trace() {
    let deepest = (0..JSON_DEPTH_MAX - 2).fold(Json::null(), |inner, _| Json::array([inner]));
    let end = EndTrace::new("r".parse().unwrap(), "t".parse().unwrap(), EndStatus::Ok);
    let mut op = Op::EndTrace(EndTrace { result: Some(deepest.clone()), ..end });
    assert_eq!(op.check(), Ok(()));
    let text = TRACE.replace("TIME", T).replace(r#"{"hits":3}"#, deepest.as_str());
    assert!(from_text::<Trace>(text.as_bytes()).is_ok());
}

#[test]
fn a_text_around_records_may_nest_as_much_deeper_as_it_says() {
    let deepest = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let page = format!(r#"{{"items":[{deepest}]}}"#);
    assert!(parse_around(page.as_bytes(), 2).is_ok());
    for levels in [0, 1] {
        let refused = parse_around(page.as_bytes(), levels).unwrap_err();
        assert_eq!(refused.kind().code(), "too_deep");
    }
    assert_eq!(parse_around(b"\"\xff\"", 2).unwrap_err().kind().code(), "invalid_utf8");
}

#[test]
fn statuses_become_those_of_a_reader() {
    for status in FinalStatus::ALL {
        assert_eq!(RunStatus::from(*status).as_str(), status.as_str());
        assert_eq!(status.as_str().parse::<FinalStatus>().as_ref(), Ok(status));
        assert_eq!(CompleteRun::new("r".parse().unwrap(), *status).status.to_string(), status.as_str());
    }
    for status in EndStatus::ALL {
        assert_eq!(TraceStatus::from(*status).as_str(), status.as_str());
    }
    assert_eq!("done".parse::<RunStatus>().unwrap_err().detail(), "must be one of running completed failed aborted");
    let thought = TraceType::Thought { content: String::new(), confidence: None };
    assert_eq!(thought.type_name(), "Thought");
}

#[test]
fn free_objects_print_as_their_text() {
    let object = JsonObject::new(Json::parse(r#"{ "a" : 1.0 }"#).unwrap()).unwrap();
    assert_eq!((object.as_str(), format!("{object:?}")), (r#"{"a":1}"#, r#"{"a":1}"#.to_owned()));
    assert_eq!(Json::from(object.clone()), *object.json());
}

/// The same refusal of JSON, told as the ops' own.
#[test]
fn each_refusal_of_json_keeps_its_code_and_place() {
    for (text, code, path) in [
        (&b"{\"a\":}"[..], "malformed_json", "/a"),
        (b"{\"a\":\"\xff\"}", "invalid_utf8", "/a"),
        (b"{\"a\":1,\"a\":1}", "duplicate_name", "/a"),
        (b"{\"a\":\"\\ud800\"}", "lone_surrogate", "/a"),
        (b"{\"a\":1e400}", "number_out_of_range", "/a"),
    ] {
        let refused = from_text::<Head>(text).unwrap_err();
        assert_eq!((refused.code().as_str(), refused.path()), (code, path));
        assert!(refused.detail().starts_with(&code.replace('_', " ").replace("utf8", "utf")), "{}", refused.detail());
    }
    let deep = "[".repeat(200);
    assert_eq!(from_text::<Head>(deep.as_bytes()).unwrap_err().code(), InvalidCode::TooDeep);
}
