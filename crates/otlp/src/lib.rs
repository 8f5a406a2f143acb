//! A pure mapping of OTLP trace exports to ledger batches.
//!
//! A body is decoded, from protobuf or JSON, into the same spans; each span becomes one [`Batch`] that ensures its run,
//! describes it where something new is known, and records the span as a trace. Nothing here does I/O or knows HTTP: the
//! server inflates the body, calls [`decode`], hands the batches to the ledger in one commit, and turns the results into
//! the response. docs/otlp.md has the mapping as a table.
//!
//! Invariants:
//!
//! - Both encodings of a span give the same batch, and the same span exported again gives the same `otel` text, so that
//!   the ledger sees a duplicate.
//! - What is wrong with one span refuses that span alone ([`Rejected`]); what cannot be decoded at all refuses the
//!   request ([`Malformed`]).
//! - A mapped batch keeps every limit of the model, whatever the span holds.
//!
//! ```
//! use tracekeep_otlp::{Encoding, decode, unavailable};
//! use tracekeep_store::{LedgerStore, MemoryLedger};
//!
//! let body = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",
//!     "spanId":"eee19b7ec3c1b174","name":"plan","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
//! let (batches, pending) = decode(body, Encoding::Json)?.into_batches();
//! let results = MemoryLedger::default().commit_blocking(batches);
//! assert!(unavailable(&results).is_none());
//! assert_eq!(pending.answer(&results).to_body(Encoding::Json), b"{}");
//! # Ok::<(), tracekeep_otlp::Malformed>(())
//! ```
//!
//! [`Batch`]: tracekeep_store::Batch

mod answer;
mod attributes;
mod base64;
mod decode;
mod decode_json;
mod decode_proto;
mod describe;
mod kind;
mod map;
mod message;
mod metadata;
mod otel;
mod plain;
mod span;

pub use answer::{Answer, Pending, grpc, status_body, unavailable};
pub use decode::{Encoding, Malformed, decode};
pub use map::{Export, MAPPER_VERSION, Mapped, Rejected};
