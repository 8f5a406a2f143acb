//! Following the log, and telling of each verdict that is one to look into.

use std::time::Duration;

use tokio::sync::oneshot;
use tracekeep_audit::{AuditVerdict, VerdictStatus};
use tracekeep_core::Timestamp;
use tracekeep_core::model::Kind;
use tracekeep_core::view::LogEvent;
use tracekeep_core::wire::{object, to_json};
use tracekeep_store::{Code, Error, Source};

use super::post::{Answer, Event, Poster};
use super::{Tries, Webhook, place};
use crate::state::App;

/// Events read at a time.
const EVENTS_MAX: u32 = 200;
/// Between two looks at a log that grows.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Before what could not be read is read again.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Entries that nobody is told of, after which the place is kept all the same.
const KEPT_EVERY: u64 = 10_000;

object! {
    /// What is sent.
    struct Told {
        /// The same each time.
        required event_id: String,
        /// The ledger.
        required ledger: String,
        /// The run.
        required run_id: String,
        /// The entry that states the verdict: of a reconciliation, or a seal.
        required log_index: u64,
        /// When it was recorded.
        required recorded_at: Timestamp,
        /// The verdict.
        required verdict: AuditVerdict,
    }
}

/// Where telling begins: where it was left off, or else at the end of the log; `None` where that cannot be read now. To be
/// asked before anything is served.
pub(crate) async fn begin(app: &App) -> Option<u64> {
    let webhook = app.audit().webhook.clone().filter(|_| app.audit().is_on)?;
    let head = app.read_plain(async |store| store.head().await).await;
    let head = head.inspect_err(|error| tracing::warn!(code = error.code(), "the log could not be read")).ok()?;
    let ledger = app.store().ledger().to_string();
    let kept = aside(move || {
        let Some(path) = &webhook.place else { return Ok(None) };
        let kept = place::read(path, &ledger)?;
        if kept.is_none() {
            place::write(path, &ledger, head.tree_size)?;
        }
        Ok::<_, std::io::Error>(kept)
    });
    match kept.await? {
        // A log that is shorter was put back from a copy.
        Ok(kept) => Some(kept.unwrap_or(head.tree_size).min(head.tree_size)),
        Err(error) => {
            tracing::warn!(cause = %error.kind(), "how far the webhook came cannot be kept");
            None
        }
    }
}

/// Tells, from `next` on, until the server stops.
pub(crate) async fn watch(app: App, mut next: Option<u64>) {
    let Some(webhook) = app.audit().webhook.clone().filter(|_| app.audit().is_on) else { return };
    while next.is_none() {
        if !app.rest(READ_AGAIN).await {
            return;
        }
        next = begin(&app).await;
    }
    let next = next.unwrap_or_default();
    let follower = Follower { poster: Poster::new(webhook.clone()), webhook, next, kept: next, app };
    follower.follow().await;
}

struct Follower {
    app: App,
    webhook: Webhook,
    poster: Poster,
    /// The log index to look at next.
    next: u64,
    /// That one as it was kept last.
    kept: u64,
}

impl Follower {
    async fn follow(mut self) {
        let app = self.app.clone();
        // Subscribed before the first read, so that no commit falls between.
        let mut sizes = app.sizes();
        loop {
            match self.look().await {
                Ok(Looked::Something) => {}
                Ok(Looked::Nothing) => {
                    tokio::select! {
                        changed = sizes.changed() => if changed.is_err() { return },
                        () = app.stopping() => break,
                    }
                    if !app.rest(LOOK_EVERY).await {
                        break;
                    }
                }
                Ok(Looked::Stopped) => break,
                Err(error) => {
                    tracing::warn!(code = error.code(), "what the webhook is to tell could not be read");
                    if !app.rest(READ_AGAIN).await {
                        break;
                    }
                }
            }
        }
        self.keep().await;
    }

    async fn look(&mut self) -> Result<Looked, Error> {
        let from = self.next;
        let events = self.app.read_plain(async move |store| store.events(from, EVENTS_MAX).await).await?;
        if events.is_empty() {
            return Ok(Looked::Nothing);
        }
        for event in events {
            let log_index = event.log_index;
            if let Some(verdict) = self.to_tell(&event).await? {
                if !self.tell(event, verdict).await {
                    return Ok(Looked::Stopped);
                }
                self.next = log_index + 1;
                self.keep().await;
            }
            self.next = log_index + 1;
        }
        if self.next - self.kept >= KEPT_EVERY {
            self.keep().await;
        }
        Ok(Looked::Something)
    }

