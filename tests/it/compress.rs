//! Compressions against the tools of their formats.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use xinitrd::compress::{Compression, Encoding, Format, UnpackError, encode, unpack};
use xinitrd::rope::Rope;

use crate::support::Tool;

/// The piece that the gzip writer compresses apart, and the block of the lz4 legacy frame.
const GZIP_PIECE: usize = 1 << 20;
const LZ4_BLOCK: usize = 8 << 20;

const GZIP: Tool = Tool::of("gzip", "gzip");
const XZ: Tool = Tool::of("xz", "xz-utils");
const ZSTD: Tool = Tool::of("zstd", "zstd");
const LZ4: Tool = Tool::of("lz4", "lz4");
const PYTHON: Tool = Tool::of("python3", "python3");

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// `content` as a rope of slices of uneven lengths.
fn rope(content: &[u8]) -> Rope<'_> {
    let mut rope = Rope::new();
    let mut rest = content;
    for length in [0, 1, 110, 3, 70_000, 5, 600_000].into_iter().cycle() {
        let (slice, after) = rest.split_at(rest.len().min(length));
        rope.push(slice);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    rope
}

fn encoded(compression: Compression, level: u8, workers: usize, content: &[u8]) -> Vec<u8> {
    let encoding = Encoding::new(compression, level, threads(workers)).unwrap();
    let mut out = Vec::new();
    let told = AtomicU64::new(0);
    let progress = |done| {
        let before = told.swap(done, Ordering::Relaxed);
        assert!(before <= done, "progress went back");
    };
    encode(&rope(content), &encoding, &mut out, &progress).unwrap();
    assert_eq!(
        told.into_inner(),
        content.len() as u64,
        "progress at the end"
    );
    out
}

/// Pseudo-random bytes.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Something between text and code: words of a small dictionary, some noise between.
pub fn texture(length: usize) -> Vec<u8> {
    let dictionary = noise(4096);
    let choices = noise(length / 4 + 16);
    let mut content = Vec::with_capacity(length + 300);
    for choice in choices.chunks_exact(4) {
        let start = usize::from(choice[0]) * 15;
        let run = usize::from(choice[1] % 24) + 2;
        content.extend_from_slice(&dictionary[start..start + run]);
        if choice[2] < 40 {
            content.extend_from_slice(choice);
        }
    }
    content.truncate(length);
    content.resize(length, b' ');
    content
}

/// Contents around every boundary of `piece`.
fn contents(piece: usize) -> Vec<Vec<u8>> {
    let mut contents: Vec<_> = [0, 1, 2, piece - 1, piece, piece + 1, piece * 2 + 12_345]
        .into_iter()
        .map(texture)
        .collect();
    contents.push(noise(piece + 77));
    contents.push(vec![0; piece * 2]);
    contents
}

/// What the format's own tool reads.
fn read_back(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gzip => GZIP.run(&["-dc"], bytes),
        Compression::None => bytes.to_vec(),
        Compression::Xz => XZ.run(&["-dc"], bytes),
        Compression::Zstd => ZSTD.run(&["-dc"], bytes),
        Compression::Lz4 => LZ4.run(&["-dc"], bytes),
    }
}

#[test]
fn every_level_reads_back_with_the_format_s_own_tool() {
    let content = texture(GZIP_PIECE * 2 + 1000);
    for compression in Compression::ALL {
        for level in compression.levels() {
            let bytes = encoded(compression, level, 2, &content);
            assert!(
                read_back(compression, &bytes) == content,
                "{compression:?} {level}"
            );
        }
    }
}

#[test]
fn contents_around_every_boundary_read_back() {
    for compression in Compression::ALL {
        let piece = if compression == Compression::Lz4 {
            LZ4_BLOCK
        } else {
            GZIP_PIECE
        };
        for content in contents(piece) {
            let bytes = encoded(compression, *compression.levels().start(), 2, &content);
            let length = content.len();
            assert!(
                read_back(compression, &bytes) == content,
                "{compression:?} of {length}"
            );
        }
    }
}

#[test]
fn the_number_of_threads_never_shows_in_the_bytes() {
    let content = texture(GZIP_PIECE * 5 + 99);
    for compression in Compression::ALL {
        for level in [compression.default_level(), compression.best_level()] {
            let one = encoded(compression, level, 1, &content);
            for workers in [2, 3, 7, 200] {
                let many = encoded(compression, level, workers, &content);
                assert!(one == many, "{compression:?} {level} in {workers} threads");
            }
        }
    }
    let blocks = texture(LZ4_BLOCK * 3 + 5);
    let one = encoded(Compression::Lz4, 1, 1, &blocks);
    assert!(one == encoded(Compression::Lz4, 1, 3, &blocks));
}

