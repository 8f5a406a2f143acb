//! Proofs of one entry that stand by themselves.

use tracekeep_core::hash::Hash;
use tracekeep_core::merkle::{self, MemoryTiles};
use tracekeep_evidence::{Checkpoint, Code, EXTRA_BYTES_MAX, SigningKey, TlogProof};

const ORIGIN: &str = "tracekeep/000102030405060708090a0b0c0d0e0f";

fn leaf(number: u64) -> Hash {
    merkle::leaf_hash(&number.to_be_bytes())
}

fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, [1; 32]).unwrap()
}

/// The proof of an entry in a log of `size`.
fn proof(log_index: u64, size: u64) -> TlogProof {
    let mut tiles = MemoryTiles::default();
    for number in 0..size {
        tiles.push(leaf(number));
    }
    let root = merkle::root_at(&tiles, size).unwrap();
    TlogProof {
        extra: None,
        log_index,
        hashes: merkle::inclusion_proof(&tiles, log_index, size).unwrap(),
        checkpoint: Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&key()).unwrap(),
    }
}

fn verify(proof: &TlogProof, leaf_hash: Hash) -> Result<u64, Code> {
    let verified = proof.verify(leaf_hash, ORIGIN, &[key().public().clone()]);
    verified.map(|checkpoint| checkpoint.size).map_err(|error| error.code())
}

#[test]
fn a_proof_is_written_read_and_verified() {
    for size in [1, 2, 3, 8, 300] {
        for log_index in [0, size / 2, size - 1] {
            let proof = proof(log_index, size);
            let text = proof.to_string();
            assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {log_index}\n")), "{text}");
            let read = TlogProof::parse(text.as_bytes()).unwrap();
            assert_eq!(read, proof);
            assert_eq!(verify(&read, leaf(log_index)), Ok(size));
            let with_extra = TlogProof { extra: Some(vec![0, 1, 255]), ..proof };
            let text = with_extra.to_string();
            assert!(text.contains("\nextra AAH/\nindex "), "{text}");
            assert_eq!(TlogProof::parse(text.as_bytes()).unwrap(), with_extra);
        }
    }
}

#[test]
fn a_proof_of_another_entry_place_or_size_is_refused() {
    let good = proof(5, 300);
    assert_eq!(verify(&good, leaf(6)), Err(Code::WrongProof));
    for log_index in (0..310).filter(|index| *index != 5) {
        assert_eq!(verify(&TlogProof { log_index, ..good.clone() }, leaf(5)), Err(Code::WrongProof), "{log_index}");
    }
    let other = TlogProof { checkpoint: proof(5, 299).checkpoint, ..good.clone() };
    assert_eq!(verify(&other, leaf(5)), Err(Code::WrongProof));
    let mut longer = good.clone();
    longer.hashes.push(leaf(0));
    assert_eq!(verify(&longer, leaf(5)), Err(Code::WrongProof));
    let mut shorter = good.clone();
    shorter.hashes.pop();
    assert_eq!(verify(&shorter, leaf(5)), Err(Code::WrongProof));
    let mut swapped = good.clone();
    swapped.hashes.swap(0, 1);
    assert_eq!(verify(&swapped, leaf(5)), Err(Code::WrongProof));
    let stranger = SigningKey::from_seed(ORIGIN, [2; 32]).unwrap();
    let refused = good.verify(leaf(5), ORIGIN, &[stranger.public().clone()]).unwrap_err();
    assert_eq!(refused.code(), Code::UnknownSigner);
}

#[test]
fn what_is_no_proof_is_refused() {
    let text = proof(5, 8).to_string();
    let refused = |text: &str| TlogProof::parse(text.as_bytes()).map_err(|error| error.code()).unwrap_err();
    let hash = text.lines().nth(2).unwrap();
    for (from, to) in [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 5", "index 05"),
        ("index 5", "index -1"),
        ("index 5", "index"),
        ("index 5\n", ""),
        ("index 5", "extra ?\nindex 5"),
        ("index 5", "extra AA==\nextra AA==\nindex 5"),
        ("index 5", "index 5\nindex 5"),
        (hash, &hash[..40]),
        (hash, &format!("{hash} ")),
    ] {
        assert_eq!(refused(&text.replacen(from, to, 1)), Code::MalformedProof, "{from:?} {to:?}");
    }
    assert_eq!(refused(&text.replacen("\n\n", "\n", 1)), Code::MalformedProof);
    assert_eq!(refused(""), Code::MalformedProof);
    let many = text.replacen(hash, &[hash; 65].join("\n"), 1);
    assert_eq!(refused(&many), Code::MalformedProof);
    let large = TlogProof { extra: Some(vec![0; EXTRA_BYTES_MAX + 1]), ..proof(5, 8) };
    assert_eq!(refused(&large.to_string()), Code::MalformedProof);
    assert_eq!(refused(&text.replacen("\n\u{2014} ", "\n- ", 1)), Code::MalformedNote);
}
