//! What is accepted can be read back: op → check → body → op → the same body, whatever stands in it.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::id::{CorrelationId, Key, RunId, TraceId};
use tracekeep_core::json::{Json, canonical_json};
use tracekeep_core::limits::{JSON_DEPTH_MAX, OP_BYTES_MAX, STEP_INDEX_MAX};
use tracekeep_core::model::{
    BundleKind, CompleteRun, DeclareKey, DescribeRun, EffectGate, EndStatus, EndTrace, EnsureRun, EraseRun,
    FinalStatus, Hold, JsonObject, KeyReason, Kind, Op, OpenIncident, Period, RecordExport, RecordStep, RecordTrace,
    Redact, Redacted, RedactedCounts, ReleaseHold, ReplayBehavior, ResolveIncident, SealRun, SetBaseline, Severity,
    Source, StartRun, StepStatus, TraceStatus, TraceType, Violation,
};
use tracekeep_core::seal::{Figures, Fold, Gaps, KeyBody, Sealed, Totals, step_leaves};
use tracekeep_core::view::Trace;
use tracekeep_core::wire::to_json;
use tracekeep_core::{InvalidCode, Timestamp};

/// Text in which all that is special in JSON, UTF-8 and UTF-16 is likely.
fn text() -> BoxedStrategy<String> {
    let char = prop_oneof![
        6 => proptest::char::range('a', 'e'),
        2 => proptest::char::range('\0', '\u{7f}'),
        2 => proptest::sample::select(vec!['"', '\\', '{', '}', '[', ']', ',', ':', '/', '~', '\0', '\u{7f}']),
        1 => proptest::char::range('\u{d7f0}', '\u{e010}'),
        1 => proptest::char::range('\u{fff0}', '\u{10010}'),
        1 => any::<char>(),
    ];
    prop_oneof![
        20 => vec(char, 0..12).prop_map(String::from_iter),
        1 => (250usize..260).prop_map(|length| "x".repeat(length)),
        1 => Just("ToolCall".to_owned()),
    ]
    .boxed()
}

/// Number tokens at the edges: of integers, of doubles, of what a sender may spell.
fn number() -> BoxedStrategy<String> {
    prop_oneof![
        any::<i64>().prop_map(|x| x.to_string()),
        any::<u64>().prop_map(|x| x.to_string()),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
        (any::<i8>(), -330i32..306).prop_map(|(x, e)| format!("{x}e{e}")),
        proptest::sample::select(vec![
            "-0",
            "-0.0",
            "0e0",
            "1.0",
            "1e21",
            "1e-7",
            "5e-324",
            "1e-400",
            "9007199254740993",
            "295147905179352825856",
            "1.7976931348623157e308",
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

/// Free JSON, now and then as deep as the limit or a little deeper.
fn json() -> BoxedStrategy<Json> {
    let string = |text: String| Json::from(text).as_str().to_owned();
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        number(),
        text().prop_map(move |text| Json::from(text).as_str().to_owned()),
    ];
    let document = leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" , "))),
            proptest::collection::btree_map(text(), inner, 0..5).prop_map(move |members| {
                let members: Vec<_> =
                    members.into_iter().rev().map(|(name, value)| string(name) + ":" + &value).collect();
                format!("{{ {} }}", members.join(","))
            }),
        ]
    });
    prop_oneof![
        12 => document.prop_map(|text| Json::parse(&text).unwrap()),
        1 => (JSON_DEPTH_MAX - 4..JSON_DEPTH_MAX + 3).prop_map(nest),
    ]
    .boxed()
}

/// Arrays in arrays; built without the reader, so that it may be deeper than the reader takes.
fn nest(depth: u32) -> Json {
    (0..depth).fold(Json::from("\"[{\\"), |inner, _| Json::array([inner]))
}

fn object() -> BoxedStrategy<JsonObject> {
    prop_oneof![
        1 => Just(JsonObject::default()),
        3 => (text(), json()).prop_filter_map("too deep", |(name, value)| {
            Some(JsonObject::new(Json::object([(name, value)]).ok()?).unwrap())
        }),
    ]
    .boxed()
}

fn id() -> BoxedStrategy<String> {
    prop_oneof![10 => "[!-~]{1,12}", 1 => "[!-~]{250,255}"].prop_filter("dots", |id| id != "." && id != "..").boxed()
}

fn run_id() -> BoxedStrategy<RunId> {
    id().prop_map(|id| RunId::new(id).unwrap()).boxed()
}

fn trace_id() -> BoxedStrategy<TraceId> {
    id().prop_map(|id| TraceId::new(id).unwrap()).boxed()
}

