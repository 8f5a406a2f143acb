//! The worked log of vectors/: the plan and the in-memory ledger write it entry for entry, and answer as its receipts say.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tracekeep_core::Timestamp;
use tracekeep_core::compare::Comparison;
use tracekeep_core::id::{Key, RunId};
use tracekeep_core::json::{Json, Value, parse};
use tracekeep_core::model::{CompleteRun, EnsureRun, JsonObject, Op, StartRun};
use tracekeep_core::wire::to_json;
use tracekeep_store::{Batch, CompareQuery, LedgerStore, MemoryLedger, Receipt, Source, Sources, block_on};

/// A clock and random bytes that the test sets.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<(i64, VecDeque<u8>)>>);

impl Script {
    fn set(&self, at: &str, random: &[u8]) {
        *self.0.lock().unwrap() = (at.parse::<Timestamp>().unwrap().as_nanos(), random.iter().copied().collect());
    }
}

impl Sources for Script {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.lock().unwrap().0)
    }
    fn random(&self, bytes: &mut [u8]) {
        let mut script = self.0.lock().unwrap();
        bytes.fill_with(|| script.1.pop_front().expect("no more random bytes are drawn than were scripted"));
    }
}

fn file(name: &str) -> Json {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(name);
    Json::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn member<'v>(value: &'v Value<'_>, name: &str) -> &'v Value<'v> {
    value.as_object().unwrap().get(name).unwrap()
}

fn text<'v>(value: &'v Value<'_>, name: &str) -> &'v str {
    member(value, name).as_str().unwrap()
}

fn items<'v>(value: &'v Value<'_>, name: &str) -> &'v [Value<'v>] {
    member(value, name).as_array().unwrap()
}

/// The batch as it was sent: what the ledger generates is not in it.
fn batch(stated: &Value<'_>) -> Batch {
    let ops = items(stated, "ops").iter();
    let ops = ops.map(|op| Op::read(parse(text(op, "sent").as_bytes()).unwrap()).unwrap()).collect();
    Batch::of(ops).keyed(member(stated, "key").as_str().map(|key| Key::new(key).unwrap()))
}

fn commit(ledger: &MemoryLedger, batch: Batch) -> Receipt {
    block_on(ledger.commit(vec![batch])).remove(0).unwrap()
}

/// A ledger that holds the worked log.
fn worked(script: &Script) -> MemoryLedger {
    let log = file("seal.json");
    let log = log.value();
    script.set("1970-01-01T00:00:00Z", &unhex(text(&log, "ledger")));
    let ledger = MemoryLedger::new(Source::new(script.clone()));
    for stated in items(&log, "batches") {
        script.set(text(stated, "recorded_at"), &unhex(text(stated, "random")));
        commit(&ledger, batch(stated));
    }
    ledger
}

/// The cases of a file that this test writes, each on a line of its own, where the environment asks for it.
#[track_caller]
fn check_cases(name: &str, about: &str, cases: impl IntoIterator<Item = Json>) {
    let computed = Json::object([("about", Json::from(about)), ("cases", Json::array(cases))]).unwrap();
    if std::env::var_os("TRACEKEEP_WRITE_VECTORS").is_some() {
        let cases = computed.value();
        let lines: Vec<_> = items(&cases, "cases").iter().map(|case| case.to_json().as_str().to_owned()).collect();
        let text = format!("{{\"about\":{},\"cases\":[\n{}]}}\n", Json::from(about), lines.join(",\n"));
        std::fs::write(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(name), text).unwrap();
    }
    assert_eq!(file(name), computed);
}

