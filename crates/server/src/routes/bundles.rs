//! Routes that export bundles.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracekeep_core::Invalid;
use tracekeep_core::InvalidCode;
use tracekeep_core::wire::from_text;
use tracekeep_store::{ExportOf, ExportRequest};

use super::incidents::incident_id;
use crate::body::{self, run_id};
use crate::call::Call;
use crate::problem::Problem;

/// Who exports where the request does not say it: nobody has a name here without a key.
const BY: &str = "api";

pub(crate) async fn of_incident(call: Call) -> Result<Response, Problem> {
    let of = ExportOf::Incident(incident_id(call.part("incident_id"))?);
    export(call, |_| Ok(of)).await
}

pub(crate) async fn of_run(call: Call) -> Result<Response, Problem> {
    let of = ExportOf::Run(run_id(call.part("run_id"))?);
    export(call, |_| Ok(of)).await
}

pub(crate) async fn of_period(call: Call) -> Result<Response, Problem> {
    let missing = || Invalid::new(InvalidCode::MissingMember, "/period", "is required");
    export(call, move |request| Ok(ExportOf::Period(request.period.ok_or_else(missing)?))).await
}

async fn export(call: Call, of: impl FnOnce(&ExportRequest) -> Result<ExportOf, Problem>) -> Result<Response, Problem> {
    let mut write = body::write(&call.app, call.request).await?;
    let mut request: ExportRequest = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    request.by.get_or_insert_with(|| BY.to_owned());
    let of = of(&request)?;
    drop(write);
    let exported = call.app.export(move |exporter| exporter.export(&of, &request, &|_, _| ())).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"bundle.zip\"")),
    ];
    let mut response = (StatusCode::OK, headers, exported.bundle).into_response();
    response.headers_mut().insert("tracekeep-tree-size", HeaderValue::from(exported.size));
    Ok(response)
}
