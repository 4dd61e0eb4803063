//! The models of the kernel's unpacker: each rule of the format by an archive made field by field.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::readers;
use xinitrd::compress::Format;
use xinitrd::image_path::Shown;
use xinitrd::kernel_version::KernelVersion;
use xinitrd::unpacker::{Kind, OLD, Object, ObjectId, Outcome, TODAY, Unpacker};

/// The kernel of RHEL 4.
const OLDEST: KernelVersion = KernelVersion::new(2, 6, 9);

/// An entry, field by field; what is `None` is what it should be.
#[derive(Clone)]
struct Entry {
    magic: &'static str,
    name: Vec<u8>,
    name_size: Option<u32>,
    mode: u32,
    data: Vec<u8>,
    size: Option<u32>,
    owner: (u32, u32),
    ino: u32,
    nlink: u32,
    rdev: (u32, u32),
    checksum: u32,
}

fn entry(name: impl AsRef<[u8]>, mode: u32, data: impl AsRef<[u8]>) -> Entry {
    Entry {
        magic: "070701",
        name: [name.as_ref(), b"\0"].concat(),
        name_size: None,
        mode,
        data: data.as_ref().to_vec(),
        size: None,
        owner: (0, 0),
        ino: 0,
        nlink: 1,
        rdev: (0, 0),
        checksum: 0,
    }
}

fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Entry {
    entry(name, 0o100_644, data)
}

fn directory(name: impl AsRef<[u8]>) -> Entry {
    entry(name, 0o040_755, "")
}

fn link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    entry(name, 0o120_777, target)
}

fn device(name: &str, rdev: (u32, u32)) -> Entry {
    Entry {
        rdev,
        ..entry(name, 0o020_600, "")
    }
}

/// One of several names of a file.
fn named(name: &str, ino: u32, data: &str) -> Entry {
    Entry {
        ino,
        nlink: 2,
        ..file(name, data)
    }
}

fn trailer() -> Entry {
    entry("TRAILER!!!", 0, "")
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        let size = self.size.unwrap_or(self.data.len() as u32);
        let name_size = self.name_size.unwrap_or(self.name.len() as u32);
        let mut bytes = self.magic.as_bytes().to_vec();
        let (owner, rdev) = (self.owner, self.rdev);
        let fields = [
            self.ino,
            self.mode,
            owner.0,
            owner.1,
            self.nlink,
            9,
            size,
            8,
            1,
            rdev.0,
            rdev.1,
            name_size,
            self.checksum,
        ];
        for field in fields {
            bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        for part in [&self.name, &self.data] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }
}

/// A segment of an image: as it stands there, or what a member of the format unpacks to.
type Segment = (Option<Format>, Vec<u8>);

fn plain(entries: &[Entry]) -> Segment {
    (None, entries.iter().flat_map(Entry::bytes).collect())
}

fn gzip(entries: &[Entry]) -> Segment {
    (Some(Format::Gzip), plain(entries).1)
}

fn raw(format: Option<Format>, bytes: impl AsRef<[u8]>) -> Segment {
    (format, bytes.as_ref().to_vec())
}

/// What `version` makes of segments, given in pieces of `piece` bytes.
fn unpack(version: KernelVersion, segments: &[Segment], piece: usize) -> Outcome {
    let mut unpacker = Unpacker::new(version, true);
    let mut offset = 0;
    for (format, bytes) in segments {
        unpacker.segment(*format, offset);
        bytes.chunks(piece).for_each(|bytes| unpacker.feed(bytes));
        unpacker.segment_end(None);
        offset += bytes.len() as u64;
    }
    unpacker.finish()
}

/// An outcome, a line for each thing in it: objects, events, the failure.
fn shown(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    let mut first_names: BTreeMap<ObjectId, Vec<u8>> = BTreeMap::new();
    outcome.tree.walk(|path, id, object| {
        let mut line = format!("{} {}", Shown(path), object_shown(object));
        match first_names.get(&id) {
            Some(first) => write!(line, " = {}", Shown(first)).unwrap(),
            None => drop(first_names.insert(id, path.to_vec())),
        }
        lines.push(line);
    });
    lines.retain(|line| !BUILT_IN.contains(&line.as_str()));
    let events = outcome.events.iter();
    lines.extend(events.map(|event| format!("{}: {}", event.place, event.what)));
    let failure = outcome.failed.iter();
    lines.extend(
        failure
            .map(|failure| format!("{}: {} ({})", failure.place, failure.fault, failure.message)),
    );
    lines
}

