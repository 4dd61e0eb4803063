//! What is not as the format has it: the kernel's `buffer-format` document.

use thiserror::Error;

use super::foreign::Foreign;
use crate::compress::decode::{DecodeError, GzipTrailer};
use crate::image_path::Shown;
use crate::problem::{Explain, as_advice};
use crate::size::Size;

/// Something that is not as the format has it, and where.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Error)]
pub enum FlawKind {
    /// No header stands where one must.
    #[error("{}", no_header(found, *what))]
    NoHeader {
        /// The first bytes of what stands there, six at most.
        found: Vec<u8>,
        /// What it is, where that can be told.
        what: Option<Foreign>,
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
    /// A name has no NUL, or something else behind one.
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
    #[error("{}", junk(found, *length, *what))]
    Junk {
        /// The first of them, six at most.
        found: Vec<u8>,
        /// How many, to the end of the segment or of the image.
        length: u64,
        /// What it is, where that can be told.
        what: Option<Foreign>,
    },
    /// The file begins with no segment.
    #[error("{}", no_image(found, *length, *is_all, *what))]
    NoImage {
        /// The first of its bytes, six at most.
        found: Vec<u8>,
        /// How many were read.
        length: u64,
        /// Whether there are no more.
        is_all: bool,
        /// What it is, where that can be told.
        what: Option<Foreign>,
    },
    /// The compressed data cannot be decoded any further.
    #[error(transparent)]
    Damaged(DecodeError),
    /// The end of a gzip member says otherwise than its content is.
    #[error("{}", wrong_sum(*.0))]
    WrongSum(GzipTrailer),
    /// There is not one byte.
    #[error("an empty file")]
    Empty,
    /// There is not one byte but zeros.
    #[error("{}, and all of them zeros", Size(*length))]
    Zeros {
        /// How many.
        length: u64,
    },
}

fn wrong_sum(trailer: GzipTrailer) -> String {
    match trailer.crc == trailer.content_crc {
        true => format!(
            "gzip's own length is {}, and that of the content {}, modulo 2^32",
            trailer.size, trailer.content_size as u32
        ),
        false => format!(
            "gzip's own checksum is {:08x}, and that of the content {:08x}",
            trailer.crc, trailer.content_crc
        ),
    }
}

fn no_header(found: &[u8], what: Option<Foreign>) -> String {
    match what {
        Some(what) => format!("no cpio header, but {what}"),
        None => format!("no cpio header: it begins with `{}`", Shown(found)),
    }
}

fn junk(found: &[u8], length: u64, what: Option<Foreign>) -> String {
    sized(found, &Size(length).to_string(), what)
}

fn no_image(found: &[u8], length: u64, is_all: bool, what: Option<Foreign>) -> String {
    let size = Size(length);
    match is_all {
        true => sized(found, &size.to_string(), what),
        false => sized(found, &format!("more than {size}"), what),
    }
}

fn sized(found: &[u8], size: &str, what: Option<Foreign>) -> String {
    match what {
        Some(what) => format!("{what}, {size}"),
        None => format!(
            "{size}, neither an archive nor compressed, beginning with `{}`",
            Shown(found)
        ),
    }
}

/// What to do about a window that is too large, whoever's bound it is.
const LARGE_WINDOW: &str = "Compress the image again with a smaller window, as without zstd's --long: the kernel itself takes \
     one of 128 MiB at most. Only to read it, raise --max-memory; of zstd no window above 1024 MiB is read.";

impl FlawKind {
    /// What to do about it, where more is to be said than its rule says.
    #[must_use]
    pub const fn cure(&self) -> Option<&'static str> {
        match self {
            FlawKind::Damaged(DecodeError::NeedsMemory { .. }) => Some(LARGE_WINDOW),
            // A path that leads to an archive is the right one.
            FlawKind::Junk {
                what: Some(Foreign::Text),
                ..
            } => None,
            _ => match self.foreign() {
                Some(foreign) => Some(foreign.cure()),
                None => None,
            },
        }
    }

