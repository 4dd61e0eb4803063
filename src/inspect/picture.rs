//! What an image holds, as far as judging it takes: every entry and every flaw, and of the data no
//! more than facts and small texts.

use std::collections::HashMap;
use std::sync::OnceLock;

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
    /// Its segments, in order.
    pub segments: Vec<Segment>,
    /// Every entry of every segment, in order.
    pub items: Vec<Item>,
    /// What is not as the format has it, in order.
    pub flaws: Vec<Flaw>,
    /// The bound that ended the reading.
    pub limit: Option<LimitMet>,
    /// Of each file with several names the number of the entry that holds its data, when that has been
    /// asked for: an image may have nothing but such names, and looking through all for each takes hours.
    holders: OnceLock<HashMap<LinkKey, usize>>,
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
    /// The number of the entry that holds the data of entry `number`: of several names of one file
    /// (the same segment, device and inode) the last that has any.
    #[must_use]
    pub fn with_data(&self, number: usize) -> usize {
        let Some(key) = self.items.get(number).and_then(Item::link_key) else {
            return number;
        };
        let holders = self.holders.get_or_init(|| self.holders());
        holders.get(&key).copied().unwrap_or(number)
    }

    fn holders(&self) -> HashMap<LinkKey, usize> {
        let names = self.items.iter().enumerate();
        let with_data = names.filter(|(_, item)| item.entry.header.size > 0);
        with_data
            .filter_map(|(number, item)| Some((item.link_key()?, number)))
            .collect()
    }
}

/// What the names of one file have in common: segment, device, inode.
type LinkKey = (usize, (u32, u32), u32);

impl Item {
    /// What the names of one file have in common, where it may have several.
    fn link_key(&self) -> Option<LinkKey> {
        let header = &self.entry.header;
        let is_linked = header.nlink > 1 && self.file_type() == FileType::Regular;
        is_linked.then_some((self.entry.segment, header.dev, header.ino))
    }

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
