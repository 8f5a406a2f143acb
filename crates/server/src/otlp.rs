//! OTLP/HTTP: spans in, as protobuf or JSON, gzipped or plain; answers per the OTLP specification.

use std::io::Read;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracekeep_core::limits::OTLP_BYTES_MAX;
use tracekeep_otlp::{Encoding, unavailable};

use crate::admission::Admitted;
use crate::body;
use crate::call::Call;
use crate::problem::{Problem, ServerCode};
use crate::state::App;

pub(crate) async fn traces(call: Call) -> Result<Response, Problem> {
    let encoding = encoding(call.request.headers())?;
    // From here on failures are answered in the request's own encoding, as the specification demands.
    Ok(export(&call.app, encoding, call.request).await.unwrap_or_else(|problem| status(&problem, encoding)))
}

/// The answer to a request that is refused before it is read.
pub(crate) fn refused(headers: &HeaderMap, problem: Problem) -> Result<Response, Problem> {
    Ok(status(&problem, encoding(headers)?))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    match body::media_type(headers).as_str() {
        "application/x-protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        _ => {
            let detail = "the body must be application/x-protobuf or application/json";
            Err(Problem::new(ServerCode::UnsupportedMediaType, detail))
        }
    }
}

async fn export(app: &App, encoding: Encoding, request: axum::extract::Request) -> Result<Response, Problem> {
    let gzipped = match &body::codings(request.headers())[..] {
        [] => false,
        [coding] if coding == "gzip" => true,
        _ => return Err(Problem::new(ServerCode::UnsupportedEncoding, "the body may be gzipped or plain")),
    };
    let (mut bytes, mut admitted) = body::read(app, request, OTLP_BYTES_MAX).await?;
    if gzipped {
        (bytes, admitted) = aside(app, move || Ok((inflated(&bytes, &mut admitted)?, admitted))).await?;
    }
    admitted.turn().await;
    let decode = move || {
        let decoded = tracekeep_otlp::decode(&bytes, encoding);
        decoded.map_err(|malformed| Problem::new(ServerCode::OtlpMalformed, malformed.detail()))
    };
    let export = aside(app, decode).await?;
    let (batches, pending) = export.into_batches();
    let results = if batches.is_empty() { Vec::new() } else { app.commit(batches, admitted).await };
    // A failure of the whole commit is answered as one: the client sends the request again.
    if let Some(error) = unavailable(&results) {
        return Err(error.clone().into());
    }
    let answer = pending.answer(&results);
    app.metrics().spans(&results, answer.rejected_spans);
    Ok(encoded(StatusCode::OK, encoding, answer.to_body(encoding)))
}

/// Does what takes long aside.
async fn aside<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = app.admission().aside(work).await;
    done.map_err(|_| Problem::new(ServerCode::Internal, "the body could not be decoded"))?
}

/// Unpacks a body piece by piece, each admitted before the next: of bombs at most one is in memory, and never whole.
fn inflated(bytes: &[u8], admitted: &mut Admitted) -> Result<Vec<u8>, Problem> {
    let mut gzip = flate2::read::MultiGzDecoder::new(bytes);
    let (mut out, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = gzip.read(&mut piece);
        let read = read.map_err(|_| Problem::new(ServerCode::OtlpMalformed, "the body is not gzip, or ends early"))?;
        let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else { return Ok(out) };
        if out.len() + read > OTLP_BYTES_MAX as usize {
            let detail = format!("the body has more than {OTLP_BYTES_MAX} bytes after decompression");
            return Err(tracekeep_core::Invalid::new(tracekeep_core::InvalidCode::TooLarge, "", detail).into());
        }
        admitted.grow(read)?;
        out.extend_from_slice(piece);
    }
}

/// A failure as google.rpc.Status, with the statuses that tell a client whether to send again.
fn status(problem: &Problem, encoding: Encoding) -> Response {
    let error = problem.error();
    let (status, grpc) = match problem.status() {
        status @ (StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE) => (status, 3),
        status @ StatusCode::PAYLOAD_TOO_LARGE => (status, 8),
        // The specification lets a client send again after 503, and not after 408.
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => (StatusCode::SERVICE_UNAVAILABLE, 14),
        status => (status, 13),
    };
    if status.is_server_error() {
        tracing::warn!(code = problem.code(), %error, "refused");
    }
    let message = format!("{}: {error}", problem.code());
    let mut response = encoded(status, encoding, tracekeep_otlp::status_body(grpc, &message, encoding));
    if status == StatusCode::SERVICE_UNAVAILABLE {
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
