//! Everything that a ledger answers, checked against its own log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tracekeep_audit::{AuditExpectation, AuditSummary, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::hash::{Hash, sha256};
use tracekeep_core::id::LedgerId;
use tracekeep_core::json::{Json, Value, parse_around};
use tracekeep_core::merkle;
use tracekeep_core::model::{AuditStatus, RunStatus};
use tracekeep_core::redaction::Redaction;
use tracekeep_core::remainder::LEVELS_AROUND;
use tracekeep_core::view::{
    Head, Held, Incident, LogEntry, NameCount, Run, RunCount, Step, Trace, TraceCounts, TreeNode, UnsealedRun,
};
use tracekeep_core::wire::{Fields, Path, read_whole, to_json};
use tracekeep_store::{
    CountsQuery, IncidentQuery, LedgerStore, Order, RunFilter, RunQuery, TraceQuery, TreeQuery, block_on,
};

use crate::context::walk;

/// Everything that a ledger answers: log, runs, steps, traces, trees, counts.
#[derive(Debug, PartialEq)]
pub struct Dump {
    ledger: LedgerId,
    head: Head,
    entries: Vec<LogEntry>,
    run_counts: Vec<RunCount>,
    runs: Vec<RunDump>,
    pending: Vec<PendingRun>,
    due: Vec<PendingRun>,
    unsealed: Vec<UnsealedRun>,
    incidents: Vec<Incident>,
    holds: Vec<Held>,
}

#[derive(Debug, PartialEq)]
struct RunDump {
    run: Run,
    steps: Vec<Step>,
    traces: Vec<Trace>,
    counts: TraceCounts,
    tree: Vec<TreeNode>,
    audit: AuditSummary,
    expectations: Vec<AuditExpectation>,
    acks: Vec<DomainAck>,
}

impl Dump {
    /// Reads a ledger whole.
    #[track_caller]
    pub fn of(ledger: &dyn LedgerStore) -> Self {
        let head = block_on(ledger.head()).expect("the head is readable");
        let mut entries = Vec::new();
        while (entries.len() as u64) < head.tree_size {
            let page = block_on(ledger.entries(entries.len() as u64, 1_000)).expect("the log is readable");
            assert!(!page.is_empty(), "the log is as long as its head says");
            entries.extend(page);
        }
        let query = RunQuery { order: Order::Oldest, ..RunQuery::default() };
        let runs = walk(1_000, |page| block_on(ledger.runs(&RunQuery { page, ..query.clone() })));
        let runs = runs.into_iter().map(|run| RunDump::of(ledger, run)).collect();
        let statuses = [None].into_iter().chain(RunStatus::ALL.iter().map(|status| Some(*status)));
        let count = |status| block_on(ledger.run_count(&RunFilter { status, ..RunFilter::default() }));
        let run_counts = statuses.map(|status| count(status).expect("runs are countable")).collect();
        let pending = walk(1_000, |page| block_on(ledger.pending_runs(&page)));
        let due = block_on(ledger.due_runs(Timestamp::MAX, 1_000)).expect("what is due is readable");
        let unsealed =
            block_on(ledger.unsealed_runs(Timestamp::MAX, 1_000)).expect("what waits for a seal is readable");
        let query = IncidentQuery { order: Order::Oldest, ..IncidentQuery::default() };
        let incidents = walk(1_000, |page| block_on(ledger.incidents(&IncidentQuery { page, ..query.clone() })));
        let holds = walk(1_000, |page| block_on(ledger.holds(&page)));
        Self { ledger: ledger.ledger(), head, entries, run_counts, runs, pending, due, unsealed, incidents, holds }
    }

