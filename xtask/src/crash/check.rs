//! What must hold of a log, given what was acknowledged. Pure, so that it can be shown to fail (`tamper`).

use std::collections::{BTreeMap, HashMap};

use tracekeep_core::hash::Hash;
use tracekeep_core::merkle::Frontier;

use super::log::{Log, Seen};
use super::request::{Claim, Request};

/// What was acknowledged, as the harness keeps it outside the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// By log index.
    pub(crate) placed: BTreeMap<u64, Acked>,
    /// Acknowledged without a log index: telemetry, keys. The next look at the log finds their places.
    pub(crate) unplaced: Vec<Claim>,
    /// Root by size, of every receipt.
    pub(crate) roots: BTreeMap<u64, Hash>,
    /// Sent, and never answered.
    pub(crate) unanswered: Vec<Request>,
}

/// One acknowledged entry.
#[derive(Clone, Debug)]
pub(crate) struct Acked {
    pub(crate) leaf_hash: Hash,
    pub(crate) claim: Claim,
}

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Acknowledged, and not there.
    Lost,
    /// There twice.
    Doubled,
    /// There, and not as it was acknowledged.
    Changed,
    /// Half of a request is there.
    Torn,
    /// Indices, seqs or times are out of order.
    Order,
    /// A hash, a root or a proof does not fit.
    Hash,
    /// An answer that should not be.
    Answer,
    /// fsck found something.
    Fsck,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) wrong: Wrong,
    pub(crate) detail: String,
}

impl Finding {
    pub(crate) fn new(wrong: Wrong, detail: impl Into<String>) -> Self {
        Self { wrong, detail: detail.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.wrong, self.detail)
    }
}

impl Expected {
    /// Notes an acknowledged entry; a finding where it was acknowledged otherwise before.
    pub(crate) fn place(&mut self, log_index: u64, acked: Acked) -> Option<Finding> {
        let identity = acked.claim.identity.clone();
        match self.placed.insert(log_index, acked.clone()) {
            Some(before) if before.leaf_hash != acked.leaf_hash || before.claim != acked.claim => {
                let was = before.claim.identity;
                Some(Finding::new(Wrong::Changed, format!("{log_index} was acknowledged as {was}, then as {identity}")))
            }
            _ => None,
        }
    }

    /// Notes the root that a receipt states.
    pub(crate) fn root(&mut self, size: u64, root: Hash) -> Option<Finding> {
        let before = self.roots.insert(size, root)?;
        (before != root).then(|| Finding::new(Wrong::Hash, format!("two receipts state two roots of size {size}")))
    }
}

/// Where each identity stands.
pub(crate) fn places(log: &Log) -> HashMap<&str, &Seen> {
    log.entries.iter().map(|seen| (seen.identity.as_str(), seen)).collect()
}

/// Checks a log against what was acknowledged.
pub(crate) fn check(expected: &Expected, log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    order(log, &mut findings);
    hashes(expected, log, &mut findings);
    let places = doubled(log, &mut findings);
    for (log_index, acked) in &expected.placed {
        let Claim { identity, nonce } = &acked.claim;
        let at = usize::try_from(*log_index).ok().and_then(|at| log.entries.get(at));
        match (at, places.get(identity.as_str())) {
            (_, None) => findings.push(Finding::new(Wrong::Lost, format!("{identity}, acknowledged at {log_index}"))),
            (Some(seen), Some(_)) if seen.identity == *identity && seen.leaf_hash == acked.leaf_hash => {
                if !seen.body.contains(nonce.as_str()) {
                    findings.push(Finding::new(Wrong::Changed, format!("{identity} at {log_index} has another body")));
                }
            }
            (_, Some(seen)) => {
                let detail =
                    format!("{identity}, acknowledged at {log_index}, is at {} or another leaf", seen.log_index);
                findings.push(Finding::new(Wrong::Changed, detail));
            }
        }
    }
    for Claim { identity, nonce } in &expected.unplaced {
        match places.get(identity.as_str()) {
            None => findings.push(Finding::new(Wrong::Lost, format!("{identity}, acknowledged"))),
            Some(seen) if !seen.body.contains(nonce.as_str()) => {
                findings.push(Finding::new(Wrong::Changed, format!("{identity} has another body")));
            }
            Some(_) => {}
        }
    }
    for request in &expected.unanswered {
        let there = request.claims.iter().filter(|claim| places.contains_key(claim.identity.as_str())).count();
        if there != 0 && there != request.claims.len() {
            let (of, first) = (request.claims.len(), &request.claims[0].identity);
            findings.push(Finding::new(Wrong::Torn, format!("{there} of {of} entries of the request with {first}")));
        }
    }
    findings
}

fn order(log: &Log, findings: &mut Vec<Finding>) {
    let mut say = |detail: String| findings.push(Finding::new(Wrong::Order, detail));
    if log.size != log.entries.len() as u64 {
        say(format!("the head has {} entries, the log {}", log.size, log.entries.len()));
    }
    let mut seqs: HashMap<&str, u64> = HashMap::new();
    let mut clock = None;
    for (at, seen) in (0u64..).zip(&log.entries) {
        if seen.log_index != at {
            say(format!("entry {at} says that it is {}", seen.log_index));
        }
        let seq = seqs.entry(&seen.leaf.run).or_default();
        if seen.leaf.seq != *seq {
            say(format!("entry {at} of run {:?} has seq {}, not {seq}", seen.leaf.run, seen.leaf.seq));
        }
        *seq = seen.leaf.seq + 1;
        if clock.is_some_and(|clock| seen.recorded_at < clock) {
            say(format!("entry {at} was recorded before the one before it"));
        }
        clock = Some(seen.recorded_at);
    }
}

/// Every leaf hash from its leaf; every root ever acknowledged from the leaf hashes.
fn hashes(expected: &Expected, log: &Log, findings: &mut Vec<Finding>) {
    let mut say = |detail: String| findings.push(Finding::new(Wrong::Hash, detail));
    let mut tree = Frontier::new();
    let mut sizes = expected.roots.iter().peekable();
    for seen in &log.entries {
        if seen.computed_hash() != seen.leaf_hash {
            say(format!("the leaf hash of {} is not its leaf's", seen.log_index));
        }
        tree.push(seen.leaf_hash);
        while let Some((_, root)) = sizes.next_if(|(size, _)| **size <= tree.size()) {
            if tree.root() != *root {
                say(format!("a receipt's root of size {} is not the log's", tree.size()));
            }
        }
    }
    for (size, _) in sizes {
        say(format!("a receipt states size {size}, the log has {}", tree.size()));
    }
    if tree.root() != log.root {
        say(format!("the head's root is not that of the log's {} entries", tree.size()));
    }
}

fn doubled<'a>(log: &'a Log, findings: &mut Vec<Finding>) -> HashMap<&'a str, &'a Seen> {
    let mut places: HashMap<&str, &Seen> = HashMap::with_capacity(log.entries.len());
    for seen in &log.entries {
        if let Some(first) = places.insert(&seen.identity, seen) {
            let detail = format!("{} stands at {} and at {}", seen.identity, first.log_index, seen.log_index);
            findings.push(Finding::new(Wrong::Doubled, detail));
        }
    }
    places
}
