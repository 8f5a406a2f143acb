//! The zip around a bundle: written in one form, read in any that holds the same members.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};

use super::verify::Reason;

/// Members that a bundle may have, the directory `records/` among them.
pub const MEMBERS_MAX: usize = 32;
/// Bytes of all members of a bundle (1 GiB).
pub const BUNDLE_BYTES_MAX: u64 = 1 << 30;

/// Of an entry's flags: its CRC and lengths stand behind it, in a descriptor, and not in front.
const WITH_DESCRIPTOR: u16 = 1 << 3;
/// What may stand behind a member that was written as a stream, its CRC and lengths once more: no other member has room there.
const DESCRIPTOR_BYTES_MAX: u64 = 24;
/// The one directory that another tool may have added.
const DIRECTORY: &[u8] = b"records/";
/// Every name that a member of a bundle can have.
pub(crate) const NAMES: [&str; 16] = [
    "README.txt",
    "checkpoint",
    "comparison.json",
    "consistency.json",
    "controls.json",
    "debrief.json",
    "leaves.jsonl",
    "manifest.json",
    "proof.json",
    "records/audit.jsonl",
    "records/incidents.jsonl",
    "records/other.jsonl",
    "records/run.jsonl",
    "records/steps.jsonl",
    "records/traces.jsonl",
    "report.html",
];

/// 1980-01-01, which is what a zip counts from.
const DATE: u16 = 1 << 5 | 1;
const TEXT_IN_UTF_8: u16 = 1 << 11;

/// Writes members, stored, in the order of their names, with one fixed time, without extra fields and comments.
///
/// # Panics
/// Where the members have 4 GiB or more together: [`super::build`] refuses them before.
pub(crate) fn write(members: &BTreeMap<&'static str, Vec<u8>>) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).expect("invariant: a bundle is smaller than 4 GiB");
    let room = members.values().map(|bytes| bytes.len() + 256).sum();
    let (mut out, mut directory) = (Vec::with_capacity(room), Vec::new());
    for (name, bytes) in members {
        let offset = length(out.len());
        let short = |number: u16| number.to_le_bytes();
        let name_bytes = u16::try_from(name.len()).expect("invariant: names are short");
        // From "version needed" to the length of the extra fields, the same in both headers.
        let common = [
            &short(20)[..],
            &short(TEXT_IN_UTF_8),
            &short(0),
            &short(0),
            &short(DATE),
            &rawzip::crc32(bytes).to_le_bytes(),
            &length(bytes.len()).to_le_bytes(),
            &length(bytes.len()).to_le_bytes(),
            &short(name_bytes),
            &short(0),
        ]
        .concat();
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(bytes);
        // Made by: Unix, so that the mode of a plain file is told.
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&short(3 << 8 | 20));
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&(0o100_644_u32 << 16).to_le_bytes());
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let count = u16::try_from(members.len()).expect("invariant: members are few").to_le_bytes();
    let (offset, size) = (length(out.len()).to_le_bytes(), length(directory.len()).to_le_bytes());
    out.extend_from_slice(&directory);
    out.extend_from_slice(&[b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &offset, &[0; 2]].concat());
    out
}

/// A zip whose list of members was found sound. What they hold was not looked at.
pub(crate) struct Archive<'a> {
    zip: rawzip::ZipSliceArchive<&'a [u8]>,
    members: BTreeMap<&'static str, Member>,
}

#[derive(Clone, Copy)]
struct Member {
    place: rawzip::ZipArchiveEntryWayfinder,
    method: CompressionMethod,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Reason> {
        let zip = ZipArchive::from_slice(bytes).map_err(|_| Reason::NotAZip)?;
        if zip.entries_hint() > MEMBERS_MAX as u64 {
            return Err(Reason::TooManyMembers);
        }
        let (mut members, mut entries, mut count) = (BTreeMap::new(), zip.entries(), 0);
        let mut has_folder = false;
        let mut covered = Covered::new(bytes, &zip);
        while let Some(entry) = entries.next_entry().map_err(|_| Reason::NotAZip)? {
            count += 1;
            if count > MEMBERS_MAX {
                return Err(Reason::TooManyMembers);
            }
            covered.add(&entry);
            let file_path = entry.file_path();
            let name: &[u8] = file_path.as_ref();
            if !is_safe(name) {
                return Err(Reason::UnsafeName);
            }
            // The type of a Unix file; a directory's is told by its name.
            let kind = entry.external_attributes() >> 28;
            let bytes = (entry.compressed_size_hint(), entry.uncompressed_size_hint());
            let is_folder = name == DIRECTORY && bytes == (0, 0);
            if !is_folder && (name.ends_with(b"/") || !matches!(kind, 0 | 8)) {
                return Err(Reason::NotAFile);
            }
            if entry.flags().is_encrypted() {
                return Err(Reason::EncryptedMember);
            }
            let method = entry.compression_method();
            if ![CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&method) {
                return Err(Reason::UnsupportedCompression);
            }
            if is_folder {
                if std::mem::replace(&mut has_folder, true) {
                    return Err(Reason::DuplicateMember);
                }
                continue;
            }
            let Some(known) = NAMES.into_iter().find(|known| known.as_bytes() == name) else {
                return Err(Reason::UnknownMember);
            };
            if members.insert(known, Member { place: entry.wayfinder(), method }).is_some() {
                return Err(Reason::DuplicateMember);
            }
        }
        covered.check(&zip)?;
        Ok(Self { zip, members })
    }

