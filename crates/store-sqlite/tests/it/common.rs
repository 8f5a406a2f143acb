//! What the tests share: exact sources, ops from JSON, and a stream of hostile little batches.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tracekeep_core::Timestamp;
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::json;
use tracekeep_core::model::{Op, TraceStatus};
use tracekeep_store::{
    Batch, LedgerStore, Order, PageRequest, Receipt, Result, RunFilter, RunQuery, Source, Sources, TraceFilter,
    TraceQuery, TreeQuery, block_on,
};
use tracekeep_store_sqlite::{Finding, Options, SqliteLedger};

/// Times and randomness that are the same in every run.
#[derive(Default)]
pub(crate) struct Exact {
    seed: AtomicU64,
    now: AtomicU64,
}

impl Sources for Exact {
    fn now(&self) -> Timestamp {
        let tick = self.now.fetch_add(1, Ordering::Relaxed).cast_signed();
        Timestamp::from_nanos(1_700_000_000_000_000_000 + tick * 1_000)
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let at = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            let mixed = (at ^ (at >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            *byte = (mixed >> 56) as u8;
        }
    }
}

pub(crate) fn exact() -> Source {
    Source::new(Exact::default())
}

/// A directory for one test, and the path of its ledger.
pub(crate) struct Place {
    pub directory: tempfile::TempDir,
    pub path: PathBuf,
}

pub(crate) fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("runs.db");
    Place { directory, path }
}

pub(crate) fn open(path: &Path) -> SqliteLedger {
    SqliteLedger::open(path, Options { source: exact(), ..Options::default() }).unwrap()
}

pub(crate) fn op(text: &str) -> Op {
    Op::read(json::parse(text.as_bytes()).unwrap()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn ops(texts: &[&str]) -> Batch {
    Batch::of(texts.iter().map(|text| op(text)).collect())
}

pub(crate) fn start(run: &str) -> Batch {
    ops(&[&format!(
        r#"{{"op":"start_run","run_id":"{run}","agent_id":"planner","tags":["prod","a\u0000b"],"correlation_id":"c-1",
            "plan":[{{"skill":"search"}}],"started_at":"2024-01-01T00:00:00Z"}}"#
    )])
}

pub(crate) fn thought(run: &str, id: &str) -> Batch {
    ops(&[&format!(
        r#"{{"op":"record_trace","run_id":"{run}","id":"{id}","tags":["note"],"occurred_at":"2024-01-01T00:00:01Z",
            "trace_type":{{"type":"Thought","content":"hm {id}"}}}}"#
    )])
}

#[track_caller]
pub(crate) fn commit(ledger: &dyn LedgerStore, batch: Batch) -> Receipt {
    ledger.commit_blocking(vec![batch]).remove(0).unwrap()
}

#[track_caller]
pub(crate) fn refused(ledger: &dyn LedgerStore, batch: Batch) -> tracekeep_store::Error {
    ledger.commit_blocking(vec![batch]).remove(0).unwrap_err()
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}

/// Changes a closed ledger behind its back.
#[track_caller]
pub(crate) fn tamper(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    let triggers: Vec<(String, String)> = conn
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(std::result::Result::unwrap)
        .collect();
    for (name, _) in &triggers {
        conn.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    conn.execute_batch(sql).unwrap();
    for (_, sql) in &triggers {
        conn.execute_batch(sql).unwrap();
    }
}

pub(crate) fn run_id(text: &str) -> RunId {
    RunId::new(text).unwrap()
}

/// A small generator (xorshift64*): no test depends on more.
pub(crate) struct Dice {
    pub state: u64,
    /// How many times as many ids there are: more, and fewer ops meet what is there.
    pub breadth: u64,
}

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, breadth: 1 }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const TIMES: [&str; 5] = [
    "1677-09-21T00:12:43.145224192Z",
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:01Z",
    "2024-01-01T00:00:01.000000001Z",
    "2262-04-11T23:47:16.854775807Z",
];
const TAGS: [&str; 5] = ["a", "b", "", "a\\u0000", "\\ud83d\\ude00"];

