//! Exports: gathered from a ledger, and verified by nothing but the key.

use tracekeep::{
    AckStatus, AuditStatus, BundleKind, Contract, Cost, ExportBundleStore, ExportOf, ExportRequest, FinalStatus,
    IncidentId, Json, OpenIncident, PageRequest, Period, RecordStep, Severity, StartRun, Term, Timestamp, TraceType,
    Tracekeep, VerdictStatus,
};

use crate::common::{by, export, on_both, run_id, verified};

fn recorded(tracekeep: &Tracekeep, run: &str) {
    let id = run_id(run);
    let correlation_id = Some("c-1".parse().unwrap());
    let goal = Some("book a flight".to_owned());
    let start = StartRun { run_id: Some(id.clone()), correlation_id, goal, ..StartRun::default() };
    tracekeep.runs().start_run(start).unwrap();
    for index in 0..4 {
        let params = Json::parse(&format!(r#"{{"secret":{index}}}"#)).unwrap();
        let cost_cents: Cost = "0.25".parse().unwrap();
        let step = RecordStep { cost_cents, ..RecordStep::new(id.clone(), index, "search", params) };
        tracekeep.runs().record_step(step).unwrap();
    }
    let arguments = Json::parse(r#"{"card":"none"}"#).unwrap();
    let call = TraceType::ToolCall { tool_name: "pay".into(), arguments, result: None, duration_ms: None };
    tracekeep.traces().record(&id, call).unwrap();
    tracekeep.runs().complete_run(&id, FinalStatus::Failed).unwrap();
}

fn story() -> (Tracekeep, IncidentId) {
    let tracekeep = Tracekeep::open_in_memory();
    recorded(&tracekeep, "r-1");
    recorded(&tracekeep, "r-2");
    let said = OpenIncident {
        incident_id: Some("inc-1".parse().unwrap()),
        policy_id: Some("spend".into()),
        violation_type: Some("cost_limit".into()),
        violation_step_index: Some(3),
        ..OpenIncident::of(run_id("r-1"), Severity::High)
    };
    let id = tracekeep.incidents().open(said).unwrap();
    (tracekeep, id)
}

fn always() -> Period {
    Period { from: Timestamp::from_nanos(0), to: Timestamp::MAX }
}

#[test]
fn a_bundle_of_each_kind_verifies_with_the_key_alone() {
    let (tracekeep, id) = story();
    for kind in [BundleKind::Evidence, BundleKind::Soc2, BundleKind::ExecutiveDebrief] {
        let request = ExportRequest { period: Some(always()), ..by(kind) };
        let made = export(&tracekeep, &ExportOf::Incident(id.clone()), &request);
        let report = verified(&tracekeep, &made.bundle);
        let claims = report.claims.unwrap();
        assert_eq!((claims.incident_id.as_deref(), claims.exported_by.as_str()), (Some("inc-1"), "anna"));
        let shown = report.shown.unwrap();
        assert_eq!((shown.runs.len(), shown.totals.steps), (1, 4));
    }
    let made = export(&tracekeep, &ExportOf::Run(run_id("r-2")), &by(BundleKind::Evidence));
    assert_eq!(verified(&tracekeep, &made.bundle).claims.unwrap().incident_id, None);
}

#[test]
fn the_same_size_and_name_give_the_same_bytes_and_each_export_is_an_entry_above_it() {
    let (tracekeep, id) = story();
    let of = ExportOf::Incident(id);
    let first = export(&tracekeep, &of, &by(BundleKind::Evidence));
    assert!(first.log_index >= first.size, "the export's own entry comes after");
    tracekeep.runs().start_run(StartRun::default()).unwrap();
    let again = ExportRequest { at: Some(first.size), ..by(BundleKind::Evidence) };
    assert!(export(&tracekeep, &of, &again).bundle == first.bundle);
    let other = ExportRequest { by: Some("bert".into()), ..again };
    assert!(export(&tracekeep, &of, &other).bundle != first.bundle);
    let later = export(&tracekeep, &of, &by(BundleKind::Evidence));
    assert!(later.size > first.size && later.bundle != first.bundle);
    let since = ExportRequest { since: Some(first.size), ..by(BundleKind::Evidence) };
    verified(&tracekeep, &export(&tracekeep, &of, &since).bundle);
}

#[test]
fn what_is_withheld_is_proven_to_have_been_there_and_is_nowhere_in_the_bundle() {
    let (tracekeep, id) = story();
    let request = ExportRequest { only_steps: Some(vec![3]), ..by(BundleKind::Evidence) };
    let made = export(&tracekeep, &ExportOf::Incident(id.clone()), &request);
    let has = |bundle: &[u8], text: &str| bundle.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(&made.bundle, r#"{"secret":3}"#) && !has(&made.bundle, r#"{"secret":2}"#));
    assert!(!verified(&tracekeep, &made.bundle).shown.unwrap().withheld.is_empty());
    let traces = tracekeep.traces().list(&run_id("r-1"), &tracekeep::TraceQuery::default()).unwrap();
    let trace = format!("trace/{}/trace_type/arguments", traces.items[0].id);
    let redact = Some(vec!["step/3/params".to_owned(), trace]);
    let made =
        export(&tracekeep, &ExportOf::Incident(id.clone()), &ExportRequest { redact, ..by(BundleKind::Evidence) });
    assert!(!has(&made.bundle, r#"{"secret":3}"#) && !has(&made.bundle, r#"{"card":"none"}"#));
    // And of the seal what would give the step's away.
    assert_eq!(verified(&tracekeep, &made.bundle).shown.unwrap().withheld.len(), 3);
    let refused = |redact: &str| {
        let request = ExportRequest { redact: Some(vec![redact.to_owned()]), ..by(BundleKind::Evidence) };
        let of = ExportOf::Incident(id.clone());
        tracekeep.exporter().export(&of, &request, &|_, _| ()).expect_err("refused").code().to_owned()
    };
    assert_eq!(refused("step/9/params"), "step_not_found");
    assert_eq!(refused("trace/nobody/tags"), "trace_not_found");
    assert_eq!(refused("step/3/index"), "invalid_member");
    assert_eq!(refused("step/3/nothing"), "invalid_member");
    assert_eq!(refused("run/goal"), "invalid_parameter");
}

/// The steps alone that are asked for once came with every trace, which holds what they did, and with related runs whole.
#[test]
fn of_steps_traces_and_related_runs_nothing_is_shown_but_what_is_named() {
    let (tracekeep, id) = story();
    let of = ExportOf::Incident(id);
    let count = |bundle: &[u8], text: &str| bundle.windows(text.len()).filter(|part| *part == text.as_bytes()).count();
    let made = |request: ExportRequest| {
        let made = export(&tracekeep, &of, &request).bundle;
        verified(&tracekeep, &made);
        made
    };
    let both = ExportRequest { related: true, ..by(BundleKind::Evidence) };
    let whole = made(both.clone());
    assert_eq!((count(&whole, r#"{"secret":3}"#), count(&whole, r#"{"card":"none"}"#)), (2, 2));
    let goals = count(&whole, "book a flight");
    let steps = made(ExportRequest { only_steps: Some(vec![3]), ..both.clone() });
    let shown = ["{\"secret\":3}", "{\"secret\":2}", "{\"card\":\"none\"}"].map(|text| count(&steps, text));
    assert_eq!(shown, [1, 0, 0]);
    // The related run's goal stands in its record, and in its row in the report.
    assert!(count(&steps, "book a flight") == goals - 2 && count(&steps, "spend") > 0);
    let traces = tracekeep.traces().list(&run_id("r-1"), &tracekeep::TraceQuery::default()).unwrap();
    let own = traces.items[0].id.clone();
    let traces = made(ExportRequest { only_traces: Some(vec![own.clone()]), ..both.clone() });
    assert_eq!((count(&traces, r#"{"secret":"#), count(&traces, r#"{"card":"none"}"#)), (0, 1));
    let named = ExportRequest { only_traces: Some(vec![own]), only_steps: Some(vec![1]), ..both.clone() };
    let named = made(named);
    assert_eq!((count(&named, r#"{"secret":1}"#), count(&named, r#"{"card":"none"}"#)), (1, 1));
    // What is withheld of a step is withheld of related runs' steps, too, and no seal tells it.
    let redacted = made(ExportRequest { redact: Some(vec!["step/3/params".to_owned()]), ..both });
    assert_eq!((count(&redacted, r#"{"secret":3}"#), count(&redacted, r#"{"secret":2}"#)), (0, 2));
    assert_eq!(count(&redacted, r#"["root_hash","#), 2);
    let nobody = ExportRequest { only_traces: Some(vec!["nobody".parse().unwrap()]), ..by(BundleKind::Evidence) };
    let refused = tracekeep.exporter().export(&of, &nobody, &|_, _| ()).expect_err("refused");
    assert_eq!(refused.code(), "trace_not_found");
}

#[test]
fn what_is_incomplete_is_refused_unless_forced_and_then_says_so() {
    let (tracekeep, id) = story();
    let of = ExportOf::Incident(id);
    let before = tracekeep::LedgerStore::head(&**tracekeep.ledger());
    let before = tracekeep_store::block_on(before).unwrap().tree_size;
    let error = tracekeep.exporter().export(&of, &by(BundleKind::Soc2), &|_, _| ()).expect_err("no period");
    assert_eq!(error.code(), "bundle_incomplete");
    assert!(error.detail().contains("period"), "{error}");
    // The key was declared; no export was stated.
    let after = tracekeep_store::block_on(tracekeep::LedgerStore::head(&**tracekeep.ledger())).unwrap().tree_size;
    assert_eq!(after, before + 1);
    let forced = ExportRequest { force: true, ..by(BundleKind::Soc2) };
    let claims = verified(&tracekeep, &export(&tracekeep, &of, &forced).bundle).claims.unwrap();
    assert_eq!(claims.missing, ["period"]);
    let error =
        tracekeep.exporter().export(&ExportOf::Run(run_id("r-2")), &by(BundleKind::ExecutiveDebrief), &|_, _| ());
    assert_eq!(error.expect_err("no incident").code(), "bundle_incomplete");
}

#[test]
fn a_period_holds_every_run_that_started_in_it() {
    let (tracekeep, _) = story();
    let period = always();
    let made = export(&tracekeep, &ExportOf::Period(period), &by(BundleKind::Period));
    let shown = verified(&tracekeep, &made.bundle).shown.unwrap();
    assert_eq!(shown.runs.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), ["r-1", "r-2"]);
    let nothing = Period { from: Timestamp::from_nanos(0), to: Timestamp::from_nanos(1) };
    let made = export(&tracekeep, &ExportOf::Period(nothing), &by(BundleKind::Period));
    assert!(verified(&tracekeep, &made.bundle).shown.unwrap().runs.is_empty());
}

#[test]
fn a_period_with_an_erased_run_verifies_and_its_report_lists_its_runs() {
    let (tracekeep, _) = story();
    let before = export(&tracekeep, &ExportOf::Period(always()), &by(BundleKind::Period));
    tracekeep.runs().delete_run(&run_id("r-2"), "asked for").unwrap();
    let made = export(&tracekeep, &ExportOf::Period(always()), &by(BundleKind::Period));
    let shown = verified(&tracekeep, &made.bundle).shown.unwrap();
    let erased: Vec<_> = shown.runs.iter().map(|run| (run.run_id.as_str(), run.erased)).collect();
    assert_eq!(erased, [("r-1", 0), ("r-2", 7)]);
    let has = |text: &str| made.bundle.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("<td>r-1</td>") && has("<td>r-2</td>") && has("<td class=\"w\">erased</td>"));
    assert!(!has("No violation is recorded.") && !has("open an incident"));
    // Below the erasure nothing could say why the run is gone.
    let at = ExportRequest { at: Some(before.size), ..by(BundleKind::Period) };
    let refused = tracekeep.exporter().export(&ExportOf::Period(always()), &at, &|_, _| ());
    assert_eq!(refused.expect_err("erased later").code(), "run_erased");
}

#[test]
fn the_report_says_who_withheld_a_member() {
    let (tracekeep, _) = story();
    let of = ExportOf::Run(run_id("r-2"));
    let first = export(&tracekeep, &of, &by(BundleKind::Evidence));
    tracekeep.runs().redact_step(&run_id("r-2"), 1, &["params"], "a secret").unwrap();
    let redact = Some(vec!["step/2/params".to_owned()]);
    let at = ExportRequest { at: Some(first.size), redact, ..by(BundleKind::Evidence) };
    let made = export(&tracekeep, &of, &at);
    verified(&tracekeep, &made.bundle);
    let has = |text: &str| made.bundle.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("redacted in the ledger: input_hash, params") && has("left out by this export: input_hash, params"));
}

#[test]
fn every_key_that_was_declared_below_the_size_is_shown() {
    let (tracekeep, id) = story();
    tracekeep.signer().rotate(tracekeep::Declaring::default()).unwrap();
    let made = export(&tracekeep, &ExportOf::Incident(id), &by(BundleKind::Evidence));
    let report = verified(&tracekeep, &made.bundle);
    assert!(!report.to_json().as_str().contains("key_not_declared"), "{}", report.to_json());
    let kind = br#""kind":"signing_key""#;
    assert_eq!(made.bundle.windows(kind.len()).filter(|part| part == kind).count(), 2);
}

#[test]
fn related_runs_come_along_when_asked_for() {
    let (tracekeep, id) = story();
    let related = ExportRequest { related: true, ..by(BundleKind::Evidence) };
    let made = export(&tracekeep, &ExportOf::Incident(id), &related);
    assert_eq!(verified(&tracekeep, &made.bundle).shown.unwrap().runs.len(), 2);
}

#[test]
fn what_is_written_between_two_reads_is_not_seen() {
    let (tracekeep, id) = story();
    let bundles = tracekeep.export_bundles().unwrap();
    let run = bundles.get_run(&run_id("r-1")).unwrap().unwrap();
    assert_eq!((run.tenant_id.as_str(), run.goal.as_deref()), ("default", Some("book a flight")));
    assert_eq!(run.total_cost_cents.unwrap().to_string(), "1");
    let open = StartRun { run_id: Some(run_id("r-3")), ..StartRun::default() };
    tracekeep.runs().start_run(open).unwrap();
    let pinned = tracekeep.export_bundles().unwrap();
    let step = RecordStep::new(run_id("r-3"), 0, "late", Json::parse("{}").unwrap());
    tracekeep.runs().record_step(step).unwrap();
    tracekeep.runs().complete_run(&run_id("r-3"), FinalStatus::Completed).unwrap();
    let late = OpenIncident { policy_id: Some("p".into()), ..OpenIncident::of(run_id("r-3"), Severity::Low) };
    let late = tracekeep.incidents().open(late).unwrap();
    assert_eq!(bundles.get_run(&run_id("r-3")).unwrap(), None);
    let seen = pinned.get_run(&run_id("r-3")).unwrap().unwrap();
    assert_eq!((seen.completed_at, seen.total_cost_cents.unwrap().to_string().as_str()), (None, "0"));
    assert_eq!(pinned.get_incident(&late).unwrap(), None);
    assert!(pinned.get_steps(&run_id("r-3"), &PageRequest::default()).unwrap().items.is_empty());
    let summary = pinned.get_run_summary(&run_id("r-3")).unwrap().unwrap();
    assert_eq!((summary.violation_step_index, summary.violation_timestamp), (None, None));
    let known = pinned.get_incident(&id).unwrap().unwrap();
    assert_eq!((known.severity, known.source_run_id), (Some(Severity::High), Some(run_id("r-1"))));
    let summary = pinned.get_run_summary(&run_id("r-1")).unwrap().unwrap();
    assert_eq!((summary.trace_id.as_str(), summary.violation_step_index), ("r-1", Some(3)));
    let steps = pinned.get_steps(&run_id("r-1"), &PageRequest::default()).unwrap().items;
    assert_eq!(summary.violation_timestamp, Some(steps[3].timestamp));
    // The incident of the late run says neither at which step nor when: that it was opened is no time of a violation.
    let summary = tracekeep.export_bundles().unwrap().get_run_summary(&run_id("r-3")).unwrap().unwrap();
    assert_eq!((summary.violation_step_index, summary.violation_timestamp), (None, None));
    assert_eq!((steps.len(), steps[3].step_type.as_str(), steps[3].step_index), (4, "search", 3));
    // The run's own late steps are seen by whoever looks later.
    assert!(tracekeep.export_bundles().unwrap().get_run(&run_id("r-3")).unwrap().unwrap().completed_at.is_some());
}

fn options(tracekeep: &Tracekeep, bundle: &[u8]) -> Json {
    let report = verified(tracekeep, bundle).to_json();
    let report = report.value();
    let options = report.as_object().and_then(|report| report.get("claims")?.as_object()?.get("options"));
    options.map_or_else(Json::null, |options| options.to_json())
}

/// A bundle of an earlier size could once be another one without a word of why.
#[test]
fn a_bundle_says_which_redactions_since_its_size_made_it_another() {
    let (tracekeep, _) = story();
    let of = ExportOf::Run(run_id("r-2"));
    let redact = |index, members: &[&str]| {
        tracekeep.runs().redact_step(&run_id("r-2"), index, members, "a secret").unwrap().ops[0].log_index
    };
    let first = export(&tracekeep, &of, &by(BundleKind::Evidence));
    let at = |size| ExportRequest { at: Some(size), ..by(BundleKind::Evidence) };
    let taken = redact(1, &["params"]);
    let again = export(&tracekeep, &of, &at(first.size));
    assert!(again.bundle != first.bundle);
    let said = options(&tracekeep, &again.bundle);
    assert!(said.as_str().contains(&format!(r#""redacted_since":[{taken}]"#)), "{said}");
    assert!(export(&tracekeep, &of, &at(first.size)).bundle == again.bundle, "the same for all who ask now");
    // Above the redaction it stands in the bundle itself.
    let later = export(&tracekeep, &of, &by(BundleKind::Evidence));
    assert!(!options(&tracekeep, &later.bundle).as_str().contains("redacted_since"));
    // One that carries over what an earlier one held leaves nothing to show of that one below itself.
    redact(1, &["skill_name"]);
    let refused = tracekeep.exporter().export(&of, &at(later.size), &|_, _| ());
    assert_eq!(refused.expect_err("nothing could say why").code(), "erased");
    export(&tracekeep, &of, &at(first.size));
    verified(&tracekeep, &export(&tracekeep, &of, &by(BundleKind::Evidence)).bundle);
}

#[test]
fn recommended_members_that_nothing_states_are_stated_as_absent() {
    let (tracekeep, id) = story();
    let absent = r#""absent":["policy_snapshot_id","termination_reason"]"#;
    let made = export(&tracekeep, &ExportOf::Incident(id), &by(BundleKind::Evidence));
    let said = options(&tracekeep, &made.bundle);
    assert!(said.as_str().contains(absent), "{said}");
    let id = run_id("told");
    let start = StartRun { run_id: Some(id.clone()), policy_snapshot_id: Some("p-7".into()), ..StartRun::default() };
    tracekeep.runs().start_run(start).unwrap();
    tracekeep.runs().complete_run(&id, FinalStatus::Completed).unwrap();
    let made = export(&tracekeep, &ExportOf::Run(id), &by(BundleKind::Evidence));
    let said = options(&tracekeep, &made.bundle);
    assert!(said.as_str().contains(r#""absent":["termination_reason"]"#), "{said}");
}

#[test]
fn steps_are_read_as_they_were_while_others_write() {
    let (tracekeep, _) = story();
    let id = run_id("busy");
    tracekeep.runs().start_run(StartRun { run_id: Some(id.clone()), ..StartRun::default() }).unwrap();
    let step = |index: u32| RecordStep::new(id.clone(), index, "search", Json::parse("{}").unwrap());
    for index in (0..40).step_by(2) {
        tracekeep.runs().record_step(step(index)).unwrap();
    }
    let pinned = tracekeep.export_bundles().unwrap();
    let mut page = PageRequest::first(3);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        // Between the steps that are there, and behind them; some before the first page, some in between.
        let writer = scope.spawn(|| {
            for index in (1..40).step_by(2).chain(40..60) {
                tracekeep.runs().record_step(step(index)).unwrap();
            }
        });
        for turn in 0u32.. {
            tracekeep.runs().record_step(step(100 + turn)).unwrap();
            let found = pinned.get_steps(&id, &page).unwrap();
            seen.extend(found.items.into_iter().map(|step| step.step_index));
            page.cursor = found.next_cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        writer.join().unwrap();
    });
    assert_eq!(seen, (0..40).step_by(2).collect::<Vec<_>>());
    let now = tracekeep.export_bundles().unwrap().get_steps(&id, &PageRequest::first(1_000)).unwrap().items;
    assert!(now.len() > 60, "{}", now.len());
}

/// A bundle was once hashed and put together while nobody else could sign.
#[test]
fn others_sign_while_a_bundle_is_signed() {
    let (tracekeep, _) = story();
    let signer = tracekeep.signer();
    let size = signer.checkpoint().unwrap().checkpoint.size;
    let other = || signer.checkpoint().unwrap().checkpoint.size;
    let signed = signer.with_key_at(size, |_| std::thread::scope(|scope| scope.spawn(other).join().unwrap()));
    assert_eq!(signed.unwrap(), size);
}

#[test]
fn a_verdict_of_the_ledger_is_what_the_bundle_finds_too() {
    on_both(|tracekeep, run| {
        let audit = tracekeep.audit();
        let term = |action: &str, optional| Term {
            domain: "payments".into(),
            action: action.into(),
            deadline_ms: 3_600_000,
            optional,
            count: if action == "charge" { 2 } else { 1 },
            liveness: false,
        };
        let terms = vec![term("charge", false), term("mail", true), term("log", false)];
        audit.declare(run, &Contract::new("payments", terms).unwrap()).unwrap();
        audit.ack(run, "payments", "charge", AckStatus::Success).unwrap();
        assert!(audit.update_expectation_status(run, "payments", "log", AuditStatus::Acked).unwrap());
        let compared = |status: &str| {
            let request = ExportRequest { period: Some(always()), ..by(BundleKind::Soc2) };
            let made = export(tracekeep, &ExportOf::Run(run.clone()), &request);
            verified(tracekeep, &made.bundle);
            let said = format!(r#""status":"{status}","what":"what happened was compared"#);
            made.bundle.windows(said.len()).any(|window| window == said.as_bytes())
        };
        assert_eq!(audit.reconcile(run).unwrap().status, VerdictStatus::Pending);
        assert!(compared("not_demonstrated"), "one is pending");
        audit.ack(run, "payments", "charge", AckStatus::Failed).unwrap();
        assert_eq!(audit.reconcile(run).unwrap().status, VerdictStatus::Incomplete);
        assert!(compared("demonstrated"), "that it is missing was found");
        audit.ack(run, "payments", "charge", AckStatus::Success).unwrap();
        assert_eq!(audit.reconcile(run).unwrap().status, VerdictStatus::Complete);
        assert!(compared("demonstrated"), "by a verdict");
        audit.ack(run, "payments", "refund", AckStatus::Success).unwrap();
        assert!(compared("partial"), "of what came later there is none");
        tracekeep.runs().complete_run(run, FinalStatus::Completed).unwrap();
        assert!(compared("demonstrated"), "by the seal's: INCOMPLETE");
    });
}
