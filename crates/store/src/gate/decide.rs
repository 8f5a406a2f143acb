//! The state machine: what is kept of a key and what is asked, in; what is kept from now on and the answer, out.
//!
//! Pure: no clock, no randomness, no I/O. The fingerprint is compared first, in every state and on every path.

use tracekeep_core::Timestamp;
use tracekeep_core::json::Json;

use super::answer::{GateState, IdempotencyResponse, IdempotencyResult, IdempotencyStatus};
use super::fingerprint::Fingerprint;
use super::record::{Phase, Record};
use super::rules::{Rules, Terms, check_error, check_response};
use super::token::Token;
use crate::error::{Code, Error, Result};
use crate::receipt::Recorded;

/// What is asked of the gate about one key.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// May I?
    Check {
        /// The request.
        fingerprint: Fingerprint,
        /// What is asked for.
        terms: Terms,
        /// What the lease is held by, if it is given.
        token: Token,
    },
    /// It is done.
    Complete {
        /// Who says so.
        token: Token,
        /// The answer that others get.
        response: Json,
    },
    /// It failed.
    Fail {
        /// Who says so.
        token: Token,
        /// Why.
        error: String,
        /// Whether it may be tried again.
        retryable: bool,
    },
    /// I am still at it.
    Renew {
        /// Who says so.
        token: Token,
    },
    /// Forget it.
    Delete,
    /// Keep what another gate decided about it, where nothing is kept yet.
    Adopt {
        /// What the other one kept.
        record: Box<Record>,
        /// What its clock says: its times are told by it.
        now: Timestamp,
    },
}

impl Ask {
    /// Refuses what is out of bounds, before any store is asked.
    ///
    /// # Errors
    /// `invalid_member`, `too_large`.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Check { terms, .. } => terms.check(),
            Self::Complete { response, .. } => check_response(response),
            Self::Fail { error, .. } => check_error(error),
            Self::Adopt { record, .. } => {
                record.response.as_ref().map_or(Ok(()), check_response)?;
                record.error.as_deref().map_or(Ok(()), check_error)
            }
            Self::Renew { .. } | Self::Delete => Ok(()),
        }
    }

    /// Bytes of what it brings.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Complete { response, .. } => response.as_str().len() as u64,
            Self::Fail { error, .. } => error.len() as u64,
            Self::Adopt { record, .. } => record.bytes(),
            Self::Check { .. } | Self::Renew { .. } | Self::Delete => 0,
        }
    }
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To a check.
    Checked(IdempotencyResponse),
    /// To the end of an effect, and to what another gate decided: whether it was new.
    Marked(Recorded),
    /// To a renewal: until when the lease lasts.
    Renewed(Timestamp),
    /// To a deletion: whether the key was known.
    Deleted(bool),
}

/// A reply of another kind than was asked for: the state machine gives none.
fn strange() -> Error {
    Error::new(Code::Corrupt, "the gate gave an answer to another question")
}

impl Reply {
    /// The answer to a check.
    ///
    /// # Errors
    /// `corrupt` where it is another.
    pub fn checked(self) -> Result<IdempotencyResponse> {
        if let Self::Checked(answer) = self { Ok(answer) } else { Err(strange()) }
    }

    /// The answer to an end.
    ///
    /// # Errors
    /// `corrupt` where it is another.
    pub fn marked(self) -> Result<Recorded> {
        if let Self::Marked(outcome) = self { Ok(outcome) } else { Err(strange()) }
    }

    /// The answer to a renewal.
    ///
    /// # Errors
    /// `corrupt` where it is another.
    pub fn renewed(self) -> Result<Timestamp> {
        if let Self::Renewed(until) = self { Ok(until) } else { Err(strange()) }
    }

    /// The answer to a deletion.
    ///
    /// # Errors
    /// `corrupt` where it is another.
    pub fn deleted(self) -> Result<bool> {
        if let Self::Deleted(known) = self { Ok(known) } else { Err(strange()) }
    }
}

/// What is kept from now on.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// What was kept before.
    Same,
    /// This.
    Put(Box<Record>),
    /// Nothing.
    Gone,
}

