//! Routes that read the log itself.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracekeep_core::id::TraceId;
use tracekeep_core::json::Json;
use tracekeep_core::limits::{PAGE_ITEMS_DEFAULT, PROVED_MAX};
use tracekeep_core::view::MultiproofOf;
use tracekeep_core::wire::from_text;
use tracekeep_store::{Code, Error, Page};

use super::{json, page, view};
use crate::body::{self, run_id};
use crate::call::Call;
use crate::params::Params;
use crate::problem::{Problem, object};

const A_LOG_INDEX: &str = "is a log index";
const A_SIZE: &str = "is a number of entries";

pub(crate) async fn head(call: Call) -> Result<Response, Problem> {
    let ledger = call.app.store().ledger();
    let head = call.app.read(async move |store| store.head().await).await?;
    let members = [
        ("ledger", Json::from(ledger.to_string())),
        ("tree_size", Json::from(head.tree_size)),
        ("root", Json::from(head.root.to_string())),
    ];
    Ok(json(StatusCode::OK, &object(members)))
}

pub(crate) async fn entries(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let from = params.parse("from", A_LOG_INDEX)?.unwrap_or(0u64);
    let limit = params.parse("limit", "is a number of entries, 1 to 1,000")?.unwrap_or(PAGE_ITEMS_DEFAULT);
    params.finish()?;
    let items = call.app.read(async move |store| store.entries(from, limit).await).await?;
    Ok(page(&Page::of(items, None)))
}

pub(crate) async fn run_entries(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let request = params.page()?;
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    Ok(page(&call.app.read(async move |store| store.run_entries(&run_id, &request).await).await?))
}

pub(crate) async fn checkpoint(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let size: Option<u64> = params.parse("size", A_SIZE)?;
    params.finish()?;
    let signed =
        call.app.sign(move |signer| size.map_or_else(|| signer.checkpoint(), |size| signer.checkpoint_at(size)));
    Ok(signed.await?.note.to_string().into_response())
}

pub(crate) async fn key(call: Call) -> Result<Response, Problem> {
    // The first question for the key makes it, as the first signature does.
    let key = call.app.sign(|signer| signer.with_key(|key| key.public().to_string())).await?;
    Ok(format!("{key}\n").into_response())
}

pub(crate) async fn keys(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let request = params.page()?;
    params.finish()?;
    Ok(page(&call.app.read(async move |store| store.signing_keys(&request).await).await?))
}

pub(crate) async fn handover(call: Call) -> Result<Response, Problem> {
    let log_index = log_index(&call)?;
    Ok(view(&call.app.sign(move |signer| signer.handover(log_index)).await?))
}

fn log_index(call: &Call) -> Result<u64, Problem> {
    let log_index = call.part("log_index").parse::<u64>();
    Ok(log_index.map_err(|_| Error::new(Code::InvalidParameter, A_LOG_INDEX).at("log_index"))?)
}

pub(crate) async fn proof(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let size = params.parse("size", A_SIZE)?;
    let format = params.text("format");
    params.finish()?;
    let log_index = log_index(&call)?;
    match format.as_deref() {
        None => {}
        Some("tlog-proof") => {
            let proof = call.app.sign(move |signer| signer.tlog_proof(log_index, size)).await?;
            return Ok(proof.to_string().into_response());
        }
        Some(_) => return Err(Error::new(Code::InvalidParameter, "is tlog-proof, or absent").at("format").into()),
    }
    Ok(view(&call.app.read(async move |store| store.inclusion(log_index, size).await).await?))
}

pub(crate) async fn witness(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let from =
        params.parse("from", A_SIZE)?.ok_or_else(|| Error::new(Code::InvalidParameter, "is required").at("from"))?;
    params.finish()?;
    Ok(call.app.sign(move |signer| signer.witness_request(from)).await?.to_string().into_response())
}

pub(crate) async fn run_proof(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let step: Option<u32> = params.parse("step", "is the index of a step")?;
    let trace = params.text("trace");
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    let trace =
        trace.map(|id| TraceId::new(&id).map_err(|invalid| Problem::from(invalid.under("trace")))).transpose()?;
    let proof = call.app.sign(move |signer| match (step, trace) {
        (None, None) => signer.prove_run(&run_id),
        (Some(step), None) => signer.prove_step(&run_id, step),
        (None, Some(id)) => signer.prove_trace(&run_id, &id),
        (Some(_), Some(_)) => Err(Error::new(Code::InvalidParameter, "stands in the place of step").at("trace")),
    });
    Ok(view(&proof.await?))
}

pub(crate) async fn multiproof(call: Call) -> Result<Response, Problem> {
    let app = call.app.clone();
    let mut form = body::write(&app, call.request).await?;
    let asked: MultiproofOf = form.read(|bytes| Ok(from_text(bytes)?)).await?;
    if asked.indices.len() > PROVED_MAX as usize {
        let detail = format!("at most {PROVED_MAX} entries are proved at once");
        return Err(Error::new(Code::InvalidParameter, detail).at("indices").into());
    }
    let proof = app.read(async move |store| store.multiproof(&asked.indices, asked.size).await).await;
    drop(form);
    Ok(view(&proof?))
}

pub(crate) async fn consistency(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let from =
        params.parse("from", A_SIZE)?.ok_or_else(|| Error::new(Code::InvalidParameter, "is required").at("from"))?;
    let to = params.parse("to", A_SIZE)?;
    params.finish()?;
    Ok(view(&call.app.read(async move |store| store.consistency(from, to).await).await?))
}
