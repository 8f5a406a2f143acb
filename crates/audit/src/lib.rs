//! Reconciliation: what should have happened in a run, against what did.
//!
//! Pure: facts and a time go in, a [`AuditVerdict`] comes out. Facts are never changed; where an expectation stands is derived
//! from them each time, so the same facts at the same time give the same verdict, in whatever order they are handed over.
//!
//! ```
//! use tracekeep_audit::{AuditReconciler, Event, ExpectationFact, VerdictStatus, names};
//! use tracekeep_core::Timestamp;
//! use tracekeep_core::model::{AckStatus, Expect};
//!
//! let at = |ms: i64| Timestamp::from_nanos(ms * 1_000_000);
//! let expect = Expect::new("run-1".parse()?, names::INCIDENTS, names::CREATE_INCIDENT, 5_000);
//! let expected = ExpectationFact::new("e-1".parse()?, &expect, at(0));
//! let mut reconciler = AuditReconciler::new(vec![expected], Vec::new());
//! assert_eq!(reconciler.reconcile(at(5_000)).verdict.status, VerdictStatus::Pending);
//! assert_eq!(reconciler.reconcile(at(5_001)).verdict.status, VerdictStatus::Incomplete);
//!
//! reconciler.push(Event::ack("a-1".parse()?, names::INCIDENTS, names::CREATE_INCIDENT, AckStatus::Success, at(40), 7));
//! assert!(reconciler.reconcile(at(5_001)).verdict.is_clean());
//! # Ok::<(), tracekeep_core::Invalid>(())
//! ```

mod contract;
mod fact;
mod fold;
pub mod names;
mod reconcile;
mod verdict;
mod view;

pub use contract::{Contract, STANDARD, Term, standard_contract, standard_expectations};
pub use fact::{Event, ExpectationFact, Said};
pub use fold::{ActionFold, Last};
pub use reconcile::{AuditReconciler, Reconciled, Standing};
pub use verdict::{AuditFinding, AuditVerdict, LISTED_MAX, VerdictStatus};
pub use view::{AuditExpectation, AuditSummary, DomainAck, PendingRun};
