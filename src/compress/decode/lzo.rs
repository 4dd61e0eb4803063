//! An lzop file: a header, then blocks of LZO1X with their checksums, then a length of zero.

use std::io::Read;

use zlib_rs::adler32::adler32;

use super::{Codec, DecodeError, Facts, LzoFacts, array, lzo1x};
use crate::compress::source::Source;

const MAGIC: [u8; 9] = *b"\x89LZO\x00\x0d\x0a\x1a\x0a";
/// The version from which the header has a level and the upper half of the time.
const LONG_HEADER: u16 = 0x0940;
/// The methods that are LZO1X, and differ for the compressor alone.
const LZO1X: [u8; 3] = [1, 2, 3];

pub(super) struct Lzo {
    window: u64,
    facts: LzoFacts,
    has_begun: bool,
    packed: Vec<u8>,
    block: Vec<u8>,
    given: usize,
}

impl Lzo {
    pub(super) fn new(window: u64) -> Self {
        Lzo {
            window,
            facts: LzoFacts::default(),
            has_begun: false,
            packed: Vec::new(),
            block: Vec::new(),
            given: 0,
        }
    }
}

impl Codec for Lzo {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        if !self.has_begun {
            self.header(source)?;
            self.has_begun = true;
        }
        if self.given == self.block.len() && !self.next_block(source)? {
            return Ok(0);
        }
        let mut ready = self.block.get(self.given..).unwrap_or_default();
        let count = ready.read(out)?;
        self.given += count;
        Ok(count)
    }

    fn facts(&self) -> Facts {
        Facts::Lzo(self.facts)
    }
}

impl Lzo {
    fn header<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), DecodeError> {
        if array(source)? != MAGIC {
            return Err(DecodeError::corrupt("no magic of lzop"));
        }
        let mut header = Checked::new(source);
        let version = u16::from_be_bytes(header.take()?);
        let _library: [u8; 2] = header.take()?;
        let is_long = version >= LONG_HEADER;
        if is_long {
            let _needed: [u8; 2] = header.take()?;
        }
        let [method] = header.take()?;
        if is_long {
            let _level: [u8; 1] = header.take()?;
        }
        let flags = u32::from_be_bytes(header.take()?);
        if flags & LzoFacts::FILTER != 0 {
            let _filter: [u8; 4] = header.take()?;
        }
        let _mode_and_time: [u8; 8] = header.take()?;
        if is_long {
            let _later_time: [u8; 4] = header.take()?;
        }
        let [name] = header.take()?;
        for _ in 0..name {
            let _letter: [u8; 1] = header.take()?;
        }
        let bytes = header.bytes;
        self.facts.version = version;
        self.facts.flags = flags;
        self.check(source, &bytes, flags & LzoFacts::CRC32_OF_HEADER != 0)?;
        if !LZO1X.contains(&method) {
            return Err(DecodeError::unsupported(format_args!("method {method}")));
        }
        if flags & LzoFacts::EXTRA_FIELD != 0 {
            self.extra_field(source)?;
        }
        Ok(())
    }

    fn extra_field<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), DecodeError> {
        let length: [u8; 4] = array(source)?;
        let size = u64::from(u32::from_be_bytes(length));
        self.allow(size)?;
        let mut bytes = length.to_vec();
        source.by_ref().take(size).read_to_end(&mut bytes)?;
        let is_crc = self.facts.flags & LzoFacts::CRC32_OF_HEADER != 0;
        self.check(source, &bytes, is_crc)
    }

    fn allow(&self, needed: u64) -> Result<(), DecodeError> {
        let allowed = self.window;
        match needed > allowed {
            true => Err(DecodeError::NeedsMemory { needed, allowed }),
            false => Ok(()),
        }
    }

    /// Reads a checksum and notes whether it is that of `bytes`.
    fn check<R: Read>(
        &mut self,
        source: &mut Source<R>,
        bytes: &[u8],
        is_crc: bool,
    ) -> Result<(), DecodeError> {
        let said = u32::from_be_bytes(array(source)?);
        self.facts.has_wrong_checksum |= said != checksum(bytes, is_crc);
        Ok(())
    }

    /// Decodes the next block; false at the end.
    fn next_block<R: Read>(&mut self, source: &mut Source<R>) -> Result<bool, DecodeError> {
        let size = u32::from_be_bytes(array(source)?);
        if size == 0 {
            return Ok(false);
        }
        let packed = u32::from_be_bytes(array(source)?);
        if packed == 0 || packed > size {
            let reason = format_args!("a block of {size} bytes is packed into {packed}");
            return Err(DecodeError::corrupt(reason));
        }
        self.allow(u64::from(size))?;
        self.facts.largest_block = self.facts.largest_block.max(size);
        self.block(source, size as usize, packed as usize)?;
        Ok(true)
    }

    fn block<R: Read>(
        &mut self,
        source: &mut Source<R>,
        size: usize,
        packed: usize,
    ) -> Result<(), DecodeError> {
        let of_content = [LzoFacts::ADLER32_OF_CONTENT, LzoFacts::CRC32_OF_CONTENT];
        let of_packed = [LzoFacts::ADLER32_OF_PACKED, LzoFacts::CRC32_OF_PACKED];
        let content_sums = self.checksums(source, of_content)?;
        let packed_sums = match packed < size {
            true => self.checksums(source, of_packed)?,
            false => [None; 2],
        };
        self.packed.clear();
        source.take(packed as u64).read_to_end(&mut self.packed)?;
        if self.packed.len() < packed {
            return Err(DecodeError::Truncated);
        }
        self.given = 0;
        if packed == size {
            std::mem::swap(&mut self.packed, &mut self.block);
        } else {
            let decoded = lzo1x::decode(&self.packed, size, &mut self.block);
            decoded.map_err(|fault| DecodeError::corrupt(format_args!("{fault:?}")))?;
            if self.block.len() < size {
                return Err(DecodeError::corrupt("a block is shorter than it says"));
            }
        }
        let wrong = differ(content_sums, &self.block) || differ(packed_sums, &self.packed);
        self.facts.has_wrong_checksum |= wrong;
        Ok(())
    }

    /// An Adler-32 and a CRC32, each if its flag is set.
    fn checksums<R: Read>(
        &self,
        source: &mut Source<R>,
        flags: [u32; 2],
    ) -> Result<[Option<u32>; 2], DecodeError> {
        let mut sums = [None; 2];
        for (sum, flag) in sums.iter_mut().zip(flags) {
            if self.facts.flags & flag != 0 {
                *sum = Some(u32::from_be_bytes(array(source)?));
            }
        }
        Ok(sums)
    }
}

fn checksum(bytes: &[u8], is_crc: bool) -> u32 {
    match is_crc {
        true => crc32fast::hash(bytes),
        false => adler32(1, bytes),
    }
}

/// Whether an Adler-32 or a CRC32 that is there is not that of `bytes`.
fn differ([adler, crc]: [Option<u32>; 2], bytes: &[u8]) -> bool {
    adler.is_some_and(|sum| sum != checksum(bytes, false))
        || crc.is_some_and(|sum| sum != checksum(bytes, true))
}

/// Fields that a checksum goes over.
struct Checked<'a, R> {
    source: &'a mut Source<R>,
    bytes: Vec<u8>,
}

impl<'a, R: Read> Checked<'a, R> {
    fn new(source: &'a mut Source<R>) -> Self {
        let bytes = Vec::new();
        Checked { source, bytes }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let field = array(self.source)?;
        self.bytes.extend_from_slice(&field);
        Ok(field)
    }
}
