//! Reading ops: strict, with the JSON Pointer to what is wrong, and brought into the form that is recorded.

use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::{Hash, input_hash, output_hash};
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::json::{Json, parse};
use tracekeep_core::model::{EndStatus, EndTrace, JsonObject, Op, RecordStep, RecordTrace, TraceStatus, TraceType};
use tracekeep_core::seal::Totals;
use tracekeep_core::{Invalid, InvalidCode};

/// Reads an op as the API does, up to the limits of what is recorded.
fn accept(text: &str) -> Result<Op, Invalid> {
    let mut op = Op::read(parse(text.as_bytes())?)?;
    op.check()?;
    op.body().check_limits()?;
    Ok(op)
}

/// The op is refused with this code at this place.
#[track_caller]
fn check_refused(text: &str, code: &str, path: &str) {
    match accept(text) {
        Ok(op) => panic!("{text} is accepted as {:?}", op.body()),
        Err(error) => assert_eq!((error.code().as_str(), error.path()), (code, path), "{text}: {error}"),
    }
}

/// The op is recorded as this body.
#[track_caller]
fn check_recorded(text: &str, body: &str) {
    match accept(text) {
        Ok(op) => assert_eq!(op.body().as_str(), body),
        Err(error) => panic!("{text}: {error:?}"),
    }
}

/// A step with these members instead of, or beside, those that it must have.
fn step(members: &str) -> String {
    let required =
        [("run_id", "\"r\""), ("index", "0"), ("skill_name", "\"s\""), ("params", "{}"), ("status", "\"success\"")];
    op("record_step", &required, members)
}

fn trace(trace_type: &str, members: &str) -> String {
    op("record_trace", &[("run_id", "\"r\""), ("trace_type", trace_type)], members)
}

/// An op of which `members`, where they name the same, replace the required ones.
fn op(name: &str, required: &[(&str, &str)], members: &str) -> String {
    let mut text = format!("{{\"op\":\"{name}\"");
    for (name, value) in required {
        if !members.contains(&format!("\"{name}\":")) {
            text += &format!(",\"{name}\":{value}");
        }
    }
    if !members.is_empty() {
        text += &format!(",{members}");
    }
    text + "}"
}

const THOUGHT: &str = r#"{"type":"Thought","content":"c"}"#;

