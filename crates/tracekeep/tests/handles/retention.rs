//! Erasing, holding and withholding, and what went wrong.

use tracekeep::{
    Age, ErrorKind, FinalStatus, GcRequest, HoldOn, IncidentFilter, IncidentQuery, IncidentStatus, OpenIncident, RunId,
    Severity, StartRun, Tracekeep,
};

use crate::common::{all, id, on_both, thought};

/// A run with a tag that has ended.
fn ended(tracekeep: &Tracekeep, name: &str) -> RunId {
    let start = StartRun { run_id: Some(name.parse().unwrap()), tags: vec!["prod".into()], ..StartRun::default() };
    let run = tracekeep.runs().start_run(start).unwrap();
    tracekeep.runs().complete_run(&run, FinalStatus::Completed).unwrap();
    run
}

#[test]
fn what_is_old_goes_and_what_is_held_stays() {
    on_both(|tracekeep, running| {
        let runs = tracekeep.runs();
        let old: Vec<_> = (0..3).map(|n| ended(tracekeep, &format!("old-{n}"))).collect();
        runs.hold(HoldOn::Run(old[0].clone()), "a claim is open").unwrap();
        let held = runs.holds(&all()).unwrap().items;
        assert_eq!((held.len(), held[0].run_id.as_ref(), &*held[0].reason), (1, Some(&old[0]), "a claim is open"));
        let recent = runs.cleanup_old_runs(Age::days(1)).unwrap();
        assert_eq!((recent.erased, recent.held), (0, 0), "all of it ended today");

        let now = GcRequest { older_than: Some("0s".parse().unwrap()), limit: 1, ..GcRequest::default() };
        let asked = runs.gc(&GcRequest { dry_run: true, ..now.clone() }).unwrap();
        assert_eq!((asked.dry_run, asked.erased, asked.held, asked.running), (true, 2, 1, 1));
        let done = runs.gc(&now).unwrap();
        assert_eq!((done.erased, done.held, done.next_cursor), (2, 1, None), "of one run a call");
        assert_eq!(runs.get_run(&old[1]).unwrap_err().kind(), ErrorKind::Gone);
        assert!(runs.get_run(&old[0]).unwrap().is_some());

        runs.release_hold(HoldOn::Run(old[0].clone()), "settled").unwrap();
        runs.hold(HoldOn::Tag("prod".into()), "an audit").unwrap();
        assert_eq!(runs.gc(&now).unwrap().held, 1, "its tag is held");
        assert_eq!(runs.delete_run(&old[0], "asked for").unwrap_err().kind(), ErrorKind::Conflict);
        runs.release_hold(HoldOn::Tag("prod".into()), "over").unwrap();
        runs.delete_run(&old[0], "asked for").unwrap();
        assert_eq!(runs.get_run(&old[0]).unwrap_err().kind(), ErrorKind::Gone);
        assert_eq!(runs.holds(&all()).unwrap().items, []);
        assert!(runs.get_run(running).unwrap().is_some());
    });
}

#[test]
fn a_member_of_a_trace_is_withheld() {
    on_both(|tracekeep, run| {
        let trace = tracekeep.traces().record(run, thought("4111 1111 1111 1111")).unwrap();
        tracekeep.runs().redact_trace(run, &trace, &["trace_type/content"], "a card").unwrap();
        let left = tracekeep.traces().get(run, &trace).unwrap().unwrap();
        assert_eq!(left.withheld.as_deref(), Some(&["trace_type/content".to_owned()][..]));
        assert!(!format!("{left:?}").contains("4111"));
        let unknown = tracekeep.runs().redact_trace(run, &id("nobody"), &["metadata"], "a card").unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn an_incident_is_opened_found_and_resolved() {
    on_both(|tracekeep, run| {
        let incidents = tracekeep.incidents();
        let opened = incidents.open(OpenIncident::of(run.clone(), Severity::High)).unwrap();
        let read = incidents.get_incident(&opened).unwrap().unwrap();
        assert_eq!((read.status, read.severity), (IncidentStatus::Open, Some(Severity::High)));
        assert_eq!(incidents.get_incident(&"nobody".parse().unwrap()).unwrap(), None);
        let open = IncidentQuery {
            filter: IncidentFilter { status: Some(IncidentStatus::Open), ..IncidentFilter::default() },
            ..IncidentQuery::default()
        };
        assert_eq!(incidents.list_incidents(&open).unwrap().items, [read]);
        incidents.resolve(&opened, "the tool is capped").unwrap();
        assert_eq!(incidents.list_incidents(&open).unwrap().items, []);
        let read = incidents.get_incident(&opened).unwrap().unwrap();
        assert_eq!((read.status, read.resolution.as_deref()), (IncidentStatus::Resolved, Some("the tool is capped")));
    });
}
