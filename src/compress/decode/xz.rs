//! An xz stream (.xz file format 1.2.1) and an lzma-alone stream, decoded by liblzma; what their
//! headers say is read here, as the library does not tell it.

use std::io::Read;

use liblzma::stream::{Action, Error, Status, Stream};

use super::pump::{Machine, Pump, Step};
use super::{Codec, DecodeError, Facts, LzmaFacts, XzCheck, XzFacts, XzFilter};
use crate::compress::source::Source;

/// The stream header, and the longest header of a block (.xz file format, 2.1.1 and 3.1.1).
const STREAM_HEADER: usize = 12;
const BLOCK_HEADER: usize = 1024;
/// The header of lzma-alone: properties, dictionary, length.
const ALONE_HEADER: usize = 13;
/// What the library takes beside the dictionary: its states and tables.
const OVERHEAD: u64 = 4 << 20;

/// The library's decoder, and the dictionary it may allocate.
struct Limited {
    stream: Stream,
    allowed: u64,
}

impl Limited {
    fn new(
        open: impl FnOnce(u64) -> Result<Stream, Error>,
        dictionary: u64,
        allowed: u64,
    ) -> Result<Pump<Self>, DecodeError> {
        if dictionary > allowed {
            let needed = dictionary;
            return Err(DecodeError::NeedsMemory { needed, allowed });
        }
        let stream = open(allowed.saturating_add(OVERHEAD)).map_err(DecodeError::corrupt)?;
        Ok(Pump::new(Limited { stream, allowed }))
    }
}

impl Machine for Limited {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.process(input, out, Action::Run);
        Step {
            consumed: (self.stream.total_in() - before_in) as usize,
            produced: (self.stream.total_out() - before_out) as usize,
            ended: match status {
                Ok(status) => Ok(matches!(status, Status::StreamEnd)),
                Err(Error::MemLimit) => Err(DecodeError::NeedsMemory {
                    needed: self.allowed.saturating_add(1),
                    allowed: self.allowed,
                }),
                Err(Error::Options) => Err(DecodeError::unsupported(
                    "liblzma knows no such filter or option",
                )),
                Err(error) => Err(DecodeError::corrupt(error)),
            },
        }
    }
}

pub(super) struct Xz {
    window: u64,
    facts: XzFacts,
    stream: Option<Pump<Limited>>,
}

impl Xz {
    pub(super) fn new(window: u64) -> Self {
        Xz {
            window,
            facts: XzFacts::default(),
            stream: None,
        }
    }
}

impl Codec for Xz {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        if self.stream.is_none() {
            self.facts = headers(source.peek(STREAM_HEADER + BLOCK_HEADER)?);
            let dictionary = self.facts.dictionary.unwrap_or_default();
            let open = |limit| Stream::new_stream_decoder(limit, 0);
            self.stream = Some(Limited::new(open, dictionary, self.window)?);
        }
        match &mut self.stream {
            Some(stream) => stream.read(source, out),
            None => Ok(0),
        }
    }

    fn facts(&self) -> Facts {
        Facts::Xz(self.facts.clone())
    }
}

pub(super) struct Lzma {
    window: u64,
    facts: LzmaFacts,
    stream: Option<Pump<Limited>>,
}

impl Lzma {
    pub(super) fn new(window: u64) -> Self {
        Lzma {
            window,
            facts: LzmaFacts::default(),
            stream: None,
        }
    }
}

impl Codec for Lzma {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        if self.stream.is_none() {
            self.facts = alone_header(source.peek(ALONE_HEADER)?).unwrap_or_default();
            let dictionary = u64::from(self.facts.dictionary);
            self.stream = Some(Limited::new(
                Stream::new_lzma_decoder,
                dictionary,
                self.window,
            )?);
        }
        match &mut self.stream {
            Some(stream) => stream.read(source, out),
            None => Ok(0),
        }
    }

    fn facts(&self) -> Facts {
        Facts::Lzma(self.facts)
    }
}

fn alone_header(bytes: &[u8]) -> Option<LzmaFacts> {
    let (_properties, rest) = bytes.split_first()?;
    let (dictionary, rest) = rest.split_first_chunk()?;
    let size = u64::from_le_bytes(*rest.first_chunk()?);
    Some(LzmaFacts {
        dictionary: u32::from_le_bytes(*dictionary),
        content_size: (size != u64::MAX).then_some(size),
    })
}

/// What the stream header and the header of the first block say, as far as they are there.
fn headers(bytes: &[u8]) -> XzFacts {
    let mut facts = XzFacts::default();
    let Some((header, block)) = bytes.split_first_chunk::<STREAM_HEADER>() else {
        return facts;
    };
    let [.., check, _, _, _, _] = header;
    facts.check = Some(check_of(check & 0xf));
    if let Some((filters, dictionary)) = block_filters(block) {
        facts.filters = Some(filters);
        facts.dictionary = dictionary;
    }
    facts
}

const fn check_of(number: u8) -> XzCheck {
    match number {
        0 => XzCheck::None,
        1 => XzCheck::Crc32,
        4 => XzCheck::Crc64,
        10 => XzCheck::Sha256,
        other => XzCheck::Other(other),
    }
}

const fn filter_of(number: u64) -> XzFilter {
    match number {
        3 => XzFilter::Delta,
        4 => XzFilter::X86,
        5 => XzFilter::PowerPc,
        6 => XzFilter::Ia64,
        7 => XzFilter::Arm,
        8 => XzFilter::ArmThumb,
        9 => XzFilter::Sparc,
        10 => XzFilter::Arm64,
        11 => XzFilter::RiscV,
        0x21 => XzFilter::Lzma2,
        other => XzFilter::Other(other),
    }
}

/// The filters of a block header, and LZMA2's dictionary; none where it is an index, or cut short.
fn block_filters(block: &[u8]) -> Option<(Vec<XzFilter>, Option<u64>)> {
    let (&[size, flags], mut rest) = block.split_first_chunk()?;
    if size == 0 {
        return None;
    }
    for present in [0x40, 0x80] {
        if flags & present != 0 {
            (_, rest) = variable_length(rest)?;
        }
    }
    let mut filters = Vec::new();
    let mut dictionary = None;
    for _ in 0..=flags & 3 {
        let (number, after) = variable_length(rest)?;
        let (length, after) = variable_length(after)?;
        let (properties, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after;
        let filter = filter_of(number);
        if let (XzFilter::Lzma2, [bits]) = (filter, properties) {
            dictionary = dictionary_of(*bits);
        }
        filters.push(filter);
    }
    Some((filters, dictionary))
}

/// LZMA2's dictionary by its one byte of properties (.xz file format, 5.3.1).
const fn dictionary_of(bits: u8) -> Option<u64> {
    match bits {
        0..40 => Some((2 | (bits as u64 & 1)) << (bits / 2 + 11)),
        40 => Some(u32::MAX as u64),
        _ => None,
    }
}

/// A number of seven bits a byte, at most nine of them, and what follows (.xz file format, 1.2).
fn variable_length(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at_checked(last + 1)?;
    let number = number
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 7 | u64::from(byte & 0x7f));
    Some((number, rest))
}
