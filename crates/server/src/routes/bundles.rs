//! Routes that export bundles.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use tracekeep_core::Invalid;
use tracekeep_core::InvalidCode;
use tracekeep_core::wire::from_text;
use tracekeep_store::{ExportOf, ExportRequest};

use super::incidents::incident_id;
use crate::admission::BundlePlace;
use crate::body::{self, run_id};
use crate::call::Call;
use crate::problem::Problem;

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
    let request: ExportRequest = write.read(|bytes| Ok(from_text(bytes)?)).await?;
    let of = of(&request)?;
    drop(write);
    let (exported, place) = call.app.export(move |exporter| exporter.export(&of, &request, &|_, _| ())).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"bundle.zip\"")),
    ];
    let length = exported.bundle.len();
    let sent = Body::from_stream(Sent { bundle: exported.bundle, at: 0, place: Some(place) });
    let mut response = (StatusCode::OK, headers, sent).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response.headers_mut().insert("tracekeep-tree-size", HeaderValue::from(exported.size));
    Ok(response)
}

/// Bytes of a bundle that are handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// A bundle on its way: it is held, with its place, until the last piece is asked for. Each piece is a copy, so that a
/// client that stops reading holds no more than some of these once the place is free.
struct Sent {
    bundle: Vec<u8>,
    at: usize,
    place: Option<BundlePlace>,
}

impl Stream for Sent {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let to = (self.at + PIECE_BYTES).min(self.bundle.len());
        if self.at == to {
            return Poll::Ready(None);
        }
        let piece = Bytes::copy_from_slice(&self.bundle[self.at..to]);
        self.at = to;
        if to == self.bundle.len() {
            (self.bundle, self.at) = (Vec::new(), 0);
            self.place = None;
        }
        Poll::Ready(Some(Ok(piece)))
    }
}
