//! Compressions: told by their magic, written for a kernel to read, and read with a bound.

use crate::kernel_version::KernelVersion;

/// A compression an image can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// One gzip member.
    Gzip,
    /// The archive as it is.
    None,
    /// One xz stream, checked by CRC32.
    Xz,
    /// One zstd frame.
    Zstd,
    /// An lz4 legacy frame.
    Lz4,
}

impl Compression {
    /// Every one, in the order they are listed to the user.
    pub const ALL: [Compression; 5] = [
        Compression::Gzip,
        Compression::None,
        Compression::Xz,
        Compression::Zstd,
        Compression::Lz4,
    ];

    /// The name as `--compress` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::None => "none",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
        }
    }

    /// The first kernel that can unpack it as an initramfs (`init/initramfs.c`, `lib/decompress.c`).
    #[must_use]
    pub const fn first_kernel(self) -> KernelVersion {
        match self {
            Compression::Gzip | Compression::None => KernelVersion::new(2, 6, 0),
            Compression::Xz => KernelVersion::new(2, 6, 38),
            Compression::Lz4 => KernelVersion::new(3, 11, 0),
            Compression::Zstd => KernelVersion::new(5, 9, 0),
        }
    }
}
