//! Routes of the audit contract.

use axum::http::StatusCode;
use axum::response::Response;
use tracekeep_audit::standard_contract;
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::json::{self, Json, Object, Value};
use tracekeep_core::limits::{BATCH_OPS_MAX, PAGE_ITEMS_DEFAULT};
use tracekeep_core::model::{ClearAudit, Op, Reconcile};
use tracekeep_core::wire::{Path, refuse_rest, take_optional, to_json};
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_store::{Batch, Noted, Page, PageRequest, ParkedFact, Recorded};

use super::writes::{answer, answer_to_one, commit, one, receipt_of};
use super::{json as json_of, page, view};
use crate::body::{self, run_id};
use crate::call::Call;
use crate::params::Params;
use crate::problem::{Problem, ServerCode, object};

/// Refuses every route of the audit where it is switched off.
fn demand_on(call: &Call) -> Result<(), Problem> {
    if call.app.audit().is_on {
        return Ok(());
    }
    Err(Problem::new(ServerCode::AuditOff, "the audit is switched off here: TRACEKEEP_AUDIT=off"))
}

/// Moves what is held of a run in front of the ledger, before it is looked at.
async fn moved(app: &crate::App, run_id: &RunId) -> Result<(), Problem> {
    if let Some(held) = &app.audit().held {
        match held.load_from_redis(run_id).await {
            Ok(false) => {}
            Ok(true) => app.look_again().await,
            // Of an unknown or erased run the look itself says so.
            Err(error) if matches!(error.code(), "run_not_found" | "too_many") => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Moves what is held of any run, a thousand at most.
async fn all_moved(app: &crate::App) -> Result<(), Problem> {
    if let Some(held) = &app.audit().held {
        held.move_held(Some(Timestamp::MAX)).await?;
        app.look_again().await;
    }
    Ok(())
}

/// What is held in front of the ledger, where a write without a key goes: a key's place is the ledger.
fn held(app: &crate::App, write: &body::Write) -> Option<std::sync::Arc<dyn tracekeep_store::AuditStore>> {
    app.audit().held.clone().filter(|_| write.key.is_none())
}

/// The answer for facts that are no entries yet.
fn answer_noted(noted: &Noted, body: &Json) -> Response {
    let status = if noted.outcome == Recorded::Recorded { StatusCode::CREATED } else { StatusCode::OK };
    json_of(status, body)
}

/// The answer for one of them.
fn answer_one(noted: &Noted) -> Response {
    let mut members = vec![("outcome", Json::from(noted.outcome.as_str()))];
    let id = noted.facts.first().and_then(|fact| fact.id.as_ref());
    members.extend(id.map(|id| ("id", Json::from(id.as_str()))));
    answer_noted(noted, &object(members))
}

/// Of which run a page of a list is asked for, and which page.
fn asked(call: &Call) -> Result<(RunId, PageRequest), Problem> {
    demand_on(call)?;
    let mut params = Params::new(call.request.uri().query())?;
    let wanted = params.page()?;
    params.finish()?;
    Ok((run_id(call.part("run_id"))?, wanted))
}

pub(crate) async fn expect(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let (run_id, app) = (run_id(call.part("run_id"))?, call.app.clone());
    let mut write = body::write(&call.app, call.request).await?;
    let contracts = app.clone();
    let ops = write.read(move |bytes| expectations(bytes, &run_id, &contracts)).await?;
    if let Some(held) = held(&app, &write) {
        let expected = ops.into_iter().filter_map(|op| if let Op::Expect(op) = op { Some(op) } else { None });
        let noted = held.add_expectations(expected.collect()).await.map_err(|error| listed(error.into()))?;
        return Ok(answer_noted(&noted, &to_json(&noted)));
    }
    let receipt = commit(&app, Batch::of(ops).keyed(write.key), write.admitted).await.map_err(listed)?;
    Ok(answer(&receipt, &to_json(&receipt)))
}

/// A refusal of what was listed, in the request's own words: nothing of the batch around it shows.
fn listed(problem: Problem) -> Problem {
    let Some(path) = problem.error().path().and_then(|path| path.strip_prefix("/ops/")) else { return problem };
    let path = if path.ends_with("/run_id") { "/run_id".to_owned() } else { format!("/expectations/{path}") };
    problem.at(path)
}

/// What a contract of the configuration, or a usual one, expects of a run.
fn declared(name: &str, run_id: &RunId, app: &crate::App) -> Result<impl Iterator<Item = Op>, Problem> {
    let known = app.audit().contracts.get(name);
    let terms = known.cloned().or_else(|| standard_contract(name));
    let unknown = || Problem::new(ServerCode::ContractNotFound, "no contract of that name is configured");
    Ok(terms.ok_or_else(unknown)?.expectations(run_id).into_iter().map(Op::Expect))
}

/// Reads the start of a run, and declares the contract that it names.
pub(super) fn start(bytes: &[u8], app: &crate::App) -> Result<Vec<Op>, Problem> {
    let mut contract = None;
    let op = body::one_op_but("start_run", bytes, &[], |members| {
        contract = take_optional::<String>(members, "contract", &Path::ROOT)?;
        Ok(())
    })?;
    let Some(name) = contract else { return Ok(vec![op]) };
    if !app.audit().is_on {
        return Err(Problem::new(ServerCode::AuditOff, "the audit is switched off here: TRACEKEEP_AUDIT=off"));
    }
    let Some(run_id) = op.run_id().cloned() else {
        let detail = "is required where a contract is declared, so that sending it again starts no other run";
        return Err(Invalid::new(InvalidCode::MissingMember, "/run_id", detail).into());
    };
    Ok(std::iter::once(op).chain(declared(&name, &run_id, app)?).collect())
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
        (Some(name), None) => Ok(declared(&name, run_id, app)?.collect()),
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
    let (run_id, wanted) = asked(&call)?;
    moved(&call.app.clone(), &run_id).await?;
    Ok(page(&call.app.read(async move |store| store.expectations(&run_id, &wanted).await).await?))
}

pub(crate) async fn ack(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let (run, app) = (call.part("run_id").to_owned(), call.app.clone());
    let mut write = body::write(&app, call.request).await?;
    let op = write.read(move |bytes| body::one_op("ack", bytes, &[("run_id", run)])).await?;
    if let (Some(held), Op::Ack(ack)) = (held(&app, &write), &op) {
        let noted = held.add_ack(ack.clone()).await.map_err(|error| error.strip("/ops/0"))?;
        return Ok(answer_one(&noted));
    }
    answer_to_one(&app, Batch::one(op).keyed(write.key), write.admitted).await
}

pub(crate) async fn list_acks(call: Call) -> Result<Response, Problem> {
    let (run_id, wanted) = asked(&call)?;
    moved(&call.app.clone(), &run_id).await?;
    Ok(page(&call.app.read(async move |store| store.acks(&run_id, &wanted).await).await?))
}

pub(crate) async fn set_status(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    // Whether anything is expected of the action, the ledger says.
    if let Ok(run_id) = run_id(call.part("run_id")) {
        moved(&call.app.clone(), &run_id).await?;
    }
    one("set_expectation_status", call, &["run_id"]).await
}

pub(crate) async fn audit(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let run_id = run_id(call.part("run_id"))?;
    moved(&call.app.clone(), &run_id).await?;
    Ok(view(&call.app.read(async move |store| store.audit(&run_id).await).await?))
}

pub(crate) async fn parked(call: Call) -> Result<Response, Problem> {
    let (run_id, wanted) = asked(&call)?;
    let known = run_id.clone();
    call.app.read(async move |store| store.audit(&known).await).await?;
    let held = call.app.audit().held.clone();
    Ok(page(&match held {
        Some(held) => held.get_parked(&run_id, &wanted).await?,
        None => Page::<ParkedFact>::of(Vec::new(), None),
    }))
}

pub(crate) async fn reconcile(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let (run_id, app) = (run_id(call.part("run_id"))?, call.app.clone());
    let write = body::bare(&call.app, call.request).await?;
    let receipt = commit(&app, Batch::one(Op::Reconcile(Reconcile { run_id })).keyed(write.key), write.admitted).await;
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
        commit(&app, Batch::one(Op::ClearAudit(ClearAudit::new(run_id))).keyed(write.key), write.admitted).await;
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
    if wanted.cursor.is_none() {
        all_moved(&call.app.clone()).await?;
    }
    Ok(page(&call.app.read(async move |store| store.pending_runs(&wanted).await).await?))
}

pub(crate) async fn due(call: Call) -> Result<Response, Problem> {
    demand_on(&call)?;
    let mut params = Params::new(call.request.uri().query())?;
    let before = params.time("before")?;
    let limit = params.parse("limit", "is a number of runs, 1 to 1,000")?.unwrap_or(PAGE_ITEMS_DEFAULT);
    params.finish()?;
    all_moved(&call.app.clone()).await?;
    let before = before.unwrap_or_else(|| call.app.audit().clock.now());
    let items = call.app.read(async move |store| store.due_runs(before, limit).await).await?;
    Ok(page(&Page::of(items, None)))
}
