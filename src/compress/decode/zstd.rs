//! A zstd frame (RFC 8878), decoded by the C library.

use std::io::Read;

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::pump::{Machine, Pump, Step};
use super::{Codec, DecodeError, Facts, ZstdFacts};
use crate::compress::source::Source;
use crate::size::Size;

/// The longest frame header with its magic (RFC 8878, 3.1.1).
const HEADER: usize = 18;
/// The largest window the library can be told to take, as a power of two, on a 32-bit machine too.
const LARGEST_WINDOW: u32 = 30;

pub(super) struct Zstd {
    window: u64,
    facts: ZstdFacts,
    frame: Option<Pump<Frame>>,
}

impl Zstd {
    pub(super) fn new(window: u64) -> Self {
        Zstd {
            window,
            facts: ZstdFacts::default(),
            frame: None,
        }
    }

    fn begin<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), DecodeError> {
        // What is too short for a header, or is none, the library refuses in its own words.
        if let Some(facts) = header(source.peek(HEADER)?) {
            self.facts = facts;
        }
        if self.facts.window > self.window {
            return Err(DecodeError::NeedsMemory {
                needed: self.facts.window,
                allowed: self.window,
            });
        }
        if self.facts.window > 1 << LARGEST_WINDOW {
            let window = Size(self.facts.window);
            return Err(DecodeError::unsupported(format_args!(
                "a window of {window}"
            )));
        }
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW))?;
        self.frame = Some(Pump::new(Frame { decoder, next: 1 }));
        Ok(())
    }
}

impl Codec for Zstd {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        if self.frame.is_none() {
            self.begin(source)?;
        }
        match &mut self.frame {
            Some(frame) => frame.read(source, out),
            None => Ok(0),
        }
    }

    fn facts(&self) -> Facts {
        Facts::Zstd(self.facts)
    }
}

/// What the header says, if there is a whole one.
fn header(bytes: &[u8]) -> Option<ZstdFacts> {
    let (&descriptor, mut rest) = bytes.strip_prefix(b"\x28\xb5\x2f\xfd")?.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    let mut window = 0;
    if !is_single_segment {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        let base = 1_u64 << (10 + (byte >> 3));
        window = base + base / 8 * u64::from(byte & 7);
    }
    let (dictionary, rest) = little_endian(rest, [0, 1, 2, 4], descriptor & 3)?;
    let code = descriptor >> 6;
    let lengths = [usize::from(is_single_segment), 2, 4, 8];
    let (size, _) = little_endian(rest, lengths, code)?;
    // A length of two bytes begins where that of one byte ends (RFC 8878, 3.1.1.1.4).
    let size = size.map(|size| if code == 1 { size + 256 } else { size });
    Some(ZstdFacts {
        window: if is_single_segment { size? } else { window },
        content_size: size,
        has_checksum: descriptor & 4 != 0,
        dictionary: dictionary.map(|id| id as u32).filter(|&id| id != 0),
    })
}

/// A number of as many bytes as `code` means, none where it means none, and what follows it.
fn little_endian(bytes: &[u8], lengths: [usize; 4], code: u8) -> Option<(Option<u64>, &[u8])> {
    let length = *lengths.get(usize::from(code))?;
    let (number, rest) = bytes.split_at_checked(length)?;
    let number = number
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    Some(((length > 0).then_some(number), rest))
}

/// A frame on its way.
struct Frame {
    decoder: Decoder<'static>,
    /// How many bytes the library wants to see next: to the end of a header or block.
    next: usize,
}

impl Machine for Frame {
    /// Hands over no more than the library asked for: at a fault it keeps to itself what it had unpacked of the
    /// same input, and how much that is must not depend on how the input came.
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        let mut input = InBuffer::around(input.get(..self.next).unwrap_or(input));
        let mut output = OutBuffer::around(out);
        let ended = self.decoder.run(&mut input, &mut output);
        self.next = ended.as_ref().map_or(1, |&next| next.max(1));
        Step {
            consumed: input.pos(),
            produced: output.pos(),
            ended: match ended {
                Ok(hint) => Ok(hint == 0),
                Err(error) => Err(DecodeError::corrupt(error)),
            },
        }
    }
}
