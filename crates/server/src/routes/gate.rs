//! Routes of the gate: a caller's own effects, not the log.

use axum::http::StatusCode;
use axum::response::Response;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{Key, RunId};
use tracekeep_core::json::Json;
use tracekeep_core::wire::{from_text, object, to_json};
use tracekeep_core::{Invalid, InvalidCode, Timestamp};
use tracekeep_store::gate::{
    Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, Terms, Token, not_known,
};
use tracekeep_store::{Code, Digests, Error, Recorded};

use super::{json, view};
use crate::body;
use crate::call::Call;
use crate::problem::Problem;

object! {
    /// May I? Either `request` or `fingerprint` is there, or both where they fit.
    pub struct IdempotencyCheck {
        /// What is to be done, any JSON but null: its canonical form is what the key stands for.
        optional request: Json,
        /// SHA-256 of the request, made by the caller.
        optional fingerprint: Hash,
        /// Milliseconds that the lease lasts without being renewed: 1 to 86,400,000, 30,000 unless told.
        optional lease_ms: u64,
        /// Seconds that the answer is kept: 1 to 31,622,400, 86,400 unless told.
        optional ttl_s: u64,
        /// The run that asks; told to those who ask later.
        optional run_id: RunId,
    }
}

object! {
    /// It is done.
    pub struct IdempotencyComplete {
        /// What the check gave.
        required token: Token,
        /// The answer that others get, at most 1 MiB of canonical JSON; null unless told.
        optional response: Json,
    }
}

object! {
    /// It failed.
    pub struct IdempotencyFail {
        /// What the check gave.
        required token: Token,
        /// Why: at most 4 KiB, told to those who ask later.
        default error: String = String::new(),
        /// Whether it may be tried again: the key is then absent. For good unless told.
        default retryable: bool = false,
    }
}

object! {
    /// I am still at it.
    pub struct IdempotencyRenew {
        /// What the check gave.
        required token: Token,
    }
}

object! {
    /// An end that was taken.
    pub struct IdempotencyEnded {
        /// `duplicate` where the bearer said so before.
        required outcome: Recorded,
    }
}

object! {
    /// A lease that lasts longer.
    pub struct IdempotencyRenewed {
        /// Until when, by the store's clock.
        required lease_until: Timestamp,
    }
}

object! {
    /// A key that is forgotten.
    pub struct IdempotencyDeleted {
        /// Always true: an unknown key is 404.
        required deleted: bool,
    }
}

fn key(call: &Call) -> Result<Key, Problem> {
    Key::new(call.part("key")).map_err(|invalid| invalid.under("/key").into())
}

fn asked(check: &IdempotencyCheck) -> Result<Fingerprint, Invalid> {
    match (&check.request, check.fingerprint) {
        (None, None) => Err(Invalid::new(InvalidCode::MissingMember, "/request", "is required, or fingerprint is")),
        (None, Some(digest)) => Ok(Fingerprint::raw(digest)),
        (Some(request), None) => Ok(Fingerprint::of(request)),
        (Some(request), Some(digest)) if Fingerprint::of(request).hash() == digest => Ok(Fingerprint::raw(digest)),
        (Some(_), Some(_)) => {
            Err(Invalid::new(InvalidCode::HashMismatch, "/fingerprint", "is not that of the canonical request"))
        }
    }
}

pub(crate) async fn check(call: Call) -> Result<Response, Problem> {
    let (key, gate) = (key(&call)?, call.app.gate().clone());
    let mut write = body::write(&call.app, call.request).await?;
    let check: IdempotencyCheck = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    let sent = asked(&check)?;
    let unless_told = Terms::default();
    let terms = Terms {
        run_id: check.run_id,
        lease_ms: check.lease_ms.unwrap_or(unless_told.lease_ms),
        ttl_s: check.ttl_s.unwrap_or(unless_told.ttl_s),
    };
    answer(gate.check(&key, &sent, &terms).await?, &sent)
}

fn answer(answer: IdempotencyResponse, sent: &Fingerprint) -> Result<Response, Problem> {
    let error = match answer.result {
        IdempotencyResult::New => return Ok(json(StatusCode::CREATED, &to_json(&answer))),
        IdempotencyResult::Duplicate | IdempotencyResult::Failed => return Ok(view(&answer)),
        IdempotencyResult::InProgress => Error::new(Code::InProgress, "somebody holds the lease of this key"),
        IdempotencyResult::Conflict => {
            let digests = Digests { recorded: answer.stored_hash.hash(), sent: sent.hash() };
            Error::new(Code::KeyReused, "the key stands for another request").with_digests(digests)
        }
    };
    let retry_after_s = answer.retry_after_ms.map(|ms| ms.div_ceil(1_000).max(1));
    Err(Problem::from(error).telling(&to_json(&answer), retry_after_s))
}

pub(crate) async fn complete(call: Call) -> Result<Response, Problem> {
    let (key, gate) = (key(&call)?, call.app.gate().clone());
    let mut write = body::write(&call.app, call.request).await?;
    let end: IdempotencyComplete = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    let response = end.response.unwrap_or_default();
    Ok(view(&IdempotencyEnded { outcome: gate.mark_completed(&key, &end.token, &response).await? }))
}

pub(crate) async fn fail(call: Call) -> Result<Response, Problem> {
    let (key, gate) = (key(&call)?, call.app.gate().clone());
    let mut write = body::write(&call.app, call.request).await?;
    let end: IdempotencyFail = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    Ok(view(&IdempotencyEnded { outcome: gate.mark_failed(&key, &end.token, &end.error, end.retryable).await? }))
}

pub(crate) async fn renew(call: Call) -> Result<Response, Problem> {
    let (key, gate) = (key(&call)?, call.app.gate().clone());
    let mut write = body::write(&call.app, call.request).await?;
    let renew: IdempotencyRenew = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    Ok(view(&IdempotencyRenewed { lease_until: gate.renew(&key, &renew.token).await? }))
}

pub(crate) async fn status(call: Call) -> Result<Response, Problem> {
    let key = key(&call)?;
    let status: Option<IdempotencyStatus> = call.app.ask_gate(async move |gate| gate.get_status(&key).await).await?;
    Ok(view(&status.ok_or_else(not_known)?))
}

pub(crate) async fn delete(call: Call) -> Result<Response, Problem> {
    let (key, gate) = (key(&call)?, call.app.gate().clone());
    if gate.delete(&key).await? { Ok(view(&IdempotencyDeleted { deleted: true })) } else { Err(not_known().into()) }
}
