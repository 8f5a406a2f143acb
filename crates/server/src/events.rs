//! New entries as server-sent events: who listens sees each entry once, in order, from where they left off.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use tracekeep_core::view::LogEvent;
use tracekeep_core::wire::to_json;
use tracekeep_store::{Code, Error};

use crate::call::Call;
use crate::problem::Problem;
use crate::state::App;

/// Events read at a time.
const EVENTS_MAX: u32 = 200;

pub(crate) async fn events(call: Call) -> Result<Response, Problem> {
    let last = call.request.headers().get("last-event-id").map(|value| {
        let last = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        last.ok_or_else(|| Error::new(Code::InvalidParameter, "is a log index").at("Last-Event-ID"))
    });
    let next = match last.transpose()? {
        Some(last) => last.saturating_add(1),
        None => call.app.read(async |store| store.head().await).await?.tree_size,
    };
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(follow(call.app, next, sender));
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(Followed { receiver, ready: VecDeque::new() }).keep_alive(keep_alive).into_response())
}

/// Reads what comes after `next` and hands it on, until nobody listens any more.
async fn follow(app: App, mut next: u64, sender: tokio::sync::mpsc::Sender<Vec<LogEvent>>) {
    // Subscribed before the first read, so that no commit falls between.
    let mut sizes = app.sizes();
    loop {
        let from = next;
        let Ok(events) = app.read(async move |store| store.events(from, EVENTS_MAX).await).await else { return };
        match events.last() {
            Some(last) => {
                next = last.log_index + 1;
                tokio::select! {
                    sent = sender.send(events) => if sent.is_err() { return },
                    () = app.stopping() => return,
                }
            }
            None => tokio::select! {
                changed = sizes.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
                () = app.stopping() => return,
            },
        }
    }
}

struct Followed {
    receiver: tokio::sync::mpsc::Receiver<Vec<LogEvent>>,
    ready: VecDeque<LogEvent>,
}

impl Stream for Followed {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(sent(&event))));
            }
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(events)) => self.ready = events.into(),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn sent(event: &LogEvent) -> Event {
    Event::default().id(event.log_index.to_string()).data(to_json(event).as_str())
}
