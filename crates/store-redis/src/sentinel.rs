//! The primary that sentinels name, and the next one after a failover.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo, RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;

/// How such an address begins: sentinels parted by commas, then the name of what they watch.
pub(crate) const SENTINEL: &str = "redis+sentinel://";

/// A connection to the primary, made anew where it breaks or turns out to be a replica.
#[derive(Clone)]
pub(crate) struct Watched {
    timeout: Duration,
    sentinels: Arc<Mutex<SentinelClient>>,
    /// The connection with its number: whoever finds it broken takes it away, and no later one.
    current: Arc<Mutex<(u64, Option<MultiplexedConnection>)>>,
}

impl Watched {
    /// `[user:password@]host:port,host:port/name[/db]`: user, password and db are the primary's.
    pub(crate) async fn open(address: &str, timeout: Duration) -> RedisResult<Self> {
        let wrong = || RedisError::from((ErrorKind::InvalidClientConfig, "redis+sentinel://host:port,host:port/name"));
        let (login, places) = address.rsplit_once('@').map_or(("", address), |(login, places)| (login, places));
        let (hosts, path) = places.split_once('/').ok_or_else(wrong)?;
        let (name, db) = path.split_once('/').unwrap_or((path, "0"));
        if name.is_empty() || hosts.is_empty() {
            return Err(wrong());
        }
        let sentinels = hosts.split(',').map(|host| format!("redis://{host}")).collect();
        let at = if login.is_empty() { "" } else { "@" };
        let primary = format!("redis://{login}{at}primary/{db}").into_connection_info()?;
        let node = SentinelNodeConnectionInfo::default().set_redis_connection_info(primary.redis_settings().clone());
        let client = SentinelClient::build(sentinels, name.to_owned(), Some(node), SentinelServerType::Master)?;
        let watched = Self { timeout, sentinels: Arc::new(Mutex::new(client)), current: Arc::default() };
        watched.connection().await?;
        Ok(watched)
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut current = self.current.lock().await;
        if let (number, Some(connection)) = &*current {
            return Ok((*number, connection.clone()));
        }
        let nobody = |_| never_sent("the sentinels did not answer in time");
        let asked = async { self.sentinels.lock().await.async_get_client().await };
        let client: Client = tokio::time::timeout(self.timeout, asked).await.map_err(nobody)?.map_err(unnamed)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(unnamed)?;
        let number = current.0 + 1;
        *current = (number, Some(connection.clone()));
        Ok((number, connection))
    }

    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let (number, mut connection) = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        let is_replica = |error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if answer.as_ref().is_err_and(|error| error.is_io_error() || is_replica(error)) {
            let mut current = self.current.lock().await;
            if current.0 == number {
                current.1 = None;
            }
        }
        answer
    }
}

/// No primary could be reached: nothing was sent.
fn unnamed(error: RedisError) -> RedisError {
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => error,
        _ => never_sent("no primary is named by the sentinels, or it does not answer"),
    }
}

fn never_sent(detail: &'static str) -> RedisError {
    RedisError::from((ErrorKind::ClusterConnectionNotFound, detail))
}
