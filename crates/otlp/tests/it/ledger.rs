//! Through the whole: exports committed into a ledger, and what comes back.
use crate::common::*;
use prost::Message;
use tracekeep_core::id::RunId;
use tracekeep_core::model::TraceStatus;
use tracekeep_otlp::{Answer, Encoding, decode, status_body, unavailable};
use tracekeep_store::{Code, Error, LedgerStore, MemoryLedger, Recorded, TraceQuery, TreeQuery, block_on};

fn send(ledger: &MemoryLedger, spans: Vec<Span>) -> (Answer, Vec<Recorded>) {
    let (batches, pending) = export(&request_of(spans)).into_batches();
    let results = ledger.commit_blocking(batches);
    assert!(unavailable(&results).is_none());
    let outcomes = results.iter().flatten().map(|receipt| receipt.outcome).collect();
    (pending.answer(&results), outcomes)
}

fn numbered(id: u64, parent: u64) -> Span {
    let parent_span_id = if parent == 0 { Vec::new() } else { parent.to_be_bytes().into() };
    Span { span_id: id.to_be_bytes().into(), parent_span_id, name: format!("s{id}"), ..span([]) }
}

fn run_id() -> RunId {
    TRACE_ID.parse().unwrap()
}

fn size(ledger: &MemoryLedger) -> u64 {
    block_on(ledger.head()).unwrap().tree_size
}

fn tree(ledger: &MemoryLedger) -> Vec<(String, u64)> {
    let page = block_on(ledger.tree(&run_id(), &TreeQuery::default())).unwrap();
    page.items.into_iter().map(|node| (node.trace.unwrap().id.to_string(), u64::from(node.depth))).collect()
}

#[test]
fn children_before_parents_are_adopted() {
    let ledger = MemoryLedger::default();
    assert_eq!(send(&ledger, vec![numbered(3, 2), numbered(2, 1)]).0, Answer::default());
    assert_eq!(send(&ledger, vec![numbered(1, 0), numbered(4, 1)]).0, Answer::default());
    let id = |id: u64| format!("{id:016x}");
    assert_eq!(tree(&ledger), [(id(1), 0), (id(2), 1), (id(3), 2), (id(4), 1)]);
    let run = block_on(ledger.run(&run_id())).unwrap().unwrap();
    assert_eq!(run.goal.as_deref(), Some("s1"));
}

#[test]
fn a_request_that_is_sent_again_adds_nothing() {
    let ledger = MemoryLedger::default();
    let spans =
        || vec![numbered(2, 1), numbered(1, 0), Span { start_time_unix_nano: 0, ..numbered(3, 1) }, full_span()];
    let (answer, outcomes) = send(&ledger, spans());
    assert_eq!((answer, outcomes), (Answer::default(), vec![Recorded::Recorded; 4]));
    let before = size(&ledger);
    let (answer, outcomes) = send(&ledger, spans());
    assert_eq!((answer, outcomes), (Answer::default(), vec![Recorded::Duplicate; 4]));
    // In the other encoding, and over a Collector that describes the resource otherwise.
    let mut request = request_of(spans());
    request.resource_spans[0].resource.as_mut().unwrap().attributes.extend(attributes([("k8s.pod.name", text("p"))]));
    let (batches, pending) = decode(&json_of(&request), Encoding::Json).unwrap().into_batches();
    assert_eq!(pending.answer(&ledger.commit_blocking(batches)), Answer::default());
    assert_eq!(size(&ledger), before);
}

#[test]
fn other_content_is_a_conflict_and_changes_nothing() {
    let ledger = MemoryLedger::default();
    send(&ledger, vec![numbered(1, 0)]);
    let before = size(&ledger);
    let (answer, outcomes) = send(&ledger, vec![Span { name: "other".to_owned(), ..numbered(1, 0) }]);
    assert_eq!((answer.rejected_spans, outcomes.len()), (1, 0));
    let expect = "1 of 1 spans refused: span 0000000000000001: conflict, log index ";
    assert!(answer.error_message.starts_with(expect), "{}", answer.error_message);
    assert_eq!(size(&ledger), before);
    assert!(block_on(ledger.trace(&run_id(), &"0000000000000001".parse().unwrap())).unwrap().is_some());
}

