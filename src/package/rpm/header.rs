//! A header: tags, and the store that their values lie in.

use std::collections::BTreeMap;
use std::io::Read;

use crate::compress::source::Source;
use crate::package::PackageError;

/// The tags that are asked for, by rpm's numbers (`rpmtag.h`).
pub(super) mod tag {
    /// In the header of signatures: of the header in hexadecimal digits, of header and payload in bytes.
    pub const SIGNATURE_SHA256: u32 = 273;
    pub const SIGNATURE_MD5: u32 = 1004;
    pub const NAME: u32 = 1000;
    pub const VERSION: u32 = 1001;
    pub const RELEASE: u32 = 1002;
    pub const EPOCH: u32 = 1003;
    pub const ARCH: u32 = 1022;
    pub const OLD_FILE_NAMES: u32 = 1027;
    pub const FILE_SIZES: u32 = 1028;
    pub const FILE_MODES: u32 = 1030;
    pub const FILE_RDEVS: u32 = 1033;
    pub const FILE_MTIMES: u32 = 1034;
    pub const REQUIRES: u32 = 1049;
    pub const FILE_DEVICES: u32 = 1095;
    pub const FILE_INODES: u32 = 1096;
    pub const DIR_INDEXES: u32 = 1116;
    pub const BASE_NAMES: u32 = 1117;
    pub const DIR_NAMES: u32 = 1118;
    pub const PAYLOAD_FORMAT: u32 = 1124;
    pub const LONG_FILE_SIZES: u32 = 5008;
    pub const PAYLOAD_DIGEST: u32 = 5092;
    pub const PAYLOAD_DIGEST_KIND: u32 = 5093;
}

/// What a header begins with, its version among it.
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
/// The bytes before the index: magic, four reserved, two numbers.
const INTRO: usize = 16;
/// The bytes of an entry of the index.
const ENTRY: u64 = 16;
/// The most entries, as rpm itself has it.
const ENTRY_LIMIT: u32 = 0xffff;
/// The largest store, in bytes. That of a package with a hundred thousand files is smaller.
const STORE_LIMIT: u32 = 32 << 20;

/// A header.
pub(super) struct Header {
    /// The type of a tag's values, the offset of the first, and how many there are.
    index: BTreeMap<u32, (u32, usize, usize)>,
    /// As they stand.
    intro: Vec<u8>,
    entries: Vec<u8>,
    store: Vec<u8>,
}

impl Header {
    /// Reads the header that `source` stands at.
    pub(super) fn read<R: Read>(source: &mut Source<R>) -> Result<Header, PackageError> {
        let intro = bytes(source, INTRO as u64)?;
        let (Some(magic), Some(entries), Some(size)) =
            (intro.first_chunk(), number(&intro, 8), number(&intro, 12))
        else {
            return Err(PackageError::Truncated);
        };
        if *magic != MAGIC {
            return Err(PackageError::Damaged(
                "where a header should begin stands something else".to_owned(),
            ));
        }
        if entries > ENTRY_LIMIT || size > STORE_LIMIT {
            return Err(PackageError::Unsupported(format!(
                "a header of {entries} tags and {size} bytes"
            )));
        }
        let entries = bytes(source, u64::from(entries) * ENTRY)?;
        let store = bytes(source, u64::from(size))?;
        let entry = |entry: &[u8]| {
            let field = |at| number(entry, at);
            let (offset, count) = (field(8)? as usize, field(12)? as usize);
            Some((field(0)?, (field(4)?, offset, count)))
        };
        let index = entries.chunks_exact(ENTRY as usize).filter_map(entry);
        Ok(Header {
            index: index.collect(),
            intro,
            entries,
            store,
        })
    }

    /// Its bytes as they stand in the package.
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [&self.intro, &self.entries, &self.store]
    }

    /// How many bytes these are.
    pub(super) fn size(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// The bytes of a tag that has no other type.
    pub(super) fn bytes(&self, tag: u32) -> Option<&[u8]> {
        let &(kind, offset, count) = self.index.get(&tag)?;
        let bytes = self.store.get(offset..offset.checked_add(count)?)?;
        (kind == 7).then_some(bytes)
    }

    /// The first text of a tag.
    pub(super) fn string(&self, tag: u32) -> Option<String> {
        self.strings(tag)
            .next()
            .map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// The texts of a tag: one, an array, or one for each of several languages.
    pub(super) fn strings(&self, tag: u32) -> impl Iterator<Item = &[u8]> {
        let (offset, count) = match self.index.get(&tag) {
            Some(&(6 | 8 | 9, offset, count)) => (offset, count),
            _ => (0, 0),
        };
        let store = self.store.get(offset..).unwrap_or_default();
        store.split(|&byte| byte == 0).take(count)
    }

    /// How many values a tag has, as it says.
    pub(super) fn count(&self, tag: u32) -> u64 {
        self.index
            .get(&tag)
            .map_or(0, |&(_, _, count)| count as u64)
    }

    /// The number in a place of a tag's array, whatever its width.
    pub(super) fn number(&self, tag: u32, place: usize) -> Option<u64> {
        let &(kind, offset, count) = self.index.get(&tag)?;
        let width = match kind {
            2 => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return None,
        };
        let start = offset.checked_add(place.checked_mul(width)?)?;
        let bytes = self.store.get(start..start.checked_add(width)?)?;
        let number = |number, &byte| number << 8 | u64::from(byte);
        (place < count).then(|| bytes.iter().fold(0, number))
    }
}

/// The number of four bytes at `at`; numbers are big-endian.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The next `count` bytes; memory is taken as they come.
fn bytes<R: Read>(source: &mut Source<R>, count: u64) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::new();
    source.take(count).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == count {
        true => Ok(bytes),
        false => Err(PackageError::Truncated),
    }
}
