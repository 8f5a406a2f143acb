//! The runs that are read: each made once, in a ledger and in the plain schema beside it, from the same traces.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use tracekeep_core::model::Op;
use tracekeep_store::Batch;
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::data::{Corpus, RESERVED, Shape, reserved_time};
use crate::plain::{self, Plain};
use crate::random::Random;
use crate::records::{committed, start_run};
use crate::{Asked, Result};

/// The run that is read.
pub(crate) const RUN: &str = "run-large";
/// Another one beside it: it holds the names of which the first one has no trace.
const OTHER: &str = "run-other";
/// Traces that a key of a kind has.
pub(crate) const HITS: [u64; 4] = [0, 10, 20, 50];
/// Traces that hold a rare word.
pub(crate) const RARE: u64 = 10;
/// Common words: each trace holds one of them.
pub(crate) const COMMON: u64 = 5;
/// A rare word. Bodies are cut from this workspace's sources, so no word is spelt out there.
pub(crate) fn rare(key: u64) -> String {
    format!("rare{key}")
}

/// A common word.
pub(crate) fn common(key: u64) -> String {
    format!("common{key}")
}

/// Nodes of the small trees, and of the chains.
pub(crate) const TREE: u64 = 20;
pub(crate) const CHAIN: u64 = 1_000;
/// Traces of a commit while it is filled.
const A_COMMIT: usize = 1_000;
/// Of so many traces one is a root.
const A_ROOT: usize = 20;

/// A run of so many traces.
pub(crate) struct Large {
    pub(crate) traces: u64,
    pub(crate) ledger: PathBuf,
    pub(crate) plain: PathBuf,
}

impl Large {
    /// Where the run of `traces` traces is; makes it first.
    pub(crate) fn of(asked: &Asked, traces: u64) -> Result<Self> {
        let directory = asked.directory.join(format!("large-{traces}"));
        let large = Self { traces, ledger: directory.join("ledger.db"), plain: directory.join("plain.db") };
        if !large.ledger.exists() {
            std::fs::create_dir_all(&directory)?;
            large.fill()?;
        }
        Ok(large)
    }

    /// Keys of each kind and of each number of hits: another one each time, so that no figure is that of one page in the
    /// cache.
    pub(crate) const fn keys(&self) -> u64 {
        if self.traces < 100_000 { 3 } else { 150 }
    }

    /// Chains that were recorded in one go, and then as many that are scattered; a small run has no room for any.
    pub(crate) const fn chains(&self) -> u64 {
        if self.traces < 100_000 { 0 } else { 4 }
    }

    /// The reserved minute of a key.
    pub(crate) fn minute(&self, hits: u64, key: u64) -> u64 {
        let place = HITS.iter().position(|some| *some == hits).unwrap_or(0) as u64;
        assert!(self.keys() * HITS.len() as u64 <= RESERVED, "there are minutes for all keys");
        place * self.keys() + key
    }

    fn fill(&self) -> Result<()> {
        let (corpus, mut random) = (Corpus::load()?, Random::new(9));
        let ledger = SqliteLedger::open(&self.ledger, Options::default())?;
        committed(&ledger, vec![start_run(RUN)?, start_run(OTHER)?])?;
        // What is made on this thread is kept on others: one for the ledger, one for the plain schema.
        std::thread::scope(|scope| {
            let (to_ledger, ops) = sync_channel::<Vec<Op>>(4);
            let (to_plain, rows) = sync_channel::<Vec<plain::Row>>(4);
            let keep = scope.spawn(|| keep(&ledger, ops).map_err(|error| error.to_string()));
            let plain = scope.spawn(|| fill_plain(self, rows).map_err(|error| error.to_string()));
            let mut chunk = Vec::new();
            let send = |chunk: Vec<Op>| -> Result<()> {
                to_plain.send(chunk.iter().filter_map(plain::Row::of).collect())?;
                Ok(to_ledger.send(chunk)?)
            };
            for key in 0..self.keys() {
                let (id, tag, name) = (format!("other-{key}"), format!("tag-0-{key}"), format!("type-0-{key}"));
                let shape = Shape { run: OTHER, id: &id, tags: &[&tag], type_name: Some(&name), ..ORDINARY };
                chunk.push(corpus.trace_of(&mut random, &shape));
            }
            for plan in self.plans(&mut random) {
                chunk.push(plan.made(&corpus, &mut random));
                if chunk.len() == A_COMMIT {
                    send(std::mem::take(&mut chunk))?;
                }
            }
            send(chunk)?;
            drop((to_plain, to_ledger));
            keep.join().map_err(|_| "the ledger's thread panicked")??;
            plain.join().map_err(|_| "the plain schema's thread panicked")??;
            Result::Ok(())
        })?;
        Ok(ledger.close()?)
    }

