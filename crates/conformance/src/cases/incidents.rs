//! Incidents: what went wrong, how it ended, and what was handed out.

use serde_json::{Value, json};
use tracekeep_core::TimeRange;
use tracekeep_core::id::IncidentId;
use tracekeep_core::limits::{
    EVIDENCE_MAX, EXPORT_OPTIONS_BYTES_MAX, EXPORTS_OWNED_MAX, INCIDENT_TEXT_BYTES_MAX, STEP_INDEX_MAX,
};
use tracekeep_core::model::{IncidentStatus, Severity};
use tracekeep_core::view::Incident;
use tracekeep_store::{ErrorKind, IncidentFilter, IncidentQuery, Order, PageRequest, Recorded, block_on};

use crate::context::{Context, walk};
use crate::ops::{
    complete, ensure_otlp, erase, export, hold, hold_tag, incident, release, resolve, run_id, start, step, with,
};

cases!("incidents":
    an_incident_reads_as_it_was_opened,
    what_is_left_out_is_filled_in,
    opening_again_is_a_duplicate,
    another_incident_under_the_id_is_a_conflict,
    an_incident_of_an_unknown_run_is_refused,
    an_incident_of_no_run_is_an_entry_of_no_run,
    the_step_is_there_or_may_still_come,
    opening_holds_the_run,
    an_open_incident_keeps_its_run_held,
    a_hold_of_its_own_stands_beside_an_incident,
    resolving_says_how_it_ended_and_is_final,
    resolving_keeps_the_hold,
    an_unknown_incident_is_not_resolved,
    the_first_incident_is_the_runs_violation,
    the_time_of_a_violation_is_what_is_stated,
    the_completion_says_the_violation_before_any_incident,
    incidents_follow_a_seal_and_leave_its_hashes,
    incidents_are_listed_by_when_they_were_opened,
    incidents_are_found_by_status_severity_run_and_time,
    erasing_a_run_takes_its_incidents,
    ids_of_erased_incidents_and_exports_are_never_free_again,
    as_many_incidents_and_exports_as_an_erasure_can_name,
    incidents_of_one_batch_follow_each_other,
    a_key_answers_an_incident_again,
    words_and_numbers_are_bounded,
    an_export_is_stated_once,
    an_export_names_one_thing_that_is_there,
    an_export_says_what_was_given_away,
    an_export_is_of_a_size_that_the_log_had,
);

fn id(text: &str) -> IncidentId {
    IncidentId::new(text).expect("an id")
}

fn read(cx: &Context, text: &str) -> Option<Incident> {
    block_on(cx.ledger().incident(&id(text))).expect("readable")
}

fn ended(cx: &Context, run: &str) {
    cx.record(&[start(run), step(run, 0), complete(run)]);
}

/// Where the entry stands and what it is.
fn event(cx: &Context, log_index: u64) -> (String, String) {
    let event = block_on(cx.ledger().events(log_index, 1)).expect("readable").remove(0);
    (event.run, event.kind)
}

