//! The trees and proofs that evidence stands on, against an independent implementation: every tree up to 512 leaves.

use std::collections::BTreeSet;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use tracekeep_core::hash::Hash;
use tracekeep_core::merkle::{self, MemoryTiles};

const LEAVES: u64 = 512;

/// Both trees over the same leaves, and ours' root at each size.
struct Both {
    ours: MemoryTiles,
    other: MemoryBackedTree<Sha256, Vec<u8>>,
    roots: Vec<Hash>,
}

fn leaf(number: u64) -> Hash {
    merkle::leaf_hash(&number.to_be_bytes())
}

impl Both {
    fn new() -> Self {
        Self { ours: MemoryTiles::new(), other: MemoryBackedTree::new(), roots: vec![merkle::empty_root()] }
    }

    fn grow(&mut self) -> u64 {
        let size = self.ours.size();
        self.ours.push(leaf(size));
        self.other.push(size.to_be_bytes().to_vec());
        let root = merkle::root_at(&self.ours, size + 1).unwrap();
        assert_eq!(root.as_bytes()[..], self.other.root().as_bytes()[..], "the root of {} leaves", size + 1);
        self.roots.push(root);
        size + 1
    }
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.iter().copied().map(Hash::from_bytes).collect()
}

/// Sizes at which our own proofs are made as well, which takes their tiles anew each time: small ones, and where tiles fill.
fn is_proved_by_us(size: u64) -> bool {
    size <= 128 || [255, 256, 257, 511, 512].contains(&size)
}

/// What a forger tries: one bit of a hash, a hash less, one more, two in another order.
fn mutations(proof: &[Hash], at: usize) -> Vec<Vec<Hash>> {
    let mut mutated = Vec::new();
    if !proof.is_empty() {
        let (place, mut flipped) = (at % proof.len(), proof.to_vec());
        let mut bits = *flipped[place].as_bytes();
        bits[at % 32] ^= 1 << (at % 8);
        flipped[place] = Hash::from_bytes(bits);
        mutated.push(flipped);
        let mut dropped = proof.to_vec();
        dropped.remove(place);
        mutated.push(dropped);
    }
    let mut added = proof.to_vec();
    added.insert(at % (proof.len() + 1), leaf(at as u64));
    mutated.push(added);
    if let [first, .., last] = proof
        && first != last
    {
        let mut swapped = proof.to_vec();
        swapped.swap(0, proof.len() - 1);
        mutated.push(swapped);
    }
    mutated
}

#[test]
fn every_inclusion_proof_is_the_other_implementations_and_no_mutation_of_it_is_accepted() {
    let mut both = Both::new();
    for _ in 0..LEAVES {
        let size = both.grow();
        let root = both.roots[size as usize];
        for index in 0..size {
            let proof = hashes(both.other.prove_inclusion(index as usize).as_bytes());
            if is_proved_by_us(size) {
                assert_eq!(merkle::inclusion_proof(&both.ours, index, size).unwrap(), proof, "{index} in {size}");
            }
            let accepted =
                |index, leaf, proof: &[Hash]| merkle::verify_inclusion(&leaf, index, size, proof, &root).is_ok();
            assert!(accepted(index, leaf(index), &proof));
            assert!(!accepted(index, leaf(index + 1), &proof));
            assert!(!accepted((index + 1) % (size + 1), leaf(index), &proof), "{index} in {size}");
            for mutated in mutations(&proof, (index + size) as usize) {
                assert!(!accepted(index, leaf(index), &mutated), "{index} in {size}");
            }
            // At another size, with that size's own root.
            let smaller = (size - 1) as usize;
            let shrunk = merkle::verify_inclusion(&leaf(index), index, size - 1, &proof, &both.roots[smaller]);
            assert!(shrunk.is_err(), "{index} in {size}");
        }
    }
}

#[test]
fn every_consistency_proof_is_the_other_implementations_and_no_mutation_of_it_is_accepted() {
    let mut both = Both::new();
    for _ in 0..LEAVES {
        let to = both.grow();
        let to_root = both.roots[to as usize];
        for from in 1..to {
            let proof = hashes(both.other.prove_consistency((to - from) as usize).as_bytes());
            if is_proved_by_us(to) {
                assert_eq!(merkle::consistency_proof(&both.ours, from, to).unwrap(), proof, "{from} to {to}");
            }
            let from_root = both.roots[from as usize];
            let accepted = |from, from_root: &Hash, proof: &[Hash]| {
                merkle::verify_consistency(from, from_root, to, &to_root, proof).is_ok()
            };
            assert!(accepted(from, &from_root, &proof));
            assert!(!accepted(from, &both.roots[from as usize - 1], &proof), "{from} to {to}");
            assert!(!accepted(from - 1, &both.roots[from as usize - 1], &proof), "{from} to {to}");
            for mutated in mutations(&proof, (from + to) as usize) {
                assert!(!accepted(from, &from_root, &mutated), "{from} to {to}");
            }
        }
    }
}

/// Every set of up to three leaves is proved on trees of up to 64 in core; here the nodes and the roots are another's.
#[test]
fn the_proof_of_several_leaves_is_made_of_the_other_implementations_and_no_mutation_of_it_is_accepted() {
    let mut both = Both::new();
    for _ in 0..LEAVES {
        let size = both.grow();
        let root = both.roots[size as usize];
        for index in (0..size).step_by((size / 8).max(1) as usize) {
            let set = BTreeSet::from([index, index / 2, (index * 5 + 1) % size, size - 1]);
            let set: Vec<u64> = set.into_iter().collect();
            let nodes = merkle::multiproof(&both.ours, &set, size).unwrap();
            let of_each = set.iter().flat_map(|index| hashes(both.other.prove_inclusion(*index as usize).as_bytes()));
            let others: Vec<Hash> = of_each.collect();
            assert!(nodes.iter().all(|node| others.contains(node)), "{set:?} of {size}");
            let known: Vec<_> = set.iter().map(|index| (*index, leaf(*index))).collect();
            let accepted = |size, nodes: &[Hash], root| merkle::verify_multiproof(&known, size, nodes, root).is_ok();
            assert!(accepted(size, &nodes, &root), "{set:?} of {size}");
            for mutated in mutations(&nodes, (index + size) as usize) {
                assert!(!accepted(size, &mutated, &root), "{set:?} of {size}");
            }
            assert!(!accepted(size - 1, &nodes, &both.roots[size as usize - 1]), "{set:?} of {size}");
        }
    }
}
