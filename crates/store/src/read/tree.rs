//! Walking a run's forest: flat, in pre-order, a page at a time.
//!
//! The cursor holds a node, its depth and the size of the first page, never the path: the way up is found by the places
//! that traces hang at. As of a size, a parent that came later is still missing. What a page passes over (rows that came
//! later, levels on the way up) is within the budget that lists have; where it ends, the cursor holds the row that was
//! passed last.

use tracekeep_core::TimeRange;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{PAGE_ITEMS_MAX, SCAN_ROWS_MAX};
use tracekeep_core::view::TreeNode;

use super::siblings::{Row, Siblings, Sought, first};
use super::{Meter, known, traces};
use crate::error::{Code, Error, Result};
use crate::plan::nowhere;
use crate::query::{Cursor, Order, Page, TreeQuery};
use crate::rows::{Hung, RunRow, Slot, SlotRow, TraceRow};
use crate::snapshot::{Position, Snapshot, Stretch, TraceIndex};

/// Late parents that one page sorts in: where more came since the walk began, the roots are found among all traces.
const LATE_MAX: u32 = PAGE_ITEMS_MAX;

/// A node of the walk: a trace, or an id whose trace is missing.
#[derive(Clone)]
pub(super) enum Node {
    Trace(Hung),
    Missing(SlotRow),
}

