//! Incidents and exports in maps, and the ids of both whose runs were erased.

use std::collections::{BTreeSet, HashMap};

use tracekeep_core::id::{ExportId, IncidentId};
use tracekeep_core::model::{IncidentStatus, Severity};

use super::index::stretch;
use crate::query::IncidentIndex;
use crate::rows::{ExportRow, IncidentRow, OwnedId};
use crate::snapshot::{Position, Stretch};

/// One attribute of incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum IncidentAttribute {
    All,
    Status(IncidentStatus),
    Severity(Severity),
    Run(u64),
}

impl From<IncidentIndex> for IncidentAttribute {
    fn from(index: IncidentIndex) -> Self {
        match index {
            IncidentIndex::All => Self::All,
            IncidentIndex::Status(status) => Self::Status(status),
            IncidentIndex::Severity(severity) => Self::Severity(severity),
            IncidentIndex::Run(run_no) => Self::Run(run_no),
        }
    }
}

/// What a ledger holds of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Incidents {
    rows: HashMap<IncidentId, IncidentRow>,
    order: BTreeSet<(IncidentAttribute, Position)>,
    /// By their log index.
    ids: HashMap<u64, IncidentId>,
    exports: HashMap<ExportId, ExportRow>,
    /// The redactions that erased their runs.
    erased: HashMap<OwnedId, u64>,
}

impl Incidents {
    /// The names of the tables in which two of them differ.
    pub(super) fn differences(&self, other: &Self) -> impl Iterator<Item = (&'static str, bool)> {
        let incidents = self.rows == other.rows && self.order == other.order && self.ids == other.ids;
        let (exports, erased) = (self.exports == other.exports, self.erased == other.erased);
        [("incident", incidents), ("export", exports), ("erased_id", erased)].into_iter()
    }

    pub(super) fn put(&mut self, row: IncidentRow) {
        if let Some(before) = self.rows.get(&row.incident_id).cloned() {
            self.drop_row(&before);
        }
        self.order.extend(places(&row));
        self.ids.insert(row.log_index, row.incident_id.clone());
        self.rows.insert(row.incident_id.clone(), row);
    }

    pub(super) fn put_export(&mut self, row: ExportRow) {
        self.exports.insert(row.export_id.clone(), row);
    }

    fn drop_row(&mut self, row: &IncidentRow) {
        for place in places(row) {
            self.order.remove(&place);
        }
        self.ids.remove(&row.log_index);
        self.rows.remove(&row.incident_id);
    }

    /// Takes those of a run away.
    pub(super) fn erase(&mut self, run_no: u64) {
        let gone: Vec<_> = self.rows.values().filter(|row| row.run_no == Some(run_no)).cloned().collect();
        gone.iter().for_each(|row| self.drop_row(row));
        self.exports.retain(|_, row| row.run_no != Some(run_no));
    }

    pub(super) fn put_erased(&mut self, ids: Vec<OwnedId>, redaction: u64) {
        self.erased.extend(ids.into_iter().map(|id| (id, redaction)));
    }

    pub(super) fn get(&self, id: &IncidentId) -> Option<IncidentRow> {
        self.rows.get(id).cloned()
    }

    pub(super) fn list(&self, index: IncidentIndex, wanted: Stretch) -> Vec<IncidentRow> {
        let attribute = IncidentAttribute::from(index);
        let positions = stretch(&self.order, wanted, |at| (attribute, at), |(_, at)| *at);
        let ids = positions.into_iter().filter_map(|(_, log_index)| self.ids.get(&log_index));
        ids.filter_map(|id| self.rows.get(id)).cloned().collect()
    }

    pub(super) fn export(&self, id: &ExportId) -> Option<u64> {
        self.exports.get(id).map(|row| row.log_index)
    }

    pub(super) fn owned_ids(&self, run_no: u64, limit: u32) -> Vec<(u64, OwnedId)> {
        let incidents = self.rows.values().filter(|row| row.run_no == Some(run_no));
        let incidents = incidents.map(|row| (row.log_index, OwnedId::Incident(row.incident_id.clone())));
        let exports = self.exports.values().filter(|row| row.run_no == Some(run_no));
        let exports = exports.map(|row| (row.log_index, OwnedId::Export(row.export_id.clone())));
        let mut ids: Vec<_> = incidents.chain(exports).collect();
        ids.sort_by_key(|(log_index, _)| *log_index);
        ids.truncate(limit as usize);
        ids
    }

    pub(super) fn erased_id(&self, id: &OwnedId) -> Option<u64> {
        self.erased.get(id).copied()
    }
}

/// Where an incident stands in the ordered index.
fn places(row: &IncidentRow) -> Vec<(IncidentAttribute, Position)> {
    let mut attributes = vec![IncidentAttribute::All, IncidentAttribute::Status(row.status)];
    attributes.extend(row.severity.map(IncidentAttribute::Severity));
    attributes.extend(row.run_no.map(IncidentAttribute::Run));
    attributes.into_iter().map(|attribute| (attribute, (row.created_at, row.log_index))).collect()
}
