//! The rules about the archive, its compression, and what Xen and the kernel make of it: a sound
//! archive, spoilt in one way, and all that is found then.

use std::io::{self, Cursor, Read, repeat};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use xinitrd::archive::Limits;
use xinitrd::inspect::guest_kernel::GuestKernel;
use xinitrd::inspect::read::Depth;
use xinitrd::inspect::rules::{archive, unpacking, xen};
use xinitrd::inspect::{Guest, inspect};
use xinitrd::kernel_version::KernelVersion;
use xinitrd::root::Root;
use xinitrd::unpacker::{OLD, TODAY};
use xinitrd::xen_version::XenVersion;

use crate::guest::GZIP;
use crate::judged::{self, Made, directory, file, found, made};
use crate::readers::Tree;
use crate::support::{Tool, fed};

const XZ: Tool = Tool::of("xz", "xz-utils");
const ZSTD: Tool = Tool::of("zstd", "zstd");
const LZ4: Tool = Tool::of("lz4", "lz4");
const LZOP: Tool = Tool::of("lzop", "lzop");

fn sound() -> Vec<Made> {
    vec![directory("d"), file("d/a", "data"), file("d/b", "")]
}

/// What is found by the rules, each finding as its weight, its rule and the entry.
fn all_found(image: impl Read + Send + 'static, limits: Limits, guest: &Guest) -> Vec<String> {
    let inspection = inspect(Box::new(image), limits, guest, Depth::Facts).unwrap();
    let rules = [archive::RULES, xen::RULES, unpacking::RULES].concat();
    let findings = found(&inspection, &rules);
    let short = findings.iter().map(|line| line.split(": ").next().unwrap());
    short.map(str::to_owned).collect()
}

fn of_bytes(image: &[u8], guest: &Guest) -> Vec<String> {
    all_found(Cursor::new(image.to_vec()), Limits::default(), guest)
}

fn gzip(archive: &[u8]) -> Vec<u8> {
    GZIP.run(&["-9nc"], archive)
}

fn xz(check: &str, archive: &[u8]) -> Vec<u8> {
    XZ.run(&["-c", check], archive)
}

/// The bytes with `change` done to them.
fn spoilt(bytes: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    change(&mut bytes);
    bytes
}

/// The archive in the format with checksums, which are all 0 here.
fn with_checksums(entries: &[Made]) -> Vec<u8> {
    let archive = String::from_utf8(judged::archive(entries)).unwrap();
    archive.replace("070701", "070702").into_bytes()
}

const STOPS: &str = "error kernel-stops-unpacking -";

#[test]
fn what_is_wrong_with_an_archive_is_found() {
    let sound = judged::archive(&sound());
    let cut = |bytes: &[u8], count: usize| bytes[..bytes.len() - count].to_vec();
    let (trailer, header) = (124, 110);
    let packed = gzip(&sound);
    let cases = [
        (sound.clone(), vec![]),
        (packed.clone(), vec![]),
        ([&sound[..], &[0; 1024], &sound].concat(), vec![]),
        (cut(&sound, trailer), vec!["warning no-trailer -"]),
        (
            cut(&sound, trailer + header + 10),
            vec!["error entry-cut d/a"],
        ),
        (cut(&packed, 4), vec!["error damaged-compression -", STOPS]),
        (
            [&sound[..], b"junk"].concat(),
            vec!["error trailing-bytes -", STOPS],
        ),
        (
            [&sound[..], &[0; 2], &sound].concat(),
            vec!["error header-misaligned -", STOPS],
        ),
        (
            spoilt(&sound, |bytes| bytes[112 + 5] = b'7'),
            vec!["error bad-header -", STOPS],
        ),
        (
            judged::archive(&[made("a\0b", 0o100_644, "")]),
            vec!["error bad-name-end a"],
        ),
        // NULs that have the data begin at a block.
        (judged::archive(&[made("a\0\0\0", 0o100_644, "")]), vec![]),
        (
            with_checksums(&[file("a", "data")]),
            vec![
                "error checksum-mismatch a",
                "warning checksum-format -",
                STOPS,
            ],
        ),
    ];
    for (image, expected) in cases {
        assert_eq!(of_bytes(&image, &Guest::default()), expected);
    }
}

