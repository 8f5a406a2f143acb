//! What the routes share.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tracekeep_audit::Contract;
use tracekeep_store::gate::GateListener;
use tracekeep_store::{
    AuditStore, Batch, Code, Error, Exported, Exporter, HeldListener, HeldWord, IdempotencyStore, LedgerStore, Receipt,
    Signer, Source, block_on, commit_with_held,
};

use crate::admission::{Admission, Admitted, BundlePlace};
use crate::metrics::Metrics;
use crate::problem::{Problem, ServerCode};
use crate::quiet::SealOptions;
use crate::webhook::Webhook;

/// The ledger behind the routes, with what surrounds it: admission, metrics, and word of new entries.
#[derive(Clone, Debug)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn LedgerStore>,
    gate: Arc<dyn IdempotencyStore>,
    admission: Admission,
    metrics: Arc<Metrics>,
    /// The log's size after the latest commit.
    size: watch::Sender<u64>,
    /// Whether the server is stopping: who follows the log is let go then.
    stopping: watch::Sender<bool>,
    /// Hosts that a browser may name; `None` where any may.
    hosts: Option<Vec<String>>,
    audit: AuditOptions,
    sealing: SealOptions,
    /// What signs the log; `None` where nothing does.
    signer: Option<Arc<Signer>>,
    requires_keys: bool,
}

/// How the server audits.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// Whether the audit's routes answer at all.
    pub is_on: bool,
    /// Contracts by name, to be declared by it.
    pub contracts: BTreeMap<String, Contract>,
    /// How often what is overdue is looked for; never where absent.
    pub sweep_every: Option<Duration>,
    /// The clock that says what is overdue.
    pub clock: Source,
    /// What holds facts in front of the ledger, where something does.
    pub held: Option<Arc<dyn AuditStore>>,
    /// Who is told of verdicts to look into, where somebody is.
    pub webhook: Option<Webhook>,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            is_on: true,
            contracts: BTreeMap::new(),
            sweep_every: None,
            clock: Source::default(),
            held: None,
            webhook: None,
        }
    }
}

impl App {
    /// Puts the routes over a ledger and a gate. `hosts` are the names that requests may come under, for a server on loopback that
    /// asks nobody for a key: a page elsewhere could otherwise reach it under a name of its own.
    #[must_use]
    pub fn new(store: Arc<dyn LedgerStore>, gate: Arc<dyn IdempotencyStore>, hosts: Option<Vec<String>>) -> Self {
        let (size, _) = watch::channel(0);
        let (stopping, _) = watch::channel(false);
        let (admission, metrics) = (Admission::default(), Arc::<Metrics>::default());
        let heard = Arc::clone(&metrics);
        gate.listen(GateListener::new(move |word| heard.gate(word)));
        let (audit, sealing) = (AuditOptions::default(), SealOptions::default());
        Self(Arc::new(Shared {
            store,
            gate,
            admission,
            metrics,
            size,
            stopping,
            hosts,
            audit,
            sealing,
            signer: None,
            requires_keys: false,
        }))
    }

    /// The same, auditing so. To be said before the app is served.
    ///
    /// # Panics
    /// Where the app is shared already.
    #[must_use]
    pub fn auditing(mut self, audit: AuditOptions) -> Self {
        if let Some(held) = &audit.held {
            let (metrics, size) = (Arc::clone(&self.0.metrics), self.0.size.clone());
            held.listen(HeldListener::new(move |word| {
                metrics.held(word);
                if let HeldWord::Moved { tree_size, .. } = word {
                    grown(&size, *tree_size);
                }
            }));
        }
        Arc::get_mut(&mut self.0).expect("invariant: an app is set up before it is shared").audit = audit;
        self
    }

    /// The same, signing with this. To be said before the app is served.
    ///
    /// # Panics
    /// Where the app is shared already.
    #[must_use]
    pub fn signing(mut self, signer: Arc<Signer>) -> Self {
        Arc::get_mut(&mut self.0).expect("invariant: an app is set up before it is shared").signer = Some(signer);
        self
    }