/// One op of a few runs, steps and traces, so that duplicates, conflicts and refusals are frequent.
pub(crate) fn any_op(dice: &mut Dice) -> Op {
    let run = format!("run-{}", dice.below(4));
    let ids = 40 * dice.breadth;
    let (id, parent) = (dice.below(ids), dice.below(ids));
    let time = dice.pick(&TIMES);
    let tags = match dice.pick(&TAGS) {
        "" => String::new(),
        tag => format!(r#""{tag}","{}""#, if dice.below(2) == 0 { "a" } else { "c" }),
    };
    let text = match dice.below(20) {
        0 => format!(
            r#"{{"op":"start_run","run_id":"{run}","agent_id":"agent-{}","tags":[{tags}],"started_at":"{time}"}}"#,
            dice.below(2)
        ),
        1 => format!(r#"{{"op":"ensure_run","run_id":"{run}","source":"otlp"}}"#),
        2 => format!(
            r#"{{"op":"describe_run","run_id":"{run}","topic":"{}","agent_id":"a{}"}}"#,
            dice.pick(&["root", "resource/x", "resource/y"]),
            dice.below(2)
        ),
        3..8 => format!(
            r#"{{"op":"record_step","run_id":"{run}","index":{},"skill_name":"s","params":{{"n":{}}},"status":"{}",
                "cost_cents":"0.25","occurred_at":"{time}"}}"#,
            dice.below(12 * dice.breadth),
            dice.below(2),
            dice.pick(&["success", "failure"]),
        ),
        8..12 => format!(
            r#"{{"op":"record_trace","run_id":"{run}","id":"t-{id}","tags":[{tags}],"occurred_at":"{time}",
                "trace_type":{{"type":"ToolCall","tool_name":"x","arguments":null}}}}"#
        ),
        12..17 => format!(
            r#"{{"op":"record_trace","run_id":"{run}","id":"t-{id}","parent_id":"t-{parent}","tags":[{tags}],
                "occurred_at":"{time}","otel":{{"n":{}}}{},"trace_type":{{"type":"Custom","name":"n{}","data":1}}}}"#,
            dice.below(2),
            if dice.below(2) == 0 { "" } else { r#","ended_at":"2024-01-02T00:00:00Z""# },
            dice.below(3),
        ),
        17..19 => format!(
            r#"{{"op":"end_trace","run_id":"{run}","id":"t-{id}","status":"{}","ended_at":"{time}"}}"#,
            dice.pick(&["ok", "error"])
        ),
        _ if dice.below(8) == 0 => format!(r#"{{"op":"complete_run","run_id":"{run}","status":"completed"}}"#),
        _ => format!(r#"{{"op":"ensure_run","run_id":"{run}","source":"otlp"}}"#),
    };
    op(&text)
}

/// A batch of them, now and then under a key.
pub(crate) fn any_batch(dice: &mut Dice) -> Batch {
    let count = if dice.below(3) == 0 { 1 + dice.below(5) } else { 1 };
    let batch = Batch::of((0..count).map(|_| any_op(dice)).collect());
    if dice.below(10) == 0 { batch.under(format!("key-{}", dice.below(10)).parse().unwrap()) } else { batch }
}

