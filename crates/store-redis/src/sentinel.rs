//! The primary that sentinels name, and the next one after a failover.

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
use tokio::time::{Instant, timeout_at};
use tracekeep_store::{Code, Error};

use crate::error::{is_refusal, refused};
use crate::link::{examine, within};
use crate::options::Durability;

/// A connection to the primary, made anew where it breaks or turns out to be a replica: once, for all who wait for it.
#[derive(Clone)]
pub(crate) struct Watched(Arc<Shared>);

struct Shared {
    timeout: Duration,
    sentinels: tokio::sync::Mutex<SentinelClient>,
    state: Mutex<State>,
    /// Connections so far.
    count: AtomicU64,
    /// What the first primary promised: one that promises less does not follow it.
    promised: OnceLock<Durability>,
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

impl Watched {
    pub(crate) async fn open(
        sentinels: &[ConnectionAddr],
        name: &str,
        primary: RedisConnectionInfo,
        tls: Option<&TlsCertificates>,
        timeout: Duration,
    ) -> RedisResult<(Self, Durability)> {
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
        let watched = Self(Arc::new(Shared {
            timeout,
            sentinels: tokio::sync::Mutex::new(client.build()?),
            state: Mutex::new(State::Apart),
            count: AtomicU64::new(0),
            promised: OnceLock::new(),
        }));
        watched.connection().await?;
        let promised = watched.0.promised.get().copied().unwrap_or(Durability::Volatile);
        Ok((watched, promised))
    }

    /// A state is replaced whole: a poisoned lock guards one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self) -> RedisResult<Numbered> {
        let mut outcome = {
            let mut state = self.state();
            match &*state {
                State::Connected(connection) => return Ok(connection.clone()),
                State::Connecting(outcome) if outcome.has_changed().is_ok() => outcome.clone(),
                State::Connecting(_) | State::Apart => {
                    let (told, outcome) = watch::channel(None);
                    *state = State::Connecting(outcome.clone());
                    tokio::spawn(self.clone().connect(told));
                    outcome
                }
            }
        };
        let told = outcome.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        told.unwrap_or_else(|| Err(never_sent("the sentinels could not be asked")))
    }

    async fn connect(self, told: watch::Sender<Outcome>) {
        let late = |_| Err(never_sent("the sentinels or the primary did not answer in time"));
        let reached = timeout_at(Instant::now() + self.0.timeout, self.reach()).await.unwrap_or_else(late);
        *self.state() = match &reached {
            Ok(connection) => State::Connected(connection.clone()),
            Err(_) => State::Apart,
        };
        told.send_replace(Some(reached));
    }

    async fn reach(&self) -> RedisResult<Numbered> {
        let client = self.0.sentinels.lock().await.async_get_client().await.map_err(unnamed)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.0.timeout))
            .set_response_timeout(Some(self.0.timeout));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(unnamed)?;
        let durability = examine(&mut connection).await.map_err(unnamed)?;
        if durability < *self.0.promised.get_or_init(|| durability) {
            let detail =
                "another primary was promoted that keeps less than the first: set its appendonly and appendfsync alike";
            return Err(refused(Error::new(Code::UnsafeStore, detail)));
        }
        Ok((self.0.count.fetch_add(1, Ordering::Relaxed), connection))
    }

    pub(crate) async fn send(&self, command: &Cmd, deadline: Instant) -> RedisResult<Value> {
        let late = |_| Err(never_sent("the sentinels or the primary did not answer in time"));
        let (number, mut connection) = timeout_at(deadline, self.connection()).await.unwrap_or_else(late)?;
        let answer = within(deadline, command.query_async(&mut connection)).await;
        let is_replica = |error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if answer.as_ref().is_err_and(|error| error.is_io_error() || is_replica(error)) {
            let mut state = self.state();
            if matches!(&*state, State::Connected((current, _)) if *current == number) {
                *state = State::Apart;
            }
        }
        answer
    }
}

/// No primary could be reached: nothing was sent.
fn unnamed(error: RedisError) -> RedisError {
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => error,
        _ if is_refusal(&error) => error,
        _ => never_sent("no primary is named by the sentinels, or it does not answer"),
    }
}

fn never_sent(detail: &'static str) -> RedisError {
    RedisError::from((ErrorKind::ClusterConnectionNotFound, detail))
}
