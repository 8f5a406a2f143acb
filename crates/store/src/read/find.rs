//! Finding the traces that a filter lets through: which index is walked, and what its rows are filtered by.
//!
//! One attribute is walked in its own index. Of several, the one with the fewest traces by the kept counters; rows of it
//! that do not fit count against the page's budget. Every index is in the same order, so a cursor holds for all of them.

use std::collections::HashSet;

use tracekeep_core::id::TraceId;
use tracekeep_core::limits::SCAN_ROWS_MAX;

use crate::error::Result;
use crate::query::{Order, TraceFilter};
use crate::rows::{RunRow, Slot, TraceRow};
use crate::snapshot::{Position, Snapshot, Stretch, TraceCounter, TraceIndex};
use crate::words::Words;

/// What is walked.
enum Source<'a> {
    Index(TraceIndex<'a>),
    /// Traces with at least one of the tags: their indices, merged.
    AnyTag(&'a [String]),
    /// These and no others, in order.
    Rows(Vec<TraceRow>),
}

/// The traces whose text fits.
enum Text {
    Any,
    /// All of them, by their log indices.
    In(HashSet<u64>),
    /// Too many to list.
    Many(Words),
}

/// A filter, made ready to walk a run.
pub(super) struct Finder<'a, S> {
    snapshot: &'a S,
    run_no: u64,
    filter: &'a TraceFilter,
    /// The place that the traces hang at.
    place: Option<Slot>,
    text: Text,
    source: Source<'a>,
    /// Whether the filter asks for nothing but what is walked.
    only: bool,
}

impl<'a, S: Snapshot> Finder<'a, S> {
    pub(super) fn new(snapshot: &'a S, run: &RunRow, filter: &'a TraceFilter) -> Result<Self> {
        let run_no = run.run_no;
        let nothing = Source::Rows(Vec::new());
        let place = match &filter.parent {
            Some(id) => place_of(snapshot, run_no, id)?,
            None => filter.roots.then_some(Slot::Root),
        };
        let text = match &filter.text {
            Some(text) => texts(snapshot, run_no, Words::of_query(text))?,
            None => Text::Any,
        };
        // What hangs on a trace is no root, and nothing hangs on nobody.
        let nothing_fits = filter.parent.is_some() && (filter.roots || place.is_none()) || filter.time.is_empty();
        let source = if nothing_fits { nothing } else { rarest(snapshot, run, filter, place, &text)? };
        let asked = usize::from(filter.type_name.is_some())
            + usize::from(filter.status.is_some())
            + usize::from(place.is_some())
            + filter.tags.len();
        let is_more = !filter.ids.is_empty() || !filter.any_tags.is_empty() || filter.text.is_some();
        Ok(Self { snapshot, run_no, filter, place, text, source, only: asked <= 1 && !is_more })
    }

    /// The index that is walked, where all that it gives fits.
    pub(super) fn only(&self) -> Option<TraceIndex<'a>> {
        match self.source {
            Source::Index(index) if self.only => Some(index),
            _ => None,
        }
    }

    /// Rows that are visited for each that a scan gives: its own, those of the tags that are merged, and one for each tag
    /// that it is asked for.
    pub(super) fn width(&self) -> u32 {
        let (scanned, asked) = match &self.source {
            Source::AnyTag(tags) => (tags.len(), self.filter.tags.len()),
            Source::Index(TraceIndex::Tag(_)) => (1, self.filter.tags.len() - 1 + self.filter.any_tags.len()),
            _ => (1, self.filter.tags.len() + self.filter.any_tags.len()),
        };
        u32::try_from(scanned + asked).expect("invariant: a filter has at most 128 tags")
    }

    /// The next rows of what is walked.
    pub(super) fn scan(&self, stretch: Stretch) -> Result<Vec<TraceRow>> {
        match &self.source {
            Source::Index(index) => self.snapshot.traces(self.run_no, *index, stretch),
            Source::AnyTag(tags) => {
                let mut rows = Vec::new();
                for tag in *tags {
                    rows.extend(self.snapshot.traces(self.run_no, TraceIndex::Tag(tag), stretch)?);
                }
                sort(&mut rows, stretch.order);
                rows.dedup_by_key(|row| row.log_index);
                rows.truncate(stretch.limit as usize);
                Ok(rows)
            }
            Source::Rows(rows) => {
                let ahead = |row: &&TraceRow| {
                    let at = position(row);
                    stretch.range.contains(row.occurred_at)
                        && stretch.after.is_none_or(|after| match stretch.order {
                            Order::Oldest => at > after,
                            Order::Newest => at < after,
                        })
                };
                let limit = stretch.limit as usize;
                Ok(match stretch.order {
                    Order::Oldest => rows.iter().filter(ahead).take(limit).cloned().collect(),
                    Order::Newest => rows.iter().rev().filter(ahead).take(limit).cloned().collect(),
                })
            }
        }
    }

    /// Whether a row of what is walked fits everything else.
    pub(super) fn fits(&self, row: &TraceRow) -> Result<bool> {
        let (filter, at) = (self.filter, position(row));
        let fits = filter.type_name.as_ref().is_none_or(|name| *name == row.type_name)
            && filter.status.is_none_or(|status| status == row.status)
            && self.place.is_none_or(|place| place == row.parent)
            && (filter.ids.is_empty() || filter.ids.contains(&row.id));
        if !fits {
            return Ok(false);
        }
        let has = |tag: &String| {
            let walked = matches!(self.source, Source::Index(TraceIndex::Tag(own)) if own == tag);
            Ok(walked || self.snapshot.has_tag(self.run_no, tag, at)?)
        };
        for tag in &filter.tags {
            if !has(tag)? {
                return Ok(false);
            }
        }
        if !filter.any_tags.is_empty() && !matches!(self.source, Source::AnyTag(_)) && !any(&filter.any_tags, has)? {
            return Ok(false);
        }
        match &self.text {
            Text::Any => Ok(true),
            Text::In(all) => Ok(all.contains(&row.log_index)),
            Text::Many(words) => self.snapshot.has_text(self.run_no, words, row.log_index),
        }
    }
}