fn an_incident_reads_as_it_was_opened(cx: &mut Context) {
    ended(cx, "r");
    assert_eq!(read(cx, "i"), None);
    let said = json!({
        "severity": "critical", "policy_id": "p-1", "policy_name": "spend", "violation_type": "cost_limit",
        "threshold": {"cents": "100"}, "actual": 250, "violation_step_index": 0, "title": "too much",
        "summary": "it bought\ntwice", "created_at": "2026-01-02T03:04:05Z", "violation_at": "2026-01-02T03:04:04Z",
    });
    let receipt = cx.record(&[with(incident("i", "r"), said)]);
    assert_eq!(receipt.ops[0].id.as_ref().map(|id| id.as_str()), Some("i"));
    let found = read(cx, "i").expect("it was opened");
    assert_eq!((found.incident_id.as_str(), found.run_id.as_ref()), ("i", Some(&run_id("r"))));
    assert_eq!((found.status, found.severity), (IncidentStatus::Open, Some(Severity::Critical)));
    assert_eq!((found.policy_id.as_deref(), found.policy_name.as_deref()), (Some("p-1"), Some("spend")));
    assert_eq!(found.violation_type.as_deref(), Some("cost_limit"));
    assert_eq!(found.threshold.as_ref().map(|json| json.as_str()), Some(r#"{"cents":"100"}"#));
    assert_eq!(found.actual.as_ref().map(|json| json.as_str()), Some("250"));
    assert_eq!((found.violation_step_index, found.title.as_deref()), (Some(0), Some("too much")));
    assert_eq!(found.summary.as_deref(), Some("it bought\ntwice"));
    assert_eq!(found.created_at.to_string(), "2026-01-02T03:04:05.000000000Z");
    assert_eq!(found.violation_at.map(|at| at.to_string()).as_deref(), Some("2026-01-02T03:04:04.000000000Z"));
    assert_eq!((found.log_index, found.resolved_log_index), (receipt.ops[0].log_index, None));
    assert_eq!(event(cx, found.log_index), ("r".to_owned(), "incident".to_owned()));
}

fn what_is_left_out_is_filled_in(cx: &mut Context) {
    ended(cx, "r");
    let receipt = cx.record(&[json!({"op": "open_incident", "run_id": "r", "threshold": null})]);
    let given = receipt.ops[0].id.clone().expect("an id");
    assert!(given.as_str().starts_with("inc-"), "{given}");
    let found = read(cx, given.as_str()).expect("it was opened");
    assert_eq!((found.severity, found.threshold), (None, None));
    assert!(found.created_at <= found.recorded_at);
}

fn opening_again_is_a_duplicate(cx: &mut Context) {
    ended(cx, "r");
    let receipt = cx.record(&[incident("i", "r")]);
    cx.record(&[start("s")]);
    cx.again(&[incident("i", "r")], &receipt);
    cx.record(&[resolve("i")]);
    cx.again(&[incident("i", "r")], &receipt);
}

fn another_incident_under_the_id_is_a_conflict(cx: &mut Context) {
    ended(cx, "r");
    ended(cx, "s");
    cx.record(&[incident("i", "r")]);
    cx.conflict(&[with(incident("i", "r"), json!({"severity": "low"}))], &["severity"]);
    cx.conflict(&[incident("i", "s")], &["run_id"]);
    cx.conflict(&[with(incident("i", "r"), json!({"created_at": "2020-01-01T00:00:00Z"}))], &["created_at"]);
}

fn an_incident_of_an_unknown_run_is_refused(cx: &mut Context) {
    assert_eq!(cx.refuse(&[incident("i", "nobody")], "run_not_found").path(), Some("/ops/0/run_id"));
    assert_eq!(read(cx, "i"), None);
}

fn an_incident_of_no_run_is_an_entry_of_no_run(cx: &mut Context) {
    let receipt = cx.record(&[json!({"op": "open_incident", "incident_id": "i", "title": "the door stood open"})]);
    assert_eq!(event(cx, receipt.ops[0].log_index), (String::new(), "incident".to_owned()));
    let receipt = cx.record(&[resolve("i")]);
    assert_eq!(event(cx, receipt.ops[0].log_index), (String::new(), "incident_resolved".to_owned()));
    assert!(block_on(cx.ledger().holds(&PageRequest::default())).expect("readable").items.is_empty());
    let of_no_run = json!({"op": "open_incident", "incident_id": "j", "violation_step_index": 0});
    assert_eq!(cx.refuse(&[of_no_run], "missing_member").path(), Some("/ops/0/run_id"));
}

fn the_step_is_there_or_may_still_come(cx: &mut Context) {
    let at = |id: &str, run: &str, index: u32| with(incident(id, run), json!({ "violation_step_index": index }));
    cx.record(&[start("r"), step("r", 0)]);
    cx.record(&[at("i", "r", 0), at("j", "r", 7)]);
    cx.record(&[complete("r")]);
    assert_eq!(cx.refuse(&[at("k", "r", 8)], "step_not_found").path(), Some("/ops/0/violation_step_index"));
    cx.record(&[at("k", "r", 0)]);
    cx.record(&[ensure_otlp("o"), complete("o"), at("l", "o", 3)]);
    cx.record(&[start("s"), step("s", 4), complete("s"), at("m", "s", 4)]);
}

fn opening_holds_the_run(cx: &mut Context) {
    ended(cx, "r");
    let receipt = cx.record(&[incident("i", "r")]);
    let held = block_on(cx.ledger().holds(&PageRequest::default())).expect("readable").items;
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].run_id.as_ref(), held[0].reason.as_str()), (Some(&run_id("r")), "incident i"));
    assert_eq!(held[0].log_index, receipt.ops[0].log_index);
    let error = cx.refuse(&[erase("r")], "held");
    assert!(error.detail().contains(&format!("log index {}", receipt.ops[0].log_index)), "{error}");
    ended(cx, "s");
    cx.refuse(&[incident("j", "s"), erase("s")], "held");
}