/// Decides what becomes of a key. `stored` is what is kept of it, as it was when it was written.
pub fn decide(stored: Option<Record>, ask: &Ask, rules: &Rules, now: Timestamp) -> (Next, Result<Reply>) {
    let was_there = stored.is_some();
    let lease_until = stored.as_ref().map(|record| record.lease_until);
    let stored = stored.and_then(|record| record.aged(rules, now));
    // Whoever is told of a lease that became shorter is told its end.
    let shorter = stored.as_ref().filter(|record| Some(record.lease_until) != lease_until).cloned().map(Box::new);
    match ask {
        Ask::Check { fingerprint, terms, token } => {
            let (next, answer) = check(stored, *fingerprint, terms, *token, now);
            let next = if next == Next::Same { shorter.map_or(next, Next::Put) } else { next };
            (next, Ok(Reply::Checked(answer)))
        }
        Ask::Delete => {
            let known = stored.is_some_and(|record| record.phase != Phase::Released);
            (if was_there { Next::Gone } else { Next::Same }, Ok(Reply::Deleted(known)))
        }
        Ask::Adopt { record, now: theirs } => adopt(stored, record, rules, *theirs, now),
        Ask::Complete { token, response } => held(stored, *token, |record| complete(record, response, now)),
        Ask::Fail { token, error, retryable } => held(stored, *token, |record| fail(record, error, *retryable, now)),
        Ask::Renew { token } => held(stored, *token, |record| renew(record, now)),
    }
}

/// What a check is told where it changes nothing: no *new*, and no lease that a clock which was set back would lengthen.
#[must_use]
pub fn look(
    stored: Option<Record>,
    fingerprint: Fingerprint,
    rules: &Rules,
    now: Timestamp,
) -> Option<IdempotencyResponse> {
    let ask = Ask::Check { fingerprint, terms: Terms::default(), token: Token::from_bytes([0; 16]) };
    match decide(stored, &ask, rules, now) {
        (Next::Same, Ok(Reply::Checked(answer))) => Some(answer),
        _ => None,
    }
}

/// How a key stands, for who may not act on it.
#[must_use]
pub fn status(stored: Option<Record>, rules: &Rules, now: Timestamp) -> Option<IdempotencyStatus> {
    let record = stored?.aged(rules, now)?;
    let state = match record.phase {
        Phase::InProgress => GateState::InProgress,
        Phase::Completed => GateState::Completed,
        Phase::Failed => GateState::Failed,
        Phase::Released => return None,
    };
    let ended = state != GateState::InProgress;
    Some(IdempotencyStatus {
        state,
        stored_hash: record.fingerprint,
        attempt: record.attempt,
        created_at: record.created_at,
        claimed_at: record.claimed_at,
        lease_until: (!ended).then_some(record.lease_until),
        ended_at: record.ended_at,
        expires_at: ended.then(|| record.expires_at()),
        expired: ended && now >= record.expires_at(),
        run_id: record.run_id,
        error: record.error,
    })
}

fn check(
    stored: Option<Record>,
    fingerprint: Fingerprint,
    terms: &Terms,
    token: Token,
    now: Timestamp,
) -> (Next, IdempotencyResponse) {
    let Some(record) = stored else {
        return give(fingerprint, terms, token, now, None);
    };
    if record.phase == Phase::Released {
        return give(fingerprint, terms, token, now, Some(record));
    }
    let result = match record.phase {
        _ if record.fingerprint != fingerprint => IdempotencyResult::Conflict,
        Phase::Completed => IdempotencyResult::Duplicate,
        Phase::Failed => IdempotencyResult::Failed,
        Phase::InProgress | Phase::Released if now < record.lease_until => IdempotencyResult::InProgress,
        Phase::InProgress | Phase::Released => return give(fingerprint, terms, token, now, Some(record)),
    };
    let mut answer = answer(result, &record);
    match result {
        IdempotencyResult::Duplicate => {
            answer.expired = record.response.is_none();
            answer.response = record.response;
        }
        IdempotencyResult::Failed => {
            answer.expired = record.error.is_none();
            answer.error = record.error;
        }
        IdempotencyResult::InProgress => {
            let left = record.lease_until.as_nanos().saturating_sub(now.as_nanos());
            answer.retry_after_ms = Some(left.cast_unsigned().div_ceil(1_000_000));
            answer.lease_until = Some(record.lease_until);
        }
        IdempotencyResult::New | IdempotencyResult::Conflict => {}
    }
    (Next::Same, answer)
}