    /// Checks what is readable against the log: hashes, numbers, counts, trees, and the wire's form of everything.
    #[track_caller]
    pub fn check(&self) {
        assert_eq!(self.head.tree_size, self.entries.len() as u64, "the head is the log's size");
        let statuses = [None].into_iter().chain(RunStatus::ALL.iter().map(|status| Some(*status)));
        let count = |status: Option<RunStatus>| {
            let runs = self.runs.iter().filter(|run| status.is_none_or(|status| status == run.run.status));
            RunCount { count: runs.count() as u64, complete: true }
        };
        assert_eq!(self.run_counts, statuses.map(count).collect::<Vec<_>>(), "the counters are of the list");
        let mut leaves = Vec::with_capacity(self.entries.len());
        let (mut next_seq, mut own) = (HashMap::<String, u64>::new(), HashMap::<String, Vec<Hash>>::new());
        let mut clock = String::new();
        let erased = self.erased();
        for (place, entry) in (0u64..).zip(&self.entries) {
            assert_eq!(entry.log_index, place, "log indices are gapless");
            let leaf = leaf_members(entry);
            assert_eq!(leaf["ledger"], self.ledger.to_string());
            assert_eq!(leaf["v"], "1");
            assert!(leaf["recorded_at"] >= clock, "the ledger's clock never goes back");
            clock.clone_from(&leaf["recorded_at"]);
            let seq = next_seq.entry(leaf["run"].clone()).or_default();
            assert_eq!(leaf["seq"], seq.to_string(), "a run's entries are numbered from 0");
            *seq += 1;
            assert_eq!(merkle::leaf_hash(entry.leaf.as_str().as_bytes()), entry.leaf_hash, "the leaf hashes");
            match (entry.body.as_ref(), entry.salt) {
                (Some(body), Some(salt)) => {
                    assert!(erased.get(&leaf["run"]).is_none_or(|by| *by <= place), "an erased body is gone");
                    assert_eq!(leaf["commit"], commitment(body, salt).to_string(), "the leaf commits to the body");
                }
                (None, None) if entry.redacted_by.is_some() => self.is_left(entry, &leaf["commit"]),
                (None, None) => {
                    assert!(erased.get(&leaf["run"]).is_some_and(|by| *by > place), "a redaction says why");
                }
                _ => panic!("body and salt go together"),
            }
            leaves.push(entry.leaf_hash);
            own.entry(leaf["run"].clone()).or_default().push(entry.leaf_hash);
            reads_back(entry, 1 + LEVELS_AROUND);
        }
        assert_eq!(self.head.root, naive_root(&leaves), "the head's root is over the log");
        for run in &self.runs {
            let entries = own.get(run.run.run_id.as_str()).map_or(0, Vec::len);
            assert_eq!(run.run.entries, entries as u64, "a run counts its entries");
            run.check(&self.entries);
        }
        for incident in &self.incidents {
            reads_back(incident, 1);
        }
        let known: usize =
            self.runs.iter().map(|run| run.run.run_id.as_str()).filter(|id| own.contains_key(*id)).count();
        let there = own.keys().filter(|run| !run.is_empty() && !erased.contains_key(*run));
        assert_eq!(known, there.count(), "every run of the log is listed once, but for the erased ones");
    }

    /// What is left of an entry of which members are withheld stands in the redaction that it names, and gives its
    /// commitment.
    #[track_caller]
    fn is_left(&self, entry: &LogEntry, commit: &str) {
        let by = entry.redacted_by.and_then(|by| self.entries.iter().find(|entry| entry.log_index == by));
        let body = by.and_then(|by| by.body.as_ref()).expect("a redaction says why");
        let redaction = Redaction::from_body(body.as_str()).expect("a redaction of members");
        let Some(left) = redaction.remainder(entry.log_index) else {
            assert!(redaction.entries().any(|taken| taken == entry.log_index), "its reason was carried over");
            return;
        };
        assert_eq!(left.commitment().to_string(), commit, "what is left commits to what was recorded");
        let withholds = redaction.kept.remainders.iter().any(|left| left.withheld().next().is_some());
        assert!(withholds, "a redaction withholds something");
    }

    /// The runs that were erased, and by which entries.
    fn erased(&self) -> HashMap<String, u64> {
        let by = self.entries.iter().filter_map(|entry| {
            let leaf = leaf_members(entry);
            let body = entry.body.as_ref()?;
            let op = body.value().as_object()?.get("op")?.as_str().map(str::to_owned);
            (op.as_deref() == Some("erase_run")).then(|| (leaf["run"].clone(), entry.log_index))
        });
        by.collect()
    }

    /// Demands that another reading of the same ledger says the same.
    #[track_caller]
    pub fn same(&self, other: &Self) {
        assert_eq!(self.ledger, other.ledger, "the ledger's id stays");
        assert_eq!(self.head, other.head, "the head stays");
        same_items("entry", &self.entries, &other.entries);
        same_items("pending run", &self.pending, &other.pending);
        same_items("run that is due", &self.due, &other.due);
        same_items("incident", &self.incidents, &other.incidents);
        same_items("hold", &self.holds, &other.holds);
        assert_eq!(self.run_counts, other.run_counts, "the runs are as many");
        assert_eq!(self.runs.len(), other.runs.len(), "the runs are as many");
        for (a, b) in self.runs.iter().zip(&other.runs) {
            assert_eq!(a.run, b.run, "a run reads the same");
            same_items("step", &a.steps, &b.steps);
            same_items("trace", &a.traces, &b.traces);
            assert_eq!(a.counts, b.counts, "counters stay");
            same_items("node", &a.tree, &b.tree);
            assert_eq!(a.audit, b.audit, "an audit reads the same");
            same_items("expectation", &a.expectations, &b.expectations);
            same_items("acknowledgement", &a.acks, &b.acks);
        }
    }
}

