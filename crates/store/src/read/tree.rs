//! Walking a run's forest: flat, in pre-order, a page at a time.
//!
//! The cursor holds the node shown last, its depth and the size of the first page, never the path: the way up is found
//! by the places that traces hang at. As of a size, a parent that came later is still missing.

use std::cell::RefCell;
use std::collections::VecDeque;

use tracekeep_core::TimeRange;
use tracekeep_core::id::RunId;
use tracekeep_core::view::TreeNode;

use super::{Meter, known, traces};
use crate::error::{Code, Error, Result};
use crate::plan::nowhere;
use crate::query::{Cursor, Order, Page, TreeQuery};
use crate::rows::{Slot, SlotRow, TraceRow};
use crate::snapshot::{Position, Snapshot, Stretch, TraceIndex};

/// A node of the walk: a trace, or an id whose trace is missing.
#[derive(Clone)]
enum Node {
    Trace(TraceRow),
    Missing(SlotRow),
}

impl Node {
    const fn position(&self) -> Position {
        match self {
            Self::Trace(row) => (row.occurred_at, row.log_index),
            Self::Missing(slot) => (slot.occurred_at, slot.named_by),
        }
    }

    const fn children(&self) -> Slot {
        match self {
            Self::Trace(row) => row.children,
            Self::Missing(slot) => Slot::Named(slot.named_by),
        }
    }

    /// The key that a cursor holds: positive a trace, negative a missing id.
    fn key(&self) -> i64 {
        match self {
            Self::Trace(row) => Slot::Under(row.log_index).to_key(),
            Self::Missing(slot) => Slot::Named(slot.named_by).to_key(),
        }
    }
}

/// The forest of a run, or the tree under one trace.
///
/// # Errors
/// `run_not_found`, `trace_not_found`, `invalid_parameter`, `invalid_cursor`; what the snapshot fails with.
pub fn tree(snapshot: &impl Snapshot, run_id: &RunId, query: &TreeQuery) -> Result<Page<TreeNode>> {
    query.page.check()?;
    let run = known(snapshot, run_id)?;
    let fingerprint = query.fingerprint(run_id.as_str());
    let cursor = query.page.cursor.as_deref().map(|text| Cursor::read(text, &fingerprint)).transpose()?;
    let as_of = cursor.map_or(snapshot.size(), |cursor| cursor.as_of);
    let mut walk = Walk {
        snapshot,
        run_no: run.run_no,
        as_of,
        of_one_tree: query.root.is_some(),
        limit: query.page.limit,
        meter: Meter::default(),
        way: Vec::new(),
        ahead: RefCell::default(),
    };
    let depth_max = query.depth.unwrap_or(u32::MAX);
    let mut items = Vec::new();
    let mut at = match cursor {
        Some(cursor) => {
            let node = walk.node(cursor.at.0)?;
            walk.next(&node, cursor.depth, cursor.depth < depth_max)?
        }
        None => match &query.root {
            Some(id) => {
                let missing = || Error::new(Code::TraceNotFound, format!("no trace {id} is recorded in the run"));
                let row = snapshot.trace(run.run_no, id)?.ok_or_else(missing)?;
                Some((Node::Trace(row), 0))
            }
            None => walk.first(Slot::Root, None)?.map(|node| (node, 0)),
        },
    };
    let mut last: Option<(i64, u32)> = None;
    while let Some((node, depth)) = at {
        if let Some((key, depth)) = last.filter(|_| items.len() == query.page.limit as usize || walk.meter.is_full()) {
            let cursor = Cursor { as_of, at: (key, 0), depth };
            return Ok(Page::of(items, Some(cursor.write(&fingerprint))));
        }
        let shown = walk.show(&node, depth)?;
        let down = shown.children > 0 && depth < depth_max;
        items.push(shown);
        last = Some((node.key(), depth));
        at = walk.next(&node, depth, down)?;
    }
    Ok(Page::of(items, None))
}

struct Walk<'a, S> {
    snapshot: &'a S,
    run_no: u64,
    /// What came later is passed over: a read costs what it returns and what was added there since the first page.
    as_of: u64,
    /// It ends with the tree of its root: nothing stands beside that.
    of_one_tree: bool,
    /// Nodes of the page at most.
    limit: u32,
    meter: Meter,
    /// The way down to the node that was shown last, as far as this page showed it.
    way: Vec<Passed>,
    ahead: RefCell<Ahead>,
}

/// A node on the way.
struct Passed {
    node: Node,
    depth: u32,
    /// Children that were not walked yet, at most.
    left: u64,
}

