//! The proof of one leaf of a tree that nobody stores: its leaves pass by once.

use super::{empty_root, node_hash};
use crate::hash::Hash;

/// Gathers the inclusion proof of the leaf at one place while all the leaves of its tree pass by, in O(log n) of memory.
///
/// What [`inclusion_proof`](super::inclusion_proof) gives over stored tiles, for a tree of which only the leaves are at
/// hand.
#[derive(Clone, Debug)]
pub struct Path {
    index: u64,
    size: u64,
    /// The roots of the complete subtrees so far, the largest first, and which of them holds the leaf.
    nodes: Vec<(Hash, bool)>,
    siblings: Vec<Hash>,
}

impl Path {
    /// Begins before the first leaf, on the way to the one at `index`.
    #[must_use]
    pub const fn to(index: u64) -> Self {
        Self { index, size: 0, nodes: Vec::new(), siblings: Vec::new() }
    }

    /// Takes the next leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.nodes.push((leaf, self.size == self.index));
        (0..self.size.trailing_ones()).for_each(|_| self.join());
        self.size += 1;
    }

    /// Joins the last two subtrees.
    fn join(&mut self) {
        if let (Some((right, in_right)), Some((left, in_left))) = (self.nodes.pop(), self.nodes.pop()) {
            if in_left || in_right {
                self.siblings.push(if in_left { right } else { left });
            }
            self.nodes.push((node_hash(&left, &right), in_left || in_right));
        }
    }

    /// The tree's size, its root, and the sibling hashes from the leaf to the root; these are `None` where the tree has
    /// no such leaf.
    #[must_use]
    pub fn finish(mut self) -> (u64, Hash, Option<Vec<Hash>>) {
        while self.nodes.len() > 1 {
            self.join();
        }
        let (root, found) = self.nodes.pop().unwrap_or((empty_root(), false));
        (self.size, root, found.then_some(self.siblings))
    }
}
