//! What an unpacker does that the maker of an image may not have meant, and what it stops at.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::behaviour::Words;
use crate::compress::Format;
use crate::image_path::Shown;

/// Where in an image something stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The number of the segment, from 0.
    pub segment: usize,
    /// The offset of the entry's header, or of the byte, in the segment as it is unpacked.
    pub offset: u64,
    /// The entry's name as the kernel reads it; empty before there is one.
    pub name: Vec<u8>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}, byte {}", self.segment, self.offset)?;
        if self.name.is_empty() {
            return Ok(());
        }
        write!(f, ", {}", Shown(&self.name))
    }
}

/// Something the kernel does without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where.
    pub place: Place,
    /// What.
    pub what: What,
}

/// The type of an object (`S_IFMT` of its mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// The type that `mode` says; `None` where no object has it.
    #[must_use]
    pub const fn of(mode: u16) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o100_000 => Kind::Regular,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Symlink,
            0o020_000 => Kind::Char,
            0o060_000 => Kind::Block,
            0o010_000 => Kind::Fifo,
            0o140_000 => Kind::Socket,
            _ => return None,
        })
    }

    /// The type in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Regular => "file",
            Kind::Directory => "directory",
            Kind::Symlink => "symbolic link",
            Kind::Char => "character device",
            Kind::Block => "block device",
            Kind::Fifo => "named pipe",
            Kind::Socket => "socket",
        }
    }

    /// Whether it has a device number.
    #[must_use]
    pub const fn is_device(self) -> bool {
        matches!(self, Kind::Char | Kind::Block)
    }
}

/// What happens to an entry, in silence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum What {
    /// Its header has it passed over.
    #[error("it is skipped: {0}")]
    Skipped(Skip),
    /// It is passed over and its header lies across two pieces that the decompressor gives out, which
    /// has the kernel lose its place: the rest of the member is passed over, too.
    #[error(
        "with it, all that follows in the member is skipped, for its header is unpacked in two pieces"
    )]
    LosesMember,
    /// It cannot be made where it is to stand.
    #[error("it is dropped: {0}")]
    Refused(Obstacle),
    /// What had its name is gone, or emptied where it was a file and is one again.
    #[error("it takes the place of a {}{}", was.name(), also(*.links))]
    Overrode {
        /// What stood there.
        was: Kind,
        /// How many names what stood there had.
        links: u32,
    },
    /// A device of the same type stands there and stays; it takes the entry's mode and owner.
    #[error("the device {}:{} that is there stays", found.0, found.1)]
    Kept {
        /// The number of the device that is there: major, minor.
        found: (u32, u32),
        /// The number that the entry has.
        wanted: (u32, u32),
    },
    /// It is one more name of a file.
    #[error("it is a hard link to {}", Shown(.first))]
    LinkedTo {
        /// The name under which the same device, inode and type came first.
        first: Arc<[u8]>,
    },
    /// It should be one more name of a file, and is not; its data is dropped.
    #[error("it is dropped: no hard link to {}: {obstacle}", Shown(.first))]
    NotLinked {
        /// The name under which the same device, inode and type came first.
        first: Arc<[u8]>,
        /// What stands in the way.
        obstacle: Obstacle,
    },
    /// A NUL stands inside the name, and ends it; what is behind are not NULs alone.
    #[error("its name ends at a NUL, {dropped} bytes early")]
    NameCut {
        /// How many bytes after that are not read.
        dropped: usize,
    },
    /// The name has no final NUL: what is read after it depends on what lies in memory.
    #[error("its name has no final NUL")]
    NoFinalNul,
    /// The check that goes first keeps a name in 4098 bytes, whatever its size.
    #[error("its name of {size} bytes may overrun a buffer of the check")]
    Overrun {
        /// The name's size, as the header has it.
        size: u32,
    },
    /// The image ends in its midst.
    #[error("the image ends {missing} bytes too early")]
    CutShort {
        /// How many bytes of header, name or data are not there.
        missing: u64,
    },
}

/// The other names of a file that is replaced.
fn also(links: u32) -> String {
    match links {
        0 | 1 => String::new(),
        _ => format!(", one of {links} names of it"),
    }
}

/// Why an entry is passed over by its header alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Skip {
    /// The size of its name is 0.
    #[error("it has no name")]
    NoName,
    /// Its name is too long.
    #[error("its name takes {0} bytes, and 4096 are the most")]
    LongName(u32),
    /// The target of a link is too long.
    #[error("its target takes {0} bytes, and 4096 are the most")]
    LongTarget(u32),
    /// It has data, and is neither a file nor a link.
    #[error("it has {size} bytes of data, and is neither a file nor a link (mode {mode:o})")]
    Data {
        /// The size of the data.
        size: u32,
        /// The mode.
        mode: u16,
    },
    /// Its mode has no known type; what has its name is removed all the same.
    #[error("mode {0:o} is of no type")]
    NoType(u16),
}