impl Node {
    pub(super) const fn position(&self) -> Position {
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

    /// Where it hangs.
    const fn place(&self) -> Slot {
        match self {
            Self::Trace(row) => row.parent,
            Self::Missing(_) => Slot::Root,
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

/// In a cursor, what of its node is to come: what hangs on it and what follows it, or only what follows.
const SHOWN: i64 = 0;
const PASSED: i64 = 1;

/// Where a walk comes to.
enum Next {
    Node(Node, u32),
    End,
    /// The page's budget ended: what follows this node is to come.
    Spent(Node, u32),
}

impl Next {
    fn at(depth: u32, sought: Sought) -> Option<Self> {
        match sought {
            Sought::Node(node) => Some(Self::Node(node, depth)),
            Sought::Spent(node) => Some(Self::Spent(node, depth)),
            Sought::Nothing => None,
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
    let depth_max = query.depth.unwrap_or(u32::MAX);
    let mut walk = Walk {
        snapshot,
        run_id,
        run_no: run.run_no,
        as_of,
        of_one_tree: query.root.is_some(),
        depth_max,
        limit: query.page.limit,
        budget: SCAN_ROWS_MAX,
        meter: Meter::default(),
        way: Vec::new(),
        roots: None,
    };
    let mut at = match (cursor, &query.root) {
        (Some(cursor), _) => walk.go_on(&run, cursor)?,
        (None, Some(id)) => {
            let missing = || Error::new(Code::TraceNotFound, format!("no trace {id} is recorded in the run"));
            Next::Node(Node::Trace((&snapshot.trace(run.run_no, id)?.ok_or_else(missing)?).into()), 0)
        }
        (None, None) => Next::at(0, walk.first(0, None)?).unwrap_or(Next::End),
    };
    let (mut items, mut last) = (Vec::new(), None);
    let (at, depth) = loop {
        match at {
            Next::End => return Ok(Page::of(items, None)),
            Next::Spent(node, depth) => break ((node.key(), PASSED), depth),
            Next::Node(node, depth) => {
                if let Some(last) = last.filter(|_| items.len() == query.page.limit as usize || walk.meter.is_full()) {
                    break last;
                }
                items.push(walk.show(&node, depth)?);
                last = Some(((node.key(), SHOWN), depth));
                at = walk.after(node, depth)?;
            }
        }
    };
    Ok(Page::of(items, Some(Cursor { as_of, at, depth }.write(&fingerprint))))
}

struct Walk<'a, S> {
    snapshot: &'a S,
    run_id: &'a RunId,
    run_no: u64,
    /// What came later is passed over.
    as_of: u64,
    /// It ends with the tree of its root: nothing stands beside that.
    of_one_tree: bool,
    depth_max: u32,
    /// Nodes of the page at most.
    limit: u32,
    /// Rows that may still be passed over.
    budget: u32,
    meter: Meter,
    /// The way down to the node that the walk is at, as far as this page knows it: each hangs on the one before.
    way: Vec<Above>,
    roots: Option<Vec<(Place, Siblings)>>,
}

/// A node on the way.
struct Above {
    node: Node,
    depth: u32,
    /// Children that were not walked yet, at most.
    left: u64,
    children: [(Place, Siblings); 1],
}

impl Above {
    fn new(node: Node, depth: u32, left: u64) -> Self {
        let children = [(Place::At(node.children()), Siblings::ahead(1))];
        Self { node, depth, left, children }
    }
}

/// An order of siblings.
#[derive(Clone, Copy)]
enum Place {
    At(Slot),
    /// Ids whose trace is missing now.
    Missing,
    /// Roots and missing ids, among all traces.
    Among,
}

impl<S: Snapshot> Walk<'_, S> {
    /// Where the page before ended.
    fn go_on(&mut self, run: &RunRow, Cursor { at: (key, state), depth, .. }: Cursor) -> Result<Next> {
        let refuse = || Error::new(Code::InvalidCursor, "the cursor names a node that is not there").at("cursor");
        let (own, node) = match Slot::from_key(key) {
            Slot::Root => return Err(refuse()),
            Slot::Under(log_index) => {
                let row = self.snapshot.trace_at(log_index)?.ok_or_else(refuse)?;
                (row.run_no, Node::Trace((&row).into()))
            }
            Slot::Named(named_by) => {
                let slot = self.snapshot.slot_at(named_by)?.ok_or_else(refuse)?;
                (slot.run_no, Node::Missing(slot))
            }
        };
        if own != run.run_no || u64::from(depth) > run.traces {
            return Err(refuse());
        }
        match state {
            SHOWN => {
                self.way.push(Above::new(node.clone(), depth, u64::MAX));
                self.after(node, depth)
            }
            PASSED => self.beside(node, depth),
            _ => Err(refuse()),
        }
    }

    fn show(&mut self, node: &Node, depth: u32) -> Result<TreeNode> {
        let shown = match node {
            Node::Trace(hung) => {
                let mut shown = None;
                self.snapshot.trace_entry(*hung, &mut |entry, children| {
                    let trace = traces::entered(self.snapshot, self.run_id, &entry, &self.meter)?;
                    shown = Some(TreeNode { trace: Some(trace), missing: None, depth, children });
                    Ok(())
                })?;
                shown.ok_or_else(|| nowhere(hung.log_index))?
            }
            Node::Missing(slot) => {
                let children = self.snapshot.children(self.run_no, node.children())?;
                TreeNode { trace: None, missing: Some(slot.id.clone()), depth, children }
            }
        };
        self.way.push(Above::new(node.clone(), depth, shown.children));
        Ok(shown)
    }

    /// What comes after the node at the end of the way: its first child, else what follows it.
    fn after(&mut self, node: Node, depth: u32) -> Result<Next> {
        if depth < self.depth_max {
            let below = self.first(depth + 1, None)?;
            if let Some(next) = Next::at(depth + 1, below) {
                return Ok(next);
            }
        }
        self.beside(node, depth)
    }

    /// The next sibling of a node or of its nearest ancestor that has one.
    fn beside(&mut self, mut node: Node, mut depth: u32) -> Result<Next> {
        loop {
            while self.way.last().is_some_and(|above| above.depth >= depth) {
                self.way.pop();
            }
            if depth == 0 && self.of_one_tree {
                return Ok(Next::End);
            }
            if depth > 0 && self.way.is_empty() {
                let Some(above) = self.up(node.place())? else { return Ok(Next::End) };
                // It is looked up, and what else hangs on it.
                self.budget = self.budget.saturating_sub(2);
                self.way.push(Above::new(above, depth - 1, u64::MAX));
            }
            let sibling = self.first(depth, Some(node.position()))?;
            if let Some(next) = Next::at(depth, sibling) {
                return Ok(next);
            }
            let Some(above) = self.way.last() else { return Ok(Next::End) };
            (node, depth) = (above.node.clone(), above.depth);
            if self.budget == 0 {
                return Ok(Next::Spent(node, depth));
            }
        }
    }

    /// The node that a place hangs under, as of the walk's size.
    fn up(&self, place: Slot) -> Result<Option<Node>> {
        let under = |log_index| -> Result<Option<Node>> {
            Ok(Some(Node::Trace((&self.snapshot.trace_at(log_index)?.ok_or_else(|| nowhere(log_index))?).into())))
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

    /// The first node after a position among the roots, or among what hangs on the end of the way.
    fn first(&mut self, depth: u32, after: Option<Position>) -> Result<Sought> {
        let rows = Rows { snapshot: self.snapshot, run_no: self.run_no, as_of: self.as_of };
        let read = |place: Place, from: Option<Position>, limit: u32| rows.read(place, from, limit);
        if depth > 0 {
            let Some(above) = self.way.last_mut().filter(|above| above.left > 0) else { return Ok(Sought::Nothing) };
            let sought = first(&mut above.children, after, &mut self.budget, read)?;
            above.left -= u64::from(matches!(sought, Sought::Node(_)));
            return Ok(sought);
        }
        let roots = match &mut self.roots {
            Some(roots) => roots,
            None => self.roots.insert(rows.roots(self.limit, &mut self.budget)?),
        };
        first(roots, after, &mut self.budget, read)
    }
}

/// The rows of a run's forest, as of a size.
struct Rows<'a, S> {
    snapshot: &'a S,
    run_no: u64,
    as_of: u64,
}

impl<S: Snapshot> Rows<'_, S> {
    /// The orders that make up the roots.
    fn roots(&self, limit: u32, budget: &mut u32) -> Result<Vec<(Place, Siblings)>> {
        let late = match self.as_of < self.snapshot.size() {
            true => self.snapshot.filled(self.run_no, self.as_of, LATE_MAX + 1)?,
            false => Vec::new(),
        };
        *budget = budget.saturating_sub(u32::try_from(late.len()).unwrap_or(u32::MAX));
        if late.len() > LATE_MAX as usize {
            return Ok(vec![(Place::Among, Siblings::ahead(limit))]);
        }
        let mut late: Vec<_> = late.into_iter().map(|slot| self.missing(slot)).collect();
        late.sort_unstable_by_key(|row| row.node.position());
        Ok(vec![
            (Place::At(Slot::Root), Siblings::ahead(1)),
            (Place::Missing, Siblings::ahead(limit)),
            (Place::Missing, Siblings::of(late.into())),
        ])
    }

    fn read(&self, place: Place, after: Option<Position>, limit: u32) -> Result<Vec<Row>> {
        let stretch = Stretch { order: Order::Oldest, range: TimeRange::ALL, after, limit };
        match place {
            Place::At(slot) => {
                let hung = self.snapshot.hung(self.run_no, slot, stretch)?;
                Ok(hung.into_iter().map(|hung| self.trace(hung)).collect())
            }
            Place::Missing => {
                let missing = self.snapshot.missing(self.run_no, after, limit)?;
                Ok(missing.into_iter().map(|slot| self.missing(slot)).collect())
            }
            Place::Among => {
                let rows = self.snapshot.traces(self.run_no, TraceIndex::All, stretch)?;
                rows.iter().map(|row| self.among(row)).collect()
            }
        }
    }

    fn trace(&self, hung: Hung) -> Row {
        Row { shown: hung.log_index < self.as_of, node: Node::Trace(hung) }
    }

    fn missing(&self, slot: SlotRow) -> Row {
        Row { shown: slot.named_by < self.as_of, node: Node::Missing(slot) }
    }

    /// A root, or the trace that first named an id which was missing then: it occurred where the id stands.
    fn among(&self, row: &TraceRow) -> Result<Row> {
        if row.parent == Slot::Named(row.log_index) {
            let slot = self.snapshot.slot_at(row.log_index)?.ok_or_else(|| nowhere(row.log_index))?;
            if slot.filled_by.is_none_or(|filled_by| filled_by >= self.as_of) {
                return Ok(self.missing(slot));
            }
        }
        let is_root = row.parent == Slot::Root;
        let row = self.trace(row.into());
        Ok(Row { shown: row.shown && is_root, ..row })
    }
}

#[cfg(test)]
mod tests {
    use tracekeep_core::id::RunId;
    use tracekeep_core::model::{Op, RecordTrace, StartRun, TraceType};

    use super::{PASSED, SHOWN};
    use crate::query::{Cursor, PageRequest, TreeQuery};
    use crate::{Batch, LedgerStore, MemoryLedger, block_on};

    /// A cursor is bound to its query, but whoever knows how can make one.
    #[test]
    fn a_cursor_that_no_walk_gave_is_refused() {
        let ledger = MemoryLedger::default();
        let run_id = |name: &str| RunId::new(name).expect("an id");
        for run in ["r", "s"] {
            let start = StartRun { run_id: Some(run_id(run)), ..StartRun::default() };
            let thought = TraceType::Thought { content: String::new(), confidence: None };
            let ops = vec![Op::StartRun(start), Op::RecordTrace(RecordTrace::new(run_id(run), thought))];
            ledger.commit_blocking(vec![Batch::of(ops)]).remove(0).expect("recorded");
        }
        let go_on = |key: i64, state: i64, depth: u32| {
            let query = TreeQuery::default();
            let cursor = Cursor { as_of: 4, at: (key, state), depth }.write(&query.fingerprint("r"));
            let page = PageRequest { limit: 1, cursor: Some(cursor) };
            let page = block_on(ledger.tree(&run_id("r"), &TreeQuery { page, ..query }));
            page.map(|page| page.items.len()).map_err(|error| (error.code(), error.path().map(str::to_owned)))
        };
        let refused = Err(("invalid_cursor", Some("cursor".to_owned())));
        assert_eq!((go_on(1, SHOWN, 0), go_on(1, PASSED, 0)), (Ok(0), Ok(0)));
        assert_eq!((go_on(1, SHOWN, u32::MAX), go_on(1, PASSED, 2)), (refused.clone(), refused.clone()), "too deep");
        assert_eq!((go_on(3, SHOWN, 0), go_on(3, PASSED, 1)), (refused.clone(), refused.clone()), "of another run");
        assert_eq!((go_on(9, SHOWN, 0), go_on(-1, SHOWN, 0), go_on(0, SHOWN, 0)), {
            (refused.clone(), refused.clone(), refused.clone())
        });
        assert_eq!((go_on(1, 2, 0), go_on(1, -1, 0)), (refused.clone(), refused));
    }
}
