//! A trace with what hangs on it, nested.

use std::fmt;
use std::mem::take;

use tracekeep_core::view::{Trace, TreeNode};

/// A trace and the trees of its children, by (occurred_at, log index).
///
/// Built, walked, cloned, compared and dropped without recursion: a chain of 100,000 needs no stack.
pub struct TraceTree {
    /// The trace.
    pub trace: Trace,
    /// What hangs on it.
    pub children: Vec<TraceTree>,
}

impl TraceTree {
    /// Nests a walk: flat nodes in pre-order, as pages of a tree or of a forest give them.
    ///
    /// A node whose parent is not among them begins a tree of its own, in its place: so do the children of an id whose
    /// trace is yet to come, which itself has no tree, and what a page that is not the first one begins with.
    #[must_use]
    pub fn nest(nodes: impl IntoIterator<Item = TreeNode>) -> Vec<Self> {
        Self::from_flat(nodes.into_iter().map(|node| (node.depth as usize, node.trace)))
    }

    fn from_flat(nodes: impl Iterator<Item = (usize, Option<Trace>)>) -> Vec<Self> {
        let (mut trees, mut way) = (Vec::new(), Vec::new());
        for (depth, trace) in nodes {
            close(&mut way, depth, &mut trees);
            way.extend(trace.map(|trace| (depth, Self { trace, children: Vec::new() })));
        }
        close(&mut way, 0, &mut trees);
        trees
    }

    /// Every trace of the tree with its depth, in pre-order.
    pub fn walk(&self) -> impl Iterator<Item = (usize, &Trace)> {
        let mut ahead = vec![(0, self)];
        std::iter::from_fn(move || {
            let (depth, tree) = ahead.pop()?;
            ahead.extend(tree.children.iter().rev().map(|child| (depth + 1, child)));
            Some((depth, &tree.trace))
        })
    }
}

/// Hangs what is done with, at `depth` or below, on its parent where that is the one above it, else among the trees.
fn close(way: &mut Vec<(usize, TraceTree)>, depth: usize, trees: &mut Vec<TraceTree>) {
    while let Some((own, done)) = way.pop_if(|(own, _)| *own >= depth) {
        match way.last_mut() {
            Some((above, parent)) if above.checked_add(1) == Some(own) => parent.children.push(done),
            _ => trees.push(done),
        }
    }
}

impl Drop for TraceTree {
    fn drop(&mut self) {
        let mut ahead = take(&mut self.children);
        while let Some(mut tree) = ahead.pop() {
            ahead.append(&mut tree.children);
        }
    }
}

impl Clone for TraceTree {
    fn clone(&self) -> Self {
        let nodes = self.walk().map(|(depth, trace)| (depth, Some(trace.clone())));
        Self::from_flat(nodes).pop().expect("invariant: a tree has a root")
    }
}

impl PartialEq for TraceTree {
    fn eq(&self, other: &Self) -> bool {
        // Depths in pre-order say where everything hangs.
        self.walk().eq(other.walk())
    }
}

impl fmt::Debug for TraceTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.walk()).finish()
    }
}
