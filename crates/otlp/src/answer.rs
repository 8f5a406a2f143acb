//! From the results of a commit to the response.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use tracekeep_core::json::{write_i64, write_string};
use tracekeep_store::{Error, ErrorKind, Receipt};

use crate::decode::Encoding;
use crate::map::Rejected;

/// Refused spans that a message names.
const NAMED_MAX: usize = 5;

/// Codes of gRPC that [`status_body`] is given.
pub mod grpc {
    /// The body cannot be used; with 400.
    pub const INVALID_ARGUMENT: i32 = 3;
    /// Nothing is served under that path; with 404.
    pub const NOT_FOUND: i32 = 5;
    /// The key may not do that; with 403.
    pub const PERMISSION_DENIED: i32 = 7;
    /// The body is too large, with 413; or too much was sent, with 429.
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    /// The method or the content type is not served; with 405 and 415.
    pub const UNIMPLEMENTED: i32 = 12;
    /// Not now; with 503.
    pub const UNAVAILABLE: i32 = 14;
    /// No valid key; with 401.
    pub const UNAUTHENTICATED: i32 = 16;
}

/// The error that the whole request is to be answered with, 503 and `Retry-After`, if the ledger could not do its work:
/// it was busy, its storage failed, or the outcome of the commit is unknown.
///
/// Sending everything again is safe, since what was recorded is then a duplicate. Every other refusal is about one span
/// and belongs into [`Pending::answer`].
#[must_use]
pub fn unavailable(results: &[Result<Receipt, Error>]) -> Option<&Error> {
    results.iter().filter_map(|result| result.as_ref().err()).find(|error| match error.kind() {
        ErrorKind::Busy | ErrorKind::Storage | ErrorKind::Unknown => true,
        ErrorKind::Invalid
        | ErrorKind::TooLarge
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Gone
        | ErrorKind::Unprocessable => false,
        _ => error.is_retryable(),
    })
}

/// The spans of a request whose batches are being committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pending {
    /// For each span its id, and why the mapping refused it if it did.
    spans: Vec<(String, Option<Rejected>)>,
}

impl Pending {
    pub(crate) fn expect(&mut self, span_id: String, mapped: Result<(), Rejected>) {
        self.spans.push((span_id, mapped.err()));
    }

    /// The answer, from one result for each batch, in order. Recorded and duplicate are both success.
    ///
    /// Ask [`unavailable`] first: a failure of the ledger counts as a refused span here, and the client would not send it
    /// again.
    #[must_use]
    pub fn answer(&self, results: &[Result<Receipt, Error>]) -> Answer {
        let mut results = results.iter();
        let mut rejected = 0usize;
        let mut named = Vec::new();
        for (span_id, refused) in &self.spans {
            let (code, detail) = match refused {
                Some(rejected) => (rejected.code(), rejected.detail()),
                None => match results.next() {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => (error.code(), error.detail()),
                    None => ("storage_failed", "the ledger gave no result"),
                },
            };
            rejected += 1;
            if named.len() < NAMED_MAX {
                let span_id = if span_id.is_empty() { "without id" } else { span_id };
                named.push(format!("span {span_id}: {code}, {detail}"));
            }
        }
        if rejected == 0 {
            return Answer::default();
        }
        let more = if rejected > named.len() { "; …" } else { "" };
        let of = self.spans.len();
        Answer {
            rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
            error_message: format!("{rejected} of {of} spans refused: {}{more}", named.join("; ")),
        }
    }
}

/// The response to a request that was decoded and committed. The default is full success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Spans that were not recorded, and must not be sent again.
    pub rejected_spans: i64,
    /// Why, naming the first few; empty on full success.
    pub error_message: String,
}

impl Answer {
    /// The `ExportTraceServiceResponse`. On full success `partial_success` is unset, as the specification demands.
    #[must_use]
    pub fn to_body(&self, encoding: Encoding) -> Vec<u8> {
        let full = self.rejected_spans == 0 && self.error_message.is_empty();
        match encoding {
            Encoding::Protobuf => {
                let partial_success = (!full).then(|| ExportTracePartialSuccess {
                    rejected_spans: self.rejected_spans,
                    error_message: self.error_message.clone(),
                });
                ExportTraceServiceResponse { partial_success }.encode_to_vec()
            }
            Encoding::Json if full => b"{}".to_vec(),
            Encoding::Json => {
                let mut out = b"{\"partialSuccess\":{\"errorMessage\":".to_vec();
                write_string(&mut out, &self.error_message);
                out.extend_from_slice(b",\"rejectedSpans\":\"");
                write_i64(&mut out, self.rejected_spans);
                out.extend_from_slice(b"\"}}");
                out
            }
        }
    }
}

/// A `google.rpc.Status`, which every 4xx and 5xx of OTLP/HTTP carries. `code` is a code of gRPC, see [`grpc`].
#[must_use]
pub fn status_body(code: i32, message: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => RpcStatus { code, message: message.to_owned() }.encode_to_vec(),
        Encoding::Json => {
            let mut out = b"{\"code\":".to_vec();
            write_i64(&mut out, code.into());
            out.extend_from_slice(b",\"message\":");
            write_string(&mut out, message);
            out.push(b'}');
            out
        }
    }
}

/// `google.rpc.Status` without its details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}
