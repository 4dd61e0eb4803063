//! An image's bytes, read: segments, entries and data, in the order in which they stand.
//!
//! In: the bytes of any ramdisk, as a stream. Out: [`Event`]s, the data of each entry between them,
//! and every [`Flaw`] that was met; reading goes on behind a flaw wherever it can be told how. An
//! image is a sequence of segments, zeros between them: archives in the newc format (the kernel's
//! `buffer-format` document), plain or in one compressed member each. Memory is that of a few pieces
//! of the stream, whatever the image says of itself; how far it is followed, [`Limits`] say.

mod flaw;
mod foreign;
mod header;
mod input;
mod limits;
mod reader;
mod stream;
mod window;

use std::io;

use thiserror::Error;

use crate::compress::Format;
use crate::compress::decode::{DecodeError, Member};

pub use flaw::{Flaw, FlawKind};
pub use foreign::Foreign;
pub(crate) use foreign::TELLING;
pub use header::{FileType, Header};
pub use limits::{LimitMet, Limits};
pub use reader::Archive;

/// What is met next.
#[derive(Debug, Clone)]
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
            DecodeError::Io(error) => ReadError::Io(io::Error::new(error.kind(), error)),
            other => ReadError::Damaged(other),
        }
    }
}

/// Whoever is shown the unpacked bytes as they pass. `()` is nobody.
pub trait Tap {
    /// A segment begins.
    fn segment(&mut self, start: &SegmentStart);
    /// Its unpacked bytes, in any pieces.
    fn bytes(&mut self, bytes: &[u8]);
    /// It ends, or cannot be unpacked any further; of a compressed one its member is told.
    fn segment_end(&mut self, member: Option<&Member>, damage: Option<&DecodeError>);
    /// At `offset` of the image stands what is no segment.
    fn junk(&mut self, offset: u64);
}

impl Tap for () {
    fn segment(&mut self, _: &SegmentStart) {}
    fn bytes(&mut self, _: &[u8]) {}
    fn segment_end(&mut self, _: Option<&Member>, _: Option<&DecodeError>) {}
    fn junk(&mut self, _: u64) {}
}
