//! Routes that write: each makes a batch.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use tracekeep_core::json::Json;
use tracekeep_core::model::Op;
use tracekeep_core::wire::to_json;
use tracekeep_store::{Batch, Code, Error, Receipt, Recorded};

use super::json;
use crate::admission::Admitted;
use crate::body;
use crate::call::Call;
use crate::problem::{Problem, object};

pub(crate) async fn batch(call: Call) -> Result<Response, Problem> {
    let mut write = body::write(&call.app, call.request).await?;
    let ops = write.read(body::ops).await?;
    let receipt = commit(&call.app, Batch::of(ops).keyed(write.key), write.admitted).await?;
    Ok(answer(&receipt, &to_json(&receipt)))
}

pub(crate) async fn start_run(call: Call) -> Result<Response, Problem> {
    let (app, contracts) = (call.app.clone(), call.app.clone());
    let mut write = body::write(&app, call.request).await?;
    let ops = write.read(move |bytes| super::audit::start(bytes, &contracts)).await?;
    answer_to_one(&app, Batch::of(ops).keyed(write.key), write.admitted).await
}

pub(crate) async fn record_step(call: Call) -> Result<Response, Problem> {
    one("record_step", call, &["run_id"]).await
}

pub(crate) async fn record_trace(call: Call) -> Result<Response, Problem> {
    one("record_trace", call, &["run_id"]).await
}

pub(crate) async fn end_trace(call: Call) -> Result<Response, Problem> {
    one("end_trace", call, &["run_id", "id"]).await
}

pub(crate) async fn set_baseline(call: Call) -> Result<Response, Problem> {
    one("set_baseline", call, &["name"]).await
}

pub(crate) async fn complete_run(call: Call) -> Result<Response, Problem> {
    one("complete_run", call, &["run_id"]).await
}

/// A route whose path and query say the whole op.
pub(super) async fn bodiless(call: Call, op: Op) -> Result<Response, Problem> {
    let key = body::idempotency_key(call.request.headers())?;
    let admitted = call.app.admission().empty();
    answer_to_one(&call.app, Batch::one(op).keyed(key), admitted).await
}

/// A route that takes one op: the answer is flat, and nothing of the batch around it shows.
pub(super) async fn one(name: &'static str, call: Call, from_path: &[&'static str]) -> Result<Response, Problem> {
    let path: Vec<_> = from_path.iter().map(|name| (*name, call.part(name).to_owned())).collect();
    let mut write = body::write(&call.app, call.request).await?;
    let op = write.read(move |bytes| body::one_op(name, bytes, &path)).await?;
    answer_to_one(&call.app, Batch::one(op).keyed(write.key), write.admitted).await
}

pub(super) async fn answer_to_one(app: &crate::App, batch: Batch, admitted: Admitted) -> Result<Response, Problem> {
    receipt_of(&commit_one(app, batch, admitted).await?)
}

/// Commits a batch of one op: nothing of the batch around it shows.
pub(super) async fn commit_one(app: &crate::App, batch: Batch, admitted: Admitted) -> Result<Receipt, Problem> {
    commit(app, batch, admitted).await.map_err(|problem| problem.strip("/ops/0"))
}

/// The answer for the one op of a batch.
pub(super) fn receipt_of(receipt: &Receipt) -> Result<Response, Problem> {
    let Some(op) = receipt.ops.first() else {
        return Err(Error::new(Code::Corrupt, "the receipt has no op").into());
    };
    let mut members = vec![
        ("outcome", Json::from(receipt.outcome.as_str())),
        ("log_index", Json::from(op.log_index)),
        ("leaf_hash", Json::from(op.leaf_hash.to_string())),
        ("tree_size", Json::from(receipt.tree_size)),
        ("root", Json::from(receipt.root.to_string())),
    ];
    members.extend(op.run_id.as_ref().map(|id| ("run_id", Json::from(id.as_str()))));
    members.extend(op.id.as_ref().map(|id| ("id", Json::from(id.as_str()))));
    Ok(answer(receipt, &object(members)))
}

pub(super) async fn commit(app: &crate::App, batch: Batch, admitted: Admitted) -> Result<Receipt, Problem> {
    let result = app.commit(vec![batch], admitted).await.pop();
    Ok(result.unwrap_or_else(|| Err(Error::new(Code::StorageFailed, "the store gave no answer")))?)
}

pub(super) fn answer(receipt: &Receipt, body: &Json) -> Response {
    let status = if receipt.outcome == Recorded::Recorded { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json(status, body);
    if receipt.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}
