//! Bundles: archives that prove themselves (docs/format/bundle.md).
//!
//! [`build`] makes one from plain values, byte for byte the same each time; [`verify`] holds one to the keys that the
//! verifier brings, without any store, clock or network.
//!
//! Invariants:
//!
//! - What a manifest says of its records is computed by the same functions, in `facts`, when the bundle is built and again
//!   when it is verified: nothing is claimed that is not recomputed, or named as a claim.
//! - Nothing of a bundle is unpacked to a file, and nothing is read beyond the length that it states.

mod archive;
mod build;
mod contents;
mod facts;
mod manifest;
mod verify;

pub use archive::{BUNDLE_BYTES_MAX, MEMBERS_MAX};
pub use build::{BuildError, build};
pub use contents::LeafLine;
pub use contents::{Contents, Kind, Period, Record};
pub use facts::Totals;
pub(crate) use manifest::read_canonical;
pub use manifest::{PREDICATE_TYPE, Predicate};
pub use verify::{
    Aspect, Counts, Options, Outcome, Reason, Remark, Report, RunCounts, Verdict, Withheld, explained, verify,
};
pub(crate) use verify::{Fault, LINE_LEVELS, earlier, foreign, outcome_of, verdicts_json, without_key};
