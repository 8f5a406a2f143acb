//! What the server signs, read by others than the one that made it.

use std::sync::Arc;

use tracekeep_core::id::LedgerId;
use tracekeep_core::merkle;
use tracekeep_core::view::SignedProof;
use tracekeep_evidence::{Checkpoint, NoteKey, TlogProof};
use tracekeep_store::signing::Declaring;
use tracekeep_store::{LedgerStore, MemoryKeys, MemoryLedger, Signer};

use crate::Server;

fn origin(server: &Server) -> String {
    let ledger: LedgerId = server.get("/api/v1/log").member("ledger").unwrap().parse().unwrap();
    Checkpoint::origin_of(ledger)
}

fn key(server: &Server) -> NoteKey {
    let answer = server.get("/api/v1/log/key");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    answer.text().trim_end().parse().unwrap()
}

fn record(server: &Server, run: &str) {
    assert_eq!(server.post("/api/v1/runs", &format!("{{\"run_id\":\"{run}\"}}")).status, 201);
}

/// The checkpoint at a path, verified by our own code and by an independent implementation of signed notes.
fn checkpoint(server: &Server, path: &str) -> (String, Checkpoint) {
    let answer = server.get(path);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let (text, key) = (answer.text(), key(server));
    let verifier = signed_note::StandardVerifier::new(&key.to_string()).unwrap();
    let verifiers = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let note = signed_note::Note::from_bytes(text.as_bytes()).unwrap();
    note.verify(&verifiers).unwrap();
    let checkpoint = Checkpoint::open(text.as_bytes(), &origin(server), &[key]).unwrap();
    (text, checkpoint)
}

#[test]
fn the_head_is_signed_and_signed_once() {
    let server = Server::start();
    record(&server, "a");
    let (first, signed) = checkpoint(&server, "/api/v1/log/checkpoint");
    assert_eq!(signed.size, 2, "the run, and the declaration of the key");
    assert_eq!(server.get("/api/v1/log").member("root").unwrap(), signed.root.to_string());
    assert_eq!(checkpoint(&server, "/api/v1/log/checkpoint").0, first, "the head has not moved");
    record(&server, "b");
    let (_, later) = checkpoint(&server, "/api/v1/log/checkpoint");
    assert_eq!(later.size, 3);
    let keys = server.get("/api/v1/log/keys");
    assert!(keys.text().contains(&format!("\"key\":\"{}\"", key(&server))), "{}", keys.text());
}

#[test]
fn an_earlier_size_is_signed_again_to_the_byte() {
    let server = Server::start();
    let (first, _) = checkpoint(&server, "/api/v1/log/checkpoint");
    record(&server, "a");
    record(&server, "b");
    let (again, signed) = checkpoint(&server, "/api/v1/log/checkpoint?size=1");
    assert_eq!((signed.size, again), (1, first));
    server.get("/api/v1/log/checkpoint?size=9").refused(404, "entry_not_found", None);
    server.get("/api/v1/log/checkpoint?size=0").refused(400, "invalid_parameter", Some("size"));
    server.get("/api/v1/log/checkpoint?size=x").refused(400, "invalid_parameter", Some("size"));
}

#[test]
fn two_checkpoints_are_shown_to_be_of_one_log() {
    let server = Server::start();
    let (_, old) = checkpoint(&server, "/api/v1/log/checkpoint");
    (0..20).for_each(|n| record(&server, &format!("r{n}")));
    let (_, new) = checkpoint(&server, "/api/v1/log/checkpoint");
    let proof = server.get(&format!("/api/v1/log/consistency?from={}&to={}", old.size, new.size));
    let proof: tracekeep_core::view::ConsistencyProof =
        tracekeep_core::wire::from_text(proof.text().as_bytes()).unwrap();
    merkle::verify_consistency(old.size, &old.root, new.size, &new.root, &proof.hashes).unwrap();
}

