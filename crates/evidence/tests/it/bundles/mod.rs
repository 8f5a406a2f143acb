//! Bundles: what is built verifies, and nothing else does.

mod compared;
mod forge;
mod framing;
mod golden;
mod hostile;
mod ledger;
mod mutated;
mod negative;
mod structure;