fn an_open_incident_keeps_its_run_held(cx: &mut Context) {
    ended(cx, "r");
    cx.record(&[incident("i", "r"), incident("j", "r")]);
    let error = cx.refuse(&[release("r")], "incident_open");
    assert_eq!((error.kind(), error.path()), (ErrorKind::Conflict, Some("/ops/0/run_id")));
    cx.record(&[resolve("i")]);
    cx.refuse(&[release("r")], "incident_open");
    cx.record(&[resolve("j"), release("r"), erase("r")]);
}

fn a_hold_of_its_own_stands_beside_an_incident(cx: &mut Context) {
    ended(cx, "r");
    cx.record(&[hold("r"), incident("i", "r")]);
    // The hold that was there keeps its reason, and is not let go of meanwhile.
    let reasons = |cx: &Context| {
        let held = block_on(cx.ledger().holds(&PageRequest::default())).expect("readable").items;
        held.into_iter().map(|held| held.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons(cx), ["a case"]);
    cx.refuse(&[release("r")], "incident_open");
    cx.record(&[resolve("i")]);
    cx.refuse(&[erase("r")], "held");
    cx.record(&[release("r"), erase("r")]);
    // The other way round, the incident's hold becomes one with a reason of its own.
    ended(cx, "s");
    cx.record(&[incident("j", "s")]);
    let receipt = cx.record(&[hold("s")]);
    assert_eq!(reasons(cx), ["a case"]);
    cx.again(&[hold("s")], &receipt);
    cx.refuse(&[release("s")], "incident_open");
    // A tag is let go of whatever incidents there are: the run itself stays held.
    cx.record(&[with(start("t"), json!({"tags": ["a"]})), complete("t"), hold_tag("a"), incident("k", "t")]);
    cx.record(&[json!({"op": "release_hold", "tag": "a", "reason": "closed"})]);
    cx.refuse(&[erase("t")], "held");
}

fn resolving_says_how_it_ended_and_is_final(cx: &mut Context) {
    ended(cx, "r");
    cx.record(&[incident("i", "r")]);
    let said = json!({"resolution": "a limit was set", "by": "anna", "resolved_at": "2026-01-03T00:00:00Z"});
    let receipt = cx.record(&[with(resolve("i"), said.clone())]);
    let found = read(cx, "i").expect("it was opened");
    assert_eq!((found.status, found.resolution.as_deref()), (IncidentStatus::Resolved, Some("a limit was set")));
    assert_eq!(found.resolved_by.as_deref(), Some("anna"));
    assert_eq!(found.resolved_at.map(|at| at.to_string()).as_deref(), Some("2026-01-03T00:00:00.000000000Z"));
    assert_eq!(found.resolved_log_index, Some(receipt.ops[0].log_index));
    assert_eq!(event(cx, receipt.ops[0].log_index), ("r".to_owned(), "incident_resolved".to_owned()));
    cx.again(&[with(resolve("i"), said.clone())], &receipt);
    let unsaid = with(resolve("i"), json!({"resolution": "a limit was set", "by": "anna"}));
    cx.again(&[unsaid], &receipt);
    cx.conflict(&[with(with(resolve("i"), said), json!({"resolution": "nothing"}))], &["resolution"]);
    cx.conflict(&[resolve("i")], &["by", "resolution"]);
}

fn resolving_keeps_the_hold(cx: &mut Context) {
    ended(cx, "r");
    cx.record(&[incident("i", "r"), resolve("i")]);
    cx.refuse(&[erase("r")], "held");
    cx.record(&[release("r")]);
    cx.record(&[erase("r")]);
}

fn an_unknown_incident_is_not_resolved(cx: &mut Context) {
    let error = cx.refuse(&[resolve("i")], "incident_not_found");
    assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, Some("/ops/0/incident_id")));
}

