//! One compressed member after the other: what the tools of the formats pack, what follows it, and
//! what is left of it when it is cut or damaged.

use std::io::{self, Read};

use xinitrd::compress::Format;
use xinitrd::compress::decode::{
    Bzip2Facts, DecodeError, Decoder, Facts, GzipFacts, GzipTrailer, Lz4Facts, LzmaFacts, LzoFacts,
    Member, XzCheck, XzFacts, XzFilter, ZstdFacts,
};
use xinitrd::compress::source::Source;

use crate::compress::{noise, texture};
use crate::support::Tool;

const BZIP2: Tool = Tool::of("bzip2", "bzip2");
const GZIP: Tool = Tool::of("gzip", "gzip");
const LZ4: Tool = Tool::of("lz4", "lz4");
const LZOP: Tool = Tool::of("lzop", "lzop");
const PYTHON: Tool = Tool::of("python3", "python3");
const XZ: Tool = Tool::of("xz", "xz-utils");
const ZSTD: Tool = Tool::of("zstd", "zstd");

/// What most often follows a member: a plain archive. Its first four bytes are no length of lz4.
const ARCHIVE: &[u8] = b"070701000002D1000041ED";
/// More than one read takes.
const LARGE: usize = 3_000_000;

/// Each format by its tool, the first of each as the tool does it unless told otherwise.
const PACKERS: [(Format, Tool, &[&str]); 15] = [
    (Format::Gzip, GZIP, &["-c"]),
    (Format::Gzip, GZIP, &["-c1"]),
    (Format::Bzip2, BZIP2, &["-c"]),
    (Format::Bzip2, BZIP2, &["-c1"]),
    (Format::Lzma, XZ, &["-c", "--format=lzma"]),
    (Format::Xz, XZ, &["-c", "-T1"]),
    (Format::Xz, XZ, &["-c", "--check=crc32", "--x86", "--lzma2"]),
    (
        Format::Xz,
        XZ,
        &["-c", "-T2", "--block-size=65536", "-Cnone"],
    ),
    (Format::Lzo, LZOP, &["-c"]),
    (Format::Lzo, LZOP, &["-c9", "--crc32"]),
    (Format::Lzo, LZOP, &["-c1", "-F"]),
    (Format::Lz4, LZ4, &["-l", "-c"]),
    (Format::Lz4, LZ4, &["-l", "-c", "-9"]),
    (Format::Zstd, ZSTD, &["-c"]),
    (Format::Zstd, ZSTD, &["-c", "-19", "--no-check"]),
];

/// What one decoder made of some bytes.
struct Decoded {
    content: Vec<u8>,
    end: Result<(), DecodeError>,
    member: Member,
    rest: Vec<u8>,
}

impl Decoded {
    /// The error in words, as errors of the system cannot be compared.
    fn words(&self) -> Result<(), String> {
        self.end.clone().map_err(|error| error.to_string())
    }
}

fn decoded(format: Format, input: impl Read, piece: usize) -> Decoded {
    finished(Decoder::new(format, Source::new(input)), piece)
}

fn finished(mut decoder: Decoder<impl Read>, piece: usize) -> Decoded {
    let mut content = Vec::new();
    let mut out = vec![0; piece];
    let end = loop {
        match decoder.read(&mut out) {
            Ok(0) => break Ok(()),
            Ok(count) => content.extend_from_slice(&out[..count]),
            Err(error) => break Err(error),
        }
    };
    let again = decoder.read(&mut out).map_err(|error| error.to_string());
    let first = end.clone().map(|()| 0);
    assert_eq!(again, first.map_err(|error| error.to_string()), "read on");
    let (mut source, member) = decoder.finish();
    let mut rest = Vec::new();
    // A medium that has failed may fail again.
    let _ = source.read_to_end(&mut rest);
    Decoded {
        content,
        end,
        member,
        rest,
    }
}

/// A reader that hands out few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = out.len().min(self.1);
        self.0.read(&mut out[..length])
    }
}

