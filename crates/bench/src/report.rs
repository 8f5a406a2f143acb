//! Tables, printed and kept.

use std::fmt::Write;
use std::path::Path;

use crate::measure::{Spread, ms, ratio, whole};
use crate::{Result, disk, machine};

const BEGIN: &str = "<!-- bench:begin -->";
const CLOSE: &str = "<!-- bench:end -->";

/// What is demanded of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing: stated to be known.
    None,
}

/// The tables of a run.
pub(crate) struct Report {
    out: String,
    met: u32,
    missed: Vec<String>,
    disk: Vec<disk::Append>,
}

impl Report {
    pub(crate) fn begin(machine: String) -> Self {
        Self { out: machine, met: 0, missed: Vec::new(), disk: Vec::new() }
    }

    /// A new table.
    pub(crate) fn table(&mut self, title: &str, columns: &[&str]) {
        let _ = write!(self.out, "\n### {title}\n\n| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    }

    /// A line under a table.
    pub(crate) fn note(&mut self, note: &str) {
        let _ = write!(self.out, "\n{note}\n");
        println!("  {note}");
    }

    /// A row of the table begun last.
    pub(crate) fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.out, "| {} |", cells.join(" | "));
        println!("  {}", cells.join(" | "));
    }

    /// A figure against its bar: `bar: met` or `bar: **missed**`.
    pub(crate) fn judge(&mut self, what: &str, value: f64, bar: Bar, show: impl Fn(f64) -> String) -> String {
        let (met, demand) = match bar {
            Bar::AtLeast(least) => (value >= least, format!("≥ {}", show(least))),
            Bar::AtMost(most) => (value <= most, format!("≤ {}", show(most))),
            Bar::None => return "-".to_owned(),
        };
        if met {
            self.met += 1;
            return format!("{demand}: met");
        }
        self.missed.push(format!("{what}: {} ({demand})", show(value)));
        format!("{demand}: **missed**")
    }

    /// Keeps a measurement of the disk beside the figures.
    pub(crate) fn disk(&mut self, append: disk::Append) {
        self.disk.push(append);
    }

    /// The last words: the disk, the bars.
    pub(crate) fn close(&mut self, directory: &Path) -> Result<()> {
        for _ in 0..3 {
            self.disk.push(disk::append(directory, 600)?);
        }
        let over = |figure: fn(&disk::Append) -> f64| Spread::of(self.disk.iter().map(figure));
        let (rate, p50, p99) =
            (over(|append| append.cell.rate), over(|append| append.cell.p50_us), over(|append| append.cell.p99_us));
        self.table(
            "The disk meanwhile: append of 4 KiB + fdatasync",
            &["a second", "p50 ms", "p99 ms", "times looked"],
        );
        self.row(&[rate.show(whole), p50.show(ms), p99.show(ms), self.disk.len().to_string()]);
        let missed = self.missed.clone();
        let _ = write!(self.out, "\n### Bars\n\n{} met, {} missed", self.met, missed.len());
        self.out.push_str(if missed.is_empty() { ".\n" } else { ":\n\n" });
        for missed in missed {
            let _ = writeln!(self.out, "- {missed}");
        }
        let _ = write!(self.out, "\nLoad average at the end: {}.\n", machine::load());
        Ok(())
    }

    pub(crate) fn text(&self) -> &str {
        &self.out
    }

    /// Puts the tables between the markers of a page.
    pub(crate) fn write(&self, page: &Path) -> Result<()> {
        let text = std::fs::read_to_string(page)?;
        let (begin, close) = (text.find(BEGIN), text.find(CLOSE));
        let (Some(begin), Some(close)) = (begin, close) else {
            return Err(format!("{} has no markers {BEGIN}, {CLOSE}", page.display()).into());
        };
        let block = format!("{}{BEGIN}\n{}{}", &text[..begin], self.out, &text[close..]);
        Ok(std::fs::write(page, block)?)
    }
}

/// A ratio with its bar.
pub(crate) fn judged(report: &mut Report, what: &str, spread: Spread, bar: Bar) -> [String; 2] {
    let judged = report.judge(what, spread.median, bar, ratio);
    [spread.show(ratio), judged]
}