#[test]
fn the_cut_into_slices_never_shows_in_the_bytes() {
    let content = texture(GZIP_PIECE * 2 + 99);
    for compression in Compression::ALL {
        let level = compression.default_level();
        let encoding = Encoding::new(compression, level, threads(2)).unwrap();
        let mut whole = Rope::new();
        whole.push(content.as_slice());
        let mut out = Vec::new();
        encode(&whole, &encoding, &mut out, &|_| ()).unwrap();
        assert!(
            out == encoded(compression, level, 2, &content),
            "{compression:?}"
        );
    }
}

#[test]
fn gzip_is_exactly_one_member_without_name_or_time_and_nothing_after_it() {
    // Says how long the first member's content is, how many bytes follow it, and whether it ended.
    let script = "import sys, zlib\n\
        d = zlib.decompressobj(wbits=31)\n\
        n = len(d.decompress(sys.stdin.buffer.read()))\n\
        print(n, len(d.unused_data), d.eof)";
    for content in contents(GZIP_PIECE) {
        for level in [1, 6, 11] {
            let bytes = encoded(Compression::Gzip, level, 2, &content);
            assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
            let read = PYTHON.run(&["-c", script], &bytes);
            let want = format!("{} 0 True\n", content.len());
            assert_eq!(String::from_utf8(read).unwrap(), want);
            let size = u32::from_le_bytes(*bytes.last_chunk().unwrap());
            assert_eq!(size as usize, content.len(), "ISIZE");
            GZIP.run(&["-t", "-v"], &bytes);
        }
    }
}

#[test]
fn xz_is_one_stream_checked_by_crc32_without_a_kernel_foreign_filter() {
    for content in contents(GZIP_PIECE) {
        let bytes = encoded(Compression::Xz, 6, 2, &content);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("content.xz");
        std::fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        let list = XZ.run(&["--list", "--robot", "-vv", file], b"");
        let list = String::from_utf8(list).unwrap();
        let field = |line: &str, index: usize| {
            let line = list.lines().find(|one| one.starts_with(line));
            line.and_then(|line| line.split('\t').nth(index))
                .map(str::to_owned)
        };
        assert_eq!(field("file", 1).as_deref(), Some("1"), "streams: {list}");
        assert_eq!(field("file", 6).as_deref(), Some("CRC32"), "{list}");
        assert_eq!(field("file", 7).as_deref(), Some("0"), "padding: {list}");
        let filters = field("block", 15);
        let only_lzma2 = |filters: &str| filters.starts_with("--lzma2=") && !filters.contains(' ');
        assert!(filters.as_deref().is_none_or(only_lzma2), "{list}");
    }
}

#[test]
fn zstd_is_one_frame_with_its_checksum_and_a_window_that_the_kernel_takes() {
    let content = texture(GZIP_PIECE * 3);
    for level in Compression::Zstd.levels() {
        let bytes = encoded(Compression::Zstd, level, 2, &content);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("content.zst");
        std::fs::write(&file, bytes).unwrap();
        let list = ZSTD.run(&["-lv", file.to_str().unwrap()], b"");
        let list = String::from_utf8(list).unwrap();
        assert!(list.contains("Zstandard Frames: 1\n"), "{list}");
        assert!(list.contains("Check: XXH64"), "{list}");
        let window = list
            .lines()
            .find_map(|line| line.strip_prefix("Window Size: "));
        let window = window.and_then(|size| size.split_once('('));
        let window = window.and_then(|(_, size)| size.split(' ').next());
        let window: u64 = window.unwrap().parse().unwrap();
        assert!(window <= 1 << 27, "{list}");
    }
}

#[test]
fn lz4_is_the_legacy_frame() {
    let content = texture(LZ4_BLOCK + 10);
    let bytes = encoded(Compression::Lz4, 1, 2, &content);
    assert_eq!(bytes[..4], [0x02, 0x21, 0x4c, 0x18]);
    let mut rest = &bytes[4..];
    let mut lengths = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (block, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        lengths.push(lz4_flex::block::decompress(block, LZ4_BLOCK).unwrap().len());
        rest = after;
    }
    assert_eq!(lengths, [LZ4_BLOCK, 10]);
}

