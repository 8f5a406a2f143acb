//! The connection: one server, a cluster, or the primary that sentinels name.

use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::SingleNodeRoutingInfo;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use crate::error::{is_about_slots, is_broken_connection, may_have_run};
use crate::script::Operation;
use crate::sentinel::{SENTINEL, Watched};

/// How the address of a cluster begins; its nodes follow, parted by commas.
const CLUSTER: &str = "redis+cluster://";
/// How often a call that may be repeated is sent where connections break.
const TRIES: u32 = 3;
/// How long a call waits before it looks again for the node that has its slot: twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub(crate) enum Link {
    One(ConnectionManager),
    Cluster(ClusterConnection),
    Watched(Watched),
}

impl Link {
    pub(crate) async fn open(url: &str, timeout: Duration) -> RedisResult<Self> {
        if let Some(nodes) = url.strip_prefix(CLUSTER) {
            let nodes = nodes.split(',').map(|node| format!("redis://{node}"));
            // What it would send again by itself may have run: whether that may be, it does not know.
            let client = ClusterClient::builder(nodes).connection_timeout(timeout).response_timeout(timeout).retries(0);
            return Ok(Self::Cluster(client.build()?.get_async_connection().await?));
        }
        if let Some(address) = url.strip_prefix(SENTINEL) {
            return Ok(Self::Watched(Watched::open(address, timeout).await?));
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
            Self::Watched(link) => link.send(command).await,
        }
    }

    /// Runs a script. The flag beside an error says whether it may have run, now or in an earlier try.
    ///
    /// What may have run is sent again only where it may run twice. In a cluster, and behind sentinels, where another
    /// node may be the one to ask by now, that is done for as long as an answer may take; else at once, a few times.
    pub(crate) async fn run(&mut self, call: &Call, timeout: Duration) -> Result<Value, (RedisError, bool)> {
        let (begun, mut ran, mut tries, mut pause) = (Instant::now(), false, 1, PAUSE_MIN);
        loop {
            let error = match self.once(call).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            ran |= may_have_run(&error);
            let (moves, may_again) = (!matches!(self, Self::One(_)), call.operation.is_repeatable || !ran);
            let again = if moves {
                begun.elapsed() < timeout && may_again && (is_about_slots(&error) || is_broken_connection(&error))
            } else {
                tries < TRIES && may_again && is_broken_connection(&error)
            };
            if !again {
                return Err((error, ran));
            }
            tries += 1;
            if moves {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// A server that restarted, was promoted or flushed its scripts does not know them: it is then sent the text.
    async fn once(&mut self, call: &Call) -> RedisResult<Value> {
        match self.send(&call.by_digest()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call.by_text()).await
            }
            Err(error) => match (self, asked_of(&error)) {
                (Self::Cluster(link), Some(node)) => ask_of(link, node, call).await,
                _ => Err(error),
            },
            answer => answer,
        }
    }
}

/// The node that has a key of a slot that is on its way to it.
fn asked_of(error: &RedisError) -> Option<SingleNodeRoutingInfo> {
    if error.kind() != ErrorKind::Server(ServerErrorKind::Ask) {
        return None;
    }
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
}

async fn ask_of(link: &mut ClusterConnection, node: SingleNodeRoutingInfo, call: &Call) -> RedisResult<Value> {
    let mut both = redis::pipe();
    both.cmd("ASKING").add_command(call.by_text());
    let mut answers = link.route_pipeline(both, 1, 1, node).await?;
    answers.pop().unwrap_or(Value::Nil).extract_error()
}

/// A script with what it is given.
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) digest: std::sync::Arc<str>,
    pub(crate) keys: Vec<String>,
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