fn any(tags: &[String], has: impl Fn(&String) -> Result<bool>) -> Result<bool> {
    for tag in tags {
        if has(tag)? {
            return Ok(true);
        }
    }
    Ok(false)
}

const fn position(row: &TraceRow) -> Position {
    (row.occurred_at, row.log_index)
}

fn sort(rows: &mut [TraceRow], order: Order) {
    rows.sort_unstable_by(|a, b| match order {
        Order::Oldest => position(a).cmp(&position(b)),
        Order::Newest => position(b).cmp(&position(a)),
    });
}

/// Where the children of an id hang, whether its trace has come or not.
fn place_of(snapshot: &impl Snapshot, run_no: u64, id: &TraceId) -> Result<Option<Slot>> {
    if let Some(row) = snapshot.trace(run_no, id)? {
        return Ok(Some(row.children));
    }
    Ok(snapshot.slot(run_no, id)?.map(|slot| Slot::Named(slot.named_by)))
}

fn texts(snapshot: &impl Snapshot, run_no: u64, words: Words) -> Result<Text> {
    let hits = snapshot.with_text(run_no, &words, SCAN_ROWS_MAX + 1)?;
    Ok(if hits.len() > SCAN_ROWS_MAX as usize { Text::Many(words) } else { Text::In(hits.into_iter().collect()) })
}

/// The source with the fewest traces. The counters are asked only where there is a choice.
fn rarest<'a>(
    snapshot: &impl Snapshot,
    run: &RunRow,
    filter: &'a TraceFilter,
    place: Option<Slot>,
    text: &Text,
) -> Result<Source<'a>> {
    let run_no = run.run_no;
    if !filter.ids.is_empty() {
        let rows = filter.ids.iter().filter_map(|id| snapshot.trace(run_no, id).transpose());
        return in_order(rows.collect::<Result<Vec<_>>>()?);
    }
    let mut indices: Vec<(TraceIndex<'a>, TraceCounter<'a>)> = Vec::new();
    if let Some(name) = &filter.type_name {
        indices.push((TraceIndex::Type(name), TraceCounter::Type(name)));
    }
    if let Some(status) = filter.status {
        indices.push((TraceIndex::Status(status), TraceCounter::Status(status)));
    }
    indices.extend(filter.tags.iter().map(|tag| (TraceIndex::Tag(tag), TraceCounter::Tag(tag))));
    let choices = indices.len()
        + usize::from(place.is_some())
        + usize::from(!filter.any_tags.is_empty())
        + usize::from(matches!(text, Text::In(_)));
    let only = choices == 1;
    let mut best: Option<(u64, Source<'a>)> = None;
    let mut offer = |count: Result<u64>, source: Source<'a>| -> Result<()> {
        let count = count?;
        if best.as_ref().is_none_or(|(least, _)| count < *least) {
            best = Some((count, source));
        }
        Ok(())
    };
    for (index, counter) in indices {
        offer(if only { Ok(0) } else { snapshot.trace_count(run_no, counter) }, Source::Index(index))?;
    }
    if let Some(place) = place {
        offer(if only { Ok(0) } else { snapshot.children(run_no, place) }, Source::Index(TraceIndex::At(place)))?;
    }
    if !filter.any_tags.is_empty() {
        let counts = filter.any_tags.iter().map(|tag| snapshot.trace_count(run_no, TraceCounter::Tag(tag)));
        offer(if only { Ok(0) } else { counts.sum() }, Source::AnyTag(&filter.any_tags))?;
    }
    if let Text::In(hits) = text {
        let count = hits.len() as u64;
        if best.as_ref().is_none_or(|(least, _)| count <= *least) {
            let rows = hits.iter().filter_map(|log_index| snapshot.trace_at(*log_index).transpose());
            return in_order(rows.collect::<Result<Vec<_>>>()?);
        }
    }
    Ok(best.map_or(Source::Index(TraceIndex::All), |(_, source)| source))
}

fn in_order<'a>(mut rows: Vec<TraceRow>) -> Result<Source<'a>> {
    sort(&mut rows, Order::Oldest);
    rows.dedup_by_key(|row| row.log_index);
    Ok(Source::Rows(rows))
}
