//! From the bytes of an image to its [`Picture`].

use sha2::{Digest as _, Sha256};

use crate::archive::{
    Archive, Entry, Event, FileType, Flaw, LimitMet, Limits, ReadError, SegmentStart, Tap,
};
use crate::compress::detect;
use crate::digest::Digest;
use crate::elf::ElfFault;
use crate::elf::program::ProgramFacts;
use crate::image_path::ImagePath;
use crate::kmod::name::is_module_file;

use super::module::InspectedModule;
use super::picture::{Content, Item, Picture, Segment};

/// The largest ELF file, or compressed module, that is looked into, in bytes.
pub const BINARY_LIMIT: u64 = 48 << 20;
/// The longest target of a link that is kept, in bytes: `PATH_MAX`.
const LINK_LIMIT: u32 = 4096;
/// The largest text that is kept, in bytes: of real images the lists of all a kernel's modules.
pub const TEXT_LIMIT: u64 = 2 << 20;
/// The most bytes of texts that are kept in all, but for an init: there is nothing to judge it by else.
const TEXTS_LIMIT: u64 = 16 << 20;
/// The bytes that an entry takes besides what is kept of it, about: in the models of the kernel and of
/// the tree while they are made, and in a finding or two.
const BESIDES: usize = 480;
/// How many times an entry's name is kept: with the entry, as its path, and wherever else it is met.
const NAMES: usize = 6;
/// The bytes that each of these takes where addresses have 64 bits, and counts as on any host: all must meet
/// a limit at the same entry.
const SEGMENT: usize = 136;
const FLAW: usize = 104;
const ITEM: usize = 192;
const MODULE: usize = 152;
const PROGRAM: usize = 112;
const _: () = assert!(
    size_of::<Segment>() <= SEGMENT
        && size_of::<Flaw>() <= FLAW
        && size_of::<Item>() <= ITEM
        && size_of::<InspectedModule>() <= MODULE
        && size_of::<ProgramFacts>() <= PROGRAM
);

/// How many bytes of a file tell whether more of it is to be looked at: no more than are given together
/// in any case.
const START: usize = 64;

/// How much of the files is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Nothing but where links lead.
    Outline,
    /// What judging them takes.
    Facts,
    /// The same, and the SHA-256 of what is in them.
    Digests,
}

/// Reads `archive` to its end, or as far as a bound lets it: `limits` say how much may be kept.
///
/// # Errors
/// When the medium fails.
pub fn read(
    archive: &mut Archive<impl Tap>,
    depth: Depth,
    limits: &Limits,
) -> Result<Picture, ReadError> {
    let mut reading = Reading {
        picture: Picture::default(),
        depth,
        limits: *limits,
        kept: 0,
        texts: 0,
        to_unpack: limits.size / 4,
        gathered: Vec::new(),
    };
    let done = reading.run(archive);
    reading.picture.size = archive.position();
    reading.picture.items.shrink_to_fit();
    match done {
        Err(ReadError::Limit(limit)) => reading.picture.limit = Some(limit),
        done => {
            done?;
            reading.picture.last = Some(archive.last_read());
        }
    }
    Ok(reading.picture)
}

/// A picture on its way.
struct Reading {
    picture: Picture,
    depth: Depth,
    limits: Limits,
    /// The bytes of all that has been kept, about.
    kept: u64,
    /// Those of texts among them.
    texts: u64,
    /// The bytes that compressed modules may still come to: all of a kernel's are half a gigabyte.
    to_unpack: u64,
    /// Where the data of one entry is gathered.
    gathered: Vec<u8>,
}

impl Reading {
    fn run(&mut self, archive: &mut Archive<impl Tap>) -> Result<(), ReadError> {
        while let Some(event) = archive.next_event()? {
            match event {
                Event::Segment(start) => self.take_segment(start)?,
                Event::SegmentEnd(end) => {
                    if let Some(segment) = self.picture.segments.last_mut() {
                        segment.end = Some(end);
                    }
                }
                Event::Flaw(flaw) => self.take_flaw(flaw)?,
                Event::Entry(entry) => self.take_entry(entry, archive)?,
            }
        }
        Ok(())
    }

    fn take_segment(&mut self, start: SegmentStart) -> Result<(), ReadError> {
        self.keep(SEGMENT)?;
        self.picture.segments.push(Segment {
            start,
            end: None,
            entries: 0,
        });
        Ok(())
    }

    fn take_flaw(&mut self, flaw: Flaw) -> Result<(), ReadError> {
        let name = flaw.entry.as_ref().map_or(0, Vec::len);
        self.keep(FLAW + BESIDES + NAMES * name)?;
        self.picture.flaws.push(flaw);
        Ok(())
    }

    fn take_entry(
        &mut self,
        entry: Entry,
        archive: &mut Archive<impl Tap>,
    ) -> Result<(), ReadError> {
        if let Some(segment) = self.picture.segments.last_mut() {
            segment.entries += 1;
        }
        self.keep(ITEM + BESIDES + NAMES * entry.name.len())?;
        let (content, digest) = self.content(&entry, archive)?;
        self.keep(weight(&content))?;
        self.picture.items.push(Item {
            path: ImagePath::new(&entry.name),
            entry,
            content,
            digest,
        });
        Ok(())
    }