/// A writer that fails once it has taken `room` bytes, and stays so.
struct Full {
    room: usize,
    failures: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            self.failures += 1;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_error_of_the_writer_ends_the_work_soon() {
    let content = noise(48 << 20);
    for compression in Compression::ALL {
        for room in [0, 5, 11, 100_000] {
            let level = *compression.levels().start();
            let encoding = Encoding::new(compression, level, threads(3)).unwrap();
            let mut full = Full { room, failures: 0 };
            let begun = Instant::now();
            let result = encode(&rope(&content), &encoding, &mut full, &|_| ());
            let kind = result.unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::StorageFull, "{compression:?} {room}");
            assert_eq!(full.failures, 1, "{compression:?} wrote on after the error");
            assert!(
                begun.elapsed() < Duration::from_secs(4),
                "{compression:?} {room}"
            );
        }
    }
}

/// What the tools make of `content`, by the format that `unpack` is to read.
fn packed(content: &[u8]) -> Vec<(Format, Vec<u8>)> {
    vec![
        (Format::Gzip, GZIP.run(&["-c"], content)),
        (Format::Xz, XZ.run(&["-c"], content)),
        (
            Format::Xz,
            XZ.run(&["-c", "--check=crc32", "--x86", "--lzma2"], content),
        ),
        (Format::Zstd, ZSTD.run(&["-c"], content)),
        (Format::Zstd, ZSTD.run(&["-c", "--ultra", "-22"], content)),
    ]
}

#[test]
fn what_the_tools_pack_is_unpacked() {
    for length in [0, 1, 1000, 300_000] {
        let content = texture(length);
        for (format, bytes) in packed(&content) {
            assert_eq!(unpack(&bytes, length).as_ref(), Ok(&content), "{format:?}");
            let twice = [bytes.clone(), bytes.clone()].concat();
            let content_twice = [content.clone(), content.clone()].concat();
            assert_eq!(
                unpack(&twice, length * 2),
                Ok(content_twice),
                "{format:?} twice"
            );
        }
    }
}

#[test]
fn zeros_after_the_content_are_passed_over_where_the_tool_does_so() {
    let content = texture(5000);
    for (format, mut bytes) in packed(&content) {
        bytes.extend_from_slice(&[0; 512]);
        if format != Format::Zstd {
            assert_eq!(unpack(&bytes, 5000).as_ref(), Ok(&content), "{format:?}");
        }
        bytes.extend_from_slice(b"junk");
        assert!(unpack(&bytes, 5000).is_err(), "{format:?}");
    }
}

#[test]
fn content_past_the_limit_is_refused_however_small_it_is_packed() {
    let zeros = vec![0; 50 << 20];
    for (format, bytes) in packed(&zeros) {
        let limit = 1 << 20;
        assert_eq!(
            unpack(&bytes, limit),
            Err(UnpackError::TooLarge { limit }),
            "{format:?}"
        );
        assert!(
            unpack(&bytes, zeros.len()).is_ok_and(|content| content == zeros),
            "{format:?}"
        );
        let limit = zeros.len() - 1;
        assert_eq!(
            unpack(&bytes, limit),
            Err(UnpackError::TooLarge { limit }),
            "{format:?}"
        );
    }
}

#[test]
fn content_cut_anywhere_is_truncated() {
    for (format, bytes) in packed(&texture(700)) {
        for length in 2..bytes.len() {
            let cut = unpack(&bytes[..length], 1 << 20);
            assert_eq!(
                cut,
                Err(UnpackError::Truncated(format)),
                "{length} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn a_flipped_bit_is_answered_and_never_gives_other_content_unnoticed() {
    let content = texture(700);
    for (format, bytes) in packed(&content) {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = unpack(&flipped, 1 << 20) {
                assert!(read == content, "{format:?}: bit {bit} flipped unnoticed");
            }
        }
    }
}

#[test]
fn what_is_not_packed_or_packed_otherwise_is_named() {
    let cases: [(&[u8], UnpackError); 5] = [
        (b"", UnpackError::Unknown),
        (b"\x1f", UnpackError::Unknown),
        (b"\x7fELF\x02", UnpackError::Unknown),
        (b"BZh91AY&SY", UnpackError::Unsupported(Format::Bzip2)),
        (b"\x02\x21\x4c\x18", UnpackError::Unsupported(Format::Lz4)),
    ];
    for (bytes, error) in cases {
        assert_eq!(unpack(bytes, 100), Err(error));
    }
}
