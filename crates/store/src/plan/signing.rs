//! Deciding which key signs.

use tracekeep_core::model::{DeclareKey, Kind, Op};
use tracekeep_core::{Invalid, InvalidCode};

use super::decide::{Done, earlier};
use super::equal::equals;
use super::work::Work;
use crate::batch::PreparedOp;
use crate::error::{Code, Error, Result};

/// Each declaration names the one before it, so that two who declare at once cannot both be right.
pub(super) fn declare(op: &DeclareKey, prepared: &PreparedOp, work: &mut Work<'_>) -> Result<Done> {
    let latest = work.signing_key();
    if let Some(entry) = latest
        && equals(prepared, entry)?
    {
        return Ok(earlier(entry, work.context));
    }
    if !op.key.starts_with(&format!("tracekeep/{}+", work.context.ledger)) {
        let detail = "is not a key of this ledger: its name is tracekeep/ and the ledger's id";
        return Err(Invalid::new(InvalidCode::InvalidMember, "/key", detail).into());
    }
    let before = match latest.map(crate::rows::Entry::op).transpose()?.flatten() {
        Some(Op::DeclareKey(before)) => Some(before.key),
        _ => None,
    };
    if op.previous != before || before.as_ref() == Some(&op.key) {
        let detail = "the key that was declared last is another one than the declaration names, or this very one";
        return Err(Error::new(Code::Conflict, detail).at("/previous"));
    }
    let log_index = work.append_unowned(Kind::SigningKey, prepared.commit, prepared.body.clone(), prepared.salt);
    work.note_signing_key(log_index);
    Ok(Done::now(log_index, work))
}