#[test]
fn what_the_tools_pack_is_decoded_and_what_follows_is_left() {
    let contents = [
        Vec::new(),
        b"a".to_vec(),
        texture(1000),
        texture(LARGE),
        noise(300_000),
        vec![0; 9 << 20],
    ];
    for (format, tool, arguments) in PACKERS {
        for content in &contents {
            let packed = tool.run(arguments, content);
            let what = format!("{format:?} {arguments:?} {}", content.len());
            for follower in [b"".as_slice(), ARCHIVE, &[0; 512], b"\xff\xff\xff\xff"] {
                let image = [packed.as_slice(), follower].concat();
                let read = decoded(format, image.as_slice(), 1 << 18);
                assert_eq!(read.words(), Ok(()), "{what}");
                assert!(read.content == *content, "{what}");
                assert_eq!(read.rest, follower, "{what}");
                assert_eq!(read.member.packed, packed.len() as u64, "{what}");
                assert_eq!(read.member.content, content.len() as u64, "{what}");
                assert!(read.member.is_whole, "{what}");
            }
        }
    }
}

#[test]
fn the_pieces_it_is_read_and_asked_for_in_do_not_show() {
    let content = texture(70_000);
    for (format, tool, arguments) in PACKERS {
        let image = [tool.run(arguments, &content).as_slice(), ARCHIVE].concat();
        for (input, output) in [(1, 1 << 16), (3, 777), (1 << 20, 1), (1 << 20, 13)] {
            let read = decoded(format, Trickle(&image, input), output);
            assert_eq!(read.words(), Ok(()), "{format:?} {arguments:?}");
            assert!(read.content == content, "{format:?} {arguments:?}");
            assert_eq!(read.rest, ARCHIVE, "{format:?} {arguments:?}");
        }
    }
}

#[test]
fn a_member_cut_anywhere_is_truncated_and_gives_the_beginning() {
    let content = texture(700);
    for (format, tool, arguments) in PACKERS {
        let packed = tool.run(arguments, &content);
        for length in 0..packed.len() {
            let read = decoded(format, &packed[..length], 1 << 16);
            let what = format!("{format:?} {arguments:?}: {length} of {}", packed.len());
            assert!(content.starts_with(&read.content), "{what}");
            // The legacy frame may end after its magic, and after any block.
            if format == Format::Lz4 && (4..8).contains(&length) {
                assert_eq!(read.words(), Ok(()), "{what}");
                assert_eq!(read.rest, &packed[4..length], "{what}");
            } else {
                assert!(matches!(read.end, Err(DecodeError::Truncated)), "{what}");
                assert!(!read.member.is_whole, "{what}");
            }
        }
    }
}

#[test]
fn what_lies_before_the_damage_is_given_first() {
    let content = texture(LARGE);
    for (format, tool, arguments) in PACKERS {
        let packed = tool.run(arguments, &content);
        let read = decoded(format, &packed[..packed.len() - 1], 1 << 18);
        assert!(read.end.is_err());
        // All but the last block, which some formats decode whole.
        let block = if format == Format::Lz4 {
            LARGE
        } else {
            900_000
        };
        let given = read.content.len();
        assert!(given >= LARGE - block, "{format:?} {arguments:?}: {given}");
    }
}

/// Whether the format, as packed, tells one content from another.
fn is_checked(format: Format, arguments: &[&str]) -> bool {
    let without = ["-Cnone", "--no-check", "-F"];
    !matches!(format, Format::Lzma | Format::Lz4)
        && !arguments.iter().any(|one| without.contains(one))
}

