//! Compressed formats, told by their first bytes.

use crate::kernel_version::KernelVersion;

/// A compressed format that a kernel or a module tree may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// gzip, the old magic of `gzip` before 1.0 included, as the kernel takes both.
    Gzip,
    /// bzip2.
    Bzip2,
    /// lzma, "alone".
    Lzma,
    /// xz.
    Xz,
    /// lzop.
    Lzo,
    /// lz4, the legacy frame.
    Lz4,
    /// zstd.
    Zstd,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 7] = [
        Format::Gzip,
        Format::Bzip2,
        Format::Lzma,
        Format::Xz,
        Format::Lzo,
        Format::Lz4,
        Format::Zstd,
    ];

    /// The name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Bzip2 => "bzip2",
            Format::Lzma => "lzma",
            Format::Xz => "xz",
            Format::Lzo => "lzo",
            Format::Lz4 => "lz4",
            Format::Zstd => "zstd",
        }
    }

    /// The first kernel that can unpack it as an initramfs (`init/initramfs.c`, `lib/decompress.c`).
    #[must_use]
    pub const fn first_kernel(self) -> KernelVersion {
        match self {
            Format::Gzip => KernelVersion::new(2, 6, 0),
            Format::Bzip2 | Format::Lzma => KernelVersion::new(2, 6, 30),
            Format::Lzo => KernelVersion::new(2, 6, 33),
            Format::Xz => KernelVersion::new(2, 6, 38),
            Format::Lz4 => KernelVersion::new(3, 11, 0),
            Format::Zstd => KernelVersion::new(5, 9, 0),
        }
    }
}

/// The format whose magic `bytes` begin with, by the two bytes the kernel itself looks at
/// (`lib/decompress.c`); `None` for anything else, and below two bytes.
#[must_use]
pub fn detect(bytes: &[u8]) -> Option<Format> {
    Some(match bytes.first_chunk::<2>()? {
        [0x1f, 0x8b | 0x9e] => Format::Gzip,
        [0x42, 0x5a] => Format::Bzip2,
        [0x5d, 0x00] => Format::Lzma,
        [0xfd, 0x37] => Format::Xz,
        [0x89, 0x4c] => Format::Lzo,
        [0x02, 0x21] => Format::Lz4,
        [0x28, 0xb5] => Format::Zstd,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_told_by_its_first_two_bytes() {
        let cases: [(&[u8], Option<Format>); 12] = [
            (b"\x1f\x8b", Some(Format::Gzip)),
            (b"\x1f\x9e\x08", Some(Format::Gzip)),
            (b"BZh9", Some(Format::Bzip2)),
            (b"\x5d\x00\x00", Some(Format::Lzma)),
            (b"\xfd7zXZ\x00", Some(Format::Xz)),
            (b"\x89LZO", Some(Format::Lzo)),
            (b"\x02\x21\x4c\x18", Some(Format::Lz4)),
            (b"\x28\xb5\x2f\xfd", Some(Format::Zstd)),
            (b"\x7fELF", None),
            (b"070701", None),
            (b"\x1f", None),
            (b"", None),
        ];
        for (bytes, format) in cases {
            assert_eq!(detect(bytes), format, "{bytes:x?}");
        }
    }
}
