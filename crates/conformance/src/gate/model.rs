//! A second, naive implementation of the semantics, written from DESIGN: a key is the list of those who were told to go.

use tracekeep_core::Timestamp;
use tracekeep_store::gate::{IdempotencyResponse, IdempotencyResult, Token};
use tracekeep_store::{Outcome, Recorded, Result};

use super::context::{LEASE_MS, REMEMBER_S, TTL_S, request};

/// A call about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the trait")]
pub enum Asked {
    Check { request: &'static str },
    Complete { token: Token, response: &'static str },
    Fail { token: Token, retryable: bool },
    Renew { token: Token },
    Delete,
}

/// What a call was answered with, as far as it does not depend on the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the trait")]
pub enum Said {
    New { token: Token, attempt: u64 },
    Duplicate { response: Option<String>, attempt: u64 },
    InProgress { attempt: u64 },
    Failed { expired: bool, attempt: u64 },
    Conflict { stored: String },
    Marked(Recorded),
    Ok,
    Deleted(bool),
    Refused(&'static str),
    Unknown,
}

impl Said {
    fn error(error: &tracekeep_store::Error) -> Self {
        if error.outcome() == Outcome::Unknown { Self::Unknown } else { Self::Refused(error.code()) }
    }

    /// Of a check.
    #[must_use]
    pub fn checked(answer: Result<IdempotencyResponse>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Self::error(&error),
        };
        let attempt = answer.attempt;
        match answer.result {
            IdempotencyResult::New => Self::New { token: answer.token.expect("new comes with a token"), attempt },
            IdempotencyResult::Duplicate => {
                assert_eq!(answer.expired, answer.response.is_none());
                Self::Duplicate { response: answer.response.map(|response| response.to_string()), attempt }
            }
            IdempotencyResult::InProgress => Self::InProgress { attempt },
            IdempotencyResult::Failed => Self::Failed { expired: answer.expired, attempt },
            IdempotencyResult::Conflict => Self::Conflict { stored: answer.stored_hash.to_string() },
        }
    }

    /// Of an end.
    #[must_use]
    pub fn marked(answer: Result<Recorded>) -> Self {
        answer.map_or_else(|error| Self::error(&error), Self::Marked)
    }

    /// Of a renewal.
    #[must_use]
    pub fn renewed(answer: Result<Timestamp>) -> Self {
        answer.map_or_else(|error| Self::error(&error), |_| Self::Ok)
    }

    /// Of a deletion.
    #[must_use]
    pub fn deleted(answer: Result<bool>) -> Self {
        answer.map_or_else(|error| Self::error(&error), Self::Deleted)
    }
}

/// Somebody who was told to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Claim {
    token: Token,
    request: &'static str,
    lease_until_s: u64,
    /// When it ended, and how: `Some(answer)`, or whether it may be tried again.
    end: Option<(u64, std::result::Result<&'static str, bool>)>,
}

/// One key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model {
    claims: Vec<Claim>,
}

impl Model {
    /// The last claim, unless it is forgotten.
    fn last(&self, now_s: u64) -> Option<&Claim> {
        let last = self.claims.last()?;
        let kept_from = last.end.map_or(last.lease_until_s, |(at, _)| at);
        (now_s < kept_from + TTL_S + REMEMBER_S).then_some(last)
    }

    /// Does what was asked at `now_s`. `token` is the one that a check was answered with, which the model cannot guess.
    pub fn ask(&mut self, asked: &Asked, token: Option<Token>, now_s: u64) -> Said {
        if self.last(now_s).is_none() {
            self.claims.clear();
        }
        let attempt = self.claims.len() as u64;
        let last = self.claims.last().cloned();
        match *asked {
            Asked::Check { request: sent } => {
                let is_free = match &last {
                    None => true,
                    Some(Claim { end: Some((_, Err(true))), .. }) => true,
                    Some(last) if last.request != sent => {
                        return Said::Conflict { stored: request(last.request).to_string() };
                    }
                    Some(last) => last.end.is_none() && last.lease_until_s <= now_s,
                };
                if is_free {
                    let token = token.unwrap_or(Token::from_bytes([0; 16]));
                    let lease_until_s = now_s + LEASE_MS / 1_000;
                    self.claims.push(Claim { token, request: sent, lease_until_s, end: None });
                    return Said::New { token, attempt: attempt + 1 };
                }
                match last.and_then(|last| last.end) {
                    None => Said::InProgress { attempt },
                    Some((at, Ok(response))) => {
                        let response = (now_s < at + TTL_S).then(|| response.to_owned());
                        Said::Duplicate { response, attempt }
                    }
                    Some((at, Err(_))) => Said::Failed { expired: now_s >= at + TTL_S, attempt },
                }
            }
            Asked::Delete => {
                let known = last.is_some_and(|last| !matches!(last.end, Some((_, Err(true)))));
                self.claims.clear();
                Said::Deleted(known)
            }
            Asked::Complete { token, response } => self.end(token, Some(Ok(response)), now_s),
            Asked::Fail { token, retryable } => self.end(token, Some(Err(retryable)), now_s),
            Asked::Renew { token } => self.end(token, None, now_s),
        }
    }

    fn end(&mut self, token: Token, end: Option<std::result::Result<&'static str, bool>>, now_s: u64) -> Said {
        let Some(last) = self.claims.last_mut() else { return Said::Refused("key_not_found") };
        let is_own = last.token == token;
        match (last.end, end) {
            (Some((_, Err(true))), Some(Err(true))) if is_own => Said::Marked(Recorded::Duplicate),
            (Some((_, Err(true))), _) => Said::Refused("key_not_found"),
            _ if !is_own => Said::Refused("lease_lost"),
            (None, Some(end)) => {
                last.end = Some((now_s, end));
                Said::Marked(Recorded::Recorded)
            }
            (None, None) => {
                last.lease_until_s = now_s + LEASE_MS / 1_000;
                Said::Ok
            }
            (Some((at, Ok(was))), Some(Ok(is))) if was == is || now_s >= at + TTL_S => {
                Said::Marked(Recorded::Duplicate)
            }
            (Some((_, Ok(_))), Some(Ok(_))) => Said::Refused("conflict"),
            (Some((_, Err(false))), Some(Err(false))) => Said::Marked(Recorded::Duplicate),
            _ => Said::Refused("lease_lost"),
        }
    }
}
