//! Compressed files read whole, within a bound: modules `.ko.gz`, `.ko.xz`, `.ko.zst`.

use std::io::{self, BufRead, Read};

use thiserror::Error;

use super::decode::{DecodeError, Decoder, Facts, Member};
use super::format::{Format, detect};
use super::source::Source;

/// How many bytes tell a format.
const TELLING: usize = 8;
/// What is decoded at once.
const PIECE: usize = 256 << 10;

/// Why bytes could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnpackError {
    /// They begin with no magic of a compressed format.
    #[error("no compressed format is recognized")]
    Unknown,
    /// The format is known, but neither gzip, xz nor zstd.
    #[error("{} is not a compression that modules come in", .0.name())]
    Unsupported(Format),
    /// The content does not decode, or its checksum does not agree.
    #[error("corrupt {} data: {reason}", format.name())]
    Corrupt {
        /// The format told by the magic.
        format: Format,
        /// The decoder's own words.
        reason: String,
    },
    /// The content ends too early.
    #[error("{} data that ends too early", .0.name())]
    Truncated(Format),
    /// The content is larger than allowed.
    #[error("unpacked it is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
}

/// The content of a gzip file of one or more members, an xz file, or a zstd file, by its magic.
///
/// Zero bytes after the last gzip member or xz stream are passed over, as their own tools do.
/// No size said in the data is trusted: memory is that of the content, at most `limit` bytes, twice
/// over while it grows, and of the decoder's window, at most 128 MiB.
///
/// # Errors
/// See [`UnpackError`]; any bytes are answered with the content or one of these.
pub fn unpack(bytes: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
    unpack_with_facts(bytes, limit).map(|(content, _)| content)
}

/// As [`unpack`], with what the first member says of itself.
///
/// # Errors
/// See [`UnpackError`].
pub fn unpack_with_facts(bytes: &[u8], limit: usize) -> Result<(Vec<u8>, Facts), UnpackError> {
    let mut content = Vec::new();
    let facts = unpack_pieces(Source::new(bytes), limit, &mut |piece| {
        // A host may have less room than the limit, and must not end for it.
        let more = content.try_reserve(piece.len());
        more.map_err(|_| io::ErrorKind::OutOfMemory)?;
        content.extend_from_slice(piece);
        Ok(())
    })?;
    Ok((content, facts))
}

/// As [`unpack_with_facts`], of what `source` stands at, with the content handed to `take` piece by piece: memory is
/// that of the decoder's window.
///
/// # Errors
/// See [`UnpackError`]; what `take` says is told as that.
pub fn unpack_pieces<R: Read>(
    mut source: Source<R>,
    limit: usize,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<Facts, UnpackError> {
    let start = source.peek(TELLING).unwrap_or_default();
    let format = detect(start).ok_or(UnpackError::Unknown)?;
    if !matches!(format, Format::Gzip | Format::Xz | Format::Zstd) {
        return Err(UnpackError::Unsupported(format));
    }
    let fault = |error| match error {
        DecodeError::Truncated => UnpackError::Truncated(format),
        DecodeError::Corrupt { reason } => UnpackError::Corrupt { format, reason },
        other => UnpackError::Corrupt {
            format,
            reason: other.to_string(),
        },
    };
    let mut piece = vec![0; PIECE];
    let mut left = limit;
    let mut first = None;
    loop {
        let mut decoder = Decoder::new(format, source);
        while let Some(count) = next_piece(&mut decoder, &mut piece, left).map_err(fault)? {
            let rest = left.checked_sub(count);
            left = rest.ok_or(UnpackError::TooLarge { limit })?;
            let taken = take(piece.get(..count).unwrap_or_default());
            taken.map_err(|error| fault(error.into()))?;
        }
        let member;
        (source, member) = decoder.finish();
        agree(&member).map_err(fault)?;
        let facts = first.take().unwrap_or(member.facts);
        if is_last(&mut source, format).map_err(fault)? {
            return Ok(facts);
        }
        first = Some(facts);
    }
}

/// How much comes next, where `left` bytes may; one byte past these is read to know of it.
fn next_piece<R: Read>(
    decoder: &mut Decoder<R>,
    piece: &mut [u8],
    left: usize,
) -> Result<Option<usize>, DecodeError> {
    let room = left.saturating_add(1).min(piece.len());
    let count = decoder.read(piece.get_mut(..room).unwrap_or_default())?;
    Ok((count > 0).then_some(count))
}

/// Whether the content is what the member says; the other formats' decoders see to it themselves.
fn agree(member: &Member) -> Result<(), DecodeError> {
    match member.facts {
        Facts::Gzip(facts) if !facts.trailer.is_some_and(|trailer| trailer.agrees()) => {
            let reason = "its content is not what the trailer says".to_owned();
            Err(DecodeError::Corrupt { reason })
        }
        _ => Ok(()),
    }
}

/// Passes over padding, where the format has any, and tells whether nothing follows.
fn is_last<R: Read>(source: &mut Source<R>, format: Format) -> Result<bool, DecodeError> {
    loop {
        let ahead = source.fill_buf()?;
        let zeros = match format {
            Format::Zstd => 0,
            _ => ahead.iter().take_while(|&&byte| byte == 0).count(),
        };
        if zeros == 0 {
            return Ok(ahead.is_empty());
        }
        source.consume(zeros);
    }
}
