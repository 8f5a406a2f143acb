//! The tree cut into tiles of 256 hashes (C2SP tlog-tiles), as it is written and as it is read.

use std::{borrow::Cow, convert::Infallible, error, fmt, mem};

use super::{Frontier, TREE_SIZE_MAX, node::complete_root};
use crate::hash::Hash;

/// How many hashes a full tile holds: 256, which is 8 levels of the tree and 8,192 bytes.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// How many levels of the tree a tile spans.
pub(super) const TILE_HEIGHT: u32 = 8;

/// A full tile: 256 neighbouring hashes of one level, which never change again.
///
/// Level L holds the roots of complete subtrees of height 8·L; level 0 holds leaf hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The tile level L, 0 for leaf hashes; 6 at most, for a tile of level 7 would span 2^64 leaves.
    pub level: u8,
    /// The position among the tiles of its level, from 0: the tile begins at that level's hash 256 × index.
    pub index: u64,
    /// The hashes in order, 256 of them.
    pub hashes: Box<[Hash]>,
    /// The root of the subtree over `hashes`, which is hash number `index` of the next level.
    pub root: Hash,
}

impl Tile {
    /// The hashes as bytes, one after the other, as C2SP tlog-tiles serves them: 8,192 of them.
    #[must_use]
    pub fn hashes_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(Hash::as_bytes).copied().collect()
    }

    /// Reads what [`hashes_bytes`](Self::hashes_bytes) wrote: 256 hashes, or `None` unless there are exactly 8,192 bytes.
    #[must_use]
    pub fn hashes_from_bytes(bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        (hashes.len() as u64 == TILE_WIDTH && rest.is_empty())
            .then(|| hashes.iter().copied().map(Hash::from_bytes).collect())
    }
}

/// The right edge of a tiled tree: the not yet full tile of every level, and the frontier.
///
/// What a writer keeps in memory, at most 255 hashes a level, so a ledger of a million entries takes 24 KiB. The default
/// is the empty tree. A clone is a cheap way back when a transaction fails.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Edge {
    frontier: Frontier,
    partials: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of the empty tree.
    #[must_use]
    pub fn new() -> Edge {
        Edge::default()
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The tree's root, as [`Frontier::root`].
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The tree's frontier.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Appends a leaf, given by its hash, and adds to `completed` the tiles that it fills.
    ///
    /// Mostly none, else one a level from level 0 upwards: the 256th leaf fills one, the 65,536th two. Costs the one node
    /// hash on average of [`Frontier::push`], tile roots included, and has its limit.
    pub fn push(&mut self, leaf: Hash, completed: &mut Vec<Tile>) {
        let leaf_index = self.frontier.size();
        let partials = &mut self.partials;
        self.frontier.push_each(leaf, |height, node| {
            if !height.is_multiple_of(TILE_HEIGHT) {
                return;
            }
            let level = (height / TILE_HEIGHT) as usize;
            if level > 0 {
                // A subtree of this height is complete, so the tile below it is full and this is its root.
                let full = mem::replace(&mut partials[level - 1], Vec::with_capacity(TILE_WIDTH as usize));
                completed.push(Tile {
                    level: (level - 1) as u8,
                    index: leaf_index >> height,
                    hashes: full.into_boxed_slice(),
                    root: *node,
                });
            }
            if level == partials.len() {
                partials.push(Vec::new());
            }
            partials[level].push(*node);
        });
    }

    /// The hashes of the not yet full tile at this level, fewer than 256; none where the level is empty or just filled.
    ///
    /// They begin at that level's hash number (size >> 8·level) rounded down to a multiple of 256. Any level may be
    /// asked for.
    #[must_use]
    pub fn partial(&self, level: u8) -> &[Hash] {
        self.partials.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// Takes up a tree of `size` leaves again from the hashes of its partial tiles.
    ///
    /// `partials(level, first, count)` must give `count` hashes of that level, from number `first` on: at level 0 the last
    /// size mod 256 leaf hashes, at level 1 the roots of the last (size / 256) mod 256 full level-0 tiles, and so on. It is
    /// called once for each level whose partial tile is not empty, from level 0 upwards: eight times at most, for at most
    /// 255 hashes each. The hashes cannot be checked here: compare [`root`](Self::root) with one that is known.
    ///
    /// # Errors
    ///
    /// [`RestoreError::Read`] with what `partials` failed with; [`RestoreError::Count`] when it gave more or fewer hashes;
    /// [`RestoreError::TooLarge`] beyond [`TREE_SIZE_MAX`], before anything is asked for.
    pub fn restore<E>(
        size: u64,
        mut partials: impl FnMut(u8, u64, u16) -> Result<Vec<Hash>, E>,
    ) -> Result<Edge, RestoreError<E>> {
        if size > TREE_SIZE_MAX {
            return Err(RestoreError::TooLarge { size });
        }
        let mut restored = Vec::new();
        let levels = (u64::BITS - size.leading_zeros()).div_ceil(TILE_HEIGHT) as u8;
        for level in 0..levels {
            let hashes_of_level = size >> (TILE_HEIGHT * u32::from(level));
            let count = (hashes_of_level % TILE_WIDTH) as u16;
            let hashes = match count {
                0 => Vec::new(),
                _ => partials(level, hashes_of_level - u64::from(count), count).map_err(RestoreError::Read)?,
            };
            if hashes.len() != usize::from(count) {
                return Err(RestoreError::Count { level, expected: count, actual: hashes.len() });
            }
            restored.push(hashes);
        }
        let nodes = restored.iter().rev().flat_map(|hashes| complete_subtrees(hashes)).collect();
        Ok(Edge { frontier: Frontier::from_parts(size, nodes), partials: restored })
    }
}

/// The roots of the largest complete subtrees over a partial tile's hashes, the largest first.
fn complete_subtrees(mut hashes: &[Hash]) -> Vec<Hash> {
    let mut roots = Vec::new();
    while let Some(height) = hashes.len().checked_ilog2() {
        let (complete, rest) = hashes.split_at(1 << height);
        roots.push(complete_root(complete));
        hashes = rest;
    }
    roots
}

/// Why an [`Edge`] could not be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError<E> {
    /// The partial tiles could not be read.
    Read(E),
    /// There were more or fewer hashes than the size implies: the stored tree and its size disagree.
    Count {
        /// The tile level.
        level: u8,
        /// How many hashes its partial tile has.
        expected: u16,
        /// How many were given.
        actual: usize,
    },
    /// The size is beyond [`TREE_SIZE_MAX`].
    TooLarge {
        /// The size that was asked for.
        size: u64,
    },
}

