//! Routes of incidents.

use axum::response::Response;
use tracekeep_core::hash::Hash;
use tracekeep_core::id::IncidentId;
use tracekeep_core::wire::{object, to_json};
use tracekeep_store::{Batch, Code, Error, IncidentFilter, IncidentQuery, Order};

use super::reads::order;
use super::writes::{answer, commit_one, one};
use super::{page, view};
use crate::body::{self, run_id};
use crate::call::Call;
use crate::params::Params;
use crate::problem::Problem;

object! {
    /// What became of an incident that was to be opened.
    pub struct IncidentReceipt {
        /// `recorded`, or `duplicate` with the original receipt.
        required outcome: String,
        /// Its id: the one that was sent, or the one that it was given.
        required incident_id: String,
        /// Its entry's log index.
        required log_index: u64,
        /// The hash of its leaf.
        required leaf_hash: Hash,
        /// Entries of the log after the batch.
        required tree_size: u64,
        /// The root at that size.
        required root: Hash,
    }
}

pub(crate) async fn open(call: Call) -> Result<Response, Problem> {
    let mut write = body::write(&call.app, call.request).await?;
    let op = write.read(|bytes| body::one_op("open_incident", bytes, &[])).await?;
    let receipt = commit_one(&call.app, Batch::one(op).keyed(write.key), write.admitted).await?;
    let unnamed = || Error::new(Code::Corrupt, "the receipt names no incident");
    let op = receipt.ops.first().ok_or_else(unnamed)?;
    let told = IncidentReceipt {
        outcome: receipt.outcome.as_str().to_owned(),
        incident_id: op.id.as_ref().ok_or_else(unnamed)?.to_string(),
        log_index: op.log_index,
        leaf_hash: op.leaf_hash,
        tree_size: receipt.tree_size,
        root: receipt.root,
    };
    Ok(answer(&receipt, &to_json(&told)))
}

pub(crate) async fn resolve(call: Call) -> Result<Response, Problem> {
    one("resolve_incident", call, &["incident_id"]).await
}

pub(crate) async fn read(call: Call) -> Result<Response, Problem> {
    let id = incident_id(call.part("incident_id"))?;
    let missing = Error::new(Code::IncidentNotFound, format!("no incident {id} is recorded"));
    let incident = call.app.read(async move |store| store.incident(&id).await).await?;
    Ok(view(&incident.ok_or(missing)?))
}

pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let query = IncidentQuery {
        filter: IncidentFilter {
            status: params.parse("status", "is open or resolved")?,
            severity: params.parse("severity", "is low, medium, high or critical")?,
            run: params.text("run").map(|run| run_id(&run)).transpose()?,
            time: params.range()?,
        },
        order: order(&mut params, Order::Newest)?,
        page: params.page()?,
    };
    params.finish()?;
    Ok(page(&call.app.read(async move |store| store.incidents(&query).await).await?))
}

/// The incident that a path names.
pub(super) fn incident_id(text: &str) -> Result<IncidentId, Problem> {
    IncidentId::new(text).map_err(|invalid| Problem::from(Error::from(invalid.under("/incident_id"))))
}
