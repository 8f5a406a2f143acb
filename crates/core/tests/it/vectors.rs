//! The vectors of every hash: vectors/*.json equal what the code computes.
//!
//! `TRACEKEEP_WRITE_VECTORS=1 cargo test -p tracekeep-core --test it vectors::` writes them. vectors/check.py is the second
//! implementation, which shares nothing with this one. A changed vector is a changed format: never commit one.

use std::path::Path;

use serde_json::{Value, json};
use tracekeep_core::body::Body;
use tracekeep_core::hash::{self, Hash, Salt, entry_commitment, member_commitment};
use tracekeep_core::id::{Key, LedgerId, RunId};
use tracekeep_core::json::{Json, parse};
use tracekeep_core::model::{CompleteRun, Op, RecordStep, RecordTrace, TraceType};
use tracekeep_core::remainder::Remainder;
use tracekeep_core::seal::{Figures, Fold, Gaps, KeyBody, Sealed, Totals, header_leaves, step_leaves};
use tracekeep_core::wire::{Field, to_json};
use tracekeep_core::{Leaf, Timestamp, merkle};

const LEDGER: LedgerId = LedgerId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

/// The file is what the code computes; or is written, where the environment asks for it.
#[track_caller]
pub(crate) fn check_file(name: &str, computed: &Value) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(name);
    let text = serde_json::to_string_pretty(computed).unwrap() + "\n";
    if std::env::var_os("TRACEKEEP_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if stored == text {
        return;
    }
    let differing = stored.lines().zip(text.lines()).enumerate().find(|(_, (stored, computed))| stored != computed);
    panic!("{name} is not what the code computes: {differing:#?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Random bytes of a batch that nobody drew.
fn random(seed: u8) -> [u8; 32] {
    std::array::from_fn(|at| seed.wrapping_add(at as u8))
}

/// Reads what was sent, with its generated members filled in, and brings it into the recorded form.
fn read(sent: &str, generated: &Value) -> Op {
    let tree = parse(sent.as_bytes()).unwrap();
    let mut members: Vec<(String, Json)> = Vec::new();
    for (name, value) in tree.as_object().unwrap().iter() {
        members.push((name.to_owned(), value.to_json()));
    }
    for (name, value) in generated.as_object().into_iter().flatten() {
        assert!(members.iter().all(|(sent, _)| sent != name), "{name} was sent");
        members.push((name.clone(), Json::parse(&value.to_string()).unwrap()));
    }
    let text = Json::object(members).unwrap();
    let mut op = Op::read(text.value()).unwrap();
    op.check().unwrap();
    assert_eq!(op.generated(), [""; 0], "{sent}: every generated member is filled in");
    op
}

fn members(body: &Body, salt: &Salt) -> Vec<Value> {
    let members = body.members().map(|(name, value)| {
        let member_salt = salt.of_member(&name);
        let m = member_commitment(&member_salt, &name, value.as_bytes());
        json!({"name": name, "salt": member_salt.to_string(), "value": value, "m": m.to_string()})
    });
    members.collect()
}

const STEP: &str = r#"{"op":"record_step","run_id":"run-1","index":0,"skill_name":"search","params":{"q":"FRA-LIS"},"status":"success","outcome_category":"SUCCESS","outcome_code":null,"outcome_data":{"hits":3},"cost_cents":"0.250","duration_ms":12.50,"tokens":180,"retry_count":0}"#;

/// (name, what was sent, the members that the ledger generated)
fn ops() -> Vec<(&'static str, &'static str, Value)> {
    let at = || json!({"occurred_at": "2026-11-20T10:00:01.000000000Z"});
    let of_start = || {
        json!({
            "run_id": "run-0193470e-5800-7000-8000-000000000000",
            "correlation_id": "00000000-0000-4000-8000-000000000000",
            "started_at": "2026-11-20T10:00:00.000000000Z",
        })
    };
    vec![
        ("start_run, nothing sent", r#"{"op":"start_run"}"#, of_start()),
        (
            "start_run, everything sent",
            r#"{"op":"start_run","run_id":"run-1","correlation_id":"c-1","agent_id":"planner","parent_run_id":"run-0","goal":"find flights","seed":0,"frozen_timestamp":"2026-01-01T00:00:00Z","plan":[{"skill":"search","params":{"q":"FRA-LIS"}}],"tags":["prod","eu","prod"],"metadata":{"b":null,"a":1.0},"policy_snapshot_id":"p-7","source":"import","started_at":"2026-11-20T11:00:00.5+01:00"}"#,
            json!({}),
        ),
        (
            "start_run, an empty plan",
            r#"{"op":"start_run","run_id":"r","correlation_id":"c","started_at":"1969-12-31T23:59:59.999999999Z","plan":[],"seed":-9223372036854775808}"#,
            json!({}),
        ),
        ("ensure_run", r#"{"op":"ensure_run","run_id":"4bf92f3577b34da6a3ce929d0e0e4736","source":"otlp"}"#, json!({})),
        (
            "describe_run",
            r#"{"op":"describe_run","run_id":"4bf92f3577b34da6a3ce929d0e0e4736","topic":"resource/planner","agent_id":"planner","goal":null,"started_at":"2026-11-20T10:00:00.000000001Z","ended_at":null,"metadata":{"service.name":"planner","\u20ac":"\ud83d\ude00","\ufb33":0.1}}"#,
            json!({}),
        ),
        ("record_step", STEP, at()),
        (
            "record_step, everything sent",
            r#"{"op":"record_step","run_id":"run-1","index":999999,"skill_name":"pay \"now\"\\\u0001","params":[9007199254740993,-0.0,1e21,1E-7,"\u007f\/"],"status":"retry","outcome_category":"","outcome_code":"429","outcome_data":null,"cost_cents":"9223372036854.775807","duration_ms":1e-6,"tokens":18446744073709551615,"retry_count":4294967295,"occurred_at":"2262-04-11T23:47:16.854775807Z","idempotency_key":"pay-7","replay_behavior":"check","rng_state_before":"af","trace_id":"t-1"}"#,
            json!({}),
        ),
        (
            "record_trace, an open ToolCall",
            r#"{"op":"record_trace","run_id":"run-1","parent_id":null,"tags":["important"],"metadata":{},"trace_type":{"type":"ToolCall","tool_name":"web_search","arguments":{"q":"rust"},"result":null,"duration_ms":null}}"#,
            json!({"id": "trace-0193470e-5be8-7000-8000-000000000000", "occurred_at": "2026-11-20T10:00:01.000000000Z"}),
        ),
        (
            "record_trace, a ToolCall without arguments",
            r#"{"op":"record_trace","run_id":"run-1","id":"t-2","parent_id":"t-1","trace_type":{"type":"ToolCall","tool_name":"now","result":"10:00","duration_ms":0.5}}"#,
            at(),
        ),
        (
            "record_trace, a Decision",
            r#"{"op":"record_trace","run_id":"run-1","id":"t-3","trace_type":{"type":"Decision","question":"which?","options":["a","b"],"chosen":"b","reasoning":"cheaper"}}"#,
            at(),
        ),
        (
            "record_trace, a Query",
            r#"{"op":"record_trace","run_id":"run-1","id":"t-4","trace_type":{"type":"Query","query_type":"sql","query":"SELECT 1","results_count":1},"ended_at":"2026-11-20T10:00:02Z"}"#,
            at(),
        ),
        (
            "record_trace, a Thought",
            r#"{"op":"record_trace","run_id":"run-1","id":"t-5","trace_type":{"type":"Thought","content":"caf\u00e9 \ud83d\ude00","confidence":0.1}}"#,
            at(),
        ),
        (
            "record_trace, an Error",
            r#"{"op":"record_trace","run_id":"run-1","id":"t-6","status":"ok","trace_type":{"type":"Error","error_type":"Timeout","message":"no answer\n","recoverable":true}}"#,
            at(),
        ),
        (
            "record_trace, a Custom span",
            r#"{"op":"record_trace","run_id":"4bf92f3577b34da6a3ce929d0e0e4736","id":"00f067aa0ba902b7","trace_type":{"type":"Custom","name":"span","data":null},"ended_at":"2026-11-20T10:00:01.5Z","status":"ok","otel":{"span":{"name":"span"},"scope":{}}}"#,
            at(),
        ),
        (
            "end_trace",
            r#"{"op":"end_trace","run_id":"run-1","id":"t-1","status":"ok","result":{"hits":3},"duration_ms":150}"#,
            json!({}),
        ),
        (
            "end_trace, everything else sent",
            r#"{"op":"end_trace","run_id":"run-1","id":"t-4","status":"error","ended_at":"2026-11-20T10:00:03z","results_count":0,"error":"gone"}"#,
            json!({}),
        ),
    ]
}

#[test]
fn body_and_commitment() {
    let mut cases = Vec::new();
    for (place, (name, sent, generated)) in (0u64..).zip(ops()) {
        let body = read(sent, &generated).body();
        let salt = Salt::of_entry(&random(0x20), place);
        cases.push(json!({
            "name": name,
            "sent": sent,
            "generated": generated,
            "body": body.as_str(),
            "random": hex(&random(0x20)),
            "place": place,
            "salt": hex(salt.as_bytes()),
            "members": members(&body, &salt),
            "commit": body.commitment(&salt).to_string(),
        }));
    }
    check_file(
        "body.json",
        &json!({"about": "an op as sent, with what the ledger generated → the recorded body → salts, member commitments and the entry's commitment; place: the op's place in its batch", "cases": cases}),
    );
}

#[test]
fn remainder() {
    let of =
        |name: &str, withhold: &[&str]| (name.to_owned(), withhold.iter().map(|name| (*name).to_owned()).collect());
    let wanted: [(String, Vec<String>); 6] = [
        of("record_step", &["params"]),
        of("record_step, everything sent", &["idempotency_key", "outcome_code"]),
        of("record_trace, an open ToolCall", &["tags", "trace_type/arguments"]),
        of("record_trace, a Custom span", &["trace_type/data"]),
        of("end_trace", &["result"]),
        of("start_run, everything sent", &[]),
    ];
    let mut cases = Vec::new();
    for (name, withhold) in wanted {
        let (place, (_, sent, generated)) = (0u64..).zip(ops()).find(|(_, (known, _, _))| *known == name).unwrap();
        let (body, salt) = (read(sent, &generated).body(), Salt::of_entry(&random(0x20), place));
        let names: Vec<&str> = withhold.iter().map(String::as_str).collect();
        let left = Remainder::whole(place, &body, &salt).without(&names).unwrap();
        left.check(body.commitment(&salt)).unwrap();
        cases.push(json!({
            "name": name,
            "body": body.as_str(),
            "salt": hex(salt.as_bytes()),
            "log_index": place,
            "withhold": withhold,
            "withheld": left.withheld().collect::<Vec<_>>(),
            "remainder": to_json(&left).as_str(),
            "stays": left.stays().as_str(),
            "commit": left.commitment().to_string(),
        }));
    }
    check_file(
        "remainder.json",
        &json!({"about": "a recorded body, its salt and what is to be withheld → what goes with it, the text that is left of the entry, what stays in the form of a body, and the entry's commitment, which the text alone gives", "cases": cases}),
    );
}

#[test]
fn leaf() {
    let commit = entry_commitment::<&str>([]);
    let cases: Vec<_> = [
        ("run-1", 0, "run_started", "2026-11-20T10:00:00Z"),
        ("", 0, "key", "2026-11-20T10:00:00.000000001Z"),
        ("a\"b\\c", 9_007_199_254_740_993, "step", "2262-04-11T23:47:16.854775807Z"),
        ("run-1", u64::MAX, "a_kind_to_come", "1677-09-21T00:12:43.145224192Z"),
    ]
    .into_iter()
    .map(|(run, seq, kind, recorded_at)| {
        let leaf = Leaf { ledger: LEDGER, run, seq, kind, recorded_at: recorded_at.parse().unwrap(), commit };
        json!({
            "ledger": LEDGER.to_string(),
            "run": run,
            "seq": seq,
            "kind": kind,
            "recorded_at": recorded_at,
            "commit": commit.to_string(),
            "leaf": leaf.text(),
            "leaf_hash": leaf.hash().to_string(),
        })
    })
    .collect();
    check_file(
        "leaf.json",
        &json!({"about": "what an entry states to the tree → its leaf, canonical JSON → SHA-256(0x00 ‖ leaf)", "cases": cases}),
    );
}

fn step_of(sent: &str) -> RecordStep {
    match read(sent, &json!({"occurred_at": "1970-01-01T00:00:00Z"})) {
        Op::RecordStep(step) => step,
        other => panic!("{other:?}"),
    }
}

/// The text under a leaf of a run's two trees: the tag, and the members that are there, sorted.
fn leaf_text(tag: &str, members: &[(&str, Option<Json>)]) -> String {
    let present = members.iter().filter_map(|(name, value)| Some((*name, value.clone()?)));
    format!("tracekeep/{tag}/1\n{}", Json::object(present).unwrap())
}

/// The two leaf texts of a step, put together by hand.
fn step_texts(step: &RecordStep) -> (String, String) {
    let text = |text: &str| Some(Json::from(text));
    let behaviour = vec![
        ("index", Some(Json::from(u64::from(step.index)))),
        ("input_hash", step.input_hash.map(|hash| Json::from(hash.to_string()))),
        ("outcome_category", text(&step.outcome_category)),
        ("outcome_code", step.outcome_code.as_deref().map(Json::from)),
        ("replay_behavior", text(step.replay_behavior.as_str())),
        ("retry_count", Some(Json::from(u64::from(step.retry_count)))),
        ("skill_name", text(&step.skill_name)),
        ("status", text(step.status.as_str())),
    ];
    let mut exact = behaviour.clone();
    exact.push(("output_hash", step.output_hash.map(|hash| Json::from(hash.to_string()))));
    exact.push(("rng_state_before", step.rng_state_before.as_deref().map(Json::from)));
    (leaf_text("behaviour", &behaviour), leaf_text("exact", &exact))
}

#[test]
fn steps() {
    let cases: Vec<_> = [
        ("as in the worked example", STEP),
        ("without output", r#"{"op":"record_step","run_id":"r","index":1,"skill_name":"search","params":{},"status":"failure"}"#),
        ("times, costs, durations, tokens and ids are out", r#"{"op":"record_step","run_id":"r2","index":1,"skill_name":"search","params":{ },"status":"failure","cost_cents":"7","duration_ms":3,"tokens":9,"idempotency_key":"k","trace_id":"t"}"#),
        ("with everything that counts", r#"{"op":"record_step","run_id":"r","index":999999,"skill_name":"a\u0000\"é","status":"skipped","params":[null,1.50,"\u00e9"],"outcome_category":"C","outcome_code":"E","outcome_data":false,"retry_count":3,"replay_behavior":"skip","rng_state_before":"00ff"}"#),
    ]
    .into_iter()
    .map(|(name, sent)| {
        let step = step_of(sent);
        let leaves = step_leaves(&step);
        let (behaviour, exact) = step_texts(&step);
        assert_eq!(merkle::leaf_hash(behaviour.as_bytes()), leaves.behaviour);
        assert_eq!(merkle::leaf_hash(exact.as_bytes()), leaves.exact);
        json!({
            "name": name,
            "sent": sent,
            "input_hash": step.input_hash.unwrap().to_string(),
            "output_hash": step.output_hash.map(|hash| hash.to_string()),
            "behaviour": behaviour,
            "behaviour_leaf": leaves.behaviour.to_string(),
            "exact": exact,
            "exact_leaf": leaves.exact.to_string(),
        })
    })
    .collect();
    check_file(
        "steps.json",
        &json!({"about": "a step as sent → input_hash, output_hash → the texts under its leaves in the run's two trees → their leaf hashes", "cases": cases}),
    );
}

/// A step with all that may differ between runs.
fn short_step(index: u32, status: &str, output: &str) -> String {
    format!(
        r#"{{"op":"record_step","run_id":"r","index":{index},"skill_name":"search","params":{{"page":{index}}},"status":"{status}","outcome_data":{output}}}"#
    )
}

#[test]
fn determinism() {
    let two = || vec![short_step(0, "success", "{\"hits\":3}"), short_step(1, "failure", "null")];
    let other_output = || vec![short_step(0, "success", "{\"hits\":4}"), short_step(1, "failure", "null")];
    let gap = || {
        vec![
            short_step(0, "success", "1"),
            short_step(3, "success", "1"),
            short_step(4, "retry", "1"),
            short_step(9, "skipped", "null"),
        ]
    };
    let nine = || (0..9).map(|index| short_step(index, "success", "[]")).collect::<Vec<_>>();
    let plan = Some(r#"[{"skill":"search","params":{"q":"FRA-LIS"}}]"#);
    let cases: Vec<_> = [
        ("no plan, no steps", None, Some(42), vec![], "completed"),
        ("an empty plan is another run than none", Some("[]"), Some(42), vec![], "completed"),
        ("seed 0 is a seed", None, Some(0), vec![], "completed"),
        ("telemetry has no seed unless it states one", None, None, vec![], "completed"),
        ("aborted is another end", None, Some(42), vec![], "aborted"),
        ("a plan and two steps", plan, Some(42), two(), "completed"),
        ("another output: the same behaviour", plan, Some(42), other_output(), "completed"),
        ("gaps", plan, Some(i64::MIN), gap(), "failed"),
        ("nine steps: a tree that is not complete", Some("[{ }, {\"a\":1.0}]"), Some(7), nine(), "completed"),
    ]
    .into_iter()
    .map(|(name, plan, seed, steps, status)| determinism_case(name, plan, seed, &steps, status))
    .collect();
    let of = |at: usize, name: &str| cases[at][name].clone();
    assert_eq!(of(5, "behaviour_hash"), of(6, "behaviour_hash"), "behaviour leaves the output out");
    assert_ne!(of(5, "root_hash"), of(6, "root_hash"));
    assert_ne!(of(0, "root_hash"), of(1, "root_hash"));
    check_file(
        "determinism.json",
        &json!({"about": "plan, seed, steps as sent and final status of a run → plan_hash, gaps, behaviour_hash and root_hash", "cases": cases}),
    );
}

fn determinism_case(name: &str, plan: Option<&str>, seed: Option<i64>, steps: &[String], status: &str) -> Value {
    let plan_hash = plan.map(|plan| hash::plan_hash(Json::parse(plan).unwrap().as_str()));
    let header = [("plan_hash", plan_hash.map(|hash| Json::from(hash.to_string()))), ("seed", seed.map(Json::from))];
    let end = [("end", Some(Json::from(status)))];
    let mut texts = vec![(leaf_text("behaviour", &header), leaf_text("exact", &header))];
    assert_eq!(merkle::leaf_hash(texts[0].0.as_bytes()), header_leaves(plan_hash, seed).behaviour);
    let mut fold = Fold::new(plan_hash, seed);
    let (mut gaps, mut next) = (Gaps::default(), 0);
    for sent in steps {
        let step = step_of(sent);
        if step.index > next {
            gaps.push(next, step.index);
        }
        next = step.index + 1;
        fold.push(&step_leaves(&step));
        texts.push(step_texts(&step));
    }
    texts.push((leaf_text("behaviour", &end), leaf_text("exact", &end)));
    let hashes = fold.finish(status.parse().unwrap());
    // The two trees are those over the texts.
    let root = |leaves: Vec<Hash>| merkle::root_of(&leaves);
    assert_eq!(root(texts.iter().map(|(text, _)| merkle::leaf_hash(text.as_bytes())).collect()), hashes.behaviour);
    assert_eq!(root(texts.iter().map(|(_, text)| merkle::leaf_hash(text.as_bytes())).collect()), hashes.exact);
    json!({
        "name": name,
        "plan": plan,
        "seed": seed,
        "steps": steps,
        "status": status,
        "plan_hash": plan_hash.map(|hash| hash.to_string()),
        "header": texts[0].1,
        "end": texts[texts.len() - 1].1,
        "gaps": field(&gaps),
        "behaviour_hash": hashes.behaviour.to_string(),
        "root_hash": hashes.exact.to_string(),
    })
}

fn field(value: &impl Field) -> Value {
    let mut out = Vec::new();
    value.write(&mut out);
    serde_json::from_slice(&out).unwrap()
}

/// One entry of the worked log.
struct Entry {
    kind: &'static str,
    run: &'static str,
    body: Body,
    salt: Salt,
    place: u64,
    recorded_at: Timestamp,
    leaf: String,
    leaf_hash: Hash,
    seq: u64,
}

/// A small log put together from the parts: what `plan` does with the same batches is tested against this.
#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
}

impl Log {
    fn root(&self, size: usize) -> Hash {
        merkle::root_of(&self.entries[..size].iter().map(|entry| entry.leaf_hash).collect::<Vec<_>>())
    }

    fn of_run<'a>(&'a self, run: &'a str) -> impl Iterator<Item = &'a Entry> + 'a {
        self.entries.iter().filter(move |entry| entry.run == run)
    }

    fn push(&mut self, kind: &'static str, run: &'static str, body: Body, batch: &Batch, place: u64) {
        let salt = Salt::of_entry(&batch.random, place);
        let seq = self.of_run(run).count() as u64;
        let recorded_at = batch.recorded_at.parse().unwrap();
        let leaf = Leaf { ledger: LEDGER, run, seq, kind, recorded_at, commit: body.commitment(&salt) };
        let (leaf, leaf_hash) = (leaf.text(), leaf.hash());
        self.entries.push(Entry { kind, run, body, salt, place, recorded_at, leaf, leaf_hash, seq });
    }

    /// What the completion of the run states.
    fn seal(&self, op: &CompleteRun) -> Sealed {
        let run = op.run_id.as_str();
        let ops: Vec<_> = self.of_run(run).map(|entry| Op::from_body(entry.body.as_str()).unwrap()).collect();
        let Op::StartRun(start) = &ops[0] else { panic!() };
        let plan_hash = self.of_run(run).next().unwrap().body.member("plan").map(hash::plan_hash);
        let mut steps: Vec<_> =
            ops.iter().filter_map(|op| if let Op::RecordStep(op) = op { Some(op) } else { None }).collect();
        steps.sort_by_key(|step| step.index);
        let (mut fold, mut gaps, mut totals, mut next) =
            (Fold::new(plan_hash, Some(start.seed)), Gaps::default(), Totals::default(), 0);
        for step in &steps {
            if step.index > next {
                gaps.push(next, step.index);
            }
            next = step.index + 1;
            fold.push(&step_leaves(step));
            totals.add(step).unwrap();
        }
        let hashes = fold.finish(op.status);
        let leaves: Vec<_> = self.of_run(run).map(|entry| entry.leaf_hash).collect();
        let mut op = op.clone();
        op.plan_hash = plan_hash;
        op.behaviour_hash = Some(hashes.behaviour);
        op.root_hash = Some(hashes.exact);
        let figures = Figures {
            n: 0,
            run_root: merkle::root_of(&leaves),
            entries: leaves.len() as u64,
            steps: steps.len() as u64,
            traces: ops.iter().filter(|op| matches!(op, Op::RecordTrace(_))).count() as u64,
            gaps,
            totals,
            verdict: None,
        };
        Sealed { op, is_own: false, figures }
    }
}

struct Batch {
    random: [u8; 32],
    recorded_at: &'static str,
    key: Option<&'static str>,
    ops: Vec<(&'static str, Value)>,
}

/// The batches of the worked run, and another run's entry between.
fn batches() -> Vec<Batch> {
    let occurred = |at: &str| json!({"occurred_at": at});
    vec![
        Batch {
            random: random(0x40),
            recorded_at: "2026-11-20T10:00:00.000000000Z",
            key: Some("import-1"),
            ops: vec![
                (
                    r#"{"op":"start_run","run_id":"run-1","correlation_id":"c-1","agent_id":"planner","goal":"find flights","seed":42,"plan":[{"skill":"search","params":{"q":"FRA-LIS"}}],"tags":["prod"],"metadata":{}}"#,
                    json!({"started_at": "2026-11-20T10:00:00.000000000Z"}),
                ),
                (STEP, occurred("2026-11-20T10:00:00.000000000Z")),
                (
                    r#"{"op":"record_trace","run_id":"run-1","id":"t-1","parent_id":null,"tags":["important"],"metadata":{},"trace_type":{"type":"ToolCall","tool_name":"web_search","arguments":{"q":"rust"},"result":null,"duration_ms":null}}"#,
                    occurred("2026-11-20T10:00:00.000000000Z"),
                ),
            ],
        },
        Batch {
            random: random(0x60),
            recorded_at: "2026-11-20T10:00:01.000000000Z",
            key: None,
            ops: vec![(
                r#"{"op":"ensure_run","run_id":"4bf92f3577b34da6a3ce929d0e0e4736","source":"otlp"}"#,
                json!({}),
            )],
        },
        Batch {
            random: random(0x80),
            recorded_at: "2026-11-20T10:00:02.500000000Z",
            key: None,
            ops: vec![
                (
                    r#"{"op":"record_step","run_id":"run-1","index":3,"skill_name":"book","params":{"flight":"TP575"},"status":"failure","outcome_code":"sold_out","cost_cents":"1.75","duration_ms":0.000001}"#,
                    occurred("2026-11-20T10:00:02.500000000Z"),
                ),
                (
                    r#"{"op":"end_trace","run_id":"run-1","id":"t-1","status":"ok","result":{"hits":3},"duration_ms":150}"#,
                    json!({}),
                ),
            ],
        },
        Batch {
            random: random(0xa0),
            recorded_at: "2026-11-20T10:00:03.000000000Z",
            key: None,
            ops: vec![(
                r#"{"op":"complete_run","run_id":"run-1","status":"failed","termination_reason":"sold out","metadata":{},"root_hash":null,"plan_hash":null}"#,
                json!({"completed_at": "2026-11-20T10:00:03.000000000Z"}),
            )],
        },
    ]
}

/// The log that the batches leave, with its size after each.
fn log() -> (Log, Vec<usize>) {
    let (mut log, mut sizes) = (Log::default(), Vec::new());
    for batch in batches() {
        let first = log.entries.len() as u64;
        for (place, (sent, generated)) in (0u64..).zip(&batch.ops) {
            let op = read(sent, generated);
            let kind = match &op {
                Op::StartRun(_) | Op::EnsureRun(_) => "run_started",
                Op::RecordStep(_) => "step",
                Op::RecordTrace(_) => "trace",
                Op::EndTrace(_) => "trace_ended",
                Op::CompleteRun(_) => "sealed",
                other => panic!("{other:?}"),
            };
            let body = match &op {
                Op::CompleteRun(op) => log.seal(op).body(),
                op => op.body(),
            };
            let run =
                if op.run_id().unwrap().as_str() == "run-1" { "run-1" } else { "4bf92f3577b34da6a3ce929d0e0e4736" };
            log.push(kind, run, body, &batch, place);
        }
        if let Some(key) = batch.key {
            let ops = (first..).take(batch.ops.len()).collect();
            let body = KeyBody { key: Key::new(key).unwrap(), ops }.body();
            log.push("key", "", body, &batch, batch.ops.len() as u64);
        }
        sizes.push(log.entries.len());
    }
    (log, sizes)
}

#[test]
fn seal() {
    let (log, sizes) = log();
    let batches: Vec<_> = batches()
        .iter()
        .zip(&sizes)
        .map(|(batch, size)| {
            let ops: Vec<_> =
                batch.ops.iter().map(|(sent, generated)| json!({"sent": sent, "generated": generated})).collect();
            json!({
                "random": hex(&batch.random),
                "recorded_at": batch.recorded_at,
                "key": batch.key,
                "ops": ops,
                "tree_size": size,
                "root": log.root(*size).to_string(),
            })
        })
        .collect();
    let entries: Vec<_> = log
        .entries
        .iter()
        .map(|entry| {
            json!({
                "run": entry.run,
                "seq": entry.seq,
                "kind": entry.kind,
                "recorded_at": entry.recorded_at.to_string(),
                "place": entry.place,
                "body": entry.body.as_str(),
                "salt": hex(entry.salt.as_bytes()),
                "members": members(&entry.body, &entry.salt),
                "commit": entry.body.commitment(&entry.salt).to_string(),
                "leaf": entry.leaf,
                "leaf_hash": entry.leaf_hash.to_string(),
            })
        })
        .collect();
    let sealed = Sealed::from_body(log.entries[log.entries.len() - 1].body.as_str()).unwrap();
    assert_eq!((sealed.figures.entries, sealed.figures.steps, sealed.figures.traces), (5, 2, 1));
    assert_eq!((sealed.figures.gaps.count, &sealed.figures.gaps.ranges[..]), (2, &[(1, 3)][..]));
    check_file(
        "seal.json",
        &json!({
            "about": "the whole log of a small run, with a key and another run's entry: batches as sent → entries, the sealed body, and the ledger's size and root after each batch; an entry's log index is its place in the list",
            "ledger": LEDGER.to_string(),
            "batches": batches,
            "entries": entries,
        }),
    );
}

/// What a batch of these entries is answered: (log index, whether new), and for each the ids that an answer has.
fn receipt(log: &Log, ops: &[(usize, bool)], tree_size: usize) -> Value {
    let outcome = |new: bool| if new { "recorded" } else { "duplicate" };
    let ops_json: Vec<_> = ops
        .iter()
        .map(|(log_index, new)| {
            let entry = &log.entries[*log_index];
            let mut op =
                json!({"outcome": outcome(*new), "log_index": log_index, "leaf_hash": entry.leaf_hash.to_string()});
            match entry.kind {
                "run_started" => op["run_id"] = json!(entry.run),
                "trace" => op["id"] = serde_json::from_str(entry.body.member("id").unwrap()).unwrap(),
                _ => {}
            }
            op
        })
        .collect();
    json!({
        "outcome": outcome(ops.iter().any(|(_, new)| *new)),
        "tree_size": tree_size,
        "root": log.root(tree_size).to_string(),
        "ops": ops_json,
    })
}

#[test]
fn receipts() {
    let (log, sizes) = log();
    let cases: Vec<_> = [
        (
            "a batch under a key: the key's own entry counts in the size",
            vec![(0, true), (1, true), (2, true)],
            sizes[0],
        ),
        ("the same again: only outcome differs", vec![(0, false), (1, false), (2, false)], sizes[0]),
        ("one entry", vec![(4, true)], sizes[1]),
        ("new ops and an old one together", vec![(5, true), (6, true), (2, false)], sizes[2]),
        ("the seal", vec![(7, true)], sizes[3]),
        ("duplicates of two batches: the later one's size", vec![(1, false), (5, false), (4, false)], sizes[2]),
    ]
    .into_iter()
    .map(|(name, ops, tree_size)| {
        let sent: Vec<_> = ops.iter().map(|(log_index, new)| json!({"log_index": log_index, "new": new})).collect();
        json!({"name": name, "ops": sent, "receipt": receipt(&log, &ops, tree_size)})
    })
    .collect();
    check_file(
        "receipt.json",
        &json!({
            "about": "the answers to batches over the log of seal.json: for each op the entry that holds it, and whether this batch wrote it → the receipt. A batch that wrote something ends at its last entry, its key's included; of duplicates alone the latest original's batch counts",
            "cases": cases,
        }),
    );
}

#[test]
fn hash_request() {
    let cases: Vec<_> = [
        r#"{"task":"X"}"#,
        r#"{ "task" : "\u0058" }"#,
        r#"{"b":1.0,"a":[1e2,-0,null]}"#,
        "9007199254740993",
        "\"\"",
    ]
    .into_iter()
    .map(|text| {
        let canonical = Json::parse(text).unwrap();
        json!({"value": text, "canonical": canonical.as_str(), "hash": hash::hash_request(&canonical).to_string()})
    })
    .collect();
    // What `printf '{"task":"X"}' | sha256sum` gives.
    assert_eq!(cases[0]["hash"], "887fd086fbede164a534a84726c65d12bb3889fb8b6327a5f7e7d45d4eefbc68");
    assert_eq!(cases[0]["hash"], cases[1]["hash"]);
    check_file(
        "hash_request.json",
        &json!({"about": "any JSON text → its canonical form → the SHA-256 of that alone", "cases": cases}),
    );
}

/// Law 6: the same op however it was spelt has the same body, and so the same hashes.
#[test]
fn law_6_a_hash_depends_on_canonical_bytes_alone() {
    let spelt = [
        STEP.to_owned(),
        STEP.replace("12.50", "1.25e1").replace("\"q\"", "\"\\u0071\""),
        STEP.replace("\"op\":\"record_step\",", "")
            .replace("\"retry_count\":0}", "\"retry_count\":0.0 ,\"op\":\"record_step\"}"),
        STEP.replace(",\"retry_count\":0", "").replace(",\"outcome_code\":null", ""),
    ];
    let at = json!({"occurred_at": "2026-11-20T10:00:01Z"});
    let bodies: Vec<_> = spelt.iter().map(|sent| read(sent, &at).body()).collect();
    assert!(bodies.iter().all(|body| body == &bodies[0]), "{bodies:#?}");
    let salt = Salt::of_entry(&random(0), 0);
    assert!(bodies.iter().all(|body| body.commitment(&salt) == bodies[0].commitment(&salt)));
}

#[test]
fn members_inside_trace_type_count_by_themselves() {
    let custom = TraceType::Custom { name: "n".into(), data: Json::parse(r#"{"trace_type":{"x":1}}"#).unwrap() };
    let trace = RecordTrace::new(RunId::new("r").unwrap(), custom);
    let body = Op::RecordTrace(trace).body();
    let names: Vec<_> = body.members().map(|(name, _)| name.into_owned()).collect();
    let expected = ["metadata", "op", "run_id", "tags", "trace_type/data", "trace_type/name", "trace_type/type"];
    assert_eq!(names, expected);
}