#[test]
fn a_segment_that_ends_within_an_entry_leaves_the_next_one_whole() {
    for name in ["a", "TRAILER!!!"] {
        let image = judged::archive(&[made(name, 0o100_644, "12345")]);
        // Without the trailer, the padding and the last byte of the data.
        let broken = gzip(&image[..image.len() - 124 - 3 - 1]);
        let image = [broken, gzip(&judged::archive(&sound()))].concat();
        let inspection = judged::judged(image, &Guest::default());
        assert_eq!(
            found(&inspection, archive::RULES),
            [format!(
                "error entry-cut {name}: the segment ends within the entry"
            )]
        );
        let entries = inspection.picture.segments.iter();
        let entries: Vec<usize> = entries.map(|segment| segment.entries).collect();
        assert_eq!(entries, [usize::from(name == "a"), sound().len()]);
    }
}

#[test]
fn nothing_is_known_behind_a_bound() {
    let limits = Limits {
        entries: 2,
        ..Limits::default()
    };
    let found = all_found(
        Cursor::new(judged::archive(&sound())),
        limits,
        &Guest::default(),
    );
    assert_eq!(found[0], "error limit-met -");
}

#[test]
fn what_xen_makes_of_an_image_depends_on_its_version() {
    let sound = gzip(&judged::archive(&sound()));
    let several = [&sound[..], &sound].concat();
    let padded = [&sound[..], &[0; 4]].concat();
    let wrong = spoilt(&sound, |bytes| *bytes.last_mut().unwrap() += 1);
    let (before, since) = (Some(XenVersion::new(4, 19)), Some(XenVersion::new(4, 20)));
    for (image, xen, expected) in [
        (&sound, before, vec![]),
        (&several, None, vec!["warning xen-several-members -"]),
        (&several, before, vec!["error xen-several-members -"]),
        (&several, since, vec![]),
        (&padded, None, vec!["warning xen-bytes-after-member -"]),
        (&padded, since, vec![]),
        (
            &wrong,
            None,
            vec!["error damaged-compression -", "warning xen-wrong-isize -"],
        ),
        (
            &wrong,
            before,
            vec!["error damaged-compression -", "error xen-wrong-isize -"],
        ),
        (&wrong, since, vec!["error damaged-compression -"]),
    ] {
        let guest = Guest {
            xen,
            ..Guest::default()
        };
        assert_eq!(of_bytes(image, &guest), expected, "{xen:?}");
    }
}

#[test]
fn an_image_may_be_too_large_for_xen() {
    let xen = Some(XenVersion::new(4, 20));
    for (size, xen, expected) in [
        (128 << 20, None, vec![]),
        ((128 << 20) + 4, None, vec!["warning xen-pygrub-limit -"]),
        ((1 << 30) + 4, None, vec!["warning xen-too-large -"]),
        ((1 << 30) + 4, xen, vec!["error xen-too-large -"]),
    ] {
        let sound = judged::archive(&sound());
        let zeros = repeat(0).take(size - sound.len() as u64);
        let guest = Guest {
            xen,
            ..Guest::default()
        };
        let image = Cursor::new(sound).chain(zeros);
        assert_eq!(
            all_found(image, Limits::default(), &guest),
            expected,
            "{size}"
        );
    }
}

#[test]
fn what_a_kernel_cannot_read_is_found() {
    let sound = judged::archive(&sound());
    let unread = ["error compression-unreadable -", STOPS];
    let option = ["error compression-option-unreadable -", STOPS];
    for (image, kernel, expected) in [
        (gzip(&sound), OLD, &[][..]),
        (xz("--check=crc32", &sound), OLD, &unread),
        (xz("--check=crc32", &sound), TODAY, &[]),
        (xz("--check=crc64", &sound), TODAY, &option),
        (ZSTD.run(&["-c"], &sound), OLD, &unread),
        (ZSTD.run(&["-c"], &sound), TODAY, &[]),
        (LZOP.run(&["-c"], &sound), TODAY, &[]),
        (LZOP.run(&["-cF"], &sound), TODAY, &option),
        (
            with_checksums(&[directory("d")]),
            OLD,
            &["error checksum-format -", STOPS],
        ),
        (with_checksums(&[directory("d")]), TODAY, &[]),
    ] {
        let guest = Guest {
            kernel: Some(kernel),
            ..Guest::default()
        };
        assert_eq!(of_bytes(&image, &guest), expected, "{kernel}");
    }
}

