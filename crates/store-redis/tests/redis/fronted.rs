//! What stands in Redis in front of a ledger: what is told of it, what is taken out of it, and what does not ask for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;
use tracekeep_conformance::{FailingRead, FaultStore};
use tracekeep_core::json::Json;
use tracekeep_core::model::{
    Ack, AckStatus, AuditStatus, CompleteRun, EraseRun, Expect, FinalStatus, JsonObject, Op, SetExpectationStatus,
    StartRun,
};
use tracekeep_store::{
    AuditStore, Batch, GcRequest, HeldListener, HeldWord, LedgerStore, MemoryLedger, PageRequest, Receipt, Recorded,
    Redaction, RedactionRules, Result, block_on, commit_with_held, gc_with_held,
};
use tracekeep_store_redis::{AuditOptions, MovingAudit, RedisAuditStore};

use crate::cluster;
use crate::real::Server;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 12] = [
        ("what_is_set_aside_is_told_and_listed", set_aside),
        ("what_is_moved_is_told_with_a_seal_too", told_of_a_seal),
        ("what_is_erased_in_the_ledger_is_dropped_in_redis", erased),
        ("what_was_erased_and_cannot_be_read_is_told_of", unread),
        ("facts_of_a_run_that_nobody_knows_are_told_of", unknown_run),
        ("a_status_in_a_batch_is_set_after_what_redis_held", status_in_a_batch),
        ("acks_of_a_batch_and_of_redis_both_count", both_ways),
        ("nothing_is_sealed_without_what_redis_may_hold", without_redis),
        ("a_seal_holds_what_the_index_of_a_promoted_replica_lacks", without_index),
        ("what_rules_take_out_never_stands_in_redis", redacted),
        ("two_sweepers_and_a_clock_that_jumps_record_one_verdict", two_sweepers),
        ("a_fact_is_the_same_under_other_rules_that_find_the_same", other_rules),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(format!("fronted::{name}"), move || {
            test();
            Ok(())
        })
    };
    tests.into_iter().map(trial).collect()
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

fn expect(name: &str, action: &str) -> Expect {
    Expect { id: Some(id(name)), ..Expect::new(id("r"), "d", action, 3_600_000) }
}

fn ack(name: &str, action: &str) -> Ack {
    Ack { id: Some(id(name)), ..Ack::new(id("r"), "d", action, AckStatus::Success) }
}

fn complete(run: &str) -> Op {
    Op::CompleteRun(CompleteRun::new(id(run), FinalStatus::Completed))
}

/// Words as they were told.
type Heard = Arc<Mutex<Vec<String>>>;

struct Fronted {
    server: Server,
    ledger: Arc<MemoryLedger>,
    hot: Arc<RedisAuditStore>,
    audit: MovingAudit,
    heard: Heard,
}

impl Fronted {
    fn start(redact: Redaction) -> Self {
        let server = Server::start(&[]);
        let url = server.url();
        Self::before(server, &url, redact)
    }

    fn before(server: Server, url: &str, redact: Redaction) -> Self {
        let ledger = Arc::new(MemoryLedger::default().redacting(redact.clone()));
        let options = AuditOptions { timeout: Duration::from_secs(60), redact, ..AuditOptions::default() };
        let hot = RedisAuditStore::connect_with(url, "fronted", options).expect("the server answers");
        let hot = Arc::new(hot);
        let audit = MovingAudit::new(Arc::clone(&hot), Arc::clone(&ledger) as Arc<dyn LedgerStore>);
        let heard = Heard::default();
        let listener = Arc::clone(&heard);
        audit.listen(HeldListener::new(move |word| {
            let word = match word {
                HeldWord::Moved { ops, tree_size } => {
                    let new = ops.iter().filter(|op| op.outcome == Recorded::Recorded).count();
                    format!("{new} of {} moved, {tree_size} in all", ops.len())
                }
                HeldWord::Parked { run_id, member, code } => format!("parked {run_id} {member} {code}"),
                HeldWord::Kept { run_id, code } => format!("kept {run_id} {code}"),
                other => format!("{other:?}"),
            };
            listener.lock().expect("no panic").push(word);
        }));
        let fronted = Self { server, ledger, hot, audit, heard };
        fronted.commit(vec![Op::StartRun(StartRun { run_id: Some(id("r")), ..StartRun::default() })]).expect("a run");
        fronted
    }

    fn commit(&self, ops: Vec<Op>) -> Result<Receipt> {
        block_on(commit_with_held(&*self.ledger, &self.audit, vec![Batch::of(ops)])).pop().expect("an answer")
    }

    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().expect("no panic"))
    }

    fn hold(&self, expectations: &[Expect], acks: &[Ack]) {
        if !expectations.is_empty() {
            block_on(self.audit.add_expectations(expectations.to_vec())).expect("noted");
        }
        for ack in acks {
            block_on(self.audit.add_ack(ack.clone())).expect("noted");
        }
    }
}

