//! Checkpoints and proofs as an independent implementation of tlog-checkpoint and tlog-tiles reads them, and its as we do.

use tlog_tiles::{Checkpoint as OtherCheckpoint, Hash as OtherHash, check_record, check_tree};
use tracekeep_core::hash::Hash;
use tracekeep_core::merkle::{self, MemoryTiles};
use tracekeep_evidence::{Checkpoint, Note, SigningKey, TlogProof};

const ORIGIN: &str = "tracekeep/000102030405060708090a0b0c0d0e0f";
const SIZES: u64 = 70;

fn leaf(number: u64) -> Hash {
    merkle::leaf_hash(&number.to_be_bytes())
}

fn other(hash: &Hash) -> OtherHash {
    OtherHash(*hash.as_bytes())
}

fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, [1; 32]).unwrap()
}

/// A log of so many leaves, and its checkpoint.
fn log(size: u64) -> (MemoryTiles, Checkpoint) {
    let mut tiles = MemoryTiles::default();
    (0..size).for_each(|number| tiles.push(leaf(number)));
    let root = merkle::root_at(&tiles, size).unwrap();
    (tiles, Checkpoint { origin: ORIGIN.to_owned(), size, root })
}

#[test]
fn a_checkpoint_is_the_same_to_both() {
    for size in [0, 1, 9, 10, 300] {
        let (_, checkpoint) = log(size);
        let read = OtherCheckpoint::from_bytes(checkpoint.text().as_bytes()).unwrap();
        assert_eq!((read.origin(), read.size(), read.extension()), (ORIGIN, size, ""));
        assert_eq!(*read.hash(), other(&checkpoint.root));
        assert_eq!(read.to_bytes(), checkpoint.text().as_bytes());
        // What it allows behind the root is allowed here.
        let extended = OtherCheckpoint::new(ORIGIN, size, other(&checkpoint.root), "more\nand more\n").unwrap();
        let note = Note::sign(String::from_utf8(extended.to_bytes()).unwrap(), &key()).unwrap();
        let opened = Checkpoint::open(note.to_string().as_bytes(), ORIGIN, &[key().public().clone()]).unwrap();
        assert_eq!(opened, checkpoint);
    }
}

#[test]
fn what_is_no_checkpoint_is_none_to_both() {
    let (_, checkpoint) = log(10);
    let text = checkpoint.text();
    let changed = |from: &str, to: &str| text.replacen(from, to, 1);
    let root = text.lines().nth(2).unwrap();
    for wrong in [
        changed("\n10\n", "\n010\n"),
        changed("\n10\n", "\n+10\n"),
        changed("\n10\n", "\n-1\n"),
        changed("\n10\n", "\n\n"),
        changed("\n10\n", "\n18446744073709551616\n"),
        changed(root, &root[1..]),
        changed(root, ""),
        changed(ORIGIN, ""),
        format!("{text}\n"),
        text[..text.len() - 1].to_owned(),
    ] {
        assert!(OtherCheckpoint::from_bytes(wrong.as_bytes()).is_err(), "{wrong:?}");
        let opened = Note::sign(wrong.clone(), &key())
            .and_then(|note| Checkpoint::open(note.to_string().as_bytes(), ORIGIN, &[key().public().clone()]));
        assert!(opened.is_err(), "{wrong:?}");
    }
}

/// The hashes of a tlog-proof, out of its text: the lines between `index` and the checkpoint.
fn hashes_of(text: &str) -> (u64, Vec<OtherHash>) {
    let (head, _) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines().skip_while(|line| !line.starts_with("index "));
    let index = lines.next().unwrap()["index ".len()..].parse().unwrap();
    (index, lines.map(|line| OtherHash::parse_hash(line).unwrap()).collect())
}

#[test]
fn a_proof_of_one_entry_proves_it_to_the_other() {
    for size in 1..=SIZES {
        let (tiles, checkpoint) = log(size);
        let root = other(&checkpoint.root);
        for log_index in 0..size {
            let hashes = merkle::inclusion_proof(&tiles, log_index, size).unwrap();
            let signed = checkpoint.sign(&key()).unwrap();
            let text = TlogProof { extra: None, log_index, hashes, checkpoint: signed }.to_string();
            let (index, proof) = hashes_of(&text);
            let accepted = |leaf: &Hash, index| check_record(&proof, size, root, index, other(leaf)).is_ok();
            assert!(accepted(&leaf(log_index), index), "{log_index} of {size}");
            assert!(!accepted(&leaf(log_index + 1), index), "{log_index} of {size}");
            assert!(size == 1 || !accepted(&leaf(log_index), (index + 1) % size), "{log_index} of {size}");
        }
    }
}

#[test]
fn a_proof_that_the_log_extends_itself_proves_it_to_the_other() {
    let (tiles, _) = log(SIZES);
    let root = |size| other(&merkle::root_at(&tiles, size).unwrap());
    for to in 2..=SIZES {
        for from in 1..to {
            let proof: Vec<_> = merkle::consistency_proof(&tiles, from, to).unwrap().iter().map(other).collect();
            let accepted = |earlier| check_tree(&proof, to, root(to), from, earlier).is_ok();
            assert!(accepted(root(from)), "{from} to {to}");
            assert!(!accepted(root(from - 1)), "{from} to {to}");
        }
    }
}
