//! What is accepted can be read back: op → check → body → op → the same body, whatever stands in it.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_core::id::{Key, RunId, TraceId};
use tracekeep_core::json::{Json, canonical_json};
use tracekeep_core::limits::{JSON_DEPTH_MAX, OP_BYTES_MAX};
use tracekeep_core::model::{
    EndStatus, EndTrace, JsonObject, Kind, Op, Reconcile, RecordStep, RecordTrace, StartRun, TraceStatus, TraceType,
    VerdictBody,
};
use tracekeep_core::seal::{Figures, Fold, KeyBody, Sealed, step_leaves};
use tracekeep_core::view::Trace;
use tracekeep_core::wire::to_json;
use tracekeep_core::{InvalidCode, Timestamp};

use crate::generated::{complete_run, figures, hash, id, json, nest, object, op, record_trace, run_id, step, text};

/// Whether an op would be recorded; if so, that it reads back as what it was.
#[track_caller]
fn check_reads_back(mut op: Op) -> bool {
    if op.check().is_err() {
        return false;
    }
    let body = op.body();
    check_body(&body);
    if body.check_limits().is_err() {
        return false;
    }
    assert_eq!(canonical_json(body.as_str().as_bytes()).as_deref(), Ok(body.as_str()), "the body is canonical");
    let mut read = Op::from_body(body.as_str()).unwrap_or_else(|error| panic!("{error} in {body:?}"));
    assert_eq!(read, op);
    for kind in Kind::ALL {
        assert_eq!(Op::recorded(*kind, body.text()).as_ref(), Ok(&op), "in place, as {kind}");
    }
    assert_eq!(read.body().as_str(), body.as_str());
    read.check().unwrap_or_else(|error| panic!("{error}: a recorded op passes the check again"));
    assert_eq!(read, op, "checking again changes nothing");
    true
}

/// The reader of recorded bodies sees the members that the writer wrote.
#[track_caller]
fn check_body(body: &Body) {
    let read = Body::from_recorded(body.as_str()).unwrap();
    assert!(read.members().eq(body.members()), "{body:?}");
    assert_eq!(read, *body);
    let names: Vec<_> = body.members().map(|(name, _)| name.into_owned()).collect();
    assert!(names.is_sorted(), "{names:?}");
    let salt = Salt::from_bytes([9; 32]);
    assert_eq!(read.commitment(&salt), body.commitment(&salt));
    for (name, value) in body.members() {
        assert_eq!(read.member(&name), Some(value));
    }
}

