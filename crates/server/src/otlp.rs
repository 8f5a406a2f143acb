//! OTLP/HTTP: spans in, as protobuf or JSON, gzipped or plain; answers per the OTLP specification.

use std::io::Read;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracekeep_core::limits::OTLP_BYTES_MAX;
use tracekeep_otlp::{Encoding, unavailable};

use crate::body;
use crate::call::Call;
use crate::problem::{Problem, ServerCode};
use crate::state::App;

pub(crate) async fn traces(call: Call) -> Result<Response, Problem> {
    let encoding = match body::media_type(call.request.headers()).as_str() {
        "application/x-protobuf" => Encoding::Protobuf,
        "application/json" => Encoding::Json,
        _ => {
            let detail = "the body must be application/x-protobuf or application/json";
            return Err(Problem::new(ServerCode::UnsupportedMediaType, detail));
        }
    };
    // From here on failures are answered in the request's own encoding, as the specification demands.
    Ok(export(&call.app, encoding, call.request).await.unwrap_or_else(|problem| status(&problem, encoding)))
}

async fn export(app: &App, encoding: Encoding, request: axum::extract::Request) -> Result<Response, Problem> {
    let (parts, bytes, _admitted) = body::read(app, request, OTLP_BYTES_MAX).await?;
    let bytes = decompressed(&parts.headers, bytes)?;
    let decoded = tokio::task::spawn_blocking(move || tracekeep_otlp::decode(&bytes, encoding)).await;
    let decoded = decoded.map_err(|_| Problem::new(ServerCode::Internal, "the body could not be decoded"))?;
    let export = decoded.map_err(|malformed| Problem::new(ServerCode::OtlpMalformed, malformed.detail()))?;
    let (batches, pending) = export.into_batches();
    let results = if batches.is_empty() { Vec::new() } else { app.commit(batches).await };
    // A failure of the whole commit is answered as one: the client sends the request again.
    if let Some(error) = unavailable(&results) {
        return Err(error.clone().into());
    }
    let answer = pending.answer(&results);
    app.metrics().spans(&results, answer.rejected_spans);
    Ok(encoded(StatusCode::OK, encoding, answer.to_body(encoding)))
}

fn decompressed(headers: &HeaderMap, bytes: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let encoding =
        headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity") => Ok(bytes),
        Some("gzip") => {
            let mut out = Vec::new();
            // One byte more than may be: a bomb is told from a body of just the limit, and never unpacked whole.
            let limit = u64::from(OTLP_BYTES_MAX) + 1;
            let read = flate2::read::MultiGzDecoder::new(&*bytes).take(limit).read_to_end(&mut out);
            read.map_err(|_| Problem::new(ServerCode::OtlpMalformed, "the body is not gzip, or ends early"))?;
            if out.len() > OTLP_BYTES_MAX as usize {
                let detail = format!("the body has more than {OTLP_BYTES_MAX} bytes after decompression");
                return Err(tracekeep_core::Invalid::new(tracekeep_core::InvalidCode::TooLarge, "", detail).into());
            }
            Ok(out)
        }
        Some(_) => Err(Problem::new(ServerCode::UnsupportedEncoding, "the body may be gzipped or plain")),
    }
}

/// A failure as google.rpc.Status, with the statuses that tell a client whether to send again.
fn status(problem: &Problem, encoding: Encoding) -> Response {
    let error = problem.error();
    let grpc = match problem.status() {
        StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE => 3,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::REQUEST_TIMEOUT => 4,
        _ => 13,
    };
    let message = format!("{}: {error}", problem.code());
    let mut response = encoded(problem.status(), encoding, tracekeep_otlp::status_body(grpc, &message, encoding));
    if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

fn encoded(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response {
    let kind = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}
