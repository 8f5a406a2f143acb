//! Sealing telemetry: a run whose root span has ended and of which nothing came for a while is sealed as it stands, and again
//! after late spans.

use std::time::Duration;

use tracekeep_core::id::RunId;
use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::model::{FinalStatus, Op, RunStatus, SealRun, TraceStatus};
use tracekeep_core::view::UnsealedRun;
use tracekeep_store::{Batch, Error, LedgerStore, Order, PageRequest, TraceFilter, TraceQuery};

use crate::state::App;

/// Seals in one transaction: each is over all of its run's steps, and writers wait meanwhile.
const TOGETHER: usize = 8;

/// When a server seals telemetry.
#[derive(Clone, Copy, Debug)]
pub struct SealOptions {
    /// How long nothing must have come.
    pub quiet: Duration,
    /// How often it is looked for; never where absent.
    pub every: Option<Duration>,
}

impl Default for SealOptions {
    fn default() -> Self {
        Self { quiet: Duration::from_secs(30), every: None }
    }
}

impl App {
    /// Seals telemetry that has been quiet for long enough, a thousand runs at most, and gives their number.
    ///
    /// A run that a caller completed keeps its status; else it failed if a root of it did. Any number of servers may do so at
    /// once: the number of the seal makes the second one a duplicate.
    ///
    /// # Errors
    /// Where what is quiet cannot be read. A run whose seal is refused is left for the next time.
    pub async fn seal_quiet(&self) -> Result<usize, Error> {
        let quiet = i64::try_from(self.sealing().quiet.as_nanos()).unwrap_or(i64::MAX);
        let before = self.audit().clock.now().saturating_add(-quiet);
        let runs = self.read_plain(async move |store| store.unsealed_runs(before, PAGE_ITEMS_MAX).await).await?;
        let count = runs.len();
        for runs in runs.chunks(TOGETHER) {
            let runs = runs.to_vec();
            let seals = self.read_plain(async move |store| Ok(seals(store, runs).await)).await?;
            let batches = seals.into_iter().map(|seal| Batch::one(Op::SealRun(seal))).collect();
            self.commit_unasked(batches, "a quiet run could not be sealed").await;
        }
        Ok(count)
    }
}

async fn seals(store: &dyn LedgerStore, runs: Vec<UnsealedRun>) -> Vec<SealRun> {
    let mut seals = Vec::with_capacity(runs.len());
    for UnsealedRun { run_id, seals: n, status, completed, root_ended_at, .. } in runs {
        let status = match status {
            RunStatus::Completed if completed => FinalStatus::Completed,
            RunStatus::Failed if completed => FinalStatus::Failed,
            RunStatus::Aborted if completed => FinalStatus::Aborted,
            _ => match has_failed(store, &run_id).await {
                Ok(true) => FinalStatus::Failed,
                Ok(false) => FinalStatus::Completed,
                Err(error) => {
                    tracing::warn!(code = error.code(), "a quiet run could not be read");
                    continue;
                }
            },
        };
        seals.push(SealRun { run_id, n, status, completed_at: Some(root_ended_at) });
    }
    seals
}

/// Whether a root of the run states an error.
async fn has_failed(store: &dyn LedgerStore, run_id: &RunId) -> Result<bool, Error> {
    let filter = TraceFilter { roots: true, status: Some(TraceStatus::Error), ..TraceFilter::default() };
    let mut query = TraceQuery { filter, order: Order::Oldest, page: PageRequest::first(1) };
    loop {
        let page = store.traces(run_id, &query).await?;
        if !page.items.is_empty() {
            return Ok(true);
        }
        // A page may end at its budget of rows before it found any.
        let Some(cursor) = page.next_cursor else { return Ok(false) };
        query.page.cursor = Some(cursor);
    }
}

/// Looks again and again, until the server stops.
pub(crate) async fn watch(app: App) {
    let Some(every) = app.sealing().every else { return };
    while app.rest(every).await {
        if let Err(error) = app.seal_quiet().await {
            tracing::warn!(code = error.code(), "what is quiet could not be read");
        }
    }
}
