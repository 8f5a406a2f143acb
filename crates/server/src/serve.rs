//! Listening and serving, until told to stop; then every request under way is finished.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::routes::router;
use crate::stall::Stalling;
use crate::state::App;

/// A listener that has its address.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    limits: ConnectionLimits,
}

/// What connections may take. docs/limits.md says the defaults.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections that are open at once; more wait until one ends.
    pub open_max: usize,
    /// How long the head of a request may take to arrive, from the end of the one before.
    pub head: Duration,
    /// How long a client may take nothing of its answer.
    pub stall: Duration,
    /// How long what is under way may take after the word to stop.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            open_max: 1_024,
            head: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// How long to wait where the system has no room for another connection.
const NO_ROOM_SECONDS: u64 = 1;

/// Binds an address; port 0 picks a free one.
///
/// # Errors
/// What the system says.
pub async fn bind(address: &str) -> io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address, limits: ConnectionLimits::default() })
}

impl Bound {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host names under which a server on loopback is asked for.
    #[must_use]
    pub fn loopback_hosts(&self) -> Option<Vec<String>> {
        let own = match self.address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let names = ["localhost", "127.0.0.1", "[::1]", &own].map(str::to_owned);
        self.address.ip().is_loopback().then(|| names.into())
    }

    /// The same under other limits.
    #[must_use]
    pub const fn within(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves `app` until `stop` is done, then finishes what is under way; what takes too long is cut off.
    pub async fn serve(self, app: App, stop: impl Future<Output = ()> + Send) {
        let Self { listener, limits, .. } = self;
        let router = router(app.clone());
        let mut open = JoinSet::new();
        let from = crate::webhook::begin(&app).await;
        let telling = tokio::spawn(crate::webhook::watch(app.clone(), from));
        let watching = tokio::spawn(crate::sweep::watch(app.clone()));
        let sealing = tokio::spawn(crate::quiet::watch(app.clone()));
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = stop.as_mut() => break,
                Some(_) = open.join_next() => {}
                accepted = listener.accept(), if open.len() < limits.open_max => match accepted {
                    Ok((stream, _)) => drop(open.spawn(converse(stream, router.clone(), app.clone(), limits))),
                    Err(error) if is_of_the_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be accepted");
                        tokio::time::sleep(Duration::from_secs(NO_ROOM_SECONDS)).await;
                    }
                },
            }
        }
        drop(listener);
        app.stop();
        let ended = async {
            while open.join_next().await.is_some() {}
            drop((watching.await, sealing.await, telling.await));
        };
        if tokio::time::timeout(limits.drain, ended).await.is_err() {
            tracing::warn!("some connections did not end in time and are cut off");
        }
    }
}

/// Answers the requests of one connection, until it ends or the server stops.
async fn converse(stream: TcpStream, router: Router, app: App, limits: ConnectionLimits) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let stream = TokioIo::new(Stalling::new(stream, limits.stall));
    let mut connection = pin!(http.serve_connection(stream, TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Whether only the connection that was to be accepted is lost.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_limits_says_what_connections_may_take() {
        let page = include_str!("../../../docs/limits.md");
        let limits = ConnectionLimits::default();
        assert_eq!(limits.open_max, 1_024);
        assert!(page.contains("1,024 connections"));
        assert!(page.contains(&format!("a request has {} s", limits.head.as_secs())));
        assert!(page.contains(&format!("nothing of its answer for {} s", limits.stall.as_secs())));
        assert!(page.contains(&format!("a body has {} s", crate::body::BODY_SECONDS_MAX)));
    }
}
