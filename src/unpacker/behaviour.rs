//! What the unpacker of a kernel does otherwise than that of another, by version.

use crate::compress::Format;
use crate::kernel_version::KernelVersion;

/// What differs between kernels (`init/initramfs.c` from 2.6.9 on; the versions are mainline's).
///
/// A distribution may have carried a change back. Where a kernel's options decide, the usual ones
/// are meant: a RAM disk driver built in before 2.6.29, and none later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// The whole image is read for a check first, and not unpacked at all when that fails; until
    /// 2.6.29, which unpacks at once.
    pub checks_first: bool,
    /// What stands in an entry's way and is of another type is removed, and a file that is there
    /// is emptied; since 2.6.18. Before, both stay, and the data goes over the old.
    pub replaces: bool,
    /// Zeros may follow any entry, and the end of a member too; since 2.6.18. Before, they may
    /// follow the trailer alone.
    pub rests_anywhere: bool,
    /// Hard links are told apart by type, too; since 2.6.18.
    pub links_by_type: bool,
    /// The time of an entry is set; since 2.6.28, and by an option of the kernel since 5.19.
    pub sets_times: bool,
    /// A file takes the size in its header before its data comes; since 2.6.30. Before, a second
    /// and shorter set of data for linked names leaves the tail of the first.
    pub sizes_first: bool,
    /// What has the name of a further hard link is removed; since 5.0. Before, the link fails, and
    /// the entry's data with it.
    pub clears_for_links: bool,
    /// It no longer unpacks by system calls, which know no empty path, no empty target and none of
    /// 4096 bytes; since 5.9. An empty path is the root's.
    pub without_calls: bool,
    /// `070702` is read, and its checksum compared; since 5.19.
    pub reads_checksums: bool,
    /// A name that does not end with a NUL ends the unpacking. Mainline has it since 6.13, and
    /// every series from 5.4 on since December 2024; as a release such as `6.1.0-56-amd64` does
    /// not say which of its series it is, it is counted from 5.4.
    pub wants_final_nul: bool,
    /// The messages.
    pub words: Words,
    version: KernelVersion,
}

/// Which words an unpacker has for what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Those of 2.6.9 and 2.6.18.
    Old,
    /// Those of 2.6.30 to about 5.12.
    Middle,
    /// Those from about 5.13 on.
    Today,
}

impl Behaviour {
    /// The behaviour of the kernel of this version.
    #[must_use]
    pub fn of(version: KernelVersion) -> Self {
        let since = |major, minor, patch| version >= KernelVersion::new(major, minor, patch);
        Behaviour {
            checks_first: !since(2, 6, 29),
            replaces: since(2, 6, 18),
            rests_anywhere: since(2, 6, 18),
            links_by_type: since(2, 6, 18),
            sets_times: since(2, 6, 28),
            sizes_first: since(2, 6, 30),
            clears_for_links: since(5, 0, 0),
            without_calls: since(5, 9, 0),
            reads_checksums: since(5, 19, 0),
            wants_final_nul: since(5, 4, 0),
            words: match () {
                () if since(5, 13, 0) => Words::Today,
                () if since(2, 6, 30) => Words::Middle,
                () => Words::Old,
            },
            version,
        }
    }

    /// Whether both make the same of any image, and say the same of it.
    #[must_use]
    pub fn is_like(&self, other: &Behaviour) -> bool {
        let version = other.version;
        let has_same = |format| self.decompresses(format) == other.decompresses(format);
        Behaviour { version, ..*self } == *other && Format::ALL.into_iter().all(has_same)
    }

    /// Whether the kernel can decompress `format`, where its options allow every one it has.
    #[must_use]
    pub fn decompresses(&self, format: Format) -> bool {
        let first = match format {
            Format::Gzip => KernelVersion::new(2, 6, 0),
            Format::Bzip2 | Format::Lzma => KernelVersion::new(2, 6, 30),
            Format::Lzo => KernelVersion::new(2, 6, 33),
            Format::Xz => KernelVersion::new(2, 6, 38),
            Format::Lz4 => KernelVersion::new(3, 11, 0),
            Format::Zstd => KernelVersion::new(5, 9, 0),
        };
        self.version >= first
    }

    /// How many bytes the decompressor gives out at a time (`lib/decompress_*.c`), where that does
    /// not depend on the member.
    #[must_use]
    pub fn window(format: Format) -> Option<u64> {
        match format {
            Format::Gzip => Some(32 << 10),
            Format::Bzip2 | Format::Xz => Some(4 << 10),
            Format::Zstd => Some(128 << 10),
            Format::Lz4 => Some(8 << 20),
            Format::Lzma | Format::Lzo => None,
        }
    }
}
