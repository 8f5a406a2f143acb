//! Listening and serving, until told to stop; then every request under way is finished.

use std::future::{Future, IntoFuture};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;

use crate::routes::router;
use crate::state::App;

/// A listener that has its address.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    drain: Duration,
}

/// How long what is under way may take after the word to stop.
const DRAIN_SECONDS_MAX: u64 = 10;

/// Binds an address; port 0 picks a free one.
///
/// # Errors
/// What the system says.
pub async fn bind(address: &str) -> std::io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address, drain: Duration::from_secs(DRAIN_SECONDS_MAX) })
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

    /// The same, with `time` instead of 10 s to finish what is under way after the word to stop.
    #[must_use]
    pub const fn drain_within(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// Serves `app` until `stop` is done, then finishes what is under way; what takes longer than 10 s is cut off.
    ///
    /// # Errors
    /// What the system says.
    pub async fn serve(self, app: App, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        let stopping = app.clone();
        let stop = async move {
            stop.await;
            stopping.stop();
        };
        let late = app.clone();
        let late = async move {
            late.stopping().await;
            tokio::time::sleep(self.drain).await;
        };
        tokio::select! {
            served = axum::serve(self.listener, router(app)).with_graceful_shutdown(stop).into_future() => served,
            () = late => {
                tracing::warn!("some connections did not end in time and are cut off");
                Ok(())
            }
        }
    }
}
