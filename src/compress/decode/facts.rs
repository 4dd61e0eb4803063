//! What a member says of itself, as far as it decides which kernels and toolstacks read it.

use crate::compress::format::Format;

/// What is known of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its format.
    pub format: Format,
    /// Its length in bytes as it stands in the image, as far as it was decoded.
    pub packed: u64,
    /// The length in bytes of the content that was given.
    pub content: u64,
    /// Whether its end was reached without an error.
    pub is_whole: bool,
    /// What only its format has.
    pub facts: Facts,
}

impl Member {
    /// The end of a gzip member, if it is one, and was read.
    #[must_use]
    pub const fn gzip_trailer(&self) -> Option<GzipTrailer> {
        match &self.facts {
            Facts::Gzip(gzip) => gzip.trailer,
            _ => None,
        }
    }
}

/// The facts of each format. What has not been read is as in [`Default`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// Of a gzip member.
    Gzip(GzipFacts),
    /// Of a bzip2 stream.
    Bzip2(Bzip2Facts),
    /// Of an lzma-alone stream.
    Lzma(LzmaFacts),
    /// Of an xz stream.
    Xz(XzFacts),
    /// Of an lzop file.
    Lzo(LzoFacts),
    /// Of an lz4 legacy frame.
    Lz4(Lz4Facts),
    /// Of a zstd frame.
    Zstd(ZstdFacts),
}

/// A gzip member (RFC 1952).
///
/// The kernel's inflate passes over a file name; an extra field, a comment or a header checksum it
/// takes for content. It looks at neither field of the trailer (`lib/decompress_inflate.c`). Kernels
/// before 2.6.30 check both, and pass over all but a header checksum, which they refuse
/// (`lib/inflate.c`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GzipFacts {
    /// Whether it begins with the magic `1f 9e`, which no kernel since 2.6.30 inflates.
    pub has_old_magic: bool,
    /// The header's flags (FLG).
    pub flags: u8,
    /// The trailer; absent until it was read.
    pub trailer: Option<GzipTrailer>,
}

/// What a gzip member says of its content, and what holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GzipTrailer {
    /// CRC32 as the member says.
    pub crc: u32,
    /// The CRC32 of the content.
    pub content_crc: u32,
    /// The content's length modulo 2^32 as the member says (ISIZE).
    pub size: u32,
    /// The content's length.
    pub content_size: u64,
}

impl GzipFacts {
    /// The header is followed by its checksum.
    pub const FHCRC: u8 = 1 << 1;
    /// The header has an extra field.
    pub const FEXTRA: u8 = 1 << 2;
    /// The header has a file name.
    pub const FNAME: u8 = 1 << 3;
    /// The header has a comment.
    pub const FCOMMENT: u8 = 1 << 4;
}

impl GzipTrailer {
    /// Whether both fields are the content's.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.crc_agrees() && self.size_agrees()
    }

    /// Whether the checksum is the content's.
    #[must_use]
    pub const fn crc_agrees(&self) -> bool {
        self.crc == self.content_crc
    }

    /// Whether ISIZE is the content's length, as far as 32 bits can say it.
    #[must_use]
    pub const fn size_agrees(&self) -> bool {
        self.size == self.content_size as u32
    }
}

/// A bzip2 stream. The kernel reads every one (`lib/decompress_bunzip2.c`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bzip2Facts {
    /// The size of its blocks in 100,000 bytes, 1 to 9.
    pub level: u8,
}

/// An lzma-alone stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LzmaFacts {
    /// The dictionary in bytes. The kernel allocates it whole, or the content's length where that
    /// is known and smaller (`lib/decompress_unlzma.c`).
    pub dictionary: u32,
    /// The content's length as the header says; absent where a marker ends it.
    pub content_size: Option<u64>,
}

/// An xz stream, its filters as the first block has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XzFacts {
    /// How the content is checked; the kernel knows none and CRC32 (`lib/xz/xz_dec_stream.c`).
    pub check: Option<XzCheck>,
    /// The filters in their order in the block header, the last one LZMA2. Absent where the stream
    /// has no block, or its header could not be made out.
    pub filters: Option<Vec<XzFilter>>,
    /// The dictionary of LZMA2 in bytes, which the kernel allocates up to that size.
    pub dictionary: Option<u64>,
}

/// The check of an xz stream (.xz file format, 2.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XzCheck {
    /// No check.
    None,
    /// CRC32.
    Crc32,
    /// CRC64, the default of the xz tool.
    Crc64,
    /// SHA-256.
    Sha256,
    /// A reserved one, by its number.
    Other(u8),
}

/// A filter of an xz stream (.xz file format, 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XzFilter {
    /// Delta, which no kernel knows.
    Delta,
    /// Branches of x86.
    X86,
    /// Branches of big-endian PowerPC.
    PowerPc,
    /// Branches of Itanium.
    Ia64,
    /// Branches of 32-bit ARM.
    Arm,
    /// Branches of ARM Thumb.
    ArmThumb,
    /// Branches of SPARC.
    Sparc,
    /// Branches of ARM64, known to kernels since 6.12.
    Arm64,
    /// Branches of RISC-V, known to kernels since 6.12.
    RiscV,
    /// LZMA2.
    Lzma2,
    /// Any other, by its number.
    Other(u64),
}

/// An lzop file.
///
/// The kernel takes blocks of at most 256 KiB and passes over exactly one checksum in each,
/// unchecked (`lib/decompress_unlzo.c`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LzoFacts {
    /// The version of lzop that wrote it.
    pub version: u16,
    /// The header's flags.
    pub flags: u32,
    /// The largest content of a block in bytes.
    pub largest_block: u32,
    /// Whether a checksum, of the header or of a block, is not what it should be.
    pub has_wrong_checksum: bool,
}

impl LzoFacts {
    /// Each block has an Adler-32 of its content.
    pub const ADLER32_OF_CONTENT: u32 = 1;
    /// Each block that is compressed has an Adler-32 of it as it is.
    pub const ADLER32_OF_PACKED: u32 = 1 << 1;
    /// The header is followed by an extra field.
    pub const EXTRA_FIELD: u32 = 1 << 6;
    /// Each block has a CRC32 of its content.
    pub const CRC32_OF_CONTENT: u32 = 1 << 8;
    /// Each block that is compressed has a CRC32 of it as it is.
    pub const CRC32_OF_PACKED: u32 = 1 << 9;
    /// The content went through a filter.
    pub const FILTER: u32 = 1 << 11;
    /// The header's checksum is a CRC32, else an Adler-32.
    pub const CRC32_OF_HEADER: u32 = 1 << 12;
}

/// An lz4 legacy frame, or several one right after the other: the kernel passes over a magic
/// wherever a length may stand. Before 5.14 it takes whatever else follows for a block, zeros too,
/// and fails; since then it ends at a length of zero (`lib/decompress_unlz4.c`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lz4Facts {
    /// How many magics there were.
    pub frames: u64,
    /// How many blocks there were.
    pub blocks: u64,
}

/// A zstd frame (RFC 8878, 3.1.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ZstdFacts {
    /// The window in bytes; the kernel takes at most 128 MiB (`lib/decompress_unzstd.c`).
    pub window: u64,
    /// The content's length as the header says.
    pub content_size: Option<u64>,
    /// Whether a checksum of the content follows it.
    pub has_checksum: bool,
    /// The dictionary it was compressed with, if it tells; no kernel has one.
    pub dictionary: Option<u32>,
}
