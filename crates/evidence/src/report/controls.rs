//! What is shown of SOC 2's controls, and of which period.

use super::page::{Column, Page};
use super::words::time;
use crate::controls::{ControlStatus, Controls};
use crate::quoted::count;

const fn in_words(status: ControlStatus) -> &'static str {
    match status {
        ControlStatus::Demonstrated => "demonstrated",
        ControlStatus::Partial => "partial",
        ControlStatus::NotDemonstrated => "not demonstrated",
    }
}

pub(super) fn write(page: &mut Page, controls: &Controls) {
    page.heading("Period and controls");
    page.text(&match controls.period {
        Some(period) => format!(
            "The period is from {} to {}, excluded. What was recorded outside of it supports nothing here, and of incidents \
             those count that were open in it: {}.",
            time(period.from),
            time(period.to),
            count(controls.incidents.len(), "incident"),
        ),
        None => "No period is stated: everything that is recorded of the run counts.".to_owned(),
    });
    let rows = controls
        .controls
        .iter()
        .map(|control| vec![control.control.clone(), control.title.clone(), in_words(control.status).to_owned()]);
    let columns = [("control", Column::Words), ("is about", Column::Words), ("the records show it as", Column::Words)];
    page.table(&columns, &rows.collect::<Vec<_>>());
    page.note("Derived from the records alone. It is no attestation: an auditor judges a control.");
    let rows = controls.controls.iter().flat_map(|control| {
        control.asked.iter().map(move |asked| {
            let entries: Vec<_> = asked.entries.iter().map(u64::to_string).collect();
            vec![control.control.clone(), asked.what.clone(), in_words(asked.status).to_owned(), entries.join(", ")]
        })
    });
    page.below("What each asks for");
    let columns = [
        ("control", Column::Words),
        ("asks for", Column::Words),
        ("which is", Column::Words),
        ("shown by the entries", Column::Words),
    ];
    page.table(&columns, &rows.collect::<Vec<_>>());
}
