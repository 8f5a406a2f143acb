//! Bundles: what is built verifies, and nothing else does.

mod compared;
mod flipped;
mod forge;
mod golden;
mod hostile;
mod ledger;
mod mutated;
mod negative;
mod structure;
mod violations;
