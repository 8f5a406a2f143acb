//! The gate over HTTP.

use async_trait::async_trait;
use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_core::limits::GATE_LEASE_MS_MAX;
use tracekeep_store::gate::{
    Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, IdempotencyStore, Terms, Token,
};
use tracekeep_store::{Recorded, Result};

use crate::answer::Answer;
use crate::ledger::HttpLedger;
use crate::request::segment;

fn path(key: &Key, then: &str) -> String {
    format!("/api/v1/idempotency/{}{then}", segment(key.as_str()))
}

fn body<const N: usize>(members: [(&str, Option<Json>); N]) -> Result<Json> {
    let members = members.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    Json::object(members).map_err(|error| tracekeep_core::Invalid::from(error).into())
}

fn text(text: impl ToString) -> Json {
    Json::from(text.to_string())
}

/// An answer to a check, whatever its status; anything else is a problem.
fn answered(answer: &Answer) -> Result<IdempotencyResponse> {
    let result: IdempotencyResult = match answer.status {
        200 | 201 => return answer.whole().map(with_null),
        409 | 422 => match answer.optional("result")? {
            Some(result) => result,
            None => return Err(answer.problem()),
        },
        _ => return Err(answer.problem()),
    };
    let retry_after_ms: Option<u64> = answer.optional("retry_after_ms")?;
    Ok(IdempotencyResponse {
        result,
        stored_hash: answer.member("stored_hash")?,
        stored_trace_id: answer.optional("stored_trace_id")?,
        response: None,
        expired: false,
        token: None,
        attempt: answer.member("attempt")?,
        lease_until: answer.optional("lease_until")?,
        retry_after_ms: retry_after_ms.map(|ms| ms.min(u64::from(GATE_LEASE_MS_MAX))),
        error: None,
    })
}

/// An answer that is null reads as an absent one.
fn with_null(mut answer: IdempotencyResponse) -> IdempotencyResponse {
    if answer.is_duplicate() && !answer.expired {
        answer.response.get_or_insert_with(Json::null);
    }
    answer
}

#[async_trait]
impl IdempotencyStore for HttpLedger {
    async fn check(&self, key: &Key, request: &Fingerprint, terms: &Terms) -> Result<IdempotencyResponse> {
        terms.check()?;
        let body = body([
            ("fingerprint", Some(text(request))),
            ("lease_ms", Some(Json::from(terms.lease_ms))),
            ("ttl_s", Some(Json::from(terms.ttl_s))),
            ("run_id", terms.run_id.as_ref().map(text)),
        ])?;
        answered(&self.post(&path(key, ""), body.as_str().as_bytes())?)
    }

    async fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        let body = body([("token", Some(text(token))), ("response", Some(response.clone()))])?;
        self.post(&path(key, "/complete"), body.as_str().as_bytes())?.accepted()?.member("outcome")
    }

    async fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        let retryable = if retryable { Json::parse("true") } else { Json::parse("false") };
        let retryable = retryable.map_err(tracekeep_core::Invalid::from)?;
        let body = body([("token", Some(text(token))), ("error", Some(text(error))), ("retryable", Some(retryable))])?;
        self.post(&path(key, "/fail"), body.as_str().as_bytes())?.accepted()?.member("outcome")
    }

    async fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        let body = body([("token", Some(text(token)))])?;
        self.post(&path(key, "/renew"), body.as_str().as_bytes())?.accepted()?.member("lease_until")
    }

    async fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        match self.get(&path(key, "")) {
            Ok(answer) => answer.whole().map(Some),
            Err(error) if error.code() == "key_not_found" => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        match self.remove(&path(key, ""))?.accepted() {
            Ok(answer) => answer.member("deleted"),
            Err(error) if error.code() == "key_not_found" => Ok(false),
            Err(error) => Err(error),
        }
    }
}
