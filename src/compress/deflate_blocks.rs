//! Where the last block of a deflate stream begins and ends (RFC 1951).
//!
//! In comes a stream, out come two bit offsets. Nothing is decompressed: each symbol is looked up
//! for the bits it takes, its extra bits included, and passed over.

use thiserror::Error;

/// The longest code of a symbol (RFC 1951, 3.2.7).
const MAX_LENGTH: usize = 15;
/// Codes up to this length are found by one look-up; the rare longer ones bit by bit.
const DIRECT_BITS: u32 = 11;
/// What [`Bits::peek`] gives at least, and what a length and a distance take at most, extra bits
/// included: 15 + 5 + 15 + 13.
const PEEKED: u32 = 57;
const LONGEST_PAIR: u32 = 48;
/// The symbols of literals and lengths, and of distances, in a fixed block.
const LITERALS: usize = 288;
const DISTANCES: usize = 32;
/// The order in which the lengths of the code length code come (RFC 1951, 3.2.7).
const LENGTH_ORDER: [u8; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Bit offsets in a stream; bit 0 is the lowest of the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastBlock {
    /// Of the block's header, whose first bit says that it is the last.
    pub(super) header: u64,
    /// Of what follows the block.
    pub(super) end: u64,
}

/// Why a stream cannot be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BlockError {
    #[error("the deflate stream ends within a block")]
    Truncated,
    #[error("the deflate stream has a block of the reserved type at bit {0}")]
    ReservedType(u64),
    #[error("a stored block's length and its complement disagree at bit {0}")]
    StoredLength(u64),
    #[error("a block's code lengths make no code at bit {0}")]
    CodeLengths(u64),
    #[error("a code stands for no symbol at bit {0}")]
    Symbol(u64),
}

/// Finds the last block of the deflate stream that `stream` begins with; more may follow it.
///
/// # Errors
/// [`BlockError`] for what is no deflate stream, as far as can be told without decompressing.
pub(super) fn last_block(stream: &[u8]) -> Result<LastBlock, BlockError> {
    let mut bits = Bits::new(stream);
    let mut codes = Codes::new();
    loop {
        let header = bits.at;
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => bits.skip_stored()?,
            1 => {
                codes.set_fixed(header)?;
                bits.skip_symbols(&codes)?;
            }
            2 => {
                codes.read_dynamic(&mut bits, header)?;
                bits.skip_symbols(&codes)?;
            }
            _ => return Err(BlockError::ReservedType(header)),
        }
        if is_last {
            let end = bits.at;
            return Ok(LastBlock { header, end });
        }
    }
}

/// A place in a stream of bits.
struct Bits<'a> {
    data: &'a [u8],
    at: u64,
    end: u64,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        let end = data.len() as u64 * 8;
        Bits { data, at: 0, end }
    }

    /// The bits from here on, [`PEEKED`] at least; past the end they are zeros.
    #[inline]
    fn peek(&self) -> u64 {
        let rest = self.data.get((self.at / 8) as usize..).unwrap_or_default();
        let word = rest.first_chunk().map_or_else(
            || {
                rest.iter()
                    .rev()
                    .fold(0, |word, &byte| word << 8 | u64::from(byte))
            },
            |bytes| u64::from_le_bytes(*bytes),
        );
        word >> (self.at % 8)
    }

    fn take(&mut self, count: u32) -> Result<u64, BlockError> {
        let taken = self.peek() & ((1 << count) - 1);
        self.skip(u64::from(count))?;
        Ok(taken)
    }

    fn skip(&mut self, count: u64) -> Result<(), BlockError> {
        self.at += count;
        if self.at > self.end {
            Err(BlockError::Truncated)
        } else {
            Ok(())
        }
    }

    fn skip_stored(&mut self) -> Result<(), BlockError> {
        self.at = self.at.next_multiple_of(8);
        let here = self.at;
        let length = self.take(16)?;
        if self.take(16)? != length ^ 0xffff {
            return Err(BlockError::StoredLength(here));
        }
        self.skip(length * 8)
    }

    /// Passes over a block's symbols, its end included.
    fn skip_symbols(&mut self, codes: &Codes) -> Result<(), BlockError> {
        while self.at < self.end {
            let word = self.peek();
            let mut used = 0;
            while used <= PEEKED - LONGEST_PAIR {
                let symbol = self.at + u64::from(used);
                let entry = codes.literals.find(word >> used);
                used += entry.bits();
                match entry.kind() {
                    Kind::Literal => {}
                    Kind::Length => {
                        let distance = codes.distances.find(word >> used);
                        if distance.kind() == Kind::Nothing {
                            return Err(BlockError::Symbol(symbol));
                        }
                        used += distance.bits();
                    }
                    Kind::End => return self.skip(u64::from(used)),
                    Kind::Nothing => return Err(BlockError::Symbol(symbol)),
                }
            }
            self.at += u64::from(used);
        }
        Err(BlockError::Truncated)
    }
}

