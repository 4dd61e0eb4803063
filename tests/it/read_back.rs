//! The reader of images: what the one writer wrote comes back, what is damaged or cut short is told, and
//! what GNU cpio makes is read as cpio reads it.

use std::ffi::OsStr;
use std::fs;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use xinitrd::archive::{Archive, Event, Flaw, Limits, ReadError, SegmentEnd};
use xinitrd::compress::Compression;
use xinitrd::compress::decode::Facts;
use xinitrd::plan::{Node, Plan};

use crate::guest::scratch;
use crate::judged;
use crate::support::{Tool, XINITRD, fed, text, without_rights};
use crate::written::{MTIME, image, plan};

const CPIO: Tool = Tool::of("cpio", "cpio");
const GZIP: Tool = Tool::of("gzip", "gzip");
const ZSTD: Tool = Tool::of("zstd", "zstd");
const MKNOD: Tool = Tool::of("mknod", "coreutils");
const PRLIMIT: Tool = Tool::of("prlimit", "util-linux");

/// How many plans are read back at each level.
const PLANS: u64 = 12;
/// How many bytes of a large image are damaged, one at a time.
const SAMPLE: usize = 100;

// ---- Reading -----------------------------------------------------------------------------------

/// An entry, as far as a plan says it: name, mode, time, device, data.
type Told = (Vec<u8>, u32, u32, (u32, u32), Vec<u8>);

/// All that is read of an image.
#[derive(Debug, Default)]
struct Read {
    entries: Vec<Told>,
    flaws: Vec<Flaw>,
    segments: Vec<SegmentEnd>,
    error: Option<ReadError>,
}

fn read(image: &[u8]) -> Read {
    let mut archive = Archive::new(Box::new(Cursor::new(image.to_vec())), Limits::default());
    let mut read = Read::default();
    read.error = follow(&mut archive, &mut read).err();
    read
}

fn follow(archive: &mut Archive, read: &mut Read) -> Result<(), ReadError> {
    while let Some(event) = archive.next_event()? {
        match event {
            Event::Segment(_) => {}
            Event::Flaw(flaw) => read.flaws.push(flaw),
            Event::SegmentEnd(end) => read.segments.push(end),
            Event::Entry(entry) => {
                let mut data = Vec::new();
                archive.append_data(&mut data)?;
                let header = entry.header;
                let told = (entry.name, header.mode, header.mtime, header.rdev, data);
                read.entries.push(told);
            }
        }
    }
    Ok(())
}

impl Read {
    /// Whether anything is told that is not as it should be.
    fn tells(&self) -> bool {
        let disagrees = |end: &SegmentEnd| match end.member.as_ref().map(|member| &member.facts) {
            Some(Facts::Gzip(gzip)) => gzip.trailer.is_some_and(|trailer| !trailer.agrees()),
            _ => false,
        };
        self.error.is_some() || !self.flaws.is_empty() || self.segments.iter().any(disagrees)
    }
}

fn planned(plan: &Plan) -> Vec<Told> {
    let entries = plan.entries().map(|(path, entry)| {
        let (kind, rdev) = match entry.node {
            Node::Directory => (0o040_000, (0, 0)),
            Node::File(_) => (0o100_000, (0, 0)),
            Node::Symlink(_) => (0o120_000, (0, 0)),
            Node::CharDevice(major, minor) => (0o020_000, (major, minor)),
            Node::BlockDevice(major, minor) => (0o060_000, (major, minor)),
        };
        let (name, data) = (path.as_bytes().to_vec(), entry.data().to_vec());
        (name, kind | entry.mode, MTIME, rdev, data)
    });
    entries.collect()
}