proptest! {
    #[test]
    fn what_is_accepted_reads_back_as_it_was(op in op()) {
        check_reads_back(op);
    }

    /// The op comes as text, one of its members replaced by anything: what the reader lets pass can be recorded and
    /// read back too.
    #[test]
    fn what_the_reader_accepts_reads_back(op in op(), name in text(), place in any::<prop::sample::Index>(), value in json()) {
        let mut op = op;
        if op.check().is_err() || op.body().check_limits().is_err() {
            return Ok(());
        }
        let text = op.body().as_str().to_owned();
        let read = tracekeep_core::json::parse(text.as_bytes()).unwrap();
        let members = read.as_object().unwrap().clone().into_members();
        let target = place.index(members.len() + 1);
        let mut changed: Vec<(String, Json)> = members
            .iter()
            .enumerate()
            .map(|(at, (name, old))| (name.to_string(), if at == target { value.clone() } else { old.to_json() }))
            .collect();
        if target == members.len() {
            changed.push((name, value));
        }
        let Ok(changed) = Json::object(changed) else { return Ok(()) };
        let Ok(tree) = tracekeep_core::json::parse(changed.as_str().as_bytes()) else { return Ok(()) };
        if let Ok(op) = Op::read(tree) {
            check_reads_back(op);
        }
    }

    #[test]
    fn serde_loses_nothing(free in json(), mut op in record_trace()) {
        prop_assert_eq!(&serde_json::from_slice::<Json>(&serde_json::to_vec(&free).unwrap()).unwrap(), &free);
        prop_assume!(op.check().is_ok());
        let Op::RecordTrace(record) = op else { unreachable!() };
        let text = serde_json::to_string(&record.trace_type).unwrap();
        prop_assert_eq!(&serde_json::from_str::<TraceType>(&text).unwrap(), &record.trace_type);
        let trace = Trace {
            run_id: record.run_id,
            id: "t".parse().unwrap(),
            parent_id: record.parent_id,
            trace_type: record.trace_type,
            occurred_at: Timestamp::MAX,
            ended_at: record.ended_at,
            status: TraceStatus::Open,
            error: None,
            tags: record.tags,
            metadata: record.metadata,
            otel: record.otel,
            redacted: record.redacted,
            withheld: Some(vec!["otel".to_owned()]),
            redacted_by: Some(3),
            late: true,
            orphan: false,
            log_index: u64::MAX,
            seq: 1,
            recorded_at: Timestamp::MIN,
            ended_log_index: None,
        };
        let text = serde_json::to_string(&trace).unwrap();
        let wire = to_json(&trace);
        prop_assert_eq!(&text, wire.as_str());
        prop_assert_eq!(serde_json::from_str::<Trace>(&text).unwrap(), trace);
    }

    #[test]
    fn a_seal_reads_back(op in complete_run(), figures in figures()) {
        let mut checked = Op::CompleteRun(op);
        if checked.check().is_err() {
            return Ok(());
        }
        let Op::CompleteRun(op) = &checked else { unreachable!("the op was made above") };
        let verdict = figures.verdict.clone().filter(|verdict| !verdict.is_null());
        let sealed = Sealed { op: op.clone(), is_own: false, figures: Figures { verdict, ..figures } };
        let body = sealed.body();
        check_body(&body);
        if body.check_limits().is_err() {
            return Ok(());
        }
        let read = Sealed::from_body(body.as_str()).unwrap();
        prop_assert_eq!(&read.body(), &body);
        prop_assert_eq!(&read.op, &sealed.op);
        prop_assert_eq!(&read.figures.gaps, &sealed.figures.gaps);
        // The op that was sent is in it, the figures beside.
        prop_assert_eq!(Op::from_body(body.as_str()).unwrap(), checked);
    }

    #[test]
    fn a_verdict_reads_back(run_id in run_id(), verdict in object()) {
        let verdict = verdict.json().clone();
        let sent = VerdictBody { op: Reconcile { run_id }, verdict };
        let body = sent.body();
        check_body(&body);
        if body.check_limits().is_ok() {
            prop_assert_eq!(VerdictBody::from_body(body.as_str()).unwrap(), sent);
        }
    }

    #[test]
    fn the_body_of_a_key_reads_back(key in id(), ops in vec(any::<u64>(), 0..20)) {
        let sent = KeyBody { key: Key::new(key).unwrap(), ops };
        let body = sent.body();
        check_body(&body);
        prop_assert_eq!(KeyBody::from_body(body.as_str()).unwrap(), sent);
    }

    #[test]
    fn a_fold_reads_back_and_goes_on(steps in vec(step(), 0..20), plan_hash in of(hash()), seed in of(any::<i64>())) {
        let mut fold = Fold::new(plan_hash, seed);
        for (count, step) in steps.iter().enumerate() {
            prop_assert_eq!(fold.steps(), count as u64);
            fold.push(&step_leaves(step));
            prop_assert_eq!(Fold::from_bytes(&fold.to_bytes()), Some(fold.clone()));
        }
    }

    #[test]
    fn members_of_a_view_read_back(step in step()) {
        let mut op = Op::RecordStep(step);
        if op.check().is_err() {
            return Ok(());
        }
        let Op::RecordStep(step) = &op else { unreachable!("the op was made above") };
        let json = to_json(step);
        if json.depth() > JSON_DEPTH_MAX {
            return Ok(());
        }
        prop_assert_eq!(&tracekeep_core::wire::from_text::<RecordStep>(json.as_str().as_bytes()).unwrap(), step);
    }
}

