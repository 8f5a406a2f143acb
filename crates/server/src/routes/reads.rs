//! Routes that read runs, steps and traces.

use std::str::FromStr;

use axum::response::Response;
use tracekeep_core::compare::Level;
use tracekeep_core::id::{BaselineName, TraceId};
use tracekeep_core::limits::PAGE_ITEMS_DEFAULT;
use tracekeep_store::{
    Between, Code, CompareQuery, CountsQuery, Error, Order, Page, RunFilter, RunQuery, TraceFilter, TraceQuery,
    TreeQuery,
};

use super::{list, page, searched, view};
use crate::body::run_id;
use crate::call::Call;
use crate::params::Params;
use crate::problem::Problem;

fn run_filter(params: &mut Params<'_>) -> Result<RunFilter, Error> {
    Ok(RunFilter {
        status: params.parse("status", "is running, completed, failed or aborted")?,
        agent: params.text("agent"),
        correlation: params.text("correlation"),
        parent: params.text("parent"),
        tag: params.text("tag"),
        time: params.range()?,
        plan_hash: params.parse("plan_hash", HASH)?,
        seed: params.parse("seed", "is an integer of 64 bits")?,
        root_hash: params.parse("root_hash", HASH)?,
        behaviour_hash: params.parse("behaviour_hash", HASH)?,
        text: params.text("text"),
        cost: between(params, ["cost_min", "cost_max"], "is cents, as a decimal with at most six fraction digits")?,
        duration: between(params, ["duration_min", "duration_max"], "is milliseconds, not negative")?,
    })
}

const HASH: &str = "is a hash: 64 lower-case hex digits";

fn between<T: FromStr>(params: &mut Params<'_>, [least, most]: [&str; 2], form: &str) -> Result<Between<T>, Error> {
    Ok(Between { least: params.parse(least, form)?, most: params.parse(most, form)? })
}

pub(super) fn order(params: &mut Params<'_>, default: Order) -> Result<Order, Error> {
    Ok(params.parse("order", "is newest or oldest")?.unwrap_or(default))
}

pub(crate) async fn runs(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let query = RunQuery {
        filter: run_filter(&mut params)?,
        sort: params.parse("sort", "is start, cost or duration")?,
        order: order(&mut params, Order::Newest)?,
        page: params.page()?,
    };
    params.finish()?;
    Ok(page(&call.app.read(async move |store| store.runs(&query).await).await?))
}

pub(crate) async fn run_count(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let filter = run_filter(&mut params)?;
    params.finish()?;
    Ok(view(&call.app.read(async move |store| store.run_count(&filter).await).await?))
}

pub(crate) async fn run(call: Call) -> Result<Response, Problem> {
    let run_id = run_id(call.part("run_id"))?;
    let missing = Error::new(Code::RunNotFound, format!("no run {run_id} is recorded"));
    let run = call.app.read(async move |store| store.run(&run_id).await).await?;
    Ok(view(&run.ok_or(missing)?))
}

pub(crate) async fn steps(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let wanted = params.page()?;
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    Ok(page(&call.app.read(async move |store| store.steps(&run_id, &wanted).await).await?))
}

pub(crate) async fn step(call: Call) -> Result<Response, Problem> {
    let run_id = run_id(call.part("run_id"))?;
    let index = call.part("index").parse::<u32>();
    let index = index.map_err(|_| Error::new(Code::InvalidParameter, "is a step index").at("index"))?;
    let missing = Error::new(Code::StepNotFound, format!("no step {index} of run {run_id} is recorded"));
    let step = call.app.read(async move |store| store.step(&run_id, index).await).await?;
    Ok(view(&step.ok_or(missing)?))
}

fn trace_id(text: &str, path: &str) -> Result<TraceId, Error> {
    TraceId::new(text).map_err(|invalid| Error::from(invalid.under(path)))
}

pub(crate) async fn trace(call: Call) -> Result<Response, Problem> {
    let run_id = run_id(call.part("run_id"))?;
    let id = trace_id(call.part("id"), "/id")?;
    let missing = Error::new(Code::TraceNotFound, format!("no trace {id} of run {run_id} is recorded"));
    let trace = call.app.read(async move |store| store.trace(&run_id, &id).await).await?;
    Ok(view(&trace.ok_or(missing)?))
}

