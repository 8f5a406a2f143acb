//! The log as the server gives it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_core::merkle::leaf_hash;

use super::Result;
use super::request::hash;
use super::server::Server;

/// Entries of a page.
const PAGE: u64 = 1_000;

/// A leaf. The members stand in canonical order, so that writing it again gives the bytes under the hash.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leaf {
    pub(crate) commit: String,
    pub(crate) kind: String,
    ledger: String,
    pub(crate) recorded_at: String,
    pub(crate) run: String,
    pub(crate) seq: u64,
    v: u64,
}

#[derive(Deserialize)]
struct Item {
    log_index: u64,
    leaf: Leaf,
    #[serde(deserialize_with = "hash")]
    leaf_hash: Hash,
    /// Absent where it was erased.
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
}

/// One entry as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) log_index: u64,
    pub(crate) leaf: Leaf,
    pub(crate) leaf_hash: Hash,
    pub(crate) recorded_at: Timestamp,
    /// As [`super::request::Claim`] says it.
    pub(crate) identity: String,
    pub(crate) body: String,
}

impl Seen {
    /// The hash of the leaf as it was read.
    pub(crate) fn computed_hash(&self) -> Hash {
        let text = serde_json::to_string(&self.leaf).expect("invariant: a leaf is plain");
        leaf_hash(text.as_bytes())
    }
}

/// The whole log at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Seen>,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

#[derive(Deserialize)]
struct Head {
    tree_size: u64,
    #[serde(deserialize_with = "hash")]
    root: Hash,
}

/// Reads all of it.
pub(crate) fn read(server: &Server, client: &ureq::Agent) -> Result<Log> {
    let mut log = Log { entries: Vec::new(), size: 0, root: Hash::ZERO };
    log.read_on(server, client)?;
    Ok(log)
}

impl Log {
    /// Reads what has come since.
    pub(crate) fn read_on(&mut self, server: &Server, client: &ureq::Agent) -> Result<()> {
        let head: Head = serde_json::from_slice(&server.get(client, "/api/v1/log")?)?;
        (self.size, self.root) = (head.tree_size, head.root);
        loop {
            let from = self.entries.len();
            let page = server.get(client, &format!("/api/v1/log/entries?from={from}&limit={PAGE}"))?;
            let page: Page = serde_json::from_slice(&page)?;
            if page.items.is_empty() {
                return Ok(());
            }
            for item in page.items {
                self.entries.push(seen(item)?);
            }
        }
    }
}

fn seen(item: Item) -> Result<Seen> {
    let recorded_at = item.leaf.recorded_at.parse().map_err(|error| format!("recorded_at: {error}"))?;
    let identity = match &item.body {
        Value::Null => format!("erased {}", item.log_index),
        body => identity(&item.leaf.kind, body),
    };
    let body = item.body.to_string();
    Ok(Seen { log_index: item.log_index, leaf: item.leaf, leaf_hash: item.leaf_hash, recorded_at, identity, body })
}

fn identity(kind: &str, body: &Value) -> String {
    let text = |name: &str| match &body[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let run = text("run_id");
    match kind {
        "run_started" => format!("run {run}"),
        "run_described" => format!("topic {run} {}", text("topic")),
        "step" => format!("step {run} {}", text("index")),
        "trace" => format!("trace {run} {}", text("id")),
        "trace_ended" => format!("end {run} {}", text("id")),
        "sealed" => format!("seal {run}"),
        "key" => format!("key {}", text("key")),
        other => format!("{other} {body}"),
    }
}