fn the_first_incident_is_the_runs_violation(cx: &mut Context) {
    cx.record(&[start("r"), with(step("r", 3), json!({"occurred_at": "2026-01-01T10:00:00Z"}))]);
    assert_eq!(cx.run("r").violation, None);
    let said = json!({
        "violation_step_index": 3, "policy_id": "p-1", "title": "too much", "created_at": "2026-01-01T11:00:00Z",
    });
    cx.record(&[with(incident("i", "r"), said)]);
    let first = cx.run("r").violation.expect("the incident says it");
    assert_eq!((first.step_index, first.policy_id.as_deref()), (Some(3), Some("p-1")));
    assert_eq!(first.reason.as_deref(), Some("too much"));
    assert_eq!(first.at.map(|at| at.to_string()).as_deref(), Some("2026-01-01T10:00:00.000000000Z"));
    cx.record(&[with(incident("j", "r"), json!({"policy_id": "p-2"}))]);
    assert_eq!(cx.run("r").violation, Some(first.clone()));
    cx.record(&[complete("r")]);
    assert_eq!(cx.run("r").violation, Some(first));
    // Of no step, or of one that has not come, nobody knows when it happened: not when the incident was opened.
    ended(cx, "s");
    cx.record(&[with(incident("k", "s"), json!({"violation_type": "t", "created_at": "2026-01-01T11:00:00Z"}))]);
    let of_none = cx.run("s").violation.expect("the incident says it");
    assert_eq!((of_none.step_index, of_none.reason.as_deref(), of_none.at), (None, Some("t"), None));
}

fn the_time_of_a_violation_is_what_is_stated(cx: &mut Context) {
    cx.record(&[start("r"), with(step("r", 3), json!({"occurred_at": "2026-01-01T10:00:00Z"}))]);
    let said = with(incident("i", "r"), json!({"violation_step_index": 3, "violation_at": "2026-01-01T10:00:01Z"}));
    let receipt = cx.record(std::slice::from_ref(&said));
    cx.again(std::slice::from_ref(&said), &receipt);
    let violation = cx.run("r").violation.expect("the incident says it");
    assert_eq!(violation.at.map(|at| at.to_string()).as_deref(), Some("2026-01-01T10:00:01.000000000Z"));
    cx.conflict(&[with(incident("i", "r"), json!({"violation_step_index": 3}))], &["violation_at"]);
    cx.conflict(&[with(said, json!({"violation_at": "2026-01-01T10:00:02Z"}))], &["violation_at"]);
    // Of an incident of no run, too: no step can tell when.
    let of_none = json!({"op": "open_incident", "incident_id": "n", "violation_at": "2026-01-01T10:00:01Z"});
    cx.record(&[of_none]);
    assert!(read(cx, "n").expect("it was opened").violation_at.is_some());
}

fn the_completion_says_the_violation_before_any_incident(cx: &mut Context) {
    let violated = json!({"violation": {"policy_id": "own", "step_index": 0}});
    cx.record(&[start("r"), step("r", 0), with(complete("r"), violated)]);
    cx.record(&[with(incident("i", "r"), json!({"policy_id": "other"}))]);
    assert_eq!(cx.run("r").violation.and_then(|violation| violation.policy_id).as_deref(), Some("own"));
}

fn incidents_follow_a_seal_and_leave_its_hashes(cx: &mut Context) {
    ended(cx, "r");
    let sealed = cx.run("r");
    cx.record(&[incident("i", "r"), resolve("i"), with(export("x"), json!({"incident_id": "i"}))]);
    let after = cx.run("r");
    assert_eq!((after.root_hash, after.run_root, after.seals), (sealed.root_hash, sealed.run_root, 1));
    assert_eq!(after.entries, sealed.entries + 3);
    cx.refuse(&[step("r", 1)], "sealed");
}

fn opened(id: &str, run: &str, severity: &str, hour: u8) -> Value {
    with(incident(id, run), json!({"severity": severity, "created_at": format!("2026-01-01T{hour:02}:00:00Z")}))
}

fn listed(cx: &Context, query: &IncidentQuery, limit: u32) -> Vec<String> {
    let ledger = cx.ledger();
    let found = walk(limit, |page| block_on(ledger.incidents(&IncidentQuery { page, ..query.clone() })));
    found.into_iter().map(|incident| incident.incident_id.to_string()).collect()
}

fn incidents_are_listed_by_when_they_were_opened(cx: &mut Context) {
    ended(cx, "r");
    for (id, hour) in [("c", 3), ("a", 1), ("d", 3), ("b", 2), ("e", 0)] {
        cx.record(&[opened(id, "r", "low", hour)]);
    }
    for limit in [1, 2, 3, 100] {
        assert_eq!(listed(cx, &IncidentQuery::default(), limit), ["d", "c", "b", "a", "e"]);
        let oldest = IncidentQuery { order: Order::Oldest, ..IncidentQuery::default() };
        assert_eq!(listed(cx, &oldest, limit), ["e", "a", "b", "c", "d"]);
    }
    let bad = IncidentQuery { page: PageRequest { limit: 1, cursor: Some("00".into()) }, ..IncidentQuery::default() };
    assert_eq!(block_on(cx.ledger().incidents(&bad)).expect_err("no cursor").code(), "invalid_cursor");
    let bad = IncidentQuery { page: PageRequest::first(0), ..IncidentQuery::default() };
    assert_eq!(block_on(cx.ledger().incidents(&bad)).expect_err("no page").code(), "invalid_parameter");
}