    /// What the run holds: hits scattered over all of it, parents before their children.
    fn plans(&self, random: &mut Random) -> Vec<Plan> {
        let mut plans = hang(self.places(random));
        let names = |kind: &str| {
            let of_hits = |hits| (0..self.keys()).flat_map(move |key| (0..hits).map(move |_| (hits, key)));
            HITS.into_iter().flat_map(of_hits).map(|key| (kind.to_owned(), key)).collect::<Vec<_>>()
        };
        for (at, (kind, (hits, key))) in scattered(random, plans.len(), names("type")) {
            plans[at].type_name = Some(format!("{kind}-{hits}-{key}"));
        }
        for (at, (kind, (hits, key))) in scattered(random, plans.len(), names("tag")) {
            plans[at].tag = Some(format!("{kind}-{hits}-{key}"));
        }
        for (at, (_, (hits, key))) in scattered(random, plans.len(), names("time")) {
            plans[at].occurred_at = Some(reserved_time(random, self.minute(hits, key)));
        }
        let words = (0..self.keys()).flat_map(|key| (0..RARE).map(move |_| key)).collect();
        for (at, key) in scattered(random, plans.len(), words) {
            plans[at].rare = Some(rare(key));
        }
        plans
    }

    /// The forest, in the order in which it is recorded.
    fn places(&self, random: &mut Random) -> Vec<Place> {
        let (mut first, mut early, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for key in 0..self.keys() {
            for hits in HITS {
                let parent = format!("parent-{hits}-{key}");
                first.push(Place::Named(parent.clone(), None));
                rest.extend(
                    (0..hits).map(|hit| Place::Named(format!("child-{hits}-{key}-{hit}"), Some(parent.clone()))),
                );
            }
            // A tree of 20: a root, 3 below it, 16 below those.
            let root = format!("root-{key}");
            first.push(Place::Named(root.clone(), None));
            for node in 1..TREE {
                let id = format!("node-{key}-{node}");
                if node <= 3 {
                    early.push(Place::Named(id, Some(root.clone())));
                } else {
                    rest.push(Place::Named(id, Some(format!("node-{key}-{}", 1 + node % 3))));
                }
            }
        }
        let links = |chain| (0..CHAIN).map(move |_| Place::Link(chain));
        first.extend((0..self.chains()).flat_map(links));
        rest.extend((self.chains()..2 * self.chains()).flat_map(links));
        let named = first.len() + early.len() + rest.len();
        rest.extend((named as u64..self.traces).map(|_| Place::Any));
        random.shuffle(&mut early);
        random.shuffle(&mut rest);
        first.into_iter().chain(early).chain(rest).collect()
    }
}

/// Where a trace hangs.
enum Place {
    /// Under an id of its own, and its parent's.
    Named(String, Option<String>),
    /// Below the last one of the chain.
    Link(u64),
    /// Below the last root, or a root itself.
    Any,
}

/// A trace to be made.
#[derive(Default)]
struct Plan {
    id: String,
    parent: Option<String>,
    tag: Option<String>,
    type_name: Option<String>,
    occurred_at: Option<String>,
    rare: Option<String>,
}

const ORDINARY: Shape<'static> =
    Shape { run: RUN, id: "", parent: None, tags: &[], type_name: None, occurred_at: None, words: "", free: 560 };

impl Plan {
    fn made(&self, corpus: &Corpus, random: &mut Random) -> Op {
        let second = *random.pick(&["search", "billing", "retry", "slow", "cached"]);
        let third = self.tag.as_deref().unwrap_or_else(|| *random.pick(&["planner", "executor", "critic"]));
        let words = format!("{} {}", self.rare.as_deref().unwrap_or_default(), common(random.range(0, COMMON)));
        let shape = Shape {
            id: &self.id,
            parent: self.parent.as_deref(),
            tags: &["prod", second, third],
            type_name: self.type_name.as_deref(),
            occurred_at: self.occurred_at.as_deref(),
            words: words.trim(),
            ..ORDINARY
        };
        corpus.trace_of(random, &shape)
    }
}

fn hang(places: Vec<Place>) -> Vec<Plan> {
    let (mut any, mut root) = (0, String::new());
    let mut links = std::collections::HashMap::new();
    let hung = |(at, place)| match place {
        Place::Named(id, parent) => Plan { id, parent, ..Plan::default() },
        Place::Link(chain) => {
            let next = links.entry(chain).or_insert(0_u64);
            let parent = next.checked_sub(1).map(|last| format!("link-{chain}-{last}"));
            let id = format!("link-{chain}-{next}");
            *next += 1;
            Plan { id, parent, ..Plan::default() }
        }
        Place::Any => {
            let id = format!("trace-{at}");
            let parent = (any % A_ROOT != 0).then(|| root.clone());
            if parent.is_none() {
                root.clone_from(&id);
            }
            any += 1;
            Plan { id, parent, ..Plan::default() }
        }
    };
    places.into_iter().enumerate().map(hung).collect()
}

/// Each at another place of 0..len.
fn scattered<T>(random: &mut Random, len: usize, items: Vec<T>) -> Vec<(usize, T)> {
    let mut places: Vec<usize> = (0..len).collect();
    random.shuffle(&mut places);
    places.into_iter().zip(items).collect()
}

fn keep(ledger: &SqliteLedger, ops: Receiver<Vec<Op>>) -> Result<()> {
    for chunk in ops {
        committed(ledger, chunk.into_iter().map(Batch::one).collect())?;
    }
    Ok(())
}

fn fill_plain(large: &Large, rows: Receiver<Vec<plain::Row>>) -> Result<()> {
    let mut plain = Plain::create(&large.plain)?;
    for chunk in rows {
        plain.insert(&chunk)?;
    }
    plain.close()
}
