//! Notes, keys and checkpoints, against the reference's own example and an independent implementation.

use proptest::prelude::*;
use signed_note::{Note as OtherNote, StandardVerifier, Verifier, VerifierList};
use tracekeep_core::hash::sha256;
use tracekeep_evidence::{Checkpoint, Code, NOTE_BYTES_MAX, Note, NoteKey, SigningKey};

const ORIGIN: &str = "tracekeep/000102030405060708090a0b0c0d0e0f";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(ORIGIN, [seed; 32]).unwrap()
}

fn head(size: u64) -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size, root: sha256(&[&size.to_be_bytes()]) }
}

fn open(note: &str, seed: u8) -> Result<Checkpoint, Code> {
    Checkpoint::open(note.as_bytes(), ORIGIN, &[key(seed).public().clone()]).map_err(|error| error.code())
}

/// The example of the Go package that the format comes from (golang.org/x/mod/sumdb/note).
#[test]
fn the_references_own_note_verifies() {
    let key: NoteKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let note = Note::parse(format!("{text}\n{line}").as_bytes()).unwrap();
    assert_eq!(note.verify(&[key]).unwrap(), text);
}

#[test]
fn another_implementation_verifies_our_checkpoints_and_keys() {
    let (key, head) = (key(1), head(20_852_163));
    let note = head.sign(&key).unwrap().to_string();
    let theirs = StandardVerifier::new(&key.public().to_string()).unwrap();
    assert_eq!((theirs.name(), theirs.key_id()), (ORIGIN, key.public().id()));
    let parsed = OtherNote::from_bytes(note.as_bytes()).unwrap();
    let (verified, unverified) = parsed.verify(&VerifierList::new(vec![Box::new(theirs)])).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    assert_eq!(parsed.text(), head.text().as_bytes());
    assert_eq!(open(&note, 1), Ok(head));
}

#[test]
fn trust_comes_from_the_keys_that_are_brought() {
    let note = head(7).sign(&key(1)).unwrap().to_string();
    assert_eq!(open(&note, 2), Err(Code::UnknownSigner));
    // Re-signed by somebody else under the same name: their key has another id, and is not one that was brought.
    let again = head(7).sign(&key(2)).unwrap().to_string();
    assert_eq!(open(&again, 1), Err(Code::UnknownSigner));
    // Both signatures: the one of a known key counts, the other is passed over.
    let second = again.lines().last().unwrap();
    assert_eq!(open(&format!("{note}{second}\n"), 1), Ok(head(7)));
    // A signature by a known key that is wrong refuses the note, whatever stands beside it.
    let bad = note.lines().last().unwrap();
    let moved = format!("{}\n{bad}\n", head(8).text());
    assert_eq!(open(&moved, 1), Err(Code::BadSignature));
    assert_eq!(open(&format!("{moved}{second}\n"), 1), Err(Code::BadSignature));
    let other = Checkpoint { origin: "tracekeep/other".to_owned(), ..head(7) }.sign(&key(1)).unwrap().to_string();
    assert_eq!(open(&other, 1), Err(Code::WrongOrigin));
}

#[test]
fn every_bit_of_a_checkpoint_matters() {
    let note = head(300).sign(&key(1)).unwrap().to_string().into_bytes();
    let public = [key(1).public().clone()];
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut flipped = note.clone();
            flipped[at] ^= 1 << bit;
            assert!(Checkpoint::open(&flipped, ORIGIN, &public).is_err(), "byte {at}, bit {bit}");
        }
    }
    for end in 0..note.len() {
        assert!(Checkpoint::open(&note[..end], ORIGIN, &public).is_err(), "cut at {end}");
    }
}

#[track_caller]
fn check_signed(text: &str, expect: Result<u64, Code>) {
    let note = Note::sign(text, &key(1)).unwrap().to_string();
    assert_eq!(open(&note, 1).map(|checkpoint| checkpoint.size), expect, "{text:?}");
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    check_signed(&format!("{ORIGIN}\n7\n{root}\n"), Ok(7));
    check_signed(&format!("{ORIGIN}\n0\n{root}\n"), Ok(0));
    check_signed(&format!("{ORIGIN}\n7\n{root}\nan extension\n"), Ok(7));
    for wrong in [
        format!("{ORIGIN}\n07\n{root}\n"),
        format!("{ORIGIN}\n+7\n{root}\n"),
        format!("{ORIGIN}\n-7\n{root}\n"),
        format!("{ORIGIN}\n7 \n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n7\n{}\n", &root[..43]),
        format!("{ORIGIN}\n7\n{}=\n", &root[..40]),
        // The last digit has bits that no byte takes: another text for the same root.
        format!("{ORIGIN}\n7\n{}J=\n", &root[..42]),
        format!("{ORIGIN}\n7\n"),
        format!("{ORIGIN}\n\n7\n{root}\n"),
        format!("\n{ORIGIN}\n7\n{root}\n"),
    ] {
        check_signed(&wrong, Err(Code::MalformedCheckpoint));
    }
}

