//! When an op as sent now equals what is recorded.

use std::collections::BTreeMap;

use tracekeep_core::body::Body;
use tracekeep_core::erasure;
use tracekeep_core::hash::sha256;
use tracekeep_core::redaction;
use tracekeep_core::seal;

use super::decide::Context;
use crate::batch::PreparedOp;
use crate::error::{Code, Digests, Error, Result};
use crate::rows::Entry;

/// What the door states: where the rest is equal, rules or a gate that have become others since make no other record of it, nor does
/// having been held in front of the ledger.
const STATED_BY_THE_DOOR: [&str; 3] = ["redacted", "received_at", "idempotency_store"];

/// Whether `sent` equals a recorded body: every member the same, those left to be generated taken from the record, what
/// the door states left aside. Of spans the `otel` members alone count. Gives the names of the members that differ, none where equal.
fn differing(sent: &PreparedOp, recorded: &str) -> Result<Vec<String>> {
    if sent.body.as_str() == recorded {
        return Ok(Vec::new());
    }
    let recorded = Body::from_recorded(recorded)?;
    if let (Some(a), Some(b)) = (sent.body.member("otel"), recorded.member("otel")) {
        return Ok(if a == b { Vec::new() } else { vec!["otel".to_owned()] });
    }
    let computed: &[&str] = match sent.body.member("op") {
        Some("\"complete_run\"") => &seal::COMPUTED,
        Some("\"seal_run\"") => &seal::COMPUTED[1..],
        Some("\"erase_run\"") => &erasure::COMPUTED,
        Some("\"redact\"") => &redaction::COMPUTED,
        Some("\"reconcile\"") => &["verdict"],
        _ => &[],
    };
    let sent_members: BTreeMap<_, _> = sent.body.members().collect();
    let recorded_members: BTreeMap<_, _> = recorded.members().collect();
    let mut names: Vec<_> = sent_members.keys().chain(recorded_members.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let counts = |name: &str| {
        let from_record = STATED_BY_THE_DOOR.contains(&name)
            || sent.generated.contains(&name)
            || computed.contains(&name) && !sent_members.contains_key(name);
        !from_record
    };
    Ok(names
        .into_iter()
        .filter(|name| counts(name) && sent_members.get(*name) != recorded_members.get(*name))
        .map(|name| name.to_string())
        .collect())
}

/// Whether `sent` equals what an entry recorded.
pub(super) fn equals(sent: &PreparedOp, recorded: &Entry) -> Result<bool> {
    match recorded.body() {
        Some(body) => Ok(differing(sent, body)?.is_empty()),
        None => Ok(false),
    }
}

/// Demands that `sent` equals what an entry recorded.
///
/// # Errors
/// `conflict` that names the members that differ; `erased` where the record is no longer there to compare with.
pub(super) fn demand(sent: &PreparedOp, recorded: &Entry, context: &Context) -> Result<()> {
    let Some(body) = recorded.body() else {
        return Err(Error::new(
            Code::Erased,
            "what was recorded under this identity was erased; its id is never free again",
        ));
    };
    let names = differing(sent, body)?;
    if names.is_empty() {
        return Ok(());
    }
    Err(conflict(sent, recorded, context, &names))
}

/// A conflict over `names`: with what is recorded, or with what an earlier op of the same batch would have been.
pub(super) fn conflict(sent: &PreparedOp, recorded: &Entry, context: &Context, names: &[String]) -> Error {
    let digests =
        Digests { recorded: recorded.leaf(context.ledger).hash(), sent: sha256(&[sent.body.as_str().as_bytes()]) };
    let other = if recorded.log_index < context.size {
        format!("log index {} recorded other content", recorded.log_index)
    } else {
        "an earlier op of this batch has other content under this identity".to_owned()
    };
    Error::new(Code::Conflict, format!("{other}: {}", names.join(", "))).with_digests(digests)
}
