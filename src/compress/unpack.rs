//! Compressed files read whole, within a bound: modules `.ko.gz`, `.ko.xz`, `.ko.zst`.

use std::io::{self, ErrorKind, Read};

use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use thiserror::Error;

use super::format::{Format, detect};

/// The largest window that a zstd frame may ask for, as a power of two: the kernel's own bound.
const ZSTD_WINDOW_LOG: u32 = 27;
/// What an xz stream may ask for, in KiB: the 64 MiB dictionary of its highest preset, and change.
const XZ_MEMORY: u32 = 68 << 10;

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
    let format = detect(bytes).ok_or(UnpackError::Unknown)?;
    let mut out = Bounded {
        content: Vec::new(),
        limit,
        format,
    };
    match format {
        Format::Gzip => gunzip(bytes, &mut out)?,
        Format::Xz => out.read(XzReader::new_mem_limit(bytes, true, XZ_MEMORY))?,
        Format::Zstd => {
            let mut reader =
                zstd::Decoder::with_buffer(bytes).map_err(|error| out.fault(&error))?;
            let bounded = reader.window_log_max(ZSTD_WINDOW_LOG);
            bounded.map_err(|error| out.fault(&error))?;
            out.read(reader)?;
        }
        other => return Err(UnpackError::Unsupported(other)),
    }
    Ok(out.content)
}

/// Reads member after member; the reader gives back what follows each.
fn gunzip(mut rest: &[u8], out: &mut Bounded) -> Result<(), UnpackError> {
    loop {
        let mut member = GzDecoder::new(rest);
        out.read(&mut member)?;
        rest = member.into_inner();
        if rest.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
    }
}

/// The content so far, and what it may become.
struct Bounded {
    content: Vec<u8>,
    limit: usize,
    format: Format,
}

impl Bounded {
    /// Appends all that `reader` has; one byte past the limit is read to know of it.
    fn read(&mut self, reader: impl Read) -> Result<(), UnpackError> {
        let allowed = (self.limit - self.content.len()) as u64;
        let read = reader
            .take(allowed.saturating_add(1))
            .read_to_end(&mut self.content);
        if self.content.len() > self.limit {
            return Err(UnpackError::TooLarge { limit: self.limit });
        }
        read.map(drop).map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &io::Error) -> UnpackError {
        let format = self.format;
        match error.kind() {
            ErrorKind::UnexpectedEof => UnpackError::Truncated(format),
            _ => UnpackError::Corrupt {
                format,
                reason: error.to_string(),
            },
        }
    }
}
