//! The rules about the archive, its compression, and what Xen and the kernel make of it: a sound
//! archive, spoilt in one way, and all that is found then.

use std::io::{Cursor, Read, repeat};

use xinitrd::archive::Limits;
use xinitrd::inspect::read::Depth;
use xinitrd::inspect::rules::{archive, unpacking, xen};
use xinitrd::inspect::{Guest, inspect};
use xinitrd::unpacker::{OLD, TODAY};
use xinitrd::xen_version::XenVersion;

use crate::guest::GZIP;
use crate::judged::{self, Made, directory, file, found, made};
use crate::support::Tool;

const XZ: Tool = Tool::of("xz", "xz-utils");
const ZSTD: Tool = Tool::of("zstd", "zstd");

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
        (cut(&sound, trailer), vec!["error no-trailer -"]),
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
            vec![r"error bad-name-end a\u{0}b\u{0}"],
        ),
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
        (&wrong, None, vec!["error xen-wrong-isize -"]),
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
        (xz("--check=crc64", &sound), TODAY, &option[..1]),
        (ZSTD.run(&["-c"], &sound), OLD, &unread),
        (ZSTD.run(&["-c"], &sound), TODAY, &[]),
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