#[track_caller]
fn same_items<T: PartialEq + std::fmt::Debug>(what: &str, a: &[T], b: &[T]) {
    assert_eq!(a.len(), b.len(), "as many of {what}");
    for (place, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a, b, "{what} {place} reads the same");
    }
}

impl RunDump {
    #[track_caller]
    fn of(ledger: &dyn LedgerStore, run: Run) -> Self {
        let id = run.run_id.clone();
        let steps = walk(1_000, |page| block_on(ledger.steps(&id, &page)));
        let traces = walk(1_000, |page| block_on(ledger.traces(&id, &TraceQuery { page, ..TraceQuery::default() })));
        let counts = block_on(ledger.trace_counts(&id, &CountsQuery::default())).expect("counts are readable");
        let tree = walk(1_000, |page| block_on(ledger.tree(&id, &TreeQuery { page, ..TreeQuery::default() })));
        let alone = block_on(ledger.run(&id)).expect("a run is readable");
        assert_eq!(alone.as_ref(), Some(&run), "a run reads alone as in a list");
        let audit = block_on(ledger.audit(&id)).expect("an audit is readable");
        let expectations = walk(1_000, |page| block_on(ledger.expectations(&id, &page)));
        let acks = walk(1_000, |page| block_on(ledger.acks(&id, &page)));
        Self { run, steps, traces, counts, tree, audit, expectations, acks }
    }

    #[track_caller]
    fn check(&self, log: &[LogEntry]) {
        let Self { run, steps, traces, counts, tree, audit, expectations, acks } = self;
        reads_back(run, 0);
        assert_eq!(run.steps, steps.len() as u64, "a run counts its steps");
        assert!(steps.is_sorted_by(|a, b| a.index < b.index), "steps are by index, each once");
        let micro_cents: i64 = steps.iter().map(|step| step.cost_cents.as_micro_cents()).sum();
        assert_eq!(run.cost_cents.as_micro_cents(), micro_cents, "costs add up");
        let nanos: i64 = steps.iter().map(|step| step.duration_ms.as_nanos()).sum();
        // A total is written as milliseconds in a double: exact to some 2^-52 of itself.
        assert!((run.duration_ms.as_nanos() - nanos).abs() <= nanos >> 50, "durations add up");
        let hidden = |step: &Step| step.withheld.iter().flatten().any(|name| name == "tokens").then_some(0);
        let tokens = steps.iter().filter_map(|step| step.tokens.or(hidden(step))).reduce(|a, b| a + b);
        assert_eq!(run.tokens, tokens, "tokens add up");
        let word = |word: &str| steps.iter().filter(|step| step.status.as_str() == word).count() as u64;
        assert_eq!((run.successes, run.failures), (word("success"), word("failure")));
        for step in steps {
            reads_back(step, 0);
            place(log, step.log_index, step.run_id.as_str(), step.seq, "step");
        }
        assert_eq!(run.traces, traces.len() as u64, "a run counts its traces");
        assert!(traces.is_sorted_by_key(|trace| (trace.occurred_at, trace.log_index)), "traces are in order");
        for trace in traces {
            reads_back(trace, 0);
            place(log, trace.log_index, trace.run_id.as_str(), trace.seq, "trace");
        }
        assert_eq!(counts.total, run.traces, "the counters' total");
        let (types, tags) = (
            counted(traces.iter().map(|trace| trace.trace_type.type_name())),
            counted(traces.iter().flat_map(|trace| trace.tags.iter().map(String::as_str))),
        );
        assert_eq!((&counts.types, &counts.tags), (&types, &tags), "the counters are of the traces");
        check_tree(traces, tree);
        check_audit(audit, expectations, acks, log);
    }
}

/// What is said in short is what the lists say.
#[track_caller]
fn check_audit(audit: &AuditSummary, expectations: &[AuditExpectation], acks: &[DomainAck], log: &[LogEntry]) {
    reads_back(audit, 0);
    assert_eq!(audit.expectations, expectations.len() as u64, "an audit counts its expectations");
    assert!(audit.acks >= acks.len() as u64, "an audit counts its acknowledgements and statuses");
    let not_done = |one: &&AuditExpectation| !one.optional && one.status != AuditStatus::Acked;
    let open: BTreeSet<_> = expectations.iter().filter(not_done).map(|one| (&one.domain, &one.action)).collect();
    assert!(audit.open >= open.len() as u64, "what is not done is open");
    for one in expectations {
        reads_back(one, 0);
        leaf_kind(log, one.log_index.expect("an entry"), "expectation");
    }
    for one in acks {
        reads_back(one, 0);
        leaf_kind(log, one.log_index.expect("an entry"), "ack");
    }
    if let Some(now) = &audit.now {
        assert_eq!((now.expectations, now.acks), (audit.expectations, acks.len() as u64), "a verdict is of all of it");
    }
}