/// The two codes of a block.
struct Codes {
    literals: Code,
    distances: Code,
}

impl Codes {
    fn new() -> Self {
        Codes {
            literals: Code::new(literal_entry),
            distances: Code::new(distance_entry),
        }
    }

    /// RFC 1951, 3.2.6.
    fn set_fixed(&mut self, header: u64) -> Result<(), BlockError> {
        let mut lengths = [8; LITERALS];
        for (symbol, length) in lengths.iter_mut().enumerate() {
            *length = match symbol {
                144..=255 => 9,
                256..=279 => 7,
                _ => 8,
            };
        }
        self.set(&lengths, &[5; DISTANCES], header)
    }

    fn set(&mut self, literals: &[u8], distances: &[u8], header: u64) -> Result<(), BlockError> {
        let made = self.literals.set(literals) && self.distances.set(distances);
        if made {
            Ok(())
        } else {
            Err(BlockError::CodeLengths(header))
        }
    }

    /// RFC 1951, 3.2.7.
    fn read_dynamic(&mut self, bits: &mut Bits<'_>, header: u64) -> Result<(), BlockError> {
        let literals = bits.take(5)? as usize + 257;
        let distances = bits.take(5)? as usize + 1;
        let of_lengths = bits.take(4)? as usize + 4;
        let mut code_lengths = [0; LENGTH_ORDER.len()];
        for &symbol in LENGTH_ORDER.iter().take(of_lengths) {
            let length = bits.take(3)? as u8;
            if let Some(slot) = code_lengths.get_mut(usize::from(symbol)) {
                *slot = length;
            }
        }
        let mut lengths = [0; LITERALS + DISTANCES];
        let lengths = lengths.get_mut(..literals + distances);
        let lengths = lengths.ok_or(BlockError::CodeLengths(header))?;
        // Its code is short-lived and small: found bit by bit, it needs no table.
        let code = Canonical::new(&code_lengths).ok_or(BlockError::CodeLengths(header))?;
        read_lengths(bits, &code, lengths, header)?;
        let (literals, distances) = lengths.split_at(literals);
        self.set(literals, distances, header)
    }
}

/// Fills `lengths`, in which one symbol may stand for a run.
fn read_lengths(
    bits: &mut Bits<'_>,
    code: &Canonical,
    lengths: &mut [u8],
    header: u64,
) -> Result<(), BlockError> {
    let mut previous = None;
    let mut slots = lengths.iter_mut();
    while slots.len() > 0 {
        let (symbol, taken) = code.find(bits.peek()).ok_or(BlockError::Symbol(bits.at))?;
        bits.skip(u64::from(taken))?;
        let (length, run) = match symbol {
            16 => (previous, 3 + bits.take(2)?),
            17 => (Some(0), 3 + bits.take(3)?),
            18 => (Some(0), 11 + bits.take(7)?),
            length => (Some(length as u8), 1),
        };
        // A run without a length before it, or past the last slot.
        let fault = BlockError::CodeLengths(header);
        let length = length.ok_or(fault)?;
        for _ in 0..run {
            *slots.next().ok_or(fault)? = length;
        }
        previous = Some(length);
    }
    Ok(())
}

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No symbol.
    Nothing,
    /// A literal, or a distance: nothing comes after it.
    Literal,
    /// A length, after which comes a distance.
    Length,
    /// The end of the block.
    End,
}

