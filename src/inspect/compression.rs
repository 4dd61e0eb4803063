//! Options of compressions that kernels do not read, though they read the compression
//! (`lib/decompress_*.c`, `lib/xz/xz_dec_stream.c`).

use crate::compress::Format;
use crate::compress::decode::{
    Facts, GzipFacts, GzipTrailer, LzoFacts, XzCheck, XzFacts, XzFilter, ZstdFacts,
};
use crate::kernel_version::KernelVersion;
use crate::size::Size;

/// An option that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What the member has.
    pub found: String,
    /// What it should have.
    pub expected: &'static str,
}

/// What `kernel`, or where none is known any kernel of today, does not read of a member of these facts.
#[must_use]
pub fn unread(facts: &Facts, kernel: Option<KernelVersion>) -> Option<Unread> {
    let (found, expected) = match facts {
        Facts::Gzip(gzip) => gzip_option(gzip, kernel)?,
        Facts::Xz(xz) => xz_option(xz, kernel)?,
        Facts::Lzo(lzo) => lzo_option(lzo)?,
        Facts::Zstd(zstd) => zstd_option(zstd)?,
        _ => return None,
    };
    Some(Unread { found, expected })
}

/// The first of the options in a kernel's configuration that reading a member of this format and these facts takes
/// and that `is_set` does not find (`usr/Kconfig`, `lib/xz/Kconfig`).
#[must_use]
pub fn unset_option(
    format: Format,
    facts: &Facts,
    is_set: impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let by_format = match format {
        Format::Gzip => "RD_GZIP",
        Format::Bzip2 => "RD_BZIP2",
        Format::Lzma => "RD_LZMA",
        Format::Xz => "RD_XZ",
        Format::Lzo => "RD_LZO",
        Format::Lz4 => "RD_LZ4",
        Format::Zstd => "RD_ZSTD",
    };
    let filters = match facts {
        Facts::Xz(xz) => xz.filters.as_deref().unwrap_or_default(),
        _ => &[],
    };
    let options = [by_format].into_iter();
    let mut options = options.chain(filters.iter().filter_map(filter_option));
    options.find(|option| !is_set(option))
}

fn filter_option(filter: &XzFilter) -> Option<&'static str> {
    Some(match filter {
        XzFilter::X86 => "XZ_DEC_X86",
        XzFilter::PowerPc => "XZ_DEC_POWERPC",
        XzFilter::Ia64 => "XZ_DEC_IA64",
        XzFilter::Arm => "XZ_DEC_ARM",
        XzFilter::ArmThumb => "XZ_DEC_ARMTHUMB",
        XzFilter::Sparc => "XZ_DEC_SPARC",
        XzFilter::Arm64 => "XZ_DEC_ARM64",
        XzFilter::RiscV => "XZ_DEC_RISCV",
        XzFilter::Delta | XzFilter::Lzma2 | XzFilter::Other(_) => return None,
    })
}

/// What `kernel` says at the end of a gzip member that ends otherwise than its content does; later ones
/// do not look at it.
#[must_use]
pub fn sum_error(trailer: GzipTrailer, kernel: KernelVersion) -> Option<&'static str> {
    if kernel >= FIRST_INFLATE || trailer.agrees() {
        return None;
    }
    Some(match trailer.crc == trailer.content_crc {
        true => "length error",
        false => "crc error",
    })
}

/// The largest window of zstd that the kernel takes, in bytes (`lib/decompress_unzstd.c`).
const ZSTD_WINDOW: u64 = 128 << 20;

fn zstd_option(zstd: &ZstdFacts) -> Option<(String, &'static str)> {
    if zstd.window > ZSTD_WINDOW {
        let found = format!("zstd with a window of {}", Size(zstd.window));
        return Some((
            found,
            "a window of 128 MiB at most, which is the kernel's own bound",
        ));
    }
    let dictionary = zstd.dictionary.filter(|&dictionary| dictionary != 0)?;
    Some((
        format!("zstd with dictionary {dictionary}"),
        "no dictionary",
    ))
}

