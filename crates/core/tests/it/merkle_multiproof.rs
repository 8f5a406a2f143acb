//! One proof of many leaves: exhaustively on small trees, and across tiles.

use std::{borrow::Cow, cell::RefCell, convert::Infallible};

use proptest::prelude::*;
use tracekeep_core::{
    hash::Hash,
    merkle::{
        MemoryTiles, ProofError, TileReader, VerifyError, earlier_root, inclusion_proof, leaf_hash, multiproof,
        node_hash, root_at, verify_multiproof,
    },
};

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn tree(size: u64) -> MemoryTiles {
    let mut tiles = MemoryTiles::new();
    (0..size).for_each(|index| tiles.push(leaf(index)));
    tiles
}

fn known(indices: &[u64]) -> Vec<(u64, Hash)> {
    indices.iter().map(|index| (*index, leaf(*index))).collect()
}

/// As the format's page says it, by asking for every subtree whether it holds one of the places.
fn as_written(begin: u64, end: u64, indices: &[u64], nodes: &mut Vec<Hash>) -> Hash {
    let size = end - begin;
    let (inside, first) = (indices.iter().any(|index| (begin..end).contains(index)), nodes.len());
    let root = if size == 1 {
        leaf(begin)
    } else {
        let mut half = 1;
        while half * 2 < size {
            half *= 2;
        }
        let left = as_written(begin, begin + half, indices, nodes);
        node_hash(&left, &as_written(begin + half, end, indices, nodes))
    };
    if !inside {
        nodes.truncate(first);
        nodes.push(root);
    }
    root
}

/// The proof is the one that is written, it proves, and nothing else does.
fn check(tiles: &MemoryTiles, size: u64, indices: &[u64]) {
    let nodes = multiproof(tiles, indices, size).unwrap();
    let mut expected = Vec::new();
    let root = as_written(0, size, indices, &mut expected);
    assert_eq!(nodes, expected, "{indices:?} of {size}");
    let leaves = known(indices);
    let verify = |leaves: &[(u64, Hash)], nodes: &[Hash]| verify_multiproof(leaves, size, nodes, &root);
    assert_eq!(verify(&leaves, &nodes), Ok(()), "{indices:?} of {size}");

    let other = leaf_hash(b"other");
    assert!(verify_multiproof(&leaves, size, &nodes, &other).is_err(), "another root");
    assert_eq!(verify(&leaves, &[&nodes[..], &[other]].concat()), Err(VerifyError::TooLong));
    for place in 0..nodes.len() {
        let mut short = nodes.clone();
        short.remove(place);
        assert_eq!(verify(&leaves, &short), Err(VerifyError::TooShort));
        let mut flipped = nodes.clone();
        flipped[place] = other;
        assert_eq!(verify(&leaves, &flipped), Err(VerifyError::Root));
        if place > 0 {
            let mut swapped = nodes.clone();
            swapped.swap(place - 1, place);
            assert_eq!(verify(&leaves, &swapped), Err(VerifyError::Root));
        }
    }
    for place in 0..leaves.len() {
        let mut fewer = leaves.clone();
        fewer.remove(place);
        assert!(verify(&fewer, &nodes).is_err(), "a leaf was left out");
        let mut changed = leaves.clone();
        changed[place].1 = other;
        assert_eq!(verify(&changed, &nodes), Err(VerifyError::Root));
        for moved in [leaves[place].0.wrapping_sub(1), leaves[place].0 + 1, size] {
            let mut at = leaves.clone();
            at[place].0 = moved;
            assert!(verify(&at, &nodes).is_err(), "leaf {} claimed at {moved} of {size}", leaves[place].0);
        }
        let mut twice = leaves.clone();
        twice.insert(place, leaves[place]);
        assert_eq!(verify(&twice, &nodes), Err(VerifyError::Index { index: leaves[place].0, size }));
    }
}

#[test]
fn every_set_of_up_to_three_leaves_of_every_tree_up_to_64() {
    let tiles = tree(64);
    for size in 1..=64 {
        let root = root_at(&tiles, size).unwrap();
        let below = |least: u64| least..size;
        let pairs = below(0).flat_map(|a| below(a + 1).map(move |b| vec![a, b]));
        let triples = below(0).flat_map(|a| below(a + 1).flat_map(move |b| below(b + 1).map(move |c| vec![a, b, c])));
        for indices in std::iter::once(vec![]).chain(below(0).map(|a| vec![a])).chain(pairs).chain(triples) {
            // Every mutation as well, of so many sets as a test has time for.
            if indices.len() < 2 || size <= 12 || (indices.len() == 2 && size <= 16) {
                check(&tiles, size, &indices);
            }
            let nodes = multiproof(&tiles, &indices, size).unwrap();
            assert_eq!(verify_multiproof(&known(&indices), size, &nodes, &root), Ok(()), "{indices:?} of {size}");
        }
    }
}