#[track_caller]
fn leaf_kind(log: &[LogEntry], log_index: u64, kind: &str) {
    let leaf = leaf_members(&log[usize::try_from(log_index).expect("a log index")]);
    assert_eq!(&*leaf["kind"], kind, "an item names its entry");
}

/// A forest in pre-order: depths rise by one at most, children are as many as said, each trace stands there once.
#[track_caller]
fn check_tree(traces: &[Trace], tree: &[TreeNode]) {
    let mut shown: Vec<_> = tree.iter().filter_map(|node| node.trace.as_ref()).map(|trace| trace.log_index).collect();
    shown.sort_unstable();
    let mut listed: Vec<_> = traces.iter().map(|trace| trace.log_index).collect();
    listed.sort_unstable();
    assert_eq!(shown, listed, "the forest holds every trace once");
    let mut path: Vec<(&TreeNode, u64)> = Vec::new();
    for node in tree {
        reads_back(node, 1);
        let depth = node.depth as usize;
        assert!(depth <= path.len(), "pre-order goes down one level at a time");
        for (parent, seen) in path.drain(depth..) {
            assert_eq!(parent.children, seen, "a node has as many children as it says");
        }
        if let Some((parent, seen)) = path.last_mut() {
            *seen += 1;
            let named = node.trace.as_ref().and_then(|trace| trace.parent_id.as_ref());
            let above = parent.trace.as_ref().map(|trace| &trace.id).or(parent.missing.as_ref());
            assert_eq!(named, above, "a child hangs on the parent that it names");
        } else if let Some(trace) = &node.trace {
            assert_eq!(trace.parent_id.is_some(), trace.orphan, "a root names no parent, unless it is an orphan");
        }
        path.push((node, 0));
    }
    for (parent, seen) in path {
        assert_eq!(parent.children, seen, "a node has as many children as it says");
    }
}

#[track_caller]
fn place(log: &[LogEntry], log_index: u64, run: &str, seq: u64, kind: &str) {
    let leaf = leaf_members(&log[usize::try_from(log_index).expect("a log index")]);
    assert_eq!(
        (&*leaf["run"], &*leaf["seq"], &*leaf["kind"]),
        (run, &*seq.to_string(), kind),
        "an item names its entry"
    );
}

fn counted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<NameCount> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().map(|(name, count)| NameCount { name: name.to_owned(), count }).collect()
}

/// What is read can be written to the wire and read from it, `levels` deep inside what the wire adds.
#[track_caller]
fn reads_back<T: Fields + PartialEq + std::fmt::Debug>(item: &T, levels: u32) {
    let json = to_json(item);
    let value = parse_around(json.as_str().as_bytes(), levels).unwrap_or_else(|error| panic!("{error}"));
    let read: T = read_whole(value, &Path::ROOT).unwrap_or_else(|invalid| panic!("{invalid}"));
    assert!(read == *item, "what is written is read back: {item:?}");
}

/// The members of a leaf, as text.
#[track_caller]
pub(crate) fn leaf_members(entry: &LogEntry) -> HashMap<String, String> {
    let value = entry.leaf.json().value();
    let object = value.as_object().expect("a leaf is an object");
    assert_eq!(object.len(), 7, "a leaf has seven members");
    let text = |value: &Value<'_>| value.as_str().map_or_else(|| value.to_json().as_str().to_owned(), str::to_owned);
    object.iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// The commitment to a body under a salt, from DESIGN §6 and the log entry alone.
pub(crate) fn commitment(body: &Json, salt: Hash) -> Hash {
    let value = body.value();
    let mut members = Vec::new();
    for (name, value) in value.as_object().expect("a body is an object").iter() {
        match value.as_object().filter(|_| name == "trace_type") {
            Some(inner) => members.extend(inner.iter().map(|(name, value)| (format!("trace_type/{name}"), value))),
            None => members.push((name.to_owned(), value)),
        }
    }
    members.sort_by(|a, b| a.0.cmp(&b.0));
    let mut bytes = b"tracekeep/commit/1\n".to_vec();
    for (name, value) in members {
        let own = sha256(&[b"tracekeep/salt/1\n", salt.as_bytes(), name.as_bytes()]);
        let pair = Json::array([Json::from(name.as_str()), value.to_json()]);
        let member = sha256(&[b"tracekeep/member/1\n", own.as_bytes(), pair.as_str().as_bytes()]);
        bytes.extend_from_slice(Json::from(name.as_str()).as_str().as_bytes());
        bytes.extend_from_slice(member.as_bytes());
    }
    sha256(&[&bytes])
}

/// The root over leaf hashes, as RFC 9162 §2.1.1 defines it.
pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            sha256(&[&[1], naive_root(left).as_bytes(), naive_root(right).as_bytes()])
        }
    }
}
