//! What proves itself without a bundle: a checkpoint, a proof of one entry, a proof that the log extends what it was.
//!
//! Each is held to the keys that the verifier brings, and answered as a bundle is, in two verdicts: integrity and
//! identity. The bytes are those of docs/format/evidence.md.

use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::json::{Json, parse_around};
use tracekeep_core::merkle;
use tracekeep_core::view::{LogEntry, SignedProof};
use tracekeep_core::wire::{Path, object, object_field, read_whole, to_json, words};

use crate::bundle::{
    Aspect, Fault, LINE_LEVELS, LeafLine, Outcome, Reason, Verdict, earlier, foreign, outcome_of, verdicts_json,
    without_key,
};
use crate::checkpoint::{Checkpoint, decimal};
use crate::key::NoteKey;
use crate::note::Note;
use crate::proof::TlogProof;
use crate::witness::WitnessRequest;

/// Bytes of an entry with its proof, as JSON (16 MiB): a body has 4 MiB, and what a seal adds.
pub const SIGNED_PROOF_BYTES_MAX: usize = 16 << 20;

words! {
    /// What it is.
    pub enum What {
        /// A signed checkpoint (c2sp.org/tlog-checkpoint).
        Checkpoint = "checkpoint",
        /// The proof of an entry, which is brought by its leaf hash (c2sp.org/tlog-proof).
        TlogProof = "tlog_proof",
        /// An entry with its proof, as JSON.
        SignedProof = "signed_proof",
        /// That the log extends what it was (the request of c2sp.org/tlog-witness).
        Consistency = "consistency",
    }
}

/// What the verifier has besides the text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brought<'a> {
    /// Keys that are trusted: those of the log have its origin for a name.
    pub keys: &'a [NoteKey],
    /// A checkpoint of the same log from before, which it must extend.
    pub old_checkpoint: Option<&'a [u8]>,
    /// The leaf hash of the entry that is to be proved, as its receipt states it.
    pub leaf_hash: Option<Hash>,
}

object! {
    /// What a text says, and proves as far as its verdicts say.
    pub struct Shown {
        /// What it is.
        required what: What,
        /// The log.
        required origin: String,
        /// Its entries.
        required size: u64,
        /// The root over their leaves.
        required root: Hash,
        /// The size that it is to extend.
        optional from: u64,
        /// Where the entry is.
        optional log_index: u64,
        /// The leaf hash of the entry: that of its leaf, or the one that was brought.
        optional leaf_hash: Hash,
        /// The entry's leaf.
        optional leaf: LeafLine,
        /// What the entry holds, where it is there.
        optional body: Json,
    }
}

/// What verifying it came to.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What it is.
    pub what: What,
    /// Integrity and identity.
    pub verdicts: [Verdict; 2],
    /// What it says, where it could be read.
    pub shown: Option<Shown>,
}

/// Verifies a text that proves itself; `None` where it has the form of none.
///
/// Without keys nothing is trusted: what does not fail is then unconfirmed. So is a proof of which the one side was not
/// brought: the leaf hash of its entry, or the checkpoint from before.
#[must_use]
pub fn verify(bytes: &[u8], brought: &Brought<'_>) -> Option<Standing> {
    let what = What::of(bytes)?;
    let (mut shown, text) = (None, read(what, bytes)?);
    let [integrity, identity] = match text.map_err(Fault::from).and_then(|text| held(what, text, brought, &mut shown)) {
        Ok(integrity) => [integrity, Ok(())],
        Err(Fault { aspects, reason, .. }) if aspects.contains(&Aspect::Identity) => [Err(reason), Err(reason)],
        Err(Fault { reason, .. }) => [Err(reason), Err(Reason::NotChecked)],
    };
    let concluded = |aspect, result: Result<(), Reason>| Verdict::concluded(aspect, result.map(|()| Vec::new()));
    let mut verdicts = [concluded(Aspect::Integrity, integrity), concluded(Aspect::Identity, identity)];
    if brought.keys.is_empty() {
        without_key(&mut verdicts);
    }
    Some(Standing { what, verdicts, shown })
}

impl What {
    /// By the first bytes.
    fn of(bytes: &[u8]) -> Option<Self> {
        let firsts = [
            (&b"c2sp.org/tlog-proof@"[..], Self::TlogProof),
            (b"old ", Self::Consistency),
            (b"tracekeep/", Self::Checkpoint),
            (b"{", Self::SignedProof),
        ];
        let (_, what) = firsts.into_iter().find(|(first, _)| bytes.starts_with(first))?;
        let is_one = match what {
            Self::Consistency => is_old_size(bytes),
            Self::SignedProof => begins_with_checkpoint(bytes),
            _ => true,
        };
        is_one.then_some(what)
    }
}

