//! What the scripts answer, read.

use redis::Value;
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{
    Fingerprint, GateState, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, Phase, Record, Token,
    lease_lost, not_known,
};
use tracekeep_store::{Code, Error, Recorded, Result};

/// An answer that no script gives.
fn strange() -> Error {
    Error::new(Code::Corrupt, "the gate in Redis answered something else")
}

/// What is remembered of a key that an arbiter decided about.
pub(crate) enum Recalled {
    Answer(Box<IdempotencyResponse>),
    /// It is done or failed, and the arbiter has the answer.
    Ended,
    /// Redis alone decided: the arbiter is to take it over first.
    Alone,
    /// The arbiter is to decide.
    Nothing,
}

/// What became of a ruling that Redis was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It is remembered, or a later one is.
    Told,
    /// It was not about what Redis alone decided, which stands.
    Alone,
}

/// A phase as the scripts say it.
pub(crate) const PHASES: [(Phase, &str); 4] = [
    (Phase::InProgress, "in_progress"),
    (Phase::Completed, "completed"),
    (Phase::Failed, "failed"),
    (Phase::Released, "released"),
];

/// The items of an answer: a word, and what belongs to it.
pub(crate) struct Reply {
    items: Vec<Value>,
}

impl Reply {
    pub(crate) fn read(value: Value) -> Result<Self> {
        match value {
            Value::Array(items) => Ok(Self { items }),
            _ => Err(strange()),
        }
    }

    fn text(&self, at: usize) -> Result<&str> {
        self.optional_text(at)?.ok_or_else(strange)
    }

    fn optional_text(&self, at: usize) -> Result<Option<&str>> {
        match self.items.get(at) {
            Some(Value::BulkString(bytes)) => std::str::from_utf8(bytes).map(Some).map_err(|_| strange()),
            Some(Value::SimpleString(text)) => Ok(Some(text)),
            None | Some(Value::Nil | Value::Boolean(false)) => Ok(None),
            Some(_) => Err(strange()),
        }
    }

    fn integer(&self, at: usize) -> Result<i64> {
        match self.items.get(at) {
            Some(Value::Int(integer)) => Ok(*integer),
            _ => Err(strange()),
        }
    }

    fn unsigned(&self, at: usize) -> Result<u64> {
        self.integer(at)?.try_into().map_err(|_| strange())
    }

    /// A time: the scripts count microseconds.
    fn time(&self, at: usize) -> Result<Timestamp> {
        Ok(Timestamp::from_nanos(self.integer(at)?.checked_mul(1_000).ok_or_else(strange)?))
    }

    fn fingerprint(&self, at: usize) -> Result<Fingerprint> {
        self.text(at)?.parse().map_err(|_| strange())
    }

    fn run(&self, at: usize) -> Result<Option<RunId>> {
        let run = Some(self.text(at)?).filter(|run| !run.is_empty());
        run.map(RunId::new).transpose().map_err(|_| strange())
    }

    pub(crate) fn recalled(&self) -> Result<Recalled> {
        match self.text(0)? {
            "unknown" => Ok(Recalled::Nothing),
            "ended" => Ok(Recalled::Ended),
            "alone" => Ok(Recalled::Alone),
            "new" => Err(strange()),
            _ => self.told(None).map(|answer| Recalled::Answer(Box::new(answer))),
        }
    }

    pub(crate) fn noted(&self) -> Result<Noted> {
        match self.text(0)? {
            "noted" | "older" => Ok(Noted::Told),
            "alone" => Ok(Noted::Alone),
            _ => Err(strange()),
        }
    }

    /// What Redis alone decided about a key, and what its clock says.
    pub(crate) fn alone(&self) -> Result<Option<(Record, Timestamp)>> {
        let word = self.text(0)?;
        if word == "none" {
            return Ok(None);
        }
        let phase = PHASES.iter().find(|(_, said)| *said == word).ok_or_else(strange)?.0;
        let record = Record {
            phase,
            fingerprint: self.fingerprint(1)?,
            run_id: self.run(2)?,
            attempt: self.unsigned(3)?,
            token: self.text(4)?.parse().map_err(|_| strange())?,
            lease_ms: self.unsigned(5)?,
            ttl_s: self.unsigned(6)?,
            created_at: self.time(8)?,
            claimed_at: self.time(9)?,
            lease_until: self.time(10)?,
            ended_at: if phase == Phase::InProgress { None } else { Some(self.time(11)?) },
            response: self.optional_text(12)?.map(Json::parse).transpose().map_err(|_| strange())?,
            error: self.optional_text(13)?.map(str::to_owned),
        };
        Ok(Some((record, self.time(7)?)))
    }

