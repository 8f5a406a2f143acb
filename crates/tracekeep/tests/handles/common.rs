//! What the tests share: both ledgers, short words for values, and a few traces.

use tracekeep::{
    Json, JsonObject, Page, PageRequest, RunId, StartRun, Timestamp, Trace, TraceId, TraceOptions, TraceStore,
    TraceType, Tracekeep,
};

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
