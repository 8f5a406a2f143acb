//! What appending to a tree needs: the roots along its right edge.

use std::{error, fmt};

use super::node::{node_hash, ragged_root};
use crate::hash::Hash;

/// The most leaves a tree may have to be taken up again from bytes or tiles: 2^62.
///
/// A ledger that appends a million entries a second reaches it after 146,000 years. It keeps every size, index and shift
/// of an append inside `u64`.
pub const TREE_SIZE_MAX: u64 = 1 << 62;

/// A compact range from leaf 0: all that appending needs of a tree, O(log n) of it.
///
/// Holds the size and the roots of the largest complete subtrees, one for each 1 bit of the size, the largest first: at
/// most 62 hashes. The default is the empty tree.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub fn new() -> Frontier {
        Frontier::default()
    }

    /// `nodes` are the caller's promise: one for each 1 bit of `size`, the largest subtree first.
    pub(super) fn from_parts(size: u64, nodes: Vec<Hash>) -> Frontier {
        debug_assert!(size <= TREE_SIZE_MAX && nodes.len() == size.count_ones() as usize);
        Frontier { size, nodes }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf, given by its hash ([`leaf_hash`](super::leaf_hash)).
    ///
    /// Costs one node hash on average and 62 at most. Never panics within reach: a frontier starts at
    /// [`TREE_SIZE_MAX`] leaves at most, and the size could overflow only 2^63 appends after that.
    pub fn push(&mut self, leaf: Hash) {
        self.push_each(leaf, |_, _| ());
    }

    /// [`push`](Self::push) that shows each subtree it completes, the leaf at height 0 first, with its height.
    pub(super) fn push_each(&mut self, leaf: Hash, mut completed: impl FnMut(u32, &Hash)) {
        let size = self.size.checked_add(1).expect("invariant: a tree has fewer than 2^64 leaves");
        let mut node = leaf;
        completed(0, &node);
        for height in 1..=self.size.trailing_ones() {
            let left = self.nodes.pop().expect("invariant: one node for each 1 bit of the size");
            node = node_hash(&left, &node);
            completed(height, &node);
        }
        self.nodes.push(node);
        self.size = size;
    }

    /// The tree's root (RFC 9162 §2.1.1); of no leaves, [`empty_root`](super::empty_root).
    ///
    /// Costs a node hash for each 1 bit of the size but one.
    #[must_use]
    pub fn root(&self) -> Hash {
        ragged_root(&self.nodes)
    }

    /// How many leaves at the front of both trees are surely the same: those under the complete subtrees that both begin
    /// with. There may be more: below them nothing is known here.
    #[must_use]
    pub fn same_front(&self, other: &Frontier) -> u64 {
        let heights = |size: u64| (0..u64::BITS).rev().filter(move |height| size >> height & 1 == 1);
        let nodes = |tree: &Self| heights(tree.size).zip(tree.nodes.clone()).collect::<Vec<_>>();
        let shared = nodes(self).into_iter().zip(nodes(other)).take_while(|(a, b)| a == b);
        shared.map(|((height, _), _)| 1 << height).sum()
    }

    /// The frontier as bytes: the size, 8 bytes big-endian, then each node's 32 bytes, the largest subtree first.
    ///
    /// The length is 8 + 32 × (1 bits of the size): 8 for the empty tree, 1,992 at most. Equal frontiers give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.nodes.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for node in &self.nodes {
            bytes.extend_from_slice(node.as_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// Checks the length and the size, and cannot check the hashes: compare [`root`](Self::root) with one that is known.
    ///
    /// # Errors
    ///
    /// [`FrontierError::Length`] unless the length is exactly the size's; [`FrontierError::TooLarge`] beyond
    /// [`TREE_SIZE_MAX`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Frontier, FrontierError> {
        let Some((size, nodes)) = bytes.split_first_chunk::<8>() else {
            return Err(FrontierError::Length { expected: 8, actual: bytes.len() });
        };
        let size = u64::from_be_bytes(*size);
        if size > TREE_SIZE_MAX {
            return Err(FrontierError::TooLarge { size });
        }
        let expected = 8 + 32 * size.count_ones() as usize;
        if bytes.len() != expected {
            return Err(FrontierError::Length { expected, actual: bytes.len() });
        }
        let (nodes, _) = nodes.as_chunks::<32>();
        Ok(Frontier::from_parts(size, nodes.iter().copied().map(Hash::from_bytes).collect()))
    }
}

/// Why bytes are not a [`Frontier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontierError {
    /// The bytes are not as many as the size in front of them asks for; of fewer than 8, the size itself is cut off.
    Length {
        /// How many bytes it takes.
        expected: usize,
        /// How many were given.
        actual: usize,
    },
    /// The size is beyond [`TREE_SIZE_MAX`].
    TooLarge {
        /// The size that was stated.
        size: u64,
    },
}

impl fmt::Display for FrontierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrontierError::Length { expected, actual } => {
                write!(f, "a frontier of this size takes {expected} bytes, not {actual}")
            }
            FrontierError::TooLarge { size } => {
                write!(f, "a tree of {size} leaves is beyond the limit of {TREE_SIZE_MAX}")
            }
        }
    }
}

impl error::Error for FrontierError {}
