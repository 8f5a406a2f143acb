//! Siblings in their order, read ahead a stretch at a time; rows that a walk does not show are passed over within the
//! budget of its page.

use std::collections::VecDeque;

use super::tree::Node;
use crate::error::Result;
use crate::snapshot::Position;
use tracekeep_core::limits::PAGE_ITEMS_MAX;

/// What was sought.
pub(super) enum Sought {
    Node(Node),
    Nothing,
    /// The budget ended before: nothing that is shown lies before this one, nor is it shown itself.
    Spent(Node),
}

impl Sought {
    fn position(&self) -> Option<Position> {
        match self {
            Self::Node(node) | Self::Spent(node) => Some(node.position()),
            Self::Nothing => None,
        }
    }
}

/// A row of the order, and whether the walk shows it.
pub(super) struct Row {
    pub(super) node: Node,
    pub(super) shown: bool,
}

/// One order of siblings, from where a walk has come to: it comes to them in ascending order.
pub(super) struct Siblings {
    rows: VecDeque<Row>,
    /// The position of the last one that was read.
    read_to: Option<Position>,
    to_the_end: bool,
    /// Rows to read next: ever more, since most places hold few.
    stride: u32,
    passed: Option<Node>,
}

impl Siblings {
    /// To be read, beginning with so many.
    pub(super) const fn ahead(stride: u32) -> Self {
        Self { rows: VecDeque::new(), read_to: None, to_the_end: false, stride, passed: None }
    }

    /// These and no others, in order.
    pub(super) fn of(rows: VecDeque<Row>) -> Self {
        Self { rows, to_the_end: true, ..Self::ahead(1) }
    }

    /// The first one after a position that is shown. It stays the first until it is taken.
    fn seek(
        &mut self,
        after: Option<Position>,
        budget: &mut u32,
        mut read: impl FnMut(Option<Position>, u32) -> Result<Vec<Row>>,
    ) -> Result<Sought> {
        let is_behind = |node: &Node| after.is_some_and(|after| node.position() <= after);
        self.passed.take_if(|passed| is_behind(passed));
        loop {
            while let Some(Row { node, shown }) = self.rows.front() {
                if is_behind(node) {
                    self.rows.pop_front();
                } else if *shown {
                    return Ok(Sought::Node(node.clone()));
                } else {
                    *budget = budget.saturating_sub(1);
                    self.passed = self.rows.pop_front().map(|row| row.node);
                }
            }
            if self.to_the_end {
                return Ok(Sought::Nothing);
            }
            if *budget == 0
                && let Some(passed) = &self.passed
            {
                return Ok(Sought::Spent(passed.clone()));
            }
            let limit = self.stride.min(*budget).max(1);
            self.stride = (self.stride * 2).min(PAGE_ITEMS_MAX);
            let from = self.read_to.max(after);
            let rows = read(from, limit)?;
            self.to_the_end = rows.len() < limit as usize;
            self.read_to = rows.last().map(|row| row.node.position()).or(from);
            self.rows = rows.into();
        }
    }
}

/// The first of several orders together.
pub(super) fn first<K: Copy>(
    orders: &mut [(K, Siblings)],
    after: Option<Position>,
    budget: &mut u32,
    mut read: impl FnMut(K, Option<Position>, u32) -> Result<Vec<Row>>,
) -> Result<Sought> {
    let mut first = Sought::Nothing;
    for (of, siblings) in orders {
        let sought = siblings.seek(after, budget, |from, limit| read(*of, from, limit))?;
        if first.position().is_none_or(|at| sought.position().is_some_and(|other| other < at)) {
            first = sought;
        }
    }
    Ok(first)
}
