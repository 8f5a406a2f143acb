//! Bundles: what is built verifies, and nothing else does.

mod golden;
mod ledger;