#[test]
fn a_span_that_was_open_is_closed_once() {
    let ledger = MemoryLedger::default();
    let open = || Span { end_time_unix_nano: 0, ..numbered(1, 0) };
    let status = || {
        let page = block_on(ledger.traces(&run_id(), &TraceQuery::default())).unwrap();
        assert_eq!(page.items.len(), 1);
        (page.items[0].status, page.items[0].ended_at.is_some())
    };
    send(&ledger, vec![open()]);
    assert_eq!(status(), (TraceStatus::Open, false));
    let closed = Span { attributes: attributes([("late", text("x"))]), ..numbered(1, 0) };
    assert_eq!(send(&ledger, vec![closed.clone()]).1, [Recorded::Recorded]);
    assert_eq!(status(), (TraceStatus::Ok, true));
    let before = size(&ledger);
    assert_eq!(send(&ledger, vec![closed, open()]).1, [Recorded::Duplicate; 2]);
    assert_eq!(send(&ledger, vec![Span { end_time_unix_nano: 9_000_000_000, ..numbered(1, 0) }]).0.rejected_spans, 1);
    assert_eq!(size(&ledger), before);
    let run = block_on(ledger.run(&run_id())).unwrap().unwrap();
    assert_eq!(run.goal.as_deref(), Some("s1"));
}

#[test]
fn refused_spans_are_counted_and_the_first_are_named() {
    let ledger = MemoryLedger::default();
    send(&ledger, vec![numbered(3, 0)]);
    let mut spans: Vec<_> = (1..=9).map(|id| numbered(id, 0)).collect();
    for place in [0, 4, 5, 6, 7] {
        spans[place].trace_id.pop();
    }
    spans[1].span_id.clear();
    spans[2].name.push('x');
    let (answer, outcomes) = send(&ledger, spans);
    assert_eq!((answer.rejected_spans, outcomes.len()), (7, 2));
    let message = &answer.error_message;
    assert!(message.starts_with("7 of 9 spans refused: span 0000000000000001: invalid_id, traceId has 15 bytes"));
    assert!(message.contains("span without id: invalid_id, spanId has 0 bytes instead of 8; "), "{message}");
    assert!(message.contains("span 0000000000000003: conflict, "), "{message}");
    assert!(message.ends_with("; …") && !message.contains("0000000000000007"), "{message}");
}

#[test]
fn what_the_ledger_could_not_do_is_for_the_whole_request() {
    let result = |code: Code| Err(Error::new(code, "no"));
    let ledger = MemoryLedger::default();
    let (batches, _) = export(&request_of(vec![span([])])).into_batches();
    let ok = ledger.commit_blocking(batches).remove(0);
    for code in Code::ALL {
        let item = matches!(
            code,
            Code::InvalidParameter
                | Code::InvalidCursor
                | Code::InvalidBatch
                | Code::RunNotFound
                | Code::StepNotFound
                | Code::TraceNotFound
                | Code::ExpectationNotFound
                | Code::BaselineNotFound
                | Code::ParentNotFound
                | Code::EntryNotFound
                | Code::Conflict
                | Code::Sealed
                | Code::RunRunning
                | Code::Held
                | Code::NotHeld
                | Code::RunErased
                | Code::Erased
                | Code::KeyNotFound
                | Code::LeaseLost
                | Code::InProgress
                | Code::EffectFailed
                | Code::KeyReused
                | Code::IncidentNotFound
                | Code::IncidentOpen
                | Code::AmbiguousTarget
                | Code::BundleIncomplete
                | Code::CheckpointFork
                | Code::KeyMissing
                | Code::ForeignKey
                | Code::NotSigning
                | Code::LocalOnly
        );
        let results = [ok.clone(), result(Code::Conflict), result(*code)];
        assert_eq!(unavailable(&results).map(Error::code), (!item).then_some(code.as_str()));
    }
    assert!(unavailable(&[]).is_none());
}

#[test]
fn responses_in_both_encodings() {
    let full = Answer::default();
    assert_eq!(full.to_body(Encoding::Protobuf), b"");
    assert_eq!(full.to_body(Encoding::Json), b"{}");
    let partial = Answer { rejected_spans: 2, error_message: "a \"b\"".to_owned() };
    assert_eq!(partial.to_body(Encoding::Protobuf), b"\x0a\x09\x08\x02\x12\x05a \"b\"");
    let json = r#"{"partialSuccess":{"errorMessage":"a \"b\"","rejectedSpans":"2"}}"#;
    assert_eq!(partial.to_body(Encoding::Json), json.as_bytes());
    assert_eq!(status_body(3, "bad", Encoding::Protobuf), b"\x08\x03\x12\x03bad");
    assert_eq!(status_body(14, "bu\nsy", Encoding::Json), br#"{"code":14,"message":"bu\nsy"}"#);
    // The messages of the protocol read what was written.
    type Response = opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    let read = Response::decode(&*partial.to_body(Encoding::Protobuf)).unwrap().partial_success.unwrap();
    assert_eq!((read.rejected_spans, read.error_message), (2, partial.error_message));
}
