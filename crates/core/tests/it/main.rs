//! The model, the hashes and the trees from outside.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod docs;
mod generated;
mod json_numbers;
mod json_parse;
mod json_properties;
mod json_text;
mod json_vectors;
mod laws;
mod merkle_multiproof;
mod merkle_rfc;
mod merkle_tiles;
mod ops;
mod recorded;
mod remainder;
mod roundtrip;
mod vectors;
mod vectors_wire;
mod views;
