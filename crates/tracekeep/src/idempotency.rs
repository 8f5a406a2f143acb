//! The gate's handle: effects of a caller's own that happen once.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tracekeep_core::Timestamp;
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{GATE_ERROR_BYTES_MAX, GATE_RESPONSE_BYTES_MAX};
use tracekeep_store::gate::{
    Fingerprint, IdempotencyResponse, IdempotencyResult, IdempotencyStatus, IdempotencyStore, Terms, Token,
};
use tracekeep_store::{Code, Digests, Error, Recorded, Result, block_on};

/// How long is waited before the end of an effect is said again; then its error is the caller's.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// Lets effects of a caller's own happen once. Stateless: cheap to clone, to be shared between threads.
///
/// Every call blocks the calling thread but those that are `async`; [`IdempotencyGate::store`] has the rest of them.
///
/// ```
/// use tracekeep::{Effect, Json, Once, Tracekeep};
///
/// # let folder = tempfile::tempdir()?;
/// let tracekeep = Tracekeep::open(folder.path().join("runs.db"))?;
/// let (key, request) = ("pay-7".parse()?, Json::parse(r#"{"order":7,"cents":990}"#)?);
/// let pay = || Effect::done(Json::parse(r#"{"receipt":"r-1"}"#).expect("JSON"));
///
/// let first = tracekeep.idempotency().once_blocking(&key, &request, pay)?;
/// let again = tracekeep.idempotency().once_blocking(&key, &request, || panic!("paid twice"))?;
/// assert!(matches!(first, Once::Done(_)) && matches!(again, Once::Replayed(_)));
/// assert_eq!(first.answer(), again.answer());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "get_idempotency_store")]
pub struct IdempotencyGate {
    store: Arc<dyn IdempotencyStore>,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It was done; others get this answer.
    Done(Json),
    /// It failed, and nothing happened: whoever asks next does it.
    Retry(String),
    /// It failed for good: whoever asks later is told so.
    Failed(String),
}

impl Effect {
    /// It was done.
    pub fn done(answer: impl Into<Json>) -> Self {
        Self::Done(answer.into())
    }

    /// It failed, and nothing happened.
    pub fn retry(why: impl ToString) -> Self {
        Self::Retry(why.to_string())
    }

    /// It failed for good.
    pub fn failed(why: impl ToString) -> Self {
        Self::Failed(why.to_string())
    }
}

/// What became of an effect that is to happen once.
#[derive(Clone, Debug, PartialEq)]
pub enum Once {
    /// It was done now.
    Done(Json),
    /// It was done before: the first one's answer.
    Replayed(Json),
    /// It was done before, so long ago that its answer is no longer kept.
    Expired,
}

impl Once {
    /// The answer, unless it is no longer kept.
    #[must_use]
    pub const fn answer(&self) -> Option<&Json> {
        match self {
            Self::Done(answer) | Self::Replayed(answer) => Some(answer),
            Self::Expired => None,
        }
    }
}

impl IdempotencyGate {
    pub(crate) fn new(store: Arc<dyn IdempotencyStore>) -> Self {
        Self { store }
    }

