//! Taking a request's body in: its type, its bytes, its op.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use futures_core::Stream;
use tracekeep_core::id::{Key, RunId};
use tracekeep_core::json::{self, Object, Value};
use tracekeep_core::limits::REQUEST_BYTES_MAX;
use tracekeep_core::model::Op;
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_store::Batch;

use crate::admission::Admitted;
use crate::problem::{Problem, ServerCode};
use crate::state::App;

/// Bytes that are set aside on the word of a request's header; memory that is not written to is not taken.
const STATED_BYTES_MAX: usize = 4 << 20;

/// How long a body may take to arrive.
pub(crate) const BODY_SECONDS_MAX: u64 = 30;

/// The media type, without parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// How the body is compressed: the content codings other than identity, in lower case.
pub(crate) fn codings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let texts = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let codings = texts.map(|text| text.trim().to_ascii_lowercase());
    codings.filter(|coding| !matches!(coding.as_str(), "" | "identity")).collect()
}

/// Reads a whole body of at most `bytes_max`, within the bytes that may be in flight.
pub(crate) async fn read(app: &App, request: Request<Body>, bytes_max: u32) -> Result<(Vec<u8>, Admitted), Problem> {
    let stated = request.headers().get(header::CONTENT_LENGTH);
    let stated = stated.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|bytes| bytes > u64::from(bytes_max)) {
        return Err(too_large(bytes_max));
    }
    let whole = arrived(app, request.into_body(), bytes_max, stated.unwrap_or(0));
    let late = |_| Problem::new(ServerCode::RequestTimeout, format!("the body took more than {BODY_SECONDS_MAX} s"));
    tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), whole).await.map_err(late)?
}

/// Takes the body in as it comes: room is counted for what is there, so that a stalled sender holds no more than it sent.
async fn arrived(app: &App, body: Body, bytes_max: u32, stated: u64) -> Result<(Vec<u8>, Admitted), Problem> {
    let mut data = body.into_data_stream();
    let (mut bytes, mut admitted) = (Vec::new(), app.admission().empty());
    while let Some(part) = poll_fn(|context| Pin::new(&mut data).poll_next(context)).await {
        let part = part.map_err(|_| Problem::new(ServerCode::RequestTimeout, "the body did not arrive whole"))?;
        if part.len() > (bytes_max as usize).saturating_sub(bytes.len()) {
            return Err(too_large(bytes_max));
        }
        admitted.grow(part.len())?;
        if bytes.capacity() == 0 {
            // One piece from the start: what grows by doubling leaves holes of twice its size behind.
            bytes.reserve_exact(usize::try_from(stated).unwrap_or(0).min(STATED_BYTES_MAX));
        }
        bytes.extend_from_slice(&part);
    }
    Ok((bytes, admitted))
}

fn too_large(bytes_max: u32) -> Problem {
    Invalid::new(InvalidCode::TooLarge, "", format!("the body has more than {bytes_max} bytes")).into()
}

/// A write as it came: what its route makes a batch of.
pub(crate) struct Write {
    app: App,
    bytes: Vec<u8>,
    pub(crate) key: Option<Key>,
    pub(crate) admitted: Admitted,
}

/// Takes a JSON body in, with its idempotency key, once it is its turn to be worked on.
pub(crate) async fn write(app: &App, request: Request<Body>) -> Result<Write, Problem> {
    if media_type(request.headers()) != "application/json" {
        return Err(Problem::new(ServerCode::UnsupportedMediaType, "the body must be application/json"));
    }
    if !codings(request.headers()).is_empty() {
        return Err(Problem::new(ServerCode::UnsupportedEncoding, "the body must not be compressed"));
    }
    let key = idempotency_key(request.headers())?;
    let (bytes, mut admitted) = read(app, request, REQUEST_BYTES_MAX).await?;
    admitted.turn().await;
    Ok(Write { app: app.clone(), bytes, key, admitted })
}

/// Takes in a write that has no members: a body may be there, and is then an empty object.
pub(crate) async fn bare(app: &App, request: Request<Body>) -> Result<Write, Problem> {
    let key = idempotency_key(request.headers())?;
    let (bytes, mut admitted) = read(app, request, BARE_BYTES_MAX).await?;
    if !bytes.is_empty() {
        let value = json::parse(&bytes).map_err(Invalid::from)?;
        let Value::Object(object) = value else {
            return Err(Invalid::new(InvalidCode::InvalidMember, "", "must be an empty object, or nothing").into());
        };
        tracekeep_core::wire::refuse_rest(&object, &tracekeep_core::wire::Path::ROOT)?;
    }
    admitted.turn().await;
    Ok(Write { app: app.clone(), bytes: Vec::new(), key, admitted })
}