fn incidents_are_found_by_status_severity_run_and_time(cx: &mut Context) {
    ended(cx, "r");
    ended(cx, "s");
    cx.record(&[opened("a", "r", "low", 1), opened("b", "s", "high", 2), opened("c", "r", "high", 3), resolve("c")]);
    cx.record(&[json!({"op": "open_incident", "incident_id": "n", "created_at": "2026-01-01T04:00:00Z"})]);
    let check = |filter: IncidentFilter, wanted: &[&str]| {
        let query = IncidentQuery { filter, order: Order::Oldest, ..IncidentQuery::default() };
        [1, 50].iter().for_each(|limit| assert_eq!(listed(cx, &query, *limit), wanted, "{query:?}"));
    };
    let f = IncidentFilter::default;
    check(IncidentFilter { status: Some(IncidentStatus::Open), ..f() }, &["a", "b", "n"]);
    check(IncidentFilter { status: Some(IncidentStatus::Resolved), ..f() }, &["c"]);
    check(IncidentFilter { severity: Some(Severity::High), ..f() }, &["b", "c"]);
    check(IncidentFilter { severity: Some(Severity::Critical), ..f() }, &[]);
    check(IncidentFilter { run: Some(run_id("r")), ..f() }, &["a", "c"]);
    check(IncidentFilter { run: Some(run_id("nobody")), ..f() }, &[]);
    let high_of_r = IncidentFilter { run: Some(run_id("r")), severity: Some(Severity::High), ..f() };
    check(high_of_r.clone(), &["c"]);
    check(IncidentFilter { status: Some(IncidentStatus::Open), ..high_of_r }, &[]);
    let time = TimeRange::parse(Some("2026-01-01T02:00:00Z"), Some("2026-01-01T03:00:00Z")).expect("a range");
    check(IncidentFilter { time, ..f() }, &["b"]);
}

fn erasing_a_run_takes_its_incidents(cx: &mut Context) {
    ended(cx, "r");
    cx.record(&[incident("i", "r"), resolve("i"), with(export("x"), json!({"run_id": "r"})), release("r")]);
    cx.record(&[json!({"op": "open_incident", "incident_id": "n"}), erase("r")]);
    gone(cx, "i", "r");
    assert_eq!(listed(cx, &IncidentQuery::default(), 50), ["n"]);
    cx.refuse(&[incident("i", "r")], "erased");
    cx.refuse(&[resolve("i")], "erased");
    cx.refuse(&[with(export("y"), json!({"run_id": "r"}))], "erased");
    cx.refuse(&[with(export("y"), json!({"incident_id": "i"}))], "erased");
    // In one batch, too.
    ended(cx, "s");
    cx.record(&[incident("j", "s"), resolve("j"), release("s"), erase("s")]);
    gone(cx, "j", "s");
    ended(cx, "t");
    cx.refuse(&[incident("k", "t"), resolve("k"), release("t"), erase("t"), resolve("k")], "erased");
}

/// Whoever asks for an incident of an erased run is told what erased it.
#[track_caller]
fn gone(cx: &Context, incident: &str, run: &str) {
    let error = block_on(cx.ledger().incident(&id(incident))).expect_err("it was erased");
    assert_eq!((error.code(), error.kind()), ("run_erased", ErrorKind::Gone), "{error}");
    let of_run = block_on(cx.ledger().run(&run_id(run))).expect_err("erased");
    assert_eq!(error.redaction(), of_run.redaction());
}

