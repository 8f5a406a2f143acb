//! The tree against RFC 9162 §2.1, whose recursive definitions stand here as they are written there.

use std::{collections::HashMap, convert::Infallible};

use serde_json::Value;
use tracekeep_core::{
    hash::Hash,
    merkle::{
        MemoryTiles, ProofError, VerifyError, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash,
        root_at, root_of, verify_consistency, verify_inclusion,
    },
};

/// Sizes up to here are tested against the definitions, all pairs of them.
const SIZE_MAX: u64 = 128;

/// The leaves of Certificate Transparency's classic test vectors.
const CLASSIC: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// The definitions over leaf hashes; MTH is remembered, the recursion is the RFC's.
struct Definition {
    leaves: Vec<Hash>,
    roots: HashMap<(usize, usize), Hash>,
}

impl Definition {
    fn new(leaves: Vec<Hash>) -> Definition {
        Definition { leaves, roots: HashMap::new() }
    }

    /// MTH(D[begin:end]), §2.1.1.
    fn mth(&mut self, begin: usize, end: usize) -> Hash {
        if let Some(root) = self.roots.get(&(begin, end)) {
            return *root;
        }
        let root = match end - begin {
            0 => empty_root(),
            1 => self.leaves[begin],
            n => {
                let middle = begin + largest_power_of_two_below(n);
                node_hash(&self.mth(begin, middle), &self.mth(middle, end))
            }
        };
        self.roots.insert((begin, end), root);
        root
    }

    /// PATH(m, D[begin:end]), §2.1.3.1.
    fn path(&mut self, m: usize, begin: usize, end: usize) -> Vec<Hash> {
        let n = end - begin;
        if n == 1 {
            return Vec::new();
        }
        let k = largest_power_of_two_below(n);
        let mut path;
        if m < k {
            path = self.path(m, begin, begin + k);
            path.push(self.mth(begin + k, end));
        } else {
            path = self.path(m - k, begin + k, end);
            path.push(self.mth(begin, begin + k));
        }
        path
    }

    /// SUBPROOF(m, D[begin:end], b), §2.1.4.1.
    fn subproof(&mut self, m: usize, begin: usize, end: usize, b: bool) -> Vec<Hash> {
        let n = end - begin;
        if m == n {
            return if b { Vec::new() } else { vec![self.mth(begin, end)] };
        }
        let k = largest_power_of_two_below(n);
        let mut proof;
        if m <= k {
            proof = self.subproof(m, begin, begin + k, b);
            proof.push(self.mth(begin + k, end));
        } else {
            proof = self.subproof(m - k, begin + k, end, false);
            proof.push(self.mth(begin, begin + k));
        }
        proof
    }
}

fn largest_power_of_two_below(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// On which side PATH's hashes stand, from the leaf upwards.
fn path_shape(m: u64, n: u64) -> String {
    if n == 1 {
        return String::new();
    }
    let k = largest_power_of_two_below(n as usize) as u64;
    if m < k { path_shape(m, k) + "r" } else { path_shape(m - k, n - k) + "l" }
}

/// What SUBPROOF begins with, the old root or a hash of its own, and on which side its other hashes stand.
fn subproof_shape(m: u64, n: u64, b: bool) -> String {
    if m == n {
        return if b { "root ".to_owned() } else { "hash ".to_owned() };
    }
    let k = largest_power_of_two_below(n as usize) as u64;
    if m <= k { subproof_shape(m, k, b) + "r" } else { subproof_shape(m - k, n - k, false) + "l" }
}

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn tree(size: u64) -> (Definition, MemoryTiles) {
    let mut tiles = MemoryTiles::new();
    for index in 0..size {
        tiles.push(leaf(index));
    }
    (Definition::new((0..size).map(leaf).collect()), tiles)
}

fn flipped(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

/// Every proof that differs from this one by a flipped bit, a missing, an added or two swapped hashes.
fn mutations(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut mutated = Vec::new();
    for i in 0..proof.len() {
        let mut one = proof.to_vec();
        one[i] = flipped(&one[i], 37 * i + proof.len());
        mutated.push(one);
        for j in i + 1..proof.len() {
            if proof[i] != proof[j] {
                let mut one = proof.to_vec();
                one.swap(i, j);
                mutated.push(one);
            }
        }
    }
    if let [first @ .., last] = proof {
        mutated.push(first.to_vec());
        mutated.push(proof[1..].to_vec());
        mutated.push([proof, &[*last]].concat());
    }
    mutated.push([proof, &[Hash::ZERO]].concat());
    mutated.push([&[Hash::ZERO], proof].concat());
    mutated
}

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/merkle.json");
    let text = std::fs::read_to_string(path).expect("vectors/merkle.json is readable");
    serde_json::from_str(&text).expect("vectors/merkle.json is JSON")
}

fn rows<'v>(vectors: &'v Value, name: &str) -> &'v [Value] {
    vectors[name].as_array().expect("an array of vectors")
}

