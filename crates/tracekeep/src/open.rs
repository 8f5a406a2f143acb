//! The front door.

use std::path::Path;
use std::sync::Arc;

use tracekeep_core::id::RunId;
use tracekeep_store::{
    AuditStore, Batch, Error, Exporter, IdempotencyStore, KeyStore, LedgerAudit, LedgerStore, MemoryIdempotencyStore,
    MemoryKeys, MemoryLedger, PinnedBundles, Receipt, Report, Result, Signer, StoreDurabilityMode, block_on,
};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::audit::Audit;
use crate::batch::BatchBuilder;
use crate::idempotency::IdempotencyGate;
use crate::incidents::Incidents;
use crate::replay::Replay;
use crate::runs::RunStore;
use crate::signing::KeyFolder;
use crate::traces::TraceStore;
use tracekeep_store::export::TENANT;

/// A ledger and its handles: cheap to clone, to be shared between threads.
///
/// The last clone's drop drains what is queued and closes the ledger.
#[derive(Clone, Debug)]
pub struct Tracekeep {
    ledger: Arc<dyn LedgerStore>,
    gate: Arc<dyn IdempotencyStore>,
    durability: StoreDurabilityMode,
    signer: Arc<Signer>,
    /// What holds facts of audits in front of the ledger.
    audit: Option<Arc<dyn AuditStore>>,
}

