//! One server: by its address, or the primary that sentinels name and the next one after a failover.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ErrorKind, RedisConnectionInfo, RedisError, RedisResult,
    ServerErrorKind, TlsCertificates, TlsMode, Value,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tracekeep_store::{Code, Error};

use crate::error::{is_broken_connection, is_refusal, never_sent, refused, why_unreached};
use crate::link::{examine, within};
use crate::options::Durability;

/// How long a server that is itself named is let be before it is connected to once more.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

/// A connection to the server, made anew where it breaks, or where a primary turns out to be a replica: once, for all who wait
/// for it. Each is asked what its server keeps before anything is sent over it.
#[derive(Clone)]
pub(crate) struct Server(Arc<Shared>);

struct Shared {
    timeout: Duration,
    named: Named,
    state: Mutex<State>,
    /// Connections so far.
    count: AtomicU64,
    promised: Promised,
}

/// What the first connection's server promised: one that promises less does not follow it. It is so for all connections of a
/// store.
pub(crate) type Promised = Arc<OnceLock<Durability>>;

enum Named {
    Itself(redis::Client),
    BySentinels(tokio::sync::Mutex<SentinelClient>),
}

/// A connection with its number: whoever finds it broken takes it away, and no later one.
type Numbered = (u64, MultiplexedConnection);
type Outcome = Option<RedisResult<Numbered>>;

enum State {
    Apart,
    /// Somebody is at it: what comes of it is told to all.
    Connecting(watch::Receiver<Outcome>),
    Connected(Numbered),
}

enum Attempt {
    Connected(Numbered),
    Joined(watch::Receiver<Outcome>),
    Begun(watch::Receiver<Outcome>),
}

impl Server {
    /// The server that the client is for. It is connected to when something is sent.
    pub(crate) fn itself(client: redis::Client, promised: &Promised, timeout: Duration) -> Self {
        Self::of(Named::Itself(client), promised, timeout)
    }

    /// The primary that these sentinels name. They are asked when something is sent.
    pub(crate) fn by_sentinels(
        sentinels: &[ConnectionAddr],
        name: &str,
        primary: &RedisConnectionInfo,
        tls: Option<&TlsCertificates>,
        promised: &Promised,
        timeout: Duration,
    ) -> RedisResult<Self> {
        let mut client = SentinelClientBuilder::new(sentinels.to_vec(), name, SentinelServerType::Master)?
            .set_client_to_redis_db(primary.db());
        if let Some(user) = primary.username() {
            client = client.set_client_to_redis_username(user);
        }
        if let Some(password) = primary.password() {
            client = client.set_client_to_redis_password(password);
        }
        if let Some(tls) = tls {
            client = client
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(tls.clone())
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(tls.clone());
        }
        Ok(Self::of(Named::BySentinels(tokio::sync::Mutex::new(client.build()?)), promised, timeout))
    }

    fn of(named: Named, promised: &Promised, timeout: Duration) -> Self {
        let (state, count) = (Mutex::new(State::Apart), AtomicU64::new(0));
        Self(Arc::new(Shared { timeout, named, state, count, promised: Arc::clone(promised) }))
    }

    /// Whether another server may take its place.
    pub(crate) fn fails_over(&self) -> bool {
        matches!(self.0.named, Named::BySentinels(_))
    }

    /// Connects, where it is not. What the server keeps is then known.
    pub(crate) async fn reached(&self) -> RedisResult<()> {
        self.connection().await.map(drop)
    }

    /// A state is replaced whole: a poisoned lock guards one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The failure of an attempt that began before the call is not the call's own: nobody may have driven it since. One that
    /// began later is.
    async fn connection(&self) -> RedisResult<Numbered> {
        match self.attempt() {
            Attempt::Connected(connection) => Ok(connection),
            Attempt::Begun(outcome) => told(outcome).await,
            Attempt::Joined(outcome) => match told(outcome).await {
                Ok(connection) => Ok(connection),
                Err(_) => match self.attempt() {
                    Attempt::Connected(connection) => Ok(connection),
                    Attempt::Begun(outcome) | Attempt::Joined(outcome) => told(outcome).await,
                },
            },
        }
    }