    /// The names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.members.keys().copied()
    }

    /// All of a member that has `bytes_max` bytes at most.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, Reason> {
        let member = self.members.get(name).ok_or(Reason::MissingMember)?;
        if member.place.uncompressed_size_hint() > bytes_max {
            return Err(Reason::TooLarge);
        }
        let entry = self.zip.get_entry(member.place).map_err(|_| Reason::DamagedMember)?;
        let stated = member.place.uncompressed_size_hint();
        let mut bytes = Vec::new();
        // One byte more than there should be, so that what is longer is seen, and no more of it is unpacked.
        let is_all_read = if member.method == CompressionMethod::STORE {
            entry.data().take(stated + 1).read_to_end(&mut bytes).is_ok()
        } else {
            let mut packed = DeflateDecoder::new(entry.data());
            let read = packed.by_ref().take(stated + 1).read_to_end(&mut bytes);
            // Behind the end of what is packed could stand whole other members.
            read.is_ok() && packed.total_in() == entry.data().len() as u64
        };
        if !is_all_read || bytes.len() as u64 != stated || rawzip::crc32(&bytes) != entry.claim_verifier().crc {
            return Err(Reason::DamagedMember);
        }
        Ok(bytes)
    }
}

/// What the directory says of an entry, and the header in front of the entry has to say, too: whoever reads a zip as a
/// stream knows nothing else.
struct Local<'a> {
    method: u16,
    /// Compressed and not.
    sizes: (u64, u64),
    name: &'a [u8],
}

impl Local<'_> {
    fn is_stated_by(&self, header: &[u8]) -> bool {
        let long = |at| u64::from(short(header, at)) | u64::from(short(header, at + 2)) << 16;
        let name = header.get(30..30 + usize::from(short(header, 26)));
        let is_length_behind = short(header, 6) & WITH_DESCRIPTOR != 0;
        name == Some(self.name)
            && short(header, 8) == self.method
            && (is_length_behind || (long(18), long(22)) == self.sizes)
    }
}

/// Two bytes as a number; 0 behind the end.
fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

/// The parts of a zip that its directory accounts for: of other bytes another reader could make other members.
struct Covered<'a> {
    bytes: &'a [u8],
    /// Where each entry begins, where its data are, and what its own header has to say.
    entries: Vec<(u64, rawzip::ZipArchiveEntryWayfinder, Local<'a>)>,
    /// Where the directory's records end.
    directory_end: u64,
}

impl<'a> Covered<'a> {
    fn new(bytes: &'a [u8], zip: &rawzip::ZipSliceArchive<&[u8]>) -> Self {
        Self { bytes, entries: Vec::new(), directory_end: zip.directory_offset() }
    }

    fn add(&mut self, entry: &rawzip::ZipFileHeaderRecord<'_>) {
        let record = self.from(entry.central_directory_offset());
        let local = Local {
            method: short(record, 10),
            sizes: (entry.compressed_size_hint(), entry.uncompressed_size_hint()),
            name: record.get(46..46 + usize::from(short(record, 28))).unwrap_or_default(),
        };
        self.entries.push((entry.local_header_offset(), entry.wayfinder(), local));
        // A record's fixed part, and how long its name, extra fields and comment are.
        let long = |at| u64::from(short(record, at));
        self.directory_end = entry.central_directory_offset() + 46 + long(28) + long(30) + long(32);
    }

    fn from(&self, offset: u64) -> &'a [u8] {
        usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }

    /// Entries, each maybe with a data descriptor, then the directory, then the end of the zip: nothing else.
    fn check(mut self, zip: &rawzip::ZipSliceArchive<&[u8]>) -> Result<(), Reason> {
        self.entries.sort_by_key(|(from, ..)| *from);
        let (mut end, mut room) = (0, 0);
        for (from, place, local) in &self.entries {
            if !(end..=end + room).contains(from) {
                return Err(Reason::StrayBytes);
            }
            let entry = zip.get_entry(*place).map_err(|_| Reason::DamagedMember)?;
            let header = self.from(*from);
            if !local.is_stated_by(header) {
                return Err(Reason::DamagedMember);
            }
            let has_descriptor = short(header, 6) & WITH_DESCRIPTOR != 0;
            (end, room) = (entry.compressed_data_range().1, if has_descriptor { DESCRIPTOR_BYTES_MAX } else { 0 });
        }
        let is_covered = (end..=end + room).contains(&zip.directory_offset())
            && self.is_end_64(self.directory_end, zip.eocd_offset())
            && zip.end_offset() == self.bytes.len() as u64;
        if is_covered { Ok(()) } else { Err(Reason::StrayBytes) }
    }

    fn between(&self, from: u64, to: u64) -> Option<&'a [u8]> {
        self.bytes.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
    }

    /// Nothing, or the two records of a zip64, which have a fixed length.
    fn is_end_64(&self, from: u64, to: u64) -> bool {
        let is_64 =
            |bytes: &[u8]| bytes.len() == 76 && bytes.starts_with(b"PK\x06\x06") && &bytes[56..60] == b"PK\x06\x07";
        self.between(from, to).is_some_and(|bytes| bytes.is_empty() || is_64(bytes))
    }
}

/// Whether a name could be unpacked below a directory and nowhere else.
fn is_safe(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b':');
    !name.is_empty()
        && name.iter().all(is_plain)
        && name
            .strip_suffix(b"/")
            .unwrap_or(name)
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".."))
}
