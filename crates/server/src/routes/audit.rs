//! Routes of the audit contract.

use axum::http::StatusCode;
use axum::response::Response;
use tracekeep_audit::standard_contract;
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::json::{self, Object, Value};
use tracekeep_core::limits::{BATCH_OPS_MAX, PAGE_ITEMS_DEFAULT};
use tracekeep_core::model::{ClearAudit, Op, Reconcile};
use tracekeep_core::wire::{Path, refuse_rest, take_optional, to_json};
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_store::{Batch, Page};

use super::writes::{answer, commit, one, receipt_of};
use super::{page, view};
use crate::body::{self, run_id};
use crate::call::Call;
use crate::params::Params;
use crate::problem::{Problem, ServerCode};

/// Refuses every route of the audit where it is switched off.
fn demand_on(call: &Call) -> Result<(), Problem> {
    if call.app.audit().is_on {
        return Ok(());
    }
    Err(Problem::new(ServerCode::AuditOff, "the audit is switched off here: TRACEKEEP_AUDIT=off"))
}

pub(crate) async fn expect(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let (run_id, app) = (run_id(call.part("run_id"))?, call.app.clone());
    let mut write = body::write(&call.app, call.request).await?;
    let contracts = app.clone();
    let ops = write.read(move |bytes| expectations(bytes, &run_id, &contracts)).await?;
    let receipt = commit(&app, Batch { ops, key: write.key }, write.admitted).await?;
    Ok(answer(&receipt, &to_json(&receipt)))
}

/// Reads {"expectations": […]} or {"contract": NAME}.
fn expectations(bytes: &[u8], run_id: &RunId, app: &crate::App) -> Result<Vec<Op>, Problem> {
    let refuse = |path: &str, code, detail: &str| Problem::from(Invalid::new(code, path, detail));
    let Value::Object(mut object) = json::parse_around(bytes, 2).map_err(Invalid::from)? else {
        return Err(refuse("", InvalidCode::InvalidMember, "must be an object with expectations, or a contract"));
    };
    let contract: Option<String> = take_optional(&mut object, "contract", &Path::ROOT)?;
    let listed = object.take("expectations");
    refuse_rest(&object, &Path::ROOT)?;
    match (contract, listed) {
        (Some(name), None) => {
            let known = app.audit().contracts.get(&name);
            let terms = known.cloned().or_else(|| standard_contract(&name));
            let unknown = || Problem::new(ServerCode::ContractNotFound, "no contract of that name is configured");
            Ok(terms.ok_or_else(unknown)?.expectations(run_id).into_iter().map(Op::Expect).collect())
        }
        (None, Some(Value::Array(items))) => {
            if items.is_empty() || items.len() > BATCH_OPS_MAX as usize {
                return Err(refuse("/expectations", InvalidCode::TooMany, "are 1 to 1,000"));
            }
            let items = items.into_iter().enumerate();
            items
                .map(|(place, item)| {
                    let at = format!("/expectations/{place}");
                    expectation(item, run_id).map_err(|invalid| Problem::from(invalid.under(&at)))
                })
                .collect()
        }
        (None, Some(_)) => Err(refuse("/expectations", InvalidCode::InvalidMember, "must be an array")),
        (Some(_), Some(_)) => Err(refuse("/contract", InvalidCode::InvalidMember, "stands alone")),
        (None, None) => Err(refuse("/expectations", InvalidCode::MissingMember, "is required, or contract")),
    }
}

fn expectation(item: Value<'_>, run_id: &RunId) -> Result<Op, Invalid> {
    let Value::Object(object) = item else {
        return Err(Invalid::new(InvalidCode::InvalidMember, "", "must be an object"));
    };
    if object.get("run_id").is_some() || object.get("op").is_some() {
        let detail = "neither op nor run_id is a member here: the route says them";
        return Err(Invalid::new(InvalidCode::UnknownMember, "", detail));
    }
    let mut members = object.into_members();
    members.push(("run_id".into(), Value::String(run_id.as_str().to_owned().into())));
    let object = Object::from_members(members)
        .map_err(|name| Invalid::new(InvalidCode::DuplicateName, format!("/{name}"), "is named twice"))?;
    Op::read_members("expect", object)?.unreceived()
}

pub(crate) async fn list_expectations(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let mut params = Params::new(call.request.uri().query())?;
    let wanted = params.page()?;
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    Ok(page(&call.app.read(async move |store| store.expectations(&run_id, &wanted).await).await?))
}

pub(crate) async fn ack(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    one("ack", call, &["run_id"]).await
}

pub(crate) async fn list_acks(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let mut params = Params::new(call.request.uri().query())?;
    let wanted = params.page()?;
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    Ok(page(&call.app.read(async move |store| store.acks(&run_id, &wanted).await).await?))
}

pub(crate) async fn set_status(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    one("set_expectation_status", call, &["run_id"]).await
}

pub(crate) async fn audit(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    Params::new(call.request.uri().query())?.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    Ok(view(&call.app.read(async move |store| store.audit(&run_id).await).await?))
}

pub(crate) async fn reconcile(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let (run_id, app) = (run_id(call.part("run_id"))?, call.app.clone());
    let write = body::bare(&call.app, call.request).await?;
    let receipt =
        commit(&app, Batch { ops: vec![Op::Reconcile(Reconcile { run_id })], key: write.key }, write.admitted).await;
    let receipt = receipt.map_err(|problem| problem.strip("/ops/0"))?;
    let log_index = receipt.ops.first().map_or(0, |op| op.log_index);
    let verdict = app.read(async move |store| store.verdict_at(log_index).await).await?;
    let mut response = answer(&receipt, &to_json(&verdict));
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

pub(crate) async fn clear(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let (run_id, app) = (run_id(call.part("run_id"))?, call.app.clone());
    let write = body::bare(&call.app, call.request).await?;
    let receipt =
        commit(&app, Batch { ops: vec![Op::ClearAudit(ClearAudit::new(run_id))], key: write.key }, write.admitted)
            .await;
    let receipt = receipt.map_err(|problem| problem.strip("/ops/0"))?;
    let mut response = receipt_of(&receipt)?;
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

pub(crate) async fn pending(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let mut params = Params::new(call.request.uri().query())?;
    let wanted = params.page()?;
    params.finish()?;
    Ok(page(&call.app.read(async move |store| store.pending_runs(&wanted).await).await?))
}

pub(crate) async fn due(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let mut params = Params::new(call.request.uri().query())?;
    let before = params.parse::<Timestamp>("before", "is RFC 3339")?;
    let limit = params.parse("limit", "is a number of runs, 1 to 1,000")?.unwrap_or(PAGE_ITEMS_DEFAULT);
    params.finish()?;
    let before = before.unwrap_or_else(|| call.app.audit().clock.now());
    let items = call.app.read(async move |store| store.due_runs(before, limit).await).await?;
    Ok(page(&Page::of(items, None)))
}