    /// Whether reading ended at it, and with what may lie behind it.
    #[must_use]
    pub const fn hides_the_rest(&self) -> bool {
        match self {
            FlawKind::NoHeader { .. }
            | FlawKind::BadField { .. }
            | FlawKind::Cut
            | FlawKind::NoImage { .. }
            | FlawKind::Damaged(_) => true,
            FlawKind::Junk { what, .. } => !matches!(what, None | Some(Foreign::Text)),
            _ => false,
        }
    }

    /// What is there instead of an archive, where that can be told.
    #[must_use]
    pub const fn foreign(&self) -> Option<Foreign> {
        match self {
            FlawKind::NoHeader { what, .. }
            | FlawKind::Junk { what, .. }
            | FlawKind::NoImage { what, .. } => *what,
            _ => None,
        }
    }

    /// Whether something of the image cannot be read for it.
    #[must_use]
    pub const fn loses_content(&self) -> bool {
        match self {
            FlawKind::NoHeader { .. }
            | FlawKind::BadField { .. }
            | FlawKind::EmptyName
            | FlawKind::LongName { .. }
            | FlawKind::Cut
            | FlawKind::Junk { .. }
            | FlawKind::Damaged(_)
            | FlawKind::NoImage { .. }
            | FlawKind::Empty
            | FlawKind::Zeros { .. } => true,
            FlawKind::Misaligned
            | FlawKind::BadNameEnd
            | FlawKind::NoTrailer
            | FlawKind::WrongSum(_)
            | FlawKind::Checksum { .. } => false,
        }
    }
}

impl Explain for FlawKind {
    fn is_judgement(&self) -> bool {
        true
    }

    fn found(&self) -> String {
        self.to_string()
    }

    fn expected(&self) -> String {
        match self {
            FlawKind::NoHeader { .. } => "a header of the newc format: 070701 or 070702",
            FlawKind::BadField { .. } => "eight hexadecimal digits",
            FlawKind::Misaligned => "every header at a multiple of 4 bytes",
            FlawKind::EmptyName => "a name, ended by a NUL",
            FlawKind::LongName { .. } => {
                "a name within --max-name; the kernel takes 4096 bytes, the NUL among them"
            }
            FlawKind::BadNameEnd => "a NUL at the end of the name, and nothing else behind it",
            FlawKind::Cut => "all the bytes that the entry's header says",
            FlawKind::NoTrailer => "an entry TRAILER!!! at the end of the archive",
            FlawKind::Checksum { .. } => "the sum of the data's bytes in the header",
            FlawKind::Junk { .. } => "a segment, zeros, or the end",
            FlawKind::Damaged(DecodeError::NeedsMemory { allowed, .. }) => {
                return format!(
                    "a window or dictionary of {} at most: this program's own bound, --max-memory",
                    Size(*allowed)
                );
            }
            FlawKind::WrongSum(_) => {
                "a member that ends as its content does: gzip -t finds no fault"
            }
            FlawKind::Damaged(DecodeError::Unsupported { .. }) => {
                "a kind of compression that kernels read"
            }
            FlawKind::Damaged(_) => "a whole compressed segment",
            FlawKind::NoImage { .. } | FlawKind::Empty | FlawKind::Zeros { .. } => {
                "an archive in the newc format, plain or compressed"
            }
        }
        .to_owned()
    }

    fn advice(&self) -> String {
        if let Some(cure) = self.cure() {
            return as_advice(cure);
        }
        match self {
            FlawKind::LongName { .. } => {
                "shorten the path; if it is only to be read, raise --max-name"
            }
            FlawKind::Damaged(DecodeError::Unsupported { .. }) => {
                "compress the image with the settings that the kernel's own build uses"
            }
            FlawKind::Cut
            | FlawKind::Damaged(_)
            | FlawKind::WrongSum(_)
            | FlawKind::Checksum { .. } => {
                "make the image again, or copy it again: it is cut short or damaged"
            }
            FlawKind::NoImage { .. } | FlawKind::Empty | FlawKind::Zeros { .. } => {
                "check the path; make the image again"
            }
            FlawKind::Junk { .. } => {
                "make the image again, with nothing but zeros behind an archive"
            }
            _ => "make the image again with a tool that writes the newc format",
        }
        .to_owned()
    }
}