#[test]
fn what_a_kernel_was_built_without_is_found() {
    const BUILT: &str =
        "CONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\nCONFIG_XZ_DEC_X86=y\n# CONFIG_RD_ZSTD is not set\n";
    let sound = judged::archive(&sound());
    let filtered =
        |filter: &str| XZ.run(&["-c", "--check=crc32", filter, "--lzma2=preset=0"], &sound);
    let unread = |option: &str| vec![format!("error compression-unreadable -: {option}")];
    let zstd = ZSTD.run(&["-c"], &sound);
    for (image, initrd, expected) in [
        (gzip(&sound), "y", vec![]),
        (filtered("--x86"), "y", vec![]),
        (filtered("--arm"), "y", unread("XZ_DEC_ARM")),
        (zstd.clone(), "y", unread("RD_ZSTD")),
        // A text that says nothing of ramdisks is no configuration of a kernel that takes one.
        (zstd, "n", vec![]),
    ] {
        let text = format!("==> boot/config-6.1.0 <==\nCONFIG_BLK_DEV_INITRD={initrd}\n{BUILT}");
        let root = Root::new(Box::new(Tree::read(text.as_bytes())));
        let guest = Guest {
            root: Some(GuestKernel::read(&root, "6.1.0").unwrap()),
            ..Guest::default()
        };
        let lines = found(&judged::judged(image, &guest), unpacking::RULES);
        let option = |line: &String| {
            let (line, option) = line.split_once(": ").unwrap();
            let option = option.split_once("CONFIG_").unwrap().1;
            format!("{line}: {}", option.split(',').next().unwrap())
        };
        assert_eq!(lines.iter().map(option).collect::<Vec<_>>(), expected);
    }
    let young = |kernel| {
        let guest = Guest {
            kernel: Some(kernel),
            ..Guest::default()
        };
        of_bytes(&filtered("--arm64"), &guest)
    };
    assert_eq!(young(KernelVersion::new(6, 12, 0)), [""; 0]);
    let old = young(KernelVersion::new(6, 11, 0));
    assert_eq!(old, ["error compression-option-unreadable -", STOPS]);
}

#[test]
fn what_a_kernel_drops_and_no_other_rule_tells_is_found() {
    let entries = [
        file("a", "").numbered(7),
        directory("a"),
        file("b", "data").numbered(7),
    ];
    let found = of_bytes(&judged::archive(&entries), &Guest::default());
    assert_eq!(found, ["error kernel-drops-entry b"]);
}

#[test]
fn what_the_kernel_loses_with_a_skipped_entry_is_told() {
    // The second header lies across the 32 KiB that the kernel's inflate gives at a time.
    let filler = "x".repeat(32_768 - 48 - 112);
    let pipe = |name| made(name, 0o010_644, "data");
    let lost = gzip(&judged::archive(&[
        file("a", filler.as_str()),
        pipe("p"),
        file("b", ""),
    ]));
    let kept = gzip(&judged::archive(&[
        file("a", "short"),
        pipe("p"),
        file("b", ""),
    ]));
    let rule = "error kernel-loses-member p";
    let has_rule = |image: &[u8]| of_bytes(image, &Guest::default()).contains(&rule.to_owned());
    assert_eq!((has_rule(&lost), has_rule(&kept)), (true, false));
}

#[test]
fn a_gzip_member_whose_end_does_not_fit_is_damaged_as_gzip_has_it_too() {
    let sound = gzip(&judged::archive(&sound()));
    let end = sound.len();
    for (at, found, old_kernel) in [
        (end - 8, "gzip's own checksum is", "crc error"),
        (end - 1, "gzip's own length is", "length error"),
    ] {
        let wrong = spoilt(&sound, |bytes| bytes[at] ^= 1);
        let tested = fed(Command::new(GZIP.path()).args(["-t"]), &wrong);
        assert!(!tested.status.success());
        let judged_for = |kernel| {
            let kernel = Some(kernel);
            judged::judged(
                wrong.clone(),
                &Guest {
                    kernel,
                    ..Guest::default()
                },
            )
        };
        let finding = &judged_for(TODAY).findings[0];
        assert_eq!(finding.rule.name, "damaged-compression");
        assert!(finding.found.starts_with(found), "{finding:?}");
        // Kernels compare the two until 2.6.29 (lib/inflate.c), and never again.
        assert_eq!(judged_for(TODAY).unpacked.failed, None);
        let failed = judged_for(OLD).unpacked.failed.unwrap();
        assert!(failed.fault.to_string().ends_with(old_kernel), "{failed:?}");
    }
}