/// Bytes of a body that has nothing to say.
const BARE_BYTES_MAX: u32 = 1_024;

impl Write {
    /// Reads the body: one of many bytes where it keeps no other connection waiting.
    pub(crate) async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let bytes = std::mem::take(&mut self.bytes);
        if !self.admitted.is_long() {
            return read(&bytes);
        }
        let done = self.app.admission().aside(move || read(&bytes)).await;
        done.map_err(|_| Problem::new(ServerCode::Internal, "the body could not be read"))?
    }
}

/// The header `Idempotency-Key`: an item of structured fields (RFC 8941, 3.3) that is a string, as
/// draft-ietf-httpapi-idempotency-key-header has it, whose parameters mean nothing here; or the key bare.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let mut values = headers.get_all(crate::routes::KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let invalid = |detail: &str| Problem::from(Invalid::new(InvalidCode::InvalidId, "Idempotency-Key", detail));
    if values.next().is_some() {
        return Err(invalid("is given twice"));
    }
    let text = value.to_str().map_err(|_| invalid("has visible ASCII characters only"))?.trim();
    let bare = if text.starts_with('"') {
        let item = sfv::Parser::new(text).with_version(sfv::Version::Rfc8941).parse::<sfv::Item>().ok();
        let quoted = item.and_then(|item| Some(item.bare_item.as_string()?.as_str().to_owned()));
        quoted.ok_or_else(|| invalid("is not a string of structured fields (RFC 8941)"))?
    } else {
        text.to_owned()
    };
    Key::new(bare).map(Some).map_err(|error| invalid(error.detail()))
}

/// Reads the body of a route that takes one op: its members, without `op` and what the path says.
pub(crate) fn one_op(name: &str, bytes: &[u8], path: &[(&'static str, String)]) -> Result<Op, Problem> {
    one_op_but(name, bytes, path, |_| Ok(()))
}

/// The same, `take` having taken out what is no member of the op.
pub(crate) fn one_op_but(
    name: &str,
    bytes: &[u8],
    path: &[(&'static str, String)],
    take: impl FnOnce(&mut Object<'_>) -> Result<(), Invalid>,
) -> Result<Op, Problem> {
    let value = json::parse(bytes).map_err(Invalid::from)?;
    let Value::Object(mut object) = value else {
        let detail = format!("must be an object, is {}", value.type_name());
        return Err(Invalid::new(InvalidCode::InvalidMember, "", detail).into());
    };
    take(&mut object)?;
    let mut members = object.into_members();
    for (name, _) in &members {
        if name == "op" || name == "source" || path.iter().any(|(said, _)| said == name) {
            let detail = "is not a member here: the route says it";
            return Err(Invalid::new(InvalidCode::UnknownMember, format!("/{name}"), detail).into());
        }
    }
    members.extend(path.iter().map(|(name, text)| ((*name).into(), Value::String(text.clone().into()))));
    let object = Object::from_members(members)
        .map_err(|name| Invalid::new(InvalidCode::DuplicateName, format!("/{name}"), "is named twice"))?;
    Ok(Op::read_members(name, object)?.unreceived()?)
}

/// Reads a batch: {"ops": […]}.
pub(crate) fn ops(bytes: &[u8]) -> Result<Vec<Op>, Problem> {
    let value = json::parse_around(bytes, 2).map_err(Invalid::from)?;
    let Value::Object(object) = value else {
        return Err(Invalid::new(InvalidCode::InvalidMember, "", "must be an object with the member ops").into());
    };
    if object.get("key").is_some() {
        let detail = "is not a member here: the header Idempotency-Key says it";
        return Err(Invalid::new(InvalidCode::UnknownMember, "/key", detail).into());
    }
    Ok(Batch::read(object)?.ops)
}

/// The run that a path names.
pub(crate) fn run_id(text: &str) -> Result<RunId, Problem> {
    RunId::new(text).map_err(|invalid| Problem::from(invalid.under("/run_id")))
}
