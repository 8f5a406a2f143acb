//! Which incidents, in what order.

use tracekeep_core::TimeRange;
use tracekeep_core::id::RunId;
use tracekeep_core::model::{IncidentStatus, Severity};

use super::{Order, PageRequest};

/// Which incidents; every attribute that is there must fit.
///
/// By one attribute, with any range of times, a page costs what it returns; several together walk that of the run, else that
/// of the severity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Where it stands.
    pub status: Option<IncidentStatus>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// The run that caused it; none of an unknown run.
    pub run: Option<RunId>,
    /// When it was opened: its `created_at`.
    pub time: TimeRange,
}

/// A list of incidents by (created_at, log index), newest first unless told.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentQuery {
    /// Which.
    pub filter: IncidentFilter,
    /// In which direction.
    pub order: Order,
    /// How many, from where.
    pub page: PageRequest,
}

impl Default for IncidentQuery {
    fn default() -> Self {
        Self { filter: IncidentFilter::default(), order: Order::Newest, page: PageRequest::default() }
    }
}

impl IncidentQuery {
    pub(crate) fn fingerprint(&self) -> String {
        format!("incidents {:?} {}", self.filter, self.order)
    }
}

/// An order of incidents that an index keeps: by (created_at, log index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentIndex {
    /// All of them.
    All,
    /// Of where they stand.
    Status(IncidentStatus),
    /// Of how bad they are.
    Severity(Severity),
    /// Of the run of this number.
    Run(u64),
}