/// Why the file system of the kernel refuses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Obstacle {
    /// `ENOENT`.
    #[error("a directory of its path is not there")]
    NotFound,
    /// `ENOTDIR`.
    #[error("a part of its path is no directory")]
    NotDirectory,
    /// `EISDIR`, or `EPERM` of a link to one.
    #[error("a directory stands there")]
    IsDirectory,
    /// `EEXIST`.
    #[error("something stands there")]
    Exists,
    /// `ENOTEMPTY`.
    #[error("a directory that is not empty stands there")]
    NotEmpty,
    /// `EBUSY` or `EINVAL`: the root, `.` or `..`.
    #[error("it ends in no name")]
    NoName,
    /// `ELOOP`.
    #[error("its path follows more than 40 links")]
    Loop,
    /// `ENAMETOOLONG`.
    #[error("a part of its path is longer than 255 bytes, or the whole than 4095")]
    LongName,
    /// A device or pipe would be opened for writing.
    #[error("what stands there is no file")]
    NotRegular,
    /// The link has no target.
    #[error("the target is empty")]
    NoTarget,
    /// A bound of this model alone: the links of the image lead through more steps than any image
    /// made in earnest.
    #[error("the links of the image lead too far")]
    Exhausted,
}

/// What ends the unpacking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub fault: Fault,
    /// The kernel's words for it; empty where an old kernel, having checked before, says nothing.
    pub message: &'static str,
}

/// What an unpacker does not go on after.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// An entry begins with other bytes than the format's magic.
    #[error("no entry begins with {}", Shown(.0))]
    NoMagic([u8; 6]),
    /// What follows an entry's padding does not begin at a multiple of four.
    #[error("what follows begins at no multiple of four")]
    Misaligned,
    /// After an entry in a compressed member comes neither a zero nor another entry.
    #[error("byte {0:#04x} follows an entry")]
    Junk(u8),
    /// A member does not end where an archive ends.
    #[error("the member ends in the midst of an archive")]
    EndsWithin,
    /// Neither an archive nor a member that the kernel can tell begins here.
    #[error("neither an archive nor a compression begins here")]
    NoArchive,
    /// The kernel is older than its support for the compression.
    #[error("the kernel cannot read {}", .0.name())]
    Unreadable(Format),
    /// The member does not decode.
    #[error("corrupt {} data: {reason}", format.name())]
    Corrupt {
        /// The compression.
        format: Format,
        /// The decoder's words.
        reason: String,
    },
    /// A name does not end with a NUL.
    #[error("the name does not end with a NUL")]
    NoFinalNul,
    /// The data of a `070702` entry is not what its checksum says.
    #[error("the data sums up to {found:08x}, and {expected:08x} is expected")]
    Checksum {
        /// The sum of the data.
        found: u32,
        /// The sum in the header.
        expected: u32,
    },
}

impl Fault {
    /// The kernel's words. Of a member that does not decode, its decoder says more, in words of its
    /// own.
    #[must_use]
    pub fn message(&self, words: Words) -> &'static str {
        match (self, words) {
            (Fault::NoMagic(found), _) if words.know(*found) => OTHER_CPIO,
            (Fault::NoMagic(_), _) => "no cpio magic",
            (Fault::Misaligned, _) => "broken padding",
            (Fault::Junk(_), Words::Today) => "junk within compressed archive",
            (Fault::EndsWithin, Words::Today) => "junk at the end of compressed archive",
            (Fault::EndsWithin, Words::Old) => "junk in gzipped archive",
            (Fault::Junk(_) | Fault::EndsWithin, _) => "junk in compressed archive",
            (Fault::NoArchive | Fault::Unreadable(_), Words::Today) => {
                "invalid magic at start of compressed archive"
            }
            (Fault::NoArchive | Fault::Unreadable(_), Words::Middle) => {
                "junk in compressed archive"
            }
            (Fault::NoArchive | Fault::Unreadable(_), Words::Old) => "bad gzip magic numbers",
            (Fault::Corrupt { .. }, Words::Old) => "invalid compressed format",
            (Fault::Corrupt { .. }, _) => "decompressor failed",
            (Fault::NoFinalNul, _) => "malformed archive",
            (Fault::Checksum { .. }, _) => "bad data checksum",
        }
    }
}

impl Words {
    /// Whether this magic has words of its own; the second is read from 5.19 on.
    fn know(self, magic: [u8; 6]) -> bool {
        match &magic {
            b"070707" => self != Words::Old,
            b"070702" => self == Words::Today,
            _ => false,
        }
    }
}

const OTHER_CPIO: &str = "incorrect cpio method used: use -H newc option";
