//! The connection: one server, a cluster, or the primary that sentinels name.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::SingleNodeRoutingInfo;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::{Instant, timeout_at};

use crate::address::{Address, Form};
use crate::error::{is_about_slots, is_broken_connection, is_refusal, may_have_run, refused};
use crate::nodes::examine_all;
use crate::options::{Durability, demand};
use crate::script::Operation;
use crate::server::{Promised, Server};

/// How often a call that may be repeated is sent where connections break.
const TRIES: u32 = 3;
/// How long a call waits before it looks again for the node that has its slot: twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub(crate) enum Link {
    Server(Server),
    Cluster(ClusterConnection),
}

impl Link {
    /// A connection of the runtime that asks. One server is connected to when something is sent, and then asked what it keeps;
    /// a cluster now, each node of which is asked where `promised` is not known yet.
    pub(crate) async fn make(address: &Address, promised: &Promised, timeout: Duration) -> RedisResult<Self> {
        match &address.form {
            Form::One(info) => Ok(Self::Server(Server::itself(address.client(info.clone())?, promised, timeout))),
            Form::Cluster(nodes) => {
                // What it would send again by itself may have run: whether that may be, it does not know.
                let mut client = ClusterClient::builder(nodes.clone())
                    .connection_timeout(timeout)
                    .response_timeout(timeout)
                    .retries(0);
                if let Some(tls) = &address.tls {
                    client = client.certs(tls.clone());
                }
                let mut link = client.build()?.get_async_connection().await?;
                if promised.get().is_none() {
                    let durability = examine_all(&mut link, nodes, address, timeout).await?;
                    promised.get_or_init(|| durability);
                }
                Ok(Self::Cluster(link))
            }
            Form::Watched { sentinels, name, primary } => {
                let tls = address.tls.as_ref();
                Ok(Self::Server(Server::by_sentinels(sentinels, name, primary, tls, promised, timeout)?))
            }
        }
    }

    /// Connects, where it is not. Refused is what may forget what it was told.
    pub(crate) async fn reached(&self) -> RedisResult<()> {
        match self {
            Self::Server(server) => server.reached().await,
            Self::Cluster(_) => Ok(()),
        }
    }

    async fn send(&mut self, command: &Cmd, deadline: Instant) -> RedisResult<Value> {
        match self {
            Self::Server(server) => server.send(command, deadline).await,
            Self::Cluster(link) => within(deadline, command.query_async(link)).await,
        }
    }

    /// Whether another node may be the one to ask by now.
    fn moves(&self) -> bool {
        match self {
            Self::Server(server) => server.fails_over(),
            Self::Cluster(_) => true,
        }
    }

    /// Runs a script, until then altogether. The flag beside an answer says whether an earlier try may have run, whose answer
    /// was lost; beside an error, whether any may have.
    ///
    /// What may have run is sent again only where it may run twice. In a cluster, and behind sentinels, where another
    /// node may be the one to ask by now, that is done for as long as an answer may take; else at once, a few times.
    pub(crate) async fn run(&mut self, call: &Call, deadline: Instant) -> Result<(Value, bool), (RedisError, bool)> {
        let (mut ran, mut tries, mut pause) = (false, 1, PAUSE_MIN);
        loop {
            let error = match self.once(call, deadline).await {
                Ok(value) => return Ok((value, ran)),
                Err(error) => error,
            };
            ran |= may_have_run(&error);
            let (moves, may_again) = (self.moves(), call.operation.is_repeatable || !ran);
            let again = Instant::now() < deadline && may_again && !is_refusal(&error);
            let again = if moves {
                again && (is_about_slots(&error) || is_broken_connection(&error))
            } else {
                again && tries < TRIES && is_broken_connection(&error)
            };
            if !again {
                return Err((error, ran));
            }
            tries += 1;
            if moves {
                tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// A server that restarted, was promoted or flushed its scripts does not know them: it is then sent the text.
    async fn once(&mut self, call: &Call, deadline: Instant) -> RedisResult<Value> {
        match self.send(&call.by_digest(), deadline).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call.by_text(), deadline).await
            }
            Err(error) => match (self, asked_of(&error)) {
                (Self::Cluster(link), Some(node)) => within(deadline, ask_of(link, node, call)).await,
                _ => Err(error),
            },
            answer => answer,
        }
    }
}

/// What a call comes to until then.
pub(crate) async fn within<T>(deadline: Instant, call: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    timeout_at(deadline, call).await.unwrap_or_else(late)
}

/// Asks one server what it is, and what outlives its end.
pub(crate) async fn examine(server: &mut impl ConnectionLike) -> RedisResult<Durability> {
    let mut info = Vec::new();
    for section in ["server", "memory", "persistence"] {
        info.push(redis::cmd("INFO").arg(section).query_async(server).await?);
    }
    let sync = match redis::cmd("CONFIG").arg("GET").arg("appendfsync").query_async(server).await {
        // Where it may not be asked, it is not known to be more than the least.
        Err(error) if error.code().is_some() => Value::Nil,
        answer => answer?,
    };
    demand(&Value::Array(info), &sync).map_err(refused)
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
        let count = 3 + self.keys.len() + self.arguments.len();
        let keys: usize = self.keys.iter().map(String::len).sum();
        let bytes = name.len() + script.len() + keys + self.arguments.iter().map(Vec::len).sum::<usize>();
        let mut command = Cmd::with_capacity(count, bytes + 4);
        command.arg(name).arg(script).arg(self.keys.len()).arg(&self.keys[..]).arg(&self.arguments[..]);
        command
    }

    fn by_digest(&self) -> Cmd {
        self.command("EVALSHA", &self.digest)
    }

    fn by_text(&self) -> Cmd {
        self.command("EVAL", self.operation.text)
    }
}
