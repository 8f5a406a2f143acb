//! The connections of a store: one on each runtime that asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use redis::{RedisResult, Value};
use tokio::runtime::{Handle, Id, Runtime};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracekeep_store::{Code, Error, Result, is_blocked_on};

use crate::address::Address;
use crate::error::{failed, unopened};
use crate::link::{Call, Link, within};
use crate::options::Durability;
use crate::script::Operation;
use crate::server::Promised;

/// Calls work from any thread and any runtime, and each is made where it costs the least.
///
/// A task of a tokio runtime asks over a connection of that runtime, which must have I/O and time enabled. A thread that waits
/// in `block_on` drives a connection itself, and those that come meanwhile are served by whoever drives it: no call waits for
/// another thread to wake up. Any other caller has a thread of the store's own ask.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    /// Driven by the threads that wait; `None` once it is dropped.
    alone: Option<Runtime>,
    /// With a thread of its own, from the first call on that needs it.
    apart: Mutex<Option<Runtime>>,
    thread: &'static str,
    durability: Durability,
    digests: BTreeMap<&'static str, Arc<str>>,
}

struct Shared {
    address: Address,
    timeout: Duration,
    promised: Promised,
    /// The connections, by the runtimes that have asked and are not gone.
    homes: Mutex<HashMap<Id, Home>>,
}

/// The connection of one runtime.
struct Home {
    link: Arc<OnceCell<Link>>,
    /// A task that does nothing: it ends with its runtime.
    anchor: JoinHandle<()>,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.anchor.abort();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let apart = self.apart.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // It may be dropped inside another runtime, which must not be blocked.
        self.alone.take().into_iter().chain(apart).for_each(Runtime::shutdown_background);
    }
}

impl Shared {
    /// The connection of the runtime that asks.
    async fn link(&self) -> RedisResult<Link> {
        let link = {
            let here = Handle::current();
            // A row is put in or taken out whole: a poisoned lock guards whole rows.
            let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(home) = homes.get(&here.id()) {
                Arc::clone(&home.link)
            } else {
                homes.retain(|_, home| !home.anchor.is_finished());
                let home = Home { link: Arc::default(), anchor: here.spawn(std::future::pending()) };
                Arc::clone(&homes.entry(here.id()).or_insert(home).link)
            }
        };
        link.get_or_try_init(|| Link::make(&self.address, &self.promised, self.timeout)).await.cloned()
    }

    async fn run(&self, call: &Call) -> Result<(Value, bool)> {
        let deadline = Instant::now() + self.timeout;
        let mut link = within(deadline, self.link()).await.map_err(|error| failed(error, false))?;
        link.run(call, deadline).await.map_err(|(error, ran)| failed(error, ran))
    }
}

impl Connection {
    /// Opens it for these scripts. Refused is a server that may forget what it was told. `ca`: PEM of the CAs that are trusted
    /// in place of the public ones; `thread`: the name of a thread of its own.
    pub(crate) fn open(
        url: &str,
        ca: Option<&[u8]>,
        timeout: Duration,
        thread: &'static str,
        scripts: &[Operation],
    ) -> Result<Self> {
        let address = Address::read(url, ca)?;
        let is_tls = address.tls.is_some();
        let shared =
            Arc::new(Shared { address, timeout, promised: Arc::new(OnceLock::new()), homes: Mutex::default() });
        let digest = |script: &Operation| Arc::from(redis::Script::new(script.text).get_hash());
        let digests = scripts.iter().map(|script| (script.name, digest(script))).collect();
        let alone = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unstarted)?;
        let reached = async { shared.link().await?.reached().await };
        // It may be opened inside another runtime, where none may be driven.
        let reached = std::thread::scope(|scope| scope.spawn(|| alone.block_on(reached)).join());
        let connection = Self {
            alone: Some(alone),
            apart: Mutex::default(),
            thread,
            durability: shared.promised.get().copied().unwrap_or(Durability::Volatile),
            digests,
            shared,
        };
        match reached {
            Ok(reached) => reached.map(|()| connection).map_err(|error| unopened(error, is_tls)),
            Err(_) => Err(Error::new(Code::Unreachable, "the connection was not opened")),
        }
    }

    pub(crate) fn fails_over(&self) -> bool {
        self.shared.address.fails_over()
    }

    pub(crate) const fn durability(&self) -> Durability {
        self.durability
    }

    /// Runs one of the scripts that it was opened for.
    pub(crate) async fn run(&self, operation: Operation, keys: Vec<String>, arguments: Vec<Vec<u8>>) -> Result<Value> {
        self.run_again(operation, keys, arguments).await.map(|(value, _)| value)
    }

    /// The same, with whether an earlier try may have run, whose answer was lost.
    pub(crate) async fn run_again(
        &self,
        operation: Operation,
        keys: Vec<String>,
        arguments: Vec<Vec<u8>>,
    ) -> Result<(Value, bool)> {
        let digest = self.digests.get(operation.name).cloned();
        let digest = digest.ok_or_else(|| Error::new(Code::StorageFailed, "a script that is not listed"))?;
        let call = Call { operation, digest, keys, arguments };
        match (is_blocked_on(), Handle::try_current(), &self.alone) {
            (true, Err(_), Some(alone)) => alone.block_on(self.shared.run(&call)),
            (false, Ok(_), _) => self.shared.run(&call).await,
            // A thread that waits may be the only one of the runtime around it: that would drive no connection meanwhile.
            _ => {
                let shared = Arc::clone(&self.shared);
                let asked = self.apart()?.spawn(async move { shared.run(&call).await });
                asked.await.map_err(|_| Error::new(Code::CommitUnknown, "the call did not finish"))?
            }
        }
    }

    fn apart(&self) -> Result<Handle> {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*apart {
            return Ok(runtime.handle().clone());
        }
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(1).thread_name(self.thread).enable_all().build().map_err(unstarted)?;
        Ok(apart.insert(runtime).handle().clone())
    }
}

fn unstarted(error: std::io::Error) -> Error {
    Error::new(Code::StorageFailed, "the connection's runtime cannot be started").because(error)
}
