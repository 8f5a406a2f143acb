//! Errors as problem+json (RFC 9457): the one place where a store's error becomes a status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracekeep_core::json::{Json, Object, Value};
use tracekeep_core::wire::to_json;
use tracekeep_store::{Code, Error, ErrorKind, Outcome};

macro_rules! server_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $status:expr;)*) => {
        /// What the server refuses by itself, before a store is asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ServerCode { $($(#[doc = $doc])* $name),* }

        impl ServerCode {
            const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            const fn status(self) -> StatusCode {
                match self { $(Self::$name => $status),* }
            }
        }

        /// The codes that the server adds to those of the store.
        pub const CODES: &[&str] = &[$($code),*];
    };
}

server_codes! {
    /// No such route.
    RouteNotFound = "route_not_found", StatusCode::NOT_FOUND;
    /// The route does not know the method.
    MethodNotAllowed = "method_not_allowed", StatusCode::METHOD_NOT_ALLOWED;
    /// The body is of another type than the route takes.
    UnsupportedMediaType = "unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE;
    /// The body is compressed in a way that the route does not know.
    UnsupportedEncoding = "unsupported_encoding", StatusCode::UNSUPPORTED_MEDIA_TYPE;
    /// The body could not be decompressed, or not decoded as OTLP.
    OtlpMalformed = "otlp_malformed", StatusCode::BAD_REQUEST;
    /// The body did not arrive in time, or not whole.
    RequestTimeout = "request_timeout", StatusCode::REQUEST_TIMEOUT;
    /// The request names a host that this server does not answer for.
    ForbiddenHost = "forbidden_host", StatusCode::FORBIDDEN;
    /// The audit is switched off.
    AuditOff = "audit_off", StatusCode::SERVICE_UNAVAILABLE;
    /// No contract of that name is configured.
    ContractNotFound = "contract_not_found", StatusCode::NOT_FOUND;
    /// The server demands an idempotency key on writes, and this one has none.
    IdempotencyKeyRequired = "idempotency_key_required", StatusCode::BAD_REQUEST;
    /// Something that should never happen did.
    Internal = "internal", StatusCode::INTERNAL_SERVER_ERROR;
}

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    error: Error,
    /// An object whose members the problem has, too.
    told: Option<Json>,
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(crate) fn new(code: ServerCode, detail: impl Into<String>) -> Self {
        // The store's error carries text and path; the code and the status are the server's own.
        let error = Error::new(Code::InvalidParameter, detail);
        Self { status: code.status(), code: code.as_str(), error, told: None, retry_after_s: None }
    }

    /// What a request is answered with whose handler panicked: what it did before is not known.
    pub(crate) fn panicked() -> Self {
        let error = Error::new(Code::CommitUnknown, "the request could not be finished");
        let (status, code) = (ServerCode::Internal.status(), ServerCode::Internal.as_str());
        Self { status, code, error, told: None, retry_after_s: None }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) const fn error(&self) -> &Error {
        &self.error
    }

    /// The same, its path without `prefix`: a route that takes one op hides the batch around it.
    pub(crate) fn strip(mut self, prefix: &str) -> Self {
        self.error = self.error.strip(prefix);
        self
    }

    /// The same, its path this one.
    pub(crate) fn at(mut self, path: String) -> Self {
        self.error = self.error.at(path);
        self
    }

    /// The same, with the members of an answer, and with when to ask again.
    pub(crate) fn telling(mut self, told: &Json, retry_after_s: Option<u64>) -> Self {
        (self.told, self.retry_after_s) = (Some(told.clone()), retry_after_s);
        self
    }

    fn json(&self) -> Json {
        let text = |text: &str| Json::from(text);
        let mut members = vec![
            ("type", text(&format!("/errors/{}", self.code))),
            ("title", text(&self.code.replace('_', " "))),
            ("status", Json::from(i64::from(self.status.as_u16()))),
            ("code", text(self.code)),
            ("detail", text(self.error.detail())),
            ("outcome", text(self.error.outcome().as_str())),
        ];
        if let Some(path) = self.error.path() {
            members.push(("path", text(path)));
        }
        if let Some(digests) = self.error.digests() {
            let digests =
                [("recorded", text(&digests.recorded.to_string())), ("sent", text(&digests.sent.to_string()))];
            members.push(("digests", object(digests)));
        }
        if let Some(redaction) = self.error.redaction() {
            members.push(("redaction", to_json(redaction)));
        }
        let told = self.told.as_ref().map(Json::value);
        let told = told.as_ref().and_then(Value::as_object).into_iter().flat_map(Object::iter);
        let told: Vec<_> = told.map(|(name, value)| (name.to_string(), value.to_json())).collect();
        members.extend(told.iter().map(|(name, value)| (name.as_str(), value.clone())));
        object(members)
    }
}