fn set_aside() {
    let fronted = Fronted::start(Redaction::none());
    let full: Vec<_> = (0..1_000).map(|n| Op::Expect(expect(&format!("e{n}"), "x"))).collect();
    fronted.commit(full).expect("as many as a run may have");
    fronted.hold(&[expect("p", "x"), expect("q", "y")], &[ack("a", "x")]);
    block_on(fronted.audit.load_from_redis(&id("r"))).expect("what can be moved is");
    let said = fronted.said();
    assert!(said.contains(&"parked r e:p too_many".to_owned()), "{said:?}");
    assert!(said.contains(&"parked r e:q too_many".to_owned()), "{said:?}");
    let page = |cursor| PageRequest { limit: 1, cursor };
    let first = block_on(fronted.audit.get_parked(&id("r"), &page(None))).expect("a page");
    assert_eq!((first.items[0].member.as_str(), first.items[0].code.as_str()), ("e:p", "too_many"));
    assert!(first.items[0].op.as_str().contains(r#""id":"p""#), "{:?}", first.items[0].op);
    let second = block_on(fronted.audit.get_parked(&id("r"), &page(first.next_cursor))).expect("a page");
    assert_eq!(second.items[0].member, "e:q");
    let rest = block_on(fronted.audit.get_parked(&id("r"), &page(second.next_cursor))).expect("a page");
    assert_eq!((rest.items.len(), rest.next_cursor), (0, None));
    let refused =
        block_on(fronted.audit.get_parked(&id("r"), &page(Some("held-1".to_owned())))).expect_err("another's");
    assert_eq!(refused.code(), "invalid_cursor");
}

/// What was set aside, and the digest of all that was ever said, outlived the run's erasure by the ttl.
fn erased() {
    for by_gc in [false, true] {
        let mut fronted = Fronted::start(Redaction::none());
        let full: Vec<_> = (0..1_000).map(|n| Op::Expect(expect(&format!("e{n}"), "x"))).collect();
        fronted.commit(full).expect("as many as a run may have");
        for run in ["other", "left"] {
            let start = StartRun { run_id: Some(id(run)), ..StartRun::default() };
            fronted.commit(vec![Op::StartRun(start)]).expect("a run");
        }
        fronted.hold(&[expect("set-aside", "x")], &[ack("moved", "x")]);
        fronted.commit(vec![complete("r")]).expect("sealed");
        fronted.hold(&[], &[ack("held", "x"), Ack { run_id: id("other"), ..ack("a", "x") }]);
        let keys =
            |fronted: &Fronted, run: &str| match fronted.server.admin(&["KEYS", &format!("tk:{{fronted/{run}}}:*")]) {
                Ok(redis::Value::Array(keys)) => keys.len(),
                other => panic!("{other:?}"),
            };
        assert!(keys(&fronted, "r") > 3 && keys(&fronted, "other") > 2);
        let erase = |run: &str| {
            let (run_id, reason) = (id(run), "asked for".to_owned());
            Op::EraseRun(EraseRun { run_id, reason, by: None, redacted: None })
        };
        let gc = GcRequest { before: Some(tracekeep_core::Timestamp::MAX), ..GcRequest::default() };
        if by_gc {
            let report = block_on(gc_with_held(&*fronted.ledger, &fronted.audit, &gc)).expect("erased");
            assert_eq!((report.erased, report.left), (1, 0));
        } else {
            fronted.commit(vec![erase("r")]).expect("erased");
        }
        assert_eq!((keys(&fronted, "r"), keys(&fronted, "other") > 2), (0, true));
        // Said by a worker that knows of no erasure, it goes with the next look.
        block_on(fronted.hot.add_ack(ack("after", "x"))).expect("noted");
        block_on(fronted.audit.move_held(Some(tracekeep_core::Timestamp::MAX))).expect("looked");
        assert_eq!(keys(&fronted, "r"), 0);
        fronted.said();
        fronted.commit(vec![complete("left")]).expect("sealed");
        fronted.server.kill();
        if by_gc {
            let report = block_on(gc_with_held(&*fronted.ledger, &fronted.audit, &gc)).expect("erased all the same");
            assert_eq!((report.erased, report.left), (1, 1));
        } else {
            fronted.commit(vec![erase("left")]).expect("erased all the same");
        }
        assert_eq!(fronted.said(), [r#"Left { run_id: "left", code: "commit_unknown" }"#]);
    }
}

/// An erasure whose entries could not be read was taken for one of nothing: what Redis held was left there without a word.
fn unread() {
    for (read, said) in [
        (FailingRead::Events, r#"Unread { from: 4, code: "storage_failed" }"#),
        (FailingRead::Run, r#"Left { run_id: "r", code: "storage_failed" }"#),
    ] {
        let fronted = Fronted::start(Redaction::none());
        fronted.hold(&[], &[ack("a", "x")]);
        fronted.commit(vec![complete("r")]).expect("sealed");
        let start = StartRun { run_id: Some(id("kept")), ..StartRun::default() };
        fronted.commit(vec![Op::StartRun(start)]).expect("a run");
        fronted.said();
        let ledger = FaultStore::new(Arc::clone(&fronted.ledger) as Arc<dyn LedgerStore>).failing_to_read(read);
        let gc = GcRequest { before: Some(tracekeep_core::Timestamp::MAX), ..GcRequest::default() };
        let report = block_on(gc_with_held(&ledger, &fronted.audit, &gc)).expect("erased all the same");
        assert_eq!((report.erased, report.left), (1, 1));
        assert_eq!(fronted.said(), [said]);
        let report = block_on(gc_with_held(&ledger, &fronted.audit, &gc)).expect("nothing more to erase");
        assert_eq!((report.erased, report.left, fronted.said().len()), (0, 0, 0));
    }
}

fn told_of_a_seal() {
    let fronted = Fronted::start(Redaction::none());
    fronted.hold(&[expect("e", "x")], &[]);
    block_on(fronted.audit.load_from_redis(&id("r"))).expect("moved");
    assert_eq!(fronted.said(), ["1 of 1 moved, 2 in all"]);
    fronted.hold(&[], &[ack("a", "x")]);
    fronted.commit(vec![complete("r")]).expect("sealed");
    assert_eq!(fronted.said(), ["1 of 1 moved, 4 in all"], "who counts would know of no acknowledgement else");
}

fn unknown_run() {
    let fronted = Fronted::start(Redaction::none());
    let nobodys = Ack::new(id("nobody"), "d", "x", AckStatus::Success);
    block_on(fronted.hot.add_ack(nobodys)).expect("a worker alone knows no ledger");
    block_on(fronted.audit.move_held(Some(tracekeep_core::Timestamp::MAX))).expect("looked");
    assert_eq!(fronted.said(), ["kept nobody run_not_found"]);
}

fn status_in_a_batch() {
    let fronted = Fronted::start(Redaction::none());
    fronted.hold(&[expect("e", "x")], &[]);
    let set = SetExpectationStatus::new(id("r"), "d", "x", AuditStatus::Acked);
    fronted.commit(vec![Op::SetExpectationStatus(set)]).expect("what is expected is held in Redis alone");
    assert!(block_on(fronted.audit.reconcile(&id("r"))).expect("a verdict").is_clean());
}

/// One that comes through the ledger's own door overtakes what is held; what is held is in the seal all the same.
fn both_ways() {
    let fronted = Fronted::start(Redaction::none());
    fronted.hold(&[expect("e", "x"), expect("f", "y"), expect("g", "z")], &[ack("a", "x")]);
    fronted.commit(vec![Op::Ack(ack("b", "y")), Op::Ack(ack("a", "x"))]).expect("recorded");
    fronted.hold(&[], &[ack("c", "z"), ack("b", "y")]);
    let sealed = fronted.commit(vec![complete("r")]).expect("sealed");
    let verdict = block_on(fronted.ledger.verdict_at(sealed.ops[0].log_index)).expect("the seal's verdict");
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.expectations, verdict.acks, verdict.duplicate.len()), (3, 3, 0));
    let verdict = block_on(fronted.audit.reconcile(&id("r"))).expect("a verdict");
    assert_eq!((verdict.is_clean(), verdict.acks), (true, 3));
}

fn without_redis() {
    let mut fronted = Fronted::start(Redaction::none());
    for run in ["plain", "audited"] {
        let start = StartRun { run_id: Some(id(run)), ..StartRun::default() };
        fronted.commit(vec![Op::StartRun(start)]).expect("a run");
    }
    fronted.commit(vec![Op::Ack(Ack { run_id: id("audited"), ..ack("a", "x") })]).expect("recorded");
    // Asked of a run of which nothing is held, Redis is asked for the index alone.
    fronted.server.admin(&["SET", "tk:{fronted/r}:counts", "no hash"]).expect("set");
    fronted.commit(vec![complete("r")]).expect("its keys were not looked at");
    fronted.server.kill();
    for run in ["plain", "audited"] {
        let refused = fronted.commit(vec![complete(run)]).expect_err("what is held of it belongs into the seal");
        assert_eq!(refused.code(), "unreachable", "{run}");
    }
    let reconcile = Op::Reconcile(tracekeep_core::model::Reconcile { run_id: id("plain") });
    assert_eq!(fronted.commit(vec![reconcile]).expect_err("it may be in Redis").code(), "unreachable");
}

/// The index has a slot of its own, and a replica that was promoted for it may not have been sent its last rows.
fn without_index() {
    let server = cluster::alone_behind(|port| port);
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let fronted = Fronted::before(server, &url, Redaction::none());
    fronted.hold(&[expect("e", "x")], &[ack("a", "x")]);
    for name in ["due", "touched", "names"] {
        fronted.server.admin(&["DEL", &format!("tk:{{fronted}}:audit:{name}")]).expect("it is gone");
    }
    let sealed = fronted.commit(vec![complete("r")]).expect("sealed");
    let verdict = block_on(fronted.ledger.verdict_at(sealed.ops[0].log_index)).expect("the seal's verdict");
    assert_eq!((verdict.is_clean(), verdict.expectations, verdict.acks), (true, 1, 1));
}

fn other_rules() {
    let fronted = Fronted::start(Redaction::well_known());
    let metadata = Json::parse(r#"{"api_key":"sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"}"#).expect("JSON");
    let said = Ack { metadata: JsonObject::new(metadata).expect("an object"), ..ack("a", "x") };
    fronted.hold(&[], std::slice::from_ref(&said));
    let more = RedactionRules { fields: vec!["iban".into()], ..RedactionRules::default() };
    let options = AuditOptions { redact: Redaction::new(more).expect("rules"), ..AuditOptions::default() };
    let other = RedisAuditStore::connect_with(&fronted.server.url(), "fronted", options).expect("the server answers");
    assert_eq!(block_on(other.add_ack(said)).expect("no conflict").outcome, Recorded::Duplicate);
}

fn redacted() {
    let fronted = Fronted::start(Redaction::well_known());
    let secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD";
    let metadata = Json::parse(&format!(r#"{{"api_key":"{secret}"}}"#)).expect("JSON");
    let metadata = JsonObject::new(metadata).expect("an object");
    let said = Ack { metadata: metadata.clone(), ..ack("a", "x") };
    fronted.hold(&[Expect { metadata, ..expect("e", "x") }], std::slice::from_ref(&said));
    for name in ["expectations", "acks"] {
        let key = format!("tk:{{fronted/r}}:{name}");
        let held = format!("{:?}", fronted.server.admin(&["HVALS", &key]).expect("readable"));
        assert!(held.contains("api_key") && !held.contains(secret), "{held}");
    }
    assert_eq!(block_on(fronted.audit.add_ack(said.clone())).expect("again").outcome, Recorded::Duplicate);
    block_on(fronted.audit.load_from_redis(&id("r"))).expect("moved");
    let entries = block_on(fronted.ledger.entries(1, 2)).expect("the log");
    for entry in entries {
        let body = entry.body.expect("a body");
        assert!(body.as_str().contains(r#""redacted":{"#) && !body.as_str().contains(secret), "{}", body.as_str());
    }
    let again = fronted.commit(vec![Op::Ack(said)]).expect("the same through the ledger's door");
    assert_eq!(again.outcome, Recorded::Duplicate);
}

/// Redis' clock is set back by a day between two acknowledgements, and two sweepers move and judge at once.
fn two_sweepers() {
    let fronted = Fronted::start(Redaction::none());
    let soon = |name: &str, action: &str| Expect { deadline_ms: 1, ..expect(name, action) };
    fronted.hold(&[soon("e", "x"), soon("f", "y")], &[ack("a", "x")]);
    fronted.hot.shift_clock_ms(-86_400_000);
    fronted.hold(&[], &[ack("b", "x")]);
    fronted.hot.shift_clock_ms(2 * 86_400_000);
    let judge = || {
        block_on(fronted.audit.move_held(Some(tracekeep_core::Timestamp::MAX))).expect("moved");
        let reconcile = Op::Reconcile(tracekeep_core::model::Reconcile { run_id: id("r") });
        fronted.commit(vec![reconcile]).expect("a verdict").outcome
    };
    // Past the deadline by the ledger's own clock, whatever Redis' says.
    while block_on(fronted.audit.summary(&id("r"))).expect("readable").now.is_none_or(|now| now.missing.is_empty()) {
        std::thread::yield_now();
    }
    let outcomes = std::thread::scope(|scope| {
        let sweepers = [scope.spawn(judge), scope.spawn(judge)];
        sweepers.map(|sweeper| sweeper.join().expect("no panic"))
    });
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Recorded::Recorded).count(), 1, "{outcomes:?}");
    let verdict = block_on(fronted.audit.reconcile(&id("r"))).expect("a verdict");
    assert_eq!((verdict.expectations, verdict.acks, verdict.duplicate.len()), (2, 2, 1), "{verdict:?}");
    assert_eq!(verdict.missing.len(), 1);
}