/// Everything that a ledger answers about those runs, as text, in pages of three so that cursors are walked.
pub(crate) fn everything(ledger: &dyn LedgerStore) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |what: &str, answer: String| said.push(format!("{what}: {answer}"));
    let page = |cursor: Option<String>| PageRequest { limit: 3, cursor };
    let head = block_on(ledger.head()).unwrap();
    say("head", format!("{head:?}"));
    for filter in [
        RunFilter::default(),
        RunFilter { status: Some(tracekeep_core::model::RunStatus::Running), ..RunFilter::default() },
        RunFilter { agent: Some("agent-1".into()), ..RunFilter::default() },
        RunFilter { agent: Some("planner".into()), ..RunFilter::default() },
        RunFilter { correlation: Some("c-1".into()), ..RunFilter::default() },
        RunFilter { tag: Some("a\0".into()), ..RunFilter::default() },
        RunFilter { tag: Some("a".into()), ..RunFilter::default() },
        RunFilter { parent: Some("none".into()), ..RunFilter::default() },
    ] {
        say("count", format!("{:?}", block_on(ledger.run_count(&filter))));
        for order in [Order::Oldest, Order::Newest] {
            let mut cursor = None;
            loop {
                let query = RunQuery { filter: filter.clone(), order, page: page(cursor), ..RunQuery::default() };
                let got = block_on(ledger.runs(&query)).unwrap();
                say("runs", format!("{got:?}"));
                cursor = got.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
    }
    for run in (0..4).map(|n| run_id(&format!("run-{n}"))) {
        say("run", format!("{:?}", block_on(ledger.run(&run))));
        if block_on(ledger.run(&run)).unwrap().is_none() {
            continue;
        }
        say("counts", format!("{:?}", block_on(ledger.trace_counts(&run, &tracekeep_store::CountsQuery::default()))));
        let mut cursor = None;
        loop {
            let got = block_on(ledger.steps(&run, &page(cursor))).unwrap();
            say("steps", format!("{got:?}"));
            cursor = got.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        say("step", format!("{:?}", block_on(ledger.step(&run, 3))));
        let tagged = |tag: &str| TraceFilter { tags: vec![tag.into()], ..TraceFilter::default() };
        for filter in [
            TraceFilter::default(),
            TraceFilter { roots: true, ..TraceFilter::default() },
            tagged("a"),
            tagged("a\0"),
            tagged("😀"),
            tagged("unknown"),
            TraceFilter { type_name: Some("n1".into()), ..TraceFilter::default() },
            TraceFilter { type_name: Some("ToolCall".into()), ..tagged("a") },
            TraceFilter { status: Some(TraceStatus::Open), ..TraceFilter::default() },
            TraceFilter { status: Some(TraceStatus::Error), ..TraceFilter::default() },
            TraceFilter { status: Some(TraceStatus::Ok), ..TraceFilter::default() },
            TraceFilter { parent: Some(TraceId::new("t-3").unwrap()), ..TraceFilter::default() },
            TraceFilter { parent: Some(TraceId::new("t-7").unwrap()), ..TraceFilter::default() },
        ] {
            for order in [Order::Oldest, Order::Newest] {
                let mut cursor = None;
                loop {
                    let query = TraceQuery { filter: filter.clone(), order, page: page(cursor) };
                    let got = block_on(ledger.traces(&run, &query)).unwrap();
                    say("traces", format!("{got:?}"));
                    cursor = got.next_cursor;
                    if cursor.is_none() {
                        break;
                    }
                }
            }
        }
        let mut cursor = None;
        loop {
            let query = TreeQuery { page: page(cursor), ..TreeQuery::default() };
            let got = block_on(ledger.tree(&run, &query)).unwrap();
            say("tree", format!("{got:?}"));
            cursor = got.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        for id in 0..40 {
            let id = TraceId::new(format!("t-{id}")).unwrap();
            say("trace", format!("{:?}", block_on(ledger.trace(&run, &id))));
            let query = TreeQuery { root: Some(id), depth: Some(2), page: page(None) };
            say("subtree", format!("{:?}", block_on(ledger.tree(&run, &query))));
        }
    }
    for from in (0..head.tree_size).step_by(100) {
        say("entries", format!("{:?}", block_on(ledger.entries(from, 100))));
        say("inclusion", format!("{:?}", block_on(ledger.inclusion(from, None))));
        say("consistency", format!("{:?}", block_on(ledger.consistency(from, None))));
    }
    said
}

/// Compares two lists of answers; says the first that differs.
#[track_caller]
pub(crate) fn same(left: &[String], right: &[String]) {
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left, right);
    }
    assert_eq!(left.len(), right.len());
}

/// Where a finding is, in all its words.
pub(crate) fn whole(finding: &Finding) -> String {
    let said = finding.to_string();
    let place = said.strip_prefix(&format!("{}: ", finding.what)).unwrap();
    place.strip_suffix(&format!(": {}", finding.detail)).unwrap().to_owned()
}
