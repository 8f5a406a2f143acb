//! Routes that hold runs, and that erase them.

use axum::http::StatusCode;
use axum::response::Response;
use tracekeep_core::model::{EraseRun, Op, ReleaseHold};
use tracekeep_core::wire::{from_text, to_json};
use tracekeep_store::{Code, Error, GcRequest, gc_with_held};

use super::{json, page, writes};
use crate::body::{self, run_id};
use crate::call::Call;
use crate::params::Params;
use crate::problem::Problem;

/// Why, and on whose word, as the query says it.
fn stated(call: &Call) -> Result<(String, Option<String>), Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let (reason, by) = (params.text("reason"), params.text("by"));
    params.finish()?;
    let reason = reason.ok_or_else(|| Error::new(Code::InvalidParameter, "is required").at("reason"))?;
    Ok((reason, by))
}

pub(crate) async fn erase_run(call: Call) -> Result<Response, Problem> {
    let (reason, by) = stated(&call)?;
    let run_id = run_id(call.part("run_id"))?;
    writes::bodiless(call, Op::EraseRun(EraseRun { run_id, reason, by, redacted: None })).await
}

pub(crate) async fn redact(call: Call) -> Result<Response, Problem> {
    writes::one("redact", call, &["run_id"]).await
}

pub(crate) async fn hold_run(call: Call) -> Result<Response, Problem> {
    writes::one("hold", call, &["run_id"]).await
}

pub(crate) async fn release_run(call: Call) -> Result<Response, Problem> {
    let (reason, by) = stated(&call)?;
    let run_id = Some(run_id(call.part("run_id"))?);
    writes::bodiless(call, Op::ReleaseHold(ReleaseHold { run_id, tag: None, reason, by, redacted: None })).await
}

pub(crate) async fn hold_tag(call: Call) -> Result<Response, Problem> {
    writes::one("hold", call, &["tag"]).await
}

pub(crate) async fn release_tag(call: Call) -> Result<Response, Problem> {
    let (reason, by) = stated(&call)?;
    let tag = Some(call.part("tag").to_owned());
    writes::bodiless(call, Op::ReleaseHold(ReleaseHold { run_id: None, tag, reason, by, redacted: None })).await
}

pub(crate) async fn holds(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let request = params.page()?;
    params.finish()?;
    Ok(page(&call.app.read(async move |store| store.holds(&request).await).await?))
}

pub(crate) async fn gc(call: Call) -> Result<Response, Problem> {
    let app = call.app.clone();
    let mut write = body::write(&app, call.request).await?;
    let request: GcRequest = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    drop(write);
    let held = app.audit().held.clone();
    let report = app.read(async move |store| match held {
        Some(held) => gc_with_held(store, &*held, &request).await,
        None => store.gc(&request).await,
    });
    let report = report.await;
    app.look_again().await;
    Ok(json(StatusCode::OK, &to_json(&report?)))
}
