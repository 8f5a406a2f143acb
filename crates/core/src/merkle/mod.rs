//! The Merkle tree of a ledger: roots, tiles, and proofs per RFC 9162 §2.1 (the same tree as RFC 6962 §2.1).
//!
//! Everything is over leaf *hashes*; [`leaf_hash`] makes one from an entry's bytes. A tree of n leaves splits at the
//! largest power of two strictly below n, so that a complete subtree, once hashed, never changes; only the right edge
//! does. Hence five views of one tree:
//!
//! | view | holds | for |
//! |---|---|---|
//! | [`Frontier`] | the roots of the largest complete subtrees, at most 62 hashes | appending, the root |
//! | [`Edge`] | a frontier and the not yet full tile of every level | a writer that stores full [`Tile`]s |
//! | [`TileReader`] | any tile, full or partial, from wherever it is stored | [`root_at`], [`inclusion_proof`], [`consistency_proof`] |
//! | [`Path`] | a frontier and one leaf's siblings so far | proving a leaf of a tree whose leaves pass by once |
//! | a proof | at most 65 hashes | [`verify_inclusion`], [`verify_consistency`]: no tree needed |
//! | a [`multiproof`] | what k leaves do not say, at most k · log₂ n hashes | [`verify_multiproof`] |
//!
//! A tile is C2SP tlog-tiles': 256 neighbouring hashes, the tile at (level L, index i) holding the roots of the complete
//! subtrees of height 8·L that begin at leaf (256·i + j)·256^L, for j in 0..256. So a level-0 tile holds leaf hashes and
//! a tile of level L + 1 the roots of 256 full tiles of level L.
//!
//! # Invariants
//!
//! 1. Nothing here reads a clock, does I/O or draws randomness; a hash depends on the leaves and their order alone.
//! 2. A frontier of size n holds exactly one node for each 1 bit of n, the largest subtree first.
//! 3. An [`Edge`] of size n holds, at level L, exactly (n >> 8·L) mod 256 hashes, and they agree with its frontier.
//! 4. A full tile never changes, and a partial tile is a prefix of the tile that it becomes: a reader of a larger tree can
//!    therefore answer for every earlier size.
//! 5. A verifier accepts one length of proof for given sizes, and no numbers, however hostile, make it overflow.
//! 6. Appending keeps to [`TREE_SIZE_MAX`] leaves; proofs and verifiers take every `u64`.
//!
//! # What a verified proof does not say
//!
//! A proof ties hashes to a root, and only as far as the caller knows which tree that root is of. Trees of different
//! sizes give some leaves a path of the same shape: leaf 0 of 3 and leaf 0 of 4 do, so a proof made for size 3 verifies
//! against the *root of size 3* also when 4 is claimed. The size must therefore come from where the root came from, a
//! signed checkpoint, never from the proof.

mod frontier;
mod multiproof;
mod node;
mod path;
mod proof;
mod tiles;

pub use frontier::{Frontier, FrontierError, TREE_SIZE_MAX};
pub use multiproof::{earlier_root, multiproof, verify_multiproof};
pub use node::{empty_root, leaf_hash, node_hash, root_of};
pub use path::Path;
pub use proof::{
    ProofError, VerifyError, consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion,
};
pub use tiles::{Edge, MemoryTiles, RestoreError, TILE_WIDTH, Tile, TileReader};