/// A code's meaning to the walker: its kind, and the bits of it and its extra bits together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry(u16);

impl Entry {
    const NOTHING: Entry = Entry(0);

    const fn new(kind: Kind, bits: u32) -> Self {
        Entry((kind as u16) << 8 | bits as u16)
    }

    #[inline]
    const fn bits(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    #[inline]
    const fn kind(self) -> Kind {
        match self.0 >> 8 {
            1 => Kind::Literal,
            2 => Kind::Length,
            3 => Kind::End,
            _ => Kind::Nothing,
        }
    }
}

/// RFC 1951, 3.2.5, the table of lengths; 286 and 287 stand for nothing.
const fn literal_entry(symbol: u16, code: u32) -> Entry {
    match symbol {
        0..=255 => Entry::new(Kind::Literal, code),
        256 => Entry::new(Kind::End, code),
        257..=264 | 285 => Entry::new(Kind::Length, code),
        265..=284 => Entry::new(Kind::Length, code + (symbol as u32 - 261) / 4),
        _ => Entry::NOTHING,
    }
}

/// RFC 1951, 3.2.5, the table of distances; 30 and 31 stand for nothing.
const fn distance_entry(symbol: u16, code: u32) -> Entry {
    match symbol {
        0..=3 => Entry::new(Kind::Literal, code),
        4..=29 => Entry::new(Kind::Literal, code + (symbol as u32 - 2) / 2),
        _ => Entry::NOTHING,
    }
}

/// A code with a table for its short words.
struct Code {
    direct: Box<[Entry; 1 << DIRECT_BITS]>,
    canonical: Canonical,
    entry: fn(u16, u32) -> Entry,
}

impl Code {
    fn new(entry: fn(u16, u32) -> Entry) -> Self {
        Code {
            direct: Box::new([Entry::NOTHING; 1 << DIRECT_BITS]),
            canonical: Canonical::EMPTY,
            entry,
        }
    }

    /// Becomes the code with these lengths; false when they make none.
    fn set(&mut self, lengths: &[u8]) -> bool {
        let Some(canonical) = Canonical::new(lengths) else {
            return false;
        };
        self.direct.fill(Entry::NOTHING);
        for (symbol, code, length) in canonical.codes() {
            if length > DIRECT_BITS {
                break;
            }
            let entry = (self.entry)(symbol, length);
            let first = (code.reverse_bits() >> (32 - length)) as usize;
            for slot in self.direct.iter_mut().skip(first).step_by(1 << length) {
                *slot = entry;
            }
        }
        self.canonical = canonical;
        true
    }

    #[inline]
    fn find(&self, bits: u64) -> Entry {
        let index = (bits & ((1 << DIRECT_BITS) - 1)) as usize;
        match self.direct.get(index) {
            Some(&entry) if entry != Entry::NOTHING => entry,
            _ => self.find_long(bits),
        }
    }

    #[cold]
    fn find_long(&self, bits: u64) -> Entry {
        let found = self.canonical.find(bits);
        found.map_or(Entry::NOTHING, |(symbol, length)| {
            (self.entry)(symbol, length)
        })
    }
}

/// A canonical Huffman code (RFC 1951, 3.2.2): symbols by code length, then by number.
struct Canonical {
    counts: [u16; MAX_LENGTH + 1],
    symbols: [u16; LITERALS],
}

impl Canonical {
    const EMPTY: Canonical = Canonical {
        counts: [0; MAX_LENGTH + 1],
        symbols: [0; LITERALS],
    };