/// An incident under the id that evidence given away names could once be opened after an erasure.
fn ids_of_erased_incidents_and_exports_are_never_free_again(cx: &mut Context) {
    for run in ["r", "s", "t"] {
        ended(cx, run);
    }
    let of_incident = with(export("x"), json!({"incident_id": "i"}));
    cx.record(&[incident("i", "r"), of_incident.clone(), incident("kept", "s")]);
    cx.record(&[resolve("i"), with(export("y"), json!({"run_id": "r"})), release("r")]);
    // As ids of their own, the same texts belong to others.
    cx.record(&[with(export("i"), json!({"run_id": "s"})), json!({"op": "open_incident", "incident_id": "x"})]);
    let receipt = cx.record(&[erase("r")]);
    let entry = block_on(cx.ledger().entries(receipt.ops[0].log_index, 1)).expect("readable").remove(0);
    let body: Value = serde_json::from_str(entry.body.expect("a body").as_str()).expect("JSON");
    assert_eq!((&body["incidents"], &body["exports"]), (&json!(["i"]), &json!(["x", "y"])));
    let period = json!({"period": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, "kind": "period"});
    let again = |cx: &mut Context| {
        let unowned = json!({"op": "open_incident", "incident_id": "i"});
        for (op, path) in [
            (incident("i", "s"), "/ops/0/incident_id"),
            (unowned, "/ops/0/incident_id"),
            (of_incident.clone(), "/ops/0/export_id"),
            (with(export("new"), json!({"incident_id": "i"})), "/ops/0/incident_id"),
            (with(export("y"), json!({"run_id": "s"})), "/ops/0/export_id"),
            (with(export("y"), period.clone()), "/ops/0/export_id"),
        ] {
            let error = cx.refuse(std::slice::from_ref(&op), "erased");
            assert_eq!((error.kind(), error.path()), (ErrorKind::Conflict, Some(path)), "{op}");
            let named = format!("log index {}", receipt.ops[0].log_index);
            assert!(error.detail().contains(&named), "{error}");
        }
    };
    again(cx);
    cx.reopen();
    again(cx);
    gone(cx, "i", "r");
    assert!(read(cx, "kept").is_some() && read(cx, "x").is_some());
    // What one batch opens, states and erases is known to the ops behind it.
    let ops =
        [incident("j", "t"), with(export("z"), json!({"incident_id": "j"})), resolve("j"), release("t"), erase("t")];
    let then = |op: Value| ops.iter().cloned().chain([op]).collect::<Vec<_>>();
    cx.refuse(&then(incident("j", "s")), "erased");
    cx.refuse(&then(with(export("z"), json!({"run_id": "s"}))), "erased");
    cx.record(&ops);
    cx.refuse(&[incident("j", "s")], "erased");
    cx.refuse(&[with(export("z"), json!({"run_id": "s"}))], "erased");
}

/// Whoever may write could once take a run's evidence away for good: after as many incidents as an erasure can name no
/// bundle of it was handed out, and after as many exports no incident was opened.
fn as_many_incidents_and_exports_as_an_erasure_can_name(cx: &mut Context) {
    ended(cx, "r");
    ended(cx, "s");
    let (of_run, unowned) = (("r".to_owned(), "export".to_owned()), (String::new(), "export".to_owned()));
    let named = |n: u32| with(export(&format!("{n:05}{}", "\\".repeat(250))), json!({"run_id": "r"}));
    for from in (0..EXPORTS_OWNED_MAX).step_by(1_000) {
        cx.record(&(from..from + 1_000).map(named).collect::<Vec<_>>());
    }
    let of_none = named(EXPORTS_OWNED_MAX);
    let receipt = cx.record(std::slice::from_ref(&of_none));
    assert_eq!(event(cx, receipt.ops[0].log_index - 1), of_run);
    assert_eq!(event(cx, receipt.ops[0].log_index), unowned);
    for from in (EXPORTS_OWNED_MAX..EVIDENCE_MAX).step_by(1_000) {
        cx.record(&(from..from + 1_000).map(|n| incident(&format!("i{n:05}"), "r")).collect::<Vec<_>>());
    }
    assert_eq!(cx.refuse(&[incident("more", "r")], "too_many").path(), Some("/ops/0/run_id"));
    let of_incident = with(export("more"), json!({"incident_id": "i05000"}));
    let receipt = cx.record(&[of_incident.clone(), incident("more", "s")]);
    assert_eq!(event(cx, receipt.ops[0].log_index), unowned);
    cx.refuse(&[with(of_incident.clone(), json!({"by": "another"}))], "conflict");
    for from in (EXPORTS_OWNED_MAX..EVIDENCE_MAX).step_by(1_000) {
        cx.record(&(from..from + 1_000).map(|n| resolve(&format!("i{n:05}"))).collect::<Vec<_>>());
    }
    cx.record(&[release("r"), erase("r")]);
    cx.refuse(&[incident("i09999", "s")], "erased");
    cx.refuse(&[named(EXPORTS_OWNED_MAX - 1)], "erased");
    // What was of no run is still there.
    cx.refuse(&[of_none], "erased");
    assert_eq!(cx.send(&[of_incident]).expect("the same").ops[0].outcome, Recorded::Duplicate);
    let entry = block_on(cx.ledger().entries(receipt.ops[0].log_index, 1)).expect("readable").remove(0);
    assert!(entry.body.is_some_and(|body| body.as_str().contains("i05000")), "{:?}", entry.leaf);
}

