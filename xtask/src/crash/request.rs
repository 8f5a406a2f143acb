//! Requests, what they claim to record, and what was answered.

use serde::Deserialize;
use tracekeep_core::hash::Hash;

use super::Result;

/// Bytes of an answer to a write at most.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// One entry that a request means to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What may be there once: `trace RUN ID`, `step RUN INDEX`, …
    pub(crate) identity: String,
    /// A word that is in this op's body and in no other's.
    pub(crate) nonce: String,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// A flat receipt.
    Op,
    /// A receipt with a list of ops.
    Batch,
    /// No receipt.
    Telemetry,
}

/// A write, ready to be sent as often as needed.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) door: Door,
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) body: String,
    /// Of the ops, in their order; then of what comes without a receipt.
    pub(crate) claims: Vec<Claim>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Recorded,
    Duplicate,
}

/// Where an op's entry stands.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Placed {
    pub(crate) log_index: u64,
    #[serde(deserialize_with = "hash")]
    pub(crate) leaf_hash: Hash,
}

/// What a 200 or 201 says.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) outcome: Outcome,
    pub(crate) tree_size: u64,
    pub(crate) root: Hash,
    pub(crate) ops: Vec<Placed>,
}

/// What a request came back with.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Receipt(Receipt),
    /// Telemetry, taken whole.
    Spans,
    /// Not applied; may be sent again.
    Busy,
    /// Anything else.
    Other(u16, String),
}

/// A hash in hex.
pub(crate) fn hash<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Hash, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| serde::de::Error::custom("no hash"))
}

#[derive(Deserialize)]
struct BatchReceipt {
    outcome: Outcome,
    tree_size: u64,
    #[serde(deserialize_with = "hash")]
    root: Hash,
    ops: Vec<Placed>,
}

#[derive(Deserialize)]
struct FlatReceipt {
    outcome: Outcome,
    tree_size: u64,
    #[serde(deserialize_with = "hash")]
    root: Hash,
    #[serde(flatten)]
    op: Placed,
}

impl Request {
    /// Sends it once. `Err` where no whole answer came: nobody knows what happened.
    pub(crate) fn send(&self, client: &ureq::Agent, url: &str) -> Result<Answer> {
        let mut request = client.post(&format!("{url}{}", self.path)).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        let mut response = request.send(self.body.as_bytes())?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        let status = response.status().as_u16();
        let said = || String::from_utf8_lossy(&body).into_owned();
        Ok(match (status, self.door) {
            (200, Door::Telemetry) if body == b"{}" => Answer::Spans,
            (200 | 201, Door::Batch) => {
                let BatchReceipt { outcome, tree_size, root, ops } = serde_json::from_slice(&body)?;
                Answer::Receipt(Receipt { outcome, tree_size, root, ops })
            }
            (200 | 201, Door::Op) => {
                let FlatReceipt { outcome, tree_size, root, op } = serde_json::from_slice(&body)?;
                Answer::Receipt(Receipt { outcome, tree_size, root, ops: vec![op] })
            }
            (503, _) if said().contains("commit_unknown") => return Err(said().into()),
            (503, _) => Answer::Busy,
            _ => Answer::Other(status, said()),
        })
    }

    /// The same identity with other content: a conflict, if it was recorded.
    pub(crate) fn contradicted(&self) -> Self {
        let mut other = self.clone();
        for claim in &mut other.claims {
            let nonce = claim.nonce.replacen('n', "x", 1);
            other.body = other.body.replace(&claim.nonce, &nonce);
            claim.nonce = nonce;
        }
        other
    }
}