    /// `None` when there are more codes than their lengths have room for. A code with room left is
    /// taken: one distance alone makes such a one.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut code = Canonical::EMPTY;
        for &length in lengths.iter().filter(|&&length| length != 0) {
            *code.counts.get_mut(usize::from(length))? += 1;
        }
        let mut room = 1u32;
        let mut starts = [0u16; MAX_LENGTH + 2];
        for (length, &count) in code.counts.iter().enumerate().skip(1) {
            room = (room * 2).checked_sub(u32::from(count))?;
            let start = starts.get(length).copied()?;
            *starts.get_mut(length + 1)? = start + count;
        }
        for (symbol, &length) in lengths
            .iter()
            .enumerate()
            .filter(|(_, length)| **length != 0)
        {
            let start = starts.get_mut(usize::from(length))?;
            *code.symbols.get_mut(usize::from(*start))? = symbol as u16;
            *start += 1;
        }
        Some(code)
    }

    /// Each symbol with its code and the code's length, from the shortest on.
    fn codes(&self) -> impl Iterator<Item = (u16, u32, u32)> {
        let lengths = self.counts.iter().enumerate().skip(1);
        let lengths = lengths.flat_map(|(length, &count)| (0..count).map(move |_| length as u32));
        let (mut next, mut previous) = (0u32, 0);
        self.symbols
            .iter()
            .zip(lengths)
            .map(move |(&symbol, length)| {
                next <<= length - previous;
                previous = length;
                let code = next;
                next += 1;
                (symbol, code, length)
            })
    }

