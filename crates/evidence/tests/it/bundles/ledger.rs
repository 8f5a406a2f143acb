//! A small ledger of fixed values, from which bundles are made.

use std::collections::HashMap;

use tracekeep_core::Timestamp;
use tracekeep_core::body::Body;
use tracekeep_core::compare::{Change, Verdict};
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::id::LedgerId;
use tracekeep_core::json::Json;
use tracekeep_core::merkle::{MemoryTiles, multiproof, root_at, root_of};
use tracekeep_core::model::JsonObject;
use tracekeep_core::remainder::Remainder;
use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::{Contents, Kind, Period, Record};
use tracekeep_evidence::comparison::{Beyond, Comparison, Example, FirstDifference, Group, Matches, Own};
use tracekeep_evidence::controls::controls;
use tracekeep_evidence::{Checkpoint, NoteKey, SigningKey};

/// 2026-11-20T10:00:00Z.
const START: i64 = 1_795_168_800_000_000_000;

/// The log that the bundles are of.
pub(crate) struct Ledger {
    pub(crate) id: LedgerId,
    pub(crate) key: SigningKey,
    pub(crate) entries: Vec<Record>,
    tiles: MemoryTiles,
    runs: HashMap<String, Vec<Hash>>,
}

/// A time, so many seconds in.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(START + seconds * 1_000_000_000)
}

