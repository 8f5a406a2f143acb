//! What is left of an entry whose content a redaction took, read back from there.

use tracekeep_core::body::Body;
use tracekeep_core::hash::Salt;
use tracekeep_core::json::Json;
use tracekeep_core::redaction::Redaction;
use tracekeep_core::remainder::Remainder;

use crate::error::{Code, Error, Result};
use crate::plan::nowhere;
use crate::rows::Entry;
use crate::snapshot::Snapshot;

/// What is left of an entry, and where that stands.
#[derive(Clone, Debug)]
pub(crate) struct Recalled {
    /// The log index of the redaction that holds it.
    pub(crate) by: u64,
    /// Bytes of the body that it was read from.
    pub(crate) bytes: u64,
    pub(crate) left: Remainder,
}

/// The redaction of members that an entry holds.
pub(crate) fn redaction(entry: &Entry) -> Result<Redaction> {
    let (body, _) = entry.content.as_ref().ok_or_else(|| nowhere(entry.log_index))?;
    Redaction::from_body(body.as_str())
        .map_err(|wrong| Error::new(Code::Corrupt, format!("log index {}: {}", entry.log_index, wrong.detail())))
}

/// What is left of an entry, where a redaction took its content; `None` of one that is there, or that nothing is left of.
pub(crate) fn left(snapshot: &impl Snapshot, entry: &Entry) -> Result<Option<Recalled>> {
    if entry.content.is_some() {
        return Ok(None);
    }
    let Some(by) = snapshot.redacted_by(entry.log_index)? else { return Ok(None) };
    let holder = snapshot.entry(by)?.ok_or_else(|| nowhere(by))?;
    let bytes = holder.body().map_or(0, |body| body.len() as u64);
    let mut kept = redaction(&holder)?.kept.remainders;
    let at = kept.iter().position(|left| left.log_index == entry.log_index);
    Ok(at.map(|at| Recalled { by, bytes, left: kept.swap_remove(at) }))
}

/// The entry as a reader takes it, with what is left of it where a redaction took its content.
pub(crate) fn read(snapshot: &impl Snapshot, mut entry: Entry) -> Result<(Entry, Option<Recalled>)> {
    let recalled = left(snapshot, &entry)?;
    if let Some(Recalled { left, .. }) = &recalled {
        entry.content = Some(content(&left.reads()));
    }
    Ok((entry, recalled))
}

/// What is left, in the place of a body. Nobody checks it against its commitment: the remainder was.
pub(crate) fn content(left: &Json) -> (Body, Salt) {
    (Body::stored(left.as_str()), Salt::from_bytes([0; 32]))
}