impl Tracekeep {
    /// Opens the ledger in a SQLite file for writing, and makes it where there is none.
    ///
    /// # Errors
    /// `ledger_locked` where another process writes to it; `not_a_ledger`, `newer_format`, `read_only`,
    /// `storage_failed`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// The same, otherwise than by default: with rules for what is taken out at the door, say.
    ///
    /// ```
    /// use tracekeep::{Options, Redaction, StartRun, Tracekeep};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("runs.db");
    /// let tracekeep = Tracekeep::open_with(path, Options { redact: Redaction::well_known(), ..Options::default() })?;
    /// let goal = Some("log in with password=hunter2".to_owned());
    /// let run = tracekeep.runs().start_run(StartRun { goal, ..StartRun::default() })?;
    /// let run = tracekeep.runs().get_run(&run)?.expect("it was just recorded");
    /// assert_eq!(run.goal.as_deref(), Some("log in with password=[redacted:field]"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tracekeep::open`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let ledger = Arc::new(SqliteLedger::open(path, options)?);
        let durability = StoreDurabilityMode::Sqlite;
        let keys = Arc::new(KeyFolder::beside(ledger.path()));
        let signer = Arc::new(Signer::new(Arc::clone(&ledger) as Arc<dyn LedgerStore>, keys));
        Ok(Self { ledger: Arc::clone(&ledger) as Arc<dyn LedgerStore>, gate: ledger, durability, signer, audit: None })
    }

    /// A ledger in memory, gone with its last clone: for tests.
    #[must_use]
    pub fn open_in_memory() -> Self {
        Self::over(Arc::new(MemoryLedger::default()))
    }

    /// The handles over any ledger. Its gate is in memory until [`with_gate`](Self::with_gate) gives another. A ledger that
    /// lasts longer than the process is not signed until [`with_keys`](Self::with_keys) gives keys that do (`key_missing`).
    #[must_use]
    pub fn over(ledger: Arc<dyn LedgerStore>) -> Self {
        let (gate, durability) = (Arc::new(MemoryIdempotencyStore::default()), ledger.durability_mode());
        let signer = Arc::new(Signer::new(Arc::clone(&ledger), Arc::new(MemoryKeys::default())));
        Self { ledger, gate, durability, signer, audit: None }
    }

    /// The same with facts of audits held in front of the ledger: completing a run puts what is held of it into the same
    /// batch, before the seal.
    #[must_use]
    pub fn with_audit(self, audit: Arc<dyn AuditStore>) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// The same with other keys to sign with.
    #[must_use]
    pub fn with_keys(self, keys: Arc<dyn KeyStore>) -> Self {
        Self { signer: Arc::new(Signer::new(Arc::clone(&self.ledger), keys)), ..self }
    }

    /// The same with another gate.
    #[must_use]
    pub fn with_gate(self, gate: Arc<dyn IdempotencyStore>) -> Self {
        Self { gate, ..self }
    }

    /// The ledger itself.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn LedgerStore> {
        &self.ledger
    }

    /// Runs and their steps.
    #[must_use]
    pub fn runs(&self) -> RunStore {
        RunStore { audit: self.audit.clone(), ..RunStore::new(Arc::clone(&self.ledger)) }
    }

    /// Reasoning traces.
    #[must_use]
    pub fn traces(&self) -> TraceStore {
        TraceStore::new(Arc::clone(&self.ledger))
    }

    /// The gate for effects of a caller's own: in the ledger's file, where it was opened from one.
    #[must_use]
    pub fn idempotency(&self) -> IdempotencyGate {
        IdempotencyGate::new(Arc::clone(&self.gate))
    }

    /// A replay of a run from its record, in a session of its own.
    #[must_use]
    pub fn replay(&self, run_id: &RunId) -> Replay {
        Replay::new(Arc::clone(&self.ledger), self.idempotency(), run_id.clone())
    }

    /// What should happen in runs, and word of what did.
    #[must_use]
    pub fn audit(&self) -> Audit {
        let in_the_ledger = || Arc::new(LedgerAudit::new(Arc::clone(&self.ledger), self.durability));
        Audit::new(self.audit.clone().unwrap_or_else(|| in_the_ledger()))
    }

    /// What went wrong, and how it ended.
    #[must_use]
    pub fn incidents(&self) -> Incidents {
        Incidents::new(Arc::clone(&self.ledger))
    }

    /// What signs the log's checkpoints: with a key beside the ledger's file; of a ledger in memory, with one in memory.
    ///
    /// ```
    /// use tracekeep::{Checkpoint, StartRun, Tracekeep};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("runs.db");
    /// let tracekeep = Tracekeep::open(path)?;
    /// tracekeep.runs().start_run(StartRun::default())?;
    /// let signed = tracekeep.signer().checkpoint()?;
    /// // The run, and the declaration of the key that the first signature made.
    /// assert_eq!(signed.checkpoint.size, 2);
    ///
    /// let key = tracekeep.signer().declared()?.expect("it signed").key.parse()?;
    /// let origin = Checkpoint::origin_of(tracekeep.ledger().ledger());
    /// assert_eq!(Checkpoint::open(signed.note.to_string().as_bytes(), &origin, &[key])?, signed.checkpoint);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// What an export reads, of the ledger as it is now: what is written later is not seen.
    ///
    /// ```
    /// use tracekeep::{ExportBundleStore, StartRun, Tracekeep};
    ///
    /// let tracekeep = Tracekeep::open_in_memory();
    /// let run = tracekeep.runs().start_run(StartRun { goal: Some("find flights".into()), ..StartRun::default() })?;
    /// let bundles = tracekeep.export_bundles()?;
    /// let later = tracekeep.runs().start_run(StartRun::default())?;
    ///
    /// let known = bundles.get_run(&run)?.expect("it was there");
    /// assert_eq!((known.goal.as_deref(), known.tenant_id.as_str()), (Some("find flights"), "default"));
    /// assert_eq!(bundles.get_run(&later)?, None);
    /// # Ok::<(), tracekeep::Error>(())
    /// ```
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn export_bundles(&self) -> Result<PinnedBundles> {
        PinnedBundles::now(Arc::clone(&self.ledger), TENANT)
    }

    /// Makes bundles of evidence.
    #[must_use]
    pub fn exporter(&self) -> Exporter {
        Exporter::new(Arc::clone(&self.ledger), Arc::clone(&self.signer))
    }

    /// Compares the log with every index over it. What is wrong is a finding of the report.
    ///
    /// # Errors
    /// Failures of the storage.
    pub fn verify_indices(&self) -> Result<Report> {
        block_on(self.ledger.verify_indices(None))
    }

    /// Rebuilds every index from the log, in one transaction: the same answers and cursors. Writers wait.
    ///
    /// # Errors
    /// `corrupt` where the log cannot be walked to its end; `read_only`. Nothing is changed then.
    pub fn rebuild_indices(&self) -> Result<Report> {
        block_on(self.ledger.rebuild_indices(None))
    }

    /// Several ops on a run, all or nothing.
    pub fn batch(&self, run_id: &RunId) -> BatchBuilder {
        BatchBuilder::new(Arc::clone(&self.ledger), run_id.clone())
    }
}

/// Commits one batch on the calling thread.
pub(crate) fn commit(ledger: &Arc<dyn LedgerStore>, batch: Batch) -> Result<Receipt> {
    ledger.commit_blocking(vec![batch]).pop().unwrap_or_else(|| Err(no_answer()))
}

pub(crate) fn no_answer() -> Error {
    Error::new(tracekeep_store::Code::StorageFailed, "the ledger gave no answer for a batch")
}
