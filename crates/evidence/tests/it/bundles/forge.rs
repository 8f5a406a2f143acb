//! Bundles made by somebody who has the key and lies: members changed, the manifest made to fit and signed again.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use rawzip::ZipArchive;
use serde_json::{Value, json};
use tracekeep_core::hash::sha256;
use tracekeep_core::json::canonical_json;

use super::ledger::Ledger;

/// Members by name.
pub(crate) type Members = BTreeMap<String, Vec<u8>>;

/// How a member is stated in a zip.
#[derive(Clone)]
pub(crate) struct Stated<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) bytes: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) attributes: u32,
    /// Uncompressed bytes and CRC, where they are not those of `bytes`.
    pub(crate) says: Option<(u32, u32)>,
    /// Extra fields, of the header in front of it and of its record in the directory.
    pub(crate) extra: [&'a [u8]; 2],
    /// Whether the directory names it.
    pub(crate) is_listed: bool,
}

impl<'a> Stated<'a> {
    pub(crate) fn plain(name: &'a str, bytes: &[u8]) -> Self {
        let name = name.as_bytes();
        Self {
            name,
            bytes: bytes.to_vec(),
            method: 0,
            flags: 0,
            attributes: 0o100_644 << 16,
            says: None,
            extra: [b""; 2],
            is_listed: true,
        }
    }
}

/// A zip by hand, so that it can say anything.
pub(crate) fn zip(members: &[Stated<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let offset = u32::try_from(out.len()).unwrap();
        let length = u32::try_from(member.bytes.len()).unwrap();
        let (size, crc) = member.says.unwrap_or((length, rawzip::crc32(&member.bytes)));
        let mut common = Vec::new();
        for short in [20, member.flags, member.method, 0, 33] {
            common.extend_from_slice(&short.to_le_bytes());
        }
        for long in [crc, length, size] {
            common.extend_from_slice(&long.to_le_bytes());
        }
        common.extend_from_slice(&u16::try_from(member.name.len()).unwrap().to_le_bytes());
        let [front, listed] = member.extra.map(|extra| (u16::try_from(extra.len()).unwrap().to_le_bytes(), extra));
        let front = [&common[..], &front.0, member.name, front.1].concat();
        common.extend_from_slice(&listed.0);
        out.extend_from_slice(&[b"PK\x03\x04", &front[..], &member.bytes].concat());
        let attributes = member.attributes.to_le_bytes();
        let rest = [&[0; 6][..], &attributes, &offset.to_le_bytes(), member.name, listed.1].concat();
        if !member.is_listed {
            continue;
        }
        directory.extend_from_slice(&[b"PK\x01\x02\x14\x03", &common[..], &rest].concat());
    }
    let count = u16::try_from(members.iter().filter(|member| member.is_listed).count()).unwrap().to_le_bytes();
    let place = [directory.len(), out.len()].map(|number| u32::try_from(number).unwrap().to_le_bytes());
    out.extend_from_slice(&directory);
    out.extend_from_slice(&[b"PK\x05\x06\0\0\0\0", &count[..], &count, &place[0], &place[1], &[0; 2]].concat());
    out
}

pub(crate) fn zip_plain(members: &Members) -> Vec<u8> {
    zip(&members.iter().map(|(name, bytes)| Stated::plain(name, bytes)).collect::<Vec<_>>())
}

pub(crate) fn unzip(bundle: &[u8]) -> Members {
    let archive = ZipArchive::from_slice(bundle).unwrap();
    let mut entries = archive.entries();
    let mut members = Members::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        let name = String::from_utf8(entry.file_path().as_ref().to_vec()).unwrap();
        let data = archive.get_entry(entry.wayfinder()).unwrap().data();
        let bytes = match entry.compression_method() {
            rawzip::CompressionMethod::DEFLATE => inflated(data),
            _ => data.to_vec(),
        };
        members.insert(name, bytes);
    }
    members
}

fn inflated(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::DeflateDecoder::new(data).read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    canonical_json(value.to_string().as_bytes()).unwrap().into_bytes()
}

/// The statement of a bundle.
pub(crate) fn statement(members: &Members) -> Value {
    let envelope: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    serde_json::from_slice(&STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap()
}

/// An envelope around a payload, signed by the ledger's key.
pub(crate) fn envelope(ledger: &Ledger, payload: &[u8]) -> Value {
    let kind = "application/vnd.in-toto+json";
    let signed = [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), payload].concat();
    let signature = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).sign(&signed).to_bytes();
    let key = ledger.key.public();
    let keyid = format!("{}+{:08x}", key.name(), key.id());
    let signatures = json!([{"keyid": keyid, "sig": STANDARD.encode(signature)}]);
    json!({"payload": STANDARD.encode(payload), "payloadType": kind, "signatures": signatures})
}

/// Changes members, makes the manifest's digests and lengths fit, changes the statement, and signs it.
pub(crate) fn forged(
    ledger: &Ledger,
    bundle: &[u8],
    change: impl FnOnce(&mut Members),
    claim: impl FnOnce(&mut Value),
) -> Vec<u8> {
    let mut members = unzip(bundle);
    change(&mut members);
    let mut statement = statement(&members);
    members.remove("manifest.json");
    let subject =
        |(name, bytes): (&String, &Vec<u8>)| json!({"digest": {"sha256": sha256(&[bytes]).to_string()}, "name": name});
    statement["subject"] = members.iter().map(subject).collect();
    claim(&mut statement);
    members.insert("manifest.json".to_owned(), canonical(&envelope(ledger, &canonical(&statement))));
    zip_plain(&members)
}

/// Changes the lines of a file of records, each as JSON.
pub(crate) fn lines(members: &mut Members, file: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let text = members.get_mut(file).unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut lines: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    change(&mut lines);
    *text = lines.iter().flat_map(|line| [canonical(line), b"\n".to_vec()].concat()).collect();
}

pub(crate) fn text_of(members: &mut Members, file: &str, from: &str, to: &str) {
    let text = String::from_utf8(members[file].clone()).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    members.insert(file.to_owned(), text.replacen(from, to, 1).into_bytes());
}
