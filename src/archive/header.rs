//! One newc header, read: thirteen hexadecimal fields behind a magic (the kernel's `buffer-format`
//! document).

/// The bytes of a header before its name.
pub(super) const HEADER_SIZE: usize = 110;
/// The magic of an entry without a checksum.
const NEWC: &[u8] = b"070701";
/// The magic of an entry with one.
const CRC: &[u8] = b"070702";

/// What a header says of its entry, as it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The inode number: with the device's numbers, what hard links are known by.
    pub ino: u32,
    /// The type of file and the permission bits, as `stat(2)` has them.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The number of links.
    pub nlink: u32,
    /// Modification time, in seconds since 1970.
    pub mtime: u32,
    /// The data's size in bytes.
    pub size: u32,
    /// Major and minor number of the device it was read from.
    pub dev: (u32, u32),
    /// Major and minor number of the device it is.
    pub rdev: (u32, u32),
    /// The bytes of the name, its final NUL included.
    pub name_size: u32,
    /// The sum of the data's bytes, in the `070702` format alone.
    pub checksum: Option<u32>,
}

/// The type of file that a mode's bits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
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
    /// Bits that are no type's.
    Unknown,
}

impl FileType {
    /// What a person calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FileType::Regular => "file",
            FileType::Directory => "directory",
            FileType::Symlink => "symlink",
            FileType::Char => "char",
            FileType::Block => "block",
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            FileType::Unknown => "unknown",
        }
    }
}

impl Header {
    /// The type of file.
    #[must_use]
    pub const fn file_type(&self) -> FileType {
        match self.mode & 0o170_000 {
            0o100_000 => FileType::Regular,
            0o040_000 => FileType::Directory,
            0o120_000 => FileType::Symlink,
            0o020_000 => FileType::Char,
            0o060_000 => FileType::Block,
            0o010_000 => FileType::Fifo,
            0o140_000 => FileType::Socket,
            _ => FileType::Unknown,
        }
    }

    /// Permission bits, set-id and sticky bits among them.
    #[must_use]
    pub const fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// What the data must sum up to. GNU cpio puts no sum to a link's target, and no kernel compares any
    /// but a file's (`do_copy` in `init/initramfs.c`).
    pub(super) fn sum(&self) -> Option<u32> {
        self.checksum
            .filter(|_| self.file_type() == FileType::Regular)
    }

    /// Reads the header that `bytes` begin with.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Header, BadHeader> {
        let (magic, fields) = bytes.split_at_checked(NEWC.len()).ok_or(BadHeader::Magic)?;
        if magic != NEWC && magic != CRC {
            return Err(BadHeader::Magic);
        }
        if bytes.len() < HEADER_SIZE {
            return Err(BadHeader::Cut);
        }
        let mut numbers = [0; FIELDS.len()];
        for ((number, text), name) in numbers.iter_mut().zip(fields.chunks_exact(8)).zip(FIELDS) {
            *number = hexadecimal(text).ok_or(BadHeader::Field(name))?;
        }
        let [
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            size,
            dev_major,
            dev_minor,
            major,
            minor,
            name_size,
            sum,
        ] = numbers;
        Ok(Header {
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            size,
            dev: (dev_major, dev_minor),
            rdev: (major, minor),
            name_size,
            checksum: (magic == CRC).then_some(sum),
        })
    }
}

/// The fields, in their order, by the names the kernel's document gives them.
const FIELDS: [&str; 13] = [
    "c_ino",
    "c_mode",
    "c_uid",
    "c_gid",
    "c_nlink",
    "c_mtime",
    "c_filesize",
    "c_maj",
    "c_min",
    "c_rmaj",
    "c_rmin",
    "c_namesize",
    "c_chksum",
];

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Magic,
    /// It ends too early.
    Cut,
    /// A field that is no hexadecimal number.
    Field(&'static str),
}

fn hexadecimal(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |number, &digit| {
        Some(number << 4 | char::from(digit).to_digit(16)?)
    })
}
