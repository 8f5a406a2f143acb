//! The tree across tile boundaries: what the edge writes is enough to prove everything later.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{HashMap, HashSet},
    convert::Infallible,
    error::Error,
    sync::OnceLock,
};

use proptest::prelude::*;
use tracekeep_core::{
    hash::Hash,
    merkle::{
        Edge, Frontier, FrontierError, MemoryTiles, Path, ProofError, RestoreError, TILE_WIDTH, TREE_SIZE_MAX, Tile,
        TileReader, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, root_at, root_of,
        verify_consistency, verify_inclusion,
    },
};

/// Beyond two tiles of level 1.
const SIZE_MAX: u64 = 65_793;

/// Sizes at which tiles of level 0 or 1 have just been or are about to be filled, and some others.
const SIZES: [u64; 24] = [
    0, 1, 2, 3, 100, 255, 256, 257, 258, 300, 511, 512, 513, 1_000, 2_560, 65_279, 65_280, 65_535, 65_536, 65_537,
    65_791, 65_792, 65_793, 4_096,
];

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

/// The frontier's root of every size up to [`SIZE_MAX`].
fn roots() -> &'static [Hash] {
    static ROOTS: OnceLock<Vec<Hash>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut frontier = Frontier::new();
        let mut roots = vec![frontier.root()];
        for index in 0..SIZE_MAX {
            frontier.push(leaf(index));
            roots.push(frontier.root());
        }
        roots
    })
}

/// The tree of [`SIZE_MAX`] leaves.
fn memory() -> &'static MemoryTiles {
    static TILES: OnceLock<MemoryTiles> = OnceLock::new();
    TILES.get_or_init(|| {
        let mut tiles = MemoryTiles::new();
        (0..SIZE_MAX).for_each(|index| tiles.push(leaf(index)));
        tiles
    })
}

/// A store as a backend has it: the full tiles that an edge gave out, as bytes, and the edge's partial ones.
struct Store {
    full: HashMap<(u8, u64), Vec<u8>>,
    edge: Edge,
    asked: RefCell<Vec<(u8, u64)>>,
}

#[derive(Debug, PartialEq)]
struct Absent(u8, u64, u16);

impl Store {
    fn of(size: u64) -> Store {
        let mut store = Store { full: HashMap::new(), edge: Edge::new(), asked: RefCell::default() };
        let mut completed = Vec::new();
        for index in 0..size {
            store.edge.push(leaf(index), &mut completed);
            for tile in completed.drain(..) {
                let before = store.full.insert((tile.level, tile.index), tile.hashes_bytes());
                assert_eq!(before, None, "a tile is completed once");
            }
        }
        store
    }
}

impl TileReader for Store {
    type Error = Absent;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Cow<'_, [Hash]>, Absent> {
        assert!((1..=256).contains(&width), "a width of {width} was asked for");
        self.asked.borrow_mut().push((level, index));
        let count = usize::from(width);
        if let Some(bytes) = self.full.get(&(level, index)) {
            let mut hashes = Tile::hashes_from_bytes(bytes).ok_or(Absent(level, index, width))?;
            hashes.truncate(count);
            return Ok(Cow::Owned(hashes));
        }
        let hashes_of_level = self.edge.size().checked_shr(8 * u32::from(level)).unwrap_or_default();
        match self.edge.partial(level).get(..count) {
            Some(hashes) if index == hashes_of_level / TILE_WIDTH => Ok(Cow::Borrowed(hashes)),
            _ => Err(Absent(level, index, width)),
        }
    }
}

/// An endless tree of equal leaves, in which every complete subtree of one height has the same root.
struct EqualLeaves {
    roots: Vec<Hash>,
}

impl EqualLeaves {
    fn new() -> EqualLeaves {
        let roots = std::iter::successors(Some(leaf(0)), |root| Some(node_hash(root, root)));
        EqualLeaves { roots: roots.take(64).collect() }
    }
}

impl TileReader for EqualLeaves {
    type Error = Infallible;

    fn tile(&self, level: u8, _: u64, width: u16) -> Result<Cow<'_, [Hash]>, Infallible> {
        Ok(Cow::Owned(vec![self.roots[8 * usize::from(level)]; usize::from(width)]))
    }
}