pub(crate) async fn traces(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let query = TraceQuery {
        filter: TraceFilter {
            ids: params.texts("id").iter().map(|id| trace_id(id, "id")).collect::<Result<_, _>>()?,
            type_name: params.text("type"),
            tags: params.texts("tag"),
            any_tags: params.texts("any_tag"),
            parent: params.text("parent").map(|id| trace_id(&id, "parent")).transpose()?,
            roots: params.parse("roots", "is true or false")?.unwrap_or(false),
            status: params.parse("status", "is ok, error or open")?,
            time: params.range()?,
            text: params.text("text"),
        },
        order: order(&mut params, Order::Oldest)?,
        page: params.page()?,
    };
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    let answer = if query.filter.text.is_some() { searched } else { page };
    Ok(answer(&call.app.read(async move |store| store.traces(&run_id, &query).await).await?))
}

pub(crate) async fn trace_counts(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let query = CountsQuery { type_name: params.text("type"), tag: params.text("tag") };
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    Ok(view(&call.app.read(async move |store| store.trace_counts(&run_id, &query).await).await?))
}

pub(crate) async fn tree(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let query = TreeQuery {
        root: params.text("root").map(|id| trace_id(&id, "root")).transpose()?,
        depth: params.parse("depth", "is a number of levels")?,
        page: params.page()?,
    };
    params.finish()?;
    let run_id = run_id(call.part("run_id"))?;
    Ok(list("nodes", &call.app.read(async move |store| store.tree(&run_id, &query).await).await?))
}

pub(crate) async fn compare(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let query = CompareQuery {
        level: params.parse("level", "is exact or behaviour")?.unwrap_or(Level::Exact),
        proof: params.parse("proof", "is true or false")?.unwrap_or(false),
        page: params.page()?,
    };
    params.finish()?;
    let (a, b) = (run_id(call.part("run_id"))?, run_id(call.part("other"))?);
    Ok(view(&call.app.read(async move |store| store.compare(&a, &b, &query).await).await?))
}

pub(crate) async fn matches(call: Call) -> Result<Response, Problem> {
    let run_id = run_id(call.part("run_id"))?;
    Ok(view(&call.app.read(async move |store| store.matches(&run_id).await).await?))
}

pub(crate) async fn baseline(call: Call) -> Result<Response, Problem> {
    let name = BaselineName::new(call.part("name")).map_err(|invalid| Error::from(invalid.under("/name")))?;
    let missing = Error::new(Code::BaselineNotFound, format!("{name} stands for no run"));
    let baseline = call.app.read(async move |store| store.baseline(&name).await).await?;
    Ok(view(&baseline.ok_or(missing)?))
}

pub(crate) async fn baselines(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let wanted = params.page()?;
    params.finish()?;
    Ok(page(&call.app.read(async move |store| store.baselines(&wanted).await).await?))
}

pub(crate) async fn verify(call: Call) -> Result<Response, Problem> {
    let run_id = run_id(call.part("run_id"))?;
    Ok(view(&call.app.read(async move |store| store.verify_run(&run_id).await).await?))
}

pub(crate) async fn indices(call: Call) -> Result<Response, Problem> {
    let run_id = run_id(call.part("run_id"))?;
    Ok(view(&call.app.read(async move |store| store.verify_indices(Some(&run_id)).await).await?))
}

pub(crate) async fn rebuild(call: Call) -> Result<Response, Problem> {
    let run_id = run_id(call.part("run_id"))?;
    Ok(view(&call.app.read(async move |store| store.rebuild_indices(Some(&run_id)).await).await?))
}

pub(crate) async fn unsealed(call: Call) -> Result<Response, Problem> {
    let mut params = Params::new(call.request.uri().query())?;
    let before = params.time("before")?;
    let limit = params.parse("limit", "is a number of runs, 1 to 1,000")?.unwrap_or(PAGE_ITEMS_DEFAULT);
    params.finish()?;
    let before = before.unwrap_or_else(|| call.app.audit().clock.now());
    let items = call.app.read(async move |store| store.unsealed_runs(before, limit).await).await?;
    Ok(page(&Page::of(items, None)))
}
