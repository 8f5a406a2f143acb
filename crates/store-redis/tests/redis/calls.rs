//! Calls as the tests of faults make them, and how those are listed.

use std::time::Duration;

use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::gate::{Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStore, Terms, Token};
use tracekeep_store::{Outcome, Recorded, Result, block_on};
use tracekeep_store_redis::{Options, RedisIdempotencyStore};

use IdempotencyResult::New;

/// Lists the tests of a file.
macro_rules! faults {
    ($topic:literal: $($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(libtest_mimic::Trial::test(concat!($topic, "::", stringify!($name)), || {
                $name();
                Ok(())
            })),*]
        }
    };
}

pub(crate) const NAMESPACE: &str = "faults";

pub(crate) fn connect(url: &str) -> RedisIdempotencyStore {
    let options = Options { timeout: Duration::from_secs(60), ..Options::default() };
    RedisIdempotencyStore::connect_with(url, NAMESPACE, options).expect("the server answers")
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

pub(crate) fn request(text: &str) -> Fingerprint {
    Fingerprint::of(&Json::from(text))
}

pub(crate) fn ask(store: &dyn IdempotencyStore, name: &str, sent: &str) -> Result<IdempotencyResponse> {
    block_on(store.check(&key(name), &request(sent), &Terms::default()))
}

#[track_caller]
pub(crate) fn is(store: &dyn IdempotencyStore, name: &str, result: IdempotencyResult) -> IdempotencyResponse {
    let answer = ask(store, name, "a").unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(answer.result, result);
    answer
}

#[track_caller]
pub(crate) fn claim(store: &dyn IdempotencyStore, name: &str) -> Token {
    is(store, name, New).token.expect("new comes with a token")
}

pub(crate) fn complete(store: &dyn IdempotencyStore, name: &str, token: &Token) -> Result<Recorded> {
    block_on(store.mark_completed(&key(name), token, &Json::from("done")))
}

#[track_caller]
pub(crate) fn refused(result: Result<IdempotencyResponse>, code: &str, outcome: Outcome) {
    let error = result.expect_err("it cannot be answered");
    assert_eq!((error.code(), error.outcome(), error.is_retryable()), (code, outcome, true), "{error:?}");
}

/// Asks until somebody answers again: whatever is said before, it is not *new* of a key that is known.
#[track_caller]
pub(crate) fn sooner_or_later(gate: &dyn IdempotencyStore, name: &str) -> IdempotencyResult {
    for _ in 0..60 {
        match ask(gate, name, "a") {
            Ok(answer) => return answer.result,
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
    panic!("no replica was promoted");
}
