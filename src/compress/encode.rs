//! A rope written in any of the compressions.

use std::io::{self, Write};

use lzma_rust2::{CheckType, XzOptions, XzWriter};
use zstd::zstd_safe::CParameter;

use super::{Compression, Encoding, gzip, lz4};
use crate::rope::Rope;

/// What of the rope is handed on at once, so that progress is told within large files too.
const CHUNK: usize = 1 << 20;
/// The most workers that zstd takes on a 32-bit machine (`ZSTDMT_NBWORKERS_MAX`).
const ZSTD_WORKERS: usize = 64;
/// The level from which zstd judges by words in the machine's order whether a block is cut in two
/// (`zstd_preSplit.c`), and the largest block that it does not judge.
const ZSTD_JUDGED: u8 = 4;
const ZSTD_BLOCK: u32 = (128 << 10) - 1;
/// The smallest dictionary that lzma-rust2 takes.
const XZ_MIN_DICTIONARY: u64 = 4096;

/// Writes `rope` to `out` as `encoding` says.
///
/// `out` gets the compressed bytes in order, from the calling thread alone, and some of them, such
/// as an entry's header, in small pieces: it should be buffered. `progress` is told from there, too,
/// how many bytes of the rope are done.
///
/// The bytes are the same at any number of threads. Beyond the rope, gzip, lz4 and none take at
/// most about 64 MiB; xz and zstd take what their dictionary or window needs at that level, which
/// a small rope makes smaller (`docs/compression.md` has figures).
///
/// # Errors
/// The first error of `out`, soon after it happened and with no thread left behind. As everywhere
/// in [`Write`], an error of the kind `Interrupted` is taken as "try again": a writer that wants to
/// end the work answers with another one.
pub fn encode(
    rope: &Rope<'_>,
    encoding: &Encoding,
    out: &mut dyn Write,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    match encoding.compression() {
        Compression::Gzip => gzip::encode(rope, encoding, out, progress),
        Compression::None => copy(rope, out, progress),
        Compression::Xz => xz(rope, encoding, out, progress),
        Compression::Zstd => zstd(rope, encoding, out, progress),
        Compression::Lz4 => lz4::encode(rope, encoding, out, progress),
    }
}

/// Writes every slice in chunks, telling the progress.
fn copy(rope: &Rope<'_>, out: &mut dyn Write, progress: &(dyn Fn(u64) + Sync)) -> io::Result<()> {
    let mut done = 0;
    for slice in rope.slices(0..rope.len()) {
        for chunk in slice.chunks(CHUNK) {
            out.write_all(chunk)?;
            done += chunk.len() as u64;
            progress(done);
        }
    }
    Ok(())
}

/// One stream of one block: what lzma-rust2 writes is the same at any number of threads because
/// there is but one.
fn xz(
    rope: &Rope<'_>,
    encoding: &Encoding,
    out: &mut dyn Write,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    let mut options = XzOptions::with_preset(u32::from(encoding.level()));
    // The kernel's decoder is built with CRC32 alone (`lib/decompress_unxz.c`).
    options.set_check_sum_type(CheckType::Crc32);
    // A dictionary larger than the content saves nothing and costs the guest memory at boot.
    let enough = rope.len().max(XZ_MIN_DICTIONARY).next_power_of_two();
    let dictionary = &mut options.lzma_options.dict_size;
    *dictionary = u32::try_from(enough).map_or(*dictionary, |enough| enough.min(*dictionary));
    let mut writer = XzWriter::new(out, options)?;
    copy(rope, &mut writer, progress)?;
    writer.finish()?;
    Ok(())
}

/// One frame. With workers, even one, zstd cuts its jobs by level and size alone, so their number
/// does not show in the bytes; without workers it would compress as one piece.
fn zstd(
    rope: &Rope<'_>,
    encoding: &Encoding,
    out: &mut dyn Write,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    let mut writer = zstd::Encoder::new(out, i32::from(encoding.level()))?;
    let workers = encoding.threads().get().min(ZSTD_WORKERS);
    writer.multithread(u32::try_from(workers).unwrap_or(1))?;
    writer.include_checksum(true)?;
    if encoding.level() >= ZSTD_JUDGED {
        writer.set_parameter(CParameter::MaxBlockSize(ZSTD_BLOCK))?;
    }
    // The size lets the window shrink to the content; no level's window passes 2^27 bytes, the
    // kernel's bound (`lib/decompress_unzstd.c`).
    writer.set_pledged_src_size(Some(rope.len()))?;
    copy(rope, &mut writer, progress)?;
    writer.finish()?;
    Ok(())
}