fn is_old_size(bytes: &[u8]) -> bool {
    let line = bytes.strip_prefix(b"old ").and_then(|rest| rest.split_inclusive(|byte| *byte == b'\n').next());
    let size = line.and_then(|line| line.strip_suffix(b"\n")).and_then(|size| std::str::from_utf8(size).ok());
    size.and_then(decimal).is_some()
}

/// Whether the first member is a signed proof's, as canonical form has it: JSON of anything else costs nothing.
fn begins_with_checkpoint(bytes: &[u8]) -> bool {
    let firsts = ["{", "\"checkpoint\"", ":", "\"tracekeep"].map(str::as_bytes);
    firsts.into_iter().try_fold(bytes, |rest, first| rest.trim_ascii_start().strip_prefix(first)).is_some()
}

/// The proof in it, beside its checkpoint.
enum Claim {
    Nothing,
    Entry { log_index: u64, hashes: Vec<Hash> },
    Extends { from: u64, hashes: Vec<Hash> },
}

/// What was read of it: its checkpoint, the proof, the entry that stands with it.
type Text = (Note, Claim, Option<Entry>);

/// Whether it proves what it is for, once its checkpoint is seen to be signed.
fn held(
    what: What,
    (note, claim, entry): Text,
    brought: &Brought<'_>,
    seen: &mut Option<Shown>,
) -> Result<Result<(), Reason>, Fault> {
    let checkpoint = Checkpoint::parse(note.text()).map_err(|_| Reason::MalformedCheckpoint)?;
    let own = NoteKey::of_log(brought.keys, &checkpoint.origin);
    let Checkpoint { origin, size, root } = checkpoint.clone();
    let mut shown =
        Shown { what, origin, size, root, from: None, log_index: None, leaf_hash: None, leaf: None, body: None };
    match &claim {
        Claim::Nothing => {}
        Claim::Extends { from, .. } => shown.from = Some(*from),
        Claim::Entry { log_index, .. } => shown.log_index = Some(*log_index),
    }
    let own_leaf = entry.as_ref().map(|entry| entry.leaf_hash);
    if entry.as_ref().is_some_and(|entry| entry.size != checkpoint.size) {
        return Err(Reason::WrongProof.into());
    }
    if matches!(claim, Claim::Entry { .. }) {
        shown.leaf_hash = own_leaf.or(brought.leaf_hash);
    }
    let ledger = entry.as_ref().map(|entry| format!("tracekeep/{}", entry.leaf.ledger));
    if let Some(Entry { leaf, body, .. }) = entry {
        (shown.leaf, shown.body) = (Some(leaf), body);
    }
    *seen = Some(shown);
    if !brought.keys.is_empty() {
        note.verify(&own).map_err(|error| foreign(error.code().into()))?;
    }
    if ledger.is_some_and(|ledger| ledger != checkpoint.origin) {
        return Err(foreign(Reason::WrongLedger));
    }
    Ok(proves(&claim, &checkpoint, own_leaf, brought).and_then(|()| extends(&claim, &checkpoint, brought)))
}

/// An entry that stands with its proof.
struct Entry {
    leaf: LeafLine,
    leaf_hash: Hash,
    body: Option<Json>,
    /// The size that it says it is proved in.
    size: u64,
}

/// `None` where it is JSON, and no signed proof by its form.
fn read(what: What, bytes: &[u8]) -> Option<Result<Text, Reason>> {
    let malformed = |error: crate::Error| match error.code() {
        crate::Code::MalformedProof => Reason::WrongProof,
        code => code.into(),
    };
    Some(match what {
        What::Checkpoint => Note::parse(bytes).map(|note| (note, Claim::Nothing, None)).map_err(malformed),
        What::TlogProof => TlogProof::parse(bytes).map_err(malformed).map(|proof| {
            let TlogProof { log_index, hashes, checkpoint, .. } = proof;
            (checkpoint, Claim::Entry { log_index, hashes }, None)
        }),
        What::Consistency => WitnessRequest::parse(bytes).map_err(malformed).map(|request| {
            let WitnessRequest { from, hashes, checkpoint } = request;
            (checkpoint, Claim::Extends { from, hashes }, None)
        }),
        What::SignedProof if bytes.len() > SIGNED_PROOF_BYTES_MAX => Err(Reason::TooLarge),
        What::SignedProof => {
            // What it is of stands as deep in it as in a line of records.
            let proof: SignedProof = read_whole(parse_around(bytes, LINE_LEVELS).ok()?, &Path::ROOT).ok()?;
            let (log_index, hashes) = (proof.entry.log_index, proof.hashes.clone());
            let note = Note::parse(proof.checkpoint.as_bytes()).map_err(malformed);
            note.and_then(|note| Ok((note, Claim::Entry { log_index, hashes }, Some(entry(proof)?))))
        }
    })
}