#[test]
fn every_plan_is_read_back_as_it_was_written() {
    for compression in Compression::ALL {
        let levels = compression.levels();
        for level in [*levels.start(), compression.default_level(), *levels.end()] {
            for seed in 0..PLANS {
                let plan = plan(seed + u64::from(level));
                let read = read(&image(&plan, compression, level));
                let which = format!("plan {seed}, {} {level}", compression.name());
                assert!(!read.tells(), "{which}: {read:?}");
                assert_eq!(read.segments.len(), 1, "{which}");
                assert_eq!(read.segments[0].archives, 1, "{which}");
                assert!(read.entries == planned(&plan), "{which}");
            }
        }
    }
}

// ---- Damage ------------------------------------------------------------------------------------

/// A plan whose image has between `least` and `most` bytes.
fn plan_of(compression: Compression, least: usize, most: usize) -> (Plan, Vec<u8>) {
    let mut plans = (0..).map(|seed| {
        let plan = plan(seed);
        let image = image(&plan, compression, compression.default_level());
        (plan, image)
    });
    plans
        .find(|(_, image)| (least..most).contains(&image.len()))
        .unwrap()
}

/// Whether the format has a checksum of its content that this program's writer puts in and that its
/// reader compares.
fn is_checked(compression: Compression) -> bool {
    !matches!(compression, Compression::None | Compression::Lz4)
}

/// Damages byte `at` of an image, by turns in several ways.
///
/// Whatever is damaged, there is an answer. With a checksum the damage is told, or what is read is what
/// was written: it was in a byte that says nothing of the content.
fn damage(compression: Compression, plan: &Plan, image: &[u8], at: usize) {
    let flipped = [0x01, 0x80, 0xff][at % 3];
    let mut damaged = image.to_vec();
    damaged[at] ^= flipped;
    let read = read(&damaged);
    if is_checked(compression) && !read.tells() {
        let same = read.entries == planned(plan);
        assert!(same, "{}, byte {at} ^ {flipped:#x}", compression.name());
    }
}

#[test]
fn damage_to_any_byte_is_told_or_does_no_harm() {
    for compression in Compression::ALL {
        let (plan, small) = plan_of(compression, 300, 1500);
        (0..small.len()).for_each(|at| damage(compression, &plan, &small, at));
        let (plan, large) = plan_of(compression, 10_000, 100_000);
        let step = large.len() / SAMPLE;
        let sample = (0..large.len()).step_by(step);
        sample.for_each(|at| damage(compression, &plan, &large, at));
    }
}

#[test]
fn an_image_that_is_cut_short_anywhere_is_told_to_be() {
    for compression in Compression::ALL {
        let (plan, image) = plan_of(compression, 300, 1500);
        for length in 0..image.len() {
            let read = read(&image[..length]);
            let name = compression.name();
            let told = planned(&plan);
            // Of the last entry there may be a part.
            let whole = read.entries.len().saturating_sub(1);
            assert!(
                told.starts_with(&read.entries[..whole]),
                "{name}, {length} bytes"
            );
            // Behind a plain archive's trailer stand zeros, which nobody misses.
            let is_whole = compression == Compression::None && read.entries == told;
            assert!(read.tells() || is_whole, "{name}, {length} bytes");
        }
    }
}

#[test]
fn what_stands_behind_a_segment_that_ends_within_an_entry_is_read_from_its_first_byte() {
    let plan = plan(3);
    // A member may stand anywhere: not one byte lies between.
    let behind = image(&plan, Compression::Gzip, 6);
    for size in [1, 2, 3, 4] {
        let whole = judged::archive(&[judged::file("cut", vec![b'x'; 40 + size])]);
        let both = [GZIP.run(&["-nc"], &whole[..140]), behind.clone()].concat();
        let read = read(&both);
        assert_eq!(read.flaws.len(), 1, "{:?}", read.flaws);
        assert_eq!(read.entries[0].0, b"cut");
        assert!(read.entries[1..] == planned(&plan), "{size}");
    }
}

// ---- GNU cpio ----------------------------------------------------------------------------------

