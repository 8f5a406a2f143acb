//! Routes for operators.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::call::Call;
use crate::problem::{Problem, ServerCode};

pub(crate) async fn healthz(_: Call) -> Result<Response, Problem> {
    Ok("ok\n".into_response())
}

pub(crate) async fn readyz(call: Call) -> Result<Response, Problem> {
    call.app.read(async |store| store.head().await).await?;
    Ok("ok\n".into_response())
}

pub(crate) async fn metrics(call: Call) -> Result<Response, Problem> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], call.app.metrics().text()).into_response())
}

pub(crate) async fn openapi(_: Call) -> Result<Response, Problem> {
    Ok(([(header::CONTENT_TYPE, "application/json")], crate::openapi::document()).into_response())
}

pub(crate) async fn error_page(call: Call) -> Result<Response, Problem> {
    let page = crate::problem::error_page(call.part("code"));
    let page = page.ok_or_else(|| Problem::new(ServerCode::RouteNotFound, "no such error code"))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response())
}