fn time() -> BoxedStrategy<Timestamp> {
    prop_oneof![8 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(0)]
        .prop_map(Timestamp::from_nanos)
        .boxed()
}

fn duration() -> BoxedStrategy<DurationMs> {
    prop_oneof![
        any::<f64>().prop_map(|x| DurationMs::new(x.abs()).unwrap_or(DurationMs::MAX)),
        any::<i64>().prop_map(DurationMs::from_nanos),
        (0u32..1_000_000).prop_map(|x| DurationMs::new(f64::from(x) / 1e3).unwrap()),
    ]
    .boxed()
}

fn cost() -> BoxedStrategy<Cost> {
    prop_oneof![0..=i64::MAX, 0i64..10_000_000].prop_map(|micro| Cost::from_micro_cents(micro).unwrap()).boxed()
}

fn hash() -> BoxedStrategy<Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes).boxed()
}

fn tags() -> BoxedStrategy<Vec<String>> {
    prop_oneof![20 => vec(text(), 0..4), 1 => vec("[a-z]{1,4}", 60..68)].boxed()
}

fn word<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn start_run() -> BoxedStrategy<Op> {
    (
        (of(run_id()), of(id()), of(text()), of(run_id()), of(text()), of(vec(object(), 0..3))),
        (any::<i64>(), of(time()), object(), tags(), of(text()), word(Source::ALL), of(time())),
    )
        .prop_map(|((run_id, correlation_id, agent_id, parent_run_id, goal, plan), rest)| {
            let (seed, frozen_timestamp, metadata, tags, policy_snapshot_id, source, started_at) = rest;
            Op::StartRun(StartRun {
                run_id,
                correlation_id: correlation_id.map(|id| CorrelationId::new(id).unwrap()),
                agent_id,
                parent_run_id,
                goal,
                plan,
                seed,
                frozen_timestamp,
                metadata,
                tags,
                policy_snapshot_id,
                source,
                started_at,
                redacted: None,
                idempotency_store: None,
            })
        })
        .boxed()
}

fn describe_run() -> BoxedStrategy<Op> {
    (run_id(), text(), of(text()), of(text()), of(time()), of(time()), object())
        .prop_map(|(run_id, topic, agent_id, goal, started_at, ended_at, metadata)| {
            Op::DescribeRun(DescribeRun {
                run_id,
                topic,
                agent_id,
                goal,
                started_at,
                ended_at,
                metadata,
                redacted: None,
            })
        })
        .boxed()
}

fn step() -> BoxedStrategy<RecordStep> {
    (
        (run_id(), 0..=STEP_INDEX_MAX + 1, text(), json(), word(StepStatus::ALL), text(), of(text()), of(json())),
        (cost(), duration(), of(any::<u64>()), any::<u32>(), of(time()), of(text())),
        (word(ReplayBehavior::ALL), of(text()), of(trace_id())),
    )
        .prop_map(|(first, second, third)| {
            let (run_id, index, skill_name, params, status, outcome_category, outcome_code, outcome_data) = first;
            let (cost_cents, duration_ms, tokens, retry_count, occurred_at, idempotency_key) = second;
            let (replay_behavior, rng_state_before, trace_id) = third;
            RecordStep {
                run_id,
                index,
                skill_name,
                params,
                status,
                outcome_category,
                outcome_code,
                outcome_data,
                cost_cents,
                duration_ms,
                tokens,
                retry_count,
                occurred_at,
                idempotency_key,
                replay_behavior,
                input_hash: None,
                output_hash: None,
                rng_state_before,
                trace_id,
                redacted: None,
            }
        })
        .boxed()
}

fn trace_type() -> BoxedStrategy<TraceType> {
    prop_oneof![
        (text(), json(), of(json()), of(duration())).prop_map(|(tool_name, arguments, result, duration_ms)| {
            TraceType::ToolCall { tool_name, arguments, result, duration_ms }
        }),
        (text(), vec(text(), 0..3), text(), of(text())).prop_map(|(question, options, chosen, reasoning)| {
            TraceType::Decision { question, options, chosen, reasoning }
        }),
        (text(), text(), of(any::<u64>()))
            .prop_map(|(query_type, query, results_count)| { TraceType::Query { query_type, query, results_count } }),
        (text(), of(proptest::num::f64::ANY))
            .prop_map(|(content, confidence)| TraceType::Thought { content, confidence }),
        (text(), text(), any::<bool>())
            .prop_map(|(error_type, message, recoverable)| { TraceType::Error { error_type, message, recoverable } }),
        (text(), json()).prop_map(|(name, data)| TraceType::Custom { name, data }),
    ]
    .boxed()
}

