//! The three hashes of RFC 9162 §2.1.1, and folding many into one.

use sha2::{Digest, Sha256};

use super::Frontier;
use crate::hash::Hash;

/// The hash of a leaf: SHA-256(0x00 ‖ entry).
///
/// The prefix keeps an entry from posing as a node (RFC 9162 §2.1.1). The entry may have any length, 0 too.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash::from_bytes(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right), RFC 9162 §2.1.1.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [0x01; 65];
    input[1..33].copy_from_slice(left.as_bytes());
    input[33..].copy_from_slice(right.as_bytes());
    Hash::from_bytes(Sha256::digest(input).into())
}

/// The root of the tree without leaves: SHA-256 of nothing, RFC 9162 §2.1.1.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::from_bytes(Sha256::digest([]).into())
}

/// The root of the tree over these leaf hashes (MTH of RFC 9162 §2.1.1).
///
/// Takes n − 1 node hashes and O(log n) memory; meant for trees that are at hand as a whole, such as a run's own. No
/// leaves give [`empty_root`], one leaf gives itself.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// The root of a complete subtree whose row of hashes, a power of two of them, is given.
pub(super) fn complete_root(row: &[Hash]) -> Hash {
    debug_assert!(row.len().is_power_of_two());
    let mut row = row.to_vec();
    while row.len() > 1 {
        for i in 0..row.len() / 2 {
            row[i] = node_hash(&row[2 * i], &row[2 * i + 1]);
        }
        row.truncate(row.len() / 2);
    }
    row[0]
}

/// The root of a tree whose largest complete subtrees have these roots, the largest first.
pub(super) fn ragged_root(subtrees: &[Hash]) -> Hash {
    subtrees.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}