impl<E> fmt::Display for RestoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Read(_) => f.write_str("the partial tiles could not be read"),
            RestoreError::Count { level, expected, actual } => {
                write!(f, "the partial tile of level {level} has {actual} hashes instead of {expected}")
            }
            RestoreError::TooLarge { size } => {
                write!(f, "a tree of {size} leaves is beyond the limit of {TREE_SIZE_MAX}")
            }
        }
    }
}

impl<E: error::Error + 'static> error::Error for RestoreError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            RestoreError::Read(error) => Some(error),
            RestoreError::Count { .. } | RestoreError::TooLarge { .. } => None,
        }
    }
}

/// Where proofs get their hashes.
///
/// A reader answers for a tree of its own size and, since tiles only grow, for every earlier one. It need not know which
/// size is asked about: only prefixes of tiles that it has are asked for. One proof asks for a tile once at most, so a
/// reader needs no cache for that; a reader over a store that is written at the same time must answer from one snapshot
/// or from a size that it has seen committed.
pub trait TileReader {
    /// What reading may fail with.
    type Error;

    /// The first `width` hashes, 1 to 256, of the tile at this level and index.
    ///
    /// Gives exactly `width` hashes or an error: a tile that is absent, shorter or damaged is an error that names its
    /// place. Roots and proofs refuse any other count as [`ProofError::Width`](super::ProofError::Width).
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>, Self::Error>;
}

/// A whole tree's tiles in memory: 32 bytes a leaf, and 1/255 more for the levels above.
///
/// The reader of the memory backend and of tests. It cannot fail, and gives the hashes that there are: a proof about a
/// size beyond [`size`](Self::size) is refused as [`ProofError::Width`](super::ProofError::Width).
#[derive(Clone, Debug, Default)]
pub struct MemoryTiles {
    levels: Vec<Vec<Hash>>,
}

impl MemoryTiles {
    /// The empty tree.
    #[must_use]
    pub fn new() -> MemoryTiles {
        MemoryTiles::default()
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Appends a leaf, given by its hash; one node hash on average.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if !(hashes.len() as u64).is_multiple_of(TILE_WIDTH) {
                break;
            }
            hash = complete_root(&hashes[hashes.len() - TILE_WIDTH as usize..]);
        }
    }
}

impl TileReader for MemoryTiles {
    type Error = Infallible;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>, Infallible> {
        let hashes = self.levels.get(usize::from(level)).map_or(&[][..], Vec::as_slice);
        let length = hashes.len() as u64;
        let begin = index.saturating_mul(TILE_WIDTH).min(length);
        let end = begin.saturating_add(u64::from(width)).min(length);
        Ok(Cow::Borrowed(&hashes[begin as usize..end as usize]))
    }
}
