//! What an image holds, as far as judging it takes: every entry and every flaw, and of the data no
//! more than facts and small texts.

use crate::archive::{Entry, FileType, Flaw, LimitMet, SegmentEnd, SegmentStart};
use crate::digest::Digest;
use crate::elf::ElfFault;
use crate::elf::program::ProgramFacts;
use crate::image_path::{BadPath, ImagePath};
use crate::kmod::module_file::ModuleFault;

use super::module::InspectedModule;

/// An image, read to its end or as far as it could be.
#[derive(Debug, Default)]
pub struct Picture {
    /// Its size in bytes, as far as it was read.
    pub size: u64,
    /// Its last four bytes, as a little-endian number, if it was read to its end.
    pub last: Option<u32>,
    /// Its segments, in order.
    pub segments: Vec<Segment>,
    /// Every entry of every segment, in order.
    pub items: Vec<Item>,
    /// What is not as the format has it, in order.
    pub flaws: Vec<Flaw>,
    /// The bound that ended the reading.
    pub limit: Option<LimitMet>,
}

/// A segment of an image.
#[derive(Debug)]
pub struct Segment {
    /// Where it begins.
    pub start: SegmentStart,
    /// What is known of it since it ended; `None` where reading ended before.
    pub end: Option<SegmentEnd>,
    /// How many entries it holds.
    pub entries: usize,
}

/// An entry, and what is in it.
#[derive(Debug)]
pub struct Item {
    /// The entry as it stands.
    pub entry: Entry,
    /// Where it goes; or why its name is no path.
    pub path: Result<ImagePath, BadPath>,
    /// What is in it.
    pub content: Content,
    /// The SHA-256 of a file's data, where it was asked for.
    pub digest: Option<Digest>,
}

/// What is in an entry.
#[derive(Debug)]
pub enum Content {
    /// No data, or none that was looked into.
    Opaque,
    /// The target of a symbolic link.
    Link(Vec<u8>),
    /// A small text, whole.
    Text(Vec<u8>),
    /// A kernel module, compressed or not.
    Module(Box<Result<InspectedModule, ModuleFault>>),
    /// Any other ELF file.
    Program(Box<Result<ProgramFacts, ElfFault>>),
}

impl Picture {
    /// Whether reading ended before the image may have: what seems to be missing may lie behind.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        let mut flaws = self.flaws.iter();
        self.limit.is_some() || flaws.any(|flaw| flaw.kind.hides_the_rest())
    }

    /// The entry whose header stands at `offset` of segment `segment`, unpacked.
    #[must_use]
    pub fn item_at(&self, segment: usize, offset: u64) -> Option<&Item> {
        let place = (segment, offset);
        let of = |item: &Item| (item.entry.segment, item.entry.offset);
        let number = self.items.partition_point(|item| of(item) < place);
        self.items.get(number).filter(|item| of(item) == place)
    }
}

impl Content {
    /// The text, if it is a small one.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Item {
    /// The type of file.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.entry.header.file_type()
    }

    /// The text it holds, if it is a small one.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}
