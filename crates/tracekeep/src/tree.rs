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
    /// The first tree of a walk: flat nodes in pre-order, as a page of a tree gives them. Ids whose trace is yet to come
    /// have no tree.
    #[must_use]
    pub fn nest(nodes: impl IntoIterator<Item = TreeNode>) -> Option<Self> {
        let flat = nodes.into_iter().filter_map(|node| Some((node.depth as usize, node.trace?)));
        Self::from_flat(flat)
    }

    fn from_flat(nodes: impl Iterator<Item = (usize, Trace)>) -> Option<Self> {
        // The way from the root to the node that was taken last.
        let mut way: Vec<Self> = Vec::new();
        for (depth, trace) in nodes {
            if depth == 0 && !way.is_empty() {
                break;
            }
            close(&mut way, depth.max(1));
            way.push(Self { trace, children: Vec::new() });
        }
        close(&mut way, 1);
        way.pop()
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

/// Hangs the end of the way on what is above it until `depth` trees are left.
fn close(way: &mut Vec<TraceTree>, depth: usize) {
    while way.len() > depth {
        let done = way.pop();
        if let Some(above) = way.last_mut() {
            above.children.extend(done);
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
        let nodes = self.walk().map(|(depth, trace)| (depth, trace.clone()));
        Self::from_flat(nodes).expect("invariant: a tree has a root")
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
