//! From the bytes of an image to its [`Picture`].

use crate::archive::{Archive, Entry, Event, FileType, ReadError};
use crate::compress::detect;
use crate::elf::program::ProgramFacts;
use crate::image_path::ImagePath;

use super::module::InspectedModule;
use super::picture::{Content, Item, Picture, Segment};

/// The largest ELF file, or compressed module, that is looked into, in bytes.
const BINARY_LIMIT: u64 = 64 << 20;
/// The largest text that is kept, in bytes: of real images the lists of all a kernel's modules.
const TEXT_LIMIT: u64 = 2 << 20;
/// The most bytes of texts that are kept in all.
const TEXTS_LIMIT: u64 = 16 << 20;

/// Reads `archive` to its end, or as far as a bound lets it.
///
/// # Errors
/// When the medium fails.
pub fn read(archive: &mut Archive) -> Result<Picture, ReadError> {
    let mut reading = Reading::default();
    match reading.run(archive) {
        Err(ReadError::Limit(limit)) => reading.picture.limit = Some(limit),
        done => done?,
    }
    Ok(reading.picture)
}

/// Reads `archive` to its end, and of its files nothing but where links lead.
///
/// # Errors
/// When the medium fails, or a bound is met.
pub fn outline(archive: &mut Archive) -> Result<Picture, ReadError> {
    let mut reading = Reading {
        is_outline: true,
        ..Reading::default()
    };
    reading.run(archive)?;
    Ok(reading.picture)
}

/// A picture on its way.
#[derive(Default)]
struct Reading {
    picture: Picture,
    /// Whether files are passed over.
    is_outline: bool,
    /// The bytes of texts that have been kept.
    kept: u64,
    /// Where the data of one entry is gathered.
    gathered: Vec<u8>,
}

impl Reading {
    fn run(&mut self, archive: &mut Archive) -> Result<(), ReadError> {
        while let Some(event) = archive.next_event()? {
            self.take(event, archive)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event, archive: &mut Archive) -> Result<(), ReadError> {
        match event {
            Event::Segment(start) => self.picture.segments.push(Segment {
                start,
                end: None,
                entries: 0,
            }),
            Event::SegmentEnd(end) => {
                if let Some(segment) = self.picture.segments.last_mut() {
                    self.picture.size = segment.start.offset + end.size;
                    segment.end = Some(end);
                }
            }
            Event::Flaw(flaw) => self.picture.flaws.push(flaw),
            Event::Entry(entry) => {
                if let Some(segment) = self.picture.segments.last_mut() {
                    segment.entries += 1;
                }
                let content = self.content(&entry, archive)?;
                self.picture.items.push(Item {
                    path: ImagePath::new(&entry.name),
                    entry,
                    content,
                });
            }
        }
        Ok(())
    }

    fn content(&mut self, entry: &Entry, archive: &mut Archive) -> Result<Content, ReadError> {
        let size = u64::from(entry.header.size);
        match entry.header.file_type() {
            FileType::Symlink if size <= 4096 => Ok(Content::Link(self.gather(archive)?.to_vec())),
            FileType::Regular if !self.is_outline => self.file(entry, size, archive),
            _ => Ok(Content::Opaque),
        }
    }

    fn file(
        &mut self,
        entry: &Entry,
        size: u64,
        archive: &mut Archive,
    ) -> Result<Content, ReadError> {
        let Some(start) = archive.data()? else {
            return Ok(Content::Text(Vec::new()));
        };
        let name = entry.name.as_slice();
        let is_module = is_module(name);
        let is_elf = start.starts_with(b"\x7fELF");
        if (is_elf || is_module && detect(start).is_some()) && size <= BINARY_LIMIT {
            let bytes = self.gather(archive)?;
            return Ok(match is_module {
                true => Content::Module(Box::new(InspectedModule::read(bytes))),
                false => Content::Program(Box::new(ProgramFacts::parse(bytes))),
            });
        }
        if size <= TEXT_LIMIT && self.kept + size <= TEXTS_LIMIT && !start.contains(&0) {
            self.kept += size;
            return Ok(Content::Text(self.gather(archive)?.to_vec()));
        }
        Ok(Content::Opaque)
    }

    /// The data of the entry whose first piece was looked at, whole.
    fn gather(&mut self, archive: &mut Archive) -> Result<&[u8], ReadError> {
        self.gathered.clear();
        archive.append_data(&mut self.gathered)?;
        Ok(&self.gathered)
    }
}

/// Whether a file is called as modules are.
fn is_module(name: &[u8]) -> bool {
    let endings: [&[u8]; 4] = [b".ko", b".ko.gz", b".ko.xz", b".ko.zst"];
    endings.iter().any(|ending| name.ends_with(ending))
}