fn incidents_of_one_batch_follow_each_other(cx: &mut Context) {
    let receipt = cx.record(&[
        start("r"),
        with(incident("i", "r"), json!({"violation_step_index": 0})),
        step("r", 0),
        complete("r"),
        incident("j", "r"),
        resolve("i"),
        with(export("x"), json!({"incident_id": "i"})),
        with(incident("i", "r"), json!({"violation_step_index": 0})),
        resolve("i"),
    ]);
    let at: Vec<_> = receipt.ops.iter().map(|op| op.log_index - receipt.ops[0].log_index).collect();
    assert_eq!(at, [0, 1, 2, 3, 4, 5, 6, 1, 5]);
    cx.refuse(&[resolve("j"), with(resolve("j"), json!({"resolution": "another"}))], "conflict");
    cx.refuse(&[incident("k", "r"), with(incident("k", "r"), json!({"severity": "low"}))], "conflict");
}

fn a_key_answers_an_incident_again(cx: &mut Context) {
    ended(cx, "r");
    let ops = [incident("i", "r"), resolve("i"), with(export("x"), json!({"incident_id": "i"}))];
    let first = cx.send_under("k", &ops).expect("recorded");
    let again = cx.send_under("k", &ops).expect("the same");
    assert!(again.replayed);
    assert_eq!(again.ops[1].log_index, first.ops[1].log_index);
    let without_ids = [json!({"op": "open_incident", "run_id": "r", "title": "t"})];
    let first = cx.send_under("k2", &without_ids).expect("recorded");
    assert_eq!(cx.send_under("k2", &without_ids).expect("the same").ops[0].id, first.ops[0].id);
    let other = [incident("i", "r"), with(resolve("i"), json!({"resolution": "no"})), ops[2].clone()];
    assert_eq!(cx.send_under("k", &other).expect_err("another").code(), "key_reused");
}

fn words_and_numbers_are_bounded(cx: &mut Context) {
    ended(cx, "r");
    let with_text = |name: &str, text: String| with(incident("i", "r"), json!({ name: text }));
    for name in ["policy_id", "policy_name", "violation_type", "title", "summary"] {
        cx.refuse(&[with_text(name, String::new())], "invalid_member");
        let bytes_max = if name == "summary" { INCIDENT_TEXT_BYTES_MAX as usize } else { 256 };
        let error = cx.refuse(&[with_text(name, "x".repeat(bytes_max + 1))], "too_large");
        assert_eq!(error.path(), Some(&*format!("/ops/0/{name}")));
        let fits = with(with_text(name, "x".repeat(bytes_max)), json!({ "incident_id": name }));
        cx.record(&[fits]);
    }
    let beyond = with(incident("i", "r"), json!({ "violation_step_index": STEP_INDEX_MAX + 1 }));
    cx.refuse(&[beyond], "number_out_of_range");
    cx.refuse(&[with(resolve("title"), json!({"resolution": ""}))], "invalid_member");
    let long = "x".repeat(INCIDENT_TEXT_BYTES_MAX as usize + 1);
    cx.refuse(&[with(resolve("title"), json!({ "resolution": long }))], "too_large");
    cx.refuse(&[with(resolve("title"), json!({"by": ""}))], "invalid_member");
}