    /// The store, with all its calls.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn IdempotencyStore> {
        &self.store
    }

    /// Asks whether the caller is to do what `request` says: [`IdempotencyStore::check`].
    ///
    /// # Errors
    /// What the store cannot answer, never *new* then.
    pub fn check(&self, key: &Key, request: &Json, terms: &Terms) -> Result<IdempotencyResponse> {
        self.store.check_blocking(key, &Fingerprint::of(request), terms)
    }

    /// Says that it is done: [`IdempotencyStore::mark_completed`].
    ///
    /// # Errors
    /// `key_not_found`, `lease_lost`, `conflict`, `too_large`.
    pub fn mark_completed(&self, key: &Key, token: &Token, response: &Json) -> Result<Recorded> {
        self.store.mark_completed_blocking(key, token, response)
    }

    /// Says that it failed: [`IdempotencyStore::mark_failed`].
    ///
    /// # Errors
    /// `key_not_found`, `lease_lost`, `too_large`.
    pub fn mark_failed(&self, key: &Key, token: &Token, error: &str, retryable: bool) -> Result<Recorded> {
        self.store.mark_failed_blocking(key, token, error, retryable)
    }

    /// Holds the lease for longer: [`IdempotencyStore::renew`].
    ///
    /// # Errors
    /// `key_not_found`, `lease_lost`.
    pub fn renew(&self, key: &Key, token: &Token) -> Result<Timestamp> {
        self.store.renew_blocking(key, token)
    }

    /// How a key stands; `None` where it is not known.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn get_status(&self, key: &Key) -> Result<Option<IdempotencyStatus>> {
        block_on(self.store.get_status(key))
    }

    /// Forgets a key: the same request is new again. Tells whether it was known.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn delete(&self, key: &Key) -> Result<bool> {
        block_on(self.store.delete(key))
    }

    /// Does `effect` unless it was done before, and gives its answer or the first one's. Needs no particular runtime.
    ///
    /// Whoever comes while somebody is at it is told `in_progress`, and asks again. An effect that panics, or whose future
    /// is dropped, leaves the key in progress until the lease of 30 s is over; one that takes longer asks under
    /// [`once_under`](Self::once_under) for a longer one.
    ///
    /// # Errors
    /// `in_progress`; `key_reused` where the key stands for another request; `effect_failed` where it failed, now or
    /// before: it may be tried again where `is_retryable()` says so. What the store cannot answer: before the effect it
    /// was not begun; after it, the effect happened and the next caller may do it again once the lease is over. An answer
    /// of more than 1 MiB is kept as a failure for good, so that nobody does it again: give a reference instead.
    pub async fn once<F>(&self, key: &Key, request: &Json, effect: F) -> Result<Once>
    where
        F: AsyncFnOnce() -> Effect,
    {
        self.once_under(key, request, &Terms::default(), effect).await
    }

    /// [`once`](Self::once) under other terms.
    ///
    /// # Errors
    /// As [`once`](Self::once).
    pub async fn once_under<F>(&self, key: &Key, request: &Json, terms: &Terms, effect: F) -> Result<Once>
    where
        F: AsyncFnOnce() -> Effect,
    {
        let request = Fingerprint::of(request);
        let token = match begin(self.store.check(key, &request, terms).await?, &request)? {
            Begin::Go(token) => token,
            Begin::Was(once) => return Ok(once),
        };
        let end = End::of(effect().await);
        let mut pauses = PAUSES.into_iter();
        loop {
            let marked = match &end {
                End::Done(answer) => self.store.mark_completed(key, &token, answer).await,
                End::Failed { why, retryable } => self.store.mark_failed(key, &token, why, *retryable).await,
            };
            match (&marked, pauses.next()) {
                (Err(error), Some(pause)) if error.is_retryable() => sleep(pause).await,
                _ => return end.told(marked),
            }
        }
    }

    /// [`once`](Self::once) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`once`](Self::once).
    pub fn once_blocking(&self, key: &Key, request: &Json, effect: impl FnOnce() -> Effect) -> Result<Once> {
        self.once_blocking_under(key, request, &Terms::default(), effect)
    }

    /// [`once_blocking`](Self::once_blocking) under other terms.
    ///
    /// # Errors
    /// As [`once`](Self::once).
    pub fn once_blocking_under(
        &self,
        key: &Key,
        request: &Json,
        terms: &Terms,
        effect: impl FnOnce() -> Effect,
    ) -> Result<Once> {
        let request = Fingerprint::of(request);
        let token = match begin(self.store.check_blocking(key, &request, terms)?, &request)? {
            Begin::Go(token) => token,
            Begin::Was(once) => return Ok(once),
        };
        let end = End::of(effect());
        let mut pauses = PAUSES.into_iter();
        loop {
            let marked = match &end {
                End::Done(answer) => self.store.mark_completed_blocking(key, &token, answer),
                End::Failed { why, retryable } => self.store.mark_failed_blocking(key, &token, why, *retryable),
            };
            match (&marked, pauses.next()) {
                (Err(error), Some(pause)) if error.is_retryable() => thread::sleep(pause),
                _ => return end.told(marked),
            }
        }
    }
}

