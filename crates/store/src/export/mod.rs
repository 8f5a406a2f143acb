//! Exports: bundles of evidence, gathered from a ledger at one signed size (docs/format/bundle.md).

mod compared;
mod gather;
mod meanwhile;
mod period;
mod pinned;
mod records;
mod request;
mod select;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use pinned::PinnedBundles;
pub use request::{ExportOf, ExportRequest};
pub use store::{ExportBundleStore, IncidentSnapshot, RunSnapshot, RunSummarySnapshot, StepSnapshot};
use tracekeep_core::hash::{Hash, sha256};
use tracekeep_core::model::{Op, RecordExport};
use tracekeep_evidence::bundle::{self, BuildError};

use crate::{Batch, Code, Error, LedgerStore, Result, Signer};

/// Whose a ledger is unless told.
pub const TENANT: &str = "default";

/// A bundle, and what it is of.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The zip.
    pub bundle: Vec<u8>,
    /// Entries of the log that it is a function of.
    pub size: u64,
    /// SHA-256 of the zip.
    pub sha256: Hash,
    /// The log index of the entry that says that it was handed out: at or above `size`.
    pub log_index: u64,
}

/// A bundle, and whether something is missing that its kind requires.
struct Built {
    bundle: Vec<u8>,
    forced: bool,
}

/// What is told while a bundle is made: what is being done, and how much of it.
pub type Progress<'a> = dyn Fn(&str, u64) + 'a;

/// Makes bundles, in the process that signs.
#[derive(Clone, Debug)]
pub struct Exporter {
    ledger: Arc<dyn LedgerStore>,
    signer: Arc<Signer>,
    tenant_id: String,
}

impl Exporter {
    /// Exports from `ledger`, signed by `signer`; the tenant is `default`.
    #[must_use]
    pub fn new(ledger: Arc<dyn LedgerStore>, signer: Arc<Signer>) -> Self {
        Self { ledger, signer, tenant_id: TENANT.to_owned() }
    }

    /// The same of a named tenant.
    #[must_use]
    pub fn of_tenant(self, tenant_id: impl Into<String>) -> Self {
        Self { tenant_id: tenant_id.into(), ..self }
    }

    /// Makes a bundle, and states in the log that it was handed out: who, what, when. The same of the same size by the same
    /// name is the same, byte for byte, unless something was erased or redacted since: of it, or of a run that it is compared
    /// with.
    ///
    /// # Errors
    /// `incident_not_found`, `run_not_found`, `run_erased`, `step_not_found`, `trace_not_found`, `entry_not_found` for a size
    /// that the log never had; `invalid_parameter` for a request that contradicts itself, or a size below the first signing;
    /// `bundle_incomplete`, with what is missing, unless it is forced; `too_large`; `busy` where something is redacted of its runs whenever it is made; why
    /// nothing is signed; failures of the storage.
    pub fn export(&self, of: &ExportOf, request: &ExportRequest, progress: &Progress<'_>) -> Result<Exported> {
        self.export_to(of, request, progress, |_| Ok(()))
    }

    /// The same, put where it is to be by `put`, before the log states that it was handed out: where that fails, nothing is
    /// stated.
    ///
    /// # Errors
    /// As [`Self::export`]; what `put` fails with.
    pub fn export_to<E: From<Error>>(
        &self,
        of: &ExportOf,
        request: &ExportRequest,
        progress: &Progress<'_>,
        put: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<Exported, E> {
        request.check(of)?;
        // By one key, whether the size is the head or an earlier one: the same bytes either way.
        let size = match request.at {
            Some(size) => size,
            None => self.signer.checkpoint()?.checkpoint.size,
        };
        if let Some(since) = request.since.filter(|since| *since > size) {
            let detail = format!("{since} is above the size that is exported, {size}");
            return Err(Error::new(Code::InvalidParameter, detail).at("since").into());
        }
        let (incident_id, run_id, period) = match of {
            ExportOf::Incident(id) => (Some(id.clone()), None, request.period),
            ExportOf::Run(id) => (None, Some(id.clone()), request.period),
            ExportOf::Period(period) => (None, None, Some(*period)),
        };
        let said = RecordExport {
            export_id: None,
            incident_id,
            run_id,
            period,
            kind: request.kind,
            size,
            by: request.by.clone(),
            options: Some(request.asked()),
            forced: None,
            bundle_sha256: None,
        };
        // What cannot be stated is not handed out.
        Op::RecordExport(said.clone()).check().map_err(|invalid| Error::from(invalid).strip("/options"))?;
        let Built { bundle, forced } =
            meanwhile::until_undisturbed(&*self.ledger, || self.built(of, request, size, progress))?;
        let sha256 = sha256(&[&bundle]);
        put(&bundle)?;
        let op = Op::RecordExport(RecordExport { forced: Some(forced), bundle_sha256: Some(sha256), ..said });
        let answer = self.ledger.commit_blocking(vec![Batch::one(op)]).pop();
        let unanswered = || Err(Error::new(Code::StorageFailed, "the ledger gave no answer for a batch"));
        let receipt = answer.unwrap_or_else(unanswered).map_err(|error| error.strip("/ops/0"))?;
        let log_index = receipt.ops.first().map_or(size, |op| op.log_index);
        Ok(Exported { bundle, size, sha256, log_index })
    }

    /// The bundle, and the runs of which it shows more than leaves. It is forced only where something is missing: a whole one
    /// is the same whether that was allowed or not.
    fn built(
        &self,
        of: &ExportOf,
        request: &ExportRequest,
        size: u64,
        progress: &Progress<'_>,
    ) -> Result<(Built, BTreeSet<String>)> {
        let signed = self.signer.checkpoint_at(size).map_err(|error| match error.path() {
            Some("size") => error.at("at"),
            _ => error,
        })?;
        let build = |forced| {
            let asked = ExportRequest { force: forced, ..request.clone() };
            let contents = gather::contents(&*self.ledger, of, &asked, &self.tenant_id, signed.clone(), progress)?;
            progress("signing", contents.records.len() as u64);
            let shown = contents.records.iter().filter(|record| record.left.is_some());
            let runs = shown.map(|record| record.run.clone()).collect();
            let built = self.signer.with_key_at(size, |key| bundle::build(&contents, key))?;
            Ok::<_, Error>(built.map(|bundle| (Built { bundle, forced }, runs)))
        };
        match build(false)? {
            Err(BuildError::Incomplete(_)) if request.force => build(true)?.map_err(refused),
            Err(BuildError::Incomplete(missing))
                if request.period.is_some() && missing.contains(&"period".to_owned()) =>
            {
                let detail = "what its kind requires is missing: no entry of a run was recorded in the period";
                Err(Error::new(Code::BundleIncomplete, detail))
            }
            built => built.map_err(refused),
        }
    }
}

fn refused(error: BuildError) -> Error {
    match error {
        BuildError::Incomplete(missing) => {
            Error::new(Code::BundleIncomplete, format!("what its kind requires is missing: {}", missing.join(", ")))
        }
        BuildError::TooLarge => {
            let detail = "the bundle would have more than 1 GiB: show fewer of the steps and traces";
            tracekeep_core::Invalid::new(tracekeep_core::InvalidCode::TooLarge, "", detail).into()
        }
        other => Error::new(Code::Corrupt, other.to_string()),
    }
}
