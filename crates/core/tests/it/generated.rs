//! Ops and figures as anybody may send them: a generator for each.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{CorrelationId, RunId, TraceId};
use tracekeep_core::json::Json;
use tracekeep_core::limits::{DEADLINE_MS_MAX, EXPECTED_COUNT_MAX, JSON_DEPTH_MAX, STEP_INDEX_MAX};
use tracekeep_core::model::{
    Ack, AckStatus, AuditStatus, BundleKind, ClearAudit, CompleteRun, DeclareKey, DescribeRun, EffectGate, EndStatus,
    EndTrace, EnsureRun, EraseRun, Expect, FinalStatus, GivenUp, Hold, JsonObject, KeyReason, Op, OpenIncident, Period,
    Reconcile, RecordExport, RecordStep, RecordTrace, Redact, Redacted, RedactedCounts, ReleaseHold, ReplayBehavior,
    ResolveIncident, SealRun, SetBaseline, SetExpectationStatus, Severity, Source, StartRun, StepStatus, TraceStatus,
    TraceType, Violation,
};
use tracekeep_core::seal::{Figures, Gaps, Totals};

/// Text in which all that is special in JSON, UTF-8 and UTF-16 is likely.
pub(crate) fn text() -> BoxedStrategy<String> {
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
pub(crate) fn json() -> BoxedStrategy<Json> {
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
pub(crate) fn nest(depth: u32) -> Json {
    (0..depth).fold(Json::from("\"[{\\"), |inner, _| Json::array([inner]))
}

pub(crate) fn object() -> BoxedStrategy<JsonObject> {
    prop_oneof![
        1 => Just(JsonObject::default()),
        3 => (text(), json()).prop_filter_map("too deep", |(name, value)| {
            Some(JsonObject::new(Json::object([(name, value)]).ok()?).unwrap())
        }),
    ]
    .boxed()
}

pub(crate) fn id() -> BoxedStrategy<String> {
    prop_oneof![10 => "[!-~]{1,12}", 1 => "[!-~]{250,255}"].prop_filter("dots", |id| id != "." && id != "..").boxed()
}

pub(crate) fn run_id() -> BoxedStrategy<RunId> {
    id().prop_map(|id| RunId::new(id).unwrap()).boxed()
}

fn trace_id() -> BoxedStrategy<TraceId> {
    id().prop_map(|id| TraceId::new(id).unwrap()).boxed()
}

pub(crate) fn time() -> BoxedStrategy<Timestamp> {
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

pub(crate) fn hash() -> BoxedStrategy<Hash> {
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

pub(crate) fn step() -> BoxedStrategy<RecordStep> {
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

pub(crate) fn record_trace() -> BoxedStrategy<Op> {
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

pub(crate) fn complete_run() -> BoxedStrategy<CompleteRun> {
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
    let words = (of(0..=STEP_INDEX_MAX + 1), of(text()), of(text()), (of(time()), of(time())));
    (of(run_id()), of(run_id()), of(word(Severity::ALL)), policy, words)
        .prop_map(|(id, run_id, severity, policy, words)| {
            let (policy_id, policy_name, violation_type, threshold, actual) = policy;
            let (violation_step_index, title, summary, (created_at, violation_at)) = words;
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
                violation_at,
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
    let options = (of(object()), of(any::<bool>()));
    (of(run_id()), of_what, word(BundleKind::ALL), any::<u64>(), of(text()), options, of(hash()))
        .prop_map(|(id, (incident, run_id, period), kind, size, by, (options, forced), bundle_sha256)| {
            Op::RecordExport(RecordExport {
                export_id: id.map(|id| id.as_str().parse().unwrap()),
                incident_id: incident.map(|id| id.as_str().parse().unwrap()),
                run_id,
                period: period.map(|(from, to)| Period { from, to }),
                kind,
                size,
                by,
                options,
                forced,
                bundle_sha256,
            })
        })
        .boxed()
}

fn expect() -> BoxedStrategy<Op> {
    let deadline = prop_oneof![3 => 1u64..100_000, 1 => DEADLINE_MS_MAX - 1..DEADLINE_MS_MAX + 2, 1 => any::<u64>()];
    let count = prop_oneof![3 => 1u32..4, 1 => EXPECTED_COUNT_MAX - 1..EXPECTED_COUNT_MAX + 2, 1 => any::<u32>()];
    let first = (run_id(), of(id()), action(), deadline, any::<bool>());
    (first, (count, any::<bool>(), object(), of(time())))
        .prop_map(
            |((run_id, id, (domain, action), deadline_ms, optional), (count, liveness, metadata, received_at))| {
                Op::Expect(Expect {
                    run_id,
                    id: id.map(|id| id.parse().unwrap()),
                    domain,
                    action,
                    deadline_ms,
                    optional,
                    count,
                    liveness,
                    metadata,
                    redacted: None,
                    received_at,
                })
            },
        )
        .boxed()
}

/// What both sides of a contract meet by: now and then the one that a run is taken for dead without.
fn action() -> BoxedStrategy<(String, String)> {
    prop_oneof![6 => (text(), text()), 1 => Just(("orchestrator".to_owned(), "finalize_run".to_owned()))].boxed()
}

fn ack() -> BoxedStrategy<Op> {
    let long = prop_oneof![9 => text(), 1 => (4_090usize..4_100).prop_map(|length| "x".repeat(length))];
    let said = (word(AckStatus::ALL), of(text()), of(long), of(text()));
    (run_id(), of(id()), action(), said, (object(), of(time())))
        .prop_map(|(run_id, id, (domain, action), said, (metadata, received_at))| {
            let (status, result_id, error, rollback_reason) = said;
            Op::Ack(Ack {
                run_id,
                id: id.map(|id| id.parse().unwrap()),
                domain,
                action,
                status,
                result_id,
                error,
                rollback_reason,
                metadata,
                redacted: None,
                received_at,
            })
        })
        .boxed()
}

fn set_expectation_status() -> BoxedStrategy<Op> {
    (run_id(), action(), word(AuditStatus::ALL), of(time()))
        .prop_map(|(run_id, (domain, action), status, received_at)| {
            Op::SetExpectationStatus(SetExpectationStatus { run_id, domain, action, status, received_at })
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

pub(crate) fn op() -> BoxedStrategy<Op> {
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
        expect(),
        ack(),
        set_expectation_status(),
        (run_id(), of(time())).prop_map(|(run_id, received_at)| Op::ClearAudit(ClearAudit { run_id, received_at })),
        run_id().prop_map(|run_id| Op::Reconcile(Reconcile { run_id })),
        open_incident(),
        (run_id(), text(), of(text()), of(time())).prop_map(|(id, resolution, by, resolved_at)| {
            let incident_id = id.as_str().parse().unwrap();
            Op::ResolveIncident(ResolveIncident { incident_id, resolution, by, resolved_at, redacted: None })
        }),
        record_export(),
        (text(), of(text()), word(KeyReason::ALL), of(text()), of(text()), of((any::<u64>(), hash()))).prop_map(
            |(key, previous, reason, why, by, given_up)| Op::DeclareKey(DeclareKey {
                key,
                previous,
                reason,
                why,
                by,
                given_up: given_up.map(|(size, root)| GivenUp { size, root }),
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

/// The figures of any seal.
pub(crate) fn figures() -> BoxedStrategy<Figures> {
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