/// The entry, where its body is what its leaf commits to.
fn entry(proof: SignedProof) -> Result<Entry, Reason> {
    let SignedProof { entry, tree_size: size, .. } = proof;
    let leaf_hash = merkle::leaf_hash(entry.leaf.as_str().as_bytes());
    if entry.leaf_hash != leaf_hash {
        return Err(Reason::WrongProof);
    }
    Ok(Entry { leaf: leaf(&entry)?, leaf_hash, body: entry.body, size })
}

/// An entry's leaf, which commits to its body where that is there.
pub(crate) fn leaf(entry: &LogEntry) -> Result<LeafLine, Reason> {
    let leaf: LeafLine =
        read_whole(entry.leaf.json().value().clone(), &Path::ROOT).map_err(|_| Reason::MalformedRecord)?;
    if leaf.v != 1 || to_json(&leaf).as_str() != entry.leaf.as_str() {
        return Err(Reason::MalformedRecord);
    }
    if let Some(body) = &entry.body {
        let salt = Salt::from_bytes(*entry.salt.as_ref().ok_or(Reason::WrongCommitment)?.as_bytes());
        let body = Body::from_recorded(body.as_str()).map_err(|_| Reason::MalformedRecord)?;
        if body.commitment(&salt) != leaf.commit {
            return Err(Reason::WrongCommitment);
        }
    }
    Ok(leaf)
}

/// Whether the entry that it is of is in the log.
fn proves(claim: &Claim, log: &Checkpoint, own: Option<Hash>, brought: &Brought<'_>) -> Result<(), Reason> {
    let Claim::Entry { log_index, hashes } = claim else { return Ok(()) };
    let leaf_hash = match (own, brought.leaf_hash) {
        (Some(own), Some(asked)) if own != asked => return Err(Reason::WrongProof),
        (own, asked) => own.or(asked).ok_or(Reason::NotBrought)?,
    };
    merkle::verify_inclusion(&leaf_hash, *log_index, log.size, hashes, &log.root).map_err(|_| Reason::WrongProof)
}

/// Whether the log extends the checkpoint that the verifier has from before.
fn extends(claim: &Claim, log: &Checkpoint, brought: &Brought<'_>) -> Result<(), Reason> {
    if matches!(claim, Claim::Extends { from, .. } if *from > log.size) {
        return Err(Reason::WrongProof);
    }
    let Some(old) = brought.old_checkpoint else {
        return if matches!(claim, Claim::Extends { .. }) { Err(Reason::NotBrought) } else { Ok(()) };
    };
    let old = earlier(old, log, brought.keys)?;
    match claim {
        _ if old.size == log.size && old.root != log.root => Err(Reason::WrongConsistency),
        Claim::Extends { from, .. } if *from != old.size => Err(Reason::NoConsistencyProof),
        Claim::Extends { hashes, .. } => {
            merkle::verify_consistency(old.size, &old.root, log.size, &log.root, hashes).map_err(|_| Reason::WrongProof)
        }
        _ if old.size == log.size => Ok(()),
        _ => Err(Reason::NoConsistencyProof),
    }
}

object! {
    /// What a standing is as JSON. The body of an entry stands in it however deep it nests.
    struct Told {
        /// The whole.
        required outcome: Outcome,
        /// What it says, where it could be read.
        optional shown: Shown,
        /// Integrity and identity.
        required verdicts: Json,
    }
}

object_field!(Shown);

impl Standing {
    /// What a verdict on such a text does not prove.
    #[must_use]
    pub const fn does_not_prove(&self, verdict: &Verdict) -> &'static str {
        match (verdict.aspect, self.what) {
            (Aspect::Integrity, What::Checkpoint) => {
                "anything of what is in the log; nor, unless a checkpoint from before is brought, that whoever holds the key \
                 has not made the log anew, or shows others another one"
            }
            (Aspect::Integrity, What::TlogProof) => {
                "what the entry holds: only that an entry with this leaf hash is at this place of the log; nor, unless a checkpoint \
                 from before is brought, that whoever holds the key has not made the log anew, or shows others another one"
            }
            (Aspect::Integrity, What::Consistency) => {
                "anything of what is in the log: only that it is still all that it was; nor that whoever holds the key shows others \
                 the same log beyond that"
            }
            _ => verdict.does_not_prove(),
        }
    }

    /// The whole: `fail` where a verdict is, else `unconfirmed` where one is, else `pass`.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        outcome_of(&self.verdicts)
    }

    /// {outcome, shown?, verdicts: [{aspect, does_not_prove, outcome, reason?, remarks}]}, as of a bundle.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let verdicts = verdicts_json(&self.verdicts, |verdict| self.does_not_prove(verdict));
        to_json(&Told { outcome: self.outcome(), shown: self.shown.clone(), verdicts })
    }
}
