//! From a body to mapped spans.

use std::fmt;

use tracekeep_core::Invalid;

use crate::map::{Export, map};
use crate::{decode_json, decode_proto};

/// How a body is written. The response is written the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`: proto3 JSON with the deviations of OTLP.
    Json,
}

/// Decodes the body of an `ExportTraceServiceRequest` (already decompressed) and maps its spans.
///
/// `{}` and an empty protobuf body are exports of no spans. Unknown fields are ignored, as the specification demands.
///
/// # Errors
/// The whole body cannot be used: it is not protobuf or not JSON, a member has the wrong type, or it is JSON whose names
/// would be ignored and lose the spans in silence (snake_case, another signal). Nothing of it is to be recorded.
pub fn decode(body: &[u8], encoding: Encoding) -> Result<Export, Malformed> {
    let request = match encoding {
        Encoding::Protobuf => decode_proto::request(body)?,
        Encoding::Json => decode_json::request(body)?,
    };
    Ok(map(request))
}

/// Why a body cannot be used: the client must not send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    code: &'static str,
    detail: String,
}

impl Malformed {
    /// The code of a body that is not protobuf.
    pub const PROTOBUF: &'static str = "malformed_protobuf";
    /// The code of JSON that is no trace export.
    pub const NOT_AN_EXPORT: &'static str = "not_an_export";

    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The stable code: [`Malformed::PROTOBUF`], [`Malformed::NOT_AN_EXPORT`], or a code of
    /// [`InvalidCode`](tracekeep_core::InvalidCode).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, in lower case and without payload.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Malformed {}

impl From<Invalid> for Malformed {
    fn from(invalid: Invalid) -> Self {
        Self::new(invalid.code().as_str(), invalid.detail())
    }
}
