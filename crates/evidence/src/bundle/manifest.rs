//! The manifest: an in-toto statement in a DSSE envelope.

use tracekeep_core::Timestamp;
use tracekeep_core::hash::{Hash, sha256};
use tracekeep_core::json::{Json, JsonError, Object, Value, parse};
use tracekeep_core::model::JsonObject;
use tracekeep_core::wire::{Fields, Path, object, object_field, read_whole, take_required, to_json};

use super::contents::{Kind, Period};
use super::verify::Reason;
use crate::base64;
use crate::key::{NoteKey, SigningKey};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// What the predicate is: the version of the format.
pub const PREDICATE_TYPE: &str = "https://tracekeep.dev/bundle/v1";
/// Bytes of `manifest.json` (4 MiB), which is read before anybody is known to have signed it.
pub(crate) const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// Objects in `manifest.json`: itself, and at most 100 signatures.
const OBJECTS_MAX: usize = 101;

object! {
    /// Everything that a bundle claims. Computed from its records, or signed with them.
    pub struct Predicate {
        /// What it is made for.
        required kind: Kind,
        /// Whose ledger it is.
        required tenant_id: String,
        /// Who exported it.
        required exported_by: String,
        /// `recorded_at` of the last entry below the checkpoint's size.
        required created_at: Timestamp,
        /// What was asked for.
        required options: JsonObject,
        /// The run that it is about.
        optional run_id: String,
        /// The incident that it is about.
        optional incident_id: String,
        /// The time that it is about.
        optional period: Period,
        /// What its kind requires and is not there, by name: of a bundle that was forced.
        required missing: Vec<String>,
    }
}

object! {
    struct EnvelopeSignature {
        required keyid: String,
        required sig: String,
    }
}

object! {
    struct Subject {
        required digest: Digest,
        required name: String,
    }
}

object! {
    struct Digest {
        required sha256: Hash,
    }
}

object_field!(Predicate, EnvelopeSignature, Subject, Digest);

/// A file and its digest.
pub(crate) type Digested = (String, Hash);

/// The manifest of these files, signed.
pub(crate) fn write(files: &[Digested], predicate: &Predicate, key: &SigningKey) -> Vec<u8> {
    let statement =
        statement(files, predicate).expect("invariant: options are checked to nest less than a document may");
    let payload = statement.as_str().as_bytes();
    let signature = key.sign(&pae(payload));
    let signature = EnvelopeSignature { keyid: keyid(key.public()), sig: base64::write(&signature) };
    envelope(base64::write(payload), &[signature]).as_str().as_bytes().to_vec()
}

/// By what a signature names its key: the name and the id, as a note does.
fn keyid(key: &NoteKey) -> String {
    format!("{}+{:08x}", key.name(), key.id())
}

fn envelope(payload: String, signatures: &[EnvelopeSignature]) -> Json {
    let members = [
        ("payload", Json::from(payload)),
        ("payloadType", Json::from(PAYLOAD_TYPE)),
        ("signatures", Json::array(signatures.iter().map(to_json))),
    ];
    Json::object(members).expect("invariant: an envelope nests three deep")
}

/// The statement; refused where the options nest so deep that it would be no document.
fn statement(files: &[Digested], predicate: &Predicate) -> Result<Json, JsonError> {
    let subject =
        |(name, digest): &Digested| to_json(&Subject { digest: Digest { sha256: *digest }, name: name.clone() });
    Json::object([
        ("_type", Json::from(STATEMENT_TYPE)),
        ("predicate", to_json(predicate)),
        ("predicateType", Json::from(PREDICATE_TYPE)),
        ("subject", Json::array(files.iter().map(subject))),
    ])
}

/// What is signed (DSSE's pre-authentication encoding).
fn pae(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// An envelope whose signatures were looked at, if there were keys to do so.
pub(crate) struct Opened {
    payload: Vec<u8>,
    /// Those of the keys that have signed it, as text.
    pub(crate) signers: Vec<String>,
}

/// Opens the envelope. With keys, one of them must have signed it, and have the log's origin for its name; a wrong signature by
/// any of those refuses it.
pub(crate) fn open(bytes: &[u8], keys: &[NoteKey], origin: &str) -> Result<Opened, Reason> {
    let malformed = Reason::MalformedManifest;
    let objects = bytes.iter().filter(|byte| **byte == b'{').count();
    if bytes.len() > MANIFEST_BYTES_MAX || objects > OBJECTS_MAX {
        return Err(malformed);
    }
    let Ok(Value::Object(mut object)) = parse(bytes) else { return Err(malformed) };
    let text: String = take(&mut object, "payload")?;
    let signatures: Vec<EnvelopeSignature> = take(&mut object, "signatures")?;
    let payload = base64::read(&text).ok_or(malformed)?;
    if envelope(text, &signatures).as_str().as_bytes() != bytes {
        return Err(malformed);
    }
    let (signed, mut signers) = (pae(&payload), Vec::new());
    let read = |signature: &EnvelopeSignature| base64::read(&signature.sig).ok_or(malformed);
    let bytes = signatures.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for (signature, bytes) in signatures.iter().zip(&bytes) {
        for key in keys.iter().filter(|key| key.name() == origin && keyid(key) == signature.keyid) {
            if !key.has_signed(&signed, bytes) {
                return Err(Reason::BadSignature);
            }
            signers.push(key.to_string());
        }
    }
    let is_signed = keys.is_empty() || !signers.is_empty();
    if is_signed { Ok(Opened { payload, signers }) } else { Err(Reason::UnknownSigner) }
}

impl Opened {
    /// The files and what is claimed of them.
    pub(crate) fn statement(&self) -> Result<(Vec<Digested>, Predicate), Reason> {
        let parsed = parse(&self.payload).ok().filter(|value| value.to_json().as_str().as_bytes() == self.payload);
        let Some(Value::Object(mut object)) = parsed else { return Err(Reason::MalformedManifest) };
        let predicate_type: Json = take(&mut object, "predicateType")?;
        if predicate_type != Json::from(PREDICATE_TYPE) {
            return Err(Reason::UnknownFormat);
        }
        let statement_type: String = take(&mut object, "_type")?;
        let subjects: Vec<Subject> = take(&mut object, "subject")?;
        let predicate: Predicate = take(&mut object, "predicate")?;
        let files: Vec<Digested> = subjects.into_iter().map(|subject| (subject.name, subject.digest.sha256)).collect();
        let is_sound = object.is_empty()
            && statement_type == STATEMENT_TYPE
            && statement(&files, &predicate).is_ok_and(|text| text.as_str().as_bytes() == self.payload);
        if is_sound { Ok((files, predicate)) } else { Err(Reason::MalformedManifest) }
    }
}

fn take<T: tracekeep_core::wire::Field>(object: &mut Object<'_>, name: &str) -> Result<T, Reason> {
    take_required(object, name, &Path::ROOT).map_err(|_| Reason::MalformedManifest)
}

/// Reads one object of known members that stands in canonical form.
pub(crate) fn read_canonical<T: Fields>(text: &[u8]) -> Option<T> {
    let read = read_whole(parse(text).ok()?, &Path::ROOT).ok()?;
    (to_json(&read).as_str().as_bytes() == text).then_some(read)
}

/// The SHA-256 of a file.
pub(crate) fn digest(bytes: &[u8]) -> Hash {
    sha256(&[bytes])
}