    /// The connection, or the attempt to make it, which is begun where nobody is at it.
    fn attempt(&self) -> Attempt {
        let mut state = self.state();
        match &*state {
            State::Connected(connection) => Attempt::Connected(connection.clone()),
            State::Connecting(outcome) if outcome.has_changed().is_ok() => Attempt::Joined(outcome.clone()),
            State::Connecting(_) | State::Apart => {
                let (told, outcome) = watch::channel(None);
                *state = State::Connecting(outcome.clone());
                tokio::spawn(self.clone().connect(told));
                Attempt::Begun(outcome)
            }
        }
    }

    async fn connect(self, told: watch::Sender<Outcome>) {
        let reached = within(Instant::now() + self.0.timeout, self.reach_again()).await;
        *self.state() = match &reached {
            Ok(connection) => State::Connected(connection.clone()),
            Err(_) => State::Apart,
        };
        told.send_replace(Some(reached));
    }

    /// A server that has just ended may be back soon; who sends behind sentinels comes again anyway.
    async fn reach_again(&self) -> RedisResult<Numbered> {
        for pause in PAUSES {
            match self.reach().await {
                Err(error) if !self.fails_over() && is_broken_connection(&error) && !is_refusal(&error) => {
                    tokio::time::sleep(pause).await;
                }
                reached => return reached,
            }
        }
        self.reach().await
    }

    async fn reach(&self) -> RedisResult<Numbered> {
        let client = match &self.0.named {
            Named::Itself(client) => client.clone(),
            Named::BySentinels(sentinels) => sentinels.lock().await.async_get_client().await.map_err(unnamed)?,
        };
        // How long an answer may take is for the call to say.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let durability = examine(&mut connection).await?;
        if durability < *self.0.promised.get_or_init(|| durability) {
            let detail = if self.fails_over() {
                "another primary was promoted that keeps less than the first: set its appendonly and appendfsync alike"
            } else {
                "the server keeps less than when it was first connected to: set its appendonly and appendfsync as they were"
            };
            return Err(refused(Error::new(Code::UnsafeStore, detail)));
        }
        Ok((self.0.count.fetch_add(1, Ordering::Relaxed), connection))
    }

    pub(crate) async fn send(&self, command: &Cmd, deadline: Instant) -> RedisResult<Value> {
        let (number, mut connection) = within(deadline, self.connection()).await.map_err(|error| self.unmade(error))?;
        let answer = within(deadline, command.query_async(&mut connection)).await;
        let is_replica =
            |error: &RedisError| self.fails_over() && error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if answer.as_ref().is_err_and(|error| error.is_io_error() || is_replica(error)) {
            let mut state = self.state();
            if matches!(&*state, State::Connected((current, _)) if *current == number) {
                *state = State::Apart;
            }
        }
        answer
    }

    /// The failure of a connection that was not made: nothing was sent over it.
    fn unmade(&self, error: RedisError) -> RedisError {
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::ClusterConnectionNotFound => {
                error
            }
            _ if is_refusal(&error) || error.code().is_some() => error,
            _ if self.fails_over() => unnamed(error),
            _ => never_sent(why_unreached(&error).unwrap_or("no connection could be made")),
        }
    }
}

/// What came of an attempt.
async fn told(mut outcome: watch::Receiver<Outcome>) -> RedisResult<Numbered> {
    let told = outcome.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
    told.unwrap_or_else(|| Err(never_sent("the attempt to connect was given up")))
}

/// No primary could be reached: nothing was sent.
fn unnamed(error: RedisError) -> RedisError {
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => error,
        _ if is_refusal(&error) => error,
        _ => never_sent("no primary is named by the sentinels, or it does not answer"),
    }
}