#[test]
fn a_damaged_byte_is_noticed_where_the_format_can() {
    let content = texture(700);
    for (format, tool, arguments) in PACKERS {
        let packed = tool.run(arguments, &content);
        for at in 0..packed.len() {
            for damage in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut damaged = packed.clone();
                damaged[at] ^= damage;
                let read = decoded(format, damaged.as_slice(), 1 << 16);
                let agrees = match read.member.facts {
                    Facts::Gzip(facts) => facts.trailer.is_some_and(|trailer| trailer.agrees()),
                    Facts::Lzo(facts) => !facts.has_wrong_checksum,
                    _ => true,
                };
                assert!(
                    read.end.is_err()
                        || !agrees
                        || read.content == content
                        || !is_checked(format, arguments),
                    "{format:?} {arguments:?}: byte {at} damaged by {damage} unnoticed"
                );
            }
        }
    }
}

fn gzip_facts(packed: &[u8]) -> GzipFacts {
    let read = decoded(Format::Gzip, packed, 1 << 16);
    assert_eq!(read.words(), Ok(()));
    match read.member.facts {
        Facts::Gzip(facts) => facts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_trailer_of_gzip_is_a_fact() {
    let content = texture(5000);
    let packed = GZIP.run(&["-c"], &content);
    let trailer = gzip_facts(&packed).trailer.unwrap();
    let crc = PYTHON.run(
        &[
            "-c",
            "import sys, zlib; print(zlib.crc32(sys.stdin.buffer.read()))",
        ],
        &content,
    );
    let crc = String::from_utf8(crc).unwrap().trim_end().parse().unwrap();
    let right = GzipTrailer {
        crc,
        content_crc: crc,
        size: 5000,
        content_size: 5000,
    };
    assert_eq!(trailer, right);
    assert!(right.agrees());
    let last = packed.len() - 1;
    for (at, crc_agrees, size_agrees) in [(last, true, false), (last - 4, false, true)] {
        let mut wrong = packed.clone();
        wrong[at] ^= 1;
        let trailer = gzip_facts(&wrong).trailer.unwrap();
        assert_eq!(trailer.crc_agrees(), crc_agrees);
        assert_eq!(trailer.size_agrees(), size_agrees);
        assert!(!trailer.agrees());
    }
}

#[test]
fn every_field_of_a_gzip_header_is_passed_over() {
    let packed = GZIP.run(&["-c"], b"content");
    let fields: [(u8, &[u8]); 4] = [
        (GzipFacts::FEXTRA, b"\x05\x00extra"),
        (GzipFacts::FNAME, b"name\0"),
        (GzipFacts::FCOMMENT, b"comment\0"),
        (GzipFacts::FHCRC, b"\x12\x34"),
    ];
    for chosen in 0..16 {
        let mut header = packed[..10].to_vec();
        for (bit, (flag, field)) in fields.into_iter().enumerate() {
            if chosen >> bit & 1 != 0 {
                header[3] |= flag;
                header.extend_from_slice(field);
            }
        }
        let flags = header[3];
        header.extend_from_slice(&packed[10..]);
        let facts = gzip_facts(&header);
        assert_eq!((facts.flags, facts.has_old_magic), (flags, false));
        assert!(facts.trailer.unwrap().agrees());
    }
}

#[test]
fn what_decides_who_reads_a_member_is_told() {
    let content = texture(300_000);
    // Made of standard input for standard output, on Unix, with names in its own letters.
    let lzop = |flags| LzoFacts {
        version: 0x1040,
        flags: flags | 0x0300_000c,
        largest_block: 256 << 10,
        has_wrong_checksum: false,
    };
    let xz = |check, filters: &[XzFilter]| XzFacts {
        check: Some(check),
        filters: Some(filters.to_vec()),
        dictionary: Some(8 << 20),
    };
    let facts = [
        Facts::Bzip2(Bzip2Facts { level: 9 }),
        Facts::Bzip2(Bzip2Facts { level: 1 }),
        Facts::Lzma(LzmaFacts {
            dictionary: 8 << 20,
            content_size: None,
        }),
        Facts::Xz(xz(XzCheck::Crc64, &[XzFilter::Lzma2])),
        Facts::Xz(xz(XzCheck::Crc32, &[XzFilter::X86, XzFilter::Lzma2])),
        Facts::Xz(xz(XzCheck::None, &[XzFilter::Lzma2])),
        Facts::Lzo(lzop(LzoFacts::ADLER32_OF_CONTENT)),
        Facts::Lzo(lzop(LzoFacts::CRC32_OF_CONTENT | LzoFacts::CRC32_OF_HEADER)),
        Facts::Lzo(lzop(0)),
        Facts::Lz4(Lz4Facts {
            frames: 1,
            blocks: 1,
        }),
        Facts::Lz4(Lz4Facts {
            frames: 1,
            blocks: 1,
        }),
        Facts::Zstd(ZstdFacts {
            window: 2 << 20,
            content_size: None,
            has_checksum: true,
            dictionary: None,
        }),
        Facts::Zstd(ZstdFacts {
            window: 8 << 20,
            content_size: None,
            has_checksum: false,
            dictionary: None,
        }),
    ];
    for ((format, tool, arguments), facts) in PACKERS.into_iter().skip(2).zip(facts) {
        let packed = tool.run(arguments, &content);
        let read = decoded(format, packed.as_slice(), 1 << 16);
        assert_eq!(read.member.facts, facts, "{format:?} {arguments:?}");
    }
}

#[test]
fn a_window_past_the_bound_is_refused_before_it_is_allocated() {
    let content = texture(1000);
    let cases: [(Format, Vec<u8>, u64); 5] = [
        (Format::Xz, XZ.run(&["-c9"], &content), 64 << 20),
        (
            Format::Lzma,
            XZ.run(&["-c", "--format=lzma", "-9"], &content),
            64 << 20,
        ),
        (
            Format::Zstd,
            ZSTD.run(&["-c", "--ultra", "-22", "--long=27"], &content),
            128 << 20,
        ),
        // A window of 3.75 TiB (RFC 8878, 3.1.1.1.2).
        (
            Format::Zstd,
            b"\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00".to_vec(),
            (1 << 41) / 8 * 15,
        ),
        (Format::Lzo, LZOP.run(&["-c"], &noise(300_000)), 256 << 10),
    ];
    for (format, packed, needed) in cases {
        for allowed in [100 << 10, needed - 1, needed] {
            let source = Source::new(packed.as_slice());
            let read = finished(Decoder::with_window(format, source, allowed), 1 << 16);
            let refused = matches!(
                read.end,
                Err(DecodeError::NeedsMemory { needed: n, allowed: a }) if (n, a) == (needed, allowed)
            );
            assert_eq!(
                refused,
                allowed < needed,
                "{format:?} {allowed}: {:?}",
                read.end
            );
            assert!(!refused || read.content.is_empty());
        }
    }
}

/// A reader that fails after some bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.is_empty() {
            true => Err(io::Error::other("bad sector")),
            false => self.0.read(out),
        }
    }
}

#[test]
fn an_error_of_the_medium_is_not_taken_for_damage() {
    let content = texture(700);
    for (format, tool, arguments) in PACKERS {
        let packed = tool.run(arguments, &content);
        for length in [0, 3, 9, packed.len() - 1] {
            let read = decoded(format, Broken(&packed[..length]), 1 << 16);
            assert!(
                matches!(&read.end, Err(DecodeError::Io(error)) if error.to_string() == "bad sector"),
                "{format:?} {arguments:?} {length}: {:?}",
                read.end
            );
        }
    }
}

#[test]
fn lz4_frames_in_a_row_are_one_member_as_the_kernel_reads_them() {
    let (first, second) = (texture(9 << 20), texture(1000));
    let frames = [&first, &second].map(|content| LZ4.run(&["-l", "-c"], content));
    let read = decoded(Format::Lz4, frames.concat().as_slice(), 1 << 18);
    assert_eq!(read.words(), Ok(()));
    assert!(read.content == [first, second].concat());
    let facts = Lz4Facts {
        frames: 2,
        blocks: 3,
    };
    assert_eq!(read.member.facts, Facts::Lz4(facts));
}