/// The largest block of lzop that the kernel unpacks, in bytes (`LZO_BLOCK_SIZE` in its
/// `lib/decompress_unlzo.c`).
const LZO_BLOCK: u32 = 256 << 10;

fn lzo_option(lzo: &LzoFacts) -> Option<(String, &'static str)> {
    const OF_CONTENT: u32 = LzoFacts::ADLER32_OF_CONTENT | LzoFacts::CRC32_OF_CONTENT;
    const OF_PACKED: u32 = LzoFacts::ADLER32_OF_PACKED | LzoFacts::CRC32_OF_PACKED;
    let (of_content, of_packed) = (lzo.flags & OF_CONTENT, lzo.flags & OF_PACKED);
    if lzo.largest_block > LZO_BLOCK {
        let found = format!("lzo in blocks of {}", Size(u64::from(lzo.largest_block)));
        return Some((found, "blocks of 262144 bytes at most"));
    }
    // Without a block nothing is known to be amiss.
    let is_read = of_content.count_ones() == 1 && of_packed == 0 || lzo.largest_block == 0;
    let sums = of_content.count_ones() + of_packed.count_ones();
    let found = format!("lzo with {sums} checksums of each block");
    (!is_read).then_some((found, "one, of its content: lzop without -F"))
}

/// The first kernel with today's reader of gzip members (`lib/decompress_inflate.c`).
const FIRST_INFLATE: KernelVersion = KernelVersion::new(2, 6, 30);

fn gzip_option(gzip: &GzipFacts, kernel: Option<KernelVersion>) -> Option<(String, &'static str)> {
    // The reader before it passes over all but a header checksum (lib/inflate.c).
    let is_old = kernel.is_some_and(|kernel| kernel < FIRST_INFLATE);
    if gzip.has_old_magic && !is_old {
        let found = "a gzip header with the old magic 1f 9e".to_owned();
        return Some((found, "the magic 1f 8b"));
    }
    let unread = [
        (GzipFacts::FHCRC, "a header checksum"),
        (GzipFacts::FEXTRA, "an extra field"),
        (GzipFacts::FCOMMENT, "a comment"),
    ];
    let mut unread = unread.iter().take(if is_old { 1 } else { unread.len() });
    let (_, what) = unread.find(|(flag, _)| gzip.flags & flag != 0)?;
    Some((
        format!("a gzip header with {what}"),
        "one with a file name at most",
    ))
}

/// The first kernel that undoes the filters for branches of ARM64 and RISC-V (`lib/xz/xz_dec_bcj.c`).
const FIRST_YOUNG_FILTERS: KernelVersion = KernelVersion::new(6, 12, 0);

fn xz_option(xz: &XzFacts, kernel: Option<KernelVersion>) -> Option<(String, &'static str)> {
    let check = match xz.check {
        None | Some(XzCheck::None | XzCheck::Crc32) => None,
        Some(XzCheck::Crc64) => Some("CRC64".to_owned()),
        Some(XzCheck::Sha256) => Some("SHA-256".to_owned()),
        Some(XzCheck::Other(number)) => Some(format!("check {number}")),
    };
    if let Some(check) = check {
        return Some((format!("xz checked by {check}"), "CRC32, or no check"));
    }
    let knows_young = kernel.is_none_or(|kernel| kernel >= FIRST_YOUNG_FILTERS);
    let unknown = |filter: &&XzFilter| match filter {
        XzFilter::Delta | XzFilter::Other(_) => true,
        XzFilter::Arm64 | XzFilter::RiscV => !knows_young,
        _ => false,
    };
    let filter = xz.filters.iter().flatten().find(unknown)?;
    Some((
        format!("xz with the filter {filter:?}"),
        "LZMA2, and a filter of branches before it",
    ))
}
