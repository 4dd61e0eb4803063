//! A gzip member (RFC 1952): header and trailer here, deflate in zlib-rs.

use std::io::{BufRead, Read};

use crc32fast::Hasher;
use memchr::memchr;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::facts::GzipTrailer;
use super::pump::{Machine, Pump, Step};
use super::{Codec, DecodeError, Facts, GzipFacts, array};
use crate::compress::source::Source;

/// The window of deflate, as a power of two.
const WINDOW_BITS: u8 = 15;
/// The flags that RFC 1952 gives no meaning; gzip before 1.0 had encryption there.
const RESERVED: u8 = 0xe0;

pub(super) struct Gzip {
    facts: GzipFacts,
    has_begun: bool,
    deflate: Pump<Inflate>,
    crc: Hasher,
    content: u64,
}

impl Default for Gzip {
    fn default() -> Self {
        Gzip {
            facts: GzipFacts::default(),
            has_begun: false,
            deflate: Pump::new(Inflate::new(false, WINDOW_BITS)),
            crc: Hasher::new(),
            content: 0,
        }
    }
}

impl Codec for Gzip {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        if !self.has_begun {
            self.header(source)?;
            self.has_begun = true;
        }
        let count = self.deflate.read(source, out)?;
        if count == 0 {
            self.trailer(source)?;
        }
        self.crc.update(out.get(..count).unwrap_or_default());
        self.content += count as u64;
        Ok(count)
    }

    fn facts(&self) -> Facts {
        Facts::Gzip(self.facts)
    }
}

impl Gzip {
    fn header<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), DecodeError> {
        let [first, second, method, flags] = array(source)?;
        self.facts.has_old_magic = second == 0x9e;
        self.facts.flags = flags;
        if first != 0x1f || !matches!(second, 0x8b | 0x9e) {
            return Err(DecodeError::corrupt("no magic of gzip"));
        }
        if method != 8 {
            return Err(DecodeError::unsupported(format_args!("method {method}")));
        }
        if flags & RESERVED != 0 {
            return Err(DecodeError::unsupported(format_args!("flags {flags:#04x}")));
        }
        let _time_and_system: [u8; 6] = array(source)?;
        if flags & GzipFacts::FEXTRA != 0 {
            let length = u16::from_le_bytes(array(source)?);
            skip(source, u64::from(length))?;
        }
        if flags & GzipFacts::FNAME != 0 {
            skip_text(source)?;
        }
        if flags & GzipFacts::FCOMMENT != 0 {
            skip_text(source)?;
        }
        if flags & GzipFacts::FHCRC != 0 {
            let _crc: [u8; 2] = array(source)?;
        }
        Ok(())
    }

    fn trailer<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), DecodeError> {
        let crc = u32::from_le_bytes(array(source)?);
        let size = u32::from_le_bytes(array(source)?);
        self.facts.trailer = Some(GzipTrailer {
            crc,
            content_crc: self.crc.clone().finalize(),
            size,
            content_size: self.content,
        });
        Ok(())
    }
}

fn skip<R: Read>(source: &mut Source<R>, mut count: u64) -> Result<(), DecodeError> {
    while count > 0 {
        let available = source.fill_buf()?.len();
        if available == 0 {
            return Err(DecodeError::Truncated);
        }
        let part = usize::try_from(count).map_or(available, |count| count.min(available));
        source.consume(part);
        count -= part as u64;
    }
    Ok(())
}

/// Passes over a text and the zero byte that ends it.
fn skip_text<R: Read>(source: &mut Source<R>) -> Result<(), DecodeError> {
    loop {
        let available = source.fill_buf()?;
        let (length, end) = (available.len(), memchr(0, available));
        match end {
            Some(end) => {
                source.consume(end + 1);
                return Ok(());
            }
            None if length == 0 => return Err(DecodeError::Truncated),
            None => source.consume(length),
        }
    }
}

impl Machine for Inflate {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        let (before_in, before_out) = (self.total_in(), self.total_out());
        let status = self.decompress(input, out, InflateFlush::NoFlush);
        Step {
            consumed: (self.total_in() - before_in) as usize,
            produced: (self.total_out() - before_out) as usize,
            ended: match status {
                Ok(status) => Ok(status == Status::StreamEnd),
                Err(error) => {
                    let reason = self.error_message().unwrap_or(error.as_str());
                    Err(DecodeError::corrupt(reason))
                }
            },
        }
    }
}
