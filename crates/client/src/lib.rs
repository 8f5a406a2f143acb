//! The store traits over HTTP: a [`HttpLedger`] is a ledger that lives in a running server, a
//! [`HttpAudit`] what that server keeps of audits.
//!
//! Calls block the calling thread while the server answers. A write that got no answer may have happened: its error's
//! `outcome()` is unknown, and sending the same again is safe. Of several batches in one call, those after it are not sent.

mod answer;
mod audit;
mod gate;
mod ledger;
mod request;

pub use audit::HttpAudit;
pub use ledger::HttpLedger;