fn number(vector: &Value, name: &str) -> u64 {
    vector[name].as_u64().expect("a number")
}

fn hashes(values: &Value) -> Vec<Hash> {
    let values = values.as_array().expect("an array of hashes");
    values.iter().map(|value| value.as_str().expect("a string").parse().expect("a hash")).collect()
}

#[track_caller]
fn check_root(size: usize, published: &str) {
    let leaves: Vec<Hash> = CLASSIC[..size].iter().map(|entry| leaf_hash(entry)).collect();
    assert_eq!(root_of(&leaves).to_string(), published, "root of {size}");
    let defined = Definition::new(leaves).mth(0, size);
    assert_eq!(defined.to_string(), published, "root of {size} by the definition");
}

#[test]
fn the_classic_leaves_have_the_published_roots() {
    check_root(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_root(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    check_root(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    check_root(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    check_root(4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7");
    check_root(5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4");
    check_root(6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef");
    check_root(7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c");
    check_root(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn the_published_vectors_hold_for_every_pair_up_to_eight() {
    let vectors = vectors();
    let entries = rows(&vectors, "leaves_hex");
    let classic: Vec<String> =
        CLASSIC.iter().map(|entry| entry.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    assert_eq!(entries, classic);

    let leaves: Vec<Hash> = CLASSIC.iter().map(|entry| leaf_hash(entry)).collect();
    let roots = hashes(&vectors["roots"]);
    assert_eq!(roots, (0..=8).map(|size| root_of(&leaves[..size])).collect::<Vec<_>>());

    let mut tiles = MemoryTiles::new();
    leaves.iter().for_each(|leaf| tiles.push(*leaf));

    let inclusion = rows(&vectors, "inclusion");
    let mut pairs = Vec::new();
    for vector in inclusion {
        let (index, size) = (number(vector, "index"), number(vector, "size"));
        let proof = hashes(&vector["proof"]);
        assert_eq!(inclusion_proof(&tiles, index, size), Ok(proof.clone()), "{index} in {size}");
        let (leaf, root) = (&leaves[index as usize], &roots[size as usize]);
        assert_eq!(verify_inclusion(leaf, index, size, &proof, root), Ok(()), "{index} in {size}");
        pairs.push((size, index));
    }
    assert_eq!(pairs, (0..=8).flat_map(|n| (0..n).map(move |i| (n, i))).collect::<Vec<_>>());

    let consistency = rows(&vectors, "consistency");
    let mut pairs = Vec::new();
    for vector in consistency {
        let (from, to) = (number(vector, "from"), number(vector, "to"));
        let proof = hashes(&vector["proof"]);
        assert_eq!(consistency_proof(&tiles, from, to), Ok(proof.clone()), "{from} to {to}");
        let (old, new) = (&roots[from as usize], &roots[to as usize]);
        assert_eq!(verify_consistency(from, old, to, new, &proof), Ok(()), "{from} to {to}");
        pairs.push((to, from));
    }
    assert_eq!(pairs, (0..=8).flat_map(|n| (0..=n).map(move |m| (n, m))).collect::<Vec<_>>());
}

#[test]
fn every_root_is_the_definitions() {
    let (mut definition, tiles) = tree(SIZE_MAX);
    for size in 0..=SIZE_MAX {
        let expected = definition.mth(0, size as usize);
        assert_eq!(root_at(&tiles, size), Ok(expected), "size {size}");
        assert_eq!(root_of(&definition.leaves[..size as usize]), expected, "size {size}");
    }
}

#[test]
fn every_inclusion_proof_is_the_definitions_and_verifies() {
    let (mut definition, tiles) = tree(SIZE_MAX);
    for size in 1..=SIZE_MAX {
        let root = definition.mth(0, size as usize);
        for index in 0..size {
            let proof = definition.path(index as usize, 0, size as usize);
            assert_eq!(inclusion_proof(&tiles, index, size), Ok(proof.clone()), "{index} in {size}");
            let verified = verify_inclusion(&leaf(index), index, size, &proof, &root);
            assert_eq!(verified, Ok(()), "{index} in {size}");
        }
    }
}

#[test]
fn every_consistency_proof_is_the_definitions_and_verifies() {
    let (mut definition, tiles) = tree(SIZE_MAX);
    for to in 0..=SIZE_MAX {
        let new = definition.mth(0, to as usize);
        for from in 0..=to {
            let old = definition.mth(0, from as usize);
            let proof = match from {
                0 => Vec::new(),
                _ => definition.subproof(from as usize, 0, to as usize, true),
            };
            assert_eq!(consistency_proof(&tiles, from, to), Ok(proof.clone()), "{from} to {to}");
            let verified = verify_consistency(from, &old, to, &new, &proof);
            assert_eq!(verified, Ok(()), "{from} to {to}");
        }
    }
}

#[test]
fn no_altered_inclusion_proof_verifies() {
    let (mut definition, _) = tree(SIZE_MAX);
    for size in 1..=SIZE_MAX {
        let root = definition.mth(0, size as usize);
        for index in 0..size {
            let proof = definition.path(index as usize, 0, size as usize);
            let hash = leaf(index);
            for altered in mutations(&proof) {
                let verified = verify_inclusion(&hash, index, size, &altered, &root);
                assert!(verified.is_err(), "{index} in {size} with {altered:?}");
            }
            let bit = (7 * index + size) as usize;
            let verified = verify_inclusion(&hash, index, size, &proof, &flipped(&root, bit));
            assert_eq!(verified, Err(VerifyError::Root), "{index} in {size}, wrong root");
            let verified = verify_inclusion(&flipped(&hash, bit), index, size, &proof, &root);
            assert_eq!(verified, Err(VerifyError::Root), "{index} in {size}, wrong leaf");
        }
    }
}

#[test]
fn no_inclusion_proof_verifies_at_another_index() {
    let (mut definition, _) = tree(SIZE_MAX);
    for size in 1..=SIZE_MAX {
        let root = definition.mth(0, size as usize);
        for index in 0..size {
            let proof = definition.path(index as usize, 0, size as usize);
            for other in (0..size + 2).filter(|other| *other != index) {
                let verified = verify_inclusion(&leaf(index), other, size, &proof, &root);
                assert!(verified.is_err(), "{index} in {size} as {other}");
            }
        }
    }
}

/// A path says on which side its hashes stand and nothing of the size, so a proof verifies under a wrong size exactly
/// where the path there has the same shape. The page of the module says what follows from it.
#[test]
fn an_inclusion_proof_verifies_at_another_size_only_where_the_path_has_the_same_shape() {
    let (mut definition, _) = tree(SIZE_MAX);
    for size in 1..=SIZE_MAX {
        let root = definition.mth(0, size as usize);
        for index in [0, 1, size / 3, size / 2, size.saturating_sub(2), size - 1] {
            if index >= size {
                continue;
            }
            let proof = definition.path(index as usize, 0, size as usize);
            let shape = path_shape(index, size);
            for other in 0..=SIZE_MAX + 2 {
                let verified = verify_inclusion(&leaf(index), index, other, &proof, &root);
                let same_shape = index < other && path_shape(index, other) == shape;
                assert_eq!(verified.is_ok(), same_shape, "{index} in {size} as in {other}");
            }
        }
    }
}

/// Index and size wrong together: a verifier that does not stop at the root takes leaf 1 of 2 for leaf 0 of 1.
#[test]
fn an_inclusion_proof_verifies_elsewhere_only_where_the_path_has_the_same_shape() {
    const SIZE_MAX: u64 = 32;
    let (mut definition, _) = tree(SIZE_MAX);
    for size in 1..=SIZE_MAX {
        let root = definition.mth(0, size as usize);
        for index in 0..size {
            let proof = definition.path(index as usize, 0, size as usize);
            let shape = path_shape(index, size);
            for other_size in 1..=SIZE_MAX + 2 {
                for other in 0..other_size {
                    let verified = verify_inclusion(&leaf(index), other, other_size, &proof, &root);
                    let same_shape = path_shape(other, other_size) == shape;
                    let said = (index, size, other, other_size);
                    assert_eq!(verified.is_ok(), same_shape, "(index, size) as: {said:?}");
                }
            }
        }
    }
}

#[test]
fn no_altered_consistency_proof_verifies() {
    let (mut definition, _) = tree(SIZE_MAX);
    for to in 1..=SIZE_MAX {
        let new = definition.mth(0, to as usize);
        for from in 1..=to {
            let old = definition.mth(0, from as usize);
            let proof = definition.subproof(from as usize, 0, to as usize, true);
            for altered in mutations(&proof) {
                let verified = verify_consistency(from, &old, to, &new, &altered);
                assert!(verified.is_err(), "{from} to {to} with {altered:?}");
            }
            let bit = (7 * from + to) as usize;
            let verified = verify_consistency(from, &old, to, &flipped(&new, bit), &proof);
            assert_eq!(verified, Err(VerifyError::Root), "{from} to {to}, wrong root");
            let verified = verify_consistency(from, &flipped(&old, bit), to, &new, &proof);
            assert!(verified.is_err(), "{from} to {to}, wrong earlier root");
        }
    }
}

/// As for inclusion: a wrong size is noticed where it gives the proof another shape.
#[test]
fn a_consistency_proof_verifies_at_other_sizes_only_where_it_has_the_same_shape() {
    const SIZE_MAX: u64 = 40;
    let (mut definition, _) = tree(SIZE_MAX);
    for to in 2..=SIZE_MAX {
        let new = definition.mth(0, to as usize);
        for from in 1..to {
            let old = definition.mth(0, from as usize);
            let proof = definition.subproof(from as usize, 0, to as usize, true);
            let shape = subproof_shape(from, to, true);
            for other_to in 0..=SIZE_MAX + 2 {
                for other_from in 0..=SIZE_MAX + 2 {
                    let verified = verify_consistency(other_from, &old, other_to, &new, &proof);
                    let same_shape =
                        0 < other_from && other_from < other_to && subproof_shape(other_from, other_to, true) == shape;
                    let said = (from, to, other_from, other_to);
                    assert_eq!(verified.is_ok(), same_shape, "(from, to) as (from, to): {said:?}");
                }
            }
        }
    }
}

#[track_caller]
fn check_consistency(from: (u64, Hash), to: (u64, Hash), proof: &[Hash], expected: Result<(), VerifyError>) {
    assert_eq!(verify_consistency(from.0, &from.1, to.0, &to.1, proof), expected);
}

#[test]
fn trees_of_equal_size_need_equal_roots_and_an_empty_proof() {
    check_consistency((3, leaf(1)), (3, leaf(1)), &[], Ok(()));
    check_consistency((3, leaf(1)), (3, leaf(2)), &[], Err(VerifyError::Root));
    check_consistency((3, leaf(1)), (3, leaf(1)), &[leaf(1)], Err(VerifyError::TooLong));
    check_consistency((4, leaf(1)), (4, leaf(1)), &[leaf(1)], Err(VerifyError::TooLong));
    check_consistency((u64::MAX, leaf(1)), (u64::MAX, leaf(1)), &[], Ok(()));
}

#[test]
fn the_empty_tree_is_a_prefix_only_with_its_own_root_and_an_empty_proof() {
    check_consistency((0, empty_root()), (0, empty_root()), &[], Ok(()));
    check_consistency((0, empty_root()), (7, leaf(1)), &[], Ok(()));
    check_consistency((0, leaf(1)), (7, leaf(1)), &[], Err(VerifyError::FromRoot));
    check_consistency((0, leaf(1)), (0, leaf(1)), &[], Err(VerifyError::FromRoot));
    check_consistency((0, empty_root()), (0, leaf(1)), &[], Err(VerifyError::Root));
    check_consistency((0, empty_root()), (7, leaf(1)), &[leaf(1)], Err(VerifyError::TooLong));
}

#[test]
fn a_tree_is_no_prefix_of_a_smaller_one() {
    let refused = Err(VerifyError::Sizes { from: 4, to: 3 });
    check_consistency((4, leaf(1)), (3, leaf(1)), &[], refused);
    check_consistency((4, leaf(1)), (3, leaf(1)), &[leaf(1)], refused);
    let (_, tiles) = tree(4);
    assert_eq!(consistency_proof(&tiles, 4, 3), Err(ProofError::Sizes { from: 4, to: 3 }));
}

#[test]
fn a_proper_prefix_needs_a_proof() {
    check_consistency((2, leaf(1)), (3, leaf(1)), &[], Err(VerifyError::TooShort));
    check_consistency((3, leaf(1)), (4, leaf(1)), &[], Err(VerifyError::TooShort));
    check_consistency((3, leaf(1)), (4, leaf(1)), &[leaf(1)], Err(VerifyError::TooShort));
}

#[test]
fn no_leaf_is_at_or_beyond_the_size() {
    let (_, tiles) = tree(4);
    for (index, size) in [(0, 0), (4, 4), (u64::MAX, 4), (u64::MAX, u64::MAX)] {
        assert_eq!(verify_inclusion(&leaf(0), index, size, &[], &leaf(0)), Err(VerifyError::Index { index, size }));
        assert_eq!(inclusion_proof(&tiles, index, size), Err(ProofError::Index { index, size }));
    }
}

#[test]
fn the_one_leaf_of_a_tree_is_its_root_and_needs_no_proof() {
    assert_eq!(verify_inclusion(&leaf(0), 0, 1, &[], &leaf(0)), Ok(()));
    assert_eq!(verify_inclusion(&leaf(0), 0, 1, &[], &leaf(1)), Err(VerifyError::Root));
    assert_eq!(verify_inclusion(&leaf(0), 0, 1, &[leaf(0)], &leaf(0)), Err(VerifyError::TooLong));
}

#[test]
fn an_entry_that_spells_a_node_is_not_that_node() {
    let (left, right) = (leaf(0), leaf(1));
    let entry = [&left.as_bytes()[..], right.as_bytes()].concat();
    assert_ne!(leaf_hash(&entry), node_hash(&left, &right));
    assert_ne!(root_of(&[left, right]), root_of(&[left, right, right]));
}

#[test]
fn errors_say_what_is_wrong_in_a_line() {
    let shown = [
        VerifyError::Index { index: 4, size: 4 }.to_string(),
        VerifyError::Sizes { from: 4, to: 3 }.to_string(),
        VerifyError::TooLong.to_string(),
        ProofError::<Infallible>::Width { level: 1, index: 2, expected: 9, actual: 0 }.to_string(),
    ];
    assert_eq!(
        shown,
        [
            "a tree of 4 leaves has none at index 4",
            "the tree of 4 leaves is no prefix of that of 3",
            "the proof has too many hashes for these sizes",
            "tile 2 of level 1 has 0 hashes instead of 9",
        ]
    );
}