    /// Asks the signer, on the threads that reads have. The first signature writes to the log.
    pub(crate) async fn sign<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Signer) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let none = || Error::new(Code::NotSigning, "this server holds no key, and signs nothing");
        let signer = self.0.signer.clone().ok_or_else(none)?;
        let done = tokio::task::spawn_blocking(move || ask(&signer)).await;
        let done = done.map_err(|_| Problem::new(ServerCode::Internal, "the signature was not finished"))?;
        self.look_again().await;
        Ok(done?)
    }

    /// Exports, one at a time, also where the caller goes away meanwhile: the place is the answer's until it is sent, since
    /// a bundle is held in memory until then.
    pub(crate) async fn export(
        &self,
        make: impl FnOnce(&Exporter) -> Result<Exported, Error> + Send + 'static,
    ) -> Result<(Exported, BundlePlace), Problem> {
        let none = || Error::new(Code::NotSigning, "this server holds no key, and signs nothing");
        let exporter = Exporter::new(Arc::clone(&self.0.store), self.0.signer.clone().ok_or_else(none)?);
        let (app, place) = (self.clone(), self.admission().bundle()?);
        let done = tokio::spawn(async move {
            let done = tokio::task::spawn_blocking(move || Ok((make(&exporter)?, place))).await;
            app.look_again().await;
            done
        });
        let broken = |_| Problem::new(ServerCode::Internal, "the export was not finished");
        let done: Result<_, Error> = done.await.and_then(|done| done).map_err(broken)?;
        Ok(done?)
    }

    /// The same, sealing telemetry so. To be said before the app is served.
    ///
    /// # Panics
    /// Where the app is shared already.
    #[must_use]
    pub fn sealing_telemetry(mut self, sealing: SealOptions) -> Self {
        Arc::get_mut(&mut self.0).expect("invariant: an app is set up before it is shared").sealing = sealing;
        self
    }

    /// The same, refusing writes to the log that name no idempotency key. To be said before the app is served.
    ///
    /// # Panics
    /// Where the app is shared already.
    #[must_use]
    pub fn requiring_idempotency_keys(mut self, requires: bool) -> Self {
        Arc::get_mut(&mut self.0).expect("invariant: an app is set up before it is shared").requires_keys = requires;
        self
    }

    pub(crate) fn requires_keys(&self) -> bool {
        self.0.requires_keys
    }

    pub(crate) fn sealing(&self) -> SealOptions {
        self.0.sealing
    }

    pub(crate) fn audit(&self) -> &AuditOptions {
        &self.0.audit
    }

    pub(crate) fn store(&self) -> &Arc<dyn LedgerStore> {
        &self.0.store
    }

    pub(crate) fn gate(&self) -> &Arc<dyn IdempotencyStore> {
        &self.0.gate
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn sizes(&self) -> watch::Receiver<u64> {
        self.0.size.subscribe()
    }

    /// Done when the server is stopping.
    pub(crate) async fn stopping(&self) {
        // The sender lives as long as the state, so waiting can only end with the word.
        let _ = self.0.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    pub(crate) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    pub(crate) fn knows_host(&self, host: &str) -> bool {
        self.0.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }

    /// Commits (a store prepares its batches as soon as it is asked, and those of many bytes where that keeps no other
    /// connection waiting), counts, and tells those who wait for new entries, also where the caller goes away meanwhile.
    pub(crate) async fn commit(&self, batches: Vec<Batch>, admitted: Admitted) -> Vec<Result<Receipt, Error>> {
        let (app, count) = (self.clone(), batches.len());
        let done = tokio::spawn(async move {
            let is_long = admitted.is_long();
            let store = Arc::clone(&app.0.store);
            let held = app.0.audit.held.clone();
            let commit = async move {
                match held {
                    Some(held) => commit_with_held(&*store, &*held, batches).await,
                    None => store.commit(batches).await,
                }
            };
            let results = if is_long { app.begun_aside(commit).await } else { commit.await };
            app.tell(&results);
            drop(admitted);
            results
        });
        let broken = |_| vec![Err(Error::new(Code::CommitUnknown, "the commit did not finish")); count];
        done.await.unwrap_or_else(broken)
    }

    /// Looks how far the log has come, and tells those who wait for new entries: after what writes by itself.
    pub(crate) async fn look_again(&self) {
        if let Ok(head) = self.read(async |store| store.head().await).await {
            self.grown(head.tree_size);
        }
    }

    fn tell(&self, results: &[Result<Receipt, Error>]) {
        for result in results {
            self.0.metrics.batch(result);
        }
        let latest = results.iter().flatten().map(|receipt| receipt.tree_size).max();
        latest.into_iter().for_each(|latest| self.grown(latest));
    }

    fn grown(&self, latest: u64) {
        grown(&self.0.size, latest);
    }

    /// Reads on the bounded pool of blocking threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        call: impl AsyncFnOnce(&dyn LedgerStore) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = Arc::clone(&self.0.store);
        let done = tokio::task::spawn_blocking(move || block_on(call(&*store))).await;
        let done = done.map_err(|_| Problem::new(ServerCode::Internal, "the read did not finish"))?;
        Ok(done?)
    }

    /// Asks the gate what only reads, on the same threads.
    pub(crate) async fn ask_gate<T: Send + 'static>(
        &self,
        call: impl AsyncFnOnce(&dyn IdempotencyStore) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let gate = Arc::clone(&self.0.gate);
        let done = tokio::task::spawn_blocking(move || block_on(call(&*gate))).await;
        let done = done.map_err(|_| Problem::new(ServerCode::Internal, "the read did not finish"))?;
        Ok(done?)
    }

    /// The same for what answers no request.
    pub(crate) async fn read_plain<T: Send + 'static>(
        &self,
        call: impl AsyncFnOnce(&dyn LedgerStore) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = Arc::clone(&self.0.store);
        let done = tokio::task::spawn_blocking(move || block_on(call(&*store))).await;
        done.unwrap_or_else(|_| Err(Error::new(Code::StorageFailed, "the read did not finish")))
    }

    /// The same future, but that it is polled for the first time by one of the blocking threads.
    async fn begun_aside<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let mut future = Box::pin(future);
        let begun = self.admission().aside(move || {
            let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            (future, polled)
        });
        match begun.await {
            Ok((_, Poll::Ready(done))) => done,
            // Being polled again, it learns whom to wake.
            Ok((future, Poll::Pending)) => future.await,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

fn grown(size: &watch::Sender<u64>, latest: u64) {
    size.send_if_modified(|size| {
        let grew = latest > *size;
        *size = latest.max(*size);
        grew
    });
}
