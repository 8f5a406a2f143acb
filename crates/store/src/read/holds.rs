//! Reading what is held.

use std::collections::HashSet;

use tracekeep_core::model::{Op, OpenIncident};
use tracekeep_core::view::Held;
use tracekeep_core::{TimeRange, Timestamp};

use super::{Walk, page};
use crate::error::Result;
use crate::plan::nowhere;
use crate::query::{Order, Page, PageRequest};
use crate::rows::{HoldPlace, HoldRow};
use crate::snapshot::Snapshot;

/// As many holds are read at once to tell of runs whether they are held; where there are more, each run is looked up.
const FEW: u32 = 64;

/// Tells of runs whether they are held now. It costs one look-up for as many runs as are asked about, unless much is held.
pub(super) struct Holding<'a, S> {
    snapshot: &'a S,
    all: Option<HashSet<HoldPlace>>,
}

impl<'a, S: Snapshot> Holding<'a, S> {
    pub(super) fn new(snapshot: &'a S) -> Result<Self> {
        let few = snapshot.holds(None, FEW + 1)?;
        let all = (few.len() <= FEW as usize).then(|| few.into_iter().map(|row| row.place).collect());
        Ok(Self { snapshot, all })
    }

    pub(super) fn holds(&self, run_no: u64, tags: &[String]) -> Result<bool> {
        if self.all.as_ref().is_some_and(HashSet::is_empty) {
            return Ok(false);
        }
        let places = tags.iter().map(|tag| HoldPlace::Tag(tag.clone()));
        for place in std::iter::once(HoldPlace::Run(run_no)).chain(places) {
            let held = match &self.all {
                Some(all) => all.contains(&place),
                None => self.snapshot.hold(&place)?.is_some_and(|row| row.held),
            };
            if held {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is held now, in the order in which it came to be.
///
/// # Errors
/// `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn holds(snapshot: &impl Snapshot, request: &PageRequest) -> Result<Page<Held>> {
    page(
        Walk {
            request,
            order: Order::Oldest,
            range: TimeRange::ALL,
            query: "holds",
            size: snapshot.size(),
            width: 1,
            partial: false,
        },
        |stretch| snapshot.holds(stretch.after.map(|(_, log_index)| log_index), stretch.limit),
        |row: &HoldRow| (Timestamp::from_nanos(0), row.log_index),
        |_, _| Ok(true),
        |row, meter| {
            let entry = meter.entry(snapshot, row.log_index)?;
            let (run_id, tag, reason, by) = match entry.op()? {
                Some(Op::Hold(op)) => (op.run_id, op.tag, op.reason, op.by),
                // An incident holds its run by being open.
                Some(Op::OpenIncident(OpenIncident { incident_id: Some(id), run_id, .. })) => {
                    (run_id, None, format!("incident {id}"), None)
                }
                _ => return Err(nowhere(row.log_index)),
            };
            Ok(Held { run_id, tag, reason, by, log_index: row.log_index, recorded_at: entry.recorded_at })
        },
    )
}
