//! What the tests share: both ledgers, short words for values, and a few traces.

use tracekeep::{
    BundleKind, ExportOf, ExportRequest, Exported, Json, JsonObject, Page, PageRequest, RunId, StartRun, Timestamp,
    Trace, TraceId, TraceOptions, TraceStore, TraceType, Tracekeep,
};
use tracekeep_evidence::NoteKey;
use tracekeep_evidence::bundle::{Options, Outcome, Report, verify};

/// Does the same on both ledgers, each with a run of its own.
#[track_caller]
pub(crate) fn on_both(check: impl Fn(&Tracekeep, &RunId)) {
    let folder = tempfile::tempdir().unwrap();
    let in_file = Tracekeep::open(folder.path().join("runs.db")).unwrap();
    for tracekeep in [Tracekeep::open_in_memory(), in_file] {
        let run = StartRun { run_id: Some("r".parse().unwrap()), ..StartRun::default() };
        let run = tracekeep.runs().start_run(run).unwrap();
        check(&tracekeep, &run);
    }
}

pub(crate) fn id(text: &str) -> TraceId {
    text.parse().unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + second * 1_000_000_000)
}

pub(crate) fn thought(content: &str) -> TraceType {
    TraceType::Thought { content: content.into(), confidence: None }
}

pub(crate) fn object(text: &str) -> JsonObject {
    JsonObject::new(Json::parse(text).unwrap()).unwrap()
}

pub(crate) fn ids(page: &Page<Trace>) -> Vec<&str> {
    page.items.iter().map(|trace| trace.id.as_str()).collect()
}

pub(crate) fn all() -> PageRequest {
    PageRequest::default()
}

/// a ─ b ─ c and d: named, one second apart, a tagged "x", the others "x" and "y".
pub(crate) fn four(tracekeep: &Tracekeep, run: &RunId) -> TraceStore {
    let traces = tracekeep.traces();
    for (n, (name, parent)) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("d", None)].into_iter().enumerate() {
        let tags: &[&str] = if n == 0 { &["x"] } else { &["x", "y"] };
        let options = TraceOptions {
            id: Some(id(name)),
            parent_id: parent.map(id),
            occurred_at: Some(at(n.try_into().unwrap())),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..TraceOptions::default()
        };
        let trace_type =
            if name == "d" { TraceType::Custom { name: "plan".into(), data: Json::null() } } else { thought(name) };
        traces.record_with_options(run, trace_type, options).unwrap();
    }
    traces
}

pub(crate) fn run_id(text: &str) -> RunId {
    RunId::new(text).unwrap()
}

/// An export of that kind on Anna's word.
pub(crate) fn by(kind: BundleKind) -> ExportRequest {
    ExportRequest { kind, by: Some("anna".into()), ..ExportRequest::default() }
}

pub(crate) fn export(tracekeep: &Tracekeep, of: &ExportOf, request: &ExportRequest) -> Exported {
    tracekeep.exporter().export(of, request, &|_, _| ()).unwrap()
}

/// What is said of a bundle that the ledger's key verifies: that it passes.
#[track_caller]
pub(crate) fn verified(tracekeep: &Tracekeep, bundle: &[u8]) -> Report {
    let key: NoteKey = tracekeep.signer().declared().unwrap().unwrap().key.parse().unwrap();
    let report = verify(bundle, &[key], &Options::default());
    assert_eq!(report.outcome(), Outcome::Pass, "{}", report.to_json());
    report
}