/// What stands there before any image, and without anyone's touching it.
const BUILT_IN: [&str; 4] = [" d755", "dev d755", "dev/console c600 5:1", "root d700"];

fn object_shown(object: &Object) -> String {
    let mut line = match object.kind {
        Kind::Regular => format!("-{:o} {}", object.mode, object.size),
        Kind::Directory => format!("d{:o}", object.mode),
        Kind::Symlink => format!("-> {}", Shown(&object.target)),
        Kind::Char => format!("c{:o} {}:{}", object.mode, object.rdev.0, object.rdev.1),
        Kind::Block => format!("b{:o} {}:{}", object.mode, object.rdev.0, object.rdev.1),
        Kind::Fifo => format!("p{:o}", object.mode),
        Kind::Socket => format!("s{:o}", object.mode),
    };
    if (object.uid, object.gid) != (0, 0) {
        write!(line, " of {}:{}", object.uid, object.gid).unwrap();
    }
    line
}

/// Holds what each kernel makes of `segments` against what it is to make of them.
fn holds(what: &str, segments: &[Segment], wanted: &[(&[KernelVersion], &[&str])]) {
    for (versions, wanted) in wanted {
        for version in *versions {
            for piece in [1, 7, 110, 1 << 20] {
                let outcome = unpack(*version, segments, piece);
                assert_eq!(
                    shown(&outcome),
                    *wanted,
                    "{what}: {version}, in pieces of {piece}"
                );
            }
        }
    }
}

const ALL: &[KernelVersion] = &[OLDEST, OLD, TODAY];
const OLD_TWO: &[KernelVersion] = &[OLDEST, OLD];
const NEW_TWO: &[KernelVersion] = &[OLD, TODAY];

#[test]
fn every_kind_of_entry_comes_out_as_it_went_in() {
    let entries = [
        Entry {
            owner: (3, 4),
            ..directory("d")
        },
        file("d/file", "some data"),
        entry("d/suid", 0o104_755, "x"),
        link("/d/link", "file"),
        device("d/null", (1, 3)),
        Entry {
            rdev: (8, 0x12345),
            ..entry("d/sda", 0o060_640, "")
        },
        entry("./d/pipe", 0o010_600, ""),
        entry("d//socket", 0o140_600, ""),
        file("d/link2ÿ", ""),
        trailer(),
    ];
    let wanted: &[&str] = &[
        "d d755 of 3:4",
        "d/file -644 9",
        "d/link -> file",
        "d/link2ÿ -644 0",
        "d/null c600 1:3",
        "d/pipe p600",
        "d/sda b640 8:74565",
        "d/socket s600",
        "d/suid -4755 1",
    ];
    holds("plain", &[plain(&entries)], &[(ALL, wanted)]);
    holds("gzip", &[gzip(&entries)], &[(ALL, wanted)]);
}

#[test]
fn an_entry_that_the_header_rules_out_is_skipped() {
    let long = "n".repeat(4096);
    let entries = [
        Entry {
            size: Some(5),
            data: b"12345".to_vec(),
            ..directory("d")
        },
        Entry {
            data: b"1".to_vec(),
            ..device("c", (1, 3))
        },
        file(&long, "data"),
        link("l", "t".repeat(4097)),
        Entry {
            name: vec![],
            name_size: Some(0),
            ..file("", "ab")
        },
        entry("t", 0, ""),
        file("last", "1"),
        trailer(),
    ];
    let at = |n: usize| -> usize { entries[..n].iter().map(|entry| entry.bytes().len()).sum() };
    let wanted = [
        "last -644 1".to_owned(),
        "segment 0, byte 0: it is skipped: it has 5 bytes of data, and is neither a file nor a link (mode 40755)".to_owned(),
        format!("segment 0, byte {}: it is skipped: it has 1 bytes of data, and is neither a file nor a link (mode 20600)", at(1)),
        format!("segment 0, byte {}: it is skipped: its name takes 4097 bytes, and 4096 are the most", at(2)),
        format!("segment 0, byte {}: it is skipped: its target takes 4097 bytes, and 4096 are the most", at(3)),
        format!("segment 0, byte {}: it is skipped: it has no name", at(4)),
        format!("segment 0, byte {}, t: it is skipped: mode 0 is of no type", at(5)),
    ];
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    holds("skips", &[plain(&entries)], &[(ALL, &wanted)]);
}