    /// When a key was given out of which nothing was kept.
    pub(crate) fn fresh(&self) -> Result<Option<Timestamp>> {
        if self.text(0)? != "fresh" {
            return Ok(None);
        }
        let part = |at, per: i64| self.text(at).ok()?.parse::<i64>().ok()?.checked_mul(per);
        let nanos = part(1, 1_000_000_000).zip(part(2, 1_000)).and_then(|(s, us)| s.checked_add(us));
        nanos.map(|nanos| Some(Timestamp::from_nanos(nanos))).ok_or_else(strange)
    }

    pub(crate) fn checked(&self, token: &Token) -> Result<IdempotencyResponse> {
        self.told(Some(token))
    }

    fn told(&self, token: Option<&Token>) -> Result<IdempotencyResponse> {
        let Ok(result) = self.text(0)?.parse::<IdempotencyResult>() else { return Err(self.refused()?) };
        let mut answer = IdempotencyResponse {
            result,
            stored_hash: self.fingerprint(1)?,
            stored_trace_id: self.run(2)?,
            response: None,
            expired: false,
            token: None,
            attempt: self.unsigned(3)?,
            lease_until: None,
            retry_after_ms: None,
            error: None,
        };
        match result {
            IdempotencyResult::New => {
                (answer.token, answer.lease_until) = (token.copied(), Some(self.time(4)?));
            }
            IdempotencyResult::Duplicate => {
                let kept = self.optional_text(4)?.map(Json::parse).transpose();
                answer.response = kept.map_err(|_| strange())?;
                answer.expired = answer.response.is_none();
            }
            IdempotencyResult::Failed => {
                answer.error = self.optional_text(4)?.map(str::to_owned);
                answer.expired = answer.error.is_none();
            }
            IdempotencyResult::InProgress => {
                (answer.lease_until, answer.retry_after_ms) = (Some(self.time(4)?), Some(self.unsigned(5)?));
            }
            IdempotencyResult::Conflict => {}
        }
        Ok(answer)
    }

    fn refused(&self) -> Result<Error> {
        Ok(match self.text(0)? {
            "key_not_found" => not_known(),
            "lease_lost" => lease_lost(),
            "arbitrated" => {
                Error::new(Code::UnsafeStore, "an arbiter decides about this key: ask the gate that has it")
            }
            "conflict" => Error::new(Code::Conflict, "the key was completed with another answer"),
            _ => strange(),
        })
    }

    pub(crate) fn marked(&self) -> Result<Recorded> {
        match self.text(0)?.parse() {
            Ok(outcome) => Ok(outcome),
            Err(_) => Err(self.refused()?),
        }
    }

    pub(crate) fn renewed(&self) -> Result<Timestamp> {
        if self.text(0)? == "renewed" { self.time(1) } else { Err(self.refused()?) }
    }

    pub(crate) fn deleted(&self) -> Result<bool> {
        if self.text(0)? == "deleted" { Ok(self.integer(1)? == 1) } else { Err(self.refused()?) }
    }

    pub(crate) fn status(&self) -> Result<Option<IdempotencyStatus>> {
        let state = match self.text(0)? {
            "unknown" => return Ok(None),
            word => word.parse().map_err(|_| strange())?,
        };
        let ended = state != GateState::InProgress;
        Ok(Some(IdempotencyStatus {
            state,
            stored_hash: self.fingerprint(1)?,
            run_id: self.run(2)?,
            attempt: self.unsigned(3)?,
            created_at: self.time(4)?,
            claimed_at: self.time(5)?,
            lease_until: if ended { None } else { Some(self.time(6)?) },
            ended_at: if ended { Some(self.time(7)?) } else { None },
            expires_at: if ended { Some(self.time(8)?) } else { None },
            expired: ended && self.integer(9)? == 1,
            error: self.optional_text(10)?.map(str::to_owned),
        }))
    }
}
