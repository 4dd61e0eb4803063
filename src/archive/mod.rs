//! An image's bytes, read: segments, entries and data, in the order in which they stand.
//!
//! In: the bytes of any ramdisk, as a stream. Out: [`Event`]s, the data of each entry between them,
//! and every [`Flaw`] that was met; reading goes on behind a flaw wherever it can be told how. An
//! image is a sequence of segments, zeros between them: archives in the newc format (the kernel's
//! `buffer-format` document), plain or in one compressed member each. Memory is that of a few pieces
//! of the stream, whatever the image says of itself; how far it is followed, [`Limits`] say.

mod header;
mod input;
mod limits;
mod reader;
mod window;

use std::io;

use thiserror::Error;

use crate::compress::{DecodeError, Format, Member};

pub use header::{FileType, Header};
pub use limits::{LimitMet, Limits};
pub use reader::Archive;

/// What is met next.
#[derive(Debug)]
pub enum Event {
    /// A segment begins.
    Segment(SegmentStart),
    /// An entry begins; its data can be read.
    Entry(Entry),
    /// Something is not as the format has it.
    Flaw(Flaw),
    /// The segment ends.
    SegmentEnd(SegmentEnd),
}

/// Where a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStart {
    /// Its number, from 0.
    pub index: usize,
    /// The offset in the image, in bytes.
    pub offset: u64,
    /// How it is compressed; `None` for a plain archive.
    pub format: Option<Format>,
}

/// What is known of a segment when it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEnd {
    /// Its bytes in the image, the zeros behind it not counted.
    pub size: u64,
    /// Its bytes unpacked, zeros behind the trailer included.
    pub unpacked: u64,
    /// The archives that a trailer ends.
    pub archives: u64,
    /// The zeros behind the last trailer.
    pub padding: u64,
    /// What is known of the compressed member.
    pub member: Option<Member>,
}

/// An entry, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of its segment.
    pub segment: usize,
    /// The offset of its header in the unpacked segment, in bytes.
    pub offset: u64,
    /// What its header says.
    pub header: Header,
    /// Its name, up to the first NUL; without the rest where that is longer than the limit.
    pub name: Vec<u8>,
}

/// Something that is not as the format has it, and where.
#[derive(Debug)]
pub struct Flaw {
    /// The number of the segment; that of the next one behind the last.
    pub segment: usize,
    /// The offset in the unpacked segment; in the image where it is between segments.
    pub offset: u64,
    /// The name of the entry, where it is one's.
    pub entry: Option<Vec<u8>>,
    /// What it is.
    pub kind: FlawKind,
}

/// What is not as the format has it.
#[derive(Debug, Error)]
pub enum FlawKind {
    /// No header stands where one must.
    #[error("no cpio header: it begins with {:?}", crate::image_path::Shown(.found).to_string())]
    NoHeader {
        /// The first bytes of what stands there, six at most.
        found: Vec<u8>,
    },
    /// A field of a header is no number.
    #[error("the header field {field} is no hexadecimal number")]
    BadField {
        /// Its name.
        field: &'static str,
    },
    /// A header does not stand at a multiple of four.
    #[error("a header at a place that is no multiple of 4")]
    Misaligned,
    /// A name is empty: not even a NUL.
    #[error("a name of no bytes")]
    EmptyName,
    /// A name is longer than is taken.
    #[error("a name of {size} bytes")]
    LongName {
        /// Its bytes, the final NUL included.
        size: u32,
    },
    /// A name has a NUL before its end, or none there.
    #[error("a name that does not end at its NUL")]
    BadNameEnd,
    /// The segment ends within an entry.
    #[error("the segment ends within the entry")]
    Cut,
    /// The segment ends without a trailer.
    #[error("no trailer")]
    NoTrailer,
    /// The checksum does not agree.
    #[error("checksum {said:08x}, and the data's is {found:08x}")]
    Checksum {
        /// What the header says.
        said: u32,
        /// The sum of the data's bytes.
        found: u32,
    },
    /// Bytes that are neither zeros nor a segment.
    #[error("{length} bytes that are no segment, beginning with {:02x?}", .found)]
    Junk {
        /// The first of them, six at most.
        found: Vec<u8>,
        /// How many, to the end of the segment or of the image.
        length: u64,
    },
    /// The compressed data cannot be decoded any further.
    #[error(transparent)]
    Damaged(DecodeError),
    /// There is not one byte.
    #[error("an empty file")]
    Empty,
}

/// Why reading ends before the image does.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The image is larger than it may be.
    #[error(transparent)]
    Limit(#[from] LimitMet),
    /// The compressed data cannot be decoded; told as a flaw.
    #[error(transparent)]
    Damaged(DecodeError),
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Io(error) => ReadError::Io(error),
            other => ReadError::Damaged(other),
        }
    }
}

/// Whoever is shown the unpacked bytes as they pass.
pub trait Tap {
    /// A segment begins.
    fn segment(&mut self, start: &SegmentStart);
    /// Its unpacked bytes, in any pieces.
    fn bytes(&mut self, bytes: &[u8]);
    /// It ends, or cannot be unpacked any further.
    fn segment_end(&mut self, damaged: bool);
}