fn record_trace() -> BoxedStrategy<Op> {
    (
        (run_id(), of(trace_id()), of(trace_id()), trace_type(), of(time()), of(time())),
        (of(word(TraceStatus::ALL)), tags(), object(), of(object())),
    )
        .prop_map(|((run_id, id, parent_id, trace_type, occurred_at, ended_at), (status, tags, metadata, otel))| {
            Op::RecordTrace(RecordTrace {
                run_id,
                id,
                parent_id,
                trace_type,
                occurred_at,
                ended_at,
                status,
                tags,
                metadata,
                otel,
                redacted: None,
            })
        })
        .boxed()
}

fn end_trace() -> BoxedStrategy<Op> {
    (
        (run_id(), trace_id(), word(EndStatus::ALL), of(time())),
        (of(json()), of(duration()), of(any::<u64>()), of(text())),
    )
        .prop_map(|((run_id, id, status, ended_at), (result, duration_ms, results_count, error))| {
            Op::EndTrace(EndTrace {
                run_id,
                id,
                status,
                ended_at,
                result,
                duration_ms,
                results_count,
                error,
                redacted: None,
            })
        })
        .boxed()
}

fn complete_run() -> BoxedStrategy<CompleteRun> {
    let violation = (of(any::<u32>()), of(time()), of(text()), of(text()))
        .prop_map(|(step_index, at, policy_id, reason)| Violation { step_index, at, policy_id, reason });
    (
        (run_id(), word(FinalStatus::ALL), of(text()), object(), of(violation)),
        (of(hash()), of(hash()), of(hash()), of(time())),
    )
        .prop_map(|((run_id, status, termination_reason, metadata, violation), rest)| {
            let (plan_hash, behaviour_hash, root_hash, completed_at) = rest;
            CompleteRun {
                run_id,
                status,
                termination_reason,
                metadata,
                violation,
                plan_hash,
                behaviour_hash,
                root_hash,
                completed_at,
                redacted: None,
            }
        })
        .boxed()
}

/// Erasing a run, holding it or a tag, and letting go of it.
fn erasure(which: u8) -> BoxedStrategy<Op> {
    let on = prop_oneof![
        run_id().prop_map(|run_id| (Some(run_id), None)),
        text().prop_map(|tag| (None, Some(tag))),
        Just((None, None)),
    ];
    (run_id(), on, text(), of(text()))
        .prop_map(move |(named, (run_id, tag), reason, by)| match which {
            0 => Op::EraseRun(EraseRun { run_id: named, reason, by, redacted: None }),
            1 => Op::Hold(Hold { run_id, tag, reason, by, redacted: None }),
            _ => Op::ReleaseHold(ReleaseHold { run_id, tag, reason, by, redacted: None }),
        })
        .boxed()
}

/// Withholding members of a step or a trace, of both, or of neither.
fn redact() -> BoxedStrategy<Op> {
    let names = vec!["params", "outcome_data", "tags", "otel", "trace_type/arguments", "status", "id", ""];
    let names = proptest::sample::select(names);
    let members = vec(prop_oneof![names.prop_map(str::to_owned), text()], 0..4);
    (run_id(), of(0..=STEP_INDEX_MAX + 1), of(trace_id()), members, (text(), of(text())))
        .prop_map(|(run_id, step, trace, members, (reason, by))| {
            Op::Redact(Redact { run_id, step, trace, members, reason, by, redacted: None })
        })
        .boxed()
}

fn open_incident() -> BoxedStrategy<Op> {
    let policy = (of(text()), of(text()), of(text()), of(json()), of(json()));
    let words = (of(0..=STEP_INDEX_MAX + 1), of(text()), of(text()), of(time()));
    (of(run_id()), of(run_id()), of(word(Severity::ALL)), policy, words)
        .prop_map(|(id, run_id, severity, policy, words)| {
            let (policy_id, policy_name, violation_type, threshold, actual) = policy;
            let (violation_step_index, title, summary, created_at) = words;
            Op::OpenIncident(OpenIncident {
                incident_id: id.map(|id| id.as_str().parse().unwrap()),
                run_id,
                severity,
                policy_id,
                policy_name,
                violation_type,
                threshold,
                actual,
                violation_step_index,
                title,
                summary,
                created_at,
                redacted: None,
            })
        })
        .boxed()
}

