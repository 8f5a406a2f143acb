//! What the server signs, read by others than the one that made it.

use tracekeep_core::id::LedgerId;
use tracekeep_core::merkle;
use tracekeep_evidence::{Checkpoint, NoteKey};

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
    server.get("/api/v1/log/checkpoint?size=0").refused(409, "key_missing", None);
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
fn nobody_declares_a_key_by_a_request() {
    let server = Server::start();
    let op = r#"{"ops":[{"op":"declare_key","key":"tracekeep/x+00000000+AA==","reason":"first"}]}"#;
    server.post("/api/v1/batches", op).refused(400, "local_only", Some("/ops/0"));
    assert_eq!(server.get("/api/v1/log").member("tree_size").unwrap(), "0");
}
