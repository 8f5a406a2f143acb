//! Watching deadlines: what is overdue is found through its index and judged, without anybody asking.

use std::time::Duration;

use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::model::{Op, Reconcile};
use tracekeep_store::{Batch, Error};

use crate::state::App;

/// Verdicts asked for in one transaction: one run's facts are looked at after another's, and writers wait meanwhile.
const TOGETHER: usize = 8;

impl App {
    /// Asks for the verdict of every run that something is overdue of, a thousand at most, and gives their number.
    ///
    /// Any number of servers may do so at once: a verdict that another has recorded meanwhile is a duplicate.
    ///
    /// # Errors
    /// Where what is due cannot be read. A run whose verdict is refused is left for the next time.
    pub async fn sweep(&self) -> Result<usize, Error> {
        if let Some(held) = &self.audit().held {
            // What cannot be had now is still there at the next look.
            match held.move_held(None).await {
                Ok(0) => {}
                Ok(_) => self.look_again().await,
                Err(error) => {
                    tracing::warn!(code = error.code(), "what is held in front of the ledger could not be moved")
                }
            }
        }
        let now = self.audit().clock.now();
        let due = self.read_plain(async move |store| store.due_runs(now, PAGE_ITEMS_MAX).await).await?;
        let count = due.len();
        for runs in due.chunks(TOGETHER) {
            let verdict = |run_id| Batch::one(Op::Reconcile(Reconcile { run_id }));
            let batches = runs.iter().map(|run| verdict(run.run_id.clone())).collect();
            self.commit_unasked(batches, "a run that is overdue could not be judged").await;
        }
        Ok(count)
    }

    /// Commits what nobody asked for, and says of each batch that is refused what `refusal` says.
    pub(crate) async fn commit_unasked(&self, batches: Vec<Batch>, refusal: &'static str) {
        for refused in self.commit(batches, self.admission().empty()).await.into_iter().filter_map(Result::err) {
            tracing::warn!(code = refused.code(), "{refusal}");
        }
    }

    /// Waits so long; false where the server stops meanwhile.
    pub(crate) async fn rest(&self, so_long: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(so_long) => true,
            () = self.stopping() => false,
        }
    }
}

/// Sweeps again and again, until the server stops.
pub(crate) async fn watch(app: App) {
    let Some(every) = app.audit().sweep_every.filter(|_| app.audit().is_on) else { return };
    while app.rest(every).await {
        if let Err(error) = app.sweep().await {
            tracing::warn!(code = error.code(), "what is overdue could not be read");
        }
    }
}