/// Waits on whatever executor: a thread of its own wakes it.
async fn sleep(pause: Duration) {
    let until = Instant::now() + pause;
    poll_fn(|context| {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let wake = move || {
            thread::sleep(left);
            waker.wake();
        };
        match thread::Builder::new().name("tracekeep-pause".to_owned()).spawn(wake) {
            Ok(_) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        }
    })
    .await;
}

/// Whether the caller is to do it.
enum Begin {
    Go(Token),
    Was(Once),
}

fn begin(answer: IdempotencyResponse, request: &Fingerprint) -> Result<Begin> {
    match (answer.result, answer.token, answer.response) {
        (IdempotencyResult::New, Some(token), _) => Ok(Begin::Go(token)),
        (IdempotencyResult::New, None, _) => Err(Error::new(Code::Corrupt, "the gate gave a lease without its token")),
        (IdempotencyResult::Duplicate, _, Some(answer)) => Ok(Begin::Was(Once::Replayed(answer))),
        (IdempotencyResult::Duplicate, _, None) => Ok(Begin::Was(Once::Expired)),
        (IdempotencyResult::InProgress, _, _) => {
            let left = answer.retry_after_ms.unwrap_or(0);
            Err(Error::new(Code::InProgress, format!("somebody holds the lease of this key for {left} ms more")))
        }
        (IdempotencyResult::Conflict, _, _) => {
            let digests = Digests { recorded: answer.stored_hash.hash(), sent: request.hash() };
            Err(Error::new(Code::KeyReused, "the key stands for another request").with_digests(digests))
        }
        (IdempotencyResult::Failed, _, _) => {
            let why = answer.error.unwrap_or_default();
            Err(Error::new(Code::EffectFailed, format!("it failed for good: {why}")))
        }
    }
}

/// An effect's end, as the gate is told.
enum End {
    Done(Json),
    Failed { why: String, retryable: bool },
}

impl End {
    fn of(effect: Effect) -> Self {
        let (mut why, retryable) = match effect {
            Effect::Done(answer) if answer.as_str().len() <= GATE_RESPONSE_BYTES_MAX as usize => {
                return Self::Done(answer);
            }
            // Left in progress, it would be done again.
            Effect::Done(_) => ("it was done, but its answer has more bytes than the gate keeps".to_owned(), false),
            Effect::Retry(why) => (why, true),
            Effect::Failed(why) => (why, false),
        };
        let mut bytes = why.len().min(GATE_ERROR_BYTES_MAX as usize);
        while !why.is_char_boundary(bytes) {
            bytes -= 1;
        }
        why.truncate(bytes);
        Self::Failed { why, retryable }
    }

    fn told(self, marked: Result<Recorded>) -> Result<Once> {
        match (&self, marked) {
            // Whoever tried again would do it a second time once the lease is over.
            (Self::Done(_), Err(error)) if error.is_retryable() => {
                let detail = "it was done, and the gate could not be told: do not do it again before that is mended";
                return Err(Error::new(Code::EffectUnrecorded, detail).because(error));
            }
            (_, marked) => drop(marked?),
        }
        match self {
            Self::Done(answer) => Ok(Once::Done(answer)),
            Self::Failed { why, retryable: true } => {
                Err(Error::new(Code::EffectRetry, format!("it failed, and may be tried again: {why}")))
            }
            Self::Failed { why, retryable: false } => {
                Err(Error::new(Code::EffectFailed, format!("it failed for good: {why}")))
            }
        }
    }
}
