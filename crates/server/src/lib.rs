//! Tracekeep over HTTP: the API, OTLP, events, metrics, the OpenAPI document and the page, on one port.
//!
//! A thin face: every write is a batch handed to a [`tracekeep_store::LedgerStore`], every read one of its calls. The
//! routes stand in one table (`routes`), from which both the router and the OpenAPI document are made.

mod admission;
mod audited;
mod body;
mod call;
mod events;
mod gated;
mod metrics;
mod openapi;
mod otlp;
mod page;
mod params;
mod problem;
mod quiet;
mod routes;
mod serve;
mod stall;
mod state;
mod sweep;
mod webhook;

pub use openapi::document as openapi_document;
pub use problem::{CODES, error_codes_of, error_page};
pub use quiet::SealOptions;
pub use serve::{Bound, ConnectionLimits, bind};
pub use state::{App, AuditOptions};
pub use webhook::{Tries, Webhook};