    /// The symbol whose code the bits begin with, and that code's length.
    fn find(&self, mut bits: u64) -> Option<(u16, u32)> {
        let (mut code, mut first, mut index) = (0u32, 0u32, 0u32);
        for (length, &count) in self.counts.iter().enumerate().skip(1) {
            code = code << 1 | (bits & 1) as u32;
            bits >>= 1;
            first <<= 1;
            let count = u32::from(count);
            if code < first + count {
                let symbol = self.symbols.get((index + code - first) as usize)?;
                return Some((*symbol, length as u32));
            }
            first += count;
            index += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use flate2::{Decompress, FlushDecompress};
    use libdeflater::{CompressionLvl, Compressor};

    /// Words and noise in turn, so that an encoder finds reasons for blocks of every type.
    fn mixed(length: usize) -> Vec<u8> {
        let mut state = 7u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let mut content = Vec::new();
        while content.len() < length {
            let run = next() % 9000;
            let spread = [1, 4, 30, 256][next() as usize % 4];
            content.extend((0..run).map(|_| (next() % spread) as u8));
        }
        content.truncate(length);
        content
    }

    fn libdeflate(level: i32, content: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut out = vec![0; compressor.deflate_compress_bound(content.len())];
        let length = compressor.deflate_compress(content, &mut out).unwrap();
        out.truncate(length);
        out
    }

    fn miniz(level: u32, content: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::new(level);
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib_rs(level: i32, content: &[u8]) -> Vec<u8> {
        let mut out = vec![0; content.len() + content.len() / 8 + 100];
        let config = zlib_rs::DeflateConfig {
            level,
            window_bits: -15,
            ..zlib_rs::DeflateConfig::default()
        };
        let (out, code) = zlib_rs::compress_slice(&mut out, content, config);
        assert_eq!(code, zlib_rs::ReturnCode::Ok);
        out.to_vec()
    }

    /// Every encoder at every level, over contents of many sizes.
    fn streams() -> Vec<(String, Vec<u8>, Vec<u8>)> {
        let mut streams = Vec::new();
        for length in [0, 1, 2, 100, 1000, 65_535, 65_536, 300_000, 700_001] {
            let content = mixed(length);
            for level in 0..=12 {
                let stream = libdeflate(level, &content);
                streams.push((
                    format!("libdeflate {level} of {length}"),
                    content.clone(),
                    stream,
                ));
            }
            for level in 0..=9 {
                let stream = miniz(level, &content);
                streams.push((
                    format!("miniz {level} of {length}"),
                    content.clone(),
                    stream,
                ));
                let stream = zlib_rs(level as i32, &content);
                streams.push((
                    format!("zlib-rs {level} of {length}"),
                    content.clone(),
                    stream,
                ));
            }
        }
        streams
    }

    fn inflate(stream: &[u8], length: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(length + 1);
        Decompress::new(false)
            .decompress_vec(stream, &mut content, FlushDecompress::Finish)
            .unwrap();
        content
    }

    #[test]
    fn the_last_block_of_every_encoder_is_found() {
        for (name, content, stream) in streams() {
            let last = last_block(&stream).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(last.end.div_ceil(8), stream.len() as u64, "{name}");
            // The bit found is the one that matters: cleared, the stream wants more, and an empty
            // last block after it gives the content again.
            let mut continued = stream;
            continued[(last.header / 8) as usize] ^= 1 << (last.header % 8);
            let used = last.end % 8;
            if used == 0 || used > 5 {
                continued.push(0);
            }
            continued.extend_from_slice(&[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]);
            assert!(inflate(&continued, content.len()) == content, "{name}");
        }
    }

    #[test]
    fn blocks_of_every_type_were_among_them() {
        let mut types = [0; 4];
        for (_, _, stream) in streams() {
            let header = last_block(&stream).unwrap().header;
            let mut bits = Bits::new(&stream);
            bits.skip(header + 1).unwrap();
            types[bits.take(2).unwrap() as usize] += 1;
        }
        let [stored, fixed, dynamic, reserved] = types;
        assert!(
            stored > 0 && fixed > 0 && dynamic > 0 && reserved == 0,
            "{types:?}"
        );
    }

    #[test]
    fn bytes_after_the_last_block_do_not_matter() {
        let mut stream = libdeflate(6, &mixed(5000));
        let last = last_block(&stream);
        stream.extend_from_slice(&[0xff; 20]);
        assert_eq!(last_block(&stream), last);
    }

    #[test]
    fn a_stream_cut_anywhere_is_truncated() {
        for stream in [
            libdeflate(6, &mixed(3000)),
            libdeflate(0, &[1; 300]),
            zlib_rs(1, b"abc"),
        ] {
            for length in 0..stream.len() {
                let cut = last_block(&stream[..length]);
                // Past a cut come zeros, which may be no code at all.
                let expected = matches!(cut, Err(BlockError::Truncated | BlockError::Symbol(_)));
                assert!(expected, "{length}: {cut:?}");
            }
        }
    }

    #[test]
    fn any_bytes_are_answered() {
        let noise = mixed(40_000);
        for start in 0..noise.len() - 400 {
            let _ = last_block(&noise[start..start + 400]);
        }
        let stream = libdeflate(9, &noise);
        for bit in 0..2000 {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = last_block(&flipped);
        }
    }

    #[test]
    fn faults_are_named() {
        let cases: [(&[u8], BlockError); 4] = [
            (&[0b111], BlockError::ReservedType(0)),
            (&[1, 5, 0, 5, 0], BlockError::StoredLength(8)),
            // Nineteen code lengths of one bit each.
            (
                &[0b101, 0xe0, 0x93, 0x24, 0x49, 0x92, 0x24, 0x49, 0x92, 0],
                BlockError::CodeLengths(0),
            ),
            // A fixed block's length 257 + 29, which is none: 11000110.
            (&[0b0001_1011, 0b0000_0011, 0, 0], BlockError::Symbol(3)),
        ];
        for (stream, error) in cases {
            assert_eq!(last_block(stream), Err(error), "{stream:x?}");
        }
    }
}