#[test]
fn of_one_leaf_it_holds_what_its_inclusion_proof_holds() {
    let tiles = tree(300);
    for index in [0, 1, 255, 256, 299] {
        let mut nodes = multiproof(&tiles, &[index], 300).unwrap();
        let mut proof = inclusion_proof(&tiles, index, 300).unwrap();
        nodes.sort_unstable_by_key(|node| *node.as_bytes());
        proof.sort_unstable_by_key(|node| *node.as_bytes());
        assert_eq!(nodes, proof);
    }
}

#[test]
fn all_leaves_need_no_node_and_none_need_the_root() {
    let tiles = tree(1_000);
    let all: Vec<u64> = (0..1_000).collect();
    assert_eq!(multiproof(&tiles, &all, 1_000).unwrap(), []);
    assert_eq!(multiproof(&tiles, &[], 1_000).unwrap(), [root_at(&tiles, 1_000).unwrap()]);
    assert_eq!(multiproof(&tiles, &[], 0).unwrap(), []);
    assert_eq!(verify_multiproof(&[], 0, &[], &root_at(&tiles, 0).unwrap()), Ok(()));
}

#[test]
fn places_that_do_not_ascend_or_are_not_there_are_refused() {
    let tiles = tree(9);
    for (indices, wrong) in [(&[3, 3][..], 3), (&[4, 3], 3), (&[9], 9), (&[0, u64::MAX], u64::MAX)] {
        assert_eq!(multiproof(&tiles, indices, 9), Err(ProofError::Index { index: wrong, size: 9 }));
    }
    assert_eq!(multiproof(&tiles, &[0], 0), Err(ProofError::Index { index: 0, size: 0 }));
}

#[test]
fn the_largest_sizes_are_walked_without_overflow() {
    let ends = [(0, leaf(0)), (u64::MAX - 1, leaf(1))];
    for count in [0, 1, 126, 127, 128] {
        let nodes = vec![leaf(2); count];
        assert!(verify_multiproof(&ends, u64::MAX, &nodes, &leaf(3)).is_err());
    }
}

/// Counts what is read and how much of it is held.
struct Counting<'a>(&'a MemoryTiles, RefCell<Vec<(u8, u64)>>);

impl TileReader for Counting<'_> {
    type Error = Infallible;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>, Infallible> {
        self.1.borrow_mut().push((level, index));
        self.0.tile(level, index, width)
    }
}

#[test]
fn each_tile_is_read_once_from_left_to_right() {
    let tiles = tree(70_000);
    for indices in [vec![5], vec![0, 69_999], (100..5_000).collect(), (0..70_000).step_by(97).collect()] {
        let counting = Counting(&tiles, RefCell::default());
        let nodes = multiproof(&counting, &indices, 70_000).unwrap();
        let read = counting.1.into_inner();
        for (place, tile) in read.iter().enumerate() {
            assert!(!read[..place].contains(tile), "tile {tile:?} is read twice");
        }
        assert!(read.len() <= nodes.len() + 3, "{} tiles for {} nodes", read.len(), nodes.len());
        let root = root_at(&tiles, 70_000).unwrap();
        assert_eq!(verify_multiproof(&known(&indices), 70_000, &nodes, &root), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_set_in_any_tree(size in 1u64..300, seed in proptest::collection::btree_set(0u64..300, 0..24)) {
        let indices: Vec<u64> = seed.into_iter().filter(|index| *index < size).collect();
        check(&tree(300), size, &indices);
    }
}

#[test]
fn a_proof_of_the_last_leaf_of_an_earlier_tree_gives_that_trees_root_too() {
    let tiles = tree(70);
    for size in 1..=70 {
        for from in 1..=size {
            let root = root_at(&tiles, from).unwrap();
            for beside in [vec![], vec![0], vec![size - 1], vec![from / 2, size / 2], (0..size).collect()] {
                let mut indices: Vec<u64> = beside.into_iter().chain([from - 1]).collect();
                indices.sort_unstable();
                indices.dedup();
                let nodes = multiproof(&tiles, &indices, size).unwrap();
                assert_eq!(
                    earlier_root(&known(&indices), size, &nodes, from),
                    Some(root),
                    "{from} of {size}: {indices:?}"
                );
                indices.retain(|index| *index != from - 1);
                let nodes = multiproof(&tiles, &indices, size).unwrap();
                let without = (from == size).then_some(root);
                assert_eq!(
                    earlier_root(&known(&indices), size, &nodes, from),
                    without,
                    "{from} of {size}: {indices:?}"
                );
            }
        }
    }
    for wrong in [0, 71, u64::MAX] {
        assert_eq!(earlier_root(&known(&[69]), 70, &multiproof(&tiles, &[69], 70).unwrap(), wrong), None);
    }
}