#[test]
fn what_is_no_op_is_refused() {
    check_refused("[]", "invalid_member", "");
    check_refused("null", "invalid_member", "");
    check_refused("{", "malformed_json", "");
    check_refused("{}", "missing_member", "/op");
    check_refused(r#"{"op":null}"#, "missing_member", "/op");
    check_refused(r#"{"op":1}"#, "invalid_member", "/op");
    check_refused(r#"{"op":"drop_run"}"#, "invalid_member", "/op");
    check_refused(r#"{"op":"key","key":"k","ops":[]}"#, "invalid_member", "/op");
    check_refused(r#"{"op":"start_run","op":"start_run"}"#, "duplicate_name", "/op");
}

#[test]
fn a_member_that_nobody_knows_is_refused_in_every_op() {
    for (name, required) in [
        ("start_run", ""),
        ("ensure_run", r#","run_id":"r""#),
        ("describe_run", r#","run_id":"r","topic":"root""#),
        ("record_step", r#","run_id":"r","index":0,"skill_name":"s","params":{},"status":"success""#),
        ("record_trace", r#","run_id":"r","trace_type":{"type":"Thought","content":"c"}"#),
        ("end_trace", r#","run_id":"r","id":"t","status":"ok""#),
        ("complete_run", r#","run_id":"r","status":"completed""#),
        ("seal_run", r#","run_id":"r","n":0,"status":"completed""#),
    ] {
        let op = |more: &str| format!("{{\"op\":\"{name}\"{required}{more}}}");
        assert!(accept(&op("")).is_ok(), "{name}");
        check_refused(&op(r#","bogus":1"#), "unknown_member", "/bogus");
        // A name is unknown whatever it holds; null does not make it absent.
        check_refused(&op(r#","bogus":null"#), "unknown_member", "/bogus");
        check_refused(&op(r#","Status":"ok""#), "unknown_member", "/Status");
        check_refused(&op(r#","a/b~c":1"#), "unknown_member", "/a~1b~0c");
    }
}

#[test]
fn a_long_unknown_name_is_cut_in_the_path() {
    let error = accept(&format!(r#"{{"op":"start_run","{}":1}}"#, "é".repeat(100_000))).unwrap_err();
    assert_eq!(error.path(), format!("/{}", "é".repeat(64)));
}

#[test]
fn a_member_that_must_be_there_is_missed_where_it_belongs() {
    for (name, members) in [
        ("ensure_run", &["run_id"][..]),
        ("describe_run", &["run_id", "topic"]),
        ("record_step", &["run_id", "index", "skill_name", "params", "status"]),
        ("record_trace", &["run_id", "trace_type"]),
        ("end_trace", &["run_id", "id", "status"]),
        ("complete_run", &["run_id", "status"]),
    ] {
        let valid = |member: &str| match member {
            "index" => "0",
            "params" => "{}",
            "trace_type" => THOUGHT,
            "status" if name == "record_step" => "\"success\"",
            "status" if name == "end_trace" => "\"ok\"",
            "status" => "\"failed\"",
            _ => "\"x\"",
        };
        for missing in members {
            for null in [false, true] {
                let mut text = format!("{{\"op\":\"{name}\"");
                for member in members {
                    match (member == missing, null) {
                        (false, _) => text += &format!(",\"{member}\":{}", valid(member)),
                        (true, true) => text += &format!(",\"{member}\":null"),
                        (true, false) => {}
                    }
                }
                check_refused(&(text + "}"), "missing_member", &format!("/{missing}"));
            }
        }
    }
}

#[test]
fn a_member_of_the_wrong_type_is_refused_where_it_stands() {
    check_refused(r#"{"op":"start_run","run_id":1}"#, "invalid_member", "/run_id");
    check_refused(r#"{"op":"start_run","plan":{}}"#, "invalid_member", "/plan");
    check_refused(r#"{"op":"start_run","plan":[{},1]}"#, "invalid_member", "/plan/1");
    check_refused(r#"{"op":"start_run","plan":[null]}"#, "invalid_member", "/plan/0");
    check_refused(r#"{"op":"start_run","metadata":[]}"#, "invalid_member", "/metadata");
    check_refused(r#"{"op":"start_run","tags":"t"}"#, "invalid_member", "/tags");
    check_refused(r#"{"op":"start_run","tags":["t",1]}"#, "invalid_member", "/tags/1");
    check_refused(r#"{"op":"start_run","seed":"42"}"#, "invalid_member", "/seed");
    check_refused(r#"{"op":"start_run","source":"cli"}"#, "invalid_member", "/source");
    check_refused(&step(r#""cost_cents":0.25"#), "invalid_member", "/cost_cents");
    check_refused(&step(r#""duration_ms":"12""#), "invalid_member", "/duration_ms");
    check_refused(&step(r#""status":"ok""#), "invalid_member", "/status");
    check_refused(&step(r#""replay_behavior":"Execute""#), "invalid_member", "/replay_behavior");
    check_refused(&step(r#""input_hash":"00""#), "invalid_member", "/input_hash");
    check_refused(&trace("[]", ""), "invalid_member", "/trace_type");
    check_refused(
        &trace(r#"{"type":"Error","error_type":"e","message":"m","recoverable":1}"#, ""),
        "invalid_member",
        "/trace_type/recoverable",
    );
    check_refused(r#"{"op":"complete_run","run_id":"r","status":"running"}"#, "invalid_member", "/status");
    check_refused(
        r#"{"op":"complete_run","run_id":"r","status":"failed","violation":[]}"#,
        "invalid_member",
        "/violation",
    );
}

#[test]
fn numbers_must_fit_where_they_stand() {
    for bad in ["-1", "1.5", "4294967296", "1000000", "1e300"] {
        check_refused(&step(&format!("\"index\":{bad}")), "number_out_of_range", "/index");
    }
    check_recorded_index("999999");
    check_recorded_index("999999.0");
    check_recorded_index("9.99999e5");
    for bad in ["-1", "0.5", "18446744073709551616", "1e20"] {
        check_refused(&step(&format!("\"tokens\":{bad}")), "number_out_of_range", "/tokens");
    }
    check_refused(r#"{"op":"start_run","seed":9223372036854775808}"#, "number_out_of_range", "/seed");
    check_refused(r#"{"op":"start_run","seed":0.5}"#, "number_out_of_range", "/seed");
    for bad in ["-1", "-1e-300", "9223372036854.775", "1e300"] {
        check_refused(&step(&format!("\"duration_ms\":{bad}")), "number_out_of_range", "/duration_ms");
    }
    check_refused(&step(r#""cost_cents":"9223372036854.775808""#), "number_out_of_range", "/cost_cents");
    check_refused(&step(r#""params":{"x":1e400}"#), "number_out_of_range", "/params/x");
}

#[track_caller]
fn check_recorded_index(text: &str) {
    match accept(&step(&format!("\"index\":{text}"))) {
        Ok(Op::RecordStep(step)) => assert_eq!(step.index, 999_999),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn extreme_integers_keep_their_digits() {
    let Ok(Op::StartRun(start)) = accept(r#"{"op":"start_run","seed":-9223372036854775808}"#) else { panic!() };
    assert_eq!(start.seed, i64::MIN);
    let Ok(Op::RecordStep(step)) = accept(&step(r#""tokens":18446744073709551615"#)) else { panic!() };
    assert_eq!(step.tokens, Some(u64::MAX));
    assert_eq!(Op::RecordStep(step).body().member("tokens"), Some("18446744073709551615"));
}

#[test]
fn ids_and_times_follow_their_grammar() {
    check_refused(r#"{"op":"start_run","run_id":""}"#, "invalid_id", "/run_id");
    check_refused(r#"{"op":"start_run","run_id":".."}"#, "invalid_id", "/run_id");
    check_refused(r#"{"op":"start_run","run_id":"a b"}"#, "invalid_id", "/run_id");
    check_refused(r#"{"op":"start_run","run_id":"a\u0000"}"#, "invalid_id", "/run_id");
    check_refused(r#"{"op":"start_run","parent_run_id":"é"}"#, "invalid_id", "/parent_run_id");
    check_refused(&trace(THOUGHT, r#""parent_id":"\n""#), "invalid_id", "/parent_id");
    check_refused(&step(r#""occurred_at":"yesterday""#), "invalid_time", "/occurred_at");
    check_refused(&step(r#""occurred_at":0"#), "invalid_member", "/occurred_at");
    check_refused(&step(r#""occurred_at":"2262-04-11T23:47:16.854775808Z""#), "invalid_time", "/occurred_at");
}

#[test]
fn absent_and_null_members_are_the_same_and_defaults_are_filled_in() {
    let body = r#"{"metadata":{},"op":"start_run","seed":42,"source":"api","tags":[]}"#;
    check_recorded(r#"{"op":"start_run"}"#, body);
    let null = r#"{"op":"start_run","run_id":null,"correlation_id":null,"agent_id":null,"parent_run_id":null,"goal":null,
        "plan":null,"seed":null,"frozen_timestamp":null,"metadata":null,"tags":null,"policy_snapshot_id":null,
        "source":null,"started_at":null}"#;
    check_recorded(null, body);
    check_recorded(r#"{"op":"start_run","seed":42}"#, body);
    check_recorded(
        r#"{"op":"start_run","seed":0,"plan":[]}"#,
        r#"{"metadata":{},"op":"start_run","plan":[],"seed":0,"source":"api","tags":[]}"#,
    );
}

/// What an export showed was not stated by earlier versions: their entries are read, and are the same bytes again.
#[test]
fn an_export_is_the_same_bytes_with_and_without_what_was_given_away() {
    let before = r#"{"by":"anna","export_id":"e","kind":"evidence","op":"record_export","run_id":"r","size":7}"#;
    let since = concat!(
        r#"{"by":"anna","export_id":"e","forced":false,"kind":"evidence","op":"record_export","#,
        r#""options":{"redact":["step/1/params"],"related":false},"run_id":"r","size":7}"#,
    );
    for body in [before, since] {
        check_recorded(body, body);
        assert_eq!(Op::from_body(body).unwrap().body().as_str(), body);
    }
}

#[test]
fn null_stays_inside_free_json() {
    check_recorded(
        r#"{"op":"start_run","metadata":{"a":null,"b":[null]},"plan":[{"c":null}]}"#,
        r#"{"metadata":{"a":null,"b":[null]},"op":"start_run","plan":[{"c":null}],"seed":42,"source":"api","tags":[]}"#,
    );
    // Arguments and data are any JSON, so null is a value of theirs; absent is null.
    let call = r#"{"arguments":null,"tool_name":"t","type":"ToolCall"}"#;
    let recorded = format!(r#"{{"metadata":{{}},"op":"record_trace","run_id":"r","tags":[],"trace_type":{call}}}"#);
    check_recorded(&trace(r#"{"type":"ToolCall","tool_name":"t","result":null,"duration_ms":null}"#, ""), &recorded);
    check_recorded(&trace(r#"{"type":"ToolCall","tool_name":"t","arguments":null}"#, ""), &recorded);
}

#[test]
fn values_are_recorded_in_one_form() {
    let body = |op: &str| accept(op).unwrap().body();
    let member = |members: &str, name: &str| body(&step(members)).member(name).unwrap().to_owned();
    assert_eq!(member(r#""cost_cents":"0.250""#, "cost_cents"), r#""0.25""#);
    assert_eq!(member(r#""cost_cents":"7.000000""#, "cost_cents"), r#""7""#);
    assert_eq!(member(r#""duration_ms":12.50"#, "duration_ms"), "12.5");
    assert_eq!(member(r#""duration_ms":-0.0"#, "duration_ms"), "0");
    assert_eq!(member(r#""duration_ms":1e3"#, "duration_ms"), "1000");
    assert_eq!(
        member(r#""occurred_at":"2026-11-20T12:00:00.5+02:00""#, "occurred_at"),
        r#""2026-11-20T10:00:00.500000000Z""#
    );
    assert_eq!(member(r#""params": { "b" : 1.0, "a" : "\u0041" }"#, "params"), r#"{"a":"A","b":1}"#);
}

#[test]
fn repeated_tags_are_kept_once_in_first_seen_order() {
    let tags = |text: &str| accept(&trace(THOUGHT, text)).unwrap().body().member("tags").unwrap().to_owned();
    assert_eq!(tags(r#""tags":["b","a","b","c","a","b"]"#), r#"["b","a","c"]"#);
    // Texts that look alike are different tags: nothing is normalised.
    assert_eq!(tags(r#""tags":["é","e\u0301"]"#), "[\"é\",\"e\u{301}\"]");
}

#[test]
fn tags_are_bounded_in_number_and_bytes() {
    let tags = |tags: Vec<String>| {
        let tags: Vec<_> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
        format!("{{\"op\":\"start_run\",\"tags\":[{}]}}", tags.join(","))
    };
    let many = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
    assert!(accept(&tags(many(64))).is_ok());
    check_refused(&tags(many(65)), "too_many", "/tags");
    check_refused(&tags(vec!["t".into(); 65]), "too_many", "/tags");
    check_refused(&tags(many(1_000_000)), "too_many", "/tags");
    assert!(accept(&tags(vec!["x".repeat(256)])).is_ok());
    check_refused(&tags(vec!["a".into(), "x".repeat(257)]), "too_large", "/tags/1");
    check_refused(&tags(vec!["é".repeat(129)]), "too_large", "/tags/0");
    check_refused(&tags(vec!["a".into(), String::new()]), "invalid_member", "/tags/1");
}

#[test]
fn names_are_bounded_and_those_of_an_index_are_not_empty() {
    let long = "x".repeat(257);
    let trace_name = |kind: &str, name: &str, value: &str, rest: &str| {
        trace(&format!("{{\"type\":\"{kind}\",\"{name}\":\"{value}\"{rest}}}"), "")
    };
    for (op, path) in [
        (&(|value: &str| step(&format!("\"skill_name\":\"{value}\""))) as &dyn Fn(&str) -> String, "/skill_name"),
        (&|value: &str| format!("{{\"op\":\"start_run\",\"agent_id\":\"{value}\"}}"), "/agent_id"),
        (&|value: &str| format!("{{\"op\":\"start_run\",\"policy_snapshot_id\":\"{value}\"}}"), "/policy_snapshot_id"),
        (&|value: &str| format!("{{\"op\":\"describe_run\",\"run_id\":\"r\",\"topic\":\"{value}\"}}"), "/topic"),
        (
            &|value: &str| {
                format!("{{\"op\":\"describe_run\",\"run_id\":\"r\",\"topic\":\"t\",\"agent_id\":\"{value}\"}}")
            },
            "/agent_id",
        ),
        (
            &|value: &str| {
                format!(
                    "{{\"op\":\"complete_run\",\"run_id\":\"r\",\"status\":\"failed\",\"violation\":{{\"policy_id\":\"{value}\"}}}}"
                )
            },
            "/violation/policy_id",
        ),
        (&|value: &str| trace_name("ToolCall", "tool_name", value, ""), "/trace_type/tool_name"),
        (&|value: &str| trace_name("Query", "query_type", value, r#","query":"q""#), "/trace_type/query_type"),
        (
            &|value: &str| trace_name("Error", "error_type", value, r#","message":"m","recoverable":true"#),
            "/trace_type/error_type",
        ),
        (&|value: &str| trace_name("Custom", "name", value, ""), "/trace_type/name"),
    ] {
        assert!(accept(&op(&long[1..])).is_ok(), "{path}");
        check_refused(&op(&long), "too_large", path);
        check_refused(&op(""), "invalid_member", path);
    }
    for name in ["outcome_category", "outcome_code"] {
        assert!(accept(&step(&format!("\"{name}\":\"\""))).is_ok(), "{name} may be empty");
        check_refused(&step(&format!("\"{name}\":\"{long}\"")), "too_large", &format!("/{name}"));
    }
    assert!(accept(&step(&format!("\"idempotency_key\":\"{}\"", &long[2..]))).is_ok());
    check_refused(&step(&format!("\"idempotency_key\":\"{}\"", &long[1..])), "too_large", "/idempotency_key");
}

#[test]
fn a_custom_trace_may_not_be_named_like_a_built_in_type() {
    for name in ["ToolCall", "Decision", "Query", "Thought", "Error", "Custom"] {
        check_refused(
            &trace(&format!(r#"{{"type":"Custom","name":"{name}"}}"#), ""),
            "reserved_name",
            "/trace_type/name",
        );
    }
    for name in ["toolcall", "Tool", "Custom2"] {
        let Ok(Op::RecordTrace(trace)) = accept(&trace(&format!(r#"{{"type":"Custom","name":"{name}"}}"#), "")) else {
            panic!("{name}")
        };
        assert_eq!(trace.trace_type.type_name(), name);
    }
}

#[test]
fn each_trace_type_takes_its_own_members_alone() {
    let types = [
        ("ToolCall", r#""tool_name":"t""#, r#""arguments":[1],"result":"r","duration_ms":1"#),
        ("Decision", r#""question":"q","options":["a"],"chosen":"a""#, r#""reasoning":"r""#),
        ("Query", r#""query_type":"k","query":"q""#, r#""results_count":18446744073709551615"#),
        ("Thought", r#""content":"c""#, r#""confidence":0.5"#),
        ("Error", r#""error_type":"e","message":"m","recoverable":false"#, ""),
        ("Custom", r#""name":"n""#, r#""data":{"d":null}"#),
    ];
    for (name, required, optional) in types {
        let of = |members: &str| trace(&format!("{{\"type\":\"{name}\",{members}}}"), "");
        assert!(accept(&of(required)).is_ok(), "{name}");
        if !optional.is_empty() {
            assert!(accept(&of(&format!("{required},{optional}"))).is_ok(), "{name}");
        }
        check_refused(&of(&format!("{required},\"bogus\":1")), "unknown_member", "/trace_type/bogus");
        for member in parse(format!("{{{required}}}").as_bytes()).unwrap().as_object().unwrap().iter() {
            let renamed = required.replace(&format!("\"{}\":", member.0), "\"x\":");
            check_refused(&of(&renamed), "missing_member", &format!("/trace_type/{}", member.0));
        }
    }
    check_refused(&trace("{}", ""), "missing_member", "/trace_type/type");
    check_refused(&trace(r#"{"type":"Span"}"#, ""), "invalid_member", "/trace_type/type");
    check_refused(
        &trace(r#"{"type":"Thought","content":"c","tool_name":"t"}"#, ""),
        "unknown_member",
        "/trace_type/tool_name",
    );
    check_refused(
        &trace(r#"{"type":"Decision","question":"q","options":["a",1],"chosen":"a"}"#, ""),
        "invalid_member",
        "/trace_type/options/1",
    );
    check_refused(
        &trace(r#"{"type":"Query","query_type":"k","query":"q","results_count":-1}"#, ""),
        "number_out_of_range",
        "/trace_type/results_count",
    );
}

#[test]
fn a_trace_without_a_stated_status_has_that_of_its_type() {
    #[track_caller]
    fn check(trace_type: &str, members: &str, expected: TraceStatus) {
        let Ok(Op::RecordTrace(trace)) = accept(&trace(trace_type, members)) else { panic!("{trace_type}") };
        assert_eq!(trace.status_now(), expected, "{trace_type} {members}");
    }
    check(r#"{"type":"ToolCall","tool_name":"t"}"#, "", TraceStatus::Open);
    check(r#"{"type":"ToolCall","tool_name":"t","result":null}"#, "", TraceStatus::Open);
    check(r#"{"type":"ToolCall","tool_name":"t","result":0}"#, "", TraceStatus::Ok);
    check(r#"{"type":"ToolCall","tool_name":"t","duration_ms":0}"#, "", TraceStatus::Ok);
    check(r#"{"type":"ToolCall","tool_name":"t"}"#, r#""status":"error""#, TraceStatus::Error);
    check(r#"{"type":"Query","query_type":"k","query":"q"}"#, "", TraceStatus::Open);
    check(r#"{"type":"Query","query_type":"k","query":"q","results_count":0}"#, "", TraceStatus::Ok);
    check(r#"{"type":"Error","error_type":"e","message":"m","recoverable":true}"#, "", TraceStatus::Error);
    check(THOUGHT, "", TraceStatus::Ok);
    check(THOUGHT, r#""status":"open""#, TraceStatus::Open);
}

#[test]
fn a_claimed_step_hash_must_be_the_computed_one() {
    let (input, output) = (input_hash(r#"{"q":1}"#), output_hash("[2]"));
    let with = |input: Hash, output: Hash| {
        step(&format!(r#""params":{{"q":1.0}},"outcome_data":[2],"input_hash":"{input}","output_hash":"{output}""#))
    };
    let Ok(Op::RecordStep(recorded)) = accept(&with(input, output)) else { panic!() };
    assert_eq!((recorded.input_hash, recorded.output_hash), (Some(input), Some(output)));
    check_refused(&with(output, output), "hash_mismatch", "/input_hash");
    check_refused(&with(input, input), "hash_mismatch", "/output_hash");
    // Without an output there is nothing that could hash to it.
    check_refused(&step(&format!(r#""output_hash":"{}""#, output_hash("null"))), "hash_mismatch", "/output_hash");
    let Ok(Op::RecordStep(recorded)) = accept(&step(r#""outcome_data":null"#)) else { panic!() };
    assert_eq!((recorded.outcome_data, recorded.output_hash), (None, None));
}

/// A library's caller can hand in what no JSON text can say: the check brings it into the recorded form.
#[test]
fn null_from_the_library_is_absent_as_on_the_wire() {
    let run = || RunId::new("r").unwrap();
    let mut step = RecordStep::new(run(), 0, "s", Json::empty_object());
    step.outcome_data = Some(Json::null());
    let mut op = Op::RecordStep(step);
    assert_eq!(op.check(), Ok(()));
    assert_eq!(op.body().member("outcome_data"), None);
    let call = TraceType::ToolCall {
        tool_name: "t".into(),
        arguments: Json::null(),
        result: Some(Json::null()),
        duration_ms: None,
    };
    let mut op = Op::RecordTrace(RecordTrace::new(run(), call));
    assert_eq!(op.check(), Ok(()));
    assert_eq!(op.body().member("trace_type/result"), None);
    assert_eq!(op.body().member("trace_type/arguments"), Some("null"));
    let end = EndTrace::new(run(), TraceId::new("t").unwrap(), EndStatus::Ok);
    let mut op = Op::EndTrace(EndTrace { result: Some(Json::null()), ..end });
    assert_eq!(op.check(), Ok(()));
    assert_eq!(op.body().member("result"), None);
    let mut op = Op::RecordStep(RecordStep::new(run(), 0, "s", Json::null()));
    let refused = op.check().unwrap_err();
    assert_eq!((refused.code(), refused.path()), (InvalidCode::MissingMember, "/params"));
}

#[test]
fn a_confidence_from_the_library_must_be_finite() {
    for confidence in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let thought = TraceType::Thought { content: "c".into(), confidence: Some(confidence) };
        let mut op = Op::RecordTrace(RecordTrace::new(RunId::new("r").unwrap(), thought));
        let refused = op.check().unwrap_err();
        assert_eq!((refused.code(), refused.path()), (InvalidCode::NumberOutOfRange, "/trace_type/confidence"));
    }
}

#[test]
fn free_json_that_must_be_an_object_is_one() {
    assert_eq!(JsonObject::new(Json::empty_object()).unwrap(), JsonObject::default());
    for other in [Json::null(), Json::empty_array(), Json::from("{}")] {
        assert_eq!(JsonObject::try_from(other).unwrap_err().code(), InvalidCode::InvalidMember);
    }
    // Nothing is read to tell it: a library's caller can nest arrays deeper than any stack reads.
    let deep = (0..2_000).fold(Json::null(), |inner, _| Json::array([inner]));
    assert!(JsonObject::new(deep).is_err());
}

#[test]
fn members_left_to_be_generated_are_named() {
    let generated = |text: &str| accept(text).unwrap().generated();
    assert_eq!(generated(r#"{"op":"start_run"}"#), ["run_id", "correlation_id", "started_at"]);
    assert_eq!(generated(r#"{"op":"start_run","run_id":"r","started_at":"1970-01-01T00:00:00Z"}"#), ["correlation_id"]);
    assert_eq!(generated(&step("")), ["occurred_at"]);
    assert_eq!(generated(&trace(THOUGHT, "")), ["id", "occurred_at"]);
    assert_eq!(generated(r#"{"op":"end_trace","run_id":"r","id":"t","status":"ok"}"#), [""; 0]);
    assert_eq!(generated(r#"{"op":"complete_run","run_id":"r","status":"failed"}"#), ["completed_at"]);
}

#[test]
fn an_op_says_what_it_is_about() {
    let about = |text: &str| {
        let op = accept(text).unwrap();
        (op.name(), op.run_id().map(RunId::to_string), op.trace_id().map(TraceId::to_string))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(about(r#"{"op":"start_run"}"#), ("start_run", None, None));
    assert_eq!(about(r#"{"op":"ensure_run","run_id":"r"}"#), ("ensure_run", some("r"), None));
    assert_eq!(about(r#"{"op":"describe_run","run_id":"r","topic":"root"}"#), ("describe_run", some("r"), None));
    assert_eq!(about(&step("")), ("record_step", some("r"), None));
    assert_eq!(about(&trace(THOUGHT, r#""id":"t""#)), ("record_trace", some("r"), some("t")));
    let end = r#"{"op":"end_trace","run_id":"r","id":"t","status":"ok"}"#;
    assert_eq!(about(end), ("end_trace", some("r"), some("t")));
    assert_eq!(about(r#"{"op":"complete_run","run_id":"r","status":"failed"}"#), ("complete_run", some("r"), None));
}

#[test]
fn what_the_ledger_computes_cannot_be_sent() {
    for member in ["n", "run_root", "entries", "steps", "traces", "gaps", "totals", "verdict"] {
        let text = format!(r#"{{"op":"complete_run","run_id":"r","status":"failed","{member}":1}}"#);
        check_refused(&text, "unknown_member", &format!("/{member}"));
    }
}

#[test]
fn a_total_that_would_overflow_is_refused_and_changes_nothing() {
    let step = |cost: i64, ms: f64, tokens: Option<u64>| RecordStep {
        cost_cents: Cost::from_micro_cents(cost).unwrap(),
        duration_ms: DurationMs::new(ms).unwrap(),
        tokens,
        ..RecordStep::new(RunId::new("r").unwrap(), 0, "s", Json::empty_object())
    };
    let mut totals = Totals::default();
    totals.add(&step(i64::MAX - 1, 0.0, None)).unwrap();
    assert_eq!(totals.tokens, None, "no step states any");
    totals.add(&step(1, DurationMs::MAX.as_ms(), Some(u64::MAX))).unwrap();
    let before = totals;
    for (step, path) in
        [(step(1, 0.0, None), "/cost_cents"), (step(0, 1.0, None), "/duration_ms"), (step(0, 0.0, Some(1)), "/tokens")]
    {
        let refused = totals.add(&step).unwrap_err();
        assert_eq!((refused.code(), refused.path()), (InvalidCode::NumberOutOfRange, path));
        assert_eq!(totals, before);
    }
    assert_eq!(totals.cost().to_string(), "9223372036854.775807");
    assert_eq!(totals.duration(), DurationMs::MAX);
    assert_eq!(totals.successes, 2);
}

/// Each code is a stable word of its own, and its text shows no payload.
#[test]
fn codes_are_distinct_snake_case_words() {
    let codes: std::collections::BTreeSet<_> = InvalidCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), InvalidCode::ALL.len());
    assert!(
        codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'8'))
    );
    let error = accept(&step(r#""skill_name":7777"#)).unwrap_err();
    assert_eq!(error.to_string(), "/skill_name: must be a string, is number");
    assert_eq!(error.under("/ops/3").path(), "/ops/3/skill_name");
}

#[test]
fn the_forms_are_those_of_every_op() {
    let names = Op::shapes().map(|(name, _)| name);
    let unknown = accept(r#"{"op":"no_such_op"}"#).unwrap_err();
    assert_eq!(unknown.detail(), format!("must be one of {}", names.join(" ")));
}

#[test]
fn a_missing_member_names_the_one_that_may_have_been_meant() {
    let detail =
        |text: &str| Op::read(tracekeep_core::json::parse(text.as_bytes()).unwrap()).unwrap_err().detail().to_owned();
    let step = r#"{"op":"record_step","run_id":"r","index":0,"skil_name":"s","params":{},"status":"success"}"#;
    assert_eq!(detail(step), "is required, and \"skil_name\" is not a member here");
    assert_eq!(detail(&step.replace("\"skil_name\":\"s\",", "")), "is required");
    // Of an inner object, the outer one's members say nothing.
    let run = r#"{"op":"record_trace","run_id":"r","trace_type":{"type":"Thought"},"x":1}"#;
    assert_eq!(detail(run), "is required");
}