/// The generators reach both sides: most ops are recorded, some are refused for each reason.
#[test]
fn the_generated_ops_are_neither_all_accepted_nor_all_refused() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut refused = std::collections::BTreeMap::<&str, u32>::new();
    let mut accepted = std::collections::BTreeMap::<&str, u32>::new();
    for _ in 0..20_000 {
        let mut op = op().new_tree(&mut runner).unwrap().current();
        let name = op.name();
        match op.check().and_then(|()| op.body().check_limits()) {
            Ok(()) => *accepted.entry(name).or_default() += 1,
            Err(error) => *refused.entry(error.code().as_str()).or_default() += 1,
        }
    }
    assert_eq!(accepted.len(), 21, "{accepted:?}");
    assert!(accepted.values().all(|count| *count > 100), "{accepted:?}");
    for code in ["invalid_member", "too_large", "too_deep", "too_many", "reserved_name", "number_out_of_range"] {
        assert!(refused.contains_key(code), "{code}: {refused:?}");
    }
}

/// Where a value stands decides how deep it may be; at its limit each reads back.
#[track_caller]
fn check_depth(op: impl Fn(Json) -> Op, depth_max: u32) {
    assert!(check_reads_back(op(nest(depth_max))));
    let mut deeper = op(nest(depth_max + 1));
    let refused = deeper.check().and_then(|()| deeper.body().check_limits()).unwrap_err();
    assert_eq!(refused.code(), InvalidCode::TooDeep);
}

#[test]
fn each_op_takes_what_a_reader_can_read_and_nothing_deeper() {
    let run = || RunId::new("r").unwrap();
    check_depth(|json| Op::RecordStep(RecordStep::new(run(), 0, "s", json)), JSON_DEPTH_MAX - 1);
    let custom = |data| TraceType::Custom { name: "c".into(), data };
    check_depth(|json| Op::RecordTrace(RecordTrace::new(run(), custom(json))), JSON_DEPTH_MAX - 2);
    let end = || EndTrace::new(run(), TraceId::new("t").unwrap(), EndStatus::Ok);
    check_depth(|json| Op::EndTrace(EndTrace { result: Some(json), ..end() }), JSON_DEPTH_MAX - 2);
    let start = |metadata| Op::StartRun(StartRun { metadata, ..StartRun::default() });
    let object = |json| JsonObject::new(Json::object([("m", json)]).unwrap()).unwrap();
    check_depth(|json| start(object(json)), JSON_DEPTH_MAX - 2);
}

/// The body of an op with a text of so many bytes in it.
fn sized(bytes: usize) -> Body {
    let goal = Some("x".repeat(bytes));
    Op::StartRun(StartRun { goal, ..StartRun::default() }).body()
}

#[test]
fn an_op_takes_4_mib_and_not_a_byte_more() {
    let frame = sized(0).as_str().len();
    let most = OP_BYTES_MAX as usize - frame;
    assert_eq!(sized(most).check_limits(), Ok(()));
    assert_eq!(sized(most + 1).check_limits().unwrap_err().code(), InvalidCode::TooLarge);
    assert!(Op::from_body(sized(most).as_str()).is_ok());
}

/// Each byte of a body is cut off or replaced: the reader says so or finds members, and never panics.
#[test]
fn a_damaged_body_is_refused_or_read_but_never_a_panic() {
    let custom =
        TraceType::Custom { name: "a\"\\\u{1F600}".into(), data: Json::parse(r#"{"a":[1,{"b":"\\\""}]}"#).unwrap() };
    let trace = RecordTrace { tags: vec!["t".into()], ..RecordTrace::new(RunId::new("r").unwrap(), custom) };
    let body = Op::RecordTrace(trace).body();
    let text = body.as_str();
    for at in 0..text.len() {
        for byte in [None, Some(b'"'), Some(b'\\'), Some(b'{'), Some(b'}'), Some(b','), Some(b'x')] {
            let mut damaged = text.as_bytes().to_vec();
            match byte {
                None => damaged.truncate(at),
                Some(byte) => damaged[at] = byte,
            }
            let Ok(damaged) = String::from_utf8(damaged) else { continue };
            if let Ok(read) = Body::from_recorded(damaged.as_str()) {
                assert!(read.members().all(|(name, value)| name.len() + value.len() <= damaged.len()));
            }
            let _ = Op::from_body(&damaged);
        }
    }
    for text in ["", "{", "{}x", "[]", "null", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1"] {
        assert!(Body::from_recorded(text).is_err(), "{text}");
    }
    assert_eq!(Body::from_recorded("{}").unwrap().members().count(), 0);
}