    /// Counts `bytes` more that are kept.
    fn keep(&mut self, bytes: usize) -> Result<(), LimitMet> {
        self.kept += bytes as u64;
        self.limits.hold_kept(self.kept)
    }

    fn content(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<impl Tap>,
    ) -> Result<(Content, Option<Digest>), ReadError> {
        match entry.header.file_type() {
            FileType::Symlink if entry.header.size <= LINK_LIMIT => {
                let target = gather(&mut self.gathered, archive)?.to_vec();
                Ok((Content::Link(target), None))
            }
            FileType::Regular if self.depth != Depth::Outline => self.file(entry, archive),
            _ => Ok((Content::Opaque, None)),
        }
    }

    fn file(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<impl Tap>,
    ) -> Result<(Content, Option<Digest>), ReadError> {
        if self.to_unpack == 0 {
            return Err(LimitMet::Size(self.limits.size / 4).into());
        }
        let size = u64::from(entry.header.size);
        let look = self.look(entry, archive.data()?.unwrap_or_default());
        if look == Look::None {
            let digest = (self.depth == Depth::Digests).then(|| digest(archive));
            return Ok((Content::Opaque, digest.transpose()?));
        }
        // What came in one piece need not be gathered.
        let bytes = match archive.handed() {
            whole if whole.len() as u64 == size => whole,
            _ => gather(&mut self.gathered, archive)?,
        };
        let digest = (self.depth == Depth::Digests).then(|| Digest::of(bytes));
        let content = match look {
            Look::Module => {
                Content::Module(Box::new(InspectedModule::read(bytes, &mut self.to_unpack)))
            }
            Look::Program => Content::Program(Box::new(program(&entry.name, bytes))),
            Look::Text if is_text(bytes) => {
                self.texts += size;
                Content::Text(bytes.to_vec())
            }
            Look::Text | Look::None => Content::Opaque,
        };
        Ok((content, digest))
    }

    /// What is to be looked at in a file that begins with `start`.
    fn look(&self, entry: &Entry, start: &[u8]) -> Look {
        let size = u64::from(entry.header.size);
        // How much comes at once is a matter of chance: of a pipe's pieces, of a member's windows.
        let start = start.get(..START).unwrap_or(start);
        let file_name = entry.name.rsplit(|&byte| byte == b'/').next();
        let is_module = file_name.is_some_and(is_module_file);
        let is_elf = start.starts_with(b"\x7fELF");
        let has_room = self.texts + size <= TEXTS_LIMIT || is_init(&entry.name);
        let is_text = size <= TEXT_LIMIT && has_room && is_text(start);
        match (is_module, is_elf) {
            _ if size > BINARY_LIMIT => Look::None,
            (true, _) if is_elf || detect(start).is_some() => Look::Module,
            (_, true) => Look::Program,
            _ if is_text => Look::Text,
            _ => Look::None,
        }
    }
}

/// What is looked at in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    None,
    Module,
    Program,
    Text,
}

/// What is known of a program; by some names busybox may go, and xinitrd's own init by any that `/init` leads to.
fn program(name: &[u8], bytes: &[u8]) -> Result<ProgramFacts, ElfFault> {
    let mut facts = ProgramFacts::parse(bytes)?;
    let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    let may_be = matches!(name, b"init" | b"insmod" | b"modprobe" | b"sh" | b"ash");
    if may_be || name.starts_with(b"busybox") {
        facts.look_for_busybox(bytes);
    }
    facts.look_for_native_init(bytes);
    Ok(facts)
}

/// The bytes that what is known of a file takes, about.
fn weight(content: &Content) -> usize {
    match content {
        Content::Opaque => 0,
        Content::Link(target) => target.len(),
        Content::Text(text) => text.len(),
        Content::Module(module) => match module.as_ref() {
            Ok(module) => MODULE + module.weight(),
            Err(_) => MODULE,
        },
        Content::Program(program) => {
            PROGRAM
                + match program.as_ref() {
                    Ok(program) => program.weight(),
                    Err(_) => 0,
                }
        }
    }
}

/// The data of the entry whose first piece was looked at, whole.
fn gather<'g>(
    gathered: &'g mut Vec<u8>,
    archive: &mut Archive<impl Tap>,
) -> Result<&'g [u8], ReadError> {
    gathered.clear();
    archive.append_data(gathered)?;
    Ok(gathered)
}

/// The digest of the data of the entry whose first piece was looked at.
fn digest(archive: &mut Archive<impl Tap>) -> Result<Digest, ReadError> {
    let mut state = Sha256::new();
    archive.rewind();
    while let Some(bytes) = archive.data()? {
        state.update(bytes);
    }
    Ok(state.into())
}

/// Whether bytes are text: without a NUL, or a script, behind whose lines anything may lie.
fn is_text(bytes: &[u8]) -> bool {
    bytes.starts_with(b"#!") || memchr::memchr(0, bytes).is_none()
}

/// Whether an entry is the first program.
fn is_init(name: &[u8]) -> bool {
    ImagePath::new(name).is_ok_and(|path| path.as_bytes() == b"init")
}