#[test]
fn what_is_no_note_is_refused() {
    let refused = |text: &[u8]| Note::parse(text).map_err(|error| error.code()).unwrap_err();
    let good = head(7).sign(&key(1)).unwrap().to_string();
    let line = good.lines().last().unwrap();
    for wrong in [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\nno dash\n",
        "text\n\n- ascii AAAAAAAA\n",
        "te\txt\n\n\u{2014} a AAAAAAAA\n",
        "text\r\n\n\u{2014} a AAAAAAAA\n",
        "text\n\n\u{2014} a AAAA\n",
        "text\n\n\u{2014} a AAAAA\n",
        "text\n\n\u{2014} a AAAAAAB=\n",
        "text\n\n\u{2014} a+b AAAAAAAA\n",
        "text\n\n\u{2014}  AAAAAAAA\n",
        "text\n\n\u{2014} a AAAAAAAA",
    ] {
        assert_eq!(refused(wrong.as_bytes()), Code::MalformedNote, "{wrong:?}");
    }
    assert_eq!(refused(b"\xff\n\n\xe2\x80\x94 a AAAAAAAA\n"), Code::MalformedNote);
    let hundred = |lines: usize| format!("text\n\n{}", format!("{line}\n").repeat(lines));
    assert!(Note::parse(hundred(100).as_bytes()).is_ok());
    assert_eq!(refused(hundred(101).as_bytes()), Code::MalformedNote);
    assert_eq!(refused(format!("{}\n\n{line}\n", "x".repeat(NOTE_BYTES_MAX)).as_bytes()), Code::MalformedNote);
}

#[test]
fn keys_that_prove_nothing_are_refused() {
    let refused = |bytes: [u8; 32]| NoteKey::new("a", &bytes).map_err(|error| error.code()).unwrap_err();
    // The points of small order, by their canonical encodings (y = 1, -1, 0, and two of order 8).
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    assert_eq!([refused(one), refused(minus_one), refused([0; 32])], [Code::WeakKey; 3]);
    // The same point as `one` in another encoding, p + 1.
    let mut again = [0xff; 32];
    (again[0], again[31]) = (0xee, 0x7f);
    assert_eq!(refused(again), Code::MalformedKey);
    for name in ["", "a b", "a+b", "a\nb", "a\u{2003}b", &"x".repeat(256)] {
        assert_eq!(NoteKey::new(name, key(1).public().as_bytes()).unwrap_err().code(), Code::MalformedKey, "{name:?}");
    }
    let text = key(1).public().to_string();
    let [name, id, bytes] = text.split('+').collect::<Vec<_>>()[..] else { panic!("{text}") };
    for wrong in [
        String::new(),
        name.to_owned(),
        format!("{name}+{id}"),
        format!("{name}+00000000+{bytes}"),
        format!("other+{id}+{bytes}"),
        format!("{name}+{}+{bytes}", id.to_uppercase() + "0"),
        format!("{name}+{id}+{}", &bytes[..40]),
        format!("{name}+{id}+{}", bytes.replacen('A', "B", 1)),
    ] {
        assert_eq!(wrong.parse::<NoteKey>().unwrap_err().code(), Code::MalformedKey, "{wrong:?}");
    }
}

#[test]
fn a_private_key_is_not_shown() {
    let shown = format!("{:?}", key(7));
    assert!(shown.contains(ORIGIN) && !shown.contains("0707") && !shown.contains("7, 7"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_as_it_was(bytes in "[a-z \n\u{2014}+=A0/]{0,80}") {
        if let Ok(note) = Note::parse(bytes.as_bytes()) {
            prop_assert_eq!(note.to_string(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Note::parse(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<NoteKey>();
        let _ = tracekeep_evidence::TlogProof::parse(&bytes);
    }

    /// Both readers take the same notes.
    #[test]
    fn the_other_implementation_reads_the_same_notes(
        text in "[a-z\n]{0,12}\n",
        lines in prop::collection::vec("\u{2014} [a+ ]{1,3} (AAAA|AAAAA|AAAAAAAA|AAAAAAAB|AAAAAA==|AAAAAB==)", 1..3),
    ) {
        let note = format!("{text}\n{}\n", lines.join("\n"));
        prop_assert_eq!(Note::parse(note.as_bytes()).is_ok(), OtherNote::from_bytes(note.as_bytes()).is_ok(), "{:?}", note);
    }
}