/// Gives the lease out: for the first time, again after a retryable failure, or after the lease before is over.
fn give(
    fingerprint: Fingerprint,
    terms: &Terms,
    token: Token,
    now: Timestamp,
    before: Option<Record>,
) -> (Next, IdempotencyResponse) {
    let before = before.map(|record| {
        let run_id = record.run_id.filter(|_| record.phase == Phase::InProgress);
        (record.attempt, record.created_at, run_id)
    });
    let (attempts, created_at, run_id) = before.unwrap_or((0, now, None));
    let record = Record {
        phase: Phase::InProgress,
        fingerprint,
        run_id: terms.run_id.clone().or(run_id),
        token,
        attempt: attempts.saturating_add(1),
        lease_ms: terms.lease_ms,
        ttl_s: terms.ttl_s,
        created_at,
        claimed_at: now,
        lease_until: now.saturating_add(terms.lease_nanos()),
        ended_at: None,
        response: None,
        error: None,
    };
    let mut answer = answer(IdempotencyResult::New, &record);
    answer.token = Some(token);
    answer.lease_until = Some(record.lease_until);
    (Next::Put(Box::new(record)), answer)
}

/// Takes over what another gate decided, with what is left of its times. What is kept here holds.
fn adopt(
    stored: Option<Record>,
    record: &Record,
    rules: &Rules,
    theirs: Timestamp,
    now: Timestamp,
) -> (Next, Result<Reply>) {
    let adopted = record.clone().moved(now.as_nanos().saturating_sub(theirs.as_nanos())).aged(rules, now);
    match adopted.filter(|_| stored.is_none()) {
        Some(record) => (Next::Put(Box::new(record)), Ok(Reply::Marked(Recorded::Recorded))),
        None => (Next::Same, Ok(Reply::Marked(Recorded::Duplicate))),
    }
}

fn answer(result: IdempotencyResult, record: &Record) -> IdempotencyResponse {
    IdempotencyResponse {
        result,
        stored_hash: record.fingerprint,
        stored_trace_id: record.run_id.clone(),
        response: None,
        expired: false,
        token: None,
        attempt: record.attempt,
        lease_until: None,
        retry_after_ms: None,
        error: None,
    }
}

/// What only the bearer of the latest token may do. A lease that is over is still its last bearer's until somebody takes
/// it.
fn held(
    stored: Option<Record>,
    token: Token,
    then: impl FnOnce(Record) -> (Next, Result<Reply>),
) -> (Next, Result<Reply>) {
    match stored {
        Some(record) if record.token == token => then(record),
        Some(record) if record.phase != Phase::Released => (Next::Same, Err(lease_lost())),
        _ => (Next::Same, Err(not_known())),
    }
}

/// The refusal of a token that holds nothing.
#[must_use]
pub fn lease_lost() -> Error {
    Error::new(Code::LeaseLost, "the token does not hold the key's lease")
}

/// The refusal of an end to what nobody began.
#[must_use]
pub fn not_known() -> Error {
    Error::new(Code::KeyNotFound, "the gate does not know the key")
}

fn complete(record: Record, response: &Json, now: Timestamp) -> (Next, Result<Reply>) {
    match record.phase {
        Phase::InProgress => {
            let ended =
                Record { phase: Phase::Completed, ended_at: Some(now), response: Some(response.clone()), ..record };
            (Next::Put(Box::new(ended)), Ok(Reply::Marked(Recorded::Recorded)))
        }
        Phase::Completed if record.response.as_ref().is_none_or(|recorded| recorded == response) => {
            (Next::Same, Ok(Reply::Marked(Recorded::Duplicate)))
        }
        Phase::Completed => (Next::Same, Err(Error::new(Code::Conflict, "the key was completed with another answer"))),
        Phase::Failed => (Next::Same, Err(lease_lost())),
        Phase::Released => (Next::Same, Err(not_known())),
    }
}

fn fail(record: Record, error: &str, retryable: bool, now: Timestamp) -> (Next, Result<Reply>) {
    let phase = if retryable { Phase::Released } else { Phase::Failed };
    match record.phase {
        Phase::InProgress => {
            let error = (!retryable).then(|| error.to_owned());
            let ended = Record { phase, ended_at: Some(now), error, ..record };
            (Next::Put(Box::new(ended)), Ok(Reply::Marked(Recorded::Recorded)))
        }
        ended if ended == phase => (Next::Same, Ok(Reply::Marked(Recorded::Duplicate))),
        Phase::Released => (Next::Same, Err(not_known())),
        Phase::Completed | Phase::Failed => (Next::Same, Err(lease_lost())),
    }
}

fn renew(record: Record, now: Timestamp) -> (Next, Result<Reply>) {
    match record.phase {
        Phase::InProgress => {
            let lease_until = record.lease_until.max(record.lease_from(now));
            let renewed = Record { lease_until, ..record };
            (Next::Put(Box::new(renewed)), Ok(Reply::Renewed(lease_until)))
        }
        Phase::Completed | Phase::Failed => (Next::Same, Err(lease_lost())),
        Phase::Released => (Next::Same, Err(not_known())),
    }
}
