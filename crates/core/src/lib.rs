//! The model, canonical JSON, hashes and trees of Tracekeep.
//!
//! This crate is pure: it does no I/O and reads no clock and no randomness. Times, ids and random bytes are passed in.
//! What it defines can never change once it was recorded: see docs/format/ for the bytes, vectors/ for worked values.
//!
//! ```
//! use tracekeep_core::json::Json;
//! use tracekeep_core::model::{Op, RecordStep};
//!
//! let step = RecordStep::new("run-1".parse()?, 0, "search", Json::parse(r#"{"q":"FRA-LIS"}"#)?);
//! let mut op = Op::RecordStep(step);
//! op.check()?;
//! assert!(op.body().as_str().starts_with(r#"{"cost_cents":"0","duration_ms":0,"index":0,"input_hash":""#));
//! # Ok::<(), tracekeep_core::Invalid>(())
//! ```

pub mod age;
pub mod amount;
pub mod body;
pub mod compare;
pub mod erasure;
pub mod hash;
pub mod id;
mod invalid;
pub mod json;
mod leaf;
pub mod limits;
pub mod matches;
pub mod merkle;
pub mod model;
pub mod redaction;
pub mod remainder;
pub mod seal;
mod serial;
mod time;
pub mod view;
pub mod wire;

pub use invalid::{Invalid, InvalidCode};
pub use leaf::Leaf;
pub use time::{TimeRange, Timestamp};
