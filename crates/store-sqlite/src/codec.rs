//! How bodies are stored. The number beside a body says which way, so that others can be added.

use std::borrow::Cow;

use tracekeep_core::body::Body;
use tracekeep_store::Result;

use crate::error::corrupt;

/// Plain UTF-8.
const PLAIN: i64 = 0;

/// The codec and the bytes to store for a body.
pub(crate) fn encode(body: &Body) -> (i64, Cow<'_, [u8]>) {
    (PLAIN, Cow::Borrowed(body.as_str().as_bytes()))
}

/// The body of the entry at `log_index`, from what was stored.
pub(crate) fn decode(log_index: u64, codec: i64, bytes: &[u8]) -> Result<Body> {
    if codec != PLAIN {
        return Err(corrupt(format!("log index {log_index}: the body is stored in an unknown way")));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|_| corrupt(format!("log index {log_index}: the body is not UTF-8")))?;
    Ok(Body::stored(text))
}