#[test]
fn what_the_kernel_refuses_at_its_header_it_stops_at() {
    let sound = judged::archive(&sound());
    for (image, reason) in [
        (xz("--check=crc64", &sound), "xz checked by CRC64"),
        (xz("--check=sha256", &sound), "xz checked by SHA-256"),
        (
            LZOP.run(&["-cF"], &sound),
            "lzo with 0 checksums of each block",
        ),
    ] {
        let early = judged::archive(&[file("early", "")]);
        let image = [&early[..], &image].concat();
        let failed = judged::judged(image, &Guest::default())
            .unpacked
            .failed
            .unwrap();
        assert_eq!((failed.place.segment, failed.place.offset), (1, 0));
        assert!(failed.fault.to_string().ends_with(reason), "{failed:?}");
    }
}

#[test]
fn a_window_beyond_the_kernels_is_told_whose_bound_it_meets_and_what_to_do() {
    // A window is no larger than what is packed, where that is known.
    let zeros = vec![0; (128 << 20) + 1];
    let long = ["-c", "--ultra", "--long=28", "-1"];
    let image = ZSTD.run(&long, &[judged::archive(&sound()), zeros].concat());
    let inspection = judged::judged(image, &Guest::default());
    let told: Vec<(&str, &str)> = inspection
        .findings
        .iter()
        .map(|finding| (finding.rule.name, finding.found.as_str()))
        .collect();
    let window = "window or dictionary of 256 MiB, and may take 128 MiB";
    assert_eq!(
        told[0],
        ("limit-met", format!("decoding needs a {window}").as_str())
    );
    assert_eq!(
        told[1],
        (
            "compression-option-unreadable",
            "zstd with a window of 256 MiB"
        )
    );
    assert!(
        inspection.findings[0]
            .expected
            .ends_with("this program's own bound, --max-memory")
    );
    let cure = inspection.findings[0].cure;
    assert!(
        cure.contains("without zstd's --long") && cure.contains("raise --max-memory"),
        "{cure}"
    );
}

#[test]
fn a_dictionary_beyond_this_programs_own_bound_is_no_fault_of_the_kernels() {
    // The kernel takes any dictionary of xz: XZ_DYNALLOC in lib/decompress_unxz.c.
    let options = ["-c", "--check=crc32", "--lzma2=dict=256MiB"];
    let image = XZ.run(&options, &judged::archive(&sound()));
    assert_eq!(of_bytes(&image, &Guest::default()), ["error limit-met -"]);
}

/// A reader that says how much was read of it.
struct Counted<R>(R, Arc<AtomicUsize>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(out)?;
        self.1.fetch_add(count, Ordering::Relaxed);
        Ok(count)
    }
}

#[test]
fn what_begins_as_no_image_is_not_read_to_its_end() {
    let read = Arc::new(AtomicUsize::new(0));
    let disk = Counted(repeat(b'j').take(64 << 20), Arc::clone(&read));
    let found = all_found(disk, Limits::default(), &Guest::default());
    assert_eq!(found, ["error not-an-image -"]);
    let read = read.load(Ordering::Relaxed);
    assert!(read < 20 << 20, "{read} bytes were read");
}

#[test]
fn what_may_lie_behind_a_cut_is_not_missed() {
    let init = judged::program("init", "#!/bin/sh\n");
    let whole = judged::archive(&[init, directory("bin"), file("bin/sh", vec![1; 999])]);
    let cut = |bytes: &[u8]| bytes[..bytes.len() - 400].to_vec();
    for (image, expected) in [
        (cut(&whole), vec!["entry-cut"]),
        (
            [
                &gzip(&judged::archive(&[file("a", "")])),
                &LZ4.run(&["-c"], &whole)[..],
            ]
            .concat(),
            vec![
                "trailing-bytes",
                "xen-bytes-after-member",
                "kernel-stops-unpacking",
            ],
        ),
    ] {
        let inspection = judged::judged(image, &Guest::default());
        let rules: Vec<&str> = inspection
            .findings
            .iter()
            .map(|finding| finding.rule.name)
            .collect();
        assert_eq!(rules, expected);
    }
}
