//! The worked log of vectors/: the plan and the in-memory ledger write it entry for entry, and answer as its receipts say.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::{Json, Value, parse};
use tracekeep_core::model::Op;
use tracekeep_core::wire::to_json;
use tracekeep_store::{Batch, LedgerStore, MemoryLedger, Receipt, Source, Sources, block_on};

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
    Batch { ops, key: member(stated, "key").as_str().map(|key| Key::new(key).unwrap()) }
}

fn commit(ledger: &MemoryLedger, batch: Batch) -> Receipt {
    block_on(ledger.commit(vec![batch])).remove(0).unwrap()
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
    let again = commit(&ledger, Batch { key: None, ..batch(&batches[0]) });
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