/// An object of plain members.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    Json::object(members).expect("invariant: the names differ and nothing nests deep")
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Gone => StatusCode::GONE,
            ErrorKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            // 503 asks to be sent the same again: not where that will never help.
            ErrorKind::Busy | ErrorKind::Storage | ErrorKind::Unknown if error.is_retryable() => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, code: error.code(), error, told: None, retry_after_s: None }
    }
}

impl From<tracekeep_core::Invalid> for Problem {
    fn from(invalid: tracekeep_core::Invalid) -> Self {
        Error::from(invalid).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() || self.error.outcome() == Outcome::Unknown {
            tracing::warn!(code = self.code, error = %self.error, "refused");
        }
        let mut response = (self.status, self.json().as_str().to_owned()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let is_busy = self.status == StatusCode::SERVICE_UNAVAILABLE && self.code != ServerCode::AuditOff.as_str();
        let busy = is_busy.then_some(1);
        if let Some(seconds) = self.retry_after_s.or(busy) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        const PAGES: &[(&str, &str)] = &[$(($code, include_str!(concat!("../../../docs/errors/", $code, ".md")))),*];
    };
}

pages!(
    "ambiguous_target",
    "audit_off",
    "bad_signature",
    "baseline_not_found",
    "bundle_incomplete",
    "busy",
    "checkpoint_fork",
    "closed",
    "commit_unknown",
    "conflict",
    "contract_not_found",
    "corrupt",
    "duplicate_name",
    "effect_failed",
    "effect_retry",
    "effect_unrecorded",
    "entry_not_found",
    "erased",
    "expectation_not_found",
    "forbidden_host",
    "foreign_key",
    "gate_elsewhere",
    "gate_full",
    "hash_mismatch",
    "held",
    "idempotency_key_required",
    "in_progress",
    "incident_not_found",
    "incident_open",
    "internal",
    "invalid_batch",
    "invalid_cursor",
    "invalid_id",
    "invalid_member",
    "invalid_parameter",
    "invalid_time",
    "invalid_utf8",
    "key_missing",
    "key_not_found",
    "key_reused",
    "keys_damaged",
    "keys_unsafe",
    "lease_lost",
    "ledger_locked",
    "local_only",
    "lone_surrogate",
    "malformed_checkpoint",
    "malformed_json",
    "malformed_key",
    "malformed_note",
    "malformed_proof",
    "method_not_allowed",
    "missing_member",
    "newer_format",
    "not_a_ledger",
    "not_held",
    "not_signing",
    "number_out_of_range",
    "otlp_malformed",
    "parent_not_found",
    "read_only",
    "request_timeout",
    "reserved_name",
    "route_not_found",
    "run_erased",
    "run_not_found",
    "run_running",
    "sealed",
    "step_not_found",
    "storage_failed",
    "storage_full",
    "too_deep",
    "too_large",
    "too_many",
    "trace_not_found",
    "unknown_member",
    "unknown_signer",
    "unreachable",
    "unsafe_store",
    "unsupported_encoding",
    "unsupported_media_type",
    "weak_key",
    "wrong_origin",
    "wrong_proof",
);

/// The page of an error code: cause and remedy, as Markdown.
#[must_use]
pub fn error_page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| *known == code).map(|(_, page)| *page)
}

/// The codes that are answered with an HTTP status, as their pages say; none for what is no status.
#[must_use]
pub fn error_codes_of(status: &str) -> Vec<&'static str> {
    let states = |page: &str| page.lines().any(|line| line.starts_with("**Status** ") && mentions(line, status));
    PAGES.iter().filter(|(_, page)| states(page)).map(|(code, _)| *code).collect()
}

/// Whether a line has the word `status`, all digits.
fn mentions(line: &str, status: &str) -> bool {
    status.len() == 3
        && status.bytes().all(|byte| byte.is_ascii_digit())
        && line.split(|c: char| !c.is_ascii_digit()).any(|word| word == status)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tracekeep_core::InvalidCode;

    use super::*;

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let codes: BTreeSet<_> = Code::ALL
            .iter()
            .map(|code| code.as_str())
            .chain(InvalidCode::ALL.iter().map(|code| code.as_str()))
            .chain(CODES.iter().copied())
            .chain(tracekeep_evidence::Code::ALL.iter().map(|code| code.as_str()))
            .collect();
        let pages: BTreeSet<_> = PAGES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, pages);
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}\n")), "docs/errors/{code}.md names its code");
        }
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors")).unwrap();
        let files: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, codes.iter().map(|code| format!("{code}.md")).collect());
    }

    #[test]
    fn a_status_names_the_codes_that_are_answered_with_it() {
        assert!(error_codes_of("409").contains(&"conflict") && error_codes_of("409").contains(&"sealed"));
        assert!(!error_codes_of("409").contains(&"missing_member"));
        assert_eq!(error_codes_of("200"), Vec::<&str>::new());
        assert_eq!(error_codes_of("4"), Vec::<&str>::new());
    }
}
