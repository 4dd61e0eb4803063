//! One file of a package.

use crate::image_path::ImagePath;

/// An entry, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies, below the root.
    pub path: ImagePath,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, set-ID and sticky bits among them.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Modification time, in seconds since 1970.
    pub mtime: u32,
}

/// The kernel's `PATH_MAX`: a link's target is shorter, in bytes.
pub(super) const TARGET_LIMIT: u64 = 4096;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    Regular {
        /// Its size in bytes.
        size: u64,
        /// What it has in common with the other names of the same file, of which one alone has the data.
        group: Option<u32>,
    },
    /// A symbolic link and its target, as it stands.
    Symlink(Vec<u8>),
    /// Another name of a file that came before.
    HardLink(ImagePath),
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
}

impl Entry {
    /// The size of its data in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self.kind {
            Kind::Regular { size, .. } => size,
            _ => 0,
        }
    }
}