/// Redactions of what stands in the worked log, one after the other, and what each leaves behind.
const REDACTIONS: [(&str, &str); 5] = [
    ("a step, and what its seal says of it", r#""step":0,"members":["params"],"reason":"the customer asked""#),
    (
        "more of that step, in the place of the first",
        r#""step":0,"members":["outcome_data","cost_cents"],"reason":"the customer asked again","by":"ann""#,
    ),
    ("a step whose seal says nothing of it any more", r#""step":3,"members":["skill_name"],"reason":"a trade secret""#),
    ("a trace, whose result stands in its end", r#""trace":"t-1","members":["trace_type/result"],"reason":"a leak""#),
    (
        "more of that trace, in its record alone",
        r#""trace":"t-1","members":["tags","trace_type/arguments"],"reason":"a leak""#,
    ),
];

/// Written anew with `TRACEKEEP_WRITE_VECTORS=1`.
#[test]
fn a_redaction_leaves_what_the_vectors_say() {
    let script = Script::default();
    let ledger = worked(&script);
    let cases: Vec<_> = (0u8..)
        .zip(REDACTIONS)
        .map(|(place, (name, members))| {
            let random = [0xc0 + place; 32];
            let recorded_at = format!("2026-11-21T09:00:0{place}.000000000Z");
            let sent = format!(r#"{{"op":"redact","run_id":"run-1",{members}}}"#);
            script.set(&recorded_at, &random);
            let receipt = commit(&ledger, Batch::one(Op::read(parse(sent.as_bytes()).unwrap()).unwrap()));
            let entries = block_on(ledger.entries(0, 1_000)).unwrap();
            let erased = entries.iter().filter(|entry| entry.body.is_none()).map(|entry| Json::from(entry.log_index));
            let entry = entries.last().unwrap();
            let body = entry.body.as_ref().unwrap();
            let members = [
                ("name", Json::from(name)),
                ("sent", Json::from(sent)),
                ("random", Json::from(random.map(|byte| format!("{byte:02x}")).concat())),
                ("recorded_at", Json::from(recorded_at)),
                ("log_index", Json::from(entry.log_index)),
                ("body", Json::from(body.as_str())),
                ("salt", Json::from(entry.salt.unwrap().to_string())),
                ("commit", Json::from(text(&parse(entry.leaf.as_str().as_bytes()).unwrap(), "commit"))),
                ("leaf", Json::from(entry.leaf.as_str())),
                ("leaf_hash", Json::from(entry.leaf_hash.to_string())),
                ("erased", Json::array(erased)),
                ("root", Json::from(receipt.root.to_string())),
            ];
            Json::object(members).unwrap()
        })
        .collect();
    let about = "redactions of members of entries of seal.json, one after the other → the body, the commitment and the leaf of the entry of each; erased: every entry that has no content from then on; root: of the whole log";
    check_cases("redaction.json", about, cases);
}

#[test]
fn the_plan_writes_the_worked_log_and_answers_with_its_receipts() {
    let (log, receipts) = (file("seal.json"), file("receipt.json"));
    let (log, receipts) = (log.value(), receipts.value());
    let script = Script::default();
    script.set("1970-01-01T00:00:00Z", &unhex(text(&log, "ledger")));
    let ledger = MemoryLedger::new(Source::new(script.clone()));
    let batches = items(&log, "batches");
    let mut answered = Vec::new();
    for (place, stated) in batches.iter().enumerate() {
        script.set(text(stated, "recorded_at"), &unhex(text(stated, "random")));
        let mut sent = batch(stated);
        if place == 2 {
            // The receipt of new ops and an old one together: a duplicate writes nothing.
            sent.ops.push(batch(&batches[0]).ops.remove(2));
        }
        answered.push(commit(&ledger, sent));
        let head = block_on(ledger.head()).unwrap();
        assert_eq!(head.root.to_string(), text(stated, "root"), "batch {place}");
    }
    // The same again, later, with other random bytes: alone, under its key, and out of two batches.
    script.set("2026-11-20T11:00:00Z", &[7; 96]);
    let again = commit(&ledger, batch(&batches[0]).keyed(None));
    let replayed = commit(&ledger, batch(&batches[0]));
    assert!(replayed.replayed && !again.replayed);
    assert_eq!(to_json(&again), to_json(&replayed));
    let [first, _, third, _] = [0, 1, 2, 3].map(|place| batch(&batches[place]).ops);
    let two = Batch::of(vec![first[1].clone(), third[0].clone(), batch(&batches[1]).ops.remove(0)]);
    let two = commit(&ledger, two);

    let answered = [&answered[0], &again, &answered[1], &answered[2], &answered[3], &two];
    let cases = items(&receipts, "cases");
    assert_eq!(cases.len(), answered.len());
    for (case, receipt) in cases.iter().zip(answered) {
        assert_eq!(to_json(receipt), member(case, "receipt").to_json(), "{}", text(case, "name"));
    }

    let entries = block_on(ledger.entries(0, 1_000)).unwrap();
    let stated = items(&log, "entries");
    assert_eq!(entries.len(), stated.len(), "duplicates write nothing");
    for (entry, stated) in entries.iter().zip(stated) {
        assert_eq!(entry.leaf.as_str(), text(stated, "leaf"));
        assert_eq!(entry.leaf_hash.to_string(), text(stated, "leaf_hash"));
        assert_eq!(entry.body.as_ref().unwrap().as_str(), text(stated, "body"));
        assert_eq!(entry.salt.unwrap().to_string(), text(stated, "salt"));
    }
}

/// The runs of vectors/determinism.json in one ledger, by the names of their cases.
fn runs_of_the_vectors(ledger: &MemoryLedger) -> Vec<(String, RunId)> {
    let file = file("determinism.json");
    let file = file.value();
    let runs = items(&file, "cases").iter().enumerate().map(|(place, case)| {
        let run_id: RunId = format!("run-{place}").parse().unwrap();
        let seed = member(case, "seed").to_json().as_str().parse::<i64>();
        let plan = member(case, "plan").as_str().map(|plan| {
            let plan = Json::parse(plan).unwrap();
            let plan = plan.value();
            let items = plan.as_array().unwrap().iter().map(|item| JsonObject::new(item.to_json()).unwrap());
            items.collect()
        });
        let source = tracekeep_core::model::Source::Otlp;
        let start = match seed {
            Ok(seed) => Op::StartRun(StartRun { run_id: Some(run_id.clone()), plan, seed, ..StartRun::default() }),
            Err(_) => Op::EnsureRun(EnsureRun { run_id: run_id.clone(), source, idempotency_store: None }),
        };
        let steps = items(case, "steps").iter().map(|sent| {
            let mut op = Op::read(parse(sent.as_str().unwrap().as_bytes()).unwrap()).unwrap();
            if let Op::RecordStep(step) = &mut op {
                step.run_id = run_id.clone();
            }
            op
        });
        let end = CompleteRun::new(run_id.clone(), text(case, "status").parse().unwrap());
        commit(ledger, Batch::of([start].into_iter().chain(steps).chain([Op::CompleteRun(end)]).collect()));
        (text(case, "name").to_owned(), run_id)
    });
    runs.collect()
}

/// A comparison as a vector: verdict, place and proof; who runs is not in it.
fn compared(a: &str, b: &str, comparison: &Comparison) -> Json {
    let proof = comparison.proof.as_ref().unwrap();
    let first = comparison.first_divergence.as_ref().unwrap();
    let step = first.step.map_or_else(Json::null, |step| Json::from(u64::from(step)));
    let members = [
        ("a", Json::from(a)),
        ("b", Json::from(b)),
        ("verdict", Json::from(comparison.verdict.as_str())),
        ("part", Json::from(first.part.as_str())),
        ("step", step),
        ("leaf_index", Json::from(proof.leaf_index)),
        ("a_proof", to_json(&proof.a)),
        ("b_proof", to_json(&proof.b)),
    ];
    Json::object(members).unwrap()
}

/// Written anew with `TRACEKEEP_WRITE_VECTORS=1`.
#[test]
fn comparisons_part_and_are_proved_as_the_vectors_say() {
    let ledger = MemoryLedger::default();
    let runs = runs_of_the_vectors(&ledger);
    let query = CompareQuery { proof: true, ..CompareQuery::default() };
    let back = [runs[8].clone(), runs[5].clone()];
    let pairs = runs.windows(2).chain([&back[..]]).map(|pair| {
        let [(a, a_id), (b, b_id)] = pair else { panic!("a pair") };
        compared(a, b, &block_on(ledger.compare(a_id, b_id, &query)).unwrap())
    });
    let about = "two runs of determinism.json → the verdict, where they part, and its proof in the exact trees";
    check_cases("compare.json", about, pairs);
}
