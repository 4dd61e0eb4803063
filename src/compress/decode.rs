//! One compressed member, decoded as it is read: a gzip member (RFC 1952), an xz stream (the .xz
//! file format 1.2.1), an lzma-alone or bzip2 stream, an lzop file, an lz4 legacy frame, a zstd
//! frame (RFC 8878).
//!
//! In comes a [`Source`] that stands at the member's first byte; out come the content, piece by
//! piece, then the source at the first byte after the member, for in an initramfs other segments
//! follow at once, and the facts of the member that decide whether a kernel reads it. Memory is
//! that of the format's own window, whatever the bytes claim.

mod bzip2;
mod facts;
mod gzip;
mod lz4;
mod lzo;
mod lzo1x;
mod pump;
mod xz;
mod zstd;

use std::io::{self, Read};
use std::sync::Arc;

use thiserror::Error;

pub use facts::{
    Bzip2Facts, Facts, GzipFacts, GzipTrailer, Lz4Facts, LzmaFacts, LzoFacts, Member, XzCheck,
    XzFacts, XzFilter, ZstdFacts,
};

use super::format::Format;
use super::source::Source;
use crate::size::Size;

/// Why a member could not be decoded to its end.
#[derive(Debug, Clone, Error)]
pub enum DecodeError {
    /// The input ends before the member does.
    #[error("the data end too early")]
    Truncated,
    /// The member is damaged, or not of its format at all.
    #[error("the data are corrupt: {reason}")]
    Corrupt {
        /// What does not hold.
        reason: String,
    },
    /// The member is of a kind that is not read here.
    #[error("the data are of a kind that is not supported: {reason}")]
    Unsupported {
        /// The kind.
        reason: String,
    },
    /// The member needs a larger window, dictionary or block than it may have.
    #[error("decoding needs a window or dictionary of {}, and may take {}", Size(*needed), Size(*allowed))]
    NeedsMemory {
        /// What it asks for, in bytes; the least that is known.
        needed: u64,
        /// The bound that was set.
        allowed: u64,
    },
    /// The input could not be read; says nothing of the data.
    #[error("{0}")]
    Io(#[source] Arc<io::Error>),
}

impl DecodeError {
    fn corrupt(reason: impl ToString) -> Self {
        let reason = reason.to_string();
        DecodeError::Corrupt { reason }
    }

    fn unsupported(reason: impl ToString) -> Self {
        let reason = reason.to_string();
        DecodeError::Unsupported { reason }
    }
}

impl From<io::Error> for DecodeError {
    fn from(error: io::Error) -> Self {
        DecodeError::Io(Arc::new(error))
    }
}

/// A decoder of one format.
trait Codec {
    /// Puts content into `out`, which is not empty, and tells how much: 0 at the member's end, with
    /// `source` right behind it.
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError>;

    /// What has been learnt so far.
    fn facts(&self) -> Facts;
}

enum AnyCodec {
    Gzip(Box<gzip::Gzip>),
    Bzip2(bzip2::Bzip2),
    Lzma(xz::Lzma),
    Xz(xz::Xz),
    Lzo(lzo::Lzo),
    Lz4(lz4::Lz4),
    Zstd(zstd::Zstd),
}

impl AnyCodec {
    fn of(format: Format, window: u64) -> Self {
        match format {
            Format::Gzip => AnyCodec::Gzip(Box::default()),
            Format::Bzip2 => AnyCodec::Bzip2(bzip2::Bzip2::new()),
            Format::Lzma => AnyCodec::Lzma(xz::Lzma::new(window)),
            Format::Xz => AnyCodec::Xz(xz::Xz::new(window)),
            Format::Lzo => AnyCodec::Lzo(lzo::Lzo::new(window)),
            Format::Lz4 => AnyCodec::Lz4(lz4::Lz4::default()),
            Format::Zstd => AnyCodec::Zstd(zstd::Zstd::new(window)),
        }
    }
}

impl Codec for AnyCodec {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        match self {
            AnyCodec::Gzip(codec) => codec.read(source, out),
            AnyCodec::Bzip2(codec) => codec.read(source, out),
            AnyCodec::Lzma(codec) => codec.read(source, out),
            AnyCodec::Xz(codec) => codec.read(source, out),
            AnyCodec::Lzo(codec) => codec.read(source, out),
            AnyCodec::Lz4(codec) => codec.read(source, out),
            AnyCodec::Zstd(codec) => codec.read(source, out),
        }
    }

