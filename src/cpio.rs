//! The newc archive format: headers, padding, trailer (the kernel's `buffer-format` document).
//!
//! The one door to the cpio crate, which takes names in UTF-8 only: a name that is not is put in
//! here, after the crate has made the header for one of the same length.

use std::io;

use cpio::newc::{Builder, ModeFileType};

/// The bytes of a header before its name.
const HEADER_SIZE: usize = 110;
/// An archive is filled up with zeros to a multiple of this, as GNU cpio's blocks do.
const BLOCK_SIZE: u64 = 512;

/// What a header says of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'n> {
    /// The name, without a leading slash or a final NUL.
    pub name: &'n [u8],
    /// The inode number: one a file, so that no two are taken for hard links.
    pub ino: u32,
    /// The type of file.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Modification time, in seconds since 1970.
    pub mtime: u32,
    /// The data's size in bytes.
    pub size: u32,
}

/// The type of file an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A symbolic link, whose data is its target.
    Symlink,
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
}

impl Header<'_> {
    /// The header as it stands in an archive: name and padding included.
    ///
    /// # Errors
    /// None in truth: the writer is memory; the crate's signature asks for it.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let stand_in = "n".repeat(self.name.len());
        let (file_type, rdev, nlink) = match self.kind {
            Kind::Directory => (ModeFileType::Directory, (0, 0), 2),
            Kind::Regular => (ModeFileType::Regular, (0, 0), 1),
            Kind::Symlink => (ModeFileType::Symlink, (0, 0), 1),
            Kind::Char(major, minor) => (ModeFileType::Char, (major, minor), 1),
            Kind::Block(major, minor) => (ModeFileType::Block, (major, minor), 1),
        };
        let builder = Builder::new(&stand_in)
            .ino(self.ino)
            .mode(self.mode)
            .set_mode_file_type(file_type)
            .nlink(nlink)
            .mtime(self.mtime)
            .rdev_major(rdev.0)
            .rdev_minor(rdev.1);
        let mut bytes = builder.write(Vec::new(), self.size).finish()?;
        if let Some(name) = bytes.get_mut(HEADER_SIZE..HEADER_SIZE + self.name.len()) {
            name.copy_from_slice(self.name);
        }
        Ok(bytes)
    }
}

/// The zeros that follow `size` bytes of data.
#[must_use]
pub fn padding(size: u64) -> &'static [u8] {
    match size % 4 {
        1 => &[0; 3],
        2 => &[0; 2],
        3 => &[0; 1],
        _ => &[],
    }
}

/// The end of an archive whose entries take `written` bytes: the trailer, and zeros up to a block.
///
/// # Errors
/// As [`Header::to_bytes`].
pub fn end(written: u64) -> io::Result<Vec<u8>> {
    let mut bytes = cpio::newc::trailer(Vec::new())?;
    let total = written + bytes.len() as u64;
    bytes.resize(
        bytes.len() + (total.next_multiple_of(BLOCK_SIZE) - total) as usize,
        0,
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_the_format_says_whatever_the_names_bytes() {
        let name = b"caf\xe9\n";
        let kind = Kind::Char(5, 1);
        let header = Header {
            name,
            ino: 7,
            kind,
            mode: 0o600,
            mtime: 9,
            size: 0,
        };
        let mut want = b"070701".to_vec();
        for field in [7, 0o020600, 0, 0, 1, 9, 0, 0, 0, 5, 1, 6, 0] {
            want.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        want.extend_from_slice(b"caf\xe9\n\0");
        assert_eq!(header.to_bytes().unwrap(), want);
        assert_eq!(want.len() % 4, 0);
    }

    #[test]
    fn an_archive_ends_with_a_trailer_and_zeros_up_to_a_block() {
        for written in [0, 4, 508, 512, 1000] {
            let end = end(written).unwrap();
            assert!(end.starts_with(b"070701"));
            assert!(end[110..].starts_with(b"TRAILER!!!\0"));
            assert_eq!((written + end.len() as u64) % 512, 0);
        }
    }
}