pub(crate) fn key_of(id: LedgerId, seed: u8) -> SigningKey {
    SigningKey::from_seed(Checkpoint::origin_of(id), [seed; 32]).unwrap()
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let id: LedgerId = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
        Self { id, key: key_of(id, 7), entries: Vec::new(), tiles: MemoryTiles::new(), runs: HashMap::new() }
    }

    pub(crate) fn public(&self) -> Vec<NoteKey> {
        vec![self.key.public().clone()]
    }

    pub(crate) fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Records an entry, its time as many seconds in as there are entries before it; gives its log index.
    pub(crate) fn push(&mut self, kind: &str, run: &str, body: &str) -> u64 {
        let log_index = self.size();
        let body = Body::from_recorded(Json::parse(body).unwrap().as_str()).unwrap();
        let salt = Salt::of_entry(&[0x20; 32], log_index);
        let hashes = self.runs.entry(run.to_owned()).or_default();
        let record = Record {
            log_index,
            run: run.to_owned(),
            seq: hashes.len() as u64,
            kind: kind.to_owned(),
            recorded_at: at(log_index as i64),
            commit: body.commitment(&salt),
            left: Some(Remainder::whole(log_index, &body, &salt)),
        };
        let hash = record.leaf(self.id).hash();
        hashes.push(hash);
        self.tiles.push(hash);
        self.entries.push(record);
        log_index
    }

    /// The ledger of the entries as they are now.
    pub(crate) fn again(self) -> Self {
        let mut ledger = Self { entries: Vec::new(), ..Self::new() };
        for (log_index, mut record) in (0..).zip(self.entries) {
            record.log_index = log_index;
            record.left.iter_mut().for_each(|left| left.log_index = log_index);
            ledger.tiles.push(record.leaf(ledger.id).hash());
            ledger.entries.push(record);
        }
        ledger
    }

    pub(crate) fn start(&mut self, run: &str) -> u64 {
        let body = format!(
            r#"{{"agent_id":"agent-7","goal":"book <b>a flight</b>","metadata":{{}},"op":"start_run","run_id":"{run}","seed":42,
            "source":"api","started_at":"2026-11-20T10:00:00.000000000Z","tags":[]}}"#
        );
        self.push("run_started", run, &body)
    }

    pub(crate) fn step(&mut self, run: &str, index: u32, status: &str, params: &str) -> u64 {
        let body = format!(
            r#"{{"cost_cents":"0.25","duration_ms":12.5,"index":{index},"occurred_at":"2026-11-20T10:00:01.000000000Z",
            "op":"record_step","outcome_category":"SUCCESS","outcome_data":{{"hits":{index}}},"params":{params},
            "replay_behavior":"execute","retry_count":0,"run_id":"{run}","skill_name":"search","status":"{status}","tokens":180}}"#
        );
        self.push("step", run, &body)
    }

    pub(crate) fn trace(&mut self, run: &str, id: &str, parent: Option<&str>) -> u64 {
        let parent = parent.map(|parent| format!(r#""parent_id":"{parent}","#)).unwrap_or_default();
        let body = format!(
            r#"{{"id":"{id}","metadata":{{}},"occurred_at":"2026-11-20T10:00:02.000000000Z","op":"record_trace",{parent}"run_id":"{run}",
            "tags":["paid"],"trace_type":{{"arguments":{{"fare":"199.00"}},"tool_name":"payments.charge","type":"ToolCall"}}}}"#
        );
        self.push("trace", run, &body)
    }

    /// Seals a run over what it has, of which so many are steps, so many of them successes, and traces.
    pub(crate) fn seal(&mut self, run: &str, steps: u64, successes: u64, traces: u64) -> u64 {
        self.seal_as(run, steps, successes, traces, &Hash::ZERO.to_string())
    }

    /// The same, by another behaviour_hash and root_hash.
    pub(crate) fn seal_as(&mut self, run: &str, steps: u64, successes: u64, traces: u64, hash: &str) -> u64 {
        let hashes = &self.runs[run];
        let cost = (steps * 25) as f64 / 100.0;
        let body = format!(
            r#"{{"behaviour_hash":"{hash}","completed_at":"2026-11-20T10:00:03.000000000Z","entries":{1},"gaps":{{"count":0,"ranges":[]}},
            "metadata":{{}},"n":0,"op":"complete_run","plan_hash":"{0}","root_hash":"{hash}","run_id":"{run}","run_root":"{2}","status":"failed","steps":{steps},
            "termination_reason":"sold out","totals":{{"cost_cents":"{cost}","duration_ms":{3},"failures":{4},"successes":{successes},
            "tokens":{5}}},"traces":{traces}}}"#,
            Hash::ZERO,
            hashes.len(),
            root_of(hashes),
            steps as f64 * 12.5,
            steps - successes,
            steps * 180,
        );
        self.push("sealed", run, &body)
    }

    /// The root over the entries that a run has.
    pub(crate) fn run_root(&self, run: &str) -> Hash {
        root_of(&self.runs[run])
    }

    pub(crate) fn incident(&mut self, run: &str) -> u64 {
        let body = format!(
            r#"{{"created_at":"2026-11-20T10:00:04.000000000Z","incident_id":"inc-1","op":"open_incident","policy_id":"budget","run_id":"{run}","severity":"high","violation_step_index":1}}"#
        );
        self.push("incident", run, &body)
    }

    /// The entries of some runs, whole.
    pub(crate) fn of_runs(&self, runs: &[&str]) -> Vec<Record> {
        self.entries.iter().filter(|record| runs.contains(&record.run.as_str())).cloned().collect()
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = root_at(&self.tiles, size).unwrap();
        Checkpoint { origin: Checkpoint::origin_of(self.id), size, root }
    }

    /// All entries, of those of other runs their leaves alone.
    pub(crate) fn with_leaves(&self, runs: &[&str]) -> Vec<Record> {
        let mut records = self.entries.clone();
        let others = records.iter_mut().filter(|record| !runs.contains(&record.run.as_str()));
        others.for_each(|record| record.left = None);
        records
    }

    /// The contents of a bundle of these records, at the log's size.
    pub(crate) fn contents(&self, kind: Kind, records: Vec<Record>) -> Contents {
        let run = records.iter().map(|record| &record.run).find(|run| !run.is_empty() && kind != Kind::Period);
        let run_id = run.cloned();
        let mut contents = Contents {
            kind,
            ledger: self.id,
            tenant_id: "acme".to_owned(),
            exported_by: "auditor".to_owned(),
            run_id,
            incident_id: None,
            options: JsonObject::new(Json::parse(r#"{"subject":"run-1"}"#).unwrap()).unwrap(),
            forced: false,
            checkpoint: self.checkpoint(self.size()).sign(&self.key).unwrap(),
            created_at: self.entries.last().unwrap().recorded_at,
            records,
            proof: Vec::new(),
            period: None,
            comparison: None,
            controls: None,
            debrief: None,
            report: "<!doctype html><title>a report</title>".to_owned(),
        };
        self.prove(&mut contents);
        contents
    }

    /// Puts the proof for the records into the contents.
    pub(crate) fn prove(&self, contents: &mut Contents) {
        let mut indices: Vec<u64> = contents.records.iter().map(|record| record.log_index).collect();
        indices.sort_unstable();
        contents.proof = multiproof(&self.tiles, &indices, self.size()).unwrap();
    }
}

/// Two runs, the second while the first goes on; an incident about the first; a third that comes after.
pub(crate) fn story() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.start("run-1");
    ledger.step("run-1", 0, "success", r#"{"q":"FRA-LIS"}"#);
    ledger.start("run-2");
    ledger.step("run-1", 1, "failure", r#"{"card":"4111"}"#);
    ledger.trace("run-1", "t-1", None);
    ledger.step("run-2", 0, "success", r#"{"q":"LIS-FRA"}"#);
    ledger.seal("run-1", 2, 1, 1);
    ledger.incident("run-1");
    ledger.seal("run-2", 1, 1, 0);
    ledger.start("run-3");
    ledger
}

/// Of run-1: that run-2 came out the same, and maybe that many others, which are in no bundle, did not.
pub(crate) fn compared(records: &[Record], has_others: bool) -> Comparison {
    let example = |run_id: &str, seal| Example { run_id: run_id.to_owned(), seal };
    let group = |relation, runs, examples| Group { relation, runs, status: "failed".to_owned(), examples };
    let same = group(Verdict::Identical, 1, vec![example("run-2", 8)]);
    let others = (0..).zip([2, 5, 9, 2, 5]).map(|(number, seal)| example(&format!("other-{number}"), seal));
    let others = has_others.then(|| group(Verdict::Diverged, 7, others.collect()));
    let fields = vec!["outcome_data".to_owned(), "params".to_owned()];
    let difference = FirstDifference { run_id: "other-0".to_owned(), step: Some(1), change: Change::Changed, fields };
    let matches = |own| Matches {
        own,
        groups: others.into_iter().chain([same]).collect(),
        beyond: Beyond::default(),
        unverifiable: 1,
        complete: true,
        difference: has_others.then_some(difference),
    };
    Comparison { run_id: "run-1".to_owned(), matches: Own::of(records, "run-1").map(matches) }
}

/// A bundle's contents of each kind, by name.
pub(crate) fn golden(ledger: &Ledger) -> Vec<(&'static str, Contents)> {
    let mut evidence = ledger.contents(Kind::Evidence, ledger.of_runs(&["run-1"]));
    evidence.incident_id = Some("inc-1".to_owned());
    evidence.comparison = Some(compared(&evidence.records, true));
    let mut withheld = evidence.clone();
    let of_kind: [(&str, &[&str]); 2] = [("step", &["params"]), ("sealed", &["behaviour_hash", "root_hash"])];
    for (kind, names) in of_kind {
        for record in withheld.records.iter_mut().filter(|record| record.kind == kind) {
            record.left = Some(record.left.as_ref().unwrap().without(names).unwrap());
        }
    }
    withheld.comparison = Some(compared(&withheld.records, true));
    // The leaf of a run that is not shown, so that the log of six entries is known again.
    withheld.records.push(Record { left: None, ..ledger.entries[5].clone() });
    ledger.prove(&mut withheld);
    let mut soc2 = ledger.contents(Kind::Soc2, ledger.of_runs(&["run-1", "run-2"]));
    soc2.period = Some(Period { from: at(0), to: at(60) });
    soc2.controls = Some(controls(&Account::of(&soc2.records, Some("run-1"), None), soc2.period).to_json());
    soc2.comparison = Some(compared(&soc2.records, false));
    let mut debrief = ledger.contents(Kind::ExecutiveDebrief, ledger.of_runs(&["run-1"]));
    debrief.incident_id = Some("inc-1".to_owned());
    let account = Account::of(&debrief.records, Some("run-1"), Some("inc-1"));
    debrief.debrief = Some(tracekeep_evidence::debrief::debrief(&account).to_json());
    let mut period = ledger.contents(Kind::Period, ledger.with_leaves(&["run-2"]));
    period.period = Some(Period { from: at(1), to: at(9) });
    vec![
        ("evidence", evidence),
        ("executive_debrief", debrief),
        ("period", period),
        ("soc2", soc2),
        ("withheld", withheld),
    ]
}