    /// The verdict that an entry states, where it is one to look into.
    async fn to_tell(&self, event: &LogEvent) -> Result<Option<AuditVerdict>, Error> {
        if ![Kind::Verdict, Kind::Sealed].iter().any(|kind| kind.as_str() == event.kind) {
            return Ok(None);
        }
        let log_index = event.log_index;
        match self.app.read_plain(async move |store| store.verdict_at(log_index).await).await {
            Ok(verdict) => {
                let is_calm = matches!(verdict.status, VerdictStatus::Complete | VerdictStatus::Pending);
                Ok((!is_calm).then_some(verdict))
            }
            // A seal without an audit, or erased since.
            Err(error) if error.code() == Code::EntryNotFound.as_str() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tries until it is confirmed or given up; false where the server stops before.
    async fn tell(&self, event: LogEvent, verdict: AuditVerdict) -> bool {
        let (clock, metrics, tries) = (&self.app.audit().clock, self.app.metrics().webhooks(), self.webhook.tries);
        let event = said(self.app.store().ledger().to_string(), event, verdict);
        let mut tried = 0;
        let cause = loop {
            let (poster, one, now) = (self.poster.clone(), event.clone(), clock.now().as_nanos() / 1_000_000_000);
            let posted = tokio::select! {
                posted = aside(move || poster.post(&one, now)) => posted,
                () = self.app.stopping() => return false,
            };
            tried += 1;
            let cause = match posted {
                Some(Answer::Taken) => {
                    metrics.sent();
                    return true;
                }
                Some(Answer::Refused(status)) => break format!("status {status}"),
                Some(Answer::Again(cause)) => cause,
                None => "no thread".to_owned(),
            };
            if tried >= tries.max {
                break cause;
            }
            metrics.failed();
            if tried == 1 {
                tracing::warn!(event_id = event.id, cause, "a webhook is not confirmed: it is tried again");
            } else {
                tracing::debug!(event_id = event.id, cause, tried, "a webhook is tried again");
            }
            if !self.app.rest(wait(tries, tried, clock)).await {
                return false;
            }
        };
        metrics.failed();
        metrics.dropped();
        tracing::error!(event_id = event.id, cause, tried, "a webhook was dropped");
        true
    }

    async fn keep(&mut self) {
        let (next, ledger) = (self.next, self.app.store().ledger().to_string());
        let Some(path) = self.webhook.place.clone().filter(|_| next != self.kept) else { return };
        match aside(move || place::write(&path, &ledger, next)).await {
            Some(Ok(())) => self.kept = next,
            // What was told is told again after a restart.
            Some(Err(error)) => tracing::warn!(cause = %error.kind(), "how far the webhook came could not be kept"),
            None => {}
        }
    }
}

enum Looked {
    Something,
    Nothing,
    Stopped,
}

fn said(ledger: String, event: LogEvent, verdict: AuditVerdict) -> Event {
    let LogEvent { log_index, run, recorded_at, .. } = event;
    let id = format!("verdict_{ledger}_{log_index}");
    let told = Told { event_id: id.clone(), ledger, run_id: run, log_index, recorded_at, verdict };
    Event { id, body: to_json(&told).as_str().as_bytes().to_vec() }
}

/// How long to wait after so many tries: between half and all of what has doubled each time.
fn wait(tries: Tries, tried: u32, chance: &Source) -> Duration {
    let doubled = tries.first_wait.saturating_mul(1_u32.checked_shl(tried - 1).unwrap_or(u32::MAX));
    let half = doubled.min(tries.wait_max) / 2;
    half + half.mul_f64(f64::from(u16::from_le_bytes(chance.bytes())) / f64::from(u16::MAX))
}

/// Works on a thread of its own: those that reads share are not held up, and a stop does not wait. `None` where there is
/// no thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("webhook".to_owned());
    thread.spawn(move || drop(sender.send(work()))).ok()?;
    receiver.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_never_less_than_half() {
        let (tries, chance) = (Tries::default(), Source::default());
        for (tried, seconds) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (40, 300)] {
            let all = Duration::from_secs(seconds);
            for _ in 0..20 {
                let wait = wait(tries, tried, &chance);
                assert!(wait >= all / 2 && wait <= all, "{wait:?} after {tried} tries");
            }
        }
    }
}