#[track_caller]
fn check_every_earlier_root(size: u64, earlier: impl Iterator<Item = u64>) {
    let store = Store::of(size);
    for earlier in earlier {
        assert_eq!(
            root_at(&store, earlier),
            Ok(roots()[earlier as usize]),
            "the root at {earlier} from the tiles of {size}"
        );
    }
}

#[test]
fn tiles_give_the_root_of_every_earlier_size() {
    for size in SIZES.into_iter().filter(|size| *size <= 1_000) {
        check_every_earlier_root(size, 0..=size);
    }
    check_every_earlier_root(2_560, (0..=2_560).step_by(7));
    for size in [65_279, 65_280, 65_535, 65_536, 65_537, 65_791, 65_792] {
        check_every_earlier_root(size, SIZES.into_iter().filter(|earlier| *earlier <= size));
    }
    let beside_a_boundary = |size: &u64| matches!(size % 256, 0 | 1 | 255) || *size > 65_400;
    check_every_earlier_root(SIZE_MAX, (0..=SIZE_MAX).filter(beside_a_boundary));
}

#[test]
fn the_edge_has_the_frontiers_root_at_every_size() {
    let (mut edge, mut frontier, mut completed) = (Edge::new(), Frontier::new(), Vec::new());
    for index in 0..SIZE_MAX {
        assert_eq!(edge.size(), index);
        edge.push(leaf(index), &mut completed);
        frontier.push(leaf(index));
        assert_eq!(edge.frontier(), &frontier);
    }
    assert_eq!(edge.root(), roots()[SIZE_MAX as usize]);
}

#[test]
fn tiles_complete_in_order_several_levels_at_once_where_they_fill_together() {
    let (mut edge, mut completed) = (Edge::new(), Vec::new());
    let mut level_0 = Vec::new();
    for index in 0..65_536 {
        assert_eq!(edge.partial(0).len() as u64, index % 256);
        assert_eq!(edge.partial(1).len() as u64, index / 256);
        completed.clear();
        edge.push(leaf(index), &mut completed);
        let places: Vec<_> = completed.iter().map(|tile| (tile.level, tile.index)).collect();
        match index + 1 {
            65_536 => assert_eq!(places, [(0, 255), (1, 0)]),
            size if size % 256 == 0 => assert_eq!(places, [(0, size / 256 - 1)]),
            _ => assert_eq!(places, []),
        }
        for tile in &completed {
            assert_eq!(tile.hashes.len() as u64, TILE_WIDTH);
            assert_eq!(tile.root, root_of(&tile.hashes));
        }
        if let Some(tile) = completed.first() {
            let first = 256 * tile.index;
            let leaves: Vec<_> = (first..first + 256).map(leaf).collect();
            assert_eq!(*tile.hashes, leaves);
            level_0.push(tile.root);
        }
    }
    assert_eq!(*completed[1].hashes, level_0);
    assert_eq!(completed[1].root, edge.root());
    assert_eq!((edge.partial(0), edge.partial(1)), (&[][..], &[][..]));
    assert_eq!(edge.partial(2), [edge.root()]);
    assert_eq!((edge.partial(3), edge.partial(255)), (&[][..], &[][..]));
}

