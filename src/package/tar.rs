//! Tar archives (POSIX ustar and pax, GNU tar's long names), the only importer of the `tar` crate. It gives
//! headers and data as they stand; what extends a header is read here, within bounds: the crate takes as much
//! memory for a name as an archive says that it is long.

use std::io::{self, Read};
use std::ops::ControlFlow;

use ::tar::{Archive, EntryType, Header};

use super::entry::TARGET_LIMIT;
use super::unpacked::Unpacked;
use super::{Entry, Facts, Format, Kind, PackageError, Visitor, pax};
use crate::archive::Limits;
use crate::image_path::ImagePath;

/// The bytes of a block, of which a header is one.
const BLOCK: usize = 512;
/// The largest extended header that is read, in bytes: names, and what else pax knows of a file.
const EXTENSION_LIMIT: u64 = 1 << 20;
/// The largest `.PKGINFO` that is read, in bytes; real ones have some kilobytes.
const PKGINFO_LIMIT: u64 = 1 << 20;

/// What the names of Alpine's signatures begin with.
const SIGNATURE: &[u8] = b".SIGN.";

/// Whether `start` is the beginning of a tar archive: its first header has the right checksum. An archive of
/// no files begins with the zeros that it ends with.
pub(super) fn is_tar(start: &[u8]) -> bool {
    let Some(block) = start.first_chunk::<BLOCK>() else {
        return false;
    };
    let header = Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, &byte)| match at {
            // The checksum's own field counts as blanks.
            148..156 => u32::from(b' '),
            _ => u32::from(byte),
        })
        .sum();
    block.iter().all(|&byte| byte == 0) || header.cksum().is_ok_and(|said| said == sum)
}

/// Shows `visitor` the files of the archive that `unpacked` begins with, and reads it to its end unless told
/// to stop. What it says of itself are the facts of a package of Arch or Alpine, where it is one.
pub(super) fn read<R: Read>(
    unpacked: &mut Unpacked<R>,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<Facts, PackageError> {
    let mut walk = Walk {
        limits,
        visitor,
        facts: Facts::none(Format::Tar),
        is_signed: false,
        is_visitors: false,
        entries: 0,
        extended: Extended::default(),
    };
    let walked = walk.run(&mut *unpacked);
    // Of Alpine's parts only the last may end with the two blocks of zeros that other archives must end with: there
    // the parts count, each a member of its own: the signature, where there is one, what the package says, its files.
    let (mut facts, parts) = (walk.facts, 2 + u64::from(walk.is_signed));
    let members = unpacked.gzip_members();
    // What has no such parts is of Arch, whose packages had a `.PKGINFO` alone before they had an `.MTREE`.
    if facts.format == Format::Apk && members < 2 && !walk.is_signed {
        facts.format = Format::Pacman;
    }
    let is_whole = match facts.format {
        Format::Apk => members >= parts,
        _ => !unpacked.is_at_end(),
    };
    match walked {
        Err(error) if walk.is_visitors => Err(unpacked.blame_first(error)),
        Err(error) => Err(unpacked.blame(error)),
        Ok(ControlFlow::Break(())) => Ok(facts),
        Ok(ControlFlow::Continue(())) if !is_whole => Err(PackageError::Truncated),
        Ok(ControlFlow::Continue(())) => unpacked.finish().map(|()| facts),
    }
}

/// What stands before a header and extends it.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    uid: Option<u32>,
    gid: Option<u32>,
    pax: Vec<u8>,
}

/// An archive on its way.
struct Walk<'w, 'v> {
    limits: &'w Limits,
    visitor: &'w mut Visitor<'v>,
    facts: Facts,
    is_signed: bool,
    /// Whether what went wrong went wrong with the visitor.
    is_visitors: bool,
    entries: u64,
    extended: Extended,
}

