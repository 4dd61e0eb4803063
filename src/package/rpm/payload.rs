//! The files: a cpio archive in the newc format; or, where one of them has 4 GiB or more, in rpm's own, whose
//! entries have a number each, and all else in the header.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::header::{Header as Tags, tag};
use crate::archive::{FileType, Header, Limits};
use crate::image_path::ImagePath;
use crate::package::entry::TARGET_LIMIT;
use crate::package::unpacked::Unpacked;
use crate::package::{Entry, Kind, PackageError, Visitor};

/// The bytes of a newc header, and of rpm's own: its magic, the number, padding.
const NEWC: usize = 110;
const STRIPPED: usize = 16;
/// What rpm's own headers begin with.
const STRIPPED_MAGIC: &[u8] = b"07070X";
/// The name of the last entry.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Shows `visitor` the files of the archive that `unpacked` is, and reads it to its end unless told to stop.
pub(super) fn read<R: Read>(
    unpacked: &mut Unpacked<R>,
    tags: &Tags,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<ControlFlow<()>, PackageError> {
    let start = unpacked.peek(crate::archive::TELLING)?;
    if !start.starts_with(b"07070") {
        return Err(match PackageError::unknown(start) {
            encrypted @ PackageError::Encrypted(_) => encrypted,
            _ => PackageError::Damaged("its payload is no cpio archive".to_owned()),
        });
    }
    let mut walk = Walk {
        tags,
        names: Names::default(),
        limits,
        visitor,
        entries: 0,
        groups: HashMap::new(),
        is_visitors: false,
    };
    match walk.run(&mut *unpacked) {
        Err(error) if walk.is_visitors => Err(unpacked.blame_first(error)),
        Err(error) => Err(unpacked.blame(error)),
        Ok(ControlFlow::Continue(())) => unpacked.finish().map(ControlFlow::Continue),
        Ok(stopped) => Ok(stopped),
    }
}

/// An archive on its way.
struct Walk<'w, 'v> {
    tags: &'w Tags,
    names: Names<'w>,
    limits: &'w Limits,
    visitor: &'w mut Visitor<'v>,
    entries: u64,
    /// A number for each file of several names, by its device and inode.
    groups: HashMap<(u64, u64), u32>,
    /// Whether what went wrong went wrong with the visitor.
    is_visitors: bool,
}

/// What is known of an entry before its data.
struct Known {
    name: Vec<u8>,
    /// The type and the permission bits.
    mode: u32,
    mtime: u32,
    size: u64,
    rdev: (u32, u32),
    /// Device and inode, where it has several names.
    inode: Option<(u64, u64)>,
}

impl Walk<'_, '_> {
    fn run(&mut self, mut content: impl Read) -> Result<ControlFlow<()>, PackageError> {
        while let Some(known) = self.next(&mut content)? {
            self.entries += 1;
            self.limits.hold_entries(self.entries)?;
            let size = known.size;
            let mut data = (&mut content).take(size);
            let entry = self.entry(known, &mut data)?;
            // Only a file's data are its own: whatever else says that it has some is passed over with it.
            let own = entry.size();
            let flow = (self.visitor)(entry, &mut Read::take(&mut data, own));
            self.is_visitors = flow.is_err();
            let flow = flow?;
            if flow.is_break() {
                return Ok(flow);
            }
            if io::copy(&mut data, &mut io::sink())? < data.limit() {
                return Err(PackageError::Truncated);
            }
            skip(&mut content, padding(size))?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What is known of the next entry; nothing at the trailer.
    fn next(&mut self, content: &mut dyn Read) -> Result<Option<Known>, PackageError> {
        let mut bytes = [0; NEWC];
        let (short, rest) = bytes.split_at_mut(STRIPPED);
        content.read_exact(short)?;
        if short.starts_with(STRIPPED_MAGIC) {
            let digits = short
                .get(6..14)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            let place = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
            return self.of_tags(place.ok_or_else(misplaced)?).map(Some);
        }
        content.read_exact(rest)?;
        let header = Header::parse(&bytes).map_err(|_| misplaced())?;
        if u64::from(header.name_size) > self.limits.name {
            return Err(PackageError::Damaged(
                "a name that is longer than names may be".to_owned(),
            ));
        }
        let mut name = vec![0; header.name_size as usize];
        content.read_exact(&mut name)?;
        skip(content, padding(NEWC as u64 + u64::from(header.name_size)))?;
        name.truncate(
            name.iter()
                .position(|&byte| byte == 0)
                .unwrap_or(name.len()),
        );
        let device = u64::from(header.dev.0) << 32 | u64::from(header.dev.1);
        Ok((name != TRAILER).then_some(Known {
            name,
            mode: header.mode,
            mtime: header.mtime,
            size: header.size.into(),
            rdev: header.rdev,
            inode: (header.nlink > 1).then_some((device, header.ino.into())),
        }))
    }

    /// What the header says of the file in a place of its arrays.
    fn of_tags(&mut self, place: usize) -> Result<Known, PackageError> {
        let tags = self.tags;
        self.names.fill(tags, self.limits)?;
        let unknown =
            || PackageError::Damaged(format!("its header has no file of the number {place}"));
        let name = self.names.of(tags, place).ok_or_else(unknown)?;
        let number = |tag| tags.number(tag, place);
        let size = number(tag::LONG_FILE_SIZES).or_else(|| number(tag::FILE_SIZES));
        let mode = number(tag::FILE_MODES).ok_or_else(unknown)? as u32;
        let inode = number(tag::FILE_DEVICES).zip(number(tag::FILE_INODES));
        let links = self.names.links(inode);
        let rdev = number(tag::FILE_RDEVS).unwrap_or_default();
        Ok(Known {
            name,
            mode,
            mtime: number(tag::FILE_MTIMES).unwrap_or_default() as u32,
            size: match mode & 0o170_000 {
                0o040_000 => 0,
                // Of the names of one file the last has the data.
                _ if links.is_some_and(|last| last != place) => 0,
                _ => size.ok_or_else(unknown)?,
            },
            rdev: (
                (rdev >> 8 & 0xfff) as u32,
                (rdev & 0xff | rdev >> 12 & 0xfff00) as u32,
            ),
            inode: inode.filter(|_| links.is_some()),
        })
    }

    fn entry(&mut self, known: Known, data: &mut dyn Read) -> Result<Entry, PackageError> {
        let Known {
            name,
            mode,
            mtime,
            size,
            rdev: (major, minor),
            inode,
        } = known;
        let of_type = Header {
            mode,
            ..Header::default()
        };
        let kind = match of_type.file_type() {
            FileType::Regular => {
                let next = self.groups.len() as u32;
                let group = inode.map(|inode| *self.groups.entry(inode).or_insert(next));
                Kind::Regular { size, group }
            }
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink(target(data, size)?),
            FileType::Char => Kind::Char(major, minor),
            FileType::Block => Kind::Block(major, minor),
            FileType::Fifo => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            FileType::Unknown => {
                return Err(PackageError::Damaged(format!(
                    "an entry of the mode {mode:o}, which is of no type"
                )));
            }
        };
        Ok(Entry {
            path: ImagePath::new(&name).map_err(|bad| PackageError::Path { name, bad })?,
            kind,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            mtime,
        })
    }
}

/// The files' names in the header, and which are the same file; made when they are first asked for.
#[derive(Default)]
struct Names<'t> {
    directories: Vec<&'t [u8]>,
    names: Vec<&'t [u8]>,
    /// The last place of each file of several names.
    last: HashMap<(u64, u64), Option<usize>>,
}

impl<'t> Names<'t> {
    fn fill(&mut self, tags: &'t Tags, limits: &Limits) -> Result<(), PackageError> {
        if !self.names.is_empty() {
            return Ok(());
        }
        for tag in [tag::DIR_NAMES, tag::BASE_NAMES, tag::OLD_FILE_NAMES] {
            limits.hold_entries(tags.count(tag))?;
        }
        self.directories = tags.strings(tag::DIR_NAMES).collect();
        self.names = tags.strings(tag::BASE_NAMES).collect();
        if self.names.is_empty() {
            self.names = tags.strings(tag::OLD_FILE_NAMES).collect();
        }
        for place in 0..self.names.len() {
            let number = |tag| tags.number(tag, place);
            let is_file = number(tag::FILE_MODES).is_some_and(|mode| mode & 0o170_000 == 0o100_000);
            let inode = number(tag::FILE_DEVICES).zip(number(tag::FILE_INODES));
            if let Some(inode) = inode.filter(|_| is_file) {
                let known = self.last.contains_key(&inode);
                self.last.insert(inode, known.then_some(place));
            }
        }
        Ok(())
    }

    /// The name in a place.
    fn of(&self, tags: &'t Tags, place: usize) -> Option<Vec<u8>> {
        let name = self.names.get(place)?;
        let Some(directory) = tags.number(tag::DIR_INDEXES, place) else {
            return Some(name.to_vec());
        };
        let directory = self.directories.get(usize::try_from(directory).ok()?)?;
        Some([directory, *name].concat())
    }

    /// The last place of the file with this inode, where it has several.
    fn links(&self, inode: Option<(u64, u64)>) -> Option<usize> {
        *self.last.get(&inode?)?
    }
}

fn misplaced() -> PackageError {
    PackageError::Damaged(
        "where an entry of its payload should begin stands something else".to_owned(),
    )
}

fn target(data: &mut dyn Read, size: u64) -> Result<Vec<u8>, PackageError> {
    if size >= TARGET_LIMIT {
        return Err(PackageError::long_target());
    }
    let mut target = vec![0; size as usize];
    data.read_exact(&mut target)?;
    target.truncate(
        target
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(target.len()),
    );
    Ok(target)
}

/// The bytes up to the next multiple of four.
const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % 4
}

fn skip(content: &mut dyn Read, count: u64) -> io::Result<()> {
    let mut padding = [0; 3];
    content.read_exact(padding.get_mut(..count as usize).unwrap_or_default())
}
