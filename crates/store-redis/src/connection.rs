//! The connection of a store, on a thread of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::runtime::Runtime;
use tracekeep_store::{Code, Error, Result};

use crate::address::Address;
use crate::error::{failed, unopened};
use crate::link::{Call, Link};
use crate::options::Durability;
use crate::script::Operation;

/// Calls work from any thread and any runtime.
pub(crate) struct Connection {
    /// `None` once it is dropped.
    runtime: Option<Runtime>,
    link: Link,
    timeout: Duration,
    durability: Durability,
    fails_over: bool,
    digests: BTreeMap<&'static str, Arc<str>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It may be dropped inside another runtime, which must not be blocked.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Connection {
    /// Opens it on a thread of that name, for these scripts. Refused is a server that may forget what it was told. `ca`: PEM of
    /// the CAs that are trusted in place of the public ones.
    pub(crate) fn open(
        url: &str,
        ca: Option<&[u8]>,
        timeout: Duration,
        thread: &str,
        scripts: &[Operation],
    ) -> Result<Self> {
        let address = Address::read(url, ca)?;
        let (fails_over, is_tls) = (address.fails_over(), address.tls.is_some());
        let threads =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(thread).enable_all().build();
        let runtime = threads.map_err(|error| {
            Error::new(Code::StorageFailed, "the connection's thread cannot be started").because(error)
        })?;
        let (told, opened) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            // Nobody may be waiting any more.
            let _ = told.send(Link::open(&address, timeout).await);
        });
        let opened = opened.recv().map_err(|_| Error::new(Code::Unreachable, "the connection was not opened"));
        match opened.and_then(|opened| opened.map_err(|error| unopened(error, is_tls))) {
            Ok((link, durability)) => {
                let digest = |script: &Operation| Arc::from(redis::Script::new(script.text).get_hash());
                let digests = scripts.iter().map(|script| (script.name, digest(script))).collect();
                Ok(Self { runtime: Some(runtime), link, timeout, durability, fails_over, digests })
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    pub(crate) const fn fails_over(&self) -> bool {
        self.fails_over
    }

    pub(crate) const fn durability(&self) -> Durability {
        self.durability
    }

    /// Runs one of the scripts that it was opened for.
    pub(crate) async fn run(&self, operation: Operation, keys: Vec<String>, arguments: Vec<Vec<u8>>) -> Result<Value> {
        let digest = self.digests.get(operation.name).cloned();
        let digest = digest.ok_or_else(|| Error::new(Code::StorageFailed, "a script that is not listed"))?;
        let call = Call { operation, digest, keys, arguments };
        let Some(runtime) = &self.runtime else { return Err(Error::new(Code::Closed, "the store is closed")) };
        let (mut link, timeout) = (self.link.clone(), self.timeout);
        // The caller may wait on any executor, and may stop waiting: the call goes on where its connection lives.
        let answer = runtime.spawn(async move { link.run(&call, timeout).await }).await;
        let lost = |_| Error::new(Code::CommitUnknown, "the call did not finish");
        answer.map_err(lost)?.map_err(|(error, ran)| failed(error, ran))
    }
}
