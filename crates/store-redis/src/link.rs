//! The connection: one server, or a cluster.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use crate::error::{is_broken_connection, may_have_run};
use crate::script::Operation;

/// How the address of a cluster begins; its nodes follow, parted by commas.
const CLUSTER: &str = "redis+cluster://";
/// How often a call that may be repeated is sent where connections break.
const TRIES: u32 = 3;

#[derive(Clone)]
pub(crate) enum Link {
    One(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Link {
    pub(crate) async fn open(url: &str, timeout: Duration) -> RedisResult<Self> {
        if let Some(nodes) = url.strip_prefix(CLUSTER) {
            let nodes = nodes.split(',').map(|node| format!("redis://{node}"));
            let client = ClusterClient::builder(nodes).connection_timeout(timeout).response_timeout(timeout).retries(3);
            return Ok(Self::Cluster(client.build()?.get_async_connection().await?));
        }
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(timeout))
            .set_connection_timeout(Some(timeout))
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_millis(100));
        Ok(Self::One(ConnectionManager::new_with_config(redis::Client::open(url)?, config).await?))
    }

    pub(crate) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(link) => command.query_async(link).await,
            Self::Cluster(link) => command.query_async(link).await,
        }
    }

    /// Runs a script. The flag beside an error says whether it may have run, now or in an earlier try.
    pub(crate) async fn run(&mut self, call: &Call) -> Result<Value, (RedisError, bool)> {
        let (mut ran, mut tries) = (false, 1);
        loop {
            let error = match self.once(call).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            ran |= may_have_run(&error);
            if tries >= TRIES || !is_broken_connection(&error) || ran && !call.operation.is_repeatable {
                return Err((error, ran));
            }
            tries += 1;
        }
    }

    /// A server that restarted, was promoted or flushed its scripts does not know them: it is then sent the text.
    async fn once(&mut self, call: &Call) -> RedisResult<Value> {
        match self.send(&call.by_digest()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call.by_text()).await
            }
            answer => answer,
        }
    }
}

/// A script with what it is given.
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) digest: std::sync::Arc<str>,
    pub(crate) keys: [String; 2],
    pub(crate) arguments: Vec<Vec<u8>>,
}

impl Call {
    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys[..]).arg(&self.arguments[..]);
        command
    }

    fn by_digest(&self) -> Cmd {
        self.command("EVALSHA", &self.digest)
    }

    fn by_text(&self) -> Cmd {
        self.command("EVAL", self.operation.text)
    }
}
