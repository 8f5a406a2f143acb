//! The zip around a bundle: written in one form, read in any that holds the same members.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use flate2::bufread::DeflateDecoder;

use super::verify::Reason;

/// Entries that the zip of a bundle may have.
pub const MEMBERS_MAX: usize = 32;
/// Bytes of all members of a bundle (1 GiB).
pub const BUNDLE_BYTES_MAX: u64 = 1 << 30;

/// Of an entry's flags: its CRC and lengths stand behind it, in a descriptor, and not in front.
const WITH_DESCRIPTOR: u8 = 1 << 3;
/// What may stand behind a member that was written as a stream, its CRC and lengths once more: no other has room there.
const DESCRIPTOR_BYTES_MAX: usize = 24;
/// Every name that a member of a bundle can have.
pub(crate) const NAMES: [&str; 10] = [
    "README.txt",
    "checkpoint",
    "comparison.json",
    "controls.json",
    "debrief.json",
    "leaves.jsonl",
    "manifest.json",
    "proof.json",
    "records.jsonl",
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

/// The members of a bundle, by name.
pub(crate) type Members<'a> = BTreeMap<&'static str, Cow<'a, [u8]>>;

/// Reads a zip: entry after entry, the directory in the same order, its end, and not a byte besides, so that whoever reads
/// it as a stream finds the same members. What is unpacked has as many bytes as the directory states.
pub(crate) fn read(bytes: &[u8]) -> Result<Members<'_>, Reason> {
    let end = end_of(bytes).ok_or(Reason::NotAZip)?;
    let (length, stated) = (long(bytes, end + 12), long(bytes, end + 16));
    let start = end.checked_sub(length).filter(|start| *start >= stated).ok_or(Reason::NotAZip)?;
    // What stands in front of the zip is no part of it, and is found where the first entry begins behind it.
    let front = start - stated;
    let (mut entries, mut at) = (Vec::new(), start);
    while at < end {
        let entry = Entry::at(bytes, at, front).filter(|entry| entry.next <= end).ok_or(Reason::NotAZip)?;
        at = entry.next;
        entries.push(entry);
        if entries.len() > MEMBERS_MAX {
            return Err(Reason::TooManyMembers);
        }
    }
    let (mut members, mut stop, mut slack, mut room) = (Members::new(), 0, 0, BUNDLE_BYTES_MAX as usize);
    for entry in &entries {
        let known = NAMES.into_iter().find(|known| known.as_bytes() == entry.name);
        let Some(name) = known.filter(|name| entry.is_plain && !members.contains_key(name)) else {
            return Err(Reason::UnexpectedMember);
        };
        if !(stop..=stop + slack).contains(&entry.begin) {
            return Err(Reason::StrayBytes);
        }
        room = room.checked_sub(entry.size).ok_or(Reason::TooLarge)?;
        let (data, is_streamed) = entry.data(bytes).ok_or(Reason::DamagedMember)?;
        if renames(&bytes[entry.begin + 30 + entry.name.len()..data.start]) {
            return Err(Reason::UnexpectedMember);
        }
        (stop, slack) = (data.end, if is_streamed { DESCRIPTOR_BYTES_MAX } else { 0 });
        members.insert(name, entry.unpacked(&bytes[data]).ok_or(Reason::DamagedMember)?);
    }
    let counts = [short(bytes, end + 8), short(bytes, end + 10)];
    let is_end = end + 22 == bytes.len() && bytes.ends_with(&[0, 0]) && counts == [entries.len(); 2];
    if (stop..=stop + slack).contains(&start) && is_end { Ok(members) } else { Err(Reason::StrayBytes) }
}

/// An entry, as the directory states it.
struct Entry<'a> {
    name: &'a [u8],
    /// A plain file, stored or deflated, not encrypted, and of one name.
    is_plain: bool,
    /// Whether it is deflated: the method as it stands there.
    method: usize,
    /// Bytes of it in the zip, and unpacked.
    packed: usize,
    size: usize,
    /// Where its own header begins.
    begin: usize,
    /// Where the next record of the directory begins.
    next: usize,
}

impl<'a> Entry<'a> {
    fn at(bytes: &'a [u8], at: usize, front: usize) -> Option<Self> {
        let record = bytes.get(at..at + 46).filter(|record| record.starts_with(b"PK\x01\x02"))?;
        let (method, named) = (short(record, 10), short(record, 28));
        let extra = at + 46 + named..at + 46 + named + short(record, 30);
        // The type of a Unix file is in the highest bits.
        let is_file = matches!(record[41] >> 4, 0 | 8) && matches!(method, 0 | 8) && record[8] & 1 == 0;
        Some(Self {
            name: bytes.get(at + 46..at + 46 + named)?,
            is_plain: is_file && !renames(bytes.get(extra.clone())?),
            method,
            packed: long(record, 20),
            size: long(record, 24),
            begin: long(record, 42) + front,
            next: extra.end + short(record, 32),
        })
    }

    /// Where its bytes stand, and whether its lengths stand behind them: the header in front of them has to say what the
    /// directory says.
    fn data(&self, bytes: &[u8]) -> Option<(std::ops::Range<usize>, bool)> {
        let header = bytes.get(self.begin..self.begin + 30).filter(|header| header.starts_with(b"PK\x03\x04"))?;
        let named = self.begin + 30..self.begin + 30 + short(header, 26);
        let is_streamed = header[6] & WITH_DESCRIPTOR != 0;
        // What is stored does not tell where it ends: only of what is deflated the lengths may stand behind it.
        let is_stated = if is_streamed {
            self.method != 0
        } else {
            (long(header, 18), long(header, 22)) == (self.packed, self.size)
        };
        if !is_stated || short(header, 8) != self.method || bytes.get(named.clone())? != self.name {
            return None;
        }
        let from = named.end + short(header, 28);
        let data = from..from + self.packed;
        bytes.get(data.clone()).map(|_| (data, is_streamed))
    }

    fn unpacked(&self, data: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.method == 0 {
            return (data.len() == self.size).then_some(Cow::Borrowed(data));
        }
        let (mut packed, mut bytes) = (DeflateDecoder::new(data), Vec::new());
        // One byte more than there should be, so that what is longer is seen, and no more of it is unpacked.
        packed.by_ref().take(self.size as u64 + 1).read_to_end(&mut bytes).ok()?;
        // Behind the end of what is packed could stand whole other members.
        (bytes.len() == self.size && packed.total_in() == data.len() as u64).then_some(Cow::Owned(bytes))
    }
}

/// Where the end of a zip begins: 22 bytes, and maybe a comment.
fn end_of(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(22)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    (first..=last).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))
}

/// Whether an extra field gives an entry another name (Info-ZIP's Unicode path), which some tools unpack it under.
fn renames(mut extra: &[u8]) -> bool {
    while extra.len() > 3 {
        if extra.starts_with(b"up") {
            return true;
        }
        extra = extra.get(4 + short(extra, 2)..).unwrap_or_default();
    }
    false
}

/// Two bytes as a number; 0 behind the end.
fn short(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 2).map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])))
}

/// Four bytes as a number.
fn long(bytes: &[u8], at: usize) -> usize {
    short(bytes, at) | short(bytes, at + 2) << 16
}