#[test]
fn an_entry_that_is_skipped_takes_a_member_with_it_where_its_header_is_unpacked_in_two_pieces() {
    let archive = |before: usize| {
        let filler = (32 << 10) - before - file("f", "").bytes().len();
        let skipped = Entry {
            data: b"data".to_vec(),
            ..directory("d")
        };
        [
            file("f", vec![0; filler]),
            skipped,
            file("after", ""),
            trailer(),
        ]
    };
    let lines = |version, format, before| {
        let segments = [
            (format, plain(&archive(before)).1),
            plain(&[file("last", ""), trailer()]),
        ];
        let lines = shown(&unpack(version, &segments, 4096));
        lines
            .iter()
            .map(|line| line.rsplit(": ").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let filler = |before| format!("f -644 {}", (32 << 10) - before - 112);
    let skipped =
        "it has 4 bytes of data, and is neither a file nor a link (mode 40755)".to_owned();
    for (format, before) in [
        (None, 40),
        (Some(Format::Gzip), 112),
        (Some(Format::Zstd), 40),
    ] {
        let wanted = [
            "after -644 0".to_owned(),
            filler(before),
            "last -644 0".to_owned(),
            skipped.clone(),
        ];
        assert_eq!(lines(TODAY, format, before), wanted, "{format:?}, {before}");
    }
    let lost = "with it, all that follows in the member is skipped, for its header is unpacked in two pieces";
    let end = "the member ends in the midst of an archive";
    for (version, words) in [(OLD, ""), (TODAY, "junk at the end of compressed archive")] {
        let wanted = [
            filler(40),
            skipped.clone(),
            lost.to_owned(),
            format!("{end} ({words})"),
        ];
        assert_eq!(lines(version, Some(Format::Gzip), 40), wanted, "{version}");
    }
}

#[test]
fn an_entry_without_its_parents_is_dropped() {
    let entries = [
        file("no/file", "data"),
        directory("no/d"),
        device("no/c", (1, 3)),
        link("no/l", "t"),
        file("f", ""),
        file("f/x", ""),
        link("loop", "loop"),
        file("loop/x", ""),
        file("n".repeat(256), ""),
        trailer(),
    ];
    let lines = shown(&unpack(TODAY, &[plain(&entries)], 100));
    let said: Vec<&str> = lines
        .iter()
        .map(|line| line.rsplit(": ").next().unwrap())
        .collect();
    let missing = "a directory of its path is not there";
    assert_eq!(said[..2], ["f -644 0", "loop -> loop"]);
    assert_eq!(said[2..6], [missing; 4]);
    assert_eq!(
        said[6..],
        [
            "a part of its path is no directory",
            "its path follows more than 40 links",
            "a part of its path is longer than 255 bytes, or the whole than 4095",
        ]
    );
}

#[test]
fn the_later_of_two_entries_stands_and_what_is_of_another_type_goes() {
    let entries = [
        file("a", "first"),
        file("a", "2nd"),
        file("b", "file"),
        link("b", "a"),
        link("c", "a"),
        directory("c"),
        directory("e"),
        file("e", "was a directory"),
        directory("f"),
        file("f/x", "1"),
        file("f", "data"),
        link("f", "a"),
        device("g", (1, 3)),
        device("g", (1, 5)),
        directory("h"),
        entry("h", 0o040_700, ""),
        trailer(),
    ];
    let says = |n: usize, name: &str, what: &str| {
        let at: usize = entries[..n].iter().map(|entry| entry.bytes().len()).sum();
        format!("segment 0, byte {at}, {name}: {what}")
    };
    let tree = [
        "a -644 3",
        "b -> a",
        "c d755",
        "e -644 15",
        "f d755",
        "f/x -644 1",
        "g c600 1:3",
        "h d700",
    ];
    let mut wanted = tree.map(str::to_owned).to_vec();
    wanted.extend([
        says(1, "a", "it takes the place of a file"),
        says(3, "b", "it takes the place of a file"),
        says(5, "c", "it takes the place of a symbolic link"),
        says(7, "e", "it takes the place of a directory"),
        says(10, "f", "it is dropped: a directory stands there"),
        says(11, "f", "it is dropped: something stands there"),
        says(13, "g", "the device 1:3 that is there stays"),
    ]);
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    holds("duplicates", &[plain(&entries)], &[(NEW_TWO, &wanted)]);
    // Before 2.6.18 nothing went: data lies over data, and links are followed, by `chmod` too.
    let lines = shown(&unpack(OLDEST, &[plain(&entries)], 100));
    assert_eq!(
        lines[..8],
        [
            "a -755 5",
            "b -644 4",
            "c -> a",
            "e d755",
            "f d755",
            "f/x -644 1",
            "g c600 1:3",
            "h d700"
        ]
    );
}

#[test]
fn a_path_goes_through_links_as_the_kernel_goes() {
    let entries = [
        directory("usr"),
        directory("usr/bin"),
        link("bin", "usr/bin"),
        link("abs", "/usr"),
        file("bin/one", "1"),
        file("abs/bin/two", "2"),
        link("usr/bin/up", "../.."),
        file("bin/up/three", "3"),
        file("usr/../four", "4"),
        file("../../five", "5"),
        directory("bin/"),
        entry(".", 0o040_711, ""),
        trailer(),
    ];
    let wanted: &[&str] = &[
        " d711",
        "abs -> /usr",
        "bin -> usr/bin",
        "five -644 1",
        "four -644 1",
        "three -644 1",
        "usr d755",
        "usr/bin d755",
        "usr/bin/one -644 1",
        "usr/bin/two -644 1",
        "usr/bin/up -> ../..",
    ];
    holds("links in paths", &[plain(&entries)], &[(ALL, wanted)]);
}

#[test]
fn names_of_one_inode_are_one_file_until_a_trailer() {
    let first = [named("a", 7, ""), named("b", 7, "data"), named("c", 7, "")];
    let at = first[0].bytes().len();
    let next = at + first[1].bytes().len();
    let lines = [
        "a -644 4".to_owned(),
        "b -644 4 = a".to_owned(),
        "c -644 4 = a".to_owned(),
        format!("segment 0, byte {at}, b: it is a hard link to a"),
        format!("segment 0, byte {next}, c: it is a hard link to a"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let closed = [&first[..], &[trailer()]].concat();
    holds("links", &[plain(&closed)], &[(ALL, &lines)]);

    // The same inode in another archive: another file behind a trailer, the same one without.
    let second = [named("x", 7, "other"), trailer()];
    let apart = unpack(TODAY, &[plain(&closed), plain(&second)], 64);
    assert_eq!(shown(&apart)[3], "x -644 5");
    let leaking = unpack(TODAY, &[plain(&first), plain(&second)], 64);
    assert_eq!(
        shown(&leaking)[..4],
        ["a -644 5", "b -644 5 = a", "c -644 5 = a", "x -644 5 = a"]
    );
}

#[test]
fn kernels_differ_in_how_links_get_their_data() {
    // A second set of data that is shorter.
    let entries = [named("a", 7, "longer"), named("b", 7, "new"), trailer()];
    let size = |version| shown(&unpack(version, &[plain(&entries)], 9))[0].clone();
    assert_eq!([size(OLD), size(TODAY)], ["a -644 6", "a -644 3"]);
    // The same name twice: an old kernel cannot link it, a new one has removed what it would link to.
    let entries = [named("a", 7, "data"), named("a", 7, "data"), trailer()];
    let lines = |version| shown(&unpack(version, &[plain(&entries)], 9));
    let old = lines(OLD);
    assert_eq!(old[0], "a -644 4");
    assert!(
        old[1].ends_with("it is dropped: no hard link to a: something stands there"),
        "{old:?}"
    );
    let new = lines(TODAY);
    assert!(new[0].ends_with("it takes the place of a file"), "{new:?}");
    assert!(
        new[1].ends_with("no hard link to a: a directory of its path is not there"),
        "{new:?}"
    );
    // Of another type, the inode is another.
    let entries = [
        named("a", 7, ""),
        Entry {
            ino: 7,
            nlink: 2,
            ..device("b", (1, 3))
        },
        trailer(),
    ];
    holds(
        "type",
        &[plain(&entries)],
        &[(NEW_TWO, &["a -644 0", "b c600 1:3"])],
    );
}

#[test]
fn what_is_no_entry_ends_the_unpacking() {
    let whole = [file("a", "1"), trailer()];
    let magic = |magic| Entry {
        magic,
        ..file("b", "")
    };
    let end: usize = whole.iter().map(|entry| entry.bytes().len()).sum();
    let with = |bytes: &[u8], format| raw(format, [&plain(&whole).1, bytes].concat());
    let (image, member) = (None, Some(Format::Gzip));
    // What, segments; where and the words of 2.6.18 and of today, without what is unpacked.
    let cases: Vec<(&str, Vec<Segment>, u64, [&str; 2])> = vec![
        (
            "070707",
            vec![plain(&[magic("070707")])],
            0,
            [
                "no cpio magic",
                "incorrect cpio method used: use -H newc option",
            ],
        ),
        (
            "garbage",
            vec![gzip(&[magic("garble")])],
            0,
            ["no cpio magic"; 2],
        ),
        (
            "junk",
            vec![with(b"\0\0\0\0junk", member)],
            end as u64 + 4,
            [
                "junk in compressed archive",
                "junk within compressed archive",
            ],
        ),
        (
            "junk in the image",
            vec![with(b"junk", image)],
            end as u64,
            [
                "bad gzip magic numbers",
                "invalid magic at start of compressed archive",
            ],
        ),
        (
            "unaligned",
            vec![with(b"\0\x30707", image)],
            end as u64 + 1,
            ["broken padding"; 2],
        ),
        (
            "unaligned member",
            vec![with(b"\0", image), gzip(&whole)],
            end as u64 + 1,
            ["broken padding"; 2],
        ),
        (
            "cut member",
            vec![with(&whole[0].bytes()[..100], member)],
            end as u64,
            [
                "junk in gzipped archive",
                "junk at the end of compressed archive",
            ],
        ),
        (
            "member without padding",
            vec![raw(member, &file("a", "1").bytes()[..113])],
            113,
            [
                "junk in gzipped archive",
                "junk at the end of compressed archive",
            ],
        ),
        (
            "empty member",
            vec![raw(member, "")],
            0,
            [
                "junk in gzipped archive",
                "junk at the end of compressed archive",
            ],
        ),
        (
            "zeros before all in a member",
            vec![raw(member, [0; 200])],
            0,
            ["no cpio magic"; 2],
        ),
        (
            "unaligned first",
            vec![raw(image, b"\0\x30707")],
            1,
            [
                "bad gzip magic numbers",
                "invalid magic at start of compressed archive",
            ],
        ),
    ];
    for (what, segments, offset, words) in cases {
        for (version, words) in [OLD, TODAY].into_iter().zip(words) {
            for piece in [1, 13, 1 << 20] {
                let failure = unpack(version, &segments, piece).failed.expect(what);
                assert_eq!(
                    (failure.place.offset, failure.message),
                    (offset, words),
                    "{what}: {version}, {piece}"
                );
            }
        }
    }
}

#[test]
fn an_old_kernel_unpacks_nothing_where_its_check_fails() {
    let segments = [plain(&[file("a", "1"), trailer()]), raw(None, "junk")];
    let outcome = |version| shown(&unpack(version, &segments, 50));
    assert_eq!(outcome(OLD).len(), 1, "{:?}", outcome(OLD));
    assert_eq!(outcome(TODAY)[0], "a -644 1");
}

#[test]
fn what_came_of_a_member_that_is_refused_is_told_where_a_block_is_refused_and_not_the_header() {
    let entries = [directory("a"), file("a", "was a directory"), trailer()];
    let told = |format: Format| {
        let mut unpacker = Unpacker::new(TODAY, false);
        unpacker.segment(Some(format), 0);
        unpacker.feed(&plain(&entries).1);
        unpacker.refuse("for a reason".to_owned());
        let outcome = unpacker.finish();
        (!outcome.events.is_empty(), outcome.failed.is_some())
    };
    assert_eq!(told(Format::Gzip), (false, true));
    assert_eq!(told(Format::Lzo), (true, true));
}

#[test]
fn what_is_well_is_read_without_a_word() {
    let first = [directory("a"), trailer()];
    let second = [directory("a"), file("a/b", "1"), trailer()];
    let zeros = |count: usize| raw(None, vec![0; count]);
    for segments in [
        vec![plain(&first), gzip(&second)],
        vec![gzip(&first), zeros(5), gzip(&second)],
        vec![zeros(8), plain(&first), zeros(512), plain(&second)],
        vec![
            raw(None, [&plain(&first).1[..], &[0; 400]].concat()),
            gzip(&second),
        ],
    ] {
        holds("segments", &segments, &[(ALL, &["a d755", "a/b -644 1"])]);
    }
}

#[test]
fn an_archive_may_end_without_a_trailer_but_not_in_an_entry() {
    let entries = [directory("d"), file("d/a", "12345678")];
    for segments in [[plain(&entries)], [gzip(&entries)]] {
        holds(
            "no trailer",
            &segments,
            &[(NEW_TWO, &["d d755", "d/a -644 8"])],
        );
    }
    let unclosed = unpack(OLDEST, &[gzip(&entries)], 99).failed.unwrap();
    assert_eq!(unclosed.message, "junk in gzipped archive");
    let whole = plain(&entries).1;
    let cut = [raw(None, &whole[..whole.len() - 3])];
    let at = directory("d").bytes().len();
    let lost = format!("segment 0, byte {at}, d/a: the image ends 3 bytes too early");
    holds(
        "cut",
        &cut,
        &[
            (&[TODAY], &["d d755", "d/a -644 8", &lost]),
            (OLD_TWO, &["d d755", "d/a -644 5", &lost]),
        ],
    );
}

#[test]
fn checksums_and_final_nuls_are_a_matter_of_the_kernel() {
    let summed = |checksum| {
        [
            Entry {
                magic: "070702",
                checksum,
                ..file("a", "\u{1}\u{2}\u{3}")
            },
            trailer(),
        ]
    };
    holds(
        "good sum",
        &[plain(&summed(6))],
        &[(&[TODAY], &["a -644 3"])],
    );
    let failure = |version, entries: &[Entry]| {
        unpack(version, &[plain(entries)], 40)
            .failed
            .map(|failure| failure.message)
    };
    let versions = [
        OLD,
        KernelVersion::new(4, 9, 0),
        KernelVersion::new(5, 15, 0),
        TODAY,
    ];
    assert_eq!(
        versions.map(|version| failure(version, &summed(7))),
        [
            Some("no cpio magic"),
            Some("no cpio magic"),
            Some("incorrect cpio method used: use -H newc option"),
            Some("bad data checksum"),
        ]
    );
    let open = [
        Entry {
            name: b"abc".to_vec(),
            ..file("", "")
        },
        trailer(),
    ];
    assert_eq!(
        versions.map(|version| failure(version, &open)),
        [
            None,
            None,
            Some("malformed archive"),
            Some("malformed archive")
        ]
    );
    let at = "segment 0, byte 0, abc: its name has no final NUL";
    holds("no NUL", &[plain(&open)], &[(OLD_TWO, &["abc -644 0", at])]);
    let cut = [
        Entry {
            name: b"ab\0cd\0".to_vec(),
            ..file("", "")
        },
        trailer(),
    ];
    holds(
        "cut",
        &[plain(&cut)],
        &[(
            ALL,
            &[
                "ab -644 0",
                "segment 0, byte 0, ab: its name ends at a NUL, 3 bytes early",
            ],
        )],
    );
}

/// Archives with something of everything, as [`readers::rootfs`] takes them.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let kinds = [
        directory("d"),
        file("d/file", "some data"),
        link("d/link", "../d/./file"),
        link("up", "d/.."),
        file("up/d/link", "over the link"),
        device("d/null", (1, 3)),
        entry("d/pipe", 0o010_600, ""),
        directory("d/file"),
        file("no/parent", "lost"),
    ];
    let names = [
        named("a", 7, ""),
        named("b", 7, "data"),
        named("b", 7, "data"),
        trailer(),
        named("c", 7, ""),
        Entry {
            magic: "070702",
            checksum: 294,
            ..file("sum", "abc")
        },
        trailer(),
    ];
    let segments = [plain(&kinds), gzip(&names), raw(None, [0; 3]), gzip(&kinds)];
    let both = segments.map(|(_, bytes)| bytes).join(readers::SEGMENT);
    let single = plain(&[&kinds[..], &names].concat()).1;
    vec![
        ("segments".to_owned(), both),
        ("archive".to_owned(), single),
    ]
}