    fn facts(&self) -> Facts {
        match self {
            AnyCodec::Gzip(codec) => codec.facts(),
            AnyCodec::Bzip2(codec) => codec.facts(),
            AnyCodec::Lzma(codec) => codec.facts(),
            AnyCodec::Xz(codec) => codec.facts(),
            AnyCodec::Lzo(codec) => codec.facts(),
            AnyCodec::Lz4(codec) => codec.facts(),
            AnyCodec::Zstd(codec) => codec.facts(),
        }
    }
}

/// One member of a format, decoded as it is read.
pub struct Decoder<R> {
    source: Source<R>,
    start: u64,
    format: Format,
    codec: AnyCodec,
    content: u64,
    /// How it came to an end: the member's, or that of all reading.
    end: Option<Result<(), DecodeError>>,
}

impl<R: Read> Decoder<R> {
    /// A decoder of the member of `format` that `source` stands at. The window, dictionary or block
    /// may take as much as [`Decoder::default_window`] says.
    pub fn new(format: Format, source: Source<R>) -> Self {
        Decoder::with_window(format, source, Decoder::<R>::default_window(format))
    }

    /// The same with another bound, in bytes, on what a member may ask for: the window of zstd, the
    /// dictionary of xz and lzma, the block of lzo. The other formats have small windows of fixed
    /// sizes. Beside it a decoder takes a few megabytes at most; lz4 and bzip2 about 16 and 4.
    pub fn with_window(format: Format, source: Source<R>, window: u64) -> Self {
        Decoder {
            start: source.offset(),
            source,
            format,
            codec: AnyCodec::of(format, window),
            content: 0,
            end: None,
        }
    }

    /// The bound taken when none is named: for zstd what the kernel itself accepts, 128 MiB
    /// (`lib/decompress_unzstd.c`); else what each format's own tool asks for at most at its highest
    /// preset, 64 MiB.
    #[must_use]
    pub const fn default_window(format: Format) -> u64 {
        match format {
            Format::Zstd => 128 << 20,
            _ => 64 << 20,
        }
    }

    /// Puts the next content into `out` and tells how many bytes it is: 0 at the member's end, and
    /// where `out` is empty. Large pieces, from 256 KiB on, are the fastest.
    ///
    /// # Errors
    /// See [`DecodeError`]. All content before the damage has been given by then, as far as the
    /// format lets it be known; reading on gives the same error.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        if let Some(end) = &self.end {
            return end.clone().map(|()| 0);
        }
        if out.is_empty() {
            return Ok(0);
        }
        let read = self.codec.read(&mut self.source, out);
        match &read {
            Ok(0) => self.end = Some(Ok(())),
            Ok(count) => self.content += *count as u64,
            Err(error) => self.end = Some(Err(error.clone())),
        }
        read
    }

    /// The source; how far it has been taken says how much of the member has been read.
    #[must_use]
    pub const fn source(&self) -> &Source<R> {
        &self.source
    }

    /// The source, and what is known of the member.
    ///
    /// Once `read` has told the end, the source stands at the first byte after the member; before,
    /// or after an error, at the first one that was not used.
    pub fn finish(self) -> (Source<R>, Member) {
        let member = Member {
            format: self.format,
            packed: self.source.offset() - self.start,
            content: self.content,
            is_whole: matches!(self.end, Some(Ok(()))),
            facts: self.codec.facts(),
        };
        (self.source, member)
    }
}

/// The next `N` bytes of a member, which has them.
fn array<const N: usize, R: Read>(source: &mut Source<R>) -> Result<[u8; N], DecodeError> {
    source.take_array()?.ok_or(DecodeError::Truncated)
}
