//! Proofs per RFC 9162 §2.1.3 and §2.1.4: made from tiles, verified from nothing but hashes.

use std::{borrow::Cow, error, fmt};

use super::{
    TILE_WIDTH, TileReader, empty_root,
    node::{complete_root, node_hash, ragged_root},
    tiles::TILE_HEIGHT,
};
use crate::hash::Hash;

/// The root of the tree's first `size` leaves; of none, [`empty_root`], without reading.
///
/// Reads the partial tiles of that size, one a level at most.
///
/// # Errors
///
/// [`ProofError::Read`] and [`ProofError::Width`] from the reader.
pub fn root_at<R: TileReader + ?Sized>(reader: &R, size: u64) -> Result<Hash, ProofError<R::Error>> {
    Tiles::new(reader, size).subtree(0, size)
}

/// The proof that the leaf at `index` is in the tree of the first `size` leaves: PATH of RFC 9162 §2.1.3.1.
///
/// The sibling hashes from the leaf upwards to the root, at most 64; none for a tree of one leaf. Reads the tiles on the
/// leaf's way up and the partial tiles of that size, each once: two a level at most.
///
/// # Errors
///
/// [`ProofError::Index`] unless `index` is below `size`; [`ProofError::Read`] and [`ProofError::Width`] from the reader.
pub fn inclusion_proof<R: TileReader + ?Sized>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofError<R::Error>> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let mut tiles = Tiles::new(reader, size);
    let mut proof = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            proof.push(tiles.subtree(middle, end)?);
            end = middle;
        } else {
            proof.push(tiles.subtree(begin, middle)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `from` leaves is a prefix of that of the first `to`: PROOF of RFC 9162 §2.1.4.1.
///
/// At most 65 hashes; none where there is nothing to prove, `from` being 0 or `to`, and then nothing is read. Else reads
/// the tiles along both right edges, each once: two a level at most.
///
/// # Errors
///
/// [`ProofError::Sizes`] when `from` is beyond `to`; [`ProofError::Read`] and [`ProofError::Width`] from the reader.
pub fn consistency_proof<R: TileReader + ?Sized>(
    reader: &R,
    from: u64,
    to: u64,
) -> Result<Vec<Hash>, ProofError<R::Error>> {
    if from > to {
        return Err(ProofError::Sizes { from, to });
    }
    let mut proof = Vec::new();
    if from == 0 || from == to {
        return Ok(proof);
    }
    let mut tiles = Tiles::new(reader, to);
    let (mut begin, mut end) = (0, to);
    while end != from {
        let middle = begin + split(end - begin);
        if from <= middle {
            proof.push(tiles.subtree(middle, end)?);
            end = middle;
        } else {
            proof.push(tiles.subtree(begin, middle)?);
            begin = middle;
        }
    }
    // The subtree that ends at `from`. When it is the whole old tree, the verifier has its hash already.
    if begin > 0 {
        proof.push(tiles.subtree(begin, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two strictly below n, which is 2 or more.
pub(super) fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The nodes of the tree of `size` leaves, from tiles that are each read once.
pub(super) struct Tiles<'r, R: TileReader + ?Sized> {
    reader: &'r R,
    size: u64,
    read: Vec<(u8, u64, Cow<'r, [Hash]>)>,
    /// Of each level one tile is kept.
    passing: bool,
}

impl<'r, R: TileReader + ?Sized> Tiles<'r, R> {
    fn new(reader: &'r R, size: u64) -> Self {
        Tiles { reader, size, read: Vec::new(), passing: false }
    }

    /// The same for nodes that are asked for from left to right, in the memory of one tile a level.
    pub(super) fn passing(reader: &'r R, size: u64) -> Self {
        Tiles { passing: true, ..Self::new(reader, size) }
    }

    /// The hash over the leaves begin..end, a subtree of the tree: complete, or ragged with `end` at the tree's end.
    pub(super) fn subtree(&mut self, begin: u64, end: u64) -> Result<Hash, ProofError<R::Error>> {
        let mut roots = Vec::new();
        let mut at = begin;
        while let Some(height) = (end - at).checked_ilog2() {
            roots.push(self.node(height, at >> height)?);
            at += 1 << height;
        }
        Ok(ragged_root(&roots))
    }

    /// The root of the complete subtree of this height that begins at leaf index · 2^height.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, ProofError<R::Error>> {
        let (level, inside) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
        let first = index << inside;
        let hashes = self.tile(level as u8, first / TILE_WIDTH)?;
        let begin = (first % TILE_WIDTH) as usize;
        Ok(complete_root(&hashes[begin..begin + (1 << inside)]))
    }

    /// The tile as far as it is filled in the tree of `size` leaves.
    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], ProofError<R::Error>> {
        let known = self.read.iter().position(|(l, i, _)| (*l, *i) == (level, index));
        let at = match known {
            Some(at) => at,
            None => {
                let hashes_of_level = self.size >> (TILE_HEIGHT * u32::from(level));
                let width = (hashes_of_level - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
                let hashes = self.reader.tile(level, index, width).map_err(ProofError::Read)?;
                if hashes.len() != usize::from(width) {
                    let actual = hashes.len();
                    return Err(ProofError::Width { level, index, expected: width, actual });
                }
                if self.passing {
                    self.read.retain(|(passed, ..)| *passed != level);
                }
                self.read.push((level, index, hashes));
                self.read.len() - 1
            }
        };
        Ok(&self.read[at].2)
    }
}

/// Why a proof could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError<E> {
    /// A tile could not be read.
    Read(E),
    /// The reader gave another number of hashes than it was asked for: the tree is smaller than the size, or damaged.
    Width {
        /// The tile's level.
        level: u8,
        /// The tile's index.
        index: u64,
        /// How many hashes were asked for.
        expected: u16,
        /// How many were given.
        actual: usize,
    },
    /// There is no leaf at that index.
    Index {
        /// The index that was asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The earlier tree is larger than the later one.
    Sizes {
        /// The size of the earlier tree.
        from: u64,
        /// The size of the later tree.
        to: u64,
    },
}

impl<E> fmt::Display for ProofError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProofError::Read(_) => f.write_str("a tile could not be read"),
            ProofError::Width { level, index, expected, actual } => {
                write!(f, "tile {index} of level {level} has {actual} hashes instead of {expected}")
            }
            ProofError::Index { index, size } => {
                write!(f, "a tree of {size} leaves has none at index {index}")
            }
            ProofError::Sizes { from, to } => {
                write!(f, "the tree of {from} leaves is no prefix of that of {to}")
            }
        }
    }
}

impl<E: error::Error + 'static> error::Error for ProofError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            ProofError::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// Verifies that the leaf with this hash is at `index` in the tree of `size` leaves with this root: RFC 9162 §2.1.3.2.
///
/// Accepts the one length of proof that fits index and size, and stops reading a longer one. `size` and `root` must come
/// from one trusted place, a signed checkpoint, and `size` never from the proof: see the
/// [module's page](super#what-a-verified-proof-does-not-say).
///
/// # Errors
///
/// The [`VerifyError`] that says what is wrong first; all of them mean that nothing is proved.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), VerifyError> {
    if index >= size {
        return Err(VerifyError::Index { index, size });
    }
    // `at` and `last` are fn and sn of the RFC: the node and the last node of the level that is reached.
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(VerifyError::TooLong);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            skip_lone_levels(&mut at, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(VerifyError::TooShort);
    }
    if hash != *root { Err(VerifyError::Root) } else { Ok(()) }
}

/// Verifies that the tree of `from` leaves is a prefix of that of `to` leaves, given their roots: RFC 9162 §2.1.4.2.
///
/// Accepts the one length of proof that fits the sizes. Trees of equal size need equal roots and an empty proof. The
/// empty tree is a prefix of all: with `from` 0, `from_root` must be [`empty_root`] and the proof empty, and `to_root` is
/// not examined unless `to` is 0 as well. Each size must come with its root from one trusted place, as for
/// [`verify_inclusion`].
///
/// # Errors
///
/// The [`VerifyError`] that says what is wrong first; all of them mean that nothing is proved.
pub fn verify_consistency(
    from: u64,
    from_root: &Hash,
    to: u64,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), VerifyError> {
    if from > to {
        return Err(VerifyError::Sizes { from, to });
    }
    if from == 0 && *from_root != empty_root() {
        return Err(VerifyError::FromRoot);
    }
    if from == to && from_root != to_root {
        return Err(VerifyError::Root);
    }
    if from == 0 || from == to {
        return if proof.is_empty() { Ok(()) } else { Err(VerifyError::TooLong) };
    }

    // Both walks start at the subtree that ends at `from`: the whole old tree when that is complete, else the proof's
    // first hash. `at` and `last` are fn and sn of the RFC.
    let (first, rest) = match proof {
        [] => return Err(VerifyError::TooShort),
        all if from.is_power_of_two() => (from_root, all),
        [first, rest @ ..] => (first, rest),
    };
    let (mut at, mut last) = (from - 1, to - 1);
    let height = at.trailing_ones();
    at >>= height;
    last >>= height;
    let (mut old, mut new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(VerifyError::TooLong);
        }
        if at & 1 == 1 || at == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            skip_lone_levels(&mut at, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(VerifyError::TooShort);
    }
    if old != *from_root {
        return Err(VerifyError::FromRoot);
    }
    if new != *to_root { Err(VerifyError::Root) } else { Ok(()) }
}

/// Climbs past the levels at which a node on the right edge has no sibling and is carried up as it is.
fn skip_lone_levels(at: &mut u64, last: &mut u64) {
    if *at != 0 {
        let levels = at.trailing_zeros();
        *at >>= levels;
        *last >>= levels;
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// There is no leaf at that index.
    Index {
        /// The index that was claimed.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The earlier tree is larger than the later one.
    Sizes {
        /// The size of the earlier tree.
        from: u64,
        /// The size of the later tree.
        to: u64,
    },
    /// The proof has fewer hashes than a proof for these sizes.
    TooShort,
    /// The proof has more hashes than a proof for these sizes.
    TooLong,
    /// The proof does not lead to the root; of consistency, to the later one.
    Root,
    /// The proof does not lead to the earlier root.
    FromRoot,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VerifyError::Index { index, size } => {
                write!(f, "a tree of {size} leaves has none at index {index}")
            }
            VerifyError::Sizes { from, to } => {
                write!(f, "the tree of {from} leaves is no prefix of that of {to}")
            }
            VerifyError::TooShort => f.write_str("the proof has too few hashes for these sizes"),
            VerifyError::TooLong => f.write_str("the proof has too many hashes for these sizes"),
            VerifyError::Root => f.write_str("the proof does not lead to the root"),
            VerifyError::FromRoot => f.write_str("the proof does not lead to the earlier root"),
        }
    }
}

impl error::Error for VerifyError {}