fn record_export() -> BoxedStrategy<Op> {
    let of_what = prop_oneof![
        run_id().prop_map(|id| (Some(id), None, None)),
        run_id().prop_map(|id| (None, Some(id), None)),
        (time(), time()).prop_map(|period| (None, None, Some(period))),
        of(run_id()).prop_map(|id| (id.clone(), id, None)),
    ];
    (of(run_id()), of_what, word(BundleKind::ALL), any::<u64>(), text(), of(hash()))
        .prop_map(|(id, (incident, run_id, period), kind, size, by, bundle_sha256)| {
            Op::RecordExport(RecordExport {
                export_id: id.map(|id| id.as_str().parse().unwrap()),
                incident_id: incident.map(|id| id.as_str().parse().unwrap()),
                run_id,
                period: period.map(|(from, to)| Period { from, to }),
                kind,
                size,
                by,
                bundle_sha256,
            })
        })
        .boxed()
}

/// What the door states of an op.
fn redacted() -> impl Strategy<Value = Redacted> {
    (text(), vec(of(any::<u64>()), 5)).prop_map(|(rules, counts)| {
        let counts =
            RedactedCounts { card: counts[0], email: counts[1], field: counts[2], key: counts[3], token: counts[4] };
        Redacted { rules, counts }
    })
}

fn op() -> BoxedStrategy<Op> {
    let op = prop_oneof![
        start_run(),
        (run_id(), word(Source::ALL)).prop_map(|(run_id, source)| Op::EnsureRun(EnsureRun {
            run_id,
            source,
            idempotency_store: None
        })),
        describe_run(),
        step().prop_map(Op::RecordStep),
        record_trace(),
        end_trace(),
        complete_run().prop_map(Op::CompleteRun),
        (run_id(), any::<u64>(), word(FinalStatus::ALL), of(time()))
            .prop_map(|(run_id, n, status, completed_at)| { Op::SealRun(SealRun { run_id, n, status, completed_at }) }),
        redact(),
        erasure(0),
        erasure(1),
        erasure(2),
        (run_id(), run_id(), of(text()), of(text())).prop_map(|(name, run_id, reason, by)| {
            let name = name.as_str().parse().unwrap();
            Op::SetBaseline(SetBaseline { name, run_id, reason, by, redacted: None })
        }),
        open_incident(),
        (run_id(), text(), of(text()), of(time())).prop_map(|(id, resolution, by, resolved_at)| {
            let incident_id = id.as_str().parse().unwrap();
            Op::ResolveIncident(ResolveIncident { incident_id, resolution, by, resolved_at, redacted: None })
        }),
        record_export(),
        (text(), of(text()), word(KeyReason::ALL), of(text()), of(text())).prop_map(
            |(key, previous, reason, why, by)| Op::DeclareKey(DeclareKey {
                key,
                previous,
                reason,
                why,
                by,
                redacted: None
            })
        ),
    ];
    (op, of(redacted()), of(word(EffectGate::ALL)))
        .prop_map(|(mut op, said, gate)| {
            if let Some(redacted) = op.redacted_mut() {
                *redacted = said;
            }
            if let Some(stated) = op.effect_gate_mut() {
                *stated = gate;
            }
            op
        })
        .boxed()
}

/// An op that is recorded.
pub(crate) fn recorded_op() -> impl Strategy<Value = Op> {
    op().prop_filter_map("refused", |mut op| {
        let is_recorded = op.check().is_ok() && op.body().check_limits().is_ok();
        is_recorded.then_some(op)
    })
}

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

/// The figures of any seal.
fn figures() -> BoxedStrategy<Figures> {
    (
        (any::<u64>(), hash(), any::<u64>(), any::<u64>(), any::<u64>()),
        (vec((0..STEP_INDEX_MAX, 1u32..9), 0..120), vec(step(), 0..4), of(json())),
    )
        .prop_map(|((n, run_root, entries, steps, traces), (missing, summed, verdict))| {
            let mut gaps = Gaps::default();
            missing.into_iter().for_each(|(from, count)| gaps.push(from, from + count));
            let mut totals = Totals::default();
            for step in &summed {
                // What would overflow is refused and leaves the totals as they were.
                let before = totals;
                if totals.add(step).is_err() {
                    assert_eq!(totals, before);
                }
            }
            Figures { n, run_root, entries, steps, traces, gaps, totals, verdict }
        })
        .boxed()
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
    for _ in 0..10_000 {
        let mut op = op().new_tree(&mut runner).unwrap().current();
        let name = op.name();
        match op.check().and_then(|()| op.body().check_limits()) {
            Ok(()) => *accepted.entry(name).or_default() += 1,
            Err(error) => *refused.entry(error.code().as_str()).or_default() += 1,
        }
    }
    assert_eq!(accepted.len(), 16, "{accepted:?}");
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