impl Walk<'_, '_> {
    fn run(&mut self, content: impl Read) -> Result<ControlFlow<()>, PackageError> {
        let mut archive = Archive::new(content);
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            self.entries += 1;
            self.limits.hold_entries(self.entries)?;
            let header = entry.header().clone();
            if self.extends(&header, &mut entry)? {
                continue;
            }
            if self.take(&header, &mut entry)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Keeps what extends the next header; `false` for any other entry.
    fn extends(&mut self, header: &Header, data: &mut dyn Read) -> Result<bool, PackageError> {
        let read = |data: &mut dyn Read| {
            let size = header.entry_size()?;
            if size > EXTENSION_LIMIT {
                return Err(unsupported("an extended header of more than 1 MiB"));
            }
            let mut bytes = Vec::new();
            data.read_to_end(&mut bytes)?;
            match bytes.len() as u64 == size {
                true => Ok(bytes),
                false => Err(PackageError::Truncated),
            }
        };
        let c_string = |bytes: Vec<u8>| bytes.split(|&b| b == 0).next().map(<[u8]>::to_vec);
        match header.entry_type() {
            EntryType::GNULongName => self.extended.path = c_string(read(data)?),
            EntryType::GNULongLink => self.extended.target = c_string(read(data)?),
            EntryType::XHeader => self.extended.pax = read(data)?,
            // What it says of all files are times and comments; a package's names are each file's own.
            EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take(
        &mut self,
        header: &Header,
        data: &mut ::tar::Entry<'_, impl Read>,
    ) -> Result<ControlFlow<()>, PackageError> {
        let extended = std::mem::take(&mut self.extended).read(header)?;
        let name = extended
            .path
            .unwrap_or_else(|| data.path_bytes().into_owned());
        if let Some(format) = metadata_of(&name) {
            self.metadata(format, &name, data)?;
            return Ok(ControlFlow::Continue(()));
        }
        let target = extended
            .target
            .or_else(|| data.link_name_bytes().map(|target| target.into_owned()));
        let entry = Entry {
            path: path(&name)?,
            kind: kind(header, target.unwrap_or_default())?,
            mode: header.mode()? & 0o7777,
            uid: extended
                .uid
                .map_or_else(|| owner(Some(header.uid()?)), Ok)?,
            gid: extended
                .gid
                .map_or_else(|| owner(Some(header.gid()?)), Ok)?,
            mtime: header.mtime()?.try_into().unwrap_or_default(),
        };
        // A header of another type may have a size, and no data.
        let mut data = data.take(entry.size());
        let flow = (self.visitor)(entry, &mut data);
        self.is_visitors = flow.is_err();
        let flow = flow?;
        if flow.is_continue() && io::copy(&mut data, &mut io::sink())? < data.limit() {
            return Err(PackageError::Truncated);
        }
        Ok(flow)
    }

    /// A file about the package, which is none of the system's.
    fn metadata(
        &mut self,
        format: Format,
        name: &[u8],
        data: &mut dyn Read,
    ) -> Result<(), PackageError> {
        // What Arch has besides `.PKGINFO` comes before it, what Alpine has before or after.
        if self.facts.format != Format::Pacman {
            self.facts.format = format;
        }
        self.is_signed |= name.starts_with(SIGNATURE);
        if name == b".PKGINFO" {
            let mut text = Vec::new();
            data.take(PKGINFO_LIMIT).read_to_end(&mut text)?;
            self.facts
                .take_fields(&text, b'=', [b"pkgname", b"pkgver", b"arch"]);
        }
        Ok(())
    }
}

impl Extended {
    /// With what the pax headers say: records of `LENGTH KEY=VALUE` and a line's end.
    fn read(mut self, header: &Header) -> Result<Extended, PackageError> {
        let bytes = std::mem::take(&mut self.pax);
        for record in pax::records(&bytes) {
            match record? {
                (b"path", value) => self.path = Some(value.to_vec()),
                (b"linkpath", value) => self.target = Some(value.to_vec()),
                (b"uid", value) => self.uid = Some(owner(pax::number(value))?),
                (b"gid", value) => self.gid = Some(owner(pax::number(value))?),
                (b"size", value) if value != header.entry_size()?.to_string().as_bytes() => {
                    return Err(unsupported("a file of more than 8 GiB"));
                }
                (key, _) if key.starts_with(b"GNU.sparse.") => {
                    return Err(unsupported("a sparse file"));
                }
                _ => {}
            }
        }
        Ok(self)
    }
}

/// An owner's number. One that is unknown must not become the administrator's.
fn owner(number: Option<u64>) -> Result<u32, PackageError> {
    number
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| unsupported("a file of an owner whose number no system has"))
}

fn unsupported(words: &str) -> PackageError {
    PackageError::Unsupported(words.to_owned())
}

fn path(name: &[u8]) -> Result<ImagePath, PackageError> {
    ImagePath::new(name).map_err(|bad| PackageError::Path {
        name: name.to_vec(),
        bad,
    })
}

fn kind(header: &Header, target: Vec<u8>) -> Result<Kind, PackageError> {
    let device = || -> Result<(u32, u32), PackageError> {
        let (major, minor) = (header.device_major()?, header.device_minor()?);
        Ok((major.unwrap_or_default(), minor.unwrap_or_default()))
    };
    Ok(match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => Kind::Regular {
            size: header.entry_size()?,
            group: None,
        },
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink if target.len() as u64 >= TARGET_LIMIT => {
            return Err(PackageError::long_target());
        }
        EntryType::Symlink => Kind::Symlink(target),
        EntryType::Link => Kind::HardLink(path(&target)?),
        EntryType::Char => device().map(|(major, minor)| Kind::Char(major, minor))?,
        EntryType::Block => device().map(|(major, minor)| Kind::Block(major, minor))?,
        EntryType::Fifo => Kind::Pipe,
        EntryType::GNUSparse => return Err(unsupported("a sparse file")),
        other => {
            let typed = char::from(other.as_byte()).escape_default();
            return Err(unsupported(&format!("an entry of the type `{typed}`")));
        }
    })
}

/// Whose metadata the entry is, if it is not a file of the system's (`PKGBUILD(5)`, `apk-package(5)`).
fn metadata_of(name: &[u8]) -> Option<Format> {
    match name {
        b".BUILDINFO" | b".MTREE" | b".INSTALL" | b".CHANGELOG" => Some(Format::Pacman),
        b".PKGINFO" | b".trigger" => Some(Format::Apk),
        _ if [SIGNATURE, b".pre-", b".post-"]
            .iter()
            .any(|start| name.starts_with(start)) =>
        {
            Some(Format::Apk)
        }
        _ => None,
    }
}
