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
/// Bytes of the record that ends a zip.
const END_BYTES: usize = 22;
/// Bytes of the record in front of that one, which says where a second directory is (Zip64).
const LOCATOR_BYTES: usize = 20;
/// Every name that a member of a bundle can have.
pub(crate) const NAMES: [&str; 9] = [
    "README.txt",
    "checkpoint",
    "comparison.json",
    "controls.json",
    "debrief.json",
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

/// Reads a zip: entry after entry as the directory behind them says, and not a byte besides, so that whoever reads it as a
/// stream finds the same members. What is unpacked has as many bytes as the directory states.
pub(crate) fn read(bytes: &[u8]) -> Result<Members<'_>, Reason> {
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or(Reason::NotAZip)?;
    if end + END_BYTES > bytes.len() {
        return Err(Reason::NotAZip);
    }
    let count = short(bytes, end + 8);
    if count > MEMBERS_MAX {
        return Err(Reason::TooManyMembers);
    }
    let (length, start) = (long(bytes, end + 12), long(bytes, end + 16));
    let is_end = end + END_BYTES == bytes.len() && bytes.ends_with(&[0, 0]) && short(bytes, end + 10) == count;
    // Where the mark of another directory stands in front of the end, some tools read that one.
    let is_other = end >= LOCATOR_BYTES && bytes[end - LOCATOR_BYTES..].starts_with(b"PK\x06\x07");
    if !is_end || start + length != end || is_other {
        return Err(Reason::StrayBytes);
    }
    let (mut members, mut at, mut stops) = (Members::new(), start, vec![0]);
    let mut room = BUNDLE_BYTES_MAX as usize;
    for _ in 0..count {
        let entry = Entry::at(bytes, at).filter(|entry| entry.next <= end).ok_or(Reason::NotAZip)?;
        at = entry.next;
        let known = NAMES.into_iter().find(|known| known.as_bytes() == entry.name);
        let Some(name) = known.filter(|name| entry.is_plain && !members.contains_key(name)) else {
            return Err(Reason::UnexpectedMember);
        };
        if !stops.contains(&entry.begin) {
            return Err(Reason::StrayBytes);
        }
        room = room.checked_sub(entry.size).ok_or(Reason::TooLarge)?;
        let data = entry.data(bytes).ok_or(Reason::DamagedMember)?;
        stops = entry.stops(&bytes[data.end..]).map(|behind| data.end + behind).collect();
        members.insert(name, entry.unpacked(&bytes[data.clone()]).ok_or(Reason::DamagedMember)?);
        if renames(entry.extra) || renames(&bytes[entry.begin + 30 + entry.name.len()..data.start]) {
            return Err(Reason::UnexpectedMember);
        }
    }
    if stops.contains(&start) && at == end { Ok(members) } else { Err(Reason::StrayBytes) }
}

/// An entry, as the directory states it.
struct Entry<'a> {
    name: &'a [u8],
    /// A plain file, stored or deflated, and not encrypted.
    is_plain: bool,
    /// Whether it is deflated: the method as it stands there.
    method: usize,
    /// Whether its CRC and lengths may stand behind it.
    is_streamed: bool,
    /// From its flags to the length of its name: what its own header says, too.
    said: &'a [u8],
    /// Its extra fields in the directory.
    extra: &'a [u8],
    /// Bytes of it in the zip, and unpacked.
    packed: usize,
    size: usize,
    /// Where its own header begins.
    begin: usize,
    /// Where the next record of the directory begins.
    next: usize,
}

impl<'a> Entry<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let record = bytes.get(at..at + 46).filter(|record| record.starts_with(b"PK\x01\x02"))?;
        let (method, named) = (short(record, 10), short(record, 28));
        let extra = at + 46 + named..at + 46 + named + short(record, 30);
        // The type of a Unix file is in the highest bits, folders and volumes of DOS are in lower ones.
        let is_file = matches!(record[41] >> 4, 0 | 8) && record[38] & 0x18 == 0;
        let is_plain = is_file && matches!(method, 0 | 8) && record[8] & 1 == 0;
        Some(Self {
            name: bytes.get(at + 46..at + 46 + named)?,
            is_plain,
            method,
            is_streamed: record[8] & WITH_DESCRIPTOR != 0,
            said: &record[8..30],
            extra: bytes.get(extra.clone())?,
            packed: long(record, 20),
            size: long(record, 24),
            begin: long(record, 42),
            next: extra.end + short(record, 32),
        })
    }

    /// Where its bytes stand: the header in front of them has to say what the directory says.
    fn data(&self, bytes: &[u8]) -> Option<std::ops::Range<usize>> {
        let header = bytes.get(self.begin..self.begin + 30).filter(|header| header.starts_with(b"PK\x03\x04"))?;
        let name = self.begin + 30..self.begin + 30 + self.name.len();
        let (here, said) = (&header[6..28], self.said);
        // What is stored does not tell where it ends: only of what is deflated CRC and lengths may stand behind it, and
        // nothing, or 0 and the greatest, in front.
        let is_open =
            self.is_streamed && (here[8..20] == [0; 12] || here[8..20] == [[0; 4], [255; 4], [255; 4]].concat());
        let is_told = here[8..20] == said[8..20] || is_open;
        let is_said = here[..8] == said[..8] && here[20..] == said[20..] && is_told;
        if !is_said || self.is_streamed && self.method == 0 || bytes.get(name.clone())? != self.name {
            return None;
        }
        let from = name.end + short(header, 28);
        let data = from..from + self.packed;
        bytes.get(data.clone()).map(|_| data)
    }

    /// After how many bytes behind its data another entry may begin: at once, or after its CRC and lengths once more.
    fn stops(&self, behind: &[u8]) -> impl Iterator<Item = usize> {
        let wide = |length: usize| (length as u64).to_le_bytes();
        let crc = &self.said[8..12];
        let (short, long) = (&self.said[12..20], [wide(self.packed), wide(self.size)].concat());
        let tails = if self.is_streamed {
            let marks: [&[u8]; 2] = [b"", b"PK\x07\x08"];
            marks.iter().flat_map(|mark| [[mark, crc, short].concat(), [mark, crc, &long].concat()]).collect()
        } else {
            vec![Vec::new()]
        };
        tails.into_iter().filter(|tail| behind.starts_with(tail)).map(|tail| tail.len()).collect::<Vec<_>>().into_iter()
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

/// Whether extra fields may give an entry another name (Info-ZIP's Unicode path: its id, a length, its version 1), which
/// some tools unpack it under. Wherever these bytes stand: no other field is looked into.
fn renames(extra: &[u8]) -> bool {
    extra.windows(5).any(|field| field.starts_with(b"up") && field[4] == 1)
}

/// Two bytes as a number; 0 behind the end.
fn short(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 2).map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])))
}

/// Four bytes as a number.
fn long(bytes: &[u8], at: usize) -> usize {
    short(bytes, at) | short(bytes, at + 2) << 16
}