#[test]
fn a_receipt_becomes_a_proof_that_stands_by_itself() {
    let server = Server::start();
    let receipt = server.post("/api/v1/runs", r#"{"run_id":"a"}"#);
    let (at, leaf) = (receipt.member("log_index").unwrap(), receipt.member("leaf_hash").unwrap());
    (0..5).for_each(|n| record(&server, &format!("r{n}")));
    let proof = server.get(&format!("/api/v1/log/proof/{at}?format=tlog-proof"));
    let proof = TlogProof::parse(proof.text().as_bytes()).unwrap();
    proof.verify(leaf.parse().unwrap(), &origin(&server), &[key(&server)]).unwrap();
    server.get("/api/v1/log/proof/99?format=tlog-proof").refused(404, "entry_not_found", None);
    server.get("/api/v1/log/proof/0?format=pdf").refused(400, "invalid_parameter", Some("format"));
    server.get("/api/v1/runs/a/proof").refused(409, "run_running", None);
    assert_eq!(server.post("/api/v1/runs/a/complete", r#"{"status":"completed"}"#).status, 201);
    let shown = server.get("/api/v1/runs/a/proof");
    let shown: SignedProof = tracekeep_core::wire::from_text(shown.text().as_bytes()).unwrap();
    let signed = Checkpoint::open(shown.checkpoint.as_bytes(), &origin(&server), &[key(&server)]).unwrap();
    let (leaf, at) = (shown.entry.leaf_hash, shown.entry.log_index);
    merkle::verify_inclusion(&leaf, at, signed.size, &shown.hashes, &signed.root).unwrap();
    assert!(shown.entry.body.unwrap().as_str().contains("\"run_root\""), "the seal states the root over the run");
    server.get("/api/v1/runs/a/proof?step=0").refused(404, "step_not_found", None);
    server.get("/api/v1/runs/b/proof").refused(404, "run_not_found", None);
    let asked = server.get("/api/v1/log/witness?from=2").text();
    assert!(asked.starts_with("old 2\n") && asked.contains("\n\ntracekeep/"), "{asked}");
}

/// What a witness does with a request, from c2sp.org/tlog-witness: the old size, at most 63 hashes in base64, an empty line,
/// a signed note; the proof leads from the root that it kept to the one in the note.
fn witness(server: &Server, kept: &Checkpoint) -> Checkpoint {
    let answer = server.get(&format!("/api/v1/log/witness?from={}", kept.size));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let (head, note) = text.split_once("\n\n").unwrap();
    let mut lines = head.split('\n');
    assert_eq!(lines.next(), Some(&*format!("old {}", kept.size)));
    let lines: Vec<&str> = lines.collect();
    let size = note.lines().nth(1).unwrap();
    let proof = server.get(&format!("/api/v1/log/consistency?from={}&to={size}", kept.size));
    let proof: tracekeep_core::view::ConsistencyProof =
        tracekeep_core::wire::from_text(proof.text().as_bytes()).unwrap();
    let hashes = proof.hashes;
    assert_eq!(lines, hashes.iter().map(tracekeep_evidence::base64_of).collect::<Vec<_>>());
    assert!(hashes.len() <= 63);
    let key = key(server);
    let verifier = signed_note::StandardVerifier::new(&key.to_string()).unwrap();
    let parsed = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let (verified, others) = parsed.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 0));
    let asked = Checkpoint::open(note.as_bytes(), &origin(server), &[key]).unwrap();
    if kept.size == 0 || kept.size == asked.size {
        assert!(hashes.is_empty(), "nothing is to be proven");
    }
    merkle::verify_consistency(kept.size, &kept.root, asked.size, &asked.root, &hashes).unwrap();
    asked
}

#[test]
fn a_witness_can_sign_what_it_is_sent() {
    let server = Server::start();
    record(&server, "first");
    let nothing = Checkpoint { origin: origin(&server), size: 0, root: merkle::empty_root() };
    let mut kept = witness(&server, &nothing);
    assert_eq!(kept.size, 2);
    let all = witness(&server, &kept);
    assert_eq!(all, kept, "the same again");
    for (turn, more) in [1, 2, 5, 8, 13].into_iter().enumerate() {
        (0..more).for_each(|n| record(&server, &format!("r-{turn}-{n}")));
        let later = witness(&server, &kept);
        assert_eq!(later.size, kept.size + more);
        kept = later;
    }
    server.get("/api/v1/log/witness?from=9999").refused(400, "invalid_parameter", Some("from"));
    server.get("/api/v1/log/witness").refused(400, "invalid_parameter", Some("from"));
}

#[test]
fn nobody_declares_a_key_or_states_an_export_by_a_request() {
    let server = Server::start();
    let op = r#"{"ops":[{"op":"declare_key","key":"tracekeep/x+00000000+AA==","reason":"first"}]}"#;
    server.post("/api/v1/batches", op).refused(400, "local_only", Some("/ops/0"));
    let op = r#"{"ops":[{"op":"record_export","kind":"evidence","run_id":"r","size":1,"by":"mallory"}]}"#;
    server.post("/api/v1/batches", op).refused(400, "local_only", Some("/ops/0"));
    assert_eq!(server.get("/api/v1/log").member("tree_size").unwrap(), "0");
}

#[test]
fn who_trusts_the_old_key_is_shown_the_new_one() {
    let ledger: Arc<dyn LedgerStore> = Arc::new(MemoryLedger::default());
    let keys = Arc::new(MemoryKeys::default());
    let server = Server::with_keys(Arc::clone(&ledger), Arc::clone(&keys));
    let old = key(&server);
    Signer::new(ledger, keys).rotate(Declaring::default()).unwrap();
    record(&server, "r");
    let (_, head) = checkpoint(&server, "/api/v1/log/checkpoint");
    assert_eq!(head.size, 3, "signed over since");
    let shown = server.get("/api/v1/log/keys/1/handover");
    assert_eq!(shown.status, 200, "{}", shown.text());
    let shown: SignedProof = tracekeep_core::wire::from_text(shown.text().as_bytes()).unwrap();
    assert_eq!(tracekeep_evidence::follow(&old, &shown).unwrap(), key(&server));
    server.get("/api/v1/log/keys/0/handover").refused(404, "entry_not_found", None);
    server.get("/api/v1/log/keys/9/handover").refused(404, "entry_not_found", None);
    server.get("/api/v1/log/keys/x/handover").refused(400, "invalid_parameter", Some("log_index"));
}