#[test]
fn completed_tiles_are_added_to_what_the_caller_already_has() {
    let (mut edge, mut completed) = (Edge::new(), Vec::new());
    (0..1_024).for_each(|index| edge.push(leaf(index), &mut completed));
    assert_eq!(completed.iter().map(|tile| tile.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn stored_tiles_prove_what_the_whole_tree_proves() {
    for size in SIZES {
        let store = Store::of(size);
        let root = &roots()[size as usize];
        for other in SIZES.into_iter().filter(|other| *other <= size) {
            let proof = consistency_proof(&store, other, size).unwrap();
            assert_eq!(consistency_proof(memory(), other, size), Ok(proof.clone()));
            let old = &roots()[other as usize];
            let verified = verify_consistency(other, old, size, root, &proof);
            assert_eq!(verified, Ok(()), "{other} to {size}");
            if other < size {
                let proof = inclusion_proof(&store, other, size).unwrap();
                assert_eq!(inclusion_proof(memory(), other, size), Ok(proof.clone()));
                let verified = verify_inclusion(&leaf(other), other, size, &proof, root);
                assert_eq!(verified, Ok(()), "{other} in {size}");
            }
        }
    }
}

#[track_caller]
fn check_reads(store: &Store, what: &str, reads_max: usize) {
    let asked = store.asked.take();
    let different: HashSet<_> = asked.iter().collect();
    assert_eq!(asked.len(), different.len(), "{what} reads a tile twice: {asked:?}");
    assert!(asked.len() <= reads_max, "{what} reads {} tiles: {asked:?}", asked.len());
}

#[test]
fn a_proof_reads_each_tile_once_and_two_a_level_at_most() {
    for size in SIZES {
        let store = Store::of(size);
        let levels = (u64::BITS - size.leading_zeros()).div_ceil(8) as usize;
        for other in SIZES.into_iter().filter(|other| *other <= size) {
            root_at(&store, other).unwrap();
            check_reads(&store, &format!("the root at {other} of {size}"), levels);
            consistency_proof(&store, other, size).unwrap();
            check_reads(&store, &format!("consistency of {other} with {size}"), 2 * levels);
            if other < size {
                inclusion_proof(&store, other, size).unwrap();
                check_reads(&store, &format!("inclusion of {other} in {size}"), 2 * levels);
            }
        }
    }
}

#[test]
fn nothing_is_read_where_there_is_nothing_to_prove() {
    let store = Store::of(0);
    assert_eq!(root_at(&store, 0), Ok(empty_root()));
    assert_eq!(consistency_proof(&store, 0, 1_000), Ok(Vec::new()));
    assert_eq!(consistency_proof(&store, 1_000, 1_000), Ok(Vec::new()));
    check_reads(&store, "nothing", 0);
}

#[test]
fn a_readers_error_is_passed_on() {
    let store = Store::of(300);
    assert_eq!(root_at(&store, 301), Err(ProofError::Read(Absent(0, 1, 45))));
    assert_eq!(inclusion_proof(&store, 0, 301), Err(ProofError::Read(Absent(0, 1, 45))));
    assert_eq!(consistency_proof(&store, 256, 301), Err(ProofError::Read(Absent(0, 1, 45))));
}

#[test]
fn a_proof_beyond_the_tree_in_memory_is_refused() {
    let mut tiles = MemoryTiles::new();
    (0..300).for_each(|index| tiles.push(leaf(index)));
    assert_eq!(tiles.size(), 300);
    let refused = ProofError::Width { level: 0, index: 1, expected: 45, actual: 44 };
    assert_eq!(inclusion_proof(&tiles, 0, 301), Err(refused));
    assert_eq!(consistency_proof(&tiles, 256, 301), Err(refused));
    for size in [1 << 40, u64::MAX] {
        assert!(matches!(inclusion_proof(&tiles, 7, size), Err(ProofError::Width { .. })));
        assert!(matches!(consistency_proof(&tiles, 7, size), Err(ProofError::Width { .. })));
    }
    assert_eq!(tiles.tile(255, u64::MAX, 256), Ok(Cow::Owned(Vec::new())));
}

#[test]
fn a_tile_is_8192_bytes_and_nothing_else_is_read_as_one() {
    let (mut edge, mut completed) = (Edge::new(), Vec::new());
    (0..256).for_each(|index| edge.push(leaf(index), &mut completed));
    let bytes = completed[0].hashes_bytes();
    assert_eq!(bytes.len(), 8_192);
    assert_eq!(bytes[32..64], *leaf(1).as_bytes());
    assert_eq!(Tile::hashes_from_bytes(&bytes).as_deref(), Some(&*completed[0].hashes));
    for length in [0, 1, 32, 8_160, 8_191, 8_193, 8_224] {
        let mut other = bytes.clone();
        other.resize(length, 0);
        assert_eq!(Tile::hashes_from_bytes(&other), None, "{length} bytes");
    }
}

/// Restores from the store that an edge of this size has left behind, and notes (level, first, count) of each question.
fn restore(size: u64, asked: &mut Vec<(u8, u64, u16)>) -> Result<Edge, RestoreError<Infallible>> {
    Edge::restore(size, |level, first, count| {
        asked.push((level, first, count));
        assert_eq!(first % TILE_WIDTH, 0);
        let tile = memory().tile(level, first / TILE_WIDTH, count);
        tile.map(Cow::into_owned)
    })
}

#[test]
fn a_restored_edge_is_the_pushed_one() {
    let (mut edge, mut completed) = (Edge::new(), Vec::new());
    for size in 0..=SIZE_MAX {
        let near_a_boundary = (size + 2) % 256 < 4 || !(600..=65_500).contains(&size);
        if near_a_boundary || size % 97 == 0 {
            let mut asked = Vec::new();
            let restored = restore(size, &mut asked);
            assert_eq!(restored.as_ref(), Ok(&edge), "size {size}");
            let expected: Vec<_> = (0_u8..8)
                .map(|level| (level, size >> (8 * level)))
                .filter(|(_, count)| count % 256 != 0)
                .map(|(level, count)| (level, count / 256 * 256, (count % 256) as u16))
                .collect();
            assert_eq!(asked, expected, "size {size}");
        }
        edge.push(leaf(size), &mut completed);
    }
}

#[test]
fn a_restored_edge_goes_on_as_the_pushed_one() {
    let (mut edge, mut completed) = (Edge::new(), Vec::new());
    (0..65_300).for_each(|index| edge.push(leaf(index), &mut completed));
    completed.clear();
    let mut restored = restore(65_300, &mut Vec::new()).unwrap();
    let mut completed_by_restored = Vec::new();
    for index in 65_300..65_600 {
        edge.push(leaf(index), &mut completed);
        restored.push(leaf(index), &mut completed_by_restored);
    }
    assert_eq!(restored, edge);
    assert_eq!(completed_by_restored, completed);
    assert_eq!(completed.len(), 2);
}

#[test]
fn an_edge_is_not_restored_from_what_cannot_be_its_tiles() {
    let short =
        Edge::restore(300, |_, _, count| Ok::<_, Absent>(vec![leaf(0); usize::from(count) - usize::from(count == 44)]));
    assert_eq!(short, Err(RestoreError::Count { level: 0, expected: 44, actual: 43 }));
    let long =
        Edge::restore(300, |level, _, count| Ok::<_, Absent>(vec![leaf(0); usize::from(count) + usize::from(level)]));
    assert_eq!(long, Err(RestoreError::Count { level: 1, expected: 1, actual: 2 }));
    let failed = Edge::restore(300, |level, first, count| Err(Absent(level, first / 256, count)));
    assert_eq!(failed, Err(RestoreError::Read(Absent(0, 1, 44))));
    let mut asked = false;
    let too_large = Edge::restore(TREE_SIZE_MAX + 1, |level, _, count| {
        asked = true;
        Err(Absent(level, 0, count))
    });
    assert_eq!(too_large, Err(RestoreError::TooLarge { size: TREE_SIZE_MAX + 1 }));
    assert!(!asked);
}

#[test]
fn the_largest_edge_can_be_restored_and_appended_to() {
    let tree = EqualLeaves::new();
    for size in [TREE_SIZE_MAX - 1, TREE_SIZE_MAX] {
        let read = |level, first: u64, count| tree.tile(level, first / 256, count).map(Cow::into_owned);
        let mut edge = Edge::restore(size, read).unwrap();
        assert_eq!(Ok(edge.root()), root_at(&tree, size));
        let mut completed = Vec::new();
        edge.push(leaf(0), &mut completed);
        assert_eq!(Ok(edge.root()), root_at(&tree, size + 1));
        let levels: Vec<u8> = completed.iter().map(|tile| tile.level).collect();
        match size {
            TREE_SIZE_MAX => assert!(levels.is_empty()),
            _ => assert_eq!(levels, [0, 1, 2, 3, 4, 5, 6]),
        }
    }
}

#[test]
fn a_frontier_round_trips_by_its_bytes_at_every_size() {
    let mut frontier = Frontier::new();
    for size in 0..=1_100_u64 {
        let bytes = frontier.to_bytes();
        assert_eq!(bytes.len(), 8 + 32 * size.count_ones() as usize);
        assert_eq!(bytes[..8], size.to_be_bytes());
        let mut read = Frontier::from_bytes(&bytes).unwrap();
        assert_eq!(read, frontier);
        frontier.push(leaf(size));
        read.push(leaf(size));
        assert_eq!(read, frontier);
        assert_eq!(frontier.root(), roots()[size as usize + 1]);
    }
}

#[track_caller]
fn check_no_frontier(bytes: &[u8], expected: FrontierError) {
    assert_eq!(Frontier::from_bytes(bytes), Err(expected));
}

#[test]
fn bytes_of_a_wrong_length_are_no_frontier() {
    let mut frontier = Frontier::new();
    (0..11).for_each(|index| frontier.push(leaf(index)));
    let bytes = frontier.to_bytes();
    for length in (0..8).chain(8..104).chain(105..140) {
        let mut other = bytes.clone();
        other.resize(length, 0);
        let expected = if length < 8 { 8 } else { 104 };
        check_no_frontier(&other, FrontierError::Length { expected, actual: length });
    }
}

#[test]
fn a_size_beyond_the_limit_is_no_frontier() {
    let mut bytes = TREE_SIZE_MAX.to_be_bytes().to_vec();
    bytes.extend([7; 32]);
    assert_eq!(Frontier::from_bytes(&bytes).map(|frontier| frontier.size()), Ok(TREE_SIZE_MAX));
    for size in [TREE_SIZE_MAX + 1, 1 << 63, u64::MAX] {
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.extend(vec![7; 32 * size.count_ones() as usize]);
        check_no_frontier(&bytes, FrontierError::TooLarge { size });
    }
}

#[test]
fn errors_carry_their_source() {
    let read = |_, _, _| Err::<Vec<Hash>, _>(FrontierError::TooLarge { size: 7 });
    let error = Edge::restore(1, read).unwrap_err();
    assert_eq!(error.to_string(), "the partial tiles could not be read");
    assert!(error.source().is_some_and(|source| source.is::<FrontierError>()));
    let error = ProofError::Read(FrontierError::TooLarge { size: 7 });
    assert!(error.source().is_some_and(|source| source.is::<FrontierError>()));
}

#[test]
fn proofs_hold_at_the_ends_of_u64() {
    let tree = EqualLeaves::new();
    let sizes =
        [1, 2, 3, (1 << 62) + 1, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, 0xAAAA_AAAA_AAAA_AAAA, u64::MAX - 1, u64::MAX];
    for to in sizes {
        let root = root_at(&tree, to).unwrap();
        for other in sizes.into_iter().filter(|other| *other <= to) {
            let index = other - 1;
            let proof = inclusion_proof(&tree, index, to).unwrap();
            assert!(proof.len() <= 64);
            let verified = verify_inclusion(&leaf(0), index, to, &proof, &root);
            assert_eq!(verified, Ok(()), "{index} in {to}");

            let proof = consistency_proof(&tree, other, to).unwrap();
            assert!(proof.len() <= 65);
            let old = root_at(&tree, other).unwrap();
            let verified = verify_consistency(other, &old, to, &root, &proof);
            assert_eq!(verified, Ok(()), "{other} to {to}");
        }
    }
}

/// Mostly small or close to a power of two, sometimes any.
fn any_size() -> impl Strategy<Value = u64> {
    let close = (0_u32..64, -3_i64..4).prop_map(|(bit, off)| (1_u64 << bit).wrapping_add_signed(off));
    prop_oneof![0_u64..600, close, any::<u64>()]
}

fn any_hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

proptest! {
    #[test]
    fn any_leaf_of_any_earlier_tree_is_proved(to in 1..=SIZE_MAX, at in any::<prop::sample::Index>()) {
        let index = at.index(to as usize) as u64;
        let proof = inclusion_proof(memory(), index, to).unwrap();
        let root = &roots()[to as usize];
        prop_assert_eq!(verify_inclusion(&leaf(index), index, to, &proof, root), Ok(()));
    }

    #[test]
    fn any_two_trees_are_proved_consistent(to in 1..=SIZE_MAX, at in any::<prop::sample::Index>()) {
        let from = at.index(to as usize + 1) as u64;
        let proof = consistency_proof(memory(), from, to).unwrap();
        let (old, new) = (&roots()[from as usize], &roots()[to as usize]);
        prop_assert_eq!(verify_consistency(from, old, to, new, &proof), Ok(()));
    }

    #[test]
    fn one_flipped_bit_anywhere_spoils_a_proof(
        to in 2..=SIZE_MAX,
        at in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let spoil = |proof: &[Hash]| {
            let mut bytes: Vec<[u8; 32]> = proof.iter().map(|hash| *hash.as_bytes()).collect();
            let bit = bit.index(proof.len() * 256);
            bytes[bit / 256][bit / 8 % 32] ^= 1 << (bit % 8);
            bytes.into_iter().map(Hash::from_bytes).collect::<Vec<_>>()
        };
        let other = at.index(to as usize - 1) as u64;
        let root = &roots()[to as usize];
        let proof = spoil(&inclusion_proof(memory(), other, to).unwrap());
        prop_assert!(verify_inclusion(&leaf(other), other, to, &proof, root).is_err());
        let from = other + 1;
        let old = &roots()[from as usize];
        let proof = spoil(&consistency_proof(memory(), from, to).unwrap());
        prop_assert!(verify_consistency(from, old, to, root, &proof).is_err());
    }

    #[test]
    fn hostile_proofs_are_refused_without_a_panic(
        a in any_size(),
        b in any_size(),
        proof in prop::collection::vec(any_hash(), 0..70),
        hash in any_hash(),
        root in any_hash(),
    ) {
        // The least that a proof can pass with is that the hashes themselves are equal.
        prop_assume!(hash != root);
        prop_assert!(verify_inclusion(&hash, a, b, &proof, &root).is_err());
        prop_assert!(verify_consistency(a, &hash, b, &root, &proof).is_err());
    }

    #[test]
    fn proofs_of_any_sizes_verify(a in any_size(), b in any_size()) {
        let tree = EqualLeaves::new();
        let (from, to) = (a.min(b), a.max(b));
        let (old, new) = (root_at(&tree, from).unwrap(), root_at(&tree, to).unwrap());
        let proof = consistency_proof(&tree, from, to).unwrap();
        prop_assert_eq!(verify_consistency(from, &old, to, &new, &proof), Ok(()));
        if from < to {
            let proof = inclusion_proof(&tree, from, to).unwrap();
            prop_assert_eq!(verify_inclusion(&leaf(0), from, to, &proof, &new), Ok(()));
        }
    }

    #[test]
    fn what_is_read_as_a_frontier_is_written_back_the_same(
        size in any_size(),
        extra in -40_i64..40,
        fill in any::<u8>(),
    ) {
        let length = (32 * i64::from(size.count_ones()) + extra.min(39) * i64::from(extra > 0)) as usize;
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.resize(8 + length, fill);
        match Frontier::from_bytes(&bytes) {
            Ok(frontier) => {
                prop_assert!(extra <= 0 && size <= TREE_SIZE_MAX);
                prop_assert_eq!(frontier.to_bytes(), bytes);
            }
            Err(_) => prop_assert!(extra > 0 || size > TREE_SIZE_MAX),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_a_frontier(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(frontier) = Frontier::from_bytes(&bytes) {
            prop_assert_eq!(frontier.to_bytes(), bytes);
        }
    }
}

#[test]
fn a_path_gathered_in_passing_is_the_proof_from_tiles() {
    for size in (0u64..70).chain([255, 256, 257, 1_000]) {
        for index in [0, 1, size / 3, size / 2, size.saturating_sub(2), size.saturating_sub(1), size, size + 1] {
            let mut path = Path::to(index);
            (0..size).for_each(|at| path.push(leaf(at)));
            let proof = inclusion_proof(memory(), index, size).ok();
            assert_eq!(path.finish(), (size, roots()[size as usize], proof), "leaf {index} of {size}");
        }
    }
}

#[test]
fn trees_share_the_subtrees_that_both_begin_with() {
    let tree = |size: u64, other: u64| {
        let mut tree = Frontier::new();
        (0..size).for_each(|at| tree.push(leaf(if at == other { at + 1 } else { at })));
        tree
    };
    let none = u64::MAX;
    for a in 0..40 {
        for b in 0..40 {
            for other in (0..40).chain([none]) {
                let same = tree(a, none).same_front(&tree(b, other));
                assert!(same <= a.min(b) && same <= other, "{a} {b} {other}: {same}");
                if a == b && other >= b {
                    assert_eq!(same, a, "what is equal is known to be");
                }
            }
        }
    }
    // The subtrees of 8 and of 2 are the same, the leaf behind them is not.
    assert_eq!(tree(11, none).same_front(&tree(11, 10)), 10);
    assert_eq!(tree(11, none).same_front(&tree(11, 8)), 8);
    assert_eq!(tree(11, none).same_front(&tree(11, 0)), 0);
    assert_eq!(tree(12, none).same_front(&tree(9, none)), 8);
}
