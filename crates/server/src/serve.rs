//! Listening and serving, until told to stop; then every request under way is finished.

use std::future::Future;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::routes::router;
use crate::state::App;

/// A listener that has its address.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds an address; port 0 picks a free one.
///
/// # Errors
/// What the system says.
pub async fn bind(address: &str) -> std::io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
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
        let names = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        self.address.ip().is_loopback().then(|| names.into())
    }

    /// Serves `app` until `stop` is done, then finishes what is under way.
    ///
    /// # Errors
    /// What the system says.
    pub async fn serve(self, app: App, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        let stopping = app.clone();
        let stop = async move {
            stop.await;
            stopping.stop();
        };
        axum::serve(self.listener, router(app)).with_graceful_shutdown(stop).await
    }
}