fn an_export_is_stated_once(cx: &mut Context) {
    ended(cx, "r");
    cx.record(&[incident("i", "r")]);
    let of_run = with(export("x"), json!({"run_id": "r", "bundle_sha256": "ab".repeat(32)}));
    let receipt = cx.record(std::slice::from_ref(&of_run));
    assert_eq!(event(cx, receipt.ops[0].log_index), ("r".to_owned(), "export".to_owned()));
    cx.again(std::slice::from_ref(&of_run), &receipt);
    cx.conflict(&[with(of_run, json!({"kind": "soc2"}))], &["kind"]);
    let of_incident = cx.record(&[with(export("y"), json!({"incident_id": "i"}))]);
    assert_eq!(event(cx, of_incident.ops[0].log_index).0, "r");
    let period = json!({"period": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, "kind": "period"});
    let of_period = cx.record(&[with(export("z"), period)]);
    assert_eq!(event(cx, of_period.ops[0].log_index), (String::new(), "export".to_owned()));
    let mut forced = with(export("nobody"), json!({"run_id": "r"}));
    forced.as_object_mut().expect("an object").remove("by");
    let receipt = cx.record(std::slice::from_ref(&forced));
    cx.again(std::slice::from_ref(&forced), &receipt);
    cx.conflict(&[with(forced, json!({"by": "anna"}))], &["by"]);
    let mut unnamed = with(export("x"), json!({"run_id": "r"}));
    unnamed.as_object_mut().expect("an object").remove("export_id");
    let given = cx.record(&[unnamed]).ops[0].id.clone().expect("an id");
    assert!(given.as_str().starts_with("export-"), "{given}");
}

fn an_export_names_one_thing_that_is_there(cx: &mut Context) {
    ended(cx, "r");
    cx.record(&[incident("i", "r")]);
    cx.refuse(&[export("x")], "missing_member");
    cx.refuse(&[with(export("x"), json!({"run_id": "r", "incident_id": "i"}))], "missing_member");
    cx.refuse(&[with(export("x"), json!({"run_id": "nobody"}))], "run_not_found");
    cx.refuse(&[with(export("x"), json!({"incident_id": "nobody"}))], "incident_not_found");
    let backwards = json!({"period": {"from": "2026-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}});
    assert_eq!(cx.refuse(&[with(export("x"), backwards)], "invalid_member").path(), Some("/ops/0/period/to"));
    cx.refuse(&[with(export("x"), json!({"run_id": "r", "by": ""}))], "invalid_member");
}

/// The log once said who was handed a bundle of what, and not whether it showed everything or a part.
fn an_export_says_what_was_given_away(cx: &mut Context) {
    ended(cx, "r");
    let earlier = with(export("earlier"), json!({"run_id": "r"}));
    let receipt = cx.record(std::slice::from_ref(&earlier));
    cx.again(std::slice::from_ref(&earlier), &receipt);
    let options = json!({"options": {"only_steps": [3, 7], "related": true}, "forced": false});
    let stated = with(with(export("x"), json!({"run_id": "r"})), options.clone());
    let receipt = cx.record(std::slice::from_ref(&stated));
    cx.again(std::slice::from_ref(&stated), &receipt);
    let entry = block_on(cx.ledger().entries(receipt.ops[0].log_index, 1)).expect("readable").remove(0);
    let body: Value = serde_json::from_str(entry.body.expect("a body").as_str()).expect("JSON");
    assert_eq!((&body["options"], &body["forced"]), (&options["options"], &options["forced"]));
    cx.conflict(&[with(stated.clone(), json!({"options": {}}))], &["options"]);
    cx.conflict(&[with(stated, json!({"forced": true}))], &["forced"]);
    let with_length = |bytes: usize| {
        let options = json!({"options": {"": "x".repeat(bytes - r#"{"":""}"#.len())}});
        with(with(export("long"), json!({"run_id": "r"})), options)
    };
    let refused = cx.refuse(&[with_length(EXPORT_OPTIONS_BYTES_MAX as usize + 1)], "too_large");
    assert_eq!(refused.path(), Some("/ops/0/options"));
    cx.record(&[with_length(EXPORT_OPTIONS_BYTES_MAX as usize)]);
    // Beside a run a period is what the auditor looks at, and no other thing that was exported.
    let period = json!({"run_id": "r", "period": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}});
    let audited = with(with(export("y"), period), json!({"kind": "soc2"}));
    cx.refuse(&[with(audited.clone(), json!({"kind": "period"}))], "missing_member");
    let audited = cx.record(&[audited]);
    assert_eq!(event(cx, audited.ops[0].log_index).0, "r");
}

fn an_export_is_of_a_size_that_the_log_had(cx: &mut Context) {
    ended(cx, "r");
    let of = |size: u64| with(export("x"), json!({"run_id": "r", "size": size}));
    let size = cx.head().tree_size;
    cx.refuse(&[of(0)], "number_out_of_range");
    assert_eq!(cx.refuse(&[of(size + 1)], "number_out_of_range").path(), Some("/ops/0/size"));
    cx.record(&[of(size)]);
}