impl<S: Snapshot> Walk<'_, S> {
    fn node(&self, key: i64) -> Result<Node> {
        let refuse = || Error::new(Code::InvalidCursor, "the cursor names a node that is not there").at("cursor");
        match Slot::from_key(key) {
            Slot::Root => Err(refuse()),
            Slot::Under(log_index) => Ok(Node::Trace(self.snapshot.trace_at(log_index)?.ok_or_else(refuse)?)),
            Slot::Named(named_by) => Ok(Node::Missing(self.snapshot.slot_at(named_by)?.ok_or_else(refuse)?)),
        }
    }

    fn show(&mut self, node: &Node, depth: u32) -> Result<TreeNode> {
        let children = self.snapshot.children(self.run_no, node.children())?;
        self.way.push(Passed { node: node.clone(), depth, left: children });
        Ok(match node {
            Node::Trace(row) => {
                TreeNode { trace: Some(traces::view(self.snapshot, row, &self.meter)?), missing: None, depth, children }
            }
            Node::Missing(slot) => TreeNode { trace: None, missing: Some(slot.id.clone()), depth, children },
        })
    }

    /// The node after `node` in pre-order: its first child, else the next sibling of it or of its nearest ancestor that
    /// has one.
    fn next(&mut self, node: &Node, depth: u32, down: bool) -> Result<Option<(Node, u32)>> {
        if down && let Some(child) = self.first(node.children(), None)? {
            self.step_into(depth);
            return Ok(Some((child, depth + 1)));
        }
        let (mut node, mut depth) = (node.clone(), depth);
        loop {
            while self.way.last().is_some_and(|passed| passed.depth >= depth) {
                self.way.pop();
            }
            if depth == 0 && self.of_one_tree {
                return Ok(None);
            }
            let place = match &node {
                Node::Missing(_) => Slot::Root,
                Node::Trace(row) => row.parent,
            };
            let was_last = self.way.last().is_some_and(|above| above.left == 0);
            if !was_last && let Some(sibling) = self.first(place, Some(node.position()))? {
                if let Some(above) = depth.checked_sub(1) {
                    self.step_into(above);
                }
                return Ok(Some((sibling, depth)));
            }
            if depth == 0 {
                return Ok(None);
            }
            node = match self.way.last() {
                Some(above) => above.node.clone(),
                None => match self.up(place)? {
                    Some(parent) => parent,
                    None => return Ok(None),
                },
            };
            depth -= 1;
        }
    }

    /// Notes that a child of the node at `depth` of the way is walked.
    fn step_into(&mut self, depth: u32) {
        if let Some(above) = self.way.last_mut().filter(|above| above.depth == depth) {
            above.left = above.left.saturating_sub(1);
        }
    }

    /// The node that a place hangs under, as of the walk's size.
    fn up(&self, place: Slot) -> Result<Option<Node>> {
        let under = |log_index| -> Result<Option<Node>> {
            Ok(Some(Node::Trace(self.snapshot.trace_at(log_index)?.ok_or_else(|| nowhere(log_index))?)))
        };
        match place {
            Slot::Root => Ok(None),
            Slot::Under(log_index) => under(log_index),
            Slot::Named(named_by) => {
                let slot = self.snapshot.slot_at(named_by)?.ok_or_else(|| nowhere(named_by))?;
                match slot.filled_by {
                    Some(log_index) if log_index < self.as_of => under(log_index),
                    _ => Ok(Some(Node::Missing(slot))),
                }
            }
        }
    }

    /// The first node at a place after a position.
    fn first(&self, place: Slot, after: Option<Position>) -> Result<Option<Node>> {
        let mut from = after;
        let trace = loop {
            let stretch = Stretch { order: Order::Oldest, range: TimeRange::ALL, after: from, limit: 1 };
            let row = self.snapshot.traces(self.run_no, TraceIndex::At(place), stretch)?.pop();
            match row {
                Some(row) if row.log_index < self.as_of => break Some(row),
                Some(row) => from = Some((row.occurred_at, row.log_index)),
                None => break None,
            }
        };
        let missing = if place == Slot::Root { self.first_missing(after)? } else { None };
        Ok(match (trace, missing) {
            (Some(row), Some(slot)) if (slot.occurred_at, slot.named_by) < (row.occurred_at, row.log_index) => {
                Some(Node::Missing(slot))
            }
            (Some(row), _) => Some(Node::Trace(row)),
            (None, missing) => missing.map(Node::Missing),
        })
    }

    /// The first missing id after a position. They are read ahead: as of an earlier size each reading looks at every place
    /// that was filled since.
    fn first_missing(&self, after: Option<Position>) -> Result<Option<SlotRow>> {
        let mut ahead = self.ahead.borrow_mut();
        let position = |slot: &SlotRow| (slot.occurred_at, slot.named_by);
        loop {
            while ahead.rows.front().is_some_and(|slot| after.is_some_and(|after| position(slot) <= after)) {
                ahead.rows.pop_front();
            }
            while ahead.rows.front().is_some_and(|slot| slot.named_by >= self.as_of) {
                ahead.rows.pop_front();
            }
            if !ahead.rows.is_empty() || ahead.to_the_end {
                return Ok(ahead.rows.front().cloned());
            }
            let from = ahead.read_to.max(after);
            let rows = self.snapshot.missing(self.run_no, self.as_of, from, self.limit)?;
            ahead.to_the_end = rows.len() < self.limit as usize;
            ahead.read_to = rows.last().map(position).or(from);
            ahead.rows = rows.into();
        }
    }
}

/// Missing ids that were read and are yet to be walked: a walk comes to the roots in ascending order.
#[derive(Default)]
struct Ahead {
    rows: VecDeque<SlotRow>,
    /// The position of the last one that was read.
    read_to: Option<Position>,
    to_the_end: bool,
}
