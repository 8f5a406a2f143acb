//! Worker processes that acknowledge one run at once, one of them killed. An earlier store rewrote whole lists: whoever came
//! second lost what the first had said.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tracekeep_client::{HttpAudit, HttpLedger};
use tracekeep_conformance::AuditInstance;
use tracekeep_core::model::Expect;
use tracekeep_store::{AuditStore, LedgerStore, PageRequest, StoreDurabilityMode, block_on};
use tracekeep_store_redis::RedisAuditStore;

use crate::{Http, Served, ack, expect, id};

/// What a worker is told: where facts go (a server's address, or that of a Redis and the namespace), its name, and how many.
pub(crate) const TOLD: &str = "AUDIT_WORKER";

const EACH: usize = 50;
/// What one has said before it is killed; it would say more.
const BEFORE_ITS_END: usize = 25;
const WITHOUT_END: usize = 5_000;

/// One worker process: says what it acknowledged, once that was answered.
pub(crate) fn work(told: &str) {
    let told: Vec<_> = told.split(' ').collect();
    let [url, namespace, name, count] = told[..] else { panic!("four words") };
    let store: Box<dyn AuditStore> = if namespace.is_empty() {
        let ledger = HttpLedger::connect(url).expect("the server answers");
        Box::new(HttpAudit::new(Arc::new(ledger), StoreDurabilityMode::Sqlite))
    } else {
        Box::new(RedisAuditStore::connect(url, namespace).expect("the server answers"))
    };
    let mut out = std::io::stdout().lock();
    for n in 0..count.parse().expect("a number") {
        let said: u32 = n;
        let name = format!("{name}-{said}");
        block_on(store.add_ack(ack("r", &name, "x"))).expect("noted");
        writeln!(out, "{name}").and_then(|()| out.flush()).expect("somebody listens");
    }
}

fn worker(place: &str, name: &str, count: usize) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.env(TOLD, format!("{place} {name} {count}")).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().expect("a worker starts")
}

pub(crate) fn through_a_server(_: &Http) {
    let served = Http { redis: None, is_own: true }.serve();
    let place = format!("{} ", served.running().client.url());
    together(&served, &place);
}

pub(crate) fn in_redis(http: &Http) {
    let served = http.serve();
    let url = &http.redis.as_ref().expect("there is a Redis").url;
    let place = format!("{url} {}", served.running().client.ledger());
    together(&served, &place);
}

fn together(served: &Served, place: &str) {
    served.start("r");
    let store = served.store();
    let count = 3 * EACH as u32;
    block_on(store.add_expectations(vec![Expect { count, ..expect("r", "e", "x") }])).expect("noted");
    let mut killed = worker(place, "killed", WITHOUT_END);
    let others: Vec<_> = (0..3).map(|name| worker(place, &format!("w{name}"), EACH)).collect();
    let mut said: BTreeSet<String> = BTreeSet::new();
    let mut lines = BufReader::new(killed.stdout.take().expect("it talks")).lines().map(|line| line.expect("text"));
    said.extend(lines.by_ref().take(BEFORE_ITS_END));
    // Somebody looks meanwhile, and so moves.
    block_on(store.summary(&id("r"))).expect("readable");
    killed.kill().expect("SIGKILL");
    said.extend(lines);
    assert!(!killed.wait().expect("it ends").success());
    for other in others {
        let ended = other.wait_with_output().expect("it ends");
        assert!(ended.status.success());
        said.extend(String::from_utf8(ended.stdout).expect("text").lines().map(str::to_owned));
    }
    let by_the_others = said.iter().filter(|name| name.starts_with('w')).count();
    assert!(by_the_others == 3 * EACH && said.len() >= by_the_others + BEFORE_ITS_END, "{} were said", said.len());
    let verdict = block_on(store.reconcile(&id("r"))).expect("a verdict");
    let (mut kept, mut page) = (Vec::new(), PageRequest::first(1_000));
    loop {
        let read = block_on(store.get_acks(&id("r"), &page)).expect("readable");
        kept.extend(read.items.into_iter().map(|ack| ack.id.to_string()));
        page.cursor = read.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    let distinct: BTreeSet<String> = kept.iter().cloned().collect();
    assert_eq!((distinct.len(), verdict.acks), (kept.len(), kept.len() as u64), "each once");
    assert!(said.is_subset(&distinct), "lost: {:?}", said.difference(&distinct));
    // What was under way when it was killed may have come, too.
    assert!(distinct.len() <= said.len() + 1, "{:?}", distinct.difference(&said));
    assert!(verdict.missing.is_empty() && verdict.pending.is_empty(), "{verdict:?}");
}