/// A directory of what GNU cpio can put into an archive.
fn odd_tree(top: &Path) {
    let long = "n".repeat(255);
    let names: [&[u8]; 7] = [
        b"plain",
        b"a name",
        b"new\nline",
        b"\xff\xfe\x01",
        b"-dash",
        b"TRAILER!!!x",
        long.as_bytes(),
    ];
    for name in names {
        let path = top.join(OsStr::from_bytes(name));
        fs::write(&path, name).unwrap();
    }
    fs::create_dir_all(top.join("d/e/f")).unwrap();
    fs::write(top.join("empty"), "").unwrap();
    fs::hard_link(top.join("plain"), top.join("d/another")).unwrap();
    fs::hard_link(top.join("plain"), top.join("zz")).unwrap();
    symlink("d/e", top.join("link")).unwrap();
    let mknod = |arguments: &[&str]| drop(MKNOD.run(arguments, b""));
    mknod(&[text(&top.join("pipe")), "p"]);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        mknod(&[text(&top.join("node")), "c", "5", "1"]);
    }
}

fn made_by_cpio(top: &Path, format: &str) -> Vec<u8> {
    let find = Command::new("find")
        .arg(".")
        .arg("-print0")
        .current_dir(top)
        .output()
        .unwrap();
    let mut command = Command::new(CPIO.path());
    command
        .args(["-o", "-0", "--quiet", "-H", format])
        .current_dir(top);
    let made = fed(&mut command, &find.stdout);
    assert!(made.status.success());
    made.stdout
}

#[test]
fn archives_of_gnu_cpio_are_read_as_it_reads_them() {
    let top = scratch();
    odd_tree(top.path());
    let [newc, crc] = ["newc", "crc"].map(|format| made_by_cpio(top.path(), format));
    let listed = [&newc, &crc].map(|archive| CPIO.run(&["-it", "--quiet"], archive));
    assert!(listed[0].len() > 300 && listed[0] == listed[1]);
    let padded = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(512) + 4096, 0);
        bytes
    };
    let images = [
        (newc.clone(), 1),
        (padded(crc.clone()), 1),
        ([padded(newc.clone()), crc.clone()].concat(), 2),
        (
            [
                padded(crc.clone()),
                GZIP.run(&["-nc"], &newc),
                ZSTD.run(&["-c"], &crc),
            ]
            .concat(),
            3,
        ),
    ];
    for (image, segments) in images {
        let read = read(&image);
        assert!(!read.tells(), "{:?}", read.flaws);
        assert_eq!(read.segments.len(), segments);
        let lines = read
            .entries
            .iter()
            .flat_map(|entry| [&entry.0[..], b"\n"].concat());
        assert!(lines.collect::<Vec<u8>>() == listed[0].repeat(segments));
        for (name, mode, _, _, data) in &read.entries {
            let path = top.path().join(OsStr::from_bytes(name));
            let there = path.symlink_metadata().unwrap();
            assert_eq!(*mode, there.mode(), "{}", path.display());
            // Of several names the last alone has the data.
            if there.is_file() && there.nlink() == 1 {
                assert!(*data == fs::read(&path).unwrap(), "{}", path.display());
            }
        }
    }
}

// ---- Threads -----------------------------------------------------------------------------------

#[test]
fn an_image_is_read_the_same_where_no_thread_is_to_be_had() {
    let top = scratch();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let file = top.path().join(compression.name());
        fs::write(
            &file,
            image(&plan(7), compression, compression.default_level()),
        )
        .unwrap();
        let program = top.path().join("xinitrd");
        fs::copy(XINITRD, &program).unwrap();
        fs::set_permissions(
            top.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let alone = without_rights(&PRLIMIT.path())
            .args(["--nproc=1", text(&program), "list", "--json", text(&file)])
            .output()
            .unwrap();
        let freely = Command::new(&program)
            .args(["list", "--json", text(&file)])
            .output()
            .unwrap();
        assert_eq!(
            (alone.status, freely.status.code()),
            (freely.status, Some(0))
        );
        assert!(alone.stdout == freely.stdout && !alone.stdout.is_empty());
    }
}
